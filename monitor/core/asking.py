"""Before any alert: is the visit at risk, and where is its care worker (spec 5.1; domain.md, "Before the alert")?

The care worker alone is asked, by text, and nobody else is told. What they answer is a claim: only a check-in is an
arrival. *Cannot* opens the procedure at once; a time beyond the tolerance is told to the service user.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import structs

from escalation import reassure
from escalation.candidates import drive_time, unknown_drive
from escalation.locate import worker_contact
from escalation.people import PersonView
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core.alerts import CANNOT, intend, person_for
from monitor.core.incidents import raise_late
from monitor.core.places import distance_m
from monitor.core.signals import signal_of, silent_workers
from monitor.core.state import Alert, Message, Visit
from monitor.core.times import looks
from monitor.core.work import Work


def look(work: Work, visit: Visit) -> None:
    """A moment has come at which nobody has arrived: name the risk, and ask."""
    missing = missing_workers(visit)
    risk = _risk(work, visit, missing)
    first = visit.look_at == visit.start
    asked, reason = _to_ask(work, visit, missing, wanted=risk is not None or not first)
    after = (
        at for at in looks(visit.start, visit.late_at, work.policy_for(visit.service_user)) if at > work.now
    )
    contacts = [contact for worker in asked if (contact := _question(work, visit, worker)) is not None]
    if asked and not contacts:
        reason = "no_line"
    work.emit(
        visit.ref,
        f.VisitLooked(next_at=next(after, None), risk=risk, asked=len(contacts), reason=reason),
        due_at=visit.look_at,
    )
    for contact in contacts:
        intend(work, contact, alert=None, visit=visit)


def missing_workers(visit: Visit) -> tuple[str, ...]:
    """The care workers who are planned and have not arrived."""
    return visit.absent


def _to_ask(
    work: Work, visit: Visit, missing: tuple[str, ...], *, wanted: bool
) -> tuple[tuple[str, ...], str]:
    """Who is asked now, or why nobody is."""
    if not missing:
        return (), "no_worker"
    if not wanted:
        return (), "not_yet"
    if _signal(work, visit) not in ("known", "dark:device"):
        return (), "dark"
    silent = tuple(worker for worker in missing if not spoke(visit, worker, work.now))
    return silent, "" if silent else "answered"


def spoke(visit: Visit, worker: str, now: datetime) -> bool:
    """They have said where they are, and their time has not passed."""
    said = next((entry for entry in visit.said if entry.worker == worker), None)
    return said is not None and (said.eta_at is None or said.eta_at >= now)


def _signal(work: Work, visit: Visit) -> str:
    return signal_of(work.state, visit, silent_workers(work.state, work.ctx.people.worker_of))


def _question(work: Work, visit: Visit, worker: str) -> Contact | None:
    view = person_for(work, worker, visit.service_user)
    line = view.text_line()
    if line is None:
        return None
    policy = work.policy_for(visit.service_user)
    urgent = "time_critical" if visit.time_critical else "repeat"
    return worker_contact(view, line.ref, "sms", policy, "ask_worker", "CW-1", urgent)  # type: ignore[arg-type]


# --- the risk ---


def _risk(work: Work, visit: Visit, missing: tuple[str, ...]) -> f.RiskReason | None:
    """Why the visit may be late, the gravest reason first; None when nothing says so."""
    silent = silent_workers(work.state, work.ctx.people.worker_of)
    for worker in missing:
        if _elsewhere(work, visit, worker) is not None:
            return "still_at_last"
    for worker in missing:
        if _too_far(work, visit, worker):
            return "too_far"
    return "phone_dark" if not silent.isdisjoint(missing) else None


def _elsewhere(work: Work, visit: Visit, worker: str) -> Visit | None:
    """The visit at which they are, as far as is known."""
    for ref in sorted(work.state.by_worker.get(worker, ())):
        other = work.visit(ref) if ref != visit.ref else None
        for place in other.places if other is not None else ():
            if place.worker == worker and place.arrived_at is not None and not place.left:
                return other
    return None


def _too_far(work: Work, visit: Visit, worker: str) -> bool:
    """From their last position on shift nobody could be there before the alert."""
    metres = metres_to(work, worker, visit)
    return metres is not None and work.now + drive_time(metres) > visit.late_at


def metres_to(work: Work, worker: str, visit: Visit, *, before: bool = False) -> float | None:
    """How far the care worker is from the home, by their last position on shift (`before`: the one before that);
    None: not known."""
    known = (work.ctx.positions_before if before else work.ctx.positions).get(worker)
    homes = work.ctx.people.homes(visit.service_user, work.now)
    if known is None or not homes or work.now - known[0] > work.policy().position_kept:
        return None
    fix = known[1]
    return min(distance_m(fix.lat, fix.lon, home.lat, home.lon) for home in homes)


# --- the answers ---


def eta(work: Work, minutes: int | None) -> datetime:
    """When somebody will be there who says so many minutes; who says none is given the usual drive (ours)."""
    return work.now + (timedelta(minutes=minutes) if minutes is not None else unknown_drive(work.policy()))


def heard(
    work: Work,
    visit: Visit,
    worker: str,
    answer: f.WorkerAnswer,
    proof: str,
    minutes: int | None,
    message: str | None,
) -> None:
    """They said where they are. What follows for an open alert is the procedure's (`procedure.follow`)."""
    eta_at = eta(work, minutes) if answer == "on_my_way" else None
    before = next((entry for entry in visit.said if entry.worker == worker), None)
    work.emit(visit.ref, f.WorkerAnswered(worker=worker, answer=answer, proof=proof, eta_at=eta_at))
    alert = late_alert(work, visit)
    # once there is an alert, who was contacted when stands with it: one place (22.7)
    reached = f.PersonReached(
        person=worker,
        purpose="locate" if alert is not None else "ask_worker",
        proof=proof,
        answer=answer,
        message=message,
    )
    work.emit(alert.ref if alert is not None else visit.ref, reached)
    _thank(work, visit, worker, answer, eta_at, alert)
    if answer == "cannot" and alert is None and not visit.all_there:
        kind = "second_worker_missing" if visit.anybody_there else "late_visit"
        if kind not in visit.alerted and not visit.over and not visit.at_door:
            raise_late(work, kind, visit, due_at=work.now, reason=CANNOT)  # type: ignore[arg-type]
    elif eta_at is not None and not visit.anybody_there and not _somebody_else_goes(alert, worker):
        _tell_lateness(work, visit, worker, eta_at, alert, told=before.eta_at if before is not None else None)


