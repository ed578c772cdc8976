"""A council's referral at a provider's desk, from outside (domain.md section 4): a real daemon, telephones as objects,
the page as a browser without a script sees it, a real mail, and a kill in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

from tests.system.daemon import (
    DESK,
    OFFICE,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    chain_break,
    in_s,
    now,
    of_kind,
    rfc,
    staff,
)
from tests.waiting import until_sync

REFF = "+447700900205"
DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
    {"person": "st-5", "role": "referrals", "hours": "daily 00:00-24:00"},
)
LONG = {"referral_within": "1h", "referral_discharge_within": "30m", "rota_old_after": "14d"}


class Browser:
    """A browser without a script: it keeps its cookie, and sends the token of the page's form."""

    def __init__(self, url: str) -> None:
        self._url, self._open = url, build_opener(HTTPCookieProcessor())

    def get(self, path: str) -> str:
        with self._open.open(
            Request(self._url + path, headers={"Accept": "text/html"}), timeout=15
        ) as answer:
            return str(answer.read().decode())

    def press(self, path: str, **form: str) -> None:
        found = re.search(r'name="token" value="([^"]+)"', self.get(f"/board/{DESK}/referrals"))
        assert found is not None
        body = urlencode({"token": found[1], **form}).encode()
        with self._open.open(
            Request(self._url + path, data=body, headers={"Accept": "text/html"}), timeout=15
        ):
            pass


class World:
    """Reff sees to referrals, Orla is in the office, Philippa is the registered manager."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones
        self.office.people(
            staff(),
            staff("st-2", ON_CALL) | {"name": "Philippa Nightingale"},
            staff("st-5", REFF) | {"name": "Reff Overton"},
        )

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def log(self, **given: Any) -> Any:
        answer = self.office.call("POST", "./referrals", given)
        assert answer.status == 201, answer
        return answer.body

    def told(self, number: str, words: str) -> dict[str, Any]:
        """The text to this phone in which the words stand, once it is there."""

        def found() -> list[dict[str, Any]]:
            return [text for text in self.phones.texts(number) if words in text["body"]]

        return until_sync(found, what=f"{words!r} at {number[-3:]}")[-1]

    def reply(self, number: str, text: dict[str, Any], answer: int) -> None:
        """With the code that the text names for that answer."""
        slot = re.search(r"Reply (\d+)\d ", text["body"])
        assert slot is not None
        self.phones.reply(number, f"{slot[1]}{answer}")

    def becomes(self, referral: str, state: str) -> Any:
        return until_sync(
            lambda: (one := self.office.get(f"./referrals/{referral}"))["state"] == state and one,
            what=f"{referral} {state}",
        )

    def marks(self, referral: str) -> list[tuple[str, str]]:
        summons = self.office.get(f"./referrals/{referral}")["summons"]
        return [(one["mark"], one["person"]) for one in summons]


@contextmanager
def world(folder: Path, warm: WarmStart, **overrides: str) -> Iterator[World]:
    options: dict[str, Any] = {"duty": DUTY, "overrides": LONG | overrides}
    with Telephones(speed=20.0) as phones, Daemon(folder, phones=phones, warm=warm, **options) as daemon:
        made = World(daemon, phones)
        yield made
        assert chain_break(daemon.api("office").facts()) is None


def test_a_referral_is_taken_by_text_answered_by_the_api_and_one_that_nobody_answers_goes_to_the_manager(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        one = w.log(
            id="R-1", council="bromley", subject="Ward 7, two visits a day", link="https://portal.example/1"
        )
        assert (one["id"], one["state"], one["council"]) == ("R-1", "open", "bromley")
        assert one["subject"] == "Ward 7, two visits a day"
        text = w.told(REFF, "a referral from a council")
        w.reply(REFF, text, 1)
        assert w.becomes("R-1", "taken")["taken_by"] == "st-5"
        w.told(REFF, "the referral is yours")
        w.daemon.kill()
        w.daemon.start()
        again = w.log(
            id="R-1", council="bromley", subject="Ward 7, two visits a day", link="https://portal.example/1"
        )
        assert again["state"] == "taken", "the same one again, after a kill"
        start = rfc(now() + timedelta(days=1))
        done = w.office.post("./referrals/R-1/answer", {"by": "st-5", "outcome": "bid", "start": start})
        assert (done["answer"]["outcome"], done["answer"]["late"], done["state"]) == (
            "bid",
            False,
            "answered",
        )
        late = w.office.call("POST", "./referrals/R-1/answer", {"by": "st-1", "outcome": "too_late"})
        assert (late.status, late.body["error"]["code"]) == (409, "already_answered")

        quick = w.log(id="R-2", kind="discharge", answer_by=rfc(in_s(6)))
        assert quick["kind"] == "discharge"
        until_sync(lambda: w.phones.calls(OFFICE), what="the office is rung at half time")
        silent = w.becomes("R-2", "silent")
        w.told(ON_CALL, "no answer is recorded")
        marks = [mark for mark, _ in w.marks("R-2")]
        assert (marks[0], marks[-1]) == ("arrival", "last")
        assert "half" in marks
        assert silent["within_30_min"] is None
        (lapsed,) = of_kind(w.office.facts(), "ReferralLapsed")
        assert lapsed["due_at"] == quick["answer_by"]


ANSWER = "./referrals/ONE/answer"
BAD: list[tuple[str, str, Any, int, str]] = [
    ("POST", "./referrals", {"kind": "urgent"}, 400, "wrong_type"),
    ("POST", "./referrals", {"answer_by": "2026-11-23T10:00:00"}, 400, "wrong_type"),
    ("POST", "./referrals", {"answer_by": "0001-01-01T00:00:00+14:00"}, 400, "wrong_type"),
    ("POST", "./referrals", {"answer_by": "2020-01-01T00:00:00Z"}, 400, "wrong_type"),
    ("POST", "./referrals", {"arrived_at": "2199-01-01T00:00:00Z"}, 400, "wrong_type"),
    ("POST", "./referrals", {"by": "nobody"}, 400, "unknown_person"),
    ("POST", "./referrals", {"id": ""}, 400, "wrong_type"),
    ("POST", "./referrals/email?kind=urgent", b"From: a@b\r\n\r\n", 400, "wrong_type"),
    ("POST", "./referrals/none/take", {"by": "st-1"}, 404, "not_found"),
    ("GET", "./referrals/none", None, 404, "not_found"),
    ("POST", "./referrals/ONE/take", {"by": "nobody"}, 400, "unknown_person"),
    ("POST", ANSWER, {"by": "st-1"}, 400, "missing"),
    ("POST", ANSWER, {"by": " ", "outcome": "too_late"}, 400, "missing"),
    ("POST", ANSWER, {"by": "st-1", "outcome": "won"}, 400, "wrong_type"),
    ("POST", ANSWER, {"by": "st-1", "outcome": "bid"}, 400, "wrong_type"),
    ("POST", ANSWER, {"by": "st-1", "outcome": "declined"}, 400, "wrong_type"),
    ("POST", ANSWER, {"by": "st-1", "outcome": "too_late", "at": "2020-01-01T00:00:00Z"}, 400, "wrong_type"),
]


def mail(subject: str, **headers: str) -> bytes:
    """As a council's brokerage sends it."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "brokerage@council.example", "office@bright.example", subject
    made["Date"] = headers.pop("Date", format_datetime(now() - timedelta(minutes=20)))
    made["Message-ID"] = headers.pop("message_id", "<one@council.example>")
    made.set_content("MB, two visits a day, double-handed. The form is attached.")
    made.add_attachment(b"%PDF-1.7 secret", maintype="application", subtype="pdf", filename="form.pdf")
    return made.as_bytes()


