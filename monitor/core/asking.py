"""Before any alert: is the visit at risk, and where is its care worker (spec 5.1; domain.md, "Before the alert")?

The care worker alone is asked, by text, and nobody else is told. What they answer is a claim: only a check-in is an
arrival. *Cannot* opens the procedure at once; a time beyond the tolerance is told to the service user.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import structs

from escalation import reassure
from escalation.candidates import drive_time, unknown_drive
from escalation.locate import eta_grace, worker_contact
from escalation.people import PersonView
from escalation.track import Contact, Priority
from monitor.core import facts as f
from monitor.core.alerts import CANNOT, intend, person_for
from monitor.core.incidents import raise_late
from monitor.core.places import distance_m
from monitor.core.signals import signal_of, silent_workers
from monitor.core.state import Alert, Message, Visit
from monitor.core.times import looks
from monitor.core.weather import eases_visit
from monitor.core.work import Work

SAME_RUN = timedelta(minutes=90)
"""A later visit of the same care worker within this time after the end goes on with the run (domain.md section 6)."""


def look(work: Work, visit: Visit) -> None:
    """A moment has come at which nobody has arrived: name the risk, and ask. Before the start it is named alone."""
    missing = missing_workers(visit)
    risk = _risk(work, visit, missing)
    begins = visit.clock_from
    moments = looks(begins, visit.late_at, work.policy_for(visit.service_user))
    early = work.now < begins
    first = visit.look_at is not None and visit.look_at <= begins
    asked, reason = _to_ask(work, visit, missing, wanted=not early and (risk is not None or not first))
    calls = len(moments) > 1 and work.now >= moments[-1]
    contacts = [c for worker in asked if (c := _question(work, visit, worker, calls=calls)) is not None]
    if asked and not contacts:
        reason = "no_line"
    work.emit(
        visit.ref,
        f.VisitLooked(
            next_at=_next_look(work, visit, moments), risk=risk, asked=len(contacts), reason=reason
        ),
        due_at=visit.look_at,
    )
    for contact in contacts:
        intend(work, contact, alert=None, visit=visit)
    if not early:
        remind(work, visit)


def _next_look(work: Work, visit: Visit, moments: tuple[datetime, ...]) -> datetime | None:
    """The next of the set moments, or a while after the time that somebody has promised, if that is sooner or there
    is none any more: who came and forgot the check-in is asked again before anybody else is rung."""
    following = [at for at in moments if at > work.now]
    if following:
        return following[0]
    grace = eta_grace(work.policy()) / 2
    promised = [said.eta_at + grace for said in visit.said if said.eta_at is not None]
    return min((at for at in promised if work.now < at < visit.late_at), default=None)


def remind(work: Work, visit: Visit, alert: Alert | None = None) -> None:
    """Who says that they are there and has not checked in is reminded of it: a claim is never an arrival."""
    missing = missing_workers(visit)
    for said in visit.said:
        if said.answer == "there" and said.worker in missing:
            _tell(work, visit, said.worker, "CW-3", alert)


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


def _question(work: Work, visit: Visit, worker: str, *, calls: bool) -> Contact | None:
    """By text; the last time by a call, where there is a line for it."""
    view = person_for(work, worker, visit.service_user)
    text, voice = view.text_line(), next(iter(view.voice_lines()), None)
    urgent: Priority = "time_critical" if visit.time_critical else "repeat"
    if calls and voice is not None:
        return worker_contact(view, voice.ref, "call", work.policy(), "ask_worker", "CWV-1", urgent)
    if text is None:
        return None
    return worker_contact(view, text.ref, "sms", work.policy(), "ask_worker", "CW-1", urgent)


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
    if known is None or work.now - known[0] > work.policy().position_kept:
        return None
    fix, homes = known[1], work.ctx.people.homes(visit.service_user, work.now)
    return min((distance_m(fix.lat, fix.lon, home.lat, home.lon) for home in homes), default=None)


# --- knock-on lateness ---


def look_ahead(work: Work, visit: Visit) -> None:
    """The planned end has come and somebody is still inside: the next home of each of them is looked at a while after
    they would have had to leave for it."""
    work.emit(visit.ref, f.VisitLooked(reason="runs_over"), due_at=visit.end)
    for place in visit.places:
        following = run_after(work, visit, place.worker) if place.inside else []
        if following:
            _foresee(work, following[0], work.now, _way(work, visit, following[0]))


def foresee(work: Work, visit: Visit, worker: str, arrived_at: datetime) -> None:
    """Somebody came late, and is to stay as long as was planned: the rest of their run, as far as that makes it so
    late that somebody ought to know, or need not know any more. A visit that begins in time costs nothing here."""
    before, free_at = visit, arrived_at + (visit.end - visit.start)
    if free_at <= visit.end + _much(visit) and visit.risk is None:
        return
    for following in run_after(work, visit, worker):
        way = _way(work, before, following)
        known = following.risk
        if not _foresee(work, following, free_at, way) and known is None:
            return
        before, free_at = following, free_at + way + (following.end - following.start)


def _much(visit: Visit) -> timedelta:
    """So much after its start a visit without an arrival is at risk: half of its tolerance (ours; of 30 minutes, the
    15 that KPI 3.6 counts as outside the agreed timeframe)."""
    return (visit.late_at - visit.agreed_start) / 2


def _foresee(work: Work, visit: Visit, free_at: datetime, way: timedelta) -> bool:
    """Whether it is at risk by what is known now; a fact says so, or when it is to be looked at. Who is inside still a
    little after they should have left is often on the way before anybody could do something about it."""
    if visit.look_at is None or visit.anybody_there or visit.alerts or visit.over or visit.waits_home:
        return False
    risky = free_at + way > visit.start + _much(visit)
    look_at = visit.start - way + _much(visit) / 2
    next_at = visit.look_at if risky or look_at <= work.now else min(visit.look_at, look_at)
    risk: f.RiskReason | None = "still_at_last" if risky else None
    if (risk, next_at) != (visit.risk, visit.look_at):
        work.emit(visit.ref, f.VisitLooked(next_at=next_at, risk=risk, reason="foreseen"))
    return risky


def run_after(work: Work, visit: Visit, worker: str | None) -> list[Visit]:
    """The care worker's visits that follow in the same run, in order."""
    refs = sorted(work.state.by_worker.get(worker or "", {}))
    known = [other for ref in refs if (other := work.visit(ref)) is not None]
    mine = [o for o in known if worker in o.workers and not o.over and o.start >= visit.end]
    run: list[Visit] = []
    end = visit.end
    for other in sorted(mine, key=lambda o: (o.start, o.ref)):
        if other.start > end + SAME_RUN:
            break
        run.append(other)
        end = max(end, other.end)
    return run


