"""What the escalation may know of a person: kinds of lines and the contact plan; no number, no name."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from config.policy import PublicMode


class LineView(Struct, frozen=True, kw_only=True):
    """One telephone line by its minted id."""

    ref: str
    kind: Literal["mobile", "landline"] = "mobile"
    use: Literal["first", "then", "text_only", "voice_only"] = "first"
    stopped: bool = False
    """A STOP came from it: the network delivers no text any more, voice only (devices.md)."""

    @property
    def texts(self) -> bool:
        """A text to a landline is read aloud or lost, and still says "delivered": landlines get voice only."""
        return self.kind == "mobile" and self.use != "voice_only" and not self.stopped

    @property
    def rings(self) -> bool:
        """May be telephoned."""
        return self.use != "text_only"


class PlanView(Struct, frozen=True, kw_only=True):
    """The part of a contact plan that decides anything today (domain.md, "The contact plan is the safety device")."""

    public: PublicMode | None = None
    channels: tuple[Literal["voice", "text", "person"], ...] = ()
    ring_s: int | None = None
    keypad: bool = True
    understands_keys: bool = True


class PersonView(Struct, frozen=True, kw_only=True):
    """A person as a decision may see them."""

    ref: str
    role: Literal["service_user", "care_worker", "staff", "contact"]
    lines: tuple[LineView, ...] = ()
    plan: PlanView = PlanView()
    mail: bool = False
    """May be written to: a member of staff with an address, on a host with a mail relay."""

    def text_line(self) -> LineView | None:
        """The line to which a text goes, or None."""
        return next((line for line in self.lines if line.texts), None)

    def voice_lines(self) -> tuple[LineView, ...]:
        """The lines to ring, in the order of the plan."""
        return tuple(line for line in self.lines if line.rings)


class People(Protocol):
    """The read-only view of the directory at one `people_rev`."""

    def person(self, ref: str) -> PersonView | None:
        """The person, or None when nothing is known but the id."""
