"""Whatever brokers and providers do in whatever order: no package stands still, a restart finds what was there, and
between them the days have every kind of fact of a council's desk."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.placing import PlacingPolicy, Round
from monitor.core.inputs import DayRolled, Evidence, SendReported
from monitor.core.placing.facts import PlacingBody
from monitor.core.placing.inputs import (
    OVERRIDE_REASONS,
    PLACEMENT_ACTIONS,
    WITHDRAW_REASONS,
    BidTakenBack,
    CallOffOutcome,
    CallOffSettled,
    CareEndSaid,
    FirstVisitSettled,
    PlacementActed,
)
from tests.core.council import ACE, AREAS, BEE, FRAME, FRAMEWORK, OTHERS, PATCH, SEA, Council
from tests.core.days import copy_of
from tests.core.driver import MONDAY

RANKED = Round(
    name="ranked", tiers=("patch",), area="any", rule="ranked", order="score", window=timedelta(minutes=30)
)
POLICIES = (
    PlacingPolicy(rounds=(PATCH, OTHERS, FRAMEWORK)),
    PlacingPolicy(rounds=(RANKED, FRAMEWORK), award="by_itself"),
    PlacingPolicy(rounds=(structs.replace(PATCH, closes_early="all_answered", next="broker"), FRAMEWORK)),
)
PROVIDERS = ("ace", "bee", "sea", "frame", "nobody")
OPS = (
    "send",
    "straight",
    "straight",
    "bid",
    "bid",
    "decline",
    "withdraw",
    "act",
    "act",
    "act",
    "wait",
    "wait",
    "change",
    "land",
    "end",
    "call_off",
    "roll",
    "network",
)
Op = tuple[str, int, int, int]
CALL_OFF_OUTCOMES: tuple[CallOffOutcome, ...] = ("called_off", "kept", "not_there")
NUMBER = st.integers(0, 999)
DAYS = st.lists(st.tuples(st.sampled_from(OPS), NUMBER, NUMBER, NUMBER), max_size=40)
WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 10, 10, 30, 30, 45, 120, 300, 2880))
NOTE = Evidence(id="e1", digest="00")


def council(seed: int) -> Council:
    ace = structs.replace(ACE, desk="bright")
    return Council(MONDAY, placing=POLICIES[seed % len(POLICIES)], providers=(ace, BEE, SEA, FRAME))


def do(desk: Council, op: Op) -> None:
    """One thing that somebody does, or time."""
    what, a, b, c = op
    known = list(desk.state.values.placements)
    provider = PROVIDERS[b % len(PROVIDERS)]
    if what == "send":
        sends(desk, a, b, c)
    elif what == "wait":
        desk.advance(seconds=WAITS[a % len(WAITS)].total_seconds())
    elif what == "change":
        desk.changed((ACE, BEE, SEA, FRAME)[a % 4], active=bool(b % 3), hours_declared=(900, 3100)[c % 2])
    elif what == "network":
        desk.reaches = bool(a % 3)
        refuse(desk)
    elif what == "roll":
        desk.tell(DayRolled(day=desk.state.calendar.day(desk.now)))
    elif what == "straight":
        straight(desk, a, b)
    elif known:
        about(desk, what, known[-1 - a % min(3, len(known))], provider, c)


def sends(desk: Council, a: int, b: int, c: int) -> None:
    desk.sends(
        f"k{len(desk.facts)}",
        area=AREAS[a % len(AREAS)].id,
        kind=("standard", "discharge")[b % 2],
        minutes_week=15 * (c % 100 + 1),
        start=desk.now + timedelta(hours=c % 72 + 1),
    )


def refuse(desk: Council) -> None:
    """The telephones and the mail take nothing that waits to go to a provider."""
    for message in desk.messages("package", "ace"):
        if message.phase == "queued":
            desk.tell_turn(message)
            desk.tell(SendReported(key=message.key, result="failed", reason="refused", permanent=True))


def about(desk: Council, what: str, ref: str, provider: str, c: int) -> None:
    """Something that is done about that package."""
    if what == "bid":
        desk.bids(
            provider,
            ref,
            start=desk.now + timedelta(hours=c % 80 - 3),
            source=("link", "api", "broker")[c % 3],
        )
    elif what == "decline":
        desk.declines(provider, ref)
    elif what == "withdraw":
        desk.tell(BidTakenBack(placement=ref, provider=provider, source="link"))
    elif what == "end":
        today = desk.state.calendar.day(desk.now)
        desk.tell(CareEndSaid(placement=ref, by="bea", on=today if c % 3 else None))
    elif what == "land":
        desk.tell(FirstVisitSettled(placement=ref, desk="bright", visit=f"v-{ref}"))
    elif what == "call_off":
        outcome = CALL_OFF_OUTCOMES[c % len(CALL_OFF_OUTCOMES)]
        desk.tell(CallOffSettled(placement=ref, index=0, desk="bright", outcome=outcome))
    else:
        acts(desk, ref, provider, c)


def straight(desk: Council, a: int, b: int) -> None:
    """A package that goes the way of most, as far as the numbers say."""
    steps = ("award", "papers_sent", "extend", "confirm_first_visit", "land", "send_back")[: a % 7]
    desk.sends(ref := f"k{len(desk.facts)}")
    desk.bids("ace", ref)
    desk.advance(hours=2)
    desk.bids("bee", ref)
    if b % 2:
        desk.tell(PlacementActed(placement=ref, action="admit_late", by="bea", provider="bee", note=NOTE))
    for step in steps:
        desk.advance(minutes=b % 60)
        award, begin = desk.placement(ref).award, desk.now + timedelta(days=1)
        by = award.provider if award is not None and step == "confirm_first_visit" else "bea"
        if step == "land":
            desk.tell(FirstVisitSettled(placement=ref, desk="bright", visit=f"v-{ref}"))
            continue
        end = begin + timedelta(minutes=30)
        desk.tell(
            PlacementActed(
                placement=ref,
                action=step,
                by=by,
                start=begin,
                end=end,
                until=begin,
                note=NOTE,
                supervisor=True,
            )
        )


def acts(desk: Council, ref: str, provider: str, c: int) -> None:
    """Half of what a broker does is the plain thing: what is proposed, with all that it needs."""
    action, c = PLACEMENT_ACTIONS[c % len(PLACEMENT_ACTIONS)], c // len(PLACEMENT_ACTIONS)
    award, plain = desk.placement(ref).award, c % 2 == 0
    begin = desk.now + timedelta(hours=c % 50 + 1)
    by_winner = action == "confirm_first_visit" and award is not None and c % 3
    desk.tell(
        PlacementActed(
            placement=ref,
            action=action,
            by=award.provider if award is not None and by_winner else "bea",
            provider=None if plain and action == "award" else provider,
            reason=None if plain else OVERRIDE_REASONS[c % len(OVERRIDE_REASONS)],
            withdrawn=WITHDRAW_REASONS[c % len(WITHDRAW_REASONS)],
            note=NOTE if plain or c % 7 else None,
            start=begin,
            end=begin + timedelta(minutes=30),
            until=begin + timedelta(hours=5),
            was=award.confirm_by if award is not None and c % 4 else None,
            supervisor=bool(c % 5),
        )
    )


def stands_still(desk: Council) -> list[str]:
    """Packages that are not over, want to be asked no more, and about which nobody of ours was ever told anything."""
    waiting = []
    for ref, placement in desk.state.values.placements.items():
        over = placement.ended is not None or placement.first_visit is not None
        running = placement.running is not None or placement.award is not None
        told = any(desk.message(key).person == "bea" for key in placement.messages)
        summoned = any(alert.placement == ref for alert in desk.alerts("placement"))
        if not (over or running or told or summoned):
            waiting.append(ref)
    return waiting


@settings(max_examples=60, deadline=None)
@given(DAYS, NUMBER)
def test_no_package_stands_still_and_every_deadline_makes_progress(day: list[Op], seed: int) -> None:
    desk = council(seed)
    for op in day:
        do(desk, op)
        desk.advance()
        assert stands_still(desk) == []
        following = desk.state.next_deadline()
        assert following is None or following > desk.now
    desk.advance(hours=60)
    assert stands_still(desk) == []


@settings(max_examples=40, deadline=None)
@given(DAYS, NUMBER)
def test_folding_the_journal_again_gives_an_equal_state(day: list[Op], seed: int) -> None:
    desk = council(seed)
    for op in day:
        do(desk, op)
    for again in (desk.replayed(), desk.restarted()):
        assert copy_of(again.values) == copy_of(desk.state.values)
        assert (again.seq, again.next_deadline()) == (desk.state.seq, desk.state.next_deadline())


def test_busy_days_between_them_have_every_kind_of_fact() -> None:
    kinds = {kind.__name__ for kind in PlacingBody.__args__}
    seen: set[str] = set()
    for seed in range(60):
        if seed >= 3 and seen >= kinds:
            break
        rng = Random(seed)
        desk = council(seed)
        for _ in range(60):
            do(desk, (rng.choice(OPS), rng.randrange(1000), rng.randrange(1000), rng.randrange(1000)))
        seen |= {type(fact.body).__name__ for fact in desk.facts}
    assert kinds - seen == set()
