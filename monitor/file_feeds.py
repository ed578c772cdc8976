"""The feeds of files that run: started with the daemon, and added, changed and removed by a reload."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Protocol

import structlog
from msgspec import Struct
from pydantic import SecretStr

from config.load import Loaded
from config.settings import Feed
from config.settings import Mapping as CsvMapping
from connectors.feed_memory import Drawer
from connectors.fetchers import fetcher
from connectors.file_feed import FileFeed
from monitor.clock import Clock
from monitor.feeds import FedDesk
from monitor.watch import Watch

log = structlog.get_logger("feeds")

ENDS_WITHIN_S = 10.0
"""How long the one before is waited for: it must not write its memory over that of the next."""


class Counted(Protocol):
    """Where each feed has its series."""

    def add_feed(self, feed: str) -> None:
        """It has them from now on."""

    def remove_feed(self, feed: str) -> None:
        """It has none any more."""


class _Running(Struct, frozen=True, kw_only=True):
    config: Feed
    secret: SecretStr | None
    fed: FedDesk
    task: asyncio.Task[None]


def names_of(loaded: Loaded) -> list[str]:
    """Every way in of this configuration."""
    assert loaded.settings is not None
    return [*(["mqtt"] if loaded.settings.mqtt else []), *(feed.name for feed in loaded.settings.feed)]


def fed_by(loaded: Loaded) -> dict[str, FedDesk]:
    """By feed: which desk it feeds, and whether with check-ins."""
    assert loaded.settings is not None
    what = {mapping.name: mapping.what for mapping in loaded.settings.mapping}
    return {
        feed.name: FedDesk(desk=feed.desk, checkins=what[feed.mapping] == "checkins")
        for feed in loaded.settings.feed
    }


class FileFeeds:
    """One task a feed. `take` makes those of a configuration run, and no others."""

    def __init__(self, watch: Watch, metrics: Counted, clock: Clock, loaded: Loaded) -> None:
        self._watch, self._metrics, self._clock = watch, metrics, clock
        self._loaded = loaded
        self._mappings: dict[str, CsvMapping] = {}
        self._running: dict[str, _Running] = {}
        self._group: asyncio.TaskGroup | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run the feeds of the configuration from now on, as tasks of `group`."""
        self._group = group
        self.take(self._loaded)

    def stop(self) -> list[asyncio.Task[None]]:
        """No reload starts one any more. The tasks that are to be cancelled."""
        self._group = None
        return [one.task for one in self._running.values()]

    def take(self, loaded: Loaded) -> None:
        """This configuration holds. A feed that is the same as before goes on as it is; one that was changed ends, and
        begins again with what it remembers; of one that is gone nothing stays dark and no alarm open."""
        self._loaded = loaded
        if self._group is None:
            return
        assert loaded.settings is not None
        # one that is just ending may ask for its mapping once more
        self._mappings |= {mapping.name: mapping for mapping in loaded.settings.mapping}
        fed = fed_by(loaded)
        wanted = {feed.name: feed for feed in loaded.settings.feed if feed.desk in self._watch.shells}
        for name in [name for name in self._running if name not in wanted]:
            self._running.pop(name).task.cancel()
            self._gone(name)
            log.info("a feed was removed", feed=name)
        for name, feed in wanted.items():
            self._run(self._group, feed, fed[name])
        self._watch.only_fed_by(fed)

    def _run(self, group: asyncio.TaskGroup, feed: Feed, fed: FedDesk) -> None:
        secret = self._loaded.secrets.feeds.get(feed.name)
        before = self._running.get(feed.name)
        if before is not None and (before.config, before.secret, before.fed) == (feed, secret, fed):
            return
        if before is not None:
            before.task.cancel()
            log.info("a feed was changed", feed=feed.name)
        if before is not None and before.fed != fed:
            self._gone(feed.name)
        self._metrics.add_feed(feed.name)
        self._watch.feeds.add(feed.name, fed)
        work = self._behind(before.task if before else None, self._made(feed, secret))
        task = group.create_task(work, name=f"feed:{feed.name}")
        self._running[feed.name] = _Running(config=feed, secret=secret, fed=fed, task=task)

    def _made(self, feed: Feed, secret: SecretStr | None) -> FileFeed:
        assert self._loaded.settings is not None
        return FileFeed(
            self._watch,
            feed,
            partial(self._mapping, feed.mapping),
            fetcher(feed, secret, self._clock.now),
            Drawer(self._loaded.settings.data_dir / "feeds" / feed.name),
            now=self._clock.now,
        )

    def _mapping(self, name: str) -> CsvMapping:
        """The one in force: a reload may have changed it."""
        return self._mappings[name]

    async def _behind(self, before: asyncio.Task[None] | None, feed: FileFeed) -> None:
        if before is not None:
            await asyncio.wait((before,), timeout=ENDS_WITHIN_S)
        await feed.run()

    def _gone(self, name: str) -> None:
        """What it said of itself is said no more."""
        self._watch.forget_feed(name)
        self._metrics.remove_feed(name)
