"""Track *reassure*: is the service user all right; their care worker will come as soon as possible (spec 22.2).

By their own channel: a landline gets voice only. They are never asked whether they still need the visit. Retried
at least `reassure_retry` apart; after `reassure_rounds` without contact they are *not reached*, a named state.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, structs

from config.policy import Policy, PublicMode
from escalation.people import LineView, PersonView
from escalation.track import Contact, ContactChannel, Move, Priority, Step, Track

MODES: dict[PublicMode, int] = {"off": 0, "ask": 1, "auto": 2}
CLOCK_DOUBTED = "clock_doubted"
"""Reason of a hold that ends when a second source agrees with our clock."""


class ReassureCase(Struct, frozen=True, kw_only=True):
    """What a decision about reassuring looks at."""

    policy: Policy
    person: PersonView | None
    public: PublicMode
    """The desk's mode; the person's own may hold it lower, never lift it."""
    now: datetime
    dark: bool
    time_critical: bool
    clock_doubted: bool = False
    """Our own clock is not believed: nobody outside is contacted until a second source agrees (design rule 8)."""
    claimed_there: bool = False
    withheld: bool = False
    """Lines of theirs are left out, because somebody who must not hear of them uses those too."""


def mode(case: ReassureCase) -> PublicMode:
    """The lower of the desk's and the person's public mode (domain.md, "Public messages: off, ask, auto")."""
    own = case.person.plan.public if case.person else None
    return case.public if own is None else min(case.public, own, key=MODES.__getitem__)


def begin(case: ReassureCase) -> Move:
    """Now, later, or not at all, with the reason named."""
    reason = _skip_reason(case)
    if reason is not None:
        return Move(track=_track("skipped", reason))
    if mode(case) == "off":
        return Move(
            track=_track("skipped", "public_off"),
            contacts=tuple(_rehearsed(contact) for contact in _contacts(case, 1)),
        )
    held_until, held = _hold(case)
    if held_until > case.now:
        return Move(track=_track("waiting", held, next_at=held_until))
    return _attempt(case, 1, "raised")


def on_deadline(case: ReassureCase, track: Track) -> Move:
    """A hold is over, or it is time to try again."""
    doubted = case.clock_doubted or track.reason == CLOCK_DOUBTED
    if mode(case) == "off" or (doubted and track.round == 0):
        return begin(case)
    if track.round >= case.policy.reassure_rounds:
        return not_reached(track, "unanswered")
    return _attempt(case, track.round + 1, "unanswered" if track.round else track.reason)


def on_unanswered(case: ReassureCase, track: Track, *, failed: bool) -> Move | None:
    """A try came to its end without contact. None: the next one waits for its moment (at least 3 min apart).

    One that could not be sent at all gives way to the next line at once (design rule 6).
    """
    if track.step != "trying":
        return None
    if track.round >= case.policy.reassure_rounds:
        return not_reached(track, "failed" if failed else "unanswered")
    if failed:
        return _attempt(case, track.round + 1, "failed")
    return None


def not_reached(track: Track, reason: str) -> Move:
    """The named state from which next of kin and council are told (spec 22.6)."""
    return Move(track=_track("not_reached", reason, index=track.index, round_=track.round))


def reached(track: Track, reason: str) -> Move:
    """A human answered."""
    return Move(track=_track("reached", reason, index=track.index, round_=track.round))


def _skip_reason(case: ReassureCase) -> str | None:
    if case.person is None:
        return "nobody_known"
    if case.claimed_there:
        return "claimed_there"
    if case.person.plan.channels and case.person.plan.channels[0] == "person":
        return "person_only"
    if not _contacts(case, 1):
        return "never_told" if case.withheld else "no_line"
    return None


def _hold(case: ReassureCase) -> tuple[datetime, str]:
    if case.clock_doubted:
        return case.now + max(case.policy.hold_public, timedelta(seconds=30)), CLOCK_DOUBTED
    ask = case.now + case.policy.ask_public if mode(case) == "ask" else case.now
    if case.dark and not case.time_critical:
        dark = case.now + case.policy.hold_public
        return (dark, "dark") if dark >= ask else (ask, "ask_public")
    return ask, "ask_public"


def _attempt(case: ReassureCase, round_: int, reason: str) -> Move:
    contacts = _contacts(case, round_)
    if not contacts:
        return Move(track=_track("not_reached", "no_line", round_=round_))
    next_at = case.now + case.policy.reassure_retry
    return Move(
        track=_track("trying", reason, round_=round_, index=round_ - 1, next_at=next_at), contacts=contacts
    )


def _contacts(case: ReassureCase, round_: int) -> tuple[Contact, ...]:
    """One number at a time: round by round through the ways of the plan."""
    ways = _ways(case.person) if case.person else ()
    if not ways or case.person is None:
        return ()
    channel, line = ways[(round_ - 1) % len(ways)]
    ring = case.person.plan.ring_s or round(case.policy.ring_public.total_seconds())
    return (
        Contact(
            person=case.person.ref,
            line=line.ref,
            channel=channel,
            purpose="reassure",
            template="SU-1" if channel == "sms" else "SUV-1",
            priority=_priority(case, round_),
            ring_s=ring,
        ),
    )


def _ways(person: PersonView) -> tuple[tuple[ContactChannel, LineView], ...]:
    """Voice before text unless the plan says otherwise: old people are reached by the telephone."""
    ways: list[tuple[ContactChannel, LineView]] = []
    for channel in person.plan.channels or ("voice", "text"):
        if channel == "voice":
            ways += [("call", line) for line in person.voice_lines()]
        elif channel == "text":
            ways += [("sms", line) for line in person.lines if line.texts]
    return tuple(ways)


def _priority(case: ReassureCase, round_: int) -> Priority:
    if round_ == 1:
        return "first_contact"
    return "time_critical" if case.time_critical else "repeat"


def _rehearsed(contact: Contact) -> Contact:
    return structs.replace(contact, rehearsed=True)


def _track(
    step: Step, reason: str, *, round_: int = 0, index: int = 0, next_at: datetime | None = None
) -> Track:
    return Track(name="reassure", step=step, reason=reason, round=round_, index=index, next_at=next_at)
