"""Bodies that could not be read, put aside for a person: bounded, counted, never in a log (devices.md, "Trust")."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import deque
from pathlib import Path

from connectors.ports import Degraded, EdgeError, Reason

MOST_BYTES = 64 << 20
KEEP_S = 30 * 86_400
PER_SOURCE_PER_MINUTE = 600
KEPT_OF_ONE = 64 << 10


_DISK: dict[int | None, Reason] = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EIO: "unreachable",
}
"""What passes when the disk is back; anything else is a folder that somebody must mend."""


class Quarantine:
    """One file a body in the data folder, oldest thrown away first. A flood keeps its count and loses its bodies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._recent: dict[str, deque[float]] = {}
        self._lock = asyncio.Lock()

    async def put(self, source: str, reason: Reason, raw: bytes, desk: str | None) -> bool:
        """On disk when it returns True: the body, or its first 64 KiB. False: the source has had its share of this
        minute, and the body is lost; never for a check-in on which the core failed.

        Raises Degraded while the disk takes nothing (the sender must keep it), EdgeError for a folder that cannot
        be written at all.
        """
        if reason != "decide_failed" and not self._room(source):
            return False
        self._count += 1
        name = f"{time.time_ns():020d}-{self._count}-{source}-{reason}-{desk or 'none'}"
        async with self._lock:
            try:
                await asyncio.to_thread(self._write, name, raw[:KEPT_OF_ONE])
            except OSError as error:
                raise _edge_error(error) from error
        return True

    def _room(self, source: str) -> bool:
        now = time.monotonic()
        recent = self._recent.setdefault(source, deque())
        while recent and now - recent[0] > 60:
            recent.popleft()
        if len(recent) >= PER_SOURCE_PER_MINUTE:
            return False
        recent.append(now)
        return True

    def _write(self, name: str, body: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / name
        try:
            _write_through(path, body)
        except OSError:
            path.unlink(missing_ok=True)  # the half that the disk took helps nobody
            raise
        _sync_folder(self._folder)
        if self._count % 50 == 1:
            self._tidy()

    def _tidy(self) -> None:
        files = sorted(self._folder.iterdir())
        total = sum(file.stat().st_size for file in files)
        oldest = time.time() - KEEP_S
        for file in files:
            size = file.stat()
            if total <= MOST_BYTES and size.st_mtime > oldest:
                break
            total -= size.st_size
            file.unlink()


def _write_through(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """The name of a new file is on disk only with its folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _edge_error(error: OSError) -> EdgeError:
    reason = _DISK.get(error.errno)
    if reason is not None:
        return Degraded(reason, "the quarantine cannot be written")
    return EdgeError("other", "the quarantine folder cannot be written")
