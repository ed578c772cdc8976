"""Check-ins over MQTT through a real mosquitto; the desk behind it is the test's, which says what is durable when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

import aiomqtt
import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from connectors import mqtt
from connectors.embedded_broker import embedded_broker
from connectors.mqtt import Acknowledgements, Broker, MqttFeed, Ticket
from connectors.ports import (
    ApiProblem,
    Degraded,
    Desks,
    NotTaken,
    Reason,
    SeenCheckIn,
    StoreFenced,
    StoreUnavailable,
)
from monitor.core.inputs import Outcome
from monitor.core.views import CheckInAnswer
from tests.system.broker import (
    LOOPBACK,
    Certificate,
    Mosquitto,
    accepts,
    phone,
    publish,
    response_to,
)
from tests.waiting import until, until_sync

pytestmark = pytest.mark.store_once("the desk behind the reader is the test's: no store is opened")

NOW = datetime(2026, 3, 29, 9, 0, tzinfo=UTC)
TST = 1774769460
PHONE = "callwatch/north/phone-17"
CHECKIN = f"{PHONE}/checkin"
Version = Literal["5", "3.1.1"]


def arrival(number: int, **more: Any) -> bytes:
    """Our own JSON."""
    return json.dumps({"id": f"c-{number}", "kind": "arrive", "at": "2026-03-29T07:31:00Z"} | more).encode()


def entering(number: int) -> bytes:
    """OwnTracks."""
    return json.dumps(
        {"_type": "transition", "event": "enter", "tst": TST + number, "lat": 51.4, "lon": 0.01, "acc": 20}
    ).encode()


class OurDesks:
    """Records what comes, and leaves it to the test when an answer is durable."""

    def __init__(self, *, hold: bool = False) -> None:
        self.hold = hold
        self.devices = {
            "callwatch:phone-17": "north",
            "owntracks:u17/phone": "north",
            "callwatch:phone-99": "south",
        }
        self.seen: list[SeenCheckIn] = []
        self.desks: list[str] = []
        self.held: list[asyncio.Future[CheckInAnswer]] = []
        self.aside: list[tuple[str, Reason, bytes, str | None]] = []
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.feed: list[str] = []
        self.seen_when_drained: list[int] = []
        self.on_disk = asyncio.Event()
        self.asked_for_disk = 0
        self.gives_up = False
        self.refuse: Callable[[SeenCheckIn], Exception | None] = lambda _: None
        self.quarantine_fails: list[Exception] = []

    @property
    def ids(self) -> list[str | None]:
        """The check-ins' own ids, in order."""
        return [seen.id for seen in self.seen]

    def desk_ids(self) -> list[str]:
        return ["north", "south"]

    def desk_of_device(self, device: str) -> str | None:
        return self.devices.get(device)

    def check_in(self, desk: str, seen: SeenCheckIn) -> asyncio.Future[CheckInAnswer]:
        self.seen.append(seen)
        self.desks.append(desk)
        if (error := self.refuse(seen)) is not None:
            raise error
        future: asyncio.Future[CheckInAnswer] = asyncio.get_running_loop().create_future()
        if self.hold:
            self.held.append(future)
        else:
            future.set_result(answer_to(seen, len(self.seen)))
        return future

    def release(self) -> None:
        """Everything held is durable, and so is what comes from now on."""
        self.hold = False
        for number, future in enumerate(self.held):
            if not future.done():
                future.set_result(answer_to(self.seen[number], number + 1))

    def fail(self, error: Exception) -> None:
        """Everything held fails."""
        self.hold = False
        for future in self.held:
            if not future.done():
                future.set_exception(error)

    async def durable(self, desk: str) -> None:
        self.asked_for_disk += 1
        if self.gives_up:
            waiter = asyncio.get_running_loop().create_future()
            waiter.cancel()
            await waiter
        await self.on_disk.wait()

    async def quarantine(self, source: str, reason: Reason, raw: bytes, desk: str | None = None) -> None:
        if self.quarantine_fails:
            raise self.quarantine_fails.pop(0)
        self.aside.append((source, reason, raw, desk))

    def feed_changed(self, feed: str, state: str) -> None:
        assert feed == "mqtt"
        self.feed.append(state)
        if state == "drained":
            self.seen_when_drained.append(len(self.seen))

    def counted(self, desk: str, source: str, outcome: Outcome) -> None:
        self.counts[desk, source, outcome] += 1

    async def drained(self, times: int = 1) -> None:
        """As soon as the feed has said so that often."""
        await until(lambda: self.feed.count("drained") >= times, timeout=40, what="the feed is drained")


def answer_to(seen: SeenCheckIn, seq: int) -> CheckInAnswer:
    return CheckInAnswer(id=seen.id, stored=True, outcome="arrived", visit="v-1", seq=seq)


def feed_of(desks: OurDesks, url: str, **more: Any) -> MqttFeed:
    return MqttFeed(
        cast(Desks, desks), url=url, client_id=more.pop("client_id", "callwatch-0"), clock=lambda: NOW, **more
    )


@contextlib.asynccontextmanager
async def running(feed: MqttFeed) -> AsyncIterator[MqttFeed]:
    """The feed runs within the block."""
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def watching(desks: OurDesks, broker: Mosquitto | Wire, **more: Any) -> AsyncIterator[MqttFeed]:
    """A feed that has come up and been drained once."""
    async with running(feed_of(desks, broker.url, **more)) as feed:
        await desks.drained()
        yield feed


async def acknowledged(feed: MqttFeed) -> None:
    """The broker has read every PUBACK: our own message behind them has come back."""
    await until(lambda: feed.unacknowledged == 0, timeout=40)
    assert await feed.settle(30) == "drained"


async def session_made(broker: Mosquitto, **more: Any) -> None:
    """The broker knows us from now on and keeps what comes while we are away."""
    async with watching(OurDesks(), broker, **more):
        pass


