"""What systemd wants to hear (sd_notify(3)): ready, alive, stopping. Silent where no service manager listens.

*Alive* is said by the watchdog's thread, and only when it saw the loop turn: a loop that hangs is then killed and
started again (`WatchdogSec=` in config/systemd/callwatch.service).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger("notify")


class Notify:
    """Speaks to the socket that the environment names. Never raises: who does not hear us must not stop the watch."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._failed = False
        period = environ.get("WATCHDOG_USEC", "") if self._address else ""
        mine = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
        self.alive_every_s: float | None = int(period) / 3e6 if period.isdigit() and mine else None
        """How often `alive` must be said, with two to spare; None: nobody asks for it."""

    def ready(self) -> None:
        """Loaded, drained, watching."""
        self._send("READY=1\nSTATUS=watching")

    def alive(self) -> None:
        """The loop turned. Safe from any thread."""
        if self.alive_every_s is not None:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """An orderly end has begun."""
        self._send("STOPPING=1\nSTATUS=stopping")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # a name of the abstract name space is written with @ and begins with a zero byte
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
                wire.settimeout(0.5)
                wire.sendto(text.encode(), address)
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.error("the service manager does not hear us", error=type(error).__name__)
