"""What only the embedded store promises: its lock, its files, groups that commit together, verify, backup, kill -9."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from connectors import sqlite_threads
from connectors.ports import EdgeError, Head, Snapshot, StoreRefused, StoreUnavailable, VerifyFinding
from connectors.sqlite_files import DATABASE, SEQ_BITS
from connectors.sqlite_store import SqliteStore, backup, verify
from tests.contract.stores import DESK, OTHER, Journalist, evidence, facts, head_of, person
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(folder, checkpoint_every_s=0.1)
    await made.open()
    yield made
    await made.close()


@contextmanager
def appender(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that appends to this folder; killed at the end."""
    command = [sys.executable, "-m", "tests.contract.appender", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def held_back(store: SqliteStore) -> Iterator[None]:
    """The writer is kept busy, as by a slow disk, so that what is appended meanwhile must form a group."""
    started, go = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        started.set()
        go.wait(60)

    assert store._writer is not None
    store._writer.submit(wait)
    assert started.wait(30)
    try:
        yield
    finally:
        go.set()


def commits(store: SqliteStore) -> Callable[[], int]:
    """How many commits were made since now."""
    assert store._writer is not None
    assert store._writer._ledger is not None
    seen: list[str] = []
    store._writer._ledger.conn.set_trace_callback(seen.append)
    return lambda: seen.count("COMMIT")


# --- the folder is ours alone ---


async def test_a_second_process_is_refused_and_told_who_holds_the_folder(folder: Path) -> None:
    with appender(folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        with pytest.raises(StoreRefused) as caught:
            await SqliteStore(folder).open()
    assert caught.value.reason == "locked"
    assert f"pid {process.pid}" in str(caught.value)
    survivor = SqliteStore(folder)
    await survivor.open()
    await survivor.close()


async def test_a_second_store_in_the_same_process_is_refused_too(store: SqliteStore, folder: Path) -> None:
    for second in (SqliteStore(folder), store):
        with pytest.raises(StoreRefused) as caught:
            await second.open()
        assert caught.value.reason == "locked"
    await store.lead(DESK)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_nobody_else_may_read_the_folder(store: SqliteStore, folder: Path) -> None:
    await store.lead(DESK)
    files = [DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"]
    assert [mode(folder), *(mode(folder / name) & 0o077 for name in files)] == [0o700, 0, 0, 0]


async def test_a_store_of_a_newer_release_is_refused_and_left_alone(folder: Path) -> None:
    first = SqliteStore(folder)
    await first.open()
    await first.close()
    with closing(sqlite3.connect(folder / DATABASE)) as conn:
        conn.execute("UPDATE header SET value = 99 WHERE key = 'min_reader'")
        conn.commit()
    for _ in range(2):
        with pytest.raises(StoreRefused) as caught:
            await SqliteStore(folder).open()
        assert caught.value.reason == "newer_format"
    with pytest.raises(StoreRefused) as seen:
        verify(folder)
    assert seen.value.reason == "newer_format"


def put(folder: Path, make: Callable[[Path], object]) -> None:
    folder.mkdir()
    make(folder / DATABASE)


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE somebody_elses(a)")


@pytest.mark.parametrize(
    "make", [other_database, lambda path: path.write_bytes(b"not a database at all" * 500)]
)
async def test_a_file_that_is_no_callwatch_store_is_refused_and_left_alone(
    folder: Path, make: Callable[[Path], object]
) -> None:
    put(folder, make)
    with pytest.raises(StoreRefused) as caught:
        await SqliteStore(folder).open()
    assert caught.value.reason == "corrupt"
    (folder / DATABASE).unlink()
    fresh = SqliteStore(folder)
    await fresh.open()
    await fresh.close()


async def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreRefused) as caught:
        await SqliteStore(tmp_path / "data").open()
    assert caught.value.reason == "unreachable"


async def test_a_start_that_died_before_the_tables_were_made_is_made_good(folder: Path) -> None:
    put(folder, Path.touch)
    store = SqliteStore(folder)
    await store.open()
    await (await Journalist.begin(store)).write()
    await store.close()


# --- groups ---


async def test_what_waits_while_a_commit_runs_commits_together(store: SqliteStore) -> None:
    desks = [await Journalist.begin(store, f"desk-{n}") for n in range(50)]
    count = commits(store)
    with held_back(store):
        writes = [asyncio.ensure_future(desk.write(4)) for desk in desks]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    assert count() == 1
    assert {report.facts for report in verify(store._folder.path)} == {4}


async def test_a_value_that_no_database_takes_harms_only_its_own_append(store: SqliteStore) -> None:
    desks = [await Journalist.begin(store, f"desk-{n}") for n in range(6)]
    with held_back(store):
        calls = [
            store.append(
                desk.leadership,
                desk.head,
                facts(2, desk.leadership.desk),
                [person(outside="\ud800" if n == 2 else "su", rev=2**70 if n == 4 else 1)],
            )
            for n, desk in enumerate(desks)
        ]
        waiting = asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(0)
    answers = await waiting
    bad = [n for n, answer in enumerate(answers) if isinstance(answer, BaseException)]
    assert bad == [2, 4]
    for n in bad:
        error = answers[n]
        assert isinstance(error, EdgeError)
        assert (error.reason, error.permanent, error.__cause__) == ("undecodable", True, None)
    assert [len(await store.facts(f"desk-{n}", 0)) for n in range(6)] == [2, 2, 0, 2, 0, 2]
    healthy = Journalist(store, desks[2].leadership, Head())
    await healthy.write()


async def test_a_refused_append_is_judged_by_itself_in_its_group(store: SqliteStore) -> None:
    old = await Journalist.begin(store)
    new = await Journalist.begin(store)
    other = await Journalist.begin(store, OTHER)
    count = commits(store)
    with held_back(store):
        writes = asyncio.gather(old.write(), new.write(), other.write(), return_exceptions=True)
        await asyncio.sleep(0)
    answers = await writes
    assert [isinstance(answer, BaseException) for answer in answers] == [True, False, False]
    assert count() == 1


async def test_a_disk_that_hangs_is_told_in_time_and_the_retry_succeeds(folder: Path) -> None:
    store = SqliteStore(folder, patience_s=1)
    await store.open()
    lead, made = await store.lead(DESK), facts(3)
    with held_back(store):
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                await store.append(lead, Head(), made)
            assert caught.value.reason == "unreachable"
    assert await store.append(lead, Head(), made) == head_of(made)
    assert await store.facts(DESK, 0) == made
    await store.close()


async def test_reading_does_not_wait_for_the_writer(store: SqliteStore) -> None:
    desk = await Journalist.begin(store)
    made = await desk.write(3)
    with held_back(store):
        async with asyncio.timeout(20):
            assert await store.facts(DESK, 0) == made
            assert (await store.load(DESK)).head == desk.head


# --- files ---


def files_holding(folder: Path, text: bytes) -> list[str]:
    """Asked of another process: closing a database file here would drop SQLite's own locks on it."""
    found = subprocess.run(
        ["grep", "-lrF", "--", text.decode(), str(folder)], capture_output=True, text=True, check=False
    )
    assert found.returncode in (0, 1), found.stderr
    return [Path(line).name for line in found.stdout.splitlines()]


@pytest.mark.parametrize(("code", "opened"), [("IOERR", 2), ("IOERR_SHORT_READ", 2), ("CANTOPEN", 1)])
async def test_a_reader_that_meets_the_files_while_they_are_opened_anew_looks_once_more(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, code: str, opened: int
) -> None:
    # seen after a disk had been read-only, on a busy machine: it passes within milliseconds and cannot be called up
    connect, seen = store._folder.connect, list[bool]()

    def at_first_not(*, query_only: bool = False) -> sqlite3.Connection:
        seen.append(query_only)
        if len(seen) == 1:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{code}")
            raise error
        return connect(query_only=query_only)

    monkeypatch.setattr(store._folder, "connect", at_first_not)
    if opened == 1:
        with pytest.raises(StoreUnavailable):
            await store.facts(DESK, 0)
    else:
        assert await store.facts(DESK, 0) == []
    assert seen == [True] * opened


async def test_an_erased_person_is_gone_from_every_file(store: SqliteStore, folder: Path) -> None:
    desk = await Journalist.begin(store)
    many = [person(f"p-{n}", f"Edith Example {n:04} 020 7946".encode() * 9, rev=1) for n in range(400)]
    await store.append(desk.leadership, desk.head, [], many)
    assert files_holding(folder, b"Edith Example 0007 020 7946")
    await store.append(desk.leadership, desk.head, [], [person(f"p-{n}", None, rev=2) for n in range(7, 400)])
    await until(
        lambda: not files_holding(folder, b"Edith Example 0007 020 7946"), what="erased from all files"
    )
    for n in (8, 100, 399):
        assert files_holding(folder, f"Edith Example {n:04} 020 7946".encode()) == []
    assert files_holding(folder, b"Edith Example 0003 020 7946")


async def test_the_wal_is_moved_into_the_database_while_appends_go_on(
    store: SqliteStore, folder: Path
) -> None:
    desk = await Journalist.begin(store)
    for _ in range(30):
        await desk.write(300, body='{"n":"' + "x" * 500 + '"}')
    await until(lambda: (folder / DATABASE).stat().st_size > 4_000_000, what="the checkpoint")
    assert [report.facts for report in verify(folder)] == [9000]


@pytest.mark.parametrize(("longest", "kept"), [(4, True), (1, False)])
async def test_a_wal_that_begins_anew_keeps_its_length_unless_it_is_far_too_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch, longest: int, kept: bool
) -> None:
    monkeypatch.setattr(sqlite_threads, "WAL_PAGES", 300)
    monkeypatch.setattr(sqlite_threads, "WAL_TOO_LONG", longest)
    store, wal = SqliteStore(folder, checkpoint_every_s=3600), folder / f"{DATABASE}-wal"
    await store.open()
    desk = await Journalist.begin(store)
    await desk.write(2_000, body='{"n":"' + "x" * 500 + '"}')
    full = wal.stat().st_size
    assert full > 300 * 4096
    assert store._checkpointer is not None
    await asyncio.to_thread(store._checkpointer._checkpoint)
    for _ in range(
        2
    ):  # the WAL begins anew behind the group in which it is asked to: the next one comes after it
        await desk.write()
    assert (wal.stat().st_size == full) is kept
    await store.close()
    assert [(report.facts, report.broken) for report in verify(folder)] == [(2_002, None)]


async def test_a_snapshot_left_half_written_is_never_loaded_and_cleared_away(store: SqliteStore) -> None:
    desk = await Journalist.begin(store)
    await desk.write()
    body = bytes(3 << 20)
    task = asyncio.ensure_future(
        store.save_snapshot(desk.leadership, Snapshot(version=1, head=desk.head, body=body))
    )
    count = commits(store)
    await until(lambda: count() >= 2, every=0, what="a part was written")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await store.load(DESK)).snapshots == ()
    await store.save_snapshot(desk.leadership, Snapshot(version=1, head=desk.head, body=b"small"))
    assert [kept.body for kept in (await store.load(DESK)).snapshots] == [b"small"]
    with closing(sqlite3.connect(store._folder.database)) as conn:
        assert conn.execute("SELECT count(*) FROM snapshot_part").fetchone() == (1,)


