"""The rules of the late-visit procedure, held against the journal alone: one function for each, with its clause.

They share no code with the product (tests/unit/test_simulation_rules.py holds them to that, and shows that each speaks
when a journal is broken). Each yields a line for every place where the journal does not keep it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from tests.simulation.journal import (
    LATE_KINDS,
    NEVER_OVER,
    OFFERS,
    AlertRead,
    Fact,
    MessageRead,
    Person,
    Reading,
)

BOUND = timedelta(seconds=10)
"""So much able time a step may be behind its moment."""
AT_THE_PROVIDER = timedelta(seconds=2)
"""Between a try's decision and its POST: the next try is timed by the decision."""
DAY = timedelta(days=1)
TO_PUBLIC = frozenset({"reassure", "tell_replacement", "inform_next_of_kin", "inform_council"})
"""Purposes of what goes to service users, families and councils; notices and stand-downs by whom they are for."""
RINGS_HOME = frozenset({"reassure", "tell_replacement"})
AUTOMATIC_REPLIES = 5
TOLD_OUTSIDE = {"NOK-1": "NOK-5", "NOKV-1": "NOK-5", "CO-2": "CO-4"}
"""Who heard these words hears those when it is over."""
OVER = frozenset({"stand_down", "join"})
"""Purposes of what may be sent about an alert that is over, beside what is said because it is: the stand-down that a
person passes on, the manager's check."""
BY_A_PERSON = frozenset({"outcome_recorded", "cancelled_confirmed"})
"""Ends of a late visit's alert that only a named person makes."""
TAKEN_ON = frozenset({"ReplacementAccepted", "AlertTaken", "PersonReached", "WorkerAnswered"})
"""What an answer may bring about."""
SAID_SO = frozenset({"told_next_of_kin", "spoke_service_user"})
"""A named person has recorded that they spoke to them."""
Rule = Callable[[Reading], Iterator[str]]


def one_alert(r: Reading) -> Iterator[str]:
    """Spec 21.2: a visit without an arrival inside its tolerance has exactly one late-visit alert."""
    alerts: dict[str, list[AlertRead]] = defaultdict(list)
    for alert in r.alerts.values():
        if alert.kind == "late_visit" and alert.visit:
            alerts[alert.visit].append(alert)
    door = {a.visit for a in r.alerts.values() if a.kind == "no_reply"}
    for ref, visit in r.visits.items():
        found = alerts[ref]
        for before, after in pairwise(found):
            planned = (*visit.plans, *visit.away)
            again = any(before.raised.seq < fact.seq < after.raised.seq for fact in planned)
            if before.open_at(after.raised) or not again:
                yield f"{r.name(ref)} has two: {before.ref} and {after.ref}"
        plan = visit.plans[-1] if visit.plans else None
        late_at = plan.moment("late_at") if plan else None
        if visit.away and visit.away[-1].kind == "VisitAway":
            continue  # nobody is missed there: whether that is so is the auditor's `unwatched`
        if visit.away and plan is not None and visit.away[-1].seq > plan.seq:
            plan = visit.away[-1]
            late_at = plan.moment("late_at")
        if plan is None or late_at is None or found or visit.cancelled or visit.arrivals or ref in door:
            continue
        waited = r.able(max(late_at, plan.at), r.ends_at)
        if waited > BOUND and r.steady(late_at, r.ends_at):
            yield f"{r.name(ref)} was late at {late_at}, and has none"


def service_user_first(r: Reading) -> Iterator[str]:
    """Spec 22.2 before 22.3: the service user is contacted before the care worker is asked, unless a fact says why
    not."""
    for alert in _procedures(r):
        if alert.kind != "late_visit":
            continue
        asked = next(iter(alert.for_("locate")), None)
        spoken = next(iter(alert.track("reassure")), None)
        if asked is None:
            continue
        if spoken is None or spoken.seq > asked.intended.seq:
            yield f"{alert.ref}: the care worker is asked ({asked.key}), and nothing was said of the service user"
            continue
        step, reason = spoken.body["step"], spoken.body["reason"]
        contacts = [m for m in alert.for_("reassure") if m.intended.seq < asked.intended.seq]
        if step == "trying" and not contacts:
            yield f"{alert.ref}: the care worker is asked first, at {asked.intended.seq}"
        elif step != "trying" and not reason:
            yield f"{alert.ref}: the service user was left out at {spoken.seq}, and it does not say why"


