"""Open lines: nobody who is on the telephone with us is dropped (domain.md, "Never hang up on an open line").

Two kinds of line are kept. Somebody asked for a person, or said nothing and stayed on: the whole chain is rung, and
the first who presses the key is joined to them. Or a member of staff who has taken an alert asks to be joined to one
party: that one is rung. The line that is kept comes back every few seconds and asks (`turn`) what has become of it.

What is kept is in the alert, so a restart in the middle forgets nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from msgspec import Struct

from monitor.core import alerts
from monitor.core import facts as f
from monitor.core.council import RING_DESK_S, council_desk
from monitor.core.inputs import LineAnswered, LineBack, LineTurn
from monitor.core.state import Alert, Held, Message
from monitor.core.views import LineCame
from monitor.core.work import Decision, Work

Party = Literal["service_user", "worker", "council", "caller"]
PARTIES: dict[str, Party] = {
    "ring_service_user": "service_user",
    "ring_worker": "worker",
    "ring_council": "council",
    "ring_caller": "caller",
}
"""What a member of staff who has taken an alert may ask for (wording.md OCV-1, step 4)."""
JOIN_WORDS: dict[Party, str] = {
    "service_user": "JOIN-1",
    "worker": "JOIN-1",
    "council": "COV-2",
    "caller": "JOIN-1",
}
DIALLED_WITHIN = timedelta(seconds=60)
"""So long a party's call may wait for its turn and for an engaged line, beside its ring (ours)."""


class Stand(Struct, frozen=True, kw_only=True):
    """Where a line stands. `came` "waiting": it is still kept, since `waited_s`; "joined": it goes to its `room`."""

    came: LineCame
    room: str = ""
    waited_s: float = 0.0


# --- somebody asks for a person, or stays on the line ---


def keep(work: Work, alert: Alert, message: Message, *, fresh: bool) -> None:
    """Their line is open and stays so; whoever is on duty is rung, all together. An alert that somebody has, or that
    has been ringing before (`fresh` False), begins to ring anew: they are waiting now."""
    if any(held.call == message.key and held.waits for held in alert.lines):
        return
    waits = f.LineWaits(
        call=message.key,
        person=message.person,
        room=message.key,
        until=work.now + work.policy(alert).join_within,
    )
    work.emit(alert.ref, waits)
    if not fresh:
        alerts.ring_for_line(work, alert)


def join(work: Work, alert: Alert, message: Message, proof: str) -> str:
    """Who was rung presses the key to be joined: the first one has it. Returns the step of their call that follows."""
    if alert.state == "ended":
        return "over"
    if alert.state == "taken" and alert.taken_by != message.person:
        return "gone"
    if not alerts.may_hear(work, alert, message.person):
        return "passed"
    work.emit(
        alert.ref,
        f.PersonReached(
            person=message.person, purpose="summon", proof=proof, answer="take", message=message.key
        ),
    )
    alerts.take(work, alert, message.person, proof)
    waiting = next((held for held in alert.lines if held.waits and held.other is None), None)
    if waiting is None:
        # they put the telephone down a moment ago
        return connect(work, alert, message, "service_user", gone=True)
    joined = f.LinesJoined(call=waiting.call, room=waiting.room, person=message.person, message=message.key)
    work.emit(alert.ref, joined)
    return "joined"


def waiting_on(alert: Alert | None) -> Held | None:
    """The line that waits for anybody of the chain, if one does."""
    found = alert.lines if alert is not None else ()
    return next((held for held in found if held.waits and held.other is None), None)


# --- a member of staff asks for one party ---


def connect(work: Work, alert: Alert, message: Message, party: Party, *, gone: bool = False) -> str:
    """Ring the party for who has taken it, and keep their line meanwhile. A person's own call: the public modes do
    not forbid it. Returns the step that follows."""
    current = work.alert(alert.ref)
    if current is None or current.taken_by != message.person:
        return "over" if current is None or current.state == "ended" else "gone"
    found = _party(work, alert, party)
    if found is None:
        return "no_number"
    person, line, ring_s = found
    key = work.ctx.mint("m")
    until = work.now + timedelta(seconds=ring_s) + DIALLED_WITHIN
    work.emit(
        key,
        f.MessageIntended(
            alert=alert.ref,
            person=person,
            line=line,
            purpose="join",
            channel="call",
            template=JOIN_WORDS[party],
            priority="help",
            expires_at=until,
            ring_s=ring_s,
            visit=alert.visit,
            about=message.person,
        ),
        policy=alert.policy,
    )
    work.emit(
        alert.ref,
        f.LineWaits(call=message.key, person=message.person, room=key, until=until, other=person),
    )
    return "calling_back" if gone else "calling"


