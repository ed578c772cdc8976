"""A desk in the hand among people who act by the clock, and the process dead after any one decision of the day.

A desk's journal grows by whole decisions (`Engine._take`), so between two of them is every moment at which a process
can die and leave something else behind. Whatever had been decided is on disk then, and nothing of it has been said:
the answer to who asked, the message to the provider. Who asked asks again; what was handed to the provider is looked
up.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from escalation import dialog
from monitor.core import facts as f
from monitor.core.desk import Decision
from monitor.core.inputs import (
    DeadlineReached,
    DeliveryReported,
    Input,
    KeyPressed,
    LeadershipWon,
    ReplyReceived,
    SendReported,
    SendTurn,
)
from monitor.core.state import Message
from tests.core.days import quiet_ends, unwatched
from tests.core.driver import NOWHERE, Desk

DOWN = timedelta(seconds=2)
"""How long the process is away after it was killed."""
TICK = timedelta(milliseconds=100)
Reads = Callable[[Message], str | None]
"""What somebody answers a text with: the digit behind the question's number, or nothing."""


class Killed(Exception):
    """The process has died in the middle of what it was asked."""


@dataclass(frozen=True, kw_only=True)
class Crash:
    """Right after so many decisions are on disk. `posted`: of an attempt, the provider had the message by then;
    `found`: and shows it to who looks it up."""

    decisions: int
    posted: bool = False
    found: bool = False


@dataclass(frozen=True, kw_only=True)
class Habit:
    """What somebody does when they are written to and rung; no keys: they do not pick up."""

    reads: Reads = lambda message: None
    keys: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Seen:
    """A day as it ended, and what was said on the way."""

    end: Mapping[str, Any]
    said: Counter[tuple[str, str, str | None]]
    """(who, which words, of whom) of every text and mail that exists at the provider, repeats of one message aside."""
    rung: frozenset[tuple[str, str]]
    repeated: tuple[str, ...]
    """Messages that exist more than once."""
    marked: frozenset[str]
    """Messages that say of themselves that they may."""
    decisions: int
    attempts: frozenset[int]
    """Those of the decisions that were a message's turn."""
    steps: tuple[str, ...]
    """The kinds of the facts in their order."""
    wrong: tuple[str, ...]


class Mortal(Desk):
    """A desk of whose every decision somebody is told."""

    decided: Callable[[int], None] = staticmethod(lambda before: None)
    """Given how many facts there were before."""

    def tell(self, seen: Input) -> Decision:
        before = len(self.facts)
        decision = super().tell(seen)
        if decision.drafts:
            self.decided(before)
        return decision


