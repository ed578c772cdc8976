"""Who could go instead, from what the desk knows of each care worker's round (spec 22.4)."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta

from config.policy import Calendar
from escalation.candidates import Barred, Score, Seeker, Wanted, barred_anyway, not_asked, rank, unknown_drive
from escalation.people import PersonView
from monitor.core.asking import metres_to
from monitor.core.places import distance_m
from monitor.core.state import Alert, Round, Visit
from monitor.core.work import Work

LAST_SEEN = timedelta(hours=2)
"""Where somebody's last visit was says for this long where they may be (ours)."""


def candidates(work: Work, alert: Alert, visit: Visit) -> tuple[Score, ...]:
    """Every care worker of the desk with their score, best first; those who are barred with the reason."""
    wanted = _wanted(work, alert, visit)
    barred = [
        not_asked(worker, wanted, reason)
        for worker in work.ctx.people.care_workers()
        if (reason := _barred(work, worker, wanted)) is not None
    ]
    return (*able(work, alert, visit), *sorted(barred, key=lambda score: score.ref))


def able(work: Work, alert: Alert, visit: Visit) -> tuple[Score, ...]:
    """Those whom nothing rules out whatever they are doing, best first: who can only come too late stands last."""
    wanted = _wanted(work, alert, visit)
    seekers = [
        _seeker(work, worker, visit)
        for worker in work.ctx.people.care_workers()
        # a storm asks this hundreds of times: who has no telephone costs nothing
        if worker.lines and _barred(work, worker, wanted) is None
    ]
    return rank(seekers, wanted)


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


def _seeker(work: Work, person: PersonView, visit: Visit) -> Seeker:
    course = work.state.round_of(person.ref)
    here = _here(work, course, person.ref, visit)
    at = bisect_right(course.starts, work.now)
    following = next((v.start for v in course.visits[at:] if v.ref != visit.ref), None)
    homes = work.state.by_service_user.get(visit.service_user, ())
    known = sum(1 for v in course.visits if v.ref in homes and v.ref != visit.ref) if homes else 0
    week = work.state.calendar.local(work.now).isocalendar()[:2]
    return Seeker(
        person=person,
        metres=_metres(work, person.ref, visit, here, course, at),
        busy_until=max(here.end, work.now) if here is not None and not here.over else None,
        next_start=following,
        known=known,
        hours_planned=course.hours.get(week, 0.0),
    )


def _here(work: Work, course: Round, worker: str, visit: Visit) -> Visit | None:
    """The visit at which they are, by a check-in, else by the rota."""
    for planned in course.visits:
        there = any(p.worker == worker and p.arrived_at is not None and not p.left for p in planned.places)
        if planned.ref != visit.ref and (there or planned.start <= work.now < planned.end):
            return planned
    return None


def _metres(
    work: Work, worker: str, visit: Visit, here: Visit | None, course: Round, at: int
) -> float | None:
    """By the last position on shift, else from the home where they are, else from where they were last today."""
    known = metres_to(work, worker, visit)
    if known is not None:
        return known
    past = (v for v in reversed(course.visits[:at]) if v.end <= work.now and work.now - v.end < LAST_SEEN)
    last = here or next(past, None)
    if last is None:
        return None
    homes = work.ctx.people.homes(visit.service_user, work.now)
    others = work.ctx.people.homes(last.service_user, work.now)
    return min((distance_m(a.lat, a.lon, b.lat, b.lon) for a in homes for b in others), default=None)
