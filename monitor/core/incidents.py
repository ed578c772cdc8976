"""One incident per cause: of six visits that one dead telephone leaves unknown, staff are told once (domain.md).

The alerts of the cause run on (reassure, locate, replace, inform): only their own summoning rests while the incident
summons, and comes back when the incident ends before them. A time-critical visit and help asked are always summoned on
their own. What is said here is a rule about how alerts stand (`follow`), so that no way into a state is forgotten.
"""

from __future__ import annotations

from datetime import datetime

from escalation import summon
from escalation.track import Move, Track
from monitor.core import facts as f
from monitor.core.alerts import (
    WHILE_DOWN,
    WITH_HOUR,
    cancel,
    duty_chain,
    end_alert,
    holding,
    may_hear,
    move,
    open_messages,
    raise_alert,
    summon_case,
)
from monitor.core.causes import (
    ALL_DARK,
    AT_DOOR,
    IN_INCIDENT,
    SEVERAL_LATE,
    SEVERAL_UNPLACED,
    Cause,
    CauseName,
    dark_cause,
    is_incident,
    is_over,
    round_of,
)
from monitor.core.state import Alert, Visit
from monitor.core.views import AlertKind
from monitor.core.weather import BAD_WEATHER, eases_visit, leave_out
from monitor.core.work import Work

SEVERAL = 2
"""From so many visits of one cause on it is an incident: of one, its own alert says everything."""
AT_ONCE = 3
"""So many alerts for one person at once are told as one (ours)."""


def raise_late(work: Work, kind: AlertKind, visit: Visit, *, due_at: datetime, reason: str) -> Alert:
    """The alert that somebody has not come, summoned for by the incident of its cause where there is one."""
    incident = _incident_for(work, visit)
    rests = incident is not None and not visit.time_critical and _everybody_may_hear(work, visit)
    alert = raise_alert(
        work,
        kind,
        visit=visit,
        due_at=due_at,
        reason=reason,
        incident=incident.ref if incident is not None else None,
        in_incident=rests,
    )
    weather = eases_visit(work, visit)
    if rests and weather is not None and incident is not None and incident.reason == BAD_WEATHER:
        leave_out(work, alert, weather, "summons")
    return alert


def raise_unplaced(work: Work, placement: str, *, urgent: bool) -> Alert:
    """The alert that nobody can take a package. Several at once are summoned for as one, as late visits are; hospital
    discharge and whatever else is urgent lends its summons to nothing."""
    bundle = None
    if not urgent:
        alerts = [alert for alert in work.open_of("placement") if alert.reason == "unplaced"]
        bundle = _bundle(work, SEVERAL_UNPLACED, alerts)
    return raise_alert(
        work,
        "placement",
        reason="unplaced",
        placement=placement,
        time_critical=urgent,
        incident=bundle.ref if bundle is not None else None,
        in_incident=bundle is not None,
    )


def _everybody_may_hear(work: Work, visit: Visit) -> bool:
    """An incident is told to the whole chain; who must not hear of somebody is left out only by their own alert."""
    known = work.ctx.people.person(visit.service_user)
    if known is None or not known.plan.never_tell:
        return True
    return all(may_hear(work, None, person.ref, None, visit) for person in duty_chain(work, None))


def _incident_for(work: Work, visit: Visit) -> Alert | None:
    """The open incident of the cause for which this visit is late, or a new one if it is not the only one."""
    cause = dark_cause(work.state, work.ctx.people.worker_of, visit)
    if cause is not None:
        return _open_of(work, cause) or _opened(work, cause, [])
    for cause in _shared_causes(work, visit):
        found = _open_of(work, cause)
        if found is not None:
            return found
        others = _late_with(work, cause, visit)
        if others:
            return _opened(work, cause, others)
    if eases_visit(work, visit) is not None:
        return _bundle_of_weather(work)
    return None if visit.time_critical else _bundle(work, SEVERAL_LATE, _late_alerts(work))


def _bundle_of_weather(work: Work) -> Alert:
    """In declared bad weather staff are told of those who are not red in bundles, in a moment from the first one on:
    what becomes late while nobody has taken the bundle, and it is still on its first rung, joins it."""
    since = work.now - work.policy().summon_next
    for alert in work.open_of("incident"):
        if alert.reason == BAD_WEATHER and alert.state == "open" and alert.opened_at >= since:
            return alert
    return raise_alert(work, "incident", reason=BAD_WEATHER, count=1, gathers=True)


