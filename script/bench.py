"""Measures a real daemon from outside: own process, real mosquitto, real SQLite, real HTTP over loopback.

What is measured is what the contract promises (docs/interface.md), never an inner function: a check-in counts when
it is durable, a deadline when its fact stands in the journal. Everything shares the machine's cores with the
measuring, so take ratios from it, not records.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.parser import text_string_to_metric_families

DESK = "bench"
CALLWATCH = os.environ.get("CW", str(Path(sys.executable).with_name("callwatch")))
UPLOAD_ROWS = 1_000
CONNECTIONS = 32
ARRAY = 100
READY_S = 30.0
DONE_S = 300.0


class Failed(Exception):
    """The bench could not be made: what was expected."""


# --- what is started ---


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    binary = shutil.which("mosquitto")
    if binary is None:
        raise Failed("mosquitto is needed: sudo apt-get install mosquitto")
    port = free_port()
    config = folder / "mosquitto.conf"
    # the limits of our shipped configuration; its defaults would lose what the daemon has not yet taken
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 5000\n"
    )
    with running([binary, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        else:
            raise Failed("mosquitto did not listen within 5 s")
        yield port


def token(role: str) -> tuple[str, str]:
    """A secret, and the TOML block that lets it in."""
    said = subprocess.run(
        [CALLWATCH, "token", "--role", role, "--desk", DESK],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if said.returncode != 0:
        raise Failed(f"`callwatch token` ended with {said.returncode}: {said.stderr[-1000:]}")
    secret, _, block = said.stdout.partition("\n")
    return secret.strip(), block


def configuration(folder: Path, mqtt_port: int, blocks: str) -> Path:
    path = folder / "callwatch.toml"
    path.write_text(
        f"""
data_dir = "{folder / "data"}"
log = "json"

[http]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1"

{blocks}

[mqtt]
url = "mqtt://127.0.0.1:{mqtt_port}"
client_id = "callwatch-bench"

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


