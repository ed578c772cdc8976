"""The threads of the embedded store: one writes, one checkpoints, two read. The event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import structlog
from msgspec import Struct

from connectors.ports import EdgeError, StoreFenced
from connectors.sqlite_files import Folder, edge_error, os_problem, unavailable
from connectors.sqlite_rows import Ledger

T = TypeVar("T")
log = structlog.get_logger("callwatch.store")

GROUP_ROWS = 10_000
"""Rows after which a group is closed: bounds one transaction to some 50 ms."""
CHECKPOINT_ROWS = 5_000
WAL_PAGES = 8_000
"""32 MiB: above it the writer itself finishes the checkpoint, so that the WAL starts over."""
WAL_TOO_LONG = 4
"""So many times that length the file may keep; longer it has only become beside a reader that rests, as a backup."""
READERS = 2
OPEN_AGAIN_S = (0.05, 0.2, 0.5)
"""Pauses before a connection for reading is opened once more."""
SETTLED_AT_ONCE = 32


class Job(Struct, eq=False):
    """Something to be written in a group: `write` judges and writes; what it returns or refuses goes to `future`."""

    write: Callable[[Ledger], Any]
    rows: int
    future: asyncio.Future[Any]


Errand = Callable[[sqlite3.Connection], None]


class Pace:
    """How many appends a second come in; above `limit` a short linger halves the CPU (measured.md, "Store")."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._rate = 0.0
        self._last = time.monotonic()

    def is_high(self) -> bool:
        return self._rate > self._limit

    def count(self, appends: int) -> None:
        now = time.monotonic()
        passed = max(now - self._last, 1e-6)
        self._rate += (appends / passed - self._rate) * min(1.0, passed / 0.05)
        self._last = now


