"""Counts the visits of a desk by stage and signal, for the metric: nobody walks over all visits at every scrape.

A count holds until the desk has a new fact or a visit's start makes it *due*; and it is made in portions, with the
event loop free in between.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from monitor.core.signals import signal_of_all
from monitor.core.state import State
from monitor.reads import Reads, stage_of

PORTION = 2_000
"""Visits that are counted before the loop has its turn: about 2 ms."""

Counts = Mapping[tuple[str, str], int]


class _Counted(Struct, frozen=True):
    seq: int
    holds_until: datetime | None
    counts: Counts


class Census:
    """The last count of each desk."""

    def __init__(self) -> None:
        self._counted: dict[str, _Counted] = {}

    async def visits(self, desk: str, state: State, reads: Reads, now: datetime) -> Counts:
        """Visits by (stage, signal)."""
        last = self._counted.get(desk)
        if (
            last is None
            or last.seq != state.seq
            or (last.holds_until is not None and now >= last.holds_until)
        ):
            last = self._counted[desk] = await self._count(state, reads, now)
        return last.counts

    async def _count(self, state: State, reads: Reads, now: datetime) -> _Counted:
        seq, visits = state.seq, list(state.values.visits.values())
        same = signal_of_all(state, reads.silent)
        found: Counter[tuple[str, str]] = Counter()
        next_due: datetime | None = None
        for begin in range(0, len(visits), PORTION):
            if begin:
                await asyncio.sleep(0)
            for visit in visits[begin : begin + PORTION]:
                stage = stage_of(visit, now)
                found[(stage, same or reads.signal(visit))] += 1
                if stage == "planned" and (next_due is None or visit.start < next_due):
                    next_due = visit.start
        return _Counted(seq, next_due, found)
