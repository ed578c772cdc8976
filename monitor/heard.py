"""When care workers and their telephones were last heard: in memory only, and never for longer than a shift.

A restart forgets it, and so does a time in which nothing could have reached us: silence counts from then anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from monitor.core.inputs import CheckInSeen, Outcome, Position
from monitor.core.places import distance_m

SAME_PLACE_M = 200.0
"""Positions no further apart are of a telephone at rest (ours)."""
SAYS_NOTHING: frozenset[Outcome | None] = frozenset(
    {"retained", "duplicate", "quarantined", "unknown_device", "mock_position", None}
)
"""Outcomes of what is old, or nobody's."""


class _Rest(Struct, frozen=True):
    since: datetime
    last: datetime
    place: Position


class Heard:
    """`workers`: when each care worker was last heard, by whichever of their telephones. `rests`: how long each device
    has gone on saying where it is though it did not move. `since`: from when on silence counts at all."""

    def __init__(self) -> None:
        self.workers: dict[str, datetime] = {}
        self.rests: dict[str, timedelta] = {}
        self.since: datetime | None = None
        self._places: dict[str, _Rest] = {}

    def begin(self, now: datetime) -> None:
        """From here on we listen: at a start, and when a way in is back or its time can be believed again."""
        self.since = now
        self.rests.clear()
        self._places.clear()

    def note(
        self,
        worker: str | None,
        check: CheckInSeen,
        outcome: Outcome | None,
        now: datetime,
        longest_gap: timedelta,
    ) -> None:
        """Somebody was heard. Off shift nothing is kept, and what is said in another's name proves nothing.
        `longest_gap`: two positions further apart in time do not belong together."""
        if worker is None or outcome in SAYS_NOTHING or check.manual or check.kind == "offline":
            return
        if outcome == "off_shift":
            self.workers.pop(worker, None)
            self._forget(check.device)
            return
        self.workers[worker] = now
        if check.kind == "fix" and check.device is not None and check.position is not None:
            self._rest(check.device, check.position, now, longest_gap)

    def _rest(self, device: str, place: Position, now: datetime, longest_gap: timedelta) -> None:
        known = self._places.get(device)
        stays = (
            known is not None
            and now - known.last <= longest_gap
            and distance_m(known.place.lat, known.place.lon, place.lat, place.lon) <= SAME_PLACE_M
        )
        rest = _Rest(known.since, now, known.place) if known and stays else _Rest(now, now, place)
        self._places[device] = rest
        self.rests[device] = rest.last - rest.since

    def _forget(self, device: str | None) -> None:
        if device is not None:
            self.rests.pop(device, None)
            self._places.pop(device, None)
