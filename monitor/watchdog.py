"""A thread outside the event loop that counts its turns: a loop that hangs cannot say so itself (design rule 11)."""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger("watchdog")

LOOK_EVERY_S = 2.0
HANGS_AFTER_S = 15.0


class Watchdog:
    """Looks at a counter that the loop moves. A counter that stands still is logged, with every thread's stack."""

    def __init__(
        self, turns: Callable[[], int], on_turn: Callable[[], None], *, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._turns, self._on_turn, self._every_s = turns, on_turn, look_every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; returns at once."""
        self._stop.set()

    def _run(self) -> None:
        last, still_s, told = self._turns(), 0.0, False
        while not self._stop.wait(self._every_s):
            now = self._turns()
            if now != last:
                last, still_s, told = now, 0.0, False
                self._on_turn()
                continue
            still_s += self._every_s
            if still_s >= HANGS_AFTER_S and not told:
                told = True
                log.critical("the event loop stands still", seconds=still_s)
                faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
