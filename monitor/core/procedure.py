"""The late-visit procedure: how *locate*, *replace* and *inform* hang together (spec 22.2-22.7; domain.md section 2).

Each track is a small machine of its own in `escalation/`. Here is what the end of one sets off in another, as rules
that look at where the tracks stand (`follow`): they are asked after every decision that raised an alert or moved a
track, so that no way into a state can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from msgspec import structs

from escalation import locate, reassure
from escalation.replace import OFFERS
from escalation.replies import Answer
from escalation.track import Move, Track, TrackName
from monitor.core import at_door, incidents, offers
from monitor.core import facts as f
from monitor.core.alerts import (
    move,
    open_messages,
    person_for,
    reassure_after_all,
    rests,
    tell_staff,
    withdraw,
)
from monitor.core.asking import eta, heard, metres_to, missing_workers, remind
from monitor.core.asking import spoke as has_spoken
from monitor.core.causes import AT_DOOR
from monitor.core.council import RING_DESK, breach, council_deadline, council_is_rung, council_moves
from monitor.core.council import pointless as council_pointless
from monitor.core.counted import need, said_by, visit_of
from monitor.core.informing import inform_begins, inform_deadline, inform_rests, inform_settled
from monitor.core.overdue import WHERE
from monitor.core.replacing import (
    next_wave_if_all_declined,
    nobody_left,
    replace_begins,
    replace_covered,
    replace_deadline,
    replace_rests,
    replace_sent,
    replacement_says,
    serve,
    told_in_vain,
    warn_at_rest,
    where_failed,
)
from monitor.core.state import Alert, Message, Visit
from monitor.core.weather import eases
from monitor.core.work import Decision, Work

ON_THE_WAY = timedelta(minutes=15)
"""A position this young that is nearer than the one before says that somebody is driving there (ours)."""
NEARER_M = 200.0
"""By so much: a phone that lies on a table wanders by less (ours)."""


def follow(work: Work, decision: Decision) -> Decision:
    """What the facts of this decision set off in the tracks of the same alerts. Returns the decision with them."""
    before = len(work.drafts)
    _until_still(work)
    looked = 0
    while looked < len(work.drafts) and offers.any_owed(work):
        freed, looked = offers.freed(work, looked), len(work.drafts)
        if freed:
            serve(work, freed)
            _until_still(work)
    if len(work.drafts) == before:
        return decision
    whole = work.decision()
    return structs.replace(decision, drafts=whole.drafts, folds=whole.folds)


def _until_still(work: Work) -> None:
    while work.touched:
        ref, _ = work.touched.popitem()
        _follow(work, ref)
        incidents.follow(work, ref)
        at_door.follow(work, ref)


def _follow(work: Work, ref: str) -> None:
    alert = work.alert(ref)
    if alert is None or alert.state == "ended" or alert.hour_at is None:
        return
    visit = visit_of(work, alert)
    if visit is None:
        return
    if visit.at_door:
        at_door.stands(work, alert, visit)
        return
    current, decided = alert, len(work.drafts)
    for rule in RULES:
        if len(work.drafts) != decided:
            current, decided = work.alert(ref) or alert, len(work.drafts)
        if current.state == "ended":
            return
        rule(work, current, visit)


# --- locate ---


def locate_case(
    work: Work, alert: Alert, visit: Visit, workers: Sequence[str] | None = None
) -> locate.LocateCase:
    """The care workers who are planned and not there, and of whom it is not known whether they come."""
    missing = [w for w in missing_workers(visit) if not has_spoken(visit, w, work.now)]
    return locate.LocateCase(
        policy=work.policy(alert),
        now=work.now,
        workers=tuple(
            person_for(work, worker, visit.service_user)
            for worker in (missing if workers is None else workers)
        ),
        driving=any(_driving(work, worker, visit) for worker in missing),
        time_critical=alert.time_critical,
    )


def _driving(work: Work, worker: str, visit: Visit) -> bool:
    """Their last two positions on shift say that they come nearer (domain.md: *driving*)."""
    known = work.ctx.positions.get(worker)
    last, first = metres_to(work, worker, visit), metres_to(work, worker, visit, before=True)
    if known is None or last is None or first is None or work.now - known[0] > ON_THE_WAY:
        return False
    return last < first - NEARER_M


def _locate_begins(work: Work, alert: Alert, visit: Visit) -> None:
    if alert.track("locate") is not None or alert.track("summon") is None:
        return
    first = _first_locate(work, alert, visit)
    move(work, alert, first)
    if (first.track.step, first.track.reason) == ("reached", "there"):
        remind(work, visit, alert)


def _first_locate(work: Work, alert: Alert, visit: Visit) -> Move:
    """What is known already is not asked again."""
    case = locate_case(work, alert, visit)
    return locate.begin(case) if case.workers else _all_said(work, alert, visit, 0) or locate.begin(case)


def _all_said(work: Work, alert: Alert, visit: Visit, round_: int) -> Move | None:
    """What the answers of all of them amount to; None when there is none. A claim is looked at first, then the first
    of the promised times."""
    said = [entry for w in missing_workers(visit) if (entry := said_by(visit, w)) is not None]
    if not said:
        return None
    claims = [max(e.claimed_at or e.said_at, alert.opened_at) for e in said if e.answer == "there"]
    if claims:
        return locate.claimed(work.policy(alert), work.now, max(claims), round_)
    times = [entry.eta_at for entry in said if entry.eta_at is not None and entry.eta_at >= work.now]
    return locate.promised(work.policy(alert), min(times), round_=round_) if times else locate.cannot(round_)


def _door_is_over(work: Work, alert: Alert, visit: Visit) -> None:
    """*No reply* ended without an arrival or an outcome: where they are is asked again, and the rest goes on."""
    track = alert.track("locate")
    if track is not None and track.reason == AT_DOOR:
        move(work, alert, _first_locate(work, alert, visit))
        at_door.leaves(work, work.alert(alert.ref) or alert)


def _locate_again(work: Work, alert: Alert, visit: Visit) -> None:
    """The rota names somebody else meanwhile: they are asked as well, wherever the asking stood."""
    track = alert.track("locate")
    if track is None or track.step == "trying":
        return
    asked = {message.person for message in work.messages_of(alert) if message.purpose == "locate"}
    new = [w for w in missing_workers(visit) if w not in asked and said_by(visit, w) is None]
    new = [w for w in new if all(sent.worker != w for sent in alert.sent)]
    if not new:
        return
    case = locate_case(work, alert, visit, new)
    if any(worker.reachable for worker in case.workers):
        move(work, alert, locate.begin(case, "replanned"))


def worker_answered(work: Work, message: Message, answer: Answer, proof: str, minutes: int | None) -> None:
    """A care worker's answer to CW-1, CW-2 or CWV-1."""
    visit = work.visit(message.visit)
    if visit is None or answer not in ("there", "on_my_way", "cannot"):
        return
    say(work, visit, message.person, answer, proof, minutes, message.key)


