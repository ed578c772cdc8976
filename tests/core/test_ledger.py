"""Fair share: a package goes to whoever holds the fewest hours, and the ledger keeps the books."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from monitor.core import facts as f
from monitor.core.placing import award, evaluate, ledger
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import CareEndSaid, PackageSaid, PlacementActed
from monitor.core.placing.model import Share, share_key
from monitor.core.work import Ctx, Work
from tests.core.council import STANDARD, Council, provider
from tests.core.driver import MONDAY

BY_ITSELF = structs.replace(STANDARD, award="by_itself")
BY_HAND = STANDARD
ALIKE = tuple(provider(ref) for ref in ("ann", "bob", "cat"))


def comes(desk: Council, ref: str, minutes_week: int, bidders: Sequence[str], kind: str = "standard") -> None:
    """A package, offered to and bid for by all of them; its window is over. What the journal holds of it, folded."""
    start = desk.now + timedelta(days=2)
    package = PackageSaid(
        kind=kind,  # type: ignore[arg-type]
        area="east",
        minutes_week=minutes_week,
        visits=(30,),
        start=start,
    )
    policy = desk.state.values.placing[package.kind]
    opened = p.RoundOpened(index=0, closes_at=desk.now, asked=tuple(bidders))
    bids = [p.BidRecorded(index=0, provider=ref, start=start, source="link") for ref in bidders]
    bodies = [p.PlacementReceived(package=package, by="bea"), opened, *bids]
    for body in [*bodies, p.RoundClosed(index=0, reason="time")]:
        desk._fold(f.Draft(at=desk.now, subject=ref, body=body, policy=policy))


def decides(desk: Council, ref: str) -> str:
    """The proposal, and by the policy the award; returns the provider."""
    work = Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))
    evaluate.closed(work, ref)
    for draft in work.drafts:
        desk._fold(draft)
    return desk.placement(ref).proposed or ""


def leaves(desk: Council, ref: str) -> None:
    """The package is placed, and out of the state: the ledger keeps it."""
    for body in (p.PlacementEnded(reason="started"), p.PlacementClosed()):
        desk._fold(f.Draft(at=desk.now, subject=ref, body=body, policy=desk.placement(ref).policy))


def minutes(desk: Council, refs: Sequence[str], since: datetime | None = None) -> list[int]:
    from_then = since or desk.now - BY_ITSELF.fair_share_span
    return [ledger.held(desk.state, ref, desk.now, from_then).minutes for ref in refs]


@pytest.mark.parametrize("alike", [ALIKE[:2], ALIKE], ids=["two", "three"])
def test_over_a_thousand_packages_the_hours_held_never_differ_by_more_than_the_largest_package(
    alike: tuple[object, ...],
) -> None:
    desk, sizes = Council(placing=BY_ITSELF, providers=alike), random.Random(5)  # type: ignore[arg-type]
    refs = [one.ref for one in ALIKE[: len(alike)]]
    books, largest = dict.fromkeys(refs, 0), 0
    for number in range(1000):
        size = 15 * sizes.randint(1, 280)
        comes(desk, f"k{number}", size, refs)
        books[decides(desk, f"k{number}")] += size
        largest = max(largest, size)
        held = minutes(desk, refs)
        assert held == [books[ref] for ref in refs]
        assert max(held) - min(held) <= largest
        leaves(desk, f"k{number}")
        desk.now += timedelta(hours=6)
    assert largest == 15 * 280


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 280), st.integers(1, 7), st.booleans()), min_size=1, max_size=40),
)
def test_no_award_ever_widens_the_gap_beyond_the_package_itself(
    packages: list[tuple[int, int, bool]],
) -> None:
    """Whoever bids and whatever is taken back meanwhile: of those who bid, nobody is left further behind."""
    desk = Council(placing=BY_ITSELF, providers=ALIKE)
    for number, (quarters, who, back) in enumerate(packages):
        refs = [one.ref for bit, one in enumerate(ALIKE) if who >> bit & 1]
        ref, size = f"k{number}", 15 * quarters
        before = minutes(desk, refs)
        comes(desk, ref, size, refs)
        won = decides(desk, ref)
        held = minutes(desk, refs)
        assert sum(held) - sum(before) == size
        assert max(held) - min(held) <= max(max(before) - min(before), size)
        if back:
            taken = p.AwardTakenBack(provider=won, reason="sent_back", by="bea")
            desk._fold(f.Draft(at=desk.now, subject=ref, body=taken))
            assert minutes(desk, refs) == before


def test_proposals_that_wait_for_the_broker_count_for_those_that_follow() -> None:
    """Two hundred windows close in one second, and the broker confirms them one by one, the last ones first."""
    desk, sizes = Council(placing=BY_HAND, providers=ALIKE[:2]), random.Random(6)
    largest = 0
    for number in range(200):
        size = 15 * sizes.randint(1, 280)
        largest = max(largest, size)
        comes(desk, f"k{number}", size, ["ann", "bob"])
        decides(desk, f"k{number}")
    assert minutes(desk, ["ann", "bob"]) == [0, 0]
    for number in reversed(range(200)):
        work = Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))
        award.give(work, f"k{number}", desk.placement(f"k{number}").proposed or "", by="bea")
        for draft in work.drafts:
            desk._fold(draft)
    held = minutes(desk, ["ann", "bob"])
    assert max(held) - min(held) <= largest


# --- how long hours are held ---


def test_hours_of_a_discharge_are_held_for_its_six_weeks_and_the_package_is_counted_for_the_span() -> None:
    six_weeks = structs.replace(BY_ITSELF, at_most=timedelta(weeks=6))
    desk = Council(placing=six_weeks, providers=ALIKE[:1])
    comes(desk, "k1", 600, ["ann"], kind="discharge")
    decides(desk, "k1")
    ends = desk.placement("k1").package.start
    assert ends is not None
    since, until = desk.now, ends + timedelta(weeks=6)
    desk.now = until - timedelta(milliseconds=1)
    assert ledger.held(desk.state, "ann", desk.now, since) == ledger.Held(minutes=600, packages=1)
    desk.now = until
    assert ledger.held(desk.state, "ann", desk.now, since) == ledger.Held(minutes=0, packages=1)


def test_six_weeks_begin_with_the_first_visit_else_when_it_is_wanted_else_with_the_discharge() -> None:
    six_weeks = structs.replace(BY_ITSELF, at_most=timedelta(weeks=6))
    desk = Council(placing=six_weeks, providers=ALIKE[:1])
    home = MONDAY + timedelta(days=3)
    desk.sends(kind="discharge", start=None, discharge_at=home)
    desk.bids("ann", start=home)
    desk.advance(hours=2)
    assert line(desk, "ann").until == home + timedelta(weeks=6)
    begin = home + timedelta(days=1)
    visit = {"start": begin, "end": begin + timedelta(minutes=30), "supervisor": True}
    desk.tell(PlacementActed(placement="k1", action="confirm_first_visit", by="bea", **visit))
    assert line(desk, "ann").until == begin + timedelta(weeks=6)
    assert ledger.held(desk.state, "ann", desk.now, MONDAY).minutes == 420


# --- a broker says that care has ended ---


def ends(desk: Council, on: date | None, ref: str = "k1", by: str = "bea") -> str | None:
    refusal = desk.tell(CareEndSaid(placement=ref, by=by, on=on)).refusal
    return refusal.code if refusal is not None else None


@pytest.mark.parametrize("gone", [False, True], ids=["in the state", "long gone"])
def test_care_that_has_ended_frees_its_hours_from_the_beginning_of_that_day(gone: bool) -> None:
    desk = Council(placing=BY_ITSELF, providers=ALIKE[:2])
    comes(desk, "k1", 600, ["ann"])
    decides(desk, "k1")
    if gone:
        leaves(desk, "k1")
    day = desk.state.calendar.day(desk.now) + timedelta(days=3)
    assert ends(desk, day) is None
    frees = desk.state.calendar.at_local(day, time())
    desk.now = frees - timedelta(milliseconds=1)
    assert minutes(desk, ["ann"]) == [600]
    desk.now = frees
    assert minutes(desk, ["ann"]) == [0]
    assert ledger.held(desk.state, "ann", desk.now, MONDAY).packages == 1
    assert (line(desk, "ann").won, line(desk, "ann").ended_on) == (True, day)
    assert desk.replayed().values.ledger == desk.restarted().values.ledger == desk.state.values.ledger


def test_an_end_is_mended_by_another_day_and_taken_back_and_said_twice_it_is_one() -> None:
    desk = Council(placing=BY_ITSELF, providers=ALIKE[:1])
    comes(desk, "k1", 600, ["ann"])
    decides(desk, "k1")
    today = desk.state.calendar.day(desk.now)
    for on in (today, today, None, None):
        assert ends(desk, on) is None
    assert [body.on for body in desk.bodies(p.CareEnded)] == [today, None]
    assert (minutes(desk, ["ann"]), line(desk, "ann").ended_at) == ([600], None)


def test_care_of_a_discharge_ends_with_its_six_weeks_also_where_somebody_names_a_later_day() -> None:
    six_weeks = structs.replace(BY_ITSELF, at_most=timedelta(weeks=6))
    desk = Council(placing=six_weeks, providers=ALIKE[:1])
    comes(desk, "k1", 600, ["ann"], kind="discharge")
    decides(desk, "k1")
    until = line(desk, "ann").until
    assert until is not None
    for on, expected in ((until.date() + timedelta(days=9), until), (MONDAY.date(), None)):
        assert ends(desk, on) is None
        held_until = line(desk, "ann").held_until
        assert held_until == (expected or desk.state.calendar.at_local(on, time()))


def test_what_is_no_end_of_care_is_refused_by_name_and_leaves_no_fact() -> None:
    desk = Council(placing=BY_HAND, providers=ALIKE[:1])
    comes(desk, "k1", 600, ["ann"])
    today = desk.state.calendar.day(desk.now)
    assert [ends(desk, today), ends(desk, today, "k9")] == ["not_held", "not_found"]
    decides(desk, "k1")
    work = Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))
    award.give(work, "k1", "ann", by="bea")
    for draft in work.drafts:
        desk._fold(draft)
    assert ends(desk, today, by="ann") == "not_broker"
    assert ends(desk, today - timedelta(days=1)) == "on"
    assert ends(desk, today + timedelta(days=367)) == "on"
    assert ends(desk, today + timedelta(days=366)) is None
    assert len(desk.bodies(p.CareEnded)) == 1


def test_where_care_ends_meanwhile_whoever_holds_less_has_the_next_package() -> None:
    desk = Council(placing=BY_ITSELF, providers=ALIKE[:2])
    comes(desk, "k1", 900, ["ann"])
    decides(desk, "k1")
    comes(desk, "k2", 300, ["bob"])
    decides(desk, "k2")
    comes(desk, "k3", 60, ["ann", "bob"])
    assert decides(desk, "k3") == "bob"
    assert ends(desk, desk.state.calendar.day(desk.now)) is None
    comes(desk, "k4", 60, ["ann", "bob"])
    assert decides(desk, "k4") == "ann"


def test_hours_are_held_through_the_span_and_not_longer() -> None:
    desk = Council(placing=BY_ITSELF, providers=ALIKE[:1])
    comes(desk, "k1", 600, ["ann"])
    decides(desk, "k1")
    span = BY_ITSELF.fair_share_span
    at = desk.now + span
    assert ledger.held(desk.state, "ann", at, at - span).minutes == 600
    at += timedelta(milliseconds=1)
    assert ledger.held(desk.state, "ann", at, at - span).minutes == 0


def test_the_roll_over_leaves_out_what_is_older_than_the_span_and_keeps_the_rest() -> None:
    desk = Council(placing=BY_ITSELF, providers=ALIKE[:1])
    comes(desk, "k1", 600, ["ann"])
    decides(desk, "k1")
    leaves(desk, "k1")
    desk.now += timedelta(days=1)
    comes(desk, "k2", 300, ["ann"])
    decides(desk, "k2")
    leaves(desk, "k2")
    desk.now += BY_ITSELF.fair_share_span - timedelta(hours=1)
    desk._fold(f.Draft(at=desk.now, subject="desk", body=f.DayRolledOver(day=desk.now.date())))
    assert list(desk.state.values.ledger) == [share_key("ann", "k2")]
    assert desk.state.won == {"ann": {share_key("ann", "k2"): None}}


def test_a_package_withdrawn_after_the_award_is_held_by_nobody() -> None:
    desk = Council(placing=BY_ITSELF, providers=ALIKE[:1])
    comes(desk, "k1", 600, ["ann"])
    decides(desk, "k1")
    desk._fold(
        f.Draft(at=desk.now, subject="k1", body=p.PlacementEnded(reason="withdrawn", withdrawn="died"))
    )
    assert minutes(desk, ["ann"]) == [0]
    assert not line(desk, "ann").taken_back


def test_a_restart_holds_the_same() -> None:
    desk = Council(placing=BY_ITSELF, providers=ALIKE)
    for number in range(9):
        comes(desk, f"k{number}", 60 * (number + 1), ["ann", "bob", "cat"])
        decides(desk, f"k{number}")
    assert desk.restarted().won == desk.replayed().won == desk.state.won
    assert desk.replayed().values.ledger == desk.state.values.ledger


# --- one line: what it says after each answer ---


def line(desk: Council, provider: str, ref: str = "k1") -> Share:
    return desk.state.values.ledger[share_key(provider, ref)]


def said(share: Share) -> list[str]:
    names = ("bid", "declined", "silent", "withdrew", "late", "won", "taken_back")
    return [name for name in names if getattr(share, name)]


BID = p.BidRecorded(index=0, provider="ann", start=MONDAY, source="link")
LATE = structs.replace(BID, late=True)
GONE = p.BidWithdrawn(index=0, provider="ann", source="link")
NO = p.BidDeclined(index=0, provider="ann", source="link", reason="no_capacity")
CLOSED = p.RoundClosed(index=0, reason="time", silent=("ann",))
AGAIN = p.RoundOpened(index=1, closes_at=MONDAY, asked=("ann",))
WON = p.PlacementAwarded(provider="ann", confirm_by=MONDAY)
BACK = p.AwardTakenBack(provider="ann", reason="unconfirmed")
LINES: list[tuple[str, tuple[f.FactBody, ...], list[str]]] = [
    ("nothing yet", (), []),
    ("a bid", (BID,), ["bid"]),
    ("a bid that was withdrawn", (BID, GONE), ["withdrew"]),
    ("withdrawn, and bid again", (BID, GONE, BID), ["bid"]),
    ("a decline", (NO,), ["declined"]),
    ("a bid that became a decline", (BID, NO), ["declined"]),
    ("a decline that became a bid", (NO, BID), ["bid"]),
    ("silence", (CLOSED,), ["silent"]),
    ("silence, then a late bid", (CLOSED, LATE), ["silent", "late"]),
    (
        "a late bid that was admitted",
        (CLOSED, LATE, p.LateBidAdmitted(provider="ann", by="bea")),
        ["bid", "late"],
    ),
    ("silence, then a late decline", (CLOSED, structs.replace(NO, late=True)), ["silent", "late"]),
    ("a bid, then a late decline", (BID, structs.replace(NO, late=True)), ["withdrew", "late"]),
    ("silent once, then a bid", (CLOSED, AGAIN, BID), ["bid"]),
    ("a bid, asked again, silent", (BID, structs.replace(CLOSED, silent=()), AGAIN, CLOSED), ["bid"]),
    ("won", (BID, WON), ["bid", "won"]),
    ("won and taken back", (BID, WON, BACK), ["bid", "taken_back"]),
    ("won, taken back and won", (BID, WON, BACK, WON), ["bid", "won"]),
    ("withdrawn by a bid nobody knows", (GONE,), []),
]


@pytest.mark.parametrize(("_", "bodies", "expected"), LINES, ids=[row[0] for row in LINES])
def test_a_line_says_what_the_provider_said_last(
    _: str, bodies: tuple[f.FactBody, ...], expected: list[str]
) -> None:
    desk = Council(placing=BY_HAND, providers=ALIKE[:1])
    offered(desk, closes_at=desk.now)
    for body in bodies:
        desk._fold(f.Draft(at=desk.now, subject="k1", body=body))
    assert said(line(desk, "ann")) == expected


@pytest.mark.parametrize(("short", "silent"), [(timedelta(), True), (timedelta(milliseconds=1), False)])
def test_who_was_cut_short_is_not_silent(short: timedelta, silent: bool) -> None:
    """An award in an emergency, a withdrawal, the first bid of another: their own time was not over."""
    desk = Council(placing=BY_HAND, providers=ALIKE[:1])
    offered(desk, closes_at=desk.now + short)
    desk._fold(f.Draft(at=desk.now, subject="k1", body=structs.replace(CLOSED, reason="awarded")))
    assert line(desk, "ann").silent is silent


def test_the_first_answer_is_the_response_time_whatever_is_changed_later() -> None:
    desk = Council(placing=BY_HAND, providers=ALIKE[:1])
    offered(desk, closes_at=desk.now + timedelta(hours=2))
    for _ in range(2):
        desk.now += timedelta(minutes=29, seconds=59)
        desk._fold(f.Draft(at=desk.now, subject="k1", body=BID))
    assert line(desk, "ann").answered_s == 29 * 60 + 59


def offered(desk: Council, closes_at: datetime) -> None:
    package = PackageSaid(kind="standard", area="east", minutes_week=600, visits=(30,))
    policy = desk.state.values.placing["standard"]
    opened = p.RoundOpened(index=0, closes_at=closes_at, asked=("ann",))
    for body in (p.PlacementReceived(package=package, by="bea"), opened):
        desk._fold(f.Draft(at=desk.now, subject="k1", body=body, policy=policy))
