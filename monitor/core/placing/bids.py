"""Bids: in time or late, changed, withdrawn, declined; every one is recorded, and who gave it hears what became of it.

In time is what is decided before the close, while the window still runs (appendix A); the order is the journal's. At
the close, and after it, a bid is kept and marked late, and is not considered unless a broker says why. What is refused
changes nothing but the record that it was refused.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from monitor.core.placing import evaluate, rounds, telling
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import (
    BidGiven,
    BidRefusedByProvider,
    BidSource,
    BidTakenBack,
    DeadLinkPressed,
    PlacementActed,
)
from monitor.core.placing.model import Bid, Placement, RoundRun
from monitor.core.work import Decision, Refusal, Work

MOST_DEAD = 20
"""So many presses on links of one provider's that open nothing are recorded of each package (ours)."""
Said = BidGiven | BidTakenBack | BidRefusedByProvider


class Receipt(Struct, frozen=True, kw_only=True):
    """What the provider is told at once: received when, in time or late, until when it can be changed."""

    at: datetime
    late: bool
    until: datetime
    change: int = 0


def given(work: Work, seen: BidGiven) -> Decision:
    """A provider bids, or changes its bid. Refused: what `_not_taken` names, `start_past`."""
    placement = work.placement(seen.placement)
    refusal = _not_taken(work, placement, seen)
    if placement is None:
        return Decision(refusal=refusal)
    if refusal is None and seen.start < work.now.replace(second=0, microsecond=0):
        refusal = Refusal(code="start_past")
    if refusal is not None:
        return _refused(work, seen, refusal)
    index, late = _asked_in(placement, seen.provider), is_late(work, placement, seen.provider)
    known_late = any(bid.provider == seen.provider and bid.stands for bid in placement.late)
    recorded = p.BidRecorded(
        index=index,
        provider=seen.provider,
        start=seen.start,
        source=seen.source,
        late=late,
        change=given_before(placement, seen.provider),
        by=seen.by,
        how=seen.how,
        hours_free=seen.hours_free,
        hours_declared=seen.hours_declared,
    )
    work.emit(placement.ref, recorded, policy=placement.policy)
    telling.receipt(work, placement.ref, seen.provider, late)
    if late and not known_late:
        telling.late_bid(work, placement.ref, seen.provider)
    return _answer(work, placement, seen.provider, late, recorded.change)


def taken_back(work: Work, seen: BidTakenBack) -> Decision:
    """A provider withdraws what it has bid. Refused: what `_not_taken` names, `no_bid`."""
    placement = work.placement(seen.placement)
    refusal = _not_taken(work, placement, seen)
    if placement is None:
        return Decision(refusal=refusal)
    if refusal is None and not standing(placement, seen.provider):
        refusal = Refusal(code="no_bid")
    if refusal is not None:
        return _refused(work, seen, refusal)
    late = is_late(work, placement, seen.provider)
    gone = p.BidWithdrawn(
        index=_asked_in(placement, seen.provider),
        provider=seen.provider,
        source=seen.source,
        late=late,
        by=seen.by,
    )
    work.emit(placement.ref, gone, policy=placement.policy)
    telling.withdrawn(work, placement.ref, seen.provider, late)
    _propose_again(work, placement)
    return _answer(work, placement, seen.provider, late)


def refused_by_provider(work: Work, seen: BidRefusedByProvider) -> Decision:
    """A provider declines; a bid of theirs stands no more. Refused: what `_not_taken` names, `pass_to`."""
    placement = work.placement(seen.placement)
    refusal = _not_taken(work, placement, seen)
    if placement is None:
        return Decision(refusal=refusal)
    late = is_late(work, placement, seen.provider)
    partners = rounds.partners_of(work, placement, seen.provider) if not late else ()
    if refusal is None and seen.pass_to is not None and seen.pass_to not in partners:
        refusal = Refusal(code="pass_to")
    if refusal is not None:
        return _refused(work, seen, refusal)
    stood = bool(standing(placement, seen.provider))
    declined = p.BidDeclined(
        index=_asked_in(placement, seen.provider),
        provider=seen.provider,
        reason=seen.reason,
        source=seen.source,
        late=late,
        by=seen.by,
        note=seen.note,
        pass_to=seen.pass_to,
    )
    work.emit(placement.ref, declined, policy=placement.policy)
    telling.declined(work, placement.ref, seen.provider, stood and late)
    _propose_again(work, placement)
    return _answer(work, placement, seen.provider, late)


def _propose_again(work: Work, before: Placement) -> None:
    """The proposed provider takes its bid back after the close: another one is proposed, or the next round follows."""
    now = work.placement(before.ref)
    bid = now.bid_of(before.proposed) if now is not None and before.proposed is not None else None
    if bid is not None and not bid.stands:
        evaluate.closed(work, before.ref)


# --- what a broker does about bids ---


