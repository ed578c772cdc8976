"""When a care worker is on shift: around their runs and in the short gaps between two visits (domain.md section 6)."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.core.state import Visit
from monitor.core.times import watched_end
from monitor.core.work import Work

SHIFT = timedelta(minutes=30)
"""On shift is this much around a run (domain.md section 6)."""
GAP = timedelta(minutes=90)
"""Gaps over this are off shift (domain.md section 6)."""


def visits_of(work: Work, worker: str | None) -> list[Visit]:
    """Their visits that are not called off."""
    refs = work.state.by_worker.get(worker or "", {})
    return [visit for ref in refs if (visit := work.visit(ref)) is not None and not visit.cancelled]


def on_shift(work: Work, worker: str | None, at: datetime) -> bool:
    """Within 30 min of one of the care worker's visits, or in a gap of at most 90 min between two of them."""
    runs = [
        (visit.start, watched_end(visit.start, visit.end, visit.kind)) for visit in visits_of(work, worker)
    ]
    if any(start - SHIFT <= at <= end + SHIFT for start, end in runs):
        return True
    before = max((end for _, end in runs if end <= at), default=None)
    after = min((start for start, _ in runs if start >= at), default=None)
    return before is not None and after is not None and after - before <= GAP
