"""Packages at the seams between two rules: nobody is summoned for nothing, told twice, or told nothing at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from monitor.core.placing import facts as p
from monitor.core.placing.inputs import BidTakenBack, FirstVisitSettled, PackageReceived
from tests.core.council import ACE, BEE, FRAME, FRAMEWORK, PATCH, SEA, STANDARD
from tests.core.test_after import HOUR, NOTE, After

WAITS = structs.replace(STANDARD, rounds=(PATCH, FRAMEWORK))
IN_TURN = structs.replace(
    STANDARD, rounds=(structs.replace(PATCH, rule="ranked", closes_early="first_bid"), FRAMEWORK)
)
FAILS = structs.replace(ACE, rating=structs.replace(ACE.rating, overall="inadequate"))


def test_a_round_that_opens_by_itself_ends_what_the_broker_was_summoned_for() -> None:
    desk = After(placing=WAITS)
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=6)
    assert [alert.reason for alert in desk.summons()] == ["undecided"]
    desk.tell(BidTakenBack(placement="k1", provider="ace", source="link"))
    assert (desk.placement().stage, desk.summons()) == ("open", [])


def test_why_every_bid_failed_stays_with_its_round_when_the_next_one_opens_by_itself() -> None:
    desk = After(placing=WAITS, providers=(FAILS, BEE, FRAME))
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=2)
    first, second = desk.placement().rounds
    assert (desk.placement().stage, desk.placement().rows, second.rows) == ("open", (), ())
    assert first.judged_at == first.closed_at
    assert [(row.provider, row.answer, row.place) for row in first.rows] == [
        ("ace", "bid", None),
        ("bee", "silent", None),
    ]
    failed = [result.why for result in first.rows[0].results if result.outcome == "fails"]
    assert failed == ["overall_inadequate"]
    desk.bids(FRAME.ref)
    desk.advance(hours=2)
    assert (desk.placement().stage, desk.placement().rounds[0].rows) == ("proposed", first.rows)
    assert desk.placement().rounds[1].rows == desk.placement().rows


def test_who_bid_in_vain_hears_it_when_the_broker_gives_the_package_up() -> None:
    desk = After(placing=structs.replace(STANDARD, rounds=(PATCH,)), providers=(FAILS, BEE))
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=2)
    assert (desk.placement().stage, desk.told("BD-5")) == ("unplaced", [])
    desk.act("close", "bea", alert=desk.summons()[0], reason="other")
    assert (desk.placement().ended, desk.told("BD-5")) == ("unplaced", ["ace"])
    desk.advance(hours=12)
    assert desk.told("BD-5") == ["ace"]


def test_who_was_spared_while_proposed_hears_it_when_the_broker_passes_on_to_the_next_round() -> None:
    desk = After(placing=WAITS)
    desk.sends()
    desk.bids("ace")
    desk.bids("bee")
    desk.advance(hours=3)
    spared = desk.placement().proposed
    assert spared is not None
    assert desk.told("BD-5") == sorted({"ace", "bee"} - {spared})
    desk.acts("open_next", note=NOTE)
    assert desk.told("BD-5") == ["ace", "bee"]


def test_a_proposal_that_is_passed_over_in_time_leaves_the_two_and_a_half_hours_as_they_are() -> None:
    desk = After(placing=WAITS)
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=2)
    desk.acts("open_next", note=NOTE)
    assert desk.told("BD-5") == []
    desk.advance(minutes=30)
    assert desk.told("BD-5") == ["ace"]


def test_why_a_proposal_is_not_followed_stands_in_the_fact_that_opens_the_next_round() -> None:
    desk = After(placing=WAITS)
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=2)
    desk.acts("open_next", note=NOTE)
    assert [body.note for body in desk.bodies(p.RoundOpened)] == [None, NOTE]


def test_two_runs_of_a_round_that_come_due_while_nobody_watches_tell_each_loser_once() -> None:
    desk = After(placing=IN_TURN, providers=(FAILS, BEE, FRAME))
    desk.sends()
    desk.bids("ace")
    desk.advance(minutes=1)
    desk.bids("bee")
    assert [run.index for run in desk.placement().rounds] == [0, 0]
    desk.now += 3 * HOUR
    desk.advance(milliseconds=1)
    assert desk.told("BD-5") == ["ace"]


# --- a link that was taken back ---


def test_whoever_holds_a_link_that_was_taken_back_says_nothing_about_the_first_visit() -> None:
    desk = After()
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=2)
    desk.acts("award")
    desk.acts("revoke_link", provider="ace")
    refusal = desk.confirms("ace").refusal
    assert refusal is not None
    assert (refusal.code, desk.placement().first_visit) == ("link_revoked", None)
    assert desk.confirms("ace", source="api").refusal is None, "with its own credential it may"


# --- a page that shows what is over by now ---


@pytest.mark.parametrize("action", ["papers_sent", "confirm_first_visit", "send_back"])
def test_a_press_about_one_winner_does_nothing_to_the_next_one(action: str) -> None:
    desk = After()
    desk.sends()
    desk.bids("ace")
    desk.bids("bee")
    desk.acts("award", provider="bee", reason="emergency")
    before = desk.placement()
    visit = {"start": desk.now + HOUR, "end": desk.now + 2 * HOUR}
    refusal = desk.acts(action, provider="ace", note=NOTE, **visit).refusal
    assert refusal is not None
    assert (refusal.code, desk.placement()) == ("not_winner", before)
    assert desk.acts(action, provider="bee", note=NOTE, **visit).refusal is None


# --- who may send a package out ---


def test_a_package_is_sent_out_by_a_broker_of_the_duty_list() -> None:
    desk = After()
    desk.sends()
    package = desk.placement().package
    refusal = desk.tell(PackageReceived(ref="k2", package=package, by="stranger")).refusal
    assert refusal is not None
    assert (refusal.code, "k2" in desk.state.values.placements) == ("not_broker", False)


# --- the visit of an award that was taken back ---


@pytest.mark.parametrize("desk_of_it", ["acorn", "bright"])
def test_a_visit_that_lands_for_who_had_the_package_before_settles_nothing(desk_of_it: str) -> None:
    desk = After(
        providers=(structs.replace(ACE, desk="acorn"), structs.replace(BEE, desk="bright"), SEA, FRAME)
    )
    desk.sends()
    desk.bids("ace")
    desk.bids("bee")
    desk.acts("award", provider="ace", reason="emergency")
    desk.confirms("ace")
    desk.acts("send_back", note=NOTE)
    desk.acts("award", provider="bee", reason="emergency")
    desk.confirms("bee")
    desk.tell(FirstVisitSettled(placement="k1", desk=desk_of_it, visit="v9"))
    visit = desk.placement().first_visit
    assert visit is not None
    assert visit.landed == ("v9" if desk_of_it == "bright" else None)
    desk.advance(seconds=timedelta(minutes=10).total_seconds())
    assert desk.told("BD-32") == ([] if desk_of_it == "bright" else ["bea"])


# --- when the broker asks for a round that there is not ---


def test_a_package_for_which_the_broker_finds_no_further_round_is_unplaced_from_then_on() -> None:
    waits = structs.replace(STANDARD, rounds=(structs.replace(PATCH, next="broker"), FRAMEWORK))
    desk = After(placing=waits, providers=(ACE, BEE, FRAME))
    desk.sends()
    desk.advance(hours=2)
    assert desk.placement().stage == "waiting"
    desk.changed(FRAME, active=False)
    refusal = desk.acts("open_next").refusal
    assert refusal is not None
    assert (refusal.code, desk.placement().stage) == ("no_more_rounds", "unplaced")
    desk.acts("open_next")
    assert [alert.reason for alert in desk.summons()] == ["unplaced"], "once"


def test_a_proposal_stands_where_the_broker_finds_no_further_round() -> None:
    desk = After(placing=WAITS, providers=(ACE, BEE))
    desk.sends()
    desk.bids("ace")
    desk.advance(hours=2)
    refusal = desk.acts("open_next", note=NOTE).refusal
    assert refusal is not None
    assert (refusal.code, desk.placement().stage, desk.summons()) == ("no_more_rounds", "proposed", [])
