"""Where the time comes from. Read once per input, at the edge, and handed down from there."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Two clocks: the one on the wall, which people set, and one that only ever goes forward."""

    def now(self) -> datetime:
        """This instant, aware UTC. May step either way when the machine's clock is set."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never steps. Compare it with itself only."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """This instant, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """`time.monotonic()`: on Linux it stands still while the machine is suspended, unlike the wall clock."""
        return time.monotonic()


class ScaledClock:
    """A clock that starts at `start` and goes `speed` times as fast as the machine's: for the demo."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._start, self.speed = start, speed
        self._wall, self._mono = datetime.now(UTC), time.monotonic()

    def now(self) -> datetime:
        """The demo's instant, aware UTC."""
        if self.speed == 1.0:
            return self._start + (datetime.now(UTC) - self._wall)
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Demo seconds since the start."""
        return (time.monotonic() - self._mono) * self.speed

    def wall(self, at: datetime) -> datetime:
        """When the machine's clock will show what this one calls `at`: for whoever sleeps by the machine's."""
        return datetime.now(UTC) + (at - self.now()) / self.speed
