"""What goes wrong in a simulated day, and how often. Every fault ends; when the run is calm none begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from monitor import scheduler
from tests.simulation.world import Desk, Visit, policy_of

if TYPE_CHECKING:
    from tests.simulation.run import Run


class Faults:
    """The faults of one run, as far as its world has them."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def begin(self) -> None:
        faults: dict[str, tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = {
            "crash": (5, self._crash),
            "store": (3, self._store_fails),
            "broker": (5, self._broker_fails),
            "clock": (2, self._clock_steps),
            "stall": (6, self._stalls),
            "provider": (2, self._provider_fails),
            "rota": (4, self._rota_again),
            "policy": (2, self._policy_changes),
        }
        for name, (often, fault) in faults.items():
            if name in self._run.world.faults:
                self._run.go(self._again_and_again(often, fault))
        if "crash" in self._run.world.faults:
            self._run.network.crash_at = lambda: not self._run.calm and self._run.rng.random() < 0.01
        if "provider" in self._run.world.faults:
            self._run.network.faulty = 0.15
        if "callbacks" in self._run.world.faults:
            self._run.network.lossy = 0.2
        if "phones" in self._run.world.faults:
            self._run.lossy_phones = 0.1

    async def _again_and_again(self, often: int, fault: Callable[[], Coroutine[Any, Any, None]]) -> None:
        mean = self._run.world.lasts.total_seconds() / often
        while True:
            await asyncio.sleep(self._run.rng.expovariate(1 / mean))
            if self._run.calm:
                return
            await fault()

    def span(self, *choices: float) -> float:
        longest = self._run.rng.choice(choices)
        return self._run.rng.uniform(longest / 4, longest) / (5 if self._run.world.style == "quick" else 1)

    async def _crash(self) -> None:
        if self._run.rng.random() < 0.5:
            await self._close_call()
            if self._run.calm:
                return
        if self._run.machine.app is not None and self._run.rng.random() < 0.25:
            self._run.auditor.note("asked to stop")
            self._run.machine.app.stop()
            return
        self._run.auditor.note("killed")
        self._run.machine.kill()

    async def _store_fails(self) -> None:
        self._run.machine.store.break_with(
            self._run.rng.choice(("full", "locked", "read_only", "unreachable"))
        )
        self._run.auditor.store(broken=True)
        self._run.auditor.note("the disk takes nothing")
        self._run.changed()
        await asyncio.sleep(self.span(2, 30, 1200))
        self.mend_store()
        await asyncio.sleep(3)
        self._run.changed()

    def mend_store(self) -> None:
        self._run.machine.store.mend()
        if self._run.auditor.store_broken:
            self._run.auditor.note("the disk is back")
            self._run.auditor.store(broken=False)

    async def _broker_fails(self) -> None:
        if self._run.rng.random() < 0.4:
            self._run.broker.cut()
            return
        self._run.auditor.note("the broker is gone")
        self._run.broker.up = False
        self._run.broker.cut()
        await asyncio.sleep(self.span(10, 60, 1500))
        self._run.broker.up = True
        self._run.auditor.note("the broker is back")

    async def _clock_steps(self) -> None:
        self._run.clock.offset = timedelta(seconds=self._run.rng.choice((-3600, -120, 120, 3600)))
        self._run.auditor.note(f"the wall clock steps by {self._run.clock.offset}")
        self._run.changed()
        await asyncio.sleep(self.span(60, 2400))
        self._run.clock.offset = timedelta()
        self._run.auditor.note("the wall clock is right again")
        self._run.changed()

    async def _close_call(self) -> bool:
        """Wait for a moment at which somebody arrives just before it is too late. False: none is near."""
        now = self._run.clock.true()
        stories = [s for d in self._run.world.desks.values() for v in d.visits.values() for s in v.stories]
        coming = [s.arrives for s in stories if s.close and s.arrives and s.arrives > now]
        if not coming or min(coming) - now > self._run.world.lasts / 6:
            return False
        await self._run.until(min(coming) - timedelta(seconds=1))
        return True

    async def _stalls(self) -> None:
        span = self.span(2, 8, 200)
        if await self._close_call():
            span = self._run.rng.uniform(12, 20)
        if self._run.machine.app is None or self._run.calm:
            return
        life = self._run.machine.life
        self._run.auditor.note("stands still")
        self._run.still = True
        self._run.auditor.stands_still()
        self._run.loop.stop_still(life)
        self._run.broker.nobody_reads()
        self._run.changed()
        await asyncio.sleep(span)
        self.go_on(self._run.rng.choice((0.0, 0.05, 0.5)))
        await asyncio.sleep(scheduler.SETTLE_S + 0.5)
        self._run.changed()

    def go_on(self, reads_after_s: float = 0.0) -> None:
        """A process that stands still runs again, and what the kernel held for it is read."""
        if not self._run.still:
            return
        self._run.still = False
        self._run.auditor.goes_on()
        if self._run.loop.still is not None:
            self._run.loop.resume()
        self._run.broker.read_again(reads_after_s)
        self._run.auditor.note("goes on")

    async def _provider_fails(self) -> None:
        self._run.auditor.note("the telephone network is down")
        self._run.network.down = True
        await asyncio.sleep(self.span(20, 600))
        self._run.network.down = False
        self._run.auditor.note("the telephone network is back")

    async def _rota_again(self) -> None:
        desk = self._run.rng.choice(list(self._run.world.desks.values()))
        async with self._run.uploading[desk.id]:
            await self._change_rota(desk)

    async def _change_rota(self, desk: Desk) -> None:
        """The same again; or some visits moved or given to somebody else; or some dropped, all confirmed."""
        drawn = self._run.rng.random()
        now = self._run.clock.true() + abs(self._run.clock.offset)
        coming = [v for v in desk.visits.values() if v.start > now + timedelta(minutes=10)]
        if drawn < 0.4 or not coming:
            await self._run.upload(desk, {"visits": [visit.row() for visit in desk.visits.values()]}, ())
        elif drawn < 0.8:
            await self._move(desk, self._run.rng.sample(coming, min(3, len(coming))))
        else:
            await self._drop(desk, self._run.rng.sample(coming, min(2, len(coming))))

    async def _move(self, desk: Desk, visits: Sequence[Visit]) -> None:
        moved = []
        for visit in visits:
            later = timedelta(minutes=self._run.rng.choice((-5, 15, 30))) / (
                10 if self._run.world.style == "quick" else 1
            )
            stories = [
                replace(
                    story,
                    arrives=story.arrives + later if story.arrives else None,
                    leaves=story.leaves + later if story.leaves else None,
                )
                for story in visit.stories
            ]
            moved.append(replace(visit, start=visit.start + later, stories=stories))
        # the care workers go by what the office said, whether or not we have heard of it yet
        for visit in moved:
            desk.visits[visit.id] = visit
            self._run.tell_stories(desk, visit)
        await self._run.upload(desk, {"visits": [visit.row() for visit in moved]}, ())

    async def _drop(self, desk: Desk, visits: Sequence[Visit]) -> None:
        for visit in visits:
            del desk.visits[visit.id]
        begin = min(visit.start for visit in visits)
        kept = [visit.row() for visit in desk.visits.values()]
        body = {
            "visits": kept,
            "covers": {
                "from": begin.isoformat(),
                "to": (self._run.faults_end + timedelta(days=1)).isoformat(),
            },
            "complete": True,
            "confirm": True,
        }
        await self._run.upload(desk, body, [visit.id for visit in visits])

    async def _policy_changes(self) -> None:
        desk = self._run.rng.choice(list(self._run.world.desks.values()))
        policy = policy_of(self._run.rng, self._run.world.style)
        terms = tuple(msgspec.structs.replace(one, policy=policy) for one in desk.config.contracts)
        desk.config = msgspec.structs.replace(desk.config, policy=policy, contracts=terms)
        configs = self._run.configs()
        self._run.machine.configure(configs)
        if policy != self.auditor_policy(desk):
            self._run.auditor.policy(desk.id, policy.late_after, policy.time_critical_late_after)
        app = self._run.machine.app
        if app is not None and app.serving:
            self._run.machine.context.copy().run(app.reload, self._run.machine.configuration)

    def auditor_policy(self, desk: Desk) -> Any:
        """What the desk was given last, for the sake of not announcing the same twice."""
        book = self._run.auditor.books[desk.id]
        last = book.policies[-1] if book.policies else (book.late_after, book.critical_late_after)
        return msgspec.structs.replace(
            desk.config.policy, late_after=last[0], time_critical_late_after=last[1]
        )
