"""She cannot be reached (spec 22.6), from outside: telephones as objects, a real relay for the council's mail, and what
everybody hears until it is over. The policy is that of a day in which everything takes seconds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller

from monitor.outbox import AT_ONCE
from tests.ports import free_port
from tests.system.broker import LOOPBACK
from tests.system.daemon import (
    DAVE,
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
    instant,
    now,
    of_kind,
    rfc,
    service_user,
    staff,
    table,
    visit,
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

    def mail(self, heading: str, timeout: float = 40.0, at_most: int = 1) -> str:
        """The words of the one mail to the council whose subject begins like this."""

        def found() -> list[EmailMessage]:
            to_council = [mail for to, mail in self.mails if to == [COUNCIL_MAIL]]
            return [mail for mail in to_council if str(mail["Subject"]).strip().startswith(heading)]

        mail, *more = until_sync(found, timeout, what=f"a mail: {heading}")
        assert len(more) < at_most, "sent more often than a crash may repeat it"
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
        return self.phones.ringing(number, count, timeout=40)

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
        found = self.office.alerts(kind="late_visit")
        tracks = {one["name"]: one for one in found[0]["tracks"]} if found else {}
        return (tracks[name]["step"], tracks[name]["reason"]) if name in tracks else ("", "")

    def stands(self, name: str, step: str, reason: str | None = None) -> None:
        def so() -> bool:
            found = self.track(name)
            return found[0] == step and reason in (None, found[1])

        until_sync(so, 40, what=f"{name} is {step} {reason or ''}")

    def text(self, number: str, words: str) -> str:
        """The first text to this telephone in which these words stand."""

        def found() -> list[str]:
            return [one["body"] for one in self.phones.texts(number) if words in one["body"]]

        return until_sync(found, 40, what=f"a text to {number[-3:]}: {words}")[0]

    def page(self) -> str:
        """The page of the alert."""
        url = f"{self.daemon.url}/board/{DESK}/alerts/{self.alert()['id']}"
        with urlopen(Request(url, headers={"Accept": "text/html"}), timeout=10) as answer:
            return str(answer.read().decode())

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


@contextmanager
def world(folder: Path, warm: WarmStart | None, *, speed: float = 20.0, **changes: Any) -> Iterator[World]:
    overrides = CALM | by_day() | changes.pop("overrides", {})
    options = {"duty": DUTY, "overrides": overrides, "council_desks": DESKS} | changes
    mailbox = Mailbox()
    relay = Controller(mailbox, hostname=LOOPBACK, port=free_port(), ready_timeout=30)
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


# --- the council is told by a person: ours is rung first ---


def not_reached(w: World) -> None:
    """Two tries in vain: next of kin and council are told from here on."""
    w.does(EDNA, "no-answer")
    w.does(EDNA, "no-answer", 2)


def test_who_has_it_is_rung_and_then_the_council_and_says_by_a_key_that_it_is_told(
    tmp_path: Path, warm: WarmStart
) -> None:
    # at her pace: the council picks up late
    with world(tmp_path, warm, speed=4) as w:
        w.lay_out()
        w.late()
        w.call(EDNA)
        w.act("take")
        not_reached(w)
        office = w.does(OFFICE, "answer")
        said = " ".join(office["script"])
        assert "council" in said
        assert not {"Edna", "Quillfeather"} & set(re.split(r"\W+", said)), "a voicemail may be listening"
        assert w.phones.calls(COUNCIL) == [], "its desk never waits for nobody"
        w.text(OFFICE, "We ring you now and join you to the council, try 1")
        waits = w.presses(office, "1")
        assert "Edna" in " ".join(waits["script"])
        desk = w.does(COUNCIL, "answer")
        room = until_sync(lambda: w.phones.call(desk["sid"])["conference"], what="the desk is joined")
        until_sync(lambda: w.phones.call(office["sid"])["conference"] == room, what="she is joined to it")
        w.phones.do(desk, "hangup")
        until_sync(lambda: w.phones.call(office["sid"])["waiting_for_key"], what="she is back")
        told = w.presses(office, "2")
        assert "on record" in " ".join(told["script"])
        assert "the officer's name" in w.text(OFFICE, "on record")
        assert len(of_kind(w.office.facts(), "CouncilMoved", step="reached", reason="told")) == 1
        assert len(w.phones.calls(OFFICE)) == 1


def test_who_does_not_come_to_the_telephone_is_tried_again_and_the_council_is_not_rung_for_nobody(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, overrides={"replace_within": "18s", "locate_gives_up": "1h"}) as w:
        w.lay_out()
        w.late()
        w.call(EDNA)
        w.act("take")
        not_reached(w)
        for n in (1, 2, 3):
            w.does(OFFICE, ("no-answer", "voicemail", "busy")[n - 1], n)
        assert "no call to it through callwatch" in w.text(ON_CALL, "the council is not told yet")
        report = until_sync(lambda: [m for _, m in w.mailbox.mails if "try" not in m["Subject"]][1:], 20)[0]
        assert "At your desk: not rung yet." in report.get_content()
        assert w.phones.calls(COUNCIL) == []
        w.act("told_council", note="by my own telephone")
        assert of_kind(w.office.facts(), "CouncilMoved", step="reached")


AGREED = [DESKS[0] | {"machine_calls": True}]


@pytest.mark.parametrize("keys", [("3",), ("2", "3")], ids=["noted", "the reference, then noted"])
def test_nobody_of_ours_has_it_and_a_desk_that_agreed_is_rung_by_the_machine(
    tmp_path: Path, warm: WarmStart, keys: tuple[str, ...]
) -> None:
    soon = {"replace_within": "12s", "locate_gives_up": "1h"}
    with world(tmp_path, warm, council_desks=AGREED, overrides=soon) as w:
        w.lay_out()
        w.late()
        not_reached(w)
        desk = w.does(COUNCIL, "answer")
        said = " ".join(desk["script"])
        assert "has not answered yet" in said
        assert not {"Edna", "Quillfeather"} & set(re.split(r"\W+", said))
        desk = w.presses(desk, *keys)
        assert "Thank you" in " ".join(desk["script"])
        assert "please ring it" in w.text(OFFICE, "has noted Edna su-1 by a key")
        assert len(of_kind(w.office.facts(), "CouncilMoved", step="reached", reason="noted")) == 1
        opened = instant(w.alert()["opened_at"])
        assert (instant(desk["at"]) - opened).total_seconds() >= 4, "a third of the hour"


def test_a_council_that_does_not_answer_is_written_to_when_a_manager_says_so(
    tmp_path: Path, warm: WarmStart
) -> None:
    soon = {"replace_within": "6s", "locate_gives_up": "1h"}
    with world(tmp_path, warm, council_desks=AGREED, overrides=soon) as w:
        w.lay_out()
        w.late()
        not_reached(w)
        for n in (1, 2, 3):
            w.does(COUNCIL, "no-answer", n)
        (waits,) = until_sync(lambda: w.office.get("./alerts?notice=open")["alerts"], 40, what="it is owed")
        assert (len(waits["notice"]["calls"]), waits["notice"]["by"]) == (3, None)
        shown = w.page()
        assert "Send this notice to the council" in shown
        assert "Under clause 17.2 we inform you of this in writing." in shown
        manager = w.daemon.api("manager")
        path = f"./alerts/{waits['id']}/actions"
        refused = w.office.call("POST", path, {"action": "send_notice", "by": "st-1"})
        assert (refused.status, refused.body["error"]["code"]) == (403, "role")
        refused = manager.call("POST", path, {"action": "send_notice", "by": "st-1"})
        assert (refused.status, refused.body["error"]["code"]) == (403, "not_manager")
        manager.post(path, {"action": "send_notice", "by": "st-2"})
        notice = w.mailbox.mail("Notice under 17.2")
        assert "we rang EDT at" in notice
        assert "and were not answered." in notice
        assert not {"Edna", "Quillfeather"} & set(re.split(r"\W+", notice))
        found = w.office.get(path.removesuffix("/actions"))["notice"]
        assert (found["by"], found["sent"]) == ("st-2", True)
        assert w.office.get("./alerts?notice=open")["alerts"] == []
        again = manager.call("POST", path, {"action": "no_notice", "by": "st-2", "note": "too late"})
        assert (again.status, again.body["error"]["code"]) == (409, "already_answered")


def test_a_menu_at_the_council_tells_nobody_and_it_is_rung_again(tmp_path: Path, warm: WarmStart) -> None:
    soon = {"replace_within": "12s", "locate_gives_up": "1h"}
    with world(tmp_path, warm, council_desks=AGREED, overrides=soon) as w:
        w.lay_out()
        w.late()
        not_reached(w)
        w.does(COUNCIL, "answer")  # and music
        again = w.does(COUNCIL, "answer", 2)
        assert of_kind(w.office.facts(), "CouncilMoved", step="reached") == []
        w.presses(again, "1")
        assert until_sync(lambda: w.office.alerts(kind="help_asked"), what="a person of ours is looked for")
        assert of_kind(w.office.facts(), "CouncilMoved", step="reached") == []


def test_a_council_that_had_been_told_hears_of_the_breach(tmp_path: Path, warm: WarmStart) -> None:
    hour = {"replace_within": "15s", "locate_gives_up": "1h", "ring_staff": "1m"}
    with world(tmp_path, warm, speed=4, overrides=hour) as w:
        w.lay_out()
        w.late()
        w.call(EDNA)
        w.act("take")
        not_reached(w)
        w.mailbox.mail("Not reached")
        w.phones.do(w.call(OFFICE), "no-answer")
        w.act("told_council", note="J. Hart, reference 88-1204")
        second = w.mailbox.mail("The hour has passed", timeout=40)
        assert "nobody is with the person yet" in second
        assert not {"Edna", "Quillfeather"} & set(re.split(r"\W+", second))
        assert "Council: told" in w.text(ON_CALL, "HOUR PASSED Edna su-1")
        until_sync(lambda: w.phones.calls(OFFICE)[1:], 40, what="our person is rung once more")
        w.mailbox.mail("Not reached")


def test_a_next_of_kin_who_must_never_be_told_hears_nothing_and_the_other_is_rung_at_once(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.lay_out(contact_plan={"never_tell": ["c-1"]}, next_of_kin=["c-2"])
        w.late()
        w.does(EDNA, "no-answer")
        w.does(EDNA, "no-answer", 2)
        nora = w.presses(w.does(NORA, "answer"), "1", "1")
        assert nora["pressed"] == "11"
        w.stands("inform", "reached", "spoke")
        w.arrives()
        w.text(NORA, "has been with Edna")
        assert (w.phones.texts(NED), w.phones.calls(NED)) == ([], [])
        assert "c-1" not in {one["person"] for one in w.alert()["contacts"]}


def hours_without_now() -> str:
    """Hours of a day in which the present moment is not, nor the next hour."""
    local = now().astimezone(ZoneInfo("Europe/London"))
    return f"daily {local + timedelta(hours=2):%H:%M}-{local + timedelta(hours=4):%H:%M}"


def test_in_her_quiet_hours_nobody_rings_her_the_care_worker_is_asked_and_the_rest_waits(
    tmp_path: Path, warm: WarmStart
) -> None:
    waits = {"replace_within": "8s", "offer_wave": "1h"}
    with world(tmp_path, warm, overrides=waits) as w:
        w.lay_out(contact_plan={"hours": hours_without_now()})
        w.late()
        w.stands("reassure", "skipped", "quiet_hours")
        w.text(DAVE, "is now an alert")
        w.stands("inform", "waiting")
        opened = instant(w.alert()["opened_at"])
        w.does(NED, "answer")
        # nobody was on the way when half of the hour had passed
        assert (now() - opened).total_seconds() > 4
        w.mailbox.mail("Not reached")
        assert (w.phones.texts(EDNA), w.phones.calls(EDNA)) == ([], [])


def test_in_her_quiet_hours_nobody_outside_is_told_while_somebody_is_on_the_way(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, overrides={"replace_within": "40s", "locate_gives_up": "1h"}) as w:
        w.lay_out(contact_plan={"hours": hours_without_now()})
        w.late()
        asked = w.text(DAVE, "is now an alert")
        w.phones.reply(DAVE, f"{code(asked, r'[+] minutes')} 1")
        w.stands("locate", "reached", "on_my_way")
        w.stands("inform", "waiting", "quiet_hours")
        w.arrives()
        assert w.alert(state="ended")
        assert (w.phones.calls(NED), w.phones.calls(EDNA), w.mailbox.mails) == ([], [], [])


def test_a_rehearsal_reaches_nobody_outside_and_shows_what_would_have_been_sent(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, public="off", overrides={"replace_within": "4s", "offer_wave": "1h"}) as w:
        w.lay_out()
        w.late()

        def shown() -> set[tuple[str, str]]:
            outside = [one for one in w.alert()["contacts"] if one["person"] in ("su-1", "c-1", "c-2", "EDT")]
            assert {one["result"] for one in outside} <= {"rehearsed"}
            assert {one["attempted_at"] for one in outside} <= {None}
            return {(one["person"], one["purpose"]) for one in outside}

        w.office.alert("v-1")
        wanted = {("su-1", "reassure"), ("c-1", "inform_next_of_kin"), ("EDT", "inform_council")}
        until_sync(lambda: wanted <= shown(), 40, what="it is shown")
        w.text(OFFICE, "Edna")
        w.arrives()
        w.text(OFFICE, "over")
        for number in (EDNA, NED, NORA, COUNCIL):
            assert (w.phones.texts(number), w.phones.calls(number)) == ([], [])
        assert w.mailbox.mails == []


def at_night() -> dict[str, str]:
    """Overrides by which it is night now."""
    local = now().astimezone(ZoneInfo("Europe/London"))
    return {f"night_{end}": f"{local + timedelta(hours=h):%H:%M}" for end, h in (("from", -2), ("to", 2))}


def test_who_is_asleep_is_called_first_and_twice_and_then_the_registered_manager(
    tmp_path: Path, warm: WarmStart
) -> None:
    night = at_night() | {"summon_call_after": "1h", "summon_next": "4s", "ring_staff": "20s"}
    with world(tmp_path, warm, overrides=night, public="off") as w:
        w.lay_out()
        w.late()
        first = w.does(OFFICE, "no-answer")
        second = w.does(OFFICE, "no-answer", 2)
        assert w.phones.calls(ON_CALL) == []
        assert 0 < (instant(second["at"]) - instant(first["at"])).total_seconds() < 180
        mary = w.presses(w.does(ON_CALL, "answer"), "1", "2")
        assert "You have it" in " ".join(mary["script"])
        assert w.alert(state="taken")["taken_by"] == "st-2"
        # who had been rung in vain hears who has it
        assert "Mary has Edna" in w.text(OFFICE, "Nothing for you to do")


def test_the_telephones_are_away_in_the_middle_and_nobody_is_lost_or_passed_over(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.lay_out()
        w.late()
        w.does(EDNA, "no-answer")
        w.phones.fault("refuse")
        # unreachable all the same: the council's mail needs no telephone
        w.mailbox.mail("Not reached", timeout=30)
        assert w.track("reassure")[0] == "trying"
        assert w.track("inform")[0] == "trying"
        assert (len(w.phones.calls(EDNA)), w.phones.calls(NED), w.phones.texts(NED)) == (1, [], [])
        w.phones.mend()
        w.does(EDNA, "no-answer", 2)
        ned = w.does(NED, "answer")
        assert w.phones.calls(NORA) == [], "the first of them first"
        w.presses(ned, "9")
        w.presses(w.does(NORA, "answer"), "1", "3")
        w.stands("inform", "reached", "can_go")
        w.text(OFFICE, "ring the council now")
        facts = w.office.facts()
        assert of_kind(facts, "MessageDeferred")
        once = Counter(
            (number, one["body"]) for number in (OFFICE, NED, NORA, DAVE) for one in w.phones.texts(number)
        )
        assert max(once.values()) == 1
        assert chain_break(facts) is None


MANY = 40
PER_S = 10


def test_forty_alerts_at_once_leave_in_the_order_of_their_worth_and_at_the_pace_of_the_account(
    tmp_path: Path, warm: WarmStart
) -> None:
    slow = {
        "reassure_retry": "10m",
        "summon_call_after": "1s",
        "summon_next": "10m",
        "locate_gives_up": "10m",
    }
    paced = {"calls_per_s": PER_S, "sms_per_s": PER_S}
    with world(tmp_path, warm, speed=1, overrides=slow, twilio=paced) as w:
        w.lay_out()
        homes = [
            service_user(f"su-{n}", f"+4416329611{n:02}", first_name=f"P{n}") for n in range(10, 10 + MANY)
        ]
        workers = [care_worker(f"cw-{n}", f"+4477009015{n:02}") for n in range(10, 10 + MANY)]
        w.office.people(*homes, *workers)
        start = now() + timedelta(seconds=2)
        w.office.rota(
            *(
                visit(
                    f"v-{n}",
                    start,
                    service_user=f"su-{n}",
                    workers=[f"cw-{n}"],
                    time_critical=n % 4 == 0,
                    late_after="1s",
                )
                for n in range(10, 10 + MANY)
            )
        )
        made = lambda: [c for c in w.phones.network.calls.values() if c.to.startswith("+4416329611")]  # noqa: E731
        until_sync(lambda: len(made()) == MANY, 60, what="every one of them is rung")
        calls = sorted(w.phones.network.calls.values(), key=lambda one: one.created)
        texts = sorted(w.phones.network.texts.values(), key=lambda one: one.created)
        critical = {f"+4416329611{n:02}" for n in range(10, 10 + MANY) if n % 4 == 0}
        homes_rung = [one.to for one in calls if one.to.startswith("+4416329611")]
        # the queue is made while the first of them leave: those may be anybody
        early = AT_ONCE
        assert critical <= set(homes_rung[: len(critical) + early])
        # whoever is on duty is told before any care worker is asked, and rung before the first contacts end
        on_duty = [at for at, one in enumerate(texts) if one.to == OFFICE]
        assert max(on_duty[:MANY]) < MANY + early
        for leaving in (calls, texts):
            at = [one.created for one in leaving]
            most = max(
                sum(1 for other in at if begin <= other < begin + timedelta(seconds=2)) for begin in at
            )
            assert most <= 2 * PER_S + AT_ONCE
