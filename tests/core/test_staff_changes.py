"""Another care worker than the regular ones is told before the visit (spec 7.10, 16.10)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import parse_hours
from escalation.people import LineView, PersonView, PlanView
from monitor.core import facts as f
from monitor.core.inputs import DayRolled, PolicyLoaded, Position
from monitor.core.state import Message
from tests.core.driver import MONDAY, NEXT_DOOR, Desk

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TUESDAY = MONDAY + DAY
FOUR = MONDAY.replace(hour=16)


def desk_where_dee_was(*, service_user: str = "fay", there: Position = NEXT_DOOR, **more: Any) -> Desk:
    """Monday, eight o'clock: dee is with fay (a mobile), whom she therefore knows."""
    desk = Desk(ask_duty=False, **more)
    desk.plan("today", service_user=service_user)
    desk.check(visit="today", position=there)
    desk.check("leave", visit="today", position=there)
    assert desk.state.values.regulars == {service_user: {"dee": MONDAY.date()}}
    return desk


def told(desk: Desk) -> list[tuple[str, str, str, str | None]]:
    """Who is told of whom, by what, and what became of it."""
    found = [m for m in desk.messages() if m.template in ("SU-10", "SUV-10")]
    return [(m.person, m.template, m.about or "", m.result) for m in found]


def to_staff(desk: Desk) -> list[Message]:
    return [m for m in desk.messages() if m.template == "OC-160"]


def until(desk: Desk, at: datetime) -> None:
    desk.advance(seconds=(at - desk.now).total_seconds())


def test_the_day_before_at_the_hour_and_once() -> None:
    desk = desk_where_dee_was()
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    until(desk, FOUR - timedelta(milliseconds=1))
    assert told(desk) == []
    desk.advance(milliseconds=1)
    assert told(desk) == [("fay", "SU-10", "kit", "intended")]
    assert [(b.day, b.told) for b in desk.bodies(f.StaffChangesTold)] == [(TUESDAY.date(), 1)]
    desk.send_all()
    desk.advance(hours=4)
    assert len(told(desk)) == 1


@pytest.mark.parametrize(
    ("workers", "who"), [(("dee",), []), (("kit",), ["kit"]), (("dee", "kit"), ["kit"]), ((), [])]
)
def test_who_is_regular_is_no_news(workers: tuple[str, ...], who: list[str]) -> None:
    desk = desk_where_dee_was()
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=workers)
    until(desk, FOUR)
    assert [about for _, _, about, _ in told(desk)] == who


def test_where_nobody_has_been_before_nobody_is_instead_of_anybody() -> None:
    desk = desk_where_dee_was()
    desk.plan("tomorrow", start=TUESDAY, service_user="ed", workers=("kit",))
    until(desk, FOUR)
    assert told(desk) == []


@pytest.mark.parametrize(("days", "news"), [(28, []), (29, ["dee"])])
def test_who_has_not_been_there_for_long_is_new_again(days: int, news: list[str]) -> None:
    desk = desk_where_dee_was()
    last = MONDAY.date()
    desk.state.values.regulars["fay"] = {"dee": last - timedelta(days=days), "kit": last}
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("dee",))
    until(desk, FOUR)
    assert [about for _, _, about, _ in told(desk)] == news


def test_only_the_visits_of_tomorrow_by_the_local_day() -> None:
    desk = desk_where_dee_was()
    late, early = TUESDAY.replace(hour=23, minute=59), TUESDAY.replace(hour=0, minute=0) + DAY
    desk.plan("late", start=late, service_user="fay", workers=("kit",))
    desk.plan("early", start=early, service_user="fay", workers=("lou",))
    until(desk, FOUR)
    assert [about for _, _, about, _ in told(desk)] == ["kit"]


