"""What is started to be measured: a real mosquitto, the daemon in a process of its own on one core, its journal
looked at from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from config.tokens import SECRET_BYTES, hash_token, new_token
from connectors.sqlite_files import SEQ_BITS

# whoever installs callwatch has its modules compiled; a shell that keeps none would compile them at each start
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
CALLWATCH = str(Path(sys.executable).with_name("callwatch"))
READY_S, DONE_S = 300.0, 600.0
OURS, THEIRS = 0, 1
"""The core of the daemon, and the one of everything else (broker, load, looking)."""


class Failed(Exception):
    """The bench could not be made: what was expected."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_core(core: int, command: list[str]) -> list[str]:
    """One core of a small machine for the daemon; where there is one only, all share it."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", str(core), *command]


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[int]:
    """mosquitto with the limits of our shipped configuration: its own would lose what the daemon has not yet taken."""
    binary = shutil.which("mosquitto")
    if binary is None:
        raise Failed("mosquitto is needed: sudo apt-get install mosquitto")
    port, config = free_port(), folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 5000\n"
    )
    command = on_core(THEIRS, [binary, "-c", str(config)])
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        else:
            raise Failed("mosquitto did not listen within 5 s")
        yield port


class Desk:
    """One desk of the configuration, with the secret of its manager."""

    def __init__(self, number: int) -> None:
        self.id, self.number = f"d{number}", f"+4416329{60_000 + number:05d}"
        self.manager, self.intake = (new_token(secrets.token_bytes(SECRET_BYTES)) for _ in range(2))

    def toml(self) -> str:
        tokens = "".join(
            f'[[http.token]]\nhash = "{hash_token(secret)}"\nrole = "{role}"\ndesk = "{self.id}"\n'
            "expires = 2099-01-01T00:00:00Z\n"
            for role, secret in (("manager", self.manager), ("intake", self.intake))
        )
        return (
            f'{tokens}[[desk]]\nid = "{self.id}"\nkind = "provider"\nname = "Bench"\npolicy = "bromley"\n'
            f'numbers = ["{self.number}"]\npublic = "off"\n'
            'duty = [{ person = "st-1", role = "office", hours = "otherwise" }]\n'
        )


class Daemon:
    """The daemon in a folder of its own; may be stopped, killed and started again."""

    def __init__(self, folder: Path, desks: Sequence[Desk], mqtt_port: int | None) -> None:
        self.folder, self.desks, self.log = folder, desks, folder / "daemon.log"
        self.config = folder / "callwatch.toml"
        mqtt = (
            ""
            if mqtt_port is None
            else f'[mqtt]\nurl = "mqtt://127.0.0.1:{mqtt_port}"\nclient_id = "bench"\n'
        )
        self.config.write_text(
            f'data_dir = "{folder / "data"}"\nlog = "json"\ndrain_s = 60\n[http]\nlisten = "127.0.0.1:0"\n'
            f'public_url = "http://127.0.0.1"\n{mqtt}' + "".join(desk.toml() for desk in desks)
        )
        self.process: subprocess.Popen[str] | None = None
        self.host, self.port = "", 0

    def start(self) -> float:
        """Seconds from its start to its answering. Raises Failed with what it said."""
        began = time.perf_counter()
        with self.log.open("a") as errors:
            command = on_core(OURS, [CALLWATCH, "run", "--config", str(self.config)])
            self.process = subprocess.Popen(
                command, text=True, stdout=subprocess.PIPE, stderr=errors, env=_ENVIRONMENT
            )
        guard = threading.Timer(READY_S, self.process.kill)
        guard.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        guard.cancel()
        if not line:
            raise Failed(f"the daemon did not start; it said:\n{self.log.read_text()[-2000:]}")
        self.host, _, port = json.loads(line)["http"].rpartition(":")
        self.port = int(port)
        return time.perf_counter() - began

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(120)

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    # what the system says of it

    def _stat(self) -> list[str]:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()

    def cpu_s(self) -> float:
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        return int(self._stat()[21]) * os.sysconf("SC_PAGE_SIZE")


class Journal:
    """The daemon's journal, read from its file by somebody else: what is seen here is on disk."""

    def __init__(self, daemon: Daemon) -> None:
        (path,) = (daemon.folder / "data").glob("*.db")
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self._desks = [row[0] for row in self._db.execute("SELECT id FROM desk")]
        self._heads = {desk: self._head(desk) for desk in self._desks}

    def _head(self, desk: int) -> int:
        row = self._db.execute(
            "SELECT max(id) FROM fact WHERE id >= ? AND id < ?", (desk << SEQ_BITS, (desk + 1) << SEQ_BITS)
        ).fetchone()
        return int(row[0] or desk << SEQ_BITS)

    def new(self, kind: str, *, due: bool = False) -> int:
        """How many facts of the kind stand there since it was opened; `due`: those of them that a deadline caused."""
        only = " AND due_at IS NOT NULL" if due else ""
        return sum(
            self._db.execute(
                f"SELECT count(*) FROM fact WHERE id > ? AND id < ? AND kind = ?{only}",
                (head, (desk + 1) << SEQ_BITS, kind),
            ).fetchone()[0]
            for desk, head in self._heads.items()
        )

    def raised(self) -> list[tuple[float, bool]]:
        """For each new alert that was due: seconds from its due time to its decision, and whether time-critical."""
        found = []
        for desk, head in self._heads.items():
            for at, due_at, body in self._db.execute(
                "SELECT at, due_at, body FROM fact WHERE id > ? AND id < ? AND kind = 'AlertRaised'"
                " AND due_at IS NOT NULL",
                (head, (desk + 1) << SEQ_BITS),
            ):
                late = datetime.fromisoformat(at) - datetime.fromisoformat(due_at)
                found.append((late.total_seconds(), bool(json.loads(body).get("time_critical"))))
        return found

    def late(self, kind: str) -> list[float]:
        """For each new fact of the kind that a deadline caused: seconds from its due time to its decision."""
        found = []
        for desk, head in self._heads.items():
            for at, due_at in self._db.execute(
                "SELECT at, due_at FROM fact WHERE id > ? AND id < ? AND kind = ? AND due_at IS NOT NULL",
                (head, (desk + 1) << SEQ_BITS, kind),
            ):
                found.append((datetime.fromisoformat(at) - datetime.fromisoformat(due_at)).total_seconds())
        return found

    def close(self) -> None:
        self._db.close()