@contextlib.contextmanager
def daemon(config: Path, log: Path) -> Iterator[str]:
    """The address at which the daemon answers."""
    with (
        log.open("w") as errors,
        running(
            [CALLWATCH, "run", "--config", str(config)], stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        assert process.stdout is not None
        guard = _killed_after(process, READY_S)
        line = process.stdout.readline()
        guard.cancel()
        if not line:
            raise Failed(f"the daemon did not start; it said:\n{log.read_text()[-2000:]}")
        yield f"http://{json.loads(line)['http']}"


def _killed_after(process: subprocess.Popen[str], seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    return timer


# --- the daemon, as its clients see it ---


class Client:
    """The contract's routes, with a token that may write and one that may read."""

    def __init__(self, session: aiohttp.ClientSession, url: str, intake: str, reader: str) -> None:
        self._session, self._url = session, url
        self._desk = f"{url}/v1/desks/{DESK}"
        self._intake = {"Authorization": f"Bearer {intake}"}
        self._reader = {"Authorization": f"Bearer {reader}"}

    async def ready(self) -> None:
        ends = time.monotonic() + READY_S
        while time.monotonic() < ends:
            async with self._session.get(f"{self._url}/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.1)
        raise Failed(f"/readyz was not 200 within {READY_S} s")

    async def put(self, what: str, items: list[dict[str, Any]]) -> None:
        name = {"people": "people", "rota": "visits"}[what]
        for begin in range(0, len(items), UPLOAD_ROWS):
            body = {name: items[begin : begin + UPLOAD_ROWS]}
            async with self._session.put(f"{self._desk}/{what}", json=body, headers=self._intake) as answer:
                said = await answer.text()
                if answer.status != 200:
                    raise Failed(f"PUT {what}: expected 200, got {answer.status}: {said[:500]}")
                refused = [
                    problem for problem in json.loads(said)["problems"] if problem["severity"] == "error"
                ]
                if refused:
                    raise Failed(f"PUT {what}: {len(refused)} rows were refused, the first: {refused[0]}")

    async def check_in(self, items: list[dict[str, Any]] | dict[str, Any]) -> float:
        """Seconds until the answer, which is given when it is durable."""
        began = time.perf_counter()
        async with self._session.post(f"{self._desk}/checkins", json=items, headers=self._intake) as answer:
            said = await answer.json()
            if answer.status != 200 or not all(result["stored"] for result in said["results"]):
                raise Failed(f"POST checkins: expected 200 and all stored, got {answer.status}: {said}")
        return time.perf_counter() - began

    async def metric(self, name: str, **labels: str) -> float:
        async with self._session.get(f"{self._url}/metrics") as answer:
            text = await answer.text()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def durable(self) -> None:
        """Any read is answered when what was decided before it is on disk."""
        async with self._session.get(f"{self._desk}/alerts?open=true", headers=self._reader) as answer:
            await answer.read()
            if answer.status != 200:
                raise Failed(f"GET alerts: expected 200, got {answer.status}")

    async def facts(self, after: int, wait: str = "10s") -> tuple[list[dict[str, Any]], int]:
        url = f"{self._desk}/facts?after={after}&wait={wait}"
        async with self._session.get(url, headers=self._reader) as answer:
            said = await answer.json()
            if answer.status != 200:
                raise Failed(f"GET facts: expected 200, got {answer.status}: {said}")
        return said["facts"], said["next"]

    async def last_seq(self) -> int:
        return int(await self.metric("callwatch_journal_seq", desk=DESK))


@contextlib.asynccontextmanager
async def client(url: str, intake: str, reader: str) -> AsyncIterator[Client]:
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield Client(session, url, intake, reader)


# --- the day that is measured ---


def people(prefix: str, count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for n in range(count):
        rows.append(
            {
                "id": f"{prefix}-cw-{n}",
                "role": "care_worker",
                "name": f"Worker {n}",
                "devices": [f"callwatch:{prefix}-{n}"],
            }
        )
        home = {"lat": 51.3 + (n % 500) * 0.0004, "lon": (n // 500) * 0.004, "radius_m": 20}
        rows.append(
            {"id": f"{prefix}-su-{n}", "role": "service_user", "name": f"Person {n}", "homes": [home]}
        )
    return rows


def visits(prefix: str, count: int, start: datetime, late_after: str | None = None) -> list[dict[str, Any]]:
    end = start + timedelta(minutes=30)
    extra = {} if late_after is None else {"late_after": late_after}
    return [
        {
            "id": f"{prefix}-v-{n}",
            "service_user": f"{prefix}-su-{n}",
            "start": text(start),
            "end": text(end),
            "workers": [f"{prefix}-cw-{n}"],
            **extra,
        }
        for n in range(count)
    ]


def check_in(prefix: str, n: int) -> dict[str, Any]:
    return {
        "id": f"{prefix}-{n}",
        "kind": "arrive",
        "device": f"callwatch:{prefix}-{n}",
        "visit": f"{prefix}-v-{n}",
        "at": text(datetime.now(UTC)),
    }


def text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def prepare(daemon_: Client, prefix: str, count: int) -> None:
    await daemon_.put("people", people(prefix, count))
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=5)
    await daemon_.put("rota", visits(prefix, count, start))


# --- what is measured ---

Row = tuple[str, str]


async def over_mqtt(daemon_: Client, port: int, count: int) -> list[Row]:
    await prepare(daemon_, "m", count)
    before, seq = await daemon_.metric("callwatch_checkins_total", desk=DESK), await daemon_.last_seq()
    publisher = connected(port)
    began = time.perf_counter()
    await asyncio.to_thread(publish_all, publisher, count)
    published = time.perf_counter() - began
    await counted(daemon_, before + count)
    await daemon_.durable()
    took = time.perf_counter() - began
    publisher.loop_stop()
    arrived = await kinds_after(daemon_, seq, "ArrivalRecorded")
    if arrived != count:
        raise Failed(f"MQTT: {count} check-ins were sent and {arrived} arrivals stand in the journal")
    return [
        ("check-ins/s over MQTT, QoS 1, until durable", f"{count / took:,.0f}"),
        ("  the broker had taken them at (messages/s)", f"{count / published:,.0f}"),
    ]


def connected(port: int) -> paho.Client:
    publisher = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench-phones")
    publisher.max_inflight_messages_set(1_000)
    publisher.max_queued_messages_set(0)
    publisher.connect("127.0.0.1", port)
    publisher.loop_start()
    return publisher


def publish_all(publisher: paho.Client, count: int) -> None:
    for n in range(count):
        topic = f"callwatch/{DESK}/m-{n}/checkin"
        last = publisher.publish(topic, json.dumps(check_in("m", n)), qos=1)
    last.wait_for_publish(DONE_S)


async def counted(daemon_: Client, wanted: float) -> None:
    ends = time.monotonic() + DONE_S
    while (seen := await daemon_.metric("callwatch_checkins_total", desk=DESK)) < wanted:
        if time.monotonic() > ends:
            raise Failed(
                f"expected {wanted:.0f} check-ins within {DONE_S:.0f} s, the daemon counts {seen:.0f}"
            )
        await asyncio.sleep(0.05)


async def kinds_after(daemon_: Client, seq: int, kind: str) -> int:
    found = 0
    while True:
        facts, after = await daemon_.facts(seq, "0s")
        if not facts:
            return found
        found += sum(fact["kind"] == kind for fact in facts)
        seq = after


async def over_http(daemon_: Client, count: int) -> list[Row]:
    await prepare(daemon_, "h", count)
    bodies = iter([check_in("h", n) for n in range(count)])
    took, times = await posted(daemon_, bodies)
    return [
        ("check-ins/s over HTTP, one a request", f"{count / took:,.0f}"),
        (f"  answered in, median / 99% ({CONNECTIONS} connections)", spread(times)),
    ]


async def over_http_arrays(daemon_: Client, count: int) -> list[Row]:
    await prepare(daemon_, "a", count)
    items = [check_in("a", n) for n in range(count)]
    bodies = iter([items[begin : begin + ARRAY] for begin in range(0, count, ARRAY)])
    took, times = await posted(daemon_, bodies)
    return [
        (f"check-ins/s over HTTP, {ARRAY} a request", f"{count / took:,.0f}"),
        ("  answered in, median / 99%", spread(times)),
    ]


async def posted(daemon_: Client, bodies: Iterator[Any]) -> tuple[float, list[float]]:
    times: list[float] = []

    async def one() -> None:
        times.extend([await daemon_.check_in(body) for body in bodies])

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one())
    return time.perf_counter() - began, times


async def deadlines(daemon_: Client, count: int) -> list[Row]:
    await daemon_.put("people", people("d", count))
    seq = await daemon_.last_seq()
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=15)
    await daemon_.put("rota", visits("d", count, start, late_after="2s"))
    due_at = start + timedelta(seconds=2)
    if datetime.now(UTC) > due_at - timedelta(seconds=1):
        raise Failed("the rota was not taken before its deadlines: fewer of them, please")
    late, seen = await raised(daemon_, seq, due_at, count)
    return [
        (f"deadlines due in the same instant: {count:,}, alerts raised", f"{len(late):,}"),
        ("  journalled late by, median / 99%", spread(late)),
        ("  the last one", f"{max(late) * 1000:,.0f} ms"),
        ("  the last one was read from outside after", f"{seen * 1000:,.0f} ms"),
    ]


async def raised(daemon_: Client, seq: int, due_at: datetime, count: int) -> tuple[list[float], float]:
    late: list[float] = []
    seen = 0.0
    ends = due_at + timedelta(seconds=120)
    while len(late) < count:
        if datetime.now(UTC) > ends:
            raise Failed(f"{count} alerts were expected, {len(late)} were raised within 120 s")
        facts, seq = await daemon_.facts(seq, "2s")
        for fact in facts:
            if fact["kind"] == "AlertRaised" and instant(fact["due_at"]) == due_at:
                late.append((instant(fact["at"]) - due_at).total_seconds())
                seen = (datetime.now(UTC) - due_at).total_seconds()
    return late, seen


def instant(said: str) -> datetime:
    return datetime.fromisoformat(said)


def spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    middle, most = ordered[len(ordered) // 2], ordered[int((len(ordered) - 1) * 0.99)]
    return f"{middle * 1000:,.1f} / {most * 1000:,.1f} ms"


# --- the table ---


def machine() -> list[Row]:
    version = importlib.metadata.version
    parts = ("aiohttp", "aiomqtt", "msgspec", "uvloop")
    return [
        ("machine", f"{platform.node()}, {os.cpu_count()} cores, {cpu()}"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python, callwatch", f"{platform.python_version()}, {version('callwatch')} ({revision()})"),
        ("parts", ", ".join(f"{part} {version(part)}" for part in parts)),
        ("broker", broker_version()),
        ("at", text(datetime.now(UTC))),
    ]


def cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def revision() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=10, check=False
    )
    return said.stdout.strip() or "no git"


def broker_version() -> str:
    said = subprocess.run(
        [shutil.which("mosquitto") or "mosquitto", "-h"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return said.stdout.partition("\n")[0].strip()


def show(rows: list[Row]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"| {name:<{width}} | {value} |", flush=True)


async def measure(options: argparse.Namespace, folder: Path) -> list[Row]:
    intake, intake_block = token("intake")
    reader, reader_block = token("auditor")
    with broker(folder) as port:
        config = configuration(folder, port, intake_block + "\n" + reader_block)
        with daemon(config, folder / "daemon.log") as url:
            async with client(url, intake, reader) as daemon_:
                await daemon_.ready()
                rows = await deadlines(daemon_, options.deadlines)
                rows += await over_mqtt(daemon_, port, options.checkins)
                rows += await over_http(daemon_, options.checkins)
                rows += await over_http_arrays(daemon_, options.checkins)
                return rows


def main() -> int:
    """0 when every figure could be taken, 1 when not, with what was expected."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--checkins", type=int, default=5_000, help="check-ins of each kind (5000)")
    parser.add_argument("--deadlines", type=int, default=1_000, help="deadlines due together (1000)")
    parser.add_argument(
        "--keep", action="store_true", help="keep the temporary folder, with the daemon's log"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="callwatch-bench-"))
    try:
        show([*machine(), *asyncio.run(measure(options, folder))])
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            print(f"bench: kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