def _way(work: Work, here: Visit, there: Visit) -> timedelta:
    """The drive from the one home to the other; where a home is not known, what the policy plans for it."""
    homes = work.ctx.people.homes(here.service_user, work.now)
    others = work.ctx.people.homes(there.service_user, work.now)
    metres = min((distance_m(a.lat, a.lon, b.lat, b.lon) for a in homes for b in others), default=None)
    return drive_time(metres) if metres is not None else work.policy().travel_between


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
        if kind not in visit.alerted and not visit.over and not visit.at_door and not visit.waits_home:
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
    if answer == "cannot" and eases_visit(work, visit) is not None:
        template = "CW-120"  # nobody else is asked before a person says so
    minutes = round((eta_at - work.now) / timedelta(minutes=1)) if eta_at is not None else 0
    _tell(work, visit, worker, template, alert, count=minutes, at=eta_at)


def _tell(
    work: Work,
    visit: Visit,
    worker: str,
    template: str,
    alert: Alert | None,
    *,
    count: int = 0,
    at: datetime | None = None,
) -> None:
    """One text to the care worker."""
    view = person_for(work, worker, visit.service_user)
    line = view.text_line()
    if line is not None:
        contact = worker_contact(view, line.ref, "sms", work.policy(), "notice", template, "repeat")
        intend(work, structs.replace(contact, count=count, at=at), alert=alert, visit=visit)


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
