"""Ports for tests that must know theirs beforehand.

Below the range from which the kernel gives out ports by itself (32768 and up), so that no connection of another test
takes one between its being found free and its being used; each worker of a parallel run has its own part.
"""

from __future__ import annotations

import itertools
import os
import re
import socket

_FIRST, _PER_WORKER = 12_000, 2_500
_worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "0")) or 0) % 8
_candidates = itertools.cycle(range(_FIRST + _worker * _PER_WORKER, _FIRST + (_worker + 1) * _PER_WORKER))
for _ in range(os.getpid() * 997 % _PER_WORKER):
    next(_candidates)  # two runs that are started together begin far from each other


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    for port in itertools.islice(_candidates, _PER_WORKER):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
