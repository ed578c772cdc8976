"""An alert from raised to ended: it starts its tracks, takes their moves, and tells those who were told.

This is where visits meet `escalation/`: the tracks there know people and channels, the facts here know the visit.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from msgspec import structs

from config.policy import Calendar, Duty, on_duty
from escalation import check_out, inform, reassure, summon
from escalation.on_call import in_order
from escalation.people import (
    LineView,
    PersonView,
    is_quiet,
    may_be_told,
    reaches_the_dead,
    speaker_of,
    told_lines,
)
from escalation.replies import QUESTIONS, free_slot, same_question
from escalation.track import Contact, ContactPurpose, Move, Track, TrackName
from monitor.core import facts as f
from monitor.core.causes import IN_INCIDENT
from monitor.core.signals import signal_of, silent_workers
from monitor.core.state import (
    CAME_WHILE_AWAY,
    REVIEW_PASSED,
    ROTA_CUT_OFF,
    ROTA_EMPTY,
    ROTA_HALF,
    ROTA_OLD,
    TOMORROW_EMPTY,
    TOMORROW_HALF,
    Alert,
    Message,
    Visit,
)
from monitor.core.times import planned_again
from monitor.core.views import AlertKind, EndedReason, Signal
from monitor.core.weather import is_covered
from monitor.core.work import Work

SUMMON_WORDS: dict[AlertKind, tuple[str, str]] = {
    "late_visit": ("OC-1", "OCV-1"),
    "no_reply": ("OC-9", "OCV-3"),
    "second_worker_missing": ("OC-10", "OCV-3"),
    "lone_worker": ("OC-11", "OCV-3"),
    "help_asked": ("OC-12", "OCV-2"),
    "very_short": ("OC-21", "OCV-3"),
    "very_early": ("OC-220", "OCV-3"),
    "unknown_visit": ("OC-31", "OCV-3"),
    "home_unconfirmed": ("OC-186", "OCV-3"),
    "watch_fault": ("OC-14", "OCV-3"),
    "rota": ("OC-16", "OCV-3"),
    "incident": ("OC-17", "OCV-3"),
    "message": ("OC-130", "OCV-130"),
    "away": ("OC-171", "OCV-3"),
    "placement": ("OC-190", "OCV-3"),
}
"""The words with which staff are summoned, as text and as call (config/wording)."""

WITH_REASSURE: frozenset[AlertKind] = frozenset({"late_visit"})
"""Kinds that contact the service user. With one of two care workers present no machine rings them (domain.md)."""

DONT_COME = "dont_come"
"""Reason of the alert that a service user has texted that nobody should come: the visit stays in place (7.26)."""

CANNOT = "cannot"
"""Reason of an alert that the care worker's own *cannot get there* has opened."""

WITH_HOUR: frozenset[AlertKind] = frozenset({"late_visit", "second_worker_missing"})
"""Kinds for which somebody is sent within the hour (spec 22.4): the procedure's tracks run for them."""

WHILE_DOWN = "while_down"
"""Reason of the alerts that became due long ago while we were down, and of the one digest about them."""
STOPPED_TEXTS = "stopped_texts"
"""Reason of the alarm that somebody whom we may have to text has sent STOP."""
CALLER = "caller_"
"""The reasons of alerts about a caller on the free number begin with this; then `free_number.WhyPerson`."""
RANG = f"{CALLER}rang"
"""Reason of the alert about somebody who has rung an ordinary number of ours."""
CALLED = SUMMON_WORDS["message"]
"""The words about somebody who has rung us and reached nobody, with the message that they left."""
NEVER_TOLD = "never_told"
"""Why a message about somebody did not leave: who would have heard it must not hear of them."""
DIED = "died"
"""Why a message does not leave, and how alerts end, of a service user whose death is recorded."""
SPEAK_OF_ABOUT = frozenset(
    {
        "SU-13",
        "SUV-120",
        "SP-120",
        "OC-8",
        "OC-170",
        "OC-174",
        "OC-175",
        "CW-170",
        "CW-171",
        "CW-172",
        "NOK-170",
        "NOKV-170",
    }
)
"""Words that speak of the service user who is the message's `about`, with no alert and perhaps no visit beside it."""
OVERTAKEN = "overtaken"
"""Why a try is cancelled that still waited when its successor was due."""
WRONG_NUMBER = "wrong_number"
"""Of a call: a stranger answered it. That line hears nothing more of the alert."""
WRONG_PINS = "wrong_pins"
"""Reason of the alarm that somebody may be guessing PINs."""
WORDS_BY_REASON: dict[str, tuple[str, str]] = {
    "broker_dark": ("OC-5", "OCV-3"),
    "feed_dark": ("OC-5", "OCV-3"),
    "worker_dark": ("OC-4", "OCV-3"),
    "worker_late": ("OC-93", "OCV-3"),
    "line_late": ("OC-94", "OCV-3"),
    "several_late": ("OC-92", "OCV-3"),
    "several_unplaced": ("BD-40", "OCV-3"),
    "degraded": ("OC-13", "OCV-3"),
    "clock_doubted": ("OC-32", "OCV-3"),
    STOPPED_TEXTS: ("OC-30", "OCV-3"),
    "file_refused": ("OC-41", "OCV-3"),
    "cancels_unconfirmed": ("OC-42", "OCV-3"),
    "rota_feed_old": ("OC-43", "OCV-3"),
    ROTA_OLD: ("OC-43", "OCV-3"),
    ROTA_CUT_OFF: ("OC-44", "OCV-3"),
    ROTA_EMPTY: ("OC-45", "OCV-3"),
    ROTA_HALF: ("OC-46", "OCV-3"),
    TOMORROW_EMPTY: ("OC-140", "OCV-3"),
    TOMORROW_HALF: ("OC-141", "OCV-3"),
    WRONG_PINS: ("OC-34", "OCV-3"),
    DONT_COME: ("OC-35", "OCV-3"),
    "cancellations": ("OC-86", "OCV-3"),
    RANG: CALLED,
    "check_out_silent": ("OC-110", "OCV-3"),
    "check_out_ring_me": ("OC-111", "OCV-3"),
    "check_out_dark": ("OC-112", "OCV-3"),
    REVIEW_PASSED: ("OC-172", "OCV-3"),
    CAME_WHILE_AWAY: ("OC-173", "OCV-3"),
    "bad_weather": ("OC-120", "OCV-3"),
    "weather_report": ("OC-124", "OCV-3"),
    "unconfirmed": ("OC-191", "OCV-3"),
    "undecided": ("OC-192", "OCV-3"),
}
"""Where the reason says more than the kind, its words are taken."""
CHECK_OUT_WORDS = frozenset({check_out.TEXT, check_out.CALL})
"""The questions whether a care worker has left."""
BY_PHONE = ("OC-33", "OCV-4")
"""The words about a caller on the free number."""
UNHEARD = timedelta(minutes=2)
"""A call of which nothing is heard for this long after its ring does not hold the next one up (ours)."""
PRACTICE_LIVES = timedelta(minutes=10)
RINGS_FOR_COUNCIL = frozenset({"OCV-150", "COV-1"})
"""Calls of a try to tell the council (`monitor.core.council`)."""
SUMMON_LIVES = timedelta(minutes=30)
"""A summons that could not leave for this long has been overtaken by the next rungs."""


