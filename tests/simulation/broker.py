"""A simulated MQTT broker with one persistent session for us, and the feed that reads it as `connectors/mqtt.py` does.

QoS 1: what was not acknowledged comes again on the next connection, in order. Phones publish at least once, so that a
message may stand here twice. An acknowledgement of an older connection is worth nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from connectors.checkin_json import read_checkin
from connectors.ports import Degraded, Desks, EdgeError, StoreFenced
from monitor.core.views import CheckInAnswer
from tests.simulation.virtual_time import VirtualLoop

DRAIN_S = 20.0
READ_S = 1.0
"""Longer than any message may wait in a connection that is read."""


class Listener(Protocol):
    """Who is told when a message was handed in, and when it was acknowledged."""

    def delivered(self, checkin: str, desk: str) -> None:
        """Handed to the process."""

    def acknowledged(self, checkin: str, desk: str) -> None:
        """The process has promised that it is kept."""


@dataclass(kw_only=True)
class Stored:
    """One message in the session."""

    mid: int
    device: str
    body: bytes
    checkin: str
    retained: bool = False
    published_at: float = 0.0


@dataclass(eq=False)
class Connection:
    """One connection of the process; a new one makes it stale."""

    generation: int
    take: Callable[[Stored], None]
    marker: Callable[[int], None]
    lost: Callable[[], None]
    context: Context
    since: float = 0.0
    last_at: float = 0.0
    open: bool = True


@dataclass
class Broker:
    """The broker."""

    loop: VirtualLoop
    rng: Random
    up: bool = True
    session: dict[int, Stored] = field(default_factory=dict)
    retained: list[Stored] = field(default_factory=list)
    connection: Connection | None = None
    _mid: int = 0
    _generation: int = 0
    _buffer: list[Callable[[], None]] | None = None
    """What the kernel holds for a process that stands still."""

    def publish(self, device: str, body: bytes, checkin: str) -> bool:
        """A phone's message; True is the PUBACK to the phone: from now on it is the broker's to keep."""
        if not self.up:
            return False
        self._mid += 1
        stored = Stored(
            mid=self._mid, device=device, body=body, checkin=checkin, published_at=self.loop.time()
        )
        self.session[stored.mid] = stored
        self._send(stored)
        return True

    def connect(
        self,
        take: Callable[[Stored], None],
        marker: Callable[[int], None],
        lost: Callable[[], None],
        context: Context,
    ) -> Connection | None:
        """A connection, or None. What waits is sent at once, retained messages first."""
        if not self.up:
            return None
        self.cut()
        self._buffer = None
        self._generation += 1
        self.connection = Connection(self._generation, take, marker, lost, context, since=self.loop.time())
        for stored in (*self.retained, *self.session.values()):
            self._send(stored)
        return self.connection

    def cut(self) -> None:
        """The connection is lost, and the process hears of it."""
        link, self.connection = self.connection, None
        if link is not None:
            link.open = False
            self.loop.call_soon(link.lost, context=link.context)

    def gone(self, link: Connection) -> None:
        """The process is dead: nobody is told."""
        link.open = False
        if self.connection is link:
            self.connection = None

    def ack(self, link: Connection, mid: int) -> None:
        """A PUBACK: it counts on the connection that brought the message."""
        if link is self.connection and link.open:
            self.session.pop(mid, None)

    def could_be_read(self, checkin: str, at: float, watching_since: float) -> bool:
        """Whether a process that watches since then could have read this message before `at`: at its start it reads
        what waits before anything else, and later within a second."""
        link = self.connection
        if link is None or not link.open:
            return False
        for stored in self.session.values():
            if stored.checkin == checkin:
                drained = stored.published_at < link.since <= watching_since
                since = max(stored.published_at, link.since)
                return since <= at if drained else since + READ_S < at
        return False

    def send_marker(self, link: Connection, nonce: int) -> None:
        """Our own message comes back behind everything that was sent before."""
        self._in_order(link, lambda: link.marker(nonce))

    def _send(self, stored: Stored) -> None:
        link = self.connection
        if link is not None:
            self._in_order(link, lambda: link.take(stored))

    def _in_order(self, link: Connection, work: Callable[[], None]) -> None:
        # timers of the same instant come in no order: each a moment after the one before
        at = max(link.last_at + 2e-6, self.loop.time() + self.rng.uniform(0.001, 0.05))
        link.last_at = at

        def arrive() -> None:
            if self._buffer is not None:
                self._buffer.append(arrive)
            elif link.open:
                self.loop.call_soon(work, context=link.context)

        self.loop.call_at(at, arrive, context=Context())

    def nobody_reads(self) -> None:
        """The process stands still: what comes waits in its socket."""
        self._buffer = []

    def read_again(self, delay_s: float) -> None:
        """It goes on, and gets what waited after so long: at once, or when a busy machine comes to it."""
        at = self.loop.time() + delay_s
        if self.connection is not None:
            self.connection.last_at = max(self.connection.last_at, at)

        def read() -> None:
            waited, self._buffer = self._buffer or [], None
            for arrive in waited:
                arrive()

        self.loop.call_at(at, read, context=Context())


@dataclass(eq=False)
class _Taken:
    stored: Stored
    desk: str = ""
    future: asyncio.Future[CheckInAnswer] | None = None


class SimFeed:
    """Reads the session, hands check-ins in, acknowledges in order of receipt when they are durable."""

    name = "mqtt"

    def __init__(self, desks: Desks, broker: Broker, rng: Random, listener: Listener) -> None:
        self._desks, self._broker, self._rng, self._listener = desks, broker, rng, listener
        self._link: Connection | None = None
        self._ledger: deque[_Taken] = deque()
        self._waiting = asyncio.Event()
        self._lost = asyncio.Event()
        self._markers: dict[int, asyncio.Future[None]] = {}
        self._nonce = 0

    def tell(self, topic: str, body: bytes, *, expires_s: int) -> bool:
        """A phone is told something; the handsets of the simulation make nothing of it."""
        return self._link is not None

    async def run(self) -> None:
        """Until cancelled; reconnects."""
        failures = 0
        while True:
            self._lost.clear()
            link = self._broker.connect(self._take, self._marker, self._lost.set, copy_context())
            if link is not None:
                failures = 0
                await self._serve(link)
            if link is not None or failures == 0:
                self._desks.feed_changed(self.name, "down")
            failures += 1
            await asyncio.sleep(self._rng.uniform(0.5, 1.0) * min(30.0, 0.25 * 2**failures))

    async def _serve(self, link: Connection) -> None:
        self._link = link
        try:
            async with asyncio.TaskGroup() as group:
                work = [group.create_task(self._acknowledge(link)), group.create_task(self._come_up(link))]
                await self._lost.wait()
                for task in work:
                    task.cancel()
        except* ConnectionError:
            pass
        finally:
            self._link = None
            self._broker.gone(link)
            for taken in self._ledger:
                if taken.future is not None:
                    taken.future.add_done_callback(lambda f: f.cancelled() or f.exception())
            self._ledger.clear()
            for marker in self._markers.values():
                marker.cancel()
            self._markers.clear()

    async def _come_up(self, link: Connection) -> None:
        self._desks.feed_changed(self.name, "up")
        marker = self._ask_marker(link)
        await asyncio.wait((marker,), timeout=DRAIN_S)
        if not marker.done():
            self._desks.feed_changed(self.name, "unknown")
        await marker
        self._desks.feed_changed(self.name, "drained")

    def _ask_marker(self, link: Connection) -> asyncio.Future[None]:
        self._nonce += 1
        back = self._markers[self._nonce] = asyncio.get_running_loop().create_future()
        self._broker.send_marker(link, self._nonce)
        return back

    def _marker(self, nonce: int) -> None:
        back = self._markers.pop(nonce, None)
        if back is not None and not back.done():
            back.set_result(None)

    async def settle(self, timeout_s: float = 2.0) -> str:
        """What already waits is read, for at most this long."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._link is None:
                    await asyncio.sleep(0.05)
                await asyncio.wait((self._ask_marker(self._link),))
        except TimeoutError:
            return "unknown"
        return "drained"

    def _take(self, stored: Stored) -> None:
        if self._link is None or not self._link.open:
            return
        taken = _Taken(stored)
        desk = self._desks.desk_of_device(stored.device)
        if desk is not None:
            seen = read_checkin(stored.body, device=stored.device, source="mqtt", retained=stored.retained)
            if not stored.retained:
                self._listener.delivered(stored.checkin, desk)
            taken.desk, taken.future = desk, self._desks.check_in(desk, seen)
        self._ledger.append(taken)
        self._waiting.set()

    async def _acknowledge(self, link: Connection) -> None:
        while True:
            await self._waiting.wait()
            while self._ledger:
                await self._durable(self._ledger[0])
                taken = self._ledger.popleft()
                self._broker.ack(link, taken.stored.mid)
                if taken.desk and not taken.stored.retained:
                    self._listener.acknowledged(taken.stored.checkin, taken.desk)
            self._waiting.clear()

    async def _durable(self, taken: _Taken) -> None:
        if taken.future is None:
            return
        if not taken.future.done():
            await asyncio.wait((taken.future,))
        error = taken.future.exception()
        if isinstance(error, Degraded):
            await self._desks.durable(taken.desk)
        elif isinstance(error, StoreFenced) or (isinstance(error, EdgeError) and not error.permanent):
            raise ConnectionError(error.reason)
        elif error is not None:
            await self._desks.quarantine("mqtt", "decide_failed", taken.stored.body, taken.desk)
