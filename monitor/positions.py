"""Where care workers were last on shift: in memory only, and not for long (spec 7.18; domain.md section 6).

A position that proves nothing never reaches the disk; what a decision learnt from one goes into its fact as a verdict.
"""

from __future__ import annotations

from datetime import datetime

from monitor.core.inputs import CheckInSeen, Outcome, Position

DROPPED: frozenset[Outcome] = frozenset(
    {
        "off_shift",
        "retained",
        "mock_position",
        "clock_doubtful",
        "unknown_device",
        "unknown_person",
        "duplicate",
        "quarantined",
    }
)
"""Outcomes of which nothing is kept: off shift, or not to be believed."""


class Positions:
    """The last position of each care worker on shift, and the one before it. Older ones are gone at once."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[datetime, Position]] = {}
        self.before: dict[str, tuple[datetime, Position]] = {}

    def note(self, worker: str | None, check: CheckInSeen, outcome: Outcome | None) -> None:
        """Keep where they are, or forget it: off shift nothing is kept of what was known before either."""
        if worker is None:
            return
        if outcome == "off_shift":
            self.forget(worker)
            return
        known = self.last.get(worker)
        if check.position is None or outcome in DROPPED or (known is not None and known[0] >= check.at):
            return
        if known is not None:
            self.before[worker] = known
        self.last[worker] = (check.at, check.position)

    def forget(self, worker: str) -> None:
        """Nothing is known of them any more."""
        self.last.pop(worker, None)
        self.before.pop(worker, None)

    def forget_older(self, than: datetime) -> None:
        """What nobody may look at any more is not kept."""
        for kept in (self.last, self.before):
            for worker in [worker for worker, (at, _) in kept.items() if at < than]:
                del kept[worker]
