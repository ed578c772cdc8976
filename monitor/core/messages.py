"""Messages from intended to settled, and the answers that come back (design: "Intended, attempted, settled").

Contact means that a human answered: a key, a reply, a link, or a named member of staff. Voicemail, *delivered* and
*completed* never count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from msgspec import Struct, structs

from escalation import dialog, reassure, throttle
from escalation.replies import (
    WHERE_ARE_YOU,
    Answer,
    Matched,
    Reply,
    Stale,
    Unmatched,
    match,
    same_question,
)
from monitor.core import (
    absence,
    asking,
    checkins,
    council,
    duty,
    gathering,
    homes,
    informing,
    leaving,
    lines,
    phones,
    practice,
    procedure,
    referrals,
    replacing,
    staff_changes,
    texts,
    weather_desk,
    written_notice,
)
from monitor.core import facts as f
from monitor.core.alerts import (
    CHECK_OUT_WORDS,
    DIED,
    NEVER_TOLD,
    WRONG_NUMBER,
    alarm_stopped,
    ask_for_help,
    at_rest,
    cancel,
    held_by,
    may_hear,
    on_settled,
    pass_on,
    reassure_case,
    reassured,
    take,
    tell_person,
    tell_staff,
    waiting_on,
    wrong_number,
)
from monitor.core.causes import SEVERAL_UNPLACED, is_incident
from monitor.core.inputs import DeliveryReported, KeyPressed, ReplyReceived, SendReported, SendTurn
from monitor.core.placing import calling_off, landing, telling
from monitor.core.state import ENGAGED, Alert, Message, Visit
from monitor.core.views import Purpose, Result
from monitor.core.work import Decision, Work

BACK_OFF = (2, 5, 10, 20, 30, 60)
"""Seconds until the provider is tried again; the last one goes on."""
CHASES = 3
"""How often a provider is asked about a message whose callback never came."""
ASKS_FOR_PERSON: tuple[Answer, ...] = ("talk", "help", "ring_me")
"""Answers that want a person now."""
LINE_BUSY = timedelta(seconds=5)
"""How soon who talks with us already is tried again, at first."""
LINE_BUSY_MOST = timedelta(seconds=30)
"""How soon once it has waited for minutes: every such look is a fact (ours)."""
LONGEST_TALK = timedelta(seconds=90)
"""A call whose end nobody reported stops engaging its line this long after the ring."""
NOT_WELL = frozenset({"CW-5", "CW-120"})
"""Texts that ask a care worker who cannot get there whether they are all right themselves."""
AUTOMATIC_REPLIES = 5
"""At most this many automatic replies to one line in a day (devices.md)."""


class SayBack(Struct, frozen=True, kw_only=True):
    """The automatic reply to a text: which words, about which alert. None goes back to strangers."""

    template: str
    alert: str | None
    person: str
    visit: str | None = None
    """Where there is no alert yet."""
    count: int = 0
    """Minutes that were said."""


# --- sending ---


def send_turn(work: Work, turn: SendTurn) -> Decision:
    """Its turn has come: is it still wanted? Answers "send", "hold" (the store is away) or "no"."""
    message = work.message(turn.key)
    if message is None or message.phase != "queued":
        return Decision(answer="no")
    reason = pointless(work, message)
    if reason is not None:
        cancel(work, message, reason)
        if message.purpose == "practice":
            practice.ended(work, message, "cancelled")
        return work.decision(answer="no")
    if turn.unrecorded and not may_leave_unrecorded(message):
        return Decision(answer="hold")
    held = _held_until(work, message) if message.channel == "call" else None
    if held is not None:
        # two calls to one telephone: the second would meet engaged, or a voicemail
        if not waits_for_line(message):
            work.emit(message.key, f.MessageDeferred(reason=ENGAGED, next_at=held))
        return work.decision(answer="no")
    peace = _left_in_peace(work, message) if message.purpose in RINGS_HOME else None
    if peace is not None:
        work.emit(message.key, f.MessageDeferred(reason="rung_lately", next_at=peace))
        return work.decision(answer="no")
    attempted = f.MessageAttempted(
        attempt=message.attempts + 1,
        evidence=turn.evidence,
        possibly_repeated=message.possibly_repeated,
        unrecorded_at_send=turn.unrecorded,
    )
    work.emit(message.key, attempted)
    return work.decision(answer="send")


def _held_until(work: Work, message: Message) -> datetime | None:
    """Until when a call of ours may hold the line of this one, or when to look again; None: it may go."""
    others = (work.message(key) for key in work.state.values.messages)
    engaged = engaged_until((other for other in others if other is not None), message, work.now)
    if message.template != council.RING_US:
        return engaged
    return work.now + _look_again(work, message) if engaged or _talks_to_us(work, message) else None


def _look_again(work: Work, message: Message) -> timedelta:
    """A quarter of what it has waited already: a talk with a council has no end that we know."""
    if message.priority == "help":
        return LINE_BUSY
    return min(max((work.now - message.intended_at) / 4, LINE_BUSY), LINE_BUSY_MOST)


def engaged_until(others: Iterable[Message], message: Message, now: datetime) -> datetime | None:
    """The latest moment until which calls of ours that are out to the same line may ring or be talked on."""
    if message.line is None and message.template != council.RING_DESK:
        return None  # a desk has several telephones, and one of ours waits for it
    found = [_may_last_until(other) for other in others if _on_line_of(other, message)]
    return max((until for until in found if until is not None and now < until), default=None)


def _may_last_until(call: Message) -> datetime | None:
    if call.phase not in ("attempted", "accepted") or call.attempted_at is None:
        return None
    return call.attempted_at + timedelta(seconds=call.ring_s) + LONGEST_TALK


def _on_line_of(other: Message, message: Message) -> bool:
    if other.channel != "call" or other.line != message.line or other.key == message.key:
        return False
    return message.line is not None or other.person == message.person


def waits_for_line(message: Message) -> bool:
    """It is on record that it waits for the end of a call of ours to the same line. It is not asked again before."""
    waits = message.phase == "queued" and message.channel == "call" and message.reason == ENGAGED
    return waits and message.template != council.RING_US


def opens_at(others: Iterable[Message], message: Message, now: datetime) -> datetime | None:
    """Before which a queued message need not have its turn; None: it may have it now."""
    return engaged_until(others, message, now) if waits_for_line(message) else message.not_before


def woken_by(others: Iterable[Message], ended: Message) -> list[Message]:
    """What waits for the line of a call that is out no longer."""
    if ended.channel != "call" or not ended.attempts or waits_for_line(ended):
        return []
    return [other for other in others if waits_for_line(other) and _on_line_of(ended, other)]


def _talks_to_us(work: Work, message: Message) -> bool:
    """Who is to be joined to the council is on the line with us already, in whatever call that is."""
    if message.template != council.RING_US:
        return False
    held = (held for alert in work.all_open_alerts() for held in alert.lines if held.ended_at is None)
    return any(one.call != message.key and one.person == message.person for one in held)


RINGS_HOME: frozenset[Purpose] = frozenset({"reassure", "tell_replacement"})
"""What a service user is rung for by the machine itself."""


def _left_in_peace(work: Work, message: Message) -> datetime | None:
    """Until when a service user's telephone is not rung again: nobody answered it a moment ago, for whatever it rang
    (spec 22.2: tries are apart). The name of who comes waits while they are still being rung about themselves."""
    if message.channel != "call" or message.line is None:
        return None
    alert = work.alert(message.alert)
    others = (work.message(key) for key in work.state.values.messages if key != message.key)
    rung = [other for other in others if other is not None and _rang_in_vain(other, message.line)]
    moments = [other.attempted_at for other in rung if other.attempted_at is not None]
    allowed = throttle.may_contact("ring_service_user", moments, work.now, work.policy(alert))
    if isinstance(allowed, throttle.Wait):
        return allowed.until
    track = alert.track("reassure") if alert is not None else None
    still = track is not None and track.step == "trying" and any(m.purpose == "reassure" for m in rung)
    if message.purpose != "tell_replacement" or track is None or not still:
        return None
    return max(track.next_at or work.now, work.now + LINE_BUSY)


def _rang_in_vain(other: Message, line: str) -> bool:
    if other.line != line or other.channel != "call" or other.purpose not in RINGS_HOME:
        return False
    never = other.attempted_at is None or other.provider_ref is None or other.result == "failed"
    return not never and other.proof is None


def may_leave_unrecorded(message: Message) -> bool:
    """Degraded mode lets only summons and help asked leave, and only to staff (design: "Degraded mode")."""
    return message.purpose == "summon"


def pointless(work: Work, message: Message) -> str | None:
    """Why the message need not leave any more, or None."""
    alert = work.alert(message.alert)
    if message.expires_at <= work.now:
        return "expired"
    visit, about = work.visit(message.visit), message.about
    if not may_hear(work, alert, message.person, message.line, visit, about=about):
        return NEVER_TOLD
    if at_rest(work, alert, message.person, message.line, visit, about):
        return DIED
    if message.line in work.wrong_lines(message.person):
        return WRONG_NUMBER
    if message.purpose == "join":
        return None if lines.wanted(work, message) else "hung_up"
    if message.template in CHECK_OUT_WORDS:
        return leaving.pointless(work, message)
    if message.purpose == "weather":
        return weather_desk.pointless(work, message)
    if message.purpose == "package":
        return telling.pointless(work, message)
    if message.purpose == "ask_worker":
        return asking.wanted_still(work, message)
    if message.template in gathering.TOGETHER:
        return gathering.pointless(work, message)
    if message.template in asking.TIMES_TOLD:
        return asking.told_still(work, message)
    if message.template == "CW-13":
        return asking.arrived(work, message)
    if message.template == phones.TEXT:
        return phones.told_still(work, message)
    if alert is not None and message.template == council.RING_US:
        return council.pointless(work, alert, message)
    if message.template in duty.QUESTIONS:
        return duty.pointless(work, message)
    if message.template in referrals.QUESTIONS:
        return referrals.pointless(work, message)
    if message.template == landing.WORDS:
        return calling_off.pointless(work, message)
    if message.template in (staff_changes.BY_TEXT, staff_changes.BY_CALL):
        return staff_changes.pointless(work, message)
    if message.template == homes.ASKS:
        return homes.pointless(work, message)
    if message.template == texts.WORDS:
        return texts.pointless(work)
    if alert is None or message.purpose == "stand_down" or message.template == written_notice.NOTICE:
        return None
    if message.purpose == "notice":
        # what was said about it before its end is of no use after it; OC-72, said at the end, is
        over = alert.ended_at is not None and message.intended_at < alert.ended_at
        return "alert_ended" if over else None
    if alert.state == "ended":
        return "alert_ended"
    if message.purpose == "summon" and alert.state == "taken" and message.person != alert.taken_by:
        return "taken"
    track = alert.track("reassure")
    if message.purpose == "reassure" and track is not None and track.step == "reached":
        return "reached"
    if message.purpose in ("locate", "offer", "inform_next_of_kin", "inform_council", "tell_replacement"):
        return procedure.pointless(work, alert, message)
    return _plan_says(work, alert) if message.purpose == "reassure" else None


def _plan_says(work: Work, alert: Alert) -> str | None:
    """The plan or the mode may have changed since, and quiet hours begun."""
    case = reassure_case(work, alert)
    return "public_off" if reassure.mode(case) == "off" else reassure.left_alone(case)


def send_reported(work: Work, report: SendReported) -> Decision:
    """What the provider's API said. After a callback has settled the message nothing is changed any more."""
    message = work.message(report.key)
    if message is None or not _in_doubt(message, proves=report.result == "accepted"):
        return Decision()
    if report.result == "accepted":
        work.emit(message.key, f.MessageAccepted(provider_ref=report.provider_ref or "", found=report.found))
    elif report.result == "failed" and report.permanent:
        _settle(work, message, "failed", report.reason)
    else:
        _defer(work, message, report)
    return work.decision()


