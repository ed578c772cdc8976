"""What looks like an arrival and is none: the next visit of the same home, another home's tag, a check-in half a day
later. Each of these once ended a watch in silence (domain.md: few false alarms, none missed)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core import facts as f
from tests.core.driver import AWAY, HOME, MONDAY, NEXT_DOOR, THERE, Desk

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ARRIVES: tuple[dict[str, Any], ...] = (
    {},
    {"service_user": "ed", "tag": True},
    {"region_enter": True, "position": THERE},
    {"position": THERE},
)
"""The ways in which who is in the home may seem to arrive once more."""


def two_visits(gap: timedelta) -> Desk:
    """One person's two visits of half an hour by the same care worker, with so much between their starts."""
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + gap)
    return desk


# --- who is inside already does not begin the next visit ---


@pytest.mark.parametrize("how", ARRIVES)
def test_an_arrival_said_again_inside_the_home_leaves_the_next_visit_there_watched(
    how: dict[str, Any],
) -> None:
    """A phone that starts anew enters its region again, and a thumb presses twice."""
    desk = two_visits(90 * MINUTE)
    desk.check(**how)
    desk.advance(minutes=20)
    again = desk.check(**how)
    assert (again.outcome, again.visit) == ("duplicate", "v1")
    desk.advance(minutes=10)
    assert desk.check("leave", **how).visit == "v1"
    desk.advance(minutes=90)
    assert desk.alert().visit == "v2"


@pytest.mark.parametrize("how", ARRIVES)
@pytest.mark.parametrize(("after_min", "visit"), [(2, "v1"), (44, "v1"), (45, "v2")])
def test_who_left_and_comes_back_is_back_there_and_not_yet_at_the_next_visit(
    how: dict[str, Any], after_min: int, visit: str
) -> None:
    """A phone that loses its position for a minute leaves its region and enters it again."""
    desk = two_visits(100 * MINUTE)
    desk.check(**how)
    desk.advance(minutes=30)
    assert desk.check("leave", **how).visit == "v1"
    desk.advance(minutes=after_min)
    assert desk.check(**how).visit == visit
    assert desk.visit("v1").places[0].left is (visit == "v2")
    assert desk.visit("v2").anybody_there is (visit == "v2")


def test_fixes_of_a_phone_that_lies_in_the_home_are_no_arrival_at_the_next_visit() -> None:
    desk = two_visits(90 * MINUTE)
    for _ in range(6):
        desk.check("fix", position=THERE)
        desk.advance(minutes=5)
    assert desk.visit("v1").anybody_there
    assert not desk.visit("v2").anybody_there


@pytest.mark.parametrize(
    ("at_min", "visit"),
    [(14, "v1"), (15, "v2"), (29, "v2")],
    ids=["16 min before", "15 min before", "at the end"],
)
def test_within_the_agreed_timeframe_the_next_visit_is_meant_though_nobody_checked_out(
    at_min: int, visit: str
) -> None:
    """KPI 3.6: fifteen minutes around what was agreed."""
    desk = two_visits(30 * MINUTE)
    desk.check()
    desk.advance(minutes=at_min)
    assert desk.check().visit == visit


@pytest.mark.parametrize(("at_min", "visit"), [(74, "v1"), (75, "v2")])
def test_a_check_out_that_was_forgotten_does_not_keep_who_comes_back_from_the_next_visit(
    at_min: int, visit: str
) -> None:
    """Until the moment at which they would be asked whether they have left."""
    desk = two_visits(100 * MINUTE)
    desk.check()
    desk.advance(minutes=at_min)
    assert desk.check().visit == visit


# --- the tag of somebody else's home ---


def test_a_tag_of_another_home_is_no_arrival_at_the_visit_that_is_named_beside_it() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.advance(minutes=30)
    said = desk.check(visit="v1", service_user="fay", tag=True)
    assert said.outcome == "flagged_place"
    assert desk.alert().state == "open"
    assert "place_inconsistent" in desk.visit("v1").verdicts


def test_of_two_people_in_one_home_the_tag_of_either_will_do() -> None:
    desk = Desk()
    desk.people.home["fay"] = (HOME,)
    desk.plan("v1")
    assert desk.check(visit="v1", service_user="fay", tag=True).outcome == "arrived"


# --- long after ---


@pytest.mark.parametrize(
    ("hours", "counts"),
    [(5.5, True), (5.5001, False), (11, False)],
    ids=["in time", "too late", "in the evening"],
)
def test_a_visit_that_is_named_half_a_day_later_was_missed_all_the_same(hours: float, counts: bool) -> None:
    """21.4: as for one that nobody names, four hours after its end or after it was missed."""
    desk = Desk()
    desk.plan("v1")
    desk.advance(hours=hours)
    said = desk.check(visit="v1")
    assert (said.outcome == "arrived_late", desk.visit("v1").missed) == (counts, not counts)
    assert desk.alert().state == ("ended" if counts else "open")


