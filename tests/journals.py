"""Where a store of SQLite was ever opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from connectors.sqlite_files import DATABASE


def journals_below(folder: Path) -> Iterator[Path]:
    """The databases below a folder, also of stores that are closed."""
    for at, _, files in os.walk(folder):
        if DATABASE in files:
            yield Path(at) / DATABASE