def _in_doubt(message: Message, *, proves: bool) -> bool:
    """It may have been sent and nobody knows. One that waits to be sent again is, too, once something proves that
    the provider had the first attempt."""
    return message.phase == "attempted" or (proves and message.phase == "queued" and message.attempts > 0)


def _defer(work: Work, message: Message, report: SendReported) -> None:
    # looked up in vain: once more at once, for a second ring is better than silence; then as anything else
    pauses = (0, *BACK_OFF) if report.possibly_repeated else BACK_OFF
    wait = pauses[min(message.attempts, len(pauses)) - 1]
    next_at = work.now + timedelta(seconds=wait)
    if next_at >= message.expires_at:
        _settle(work, message, "failed", "expired")
        return
    deferred = f.MessageDeferred(
        reason=report.reason or report.result, next_at=next_at, possibly_repeated=report.possibly_repeated
    )
    work.emit(message.key, deferred)


def _settle(work: Work, message: Message, result: Result, reason: str = "") -> None:
    work.emit(message.key, f.MessageSettled(result=result, reason=reason, proof=message.proof))
    on_settled(work, message, result)
    if message.purpose == "join" and result == "failed" and lines.wanted(work, message):
        lines.call_ended(work, message)
    if message.purpose == "practice":
        practice.ended(work, message, result)
    if message.template in duty.QUESTIONS:
        duty.on_settled(work, work.message(message.key) or message, result)
    if message.template in referrals.QUESTIONS:
        referrals.on_settled(work, work.message(message.key) or message, result)
    absence.kin_settled(work, message, result)
    if message.alert is None:
        weather_desk.on_settled(work, message, result)
    if message.purpose == "package":
        telling.on_settled(work, message, result)
    written_notice.on_settled(work, message, result)
    procedure.on_settled(work, message, result)
    leaving.on_settled(work, message, result)