def raise_alert(
    work: Work,
    kind: AlertKind,
    *,
    visit: Visit | None = None,
    worker: str | None = None,
    service_user: str | None = None,
    due_at: datetime | None = None,
    reason: str = "",
    count: int = 0,
    too_old: bool = False,
    line: str | None = None,
    joining: bool = False,
    tell_now: bool = True,
    gathers: bool = False,
    incident: str | None = None,
    in_incident: bool = False,
    placement: str | None = None,
    time_critical: bool = False,
) -> Alert:
    """Raise it and start its tracks. `too_old`: it goes to staff in one digest, by the incident it belongs to.
    `incident`: that of its cause; `in_incident`: it is that which summons staff, and not this alert.
    `time_critical`: of an alert without a visit.
    `gathers`: a bundle, which tells staff in a moment of all that there are by then.
    `joining`: a caller is being put through about it, so nobody is rung yet; `tell_now`: texted they are."""
    ref = work.ctx.mint("a")
    about = service_user or (visit.service_user if visit else None)
    digest = work.digest_for(about)
    raised = f.AlertRaised(
        alert=ref,
        kind=kind,
        visit=visit.ref if visit else None,
        service_user=about,
        worker=worker,
        time_critical=visit.time_critical if visit else time_critical,
        reason=reason,
        count=count,
        line=line,
        placement=placement,
        hour_at=work.now + work.state.policy_of(digest).replace_within
        if kind in WITH_HOUR and not too_old
        else None,
    )
    work.emit(ref, raised, due_at=due_at, policy=digest)
    if incident is not None:
        work.emit(ref, f.AlertGathered(incident=incident))
    alert = _alert(work, ref)
    if too_old or in_incident:
        skip = Track(name="summon", step="skipped", reason="in_digest" if too_old else IN_INCIDENT)
        move(work, alert, Move(track=skip))
    elif joining:
        move(work, alert, summon.begin_joining(summon_case(work, alert), text=tell_now))
    elif gathers:
        move(work, alert, summon.gathers(summon_case(work, alert)))
    else:
        move(work, alert, summon.begin(summon_case(work, alert)))
    if kind in WITH_REASSURE:
        _start_reassure(work, alert, too_old)
    if kind == "second_worker_missing" and visit is not None and not too_old:
        _warn_who_is_there(work, _alert(work, ref), visit)
    return _alert(work, ref)


def _warn_who_is_there(work: Work, alert: Alert, visit: Visit) -> None:
    """The care worker who is there is told not to hoist alone, and asked; no machine rings the service user."""
    present = [p.worker for p in visit.places if p.arrived_at is not None and not p.left and p.worker]
    absent = [p.planned for p in visit.places if p.arrived_at is None]
    for worker in present:
        line = person_for(work, worker, alert.service_user).text_line()
        if line is None:
            continue
        contact = Contact(
            person=worker,
            line=line.ref,
            channel="sms",
            purpose="notice",
            template="CW-13",
            priority="time_critical",
            about=absent[0] if absent else None,
        )
        intend(work, contact, alert=_alert(work, alert.ref), visit=visit)


def _start_reassure(work: Work, alert: Alert, too_old: bool) -> None:
    if too_old:
        move(work, alert, Move(track=Track(name="reassure", step="skipped", reason="too_old")))
        return
    alert = _alert(work, alert.ref)
    speaks = _speaks_for(work, alert)
    if speaks is not None:
        skip_wrong_numbers(work, alert, speaks, "reassure", "SPV-1")
    _reassure_move(work, alert, reassure.begin(reassure_case(work, alert)))


def _speaks_for(work: Work, alert: Alert) -> str | None:
    known = work.ctx.people.person(alert.service_user) if alert.service_user is not None else None
    return speaker_of(work.ctx.people, known) if known is not None else None


def _alert(work: Work, ref: str) -> Alert:
    alert = work.alert(ref)
    assert alert is not None
    return alert


# --- what the tracks look at ---


def summon_case(work: Work, alert: Alert) -> summon.SummonCase:
    """Who is on duty now, managers last, and the words for this kind of alert."""
    policy = work.policy(alert)
    by_phone = BY_PHONE if alert.reason.startswith(CALLER) else SUMMON_WORDS[alert.kind]
    sms, call = WORDS_BY_REASON.get(alert.reason, by_phone)
    if alert.reason == CANNOT and alert.kind == "late_visit":
        sms = "OC-74"
    return summon.SummonCase(
        policy=policy,
        chain=duty_chain(work, alert.service_user),
        now=work.now,
        night=work.state.calendar.is_night(work.now, policy),
        sms=sms,
        call=call,
        help=alert.kind == "help_asked",
        count=alert.count,
    )


def duty_chain(work: Work, about: str | None) -> tuple[PersonView, ...]:
    """Those whose hours hold now, in order; then the managers, whatever their hours: the last rung inside (17.1).

    Who may not be told of the service user `about` stands in it without a line, so that nobody's place moves.
    """
    state = work.state
    # hours are written to the minute: who is on duty in it is worked out once for all that is decided in it
    minute = work.now.replace(second=0, microsecond=0)
    on_duty = _on_duty(state.values.duty, minute, state.calendar)
    if state.values.hand_overs:
        on_duty = in_order(on_duty, state.values.hand_overs.values(), work.now)
    return tuple([person_for(work, ref, about) for ref in on_duty])


@lru_cache(4096)
def _on_duty(duty: tuple[Duty, ...], minute: datetime, calendar: Calendar) -> tuple[str, ...]:
    now = [entry for entry in on_duty(duty, minute, calendar) if entry.role != "manager"]
    now.sort(key=lambda entry: entry.role != "broker")  # of a council's desk they are the first rung
    managers = (entry for entry in duty if entry.role == "manager")
    return tuple(dict.fromkeys(entry.person for entry in (*now, *managers)))


def person_for(work: Work, ref: str, about: str | None) -> PersonView:
    """The person as they may be contacted about the service user `about`: without a line on which somebody hears of
    them who must not, and without any when they must not themselves."""
    person: PersonView | None = work.ctx.people.person(ref)
    if person is None:
        return PersonView(ref=ref, role="staff")
    if work.has_died(ref):
        return structs.replace(person, lines=(), mail=False)
    person = without_wrong(work, person)
    stopped = [line.ref for line in person.lines if work.stopped(line.ref)]
    if stopped:
        lines = tuple(_with_stop(line, line.ref in stopped) for line in person.lines)
        person = structs.replace(person, lines=lines)
    return told_lines(work.ctx.people, about, person)


