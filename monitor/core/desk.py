"""The desk: `decide`, `evolve`, `next_deadline` over everything it watches.

`decide(state, input, ctx)` answers with facts and never touches the state; `evolve` folds them; `next_deadline` says
when the core wants to be asked again. Replay is folding, never deciding again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from config.policy import encode_policy, policy_digest, terms_of
from monitor.core import (
    absence,
    alerts,
    answerphone,
    at_door,
    callers,
    causes,
    checkins,
    checks,
    council,
    counted,
    death,
    duty,
    gathering,
    homes,
    incidents,
    informing,
    leaving,
    lines,
    messages,
    phones,
    practice,
    procedure,
    referrals,
    replacing,
    replanning,
    rota,
    staff_changes,
    steering,
    texts,
    visits,
    weather_desk,
    weather_list,
    written_notice,
)
from monitor.core import facts as f
from monitor.core.asking import eta, missing_workers
from monitor.core.evolve import evolve
from monitor.core.inputs import (
    CLOCKS_DIFFER,
    RAISED_BY,
    AbsenceActed,
    AbsenceTold,
    ActionTaken,
    AnswerphoneBegins,
    AnswerphoneHeard,
    CallerAlone,
    CallerJoined,
    CallerWaits,
    CheckInSeen,
    DayRolled,
    DeadlineFailed,
    DeadlineReached,
    DeathTold,
    DeliveryReported,
    FilesTroubled,
    HomeSaid,
    Input,
    KeyPressed,
    LeadershipWon,
    LineAnswered,
    LineBack,
    LineTurn,
    PeopleReceived,
    PinsGuessed,
    PolicyLoaded,
    PracticeWanted,
    ReferralActed,
    ReferralSeen,
    ReplyReceived,
    RotaPortion,
    SendReported,
    SendTurn,
    SignalChanged,
    TextsRead,
    WeatherSaid,
)
from monitor.core.placing import after
from monitor.core.placing import desk as placing
from monitor.core.state import AWAY, CHECKS, DUTY, NOTICES, REPLAN, ROTA, STAFF_CHANGES, TEXTS, Alert, State
from monitor.core.views import AlertKind, EndedReason, TrackName
from monitor.core.work import Ctx, Decision, Refusal, Work

__all__ = ["Ctx", "Decision", "Refusal", "State", "decide", "evolve", "next_deadline"]

JOURNAL_FORMAT = 1


def decide(state: State, seen: Input, ctx: Ctx) -> Decision:
    """What follows from this input, as facts. Raises only on a programmer's error."""
    work = Work(state, ctx)
    decision = procedure.follow(work, absence.follow(work, _DECIDE[type(seen)](work, seen)))
    decision = written_notice.follow(work, checks.follow(work, duty.follow(work, decision)))
    return weather_list.follow(work, decision)


def next_deadline(state: State) -> datetime | None:
    """The earliest moment at which the core wants to be asked again, or None."""
    return state.next_deadline()


def _deadline(work: Work, seen: DeadlineReached) -> Decision:
    subject = seen.subject
    if (visit := work.visit(subject)) is not None:
        visits.on_deadline(work, visit, seen.due_at)
    elif (alert := work.alert(subject)) is not None:
        if causes.is_incident(alert) and incidents.end_if_over(work, alert):
            return work.decision()
        alerts.on_deadline(work, alert, seen.due_at)
        procedure.on_deadline(work, alert)
        gathering.on_deadline(work, subject)
    elif (message := work.message(subject)) is not None:
        messages.on_deadline(work, message)
    elif (weather := work.weather_of(subject)) is not None:
        weather_desk.on_deadline(work, weather)
    elif (placement := work.placement(subject)) is not None:
        placing.on_deadline(work, placement)
    elif (referral := work.referral(subject)) is not None:
        referrals.on_deadline(work, referral, seen.due_at)
    elif subject == ROTA:
        rota.on_deadline(work, seen.due_at)
    elif subject == STAFF_CHANGES:
        staff_changes.on_deadline(work, seen.due_at)
    elif subject == REPLAN:
        replanning.on_deadline(work)
    elif subject == CHECKS:
        checks.on_deadline(work, seen.due_at)
    elif (device := work.state.values.devices.get(subject)) is not None:
        phones.on_deadline(work, device)
    elif subject == NOTICES:
        written_notice.on_deadline(work, seen.due_at)
    elif subject == DUTY:
        duty.on_deadline(work, seen.due_at)
    elif subject == AWAY:
        absence.on_deadline(work)
    elif subject == TEXTS:
        texts.on_deadline(work, seen.due_at)
    return work.decision()


