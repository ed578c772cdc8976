"""From the close to the award: what the rules say of each bid, who comes first, and what a broker may do about it."""

from __future__ import annotations

import hashlib
import itertools
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core.evidence import Evidence
from monitor.core.placing import evaluate
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import BidTakenBack, LocalScore, PlacementActed, Rating
from monitor.core.work import Refusal
from tests.core.council import ACE, BEE, BROKERS, FRAME, FRAMEWORK, GOOD, STANDARD, Council

EAST_80 = (LocalScore(area="east", score=80),)
WORDS = Evidence(id="e1", digest="00")
BY_ITSELF = structs.replace(STANDARD, award="by_itself")


def bids(desk: Council, provider: str, ref: str = "k1", **more: Any) -> None:
    assert desk.bids(provider, ref, **more).refusal is None


def act(desk: Council, **said: Any) -> Refusal | None:
    """The broker does something about the package."""
    values = {"placement": "k1", "by": "bea"} | said
    return desk.tell(PlacementActed(**values)).refusal


def awards(desk: Council, provider: str | None = None, **more: Any) -> Refusal | None:
    """The broker's word."""
    return act(desk, action="award", provider=provider, **more)


def closes(desk: Council) -> p.ProposalMade:
    """The window runs out; returns the proposal."""
    desk.advance(hours=2)
    proposal = desk.bodies(p.ProposalMade)[-1]
    assert isinstance(proposal, p.ProposalMade)
    return proposal


def code(refusal: Refusal | None) -> str:
    return refusal.code if refusal is not None else "taken"


# --- the proposal ---


def test_at_the_close_one_of_those_who_bid_is_proposed_and_everybody_asked_stands_in_a_row() -> None:
    desk = Council()
    desk.sends()
    bids(desk, "bee")
    proposal = closes(desk)
    assert proposal.proposed == "bee"
    assert [(row.provider, row.place, row.answer) for row in proposal.rows] == [
        ("bee", 1, "bid"),
        ("ace", None, "silent"),
    ]
    assert {result.rule for result in proposal.rows[0].results} == set(p.RULES)
    assert desk.placement().stage == "proposed"


def test_nobody_bid_and_the_next_round_opens() -> None:
    desk = Council()
    desk.sends()
    assert closes(desk).proposed is None
    assert [body.asked for body in desk.bodies(p.RoundOpened)] == [("ace", "bee"), ("frame",)]


def test_the_policy_may_award_by_itself() -> None:
    desk = Council(placing=BY_ITSELF)
    desk.sends()
    bids(desk, "ace")
    closes(desk)
    (given,) = desk.bodies(p.PlacementAwarded)
    assert (given.provider, given.by, given.early) == ("ace", None, False)
    assert given.confirm_by == desk.now + STANDARD.confirm_within


def test_a_rating_that_changes_while_the_window_is_open_counts_as_it_is_at_the_close() -> None:
    desk = Council()
    desk.sends()
    bids(desk, "ace")
    bids(desk, "bee")
    desk.advance(minutes=30)
    worse = structs.replace(GOOD, safe="requires_improvement", published=desk.now.date())
    desk.changed(ACE, rating=worse)
    changed_at = desk.now
    proposal = closes(desk)
    assert proposal.proposed == "bee"
    row = proposal.rows[-1]
    assert (row.provider, row.place, row.rated_at) == ("ace", None, changed_at)
    assert [result.why for result in row.results if result.outcome == "fails"] == [
        "safe_requires_improvement"
    ]


def test_a_rating_that_gets_better_before_the_close_lets_them_in() -> None:
    bad = structs.replace(GOOD, overall="inadequate")
    desk = Council(providers=(structs.replace(ACE, rating=bad),))
    desk.sends()
    bids(desk, "ace")
    desk.advance(minutes=119)
    desk.changed(ACE)
    assert closes(desk).proposed == "ace"


def test_a_rating_stands_since_it_was_told_first_and_not_since_the_rate_was() -> None:
    desk = Council()
    at = desk.now
    desk.advance(minutes=5)
    desk.changed(ACE, rate_pence=1)
    known = desk.state.values.providers["ace"]
    assert (known.rated_since, known.since) == (at, desk.now)


def test_nobody_who_fails_a_rule_is_proposed_and_the_next_round_opens() -> None:
    desk = Council(providers=(structs.replace(ACE, hours_declared=2999), FRAME))
    desk.sends()
    bids(desk, "ace")
    proposal = closes(desk)
    assert (proposal.proposed, [row.place for row in proposal.rows]) == (None, [None])
    assert [body.asked for body in desk.bodies(p.RoundOpened)][-1] == ("frame",)


def test_a_late_bid_that_is_admitted_is_compared_with_the_others() -> None:
    desk = Council()
    desk.sends()
    bids(desk, "ace", start=desk.placement().package.start + timedelta(days=1))
    bids(desk, "bee")
    desk.changed(BEE, rate_pence=9999)
    desk.changed(ACE, rate_pence=1)
    assert closes(desk).proposed == "bee"
    desk.bids("ace")
    act(desk, action="admit_late", provider="ace", note=WORDS)
    proposal = desk.bodies(p.ProposalMade)[-1]
    assert proposal.proposed == "ace"
    assert [(row.provider, row.place, row.late, row.decided_by) for row in proposal.rows] == [
        ("ace", 1, True, ""),
        ("bee", 2, False, "rate"),
    ]