def without_wrong(work: Work, person: PersonView) -> PersonView:
    """The person without the lines that are not theirs, as somebody there has said."""
    wrong = work.wrong_lines(person.ref)
    if not wrong:
        return person
    return structs.replace(person, lines=tuple(line for line in person.lines if line.ref not in wrong))


def skip_wrong_numbers(work: Work, alert: Alert, person: str, purpose: ContactPurpose, template: str) -> None:
    """A line that is not theirs is passed over, and that stands in the alert: a call that was never made."""
    known = work.ctx.people.person(person)
    wrong = work.wrong_lines(person) if known is not None else ()
    for line in [one.ref for one in known.lines if one.ref in wrong] if known is not None else []:
        pass_over(work, alert, person, line, purpose, template, WRONG_NUMBER)


def pass_over(
    work: Work, alert: Alert, person: str, line: str, purpose: ContactPurpose, template: str, reason: str
) -> None:
    """A call that is not made, as a fact with its reason."""
    contact = Contact(
        person=person, line=line, channel="call", purpose=purpose, template=template, priority="repeat"
    )
    message = work.message(intend(work, contact, alert=_alert(work, alert.ref)))
    if message is not None and message.phase == "queued":
        cancel(work, message, reason)


def _with_stop(line: LineView, stopped: bool) -> LineView:
    return LineView(ref=line.ref, kind=line.kind, use=line.use, stopped=True) if stopped else line


def reassure_case(work: Work, alert: Alert) -> reassure.ReassureCase:
    """The service user as the track sees them."""
    about = alert.service_user or ""
    known = work.ctx.people.person(about)
    speaks = speaker_of(work.ctx.people, known) if known is not None else None
    person = person_for(work, about, about) if known is not None else None
    speaker = person_for(work, speaks, about) if speaks is not None else None
    addressed = speaker or person
    return reassure.ReassureCase(
        policy=work.policy(alert),
        person=person,
        speaker=speaker,
        withheld=addressed is not None and _has_fewer_lines(work, addressed),
        practised=not work.policy(alert).practice_first or has_practised(work, speaks or about),
        covered=is_covered(work, alert),
        held=held(work, alert, "reassure"),
        quiet=known is not None and _is_quiet(work, alert, known, speaker),
        public=work.state.values.public,
        now=work.now,
        dark=_signal(work, alert) != "known",
        time_critical=alert.time_critical,
        claimed_there=_claimed_there(work, alert),
        clock_doubted="clock:" in work.state.values.dark,
    )


def never_left(message: Message) -> bool:
    """Its time passed, or the next try overtook it, before the provider would take it."""
    return (
        message.phase == "settled"
        and message.provider_ref is None
        and (message.result, message.reason) in (("failed", "expired"), ("cancelled", OVERTAKEN))
    )


def held(work: Work, alert: Alert, purpose: str) -> int:
    """So many tries of that purpose never left us: a call and the text beside it are one."""
    return len({m.intended_at for m in work.messages_of(alert) if m.purpose == purpose and never_left(m)})


def has_practised(work: Work, person: str) -> bool:
    """Whether a practice call to them was once answered with a key."""
    known = work.state.values.practice.get(person)
    return known is not None and known.practised_at is not None


def _has_fewer_lines(work: Work, person: PersonView) -> bool:
    known = work.ctx.people.person(person.ref)
    return known is not None and len(person.lines) < len(without_wrong(work, known).lines)


def _is_quiet(work: Work, alert: Alert, person: PersonView, speaker: PersonView | None) -> bool:
    """By the hours of whoever is contacted; who speaks for somebody and says nothing of hours has theirs."""
    own = speaker is not None and speaker.plan.quiet is not None
    plan = speaker.plan if own and speaker is not None else person.plan
    return is_quiet(plan, work.now, work.state.calendar, time_critical=alert.time_critical)


def _claimed_there(work: Work, alert: Alert) -> bool:
    """A care worker who is planned says that they are there, and that is all that is known of it: the service user is
    rung by a person (domain.md, "Before the alert"), until the claim has been waited for in vain."""
    visit, where = work.visit(alert.visit), alert.track("locate")
    if visit is None or visit.anybody_there or (where is not None and where.step == "not_reached"):
        return False
    return any(said.answer == "there" and said.worker in visit.workers for said in visit.said)


def reassure_after_all(work: Work, alert: Alert) -> None:
    """What a claim held back begins now."""
    _reassure_move(work, alert, reassure.begin(reassure_case(work, alert)))


def _signal(work: Work, alert: Alert) -> Signal:
    if not work.state.values.dark:
        return "known"
    silent = silent_workers(work.state, work.ctx.people.worker_of)
    return signal_of(work.state, work.visit(alert.visit), silent)


# --- moves ---


def move(work: Work, alert: Alert, to: Move) -> None:
    """Record where the track is now, and intend what follows from it. A track that moves rests no longer."""
    track = structs.replace(to.track, rests_until=None, rests_by=None)
    record(work, alert, _free_since(work, alert, track) if track.name == "summon" else track)
    for contact in to.contacts:
        current = _alert(work, alert.ref)
        if not _waits_already(work, current, contact):
            intend(work, contact, alert=current)


def _free_since(work: Work, alert: Alert, track: Track) -> Track:
    """While somebody is summoned `since` is the moment at which somebody had it last; None: nobody ever had."""
    before = alert.track("summon")
    if before is None or track.step != "trying":
        return track
    return structs.replace(track, since=work.now if before.step == "reached" else before.since)


def record(work: Work, alert: Alert, track: Track) -> None:
    """Where the track is now, as a fact."""
    work.emit(
        alert.ref,
        f.TrackMoved(
            track=track.name,
            step=track.step,
            reason=track.reason,
            next_at=track.next_at,
            index=track.index,
            round=track.round,
            phase=track.phase,
            since=track.since,
            rests_until=track.rests_until,
            rests_by=track.rests_by,
        ),
        policy=alert.policy,
    )


def _waits_already(work: Work, alert: Alert, contact: Contact) -> bool:
    """The same call to the same line has not left yet: a second one behind it would ring on top of it."""
    return contact.channel == "call" and any(
        message.phase == "queued" and message.channel == "call" and message.line == contact.line
        for message in open_messages(work, alert, contact.purpose)
    )


