"""The daemon as a service of systemd: what it says on NOTIFY_SOCKET, and whether the unit is one, and hard."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Settings
from monitor.notify import Notify
from tests.system.broker import Mosquitto
from tests.system.daemon import (
    ROOT,
    Daemon,
    Telephones,
    care_worker,
    in_s,
    request,
    service_user,
    staff,
    visit,
)
from tests.system.disks import not_permitted
from tests.waiting import until_sync

UNIT = ROOT / "config" / "systemd" / "callwatch.service"
ANALYZE = shutil.which("systemd-analyze") or "/usr/bin/systemd-analyze"
MOST_EXPOSURE = 20
"""Tenths of what `systemd-analyze security` calls the exposure; 20 is 2.0, OK."""
WATCHDOG_S = 1.0
BLOCKS = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))
"""
"""A loop that hangs: the handler runs in the loop's own thread and does not return."""
DENY = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"""
"""MemoryDenyWriteExecute= by the kernel's own means: no memory becomes executable that was ever writable."""


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wire.bind("\0" + address[1:] if address.startswith("@") else address)

    def hears(self, timeout: float) -> list[str]:
        """The lines of the next message; none when nothing comes in time."""
        self._wire.settimeout(timeout)
        try:
            return self._wire.recv(4096).decode().splitlines()
        except TimeoutError:
            return []

    def close(self) -> None:
        self._wire.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    # a path under pytest's own folder may be longer than a socket's may be
    with tempfile.TemporaryDirectory(prefix="cw") as folder:
        one = Manager(f"{folder}/notify")
        yield one
        one.close()


def blocked(daemon: Daemon) -> bool:
    try:
        request(daemon.port, "GET", "/readyz", timeout_s=0.5)
    except OSError:
        return True
    return False


def test_it_says_ready_when_it_watches_alive_while_the_loop_turns_and_nothing_when_it_hangs(
    tmp_path: Path, manager: Manager
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKS)
    env = {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
    }
    daemon = Daemon(tmp_path, env=env)
    with daemon:
        assert "READY=1" in manager.hears(10)
        for _ in range(3):
            assert manager.hears(10) == ["WATCHDOG=1"]
        daemon.send(signal.SIGUSR1)
        until_sync(lambda: blocked(daemon), what="the loop hangs")
        # what was said before it hung may still lie in the socket
        until_sync(lambda: manager.hears(2 * WATCHDOG_S) == [], what="two periods without a word")


def test_it_says_that_it_stops_and_asked_for_no_watchdog_says_nothing_of_it(
    tmp_path: Path, manager: Manager
) -> None:
    daemon = Daemon(tmp_path, env={"NOTIFY_SOCKET": manager.address})
    with daemon:
        assert "READY=1" in manager.hears(10)
        assert daemon.stop() == 0
        assert "STOPPING=1" in manager.hears(10)
        assert manager.hears(0.001) == []


def test_a_broker_that_is_not_there_keeps_it_from_saying_ready(tmp_path: Path, manager: Manager) -> None:
    broker = Mosquitto(tmp_path)
    daemon = Daemon(tmp_path, broker=broker, env={"NOTIFY_SOCKET": manager.address})
    daemon.start(watching=False)
    try:
        assert manager.hears(1.0) == []
        with broker:
            assert "READY=1" in manager.hears(20)
    finally:
        daemon.kill()


def test_a_name_of_the_abstract_name_space_is_understood() -> None:
    manager = Manager(f"@callwatch-test-{os.getpid()}")
    Notify({"NOTIFY_SOCKET": manager.address}, 1).ready()
    assert "READY=1" in manager.hears(1)
    manager.close()


@pytest.mark.parametrize(
    ("environ", "every_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000"}, 1.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 1.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_period_is_the_managers_and_meant_for_us(
    environ: dict[str, str], every_s: float | None
) -> None:
    assert Notify(environ, 7).alive_every_s == every_s


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1"}, 7)
    notify.ready()
    notify.alive()


# --- the unit ---


def unit() -> configparser.SectionProxy:
    read = configparser.ConfigParser(interpolation=None, strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(UNIT.read_text())
    return read["Service"]


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ANALYZE, "--no-pager", *words], capture_output=True, text=True, timeout=30, check=False
    )


def test_systemd_takes_the_unit_without_a_word(tmp_path: Path) -> None:
    copy = tmp_path / "callwatch.service"
    text = UNIT.read_text()
    assert "/opt/callwatch/bin/callwatch" in text
    copy.write_text(text.replace("/opt/callwatch/bin/callwatch", sys.executable))
    done = analyze("verify", "--man=no", "--recursive-errors=no", copy)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_hard() -> None:
    done = analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSURE}", UNIT)
    assert done.returncode == 0, done.stdout[-400:]


def test_a_unit_without_its_walls_would_be_noticed(tmp_path: Path) -> None:
    soft = tmp_path / "callwatch.service"
    lines = UNIT.read_text().splitlines(keepends=True)
    soft.write_text(
        "".join(line for line in lines if not line.startswith(("Protect", "Restrict", "SystemCall")))
    )
    done = analyze("security", "--offline=yes", f"--threshold={MOST_EXPOSURE}", soft)
    assert done.returncode != 0


def test_the_unit_gives_more_time_than_the_daemon_takes() -> None:
    service = unit()
    drain_s = Settings.model_fields["drain_s"].default
    assert float(service["TimeoutStopSec"]) > drain_s
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert service["Environment"] == "CALLWATCH_DATA_DIR=%S/callwatch"
    assert service["StateDirectory"] == "callwatch"


def test_no_memory_of_the_daemon_needs_to_be_written_and_executed(tmp_path: Path) -> None:
    can = subprocess.run(
        [sys.executable, "-c", DENY, sys.executable, "-c", ""], capture_output=True, timeout=30, check=False
    )
    if can.returncode:
        not_permitted(can.stderr.decode())
    prefix = [sys.executable, "-c", DENY]
    with Mosquitto(tmp_path) as broker, Telephones() as phones:
        daemon = Daemon(tmp_path, broker=broker, phones=phones, prefix=prefix, overrides={"late_after": "1s"})
        with daemon:
            daemon.api("intake").people(service_user(), care_worker(), staff())
            daemon.api("intake").rota(visit("v-1", in_s(-5)))
            daemon.api("office").alert("v-1")
            assert daemon.stop() == 0
