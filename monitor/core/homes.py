"""A first visit after a discharge is conditional: its clock runs from *home confirmed* (domain.md section 1, "Absence
and return"; spec 4.6.4, 4.6.7).

At the planned time the office is asked to ring the ward, and nobody is late. Unconfirmed at 20:30 staff are summoned:
a person decides. A confirmation starts the clock from when they were home; a care worker who is there confirms it too.
"""

from __future__ import annotations

from datetime import datetime, time

from config.policy import Calendar, Policy
from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import end_alert, may_hear, raise_alert
from monitor.core.inputs import HomeSaid
from monitor.core.state import Message, Visit, visit_deadline
from monitor.core.times import changed, resolve
from monitor.core.views import AlertKind
from monitor.core.work import Decision, Refusal, Work

KIND: AlertKind = "home_unconfirmed"
ASKS = "OC-185"
"""The office is asked to ring the ward."""
CONFIRMED = "home_confirmed"
"""How the alert ended: the visit goes on, with its clock begun."""


def decide_at(start: datetime, policy: Policy, calendar: Calendar) -> datetime:
    """When a person decides about a home that is not confirmed: `home_decide_at` on the day of the visit (4.6.7: the
    latest visit that a discharge team books), or at the visit's own start where that is later (ours)."""
    latest: time = policy.home_decide_at
    return max(start, calendar.at_local(calendar.day(start), latest))


def look(work: Work, visit: Visit) -> None:
    """The planned time has come, or the moment to decide, and nobody knows whether they are home."""
    due_at = visit_deadline(visit)
    if due_at is None or due_at > work.now:
        return
    decide = decide_at(visit.start, work.policy_for(visit.service_user), work.state.calendar)
    asks = work.now < decide and _ask_office(work, visit, decide)
    work.emit(visit.ref, f.VisitLooked(next_at=decide if asks else None, reason=KIND), due_at=due_at)
    if not asks:
        raise_alert(work, KIND, visit=work.visit(visit.ref) or visit, due_at=due_at)


def _ask_office(work: Work, visit: Visit, decide: datetime) -> bool:
    """The first on duty who takes texts; False: there is nobody, so a person is summoned now."""
    who = visit.service_user
    asked = notices.on_duty(work, who)
    return asked is not None and notices.text(
        work, asked.ref, ASKS, of=who, visit=visit, at=decide, priority="time_critical"
    )


def pointless(work: Work, message: Message) -> str | None:
    """Why the office need not be asked any more, or None."""
    visit = work.visit(message.visit)
    return None if visit is not None and visit.waits_home and not visit.over else CONFIRMED


# --- it is confirmed ---


def said(work: Work, seen: HomeSaid) -> Decision:
    """A named person has heard that they are home."""
    visit = work.visit(seen.visit)
    refusal = Refusal(code="not_found") if visit is None else refused(work, visit, seen.by, seen.at)
    if visit is None or refusal is not None:
        return Decision(refusal=refusal)
    confirm(work, visit, seen.by, seen.at, f"person:{seen.by}")
    return work.decision()


def refused(work: Work, visit: Visit, by: str, at: datetime) -> Refusal | None:
    """Why this confirmation changes nothing, or None."""
    if not may_hear(work, None, by, None, visit):
        return Refusal(code="never_told")
    if visit.home_at is not None:
        return Refusal(code="already_confirmed", detail={"by": visit.home_by, "at": visit.home_at})
    if not visit.waits_home or visit.over:
        return Refusal(code="not_conditional")
    if at > work.now:
        return Refusal(code="at", detail={"expected": ["when they were home, which is not to come"]})
    return None


def confirm(work: Work, visit: Visit, by: str | None, at: datetime, proof: str) -> None:
    """The clock begins: late by the tolerance after they were home and never sooner than planned, and not later than
    the 24 hours within which the service starts at most (4.6.4)."""
    work.emit(visit.ref, f.HomeConfirmed(confirmed_at=at, proof=proof, by=by))
    policy = work.policy_for(visit.service_user)
    begins = max(visit.agreed_start, at)
    times = resolve(
        begins,
        max(visit.end, begins + (visit.end - visit.start)),
        visit.late_after,
        time_critical=visit.time_critical,
        policy=policy,
        kind=visit.kind,
    )
    late_at = min(times.late_at, max(at + policy.home_start_within, visit.start))
    begun = changed(
        work.visit(visit.ref) or visit,
        "home_confirmed",
        agreed_start=begins,
        late_at=late_at,
        missed_at=times.missed_at,
        overrun_at=times.overrun_at,
        look_at=times.look_at,
    )
    work.emit(visit.ref, begun)
    # of an arrival the check-in itself ends it
    for alert in work.open_alerts(work.visit(visit.ref) or visit) if by is not None else []:
        if alert.kind == KIND:
            end_alert(work, alert, "outcome_recorded", by=by, outcome=CONFIRMED)
