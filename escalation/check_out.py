"""A check-out that does not come: by text, then by telephone, then a person on duty (spec 19.6.4).

What may be sent to the care worker, and how long each step is waited for; every span follows from a key of the policy.
*They have left* is a claim and never a check-out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from config.policy import Calendar, Policy
from escalation.locate import worker_contact
from escalation.people import PersonView, is_quiet
from escalation.track import Contact, Priority

TEXT, CALL = "CW-6", "CWV-110"
"""The words of the question, as text and as call."""
RINGS = 2
"""So often a care worker is rung at most: once more only when they were engaged, or hung up (ours)."""
RUNG_ONCE_MORE = frozenset({"busy", "answered"})
"""What became of a first call that somebody was there for, and that said nothing; by day it is made once more."""

NotAsked = Literal["no_worker", "no_line", "by_plan", "quiet_hours"]
"""Why a care worker is not asked in a way."""


class CheckOutCase(Struct, frozen=True, kw_only=True):
    """What a decision about asking looks at. `worker` as they may be contacted about the service user."""

    policy: Policy
    now: datetime
    worker: PersonView | None
    calendar: Calendar
    time_critical: bool = False


def rings_after(policy: Policy) -> timedelta:
    """So long the text is given; then they are rung (ours: five minutes)."""
    return policy.locate_gives_up


def gives_up(policy: Policy) -> timedelta:
    """So long the call is given when nothing becomes known of it, and so long before it is made once more."""
    return policy.locate_gives_up


def again_after(policy: Policy) -> timedelta:
    """Who is there still is asked again after this: as long as nobody asked at first (ours)."""
    return max(policy.overrun_after, policy.locate_gives_up)


def dark_for(policy: Policy) -> timedelta:
    """So long a check-out may be on its way while no check-in of anybody comes in; then they are asked after all."""
    return max(policy.overrun_after, policy.locate_gives_up)


def looks_again(policy: Policy) -> timedelta:
    """How often it is looked meanwhile whether check-ins come in again."""
    return max(policy.locate_gives_up, timedelta(seconds=1))


def text(case: CheckOutCase) -> Contact | NotAsked:
    """The question by text. A text wakes nobody who does not want to be woken: quiet hours do not hold it back."""
    worker = case.worker
    if worker is None:
        return "no_worker"
    line = worker.text_line()
    if line is None:
        return "no_line"
    if not _by_plan(worker, "text"):
        return "by_plan"
    return worker_contact(worker, line.ref, "sms", case.policy, "ask_worker", TEXT, _urgent(case))


def call(case: CheckOutCase) -> Contact | NotAsked:
    """The question by telephone: not outside the hours of their own plan."""
    worker = case.worker
    if worker is None:
        return "no_worker"
    line = next(iter(worker.voice_lines()), None)
    if line is None:
        return "no_line"
    if not _by_plan(worker, "voice"):
        return "by_plan"
    if is_quiet(worker.plan, case.now, case.calendar, time_critical=case.time_critical):
        return "quiet_hours"
    return worker_contact(worker, line.ref, "call", case.policy, "ask_worker", CALL, _urgent(case))


def rung_once_more(case: CheckOutCase, result: str, rings: int) -> bool:
    """Whether a call that said nothing is made once more. By night they are rung once."""
    by_night = case.calendar.is_night(case.now, case.policy)
    return result in RUNG_ONCE_MORE and rings < RINGS and not by_night


def _by_plan(worker: PersonView, way: Literal["text", "voice"]) -> bool:
    """Their contact plan has that way, before *a person only*."""
    ways = worker.plan.channels
    return not ways or (way in ways and ways[0] != "person")


def _urgent(case: CheckOutCase) -> Priority:
    return "time_critical" if case.time_critical else "repeat"
