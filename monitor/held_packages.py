"""The packages that providers hold, at the edge of a council's desk: what is held, and that care has ended.

Most of them have left the state long ago: they are read from the ledger, and named by the directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.placing import ledger
from monitor.core.placing.model import Share
from monitor.core.placing.views import HeldPage, HeldView

if TYPE_CHECKING:
    from monitor.desk_shell import DeskShell


def held(shell: DeskShell) -> tuple[HeldView, ...]:
    """Every package of the ledger that was awarded and is still theirs, the oldest first."""
    state = shell.state
    lines = [state.values.ledger[key] for keys in state.won.values() for key in keys]
    found = [view(shell, one) for one in lines]
    return tuple(sorted(found, key=lambda one: (one.won_at, one.placement)))


def view(shell: DeskShell, line: Share) -> HeldView:
    """One of them, in the caller's own ids."""
    out = shell.directory.outside
    return HeldView(
        placement=out(line.placement),
        provider=out(line.provider),
        kind=line.kind,
        minutes_week=line.minutes_week,
        hours_week=line.minutes_week / 60,
        won_at=line.won_at or line.at,
        until=line.until,
        ended_on=line.ended_on,
        held=ledger.holds(line, shell.now()),
        name=shell.directory.full_name(line.provider),
    )


def page(shell: DeskShell, names: dict[str, str]) -> HeldPage:
    """What the page shows, with names: for the desk's own people."""
    return HeldPage(
        desk=shell.id,
        name=shell.config.name,
        now=shell.now(),
        degraded=shell.engine.reason is not None,
        held=held(shell),
        names=names,
    )
