"""The figures of trust on a small office, and that they can say no."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.trust.day import play
from tests.trust.figures import Figures, Missed, broken, count, table
from tests.trust.habits import Habits, described, halved

MINUTE = timedelta(minutes=1)
GOOD = Missed(
    visit="v", alert=30 * MINUTE, summoned=timedelta(), rung=timedelta(), sent=50 * MINUTE, told=None
)


def test_four_days_of_a_small_office_keep_every_bound() -> None:
    figures = count(play(seed, Habits(), areas=8) for seed in range(1, 5))
    assert (figures.days, figures.visits) == (4, 640)
    assert figures.in_question >= 20
    assert figures.missed
    assert figures.foretold > figures.breaches / 2
    assert broken(figures) == []
    assert "| days, visits | 4, 640 |" in table(figures)


def test_where_nobody_looks_at_a_telephone_the_bound_is_broken_and_no_missed_visit_waits_longer() -> None:
    nobody = replace(Habits(), notices=0.0, notices_bag=0.0, acts=0.0, picks_up=0.0, remembers_leaving=0.0)
    figures = count([play(1, nobody, areas=4)])
    assert figures.rung_share > 0.9
    assert [what.partition("%")[2] for what in broken(figures)] == [
        " of the forgotten check-ins reach a service user (at most 20%)"
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GOOD, []),
        (replace(GOOD, alert=None), ["no alert was raised (21.2)"]),
        (replace(GOOD, alert=30 * MINUTE + timedelta(seconds=11)), ["after the start (21.2)"]),
        (replace(GOOD, summoned=None), ["after the alert (21.3)"]),
        (replace(GOOD, summoned=timedelta(seconds=61)), ["after the alert (21.3)"]),
        (replace(GOOD, rung=None), ["after the alert (22.2)"]),
        (replace(GOOD, sent=None), ["after the alert (22.4)"]),
        (replace(GOOD, sent=None, told=60 * MINUTE), []),
        (replace(GOOD, sent=62 * MINUTE), ["after the alert (22.4)"]),
    ],
)
def test_a_missed_visit_that_waits_longer_than_its_clause_allows_is_named(
    row: Missed, says: list[str]
) -> None:
    found = broken(Figures(missed=[row]))
    assert len(found) == len(says)
    assert all(text.endswith(end) for text, end in zip(found, says, strict=True))


@pytest.mark.parametrize(("rung", "holds"), [(20, True), (21, False)])
def test_at_most_one_in_five_of_the_forgotten_reach_a_service_user(rung: int, holds: bool) -> None:
    figures = Figures(forgotten=150, by_position=50, by_machine=rung - 1, by_person=1)
    assert (broken(figures) == []) is holds


def test_every_assumed_share_is_printed_with_its_reason_and_half_the_answers_are_half() -> None:
    assert len(described(Habits())) == len(vars(Habits()))
    half = halved(Habits())
    assert (half.notices, half.goes) == (Habits().notices / 2, Habits().goes / 2)
    assert (half.forgets, half.never_comes) == (Habits().forgets, Habits().never_comes)
