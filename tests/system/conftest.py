"""The store under the whole-system tests: see tests/system/stores.py."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.journals import journals_below
from tests.system.daemon import WarmStart, left_of_day_s, warm_start
from tests.system.stores import (
    ONCE,
    SQLITE_ALONE,
    asked_for_a_server,
    end_servers,
    on_redis,
    unsaid,
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On Redis all is collected but what is marked; a mark without its reason ends the run."""
    wrong = {problem for item in items for problem in unsaid(item)}
    if wrong:
        raise pytest.UsageError("; ".join(sorted(wrong)))
    if not on_redis():
        return
    left = [item for item in items if item.get_closest_marker(SQLITE_ALONE) or item.get_closest_marker(ONCE)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


@pytest.fixture(autouse=True, scope="module")
def _the_store_is_the_one_that_was_asked_for(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """After each module: nothing ran on another store than this pass is about, and no mark is untrue."""
    base = tmp_path_factory.getbasetemp()
    before = set(base.iterdir())
    yield
    asked = asked_for_a_server()
    end_servers()
    items = [item for item in request.session.items if item.path == request.path]
    found = [
        str(path.relative_to(base)) for new in set(base.iterdir()) - before for path in journals_below(new)
    ]
    if on_redis():
        assert found == [], (
            "a journal of SQLite on the pass of Redis: use the server, or mark it sqlite_alone"
        )
        assert asked or not _whole(request.config), "it uses no store: mark it store_once"
    elif _whole(request.config) and all(item.get_closest_marker(ONCE) for item in items):
        assert found == [], "it is marked store_once and opens a store: it belongs into the pass of Redis too"


def _whole(config: pytest.Config) -> bool:
    """Whether modules are run as they are, and not single tests out of them."""
    chosen = ("keyword", "markexpr", "lf", "failedfirst", "deselect")
    return not any(config.getoption(name, None) for name in chosen) and not any(
        "::" in one for one in config.args
    )


LONGEST_TEST_S = 90.0


@pytest.fixture(autouse=True)
def _one_day_is_enough() -> None:
    """Today is one day for a whole test: what is told of tomorrow's visits is nothing once tomorrow has come."""
    if (left := left_of_day_s()) < LONGEST_TEST_S:
        time.sleep(left)


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmStart]:
    """A process that has imported the product: each daemon of the module is forked from it, and starts at once."""
    with warm_start() as started:
        yield started
