"""First visits between a council's desk and the provider's own desk on the same installation: planned there, and called
off there when nobody wants them any more.

Two desks, two writers: the confirmation is on the council's disk first, then the visit on the provider's, then the fact
that it has landed on the council's again; and in the same order that the package went, that the visit is called off,
and that this is so. A stop between any two of them loses nothing: after a start whatever is not settled is handed over
once more, and the provider's desk plans it once, and calls it off once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from connectors.ports import Degraded
from monitor.core.placing.inputs import (
    CallOffOutcome,
    CallOffSettled,
    CallOffTold,
    FirstVisitSettled,
    FirstVisitTold,
)
from monitor.core.placing.model import CallOff, FirstVisit, Placement
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

    def moved(self, desk: str, placement: str, tries: int = 0) -> None:
        """The first visit of this package is confirmed, or the package is nobody's any more, and that is on disk."""
        self._waiting.put_nowait((desk, placement, tries))

    def begin(self) -> None:
        """After a start: whatever was not settled when we were stopped."""
        for desk, shell in self._shells().items():
            for placement in shell.state.values.placements.values():
                if _waiting(placement) is not None or _unwanted(placement):
                    self.moved(desk, placement.ref)

    async def run(self) -> None:
        """Until cancelled. What fails is tried again, with growing pauses, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                desk, placement, tries = await self._waiting.get()
                # each by itself: a desk whose store does not answer holds up none of the others
                group.create_task(self._try(desk, placement, tries), name=f"landing:{desk}")

    async def _try(self, desk: str, ref: str, tries: int) -> None:
        try:
            await self._settle(desk, ref)
        except (Degraded, DecideFailedError) as error:
            log.warning("a first visit is not settled", desk=desk, error=type(error).__name__)
            pause_s = min(AGAIN_S * 2 ** min(tries, 10), 600.0)
            asyncio.get_running_loop().call_later(pause_s, self.moved, desk, ref, tries + 1)

    async def _settle(self, desk: str, ref: str) -> None:
        council = self._shells().get(desk)
        placement = council.state.values.placements.get(ref) if council is not None else None
        if council is None or placement is None:
            return
        visit, unwanted = _waiting(placement), _unwanted(placement)
        # what came about since the fact that brought us here may not be on disk yet
        await council.engine.durable(patient=True)
        # of two desks one may not answer: the other is not held up by it
        tried = [self._call_off(council, ref, index) for index in unwanted]
        tried += [self._hand_over(council, ref, visit)] if visit is not None else []
        for result in await asyncio.gather(*tried, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _hand_over(self, council: DeskShell, ref: str, visit: FirstVisit) -> None:
        placement = council.state.values.placements.get(ref)
        if placement is None or not _same(_waiting(placement), visit):
            return
        provider = self._shells().get(visit.desk) if visit.desk is not None else None
        if provider is None:
            return  # elsewhere, or not configured any more: then the council's desk tells its broker
        name = _name(council, ref, placement.times_had)
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
        if not _same(_waiting(council.state.values.placements.get(ref)), visit):
            return  # taken back meanwhile: what lands for the next award is told by itself
        council.tell(FirstVisitSettled(placement=ref, desk=provider.id, visit=told.visit))

    async def _call_off(self, council: DeskShell, ref: str, index: int) -> None:
        placement = council.state.values.placements.get(ref)
        if placement is None or index not in _unwanted(placement):
            return
        off: CallOff = placement.call_offs[index]
        provider = self._shells().get(off.desk)
        if provider is None:
            return  # as above
        visit = provider.directory.known("visit", _name(council, ref, off.again))
        outcome: CallOffOutcome = "not_there"
        if visit is not None:
            told = CallOffTold(
                placement=ref,
                visit=visit,
                start=off.start,
                end=off.end,
                time_critical=placement.package.time_critical,
            )
            ticket = provider.tell(told)
            await provider.engine.durable(ticket.seq, patient=True)
            outcome = ticket.decision.answer
        council.tell(CallOffSettled(placement=ref, index=index, desk=off.desk, outcome=outcome))


def _name(council: DeskShell, ref: str, again: int) -> str:
    """What the visit is called in the provider's desk. Awarded to them once more it is another visit, and whatever
    became of the first one stays as it is."""
    return f"package-{council.id}-{council.directory.outside(ref)}" + "-again" * again


def _waiting(placement: Placement | None) -> FirstVisit | None:
    """The first visit that is to be planned; None: there is none, or it stands there, or nobody wants it any more."""
    if placement is None or placement.ended == "withdrawn":
        return None
    visit = placement.first_visit
    return visit if visit is not None and visit.landed is None else None


def _same(now: FirstVisit | None, then: FirstVisit) -> bool:
    return now is not None and (now.desk, now.start, now.at) == (then.desk, then.start, then.at)


def _unwanted(placement: Placement) -> tuple[int, ...]:
    """Which of its first visits may still stand in a desk, though nobody wants them any more."""
    return tuple(index for index, off in enumerate(placement.call_offs) if off.outcome is None)
