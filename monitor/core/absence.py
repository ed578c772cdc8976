"""Absence and return (domain.md section 1): who is away is not missed, and is not forgotten either.

An absence counts only when a supervisor has confirmed it (7.26-7.27); until then every visit stands and is watched.
While it counts, somebody must say each morning who was asked that day; what is not answered is an alarm, and so is a
review date that passes, and a care worker who arrives at the home all the same. Return restarts the visits and tells
the next of kin (4.6.8).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from msgspec import structs

from config.policy import parse_hours
from escalation import reassure
from escalation.people import PersonView, is_quiet
from escalation.track import Contact, Priority
from monitor.core import facts as f
from monitor.core import homes, notices
from monitor.core.absence_fold import evolve_absence
from monitor.core.alerts import duty_chain, end_alert, intend, may_hear, person_for, raise_alert
from monitor.core.away_span import first_on_return, lies_in
from monitor.core.evolve import BY_ABSENCE, ENDED_AWAY
from monitor.core.inputs import SPOKE_TO, AbsenceActed, AbsenceTold, AwayEnd
from monitor.core.state import (
    CAME_WHILE_AWAY,
    NOT_ASKED,
    REVIEW_PASSED,
    Absence,
    Message,
    Visit,
    away_moments,
    review_due,
)
from monitor.core.times import first_look
from monitor.core.work import Decision, Refusal, Work

AWAY_SUBJECT = "away"
IS_AWAY, IS_BACK, KIN_BACK, KIN_BACK_CALL = "CW-170", "CW-171", "NOK-170", "NOKV-170"


def supervises(work: Work, person: str, roles: Collection[str] = ("office", "on_call", "manager")) -> bool:
    """Whether they stand on the duty list in one of these roles: only such a person's word counts (7.26-7.27)."""
    return any(entry.person == person and entry.role in roles for entry in work.state.values.duty)


def absences_of(work: Work, service_user: str | None) -> list[Absence]:
    """Their absences that are not over, confirmed or not: one at most, beside one of every week. That one last."""
    known = work.state.values.absences.values()
    found = [one for one in known if one.service_user == service_user and one.ended_at is None]
    return sorted(found, key=lambda one: one.weekly is not None)


# --- reported, confirmed ---


def told(work: Work, seen: AbsenceTold) -> Decision:
    """Somebody is away, as a member of staff has heard. Answers the absence's id.

    Refused: `died`, `already_away` (with who recorded it), `review_at`, `return_at`, `weekly`, `not_supervisor`.
    """
    same = (one for one in absences_of(work, seen.service_user) if bool(one.weekly) == bool(seen.weekly))
    before = next(same, None)
    if work.has_died(seen.service_user):
        return _no("died")
    if before is not None:
        return _no("already_away", absence=before.ref, by=before.by, at=before.said_at)
    if seen.review_at <= max(seen.from_at, work.now):
        return _no("review_at", expected=["a time to come, after `from`"])
    refusal = _odd_plan(work, seen)
    if refusal is not None:
        return Decision(refusal=refusal)
    if seen.spoke_to is not None and not supervises(work, seen.by):
        return _no("not_supervisor")
    ref = work.ctx.mint("b")
    reported = f.AbsenceReported(
        service_user=seen.service_user,
        reason=seen.reason,
        from_at=seen.from_at,
        review_at=seen.review_at,
        raised_by=seen.raised_by,
        by=seen.by,
        note=seen.note,
        return_at=seen.return_at,
        home_from=seen.home_from,
        weekly=seen.weekly,
    )
    absence = _emit(work, None, reported, ref)
    if seen.spoke_to is not None:
        _confirmed(work, absence, f.AbsenceConfirmed(by=seen.by, spoke_to=seen.spoke_to, said_at=seen.at))
    return work.decision(answer=ref)


