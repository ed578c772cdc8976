"""What the escalation may know of a person: kinds of lines, the contact plan, who may be told; no number, no name."""

from __future__ import annotations

from collections.abc import Collection, Container
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct, structs

from config.policy import Calendar, Hours, PublicMode

WeatherRank = Literal["red", "amber", "green"]


class LineView(Struct, frozen=True, kw_only=True, gc=False):
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


class PlanView(Struct, frozen=True, kw_only=True, gc=False):
    """The part of a contact plan that decides anything (domain.md, "The contact plan is the safety device")."""

    public: PublicMode | None = None
    channels: tuple[Literal["voice", "text", "person"], ...] = ()
    ring_s: int | None = None
    keypad: bool = True
    """Their telephone sends tones; some old ones cannot."""
    understands_keys: bool = True
    quiet: Hours | None = None
    """Quiet is OUTSIDE these hours; None: a machine may contact them at any hour. See `is_quiet`."""
    quiet_but_time_critical: bool = False
    """An alert about a time-critical visit contacts them in the quiet hours too."""
    voicemail: bool = False
    """The neutral line may be left on their answering machine."""
    language: str = "en-GB"
    """What they understand, as BCP 47 has it; see `understood`."""
    spokesperson: str | None = None
    """Who speaks for them and is contacted in their place; never one of `never_tell`."""
    never_tell: frozenset[str] = frozenset()
    """Who must not hear of them, whatever their role: ask `may_be_told`."""
    lives_alone: bool = False
    minor: bool = False
    """Under 18: the parent is contacted."""
    end_of_life: bool = False
    """A person rings, never a machine."""
    weather_rank: WeatherRank = "red"
    """What declared bad weather may leave out for them. Nothing for *red*: who is not ranked is taken for that."""


class PersonView(Struct, frozen=True, kw_only=True, gc=False):
    """A person as a decision may see them. All refs are minted ids."""

    ref: str
    role: Literal["service_user", "care_worker", "staff", "contact", "provider"]
    """`provider`: an organisation that bids at a council's desk; nobody of the care side."""
    lines: tuple[LineView, ...] = ()
    plan: PlanView = PlanView()
    mail: bool = False
    """May be written to: a member of staff or a provider with an address, on a host with a mail relay."""
    next_of_kin: tuple[str, ...] = ()
    """In the order in which they are told, without those who are never to be told."""
    needs: frozenset[str] = frozenset()
    """Of a service user: the skills that their care worker must have."""
    not_with: frozenset[str] = frozenset()
    """Of a service user: care workers who do not go there."""
    prefers: Literal["female", "male"] | None = None
    skills: frozenset[str] = frozenset()
    gender: Literal["female", "male", "other"] | None = None
    hours_week: float | None = None
    """Of a care worker: hours in a week; None: not said."""
    offer_hours: Hours | None = None
    """Of a care worker: when they want to be offered visits; None: not said."""
    contract: str | None = None
    client_group: str | None = None

    def text_line(self) -> LineView | None:
        """The line to which a text goes, or None."""
        for line in self.lines:
            if line.texts:
                return line
        return None

    def voice_lines(self) -> tuple[LineView, ...]:
        """The lines to ring, in the order of the plan."""
        return tuple([line for line in self.lines if line.rings])

    @property
    def reachable(self) -> bool:
        """There is a line that rings or takes texts, or an address that may be written to."""
        for line in self.lines:
            if line.rings or line.texts:
                return True
        return self.mail


class People(Protocol):
    """The read-only view of the directory at one `people_rev`."""

    def person(self, ref: str) -> PersonView | None:
        """The person, or None when nothing is known but the id."""

    def on_line(self, line: str) -> Collection[str]:
        """Everybody who uses the line, also as a household."""


def understood(plan: PlanView) -> bool:
    """Whether the machine speaks their language. It speaks English: a call that is not understood reassures nobody."""
    return plan.language.strip().lower()[:2] in ("", "en")


def may_be_told(people: People, about: str | None, person: str, line: str = "") -> bool:
    """Whether `person`, on `line`, may hear anything about the service user `about`: the one rule of *never to be
    told*. It holds against every path, role and list, and against a line that somebody who is not to be told uses too.

    `about` None: it is about nobody. (domain.md, "The contact plan is the safety device".)
    """
    known = people.person(about) if about is not None else None
    if known is None or not known.plan.never_tell:
        return True
    never = known.plan.never_tell
    return person not in never and (not line or never.isdisjoint(people.on_line(line)))


def reaches_the_dead(
    people: People, died: Container[str], about: str | None, person: str, line: str = ""
) -> bool:
    """Whether a message would go to somebody who has died, to their home, or tell anybody outside of them: the one rule
    of "nothing is ever sent to that home again" (domain.md, "Absence and return").

    `died`: the service users of whom that is recorded. Of them we speak to our own staff and care workers alone. A line
    of that home carries nothing but what is meant for, and about, somebody living whose own line it is as well: two who
    shared a telephone are not left alone together.
    """
    if person in died:
        return True
    known = people.person(person)
    ours = known is not None and known.role in ("staff", "care_worker")
    if about is not None and about in died and not ours:
        return True
    users = people.on_line(line) if line else ()
    return person not in users and any(user in died for user in users)


def told_lines(people: People, about: str | None, person: PersonView) -> PersonView:
    """The person with only those lines on which they may hear of `about`; without any when they may not at all."""
    known = people.person(about) if about is not None else None
    if known is None or not known.plan.never_tell:
        return person
    if person.ref in known.plan.never_tell:
        return structs.replace(person, lines=(), mail=False)
    kept = tuple(line for line in person.lines if may_be_told(people, about, person.ref, line.ref))
    return person if kept == person.lines else structs.replace(person, lines=kept)


def is_quiet(plan: PlanView, at: datetime, calendar: Calendar, *, time_critical: bool) -> bool:
    """Whether a machine leaves this person alone now."""
    if plan.quiet is None or (time_critical and plan.quiet_but_time_critical):
        return False
    return not calendar.in_hours(plan.quiet, at)


def speaker_of(people: People, person: PersonView) -> str | None:
    """Who is contacted in their place: the one who speaks for them; under 18 else the first next of kin. None: they
    themselves, or, of a minor, nobody."""
    if person.plan.spokesperson is not None:
        return person.plan.spokesperson
    if not person.plan.minor:
        return None
    told = (ref for ref in person.next_of_kin if may_be_told(people, person.ref, ref))
    return next((ref for ref in told if people.person(ref) is not None), None)
