"""Rounds: who is asked, until when, what closes a window and what follows one that placed nothing."""

from __future__ import annotations

from msgspec import structs

from config.placing import PlacingPolicy
from monitor.core.placing import facts as p
from tests.core.council import FRAMEWORK, OTHERS, PATCH, Council
from tests.core.driver import MONDAY


def test_a_round_without_a_bid_is_followed_by_the_next_one_that_is_held_for_the_area() -> None:
    desk = Council()
    desk.sends()
    desk.advance(hours=2)
    assert [body.asked for body in desk.bodies(p.RoundOpened)] == [("ace", "bee"), ("frame",)]
    assert [(body.index, body.reason) for body in desk.bodies(p.RoundPassedOver)] == [(1, "other_area")]


def test_after_the_last_round_the_broker_is_summoned() -> None:
    desk = Council()
    desk.sends()
    desk.advance(hours=4)
    assert desk.placement().stage == "unplaced"
    (alert,) = desk.state.values.alerts.values()
    assert (alert.kind, alert.placement) == ("placement", "k1")


def test_a_package_that_nobody_can_be_asked_about_is_unplaced_at_once() -> None:
    desk = Council(providers=())
    desk.sends()
    assert [body.reason for body in desk.bodies(p.RoundPassedOver)] == [
        "nobody_asked",
        "other_area",
        "nobody_asked",
    ]
    assert desk.placement().stage == "unplaced"
    assert desk.now == MONDAY


def test_the_broker_says_when_the_next_round_opens_where_the_policy_wants_it() -> None:
    waits = PlacingPolicy(rounds=(structs.replace(PATCH, next="broker"), OTHERS, FRAMEWORK))
    desk = Council(placing=waits)
    desk.sends()
    desk.advance(hours=48)
    assert desk.placement().stage == "waiting"
    told = [m for m in desk.state.values.messages.values() if m.template == "BD-6"]
    assert [(m.person, m.channel) for m in told] == [("bea", "sms"), ("bea", "email")]


def test_who_has_not_answered_is_reminded_once() -> None:
    desk = Council()
    desk.sends()
    desk.advance(minutes=89, seconds=59)
    assert not desk.bodies(p.RoundReminded)
    desk.advance(seconds=1)
    assert [body.told for body in desk.bodies(p.RoundReminded)] == [("ace", "bee")]
    desk.advance(minutes=20)
    assert len(desk.bodies(p.RoundReminded)) == 1
