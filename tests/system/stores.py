"""Which store the whole-system tests run on: CALLWATCH_TEST_STORE is `sqlite` (without a word) or `redis`.

Under `redis` every data folder has a redis-server of its own beside it, which outlives the daemons that are killed and
ends with the test module. What is of SQLite alone by its nature (its files, its locks, its disks) is marked so and not
collected then.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.redis_server import RedisServer

STORE_VARIABLE = "CALLWATCH_TEST_STORE"
_servers: dict[Path, RedisServer] = {}


def on_redis() -> bool:
    """Whether the tests run on Redis this time."""
    kind = os.environ.get(STORE_VARIABLE, "sqlite")
    assert kind in ("sqlite", "redis"), f"{STORE_VARIABLE}: expected sqlite or redis"
    return kind == "redis"


def server_of(data: Path) -> RedisServer:
    """The server of this data folder, running the first time."""
    if data not in _servers:
        _servers[data] = RedisServer(data.with_name(f"{data.name}-redis")).start()
    return _servers[data]


def end_servers() -> None:
    """All of them."""
    while _servers:
        _servers.popitem()[1].kill()
