"""What the engine does when something beside it goes wrong: no deadline, no waiter and no append is lost by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from config.policy import Policy
from connectors.memory_store import MemoryStore
from connectors.ports import Degraded, EdgeError, Leadership, NotTaken, PeopleRow, Snapshot, StoreFenced
from monitor import engine as engine_module
from monitor.core.inputs import Evidence, Input, PeopleReceived, PolicyLoaded, RotaEnd, RotaPortion, RotaRow
from monitor.core.state import Alert
from monitor.directory import Directory
from monitor.engine import Engine, Ticket
from monitor.ids import minter
from tests.waiting import until

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATE = NOON + timedelta(minutes=30)


class Hand:
    """A clock in the hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - NOON).total_seconds()


class Nobody:
    """Hooks that tell nobody."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_said, **_more: None


class SlowSnapshots(MemoryStore):
    """Saving waits until it is let go; says how many were at it together."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on, self.at_it, self.most, self.saved = asyncio.Event(), 0, 0, 0
        self.error: EdgeError | None = None

    async def save_snapshot(self, leadership: Leadership, snapshot: Snapshot) -> None:
        self.at_it += 1
        self.most = max(self.most, self.at_it)
        try:
            await self.go_on.wait()
            if self.error is not None:
                raise self.error
            await super().save_snapshot(leadership, snapshot)
            self.saved += 1
        finally:
            self.at_it -= 1


async def at_once(work: Callable[[], bytes]) -> bytes:
    return work()


@asynccontextmanager
async def running(store: MemoryStore, clock: Hand) -> AsyncIterator[Engine]:
    mint = minter(Random(1).randbytes, clock.now)
    directory = Directory(mint, "Europe/London", 150)
    engine = Engine("bright", store, clock, mint, directory, Nobody(), off_loop=at_once)
    await store.open()
    await engine.start()
    engine.submit(PolicyLoaded(policy=Policy(), duty=(), council_desks=(), holidays=(), public="off"))
    task = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        task.cancel()
        await asyncio.wait([task])
        await store.close()


def plan(engine: Engine, count: int) -> None:
    rows = tuple(
        RotaRow(
            row=n, key=f"v{n}", visit=f"v{n}", service_user="p1", start=NOON, end=NOON + timedelta(minutes=30)
        )
        for n in range(count)
    )
    evidence = Evidence(id="e1", digest="00")
    engine.submit(RotaPortion(upload="u1", evidence=evidence, plan=rows, ends=RotaEnd(refused=0)))


def late(engine: Engine) -> list[Alert]:
    return [alert for alert in engine.state.values.alerts.values() if alert.kind == "late_visit"]


async def test_one_snapshot_is_saved_at_a_time_and_appends_go_on_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "SNAPSHOT_EVERY", 1)
    monkeypatch.setattr(engine_module, "PER_VALUE", 0)
    store = SlowSnapshots()
    async with running(store, Hand()) as engine:
        plan(engine, 1)
        await until(lambda: store.at_it == 1)
        hourly = asyncio.create_task(engine.snapshot())
        plan(engine, 2)
        await engine.durable()
        store.go_on.set()
        await hourly
        assert (store.most, engine.backlog) == (1, 0)
        assert store.saved >= 1


@pytest.mark.parametrize("error", [StoreFenced("head_moved", permanent=True), EdgeError("other")])
async def test_a_snapshot_that_cannot_be_saved_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, error: EdgeError
) -> None:
    monkeypatch.setattr(engine_module, "SNAPSHOT_EVERY", 1)
    monkeypatch.setattr(engine_module, "PER_VALUE", 0)
    store = SlowSnapshots()
    store.error = error
    store.go_on.set()
    async with running(store, Hand()) as engine:
        plan(engine, 1)
        await engine.durable()
        await engine.snapshot()
        plan(engine, 2)
        await engine.durable()
        assert not engine.lost


async def test_deadlines_that_could_not_be_decided_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Hand()
    async with running(MemoryStore(), clock) as engine:
        plan(engine, 5)
        clock.at = LATE
        submit, calls = engine.submit, 0

        def full_at_the_third(seen: Input, **more: Any) -> Ticket:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise NotTaken("full")
            return submit(seen, **more)

        with monkeypatch.context() as patched, pytest.raises(NotTaken):
            patched.setattr(engine, "submit", full_at_the_third)
            engine.fire_due(50)
        assert len(late(engine)) == 2
        assert engine.state.overdue(clock.at) == 3
        assert engine.fire_due(50) == 3
        assert len(late(engine)) == 5


async def test_who_waits_patiently_hears_that_the_desk_was_given_up() -> None:
    store = MemoryStore()
    async with running(store, Hand()) as engine:
        await engine.durable()
        await store.lead("bright")  # somebody else takes the lead
        plan(engine, 1)
        with pytest.raises(Degraded):
            await engine.durable(patient=True)
        with pytest.raises(Degraded):
            await engine.durable(patient=True)
        with pytest.raises(NotTaken):
            plan(engine, 2)
        assert engine.lost


async def test_who_was_told_of_while_nothing_was_taken_is_on_disk_with_what_is_taken_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    row = PeopleRow(ref="p1", kind="person", outside="c-1", rev=1, body=b"{}")
    async with running(store, Hand()) as engine:
        with monkeypatch.context() as patched, pytest.raises(NotTaken):
            patched.setattr("monitor.engine.BUFFER_MARK", -1)
            engine.submit(PeopleReceived(new=(), changed=(), people_rev=1), people=(row,))
        plan(engine, 1)
        await engine.durable()
        assert [one.ref for one in (await store.load("bright")).people] == ["p1"]
