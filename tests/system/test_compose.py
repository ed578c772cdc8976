"""compose.yaml without an engine: what it mounts is there, and is what real servers and our own check accept."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from config.load import load
from config.settings import Settings
from tests.ports import free_port
from tests.system.broker import LOOPBACK, MOSQUITTO, accepts
from tests.system.daemon import ROOT, Daemon
from tests.waiting import until_sync

pytestmark = pytest.mark.store_once("its daemon is on the Redis of compose.yaml whatever was asked for")

HOST = "watch.example.org"
REDIS = shutil.which("redis-server") or "/usr/bin/redis-server"
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+(-[a-z]+)?")
PUBLIC = {"8883:8883"}
"""What phones speak to; all else is on loopback."""
SHORT_LIVED = {"mosquitto-folder"}


def compose() -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(found, dict)
    return found


def services() -> dict[str, dict[str, Any]]:
    found = compose()["services"]
    assert isinstance(found, dict)
    return found


def init(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "script" / "compose_init.py", "--folder", folder, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "deploy"
    done = init(folder, "--host", HOST)
    assert done.returncode == 0, done.stderr
    return folder


def on_host(source: str, deploy: Path) -> Path:
    """A path of compose.yaml, with what compose-init writes where this test had it written."""
    if source.startswith("./deploy/"):
        return deploy / source.removeprefix("./deploy/")
    return ROOT / source


def secret_mounts(service: dict[str, Any]) -> dict[str, str]:
    """Where each secret stands inside, and its file."""
    files = compose()["secrets"]
    mounts = {}
    for secret in service.get("secrets", []):
        source = secret if isinstance(secret, str) else secret["source"]
        target = source if isinstance(secret, str) else secret["target"]
        mounts[target if target.startswith("/") else f"/run/secrets/{target}"] = files[source]["file"]
    return mounts


def mounts(service: dict[str, Any], deploy: Path) -> dict[str, Path]:
    """Inside to outside, for everything that is a file or a folder of ours."""
    found = dict(secret_mounts(service))
    for volume in service.get("volumes", []):
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            found[target] = source
    return {target: on_host(source, deploy) for target, source in found.items()}


def with_paths(text: str, service: dict[str, Any], deploy: Path) -> str:
    """A configuration with its paths inside the container replaced by where the same files are here."""
    for inside, outside in sorted(mounts(service, deploy).items(), reverse=True):
        text = text.replace(inside, str(outside))
    return text


# --- the file ---


def test_each_image_is_pinned_and_each_service_is_hard_comes_back_and_tells_how_it_is() -> None:
    for name, service in services().items():
        assert PINNED.fullmatch(service["image"]), name
        assert service["cap_drop"] == ["ALL"], name
        if name in SHORT_LIVED:
            continue
        assert service["restart"] == "always", name
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        own = "HEALTHCHECK" in (ROOT / "Dockerfile").read_text() if name == "callwatch" else False
        assert own or service["healthcheck"]["test"], name


def test_only_the_broker_can_be_reached_from_outside() -> None:
    ports = {port for service in services().values() for port in service.get("ports", [])}
    assert {port for port in ports if not port.startswith("127.0.0.1:")} == PUBLIC
    networks = {name: set(service.get("networks", [])) for name, service in services().items()}
    assert networks["redis"] == {"store"}
    assert compose()["networks"]["store"] == {"internal": True}
    assert {name for name, into in networks.items() if "store" in into} == {"redis", "callwatch"}


def test_every_file_that_is_mounted_is_there_and_everything_that_is_named_is_defined(deploy: Path) -> None:
    whole = compose()
    used: dict[str, set[str]] = {"networks": set(), "volumes": set(), "secrets": set()}
    for name, service in services().items():
        for inside, outside in mounts(service, deploy).items():
            assert outside.exists(), f"{name}: {inside}"
        used["networks"] |= set(service.get("networks", []))
        named = [volume.split(":")[0] for volume in service.get("volumes", [])]
        used["volumes"] |= {source for source in named if not source.startswith(".")}
        sources = [one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])]
        used["secrets"] |= set(sources)
        assert set(service.get("depends_on", {})) <= set(services())
    assert used == {kind: set(whole[kind]) for kind in used}
    assert {path.name for path in (deploy / "secrets").iterdir()} == used["secrets"]


def test_the_daemon_is_given_the_time_that_it_takes() -> None:
    grace = services()["callwatch"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > Settings.model_fields["drain_s"].default


def test_prometheus_asks_callwatch_under_its_name_with_its_secret() -> None:
    (job,) = yaml.safe_load((ROOT / "config/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["callwatch:8080"]}]
    assert job["authorization"]["credentials_file"] in secret_mounts(services()["prometheus"])
    source = yaml.safe_load((ROOT / "config/grafana/provisioning/datasources/callwatch.yml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    (board,) = [path for path in mounts(services()["grafana"], ROOT) if path.endswith(".json")]
    provider = yaml.safe_load((ROOT / "config/grafana/provisioning/dashboards/callwatch.yml").read_text())
    assert str(Path(board).parent) == provider["providers"][0]["options"]["path"]


# --- what compose-init writes ---


def test_a_second_run_changes_nothing(deploy: Path) -> None:
    before = {path: path.read_bytes() for path in deploy.rglob("*") if path.is_file()}
    done = init(deploy, "--host", "another.example.org")
    assert (done.returncode, "nothing new" in done.stdout) == (0, True), done.stdout
    assert {path: path.read_bytes() for path in deploy.rglob("*") if path.is_file()} == before


def test_no_secret_can_be_read_by_whoever_has_an_account_here(deploy: Path) -> None:
    assert (deploy / "secrets").stat().st_mode & 0o077 == 0
    assert "/deploy/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", ["u17/phone", "a+b", "#", "callwatch", ""])
def test_a_device_whose_name_would_open_another_ones_topics_is_refused(deploy: Path, name: str) -> None:
    assert init(deploy, "--device", name).returncode == 2


# --- the configurations, as real programs see them ---


def test_the_configuration_has_no_error_and_warns_of_nothing_but_the_network_of_two(deploy: Path) -> None:
    text = with_paths((deploy / "callwatch.toml").read_text(), services()["callwatch"], deploy)
    file = deploy.parent / "checked.toml"
    file.write_text(text)
    loaded = load(file, {})
    assert [problem for problem in loaded.problems if problem.severity == "error"] == []
    assert {(problem.path, problem.code) for problem in loaded.warnings} == {("store.url", "plain_text")}
    assert loaded.settings is not None
    assert loaded.settings.http.listen == "0.0.0.0:8080"


class Broker:
    """The broker as compose starts it, with what it mounts; its port and its account are this test's."""

    def __init__(self, folder: Path, deploy: Path) -> None:
        self.port, service = free_port(), services()["mosquitto"]
        mounted = mounts(service, deploy)
        (conf,) = [word for word in service["command"] if word.startswith("/")]
        text = with_paths(mounted[conf].read_text(), service, deploy)
        text = re.sub(r"^listener 8883$", f"listener {self.port} {LOOPBACK}", text, flags=re.MULTILINE)
        text = text.replace("/var/lib/mosquitto/", f"{folder}/\nuser root")
        assert str(self.port) in text
        self.conf = folder / "mosquitto.conf"
        self.conf.write_text(text)

    @contextmanager
    def running(self) -> Iterator[Broker]:
        process = subprocess.Popen([MOSQUITTO, "-c", str(self.conf)], stderr=subprocess.DEVNULL)
        try:
            until_sync(lambda: accepts(self.port), what="mosquitto listens")
            yield self
        finally:
            process.terminate()
            process.wait(30)