def _bundle(work: Work, name: CauseName, alerts: list[Alert]) -> Alert | None:
    """Several of these that open within the time in which staff have a text and no call yet are told as one: the third
    makes it so, and those that follow join it until then."""
    since = work.now - work.policy().summon_call_after
    for alert in work.open_of("incident"):
        if alert.reason == name and alert.state == "open" and alert.opened_at >= since:
            return alert
    fresh = [a for a in alerts if a.opened_at >= since and a.state == "open"]
    others = [alert for alert in fresh if not alert.time_critical]
    if len(others) + 1 < AT_ONCE:
        return None
    return _opened(work, Cause(name=name), others)


def _shared_causes(work: Work, visit: Visit) -> list[Cause]:
    """What this visit may have in common with another late one."""
    workers = [Cause(name="worker_late", worker=worker) for worker in visit.absent]
    person = work.ctx.people.person(visit.service_user)
    shared = [
        line.ref for line in (person.lines if person else ()) if len(work.ctx.people.on_line(line.ref)) > 1
    ]
    return [*workers, *[Cause(name="line_late", line=line) for line in shared]]


def _late_alerts(work: Work) -> list[Alert]:
    # what became due while we were down is the digest's
    return [alert for alert in work.open_of(*sorted(WITH_HOUR)) if alert.reason != WHILE_DOWN]


def _late_with(work: Work, cause: Cause, visit: Visit) -> list[Alert]:
    """The late alerts about other visits of the same care worker, or of the others on the same line."""
    state, people = work.state, work.ctx.people.on_line(cause.line) if cause.line is not None else ()
    if cause.worker is not None:
        refs = list(state.by_worker.get(cause.worker, ()))
    else:
        refs = [ref for person in people for ref in state.by_service_user.get(person, ())]
    others = [other for ref in refs if ref != visit.ref and (other := work.visit(ref)) is not None]
    found = [alert for other in others if _is_for(other, cause, visit) for alert in work.open_alerts(other)]
    late = [alert for alert in found if alert.kind in WITH_HOUR and alert.incident is None]
    return sorted([a for a in late if a.reason != WHILE_DOWN], key=lambda a: (a.opened_at, a.ref))


def _is_for(other: Visit, cause: Cause, visit: Visit) -> bool:
    if cause.worker is not None:
        return cause.worker in other.absent
    return other.service_user != visit.service_user


def _open_of(work: Work, cause: Cause) -> Alert | None:
    return next((a for a in work.open_of("incident") if is_incident(a) and cause.is_of(a)), None)


def _opened(work: Work, cause: Cause, others: list[Alert]) -> Alert | None:
    """A new incident, if several visits have its cause; the alerts that are open for it already belong to it."""
    probe = Alert(
        ref="",
        kind="incident",
        due_at=work.now,
        opened_at=work.now,
        policy="",
        reason=cause.name,
        worker=cause.worker,
    )
    count = len(others) + 1 if others else len(round_of(work.state, probe, work.now))
    if count < SEVERAL:
        return None
    incident = raise_alert(
        work, "incident", worker=cause.worker, line=cause.line, reason=cause.name, count=count
    )
    for alert in others or _of_cause(work, cause):
        _gather(work, incident, alert)
    return incident


def _of_cause(work: Work, cause: Cause) -> list[Alert]:
    """Late alerts that were raised before the way in was known to be dark."""
    return [
        alert
        for alert in _late_alerts(work)
        if (visit := work.visit(alert.visit)) is not None and _stands_for(work, cause, visit)
    ]


def _stands_for(work: Work, cause: Cause, visit: Visit) -> bool:
    if cause.worker is not None:
        # that their telephone is dark may have been decided just now
        return cause.worker in visit.absent
    return dark_cause(work.state, work.ctx.people.worker_of, visit) == cause


def _gather(work: Work, incident: Alert, alert: Alert) -> None:
    """The alert belongs to the incident. Who has taken it keeps it; a time-critical one goes on being summoned for."""
    work.emit(alert.ref, f.AlertGathered(incident=incident.ref))
    if alert.state != "open" or alert.time_critical or not _may_rest(work, alert):
        return
    for message in open_messages(work, alert, "summon"):
        if message.phase == "queued":
            cancel(work, message, IN_INCIDENT)
    _rest(work, alert)


def _may_rest(work: Work, alert: Alert) -> bool:
    """Whether everybody to whom its incident is told may hear of it; of a package nobody is named."""
    visit = work.visit(alert.visit)
    return _everybody_may_hear(work, visit) if visit is not None else alert.placement is not None


