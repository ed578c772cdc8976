"""What the bids of a round come to: every rule's result for every provider, and who comes first.

Nobody who fails a rule is proposed. Of the others the patch provider with the fewest hours of packages comes first
(fair share, appendix A), then the policy's ties decide in their order; what decided is named in each row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, get_args

from msgspec import structs

from config.placing import PlacingPolicy, Round, TieBreak
from monitor.core.placing import award, ledger, rounds, rules, telling
from monitor.core.placing import facts as p
from monitor.core.placing.model import Bid, Placement, RoundRun
from monitor.core.work import Work

SHARED = ("hours_held", "packages_won")
"""Ties that are fair share: they decide between patch providers, and nowhere else."""
DECIDED_BY: tuple[str, ...] = ("line", *get_args(TieBreak))
"""Every name that `decided_by` of a row may have."""
LAST = 10**9
"""Who has no rate comes after everybody who has."""
Key = Callable[[p.Row], Any]


def closed(work: Work, ref: str) -> None:
    """The window is over, or a late bid was admitted after it: propose whose the package should be, by the rules."""
    placement = work.placement(ref)
    run = placement.round if placement is not None else None
    if placement is None or run is None or run.runs or placement.award is not None:
        return
    found = rows(work, placement, run)
    proposed = next((row.provider for row in found if row.place == 1), None)
    work.emit(ref, p.ProposalMade(index=run.index, rows=found, proposed=proposed), policy=placement.policy)
    if proposed is None:
        rounds.nothing_placed(work, ref)
    elif work.placing(placement).award == "by_itself":
        award.give(work, ref, proposed)
    else:
        telling.proposed(work, ref)


def rows(work: Work, placement: Placement, run: RoundRun) -> tuple[p.Row, ...]:
    """Those who may have the package in their order, then those who fail a rule, then those who did not bid."""
    waiting = ledger.proposed(work.state, without=placement.ref)
    judged = [row_of(work, placement, run, bid, waiting) for bid in considered(placement, run)]
    may = [row for row in judged if not rules.fails(row.results)]
    out = sorted((row for row in judged if rules.fails(row.results)), key=lambda row: row.provider)
    others = _without_bid(work, placement, run, judged, waiting)
    return (*in_order(work, placement, run, may), *out, *others)


def considered(placement: Placement, run: RoundRun) -> list[Bid]:
    """The bids of this round that count, and whatever a broker has admitted; never that of a provider from whom the
    award was taken back."""
    return [
        bid
        for bid in placement.bids
        if bid.counts
        and (bid.index == run.index or bid.admitted)
        and bid.provider not in placement.taken_back
    ]


# --- one row ---


def row_of(work: Work, placement: Placement, run: RoundRun, bid: Bid, waiting: Mapping[str, int]) -> p.Row:
    """What the rules say of one bid, now, and the numbers by which it is compared with others. `waiting`: minutes a
    week that are proposed for each provider."""
    policy, provider = work.placing(placement), work.state.values.providers[bid.provider]
    asked = placement.was_asked(bid.provider)
    case = rules.Case(
        provider=provider,
        bid=bid,
        package=placement.package,
        held=policy.rounds[run.index],
        policy=policy,
        calendar=work.state.calendar,
        asked_at=asked.at if asked is not None else None,
        added=_since_declared(work, bid) + waiting.get(bid.provider, 0),
    )
    scores = (one.score for one in provider.said.scores if one.area == placement.package.area)
    return structs.replace(
        _shares(work, bid.provider, policy, waiting),
        results=rules.judge(case),
        start=bid.start,
        rate_pence=provider.said.rate_pence,
        score=next(scores, None),
        late=bid.late,
        rated_at=provider.rated_since,
    )


def _shares(work: Work, ref: str, policy: PlacingPolicy, waiting: Mapping[str, int]) -> p.Row:
    held = ledger.held(work.state, ref, work.now, work.now - policy.fair_share_span)
    return p.Row(
        provider=ref,
        results=(),
        minutes_held=held.minutes,
        packages_won=held.packages,
        minutes_proposed=waiting.get(ref, 0),
    )


def _since_declared(work: Work, bid: Bid) -> int:
    """Minutes a week that came to the provider since it declared its hours."""
    provider = work.state.values.providers[bid.provider]
    since = rules.counts_from(provider, bid)
    return ledger.held(work.state, bid.provider, work.now, since).minutes


def _without_bid(
    work: Work, placement: Placement, run: RoundRun, judged: list[p.Row], waiting: Mapping[str, int]
) -> tuple[p.Row, ...]:
    """Those who were asked in the round and of whom no bid is considered, for the broker's eyes."""
    policy, bid = work.placing(placement), {row.provider for row in judged}
    asked = sorted({one.provider for one in run.asked} - bid - set(placement.taken_back))
    return tuple(
        structs.replace(_shares(work, ref, policy, waiting), answer=_answer(placement, ref)) for ref in asked
    )


