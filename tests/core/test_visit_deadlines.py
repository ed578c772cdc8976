"""The timetable of a visit: what is quiet, what is due, what ends it (spec 21.2, 21.4, 19.6.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.core import facts as f
from monitor.core.inputs import DeadlineFailed
from tests.core.driver import MONDAY, THERE, Desk

MINUTE = timedelta(minutes=1)


def kinds(bodies: list[f.FactBody]) -> list[str]:
    return [type(body).__name__ for body in bodies]


# --- late ---


@pytest.mark.parametrize(
    ("policy", "row", "late_after_s"),
    [
        ({}, {}, 1800),
        ({}, {"late_after": timedelta(seconds=2)}, 2),
        ({}, {"late_after": timedelta(minutes=45), "time_critical": True}, 2700),
        ({"time_critical_late_after": timedelta(minutes=10)}, {"time_critical": True}, 600),
        ({"time_critical_late_after": timedelta(minutes=10)}, {}, 1800),
        ({"late_after": timedelta(minutes=5)}, {"time_critical": True}, 300),
    ],
)
def test_a_millisecond_before_the_tolerance_is_quiet_and_at_the_tolerance_is_the_alert(
    policy: dict[str, Any], row: dict[str, Any], late_after_s: int
) -> None:
    desk = Desk(**policy)
    desk.plan(**row)
    before = desk.advance(seconds=late_after_s, milliseconds=-1)
    # the care worker alone may have been asked; nobody else hears of it
    assert {type(body) for body in before} <= {f.VisitLooked, f.MessageIntended, f.MessageSettled}
    assert {message.purpose for message in desk.messages()} <= {"ask_worker"}
    assert desk.alerts() == []
    desk.advance(milliseconds=1)
    assert desk.alert().due_at == desk.alert().opened_at == MONDAY + timedelta(seconds=late_after_s)
    assert desk.alert().time_critical == bool(row.get("time_critical"))


def test_an_arrival_a_microsecond_before_the_tolerance_is_on_time() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=30, microseconds=-1)
    assert desk.check().outcome == "arrived"
    assert desk.visit().verdicts == ("on_time",)
    desk.advance(minutes=20)
    assert desk.alerts() == []


def test_an_arrival_at_the_tolerance_is_late_and_ends_the_alert_that_was_due_in_the_same_moment() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=30)
    assert desk.check().outcome == "arrived_late"
    assert desk.visit().verdicts == ("late",)
    assert (desk.alert().state, desk.alert().ended_reason) == ("ended", "arrived")


def test_an_alert_is_raised_once_and_keeps_the_moment_it_was_due() -> None:
    desk = Desk()
    desk.plan()
    desk.now += timedelta(minutes=41)
    desk.advance()
    assert (desk.alert().due_at, desk.alert().opened_at) == (MONDAY + 30 * MINUTE, MONDAY + 41 * MINUTE)
    desk.advance(hours=1)
    assert len(desk.alerts()) == 1


def test_deadlines_over_two_hours_old_go_to_staff_in_one_digest_and_stay_open_alerts() -> None:
    desk = Desk()
    for n in range(3):
        desk.plan(f"v{n}", start=MONDAY + n * MINUTE)
    desk.plan("v9", start=MONDAY + 20 * MINUTE)
    desk.now = MONDAY + timedelta(hours=2, minutes=35)
    desk.advance()
    assert [alert.reason for alert in desk.alerts("late_visit")] == ["while_down"] * 3 + [""]
    (digest,) = desk.alerts("incident")
    told = {m.alert for m in desk.messages("summon")}
    assert told == {digest.ref, desk.alerts("late_visit")[3].ref}
    assert [m.person for m in desk.messages("reassure")] == ["ed"]


def test_exactly_two_hours_late_still_runs_the_procedure() -> None:
    desk = Desk()
    desk.plan()
    desk.now = MONDAY + timedelta(hours=2, minutes=30)
    desk.advance()
    assert desk.alert().reason == ""
    assert desk.messages("reassure")


def test_the_digest_ends_with_the_last_alert_it_was_about() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", service_user="fay", workers=("kit",))
    desk.now = MONDAY + timedelta(hours=3)
    desk.advance()
    desk.check(at=MONDAY + 5 * MINUTE, visit="v1")
    assert desk.alert("incident").state == "open"
    desk.check(at=MONDAY + 5 * MINUTE, visit="v2", device="d-kit")
    assert desk.alert("incident").state == "ended"


# --- evidence that comes late ---


def test_an_on_time_arrival_that_reaches_us_late_retracts_the_alert_as_late_evidence() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=40)
    assert desk.check(at=MONDAY + 29 * MINUTE).outcome == "retracts_alert"
    assert desk.alert().ended_reason == "late_evidence"
    assert desk.visit().verdicts == ("on_time", "late_evidence")


def test_a_late_arrival_that_reaches_us_later_still_ends_the_alert_as_arrived() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=50)
    assert desk.check(at=MONDAY + 31 * MINUTE).outcome == "arrived_late"
    assert desk.alert().ended_reason == "arrived"


def test_another_care_worker_ends_the_alert_under_that_name() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.check(device="d-kit", service_user="ed")
    assert desk.alert().ended_reason == "other_worker_arrived"
    assert "other_worker" in desk.visit().verdicts


def test_a_late_known_arrival_with_its_departure_behind_it_wakes_nobody() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(hours=2)
    desk.check(at=MONDAY + MINUTE)
    desk.advance(minutes=5)
    desk.check("leave", at=MONDAY + 31 * MINUTE)
    desk.advance(hours=3)
    assert desk.alerts("lone_worker") == []


# --- missed ---


@pytest.mark.parametrize(("length_min", "missed_min"), [(30, 90), (90, 90), (91, 91), (240, 240)])
def test_missed_is_the_later_of_the_planned_end_and_an_hour_after_the_alert(
    length_min: int, missed_min: int
) -> None:
    desk = Desk()
    desk.plan(end=MONDAY + length_min * MINUTE)
    assert "VisitMissed" not in kinds(desk.advance(minutes=missed_min, milliseconds=-1))
    assert "VisitMissed" in kinds(desk.advance(milliseconds=1))
    assert desk.alert().state == "open"


def test_a_later_arrival_withdraws_the_miss_by_a_fact() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=100)
    before = len(desk.facts)
    desk.check()
    named = kinds([fact.body for fact in desk.facts[before:]])
    assert named[:3] == ["CheckInRecorded", "MissWithdrawn", "ArrivalRecorded"]
    assert not desk.visit().missed


def test_an_arrival_in_time_is_never_missed() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    assert "VisitMissed" not in kinds(desk.advance(hours=6))


# --- arrived and not left ---


def test_not_left_45_minutes_after_the_end_the_care_worker_is_asked_and_ten_later_looked_for() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=75, milliseconds=-1)
    assert desk.messages() == []
    desk.advance(milliseconds=1)
    assert [(m.person, m.template) for m in desk.messages()] == [("dee", "CW-6")]
    desk.advance(minutes=10, milliseconds=-1)
    assert desk.alerts() == []
    desk.advance(milliseconds=1)
    assert (desk.alert("lone_worker").worker, desk.messages("reassure")) == ("dee", [])


def test_a_departure_ends_the_lone_worker_alert() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=90)
    assert desk.check("leave").outcome == "left_overrun"
    assert desk.alert("lone_worker").state == "ended"


def test_somebody_who_came_long_after_the_planned_end_is_given_the_time_of_the_visit() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=80)
    desk.check()
    before = len(desk.messages("ask_worker"))
    desk.advance(minutes=74)
    assert len(desk.messages("ask_worker")) == before
    desk.advance(minutes=1)
    assert desk.messages("ask_worker")[-1].template == "CW-6"


def test_while_the_run_goes_on_nobody_is_woken() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + 45 * MINUTE, service_user="fay")
    desk.check(visit="v1")
    desk.advance(minutes=119)
    assert [m for m in desk.messages("ask_worker") if m.visit == "v1"] == []
    desk.advance(minutes=1)
    assert [m.template for m in desk.messages("ask_worker") if m.visit == "v1"] == ["CW-6"]
    desk.advance(minutes=10)
    assert desk.alert("lone_worker").visit == "v1"


def test_the_next_arrival_elsewhere_proves_the_departure_without_its_time() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + 45 * MINUTE, service_user="fay")
    desk.check(visit="v1")
    desk.advance(minutes=45)
    desk.check(visit="v2")
    (place,) = desk.visit("v1").places
    assert (place.left, place.left_at) == (True, None)
    assert "left_time_unknown" in desk.visit("v1").verdicts


def test_the_same_person_s_next_visit_proves_the_departure_from_the_last_too() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + timedelta(hours=4))
    desk.check(visit="v1")
    desk.advance(hours=4)
    assert desk.alert("lone_worker").state == "open"
    desk.check(visit="v2")
    assert desk.alert("lone_worker").state == "ended"


def test_an_unplanned_care_worker_s_next_arrival_proves_the_departure_as_well() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + 45 * MINUTE, service_user="fay", workers=("kit",))
    desk.check(device="d-kit", service_user="ed")
    desk.advance(minutes=45)
    desk.check(device="d-kit", visit="v2")
    assert desk.visit("v1").places[0].left


# --- double-handed ---


def test_the_second_care_worker_missing_is_an_alert_of_its_own_and_no_machine_rings_the_service_user() -> (
    None
):
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.advance(minutes=29, seconds=59)
    assert desk.alerts() == []
    desk.advance(seconds=1)
    assert [alert.kind for alert in desk.alerts()] == ["second_worker_missing"]
    desk.advance(minutes=20)
    assert desk.messages("reassure") == []


def test_each_care_worker_takes_one_place_and_the_second_ends_the_alert() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.advance(minutes=31)
    assert desk.check(device="d-kit").outcome == "arrived_late"
    assert [place.worker for place in desk.visit().places] == ["dee", "kit"]
    assert desk.alert("second_worker_missing").ended_reason == "arrived"


def test_the_first_of_two_ends_the_late_alert_and_the_second_place_then_has_its_own() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.advance(minutes=31)
    desk.check()
    assert desk.alert("late_visit").state == "ended"
    assert desk.alert("second_worker_missing").state == "open"


def test_a_first_care_worker_who_leaves_early_does_not_hide_that_the_second_never_came() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.advance(minutes=20)
    desk.check("leave")
    desk.advance(minutes=10)
    assert desk.alert("second_worker_missing").state == "open"
    desk.act("close", "mary", alert=desk.alert("second_worker_missing"), reason="outcome_recorded")
    desk.advance(hours=37)
    assert "v1" not in desk.state.values.visits


# --- at the door ---


def test_no_reply_at_the_door_is_its_own_alert_and_the_late_alert_waits_for_it() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=5)
    assert desk.check("no_reply").outcome == "no_reply"
    desk.advance(minutes=60)
    assert [alert.kind for alert in desk.alerts()] == ["no_reply"]
    assert desk.messages("summon")


def test_the_late_alert_comes_when_no_reply_ends_without_an_arrival_or_an_outcome() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=5)
    desk.check("no_reply")
    desk.advance(minutes=40)
    desk.text("ed", word="help")
    desk.act("close", "mary", alert=desk.alert("no_reply"), reason="merged")
    desk.advance()
    assert desk.alert("late_visit").due_at == MONDAY + 30 * MINUTE


def test_an_answered_door_ends_the_no_reply_as_arrived() -> None:
    desk = Desk()
    desk.plan()
    desk.check("no_reply")
    desk.advance(minutes=5)
    assert desk.check().outcome == "arrived"
    assert desk.alert("no_reply").ended_reason == "arrived"


# --- outcomes of people ---


@pytest.mark.parametrize("reason", ["outcome_recorded", "cancelled_confirmed", "replacement_arrived"])
def test_a_named_person_s_outcome_settles_the_visit_and_nothing_more_is_raised(reason: str) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.act("close", "mary", reason=reason, raised_by="service_user")
    later = kinds(desk.advance(hours=30))
    assert "VisitMissed" not in later
    assert "AlertRaised" not in later
    assert desk.visit().cancelled == (reason == "cancelled_confirmed")


def test_a_resolved_visit_raises_nothing_for_the_second_place_either() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.advance(minutes=31)
    desk.act("close", "mary", reason="outcome_recorded")
    desk.advance(minutes=5)
    desk.check()
    desk.advance(hours=30)
    assert [alert.kind for alert in desk.alerts()] == ["late_visit"]


# --- when state ends ---


@pytest.mark.parametrize("how", ["left", "cancelled", "resolved"])
def test_a_finished_visit_leaves_the_state_36_hours_later(how: str) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + timedelta(hours=5))
    if how == "cancelled":
        desk.upload(complete=True, covers_from=MONDAY, covers_to=MONDAY + timedelta(days=1), confirm=True)
    else:
        desk.advance(hours=5, minutes=40 if how == "resolved" else 0)
        if how == "left":
            desk.check()
            desk.advance(minutes=10)
            desk.check("leave")
        else:
            desk.act("close", "mary", reason="outcome_recorded")
    desk.advance(hours=36, milliseconds=-1)
    assert "v1" in desk.state.values.visits
    desk.advance(milliseconds=1)
    assert "v1" not in desk.state.values.visits
    assert desk.state.by_worker == {}


def test_a_missed_visit_stays_until_36_hours_after_its_alert_ended() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(hours=40)
    assert desk.visit().missed
    desk.text("ed", word="help")
    desk.act("close", "mary", reason="merged")
    desk.act("close", "mary", alert=desk.alert("help_asked"), reason="seen_well")
    desk.advance(hours=36, milliseconds=-1)
    assert "v1" in desk.state.values.visits
    desk.advance(milliseconds=1)
    assert "v1" not in desk.state.values.visits


def test_somebody_who_comes_to_a_resolved_visit_does_not_keep_it_for_ever() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.act("close", "mary", reason="outcome_recorded")
    desk.check()
    desk.advance(hours=37)
    assert desk.state.values.visits == {}


def test_evidence_after_the_visit_has_left_the_state_is_recorded_and_reopens_nothing() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=10)
    desk.check("leave")
    desk.advance(hours=37)
    assert desk.check(visit="v1", at=MONDAY + MINUTE).outcome == "unplanned"
    assert desk.state.values.visits == {}


def test_an_ended_alert_takes_its_messages_and_questions_with_it() -> None:
    desk = Desk(ask_duty=False)
    desk.plan(service_user="fay")
    desk.advance(minutes=31)
    desk.send_all()
    desk.check()
    desk.advance(minutes=10)
    desk.check("leave")
    desk.advance(hours=37)
    assert desk.state.values.alerts == {}
    assert desk.state.values.messages == {}
    assert not [q for asked in desk.state.values.questions.values() for q in asked if q.open]


# --- the heap ---


def test_time_critical_visits_come_first_among_those_due_together() -> None:
    desk = Desk()
    for n in range(5):
        desk.plan(f"v{n}", time_critical=n in (3, 4), late_after=timedelta(minutes=30))
    desk.advance(minutes=30)
    assert [alert.visit for alert in desk.alerts("late_visit")][:2] == ["v3", "v4"]


def test_a_visit_that_becomes_time_critical_moves_forward_among_those_due_together() -> None:
    desk = Desk()
    desk.plan("v1", service_user="fay")
    desk.plan("v2")
    desk.plan("v2", time_critical=True)
    desk.advance(minutes=30)
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["v2", "v1"]


def test_at_most_so_many_are_taken_in_one_turn_and_each_once() -> None:
    desk = Desk()
    for n in range(7):
        desk.plan(f"v{n}")
    now = MONDAY + 30 * MINUTE
    first, second = desk.state.take_due(now, 5), desk.state.take_due(now, 5)
    assert (len(first), len(second), len(desk.state.take_due(now, 5))) == (5, 2, 0)
    assert len({subject for subject, _ in (*first, *second)}) == 7


def test_a_fault_of_the_watch_is_told_to_staff_once_for_each_visit() -> None:
    desk = Desk()
    desk.plan()
    for _ in range(2):
        desk.tell(DeadlineFailed(subject="v1", due_at=desk.now, error="ZeroDivisionError"))
    assert desk.alert("watch_fault").visit == "v1"
    assert len(desk.bodies(f.WatchFault)) == 2
    assert {m.template for m in desk.messages("summon")} == {"OC-14"}


def test_a_place_far_away_is_shown_and_the_late_alert_says_so() -> None:
    desk = Desk()
    desk.plan()
    desk.check(position=THERE, mock=True)
    desk.advance(minutes=30)
    assert desk.alert().reason == "place_inconsistent"


def test_a_short_overrun_of_the_policy_is_kept_after_a_live_arrival() -> None:
    desk = Desk(MONDAY, overrun_after=timedelta(seconds=2))
    desk.plan(end=MONDAY + timedelta(seconds=5))
    desk.check("arrive")
    desk.advance(seconds=6.999)
    assert desk.messages() == []
    desk.advance(seconds=0.001)
    assert [(m.template, m.intended_at) for m in desk.messages()] == [("CW-6", MONDAY + timedelta(seconds=7))]
