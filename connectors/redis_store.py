"""The shared store: Redis or Valkey, one function of Lua per append, many appends in one round trip.

Code: this file (the port), `redis_writer.py` (groups), `redis_link.py` (a connection, errors, what a server must
promise), `redis_rows.py` (keys and bytes), `redis_lua/` (what the server runs), `redis_copy.py` (verify). Why, and how
several processes will share it: docs/decisions/0009-redis-store.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from connectors import journal
from connectors import redis_rows as rows
from connectors.folder_lock import lock_folder
from connectors.ports import (
    FORMAT,
    GENESIS,
    EdgeError,
    EvidenceRow,
    Head,
    Leadership,
    Loaded,
    PeopleRow,
    Record,
    Snapshot,
    StoreFenced,
    StoreRefused,
)
from connectors.redis_copy import verify
from connectors.redis_link import (
    Address,
    Command,
    Line,
    as_refused,
    corrupt,
    edge_error,
    ended,
    patience,
    read_address,
    unavailable,
)
from connectors.redis_writer import APPEND, LEAD, RENEW, SNAPSHOT, Writer, call, not_open

__all__ = ["RedisStore", "read_address", "verify"]

log = structlog.get_logger("callwatch.store")

PAGE = 500
"""Facts or rows a round trip: half a millisecond of the server, a few of the loop on a small machine."""
MANY = 2000
"""Above it rows are encoded off the loop."""
PART_BYTES = 1 << 20
"""A snapshot is written in parts of this size, so that no append waits for all of it."""
READERS = 4
INSTANCE = "instance.id"
COMPACT_S = 60.0
"""After an erasure the server is asked to write its file anew, at most this often."""


class RedisStore:
    """`connectors.ports.Store` in a Redis or Valkey that promises what `redis_link.WANTED` says.

    `folder`: the daemon's data folder. Its lock keeps a second process of this machine out, and the instance it names
    takes its leases up again at once after a crash; without it this object is an instance of its own. `patience_s`:
    how long anything waits for the server. `lease_s`: how long a desk stays ours when we are not heard of.
    """

    def __init__(
        self, address: Address, folder: Path | None = None, *, patience_s: float = 5.0, lease_s: float = 10.0
    ) -> None:
        self._address = address
        self._folder = folder
        self._patience_s = patience_s
        self._lease_s = lease_s
        self._writer: Writer | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._readers: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        self._lock_fd: int | None = None
        self._who = ""
        self._tries: dict[Leadership, int] = {}
        self._erased = False

    # --- life ---

    async def open(self) -> None:
        """Ready for use: the server promises what it must, its format is ours, a write went through.

        Raises StoreRefused: `not_configured` (the text names each setting with what was expected), `newer_format`,
        `unauthorised`, `unreachable`, `read_only`, `full`, `locked` (this machine runs another on the same folder).
        """
        if self._writer is not None:
            raise StoreRefused("locked", "this store is open already", permanent=True)
        self._who = await asyncio.to_thread(self._claim)
        self._writer = Writer(Line(self._address, self._patience_s, checked=True))
        try:
            await self._write(("HSETNX", rows.HEADER, "format", FORMAT))
            await self._write(("HSETNX", rows.HEADER, "min_reader", 1))
            await self.probe()
        except EdgeError as error:
            await self.close()
            raise as_refused(error) from error
        except BaseException:
            await self.close()
            raise
        for _ in range(READERS):
            self._readers.put_nowait(Line(self._address, self._patience_s))
        self._keeper = asyncio.create_task(self._keep(), name="redis:lease")

    def _claim(self) -> str:
        label = f"{socket.gethostname()} pid {os.getpid()}"
        if self._folder is None:
            return f"{secrets.token_hex(16)} {label}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_fd = lock_folder(self._folder)
            return f"{_instance(self._folder / INSTANCE)} {label}"
        except OSError as error:
            self._unlock()
            text = f"the folder {self._folder} cannot be used: {error.strerror}"
            raise StoreRefused("unreachable", text, permanent=True) from error

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    async def close(self) -> None:
        """Writes what waits, gives the desks back. Safe to call twice; bounded by `patience_s` a step."""
        writer, self._writer, keeper, self._keeper = self._writer, None, self._keeper, None
        if keeper is not None:
            await ended(keeper)
        if writer is not None:
            for leadership in self._tries:
                writer.submit(self._renewal(leadership, 0)).add_done_callback(_heard)
            await writer.stop(self._patience_s)
        while not self._readers.empty():
            await self._readers.get_nowait().drop()
        self._tries.clear()
        self._unlock()

    # --- leading ---

    async def lead(self, desk: str) -> Leadership:
        """A fence higher than any before, on disk when it returns; makes the desk and its secret the first time.

        A lease of another process is waited for, as long as one lasts: who keeps it alive refuses us (`locked`).
        Raises StoreUnavailable, StoreRefused(locked, corrupt).
        """
        key = rows.keys(desk)
        values = (self._who, self._lease_ms, secrets.token_bytes(32), GENESIS)
        ends = asyncio.get_running_loop().time() + self._lease_s * 1.25
        while True:
            said, *rest = await self._write(call(LEAD, (key.desk, key.journal, key.lease), values))
            if said == b"leads":
                return self._leads(Leadership(desk=desk, fence=int(rest[0])))
            if said != b"held":
                raise corrupt(self._address)
            left_s = max(int(rest[1]), 0) / 1000
            if asyncio.get_running_loop().time() + min(left_s, 0.05) > ends:
                raise self._held(desk, rest[0])
            await asyncio.sleep(min(left_s + 0.001, 0.25))

    def _leads(self, leadership: Leadership) -> Leadership:
        self._tries = {other: n for other, n in self._tries.items() if other.desk != leadership.desk}
        self._tries[leadership] = 0
        return leadership

    def _held(self, desk: str, by: bytes) -> StoreRefused:
        label = by.decode(errors="replace").partition(" ")[2]
        text = f"another callwatch process ({label}) leads {desk} in {self._address.shown}; stop it first"
        return StoreRefused("locked", text, permanent=True)

    @property
    def _lease_ms(self) -> int:
        return int(self._lease_s * 1000)

    def _renewal(self, leadership: Leadership, lease_ms: int) -> Command:
        key = rows.keys(leadership.desk)
        return call(RENEW, (key.desk, key.lease), (leadership.fence, self._who, lease_ms))

    async def _keep(self) -> None:
        """Renew the leases, ask the server again what it promises, tidy up after erasures."""
        compacted = -COMPACT_S
        while True:
            await asyncio.sleep(self._lease_s / 3)
            now = asyncio.get_running_loop().time()
            try:
                await self._renew()
                await self._ask_again()
                if self._erased and now - compacted >= COMPACT_S:
                    self._erased, compacted = False, now
                    await self._compact()
            except Exception as error:  # noqa: BLE001 - without this task the leases lapse: it outlives every surprise
                log.error("store keeper failed", error=type(error).__name__)

    async def _renew(self) -> None:
        renewals = [self._write(self._renewal(held, self._lease_ms)) for held in list(self._tries)]
        # whoever appends next is told what is wrong; a lease that lapsed is taken again when the server is back
        await asyncio.gather(*renewals, return_exceptions=True)

    async def _ask_again(self) -> None:
        """A setting may be changed while the server runs: the next append is then refused, not lost."""
        assert self._writer is not None
        try:
            async with self._reader() as line:
                await line.inspect()
        except EdgeError as error:
            if error.reason != "unreachable":  # that is found by who writes
                log.error("store cannot be trusted", reason=error.reason)
                self._writer.distrust()

    async def _compact(self) -> None:
        """What was erased still stands in the append-only file until it is written anew."""
        try:
            await self._ask(("BGREWRITEAOF",))
        except EdgeError as error:
            log.warning("store was not compacted", reason=error.reason)
            self._erased = True

    # --- writing ---

    async def append(
        self,
        leadership: Leadership,
        expected_head: Head,
        facts: Sequence[Record],
        people: Sequence[PeopleRow] = (),
        evidence: Sequence[EvidenceRow] = (),
        input_position: str | None = None,
    ) -> Head:
        """All or nothing, in the server's synced file when it returns; goes out with what other desks append.

        One append per desk at a time. After StoreUnavailable, a cancellation or a crash, call it with **the very same
        arguments** until it returns: one that did arrive is known by its last hash, and one that arrives late, after
        a newer one, by its number, and does nothing. Raises as `connectors.sqlite_store.SqliteStore.append`.
        """
        journal.must_follow(expected_head, facts)
        rows_of = [facts, people, evidence]
        values = await self._encoded(facts, people, evidence)
        tried = self._tries[leadership] = self._tries.get(leadership, 0) + 1
        position = b"" if input_position is None else b"=" + _text(input_position)
        head = (leadership.fence, tried, expected_head.seq, expected_head.hash, position)
        key = rows.keys(leadership.desk)
        command = call(
            APPEND,
            (key.desk, key.journal, key.people, key.evidence),
            (*head, *map(len, rows_of), *values),
        )
        answer = await self._write(command)
        if answer[0] != b"written":
            self._judge(answer, leadership, expected_head, facts)
        self._erased = self._erased or any(row.body is None for row in people)
        return journal.head_of(facts[-1]) if facts else expected_head

    def _judge(
        self, answer: Sequence[Any], leadership: Leadership, expected: Head, facts: Sequence[Record]
    ) -> None:
        """Returns when it was written by an earlier try; raises otherwise."""
        if answer[0] != b"judge":
            raise corrupt(self._address)
        fence, _, seq, digest = answer[1:]
        there = Head() if seq is None else Head(seq=int(seq), hash=digest)
        judgement = journal.judge_append(
            None if fence is None else int(fence), there, leadership, expected, facts
        )
        if judgement == "write":
            # overtaken by a later try of its own: nobody waits for this one, and if so it may come again
            raise unavailable("unreachable", self._address)

    async def _encoded(
        self, facts: Sequence[Record], people: Sequence[PeopleRow], evidence: Sequence[EvidenceRow]
    ) -> list[bytes]:
        def encode() -> list[bytes]:
            return [
                *rows.fact_values(facts),
                *rows.people_values(people),
                *rows.evidence_values(evidence),
            ]

        try:
            if len(facts) + len(people) + len(evidence) > MANY:
                return await asyncio.to_thread(encode)
            return encode()
        except (ValueError, OverflowError, TypeError):
            # the value itself may be a person's: it is neither named nor chained
            raise _undecodable() from None

    async def save_snapshot(self, leadership: Leadership, snapshot: Snapshot) -> None:
        """Keep it and the one before it. In parts, so that appends go on in between; one at a time per desk.

        Raises StoreFenced (`fenced`; `head_moved`: taken at a fact that is not on disk), StoreUnavailable.
        """
        key, at = rows.keys(leadership.desk), snapshot.head
        scope = (key.desk, key.journal, key.snapshots)
        judged = (leadership.fence, at.seq, at.hash)
        begun = await self._write(call(SNAPSHOT, scope, (*judged, "", "", 0)))
        number, old = self._begun(begun, leadership, at)
        parts = [snapshot.body[i : i + PART_BYTES] for i in range(0, len(snapshot.body), PART_BYTES)]
        for n, part in enumerate(parts):
            await self._write(("HSET", key.parts(number), n, part))
        note = rows.meta(at, snapshot.version, len(parts))
        done = await self._write(
            call(SNAPSHOT, (*scope, key.parts(number)), (*judged, number, note, len(parts)))
        )
        _, more = self._begun(done, leadership, at)
        for one in {*old, *more}:
            await self._write(("UNLINK", key.parts(one)))
            await self._write(("HDEL", key.snapshots, one))

    def _begun(self, answer: Sequence[Any], leadership: Leadership, at: Head) -> tuple[int, list[int]]:
        if answer[0] == b"ok":
            number, *old = (int(text) for text in answer[1:])
            return number, old
        fence, known, _ = answer[1:]
        journal.judge_snapshot(None if fence is None else int(fence), known, leadership, at)
        raise StoreFenced("head_moved", "the parts of a snapshot were taken away", permanent=True)

    async def probe(self) -> None:
        """A real write, synced. Raises StoreUnavailable while it cannot be made."""
        await self._write(("HINCRBY", rows.HEADER, "probe", 1))

    # --- reading ---

    async def load(self, desk: str) -> Loaded:
        """Everything needed to fold the desk's state, page by page; a desk that nobody led yet is empty.

        For who leads the desk: another's appends meanwhile would not all be in it. The order of the tail and its links
        are checked, its hashes are not (`verify` does that). Raises StoreUnavailable, StoreRefused(corrupt).
        """
        async with self._reader() as line:
            try:
                return await self._load(line, desk)
            except (msgspec.DecodeError, ValueError, IndexError, TypeError) as error:
                raise corrupt(self._address) from error

    async def _load(self, line: Line, desk: str) -> Loaded:
        key = rows.keys(desk)
        about, last = await _told(
            line,
            ("HMGET", key.desk, "seq", "hash", "secret", "position"),
            ("XREVRANGE", key.journal, "+", "-", "COUNT", 1),
        )
        seq, digest, secret, position = about
        head = Head() if seq is None else Head(seq=int(seq), hash=digest)
        if head.seq != (rows.seq_of(last[0]) if last else 0):
            raise corrupt(self._address)
        snapshots = await self._snapshots(line, key)
        start = snapshots[-1].head if snapshots else Head()
        tail = await self._tail(line, key.journal, start, head)
        people = await _people(line, key.people)
        return Loaded(
            head=head,
            snapshots=snapshots,
            tail=tail,
            people=people,
            people_rev=max((row.rev for row in people), default=0),
            input_position=None if position is None else position.decode(),
            secret=secret or b"",
        )

    async def _tail(self, line: Line, key: str, start: Head, head: Head) -> tuple[Record, ...]:
        tail: list[Record] = []
        at = start
        while at.seq < head.seq:
            page = await _page(line, key, at.seq, min(PAGE, head.seq - at.seq))
            if not page or journal.broken_link(at, page) is not None:
                raise corrupt(self._address)
            tail += page
            at = journal.head_of(page[-1])
        if at != head:
            raise corrupt(self._address)
        return tuple(tail)

    async def _snapshots(self, line: Line, key: rows.Keys) -> tuple[Snapshot, ...]:
        (noted,) = await _told(line, ("HGETALL", key.snapshots))
        whole = [
            (rows.read_meta(value), int(number))
            for number, value in zip(noted[::2], noted[1::2], strict=True)
            if value
        ]
        found = [await _snapshot(line, key, meta, number) for meta, number in sorted(whole, key=_newest)]
        return tuple(one for one in found if one is not None)[:2]

    async def facts(self, desk: str, after: int, limit: int = 1000) -> list[Record]:
        """Durable facts with seq > `after`, in order. Raises StoreUnavailable, StoreRefused(corrupt)."""
        found: list[Record] = []
        async with self._reader() as line:
            while len(found) < limit:
                wanted = min(PAGE, limit - len(found))
                try:
                    page = await _page(line, rows.keys(desk).journal, after, wanted)
                except (msgspec.DecodeError, ValueError, IndexError, TypeError) as error:
                    raise corrupt(self._address) from error
                found += page
                if len(page) < wanted:
                    break
                after = page[-1].seq
        return found

    async def evidence(self, desk: str, evidence_id: str) -> EvidenceRow | None:
        """One row of evidence, or None (never kept, or erased). Raises StoreUnavailable, StoreRefused(corrupt)."""
        value = await self._ask(("HGET", rows.keys(desk).evidence, _text(evidence_id)))
        try:
            return None if value is None else rows.read_evidence(evidence_id, value)
        except msgspec.DecodeError as error:
            raise corrupt(self._address) from error

    # --- inside ---

    async def _write(self, command: Command) -> Any:
        if self._writer is None:
            raise not_open()
        try:
            async with asyncio.timeout(patience(self._patience_s, command)):
                return await self._writer.submit(command)
        except TimeoutError as error:
            raise unavailable("unreachable", self._address) from error

    async def _ask(self, command: Command) -> Any:
        async with self._reader() as line:
            (answer,) = await _told(line, command)
            return answer

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator[Line]:
        """A line of our own for as long as the block lasts; its errors are of the port."""
        if self._writer is None or self._keeper is None:
            raise not_open()
        try:
            async with asyncio.timeout(self._patience_s):
                line = await self._readers.get()
        except TimeoutError as error:
            raise unavailable("unreachable", self._address) from error
        try:
            yield line
        except (EdgeError, msgspec.DecodeError, ValueError, IndexError, TypeError):
            raise
        except Exception as error:
            raise edge_error(error, self._address) from error
        finally:
            self._readers.put_nowait(line)


async def _told(line: Line, *commands: Command) -> list[Any]:
    answers = await line.ask(*commands)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def _page(line: Line, key: str, after: int, limit: int) -> list[Record]:
    (entries,) = await _told(line, ("XRANGE", key, max(after, 0) + 1, "+", "COUNT", limit))
    return [rows.read_fact(entry) for entry in entries]


async def _people(line: Line, key: str) -> tuple[PeopleRow, ...]:
    # a row may come twice while the server moves its hash about
    found: dict[bytes, PeopleRow] = {}
    cursor = b"0"
    while True:
        ((cursor, flat),) = await _told(line, ("HSCAN", key, cursor, "COUNT", PAGE))
        found |= {field: rows.read_person(field, flat[n + 1]) for n, field in _fields(flat)}
        if cursor == b"0":
            break
    return _sorted(found) if len(found) < MANY else await asyncio.to_thread(_sorted, found)


def _sorted(found: dict[bytes, PeopleRow]) -> tuple[PeopleRow, ...]:
    return tuple(sorted(found.values(), key=lambda row: (row.kind, row.ref)))


def _fields(flat: Sequence[bytes]) -> Iterable[tuple[int, bytes]]:
    return ((n, flat[n]) for n in range(0, len(flat), 2))


def _newest(one: tuple[rows.Meta, int]) -> int:
    return -one[0].seq


async def _snapshot(line: Line, key: rows.Keys, meta: rows.Meta, number: int) -> Snapshot | None:
    """None when it was taken at a fact that the journal does not hold, or is not whole."""
    if meta.seq:
        (entries,) = await _told(line, ("XRANGE", key.journal, meta.seq, meta.seq))
        if not entries or entries[0][1][3] != meta.hash:
            return None
    parts = [(await _told(line, ("HGET", key.parts(number), n)))[0] for n in range(meta.parts)]
    if any(part is None for part in parts):
        return None
    head = Head(seq=meta.seq, hash=meta.hash)
    return Snapshot(version=meta.version, head=head, body=b"".join(parts))


def _instance(file: Path) -> str:
    """The name of this data folder's daemon, made once."""
    if file.exists() and (text := file.read_text("ascii", "replace").strip()).isalnum():
        return text
    text = secrets.token_hex(16)
    beside = file.with_suffix(".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text + "\n")
    beside.replace(file)
    return text


def _text(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise _undecodable() from None


def _undecodable() -> EdgeError:
    return EdgeError("undecodable", "a value that the store does not take", permanent=True)


def _heard(future: asyncio.Future[Any]) -> None:
    """Nobody waits for it; its exception is not to be complained about."""
    if not future.cancelled():
        future.exception()