def _deadline_failed(work: Work, seen: DeadlineFailed) -> Decision:
    """The core failed on this subject. A person must look: one bad visit must not be silent (design: the engine)."""
    work.emit(seen.subject, f.WatchFault(error=seen.error), due_at=seen.due_at)
    for alert in work.all_open_alerts():
        if alert.kind == "watch_fault" and alert.visit == seen.subject:
            return work.decision()
    visit = work.visit(seen.subject)
    alerts.raise_alert(work, "watch_fault", visit=visit, due_at=seen.due_at, reason="decide_failed")
    return work.decision()


def _leadership(work: Work, seen: LeadershipWon) -> Decision:
    if work.state.seq == 0:
        work.emit("desk", f.JournalOpened(format=JOURNAL_FORMAT, min_reader=1))
    work.emit("desk", f.LeadershipTaken(fence=seen.fence))
    return work.decision()


def _policy(work: Work, seen: PolicyLoaded) -> Decision:
    """Policy, duty list and bank holidays enter as facts, and only when they changed."""
    values = work.state.values
    digest = policy_digest(seen.policy)
    if digest != values.policy_digest or seen.public != values.public:
        adopted = f.PolicyAdopted(digest=digest, policy=encode_policy(seen.policy), public=seen.public)
        work.emit("desk", adopted, policy=digest)
    contracts = terms_of(seen.contracts)
    if tuple(structs.replace(terms, policy={}) for terms in contracts) != values.contracts:
        work.emit("desk", f.ContractsAdopted(contracts=contracts))
    if work.drafts:
        replanning.begin(work, seen)
    # a snapshot of an earlier release does not know since when hand-overs are looked for
    unseen = bool(seen.duty) and values.duty_seen_at is None
    if seen.duty != values.duty:
        duty.reset(work)
    if seen.duty != values.duty or seen.council_desks != values.council_desks or unseen:
        since = work.now if unseen or seen.duty != values.duty else values.duty_seen_at
        work.emit("desk", f.DutyAdopted(duty=seen.duty, council_desks=seen.council_desks, asks_from=since))
    if seen.holidays != values.holidays:
        work.emit("desk", f.HolidaysAdopted(dates=seen.holidays))
    return work.decision()


def _people(work: Work, seen: PeopleReceived) -> Decision:
    if seen.new or seen.changed:
        work.emit("desk", f.PeopleChanged(new=len(seen.new), changed=len(seen.changed)))
        rota.replan_for_people(work, (*seen.new, *seen.changed))
        _mended(work, (*seen.new, *seen.changed))
    return work.decision()


def _mended(work: Work, people: tuple[str, ...]) -> None:
    """A number that was wrong and that the office has taken away: should it ever come back, it is believed again."""
    for ref in people:
        known = work.ctx.people.person(ref)
        lines = {line.ref for line in known.lines} if known is not None else set()
        for line in work.wrong_lines(ref):
            if line not in lines:
                work.emit(ref, f.NumberMended(line=line))


STORE = "store"
"""The subject under which the shell says that facts cannot be written: no visit is dark for it, staff are told."""


def _signal(work: Work, seen: SignalChanged) -> Decision:
    if seen.subject == STORE:
        return _machine_trouble(work, "degraded", seen.dark, over="store_back")
    known = f"{seen.cause}:{seen.subject}" in work.state.values.dark
    if seen.dark and not known:
        work.emit(seen.subject, f.SignalLost(cause=seen.cause))
        incidents.way_lost(work, seen.cause, seen.subject)
        if seen.cause == "clock":
            # a wrong clock is an event and an alarm (design rule 8)
            _machine_trouble(work, "clock_doubted", True, over="clock_confirmed")
    elif not seen.dark and known:
        work.emit(seen.subject, f.SignalFound(cause=seen.cause))
        incidents.way_back(work)
        if seen.cause == "clock":
            alerts.clock_agrees(work)
            _machine_trouble(work, "clock_doubted", False, over="clock_confirmed")
    return work.decision()


