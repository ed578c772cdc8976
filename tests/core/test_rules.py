"""What keeps a provider from a package: every rule at its exact boundary, and every `why` there is."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.placing import Cutoff
from config.policy import Calendar
from monitor.core.placing import facts as p
from monitor.core.placing import rules
from monitor.core.placing.inputs import QUESTIONS, PackageSaid, Rating
from monitor.core.placing.model import Bid, Provider
from tests.core.council import ACE, FRAMEWORK, GOOD, PATCH, STANDARD

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""A Tuesday in winter: local time is UTC."""
WANTED = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 26, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 23, 0, tzinfo=UTC)
"""Midnight in London."""
SECOND = timedelta(seconds=1)
PUBLISHED = date(2026, 5, 3)
CUTOFF = Cutoff(
    same_day=time(15), next_morning=time(17), weekend_same_day=time(13), weekend_next_morning=time(13)
)


def case(
    said: Any = ACE, *, bid: Any = None, package: Any = None, policy: Any = None, **more: Any
) -> rules.Case:
    """A bid against which nothing speaks, but for what is said here."""
    values: dict[str, Any] = {
        "provider": Provider(said=said, since=NOON, rated_since=NOON),
        "bid": Bid(
            **{"provider": "ace", "index": 0, "at": NOON, "first_at": NOON, "start": WANTED, "source": "link"}
            | (bid or {})
        ),
        "package": PackageSaid(
            **{"kind": "standard", "area": "east", "minutes_week": 600, "visits": (30,), "start": WANTED}
            | (package or {})
        ),
        "held": PATCH,
        "policy": structs.replace(STANDARD, **(policy or {})),
        "calendar": Calendar(),
        "asked_at": NOON,
    }
    return rules.Case(**values | more)


def named(result: p.RuleResult) -> tuple[str, str]:
    return (result.outcome, result.why)


# --- the CQC rating ---


def rated(**rating: Any) -> Any:
    return structs.replace(ACE, rating=structs.replace(GOOD, published=PUBLISHED, **rating))


def test_good_everywhere_is_one_result_with_the_day_on_which_it_was_published() -> None:
    (result,) = rules.cqc(case(rated()))
    assert named(result) == ("holds", "overall_good")
    assert result.at is not None
    assert result.at.date() == PUBLISHED


RATED = [
    ("outstanding", "holds"),
    ("good", "holds"),
    ("requires_improvement", "fails"),
    ("inadequate", "fails"),
    ("not_rated", "unknown"),
    (None, "unknown"),
]


@pytest.mark.parametrize("aspect", ["overall", *QUESTIONS])
@pytest.mark.parametrize(("level", "outcome"), RATED)
def test_the_overall_rating_and_each_question_count_by_themselves(
    aspect: str, level: Any, outcome: str
) -> None:
    results = rules.cqc(case(rated(**{aspect: level})))
    found = {result.why: result.outcome for result in results}
    if aspect != "overall" and outcome == "holds":
        assert found == {"overall_good": "holds"}
    else:
        assert found[f"{aspect}_{level or 'not_said'}"] == outcome
    assert rules.fails(results) is (outcome == "fails")


def test_every_question_that_is_not_good_is_named() -> None:
    said = rated(overall="requires_improvement", safe="inadequate", well_led="requires_improvement")
    assert [result.why for result in rules.cqc(case(said))] == [
        "overall_requires_improvement",
        "safe_inadequate",
        "well_led_requires_improvement",
    ]


def test_who_was_never_rated_is_shown_and_not_kept_out() -> None:
    results = rules.cqc(case(structs.replace(ACE, rating=Rating(overall="not_rated"))))
    assert [named(result) for result in results] == [
        ("unknown", "overall_not_rated"),
        ("unknown", "questions_not_said"),
    ]
    assert not rules.fails(results)
    assert results[0].at == NOON


def test_a_policy_may_do_without_the_rating() -> None:
    (result,) = rules.cqc(case(rated(overall="inadequate"), policy={"needs_good": False}))
    assert named(result) == ("holds", "not_required")


# --- 3,000 hours ---

HOURS: list[tuple[str, int | None, int, int, tuple[str, str]]] = [
    ("exactly the limit with this package", 2990, 0, 600, ("holds", "under")),
    ("a quarter of an hour over it", 2990, 0, 615, ("fails", "over_with_this")),
    ("what came since counts as well", 2980, 600, 600, ("holds", "under")),
    ("and may take it over", 2980, 615, 600, ("unknown", "over_since")),
    ("with this package alone", 2990, 615, 615, ("fails", "over_with_this")),
    ("at the limit without it", 3000, 0, 15, ("fails", "over_with_this")),
    ("over the limit as declared", 3001, 0, 15, ("fails", "over")),
    ("nothing declared", None, 0, 600, ("unknown", "not_declared")),
    ("no hours at all", 0, 0, 600, ("holds", "under")),
]


