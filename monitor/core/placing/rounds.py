"""Rounds: who is asked, until when, and what closes a window."""

from __future__ import annotations

from datetime import datetime

from config.placing import Round
from monitor.core.placing import facts as p
from monitor.core.placing.model import Placement, Provider, RoundRun
from monitor.core.work import Work


def open_next(work: Work, ref: str, by: str | None = None) -> bool:
    """Open the next round of the policy that is held for this package and has somebody to ask. Returns whether there
    was one."""
    placement = work.placement(ref)
    if placement is None:
        return False
    policy = work.placing(placement)
    last = placement.round
    for index in range(last.index + 1 if last is not None else 0, len(policy.rounds)):
        held = policy.rounds[index]
        found = audience(work, placement, held)
        if not found:
            continue
        together = held.rule == "open"
        asked, line = (found, ()) if together else (found[:1], found[1:])
        opened = p.RoundOpened(
            index=index, closes_at=closes_at(work.now, held), asked=asked, line=line, by=by
        )
        work.emit(ref, opened, policy=placement.policy)
        return True
    return False


def audience(work: Work, placement: Placement, held: Round) -> tuple[str, ...]:
    """The providers of this round, in their order; none where it is not held for the package's area."""
    area = placement.package.area
    if held.only_areas and area not in held.only_areas:
        return ()
    found = [
        one for one in work.state.values.providers.values() if one.said.active and one.said.tier in held.tiers
    ]
    found = [one for one in found if _there(one, area, held)]
    return tuple(one.ref for one in sorted(found, key=lambda one: (_rank(one, area, held), one.ref)))


def _there(provider: Provider, area: str, held: Round) -> bool:
    return held.area == "any" or (area in provider.said.areas) == (held.area == "own")


def _rank(provider: Provider, area: str, held: Round) -> int:
    if held.order == "score":
        return -next((one.score for one in provider.said.scores if one.area == area), 0)
    return provider.said.rate_pence or 10**9 if held.order == "rate" else 0


def closes_at(now: datetime, held: Round) -> datetime:
    """The end of a window that opens now."""
    return now + held.window


def on_close(work: Work, ref: str) -> None:
    """The window is over."""
    close(work, ref, "time")


def on_turn(work: Work, ref: str) -> None:
    """Who was asked last has not answered: the next in line is asked."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None or not run.line:
        return
    held = work.placing(placement).rounds[run.index]
    asked = p.ProviderAsked(
        index=run.index, provider=run.line[0], closes_at=closes_at(work.now, held), reason="silent"
    )
    work.emit(ref, asked, policy=placement.policy)


def on_reminder(work: Work, ref: str) -> None:
    """Whoever has not answered is reminded."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None:
        return
    reminded = p.RoundReminded(index=run.index, step=run.reminded, told=unanswered(placement, run))
    work.emit(ref, reminded, policy=placement.policy)


def close(work: Work, ref: str, reason: p.CloseReason) -> None:
    """Close the window that runs; who neither bid nor declined is silent."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None:
        return
    closed = p.RoundClosed(index=run.index, reason=reason, silent=unanswered(placement, run))
    work.emit(ref, closed, policy=placement.policy)


def unanswered(placement: Placement, run: RoundRun) -> tuple[str, ...]:
    """Those who were asked in this round and have neither bid nor declined."""
    return tuple(one.provider for one in run.asked if one.answered_at is None)