def _files(work: Work, seen: FilesTroubled) -> Decision:
    """A rota that cannot be read, or does not come, is a silent watch: an alarm, until it is over."""
    told = [a for a in work.all_open_alerts() if a.kind == "rota" and a.reason == seen.trouble]
    if seen.begun and not told:
        alerts.raise_alert(work, "rota", reason=seen.trouble)
    for alert in told if not seen.begun else []:
        alerts.end_alert(work, alert, "outcome_recorded", outcome="mended")
    return work.decision()


def _machine_trouble(work: Work, reason: str, begun: bool, *, over: str) -> Decision:
    """The machine itself is in trouble: an identified person watches by hand until it is over."""
    told = [a for a in work.all_open_alerts() if a.kind == "watch_fault" and a.reason == reason]
    if begun and not told:
        alerts.raise_alert(work, "watch_fault", reason=reason)
    for alert in told if not begun else []:
        alerts.end_alert(work, alert, "outcome_recorded", outcome=over)
    return work.decision()


def _day(work: Work, seen: DayRolled) -> Decision:
    if work.state.values.day != seen.day:
        work.emit("desk", f.DayRolledOver(day=seen.day))
    return work.decision()


# --- what people do on a page or through the API ---


AFTER_THE_END = frozenset({"note", "check", "send_notice", "no_notice"})
"""What can be done about an alert that is over."""
SPOKE_BEFORE = timedelta(days=1)
"""What was done before an alert may bear on it, such as a call of last night; a slip in the year may not."""


def _action(work: Work, seen: ActionTaken) -> Decision:
    alert = work.alert(seen.alert)
    if alert is None:
        return Decision(refusal=Refusal(code="not_found"))
    if alert.state == "ended" and seen.action not in AFTER_THE_END:
        return Decision(
            refusal=Refusal(code="already_ended", detail={"by": alert.taken_by, "at": alert.ended_at})
        )
    if not all(alerts.may_hear(work, alert, person) for person in (seen.by, seen.to) if person is not None):
        return Decision(refusal=Refusal(code=alerts.NEVER_TOLD))
    if not alert.opened_at - SPOKE_BEFORE <= seen.at <= work.now + CLOCKS_DIFFER:
        expected = ["when it was done: not to come, and within a day before the alert at the earliest"]
        return Decision(refusal=Refusal(code="at", detail={"expected": expected}))
    refusal = _ACTIONS.get(seen.action, _only_recorded)(work, alert, seen)
    if refusal is not None:
        return Decision(refusal=refusal)
    return work.decision()


def _recorded(work: Work, alert: Alert, seen: ActionTaken, to: str | None = None) -> None:
    # `to`: whom they mean when they name nobody
    # what somebody writes is evidence, never a fact: only a known code stands here
    known = seen.reason in CLOSE_REASONS or seen.reason in SAID or seen.reason in leaving.SAID
    reason = seen.reason if known else None
    work.emit(
        alert.ref,
        f.ActionRecorded(
            action=seen.action,
            by=seen.by,
            done_at=seen.at,
            reason=reason,
            to=seen.to or to,
            minutes=seen.minutes,
            note=seen.note,
            track=seen.track,
            raised_by=seen.raised_by,
        ),
        policy=alert.policy,
    )


