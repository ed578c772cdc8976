"""The simulation's parts: time that is virtual, a broker that redelivers, an auditor that is blind on no side."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from connectors.ports import Record, Sender, record_hash
from monitor.core.messages import SAY, SayBack
from monitor.core.state import State
from monitor.directory import Directory
from monitor.ids import minter
from monitor.outbox import Outbox
from monitor.scheduler import Scheduler
from monitor.wording_file import load_wording
from monitor.words import Office, Words
from tests.simulation import __main__ as command
from tests.simulation.auditor import chain, duty_at
from tests.simulation.broker import Broker, Stored
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.run import simulate
from tests.simulation.virtual_time import (
    LIFE,
    SimClock,
    StuckError,
    VirtualLoop,
    run_virtually,
    virtual_apscheduler,
)
from tests.simulation.world import Shift, make_world

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def in_virtual_time(main: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> float:
    """Run it; returns the virtual seconds that passed."""
    loop = VirtualLoop(real_limit_s=10)
    run_virtually(loop, main(loop))
    return loop.us / 1e6


# --- virtual time ---


def test_a_day_of_waiting_takes_no_time() -> None:
    async def main(loop: VirtualLoop) -> None:
        await asyncio.sleep(86_400)

    assert in_virtual_time(main) == 86_400


def test_timers_fire_in_the_order_of_their_moments() -> None:
    fired: list[tuple[int, float]] = []

    async def main(loop: VirtualLoop) -> None:
        for after in (3, 1, 2):
            loop.call_later(after, lambda number: fired.append((number, loop.time())), after)
        await asyncio.sleep(5)

    in_virtual_time(main)
    assert fired == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_a_thread_is_never_started() -> None:
    async def main(loop: VirtualLoop) -> None:
        assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)

    assert in_virtual_time(main) == 0


def test_waiting_for_nothing_is_an_error() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(StuckError, match="nothing is left"):
        in_virtual_time(main)


def test_going_round_in_a_circle_is_an_error() -> None:
    async def main(loop: VirtualLoop) -> None:
        while loop.time() == 0:  # noqa: ASYNC110 - a circle on purpose
            await asyncio.sleep(0)

    with pytest.raises(StuckError, match="without a microsecond"):
        in_virtual_time(main)


def a_life(loop: VirtualLoop, number: int, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task of that life."""
    context = Context()
    context.run(LIFE.set, number)
    return loop.create_task(work, context=context)


def test_a_killed_life_takes_no_further_step_and_the_others_go_on() -> None:
    steps: list[str] = []

    async def walks(name: str) -> None:
        asyncio.get_running_loop().call_later(3, steps.append, f"{name} late")
        for _ in range(4):
            await asyncio.sleep(1)
            steps.append(name)

    async def main(loop: VirtualLoop) -> None:
        first, second = a_life(loop, 1, walks("a")), a_life(loop, 2, walks("b"))
        await asyncio.sleep(1.5)
        loop.kill(1)
        await asyncio.wait((first, second))
        assert first.cancelled()
        assert loop.remains(1) == []

    in_virtual_time(main)
    assert sorted(steps) == ["a", "b", "b", "b", "b", "b late"]


def test_a_stopped_life_stands_still_and_then_goes_on_where_it_was() -> None:
    steps: list[tuple[str, float]] = []

    async def walks(name: str) -> None:
        for _ in range(2):
            await asyncio.sleep(1)
            steps.append((name, asyncio.get_running_loop().time()))

    async def main(loop: VirtualLoop) -> None:
        life = a_life(loop, 1, walks("process"))
        await asyncio.sleep(0.5)
        loop.stop_still(1)
        await walks("world")
        await asyncio.sleep(7.5)
        loop.resume()
        await life

    in_virtual_time(main)
    assert steps == [("world", 1.5), ("world", 2.5), ("process", 10.0), ("process", 11.0)]


def test_apscheduler_lives_in_virtual_time() -> None:
    fired: list[datetime] = []

    async def main(loop: VirtualLoop) -> None:
        clock = SimClock(loop, NOON)

        async def job() -> None:
            fired.append(clock.now())

        with virtual_apscheduler(clock):
            jobs = AsyncIOScheduler(timezone="UTC")
            jobs.add_job(job, DateTrigger(run_date=NOON + timedelta(hours=3)), misfire_grace_time=None)
            jobs.start()
            await asyncio.sleep(4 * 3600)
            jobs.shutdown(wait=False)
            await asyncio.sleep(0)

    in_virtual_time(main)
    assert len(fired) == 1
    assert timedelta() <= fired[0] - NOON - timedelta(hours=3) < timedelta(milliseconds=1)