def intend(
    work: Work,
    contact: Contact,
    *,
    alert: Alert | None,
    visit: Visit | None = None,
    placement: str | None = None,
    expires_at: datetime | None = None,
    key: str | None = None,
) -> str:
    """Journal that a message is to go out. Rehearsed ones are settled at once: "would have been sent". `placement`: the
    package of which it speaks; `expires_at`: until when it is worth sending, where its words do not say; `key`: under
    which others know of it already."""
    key = key or work.ctx.mint("m")
    slot, bare = _slot(work, contact, alert, visit)
    work.emit(
        key,
        f.MessageIntended(
            alert=alert.ref if alert else None,
            person=contact.person,
            line=contact.line or None,
            purpose=contact.purpose,
            channel=contact.channel,
            template=contact.template,
            priority=contact.priority,
            expires_at=expires_at or _lives_until(work, contact, alert, visit),
            slot=slot,
            bare=bare,
            ring_s=contact.ring_s,
            visit=visit.ref if visit is not None else alert.visit if alert is not None else None,
            about=contact.about,
            placement=placement,
            count=contact.count,
            at=contact.at,
        ),
        policy=alert.policy if alert else "",
    )
    about = contact.about
    if not may_hear(work, alert, contact.person, contact.line, visit, about=about):
        # the tracks ask before; this is the wall behind them, on the one way to the telephone
        work.emit(key, f.MessageSettled(result="cancelled", reason=NEVER_TOLD))
    elif at_rest(work, alert, contact.person, contact.line, visit, about):
        work.emit(key, f.MessageSettled(result="cancelled", reason=DIED))
    elif contact.rehearsed:
        work.emit(key, f.MessageSettled(result="rehearsed", reason="public_off"))
    return key


def may_hear(
    work: Work,
    alert: Alert | None,
    person: str,
    line: str | None = None,
    visit: Visit | None = None,
    *,
    about: str | None = None,
) -> bool:
    """Whether this person, on this line, may hear of the service user whom the alert, or the visit, is about."""
    return may_be_told(work.ctx.people, _concerned(alert, visit, about), person, line or "")


def _concerned(alert: Alert | None, visit: Visit | None, about: str | None) -> str | None:
    """The service user of whom a message speaks: its alert's, its visit's, or, without either, who it is about. A
    member of staff of whom it speaks is nobody's secret."""
    if alert is not None and alert.service_user is not None:
        return alert.service_user
    return visit.service_user if visit is not None else about


def at_rest(
    work: Work,
    alert: Alert | None,
    person: str,
    line: str | None = None,
    visit: Visit | None = None,
    about: str | None = None,
) -> bool:
    """Whether the message would reach somebody who has died, or tell anybody outside of them."""
    died = work.dead
    if not died:
        return False
    return reaches_the_dead(work.ctx.people, died, _concerned(alert, visit, about), person, line or "")


def _lives_until(work: Work, contact: Contact, alert: Alert | None, visit: Visit | None) -> datetime:
    """A message is worth sending as long as its step lasts; a call to a service user until the next one, a question
    before the alert until the alert."""
    if contact.template in CHECK_OUT_WORDS:
        policy = work.policy_for(visit.service_user if visit is not None else None)
        steps = check_out.rings_after(policy) + check_out.gives_up(policy)
        return work.now + max(steps, timedelta(seconds=1))
    if contact.purpose == "ask_worker" and visit is not None:
        return max(visit.late_at, work.now + timedelta(seconds=1))
    if contact.purpose == "offer" and contact.at is not None and contact.template != "CW-8":
        return max(contact.at, work.now + timedelta(minutes=1))
    return work.now + _lives(work, contact, alert)


def _lives(work: Work, contact: Contact, alert: Alert | None) -> timedelta:
    if contact.purpose in ("reassure", "inform_next_of_kin"):
        before = held(work, alert, contact.purpose) if alert is not None else 0
        return max(reassure.lasts(work.policy(alert), before), timedelta(minutes=1))
    if contact.template in RINGS_FOR_COUNCIL:
        # the next try rings again
        return max(inform.council_retry(work.policy(alert)), timedelta(minutes=1))
    if contact.purpose == "tell_replacement":
        return max(2 * work.policy(alert).reassure_retry, SUMMON_LIVES)
    # a practice call is made while somebody of ours is in the room
    return PRACTICE_LIVES if contact.purpose == "practice" else SUMMON_LIVES


def _slot(work: Work, contact: Contact, alert: Alert | None, visit: Visit | None) -> tuple[int | None, bool]:
    """The slot of a question asked by text; a question asked again about the same alert, or the same visit before
    there was one, keeps its slot, so that one digit alone still answers it."""
    if contact.channel != "sms" or contact.template not in QUESTIONS:
        return None, False
    asked = work.questions(contact.line)
    about = visit or (work.visit(alert.visit) if alert is not None else None)
    own = (*(alert.messages if alert is not None else ()), *(about.asks if about is not None else ()))
    for question in asked if own else ():
        if question.open and same_question(question.template, contact.template) and question.key in own:
            return question.slot, False
    nobody_else = not any(question.open for question in asked)
    return free_slot(asked, work.now), contact.purpose == "reassure" and nobody_else


def on_deadline(work: Work, alert: Alert, due_at: datetime) -> None:
    """Each track whose moment has come goes on; an ended alert leaves the state."""
    if alert.state == "ended":
        work.emit(alert.ref, f.AlertClosed())
        return
    for track in alert.tracks:
        if track.name in OWN_TRACKS and track.next_at is not None and track.next_at <= work.now:
            _track_deadline(work, alert.ref, track)


OWN_TRACKS = ("summon", "reassure")
"""The others are the procedure's (`monitor.core.procedure`)."""


def _track_deadline(work: Work, ref: str, track: Track) -> None:
    alert = _alert(work, ref)
    if track.name == "reassure":
        reassure_deadline(work, alert, track)
    elif alert.state == "taken":
        _holder_deadline(work, alert, track)
    else:
        if track.phase == summon.ANSWERPHONE:
            # its callback was lost, or nobody said a word: staff are rung now, and told so
            work.emit(alert.ref, f.AnswerphoneEnded(came="unknown"))
        move(work, alert, summon.on_deadline(summon_case(work, _alert(work, ref)), track))


def reassure_deadline(work: Work, alert: Alert, track: Track) -> None:
    """Their next try, unless a telephone may be ringing now."""
    if any(_may_ring(message, work.now) for message in open_messages(work, alert, "reassure")):
        # never a second ring on top of the first one: look again when it must be over
        later = work.now + min(work.policy(alert).reassure_retry, timedelta(seconds=30))
        _retime(work, alert, track, later, "still_ringing")
        return
    for message in open_messages(work, alert, "reassure"):
        if message.phase == "queued":
            cancel(work, message, OVERTAKEN)
    _reassure_move(work, alert, reassure.on_deadline(reassure_case(work, alert), track))


def _may_ring(message: Message, now: datetime) -> bool:
    """It may be ringing, or be talked on. When nothing is heard of it, it is not waited for beyond all measure."""
    if message.channel != "call" or message.attempted_at is None or message.phase == "queued":
        return False
    return now < message.attempted_at + timedelta(seconds=message.ring_s) + UNHEARD


