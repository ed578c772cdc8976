"""What the fetchers of files share: what a look finds, and when a file is complete.

A file is read only when its size and time did not change between two looks at it: who writes into place is given the
time, who renames into place loses none. What is being written elsewhere under a name of its own is left alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Protocol

from msgspec import Struct

from connectors.ports import EdgeError

SETTLE_S = 2.0
"""Between the two looks at a file that is new or changed, unless the feed looks more often."""
OLDEST_S = 7 * 86_400
"""Files that nobody touched for this long are history: an archive of exports is not read again."""
MOST_FILES = 200
"""Files read in one look; what was never read, and what changed, before what is to be read again."""
FRESHLY_WRITTEN_S = 5.0
"""A file read this soon after its own time is read once more: a clock of whole seconds shows no second change."""
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~", ".writing")


class Mark(Struct, frozen=True):
    """How a file looks from outside: bytes, nanoseconds since 1970, and its number where there is one."""

    size: int
    mtime_ns: int
    inode: int = 0

    @property
    def at(self) -> datetime:
        """When it was last written."""
        return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)


class Known(Struct, frozen=True, kw_only=True):
    """A file that was read: its mark then, and its content's digest. `sure`: its mark would show a later change."""

    mark: Mark
    digest: str
    sure: bool = True


class Fetched(Struct, frozen=True, kw_only=True):
    """A file, whole; or why it could not be (`too_large`)."""

    name: str
    body: bytes = b""
    mark: Mark | None = None
    refused: str | None = None


class Look(Struct, frozen=True, kw_only=True):
    """One look: what is new, when the newest of what is there was written, and the names of all that is there. `more`:
    files are left that were never read as they are now; the next look should come at once."""

    files: tuple[Fetched, ...] = ()
    more: bool = False
    newest: datetime | None = None
    there: frozenset[str] = frozenset()
    etag: str | None = None
    last_modified: str | None = None


class Seen(Struct, frozen=True, kw_only=True):
    """What a fetcher is told of earlier looks."""

    files: Mapping[str, Known] = {}
    etag: str | None = None
    last_modified: str | None = None


class Fetcher(Protocol):
    """One source of files. Bounded in time by itself."""

    async def look(self, seen: Seen) -> Look:
        """What is new since. Raises EdgeError: it could not be reached."""

    async def close(self) -> None:
        """Give back connections."""


class Place(Protocol):
    """A folder, near or far."""

    async def scan(self) -> dict[str, Mark]:
        """Every plain file. Raises EdgeError."""

    async def read(self, name: str, most: int) -> tuple[bytes, Mark]:
        """At most `most` bytes, and how it looked when they had been read. Raises EdgeError."""


def is_wanted(name: str, pattern: str) -> bool:
    """Whether a name is one to read: it fits, is not hidden, and nobody is still writing it."""
    hidden = name.startswith((".", "~"))
    return (
        not hidden and not name.lower().endswith(_UNFINISHED) and fnmatchcase(name.lower(), pattern.lower())
    )


async def look_through(
    place: Place, seen: Seen, *, pattern: str, most_bytes: int, settle_s: float, now: datetime
) -> Look:
    """One look through a folder: its new files that did not change for `settle_s`. Raises EdgeError."""
    first = _wanted(await place.scan(), pattern, now)
    if any(_is_new(name, mark, seen) for name, mark in first.items()):
        await asyncio.sleep(settle_s)
        second = _wanted(await place.scan(), pattern, now)
    else:
        second = first
    steady = {name: mark for name, mark in second.items() if first.get(name) == mark}
    unread, again = _to_read(steady, seen)
    files = [
        fetched
        for name in [*unread[:MOST_FILES], *again]
        if (fetched := await _fetch(place, name, second[name], most_bytes)) is not None
    ]
    newest = max((mark.at for mark in second.values()), default=None)
    return Look(files=tuple(files), more=len(unread) > MOST_FILES, newest=newest, there=frozenset(second))


def _to_read(steady: Mapping[str, Mark], seen: Seen) -> tuple[list[str], list[str]]:
    """All that was never read as it is now, and some of what is to be read again, each the oldest first."""
    new = [name for name, mark in steady.items() if _is_new(name, mark, seen)]
    unread = [name for name in new if name not in seen.files or seen.files[name].mark != steady[name]]
    again = sorted(set(new).difference(unread))
    # by lot: always the same ones would leave the others out for ever
    again = random.sample(again, min(len(again), max(MOST_FILES - len(unread), 0)))

    def by_age(name: str) -> tuple[int, str]:
        return steady[name].mtime_ns, name

    return sorted(unread, key=by_age), sorted(again, key=by_age)


def _wanted(marks: Mapping[str, Mark], pattern: str, now: datetime) -> dict[str, Mark]:
    return {
        name: mark
        for name, mark in marks.items()
        if is_wanted(name, pattern) and (now - mark.at).total_seconds() < OLDEST_S
    }


def _is_new(name: str, mark: Mark, seen: Seen) -> bool:
    known = seen.files.get(name)
    return known is None or known.mark != mark or not known.sure


async def _fetch(place: Place, name: str, mark: Mark, most_bytes: int) -> Fetched | None:
    if mark.size > most_bytes:
        return Fetched(name=name, mark=mark, refused="too_large")
    try:
        body, after = await place.read(name, most_bytes + 1)
    except EdgeError as error:
        if error.permanent:
            # gone between the look and the read: whoever took it away will bring another
            return None
        raise
    if after != mark or len(body) != mark.size:
        return None  # it is being written after all
    return Fetched(name=name, mark=mark, body=body)