def _odd_plan(work: Work, seen: AbsenceTold) -> Refusal | None:
    """What is wrong with a planned return, or with the hours of every week."""
    if seen.return_at is not None and seen.return_at <= max(seen.from_at, work.now):
        return Refusal(code="return_at", detail={"expected": ["a time to come, after `from`"]})
    if seen.home_from is not None and (seen.return_at is None or seen.weekly is not None):
        return Refusal(code="home_from", detail={"expected": ["a planned return, of one absence, beside it"]})
    if seen.weekly is None:
        return None
    try:
        hours = parse_hours(seen.weekly)
    except ValueError:
        hours = None
    if hours is None or hours.otherwise:
        return Refusal(
            code="weekly", detail={"expected": ['hours such as "Tue 10:00-15:00, Thu 09:00-12:00"']}
        )
    return None


def _no(code: str, **detail: object) -> Decision:
    return Decision(refusal=Refusal(code=code, detail=detail))


def _emit(work: Work, absence: Absence | None, body: f.FactBody, ref: str = "") -> Absence:
    """One more fact about the absence, and the absence after it."""
    work.emit(absence.ref if absence is not None else ref, body)
    return evolve_absence(absence, work.drafts[-1])


def _confirmed(work: Work, absence: Absence, body: f.AbsenceConfirmed) -> None:
    """It counts: nobody is missed at its visits, and late alerts about them are over."""
    absence = _emit(work, absence, body)
    _line_up(work, absence, body.by)
    going = [v for v in _visits(work, absence.service_user) if v.away == absence.ref and v.end > work.now]
    if going:
        _tell_workers(work, going[0], IS_AWAY)


def _visits(work: Work, service_user: str) -> list[Visit]:
    """Their visits, by start."""
    found = (work.visit(ref) for ref in sorted(work.state.by_service_user.get(service_user, ())))
    return sorted((visit for visit in found if visit is not None), key=lambda v: (v.start, v.ref))


def review(work: Work, ref: str) -> None:
    """The visit was planned, or moved: is anybody missed there? On a planned return another one may be the first."""
    visit = work.visit(ref)
    if visit is None or not work.state.values.absences:
        return
    for absence in absences_of(work, visit.service_user):
        if absence.counts:
            _line_up(work, absence, absence.by, just=visit)


def _line_up(work: Work, absence: Absence, by: str, *, just: Visit | None = None) -> None:
    """Each of their visits as the absence has it: away, the first on the return, or watched. `by`: who said so; `just`:
    this one was planned just now, and moves no other unless it may be the first."""
    calendar = work.state.calendar
    visits = [just] if just is not None else _visits(work, absence.service_user)
    if just is not None and absence.home_from is not None:
        visits = [*(v for v in _visits(work, absence.service_user) if v.ref != just.ref), just]
    first = first_on_return(absence, visits)
    for visit in visits:
        of_it = absence.ref in (visit.away, visit.returns)
        if first is not None and visit.ref == first.ref:
            if visit.returns != absence.ref:
                work.emit(visit.ref, _as_planned(visit, returns=absence.ref))
        elif lies_in(absence, visit, calendar):
            _away(work, absence, visit, by)
        elif of_it and not (visit.anybody_there or visit.missed):
            work.emit(visit.ref, _as_planned(visit))


def _away(work: Work, absence: Absence, visit: Visit, by: str) -> None:
    """Nobody is missed there from here on; what was raised because nobody came is over."""
    for alert in work.open_alerts(visit):
        if alert.kind in BY_ABSENCE or (alert.kind == homes.KIND and visit.returns == absence.ref):
            end_alert(work, alert, "cancelled_confirmed", by=by, outcome=ENDED_AWAY)
    current = work.visit(visit.ref)
    if current is None or current.away is not None:
        return
    if not (current.over or current.anybody_there or current.missed):
        work.emit(visit.ref, f.VisitAway(absence=absence.ref))


def _as_planned(visit: Visit, returns: str | None = None) -> f.VisitBack:
    return f.VisitBack(
        late_at=visit.late_at,
        missed_at=visit.missed_at,
        overrun_at=visit.overrun_at,
        look_at=visit.start if returns is not None else visit.look_at,
        returns=returns,
    )


# --- what people do about it ---


