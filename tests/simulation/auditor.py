"""The auditor: knows only what was given to the product and what left it, and shares no code with it.

It imports nothing but the standard library (tests/unit/test_simulation_parts.py holds it to that) and works out for
itself when a visit is late, who is on duty, and what the chain's hashes must be. Its rules, by name:

- `lost`: an acknowledged check-in is in the journal, with its effect, at that moment and after every crash;
- `twice`: the same check-in is recorded once;
- `rewritten`: what was on disk stays on disk as it was; every fact's hash is right (`chain`);
- `no_alert`: a visit without an arrival has its alert soon after `late_at`, down-time excepted;
- `false_alert`: no alert for an arrival that was recorded before; no alert before its time (`early_alert`);
- `unwatched`: a visit is left unwatched only while its person is confirmed to be away, and is watched at once after;
- `hasty_alert`: what already waits to be read is read before an alert is raised;
- `not_retracted`: an acknowledged arrival leaves no late-visit alert open;
- `unrecorded_send`: nothing leaves before its attempt is on disk, summonses to staff excepted while the store is away;
- `unmarked_send`: what left all the same says so in the journal;
- `unmarked_repeat`: what may have been sent before says so when it is sent again;
- `untrue_answer`: who was told "it is yours" has it on disk;
- `silent_store`: a disk that takes nothing is told to staff;
- `public_off`: where public messages are off, none leaves;
- `not_reassured`: after the faults, the service user of a new late alert is contacted, where the desk allows it;
- `silent_ladder`: an open alert that nobody has always has a next moment;
- `not_offered`: after the faults, every open alert is offered to somebody on duty within ten minutes;
- `trouble`: a decision failed, a subject was frozen, something was put aside.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

BOUND = timedelta(seconds=10)
"""How much able time a late visit may stay without its alert on disk."""
OFFERED = timedelta(minutes=10)
DEGRADED_TOLD = timedelta(seconds=30)
"""How long after the first thing that could not be written staff hear of it."""
STORE_GRACE = timedelta(seconds=5)
"""How long after the disk is back the product may still not know it (it tries again every two seconds)."""


class Violation(AssertionError):
    """A rule does not hold."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


@dataclass(kw_only=True)
class Segment:
    """From `since` on: was the product able to watch, and how wrong was its wall clock?"""

    since: datetime
    able: bool
    offset: timedelta


@dataclass(kw_only=True)
class Row:
    """A visit as the last acknowledged rota has it, and when it is late by the auditor's own reckoning."""

    id: str
    desk: str
    service_user: str
    start: datetime
    end: datetime
    agreed: datetime
    workers: tuple[str, ...]
    time_critical: bool
    late_after: timedelta | None
    late_at: datetime
    cancelled: bool = False

    @classmethod
    def given(cls, desk: str, given: dict[str, Any], tolerance: timedelta) -> Row:
        """As it stood in the upload."""
        start = datetime.fromisoformat(given["start"])
        return cls(
            id=given["id"],
            desk=desk,
            service_user=given["service_user"],
            start=start,
            end=datetime.fromisoformat(given["end"]),
            agreed=start,
            workers=tuple(given["workers"]),
            time_critical=given.get("time_critical", False),
            late_after=_seconds(given.get("late_after")),
            late_at=start + tolerance,
        )

    def says(self, given: dict[str, Any]) -> bool:
        """Whether it is what the upload said."""
        asked = Row.given(self.desk, given, timedelta())
        mine = (self.service_user, self.start, self.end, self.workers, self.time_critical, self.late_after)
        return mine == (
            asked.service_user,
            asked.start,
            asked.end,
            asked.workers,
            asked.time_critical,
            asked.late_after,
        )


@dataclass(kw_only=True)
class Watched:
    """What the auditor keeps of one visit."""

    row: Row
    counted_from: datetime
    arrived_seq: int | None = None
    arrived_at: datetime | None = None
    """True time at which the first arrival was on disk."""
    handed_in: int | None = None
    """The life that was given an arrival which is not on disk yet."""
    alerts: list[str] = field(default_factory=list)
    settled: bool = False
    """A named person has recorded how it ended."""
    claimed: bool = False
    """A care worker says that they are there."""
    cannot: bool = False
    """One says that they cannot get there: the alert need not wait (5.1)."""
    excused: bool = False
    """Somebody stands at its closed door: it has another alert."""
    away: bool = False
    """Its person is away."""


