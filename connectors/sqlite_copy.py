"""Looking on from another process: `callwatch verify` and `callwatch backup`, also while a daemon runs."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from connectors import journal
from connectors.ports import Record, StoreRefused, VerifyFinding, VerifyReport
from connectors.sqlite_files import (
    DATABASE,
    SEQ_BITS,
    check_header,
    edge_error,
    os_problem,
    sync_folder,
    unavailable,
)
from connectors.sqlite_rows import select_facts


def verify(folder: Path) -> list[VerifyReport]:
    """Check every desk's chain from the first fact to the last, also while a daemon appends; blocks.

    `broken` names the first broken fact: `gap` (it is missing), `prev` (does not hang on the one before), `hash` (was
    changed), `body` (cannot be read any more). A tail cut off leaves a whole chain: compare `facts` and `head` with
    figures written down elsewhere. Raises StoreRefused (no store here, corrupt, newer_format), StoreUnavailable.
    """
    with _looking_on(folder) as conn:
        return [_verify_desk(conn, desk, name) for desk, name in _desks(conn)]


def backup(
    folder: Path, dest: Path, progress: Callable[[int, int], None] | None = None
) -> list[VerifyReport]:
    """Copy a store, also a running one, as of one moment into the new folder `dest`; then verify the copy. Blocks.

    `progress(pages_done, pages)` is called as it goes. The copy is a store of its own: it can be verified or started
    from. A broken chain is copied as it is and told in the answer. Raises StoreRefused (`dest` is there already and
    not empty; no store here), StoreUnavailable (full, read_only, …); then `dest` holds no database.
    """
    _must_be_new(dest)
    partial, final = dest / f"{DATABASE}.partial", dest / DATABASE
    try:
        dest.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with _looking_on(folder) as source:
            _copy_pages(source, partial, dest, progress)
        partial.rename(final)
        sync_folder(dest)
    except OSError as exc:
        raise unavailable(os_problem(exc), dest) from exc
    finally:
        partial.unlink(missing_ok=True)
    return verify(dest)


def _must_be_new(dest: Path) -> None:
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
        raise StoreRefused("other", f"{dest} is there already: name a new folder", permanent=True)


def _copy_pages(
    source: sqlite3.Connection, partial: Path, dest: Path, progress: Callable[[int, int], None] | None
) -> None:
    # held for the whole copy: else every commit of the daemon would make it start again
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM header").fetchone()
    told = None if progress is None else lambda _, left, pages: progress(pages - left, pages)
    try:
        with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            source.backup(copy, pages=1000, progress=told, sleep=0)
            # one file, nothing beside it
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as exc:
        raise edge_error(exc, dest) from exc


@contextlib.contextmanager
def _looking_on(folder: Path) -> Iterator[sqlite3.Connection]:
    database = folder / DATABASE
    if not database.is_file():
        raise StoreRefused("unreachable", f"there is no callwatch store in {folder}", permanent=True)
    try:
        with contextlib.closing(_read_only(database)) as conn:
            # a damaged text must be found by its hash, not end the reading
            conn.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            check_header(conn, folder)
            yield conn
    except sqlite3.Error as exc:
        raise edge_error(exc, folder) from exc


def _read_only(database: Path) -> sqlite3.Connection:
    uri = f"{database.absolute().as_uri()}?mode=ro"
    conn = sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)
    try:
        conn.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        conn.close()
        wal = database.with_name(f"{DATABASE}-wal")
        if wal.exists() and wal.stat().st_size:
            raise
        # a read-only disk without a WAL: nobody can be writing
        return sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None)
    return conn


def _desks(conn: sqlite3.Connection) -> list[tuple[int, str]]:
    """Every desk, and every number that facts stand under though its desk is gone."""
    desks = dict(conn.execute("SELECT id, name FROM desk ORDER BY name"))
    number = 0
    while True:
        row = conn.execute(
            "SELECT id FROM fact WHERE id >= ? ORDER BY id LIMIT 1", (number << SEQ_BITS,)
        ).fetchone()
        if row is None:
            return list(desks.items())
        number = row[0] >> SEQ_BITS
        desks.setdefault(number, f"#{number}")
        number += 1


def _verify_desk(conn: sqlite3.Connection, desk: int, name: str) -> VerifyReport:
    unreadable: list[sqlite3.Error] = []
    report = journal.verify_chain(name, _stream(conn, desk, unreadable))
    if unreadable and report.broken is None:
        finding = VerifyFinding(seq=report.facts + 1, reason="body")
        return msgspec.structs.replace(report, broken=finding)
    return report


def _stream(conn: sqlite3.Connection, desk: int, unreadable: list[sqlite3.Error]) -> Iterator[Record]:
    # in pieces: one long read would keep the daemon's WAL from starting over
    after = 0
    try:
        while facts := select_facts(conn, desk, after, 2000):
            yield from facts
            after = facts[-1].seq
    except sqlite3.DatabaseError as exc:
        unreadable.append(exc)
