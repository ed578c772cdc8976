"""The daemon over a shared store: Redis is killed while check-ins come in, then both; and what the command line says.

A real daemon, a real Redis that syncs every write, a real broker. That whole days, crashes, clocks and degraded mode
work on Redis too is shown by running those very tests on it (tests/system/stores.py, script/test).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.redis_server import RedisServer, redis_server
from tests.system.broker import Mosquitto, phone, publish
from tests.system.daemon import (
    DESK,
    ROOT,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    in_s,
    now,
    of_kind,
    request,
    rfc,
    service_user,
    staff,
    visit,
)
from tests.waiting import until_sync

pytestmark = pytest.mark.store_once("it is on Redis whatever was asked for")

TOPIC = f"callwatch/{DESK}/phone-17/checkin"
CALM = {"late_after": "30m"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, options="log_type all") as broker:
        yield broker


class Gateway:
    """Sends each check-in over HTTP until it is stored, as 503 asks of it; says what happened to it on the way."""

    def __init__(self, daemon: Daemon) -> None:
        self.stored: dict[str, str] = {}
        self.refused = 0
        self._daemon = daemon
        self._waiting: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def sends(self, name: str) -> None:
        """One arrival for the visit of this name."""
        self._waiting.append(
            {"id": f"h-{name}", "visit": name, "kind": "arrive", "worker": "cw-1", "at": rfc(now())}
        )

    def _run(self) -> None:
        while not self._stop.is_set() or self._waiting:
            for body in list(self._waiting):
                self._try(body)
            self._stop.wait(0.02)

    def _try(self, body: dict[str, Any]) -> None:
        try:
            answer = self._daemon.api("intake").call("POST", "./checkins", body)
        except OSError:
            return
        if answer.status == 503:
            self.refused += 1
            return
        (result,) = answer.body["results"]
        assert result["stored"] is True, result
        self.stored[body["visit"]] = result["outcome"]
        self._waiting.remove(body)

    def __enter__(self) -> Gateway:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def cast(daemon: Daemon, names: list[str]) -> None:
    """One person with many visits, all of them now: by HTTP (`h…`) and from a phone (`m…`)."""
    office = daemon.api()
    office.people(service_user(), care_worker(devices=["callwatch:phone-17"]), staff())
    start = in_s(1)
    office.rota(*(visit(name, start) for name in names))


def all_arrived(daemon: Daemon, names: list[str]) -> None:
    """Each visit once, in an unbroken chain."""
    office = daemon.api()
    until_sync(
        # who arrives at the next has left the one before
        lambda: all(office.visits()[name]["stage"] in ("arrived", "left") for name in names),
        30,
        what="all have arrived",
    )
    facts = office.facts()
    assert chain_break(facts) is None
    arrivals = [fact["subject"] for fact in of_kind(facts, "ArrivalRecorded")]
    assert len(arrivals) == len(set(arrivals)) == len(names)
    verified = daemon.verify()
    assert verified["ok"] is True
    assert verified["desks"][0]["facts"] >= len(facts)


def acknowledged(broker: Mosquitto) -> int:
    """PUBACKs of the daemon to the broker."""
    return sum("Received PUBACK from callwatch" in line for line in broker.log.read_text().splitlines())


@pytest.mark.parametrize("both", [False, True], ids=["redis", "redis-and-the-daemon"])
def test_killed_while_check_ins_come_in_nothing_is_lost_and_nothing_stands_twice(
    tmp_path: Path, redis: RedisServer, broker: Mosquitto, warm: WarmStart, both: bool
) -> None:
    by_http, by_mqtt = [f"h{n}" for n in range(30)], [f"m{n}" for n in range(30)]
    with Daemon(tmp_path, redis=redis, broker=broker, warm=warm, overrides=CALM) as daemon:
        cast(daemon, by_http + by_mqtt)
        with Gateway(daemon) as gateway, phone(broker) as client:
            for n, (posted, phoned) in enumerate(zip(by_http, by_mqtt, strict=True)):
                if n == 10:
                    redis.kill()
                gateway.sends(posted)
                body = {"id": phoned, "kind": "arrive", "worker": "cw-1", "visit": phoned, "at": rfc(now())}
                publish(client, [(TOPIC, json.dumps(body).encode())])
                if n == 10:
                    until_sync(lambda: gateway.refused > 0, what="503 while the Redis is away")
                    assert request(daemon.port, "GET", "/readyz").status == 503
                    assert daemon.api().metric("callwatch_degraded") == 1
                    before = acknowledged(broker)
            assert acknowledged(broker) == before, "nothing is acknowledged that no disk has"
            if both:
                daemon.kill()
            redis.start()
            if both:
                daemon.start()
        all_arrived(daemon, by_http + by_mqtt)
        until_sync(lambda: acknowledged(broker) >= len(by_mqtt), what="everything is acknowledged")
        assert request(daemon.port, "GET", "/readyz").status == 200
        assert set(gateway.stored) == set(by_http)
        assert daemon.stop() == 0


def test_killed_again_and_again_while_check_ins_come_in(
    tmp_path: Path, redis: RedisServer, warm: WarmStart
) -> None:
    names = [f"h{n}" for n in range(60)]
    with Daemon(tmp_path, redis=redis, warm=warm, overrides=CALM) as daemon:
        cast(daemon, names)
        with Gateway(daemon) as gateway:
            for n, name in enumerate(names):
                gateway.sends(name)
                if n % 12 == 6:
                    until_sync(lambda n=n: len(gateway.stored) >= n - 3, 20, what="most are stored")
                    redis.kill()
                    redis.start()
        all_arrived(daemon, names)
        assert "fenced" not in daemon.log


def run(daemon: Daemon, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command beside it."""
    command = [sys.executable, "-m", "monitor", *map(str, words)]
    return subprocess.run(
        command,
        cwd=daemon.folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_knows_a_shared_store(tmp_path: Path, redis: RedisServer, warm: WarmStart) -> None:
    with Daemon(tmp_path, redis=redis, warm=warm) as daemon:
        cast(daemon, ["v-1"])
        told = json.loads(run(daemon, "verify", "--config", daemon.config, "--json").stdout)
        assert told["ok"] is True
        last = daemon.api().facts()[told["desks"][0]["facts"] - 1]
        assert last["hash"] == told["desks"][0]["head"]
        second = run(daemon, "run", "--config", daemon.config)
        assert (second.returncode, second.stdout) == (3, "")
        assert str(daemon.pid) in second.stderr
        copy = run(daemon, "backup", tmp_path / "copy", "--config", daemon.config)
        assert copy.returncode == 2
        assert "expected BGREWRITEAOF" in copy.stderr
        assert not (tmp_path / "copy").exists()
        redis.kill()
        assert run(daemon, "verify", "--config", daemon.config).returncode == 3


def test_a_copy_of_the_servers_folder_is_whole_and_a_daemon_starts_from_it(
    tmp_path: Path, redis: RedisServer, warm: WarmStart
) -> None:
    """As docs/operations.md says how: rewritten, and then `appendonlydir` as a whole, while the daemon runs."""
    there = tmp_path / "there"
    there.mkdir()
    with Daemon(tmp_path, redis=redis, warm=warm) as daemon:
        cast(daemon, ["v-1"])
        assert redis.ask("BGREWRITEAOF").startswith(b"+")
        until_sync(lambda: redis.told("aof_rewrite_in_progress") == "0", what="it is rewritten")
        assert redis.told("aof_last_bgrewrite_status") == "ok"
        facts = daemon.api().facts()
        copied = RedisServer(there / "copy")
        shutil.copytree(redis.folder / "appendonlydir", copied.folder / "appendonlydir")
    try:
        elsewhere = Daemon(there, redis=copied.start(), data=daemon.data, warm=warm)
        (told,) = elsewhere.verify()["desks"]
        assert (told["broken"], told["facts"] >= len(facts)) == (None, True)
        with elsewhere:
            assert elsewhere.api().facts()[: len(facts)] == facts
            assert elsewhere.api().visit("v-1") is not None
    finally:
        copied.kill()


def test_a_daemon_elsewhere_waits_for_the_lease_and_is_told_who_leads(
    tmp_path: Path, redis: RedisServer, warm: WarmStart
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Daemon(tmp_path, redis=redis, warm=warm) as first:
        second = Daemon(elsewhere, redis=redis)
        began = time.monotonic()
        said = run(second, "run", "--config", second.config)
        assert said.returncode == 3, said.stderr
        assert f"pid {first.pid}" in said.stderr
        assert DESK in said.stderr
        assert 8 < time.monotonic() - began < 40
        cast(first, ["v-1"])


def test_a_redis_that_would_lose_what_it_acknowledged_is_refused_at_the_start(tmp_path: Path) -> None:
    settings = {"appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"}
    with redis_server(tmp_path / "careless", **settings) as careless:
        daemon = Daemon(tmp_path, redis=careless)
        said = run(daemon, "run", "--config", daemon.config)
    assert said.returncode == 3
    assert "appendfsync is everysec, expected always" in said.stderr
    assert "maxmemory-policy is allkeys-lru, expected noeviction" in said.stderr


def test_a_setting_that_is_changed_while_it_runs_is_degraded_mode_until_it_is_put_right(
    tmp_path: Path, redis: RedisServer, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, redis=redis, phones=phones, warm=warm, overrides=CALM) as daemon:
        cast(daemon, ["v-1"])
        redis.set("appendfsync", "everysec")
        numbers = iter(range(10_000))

        def refused() -> bool:
            body = {"id": f"s-{next(numbers)}", "visit": "nobody's", "kind": "arrive", "at": rfc(now())}
            return daemon.api("intake").call("POST", "./checkins", body).status == 503

        until_sync(refused, 20, 0.1, what="the change is noticed")
        assert request(daemon.port, "GET", "/healthz").body["desks"][DESK]["degraded"] == "not_configured"
        redis.set("appendfsync", "always")
        daemon.wait_watching()
        assert daemon.api().metric("callwatch_degraded") == 0
        assert daemon.verify()["ok"] is True


@pytest.fixture
def phones() -> Iterator[Telephones]:
    with Telephones() as phones:
        yield phones