def plan_obeyed(r: Reading) -> Iterator[str]:
    """Domain, "The contact plan is the safety device": no machine contacts whom the plan leaves to a person, and no
    text goes to a landline."""
    for message in _left(r):
        person = r.person(message.person)
        alert = r.alerts.get(message.intended.body.get("alert") or "")
        about = r.person(alert.service_user) if alert else None
        number = r.name(message.intended.body.get("line"))
        if person is not None and message.channel == "sms" and number in person.landlines:
            yield f"{message.key}: a text to a landline of {person.id}"
        if message.purpose not in RINGS_HOME or about is None or person is None:
            continue
        if about.end_of_life or (about.by_person_only and person is about):
            yield f"{message.key} ({message.purpose}) goes to {person.id} about {about.id}: only a person may"
        ways = {"call": "voice", "sms": "text"}.get(message.channel)
        if person.channels and ways not in person.channels:
            yield f"{message.key}: {person.id} is not to be contacted by {ways}"
        if message.purpose == "reassure" and about.speaker and person is about:
            yield f"{message.key}: {about.id} has somebody who speaks for them"


def never_told(r: Reading) -> Iterator[str]:
    """Domain, "persons never to be told": whoever must not hear of a service user does not, on any path or line."""
    for message in _left(r):
        about = _about(r, message)
        if about is None or not about.never_tell:
            continue
        person, number = r.name(message.person), r.name(message.intended.body.get("line"))
        on_line = {one.id for one in r.people.values() if number in one.numbers}
        if person in about.never_tell or not on_line.isdisjoint(about.never_tell):
            yield f"{message.key} ({message.purpose}) tells {person} of {about.id}"
    for alert in r.alerts.values():
        known = r.person(alert.service_user)
        for fact in alert.taken:
            if known and fact.kind == "AlertTaken" and r.name(fact.body["by"]) in known.never_tell:
                yield f"{alert.ref}: {r.name(fact.body['by'])} has it, who must not hear of {known.id}"


def not_excluded(r: Reading) -> Iterator[str]:
    """Spec 22.4 (domain: "not excluded for this person"): nobody is offered, or sent to, a home they do not go to."""
    for alert in r.alerts.values():
        about = r.person(alert.service_user)
        if about is None or not about.not_with:
            continue
        for message in alert.for_("offer"):
            if message.template in OFFERS and r.name(message.person) in about.not_with:
                yield f"{message.key}: {r.name(message.person)} is asked to go to {about.id}"


def off_is_off(r: Reading) -> Iterator[str]:
    """Domain, "Public messages": where they are off, for the desk or the person, none leaves."""
    for message in _left(r):
        person, about = r.person(message.person), _about(r, message)
        public = message.purpose in TO_PUBLIC or (
            message.purpose in ("notice", "stand_down")
            and (person is None or person.role in ("service_user", "contact"))
        )
        if not public:
            continue
        own = about.public if about is not None else None
        for attempt in message.attempts:
            if "off" in (r.public_at(attempt.seq), own):
                yield f"{message.key} ({message.purpose}) goes to {r.name(message.person)}, and public messages are off"


def rung_apart(r: Reading) -> Iterator[str]:
    """Spec 22.2 (ours): nobody's telephone rings twice within `reassure_retry`, unless the first ring was answered or
    never rang."""
    rings: dict[str, list[tuple[Fact, MessageRead]]] = defaultdict(list)
    for message in r.messages.values():
        if message.channel == "call" and message.purpose in RINGS_HOME:
            for attempt in message.attempts:
                rings[message.intended.body["line"]].append((attempt, message))
    for line, rung in rings.items():
        rung.sort(key=lambda one: one[0].seq)
        for (first, before), (second, after) in pairwise(rung):
            if before is after or before.answered or not _rang(before, first):
                continue
            alert = r.alerts.get(after.intended.body["alert"] or "")
            gap = r.duration(alert, "reassure_retry") if alert else timedelta()
            if second.at - first.at < gap - AT_THE_PROVIDER and r.steady(first.at, second.at):
                yield f"{r.name(line)} is rung at {first.at} ({before.key}) and at {second.at} ({after.key})"