async def left_at_broker(broker: Mosquitto, **more: Any) -> list[str | None]:
    """What was not acknowledged: it comes again to whoever connects under our name."""
    desks = OurDesks()
    async with watching(desks, broker, **more) as feed:
        await acknowledged(feed)
    return desks.ids


async def sent(broker: Mosquitto, *messages: tuple[str, bytes], retain: bool = False, **more: Any) -> None:
    """Published by a phone and acknowledged to it."""

    def send() -> None:
        with phone(broker, **more) as client:
            publish(client, messages, retain=retain)

    await asyncio.to_thread(send)


class Wire:
    """The network between us and the broker, which can be cut. With a certificate it speaks TLS to us, and puts
    many packets into one record, as a TLS proxy before a broker does."""

    def __init__(self, broker: Mosquitto, certificate: Certificate | None = None) -> None:
        self._broker = broker
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(certificate.cert, certificate.key)
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._pipes: set[asyncio.Task[None]] = set()
        self.opened = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"{'mqtts' if self._tls else 'mqtt'}://{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._through, LOOPBACK, 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Every connection ends, in both directions, without a goodbye."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._broker.port)
        self._writers += [writer, far_writer]
        for one, other in ((reader, far_writer), (far_reader, writer)):
            pipe = asyncio.create_task(_pipe(one, other))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, options="max_queued_messages 0\nmax_inflight_messages 0") as started:
        yield started