@pytest.mark.parametrize("others", [True, False])
def test_the_proposed_provider_takes_its_bid_back_after_the_close(others: bool) -> None:
    """Another is proposed, or the next round opens."""
    desk = Council()
    desk.sends()
    bids(desk, "ace")
    if others:
        bids(desk, "bee")
    first = closes(desk).proposed
    assert first is not None
    desk.tell(BidTakenBack(placement="k1", provider=first, source="link"))
    proposal = desk.bodies(p.ProposalMade)[-1]
    assert proposal.proposed == ({"ace": "bee", "bee": "ace"}[first] if others else None)
    assert desk.placement().stage == ("proposed" if others else "open")


# --- who comes first ---


def two(**more: Any) -> Council:
    """`ace` and `bee` bid for the same package."""
    desk = Council(**more)
    desk.sends()
    bids(desk, "ace")
    bids(desk, "bee")
    return desk


def second(desk: Council) -> tuple[str, str]:
    """Who is proposed, and by what the other one stands behind."""
    proposal = closes(desk)
    return proposal.proposed or "", next(row.decided_by for row in proposal.rows if row.place == 2)


ORDER: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, str]]] = [
    ("the rate", {}, {"rate_pence": 2099}, ("bee", "rate")),
    ("no rate comes last", {}, {"rate_pence": None}, ("ace", "rate")),
    ("the score, where the policy says so", {"ties": ("score",)}, {"scores": EAST_80}, ("bee", "score")),
    (
        "the first tie goes before the second",
        {"ties": ("score", "rate")},
        {"scores": EAST_80, "rate_pence": 9},
        ("bee", "score"),
    ),
]


@pytest.mark.parametrize(("_", "policy", "bee", "expected"), ORDER, ids=[row[0] for row in ORDER])
def test_ties_decide_in_the_order_of_the_policy(
    _: str, policy: dict[str, Any], bee: dict[str, Any], expected: tuple[str, str]
) -> None:
    desk = two(placing=structs.replace(STANDARD, **policy))
    desk.changed(BEE, **bee)
    assert second(desk) == expected


def test_fewer_hours_come_before_a_better_rate() -> None:
    desk = Council(placing=BY_ITSELF)
    desk.changed(ACE, rate_pence=1)
    won = []
    for number in range(4):
        ref = f"k{number}"
        desk.sends(ref)
        bids(desk, "ace", ref)
        bids(desk, "bee", ref)
        won.append(closes(desk).proposed)
    assert won == ["ace", "bee", "ace", "bee"]
    assert desk.bodies(p.ProposalMade)[1].rows[1].decided_by == "hours_held"


def test_on_the_framework_fair_share_decides_nothing_and_the_rate_does() -> None:
    dear, cheap = structs.replace(FRAME, ref="dear", rate_pence=2500), structs.replace(FRAME, ref="cheap")
    policy = structs.replace(BY_ITSELF, rounds=(FRAMEWORK,))
    desk = Council(placing=policy, providers=(cheap, dear))
    won = []
    for number in range(3):
        desk.sends(f"k{number}")
        bids(desk, "dear", f"k{number}")
        bids(desk, "cheap", f"k{number}")
        won.append(closes(desk).proposed)
    assert won == ["cheap"] * 3
    assert {row.decided_by for body in desk.bodies(p.ProposalMade) for row in body.rows} == {"", "rate"}


def test_before_the_wanted_start_no_start_is_better_than_another() -> None:
    desk = Council()
    desk.sends()
    bids(desk, "ace", start=desk.now + timedelta(hours=4))
    bids(desk, "bee")
    desk.changed(BEE, rate_pence=1)
    assert second(desk) == ("bee", "rate")


def test_without_a_wanted_start_the_earliest_comes_first() -> None:
    desk = Council()
    desk.sends(start=None)
    bids(desk, "ace", start=desk.now + timedelta(days=3))
    bids(desk, "bee", start=desk.now + timedelta(days=2))
    assert second(desk) == ("bee", "earliest_start")


def test_what_is_equal_is_drawn_the_same_way_whenever_it_is_drawn_again() -> None:
    first, by = second(two())
    assert (first, by) == (min(("ace", "bee"), key=lambda ref: evaluate.drawn("k1", ref)), "drawn")
    digest = hashlib.sha256(b"k1\nace").hexdigest()
    assert evaluate.drawn("k1", "ace") == digest
    drawn = {min(("ace", "bee"), key=lambda ref: evaluate.drawn(f"k{n}", ref)) for n in range(20)}
    assert drawn == {"ace", "bee"}


# --- the broker ---


def test_a_broker_confirms_and_the_second_one_is_told_who_was_first() -> None:
    desk = Council(duty=(*BROKERS, structs.replace(BROKERS[0], person="ben")))
    desk.sends()
    bids(desk, "ace")
    closes(desk)
    assert awards(desk) is None
    at = desk.now
    desk.advance(seconds=1)
    refusal = awards(desk, "ace", by="ben")
    assert refusal == Refusal(code="already_awarded", detail={"by": "bea", "at": at, "provider": "ace"})