def acted(work: Work, seen: AbsenceActed) -> Decision:
    """A named member of staff confirms it, answers for the day, moves the review date or ends it. Answers its id.

    Refused: `not_found`, `already_ended` and `already_confirmed` (with who was first), `not_confirmed`, `spoke_to`,
    `review_at`, `outcome`, `at`, `not_supervisor`.
    """
    absence = work.state.values.absences.get(seen.absence)
    if absence is None:
        return _no("not_found")
    if absence.ended_at is not None:
        return _no("already_ended", by=absence.ended_by, at=absence.ended_at)
    refusal = _refused(work, absence, seen)
    if refusal is not None:
        return Decision(refusal=refusal)
    _ACTIONS[seen.action](work, absence, seen)
    return work.decision(answer=absence.ref)


def _refused(work: Work, absence: Absence, seen: AbsenceActed) -> Refusal | None:
    """Why the action cannot be taken as it stands, or None."""
    if seen.at > work.now:
        return Refusal(code="at", detail={"expected": ["a time that has come"]})
    if seen.action in ("confirm", "asked") and seen.spoke_to is None:
        return Refusal(code="spoke_to", detail={"expected": list(SPOKE_TO)})
    if seen.action == "confirm" and absence.counts:
        return Refusal(
            code="already_confirmed", detail={"by": absence.confirmed_by, "at": absence.confirmed_at}
        )
    if seen.action == "confirm" and not supervises(work, seen.by):
        return Refusal(code="not_supervisor")
    if seen.action == "asked" and not absence.counts:
        return Refusal(code="not_confirmed")
    if seen.action == "end" and seen.outcome is None:
        return Refusal(code="outcome", detail={"expected": list(AwayEnd.__args__)})  # type: ignore[attr-defined]
    if seen.action == "change_return" and seen.return_at is not None and seen.return_at <= work.now:
        return Refusal(code="return_at", detail={"expected": ["a time to come"]})
    if seen.action == "change_return" and seen.home_from and (seen.return_at is None or absence.weekly):
        return Refusal(code="home_from", detail={"expected": ["a planned return, of one absence, beside it"]})
    if seen.action == "at_home" and (seen.day is None or absence.weekly is None):
        return Refusal(code="day", detail={"expected": ["a local day, of an absence of every week"]})
    wanted = seen.action == "change_review"
    if (wanted and seen.review_at is None) or (seen.review_at is not None and seen.review_at <= work.now):
        return Refusal(code="review_at", detail={"expected": ["a time to come"]})
    return None


def _confirm(work: Work, absence: Absence, seen: AbsenceActed) -> None:
    assert seen.spoke_to is not None
    confirmed = f.AbsenceConfirmed(by=seen.by, spoke_to=seen.spoke_to, said_at=seen.at, note=seen.note)
    _confirmed(work, absence, confirmed)


def _asked(work: Work, absence: Absence, seen: AbsenceActed) -> None:
    """Who was asked today: the morning's question is answered for this one."""
    assert seen.spoke_to is not None
    answered = f.AwayAnswered(by=seen.by, spoke_to=seen.spoke_to, said_at=seen.at, note=seen.note)
    absence = _emit(work, absence, answered)
    if seen.review_at is not None:
        _change_review(work, absence, seen)
    if not absence.waits:
        _end_alarm(work, absence, seen.by)


def _change_review(work: Work, absence: Absence, seen: AbsenceActed) -> None:
    assert seen.review_at is not None
    work.emit(absence.ref, f.ReviewMoved(review_at=seen.review_at, by=seen.by, note=seen.note))
    _end_alerts(work, absence, (REVIEW_PASSED,), seen.by)


def _change_return(work: Work, absence: Absence, seen: AbsenceActed) -> None:
    """A discharge slips, or is brought forward: another visit is the first one, and what waits is asked about then."""
    moved = f.ReturnMoved(return_at=seen.return_at, home_from=seen.home_from, by=seen.by, note=seen.note)
    absence = _emit(work, absence, moved)
    _end_alerts(work, absence, (REVIEW_PASSED,), seen.by)
    if absence.counts:
        _line_up(work, absence, seen.by)