def contact_is_proved(r: Reading) -> Iterator[str]:
    """Domain, "Contact means contact": nobody counts as reached without a key, a reply, a link or a named person."""
    by_message: dict[str, list[Fact]] = defaultdict(list)
    for message in r.messages.values():
        by_message[message.key] = message.heard
    for fact in r.facts:
        if fact.kind != "PersonReached":
            continue
        proof, key = str(fact.body.get("proof") or ""), fact.body.get("message")
        if (
            proof.split(":")[0] not in ("key", "reply", "link", "person", "line")
            or not proof.split(":", 1)[-1]
        ):
            yield f"{fact.seq}: {r.name(fact.body['person'])} counts as reached by {proof!r}"
        elif key and proof.split(":")[0] in ("key", "reply"):
            said = [f for f in by_message[key] if f.seq < fact.seq and f.body.get("proof") == proof]
            if not said:
                yield f"{fact.seq}: {key} was not answered with {proof}"
    for alert in r.alerts.values():
        for track, purpose in (("reassure", "reassure"), ("inform", "inform_next_of_kin")):
            for move in alert.track(track):
                spoke = any(f.body["purpose"] == purpose and f.seq < move.seq for f in alert.reached)
                said = any(f.body["action"] in SAID_SO and f.seq < move.seq for f in alert.actions)
                if move.body["step"] == "reached" and not spoke and not said:
                    yield f"{alert.ref}: {track} is reached at {move.seq}, and nobody was"


def no_quiet_end(r: Reading) -> Iterator[str]:
    """Spec 21.3, 22 (ours): an open alert always has a next moment, or a named holder who is asked again; a track that
    runs says when it goes on."""
    state: dict[str, dict[str, Fact]] = defaultdict(dict)
    for group in r.groups():
        touched: dict[str, None] = {}
        for fact in group:
            if fact.kind == "TrackMoved":
                state[fact.subject][fact.body["track"]] = fact
            elif fact.kind == "CouncilMoved":
                state[fact.subject]["council"] = fact
            if fact.subject in r.alerts or fact.kind == "AlertRaised":
                touched[fact.body["alert"] if fact.kind == "AlertRaised" else fact.subject] = None
        for ref in touched:
            alert = r.alerts[ref]
            if alert.open_at(group[-1]):
                yield from _has_next(r, alert, state[ref], group[-1])
    for alert in r.alerts.values():
        if alert.ended is None:
            yield from _not_overdue(r, alert, state[alert.ref])


def _has_next(r: Reading, alert: AlertRead, state: dict[str, Fact], at: Fact) -> Iterator[str]:
    summon = state.get("summon")
    if summon is None:
        yield f"{alert.ref} ({alert.kind}): nobody is summoned at {at.seq}"
    elif not summon.body.get("next_at") and not _summoned_by_another(r, alert, summon, at):
        yield f"{alert.ref} ({alert.kind}): summon is {_stands(summon)} at {at.seq}, without a next moment"
    for name, move in state.items():
        if move.body["step"] in NEVER_OVER and not move.body.get("next_at"):
            yield f"{alert.ref}: {name} is {_stands(move)} at {move.seq}, without a next moment"


def _summoned_by_another(r: Reading, alert: AlertRead, summon: Fact, at: Fact) -> bool:
    """It rests in an incident, or a digest, or while the *no reply* of its visit has it, which is open itself."""
    if summon.body["reason"] == "at_door":
        doors = (a for a in r.alerts.values() if a.kind == "no_reply" and a.visit == alert.visit)
        return any(door.open_at(at) for door in doors)
    if summon.body["reason"] == "in_digest":
        return any(a.kind == "incident" and a.old and a.open_at(at) for a in r.alerts.values())
    gathered = [fact for fact in alert.gathered if fact.seq <= at.seq]
    other = r.alerts.get(gathered[-1].body["incident"]) if gathered else None
    return summon.body["reason"] == "in_incident" and other is not None and other.open_at(at)


def _stands(move: Fact) -> str:
    return f"{move.body['step']} ({move.body['reason']})"


def _not_overdue(r: Reading, alert: AlertRead, state: dict[str, Fact]) -> Iterator[str]:
    for name, move in state.items():
        next_at = move.moment("next_at")
        if next_at is None or not r.steady(move.at, r.ends_at):
            continue
        if r.able(max(next_at, move.at), r.ends_at) > BOUND:
            yield f"{alert.ref} ({alert.kind}): {name} should have gone on at {next_at}: {_stands(move)}"


