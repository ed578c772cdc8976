"""The series that every desk has: many, nearly all of them 0, and written at each scrape.

The library keeps an object with a lock for each and takes 10 us to write one out: a hundred desks were a second in
which no check-in, deadline or health answer had its turn. Here a desk keeps what is not 0, and the lines of a family
are written in portions (docs/decisions/0014-speed.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import Literal

from prometheus_client.utils import floatToGoString

PORTION = 2_000
"""Lines that are written before the loop has its turn: about 1 ms."""

_Values = tuple[str, ...]


def escaped(value: str) -> str:
    """A label's value as the text format wants it between its quotes."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


class DeskSeries:
    """One family with the label `desk` and further labels from closed lists.

    A value that is in no list, and a desk that was not opened, is refused by False: nothing personal becomes a label.
    """

    def __init__(
        self,
        name: str,
        text: str,
        kind: Literal["counter", "gauge"],
        labels: Mapping[str, Iterable[str]],
    ) -> None:
        self.labels = tuple(labels)
        self._name = f"{name}_total" if kind == "counter" else name
        self._begins = f"# HELP {self._name} {text}\n# TYPE {self._name} {kind}\n"
        self._around = {values: self._written(values) for values in product(*labels.values())}
        self._desks: dict[str, dict[_Values, float]] = {}
        self._whole: set[str] = set()

    def _written(self, values: _Values) -> tuple[str, str]:
        """What stands before and after the desk's name on a line; labels are in order, as the library has them."""
        pairs = sorted([*zip(self.labels, map(escaped, values), strict=True), ("desk", "\0")])
        inside = ",".join(f'{label}="{value}"' for label, value in pairs)
        before, _, after = f"{self._name}{{{inside}}} ".partition("\0")
        return before, after

    @property
    def values(self) -> Collection[_Values]:
        """What the labels beside `desk` may be together."""
        return self._around.keys()

    def open(self, desk: str, shown: Iterable[_Values] | None = None) -> None:
        """Every series of a desk is shown, at 0 until it counts; or these alone, and the others from their first value
        on. What the desk has counted stays."""
        found = self._desks.setdefault(desk, {})
        if shown is None:
            self._whole.add(desk)
        else:
            for values in shown:
                found.setdefault(values, 0.0)

    def inc(self, desk: str, *values: str) -> bool:
        """One more."""
        found = self._desks.get(desk)
        if found is None or values not in self._around:
            return False
        found[values] = found.get(values, 0.0) + 1
        return True

    def set(self, value: float, desk: str, *values: str) -> bool:
        """It is this now."""
        found = self._desks.get(desk)
        if found is None or values not in self._around:
            return False
        found[values] = float(value)
        return True

    def written(self) -> Iterator[bytes]:
        """The family in the text format, in portions."""
        lines = [self._begins]
        for desk in list(self._desks):
            lines += self._of(desk)
            if len(lines) > PORTION:
                yield "".join(lines).encode()
                lines = []
        if lines:
            yield "".join(lines).encode()

    def _of(self, desk: str) -> list[str]:
        found, name = self._desks[desk], escaped(desk)
        keys = self._around if desk in self._whole else found
        lines = []
        for key in keys:
            before, after = self._around[key]
            value = found.get(key)
            number = floatToGoString(value) if value else "0.0"  # type: ignore[no-untyped-call]
            lines.append(f"{before}{name}{after}{number}\n")
        return lines
