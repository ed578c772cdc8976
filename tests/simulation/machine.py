"""The machine under test: the real composition root on simulated ports, killed and started again.

`SimApp` is `monitor.app.App` with the ports put in: the store in memory, the simulated broker and telephones, no HTTP
listener and no watchdog thread. Each life has ports of its own, which die with it: what a killed process still does
while it unwinds reaches nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, NoReturn, Protocol, TypeVar, cast

from config.load import DeskConfig
from config.load import Loaded as Configuration
from config.settings import Settings
from connectors.memory_store import MemoryStore
from connectors.mqtt import MqttFeed
from connectors.ports import (
    EdgeError,
    EvidenceRow,
    Head,
    Leadership,
    Loaded,
    OutboundMessage,
    PeopleRow,
    Reason,
    Record,
    Sender,
    Sent,
    Snapshot,
    StatusCallback,
)
from monitor.app import App
from monitor.quarantine import Quarantine
from monitor.watchdog import Watchdog
from tests.simulation.broker import Broker, Listener, SimFeed
from tests.simulation.virtual_time import LIFE, SimClock, VirtualLoop

T = TypeVar("T")
LINK_KEY = b"every life of a machine signs with the same key"


class Telephones(Protocol):
    """The network's side of a Sender."""

    async def post(self, message: OutboundMessage, since_life: int) -> Sent:
        """The POST of one message."""

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """The provider's list."""

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """The provider's word on one message."""


class Journalist(Protocol):
    """Who is told what became durable, and what the process was seen to do."""

    def recorded(self, desk: str, facts: Sequence[Record]) -> None:
        """The journal of the desk, whole, has grown."""

    def sending(self, message: OutboundMessage) -> None:
        """The process is about to hand this message over."""

    def trouble(self, what: str) -> None:
        """Something that must never happen was seen."""


async def never() -> NoReturn:
    """Where the steps of a dead life end."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("a dead life went on")


class LifeStore:
    """The store as one life sees it."""

    def __init__(self, machine: Machine, store: MemoryStore) -> None:
        self._machine, self._store = machine, store
        self.alive = True

    async def _living(self, work: Awaitable[T]) -> T:
        if not self.alive:
            asyncio.ensure_future(work).cancel()
            await never()
        return await work

    async def open(self) -> None:
        """The port's."""
        await self._living(self._store.open())

    async def close(self) -> None:
        """The port's; a dead process closes nothing."""
        if self.alive:
            await self._store.close()

    async def lead(self, desk: str) -> Leadership:
        """The port's."""
        return await self._living(self._store.lead(desk))

    async def load(self, desk: str) -> Loaded:
        """The port's."""
        return await self._living(self._store.load(desk))

    async def append(
        self,
        leadership: Leadership,
        expected_head: Head,
        facts: Sequence[Record],
        people: Sequence[PeopleRow] = (),
        evidence: Sequence[EvidenceRow] = (),
        input_position: str | None = None,
    ) -> Head:
        """The port's; the journalist hears of what became durable."""
        work = self._store.append(leadership, expected_head, facts, people, evidence, input_position)
        head = await self._living(work)
        self._machine.note_journal(leadership.desk)
        return head

    async def facts(self, desk: str, after: int, limit: int = 1000) -> list[Record]:
        """The port's."""
        return await self._living(self._store.facts(desk, after, limit))

    async def evidence(self, desk: str, evidence_id: str) -> EvidenceRow | None:
        """The port's."""
        return await self._living(self._store.evidence(desk, evidence_id))

    async def save_snapshot(self, leadership: Leadership, snapshot: Snapshot) -> None:
        """The port's."""
        await self._living(self._store.save_snapshot(leadership, snapshot))

    async def probe(self) -> None:
        """The port's."""
        await self._living(self._store.probe())


class LifeSender:
    """The telephone account as one life sees it."""

    def __init__(self, machine: Machine, life: int) -> None:
        self._machine, self._life = machine, life
        self.alive = True

    async def send(self, message: OutboundMessage) -> Sent:
        """The port's."""
        if not self.alive:
            await never()
        self._machine.journalist.sending(message)
        return await self._machine.telephones.post(message, self._life)

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """The port's."""
        return await self._machine.telephones.look_up(message, since)

    async def hang_up(self, message: OutboundMessage, provider_ref: str) -> None:
        """The port's."""

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """The port's."""
        return await self._machine.telephones.status(message, provider_ref)

    async def close(self) -> None:
        """Nothing to give back."""


