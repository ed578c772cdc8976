"""What writes to Redis: one connection, everything that waits goes out together, one fsync of the server for all.

Redis runs what came in together and syncs its append-only file once before it answers: 4,000 appends a second one by
one, many times that in groups (docs/decisions/0009-redis-store.md). Each is judged by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from redis import exceptions as errors

from connectors.ports import EdgeError, StoreUnavailable
from connectors.redis_link import Command, Line, edge_error, ended, unavailable

GROUP_VALUES = 20_000
"""Values after which a group is closed: bounds how long the server is busy with one of ours to some 50 ms."""


class Script(Struct, frozen=True):
    """A function in Lua that the server keeps, until it forgets it."""

    text: bytes
    digest: str


def _script(name: str) -> Script:
    text = Path(__file__).with_name("redis_lua").joinpath(f"{name}.lua").read_bytes()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


APPEND, LEAD, RENEW, SNAPSHOT = (_script(name) for name in ("append", "lead", "renew", "snapshot"))
SCRIPTS = (APPEND, LEAD, RENEW, SNAPSHOT)


def call(script: Script, keys: Sequence[str], values: Sequence[str | bytes | int]) -> Command:
    """The command that runs it."""
    return ("EVALSHA", script.digest, len(keys), *keys, *values)


class _Job(Struct, eq=False):
    command: Command
    future: asyncio.Future[Any]


class Writer:
    """Takes what waits, sends it as one group, tells everybody. Its line has been inspected."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._waiting: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._suspect = False
        self._task = asyncio.create_task(self._run(), name="redis:write")

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """What the server answers. Who gives up before its turn gets nothing written behind its back.

        Its exception is StoreUnavailable or StoreRefused(corrupt); a group that was under way may have been written.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(command, future))
        self._wake.set()
        return future

    def distrust(self) -> None:
        """The server is asked again what it promises before anything else is written."""
        self._suspect = True

    async def stop(self, patience_s: float) -> None:
        """Write what waits, then end; what cannot be written in time is told so."""
        self._stopping = True
        self._wake.set()
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(patience_s):
                await asyncio.shield(self._task)
        await ended(self._task)
        _settle(self._waiting, unavailable("unreachable", self._line.address))
        await self._line.drop()

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._wake.wait()
            self._wake.clear()
            while group := self._gather():
                await self._serve(group)

    def _gather(self) -> list[_Job]:
        group: list[_Job] = []
        values = 0
        while self._waiting and values < GROUP_VALUES:
            job = self._waiting.popleft()
            if not job.future.done():
                group.append(job)
                values += len(job.command)
        return group

    async def _serve(self, group: list[_Job]) -> None:
        try:
            if self._suspect:
                self._suspect = False
                await self._line.drop()
            answers = await self._exchange([job.command for job in group])
        except asyncio.CancelledError:
            _settle(group, unavailable("unreachable", self._line.address))
            raise
        except Exception as error:  # noqa: BLE001 - this task outlives every surprise; the waiters are told
            _settle(group, edge_error(error, self._line.address))
            return
        for job, answer in zip(group, answers, strict=True):
            _tell(job, self._mapped(answer))

    def _mapped(self, answer: Any) -> Any:
        return edge_error(answer, self._line.address) if isinstance(answer, Exception) else answer

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        answers = await self._line.ask(*commands)
        forgotten = [n for n, answer in enumerate(answers) if isinstance(answer, errors.NoScriptError)]
        if forgotten:
            # a server that was started again has forgotten them; what it did not know it did not run
            loads: list[Command] = [("SCRIPT", "LOAD", script.text) for script in SCRIPTS]
            again = await self._line.ask(*loads, *(commands[n] for n in forgotten))
            for n, answer in zip(forgotten, again[len(loads) :], strict=True):
                answers[n] = answer
        return answers


def _settle(jobs: Sequence[_Job] | deque[_Job], error: EdgeError) -> None:
    for job in jobs:
        # each waiter raises an exception of its own: tracebacks are written into them
        copy = type(error)(error.reason, str(error), permanent=error.permanent)
        copy.__cause__ = error.__cause__
        _tell(job, copy)


def _tell(job: _Job, answer: Any) -> None:
    if job.future.done():
        return
    if isinstance(answer, Exception):
        job.future.set_exception(answer)
    else:
        job.future.set_result(answer)


def not_open() -> StoreUnavailable:
    """What a closed store says."""
    return StoreUnavailable("unreachable", "the store is not open")
