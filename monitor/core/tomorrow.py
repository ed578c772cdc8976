"""Every day at 18:00 the rota of the next day is looked at: an empty one is a silent watch (domain.md section 1).

At 18:00 because somebody can mend it then. Half-size is judged by the same weekday before; a bank holiday by the least
of that and the last Sunday, since fewer visits may be meant; a week in which that weekday was a bank holiday, by the
one before it.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from monitor.core import facts as f
from monitor.core.alerts import end_alert, raise_alert
from monitor.core.state import ROTA_OLD, TOMORROW_EMPTY, TOMORROW_HALF, WEEK, Alert, State
from monitor.core.work import Work

DAY = timedelta(days=1)


def look(work: Work, due_at: datetime) -> None:
    """How many visits tomorrow has, and how many today had; what is wrong with it is told, once a day."""
    calendar, policy = work.state.calendar, work.policy()
    today = calendar.day(work.now)
    if calendar.at_local(today, policy.rota_look_at) > work.now:
        today -= DAY  # we were down: the look of the day before is late, and those before it are past
    count = visits_on(work, today + DAY)
    wrong = _wrong_with(work, today + DAY, count)
    work.emit("desk", f.RotaLooked(day=today, visits=visits_on(work, today), tomorrow=count), due_at=due_at)
    moment = calendar.at_local(today, policy.rota_look_at)
    for alert in _open(work):
        if alert.reason != wrong:
            end_alert(work, alert, "outcome_recorded", outcome="mended")
    if wrong and not _open(work):
        raise_alert(work, "rota", reason=wrong, due_at=moment, count=count)
    _old(work, moment)


def end_if_mended(work: Work) -> None:
    """An upload was taken in: what was told of the day after the look may be in order now."""
    for alert in _open(work):
        day = work.state.calendar.day(alert.due_at) + DAY
        if not _wrong_with(work, day, visits_on(work, day)):
            end_alert(work, alert, "outcome_recorded", outcome="mended")


def _old(work: Work, moment: datetime) -> None:
    """A rota that is still old is told of once a day, also after somebody has closed the alert of the day before."""
    rota_at = work.state.values.rota_at
    told = any(alert.reason == ROTA_OLD for alert in work.open_of("rota"))
    if rota_at is not None and work.now - rota_at >= work.policy().rota_old_after and not told:
        raise_alert(work, "rota", reason=ROTA_OLD, due_at=moment)


def _open(work: Work) -> list[Alert]:
    return [alert for alert in work.open_of("rota") if alert.reason in (TOMORROW_EMPTY, TOMORROW_HALF)]


def _wrong_with(work: Work, day: date, count: int) -> str:
    """The reason of the alarm, or "". A day that is as empty as it was a week before is meant so."""
    usual = usual_on(work.state, day)
    if count == 0:
        return TOMORROW_EMPTY if usual != 0 else ""
    return TOMORROW_HALF if usual is not None and count * 2 < usual else ""


def usual_on(state: State, day: date) -> int | None:
    """How many visits such a day has, as far as is known."""
    sizes, holidays = state.values.day_sizes, state.calendar.holidays
    if day in holidays:
        sunday = day - timedelta(days=day.isoweekday() % 7 or 7)
        known = [sizes[one] for one in (day - WEEK, sunday) if one in sizes]
        return min(known, default=None)
    before = day - WEEK
    return sizes.get(before - WEEK if before in holidays else before)


def visits_on(work: Work, day: date) -> int:
    """The visits whose planned start lies on that local day and that are not called off."""
    calendar = work.state.calendar
    begins, ends = (calendar.at_local(one, time()) for one in (day, day + DAY))
    changed = {draft.subject for draft in work.drafts}
    count = 0
    for ref, visit in work.state.values.visits.items():
        if begins <= visit.start < ends and not visit.cancelled and ref not in changed:
            count += 1
    now = (work.visit(ref) for ref in changed)
    return count + sum(1 for v in now if v is not None and begins <= v.start < ends and not v.cancelled)