def test_evidence_of_then_that_reaches_us_half_a_day_later_counts() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.advance(hours=11)
    assert desk.check(visit="v1", at=MONDAY).outcome == "retracts_alert"
    assert desk.alert().ended_reason == "late_evidence"


# --- gone after a few minutes, without a check-out ---


@pytest.mark.parametrize(("minutes", "told"), [(9, 1), (10, 0)])
def test_who_is_elsewhere_before_a_third_of_the_time_has_left_too_soon_also_without_a_check_out(
    minutes: int, told: int
) -> None:
    """21.4: the next arrival says that they were here no longer than that."""
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + 20 * MINUTE, service_user="fay")
    desk.check(position=THERE)
    desk.advance(minutes=minutes)
    desk.check(position=NEXT_DOOR)
    assert [(a.visit, a.count) for a in desk.alerts("very_short")] == [("v1", minutes)] * told


@pytest.mark.parametrize("shares", ["home", "line"])
def test_who_checks_in_with_both_of_a_couple_at_once_has_left_neither(shares: str) -> None:
    desk = Desk()
    if shares == "home":
        desk.people.home["fay"] = (HOME,)
    else:
        desk.people.home["fay"] = ()
        desk.people.people["fay"] = structs.replace(
            desk.people.people["fay"], lines=desk.people.people["ed"].lines
        )
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + 30 * MINUTE, service_user="fay")
    desk.check(service_user="ed", tag=True)
    desk.advance(minutes=1)
    desk.check(service_user="fay", tag=True)
    assert desk.alerts("very_short") == []


def test_a_clock_that_runs_ahead_hides_no_very_short_visit() -> None:
    """Receipt counts, and by receipt they stayed five minutes."""
    desk = Desk()
    desk.plan("v1")
    desk.check(at=desk.now + 10 * MINUTE)
    desk.advance(minutes=5)
    assert desk.check("leave", at=desk.now + 10 * MINUTE).outcome == "clock_doubtful"
    assert len(desk.alerts("very_short")) == 1


# --- a door that was not theirs ---


@pytest.mark.parametrize("how", [{"position": AWAY}, {"position": THERE, "mock": True}])
def test_no_reply_said_from_elsewhere_is_heard_and_the_visit_is_late_at_its_time(how: dict[str, Any]) -> None:
    """Nobody is known to stand at that door: staff hear it, and the service user is rung all the same."""
    desk = Desk()
    desk.plan("v1")
    desk.advance(minutes=5)
    assert desk.check("no_reply", **how).outcome == "no_reply"
    assert desk.alert("no_reply").reason in ("flagged_place", "mock_position")
    desk.advance(minutes=25)
    assert desk.alert("late_visit").state == "open"
    assert desk.messages("reassure", "ed")


def test_no_reply_at_the_door_itself_is_its_own_procedure() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.advance(minutes=5)
    desk.check("no_reply", position=THERE)
    desk.advance(minutes=60)
    assert [alert.kind for alert in desk.alerts()] == ["no_reply"]
    assert not desk.bodies(f.ArrivalRecorded)


# --- merged: only while there is another alert in which somebody goes on ---


def merged(desk: Desk, kind: str) -> bool:
    """Whether the alert could be closed as part of another one; if not, the answer says with what it may be."""
    alert = desk.alert(kind)
    refusal = desk.act("close", "mary", alert=alert, reason="merged").refusal
    if refusal is None:
        return True
    assert refusal.code == "reason"
    assert "outcome_recorded" in refusal.detail["expected"]
    assert "merged" not in refusal.detail["expected"]
    assert desk.alert(kind).state == "open"
    return False


def test_an_alert_is_part_of_another_one_only_while_another_one_is_open_for_that_person() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    assert not merged(desk, "late_visit")
    desk.text("ed", word="help")
    desk.act("close", "mary", alert=desk.alert("help_asked"), reason="seen_well")
    assert not merged(desk, "late_visit")
    desk.check("no_reply", service_user="ed")
    assert merged(desk, "late_visit")
    assert not merged(desk, "no_reply")


@pytest.mark.parametrize("worker", ["kit", "dee"])
def test_somebody_else_s_alert_is_no_other_alert_of_theirs_also_with_the_same_care_worker(
    worker: str,
) -> None:
    desk = Desk()
    desk.plan()
    desk.plan("v2", service_user="fay", workers=(worker,))
    desk.advance(minutes=31)
    first, second = desk.alerts("late_visit")
    for alert in (first, second):
        refusal = desk.act("close", "mary", alert=alert, reason="merged").refusal
        assert refusal is not None
        assert refusal.code == "reason"


def test_a_care_worker_who_has_not_left_may_be_looked_for_in_their_own_call_for_help() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=85)
    assert not merged(desk, "lone_worker")
    desk.check("help", device="d-kit")
    assert not merged(desk, "lone_worker")
    desk.act("close", "mary", alert=desk.alert("help_asked"), reason="seen_well")
    desk.check("help")
    assert desk.act("close", "mary", alert=desk.alert("lone_worker"), reason="merged").refusal is None
