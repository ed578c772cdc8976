"""The embedded store: one SQLite database in the data folder, one writer thread, groups that commit together.

Every append of every desk that arrives while a commit runs goes into the next one, judged by itself: a refused
append harms no other in its group. Why it is built so, and what it costs: docs/decisions/0002-sqlite-store.md.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from connectors import journal
from connectors import sqlite_rows as rows
from connectors.ports import (
    EvidenceRow,
    Head,
    Leadership,
    Loaded,
    PeopleRow,
    Record,
    Snapshot,
    StoreRefused,
    StoreUnavailable,
)
from connectors.sqlite_copy import backup, verify
from connectors.sqlite_files import Folder, as_refused, ask_disk, edge_error, refused, unavailable
from connectors.sqlite_threads import Checkpointer, Job, Pace, Readers, Writer

__all__ = ["SqliteStore", "backup", "verify"]

T = TypeVar("T")

PART_BYTES = 1 << 20
"""A snapshot is written in parts of this size, a commit each, so that no append waits for all of it."""
PART_WEIGHT = 1000
"""What a part counts for in a group, in rows."""


class SqliteStore:
    """`connectors.ports.Store` in one folder of this machine. One process at a time; `verify` and `backup` may look on.

    `patience_s`: how long an append waits for a disk that hangs before it raises StoreUnavailable(unreachable).
    `busy_s`: how long it waits for a lock that another process holds on the database. `linger_s` and
    `linger_above_per_s`: the pause that lets a group grow, and the rate above which it is made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        patience_s: float = 5.0,
        busy_s: float = 0.25,
        linger_s: float = 0.0015,
        linger_above_per_s: float = 1000.0,
        checkpoint_every_s: float = 2.0,
    ) -> None:
        self._folder = Folder(folder, busy_s)
        self._patience_s = patience_s
        self._linger_s = linger_s
        self._pace = Pace(linger_above_per_s)
        self._checkpoint_every_s = checkpoint_every_s
        self._writer: Writer | None = None
        self._checkpointer: Checkpointer | None = None
        self._readers: Readers | None = None

    async def open(self) -> None:
        """Ready for use; makes the folder (0700) and the database (0600) when missing.

        Raises StoreRefused: `locked` (another process; the text names its pid), `newer_format`, `corrupt`,
        `read_only`, `full`, `unreachable`.
        """
        if self._writer is not None:
            raise StoreRefused("locked", "this store is open already", permanent=True)
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._open, loop)

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._folder.hold()
            self._writer = Writer(self._folder, loop, self._linger_s, self._pace)
        except sqlite3.Error as exc:
            self._folder.release()
            raise as_refused(edge_error(exc, self._folder.path)) from exc
        except BaseException:
            self._folder.release()
            raise
        self._readers = Readers(self._folder)
        self._checkpointer = Checkpointer(self._folder, self._writer, self._checkpoint_every_s)

    async def close(self) -> None:
        """Writes what waits, then gives the lock back. Safe to call twice; bounded by `patience_s` per thread.

        A writer that hangs in the disk keeps the lock until the process ends: it might still commit.
        """
        writer, checkpointer, readers = self._writer, self._checkpointer, self._readers
        self._writer = self._checkpointer = self._readers = None
        if writer is None or checkpointer is None or readers is None:
            return
        await asyncio.to_thread(checkpointer.stop, self._patience_s)
        await asyncio.to_thread(readers.close, self._patience_s)
        if await asyncio.to_thread(writer.stop, self._patience_s):
            self._folder.release()

    async def lead(self, desk: str) -> Leadership:
        """A fence higher than any before, on disk when it returns; makes the desk and its secret the first time.

        Raises StoreUnavailable, StoreRefused(corrupt).
        """
        lead: Leadership = await self._write(partial(rows.Ledger.lead, name=desk))
        return lead

    async def append(
        self,
        leadership: Leadership,
        expected_head: Head,
        facts: Sequence[Record],
        people: Sequence[PeopleRow] = (),
        evidence: Sequence[EvidenceRow] = (),
        input_position: str | None = None,
    ) -> Head:
        """All or nothing, durable when it returns; commits together with what other desks append meanwhile.

        One append per desk at a time: call it again only when the one before has returned. After StoreUnavailable,
        a cancellation or a crash, call it with **the very same arguments** until it returns; if an earlier try did
        reach the disk after all, that is recognised by the hash of its last fact and nothing is written twice.
        People rows replace (`body` None erases the details, from the free pages and the WAL too, within seconds);
        of evidence with a known id the first row stays. `input_position` None leaves the old one.

        Raises StoreFenced (`fenced`, `head_moved`): stop at once. StoreUnavailable (`full`, `read_only`, `locked`,
        `unreachable`): try again. StoreRefused(`corrupt`). EdgeError(`undecodable`): a value that no database
        takes; only this append is refused. ValueError: facts that do not follow `expected_head`.
        """
        journal.must_follow(expected_head, facts)
        append = rows.Append(
            leadership=leadership,
            expected=expected_head,
            facts=tuple(facts),
            people=tuple(people),
            evidence=tuple(evidence),
            input_position=input_position,
        )
        weight = 1 + len(append.facts) + len(append.people) + len(append.evidence)
        head: Head = await self._write(partial(rows.Ledger.append, append=append), weight)
        return head

    async def save_snapshot(self, leadership: Leadership, snapshot: Snapshot) -> None:
        """Keep it and the one before it. In parts, so that appends go on in between; one at a time per desk.

        Raises StoreFenced (`fenced`; `head_moved`: taken at a fact that is not on disk), StoreUnavailable.
        """
        made = await self._write(partial(rows.begin_snapshot, leadership=leadership, snapshot=snapshot))
        parts = [snapshot.body[i : i + PART_BYTES] for i in range(0, len(snapshot.body), PART_BYTES)]
        for number, part in enumerate(parts):
            write = partial(rows.write_part, snapshot=made, number=number, part=part)
            await self._write(write, PART_WEIGHT)
        old = await self._write(
            partial(
                rows.finish_snapshot, leadership=leadership, head=snapshot.head, made=made, parts=len(parts)
            )
        )
        for part_id in old:
            await self._write(partial(rows.drop_part, part=part_id), PART_WEIGHT)
        await self._write(partial(rows.forget_snapshots, leadership=leadership))

    async def probe(self) -> None:
        """A real commit of a few bytes, and room for some more. Raises StoreUnavailable while it cannot be written.

        The room is asked for apart: a WAL that has grown takes small commits for a while on a disk that is full.
        """
        trouble = await self._patiently(self._reading().run(lambda _: ask_disk(self._folder.path)))
        if trouble is not None:
            raise unavailable(trouble, self._folder.path)
        await self._write(rows.Ledger.probe)

    async def load(self, desk: str) -> Loaded:
        """Everything needed to fold the desk's state, as of one moment; a desk that nobody led yet is empty.

        The order of the tail and its links are checked, its hashes are not (`verify` does that): a watch with one
        flipped byte is worth more than none. A snapshot of a fact that the journal does not hold is left out.
        Raises StoreUnavailable, StoreRefused(corrupt).
        """
        loaded = await self._reading().run(lambda conn: rows.load(conn, desk))
        if loaded is None:
            raise refused("corrupt", self._folder.path)
        return loaded

    async def facts(self, desk: str, after: int, limit: int = 1000) -> list[Record]:
        """Durable facts with seq > `after`, in order. Raises StoreUnavailable, StoreRefused(corrupt)."""
        return await self._patiently(self._reading().run(lambda conn: rows.facts(conn, desk, after, limit)))

    async def evidence(self, desk: str, evidence_id: str) -> EvidenceRow | None:
        """One row of evidence, or None (never kept, or erased). Raises StoreUnavailable."""
        return await self._patiently(self._reading().run(lambda conn: rows.evidence(conn, desk, evidence_id)))

    def _reading(self) -> Readers:
        if self._readers is None:
            raise StoreUnavailable("unreachable", "the store is not open")
        return self._readers

    async def _write(self, write: Callable[[rows.Ledger], Any], weight: int = 1) -> Any:
        if self._writer is None:
            raise StoreUnavailable("unreachable", "the store is not open")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.submit(Job(write, weight, future))
        return await self._patiently(future)

    async def _patiently(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._patience_s):
                return await answer
        except TimeoutError as exc:
            raise unavailable("unreachable", self._folder.path) from exc
