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