def skipped_says_so(r: Reading) -> Iterator[str]:
    """Spec 22.7, domain ("a step skipped by plan"): what does not happen has a fact that says why."""
    for alert in r.alerts.values():
        for move in alert.moves:
            if move.body["step"] in ("skipped", "done", "not_reached") and not move.body["reason"]:
                yield f"{alert.ref}: {move.body['track']} is {move.body['step']} at {move.seq}, and it does not say why"
    for message in r.messages.values():
        for fact in message.settled:
            if fact.body["result"] in ("cancelled", "rehearsed", "failed") and not fact.body.get("reason"):
                yield f"{message.key} ({message.template}) is {fact.body['result']} ({fact.seq}), and does not say why"
    for alert in _procedures(r):
        wanted = ("summon", "reassure", "locate") if alert.kind == "late_visit" else ("summon", "locate")
        for name in wanted:
            first = next(iter(alert.track(name)), None)
            soon = first is not None and (first.at, first.cause) == (alert.raised.at, alert.raised.cause)
            if not soon and alert.open_at(alert.raised):
                yield f"{alert.ref}: {name} has neither begun nor been skipped when it was raised"


def first_has_it(r: Reading) -> Iterator[str]:
    """Spec 22.4: the first acceptance in the journal's order has it; who comes second hears that it is covered, and
    nobody accepts what is over."""
    for alert in _procedures(r):
        visit = r.visits.get(alert.visit or "")
        for fact in alert.reached:
            if (fact.body["purpose"], fact.body["answer"]) != ("offer", "go"):
                continue
            worker = fact.body["person"]
            has = [
                f
                for f in alert.sent
                if f.body["worker"] == worker and f.cause == fact.cause and f.at == fact.at
            ]
            had = _going(alert, fact.seq)
            told = [
                m
                for m in alert.messages
                if m.intended.seq > fact.seq
                and ((m.template in ("CW-8B", "CW-8") and m.person == worker) or m.template == "OC-72")
            ]
            by_call = str(fact.body.get("proof", "")).startswith("key:")
            if not has and worker not in had and not told and not by_call:
                yield f"{alert.ref}: {r.name(worker)} said at {fact.seq} that they go, and was told nothing"
        for fact in alert.sent:
            if fact.body["proof"] == "again":
                continue  # said once more, or taken over with an alert that has ended
            if not alert.open_at(fact):
                yield f"{alert.ref}: {r.name(fact.body['worker'])} is sent at {fact.seq}, and it is over"
            going = _going(alert, fact.seq) - {fact.body["worker"]}
            there = visit.there(fact.seq) if visit is not None else set()
            places = visit.places(fact.seq) if visit is not None else 1
            if len(going - there) + len(there) >= places and fact.body["worker"] not in _going(
                alert, fact.seq
            ):
                yield f"{alert.ref}: {r.name(fact.body['worker'])} is sent ({fact.seq}), and all places are filled"


def the_others_are_told(r: Reading) -> Iterator[str]:
    """Spec 22.4 (ours): whoever was asked by text, and has neither accepted nor declined, hears that it is covered as
    soon as all places have somebody."""
    for alert in _procedures(r):
        filled = next((f for f in alert.track("replace") if f.body["reason"] in ("sent", "sent_late")), None)
        if filled is None:
            continue
        gone = _going(alert, filled.seq) | {f.body["worker"] for f in alert.declined if f.seq < filled.seq}
        for message in alert.for_("offer"):
            asked = message.template == "CW-7" and any(a.seq < filled.seq for a in message.accepted)
            if not asked or message.person in gone:
                continue
            told = (
                m
                for m in alert.messages
                if m.template == "CW-8B" and m.person == message.person and m.result != "cancelled"
            )
            if not any(told) and not _staff_told(alert, "OC-72", filled.seq):
                yield f"{alert.ref}: {r.name(message.person)} was asked ({message.key}), and not told it is covered"


