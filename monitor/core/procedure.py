"""The late-visit procedure: how *locate*, *replace* and *inform* hang together (spec 22.2-22.7; domain.md section 2).

Each track is a small machine of its own in `escalation/`. Here is what the end of one sets off in another, as rules
that look at where the tracks stand (`follow`): they are asked after every decision that raised an alert or moved a
track, so that no way into a state can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import structs

from config.policy import CouncilDesk, applying
from escalation import inform, locate, reassure, replace
from escalation.candidates import drive_time
from escalation.inform import Council
from escalation.people import PersonView
from escalation.replies import Answer
from escalation.track import Contact, ContactPurpose, Move, Track, TrackName
from monitor.core import facts as f
from monitor.core.alerts import (
    cancel,
    intend,
    move,
    open_messages,
    person_for,
    reassure_after_all,
    reassured,
    tell_person,
    tell_staff,
)
from monitor.core.asking import eta, heard, metres_to, missing_workers
from monitor.core.cover import able
from monitor.core.state import Alert, Message, Visit
from monitor.core.work import Decision, Work

ON_THE_WAY = timedelta(minutes=15)
"""A position this young that is nearer than the one before says that somebody is driving there (ours)."""
NEARER_M = 200.0
"""By so much: a phone that lies on a table wanders by less (ours)."""
BY_PLAN = frozenset({"person_only", "quiet_hours", "public_off", "claimed_there", "same_line"})
"""Reasons for which *reassure* is skipped by a plan: that is not "cannot be reached" (domain.md)."""
UNREACHABLE = frozenset({"no_line", "nobody_known"})


def follow(work: Work, decision: Decision) -> Decision:
    """What the facts of this decision set off in the tracks of the same alerts. Returns the decision with them."""
    if not work.touched:
        return decision
    before = len(work.drafts)
    while work.touched:
        _follow(work, work.touched.popitem()[0])
    if len(work.drafts) == before:
        return decision
    whole = work.decision()
    return structs.replace(decision, drafts=whole.drafts, folds=whole.folds)


def _follow(work: Work, ref: str) -> None:
    alert = work.alert(ref)
    if alert is None or alert.state == "ended" or alert.hour_at is None:
        return
    visit = work.visit(alert.visit)
    if visit is None:
        return
    for rule in (
        _locate_begins,
        _reassure_begins,
        _replace_begins,
        _replace_rests,
        _inform_begins,
        _inform_rests,
        _breach,
    ):
        current = work.alert(ref)
        if current is not None and current.state != "ended":
            rule(work, current, visit)


# --- locate ---


def locate_case(work: Work, alert: Alert, visit: Visit) -> locate.LocateCase:
    """The care workers who are planned and not there."""
    missing = missing_workers(visit)
    return locate.LocateCase(
        policy=work.policy(alert),
        now=work.now,
        workers=tuple(person_for(work, worker, visit.service_user) for worker in missing),
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
    move(work, alert, _first_locate(work, alert, visit))


def _first_locate(work: Work, alert: Alert, visit: Visit) -> Move:
    """What is known already is not asked again."""
    policy, missing = work.policy(alert), missing_workers(visit)
    said = [entry for entry in visit.said if entry.worker in missing]
    if missing and all(any(e.worker == w and e.answer == "cannot" for e in said) for w in missing):
        return locate.cannot()
    times = [entry.eta_at for entry in said if entry.eta_at is not None and entry.eta_at > work.now]
    if times:
        return locate.promised(policy, max(times))
    if any(entry.answer == "there" for entry in said):
        return locate.claimed(policy, work.now)
    return locate.begin(locate_case(work, alert, visit))


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
        if answer == "cannot":
            others = set(missing_workers(current)) - {worker}
            if not others or all(_cannot(current, other) for other in others):
                move(work, alert, locate.cannot(track.round))
            else:
                work.touched[alert.ref] = None
        elif answer == "there":
            move(work, alert, locate.claimed(work.policy(alert), work.now))
        else:
            move(work, alert, locate.promised(work.policy(alert), eta(work, minutes), round_=track.round))
        tell_staff(
            work,
            alert,
            {"there": "OC-62", "on_my_way": "OC-63", "cannot": "OC-64"}[answer],
            about=worker,
            at=eta(work, minutes) if answer == "on_my_way" else None,
        )


def _cannot(visit: Visit, worker: str) -> bool:
    return any(said.worker == worker and said.answer == "cannot" for said in visit.said)


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


def need(alert: Alert, visit: Visit, now: datetime) -> int:
    """How many places want somebody: nobody is there, nobody was sent, nobody has promised to be there in the hour."""
    missing = sum(1 for place in visit.places if place.arrived_at is None)
    absent = missing_workers(visit)
    promised = sum(
        1
        for said in visit.said
        if said.worker in absent
        and said.answer == "on_my_way"
        and said.eta_at is not None
        and now < said.eta_at
        and (alert.hour_at is None or said.eta_at <= alert.hour_at)
    )
    waiting = sum(1 for sent in alert.sent if not any(p.worker == sent.worker for p in visit.places))
    return max(missing - promised - waiting, 0)


def replace_case(work: Work, alert: Alert, visit: Visit, *, asking: bool = True) -> replace.ReplaceCase:
    """Who may be asked next (`asking`), and how many have not answered yet."""
    offers = [m for m in work.messages_of(alert) if m.purpose == "offer" and m.template in OFFERS]
    told = {message.person for message in offers}
    open_ = [m for m in offers if m.person not in alert.declined and m.result not in ("failed", "cancelled")]
    found = tuple(
        replace.Offer(
            person=person_for(work, score.ref, visit.service_user),
            drive_min=max(round(score.drive / timedelta(minutes=1)), 1),
        )
        for score in (able(work, alert, visit) if asking else ())
        if score.barred is None and score.ref not in told
    )
    return replace.ReplaceCase(
        policy=work.policy(alert),
        now=work.now,
        opened_at=alert.opened_at,
        candidates=found,
        waiting=len({m.person for m in open_} - {sent.worker for sent in alert.sent}),
        time_critical=alert.time_critical,
    )


OFFERS = ("CW-7", "CWV-2")


def _replace_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """Nobody who is planned comes in time, as far as is known: somebody else is asked."""
    track, where = alert.track("replace"), alert.track("locate")
    if track is None or track.step != "waiting" or where is None:
        return
    if where.step not in ("not_reached", "skipped") and not _comes_too_late(alert, visit, work.now):
        return
    if need(alert, visit, work.now) == 0:
        return
    move(work, alert, replace.begin(replace_case(work, alert, visit), track, where.reason))


def _comes_too_late(alert: Alert, visit: Visit, now: datetime) -> bool:
    """Everybody who has promised a time would come after the hour."""
    absent = missing_workers(visit)
    times = [said.eta_at for said in visit.said if said.worker in absent and said.eta_at is not None]
    return bool(times) and alert.hour_at is not None and min(times) > max(alert.hour_at, now)


def _replace_rests(work: Work, alert: Alert, visit: Visit) -> None:
    """Somebody promised to come in time, or says that they are there: no more offers for now."""
    track, where = alert.track("replace"), alert.track("locate")
    if track is None or track.step != "trying" or where is None or where.step != "reached":
        return
    if where.reason == "there" or need(alert, visit, work.now) == 0:
        _withdraw(work, alert, "offer")
        move(work, alert, replace.halted(replace_case(work, alert, visit, asking=False), track, where.reason))


def offer_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    """An answer to an offer: the first acceptance by the journal's order has it, the others are told at once."""
    visit = work.visit(alert.visit)
    if visit is None or answer not in ("go", "no", "no_answer_key", "cannot_after_all"):
        return
    work.emit(
        alert.ref,
        f.PersonReached(
            person=message.person, purpose="offer", proof=proof, answer=answer, message=message.key
        ),
    )
    worker = message.person
    if answer == "go":
        if alert.state == "ended" or need(alert, visit, work.now) == 0:
            _covered(work, alert, worker)
            return
        drive = timedelta(minutes=message.count) if message.count else drive_time(None)
        accept(work, alert, visit, worker, work.now + drive, proof, message.key)
    elif answer == "cannot_after_all":
        give_back(work, alert, visit, worker)
    elif not any(sent.worker == worker for sent in alert.sent) and alert.state != "ended":
        work.emit(alert.ref, f.ReplacementDeclined(worker=worker))
        _next_wave_if_all_declined(work, alert, visit)