def signed_in(broker: Broker, deploy: Path, name: str | None, secret: str) -> tuple[paho.Client, list[str]]:
    """A client over TLS, and how the broker greeted it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    greeted: list[str] = []
    client.on_connect = lambda *said: greeted.append(str(said[3]))
    if name is not None:
        client.username_pw_set(name, secret)
    client.tls_set(str(deploy / "secrets" / "broker_ca"), tls_version=ssl.PROTOCOL_TLS_CLIENT)
    client.connect("localhost", broker.port)
    client.loop_start()
    until_sync(lambda: greeted, what="the broker greets")
    return client, greeted


@pytest.fixture(scope="module")
def broker(deploy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("mosquitto"), deploy).running() as one:
        yield one


def test_the_broker_starts_with_what_it_is_given_and_its_rules_hold(deploy: Path, tmp_path: Path) -> None:
    added = init(deploy, "--device", "phone-17")
    assert added.returncode == 0, added.stderr
    with Broker(tmp_path, deploy).running() as broker:
        ours = (deploy / "secrets" / "mqtt_password").read_text().strip()
        callwatch, greeted = signed_in(broker, deploy, "callwatch", ours)
        assert greeted == ["Success"]
        heard: list[str] = []
        subscribed = threading.Event()
        callwatch.on_message = lambda _c, _u, message: heard.append(message.topic)
        callwatch.on_subscribe = lambda *_: subscribed.set()
        callwatch.subscribe("callwatch/+/+/checkin", 1)
        assert subscribed.wait(30)
        phone, greeted = signed_in(broker, deploy, "phone-17", added.stdout.strip())
        assert greeted == ["Success"]
        for device in ("phone-18", "phone-17"):
            # a broker may drop who says what it may not: the client comes back by itself
            until_sync(phone.is_connected, what="the phone is connected")
            phone.publish(f"callwatch/first/{device}/checkin", b"{}", 1)
        until_sync(lambda: heard, what="the phone's own check-in")
        assert heard == ["callwatch/first/phone-17/checkin"]
        nobody, greeted = signed_in(broker, deploy, None, "")
        assert greeted == ["Not authorized"]
        for client in (callwatch, phone, nobody):
            client.disconnect()
            client.loop_stop()


@pytest.fixture(scope="module")
def store(deploy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real redis-server with what compose gives it; its port."""
    folder, service, port = tmp_path_factory.mktemp("redis"), services()["redis"], free_port()
    text = with_paths(mounts(service, deploy)[service["command"][1]].read_text(), service, deploy)
    text = text.replace("dir /data", f"dir {folder}").replace("bind * -::*", f"bind {LOOPBACK}\nport {port}")
    (folder / "redis.conf").write_text(text)
    process = subprocess.Popen([REDIS, str(folder / "redis.conf")], stdout=subprocess.DEVNULL)
    try:
        until_sync(lambda: accepts(port), what="redis listens")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def redis_cli(port: int, *words: str) -> str:
    done = subprocess.run(
        ["redis-cli", "-p", str(port), "--no-auth-warning", *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


def test_redis_takes_its_options_lets_callwatch_in_and_nobody_else(deploy: Path, store: int) -> None:
    us = ("--user", "callwatch", "--pass", (deploy / "secrets" / "redis_password").read_text().strip())
    for option, value in (
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("maxmemory-policy", "noeviction"),
    ):
        assert redis_cli(store, *us, "CONFIG", "GET", option).split() == [option, value]
    assert "NOPERM" in redis_cli(store, *us, "FLUSHALL")
    assert "NOPERM" in redis_cli(store, *us, "CONFIG", "SET", "appendfsync", "no")
    assert "NOAUTH" in redis_cli(store, "PING")
    health = services()["redis"]["healthcheck"]["test"]
    assert health[0] == "CMD-SHELL"
    asked = health[1].replace("redis-cli", f"redis-cli -p {store}")
    assert subprocess.run(["sh", "-c", asked], timeout=30, check=False).returncode == 0
    gone = health[1].replace("redis-cli", f"redis-cli -p {free_port()}")
    assert (
        subprocess.run(["sh", "-c", gone], stderr=subprocess.DEVNULL, timeout=30, check=False).returncode != 0
    )


def test_callwatch_runs_with_the_written_configuration_over_that_broker_and_that_store(
    deploy: Path, broker: Broker, store: int, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path)
    text = with_paths((deploy / "callwatch.toml").read_text(), services()["callwatch"], deploy)
    here = {
        "/var/lib/callwatch": str(tmp_path / "data"),
        "@redis:6379": f"@{LOOPBACK}:{store}",
        "mosquitto:8883": f"localhost:{broker.port}",
        "0.0.0.0:8080": f"{LOOPBACK}:{daemon.port}",
    }
    for was, becomes in here.items():
        assert was in text, was
        text = text.replace(was, becomes)
    daemon.config.write_text(text)
    for _ in ("a new journal", "one that is there"):
        with daemon:
            health = daemon.api("operator").get("/healthz")
            assert (health["status"], health["ready"], health["feeds"]) == ("ok", True, {"mqtt": "drained"})
            assert health["desks"]["first"]["seq"] > 0
            assert daemon.stop() == 0
