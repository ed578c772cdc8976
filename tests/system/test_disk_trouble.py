"""The embedded store on real disks in trouble: full, read-only, locked, pulled, without power. And after it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from connectors.ports import EdgeError, Record, StoreFenced, StoreRefused, StoreUnavailable
from connectors.sqlite_files import DATABASE
from connectors.sqlite_store import SqliteStore, backup, verify
from tests.contract.stores import DESK, OTHER, Journalist, evidence, facts, head_of, person
from tests.system.disks import ext4, fill, run, tmpfs
from tests.waiting import until

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.sqlite_alone(
    "the store's own disk, lock and files", instead="tests/contract/test_redis_store.py"
)
BIG = '{"n":"' + "x" * 900 + '"}'


@asynccontextmanager
async def opened(folder: Path, patience_s: float = 5.0) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(folder, checkpoint_every_s=0.1, patience_s=patience_s)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def trouble(desk: Journalist, batch: list[Record]) -> str:
    """Append what will not go; the reason. Facts, a person and evidence travel together."""
    with pytest.raises(StoreUnavailable) as caught:
        await desk.store.append(
            desk.leadership, desk.head, batch, [person()], [evidence(f"e-{batch[0].seq}")], "7"
        )
    assert not caught.value.permanent
    return caught.value.reason


async def goes_through(desk: Journalist, batch: list[Record]) -> None:
    """The very same append as in `trouble`, retried as an engine does until the disk is back."""

    async def attempt() -> bool:
        try:
            desk.head = await desk.store.append(
                desk.leadership, desk.head, batch, [person()], [evidence(f"e-{batch[0].seq}")], "7"
            )
        except StoreUnavailable:
            return False
        return True

    await until(attempt, what="the append goes through")
    assert desk.head == head_of(batch)


async def until_full(desk: Journalist) -> list[Record]:
    """Append until the disk takes no more; the facts that did not go."""
    with pytest.raises(StoreUnavailable) as caught:
        while True:
            batch = facts(20, desk.leadership.desk, desk.head, BIG)
            desk.head = await desk.store.append(desk.leadership, desk.head, batch)
    assert caught.value.reason == "full"
    return batch


def all_there(folder: Path, desk: Journalist) -> None:
    reports = {report.desk: report for report in verify(folder)}
    mine = reports[desk.leadership.desk]
    assert (mine.facts, mine.head, mine.broken) == (desk.head.seq, desk.head.hash.hex(), None)


# --- full ---


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "small", "1m") as disk:
        yield disk


async def test_a_full_disk_is_said_and_everything_goes_on_in_order_when_there_is_room(small: Path) -> None:
    async with opened(small / "data") as store:
        desk, other = await Journalist.begin(store), await Journalist.begin(store, OTHER)
        waiting = await until_full(desk)
        fill(small)
        held = facts(3, OTHER, other.head, BIG)
        assert await trouble(desk, waiting) == "full"
        assert await trouble(other, held) == "full"
        with pytest.raises(StoreUnavailable, match="full"):
            await store.probe()
        assert (await store.load(DESK)).head == desk.head
        assert len(await store.facts(DESK, 0, 5)) == 5
        run("mount", "-o", "remount,size=8m", small)
        await goes_through(desk, waiting)
        await goes_through(other, held)
        await store.probe()
        await desk.write(500, BIG)
        assert await store.evidence(DESK, f"e-{waiting[0].seq}") is not None
        all_there(small / "data", desk)
        all_there(small / "data", other)


async def test_a_disk_that_is_full_again_and_again_loses_nothing(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "6m") as disk:
        async with opened(disk / "data") as store:
            desk = await Journalist.begin(store)
            for _ in range(5):
                await desk.write(40, BIG)
                ballast = fill(disk)
                waiting = await until_full(desk)
                assert await trouble(desk, waiting) == "full"
                ballast.unlink()
                await goes_through(desk, waiting)
            all_there(disk / "data", desk)


async def test_a_process_that_dies_of_a_full_disk_keeps_what_was_acknowledged(small: Path) -> None:
    command = [sys.executable, "-m", "tests.contract.appender", str(small / "data")]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    said, _ = await asyncio.wait_for(process.communicate(), 90)
    told = {name: int(seq) for name, seq in (line.split() for line in said.decode().splitlines())}
    assert process.returncode == 1
    assert len(told) == 4
    run("mount", "-o", "remount,size=8m", small)
    async with opened(small / "data") as store:
        for name, seq in told.items():
            assert (await store.load(name)).head.seq >= seq
            await (await Journalist.begin(store, name)).write()


async def test_a_start_on_a_full_disk_says_so_and_harms_nothing(small: Path) -> None:
    async with opened(small / "data") as store:
        desk = await Journalist.begin(store)
        await desk.write(20)
    ballast = fill(small)
    with pytest.raises(EdgeError) as caught:
        async with opened(small / "data") as store:
            await store.lead(DESK)
    assert caught.value.reason == "full"
    ballast.unlink()
    async with opened(small / "data") as store:
        assert (await store.load(DESK)).head == desk.head
        await (await Journalist.begin(store)).write()


async def test_a_backup_that_does_not_fit_is_said_and_leaves_no_half_copy(
    small: Path, tmp_path: Path
) -> None:
    async with opened(tmp_path / "data") as store:
        desk = await Journalist.begin(store)
        await desk.write(2000, BIG)
        with pytest.raises(StoreUnavailable) as caught:
            backup(tmp_path / "data", small / "copy")
        assert caught.value.reason == "full"
        assert listed(small / "copy") == []
        await desk.write()


def listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


# --- read-only ---


async def test_a_disk_that_the_kernel_turns_read_only_is_said_and_taken_up_again(tmp_path: Path) -> None:
    with ext4(tmp_path) as disk:
        async with opened(disk.at / "data") as store:
            desk = await Journalist.begin(store)
            await desk.write(50, BIG)
            disk.turns_read_only()
            waiting = facts(7, DESK, desk.head, BIG)
            assert await trouble(desk, waiting) == "read_only"
            with pytest.raises(StoreUnavailable) as caught:
                await store.probe()
            assert caught.value.reason == "read_only"
            assert len(await store.facts(DESK, 0)) == 50
            disk.comes_back()
            await goes_through(desk, waiting)
            all_there(disk.at / "data", desk)


async def test_a_disk_pulled_and_back_read_only_then_writable_goes_on(small: Path, tmp_path: Path) -> None:
    (tmp_path / "door").mkdir()
    run("mount", "--bind", small, tmp_path / "door")
    folder = tmp_path / "door" / "data"
    try:
        async with opened(folder) as store:
            desk = await Journalist.begin(store)
            await desk.write(5)
            waiting = facts(3, DESK, desk.head)
            run("umount", "-l", tmp_path / "door")
            assert await trouble(desk, waiting) == "unreachable"
            assert not folder.exists(), "a new, empty journal must never be made"
            run("mount", "--bind", small, tmp_path / "door")
            run("mount", "-o", "remount,bind,ro", tmp_path / "door")
            assert await trouble(desk, waiting) == "read_only"
            run("mount", "-o", "remount,bind,rw", tmp_path / "door")
            await goes_through(desk, waiting)
            all_there(folder, desk)
    finally:
        run("umount", "-l", tmp_path / "door")


async def test_a_read_only_disk_refuses_to_start_but_can_be_verified_and_copied(
    small: Path, tmp_path: Path
) -> None:
    async with opened(small / "data") as store:
        desk = await Journalist.begin(store)
        await desk.write(5)
    run("mount", "-o", "remount,ro", small)
    with pytest.raises(StoreRefused) as caught:
        await SqliteStore(small / "data").open()
    assert caught.value.reason == "read_only"
    all_there(small / "data", desk)
    assert backup(small / "data", tmp_path / "copy") == verify(small / "data")
    with pytest.raises(StoreUnavailable) as refused:
        backup(small / "data", small / "copy")
    assert refused.value.reason == "read_only"
    run("mount", "-o", "remount,rw", small)
    async with opened(small / "data") as store:
        await (await Journalist.begin(store)).write()


# --- gone ---


async def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with ext4(tmp_path) as disk:
        async with opened(disk.at / "data") as store:
            desk, other = await Journalist.begin(store), await Journalist.begin(store, OTHER)
            for _ in range(20):
                await asyncio.gather(desk.write(10), other.write(3))
            disk.loses_power()
            waiting = facts(4, DESK, desk.head)
            assert await trouble(desk, waiting) == "unreachable"
            disk.comes_back()
            await goes_through(desk, waiting)
            all_there(disk.at / "data", desk)
            all_there(disk.at / "data", other)


async def test_a_database_taken_away_is_noticed_and_taken_up_again(tmp_path: Path) -> None:
    database, away = tmp_path / "data" / DATABASE, tmp_path / "away"
    async with opened(tmp_path / "data") as store:
        desk = await Journalist.begin(store)
        await desk.write(5)
        waiting = facts(3, DESK, desk.head)
        database.rename(away)
        assert await trouble(desk, waiting) == "unreachable"
        assert not database.exists()
        away.rename(database)
        await goes_through(desk, waiting)
        all_there(tmp_path / "data", desk)


async def test_an_older_database_put_in_its_place_stops_the_desk_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as store:
        desk = await Journalist.begin(store)
        await desk.write(5)
        backup(tmp_path / "data", tmp_path / "old")
        await desk.write(5)
        for name in (f"{DATABASE}-wal", f"{DATABASE}-shm"):
            (tmp_path / "data" / name).unlink()
        (tmp_path / "old" / DATABASE).rename(tmp_path / "data" / DATABASE)
        with pytest.raises(StoreFenced) as caught:
            await desk.write()
        assert caught.value.reason == "head_moved"


# --- locked ---

HOLD = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program holds the database's write lock."""
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.kill()


async def longest_wait(during: asyncio.Task[str]) -> float:
    """How long the event loop kept anybody waiting, in seconds."""
    longest = 0.0
    while not during.done():
        before = time.monotonic()
        await asyncio.sleep(0.001)
        longest = max(longest, time.monotonic() - before)
    return longest


async def test_a_locked_database_is_said_without_holding_up_the_loop_and_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as store:
        desk = await Journalist.begin(store)
        await desk.write(5)
        waiting = facts(3, DESK, desk.head)
        with locked(tmp_path / "data" / DATABASE):
            failing = asyncio.create_task(trouble(desk, waiting))
            # the store waits for five seconds: a loop that waited with it would have stood for as long
            assert await longest_wait(failing) < 1
            assert await failing == "locked"
            assert len(await store.facts(DESK, 0)) == 5
        await goes_through(desk, waiting)
        all_there(tmp_path / "data", desk)
