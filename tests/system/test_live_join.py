"""An open line is never dropped: real daemon, real signed webhooks, phones as objects; who talks to whom is seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import (
    DAVE,
    EDNA,
    OFFICE,
    ON_CALL,
    OUR_NUMBER,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    by_day,
    care_worker,
    chain_break,
    of_kind,
    service_user,
    staff,
    visit,
)
from tests.system.daemon import now as this_moment
from tests.waiting import until_sync

DUTY = (
    {"person": "st-1", "role": "office", "hours": "daily 00:00-24:00"},
    {"person": "st-2", "role": "manager", "hours": "daily 00:00-24:00"},
)
COUNCIL = "+441632960900"
DESKS = [{"name": "EDT", "phone": COUNCIL, "hours": "daily 00:00-24:00"}]
QUICK = {
    "late_after": "1s",
    "ask_worker": [],
    "reassure_retry": "1m",
    "summon_next": "1m",
    "summon_call_after": "30s",
    "join_within": "60s",
}


class World:
    """A desk with a late visit: Edna on a landline, Dave who should be there, two on duty, a council desk."""

    def __init__(self, daemon: Daemon, phones: Telephones) -> None:
        self.daemon, self.phones = daemon, phones

    @property
    def office(self) -> Api:
        return self.daemon.api("office")

    def lay_out(self) -> None:
        self.office.people(service_user(), care_worker(), staff(), staff("st-2", ON_CALL))
        self.office.rota(visit("v-1", this_moment()))

    def answered(self, number: str, count: int = 1) -> dict[str, Any]:
        """The call rings, and is picked up."""
        return self.phones.do(self.phones.ringing(number, count, timeout=40), "answer")

    def edna_wants_somebody(self) -> dict[str, Any]:
        return self.phones.do(self.answered(EDNA), "press", digits="2")

    def summons(self, number: str) -> dict[str, Any]:
        """The call about help, once it rings."""
        return self.phones.ringing(number, timeout=40)

    def room(self, call: dict[str, Any]) -> str | None:
        room = self.phones.call(call["sid"])["conference"]
        assert room is None or isinstance(room, str)
        return room

    def together(self, one: dict[str, Any], other: dict[str, Any]) -> bool:
        """The two lines talk to each other, as the network sees it."""
        room = self.room(one)
        return room is not None and room == self.room(other)

    def joined(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        until_sync(lambda: self.together(one, other), what="the two talk to each other")

    def over(self, call: dict[str, Any]) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            seen = self.phones.call(call["sid"])
            return seen if seen["status"] == "completed" else None

        return until_sync(ended, timeout=40, what="the call is over") or {}

    def help(self, **fields: Any) -> dict[str, Any]:
        def stands() -> dict[str, Any] | None:
            return next(iter(self.office.alerts(kind="help_asked", **fields)), None)

        return until_sync(stands, what="help is asked") or {}

    def lines(self, kind: str, came: str) -> dict[str, Any]:
        """The last line that was kept about the alert, once this has come of it."""

        def seen() -> dict[str, Any] | None:
            (alert,) = self.office.alerts(kind=kind)
            line = alert["lines"][-1] if alert["lines"] else None
            return line if line is not None and line["came"] == came else None

        return until_sync(seen, timeout=40, what=f"the line: {came}") or {}


@contextmanager
def world(folder: Path, warm: WarmStart, *, speed: float = 20.0, **changes: Any) -> Iterator[World]:
    overrides = QUICK | by_day() | changes.pop("overrides", {})
    options = {"duty": DUTY, "overrides": overrides, "council_desks": DESKS} | changes
    with Telephones(speed=speed) as phones, Daemon(folder, phones=phones, warm=warm, **options) as daemon:
        made = World(daemon, phones)
        made.lay_out()
        yield made


# --- she wants somebody (SUV-1, OCV-2) ---


def test_key_2_joins_her_to_the_first_who_presses_1_and_the_second_hears_who_was_first(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        edna = w.edna_wants_somebody()
        assert edna["held"]
        assert edna["status"] == "in-progress"
        both = [w.summons(OFFICE), w.summons(ON_CALL)]
        first, second = (w.phones.do(call, "answer") for call in both)
        assert "Edna" not in " ".join(first["script"]), "a voicemail may be listening"
        w.phones.do(first, "press", digits="1")
        w.joined(edna, first)
        told = w.phones.do(second, "press", digits="1")
        assert not w.together(edna, second)
        assert "Orla is speaking to Edna" in " ".join(told["script"])

        alert = w.help(state="taken")
        assert alert["taken_by"] == "st-1"
        assert of_kind(w.office.facts(), "PersonReached", proof="key:1", purpose="summon")
        w.phones.do(first, "hangup")
        w.over(edna)
        line = w.lines("help_asked", "spoke")
        assert (line["person"], line["other"]) == ("su-1", "st-1")
        assert line["since"] <= line["joined_at"] <= line["ended_at"]
        assert chain_break(w.office.facts()) is None


def test_no_key_on_an_open_line_is_a_person_too(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm) as w:
        edna = w.answered(EDNA)
        assert w.help()["reason"] == "no_key"
        first = w.phones.do(w.summons(OFFICE), "answer")
        w.phones.do(first, "press", digits="1")
        w.joined(edna, first)


def test_when_nobody_comes_in_time_she_is_told_and_the_alert_rings_on(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm, overrides={"join_within": "500ms"}) as w:
        edna = w.edna_wants_somebody()
        said = " ".join(w.over(edna)["script"])
        assert "Somebody will ring you" in said
        assert "9 9 9" in said
        assert w.lines("help_asked", "nobody")["other"] is None
        assert w.help(state="open")
        w.phones.do(w.summons(OFFICE), "no-answer")


def test_who_comes_after_she_has_hung_up_is_put_through_by_a_call_back(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        edna = w.edna_wants_somebody()
        first = w.phones.do(w.summons(OFFICE), "answer")
        w.phones.do(edna, "hangup")
        w.lines("help_asked", "hung_up")
        waits = w.phones.do(first, "press", digits="1")
        assert waits["held"]
        again = w.answered(EDNA, 2)
        w.joined(first, again)
        assert w.help(state="taken")["taken_by"] == "st-1"


def test_killed_while_she_waits_she_is_joined_all_the_same(tmp_path: Path, warm: WarmStart) -> None:
    # at the pace of life: her telephone must ring until we are back
    with world(tmp_path, warm, speed=1, overrides={"ring_staff": "2m"}) as w:
        edna = w.edna_wants_somebody()
        w.phones.ringing(OFFICE, timeout=40)
        w.daemon.kill()
        w.daemon.start()
        assert w.help(state="open")["lines"][-1]["came"] == "waiting"
        first = w.phones.do(w.phones.calls(OFFICE)[-1], "answer")
        w.phones.do(first, "press", digits="1")
        assert w.help(state="taken")["taken_by"] == "st-1"
        if w.phones.call(edna["sid"])["status"] == "in-progress":
            w.joined(edna, first)


# --- who has it is joined to whom they ask for (OCV-1, step 4) ---


def taken_by_telephone(w: World) -> dict[str, Any]:
    call = w.answered(OFFICE)
    w.phones.do(call, "press", digits="1")
    return w.phones.do(call, "press", digits="2")


BY_TELEPHONE = {"summon_call_after": "100ms"}


def not_located(w: World) -> None:
    """The machine's own call to the care worker (spec 22.3) has come and gone, so that his line is free."""
    w.phones.do(w.phones.ringing(DAVE, timeout=40), "no-answer")


