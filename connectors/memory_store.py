"""A Store in memory: for the simulation and for tests. Deterministic, without threads and without real time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import Struct

from connectors.journal import head_of, judge_append, judge_snapshot, must_follow
from connectors.ports import (
    GENESIS,
    EvidenceRow,
    Head,
    Leadership,
    Loaded,
    PeopleRow,
    Reason,
    Record,
    Snapshot,
    StoreRefused,
    StoreUnavailable,
)


class _Desk(Struct, kw_only=True):
    secret: bytes
    fence: int = 0
    facts: list[Record] = msgspec.field(default_factory=list)
    people: dict[tuple[str, str], PeopleRow] = msgspec.field(default_factory=dict)
    evidence: dict[str, EvidenceRow] = msgspec.field(default_factory=dict)
    snapshots: list[Snapshot] = msgspec.field(default_factory=list)
    input_position: str | None = None

    @property
    def head(self) -> Head:
        return head_of(self.facts[-1]) if self.facts else Head()


class _Append(Struct, frozen=True, kw_only=True):
    leadership: Leadership
    expected: Head
    facts: tuple[Record, ...]
    people: tuple[PeopleRow, ...]
    evidence: tuple[EvidenceRow, ...]
    input_position: str | None


class MemoryStore:
    """What is "on disk" here outlives `crash()`, and the process that comes after opens the same object again.

    `commit_pause` is awaited by every append before it becomes durable: the simulated commit. `secret_seed` decides
    the desks' secrets, so that a run can be repeated.
    """

    def __init__(
        self, commit_pause: Callable[[], Awaitable[None]] | None = None, secret_seed: bytes = b"memory"
    ) -> None:
        self._commit_pause = commit_pause or _one_turn
        self._secret_seed = secret_seed
        self._desks: dict[str, _Desk] = {}
        self._pending: dict[int, _Append] = {}
        self._tickets = 0
        self._life = 0
        self._is_open = False
        self._broken: Reason | None = None
        self._settled: asyncio.Event | None = None

    # --- faults ---

    def crash(self, *, landed: int = 0) -> None:
        """The process dies now: appends under way are lost, their callers get StoreUnavailable, as does everybody
        until the next `open`.

        The first `landed` of the appends under way reach the disk all the same, though nobody was told: the crash
        between commit and answer.
        """
        for append in list(self._pending.values())[:landed]:
            self._write(append)
        self._pending.clear()
        self._life += 1
        self._is_open = False

    def break_with(self, reason: Reason) -> None:
        """From now on the disk takes nothing (also what is under way); reading still works."""
        self._broken = reason

    def mend(self) -> None:
        """The disk is back."""
        self._broken = None

    @property
    def pending(self) -> int:
        """Appends under way."""
        return len(self._pending)

    # --- the port ---

    async def open(self) -> None:
        """Ready for use. Raises StoreRefused(locked) when it is open already."""
        if self._is_open:
            raise StoreRefused("locked", "this store is open already", permanent=True)
        self._is_open = True

    async def close(self) -> None:
        """Waits for the appends under way. Safe to call twice."""
        while self._pending and self._is_open:
            self._settled = asyncio.Event()
            await self._settled.wait()
        self._is_open = False

    async def lead(self, desk: str) -> Leadership:
        """A fence higher than any before. Raises StoreUnavailable."""
        self._writable()
        if desk not in self._desks:
            secret = hashlib.sha256(self._secret_seed + b"\0" + desk.encode()).digest()
            self._desks[desk] = _Desk(secret=secret)
        self._desks[desk].fence += 1
        return Leadership(desk=desk, fence=self._desks[desk].fence)

    async def load(self, desk: str) -> Loaded:
        """As the port says; a desk that nobody led yet is empty, with an empty secret."""
        self._readable()
        found = self._desks.get(desk) or _Desk(secret=b"")
        snapshots = tuple(reversed(found.snapshots))
        people = tuple(found.people[key] for key in sorted(found.people))
        return Loaded(
            head=found.head,
            snapshots=snapshots,
            tail=tuple(found.facts[snapshots[-1].head.seq if snapshots else 0 :]),
            people=people,
            people_rev=max((row.rev for row in people), default=0),
            input_position=found.input_position,
            secret=found.secret,
        )

    async def append(
        self,
        leadership: Leadership,
        expected_head: Head,
        facts: Sequence[Record],
        people: Sequence[PeopleRow] = (),
        evidence: Sequence[EvidenceRow] = (),
        input_position: str | None = None,
    ) -> Head:
        """As the port says. Judged before the pause and again after it; durable when it returns."""
        must_follow(expected_head, facts)
        append = _Append(
            leadership=leadership,
            expected=expected_head,
            facts=tuple(facts),
            people=tuple(people),
            evidence=tuple(evidence),
            input_position=input_position,
        )
        self._writable()
        self._judge(append)
        ticket, life = self._begin(append)
        try:
            await self._commit_pause()
            if life != self._life:
                raise StoreUnavailable("unreachable", "the process died before the commit")
            self._writable()
            return self._write(append)
        finally:
            self._pending.pop(ticket, None)
            if self._settled is not None:
                self._settled.set()

    async def facts(self, desk: str, after: int, limit: int = 1000) -> list[Record]:
        """Durable facts with seq > `after`, in order."""
        self._readable()
        found = self._desks.get(desk)
        return found.facts[max(after, 0) :][: max(limit, 0)] if found else []

    async def evidence(self, desk: str, evidence_id: str) -> EvidenceRow | None:
        """One row of evidence, or None."""
        self._readable()
        found = self._desks.get(desk)
        return found.evidence.get(evidence_id) if found else None

    async def save_snapshot(self, leadership: Leadership, snapshot: Snapshot) -> None:
        """Keep it and the one before it. Raises StoreFenced, StoreUnavailable."""
        self._writable()
        desk = self._desks.get(leadership.desk)
        fence, known = (desk.fence, _hash_at(desk, snapshot.head.seq)) if desk else (None, None)
        judge_snapshot(fence, known, leadership, snapshot.head)
        assert desk is not None
        others = [kept for kept in desk.snapshots if kept.head.seq != snapshot.head.seq]
        desk.snapshots = sorted([*others, snapshot], key=lambda kept: kept.head.seq)[-2:]

    async def probe(self) -> None:
        """Raises StoreUnavailable while the store is broken or closed."""
        self._writable()

    # --- inside ---

    def _readable(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("unreachable", "the store is not open")

    def _writable(self) -> None:
        self._readable()
        if self._broken is not None:
            raise StoreUnavailable(self._broken, f"broken on purpose: {self._broken}")

    def _begin(self, append: _Append) -> tuple[int, int]:
        self._tickets += 1
        self._pending[self._tickets] = append
        return self._tickets, self._life

    def _judge(self, append: _Append) -> bool:
        desk = self._desks.get(append.leadership.desk)
        fence, head = (desk.fence, desk.head) if desk else (None, Head())
        return judge_append(fence, head, append.leadership, append.expected, append.facts) == "write"

    def _write(self, append: _Append) -> Head:
        if not self._judge(append):
            return head_of(append.facts[-1])
        desk = self._desks[append.leadership.desk]
        desk.facts.extend(append.facts)
        desk.people.update({(row.kind, row.ref): row for row in append.people})
        for row in append.evidence:
            desk.evidence.setdefault(row.id, row)
        if append.input_position is not None:
            desk.input_position = append.input_position
        return desk.head


def _hash_at(desk: _Desk, seq: int) -> bytes | None:
    if seq == 0:
        return GENESIS
    return desk.facts[seq - 1].hash if seq <= len(desk.facts) else None


async def _one_turn() -> None:
    await asyncio.sleep(0)
