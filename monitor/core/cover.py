"""Who could go instead, from what the desk knows of each care worker's round (spec 22.4)."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta

from msgspec import Struct, structs

from config.policy import Calendar
from escalation.candidates import Barred, Score, Seeker, Wanted, barred_anyway, not_asked, rank, unknown_drive
from escalation.people import PersonView
from monitor.core import offers
from monitor.core.asking import metres_to
from monitor.core.places import Home, distance_m
from monitor.core.state import Alert, Refs, Round, Visit
from monitor.core.work import Work

LAST_SEEN = timedelta(hours=2)
"""Where somebody's last visit was says for this long where they may be (ours)."""


def candidates(work: Work, alert: Alert, visit: Visit) -> tuple[Score, ...]:
    """Every care worker of the desk with their score, best first; those who are barred, or have no room for one more
    offer, with the reason."""
    wanted = _wanted(work, alert, visit)
    barred = [
        not_asked(worker, wanted, reason)
        for worker in work.ctx.people.care_workers()
        if (reason := _barred(work, worker, wanted)) is not None
    ]
    told = offers.asked(work, alert)
    ranked = [
        score
        if score.barred is not None or score.ref in told or offers.has_room(work, alert, score.ref)
        else structs.replace(score, barred=offers.NO_ROOM)
        for score in able(work, alert, visit)
    ]
    ranked.sort(key=lambda score: score.barred is not None)
    return (*ranked, *sorted(barred, key=lambda score: score.ref))


def able(work: Work, alert: Alert, visit: Visit) -> tuple[Score, ...]:
    """Those whom nothing rules out whatever they are doing, best first: who can only come too late stands last."""
    wanted = _wanted(work, alert, visit)
    about = _About(
        visit=visit,
        homes=work.ctx.people.homes(visit.service_user, work.now),
        theirs=work.state.by_service_user.get(visit.service_user, {}),
        week=work.state.calendar.local(work.now).isocalendar()[:2],
    )
    seekers = [
        _seeker(work, worker, about)
        for worker in work.ctx.people.care_workers()
        # a storm asks this hundreds of times: who has no telephone costs nothing
        if worker.lines and _barred(work, worker, wanted) is None
    ]
    return rank(seekers, wanted)


class _About(Struct, frozen=True, kw_only=True, gc=False):
    """What is the same for everybody who could go to this visit."""

    visit: Visit
    homes: tuple[Home, ...]
    theirs: Refs
    """All visits to the same person."""
    week: tuple[int, int]


def _wanted(work: Work, alert: Alert, visit: Visit) -> Wanted:
    return Wanted(
        now=work.now,
        until=max(alert.hour_at or work.now, work.now + work.policy(alert).replace_within / 2),
        length=visit.end - visit.start,
        person=work.ctx.people.person(visit.service_user),
        planned=frozenset(visit.involved) | {sent.worker for sent in alert.sent},
        unknown=unknown_drive(work.policy(alert)),
    )


def _barred(work: Work, worker: PersonView, wanted: Wanted) -> Barred | None:
    return barred_anyway(worker, wanted, in_hours=_takes_offers(worker, work.now, work.state.calendar))


def _takes_offers(person: PersonView, now: datetime, calendar: Calendar) -> bool:
    if person.offer_hours is None:
        return True
    return person.offer_hours.otherwise or calendar.in_hours(person.offer_hours, now)


def _seeker(work: Work, person: PersonView, about: _About) -> Seeker:
    course, ref = work.state.round_of(person.ref), about.visit.ref
    at = bisect_right(course.starts, work.now)
    here = _here(work, course, ref, at)
    following = next((v.start for v in course.visits[at : at + 2] if v.ref != ref), None)
    known = course.refs.intersection(about.theirs)
    return Seeker(
        person=person,
        metres=_metres(work, person.ref, about, here, course, at),
        busy_until=max(here.end, work.now) if here is not None and not here.over else None,
        next_start=following,
        known=len(known) - (ref in known),
        hours_planned=course.hours.get(about.week, 0.0),
    )


def _here(work: Work, course: Round, ref: str, at: int) -> Visit | None:
    """The visit at which they are, by a check-in, else by the rota: the first that is not this one. `at`: how many have
    begun by the rota."""
    begun = course.visits[bisect_right(course.ends, work.now) : at]
    if not begun and not course.inside:
        return None  # of most: they are not at work, or between two visits
    found = [v for v in course.inside if v.ref != ref][:1]
    found += [v for v in begun if v.ref != ref and work.now < v.end][:1]
    return min(found, key=lambda v: (v.start, v.ref), default=None)


def _metres(
    work: Work, worker: str, about: _About, here: Visit | None, course: Round, at: int
) -> float | None:
    """By the last position on shift, else from the home where they are, else from where they were last today."""
    known = metres_to(work, worker, about.visit)
    if known is not None:
        return known
    since = work.now - LAST_SEEN
    past = course.visits[bisect_right(course.ends, since) : at]
    last = here or next((v for v in reversed(past) if since < v.end <= work.now), None)
    if last is None:
        return None
    others = work.ctx.people.homes(last.service_user, work.now)
    return min((distance_m(a.lat, a.lon, b.lat, b.lon) for a in about.homes for b in others), default=None)
