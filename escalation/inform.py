"""Track *inform*: the person cannot be reached, so the council and their next of kin must be informed (spec 22.6).

The clause names both and no order between them: they run side by side, and neither waits for the other. Next of kin
are rung in their order, a text beside the call where a mobile takes it; whoever answers with a key or a code has been
told. The council is told by a person (ours; the clause says *informed*): the machine writes at once, rings our person,
joins them to the council desk and keeps trying. A council that does not answer releases us from nothing (17.2): the
mail says so after three tries, the registered manager hears it, who is to inform the council of it in writing, and
every other track goes on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, structs

from config.policy import Policy
from escalation.people import PersonView
from escalation.reassure import lasts
from escalation.track import Contact, ContactChannel, Move, Priority, Step, Track

KIN_ROUNDS = 3
"""So often each next of kin is tried; then they are *not reached*, a named state (ours)."""
COUNCIL_TRIES = 3
"""Unanswered so often within half of the hour: the mail says so, the registered manager is told (domain.md)."""


class InformCase(Struct, frozen=True, kw_only=True):
    """What a decision about informing looks at. `kin`: who may be told, in order; never somebody who must not be."""

    policy: Policy
    now: datetime
    kin: tuple[PersonView, ...]
    held: int = 0
    """So many calls to them never left us, because the telephones were away."""
    rehearsed: bool = False
    """Public messages are off: everything is decided and shown, nothing is sent."""


def waits(reason: str, next_at: datetime | None = None) -> Move:
    """Nobody is told yet; `next_at` when that is looked at again."""
    return Move(track=Track(name="inform", step="waiting", reason=reason, next_at=next_at))


def begin(case: InformCase, reason: str) -> Move:
    """The first next of kin, now."""
    if not case.kin:
        return Move(track=Track(name="inform", step="skipped", reason="no_next_of_kin"))
    return _try(case, 0, 1, reason)


def on_deadline(case: InformCase, track: Track) -> Move:
    """Unanswered: the next one; after the last one the first again."""
    return on_unanswered(case, track, "unanswered")


def on_unanswered(case: InformCase, track: Track, reason: str) -> Move:
    """This one was not reached: the next one at once, after the last one the first again."""
    if not case.kin:
        return Move(track=Track(name="inform", step="skipped", reason="no_next_of_kin"))
    after = track.index + 1
    round_ = track.round + (1 if after >= len(case.kin) else 0)
    if round_ > KIN_ROUNDS:
        return Move(track=Track(name="inform", step="not_reached", reason=reason, round=track.round))
    return _try(case, after % len(case.kin), round_, reason)


def again(case: InformCase, track: Track) -> Move:
    """The try never left us: the same one, since nobody was rung and the order is kept."""
    return _try(case, track.index, track.round, track.reason)


def told(track: Track, reason: str) -> Move:
    """One of them has been told, by a key, a code or a person of ours."""
    return Move(track=structs.replace(track, step="reached", reason=reason, next_at=None))


def _try(case: InformCase, index: int, round_: int, reason: str) -> Move:
    """From that one on, the first who can be contacted at all. Passing the end of the list begins the next round, also
    where whoever stands there is passed over: nobody is tried more often than the rounds allow."""
    size = len(case.kin)
    for step in range(size):
        at, turn = (index + step) % size, round_ + (index + step) // size
        contacts = _contacts(case, case.kin[at], turn) if turn <= KIN_ROUNDS else ()
        if not contacts:
            continue
        # a second round goes back to the same telephone: it is left in peace for as long as a service user's
        next_at = case.now + lasts(case.policy, case.held)
        track = _track("trying", reason, at, turn, next_at)
        return Move(track=track, contacts=contacts)
    tried = reason == "wrong_number" or index > 0 or round_ > 1
    return Move(track=_track("not_reached", reason if tried else "no_line", 0, round_, None))


def is_last(case: InformCase, track: Track) -> bool:
    """Nobody after this one can be contacted in this round: the first again is next, after a while."""
    return not any(_contacts(case, kin, track.round) for kin in case.kin[track.index + 1 :])


def _contacts(case: InformCase, person: PersonView, round_: int) -> tuple[Contact, ...]:
    found = []
    line = person.text_line()
    if line is not None and round_ == 1:
        found.append(_contact(case, person, line.ref, "sms"))
    voice = person.voice_lines()
    if voice:
        found.append(_contact(case, person, voice[(round_ - 1) % len(voice)].ref, "call"))
    return tuple(found)


def _contact(case: InformCase, person: PersonView, line: str, channel: ContactChannel) -> Contact:
    priority: Priority = "time_critical"
    ring = person.plan.ring_s or round(case.policy.ring_public.total_seconds() * 0.6)
    return Contact(
        person=person.ref,
        line=line,
        channel=channel,
        purpose="inform_next_of_kin",
        template="NOKV-1" if channel == "call" else "NOK-1",
        priority=priority,
        ring_s=ring,
        rehearsed=case.rehearsed,
    )


def _track(step: Step, reason: str, index: int, round_: int, next_at: datetime | None) -> Track:
    return Track(name="inform", step=step, reason=reason, index=index, round=round_, next_at=next_at)


# --- the council ---


class Council(Struct, frozen=True, kw_only=True, gc=False):
    """How far the council has been told. `desk`: which of its contacts, by minted id."""

    step: Step
    reason: str
    desk: str | None = None
    tries: int = 0
    next_at: datetime | None = None
    moved_at: datetime | None = None
    """When it came to stand there; the fold says it."""
    told_at: datetime | None = None
    """When it was told last, also while it is told a second time; the fold says it."""


def council_retry(policy: Policy) -> timedelta:
    """Time between two tries: three in half of the hour (domain.md: 3 tries in 30 min)."""
    return policy.replace_within / 2 / COUNCIL_TRIES


def nobody_has_it(policy: Policy) -> timedelta:
    """After so long without anybody of ours the machine itself rings a council desk that has agreed to it: twenty
    minutes (wording.md, COV-1)."""
    return 2 * council_retry(policy)


ON_THE_LINE = "on_the_line"
"""Reason of a wait for the next try: our person is on the telephone with the desk, or in its queue."""
NO_DESK_NOW = "no_desk_now"
"""Reason of a wait for a council desk that is closed: it is tried again, and written to when one answers."""


def council_begin(policy: Policy, now: datetime, desk: str | None, reason: str, *, private: bool) -> Council:
    """The first try. `private`: there is no council to tell at any hour, and it is said so; while none of its desks
    answers, it is waited for one."""
    if private:
        return Council(step="skipped", reason="no_council_desk")
    if desk is None:
        return Council(step="trying", reason=NO_DESK_NOW, next_at=now + council_retry(policy))
    return Council(step="trying", reason=reason, desk=desk, tries=1, next_at=now + council_retry(policy))


def council_again(policy: Policy, now: datetime, council: Council, desk: str | None) -> Council:
    """Not told yet: once more, by the desk that answers now; from the fourth try on with more time between."""
    if desk is None:
        return structs.replace(
            council, step="trying", reason=NO_DESK_NOW, desk=None, next_at=now + council_retry(policy)
        )
    tries = council.tries + 1
    rest = council_retry(policy) * (1 if tries <= COUNCIL_TRIES else min(tries - COUNCIL_TRIES + 1, 6))
    return structs.replace(
        council, step="trying", reason="not_answered", desk=desk, tries=tries, next_at=now + rest
    )


def council_waits(policy: Policy, now: datetime, council: Council) -> Council:
    """Our person is on the line with the desk: no other try meanwhile."""
    return structs.replace(council, reason=ON_THE_LINE, next_at=now + council_retry(policy))


def council_told(council: Council | None, reason: str) -> Council:
    """A person of ours has told them."""
    base = council or Council(step="waiting", reason="")
    return structs.replace(base, step="reached", reason=reason, next_at=None)