def _rest(work: Work, alert: Alert) -> None:
    move(work, alert, Move(track=Track(name="summon", step="skipped", reason=IN_INCIDENT)))


# --- a way in goes dark while visits are due ---


def gone_dark(work: Work, visits: list[Visit]) -> None:
    """Staff at once (design rule 4): for each cause of which a visit is due now and nothing is known."""
    for visit in visits:
        cause = dark_cause(work.state, work.ctx.people.worker_of, visit) if _due(work, visit, None) else None
        if cause is not None and _open_of(work, cause) is None:
            _opened(work, cause, [])


def way_lost(work: Work, cause: str, subject: str) -> None:
    """A way in has gone dark just now: if visits of it are due, staff are told of its whole round."""
    name = ALL_DARK.get(f"dark:{cause}")
    worker = work.ctx.people.worker_of(subject) if cause == "device" else None
    if worker is not None:
        lost = Cause(name="worker_dark", worker=worker)
        visits = [work.visit(ref) for ref in sorted(work.state.by_worker.get(worker, ()))]
    elif name is not None:
        lost = Cause(name=name)
        visits = list(work.state.values.visits.values())
    else:
        return
    if any(visit is not None and _due(work, visit, worker) for visit in visits) and not _open_of(work, lost):
        _opened(work, lost, [])


def _due(work: Work, visit: Visit, worker: str | None) -> bool:
    waits = visit.start <= work.now and not (visit.all_there or visit.over or visit.missed)
    return waits and (worker is None or worker in visit.absent)


# --- how the incident and its alerts stand to each other ---


def follow(work: Work, ref: str) -> None:
    """After anything about the alert: what the incident and its alerts owe each other."""
    alert = work.alert(ref)
    if alert is None:
        return
    if is_incident(alert):
        for member in _members(work, alert):
            _stand(work, alert, member)
        return
    incident = work.alert(alert.incident)
    if incident is not None and alert.state == "ended":
        end_if_over(work, incident)
    elif incident is not None:
        _stand(work, incident, alert)


def _members(work: Work, incident: Alert) -> list[Alert]:
    return work.open_of(incident.ref)


def _stand(work: Work, incident: Alert, member: Alert) -> None:
    """What the incident's state makes of an alert whose summoning rests for it."""
    track = member.track("summon")
    if track is None or track.reason != IN_INCIDENT:
        return
    holder = incident.taken_by
    if incident.state == "ended":
        _on_its_own(work, member)
    elif incident.state == "taken" and holder is not None and member.taken_by != holder:
        if may_hear(work, member, holder):
            work.emit(member.ref, f.AlertTaken(by=holder, proof=f"alert:{incident.ref}"))
            move(work, member, Move(track=Track(name="summon", step="reached", reason=IN_INCIDENT)))
        else:
            _on_its_own(work, member)
    elif incident.state == "open" and member.taken_by is not None:
        work.emit(member.ref, f.AlertLapsed(by=member.taken_by))
        _rest(work, member)


def _on_its_own(work: Work, member: Alert) -> None:
    """The incident summons for it no more: who has it keeps it and is asked again, else staff are summoned; of a visit
    at whose door somebody stands by *no reply* alone."""
    visit = work.visit(member.visit)
    if member.taken_by is not None:
        move(work, member, Move(track=holding(work, member, "incident_over")))
    elif visit is not None and visit.at_door:
        move(work, member, Move(track=Track(name="summon", step="skipped", reason=AT_DOOR)))
    else:
        move(work, member, summon.begin(summon_case(work, member), "incident_over"))


def way_back(work: Work) -> None:
    """A way in is back: the incidents that stood for it alone, and whose alerts have ended, end."""
    for alert in work.open_of("incident"):
        if is_incident(alert):
            end_if_over(work, alert)


def end_if_over(work: Work, incident: Alert) -> bool:
    """End it when its cause is over and its alerts have ended; says whether it ended."""
    current = work.alert(incident.ref)
    if current is None or current.state == "ended" or _members(work, current):
        return False
    back = frozenset(
        f"{body.cause}:{draft.subject}"
        for draft in work.drafts
        if isinstance(body := draft.body, f.SignalFound)
    )
    if not is_over(work.state, work.ctx.people.worker_of, current, work.now, back):
        return False
    end_alert(work, current, "outcome_recorded", outcome="cause_over")
    return True
