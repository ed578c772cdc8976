"""Which store the whole-system tests run on: CALLWATCH_TEST_STORE is `sqlite` (without a word) or `redis`.

Under `redis` every data folder has a redis-server of its own beside it, which outlives the daemons that are killed and
ends with the test module. Every test of this folder runs on both, but for two kinds that say why:

- `sqlite_alone(why, instead=…)`: of SQLite's own files, locks and disks. `instead` names what proves the same of
  Redis, a file or `file::test`; None where there is nothing to prove.
- `store_once(why)`: opens no store, brings the same one whatever was asked for, or is about pages alone, beside a test
  of its module that goes the same way on both. A second time proves nothing.

Neither is collected on Redis (never skipped and counted). `tests/system/conftest.py` holds it to be true.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.ports import Store
from connectors.redis_store import RedisStore, read_address
from connectors.sqlite_store import SqliteStore
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
STORE_VARIABLE = "CALLWATCH_TEST_STORE"
SQLITE_ALONE, ONCE = "sqlite_alone", "store_once"
_servers: dict[Path, RedisServer] = {}


def on_redis() -> bool:
    """Whether the tests run on Redis this time."""
    kind = os.environ.get(STORE_VARIABLE, "sqlite")
    assert kind in ("sqlite", "redis"), f"{STORE_VARIABLE}: expected sqlite or redis"
    return kind == "redis"


def server_of(data: Path, **settings: str) -> RedisServer:
    """The server of this data folder, running; started the first time, with these settings."""
    if data not in _servers:
        _servers[data] = RedisServer(data.with_name(f"{data.name}-redis"), **settings).start()
    return _servers[data]


def store_block(data: Path) -> str:
    """What a configuration says of its store, as TOML: nothing on SQLite."""
    return f'[store]\nurl = "{server_of(data).url}"\n' if on_redis() else ""


def store_in(folder: Path) -> Store:
    """The store of a data folder as a daemon would make it, for a test that has no daemon."""
    folder.mkdir(exist_ok=True)
    return RedisStore(read_address(server_of(folder).url), folder) if on_redis() else SqliteStore(folder)


def asked_for_a_server() -> bool:
    """Whether any is there since the last `end_servers`."""
    return bool(_servers)


def end_servers() -> None:
    """All of them."""
    while _servers:
        _servers.popitem()[1].kill()


# --- what the marks say ---


def unsaid(item: pytest.Item) -> Iterator[str]:
    """What is wrong with the marks of a test: no reason, or a counterpart that is not there."""
    for mark in item.iter_markers(ONCE):
        if len(mark.args) != 1 or mark.kwargs:
            yield f"{item.location[0]}: expected {ONCE}(why)"
    for mark in item.iter_markers(SQLITE_ALONE):
        if len(mark.args) != 1 or set(mark.kwargs) != {"instead"}:
            yield f"{item.location[0]}: expected {SQLITE_ALONE}(why, instead=…)"
        elif (named := mark.kwargs["instead"]) is not None and not _is_there(named):
            yield f"{item.location[0]}: there is no {named}"


def _is_there(named: str) -> bool:
    path, _, test = named.partition("::")
    return (ROOT / path).is_file() and (not test or f"def {test}(" in (ROOT / path).read_text())