@pytest.fixture
def quick_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is that we come back, not how long we wait."""
    monkeypatch.setattr(mqtt, "_BACK_OFF_CAP_S", 0.05)


# --- reading ---


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_our_json_and_owntracks_come_in_under_their_topics_identity(
    broker: Mosquitto, version: Version
) -> None:
    desks = OurDesks()
    async with watching(desks, broker, protocol_version=version) as feed:
        await sent(broker, (CHECKIN, arrival(1)), ("owntracks/u17/phone/event", entering(1)))
        await until(lambda: len(desks.seen) == 2)
        await acknowledged(feed)
    ours, theirs = sorted(desks.seen, key=lambda seen: seen.source)
    assert (ours.source, ours.kind, ours.device, ours.raw) == (
        "mqtt",
        "arrive",
        "callwatch:phone-17",
        arrival(1),
    )
    assert (theirs.source, theirs.device, theirs.region_enter) == ("owntracks", "owntracks:u17/phone", True)
    assert type(theirs.raw) is bytes
    assert desks.desks == ["north", "north"]
    assert desks.feed == ["up", "drained"]
    assert await left_at_broker(broker, protocol_version=version) == []


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_session_made_with_one_version_keeps_what_comes_while_we_are_away(
    broker: Mosquitto, version: Version
) -> None:
    await session_made(broker, protocol_version=version)
    await sent(broker, (CHECKIN, arrival(1)))
    assert await left_at_broker(broker, protocol_version=version) == ["c-1"]


async def test_unknown_devices_are_counted_and_acknowledged(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker) as feed:
        await sent(
            broker,
            ("callwatch/north/nobody/checkin", arrival(1)),
            ("callwatch/nowhere/nobody/checkin", arrival(1)),
            ("owntracks/nobody/phone", entering(1)),
            ("owntracks/short", entering(1)),
            (CHECKIN, arrival(2)),
        )
        await until(lambda: desks.ids == ["c-2"])
        await acknowledged(feed)
    assert desks.counts == {
        ("north", "mqtt", "unknown_device"): 1,
        ("", "mqtt", "unknown_device"): 1,
        ("", "owntracks", "unknown_device"): 2,
    }
    assert await left_at_broker(broker) == []


async def test_a_device_of_another_desk_is_put_aside_as_a_forged_identity(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker):
        await sent(
            broker,
            ("callwatch/north/phone-99/checkin", arrival(1)),
            (CHECKIN, arrival(2, device="callwatch:phone-99")),
            ("owntracks/u17/phone", b'{"_type":"location","topic":"owntracks/u18/phone"}'),
        )
        await until(lambda: len(desks.aside) == 3)
    assert [(source, reason, desk) for source, reason, _, desk in desks.aside] == [
        ("mqtt", "identity", "south"),
        ("mqtt", "identity", "north"),
        ("owntracks", "identity", "north"),
    ]
    assert desks.seen == []


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_what_was_retained_is_recognised_before_anything_else(
    broker: Mosquitto, version: Version
) -> None:
    await sent(
        broker,
        ("owntracks/u17/phone", entering(1)),
        ("owntracks/nobody/phone", entering(2)),
        ("owntracks/u17/phone/rubbish", b"rubbish"),
        ("callwatch/north/phone-99/checkin", arrival(3)),
        retain=True,
    )
    desks = OurDesks()
    async with watching(desks, broker, protocol_version=version) as feed:
        await acknowledged(feed)
        await sent(broker, ("owntracks/u17/phone", entering(4)))
        await until(lambda: len(desks.seen) == 2)
    assert [(seen.kind, seen.retained) for seen in desks.seen] == [("arrive", True), ("arrive", False)]
    assert desks.counts == {
        ("", "owntracks", "retained"): 1,
        ("north", "owntracks", "retained"): 1,
        ("south", "mqtt", "retained"): 1,
    }
    assert desks.aside == []


async def test_one_bad_message_is_put_aside_and_the_others_go_on(broker: Mosquitto) -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    bad: list[tuple[str, bytes, Reason]] = [
        (CHECKIN, b"\xff\xfe\x00garbage", "bad_body"),
        (CHECKIN, b"", "bad_body"),
        (CHECKIN, b'{"id":1,"kind":"arrive","at":"2026-03-29T07:31:00Z"}', "wrong_type"),
        (CHECKIN, deep, "too_deep"),
        (CHECKIN, b"x" * 10_000_000, "too_large"),
        ("owntracks/u17/phone", b"\xff\xfe\x00garbage", "bad_body"),
        ("owntracks/u17/phone", deep, "too_deep"),
        ("owntracks/u17/phone", b'{"_type":"encrypted","data":"AAAA"}', "undecodable"),
        ("owntracks/u17/phone", b'{"_type":"location","tst":"x"}', "wrong_type"),
    ]
    desks = OurDesks()
    async with watching(desks, broker) as feed:
        await sent(
            broker, (CHECKIN, arrival(1)), *((topic, body) for topic, body, _ in bad), (CHECKIN, arrival(2))
        )
        await until(lambda: desks.ids == ["c-1", "c-2"], timeout=40)
        await acknowledged(feed)
    assert [reason for _, reason, _, _ in desks.aside] == [reason for _, _, reason in bad]
    assert [raw for _, _, raw, _ in desks.aside] == [
        body[:4096] if reason == "too_large" else body for _, body, reason in bad
    ]
    assert await left_at_broker(broker) == []


async def test_an_owntracks_message_without_a_check_in_is_simply_acknowledged(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker) as feed:
        await sent(
            broker, ("owntracks/u17/phone/info", b'{"_type":"card","name":"x"}'), ("owntracks/u17/phone", b"")
        )
        await sent(broker, (CHECKIN, arrival(1)))
        await until(lambda: desks.ids == ["c-1"])
        await acknowledged(feed)
    assert (desks.aside, desks.counts) == ([], {})


async def test_a_check_in_that_the_desk_cannot_decide_is_put_aside(broker: Mosquitto) -> None:
    errors = {"c-1": ZeroDivisionError(), "c-2": ApiProblem(409, "no", "no"), "c-3": None}
    desks = OurDesks()
    desks.refuse = lambda seen: errors[seen.id or ""]
    async with watching(desks, broker) as feed:
        await sent(broker, *((CHECKIN, arrival(n)) for n in (1, 2, 3)))
        await until(lambda: len(desks.seen) == 3)
        await acknowledged(feed)
    assert desks.aside == [
        ("mqtt", "decide_failed", arrival(1), "north"),
        ("mqtt", "other", arrival(2), "north"),
    ]


# --- acknowledging ---


async def test_ten_thousand_sent_while_we_were_away_all_come_and_are_acknowledged(tmp_path: Path) -> None:
    who = {"username": "callwatch", "password": "secret-1"}
    with Mosquitto(tmp_path, passwords={"callwatch": "secret-1", "phone-17": "secret-2"}) as shipped:
        await session_made(shipped, **who)
        await sent(
            shipped,
            *((CHECKIN, arrival(number)) for number in range(10_000)),
            name="phone-17",
            password="secret-2",
        )
        desks = OurDesks()
        async with watching(desks, shipped, **who) as feed:
            assert desks.seen_when_drained == [10_000]
            await acknowledged(feed)
        assert desks.ids == [f"c-{number}" for number in range(10_000)]
        assert await left_at_broker(shipped, **who) == []


async def test_nothing_is_acknowledged_before_it_is_durable(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with watching(desks, broker) as feed:
        await sent(broker, *((CHECKIN, arrival(number)) for number in range(20)))
        await until(lambda: feed.unacknowledged == 20)
    assert await left_at_broker(broker) == [f"c-{number}" for number in range(20)]


async def test_acknowledgements_keep_the_order_of_receipt(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with watching(desks, broker) as feed:
        await sent(broker, *((CHECKIN, arrival(number)) for number in range(4)))
        await until(lambda: len(desks.held) == 4)
        for number in (3, 0, 2):
            desks.held[number].set_result(answer_to(desks.seen[number], number))
        await until(lambda: feed.unacknowledged == 3)
        assert await feed.settle(30) == "drained"
    assert await left_at_broker(broker) == ["c-1", "c-2", "c-3"]


@pytest.mark.usefixtures("quick_back_off")
async def test_a_stale_acknowledgement_destroys_nothing(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with Wire(broker) as wire, watching(desks, wire) as feed:
        await sent(broker, *((CHECKIN, arrival(number)) for number in range(5)))
        await until(lambda: len(desks.held) == 5)
        wire.cut()
        await until(lambda: len(desks.held) == 10)
        for number in range(5):
            desks.held[number].set_result(answer_to(desks.seen[number], number))
        assert await feed.settle(30) == "drained"
        # five check-ins of the new connection, and the markers behind them
        assert feed.unacknowledged >= 5
    assert await left_at_broker(broker) == [f"c-{number}" for number in range(5)]


class Spy(paho.Client):
    """Writes down what would have been written to the broker."""

    def __init__(self) -> None:
        super().__init__(CallbackAPIVersion.VERSION2)
        self.written: list[bytes] = []

    def _packet_queue(
        self, command: int, packet: bytes | bytearray, mid: int, qos: int, info: Any = None
    ) -> MQTTErrorCode:
        self.written.append(bytes(packet))
        return MQTTErrorCode.MQTT_ERR_SUCCESS


async def test_a_ticket_is_good_on_its_own_connection_only() -> None:
    acknowledgements = Acknowledgements()
    first, second = (aiomqtt.Client("nowhere") for _ in range(2))
    first._client, second._client = spies = Spy(), Spy()
    link, old = acknowledgements.take_over(first)
    assert link is spies[0]
    assert acknowledgements.acknowledge(Ticket(old, 7, 1)) == "sent"
    assert acknowledgements.acknowledge(Ticket(old, 0, 0)) == "not_needed"
    assert acknowledgements.acknowledge(Ticket(old, 8, 1)) == "sent"
    acknowledgements.send()
    acknowledgements.send()
    assert acknowledgements.acknowledge(Ticket(old, 9, 1)) == "sent"  # and then the connection is lost
    _, new = acknowledgements.take_over(second)
    assert acknowledgements.acknowledge(Ticket(old, 7, 1)) == "stale"
    assert acknowledgements.acknowledge(Ticket(new, 7, 1)) == "sent"
    acknowledgements.send()
    assert acknowledgements.acknowledge(Ticket(new, 8, 1)) == "sent"
    acknowledgements.release()
    acknowledgements.send()
    assert acknowledgements.acknowledge(Ticket(new, 8, 1)) == "stale"
    assert [spy.written for spy in spies] == [[b"\x40\2\0\7\x40\2\0\10"], [b"\x40\2\0\7"]]


async def test_a_commit_blocked_for_sixty_seconds_keeps_the_connection(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with watching(desks, broker, keepalive_s=10) as feed:
        await sent(broker, *((CHECKIN, arrival(number)) for number in range(50)))
        await until(lambda: len(desks.held) == 50)
        assert await feed.settle(30) == "drained"
        # mosquitto gives a silent client up after one and a half keepalives
        blocked = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - blocked > 60, timeout=70)
        assert desks.feed == ["up", "drained"]
        desks.release()
        await acknowledged(feed)
        await sent(broker, (CHECKIN, arrival(50)))
        await until(lambda: len(desks.seen) == 51)
        assert desks.feed == ["up", "drained"]
    assert await left_at_broker(broker) == []


async def test_above_the_high_water_mark_the_socket_is_not_read(broker: Mosquitto) -> None:
    await session_made(broker, protocol_version="3.1.1")
    await sent(broker, *((CHECKIN, arrival(number)) for number in range(2000)))
    desks = OurDesks(hold=True)
    feed = feed_of(desks, broker.url, protocol_version="3.1.1", high_water=100)
    async with running(feed):
        await until(lambda: feed.reading == "paused")
        assert await feed.settle(0.5) in ("unknown", "down")
        assert 100 < feed.unacknowledged < 110
        assert len(desks.seen) == feed.unacknowledged
        desks.release()
        await desks.drained()
        await acknowledged(feed)
        assert feed.reading == "reading"
    assert desks.ids == [f"c-{number}" for number in range(2000)]


async def test_a_few_large_bodies_reach_the_mark_too(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "HIGH_WATER_BYTES", 1 << 20)
    large = [(CHECKIN, arrival(number, note="x" * 200_000)) for number in range(12)]
    desks = OurDesks(hold=True)
    async with watching(desks, broker) as feed:
        await sent(broker, *large)
        await until(lambda: feed.reading == "paused")
        assert len(desks.seen) == 6
        desks.release()
        await until(lambda: len(desks.seen) == 12)
        await acknowledged(feed)


async def test_reading_goes_on_below_half_of_the_mark_and_not_before(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    feed = feed_of(desks, broker.url, protocol_version="3.1.1", high_water=10)
    async with running(feed):
        await desks.drained()
        await sent(broker, *((CHECKIN, arrival(number)) for number in range(30)))
        await until(lambda: feed.reading == "paused")
        assert len(desks.held) == 11
        for number in range(6):
            desks.held[number].set_result(answer_to(desks.seen[number], number))
        await until(lambda: feed.unacknowledged == 5)
        assert feed.reading == "paused"
        desks.held[6].set_result(answer_to(desks.seen[6], 6))
        await until(lambda: len(desks.held) > 11)
        desks.release()
        await until(lambda: len(desks.seen) == 30)
        await acknowledged(feed)


# --- the store behind it ---


async def test_in_degraded_mode_the_connection_stays_and_nothing_is_acknowledged(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with Wire(broker) as wire, watching(desks, wire) as feed:
        await sent(broker, *((CHECKIN, arrival(number)) for number in range(100)))
        await until(lambda: len(desks.held) == 100)
        desks.fail(Degraded("full"))
        await until(lambda: desks.asked_for_disk == 1)
        await sent(broker, (CHECKIN, arrival(100)))
        await until(lambda: len(desks.seen) == 101)
        assert feed.unacknowledged == 101
        assert await feed.settle(30) == "drained"
        desks.on_disk.set()
        await acknowledged(feed)
        assert (wire.opened, desks.asked_for_disk, desks.feed) == (1, 1, ["up", "drained"])
    assert await left_at_broker(broker) == []


async def test_what_is_degraded_at_our_end_comes_again_to_the_next(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with watching(desks, broker):
        await sent(broker, (CHECKIN, arrival(1)))
        await until(lambda: len(desks.held) == 1)
        desks.fail(Degraded("full"))
        await until(lambda: desks.asked_for_disk == 1)
    assert await left_at_broker(broker) == ["c-1"]


@pytest.mark.usefixtures("quick_back_off")
@pytest.mark.parametrize(
    "error", [StoreFenced("fenced"), StoreFenced("fenced", permanent=True), StoreUnavailable("full")]
)
async def test_a_desk_that_is_led_by_another_drops_the_connection(
    broker: Mosquitto, error: Exception
) -> None:
    desks = OurDesks(hold=True)
    async with Wire(broker) as wire, watching(desks, wire) as feed:
        await sent(broker, (CHECKIN, arrival(1)))
        await until(lambda: len(desks.held) == 1)
        desks.fail(error)
        await until(lambda: desks.ids == ["c-1", "c-1"])
        await acknowledged(feed)
        assert wire.opened == 2
        await desks.drained(2)
        assert desks.feed == ["up", "drained", "down", "up", "drained"]
    assert await left_at_broker(broker) == []


@pytest.mark.usefixtures("quick_back_off")
async def test_a_desk_given_up_while_it_is_degraded_drops_the_connection(broker: Mosquitto) -> None:
    """`durable()` is then cancelled from within: a task group would take that for a tidy end."""
    desks = OurDesks(hold=True)
    desks.gives_up = True
    async with Wire(broker) as wire, watching(desks, wire) as feed:
        await sent(broker, (CHECKIN, arrival(1)))
        await until(lambda: len(desks.held) == 1)
        desks.fail(Degraded("full"))
        await until(lambda: wire.opened == 2 and desks.ids == ["c-1", "c-1"])
        await acknowledged(feed)


@pytest.mark.usefixtures("quick_back_off")
async def test_a_desk_that_is_given_up_drops_the_connection(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with watching(desks, broker) as feed:
        await sent(broker, (CHECKIN, arrival(1)))
        await until(lambda: len(desks.held) == 1)
        desks.hold = False
        desks.held[0].cancel()
        await until(lambda: desks.ids == ["c-1", "c-1"])
        await acknowledged(feed)


@pytest.mark.usefixtures("quick_back_off")
async def test_what_was_not_even_applied_comes_again_and_is_decided_then(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with Wire(broker) as wire, watching(desks, wire) as feed:
        await sent(broker, (CHECKIN, arrival(1)))
        await until(lambda: len(desks.held) == 1)
        desks.on_disk.set()  # all that was decided is: that says nothing of what was not
        desks.fail(NotTaken("full"))
        await until(lambda: desks.ids == ["c-1", "c-1"])
        await acknowledged(feed)
    assert desks.aside == []


async def test_a_desk_that_is_led_elsewhere_holds_up_no_other(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with Wire(broker) as wire, watching(desks, wire) as feed:
        await sent(broker, (CHECKIN, arrival(1)), (CHECKIN, arrival(2)))
        await until(lambda: len(desks.held) == 2)
        desks.held[0].set_exception(NotTaken("fenced"))
        desks.held[1].set_result(answer_to(desks.seen[1], 2))
        await acknowledged(feed)
        assert wire.opened == 1
    assert [(reason, desk) for _, reason, _, desk in desks.aside] == [("fenced", "north")]


async def test_rubbish_is_acknowledged_only_when_it_is_kept(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_QUARANTINE_AGAIN_S", 0.01)
    desks = OurDesks()
    desks.quarantine_fails = [StoreUnavailable("full"), Degraded("full")]
    async with watching(desks, broker) as feed:
        await sent(broker, (CHECKIN, b"rubbish"), (CHECKIN, arrival(1)))
        await until(lambda: feed.unacknowledged == 0 and desks.ids == ["c-1"])
    assert desks.aside == [("mqtt", "bad_body", b"rubbish", "north")]
    assert desks.feed == ["up", "drained"]


async def test_rubbish_that_cannot_be_kept_does_not_bury_the_check_ins_behind_it(broker: Mosquitto) -> None:
    desks = OurDesks()
    desks.quarantine_fails = [ZeroDivisionError()]
    async with watching(desks, broker) as feed:
        await sent(broker, (CHECKIN, b"rubbish"), (CHECKIN, arrival(1)))
        await until(lambda: feed.unacknowledged == 0 and desks.ids == ["c-1"])


# --- drained ---


async def test_a_feed_that_cannot_be_drained_in_time_is_unknown_until_it_is(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "DRAIN_S", 0.3)
    await session_made(broker)
    await sent(broker, *((CHECKIN, arrival(number)) for number in range(50)))
    desks = OurDesks(hold=True)
    async with running(feed_of(desks, broker.url, high_water=10)):
        await until(lambda: desks.feed == ["up", "unknown"])
        desks.release()
        await desks.drained()
    assert (desks.feed, desks.seen_when_drained) == (["up", "unknown", "drained"], [50])


async def test_after_a_stall_what_waited_in_the_socket_is_read_first(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker) as feed:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect(LOOPBACK, broker.port)
        client.loop_start()
        # this thread is the event loop's: while it waits here, nothing is read
        publish(client, [(CHECKIN, arrival(number)) for number in range(500)])
        client.disconnect()
        client.loop_stop()
        assert len(desks.seen) < 500
        assert await feed.settle() == "drained"
        assert len(desks.seen) == 500


async def test_a_forged_marker_wakes_nobody(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with watching(desks, broker, high_water=10, protocol_version="5") as feed:
        await sent(broker, *((CHECKIN, arrival(number)) for number in range(20)))
        await until(lambda: len(desks.held) == 10)
        settling = asyncio.create_task(feed.settle(0.5))
        await sent(broker, ("callwatch/callwatch-0/marker", b"forged"))
        assert await settling == "unknown"


@pytest.mark.usefixtures("quick_back_off")
async def test_settling_without_a_broker_is_down_at_once_when_that_is_known(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker) as feed:
        broker.kill()
        await until(lambda: "down" in desks.feed)
        await until(lambda: feed._failures > 1)
        began = asyncio.get_running_loop().time()
        assert await feed.settle(30) == "down"
        assert asyncio.get_running_loop().time() - began < 10


@pytest.mark.usefixtures("quick_back_off")
async def test_settling_waits_for_a_connection_that_was_just_lost(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with Wire(broker) as wire, watching(desks, wire) as feed:
        wire.cut()
        await until(lambda: "down" in desks.feed)
        await sent(broker, (CHECKIN, arrival(1)))
        assert await feed.settle(30) == "drained"
        assert desks.ids == ["c-1"]


# --- losing the broker ---


@pytest.mark.usefixtures("quick_back_off")
async def test_a_broker_that_is_killed_and_started_again_is_found_again(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker) as feed:
        broker.kill()
        await until(lambda: desks.feed == ["up", "drained", "down"])
        assert (feed.reading, feed.unacknowledged) == ("away", 0)
        broker.start()
        await desks.drained(2)
        await sent(broker, (CHECKIN, arrival(1)))
        await until(lambda: desks.ids == ["c-1"])
    assert desks.feed == ["up", "drained", "down", "up", "drained"]


@pytest.mark.usefixtures("quick_back_off")
async def test_a_broker_that_is_not_there_at_the_start_is_down_once_and_then_found(tmp_path: Path) -> None:
    late = Mosquitto(tmp_path)
    desks = OurDesks()
    async with running(feed_of(desks, late.url)) as feed:
        await until(lambda: feed._failures > 2)
        assert desks.feed == ["down"]
        with late:
            await desks.drained()
            assert desks.feed == ["down", "up", "drained"]


@pytest.mark.usefixtures("quick_back_off")
async def test_a_connection_that_opens_after_it_was_given_up_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection is made in a thread that nobody can stop: a slow one comes when nobody waits for it any more."""
    monkeypatch.setattr(mqtt, "_CONNECT_S", 0.05)
    connect = paho.Client.connect
    slow = threading.Event()

    def connect_late(client: paho.Client, *said: Any, **more: Any) -> Any:
        slow.wait(60)
        return connect(client, *said, **more)

    monkeypatch.setattr(paho.Client, "connect", connect_late)
    ended: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(silent, LOOPBACK, 0)
    desks = OurDesks()
    async with server:
        async with running(feed_of(desks, f"mqtt://{LOOPBACK}:{server.sockets[0].getsockname()[1]}")):
            await until(lambda: desks.feed == ["down"])
        slow.set()
        await until(lambda: ended, what="the late connection is closed")