@pytest.mark.parametrize(
    ("person", "how"),
    [
        ({}, [("fay", "SU-10")]),
        ({"lines": (LineView(ref="l-fay", kind="landline"),)}, [("fay", "SUV-10")]),
        ({"plan": PlanView(channels=("voice",))}, [("fay", "SUV-10")]),
        ({"plan": PlanView(channels=("text",)), "lines": (LineView(ref="l", kind="landline"),)}, []),
        ({"plan": PlanView(channels=("person", "text"))}, []),
        ({"plan": PlanView(language="pl")}, []),
        ({"plan": PlanView(end_of_life=True)}, []),
        ({"plan": PlanView(minor=True)}, []),
        ({"plan": PlanView(spokesperson="ned")}, [("ned", "SU-10")]),
        ({"plan": PlanView(quiet=parse_hours("daily 08:00-12:00"))}, []),
        ({"lines": ()}, []),
    ],
)
def test_by_text_or_call_as_the_plan_has_it_and_the_rest_is_for_a_person(
    person: dict[str, Any], how: list[tuple[str, str]]
) -> None:
    desk = desk_where_dee_was()
    desk.people.people["fay"] = structs.replace(desk.people.people["fay"], **person)
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    until(desk, FOUR)
    assert [(who, template) for who, template, _, _ in told(desk)] == how
    for message in desk.send_all():
        desk.deliver(message, "delivered" if message.channel == "sms" else "in-progress")
        if message.channel == "call":
            desk.press(message, "1")
    desk.advance(hours=2)
    assert [(m.person, m.count) for m in to_staff(desk)] == ([] if how else [("paul", 1)])


@pytest.mark.parametrize("public", ["off", "ask"])
def test_what_is_rehearsed_is_shown_and_nobody_is_sent_after_it(public: str) -> None:
    desk = desk_where_dee_was(public=public)
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    until(desk, FOUR + 3 * HOUR)
    assert told(desk) == [("fay", "SU-10", "kit", "rehearsed")]
    assert to_staff(desk) == []


def test_who_did_not_answer_is_told_by_a_person() -> None:
    desk = desk_where_dee_was(service_user="ed", there=Position(lat=51.4, lon=0.02, accuracy_m=15.0))
    desk.plan("tomorrow", start=TUESDAY, service_user="ed", workers=("kit",))
    until(desk, FOUR)
    (call,) = [m for m in desk.messages() if m.template == "SUV-10"]
    desk.send(call)
    desk.deliver(call, "no-answer")
    until(desk, FOUR + 2 * HOUR)
    assert [(m.person, m.visit) for m in to_staff(desk)] == [("paul", "tomorrow")]
    assert [b.untold for b in desk.bodies(f.StaffChangesChecked)] == [1]
    desk.advance(hours=3)
    assert len(to_staff(desk)) == 1


@pytest.mark.parametrize("more", [True, False])
def test_a_key_says_that_it_was_heard_and_another_or_none_that_somebody_is_wanted(more: bool) -> None:
    desk = desk_where_dee_was(service_user="ed", there=Position(lat=51.4, lon=0.02, accuracy_m=15.0))
    desk.plan("tomorrow", start=TUESDAY, service_user="ed", workers=("kit",))
    until(desk, FOUR)
    (call,) = [m for m in desk.messages() if m.template == "SUV-10"]
    desk.send(call)
    desk.deliver(call, "in-progress")
    desk.press(call, "", "1")
    assert [(b.person, b.proof, b.purpose) for b in desk.bodies(f.PersonReached)] == [
        ("ed", "key:1", "notice")
    ]
    assert desk.alerts("help_asked") == []
    desk.press(call, "2" if more else "", *([] if more else [""]))
    assert [alert.service_user for alert in desk.alerts("help_asked")] == ["ed"]


def test_what_the_rota_changes_afterwards_is_told_at_once_and_what_it_takes_back_is_not() -> None:
    desk = desk_where_dee_was()
    desk.plan("tomorrow", start=TUESDAY, service_user="fay")
    until(desk, FOUR + HOUR)
    assert told(desk) == []
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    (first,) = [m for m in desk.messages() if m.template == "SU-10"]
    desk.plan("tomorrow", start=TUESDAY, service_user="fay")
    assert desk.tell_turn(first) != "send"
    assert told(desk) == [("fay", "SU-10", "kit", "cancelled")]
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    assert [result for *_, result in told(desk)] == ["cancelled", "intended"]


