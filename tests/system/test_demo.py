"""The demo as a stranger meets it: one command, a live alert within a minute, Ctrl-C, and again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.stores import on_redis, server_of
from tests.waiting import until_sync

WITHOUT_MOSQUITTO = """
import sys
import connectors.embedded_broker as broker
broker._installed = lambda: ""
from monitor.__main__ import main
sys.exit(main())
"""
"""The same command on a machine where no mosquitto is installed."""

COMMANDS = {"mosquitto": ["-m", "monitor"], "iotcore": ["-c", WITHOUT_MOSQUITTO]}


class Demo:
    """A running demo in a session of its own, as a terminal gives it."""

    def __init__(self, broker: str, port: int, data: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            *COMMANDS[broker],
            "demo",
            "--listen",
            f"127.0.0.1:{port}",
            "--data",
            str(data),
        ]
        if on_redis():
            command += ["--store", server_of(data).url]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(self.url + path, timeout=15) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def metric(self, name: str) -> float:
        found = re.findall(rf"^{re.escape(name)}[^ ]* ([0-9.e+]+)$", self.get("/metrics"), re.MULTILINE)
        return sum(map(float, found))

    def ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(40)


@contextmanager
def demo(broker: str, port: int, data: Path) -> Iterator[Demo]:
    running = Demo(broker, port, data)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.communicate(timeout=30)


@pytest.mark.parametrize("broker", COMMANDS)
def test_a_live_alert_within_a_minute_then_ctrl_c_and_it_carries_on(
    broker: str, free_port: int, tmp_path: Path
) -> None:
    with demo(broker, free_port, tmp_path) as first:
        until_sync(lambda: '"ready":true' in first.get("/healthz"), timeout=60)
        until_sync(
            lambda: first.metric('callwatch_checkins_total{desk="bright",outcome="arrived"') > 5, timeout=60
        )
        until_sync(
            lambda: first.metric('callwatch_alerts_open{desk="bright",kind="late_visit"}') >= 1, timeout=90
        )
        assert "Bright Care" in first.get("/board/bright")
        until_sync(lambda: first.metric("callwatch_messages_total") >= 2, timeout=30)
        assert first.ctrl_c() == 0
        seq = first.process.communicate(timeout=30)
        assert "carries on" in seq[0]
    with demo(broker, free_port, tmp_path) as again:
        until_sync(lambda: '"ready":true' in again.get("/healthz"), timeout=60)
        # the day is the same, with its alert; nothing is laid on twice
        assert again.metric('callwatch_alerts_open{desk="bright",kind="late_visit"}') >= 1
        assert 250 < again.metric("callwatch_visits") <= 320
        assert again.ctrl_c() == 0
