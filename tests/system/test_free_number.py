"""The free number from outside: real daemon, real signed webhooks, the stand-in's telephones; no word is looked for."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from twilio.request_validator import RequestValidator

from connectors.twilio.twiml import SORRY
from tests.system.daemon import (
    AUTH_TOKEN,
    EDNA,
    OFFICE,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    in_s,
    of_kind,
    request,
    service_user,
    staff,
    visit,
)
from tests.system.test_degraded import locked
from tests.waiting import until_sync

FREE = "+448081570042"
UNKNOWN = "+441632960555"
KILLS = 10
FRED_MOBILE = "+447700900333"
DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)


class World:
    """A desk with a free number, two people at home, two care workers, two on duty."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def lay_out(self) -> None:
        answer = self.office.people(
            service_user(home_number="118"),
            service_user("su-2", home_number="2207", phones=mobile(FRED_MOBILE)) | {"name": "Fred Oak"},
            care_worker(pin="4711"),
            care_worker("cw-2", "+447700900018", pin="0815") | {"name": "Kit Larch"},
            staff(),
            staff("st-2", ON_CALL) | {"name": "Mary Elm"},
        )
        assert answer["problems"] == []
        self.office.rota(
            visit("v-1", in_s(-60)), visit("v-2", in_s(-60), workers=("cw-2",)) | {"service_user": "su-2"}
        )

    def rings(self, number: str = EDNA, *, withheld: bool = False) -> str:
        call = self.phones.rings(number, FREE, withheld=withheld)
        return str(call["sid"])

    def keys(self, sid: str, *all_digits: str) -> dict[str, Any]:
        call = self.phones.call(sid)
        for digits in all_digits:
            call = self._key(call, digits)
        return call

    def _key(self, call: dict[str, Any], digits: str) -> dict[str, Any]:
        before = len(call["script"])
        self.phones.do(call, "press", digits=digits)
        return until_sync(lambda: self._after(call["sid"], before), what="what is said then") or {}

    def _after(self, sid: str, before: int) -> dict[str, Any] | None:
        call = self.phones.call(sid)
        heard = len(call["script"]) > before
        still = call["waiting_for_key"] or call["status"] != "in-progress" or self.rung_for(sid)
        return call if heard and still else None

    def rung_for(self, sid: str) -> list[str]:
        """Who is ringing for this caller now."""
        made = (*self.phones.calls(OFFICE), *self.phones.calls(ON_CALL))
        return [c["to"] for c in made if c["direction"] == "outbound-dial" and c["status"] == "ringing"]

    def over(self, sid: str) -> dict[str, Any]:
        return (
            until_sync(
                lambda: call if (call := self.phones.call(sid))["status"] == "completed" else None,
                what="the end",
            )
            or {}
        )

    def place(self, name: str = "v-1") -> dict[str, Any]:
        seen = self.office.visit(name)
        assert seen is not None
        place = seen["places"][0]
        assert isinstance(place, dict)
        return place | {"stage": seen["stage"], "verdicts": seen["verdicts"]}

    def count(self, outcome: str) -> float:
        return self.daemon.api("operator").metric("callwatch_checkins_total", source="phone", outcome=outcome)


def mobile(number: str) -> list[dict[str, str]]:
    return [{"number": number, "kind": "mobile"}]


@contextmanager
def world(folder: Path, warm: WarmStart, **options: Any) -> Iterator[World]:
    options = {"duty": DUTY, "checkin_numbers": [FREE], "overrides": {"late_after": "1h"}} | options
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, warm=warm, **options) as daemon,
    ):
        made = World(daemon, phones)
        made.lay_out()
        yield made