class _NoQuarantine(Quarantine):
    """Everything that the simulation sends can be read: a body that is put aside is a fault of ours or theirs."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(Path("/nonexistent"))
        self._machine = machine

    async def put(self, source: str, reason: Reason, raw: bytes, desk: str | None) -> bool:
        self._machine.journalist.trouble(f"quarantined: {source} {reason} {raw[:60]!r}")
        return True


class _NoWatchdog:
    """A thread cannot watch virtual time."""

    def start(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


class SimApp(App):
    """One life of the daemon."""

    def __init__(self, machine: Machine, life: int) -> None:
        self._machine, self.life = machine, life
        self.life_sender = LifeSender(machine, life)
        self.life_store = LifeStore(machine, machine.store)
        super().__init__(
            machine.configuration,
            clock=machine.clock,
            random_bytes=machine.ids.randbytes,
            store=self.life_store,
        )
        self.watch._quarantine = _NoQuarantine(machine)
        self.serving = self.watching = False
        self.watching_since = 0.0
        self._begin_sending = self.watch.start_sending
        self.watch.start_sending = self._watching  # type: ignore[method-assign]

    def _feed_names(self) -> list[str]:
        return ["mqtt"]

    def _sender(self) -> Sender:
        return self.life_sender

    def _mqtt(self) -> MqttFeed | None:
        machine = self._machine
        return cast(MqttFeed, SimFeed(self.watch, machine.broker, machine.broker.rng, machine.listener))

    async def run(self, ready: Callable[[str], None]) -> None:
        """As the product's, without the listener."""
        self.watch.links.replace_keys([LINK_KEY])
        await self.store.open()
        try:
            for config in self._loaded.desks:
                shell = self._shell(config)
                await shell.engine.start()
                self.watch.add(shell)
                shell.adopt(config, self._holidays())
            try:
                await self._serve(ready, cast(Watchdog, _NoWatchdog()))
            finally:
                self.scheduler.stop()
        finally:
            await self.store.close()

    def die(self) -> None:
        """From here on nothing of this life reaches anybody."""
        self.life_store.alive = self.life_sender.alive = False

    def _watching(self) -> None:
        """Drained: deadlines fire and messages leave."""
        self._begin_sending()
        self.watching, self.watching_since = True, self._machine.loop.time()
        self._machine.on_change()


class Machine:
    """Starts, kills, stops and starts the daemon again; holds what outlives it."""

    telephones: Telephones
    journalist: Journalist
    listener: Listener

    def __init__(
        self, loop: VirtualLoop, clock: SimClock, seed: int, desks: Sequence[DeskConfig], broker: Broker
    ) -> None:
        self.loop, self.clock, self.broker = loop, clock, broker
        self.ids = Random(f"ids:{seed}")
        self.rng = Random(f"machine:{seed}")
        self.commit_s = (0.0002, 0.004)
        self.store = MemoryStore(self._commit, secret_seed=str(seed).encode())
        self.configure(desks)
        self.app: SimApp | None = None
        self.task: asyncio.Task[None] | None = None
        self.context = Context()
        self.life = 0
        self.on_change: Callable[[], None] = lambda: None
        """Called when the process came up, went, or stands still."""
        self._seen: dict[str, int] = {}

    def configure(self, desks: Sequence[DeskConfig]) -> None:
        """The configuration with which the next life starts."""
        named = [{"id": desk.id, "kind": desk.kind, "name": desk.name} for desk in desks]
        settings = Settings.model_validate({"data_dir": "/nonexistent", "drain_s": 10.0, "desk": named})
        self.configuration = Configuration(settings=settings, desks=tuple(desks))

    async def _commit(self) -> None:
        await asyncio.sleep(self.rng.uniform(*self.commit_s))

    # --- lives ---

    def start(self) -> asyncio.Task[None]:
        """A new process."""
        assert self.app is None
        self.life += 1
        self.context = Context()
        self.context.run(LIFE.set, self.life)
        self.app = self.context.run(SimApp, self, self.life)
        self.task = self.loop.create_task(
            self._live(self.app), name=f"life-{self.life}", context=self.context
        )
        return self.task

    async def _live(self, app: SimApp) -> None:
        await app.run(lambda _address: setattr(app, "serving", True))

    def kill(self) -> None:
        """SIGKILL, now: what was under way on disk lands or does not."""
        app = self.app
        if app is None:
            return
        self.store.crash(landed=self.rng.choice((0, 0, 1, 9)))
        app.die()
        self.app = None
        if self.broker.connection is not None:
            self.broker.gone(self.broker.connection)
        self.loop.kill(app.life)
        for desk in app.watch.shells:
            self.note_journal(desk)
        self.on_change()

    def ended(self) -> None:
        """The process has ended by itself (an orderly stop, or a start that failed)."""
        app = self.app
        if app is not None:
            self.store.crash()
            app.die()
            self.app = None
            self.loop.kill(app.life)
            self.on_change()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A request that comes in: a step of the process's own life."""
        return self.loop.create_task(work, context=self.context)

    async def ask(self, work: Callable[[App], Coroutine[Any, Any, T]], timeout_s: float = 15.0) -> T:
        """A request from outside and its answer. Raises ConnectionError when nobody answers."""
        app = self.app
        if app is None or not app.serving:
            raise ConnectionError("connection refused")
        task = self.spawn(work(app))
        done, _ = await asyncio.wait((task,), timeout=timeout_s)
        if not done or task.cancelled():
            task.cancel()
            raise ConnectionError("no answer")
        return task.result()

    # --- what is on disk ---

    def journal(self, desk: str) -> list[Record]:
        """The desk's journal as it lies on disk, whether or not a process has it open."""
        found = self.store._desks.get(desk)
        return found.facts if found is not None else []

    def evidence(self, desk: str, row: str) -> bytes | None:
        """The body of a row of evidence on disk."""
        kept = self.store._desks[desk].evidence.get(row)
        return kept.body if kept is not None else None

    def outside(self, desk: str) -> dict[str, str]:
        """The caller's own ids by minted one, as they stand on disk."""
        return {row.ref: row.outside for row in self.store._desks[desk].people.values()}

    def note_journal(self, desk: str) -> None:
        """Tell the journalist what became durable since the last time."""
        new = self.journal(desk)[self._seen.get(desk, 0) :]
        if new:
            self._seen[desk] = new[-1].seq
            self.journalist.recorded(desk, new)


def is_down(error: BaseException) -> bool:
    """Whether a request failed for a reason for which a client tries again."""
    return isinstance(error, ConnectionError | EdgeError)
