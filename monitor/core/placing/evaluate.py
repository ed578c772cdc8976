"""What the bids of a round come to."""

from __future__ import annotations

from monitor.core.placing import facts as p
from monitor.core.placing import rounds
from monitor.core.work import Work


def closed(work: Work, ref: str) -> None:
    """The window is over: propose an award, or go on where nobody bid."""
    placement = work.placement(ref)
    run = placement.round if placement is not None else None
    if placement is None or run is None:
        return
    bids = [bid for bid in placement.bids if bid.index == run.index and bid.counts]
    rows = tuple(p.Row(provider=bid.provider, results=(), place=i) for i, bid in enumerate(bids, 1))
    proposed = rows[0].provider if rows else None
    work.emit(ref, p.ProposalMade(index=run.index, rows=rows, proposed=proposed), policy=placement.policy)
    if proposed is None:
        rounds.nothing_placed(work, ref)
