"""Hours, bank holidays and both nights on which the clocks change: who applies at exactly this moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config.holidays_england import england_bank_holidays
from config.policy import Calendar, CouncilDesk, Duty, Policy, applying, parse_hours

# 2026: Mon 25 May is the spring bank holiday, Tue 26 May an ordinary day
CALENDAR = Calendar(holidays=frozenset(england_bank_holidays(2026, 2027)))
CHANGE_NIGHTS = (date(2026, 3, 29), date(2026, 10, 25), date(2027, 3, 28), date(2027, 10, 31))


def at(text: str) -> datetime:
    """A local time of the rota as an instant."""
    instant, _ = CALENDAR.to_utc(datetime.fromisoformat(text))
    return instant


@pytest.mark.parametrize(
    ("hours", "moment", "holds"),
    [
        # office hours, to the second (Fri 22 May 2026)
        ("Mon-Fri 09:00-17:00", "2026-05-22T08:59:59.999999", False),
        ("Mon-Fri 09:00-17:00", "2026-05-22T09:00:00", True),
        ("Mon-Fri 09:00-17:00", "2026-05-22T16:59:59", True),
        ("Mon-Fri 09:00-17:00", "2026-05-22T17:00:00", False),
        ("Mon-Fri 09:00-17:00", "2026-05-23T12:00:00", False),
        # the council's half hour
        ("Mon-Fri 17:00-17:30", "2026-05-22T16:59:59", False),
        ("Mon-Fri 17:00-17:30", "2026-05-22T17:00:00", True),
        ("Mon-Fri 17:00-17:30", "2026-05-22T17:30:00", False),
        # to midnight
        ("Sat 00:00-24:00", "2026-05-22T23:59:59", False),
        ("Sat 00:00-24:00", "2026-05-23T00:00:00", True),
        ("Sat 00:00-24:00", "2026-05-23T23:59:59", True),
        ("Sat 00:00-24:00", "2026-05-24T00:00:00", False),
        ("Sat 22:00-00:00", "2026-05-23T23:59:59", True),
        ("Sat 22:00-00:00", "2026-05-24T00:00:00", False),
        # over midnight: it belongs to the day on which it starts
        ("Fri 22:00-06:00", "2026-05-22T21:59:59", False),
        ("Fri 22:00-06:00", "2026-05-22T22:00:00", True),
        ("Fri 22:00-06:00", "2026-05-23T05:59:59", True),
        ("Fri 22:00-06:00", "2026-05-23T06:00:00", False),
        ("Fri 22:00-06:00", "2026-05-22T05:00:00", False),
        ("Sun 22:00-06:00", "2026-06-01T05:59:59", True),  # into Monday
        # days that run over the end of the week
        ("Fri-Mon 09:00-17:00", "2026-05-24T12:00:00", True),
        ("Fri-Mon 09:00-17:00", "2026-05-28T12:00:00", False),
        # a bank holiday is no weekday
        ("Mon-Fri 09:00-17:00", "2026-05-25T12:00:00", False),
        ("Mon 09:00-17:00", "2026-05-18T12:00:00", True),
        ("holidays 09:00-17:00", "2026-05-25T08:59:59", False),
        ("holidays 09:00-17:00", "2026-05-25T09:00:00", True),
        ("holidays 09:00-17:00", "2026-05-25T17:00:00", False),
        ("holidays 09:00-17:00", "2026-05-26T12:00:00", False),
        ("Mon-Fri 09:00-17:00+holidays", "2026-05-25T12:00:00", True),
        ("Mon-Fri 09:00-17:00 +holidays", "2026-05-25T12:00:00", True),
        ("Mon-Fri+holidays 09:00-17:00", "2026-05-25T12:00:00", True),
        ("Sat-Sun+holidays 10:00-14:00", "2026-05-25T12:00:00", True),
        ("Sat-Sun+holidays 10:00-14:00", "2026-05-26T12:00:00", False),
        ("daily 09:00-17:00", "2026-05-25T12:00:00", True),
        ("daily 09:00-17:00", "2026-05-24T12:00:00", True),
        # the night before a holiday is the weekday's, the night after it the holiday's
        ("Sun-Fri 22:00-06:00", "2026-05-25T05:59:59", True),
        ("Sun-Fri 22:00-06:00", "2026-05-25T22:00:00", False),
        ("Sun-Fri 22:00-06:00", "2026-05-26T05:59:59", False),
        ("holidays 22:00-06:00", "2026-05-26T05:59:59", True),
        # the substitute day is the bank holiday, the day itself is an ordinary weekend
        ("holidays 09:00-17:00", "2027-12-25T12:00:00", False),
        ("Sat-Sun 09:00-17:00", "2027-12-25T12:00:00", True),
        ("holidays 09:00-17:00", "2027-12-27T12:00:00", True),
        ("Mon-Fri 09:00-17:00", "2027-12-28T12:00:00", False),
        # several entries
        ("Mon-Fri 09:00-17:00, Sat-Sun 10:00-14:00", "2026-05-23T10:00:00", True),
        ("Mon-Fri 09:00-17:00,Sat-Sun 10:00-14:00", "2026-05-23T14:00:00", False),
    ],
)
def test_hours_hold_to_the_second(hours: str, moment: str, holds: bool) -> None:
    assert CALENDAR.in_hours(parse_hours(hours), at(moment)) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "always",
        "09:00-17:00",
        "Mon-Fri",
        "Mon-Fri 9:00-17:00",
        "Mon-Fri 09:00-17:60",
        "Mon-Fri 09:00-25:00",
        "Mon-Fri 24:00-06:00",
        "Mon-Fri 09:00-24:01",
        "Mon-Fri 09:00-09:00",
        "mon-fri 09:00-17:00",
        "Monday 09:00-17:00",
        "Mon-holidays 09:00-17:00",
        "daily-Fri 09:00-17:00",
        "Mon-Fri 09:00-17:00,",
        "Mon-Fri 09:00-17:00, otherwise",
        "Mon-Fri 09:00-17:00+bank",
        "Mon–Fri 09:00-17:00",
    ],
)
def test_what_cannot_be_read_as_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_hours(text)


def test_hours_hold_by_the_wall_clock_on_both_sides_of_a_clock_change() -> None:
    hours = parse_hours("Mon-Fri 09:00-17:00")
    winter, summer = datetime(2026, 3, 27, 16, 30, tzinfo=UTC), datetime(2026, 3, 30, 16, 30, tzinfo=UTC)
    assert CALENDAR.in_hours(hours, winter)
    assert not CALENDAR.in_hours(hours, summer)


@pytest.mark.parametrize(
    ("night", "length_h"),
    [(date(2026, 3, 28), 7), (date(2026, 10, 24), 9), (date(2027, 3, 27), 7), (date(2027, 10, 30), 9)],
)
def test_a_night_of_a_clock_change_is_an_hour_shorter_or_longer(night: date, length_h: int) -> None:
    hours = parse_hours("Sat 23:00-07:00")
    begin, _ = CALENDAR.to_utc(datetime.combine(night, time(23)))
    minutes = [n for n in range(-60, 660) if CALENDAR.in_hours(hours, begin + timedelta(minutes=n))]
    assert minutes == list(range(length_h * 60))


@pytest.mark.parametrize(
    ("local", "utc", "trouble"),
    [
        ("2026-03-29T00:59:59", "2026-03-29T00:59:59", None),
        ("2026-03-29T01:00:00", "2026-03-29T01:00:00", "time_does_not_exist"),
        ("2026-03-29T01:30:00", "2026-03-29T01:30:00", "time_does_not_exist"),
        ("2026-03-29T02:00:00", "2026-03-29T01:00:00", None),
        ("2026-10-25T00:59:59", "2026-10-24T23:59:59", None),
        ("2026-10-25T01:00:00", "2026-10-25T00:00:00", "time_exists_twice"),
        ("2026-10-25T01:30:00", "2026-10-25T00:30:00", "time_exists_twice"),
        ("2026-10-25T01:59:59", "2026-10-25T00:59:59", "time_exists_twice"),
        ("2026-10-25T02:00:00", "2026-10-25T02:00:00", None),
        ("2027-03-28T01:30:00", "2027-03-28T01:30:00", "time_does_not_exist"),
        ("2027-10-31T01:30:00", "2027-10-31T00:30:00", "time_exists_twice"),
        ("2026-07-01T09:00:00", "2026-07-01T08:00:00", None),
        ("2026-12-01T09:00:00", "2026-12-01T09:00:00", None),
    ],
)
def test_local_time_becomes_the_instant_that_the_contract_says(
    local: str, utc: str, trouble: str | None
) -> None:
    instant, odd = CALENDAR.to_utc(datetime.fromisoformat(local))
    assert (instant, odd) == (datetime.fromisoformat(utc).replace(tzinfo=UTC), trouble)


def test_a_time_with_an_offset_is_no_local_time() -> None:
    with pytest.raises(ValueError, match="without offset"):
        CALENDAR.to_utc(datetime(2026, 5, 1, tzinfo=UTC))


@pytest.mark.parametrize("end", [datetime.min, datetime.max])  # noqa: DTZ901 - a rota may say so
def test_a_time_at_the_ends_of_the_calendar_is_refused_and_does_not_break(end: datetime) -> None:
    with pytest.raises(ValueError, match="of a year"):
        CALENDAR.to_utc(end)


FIRST, LAST = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-12-31")
locals_of_two_years = st.datetimes(FIRST, LAST)
moments_of_two_years = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


@given(locals_of_two_years, st.timedeltas(timedelta(microseconds=1), timedelta(days=3)))
def test_later_local_times_are_later_instants_outside_the_nights_of_change(
    first: datetime, apart: timedelta
) -> None:
    second = first + apart
    assume(not any(first.date() <= night <= second.date() for night in CHANGE_NIGHTS))
    assert CALENDAR.to_utc(second)[0] - CALENDAR.to_utc(first)[0] == apart


@given(moments_of_two_years)
def test_an_instant_read_back_from_its_local_time_is_itself_unless_it_was_the_second_of_two(
    instant: datetime,
) -> None:
    back, trouble = CALENDAR.to_utc(CALENDAR.local(instant).replace(tzinfo=None))
    assert back == instant or (trouble == "time_exists_twice" and instant - back == timedelta(hours=1))


@pytest.mark.parametrize(
    ("utc", "day"),
    [("2026-07-01T22:59:59", date(2026, 7, 1)), ("2026-07-01T23:00:00", date(2026, 7, 2))],
)
def test_the_day_is_the_local_one(utc: str, day: date) -> None:
    assert CALENDAR.day(datetime.fromisoformat(utc).replace(tzinfo=UTC)) == day


@pytest.mark.parametrize(
    ("moment", "night"),
    [("22:59:59", False), ("23:00:00", True), ("00:00:00", True), ("06:59:59", True), ("07:00:00", False)],
)
def test_night_is_from_23_to_7_local_time(moment: str, night: bool) -> None:
    assert CALENDAR.is_night(at(f"2026-07-01T{moment}"), Policy()) is night


@pytest.mark.parametrize(
    ("moment", "night"), [("00:59:59", False), ("01:00:00", True), ("04:59:59", True), ("05:00:00", False)]
)
def test_a_night_within_one_day_is_read_too(moment: str, night: bool) -> None:
    assert (
        CALENDAR.is_night(at(f"2026-07-01T{moment}"), Policy(night_from=time(1), night_to=time(5))) is night
    )


# --- who applies ---

OFFICE = Duty(person="office", role="office", hours="Mon-Fri 09:00-17:00")
DEPUTY = Duty(person="deputy", role="manager", hours="Mon-Fri 09:00-17:00")
ON_CALL = Duty(person="on-call", role="on_call", hours="otherwise")
MANAGER = Duty(person="manager", role="manager", hours="otherwise")


@pytest.mark.parametrize(
    ("moment", "people"),
    [
        ("2026-05-22T08:59:59", ["on-call", "manager"]),
        ("2026-05-22T09:00:00", ["office", "deputy"]),
        ("2026-05-22T16:59:59", ["office", "deputy"]),
        ("2026-05-22T17:00:00", ["on-call", "manager"]),
        ("2026-05-25T12:00:00", ["on-call", "manager"]),  # a bank holiday
        ("2026-12-28T12:00:00", ["on-call", "manager"]),  # a substitute day
        ("2026-03-29T01:30:00", ["on-call", "manager"]),
        ("2026-10-25T01:30:00", ["on-call", "manager"]),
    ],
)
def test_otherwise_applies_in_order_when_no_entry_with_hours_does(moment: str, people: list[str]) -> None:
    chain = applying((OFFICE, ON_CALL, DEPUTY, MANAGER), at(moment), CALENDAR)
    assert [duty.person for duty in chain] == people


def test_the_council_desk_is_the_one_of_the_clock() -> None:
    desks = (
        CouncilDesk(ref="duty", hours="Mon-Fri 09:00-17:00"),
        CouncilDesk(ref="direct", hours="Mon-Fri 17:00-17:30"),
        CouncilDesk(ref="edt", hours="otherwise"),
    )
    moments = ["2026-05-22T16:59:59", "2026-05-22T17:00:00", "2026-05-22T17:30:00", "2026-05-25T12:00:00"]
    answered = [applying(desks, at(moment), CALENDAR)[0].ref for moment in moments]
    assert answered == ["duty", "direct", "edt", "edt"]


def test_without_an_otherwise_nobody_applies_outside_the_hours() -> None:
    assert applying((OFFICE,), at("2026-05-23T12:00:00"), CALENDAR) == ()


clock_times = st.integers(0, 1439).map(lambda n: f"{n // 60:02}:{n % 60:02}")
day_names = st.sampled_from(["Mon", "Mon-Fri", "Sat-Sun", "Fri-Mon", "daily", "holidays", "Sat-Sun+holidays"])
spans = st.builds(
    lambda days, pair: f"{days} {pair[0]}-{pair[1]}",
    day_names,
    st.lists(clock_times, min_size=2, max_size=2, unique=True),
)


@given(st.lists(spans, max_size=5), st.integers(0, 5), moments_of_two_years)
def test_somebody_always_applies_where_there_is_an_otherwise(
    timed: list[str], place: int, moment: datetime
) -> None:
    duties = [Duty(person=f"p{n}", role="office", hours=hours) for n, hours in enumerate(timed)]
    duties.insert(place, ON_CALL)
    chain = applying(tuple(duties), moment, CALENDAR)
    assert chain
    assert (ON_CALL in chain) == (chain == (ON_CALL,))


# --- England's bank holidays ---


@pytest.mark.parametrize(
    ("year", "days"),
    [
        (2026, ["01-01", "04-03", "04-06", "05-04", "05-25", "08-31", "12-25", "12-28"]),
        (2027, ["01-01", "03-26", "03-29", "05-03", "05-31", "08-30", "12-27", "12-28"]),
    ],
)
def test_the_bank_holidays_are_those_that_the_government_lists(year: int, days: list[str]) -> None:
    assert [f"{day:%m-%d}" for day in england_bank_holidays(year, year)] == days


def test_several_years_come_in_order_and_each_day_once() -> None:
    days = england_bank_holidays(2026, 2035)
    assert list(days) == sorted(set(days))
    assert {day.year for day in days} == set(range(2026, 2036))
    assert all(day.weekday() < 5 for day in days)
