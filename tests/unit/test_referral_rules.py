"""Each rule of a council's referral speaks when a journal is broken, and is silent over one that keeps it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.simulation import referral_rules
from tests.simulation.journal import Fact
from tests.simulation.referral_rules import RULES, Answered, Told, broken, gather

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HALF, LAST, ENDS = (NINE + timedelta(minutes=minutes) for minutes in (60, 110, 120))
MOMENT = timedelta(milliseconds=1)
Journal = list[Fact]


def fact(seq: int, at: datetime, kind: str, subject: str = "q1", /, **body: Any) -> Fact:
    return Fact(
        seq=seq, at=at, due_at=None, kind=kind, subject=subject, cause=at.isoformat(), policy="dd", body=body
    )


def logged() -> Fact:
    return fact(
        1,
        NINE,
        "ReferralLogged",
        arrived_at=NINE.isoformat(),
        half_at=HALF.isoformat(),
        last_at=LAST.isoformat(),
        answer_by=ENDS.isoformat(),
    )


def message(
    seq: int, at: datetime, key: str, person: str, channel: str = "sms", template: str = "RF-1"
) -> Fact:
    return fact(seq, at, "MessageIntended", key, person=person, channel=channel, template=template)


def attempt(seq: int, at: datetime, key: str) -> Fact:
    return fact(seq, at, "MessageAttempted", key, attempt=1)


def summons(seq: int, at: datetime, mark: str, person: str | None, *keys: str, reason: str = "") -> Fact:
    return fact(seq, at, "ReferralSummoned", mark=mark, person=person, messages=list(keys), reason=reason)


def taken() -> Journal:
    """reff is told at arrival, olga rung at half time; she takes it, is reminded, answers, and nothing leaves after."""
    return [
        logged(),
        message(2, NINE, "m2", "reff"),
        summons(3, NINE, "arrival", "reff", "m2"),
        attempt(4, NINE, "m2"),
        message(5, HALF, "m5", "olga"),
        message(6, HALF, "m6", "olga", "call", "RFV-1"),
        summons(7, HALF, "half", "olga", "m5", "m6"),
        attempt(8, HALF, "m5"),
        fact(9, HALF + timedelta(minutes=1), "ReferralTaken", by="olga", proof="key:2"),
        message(10, LAST, "m10", "olga", template="RF-3"),
        summons(11, LAST, "last", "olga", "m10", reason="reminded"),
        fact(
            12,
            LAST + timedelta(minutes=5),
            "ReferralAnswered",
            outcome="bid",
            by="olga",
            done_at=(LAST + timedelta(minutes=5)).isoformat(),
        ),
    ]


def silent() -> Journal:
    """Nobody says a word: somebody else each time, and the manager at the end."""
    return [
        *taken()[:8],
        message(10, LAST, "m10", "reff"),
        message(11, LAST, "m11", "reff", "call", "RFV-1"),
        summons(12, LAST, "last", "reff", "m10", "m11"),
        message(13, ENDS, "m13", "mary", template="RF-4"),
        fact(14, ENDS, "ReferralLapsed", told=["mary"]),
    ]


def told(facts: Journal) -> Told:
    answered = any(one.kind == "ReferralAnswered" for one in facts)
    said = [Answered(ref="q1", by="olga", outcome="bid")] if answered else []
    return gather(
        facts,
        ends_at=NINE + timedelta(hours=9),
        able=lambda since, until: max(until - since, timedelta()),
        steady=lambda since, until: True,
        own=lambda at: frozenset({"reff"}),
        on_duty=lambda at: frozenset({"olga", "mary"}),
        logged=["q1"],
        answered=said,
    )


def put(journal: Journal, seq: int, **changed: Any) -> Journal:
    """Another body of that fact."""
    return [replace(one, body=one.body | changed) if one.seq == seq else one for one in journal]


def at(journal: Journal, seq: int, moment: datetime) -> Journal:
    return [replace(one, at=moment) if one.seq == seq else one for one in journal]


def without(journal: Journal, *seqs: int) -> Journal:
    return [one for one in journal if one.seq not in seqs]


@pytest.mark.parametrize("journal", [taken, silent])
def test_a_journal_that_keeps_the_rules_is_left_alone(journal: Callable[[], Journal]) -> None:
    assert list(broken(told(journal()))) == []


LATE = timedelta(seconds=11)
MUTANTS: list[tuple[str, Journal]] = [
    ("summoned_in_time", without(silent(), 2, 3, 4, 5, 6, 7, 8, 10, 11, 12)),
    ("summoned_in_time", without(silent(), 5, 6, 7, 8)),
    ("summoned_in_time", without(silent(), 10, 11, 12)),
    ("summoned_in_time", without(taken(), 10, 11)),
    ("summoned_in_time", at(silent(), 7, HALF + LATE)),
    ("summoned_in_time", at(silent(), 12, LAST - MOMENT)),
    ("who_is_summoned_may_act", put(silent(), 7, person="wen")),
    ("who_is_summoned_may_act", put(taken(), 3, person="olga")),
    ("who_is_summoned_may_act", put(silent(), 12, person=None, messages=[])),
    ("a_summons_is_a_message", without(silent(), 5, 6, 8)),
    ("a_summons_is_a_message", put(silent(), 5, person="mary")),
    ("a_summons_is_a_message", put(silent(), 7, messages=["m5"])),
    ("never_after", [*taken(), summons(13, ENDS, "last", "reff")]),
    ("never_after", [*silent(), summons(15, ENDS, "last", "reff")]),
    ("never_after", [*taken(), attempt(13, ENDS, "m10")]),
    ("never_after", [*taken()[:9], attempt(10, LAST, "m2")]),
    ("never_after", [*taken()[:9], summons(10, LAST, "last", "reff")]),
    ("silence_is_told", without(silent(), 13, 14)),
    ("silence_is_told", without(silent(), 13)),
    ("silence_is_told", at(at(silent(), 13, ENDS + LATE), 14, ENDS + LATE)),
    ("silence_is_told", at(silent(), 14, ENDS - MOMENT)),
    ("silence_is_told", put(silent(), 14, told=[])),
    ("silence_is_told", at(put(taken(), 12, late=True), 12, ENDS + LATE)),
    ("who_answered_is_recorded", put(taken(), 12, by="mary")),
    ("who_answered_is_recorded", put(taken(), 12, outcome="declined")),
    ("who_answered_is_recorded", put(taken(), 12, late=True)),
    ("who_answered_is_recorded", put(taken(), 12, done_at=ENDS.isoformat())),
    ("who_answered_is_recorded", without(silent(), 1)),
    ("who_answered_is_recorded", [logged(), *silent()]),
    ("who_answered_is_recorded", [*taken(), replace(taken()[-1], seq=13)]),
    ("one_has_it", [*taken()[:9], fact(10, LAST, "ReferralTaken", by="reff", proof="key:2")]),
]


@pytest.mark.parametrize(
    ("rule", "journal"), MUTANTS, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(MUTANTS)]
)
def test_each_rule_speaks_when_the_journal_breaks_it(rule: str, journal: Journal) -> None:
    assert rule in {name for name, _ in broken(told(journal))}


def test_every_rule_has_a_journal_that_breaks_it() -> None:
    assert {rule for rule, _ in MUTANTS} == {rule.__name__ for rule in RULES}


def test_what_passed_while_the_clock_was_wrong_breaks_no_rule_of_time() -> None:
    late = at(silent(), 7, HALF + LATE)
    assert list(broken(replace(told(late), steady=lambda since, until: False))) == []


def test_the_rules_share_no_code_with_the_product() -> None:
    tree = ast.parse(Path(referral_rules.__file__).read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [
        name for name in imported if name.split(".")[0] in ("monitor", "connectors", "escalation", "config")
    ]
