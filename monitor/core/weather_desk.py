"""Bad weather from declared to over: who is told, what is reported, and the duty that it opens (domain.md section 2).

A manager declares it with an end. Service users who are not red hear once a day that times may change; each council
desk gets one report an hour; staff are reminded before the end, and told of it. At the end everything follows the full
procedure again. The report of spec 12.4 is owed twelve hours after the declaration, and alarms until a named person
has recorded it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from escalation import reassure
from escalation.people import LineView, PersonView, is_quiet, speaker_of, understood
from escalation.replies import Answer
from escalation.track import Contact, ContactChannel
from monitor.core import facts as f
from monitor.core import notices, weather_list
from monitor.core.alerts import (
    cancel,
    duty_chain,
    end_alert,
    has_practised,
    intend,
    managers,
    person_for,
    raise_alert,
)
from monitor.core.council import HOUR_PASSED, council_begins
from monitor.core.inputs import WeatherSaid
from monitor.core.state import Message, Weather
from monitor.core.views import Result
from monitor.core.weather import (
    LONGEST,
    REPORT_OWED,
    Situation,
    cover_of,
    eases,
    every,
    is_eased,
    remind_at,
    report_by,
    report_remind_at,
    situations,
    to_come,
)
from monitor.core.work import Decision, Refusal, Work

AT_ONCE = 50
"""So many are told in one turn; the next ones follow at once."""
LOOKS = 4
"""So often in the time between two reports it is looked for who is to be told now (ours)."""


def said(work: Work, seen: WeatherSaid) -> Decision:
    """A named person said something about the weather. Refused: `not_manager`, `already_declared`, `no_weather`,
    `until`, `not_green`, `next_of_kin`, `already_reported`, and those of `monitor.core.weather_list`."""
    refusal = _SAID[seen.action](work, seen)
    return Decision(refusal=refusal) if refusal is not None else work.decision()


def _declare(work: Work, seen: WeatherSaid) -> Refusal | None:
    known = work.weather()
    if known is not None:
        return Refusal(code="already_declared", detail={"by": known.by, "at": known.declared_at})
    refused = _may_set(work, seen)
    if refused is not None or seen.until is None:
        return refused
    ref, policy = work.ctx.mint("w"), work.policy()
    declared = f.WeatherDeclared(
        by=seen.by,
        until=seen.until,
        remind_at=remind_at(policy, work.now, seen.until),
        report_by=report_by(policy, work.now),
        report_remind_at=report_remind_at(policy, work.now),
    )
    work.emit(ref, declared)
    weather = work.weather_of(ref)
    assert weather is not None
    _tell_everybody(work, "OC-125", about=seen.by, at=seen.until, but=seen.by)
    return None


def _may_set(work: Work, seen: WeatherSaid) -> Refusal | None:
    if seen.by not in managers(work):
        return Refusal(code="not_manager")
    if seen.until is None or not work.now < seen.until <= work.now + LONGEST:
        return Refusal(code="until")
    return None


def _change(work: Work, seen: WeatherSaid) -> Refusal | None:
    known = work.weather()
    if known is None:
        return Refusal(code="no_weather")
    refused = _may_set(work, seen)
    if refused is not None or seen.until is None:
        return refused
    at = remind_at(work.policy(), work.now, seen.until)
    work.emit(known.ref, f.WeatherChanged(by=seen.by, until=seen.until, remind_at=at))
    _tell_everybody(work, "OC-125", about=seen.by, at=seen.until, but=seen.by)
    return None


def _end(work: Work, seen: WeatherSaid) -> Refusal | None:
    known = work.weather()
    if known is None:
        return Refusal(code="no_weather")
    if seen.by not in managers(work):
        return Refusal(code="not_manager")
    _over(work, known, seen.by)
    return None


def _report(work: Work, seen: WeatherSaid) -> Refusal | None:
    """Of the weather that is declared, else of the last one of which the report is owed."""
    owed = [one for one in work.state.values.weathers.values() if one.reported_at is None]
    if not owed:
        last = max(work.state.values.weathers.values(), key=lambda one: one.declared_at, default=None)
        if last is None:
            return Refusal(code="no_weather")
        return Refusal(code="already_reported", detail={"by": last.reported_by, "at": last.reported_at})
    weather = min(owed, key=lambda one: one.report_by)
    work.emit(weather.ref, f.WeatherReported(by=seen.by, done_at=seen.at, note=seen.note))
    if not any(one.overdue_told for one in owed if one.ref != weather.ref):
        for alert in work.open_of("incident"):
            if alert.reason == REPORT_OWED:
                end_alert(work, alert, "outcome_recorded", by=seen.by, outcome="reported")
    return None


def _cover(work: Work, seen: WeatherSaid) -> Refusal | None:
    """A next of kin has confirmed that the family sees to them; for this weather, and only of somebody green."""
    weather = work.weather()
    person = work.ctx.people.person(seen.service_user or "")
    if weather is None:
        return Refusal(code="no_weather")
    if person is None or person.plan.weather_rank != "green":
        return Refusal(code="not_green")
    if seen.by in person.plan.never_tell:
        return Refusal(code="never_told")
    if seen.next_of_kin is None or seen.next_of_kin not in person.next_of_kin:
        return Refusal(code="next_of_kin")
    confirmed = f.FamilyCoverConfirmed(
        person=person.ref,
        next_of_kin=seen.next_of_kin,
        by=seen.by,
        confirmed_at=seen.at,
        note=seen.note,
    )
    work.emit(weather.ref, confirmed)
    for message in _waiting(work, person.ref):
        cancel(work, message, "covered_by_family")
    _look_at(work, person.ref)
    return None


def _uncover(work: Work, seen: WeatherSaid) -> Refusal | None:
    weather = work.weather()
    if weather is None:
        return Refusal(code="no_weather")
    if seen.service_user is None or weather.cover_of(seen.service_user) is None:
        return Refusal(code="not_covered")
    work.emit(weather.ref, f.FamilyCoverWithdrawn(person=seen.service_user, by=seen.by))
    _look_at(work, seen.service_user)
    return None


_SAID: dict[str, Callable[[Work, WeatherSaid], Refusal | None]] = {
    "declare": _declare,
    "change": _change,
    "end": _end,
    "report": _report,
    "cover": _cover,
    "uncover": _uncover,
    "rung": weather_list.rung,
    "unrung": weather_list.unrung,
}


def _look_at(work: Work, service_user: str | None = None) -> None:
    """What was left out of open alerts may be so no longer, or may be now: the procedure's rules are asked again."""
    for alert in work.all_open_alerts():
        if alert.hour_at is not None and service_user in (None, alert.service_user):
            work.touched[alert.ref] = None