@dataclass(kw_only=True)
class AlertSeen:
    """One alert, from its facts."""

    ref: str
    kind: str
    desk: str
    visit: str | None
    reason: str
    raised: datetime
    """True time."""
    state: str = "open"
    since: datetime | None = None
    next_at: datetime | None = None
    summon: str = ""
    incident: str | None = None
    """The incident that summons staff in its place."""
    people: list[tuple[datetime, str]] = field(default_factory=list)
    """Staff to whom something about it was handed to the network, and when."""
    steered: bool = False
    """A named person has done something about it."""
    public: list[str] = field(default_factory=list)
    """Numbers of service users to whom something was."""
    workers: list[str] = field(default_factory=list)
    """Care workers to whom something was."""


@dataclass(kw_only=True)
class MessageSeen:
    """One message, from its facts and from what left."""

    alert: str | None = None
    purpose: str = ""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    sends: int = 0
    settled: bool = False
    uncertain: int = 0
    """Sends that were not refused for certain."""
    unrecorded: int = 0
    """Sends that left before their attempt was on disk."""
    to_be_marked: int = 0
    """Those of this life whose attempt must say so when it comes to the disk."""


@dataclass(kw_only=True)
class Book:
    """One desk's page."""

    zone: str
    staff: dict[str, str]
    """Number to id."""
    on_duty: Callable[[datetime], frozenset[str]]
    late_after: timedelta
    critical_late_after: timedelta
    plan_freeze: timedelta
    public: str
    holds_public: timedelta
    service_users: dict[str, str]
    """Number to id."""
    plain: frozenset[str] = frozenset()
    """Those of them whom nothing in their plan keeps the machine from ringing."""
    care_workers: dict[str, str] = field(default_factory=dict)
    """Number to id."""
    degraded_since: datetime | None = None
    """Since when the product must know that its disk takes nothing, and has told nobody."""
    told_of_store: bool = False
    """Somebody was told something in this outage: who takes it rests for ten minutes."""
    policies: list[tuple[timedelta, timedelta]] = field(default_factory=list)
    """Given and not yet in force, oldest first."""
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The last row that was sent of each visit."""
    visits: dict[str, Watched] = field(default_factory=dict)
    alerts: dict[str, AlertSeen] = field(default_factory=dict)
    messages: dict[str, MessageSeen] = field(default_factory=dict)
    recorded: dict[str, int] = field(default_factory=dict)
    arrived: dict[tuple[str, str], int] = field(default_factory=dict)
    said: set[tuple[str, str, str]] = field(default_factory=set)
    """Kind, visit and care worker of every check-in that is recorded."""
    hashes: list[bytes] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    absent: dict[str, str] = field(default_factory=dict)
    """Whose absence each of them is."""
    counts: set[str] = field(default_factory=set)
    """Who is away, as somebody has confirmed."""
    dead: set[str] = field(default_factory=set)
    """Who has died, as somebody has reported."""
    back: dict[str, datetime] = field(default_factory=dict)
    """Since when they are not, by the product's clock."""


@dataclass(kw_only=True)
class Given:
    """A check-in as it was handed in."""

    id: str
    desk: str
    kind: str
    visit: str
    worker: str
    at: datetime
    handed_in: bool = False
    acknowledged: bool = False


