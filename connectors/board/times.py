"""The desk's clocks at the moment of a view, for the templates."""

from __future__ import annotations

from datetime import datetime

from connectors.board import words


class Times:
    """The desk's clocks at the moment of the view, for the templates."""

    def __init__(self, zone: str, now: datetime) -> None:
        self.zone, self.now = zone, now

    def clock(self, at: datetime | None) -> str:
        """The local time, with the day when it is not today."""
        return words.clock(at, self.zone, self.now)

    def dated(self, at: datetime) -> str:
        """The local time with its day and year."""
        return words.dated(at, self.zone)

    def since(self, at: datetime) -> str:
        """How long ago."""
        return words.since(at, self.now)

    def until(self, at: datetime) -> str:
        """How long until."""
        return words.until(at, self.now)
