"""A watched folder, which may be a network share that hangs: every call is made in a thread that nobody waits for
longer than the feed's time-out, and a second one is not begun while the first one hangs."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from connectors.fetch import SETTLE_S, Look, Mark, Seen, look_through
from connectors.ports import EdgeError

T = TypeVar("T")


class Detached:
    """Runs blocking calls, one at a time, in threads that do not keep the process alive."""

    def __init__(self, name: str, timeout_s: float) -> None:
        self._name, self._timeout_s = name, timeout_s
        self._thread: threading.Thread | None = None
        self._finished = threading.Event()
        self._finished.set()

    async def run(self, work: Callable[[], T]) -> T:
        """The result. Raises EdgeError(timeout) when it hangs, or when an earlier call still does."""
        if not self._finished.is_set():
            raise EdgeError("timeout", "an earlier call to the folder still hangs")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._finished = threading.Event()
        args = (work, done, loop, self._finished)
        self._thread = threading.Thread(target=_into, args=args, name=f"folder:{self._name}", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await done
        except TimeoutError as error:
            raise EdgeError("timeout", "the folder does not answer") from error

    async def ended(self, within_s: float) -> None:
        """The last thread has ended, or has been given the time to."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            await asyncio.to_thread(thread.join, within_s)


def _into(
    work: Callable[[], T],
    done: asyncio.Future[T],
    loop: asyncio.AbstractEventLoop,
    finished: threading.Event,
) -> None:
    """Do it and tell the loop, if anybody still waits there."""
    result: T | None = None
    failure: BaseException | None = None
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
        failure = error
    finished.set()

    def tell() -> None:
        if done.done():
            return
        if failure is not None:
            done.set_exception(failure)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        return  # the loop has ended: nobody is there to be told


class Folder:
    """`connectors.fetch.Place` of a local path."""

    def __init__(self, path: Path, detached: Detached) -> None:
        self._path, self._detached = path, detached

    async def scan(self) -> dict[str, Mark]:
        """Every plain file in it; no folder below, no link."""
        try:
            return await self._detached.run(self._scan)
        except OSError as error:
            raise EdgeError("unreachable", "the folder cannot be read") from error

    def _scan(self) -> dict[str, Mark]:
        marks = {}
        with os.scandir(self._path) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    marks[entry.name] = _mark(found)
        return marks

    async def read(self, name: str, most: int) -> tuple[bytes, Mark]:
        """Its bytes. EdgeError is permanent when it has gone."""
        try:
            return await self._detached.run(lambda: self._read(name, most))
        except FileNotFoundError as error:
            raise EdgeError("refused", "the file has gone", permanent=True) from error
        except OSError as error:
            raise EdgeError("refused", "a file in the folder cannot be read") from error

    def _read(self, name: str, most: int) -> tuple[bytes, Mark]:
        with open(self._path / name, "rb") as file:
            body = file.read(most)
            return body, _mark(os.fstat(file.fileno()))


def _mark(found: os.stat_result) -> Mark:
    return Mark(found.st_size, found.st_mtime_ns, found.st_ino)


class FolderFetcher:
    """`connectors.fetch.Fetcher` of a watched folder."""

    def __init__(
        self,
        name: str,
        path: str,
        pattern: str,
        *,
        most_bytes: int,
        timeout_s: float,
        every_s: float,
        now: Callable[[], datetime],
    ) -> None:
        self._detached = Detached(name, timeout_s)
        self._place = Folder(Path(path), self._detached)
        self._pattern, self._most_bytes, self._now = pattern, most_bytes, now
        self._settle_s = min(SETTLE_S, every_s)

    async def look(self, seen: Seen) -> Look:
        """What is new in the folder. Raises EdgeError: it is not there, cannot be read, or hangs."""
        return await look_through(
            self._place,
            seen,
            pattern=self._pattern,
            most_bytes=self._most_bytes,
            settle_s=self._settle_s,
            now=self._now(),
        )

    async def close(self) -> None:
        """A thread that hangs is left behind: it keeps nothing alive."""
        await self._detached.ended(0.5)