OVERRIDES: list[tuple[str, dict[str, Any], str]] = [
    ("no reason", {}, "reason"),
    ("a named reason", {"reason": "continuity"}, "taken"),
    ("other, without words", {"reason": "other"}, "note"),
    ("other, with words", {"reason": "other", "note": WORDS}, "taken"),
]


@pytest.mark.parametrize(("_", "said", "expected"), OVERRIDES, ids=[row[0] for row in OVERRIDES])
def test_another_than_the_proposed_one_wants_a_reason(_: str, said: dict[str, Any], expected: str) -> None:
    desk = Council()
    desk.sends()
    bids(desk, "ace")
    bids(desk, "bee")
    proposed = closes(desk).proposed
    other = "bee" if proposed == "ace" else "ace"
    assert code(awards(desk, other, **said)) == expected
    given = desk.bodies(p.PlacementAwarded)
    assert [(body.provider, body.proposed) for body in given] == (
        [(other, proposed)] if expected == "taken" else []
    )


def test_without_a_proposal_the_broker_says_who() -> None:
    desk = Council(providers=(ACE,))
    desk.sends()
    bids(desk, "ace", start=desk.placement().package.start + timedelta(minutes=1))
    assert closes(desk).proposed is None
    refusal = awards(desk)
    assert refusal == Refusal(code="provider", detail={"expected": ["ace"]})
    assert code(awards(desk, "ace")) == "reason"
    assert code(awards(desk, "ace", reason="continuity")) == "taken"


EARLY: list[tuple[str | None, str]] = [
    (None, "reason"),
    ("choice", "reason"),
    ("emergency", "taken"),
]


@pytest.mark.parametrize(("reason", "expected"), EARLY)
def test_before_the_close_only_an_emergency_awards_and_it_closes_the_window(
    reason: Any, expected: str
) -> None:
    desk = Council()
    desk.sends()
    bids(desk, "ace")
    desk.advance(minutes=20)
    assert code(awards(desk, "ace", reason=reason)) == expected
    assert [body.reason for body in desk.bodies(p.RoundClosed)] == (
        ["awarded"] if expected == "taken" else []
    )
    assert [body.early for body in desk.bodies(p.PlacementAwarded)] == ([True] if expected == "taken" else [])


def test_only_who_bid_and_stands_by_it_may_have_it() -> None:
    desk = two()
    desk.tell(BidTakenBack(placement="k1", provider="bee", source="link"))
    closes(desk)
    assert code(awards(desk, "sea", reason="choice")) == "never_bid"
    assert code(awards(desk, "bee", reason="choice")) == "bid_withdrawn"
    bids(desk, "bee")
    assert code(awards(desk, "bee", reason="choice")) == "late_bid"
    assert act(desk, action="admit_late", provider="bee", note=WORDS) is None
    assert code(awards(desk, "bee", reason="choice")) == "taken"


def test_who_fails_a_rule_is_given_the_package_for_a_specialist_need() -> None:
    """Appendix A: requirements that outweigh the normal process."""
    desk = Council(providers=(structs.replace(ACE, hours_declared=2999), BEE))
    desk.sends()
    bids(desk, "ace")
    bids(desk, "bee")
    assert closes(desk).proposed == "bee"
    assert code(awards(desk, "ace")) == "reason"
    assert code(awards(desk, "ace", reason="specialist_need")) == "taken"
    (given,) = desk.bodies(p.PlacementAwarded)
    assert (given.provider, given.proposed, given.reason) == ("ace", "bee", "specialist_need")


def test_what_is_withdrawn_or_awarded_is_awarded_no_more() -> None:
    desk = two()
    closes(desk)
    act(desk, action="withdraw", withdrawn="not_needed")
    assert code(awards(desk, "ace")) == "already_ended"
    assert desk.bodies(p.PlacementAwarded) == []


# --- what follows must not change what was decided ---


def test_whoever_bids_first_the_proposal_is_the_same() -> None:
    proposals = []
    for order in itertools.permutations(("ace", "bee", "cat")):
        desk = Council(providers=(ACE, BEE, structs.replace(ACE, ref="cat", rating=Rating())))
        desk.sends()
        for ref in order:
            bids(desk, ref)
        proposals.append(closes(desk))
    assert proposals == [proposals[0]] * 6


def test_from_whom_the_package_was_taken_back_it_is_not_proposed_again() -> None:
    one_round = structs.replace(STANDARD, rounds=STANDARD.rounds[:1])
    desk = two(placing=one_round)
    first = closes(desk).proposed
    other = {"ace": "bee", "bee": "ace"}[first or ""]
    assert awards(desk) is None
    assert act(desk, action="send_back", note=WORDS) is None
    bids(desk, other)
    assert act(desk, action="admit_late", provider=other, note=WORDS) is None
    rows = desk.bodies(p.ProposalMade)[-1].rows
    assert [(row.provider, row.place) for row in rows] == [(other, 1)]
