"""The care workers' phones of a synthetic day, alive: each publishes over MQTT what its plan says, when it is due.

A stopped demo may be started again. What a phone says is fixed by the day's seed, down to the `_id`, so anything
said twice is the same message and is recognised as such. With a `progress` file little is said twice at all; what
fell due while everything was off is then delivered late with its true times, as a phone would.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import structlog

from monitor.clock import Clock
from monitor.synthetic import PhoneMessage, PhonePlan, SyntheticDay

CONNECT_S = 10.0
GOODBYE_S = 1.0
PUBLISH_S = 20.0
LONGEST_SLEEP_S = 1.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0

log = structlog.get_logger()


class Progress:
    """Up to when each phone's messages have reached the broker, in a small file that survives a stop.

    A file that cannot be read counts as none: then everything is said again, and recognised.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts = self._read()

    def _read(self) -> dict[str, int]:
        if self._path is None or not self._path.exists():
            return {}
        rows = (line.split() for line in self._path.read_text(errors="replace").splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}

    def count(self, user: str) -> int:
        """How many messages of this phone the broker has acknowledged."""
        return self._counts.get(user, 0)

    def sent(self, user: str, count: int) -> None:
        """The broker has acknowledged the phone's first `count` messages."""
        self._counts[user] = count

    def save(self) -> None:
        """Write the file whole or not at all."""
        if self._path is None:
            return
        text = "".join(f"{user} {count}\n" for user, count in sorted(self._counts.items()))
        beside = self._path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self._path)


async def run_phones(
    day: SyntheticDay,
    broker_url: str,
    clock: Clock,
    speed: float = 1.0,
    *,
    passwords: Mapping[str, str] | None = None,
    progress: Path | None = None,
) -> None:
    """Publish the whole day; returns when the last phone has said everything, hours later. Cancel it to stop.

    `broker_url` is `mqtt://host:port`; `speed`: how many seconds of `clock` pass in one of ours. Each phone has
    its own connection, client id (`phone-u07`) and user name (`u07`), with the password of `passwords` if any.
    A broker that is away is tried again for ever, with a capped delay. Raises ValueError for a URL that is none.
    """
    broker = _Broker(broker_url, passwords or {})
    done = Progress(progress)
    saver = asyncio.create_task(_save_often(done), name="phones-progress")
    try:
        async with asyncio.TaskGroup() as group:
            for plan in day.phones:
                phone = _Phone(plan, broker, clock, speed, done)
                group.create_task(phone.run(), name=f"phone-{plan.user}")
    finally:
        saver.cancel()
        done.save()


async def _save_often(done: Progress) -> None:
    while True:
        await asyncio.sleep(1.0)
        await asyncio.to_thread(done.save)


class _Broker:
    def __init__(self, url: str, passwords: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError("expected a broker such as mqtt://127.0.0.1:1883")
        self._host, self._passwords = parts.hostname, passwords
        self._port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
        self._tls = ssl.create_default_context() if parts.scheme == "mqtts" else None

    def client(self, user: str) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._host,
            self._port,
            username=user,
            password=self._passwords.get(user),
            identifier=f"phone-{user}",
            timeout=CONNECT_S,
            tls_context=self._tls,
        )


def _end_if_cancelled() -> None:
    """aiomqtt waits by `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes together with what
    it waited for."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextlib.asynccontextmanager
async def _connected(client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
    """A broker that does not answer the goodbye is left standing: Ctrl-C must not wait for it ten seconds."""
    await client.__aenter__()
    try:
        yield client
    finally:
        with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await client.__aexit__(None, None, None)


class _Phone:
    def __init__(
        self,
        plan: PhonePlan,
        broker: _Broker,
        clock: Clock,
        speed: float,
        done: Progress,
    ) -> None:
        self._plan, self._broker, self._clock, self._speed = plan, broker, clock, speed
        self._done = done

    async def run(self) -> None:
        delay_s = FIRST_RETRY_S
        while (before := self._next()) < len(self._plan.messages):
            try:
                await self._talk()
            except (aiomqtt.MqttError, TimeoutError, OSError) as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # aiomqtt's farewell to a broker that has gone replaces the cancellation by its own error
                    raise asyncio.CancelledError from error
                delay_s = FIRST_RETRY_S if self._next() > before else min(delay_s * 2, LAST_RETRY_S)
                log.debug("a phone has no broker", error=type(error).__name__, delay_s=delay_s)
                await asyncio.sleep(delay_s)

    def _next(self) -> int:
        return self._done.count(self._plan.user)

    async def _talk(self) -> None:
        """One connection: one message at a time, each counted when the broker has acknowledged it."""
        async with _connected(self._broker.client(self._plan.user)) as client:
            for number, message in enumerate(self._plan.messages[self._next() :], self._next() + 1):
                _end_if_cancelled()
                await self._wait_until(message.due_at)
                await self._publish(client, message)
                self._done.sent(self._plan.user, number)

    async def _wait_until(self, due_at: datetime) -> None:
        # in short sleeps: the clock may be set, and a paused machine wakes up late
        while (ahead := (due_at - self._clock.now()).total_seconds() / self._speed) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(ahead, LONGEST_SLEEP_S))

    async def _publish(self, client: aiomqtt.Client, message: PhoneMessage) -> None:
        await client.publish(message.topic, message.payload, qos=1, retain=message.retain, timeout=PUBLISH_S)
