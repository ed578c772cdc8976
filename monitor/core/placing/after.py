"""What follows an award, and what follows when there is none."""

from __future__ import annotations

from monitor.core import alerts
from monitor.core.placing import facts as p
from monitor.core.work import Work


def unplaced(work: Work, ref: str) -> None:
    """The last round has placed nothing: the broker is summoned."""
    placement = work.placement(ref)
    if placement is None or placement.unplaced_at is not None:
        return
    alert = alerts.raise_alert(work, "placement", placement=ref)
    work.emit(ref, p.PlacementUnplaced(alert=alert.ref), policy=placement.policy)


def awarded(work: Work, ref: str) -> None:
    """Who bid in the round and did not win is told."""
    placement = work.placement(ref)
    award = placement.award if placement is not None else None
    if placement is None or award is None:
        return
    told = tuple(bid.provider for bid in placement.bids if bid.counts and bid.provider != award.provider)
    work.emit(ref, p.LosersTold(index=award.index, told=told), policy=placement.policy)