class Auditor:
    """Told of everything that goes in and comes out; raises Violation."""

    def __init__(
        self,
        now: Callable[[], datetime],
        life: Callable[[], int],
        evidence: Callable[[str, str], bytes | None],
        outside: Callable[[str], dict[str, str]],
    ) -> None:
        self._now, self._life, self._evidence, self._outside_of = now, life, evidence, outside
        self.books: dict[str, Book] = {}
        self.given: dict[str, Given] = {}
        self.segments: list[Segment] = [Segment(since=now(), able=False, offset=timedelta())]
        self.store_broken = False
        self.store_back_at = self._still_since = now()
        self.log: list[str] = []
        self.violation: Violation | None = None
        self.could_be_read: Callable[[str, datetime], bool] = lambda checkin, at: False
        """Whether the product could have read a check-in, that it has not been given, before this true instant."""
        self.on_violation: Callable[[], None] = lambda: None
        self._names: dict[str, dict[str, str]] = {}

    def note(self, text: str) -> None:
        """A line for whoever reads a failure."""
        self.log.append(f"{self._now():%d %H:%M:%S.%f} {text}")

    def fail(self, rule: str, text: str) -> None:
        """The rule does not hold. Told aside as well: whoever is below us may catch what is raised."""
        violation = Violation(rule, text)
        if self.violation is None:
            self.violation = violation
            self.on_violation()
        raise violation

    # --- what was given ---

    def able(self, able: bool, offset: timedelta) -> None:
        """From now on the product is able to watch, or not; its wall clock is wrong by `offset`."""
        last = self.segments[-1]
        if (last.able, last.offset) != (able, offset):
            self.segments.append(Segment(since=self._now(), able=able, offset=offset))
            self.note(f"able={able} offset={offset}")

    def store(self, *, broken: bool) -> None:
        """The disk takes nothing any more, or does again."""
        if not broken:
            self._told_of_store()
            self.store_back_at = self._now()
        self.store_broken = broken

    def _told_of_store(self) -> None:
        """Staff of every desk that had something to write were told within half a minute."""
        for desk, book in self.books.items():
            since, book.degraded_since, book.told_of_store = book.degraded_since, None, False
            if since is not None and self._now() - since > DEGRADED_TOLD:
                self.fail(
                    "silent_store", f"{desk}: nothing can be written since {since}, and nobody was told"
                )

    def stands_still(self) -> None:
        """The process is stopped: what it should have said by now it could not."""
        self._still_since = self._now()
        for book in self.books.values():
            book.degraded_since = None

    def goes_on(self) -> None:
        """It runs again, and learns only now that the disk came back while it stood, or right before."""
        if self.store_back_at >= self._still_since - STORE_GRACE:
            self.store_back_at = self._now()

    def crashed(self) -> None:
        """What was handed in and not on disk is forgotten: the product may ask for it again."""
        now = self._now()
        for book in self.books.values():
            book.degraded_since, book.told_of_store = None, False
            for message in book.messages.values():
                # what left while nothing could be written is known to nobody any more
                message.uncertain = max(message.uncertain - message.to_be_marked, 0)
                message.to_be_marked = 0
        for given in self.given.values():
            given.handed_in = False
        for book in self.books.values():
            book.policies = book.policies[-1:]
            for seen in book.visits.values():
                if seen.handed_in is not None and seen.arrived_seq is None:
                    seen.handed_in, seen.counted_from = None, now

    def gives(self, checkin: str, desk: str, kind: str, visit: str, worker: str, at: datetime) -> None:
        """Somebody's phone has this to say."""
        self.given[checkin] = Given(id=checkin, desk=desk, kind=kind, visit=visit, worker=worker, at=at)

    def policy(self, desk: str, late_after: timedelta, critical: timedelta) -> None:
        """A policy was given. It is in force from the fact on that says so."""
        self.books[desk].policies.append((late_after, critical))

    def rota_sent(self, desk: str, rows: Iterable[dict[str, Any]]) -> None:
        """An upload is on its way."""
        self.books[desk].sent.update({row["id"]: row for row in rows})

    def rota_taken(self, desk: str, rows: Iterable[dict[str, Any]], dropped: Iterable[str]) -> None:
        """The upload was answered with 200: every row of it is in force."""
        book = self.books[desk]
        for given in rows:
            if given["service_user"] in book.dead:
                continue  # no visit is made to who has died
            seen = book.visits.get(given["id"])
            if seen is None or seen.row.cancelled or not seen.row.says(given):
                self.fail(
                    "lost",
                    f"{desk}: the row of {given['id']} was answered with 200 and is not in the journal",
                )
        for visit in dropped:
            seen = book.visits[visit]
            # one that was late by the time at which the upload came in stands: no upload closes an alert
            late = seen.row.late_at <= self._now()
            if not seen.row.cancelled and seen.arrived_seq is None and not seen.alerts and not late:
                self.fail(
                    "lost",
                    f"{desk}: {visit} was dropped, that was answered with 200, and it is still watched",
                )

    def _VisitPlanned(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        given = self._of_rota_or_council(book, self._name(desk, fact.subject), body)
        tolerance = self._tolerance(
            book, _seconds(given.get("late_after")), given.get("time_critical", False)
        )
        row = Row.given(desk, given, tolerance)
        book.visits[row.id] = Watched(row=row, counted_from=self._now())
        for worker in [worker for visit, worker in book.arrived if visit == row.id]:
            # it was settled or dropped, and is watched from the beginning again
            del book.arrived[(row.id, worker)]

    def _of_rota_or_council(self, book: Book, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """What was uploaded. The first visit of a package stands in no upload, and is watched as any other: that it
        had to land is for `placing_rules`."""
        if body.get("placement") is None:
            return book.sent[name]
        return {"id": name, "service_user": name, "start": body["start"], "end": body["end"], "workers": ()}

    def _VisitReplanned(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        """Within `plan_freeze` of its start, or once disturbed, a plan may move but not what was agreed."""
        if body["reason"] != "rota":
            return
        seen = book.visits[self._name(desk, fact.subject)]
        given, old = book.sent[seen.row.id], seen.row
        tolerance = self._tolerance(
            book, _seconds(given.get("late_after")), given.get("time_critical", False)
        )
        row = Row.given(desk, given, tolerance)
        if self._open(book, seen) or old.agreed - datetime.fromisoformat(fact.at) < book.plan_freeze:
            row.agreed = old.agreed
            row.late_at = min(old.agreed + tolerance, old.late_at)
        seen.row, seen.counted_from = row, self._now()

    def _open(self, book: Book, seen: Watched) -> bool:
        return any(book.alerts[ref].state != "ended" for ref in seen.alerts)

    def _VisitCancelled(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        book.visits[self._name(desk, fact.subject)].row.cancelled = True

    def _PolicyAdopted(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        """It moves what has not begun yet and is not disturbed."""
        if not book.policies:
            return
        book.late_after, book.critical_late_after = book.policies.pop(0)
        for seen in book.visits.values():
            row = seen.row
            quiet = not row.cancelled and seen.arrived_seq is None and not self._open(book, seen)
            if quiet and row.start > datetime.fromisoformat(fact.at):
                row.late_at = row.agreed + self._tolerance(book, row.late_after, row.time_critical)
                seen.counted_from = self._now()

    def _tolerance(self, book: Book, late_after: timedelta | None, critical: bool) -> timedelta:
        if late_after is not None:
            return late_after
        return min(book.late_after, book.critical_late_after) if critical else book.late_after

    def delivered(self, checkin: str, desk: str) -> None:
        """A check-in was handed to the product."""
        given = self.given[checkin]
        given.handed_in = True
        self.note(f"handed in {checkin} {given.kind} {given.visit}")
        book = self.books[desk]
        seen = book.visits.get(given.visit)
        if seen is None:
            return
        if given.kind == "arrive":
            if not self._has_alert(seen, "late_visit"):
                self._in_time(seen)
            if (
                seen.arrived_seq is None
                and seen.handed_in is None
                and self.store_broken
                and not book.told_of_store
            ):
                book.degraded_since = book.degraded_since or self._now()
            seen.handed_in = self._life()
        elif given.kind == "no_reply":
            seen.excused = True

    def acknowledged(self, checkin: str, desk: str) -> None:
        """The product has promised that it is kept."""
        given = self.given[checkin]
        given.acknowledged = True
        self.note(f"acknowledged {checkin}")
        self._kept(desk, given)

    def _kept(self, desk: str, given: Given) -> None:
        book = self.books[desk]
        key = (given.visit, given.worker)
        if given.kind == "arrive" and book.visits[given.visit].row.cancelled and given.id in book.recorded:
            return  # somebody came all the same: it stands in the journal, and there is no visit to make
        if given.kind == "arrive":
            others = {worker for visit, worker in book.arrived if visit == given.visit} - {given.worker}
            covered = len(others) >= len(book.visits[given.visit].row.workers)
            if key not in book.arrived and not (covered and given.id in book.recorded):
                self.fail("lost", f"{given.id}: acknowledged, and no arrival of {key} is in the journal")
            for ref in book.visits[given.visit].alerts:
                alert = book.alerts[ref]
                if alert.kind == "late_visit" and alert.state != "ended":
                    self.fail(
                        "not_retracted", f"{given.id}: acknowledged, and {ref} about {given.visit} is open"
                    )
        elif given.kind == "cover":
            if given.id not in book.recorded and ("cover", *key) not in book.said:
                self.fail("lost", f"{given.id}: acknowledged, and nothing of {key} is in the journal")
        elif given.kind == "no_reply" and not self._has_alert(book.visits[given.visit], "no_reply"):
            self.fail("lost", f"{given.id}: nobody opened the door of {given.visit}, and nobody is told")
        elif given.id not in book.recorded and not (given.kind == "leave" and ("leave", *key) in book.said):
            self.fail("lost", f"{given.id} ({given.kind}): acknowledged, and not in the journal")

    # --- what left ---

    def sending(self, key: str, desk: str, to: str) -> None:
        """The product is about to hand a message to the network."""
        book = self.books[desk]
        seen = book.messages.setdefault(key, MessageSeen())
        staff = book.staff.get(to)
        self.note(f"send {key[:9]} to {staff or to} ({seen.purpose})")
        recorded = len(seen.attempts)
        if recorded <= seen.sends - seen.unrecorded:
            lenient = self.store_broken or self._now() - self.store_back_at < STORE_GRACE
            if staff is None or not lenient:
                self.fail(
                    "unrecorded_send",
                    f"{key} leaves with {recorded} attempts on disk, sent {seen.sends} times",
                )
            seen.unrecorded += 1
            seen.to_be_marked += 1
        elif seen.uncertain and not seen.attempts[-1].get("possibly_repeated"):
            self.fail("unmarked_repeat", f"{key} may have been sent before, and the attempt does not say so")
        seen.sends += 1
        seen.uncertain += 1
        alert = book.alerts.get(seen.alert or "")
        if staff is not None:
            book.degraded_since, book.told_of_store = None, self.store_broken
            if alert is not None:
                alert.people.append((self._now(), staff))
        elif to in book.care_workers:
            if alert is not None:
                alert.workers.append(book.care_workers[to])
        elif book.public == "off" and seen.purpose != "join":
            self.fail("public_off", f"{key} goes to {to}, and this desk's public messages are off")
        elif alert is not None and to in book.service_users:
            alert.public.append(to)

    def not_created(self, key: str, desk: str) -> None:
        """The network refused it, for certain."""
        self.books[desk].messages[key].uncertain -= 1

    def told_taken(self, key: str, desk: str) -> None:
        """Somebody was told that the alert is theirs."""
        lenient = self.store_broken or self._now() - self.store_back_at < STORE_GRACE
        if key not in self.books[desk].taken and not lenient:
            self.fail("untrue_answer", f"{key}: told that it is taken, and that is not on disk")

    def closed(self, desk: str, alert: str) -> None:
        """A named person has closed it, and was answered."""
        book = self.books[desk]
        if book.alerts[alert].state != "ended":
            self.fail("lost", f"{alert} was closed by a person, that was answered, and it is open on disk")

    def trouble(self, what: str) -> None:
        """Something that must never happen was seen."""
        self.fail("trouble", what)

    # --- what became durable ---

    def recorded(self, desk: str, facts: Iterable[Any]) -> None:
        """These facts are on disk now."""
        book = self.books[desk]
        self._names[desk] = self._outside_of(desk)
        for fact in facts:
            self._chained(desk, book, fact)
            body = json.loads(fact.body)
            handler = getattr(self, f"_{fact.kind}", None)
            if handler is not None:
                handler(book, desk, fact, body)

    def _chained(self, desk: str, book: Book, fact: Any) -> None:
        prev = book.hashes[-1] if book.hashes else bytes(32)
        if fact.seq != len(book.hashes) + 1 or fact.prev != prev or chain(desk, fact) != fact.hash:
            self.fail("chain", f"{desk}: fact {fact.seq} does not follow {len(book.hashes)}")
        book.hashes.append(fact.hash)

    def same_journal(self, desk: str, facts: list[Any]) -> None:
        """Everything that was on disk is there as it was."""
        book = self.books[desk]
        if [fact.hash for fact in facts[: len(book.hashes)]] != book.hashes:
            self.fail("rewritten", f"{desk}: the journal is not what it was")

    def _name(self, desk: str, ref: str | None) -> str:
        return self._names[desk].get(ref or "", ref or "")

    def _WatchFault(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        self.fail("trouble", f"{desk}: the core failed on {fact.subject}: {body}")

    def _CheckInRecorded(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        raw = self._evidence(desk, body["evidence"]["id"])
        if raw is None:
            self.fail("lost", f"{desk}: fact {fact.seq} has no evidence")
            return
        checkin = json.loads(raw)["id"]
        if checkin in book.recorded:
            self.fail("twice", f"{checkin} is recorded at {book.recorded[checkin]} and {fact.seq}")
        book.recorded[checkin] = fact.seq
        self.note(f"recorded {checkin} {body['outcome']}")
        given = self.given[checkin]
        if given.kind == "retained":
            self.fail("twice", f"{checkin} was retained by the broker and is recorded at {fact.seq}")
        book.said.add((given.kind, given.visit, given.worker))

    def _ArrivalRecorded(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        visit, worker = self._name(desk, fact.subject), self._name(desk, body.get("worker"))
        if (visit, worker) in book.arrived:
            self.fail(
                "twice", f"arrival of {worker} at {visit}: {book.arrived[(visit, worker)]} and {fact.seq}"
            )
        book.arrived[(visit, worker)] = fact.seq
        seen = book.visits.get(visit)
        if seen is not None and seen.arrived_seq is None:
            seen.arrived_seq, seen.arrived_at = fact.seq, self._now()

    def _AlertRaised(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        visit = self._name(desk, body["visit"]) if body.get("visit") else None
        alert = AlertSeen(
            ref=body["alert"],
            kind=body["kind"],
            desk=desk,
            visit=visit,
            reason=body.get("reason", ""),
            raised=self._now(),
            since=self._now(),
        )
        book.alerts[alert.ref] = alert
        self.note(f"alert {alert.kind} {visit or ''} {alert.reason} {alert.ref}")
        seen = book.visits.get(visit or "")
        if seen is not None:
            if alert.kind == "late_visit":
                self._late_alert(seen, fact, alert.reason)
            seen.alerts.append(alert.ref)

    def _late_alert(self, seen: Watched, fact: Any, reason: str) -> None:
        if seen.arrived_seq is not None:
            self.fail(
                "false_alert", f"{seen.row.id}: its arrival is fact {seen.arrived_seq}, its alert {fact.seq}"
            )
        if not self._has_alert(seen, "late_visit"):
            self._in_time(seen)
        at = datetime.fromisoformat(fact.at)
        # *cannot* is an answer and no deadline: it may be read before another telephone's arrival
        for given in self.given.values() if reason != "cannot" else ():
            mine = given.visit == seen.row.id and given.desk == seen.row.desk and given.kind == "arrive"
            if mine and not given.handed_in and self.could_be_read(given.id, at - self.segments[-1].offset):
                self.fail(
                    "hasty_alert", f"{seen.row.id}: {given.id} says that somebody is there, and was not read"
                )
        if at < seen.row.late_at and not seen.excused and not seen.cannot:
            self.fail("early_alert", f"{seen.row.id}: raised at {at}, late at {seen.row.late_at}")

    def _AbsenceReported(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        book.absent[fact.subject] = self._name(desk, body["service_user"])

    def _AbsenceConfirmed(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        book.counts.add(book.absent[fact.subject])

    def _AbsenceEnded(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        person = book.absent[fact.subject]
        book.counts.discard(person)
        book.back[person] = datetime.fromisoformat(fact.at)

    def _PersonDied(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        book.dead.add(self._name(desk, fact.subject))

    def _DeathWithdrawn(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        book.dead.discard(self._name(desk, fact.subject))

    def _VisitAway(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        """Nobody is missed there; only while somebody on the duty list has confirmed that they are away."""
        seen = book.visits[self._name(desk, fact.subject)]
        if seen.row.service_user not in book.counts:
            self.fail("unwatched", f"{seen.row.id} is not watched, and {seen.row.service_user} is not away")
        seen.away = True

    def _VisitBack(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        """It is watched again: no later than its tolerance from now on."""
        seen = book.visits[self._name(desk, fact.subject)]
        at, late_at = datetime.fromisoformat(fact.at), datetime.fromisoformat(body["late_at"])
        if late_at > max(seen.row.late_at, at + (seen.row.late_at - seen.row.agreed)):
            self.fail("unwatched", f"{seen.row.id} is back, and would be late at {late_at} only")
        seen.row.late_at = late_at
        seen.away, seen.counted_from = False, self._now()

    def _AlertTaken(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        self._alert_is(book, fact.subject, "taken")

    def _ActionRecorded(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        if fact.subject in book.alerts:
            book.alerts[fact.subject].steered = True

    def _WorkerAnswered(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        seen = book.visits.get(self._name(desk, fact.subject))
        if seen is not None:
            seen.claimed = seen.claimed or body["answer"] == "there"
            seen.cannot = seen.cannot or body["answer"] == "cannot"

    def _AlertLapsed(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        self._alert_is(book, fact.subject, "open")

    def _AlertGathered(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        book.alerts[fact.subject].incident = body["incident"]

    def _AlertEnded(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        self._alert_is(book, fact.subject, "ended")
        seen = book.visits.get(book.alerts[fact.subject].visit or "")
        if seen is not None and body.get("by"):
            seen.settled = True

    def _alert_is(self, book: Book, ref: str, state: str) -> None:
        alert = book.alerts[ref]
        alert.state, alert.since = state, self._now()
        self.note(f"alert {ref} is {state}")

    def _TrackMoved(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        alert = book.alerts[fact.subject]
        if body["track"] == "summon":
            next_at = body.get("next_at")
            alert.next_at = datetime.fromisoformat(next_at) if next_at else None
            alert.summon = body["step"]

    def _MessageIntended(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        seen = book.messages.setdefault(fact.subject, MessageSeen())
        seen.alert, seen.purpose = body["alert"], body["purpose"]

    def _MessageAttempted(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        seen = book.messages.setdefault(fact.subject, MessageSeen())
        seen.attempts.append(body)
        if body.get("unrecorded_at_send"):
            seen.to_be_marked -= 1

    def _MessageSettled(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        book.messages.setdefault(fact.subject, MessageSeen()).settled = True

    def _PersonReached(self, book: Book, desk: str, fact: Any, body: dict[str, Any]) -> None:  # noqa: N802
        if body.get("message"):
            book.taken.add(body["message"])

    # --- time ---

    def _able_time(self, late_at: datetime, begin: datetime, until: datetime) -> timedelta:
        """How long, between two true instants, the product was able to watch and its clock said "late"."""
        total = timedelta()
        for at, segment in enumerate(self.segments):
            ends = self.segments[at + 1].since if at + 1 < len(self.segments) else until
            if segment.able:
                first = max(segment.since, begin, late_at - segment.offset)
                total += max(timedelta(), min(ends, until) - first)
        return total

    def able_for(self, begin: datetime, until: datetime) -> timedelta:
        """How long, of a span of true time, the product was able to act."""
        total, ends = timedelta(), [*(s.since for s in self.segments[1:]), self._now()]
        for segment, end in zip(self.segments, ends, strict=True):
            if segment.able:
                total += max(timedelta(), min(end, until) - max(segment.since, begin))
        return total

    def steady(self, begin: datetime, until: datetime) -> bool:
        """Whether the product's wall clock was right all through that span of its own time."""
        ends = [*(s.since for s in self.segments[1:]), self._now()]
        return not any(
            s.offset and s.since - abs(s.offset) <= until and end + abs(s.offset) >= begin
            for s, end in zip(self.segments, ends, strict=True)
        )

    def _in_time(self, seen: Watched) -> None:
        """Up to now the visit was not without its alert for longer than it may be."""
        if seen.excused or seen.away or seen.row.cancelled:
            return
        if seen.arrived_seq is not None or seen.handed_in is not None:
            return
        open_for = self._able_time(seen.row.late_at, seen.counted_from, self._now())
        if open_for > BOUND:
            self.fail(
                "no_alert", f"{seen.row.id}: late at {seen.row.late_at}, without an alert for {open_for}"
            )

    def _has_alert(self, seen: Watched, kind: str) -> bool:
        alerts = self.books[seen.row.desk].alerts
        return any(alerts[ref].kind == kind for ref in seen.alerts)

    def look_round(self) -> None:
        """Every few minutes: nothing is overdue, no ladder is silent."""
        for desk, book in self.books.items():
            for seen in book.visits.values():
                if not self._has_alert(seen, "late_visit"):
                    self._in_time(seen)
                self._second_in_time(book, seen)
                self._back_again(book, seen)
            if self._able_for(BOUND):
                self._ladders(desk, book)

    def _back_again(self, book: Book, seen: Watched) -> None:
        """Who is not away any more is missed at every visit that is still to be made."""
        row, back = seen.row, book.back.get(seen.row.service_user)
        if not seen.away or row.cancelled or row.service_user in book.counts or back is None:
            return
        been_there = sum(1 for visit, _ in book.arrived if visit == row.id)
        if row.end > back and been_there < len(row.workers):
            self.fail("unwatched", f"{row.id}: {row.service_user} is not away, and nobody is missed there")

    def _second_in_time(self, book: Book, seen: Watched) -> None:
        """With one of two there, the missing one is an alert of its own."""
        row = seen.row
        arrived = sum(1 for visit, _ in book.arrived if visit == row.id)
        if not 0 < arrived < len(row.workers) or seen.excused or seen.settled or row.cancelled or seen.away:
            return
        waited = self._able_time(
            row.late_at, max(seen.counted_from, seen.arrived_at or self._now()), self._now()
        )
        if waited > BOUND and not self._has_alert(seen, "second_worker_missing"):
            self.fail(
                "no_alert",
                f"{row.id}: {arrived} of {len(row.workers)} are there, nobody is told for {waited}",
            )

    def _able_for(self, span: timedelta) -> bool:
        last = self.segments[-1]
        return last.able and self._now() - last.since > span

    def _ladders(self, desk: str, book: Book) -> None:
        wall = self._now() + self.segments[-1].offset
        for alert in book.alerts.values():
            if alert.state != "open" or alert.summon == "skipped":
                continue
            if alert.next_at is None or alert.next_at < wall - BOUND:
                self.fail(
                    "silent_ladder",
                    f"{alert.ref} ({alert.kind}) is open and its next moment is {alert.next_at}",
                )

    # --- the end ---

    def all_offered(self, healed_at: datetime) -> None:
        """Ten minutes after the last fault: every open alert was offered to somebody who is on duty."""
        for book in self.books.values():
            digests = [a for a in book.alerts.values() if a.reason == "while_down" and a.kind == "incident"]
            for alert in book.alerts.values():
                if alert.summon == "skipped":
                    incident = book.alerts.get(alert.incident or "")
                    rests = incident is not None and incident.state != "ended"
                    if alert.state != "ended" and not digests and not rests:
                        self.fail(
                            "not_offered", f"{alert.ref} is in a digest or incident that does not exist"
                        )
                elif alert.state == "open" and not self._offered(book, alert, healed_at):
                    self.fail(
                        "not_offered",
                        f"{alert.ref} ({alert.kind}, {alert.visit}) was offered to nobody on duty",
                    )
                if alert.kind == "late_visit" and alert.raised >= healed_at and alert.state != "ended":
                    self._reassured(book, alert)

    def _offered(self, book: Book, alert: AlertSeen, healed_at: datetime) -> bool:
        since = max(healed_at, alert.since or alert.raised)
        if self._now() - since < OFFERED:
            return True
        on_duty = book.on_duty(since) | book.on_duty(self._now())
        return any(person in on_duty for at, person in alert.people if at >= alert.raised)

    def _reassured(self, book: Book, alert: AlertSeen) -> None:
        seen = book.visits.get(alert.visit or "")
        if alert.steered or seen is None or seen.claimed or seen.row.service_user not in book.plain:
            return  # whether what was done instead is right is for the procedure's own rules
        waited = self._now() - alert.raised
        if book.public != "off" and waited > book.holds_public + timedelta(minutes=1) and not alert.public:
            self.fail(
                "not_reassured",
                f"{alert.ref}: nobody has contacted the service user of {alert.visit} for {waited}",
            )

    def all_kept(self) -> None:
        """Everything that was acknowledged, whenever that was, is in the journal: itself, or what it said twice."""
        for given in self.given.values():
            if given.acknowledged and given.id not in self.books[given.desk].recorded:
                said = (given.kind, given.visit, given.worker)
                if said not in self.books[given.desk].said:
                    self.fail(
                        "lost",
                        f"{given.id} ({given.kind} {given.visit}): acknowledged, and not in the journal",
                    )
        for book in self.books.values():
            for key, seen in book.messages.items():
                if seen.to_be_marked > 0:
                    self.fail(
                        "unmarked_send", f"{key} left before it was on disk, and its attempt does not say so"
                    )


def _seconds(text: str | None) -> timedelta | None:
    if text is None:
        return None
    return timedelta(seconds=int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]])


def _part(value: object) -> bytes:
    if value is None:
        return b"\xff" * 4
    text = str(value).encode()
    return len(text).to_bytes(4, "big") + text


def chain(desk: str, fact: Any) -> bytes:
    """The formula of docs/interface.md, "The chain"."""
    fields = (
        desk,
        fact.seq,
        fact.at,
        fact.due_at,
        fact.kind,
        fact.v,
        fact.subject,
        fact.cause,
        fact.people_rev,
        fact.policy,
        fact.body,
    )
    return hashlib.sha256(fact.prev + b"".join(map(_part, fields))).digest()


def duty_at(shifts: Iterable[Any], zone: str, holidays: frozenset[Any], at: datetime) -> frozenset[str]:
    """Who is on duty: whose hours hold, else everybody who has none; and the managers, always."""
    shifts = list(shifts)
    local = at.astimezone(ZoneInfo(zone))
    minute, day = local.hour * 60 + local.minute, local.date()

    def holds(shift: Any) -> bool:
        counts = shift.holidays if day in holidays else day.weekday() in shift.days
        return bool(counts and shift.start <= minute < shift.until)

    now = {s.person for s in shifts if (s.days or s.holidays) and holds(s)}
    others = {s.person for s in shifts if not s.days and not s.holidays}
    return frozenset((now or others) | {s.person for s in shifts if s.role == "manager"})
