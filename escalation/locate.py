"""Track *locate*: where is the care worker (spec 22.3).

A text first and then a call: *there*, *on my way* with minutes, *cannot*. Silence counts as *cannot* after
`locate_gives_up`, except from a worker who is moving towards the home on shift. *There* is a claim and never an
arrival; it holds the next steps back for a while, and so does a promised time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from config.policy import Policy
from escalation.people import PersonView
from escalation.track import Contact, ContactChannel, ContactPurpose, Move, Priority, Step, Track

ASKED_AGAIN = 2
"""So often somebody is asked for a new time when the promised one has passed; then nobody believes it (ours)."""


class LocateCase(Struct, frozen=True, kw_only=True):
    """What a decision about locating looks at. `workers` are those who are planned and not there."""

    policy: Policy
    now: datetime
    workers: tuple[PersonView, ...]
    driving: bool = False
    """One of them moves towards the home, on shift."""
    time_critical: bool = False


def claim_holds(policy: Policy) -> timedelta:
    """So long *there* without a check-in holds replacing and informing back: ten minutes (domain.md, ours)."""
    return 2 * policy.locate_gives_up


def driving_until(policy: Policy) -> timedelta:
    """So long a worker who is driving towards the home is waited for, from the alert: fifteen minutes (22.3)."""
    return 3 * policy.locate_gives_up


def eta_grace(policy: Policy) -> timedelta:
    """A promised time has passed for good this much after it: five minutes (ours)."""
    return policy.locate_gives_up


def begin(case: LocateCase, reason: str = "raised", round_: int = 0) -> Move:
    """Ask them now, by text if there is a line for it."""
    if not case.workers:
        return Move(track=_track("skipped", "no_worker"))
    texts = _contacts(case, "sms")
    if texts:
        next_at = case.now + call_after(case.policy)
        track = _track("trying", reason, phase="text", next_at=next_at, round_=round_)
        return Move(track=track, contacts=texts)
    return _call(case, reason, round_, case.policy.locate_gives_up)


def promised(policy: Policy, eta: datetime, reason: str = "on_my_way", round_: int = 0) -> Move:
    """They are on their way: asked again when the time has passed without an arrival."""
    return Move(track=_track("reached", reason, next_at=eta + eta_grace(policy), round_=round_))


def claimed(policy: Policy, now: datetime, since: datetime, round_: int = 0) -> Move:
    """They say that they are there: a check-in is waited for, and no more than that is believed. Saying it again does
    not make the wait any longer: `since` is when they said it first."""
    until = since + claim_holds(policy)
    if until <= now:
        return Move(track=_track("not_reached", "not_checked_in", round_=round_))
    return Move(track=_track("reached", "there", next_at=until))


def cannot(round_: int = 0) -> Move:
    """They cannot get there: the end of this track, and the beginning of *replace*."""
    return Move(track=_track("not_reached", "cannot", round_=round_))


def given_up(track: Track) -> Move:
    """A named person waits for their answer no longer and wants somebody else to go; what they still say is heard."""
    return Move(track=_track("not_reached", "asked_for", round_=track.round))


def on_deadline(case: LocateCase, track: Track) -> Move:
    """The moment that the track asked for has come."""
    if track.step == "reached" and track.reason == "there":
        return Move(track=_track("not_reached", "not_checked_in", round_=track.round))
    if track.step == "reached":
        if track.round + 1 < ASKED_AGAIN:
            return begin(case, "eta_missed", track.round + 1)
        return Move(track=_track("not_reached", "eta_missed", round_=track.round))
    if track.phase == "text":
        return _call(case, track.reason, track.round, case.policy.locate_gives_up - call_after(case.policy))
    if track.phase == "call" and case.driving:
        left = driving_until(case.policy) - case.policy.locate_gives_up
        waits = _track("trying", "driving", phase="driving", next_at=case.now + left, round_=track.round)
        return Move(track=waits)
    return Move(track=_track("not_reached", "silent", round_=track.round))


def on_failed(case: LocateCase, track: Track) -> Move | None:
    """A text or call could not be sent at all: the next step now (design rule 6). None: others are still out."""
    return on_deadline(case, track) if track.step == "trying" and track.phase in ("text", "call") else None


def _call(case: LocateCase, reason: str, round_: int, lasts: timedelta) -> Move:
    calls = _contacts(case, "call")
    if not calls:
        return Move(track=_track("not_reached", "no_line", round_=round_))
    track = _track("trying", reason, phase="call", next_at=case.now + lasts, round_=round_)
    return Move(track=track, contacts=calls)


def call_after(policy: Policy) -> timedelta:
    """So long after the text the call follows."""
    return min(policy.summon_call_after, policy.locate_gives_up / 2)


def _contacts(case: LocateCase, channel: ContactChannel) -> tuple[Contact, ...]:
    found = []
    for worker in case.workers:
        voice = worker.voice_lines()
        line = worker.text_line() if channel == "sms" else voice[0] if voice else None
        if line is not None:
            found.append(
                worker_contact(
                    worker,
                    line.ref,
                    channel,
                    case.policy,
                    "locate",
                    "CW-2" if channel == "sms" else "CWV-1",
                    "time_critical" if case.time_critical else "repeat",
                )
            )
    return tuple(found)


def worker_contact(
    worker: PersonView,
    line: str,
    channel: ContactChannel,
    policy: Policy,
    purpose: ContactPurpose,
    template: str,
    priority: Priority,
) -> Contact:
    """A text or call to a care worker: rung like staff, so that no voicemail answers."""
    return Contact(
        person=worker.ref,
        line=line,
        channel=channel,
        purpose=purpose,
        template=template,
        priority=priority,
        ring_s=round(policy.ring_staff.total_seconds()),
    )


def _track(
    step: Step, reason: str, *, phase: str = "", next_at: datetime | None = None, round_: int = 0
) -> Track:
    return Track(name="locate", step=step, reason=reason, phase=phase, next_at=next_at, round=round_)