def _party(work: Work, alert: Alert, party: Party) -> tuple[str, str | None, int] | None:
    """Who is rung, on which line, for how many seconds. The number of a council desk is not a person's line."""
    policy = work.policy(alert)
    if party == "council":
        desk = council_desk(work, alert)
        return (desk, None, RING_DESK_S) if desk is not None else None
    if party == "caller" and alert.line is not None:
        return _caller(work, alert.line), alert.line, round(policy.ring_public.total_seconds())
    # help may have been asked by a care worker: {first} is whoever the alert is about
    ref = (alert.service_user or alert.worker) if party == "service_user" else _worker(work, alert)
    person = work.ctx.people.person(ref) if ref is not None else None
    person = alerts.without_wrong(work, person) if person is not None else None
    gone = person is None or alerts.at_rest(work, alert, person.ref)
    voice = person.voice_lines() if person is not None and not gone else ()
    if person is None or not voice:
        return None
    public = party == "service_user"
    ring = policy.ring_public if public else policy.ring_staff
    return person.ref, voice[0].ref, (person.plan.ring_s if public else None) or round(ring.total_seconds())


def _caller(work: Work, line: str) -> str:
    """Whoever has rung us from there; a line of nobody, or of several, stands for itself."""
    here = sorted(work.ctx.people.on_line(line))
    return here[0] if len(here) == 1 else line


def _worker(work: Work, alert: Alert) -> str | None:
    if alert.worker is not None:
        return alert.worker
    visit = work.visit(alert.visit)
    absent = [p.planned for p in visit.places if p.arrived_at is None and p.planned] if visit else []
    return absent[0] if absent else next(iter(visit.workers), None) if visit else None


# --- what the lines ask ---


def turn(work: Work, seen: LineTurn) -> Decision:
    """A line that is kept asks what has become of it. Answers a `Stand`."""
    found = _newest(work, seen.key, "call")
    if found is None:
        return work.decision(answer=Stand(came="nobody"))
    alert, held = found
    if held.ended_at is not None:
        return work.decision(answer=Stand(came=held.came, room=held.room))
    if held.joined_at is not None:
        return work.decision(answer=Stand(came="joined", room=held.room))
    if work.now >= held.until:
        came: LineCame = "nobody" if held.other is None else "not_answered"
        _left(work, alert, held, came)
        return work.decision(answer=Stand(came=came))
    waited = (work.now - held.since).total_seconds()
    return work.decision(answer=Stand(came="waiting", room=held.room, waited_s=waited))


def answered(work: Work, seen: LineAnswered) -> Decision:
    """The party picked up: it goes into the room, and the line that waits for it follows. Answers a `Stand`."""
    message = work.message(seen.key)
    found = _newest(work, seen.key, "room")
    if message is None or found is None or found[1].ended_at is not None:
        return work.decision(answer=Stand(came="hung_up"))
    alert, held = found
    if held.joined_at is None:
        joined = f.LinesJoined(call=held.call, room=held.room, person=message.person, message=message.key)
        work.emit(alert.ref, joined)
    return work.decision(answer=Stand(came="joined", room=held.room))


def back(work: Work, seen: LineBack) -> Decision:
    """Of two that were joined, the other one has gone."""
    for alert, held in list(_all(work, seen.key)):
        if held.ended_at is None and held.joined_at is not None:
            _left(work, alert, held, "spoke")
    return work.decision()


def room_of(alert: Alert | None, key: str) -> str | None:
    """The room in which the line of our call `key` is to be, if it is joined to another one."""
    for held in alert.lines if alert is not None else ():
        if held.ended_at is None and held.joined_at is not None and key in (held.call, held.message):
            return held.room
    return None


def call_ended(work: Work, message: Message) -> None:
    """The call is over: its line is kept no longer."""
    for alert, held in list(_all(work, message.key)):
        if held.ended_at is not None:
            continue
        if held.joined_at is not None:
            _left(work, alert, held, "spoke")
        elif held.call == message.key:
            _left(work, alert, held, "hung_up")
        elif held.room == message.key:
            _left(work, alert, held, "not_answered")


def wanted(work: Work, message: Message) -> bool:
    """Whether a party is still to be rung: somebody waits for it."""
    found = _newest(work, message.key, "room")
    return found is not None and found[1].waits


def _left(work: Work, alert: Alert, held: Held, came: LineCame) -> None:
    talked = (work.now - held.joined_at).total_seconds() if held.joined_at is not None else 0
    work.emit(
        alert.ref, f.LineLeft(call=held.call, room=held.room, came=came, talked_s=max(round(talked), 0))
    )


def _all(work: Work, key: str) -> Iterator[tuple[Alert, Held]]:
    for ref in list(work.alert_refs()):
        alert = work.alert(ref)
        for held in alert.lines if alert is not None else ():
            if alert is not None and key in (held.call, held.room, held.message):
                yield alert, held


def _newest(work: Work, key: str, side: Literal["call", "room"]) -> tuple[Alert, Held] | None:
    found = [(alert, held) for alert, held in _all(work, key) if getattr(held, side) == key]
    return max(found, key=lambda pair: pair[1].since, default=None)
