"""Long work in short turns: between two steps everything else has its turn (check-ins, deadlines, health)."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from monitor.core.upload import Steps

T = TypeVar("T")


async def others_first() -> None:
    """Everything else that is ready has its turn."""
    await asyncio.sleep(0)


async def in_turns(steps: Steps[T]) -> T:
    """Go through all steps, with the loop free between two of them."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        await others_first()