def on_deadline(work: Work, message: Message) -> None:
    """A queued message is past its life, or the callback of a sent one is overdue."""
    if message.phase == "queued" and message.expires_at <= work.now:
        _settle(work, message, "failed", "expired")
    elif message.phase == "accepted" and message.chased >= CHASES:
        _settle(work, message, "failed", "no_callback")
    elif message.phase == "accepted":
        work.emit(message.key, f.MessageChased(tries=message.chased + 1))


SETTLES: dict[str, Result] = {
    "delivered": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
    "busy": "busy",
    "no_answer": "no_answer",
}


def delivery(work: Work, report: DeliveryReported) -> Decision:
    """A callback. Doubled, late and reordered ones change nothing: a settled message stays as it is."""
    message = work.message(report.key)
    if message is None:
        return Decision()
    if message.phase != "settled" and (message.phase != "queued" or _in_doubt(message, proves=True)):
        _delivered(work, message, report)
    if message.channel == "call" and report.status in OVER:
        lines.call_ended(work, message)
    return work.decision()


OVER = frozenset({"completed", "busy", "no_answer", "canceled", "failed"})
"""Statuses with which a call has ended."""


def _delivered(work: Work, message: Message, report: DeliveryReported) -> None:
    if message.phase != "accepted":
        # its callback overtook the answer to our POST, or we were killed in between: the provider has it
        work.emit(message.key, f.MessageAccepted(provider_ref=report.provider_ref or "", found=True))
        message = work.message(report.key) or message
    if report.answered_by == "machine" and message.proof is None:
        _settle(work, message, "voicemail")
    elif report.status == "completed":
        _settle(work, message, "answered", "" if message.proof else "no_key")
    elif report.status in SETTLES:
        _settle(work, message, SETTLES[report.status], report.status)