def the_name_is_told(r: Reading) -> Iterator[str]:
    """Spec 22.5: the service user is told who comes instead, or a person of ours is asked to tell them."""
    for alert in _procedures(r):
        if alert.kind != "late_visit":
            continue
        for fact in alert.sent:
            if fact.body["proof"] == "again":
                continue
            told = [
                m
                for m in alert.messages
                if m.intended.body.get("about") == fact.body["worker"]
                and m.intended.seq > fact.seq
                and (m.purpose == "tell_replacement" or m.template in ("OC-100", "OC-65"))
            ]
            machine = [m for m in told if m.purpose == "tell_replacement" and m.result != "rehearsed"]
            person = [m for m in told if m.template == "OC-100"]
            if not machine and not person and _somebody_of_ours(r, alert):
                yield f"{alert.ref}: {r.name(fact.body['worker'])} goes ({fact.seq}), and nobody tells the name"


def the_hour(r: Reading) -> Iterator[str]:
    """Spec 22.4: at half and at three quarters of the hour staff hear that nobody is sent; at its end registered
    manager and council do. Not before."""
    for alert in _procedures(r):
        hour_at = alert.raised.moment("hour_at")
        if hour_at is None or not r.steady(alert.raised.at, min(hour_at + 6 * BOUND, r.ends_at)):
            continue
        whole = hour_at - alert.raised.at
        for share, words in ((0.5, ("OC-6", "RM-1")), (0.75, ("OC-6", "RM-1")), (1.0, ("RM-1",))):
            moment = alert.raised.at + whole * share
            last = _hour_rests(r, alert, moment)
            if r.able(moment, last) <= BOUND or not _nobody_sent(alert, moment):
                continue
            told = [m for m in alert.messages if m.template in words and m.intended.at >= moment - BOUND]
            if not told and _somebody_of_ours(r, alert):
                yield f"{alert.ref}: nobody hears at {moment} that nobody is sent ({share:.0%} of the hour)"
            elif (
                told
                and r.able(moment, told[0].intended.at) > BOUND
                and r.steady(moment, told[0].intended.at)
                and _nobody_sent(alert, told[0].intended.at)
            ):
                yield f"{alert.ref}: {share:.0%} of the hour was at {moment}, and is said at {told[0].intended.at}"
            if share == 1.0 and alert.kind == "late_visit" and not alert.council:
                yield f"{alert.ref}: the hour passed at {moment}, and nothing is said of the council"
        early = [
            m for m in alert.messages if m.template == "OC-6" and m.intended.at < alert.raised.at + whole / 2
        ]
        early += [m for m in alert.messages if m.template == "RM-1" and m.intended.at < hour_at]
        for message in early:
            yield f"{alert.ref}: {message.template} at {message.intended.at}, before its moment"


def they_are_informed(r: Reading) -> Iterator[str]:
    """Spec 22.6: when the service user cannot be reached, council and next of kin are told, or a fact says why not."""
    for alert in _procedures(r):
        if alert.kind != "late_visit":
            continue
        for move in alert.track("reassure"):
            if move.body["step"] != "not_reached":
                continue
            after = [f for f in alert.track("inform") if f.seq > move.seq or f.body["step"] != "waiting"]
            if not after:
                yield f"{alert.ref}: not reached at {move.seq}, and nothing is said of next of kin"
            told = [f for f in alert.council if f.seq > 0]
            waits = [f for f in after if f.body["step"] == "waiting"]
            if not told and not waits and not _reached_before(alert, after):
                yield f"{alert.ref}: not reached at {move.seq}, and nothing is said of the council"
        yield from _kin_in_order(r, alert)
        yield from _council_by_kind(r, alert)


def _reached_before(alert: AlertRead, after: list[Fact]) -> bool:
    return bool(after) and after[-1].body["step"] in ("reached", "done")


def _kin_in_order(r: Reading, alert: AlertRead) -> Iterator[str]:
    about = r.person(alert.service_user)
    rung: list[str] = []
    for message in alert.for_("inform_next_of_kin"):
        name = r.name(message.person)
        if about is not None and name not in about.kin:
            yield f"{message.key}: {name} is no next of kin of {about.id}"
        if name not in rung and message.attempts:
            rung.append(name)
    if about is not None:
        order = [kin for kin in about.kin if kin in rung]
        if rung != order:
            yield f"{alert.ref}: next of kin are told as {rung}, and stand as {order}"


def _council_by_kind(r: Reading, alert: AlertRead) -> Iterator[str]:
    about = r.person(alert.service_user)
    if about is not None and about.private:
        for message in alert.for_("inform_council"):
            yield f"{message.key}: {about.id} has no council, and it is written to one"


