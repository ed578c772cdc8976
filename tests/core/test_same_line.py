"""Next of kin who have only the service user's own line: it was rung and nobody answered, so it is not rung for them
once more; the next one is told at once (domain.md section 2: "Two people on one line: one call, one question")."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from escalation.people import LineView, PersonView, PlanView
from monitor.core.state import Message
from tests.core.driver import Desk

MINUTE = timedelta(minutes=1)
HER_LINE = LineView(ref="l-ed", kind="landline")


def home(*kin: tuple[str, tuple[LineView, ...]], **ed: Any) -> Desk:
    """ed's next of kin, in order, each with these lines; nobody has come, and ed is rung."""
    desk = Desk()
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=tuple(name for name, _ in kin), **ed)
    for name, lines in kin:
        people[name] = PersonView(ref=name, role="contact", lines=lines)
    desk.plan()
    desk.advance(minutes=30)
    return desk


def rung(desk: Desk, result: Any = "no_answer", times: int = 2) -> None:
    """Their calls end like this; the second one tells next of kin."""
    for _ in range(times):
        call = [m for m in desk.messages("reassure") if m.phase == "queued"][-1]
        desk.send(call)
        desk.deliver(call, result)
        if not desk.messages("inform_next_of_kin") and desk.alert().track("inform") is None:
            desk.advance(minutes=3)


def calls(desk: Desk) -> list[tuple[str, str | None, str, str]]:
    found: list[Message] = desk.messages("inform_next_of_kin")
    return [(m.person, m.line, m.phase, m.reason) for m in found if m.channel == "call"]


def inform(desk: Desk) -> tuple[str, str]:
    track = desk.alert().track("inform")
    assert track is not None
    return track.step, track.reason


@pytest.mark.parametrize("result", ["no_answer", "busy"])
def test_a_line_that_was_silent_is_not_rung_for_who_lives_there_and_the_next_is_rung_at_once(
    result: str,
) -> None:
    desk = home(("ned", (HER_LINE,)), ("nan", (LineView(ref="l-nan"),)))
    rung(desk, result)
    assert calls(desk) == [
        ("ned", "l-ed", "settled", "same_line"),
        ("nan", "l-nan", "queued", ""),
    ]
    assert inform(desk)[0] == "trying"


def test_another_line_of_theirs_is_rung() -> None:
    desk = home(("ned", (HER_LINE, LineView(ref="l-ned"))))
    rung(desk)
    assert [line for _, line, phase, _ in calls(desk) if phase == "queued"] == ["l-ned"]


def test_where_nobody_has_another_line_staff_hear_it_and_the_council_is_told_all_the_same() -> None:
    desk = home(("ned", (HER_LINE,)))
    rung(desk)
    assert inform(desk) == ("not_reached", "same_line")
    assert [m.template for m in desk.messages() if m.template == "OC-101"] == ["OC-101"]
    assert desk.messages("inform_council")
    desk.advance(hours=2)
    assert calls(desk) == [("ned", "l-ed", "settled", "same_line")]


def test_who_picked_up_and_pressed_nothing_is_asked_for_again() -> None:
    """Somebody is there: next of kin may be told on that line."""
    desk = home(("ned", (HER_LINE,)))
    call = desk.messages("reassure")[-1]
    desk.send(call)
    desk.deliver(call, "completed")
    desk.advance(minutes=3)
    rung(desk, times=1)
    assert calls(desk) == [("ned", "l-ed", "queued", "")]


def test_a_line_that_has_not_been_rung_is_rung_for_them() -> None:
    """ed wants a person and no machine: their telephone has not rung yet."""
    desk = home(("ned", (HER_LINE,)), plan=PlanView(channels=("person",)))
    desk.advance(minutes=31)
    assert [(person, line) for person, line, _, _ in calls(desk)] == [("ned", "l-ed")]
    assert calls(desk)[0][2] == "queued"


def test_a_line_that_was_silent_for_who_lives_with_them_was_silent_for_them() -> None:
    desk = Desk()
    people = desk.people.people
    people["ned"] = PersonView(ref="ned", role="contact", lines=(HER_LINE,))
    people["eve"] = PersonView(ref="eve", role="service_user", lines=(HER_LINE,), next_of_kin=("ned",))
    desk.plan("v1")
    desk.plan("v2", service_user="eve", workers=("kit",), start=desk.now + MINUTE)
    desk.advance(minutes=31)
    for _ in range(3):
        call = [m for m in desk.messages("reassure") if m.phase == "queued"][-1]
        desk.send(call)
        desk.deliver(call, "no_answer")
        desk.advance(minutes=3)
    assert {(person, reason) for person, _, _, reason in calls(desk)} == {("ned", "same_line")}


def test_after_a_restart_it_is_passed_over_once() -> None:
    desk = home(("ned", (HER_LINE,)), ("nan", (LineView(ref="l-nan"),)))
    rung(desk)
    desk.restart(snapshot=False)
    desk.advance(minutes=30)
    assert [one for one in calls(desk) if one[0] == "ned"] == [("ned", "l-ed", "settled", "same_line")]
    assert len([one for one in calls(desk) if one[0] == "nan"]) > 1
