"""One paced priority queue per account: what is intended leaves in the order of its worth (design rule 7).

The provider takes about one call a second and queues the rest in its own order, so the order is made here and never
more than two seconds of work lie there. Every message is re-checked by the core when its turn comes; an attempt is
on disk before its POST; what is in doubt is looked up before it is sent again.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import random
from typing import Protocol

import structlog

from connectors.ports import EdgeError, OutboundMessage, Sender, Sent, StatusCallback
from monitor.clock import Clock
from monitor.core.messages import waits_for_line
from monitor.core.state import Message

log = structlog.get_logger("outbox")

ORDER: Mapping[str, int] = {"help": 0, "summon": 1, "first_contact": 2, "time_critical": 3, "repeat": 4}
LOOK_UP_S = 5.0
"""How long a message in doubt is looked for at the provider; then it goes out again, marked (design)."""
AT_ONCE = 8
"""POSTs under way at the same time, at most: a hung provider must not stop help from being asked."""


class Desk(Protocol):
    """What the outbox asks of a desk's shell."""

    def queued(self, key: str) -> Message | None:
        """The message, while it waits for its turn or its answer."""

    def rank(self, key: str) -> int:
        """Its place among its equals, 0 the first: about a time-critical visit, any other visit, then packages."""

    def opens_at(self, message: Message) -> datetime | None:
        """Before which it need not have its turn; None: it may have it now."""

    async def attempt(self, key: str) -> OutboundMessage | None:
        """Its turn: decided, rendered, the attempt durable. None: no longer wanted, or the store is away."""

    def outbound(self, key: str) -> OutboundMessage | None:
        """The same message as it would be sent, for a look-up."""

    def accepted(self, key: str, provider_ref: str, *, found: bool) -> None:
        """The provider has it."""

    def refused(self, key: str, reason: str, *, permanent: bool, possibly_repeated: bool) -> None:
        """The provider did not take it, or nobody knows."""

    def reported(self, callback: StatusCallback) -> None:
        """The provider's word on a message that was asked for."""


MAILS_PER_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0
"""How long what failed waits while an account takes nothing from several people in a row: twice as long each time, and
never so long that help waits for it once the account is well again."""
LONGEST_RETRY_S = 30.0
"""The pauses of a message that could not have its turn, or whose outcome could not be recorded, grow up to this."""

Entry = tuple[int, int, int, datetime, int, str, str]
"""Priority, time-critical first, never tried first, intended at, a counter, desk, key."""


class Lane:
    """One channel of one account: what waits, a pace, and pauses that grow while the account takes nothing.

    A pause is for what was tried and failed. What was never tried goes at the pace: it must not wait behind what is
    bad, and it shows at once that the account is well again. `spread` gives 0 to 1: no two processes return together.
    """

    def __init__(self, per_s: float, spread: Callable[[], float]) -> None:
        self._fresh: list[Entry] = []
        self._tried: list[Entry] = []
        self.gap_s = 1.0 / per_s
        self.next_at, self.paused_until = 0.0, 0.0
        self._spread = spread
        self._refused: set[str] = set()
        self._pause_s = 0.0

    def waiting(self) -> list[Entry]:
        """All of it, in no order."""
        return self._fresh + self._tried

    def push(self, entry: Entry) -> None:
        """It waits."""
        heapq.heappush(self._tried if entry[2] else self._fresh, entry)

    def opens_at(self) -> float | None:
        """When the next one may go, on the monotonic clock; None: nothing waits."""
        if self._fresh:
            return self.next_at
        return max(self.next_at, self.paused_until) if self._tried else None

    def pop(self, now: float) -> Entry:
        """The best one that may go now."""
        may_try_again = bool(self._tried) and now >= self.paused_until
        again = may_try_again and (not self._fresh or self._tried[0] < self._fresh[0])
        self.next_at = max(self.next_at, now - self.gap_s) + self.gap_s
        return heapq.heappop(self._tried if again else self._fresh)

    def failed(self, to: str, now: float) -> None:
        """It did not take one to this recipient. One alone may be bad; of two in a row the account is unwell."""
        self._refused.add(to)
        if len(self._refused) < 2 or now < self.paused_until:
            return
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self.paused_until = now + self._pause_s * (1 + self._spread()) / 2

    def took(self) -> None:
        """It is well."""
        self._refused.clear()
        self._pause_s = self.paused_until = 0.0


