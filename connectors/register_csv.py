"""The register of a council's desk as CSV, for the contract meeting: one line a provider.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula: such a text gets
an apostrophe before it (OWASP, "CSV injection"). Names are what people have typed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from monitor.core.placing.inputs import DECLINE_REASONS
from monitor.core.placing.views import RegisterRow, RegisterView, Within

COLUMNS = (
    "provider",
    "name",
    "tier",
    "active",
    "offered",
    "bid",
    "declined",
    *(f"declined_{reason}" for reason in DECLINE_REASONS),
    "silent",
    "withdrew",
    "unanswered",
    "late",
    "won",
    "taken_back",
    "median_response_min",
    "hours_held_week",
    "hours_declared_week",
    "declared_on",
    "hours_since_declared_week",
    "hours_limit_week",
    "refused_in_a_row",
    "refused_share",
    "persistent",
    "not_reached",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def register_csv(register: RegisterView) -> str:
    """The register as text, with a heading; the response times of the policies stand in columns at the end."""
    limits = list(dict.fromkeys((one.kind, one.limit_s) for row in register.rows for one in row.within))
    text = io.StringIO()
    writer = csv.writer(text)
    within = [name for kind, limit in limits for name in _within_names(kind, limit)]
    writer.writerow([*COLUMNS, *within])
    for row in register.rows:
        found = {(one.kind, one.limit_s): one for one in row.within}
        times = [cell for key in limits for cell in _within_cells(found.get(key))]
        writer.writerow([safe(cell) for cell in (*_cells(row), *times)])
    return text.getvalue()


def safe(cell: object) -> object:
    """A text that no spreadsheet reads as a formula; anything else as it is."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _within_names(kind: str, limit_s: int) -> tuple[str, str]:
    limit = f"{limit_s // 60}min" if limit_s % 60 == 0 else f"{limit_s}s"
    return f"{kind}_within_{limit}", f"{kind}_within_{limit}_of"


def _within_cells(one: Within | None) -> tuple[int | None, int | None]:
    return (one.answered, one.of) if one is not None else (None, None)


def _cells(row: RegisterRow) -> Iterable[object]:
    return (
        row.provider,
        row.name,
        row.tier,
        "yes" if row.active else "no",
        row.offered,
        row.bid,
        row.declined,
        *(row.declined_for.get(reason, 0) for reason in DECLINE_REASONS),
        row.silent,
        row.withdrew,
        row.unanswered,
        row.late,
        row.won,
        row.taken_back,
        round(row.median_s / 60, 1) if row.median_s is not None else None,
        row.minutes_held / 60,
        row.hours_declared,
        row.declared_on,
        row.minutes_since / 60,
        row.hours_limit,
        row.in_a_row,
        round(row.refused_share, 3) if row.refused_share is not None else None,
        " ".join(row.persistent),
        row.not_reached,
    )
