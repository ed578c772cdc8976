"""The data folder of the embedded store: its lock, its one database file, and what SQLite's errors mean.

Only `connectors.sqlite_store` looks in here. Traps that were met for real: docs/decisions/0002-sqlite-store.md.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from connectors.folder_lock import lock_folder
from connectors.ports import FORMAT, EdgeError, Reason, StoreRefused, StoreUnavailable

DATABASE = "callwatch.db"
PROBE = ".callwatch-probe"
PROBE_BYTES = 65_536

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables. Debian 12 has 3.40, Ubuntu 22.04 has 3.37."""

SEQ_BITS = 40
SEQ_MASK = (1 << SEQ_BITS) - 1
"""A fact's rowid is desk << 40 | seq: ordered per desk, and a third faster than a two-column key."""

# ON CONFLICT needs the key on evidence: with ids in order of time it costs nothing (measured.md, "Store").
SCHEMA = f"""
CREATE TABLE header(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO header VALUES ('format', {FORMAT}), ('min_reader', 1), ('probe', 0);
CREATE TABLE desk(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
  fence INTEGER NOT NULL, secret BLOB NOT NULL, input_position TEXT
) STRICT;
CREATE TABLE fact(
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, due_at TEXT, kind TEXT NOT NULL, v INTEGER NOT NULL,
  subject TEXT NOT NULL, cause TEXT NOT NULL, people_rev INTEGER NOT NULL, policy TEXT NOT NULL,
  body TEXT NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE VIEW journal AS
  SELECT desk.name AS desk, fact.id & {SEQ_MASK} AS seq, at, due_at, kind, v, subject, cause, people_rev,
    policy, body, lower(hex(prev)) AS prev, lower(hex(hash)) AS hash
  FROM fact JOIN desk ON desk.id = fact.id >> {SEQ_BITS};
CREATE TABLE people(
  desk INTEGER NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, outside TEXT NOT NULL, rev INTEGER NOT NULL,
  body BLOB, PRIMARY KEY (desk, kind, ref)
) STRICT;
CREATE TABLE evidence(
  desk INTEGER NOT NULL, id TEXT NOT NULL, subject TEXT NOT NULL, keep_until TEXT NOT NULL,
  salt BLOB NOT NULL, body BLOB NOT NULL, UNIQUE (desk, id)
) STRICT;
CREATE TABLE snapshot(
  id INTEGER PRIMARY KEY, desk INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
  version INTEGER NOT NULL, whole INTEGER NOT NULL
) STRICT;
CREATE TABLE snapshot_part(id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""  # noqa: S608 - constants of ours only


class Folder:
    """A data folder held by this process alone: the lock, and connections that know when the disk was changed."""

    def __init__(self, path: Path, busy_s: float) -> None:
        self.path = path
        self.database = path / DATABASE
        self.busy_s = busy_s
        self._lock_fd: int | None = None
        self.identity: tuple[int, int] | None = None

    def hold(self) -> None:
        """Create what is missing, take the lock, check the header. Raises StoreRefused."""
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreRefused("other", "SQLite 3.37 or newer is needed", permanent=True)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock()
            self._make_database()
        except OSError as exc:
            raise refused(os_problem(exc), self.path) from exc
        self.identity = identity(self.database)

    def release(self) -> None:
        """Give the lock back. Safe to call twice."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def moved(self) -> bool:
        """Has the database been taken from under us (disk pulled, file replaced)?

        SQLite would go on writing into the old, nameless file and lose it all. Raises StoreUnavailable while
        there is no database at the path: it must not be made anew, empty.
        """
        try:
            return identity(self.database) != self.identity
        except OSError as exc:
            raise unavailable("unreachable", self.path) from exc

    def connect_again(self) -> sqlite3.Connection:
        """A connection for writing after trouble; what is in the WAL is made durable before it is believed.

        A commit whose fsync failed may be visible again now. Copying it into the database file and syncing that is
        the only way to know. Raises sqlite3.Error, EdgeError.
        """
        now = identity(self.database)
        if now != self.identity:
            self.release()
            self._lock()
            self.identity = now
        conn = self.connect()
        try:
            check_header(conn, self.path)
            if conn.execute("PRAGMA wal_checkpoint(FULL)").fetchone()[0]:
                raise unavailable("locked", self.path)
        except BaseException:
            conn.close()
            raise
        return conn

    def connect(self, *, query_only: bool = False) -> sqlite3.Connection:
        """A connection to the database that exists (never a new one). Raises sqlite3.Error."""
        conn = sqlite3.connect(
            f"{self.database.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self.busy_s,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _set_up(conn, query_only=query_only)
        except BaseException:
            conn.close()
            raise
        return conn

    def _lock(self) -> None:
        self._lock_fd = lock_folder(self.path)

    def _make_database(self) -> None:
        # made by us and not by SQLite, so that nobody else may read it; the WAL takes over its mode
        os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            with contextlib.closing(self.connect()) as conn:
                if not conn.execute("SELECT 1 FROM sqlite_master").fetchone():
                    conn.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
                check_header(conn, self.path)
        except sqlite3.Error as exc:
            raise as_refused(edge_error(exc, self.path)) from exc
        sync_folder(self.path)


def _set_up(conn: sqlite3.Connection, *, query_only: bool) -> None:
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("PRAGMA wal_autocheckpoint=0")
    conn.execute("PRAGMA secure_delete=ON")
    conn.execute("PRAGMA cache_size=-16000")
    conn.execute(f"PRAGMA query_only={int(query_only)}")


def check_header(conn: sqlite3.Connection, folder: Path) -> None:
    """May this release use this database? Raises StoreRefused (corrupt, newer_format), sqlite3.Error."""
    if not conn.execute("SELECT 1 FROM sqlite_master WHERE name='header'").fetchone():
        raise StoreRefused("corrupt", f"{folder / DATABASE} is not a callwatch store", permanent=True)
    row = conn.execute("SELECT value FROM header WHERE key='min_reader'").fetchone()
    if row is None:
        raise StoreRefused("corrupt", f"{folder / DATABASE} has no format version", permanent=True)
    if row[0] > FORMAT:
        text = f"{folder} was written by a newer release (format {row[0]}, this one reads {FORMAT}): upgrade"
        raise StoreRefused("newer_format", text, permanent=True)


def identity(path: Path) -> tuple[int, int]:
    """Which file stands at this path. Raises OSError."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def sync_folder(path: Path) -> None:
    """Make names in a folder durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# --- what errors mean ---

_TEXTS: dict[Reason, str] = {
    "full": "the disk of {} is full",
    "read_only": "{} cannot be written (read-only, or no permission)",
    "locked": "another process has locked the database in {}",
    "unreachable": "the disk of {} does not answer as it should",
    "corrupt": "the database in {} is damaged: restore a backup, keep the damaged file",
}

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_BY_CODE: dict[int, Reason] = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
}
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def unavailable(reason: Reason, folder: Path) -> StoreUnavailable:
    """The passing kind of trouble, with its text for operators."""
    return StoreUnavailable(reason, _TEXTS[reason].format(folder))


