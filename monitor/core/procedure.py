"""The late-visit procedure: how *locate*, *replace* and *inform* hang together (spec 22.2-22.7; domain.md section 2).

Each track is a small machine of its own in `escalation/`. Here is what the end of one sets off in another, as rules
that look at where the tracks stand (`follow`): they are asked after every decision that raised an alert or moved a
track, so that no way into a state can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import structs

from escalation import inform, locate, reassure, replace
from escalation.candidates import unknown_drive
from escalation.inform import Council
from escalation.people import LineView, PersonView
from escalation.replies import Answer
from escalation.track import Contact, ContactChannel, ContactPurpose, Move, Track, TrackName
from monitor.core import facts as f
from monitor.core import incidents
from monitor.core.alerts import (
    cancel,
    held,
    intend,
    move,
    never_left,
    open_messages,
    person_for,
    reassure_after_all,
    reassure_case,
    reassured,
    record,
    responsible,
    rests,
    right_lines,
    strangers_line,
    tell_covered,
    tell_person,
    tell_staff,
)
from monitor.core.asking import eta, heard, metres_to, missing_workers, remind
from monitor.core.asking import spoke as has_spoken
from monitor.core.cover import able
from monitor.core.state import Alert, Message, Said, Sent, Visit
from monitor.core.work import Decision, Work

ON_THE_WAY = timedelta(minutes=15)
"""A position this young that is nearer than the one before says that somebody is driving there (ours)."""
NEARER_M = 200.0
"""By so much: a phone that lies on a table wanders by less (ours)."""
HOUR_PASSED = "hour_passed"
"""Reason for which the council is told that nobody was sent within the hour."""
UNREACHABLE = frozenset({"no_line", "nobody_known"})


def follow(work: Work, decision: Decision) -> Decision:
    """What the facts of this decision set off in the tracks of the same alerts. Returns the decision with them."""
    if not work.touched:
        return decision
    before = len(work.drafts)
    while work.touched:
        ref, _ = work.touched.popitem()
        _follow(work, ref)
        incidents.follow(work, ref)
    if len(work.drafts) == before:
        return decision
    whole = work.decision()
    return structs.replace(decision, drafts=whole.drafts, folds=whole.folds)


def _follow(work: Work, ref: str) -> None:
    alert = work.alert(ref)
    if alert is None or alert.state == "ended" or alert.hour_at is None:
        return
    visit = visit_of(work, alert)
    if visit is None:
        return
    current, decided = alert, len(work.drafts)
    for rule in RULES:
        if len(work.drafts) != decided:
            current, decided = work.alert(ref) or alert, len(work.drafts)
        if current.state == "ended":
            return
        rule(work, current, visit)


def visit_of(work: Work, alert: Alert) -> Visit | None:
    """The visit that the alert is about; None when it has left the state, or the rota gave it to somebody else."""
    visit = work.visit(alert.visit)
    return visit if visit is not None and visit.service_user == alert.service_user else None


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


def _said(visit: Visit, worker: str) -> Said | None:
    return next((entry for entry in visit.said if entry.worker == worker), None)


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
    said = [entry for w in missing_workers(visit) if (entry := _said(visit, w)) is not None]
    if not said:
        return None
    if any(entry.answer == "there" for entry in said):
        return locate.claimed(work.policy(alert), work.now)
    times = [entry.eta_at for entry in said if entry.eta_at is not None and entry.eta_at >= work.now]
    return locate.promised(work.policy(alert), min(times), round_=round_) if times else locate.cannot(round_)


def _locate_again(work: Work, alert: Alert, visit: Visit) -> None:
    """The rota names somebody else meanwhile: they are asked as well, wherever the asking stood."""
    track = alert.track("locate")
    if track is None or track.step == "trying":
        return
    asked = {message.person for message in work.messages_of(alert) if message.purpose == "locate"}
    new = [w for w in missing_workers(visit) if w not in asked and _said(visit, w) is None]
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
    if _known_already(work, visit, worker, answer, minutes):
        return  # the network may hand us a text twice when we were killed over the first one
    heard(work, visit, worker, answer, proof, minutes, message)
    current = work.visit(visit.ref) or visit
    for alert in work.open_alerts(current):
        track = alert.track("locate")
        if alert.hour_at is None or track is None:
            continue
        if any(sent.worker == worker for sent in alert.sent):
            _replacement_says(work, alert, current, worker, answer, minutes)
            continue
        _withdraw(work, alert, "locate", worker)
        if worker in missing_workers(current):
            _locate_heard(work, alert, current, track)
        tell_staff(
            work,
            alert,
            {"there": "OC-62", "on_my_way": "OC-63", "cannot": "OC-64"}[answer],
            about=worker,
            at=eta(work, minutes) if answer == "on_my_way" else None,
        )


TWICE = timedelta(seconds=30)
"""The same answer again so soon is the same text, or a second press of the thumb (ours)."""


def _known_already(
    work: Work, visit: Visit, worker: str, answer: f.WorkerAnswer, minutes: int | None
) -> bool:
    """It was said a moment ago; or they cannot get there, and the procedure runs on it."""
    said = _said(visit, worker)
    if said is None or said.answer != answer:
        return False
    runs = [a for a in work.open_alerts(visit) if a.hour_at is not None and a.track("locate") is not None]
    if any(sent.worker == worker for alert in runs for sent in alert.sent):
        return False
    if answer == "cannot":
        return bool(runs)
    promised = said.eta_at is None or abs(eta(work, minutes) - said.eta_at) <= TWICE
    return promised and work.now - said.said_at <= TWICE


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


def _cannot(visit: Visit, worker: str) -> bool:
    said = _said(visit, worker)
    return said is not None and said.answer == "cannot"


def _withdraw(work: Work, alert: Alert, purpose: str, worker: str | None = None) -> None:
    for message in open_messages(work, alert, purpose):
        if message.phase == "queued" and worker in (None, message.person):
            cancel(work, message, "answered")


def _reassure_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """*There* without a check-in was waited for in vain: the service user is rung after all."""
    spoken, where = alert.track("reassure"), alert.track("locate")
    if spoken is None or where is None or where.reason != "not_checked_in":
        return
    if (spoken.step, spoken.reason) == ("skipped", "claimed_there"):
        reassure_after_all(work, alert)


# --- replace ---


def expected(alert: Alert, visit: Visit, worker: str, now: datetime) -> bool:
    """Whether this care worker, who is planned and not there, is counted on still: they are being asked, they claim to
    be there and a check-in is waited for, or they have promised a time within the hour that has not passed for good."""
    track, said = alert.track("locate"), _said(visit, worker)
    step = track.step if track is not None else "trying"
    if said is None:
        return step == "trying"
    if said.answer == "cannot":
        return False
    if said.eta_at is None:
        return step in ("trying", "reached")
    in_time = alert.hour_at is None or said.eta_at <= alert.hour_at
    return in_time and (now < said.eta_at or step in ("trying", "reached"))


def places_open(alert: Alert, visit: Visit) -> int:
    """How many places have neither an arrival nor somebody who was sent."""
    missing = sum(1 for place in visit.places if place.arrived_at is None)
    return max(missing - len(_on_the_way(alert, visit)), 0)


def _on_the_way(alert: Alert, visit: Visit) -> list[Sent]:
    """Who was sent and is not there yet."""
    return [sent for sent in alert.sent if not any(place.worker == sent.worker for place in visit.places)]


def need(alert: Alert, visit: Visit, now: datetime) -> int:
    """How many places want somebody: nobody is there, nobody was sent, nobody is counted on any more."""
    counted = sum(1 for worker in missing_workers(visit) if expected(alert, visit, worker, now))
    return max(places_open(alert, visit) - counted, 0)


def replace_case(work: Work, alert: Alert, visit: Visit, *, asking: bool = True) -> replace.ReplaceCase:
    """Who may be asked next (`asking`), and how many have not answered yet."""
    offers = [m for m in work.messages_of(alert) if m.purpose == "offer" and m.template in OFFERS]
    asked = _asked(work, alert)
    told = asked | set(alert.declined)
    open_ = [m for m in offers if m.person not in alert.declined and m.result not in ("failed", "cancelled")]
    found = tuple(
        replace.Offer(
            person=person_for(work, score.ref, visit.service_user),
            drive_min=round(score.drive / timedelta(minutes=1)),
        )
        for score in (able(work, alert, visit) if asking else ())
        if score.barred is None and score.ref not in told
    )
    return replace.ReplaceCase(
        policy=work.policy(alert),
        now=work.now,
        opened_at=alert.opened_at,
        candidates=found,
        waiting=len({m.person for m in open_} & asked - {sent.worker for sent in alert.sent}),
        time_critical=alert.time_critical,
    )


OFFERS = ("CW-7", "CWV-2")


def _asked(work: Work, alert: Alert) -> set[str]:
    """Whose last word from us about it is an offer. Who was told since that it is covered may be asked again."""
    last: dict[str, bool] = {}
    for message in work.messages_of(alert):
        if message.result != "cancelled" and message.template in (*OFFERS, "CW-8B"):
            last[message.person] = message.template in OFFERS
    return {person for person, offered in last.items() if offered}


def _withdraw_offers(work: Work, alert: Alert) -> None:
    for message in open_messages(work, alert, "offer"):
        if message.phase == "queued" and message.template in OFFERS:
            cancel(work, message, "covered")


def _replace_sent(work: Work, alert: Alert, visit: Visit) -> None:
    """Every place has somebody on the way, however that became known."""
    track, going = alert.track("replace"), _on_the_way(alert, visit)
    if track is not None and track.step in ("waiting", "trying") and going and not places_open(alert, visit):
        _withdraw_offers(work, alert)
        move(work, alert, _sent(work, alert, track, going))


def _sent(work: Work, alert: Alert, track: Track, going: list[Sent]) -> Move:
    return replace.sent(work.policy(alert), track, max(sent.eta_at for sent in going), alert.opened_at)


def _replace_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """A place wants somebody, as far as is known: somebody else is asked."""
    track, where = alert.track("replace"), alert.track("locate")
    if track is None or track.step not in ("waiting", "reached") or where is None or track.rests(work.now):
        return
    if need(alert, visit, work.now):
        move(work, alert, replace.begin(replace_case(work, alert, visit), track, where.reason))


def _replace_rests(work: Work, alert: Alert, visit: Visit) -> None:
    """Somebody promised to come in time, or says that they are there: no more offers for now."""
    track, where = alert.track("replace"), alert.track("locate")
    if track is None or track.step != "trying" or where is None or need(alert, visit, work.now):
        return
    _withdraw_offers(work, alert)
    move(work, alert, replace.halted(replace_case(work, alert, visit), track, where.reason))


def _nobody_left(work: Work, alert: Alert, visit: Visit) -> None:
    """Everybody who could go was asked, or nobody could: a person hears it at once, not at half of the hour."""
    track = alert.track("replace")
    if track is None or track.phase != replace.EXHAUSTED or track.index >= replace.BREACH:
        return
    if not any(message.template == "OC-102" for message in work.messages_of(alert)):
        asked = {m.person for m in work.messages_of(alert) if m.template in OFFERS}
        tell_staff(work, alert, "OC-102", count=len(asked))


def offer_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> str | None:
    """An answer to an offer: the first acceptance by the journal's order has it, the others are told at once. Returns
    the step of the call for who has not got it."""
    visit = visit_of(work, alert)
    if visit is None or answer not in ("go", "no", "no_answer_key", "cannot_after_all"):
        return None
    work.emit(
        alert.ref,
        f.PersonReached(
            person=message.person, purpose="offer", proof=proof, answer=answer, message=message.key
        ),
    )
    worker = message.person
    goes = any(sent.worker == worker for sent in alert.sent)
    if answer == "go":
        return _wants_to_go(work, alert, visit, message, proof)
    if answer == "cannot_after_all" or goes:
        give_back(work, alert, visit, worker)
    elif alert.state != "ended":
        work.emit(alert.ref, f.ReplacementDeclined(worker=worker))
        _next_wave_if_all_declined(work, alert, visit)
    return None


def _wants_to_go(work: Work, alert: Alert, visit: Visit, message: Message, proof: str) -> str | None:
    worker = message.person
    mine = next((sent for sent in alert.sent if sent.worker == worker), None)
    if mine is not None and alert.state != "ended":
        # said once more: it is theirs, and they must not hear that it is covered
        _tell_worker(work, alert, visit, worker, "CW-8", at=mine.eta_at)
        return None
    if alert.state == "ended" or need(alert, visit, work.now) == 0:
        if message.channel == "call":
            return "gone"  # they hear it in the call
        tell_covered(work, alert, worker)
        return None
    drive = timedelta(minutes=message.count) if message.count else unknown_drive(work.policy(alert))
    accept(work, alert, visit, worker, work.now + drive, proof, message.key)
    return None


def _next_wave_if_all_declined(work: Work, alert: Alert, visit: Visit) -> None:
    current = work.alert(alert.ref)
    track = current.track("replace") if current else None
    if current is None or track is None or track.rests(work.now):
        return
    following = replace.on_declined(replace_case(work, current, visit), track)
    if following is not None:
        move(work, alert, following)


def accept(
    work: Work, alert: Alert, visit: Visit, worker: str, eta_at: datetime, proof: str, message: str | None
) -> None:
    """A named person goes. The service user is told the name (22.5), the others that it is covered, and who was
    planned that somebody else goes."""
    work.emit(alert.ref, f.ReplacementAccepted(worker=worker, eta_at=eta_at, proof=proof, message=message))
    current = work.alert(alert.ref)
    assert current is not None
    _tell_worker(work, current, visit, worker, "CW-8", at=eta_at)
    track = current.track("replace") or replace.waits(work.policy(alert), alert.opened_at)
    if need(current, visit, work.now) == 0:
        _withdraw_offers(work, current)
        move(work, alert, _sent(work, current, track, _on_the_way(current, visit) or list(current.sent)))
        _tell_the_others(work, current, visit, worker)
    told = alert.kind != "late_visit" or tell_replacement(work, current, visit, worker, eta_at)
    tell_staff(work, current, "OC-65" if told else "OC-100", about=worker, at=eta_at)


def _tell_the_others(work: Work, alert: Alert, visit: Visit, worker: str) -> None:
    """Every place has somebody: who was asked hears that it is covered, and who was planned and is not wanted any more
    that somebody else goes. Of two who are planned, one who is on the way is not sent away for the other's
    replacement, and neither is while a place is still open."""
    gone = {sent.worker for sent in alert.sent} | set(alert.declined)
    for other in sorted(_asked(work, alert) - gone):
        if any(m.attempts and m.person == other and m.channel == "sms" for m in work.messages_of(alert)):
            tell_covered(work, alert, other)
    absent = [one for one in missing_workers(visit) if one != worker]
    coming = [one for one in absent if expected(alert, visit, one, work.now)]
    wanted = coming[: places_open(alert, visit)]
    told = {m.person for m in work.messages_of(alert) if m.template == "CW-9" and m.result != "cancelled"}
    for one in absent:
        if one not in wanted and one not in told and not _cannot(visit, one):
            _tell_worker(work, alert, visit, one, "CW-9", about=worker)


def give_back(work: Work, alert: Alert, visit: Visit, worker: str) -> None:
    """Who had accepted cannot after all: the next wave at once."""
    if alert.state == "ended" or not any(sent.worker == worker for sent in alert.sent):
        return
    work.emit(alert.ref, f.ReplacementDeclined(worker=worker, after_all=True))
    current = work.alert(alert.ref)
    assert current is not None
    move(
        work,
        alert,
        replace.begin(replace_case(work, current, visit), current.track("replace"), "given_back"),
    )
    tell_staff(work, current, "OC-64", about=worker)


def _replacement_says(
    work: Work, alert: Alert, visit: Visit, worker: str, answer: f.WorkerAnswer, minutes: int | None
) -> None:
    """The replacement, asked where they are."""
    if answer == "cannot":
        give_back(work, alert, visit, worker)
        return
    if answer == "on_my_way":
        at = eta(work, minutes)
        work.emit(alert.ref, f.ReplacementAccepted(worker=worker, eta_at=at, proof="again"))
        track, current = alert.track("replace"), work.alert(alert.ref) or alert
        if track is not None and track.step == "reached":
            move(work, alert, _sent(work, current, track, _on_the_way(current, visit) or list(current.sent)))


def _tell_worker(
    work: Work,
    alert: Alert,
    visit: Visit,
    worker: str,
    template: str,
    *,
    about: str | None = None,
    at: datetime | None = None,
) -> None:
    view = person_for(work, worker, visit.service_user)
    line = view.text_line()
    if line is None:
        if template == "CW-9":
            tell_staff(work, alert, "OC-72", about=worker)
        return
    purpose: ContactPurpose = "offer" if template == "CW-8" else "stand_down"
    contact = locate.worker_contact(
        view, line.ref, "sms", work.policy(alert), purpose, template, "time_critical"
    )
    intend(work, structs.replace(contact, about=about, at=at), alert=alert, visit=visit)


def tell_replacement(work: Work, alert: Alert, visit: Visit, worker: str, eta_at: datetime) -> bool:
    """The service user is told who comes instead, by their own channel (22.5). Returns whether the machine does it;
    where it must not, or cannot, a person has to."""
    found = _ways_to_tell(work, alert)
    if not found:
        return False
    rehearsed = reassure.mode(reassure_case(work, alert)) == "off"
    intend(work, _told_by(work, alert, found[0], worker, eta_at, rehearsed), alert=alert, visit=visit)
    return not rehearsed


def _ways_to_tell(work: Work, alert: Alert) -> tuple[tuple[ContactChannel, LineView], ...]:
    """Their own lines. Who speaks for them is told by a person: the words are for the one who is visited."""
    case = reassure_case(work, alert)
    if case.person is None or case.speaker is not None or reassure.left_alone(case) is not None:
        return ()
    return reassure.ways(case.person)


def _told_by(
    work: Work,
    alert: Alert,
    way: tuple[ContactChannel, LineView],
    worker: str,
    eta_at: datetime | None,
    rehearsed: bool,
) -> Contact:
    channel, line = way
    person = work.ctx.people.person(alert.service_user or "")
    own = person.plan.ring_s if person is not None else None
    return Contact(
        person=alert.service_user or "",
        line=line.ref,
        channel=channel,
        purpose="tell_replacement",
        template="SU-6" if channel == "sms" else "SUV-2",
        priority="first_contact",
        ring_s=own or round(work.policy(alert).ring_public.total_seconds()),
        rehearsed=rehearsed,
        about=worker,
        at=eta_at,
    )


def _told_in_vain(work: Work, alert: Alert, visit: Visit, message: Message, result: str) -> None:
    """They have not heard who comes: once more, by the next of their lines, at least `reassure_retry` later; in the end
    a person is asked to tell them (22.5)."""
    if message.proof is not None or result in ("delivered", "cancelled", "rehearsed"):
        return
    if message.about is None or all(sent.worker != message.about for sent in alert.sent):
        return
    policy = work.policy(alert)
    tries = [
        m
        for m in work.messages_of(alert)
        if m.purpose == "tell_replacement" and m.about == message.about and m.result != "cancelled"
    ]
    found = _ways_to_tell(work, alert)
    if len(tries) >= policy.reassure_rounds or not found:
        tell_staff(work, alert, "OC-100", about=message.about, at=message.at)
        return
    way = found[len(tries) % len(found)]
    key = intend(work, _told_by(work, alert, way, message.about, message.at, False), alert=alert, visit=visit)
    if way[1].ref == message.line or result != "failed":
        # their telephone is left in peace for as long as between any two rings
        deferred = f.MessageDeferred(reason="unanswered", next_at=work.now + policy.reassure_retry)
        work.emit(key, deferred)


# --- inform ---


def kin_of(work: Work, alert: Alert) -> tuple[PersonView, ...]:
    """Next of kin in their order, without those who must never be told."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    if person is None:
        return ()
    known = (ref for ref in person.next_of_kin if work.ctx.people.person(ref) is not None)
    views = (right_lines(work, alert, person_for(work, ref, person.ref)) for ref in known)
    return tuple(view for view in views if view.ref not in person.plan.never_tell)