class Writer:
    """The one thread that writes. Takes what waits, commits it as one group, tells everybody at once."""

    def __init__(self, folder: Folder, loop: asyncio.AbstractEventLoop, linger_s: float, pace: Pace) -> None:
        self._folder = folder
        self._loop = loop
        self._linger_s = linger_s
        self._pace = pace
        self._queue: queue.SimpleQueue[Job | Errand | None] = queue.SimpleQueue()
        self._ledger: Ledger | None = Ledger(folder.connect())
        self.rows_written = 0
        self.erased = False
        self._thread = threading.Thread(target=self._run, name="callwatch-store", daemon=True)
        self._thread.start()

    def submit(self, work: Job | Errand) -> None:
        """From any thread. An errand runs between two groups, outside a transaction."""
        self._queue.put(work)

    def stop(self, patience_s: float) -> bool:
        """Write what waits, then end. Blocks, but not for ever on a disk that hangs: then False."""
        self._queue.put(None)
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            work = self._gather()
            stopping = None in work
            # a waiter that gave up before its turn gets nothing written behind its back
            group = [job for job in work if isinstance(job, Job) and not job.future.done()]
            if group:
                self._serve(group)
            for errand in work:
                if errand is not None and not isinstance(errand, Job):
                    self._run_errand(errand)
        self._drop()

    def _gather(self) -> list[Job | Errand | None]:
        work = [self._queue.get()]
        if self._pace.is_high():
            time.sleep(self._linger_s)
        rows = 0
        with contextlib.suppress(queue.Empty):
            while rows < GROUP_ROWS and work[-1] is not None:
                rows += work[-1].rows if isinstance(work[-1], Job) else 0
                work.append(self._queue.get_nowait())
        return work

    def _serve(self, group: list[Job]) -> None:
        outcomes = self._attempt(group)
        if outcomes is None:
            # a value in it cannot be written: alone, each append harms only itself
            outcomes = [self._alone(job) for job in group]
        self._pace.count(len(group))
        self._tell([(job.future, outcome) for job, outcome in zip(group, outcomes, strict=True)])

    def _alone(self, job: Job) -> Any:
        outcomes = self._attempt([job])
        if outcomes is not None:
            return outcomes[0]
        # the value itself may be a person's: it is neither named nor chained
        return EdgeError("undecodable", "a value that the database does not take", permanent=True)

    def _attempt(self, group: list[Job]) -> list[Any] | None:
        """One transaction: an outcome for each job, or None when a value in it cannot be written."""
        try:
            outcomes = self._commit(self._ready(), group)
        except EdgeError as exc:
            return [_copy(exc) for _ in group]
        except Exception as exc:  # noqa: BLE001 - this thread outlives every surprise; the waiters are told
            if _is_bad_value(exc):
                self._recover(keep=True)
                return None
            error = self._mapped(exc)
            self._recover(keep=isinstance(error, EdgeError) and error.reason in ("full", "locked"))
            return [_copy(error) for _ in group]
        self.rows_written += sum(job.rows for job in group)
        return outcomes

    def _commit(self, ledger: Ledger, group: list[Job]) -> list[Any]:
        ledger.conn.execute("BEGIN IMMEDIATE")
        outcomes = [_outcome(job, ledger) for job in group]
        ledger.flush()
        ledger.conn.execute("COMMIT")
        self.erased = self.erased or ledger.erased
        ledger.erased = False
        return outcomes

    def _ready(self) -> Ledger:
        """The ledger, on a new connection if the last one met trouble. Raises EdgeError, sqlite3.Error, OSError."""
        try:
            moved = self._folder.moved()
        except EdgeError:
            self._drop()  # hold on to nothing: somebody may be repairing the disk
            raise
        if moved:
            self._drop()
        if self._ledger is None:
            self._ledger = Ledger(self._folder.connect_again())
        return self._ledger

    def _recover(self, *, keep: bool) -> None:
        """Forget what we believed of the desks; keep the connection only where it is known to be sound."""
        if self._ledger is None:
            return
        conn = self._ledger.conn
        with contextlib.suppress(sqlite3.Error):
            if conn.in_transaction:
                conn.execute("ROLLBACK")
        if keep and not conn.in_transaction:
            self._ledger = Ledger(conn)
        else:
            self._drop()

    def _drop(self) -> None:
        if self._ledger is not None:
            with contextlib.suppress(sqlite3.Error):
                self._ledger.conn.close()
            self._ledger = None

    def _mapped(self, exc: Exception) -> Exception:
        error: Exception = exc
        if isinstance(exc, sqlite3.Error):
            error = edge_error(exc, self._folder.path)
        elif isinstance(exc, OSError):
            error = unavailable(os_problem(exc), self._folder.path)
        if error is not exc:
            error.__cause__ = exc
        return error

    def _run_errand(self, errand: Errand) -> None:
        try:
            errand(self._ready().conn)
        except (EdgeError, sqlite3.Error, OSError):
            # an errand is tidying; whoever appends next is told what is wrong
            self._recover(keep=False)

    def _tell(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed over our heads: nobody is left to tell
            self._loop.call_soon_threadsafe(_settle, self._loop, outcomes)


class Checkpointer:
    """Moves the WAL into the database off the commit path, from a connection and a thread of its own."""

    def __init__(self, folder: Folder, writer: Writer, every_s: float) -> None:
        self._folder = folder
        self._writer = writer
        self._every_s = every_s
        self._stop = threading.Event()
        self._seen = 0
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="callwatch-checkpoint", daemon=True)
        self._thread.start()

    def stop(self, patience_s: float) -> None:
        self._stop.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        waited = 0.0
        while not self._stop.wait(self._every_s / 10):
            waited += self._every_s / 10
            fresh = self._writer.rows_written - self._seen
            if fresh >= CHECKPOINT_ROWS or self._writer.erased or (fresh and waited >= self._every_s):
                waited = 0.0
                self._checkpoint()

    def _checkpoint(self) -> None:
        seen = self._writer.rows_written
        try:
            with contextlib.closing(self._folder.connect()) as conn:
                _, pages, _ = conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as exc:
            if not self._failed:
                log.warning("checkpoint_failed", reason=edge_error(exc, self._folder.path).reason)
            self._failed = True
            return
        self._seen, self._failed = seen, False
        if pages > WAL_PAGES or self._writer.erased:
            self._writer.submit(partial(self._start_over, pages))

    def _start_over(self, pages: int, conn: sqlite3.Connection) -> None:
        """Write the WAL from its beginning again: it would grow for ever under load that never rests. The file keeps
        its length, for a commit that makes it longer costs up to half as much again; emptied it is when it holds what
        was erased, or is far too long.

        Little is left to copy after the passive checkpoint. Readers in the way are not waited for: next time.
        """
        empties = self._writer.erased or pages > WAL_TOO_LONG * WAL_PAGES
        conn.execute("PRAGMA busy_timeout=0")
        try:
            how = "TRUNCATE" if empties else "RESTART"
            busy = conn.execute(f"PRAGMA wal_checkpoint({how})").fetchone()[0]
        finally:
            conn.execute(f"PRAGMA busy_timeout={int(self._folder.busy_s * 1000)}")
        if empties and not busy:
            self._writer.erased = False


