"""A desk's journal as the auditor of the procedure reads it: facts, and what the world had given; none of its code.

Everything here is worked out from the facts alone. Beside them stand only what the rules must know to judge them: the
people as they were uploaded, what the minted ids stand for, and when the product was able to act.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9]+)(ms|d|h|m|s)")
LATE_KINDS = frozenset({"late_visit", "second_worker_missing"})
"""Kinds of alert for which the procedure's tracks run (spec 22)."""
ASKED_WHERE = frozenset({"locate"})
OFFERS = frozenset({"CW-7", "CWV-2"})
"""The words in which somebody is asked to go instead."""
NEVER_OVER = frozenset({"waiting", "trying"})
"""Steps of a track that wants to be asked again."""


def span(text: str) -> timedelta:
    """A duration as a policy writes it."""
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in _PART.findall(text)))


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One fact, its body read."""

    seq: int
    at: datetime
    due_at: datetime | None
    kind: str
    subject: str
    cause: str
    policy: str
    body: dict[str, Any]

    def moment(self, name: str) -> datetime | None:
        """An instant of the body."""
        said = self.body.get(name)
        return datetime.fromisoformat(said) if said else None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody as the office has uploaded them."""

    id: str
    role: str
    numbers: tuple[str, ...] = ()
    landlines: frozenset[str] = frozenset()
    public: str | None = None
    by_person_only: bool = False
    """No machine contacts them: the plan says a person, or they are a child without a parent."""
    end_of_life: bool = False
    """Nor whoever speaks for them."""
    never_tell: frozenset[str] = frozenset()
    kin: tuple[str, ...] = ()
    speaker: str | None = None
    """Who is contacted in their place."""
    not_with: frozenset[str] = frozenset()
    channels: tuple[str, ...] = ()
    private: bool = False
    """No council pays for them."""


@dataclass(kw_only=True)
class MessageRead:
    """One message from intended to settled."""

    key: str
    intended: Fact
    attempts: list[Fact] = field(default_factory=list)
    deferred: list[Fact] = field(default_factory=list)
    accepted: list[Fact] = field(default_factory=list)
    settled: list[Fact] = field(default_factory=list)
    heard: list[Fact] = field(default_factory=list)

    @property
    def purpose(self) -> str:
        """What it is for."""
        return str(self.intended.body["purpose"])

    @property
    def template(self) -> str:
        """The words."""
        return str(self.intended.body["template"])

    @property
    def channel(self) -> str:
        """A text, a call, a mail."""
        return str(self.intended.body["channel"])

    @property
    def person(self) -> str:
        """Whom it is for: a minted id."""
        return str(self.intended.body["person"])

    @property
    def result(self) -> str | None:
        """What became of it in the end."""
        return self.settled[-1].body["result"] if self.settled else None

    @property
    def left(self) -> bool:
        """The provider has it, or may have it."""
        return bool(self.accepted or self.heard) or (bool(self.attempts) and self.result not in ("failed",))

    @property
    def answered(self) -> bool:
        """A human has answered it."""
        return any(fact.body.get("proof") for fact in (*self.settled, *self.heard))


@dataclass(kw_only=True)
class AlertRead:
    """One alert with everything about it, in the journal's order."""

    ref: str
    raised: Fact
    moves: list[Fact] = field(default_factory=list)
    council: list[Fact] = field(default_factory=list)
    messages: list[MessageRead] = field(default_factory=list)
    reached: list[Fact] = field(default_factory=list)
    sent: list[Fact] = field(default_factory=list)
    declined: list[Fact] = field(default_factory=list)
    actions: list[Fact] = field(default_factory=list)
    taken: list[Fact] = field(default_factory=list)
    gathered: list[Fact] = field(default_factory=list)
    ended: Fact | None = None

    @property
    def kind(self) -> str:
        """What it is about."""
        return str(self.raised.body["kind"])

    @property
    def visit(self) -> str | None:
        """The visit that it is about."""
        return self.raised.body.get("visit")

    @property
    def service_user(self) -> str | None:
        """The service user whom it is about."""
        return self.raised.body.get("service_user")

    @property
    def old(self) -> bool:
        """It became due long ago, while we were down: staff hear of it in one digest."""
        return self.raised.body.get("reason") == "while_down"

    def track(self, name: str) -> list[Fact]:
        """How that track moved."""
        return [fact for fact in self.moves if fact.body["track"] == name]

    def for_(self, *purposes: str) -> list[MessageRead]:
        """Its messages of these purposes."""
        return [message for message in self.messages if message.purpose in purposes]

    def open_at(self, fact: Fact) -> bool:
        """Whether it had not ended before that fact."""
        return self.ended is None or self.ended.seq > fact.seq


