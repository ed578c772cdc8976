"""Track *summon*: an identified person of the provider answers (spec 21.3, 22).

By day a text first and then a call; at night (23:00-07:00) the call comes first, twice, because a second call gets
through a silenced phone. Unanswered for `summon_next`: the next of the chain, then the registered manager, then
from the beginning, for ever: this track has no quiet end. Help asked rings the whole chain together.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from config.policy import Policy
from escalation.people import PersonView
from escalation.track import Contact, ContactChannel, Move, Priority, Track

TOGETHER_AGAIN = timedelta(minutes=2)
"""How soon the whole chain is rung again for help that nobody took (ours)."""
JOINED_WITHIN = timedelta(minutes=2)
"""So long a caller who asks for a person may wait to be joined to one before everybody is rung (ours)."""
SECOND_CALL = timedelta(minutes=3)
"""A second call within three minutes passes the repeated-caller rule of silenced phones (wording.md OCV-1)."""


class SummonCase(Struct, frozen=True, kw_only=True, gc=False):
    """What a decision about summoning looks at. `chain` is who is on duty now, in order, managers last."""

    policy: Policy
    chain: tuple[PersonView, ...]
    now: datetime
    night: bool
    sms: str
    call: str
    help: bool = False
    count: int = 0


ROUND_REST = timedelta(minutes=1)
"""When calls to everybody failed or were hung up, the next round begins this much later, not at once (ours)."""
ROUND_OVER = "round_over"
PATIENT_AFTER = 3
"""From this round on each further one waits longer: a ladder that never ends must not exhaust those who hear it."""


def rung_lasts(case: SummonCase, round_: int) -> timedelta:
    """How long one person has before the next one is summoned; in later rounds up to six times as long (ours)."""
    return case.policy.summon_next * _patience(round_)


def _patience(round_: int) -> int:
    return min(1 + max(0, round_ - PATIENT_AFTER), 6)


class Phase(Struct, frozen=True, kw_only=True, gc=False):
    """One row of a rung's ladder: what goes out `after` the rung began."""

    name: str
    text: bool
    call: bool
    after: timedelta


def phases(case: SummonCase) -> tuple[Phase, ...]:
    """The ladder of one rung. It always fits into `summon_next`, so that a call is never skipped by a short policy."""
    return _ladder(case.night, case.policy.summon_next / 2, case.policy.summon_call_after)


@lru_cache(256)
def _ladder(night: bool, half: timedelta, call_after: timedelta) -> tuple[Phase, ...]:
    if night:
        return (
            Phase(name="call", text=True, call=True, after=timedelta()),
            Phase(name="call_again", text=False, call=True, after=min(SECOND_CALL, half)),
        )
    return (
        Phase(name="text", text=True, call=False, after=timedelta()),
        Phase(name="call", text=False, call=True, after=min(call_after, half)),
    )


def begin(case: SummonCase, reason: str = "raised") -> Move:
    """The first rung of the first round."""
    return _together(case, 1, reason) if case.help else _rung(case, 0, 1, reason)


ANSWERPHONE = "answerphone"
"""The phase of an alert whose caller is leaving a message: nobody is rung before that is heard, or its time passed."""


def waits_for_words(case: SummonCase, until: datetime) -> Move:
    """A caller whom nobody came for leaves a message: it is waited for until then."""
    return Move(track=_track(case, "joining", 0, 1, ANSWERPHONE, until))


GATHERS = "gathers"
"""The phase of a bundle that waits for those that become late with its first one, before anybody is told."""


def gathers(case: SummonCase) -> Move:
    """Nobody yet: a text that says *1 visit* is followed by as many as there are. It waits as long as staff have a text
    and no call yet, and never longer than half a rung, or a minute of the hour."""
    policy = case.policy
    moment = min(policy.summon_call_after, policy.summon_next / 2, policy.replace_within / 60)
    return Move(track=_track(case, "gathering", 0, 1, GATHERS, case.now + moment))


def begin_joining(case: SummonCase, *, text: bool) -> Move:
    """A caller is being put through to those on duty, one after the other: a call of ours would find their telephone
    engaged. Whoever is not joined in `JOINED_WITHIN` is rung about by everybody's; `text` tells the chain at once."""
    contacts: tuple[Contact, ...] = ()
    for person in case.chain if text else ():
        contacts += _contacts(case, person, text=True, call=False, priority="help")
    return Move(
        track=_track(case, "joining", 0, 1 if text else 0, "joining", case.now + JOINED_WITHIN),
        contacts=contacts,
    )


