"""The rows of the table, each measured on a daemon of its own, from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from benching import council, rows, stages, windows
from benching.hosts import DONE_S, Client, Daemon, Desk, Failed, Journal, broker, client, load


class Row(Struct, frozen=True, kw_only=True):
    """One line: what was done, what is asked for, what came out."""

    work: str
    bar: str
    goal: str
    measured: str
    note: str = ""


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


@asynccontextmanager
async def daemon(desks: int, *, mqtt: bool) -> AsyncIterator[tuple[Daemon, Client, int]]:
    with tempfile.TemporaryDirectory(prefix="callwatch-bench-") as name:
        folder = Path(name)
        if not mqtt:
            with Daemon(folder, [Desk(n) for n in range(desks)], None) as host:
                async with client(host) as asked:
                    await asked.ready()
                    yield host, asked, 0
            return
        with broker(folder) as port, Daemon(folder, [Desk(n) for n in range(desks)], port) as host:
            async with client(host) as asked:
                await asked.ready()
                yield host, asked, port


async def prepare(asked: Client, desk: Desk, count: int) -> None:
    """`count` visits that can be arrived at now."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=5)
    for part in rows.in_parts(rows.people("x", count)):
        await asked.put(desk, "people", part)
    for part in rows.in_parts(rows.visits("x", count, start)):
        await asked.put(desk, "rota", part)


Upload = tuple[str, list[dict[str, Any]]]


def people_of(prefix: str, visits: int) -> Upload:
    return "people", rows.day_people(prefix, visits)


def visits_of(prefix: str, visits: int) -> Upload:
    begins = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=2)
    return "rota", rows.day_visits(prefix, visits, begins)


async def lay_on(
    asked: Client, desks: Sequence[Desk], visits: int, uploads: Sequence[Callable[[str, int], Upload]]
) -> None:
    """An office's day of so many visits at each desk, from two hours on."""
    say(f"{len(desks):,} desks of {visits:,} visits are laid on")
    for number, desk in enumerate(desks):
        for upload in uploads:
            what, items = upload(f"x{number}", visits)
            for part in rows.in_parts(items):
                await asked.put(desk, what, part)
        if number % 100 == 99:
            say(f"  {number + 1:,} desks")


async def arrivals(journal: Journal, count: int) -> None:
    """Returns when as many arrivals stand on disk."""
    ends = time.monotonic() + DONE_S
    while (seen := journal.new("ArrivalRecorded")) < count:
        if time.monotonic() > ends:
            raise Failed(f"{count} arrivals were expected on disk within {DONE_S:.0f} s, {seen} stand there")
        await asyncio.sleep(0.02)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


# --- check-ins ---


async def over_mqtt(count: int) -> list[Row]:
    async with daemon(1, mqtt=True) as (host, asked, port):
        desk = host.desks[0]
        await prepare(asked, desk, 2 * count)
        journal, cpu = Journal(host), host.cpu_s()
        began = time.perf_counter()
        await load("mqtt", host, desk, port, prefix="x", count=count)
        await arrivals(journal, count)
        rate, cpu = count / (time.perf_counter() - began), (host.cpu_s() - cpu) / count
        say(f"MQTT: {rate:,.0f}/s; now at half of it, for the time that one takes")
        paced = await load("mqtt", host, desk, port, prefix="x", first=count, count=count, rate=rate / 2)
        await arrivals(journal, 2 * count)
        journal.close()
    return [
        Row(
            work="MQTT check-ins, durable, decided, acknowledged",
            bar="5,000/s",
            goal="10,000/s",
            measured=f"{rate:,.0f}/s",
            note=f"{cpu * 1e6:.0f} us of CPU each",
        ),
        Row(
            work="  from a phone's publishing to its receipt, at half that rate",
            bar="99% in 25 ms",
            goal="",
            measured=f"median {ms(paced['median'])}, 99% {ms(paced['p99'])}",
        ),
    ]


async def over_http(count: int, array: int) -> list[Row]:
    async with daemon(1, mqtt=False) as (host, asked, _):
        desk = host.desks[0]
        await prepare(asked, desk, count)
        cpu = host.cpu_s()
        lines = 64 if array == 1 else 8
        done = await load("http", host, desk, host.port, prefix="x", count=count, array=array, lines=lines)
        cpu = (host.cpu_s() - cpu) / count
    each = "one a request" if array == 1 else f"{array} a request"
    return [
        Row(
            work=f"HTTP check-ins, durable before the 200, {each}",
            bar="8,000/s",
            goal="12,000/s",
            measured=f"{count / done['took']:,.0f}/s",
            note=f"{cpu * 1e6:.0f} us of CPU each; {lines} connections: median {ms(done['median'])}, "
            f"99% {ms(done['p99'])}",
        )
    ]


async def one_by_one(count: int) -> list[Row]:
    return await over_http(count, 1)