@dataclass(kw_only=True)
class VisitRead:
    """One visit: what was planned, and who came."""

    ref: str
    plans: list[Fact] = field(default_factory=list)
    arrivals: list[Fact] = field(default_factory=list)
    departures: list[Fact] = field(default_factory=list)
    cancelled: list[Fact] = field(default_factory=list)
    said: list[Fact] = field(default_factory=list)
    looked: list[Fact] = field(default_factory=list)
    away: list[Fact] = field(default_factory=list)
    """That its person is away, and that they are not."""

    def plan(self, seq: int) -> Fact | None:
        """What was planned when that fact was written."""
        return next((fact for fact in reversed(self.plans) if fact.seq <= seq), None)

    def places(self, seq: int) -> int:
        """So many care workers are to be there."""
        plan = self.plan(seq)
        return max(plan.body.get("places", 1), len(plan.body.get("workers", ()))) if plan else 1

    def there(self, seq: int) -> set[str | None]:
        """Who had arrived by then."""
        return {fact.body.get("worker") for fact in self.arrivals if fact.seq <= seq}

    def inside(self, seq: int) -> list[str]:
        """Who had arrived by then and not left."""
        places: dict[int, str | None] = {}
        moves = sorted((*self.arrivals, *self.departures), key=lambda fact: fact.seq)
        for fact in moves:
            if fact.seq > seq:
                break
            index = fact.body.get("index", 0)
            if fact.kind == "ArrivalRecorded":
                places[index] = fact.body.get("worker")
            elif fact.kind == "DepartureRecorded":
                places[index] = None
        return [worker for worker in places.values() if worker]


@dataclass(kw_only=True)
class Reading:
    """A journal, read."""

    desk: str
    facts: list[Fact]
    names: Mapping[str, str]
    """What minted ids stand for, the caller's own ids and numbers."""
    people: Mapping[str, Person]
    """By the caller's own ids."""
    able: Callable[[datetime, datetime], timedelta]
    """How long, of a span, the product was able to act."""
    steady: Callable[[datetime, datetime], bool]
    """Whether its wall clock was right all the time."""
    alerts: dict[str, AlertRead] = field(default_factory=dict)
    messages: dict[str, MessageRead] = field(default_factory=dict)
    visits: dict[str, VisitRead] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    leads: list[Fact] = field(default_factory=list)
    public: list[Fact] = field(default_factory=list)
    """How the desk's public mode was set."""

    def __post_init__(self) -> None:
        for fact in self.facts:
            self._take(fact)

    @property
    def ends_at(self) -> datetime:
        """The last moment of which the journal knows."""
        return self.facts[-1].at

    def person(self, ref: str | None) -> Person | None:
        """The person behind a minted id."""
        return self.people.get(self.names.get(ref or "", ""))

    def name(self, ref: str | None) -> str:
        """What the caller calls it."""
        return self.names.get(ref or "", ref or "nobody")

    def duration(self, alert: AlertRead, key: str) -> timedelta:
        """A duration of the policy that the alert keeps."""
        return span(str(self.policies[alert.raised.policy][key]))

    def public_at(self, seq: int) -> str:
        """The desk's public mode when that fact was written."""
        return next((str(f.body["public"]) for f in reversed(self.public) if f.seq <= seq), "off")

    def groups(self) -> Iterator[list[Fact]]:
        """What was decided together: between two of these others may act, and the process may die."""
        group: list[Fact] = []
        for fact in self.facts:
            if group and (fact.at, fact.cause) != (group[-1].at, group[-1].cause):
                yield group
                group = []
            group.append(fact)
        if group:
            yield group

    def _take(self, fact: Fact) -> None:
        takes = _TAKES.get(fact.kind)
        if takes is not None:
            takes(self, fact)

    def _visit(self, ref: str) -> VisitRead:
        return self.visits.setdefault(ref, VisitRead(ref=ref))

    def _into(self, fact: Fact, name: str) -> None:
        alert = self.alerts.get(fact.subject)
        if alert is not None:
            getattr(alert, name).append(fact)

    def _of_visit(self, fact: Fact, name: str) -> None:
        getattr(self._visit(fact.subject), name).append(fact)

    def _of_message(self, fact: Fact, name: str) -> None:
        message = self.messages.get(fact.subject)
        if message is not None:
            getattr(message, name).append(fact)

    def _intended(self, fact: Fact) -> None:
        message = MessageRead(key=fact.subject, intended=fact)
        self.messages[fact.subject] = message
        alert = self.alerts.get(fact.body.get("alert") or "")
        if alert is not None:
            alert.messages.append(message)

    def _ended(self, fact: Fact) -> None:
        alert = self.alerts.get(fact.subject)
        if alert is not None and alert.ended is None:
            alert.ended = fact

    def _raised(self, fact: Fact) -> None:
        self.alerts[fact.body["alert"]] = AlertRead(ref=fact.body["alert"], raised=fact)

    def _adopted(self, fact: Fact) -> None:
        self.policies[fact.body["digest"]] = fact.body["policy"]
        self.public.append(fact)

    def _terms(self, fact: Fact) -> None:
        for terms in fact.body["contracts"]:
            self.policies[terms["digest"]] = terms.get("policy", {})