def _only_recorded(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    _recorded(work, alert, seen)
    return None


def _take(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    if alert.state == "taken" and alert.taken_by != seen.by:
        return Refusal(code="already_taken", detail={"by": alert.taken_by, "at": alert.taken_at})
    _recorded(work, alert, seen)
    work.emit(
        alert.ref,
        f.PersonReached(person=seen.by, purpose="summon", proof=f"person:{seen.by}", answer="take"),
    )
    alerts.take(work, alert, seen.by, f"person:{seen.by}")
    return None


def _hand_over(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """To a named person, or back to the chain."""
    _recorded(work, alert, seen)
    if seen.to is not None:
        alerts.hand_to(work, alert, seen.to, seen.by)
    else:
        alerts.pass_on(work, alert, alert.taken_by or seen.by, "handed_over")
    return None


def _spoke_service_user(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """A named member of staff spoke to them: contact, whichever telephone it was."""
    _recorded(work, alert, seen, alert.service_user)
    if alert.service_user is not None:
        alerts.reassured(work, alert, alert.service_user, f"person:{seen.by}", "spoke", None)
    return None


SAID: dict[str, f.WorkerAnswer] = {"there": "there", "on_my_way": "on_my_way", "cannot": "cannot"}
"""What a care worker may have said to a person of ours: the reasons of `spoke_care_worker`."""


def _spoke_care_worker(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """A named member of staff spoke to the care worker and records what they said (22.3: record an ETA)."""
    if alert.kind == "lone_worker" and seen.reason is not None:
        return _spoke_of_leaving(work, alert, seen)
    visit = work.visit(alert.visit)
    answer = SAID.get(seen.reason or ("on_my_way" if seen.minutes is not None else ""))
    if seen.reason is not None and answer is None:
        return Refusal(code="reason", detail={"expected": sorted(SAID)})
    missing = missing_workers(visit) if visit is not None else ()
    worker = seen.to or (missing[0] if missing else None)
    _recorded(work, alert, seen, worker or alert.worker)
    if answer is not None and visit is not None and worker is not None:
        procedure.say(work, visit, worker, answer, f"person:{seen.by}", seen.minutes, None)
    return None


def _spoke_of_leaving(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """Of somebody who has not checked out: they have left, or are there still and are asked again."""
    visit, answer = work.visit(alert.visit), leaving.SAID.get(seen.reason or "")
    if answer is None or visit is None or alert.worker is None:
        return Refusal(code="reason", detail={"expected": sorted(leaving.SAID)})
    _recorded(work, alert, seen, alert.worker)
    leaving.say(work, visit, seen.to or alert.worker, answer, f"person:{seen.by}", None)
    return None


def _assign_replacement(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """A person assigns somebody by hand: *sent*, whoever was asked by the machine (22.4)."""
    visit = work.visit(alert.visit)
    if seen.to is None or visit is None:
        return Refusal(code="to", detail={"expected": ["the id of the care worker who goes"]})
    already = next((going for going in alert.sent if going.worker != seen.to), None)
    if already is not None and not counted.places_open(alert, visit):
        kind, _, person = already.proof.partition(":")
        by = person if kind == "person" else already.worker
        detail = {"by": by, "at": already.at, "worker": already.worker, "eta_at": already.eta_at}
        return Refusal(code="already_sent", detail=detail)
    _recorded(work, alert, seen)
    at = eta(work, seen.minutes)
    replacing.accept(work, alert, visit, seen.to, at, f"person:{seen.by}", None)
    return None


def _told_next_of_kin(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """A person of ours spoke to a next of kin."""
    kin = informing.kin_of(work, alert)
    _recorded(work, alert, seen, kin[0].ref if kin else None)
    informing.kin_told(work, alert, seen.by, seen.to)
    return None


def _told_council(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """A person of ours spoke to the council desk; the officer's name and reference are in the note."""
    _recorded(work, alert, seen, council.council_desk(work, alert))
    council.council_told(work, alert, seen.by)
    return None


def _pause(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """The machine does not contact the service user for a while: the person on duty does."""
    _recorded(work, alert, seen)
    alerts.pause(work, alert, seen.by)
    return None


def _steer(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """A track is stopped for a while, or goes on at once."""
    if seen.track is None:
        return Refusal(code="track", detail={"expected": sorted(TRACKS)})
    if seen.action == "stop_track":
        step = steering.stop(work, alert, seen.track, seen.by)
    else:
        step = steering.now(work, alert, seen.track, seen.next_at)
    if isinstance(step, Refusal):
        return step
    _recorded(work, alert, seen)
    step()
    return None


TRACKS: tuple[TrackName, ...] = TrackName.__args__  # type: ignore[attr-defined]

CLOSE_REASONS: dict[str, EndedReason] = {
    "seen_well": "outcome_recorded",
    "visit_made": "outcome_recorded",
    "taken_to_hospital": "outcome_recorded",
    "away": "outcome_recorded",
    "raised_in_error": "outcome_recorded",
    "asleep": "outcome_recorded",
    "declined": "outcome_recorded",
    "family_there": "outcome_recorded",
    "other": "outcome_recorded",
    "outcome_recorded": "outcome_recorded",
    "cancelled_confirmed": "cancelled_confirmed",
    "replacement_arrived": "replacement_arrived",
    "arrived": "arrived",
    "merged": "merged",
}
"""Reason codes with which a person may close an alert, and how it then ended; late evidence comes only from a
check-in."""


WHY_SHORT = frozenset({"asleep", "declined", "family_there"})
"""Why a visit was very short, as a supervisor has heard on the telephone (spec 21.4); no reason for anything else."""
NO_REASON_WHY_SHORT = frozenset({"outcome_recorded", "arrived", "replacement_arrived", "cancelled_confirmed"})
"""They end other alerts, and say nothing about why somebody left so early."""


NO_DECISION = frozenset({"merged", "arrived", "replacement_arrived"})
"""They would leave a visit whose home is not confirmed to nobody: a person decides, and says what (4.6.7)."""


def reasons_for(kind: AlertKind) -> list[str]:
    """The reason codes with which a person may close an alert of this kind."""
    if kind == "placement":
        return ["other", "outcome_recorded"]
    barred = NO_REASON_WHY_SHORT if kind == "very_short" else WHY_SHORT
    return sorted(set(CLOSE_REASONS) - barred - (NO_DECISION if kind == homes.KIND else frozenset()))


def closes_with(work: Work, alert: Alert) -> list[str]:
    """The reason codes with which a person may close this alert now. It is part of another one only while there is
    another one: else nobody would be looked for any more, and nothing would be settled."""
    merges = any(_goes_on_in(alert, other) for other in work.all_open_alerts())
    return [code for code in reasons_for(alert.kind) if code != "merged" or merges]


ABOUT_WORKER: frozenset[AlertKind] = frozenset({"lone_worker", "help_asked", "unknown_visit"})
"""Kinds that may be about a care worker more than about whom they visit."""


def _goes_on_in(alert: Alert, other: Alert) -> bool:
    """Whether somebody goes on looking after the same person there. An incident looks after nobody by itself."""
    if other.ref == alert.ref:
        return False
    if alert.service_user is None and alert.worker is None:
        return True  # a caller whom nobody knows, a rota, a feed: whoever closes it knows what it belongs to
    if alert.service_user is not None and other.service_user == alert.service_user:
        return True
    about_worker = alert.service_user is None or alert.kind in ABOUT_WORKER
    return about_worker and alert.worker is not None and other.worker == alert.worker


def _unconfirmed(alert: Alert, seen: ActionTaken) -> Refusal | None:
    """What is missing from a cancellation: who raised it, and for a time-critical visit the alternative (7.26-7.27)."""
    if seen.raised_by is None:
        return Refusal(code="raised_by", detail={"expected": list(RAISED_BY)})
    if alert.time_critical and seen.note is None:
        return Refusal(code="note", detail={"expected": ["the alternative that was agreed, in words"]})
    return None


def _close(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    reason, expected = CLOSE_REASONS.get(seen.reason or ""), closes_with(work, alert)
    if reason is None or seen.reason not in expected:
        return Refusal(code="reason", detail={"expected": expected})
    if reason == "cancelled_confirmed" and (missing := _unconfirmed(alert, seen)) is not None:
        return missing
    if (barred := after.not_closed(work, alert)) is not None:
        return barred
    if alerts.digested(work, alert):
        # the alerts of a digest summon nobody themselves: without it they would fall silent
        return Refusal(code="alerts_open", detail={})
    _recorded(work, alert, seen)
    alerts.end_alert(work, alert, reason, by=seen.by, outcome=seen.reason)
    after.closed(work, alert, seen.by)
    at_door.settled(work, alert, reason, seen.by, seen.reason)
    leaving.settled(work, alert, seen.by, merged=reason == "merged")
    if reason == "cancelled_confirmed":
        alerts.cancelled_once_more(work, alert)
    return None


def _agree_change(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """A named person has spoken to the service user, or their next of kin, and agreed another time: the one way in
    which a late change moves the deadline (domain.md, "Agreed, planned, actual")."""
    visit = work.visit(alert.visit)
    about = ("late_visit", homes.KIND)
    if visit is None or alert.kind not in about or visit.anybody_there or visit.missed:
        return Refusal(code="not_open", detail={})
    if seen.raised_by is None:
        return Refusal(code="raised_by", detail={"expected": list(RAISED_BY)})
    end = (seen.end or seen.start + (visit.end - visit.start)) if seen.start is not None else None
    if seen.start is None or seen.start <= work.now or end is None or end <= seen.start:
        return Refusal(code="start", detail={"expected": ["a time to come, with the end after it"]})
    _recorded(work, alert, seen)
    work.emit(visit.ref, rota.agreed(work, visit, seen.start, end))
    if alert.service_user is not None:
        alerts.reassured(work, alert, alert.service_user, f"person:{seen.by}", "spoke", None)
    # ended with a time to come: what was agreed is watched from its beginning
    alerts.end_alert(work, alert, "outcome_recorded", by=seen.by, outcome="agreed_change")
    return None


def _check(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """The manager's check of an alert that is over (spec 10.4)."""
    answered = checks.answer(work, alert, seen)
    if isinstance(answered, Refusal):
        return answered
    _recorded(work, alert, seen)
    work.emit(alert.ref, answered, policy=alert.policy)
    return None


def _written_notice(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """The written notice of 17.2 goes, or does not."""
    refusal = written_notice.refused(work, alert, seen)
    if refusal is None:
        _recorded(work, alert, seen)
        written_notice.answer(work, alert, seen)
    return refusal


def _confirm_home(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """Somebody has heard that the person is home: the alert ends, and the visit's clock begins (4.6.4)."""
    visit = work.visit(alert.visit)
    if visit is None or alert.kind != homes.KIND:
        return Refusal(code="not_conditional")
    refusal = homes.refused(work, visit, seen.by, seen.at)
    if refusal is None:
        _recorded(work, alert, seen)
        homes.confirm(work, visit, seen.by, seen.at, f"person:{seen.by}")
    return refusal


_ACTIONS: dict[str, Callable[[Work, Alert, ActionTaken], Refusal | None]] = {
    "take": _take,
    "hand_over": _hand_over,
    "spoke_service_user": _spoke_service_user,
    "spoke_care_worker": _spoke_care_worker,
    "assign_replacement": _assign_replacement,
    "told_next_of_kin": _told_next_of_kin,
    "told_council": _told_council,
    "pause": _pause,
    "stop_track": _steer,
    "do_now": _steer,
    "agree_change": _agree_change,
    "close": _close,
    "check": _check,
    "send_notice": _written_notice,
    "no_notice": _written_notice,
    "confirm_home": _confirm_home,
}

_DECIDE: dict[type, Callable[[Work, Any], Decision]] = {
    CheckInSeen: checkins.see,
    RotaPortion: rota.take,
    PeopleReceived: _people,
    PolicyLoaded: _policy,
    LeadershipWon: _leadership,
    DeadlineReached: _deadline,
    DeadlineFailed: _deadline_failed,
    SignalChanged: _signal,
    FilesTroubled: _files,
    SendTurn: messages.send_turn,
    SendReported: messages.send_reported,
    DeliveryReported: messages.delivery,
    ReplyReceived: messages.reply,
    TextsRead: texts.read,
    KeyPressed: messages.key_pressed,
    ActionTaken: _action,
    HomeSaid: homes.said,
    PracticeWanted: practice.wanted,
    AbsenceTold: absence.told,
    AbsenceActed: absence.acted,
    DeathTold: death.told,
    WeatherSaid: weather_desk.said,
    CallerWaits: callers.waits,
    CallerJoined: callers.joined,
    CallerAlone: callers.alone,
    AnswerphoneBegins: answerphone.begins,
    AnswerphoneHeard: answerphone.heard,
    LineTurn: lines.turn,
    LineAnswered: lines.answered,
    LineBack: lines.back,
    PinsGuessed: callers.guessed,
    DayRolled: _day,
    ReferralSeen: referrals.seen,
    ReferralActed: referrals.acted,
    **placing.DECIDE,
}
