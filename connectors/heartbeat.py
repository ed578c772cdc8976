"""The outside dead-man ping: a GET to a URL of yours for as long as the watch is well (design rule 12).

Who waits for it there (healthchecks, a cron monitor, a council's own) rings somebody when it stays away. So silence is
the message: while something is overdue, or the store cannot be written, nothing is sent at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import structlog

from connectors.ports import Reason

log = structlog.get_logger("heartbeat")

LONGEST_S = 10.0


class Heartbeat:
    """Runs until cancelled. `well` is asked before each beat; `told` hears `ok` or why the other side took none."""

    def __init__(
        self,
        url: str,
        every_s: float,
        well: Callable[[], bool],
        told: Callable[[str], None],
        *,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._url, self._every_s, self._well, self._told = url, every_s, well, told
        self._timeout = aiohttp.ClientTimeout(total=longest_s)

    async def run(self) -> None:
        """A beat at once, and then one every `every_s` seconds, however long the one before took."""
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            next_at = loop.time()
            while True:
                await self._one(session)
                next_at = max(next_at + self._every_s, loop.time())
                await asyncio.sleep(next_at - loop.time())

    async def _one(self, session: aiohttp.ClientSession) -> None:
        """Whatever goes wrong in it costs this one beat: a fault here must not end the watch that it vouches for."""
        try:
            if self._well():
                self._told(await self._beat(session))
        except Exception as error:  # noqa: BLE001 - no thread for the resolver, a fault of ours: the next one is tried
            log.error("a beat failed", error=type(error).__name__)
            self._told("other")

    async def _beat(self, session: aiohttp.ClientSession) -> str:
        reason: Reason
        try:
            # a redirect would be followed to a page that says 200 to everything
            async with session.get(self._url, allow_redirects=False) as answer:
                if answer.status < 300:
                    return "ok"
                reason = "provider_down" if answer.status >= 500 else "refused"
        except TimeoutError:
            reason = "timeout"
        except aiohttp.ClientError:
            reason = "unreachable"
        log.warning("the heartbeat was not taken", reason=reason)
        return reason