# --- what it has found ---


class _Nobody:
    def loop_lag(self, seconds: float) -> None:
        """Nobody measures."""


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_stepped_wall_clock_neither_puts_the_scheduler_to_sleep_nor_goes_unnoticed(step: timedelta) -> None:
    doubted: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        clock = SimClock(loop, NOON)

        async def nothing(_seconds: float) -> None:
            """Nothing waits outside."""

        async def no_day(_zone: str) -> None:
            """No day begins."""

        with virtual_apscheduler(clock):
            wakes = Scheduler(
                clock,
                dict,
                settle=nothing,
                doubt_clock=lambda: doubted.append(loop.time()),
                told=_Nobody(),
                fault=pytest.fail,
            )
            wakes.start([], no_day)
            await asyncio.sleep(10)
            clock.offset = step
            before = wakes.turns
            await asyncio.sleep(10)
            assert wakes.turns - before >= 15
            wakes.stop()
            await asyncio.sleep(1)  # a wake-up that was under way ends by itself

    in_virtual_time(main)
    assert len(doubted) == 1
    assert doubted[0] - 10 < 2


@pytest.mark.parametrize("turns", range(4))
async def test_an_outbox_that_is_cancelled_while_it_is_woken_ends(turns: int) -> None:
    class Clock:
        def now(self) -> datetime:
            return NOON

        def monotonic(self) -> float:
            return 0.0

    outbox = Outbox(cast(Sender, None), Clock(), calls_per_s=1, sms_per_s=1, on_late=lambda _s: None)
    lane = outbox._lanes["sms"]
    lane.heap, lane.next_at = [(0, 0, NOON, 1, "bright", "m1")], 3600.0
    task = asyncio.create_task(outbox.run())
    for _ in range(3):
        await asyncio.sleep(0)
    outbox._wake.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait((task,), timeout=30)
    assert done == {task}


@pytest.mark.parametrize("template", sorted({*SAY.values(), "OC-20", "OC-25", "OC-26", "SU-11"}))
def test_every_automatic_reply_has_all_its_words(template: str) -> None:
    directory = Directory(minter(Random(1).randbytes, lambda: NOON), "Europe/London", 150)
    office = Office(desk="bright", agency="Bright Care", tel="+441632960900")
    words = Words(load_wording(), office, State(), directory)
    assert words.say_back(SayBack(template=template, alert=None, person="p1"), template, None, NOON)


# --- the broker ---


