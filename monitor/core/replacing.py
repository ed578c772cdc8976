"""Track *replace* in the alert: who is offered the visit, who goes, who hears it, and the hour (spec 22.4, 22.5)."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import structs

from escalation import locate, reassure, replace
from escalation.candidates import unknown_drive
from escalation.people import LineView
from escalation.replace import OFFERS
from escalation.replies import Answer
from escalation.track import Contact, ContactChannel, ContactPurpose, Move, Track
from monitor.core import facts as f
from monitor.core import gathering, offers, overdue
from monitor.core.alerts import (
    cancel,
    intend,
    managers,
    move,
    open_messages,
    person_for,
    reassure_case,
    record,
    responsible,
    rests,
    tell_covered,
    tell_person,
    tell_staff,
    withdraw,
)
from monitor.core.asking import eta, missing_workers
from monitor.core.counted import expected, need, on_the_way, places_open, said_cannot, visit_of
from monitor.core.cover import able
from monitor.core.offers import asked
from monitor.core.state import Alert, Message, Sent, Visit
from monitor.core.weather import COVERED, eases, is_covered, leave_out, why_nobody_asked
from monitor.core.work import Work


def replace_case(
    work: Work, alert: Alert, visit: Visit, *, asking: bool = True, size: int | None = None
) -> replace.ReplaceCase:
    """Who is asked in the next wave (`asking`), of that size, and how many have not answered yet."""
    made = [m for m in work.messages_of(alert) if m.purpose == "offer" and m.template in OFFERS]
    offered = asked(work, alert)
    told = offered | set(alert.declined)
    open_ = [m for m in made if m.person not in alert.declined and m.result not in ("failed", "cancelled")]
    policy = work.policy(alert)
    able_to = able(work, alert, visit) if asking else ()
    ranked = [score for score in able_to if score.barred is None and score.ref not in told]
    size = policy.offer_wave_size if size is None else size
    free, held = offers.split(work, alert, ranked, size)
    found = tuple(
        replace.Offer(
            person=person_for(work, score.ref, visit.service_user),
            drive_min=round(score.drive / timedelta(minutes=1)),
        )
        for score in free
    )
    return replace.ReplaceCase(
        policy=policy,
        now=work.now,
        opened_at=alert.opened_at,
        candidates=found,
        size=size,
        held=held,
        room_at=offers.room_at(work, held) if held and not found else None,
        waiting=len({m.person for m in open_} & offered - {sent.worker for sent in alert.sent}),
        time_critical=alert.time_critical,
    )


def wave(work: Work, alert: Alert, case: replace.ReplaceCase, to: Move) -> None:
    """The track goes on. Who was passed over in a wave for want of room is named (`OffersHeld`)."""
    move(work, alert, to)
    if to.contacts or to.track.phase in (replace.HELD, replace.EXHAUSTED):
        offers.hold(work, alert, case.held, case.size - len(case.candidates) if case.held else 0)


def serve(work: Work, freed: set[str]) -> None:
    """Somebody has room again: the alerts that owe offers ask them, the most urgent first."""
    roomy = [worker for worker in sorted(freed) if offers.may_have_more(work, worker)]
    for owing in offers.owing(work) if roomy else []:
        alert = work.alert(owing.ref) or owing
        visit, track = visit_of(work, alert), alert.track("replace")
        if not any(offers.has_room(work, alert, worker) for worker in roomy):
            continue
        if visit is None or track is None or track.step != "trying" or track.rests(work.now):
            continue
        case = replace_case(work, alert, visit, size=alert.offers_owed)
        following = replace.room(case, track)
        if following is not None and need(alert, visit, work.now):
            wave(work, alert, case, following)


def _withdraw_offers(work: Work, alert: Alert) -> None:
    for message in open_messages(work, alert, "offer"):
        if message.phase == "queued" and message.template in OFFERS:
            cancel(work, message, "covered")


def replace_sent(work: Work, alert: Alert, visit: Visit) -> None:
    """Every place has somebody on the way, however that became known."""
    track, going = alert.track("replace"), on_the_way(alert, visit)
    if track is not None and track.step in ("waiting", "trying") and going and not places_open(alert, visit):
        _withdraw_offers(work, alert)
        move(work, alert, _sent(work, alert, track, going))


def _sent(work: Work, alert: Alert, track: Track, going: list[Sent]) -> Move:
    """All places are filled. Looked at when the first of them is due: each is waited for by their own time."""
    last, first = (of(sent.eta_at for sent in going) for of in (max, min))
    to = replace.sent(work.policy(alert), track, last, alert.opened_at)
    return Move(track=_looked_at_by(to.track, first + locate.eta_grace(work.policy(alert))))


def _looked_at_by(track: Track, at: datetime) -> Track:
    """The track, waiting for nobody longer than until that moment."""
    since = min(track.since, at) if track.step == "reached" and track.since is not None else track.since
    return structs.replace(track, since=since, next_at=min(track.next_at or at, at))


def replace_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """A place wants somebody, as far as is known: somebody else is asked."""
    track, where = alert.track("replace"), alert.track("locate")
    if track is None or track.step not in ("waiting", "reached") or where is None or track.rests(work.now):
        return
    if not need(alert, visit, work.now):
        return
    weather = eases(work, alert)
    if weather is None:
        case = replace_case(work, alert, visit)
        wave(work, alert, case, replace.begin(case, track, where.reason))
    elif (track.step, track.reason) != ("waiting", why_nobody_asked(work, alert)):
        # the hour runs on; others are asked when a person says so, or when the weather is over
        leave_out(work, alert, weather, "offers")
        case = replace_case(work, alert, visit, asking=False)
        move(work, alert, replace.halted(case, track, why_nobody_asked(work, alert)))


def replace_covered(work: Work, alert: Alert, visit: Visit) -> None:
    """The family sees to it, as was confirmed while others were being asked: no more offers."""
    track, weather = alert.track("replace"), eases(work, alert)
    if weather is None or track is None or track.step != "trying" or not is_covered(work, alert):
        return
    _withdraw_offers(work, alert)
    leave_out(work, alert, weather, "offers")
    move(work, alert, replace.halted(replace_case(work, alert, visit, asking=False), track, COVERED))
    for worker in sorted(asked(work, alert) - set(alert.declined)):
        tell_covered(work, alert, worker)


def replace_rests(work: Work, alert: Alert, visit: Visit) -> None:
    """Somebody promised to come in time, or says that they are there: no more offers for now."""
    track, where = alert.track("replace"), alert.track("locate")
    if track is None or track.step != "trying" or where is None or need(alert, visit, work.now):
        return
    _withdraw_offers(work, alert)
    move(work, alert, replace.halted(replace_case(work, alert, visit), track, where.reason))


def nobody_left(work: Work, alert: Alert, visit: Visit) -> None:
    """Everybody who could go was asked, nobody could, or all have other offers to answer: a person hears it at once,
    not at half of the hour."""
    track = alert.track("replace")
    if track is None or track.step != "trying" or track.index >= replace.BREACH:
        return
    if track.phase == replace.EXHAUSTED:
        gathering.tell(work, alert, "nobody_left")
    elif track.phase == replace.HELD:
        gathering.tell(work, alert, "open_offers")


def offer_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> str | None:
    """An answer to an offer: the first acceptance by the journal's order has it, the others are told at once. Returns
    the step of the call for who has not got it."""
    visit = visit_of(work, alert)
    if visit is None or answer not in ("go", "no", "no_answer_key", "cannot_after_all"):
        return None
    worker = message.person
    if proof:  # the silence of an open line is an answer to the offer, and no contact
        reached = f.PersonReached(
            person=worker, purpose="offer", proof=proof, answer=answer, message=message.key
        )
        work.emit(alert.ref, reached)
    goes = any(sent.worker == worker for sent in alert.sent)
    if answer == "go":
        return _wants_to_go(work, alert, visit, message, proof)
    if answer == "cannot_after_all" or goes:
        give_back(work, alert, visit, worker)
    elif alert.state != "ended":
        work.emit(alert.ref, f.ReplacementDeclined(worker=worker))
        next_wave_if_all_declined(work, alert, visit)
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


def next_wave_if_all_declined(work: Work, alert: Alert, visit: Visit) -> None:
    current = work.alert(alert.ref)
    track = current.track("replace") if current else None
    if current is None or track is None or track.rests(work.now):
        return
    case = replace_case(work, current, visit)
    following = replace.on_declined(case, track)
    if following is not None:
        wave(work, alert, case, following)


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
        move(work, alert, _sent(work, current, track, on_the_way(current, visit) or list(current.sent)))
        _tell_the_others(work, current, visit, worker)
    told = alert.kind != "late_visit" or tell_replacement(work, current, visit, worker, eta_at)
    tell_staff(work, current, "OC-65" if told else "OC-100", about=worker, at=eta_at)


def _tell_the_others(work: Work, alert: Alert, visit: Visit, worker: str) -> None:
    """Every place has somebody: who was asked hears that it is covered, and who was planned and is not wanted any more
    that somebody else goes. Of two who are planned, one who is on the way is not sent away for the other's
    replacement, and neither is while a place is still open."""
    gone = {sent.worker for sent in alert.sent} | set(alert.declined)
    for other in sorted(asked(work, alert) - gone):
        if any(m.attempts and m.person == other and m.channel == "sms" for m in work.messages_of(alert)):
            tell_covered(work, alert, other)
    for other in overdue.silent(work, alert, visit):
        if other != worker:
            tell_covered(work, alert, other)
    absent = [one for one in missing_workers(visit) if one != worker]
    coming = [one for one in absent if expected(alert, visit, one, work.now)]
    wanted = coming[: places_open(alert, visit)]
    told = {m.person for m in work.messages_of(alert) if m.template == "CW-9" and m.result != "cancelled"}
    for one in absent:
        if one not in wanted and one not in told and not said_cannot(visit, one):
            _tell_worker(work, alert, visit, one, "CW-9", about=worker)


def give_back(work: Work, alert: Alert, visit: Visit, worker: str) -> None:
    """Who had accepted cannot after all: the next wave at once."""
    if alert.state == "ended" or not any(sent.worker == worker for sent in alert.sent):
        return
    work.emit(alert.ref, f.ReplacementDeclined(worker=worker, after_all=True))
    current = work.alert(alert.ref)
    assert current is not None
    case = replace_case(work, current, visit)
    wave(work, alert, case, replace.begin(case, current.track("replace"), "given_back"))
    tell_staff(work, current, "OC-64", about=worker)


def replacement_says(
    work: Work, alert: Alert, visit: Visit, worker: str, answer: f.WorkerAnswer, minutes: int | None
) -> None:
    """The replacement, asked where they are."""
    if answer == "cannot":
        give_back(work, alert, visit, worker)
        return
    withdraw(work, alert, "locate", worker)
    if answer == "there":
        tell_staff(work, alert, "OC-62", about=worker)
    if answer == "on_my_way":
        at = eta(work, minutes)
        work.emit(alert.ref, f.ReplacementAccepted(worker=worker, eta_at=at, proof="again"))
        track, current = alert.track("replace"), work.alert(alert.ref) or alert
        if track is not None and track.step == "reached":
            move(work, alert, _sent(work, current, track, on_the_way(current, visit) or list(current.sent)))


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


# --- the service user is told who comes ---


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


def told_in_vain(work: Work, alert: Alert, visit: Visit, message: Message, result: str) -> None:
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


# --- the hour ---


def replace_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    for sent in overdue.given_up(work, alert, visit):
        _gives_way(work, alert, sent)
    alert = work.alert(alert.ref) or alert
    look = overdue.next_look(work, alert, visit)
    if track.step == "reached":
        # asked, or believed once more: waited for as long as all places have somebody
        track = structs.replace(track, since=work.now if places_open(alert, visit) else look)
    case = replace_case(work, alert, visit)
    following = replace.on_deadline(case, track)
    if look is not None and look > work.now:
        following = structs.replace(following, track=_looked_at_by(following.track, look))
    wave(work, alert, case, following)
    _warn(work, work.alert(alert.ref) or alert, track.index, following.track.index)


def _gives_way(work: Work, alert: Alert, sent: Sent) -> None:
    """Who accepted has not come in time and says nothing, or names no time that is kept: staff hear it."""
    work.emit(alert.ref, f.ReplacementDeclined(worker=sent.worker, after_all=True))
    tell_staff(work, alert, "OC-69", about=sent.worker)


def where_failed(work: Work, alert: Alert, visit: Visit, message: Message) -> None:
    """Who was sent cannot be asked where they are: the place is offered again now."""
    gone, track = overdue.on_failed(work, alert, visit, message), alert.track("replace")
    if gone is None or track is None:
        return
    _gives_way(work, alert, gone)
    current = work.alert(alert.ref) or alert
    if not rests(work, current, "replace"):
        case = replace_case(work, current, visit)
        wave(work, current, case, replace.begin(case, track, "replacement_late"))


def _warn(work: Work, alert: Alert, before: int, after: int) -> None:
    """Somebody of ours hears at half and three quarters of the hour that nobody is sent, and at its end."""
    if after <= before:
        return
    weather = eases(work, alert)
    if weather is not None:
        leave_out(work, alert, weather, "hour_warning")  # the report of the hour says it of all of them
        return
    left = round(((alert.hour_at or work.now) - work.now) / timedelta(minutes=1))
    if after < replace.BREACH:
        tell_staff(work, alert, "OC-6", count=max(left, 0))
        return
    for manager in managers(work):
        tell_person(work, alert, manager, "RM-1")
    if responsible(work, alert) not in managers(work):
        tell_staff(work, alert, "RM-1")


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
