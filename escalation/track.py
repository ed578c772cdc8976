"""One track of an alert: a small state machine whose moves are values (domain.md section 2)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

Step = Literal["waiting", "trying", "reached", "not_reached", "skipped", "done"]
TrackName = Literal["summon", "reassure", "locate", "replace", "inform"]
ContactChannel = Literal["sms", "call", "email"]
Priority = Literal["help", "summon", "first_contact", "time_critical", "repeat"]
ContactPurpose = Literal[
    "ask_worker",
    "summon",
    "reassure",
    "locate",
    "offer",
    "tell_replacement",
    "inform_next_of_kin",
    "inform_council",
    "stand_down",
    "notice",
    "practice",
    "weather",
    "package",
]


class Track(Struct, frozen=True, kw_only=True, gc=False):
    """Where a track stands. `index` is the rung or line, `round` the pass, `phase` the part of a rung's ladder.

    `since` is when what it is at began, where more than one moment follows from it.
    """

    name: TrackName
    step: Step
    reason: str
    next_at: datetime | None = None
    index: int = 0
    round: int = 0
    phase: str = ""
    since: datetime | None = None
    rests_until: datetime | None = None
    """A named person has stopped it: until then it does nothing by itself, then it goes on."""
    rests_by: str | None = None
    """Who that was."""

    def rests(self, now: datetime) -> bool:
        """Whether it was stopped, and that still holds."""
        return self.rests_until is not None and now < self.rests_until


class Contact(Struct, frozen=True, kw_only=True, gc=False):
    """Somebody is to be contacted: by which line, with which words, how soon."""

    person: str
    line: str
    channel: ContactChannel
    purpose: ContactPurpose
    template: str
    priority: Priority
    ring_s: int = 25
    rehearsed: bool = False
    about: str | None = None
    count: int = 0
    at: datetime | None = None
    """A moment of which the words speak: when somebody will be there, until when an offer stands."""


class Move(Struct, frozen=True, kw_only=True, gc=False):
    """A track goes to `track`, and these contacts follow from it, in order."""

    track: Track
    contacts: tuple[Contact, ...] = ()