# --- its deadlines ---


def on_deadline(work: Work, weather: Weather) -> None:
    """Everything of it that has become due by now. What the end changes comes last."""
    if weather.reported_at is None:
        _report_is_owed(work, weather)
    if weather.ended_at is not None:
        return
    if weather.until <= work.now:
        _over(work, weather, None)
        return
    if weather.remind_at is not None and weather.remind_at <= work.now:
        work.emit(weather.ref, f.WeatherReminded(what="end"))
        _tell_everybody(work, "OC-126", at=weather.until)
    if weather.situation_at is not None and weather.situation_at <= work.now:
        _report_situation(work, weather, work.now + every(work.policy()))
    if weather.tell_at is not None and weather.tell_at <= work.now:
        _tell_public(work, weather)


def _report_is_owed(work: Work, weather: Weather) -> None:
    if weather.report_by <= work.now and not weather.overdue_told:
        work.emit(weather.ref, f.WeatherReminded(what="report_overdue"), due_at=weather.report_by)
        if all(alert.reason != REPORT_OWED for alert in work.open_of("incident")):
            raise_alert(work, "incident", reason=REPORT_OWED, due_at=weather.report_by)
    elif weather.report_remind_at is not None and weather.report_remind_at <= work.now:
        work.emit(weather.ref, f.WeatherReminded(what="report"))
        for manager in managers(work):
            notices.text(work, manager, "OC-123", at=weather.report_by)


def _over(work: Work, weather: Weather, by: str | None) -> None:
    """The last report while it still says what was left out; then the full procedure for everybody. What no desk has
    been told in it is told when one answers, one by one."""
    unheard = situations(work.state, work.ctx.people, weather, work.now).get(None, Situation())
    _report_situation(work, weather, None)
    for alert in (*unheard.late, *unheard.covered):
        if "council_breach" in alert.left_out:
            council_begins(work, alert, HOUR_PASSED)
    for message in _waiting(work):
        cancel(work, message, "weather_over")
    work.emit(weather.ref, f.WeatherEnded(by=by), due_at=weather.until if by is None else None)
    _tell_everybody(work, "OC-127", about=by, but=by)
    _look_at(work)


