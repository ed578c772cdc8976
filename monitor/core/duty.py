"""The start of duty at this desk: who comes on call is asked to say so, and who does not is made known
(`escalation.on_call`; wording.md OC-7). Only the on-call list is handed over so: in office hours nobody is asked."""

from __future__ import annotations

from datetime import datetime

from msgspec import structs

from escalation import on_call
from escalation.on_call import HandOver, Start
from escalation.people import PersonView
from escalation.replies import Answer
from escalation.track import Contact, ContactChannel
from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import cancel, intend, managers, person_for
from monitor.core.state import Message
from monitor.core.views import Result
from monitor.core.work import Decision, Work

ASKS, RINGS = "OC-7", "OCV-180"
QUESTIONS = frozenset({ASKS, RINGS})
"""The words that ask somebody to start their duty."""
STAYS_ON, STARTED_AFTER_ALL, TELLS_MANAGER = "OC-182", "OC-183", "RM-180"
TOO_LATE, NO_LINE, LIST_CHANGED = "too_late", "no_line", "list_changed"


def on_deadline(work: Work, due_at: datetime) -> None:
    """A hand-over has come, or a step of one, or the end of a duty that was handed over."""
    values = work.state.values
    before = dict(values.hand_overs)
    for person in sorted(before):
        one = before[person]
        if one.until is not None and one.until <= work.now:
            _over(work, one, "")
        elif one.next_at is not None and one.next_at <= work.now:
            _step(work, one, due_at)
    if not values.policy.ask_duty or values.duty_seen_at is None:
        return
    start = on_call.last_start(values.duty, values.duty_seen_at, work.now, work.state.calendar)
    if start is not None:
        _begin(work, start, before)


def _begin(work: Work, start: Start, before: dict[str, HandOver]) -> None:
    """Who had it is who was summoned first: also one who stayed on because somebody else was silent."""
    had = on_call.in_order(start.before, before.values(), start.at - on_call.TICK)
    gone = [person for person in had if person not in start.incoming]
    outgoing = gone[0] if gone else None
    late = work.now - start.at > work.policy().catch_up
    for person in start.incoming:
        until = on_call.ends(work.state.values.duty, person, start.at, work.state.calendar)
        one = HandOver(person=person, began_at=start.at, step="not_asked", until=until, outgoing=outgoing)
        if late:
            _emit(work, one, "not_asked", reason=TOO_LATE, due_at=start.at)
        else:
            _ask(work, one, start.at)


def _ask(work: Work, one: HandOver, due_at: datetime) -> None:
    """By text; who takes none is rung at once."""
    view = person_for(work, one.person, None)
    line = view.text_line()
    if line is None:
        _ring(work, one, view, "rung", due_at)
        return
    key = _intend(work, view, line.ref, "sms", ASKS)
    at = on_call.step_at(work.policy(), work.now, "rung")
    _emit(work, one, "asked", message=key, next_at=at, due_at=due_at)


def _step(work: Work, one: HandOver, due_at: datetime | None) -> None:
    """Nobody has answered: the call, the second call, then the outgoing person stays on."""
    following = on_call.FOLLOWS.get(one.step, "unanswered")
    if following == "unanswered":
        _unanswered(work, one, due_at)
    else:
        _ring(work, one, person_for(work, one.person, None), following, due_at)


def _ring(
    work: Work, one: HandOver, view: PersonView, step: on_call.DutyStep, due_at: datetime | None
) -> None:
    """An empty step advances at once (design rule 6): who has no telephone to ring does not start."""
    voice = view.voice_lines()
    if not voice:
        _unanswered(work, one, due_at, NO_LINE)
        return
    key = _intend(work, view, voice[0].ref, "call", RINGS)
    policy = work.policy()
    asked = work.now - (on_call.step_at(policy, work.now, step) - work.now)
    following = on_call.step_at(policy, asked, on_call.FOLLOWS[step])
    _emit(work, one, step, message=key, next_at=following, due_at=due_at)


def _unanswered(work: Work, one: HandOver, due_at: datetime | None, reason: str = "") -> None:
    """The outgoing person stays on and hears it; so does the registered manager."""
    _emit(work, one, "unanswered", reason=reason, due_at=due_at)
    if one.outgoing is not None:
        notices.text(work, one.outgoing, STAYS_ON, about=one.person)
    for manager in managers(work):
        if manager not in (one.outgoing, one.person):
            notices.text(work, manager, TELLS_MANAGER, about=one.person)