class Reader:
    """A process that takes what comes and acknowledges when it is told to."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.taken: list[Stored] = []
        self.markers: list[int] = []
        self.lost = 0

    def connect(self) -> Any:
        """A connection of its own."""
        return self._broker.connect(self.taken.append, self.markers.append, self._is_lost, Context())

    def _is_lost(self) -> None:
        self.lost += 1

    @property
    def bodies(self) -> list[bytes]:
        """What was taken, in order."""
        return [stored.body for stored in self.taken]


def test_what_was_not_acknowledged_comes_again_in_order_behind_it_the_marker() -> None:
    async def main(loop: VirtualLoop) -> None:
        broker = Broker(loop, Random(1))
        first = Reader(broker)
        link = first.connect()
        for body in (b"1", b"2", b"3"):
            assert broker.publish("phone", body, body.decode())
        await asyncio.sleep(1)
        assert first.bodies == [b"1", b"2", b"3"]
        broker.ack(link, first.taken[1].mid)
        broker.cut()
        again = Reader(broker)
        broker.send_marker(again.connect(), 7)
        await asyncio.sleep(1)
        assert first.lost == 1
        assert (again.bodies, again.markers) == ([b"1", b"3"], [7])

    in_virtual_time(main)


def test_an_acknowledgement_of_an_older_connection_is_worth_nothing() -> None:
    async def main(loop: VirtualLoop) -> None:
        broker = Broker(loop, Random(1))
        reader = Reader(broker)
        old = reader.connect()
        broker.publish("phone", b"1", "1")
        await asyncio.sleep(1)
        broker.cut()
        reader.connect()
        broker.ack(old, reader.taken[0].mid)
        assert list(broker.session)

    in_virtual_time(main)


def test_a_broker_that_is_away_takes_nothing() -> None:
    async def main(loop: VirtualLoop) -> None:
        broker = Broker(loop, Random(1), up=False)
        assert not broker.publish("phone", b"1", "1")
        assert Reader(broker).connect() is None

    in_virtual_time(main)


# --- the auditor ---


def test_the_auditor_shares_no_code_with_the_product() -> None:
    tree = ast.parse((ROOT / "tests" / "simulation" / "auditor.py").read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert imported <= set(sys.stdlib_module_names) | {"__future__"}


def test_the_auditors_chain_is_the_contracts_chain() -> None:
    fact = Record(
        seq=7,
        at="2026-11-23T12:00:00.000000Z",
        due_at=None,
        kind="VisitMissed",
        v=1,
        subject="v1",
        cause="DeadlineReached:v1",
        people_rev=3,
        policy="p",
        body='{"a":"ü"}',
        prev=bytes(range(32)),
        hash=b"",
    )
    assert chain("bright", fact) == record_hash("bright", fact)


OFFICE = Shift(
    person="office",
    role="office",
    hours="Mon-Fri 08:00-18:00",
    days=frozenset(range(5)),
    start=480,
    until=1080,
)
ON_CALL = Shift(person="on-call", role="on_call", hours="otherwise")
MANAGER = Shift(
    person="manager", role="manager", hours="Mon 09:00-10:00", days=frozenset({0}), start=540, until=600
)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2026, 11, 23, 7, 59, tzinfo=UTC), {"on-call", "manager"}),
        (datetime(2026, 11, 23, 8, 0, tzinfo=UTC), {"office", "manager"}),
        (datetime(2026, 7, 6, 7, 0, tzinfo=UTC), {"office", "manager"}),  # eight o'clock in summer
        (datetime(2026, 12, 25, 12, 0, tzinfo=UTC), {"on-call", "manager"}),
    ],
)
def test_the_auditor_knows_who_is_on_duty(at: datetime, expected: set[str]) -> None:
    holidays = frozenset({datetime(2026, 12, 25, tzinfo=UTC).date()})
    assert duty_at((OFFICE, ON_CALL, MANAGER), "Europe/London", holidays, at) == expected


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_auditor_notices(mutant: Mutant) -> None:
    """Within a few seeds: not every day has the occasion to break every promise."""
    found = []
    for seed in range(mutant.seed, mutant.seed + 12):
        with mutant.breaks():
            outcome = simulate(seed, hours=3, faults=mutant.faults, real_limit_s=40)
        if outcome.violation is not None:
            found.append(outcome.violation.rule)
            if outcome.violation.rule in mutant.rules:
                return
    pytest.fail(f"the auditor saw {found or 'nothing'}, and not {sorted(mutant.rules)}")


# --- whole runs ---


def test_a_seed_is_a_world() -> None:
    assert make_world(3) == make_world(3)
    assert make_world(3).desks != make_world(4).desks


def test_the_same_seed_gives_the_same_journal_whatever_the_order_of_sets() -> None:
    here = simulate(17, hours=2)
    assert here.violation is None
    code = "from tests.simulation.run import simulate; print(simulate(17, hours=2).hash)"
    other = os.environ | {"PYTHONHASHSEED": "4711"}
    there = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=other,
        capture_output=True,
        text=True,
        timeout=150,
        check=True,
    )
    assert here.hash == there.stdout.strip()
    assert here.counts["facts"] > 100


def test_a_violated_rule_is_named_with_its_seed_and_its_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    early = next(mutant for mutant in MUTANTS if mutant.name == "acknowledges_early")
    monkeypatch.setattr(sys, "argv", ["simulate", "--seed", "1", "--hours", "1", "--faults", "none"])
    with early.breaks():
        assert command.main() == 1
    said = capsys.readouterr().out
    assert "seed 1 at 20" in said
    assert "lost: " in said
    assert "again: script/simulate --seed 1" in said


def test_a_quiet_run_says_what_happened_and_ends_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate", "--seed", "1", "--hours", "1", "--faults", "none"])
    assert command.main() == 0
    assert capsys.readouterr().out.startswith("seed 1: ")