# --- answers ---


def key_pressed(work: Work, pressed: KeyPressed) -> Decision:
    """A step of our call ended. `Decision.answer` is the dialog's turn, for the words that follow."""
    message = work.message(pressed.key)
    if message is None:
        return Decision()
    turn = dialog.next_step(message.template, pressed.step, pressed.digit)
    if turn.answer in lines.PARTIES:
        return work.decision(answer=_party_asked(work, message, turn))
    if turn.answer is not None:
        proof = f"key:{pressed.digit}" if pressed.digit else ""
        minutes = dialog.number_keyed(message.template, pressed.step, pressed.digit)
        heard = f.AnswerHeard(answer=turn.answer, proof=proof, person=message.person, minutes=minutes)
        work.emit(message.key, heard)
        step = _answer(work, message, turn.answer, proof, minutes)
        turn = dialog.Turn(step=step or turn.step, answer=turn.answer)
    return work.decision(answer=turn)


def _party_asked(work: Work, message: Message, turn: dialog.Turn) -> dialog.Turn:
    """Who has taken the alert asks to be joined to somebody. What follows is theirs to say: no answer of theirs."""
    alert = work.alert(message.alert)
    if alert is None or turn.answer is None:
        return turn
    return dialog.Turn(
        step=lines.connect(work, alert, message, lines.PARTIES[turn.answer]), answer=turn.answer
    )


def reply(work: Work, received: ReplyReceived) -> Decision:
    """A text. It belongs to a question, or a person reads it. One that the network hands over
    once more changes nothing, and is not answered once more; the same words in a text of their own are said again."""
    seen = work.state.values.texts.get(received.line, ()) if received.fingerprint else ()
    if any(text.fingerprint == received.fingerprint for text in seen):
        return Decision()
    if not received.persons:
        return texts.stranger(work, received)
    if received.fingerprint:
        work.emit(received.line, f.TextTaken(fingerprint=received.fingerprint))
    read = Reply(code=received.code, number=received.number, word=received.word, against=received.against)
    at_door = _door_beside_code(work, received, read)
    if at_door is not None:
        return at_door
    found = match(work.questions(received.line), read, work.now)
    if isinstance(found, Matched):
        message = _as_sent(work, work.message(found.question.key))
        if message is not None:
            return _replied(work, received, found, message)
    if isinstance(found, Stale):
        return _stale(work, received, found)
    return _words(work, received, found if isinstance(found, Unmatched) else Unmatched(reason="unclear"))


def _door_beside_code(work: Work, received: ReplyReceived, read: Reply) -> Decision | None:
    """Who is asked where they are, and writes beside the code that nobody opens: with *there* it is the report of it at
    that very visit. With another code either may be meant, and cover must not be promised to whoever stands at a door
    (they would leave it): the question stays open, and a person rings them and asks. None: nothing of this."""
    if not received.door or received.code is None:
        return None
    found = match(work.questions(received.line), structs.replace(read, against=False), work.now)
    asked = work.message(found.question.key) if isinstance(found, Matched) else None
    if asked is None or not isinstance(found, Matched) or asked.template not in WHERE_ARE_YOU:
        return None
    visit = work.visit(asked.visit) if found.answer == "there" else None
    return _at_a_door(work, received, asked.person, visit)


