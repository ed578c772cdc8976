"""Where the time of one check-in goes: the daemon's own parts in this process, each timed apart.

Decode, decide, evolve (with the sealing into the chain), commit and release, in microseconds of one core a check-in.
The parts are the product's own; the clock is put around them from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from benching import rows
from benching.phones import check_in, now
from config.load import load
from connectors import sqlite_threads
from connectors.checkin_json import read_checkin
from monitor import desk_shell, engine, watch
from monitor.app import App

DESK = "bench"


class Stages:
    """Seconds by stage; a stage within another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def around(
        self, owner: Any, name: str, stage: str, clock: Callable[[], float] = time.thread_time
    ) -> None:
        real = getattr(owner, name)

        @functools.wraps(real)
        def timed(*said: Any, **more: Any) -> Any:
            inner = self._inner
            inner.append(0.0)
            began = clock()
            try:
                return real(*said, **more)
            finally:
                took = clock() - began
                self.seconds[stage] += took - inner.pop()
                if inner:
                    inner[-1] += took

        setattr(owner, name, timed)


def configuration(folder: Path) -> Path:
    path = folder / "callwatch.toml"
    path.write_text(
        f"""
data_dir = "{folder / "data"}"
[http]
listen = "127.0.0.1:0"
[[desk]]
id = "{DESK}"
kind = "provider"
name = "Bench"
policy = "bromley"
numbers = ["+441632960999"]
public = "off"
duty = [{{ person = "st-1", role = "office", hours = "otherwise" }}]
"""
    )
    return path


async def measure(count: int, folder: Path, profile: str | None) -> dict[str, float]:
    loaded = load(configuration(folder), os.environ, now=datetime.now(UTC))
    app = App(loaded)
    ready = asyncio.Event()
    running = asyncio.create_task(app.run(lambda _address: ready.set()))
    await ready.wait()
    await app.feeds.wait_drained()
    desks = app.watch
    for items in rows.in_parts(rows.people("x", count)):
        await desks.put_people(DESK, items)
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=5)
    for items in rows.in_parts(rows.visits("x", count, start)):
        await desks.put_rota(DESK, {"visits": items}, "bench")
    at = now()
    bodies = [check_in("x", n, at) for n in range(count)]
    stages = Stages()
    if profile is None:
        stages.around(engine, "decide", "decide")
        stages.around(engine.Engine, "_take", "evolve")
        stages.around(watch.Watch, "released", "release")
        stages.around(watch.Watch, "appended", "release")
        stages.around(desk_shell.DeskShell, "_as_input", "prepare")
        stages.around(desk_shell.DeskShell, "put_aside", "prepare")
    commit: dict[str, float] = defaultdict(float)
    serve = sqlite_threads.Writer._serve

    def served(self: Any, group: Any) -> None:
        began = time.thread_time()
        serve(self, group)
        commit["commit"] += time.thread_time() - began

    sqlite_threads.Writer._serve = served  # type: ignore[method-assign]
    profiler = None
    if profile:
        import cProfile

        profiler = cProfile.Profile()
        profiler.enable()
    began, cpu = time.perf_counter(), time.process_time()
    futures: list[Any] = []
    decoding = 0.0
    for begin in range(0, count, 50):
        before = time.thread_time()
        seen = [read_checkin(body, device=None, source="http") for body in bodies[begin : begin + 50]]
        decoding += time.thread_time() - before
        futures += [desks.check_in(DESK, one) for one in seen]
        await asyncio.sleep(0)
    await asyncio.gather(*futures)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    if profiler:
        profiler.disable()
        import pstats

        pstats.Stats(profiler, stream=sys.stderr).sort_stats(os.environ.get("SORT", "tottime")).print_stats(
            90
        )
    app.stop()
    await running
    each = {"decode": decoding} | dict(stages.seconds) | dict(commit)
    return {name: seconds / count * 1e6 for name, seconds in (each | {"cpu": cpu, "wall": took}).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--profile", nargs="?", const="tottime", help="cProfile's list, in this order")
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(prefix="callwatch-stages-") as folder:
        print(json.dumps(uvloop.run(measure(options.count, Path(folder), options.profile))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
