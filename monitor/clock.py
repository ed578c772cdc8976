"""Where the time comes from. Read once per input, at the edge, and handed down from there."""

from __future__ import annotations

import time
from datetime import UTC, datetime
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