async def by_hundreds(count: int) -> list[Row]:
    return await over_http(count, 100)


# --- deadlines ---


async def storm(desks: int, visits: int, due: int, bar: str, goal: str) -> list[Row]:
    """`due` deadlines in the same second over all desks, a tenth of them time-critical, while a thousand check-ins a
    second come in at the first desk."""
    each = due // desks
    async with daemon(desks, mqtt=True) as (host, asked, port):
        await lay_on(asked, host.desks, visits, (people_of, visits_of))
        seconds = 4 + due // 20_000
        await prepare(asked, host.desks[0], 1_000 * (seconds + 8))
        wait_s = 5 + due / 4_000 + desks / 100
        due_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=wait_s)
        for number, desk in enumerate(host.desks):
            # begun half an hour ago: all looks before the alert have been, and the alert alone is due then
            late = rows.visits(f"x{number}", each, due_at - timedelta(minutes=30), "30m")
            for n, visit in enumerate(late):
                visit |= {"id": f"{visit['id']}-late", "time_critical": n % 10 == 0}
                visit["service_user"] = f"x{number}-su-{n % -(-visits // 3)}"
                visit["workers"] = []
            for part in rows.in_parts(late):
                await asked.put(desk, "rota", part)
        if datetime.now(UTC) > due_at - timedelta(seconds=2):
            raise Failed("the visits were not laid on before they were due: fewer of them, please")
        journal, over = Journal(host), asyncio.Event()
        await asyncio.sleep((due_at - datetime.now(UTC)).total_seconds() - 1)
        pings = asyncio.create_task(asked.longest_answer(over))
        phones = asyncio.create_task(
            load("mqtt", host, host.desks[0], port, prefix="x", count=1_000 * (seconds + 4), rate=1_000)
        )
        raised = await asyncio.to_thread(_raised, journal, due)
        took = (datetime.now(UTC) - due_at).total_seconds()
        over.set()
        stall, seen = await pings, await phones
        late_s = journal.raised()
        journal.close()
    assert raised == due == len(late_s)
    critical, others = ([s for s, urgent in late_s if urgent is wanted] for wanted in (True, False))
    return [
        Row(
            work=f"{due:,} deadlines in the same second ({desks:,} desks of {visits:,} visits), "
            "1,000 check-ins/s meanwhile: the last one journalled",
            bar=bar,
            goal=goal,
            measured=f"{took:.2f} s",
            note=f"decided: time-critical by {max(critical):.2f} s, others from {min(others):.2f} s on, "
            f"median {statistics.median(others):.2f} s; check-ins meanwhile: 99% {ms(seen['p99'])}",
        ),
        Row(
            work="  the longest wait for the event loop meanwhile (/readyz every 5 ms)",
            bar="50 ms",
            goal="20 ms",
            measured=ms(stall),
        ),
    ]


def _raised(journal: Journal, due: int) -> int:
    ends = time.monotonic() + DONE_S
    while (found := journal.new("AlertRaised", due=True)) < due:
        if time.monotonic() > ends:
            raise Failed(f"{due} alerts were expected within {DONE_S:.0f} s, {found} stand in the journal")
        time.sleep(0.02)
    return found


async def another_policy(_: int, visits: int = 100_000) -> list[Row]:
    """Every visit of a desk is planned anew: another tolerance, by a reload."""
    async with daemon(1, mqtt=False) as (host, asked, _port):
        await lay_on(asked, host.desks, visits, (people_of, visits_of))
        journal, over = Journal(host), asyncio.Event()
        host.config.write_text(host.config.read_text() + 'overrides = { late_after = "20m" }\n')
        pings = asyncio.create_task(asked.longest_answer(over))
        began = time.perf_counter()
        assert host.process is not None
        host.process.send_signal(signal.SIGHUP)
        ends = time.monotonic() + DONE_S
        while (seen := journal.new("VisitReplanned")) < visits:
            if time.monotonic() > ends:
                raise Failed(f"{visits} visits were to be planned anew within {DONE_S:.0f} s, {seen} were")
            await asyncio.sleep(0.05)
        took = time.perf_counter() - began
        over.set()
        stall = await pings
        journal.close()
    return [
        Row(
            work=f"another policy over {visits:,} open visits of one desk: all of them planned anew",
            bar="",
            goal="",
            measured=f"{took:.1f} s",
        ),
        Row(
            work="  the longest wait for the event loop meanwhile (/readyz every 5 ms)",
            bar="50 ms",
            goal="20 ms",
            measured=ms(stall),
        ),
    ]


async def ten_thousand(_: int) -> list[Row]:
    return await storm(1_000, 1_000, 10_000, "1 s", "0.5 s")


async def hundred_thousand(_: int) -> list[Row]:
    return await storm(1_000, 1_000, 100_000, "10 s", "5 s")


