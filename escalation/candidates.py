"""Who could go instead: each care worker with a named score, shown in its parts (spec 22.4; domain.md, "replace").

What rules somebody out is named too. Nobody is asked outside the hours that they chose for offers, nobody who is
excluded for this person, and nobody who could only arrive when it is too late.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from config.policy import Policy
from escalation.people import PersonView

Part = Literal["free", "near", "skills", "preference", "continuity", "hours_left"]
Barred = Literal[
    "excluded",
    "never_tell",
    "skills",
    "no_line",
    "not_their_hours",
    "busy",
    "too_far",
    "on_this_visit",
    "open_offers",
]

UNKNOWN_DRIVE = timedelta(minutes=20)
"""Assumed where nothing is known of where somebody is (ours); a third of the hour, where that is shorter."""
METRES_A_MINUTE = 400.0
"""24 km/h from door to door, in town and with parking (ours)."""
MINUTE = timedelta(minutes=1)
START_UP = timedelta(minutes=3)
"""Until they are on the road (ours)."""


class Seeker(Struct, frozen=True, kw_only=True, gc=False):
    """One care worker as the ranking sees them. Instants aware UTC, distance in metres."""

    person: PersonView
    metres: float | None = None
    """From the last position on shift, else from the home where they are or were last; None: not known."""
    busy_until: datetime | None = None
    """They are at a visit whose planned end is this."""
    next_start: datetime | None = None
    """Their next visit begins then."""
    known: int = 0
    """Visits to this person that they made or have planned."""
    hours_planned: float = 0.0
    """Hours of this week's visits, as far as the rota is known."""


class Wanted(Struct, frozen=True, kw_only=True, gc=False):
    """What the visit wants. `until` is the end of the hour; `length` that of the visit."""

    now: datetime
    until: datetime
    length: timedelta
    person: PersonView | None
    planned: frozenset[str] = frozenset()
    """Who is planned for it or there already."""
    unknown: timedelta = UNKNOWN_DRIVE
    """The drive of somebody of whom nothing is known."""


class Score(Struct, frozen=True, kw_only=True, gc=False):
    """One care worker's place in the ranking: points by part, or why they are not asked."""

    ref: str
    points: int
    parts: tuple[tuple[Part, int], ...]
    drive: timedelta
    ready_at: datetime
    """When they could be there."""
    barred: Barred | None = None


def unknown_drive(policy: Policy) -> timedelta:
    """How long somebody needs of whom nothing is known (ours)."""
    return min(UNKNOWN_DRIVE, policy.replace_within / 3)


def drive_time(metres: float) -> timedelta:
    """How long somebody needs to be there, from the distance as the crow flies."""
    return START_UP + timedelta(minutes=metres / METRES_A_MINUTE)


def rank(seekers: Sequence[Seeker], wanted: Wanted) -> tuple[Score, ...]:
    """Best first; those who are barred last, each with the reason. Ties in the order of their ids."""
    scores = [score(seeker, wanted) for seeker in seekers]
    return tuple(sorted(scores, key=lambda s: (s.barred is not None, -s.points, s.ready_at, s.ref)))


def score(seeker: Seeker, wanted: Wanted) -> Score:
    """The points of one care worker, by part."""
    drive = wanted.unknown if seeker.metres is None else drive_time(seeker.metres)
    ready_at = max(wanted.now, seeker.busy_until or wanted.now) + drive
    parts: tuple[tuple[Part, int], ...] = (
        ("free", _free(seeker, wanted, ready_at)),
        ("near", max(0, 30 - round(drive / MINUTE))),
        ("skills", 10 if wanted.person is not None and wanted.person.needs else 0),
        ("preference", _preference(seeker, wanted)),
        ("continuity", min(20, 5 * seeker.known)),
        ("hours_left", _hours_left(seeker)),
    )
    return Score(
        ref=seeker.person.ref,
        points=sum([points for _, points in parts]),
        parts=parts,
        drive=drive,
        ready_at=ready_at,
        barred=_barred(seeker, wanted, ready_at),
    )


def _free(seeker: Seeker, wanted: Wanted, ready_at: datetime) -> int:
    """Free for the whole visit, free to begin it, or able once the present one is over."""
    done = ready_at + wanted.length
    if seeker.busy_until is not None:
        return 5
    return 40 if seeker.next_start is None or done <= seeker.next_start else 15


def _preference(seeker: Seeker, wanted: Wanted) -> int:
    prefers = wanted.person.prefers if wanted.person is not None else None
    if prefers is None or seeker.person.gender is None:
        return 0
    return 15 if seeker.person.gender == prefers else -30


def _hours_left(seeker: Seeker) -> int:
    """Who has hours left in the week before who is near the end of them."""
    if seeker.person.hours_week is None:
        return 0
    return max(-20, min(10, round(seeker.person.hours_week - seeker.hours_planned)))


def barred_anyway(who: PersonView, wanted: Wanted, *, in_hours: bool) -> Barred | None:
    """Why this care worker is not asked, whatever they are doing now; None: they may be. `in_hours`: they take offers
    at this time."""
    person = wanted.person
    if who.ref in wanted.planned:
        return "on_this_visit"
    if person is not None and who.ref in person.not_with:
        return "excluded"
    if person is not None and who.ref in person.plan.never_tell:
        return "never_tell"
    if person is not None and not person.needs <= who.skills:
        return "skills"
    if who.text_line() is None and not who.voice_lines():
        return "no_line"
    return None if in_hours else "not_their_hours"


def not_asked(who: PersonView, wanted: Wanted, reason: Barred) -> Score:
    """A place at the end of the ranking, with the reason."""
    return Score(ref=who.ref, points=0, parts=(), drive=wanted.unknown, ready_at=wanted.now, barred=reason)


def _barred(seeker: Seeker, wanted: Wanted, ready_at: datetime) -> Barred | None:
    if ready_at > wanted.until:
        return "too_far" if seeker.busy_until is None else "busy"
    return None