@pytest.mark.parametrize(
    ("_", "hours", "added", "package", "expected"), HOURS, ids=[row[0].replace(" ", "_") for row in HOURS]
)
def test_three_thousand_hours_with_what_came_since_and_with_this_package(
    _: str, hours: int | None, added: int, package: int, expected: tuple[str, str]
) -> None:
    said = structs.replace(ACE, hours_declared=hours)
    result = rules.hours_limit(case(said, added=added, package={"minutes_week": package}))
    assert named(result) == expected
    assert (result.value, result.limit, result.added) == (hours, 3000, added + package)


def test_hours_declared_with_the_bid_count_before_those_told_and_stand_with_their_day() -> None:
    said = structs.replace(ACE, hours_declared=3100, declared_on=PUBLISHED)
    told = rules.hours_limit(case(said))
    assert named(told) == ("fails", "over")
    assert told.at is not None
    assert told.at.date() == PUBLISHED
    bid = rules.hours_limit(case(said, bid={"hours_declared": 1200}))
    assert (named(bid), bid.value, bid.at) == (("holds", "under"), 1200, NOON)


def test_a_policy_may_have_no_limit() -> None:
    result = rules.hours_limit(case(structs.replace(ACE, hours_declared=9000), policy={"hours_limit": None}))
    assert named(result) == ("holds", "no_limit")


COUNTED: list[tuple[str, Any, Any, datetime]] = [
    ("with the bid", {"declared_on": PUBLISHED}, {"hours_declared": 5}, NOON),
    ("the day after it was declared", {"declared_on": PUBLISHED}, {}, datetime(2026, 5, 4, tzinfo=UTC)),
    ("since we were told", {}, {}, NOON),
]


@pytest.mark.parametrize(("_", "said", "bid", "since"), COUNTED, ids=[row[0] for row in COUNTED])
def test_what_came_since_counts_from(_: str, said: Any, bid: Any, since: datetime) -> None:
    found = case(structs.replace(ACE, **said), bid=bid)
    assert rules.counts_from(found.provider, found.bid) == since


# --- the start ---

STARTS: list[tuple[str, Any, Any, tuple[str, str, int | None]]] = [
    ("as wanted", {}, {}, ("holds", "in_time", 0)),
    ("before it is wanted", {"start": WANTED - SECOND}, {}, ("holds", "in_time", 0)),
    ("seconds later in the minute", {"start": WANTED + 59 * SECOND}, {}, ("holds", "in_time", 0)),
    ("a minute late", {"start": WANTED + 60 * SECOND}, {}, ("fails", "too_late", 1)),
    (
        "the minute that is wanted, told to the microsecond",
        {"start": WANTED},
        {"start": WANTED + timedelta(microseconds=1)},
        ("holds", "in_time", 0),
    ),
    ("an hour late", {"start": WANTED + timedelta(hours=1)}, {}, ("fails", "too_late", 60)),
    (
        "the last minute of a day that is wanted",
        {"start": MIDNIGHT + timedelta(hours=23, minutes=59)},
        {"start": MIDNIGHT},
        ("holds", "in_time", 0),
    ),
    (
        "the first minute of the next day",
        {"start": MIDNIGHT + timedelta(days=1)},
        {"start": MIDNIGHT},
        ("fails", "too_late", 1),
    ),
    (
        "eight on the next day",
        {"start": MIDNIGHT + timedelta(hours=32)},
        {"start": MIDNIGHT},
        ("fails", "too_late", 8 * 60 + 1),
    ),
    (
        "a minute after midnight is that minute",
        {"start": MIDNIGHT + timedelta(minutes=2)},
        {"start": MIDNIGHT + timedelta(minutes=1)},
        ("fails", "too_late", 1),
    ),
    (
        "the local day, in summer time",
        {"start": SUMMER + timedelta(hours=23, minutes=59)},
        {"start": SUMMER},
        ("holds", "in_time", 0),
    ),
    (
        "the local day after, in summer time",
        {"start": SUMMER + timedelta(hours=24)},
        {"start": SUMMER},
        ("fails", "too_late", 1),
    ),
    (
        "home at midnight is a moment",
        {"start": MIDNIGHT + timedelta(minutes=1)},
        {"start": None, "discharge_at": MIDNIGHT},
        ("fails", "too_late", 1),
    ),
    ("no start is wanted", {}, {"start": None}, ("holds", "any_start", None)),
    ("when they come home", {}, {"start": None, "discharge_at": WANTED}, ("holds", "in_time", 0)),
    (
        "after they come home",
        {"start": WANTED + 60 * SECOND},
        {"start": None, "discharge_at": WANTED},
        ("fails", "too_late", 1),
    ),
]


