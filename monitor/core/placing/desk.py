"""A council's desk: what it is told, and what it does when a placement's moment has come.

The way of a package: `receive` -> `rounds.open_next` -> bids (`bids`) -> `rounds.close` -> `evaluate` -> `award` ->
what follows (`after`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.core.placing import actions, after, bids, calling_off, care, landing, rounds, telling
from monitor.core.placing import facts as p
from monitor.core.placing.clock import moments
from monitor.core.placing.inputs import (
    BidGiven,
    BidRefusedByProvider,
    BidTakenBack,
    CallOffSettled,
    CallOffTold,
    CareEndSaid,
    DeadLinkPressed,
    FirstVisitSettled,
    FirstVisitTold,
    PackageReceived,
    PlacementActed,
    PlacingLoaded,
    ProvidersTold,
)
from monitor.core.placing.model import Placement
from monitor.core.work import Decision, Refusal, Work


def _loaded(work: Work, seen: PlacingLoaded) -> Decision:
    """How packages are placed from here on. A package that is under way keeps the policy with which it came."""
    values = work.state.values
    digests = {terms.kind: terms.digest for terms in seen.terms}
    if digests != values.placing or seen.areas != values.areas or seen.mailbox != values.mailbox:
        work.emit("desk", p.PlacingAdopted(terms=seen.terms, areas=seen.areas, mailbox=seen.mailbox))
    return work.decision()


def _told(work: Work, seen: ProvidersTold) -> Decision:
    """Providers as they are from here on; who is the same causes no fact."""
    for said in seen.providers:
        known = work.state.values.providers.get(said.ref)
        if known is None or known.said != said:
            work.emit(said.ref, p.ProviderAdopted(provider=said))
    return work.decision()


def _received(work: Work, seen: PackageReceived) -> Decision:
    """A package is to be placed: its first round opens at once."""
    if not telling.is_broker(work, seen.by):
        return Decision(refusal=Refusal(code="not_broker"))
    digest = work.state.values.placing.get(seen.package.kind)
    if digest is None:
        return Decision(refusal=Refusal(code="kind", detail={"expected": sorted(work.state.values.placing)}))
    if seen.marks and seen.override is None:
        return Decision(refusal=Refusal(code="not_anonymous", detail={"marks": list(seen.marks)}))
    if all(area.id != seen.package.area for area in work.state.values.areas):
        expected = [area.id for area in work.state.values.areas]
        return Decision(refusal=Refusal(code="area", detail={"expected": expected}))
    received = p.PlacementReceived(
        package=seen.package, by=seen.by, text=seen.text, marks=seen.marks, override=seen.override
    )
    work.emit(seen.ref, received, policy=digest)
    if not rounds.open_next(work, seen.ref):
        after.unplaced(work, seen.ref)
    return work.decision(answer=seen.ref)


def on_deadline(work: Work, placement: Placement) -> None:
    """Every moment of the package that has come, the earliest first."""
    policy = work.placing(placement)
    due = sorted((at, what) for what, at in moments(placement, policy).items() if at <= work.now)
    for _, what in due:
        _ON[what](work, placement.ref)


_ON: dict[str, Callable[[Work, str], None]] = {
    "close": rounds.on_close,
    "turn": rounds.on_turn,
    "remind": rounds.on_reminder,
    "tell_losers": after.on_lost,
    "undecided": after.on_undecided,
    "papers": after.on_papers,
    "confirm_remind": after.on_confirm_reminder,
    "unconfirmed": after.on_unconfirmed,
    "not_landed": after.on_not_landed,
    "not_called_off": calling_off.on_not_called_off,
    "started": after.on_started,
    "leave": after.on_leave,
}
DECIDE: dict[type, Callable[[Work, Any], Decision]] = {
    PlacingLoaded: _loaded,
    ProvidersTold: _told,
    PackageReceived: _received,
    BidGiven: bids.given,
    BidTakenBack: bids.taken_back,
    BidRefusedByProvider: bids.refused_by_provider,
    DeadLinkPressed: bids.dead_link_pressed,
    CareEndSaid: care.end_said,
    PlacementActed: actions.acted,
    FirstVisitTold: landing.told,
    FirstVisitSettled: landing.settled,
    CallOffTold: calling_off.told,
    CallOffSettled: calling_off.settled,
}
"""What a council's desk makes of each input."""