def over_is_told(r: Reading) -> Iterator[str]:
    """Domain, "Ending": those who were told are told that it is over: staff, who was sent, next of kin, the council."""
    for alert in r.alerts.values():
        if alert.ended is None:
            continue
        end = alert.ended
        after = [m for m in alert.messages if m.intended.seq > end.seq]
        told = {m.person for m in after if m.purpose == "stand_down"}
        summoned = {m.person for m in alert.for_("summon") if any(a.seq < end.seq for a in m.attempts)}
        for person in sorted(summoned - told):
            if person != end.body.get("by") and _has_text(r, person, alert):
                yield f"{alert.ref}: {r.name(person)} was summoned, and does not hear that it is over"
        if alert.kind != "late_visit":
            continue
        yield from _outside_told(r, alert, end, told)
        visit = r.visits.get(alert.visit or "")
        there = visit.there(end.seq) if visit is not None else set()
        places = visit.places(end.seq) if visit is not None else 1
        wanted = 0 < len(there) < places
        for worker in sorted(_going(alert, end.seq) - {w for w in there if w}):
            staff = any(m.template == "OC-72" for m in after) or _to_ring_the_office(r, worker, end)
            if worker not in told and not staff and not wanted:
                yield f"{alert.ref}: {r.name(worker)} was sent, and does not hear that it is over"


def _to_ring_the_office(r: Reading, worker: str, end: Fact) -> bool:
    """They are asked to ring the office instead, for who is to be visited has died."""
    notices = (m for m in r.messages.values() if (m.person, m.template) == (worker, "CW-172"))
    return any(m.intended.seq > end.seq for m in notices)


def _outside_told(r: Reading, alert: AlertRead, end: Fact, told: set[str]) -> Iterator[str]:
    for message in alert.messages:
        heard = message.template in TOLD_OUTSIDE and any(a.seq < end.seq for a in message.attempts)
        if (
            heard
            and message.person not in told
            and (message.channel == "email" or _has_text(r, message.person, alert))
        ):
            wrong = any(
                m.person == message.person
                and m.settled
                and m.settled[-1].body.get("reason") == "wrong_number"
                for m in r.messages.values()  # it is remembered of the person, whatever they were told of
            )
            if not wrong:
                yield f"{alert.ref}: {r.name(message.person)} heard {message.template}, and not that it is over"


def nothing_after_the_end(r: Reading) -> Iterator[str]:
    """Domain, "Ending": when an alert is over nothing is sent of what was to be said before, but that it is over. Whom
    a member of staff has rung by us (`join`) is their own call."""
    for alert in r.alerts.values():
        for message in alert.messages:
            for attempt in message.attempts:
                if (
                    not alert.open_at(attempt)
                    and alert.open_at(message.intended)
                    and message.purpose not in OVER
                ):
                    yield f"{message.key} ({message.template}) leaves at {attempt.seq}, and {alert.ref} is over"


def few_automatic_replies(r: Reading) -> Iterator[str]:
    """Devices: at most five automatic replies to one number in a day, but for answers to our own questions."""
    replies: dict[str, list[Fact]] = defaultdict(list)
    asked: dict[str, list[int]] = defaultdict(list)
    for fact in r.facts:
        if fact.kind == "ReplyKept" and fact.body.get("answered"):
            replies[fact.body["line"]].append(fact)
        elif fact.kind == "MessageIntended" and fact.body.get("slot") is not None:
            asked[fact.body["line"]].append(fact.seq)
    for line, said in replies.items():
        for first, last in zip(said, said[AUTOMATIC_REPLIES:], strict=False):
            question = any(first.seq < seq < last.seq for seq in asked[line])
            if not question and last.at - first.at < DAY and r.steady(first.at, last.at):
                yield f"{r.name(line)} has six automatic replies from {first.seq} to {last.seq}"


def repeats_are_marked(r: Reading) -> Iterator[str]:
    """Issue 4: what may have been sent before says so when it is sent again."""
    for message in r.messages.values():
        for before, again in pairwise(message.attempts):
            refused = [f for f in message.deferred if before.seq < f.seq < again.seq]
            certain = bool(refused) and not any(f.body.get("possibly_repeated") for f in refused)
            if not certain and not again.body.get("possibly_repeated"):
                yield f"{message.key} may have left at {before.seq}, and {again.seq} does not say so"
        if not message.attempts and message.accepted:
            yield f"{message.key} is at the provider, and never left"