def _waiting(work: Work, person: str | None = None) -> list[Message]:
    """News of the weather that have not left yet."""
    found = [work.message(key) for key in work.state.values.messages]
    return [
        message
        for message in found
        if message is not None
        and (message.purpose, message.phase) == ("weather", "queued")
        and person in (None, message.person)
    ]


# --- staff ---


def _tell_everybody(
    work: Work,
    template: str,
    *,
    about: str | None = None,
    at: datetime | None = None,
    but: str | None = None,
    count: int = 0,
) -> None:
    """Who is on duty, and the managers: what the machine leaves out is theirs to know."""
    for person in duty_chain(work, None):
        if person.ref != but:
            notices.text(work, person.ref, template, about=about, at=at, count=count)


# --- the council: one report an hour ---


def _report_situation(work: Work, weather: Weather, next_at: datetime | None) -> None:
    """One mail to each council desk that answers now; staff hear in one text what was not texted of each visit."""
    found = situations(work.state, work.ctx.people, weather, work.now)
    for desk in sorted(found, key=lambda desk: desk or ""):
        _report_to(work, weather, desk, found[desk], last=next_at is None)
    work.emit(weather.ref, f.SituationDue(next_at=next_at))
    late = [alert for alert in work.all_open_alerts() if eases(work, alert)]
    if late and next_at is not None:
        _tell_everybody(work, "OC-122", count=len(late))


def _report_to(work: Work, weather: Weather, desk: str | None, seen: Situation, *, last: bool) -> None:
    key = None
    if desk is not None:
        mail = Contact(
            person=desk,
            line="",
            channel="email",
            purpose="inform_council",
            template="CO-121" if last else "CO-120",
            priority="time_critical",
            rehearsed=work.state.values.public == "off",
            at=weather.until,
        )
        key = intend(work, mail, alert=None)
    reported = f.SituationReported(
        desk=desk,
        message=key,
        late=len(seen.late),
        covered=len(seen.covered),
        red=len(seen.red),
        hour_passed=len(seen.passed),
    )
    work.emit(weather.ref, reported)


# --- service users: that times may change, once a day ---


def _tell_public(work: Work, weather: Weather) -> None:
    """Those who are to be told now, at most so many in one turn."""
    due = _to_tell(work, weather)
    told = tuple(_tell_one(work, person) for person in due[:AT_ONCE])
    rest = timedelta(0) if len(due) > AT_ONCE else every(work.policy()) / LOOKS
    next_at = work.now + max(rest, timedelta(milliseconds=1))
    work.emit(weather.ref, f.WeatherTold(told=told, next_at=next_at))


def _to_tell(work: Work, weather: Weather) -> list[PersonView]:
    """Who is visited today while the weather lasts, is not red, is not covered, and has not been told today."""
    today = work.state.calendar.day(work.now)
    told = {one.person for one in weather.told if one.day == today}
    found: dict[str, PersonView] = {}
    for visit in work.state.values.visits.values():
        ref, people = visit.service_user, work.ctx.people
        if ref in told or ref in found or not to_come(work.state, visit, weather, work.now):
            continue
        person = people.person(ref)
        if person is None or not is_eased(people, ref, time_critical=visit.time_critical):
            continue
        if cover_of(work, ref) is None and not _waits(work, weather, person):
            found[ref] = person
    return [found[ref] for ref in sorted(found)]


def _waits(work: Work, weather: Weather, person: PersonView) -> bool:
    """In the mode *ask* a person can stop it first; in quiet hours nobody is texted that the weather is bad."""
    mode = reassure.mode_of(person, work.state.values.public)
    unpractised = mode == "auto" and work.policy().practice_first and not has_practised(work, person.ref)
    if (mode == "ask" or unpractised) and work.now < weather.declared_at + work.policy().ask_public:
        return True
    who = _addressed(work, person) or person
    plan = who.plan if who.plan.quiet is not None else person.plan
    return is_quiet(plan, work.now, work.state.calendar, time_critical=False)


def _addressed(work: Work, person: PersonView) -> PersonView | None:
    """They themselves, or who speaks for them, with the lines on which that may be heard; None: nobody speaks."""
    speaks = speaker_of(work.ctx.people, person)
    if speaks is not None:
        return person_for(work, speaks, person.ref)
    return None if person.plan.minor else person_for(work, person.ref, person.ref)


