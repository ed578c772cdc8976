"""Until when a window is open: across the broker's closing time, nights, bank holidays and both clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.placing import PlacingPolicy, Round
from config.policy import Calendar, parse_hours
from monitor.core.placing.windows import Window, counted, window

HOURS = "Mon-Fri 09:00-17:00, Sat-Sun 10:00-14:00"
CHRISTMAS = frozenset({date(2026, 12, 25), date(2026, 12, 28)})
CALENDAR = Calendar(holidays=CHRISTMAS)


def opens(at: datetime, across: str = "pause", length: str = "2h", hours: str | None = HOURS) -> Window:
    hour = {"2h": timedelta(hours=2), "30m": timedelta(minutes=30)}[length]
    held = Round(name="r", tiers=("t",), window=hour, reminders=(hour * 3 / 4,))
    policy = PlacingPolicy(rounds=(held,), broker_hours=hours, across_closing=across)  # type: ignore[arg-type]
    return window(at, held, policy, CALENDAR)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "closes", "crosses"),
    [
        ("2026-11-23 14:59", "2026-11-23 16:59", ""),
        ("2026-11-23 15:00", "2026-11-23 17:00", ""),
        ("2026-11-23 15:00:00.001", "2026-11-24 09:00:00.001", "paused"),
        ("2026-11-23 16:30", "2026-11-24 10:30", "paused"),
        ("2026-11-23 17:00", "2026-11-24 11:00", "paused"),
        ("2026-11-23 08:00", "2026-11-23 11:00", "paused"),
        ("2026-11-27 16:00", "2026-11-28 11:00", "paused"),
        ("2026-11-28 13:30", "2026-11-29 11:30", "paused"),
        # Christmas Day is a Friday, the 28th its substitute: both belong to no weekday
        ("2026-12-24 16:00", "2026-12-26 11:00", "paused"),
        ("2026-12-27 13:00", "2026-12-29 10:00", "paused"),
        # the clocks go back and forward in a night from Saturday to Sunday
        ("2026-10-24 12:30", "2026-10-25 11:30", "paused"),
        ("2027-03-27 13:30", "2027-03-28 10:30", "paused"),
    ],
)
def test_a_window_that_would_cross_the_closing_time_pauses_until_the_brokers_are_back(
    at: str, closes: str, crosses: str
) -> None:
    found = opens(utc(at))
    assert (found.closes_at, found.crosses) == (utc(closes), crosses)


@pytest.mark.parametrize(
    ("at", "crosses"),
    [("2026-11-23 15:00", ""), ("2026-11-23 15:01", "runs_on"), ("2026-11-23 20:00", "runs_on")],
)
def test_a_window_that_runs_on_closes_when_its_time_is_over_and_says_so(at: str, crosses: str) -> None:
    found = opens(utc(at), "run_on")
    assert (found.closes_at, found.crosses) == (utc(at) + timedelta(hours=2), crosses)


def test_reminders_count_as_the_window_does() -> None:
    assert opens(utc("2026-11-23 16:00")).reminds_at == (utc("2026-11-24 09:30"),)
    assert opens(utc("2026-11-23 16:00"), "run_on").reminds_at == (utc("2026-11-23 17:30"),)
    assert opens(utc("2026-11-23 10:00")).reminds_at == (utc("2026-11-23 11:30"),)


def test_without_hours_of_the_broker_nothing_is_crossed() -> None:
    assert opens(utc("2026-11-23 23:00"), hours=None).crosses == ""


def test_hours_that_meet_at_midnight_are_no_closing_time() -> None:
    found = opens(utc("2026-11-23 23:30"), hours="daily 00:00-24:00")
    assert (found.closes_at, found.crosses) == (utc("2026-11-24 01:30"), "")


def test_hours_that_never_come_leave_the_window_as_long_as_it_is() -> None:
    hours = parse_hours("holidays 09:00-17:00")
    at = utc("2026-11-23 10:00")
    assert counted(at, timedelta(hours=2), hours, Calendar()) == at + timedelta(hours=2)


NIGHTS = (
    "daily 22:30-02:15",
    "Mon-Fri 09:00-17:00+holidays, Sat-Sun 00:30-02:00",
    "daily 01:15-01:45, daily 03:00-04:00",
    HOURS,
)
AROUND = [utc(day) for day in ("2026-10-23", "2027-03-26", "2026-12-23", "2026-11-22")]
"""Two days before the clocks go back, and forward; Christmas; an ordinary weekend."""


@settings(max_examples=120, deadline=None)
@given(
    around=st.sampled_from(AROUND),
    minute=st.integers(0, 4 * 1440),
    second=st.integers(0, 59),
    length=st.integers(1, 400),
    hours=st.sampled_from(NIGHTS),
    zone=st.sampled_from(["Europe/London", "Australia/Lord_Howe"]),
)
def test_the_end_is_that_of_counting_every_minute_by_hand(
    around: datetime, minute: int, second: int, length: int, hours: str, zone: str
) -> None:
    calendar, read = Calendar(zone=zone, holidays=CHRISTMAS), parse_hours(hours)
    now = around + timedelta(minutes=minute, seconds=second)
    at, left = now, timedelta(minutes=length)
    while left > timedelta(0):
        # to the end of this minute, or less: what is open is open for whole minutes
        step = min(timedelta(minutes=1) - timedelta(seconds=at.second), left)
        if calendar.in_hours(read, at):
            left -= step
            at += step
        else:
            at = at.replace(second=0) + timedelta(minutes=1)
    assert counted(now, timedelta(minutes=length), read, calendar) == at