def admit_late(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """A late bid is considered all the same, because a broker says why: what was proposed is worked out anew, unless
    another window runs by now. Refused: `not_broker`, `note`, `no_late_bid`, and what is over."""
    if not telling.is_broker(work, seen.by):
        return Refusal(code="not_broker")
    over = _over(placement)
    if over is not None:
        return over
    if seen.note is None:
        return Refusal(code="note", detail={"expected": ["why it is considered, in words"]})
    if seen.provider is None or all(bid.provider != seen.provider for bid in placement.late if bid.stands):
        return Refusal(code="no_late_bid")
    admitted = p.LateBidAdmitted(provider=seen.provider, by=seen.by, note=seen.note)
    work.emit(placement.ref, admitted, policy=placement.policy)
    evaluate.closed(work, placement.ref)
    return None


def revoke_link(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """The provider's link opens nothing any more; said again it changes nothing. Refused: `not_broker`,
    `not_asked`."""
    if not telling.is_broker(work, seen.by):
        return Refusal(code="not_broker")
    if seen.provider is None or placement.was_asked(seen.provider) is None:
        return Refusal(code="not_asked")
    if seen.provider not in placement.revoked:
        revoked = p.LinkRevoked(provider=seen.provider, by=seen.by, note=seen.note)
        work.emit(placement.ref, revoked, policy=placement.policy)
    return None


# --- in time or late ---


def is_late(work: Work, placement: Placement, provider: str) -> bool:
    """Whether the provider's own window is over: by the clock, or because the round was closed early, or because the
    next one in line is asked."""
    run, asked = placement.running, placement.was_asked(provider)
    return run is None or asked is None or asked not in run.asked or work.now >= asked.closes_at


def standing(placement: Placement, provider: str) -> tuple[Bid, ...]:
    """What the provider has bid and not withdrawn, in time and late."""
    return tuple(bid for bid in (*placement.bids, *placement.late) if bid.provider == provider and bid.stands)


def given_before(placement: Placement, provider: str) -> int:
    """How many bids came from the provider for this package before."""
    mine = (bid for bid in (*placement.bids, *placement.late) if bid.provider == provider)
    return max((bid.changes + 1 for bid in mine), default=0)


def _asked_in(placement: Placement, provider: str) -> int:
    """The round in which the provider was asked last."""
    return next(run.index for run in reversed(placement.rounds) if _asks(run, provider))


def _asks(run: RoundRun, provider: str) -> bool:
    return any(asked.provider == provider for asked in run.asked)


# --- what is refused ---


def _not_taken(work: Work, placement: Placement | None, seen: Said) -> Refusal | None:
    """`not_found`, `unknown_provider`, `not_asked`, `link_revoked`, `not_broker`, and what is over: `ended`,
    `withdrawn`, `awarded`."""
    if placement is None:
        return Refusal(code="not_found")
    if seen.provider not in work.state.values.providers:
        return Refusal(code="unknown_provider")
    if placement.was_asked(seen.provider) is None:
        return Refusal(code="not_asked")
    if seen.source == "link" and not placement.link_opens(seen.provider, seen.link):
        return Refusal(code="link_revoked")
    if seen.source == "broker" and not telling.is_broker(work, seen.by):
        return Refusal(code="not_broker")
    return _over(placement)


def _over(placement: Placement) -> Refusal | None:
    if placement.ended is not None:
        return Refusal(code="withdrawn" if placement.ended == "withdrawn" else "ended")
    return Refusal(code="awarded") if placement.award is not None else None


def _refused(work: Work, seen: Said, refusal: Refusal) -> Decision:
    """Nothing is lost: that somebody tried, and why it was not taken, is recorded."""
    placement = work.placement(seen.placement)
    assert placement is not None
    known = seen.provider if seen.provider in work.state.values.providers else None
    record_refusal(work, placement, known, refusal.code, seen.source)
    return work.decision(refusal=refusal)


def record_refusal(
    work: Work, placement: Placement, provider: str | None, why: str, source: BidSource
) -> None:
    """That somebody tried is recorded; of presses on a link that opens nothing, so many of each provider's: whoever
    has found it in an old mail must not fill the journal."""
    before = placement.dead_presses.count(provider or "") if why in p.DEAD_LINK else 0
    if before < MOST_DEAD:
        refused = p.BidRefused(provider=provider, why=why, source=source, last=before + 1 == MOST_DEAD)
        work.emit(placement.ref, refused, policy=placement.policy)


def dead_link_pressed(work: Work, seen: DeadLinkPressed) -> Decision:
    """A press on a link whose time is over: it does nothing, and is recorded as any other that was refused."""
    placement = work.placement(seen.placement)
    if placement is None or placement.was_asked(seen.provider) is None:
        return Decision(refusal=Refusal(code="not_found"))
    record_refusal(work, placement, seen.provider, "link_expired", "link")
    return work.decision(refusal=Refusal(code="link_expired"))


def _answer(work: Work, placement: Placement, provider: str, late: bool, change: int = 0) -> Decision:
    """In time it may close the round, or give the turn to the next in line."""
    until = telling.closed_for(placement, provider)
    assert until is not None
    if not late:
        rounds.answered(work, placement.ref)
    return work.decision(answer=Receipt(at=work.now, late=late, until=until, change=change))
