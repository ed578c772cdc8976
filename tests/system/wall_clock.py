"""A wall clock that a test sets while the daemon runs: libfaketime's.

It is a number of seconds in a file, read again at every look at the clock; `time.monotonic` stays true, as on a machine
whose clock is set. libfaketime 0.9.10 refuses a sleep until a moment of the monotonic clock (EINVAL), which is how
Python 3.11 sleeps in a thread; so the process gets a `sitecustomize` in which `time.sleep` waits on a lock instead.
Nothing else is changed: uvloop, APScheduler, SQLite and the libraries see this clock as they would see the machine's.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from tests.system.daemon import ROOT, now

SLEEP = """
import threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds) and None
"""


def libfaketime() -> Path:
    """Debian's and Ubuntu's, whatever the machine is. A missing one fails: it is a part of the tests."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    assert found, "libfaketime is not installed (apt-get install libfaketime)"
    return found[0]


class WallClock:
    """What the daemon's machine shows. It goes on at the pace of ours, and can be set."""

    def __init__(self, folder: Path) -> None:
        self._file, self._folder = folder / "clock", folder / "site"
        self._folder.mkdir()
        (self._folder / "sitecustomize.py").write_text(SLEEP)
        self.offset = timedelta()
        self._write()

    @property
    def env(self) -> dict[str, str]:
        """For the process that is to see it."""
        return {
            "LD_PRELOAD": str(libfaketime()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": f"{self._folder}:{ROOT}",
            "TZ": "UTC",
        }

    def is_right(self) -> None:
        """Like ours again."""
        self.offset = timedelta()
        self._write()

    def now(self) -> datetime:
        """What it shows."""
        return now() + self.offset

    def set(self, at: datetime) -> None:
        """Somebody sets it, or the network does."""
        self.step((at - self.now()).total_seconds())

    def step(self, seconds: float) -> None:
        """Set it forward, or back."""
        self.offset += timedelta(seconds=seconds)
        self._write()

    def creep(self, at: datetime) -> None:
        """Set it to a moment that is so near that nobody would doubt a clock for it (below 30 s)."""
        ahead_s = (at - self.now()).total_seconds()
        assert 0 < ahead_s < 29, f"the daemon took too long to start: {ahead_s} s are left"
        self.step(ahead_s)

    def _write(self) -> None:
        # whole or not at all: the daemon reads it at any moment
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self.offset.total_seconds():+.6f}")
        os.replace(fresh, self._file)
