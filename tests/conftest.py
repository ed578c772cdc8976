"""What every test shares: in CI a skipped test is a failure, and a free port is a free port."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.ports import free_port


def _skipped(config: pytest.Config) -> list[Any]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return [] if reporter is None else list(reporter.stats.get("skipped", ()))


def _counts_skips(config: pytest.Config) -> bool:
    return bool(os.environ.get("CI")) and not hasattr(config, "workerinput")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A check that was not made is not a check that passed: under CI any skip fails the run."""
    if exitstatus == pytest.ExitCode.OK and _counts_skips(session.config) and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say why the run failed although no test did."""
    if _counts_skips(config) and _skipped(config):
        terminalreporter.write_line("CI is set and tests were skipped: in CI nothing is skipped", red=True)


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    return free_port()
