"""Whose the package is: given by a broker, who confirms what the rules propose or says why not, or by the policy."""

from __future__ import annotations

from monitor.core.evidence import Evidence
from monitor.core.placing import after, rounds
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import OVERRIDE_REASONS, OverrideReason, PlacementActed
from monitor.core.placing.model import Placement
from monitor.core.work import Refusal, Work


def give(
    work: Work,
    ref: str,
    provider: str,
    *,
    by: str | None = None,
    reason: OverrideReason | None = None,
    note: Evidence | None = None,
) -> None:
    """The package is the provider's; a window that runs closes with it. `by` None: by the policy itself."""
    placement = work.placement(ref)
    if placement is None:
        return
    early = placement.running is not None
    if early:
        rounds.close(work, ref, "awarded")
    bid, proposed = placement.bid_of(provider), placement.proposed
    awarded = p.PlacementAwarded(
        provider=provider,
        confirm_by=work.now + work.placing(placement).confirm_within,
        index=bid.index if bid is not None else 0,
        by=by,
        early=early,
        reason=reason,
        note=note,
        proposed=proposed if proposed != provider else None,
    )
    work.emit(ref, awarded, policy=placement.policy)
    after.awarded(work, ref)


def act(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """A broker awards the package: as proposed, otherwise with a reason (appendix A: specialist needs, skills,
    geography), or before the close in an emergency."""
    provider = seen.provider or placement.proposed
    refusal = _not_now(placement) or _not_theirs(placement, provider) or _unfounded(work, placement, seen)
    if refusal is None and provider is not None:
        give(work, placement.ref, provider, by=seen.by, reason=seen.reason, note=seen.note)
    return refusal


def _not_now(placement: Placement) -> Refusal | None:
    given = placement.award
    if given is not None:
        detail = {"by": given.by, "at": given.at, "provider": given.provider}
        return Refusal(code="already_awarded", detail=detail)
    if placement.ended is not None:
        return Refusal(code="already_ended", detail={"at": placement.ended_at, "reason": placement.ended})
    return None


def _not_theirs(placement: Placement, provider: str | None) -> Refusal | None:
    """Only who bid for it, and stands by that, may have it; a late bid is first admitted, with words why."""
    if provider is None:
        return Refusal(
            code="provider", detail={"expected": [bid.provider for bid in placement.bids if bid.counts]}
        )
    bid = placement.bid_of(provider)
    if bid is not None and bid.counts:
        return None
    if any(late.provider == provider and late.stands for late in placement.late):
        return Refusal(code="late_bid", detail={"expected": ["admit_late"]})
    return Refusal(code="bid_withdrawn" if bid is not None else "never_bid")


def _unfounded(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """A reason is wanted before the close, and for anybody but the one whom the rules propose."""
    if placement.running is not None and seen.reason != "emergency":
        return Refusal(code="reason", detail={"expected": ["emergency"]})
    provider = seen.provider or placement.proposed
    if seen.reason is None and provider != placement.proposed:
        return Refusal(code="reason", detail={"expected": list(OVERRIDE_REASONS)})
    if seen.reason == "other" and seen.note is None:
        return Refusal(code="note", detail={"expected": ["why, in words"]})
    return None