def _at_home(work: Work, absence: Absence, seen: AbsenceActed) -> None:
    """The centre is closed that day, or they do not go: the visits are watched."""
    assert seen.day is not None
    absence = _emit(work, absence, f.DayAtHome(day=seen.day, by=seen.by, note=seen.note))
    if absence.counts:
        _line_up(work, absence, seen.by)


def _end(work: Work, absence: Absence, seen: AbsenceActed, *, tell: bool = True) -> None:
    """They are back, or never were away. `tell`: somebody has said that they are."""
    assert seen.outcome is not None
    first = next((v for v in _visits(work, absence.service_user) if v.returns == absence.ref), None)
    again = [
        (visit, body)
        for visit in _visits(work, absence.service_user)
        if visit.away == absence.ref and (body := _again(work, visit, seen)) is not None
    ]
    ended = f.AbsenceEnded(
        reason=seen.outcome, by=seen.by, ended_at=seen.at, note=seen.note, visits=len(again)
    )
    over = _emit(work, absence, ended)
    for visit, body in again:
        work.emit(visit.ref, body)
        back = work.visit(visit.ref)
        if seen.outcome == "returned" and back is not None and back.waits_home:
            # who has come back is home: the clock of a first visit after a discharge begins
            homes.confirm(work, back, seen.by, min(seen.at, work.now), f"person:{seen.by}")
    if first is not None:
        _first_is_due(work, first, seen)
    _end_alerts(work, over, (REVIEW_PASSED, CAME_WHILE_AWAY), seen.by)
    _end_alarm(work, over, seen.by)
    for other in absences_of(work, absence.service_user):
        if other.counts and other.ref != absence.ref:
            _line_up(work, other, seen.by)  # their day centre goes on
    to_come = [visit for visit in (first, *(visit for visit, _ in again)) if visit is not None]
    following = next((visit for visit in to_come if visit.end > work.now), None)
    if absence.counts and seen.outcome == "returned" and tell:
        _tell_kin(work, over, following)
    if following is not None and tell:
        _tell_workers(work, following, IS_BACK)


def _first_is_due(work: Work, first: Visit, seen: AbsenceActed) -> None:
    """The absence is over: the clock of its first visit begins with the return; of one that never was, by the plan."""
    if first.waits_home and seen.outcome == "returned":
        homes.confirm(work, first, seen.by, min(seen.at, work.now), f"person:{seen.by}")
    elif first.waits_home:
        for alert in work.open_alerts(first):
            if alert.kind == homes.KIND:
                end_alert(work, alert, "cancelled_confirmed", by=seen.by, outcome=ENDED_AWAY)
        work.emit(first.ref, _as_planned(first))


def follow(work: Work, decision: Decision) -> Decision:
    """Somebody was confirmed home in this decision, whose return was planned: they are back. Returns the decision with
    what follows."""
    homes_of = [draft for draft in work.drafts if type(draft.body) is f.HomeConfirmed]
    before = len(work.drafts)
    for draft in homes_of:
        visit, body = work.visit(draft.subject), draft.body
        assert isinstance(body, f.HomeConfirmed)
        absence = work.state.values.absences.get(visit.returns or "") if visit is not None else None
        ended = any(type(one.body) is f.AbsenceEnded for one in work.drafts)
        if absence is not None and absence.counts and not ended:
            by = body.by or absence.confirmed_by or absence.by
            _end(work, absence, _back(absence, by, body.confirmed_at))
    if len(work.drafts) == before:
        return decision
    whole = work.decision()
    return structs.replace(decision, drafts=whole.drafts, folds=whole.folds)


def _back(absence: Absence, by: str, at: datetime) -> AbsenceActed:
    return AbsenceActed(absence=absence.ref, action="end", by=by, at=at, outcome="returned")


