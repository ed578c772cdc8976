"""Arrived, and not left long after the planned end: first, is it a forgotten check-out (spec 19.6.4; domain.md 1)?

The care worker is asked by text, then by telephone; what they say is a claim and never a check-out. Who does not
answer, or wants to be rung, is looked for by a person: the alert `lone_worker`. The next arrival elsewhere proves that
they have left, so that only the last visit of a run may wake anybody. Each place of a visit is asked for itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from escalation import check_out
from escalation.check_out import CheckOutCase
from escalation.replies import Answer
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core import phones
from monitor.core.alerts import (
    CHECK_OUT_WORDS,
    ask_for_help,
    cancel,
    end_alert,
    intend,
    person_for,
    raise_alert,
    tell_staff,
)
from monitor.core.asking import run_after
from monitor.core.signals import signal_of_all, silent_workers
from monitor.core.state import Alert, Message, Place, Visit, check_out_due
from monitor.core.times import came_for_another, planned_again
from monitor.core.views import Result
from monitor.core.work import Work

SILENT, RING_ME, DARK, NOT_ASKED = (
    "check_out_silent",
    "check_out_ring_me",
    "check_out_dark",
    "check_out_not_asked",
)
"""Reasons of the alert `lone_worker`: asked and not answered; they want to be rung; asked, and their phone is dark;
there was no way to ask."""
SAID: dict[str, f.CheckOutAnswer] = {"left": "left", "still_here": "still_here"}
"""What a care worker may have said to a person of ours about leaving: reasons of `spoke_care_worker`."""
TWICE = timedelta(seconds=30)
"""The same answer again so soon is the same text, or a second press of the thumb (ours)."""
HELP = "reply:help"
"""The proof of a text that is no digit and calls for help: everybody is rung, not the first of the chain."""
ASKED = ("texted", "again", "rung")


def look(work: Work, visit: Visit) -> None:
    """The moment has come at which somebody inside should have left long ago: each of them for themselves."""
    for index in range(len(visit.places)):
        current = work.visit(visit.ref)
        if current is None or current.over:
            return
        due = check_out_due(current, current.places[index])
        if due is not None and due <= work.now:
            _step(work, current, index, due)


def _step(work: Work, visit: Visit, index: int, due: datetime) -> None:
    """What comes next, once it is not simply too soon."""
    place = visit.places[index]
    step = place.leaving.step if place.leaving is not None else "waiting"
    wait = _too_soon(work, visit, place)
    if wait is not None:
        _emit(work, visit, index, "waiting", wait[0], reason=wait[1], due_at=due)
    elif step in ("waiting", "still_here"):
        _text(work, visit, index, due)
    elif step in ("texted", "again"):
        _ring(work, visit, index, due)
    else:
        _on_call(work, visit, index, _silence(work, place), due)


def _too_soon(work: Work, visit: Visit, place: Place) -> tuple[datetime, str] | None:
    """Until when nobody is asked, and why; None: now."""
    if visit.overrun_at > work.now:
        return visit.overrun_at, "replanned"
    proven = _proven_by(work, visit, place.worker)
    if proven is not None:
        return proven, "run_goes_on"
    policy = work.policy_for(visit.service_user)
    since = place.leaving.dark_since if place.leaving is not None else None
    asked = place.leaving is not None and place.leaving.step in ASKED
    waited = since is not None and work.now >= since + check_out.dark_for(policy)
    if not asked and not waited and _nothing_comes_in(work):
        return work.now + check_out.looks_again(policy), "dark"
    return None


def _proven_by(work: Work, visit: Visit, worker: str | None) -> datetime | None:
    """While the run goes on the next arrival will tell: the overrun of their next visit that is still to come."""
    run = [other for other in run_after(work, visit, worker) if not _was_at(other, worker)]
    return min((other.overrun_at for other in run if other.overrun_at > work.now), default=None)


def _was_at(visit: Visit, worker: str | None) -> bool:
    return any(place.worker == worker and place.arrived_at is not None for place in visit.places)


def _nothing_comes_in(work: Work) -> bool:
    """No check-in of anybody is known now: the check-out may be waiting on the way. Staff know of that already."""
    silent = silent_workers(work.state, work.ctx.people.worker_of)
    return signal_of_all(work.state, silent) not in (None, "known")


def _silence(work: Work, place: Place) -> str:
    """A phone off the network is no silence of a person, and a person has to look all the same."""
    return DARK if phones.off_the_network(work, place.worker) else SILENT


# --- the steps ---


def _case(work: Work, visit: Visit, worker: str | None) -> CheckOutCase:
    return CheckOutCase(
        policy=work.policy_for(visit.service_user),
        now=work.now,
        worker=person_for(work, worker, visit.service_user) if worker is not None else None,
        calendar=work.state.calendar,
        time_critical=visit.time_critical,
    )


def _text(work: Work, visit: Visit, index: int, due: datetime | None) -> None:
    case = _case(work, visit, visit.places[index].worker)
    contact = check_out.text(case)
    if not isinstance(contact, Contact):
        _ring(work, visit, index, due)
        return
    _emit(work, visit, index, "texted", work.now + check_out.rings_after(case.policy), due_at=due)
    intend(work, contact, alert=None, visit=visit)


def _ring(work: Work, visit: Visit, index: int, due: datetime | None) -> None:
    place = visit.places[index]
    case = _case(work, visit, place.worker)
    contact = check_out.call(case)
    if not isinstance(contact, Contact):
        asked = place.leaving is not None and place.leaving.step in ASKED
        _on_call(work, visit, index, _silence(work, place) if asked else NOT_ASKED, due, why=contact)
        return
    rings = place.leaving.rings + 1 if place.leaving is not None and place.leaving.step == "again" else 1
    _emit(work, visit, index, "rung", work.now + check_out.gives_up(case.policy), due_at=due, rings=rings)
    intend(work, contact, alert=None, visit=visit)


def _on_call(
    work: Work, visit: Visit, index: int, reason: str, due: datetime | None = None, *, why: str = ""
) -> None:
    """A person has to look: the alert about whoever is there alone. What waited to be asked is asked no more."""
    worker = visit.places[index].worker
    _emit(work, visit, index, "on_call", None, reason=why, due_at=due)
    _take_back(work, visit.ref, worker, "alert_raised")
    if lone_alert(work, visit, worker) is None:
        raise_alert(work, "lone_worker", visit=visit, worker=worker, due_at=due or work.now, reason=reason)


def _emit(
    work: Work,
    visit: Visit,
    index: int,
    step: f.CheckOutStep,
    next_at: datetime | None,
    *,
    reason: str = "",
    due_at: datetime | None = None,
    rings: int = 0,
) -> None:
    asked = f.CheckOutAsked(
        index=index,
        worker=visit.places[index].worker,
        step=step,
        next_at=next_at,
        rings=rings,
        reason=reason,
    )
    work.emit(visit.ref, asked, due_at=due_at)


def back_again(work: Work, ref: str, index: int) -> None:
    """They have come back to the same visit: when it is past its time they have their time again."""
    visit = work.visit(ref)
    if visit is not None and visit.overrun_at <= work.now:
        again = check_out.again_after(work.policy_for(visit.service_user))
        _emit(work, visit, index, "waiting", work.now + again, reason="back_again")


# --- what becomes of the questions ---


def on_settled(work: Work, message: Message, result: Result) -> None:
    """A text that could not be sent, or a call that nobody answered: the next step at once (design rule 6)."""
    visit = work.visit(message.visit)
    index = _place_of(visit, message.person) if visit is not None else None
    if visit is None or index is None or message.template not in CHECK_OUT_WORDS:
        return
    leaving = visit.places[index].leaving
    if leaving is None or message.intended_at < leaving.since or message.proof is not None:
        return
    if message.channel == "sms" and leaving.step == "texted" and result == "failed":
        _ring(work, visit, index, None)
    elif message.channel == "call" and leaving.step == "rung" and result != "delivered":
        _not_heard(work, visit, index, result)


def _not_heard(work: Work, visit: Visit, index: int, result: Result) -> None:
    place = visit.places[index]
    case = _case(work, visit, place.worker)
    rings = place.leaving.rings if place.leaving is not None else 0
    if check_out.rung_once_more(case, result, rings):
        later = work.now + check_out.gives_up(case.policy)
        _emit(work, visit, index, "again", later, reason=result, rings=rings)
    else:
        _on_call(work, visit, index, _silence(work, place), why=result)


def pointless(work: Work, message: Message) -> str | None:
    """Why the question need not leave any more, or None."""
    visit = work.visit(message.visit)
    index = _place_of(visit, message.person) if visit is not None else None
    if visit is None or index is None or visit.over:
        return "left"
    leaving = visit.places[index].leaving
    return None if leaving is not None and leaving.step in ASKED else "answered"


def _place_of(visit: Visit, worker: str) -> int | None:
    """The place in which they are still inside, as far as is known."""
    for index, place in enumerate(visit.places):
        if place.worker == worker and place.inside:
            return index
    return None


def _take_back(work: Work, ref: str, worker: str | None, reason: str) -> None:
    visit = work.visit(ref)
    for key in visit.asks if visit is not None else ():
        message = work.message(key)
        if message is None or message.template not in CHECK_OUT_WORDS or message.phase != "queued":
            continue
        if message.person == worker:
            cancel(work, message, reason)


# --- the answers ---


def answered(work: Work, message: Message, answer: Answer, proof: str) -> None:
    """A care worker's answer to CW-6 or its call; silence on an open line is none."""
    visit = work.visit(message.visit)
    index = _place_of(visit, message.person) if visit is not None else None
    if message.channel == "sms" and (proof == HELP or (answer == "ring_me" and index is None)):
        ask_for_help(work, None, None, "asked", worker=message.person)
    if visit is None or index is None:
        return
    if answer in ("left", "still_here", "ring_me"):
        say(work, visit, message.person, answer, proof, message.key)
    elif answer == "no_answer_key":
        leaving = visit.places[index].leaving
        if leaving is not None and leaving.step == "rung":
            _on_call(work, visit, index, _silence(work, visit.places[index]), why="no_key")