def _next_wave_if_all_declined(work: Work, alert: Alert, visit: Visit) -> None:
    current = work.alert(alert.ref)
    track = current.track("replace") if current else None
    if current is None or track is None:
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
        _withdraw(work, current, "offer")
        move(work, alert, replace.sent(work.policy(alert), track, max(s.eta_at for s in current.sent)))
        for other in dict.fromkeys(m.person for m in work.messages_of(current) if m.template in OFFERS):
            if other not in current.declined and all(sent.worker != other for sent in current.sent):
                _covered(work, current, other)
    for absent in missing_workers(visit):
        if absent != worker and not _cannot(visit, absent):
            _tell_worker(work, current, visit, absent, "CW-9", about=worker)
    if alert.kind == "late_visit":
        tell_replacement(work, current, visit, worker, eta_at)
    tell_staff(work, current, "OC-65", about=worker, at=eta_at)


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
        track = alert.track("replace")
        if track is not None:
            move(work, alert, replace.sent(work.policy(alert), track, at))


def _covered(work: Work, alert: Alert, worker: str) -> None:
    visit = work.visit(alert.visit)
    if visit is not None:
        _tell_worker(work, alert, visit, worker, "CW-8B")


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
        return
    purpose: ContactPurpose = "offer" if template == "CW-8" else "stand_down"
    contact = locate.worker_contact(
        view, line.ref, "sms", work.policy(alert), purpose, template, "time_critical"
    )
    intend(work, structs.replace(contact, about=about, at=at), alert=alert, visit=visit)