@pytest.mark.parametrize(
    ("digit", "number", "other"), [("4", EDNA, "su-1"), ("5", DAVE, "cw-1")], ids=["Edna", "Dave"]
)
def test_a_key_rings_them_and_joins_them_also_where_no_machine_may(
    tmp_path: Path, warm: WarmStart, digit: str, number: str, other: str
) -> None:
    with world(tmp_path, warm, public="off", overrides=BY_TELEPHONE) as w:
        not_located(w)
        manager = taken_by_telephone(w)
        assert manager["waiting_for_key"]
        w.phones.do(manager, "press", digits=digit)
        called = w.answered(number, 2 if number == DAVE else 1)
        w.joined(manager, called)
        w.phones.do(called, "hangup")
        back = until_sync(
            lambda: seen if (seen := w.phones.call(manager["sid"]))["waiting_for_key"] else None,
            what="she is back",
        )
        assert back is not None
        line = w.lines("late_visit", "spoke")
        assert (line["person"], line["other"]) == ("st-1", other)


def test_the_council_is_dialled_and_she_waits_in_its_queue(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, public="off", overrides=BY_TELEPHONE) as w:
        manager = taken_by_telephone(w)
        w.phones.do(manager, "press", digits="6")
        desk = w.answered(COUNCIL)
        w.joined(manager, desk)
        w.phones.do(desk, "hangup")
        until_sync(lambda: w.phones.call(manager["sid"])["waiting_for_key"], what="she is back")
        asked = " ".join(w.phones.call(manager["sid"])["script"])
        assert "officer's name" in asked
        assert w.lines("late_visit", "spoke")["other"] == "EDT"


