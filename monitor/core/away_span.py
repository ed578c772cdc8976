"""Which visits lie in an absence: until the planned return, or on its days of every week (domain.md, "Absence and
return").

A planned return is either certain (from then on every visit is watched), or somebody has to say that they are home:
then the first visit on the return waits for *home confirmed*, like the first one after a discharge, and the others stay
away until then. Of a day centre only what lies wholly between going and coming back is away.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from config.policy import Calendar, parse_hours
from monitor.core.state import Absence, Visit

MINUTE = timedelta(minutes=1)


def lies_in(absence: Absence, visit: Visit, calendar: Calendar) -> bool:
    """Whether nobody is missed at the visit while the absence counts."""
    if visit.end <= absence.from_at:
        return False
    returned = absence.return_at is not None and visit.start >= absence.return_at
    if returned and absence.home_from is None:
        return False
    return absence.weekly is None or _on_its_day(absence, visit, calendar)


def _on_its_day(absence: Absence, visit: Visit, calendar: Calendar) -> bool:
    """Bank holidays are no such day, unless the hours say so: the centre is closed, and they are at home."""
    assert absence.weekly is not None
    if calendar.day(visit.start) in absence.at_home:
        return False
    hours = parse_hours(absence.weekly)
    return calendar.in_hours(hours, visit.start) and calendar.in_hours(hours, visit.end - MINUTE)


def first_on_return(absence: Absence, visits: Iterable[Visit]) -> Visit | None:
    """The visit that waits for *home confirmed*: the first one from the planned return on."""
    if absence.return_at is None or absence.home_from is None:
        return None
    to_come = (v for v in visits if v.start >= absence.return_at and _waits(v))
    return min(to_come, key=lambda v: (v.start, v.ref), default=None)


def _waits(visit: Visit) -> bool:
    """Nothing has become of it yet; that they are away is no end of it."""
    return not (visit.cancelled or visit.resolved or visit.missed or visit.anybody_there)