def test_a_mail_that_is_handed_on_is_summoned_for_and_the_page_takes_and_answers_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        intake = w.daemon.api("intake")
        raw = mail("Discharge: Café ward <b>, bids please")
        answer = intake.call("POST", "./referrals/email?council=bromley", raw)
        assert answer.status == 201, answer
        one = answer.body
        assert (one["source"], one["kind"], one["council"]) == ("email", "discharge", "bromley")
        assert one["sent_at"] < one["arrived_at"], "its clock runs from our receipt"
        assert intake.call("POST", "./referrals/email", raw).body["id"] == one["id"], "the same mail again"
        w.told(REFF, "a hospital discharge from a council")

        bad = intake.call("POST", "./referrals/email", b"\x00\x01 this is no mail")
        assert (bad.status, bad.body["error"]["code"]) == (400, "bad_body")
        assert w.office.metric("callwatch_quarantine_total", source="http", reason="bad_body") == 1
        for method, path, body, status, code in BAD:
            refused = w.office.call(method, path.replace("ONE", one["id"]), body)
            assert (refused.status, refused.body["error"]["code"]) == (status, code), (path, body, refused)
        assert [r["id"] for r in w.office.get("./referrals")["referrals"]] == [one["id"]], (
            "nothing is left of them"
        )
        for fact in w.office.facts():
            assert "brokerage" not in fact["body"], "the words are evidence"

        page = Browser(w.daemon.url)
        shown = page.get(f"/board/{DESK}/referrals")
        assert "Café ward &lt;b&gt;, bids please" in shown
        assert "<b>, bids" not in shown
        assert "</span> waits for an answer" in page.get(f"/board/{DESK}/fragment"), (
            "the board itself says so"
        )
        page.press(f"/board/{DESK}/referrals/{one['id']}/answer", by="st-1", action="take")
        assert w.becomes(one["id"], "taken")["taken_by"] == "st-1"
        said = {"by": "st-1", "action": "declined", "reason": "area"}
        page.press(f"/board/{DESK}/referrals/{one['id']}/answer", **said)
        assert w.becomes(one["id"], "answered")["answer"]["reason"] == "area"
        page.press(f"/board/{DESK}/referrals", by="st-1", kind="standard", subject="By telephone")
        (logged,) = w.office.get("./referrals?open=true")["referrals"]
        assert (logged["source"], logged["logged_by"], logged["subject"]) == ("page", "st-1", "By telephone")
        assert "Declined" in page.get(f"/board/{DESK}/referrals")