def test_who_does_not_answer_is_said_and_another_may_be_tried(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, public="off", overrides=BY_TELEPHONE) as w:
        not_located(w)
        manager = taken_by_telephone(w)
        w.phones.do(manager, "press", digits="4")
        w.phones.do(w.phones.ringing(EDNA, timeout=40), "busy")
        until_sync(lambda: w.phones.call(manager["sid"])["waiting_for_key"], what="she is asked again")
        assert w.lines("late_visit", "not_answered")["other"] == "su-1"
        w.phones.do(manager, "press", digits="5")
        w.joined(manager, w.answered(DAVE, 2))


def test_who_hangs_up_is_not_rung_for_any_more(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, public="off", overrides=BY_TELEPHONE) as w:
        manager = taken_by_telephone(w)
        w.phones.do(manager, "press", digits="4")
        ringing = w.phones.ringing(EDNA, timeout=40)
        w.phones.do(manager, "hangup")
        w.lines("late_visit", "hung_up")
        edna = w.phones.do(ringing, "answer")
        assert "will ring you again" in " ".join(w.over(edna)["script"])


# --- she rings us (SUV-5) ---

DESK_PHONE = "+441632960777"


@pytest.mark.parametrize("telephone", [None, DESK_PHONE], ids=["no office telephone", "an office telephone"])
def test_who_rings_us_about_an_open_alert_is_joined_to_who_presses_1(
    tmp_path: Path, warm: WarmStart, telephone: str | None
) -> None:
    own = {"telephone": telephone} if telephone else {}
    slow = {"summon_call_after": "1m", "reassure_retry": "5m"}
    with world(tmp_path, warm, public="off", overrides=slow, first=own) as w:
        w.office.alert("v-1")
        w.phones.rings(EDNA, OUR_NUMBER)
        person = w.answered(OFFICE)
        assert person["direction"] == "outbound-dial"
        assert w.help(reason="caller_rang")["service_user"] == "su-1"
        w.phones.do(person, "press", digits="1")
        w.help(reason="caller_rang", state="ended")
        assert of_kind(w.office.facts(), "PersonReached", proof="key:1", purpose="summon")
        assert w.phones.calls(DESK_PHONE) == []


def test_anybody_else_is_put_through_to_the_office(tmp_path: Path, warm: WarmStart) -> None:
    with world(tmp_path, warm, public="off", first={"telephone": DESK_PHONE}) as w:
        w.phones.rings("+441632960555", OUR_NUMBER)
        w.phones.do(w.phones.ringing(DESK_PHONE), "answer")
        assert w.office.alerts(kind="help_asked") == []
