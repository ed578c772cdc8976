"""An id that a rota uses again is another occasion, and watched: that somebody came yesterday says nothing about
tomorrow (domain.md: nothing that is a real visit is left unwatched)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from config.policy import Policy
from monitor.core.inputs import PolicyLoaded
from tests.core.driver import DUTY, MONDAY, Desk

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TOMORROW = MONDAY + 24 * HOUR


def late_tomorrow(desk: Desk) -> bool:
    """Whether tomorrow's visit, to which nobody comes, is an alert at its exact minute."""
    desk.advance(seconds=(TOMORROW + 30 * MINUTE - desk.now).total_seconds())
    return [alert.due_at for alert in desk.alerts("late_visit") if alert.state == "open"] == [
        TOMORROW + 30 * MINUTE
    ]


@pytest.mark.parametrize("come_after", [0, 45, 180], ids=["in time", "late", "when it was missed"])
@pytest.mark.parametrize("checks_out", [True, False])
def test_to_which_somebody_came_today_is_watched_again_tomorrow(come_after: int, checks_out: bool) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=come_after)
    desk.check()
    desk.advance(minutes=30)
    if checks_out:
        desk.check("leave")
    else:
        desk.plan("v2", service_user="fay")
        desk.check(visit="v2")
        desk.check("leave", visit="v2")
    desk.plan(start=TOMORROW)
    assert late_tomorrow(desk)


@pytest.mark.parametrize("checks_out", [True, False])
def test_tomorrow_uploaded_while_somebody_is_inside_today_is_watched_once_they_have_left(
    checks_out: bool,
) -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=10)
    desk.plan(start=TOMORROW)
    desk.advance(minutes=20)
    if checks_out:
        assert desk.check("leave").outcome == "left"
    else:
        # asked, at the time at which they should have left today, and not tomorrow
        desk.advance(minutes=46)
        question = desk.messages(person="dee")[-1]
        assert question.template == "CW-6"
        desk.send(question)
        desk.text("dee", f"{question.slot}5")
    assert late_tomorrow(desk)


def test_who_never_checks_out_today_is_looked_for_today_and_tomorrow_is_watched_all_the_same() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=10)
    desk.plan(start=TOMORROW)
    desk.advance(hours=3)
    lone = desk.alert("lone_worker")
    assert lone.opened_at < MONDAY + 3 * HOUR
    desk.act("close", "mary", alert=lone, reason="seen_well")
    assert late_tomorrow(desk)


def test_a_missed_visit_whose_alert_was_merged_is_watched_again_tomorrow() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(hours=3)
    desk.text("ed", word="help")
    desk.act("close", "mary", reason="merged")
    desk.plan(start=TOMORROW)
    assert late_tomorrow(desk)


def test_a_missed_visit_that_is_still_an_alert_is_not_moved_away_by_its_id() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(hours=3)
    desk.plan(start=TOMORROW)
    assert desk.alert().state == "open"
    assert desk.visit().missed


@pytest.mark.parametrize(("moved", "anew"), [(2 * HOUR, False), (2 * HOUR + MINUTE, True)])
def test_who_has_come_is_there_at_a_visit_that_is_moved_a_little(moved: timedelta, anew: bool) -> None:
    """An arrival counts for two hours before a start (`match_before`), whichever of them came first."""
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=30)
    desk.check("leave")
    desk.plan(start=MONDAY + moved)
    assert desk.visit().anybody_there is not anew


def test_who_comes_tomorrow_is_there_tomorrow_and_what_was_today_stays_in_the_journal() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=30)
    desk.check("leave")
    desk.plan(start=TOMORROW)
    desk.advance(seconds=(TOMORROW - desk.now).total_seconds())
    assert desk.check().outcome == "arrived"
    desk.advance(minutes=31)
    assert not desk.alerts("late_visit")
    assert desk.restarted().values.visits == desk.replayed().values.visits


def test_two_places_one_filled_today_are_both_open_tomorrow() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.check(device="d-kit")
    desk.advance(minutes=30)
    desk.check("leave")
    desk.plan(workers=("dee", "kit"), start=TOMORROW)
    desk.advance(minutes=5)
    desk.check("leave", device="d-kit")
    assert not desk.visit().anybody_there
    assert late_tomorrow(desk)


def test_who_comes_tomorrow_and_never_checked_out_today_has_come_tomorrow() -> None:
    desk = Desk()
    desk.plan()
    desk.check()
    desk.advance(minutes=10)
    desk.plan(start=TOMORROW)
    desk.advance(seconds=(TOMORROW - desk.now).total_seconds())
    assert desk.check().outcome == "arrived"
    assert [place.arrived_at for place in desk.visit().places] == [TOMORROW]
    assert [alert.ended_reason for alert in desk.alerts("lone_worker")] == ["late_evidence"]


# --- an id that is somebody else's now, before anybody is missed ---


@pytest.mark.parametrize(("hours", "asks"), [(3.99, True), (4, False)])
def test_a_visit_soon_to_come_is_not_given_to_somebody_else_without_a_confirmation(
    hours: float, asks: bool
) -> None:
    """It is dropped for whom it was, as much as one that is absent from the upload."""
    desk = Desk()
    desk.plan(start=MONDAY + hours * HOUR)
    said = desk.plan(start=MONDAY + hours * HOUR, service_user="fay")
    assert (said.refusal is not None) is asks
    assert desk.visit().service_user == ("ed" if asks else "fay")
    if said.refusal is not None:
        assert said.refusal.detail == {"cancels": ["v1"]}


@pytest.mark.parametrize("then", [{"service_user": "fay"}, {"cancelled": True}])
def test_nor_is_one_that_was_moved_to_tomorrow_first(then: dict[str, Any]) -> None:
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=TOMORROW)
    assert desk.plan(start=TOMORROW, **then).refusal is not None
    assert desk.visit().late_at == MONDAY + 90 * MINUTE


def test_what_an_upload_could_not_widen_a_reload_of_the_policy_does_not_widen_either() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=TOMORROW, late_after=4 * HOUR)
    before = desk.visit()
    desk.tell(
        PolicyLoaded(
            policy=Policy(summon_next=MINUTE), duty=DUTY, council_desks=(), holidays=(), public="ask"
        )
    )
    after = desk.visit()
    assert (after.late_at, after.missed_at) == (before.late_at, before.missed_at)
    assert after.late_at == MONDAY + 90 * MINUTE


def test_a_policy_moves_no_deadline_of_a_visit_that_was_due_before_it_was_moved() -> None:
    desk = Desk()
    desk.plan(start=MONDAY + HOUR)
    desk.plan(start=TOMORROW)
    desk.advance(hours=1)
    desk.tell(
        PolicyLoaded(
            policy=Policy(late_after=4 * HOUR), duty=DUTY, council_desks=(), holidays=(), public="auto"
        )
    )
    assert desk.visit().late_at == MONDAY + 90 * MINUTE


@pytest.mark.parametrize(("minutes", "asks"), [(31, True), (89.99, True), (90, False)])
def test_nor_is_one_that_is_late_until_it_is_missed(minutes: float, asks: bool) -> None:
    """There would be no visit of theirs any more to which somebody could be sent (22.4)."""
    desk = Desk()
    desk.plan()
    desk.advance(minutes=minutes)
    assert (desk.plan(service_user="fay").refusal is not None) is asks
    assert desk.alert().state == "open"
