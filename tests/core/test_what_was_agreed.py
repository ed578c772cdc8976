"""Agreed, planned, actual; cancellations; kinds of visit; very short visits; a second care worker who is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.core import facts as f
from monitor.core.inputs import VISIT_KINDS, Agreed, RotaRow
from monitor.core.upload import row_warnings
from tests.core.driver import MONDAY, NOWHERE, THERE, Desk

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SPOKEN = Agreed(by="olga", raised_by="service_user", at=MONDAY)


# --- agreed, planned, actual ---


@pytest.mark.parametrize(
    ("notice", "agreed_moves"), [(2 * HOUR, True), (2 * HOUR - timedelta(milliseconds=1), False)]
)
def test_a_plan_moved_within_two_hours_of_its_start_keeps_what_was_agreed(
    notice: timedelta, agreed_moves: bool
) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + notice)
    desk.plan(start=MONDAY + notice + HOUR)
    visit = desk.visit()
    assert visit.start == MONDAY + notice + HOUR
    assert visit.agreed_start == MONDAY + notice + (HOUR if agreed_moves else timedelta())
    assert visit.late_at == visit.agreed_start + 30 * MINUTE


def test_a_late_change_that_a_named_person_has_agreed_moves_the_deadline_and_says_who_raised_it() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=MONDAY + 3 * HOUR, agreed=SPOKEN)
    visit = desk.visit()
    assert (visit.agreed_start, visit.late_at) == (MONDAY + 3 * HOUR, MONDAY + 3 * HOUR + 30 * MINUTE)
    (said,) = desk.bodies(f.ActionRecorded)
    assert (said.action, said.by, said.raised_by, said.done_at) == (
        "agree_change",
        "olga",
        "service_user",
        MONDAY,
    )


def test_an_upload_of_the_old_plan_does_not_take_back_what_was_agreed() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=MONDAY + 5 * HOUR, agreed=SPOKEN)
    desk.plan(start=MONDAY + HOUR)
    assert desk.visit().late_at == MONDAY + 5 * HOUR + 30 * MINUTE
    desk.advance(hours=5)
    assert desk.alerts() == []


def test_moving_a_plan_closes_no_alert_and_a_recorded_conversation_does() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.plan(start=MONDAY + 6 * HOUR)
    assert desk.alert().state == "open"
    desk.act("agree_change", "mary", raised_by="next_of_kin", start=MONDAY + 4 * HOUR)
    assert (desk.alert().state, desk.visit().start, desk.visit().agreed) == (
        "ended",
        MONDAY + 4 * HOUR,
        True,
    )
    desk.advance(hours=4)
    assert [alert.state for alert in desk.alerts("late_visit")] == ["ended", "open"]
    assert desk.alerts("late_visit")[1].due_at == MONDAY + 4 * HOUR + 30 * MINUTE


def test_a_rota_row_with_the_conversation_ends_the_alert_as_the_action_does() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.plan(start=MONDAY + 4 * HOUR, agreed=SPOKEN)
    assert desk.alert().state == "ended"
    desk.advance(hours=4)
    assert len(desk.alerts("late_visit")) == 2


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"start": MONDAY + HOUR}, "raised_by"),
        ({"raised_by": "family"}, "start"),
        ({"raised_by": "family", "start": MONDAY}, "start"),
        ({"raised_by": "family", "start": MONDAY + HOUR, "end": MONDAY + HOUR}, "start"),
    ],
)
def test_a_change_is_not_agreed_without_who_raised_it_and_a_time_to_come(
    more: dict[str, Any], code: str
) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    refused = desk.act("agree_change", "mary", **more)
    assert refused.refusal is not None
    assert refused.refusal.code == code
    assert desk.alert().state == "open"


def test_what_was_missed_is_not_agreed_away() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(hours=2)
    refused = desk.act("agree_change", "mary", raised_by="service_user", start=MONDAY + 4 * HOUR)
    assert refused.refusal is not None
    desk.plan(start=MONDAY + 6 * HOUR, agreed=SPOKEN)
    assert (desk.visit().missed, desk.visit().agreed_start) == (True, MONDAY)


@pytest.mark.parametrize(("before", "verdict"), [(15, "on_time"), (16, "early")])
def test_early_is_early_by_what_was_agreed_and_not_by_a_late_change_of_the_plan(
    before: int, verdict: str
) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=MONDAY + 30 * MINUTE)
    desk.advance(minutes=60 - before)
    desk.check()
    assert desk.visit().verdicts == (verdict,)


# --- cancellations (7.26-7.27) ---


@pytest.mark.parametrize(
    ("critical", "more", "code"),
    [
        (False, {}, "raised_by"),
        (False, {"raised_by": "care_worker"}, None),
        (True, {"raised_by": "service_user"}, "note"),
        (True, {"raised_by": "service_user", "note": NOWHERE}, None),
    ],
)
def test_a_cancellation_says_who_raised_it_and_a_time_critical_one_the_alternative(
    critical: bool, more: dict[str, Any], code: str | None
) -> None:
    desk = Desk()
    desk.plan(time_critical=critical)
    desk.advance(minutes=31)
    refusal = desk.act("close", "mary", reason="cancelled_confirmed", **more).refusal
    assert (refusal.code if refusal is not None else None) == code
    assert desk.visit().cancelled == (code is None)


def called_off(desk: Desk, visit: str, start: datetime, service_user: str = "ed") -> None:
    desk.plan(visit, start=start, service_user=service_user)
    desk.advance(seconds=(start + 31 * MINUTE - desk.now).total_seconds())
    alert = next(a for a in desk.alerts("late_visit") if a.visit == visit)
    desk.act("close", "mary", alert=alert, reason="cancelled_confirmed", raised_by="family")


@pytest.mark.parametrize(
    ("third_after", "patterns"),
    [(timedelta(days=14) - timedelta(milliseconds=1), 1), (timedelta(days=14), 0)],
)
def test_three_cancellations_of_one_person_in_fourteen_days_are_a_pattern(
    third_after: timedelta, patterns: int
) -> None:
    desk = Desk()
    called_off(desk, "v1", MONDAY)
    called_off(desk, "f1", MONDAY + HOUR, "fay")
    called_off(desk, "v2", MONDAY + timedelta(days=3))
    assert desk.alerts("incident") == []
    called_off(desk, "v3", MONDAY + third_after)
    assert [(a.reason, a.service_user, a.count) for a in desk.alerts("incident")] == [
        ("cancellations", "ed", 3)
    ] * patterns


# --- very short visits (21.4) ---


@pytest.mark.parametrize(("stayed_s", "alerts"), [(599, 1), (600, 0)])
def test_left_before_a_third_of_the_planned_time_alerts_the_office_at_once(
    stayed_s: int, alerts: int
) -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(seconds=stayed_s)
    desk.check("leave")
    found = desk.alerts("very_short")
    assert [(a.reason, a.worker, a.count, a.opened_at) for a in found] == [
        ("left_short", "dee", 9, desk.now)
    ] * alerts


def test_a_very_short_visit_is_told_once_also_when_they_come_back_and_leave_again() -> None:
    desk = Desk()
    desk.plan()
    for _ in range(2):
        desk.advance(minutes=2)
        desk.check()
        desk.advance(minutes=1)
        desk.check("leave")
    assert len(desk.alerts("very_short")) == 1


def test_of_two_care_workers_one_may_leave_early_while_the_other_stays() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.check(device="d-kit")
    desk.advance(minutes=5)
    desk.check("leave", device="d-kit")
    assert desk.alerts("very_short") == []
    desk.advance(minutes=1)
    desk.check("leave")
    assert [alert.kind for alert in desk.alerts()] == ["very_short"]


def test_one_who_stayed_long_enough_makes_it_no_very_short_visit() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.advance(minutes=25)
    desk.check(device="d-kit")
    desk.advance(minutes=5)
    desk.check("leave")
    desk.check("leave", device="d-kit")
    assert desk.alerts("very_short") == []


@pytest.mark.parametrize(
    ("reason", "closes"),
    [
        ("asleep", True),
        ("declined", True),
        ("family_there", True),
        ("other", True),
        ("outcome_recorded", False),
    ],
)
def test_a_very_short_visit_is_closed_with_a_reason_why_it_was_short(reason: str, closes: bool) -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.check("leave")
    desk.act("close", "mary", alert=desk.alert("very_short"), reason=reason)
    assert (desk.alert("very_short").state == "ended") == closes


def test_asleep_is_no_reason_to_close_an_alert_that_nobody_came() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    assert desk.act("close", "mary", reason="asleep").refusal is not None


# --- kinds of visit ---


def row(kind: str, start: datetime, end: datetime) -> RotaRow:
    return RotaRow(
        row=1, key="v", visit="v", service_user="ed", start=start, end=end, workers=("dee",), kind=kind
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", VISIT_KINDS)
def test_planning_steps_are_for_ordinary_visits(kind: str) -> None:
    desk = Desk()
    start = datetime(2026, 11, 23, 21, 50, tzinfo=UTC)
    found = row_warnings(row(kind, start, start + 10 * HOUR), desk.state.values.policy)
    assert ("off_step" in found) == (kind == "visit")


@pytest.mark.parametrize("kind", VISIT_KINDS)
def test_who_lives_in_need_not_check_out_and_others_are_asked_after(kind: str) -> None:
    desk = Desk()
    desk.plan(end=MONDAY + 10 * HOUR, kind=kind)
    desk.check()
    desk.advance(hours=11)
    assert [alert.kind for alert in desk.alerts()] == ([] if kind == "live_in" else ["lone_worker"])


@pytest.mark.parametrize("kind", VISIT_KINDS)
def test_a_departure_from_a_live_in_placement_is_never_a_short_visit(kind: str) -> None:
    desk = Desk()
    desk.plan(end=MONDAY + 10 * HOUR, kind=kind)
    desk.check()
    desk.advance(hours=3)
    assert (desk.check("leave").outcome == "left_short") == (kind != "live_in")
    assert len(desk.alerts("very_short")) == (0 if kind == "live_in" else 1)


def test_a_live_in_placement_is_missed_after_its_hour_and_not_days_later() -> None:
    desk = Desk()
    desk.plan(end=MONDAY + timedelta(days=7), kind="live_in")
    desk.advance(minutes=89)
    assert not desk.visit().missed
    desk.advance(minutes=1)
    assert desk.visit().missed


@pytest.mark.parametrize(
    ("begins", "hours"),
    [(datetime(2026, 10, 24, 21, tzinfo=UTC), 10), (datetime(2027, 3, 27, 22, tzinfo=UTC), 8)],
)
def test_a_night_over_a_clock_change_is_as_long_as_it_really_is(begins: datetime, hours: int) -> None:
    """22:00 to 07:00 on the wall: ten hours in October, eight in March."""
    desk = Desk(begins)
    desk.plan(end=begins + hours * HOUR, kind="waking_night")
    desk.check()
    desk.advance(seconds=hours * 3600 / 3 - 1)
    assert desk.check("leave").outcome == "left_short"


# --- two care workers, one of them missing ---


def with_one_missing() -> Desk:
    desk = Desk()
    desk.plan(workers=("dee", "kit"), service_user="fay")
    desk.check(at=MONDAY, service_user="fay")
    desk.advance(minutes=30)
    return desk


def test_who_is_there_alone_is_told_not_to_hoist_and_no_machine_rings_the_service_user() -> None:
    desk = with_one_missing()
    (told,) = [m for m in desk.messages() if m.template == "CW-13"]
    assert (told.person, told.about, told.purpose) == ("dee", "kit", "notice")
    desk.advance(minutes=29)
    assert [m for m in desk.messages() if m.person == "fay"] == []


@pytest.mark.parametrize(("digit", "stands"), [(7, ("reached", "there")), (8, ("trying", "raised"))])
def test_what_they_say_about_the_second_is_a_claim_and_never_an_arrival(
    digit: int, stands: tuple[str, str]
) -> None:
    desk = with_one_missing()
    (told,) = [m for m in desk.messages() if m.template == "CW-13"]
    desk.send(told)
    desk.text("dee", f"{told.slot}{digit}", line=told.line)
    track = desk.alert("second_worker_missing").track("locate")
    assert track is not None
    assert (track.step, track.reason) == stands
    assert not desk.visit().all_there


def test_nobody_is_asked_about_a_second_who_has_come_meanwhile() -> None:
    desk = with_one_missing()
    (told,) = [m for m in desk.messages() if m.template == "CW-13"]
    desk.check(device="d-kit", service_user="fay")
    assert desk.tell_turn(told) == "no"


def test_any_care_worker_of_the_desk_at_the_right_home_ends_the_alert_and_is_marked() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.check(device="d-kit", service_user="ed")
    assert desk.alert().ended_reason == "other_worker_arrived"
    assert "other_worker" in desk.visit().verdicts


# --- who comes as was agreed has come, wherever the rota has moved the visit to ---

WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"visit": "v1"},
    {"service_user": "ed"},
    {"position": THERE, "region_enter": True},
)


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_who_comes_at_the_agreed_time_is_not_missed_though_the_rota_has_moved_the_visit(
    how: dict[str, Any],
) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=MONDAY + 13 * HOUR)
    desk.advance(minutes=65)
    assert desk.check(**how).outcome == "arrived"
    desk.advance(minutes=30)
    assert desk.check("leave", **how).outcome == "left"
    assert desk.alerts() == []
    desk.advance(hours=12)
    assert desk.alert().due_at == MONDAY + 13 * HOUR + 30 * MINUTE, "what the rota says now is watched too"


@pytest.mark.parametrize("how", WAYS, ids=str)
@pytest.mark.parametrize("moved", [13 * HOUR, 24 * HOUR, 49 * HOUR], ids=str)
def test_who_comes_late_ends_the_alert_also_of_a_visit_that_was_moved_over_midnight_meanwhile(
    how: dict[str, Any], moved: timedelta
) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.plan(start=MONDAY + moved)
    assert desk.alert().state == "open"
    desk.advance(minutes=9)
    assert desk.check(**how).outcome == "arrived_late"
    assert (desk.alert().state, desk.alert().ended_reason) == ("ended", "arrived")


@pytest.mark.parametrize(
    ("hours", "outcome"), [(5.4, "arrived_late"), (5.6, "unplanned"), (25, "unplanned"), (46.9, "unplanned")]
)
def test_between_what_was_agreed_and_what_the_rota_says_now_nobody_is_expected(
    hours: float, outcome: str
) -> None:
    """Until four hours after it was missed, as of any visit, and from two hours before the planned start on."""
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.plan(start=MONDAY + 49 * HOUR)
    desk.advance(hours=hours - 31 / 60)
    assert desk.check().outcome == outcome


def test_who_came_as_was_agreed_and_does_not_check_out_is_looked_for_by_then_and_not_by_the_new_time() -> (
    None
):
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=MONDAY + 13 * HOUR)
    desk.advance(minutes=65)
    desk.check()
    desk.advance(hours=3)
    assert desk.alert("lone_worker").opened_at < MONDAY + 4 * HOUR


def test_another_visit_of_the_same_person_is_not_taken_for_the_one_that_was_moved() -> None:
    desk = Desk()
    desk.plan("v1", start=MONDAY + HOUR)
    desk.plan("v2", start=MONDAY + 3 * HOUR)
    desk.plan("v1", start=MONDAY + 13 * HOUR)
    desk.advance(minutes=65)
    assert desk.check(service_user="ed").visit == "v1"
    desk.advance(minutes=30)
    desk.check("leave", service_user="ed")
    desk.advance(minutes=85)
    assert desk.check(service_user="ed").visit == "v2"