async def bid_windows(_: int) -> list[Row]:
    found = await windows.closing(200)
    return [
        Row(
            work="200 bid windows of one council at the same instant, three bids each, check-ins at another desk "
            "meanwhile: the last proposal journalled",
            bar="1 s",
            goal="0.5 s",
            measured=f"{found.journalled_s:.2f} s",
            note=f"decided by {found.decided_s:.2f} s; check-ins meanwhile: 99% {ms(found.check_in_s)}",
        ),
        Row(
            work="  the longest wait for the event loop meanwhile (/readyz every 5 ms)",
            bar="50 ms",
            goal="20 ms",
            measured=ms(found.stall_s),
        ),
    ]


# --- memory and restart ---


class Restart(Struct, frozen=True, kw_only=True):
    """Seconds to /readyz after an orderly end and after a kill -9; resident bytes a visit, each time after an orderly
    end and a start: alone, and with the people that a visit brings with it (five for twelve)."""

    ready_s: float
    ready_after_kill_s: float
    bytes_alone: float
    bytes_with_people: float


async def restart(desks: int, visits: int) -> Restart:
    async with daemon(desks, mqtt=False) as (host, asked, _):
        nothing = host.resident_bytes()
        await lay_on(asked, host.desks, visits, (people_of,))
        host.stop()
        await _ready(host)
        people = host.resident_bytes()
        async with client(host) as again:
            await lay_on(again, host.desks, visits, (visits_of,))
        host.stop(signal.SIGKILL)
        killed_s = await _ready(host)
        host.stop()
        ready_s = await _ready(host)
        whole, count = host.resident_bytes(), desks * visits
        return Restart(
            ready_s=ready_s,
            ready_after_kill_s=killed_s,
            bytes_alone=(whole - people) / count,
            bytes_with_people=(whole - nothing) / count,
        )


async def _ready(host: Daemon) -> float:
    began = time.perf_counter()
    host.start()
    async with client(host) as again:
        await again.ready()
    return time.perf_counter() - began


async def after_a_restart(_: int) -> list[Row]:
    found = await restart(100, 1_000)
    return [
        Row(
            work="memory per open visit, of 100,000 after a restart",
            bar="2 kB",
            goal="1.5 kB",
            measured=f"{found.bytes_alone / 1000:.2f} kB",
            note=f"with the people that it brings (five for twelve visits): {found.bytes_with_people / 1000:.2f} kB",
        ),
        Row(
            work="ready after a restart with 100,000 open visits (100 desks)",
            bar="5 s",
            goal="3 s",
            measured=f"{found.ready_s:.1f} s",
            note=f"after a kill -9, from the journal alone: {found.ready_after_kill_s:.1f} s",
        ),
    ]


# --- a council's day, and where the time goes ---


async def a_council_s_day(_: int) -> list[Row]:
    day = await in_a_process(council.__name__)
    return [
        Row(
            work="24 h of a council (4,000 visits, 28 desks) at full speed",
            bar="flat",
            goal="-",
            measured=f"{day['cpu_s']:.1f} CPU s",
            note=f"{day['facts']:,} facts, {day['alerts']} alerts; resident "
            + ", ".join(f"{kib / 1024:.0f}" for kib in day["resident_kib"])
            + " MiB at each sixth, descriptors "
            + ", ".join(str(n) for n in day["descriptors"]),
        )
    ]


async def apart(count: int) -> list[Row]:
    spent = await in_a_process(stages.__name__, f"--count={count}")
    wanted = ("decode", "prepare", "decide", "evolve", "commit", "release")
    named = {
        "prepare": "look up who and what it is, put the body aside as evidence",
        "evolve": "evolve, and seal into the chain",
        "commit": "commit (the store's thread)",
        "release": "release: what a durable fact sets off",
    }
    return [
        Row(
            work=f"  {named.get(stage, stage)}",
            bar="",
            goal="",
            measured=f"{spent[stage]:.1f} us",
        )
        for stage in wanted
    ] + [
        Row(work="  all of it, with the clocks around it", bar="", goal="", measured=f"{spent['cpu']:.0f} us")
    ]


async def in_a_process(module: str, *options: str) -> dict[str, Any]:
    """A module's own `main`, which prints one JSON object."""
    import json
    import subprocess

    from benching.hosts import OURS, on_core

    command = on_core(OURS, [sys.executable, "-m", module, *options])
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise Failed(f"{module} ended with {process.returncode}")
    lines = said.decode().strip().splitlines()
    result: dict[str, Any] = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    return result


Measure = Callable[[int], Coroutine[Any, Any, list[Row]]]
ROWS: dict[str, Measure] = {
    "mqtt": over_mqtt,
    "http": one_by_one,
    "http100": by_hundreds,
    "10k": ten_thousand,
    "100k": hundred_thousand,
    "policy": another_policy,
    "windows": bid_windows,
    "restart": after_a_restart,
    "council": a_council_s_day,
    "apart": apart,
}
