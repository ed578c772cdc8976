"""Track *reassure*: is the service user all right; their care worker will come as soon as possible (spec 22.2).

By their own channel: a landline gets voice only. They are never asked whether they still need the visit. Retried
at least `reassure_retry` apart; after `reassure_rounds` without contact they are *not reached*, a named state.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, structs

from config.policy import Policy, PublicMode
from escalation.people import LineView, PersonView, PlanView, understood
from escalation.track import Contact, ContactChannel, Move, Priority, Step, Track

MODES: dict[PublicMode, int] = {"off": 0, "ask": 1, "auto": 2}
SAME_LINE = "same_line"
"""Reason of the wait for the answer to another alert's question on the same line; `phase` names that alert."""
CLOCK_DOUBTED = "clock_doubted"
"""Reason of a hold that ends when a second source agrees with our clock."""


class ReassureCase(Struct, frozen=True, kw_only=True, gc=False):
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
    speaker: PersonView | None = None
    """Who is contacted in their place: the one who speaks for them, or the parent."""
    quiet: bool = False
    """It is a quiet hour of whoever would be contacted."""
    practised: bool = True
    """Their practice call was answered with a key, or the desk's policy does not ask for one."""
    covered: bool = False
    """The family sees to the visit, in bad weather that a manager has declared."""
    held: int = 0
    """So many tries never left us, because the telephones were away: nobody was rung by them."""


def mode(case: ReassureCase) -> PublicMode:
    """What a machine may do for this person now; who has not practised waits until a person could stop it."""
    found = mode_of(case.person, case.public)
    return "ask" if found == "auto" and not case.practised else found


def mode_of(person: PersonView | None, desk: PublicMode) -> PublicMode:
    """The lower of the desk's and the person's public mode (domain.md, "Public messages: off, ask, auto")."""
    own = person.plan.public if person else None
    return desk if own is None else min(desk, own, key=MODES.__getitem__)


def addressed(case: ReassureCase) -> PersonView | None:
    """Who is contacted: they themselves, or who speaks for them."""
    return case.speaker or case.person


def by_person_alone(plan: PlanView) -> bool:
    """Whether the plan wants a person, or the machine does not speak their language."""
    return plan.channels[:1] == ("person",) or not understood(plan)


def left_alone(case: ReassureCase) -> str | None:
    """Why the plan lets no machine contact them now, or None. That is not "cannot be reached" (domain.md)."""
    who = addressed(case)
    if case.person is None or who is None:
        return None
    # why a person rings stays out of the reason: it goes into a fact, and may be somebody's health
    if case.person.plan.end_of_life or by_person_alone(who.plan):
        return "person_only"
    if case.person.plan.minor and case.speaker is None:
        return "nobody_speaks"
    return "quiet_hours" if case.quiet else None


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
    alone = left_alone(case)
    if alone is not None:
        return Move(track=_track("skipped", alone, round_=track.round, index=track.index))
    doubted = case.clock_doubted or track.reason == CLOCK_DOUBTED
    if mode(case) == "off" or (doubted and track.round == 0):
        return begin(case)
    if _tried_out(case, track):
        return not_reached(track, "unanswered")
    held = "line_free" if track.reason == SAME_LINE else track.reason
    return _attempt(case, track.round + 1, "unanswered" if track.round else held)


def on_unanswered(case: ReassureCase, track: Track, *, failed: bool) -> Move | None:
    """A try came to its end without contact. None: the next one waits for its moment (at least 3 min apart).

    One that could not be sent at all gives way to the next line at once (design rule 6).
    """
    if track.step != "trying":
        return None
    if _tried_out(case, track):
        return not_reached(track, "failed" if failed else "unanswered")
    if failed:
        return _attempt(case, track.round + 1, "failed")
    soon = case.now + case.policy.reassure_retry
    if track.next_at is not None and track.next_at > soon:
        # the telephones are back: from here on at the usual pace
        return Move(track=structs.replace(track, next_at=soon))
    return None


def _tried_out(case: ReassureCase, track: Track) -> bool:
    """Every try has been made. One that never left us is none: who was not rung is rung when that can be done again."""
    return track.round - case.held >= case.policy.reassure_rounds


def lasts(policy: Policy, held: int) -> timedelta:
    """How long one try waits to leave before the next is made: longer and longer while the telephones are away, up to
    an hour, since it leaves at once when they are back (ours)."""
    return policy.reassure_retry * min(1 + held, 20)


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
    alone = left_alone(case)
    if alone is not None:
        return alone
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
    next_at = case.now + lasts(case.policy, case.held)
    return Move(
        track=_track("trying", reason, round_=round_, index=round_ - 1, next_at=next_at), contacts=contacts
    )


def _contacts(case: ReassureCase, round_: int) -> tuple[Contact, ...]:
    """One number at a time: round by round through the ways of the plan."""
    who = addressed(case)
    found = ways(who) if who else ()
    if not found or who is None:
        return ()
    channel, line = found[(round_ - 1) % len(found)]
    ring = who.plan.ring_s or round(case.policy.ring_public.total_seconds())
    return (
        Contact(
            person=who.ref,
            line=line.ref,
            channel=channel,
            purpose="reassure",
            template=(COVERED_WORDS if case.covered else WORDS)[channel, who is case.person],
            priority=_priority(case, round_ - case.held),
            ring_s=ring,
        ),
    )


WORDS: dict[tuple[ContactChannel, bool], str] = {
    ("sms", True): "SU-1",
    ("call", True): "SUV-1",
    ("sms", False): "SP-1",
    ("call", False): "SPV-1",
}
"""By channel, and whether it is they themselves who are contacted."""
COVERED_WORDS: dict[tuple[ContactChannel, bool], str] = {
    ("sms", True): "SU-120",
    ("call", True): "SUV-121",
    ("sms", False): "SP-121",
    ("call", False): "SPV-121",
}
"""The same where the family sees to it in declared bad weather: nobody says that a care worker will come."""


def ways(person: PersonView) -> tuple[tuple[ContactChannel, LineView], ...]:
    """Voice before text unless the plan says otherwise: old people are reached by the telephone. Who has no telephone
    that sends tones is texted first, where there is a mobile."""
    usual = ("voice", "text") if person.plan.keypad else ("text", "voice")
    found: list[tuple[ContactChannel, LineView]] = []
    for channel in person.plan.channels or usual:
        if channel == "voice":
            found += [("call", line) for line in person.voice_lines()]
        elif channel == "text":
            found += [("sms", line) for line in person.lines if line.texts]
    return tuple(found)


def waits_for(track: Track | None, case: ReassureCase, other: str) -> Move:
    """Somebody is being asked on the same line already, for the alert `other`: one call, one question, and its answer
    is this one's too (domain.md: "Two people on one line")."""
    at = track or _track("waiting", "raised")
    later = case.now + case.policy.reassure_retry
    waits = _track("waiting", SAME_LINE, round_=at.round, index=at.index, next_at=later)
    return Move(track=structs.replace(waits, phase=other))


def on_line_silent(case: ReassureCase, track: Track, lines: frozenset[str]) -> Move:
    """The other's calls on the shared line ended without an answer: theirs too, unless they have another line."""
    who = addressed(case)
    own = [at for at, (_, line) in enumerate(ways(who)) if line.ref not in lines] if who else []
    if own and left_alone(case) is None:
        return _attempt(case, own[0] + 1, SAME_LINE)
    return not_reached(track, SAME_LINE)


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