def say(
    work: Work,
    visit: Visit,
    worker: str,
    answer: f.WorkerAnswer,
    proof: str,
    minutes: int | None,
    message: str | None,
) -> None:
    """Take what a care worker says about where they are, whichever way it came."""
    if _runs_already(work, visit, worker, answer):
        return
    heard(work, visit, worker, answer, proof, minutes, message)
    current = work.visit(visit.ref) or visit
    for alert in work.open_alerts(current):
        track = alert.track("locate")
        if alert.hour_at is None or track is None:
            continue
        if any(sent.worker == worker for sent in alert.sent):
            replacement_says(work, alert, current, worker, answer, minutes)
            continue
        withdraw(work, alert, "locate", worker)
        if worker in missing_workers(current):
            _locate_heard(work, alert, current, track)
        tell_staff(
            work,
            alert,
            {"there": "OC-62", "on_my_way": "OC-63", "cannot": "OC-64"}[answer]
            if answer != "cannot" or eases(work, alert) is None
            else "OC-121",
            about=worker,
            at=eta(work, minutes) if answer == "on_my_way" else None,
        )


def _runs_already(work: Work, visit: Visit, worker: str, answer: f.WorkerAnswer) -> bool:
    """They cannot get there, have said so, and the procedure runs on it: said once more it changes nothing."""
    said = said_by(visit, worker)
    if said is None or answer != "cannot" or said.answer != answer:
        return False
    runs = [a for a in work.open_alerts(visit) if a.hour_at is not None and a.track("locate") is not None]
    return bool(runs) and not any(sent.worker == worker for alert in runs for sent in alert.sent)


