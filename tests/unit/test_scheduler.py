"""What the one scheduler does by the clock beside waking desks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from config.policy import Policy
from monitor.core.inputs import Position
from monitor.core.state import State, Values
from monitor.desk_shell import DeskShell
from monitor.positions import Positions
from monitor.scheduler import Scheduler
from tests.simulation.virtual_time import SimClock, VirtualLoop, virtual_apscheduler
from tests.unit.test_simulation_parts import NOON, _Nobody, in_virtual_time

THERE = Position(lat=51.4, lon=0.02, accuracy_m=15.0)


@pytest.mark.parametrize(("stalled_s", "read_first"), [(5.0, 1), (0.0, 0)])
def test_a_new_deadline_after_a_stall_does_not_fire_before_what_waits_is_read(
    stalled_s: float, read_first: int
) -> None:
    settled: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        clock = SimClock(loop, NOON)

        async def settle(seconds: float) -> None:
            settled.append(seconds)

        async def no_day(_: str) -> None:
            """No day begins."""

        with virtual_apscheduler(clock):
            wakes = Scheduler(
                clock, dict, settle=settle, doubt_clock=pytest.fail, told=_Nobody(), fault=pytest.fail
            )
            wakes.start([], no_day)
            await asyncio.sleep(10)
            # it has stood still since: an input is decided first, and wants a deadline that has passed already
            stalled = timedelta(seconds=stalled_s)
            assert wakes._armed_for is not None
            wakes._armed_for -= stalled
            wakes._last_wall -= stalled
            wakes._last_mono -= stalled_s
            wakes.decided("bright", (NOON, 1))
            await asyncio.sleep(0.1)
            wakes.stop()
            await asyncio.sleep(1)

    in_virtual_time(main)
    assert len(settled) == read_first


def test_where_somebody_was_is_forgotten_after_its_time_though_nobody_asks() -> None:
    kept = Positions()
    kept.last = {"dee": (NOON, THERE), "kit": (NOON + timedelta(minutes=20), THERE)}
    kept.before = {"dee": (NOON - timedelta(minutes=5), THERE)}
    state = State(Values(policy=Policy(position_kept=timedelta(minutes=30))))
    engine = SimpleNamespace(positions=kept, state=state, started=True, deadline=None)
    shell = cast(DeskShell, SimpleNamespace(engine=engine, id="bright"))

    async def main(loop: VirtualLoop) -> None:
        clock = SimClock(loop, NOON)

        async def nothing(_: object) -> None:
            """Nothing waits outside, and no day begins."""

        with virtual_apscheduler(clock):
            wakes = Scheduler(
                clock,
                lambda: {"bright": shell},
                settle=nothing,
                doubt_clock=pytest.fail,
                told=_Nobody(),
                fault=pytest.fail,
            )
            wakes._look_at_all = lambda: None  # type: ignore[method-assign]  # this desk is not asked about anything
            wakes.start([], nothing)
            await asyncio.sleep(30 * 60 - 1)
            assert (set(kept.last), set(kept.before)) == ({"dee", "kit"}, set())
            await asyncio.sleep(62)
            assert set(kept.last) == {"kit"}
            wakes.stop()
            await asyncio.sleep(1)

    in_virtual_time(main)