@dataclass(kw_only=True)
class Theatre:
    """One day of one desk."""

    desk: Mortal
    habits: Mapping[str, Habit]
    crash: Crash | None = None
    decisions: int = 0
    wrong: list[str] = field(default_factory=list)
    """What must not be: visits that nobody watches, alerts that have ended in silence, refusals."""
    _attempts: set[int] = field(default_factory=set)
    _made: list[Message] = field(default_factory=list)
    _became: dict[str, str] = field(default_factory=dict)
    _marked: set[str] = field(default_factory=set)
    _events: list[tuple[datetime, int, Callable[[], None], bool]] = field(default_factory=list)
    _count: int = 0

    # --- what the story says ---

    def at(self, minutes: float, act: Callable[[Desk], Decision]) -> None:
        """So many minutes after now somebody does this, and again until they are answered."""
        self._later(timedelta(minutes=minutes), lambda: self._asks(act, again=False), lasting=True)

    def play(self, hours: float) -> Seen:
        """The whole of it; what was told to the desk before stands outside."""
        self.desk.decided = self._decided
        ends = self.desk.now + timedelta(hours=hours)
        while (at := self._next()) is not None and at <= ends:
            self.desk.now = max(self.desk.now, at)
            try:
                self._step()
            except Killed:
                self._rises()
        self.desk.now = ends
        return self._seen()

    # --- time ---

    def _later(self, after: timedelta, event: Callable[[], None], *, lasting: bool = False) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.desk.now + after, self._count, event, lasting))

    def _next(self) -> datetime | None:
        moments = [self._turns_at(one) for one in self._queued()]
        moments += [self._events[0][0]] if self._events else []
        deadline = self.desk.state.next_deadline()
        return min([*moments, *([deadline] if deadline is not None else [])], default=None)

    def _queued(self) -> list[Message]:
        return [one for one in self.desk.messages() if one.phase == "queued"]

    def _turns_at(self, message: Message) -> datetime:
        return message.not_before or message.intended_at

    def _step(self) -> None:
        """One thing that is due now: what people do, a deadline, a message's turn."""
        now = self.desk.now
        if self._events and self._events[0][0] <= now:
            heapq.heappop(self._events)[2]()
            return
        due = self.desk.state.take_due(now, 1)
        if due:
            self.desk.tell(DeadlineReached(subject=due[0][0], due_at=due[0][1]))
            self._looks_round()
            return
        waiting = sorted((self._turns_at(one), one.key) for one in self._queued())
        self._sends(self.desk.message(waiting[0][1]))

    def _looks_round(self) -> None:
        for ref in unwatched(self.desk):
            self.wrong.append(f"{ref} is late, nobody is there, and nobody is told")
        for ref in quiet_ends(self.desk):
            self.wrong.append(f"{ref} is open, and nobody would take it up again")

    # --- the process ---

    def _decided(self, before: int) -> None:
        """A decision is on disk, and nothing of it has been said."""
        new = self.desk.facts[before:]
        self.decisions += 1
        self._marked |= {
            fact.subject
            for fact in new
            if isinstance(fact.body, f.MessageAttempted) and fact.body.possibly_repeated
        }
        if self.crash is not None and self.decisions == self.crash.decisions:
            raise Killed
        for fact in new:
            if isinstance(fact.body, f.MessageChased):
                self._chased(fact.subject)

    def _rises(self) -> None:
        """It is started again; callbacks of the meantime have reached nobody."""
        shown, self.crash = self.crash is not None and self.crash.found, None
        self.desk.now += DOWN
        self._events = [one for one in self._events if one[3] or one[0] > self.desk.now]
        heapq.heapify(self._events)
        self.desk.restart(snapshot=False)
        self.desk.tell(LeadershipWon(fence=2))
        for message in [one for one in self.desk.messages() if one.phase == "attempted"]:
            found = shown and any(one.key == message.key for one in self._made)
            self.desk.tell(_report(message, found=found))

    # --- people ---

    def _asks(self, act: Callable[[Desk], Decision], *, again: bool) -> None:
        before = self.decisions
        try:
            decision = act(self.desk)
        except Killed:
            self._later(DOWN * 2, lambda: self._asks(act, again=True), lasting=True)
            raise
        if decision.refusal is not None and not again:
            self.wrong.append(f"refused at {self.desk.now}: {decision.refusal.code}")
        if self.decisions == before and decision.refusal is None and not again:
            self.wrong.append(f"nothing came of what was asked at {self.desk.now}")

    # --- the provider ---

    def _sends(self, message: Message) -> None:
        self._attempts.add(self.decisions + 1)
        posted = self.crash is not None and self.crash.posted
        try:
            answer = self.desk.tell(SendTurn(key=message.key, evidence=NOWHERE)).answer
        except Killed:
            if posted and self.desk.message(message.key).phase == "attempted":
                self._is_made(message)
            raise
        if answer != "send":
            return
        self._is_made(message)
        self.desk.now += TICK
        self.desk.tell(_report(message, found=True))

    def _is_made(self, message: Message) -> None:
        self._made.append(message)
        lives = {"sms": self._text, "email": self._mail, "call": self._ring}[message.channel]
        lives(message)

    def _mail(self, message: Message) -> None:
        self._becomes(message, "delivered", 3)

    def _text(self, message: Message) -> None:
        self._becomes(message, "delivered", 3)
        habit = self.habits.get(message.person, Habit())
        digit = habit.reads(message)
        if digit is not None and message.slot is not None:
            self._later(timedelta(seconds=30), lambda: self._replies(message, digit), lasting=True)

    def _replies(self, message: Message, digit: str) -> None:
        """They text us; the network hands it over until it is heard."""
        self._count += 1
        said = ReplyReceived(
            line=message.line or "",
            persons=(message.person,),
            code=f"{message.slot}{digit[:1]}",
            number=int(digit[1:]) if digit[1:] else None,
            evidence=NOWHERE,
            fingerprint=self._count,
        )
        self._asks(lambda desk: desk.tell(said), again=True)

    def _ring(self, message: Message) -> None:
        keys = self.habits.get(message.person, Habit()).keys
        if not keys:
            self._becomes(message, "no_answer", message.ring_s)
            return
        self._later(timedelta(seconds=8), lambda: self._talks(message, keys))
        self._becomes(message, "completed", 40)

    def _talks(self, message: Message, keys: tuple[str, ...]) -> None:
        step = dialog.begin(message.template).name
        for digit in keys:
            answer = self.desk.tell(KeyPressed(key=message.key, step=step, digit=digit)).answer
            step = answer.step

    def _becomes(self, message: Message, status: Any, after_s: float) -> None:
        self._became[message.key] = status
        said = DeliveryReported(key=message.key, status=status, provider_ref="SM1")
        self._later(timedelta(seconds=after_s), lambda: self._is_told(said))

    def _chased(self, key: str) -> None:
        """A callback never came: the provider is asked."""
        if key in self._became:
            said = DeliveryReported(key=key, status=self._became[key], provider_ref="SM1")  # type: ignore[arg-type]
            self._later(TICK, lambda: self._is_told(said))

    def _is_told(self, said: DeliveryReported) -> None:
        self.desk.tell(said)

    # --- how it ended ---

    def _seen(self) -> Seen:
        texts = {one.key: one for one in self._made if one.channel != "call"}
        made = Counter(one.key for one in self._made)
        return Seen(
            end=_end(self.desk),
            said=Counter(
                (one.person, one.template, one.about)
                for one in texts.values()
                if one.template not in ASKED_AGAIN
            ),
            rung=frozenset((one.person, one.template) for one in self._made if one.channel == "call"),
            repeated=tuple(sorted(key for key, times in made.items() if times > 1)),
            marked=frozenset(self._marked),
            decisions=self.decisions,
            attempts=frozenset(self._attempts),
            steps=tuple(type(fact.body).__name__ for fact in self.desk.facts),
            wrong=tuple(self.wrong),
        )


