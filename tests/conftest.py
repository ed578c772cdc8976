"""What every test shares: in CI a skipped test is a failure, a free port is free, a store is opened where all are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journals import journals_below
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


STORES = (Path(__file__).parent / "system", Path(__file__).parent / "contract")
"""Where a store is opened: the first runs once on each, the second holds them all."""


@pytest.fixture(autouse=True, scope="module")
def _a_store_is_opened_where_both_are(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """A daemon over SQLite elsewhere would be a test that never runs on Redis."""
    base = tmp_path_factory.getbasetemp()
    before = set(base.iterdir())
    yield
    if not any(folder in request.path.parents for folder in STORES):
        found = [str(path) for new in set(base.iterdir()) - before for path in journals_below(new)]
        assert found == [], "a test that opens a store belongs into tests/system or tests/contract"


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    return free_port()
