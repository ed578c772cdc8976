"""Too early to a time-critical visit (spec 21.2): who is there is told, and staff are summoned, before two doses come
too close."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.driver import MONDAY, Desk

MINUTE = timedelta(minutes=1)


def coming(early_s: float, *, time_critical: bool = True, workers: tuple[str, ...] = ("dee",)) -> Desk:
    """A visit at whose home dee is that much before its start."""
    desk = Desk()
    desk.plan(start=MONDAY + timedelta(seconds=early_s), time_critical=time_critical, workers=workers)
    desk.check(visit="v1")
    return desk


@pytest.mark.parametrize(("early_s", "told"), [(900, 0), (900.001, 1), (3600, 1)])
def test_outside_of_the_agreed_timeframe_of_a_time_critical_visit_somebody_is_summoned(
    early_s: float, told: int
) -> None:
    """KPI 3.6: fifteen minutes."""
    desk = coming(early_s)
    assert [(a.worker, a.visit, a.count) for a in desk.alerts("very_early")] == [
        ("dee", "v1", int(early_s // 60))
    ] * told
    assert [m.template for m in desk.messages("notice", "dee")] == ["CW-220"] * told
    assert [m.template for m in desk.messages("summon", "paul")] == ["OC-220"] * told


def test_who_comes_early_to_any_other_visit_is_marked_and_nobody_is_rung() -> None:
    desk = coming(3600, time_critical=False)
    assert desk.alerts() == []
    assert "early" in desk.visit().verdicts


def test_it_is_told_once_and_a_person_closes_it() -> None:
    desk = coming(3600, workers=("dee", "kit"))
    desk.check(visit="v1", device="d-kit")
    alert = desk.alert("very_early")
    desk.advance(hours=2)
    assert desk.alert("very_early").state == "open"
    assert desk.act("close", "mary", alert=alert, reason="seen_well").refusal is None
    assert not desk.visit().resolved


def test_what_reaches_us_when_its_time_has_come_is_shown_and_warns_of_nothing() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + 60 * MINUTE, time_critical=True)
    desk.advance(minutes=60)
    desk.check(visit="v1", at=MONDAY)
    assert desk.alerts() == []
    assert "early" in desk.visit().verdicts


def test_a_late_change_of_the_plan_does_not_make_who_comes_as_agreed_early() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + 20 * MINUTE, time_critical=True)
    desk.plan(start=MONDAY + 80 * MINUTE, time_critical=True)
    desk.advance(minutes=10)
    desk.check(visit="v1")
    assert desk.alerts("very_early") == []
