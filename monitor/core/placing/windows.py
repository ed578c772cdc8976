"""Until when a window is open, and whether it runs past the broker's hours."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from config.placing import PlacingPolicy, Round
from config.policy import Calendar
from monitor.core.placing.facts import Crosses


class Window(Struct, frozen=True, kw_only=True):
    """A window as it is computed when it opens; nothing that happens later moves it."""

    closes_at: datetime
    reminds_at: tuple[datetime, ...] = ()
    """When whoever has not answered is reminded, each before the close."""
    crosses: Crosses = ""


def window(now: datetime, held: Round, policy: PlacingPolicy, calendar: Calendar) -> Window:
    """The window of a round that opens now."""
    reminds_at = tuple(now + after for after in sorted(held.reminders) if after < held.window)
    return Window(closes_at=now + held.window, reminds_at=reminds_at)