@pytest.mark.usefixtures("quick_back_off")
async def test_a_broker_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "_CONNECT_S", 0.2)
    open_now: set[asyncio.StreamWriter] = set()
    came: list[int] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        came.append(1)
        while await reader.read(4096):
            pass
        open_now.discard(writer)
        writer.close()

    server = await asyncio.start_server(silent, LOOPBACK, 0)
    desks = OurDesks()
    async with server, running(feed_of(desks, f"mqtt://{LOOPBACK}:{server.sockets[0].getsockname()[1]}")):
        await until(lambda: len(came) >= 3)
        await until(lambda: len(open_now) <= 1, what="the sockets given up are closed")
        assert desks.feed == ["down"]
    await until(lambda: not open_now)


async def test_the_back_off_doubles_to_its_cap_with_jitter() -> None:
    for failures, ceiling in ((1, 0.5), (2, 1.0), (6, 16.0), (7, 30.0), (1000, 30.0)):
        waits = [mqtt._back_off(failures) for _ in range(50)]
        assert ceiling / 2 <= min(waits) < max(waits) <= ceiling


# --- the end of our own ---


class _EndTogetherWith:
    """The feed, cancelled in the very turn of the loop in which something came."""

    def __init__(self, desks: OurDesks, url: str, **more: Any) -> None:
        self._feed = feed_of(desks, url, **more)
        self._task: asyncio.Task[None] | None = None
        self._said = False

    def after(self, come: Callable[..., Any]) -> Callable[..., None]:
        """A callback that does what it did and then, once, ends the feed."""

        def came(*said: Any, **more: Any) -> None:
            come(*said, **more)
            if self._task is not None and not self._said:
                self._said = self._task.cancel()

        return came

    async def ended(self) -> bool:
        """Runs until the end is heard; False when it was not."""
        self._task = asyncio.create_task(self._feed.run())
        await asyncio.wait((self._task,), timeout=30)
        heard = self._said and self._task.done()
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=1)
        return heard and self._task.cancelled()