@pytest.mark.parametrize(("_", "bid", "package", "expected"), STARTS, ids=[row[0] for row in STARTS])
def test_it_can_start_in_time(_: str, bid: Any, package: Any, expected: tuple[str, str, int | None]) -> None:
    (result,) = rules.start(case(bid=bid, package=package))
    assert (result.outcome, result.why, result.value) == expected


FRIDAY, SATURDAY = datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 11, 28, tzinfo=UTC)
HOUR = timedelta(hours=1)
CUTOFFS: list[tuple[str, datetime, datetime, bool]] = [
    ("same day, at 15:00", FRIDAY + 15 * HOUR, FRIDAY + 20 * HOUR, False),
    ("same day, after 15:00", FRIDAY + 15 * HOUR + SECOND, FRIDAY + 20 * HOUR, True),
    ("same day at a weekend, at 13:00", SATURDAY + 13 * HOUR, SATURDAY + 20 * HOUR, False),
    ("same day at a weekend, after 13:00", SATURDAY + 13 * HOUR + SECOND, SATURDAY + 20 * HOUR, True),
    ("next morning, at 17:00", FRIDAY + 17 * HOUR, SATURDAY + 8 * HOUR, False),
    ("next morning, after 17:00", FRIDAY + 17 * HOUR + SECOND, SATURDAY + 8 * HOUR, True),
    ("next morning from a weekend, after 13:00", SATURDAY + 13 * HOUR + SECOND, SATURDAY + 32 * HOUR, True),
    ("next day from noon", FRIDAY + 23 * HOUR, SATURDAY + 12 * HOUR, False),
    ("two days on", FRIDAY + 23 * HOUR, SATURDAY + 32 * HOUR, False),
]


@pytest.mark.parametrize(("_", "asked_at", "start", "shown"), CUTOFFS, ids=[row[0] for row in CUTOFFS])
def test_whether_the_provider_was_told_in_time_is_shown_and_keeps_nobody_out(
    _: str, asked_at: datetime, start: datetime, shown: bool
) -> None:
    found = case(asked_at=asked_at, bid={"start": start}, package={"start": start}, policy={"cutoff": CUTOFF})
    results = rules.start(found)
    assert ("unknown", "told_after_cutoff") in [named(result) for result in results] or not shown
    assert len(results) == (2 if shown else 1)
    assert not rules.fails(results)


# --- what they can do, and where ---

CAN: list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, str], tuple[str, ...]]] = [
    ((), (), ("holds", "none_needed"), ()),
    (("peg",), ("peg", "stoma"), ("holds", "covered"), ()),
    (("peg", "stoma"), ("peg",), ("fails", "missing"), ("stoma",)),
    (("stoma", "peg"), (), ("fails", "missing"), ("peg", "stoma")),
]


@pytest.mark.parametrize(("needed", "has", "expected", "missing"), CAN)
def test_all_that_the_package_needs_is_covered(
    needed: tuple[str, ...], has: tuple[str, ...], expected: tuple[str, str], missing: tuple[str, ...]
) -> None:
    said = structs.replace(ACE, specialisms=has)
    result = rules.specialisms(case(said, package={"specialisms": needed}))
    assert (named(result), result.names) == (expected, missing)


@pytest.mark.parametrize(
    ("areas", "held", "expected"),
    [
        (("east",), PATCH, ("holds", "own")),
        (("south",), PATCH, ("fails", "not_theirs")),
        ((), FRAMEWORK, ("holds", "round_asks_others")),
        (("south",), structs.replace(PATCH, area="other"), ("holds", "round_asks_others")),
    ],
)
def test_the_area_is_theirs_or_the_round_asks_others(
    areas: tuple[str, ...], held: Any, expected: tuple[str, str]
) -> None:
    assert named(rules.area(case(structs.replace(ACE, areas=areas), held=held))) == expected


@pytest.mark.parametrize(("here", "expected"), [(True, ("holds", "active")), (False, ("fails", "inactive"))])
def test_who_was_set_aside_while_the_window_was_open_gets_nothing(
    here: bool, expected: tuple[str, str]
) -> None:
    assert named(rules.active(case(structs.replace(ACE, active=here)))) == expected


# --- all of them ---


def test_every_rule_has_its_result_and_every_why_stands_in_the_list() -> None:
    for policy in ({}, {"needs_good": False, "hours_limit": None}):
        results = rules.judge(case(policy=policy))
        assert list(dict.fromkeys(result.rule for result in results)) == list(p.RULES)
        assert all(result.why in rules.WHYS[result.rule] for result in results)