def _report(message: Message, *, found: bool) -> SendReported:
    if found:
        return SendReported(key=message.key, result="accepted", provider_ref="SM1")
    return SendReported(key=message.key, result="failed", reason="timeout", possibly_repeated=True)


def _end(desk: Desk) -> dict[str, Any]:
    """What stands in the record; no instants, for the process was away for a while."""
    values = desk.state.values
    alerts = sorted(values.alerts.values(), key=lambda one: (one.kind, one.opened_at, one.ref))
    return {
        "alerts": [
            (one.kind, one.visit, one.reason, one.state, one.ended_reason, one.taken_by) for one in alerts
        ],
        "tracks": [
            (one.kind, one.visit, track.name, track.step, track.reason)
            for one in alerts
            for track in one.tracks
        ],
        "visits": sorted(
            (v.ref, v.away is not None, v.cancelled, v.missed, v.anybody_there)
            for v in values.visits.values()
        ),
        "absences": [
            (one.service_user, one.counts, one.waits, one.ended_at is None)
            for one in values.absences.values()
        ],
        "weathers": [
            (
                one.ended_at is None,
                one.ended_by,
                one.reported_by,
                one.overdue_told,
                len(one.covers),
                one.left_out,
            )
            for one in values.weathers.values()
        ],
        "died": sorted(values.died),
        "referrals": [
            (one.ref, one.mark, one.taken_by, one.lapsed_at is not None, one.answer and one.answer.outcome)
            for one in sorted(values.referrals.values(), key=lambda one: one.ref)
        ],
        "steps": sorted(
            Counter(
                type(fact.body).__name__ for fact in desk.facts if type(fact.body).__name__ in ONCE
            ).items()
        ),
    }


ONCE = frozenset(
    {
        "WeatherDeclared",
        "WeatherReminded",
        "WeatherEnded",
        "WeatherReported",
        "SituationReported",
        "FamilyCoverWithdrawn",
        "StepLeftOut",
        "AbsenceReported",
        "AbsenceConfirmed",
        "AbsenceEnded",
        "AwayQuestioned",
        "AwayUnanswered",
        "VisitAway",
        "VisitBack",
        "PersonDied",
        "DeathWithdrawn",
        "VisitCancelled",
        "AlertRaised",
        "AlertEnded",
        "ReferralLogged",
        "ReferralSummoned",
        "ReferralTaken",
        "ReferralPassed",
        "ReferralAnswered",
        "ReferralLapsed",
    }
)
"""Steps that happen as often as they happen when nobody dies."""
ASKED_AGAIN = frozenset({"OC-2", "OC-95"})
"""Whoever holds several alerts is asked about all that fall due together: two seconds more or less, and it is one text
or two. That they are asked at all stands in `tracks`."""
