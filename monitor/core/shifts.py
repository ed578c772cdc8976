"""When a care worker is on shift: around their runs and in the short gaps between two visits (domain.md section 6)."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.core.state import Visit
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
    visits = visits_of(work, worker)
    if any(visit.start - SHIFT <= at <= visit.end + SHIFT for visit in visits):
        return True
    before = max((visit.end for visit in visits if visit.end <= at), default=None)
    after = min((visit.start for visit in visits if visit.start >= at), default=None)
    return before is not None and after is not None and after - before <= GAP
