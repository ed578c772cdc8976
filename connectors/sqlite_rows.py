"""The SQL of the embedded store: what is written in a group, what is read, snapshots in parts.

Functions over a connection, no threads. The tables stand in `connectors.sqlite_files`.
"""

from __future__ import annotations

import secrets
import sqlite3
from functools import lru_cache
from typing import Any

from msgspec import Struct

from connectors import journal
from connectors.ports import (
    GENESIS,
    EvidenceRow,
    Head,
    Leadership,
    Loaded,
    PeopleRow,
    Record,
    Snapshot,
    StoreFenced,
)
from connectors.sqlite_files import SEQ_BITS, SEQ_MASK

PART_BITS = 20

_FACT = "INSERT INTO fact VALUES "
_PEOPLE = "INSERT INTO people VALUES "
_PEOPLE_END = (
    " ON CONFLICT (desk, kind, ref)"
    " DO UPDATE SET outside=excluded.outside, rev=excluded.rev, body=excluded.body"
)
_EVIDENCE = "INSERT INTO evidence VALUES "
# a retry after a lost answer brings the same row again
_EVIDENCE_END = " ON CONFLICT (desk, id) DO NOTHING"
_POSITION = "UPDATE desk SET input_position = new.column2 FROM (VALUES "
_POSITION_END = ") AS new WHERE desk.id = new.column1"
_SELECT = (
    "SELECT id, at, due_at, kind, v, subject, cause, people_rev, policy, body, prev, hash"
    " FROM fact WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
)


class Append(Struct, frozen=True, kw_only=True):
    leadership: Leadership
    expected: Head
    facts: tuple[Record, ...]
    people: tuple[PeopleRow, ...]
    evidence: tuple[EvidenceRow, ...]
    input_position: str | None


class Desk(Struct, kw_only=True):
    id: int
    fence: int
    head: Head