def _retime(work: Work, alert: Alert, track: Track, next_at: datetime, reason: str) -> None:
    moved = Track(
        name=track.name,
        step=track.step,
        reason=reason,
        next_at=next_at,
        index=track.index,
        round=track.round,
        phase=track.phase,
    )
    move(work, alert, Move(track=moved))


def _reassure_move(work: Work, alert: Alert, to: Move) -> None:
    asked = _asked_already(work, alert, to.contacts)
    if asked is not None:
        to = reassure.waits_for(alert.track("reassure"), reassure_case(work, alert), asked.ref)
    move(work, alert, to)
    if to.track.step == "not_reached":
        tell_staff(work, _alert(work, alert.ref), "OC-15", count=to.track.round)
        _line_was_silent(work, alert)


# --- two people on one line: one call, one question ---


def _asked_already(work: Work, alert: Alert, contacts: tuple[Contact, ...]) -> Alert | None:
    """The alert about somebody else for whom this very line is being asked now."""
    for contact in contacts:
        for other in [] if contact.rehearsed else others_on(work, alert, contact.line, contact.person):
            track = other.track("reassure")
            if track is not None and track.step == "trying" and contact.line in _lines_asked(work, other):
                return other
    return None


def _lines_asked(work: Work, alert: Alert) -> frozenset[str]:
    sent = (m for m in work.messages_of(alert) if m.purpose == "reassure" and m.result != "cancelled")
    return frozenset(message.line for message in sent if message.line is not None)


def others_on(work: Work, alert: Alert, line: str, person: str) -> list[Alert]:
    """The other open alerts about service users whose line this is, or for whom `person` speaks as well."""
    if person != alert.service_user:
        # seldom: who speaks for two is on the line of neither
        return [other for other in work.all_open_alerts() if other.ref != alert.ref]
    homes = [ref for ref in work.ctx.people.on_line(line) if ref != alert.service_user]
    visits = [work.visit(v) for ref in sorted(homes) for v in sorted(work.state.by_service_user.get(ref, ()))]
    return [other for visit in visits if visit is not None for other in work.open_alerts(visit)]


def waiting_on(work: Work, alert: Alert) -> list[Alert]:
    """The open alerts whose question is asked with this one's."""
    person, lines = alert.service_user or "", sorted(_lines_asked(work, alert))
    speaks = [m.person for m in work.messages_of(alert) if m.purpose == "reassure"]
    found: dict[str, Alert] = {}
    for line in lines:
        for other in others_on(work, alert, line, speaks[-1] if speaks else person):
            track = other.track("reassure")
            if track is not None and (track.reason, track.phase) == (reassure.SAME_LINE, alert.ref):
                found[other.ref] = other
    return list(found.values())


def _line_was_silent(work: Work, alert: Alert) -> None:
    lines = _lines_asked(work, alert)
    for other in waiting_on(work, alert):
        track = other.track("reassure")
        if track is not None and track.step == "waiting" and not track.rests(work.now):
            _reassure_move(work, other, reassure.on_line_silent(reassure_case(work, other), track, lines))


def _ask_now(work: Work, ref: str) -> None:
    """The alert for whose answer this one waited has ended: they are asked themselves."""
    alert = _alert(work, ref)
    track = alert.track("reassure")
    if track is None or track.rests(work.now):
        return
    if alert.state != "ended" and track.step == "waiting":
        _reassure_move(work, alert, reassure.on_deadline(reassure_case(work, alert), track))


def _holder_deadline(work: Work, alert: Alert, track: Track) -> None:
    """Who took it is asked once more; unanswered, the taking lapses and summoning goes on (design rule 6)."""
    policy = work.policy(alert)
    holder = alert.taken_by
    if track.phase == "held" and holder is not None:
        asked = Track(
            name="summon",
            step="reached",
            reason="asked_again",
            phase="asked_again",
            next_at=work.now + policy.summon_next,
            round=track.round,
        )
        together = [] if alert.unrecorded else _asked_with(work, alert, holder)
        for other in together:
            move(work, other, Move(track=structs.replace(asked, reason="asked_together")))
        words = "OC-23" if alert.unrecorded else "OC-95" if together else "OC-2"
        contacts = _to_person(work, alert, holder, words, count=len(together) + 1)
        move(work, alert, Move(track=asked, contacts=contacts))
        return
    if holder is not None:
        work.emit(alert.ref, f.AlertLapsed(by=holder))
    move(work, alert, summon.begin(summon_case(work, _alert(work, alert.ref)), "lapsed"))


def _asked_with(work: Work, alert: Alert, holder: str) -> list[Alert]:
    """The other alerts of the holder about which they would be asked while they are asked about this one: one reminder
    for all that they hold (domain.md, "On-call is asleep, or driving")."""
    until = work.now + work.policy(alert).summon_next
    return [
        other
        for other in held_by(work, holder, "held")
        if other.ref != alert.ref and not other.unrecorded and _asked_by(other, until)
    ]


def _asked_by(alert: Alert, until: datetime) -> bool:
    track = alert.track("summon")
    return track is not None and track.next_at is not None and track.next_at <= until


def held_by(work: Work, holder: str, phase: str) -> list[Alert]:
    """The open alerts that this person has and whose taking stands there: `held`, or `asked_again`."""
    found = []
    for alert in work.all_open_alerts():
        track = alert.track("summon")
        if alert.taken_by == holder and track is not None and track.phase == phase:
            found.append(alert)
    return found


def _to_person(
    work: Work,
    alert: Alert,
    ref: str,
    template: str,
    *,
    count: int = 0,
    about: str | None = None,
    at: datetime | None = None,
) -> tuple[Contact, ...]:
    line = person_for(work, ref, alert.service_user).text_line()
    if line is None:
        return ()
    return (
        Contact(
            person=ref,
            line=line.ref,
            channel="sms",
            purpose=PURPOSES.get(template, "notice"),
            template=template,
            priority="repeat",
            count=count,
            about=about,
            at=at,
        ),
    )


PURPOSES: dict[str, Literal["summon", "stand_down"]] = {
    "OC-2": "summon",
    "OC-95": "summon",
    "OC-12": "summon",
    "OC-23": "summon",
    "OC-33": "summon",
    "OC-3": "stand_down",
    "OC-19": "stand_down",
    "OC-29": "stand_down",
}
"""What a single text to a member of staff is for; all others are notices."""


def tell_person(
    work: Work,
    alert: Alert,
    person: str,
    template: str,
    *,
    count: int = 0,
    about: str | None = None,
    at: datetime | None = None,
    key: str | None = None,
) -> None:
    """One text to one member of staff about the alert. `key`: under which others know of it already."""
    for contact in _to_person(work, alert, person, template, count=count, about=about, at=at):
        intend(work, contact, alert=alert, key=key)