def _as_sent(work: Work, asked: Message | None) -> Message | None:
    """The text that was answered: a question asked again and not yet sent was answered on its earlier text."""
    if asked is None or asked.attempts:
        return asked
    alert, visit = work.alert(asked.alert), work.visit(asked.visit)
    before = [work.message(key) for key in (visit.asks if visit is not None else ())]
    sent = [
        message
        for message in (*before, *(work.messages_of(alert) if alert is not None else ()))
        if message is not None
        and (message.line, message.slot) == (asked.line, asked.slot)
        and same_question(message.template, asked.template)
        and message.attempts > 0
    ]
    return sent[-1] if sent else asked


def _replied(work: Work, received: ReplyReceived, found: Matched, message: Message) -> Decision:
    proof = f"reply:{received.code or received.word or ''}"
    heard = f.AnswerHeard(
        answer=found.answer,
        proof=proof,
        person=message.person,
        minutes=found.number,
        evidence=received.evidence,
    )
    work.emit(message.key, heard)
    if message.phase in ("attempted", "accepted"):
        # who answers a text has had it: its callback is not waited for
        work.emit(message.key, f.MessageSettled(result="answered", proof=proof))
    _answer(work, message, found.answer, proof, found.number)
    said = SAY_OF.get(message.template, SAY).get(found.answer, SAY.get(found.answer))
    alert = work.alert(message.alert)
    if said == "OC-22" and (alert is None or alert.taken_by != message.person):
        said = None  # somebody else has it: OC-3 says who, as a message of its own
    elif said == "OC-22" and alert is not None and is_incident(alert):
        said = PACKAGES_TAKEN if alert.reason == SEVERAL_UNPLACED else TAKEN_TOGETHER
    if message.template in referrals.QUESTIONS and said is not None:
        said = referrals.says_back(work, message, said)
    since = found.question.opened_at
    return _say(work, received, said, message.alert, message.person, since=since, visit=message.visit)


TAKEN_TOGETHER = "OC-221"
"""Who takes an incident hears how many visits they have."""
PACKAGES_TAKEN = "BD-41"
"""Who takes a bundle of packages that nobody can take hears how many they are."""
SAY: dict[Answer, str] = {
    "all_right": "SU-2",
    "talk": "SU-3",
    "carer_here": "SU-4",
    "take": "OC-22",
    "still_mine": "OC-22",
    "pass_on": "OC-24",
    "spoke": "NOK-3",
    "can_go": "NOK-4",
    "start_duty": "OC-181",
    "help": "CW-230",
}


SAY_OF: dict[str, dict[Answer, str]] = {
    "SP-1": {"all_right": "SP-2"},
    "SU-120": {"all_right": "SU-121"},
    "SP-121": {"all_right": "SP-122"},
    **referrals.SAY,
    "CW-6": {"left": "CW-110", "still_here": "CW-111", "ring_me": "CW-112"},
}
"""What is said back to a question of its own: to who speaks for a service user, to a care worker who has left."""


def _stale(work: Work, received: ReplyReceived, found: Stale) -> Decision:
    message = work.message(found.question.key)
    work.emit(
        found.question.key,
        f.AnswerHeard(
            answer=found.answer,
            proof=f"reply:{received.code or ''}",
            person=message.person if message else None,
            stale=True,
            evidence=received.evidence,
        ),
    )
    if message is not None and message.template in WHERE_ARE_YOU and received.door:
        return _at_a_door(work, received, message.person, _at_which(work, received, message.person))
    if message is not None and message.purpose == "reassure":
        if found.answer in ASKS_FOR_PERSON:
            return _words(work, received, Unmatched(reason="help"))
        return _say(work, received, None, None, message.person)
    if message is not None and (message.template in NOT_WELL or found.answer == "ring_me"):
        # whoever is not all right, or wants to be rung, is rung, however late they say so
        return _words(work, received, Unmatched(reason="help"))
    if message is not None and message.purpose == "offer":
        return _say(work, received, "CW-8B", message.alert, message.person)
    return _say(work, received, "OC-25", None, _speaker(work, received))