def tell_replacement(work: Work, alert: Alert, visit: Visit, worker: str, eta_at: datetime) -> None:
    """The service user is told who comes instead, by their own channel (22.5)."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    if person is None:
        return
    mode = reassure.mode_of(person, work.state.values.public)
    way = next(iter(reassure.ways(person)), None)
    if way is None:
        return
    channel, line = way
    contact = Contact(
        person=person.ref,
        line=line.ref,
        channel=channel,
        purpose="tell_replacement",
        template="SU-6" if channel == "sms" else "SUV-2",
        priority="first_contact",
        ring_s=person.plan.ring_s or round(work.policy(alert).ring_public.total_seconds()),
        rehearsed=mode == "off",
        about=worker,
        at=eta_at,
    )
    intend(work, contact, alert=alert, visit=visit)


# --- inform ---


def kin_of(work: Work, alert: Alert) -> tuple[PersonView, ...]:
    """Next of kin in their order, without those who must never be told."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    if person is None:
        return ()
    known = (ref for ref in person.next_of_kin if work.ctx.people.person(ref) is not None)
    views = (person_for(work, ref, person.ref) for ref in known)
    return tuple(view for view in views if view.ref not in person.plan.never_tell)


def inform_case(work: Work, alert: Alert) -> inform.InformCase:
    """Who may be told, and whether for real."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    return inform.InformCase(
        policy=work.policy(alert),
        now=work.now,
        kin=kin_of(work, alert),
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
        and message.result not in ("cancelled", "rehearsed")
    )


def _inform_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """They cannot be reached: next of kin and council are told (22.6). A step that a plan skips is not that."""
    track, spoken = alert.track("inform"), alert.track("reassure")
    if spoken is None or (track is not None and track.step != "waiting"):
        return
    if _claimed(alert):
        if track is None:
            move(work, alert, inform.waits("claimed_there"))
        return
    policy = work.policy(alert)
    tried = spoken.step == "trying" and unanswered(work, alert) >= policy.inform_after_rounds
    if spoken.step == "not_reached" or tried or (spoken.step == "skipped" and spoken.reason in UNREACHABLE):
        _inform(work, alert, "not_reached" if spoken.step != "skipped" else spoken.reason)
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


def _inform(work: Work, alert: Alert, reason: str) -> None:
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
    if answer == "no_key" or alert.state == "ended" or track is None:
        return
    if answer == "wrong_number":
        tell_staff(work, alert, "OC-66", about=message.person)
        move(work, alert, inform.on_unanswered(inform_case(work, alert), track, "wrong_number"))
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
    last = track.index + 1 >= len(case.kin)
    if last and track.round < inform.KIN_ROUNDS:
        return  # the first one again, but not at once: their telephone is left in peace until the moment set
    move(work, alert, inform.on_unanswered(case, track, "unanswered"))


# --- the council ---


def council_desk(work: Work, alert: Alert) -> str | None:
    """The council desk that answers now, by the person's contract; None for a private contract."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    contract = person.contract if person is not None else None
    found = desks_for(work.state.values.council_desks, contract)
    now = applying(found, work.now, work.state.calendar)
    return now[0].ref if now else None


