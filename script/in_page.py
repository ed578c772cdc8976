"""A table that is made from the source and stands in docs/interface.md between two marks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "interface.md"


def written(page: str, begin: str, end: str, table: str) -> str:
    """The page with the present table between its marks. Raises ValueError: a mark is missing."""
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"docs/interface.md: expected the marks {begin} and {end}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def run(written: Callable[[str], str], stale: str) -> int:
    """0 when the page is as it should be (now); 1 with `--check` when it was not, which `stale` says."""
    page = PAGE.read_text()
    new = written(page)
    if new == page:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"docs/interface.md: {stale}")
        return 1
    PAGE.write_text(new)
    return 0
