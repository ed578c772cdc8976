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
from monitor.core.placing.model import Placement
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
        loop = asyncio.get_running_loop()
        while True:
            desk, placement, tries = await self._waiting.get()
            try:
                await self._hand_over(desk, placement)
            except (Degraded, DecideFailedError) as error:
                log.warning("a first visit has not landed", desk=desk, error=type(error).__name__)
                loop.call_later(min(AGAIN_S * 2**tries, 600.0), self.confirmed, desk, placement, tries + 1)

    async def _hand_over(self, desk: str, ref: str) -> None:
        council = self._shells().get(desk)
        placement = council.state.values.placements.get(ref) if council is not None else None
        provider = (
            self._desk_of(council, placement) if council is not None and placement is not None else None
        )
        if council is None or placement is None or provider is None:
            return
        visit = placement.first_visit
        if visit is None or visit.landed is not None:
            return
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
        council.tell(FirstVisitSettled(placement=ref, desk=provider.id, visit=told.visit))

    def _desk_of(self, council: DeskShell, placement: Placement) -> DeskShell | None:
        """The winner's own desk, if it has one here."""
        award = placement.award
        known = council.state.values.providers.get(award.provider) if award is not None else None
        name = known.said.desk if known is not None else None
        shell = self._shells().get(name) if name is not None else None
        if name is not None and (shell is None or shell.config.kind != "provider"):
            log.error("a provider's desk is not on this installation", desk=council.id)
            return None
        return shell
