"""Bodies that could not be read, put aside for a person: bounded, counted, never in a log (devices.md, "Trust")."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from pathlib import Path

import structlog

from connectors.ports import Reason

log = structlog.get_logger("quarantine")

MOST_BYTES = 64 << 20
KEEP_S = 30 * 86_400
PER_SOURCE_PER_MINUTE = 600
KEPT_OF_ONE = 64 << 10


class Quarantine:
    """One file a body in the data folder, oldest thrown away first. A flood keeps its count and loses its bodies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._recent: dict[str, deque[float]] = {}
        self._lock = asyncio.Lock()

    async def put(self, source: str, reason: Reason, raw: bytes, desk: str | None) -> bool:
        """Keep the body (its first 64 KiB); False when the source has had its share of this minute, or the disk
        does not take it: a body that nobody can read must not stop the ones that can be read."""
        if not self._room(source):
            return False
        self._count += 1
        name = f"{time.time_ns():020d}-{self._count}-{source}-{reason}-{desk or 'none'}"
        async with self._lock:
            try:
                await asyncio.to_thread(self._write, name, raw[:KEPT_OF_ONE])
            except OSError as error:
                log.warning("quarantine cannot be written", error=type(error).__name__)
                return False
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
        (self._folder / name).write_bytes(body)
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
