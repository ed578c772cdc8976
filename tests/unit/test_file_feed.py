"""What a feed of files had kept, when it is of no use: the feed reads on, and nothing else ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from config.settings import Feed, Mapping
from connectors.feed_memory import Drawer, Memory
from connectors.fetch_folder import FolderFetcher
from connectors.file_feed import FileFeed
from tests.fakes.desks import FakeDesks
from tests.waiting import until


class FedDesks(FakeDesks):
    """What a feed says of itself is taken, and no file comes."""

    def plan_rev(self, desk: str) -> int:
        return 0

    def feed_proved(self, feed: str, at: datetime) -> None:
        """Not asked about here."""

    def feed_trouble(self, feed: str, desk: str, trouble: str, *, begun: bool) -> None:
        """Not asked about here."""


class NoThread(Drawer):
    """The host has no thread left."""

    def memory(self) -> Memory:
        raise RuntimeError("can't start new thread")


def without_a_zone(folder: Path) -> Drawer:
    folder.mkdir(parents=True)
    (folder / "memory.json").write_text('{"proved_at": "2026-11-23T08:00:00"}')
    return Drawer(folder)


@pytest.mark.parametrize(("pins", "kept"), [(True, False), (False, True)])
async def test_of_a_file_with_pins_that_cannot_be_used_only_the_report_is_kept(
    tmp_path: Path, pins: bool, kept: bool
) -> None:
    inbox, desks = tmp_path / "inbox", FedDesks()
    inbox.mkdir()
    (inbox / "people.csv").write_text("Nobody,Knows,These,Headers\ncw-1,Dee,care_worker,47110815\n")
    config = Feed.model_validate(
        {"name": "f", "desk": "dom", "kind": "folder", "mapping": "m", "path": str(inbox), "every": "1s"}
    )
    columns = {"id": "Ref", "role": "Role"} | ({"pin": "PIN"} if pins else {})
    mapping = Mapping.model_validate({"name": "m", "what": "people", "columns": columns})
    now = lambda: datetime.now(UTC)  # noqa: E731
    fetcher = FolderFetcher("f", str(inbox), "*.csv", most_bytes=1000, timeout_s=5, every_s=1.0, now=now)
    drawer = Drawer(tmp_path / "kept")
    feed = FileFeed(cast(Any, desks), config, lambda: mapping, fetcher, drawer, now=now)
    task = asyncio.create_task(feed.run())

    def reported() -> bool:
        return any((tmp_path / "kept" / "aside").glob("*.report.json"))

    try:
        await until(reported, what="the report")
        bodies = [path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()]
        assert any(b"47110815" in body for body in bodies) == kept
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("drawer", [NoThread, without_a_zone])
async def test_a_memory_that_cannot_be_used_is_an_empty_one(
    drawer: Callable[[Path], Drawer], tmp_path: Path
) -> None:
    inbox, desks = tmp_path / "inbox", FedDesks()
    inbox.mkdir()
    config = Feed.model_validate(
        {"name": "f", "desk": "dom", "kind": "folder", "mapping": "m", "path": str(inbox), "every": "1s"}
    )
    mapping = Mapping.model_validate(
        {"name": "m", "what": "checkins", "columns": {"visit": "V", "arrived": "In"}}
    )
    now = lambda: datetime.now(UTC)  # noqa: E731
    fetcher = FolderFetcher("f", str(inbox), "*.csv", most_bytes=1000, timeout_s=5, every_s=1.0, now=now)
    feed = FileFeed(cast(Any, desks), config, lambda: mapping, fetcher, drawer(tmp_path / "kept"), now=now)
    task = asyncio.create_task(feed.run())
    try:
        await until(lambda: ("f", "drained") in desks.feeds or task.done(), what="its first look")
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