def _tell_one(work: Work, person: PersonView) -> f.Newly:
    """By text where the plan and the line allow it, else by a call; else they stand on the list of who is rung by a
    person."""
    day, who = work.state.calendar.day(work.now), _addressed(work, person)
    reason = _by_person(person, who)
    way = _way(who) if who is not None and reason is None else None
    if who is None or way is None:
        return f.Newly(person=person.ref, day=day, how="by_person", reason=reason or "no_line")
    channel, line = way
    if any(other.line == line.ref for other in _today(work)):
        return f.Newly(person=person.ref, day=day, how="same_line")
    rehearsed = reassure.mode_of(person, work.state.values.public) == "off"
    contact = Contact(
        person=who.ref,
        line=line.ref,
        channel=channel,
        purpose="weather",
        template=WORDS[channel, who.ref == person.ref],
        priority="repeat",
        ring_s=who.plan.ring_s or round(work.policy().ring_public.total_seconds()),
        rehearsed=rehearsed,
        about=person.ref,
    )
    intend(work, contact, alert=None)
    return f.Newly(person=person.ref, day=day, how="text" if channel == "sms" else "call")


WORDS: dict[tuple[ContactChannel, bool], str] = {
    ("sms", True): "SU-13",
    ("call", True): "SUV-120",
    ("sms", False): "SP-120",
}
"""By channel, and whether it is they themselves; who speaks for somebody and takes no text is rung by a person."""


def _by_person(person: PersonView, who: PersonView | None) -> str | None:
    """Why a person is to ring them, or None. The reason says nothing of anybody's health."""
    if who is None:
        return "nobody_speaks"
    plan = who.plan
    if person.plan.end_of_life or plan.channels[:1] == ("person",) or not understood(plan):
        return "person_only"
    return None


def _way(who: PersonView) -> tuple[ContactChannel, LineView] | None:
    """A text first: nothing is asked. A call only to them themselves, and only where a key means what it says."""
    channels = who.plan.channels
    text = who.text_line() if not channels or "text" in channels else None
    if text is not None:
        return "sms", text
    voice = who.voice_lines() if not channels or "voice" in channels else ()
    keys = who.plan.keypad and who.plan.understands_keys
    return ("call", voice[0]) if voice and keys and who.role == "service_user" else None


def _today(work: Work) -> list[Message]:
    day = work.state.calendar.day(work.now)
    found = [work.message(key) for key in (*work.state.values.messages, *work.new_messages())]
    return [
        message
        for message in found
        if message is not None
        and message.purpose == "weather"
        and message.result != "cancelled"
        and work.state.calendar.day(message.intended_at) == day
    ]


def pointless(work: Work, message: Message) -> str | None:
    """Why news of the weather need not leave any more, or None."""
    weather, about = work.weather(), message.about or message.person
    person = work.ctx.people.person(about)
    if weather is None or person is None:
        return "weather_over"
    if reassure.mode_of(person, work.state.values.public) == "off":
        return "public_off"
    if cover_of(work, about) is not None:
        return "covered_by_family"
    return "quiet_hours" if _waits(work, weather, person) else _by_person(person, _addressed(work, person))


def on_settled(work: Work, message: Message, result: Result) -> None:
    """News that did not come through: a person rings them, as the list says. A report that cannot be mailed is for a
    manager to make."""
    if message.template in REPORTS and result == "failed":
        for manager in managers(work):
            notices.text(work, manager, "OC-128", about=message.person)
    weather = work.weather()
    if message.purpose != "weather" or weather is None or message.proof is not None:
        return
    if result in ("failed", "voicemail", "no_answer", "busy") or (
        result == "answered" and message.channel == "call"
    ):
        day = work.state.calendar.day(message.intended_at)
        about = message.about or message.person
        unreached = f.Newly(person=about, day=day, how="by_person", reason="not_reached")
        work.emit(weather.ref, f.WeatherTold(told=(unreached,)))


REPORTS = frozenset({"CO-120", "CO-121"})
"""The mails to a council desk that are about the weather and no one alert."""


def answered(work: Work, message: Message, answer: Answer, proof: str) -> None:
    """They have heard it, by a key."""
    if answer in ("heard", "talk") and proof:
        reached = f.PersonReached(
            person=message.person, purpose="weather", proof=proof, answer=answer, message=message.key
        )
        work.emit(message.person, reached)