def _words(work: Work, received: ReplyReceived, found: Unmatched) -> Decision:
    """Words that no question asked for. From a service user they go before a person at once; those of others wait in a
    list, and whoever has an open alert that concerns them is told at once."""
    person = _speaker(work, received)
    role = _role(work, person)
    refused = found.reason == "dont_come"
    asked = _asked_of_worker(work, received, person) if role == "care_worker" else None
    stopped = received.word == "stop"
    helped = not stopped and (found.reason == "help" or received.word == "help")
    if role == "care_worker" and received.door and not stopped and not helped:
        return _at_a_door(work, received, person, _at_which(work, received, person))
    waits = not (stopped or helped) and texts.waits(role, received, asked=asked is not None)
    template = SAY_TO_WORDS.get(role)
    if refused and role == "service_user":
        template = "SU-12"
    elif waits and asked is None:
        template = SAY_WHO_READS.get(role, template)
    elif role == "care_worker" and asked is None:
        template = None
    if helped:
        template = SAY_TO_HELP.get(role, template)
    said = None if stopped or template is None else _allowed(work, received, template, person)
    told = waits and (_pass_words_on(work, asked) or texts.tell_at_once(work, person, role))
    work.emit(
        received.line,
        f.ReplyKept(
            line=received.line,
            persons=received.persons,
            word=received.word or "other",
            evidence=received.evidence,
            answered=said is not None,
            waits=waits,
            told=told,
        ),
    )
    mine = person if role == "service_user" else None
    theirs = None if mine else person
    if stopped and role in ("service_user", "staff"):
        alarm_stopped(work, service_user=mine, worker=theirs)
    elif not stopped and (mine or helped):
        # nothing is called off by a text: a person rings, and only a supervisor's confirmation counts (7.26)
        reason = found.reason if found.reason in ("help", "dont_come") else "free_text"
        ask_for_help(work, _open_alert_of(work, person), mine, reason, worker=theirs)
    answer = SayBack(template=said, alert=None, person=person) if said else None
    return work.decision(answer=answer)


SAY_TO_WORDS = {"service_user": "SU-11", "staff": "OC-26", "care_worker": "OC-70", "provider": "BD-31"}
"""What goes back for words that are no answer."""


SAY_WHO_READS = {"care_worker": "CW-250", "contact": "NOK-250"}
"""What goes back to whoever has written of their own accord: a person reads it."""


SAY_TO_HELP = {"staff": "OC-230", "care_worker": "CW-230", "contact": "NOK-230"}
"""What goes back to who asks for help; a service user hears SU-11, or SU-3 while we ask them something."""


def _at_a_door(work: Work, received: ReplyReceived, worker: str, visit: Visit | None) -> Decision:
    """A care worker writes that nobody opens (spec 7.24; by text, domain.md 3). Where they can mean one `visit` alone
    it is the report of *no reply* there; else a person rings them and asks."""
    template = "CW-232" if visit is None else "CW-231"
    said = _allowed(work, received, template, worker)
    kept = f.ReplyKept(
        line=received.line,
        persons=received.persons,
        word=received.word or "other",
        evidence=received.evidence,
        answered=said is not None,
    )
    work.emit(received.line, kept)
    if visit is None:
        ask_for_help(work, None, None, "at_door", worker=worker)
    else:
        checkins.report_door(work, visit, worker, received)
    where = visit.ref if visit is not None else None
    answer = SayBack(template=said, alert=None, person=worker, visit=where) if said else None
    return work.decision(answer=answer)


def _at_which(work: Work, received: ReplyReceived, worker: str) -> Visit | None:
    """The one visit at which they can be now: theirs by the rota or sent to, begun or about to, and not over."""
    sent = [alert.visit for alert in work.all_open_alerts() if any(s.worker == worker for s in alert.sent)]
    refs = sorted({*work.state.by_worker.get(worker, ()), *(ref for ref in sent if ref is not None)})
    found = [
        visit for ref in refs if (visit := work.visit(ref)) is not None and _may_be_at(work, visit, worker)
    ]
    return found[0] if len(found) == 1 else None


def _may_be_at(work: Work, visit: Visit, worker: str) -> bool:
    if visit.over or any(place.worker == worker and place.left for place in visit.places):
        return False
    early = work.policy_for(visit.service_user).early_after
    return visit.start - early <= work.now < max(visit.end, visit.missed_at)


def _asked_of_worker(work: Work, received: ReplyReceived, worker: str) -> Message | None:
    """The newest question about a visit that is still open on a care worker's phone, or was not long ago."""
    newest = sorted(work.questions(received.line), key=lambda question: question.opened_at, reverse=True)
    found = (work.message(question.key) for question in newest if question.open)
    return next((m for m in found if m is not None and m.person == worker and m.visit is not None), None)


def _pass_words_on(work: Work, asked: Message | None) -> bool:
    """A care worker has written something that is no answer to what was asked about a visit: a person rings them, where
    an alert is open about it. Returns whether one is."""
    visit = work.visit(asked.visit) if asked is not None else None
    alert = asking.late_alert(work, visit) if visit is not None else None
    if alert is None or asked is None:
        return False
    tell_staff(work, alert, "OC-71", about=asked.person)
    return True


def _speaker(work: Work, received: ReplyReceived) -> str:
    """Whose words they are taken for, on a line that several people share: who may need help comes first."""
    about = {alert.service_user for alert in work.all_open_alerts()}
    order = {"service_user": 0, "care_worker": 1, "staff": 2, "contact": 3, "provider": 4}
    return min(
        received.persons,
        key=lambda ref: (
            work.has_died(ref),
            order[_role(work, ref)],
            ref not in about,
            received.persons.index(ref),
        ),
    )


