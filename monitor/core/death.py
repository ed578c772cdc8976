"""A service user has died: nothing is ever sent to that home again (domain.md, "Absence and return").

The wall stands in `escalation.people.reaches_the_dead`, and on the one way to the telephone (`alerts.intend`,
`messages.pointless`). Here is what ends at once: messages that wait, visits, alerts. Next of kin hear nothing from a
machine, the office hears it once, and care workers are asked to ring the office.
"""

from __future__ import annotations

from monitor.core import facts as f
from monitor.core import notices, practice
from monitor.core.absence import absences_of, supervises
from monitor.core.alerts import DIED, at_rest, cancel, end_alert
from monitor.core.inputs import DeathTold
from monitor.core.state import Alert, Visit
from monitor.core.times import planned_again
from monitor.core.work import Decision, Refusal, Work

ABOUT_WORKER = frozenset({"lone_worker", "very_short", "very_early", "unknown_visit"})
"""Alerts that are about a care worker, whoever lives there: they go on."""
RING_OFFICE, OFFICE_TOLD, OFFICE_UNDONE = "CW-172", "OC-170", "OC-174"


def told(work: Work, seen: DeathTold) -> Decision:
    """A named manager, or who is on call, records a death, or a manager takes it back. Answers how many visits it
    concerned. Refused: `already_recorded` (with who was first), `not_recorded`, `not_supervisor`."""
    died = work.state.values.died.get(seen.service_user)
    if seen.undo:
        return _taken_back(work, seen)
    if died is not None:
        return Decision(refusal=Refusal(code="already_recorded", detail={"by": died.by, "at": died.at}))
    if not supervises(work, seen.by, ("manager", "on_call")):
        return Decision(refusal=Refusal(code="not_supervisor"))
    visits = [visit for visit in _visits(work, seen.service_user) if _is_off(visit)]
    alerts = [alert for alert in work.all_open_alerts() if _ends(alert, seen.service_user)]
    workers = _coming(work, visits, alerts)
    work.emit(
        seen.service_user,
        f.PersonDied(
            by=seen.by, note=seen.note, said_at=seen.at, visits=tuple(visit.ref for visit in visits)
        ),
    )
    _end_absence(work, seen)
    for alert in alerts:
        end_alert(work, alert, "outcome_recorded", by=seen.by, outcome=DIED)
    for visit in visits:
        work.emit(visit.ref, f.VisitCancelled(reason="died"))
    _cancel_messages(work)
    _tell(work, seen, workers, OFFICE_TOLD, len(visits))
    return work.decision(answer=len(visits))


def _visits(work: Work, service_user: str) -> list[Visit]:
    found = (work.visit(ref) for ref in sorted(work.state.by_service_user.get(service_user, ())))
    return sorted((visit for visit in found if visit is not None), key=lambda v: (v.start, v.ref))


def _is_off(visit: Visit) -> bool:
    """Nobody has been there, and nothing is settled: somebody inside is watched on until they have left."""
    return not (visit.anybody_there or visit.cancelled or visit.resolved or visit.missed)


def _ends(alert: Alert, service_user: str) -> bool:
    """Whether the alert is over with them. One about the care worker goes on, and so does one on whose open line
    somebody waits or talks: nobody is hung up on, and who is on that line may be the one they lived with."""
    held = any(held.ended_at is None for held in alert.lines)
    about_worker = alert.kind in ABOUT_WORKER or (alert.kind == "help_asked" and alert.worker is not None)
    return alert.service_user == service_user and not held and not about_worker


def _coming(work: Work, visits: list[Visit], alerts: list[Alert]) -> dict[str, Visit | None]:
    """The care workers of the visits to come, with the first one of each, and who is on the way as a replacement."""
    found: dict[str, Visit | None] = {}
    for visit in visits:
        for worker in visit.workers if visit.end > work.now else ():
            found.setdefault(worker, visit)
    for alert in alerts:
        about = work.visit(alert.visit)
        there = {place.worker for place in about.places} if about is not None else set()
        for sent in alert.sent:
            if sent.worker not in there:
                found.setdefault(sent.worker, about)
    return found


def _end_absence(work: Work, seen: DeathTold) -> None:
    for absence in absences_of(work, seen.service_user):
        work.emit(absence.ref, f.AbsenceEnded(reason="died", by=seen.by, ended_at=work.now))


def _cancel_messages(work: Work) -> None:
    """Everything that waits for its turn and would go to that home, or tell anybody outside of them."""
    for key in list(work.state.values.messages):
        message = work.message(key)
        if message is None or message.phase != "queued":
            continue
        alert, visit = work.alert(message.alert), work.visit(message.visit)
        if at_rest(work, alert, message.person, message.line, visit, message.about):
            cancel(work, message, DIED)
            if message.purpose == "practice":
                practice.ended(work, message, "cancelled")


def _tell(work: Work, seen: DeathTold, workers: dict[str, Visit | None], template: str, count: int) -> None:
    """The office once; care workers that they ring it before their next visit there, and no more than that."""
    who = seen.service_user
    office = notices.on_duty(work, who)
    if office is not None:
        notices.text(work, office.ref, template, of=who, about=who, count=count, priority="time_critical")
    for worker, visit in sorted(workers.items()):
        notices.text(work, worker, RING_OFFICE, of=who, visit=visit, about=who, priority="time_critical")


def _taken_back(work: Work, seen: DeathTold) -> Decision:
    """It was a mistake: what has not passed for good is watched again, at once if it is late already."""
    died = work.state.values.died.get(seen.service_user)
    if died is None:
        return Decision(refusal=Refusal(code="not_recorded"))
    if not supervises(work, seen.by, ("manager",)):
        return Decision(refusal=Refusal(code="not_manager"))
    found = (work.visit(ref) for ref in died.visits)
    again = [v for v in found if v is not None and v.cancelled and v.missed_at > work.now]
    work.emit(seen.service_user, f.DeathWithdrawn(by=seen.by, note=seen.note, visits=len(again)))
    for visit in again:
        work.emit(visit.ref, planned_again(visit, work.policy_for(visit.service_user)))
    _tell(work, seen, _coming(work, again, []), OFFICE_UNDONE, len(again))
    return work.decision(answer=len(again))