def _somebody_else_goes(alert: Alert | None, worker: str) -> bool:
    """The service user has been told another name: a second one would only confuse."""
    return alert is not None and bool(alert.sent) and all(sent.worker != worker for sent in alert.sent)


SAME_TIME = timedelta(minutes=1)
"""A time said twice is told once."""


def _tell_lateness(
    work: Work, visit: Visit, worker: str, eta_at: datetime, alert: Alert | None, *, told: datetime | None
) -> None:
    """A time beyond the tolerance; `told`: the one that this care worker gave before."""
    before = told if told is not None and told >= visit.late_at else None
    if eta_at < visit.late_at or (before is not None and abs(eta_at - before) < SAME_TIME):
        return
    slipped = before is not None and eta_at > before
    tell_service_user_time(work, visit, worker, eta_at, alert, slipped=slipped)


def late_alert(work: Work, visit: Visit) -> Alert | None:
    """The open alert that nobody, or not everybody, has come."""
    current = work.visit(visit.ref) or visit
    found = [a for a in work.open_alerts(current) if a.kind in ("late_visit", "second_worker_missing")]
    return found[0] if found else None


def _thank(
    work: Work, visit: Visit, worker: str, answer: str, eta_at: datetime | None, alert: Alert | None
) -> None:
    """What the care worker hears back; after *cannot* they are asked whether they are all right themselves."""
    template = {"there": "CW-3", "on_my_way": "CW-4", "cannot": "CW-5"}[answer]
    view = person_for(work, worker, visit.service_user)
    line = view.text_line()
    if line is None:
        return
    policy = work.policy_for(visit.service_user)
    thanks = worker_contact(view, line.ref, "sms", policy, "notice", template, "repeat")
    minutes = round((eta_at - work.now) / timedelta(minutes=1)) if eta_at is not None else 0
    intend(work, structs.replace(thanks, count=minutes, at=eta_at), alert=alert, visit=visit)


def tell_service_user_time(
    work: Work, visit: Visit, worker: str, eta_at: datetime, alert: Alert | None, *, slipped: bool
) -> None:
    """The running-late text, by their own plan and the public mode; an old person is not rung for it (5.1)."""
    known = work.ctx.people.person(visit.service_user)
    if known is None or not _texts_public(known):
        return
    person = person_for(work, known.ref, known.ref)
    line = person.text_line()
    mode = reassure.mode_of(person, work.state.values.public)
    if line is None:
        return
    template = "SU-7" if slipped else "SU-5" if alert is not None else "SU-8"
    contact = Contact(
        person=person.ref,
        line=line.ref,
        channel="sms",
        purpose="notice",
        template=template,
        priority="first_contact",
        rehearsed=mode != "auto" and not (mode == "ask" and alert is not None),
        about=worker,
        at=eta_at,
        count=max(round((eta_at - visit.agreed_start) / timedelta(minutes=1)), 0),
    )
    intend(work, contact, alert=alert, visit=visit)


def _texts_public(person: PersonView) -> bool:
    """Who has somebody to speak for them, or at the end of life, is told by a person alone."""
    ways, plan = person.plan.channels, person.plan
    spoken_for = plan.minor or plan.end_of_life or plan.spokesperson is not None
    return (not ways or "text" in ways) and "person" not in ways[:1] and not spoken_for


TIMES_TOLD = frozenset({"SU-5", "SU-7", "SU-8"})
"""Texts that tell the service user when somebody will be there."""


def told_still(work: Work, message: Message) -> str | None:
    """Why a time need not be told any more, or None: somebody is there, nobody comes, or another time was named."""
    visit = work.visit(message.visit)
    if visit is None or visit.over or visit.anybody_there:
        return "arrived"
    said = next((entry for entry in visit.said if entry.worker == message.about), None)
    return "not_coming" if said is not None and said.eta_at != message.at else None


def wanted_still(work: Work, message: Message) -> str | None:
    """Why a question that was put before any alert need not leave any more, or None."""
    visit = work.visit(message.visit)
    if visit is None or arrived(work, message):
        return "arrived"
    return "alert_raised" if late_alert(work, visit) is not None else None


def arrived(work: Work, message: Message) -> str | None:
    """ "arrived" when nobody is missing at the message's visit any more, or None."""
    visit = work.visit(message.visit)
    return "arrived" if visit is None or visit.over or visit.all_there else None
