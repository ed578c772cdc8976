"""Another care worker than the regular ones: the service user is told before the visit, and that a badge will be shown
(spec 7.10, 16.10).

Once a day, at `staff_changes_at`, about the visits of tomorrow; of what the rota changes after that, at once. Regular
is who has been with them within `regular_for`: where nobody has, nobody comes instead. `staff_changes_check` later the
one on duty hears how many have not been told: whom only a person may tell, and who did not answer.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from escalation import reassure
from escalation.people import LineView, PersonView, is_quiet, speaker_of
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core import notices
from monitor.core.alerts import intend, person_for
from monitor.core.state import STAFF_CHANGES, Message, Visit
from monitor.core.work import Work

BY_TEXT, BY_CALL = "SU-10", "SUV-10"
UNTOLD = "OC-160"
TOO_SOON = timedelta(minutes=30)
"""Who comes within this time is the late-visit procedure's to tell, if anybody's (ours)."""
DAY = timedelta(days=1)


def on_deadline(work: Work, due_at: datetime) -> None:
    """Tomorrow's changes are told, or, later, those that could not be."""
    values = work.state.values
    if values.changes_told is None or values.changes_checked is None:
        return
    if values.changes_checked < values.changes_told:
        _check(work, values.changes_told, due_at)
        return
    late = work.now - due_at > work.policy().catch_up
    day = _next_day(work) if late else values.changes_told + DAY
    told = 0 if late else sum(_tell(work, visit, worker) for visit, worker in _strangers(work, day))
    reason = "while_down" if late else ""
    work.emit(STAFF_CHANGES, f.StaffChangesTold(day=day, told=told, reason=reason), due_at=due_at)


def _next_day(work: Work) -> date:
    """Up to which day it would have been told by now."""
    calendar = work.state.calendar
    today = calendar.day(work.now)
    return today if work.now < calendar.at_local(today, work.policy().staff_changes_at) else today + DAY


def _check(work: Work, day: date, due_at: datetime) -> None:
    untold = [visit for visit, worker in _strangers(work, day) if not _has_heard(work, visit, worker)]
    work.emit(STAFF_CHANGES, f.StaffChangesChecked(day=day, untold=len(untold)), due_at=due_at)
    if untold:
        _ask_staff(work, untold)


def replanned(work: Work, ref: str) -> None:
    """The rota names somebody else for a visit of a day of which has been told already."""
    told, visit = work.state.values.changes_told, work.visit(ref)
    if told is None or visit is None or visit.over or visit.alerts or visit.anybody_there:
        return
    if work.state.calendar.day(visit.start) > told or visit.start - work.now < TOO_SOON:
        return
    for worker in _new_here(work, visit):
        if not _meant(work, visit, worker):
            _tell(work, visit, worker)


def answered(work: Work, message: Message, answer: str, proof: str) -> None:
    """They pressed a key: they have heard it. Who wants to talk to somebody is the caller's to see to."""
    if proof and message.visit is not None:
        reached = f.PersonReached(
            person=message.person, purpose="notice", proof=proof, answer=answer, message=message.key
        )
        work.emit(message.visit, reached)


def pointless(work: Work, message: Message) -> str | None:
    """Why it need not be told any more, or None: the visit is off, or the rota names somebody else again."""
    visit = work.visit(message.visit)
    if visit is None or visit.over or visit.anybody_there:
        return "arrived"
    return None if message.about in visit.workers else "replanned"


def _strangers(work: Work, day: date) -> list[tuple[Visit, str]]:
    """The visits of that day to which somebody comes who is not regular there, in their order."""
    calendar = work.state.calendar
    values = work.state.values.visits.values()
    visits = [v for v in values if not v.over and not v.anybody_there and calendar.day(v.start) == day]
    ordered = sorted(visits, key=lambda visit: (visit.start, visit.ref))
    return [(visit, worker) for visit in ordered for worker in _new_here(work, visit)]


def _new_here(work: Work, visit: Visit) -> list[str]:
    """Who is planned and has not been with them lately; nobody where nobody has."""
    known = work.state.values.regulars.get(visit.service_user, {})
    since = work.state.calendar.day(work.now) - work.policy().regular_for
    regular = {worker for worker, last in known.items() if last >= since}
    return [worker for worker in visit.workers if worker not in regular] if regular else []


def _tell(work: Work, visit: Visit, worker: str) -> bool:
    """By text where one is read, else by a call, by the plan and the public mode; whether a message is meant."""
    person = work.ctx.people.person(visit.service_user)
    contact = _contact(work, visit, person, worker) if person is not None else None
    if contact is not None:
        intend(work, contact, alert=None, visit=visit)
    return contact is not None


def _contact(work: Work, visit: Visit, person: PersonView, worker: str) -> Contact | None:
    speaker = speaker_of(work.ctx.people, person)
    if person.plan.end_of_life or (person.plan.minor and speaker is None):
        return None
    who = person_for(work, speaker or person.ref, person.ref)
    plan, calendar = who.plan, work.state.calendar
    if reassure.by_person_alone(plan) or is_quiet(plan, work.now, calendar, time_critical=False):
        return None
    line, template = _line(who, spoken_for=speaker is not None)
    if line is None or calendar.is_night(work.now, work.policy()):
        return None
    ring = plan.ring_s or round(work.policy().ring_public.total_seconds())
    return Contact(
        person=who.ref,
        line=line.ref,
        channel="sms" if template == BY_TEXT else "call",
        purpose="notice",
        template=template,
        priority="repeat",
        ring_s=ring,
        # nothing is open that a person on duty could let through or stop: *ask* is a rehearsal here
        rehearsed=reassure.mode_of(person, work.state.values.public) != "auto",
        about=worker,
        at=visit.start,
    )


def _line(who: PersonView, *, spoken_for: bool) -> tuple[LineView | None, str]:
    """Where and how; the call speaks to the service user, so that who speaks for them is texted or told by a person."""
    ways = who.plan.channels or ("voice", "text")
    text = who.text_line() if "text" in ways else None
    if text is not None:
        return text, BY_TEXT
    lines = who.voice_lines() if "voice" in ways and not spoken_for else ()
    return (lines[0] if lines else None), BY_CALL


def _messages(work: Work, visit: Visit, worker: str) -> list[Message]:
    found = [work.message(key) for key in visit.asks]
    return [m for m in found if m is not None and m.template in (BY_TEXT, BY_CALL) and m.about == worker]


def _meant(work: Work, visit: Visit, worker: str) -> bool:
    return any(message.result != "cancelled" for message in _messages(work, visit, worker))


HEARD = frozenset({"delivered", "answered", "rehearsed", "intended", "attempted"})
"""A text that came, a call that was answered, what is under way; and what is rehearsed is nobody's to make good."""


def _has_heard(work: Work, visit: Visit, worker: str) -> bool:
    return any(message.proof or message.result in HEARD for message in _messages(work, visit, worker))


def _ask_staff(work: Work, untold: list[Visit]) -> None:
    """One text to the first on duty who takes texts: these are a person's to tell."""
    first = untold[0]
    asked = notices.on_duty(work, first.service_user)
    if asked is not None:
        people = len({visit.service_user for visit in untold})
        notices.text(work, asked.ref, UNTOLD, of=first.service_user, visit=first, count=people)
