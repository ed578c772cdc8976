"""A word to staff that many alerts owe in the same minutes goes out as one (domain.md: bundles for staff).

The first is told at once, in its own words. What the same person is owed within the next minute follows together, and
from then on at most once in `summon_next`; a time-critical visit never waits for longer than that minute. Which text an
alert was told with stands in the alert (`TellingWaits`, `StaffTold`): nothing is gathered without a fact.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from config.policy import Policy
from escalation import replace
from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import duty_chain, may_hear, person_for, responsible, tell_person
from monitor.core.offers import ever_asked
from monitor.core.state import Alert, Message, Telling
from monitor.core.work import Work


class Words(Struct, frozen=True, kw_only=True, gc=False):
    """The texts of one such word: about one alert, and about several."""

    alone: str
    together: str
    phase: str
    """Where *replace* stands while it is true."""


WORDS: dict[f.Gathered, Words] = {
    "nobody_left": Words(alone="OC-102", together="OC-240", phase=replace.EXHAUSTED),
    "open_offers": Words(alone="OC-241", together="OC-242", phase=replace.HELD),
}
TOGETHER = frozenset(words.together for words in WORDS.values())
MOST = 200
"""One text stands for no more alerts than this: each of them is a fact (ours)."""


def moment(policy: Policy) -> timedelta:
    """So long the second of them waits for others: while staff would have a text and no call, and a minute of the hour
    at most (as `escalation.summon.gathers`)."""
    return min(policy.summon_call_after, policy.summon_next / 2, policy.replace_within / 60)


def gap(policy: Policy) -> timedelta:
    """From the second text on this long lies between two: one rung, and at most a twelfth of the hour (ours)."""
    return min(policy.summon_next, policy.replace_within / 12)


def tell(work: Work, alert: Alert, what: f.Gathered) -> None:
    """Whoever is responsible hears of it once: now, or together with others in a moment."""
    told = any(one.what == what and _counts(work, one) for one in alert.tellings)
    if told or any(m.template == WORDS[what].alone for m in work.messages_of(alert)):
        return
    person = _hearer(work, alert)
    at = _next_to(work, alert, person) if person is not None else _later(work, alert)
    if person is None or at > work.now:
        work.emit(alert.ref, f.TellingWaits(what=what, next_at=at), policy=alert.policy)
    else:
        _give(work, alert, what, person)


def _counts(work: Work, one: Telling) -> bool:
    """It is still to be told, or was: what was no longer so, and is so again, is told after all."""
    sent = work.message(one.message)
    return one.next_at is not None or (sent is not None and sent.result != "cancelled")


def on_deadline(work: Work, ref: str) -> None:
    """What waits in this alert has waited long enough."""
    alert = work.alert(ref)
    if alert is None or alert.state == "ended":
        return
    for one in alert.tellings:
        if one.next_at is None or one.next_at > work.now:
            continue
        current = work.alert(ref) or alert
        person = _hearer(work, current)
        if not _stands(current, one.what):
            _over(work, current, one.what)
        elif person is None:
            again = f.TellingWaits(what=one.what, next_at=_later(work, current))
            work.emit(ref, again, policy=current.policy)
        else:
            _give(work, current, one.what, person)


def _hearer(work: Work, alert: Alert) -> str | None:
    """Whoever has it, else the rung being summoned, else the first on duty who can be sent a text at all."""
    first = responsible(work, alert)
    if first is not None and person_for(work, first, alert.service_user).text_line() is not None:
        return first
    for person in duty_chain(work, alert.service_user):
        if person.text_line() is not None and may_hear(work, alert, person.ref):
            return person.ref
    return None


def _later(work: Work, alert: Alert) -> datetime:
    """Nobody can be told now: whoever is on duty then is."""
    return work.now + max(gap(work.policy(alert)), timedelta(milliseconds=1))


def _give(work: Work, alert: Alert, what: f.Gathered, person: str) -> None:
    """One text to this person about the alert and all that waits to be told to them of the same kind."""
    others = [one for one in work.all_open_alerts() if one.ref != alert.ref and _waits(one, what)]
    mine = [one for one in others[: MOST - 1] if _hearer(work, one) == person]
    for gone in [one for one in mine if not _stands(one, what)]:
        _over(work, gone, what)
    found = sorted([alert, *[one for one in mine if _stands(one, what)]], key=_worst_first)
    key = work.ctx.mint("m")
    for one in found:
        told = f.StaffTold(what=what, person=person, message=key, count=len(found))
        work.emit(one.ref, told, policy=one.policy)
    words = WORDS[what]
    if len(found) == 1:
        tell_person(work, alert, person, words.alone, count=ever_asked(work, alert), key=key)
    else:
        named = next((one.service_user for one in found if one.service_user is not None), None)
        notices.text(work, person, words.together, about=named, count=len(found), key=key)


def _over(work: Work, alert: Alert, what: f.Gathered) -> None:
    work.emit(alert.ref, f.StaffTold(what=what), policy=alert.policy)


def _worst_first(alert: Alert) -> tuple[bool, datetime, str]:
    return (not alert.time_critical, alert.opened_at, alert.ref)


def _waits(alert: Alert, what: f.Gathered) -> bool:
    return any(one.what == what and one.next_at is not None for one in alert.tellings)


def _stands(alert: Alert, what: f.Gathered) -> bool:
    """Whether it is still true of the alert."""
    track = alert.track("replace")
    if alert.state == "ended" or track is None or track.step != "trying":
        return False
    return track.phase == WORDS[what].phase and track.index < replace.BREACH


def _next_to(work: Work, alert: Alert, person: str) -> datetime:
    """When this person may be told of the next one: now, or a while after the last text of this kind."""
    policy = work.policy(alert)
    just_now = [d.at for d in work.drafts if isinstance(d.body, f.StaffTold) and d.body.person == person]
    apart, told = gap(policy), (*work.state.values.staff_told.get(person, ()), *just_now[:1])
    if not told or told[-1] <= work.now - apart:
        return work.now
    first = alert.time_critical or not any(at >= told[-1] - apart for at in told[:-1])
    return max(told[-1] + (moment(policy) if first else apart), work.now)


def pointless(work: Work, message: Message) -> str | None:
    """Why the text for several need not leave: it is true of none of them any more."""
    return None if stands_for(work.all_open_alerts(), message) else "covered"


def stands_for(alerts: Iterable[Alert], message: Message) -> int:
    """Of how many alerts what the message says of several is still true."""
    what = next(name for name, words in WORDS.items() if words.together == message.template)
    told = Telling(what=what, message=message.key)
    return sum(1 for one in alerts if told in one.tellings and _stands(one, what))