def the_record_answers(r: Reading) -> Iterator[str]:
    """Spec 21.2, 22.7: time of alert, when the service user and the care worker were contacted, by which channel, with
    what proof, every action and who took it: all of it stands in one place."""
    for alert in _procedures(r):
        for name in ("reassure", "locate") if alert.kind == "late_visit" else ("locate",):
            contacted = [m for m in alert.for_(name) if m.attempts]
            why = [f for f in alert.track(name) if f.body["reason"]]
            if not contacted and not why:
                yield f"{alert.ref}: it does not say when {name} was tried, nor why not"
        end = alert.ended.body if alert.ended is not None else {"reason": "open", "by": ""}
        if not end.get("reason"):
            yield f"{alert.ref}: it does not say how it ended"
        if end.get("reason") in BY_A_PERSON and not end.get("by"):
            yield f"{alert.ref}: ended as {end['reason']}, and nobody said so"
    for fact in r.facts:
        if fact.kind == "ActionRecorded" and not (fact.body.get("by") and fact.body.get("done_at")):
            yield f"{fact.seq}: {fact.body.get('action')} was done, by nobody or at no time"
    for message in r.messages.values():
        waited = r.able(message.intended.at, r.ends_at)
        expires = message.intended.moment("expires_at")
        over = expires is not None and r.able(expires, r.ends_at) > timedelta(minutes=15)
        if (
            over
            and not message.settled
            and waited > timedelta(minutes=15)
            and r.steady(message.intended.at, r.ends_at)
        ):
            yield f"{message.key} ({message.template}): nobody says what became of it"


def stale_means_nothing(r: Reading) -> Iterator[str]:
    """Contract, "Answers by SMS": an answer to a question that is closed takes, accepts and confirms nothing."""
    for group in r.groups():
        for stale in (f for f in group if f.kind == "AnswerHeard" and f.body.get("stale")):
            for fact in group:
                who = fact.body.get("by") or fact.body.get("worker") or fact.body.get("person")
                if fact.seq > stale.seq and fact.kind in TAKEN_ON and who == stale.body.get("person"):
                    yield f"{fact.kind} at {fact.seq} follows from a stale answer at {stale.seq}"


def one_of_two_rings_nobody(r: Reading) -> Iterator[str]:
    """Domain, "Double-handed with one present": no machine rings the service user, and who is there is told not to
    hoist alone."""
    for alert in r.alerts.values():
        if alert.kind != "second_worker_missing":
            continue
        for message in alert.for_("reassure", "tell_replacement"):
            if message.attempts:
                yield f"{alert.ref}: {message.key} ({message.purpose}) leaves, and a care worker is there"
        present = r.visits[alert.visit].inside(alert.raised.seq) if alert.visit in r.visits else []
        warned = [m for m in alert.messages if m.template == "CW-13"]
        if present and not warned and not alert.old and _has_text(r, present[-1], alert):
            yield f"{alert.ref}: who is there alone is not told not to hoist"


def nothing_to_the_dead(r: Reading) -> Iterator[str]:
    """Domain, "Absence and return": who has died is sent nothing from then on, and is missed by nobody, unless a
    manager takes it back."""
    for died in (fact for fact in r.facts if fact.kind == "PersonDied"):
        back = (f.seq for f in r.facts if f.kind == "DeathWithdrawn" and f.subject == died.subject)
        until = next((seq for seq in back if seq > died.seq), r.facts[-1].seq + 1)
        name = r.name(died.subject)
        for message in (m for m in r.messages.values() if m.person == died.subject):
            if any(died.seq < attempt.seq < until for attempt in message.attempts):
                yield f"{message.key} ({message.template}) goes to {name}, who has died"
        for alert in (a for a in r.alerts.values() if a.kind == "late_visit"):
            if alert.service_user == died.subject and died.seq < alert.raised.seq < until:
                yield f"{alert.ref}: {name} has died, and is missed"


# --- what several rules look at ---


def _procedures(r: Reading) -> Iterator[AlertRead]:
    """The alerts for which the procedure runs; what became due long ago while we were down goes to staff alone."""
    return (a for a in r.alerts.values() if a.kind in LATE_KINDS and a.raised.body.get("hour_at"))