def inform_case(work: Work, alert: Alert) -> inform.InformCase:
    """Who may be told, and whether for real."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    return inform.InformCase(
        policy=work.policy(alert),
        now=work.now,
        kin=kin_of(work, alert),
        held=held(work, alert, "inform_next_of_kin"),
        rehearsed=reassure.mode_of(person, work.state.values.public) == "off",
    )


def unanswered(work: Work, alert: Alert) -> int:
    """So many tries to reach the service user have ended without a human answering."""
    return sum(
        1
        for message in work.messages_of(alert)
        if message.purpose == "reassure"
        and message.phase == "settled"
        and message.proof is None
        and (message.result not in ("cancelled", "rehearsed") or never_left(message))
    )


def _inform_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """They cannot be reached: next of kin and council are told (22.6). A step that a plan skips is not that."""
    track, spoken = alert.track("inform"), alert.track("reassure")
    if spoken is None or (track is not None and (track.step != "waiting" or track.rests(work.now))):
        return
    policy = work.policy(alert)
    if _claimed(alert):
        if track is None:
            move(work, alert, inform.waits("claimed_there", work.now + policy.replace_within / 2))
        return
    tried = spoken.step == "trying" and unanswered(work, alert) >= policy.inform_after_rounds
    if spoken.step == "not_reached" or tried or (spoken.step == "skipped" and spoken.reason in UNREACHABLE):
        inform_now(work, alert, "not_reached" if spoken.step != "skipped" else spoken.reason)
    elif (
        spoken.step == "skipped"
        and track is None
        and spoken.reason != "in_digest"
        and spoken.reason != "too_old"
    ):
        move(work, alert, inform.waits(spoken.reason, work.now + policy.replace_within / 2))


def _claimed(alert: Alert) -> bool:
    where = alert.track("locate")
    return where is not None and (where.step, where.reason) == ("reached", "there")


def inform_now(work: Work, alert: Alert, reason: str) -> None:
    """Next of kin and council are told from now on."""
    move(work, alert, inform.begin(inform_case(work, alert), reason))
    if alert.council is None or alert.council.step == "waiting":
        council_begins(work, alert, reason)


def _inform_rests(work: Work, alert: Alert, visit: Visit) -> None:
    """The service user has answered after all: nobody else is rung about not reaching them."""
    track, spoken = alert.track("inform"), alert.track("reassure")
    if spoken is None or spoken.step != "reached":
        return
    if track is not None and track.step in ("waiting", "trying"):
        _withdraw(work, alert, "inform_next_of_kin")
        done = Track(name="inform", step="done", reason="reached", index=track.index, round=track.round)
        move(work, alert, Move(track=done))
    breach = alert.track("replace")
    if (
        alert.council is not None
        and alert.council.step == "trying"
        and (breach is None or breach.index < replace.BREACH)
    ):
        council_moves(
            work, alert, structs.replace(alert.council, step="done", reason="reached", next_at=None)
        )


def kin_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    """A next of kin answered by key or code. What they say calls nothing off: the visit stays in place."""
    track = alert.track("inform")
    if answer in ("no_key", "no_answer_key") or alert.state == "ended" or track is None:
        return
    if answer == "wrong_number":
        strangers_line(work, message)
        _withdraw(work, alert, "inform_next_of_kin", message.person)
        tell_staff(work, alert, "OC-66", about=message.person)
        if track.step == "trying":
            _next_kin(work, alert, track, "wrong_number")
        return
    work.emit(
        alert.ref,
        f.PersonReached(
            person=message.person,
            purpose="inform_next_of_kin",
            proof=proof,
            answer=answer,
            message=message.key,
        ),
    )
    _withdraw(work, alert, "inform_next_of_kin")
    move(work, alert, inform.told(track, answer))
    tell_staff(work, alert, "OC-67" if answer == "ring_me" else "OC-68", about=message.person)


def _next_kin(work: Work, alert: Alert, track: Track, reason: str) -> None:
    """The next of them; when all were tried in vain somebody of ours hears it: no ladder ends in silence."""
    case = inform_case(work, alert)
    following = inform.on_unanswered(case, track, reason)
    move(work, alert, following)
    # in rehearsal nobody was rung, so nobody can be said not to have answered
    if following.track.step == "not_reached" and not case.rehearsed:
        tell_staff(work, alert, "OC-101", count=following.track.round)


def kin_told(work: Work, alert: Alert, by: str, person: str | None) -> None:
    """A named member of staff spoke to a next of kin, whoever rang whom."""
    proof = f"person:{by}"
    kin = kin_of(work, alert)
    told = person or (kin[0].ref if kin else None)
    if told is not None:
        reached = f.PersonReached(person=told, purpose="inform_next_of_kin", proof=proof, answer="spoke")
        work.emit(alert.ref, reached)
    _withdraw(work, alert, "inform_next_of_kin")
    track = alert.track("inform") or Track(name="inform", step="waiting", reason="")
    move(work, alert, inform.told(track, "spoke"))


def inform_settled(work: Work, alert: Alert, message: Message, result: str) -> None:
    """A try to reach a next of kin ended: unless a human answered, the next one at once."""
    track = alert.track("inform")
    if track is None or track.step != "trying" or message.proof is not None or message.channel == "sms":
        return
    later = [
        m
        for m in work.messages_of(alert)
        if m.purpose == message.purpose and m.intended_at > message.intended_at
    ]
    if later or result in ("cancelled", "rehearsed", "delivered"):
        return
    case = inform_case(work, alert)
    if result == "failed" and never_left(work.message(message.key) or message):
        move(work, alert, _without_texts_sent(work, alert, inform.again(case, track)))
        return
    last = track.index + 1 >= len(case.kin)
    if last and track.round < inform.KIN_ROUNDS:
        soon = work.now + work.policy(alert).reassure_retry
        if track.next_at is not None and track.next_at > soon:
            move(work, alert, Move(track=structs.replace(track, next_at=soon)))
        return  # the first one again, but not at once: their telephone is left in peace until the moment set
    _next_kin(work, alert, track, "unanswered")


def _without_texts_sent(work: Work, alert: Alert, to: Move) -> Move:
    """A call that could not leave is tried again; the text beside it is not, unless it could not leave either."""
    texts = [m for m in work.messages_of(alert) if m.purpose == "inform_next_of_kin" and m.channel == "sms"]
    had = {m.line for m in texts if m.attempts or m.phase == "queued"}
    kept = (contact for contact in to.contacts if contact.channel != "sms" or contact.line not in had)
    return Move(track=to.track, contacts=tuple(kept))


# --- the council ---


def council_desk(work: Work, alert: Alert) -> str | None:
    """The council desk that answers now, by the person's contract and group; None for a private contract."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    return work.state.council_desk(person, work.now)