def managers(work: Work) -> list[str]:
    """The registered manager, or her deputies, in order (17.1)."""
    return list(dict.fromkeys(entry.person for entry in work.state.values.duty if entry.role == "manager"))


def tell_staff(
    work: Work,
    alert: Alert,
    template: str,
    *,
    count: int = 0,
    about: str | None = None,
    at: datetime | None = None,
) -> None:
    """A word to whoever has it, else to the rung being summoned."""
    ref = responsible(work, alert)
    if ref is not None:
        tell_person(work, alert, ref, template, count=count, about=about, at=at)


def responsible(work: Work, alert: Alert) -> str | None:
    """Whoever has it, else the rung being summoned."""
    chain = [person for person in duty_chain(work, alert.service_user) if may_hear(work, alert, person.ref)]
    track = alert.track("summon")
    return alert.taken_by or (chain[(track.index if track else 0) % len(chain)].ref if chain else None)


# --- people answer ---


def take(work: Work, alert: Alert, by: str, proof: str) -> None:
    """A named person has it: summoning rests until the taking expires; what could not be recorded is asked again
    after ten minutes (design: "Degraded mode")."""
    work.emit(alert.ref, f.AlertTaken(by=by, proof=proof, unrecorded=work.ctx.unrecorded))
    for message in open_messages(work, alert, "summon"):
        if message.phase == "queued":
            cancel(work, message, "taken")
    move(work, alert, Move(track=holding(work, alert, "taken")))
    if alert.taken_by != by:
        for person in _told(work, alert):
            if person != by:
                tell_person(work, _alert(work, alert.ref), person, "OC-3", about=by)


def holding(work: Work, alert: Alert, reason: str) -> Track:
    """The track *summon* of an alert that somebody has: they are asked again when the taking expires."""
    before = alert.track("summon") or Track(name="summon", step="done", reason="")
    expires = timedelta(minutes=10) if work.ctx.unrecorded else work.policy(alert).ack_expires
    return Track(
        name="summon",
        step="reached",
        reason=reason,
        phase="held",
        next_at=work.now + expires,
        index=before.index,
        round=before.round,
    )


def hand_to(work: Work, alert: Alert, to: str, by: str) -> None:
    """One person of ours gives it to another, who is asked. They have it from then on, and keep it if they answer
    within `summon_next`: a taking of which the taker knows nothing would end in silence (21.3)."""
    take(work, alert, to, f"person:{by}")
    if to == by:
        return
    tell_person(work, alert, to, "OC-2")
    current = _alert(work, alert.ref)
    asked = structs.replace(
        holding(work, current, "handed_over"),
        phase="asked_again",
        next_at=work.now + work.policy(alert).summon_next,
    )
    move(work, current, Move(track=asked))


def pass_on(work: Work, alert: Alert, by: str, reason: str) -> None:
    """Who has it, or is being summoned, cannot: the next one, at once. From anybody else it changes nothing, and
    help goes on ringing at the others."""
    track = alert.track("summon")
    if track is None or (alert.state == "taken" and alert.taken_by != by):
        return
    case = summon_case(work, alert)
    rungs = [person.ref for person in case.chain]
    if alert.state == "taken":
        work.emit(alert.ref, f.AlertLapsed(by=by))
        # the one after them; from the beginning if somebody had it who is not in the chain
        track = structs.replace(track, index=rungs.index(by) if by in rungs else -1)
    elif case.help or not rungs or rungs[track.index % len(rungs)] != by:
        return
    move(work, alert, summon.pass_on(case, track, reason))


def clock_agrees(work: Work) -> None:
    """A second source agrees with our clock: what was held for that alone is decided anew, now. An alert that the
    wrong clock raised before its time waits for its own moment (design rule 8: nobody is rung at 5 a.m. for it)."""
    for alert in work.all_open_alerts():
        track = alert.track("reassure")
        if rests(work, alert, "reassure"):
            continue
        if track is not None and (track.step, track.reason) == ("waiting", reassure.CLOCK_DOUBTED):
            _retime(work, alert, track, max(work.now, alert.due_at), track.reason)


def pause(work: Work, alert: Alert, by: str) -> None:
    """The person on duty stops the machine from contacting the service user; it goes on by itself when nobody has
    said more by the time that a taking expires (domain.md, "Public messages"; nothing ends in silence)."""
    track = alert.track("reassure")
    if track is None or track.step not in ("waiting", "trying"):
        return
    rest(work, alert, structs.replace(track, reason="paused"), by, "paused")


PURPOSES_OF: dict[TrackName, tuple[str, ...]] = {
    "summon": ("summon",),
    "reassure": ("reassure",),
    "locate": ("locate",),
    "replace": ("offer",),
    "inform": ("inform_next_of_kin",),
}
"""What each track sends: what of it waits for its turn does not leave once it is stopped."""


def rest(
    work: Work, alert: Alert, track: Track, by: str, reason: str = "stopped", look_at: datetime | None = None
) -> None:
    """A named person stops a track: it goes on by itself when a taking would expire, never later, and at `look_at`
    is asked for what runs all the same (nothing ends in silence)."""
    for message in (m for purpose in PURPOSES_OF[track.name] for m in open_messages(work, alert, purpose)):
        if message.phase == "queued":
            cancel(work, message, reason)
    until = work.now + work.policy(alert).ack_expires
    rests = structs.replace(track, next_at=min(until, look_at or until), rests_until=until, rests_by=by)
    record(work, alert, rests)


def rests(work: Work, alert: Alert, name: TrackName) -> bool:
    """Whether somebody has stopped that track, and that still holds: what happens meanwhile moves it no further."""
    track = alert.track(name)
    return track is not None and track.rests(work.now)


def reassured(work: Work, alert: Alert, person: str, proof: str, answer: str, message: str | None) -> None:
    """A human answered: contact. What they said decides what follows."""
    work.emit(
        alert.ref,
        f.PersonReached(person=person, purpose="reassure", proof=proof, answer=answer, message=message),
    )
    track = alert.track("reassure")
    if track is not None and track.step not in ("reached", "done"):
        for queued in open_messages(work, alert, "reassure"):
            if queued.phase == "queued":
                cancel(work, queued, "reached")
        move(work, alert, reassure.reached(track, answer))


def wrong_number(work: Work, alert: Alert, message: Message) -> None:
    """Whoever answered is somebody else: no contact, and the next way is tried at once."""
    strangers_line(work, message)
    tell_staff(work, alert, "OC-132", about=message.person)
    track = alert.track("reassure")
    if track is None:
        return
    following = reassure.on_unanswered(reassure_case(work, alert), track, failed=True)
    if following is not None:
        _reassure_move(work, alert, following)


