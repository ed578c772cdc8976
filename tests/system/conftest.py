"""The store under the whole-system tests: see tests/system/stores.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.stores import end_servers, on_redis


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is of SQLite alone is not collected when the tests run on Redis: it is no test of it."""
    if not on_redis():
        return
    alone = [item for item in items if item.get_closest_marker("sqlite_alone")]
    if alone:
        config.hook.pytest_deselected(items=alone)
        items[:] = [item for item in items if item not in alone]


@pytest.fixture(autouse=True, scope="module")
def _servers_end_with_their_module() -> Iterator[None]:
    yield
    end_servers()
