"""Each rule of placing speaks when a journal is broken, and is silent over one that keeps it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.simulation import placing_rules
from tests.simulation.journal import Fact
from tests.simulation.placing_rules import RULES, Placed, broken, gather

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CLOSE = NINE + timedelta(hours=2)
Journal = list[Fact]
POLICY = {"lost_told_after": "2h30m", "rounds": [{"rule": "open"}, {"rule": "open"}]}


def fact(seq: int, at: datetime, kind: str, subject: str = "g1", /, **body: Any) -> Fact:
    return Fact(seq=seq, at=at, due_at=None, kind=kind, subject=subject, cause="", policy="dd", body=body)


def told(seq: int, at: datetime, person: str) -> Fact:
    return fact(seq, at, "MessageIntended", f"m{seq}", person=person, placement="g1", template="BD-1")


def whole() -> Journal:
    """Ace and bee are asked, both bid, bee wins, ace is told; ace's change after the close is late."""
    return [
        fact(
            1,
            NINE,
            "PlacingAdopted",
            "desk",
            terms=[{"digest": "dd", "policy": POLICY}],
        ),
        fact(2, NINE, "PlacementReceived"),
        fact(3, NINE, "RoundOpened", index=0, closes_at=CLOSE.isoformat(), asked=["ace", "bee", "cee"]),
        *(told(4 + n, NINE, person) for n, person in enumerate(("ace", "bee", "cee"))),
        fact(7, NINE + timedelta(minutes=5), "BidRecorded", index=0, provider="ace"),
        fact(8, CLOSE - timedelta(milliseconds=1), "BidRecorded", index=0, provider="bee"),
        fact(9, CLOSE, "RoundClosed", index=0, reason="time", silent=["cee"]),
        fact(10, CLOSE, "ProposalMade", index=0, rows=[], proposed="bee"),
        told(11, CLOSE, "bea"),
        fact(12, CLOSE, "BidRecorded", index=0, provider="ace", late=True),
        fact(13, CLOSE + timedelta(minutes=3), "PlacementAwarded", provider="bee"),
        fact(14, CLOSE + timedelta(minutes=3), "LosersTold", index=0, told=["ace"]),
        fact(15, CLOSE + timedelta(hours=1), "FirstVisitConfirmed", provider="bee"),
    ]


def unplaced() -> Journal:
    """Nobody bids, and there is no other round."""
    return [
        *whole()[:6],
        fact(9, CLOSE, "RoundClosed", index=0, reason="time", silent=["ace", "bee", "cee"]),
        fact(10, CLOSE, "AlertRaised", "a1", alert="a1", kind="placement"),
        fact(11, CLOSE, "PlacementUnplaced", alert="a1"),
    ]


def landed() -> Journal:
    """The first visit has landed in the winner's own desk, and is called off there with the package."""
    later = CLOSE + timedelta(hours=2)
    return [
        *put(whole(), 15, desk="acorn"),
        fact(16, later, "VisitPlanned", "v9", placement="g1"),
        fact(17, later, "FirstVisitLanded", provider="bee", desk="acorn", visit="v9"),
        fact(18, later, "PlacementEnded", reason="withdrawn"),
        fact(19, later, "VisitCancelled", "v9", reason="called_off_by_council"),
        fact(20, later, "FirstVisitCalledOff", index=0, provider="bee", desk="acorn", outcome="called_off"),
    ]


def placed(facts: Journal) -> Placed:
    answered = [("g1", "ace", "bid"), ("g1", "bee", "bid"), ("g1", "ace", "bid")] if len(facts) > 10 else []
    able = lambda since, until: max(until - since, timedelta())  # noqa: E731
    return gather(facts, able, NINE + timedelta(hours=9), answered, offices=facts)


def put(journal: Journal, seq: int, **changed: Any) -> Journal:
    """Another body of that fact."""
    return [replace(one, body=one.body | changed) if one.seq == seq else one for one in journal]


def at(journal: Journal, seq: int, moment: datetime) -> Journal:
    return [replace(one, at=moment) if one.seq == seq else one for one in journal]


def without(journal: Journal, *seqs: int) -> Journal:
    return [one for one in journal if one.seq not in seqs]


@pytest.mark.parametrize("journal", [whole, unplaced, landed])
def test_a_journal_that_keeps_the_rules_is_left_alone(journal: Callable[[], Journal]) -> None:
    assert list(broken(placed(journal()))) == []


MUTANTS: list[tuple[str, Journal]] = [
    ("every_window_closes", at(whole(), 9, CLOSE - timedelta(seconds=1))),
    ("every_window_closes", at(whole(), 9, CLOSE + timedelta(seconds=11))),
    ("every_window_closes", whole()[:8]),
    ("late_is_late", put(whole(), 8, late=True)),
    ("late_is_late", put(whole(), 12, late=False)),
    ("late_is_late", at(whole(), 8, CLOSE)),
    ("silence_is_recorded", put(whole(), 9, silent=[])),
    ("silence_is_recorded", put(whole(), 9, silent=["cee", "ace"])),
    ("the_proposed_have_bid", put(whole(), 10, proposed="cee")),
    ("the_proposed_have_bid", put(whole(), 13, provider="cee")),
    (
        "one_has_it",
        [*whole(), fact(16, CLOSE + timedelta(hours=1), "PlacementAwarded", provider="ace")],
    ),
    ("one_has_it", put(whole(), 15, provider="ace")),
    ("answered_is_recorded", without(whole(), 12)),
    ("who_is_asked_is_told", without(whole(), 6)),
    ("losers_hear_of_it", without(whole(), 14)),
    (
        "losers_hear_of_it",
        [*whole(), *(fact(20 + n, CLOSE, "LosersTold", index=0, told=["ace"]) for n in (0, 1))],
    ),
    ("unplaced_summons", without(unplaced(), 10)),
    ("no_quiet_end", without(whole(), 11, 13, 14, 15)),
    ("what_is_confirmed_lands", without(landed(), 16, 17, 18, 19, 20)),
    ("what_is_confirmed_lands", [*landed(), fact(21, CLOSE, "VisitPlanned", "v9", placement="g1")]),
    ("what_nobody_wants_is_called_off", without(landed(), 20)),
    ("what_nobody_wants_is_called_off", without(landed(), 19)),
    ("what_nobody_wants_is_called_off", without(landed(), 18)),
    (
        "what_nobody_wants_is_called_off",
        [*landed(), fact(21, CLOSE, "FirstVisitCalledOff", index=0, outcome="kept")],
    ),
    (
        "rounds_in_order",
        [
            *put(whole(), 3, index=1),
            fact(20, CLOSE, "RoundOpened", index=0, closes_at=CLOSE.isoformat(), asked=[]),
        ],
    ),
]


@pytest.mark.parametrize(
    ("rule", "journal"), MUTANTS, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(MUTANTS)]
)
def test_each_rule_speaks_when_the_journal_breaks_it(rule: str, journal: Journal) -> None:
    assert rule in {name for name, _ in broken(placed(journal))}


def test_every_rule_has_a_journal_that_breaks_it() -> None:
    assert {rule for rule, _ in MUTANTS} == {rule.__name__ for rule in RULES}


def test_the_rules_share_no_code_with_the_product() -> None:
    tree = ast.parse(Path(placing_rules.__file__).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [
        name for name in imported if name.split(".")[0] in ("monitor", "connectors", "escalation", "config")
    ]