def say(
    work: Work, visit: Visit, worker: str, answer: f.CheckOutAnswer, proof: str, message: str | None
) -> None:
    """Take what a care worker says about leaving, whichever way it came."""
    index = _place_of(visit, worker)
    if index is None or _said_just_now(work, visit.places[index], answer):
        return
    alert = lone_alert(work, visit, worker)
    again = work.now + check_out.again_after(work.policy_for(visit.service_user))
    heard = f.CheckOutAnswered(
        index=index,
        worker=worker,
        answer=answer,
        proof=proof,
        next_at=again if answer == "still_here" else None,
    )
    work.emit(visit.ref, heard)
    reached = f.PersonReached(
        person=worker, purpose="ask_worker", proof=proof, answer=answer, message=message
    )
    work.emit(alert.ref if alert is not None else visit.ref, reached)
    _take_back(work, visit.ref, worker, "answered")
    _FOLLOWS[answer](work, visit, index, proof)


def _said_just_now(work: Work, place: Place, answer: f.CheckOutAnswer) -> bool:
    """The network may hand us a text twice when we were killed over the first one."""
    leaving = place.leaving
    return leaving is not None and leaving.step == answer and work.now - leaving.since <= TWICE


def _left(work: Work, visit: Visit, index: int, proof: str) -> None:
    worker = visit.places[index].worker
    claimed = f.DepartureRecorded(
        index=index, left_at=None, worker=worker, verdicts=("left_time_unknown",), claim=proof
    )
    work.emit(visit.ref, claimed)
    _found(work, visit, worker, proof, "left")
    next_occasion(work, visit.ref)


