"""What the simulation may do to the store in memory: crash it, break it, slow its commits."""

from __future__ import annotations

import asyncio

import pytest

from connectors.memory_store import MemoryStore
from connectors.ports import Head, Reason, Record, Snapshot, StoreFenced, StoreRefused, StoreUnavailable
from tests.contract.stores import DESK, OTHER, Journalist, evidence, facts, head_of, person


class Disk:
    """Commits that wait until the test lets them go."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    async def pause(self) -> None:
        event = asyncio.Event()
        self._waiting.append(event)
        await event.wait()

    def commit(self) -> None:
        for event in self._waiting:
            event.set()
        self._waiting.clear()


async def begun(disk: Disk, count: int = 3) -> tuple[MemoryStore, list[Record], asyncio.Task[Head]]:
    """A store with one append under way."""
    store = MemoryStore(disk.pause)
    await store.open()
    lead, made = await store.lead(DESK), facts(count)
    task = asyncio.ensure_future(store.append(lead, Head(), made, [person()], [evidence()], "7"))
    await asyncio.sleep(0)
    assert store.pending == 1
    return store, made, task


async def test_nothing_is_durable_before_the_commit_is_over() -> None:
    disk = Disk()
    store, made, task = await begun(disk)
    assert await store.facts(DESK, 0) == []
    disk.commit()
    assert await task == head_of(made)
    assert await store.facts(DESK, 0) == made
    assert store.pending == 0


@pytest.mark.parametrize(("landed", "count"), [(0, 0), (1, 3)])
async def test_a_crash_loses_what_was_under_way_unless_it_had_landed(landed: int, count: int) -> None:
    disk = Disk()
    store, _, task = await begun(disk)
    store.crash(landed=landed)
    disk.commit()
    with pytest.raises(StoreUnavailable):
        await task
    with pytest.raises(StoreUnavailable):
        await store.load(DESK)
    await store.open()
    loaded = await store.load(DESK)
    assert (len(loaded.tail), len(loaded.people), loaded.input_position) == (
        count,
        landed,
        "7" if landed else None,
    )


async def test_what_was_durable_outlives_a_crash_and_the_old_process_is_fenced() -> None:
    store = MemoryStore()
    await store.open()
    old = await Journalist.begin(store)
    made = await old.write(4)
    await store.save_snapshot(old.leadership, Snapshot(version=1, head=old.head, body=b"state"))
    store.crash()
    await store.open()
    new = await Journalist.begin(store)
    assert (new.head, await store.facts(DESK, 0)) == (old.head, made)
    assert [kept.body for kept in (await store.load(DESK)).snapshots] == [b"state"]
    with pytest.raises(StoreFenced):
        await old.write()


@pytest.mark.parametrize("reason", ["full", "read_only", "locked", "unreachable"])
async def test_a_broken_store_says_why_still_reads_and_goes_on_when_mended(reason: Reason) -> None:
    store = MemoryStore()
    await store.open()
    desk = await Journalist.begin(store)
    made = await desk.write(2)
    store.break_with(reason)
    calls = (
        store.append(desk.leadership, desk.head, facts(2, DESK, desk.head)),
        store.lead(OTHER),
        store.save_snapshot(desk.leadership, Snapshot(version=1, head=desk.head, body=b"")),
        store.probe(),
    )
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            await call
        assert caught.value.reason == reason
    assert await store.facts(DESK, 0) == made
    store.mend()
    await store.probe()
    await desk.write(2)
    assert (await store.load(DESK)).head.seq == 4


async def test_breaking_stops_what_is_under_way_and_the_same_append_goes_later() -> None:
    disk = Disk()
    store, made, task = await begun(disk)
    store.break_with("full")
    disk.commit()
    with pytest.raises(StoreUnavailable):
        await task
    assert await store.facts(DESK, 0) == []
    store.mend()
    again = asyncio.ensure_future(store.append(await store.lead(DESK), Head(), made))
    await asyncio.sleep(0)
    disk.commit()
    assert await again == head_of(made)


async def test_a_lead_taken_during_a_commit_fences_it() -> None:
    disk = Disk()
    store, _, task = await begun(disk)
    await store.lead(DESK)
    disk.commit()
    with pytest.raises(StoreFenced):
        await task
    assert await store.facts(DESK, 0) == []


async def test_two_runs_make_the_same_secrets_and_another_seed_others() -> None:
    secrets = []
    for store in (MemoryStore(), MemoryStore(), MemoryStore(secret_seed=b"other")):
        await store.open()
        await store.lead(DESK)
        secrets.append((await store.load(DESK)).secret)
    assert secrets[0] == secrets[1] != secrets[2]


async def test_it_cannot_be_opened_twice() -> None:
    store = MemoryStore()
    await store.open()
    with pytest.raises(StoreRefused):
        await store.open()
