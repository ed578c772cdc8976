"""What a feed of files keeps on our own disk, beside the store: what it has read, and reports for the office.

Losing it does no harm: everything is read again, and what was there is `unchanged` or `duplicate`. So it is written
after the facts are on disk, never before.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from connectors.fetch import Known

log = structlog.get_logger("feed")

KEEP_ASIDE = 20
MOST_UNPLACED = 5_000


class Unplaced(Struct, frozen=True, kw_only=True):
    """A check-in that no visit was found for: given again when the plan has changed, a few times."""

    tries: int
    again_at: datetime
    file: str = ""
    """The file that was last seen to hold it; "" when that has gone, or was not noted."""


class Memory(Struct, kw_only=True):
    """What is kept over a restart."""

    files: dict[str, Known] = {}
    etag: str | None = None
    last_modified: str | None = None
    proved_at: datetime | None = None
    """Of the newest content."""
    refused: dict[str, str] = {}
    """Files that could not be used, and why; until they are there in another shape, or gone."""
    unconfirmed: dict[str, str] = {}
    """Rotas that would cancel visits, by the digest of their content."""
    put_at: datetime | None = None
    put: str = ""
    """Digest of the rows that were last put, and when."""
    unplaced: dict[str, Unplaced] = {}


class Drawer:
    """One feed's folder: `memory.json`, `report.json`, `aside/`. All of it readable by us alone. Blocking: to be used
    in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def memory(self) -> Memory:
        """What was kept; an empty one when there is none or it cannot be read."""
        try:
            return msgspec.json.decode((self._folder / "memory.json").read_bytes(), type=Memory)
        except FileNotFoundError:
            return Memory()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "what a feed had kept cannot be read; it reads everything again", error=type(error).__name__
            )
            return Memory()

    def keep(self, memory: Memory) -> None:
        """All or nothing. Raises OSError."""
        self._write("memory.json", msgspec.json.encode(memory))

    def report(self, content: dict[str, Any]) -> None:
        """What became of the file that was read last. Raises OSError."""
        self._write("report.json", msgspec.json.format(msgspec.json.encode(content)))

    def put_aside(self, name: str, digest: str, body: bytes, content: dict[str, Any]) -> None:
        """A file that cannot be used, and a report beside it; the newest twenty are kept. Raises OSError."""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[-80:]
        stem = f"aside/{digest[:12]}-{safe}"
        if body:
            self._write(stem, body)
        self._write(f"{stem}.report.json", msgspec.json.format(msgspec.json.encode(content)))
        self._tidy()

    def _tidy(self) -> None:
        aside = self._folder / "aside"
        found = sorted(aside.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for old in found[2 * KEEP_ASIDE :]:
            old.unlink(missing_ok=True)

    def _write(self, name: str, body: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)


def still_unplaced(unplaced: dict[str, Unplaced], since: datetime) -> dict[str, Unplaced]:
    """The bounded part of it that is worth keeping."""
    kept = [(key, one) for key, one in unplaced.items() if one.again_at > since]
    return dict(sorted(kept, key=lambda pair: pair[1].again_at)[-MOST_UNPLACED:])
