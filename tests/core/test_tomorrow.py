"""The look at tomorrow's rota, every day at 18:00 by the desk's clocks (domain.md: an empty rota is a silent watch)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core import facts as f
from monitor.core.inputs import RotaRow
from monitor.core.tomorrow import usual_on
from tests.core.driver import MONDAY, Desk

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SIX = MONDAY.replace(hour=18)


def rows(day: datetime, count: int) -> list[RotaRow]:
    """So many visits of a local day, from ten on."""
    start = day.replace(hour=10, minute=0)
    return [
        RotaRow(
            row=n,
            key=f"v{day:%j}-{n}",
            visit=f"v{day:%j}-{n}",
            service_user="ed",
            start=start + n * timedelta(minutes=1),
            end=start + n * timedelta(minutes=1) + HOUR,
        )
        for n in range(1, count + 1)
    ]


def office(now: datetime = MONDAY, **more: Any) -> Desk:
    more.setdefault("closes_after", HOUR)
    return Desk(now, looks_ahead=True, public="off", **more)


def alarms(desk: Desk) -> list[tuple[str, str]]:
    return [(a.reason, a.state) for a in desk.alerts("rota")]


def sizes_known(desk: Desk, sizes: dict[date, int]) -> None:
    desk.state.values.day_sizes.update(sizes)


@pytest.mark.parametrize(("moment", "told"), [(-timedelta(milliseconds=1), 0), (timedelta(), 1)])
def test_an_empty_tomorrow_is_an_alarm_at_six_to_the_millisecond(moment: timedelta, told: int) -> None:
    desk = office()
    desk.upload(*rows(MONDAY, 4))
    desk.advance(seconds=(SIX + moment - desk.now).total_seconds())
    assert [r for r, _ in alarms(desk)] == ["tomorrow_empty"] * told


def test_its_words_say_what_is_missing_and_the_fact_how_many_there_were() -> None:
    desk = office()
    desk.upload(*rows(MONDAY, 4), *rows(MONDAY + DAY, 3))
    sizes_known(desk, {(MONDAY - 6 * DAY).date(): 8})
    desk.advance(hours=10)
    (alert,) = desk.alerts("rota")
    assert (alert.reason, alert.count, alert.due_at) == ("tomorrow_half", 3, SIX)
    (looked,) = desk.bodies(f.RotaLooked)
    assert (looked.day, looked.visits, looked.tomorrow) == (MONDAY.date(), 4, 3)
    assert "OC-141" in {m.template for m in desk.messages("summon") if m.alert == alert.ref}


@pytest.mark.parametrize(("tomorrow", "told"), [(4, []), (3, ["tomorrow_half"]), (0, ["tomorrow_empty"])])
def test_half_is_judged_by_the_same_weekday_a_week_before(tomorrow: int, told: list[str]) -> None:
    desk = office()
    desk.upload(*rows(MONDAY, 100), *rows(MONDAY + DAY, tomorrow))
    sizes_known(desk, {(MONDAY - 6 * DAY).date(): 8, (MONDAY - 7 * DAY).date(): 100})
    desk.advance(hours=10)
    assert [reason for reason, _ in alarms(desk)] == told


def test_a_day_that_was_empty_a_week_before_is_meant_so() -> None:
    desk = office()
    desk.upload(*rows(MONDAY, 9))
    sizes_known(desk, {(MONDAY - 6 * DAY).date(): 0})
    desk.advance(hours=10)
    assert alarms(desk) == []


def test_a_desk_that_never_had_a_rota_is_not_looked_at() -> None:
    desk = office()
    desk.advance(hours=48)
    assert desk.bodies(f.RotaLooked) == []


CHRISTMAS = date(2026, 12, 25)
BOXING = date(2026, 12, 28)
"""The substitute day of 26 December 2026, a Saturday: a Monday."""


@pytest.mark.parametrize(
    ("day", "sizes", "usual"),
    [
        (date(2026, 12, 22), {date(2026, 12, 15): 7}, 7),
        (CHRISTMAS, {date(2026, 12, 18): 9, date(2026, 12, 20): 5}, 5),
        (CHRISTMAS, {date(2026, 12, 18): 9}, 9),
        (BOXING, {date(2026, 12, 21): 9, date(2026, 12, 27): 4}, 4),
        (date(2027, 1, 4), {BOXING: 4, date(2026, 12, 21): 9}, 9),
        (date(2027, 1, 4), {BOXING: 4}, None),
        (date(2026, 12, 27), {date(2026, 12, 20): 5}, 5),
    ],
)
def test_a_bank_holiday_counts_as_a_sunday_and_is_no_measure_for_a_working_day(
    day: date, sizes: dict[date, int], usual: int | None
) -> None:
    desk = office(holidays=(CHRISTMAS, BOXING))
    sizes_known(desk, sizes)
    assert usual_on(desk.state, day) == usual


def test_a_rota_that_mends_it_ends_the_alarm_and_one_that_does_not_leaves_it() -> None:
    desk = office()
    desk.upload(*rows(MONDAY, 4))
    sizes_known(desk, {(MONDAY - 6 * DAY).date(): 8})
    desk.advance(hours=10)
    assert alarms(desk) == [("tomorrow_empty", "open")]
    desk.upload(*rows(MONDAY + DAY, 3), portion=2)
    assert alarms(desk) == [("tomorrow_empty", "open")], "it is still less than half"
    desk.upload(*rows(MONDAY + DAY, 5), portion=2)
    assert alarms(desk) == [("tomorrow_empty", "ended")]
    (alert,) = desk.alerts("rota")
    assert [b.outcome for b in desk.bodies(f.AlertEnded)] == ["mended"]
    assert alert.ended_reason == "outcome_recorded"


def test_it_is_told_once_a_day_and_again_the_next_day_when_somebody_has_closed_it() -> None:
    desk = office(rota_old_after=14 * DAY)
    desk.upload(*rows(MONDAY, 4))
    desk.advance(hours=12)
    assert len(desk.alerts("rota")) == 1
    desk.act("close", "paul", alert=desk.alerts("rota")[0], reason="other")
    desk.advance(hours=21.9)
    assert len(desk.bodies(f.RotaLooked)) == 1
    desk.advance(hours=0.1)
    assert len(desk.bodies(f.RotaLooked)) == 2
    raised = [b.reason for b in desk.bodies(f.AlertRaised) if b.kind == "rota"]
    assert raised == ["tomorrow_empty"] * 2


def test_one_that_nobody_has_closed_is_not_raised_a_second_time() -> None:
    desk = office(rota_old_after=14 * DAY)
    desk.upload(*rows(MONDAY, 4))
    desk.advance(hours=60)
    assert alarms(desk) == [("tomorrow_empty", "open")]
    assert len(desk.bodies(f.RotaLooked)) == 3


def test_a_rota_that_is_still_old_is_told_again_at_six_after_somebody_has_closed_it() -> None:
    desk = office(rota_old_after=DAY)
    desk.upload(*[row for n in range(5) for row in rows(MONDAY + n * DAY, 2)])
    desk.advance(hours=25)
    assert alarms(desk) == [("rota_old", "open")]
    desk.act("close", "paul", alert=desk.alerts("rota")[0], reason="other")
    desk.advance(hours=9)
    assert [b.reason for b in desk.bodies(f.AlertRaised) if b.kind == "rota"] == ["rota_old"] * 2


def test_after_a_stop_over_several_evenings_there_is_one_look_for_the_last_of_them() -> None:
    desk = office()
    desk.upload(*rows(MONDAY, 4))
    desk.restart(snapshot=False)
    desk.now = MONDAY + 3 * DAY + HOUR
    desk.advance(hours=1)
    (looked,) = desk.bodies(f.RotaLooked)
    assert looked.day == (MONDAY + 2 * DAY).date()
    desk.restart()
    desk.advance(hours=9)
    assert [one.day for one in desk.bodies(f.RotaLooked)][1:] == [(MONDAY + 3 * DAY).date()]


@pytest.mark.parametrize(
    ("saturday", "utc_hours"),
    [
        (datetime(2026, 3, 28, 8, tzinfo=UTC), [18, 17, 17]),
        (datetime(2026, 10, 24, 8, tzinfo=UTC), [17, 18, 18]),
    ],
)
def test_it_is_six_by_the_desk_s_clocks_on_the_days_on_which_they_change(
    saturday: datetime, utc_hours: list[int]
) -> None:
    desk = office(saturday)
    desk.upload(*[row for n in range(5) for row in rows(saturday + n * DAY, 2)])
    desk.advance(hours=72)
    looks = [fact for fact in desk.facts if isinstance(fact.body, f.RotaLooked)]
    assert [fact.at.hour for fact in looks] == utc_hours
    assert [fact.body.visits for fact in looks] == [2, 2, 2]
    assert [fact.body.tomorrow for fact in looks] == [2, 2, 2]


def test_the_time_of_day_is_the_policy_s() -> None:
    desk = office(rota_look_at=time(9, 30))
    desk.upload(*rows(MONDAY, 4))
    desk.advance(hours=2)
    assert [fact.at for fact in desk.facts if isinstance(fact.body, f.RotaLooked)] == [
        MONDAY.replace(hour=9, minute=30)
    ]


def test_a_visit_that_is_called_off_is_none_of_tomorrow_s() -> None:
    desk = office()
    (row,) = rows(MONDAY + DAY, 1)
    desk.upload(*rows(MONDAY, 1), row)
    desk.upload(structs.replace(row, cancelled=True), confirm=True)
    desk.advance(hours=10)
    assert [reason for reason, _ in alarms(desk)] == ["tomorrow_empty"]