def _locate_heard(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    """One of them has said where they are; while another is being asked, that goes on."""
    silent = [w for w in missing_workers(visit) if not has_spoken(visit, w, work.now)]
    following = _all_said(work, alert, visit, track.round)
    if (track.step == "trying" and silent) or following is None:
        work.touched[alert.ref] = None
    else:
        move(work, alert, following)


def second_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    """Who is there alone says whether the second one is there too: a claim about a colleague, as good as their own."""
    visit = work.visit(alert.visit)
    if visit is None or answer not in ("second_here", "second_not_here"):
        return
    reached = f.PersonReached(
        person=message.person, purpose="locate", proof=proof, answer=answer, message=message.key
    )
    work.emit(alert.ref, reached)
    missing = missing_workers(visit)
    if answer == "second_here" and missing and alert.state != "ended":
        say(work, visit, missing[0], "there", proof, None, None)


def _reassure_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """*There* without a check-in was waited for in vain: the service user is rung after all."""
    spoken, where = alert.track("reassure"), alert.track("locate")
    if spoken is None or where is None or where.reason != "not_checked_in":
        return
    if (spoken.step, spoken.reason) == ("skipped", "claimed_there"):
        reassure_after_all(work, alert)


# --- deadlines ---


def on_deadline(work: Work, alert: Alert) -> None:
    """Each track of the procedure whose moment has come goes on."""
    visit = visit_of(work, alert)
    if alert.state == "ended":
        return
    if visit is None:
        _nothing_left(work, alert)
        return
    for name in _DEADLINES:
        current = work.alert(alert.ref)
        track = current.track(name) if current is not None else None
        if current is None or track is None or track.next_at is None or track.next_at > work.now:
            continue
        if track.rests(work.now):
            warn_at_rest(work, current, track)
            continue
        _DEADLINES[name](work, current, visit, track)
    current = work.alert(alert.ref)
    council = current.council if current is not None else None
    if (
        current is not None
        and council is not None
        and council.next_at is not None
        and council.next_at <= work.now
    ):
        council_deadline(work, current, council)


def _nothing_left(work: Work, alert: Alert) -> None:
    """The visit has left the state before its alert: there is nowhere to send anybody. Staff have the alert still."""
    for name in _DEADLINES:
        track = alert.track(name)
        if track is not None and track.next_at is not None:
            gone = Track(name=name, step="done", reason="visit_gone", index=track.index, round=track.round)
            move(work, alert, Move(track=gone))
    if alert.council is not None and alert.council.next_at is not None:
        over = structs.replace(alert.council, step="done", reason="visit_gone", next_at=None)
        council_moves(work, alert, over)


def locate_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    """The next step of finding the care worker."""
    move(work, alert, _unless_others_come(work, alert, visit, track, locate.on_deadline))


def _unless_others_come(
    work: Work,
    alert: Alert,
    visit: Visit,
    track: Track,
    step: Callable[[locate.LocateCase, Track], Move],
) -> Move:
    """The silence of one of two says nothing about the other, who has named a time or claims to be there."""
    following = step(locate_case(work, alert, visit), track)
    if following.track.step not in ("not_reached", "skipped") or track.step != "trying":
        return following
    others = _all_said(work, alert, visit, track.round)
    return others if others is not None and others.track.step == "reached" else following


_DEADLINES: dict[TrackName, Callable[[Work, Alert, Visit, Track], None]] = {
    "locate": locate_deadline,
    "replace": replace_deadline,
    "inform": inform_deadline,
}


# --- messages that came to their end ---

TRACK_OF: dict[str, TrackName] = {"locate": "locate", "offer": "replace", "inform_next_of_kin": "inform"}
"""By purpose: the track that a message which came to its end may move."""


def on_settled(work: Work, message: Message, result: str) -> None:
    """A failed or empty step advances at once (design rule 6)."""
    alert = work.alert(message.alert)
    visit = visit_of(work, alert) if alert is not None else None
    if alert is None or visit is None or alert.state == "ended":
        return
    name = TRACK_OF.get(message.purpose)
    if name is not None and rests(work, alert, name):
        return
    if message.purpose == "locate":
        _locate_settled(work, alert, visit, message, result)
    elif message.purpose == "tell_replacement":
        told_in_vain(work, alert, visit, message, result)
    elif (
        message.purpose == "offer"
        and message.template in OFFERS
        and result in ("failed", "voicemail", "no_answer", "busy")
    ):
        next_wave_if_all_declined(work, alert, visit)
    elif message.purpose == "inform_next_of_kin":
        inform_settled(work, alert, message, result)
    if message.purpose == "reassure":
        work.touched[alert.ref] = None


def pointless(work: Work, alert: Alert, message: Message) -> str | None:
    """Why a message of the procedure need not leave any more, or None."""
    visit = visit_of(work, alert)
    if visit is None:
        return "visit_gone"
    if message.template == RING_DESK:
        return council_pointless(work, alert, message)
    if message.purpose == "locate":
        there = any(place.worker == message.person and place.arrived_at for place in visit.places)
        if message.template == WHERE and all(sent.worker != message.person for sent in alert.sent):
            return "not_coming"
        return "arrived" if there else None
    if message.template in OFFERS:
        return "covered" if need(alert, visit, work.now) == 0 else None
    if message.purpose == "tell_replacement" and all(sent.worker != message.about for sent in alert.sent):
        return "not_coming"
    if message.purpose in ("inform_next_of_kin", "tell_replacement", "inform_council"):
        person = work.ctx.people.person(alert.service_user) if alert.service_user else None
        if reassure.mode_of(person, work.state.values.public) == "off":
            return "public_off"
    track = alert.track("inform")
    told = track is not None and track.step == "reached"
    return "told" if told and message.purpose == "inform_next_of_kin" else None


def _locate_settled(work: Work, alert: Alert, visit: Visit, message: Message, result: str) -> None:
    track = alert.track("locate")
    if track is None or result != "failed" or message.proof is not None:
        return
    if any(sent.worker == message.person for sent in alert.sent):
        where_failed(work, alert, visit, message)
        return
    if open_messages(work, alert, "locate"):
        return
    if locate.on_failed(locate_case(work, alert, visit), track) is not None:
        move(work, alert, _unless_others_come(work, alert, visit, track, locate.on_deadline))


RULES: tuple[Callable[[Work, Alert, Visit], None], ...] = (
    _locate_begins,
    _door_is_over,
    _locate_again,
    _reassure_begins,
    replace_sent,
    replace_begins,
    replace_covered,
    replace_rests,
    nobody_left,
    inform_begins,
    inform_rests,
    breach,
    council_is_rung,
)
"""In this order: what one of them has decided, the next one sees."""
