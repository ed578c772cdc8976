"""Until when a window is open, and whether it runs past the broker's hours.

Both are computed once, when the window opens, and stand in its fact: nothing that happens later moves a close of which
providers were told, neither a reload nor a bank holiday that is proclaimed, nor a clock that is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from config.placing import PlacingPolicy, Round
from config.policy import Calendar, Hours, parse_hours, zone_named
from monitor.core.placing.facts import Crosses

DAY = timedelta(days=1)
LOOKED_AHEAD = 400
"""Days: the brokerage of any council opens within them, even one that works on Christmas Day alone."""


class Window(Struct, frozen=True, kw_only=True):
    """A window as it is computed when it opens."""

    closes_at: datetime
    reminds_at: tuple[datetime, ...] = ()
    """When whoever has not answered is reminded, each before the close."""
    crosses: Crosses = ""


def window(now: datetime, held: Round, policy: PlacingPolicy, calendar: Calendar) -> Window:
    """The window of a round, or of a turn, that opens now. It crosses where any part of it, as long as it is, lies
    outside of the broker's hours; one that ends at the minute of closing does not."""
    reminders = [after for after in sorted(held.reminders) if after < held.window]
    hours = parse_hours(policy.broker_hours) if policy.broker_hours is not None else None
    crosses = hours is not None and _open_for(now, held.window, hours, calendar) < held.window
    if crosses and hours is not None and policy.across_closing == "pause":
        moments = [counted(now, after, hours, calendar) for after in (*reminders, held.window)]
    else:
        moments = [now + after for after in (*reminders, held.window)]
    said: Crosses = "" if not crosses else "paused" if policy.across_closing == "pause" else "runs_on"
    return Window(closes_at=moments[-1], reminds_at=tuple(moments[:-1]), crosses=said)


def counted(now: datetime, length: timedelta, hours: Hours, calendar: Calendar) -> datetime:
    """When so much time within the hours has passed: nights, weekends and bank holidays do not count, and a night on
    which the clocks change counts as long as it really is. If the hours never come, `length` from now (UTC)."""
    left = length
    for begins, ends in _spans(now, hours, calendar):
        if ends - begins >= left:
            return begins + left
        left -= ends - begins
    return now + length


def _open_for(now: datetime, length: timedelta, hours: Hours, calendar: Calendar) -> timedelta:
    """How long the hours hold without a break from now on, at most `length`."""
    until = now
    for begins, ends in _spans(now, hours, calendar):
        if begins > until or until - now >= length:
            break
        until = ends
    return min(until - now, length)


def _spans(now: datetime, hours: Hours, calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
    """From now on, the stretches of time (UTC) in which the hours hold, in order; the first may have begun before."""
    today = calendar.day(now)
    for ahead in range(LOOKED_AHEAD):
        for begins, ends in _of_day(today + ahead * DAY, hours, calendar):
            if ends > now:
                yield max(begins, now), ends


@lru_cache(1024)
def _of_day(day: date, hours: Hours, calendar: Calendar) -> tuple[tuple[datetime, datetime], ...]:
    """The stretches of one local day, from its midnight to the next."""
    edges = sorted(_edges(day, hours, calendar))
    return tuple((begins, ends) for begins, ends in pairwise(edges) if calendar.in_hours(hours, begins))


def _edges(day: date, hours: Hours, calendar: Calendar) -> set[datetime]:
    """Every moment of the local day at which the hours may begin or end to hold. A local time that exists twice is
    two moments, and when the clocks change it is where they jump, which they do on a full quarter of an hour."""
    first, last = (calendar.at_local(one, time()) for one in (day, day + DAY))
    found = {first, last}
    minutes = {minute % 1440 for span in hours.spans for minute in (span.start, span.until)}
    for minute in minutes:
        local = datetime.combine(day, time(minute // 60, minute % 60), zone_named(calendar.zone))
        found |= {local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    if last - first != DAY:
        quarter = timedelta(minutes=15)
        found |= {first + n * quarter for n in range(int((last - first) / quarter))}
    return {at for at in found if first <= at <= last}
