"""Stores under contract: how each adapter is made, started again; and facts to put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from connectors.memory_store import MemoryStore
from connectors.ports import (
    EvidenceRow,
    Head,
    Leadership,
    PeopleRow,
    Record,
    Store,
    chain_hash,
)
from connectors.redis_store import RedisStore, read_address
from connectors.sqlite_store import SqliteStore
from tests.redis_server import RedisServer

DESK = "bromley-north"
OTHER = "lewisham"
AT = "2026-11-03T08:00:00.123456Z"


def fact(
    desk: str, after: Head, body: str = '{"place":"consistent"}', kind: str = "ArrivalRecorded"
) -> Record:
    """The next fact of a desk."""
    seq = after.seq + 1
    values = (seq, AT, None, kind, 1, f"v-{seq}", "i-1", 7, "p-abc", body)
    return Record(
        seq=seq,
        at=AT,
        due_at=None,
        kind=kind,
        v=1,
        subject=f"v-{seq}",
        cause="i-1",
        people_rev=7,
        policy="p-abc",
        body=body,
        prev=after.hash,
        hash=chain_hash(after.hash, desk, *values),
    )


def facts(count: int, desk: str = DESK, after: Head | None = None, body: str = '{"n":1}') -> list[Record]:
    """A run of facts that follow `after`."""
    made, head = [], after or Head()
    for _ in range(count):
        made.append(fact(desk, head, body))
        head = head_of(made)
    return made


def head_of(records: Sequence[Record]) -> Head:
    """Where a journal of these facts ends."""
    return Head(seq=records[-1].seq, hash=records[-1].hash) if records else Head()


def person(ref: str = "p-1", body: bytes | None = b"Edith", rev: int = 1, outside: str = "su-1") -> PeopleRow:
    """A service user's row."""
    return PeopleRow(ref=ref, kind="person", outside=outside, rev=rev, body=body)


def evidence(row_id: str = "e-1", body: bytes = b"raw") -> EvidenceRow:
    """A row of evidence."""
    return EvidenceRow(id=row_id, subject="v-1", keep_until="2033-01-01T00:00:00Z", salt=b"salt", body=body)


class Journalist:
    """Appends like an engine: leads, keeps its head, one append at a time."""

    def __init__(self, store: Store, leadership: Leadership, head: Head) -> None:
        self.store, self.leadership, self.head = store, leadership, head

    @classmethod
    async def begin(cls, store: Store, desk: str = DESK) -> Journalist:
        """Take the lead and go to the end of the journal."""
        leadership = await store.lead(desk)
        return cls(store, leadership, (await store.load(desk)).head)

    async def write(self, count: int = 1, body: str = '{"n":1}') -> list[Record]:
        """Append facts; answers with them when they are durable."""
        made = facts(count, self.leadership.desk, self.head, body)
        self.head = await self.store.append(self.leadership, self.head, made)
        return made


class Adapter:
    """One Store as the contract suite sees it. A new adapter adds a subclass and its name to `ADAPTERS`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> Store:
        """The store as a new process would make it: what was durable is there."""
        raise NotImplementedError

    def end(self) -> None:
        """The test is over."""


class Sqlite(Adapter):
    """The real one, in a folder."""

    def make(self) -> Store:
        return SqliteStore(self.folder)


class Memory(Adapter):
    """The one of the simulation: the object outlives its process."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._store = MemoryStore()

    def make(self) -> Store:
        return self._store


class Shared(Adapter):
    """The one in a server: Debian's redis-server, or Valkey."""

    kind = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = RedisServer(folder / "server", self.kind).start()

    def make(self) -> RedisStore:
        return RedisStore(read_address(self.server.url), self.folder)

    def end(self) -> None:
        self.server.kill()


class SharedValkey(Shared):
    """The same on the other server."""

    kind = "valkey"


ADAPTERS: dict[str, Callable[[Path], Adapter]] = {
    "sqlite": Sqlite,
    "memory": Memory,
    "redis": Shared,
    "valkey": SharedValkey,
}