def desks_for(desks: tuple[CouncilDesk, ...], contract: str | None) -> tuple[CouncilDesk, ...]:
    """Those of the contract; a contract that has none of its own uses those that name no contract."""
    own = tuple(desk for desk in desks if desk.contract is not None and desk.contract == contract)
    return own or tuple(desk for desk in desks if desk.contract is None)


def council_begins(work: Work, alert: Alert, reason: str) -> None:
    """The mail goes at once; a person of ours tells them by telephone."""
    council_moves(
        work, alert, inform.council_begin(work.policy(alert), work.now, council_desk(work, alert), reason)
    )


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
        _council_try(work, alert, council, first=before == 0)


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
    if track is None or track.index < replace.BREACH or track.step == "reached":
        return
    if alert.kind == "late_visit" and (alert.council is None or alert.council.step == "done"):
        council_begins(work, alert, "hour_passed")


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
    tell_staff(work, alert, "RM-1")


# --- deadlines ---


def on_deadline(work: Work, alert: Alert) -> None:
    """Each track of the procedure whose moment has come goes on."""
    visit = work.visit(alert.visit)
    if visit is None or alert.state == "ended":
        return
    for name in _DEADLINES:
        current = work.alert(alert.ref)
        track = current.track(name) if current is not None else None
        if current is None or track is None or track.next_at is None or track.next_at > work.now:
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


def _locate_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    move(work, alert, locate.on_deadline(locate_case(work, alert, visit), track))


def _replace_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    case = replace_case(work, alert, visit)
    if track.step == "reached":
        # who accepted did not come in time: they give way to the next, and staff hear it
        for sent in alert.sent:
            if not any(place.worker == sent.worker for place in visit.places):
                work.emit(alert.ref, f.ReplacementDeclined(worker=sent.worker, after_all=True))
                tell_staff(work, alert, "OC-69", about=sent.worker)
        alert = work.alert(alert.ref) or alert
        case = replace_case(work, alert, visit)
    following = replace.on_deadline(case, track)
    move(work, alert, following)
    _warn(work, work.alert(alert.ref) or alert, track.index, following.track.index)


def _inform_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    if track.step != "waiting":
        move(work, alert, inform.on_deadline(inform_case(work, alert), track))
        return
    if need(alert, visit, work.now) == 0 or _claimed(alert):
        later = work.now + work.policy(alert).replace_within / 2
        move(work, alert, inform.waits("somebody_comes", later))
        return
    _inform(work, alert, track.reason)


_DEADLINES: dict[TrackName, Callable[[Work, Alert, Visit, Track], None]] = {
    "locate": _locate_deadline,
    "replace": _replace_deadline,
    "inform": _inform_deadline,
}


# --- messages that came to their end ---


def on_settled(work: Work, message: Message, result: str) -> None:
    """A failed or empty step advances at once (design rule 6)."""
    alert = work.alert(message.alert)
    visit = work.visit(alert.visit) if alert is not None else None
    if alert is None or visit is None or alert.state == "ended":
        return
    if message.purpose == "locate":
        _locate_settled(work, alert, visit, message, result)
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
    visit = work.visit(alert.visit)
    if visit is None:
        return "visit_gone"
    if message.purpose == "locate":
        there = any(place.worker == message.person and place.arrived_at for place in visit.places)
        return "arrived" if there else None
    if message.template in OFFERS:
        return "covered" if need(alert, visit, work.now) == 0 else None
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
    following = locate.on_failed(locate_case(work, alert, visit), track)
    if following is not None:
        move(work, alert, following)


def spoke(work: Work, alert: Alert, person: str, by: str) -> None:
    """A named member of staff spoke to the service user."""
    reassured(work, alert, person, f"person:{by}", "spoke", None)