# --- kill -9 ---


def acknowledged(process: subprocess.Popen[str], moment: float) -> dict[str, int]:
    """Kill the process some time after its first word; what it had said by then, by desk."""
    assert process.stdout is not None
    first = process.stdout.readline()
    killer = threading.Timer(moment, process.kill)
    killer.start()
    said = [first, *process.stdout]
    killer.join()
    lines = [line.split() for line in said if line.endswith("\n")]
    return {name: int(seq) for name, seq in lines}


async def test_kill_9_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    dice = random.Random(2)
    for _ in range(6):
        with appender(folder) as process:
            told = acknowledged(process, dice.uniform(0.0, 0.3))
        store = SqliteStore(folder)
        await store.open()
        for name, seq in told.items():
            loaded = await store.load(name)
            assert loaded.head.seq >= seq
            assert loaded.input_position is not None
            assert int(loaded.input_position) >= seq
            assert await store.evidence(name, f"e-{seq}") == evidence(f"e-{seq}")
        await store.close()
        assert [report.broken for report in verify(folder)] == [None] * 4


# --- verify ---


async def filled(folder: Path, count: int = 9) -> None:
    """A store of two desks, closed."""
    store = SqliteStore(folder)
    await store.open()
    for name in (DESK, OTHER):
        await (await Journalist.begin(store, name)).write(count)
    await store.close()


