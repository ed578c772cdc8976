"""24 hours of a council as fast as one core goes: 28 providers, 4,000 visits, a third of them before 09:30.

The daemon's own parts in this process, on a clock that jumps from one event to the next: arrivals and departures,
some late, some missing, and every deadline in between. Prints what it cost, and whether memory and descriptors stay.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from benching import rows
from config.load import load
from connectors.ports import SeenCheckIn
from monitor.app import App
from monitor.core.state import State
from monitor.scheduler import roll_over

DESKS, VISITS = 28, 4_000
BEGINS = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


class Jumping:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = BEGINS

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - BEGINS).total_seconds()


def configuration(folder: Path) -> Path:
    path = folder / "callwatch.toml"
    path.write_text(
        f'data_dir = "{folder / "data"}"\n[http]\nlisten = "127.0.0.1:0"\n'
        + "".join(
            f'[[desk]]\nid = "d{n}"\nkind = "provider"\nname = "D{n}"\npolicy = "bromley"\npublic = "off"\n'
            f'numbers = ["+4416329{60_000 + n:05d}"]\n'
            'duty = [{ person = "st-1", role = "office", hours = "otherwise" }]\n'
            for n in range(DESKS)
        )
    )
    return path


def starts(count: int, chance: random.Random) -> list[datetime]:
    """A third between 07:00 and 09:30, the rest until 22:00 (domain.md, "Sizes")."""
    begins = (
        chance.uniform(7, 9.5) if chance.random() < 1 / 3 else chance.uniform(9.5, 22) for _ in range(count)
    )
    return sorted(BEGINS + timedelta(minutes=15 * round(hour * 4)) for hour in begins)


Event = tuple[datetime, int, SeenCheckIn]


def check_ins(desk: int, visits: list[dict[str, Any]], chance: random.Random) -> Iterator[Event]:
    """95 of a hundred come, two of them more than half an hour late; one in twenty forgets to leave."""
    for n, visit in enumerate(visits):
        dice = chance.random()
        if dice > 0.95:
            continue
        late = chance.uniform(31, 55) if dice > 0.93 else chance.uniform(-5, 12)
        arrives = datetime.fromisoformat(visit["start"]) + timedelta(minutes=late)
        yield arrives, desk, _check_in(desk, n, "arrive", arrives)
        if chance.random() > 0.05:
            leaves = arrives + timedelta(minutes=chance.uniform(25, 35))
            yield leaves, desk, _check_in(desk, n, "leave", leaves)


def _check_in(desk: int, n: int, kind: Any, at: datetime) -> SeenCheckIn:
    key = f"{kind}-{desk}-{n}"
    device = f"callwatch:x{desk}-{n % -(-(VISITS // DESKS) // 12)}"
    return SeenCheckIn(
        source="mqtt",
        kind=kind,
        at=at,
        device=device,
        natural_key=key,
        raw=json.dumps({"id": key, "kind": kind, "at": rows.text(at)}).encode(),
        id=key,
        visit=f"x{desk}-v-{n}",
    )


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def day(folder: Path) -> dict[str, Any]:
    chance, clock = random.Random(7), Jumping()
    app = App(load(configuration(folder), os.environ, now=BEGINS), clock=clock)
    ready = asyncio.Event()
    running = asyncio.create_task(app.run(lambda _address: ready.set()))
    await ready.wait()
    await app.feeds.wait_drained()
    each = VISITS // DESKS
    events: list[Event] = []
    for number in range(DESKS):
        await app.watch.put_people(f"d{number}", rows.day_people(f"x{number}", each))
        visits = rows.day_visits(f"x{number}", each, BEGINS)
        for visit, start in zip(visits, starts(each, chance), strict=True):
            visit |= {"start": rows.text(start), "end": rows.text(start + timedelta(minutes=30))}
        await app.watch.put_rota(f"d{number}", {"visits": visits}, "bench")
        events += check_ins(number, visits, chance)
    events.sort(key=lambda event: (event[0], event[1], event[2].natural_key))
    cpu = time.process_time()
    seen: list[tuple[int, int]] = []
    alerts = await _pass(app, clock, events, seen)
    spent = time.process_time() - cpu
    facts = sum(shell.engine.durable_seq for shell in app.watch.shells.values())
    app.stop()
    await running
    return {
        "cpu_s": spent,
        "facts": facts,
        "alerts": alerts,
        "resident_kib": [kib for kib, _ in seen],
        "descriptors": [count for _, count in seen],
    }


async def _pass(app: App, clock: Jumping, events: list[Event], seen: list[tuple[int, int]]) -> int:
    """From event to event, asking every desk at its deadlines in between."""
    engines = [app.watch.shells[f"d{number}"].engine for number in range(DESKS)]
    raised: set[str] = set()
    at = 0
    for quarter in range(24 * 4):
        until = BEGINS + timedelta(minutes=15 * (quarter + 1))
        while True:
            event = events[at] if at < len(events) and events[at][0] < until else None
            due = min((d for e in engines if (d := e.state.next_deadline()) is not None), default=until)
            moment = min(event[0] if event else until, due, until)
            clock.at = max(clock.at, moment)
            for engine in engines:
                engine.fire_due(500)
            if event is not None and event[0] <= clock.at:
                app.watch.check_in(f"d{event[1]}", event[2])
                at += 1
            elif clock.at >= until:
                break
            await asyncio.sleep(0)
        if quarter == 15:
            roll_over(list(app.watch.shells.values()), (), clock.at)
        for engine in engines:
            await engine.durable()
            raised |= _alerts(engine.state)
        if quarter % 16 == 15:
            seen.append((resident_kib(), len(os.listdir("/proc/self/fd"))))
    return len(raised)


def _alerts(state: State) -> set[str]:
    return set(state.values.alerts)


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="callwatch-day-") as folder:
        print(json.dumps(uvloop.run(day(Path(folder)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
