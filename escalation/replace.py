"""Track *replace*: somebody is sent within the hour (spec 22.4).

Offers go out in waves, best first; the first acceptance by the journal's order has it. *Sent* means that a named
person accepted with a time inside the policy; the arrival is measured apart. The hour runs from the alert, beside
whatever else happens: warnings at half and three quarters of it, a breach at its end. Silence of somebody who was
asked is never held against them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, structs

from config.policy import Policy
from escalation.locate import eta_grace, worker_contact
from escalation.people import PersonView
from escalation.track import Contact, Move, Step, Track

WARNED = (0.5, 0.75, 1.0)
"""Shares of the hour: warned at 30 and 45 minutes, a breach at 60 (domain.md)."""
OFFERS = ("CW-7", "CWV-2")
"""The words of an offer, as text and as call."""
EXHAUSTED = "exhausted"
"""`Track.phase` while nobody is left to ask."""
HELD = "held"
"""`Track.phase` while all who could be asked have as many offers open as one may have."""
BREACH = len(WARNED)
"""`Track.index` from which on the hour has passed."""


class Offer(Struct, frozen=True, kw_only=True, gc=False):
    """Somebody who may be asked next, with the minutes that they are away."""

    person: PersonView
    drive_min: int


class ReplaceCase(Struct, frozen=True, kw_only=True, gc=False):
    """What a decision about replacing looks at. `candidates`: who is asked in the next wave, best first, at most
    `size`. `held`: who would be asked in it and has no room for one more offer, until `room_at` at the latest where
    that is known. Neither: nobody is left."""

    policy: Policy
    now: datetime
    opened_at: datetime
    candidates: tuple[Offer, ...] = ()
    size: int = 0
    held: tuple[str, ...] = ()
    room_at: datetime | None = None
    waiting: int = 0
    """So many were asked and have not answered."""
    time_critical: bool = False


def hour(policy: Policy, opened_at: datetime, share: float = 1.0) -> datetime:
    """That share of the hour, from the alert (ours; 22.4 says "within the hour")."""
    return opened_at + policy.replace_within * share


def waits(policy: Policy, opened_at: datetime, reason: str = "locating") -> Track:
    """Nobody is asked yet; the hour runs all the same."""
    return Track(name="replace", step="waiting", reason=reason, next_at=hour(policy, opened_at, WARNED[0]))


def begin(case: ReplaceCase, track: Track | None, reason: str) -> Move:
    """The first wave, now."""
    index = track.index if track is not None else 0
    began = Track(
        name="replace", step="trying", reason=reason, index=index, phase="offering", since=case.now, round=0
    )
    return _wave(case, began, reason)


def on_deadline(case: ReplaceCase, track: Track) -> Move:
    """A warning of the hour, the next wave, or a replacement who has not come."""
    index = warned(case.policy, case.opened_at, case.now, track.index)
    told = structs.replace(track, index=index)
    if track.step == "reached":
        if track.since is not None and case.now < track.since:
            return Move(track=structs.replace(told, next_at=_or_warning(case, index, track.since)))
        return begin(case, told, "replacement_late")
    if track.step == "waiting":
        return Move(track=structs.replace(told, next_at=_looked_at(case, index)))
    if case.now >= _wave_at(case, track):
        return _wave(case, told, track.reason)
    return Move(track=_timed(case, told))


def warned(policy: Policy, opened_at: datetime, now: datetime, index: int) -> int:
    """How many of the hour's warnings have come by now."""
    while index < BREACH and now >= hour(policy, opened_at, WARNED[index]):
        index += 1
    return index


def at_once(case: ReplaceCase, track: Track) -> Move:
    """A named person wants offers to go out now: the first wave, or the next one before its time."""
    if track.step == "waiting":
        return begin(case, track, "asked_for")
    return _wave(case, track, track.reason)


def sent(policy: Policy, track: Track, eta: datetime, opened_at: datetime) -> Move:
    """All places are filled: a named person accepted each, the last one to be there by `eta`. A time beyond the hour
    is not *sent within the hour* (22.4): its warnings and its breach come all the same. `since`: waited for till then.
    """
    until = eta + eta_grace(policy)
    in_time = eta <= hour(policy, opened_at)
    case = ReplaceCase(policy=policy, now=until, opened_at=opened_at)
    done = structs.replace(
        track,
        step="reached",
        reason="sent" if in_time else "sent_late",
        phase="sent",
        next_at=until if in_time else _or_warning(case, track.index, until),
        since=until,
    )
    return Move(track=done)