def tamper(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=DELETE")
        for statement in statements:
            conn.execute(statement)


def rowid(seq: int, desk: int = 1) -> int:
    return desk << SEQ_BITS | seq


SWAP = (
    f"UPDATE fact SET id = -1 WHERE id = {rowid(4)}",
    f"UPDATE fact SET id = {rowid(4)} WHERE id = {rowid(5)}",
    f"UPDATE fact SET id = {rowid(5)} WHERE id = -1",
)
TAMPERINGS = {
    "a changed body": ([f"UPDATE fact SET body = replace(body, '1', '2') WHERE id = {rowid(5)}"], 5, "hash"),
    "a changed time": (
        [f"UPDATE fact SET at = '2026-11-03T08:00:00.123457Z' WHERE id = {rowid(1)}"],
        1,
        "hash",
    ),
    "a due_at put in": ([f"UPDATE fact SET due_at = '' WHERE id = {rowid(9)}"], 9, "hash"),
    "a flipped byte": ([f"UPDATE fact SET body = CAST(x'7bff' AS TEXT) WHERE id = {rowid(6)}"], 6, "body"),
    "a deleted fact": ([f"DELETE FROM fact WHERE id = {rowid(5)}"], 5, "gap"),
    "a deleted first fact": ([f"DELETE FROM fact WHERE id = {rowid(1)}"], 1, "gap"),
    "a swapped pair": (SWAP, 4, "prev"),
    "a changed hash": ([f"UPDATE fact SET hash = zeroblob(32) WHERE id = {rowid(3)}"], 3, "hash"),
    "a changed link": ([f"UPDATE fact SET prev = zeroblob(32) WHERE id = {rowid(3)}"], 3, "prev"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_verify_names_the_broken_fact_and_clears_the_other_desk(folder: Path, what: str) -> None:
    statements, seq, reason = TAMPERINGS[what]
    await filled(folder)
    tamper(folder, *statements)
    mine, other = verify(folder)
    assert (mine.desk, mine.broken) == (DESK, VerifyFinding(seq=seq, reason=reason))
    assert (other.desk, other.facts, other.broken) == (OTHER, 9, None)


async def test_verify_cannot_see_a_tail_cut_off_but_shows_the_head(folder: Path) -> None:
    await filled(folder)
    whole = verify(folder)[0]
    assert whole.head == facts(9)[-1].hash.hex()
    tamper(folder, f"DELETE FROM fact WHERE id >= {rowid(8)} AND id < {rowid(0, 2)}")
    cut = verify(folder)[0]
    assert (cut.facts, cut.broken, cut.head) == (7, None, facts(7)[-1].hash.hex())


async def test_verify_sees_facts_whose_desk_was_taken_away(folder: Path) -> None:
    await filled(folder)
    tamper(folder, "DELETE FROM desk WHERE id = 1")
    other, orphan = verify(folder)
    assert (other.desk, other.broken) == (OTHER, None)
    assert (orphan.desk, orphan.facts, orphan.broken is not None) == ("#1", 9, True)


async def test_verify_finds_one_flipped_bit_in_the_file_itself(folder: Path) -> None:
    await filled(folder)
    database = folder / DATABASE
    raw = bytearray(database.read_bytes())
    # a row ends with body, prev, hash; rows are laid down from the page's end, so the last is its own
    in_the_body = raw.rindex(facts(9)[4].hash) - 32 - 3
    raw[in_the_body] ^= 1
    database.write_bytes(raw)
    mine, other = verify(folder)
    assert (mine.broken, other.broken) == (VerifyFinding(seq=5, reason="hash"), None)


async def test_a_gap_in_the_tail_refuses_to_load_and_a_changed_word_does_not(folder: Path) -> None:
    await filled(folder)
    tamper(folder, TAMPERINGS["a deleted fact"][0][0], f"UPDATE fact SET kind = 'x' WHERE id = {rowid(3, 2)}")
    store = SqliteStore(folder)
    await store.open()
    with pytest.raises(StoreRefused) as caught:
        await store.load(DESK)
    assert caught.value.reason == "corrupt"
    assert (await store.load(OTHER)).head.seq == 9
    await store.close()


async def test_text_that_is_no_text_any_more_is_corrupt_and_not_a_passing_trouble(folder: Path) -> None:
    await filled(folder)
    tamper(folder, TAMPERINGS["a flipped byte"][0][0])
    store = SqliteStore(folder)
    await store.open()
    for call in (store.facts(DESK, 0), store.load(DESK)):
        with pytest.raises(StoreRefused) as caught:
            await call
        assert caught.value.reason == "corrupt"
    await store.close()


async def test_a_snapshot_of_another_history_is_left_out(folder: Path) -> None:
    store = SqliteStore(folder)
    await store.open()
    desk = await Journalist.begin(store)
    for body in (b"older", b"newer"):
        await desk.write(2)
        await store.save_snapshot(desk.leadership, Snapshot(version=1, head=desk.head, body=body))
    await store.close()
    tamper(folder, "UPDATE snapshot SET hash = zeroblob(32) WHERE seq = 4")
    await store.open()
    loaded = await store.load(DESK)
    assert [kept.body for kept in loaded.snapshots] == [b"older"]
    assert [row.seq for row in loaded.tail] == [3, 4]
    await store.close()


def test_verify_says_when_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="no callwatch store"):
        verify(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_verify_and_backup_work_while_another_process_appends(folder: Path, tmp_path: Path) -> None:
    with appender(folder) as process:
        assert process.stdout is not None
        heads = [0]
        for number in range(3):
            process.stdout.readline()
            reports = verify(folder)
            assert {report.broken for report in reports} == {None}
            heads.append(sum(report.facts for report in reports))
            copied = backup(folder, tmp_path / f"copy-{number}")
            assert {report.broken for report in copied} == {None}
            assert sum(report.facts for report in copied) >= heads[-1]
        # it goes on meanwhile; how far between two looks is the machine's business
        assert heads == sorted(heads)
        assert heads[-1] > 0
        assert process.poll() is None


# --- backup ---


async def test_a_backup_is_one_moment_and_a_store_of_its_own(store: SqliteStore, tmp_path: Path) -> None:
    desk = await Journalist.begin(store)
    await store.append(desk.leadership, desk.head, [], [person()], [evidence()], "7")
    await desk.write(9000, body='{"n":"' + "x" * 600 + '"}')
    seen: list[tuple[int, int]] = []
    loop = asyncio.get_running_loop()

    def progress(done: int, pages: int) -> None:
        """Between any two pieces of the copy something is appended."""
        seen.append((done, pages))
        asyncio.run_coroutine_threadsafe(desk.write(5), loop).result(10)

    reports = await asyncio.to_thread(backup, store._folder.path, tmp_path / "copy", progress)
    assert len(seen) > 1
    assert seen == sorted(seen), "a commit must not make the copy start again"
    assert seen[-1][0] == seen[-1][1]
    assert (reports[0].facts, reports[0].broken) == (9000, None)
    assert desk.head.seq > 9000
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [DATABASE]
    copy = SqliteStore(tmp_path / "copy")
    await copy.open()
    original, restored = await store.load(DESK), await copy.load(DESK)
    assert (restored.people, restored.secret) == (original.people, original.secret)
    assert restored.tail == original.tail[: len(restored.tail)]
    await (await Journalist.begin(copy)).write()
    await copy.close()


@pytest.mark.parametrize("there", ["file", "folder"])
async def test_a_backup_never_overwrites(store: SqliteStore, tmp_path: Path, there: str) -> None:
    await (await Journalist.begin(store)).write()
    dest = tmp_path / "copy"
    precious = dest if there == "file" else dest / DATABASE
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("precious")
    with pytest.raises(StoreRefused, match="already"):
        backup(store._folder.path, dest)
    assert precious.read_text() == "precious"


async def test_a_backup_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="no callwatch store"):
        backup(tmp_path / "data", tmp_path / "copy")
    assert not (tmp_path / "copy" / DATABASE).exists()


async def test_a_broken_chain_is_copied_as_it_is_and_told(folder: Path, tmp_path: Path) -> None:
    await filled(folder)
    tamper(folder, *SWAP)
    assert backup(folder, tmp_path / "copy") == verify(folder)
    assert verify(folder)[0].broken is not None
