"""From the close to the award: what the rules say of each bid, who comes first, and what a broker may do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core import facts as f
from monitor.core.evidence import Evidence
from monitor.core.placing import award
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import PlacementActed
from monitor.core.work import Ctx, Refusal, Work
from tests.core.council import STANDARD, Council

WORDS = Evidence(id="e1", digest="00")
BY_ITSELF = structs.replace(STANDARD, award="by_itself")


def bids(desk: Council, provider: str, ref: str = "k1", **more: Any) -> None:
    """A bid as the journal has it: in time, for the day on which the care is wanted."""
    known = desk.placement(ref)
    run = known.round
    assert run is not None
    values: dict[str, Any] = {"index": run.index, "start": known.package.start, "source": "link"}
    body = p.BidRecorded(provider=provider, **values | more)
    desk._fold(f.Draft(at=desk.now, subject=ref, body=body, policy=known.policy))


def awards(desk: Council, provider: str | None = None, ref: str = "k1", **more: Any) -> Refusal | None:
    """The broker's word."""
    seen = PlacementActed(placement=ref, action="award", by=more.pop("by", "bea"), provider=provider, **more)
    work = Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))
    refusal = award.act(work, desk.placement(ref), seen)
    for draft in work.decision().drafts:
        desk._fold(draft)
    return refusal


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


# --- the broker ---


def test_a_broker_confirms_and_the_second_one_is_told_who_was_first() -> None:
    desk = Council()
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


def test_who_fails_a_rule_is_awarded_the_package_with_a_reason_only() -> None:
    desk = Council()
    desk.sends()
    bids(desk, "ace", start=desk.placement().package.start + timedelta(minutes=1))
    closes(desk)
    assert code(awards(desk)) == "provider"


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
    desk = Council()
    desk.sends()
    bids(desk, "ace")
    closes(desk)
    assert code(awards(desk, "sea", reason="choice")) == "never_bid"
    bids(desk, "bee", late=True)
    assert code(awards(desk, "bee", reason="choice")) == "late_bid"
    gone = p.BidWithdrawn(index=0, provider="ace", source="link", late=True)
    desk._fold(f.Draft(at=desk.now, subject="k1", body=gone))
    assert code(awards(desk, "ace")) == "bid_withdrawn"
