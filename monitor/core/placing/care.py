"""When care ends: a broker says it, and the hours of the package are held no longer (fair share, the 3,000 hours).

The package has long left the state by then; its line of the ledger is what is left of it, and what a broker's word is
about. A word is mended by another one: another day, or that the care goes on.
"""

from __future__ import annotations

from datetime import date, time, timedelta

from monitor.core.placing import facts as p
from monitor.core.placing import telling
from monitor.core.placing.inputs import CareEndSaid
from monitor.core.placing.model import Share
from monitor.core.state import State
from monitor.core.work import Decision, Refusal, Work

AHEAD = timedelta(days=366)
"""An end in 2062 is a slip of the pen (ours)."""


def end_said(work: Work, seen: CareEndSaid) -> Decision:
    """The care of a package ends on that day, whose hours count no more; None: it goes on. Refused: `not_broker`,
    `not_found`, `not_held`, `on`."""
    if not telling.is_broker(work, seen.by):
        return Decision(refusal=Refusal(code="not_broker"))
    line = line_of(work.state, seen.placement)
    if line is None:
        known = work.placement(seen.placement) is not None
        return Decision(refusal=Refusal(code="not_held" if known else "not_found"))
    refusal = _strange(work, line, seen.on)
    if refusal is not None:
        return Decision(refusal=refusal)
    if line.ended_on != seen.on:
        at = work.state.calendar.at_local(seen.on, time()) if seen.on is not None else None
        ended = p.CareEnded(provider=line.provider, on=seen.on, frees_at=at, by=seen.by)
        work.emit(seen.placement, ended)
    return work.decision(answer=line.key)


def line_of(state: State, placement: str) -> Share | None:
    """The line of the provider that has the package; None: nobody has it, or it is older than the ledger."""
    for provider in sorted(state.won):
        for key in state.won[provider]:
            if state.values.ledger[key].placement == placement:
                return state.values.ledger[key]
    return None


def _strange(work: Work, line: Share, on: date | None) -> Refusal | None:
    if on is None or line.won_at is None:
        return None
    if on < work.state.calendar.day(line.won_at):
        return Refusal(code="on", detail={"expected": ["a day not before that of the award"]})
    if on > work.state.calendar.day(work.now) + AHEAD:
        return Refusal(code="on", detail={"expected": ["a day within a year"]})
    return None
