"""A busy day in the hand: rows of operations that a hypothesis or a seed chooses, and what must hold after each."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from msgspec import structs

from config.placing import PLACEMENT_KINDS
from config.policy import Contract, CouncilDesk
from escalation.people import LineView, PersonView
from escalation.replies import QUESTIONS
from monitor.core.inputs import (
    AWAY_REASONS,
    DECLINE_REASONS,
    RAISED_BY,
    REFERRAL_OUTCOMES,
    SPOKE_TO,
    AbsenceActed,
    AbsenceTold,
    AnswerphoneBegins,
    AnswerphoneHeard,
    CallerWaits,
    CheckInKind,
    DayRolled,
    DeadlineFailed,
    DeathTold,
    LineAnswered,
    LineBack,
    LineTurn,
    PeopleReceived,
    PolicyLoaded,
    PracticeWanted,
    ReferralActed,
    ReferralSeen,
    RotaRow,
    SendReported,
    SignalChanged,
    TextsRead,
    WeatherSaid,
)
from monitor.core.placing.inputs import CallOffTold, FirstVisitTold
from monitor.core.state import Values
from monitor.core.weather_list import left
from tests.core.driver import AWAY, DUTY, MONDAY, NEXT_DOOR, NOWHERE, THERE, Desk

Op = tuple[str, int, int, int]
"""What to do, and three numbers that choose among its possibilities."""

PEOPLE = ("ed", "fay")
WORKERS = (("dee",), ("kit",), ("dee", "kit"), ())
DEVICES = ("d-dee", "d-kit", None)
KINDS = ("arrive", "leave", "fix", "no_reply", "refused", "offline")
FEW = 3
"""Callers of a day: each of them rings everybody, and a day is about visits."""
PLACES = (None, THERE, NEXT_DOOR, AWAY)
ENDS = ("delivered", "no_answer", "failed", "completed", "busy", "in_progress")
ACTIONS = (
    "take",
    "pause",
    "close",
    "spoke_service_user",
    "hand_over",
    "note",
    "spoke_care_worker",
    "assign_replacement",
    "told_next_of_kin",
    "told_council",
    "agree_change",
)
REASONS = ("outcome_recorded", "cancelled_confirmed", "merged", "anything else")
WEATHER: tuple[Any, ...] = (
    "declare",
    "declare",
    "declare",
    "change",
    "end",
    "report",
    "cover",
    "cover",
    "uncover",
)
STAFF = ("olga", "paul", "mary")
OPS = (
    "plan",
    "upload",
    "check",
    "wait",
    "send",
    "end",
    "press",
    "text",
    "answer",
    "act",
    "signal",
    "policy",
    "fail",
    "roll",
    "rows",
    "people",
    "refuse",
    "round",
    "check",
    "line",
    "practise",
    "caller",
    "forget",
    "away",
    "died",
    "kin",
    "weather",
    "referral",
    "council",
    "first_visit",
    "words",
)


def pick(options: Any, n: int) -> Any:
    """One of the options."""
    return options[n % len(options)]


def do(desk: Desk, op: Op) -> None:
    """Do it. What makes no sense at this moment does nothing."""
    name, a, b, c = op
    globals()[f"_{name}"](desk, a, b, c)


def _plan(desk: Desk, a: int, b: int, c: int) -> None:
    desk.plan(
        f"v{a % 5}",
        start=desk.now + timedelta(minutes=15 * (b % 20) - 60),
        service_user=pick(PEOPLE, a),
        workers=pick(WORKERS, c),
        time_critical=b % 3 == 0,
        places=1 + c % 2,
        conditional="home_confirmed" if b % 11 == 10 else None,
    )


def _upload(desk: Desk, a: int, b: int, c: int) -> None:
    day = {"covers_from": desk.now, "covers_to": desk.now + timedelta(hours=1 + a % 9)}
    desk.upload(complete=True, confirm=bool(b % 2), portion=1 + c % 3, **day)


def _check(desk: Desk, a: int, b: int, c: int) -> None:
    """Somebody's phone speaks: at a home or elsewhere, now or late, by name or not."""
    named: dict[str, Any] = {}
    if a // 6 % 3 == 0:
        named["visit"] = f"v{a // 18 % 5}"
    elif a // 6 % 3 == 1:
        named["service_user"] = pick(PEOPLE, a // 18)
    desk.check(
        pick(KINDS, a),
        device=pick(DEVICES, b),
        at=desk.now - timedelta(minutes=pick((0, 0, 0, 1, 5, 35, -3), c)),
        position=pick(PLACES, b // 3),
        mock=b % 31 == 0,
        **({"fingerprint": a} if c % 13 == 0 else {}),
        **named,
    )


def _round(desk: Desk, a: int, b: int, c: int) -> None:
    """A care worker drives past a home, or comes to it and leaves it, as a phone in a pocket tells it."""
    here = pick((THERE, NEXT_DOOR), b)
    course: tuple[tuple[CheckInKind, Any], ...] = (
        ("fix", here),
        ("fix", AWAY if c % 2 else here),
        ("leave", here),
        ("arrive", here),
    )
    for kind, position in course:
        desk.check(kind, device=pick(("d-dee", "d-kit"), a), position=position)
        desk.advance(minutes=2 + c % 5)


def _wait(desk: Desk, a: int, b: int, c: int) -> None:
    desk.advance(minutes=pick((0, 1, 2, 5, 14, 31, 45, 240), a))


def _send(desk: Desk, a: int, b: int, c: int) -> None:
    desk.send_all()


def _end(desk: Desk, a: int, b: int, c: int) -> None:
    waiting = [m for m in desk.messages() if m.phase == "accepted"]
    if waiting:
        machine = {"answered_by": "machine"} if c % 4 == 0 else {}
        desk.deliver(pick(waiting, a), pick(ENDS, b), **machine)


def _press(desk: Desk, a: int, b: int, c: int) -> None:
    calls = [m for m in desk.messages() if m.channel == "call" and m.attempts]
    if calls:
        desk.press(pick(calls, a), pick(("1", "2", "3", ""), b), pick(("1", "2", "3", ""), c))


def _line(desk: Desk, a: int, b: int, c: int) -> None:
    """Somebody stays on the line and asks for a person; who is rung for them comes, or nobody, or they hang up."""
    begun = desk.now - timedelta(minutes=40)
    desk.plan("line", start=begun, service_user=pick(PEOPLE, a))
    desk.advance(minutes=3)
    desk.send_all()
    waits = [m for m in desk.messages("reassure") if m.channel == "call" and m.phase == "accepted"]
    if not waits:
        return
    desk.press(waits[-1], "2" if b % 2 else "", "2" if b % 3 else "")
    desk.send_all()
    joins = [m for m in desk.messages("summon") if m.template == "OCV-2" and m.attempts]
    if joins and c % 3:
        desk.press(joins[-1], "1")
    for asks in (LineTurn, LineAnswered, LineBack)[: 1 + c % 3]:
        desk.advance(seconds=pick((0, 20, 70), a))
        desk.tell(asks(key=waits[-1].key))
    desk.deliver(waits[-1], "completed")


def _text(desk: Desk, a: int, b: int, c: int) -> None:
    person = pick((*STAFF, *PEOPLE, "ned", "dee"), a)
    if b % 4:
        desk.text(person, pick(("1", "2", "11", "12", "21", "13"), c))
    else:
        desk.text(person, word=pick(("help", "stop", "dont_come", "other"), c))


def _words(desk: Desk, a: int, b: int, c: int) -> None:
    """Somebody writes of their own accord, also a stranger, or a person of the office has read what waits."""
    known = sorted(desk.state.values.unread)
    if b % 3 == 0 and known:
        line = pick(known, a)
        last = desk.state.values.unread[line].last - (c % 4 == 0)
        desk.tell(TextsRead(line=line, by=pick(STAFF, c), outcome=pick(("seen", "answered"), a), last=last))
    elif b % 7 == 1:
        desk.text("", word="other", line=f"l-x{a % 3}", persons=())
    else:
        code = f"{1 + c % 3}{1 + a % 3}" if b % 2 else None
        desk.text(
            pick(("dee", "ned", "paul", "fay"), a), code, word="other", against=c % 2 == 0, door=c % 5 == 0
        )


def _answer(desk: Desk, a: int, b: int, c: int) -> None:
    """Somebody answers a question that was put to them, by its code."""
    asked = [m for m in desk.messages() if m.slot is not None and m.attempts and m.line is not None]
    if asked:
        message = pick(asked, a)
        digit = pick(sorted(QUESTIONS[message.template]), b)
        number = pick((None, 5, 20, 90), c) if digit == 2 else None
        desk.text(message.person, f"{message.slot}{digit}", line=message.line, number=number)


def _act(desk: Desk, a: int, b: int, c: int) -> None:
    alerts = desk.alerts()
    if alerts:
        action = pick(ACTIONS, b)
        whom = ("dee", "kit") if action in ("assign_replacement", "spoke_care_worker") else STAFF
        more = {"to": pick(whom, c)} if c % 2 else {}
        reason = (
            pick(("there", "on_my_way", "cannot"), a) if action == "spoke_care_worker" else pick(REASONS, a)
        )
        raised_by = pick((None, *RAISED_BY), b)
        start = desk.now + timedelta(hours=a % 3) if action == "agree_change" else None
        desk.act(
            action,
            pick(STAFF, a),
            alert=pick(alerts, c),
            reason=reason,
            raised_by=raised_by,
            start=start,
            **more,
        )


def _signal(desk: Desk, a: int, b: int, c: int) -> None:
    cause = pick(("device", "broker", "feed", "clock"), a)
    subject = pick(("d-dee", "d-kit"), b) if cause == "device" else "mqtt" if cause == "feed" else ""
    desk.tell(SignalChanged(cause=cause, subject=subject, dark=bool(c % 2)))


def _policy(desk: Desk, a: int, b: int, c: int) -> None:
    policy = type(desk.state.values.policy)(
        late_after=timedelta(minutes=5 + a % 60), closes_after=timedelta(hours=1 + b % 40)
    )
    public = pick(("off", "ask", "auto"), c)
    holidays = (desk.now.date(),) if a % 5 == 0 else ()
    terms = structs.replace(policy, late_after=policy.late_after / 2)
    fay = desk.people.people.get("fay")
    if isinstance(fay, PersonView):
        desk.people.people["fay"] = structs.replace(fay, contract=pick((None, "lbb"), b))
    desk.tell(
        PolicyLoaded(
            policy=policy,
            duty=DUTY,
            council_desks=() if c % 4 == 0 else (CouncilDesk(ref="c1", hours="otherwise"),),
            holidays=holidays,
            public=public,
            contracts=(Contract(id="lbb", policy=terms),) if a % 3 else (),
        )
    )


def _fail(desk: Desk, a: int, b: int, c: int) -> None:
    desk.tell(DeadlineFailed(subject=f"v{a % 5}", due_at=desk.now, error="ZeroDivisionError"))


def _rows(desk: Desk, a: int, b: int, c: int) -> None:
    """A row that cannot be watched, and sooner or later the one that mends it."""
    begin = desk.now + timedelta(hours=1) if b % 2 else None
    end = begin + timedelta(minutes=30) if begin else None
    ref = f"v{a % 5}"
    desk.upload(RotaRow(row=1, key=ref, visit=ref, service_user=pick(PEOPLE, a), start=begin, end=end))


def _people(desk: Desk, a: int, b: int, c: int) -> None:
    desk.tell(PeopleReceived(new=("p1",) * (a % 3), changed=("p2",) * (b % 2), people_rev=c))


def _practise(desk: Desk, a: int, b: int, c: int) -> None:
    desk.tell(PracticeWanted(person=pick(PEOPLE, a), by=pick(STAFF, b)))


def _caller(desk: Desk, a: int, b: int, c: int) -> None:
    """Somebody rings us and reaches nobody; what they leave is told twice, once, or not at all."""
    if len([alert for alert in desk.alerts() if alert.reason == "caller_rang"]) >= FEW:
        return
    who = pick((*PEOPLE, None), a)
    line = pick((None, "l-nora"), b) if who is None else f"l-{who}"
    join = desk.tell(CallerWaits(why="rang", service_user=who, line=line)).answer
    offer = desk.tell(AnswerphoneBegins(alert=join.alert, call=NOWHERE)).answer
    words = AnswerphoneHeard(alert=offer.alert, recording=NOWHERE, fingerprint=a + 1, seconds=9)
    nothing = AnswerphoneHeard(alert=offer.alert, last=b % 2 == 0)
    for seen in pick(((words, words), (nothing,), (nothing, words), ()), c):
        desk.tell(seen)


def _forget(desk: Desk, a: int, b: int, c: int) -> None:
    """A care worker goes without a check-out, is asked, and says something or nothing."""
    desk.plan("forgotten", service_user=pick(PEOPLE, a))
    desk.check(device="d-dee", visit="forgotten")
    desk.advance(minutes=76)
    desk.send_all()
    for message in [m for m in desk.messages("ask_worker") if m.template == "CW-6" and m.attempts][-1:]:
        if c % 4:
            desk.text(message.person, f"{message.slot}{pick((4, 5, 6), b)}", line=message.line)


AWAY_ACTS = ("confirm", "end", "asked", "change_return", "change_review", "at_home", "confirm")


def _away(desk: Desk, a: int, b: int, c: int) -> None:
    """Somebody is away; or the absence is confirmed, answered for, moved or ended."""
    person, by = pick(PEOPLE, a), pick(STAFF, b)
    known = [one for one in desk.state.values.absences.values() if one.ended_at is None]
    if not known:
        if c % 3 == 0:
            desk.tell(
                AbsenceTold(
                    service_user=person,
                    reason=pick(AWAY_REASONS, c),
                    from_at=desk.now - timedelta(minutes=a % 90),
                    review_at=desk.now + timedelta(hours=1 + b % 40),
                    raised_by=pick(RAISED_BY, a),
                    by=by,
                    note=NOWHERE,
                    spoke_to=pick((None, *SPOKE_TO), c // 3),
                    at=desk.now,
                    return_at=pick((None, desk.now + timedelta(hours=1 + a % 9)), b),
                    home_from=pick((None, *SPOKE_TO), a) if b % 2 and c % 2 else None,
                    weekly="daily 10:00-15:00" if c % 2 == 0 else None,
                )
            )
        return
    desk.tell(
        AbsenceActed(
            absence=pick(known, a).ref,
            action=pick(AWAY_ACTS, c),
            by=by,
            at=desk.now - timedelta(minutes=a % 60),
            spoke_to=pick(SPOKE_TO, b),
            review_at=desk.now + timedelta(hours=1 + a % 40),
            return_at=pick((None, desk.now + timedelta(hours=1 + b % 9)), a),
            home_from=pick((None, "place"), b) if a % 2 else None,
            day=desk.now.date(),
            outcome=pick(("returned", "withdrawn"), c // 5),
        )
    )


def _died(desk: Desk, a: int, b: int, c: int) -> None:
    """Seldom: somebody has died, or that was a mistake."""
    undo = bool(desk.state.values.died)
    if undo or c % 5 == 0:
        person = next(iter(desk.state.values.died), pick(PEOPLE, a))
        told = DeathTold(service_user=person, by=pick(STAFF, b), at=desk.now, note=NOWHERE, undo=undo)
        desk.tell(told)


def _kin(desk: Desk, a: int, b: int, c: int) -> None:
    """ed has a next of kin, whose number is wrong; or the office changes it."""
    people = desk.people.people
    if not isinstance(people.get("ned"), PersonView):
        return  # the real directory is changed by uploads alone
    if "ned" in desk.state.values.wrong_numbers:
        people["ned"] = structs.replace(people["ned"], lines=(LineView(ref=f"l-ned-{b}"),))
        desk.tell(PeopleReceived(changed=("ned",), people_rev=c))
        return
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    calls = [m for m in desk.messages("inform_next_of_kin") if m.channel == "call" and m.phase != "settled"]
    if calls:
        desk.send(pick(calls, b))
        desk.press(pick(calls, b), pick(("9", "9", "1"), c))


def _weather(desk: Desk, a: int, b: int, c: int) -> None:
    """Bad weather is declared, moved, ended, reported; families say that they are there, or that they are not."""
    for n, ref in enumerate(PEOPLE):
        known = desk.people.people.get(ref)
        if isinstance(known, PersonView):
            plan = structs.replace(known.plan, weather_rank=pick(("red", "amber", "green"), b + n))
            desk.people.people[ref] = structs.replace(known, plan=plan, next_of_kin=("ned",))
    for weather in [one for one in desk.state.values.weathers.values() if one.ended_at is None]:
        for cover in weather.covers[: a % 2]:
            desk.tell(WeatherSaid(action="uncover", by="paul", at=desk.now, service_user=cover.person))
        for one in left(weather, desk.now.date())[:1]:
            for action in ("rung", "unrung")[: 1 + a % 2]:
                desk.tell(WeatherSaid(action=action, by="paul", at=desk.now, service_user=one.person))
    desk.tell(
        WeatherSaid(
            action=pick(WEATHER, a),
            by=pick(("mary", "mary", "paul"), c),
            at=desk.now,
            until=desk.now + timedelta(hours=pick((1, 3, 20), b)),
            service_user=pick(PEOPLE, c),
            next_of_kin="ned",
        )
    )


def _council(desk: Desk, a: int, b: int, c: int) -> None:
    """A council is rung again and again, and nobody is there; a manager writes to it, or the mail does not go."""
    late = [one for one in desk.alerts("late_visit") if one.state != "ended"]
    told = [one for one in late if one.council is not None and one.council.step == "trying"]
    for alert in (told or late)[:1]:
        desk.act("do_now", "mary", alert=alert, track="inform")
        for _ in range(4 if b % 3 == 0 else 1):
            desk.act("take", "paul", alert=alert)
            _rings_council(desk, pick(("no_answer", "busy"), a))
            desk.advance(minutes=10)
    for ref in list(desk.state.unwritten)[: c % 2]:
        owing = desk.state.values.alerts[ref]
        desk.act("send_notice", "mary", alert=owing)
        for mail in [m for m in desk.messages() if m.template == "CO-5" and m.phase == "queued"]:
            desk.tell_turn(mail)
            desk.tell(SendReported(key=mail.key, result="failed", reason="refused", permanent=True))


def _rings_council(desk: Desk, result: Any) -> None:
    """Who is rung first presses 1; the council's own telephone rings in vain."""
    for ours in [m for m in desk.messages() if m.template == "OCV-150" and m.phase == "queued"][-1:]:
        desk.send(ours)
        desk.press(desk.message(ours.key), "1")
        for theirs in [m for m in desk.messages() if m.template == "COV-2" and m.phase == "queued"]:
            desk.send(theirs)
            desk.deliver(theirs, result)
        desk.deliver(ours, "completed")


def _referral(desk: Desk, a: int, b: int, c: int) -> None:
    """A council's referral comes, or comes again; somebody deals with one, answers one, or nobody does."""
    known = sorted(desk.state.values.referrals)
    if not known or c % 3 == 0:
        desk.tell(
            ReferralSeen(
                ref=f"rf{a % 7}",
                package=pick(PLACEMENT_KINDS, a),
                source=pick(("api", "page", "email"), b),
                arrived_at=desk.now - timedelta(minutes=pick((0, 0, 20, 200), c)),
                answer_by=pick((None, desk.now + timedelta(minutes=b % 50)), b),
                evidence=NOWHERE,
                by=pick((None, *STAFF), c),
                fingerprint=a % 7,
            )
        )
        return
    asked = [m for m in desk.messages() if m.template in QUESTIONS and m.template.startswith("RF")]
    if c % 3 == 1 and asked:
        message = pick(asked, a)
        desk.send(message)
        desk.text(message.person, f"{message.slot}{1 + b % 2}")
        return
    desk.tell(
        ReferralActed(
            referral=pick(known, a),
            by=pick(STAFF, b),
            at=desk.now - timedelta(minutes=b % 20),
            outcome=pick((None, None, *REFERRAL_OUTCOMES), c // 3),
            reason=pick((None, *DECLINE_REASONS), b),
            starts_at=pick((None, desk.now + timedelta(hours=20)), a),
        )
    )


def _first_visit(desk: Desk, a: int, b: int, c: int) -> None:
    """A council's desk has a first visit planned here, or calls it off."""
    number = a % 4
    begin = MONDAY + timedelta(hours=4 * number + 2)
    ref, who = f"v9{number}", f"p9{number}"
    about: dict[str, Any] = {"visit": ref, "start": begin, "end": begin + timedelta(minutes=30)}
    if ref not in desk.state.values.visits:
        desk.tell(FirstVisitTold(placement=f"k{number}", service_user=who, **about))
    elif c % 2:
        desk.tell(CallOffTold(placement=f"k{number}", **about))
    elif b % 2:
        desk.upload(RotaRow(row=1, key=ref, service_user=who, workers=pick(WORKERS, c // 2), **about))


def _refuse(desk: Desk, a: int, b: int, c: int) -> None:
    """The outbox's turn, and the provider does not take it, or nobody knows."""
    waiting = [m for m in desk.messages() if m.phase == "queued"]
    if waiting and desk.tell_turn(pick(waiting, a)) == "send":
        result = pick(("failed", "unknown"), b)
        more: dict[str, Any] = {"permanent": c % 3 == 0, "possibly_repeated": c % 3 == 1}
        desk.tell(SendReported(key=pick(waiting, a).key, result=result, reason="timeout", **more))


def _roll(desk: Desk, a: int, b: int, c: int) -> None:
    desk.tell(DayRolled(day=desk.now.date() + timedelta(days=a % 2)))


def busy_day(seed: int, steps: int = 150, **desk_: Any) -> Desk:
    """A day that a seed chose, with its first visit at MONDAY."""
    rng = random.Random(seed)
    desk = Desk(MONDAY, **desk_)
    for _ in range(steps):
        do(desk, (rng.choice(OPS), rng.randrange(1000), rng.randrange(1000), rng.randrange(1000)))
    return desk


def tidy_up(desk: Desk) -> None:
    """Somebody closes every alert, a manager checks those that need it a day too late, writes to no council, and two
    days go by."""
    for alert in desk.alerts():
        if alert.state != "ended":
            desk.act("close", "mary", alert=alert, reason="outcome_recorded")
    desk.advance(hours=34)
    for ref in list(desk.state.unchecked):
        alert = desk.state.values.alerts[ref]
        desk.act("check", "mary", alert=alert, adequate=True, safeguarding="raised", serious_incident=False)
    for ref in list(desk.state.unwritten):
        desk.act("no_notice", "mary", alert=desk.state.values.alerts[ref], note=NOWHERE)
    desk.advance(hours=48)


def unwatched(desk: Desk) -> list[str]:
    """Visits that nobody would miss: late, nobody there, no alert, no recorded reason why not."""
    return [
        visit.ref
        for visit in desk.state.values.visits.values()
        if visit.late_at <= desk.now
        and not visit.anybody_there
        and not visit.over
        and not visit.at_door
        and not visit.waits_home
        and "late_visit" not in visit.alerted
    ]


def quiet_ends(desk: Desk) -> list[str]:
    """Open alerts whose summoning nobody would take up again."""
    found = []
    for alert in desk.state.values.alerts.values():
        track = alert.track("summon")
        visit = desk.state.values.visits.get(alert.visit or "")
        waits = track is not None and (
            track.next_at is not None
            or track.reason in ("in_digest", "in_incident")
            or (track.reason == "at_door" and visit is not None and visit.at_door)
        )
        if alert.state != "ended" and not waits:
            found.append(alert.ref)
    return found


def copy_of(values: Values) -> dict[str, Any]:
    """The values as one comparable thing."""
    return {name: getattr(values, name) for name in values.__struct_fields__}