def on_declined(case: ReplaceCase, track: Track) -> Move | None:
    """Everybody of this wave has said no: the next one at once, and if there is none that is said at once too
    (design rule 6)."""
    stands = HELD if case.held else EXHAUSTED
    if track.step != "trying" or case.waiting or (not case.candidates and track.phase == stands):
        return None
    return _wave(case, track, track.reason)


def room(case: ReplaceCase, track: Track) -> Move | None:
    """Somebody of this wave who was held back has room again: asked now. The next wave comes at its time."""
    if track.step != "trying" or not case.candidates:
        return None
    if track.phase == HELD:
        return _wave(case, track, "room")
    return Move(track=_timed(case, track), contacts=_offers(case))


def halted(case: ReplaceCase, track: Track, reason: str) -> Move:
    """A time was promised, or somebody says that they are there: no more offers for now, and the hour runs on."""
    rests = Track(name="replace", step="waiting", reason=reason, index=track.index)
    return Move(track=structs.replace(rests, next_at=_looked_at(case, track.index)))


def _wave(case: ReplaceCase, track: Track, reason: str) -> Move:
    if not case.candidates:
        reason, phase = ("open_offers", HELD) if case.held else ("nobody_left", EXHAUSTED)
        left = structs.replace(track, reason=reason, phase=phase)
        return Move(track=structs.replace(left, next_at=_next_look(case, left)))
    since = track.since or case.now
    rounds = max(track.round, (case.now - since) // case.policy.offer_wave) + 1
    waved = structs.replace(track, step="trying", reason=reason, phase="offering", since=since, round=rounds)
    return Move(track=_timed(case, waved), contacts=_offers(case))


def _offers(case: ReplaceCase) -> tuple[Contact, ...]:
    return tuple(contact for offer in case.candidates for contact in _offer(case, offer))


def _offer(case: ReplaceCase, offer: Offer) -> tuple[Contact, ...]:
    """A text where one can be answered, else a call."""
    line = offer.person.text_line()
    voice = offer.person.voice_lines()
    if line is None and not voice:
        return ()
    ref = line.ref if line is not None else voice[0].ref
    contact = worker_contact(
        offer.person,
        ref,
        "sms" if line is not None else "call",
        case.policy,
        "offer",
        OFFERS[0 if line is not None else 1],
        # the hour runs: before everything that is said a second time; of a time-critical visit first (outbox)
        "time_critical",
    )
    return (structs.replace(contact, count=offer.drive_min, at=hour(case.policy, case.opened_at)),)


def _wave_at(case: ReplaceCase, track: Track) -> datetime:
    if track.phase in (EXHAUSTED, HELD):
        return case.now  # somebody may have become free
    return (track.since or case.now) + track.round * case.policy.offer_wave


def _timed(case: ReplaceCase, track: Track) -> Track:
    wave = max(_wave_at(case, track), case.now + timedelta(milliseconds=1))
    warning = _next_warning(case, track.index)
    return structs.replace(track, next_at=wave if warning is None else min(wave, warning))


def _next_look(case: ReplaceCase, track: Track) -> datetime:
    """Nobody is left to ask: looked at again after a wave's time, since somebody may come on shift; when the hour
    has passed, once an hour. Who has no room is looked at with each wave, and as soon as an offer lapses."""
    held = track.phase == HELD
    again = case.now + (
        case.policy.offer_wave if held or track.index < BREACH else case.policy.replace_within
    )
    moments = [again, _next_warning(case, track.index), case.room_at if held else None]
    return min(at for at in moments if at is not None)


def _looked_at(case: ReplaceCase, index: int) -> datetime:
    """A rest is looked at with each warning, and after the hour once an hour: what it rests on may have gone."""
    return _next_warning(case, index) or case.now + case.policy.replace_within


def _next_warning(case: ReplaceCase, index: int) -> datetime | None:
    return next_warning(case.policy, case.opened_at, index)


def next_warning(policy: Policy, opened_at: datetime, index: int) -> datetime | None:
    """When the hour warns next; None once it has passed."""
    return hour(policy, opened_at, WARNED[index]) if index < BREACH else None


def _or_warning(case: ReplaceCase, index: int, until: datetime) -> datetime:
    warning = _next_warning(case, index)
    return until if warning is None else min(until, warning)


def track_of(step: Step, reason: str, index: int = 0) -> Track:
    """A replace track without a next moment: skipped, done."""
    return Track(name="replace", step=step, reason=reason, index=index)
