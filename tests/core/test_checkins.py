"""Every outcome of a check-in at its boundary, and how it finds its visit (docs/interface.md; devices.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from escalation.people import PersonView
from monitor.core import facts as f
from monitor.core.inputs import OUTCOMES, Position
from monitor.core.places import Home, distance_m, impossible_travel, place_verdict
from tests.core.driver import AWAY, HOME, MONDAY, NEXT_DOOR, THERE, Desk

MINUTE = timedelta(minutes=1)
DECIDED_AT_THE_EDGE = {"unknown_device", "quarantined"}


def planned(**row: Any) -> Desk:
    desk = Desk()
    desk.plan(**row)
    return desk


# --- the closed list ---


@pytest.mark.parametrize(
    ("minutes", "outcome"),
    [
        (-15.001, "arrived_early"),
        (-15, "arrived"),
        (0, "arrived"),
        (29.999, "arrived"),
        (30, "arrived_late"),
        (300, "arrived_late"),
    ],
)
def test_early_in_time_late(minutes: float, outcome: str) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + timedelta(hours=1))
    desk.advance(minutes=60 + minutes)
    assert desk.check().outcome == outcome


@pytest.mark.parametrize(
    ("stayed_s", "outcome", "verdicts"),
    [
        (599, "left_short", ("on_time", "short")),
        (600, "left", ("on_time",)),
        (4499, "left", ("on_time",)),
        (4500, "left_overrun", ("on_time", "overrun")),
    ],
)
def test_left_short_in_time_and_long_after_the_end(
    stayed_s: int, outcome: str, verdicts: tuple[str, ...]
) -> None:
    desk = planned()
    desk.check()
    desk.advance(seconds=stayed_s)
    assert desk.check("leave").outcome == outcome
    assert desk.visit().verdicts == verdicts


def test_no_reply_and_refused_have_alerts_of_their_own() -> None:
    desk = planned()
    assert desk.check("no_reply").outcome == "no_reply"
    assert desk.check("refused").outcome == "refused"
    assert [alert.kind for alert in desk.alerts()] == ["no_reply", "very_short"]
    assert desk.visit().anybody_there


def test_a_visit_refused_twice_is_one_alert() -> None:
    desk = planned()
    desk.check("refused")
    desk.check("refused")
    assert len(desk.alerts("very_short")) == 1


@pytest.mark.parametrize("how", [{"mock": True}, {"position": AWAY}])
def test_a_refusal_from_elsewhere_is_shown_and_is_no_arrival(how: dict[str, Any]) -> None:
    desk = planned()
    assert desk.check("refused", **how).outcome in ("mock_position", "flagged_place")
    assert not desk.visit().anybody_there
    assert "place_inconsistent" in desk.visit().verdicts


@pytest.mark.parametrize("kind", ["arrive", "leave"])
def test_a_faked_position_is_recorded_and_never_counts(kind: str) -> None:
    desk = planned()
    if kind == "leave":
        desk.check()
    before = desk.visit().places
    assert desk.check(kind, mock=True).outcome == "mock_position"  # type: ignore[arg-type]
    assert desk.visit().places == before


def test_a_faked_fix_is_dropped() -> None:
    desk = planned()
    facts = len(desk.facts)
    assert desk.check("fix", mock=True, position=THERE).outcome == "mock_position"
    assert len(desk.facts) == facts


def test_what_was_retained_is_recognised_before_anything_else() -> None:
    desk = planned()
    facts = len(desk.facts)
    assert desk.check(retained=True, claims_unknown=True, device="nobody's").outcome == "retained"
    assert len(desk.facts) == facts


def test_a_place_far_from_the_home_is_flagged_and_the_visit_stays_watched() -> None:
    desk = planned()
    assert desk.check(position=AWAY).outcome == "flagged_place"
    desk.advance(minutes=30)
    assert desk.alert().reason == "place_inconsistent"


def test_who_is_nobody_s_is_an_unknown_person() -> None:
    desk = planned()
    assert desk.check(device="d-new").outcome == "unknown_person"
    assert desk.check(device=None, claims_unknown=True).outcome == "unknown_person"
    assert not desk.visit().anybody_there


def test_where_nothing_is_planned_is_unplanned() -> None:
    desk = Desk()
    assert desk.check().outcome == "unplanned"
    assert desk.bodies(f.CheckInRecorded)[-1].outcome == "unplanned"


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"service_user": "fay"}, "no_reply"),
        ({}, "unknown_visit"),
        ({"claims_unknown": True}, "unknown_visit"),
    ],
)
def test_no_reply_at_a_door_where_no_visit_is_planned_is_heard_once(
    claims: dict[str, Any], kind: str
) -> None:
    desk = Desk()
    desk.check("no_reply", **claims)
    desk.check("no_reply", **claims)
    assert [alert.kind for alert in desk.alerts()] == [kind]
    assert desk.messages("summon")


@pytest.mark.parametrize(
    ("minutes", "outcome"),
    [(29, "off_shift"), (30, "near"), (120, "near"), (121, "off_shift")],
)
def test_a_position_counts_half_an_hour_around_a_run_and_no_longer(minutes: int, outcome: str) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + 60 * MINUTE)
    desk.advance(minutes=minutes)
    assert desk.check("fix", position=THERE).outcome == outcome


@pytest.mark.parametrize(("hours", "outcome"), [(24.4, "unplanned"), (24.6, "off_shift")])
def test_a_visit_until_2099_keeps_nobody_on_shift_for_years(hours: float, outcome: str) -> None:
    """Positions off shift are never kept: a slip in a date must not follow a care worker home."""
    desk = planned(end=datetime(2099, 1, 1, tzinfo=UTC))
    desk.advance(hours=hours)
    assert desk.check("fix", position=AWAY).outcome == outcome


@pytest.mark.parametrize(("gap_min", "outcome"), [(90, "unplanned"), (91, "off_shift")])
def test_a_gap_of_ninety_minutes_is_on_shift_and_a_longer_one_is_not(gap_min: int, outcome: str) -> None:
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=MONDAY + (30 + gap_min) * MINUTE, service_user="fay")
    desk.advance(minutes=75)
    assert desk.check("fix", position=AWAY).outcome == outcome


def test_every_outcome_that_the_core_decides_is_in_this_file_or_in_that_of_the_devices() -> None:
    text = "".join(
        Path(__file__).with_name(f"test_{name}.py").read_text() for name in ("checkins", "devices")
    )
    assert [o for o in OUTCOMES if o not in DECIDED_AT_THE_EDGE and f'"{o}"' not in text] == []


# --- finding the visit ---


@pytest.mark.parametrize(
    "how",
    [
        {"visit": "v1"},
        {"service_user": "ed", "tag": True},
        {"service_user": "ed"},
        {"device": None, "worker": "dee"},
        {"device": "d-dee"},
        {"device": "d-kit", "position": THERE},
        {"device": None, "visit": "v1"},
    ],
)
def test_found_by_id_tag_person_worker_device_or_place(how: dict[str, Any]) -> None:
    desk = planned()
    desk.plan("v2", service_user="fay", workers=("kit",), start=MONDAY + timedelta(hours=6))
    decision = desk.check(**how)
    assert (decision.outcome, decision.visit) == ("arrived", "v1")


@pytest.mark.parametrize(
    ("at_min", "visit"),
    [(-90, "v1"), (-30, "v1"), (20, "v1"), (32, "v1"), (33, "v2"), (40, "v2")],
)
def test_of_two_visits_in_a_row_the_one_that_is_due_is_meant(at_min: int, visit: str) -> None:
    desk = Desk(MONDAY + timedelta(hours=4))
    start = desk.now
    desk.plan("v1", start=start)
    desk.plan("v2", start=start + 35 * MINUTE, service_user="fay")
    desk.now = start + at_min * MINUTE
    assert desk.check().visit == visit


def test_the_place_decides_before_the_time_does() -> None:
    desk = planned()
    desk.plan("v2", start=MONDAY + 35 * MINUTE, service_user="fay")
    assert desk.check(position=NEXT_DOOR).visit == "v2"


def test_who_is_neither_planned_nor_named_nor_at_a_home_is_unplanned() -> None:
    desk = planned()
    assert desk.check(device="d-kit").outcome == "unplanned"
    assert desk.check(device="d-kit", position=AWAY).outcome == "unplanned"


@pytest.mark.parametrize(("hours", "found"), [(2, True), (2.01, False)])
def test_a_named_visit_that_begins_much_later_is_not_attended_now(hours: float, found: bool) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + timedelta(hours=hours))
    assert (desk.check(visit="v1").outcome == "arrived_early") is found


def test_a_departure_finds_the_visit_where_they_are_however_long_they_stayed() -> None:
    desk = planned()
    desk.check()
    desk.advance(hours=9)
    assert desk.check("leave").visit == "v1"
    assert desk.visit().all_left


def test_another_care_worker_leaves_by_the_device_alone() -> None:
    desk = planned()
    desk.check(device="d-kit", service_user="ed")
    desk.advance(minutes=30)
    assert desk.check("leave", device="d-kit").outcome == "left"


def test_a_departure_without_an_arrival_proves_no_arrival() -> None:
    desk = planned()
    assert desk.check("leave").outcome == "unplanned"
    desk.advance(minutes=30)
    assert desk.alert().state == "open"


def test_two_places_are_taken_by_two_people_and_a_third_finds_none() -> None:
    desk = planned(workers=("dee", "kit"))
    desk.people.devices["d-zoe"] = "zoe"
    assert desk.check().outcome == "arrived"
    assert desk.check().outcome == "duplicate"
    assert desk.check(device="d-zoe", service_user="ed").outcome == "arrived"
    assert [place.worker for place in desk.visit().places] == ["dee", "zoe"]
    assert desk.check(device="d-kit", service_user="ed").outcome == "unplanned"


def test_places_without_names_are_filled_one_by_one() -> None:
    desk = planned(workers=(), places=2)
    desk.check(service_user="ed")
    desk.check(device="d-kit", service_user="ed")
    assert [place.worker for place in desk.visit().places] == ["dee", "kit"]
    assert "other_worker" not in desk.visit().verdicts


def test_no_reply_is_heard_also_when_every_place_is_taken() -> None:
    desk = planned()
    desk.check(device="d-kit", service_user="ed")
    assert desk.check("no_reply").outcome == "no_reply"


def test_a_cancelled_visit_is_attended_by_nobody() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + timedelta(hours=1))
    covers = {"covers_from": MONDAY, "covers_to": MONDAY + timedelta(days=1)}
    desk.upload(complete=True, confirm=True, **covers)
    assert desk.check(visit="v1").outcome == "unplanned"


# --- position ---


def test_two_consistent_fixes_two_minutes_apart_are_an_arrival_and_the_first_one_counts() -> None:
    desk = planned()
    assert desk.check("fix", position=THERE).outcome == "near"
    assert not desk.visit().anybody_there
    desk.advance(minutes=1, seconds=59)
    assert desk.check("fix", position=THERE).outcome == "near"
    desk.advance(seconds=1)
    assert desk.check("fix", position=THERE).outcome == "arrived"
    assert (desk.visit().places[0].arrived_at, desk.visit().places[0].proof) == (MONDAY, "two_fixes")


def test_one_fix_alone_never_stops_the_alert() -> None:
    desk = planned()
    desk.check("fix", position=THERE)
    desk.advance(minutes=30)
    assert desk.alert().state == "open"


def test_a_fix_elsewhere_in_between_means_that_they_drove_past() -> None:
    desk = planned()
    desk.check("fix", position=THERE)
    desk.advance(minutes=5)
    desk.check("fix", position=AWAY)
    desk.advance(minutes=20)
    assert desk.check("fix", position=THERE).outcome == "near"
    desk.advance(minutes=2)
    desk.check("fix", position=THERE)
    assert desk.visit().places[0].arrived_at == MONDAY + 25 * MINUTE


def test_fixes_that_come_in_the_wrong_order_count_from_the_earlier_one() -> None:
    desk = planned()
    desk.advance(minutes=20)
    desk.check("fix", position=THERE, at=MONDAY + 9 * MINUTE)
    desk.check("fix", position=THERE, at=MONDAY + 5 * MINUTE)
    desk.check("fix", position=THERE, at=MONDAY + 10 * MINUTE)
    assert desk.visit().places[0].arrived_at == MONDAY + 5 * MINUTE


def _north(metres: float, accuracy_m: float) -> Position:
    return Position(lat=HOME.lat + metres / 111_195, lon=HOME.lon, accuracy_m=accuracy_m)


@pytest.mark.parametrize(
    ("metres", "accuracy_m", "verdict"),
    [
        (0, 5, "consistent"),
        (99, 0, "consistent"),
        (101, 0, "inconsistent"),
        (149, 50, "consistent"),
        (151, 50, "inconsistent"),
        (340, 250, "consistent"),
        (340, 251, "unclear"),
        (4_000, 5_000, "unclear"),
        (6_000, 5_000, "inconsistent"),
    ],
)
def test_circles_are_compared_and_not_points(metres: float, accuracy_m: float, verdict: str) -> None:
    assert place_verdict(_north(metres, accuracy_m), (HOME,)) == verdict


def test_any_of_several_homes_will_do_and_without_one_nothing_is_said() -> None:
    other = Home(lat=52.0, lon=0.0, radius_m=100)
    assert place_verdict(THERE, (other, HOME)) == "consistent"
    assert place_verdict(THERE, ()) == "none"
    assert place_verdict(None, (HOME,)) == "none"


def test_a_fix_too_coarse_to_tell_counts_when_pressed_and_says_so() -> None:
    desk = planned()
    assert desk.check(position=_north(1_000, 3_000)).outcome == "arrived"
    assert "place_unclear" in desk.visit().verdicts


def test_farther_apart_than_any_car_can_go_is_flagged() -> None:
    desk = planned()
    desk.people.home["fay"] = (Home(lat=51.9, lon=0.02, radius_m=100),)
    desk.plan("v2", start=MONDAY + 15 * MINUTE, service_user="fay")
    desk.check(visit="v1")
    desk.advance(minutes=15)
    assert desk.check(visit="v2").outcome == "flagged_place"
    assert distance_m(51.4, 0.02, 51.9, 0.02) == pytest.approx(55_600, rel=0.01)
    desk.advance(minutes=5)
    assert desk.check(visit="v2").outcome == "arrived"


@pytest.mark.parametrize(
    ("metres", "seconds", "far"), [(1_000, 0, False), (5_501, 100, True), (5_500, 100, False)]
)
def test_no_car_drives_two_hundred_kilometres_an_hour(metres: float, seconds: int, far: bool) -> None:
    assert impossible_travel(metres, timedelta(seconds=seconds)) is far


# --- two times ---


@pytest.mark.parametrize(("ahead_s", "outcome"), [(120, "arrived"), (120.001, "clock_doubtful")])
def test_more_than_two_minutes_ahead_of_us_is_doubted_and_receipt_counts(
    ahead_s: float, outcome: str
) -> None:
    desk = planned()
    decision = desk.check(at=MONDAY + timedelta(seconds=ahead_s))
    assert decision.outcome == outcome
    assert desk.visit().places[0].arrived_at == MONDAY


def test_a_clock_ahead_ends_the_alert_at_receipt() -> None:
    desk = planned()
    desk.advance(minutes=31)
    assert desk.check(at=desk.now + timedelta(hours=2)).outcome == "clock_doubtful"
    assert (desk.alert().ended_reason, desk.visit().places[0].arrived_at) == ("arrived", desk.now)


@pytest.mark.parametrize("said", [datetime(2030, 1, 1, 10, tzinfo=UTC), datetime(2019, 1, 1, 10, tzinfo=UTC)])
@pytest.mark.parametrize("snapshot", [True, False])
def test_a_visit_says_that_the_clock_was_doubted_and_what_it_said(said: datetime, snapshot: bool) -> None:
    desk = planned()
    desk.advance(minutes=20)
    desk.check("leave", service_user="fay")
    desk.advance(minutes=1)
    assert desk.check(at=said).outcome == "clock_doubtful"
    came = desk.now
    desk.advance(minutes=25)
    assert desk.check("leave", at=said).outcome == "clock_doubtful"
    desk.restart(snapshot=snapshot)
    (place,) = desk.visit().places
    assert (place.arrived_at, place.arrived_said) == (came, said)
    assert (place.left_at, place.left_said) == (came + 25 * MINUTE, said)
    assert desk.visit().verdicts == ("on_time", "clock_doubtful")


def test_a_clock_that_is_believed_leaves_no_mark() -> None:
    desk = planned()
    desk.check()
    desk.advance(minutes=25)
    desk.check("leave")
    (place,) = desk.visit().places
    assert (place.arrived_said, place.left_said) == (None, None)
    assert "clock_doubtful" not in desk.visit().verdicts


def test_who_is_back_has_not_left_at_a_doubtful_time() -> None:
    desk = planned()
    desk.check()
    desk.advance(minutes=5)
    desk.check("leave", at=desk.now + timedelta(hours=2))
    desk.advance(minutes=5)
    assert desk.check().outcome == "arrived"
    assert desk.visit().places[0].left_said is None


def test_an_old_time_from_a_device_that_was_heard_live_in_between_retracts_nothing() -> None:
    desk = planned()
    desk.advance(minutes=35)
    desk.check("leave", service_user="fay")
    desk.advance(minutes=5)
    assert desk.check(at=MONDAY + 5 * MINUTE).outcome == "clock_doubtful"
    assert desk.alert().state == "open"
    assert not desk.visit().anybody_there


def test_the_same_before_anything_is_late_counts_at_receipt() -> None:
    desk = planned()
    desk.advance(minutes=10)
    desk.check("leave", service_user="fay")
    desk.advance(minutes=5)
    assert desk.check(at=MONDAY + 5 * MINUTE).outcome == "clock_doubtful"
    assert desk.visit().places[0].arrived_at == MONDAY + 15 * MINUTE


def test_a_device_that_was_silent_since_is_believed() -> None:
    desk = planned()
    desk.check("leave", service_user="fay")
    desk.advance(minutes=40)
    assert desk.check(at=MONDAY + 5 * MINUTE).outcome == "retracts_alert"


def test_old_fixes_from_a_device_that_was_heard_since_say_nothing() -> None:
    desk = planned()
    desk.advance(minutes=10)
    desk.check("leave", service_user="fay")
    desk.advance(minutes=5)
    assert desk.check("fix", at=MONDAY + MINUTE, position=THERE).outcome == "clock_doubtful"
    assert desk.visit().near == ()


def test_the_office_s_entry_by_hand_is_believed_and_marked() -> None:
    desk = planned()
    desk.check("leave", service_user="fay", device="d-dee")
    desk.advance(minutes=40)
    assert desk.check(at=MONDAY + 5 * MINUTE, manual=True).outcome == "retracts_alert"
    assert "manual" in desk.visit().verdicts
    assert desk.visit().places[0].proof == "manual"


# --- once more ---


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_repeat_is_a_duplicate_also_after_a_restart_and_names_its_visit(snapshot: bool) -> None:
    desk = planned()
    desk.check(fingerprint=77)
    facts = len(desk.facts)
    desk.restart(snapshot=snapshot)
    again = desk.check(fingerprint=77)
    assert (again.outcome, again.visit, len(desk.facts)) == ("duplicate", "v1", facts)


def test_a_repeat_of_what_proved_nothing_is_a_duplicate_too() -> None:
    desk = Desk()
    desk.check(fingerprint=5)
    assert desk.check(fingerprint=5).outcome == "duplicate"


def test_a_repeat_is_known_as_long_as_its_visit_is_whatever_the_feed_said_since() -> None:
    desk = planned()
    desk.check(fingerprint=77, device=None, worker="dee")
    for n in range(300):
        desk.check(device=None, fingerprint=1_000 + n)
    desk.check("leave", device=None, worker="dee")
    assert desk.check(fingerprint=77, device=None, worker="dee").outcome == "duplicate"


def test_of_a_device_the_last_256_are_remembered() -> None:
    desk = Desk()
    for n in range(257):
        desk.check(fingerprint=n)
    assert desk.check(fingerprint=1).outcome == "duplicate"
    assert desk.check(fingerprint=0).outcome == "unplanned"


def test_leaving_twice_is_a_duplicate() -> None:
    desk = planned()
    desk.check()
    desk.advance(minutes=20)
    desk.check("leave")
    left_at = desk.visit().places[0].left_at
    desk.advance(minutes=1)
    assert desk.check("leave").outcome == "duplicate"
    assert desk.visit().places[0].left_at == left_at


def test_who_comes_back_to_the_same_visit_has_not_left() -> None:
    desk = planned()
    desk.check()
    desk.advance(minutes=10)
    desk.check("leave")
    desk.advance(minutes=2)
    assert desk.check().outcome == "arrived"
    assert (desk.visit().places[0].left, desk.visit().places[0].arrived_at) == (False, MONDAY)
    desk.advance(hours=2)
    assert desk.alert("lone_worker").state == "open"


def test_an_arrival_said_twice_and_delivered_after_the_departure_is_no_return() -> None:
    desk = planned()
    desk.check()
    desk.advance(minutes=30)
    desk.check("leave")
    desk.advance(minutes=1)
    desk.state.values.devices.clear()
    assert desk.check(at=MONDAY + 2 * MINUTE).outcome == "duplicate"
    assert desk.visit().all_left


def test_the_enter_of_the_next_place_may_come_before_the_leave_of_the_last() -> None:
    desk = planned()
    desk.plan("v2", start=MONDAY + 45 * MINUTE, service_user="fay")
    desk.check(position=THERE)
    desk.advance(minutes=40)
    assert desk.check(position=NEXT_DOOR).visit == "v2"
    assert desk.visit("v1").places[0].left_at is None
    assert desk.check("leave", at=MONDAY + 38 * MINUTE, position=THERE).visit == "v1"
    assert desk.visit("v1").places[0].left_at == MONDAY + 38 * MINUTE
    assert not desk.visit("v2").places[0].left


def test_a_care_worker_s_view_needs_no_more_than_ids() -> None:
    view = PersonView(ref="p1", role="care_worker")
    assert msgspec.structs.asdict(view)["lines"] == ()


def test_a_device_that_nobody_carries_is_recorded_and_proves_nothing() -> None:
    desk = Desk()
    desk.plan()
    assert desk.check(device=None, visit="v1", unknown_device=True).outcome == "unknown_device"
    assert not desk.visit().anybody_there


# --- who names nobody ---


@pytest.mark.parametrize("how", [{"visit": "v1"}, {"service_user": "ed", "tag": True}], ids=["feed", "tag"])
@pytest.mark.parametrize(
    ("minutes", "there"), [(0, ["dee", None]), (9.99, ["dee", None]), (10, ["dee", "kit"])]
)
def test_two_arrivals_without_a_name_within_minutes_are_not_two_care_workers(
    how: dict[str, Any], minutes: float, there: list[str | None]
) -> None:
    desk = planned(workers=("dee", "kit"))
    assert desk.check(device=None, **how).outcome == "arrived"
    desk.advance(minutes=minutes)
    second = desk.check(device=None, **how)
    assert second.outcome == ("arrived" if there[1] else "unknown_person")
    assert [place.worker for place in desk.visit().places] == there
    assert desk.bodies(f.CheckInRecorded)[-1].outcome == second.outcome


def test_the_place_that_it_did_not_take_is_waited_for_and_its_own_care_worker_takes_it() -> None:
    desk = planned(workers=("dee", "kit"))
    for _ in range(2):
        desk.check(device=None, visit="v1")
    desk.advance(minutes=30)
    assert desk.alert("second_worker_missing").state == "open"
    desk.check(device="d-kit", service_user="ed")
    assert desk.alert("second_worker_missing").state == "ended"


@pytest.mark.parametrize(
    "second",
    [
        {"device": "d-kit", "service_user": "ed"},
        {"device": None, "visit": "v1", "worker": "kit"},
        {"device": None, "visit": "v1", "manual": True},
        {"device": None, "service_user": "ed", "tag": True},
    ],
    ids=["their own phone", "named", "by hand", "another way"],
)
def test_who_is_named_or_comes_another_way_takes_the_second_place(second: dict[str, Any]) -> None:
    desk = planned(workers=("dee", "kit"))
    desk.check(device=None, visit="v1")
    assert desk.check(**second).outcome == "arrived"
    assert [place.worker for place in desk.visit().places] == ["dee", "kit"]


@pytest.mark.parametrize("snapshot", [True, False])
def test_who_came_without_a_name_leaves_without_one(snapshot: bool) -> None:
    desk = planned(workers=("dee", "kit"))
    desk.check(device=None, visit="v1")
    desk.advance(minutes=20)
    desk.restart(snapshot=snapshot)
    assert desk.check("leave", device=None, visit="v1").outcome == "left"
    assert desk.bodies(f.DepartureRecorded)[-1].index == 0