def pass_on(case: SummonCase, track: Track, reason: str) -> Move:
    """This rung is done with (nobody answered, passed on, hung up, cannot be sent): the next one, at once."""
    if case.help:
        return _together(case, track.round + 1, reason)
    rest = min(case.policy.summon_next, ROUND_REST) * _patience(track.round)
    by_machine = reason in ("failed", "hung_up", "no_key")
    return _rung(case, track.index + 1, track.round, reason, rest if by_machine else timedelta())


def on_deadline(case: SummonCase, track: Track) -> Move:
    """The moment that the track asked for has come."""
    if track.phase == ANSWERPHONE:
        return begin(case, "no_words")
    if track.phase == GATHERS:
        return begin(case, "gathered")
    if track.reason == "nobody_on_duty" and not case.help:
        return _rung(case, 0, track.round, "unanswered")
    if case.help or not case.chain:
        return pass_on(case, track, "unanswered")
    if track.phase == ROUND_OVER:
        return _rung(case, track.index, track.round, track.reason)
    return _step_on(case, track) or _rung(case, track.index + 1, track.round, "unanswered")


def quicken(case: SummonCase, track: Track) -> Move:
    """A message of this rung failed for good: what comes next in the ladder comes now (design rule 6)."""
    return _step_on(case, track) or pass_on(case, track, "failed")


def _step_on(case: SummonCase, track: Track) -> Move | None:
    """The next step of this rung's ladder; None after the last one."""
    names = [phase.name for phase in phases(case)]
    at = names.index(track.phase) + 1 if track.phase in names else len(names)
    return _phase(case, track.index, track.round, at, "unanswered") if at < len(names) else None


def _rung(case: SummonCase, index: int, round_: int, reason: str, rest: timedelta = timedelta()) -> Move:
    """The first rung from `index` on that can be contacted at all; after the last one the next round, when `rest`
    is over: whoever fails at once must not be tried again at once, for ever."""
    size = len(case.chain)
    for step in range(size):
        at = (index + step) % size
        turn = round_ + (index + step) // size
        if not case.chain[at].reachable:
            continue
        if turn > round_ and rest:
            return Move(track=_track(case, reason, at, turn, ROUND_OVER, case.now + rest))
        return _phase(case, at, turn, 0, reason)
    return Move(track=_track(case, "nobody_on_duty", 0, round_ + 1, "", case.now + case.policy.summon_next))


def _phase(case: SummonCase, index: int, round_: int, number: int, reason: str) -> Move:
    index %= len(case.chain)
    ladder = phases(case)
    person = case.chain[index]
    priority: Priority = "summon"
    for at in range(number, len(ladder)):
        phase = ladder[at]
        contacts = _contacts(case, person, text=phase.text, call=phase.call, priority=priority)
        if contacts:
            began = case.now - phase.after
            following = ladder[at + 1].after if at + 1 < len(ladder) else rung_lasts(case, round_)
            next_at = max(began + following, case.now)
            return Move(track=_track(case, reason, index, round_, phase.name, next_at), contacts=contacts)
    return _rung(case, index + 1, round_, "empty_step", rung_lasts(case, round_) - ladder[number].after)


def _together(case: SummonCase, round_: int, reason: str) -> Move:
    """Everybody at once; texts only in the first round, calls in every one."""
    contacts: tuple[Contact, ...] = ()
    for person in case.chain:
        contacts += _contacts(case, person, text=round_ == 1, call=True, priority="help")
    again = case.now + min(case.policy.summon_next, TOGETHER_AGAIN)
    named = reason if contacts else "nobody_on_duty"
    return Move(track=_track(case, named, 0, round_, "together", again), contacts=contacts)


def _contacts(
    case: SummonCase, person: PersonView, *, text: bool, call: bool, priority: Priority
) -> tuple[Contact, ...]:
    found = []
    line = person.text_line()
    if text and line is not None:
        found.append(_contact(case, person, line.ref, "sms", priority))
    if text and person.mail:
        found.append(_contact(case, person, "", "email", priority))
    voice = person.voice_lines()
    if call and voice:
        found.append(_contact(case, person, voice[0].ref, "call", priority))
    return tuple(found)


def _contact(
    case: SummonCase, person: PersonView, line: str, channel: ContactChannel, priority: Priority
) -> Contact:
    return Contact(
        person=person.ref,
        line=line,
        channel=channel,
        purpose="summon",
        template=case.call if channel == "call" else case.sms,
        priority=priority,
        ring_s=round(case.policy.ring_staff.total_seconds()),
        count=case.count,
    )


def _track(case: SummonCase, reason: str, index: int, round_: int, phase: str, next_at: datetime) -> Track:
    return Track(
        name="summon", step="trying", reason=reason, index=index, round=round_, phase=phase, next_at=next_at
    )
