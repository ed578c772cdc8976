"""The written notice of spec 17.2: what of the council's own doing hinders us is told to it in writing (domain.md
section 2, "inform", and section 5: the next working day).

Three calls to a council about one alert that nobody answered make it owed. It is offered, and never goes by itself: the
responsible officer informs the council (17.2), so a manager of the desk sends it, or says why not. Offered on the next
working day by one text for all that wait, then daily until each is answered.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from escalation import inform
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import at_rest, intend, managers
from monitor.core.checks import NIGHT, NOBODY, next_day, recipients
from monitor.core.council import council_desk, is_rehearsed
from monitor.core.inputs import ActionTaken
from monitor.core.state import NOTICES, Alert, Message
from monitor.core.views import Result
from monitor.core.work import Decision, Refusal, Work

NOTICE = "CO-5"
"""The mail to the council."""
WORDS, FAILED = "RM-181", "RM-182"
"""The one text about all notices that wait; and that one could not be mailed."""
TO_DESK = frozenset({"COV-1", "COV-2"})
"""Calls to a council desk: the machine's own, and those that a person of ours began."""
UNANSWERED = frozenset({"no_answer", "busy", "voicemail"})
"""A call that failed is no omission of the council's."""
LIVES = timedelta(hours=24)
"""So long it is tried to mail it (ours)."""


def follow(work: Work, decision: Decision) -> Decision:
    """The notices that this decision makes owed: one more try, and three calls that nobody answered. Returns the
    decision with them."""
    tried = [
        draft.subject
        for draft in work.drafts
        if type(draft.body) is f.CouncilMoved and draft.body.tries > inform.COUNCIL_TRIES
    ]
    if not tried:
        return decision
    before = len(work.drafts)
    for ref in dict.fromkeys(tried):
        alert = work.alert(ref)
        if alert is not None and alert.notice is None:
            _want(work, alert)
    if len(work.drafts) == before:
        return decision
    whole = work.decision()
    return Decision(
        drafts=whole.drafts,
        folds=whole.folds,
        outcome=decision.outcome,
        visit=decision.visit,
        answer=decision.answer,
        refusal=decision.refusal,
    )


def _want(work: Work, alert: Alert) -> None:
    calls = unanswered(work.messages_of(alert), alert.council.told_at if alert.council is not None else None)
    if len(calls) < inform.COUNCIL_TRIES or is_rehearsed(work, alert):
        return
    policy, calendar = work.policy(alert), work.state.calendar
    wanted = f.NoticeWanted(
        desk=calls[-1].person,
        calls=tuple(call.key for call in calls),
        offer_at=calendar.working_days_on(work.now, 1, policy.notice_at),
        notice_by=calendar.working_days_on(work.now, 1, policy.day_ends),
    )
    work.emit(alert.ref, wanted, policy=alert.policy)


def unanswered(messages: list[Message], since: datetime | None) -> list[Message]:
    """The calls to a council desk that nobody answered, oldest first; `since`: it was spoken to then."""
    return [
        message
        for message in messages
        if message.template in TO_DESK
        and message.attempts
        and message.proof is None
        and message.result in UNANSWERED
        and (since is None or message.intended_at > since)
    ]


# --- a manager says whether it goes ---


def answer(work: Work, alert: Alert, seen: ActionTaken) -> None:
    """`send_notice` or `no_notice`, which nothing refuses."""
    sent = seen.action == "send_notice"
    key = _mail(work, alert, _desk(work, alert)) if sent else None
    work.emit(alert.ref, f.NoticeAnswered(by=seen.by, sent=sent, message=key), policy=alert.policy)


def refused(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | None:
    """Why this answer changes nothing, or None: `not_manager`, `no_notice_owed`, `already_answered` (with who was
    first), `note` (why it is not sent), `died` (nothing is told outside of somebody who has died)."""
    if seen.by not in managers(work):
        return Refusal(code="not_manager")
    notice = alert.notice
    if notice is None:
        return Refusal(code="no_notice_owed")
    if not notice.waits:
        return Refusal(code="already_answered", detail={"by": notice.by, "at": notice.at})
    if seen.action == "no_notice" and seen.note is None:
        return Refusal(code="note", detail={"expected": ["why the council is not written to, in words"]})
    if seen.action == "send_notice" and at_rest(work, alert, _desk(work, alert), ""):
        return Refusal(code="died")
    return None


def _desk(work: Work, alert: Alert) -> str:
    """The desk that answers now; while none does, the one that did not."""
    assert alert.notice is not None
    return council_desk(work, alert) or alert.notice.desk


def _mail(work: Work, alert: Alert, desk: str) -> str:
    mail = Contact(
        person=desk,
        line="",
        channel="email",
        purpose="inform_council",
        template=NOTICE,
        priority="repeat",
        rehearsed=is_rehearsed(work, alert),
    )
    return intend(work, mail, alert=alert, expires_at=work.now + LIVES)


def on_settled(work: Work, message: Message, result: Result) -> None:
    """It could not be mailed: it waits again, and who wanted it sent hears so."""
    alert = work.alert(message.alert)
    if message.template != NOTICE or result != "failed" or alert is None or alert.notice is None:
        return
    if alert.notice.message != message.key or alert.notice.by is None:
        return
    by = alert.notice.by
    again = work.state.calendar.working_days_on(work.now, 1, work.policy(alert).notice_at)
    work.emit(alert.ref, f.NoticeReturned(message=message.key, offer_at=again), policy=alert.policy)
    notices.text(work, by, FAILED, of=alert.service_user, about=alert.service_user)


# --- nobody has said anything ---


def on_deadline(work: Work, due_at: datetime) -> None:
    """At least one is offered: one text about all that wait, to each manager, then daily. Nobody is woken for it."""
    waiting = len(work.state.unwritten)
    if not waiting:
        return
    policy, calendar = work.policy(), work.state.calendar
    if calendar.is_night(work.now, policy):
        # the machine was down when it was due, or the policy's hour lies in the night
        by_day = calendar.at_local(calendar.day(work.now), policy.night_to)
        morning = by_day if by_day > work.now else next_day(work.now, policy.night_to, calendar)
        reminded = f.NoticesReminded(waiting=waiting, told=0, next_at=morning, reason=NIGHT)
        work.emit(NOTICES, reminded, due_at=due_at)
        return
    told = recipients(work)
    again = next_day(work.now, policy.notice_at, calendar)
    reason = "" if told else NOBODY
    work.emit(
        NOTICES,
        f.NoticesReminded(waiting=waiting, told=len(told), next_at=again, reason=reason),
        due_at=due_at,
    )
    for person in told:
        notices.text(work, person, WORDS, count=waiting)