@pytest.mark.parametrize("answer", ["_on_connect", "_on_subscribe"])
async def test_an_end_that_comes_together_with_the_brokers_answer_is_heard(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Python 3.11's `asyncio.wait_for`, by which aiomqtt waits, forgets a cancellation that finds an answer there."""
    desks = OurDesks()
    end = _EndTogetherWith(desks, broker.url)
    monkeypatch.setattr(aiomqtt.Client, answer, end.after(getattr(aiomqtt.Client, answer)))
    assert await end.ended()
    assert desks.feed == []


@pytest.mark.usefixtures("quick_back_off")
async def test_an_end_that_comes_together_with_a_refusal_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = OurDesks()
    with Mosquitto(tmp_path, passwords={"callwatch": "right"}) as shipped:
        end = _EndTogetherWith(desks, shipped.url, username="callwatch", password="wrong")
        monkeypatch.setattr(aiomqtt.Client, "_on_connect", end.after(aiomqtt.Client._on_connect))
        assert await end.ended()
    assert desks.feed == []


@pytest.mark.usefixtures("quick_back_off")
async def test_an_end_that_comes_together_with_the_loss_of_the_connection_is_heard(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task group that already ends by an error forgets that somebody else has ended it too."""
    desks = OurDesks()
    end = _EndTogetherWith(desks, broker.url)
    lost, ours = mqtt._lost, end.after(lambda: None)

    async def lost_together(client: aiomqtt.Client) -> None:
        try:
            await lost(client)
        finally:
            asyncio.get_running_loop().call_soon(ours)

    monkeypatch.setattr(mqtt, "_lost", lost_together)
    asyncio.get_running_loop().create_task(desks.drained()).add_done_callback(lambda _: broker.kill())
    assert await end.ended()


# --- the shipped configuration ---


async def test_a_phone_cannot_publish_as_another(tmp_path: Path) -> None:
    names = {"callwatch": "a", "u17": "b", "u18": "c", "phone-17": "d", "phone-18": "e"}
    desks = OurDesks()
    desks.devices |= {"owntracks:u18/phone": "north", "callwatch:phone-18": "north"}
    with Mosquitto(tmp_path, passwords=names) as shipped:
        async with watching(desks, shipped, username="callwatch", password="a") as feed:
            await sent(shipped, ("owntracks/u17/phone", entering(1)), name="u18", password="c")
            await sent(shipped, (CHECKIN, arrival(1)), name="phone-18", password="e")
            await sent(shipped, ("callwatch/callwatch-0/marker", b"x"), name="phone-18", password="e")
            await sent(shipped, ("callwatch/north/phone-17/receipt", b"x"), name="phone-18", password="e")
            await sent(shipped, ("owntracks/u17/phone", entering(2)), name="u17", password="b")
            await sent(shipped, (CHECKIN, arrival(2)), name="phone-17", password="d")
            await until(lambda: len(desks.seen) == 2)
            await acknowledged(feed)
    assert [(seen.device, seen.id) for seen in desks.seen] == [
        ("owntracks:u17/phone", None),
        ("callwatch:phone-17", "c-2"),
    ]
    assert desks.seen[0].at.timestamp() == TST + 2


@pytest.mark.usefixtures("quick_back_off")
@pytest.mark.parametrize("password", ["wrong", None])
async def test_without_the_right_password_we_stay_out_and_say_so(
    tmp_path: Path, password: str | None
) -> None:
    desks = OurDesks()
    with Mosquitto(tmp_path, passwords={"callwatch": "right"}) as shipped:
        async with running(feed_of(desks, shipped.url, username="callwatch", password=password)) as feed:
            await until(lambda: feed._failures > 1)
    assert desks.feed == ["down"]


async def test_the_shipped_broker_keeps_its_promise_across_a_kill(tmp_path: Path) -> None:
    """All but the last second is on its disk; and after it the ACL still knows our waiting session."""
    who = {"username": "callwatch", "password": "a"}
    with Mosquitto(tmp_path, passwords={"callwatch": "a", "phone-17": "b"}) as shipped:
        await session_made(shipped, **who)
        await sent(shipped, *((CHECKIN, arrival(n)) for n in range(300)), name="phone-17", password="b")
        store = tmp_path / "mosquitto.db"
        # two more saves: the one that may have been under way when the last message came, and one after it
        for _ in range(2):
            saved = store.stat().st_mtime_ns if store.exists() else 0
            await until(lambda: store.exists() and store.stat().st_mtime_ns != saved)  # noqa: B023 - awaited here
        shipped.kill()
        shipped.start()
        await sent(shipped, (CHECKIN, arrival(300)), name="phone-17", password="b")
        assert await left_at_broker(shipped, **who) == [f"c-{number}" for number in range(301)]


# --- TLS ---


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_over_tls_with_a_certificate_of_ones_own(tmp_path: Path, version: Version) -> None:
    certificate = await asyncio.to_thread(Certificate, tmp_path)
    options = "max_queued_messages 0\nmax_inflight_messages 0"
    more = {"ca_file": certificate.cert, "protocol_version": version, "high_water": 100}
    with Mosquitto(tmp_path, certificate=certificate, options=options) as secured:
        await session_made(secured, **more)

        def send() -> None:
            client = paho.Client(CallbackAPIVersion.VERSION2)
            client.tls_set_context(ssl.create_default_context(cafile=str(certificate.cert)))
            client.connect(LOOPBACK, secured.port)
            client.loop_start()
            publish(client, [(CHECKIN, arrival(number, note="x" * 5000)) for number in range(400)])
            client.disconnect()
            client.loop_stop()

        await asyncio.to_thread(send)
        desks = OurDesks(hold=True)
        async with running(feed_of(desks, secured.url, **more)) as feed:
            # filled and released in waves, so that bytes wait inside TLS when reading starts again
            await until(lambda: len(desks.seen) >= 100)
            desks.release()
            await desks.drained()
            await acknowledged(feed)
        assert desks.ids == [f"c-{number}" for number in range(400)]


async def test_what_tls_has_already_decrypted_is_read_without_waiting_for_more(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_READ_AT_ONCE", 5)
    certificate = await asyncio.to_thread(Certificate, tmp_path)
    await session_made(broker)
    await sent(broker, *((CHECKIN, arrival(number)) for number in range(150)))
    desks = OurDesks()
    async with Wire(broker, certificate) as wire, watching(desks, wire, ca_file=certificate.cert):
        assert desks.seen_when_drained == [150]


@pytest.mark.usefixtures("quick_back_off")
# paho leaves the socket of a refused handshake to the garbage collector
@pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket.*:pytest.PytestUnraisableExceptionWarning")
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certificate = await asyncio.to_thread(Certificate, tmp_path)
    desks = OurDesks()
    with Mosquitto(tmp_path, certificate=certificate) as secured:
        async with running(feed_of(desks, secured.url)) as feed:
            await until(lambda: feed._failures > 1)
    assert desks.feed == ["down"]


# --- receipts ---


@contextlib.contextmanager
def listening(
    broker: Mosquitto, *topics: str, version: Version = "5"
) -> Iterator[tuple[paho.Client, list[paho.MQTTMessage]]]:
    """A phone that listens, and what it has heard."""
    heard: list[paho.MQTTMessage] = []
    subscribed: list[int] = []
    with phone(broker, version=version) as client:
        client.on_message = lambda _client, _userdata, message: heard.append(message)
        client.on_subscribe = lambda *args: subscribed.append(1)
        for topic in topics:
            client.subscribe(topic, 1)
        until_sync(lambda: len(subscribed) == len(topics))
        yield client, heard


async def test_a_receipt_comes_after_the_commit_and_only_when_asked_for(broker: Mosquitto) -> None:
    desks = OurDesks(hold=True)
    async with watching(desks, broker) as feed:
        with listening(broker, f"{PHONE}/receipt", version="3.1.1") as (client, heard):
            await asyncio.to_thread(
                publish,
                client,
                [(CHECKIN, arrival(1)), (CHECKIN, arrival(2, receipt=True)), (CHECKIN, arrival(3))],
            )
            await until(lambda: len(desks.held) == 3)
            assert await feed.settle() == "drained"
            assert heard == []
            desks.release()
            await until(lambda: feed.unacknowledged == 0 and len(heard) == 1)
            await asyncio.to_thread(publish, client, [(CHECKIN, arrival(4, receipt=True))])
            await until(lambda: len(heard) == 2)
    assert msgspec.json.decode(heard[0].payload) == {
        "id": "c-2",
        "outcome": "arrived",
        "visit": "v-1",
        "seq": 2,
    }
    assert (heard[0].topic, heard[0].qos, heard[0].retain) == (f"{PHONE}/receipt", 1, False)
    assert msgspec.json.decode(heard[1].payload)["id"] == "c-4"


async def test_an_array_is_taken_item_by_item_as_over_http_and_each_has_its_receipt(
    broker: Mosquitto,
) -> None:
    desks = OurDesks()
    bad, foreign = b'{"id":"c-2","kind":"dance"}', arrival(3, device="phone-18")
    body = (
        b" ["
        + b",".join([arrival(1, receipt=True), bad, foreign, arrival(4), arrival(5, receipt=True)])
        + b"]"
    )
    async with watching(desks, broker) as feed:
        with listening(broker, f"{PHONE}/receipt") as (client, heard):
            await asyncio.to_thread(publish, client, [(CHECKIN, body), (CHECKIN, b"[]")])
            await until(lambda: len(heard) == 2)
            await acknowledged(feed)
            await asyncio.to_thread(
                publish, client, [(CHECKIN, b"[" + b",".join([arrival(6)] * 1001) + b"]")]
            )
            await until(lambda: len(desks.aside) == 3)
            await acknowledged(feed)
    assert desks.ids == ["c-1", "c-4", "c-5"]
    assert [msgspec.json.decode(one.payload)["id"] for one in heard] == ["c-1", "c-5"]
    assert [(reason, raw) for _, reason, raw, _ in desks.aside[:2]] == [
        ("wrong_type", bad),
        ("identity", foreign),
    ]
    assert desks.aside[2][1] == "too_large"


async def test_a_response_topic_is_answered_with_its_correlation(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker):
        with listening(broker, "answers/17") as (client, heard):
            client.publish(CHECKIN, arrival(1), 1, properties=response_to("answers/17", b"\x01\x02"))
            await until(lambda: len(heard) == 1)
    assert msgspec.json.decode(heard[0].payload)["id"] == "c-1"
    assert heard[0].properties.CorrelationData == b"\x01\x02"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "topic", ["callwatch/north/phone-99/checkin", "callwatch/x/y/receipt", "owntracks/u18/phone"]
)
async def test_a_response_topic_cannot_make_us_speak_for_another_device(
    broker: Mosquitto, topic: str
) -> None:
    desks = OurDesks()
    async with watching(desks, broker):
        with listening(broker, f"{PHONE}/receipt", topic) as (client, heard):
            client.publish(CHECKIN, arrival(1), 1, properties=response_to(topic, b"x"))
            await until(lambda: len(heard) == 1)
            assert await asyncio.wait_for(until(lambda: len(heard) == 1), 1)
    assert heard[0].topic == f"{PHONE}/receipt"


async def test_a_thousand_receipts_all_come(broker: Mosquitto) -> None:
    desks = OurDesks()
    async with watching(desks, broker):
        with listening(broker, f"{PHONE}/receipt") as (client, heard):
            await asyncio.to_thread(
                publish, client, [(CHECKIN, arrival(number, receipt=True)) for number in range(1000)]
            )
            await until(lambda: len(heard) == 1000)
    assert [msgspec.json.decode(one.payload)["id"] for one in heard] == [f"c-{n}" for n in range(1000)]


# --- where the broker is ---


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "version"),
    [
        ("mqtt://broker", "broker", 1883, False, "5"),
        ("mqtts://broker", "broker", 8883, True, "5"),
        ("mqtt://127.0.0.1:1234?protocol=3.1.1", "127.0.0.1", 1234, False, "3.1.1"),
        ("mqtts://[::1]:99", "::1", 99, True, "5"),
    ],
)
def test_the_address_of_a_broker(url: str, host: str, port: int, tls: bool, version: Version) -> None:
    assert Broker.of_url(url, "5") == Broker(host=host, port=port, tls=tls, protocol=version)


@pytest.mark.parametrize(
    "url", ["broker", "http://broker", "mqtt://", "mqtt://u:p@broker", "mqtt://b:x", "mqtt://b?protocol=4"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        Broker.of_url(url, "5")
    assert "u:p" not in str(caught.value)


# --- the embedded broker ---


async def test_the_embedded_broker_carries_on_where_it_stopped(tmp_path: Path) -> None:
    async with embedded_broker(tmp_path / "broker") as url:
        async with running(feed_of(first := OurDesks(), url)):
            await first.drained()
        async with aiomqtt.Client(LOOPBACK, Broker.of_url(url, "5").port) as client:
            await client.publish(CHECKIN, arrival(1), 1)
    assert not accepts(Broker.of_url(url, "5").port)
    async with embedded_broker(tmp_path / "broker") as again, running(feed_of(second := OurDesks(), again)):
        await second.drained()
    assert second.ids == ["c-1"]


async def test_without_mosquitto_the_embedded_broker_is_iotcore_and_on_loopback_alone(tmp_path: Path) -> None:
    async with embedded_broker(tmp_path, mosquitto="") as url:
        port = Broker.of_url(url, "5").port
        listeners = await asyncio.to_thread(
            subprocess.run, ["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True
        )
        assert f"{LOOPBACK}:{port}" in listeners.stdout
        assert "0.0.0.0" not in listeners.stdout.split(f":{port}")[0]
        async with running(feed_of(desks := OurDesks(hold=True), url)) as feed:
            await desks.drained()
            async with aiomqtt.Client(LOOPBACK, port) as client:
                await client.publish(CHECKIN, arrival(1), 1)
            await until(lambda: len(desks.held) == 1 and feed.unacknowledged == 1)
        async with running(feed_of(later := OurDesks(), url)):
            await until(lambda: later.ids == ["c-1"])
    assert not accepts(port)


@pytest.mark.parametrize("mosquitto", [None, ""])
async def test_the_embedded_broker_ends_with_a_process_that_was_killed(
    tmp_path: Path, mosquitto: str | None
) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path\n"
        "from connectors.embedded_broker import embedded_broker\n"
        "async def main():\n"
        f"    async with embedded_broker(Path({str(tmp_path)!r}), mosquitto={mosquitto!r}) as url:\n"
        "        print(url, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=dict(os.environ),
    )
    assert parent.stdout is not None
    url = (await asyncio.wait_for(parent.stdout.readline(), 90)).decode().strip()
    port = Broker.of_url(url, "5").port
    assert accepts(port)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await until(lambda: not accepts(port), what="the broker went with its parent")