def test_a_care_worker_arrives_and_leaves_from_the_service_users_own_line(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        w.keys(w.rings(), "4711", "1")
        assert (w.place()["worker"], w.place()["evidence"]) == ("cw-1", "electronic")
        assert w.place()["stage"] == "arrived"
        assert w.place()["verdicts"] == ["on_time"]
        arrived = of_kind(w.office.facts(), "ArrivalRecorded", proof="line")
        assert len(arrived) == 1
        w.keys(w.rings(), "4711#", "2")
        assert w.place()["stage"] == "left"
        assert (w.count("arrived"), w.count("left_short")) == (1, 1)
        assert chain_break(w.office.facts()) is None


# --- each key ---


def test_nobody_comes_to_the_door_is_an_alert_and_not_an_arrival(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        call = w.keys(w.rings(), "4711", "3")
        assert call["waiting_for_key"], "who stands at a door that nobody opens may ask for a person"
        assert w.place()["stage"] != "arrived"
        assert len(w.office.alerts(kind="no_reply", visit="v-1")) == 1
        assert w.count("no_reply") == 1


def test_in_place_of_somebody_is_an_arrival_as_another_care_worker(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.keys(w.rings(), "0815", "4")
        assert w.place()["worker"] == "cw-2"
        assert "other_worker" in w.place()["verdicts"]


def test_help_tells_everybody_at_once_and_joins_who_presses_a_key(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        sid = w.rings()
        w.keys(sid, "4711", "9")
        (alert,) = w.office.alerts(kind="help_asked")
        assert alert["service_user"] == "su-1"
        w.phones.text(OFFICE)
        w.phones.text(ON_CALL)
        ringing = w.phones.ringing(OFFICE)
        assert ringing["from"] == w.phones.texts(OFFICE)[0]["from"], "the number from which they are summoned"
        w.phones.do(ringing, "answer")
        assert w.phones.call(sid)["status"] == "in-progress"
        w.phones.do(ringing, "press", digits="1")
        taken = until_sync(lambda: w.office.alerts(kind="help_asked", state="taken"), what="somebody has it")
        assert taken[0]["taken_by"] == "st-1"
        assert of_kind(w.office.facts(), "PersonReached", proof="key:1", purpose="summon")
        w.phones.do(ringing, "hangup")
        w.over(sid)
        assert [c for c in w.phones.calls(ON_CALL) if c["direction"] == "outbound-dial"] == []


def test_a_voicemail_is_nobody_and_when_nobody_comes_everybody_is_rung(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        sid = w.rings()
        w.keys(sid, "4711", "9")
        w.phones.do(w.phones.ringing(OFFICE), "voicemail")
        w.phones.do(w.phones.ringing(ON_CALL), "no-answer")
        w.over(sid)
        (alert,) = w.office.alerts(kind="help_asked")
        assert (alert["state"], alert["taken_by"]) == ("open", None)
        for number in (OFFICE, ON_CALL):
            again = w.phones.ringing(number, count=2)
            assert again["direction"] == "outbound-api"


def test_help_stands_also_when_the_caller_puts_the_telephone_down(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        sid = w.rings()
        w.keys(sid, "4711", "9")
        w.phones.ringing(OFFICE)
        w.phones.do(w.phones.call(sid), "hangup")
        assert w.office.alerts(kind="help_asked", state="open")


# --- always a way to a person ---


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (("0#",), "caller_asked"),
        (("*",), "caller_asked"),
        (("4711", "0"), "caller_asked"),
        (("1111", "2222", "3333"), "caller_wrong_pins"),
        (("4711", "7", "7"), "caller_silent"),
    ],
    ids=["key 0", "star", "key 0 later on", "three wrong PINs", "keys that mean nothing"],
)
def test_whoever_asks_or_cannot_say_it_is_joined_to_a_person(
    tmp_path: Path, warm: WarmStart, keys: tuple[str, ...], reason: str
) -> None:
    with world(tmp_path, warm) as w:
        sid = w.rings()
        w.keys(sid, *keys)
        ringing = w.phones.ringing(OFFICE)
        assert w.office.alerts(kind="help_asked", reason=reason, state="open")
        w.phones.do(ringing, "answer")
        w.phones.do(ringing, "press", digits="1")
        until_sync(lambda: w.office.alerts(kind="help_asked", state="ended"), what="they speak: it is over")
        assert w.phones.texts(OFFICE) == [], "nobody else was told: the caller has a person"
        wrong = w.daemon.api("operator").metric(
            "callwatch_quarantine_total", source="phone", reason="wrong_pin"
        )
        assert wrong == (3 if reason == "caller_wrong_pins" else 0)


def test_somebody_who_says_nothing_at_all_is_joined_to_a_person(tmp_path: Path, warm: WarmStart) -> None:
    """The service user herself, or somebody who fell: an open line is never dropped in silence."""
    with world(tmp_path, warm) as w:
        w.rings()
        w.phones.ringing(OFFICE)
        (alert,) = w.office.alerts(kind="help_asked", reason="caller_silent")
        assert alert["service_user"] == "su-1", "the line says whose home it is"


def test_ten_wrong_pins_are_an_alarm_and_the_line_is_asked_for_no_more(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        for first in range(4):
            sid = w.rings(UNKNOWN)
            w.keys(sid, *(f"{9000 + first * 3 + n}" for n in range(3 if first < 3 else 1)))
            w.phones.do(w.phones.call(sid), "hangup")
        assert len(w.office.alerts(kind="incident", reason="wrong_pins")) == 1
        call = w.phones.call(w.rings(UNKNOWN))
        assert not call["waiting_for_key"], "no PIN is asked for"
        assert w.rung_for(call["sid"]), "a person is rung at once"
        w.phones.do(call, "hangup")
        call = w.keys(w.rings(EDNA), "4711", "1")
        assert w.place()["stage"] == "arrived", "who guesses elsewhere takes it away from nobody"


# --- lines ---


@pytest.mark.parametrize(
    ("number", "withheld"), [(UNKNOWN, False), (EDNA, True)], ids=["unknown", "withheld"]
)
def test_a_line_that_nobody_knows_is_asked_for_the_home(
    tmp_path: Path, warm: WarmStart, number: str, withheld: bool
) -> None:
    with world(tmp_path, warm) as w:
        sid = w.rings(number, withheld=withheld)
        w.keys(sid, "4711", "999#", "118#", "1")
        w.over(sid)
        assert w.place()["stage"] == "arrived"
        assert "place_unclear" in w.place()["verdicts"], "the line does not prove the place"
        assert of_kind(w.office.facts(), "CheckInRecorded", source="phone", place="unclear")


def test_a_service_users_mobile_names_the_home_and_proves_no_place(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.keys(w.rings(FRED_MOBILE), "0815", "1")
        assert w.place("v-2")["stage"] == "arrived"
        assert "place_unclear" in w.place("v-2")["verdicts"]


def test_two_people_on_one_line_are_asked_for(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.office.people(
            service_user("su-3", devices=[f"line:{EDNA}"]) | {"name": "Ada Quillfeather", "phones": []},
            service_user("su-1", home_number="118"),
        )
        w.office.rota(visit("v-3", in_s(-60)) | {"service_user": "su-3"})
        sid = w.rings()
        call = w.keys(sid, "4711")
        names = [line for line in call["script"] if "Ada" in line or "Edna" in line]
        assert len(names) == 2
        w.keys(sid, "1" if "Ada" in names[0] else "2", "1")
        assert w.place("v-3")["stage"] == "arrived"
        assert w.place("v-1")["stage"] != "arrived"


def test_a_call_to_the_ordinary_number_is_put_through_as_ever(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, first={"telephone": "+441632960555"}) as w:
        call = w.phones.rings(EDNA, "+441632960999")
        assert not call["waiting_for_key"]
        assert w.office.alerts() == []


# --- what is kept of it ---


def test_no_pin_stands_in_any_file_fact_answer_or_log(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        w.office.people(care_worker(pin="47110815"), care_worker("cw-2", "+447700900018", pin=None))
        answer = w.office.people(care_worker(pin="47110815"))
        assert (answer["changed"], answer["unchanged"]) == (0, 1)
        w.keys(w.rings(), "47110815", "1")
        w.keys(w.rings(), "90909090", "90909091")
        until_sync(lambda: w.count("arrived") == 1, what="the arrival")
        told = "".join(fact["body"] for fact in w.office.facts()) + w.daemon.log
        w.daemon.stop()
        kept = b"".join(path.read_bytes() for path in w.daemon.data.rglob("*") if path.is_file())
        for pin in ("47110815", "90909090", "90909091"):
            assert pin not in told
            assert pin.encode() not in kept
        assert EDNA not in told, "a number stands in no fact and in no log"


def test_a_pin_belongs_to_one_and_stays_when_an_upload_does_not_name_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        answer = w.office.people(
            care_worker(),
            care_worker("cw-2", "+447700900018", pin="4711"),
            care_worker("cw-3", "+447700900019", pin="47x1"),
            service_user("su-4", "+441632960104", home_number="118"),
        )
        codes = [(p["row"], p["code"], p["severity"]) for p in answer["problems"]]
        assert codes == [
            (2, "pin_taken", "warning"),
            (3, "bad_pin", "warning"),
            (4, "home_number_taken", "warning"),
        ]
        w.keys(w.rings(), "4711", "1")
        assert w.place()["worker"] == "cw-1"


# --- troubles ---


def posts(daemon: Daemon, path: str, form: dict[str, str]) -> tuple[int, str]:
    """A webhook as Twilio sends it, signed. Raises OSError when nobody answers."""
    signature = RequestValidator(AUTH_TOKEN).compute_signature(daemon.url + path, form)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    answer = request(daemon.port, "POST", path, urlencode(form).encode(), headers)
    return answer.status, str(answer.body)


def onward(xml: str) -> str:
    """Where the answer to the question goes, as a path."""
    (gather,) = ElementTree.fromstring(xml).iter("Gather")
    return gather.get("action", "").partition("/twilio/")[2]


def up_to_the_menu(daemon: Daemon, sid: str, caller: str = EDNA) -> tuple[str, dict[str, str]]:
    """A call of which the PIN has been keyed: where the key goes, and what every webhook of it says."""
    form = {"CallSid": sid, "From": caller, "To": FREE, "CallStatus": "in-progress"}
    _, asked = posts(daemon, "/twilio/voice", form)
    _, menu = posts(daemon, f"/twilio/{onward(asked)}", form | {"Digits": "4711"})
    return f"/twilio/{onward(menu)}", form


def confirmed(answer: tuple[int, str]) -> bool:
    """Whether the caller hears that it is on record: words and an end, nothing asked, nobody rung, no apology."""
    status, xml = answer
    ends = "<Hangup" in xml and not any(f"<{verb}" in xml for verb in ("Gather", "Dial", "Redirect"))
    return status == 200 and ends and SORRY not in xml


def test_a_webhook_that_comes_twice_is_one_check_in(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        key, form = up_to_the_menu(w.daemon, "CA1")
        first = posts(w.daemon, key, form | {"Digits": "1"})
        assert confirmed(first)
        assert posts(w.daemon, key, form | {"Digits": "1"}) == first
        assert len(of_kind(w.office.facts(), "ArrivalRecorded")) == 1
        # an old question, whatever is keyed now, is not asked again in the middle of things
        assert posts(w.daemon, key, form | {"Digits": "2"}) == first
        assert w.place()["stage"] == "arrived"
        w.daemon.kill()
        w.daemon.start()
        again = posts(w.daemon, key, form | {"Digits": "1"})
        assert not confirmed(again), "after a restart the call begins again"
        assert len(of_kind(w.office.facts(), "ArrivalRecorded")) == 1


def test_a_call_in_the_middle_of_a_restart_begins_again_and_can_be_finished(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        key, form = up_to_the_menu(w.daemon, "CA1")
        w.daemon.kill()
        w.daemon.start()
        _, asked = posts(w.daemon, key, form | {"Digits": "1"})
        _, menu = posts(w.daemon, f"/twilio/{onward(asked)}", form | {"Digits": "4711"})
        assert confirmed(posts(w.daemon, f"/twilio/{onward(menu)}", form | {"Digits": "1"}))
        assert w.place()["stage"] == "arrived"


def test_killed_between_the_key_and_the_answer_nobody_hears_what_is_not_on_disk(
    tmp_path: Path, warm: WarmStart
) -> None:
    lines = [f"+4416329602{n:02}" for n in range(KILLS)]
    heard = 0
    with world(tmp_path, warm) as w:
        w.office.people(*(service_user(f"su-k{n}", line) for n, line in enumerate(lines)))
        w.office.rota(*(visit(f"v-k{n}", in_s(-60)) | {"service_user": f"su-k{n}"} for n in range(KILLS)))
        for n, line in enumerate(lines):
            key, form = up_to_the_menu(w.daemon, f"CA{n}", line)
            answer: list[tuple[int, str]] = []

            def press(key: str = key, form: dict[str, str] = form, into: list[Any] = answer) -> None:
                with contextlib.suppress(OSError):  # killed before it could answer
                    into.append(posts(w.daemon, key, form | {"Digits": "1"}))

            pressing = threading.Thread(target=press)
            if n == 0:
                w.daemon.send(signal.SIGSTOP)  # of the first one nothing can have been heard
            pressing.start()
            # not a wait for anything: the moment of the kill is the input, and the last one comes after the answer
            pressing.join(n * 0.002 if n < KILLS - 1 else 10)
            w.daemon.kill()
            pressing.join(10)
            w.daemon.start(watching=False)
            arrived = w.place(f"v-k{n}")["stage"] == "arrived"
            assert arrived or not any(map(confirmed, answer)), f"kill {n}: confirmed, and not there"
            heard += any(map(confirmed, answer))
            again, form = up_to_the_menu(w.daemon, f"CB{n}", line)
            assert confirmed(posts(w.daemon, again, form | {"Digits": "1"})), (
                "they ring again: it is there, once"
            )
            assert w.place(f"v-k{n}")["stage"] == "arrived"
        assert 0 < heard < KILLS
        assert len(of_kind(w.office.facts(), "ArrivalRecorded")) == KILLS
        assert chain_break(w.office.facts()) is None


def test_while_nothing_can_be_written_the_caller_is_told_so_and_given_a_person(
    tmp_path: Path, warm: WarmStart
) -> None:
    with locked(tmp_path) as disk, world(tmp_path, warm) as w:
        sid = w.rings()
        w.keys(sid, "4711")
        disk.breaks()
        w.phones.do(w.phones.call(sid), "press", digits="1")
        ringing = w.phones.ringing(OFFICE, timeout=40)
        assert ringing["direction"] == "outbound-dial"
        unrecorded = w.phones.call(sid)
        w.phones.do(ringing, "answer")
        w.phones.do(ringing, "press", digits="1")
        until_sync(lambda: w.phones.call(ringing["sid"])["script"], what="they are joined")
        disk.mends()
        w.daemon.wait_watching()
        assert w.office.alerts(kind="help_asked", reason="caller_unrecorded")
        again = w.rings()
        confirmation = w.keys(again, "4711", "1")["script"][-1]
        assert confirmation not in unrecorded["script"]
        assert w.place()["stage"] == "arrived"
        assert len(of_kind(w.office.facts(), "ArrivalRecorded")) == 1
        assert chain_break(w.office.facts()) is None


def test_help_is_rung_for_while_nothing_can_be_written(tmp_path: Path, warm: WarmStart) -> None:
    with locked(tmp_path) as disk, world(tmp_path, warm) as w:
        disk.breaks()
        sid = w.rings()
        w.keys(sid, "4711")
        w.phones.do(w.phones.call(sid), "press", digits="9")
        assert w.phones.ringing(OFFICE, timeout=40)["direction"] == "outbound-dial"
        disk.mends()
        w.daemon.wait_watching()
        assert w.office.alerts(kind="help_asked", reason="caller_help")


def test_without_anybody_on_duty_the_caller_is_put_through_to_the_office(
    tmp_path: Path, warm: WarmStart
) -> None:
    office = {"telephone": "+441632960777"}
    with world(tmp_path, warm, duty=(), first=office) as w:
        sid = w.rings()
        w.phones.do(w.phones.call(sid), "press", digits="0#")
        assert w.phones.ringing("+441632960777")["direction"] == "outbound-dial"
        assert w.office.alerts(kind="help_asked", state="open")