def strangers_line(work: Work, message: Message) -> None:
    """The call is done with, whatever the network says of it later, and its line is not used again for them, whatever
    it were about, until the office has changed the number."""
    work.emit(message.key, f.MessageSettled(result="answered", reason=WRONG_NUMBER))
    if message.line is not None and message.line not in work.wrong_lines(message.person):
        work.emit(message.person, f.NumberWrong(line=message.line, message=message.key))


def ask_for_help(
    work: Work, alert: Alert | None, service_user: str | None, reason: str, *, worker: str | None = None
) -> Alert:
    """Somebody wants a person now: the whole chain is rung together until somebody takes it. Asked once more while
    somebody has it: that person is told at once."""
    for asked in work.all_open_alerts():
        if (asked.kind, asked.service_user, asked.worker) == ("help_asked", service_user, worker):
            if asked.taken_by is not None:
                tell_person(work, asked, asked.taken_by, "OC-12")
            return asked
    visit = work.visit(alert.visit) if alert else None
    return raise_alert(
        work, "help_asked", visit=visit, service_user=service_user, worker=worker, reason=reason
    )


def ring_for_line(work: Work, alert: Alert) -> None:
    """Somebody waits on an open line about it: the whole chain is rung now, who has it among them."""
    current = _alert(work, alert.ref)
    if current.taken_by is not None:
        work.emit(current.ref, f.AlertLapsed(by=current.taken_by))
    move(work, current, summon.begin(summon_case(work, _alert(work, current.ref)), "line_waits"))


def alarm_stopped(work: Work, *, service_user: str | None, worker: str | None) -> None:
    """STOP: the network lets no text through any more. For somebody on call that is a paging hole (devices.md)."""
    for alert in work.all_open_alerts():
        if (alert.reason, alert.service_user, alert.worker) == (STOPPED_TEXTS, service_user, worker):
            return
    raise_alert(work, "incident", service_user=service_user, worker=worker, reason=STOPPED_TEXTS)


# --- what becomes of messages ---


def ring_everybody(work: Work, alert: Alert) -> None:
    """Nobody could be joined to the caller: the whole chain is rung about it now."""
    track = alert.track("summon")
    if alert.state == "open" and track is not None and track.phase == "joining":
        move(work, alert, summon.pass_on(summon_case(work, alert), track, "not_joined"))


def on_settled(work: Work, message: Message, result: str) -> None:
    """A message came to its end; a failed or empty step advances at once (design rule 6)."""
    alert = work.alert(message.alert)
    if alert is not None and message.template == OVER_CALL and result not in HEARD_OF_IT:
        tell_staff(work, alert, NOT_TOLD, about=message.person)
    if alert is None or alert.state == "ended" or message.proof is not None:
        return
    if message.purpose == "reassure" and not rests(work, alert, "reassure"):
        _reassure_settled(work, alert, message, result)
    elif message.purpose == "summon" and alert.state == "open" and not rests(work, alert, "summon"):
        _summon_settled(work, alert, message, result)


def _reassure_settled(work: Work, alert: Alert, message: Message, result: str) -> None:
    track = alert.track("reassure")
    if track is None or result == "delivered" or not _newest(work, alert, message):
        return
    following = reassure.on_unanswered(reassure_case(work, alert), track, failed=result == "failed")
    if following is not None:
        _reassure_move(work, alert, following)


def _summon_settled(work: Work, alert: Alert, message: Message, result: str) -> None:
    track = alert.track("summon")
    if track is None or track.step != "trying":
        return  # an incident summons for it meanwhile: what becomes of an earlier summons rings nobody again
    if alert.kind == "help_asked" or not _on_this_rung(work, alert, message):
        return
    if message.channel == "email" and person_for(work, message.person, alert.service_user).lines:
        return  # a mail goes beside the telephone: what becomes of it moves no ladder
    case = summon_case(work, alert)
    rings = any(
        m.channel == "call" and m.person == message.person for m in open_messages(work, alert, "summon")
    )
    if result == "answered":
        # answered and hung up without a key: the next person at once, no fault (wording.md OCV-1)
        move(work, alert, summon.pass_on(case, track, "hung_up"))
    elif result in ("failed", "voicemail") and not rings:
        move(work, alert, summon.quicken(case, track))


def _on_this_rung(work: Work, alert: Alert, message: Message) -> bool:
    """Whether the ladder stands where this message was sent from; what comes late of an earlier step moves nothing."""
    chain = duty_chain(work, alert.service_user)
    track = alert.track("summon")
    if not chain or track is None or track.phase == summon.ROUND_OVER:
        return False
    return chain[track.index % len(chain)].ref == message.person and _newest(work, alert, message)


def _newest(work: Work, alert: Alert, message: Message) -> bool:
    """No later message of its kind was intended for the alert."""
    return all(
        other.intended_at <= message.intended_at
        for other in work.messages_of(alert)
        if other.purpose == message.purpose
    )


def open_messages(work: Work, alert: Alert, purpose: str) -> list[Message]:
    """Its messages of that purpose that have not come to their end."""
    return [m for m in work.messages_of(alert) if m.purpose == purpose and m.phase != "settled"]


def cancel(work: Work, message: Message, reason: str) -> None:
    """It became pointless before its turn came."""
    work.emit(message.key, f.MessageSettled(result="cancelled", reason=reason))


def withdraw(work: Work, alert: Alert, purpose: str, worker: str | None = None) -> None:
    """What waits of that purpose, to that person or to anybody, was answered before its turn came."""
    for message in open_messages(work, alert, purpose):
        if message.phase == "queued" and worker in (None, message.person):
            cancel(work, message, "answered")


# --- the end ---


def end_alert(
    work: Work,
    alert: Alert,
    reason: EndedReason,
    *,
    by: str | None = None,
    outcome: str | None = None,
    about: str | None = None,
) -> None:
    """It is over: what waits is cancelled, tracks stop, and those who were told are told (domain.md, "Ending")."""
    told = _told(work, alert)
    waiting = waiting_on(work, alert)
    outside = _told_outside(work, alert)
    for_nothing = _sent_for_nothing(work, alert, about)
    for message in work.messages_of(alert):
        if message.phase == "queued" and (message.template not in STILL_TOLD or message.person == about):
            cancel(work, message, "alert_ended")
    work.emit(alert.ref, f.AlertEnded(reason=reason, by=by, outcome=outcome))
    _watch_again(work, alert, reason)
    for track in alert.tracks:
        if track.step in ("waiting", "trying"):
            over = Track(name=track.name, step="done", reason=reason, index=track.index, round=track.round)
            move(work, alert, Move(track=over))
    for person in told:
        if person != by:
            words = "OC-19" if about is not None else "OC-29"
            tell_person(work, _alert(work, alert.ref), person, words, about=about or by)
    for other in waiting:
        _ask_now(work, other.ref)
    for contact in outside:
        if contact.person != about:
            _tell_that_it_is_over(work, _alert(work, alert.ref), contact)
    for worker in for_nothing if outcome != DIED else ():
        tell_covered(work, _alert(work, alert.ref), worker)
    _end_digest(work, alert, reason)


