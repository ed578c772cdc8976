"""The practice call: started by a named person, passed by a key alone; who has not practised is asked about first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from escalation.people import LineView, PlanView
from monitor.core import facts as f
from monitor.core.inputs import PracticeWanted
from monitor.core.state import Message, Practice
from monitor.core.work import Decision
from tests.core.driver import Desk


def wants(desk: Desk, person: str = "ed") -> Decision:
    return desk.tell(PracticeWanted(person=person, by="olga"))


def call(desk: Desk) -> Message:
    return desk.messages("practice")[-1]


def stands(desk: Desk, person: str = "ed") -> Practice:
    return desk.state.values.practice[person]


def started(**desk: Any) -> Desk:
    made = Desk(**desk)
    assert wants(made).refusal is None
    made.send(call(made))
    return made


@pytest.mark.parametrize("public", ["off", "ask", "auto"])
def test_it_rings_in_every_public_mode_for_staff_started_it(public: str) -> None:
    desk = started(public=public)
    message = call(desk)
    assert (message.template, message.channel, message.line, message.ring_s) == ("SUV-4", "call", "l-ed", 50)
    assert message.attempts == 1
    assert (stands(desk).by, stands(desk).result, stands(desk).practised_at) == ("olga", "intended", None)


@pytest.mark.parametrize("keys", [("1",), ("", "1"), ("7", "1")])
def test_a_key_makes_them_practised(keys: tuple[str, ...]) -> None:
    desk = started()
    desk.press(call(desk), *keys)
    desk.deliver(call(desk), "completed")
    assert (stands(desk).result, stands(desk).practised_at) == ("practised", desk.now)
    assert (call(desk).proof, call(desk).result) == ("key:1", "answered")
    assert desk.bodies(f.PersonReached)[-1].purpose == "practice"


@pytest.mark.parametrize(
    ("status", "more", "result"),
    [
        ("no_answer", {}, "no_answer"),
        ("busy", {}, "busy"),
        ("failed", {}, "failed"),
        ("completed", {}, "no_key"),
        ("completed", {"answered_by": "machine"}, "voicemail"),
    ],
)
def test_nothing_else_does(status: Any, more: dict[str, Any], result: str) -> None:
    desk = started()
    desk.deliver(call(desk), status, **more)
    assert (stands(desk).result, stands(desk).practised_at) == (result, None)


def test_an_open_line_without_a_key_does_not_and_rings_nobody() -> None:
    desk = started()
    desk.press(call(desk), "", "")
    assert stands(desk).result == "no_key"
    assert desk.alerts() == []


def test_what_was_practised_once_stays_so_when_a_later_call_is_not_answered() -> None:
    desk = started()
    desk.press(call(desk), "1")
    desk.deliver(call(desk), "completed")
    practised = stands(desk).practised_at
    desk.advance(minutes=5)
    wants(desk)
    desk.send(call(desk))
    desk.deliver(call(desk), "no_answer")
    assert (stands(desk).result, stands(desk).practised_at) == ("no_answer", practised)


def test_a_second_one_waits_until_the_first_is_over() -> None:
    desk = started()
    refusal = wants(desk).refusal
    assert refusal is not None
    assert refusal.code == "practice_running"
    desk.deliver(call(desk), "no_answer")
    assert wants(desk).refusal is None


@pytest.mark.parametrize(
    "more",
    [
        {"lines": ()},
        {"lines": (LineView(ref="l-ed", use="text_only"),)},
        {"lines": (LineView(ref="l-ned"),), "plan": PlanView(never_tell=frozenset({"ned"}))},
    ],
)
def test_without_a_line_that_may_be_rung_it_is_refused(more: dict[str, Any]) -> None:
    desk = Desk()
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], **more)
    refusal = wants(desk).refusal
    assert refusal is not None
    assert refusal.code == "no_line"
    assert desk.messages() == []


def test_one_that_could_not_leave_in_time_is_over() -> None:
    desk = Desk()
    wants(desk)
    desk.advance(minutes=10)
    assert call(desk).phase == "settled"
    assert stands(desk).result == "failed"


def test_it_is_remembered_over_a_restart() -> None:
    desk = started()
    desk.press(call(desk), "1")
    for snapshot in (True, False):
        desk.restart(snapshot=snapshot)
        assert stands(desk).result == "practised"


# --- auto only after practice, where the policy says so ---


def reassured_after(desk: Desk) -> float:
    """Minutes from the alert to the first call."""
    begin = desk.now
    desk.plan(start=begin - timedelta(minutes=30))
    desk.advance(minutes=5)
    return (desk.messages("reassure")[0].intended_at - begin).total_seconds() / 60


@pytest.mark.parametrize(
    ("practice_first", "practised", "after"), [(False, False, 0), (True, False, 2), (True, True, 0)]
)
def test_auto_acts_as_ask_until_they_have_practised(
    practice_first: bool, practised: bool, after: float
) -> None:
    desk = started(practice_first=practice_first)
    desk.press(call(desk), *(("1",) if practised else ("", "")))
    desk.deliver(call(desk), "completed")
    assert reassured_after(desk) == after
