"""When care workers and their telephones were last heard: in memory only, and moments, never places.

A restart forgets it, and so does a time in which nothing could have reached us: silence counts from then anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.core.inputs import CheckInSeen, Outcome

A_NEW_RUN = timedelta(hours=1)
"""Fixes further apart than this have nothing to do with each other (ours)."""
SAYS_NOTHING: frozenset[Outcome | None] = frozenset(
    {"retained", "duplicate", "quarantined", "unknown_device", "mock_position", None}
)
"""Outcomes of what is old, or nobody's."""


class Heard:
    """`workers`: when each care worker was last heard, by whichever of their telephones. `fixes`: of each device the
    first and the last position of its present run. `since`: from when on silence counts at all."""

    def __init__(self) -> None:
        self.workers: dict[str, datetime] = {}
        self.fixes: dict[str, tuple[datetime, datetime]] = {}
        self.since: datetime | None = None

    def begin(self, now: datetime) -> None:
        """From here on we listen: at a start, and when a way in is back or its time can be believed again."""
        self.since = now
        self.fixes.clear()

    def note(self, worker: str | None, check: CheckInSeen, outcome: Outcome | None, now: datetime) -> None:
        """Somebody was heard. Off shift nothing is kept, and what is said in another's name proves nothing."""
        if worker is None or outcome in SAYS_NOTHING or check.manual or check.kind == "offline":
            return
        if outcome == "off_shift":
            self.workers.pop(worker, None)
            self.fixes.pop(check.device or "", None)
            return
        self.workers[worker] = now
        if check.kind == "fix" and check.device is not None:
            first, last = self.fixes.get(check.device, (now, now))
            self.fixes[check.device] = (first if now - last <= A_NEW_RUN else now, now)