def _left(r: Reading) -> Iterator[MessageRead]:
    """Messages that were handed to the network; a person's own call is theirs to make."""
    return (m for m in r.messages.values() if m.attempts and m.purpose not in ("join", "practice"))


def _about(r: Reading, message: MessageRead) -> Person | None:
    """The service user of whom a message speaks."""
    alert = r.alerts.get(message.intended.body.get("alert") or "")
    if alert is not None:
        return r.person(alert.service_user)
    visit = r.visits.get(message.intended.body.get("visit") or "")
    plan = visit.plan(message.intended.seq) if visit is not None else None
    planned = next((f for f in visit.plans if "service_user" in f.body), None) if visit else None
    return r.person(planned.body["service_user"]) if plan and planned else None


def _rang(message: MessageRead, attempt: Fact) -> bool:
    """It may have rung: the provider had this attempt, and nobody has said that it could not. One that nobody knows
    of is none: a second ring is better than silence (design)."""
    again = min((one.seq for one in message.attempts if one.seq > attempt.seq), default=None)
    had = [one for one in message.accepted if one.seq > attempt.seq and (again is None or one.seq < again)]
    return message.result not in ("failed", "cancelled") and bool(had)


def _going(alert: AlertRead, before: int) -> set[str]:
    """Who was on the way right before that fact."""
    going: set[str] = set()
    for fact in sorted((*alert.sent, *alert.declined), key=lambda f: f.seq):
        if fact.seq >= before:
            break
        if fact.kind == "ReplacementAccepted":
            going.add(fact.body["worker"])
        elif fact.body.get("after_all"):
            going.discard(fact.body["worker"])
    return going


def _hour_rests(r: Reading, alert: AlertRead, moment: datetime) -> datetime:
    """When the hour counts no more after that moment: the alert is over, or somebody stands at the door."""
    doors = [f.at for f in alert.track("replace") if f.at >= moment and f.body["reason"] == "at_door"]
    return min([*doors, alert.ended.at if alert.ended else r.ends_at])


def _nobody_sent(alert: AlertRead, moment: datetime) -> bool:
    """Whether, at that moment, nobody was on the way who is to be there within the hour, or stood at the door."""
    moves = [f for f in alert.track("replace") if f.at < moment]
    stands = (moves[-1].body["step"], moves[-1].body["reason"]) if moves else None
    return stands not in (("reached", "sent"), ("done", "at_door"))


def _staff_told(alert: AlertRead, template: str, after: int) -> bool:
    return any(m.template == template and m.intended.seq > after for m in alert.messages)


def _somebody_of_ours(r: Reading, alert: AlertRead) -> bool:
    """Somebody on duty may hear of it at all."""
    about = r.person(alert.service_user)
    never = about.never_tell if about is not None else frozenset()
    return all(one.id not in never for one in r.people.values() if one.role == "staff")


def _has_text(r: Reading, ref: str | None, alert: AlertRead) -> bool:
    """A text can reach them about it."""
    person, about = r.person(ref), r.person(alert.service_user)
    if person is None:
        return False
    if about is not None and person.id in about.never_tell:
        return False
    lines = [number for number in person.numbers if number not in person.landlines]
    stopped = {r.name(f.body["line"]) for f in r.facts if f.kind == "ReplyKept" and f.body["word"] == "stop"}
    return any(number not in stopped for number in lines)


RULES: tuple[Rule, ...] = (
    one_alert,
    service_user_first,
    plan_obeyed,
    never_told,
    not_excluded,
    off_is_off,
    rung_apart,
    contact_is_proved,
    no_quiet_end,
    skipped_says_so,
    first_has_it,
    the_others_are_told,
    the_name_is_told,
    the_hour,
    they_are_informed,
    over_is_told,
    nothing_after_the_end,
    few_automatic_replies,
    repeats_are_marked,
    the_record_answers,
    stale_means_nothing,
    one_of_two_rings_nobody,
    nothing_to_the_dead,
)


def broken(reading: Reading) -> Iterator[tuple[str, str]]:
    """Every place where a rule does not hold, with the rule's name."""
    for rule in RULES:
        for text in rule(reading):
            yield rule.__name__, f"{reading.desk}: {text}"