CANCELLATIONS = "cancellations"
"""Reason of the alert that one person's visits are called off again and again (7.26-7.27)."""
PATTERN = 3
PATTERN_WITHIN = timedelta(days=14)


def cancelled_once_more(work: Work, alert: Alert) -> None:
    """A cancellation was confirmed. Three of one person in fourteen days are a pattern that somebody looks at: they may
    be unwell, or somebody else may decide for them (domain.md, "Ending")."""
    about = alert.service_user
    if about is None:
        return
    before = work.state.values.cancelled.get(about, ())
    count = 1 + sum(1 for at in before if work.now - at < PATTERN_WITHIN)
    told = (a for a in work.all_open_alerts() if a.reason == CANCELLATIONS)
    if count >= PATTERN and all(other.service_user != about for other in told):
        raise_alert(work, "incident", service_user=about, reason=CANCELLATIONS, count=count)


OVER_WORDS: dict[str, str] = {
    "NOK-1": "NOK-5",
    "NOKV-1": "NOK-5",
    "CO-2": "CO-4",
}
"""Who heard these words is told with those that it is over: next of kin and the council."""


STILL_TOLD = frozenset({"CW-8B", "CW-9"})
"""That it is covered, or that somebody else goes: whoever was asked or sent hears it also when it is over meanwhile."""


def _sent_for_nothing(work: Work, alert: Alert, about: str | None) -> list[str]:
    """Who is on the way and need not come any more. While a place of a double-handed visit is still empty, whoever
    was sent is wanted for it."""
    visit = work.visit(alert.visit)
    if visit is not None and visit.anybody_there and not visit.all_there and not visit.over:
        return []
    there = {place.worker for place in visit.places if place.arrived_at is not None} if visit else set()
    return [sent.worker for sent in alert.sent if sent.worker != about and sent.worker not in there]


def tell_covered(work: Work, alert: Alert, worker: str) -> None:
    """A care worker is not wanted any more: by text, else a person of ours rings them."""
    view = person_for(work, worker, alert.service_user)
    line = view.text_line()
    if line is None:
        tell_staff(work, alert, "OC-72", about=worker)
        return
    contact = Contact(
        person=worker,
        line=line.ref,
        channel="sms",
        purpose="stand_down",
        template="CW-8B",
        priority="time_critical",
    )
    intend(work, contact, alert=alert)


def _told_outside(work: Work, alert: Alert) -> list[Contact]:
    """One word to each of those beyond the staff who were told of it: by text or mail, and on a landline by a short
    call that asks nothing."""
    found: dict[str, Contact] = {}
    for message in work.messages_of(alert):
        words = OVER_WORDS.get(message.template)
        if words is None or not message.attempts or message.person in found:
            continue
        contact = _over_to(work, alert, message, words)
        if contact is not None:
            found[message.person] = contact
    return list(found.values())


def _over_to(work: Work, alert: Alert, message: Message, words: str) -> Contact | None:
    by_mail = message.channel == "email"
    person = person_for(work, message.person, alert.service_user)
    line = None if by_mail else person.text_line()
    if line is None and not by_mail:
        return _over_call(work, alert, message, person)
    return Contact(
        person=message.person,
        line=line.ref if line is not None else "",
        channel="email" if by_mail else "sms",
        purpose="stand_down",
        template=words,
        priority="repeat",
    )


OVER_CALL = "NOKV-130"
"""The words of the call that it is over: nobody's name, and no question, so that a voicemail may have it."""
HEARD_OF_IT = ("answered", "voicemail")


def _over_call(work: Work, alert: Alert, message: Message, person: PersonView) -> Contact | None:
    """Whoever has no line for a text is rung, if they picked up or a machine of theirs did: to anybody else the first
    they would hear of it is that it is over."""
    heard = message.proof is not None or message.result in HEARD_OF_IT
    line = next((one for one in person.voice_lines() if one.ref == message.line), None)
    if message.channel != "call" or not heard or line is None:
        return None
    ring = person.plan.ring_s or round(work.policy(alert).ring_public.total_seconds() * 0.6)
    return Contact(
        person=message.person,
        line=line.ref,
        channel="call",
        purpose="stand_down",
        template=OVER_CALL,
        priority="repeat",
        ring_s=ring,
        rehearsed=reassure.mode(reassure_case(work, alert)) == "off",
    )


def _tell_that_it_is_over(work: Work, alert: Alert, contact: Contact) -> None:
    """Who has spoken to us about it waits to hear how it ended, at any hour. Nobody else is rung for it by night: a
    person of ours rings them in the morning."""
    key = intend(work, contact, alert=alert)
    message = work.message(key)
    if contact.template != OVER_CALL or message is None or message.phase != "queued":
        return
    spoke = any(m.person == contact.person and m.proof is not None for m in work.messages_of(alert))
    if not spoke and work.state.calendar.is_night(work.now, work.policy(alert)):
        cancel(work, message, "night")
        tell_staff(work, alert, NOT_TOLD, about=contact.person)


NOT_TOLD = "OC-131"
"""A next of kin has not been told that it is over: a person of ours rings them."""


def _watch_again(work: Work, alert: Alert, reason: EndedReason) -> None:
    """An outcome settles what has been. If the visit was moved to a time to come meanwhile, that is watched; to which
    somebody has come is past, also by a clock that was set back."""
    visit = work.visit(alert.visit)
    if visit is None or reason != "outcome_recorded" or visit.anybody_there:
        return
    if visit.resolved and visit.start > work.now:
        work.emit(visit.ref, planned_again(visit, work.policy_for(visit.service_user)))


def digested(work: Work, alert: Alert) -> list[Alert]:
    """The open alerts for which this digest summons; none for any other alert."""
    if alert.kind != "incident" or alert.reason != WHILE_DOWN:
        return []
    return [a for a in work.all_open_alerts() if a.reason == WHILE_DOWN and a.kind != "incident"]


def _end_digest(work: Work, ended: Alert, reason: EndedReason) -> None:
    """The digest of what became due while we were down is over with the last of its alerts."""
    if ended.reason != WHILE_DOWN or ended.kind == "incident":
        return
    left = [alert for alert in work.all_open_alerts() if alert.reason == WHILE_DOWN]
    if all(alert.kind == "incident" for alert in left):
        for digest in left:
            end_alert(work, digest, reason)


def _told(work: Work, alert: Alert) -> list[str]:
    """Staff to whom at least one message about it may have gone, and who has it."""
    sent = [m.person for m in work.messages_of(alert) if m.purpose == "summon" and m.attempts > 0]
    return list(dict.fromkeys([*sent, *([alert.taken_by] if alert.taken_by else [])]))
