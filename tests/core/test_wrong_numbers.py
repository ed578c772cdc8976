"""A wrong number is remembered of the person, and passed over until the office has changed it; and who was told of an
alert on a landline is told there that it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core.inputs import PeopleReceived
from monitor.core.state import Message
from tests.core.driver import MONDAY, Desk


def desk_with(*kin: str, now: datetime = MONDAY, public: str = "auto", kind: Any = "mobile") -> Desk:
    """ed expects dee now; these are his next of kin, in order, each with one line."""
    desk = Desk(now, public=public)
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=kin)
    for name in kin:
        people[name] = PersonView(ref=name, role="contact", lines=(LineView(ref=f"l-{name}", kind=kind),))
    return desk


def not_reached(desk: Desk, visit: str = "v1") -> None:
    """ed does not answer twice, so that next of kin are rung."""
    desk.plan(visit)
    desk.advance(minutes=30)
    for minutes in (3, 0):
        call = [m for m in desk.messages("reassure") if m.phase == "queued"][-1]
        desk.send(call)
        desk.deliver(call, "no_answer")
        desk.advance(minutes=minutes)


def ringing(desk: Desk, person: str) -> Message:
    call = [m for m in desk.messages("inform_next_of_kin", person) if m.channel == "call"][-1]
    if call.phase == "queued":
        desk.send(call)
    return desk.message(call.key)


def wrong_number(desk: Desk, person: str) -> None:
    call = ringing(desk, person)
    desk.press(call, "9")
    desk.deliver(call, "completed")


def calls_to(desk: Desk, person: str, alert: str) -> list[str]:
    found = desk.messages("inform_next_of_kin", person)
    return [f"{m.result}:{m.reason}" for m in found if m.channel == "call" and m.alert == alert]


def next_alert(desk: Desk) -> str:
    """The first is over, and next morning ed is not reached again."""
    desk.check()
    desk.check("leave")
    desk.now = MONDAY + timedelta(days=2)
    known = set(desk.state.values.alerts)
    not_reached(desk, "v2")
    (new,) = (alert for alert in desk.alerts("late_visit") if alert.ref not in known)
    return new.ref


def test_a_wrong_number_is_passed_over_in_the_next_alert_too_and_that_stands_in_it() -> None:
    desk = desk_with("ned", "nan")
    not_reached(desk)
    wrong_number(desk, "ned")
    (fact,) = desk.bodies(f.NumberWrong)
    assert fact.line == "l-ned"
    new = next_alert(desk)
    assert calls_to(desk, "ned", new) == ["cancelled:wrong_number"]
    assert [one.partition(":")[0] for one in calls_to(desk, "nan", new)] == ["intended"]


@pytest.mark.parametrize("snapshot", [True, False])
def test_it_is_remembered_over_a_restart(snapshot: bool) -> None:
    desk = desk_with("ned", "nan")
    not_reached(desk)
    wrong_number(desk, "ned")
    desk.restart(snapshot=snapshot)
    assert [one.line for one in desk.state.values.wrong_numbers["ned"]] == ["l-ned"]


def test_another_line_of_the_same_person_is_used() -> None:
    desk = desk_with("ned")
    not_reached(desk)
    wrong_number(desk, "ned")
    people = desk.people.people
    people["ned"] = structs.replace(people["ned"], lines=(*people["ned"].lines, LineView(ref="l-office")))
    new = next_alert(desk)
    lines = {
        m.line for m in desk.messages("inform_next_of_kin", "ned") if m.alert == new and m.phase == "queued"
    }
    assert lines == {"l-office"}


def test_somebody_else_on_that_line_is_still_rung() -> None:
    desk = desk_with("ned", "nan")
    desk.people.people["nan"] = PersonView(ref="nan", role="contact", lines=(LineView(ref="l-ned"),))
    not_reached(desk)
    wrong_number(desk, "ned")
    desk.advance(seconds=10)
    assert [m.person for m in desk.messages("inform_next_of_kin") if m.phase == "queued"] == ["nan", "nan"]


def test_it_is_believed_again_when_the_office_has_changed_the_number() -> None:
    desk = desk_with("ned")
    not_reached(desk)
    wrong_number(desk, "ned")
    people = desk.people.people
    known = people["ned"]
    desk.tell(PeopleReceived(changed=("ned",), people_rev=2))
    assert "ned" in desk.state.values.wrong_numbers, "the same number again mends nothing"
    people["ned"] = structs.replace(known, lines=(LineView(ref="l-new"),))
    desk.tell(PeopleReceived(changed=("ned",), people_rev=3))
    assert desk.state.values.wrong_numbers == {}
    assert [one.line for one in desk.bodies(f.NumberMended)] == ["l-ned"]
    people["ned"] = known
    desk.tell(PeopleReceived(changed=("ned",), people_rev=4))
    new = next_alert(desk)
    assert "cancelled:wrong_number" not in calls_to(desk, "ned", new)


def test_a_number_that_was_found_wrong_while_a_text_waited_for_it_is_not_written_to() -> None:
    desk = desk_with("ned")
    not_reached(desk)
    text = next(m for m in desk.messages("inform_next_of_kin", "ned") if m.channel == "sms")
    wrong_number(desk, "ned")
    assert desk.tell_turn(text) == "no"


# --- those who were told are told that it is over ---


def over_calls(desk: Desk) -> list[tuple[str, str, str]]:
    found = [m for m in desk.messages("stand_down") if m.template == "NOKV-130"]
    return [(m.person, m.result, m.reason) for m in found]


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ("key", [("ned", "intended", "")]),
        ("machine", [("ned", "intended", "")]),
        ("completed", [("ned", "intended", "")]),
        ("no_answer", []),
        ("busy", []),
    ],
)
def test_who_was_told_on_a_landline_is_rung_there_when_it_is_over(came: str, told: list[Any]) -> None:
    desk = desk_with("ned", kind="landline")
    not_reached(desk)
    call = ringing(desk, "ned")
    if came == "key":
        desk.press(call, "1", "1")
        desk.deliver(call, "completed")
    elif came == "machine":
        desk.deliver(call, "in_progress", answered_by="machine")
    else:
        desk.deliver(call, came)  # type: ignore[arg-type]
    desk.check()
    assert over_calls(desk) == told


def test_whoever_has_a_line_for_texts_is_written_to_and_not_rung() -> None:
    desk = desk_with("ned")
    not_reached(desk)
    desk.press(ringing(desk, "ned"), "1", "1")
    desk.check()
    assert over_calls(desk) == []
    assert [m.person for m in desk.messages("stand_down") if m.template == "NOK-5"] == ["ned"]


NIGHT = datetime(2026, 11, 24, 1, tzinfo=UTC)


def test_by_night_only_who_spoke_to_us_is_rung_and_a_person_rings_the_other() -> None:
    for keys, told in (("11", [("ned", "intended", "")]), ("", [("ned", "cancelled", "night")])):
        desk = desk_with("ned", now=NIGHT, kind="landline")
        not_reached(desk)
        call = ringing(desk, "ned")
        desk.press(call, *keys)
        desk.deliver(call, "completed")
        desk.check()
        assert over_calls(desk) == told
        assert [m.about for m in desk.messages() if m.template == "OC-131"] == ([] if keys else ["ned"])


def test_who_does_not_pick_up_is_rung_by_a_person() -> None:
    desk = desk_with("ned", kind="landline")
    not_reached(desk)
    call = ringing(desk, "ned")
    desk.press(call, "1", "1")
    desk.deliver(call, "completed")
    desk.check()
    (over,) = (m for m in desk.messages("stand_down") if m.template == "NOKV-130")
    assert desk.send(over) == "send"
    desk.deliver(over, "no_answer")
    assert [m.about for m in desk.messages("notice") if m.template == "OC-131"] == ["ned"]
