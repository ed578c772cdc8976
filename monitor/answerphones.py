"""The answerphones of all desks: what the network says of a recording finds its desk, is fetched when somebody listens,
and is asked for when nothing is heard of it. No sound is kept here: it stays at the provider (docs/decisions/0024)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from connectors.ports import Degraded, EdgeError, Recordings, Store, StoreUnavailable
from monitor.core.answerphone import newest_words, unheard
from monitor.core.views import LeftMessage, Script
from monitor.desk_shell import DeskShell
from monitor.engine import DecideFailedError

log = structlog.get_logger("answerphones")

WAITING = 1_000
"""So many alerts wait for the provider to be asked about them; more are said in the log, and ring all the same."""
AGAIN_S = 30.0
"""How long a provider that could not be asked is left alone, the first time; then longer, up to an hour."""
TRIES = 8


class Answerphones:
    """See the module. `shells` is asked anew each time."""

    def __init__(
        self, shells: Callable[[], Mapping[str, DeskShell]], store: Store, recordings: Recordings
    ) -> None:
        self._shells, self._store, self._recordings = shells, store, recordings
        self._lost: asyncio.Queue[tuple[str, int]] = asyncio.Queue(WAITING)

    def shell_of(self, alert: str) -> DeskShell | None:
        """The desk whose alert it is."""
        return next((s for s in self._shells().values() if alert in s.state.values.alerts), None)

    async def left(self, left: LeftMessage) -> Script:
        """What a caller has left, or that it was nothing. Raises Degraded."""
        shell = self.shell_of(left.alert)
        if shell is None:
            log.warning("a recording about an alert that is not here", alert=left.alert)
            return Script(say=(), hang_up=True)
        return await shell.message_left(left)

    async def recording(self, alert: str) -> bytes | None:
        """The newest message left about this alert, as the provider has it. Raises EdgeError, StoreUnavailable."""
        shell = self.shell_of(alert)
        known = newest_words(shell.state.values.alerts[alert]) if shell is not None else None
        if shell is None or known is None or known.recording is None:
            return None
        row = await self._store.evidence(shell.id, known.recording)
        return await self._recordings.recording(row.body.decode()) if row is not None else None

    # --- what is not heard of ---

    def lost(self, alert: str, tries: int = 0) -> None:
        """Nothing was heard of what was left about this alert: the provider is asked."""
        try:
            self._lost.put_nowait((alert, tries))
        except asyncio.QueueFull:
            log.error("too many answerphones of which nothing is heard", alert=alert)

    def begin(self) -> None:
        """After a start: those of which nothing had been heard when we were stopped."""
        for shell in self._shells().values():
            for alert in list(shell.state.values.alerts.values()):
                if unheard(alert) and alert.state != "ended":
                    self.lost(alert.ref)

    async def run(self) -> None:
        """Until cancelled. What fails is tried again, with growing pauses."""
        loop = asyncio.get_running_loop()
        while True:
            alert, tries = await self._lost.get()
            try:
                await self._ask(alert)
            except (EdgeError, StoreUnavailable, Degraded, DecideFailedError) as error:
                log.warning(
                    "an answerphone could not be asked about", alert=alert, error=type(error).__name__
                )
                if tries < TRIES:
                    pause_s = min(AGAIN_S * 2**tries, 3600.0)
                    loop.call_later(pause_s, self.lost, alert, tries + 1)

    async def _ask(self, alert: str) -> None:
        shell = self.shell_of(alert)
        known = shell.state.values.alerts.get(alert) if shell is not None else None
        if shell is None or known is None or not known.answerphone:
            return
        row = await self._store.evidence(shell.id, known.answerphone)
        for one in await self._recordings.recordings_of(row.body.decode()) if row is not None else ():
            await shell.message_left(
                LeftMessage(alert=alert, recording=one.ref, seconds=one.seconds, on_line=False)
            )