def _again(work: Work, visit: Visit, seen: AbsenceActed) -> f.VisitBack | None:
    """With which deadlines the visit is watched again; None: it lay in the absence and is past.

    What began after the return, and all of an absence that never was, has its own deadlines, also if they have passed:
    nobody has been there. What began while they were away is asked for from now on, with its own tolerance.
    """
    if seen.outcome == "withdrawn" or visit.start >= seen.at:
        return _as_planned(visit) if visit.missed_at > work.now else None
    if max(visit.end, visit.late_at) <= work.now:
        return None
    policy = work.policy_for(visit.service_user)
    late_at = max(visit.late_at, work.now + (visit.late_at - visit.agreed_start))
    return f.VisitBack(
        late_at=late_at,
        missed_at=max(visit.missed_at, late_at + policy.missed_after),
        overrun_at=visit.overrun_at,
        look_at=first_look(work.now, late_at, policy),
    )


_ACTIONS: dict[str, Callable[[Work, Absence, AbsenceActed], None]] = {
    "confirm": _confirm,
    "asked": _asked,
    "change_review": _change_review,
    "change_return": _change_return,
    "at_home": _at_home,
    "end": _end,
}


# --- who hears of it ---


def _tell_workers(work: Work, visit: Visit, template: str) -> None:
    """One text to each care worker of the visit."""
    who = visit.service_user
    priority: Priority = "time_critical" if visit.time_critical else "repeat"
    for worker in visit.workers:
        notices.text(work, worker, template, of=who, visit=visit, about=who, priority=priority)


def _tell_kin(work: Work, absence: Absence, following: Visit | None) -> None:
    """Each next of kin hears of the return, by text, else by a call, as plan and mode allow (4.6.8). Who ends an
    absence is the person in the mode *ask*; whom we do not tell stands in a fact."""
    known = work.ctx.people.person(absence.service_user)
    if known is None or not known.next_of_kin:
        work.emit(absence.ref, f.KinNotTold(person=None, reason="nobody_known"))
        return
    rehearsed = reassure.mode_of(known, work.state.values.public) == "off"
    for ref in known.next_of_kin:
        contact = _kin_contact(work, person_for(work, ref, known.ref), known.ref, rehearsed=rehearsed)
        if isinstance(contact, Contact):
            intend(work, contact, alert=None, visit=following)
        else:
            work.emit(absence.ref, f.KinNotTold(person=ref, reason=contact))


def _kin_contact(work: Work, kin: PersonView, about: str, *, rehearsed: bool) -> Contact | str:
    """How they are told, or why they are not."""
    ways, text, voice = kin.plan.channels, kin.text_line(), next(iter(kin.voice_lines()), None)
    night = work.state.calendar.is_night(work.now, work.policy())
    if reassure.by_person_alone(kin.plan):
        return "person_only"
    if is_quiet(kin.plan, work.now, work.state.calendar, time_critical=False):
        return "quiet_hours"
    if text is not None and (not ways or "text" in ways):
        line, channel, template = text, "sms", KIN_BACK
    elif voice is not None and night:
        return "quiet_hours"
    elif voice is not None and (not ways or "voice" in ways):
        line, channel, template = voice, "call", KIN_BACK_CALL
    else:
        return "no_line"
    return Contact(
        person=kin.ref,
        line=line.ref,
        channel=channel,  # type: ignore[arg-type]
        purpose="notice",
        template=template,
        priority="repeat",
        ring_s=kin.plan.ring_s or round(work.policy().ring_public.total_seconds()),
        rehearsed=rehearsed,
        about=about,
    )


NOT_REACHED = frozenset({"failed", "no_answer", "busy", "voicemail"})


def kin_settled(work: Work, message: Message, result: str) -> None:
    """What we sent to a next of kin about the return did not reach them: the person on duty hears it, and rings."""
    if message.template not in (KIN_BACK, KIN_BACK_CALL) or result not in NOT_REACHED or message.proof:
        return
    of = [a for a in work.state.values.absences.values() if a.service_user == message.about]
    if of:
        work.emit(of[-1].ref, f.KinNotTold(person=message.person, reason=result))
    _tell_duty(work, message.about, "OC-175")


