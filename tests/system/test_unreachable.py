"""She cannot be reached (spec 22.6), from outside: telephones as objects, a real relay for the council's mail, and what
everybody hears until it is over. The policy is that of a day in which everything takes seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.ports import free_port
from tests.system.broker import LOOPBACK
from tests.system.daemon import (
    DESK,
    EDNA,
    OFFICE,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    by_day,
    care_worker,
    chain_break,
    now,
    of_kind,
    rfc,
    service_user,
    staff,
    table,
    visit,
    warm_start,
)
from tests.waiting import until_sync

NED, NORA, COUNCIL = "+447700900301", "+447700900302", "+441632960900"
COUNCIL_MAIL = "edt@council.example"
DESKS = [{"name": "EDT", "phone": COUNCIL, "email": COUNCIL_MAIL, "hours": "daily 00:00-24:00"}]
DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)
CALM = {
    "late_after": "1s",
    "ask_worker": [],
    "reassure_retry": "1s",
    "summon_call_after": "10m",
    "summon_next": "30m",
    "locate_gives_up": "20m",
    "replace_within": "4h",
}
"""Only what a test is about happens in its seconds; it makes its own steps quick."""


class Mailbox:
    """The council's mailbox behind a relay."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 OK"

    def mail(self, heading: str, timeout: float = 10.0) -> str:
        """The words of the one mail to the council whose subject begins like this."""

        def found() -> list[EmailMessage]:
            to_council = [mail for to, mail in self.mails if to == [COUNCIL_MAIL]]
            return [mail for mail in to_council if str(mail["Subject"]).strip().startswith(heading)]

        (mail,) = until_sync(found, timeout, what=f"a mail: {heading}")
        return f"{mail['Subject']}\n{mail.get_content()}"


class World:
    """A desk with one late visit: Edna on a landline, two next of kin with mobiles, two on duty, a council desk."""

    def __init__(self, daemon: Daemon, phones: Telephones, mailbox: Mailbox) -> None:
        self.daemon, self.phones, self.mailbox = daemon, phones, mailbox

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def lay_out(self, *more: dict[str, Any], **edna: Any) -> None:
        """Everybody is known; nothing is late yet."""
        said = self.office.people(
            service_user(**({"next_of_kin": ["c-1", "c-2"]} | edna)),
            kin("c-1", "Ned Quillfeather", NED),
            kin("c-2", "Nora Quillfeather", NORA),
            care_worker(),
            staff(),
            staff("st-2", ON_CALL) | {"name": "Mary Larkspur"},
            *more,
        )
        assert said["problems"] == []

    def late(self) -> None:
        """Her visit begins now, and nobody comes."""
        self.office.rota(visit("v-1", now()))

    def arrives(self) -> None:
        """The care worker is there, after all."""
        seen = self.office.checkin(
            id="k-1", kind="arrive", worker="cw-1", visit="v-1", at=rfc(now()), service_user="su-1"
        )
        assert seen["outcome"] in ("arrived", "arrived_late")

    def call(self, number: str, count: int = 1) -> dict[str, Any]:
        return self.phones.ringing(number, count, timeout=20)

    def does(self, number: str, action: str, count: int = 1) -> dict[str, Any]:
        return self.phones.do(self.call(number, count), action)

    def presses(self, call: dict[str, Any], *digits: str) -> dict[str, Any]:
        for digit in digits:
            call = self.phones.do(call, "press", digits=digit)
        return call

    def alert(self, **fields: Any) -> dict[str, Any]:
        (found,) = self.office.alerts(kind="late_visit", **fields)
        return found

    def track(self, name: str) -> tuple[str, str]:
        """Where it stands, and why."""
        tracks = {one["name"]: one for one in self.alert()["tracks"]}
        return (tracks[name]["step"], tracks[name]["reason"]) if name in tracks else ("", "")

    def stands(self, name: str, step: str, reason: str | None = None) -> None:
        def so() -> bool:
            found = self.track(name)
            return found[0] == step and reason in (None, found[1])

        until_sync(so, 20, what=f"{name} is {step} {reason or ''}")

    def text(self, number: str, words: str) -> str:
        """The first text to this telephone in which these words stand."""

        def found() -> list[str]:
            return [one["body"] for one in self.phones.texts(number) if words in one["body"]]

        return until_sync(found, 20, what=f"a text to {number[-3:]}: {words}")[0]

    def act(self, action: str, **more: Any) -> Any:
        path = f"/v1/desks/{DESK}/alerts/{self.alert()['id']}/actions"
        return self.office.post(path, {"action": action, "by": "st-1"} | more)


