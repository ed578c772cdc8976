"""When a placement wants to be asked again. What each moment means is decided in `rounds`, `award` and `after`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from config.placing import PlacingPolicy
from monitor.core.placing.model import Award, CallOff, Placement, RoundRun

Moment = Literal[
    "close",
    "turn",
    "remind",
    "tell_losers",
    "undecided",
    "papers",
    "confirm_remind",
    "unconfirmed",
    "not_landed",
    "not_called_off",
    "started",
    "leave",
]
LEAVES_AFTER = timedelta(days=1)
"""So long an ended placement is still answered from the state (ours); the journal keeps it for ever."""
LANDS_WITHIN = timedelta(minutes=10)
"""A first visit that does not stand in the provider's own desk by then, or still may where nobody wants it any more, is
told to the broker (ours)."""


def moments(placement: Placement, policy: PlacingPolicy) -> dict[Moment, datetime]:
    """Its moments to come, by what they are for. A moment goes when the fact that answers it is folded."""
    found = _of_call_offs(placement)
    if placement.ended_at is not None:
        found["leave"] = placement.ended_at + LEAVES_AFTER
        return found
    run = placement.running
    if run is not None:
        found |= _of_round(run)
    waiting = [losers_at(one, policy) for one in unheard(placement)]
    if waiting:
        found["tell_losers"] = min(waiting)
    if placement.award is not None:
        return found | _of_award(placement, placement.award, policy)
    last = placement.round
    if last is not None and last.closed_at is not None and placement.alert is None:
        # twice the time in which the losers are told: then the broker was reminded, or told that nobody bid
        found["undecided"] = max(last.closed_at, losers_at(last, policy)) + policy.lost_told_after
    return found


def _of_call_offs(placement: Placement) -> dict[Moment, datetime]:
    waits = [one for one in placement.call_offs if one.outcome is None and one.missed_at is None]
    return {"not_called_off": min(overdue_at(one) for one in waits)} if waits else {}


def overdue_at(off: CallOff) -> datetime:
    """When a first visit that nobody wants any more, and may still stand in the provider's own desk, is told to the
    broker: after so long, at the latest when it begins."""
    return min(off.at + LANDS_WITHIN, max(off.at, off.start))


def _of_award(placement: Placement, award: Award, policy: PlacingPolicy) -> dict[Moment, datetime]:
    found: dict[Moment, datetime] = {}
    if award.papers_sent_at is None and award.papers_reminded_at is None:
        found["papers"] = award.at + policy.papers_reminder
    visit = placement.first_visit
    if visit is not None:
        found["started"] = visit.start
        if visit.desk is not None and visit.landed is None and visit.missed_at is None:
            found["not_landed"] = min(visit.at + LANDS_WITHIN, visit.start)
        return found
    if award.reminded_at is None:
        found["confirm_remind"] = _reminds_at(award, policy)
    if award.summoned_at is None:
        found["unconfirmed"] = award.confirm_by
    return found


def _reminds_at(award: Award, policy: PlacingPolicy) -> datetime:
    """Of a deadline that was moved: as long before it as of the first one, but not at once after they heard of it."""
    if award.extended_at is None:
        return min(award.at + policy.confirm_reminder, award.confirm_by)
    half_way = award.extended_at + (award.confirm_by - award.extended_at) / 2
    before = max(policy.confirm_within - policy.confirm_reminder, timedelta())
    return max(award.confirm_by - before, half_way)


def _of_round(run: RoundRun) -> dict[Moment, datetime]:
    found: dict[Moment, datetime] = {"turn" if run.line else "close": run.closes_at}
    if run.reminded < len(run.reminds_at):
        found["remind"] = run.reminds_at[run.reminded]
    return found


def unheard(placement: Placement) -> tuple[RoundRun, ...]:
    """The rounds that are over and in which somebody bid, whose losers were not told yet."""
    return tuple(
        run
        for run in placement.rounds
        if run.closed_at is not None
        and run.told_at is None
        and any(bid.index == run.index and bid.counts for bid in placement.bids)
    )


def losers_at(run: RoundRun, policy: PlacingPolicy) -> datetime:
    """When those who bid in this round are told that they were not successful, whether or not anybody has decided by
    then (appendix A): so long after its opening, and where the window was longer than that, for instance because it
    rested overnight, as long after its end as in any other round."""
    margin = policy.lost_told_after - policy.rounds[run.index].window
    return max(run.opened_at + policy.lost_told_after, run.closes_at + max(margin, timedelta()))


def next_moment(placement: Placement, policy: PlacingPolicy) -> datetime | None:
    """The earliest of them."""
    return min(moments(placement, policy).values(), default=None)
