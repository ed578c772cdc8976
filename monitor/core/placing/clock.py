"""When a placement wants to be asked again. What each moment means is decided in `rounds`, `award` and `after`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from config.placing import PlacingPolicy
from monitor.core.placing.model import Placement, RoundRun

Moment = Literal["close", "turn", "remind", "tell_losers", "papers", "confirm_remind", "unconfirmed", "leave"]
LEAVES_AFTER = timedelta(days=1)
"""So long an ended placement is still answered from the state (ours); the journal keeps it for ever."""


def moments(placement: Placement, policy: PlacingPolicy) -> dict[Moment, datetime]:
    """Its moments to come, by what they are for. A moment goes when the fact that answers it is folded."""
    found: dict[Moment, datetime] = {}
    if placement.ended_at is not None:
        found["leave"] = placement.ended_at + LEAVES_AFTER
        return found
    run = placement.running
    if run is not None:
        found |= _of_round(run)
    told = losers_at(placement, policy)
    if told is not None:
        found["tell_losers"] = told
    award = placement.award
    if award is not None and placement.first_visit is None:
        if award.papers_sent_at is None and award.papers_reminded_at is None:
            found["papers"] = award.at + policy.papers_reminder
        if award.reminded_at is None:
            found["confirm_remind"] = min(award.at + policy.confirm_reminder, award.confirm_by)
        found["unconfirmed"] = award.confirm_by
    return found


def _of_round(run: RoundRun) -> dict[Moment, datetime]:
    found: dict[Moment, datetime] = {"turn" if run.line else "close": run.closes_at}
    if run.reminded < len(run.reminds_at):
        found["remind"] = run.reminds_at[run.reminded]
    return found


def losers_at(placement: Placement, policy: PlacingPolicy) -> datetime | None:
    """When those who bid in the last round that closed are told that they were not successful, whether or not anybody
    has decided by then (appendix A); None: nobody waits for that."""
    for run in placement.rounds:
        bid = any(b.index == run.index and b.counts for b in placement.bids)
        if run.closed_at is not None and run.told_at is None and bid:
            return run.opened_at + policy.lost_told_after
    return None


def next_moment(placement: Placement, policy: PlacingPolicy) -> datetime | None:
    """The earliest of them."""
    return min(moments(placement, policy).values(), default=None)
