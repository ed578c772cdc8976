"""Feeds of files among the ways in: whose visits they make dark, when the start may go on, whose trouble it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from config.policy import Calendar, Policy
from connectors.ports import EvidenceRow
from monitor.clock import SystemClock
from monitor.core.inputs import SignalChanged
from monitor.directory import Directory
from monitor.engine import DecideFailedError
from monitor.feeds import FedDesk, Feeds
from monitor.metrics import Metrics
from monitor.rota_reader import SLICE, Reading, read_rota
from monitor.turns import in_turns
from monitor.watch import Watch
from tests.waiting import until

OF_FILES = {
    "ecm": FedDesk(desk="a", checkins=True),
    "rota": FedDesk(desk="a", checkins=False),
    "theirs": FedDesk(desk="b", checkins=True),
}


class Told:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, bool, str | None]] = []

    def __call__(self, cause: str, subject: str, *, dark: bool, desk: str | None = None) -> None:
        self.said.append((cause, subject, dark, desk))


@pytest.fixture(name="told")
def _told() -> Told:
    return Told()


@pytest.fixture(name="feeds")
def _feeds(told: Told) -> Feeds:
    feeds = Feeds(SystemClock(), ["mqtt", *OF_FILES], OF_FILES)
    feeds.tell = told
    return feeds


async def test_a_feed_of_files_darkens_its_own_desk_at_once_and_a_rota_nobody(
    feeds: Feeds, told: Told
) -> None:
    feeds.changed("ecm", "down")
    feeds.changed("rota", "down")
    feeds.changed("ecm", "drained")
    assert told.said == [("feed", "ecm", True, "a"), ("feed", "ecm", False, "a")]


class Deaf(Told):
    """Takes it at the third time."""

    tries = 0

    def __call__(self, cause: str, subject: str, *, dark: bool, desk: str | None = None) -> None:
        self.tries += 1
        if self.tries < 3:
            raise DecideFailedError("KeyError")
        super().__call__(cause, subject, dark=dark, desk=desk)


async def test_what_is_dark_and_could_not_be_told_at_the_start_ends_nothing_and_is_told_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.feeds.GRACE_S", 0.01)
    feeds = Feeds(SystemClock(), ["mqtt"], {})
    feeds.tell = told = Deaf()
    feeds.give_up_waiting()
    assert feeds.drained, "the watch begins"
    await until(lambda: told.said, what="it was told")
    assert told.said == [("broker", "", True, None)]


async def test_what_is_back_is_not_called_dark_by_an_earlier_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.feeds.GRACE_S", 0.01)
    feeds = Feeds(SystemClock(), ["mqtt"], {})
    feeds.tell = told = Deaf()
    feeds.give_up_waiting()
    told.tries = 2
    feeds.changed("mqtt", "drained")
    assert not feeds._timers
    assert told.said == [("broker", "", False, None)]


async def test_a_grace_that_was_cut_short_does_not_end_after_the_feed_is_back(told: Told) -> None:
    feeds = Feeds(SystemClock(), ["mqtt"], {})
    feeds.tell = told
    feeds.changed("mqtt", "drained")
    feeds.changed("mqtt", "down")
    (grace,) = feeds._timers.values()
    feeds.changed("mqtt", "unknown")
    feeds.changed("mqtt", "drained")
    assert grace.cancelled()
    assert [dark for _, _, dark, _ in told.said] == [False, True, False]


def test_a_desk_that_cannot_be_told_keeps_the_others_from_nothing() -> None:
    told: list[str] = []

    def desk(name: str, error: Exception | None = None) -> Any:
        def tell(seen: SignalChanged) -> None:
            if error is not None:
                raise error
            told.append(name)

        return SimpleNamespace(id=name, engine=SimpleNamespace(lost=False), tell=tell)

    unused: Any = None
    watch = Watch(unused, unused, Metrics([], []), unused, unused, unused, unused)
    watch.shells = {"a": desk("a"), "b": desk("b", DecideFailedError("KeyError")), "c": desk("c")}
    with pytest.raises(DecideFailedError):
        watch.signal("broker", "", dark=True)
    assert told == ["a", "c"]


async def test_the_start_waits_for_each_feeds_first_word_whatever_it_is(feeds: Feeds) -> None:
    for feed, state in (("ecm", "down"), ("rota", "unknown"), ("theirs", "drained")):
        feeds.changed(feed, state)  # type: ignore[arg-type]
        assert not feeds.drained
    feeds.changed("mqtt", "up")
    assert not feeds.drained, "the broker's backlog is not read yet"
    feeds.changed("mqtt", "drained")
    assert feeds.drained


async def test_silence_counts_from_the_newest_content_and_never_goes_back(feeds: Feeds) -> None:
    now = datetime.now(UTC)
    feeds.proved("ecm", now - timedelta(seconds=100))
    feeds.proved("ecm", now - timedelta(seconds=300))
    assert 99 < feeds.silence()["ecm"] < 110
    assert feeds.silence()["theirs"] < 10, "of one that has not spoken it counts from the start"


async def test_a_trouble_ends_when_every_feed_of_the_desk_has_said_that_it_is_over(feeds: Feeds) -> None:
    def say(feed: str, begun: bool) -> list[bool]:
        told: list[bool] = []
        feeds.changed(feed, "drained")
        feeds.troubled(feed, "a", "file_refused", begun=begun, tell=told.append)
        return told

    assert say("ecm", False) == [], "after a restart: the other one may still be in it"
    assert say("rota", False) == [False]
    assert say("rota", True) == [True]
    assert say("rota", True) == [], "said already"
    assert say("ecm", True) == [True]
    assert say("ecm", False) == [], "the other one still is"
    assert say("rota", False) == [False]


@pytest.mark.parametrize("begun", [True, False])
async def test_a_trouble_that_could_not_be_told_is_told_again(feeds: Feeds, begun: bool) -> None:
    def fails(begun: bool) -> None:
        raise RuntimeError("the desk cannot take it now")

    told: list[bool] = []
    for feed in ("ecm", "rota"):
        feeds.changed(feed, "drained")
        feeds.troubled(feed, "a", "file_refused", begun=False, tell=lambda _: None)
    if not begun:
        feeds.troubled("rota", "a", "file_refused", begun=True, tell=lambda _: None)
    with pytest.raises(RuntimeError):
        feeds.troubled("rota", "a", "file_refused", begun=begun, tell=fails)
    feeds.troubled("rota", "a", "file_refused", begun=begun, tell=told.append)
    feeds.troubled("rota", "a", "file_refused", begun=begun, tell=told.append)
    assert told == [begun]


async def test_a_big_rota_is_read_in_slices_with_the_loop_free_in_between() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    rows = [{"id": f"v{n}", "service_user": "s", "start": "2031-03-31T07:30"} for n in range(10 * SLICE)]
    body: dict[str, Any] = {"visits": rows}
    busy = asyncio.create_task(others())
    read = await in_turns(read_rota(body, reading()))
    busy.cancel()
    assert len(read.rows) == 10 * SLICE
    assert turns >= 9


def reading() -> Reading:
    count = iter(range(1_000_000))
    return Reading(
        directory=Directory(lambda prefix: f"{prefix}{next(count)}", "Europe/London", 150.0),
        calendar=Calendar(),
        policy=Policy(),
        upload="u",
        evidence=EvidenceRow(id="e", subject="rota", keep_until="", salt=b"", body=b""),
        digest="",
        by="test",
    )
