"""What devices say beside an arrival: a call for help, a tag, a region of which they know whose home it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitor.core import facts as f
from monitor.core.inputs import Position
from tests.core.driver import AWAY, MONDAY, NEXT_DOOR, THERE, Desk

MINUTE = timedelta(minutes=1)


def planned() -> Desk:
    desk = Desk()
    desk.plan()
    return desk


# --- in trouble ---


def test_a_care_worker_in_trouble_rings_everybody_on_duty_at_once() -> None:
    desk = planned()
    assert desk.check("help").outcome == "help_asked"
    alert = desk.alert("help_asked")
    assert (alert.worker, alert.service_user, alert.reason) == ("dee", None, "sos")
    assert {message.person for message in desk.messages("summon")} == {"paul", "mary"}
    assert {message.priority for message in desk.messages("summon")} == {"help"}


def test_help_is_heard_off_shift_from_hours_ago_and_with_a_faked_position() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + 600 * MINUTE)
    assert desk.check("help", at=MONDAY - 300 * MINUTE, position=AWAY, mock=True).outcome == "help_asked"
    assert desk.alerts("help_asked")


def test_help_from_a_device_that_nobody_has_is_heard_all_the_same() -> None:
    desk = planned()
    assert desk.check("help", device=None, unknown_device=True).outcome == "help_asked"
    assert desk.alert("help_asked").worker is None


def test_the_same_call_for_help_twice_is_one() -> None:
    desk = planned()
    desk.check("help", fingerprint=99)
    assert desk.check("help", fingerprint=99).outcome == "duplicate"
    assert len(desk.alerts("help_asked")) == 1


def test_help_asked_again_while_somebody_has_it_tells_that_person() -> None:
    desk = planned()
    desk.check("help")
    desk.act("take", "paul", alert=desk.alert("help_asked"))
    before = len(desk.messages("summon", "paul"))
    desk.check("help")
    assert len(desk.alerts("help_asked")) == 1
    assert len(desk.messages("summon", "paul")) == before + 1


def test_a_retained_call_for_help_is_old() -> None:
    desk = planned()
    assert desk.check("help", retained=True).outcome == "retained"
    assert desk.alerts("help_asked") == []


# --- tags ---


@pytest.mark.parametrize("position", [THERE, None])
def test_a_tag_on_a_fix_is_an_arrival_by_that_tag(position: Position | None) -> None:
    desk = planned()
    assert desk.check("fix", service_user="ed", tag=True, position=position).outcome == "arrived"
    (arrival,) = desk.bodies(f.ArrivalRecorded)
    assert arrival.proof == "tag"


def test_a_tag_that_stays_on_every_message_proves_nothing_from_elsewhere() -> None:
    desk = planned()
    assert desk.check("fix", service_user="ed", tag=True, position=AWAY).outcome == "unplanned"
    assert not desk.visit().anybody_there


@pytest.mark.parametrize("late", [False, True], ids=["before the alert", "with the alert open"])
def test_a_tag_that_stays_proves_nothing_where_no_position_of_the_home_could_contradict_it(
    late: bool,
) -> None:
    desk = planned()
    desk.people.home["ed"] = ()
    desk.advance(minutes=40 if late else 1)
    assert len(desk.alerts("late_visit")) == late
    stays = desk.check("fix", service_user="ed", tag=True, tag_lasts=True, position=AWAY)
    assert (stays.outcome, desk.visit().anybody_there) == ("unplanned", False)
    desk.advance(minutes=40)
    assert [alert.state in ("open", "taken") for alert in desk.alerts("late_visit")] == [True]


def test_a_tag_that_is_said_once_counts_where_the_home_has_no_position() -> None:
    desk = planned()
    desk.people.home["ed"] = ()
    assert desk.check("fix", service_user="ed", tag=True, position=AWAY).outcome == "arrived"


def test_a_tag_that_stays_counts_inside_the_home_whose_it_is() -> None:
    desk = planned()
    assert desk.check("fix", service_user="ed", tag=True, tag_lasts=True, position=THERE).outcome == "arrived"
    (arrival,) = desk.bodies(f.ArrivalRecorded)
    assert arrival.proof == "tag"


def test_a_tag_that_stays_does_not_hide_that_they_only_drove_past() -> None:
    desk = planned()
    for position, outcome in ((THERE, "near"), (AWAY, "unplanned"), (THERE, "near")):
        told = desk.check("fix", service_user="fay", tag=True, tag_lasts=True, position=position)
        assert told.outcome == outcome
        desk.advance(minutes=2)
    assert not desk.visit().anybody_there


def test_a_tag_left_on_from_the_last_home_does_not_hide_the_next_one() -> None:
    desk = planned()
    desk.plan("v2", start=MONDAY + 40 * MINUTE, service_user="fay")
    desk.check("fix", service_user="ed", tag=True, position=THERE)
    desk.advance(minutes=40)
    assert desk.check("fix", service_user="ed", tag=True, position=NEXT_DOOR).outcome == "near"
    desk.advance(minutes=2)
    assert desk.check("fix", service_user="ed", tag=True, position=NEXT_DOOR).visit == "v2"
    assert [place.proof for place in desk.visit("v2").places] == ["two_fixes"]


def test_a_tag_of_somebody_where_no_visit_is_planned_is_no_arrival_anywhere() -> None:
    desk = planned()
    desk.check("fix", service_user="fay", tag=True)
    assert not desk.visit().anybody_there


def test_a_tag_read_once_more_inside_is_no_second_arrival() -> None:
    desk = planned()
    desk.check("fix", service_user="ed", tag=True, position=THERE)
    assert desk.check("fix", service_user="ed", tag=True, position=THERE).outcome == "near"
    assert len(desk.bodies(f.ArrivalRecorded)) == 1


# --- regions ---


def test_a_fix_inside_the_region_of_the_home_is_an_arrival_since_transitions_get_lost() -> None:
    desk = planned()
    assert desk.check("fix", service_user="ed", region_enter=True, position=THERE).outcome == "arrived"
    assert [place.proof for place in desk.visit().places] == ["region"]


@pytest.mark.parametrize("position", [AWAY, None, Position(lat=51.4, lon=0.02, accuracy_m=5000)])
def test_a_region_that_the_position_does_not_bear_out_is_no_arrival(position: Position | None) -> None:
    desk = planned()
    desk.check("fix", service_user="ed", region_enter=True, position=position)
    assert not desk.visit().anybody_there


def test_a_fix_inside_a_region_that_nobody_knows_is_only_near() -> None:
    desk = planned()
    assert desk.check("fix", region_enter=True, position=THERE).outcome == "near"


def test_entering_the_region_of_a_home_is_its_visit_s_even_when_another_one_is_nearer_in_time() -> None:
    desk = Desk()
    desk.plan("v1", start=MONDAY)
    desk.plan("v2", start=MONDAY + 35 * MINUTE, service_user="fay")
    assert desk.check("arrive", service_user="fay", region_enter=True).visit == "v2"


def test_leaving_the_region_of_the_last_home_after_entering_the_next_one_is_the_last_one_s() -> None:
    desk = planned()
    desk.plan("v2", start=MONDAY + 35 * MINUTE, service_user="fay")
    desk.check("arrive", service_user="ed", region_enter=True)
    desk.advance(minutes=34)
    desk.check("arrive", service_user="fay", region_enter=True)
    left = desk.check("leave", at=MONDAY + 33 * MINUTE, service_user="ed", region_enter=True)
    assert (left.visit, desk.visit("v2").all_left) == ("v1", False)
    assert desk.visit("v1").places[0].left_at == MONDAY + 33 * MINUTE
