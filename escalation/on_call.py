"""The start of an on-call duty must be answered (domain.md section 2, "Hours"; spec 6.2, 21.3; wording.md OC-7).

At each hand-over the incoming person is texted, rung later, rung once more; who answers none of it has not started,
and the outgoing person stays on. Until it is answered both stand in the chain: no alert waits for somebody who sleeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from config.policy import Calendar, Duty, Policy, parse_hours
from config.policy import on_duty as listed
from escalation.summon import SECOND_CALL

DutyStep = Literal["asked", "rung", "rung_again", "unanswered", "started", "not_asked", "over"]
"""How far the start of somebody's duty is. `unanswered`: who had the duty before them stays on."""
ASKING: tuple[DutyStep, ...] = ("asked", "rung", "rung_again")
AHEAD = timedelta(days=9)
"""So far ahead the next hand-over is looked for: beyond a week, so that every weekday's hours are met."""
TICK = timedelta(microseconds=1)


class HandOver(Struct, frozen=True, kw_only=True, gc=False):
    """The start of one person's duty on call. `until`: when that duty ends, as far as the list says; `outgoing`: who
    had it before, and stays on while it is not answered."""

    person: str
    began_at: datetime
    step: DutyStep
    until: datetime | None = None
    outgoing: str | None = None
    next_at: datetime | None = None
    messages: tuple[str, ...] = ()

    @property
    def answered(self) -> bool:
        """They have started, or were not asked to say so."""
        return self.step in ("started", "not_asked")


class Start(Struct, frozen=True, kw_only=True):
    """A moment of the duty list at which somebody comes on call. `before`: who was on duty until then, in order."""

    at: datetime
    incoming: tuple[str, ...]
    before: tuple[str, ...]


# --- when ---


def on_duty(duty: tuple[Duty, ...], at: datetime, calendar: Calendar) -> tuple[Duty, ...]:
    """Those whose hours hold, managers apart, who are the last rung whatever their hours."""
    return tuple(entry for entry in listed(duty, at, calendar) if entry.role != "manager")


def start_at(duty: tuple[Duty, ...], at: datetime, calendar: Calendar) -> Start | None:
    """Who comes on call at that moment and was not on duty right before it; None: nobody does."""
    before = tuple(dict.fromkeys(entry.person for entry in on_duty(duty, at - TICK, calendar)))
    now = on_duty(duty, at, calendar)
    new = dict.fromkeys(entry.person for entry in now if entry.role == "on_call")
    incoming = tuple(person for person in new if person not in before)
    return Start(at=at, incoming=incoming, before=before) if incoming else None


@lru_cache(1024)
def next_start(duty: tuple[Duty, ...], after: datetime, calendar: Calendar) -> Start | None:
    """The first hand-over after that moment; None: none in the days ahead."""
    if all(entry.role != "on_call" for entry in duty):
        return None
    for at in _turns(duty, after, calendar):
        found = start_at(duty, at, calendar)
        if found is not None:
            return found
    return None


def last_start(duty: tuple[Duty, ...], after: datetime, now: datetime, calendar: Calendar) -> Start | None:
    """The last hand-over after `after` that has come by now: of a duty that is over already nobody is asked."""
    found = None
    while (following := next_start(duty, after, calendar)) is not None and following.at <= now:
        found, after = following, following.at
    return found


def ends(duty: tuple[Duty, ...], person: str, began_at: datetime, calendar: Calendar) -> datetime | None:
    """When that person's duty on call ends that has begun then; None: not in the days ahead."""
    for at in _turns(duty, began_at, calendar):
        if all(entry.person != person or entry.role != "on_call" for entry in on_duty(duty, at, calendar)):
            return at
    return None


def _turns(duty: tuple[Duty, ...], after: datetime, calendar: Calendar) -> list[datetime]:
    """The moments after `after` at which hours of the list begin or end, in order."""
    minutes = {
        m for entry in duty for span in parse_hours(entry.hours).spans for m in (span.start, span.until)
    }
    today, days = calendar.day(after), range(-2, AHEAD // timedelta(days=1))
    local = (
        datetime.combine(today + timedelta(days=day), time()) + timedelta(minutes=minute)
        for day in days
        for minute in minutes
    )
    return sorted({at for naive in local if (at := calendar.to_utc(naive)[0]) > after})


# --- the ladder ---


def call_after(policy: Policy) -> timedelta:
    """Unanswered for so long, the text is followed by a call (wording.md OC-7: ten minutes, twice `summon_next`)."""
    return 2 * policy.summon_next


def step_at(policy: Policy, began_asking: datetime, step: DutyStep) -> datetime:
    """When that step comes: the call, a second one soon behind it that passes a silenced telephone, the end."""
    first = began_asking + call_after(policy)
    again = first + min(SECOND_CALL, policy.summon_next / 2)
    return {"rung": first, "rung_again": again}.get(step, first + policy.summon_next)


FOLLOWS: Mapping[DutyStep, DutyStep] = {"asked": "rung", "rung": "rung_again", "rung_again": "unanswered"}
"""What comes after a step that nobody answered."""


# --- who is summoned ---


def in_order(chain: tuple[str, ...], hand_overs: Iterable[HandOver], now: datetime) -> tuple[str, ...]:
    """The chain while a start of duty is not answered: while they are being asked the outgoing person stands right
    behind them, afterwards before them. Everybody stands in it once; an answered or ended duty changes nothing."""
    order = list(chain)
    for one in hand_overs:
        over = one.until is not None and one.until <= now
        if one.answered or over or one.outgoing is None or one.person not in order:
            continue
        if one.outgoing in order:
            order.remove(one.outgoing)
        at = order.index(one.person)
        order.insert(at + 1 if one.step in ASKING else at, one.outgoing)
    return tuple(order)