def heard(work: Work, message: Message, answer: str, proof: str) -> None:
    """A next of kin has listened to a call about the return, with a key: contact."""
    if message.template == KIN_BACK_CALL and message.about is not None and answer == "heard" and proof:
        reached = f.PersonReached(
            person=message.person, purpose="notice", proof=proof, answer=answer, message=message.key
        )
        work.emit(message.about, reached)


def _tell_duty(work: Work, about: str | None, template: str) -> None:
    told = notices.on_duty(work, about)
    if told is not None:
        notices.text(work, told.ref, template, of=about, about=about)


# --- every morning ---


def on_deadline(work: Work) -> None:
    """What has become due about those who are away: the morning's question, its alarm, a review date."""
    due: dict[str, list[Absence]] = {"question": [], "alarm": [], "review": [], "return": []}
    for _, absence in sorted(work.state.values.absences.items()):
        for what, at in away_moments(work.state.values, work.state.calendar, absence).items():
            if at <= work.now:
                due[what].append(absence)
    if due["alarm"]:
        _alarm(work, due["alarm"])
    if due["question"]:
        _question(work, due["question"])
    for absence in due["return"]:
        # a return that is certain is told to nobody as one that somebody has seen
        at = absence.return_at or work.now
        _end(work, absence, _back(absence, absence.confirmed_by or absence.by, at), tell=False)
    for absence in (one for one in due["review"] if one not in due["return"]):
        raise_alert(
            work,
            "away",
            service_user=absence.service_user,
            due_at=review_due(absence, work.policy()),
            reason=REVIEW_PASSED,
        )


def _question(work: Work, absences: list[Absence]) -> None:
    """One text to the person on duty, with how many there are and the first of them; where nobody can be asked it is
    an alarm at once (design rule 6)."""
    told = next((one for one in duty_chain(work, None) if one.text_line() is not None), None)
    work.emit(
        AWAY_SUBJECT,
        f.AwayQuestioned(
            absences=tuple(absence.ref for absence in absences), told=told.ref if told is not None else None
        ),
    )
    line = told.text_line() if told is not None else None
    if told is None or line is None:
        _alarm(work, absences)
        return
    named = (
        a.service_user for a in absences if may_hear(work, None, told.ref, line.ref, about=a.service_user)
    )
    notices.text(work, told.ref, "OC-8", about=next(named, None), count=len(absences))


def _alarm(work: Work, absences: list[Absence]) -> None:
    """Nobody has said who was asked today: up the chain. One alarm, however many there are."""
    work.emit(AWAY_SUBJECT, f.AwayUnanswered(absences=tuple(absence.ref for absence in absences)))
    if not any(alert.reason == NOT_ASKED for alert in work.open_of("away")):
        raise_alert(work, "away", reason=NOT_ASKED, count=len(absences))


def _end_alarm(work: Work, answered: Absence, by: str) -> None:
    """The alarm is over with the last of those who were asked about."""
    others = (a for a in work.state.values.absences.values() if a.ref != answered.ref)
    if any(other.counts and other.waits for other in others):
        return
    for alert in work.open_of("away"):
        if alert.reason == NOT_ASKED:
            end_alert(work, alert, "outcome_recorded", by=by, outcome="answered")


def _end_alerts(work: Work, absence: Absence, reasons: Collection[str], by: str) -> None:
    for alert in work.open_of("away"):
        if alert.reason in reasons and alert.service_user == absence.service_user:
            end_alert(work, alert, "outcome_recorded", by=by, outcome="answered")


# --- somebody comes all the same ---


def came(work: Work, visit: Visit, worker: str | None) -> None:
    """A care worker has arrived at the home of somebody who is marked away: it counts, and a person looks whether they
    are back, for nobody is missed at their other visits."""
    for alert in work.open_of("away"):
        if alert.reason == CAME_WHILE_AWAY and alert.service_user == visit.service_user:
            return
    raise_alert(work, "away", service_user=visit.service_user, worker=worker, reason=CAME_WHILE_AWAY)
