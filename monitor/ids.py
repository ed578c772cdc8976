"""Fresh ids: a letter for what it names, then chance. Injected, so that a simulation repeats itself exactly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

LONG = frozenset({"m"})
"""A message's key stands in callback URLs and is found by whoever holds it: 80 bits. Others have 50."""
IN_ORDER = frozenset({"e"})
"""Evidence is found by its id in a large index: ids that begin with the time keep that index quick (measured.md)."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple(first + second for first in _LETTERS for second in _LETTERS)
"""Two letters of RFC 4648's base 32 for ten bits."""


def minter(random_bytes: Callable[[int], bytes], now: Callable[[], datetime]) -> Callable[[str], str]:
    """`mint("v")` -> `v4k7q…`, unique for all practical purposes."""

    def mint(prefix: str) -> str:
        bits, pairs = int.from_bytes(random_bytes(10), "big"), _PAIRS
        # the first of 80 bits, ten a pair of letters
        a, b = pairs[bits >> 70], pairs[bits >> 60 & 1023]
        c, d = pairs[bits >> 50 & 1023], pairs[bits >> 40 & 1023]
        if prefix in IN_ORDER:
            return f"{prefix}{int(now().timestamp() * 1000):012x}{a}{b}{c}{d}"
        if prefix in LONG:
            rest = "".join([pairs[bits >> shift & 1023] for shift in (30, 20, 10, 0)])
            return f"{prefix}{a}{b}{c}{d}{rest}"
        return f"{prefix}{a}{b}{c}{d}{pairs[bits >> 30 & 1023]}"

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
