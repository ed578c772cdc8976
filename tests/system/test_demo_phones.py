"""The demo's phones, against a real mosquitto: what is due is said once, late if need be, never anew."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import pytest

from monitor.demo_phones import Progress, run_phones
from monitor.synthetic import SyntheticDay, synthetic_day
from tests.waiting import until

pytestmark = pytest.mark.store_once("phones and a broker: no store is opened")

NOW = datetime(2026, 11, 23, 10, 7, 13, tzinfo=UTC)
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


class HandClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@contextlib.asynccontextmanager
async def mosquitto(folder: Path, port: int) -> AsyncIterator[str]:
    assert MOSQUITTO, "mosquitto is needed: script/test installs it"
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = await asyncio.create_subprocess_exec(
        MOSQUITTO, "-c", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: _answers(port), what="mosquitto listens")
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


class Ear:
    """Everything that is published, live."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    @contextlib.asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[Ear]:
        async with aiomqtt.Client("127.0.0.1", port, timeout=30) as client:
            await client.subscribe("owntracks/#", qos=1)
            task = asyncio.create_task(self._listen(client))
            try:
                yield self
            finally:
                task.cancel()

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            if not message.retain:
                self.heard.append((str(message.topic), message.payload))


def due(day: SyntheticDay, at: datetime) -> set[tuple[str, bytes]]:
    return {
        (message.topic, message.payload)
        for plan in day.phones
        for message in plan.messages
        if message.due_at <= at
    }


@contextlib.asynccontextmanager
async def phones(
    day: SyntheticDay, url: str, clock: HandClock, progress: Path | None = None
) -> AsyncIterator[None]:
    task = asyncio.create_task(run_phones(day, url, clock, speed=600, progress=progress))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_past_hour_is_delivered_at_once_and_the_rest_when_it_is_due(
    tmp_path: Path, free_port: int
) -> None:
    day, clock, ear = synthetic_day(1, NOW), HandClock(NOW), Ear()
    async with (
        mosquitto(tmp_path, free_port) as url,
        ear.listening(free_port),
        phones(day, url, clock),
    ):
        past = due(day, NOW)
        await until(lambda: len(ear.heard) >= len(past), what="the past hour")
        assert sorted(ear.heard) == sorted(past)
        clock.at = NOW + timedelta(minutes=30)
        more = due(day, clock.at)
        await until(lambda: len(ear.heard) >= len(more), what="the next half hour")
        assert sorted(ear.heard) == sorted(more)


async def test_each_phone_says_its_messages_in_their_order(tmp_path: Path, free_port: int) -> None:
    day, ear = synthetic_day(1, NOW), Ear()
    clock = HandClock(NOW + timedelta(days=1))
    async with mosquitto(tmp_path, free_port) as url, ear.listening(free_port):
        await asyncio.wait_for(run_phones(day, url, clock), 120)
        everything = sum(len(plan.messages) for plan in day.phones)
        await until(lambda: len(ear.heard) >= everything, what="the whole day")
    for plan in day.phones:
        said = [payload for topic, payload in ear.heard if topic.split("/")[1] == plan.user]
        assert said == [message.payload for message in plan.messages]


async def test_started_again_they_go_on_where_they_stopped(tmp_path: Path, free_port: int) -> None:
    day, clock, ear = synthetic_day(1, NOW), HandClock(NOW), Ear()
    progress = tmp_path / "phones"
    async with mosquitto(tmp_path, free_port) as url, ear.listening(free_port):
        async with phones(day, url, clock, progress):
            await until(lambda: len(ear.heard) >= len(due(day, NOW)), what="the past hour")
        clock.at = NOW + timedelta(minutes=20)
        async with phones(day, url, clock, progress):
            await until(lambda: set(ear.heard) >= due(day, clock.at), what="what fell due meanwhile")
    assert len(ear.heard) == len(due(day, clock.at))


async def test_without_a_broker_they_wait_and_then_say_everything(tmp_path: Path, free_port: int) -> None:
    day, clock, progress = synthetic_day(1, NOW), HandClock(NOW), tmp_path / "phones"
    async with phones(day, f"mqtt://127.0.0.1:{free_port}", clock, progress):
        await until(progress.exists, what="a second without a broker")
        assert acknowledged(day, progress) == 0
        async with mosquitto(tmp_path, free_port):
            past = len(due(day, NOW))
            await until(lambda: acknowledged(day, progress) == past, timeout=40, what="the past hour, late")


def acknowledged(day: SyntheticDay, progress: Path) -> int:
    kept = Progress(progress)
    return sum(kept.count(plan.user) for plan in day.phones)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1883", "127.0.0.1:1883", "mqtt://"])
async def test_an_address_that_is_no_broker_is_refused_with_what_was_expected(url: str) -> None:
    with pytest.raises(ValueError, match="expected a broker such as mqtt://"):
        await run_phones(synthetic_day(1, NOW), url, HandClock(NOW))


@pytest.mark.parametrize("text", ["", "u01", "u01 many", "\x00\x01 \xff", "u01 -3"])
def test_a_progress_file_that_cannot_be_read_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "phones"
    path.write_bytes(text.encode("latin-1"))
    assert Progress(path).count("u01") == 0


def test_progress_survives_a_stop(tmp_path: Path) -> None:
    one = Progress(tmp_path / "phones")
    one.sent("u01", 12)
    one.sent("u02", 0)
    one.save()
    assert Progress(tmp_path / "phones").count("u01") == 12
