"""Fresh ids: a letter for what it names, then chance. Injected, so that a simulation repeats itself exactly."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime

LONG = frozenset({"m"})
"""A message's key stands in callback URLs and is found by whoever holds it: 80 bits. Others have 50."""
IN_ORDER = frozenset({"e"})
"""Evidence is found by its id in a large index: ids that begin with the time keep that index quick (measured.md)."""


def minter(random_bytes: Callable[[int], bytes], now: Callable[[], datetime]) -> Callable[[str], str]:
    """`mint("v")` -> `v4k7q…`, unique for all practical purposes."""

    def mint(prefix: str) -> str:
        text = base64.b32encode(random_bytes(10)).decode().lower()
        if prefix in IN_ORDER:
            return f"{prefix}{int(now().timestamp() * 1000):012x}{text[:8]}"
        return prefix + (text if prefix in LONG else text[:10])

    return mint