@pytest.mark.parametrize(("ahead", "news"), [(30, 1), (29, 0)])
def test_who_comes_within_the_half_hour_is_not_announced(ahead: int, news: int) -> None:
    desk = desk_where_dee_was()
    until(desk, FOUR)
    soon = desk.now + timedelta(minutes=ahead)
    desk.plan("soon", start=soon, service_user="fay")
    desk.plan("soon", start=soon, service_user="fay", workers=("kit",))
    assert len(told(desk)) == news


def test_nobody_is_told_at_night() -> None:
    desk = desk_where_dee_was()
    until(desk, FOUR)
    desk.plan("tomorrow", start=TUESDAY, service_user="fay")
    until(desk, MONDAY.replace(hour=23))
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    assert told(desk) == []


def test_after_days_without_us_the_next_day_is_told_in_its_time() -> None:
    desk = desk_where_dee_was()
    friday = MONDAY + 4 * DAY
    desk.now = friday.replace(hour=10)
    desk.plan("friday", start=desk.now + HOUR, service_user="fay", workers=("kit",))
    desk.plan("tomorrow", start=friday + DAY, service_user="fay", workers=("kit",))
    desk.advance(hours=6)
    days = [(b.day.day, b.told, b.reason) for b in desk.bodies(f.StaffChangesTold)]
    assert days == [(27, 0, "while_down"), (28, 1, "")]
    assert [m.visit for m in to_staff(desk)] == ["friday"]


def test_after_a_long_stop_it_is_too_late_and_says_so() -> None:
    desk = desk_where_dee_was()
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    desk.now = FOUR + 2 * HOUR + timedelta(seconds=1)
    desk.advance(seconds=0)
    assert told(desk) == []
    assert [(b.day, b.reason) for b in desk.bodies(f.StaffChangesTold)] == [(TUESDAY.date(), "while_down")]
    # and so it is a person's to tell
    assert len(to_staff(desk)) == 1


def test_another_hour_in_the_policy_is_another_hour_today() -> None:
    desk = desk_where_dee_was()
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    values = desk.state.values
    policy = structs.replace(values.policy, staff_changes_at=time(12))
    desk.tell(
        PolicyLoaded(
            policy=policy,
            duty=values.duty,
            council_desks=values.council_desks,
            contracts=(),
            holidays=(),
            public="auto",
        )
    )
    until(desk, MONDAY.replace(hour=12))
    assert len(told(desk)) == 1


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_knows_who_is_regular_and_what_was_told(snapshot: bool) -> None:
    desk = desk_where_dee_was()
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    until(desk, FOUR)
    desk.restart(snapshot=snapshot)
    values = desk.state.values
    assert (values.regulars, values.changes_told) == ({"fay": {"dee": MONDAY.date()}}, date(2026, 11, 24))
    desk.advance(hours=1)
    assert len(told(desk)) == 1


def test_who_is_forgotten_leaves_the_state() -> None:
    desk = desk_where_dee_was()
    desk.state.values.regulars["ed"] = {"kit": date(2026, 10, 1)}
    desk.now = TUESDAY
    desk.tell(DayRolled(day=TUESDAY.date()))
    assert desk.state.values.regulars == {"fay": {"dee": MONDAY.date()}}


def test_a_person_who_is_never_to_be_told_hears_nothing_of_it() -> None:
    desk = desk_where_dee_was()
    plan = PlanView(spokesperson="ned", never_tell=frozenset({"ned"}))
    desk.people.people["fay"] = structs.replace(desk.people.people["fay"], plan=plan)
    assert isinstance(desk.people.people["ned"], PersonView)
    desk.plan("tomorrow", start=TUESDAY, service_user="fay", workers=("kit",))
    until(desk, FOUR)
    assert told(desk) == []