def _answer(placement: Placement, ref: str) -> p.RowAnswer:
    if any(said.provider == ref and not said.late for said in placement.declined):
        return "declined"
    bid, run = placement.bid_of(ref), placement.round
    if bid is not None and not bid.stands:
        return "withdrawn"
    return "not_reached" if run is not None and ref in run.not_reached else "silent"


# --- who comes first ---


def in_order(work: Work, placement: Placement, run: RoundRun, may: list[p.Row]) -> tuple[p.Row, ...]:
    """The rows with their places, and by what each stands behind the one before it."""
    keys = _keys(work.placing(placement), placement, run)
    found = sorted(may, key=lambda row: [key(row) for _, key in keys])
    placed: list[p.Row] = []
    for place, row in enumerate(found, 1):
        by = _decided(keys, found[place - 2], row) if place > 1 else ""
        placed.append(structs.replace(row, place=place, decided_by=by))
    return tuple(placed)


def _decided(keys: list[tuple[str, Key]], before: p.Row, row: p.Row) -> str:
    return next((name for name, key in keys if key(before) != key(row)), "")


def _keys(policy: PlacingPolicy, placement: Placement, run: RoundRun) -> list[tuple[str, Key]]:
    """What decides, in its order. The draw stands at the end of every policy: somebody must come first."""
    held = policy.rounds[run.index]
    names = dict.fromkeys((*_first(policy, held), *policy.ties, "drawn"))
    if not shares(policy, held):
        names = {name: None for name in names if name not in SHARED}
    return [(name, _key(name, placement, run)) for name in names]


def _first(policy: PlacingPolicy, held: Round) -> tuple[str, ...]:
    """Before the ties: the order of the line, of a round in which one is asked after another; else fair share, unless
    the policy gives it another place among its ties."""
    if held.rule != "open":
        return ("line",)
    if held.order != "together":
        return (held.order,)
    return ("hours_held",) if "hours_held" not in policy.ties else ()


def shares(policy: PlacingPolicy, held: Round) -> bool:
    """Whether the packages of the round are shared out fairly between its providers."""
    return policy.fair_share and policy.patch_tier in held.tiers


def _key(name: str, placement: Placement, run: RoundRun) -> Key:
    want = rules.wanted(placement.package)
    line = {one.provider: place for place, one in enumerate(run.asked)}
    keys: dict[str, Key] = {
        "line": lambda row: line.get(row.provider, LAST),
        "hours_held": lambda row: row.minutes_held + row.minutes_proposed,
        "packages_won": lambda row: row.packages_won,
        "earliest_start": lambda row: _begins(row, want),
        "rate": lambda row: row.rate_pence if row.rate_pence is not None else LAST,
        "score": lambda row: -(row.score if row.score is not None else -1),
        "drawn": lambda row: drawn(placement.ref, row.provider),
    }
    return keys[name]


def _begins(row: p.Row, want: datetime | None) -> datetime | None:
    """When the care can begin; before it is wanted no start is better than another."""
    return max(row.start, want) if row.start is not None and want is not None else row.start


def drawn(placement: str, provider: str) -> str:
    """A lot that is nobody's choice and the same whenever it is drawn again: the lowest SHA-256 of both ids."""
    return hashlib.sha256(f"{placement}\n{provider}".encode()).hexdigest()
