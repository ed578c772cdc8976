"""The two nights on which the clocks change: a visit at 01:30, a waking night, who is on duty (design rule 1)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from config.policy import Calendar, Duty
from tests.core.driver import Desk

LONDON = Calendar()
SPRING = date(2026, 3, 29)
AUTUMN = date(2026, 10, 25)


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """A rota's local time as UTC."""
    return LONDON.to_utc(datetime(day.year, day.month, day.day, hour, minute))[0]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("day", "start_utc", "trouble"),
    [
        (SPRING, datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "time_does_not_exist"),
        (AUTUMN, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "time_exists_twice"),
        (date(2026, 3, 30), datetime(2026, 3, 30, 0, 30, tzinfo=UTC), None),
        (date(2026, 10, 26), datetime(2026, 10, 26, 1, 30, tzinfo=UTC), None),
    ],
)
def test_a_visit_at_half_past_one_alerts_half_an_hour_of_real_time_after_its_start(
    day: date, start_utc: datetime, trouble: str | None
) -> None:
    start, found = LONDON.to_utc(datetime(day.year, day.month, day.day, 1, 30))  # noqa: DTZ001
    assert (start, found) == (start_utc, trouble)
    desk = Desk(start_utc - timedelta(hours=3))
    desk.plan(start=start)
    desk.advance(hours=3, minutes=30, milliseconds=-1)
    assert desk.alerts() == []
    desk.advance(milliseconds=1)
    assert desk.alert().due_at == start_utc + timedelta(minutes=30)


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 7), (AUTUMN, 9), (date(2026, 6, 1), 8)])
def test_a_waking_night_is_seven_eight_or_nine_hours_long(day: date, hours: int) -> None:
    start, end = local(day - timedelta(days=1), 23), local(day, 7)
    assert end - start == timedelta(hours=hours)
    desk = Desk(start)
    desk.plan(start=start, end=end)
    desk.check()
    desk.advance(hours=hours, minutes=45, milliseconds=-1)
    assert desk.messages() == []
    desk.advance(milliseconds=1)
    (asked,) = desk.messages("ask_worker")
    assert (asked.template, asked.intended_at) == ("CW-6", end + timedelta(minutes=45))


@pytest.mark.parametrize(("day", "third"), [(SPRING, 140), (AUTUMN, 180)])
def test_a_third_of_the_night_is_a_third_of_the_real_hours(day: date, third: int) -> None:
    start, end = local(day - timedelta(days=1), 23), local(day, 7)
    for minutes, outcome in ((third - 1, "left_short"), (third, "left")):
        desk = Desk(start)
        desk.plan(start=start, end=end)
        desk.check()
        desk.now = start + timedelta(minutes=minutes)
        assert desk.check("leave").outcome == outcome


@pytest.mark.parametrize(
    ("at", "night"),
    [
        (datetime(2026, 3, 29, 5, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 29, 6, 0, tzinfo=UTC), False),
        (datetime(2026, 10, 25, 6, 59, tzinfo=UTC), True),
        (datetime(2026, 10, 25, 7, 0, tzinfo=UTC), False),
        (datetime(2026, 10, 24, 21, 59, tzinfo=UTC), False),
        (datetime(2026, 10, 24, 22, 0, tzinfo=UTC), True),
    ],
)
def test_the_call_comes_first_by_local_night(at: datetime, night: bool) -> None:
    desk = Desk(at - timedelta(minutes=30))
    desk.plan()
    desk.advance(minutes=30)
    assert [m.channel for m in desk.messages("summon")] == (["sms", "call"] if night else ["sms"])


@pytest.mark.parametrize(
    ("at", "person"),
    [
        (datetime(2026, 3, 27, 9, 0, tzinfo=UTC), "olga"),
        (datetime(2026, 3, 30, 8, 0, tzinfo=UTC), "olga"),
        (datetime(2026, 3, 30, 7, 59, tzinfo=UTC), "paul"),
        (datetime(2026, 10, 26, 8, 59, tzinfo=UTC), "paul"),
        (datetime(2026, 10, 26, 9, 0, tzinfo=UTC), "olga"),
    ],
)
def test_office_hours_are_local_on_both_sides_of_the_change(at: datetime, person: str) -> None:
    desk = Desk(at - timedelta(minutes=30))
    desk.plan()
    desk.advance(minutes=30)
    assert desk.messages("summon")[0].person == person


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_a_duty_over_midnight_covers_the_whole_night_of_the_change(day: date) -> None:
    duty = (
        Duty(person="paul", role="on_call", hours="daily 22:00-08:00"),
        Duty(person="olga", role="office", hours="otherwise"),
    )
    at, end = local(day - timedelta(days=1), 22), local(day, 8)
    while at < end:
        desk = Desk(at, duty=duty)
        desk.text("ed", word="help")
        assert {m.person for m in desk.messages("summon")} == {"paul"}
        at += timedelta(minutes=30)


def test_a_visit_that_exists_twice_is_the_first_one_and_is_never_planned_an_hour_later() -> None:
    first = local(AUTUMN, 1, 30)
    desk = Desk(first - timedelta(hours=6))
    desk.plan(start=first)
    desk.plan(start=local(AUTUMN, 1, 30))
    assert desk.visit().start == first
    desk.advance(hours=6)
    assert desk.check().outcome == "arrived"
    desk.advance(hours=1)
    assert desk.alerts() == []
