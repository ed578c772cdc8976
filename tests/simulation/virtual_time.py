"""Virtual time: an event loop that jumps to its next timer, a clock that can be set, and APScheduler told of both.

No socket and no thread: whatever the product hands to an executor runs at once, on the spot. Every callback belongs to
a *life* (0: the world outside; n: the n-th process), so that a process can be killed between two of its steps, or
stand still like one that got a SIGSTOP, while the world around it goes on.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time as real_time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")

LIFE: ContextVar[int] = ContextVar("life", default=0)
"""Whose step is running. Tasks and timers inherit it from whoever started them."""

TOO_MANY_TURNS = 200_000
"""Turns of the loop within one virtual instant: something goes round in a circle."""


class StuckError(Exception):
    """The simulation cannot go on: nothing left to wait for, a circle without time, or too much real time used."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose `time()` is virtual. Microseconds are counted as integers: no drift, no rounding."""

    # asyncio's own, which typeshed does not name: one turn of the loop is written anew below
    _ready: deque[Any]
    _scheduled: list[Any]
    _timer_cancelled_count: int

    def __init__(self, real_limit_s: float = 120.0) -> None:
        super().__init__()
        self._us = 0
        self._clock_resolution = 1e-6
        self._turns = self._all_turns = 0
        self._ends_at = real_time.monotonic() + real_limit_s
        self._dead: set[int] = set()
        self._still: int | None = None
        self._held: deque[Any] = deque()
        self._tasks: dict[int, dict[asyncio.Task[Any], None]] = {}
        self.set_task_factory(self._new_task)  # type: ignore[arg-type]

    # --- time ---

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._us / 1e6

    @property
    def us(self) -> int:
        """The same in whole microseconds."""
        return self._us

    def _advance(self, when: float) -> None:
        self._us = max(self._us, math.ceil(when * 1e6 - 1e-3))
        self._turns = 0

    # --- lives ---

    def _new_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], **more: Any
    ) -> asyncio.Task[T]:
        context: Context | None = more.get("context")
        life = context.get(LIFE, 0) if context is not None else LIFE.get()
        task = asyncio.Task(coro, loop=loop, **more)
        mine = self._tasks.setdefault(life, {})
        mine[task] = None
        task.add_done_callback(lambda done: mine.pop(done, None))
        return task

    def kill(self, life: int) -> None:
        """No timer of this life fires any more; its tasks are cancelled, in the order in which they were made. What
        they do while they end reaches nobody: the ports of a dead life are dead (process.py)."""
        self._dead.add(life)
        if self._still == life:
            self.resume()
        for task in list(self._tasks.get(life, ())):
            task.cancel()

    def remains(self, life: int) -> list[str]:
        """Names of the life's tasks that have not ended."""
        return [task.get_name() for task in self._tasks.get(life, ())]

    def stop_still(self, life: int) -> None:
        """SIGSTOP: no step of this life runs until `resume`."""
        self._still = life

    @property
    def still(self) -> int | None:
        """The life that stands still."""
        return self._still

    def resume(self) -> None:
        """SIGCONT: what was held back runs now, in its order."""
        self._still = None
        self._ready.extendleft(reversed(self._held))
        self._held.clear()

    def _life_of(self, handle: Any) -> int:
        context: Context = handle._context
        return context.get(LIFE, 0)

    # --- one turn ---

    def _run_once(self) -> None:
        self._guard()
        self._prune()
        scheduled: list[Any] = self._scheduled
        if not self._ready:
            if not scheduled:
                raise StuckError("nothing is left to wait for")
            self._advance(scheduled[0]._when)
        horizon = self.time() + self._clock_resolution
        while scheduled and scheduled[0]._when < horizon:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not (self._dead and self._life_of(handle) in self._dead):
                self._ready.append(handle)
        for _ in range(len(self._ready)):
            self._run_handle(self._ready.popleft())

    def _run_handle(self, handle: Any) -> None:
        if handle._cancelled:
            return
        if self._still is not None and self._life_of(handle) == self._still:
            self._held.append(handle)
            return
        handle._run()

    def _prune(self) -> None:
        """Cancelled timers at the top go at once, all of them when they are many (asyncio's own rule)."""
        scheduled: list[Any] = self._scheduled
        if len(scheduled) > 100 and self._timer_cancelled_count * 2 > len(scheduled):
            for handle in scheduled:
                handle._scheduled = handle._scheduled and not handle._cancelled
            self._scheduled = scheduled = [handle for handle in scheduled if not handle._cancelled]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False

    def _guard(self) -> None:
        self._turns += 1
        if self._turns > TOO_MANY_TURNS:
            raise StuckError(f"{TOO_MANY_TURNS} turns without a microsecond passing")
        self._all_turns += 1
        if self._all_turns % 64 == 0 and real_time.monotonic() > self._ends_at:
            raise StuckError("the real-time limit is used up")

    # --- what BaseEventLoop leaves to its subclasses ---

    def _process_events(self, event_list: object) -> None:
        """There are no file descriptors here."""

    def _write_to_self(self) -> None:
        """There is no other thread that would have to wake us."""

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Done at once: no thread, and always in the same order."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class SimClock:
    """The wall clock of the machine under test, which may be wrong, and its monotonic clock, which never is."""

    def __init__(self, loop: VirtualLoop, epoch: datetime) -> None:
        self._loop, self.epoch = loop, epoch
        self.offset = timedelta()

    def now(self) -> datetime:
        """What the machine believes."""
        return self.true() + self.offset

    def monotonic(self) -> float:
        """Seconds since the loop was made."""
        return self._loop.time()

    def true(self) -> datetime:
        """What people's watches say: never stepped."""
        return self.epoch + timedelta(microseconds=self._loop.us)


@contextmanager
def virtual_apscheduler(clock: SimClock) -> Iterator[None]:
    """APScheduler 3 asks `datetime.now` in these modules; its waits are the loop's own timers."""

    class _Kind(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class VirtualDatetime(datetime, metaclass=_Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock.now().astimezone(tz or UTC)

    modules = ("schedulers.base", "executors.base", "triggers.interval", "triggers.date", "triggers.cron")
    patches = [patch(f"apscheduler.{module}.datetime", VirtualDatetime) for module in modules]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def run_virtually(loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, then let nothing linger. Raises what `main` raises, and StuckError."""
    try:
        return loop.run_until_complete(main)
    finally:
        try:
            _end_everything(loop)
        finally:
            loop.close()


def _end_everything(loop: VirtualLoop) -> None:
    loop.set_exception_handler(lambda _loop, _context: None)
    loop._still, loop._turns = None, 0
    loop._ends_at = real_time.monotonic() + 10
    left = [task for tasks in loop._tasks.values() for task in tasks]
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


__all__ = ["LIFE", "SimClock", "StuckError", "VirtualLoop", "run_virtually", "virtual_apscheduler"]