def _role(work: Work, ref: str) -> str:
    known = work.ctx.people.person(ref)
    return known.role if known else "contact"


def _open_alert_of(work: Work, person: str) -> Alert | None:
    mine = [alert for alert in work.all_open_alerts() if alert.service_user == person]
    return mine[0] if mine else None


def _allowed(
    work: Work,
    received: ReplyReceived,
    template: str,
    person: str,
    alert: Alert | None = None,
    since: datetime | None = None,
) -> str | None:
    """The words, unless this line has had its five automatic replies of the last day; an answer to a question of
    ours is bounded by the question, so that who takes alerts all night still hears that they have them. Nothing goes
    back where somebody has died: a person reads it."""
    if at_rest(work, alert, person, received.line):
        return None
    sent = work.state.values.replies_to.get(received.line, ())
    begin = work.now - timedelta(days=1)
    recent = [at for at in sent if at > begin and (since is None or at >= since)]
    return template if len(recent) < AUTOMATIC_REPLIES else None


def _say(
    work: Work,
    received: ReplyReceived,
    template: str | None,
    alert: str | None,
    person: str,
    *,
    since: datetime | None = None,
    visit: str | None = None,
) -> Decision:
    said = _allowed(work, received, template, person, work.alert(alert), since) if template else None
    waits = texts.beside(_role(work, person), received)
    if said is not None or waits:
        kept = f.ReplyKept(
            line=received.line,
            persons=(person,),
            word="other",
            evidence=received.evidence,
            answered=said is not None,
            waits=waits,
        )
        work.emit(received.line, kept)
    answer = SayBack(template=said, alert=alert, person=person, visit=visit) if said else None
    return work.decision(answer=answer)


def _answer(work: Work, message: Message, answer: Answer, proof: str, minutes: int | None) -> str | None:
    """One answer, whichever way it came. Returns the step of the call that follows, where the answer decides it."""
    if message.purpose == "practice":
        practice.answered(work, message, answer, proof)
        return None
    if answer == "no_key" and message.result == "voicemail":
        return _machine_stayed(message)
    if message.template in duty.QUESTIONS:
        duty.answered(work, message, answer, proof)
        return None
    if message.template in referrals.QUESTIONS:
        referrals.answered(work, message, answer, proof)
        return None
    alert = work.alert(message.alert)
    if message.template in CHECK_OUT_WORDS:
        leaving.answered(work, message, answer, proof)
        if message.channel == "call" and answer == "ring_me":
            _other_asked(work, None, message, answer)
        return None
    if message.purpose == "weather":
        weather_desk.answered(work, message, answer, proof)
        if _wants_person(message, answer):
            _keep_open(work, None, message, message.person, "no_key" if answer == "no_key" else "asked")
        return None
    if message.purpose in ("ask_worker", "locate"):
        _worker_answered(work, message, answer, proof, minutes)
        if message.channel == "call" and _wants_person(message, answer):
            _other_asked(work, alert, message, answer)
        return None
    if message.template in NOT_WELL:
        # it may have been sent before there was any alert
        ask_for_help(work, alert, None, "worker_not_well", worker=message.person)
        return None
    if message.template == staff_changes.BY_CALL:
        staff_changes.answered(work, message, answer, proof)
        if _wants_person(message, answer):
            _keep_open(work, None, message, message.person, "no_key" if answer == "no_key" else "asked")
        return None
    if alert is None:
        absence.heard(work, message, answer, proof)
        if message.template == absence.KIN_BACK_CALL and answer in ASKS_FOR_PERSON:
            _keep_open(work, None, message, message.about, "asked")
        return None
    if message.purpose in PROCEDURE:
        step = PROCEDURE[message.purpose](work, alert, message, answer, proof)
        if message.channel == "call" and _wants_person(message, answer):
            _other_asked(work, alert, message, answer)
        return step
    if message.template == "CW-13":
        procedure.second_answered(work, alert, message, answer, proof)
    elif message.purpose == "reassure":
        _service_user_answered(work, alert, message, answer, proof)
    elif answer == "told_council":
        council.told_by_key(work, alert, message)
    elif message.purpose in ("summon", "notice", "stand_down") and answer == "join":
        return lines.join(work, alert, message, proof)
    elif message.purpose in ("summon", "notice", "stand_down"):
        _staff_answered(work, alert, message, answer, proof)
    elif message.channel == "call" and _wants_person(message, answer):
        _other_asked(work, alert, message, answer)
    return None


def _machine_stayed(message: Message) -> str | None:
    """A voicemail has heard the script out: it asks for nobody, and staff are not rung to talk to it. The detection
    may be wrong, so that what is said last is still for a person: somebody will ring (design rule 5)."""
    return "kept" if "kept" in dialog.DIALOGS[message.template].steps else None


