"""A real Prometheus on a free port in a folder of its own, that scrapes a daemon each second with the shipped rules."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from tests.ports import free_port
from tests.system.broker import LOOPBACK, accepts
from tests.system.daemon import Daemon, request
from tests.waiting import until_sync

SHIPPED = Path(__file__).parents[2] / "config" / "prometheus"
PROMETHEUS = shutil.which("prometheus") or "/usr/bin/prometheus"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: callwatch
    static_configs: [{{targets: ["{target}"]}}]
"""


def hurried(rules: str) -> str:
    """The shipped rules with their waits shortened; the expressions stay as they are."""
    return re.sub(r"^( +)(for|interval): \S+$", r"\1\2: 1s", rules, flags=re.MULTILINE)


class Prometheus:
    """Scrapes one daemon. Ask it with `values`, `series` and `firing`."""

    def __init__(self, folder: Path, daemon: Daemon) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        (folder / "prometheus.yml").write_text(CONFIG.format(target=f"{LOOPBACK}:{daemon.port}"))
        (folder / "rules.yml").write_text(hurried((SHIPPED / "callwatch.rules.yml").read_text()))

    def _ask(self, path: str) -> Any:
        answer = request(self.port, "GET", f"/api/v1/{path}")
        assert answer.status == 200, (path, answer)
        assert answer.body["status"] == "success", answer
        return answer.body["data"]

    def series(self, query: str) -> list[dict[str, Any]]:
        """What an instant query gives; a number that is none counts as nothing. Raises AssertionError: not parsed."""
        found = self._ask(f"query?query={quote(query)}")["result"]
        return [one for one in found if not math.isnan(float(one["value"][1]))]

    def values(self, query: str) -> list[float]:
        """The numbers alone."""
        return [float(one["value"][1]) for one in self.series(query)]

    def label_values(self, label: str, metric: str) -> list[str]:
        """What a variable of the dashboard offers."""
        found = self._ask(f"label/{label}/values?match[]={quote(metric)}")
        assert isinstance(found, list)
        return found

    def firing(self) -> dict[str, str]:
        """The alerts that fire now, with their summaries as a person would read them."""
        alerts = self._ask("alerts")["alerts"]
        return {
            one["labels"]["alertname"]: one["annotations"]["summary"]
            for one in alerts
            if one["state"] == "firing"
        }

    def fires(self, name: str, timeout: float = 40.0) -> str:
        """Wait until the alert fires; its summary."""
        until_sync(lambda: name in self.firing(), timeout, 0.1, f"{name} fires")
        return self.firing()[name]

    def clears(self, name: str, timeout: float = 40.0) -> None:
        """Wait until it does not fire any more."""
        until_sync(lambda: name not in self.firing(), timeout, 0.1, f"{name} clears")

    def scraped_again(self) -> None:
        """Return when a scrape that began after now is in."""
        before = self.values('timestamp(up{job="callwatch"})')
        last = before[0] if before else 0.0
        # the one under way now may have begun before what the caller did
        until_sync(
            lambda: any(at > last + 1.5 for at in self.values('timestamp(up{job="callwatch"} == 1)')),
            what="two more scrapes",
        )

    def __enter__(self) -> Prometheus:
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    PROMETHEUS,
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address={LOOPBACK}:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )
        until_sync(lambda: accepts(self.port), what="Prometheus listens")
        until_sync(lambda: request(self.port, "GET", "/-/ready").status == 200, what="Prometheus is ready")
        until_sync(lambda: self.values('up{job="callwatch"} == 1'), what="the daemon is scraped")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)


def dashboard() -> dict[str, Any]:
    """The shipped one."""
    found = json.loads((SHIPPED.parent / "grafana" / "callwatch.json").read_text())
    assert isinstance(found, dict)
    return found