class Outbox:
    """Runs until cancelled. `add` is called when a message's facts are durable (or may leave without)."""

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        *,
        calls_per_s: float,
        sms_per_s: float,
        on_late: Callable[[float], None],
        on_provider: Callable[[str, str, bool], None] = lambda channel, answer, about_message: None,
        mail: Sender | None = None,
        spread: Callable[[], float] = random,
    ) -> None:
        self._mail = mail or sender
        self._sender, self._clock, self._on_late, self._on_provider = sender, clock, on_late, on_provider
        self._desks: dict[str, Desk] = {}
        paces = {"call": calls_per_s, "sms": sms_per_s, "email": MAILS_PER_S}
        self._lanes = {channel: Lane(pace, spread) for channel, pace in paces.items()}
        self._spread = spread
        self._posting: set[str] = set()
        self._tries: dict[str, int] = {}
        self._known: set[str] = set()
        self._count = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def serve(self, desk: str, shell: Desk) -> None:
        """Messages of this desk are asked of this shell."""
        self._desks[desk] = shell

    def add(self, desk: str, message: Message) -> None:
        """A message waits for its turn; one that may not go yet comes back by itself."""
        if message.key in self._known or message.channel not in self._lanes:
            return
        opens_at = self._desks[desk].opens_at(message)
        wait = (opens_at - self._clock.now()).total_seconds() if opens_at else 0.0
        if wait > 0:
            self._later(wait, desk, message.key)
            return
        self._at_once(message.key)
        self._known.add(message.key)
        self._count += 1
        entry: Entry = (
            ORDER[message.priority],
            self._desks[desk].rank(message.key),
            1 if message.attempts else 0,
            message.intended_at,
            self._count,
            desk,
            message.key,
        )
        self._lanes[message.channel].push(entry)
        self._wake.set()

    def doubt(self, desk: str, message: Message) -> None:
        """An attempt without an outcome (we were killed right after the POST): look it up before anything else."""
        if message.key not in self._known | self._posting:
            self._known.add(message.key)
            self._start(self._settle_doubt(desk, message.key, message.attempted_at or message.intended_at))

    def chase(self, desk: str, message: Message) -> None:
        """A callback is overdue: ask the provider how it went."""
        self._start(self._ask(desk, message))

    def hang_up(self, desk: str, message: Message) -> None:
        """A call that rings is to ring no longer."""
        self._start(self._hang_up(desk, message))

    @property
    def waiting(self) -> int:
        """Messages that wait for their turn, for their time or for an answer."""
        return len(self._known | self._posting) + len(self._timers)

    def depths(self) -> dict[str, int]:
        """Waiting messages by priority."""
        found = dict.fromkeys(ORDER, 0)
        names = list(ORDER)
        for lane in self._lanes.values():
            for entry in lane.waiting():
                found[names[entry[0]]] += 1
        return found

    def oldest(self) -> dict[str, float]:
        """Seconds since the oldest waiting message of each priority was intended."""
        now, found = self._clock.now(), dict.fromkeys(ORDER, 0.0)
        names = list(ORDER)
        for lane in self._lanes.values():
            for entry in lane.waiting():
                name = names[entry[0]]
                found[name] = max(found[name], (now - entry[3]).total_seconds())
        return found

    def _later(self, wait_s: float, desk: str, key: str) -> None:
        def again() -> None:
            self._timers.pop(key, None)
            message = self._desks[desk].queued(key)
            if message is None:
                self._tries.pop(key, None)
            elif message.phase == "queued":
                self.add(desk, message)
            else:
                self.doubt(desk, message)

        self._at_once(key)
        self._timers[key] = asyncio.get_running_loop().call_later(wait_s, again)

    def _at_once(self, key: str) -> None:
        """What it waited for before counts no longer."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()

    def _start(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a send failed unexpectedly", error=type(task.exception()).__name__)

    # --- the loop ---

    async def run(self) -> None:
        """Send what waits, best first, at the account's pace."""
        try:
            while True:
                wait = self._send_ready()
                self._wake.clear()
                try:
                    # not wait_for: in Python 3.11 it swallows a cancellation that meets the wake-up, and we never end
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            for handle in self._timers.values():
                handle.cancel()
            for task in self._tasks:
                task.cancel()

    def _send_ready(self) -> float | None:
        """Start every send whose lane allows it now; returns seconds until the next lane opens."""
        waits = []
        for lane in self._lanes.values():
            while (opens_at := lane.opens_at()) is not None:
                now = self._clock.monotonic()
                if opens_at > now or self._room.locked():
                    waits.append(max(opens_at - now, 0.05))
                    break
                *_, desk, key = lane.pop(now)
                self._start(self._turn(desk, key, lane))
        return min(waits, default=None)

    async def _turn(self, desk: str, key: str, lane: Lane) -> None:
        async with self._room, self._recorded(desk, key):
            shell = self._desks[desk]
            outbound = None
            try:
                outbound = await shell.attempt(key)
            finally:
                self._known.discard(key)
                if outbound is None:
                    # nothing was sent: the pace is not used up
                    lane.next_at -= lane.gap_s
                    self._wake.set()
            if outbound is None:
                self._wait_again(shell, desk, key)
            else:
                self._posting.add(key)
                try:
                    await self._post(shell, outbound, lane)
                finally:
                    self._posting.discard(key)
        self._wake.set()

    def _wait_again(self, shell: Desk, desk: str, key: str) -> None:
        """It met one more engaged line, which is no fact any more: nothing else would bring it back. The line may have
        become free since that was decided, and the disk may be away: it is not looked at without a pause."""
        message = shell.queued(key)
        if message is None or not waits_for_line(message):
            return
        opens_at = shell.opens_at(message)
        wait = (opens_at - self._clock.now()).total_seconds() if opens_at is not None else 0.0
        self._later(max(wait, FIRST_PAUSE_S), desk, key)

    @asynccontextmanager
    async def _recorded(self, desk: str, key: str) -> AsyncIterator[None]:
        """What could not be told to the desk (too much waits for its disk; a defect) is taken up again, later and
        later; what was sent meanwhile is looked up then. A desk that was given up is another process's to serve."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is: left alone, the message would wait till it expires
            reason = error.reason if isinstance(error, EdgeError) else "other"
            log.error("not recorded", key=key, desk=desk, reason=reason, error=type(error).__name__)
            if reason == "fenced":
                self._tries.pop(key, None)
                return
            tries = self._tries[key] = self._tries.get(key, 0) + 1
            self._later(min(0.25 * 2**tries, LONGEST_RETRY_S) * (1 + self._spread()) / 2, desk, key)
        else:
            self._tries.pop(key, None)

    async def _post(self, shell: Desk, outbound: OutboundMessage, lane: Lane) -> None:
        message = shell.queued(outbound.key)
        if message is not None:
            self._on_late((self._clock.now() - message.intended_at).total_seconds())
        began = self._clock.now()
        try:
            sent = await self._sent(outbound)
        except EdgeError as error:
            log.warning(
                "provider did not take it", key=outbound.key, reason=error.reason, permanent=error.permanent
            )
            # a number that does not exist, a person who wants no texts: the account is well
            about_message = error.permanent and error.reason in ("bad_number", "refused")
            self._on_provider(outbound.channel, error.reason, about_message)
            if about_message:
                lane.took()
            else:
                lane.failed(outbound.to, self._clock.monotonic())
            if error.reason == "timeout":
                await self._look_up(shell, outbound, began)
            else:
                shell.refused(outbound.key, error.reason, permanent=error.permanent, possibly_repeated=False)
            return
        self._on_provider(outbound.channel, "ok", False)
        lane.took()
        shell.accepted(outbound.key, sent.provider_ref, found=False)

    async def _sent(self, outbound: OutboundMessage) -> Sent:
        """Raises EdgeError. What nobody named (no thread for the resolver, an answer that a library cannot read) may
        have been sent: left unsaid, the message would be in doubt until the next start."""
        try:
            return await self._by(outbound).send(outbound)
        except EdgeError:
            raise
        except Exception as error:  # noqa: BLE001 - looked up, and sent again if it is not there
            log.error("a send failed unexpectedly", key=outbound.key, error=type(error).__name__)
            raise EdgeError("timeout", "it may have been sent") from None

    def _by(self, outbound: OutboundMessage) -> Sender:
        return self._mail if outbound.channel == "email" else self._sender

    async def _settle_doubt(self, desk: str, key: str, since: datetime) -> None:
        async with self._recorded(desk, key):
            try:
                outbound = self._desks[desk].outbound(key)
                if outbound is not None:
                    await self._look_up(self._desks[desk], outbound, since)
            finally:
                self._known.discard(key)

    async def _look_up(self, shell: Desk, outbound: OutboundMessage, since: datetime) -> None:
        """Found: it is at the provider. Not found, or not answered in 5 s: again, marked possibly repeated."""
        try:
            async with asyncio.timeout(LOOK_UP_S):
                found = await self._by(outbound).look_up(outbound, since - timedelta(seconds=2))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody knows, and that is an answer
            log.warning("look-up failed", key=outbound.key, error=type(error).__name__)
            found = None
        if found is not None:
            shell.accepted(outbound.key, found.provider_ref, found=True)
        else:
            shell.refused(outbound.key, "timeout", permanent=False, possibly_repeated=True)

    async def _hang_up(self, desk: str, message: Message) -> None:
        outbound = self._desks[desk].outbound(message.key)
        if outbound is None or message.provider_ref is None:
            return
        try:
            async with asyncio.timeout(LOOK_UP_S):
                await self._by(outbound).hang_up(outbound, message.provider_ref)
        except (EdgeError, TimeoutError) as error:
            # whoever picks it up hears who we are, and no more (`DeskShell.call_step`)
            log.warning("a call could not be ended", key=message.key, error=type(error).__name__)

    async def _ask(self, desk: str, message: Message) -> None:
        shell = self._desks[desk]
        outbound = shell.outbound(message.key)
        if outbound is None or message.provider_ref is None:
            return
        try:
            async with asyncio.timeout(LOOK_UP_S):
                callback = await self._by(outbound).status(outbound, message.provider_ref)
        except (EdgeError, TimeoutError) as error:
            log.warning("status could not be asked", key=message.key, error=type(error).__name__)
            return
        if callback is not None:
            shell.reported(callback)
