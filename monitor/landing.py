"""First visits on their way from a council's desk to the provider's own desk on the same installation.

Two desks, two writers: the confirmation is on the council's disk first, then the visit on the provider's, then the fact
that it has landed on the council's again. A stop between any two of them loses nothing: after a start whatever is
confirmed and has not landed is handed over once more, and the provider's desk plans it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from connectors.ports import Degraded
from monitor.core.placing.inputs import FirstVisitSettled, FirstVisitTold
from monitor.core.placing.model import FirstVisit, Placement
from monitor.desk_shell import DeskShell
from monitor.engine import DecideFailedError

log = structlog.get_logger("landing")

AGAIN_S = 5.0
"""How long a desk whose store does not answer is left alone, the first time; then longer, up to ten minutes."""


class Landing:
    """See the module. `shells` is asked anew each time."""

    def __init__(self, shells: Callable[[], Mapping[str, DeskShell]]) -> None:
        self._shells = shells
        self._waiting: asyncio.Queue[tuple[str, str, int]] = asyncio.Queue()

    def confirmed(self, desk: str, placement: str, tries: int = 0) -> None:
        """The first visit of this package is confirmed, and that is on disk."""
        self._waiting.put_nowait((desk, placement, tries))

    def begin(self) -> None:
        """After a start: whatever had not landed when we were stopped."""
        for desk, shell in self._shells().items():
            for placement in shell.state.values.placements.values():
                if placement.first_visit is not None and placement.first_visit.landed is None:
                    self.confirmed(desk, placement.ref)

    async def run(self) -> None:
        """Until cancelled. What fails is tried again, with growing pauses, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                desk, placement, tries = await self._waiting.get()
                # each by itself: a desk whose store does not answer holds up none of the others
                group.create_task(self._try(desk, placement, tries), name=f"landing:{desk}")

    async def _try(self, desk: str, placement: str, tries: int) -> None:
        try:
            await self._hand_over(desk, placement)
        except (Degraded, DecideFailedError) as error:
            log.warning("a first visit has not landed", desk=desk, error=type(error).__name__)
            pause_s = min(AGAIN_S * 2 ** min(tries, 10), 600.0)
            asyncio.get_running_loop().call_later(pause_s, self.confirmed, desk, placement, tries + 1)

    async def _hand_over(self, desk: str, ref: str) -> None:
        council = self._shells().get(desk)
        placement = council.state.values.placements.get(ref) if council is not None else None
        visit = _waiting(placement)
        if council is None or placement is None or visit is None:
            return
        provider = self._shells().get(visit.desk) if visit.desk is not None else None
        if provider is None:
            return  # elsewhere, or not configured any more: then the council's desk tells its broker
        # awarded to them once more it is another visit, and whatever became of the first one stays as it is
        winner = placement.award.provider if placement.award is not None else ""
        again = "-again" * placement.taken_back.count(winner)
        name = f"package-{desk}-{council.directory.outside(ref)}{again}"
        told = FirstVisitTold(
            placement=ref,
            visit=provider.directory.ref("visit", name),
            service_user=provider.directory.ref("person", name),
            start=visit.start,
            end=visit.end,
            time_critical=placement.package.time_critical,
        )
        ticket = provider.tell(told)
        await provider.engine.durable(ticket.seq, patient=True)
        now = _waiting(council.state.values.placements.get(ref))
        if now is None or (now.desk, now.start, now.at) != (visit.desk, visit.start, visit.at):
            return  # taken back meanwhile: what lands for the next award is told by itself
        council.tell(FirstVisitSettled(placement=ref, desk=provider.id, visit=told.visit))


def _waiting(placement: Placement | None) -> FirstVisit | None:
    """The first visit that is to be planned; None: there is none, or it stands there, or nobody wants it any more."""
    if placement is None or placement.ended == "withdrawn":
        return None
    visit = placement.first_visit
    return visit if visit is not None and visit.landed is None else None
