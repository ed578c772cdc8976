"""Callers on the free number who want a person: an alert stands until somebody has it, whatever becomes of the call."""

from __future__ import annotations

from msgspec import Struct

from escalation.free_number import Rung
from monitor.core import alerts
from monitor.core import facts as f
from monitor.core.inputs import CallerAlone, CallerJoined, CallerWaits, PinsGuessed
from monitor.core.state import Alert
from monitor.core.work import Decision, Work

RUNG_AT_MOST = 3
"""So many are tried one after the other while the caller waits; then the whole chain is rung together (ours)."""


class Join(Struct, frozen=True, kw_only=True):
    """The answer to `CallerWaits`: the alert, and who is rung for the caller, in order."""

    alert: str
    rungs: tuple[Rung, ...]


def waits(work: Work, seen: CallerWaits) -> Decision:
    """Raise the alert, or find the one that stands for the same caller; who has it is rung first."""
    alert = _standing(work, seen) or alerts.raise_alert(
        work,
        "help_asked",
        service_user=seen.service_user,
        worker=seen.worker,
        line=seen.line,
        reason=f"{alerts.CALLER}{seen.why}",
        joining=True,
        tell_now=seen.why == "help",
    )
    chain = alerts.duty_chain(work, alert.service_user)
    chain = tuple(sorted(chain, key=lambda person: person.ref != alert.taken_by))
    rungs = [Rung(person=person.ref, line=line.ref) for person in chain for line in person.voice_lines()[:1]]
    rungs = [*rungs[:RUNG_AT_MOST], *_also_by_day(work, alert, rungs[RUNG_AT_MOST:], seen)]
    return work.decision(answer=Join(alert=alert.ref, rungs=tuple(rungs)))


def _also_by_day(work: Work, alert: Alert, others: list[Rung], seen: CallerWaits) -> list[Rung]:
    """In the hours in which families reach a person (4.6.6: 06:00-22:00) nobody hears the answerphone before the last
    of the chain, the registered manager, was rung too."""
    if seen.why != "rang" or work.state.calendar.answerphone_at(work.now, work.policy(alert)):
        return []
    return others[-1:]


def _standing(work: Work, seen: CallerWaits) -> Alert | None:
    """The open alert about the same caller. A call for help is never folded into one that asks for less."""
    reason = f"{alerts.CALLER}{seen.why}"
    about = (seen.worker, seen.service_user, seen.line)
    if about == (None, None, None):
        return None  # nobody knows that it is the same caller
    for alert in work.all_open_alerts():
        if (alert.worker, alert.service_user, alert.line) == about and alert.reason == reason:
            return alert
    return None


def joined(work: Work, seen: CallerJoined) -> Decision:
    """A human answered and speaks to the caller. Help stays with them until they say how it ended; a caller who only
    asked for a person has one."""
    alert = work.alert(seen.alert)
    if alert is None or alert.state == "ended":
        return work.decision()
    proof = f"key:{seen.digit}"
    work.emit(alert.ref, f.PersonReached(person=seen.person, purpose="summon", proof=proof, answer="take"))
    if alert.taken_by != seen.person:
        alerts.take(work, alert, seen.person, proof)
    current = work.alert(alert.ref)
    if current is not None and alert.reason != f"{alerts.CALLER}help":
        alerts.end_alert(work, current, "outcome_recorded", by=seen.person, outcome="joined")
    return work.decision()


def alone(work: Work, seen: CallerAlone) -> Decision:
    """Nobody came to the telephone. Everybody is rung; who has it already is told once more."""
    alert = work.alert(seen.alert)
    if alert is None or alert.state == "ended":
        return work.decision()
    if alert.taken_by is not None:
        alerts.tell_person(work, alert, alert.taken_by, "OC-33")
    alerts.ring_everybody(work, alert)
    return work.decision()


def guessed(work: Work, _: PinsGuessed) -> Decision:
    """Somebody may be guessing PINs: staff are told, once as long as that stands."""
    if not any(alert.reason == alerts.WRONG_PINS for alert in work.all_open_alerts()):
        alerts.raise_alert(work, "incident", reason=alerts.WRONG_PINS)
    return work.decision()