class Readers:
    """Connections for reading, in threads of their own: no reader waits for a commit, nor a commit for a reader."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(READERS, "callwatch-read")
        self._spare: list[tuple[tuple[int, int] | None, sqlite3.Connection]] = []

    async def run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Raises StoreUnavailable, StoreRefused(corrupt)."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, read)

    def close(self, patience_s: float) -> None:
        """Wait for what is being read, but not for ever; blocks."""
        waiting = threading.Thread(
            target=self._threads.shutdown, kwargs={"cancel_futures": True}, daemon=True
        )
        waiting.start()
        waiting.join(patience_s)
        while self._spare:
            self._spare.pop()[1].close()

    def _call(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            identity, conn = self._borrow()
            with self._returned(identity, conn):
                return read(conn)
        except sqlite3.Error as exc:
            raise edge_error(exc, self._folder.path) from exc

    @contextlib.contextmanager
    def _returned(self, identity: tuple[int, int] | None, conn: sqlite3.Connection) -> Iterator[None]:
        try:
            yield
        except BaseException:
            conn.close()
            raise
        self._spare.append((identity, conn))

    def _borrow(self) -> tuple[tuple[int, int] | None, sqlite3.Connection]:
        while self._spare:
            identity, conn = self._spare.pop()
            if identity == self._folder.identity:
                return identity, conn
            conn.close()
        return self._folder.identity, self._connect()

    def _connect(self) -> sqlite3.Connection:
        """While the writer closes and opens the files after trouble, opening them beside it may fail for a moment."""
        for pause_s in OPEN_AGAIN_S:
            try:
                return self._folder.connect(query_only=True)
            except sqlite3.Error as exc:
                if getattr(exc, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_IOERR:
                    raise
                time.sleep(pause_s)
        return self._folder.connect(query_only=True)


def _outcome(job: Job, ledger: Ledger) -> Any:
    try:
        return job.write(ledger)
    except StoreFenced as exc:
        return exc


def _settle(loop: asyncio.AbstractEventLoop, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
    """In portions: each of them wakes a desk, and a thousand desks woken together would be one long turn."""
    if len(outcomes) > SETTLED_AT_ONCE:
        loop.call_soon(_settle, loop, outcomes[SETTLED_AT_ONCE:])
    for future, outcome in outcomes[:SETTLED_AT_ONCE]:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _copy(error: Exception) -> Exception:
    """Each waiter raises an exception of its own: tracebacks are written into them."""
    if not isinstance(error, EdgeError):
        return error
    copy = type(error)(error.reason, str(error), permanent=error.permanent)
    copy.__cause__ = error.__cause__
    return copy


_BAD_VALUE = (ValueError, TypeError, OverflowError)
_BAD_VALUE_SQL = (
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.NotSupportedError,
)


def _is_bad_value(exc: Exception) -> bool:
    return isinstance(exc, _BAD_VALUE + _BAD_VALUE_SQL)