class Ledger:
    """All SQL that writes. Knows the desks by heart (nobody else writes), so a group of facts is one statement.

    Thrown away whole after any error.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self._desks: dict[str, Desk] = {}
        self._facts: list[Any] = []
        self._people: list[Any] = []
        self._evidence: list[Any] = []
        self._positions: dict[int, str] = {}
        self.erased = False

    def desk(self, name: str) -> Desk | None:
        if name not in self._desks:
            row = self.conn.execute("SELECT id, fence FROM desk WHERE name=?", (name,)).fetchone()
            if row is None:
                return None
            self._desks[name] = Desk(id=row[0], fence=row[1], head=_head(self.conn, row[0]))
        return self._desks[name]

    def lead(self, name: str) -> Leadership:
        (fence,) = self.conn.execute(
            "INSERT INTO desk(name, fence, secret) VALUES (?, 1, ?)"
            " ON CONFLICT (name) DO UPDATE SET fence = fence + 1 RETURNING fence",
            (name, secrets.token_bytes(32)),
        ).fetchone()
        if (known := self._desks.get(name)) is not None:
            known.fence = fence
        return Leadership(desk=name, fence=fence)

    def append(self, append: Append) -> Head:
        desk = self.desk(append.leadership.desk)
        fence, head = (desk.fence, desk.head) if desk else (None, Head())
        if journal.judge_append(fence, head, append.leadership, append.expected, append.facts) != "write":
            return head
        assert desk is not None
        self._collect(desk.id, append)
        if append.facts:
            desk.head = journal.head_of(append.facts[-1])
        return desk.head

    def _collect(self, desk: int, append: Append) -> None:
        first, facts = desk << SEQ_BITS, self._facts
        for fact in append.facts:
            facts += (
                first | fact.seq,
                fact.at,
                fact.due_at,
                fact.kind,
                fact.v,
                fact.subject,
                fact.cause,
                fact.people_rev,
                fact.policy,
                fact.body,
                fact.prev,
                fact.hash,
            )
        for p in append.people:
            self._people += (desk, p.kind, p.ref, p.outside, p.rev, p.body)
        for e in append.evidence:
            self._evidence += (desk, e.id, e.subject, e.keep_until, e.salt, e.body)
        if append.input_position is not None:
            self._positions[desk] = append.input_position
        self.erased = self.erased or any(row.body is None for row in append.people)

    def flush(self) -> None:
        """Write what was collected."""
        _write_rows(self.conn, _FACT, 12, self._facts)
        _write_rows(self.conn, _PEOPLE, 6, self._people, _PEOPLE_END)
        _write_rows(self.conn, _EVIDENCE, 6, self._evidence, _EVIDENCE_END)
        positions = [value for row in self._positions.items() for value in row]
        _write_rows(self.conn, _POSITION, 2, positions, _POSITION_END)
        self._facts, self._people, self._evidence, self._positions = [], [], [], {}

    def probe(self) -> None:
        self.conn.execute("UPDATE header SET value = value + 1 WHERE key = 'probe'")


def _write_rows(conn: sqlite3.Connection, start: str, columns: int, values: list[Any], end: str = "") -> None:
    """Many rows a statement, in powers of two, so that the statements stay prepared. `values`: row after row.

    `executemany` gives the interpreter's lock away at every row: with a busy event loop beside it that is 900 rows a
    second instead of 12,000 (docs/decisions/0002-sqlite-store.md).
    """
    done, rows = 0, len(values) // columns
    while done < rows:
        count = min(1 << ((rows - done).bit_length() - 1), 1024)
        statement = _statement(start, columns, count, end)
        conn.execute(statement, values[done * columns : (done + count) * columns])
        done += count


@lru_cache(64)
def _statement(start: str, columns: int, rows: int, end: str) -> str:
    row = f"({','.join('?' * columns)})"
    return f"{start}{','.join([row] * rows)}{end}"


# --- snapshots, one small transaction each ---


def _judge_snapshot(ledger: Ledger, leadership: Leadership, at: Head) -> Desk:
    desk = ledger.desk(leadership.desk)
    known = _hash_at(ledger.conn, desk.id, at.seq) if desk else None
    journal.judge_snapshot(desk.fence if desk else None, known, leadership, at)
    assert desk is not None
    return desk


def begin_snapshot(ledger: Ledger, leadership: Leadership, snapshot: Snapshot) -> int:
    desk, at = _judge_snapshot(ledger, leadership, snapshot.head), snapshot.head
    made = ledger.conn.execute(
        "INSERT INTO snapshot(desk, seq, hash, version, whole) VALUES (?, ?, ?, ?, 0)",
        (desk.id, at.seq, at.hash, snapshot.version),
    ).lastrowid
    assert made is not None
    return made


def write_part(ledger: Ledger, snapshot: int, number: int, part: bytes) -> None:
    row = (snapshot << PART_BITS | number, part)
    ledger.conn.execute("INSERT OR REPLACE INTO snapshot_part VALUES (?, ?)", row)


def finish_snapshot(ledger: Ledger, leadership: Leadership, head: Head, made: int, parts: int) -> list[int]:
    """Make it count; answers with the parts of those that no longer do."""
    desk = _judge_snapshot(ledger, leadership, head)
    first, last = made << PART_BITS, (made + 1) << PART_BITS
    written = ledger.conn.execute(
        "SELECT count(*) FROM snapshot_part WHERE id >= ? AND id < ?", (first, last)
    ).fetchone()[0]
    if written != parts:
        raise StoreFenced(
            "head_moved", "the database was replaced while a snapshot was written", permanent=True
        )
    ledger.conn.execute(
        "UPDATE snapshot SET whole = (id = ?) WHERE desk=? AND seq=?", (made, desk.id, head.seq)
    )
    ledger.conn.execute(
        "UPDATE snapshot SET whole = 0 WHERE desk = ?1 AND id NOT IN"
        " (SELECT id FROM snapshot WHERE desk = ?1 AND whole ORDER BY seq DESC LIMIT 2)",
        (desk.id,),
    )
    rows = ledger.conn.execute(
        "SELECT p.id FROM snapshot s JOIN snapshot_part p ON p.id >= s.id << ?1 AND p.id < (s.id + 1) << ?1"
        " WHERE s.desk = ?2 AND NOT s.whole",
        (PART_BITS, desk.id),
    )
    return [row[0] for row in rows]


def drop_part(ledger: Ledger, part: int) -> None:
    ledger.conn.execute("DELETE FROM snapshot_part WHERE id = ?", (part,))


def forget_snapshots(ledger: Ledger, leadership: Leadership) -> None:
    desk = ledger.desk(leadership.desk)
    if desk is not None:
        ledger.conn.execute("DELETE FROM snapshot WHERE desk = ? AND NOT whole", (desk.id,))


# --- reading, in the reader threads ---


def _record(row: tuple[Any, ...]) -> Record:
    return Record(
        seq=row[0] & SEQ_MASK,
        at=row[1],
        due_at=row[2],
        kind=row[3],
        v=row[4],
        subject=row[5],
        cause=row[6],
        people_rev=row[7],
        policy=row[8],
        body=row[9],
        prev=row[10],
        hash=row[11],
    )


def select_facts(conn: sqlite3.Connection, desk: int, after: int, limit: int = -1) -> list[Record]:
    first, last = desk << SEQ_BITS | max(after, 0), (desk + 1) << SEQ_BITS
    return [_record(row) for row in conn.execute(_SELECT, (first, last, limit))]


def _head(conn: sqlite3.Connection, desk: int) -> Head:
    row = conn.execute(
        "SELECT id, hash FROM fact WHERE id > ? AND id < ? ORDER BY id DESC LIMIT 1",
        (desk << SEQ_BITS, (desk + 1) << SEQ_BITS),
    ).fetchone()
    return Head() if row is None else Head(seq=row[0] & SEQ_MASK, hash=row[1])


def _hash_at(conn: sqlite3.Connection, desk: int, seq: int) -> bytes | None:
    if seq == 0:
        return GENESIS
    row = conn.execute("SELECT hash FROM fact WHERE id = ?", (desk << SEQ_BITS | seq,)).fetchone()
    return None if row is None else bytes(row[0])


def _desk_id(conn: sqlite3.Connection, name: str) -> int | None:
    row = conn.execute("SELECT id FROM desk WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def facts(conn: sqlite3.Connection, name: str, after: int, limit: int) -> list[Record]:
    desk = _desk_id(conn, name)
    return [] if desk is None else select_facts(conn, desk, after, max(limit, 0))


def evidence(conn: sqlite3.Connection, name: str, evidence_id: str) -> EvidenceRow | None:
    row = conn.execute(
        "SELECT e.id, subject, keep_until, salt, body FROM evidence e JOIN desk ON desk.id = e.desk"
        " WHERE desk.name = ? AND e.id = ?",
        (name, evidence_id),
    ).fetchone()
    if row is None:
        return None
    return EvidenceRow(id=row[0], subject=row[1], keep_until=row[2], salt=row[3], body=row[4])


def load(conn: sqlite3.Connection, name: str) -> Loaded | None:
    """None when the tail does not hang together."""
    conn.execute("BEGIN")
    try:
        row = conn.execute("SELECT id, secret, input_position FROM desk WHERE name = ?", (name,)).fetchone()
        return _load_desk(conn, *row) if row else _nothing()
    finally:
        conn.execute("ROLLBACK")


def _nothing() -> Loaded:
    return Loaded(
        head=Head(), snapshots=(), tail=(), people=(), people_rev=0, input_position=None, secret=b""
    )


def _load_desk(conn: sqlite3.Connection, desk: int, secret: bytes, position: str | None) -> Loaded | None:
    snapshots = _snapshots(conn, desk)
    start = snapshots[-1].head if snapshots else Head()
    tail = select_facts(conn, desk, start.seq)
    if journal.broken_link(start, tail) is not None:
        return None
    people = _people(conn, desk)
    return Loaded(
        head=journal.head_of(tail[-1]) if tail else start,
        snapshots=snapshots,
        tail=tuple(tail),
        people=people,
        people_rev=max((row.rev for row in people), default=0),
        input_position=position,
        secret=secret,
    )


def _people(conn: sqlite3.Connection, desk: int) -> tuple[PeopleRow, ...]:
    sql = "SELECT ref, kind, outside, rev, body FROM people WHERE desk = ? ORDER BY kind, ref"
    return tuple(
        PeopleRow(ref=row[0], kind=row[1], outside=row[2], rev=row[3], body=row[4])
        for row in conn.execute(sql, (desk,))
    )


def _snapshots(conn: sqlite3.Connection, desk: int) -> tuple[Snapshot, ...]:
    rows = conn.execute(
        "SELECT id, version, seq, hash FROM snapshot WHERE desk = ? AND whole ORDER BY seq DESC LIMIT 2",
        (desk,),
    ).fetchall()
    return tuple(
        Snapshot(version=version, head=Head(seq=seq, hash=digest), body=_body(conn, made))
        for made, version, seq, digest in rows
        if _hash_at(conn, desk, seq) == digest
    )


def _body(conn: sqlite3.Connection, snapshot: int) -> bytes:
    sql = "SELECT body FROM snapshot_part WHERE id >= ? AND id < ? ORDER BY id"
    rows = conn.execute(sql, (snapshot << PART_BITS, (snapshot + 1) << PART_BITS))
    return b"".join(row[0] for row in rows)
