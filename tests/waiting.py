"""Waiting for something to become true, without a sleep that hopes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

T = TypeVar("T")
PATIENCE_S = 30.0
"""A machine that does much else stands still for seconds; whoever waits for nothing that comes loses no time."""


@overload
async def until(
    predicate: Callable[[], Awaitable[T]],
    timeout: float = ...,  # noqa: ASYNC109
    every: float = ...,
    what: str = ...,
) -> T: ...


@overload
async def until(
    predicate: Callable[[], T],
    timeout: float = ...,  # noqa: ASYNC109
    every: float = ...,
    what: str = ...,
) -> T: ...


async def until(
    predicate: Callable[[], T | Awaitable[T]],
    timeout: float = PATIENCE_S,  # noqa: ASYNC109 - it bounds a poll and says what it waited for
    every: float = 0.02,
    what: str = "",
) -> T:
    """The first truthy value of `predicate` (plain or async), asked again every `every` seconds.

    Raises AssertionError after `timeout` seconds, with `what` was awaited and the last value seen.
    """
    ends = time.monotonic() + timeout
    while True:
        answer = predicate()
        value = cast(T, await answer if inspect.isawaitable(answer) else answer)
        if value:
            return value
        if time.monotonic() >= ends:
            raise AssertionError(f"not within {timeout} s: {what or predicate!r}; last seen: {value!r}")
        await asyncio.sleep(every)


def until_sync(
    predicate: Callable[[], T],
    timeout: float = PATIENCE_S,
    every: float = 0.02,
    what: str = "",
) -> T:
    """The same for a test that runs no event loop."""
    ends = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() >= ends:
            raise AssertionError(f"not within {timeout} s: {what or predicate!r}; last seen: {value!r}")
        time.sleep(every)
    return value
