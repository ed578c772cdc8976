"""The provider's side of a bid window: a council's referral that reached this desk is not lost unread (domain.md
section 4; spec appendix A and M).

Whoever sees to referrals now is told at its arrival; at half time and when little time is left the next one is, also
by telephone, until somebody has taken it; who has taken it is reminded once. Each time it is whoever is on duty then.
Without an answer at the end of its time the managers are told: silence is never success.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from config.placing import PlacementKind
from config.policy import Policy, on_referrals
from escalation.people import PersonView
from escalation.replies import Answer
from escalation.track import Contact, ContactChannel
from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import cancel, duty_chain, intend, managers, person_for
from monitor.core.inputs import CLOCKS_DIFFER, ReferralActed, ReferralSeen
from monitor.core.referral_facts import (
    ReferralAnswered,
    ReferralForgotten,
    ReferralLapsed,
    ReferralLogged,
    ReferralMark,
    ReferralPassed,
    ReferralSummoned,
    ReferralTaken,
)
from monitor.core.referral_fold import ORDER, Referral, marks
from monitor.core.state import Message
from monitor.core.views import Result
from monitor.core.work import Decision, Refusal, Work

ASKS, ASKS_AGAIN, REMINDS, RINGS = "RF-1", "RF-2", "RF-3", "RFV-1"
QUESTIONS = frozenset({ASKS, ASKS_AGAIN, REMINDS, RINGS})
"""The words that ask somebody to see to a referral, or to remember it."""
LAPSED, YOURS, PASSED_ON, TAKEN, ANSWERED = "RF-4", "RF-5", "RF-6", "RF-7", "RF-8"
SAY: dict[str, dict[Answer, str]] = {
    template: {"take": YOURS, "pass_on": PASSED_ON} for template in sorted(QUESTIONS)
}
"""What is said back to their answer by text."""
NOBODY, UNANSWERED, PASSED = "nobody_on_duty", "unanswered", "passed_on"


class Times(Struct, frozen=True, kw_only=True):
    """The clock of one referral."""

    answer_by: datetime
    half_at: datetime
    last_at: datetime


def window(policy: Policy, package: PlacementKind) -> timedelta:
    """So long the council waits for an answer, where it names no time: two hours (appendix A), for a discharge thirty
    minutes (appendix A; appendix M says an hour: the policy)."""
    return policy.referral_discharge_within if package == "discharge" else policy.referral_within


def times(policy: Policy, arrived_at: datetime, answer_by: datetime) -> Times:
    """Half time, and the moment when ten minutes are left; of a short window a quarter of it (ours)."""
    whole = answer_by - arrived_at
    left = min(policy.referral_last, whole / 4)
    return Times(answer_by=answer_by, half_at=arrived_at + whole / 2, last_at=answer_by - left)


# --- it comes ---


def seen(work: Work, seen: ReferralSeen) -> Decision:
    """A referral is logged, and somebody summoned. `Decision.answer` is its id; the same one again is the first one.
    Refused: `already_known`, `arrived_at`, `answer_by`."""
    known = _known(work, seen)
    if known is not None and known.fingerprint == seen.fingerprint:
        return Decision(answer=known.ref)
    if known is not None:
        return Decision(refusal=Refusal(code="already_known", detail={"by": known.by, "at": known.logged_at}))
    if seen.arrived_at > work.now + CLOCKS_DIFFER:
        return Decision(refusal=Refusal(code="arrived_at"))
    arrived_at = min(seen.arrived_at, work.now)
    answer_by = seen.answer_by or arrived_at + window(work.policy(), seen.package)
    if answer_by <= arrived_at:
        return Decision(refusal=Refusal(code="answer_by"))
    clock = times(work.policy(), arrived_at, answer_by)
    logged = ReferralLogged(
        package=seen.package,
        source=seen.source,
        arrived_at=arrived_at,
        answer_by=answer_by,
        half_at=clock.half_at,
        last_at=clock.last_at,
        evidence=seen.evidence,
        council=seen.council,
        by=seen.by,
        sent_at=seen.sent_at,
        fingerprint=seen.fingerprint,
    )
    work.emit(seen.ref, logged)
    _go_on(work, seen.ref, None)
    return work.decision(answer=seen.ref)


def _known(work: Work, seen: ReferralSeen) -> Referral | None:
    found = work.referral(seen.ref)
    if found is not None or not seen.fingerprint:
        return found
    all_ = work.state.values.referrals.values()
    return next((one for one in all_ if one.fingerprint == seen.fingerprint), None)


# --- its clock ---


def on_deadline(work: Work, referral: Referral, due_at: datetime) -> None:
    """A mark has come, the end of its time, or it leaves the state. What passed while we were down is one summons."""
    if referral.waits:
        _go_on(work, referral.ref, due_at)
    else:
        work.emit(referral.ref, ReferralForgotten())


def _go_on(work: Work, ref: str, due_at: datetime | None) -> None:
    referral = work.referral(ref)
    assert referral is not None
    if referral.answer_by <= work.now:
        _lapse(work, referral)
        return
    come = [mark for mark, at in marks(referral).items() if at <= work.now]
    mark = max(come, key=lambda one: ORDER[one], default=None)
    if mark is None or ORDER[mark] <= ORDER[referral.mark]:
        return
    if referral.taken_by is None:
        _summon(work, referral, mark, due_at=due_at)
    else:
        _remind(work, referral, referral.taken_by, due_at)


def _lapse(work: Work, referral: Referral) -> None:
    """Its time is over: the managers hear it, and who has it."""
    _withdraw(work, referral, "lapsed")
    told = [person for person in managers(work) if _reads(person_for(work, person, None))]
    told = told or [one.ref for one in chain(work) if _reads(one)][:1]
    lapsed = ReferralLapsed(told=tuple(told), reason="" if told else "nobody_to_tell")
    work.emit(referral.ref, lapsed, due_at=referral.answer_by)
    for person in dict.fromkeys([*told, *([referral.taken_by] if referral.taken_by else [])]):
        _tell(work, person, LAPSED, referral)


def _reads(person: PersonView) -> bool:
    return person.mail or person.text_line() is not None


def _tell(work: Work, person: str, template: str, referral: Referral, about: str | None = None) -> None:
    """By text; by mail to who takes none."""
    if notices.text(work, person, template, at=referral.answer_by, about=about):
        return
    if person_for(work, person, None).mail:
        mail = Contact(
            person=person,
            line="",
            channel="email",
            purpose="notice",
            template=template,
            priority="repeat",
            about=about,
            at=referral.answer_by,
        )
        intend(work, mail, alert=None)


# --- who is summoned ---


def chain(work: Work) -> tuple[PersonView, ...]:
    """Who sees to referrals now, by hours; behind them whoever is on duty now, and the managers."""
    values = work.state.values
    own = [entry.person for entry in on_referrals(values.duty, work.now, work.state.calendar)]
    views = [person_for(work, ref, None) for ref in dict.fromkeys(own)]
    return (*views, *(one for one in duty_chain(work, None) if one.ref not in own))


def _can_be_told(person: PersonView) -> bool:
    return person.mail or person.text_line() is not None or bool(person.voice_lines())


def _following(work: Work, referral: Referral, mark: ReferralMark, passed: str | None) -> PersonView | None:
    """The first of the chain who was not told yet, else who was not told at this mark; None: nobody is left.
    `passed`: who has passed it on just now."""
    able = [one for one in chain(work) if _can_be_told(one) and one.ref != passed]
    ever = {one.person for one in referral.summons}
    now = {one.person for one in referral.summons if one.mark == mark}
    new = (one for one in able if one.ref not in ever)
    return next(new, None) or next((one for one in able if one.ref not in now), None)


def _summon(
    work: Work,
    referral: Referral,
    mark: ReferralMark,
    *,
    reason: str = "",
    passed: str | None = None,
    due_at: datetime | None = None,
) -> None:
    """The next person: by text, and from half time on by telephone too, since a text was not enough."""
    person = _following(work, referral, mark, passed)
    if person is None and referral.mark == mark:
        return  # everybody was told at this mark: the next one tells them again
    if person is None:
        work.emit(referral.ref, ReferralSummoned(mark=mark, reason=NOBODY), due_at=due_at)
        return
    rings = mark != "arrival" or reason == UNANSWERED
    keys = _reach(work, person, ASKS if mark == "arrival" else ASKS_AGAIN, rings=rings)
    summoned = ReferralSummoned(mark=mark, person=person.ref, messages=keys, reason=reason)
    work.emit(referral.ref, summoned, due_at=due_at)


def _remind(work: Work, referral: Referral, taker: str, due_at: datetime | None) -> None:
    """Little time is left, and who has it has recorded no answer."""
    keys = _reach(work, person_for(work, taker, None), REMINDS, rings=False)
    summoned = ReferralSummoned(mark="last", person=taker, messages=keys, reason="reminded")
    work.emit(referral.ref, summoned, due_at=due_at)


def _reach(work: Work, person: PersonView, template: str, *, rings: bool) -> tuple[str, ...]:
    """By text, and by mail beside it; who takes no text is rung."""
    line, voice = person.text_line(), person.voice_lines()
    keys = [_intend(work, person, line.ref, "sms", template)] if line is not None else []
    if person.mail:
        keys.append(_intend(work, person, "", "email", template))
    if voice and (rings or line is None):
        keys.append(_intend(work, person, voice[0].ref, "call", RINGS))
    return tuple(keys)


def _intend(work: Work, person: PersonView, line: str, channel: ContactChannel, template: str) -> str:
    contact = Contact(
        person=person.ref,
        line=line,
        channel=channel,
        purpose="notice",
        template=template,
        priority="summon",
        ring_s=round(work.policy().ring_staff.total_seconds()),
    )
    return intend(work, contact, alert=None)


# --- what they say ---


def of_message(work: Work, key: str) -> Referral | None:
    """The referral about which this message asks somebody to see to it."""
    for ref in work.state.values.referrals:
        referral = work.referral(ref)
        if referral is not None and key in referral.messages:
            return referral
    return None


def answered(work: Work, message: Message, answer: Answer, proof: str) -> None:
    """By text or key: they deal with it, or pass it on. Silence and hanging up wait for the end of the call."""
    referral = of_message(work, message.key)
    if referral is None or not referral.waits or answer not in ("take", "pass_on"):
        return
    if referral.taken_by not in (None, message.person):
        return
    reached = f.PersonReached(
        person=message.person, purpose="notice", proof=proof, answer=answer, message=message.key
    )
    work.emit(referral.ref, reached)
    if answer == "take":
        _take(work, referral, message.person, proof)
    elif message.person in (referral.taken_by, referral.summons[-1].person):
        # who is not the one that is asked any more (they have it twice, or answer late) passes over nobody
        _pass_on(work, referral, message.person, proof)


def says_back(work: Work, message: Message, template: str) -> str | None:
    """The words that are true now of what they have answered by text."""
    referral = of_message(work, message.key)
    if referral is None or not referral.waits:
        return None
    if template == YOURS and referral.taken_by != message.person:
        return TAKEN
    return template


def _take(work: Work, referral: Referral, by: str, proof: str) -> None:
    _withdraw(work, referral, "taken")
    if referral.taken_by != by:
        work.emit(referral.ref, ReferralTaken(by=by, proof=proof))


def _pass_on(work: Work, referral: Referral, by: str, proof: str) -> None:
    work.emit(referral.ref, ReferralPassed(by=by, proof=proof))
    current = work.referral(referral.ref)
    assert current is not None
    _summon(work, current, current.mark or "arrival", reason=PASSED, passed=by)


def on_settled(work: Work, message: Message, result: Result) -> None:
    """A text that failed, a call that nobody answered with a key: the next person, at once."""
    referral = of_message(work, message.key)
    if referral is None or not referral.waits or referral.taken_by is not None or message.proof is not None:
        return
    if message.key not in referral.summons[-1].messages or result in ("delivered", "cancelled"):
        return  # what comes late of an earlier step moves nothing
    mark = referral.summons[-1].mark
    if message.channel == "email" and person_for(work, message.person, None).lines:
        return  # a mail goes beside the telephone: what becomes of it moves nothing
    rung = any(_is_call(work, key) for key in referral.summons[-1].messages)
    if message.channel == "call" or (result == "failed" and not rung):
        _summon(work, referral, mark, reason=UNANSWERED)


def _is_call(work: Work, key: str) -> bool:
    message = work.message(key)
    return message is not None and message.channel == "call"


def pointless(work: Work, message: Message) -> str | None:
    """Why the question need not leave any more, or None."""
    referral = of_message(work, message.key)
    if referral is None or referral.answer is not None:
        return "answered"
    if referral.lapsed_at is not None:
        return "lapsed"
    return "taken" if referral.taken_by not in (None, message.person) else None


def _withdraw(work: Work, referral: Referral, reason: str) -> None:
    for key in referral.messages:
        message = work.message(key)
        if message is not None and message.phase == "queued":
            cancel(work, message, reason)


# --- what a named person does ---


def acted(work: Work, seen: ReferralActed) -> Decision:
    """Taken, or answered: what the council was told. Refused: `not_found`, `already_taken`, `already_answered`,
    `too_late`, `outcome`, `reason`, `starts_at`, `at`."""
    referral = work.referral(seen.referral)
    if referral is None:
        return Decision(refusal=Refusal(code="not_found"))
    if referral.answer is not None:
        detail = {"by": referral.answer.by, "at": referral.answer.recorded_at}
        return Decision(refusal=Refusal(code="already_answered", detail=detail))
    refusal = _taken_by_hand(work, referral, seen) if seen.outcome is None else _told(work, referral, seen)
    return Decision(refusal=refusal) if refusal is not None else work.decision(answer=referral.ref)


def _taken_by_hand(work: Work, referral: Referral, seen: ReferralActed) -> Refusal | None:
    if referral.lapsed_at is not None:
        return Refusal(code="over", detail={"by": None, "at": referral.answer_by})
    if referral.taken_by not in (None, seen.by):
        return Refusal(code="already_taken", detail={"by": referral.taken_by, "at": referral.taken_at})
    _take(work, referral, seen.by, f"person:{seen.by}")
    return None


def _told(work: Work, referral: Referral, seen: ReferralActed) -> Refusal | None:
    """The council was answered. A bid needs when it can start, a decline its reason."""
    assert seen.outcome is not None
    if not referral.arrived_at <= seen.at <= work.now + CLOCKS_DIFFER:
        return Refusal(code="at")
    if seen.outcome == "bid" and seen.starts_at is None:
        return Refusal(code="starts_at")
    if seen.outcome == "declined" and seen.reason is None:
        return Refusal(code="reason")
    done_at = min(seen.at, work.now) if work.now >= referral.arrived_at else seen.at
    told = ReferralAnswered(
        outcome=seen.outcome,
        by=seen.by,
        done_at=done_at,
        late=done_at >= referral.answer_by,
        reason=seen.reason if seen.outcome == "declined" else None,
        starts_at=seen.starts_at if seen.outcome == "bid" else None,
        note=seen.note,
    )
    _withdraw(work, referral, "answered")
    work.emit(referral.ref, told)
    if referral.taken_by not in (None, seen.by):
        _tell(work, referral.taken_by or "", ANSWERED, referral, about=seen.by)
    return None
