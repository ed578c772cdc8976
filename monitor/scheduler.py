"""The one APScheduler: it owns all domain time, and holds no rules (docs/architecture.md, "Time").

One wake-up job, re-armed when the earliest deadline becomes earlier, never asleep for more than 500 ms; calendar jobs
for the day's roll-over, snapshots and the holiday table. Deadlines live in the desks' state, not in a job store: the
wake-up asks each desk's core, at most 500 deadlines a turn, so that a storm leaves the loop to the check-ins.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from connectors.ports import NotTaken
from monitor.clock import Clock
from monitor.core.inputs import DayRolled
from monitor.core.state import Asked
from monitor.desk_shell import DeskShell

log = structlog.get_logger("scheduler")

PER_TURN = 500
PER_DESK = 8
"""How many of one desk are asked before the clock is looked at again: 2 to 4 ms, where each raises an alert."""
TURN_S = 0.005
"""After this long the loop is given back, however few were asked: check-ins wait meanwhile."""
LONGEST_SLEEP = timedelta(milliseconds=500)
STALL_S = 1.0
"""Woken this much later than asked: what waits in the sockets is read before any deadline fires."""
SETTLE_S = 2.0
BEATS_TO_A_LOOK = 20
"""Every ten seconds."""
CLOCK_STEP_S = 30.0
ROLL_OVER_HOUR = 4
JOB = {"misfire_grace_time": None, "coalesce": True, "max_instances": 8}
"""APScheduler's default drops a job that is more than a second late; none of ours may be dropped (measured.md). It
also drops one whose last run has not been collected yet, which re-arming from within a run would meet: hence 8."""


class Told(Protocol):
    """Whom the scheduler tells."""

    def loop_lag(self, seconds: float) -> None:
        """How much later than asked the wake-up came."""


class Agenda:
    """Which desk wants to be asked next: one living entry a desk in a heap, so that nobody walks over all desks."""

    def __init__(self) -> None:
        self._wanted: dict[str, Asked] = {}
        self._heap: list[tuple[Asked, str]] = []

    def note(self, desk: str, wanted: Asked | None) -> bool:
        """When the desk wants to be asked; None: not at all. Returns whether it wants something new."""
        if self._wanted.get(desk) == wanted:
            return False
        if wanted is None:
            del self._wanted[desk]
            return False
        self._wanted[desk] = wanted
        heapq.heappush(self._heap, (wanted, desk))
        return True

    def first(self) -> tuple[Asked, str] | None:
        """The earliest of all, or None."""
        heap = self._heap
        while heap and self._wanted.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0] if heap else None


class Scheduler:
    """Wakes the desks. `settle` reads what already waits outside, for at most the given seconds."""

    def __init__(
        self,
        clock: Clock,
        shells: Callable[[], Mapping[str, DeskShell]],
        *,
        settle: Callable[[float], Awaitable[object]],
        doubt_clock: Callable[[], None],
        told: Told,
        fault: Callable[[str], None],
        wall: Callable[[datetime], datetime] = lambda at: at,
    ) -> None:
        self._clock, self._shells, self._settle = clock, shells, settle
        self._doubt_clock, self._told, self._fault = doubt_clock, told, fault
        self._jobs = AsyncIOScheduler(timezone="UTC", job_defaults=JOB)
        self._wall = wall
        """The machine's time of one of ours: APScheduler sleeps by the machine's clock."""
        self._agenda = Agenda()
        self._armed_for: datetime | None = None
        self._beats = 0
        self._beat: asyncio.TimerHandle | None = None
        self._firing = False
        self._stopped = True
        self._last_wall = clock.now()
        self._last_mono = clock.monotonic()
        self.turns = 0
        """Wake-ups so far: the watchdog outside the loop sees that they go on."""

    def start(self, zones: Sequence[str], on_day: Callable[[str], Awaitable[None]]) -> None:
        """Start ticking: everything is loaded and drained."""
        self._stopped = False
        self._last_wall, self._last_mono = self._clock.now(), self._clock.monotonic()
        for zone in sorted(set(zones)):
            self._jobs.add_job(
                on_day, CronTrigger(hour=ROLL_OVER_HOUR, timezone=zone), args=(zone,), id=f"day:{zone}"
            )
        self._jobs.add_job(self._snapshots, IntervalTrigger(hours=1), id="snapshots")
        self._jobs.add_job(self._forget_positions, IntervalTrigger(minutes=1), id="positions")
        self._jobs.start()
        self._look_at_all()
        self._arm(self._clock.now())
        self._watch_clock()

    def stop(self) -> None:
        """No wake-up any more."""
        self._stopped = True
        if self._beat is not None:
            self._beat.cancel()
        if self._jobs.running:
            self._jobs.shutdown(wait=False)

    def _watch_clock(self) -> None:
        """APScheduler sleeps by the wall clock: one that is set back an hour would make it sleep for an hour. So
        the loop's own clock looks whether the wake-up has moved away."""
        if self._armed_for is not None and self._armed_for - self._clock.now() > 2 * LONGEST_SLEEP:
            self._arm(self._clock.now())
        self._beats += 1
        if self._beats % BEATS_TO_A_LOOK == 0:
            self._look_at_all()
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(LONGEST_SLEEP.total_seconds(), self._watch_clock)

    def _look_at_all(self) -> None:
        """Every desk's own word on when it wants to be asked: should the agenda ever have missed one, for seconds."""
        for desk, shell in self._shells().items():
            self._agenda.note(desk, shell.engine.state.next_asked())
        self._arm_earlier()

    def decided(self, desk: str, wanted: Asked | None) -> None:
        """The desk's next deadline may be another one, also an earlier one than the wake-up is armed for."""
        if self._agenda.note(desk, wanted):
            self._arm_earlier()

    def _arm_earlier(self) -> None:
        if self._stopped or self._firing or self._armed_for is None:
            return
        first = self._agenda.first()
        if first is not None and first[0][0] < self._armed_for:
            self._arm(max(first[0][0], self._clock.now()), asked_for=self._armed_for)

    def _arm(self, at: datetime, *, asked_for: datetime | None = None) -> None:
        """(Re)place the one wake-up job. `asked_for`: for when it was armed until now; if that has passed we have stood
        still, and whoever wakes earlier for something new must not take that for a wake-up in time."""
        since = at if asked_for is None else min(at, asked_for)
        self._armed_for = at
        self._jobs.add_job(
            self._wake, DateTrigger(run_date=self._wall(at)), id="wake", replace_existing=True, args=(since,)
        )

    async def _wake(self, asked_for: datetime) -> None:
        """One wake-up: after a stall first what waits outside, then every deadline that has come."""
        if self._firing:
            return  # the one that is at work arms the next
        self._firing = True
        try:
            self.turns += 1
            now, mono = self._clock.now(), self._clock.monotonic()
            lag = self._lag(now, mono, asked_for)
            self._told.loop_lag(max(lag, 0.0))
            if lag > STALL_S:
                log.warning("woken late", lag_s=round(lag, 3))
                await self._settle(SETTLE_S)
            await self._fire()
        except Exception as error:  # noqa: BLE001  the watch goes on: the fault is counted, logged and alarmed
            log.critical("a wake-up failed", error=type(error).__name__)
            self._fault(type(error).__name__)
        finally:
            self._firing = False
            if not self._stopped:
                self._arm(self._next())

    def _lag(self, now: datetime, mono: float, asked_for: datetime) -> float:
        """How late we woke by the clock that cannot be set; a stepped wall clock is doubted, not obeyed in silence."""
        passed, wall = mono - self._last_mono, (now - self._last_wall).total_seconds()
        self._last_mono, self._last_wall = mono, now
        if abs(wall - passed) > CLOCK_STEP_S:
            log.error("the wall clock stepped", step_s=round(wall - passed, 1))
            self._doubt_clock()
        return min((now - asked_for).total_seconds(), passed)

    async def _fire(self) -> None:
        """All that is due, over all desks in the order in which it was due, time-critical first; the loop is free
        again after 500 deadlines or 10 ms, whichever comes first."""
        while self._fire_some():  # noqa: ASYNC110  nothing is waited for: the loop has its turn
            await asyncio.sleep(0)

    def _fire_some(self) -> int:
        now, asked = self._clock.now(), 0
        ends = self._clock.monotonic() + TURN_S
        while asked < PER_TURN and self._clock.monotonic() < ends:
            first = self._agenda.first()
            if first is None or first[0][0] > now:
                break
            asked += self._fire_desk(first[1], PER_TURN - asked)
        return asked

    def _fire_desk(self, desk: str, limit: int) -> int:
        """This desk's deadlines, up to the turn of the next desk."""
        self._agenda.note(desk, None)
        shell = self._shells().get(desk)
        if shell is None or not shell.engine.started:
            return 0  # given up: another process asks its core
        engine, after = shell.engine, self._agenda.first()
        try:
            asked = engine.fire_due(min(limit, PER_DESK), after[0] if after else None)
        except NotTaken as error:
            # nothing can be decided now: its next append, or the look at all desks, puts it back
            log.error("deadlines wait", desk=desk, reason=error.reason)
            return 0
        self._agenda.note(desk, engine.state.next_asked())
        return asked

    def _next(self) -> datetime:
        now = self._clock.now()
        latest = now + LONGEST_SLEEP
        first = self._agenda.first()
        return latest if first is None else min(max(first[0][0], now), latest)

    async def _forget_positions(self) -> None:
        """Where somebody was is kept no longer than the policy says (spec 7.18), whether anybody asks or not."""
        now = self._clock.now()
        for shell in list(self._shells().values()):
            engine = shell.engine
            engine.positions.forget_older(now - engine.state.values.policy.position_kept)

    async def _snapshots(self) -> None:
        for shell in list(self._shells().values()):
            if shell.engine.started:
                await shell.engine.snapshot()


def roll_over(shells: Iterable[DeskShell], holidays: Sequence[date], now: datetime) -> None:
    """04:00 local: a new day for each of these desks; open visits are never touched."""
    for shell in shells:
        try:
            shell.adopt(shell.config, holidays)
            shell.tell(DayRolled(day=shell.engine.state.calendar.day(now)))
        except Exception as error:  # noqa: BLE001 - one that is led elsewhere, or fails at it, is one desk
            log.error("a desk's day could not begin", desk=shell.id, error=type(error).__name__)
