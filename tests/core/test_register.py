"""The register: how each provider answers, and whom the contract meeting speaks of."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec import structs

from connectors.register_csv import register_csv, safe
from monitor.core import facts as f
from monitor.core.placing import facts as p
from monitor.core.placing.model import Share
from monitor.core.placing.register import in_a_row, median, persistent, register, target
from monitor.core.placing.views import RegisterRow, RegisterView, Within
from tests.core.council import ACE, BEE, FRAME, STANDARD, Council
from tests.core.driver import MONDAY

BY_ITSELF = structs.replace(STANDARD, award="by_itself", rounds=STANDARD.rounds[:1])
HALF_AND_HOUR = (timedelta(minutes=30), timedelta(hours=1))


def read(desk: Council, **more: Any) -> RegisterView:
    found = register(desk.state, desk.now, **more)
    assert found is not None
    return found


def row(desk: Council, provider: str, **more: Any) -> RegisterRow:
    return next(one for one in read(desk, **more).rows if one.provider == provider)


def counts(found: RegisterRow) -> dict[str, int]:
    names = ("offered", "bid", "declined", "silent", "withdrew", "unanswered", "late", "won", "taken_back")
    return {name: value for name in names if (value := getattr(found, name))}


def days_with_answers(desk: Council) -> None:
    """k1: ace bids after 10 minutes, bee declines after 50. k2: ace bids after an hour and a half, bee is silent. k3:
    both are silent. k4 runs."""
    desk.sends("k1")
    desk.advance(minutes=10)
    desk.bids("ace", "k1")
    desk.advance(minutes=40)
    desk.declines("bee", "k1", reason="no_capacity")
    desk.advance(minutes=70)
    desk.sends("k2")
    desk.advance(minutes=90)
    desk.bids("ace", "k2")
    desk.advance(minutes=30)
    desk.sends("k3")
    desk.advance(hours=2)
    desk.sends("k4", minutes_week=60)


def test_each_package_counts_once_by_what_was_said_of_it_last() -> None:
    desk = Council(placing=BY_ITSELF, providers=(ACE, BEE))
    days_with_answers(desk)
    assert counts(row(desk, "ace")) == {"offered": 4, "bid": 2, "silent": 1, "unanswered": 1, "won": 2}
    bee = row(desk, "bee")
    assert counts(bee) == {"offered": 4, "declined": 1, "silent": 2, "unanswered": 1}
    assert bee.declined_for == {"no_capacity": 1}
    for one in read(desk).rows:
        assert one.offered == one.bid + one.declined + one.silent + one.withdrew + one.unanswered


def test_response_times_count_against_those_of_the_policy_and_silence_is_no_answer() -> None:
    desk = Council(
        placing=structs.replace(BY_ITSELF, respond_within=HALF_AND_HOUR),
        kinds=("standard",),
        providers=(ACE, BEE),
    )
    days_with_answers(desk)
    ace, bee = row(desk, "ace"), row(desk, "bee")
    assert (ace.median_s, bee.median_s) == (50 * 60, 50 * 60)
    assert ace.within == (
        Within(kind="standard", limit_s=1800, answered=1, of=3),
        Within(kind="standard", limit_s=3600, answered=1, of=3),
    )
    assert [one.answered for one in bee.within] == [0, 1]


def test_hours_stand_beside_those_declared_and_the_limit() -> None:
    said = structs.replace(ACE, hours_declared=1200, declared_on=date(2026, 11, 1))
    desk = Council(placing=BY_ITSELF, providers=(said, BEE))
    days_with_answers(desk)
    ace = row(desk, "ace")
    assert (ace.minutes_held, ace.minutes_since) == (840, 840)
    assert (ace.hours_declared, ace.declared_on, ace.hours_limit) == (1200, date(2026, 11, 1), 3000)


def test_the_numbers_stay_when_packages_leave_the_state_and_after_a_restart() -> None:
    desk = Council(placing=BY_ITSELF, providers=(ACE, BEE))
    days_with_answers(desk)
    desk.advance(hours=2)
    before = read(desk)
    for ref in ("k1", "k2", "k3", "k4"):
        for body in (p.PlacementEnded(reason="started"), p.PlacementClosed()):
            desk._fold(f.Draft(at=desk.now, subject=ref, body=body))
    assert desk.state.values.placements == {}
    assert read(desk) == before
    desk.restart()
    assert read(desk) == before


def test_a_register_of_less_than_the_span_counts_what_was_offered_in_it() -> None:
    desk = Council(placing=BY_ITSELF, providers=(ACE, BEE))
    days_with_answers(desk)
    since = MONDAY + timedelta(hours=2)
    assert row(desk, "ace", since=since).offered == 3
    assert row(desk, "ace", since=since + timedelta(milliseconds=1)).offered == 2
    assert row(desk, "ace", since=since).minutes_held == 840


def test_the_share_of_patch_providers_is_of_what_was_placed() -> None:
    desk = Council(placing=structs.replace(STANDARD, award="by_itself"), providers=(ACE, FRAME))
    for number in range(3):
        desk.sends(f"k{number}")
        if number < 2:
            desk.bids("ace", f"k{number}")
        desk.advance(hours=2)
        if number == 2:
            desk.bids("frame", f"k{number}")
            desk.advance(hours=2)
    found = read(desk)
    assert (found.placed, found.placed_with_patch, found.target) == (3, 2, "within")


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, "none_placed"),
        (0.599, "below"),
        (0.6, "within"),
        (0.7, "within"),
        (0.701, "above"),
    ],
)
def test_the_target_with_its_bounds(share: float | None, expected: str) -> None:
    assert target(share, (0.6, 0.7)) == expected


# --- the contract meeting ---


def lines(answers: str) -> list[Share]:
    """One line a letter: b bid, d declined, s silent, w withdrew."""
    said: dict[str, dict[str, Any]] = {
        "b": {"bid": True},
        "d": {"declined": "hours"},
        "s": {"silent": True},
        "w": {"withdrew": True},
    }
    return [
        Share(provider="ace", placement=f"k{n}", at=MONDAY, minutes_week=60, kind="standard", **said[letter])
        for n, letter in enumerate(answers)
    ]


PERSISTENT: list[tuple[str, tuple[str, ...]]] = [
    ("", ()),
    ("dd", ()),
    ("ds", ()),
    ("dsw", ("in_a_row",)),
    ("sssb", ()),
    ("ssbs", ()),
    ("bdbdb", ()),
    ("dbdbd", ("share",)),
    ("dbdb", ()),
    ("bbbddd", ("in_a_row",)),
    ("ddbddd", ("in_a_row", "share")),
]


@pytest.mark.parametrize(("answers", "expected"), PERSISTENT)
def test_three_in_a_row_or_more_than_half_of_five_are_persistent(
    answers: str, expected: tuple[str, ...]
) -> None:
    assert persistent(lines(answers), STANDARD) == expected


@pytest.mark.parametrize(("answers", "expected"), [("", 0), ("ddb", 0), ("bds", 2), ("www", 3)])
def test_in_a_row_are_the_last_ones(answers: str, expected: int) -> None:
    assert in_a_row(lines(answers)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [([], None), ([5], 5), ([9, 1, 5], 5), ([1, 4], 2), ([4, 1, 9, 2], 3)]
)
def test_the_median(seconds: list[int], expected: int | None) -> None:
    assert median(seconds) == expected


# --- CSV ---


def test_the_register_as_csv_has_a_line_for_each_provider_and_no_formula() -> None:
    desk = Council(placing=BY_ITSELF, providers=(ACE, BEE))
    days_with_answers(desk)
    found = read(desk)
    named = [structs.replace(one, name=f"=cmd('{one.provider}'), \"Ltd\"") for one in found.rows]
    text = register_csv(structs.replace(found, rows=tuple(named)))
    ace, bee = csv.DictReader(text.splitlines())
    assert (ace["provider"], ace["name"]) == ("ace", "'=cmd('ace'), \"Ltd\"")
    assert (ace["bid"], ace["won"], ace["median_response_min"]) == ("2", "2", "50.0")
    assert (bee["declined_no_capacity"], bee["refused_in_a_row"], bee["persistent"]) == ("1", "3", "in_a_row")
    assert (ace["standard_within_120min"], ace["standard_within_120min_of"]) == ("2", "3")


@pytest.mark.parametrize("text", ["=1+1", "+44", "-1", "@a", "\tx", "\rx", "\nx"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert safe(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["Ace Care", "a=b", "", -1, 2.5, None])
def test_all_else_stays_as_it_is(cell: object) -> None:
    assert safe(cell) == cell