def _kept(name: str, where: str) -> Callable[[Reading, Fact], None]:
    return lambda reading, fact: getattr(reading, where)(fact, name)


_TAKES: dict[str, Callable[[Reading, Fact], None]] = {
    "LeadershipTaken": lambda reading, fact: reading.leads.append(fact),
    "PolicyAdopted": Reading._adopted,
    "ContractsAdopted": Reading._terms,
    "VisitPlanned": _kept("plans", "_of_visit"),
    "VisitReplanned": _kept("plans", "_of_visit"),
    "VisitCancelled": _kept("cancelled", "_of_visit"),
    "VisitLooked": _kept("looked", "_of_visit"),
    "VisitAway": _kept("away", "_of_visit"),
    "VisitBack": _kept("away", "_of_visit"),
    "WorkerAnswered": _kept("said", "_of_visit"),
    "ArrivalRecorded": _kept("arrivals", "_of_visit"),
    "DepartureRecorded": _kept("departures", "_of_visit"),
    "DepartureWithdrawn": _kept("departures", "_of_visit"),
    "AlertRaised": Reading._raised,
    "AlertTaken": _kept("taken", "_into"),
    "AlertLapsed": _kept("taken", "_into"),
    "AlertGathered": _kept("gathered", "_into"),
    "AlertEnded": Reading._ended,
    "TrackMoved": _kept("moves", "_into"),
    "CouncilMoved": _kept("council", "_into"),
    "ReplacementAccepted": _kept("sent", "_into"),
    "ReplacementDeclined": _kept("declined", "_into"),
    "ActionRecorded": _kept("actions", "_into"),
    "PersonReached": _kept("reached", "_into"),
    "MessageIntended": Reading._intended,
    "MessageAttempted": _kept("attempts", "_of_message"),
    "MessageDeferred": _kept("deferred", "_of_message"),
    "MessageAccepted": _kept("accepted", "_of_message"),
    "MessageSettled": _kept("settled", "_of_message"),
    "AnswerHeard": _kept("heard", "_of_message"),
}


def read(records: Iterable[Any]) -> list[Fact]:
    """The facts of a journal as it lies on disk."""
    return [
        Fact(
            seq=record.seq,
            at=datetime.fromisoformat(record.at),
            due_at=datetime.fromisoformat(record.due_at) if record.due_at else None,
            kind=record.kind,
            subject=record.subject,
            cause=record.cause or "",
            policy=record.policy,
            body=json.loads(record.body),
        )
        for record in records
    ]
