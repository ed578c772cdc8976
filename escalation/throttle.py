"""May this person be contacted now? If not, when. The rules are rows; the function looks at timestamps only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from config.policy import Policy

Contact = Literal["ring_service_user", "summon_staff", "reply_by_itself"]
"""`reply_by_itself`: our answer to a text that answered no open question. Answers to our own questions are
bounded by the questions and not throttled."""

WaitReason = Literal["rung_lately", "took_it_unrecorded", "replied_enough"]
WAIT_REASONS: tuple[WaitReason, ...] = WaitReason.__args__  # type: ignore[attr-defined]


class Allowed(Struct, frozen=True, kw_only=True):
    """Now."""


class Wait(Struct, frozen=True, kw_only=True):
    """Not before `until`."""

    until: datetime
    reason: WaitReason


class Rule(Struct, frozen=True, kw_only=True):
    """At most `at_most` of what `counts` names within `span` (a duration, or the policy's key), per line."""

    contact: Contact
    reason: WaitReason
    at_most: int
    span: timedelta | str
    clause: str


RULES: tuple[Rule, ...] = (
    Rule(
        contact="ring_service_user",
        reason="rung_lately",
        at_most=1,
        span="reassure_retry",
        clause="spec 22.2 (ours): an old person with a frame needs time between two rings",
    ),
    Rule(
        contact="summon_staff",
        reason="took_it_unrecorded",
        at_most=1,
        span=timedelta(minutes=10),
        clause="ours: who took this alert while nothing could be recorded is not asked again at once",
    ),
    Rule(
        contact="reply_by_itself",
        reason="replied_enough",
        at_most=5,
        span=timedelta(hours=24),
        clause="ours: two machines that thank each other stop after five, for a day",
    ),
)


def may_contact(contact: Contact, past: Sequence[datetime], now: datetime, policy: Policy) -> Allowed | Wait:
    """Whether `contact` is allowed at `now`, given the `past` moments that count against it, in any order.

    These are, aware UTC: for `ring_service_user` the rings to that line, whoever of a household they were for;
    for `summon_staff` the moments at which this person took this same alert unrecorded (another alert, or help
    asked, is not held back); for `reply_by_itself` those replies to that number. A moment more
    than a span later than `now` is a clock's error and does not count: nobody waits longer than two spans.
    """
    waits = [wait for rule in RULES if rule.contact == contact and (wait := _wait(rule, past, now, policy))]
    return max(waits, key=lambda wait: wait.until, default=Allowed())


def _wait(rule: Rule, past: Sequence[datetime], now: datetime, policy: Policy) -> Wait | None:
    span = _span(rule, policy)
    counted = sorted(moment for moment in past if moment <= now + span)
    if len(counted) < rule.at_most:
        return None
    until = counted[-rule.at_most] + span
    return Wait(until=until, reason=rule.reason) if now < until else None


def _span(rule: Rule, policy: Policy) -> timedelta:
    if isinstance(rule.span, timedelta):
        return rule.span
    span = getattr(policy, rule.span)
    assert isinstance(span, timedelta)
    return span