def refused(reason: Reason, folder: Path) -> StoreRefused:
    """The lasting kind."""
    return StoreRefused(reason, _TEXTS[reason].format(folder), permanent=True)


def as_refused(error: EdgeError) -> StoreRefused:
    """At `open` there is nothing to fall back on: whatever it is, the store is refused."""
    return (
        error if isinstance(error, StoreRefused) else StoreRefused(error.reason, str(error), permanent=True)
    )


def os_problem(exc: OSError) -> Reason:
    """What the operating system means."""
    if exc.errno in _FULL:
        return "full"
    return "read_only" if exc.errno in _READ_ONLY else "unreachable"


def edge_error(exc: sqlite3.Error, folder: Path) -> EdgeError:
    """What SQLite means: StoreUnavailable, or StoreRefused(corrupt) when the disk itself is well.

    `disk I/O error` says nothing: a kernel that turned the disk read-only gives it, and statvfs stays silent. A dead
    disk is even reported as "malformed". So the disk is asked, by writing a few bytes.
    """
    code = getattr(exc, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return unavailable("unreachable", folder)
    if primary in _BY_CODE:
        return unavailable(_BY_CODE[primary], folder)
    trouble = ask_disk(folder)
    if trouble is None and (primary in _DAMAGED or "decode" in str(exc)):
        return refused("corrupt", folder)
    return unavailable(trouble or "unreachable", folder)


def ask_disk(folder: Path) -> Reason | None:
    """Write, sync and remove PROBE_BYTES beside the database; None when that works."""
    probe = folder / PROBE
    try:
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, bytes(PROBE_BYTES))
            os.fsync(fd)
        finally:
            os.close(fd)
            probe.unlink()
    except OSError as exc:
        return os_problem(exc)
    return None