def kin(name: str, called: str, number: str, kind: str = "mobile") -> dict[str, Any]:
    return {"id": name, "role": "contact", "name": called, "phones": [{"number": number, "kind": kind}]}


def code(text: str, meaning: str) -> str:
    """The digits that a text asks for, before these words."""
    found = re.search(rf"(\d+) {meaning}", text)
    assert found is not None, text
    return found[1]


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmStart]:
    with warm_start() as one:
        yield one


@contextmanager
def world(folder: Path, warm: WarmStart | None, *, speed: float = 20.0, **changes: Any) -> Iterator[World]:
    overrides = CALM | by_day() | changes.pop("overrides", {})
    options = {"duty": DUTY, "overrides": overrides, "council_desks": DESKS} | changes
    mailbox = Mailbox()
    relay = Controller(mailbox, hostname=LOOPBACK, port=free_port())
    mail = table("email", {"host": LOOPBACK, "port": relay.port, "from": "callwatch@bright.example"})
    with ExitStack() as stack:
        relay.start()
        stack.callback(relay.stop)
        phones = stack.enter_context(Telephones(speed=speed))
        daemon = stack.enter_context(Daemon(folder, phones=phones, warm=warm, tables=mail, **options))
        yield World(daemon, phones, mailbox)


def test_voicemail_busy_and_no_answer_then_next_of_kin_in_order_the_council_and_everybody_hears_that_it_is_over(
    tmp_path: Path, warm: WarmStart
) -> None:
    # she on duty is rung when all of this has begun, and her telephone rings until we get to it
    by_telephone = {"summon_call_after": "5s", "ring_staff": "2m"}
    with world(tmp_path, warm, speed=8, overrides=by_telephone) as w:
        w.lay_out()
        w.late()
        w.does(EDNA, "voicemail")
        w.does(EDNA, "busy", 2)
        # unreachable by two of three tries: the third goes on beside
        ned = w.does(NED, "answer")
        assert "Edna" not in " ".join(ned["script"])
        assert "Quillfeather" not in " ".join(ned["script"])
        assert w.phones.calls(NORA) == []
        said = w.presses(ned, "9")
        assert "Edna" not in " ".join(said["script"])
        assert "Ned" in w.text(OFFICE, "is wrong")
        nora = w.presses(w.does(NORA, "answer"), "1")
        assert "Edna" in " ".join(nora["script"])
        w.presses(nora, "1")
        w.stands("inform", "reached", "spoke")
        w.does(EDNA, "no-answer", 3)
        w.stands("reassure", "not_reached")

        report = w.mailbox.mail("Not reached")
        assert not {"Edna", "Quillfeather", "Chislehurst", EDNA} & set(re.split(r"[^\w+]+", report))
        w.text(OFFICE, "ring the council now")
        office = w.presses(w.does(OFFICE, "answer"), "1", "2", "6")
        desk = w.does(COUNCIL, "answer")
        room = until_sync(lambda: w.phones.call(desk["sid"])["conference"], what="the desk is joined")
        until_sync(lambda: w.phones.call(office["sid"])["conference"] == room, what="she is joined to it")
        w.phones.do(desk, "hangup")
        until_sync(lambda: w.phones.call(office["sid"])["waiting_for_key"], what="she is back")
        assert "officer's name" in " ".join(w.phones.call(office["sid"])["script"])
        w.act("told_council", note="J. Hart, reference 88-1204")

        w.arrives()
        ended = w.alert(state="ended")
        assert ended["ended_reason"] == "arrived"
        assert "has been with Edna" in w.text(NORA, "Davina")
        assert "Davina" in w.mailbox.mail("Over:")
        until_sync(lambda: not words_on_their_way(w), what="all is sent")
        # a stranger has Ned's number: nothing more goes there
        assert not any("has been with" in one["body"] for one in w.phones.texts(NED))
        facts = w.office.facts()
        assert [one["body"] for one in of_kind(facts, "CouncilMoved", step="reached")]
        assert "Hart" not in str(facts)
        assert chain_break(facts) is None


def words_on_their_way(w: World) -> list[dict[str, Any]]:
    """Texts that it is over and of which nobody knows yet whether they came."""
    last = [one for one in w.alert()["contacts"] if (one["purpose"], one["channel"]) == ("stand_down", "sms")]
    return [one for one in last if one["settled_at"] is None]