class Client:
    """The contract's routes of one daemon."""

    def __init__(self, session: aiohttp.ClientSession, daemon: Daemon) -> None:
        self._session, self._url = session, daemon.url

    async def ready(self) -> None:
        ends = time.monotonic() + READY_S
        while time.monotonic() < ends:
            async with self._session.get(f"{self._url}/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.02)
        raise Failed(f"/readyz was not 200 within {READY_S} s")

    async def put(self, desk: Desk, what: str, items: list[dict[str, Any]]) -> None:
        body = {{"people": "people", "rota": "visits"}[what]: items}
        headers = {"Authorization": f"Bearer {desk.manager}"}
        url = f"{self._url}/v1/desks/{desk.id}/{what}"
        async with self._session.put(url, json=body, headers=headers) as answer:
            said = await answer.text()
            if answer.status != 200:
                raise Failed(f"PUT {what}: expected 200, got {answer.status}: {said[:500]}")
            refused = [p for p in json.loads(said)["problems"] if p["severity"] == "error"]
            if refused:
                raise Failed(f"PUT {what}: {len(refused)} rows were refused, the first: {refused[0]}")

    async def durable_seq(self, desk: Desk) -> int:
        async with self._session.get(f"{self._url}/healthz") as answer:
            return int((await answer.json())["desks"][desk.id]["seq"])

    async def longest_answer(self, until: asyncio.Event) -> float:
        """Seconds of the longest /readyz until then, asked every 5 ms: nobody waits longer for the event loop."""
        longest = 0.0
        while not until.is_set():
            began = time.perf_counter()
            async with self._session.get(f"{self._url}/readyz") as answer:
                await answer.read()
            longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(0.005)
        return longest


@contextlib.asynccontextmanager
async def client(daemon: Daemon) -> AsyncIterator[Client]:
    timeout, connector = aiohttp.ClientTimeout(total=DONE_S), aiohttp.TCPConnector(limit=8)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield Client(session, daemon)


async def load(way: str, daemon: Daemon, desk: Desk, port: int, **options: Any) -> dict[str, Any]:
    """`benching.phones` in a process of its own; its answer."""
    said = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "benching.phones", way, f"--port={port}", f"--desk={desk.id}", *said]
    process = await asyncio.create_subprocess_exec(
        *on_core(THEIRS, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    answer, _ = await process.communicate(desk.intake.encode() + b"\n")
    if process.returncode != 0:
        raise Failed(f"the load ended with {process.returncode}")
    result: dict[str, Any] = json.loads(answer)
    if result["bad"]:
        raise Failed(f"{result['bad']} answers were not what was expected, the first: {result['first_bad']}")
    return result
