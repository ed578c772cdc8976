"""The manager's check: what was gravely wrong is looked at by the registered manager once it is over (spec 10.4;
domain.md section 2, "Ending").

An alert that ended with its visit missed, with the person not reached, with help asked, nobody at the door, or nobody
sent within the hour stays in the state until a manager has answered three questions about it. Past its day she is
texted, then daily: one text for all that wait, and never a quiet end.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from msgspec import structs

from config.policy import Calendar, Policy
from escalation import replace
from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import managers, person_for
from monitor.core.inputs import ActionTaken
from monitor.core.state import CHECKS, Alert, Visit
from monitor.core.views import SAFEGUARDING, CheckReason
from monitor.core.work import Decision, Refusal, Work

DAY = timedelta(days=1)
WORDS = "OC-180"
"""The one text about all checks that wait."""
NOBODY = "nobody_to_tell"
NIGHT = "night"


def reasons(alert: Alert, visit: Visit | None) -> tuple[CheckReason, ...]:
    """Why the ended alert needs the manager's check; none for all others.

    `unreached`: the tries to reach the service user ended in vain, or next of kin or council were turned to for it;
    `breach`: nobody was sent within the hour (22.4).
    """
    spoken, sent, inform = (alert.track(name) for name in ("reassure", "replace", "inform"))
    missed = visit is not None and visit.missed and visit.service_user == alert.service_user
    in_vain = spoken is not None and spoken.step == "not_reached"
    turned_to = inform is not None and inform.step in ("reached", "not_reached")
    found: dict[CheckReason, bool] = {
        "missed": missed and alert.kind == "late_visit",
        "unreached": in_vain or turned_to,
        "help": alert.kind == "help_asked",
        "no_reply": alert.kind == "no_reply",
        "breach": sent is not None and sent.index >= replace.BREACH,
    }
    return tuple(reason for reason, holds in found.items() if holds)


def due(ended_at: datetime, policy: Policy, calendar: Calendar) -> datetime:
    """Until when the check is to be answered. A limit of whole days counts working days and ends with the last of
    them (section 5: "next working day"); a shorter one runs by the clock."""
    days = policy.check_within // DAY
    if days < 1:
        return ended_at + policy.check_within
    return calendar.working_days_on(ended_at, days, policy.day_ends)


def follow(work: Work, decision: Decision) -> Decision:
    """The checks that the alerts which ended in this decision need. Returns the decision with them."""
    ended = [draft.subject for draft in work.drafts if type(draft.body) is f.AlertEnded]
    before = len(work.drafts)
    for ref in dict.fromkeys(ended):
        _want(work, ref)
    if len(work.drafts) == before:
        return decision
    whole = work.decision()
    return structs.replace(decision, drafts=whole.drafts, folds=whole.folds)


def _want(work: Work, ref: str) -> None:
    alert = work.alert(ref)
    if alert is None or alert.state != "ended" or alert.check is not None:
        return
    why = reasons(alert, work.visit(alert.visit))
    if why:
        until = due(work.now, work.policy(alert), work.state.calendar)
        work.emit(ref, f.CheckWanted(reasons=why, check_by=until), policy=alert.policy)


# --- she answers ---


def answer(work: Work, alert: Alert, seen: ActionTaken) -> Refusal | f.CheckRecorded:
    """The three answers as a fact, or which of them is missing. Changes nothing."""
    if seen.by not in managers(work):
        return Refusal(code="not_manager")
    if alert.check is None:
        return Refusal(code="no_check")
    if not alert.check.waits:
        return Refusal(code="already_checked", detail={"by": alert.check.by, "at": alert.check.at})
    if seen.adequate is None:
        return Refusal(code="adequate", detail={"expected": ["true or false: was the action adequate"]})
    if seen.safeguarding is None:
        return Refusal(code="safeguarding", detail={"expected": [" or ".join(SAFEGUARDING)]})
    if seen.safeguarding == "not_raised" and seen.note is None:
        expected = "why no safeguarding concern was raised, in words"
        return Refusal(code="note", detail={"expected": [expected]})
    if seen.serious_incident is None:
        expected = "true or false: was it a serious incident"
        return Refusal(code="serious_incident", detail={"expected": [expected]})
    return f.CheckRecorded(
        by=seen.by,
        adequate=seen.adequate,
        safeguarding=seen.safeguarding,
        serious_incident=seen.serious_incident,
    )


# --- she has not answered ---


def on_deadline(work: Work, due_at: datetime) -> None:
    """At least one check is past its day: one text about all that wait, to each manager. Nobody is woken for it."""
    waiting = len(work.state.unchecked)
    if not waiting:
        return
    policy, calendar = work.policy(), work.state.calendar
    by_day = policy.check_within >= DAY
    if by_day and calendar.is_night(work.now, policy):
        morning = _morning(work.now, policy.night_to, calendar)
        reminded = f.ChecksReminded(waiting=waiting, told=0, next_at=morning, reason=NIGHT)
        work.emit(CHECKS, reminded, due_at=due_at)
        return
    told = recipients(work)
    again = next_day(work.now, policy.day_ends, calendar) if by_day else work.now + policy.check_within
    work.emit(
        CHECKS,
        f.ChecksReminded(waiting=waiting, told=len(told), next_at=again, reason="" if told else NOBODY),
        due_at=due_at,
    )
    for person in told:
        notices.text(work, person, WORDS, count=waiting)


def next_day(now: datetime, clock: time, calendar: Calendar) -> datetime:
    """That local time on the day after; also on a weekend, since what waits is past its day (domain.md: daily)."""
    return calendar.at_local(calendar.day(now) + DAY, clock)


def _morning(now: datetime, ends: time, calendar: Calendar) -> datetime:
    """The end of the night that it is now."""
    today = calendar.at_local(calendar.day(now), ends)
    return today if today > now else next_day(now, ends, calendar)


def recipients(work: Work) -> list[str]:
    """Each manager who takes texts; where none does, the first on duty who does. Empty: nobody can be told."""
    found = [person for person in managers(work) if person_for(work, person, None).text_line() is not None]
    on_duty = notices.on_duty(work, None) if not found else None
    return found if on_duty is None else [on_duty.ref]
