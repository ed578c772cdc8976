"""The practice call: how we sound, tried once with a member of staff in the room (wording.md SUV-4).

It is staff who start it, so it goes out in every public mode. Only a key that was pressed makes somebody *practised*:
call-blocking telephones refuse recorded messages, and some old ones cannot send tones (devices.md).
"""

from __future__ import annotations

from escalation.replies import Answer
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core.alerts import intend, person_for
from monitor.core.inputs import PracticeWanted
from monitor.core.state import Message
from monitor.core.views import Result
from monitor.core.work import Decision, Refusal, Work

TEMPLATE = "SUV-4"


def wanted(work: Work, seen: PracticeWanted) -> Decision:
    """A named member of staff starts it: their first telephone line rings, long enough for somebody with a frame.

    Refused: `died`, `no_line` (none that may be rung), `practice_running` (one is out already).
    """
    if work.has_died(seen.person):
        return Decision(refusal=Refusal(code="died"))
    person = person_for(work, seen.person, seen.person)
    lines = person.voice_lines()
    if not lines:
        return Decision(refusal=Refusal(code="no_line"))
    before = work.state.values.practice.get(seen.person)
    if before is not None and before.result == "intended":
        return Decision(refusal=Refusal(code="practice_running"))
    ring = person.plan.ring_s or round(work.policy().ring_public.total_seconds())
    call = Contact(
        person=seen.person,
        line=lines[0].ref,
        channel="call",
        purpose="practice",
        template=TEMPLATE,
        priority="repeat",
        ring_s=ring,
    )
    key = intend(work, call, alert=None)
    work.emit(seen.person, f.PracticeCalled(by=seen.by, message=key, result="intended"))
    return work.decision(answer=key)


def answered(work: Work, message: Message, answer: Answer, proof: str) -> None:
    """The call was answered, with a key or without one."""
    if answer == "practised" and proof:
        reached = f.PersonReached(
            person=message.person, purpose="practice", proof=proof, answer=answer, message=message.key
        )
        work.emit(message.person, reached)
        _over(work, message, "practised")
    else:
        _over(work, message, "no_key")


def ended(work: Work, message: Message, result: Result) -> None:
    """The call came to its end; what was keyed in it stands already."""
    _over(work, message, "no_key" if result == "answered" else result)


def _over(work: Work, message: Message, result: f.PracticeResult) -> None:
    known = work.state.values.practice.get(message.person)
    if known is not None and known.message == message.key and known.result == "intended":
        work.emit(message.person, f.PracticeCalled(by=known.by, message=message.key, result=result))