def _start(work: Work, one: HandOver, proof: str) -> None:
    """They have the duty. Who stayed on for them is free again, and whoever heard of the silence hears the end."""
    _withdraw(work, one)
    _emit(work, one, "started", proof=proof)
    if one.step != "unanswered":
        return
    told = [one.outgoing, *managers(work)]
    for person in dict.fromkeys(person for person in told if person is not None and person != one.person):
        notices.text(work, person, STARTED_AFTER_ALL, about=one.person)


def _over(work: Work, one: HandOver, reason: str) -> None:
    _withdraw(work, one)
    _emit(work, one, "over", reason=reason)


def reset(work: Work) -> None:
    """The duty list is another one: what was handed over by the old one is over."""
    for person in sorted(work.state.values.hand_overs):
        _over(work, work.state.values.hand_overs[person], LIST_CHANGED)


# --- answers ---


def answered(work: Work, message: Message, answer: Answer, proof: str) -> None:
    """They have said that they start; silence and hanging up wait for the next step."""
    one = _asked_by(work, message)
    if answer != "start_duty" or one is None or one.answered:
        return
    reached = f.PersonReached(
        person=one.person, purpose="notice", proof=proof, answer=answer, message=message.key
    )
    work.emit(one.person, reached)
    _start(work, one, proof)


def follow(work: Work, decision: Decision) -> Decision:
    """Who takes an alert while they are asked, or after they were silent, has started. Returns the decision with it."""
    hand_overs = work.state.values.hand_overs
    if not hand_overs:
        return decision
    taken = [draft.body for draft in work.drafts if isinstance(draft.body, f.AlertTaken)]
    # with an incident they have its alerts, also those that come while they sleep
    by = {body.by: body.proof for body in taken if not body.proof.startswith("alert:")}
    awake = [one for person, one in sorted(hand_overs.items()) if person in by and not one.answered]
    for one in awake:
        _start(work, one, by[one.person])
    if not awake:
        return decision
    whole = work.decision()
    return structs.replace(decision, drafts=whole.drafts, folds=whole.folds)


def on_settled(work: Work, message: Message, result: Result) -> None:
    """A text that failed is followed by the call at once, the last call that was not answered by its end."""
    one = _asked_by(work, message)
    if one is None or one.step not in on_call.ASKING or message.proof is not None:
        return
    if one.messages[-1:] != (message.key,):
        return  # what comes late of an earlier step moves nothing
    last = one.step == "rung_again" and result not in ("delivered", "cancelled")
    if last or (result == "failed" and one.step == "asked"):
        _step(work, one, None)


def pointless(work: Work, message: Message) -> str | None:
    """Why the question need not leave any more, or None."""
    one = _asked_by(work, message)
    if one is None:
        return "duty_over"
    return "started" if one.answered else None


def _asked_by(work: Work, message: Message) -> HandOver | None:
    one = work.state.values.hand_overs.get(message.person)
    return one if one is not None and message.key in one.messages else None


def _withdraw(work: Work, one: HandOver) -> None:
    for key in one.messages:
        message = work.message(key)
        if message is not None and message.phase == "queued":
            cancel(work, message, "started")


# --- facts and messages ---


def _emit(
    work: Work,
    one: HandOver,
    step: on_call.DutyStep,
    *,
    reason: str = "",
    message: str | None = None,
    next_at: datetime | None = None,
    proof: str | None = None,
    due_at: datetime | None = None,
) -> None:
    moved = f.DutyMoved(
        step=step,
        reason=reason,
        began_at=one.began_at,
        until=one.until,
        outgoing=one.outgoing,
        next_at=next_at,
        message=message,
        proof=proof,
    )
    work.emit(one.person, moved, due_at=due_at)


def _intend(work: Work, view: PersonView, line: str, channel: ContactChannel, template: str) -> str:
    contact = Contact(
        person=view.ref,
        line=line,
        channel=channel,
        purpose="notice",
        template=template,
        priority="summon",
        ring_s=round(work.policy().ring_staff.total_seconds()),
    )
    return intend(work, contact, alert=None)