def council_begins(work: Work, alert: Alert, reason: str) -> None:
    """The mail goes at once; a person of ours tells them by telephone."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    private = not work.state.has_council(person)
    desk = council_desk(work, alert)
    begun = inform.council_begin(work.policy(alert), work.now, desk, reason, private=private)
    council_moves(work, alert, begun)


def council_moves(work: Work, alert: Alert, council: Council, by: str | None = None) -> None:
    """Record how far the council has been told, and what follows from it."""
    before = alert.council.tries if alert.council is not None else 0
    work.emit(
        alert.ref,
        f.CouncilMoved(
            step=council.step,
            reason=council.reason,
            desk=council.desk,
            tries=council.tries,
            next_at=council.next_at,
            by=by,
        ),
        policy=alert.policy,
    )
    if council.step == "trying" and council.desk is not None:
        fresh = before == 0 or (council.tries == 1 and council.reason == HOUR_PASSED)
        _council_try(work, alert, council, first=fresh)


def _council_try(work: Work, alert: Alert, council: Council, *, first: bool) -> None:
    case = inform_case(work, alert)
    assert council.desk is not None
    if first or council.tries == inform.COUNCIL_TRIES + 1:
        # the second mail says "not answered": the three tries stand in it
        mail = Contact(
            person=council.desk,
            line="",
            channel="email",
            purpose="inform_council",
            template="CO-2",
            priority="time_critical",
            rehearsed=case.rehearsed,
            count=council.tries - 1,
        )
        intend(work, mail, alert=alert)
    if case.rehearsed:
        return
    tell_staff(work, alert, "OC-61", about=council.desk, count=council.tries)
    if council.tries == inform.COUNCIL_TRIES + 1:
        for manager in managers(work):
            tell_person(work, alert, manager, "RM-2", count=inform.COUNCIL_TRIES)


def council_told(work: Work, alert: Alert, by: str) -> None:
    """A named person of ours has told them."""
    council_moves(work, alert, inform.council_told(alert.council, "told"), by=by)


def managers(work: Work) -> list[str]:
    """The registered manager, or her deputies, in order (17.1)."""
    return list(dict.fromkeys(entry.person for entry in work.state.values.duty if entry.role == "manager"))


# --- the hour ---


def _breach(work: Work, alert: Alert, visit: Visit) -> None:
    """The hour passed and nobody was sent: registered manager and council (domain.md, "Ending")."""
    track = alert.track("replace")
    if track is None or track.index < replace.BREACH or (track.step, track.reason) == ("reached", "sent"):
        return
    if alert.kind == "late_visit" and (alert.council is None or alert.council.step == "done"):
        council_begins(work, alert, HOUR_PASSED)


def _warn(work: Work, alert: Alert, before: int, after: int) -> None:
    """Somebody of ours hears at half and three quarters of the hour that nobody is sent, and at its end."""
    if after <= before:
        return
    left = round(((alert.hour_at or work.now) - work.now) / timedelta(minutes=1))
    if after < replace.BREACH:
        tell_staff(work, alert, "OC-6", count=max(left, 0))
        return
    for manager in managers(work):
        tell_person(work, alert, manager, "RM-1")
    if responsible(work, alert) not in managers(work):
        tell_staff(work, alert, "RM-1")


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
        again = inform.council_again(work.policy(alert), work.now, council, council_desk(work, current))
        council_moves(work, current, again)


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


def warn_at_rest(work: Work, alert: Alert, track: Track) -> None:
    """Who has stopped the offers has not stopped the hour: its warnings and its breach come all the same."""
    policy = work.policy(alert)
    index = replace.warned(policy, alert.opened_at, work.now, track.index)
    warning = replace.next_warning(policy, alert.opened_at, index)
    assert track.rests_until is not None
    record(
        work,
        alert,
        structs.replace(track, index=index, next_at=min(track.rests_until, warning or track.rests_until)),
    )
    if track.name == "replace":
        _warn(work, work.alert(alert.ref) or alert, track.index, index)


def _replace_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    grace = locate.eta_grace(work.policy(alert))
    for sent in _on_the_way(alert, visit):
        if sent.eta_at + grace <= work.now:
            # who accepted did not come in time: they give way to the next, and staff hear it
            work.emit(alert.ref, f.ReplacementDeclined(worker=sent.worker, after_all=True))
            tell_staff(work, alert, "OC-69", about=sent.worker)
    alert = work.alert(alert.ref) or alert
    following = replace.on_deadline(replace_case(work, alert, visit), track)
    move(work, alert, following)
    _warn(work, work.alert(alert.ref) or alert, track.index, following.track.index)


def inform_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    """The next of kin who comes next, or the first one."""
    if track.step != "waiting" and _kin_call_waits(work, alert):
        later = work.now + reassure.lasts(work.policy(alert), held(work, alert, "inform_next_of_kin"))
        move(work, alert, Move(track=structs.replace(track, next_at=later)))
        return
    if track.step != "waiting":
        _next_kin(work, alert, track, "unanswered")
        return
    spoken = alert.track("reassure")
    rung = spoken is not None and (spoken.step in ("waiting", "trying") or spoken.reason == "claimed_there")
    if _confirmed(work, alert, visit) or _claimed(alert) or rung:
        later = work.now + work.policy(alert).replace_within / 2
        move(work, alert, inform.waits("being_rung" if rung else "somebody_comes", later))
        return
    inform_now(work, alert, track.reason)


def _confirmed(work: Work, alert: Alert, visit: Visit) -> bool:
    """Somebody is on the way for every place: who is only being asked where they are has confirmed nothing."""
    grace = locate.eta_grace(work.policy(alert))
    coming = 0
    for worker in missing_workers(visit):
        said = _said(visit, worker)
        in_time = said is not None and (said.eta_at is None or work.now < said.eta_at + grace)
        coming += in_time and expected(alert, visit, worker, work.now)
    return places_open(alert, visit) <= coming


def _kin_call_waits(work: Work, alert: Alert) -> bool:
    """Their call has not left yet: nobody is passed over because the telephones are away."""
    waiting = open_messages(work, alert, "inform_next_of_kin")
    return any(message.channel == "call" and message.phase == "queued" for message in waiting)


_DEADLINES: dict[TrackName, Callable[[Work, Alert, Visit, Track], None]] = {
    "locate": locate_deadline,
    "replace": _replace_deadline,
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
        _told_in_vain(work, alert, visit, message, result)
    elif (
        message.purpose == "offer"
        and message.template in OFFERS
        and result in ("failed", "voicemail", "no_answer", "busy")
    ):
        _next_wave_if_all_declined(work, alert, visit)
    elif message.purpose == "inform_next_of_kin":
        inform_settled(work, alert, message, result)
    if message.purpose == "reassure":
        work.touched[alert.ref] = None


def pointless(work: Work, alert: Alert, message: Message) -> str | None:
    """Why a message of the procedure need not leave any more, or None."""
    visit = visit_of(work, alert)
    if visit is None:
        return "visit_gone"
    if message.purpose == "locate":
        there = any(place.worker == message.person and place.arrived_at for place in visit.places)
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
    if open_messages(work, alert, "locate"):
        return
    if locate.on_failed(locate_case(work, alert, visit), track) is not None:
        move(work, alert, _unless_others_come(work, alert, visit, track, locate.on_deadline))


def spoke(work: Work, alert: Alert, person: str, by: str) -> None:
    """A named member of staff spoke to the service user."""
    reassured(work, alert, person, f"person:{by}", "spoke", None)


RULES: tuple[Callable[[Work, Alert, Visit], None], ...] = (
    _locate_begins,
    _locate_again,
    _reassure_begins,
    _replace_sent,
    _replace_begins,
    _replace_rests,
    _nobody_left,
    _inform_begins,
    _inform_rests,
    _breach,
)
"""In this order: what one of them has decided, the next one sees."""