def _wants_person(message: Message, answer: Answer) -> bool:
    """Silence on a council's line is music or a menu, and on any other somebody who does not know what to press."""
    return answer in ASKS_FOR_PERSON or (answer == "no_key" and message.purpose != "inform_council")


def _other_asked(work: Work, alert: Alert | None, message: Message, answer: Answer) -> None:
    """Next of kin, a care worker, a council's officer on the line of our call, and a person is wanted."""
    known = work.ctx.people.person(message.person)
    worker = message.person if known is not None and known.role == "care_worker" else None
    user = None if worker is not None or alert is None else alert.service_user
    _keep_open(work, alert, message, user, "no_key" if answer == "no_key" else "asked", worker=worker)


def _keep_open(
    work: Work,
    alert: Alert | None,
    message: Message,
    service_user: str | None,
    reason: str,
    *,
    worker: str | None = None,
) -> None:
    """Help is asked; where it is asked in a call, the line stays open for it."""
    known = set(work.alert_refs())
    asked = ask_for_help(work, alert, service_user, reason, worker=worker)
    if message.channel == "call":
        lines.keep(work, asked, message, fresh=asked.ref not in known)


def _worker_answered(work: Work, message: Message, answer: Answer, proof: str, minutes: int | None) -> None:
    """Where they are, or, by text, that they want help themselves."""
    if answer == "help" and message.channel == "sms":
        ask_for_help(work, None, None, "asked", worker=message.person)
    else:
        procedure.worker_answered(work, message, answer, proof, minutes)


def _heard_about_replacement(
    work: Work, alert: Alert, message: Message, answer: Answer, proof: str
) -> str | None:
    """They have heard who comes instead, or want to talk to somebody."""
    if answer == "no_key":
        return None
    reached = f.PersonReached(
        person=message.person, purpose="tell_replacement", proof=proof, answer=answer, message=message.key
    )
    work.emit(alert.ref, reached)
    if answer in ASKS_FOR_PERSON and message.channel == "sms":
        ask_for_help(work, alert, message.person, "asked")
    return None


PROCEDURE: dict[Purpose, Callable[[Work, Alert, Message, Answer, str], str | None]] = {
    "offer": replacing.offer_answered,
    "inform_next_of_kin": informing.kin_answered,
    "inform_council": council.desk_answered,
    "tell_replacement": _heard_about_replacement,
}
"""Whose answers are the procedure's, by what the message was for. Returns the step of the call that follows, where
the answer decides it."""


def _service_user_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    """They, or who speaks for them. Two people on one line have one answer."""
    if answer == "no_key":
        # the line was open and nobody pressed anything: not contact, and a person must ring (wording.md SUV-1)
        _keep_open(work, alert, message, alert.service_user, "no_key")
        return
    if answer == "wrong_number":
        wrong_number(work, alert, message)
        return
    for asked in (alert, *waiting_on(work, alert)):
        _reassured(work, asked, message, answer, proof)
    if answer in ASKS_FOR_PERSON:
        _keep_open(work, alert, message, alert.service_user, "asked")


def _reassured(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    """A human answered. A key of somebody who does not understand the keys says no more than that (domain.md, "The
    contact plan"): a person rings, and is told so."""
    who = message.person if message.alert == alert.ref else alert.service_user or message.person
    known = work.ctx.people.person(who)
    if proof.startswith("key:") and known is not None and not known.plan.understands_keys:
        reassured(work, alert, who, proof, "keys_not_understood", message.key)
        if alert.state != "ended" and answer not in ASKS_FOR_PERSON:
            tell_staff(work, alert, "OC-51")
        return
    reassured(work, alert, who, proof, answer, message.key)
    if answer == "carer_here" and alert.state != "ended":
        tell_staff(work, alert, "OC-18")


def _staff_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    """What they say of one alert, or of all about which they were asked in one reminder."""
    asked = held_by(work, message.person, "asked_again") if message.template == "OC-95" else []
    for other in [alert, *(one for one in asked if one.ref != alert.ref)]:
        _staff_says(work, other, message, answer, proof)


def _staff_says(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    by = message.person
    if answer == "no_answer_key" and alert.state != "ended":
        pass_on(work, alert, by, "no_key")
    if answer not in ("take", "still_mine", "pass_on") or alert.state == "ended":
        return
    if not may_hear(work, alert, by):
        # they were asked before somebody said that they must not be told
        return
    work.emit(
        alert.ref,
        f.PersonReached(person=by, purpose="summon", proof=proof, answer=answer, message=message.key),
    )
    if answer == "pass_on":
        pass_on(work, alert, by, "passed_on")
        return
    if alert.state == "taken" and alert.taken_by != by and message.template != "OC-3":
        tell_person(work, alert, by, "OC-3", about=alert.taken_by)
        return
    take(work, alert, by, proof)
