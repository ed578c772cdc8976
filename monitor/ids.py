"""Fresh ids: a letter for what it names, then chance. Injected, so that a simulation repeats itself exactly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

LONG = frozenset({"m"})
"""A message's key stands in callback URLs and is found by whoever holds it: 80 bits. Others have 50."""
IN_ORDER = frozenset({"e"})
"""Evidence is found by its id in a large index: ids that begin with the time keep that index quick (measured.md)."""
_LETTERS = bytes(b"abcdefghijklmnopqrstuvwxyz234567"[byte & 31] for byte in range(256))
"""A letter of RFC 4648's base 32 for the last five bits of each byte."""


def minter(random_bytes: Callable[[int], bytes], now: Callable[[], datetime]) -> Callable[[str], str]:
    """`mint("v")` -> `v4k7q…`, unique for all practical purposes."""

    def letters(count: int) -> str:
        return random_bytes(count).translate(_LETTERS).decode()

    def mint(prefix: str) -> str:
        if prefix in IN_ORDER:
            return f"{prefix}{int(now().timestamp() * 1000):012x}{letters(8)}"
        return prefix + letters(16 if prefix in LONG else 10)

    return mint


class Pool:
    """Random bytes in small portions out of large ones: a call to the kernel costs more than a whole decision's
    other ids. Not for keys that live long, and not to be shared with a forked process."""

    def __init__(self, source: Callable[[int], bytes], size: int = 8192) -> None:
        self._source, self._size = source, size
        self._bytes, self._at = b"", 0

    def __call__(self, count: int) -> bytes:
        """`count` bytes that were given to nobody else."""
        at = self._at
        if at + count > len(self._bytes):
            self._bytes, at = self._source(max(self._size, count)), 0
        self._at = at + count
        return self._bytes[at : at + count]