def _still_here(work: Work, visit: Visit, index: int, proof: str) -> None:
    """They are asked again after a while."""
    _found(work, visit, visit.places[index].worker, proof, "still_here")


def _found(work: Work, visit: Visit, worker: str | None, proof: str, outcome: str) -> None:
    """A human answered: nobody has to look for them now."""
    alert = lone_alert(work, visit, worker)
    if alert is None:
        return
    kind, _, by = proof.partition(":")
    if kind == "person":
        end_alert(work, alert, "outcome_recorded", by=by, outcome=outcome)
    else:
        end_alert(work, alert, "late_evidence", outcome=outcome)


def _ring_me(work: Work, visit: Visit, index: int, proof: str) -> None:
    alert = lone_alert(work, visit, visit.places[index].worker)
    if alert is None:
        _on_call(work, visit, index, RING_ME)
    else:
        tell_staff(work, alert, "OC-113", about=visit.places[index].worker)


_FOLLOWS = {"left": _left, "still_here": _still_here, "ring_me": _ring_me}


# --- the end ---


def lone_alert(work: Work, visit: Visit, worker: str | None) -> Alert | None:
    """The open alert about this care worker at this visit."""
    current = work.visit(visit.ref) or visit
    found = [a for a in work.open_alerts(current) if a.kind == "lone_worker" and a.worker == worker]
    return found[0] if found else None


def over(work: Work, ref: str) -> None:
    """Somebody has left: what waits to be asked of them is taken back, and nobody has to look for them any more."""
    visit = work.visit(ref)
    for place in visit.places if visit is not None else ():
        if place.left:
            _take_back(work, ref, place.worker, "left")
    for alert in work.open_alerts(visit) if visit is not None else []:
        if alert.kind == "lone_worker" and visit is not None and _has_left(visit, alert):
            end_alert(work, alert, "late_evidence")


def _has_left(visit: Visit, alert: Alert) -> bool:
    return not any(place.inside and place.worker == alert.worker for place in visit.places)


def settled(work: Work, alert: Alert, by: str, *, merged: bool) -> None:
    """A named person of ours has closed the alert: they know where the care worker is, and nobody is asked again. When
    they left stays unknown, unless a check-out still comes. Of one that was merged into another alert nothing is known
    yet: they are asked again after a while."""
    visit = work.visit(alert.visit)
    if alert.kind != "lone_worker" or visit is None:
        return
    for index, place in enumerate(visit.places):
        if not place.inside or place.worker != alert.worker:
            continue
        if merged:
            again = check_out.again_after(work.policy_for(visit.service_user))
            _emit(work, visit, index, "waiting", work.now + again, reason="merged")
        else:
            closed = f.DepartureRecorded(
                index=index,
                left_at=None,
                worker=place.worker,
                verdicts=("left_time_unknown",),
                claim=f"person:{by}",
            )
            work.emit(visit.ref, closed)
    over(work, visit.ref)
    next_occasion(work, visit.ref)


def next_occasion(work: Work, ref: str) -> None:
    """Everybody has left, and the rota has moved the visit to a later occasion meanwhile: that one is watched."""
    visit = work.visit(ref)
    if visit is None or not visit.all_left or visit.cancelled or visit.resolved:
        return
    policy = work.policy_for(visit.service_user)
    if came_for_another(visit, visit.start, policy):
        work.emit(ref, planned_again(visit, policy))
