"""Check-ins over MQTT: our own JSON and OwnTracks, acknowledged to the broker only when they are on disk.

How a message travels (docs/decisions/0003-manual-acknowledgement.md):

    socket -> `_Link` (stops reading above the high-water mark) -> `MqttFeed` (whose is it, what does it say)
           -> `Desks.check_in` (decided at once) -> the link's ledger, in order of receipt
           -> durable -> receipt, when asked for -> PUBACK

There is no task and no callback per message: one task waits for the head of the ledger, and a group commit
releases everything behind it at once.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import aiomqtt
import msgspec
import paho.mqtt.client as paho
import structlog
from msgspec import Struct
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from connectors.checkin_json import read_checkin, split_checkins
from connectors.mqtt_reader import Arrived, Reader, arrived
from connectors.owntracks import device_of_topic, parse_owntracks
from connectors.owntracks_secret import Keys
from connectors.ports import (
    ApiProblem,
    Degraded,
    Desks,
    EdgeError,
    NotTaken,
    Reason,
    SeenCheckIn,
    StoreFenced,
    StoreUnavailable,
)
from monitor.core.inputs import Source
from monitor.core.views import CheckInAnswer

HIGH_WATER = 5000
"""Unacknowledged messages above which the socket is not read; mosquitto.conf's `max_inflight_messages`."""

HIGH_WATER_BYTES = 64 << 20
"""The same in bytes of bodies, for whoever sends few and large ones."""

SESSION_EXPIRY_S = 7 * 86400
DRAIN_S = 20.0
"""How long the backlog of a new connection may take before the feed is unknown (design, rule 3)."""

_READ_AT_ONCE = 100
_RELEASE_AT_ONCE = 500
_KEEP_OF_TOO_LARGE = 4096
_ITEMS = 1000
"""Check-ins of one array, as of OwnTracks: they are decided in one turn of the loop."""
_CONNECT_S, _CLOSE_S = 15.0, 2.0
_BACK_OFF_S, _BACK_OFF_CAP_S = 0.25, 30.0
_QUARANTINE_AGAIN_S = 1.0

T = TypeVar("T")
Version = Literal["5", "3.1.1"]
log = structlog.get_logger("mqtt")


# --- acknowledging by hand ---


_PUBACK = struct.Struct("!BBH")


class Ticket(NamedTuple):
    """The right to acknowledge one message, on the connection that brought it and on no other."""

    generation: int
    mid: int
    qos: int


class Acknowledgements:
    """The one place that reaches into aiomqtt for paho's manual acknowledgement (decision 0003, measured.md).

    aiomqtt sends the PUBACK when a message enters its queue; a message is then gone although nothing is on disk.
    Packet ids are the broker's to use again after a reconnection, so that an old one would destroy a message that
    nobody has read: a ticket holds its connection's generation.
    """

    def __init__(self) -> None:
        self._generation = 0
        self._paho: paho.Client | None = None
        self._written = bytearray()

    def take_over(self, client: aiomqtt.Client) -> tuple[paho.Client, int]:
        """From now on only this client's generation counts. To be called before it connects."""
        link: paho.Client = client._client
        link.manual_ack_set(True)
        self._generation += 1
        self._paho, self._written = link, bytearray()
        return link, self._generation

    def acknowledge(self, ticket: Ticket) -> Literal["sent", "not_needed", "stale"]:
        """The PUBACK leaves with the next `send`; none when the connection that brought the message is gone."""
        if ticket.generation != self._generation or self._paho is None:
            return "stale"
        if ticket.qos == 0:
            return "not_needed"
        self._written += _PUBACK.pack(0x40, 2, ticket.mid)
        return "sent"

    def send(self) -> None:
        """What was acknowledged since leaves in one write: paho alone would make one of each."""
        if self._written and self._paho is not None:
            written, self._written = bytes(self._written), bytearray()
            self._paho._packet_queue(0x40, written, 0, 1)

    def release(self) -> None:
        """The connection is gone: every ticket out there is stale."""
        self._generation += 1
        self._paho = None
        self._written = bytearray()


# --- one connection ---


class ConnectionDropped(Exception):
    """We give the connection up ourselves: what is unacknowledged comes again on the next one."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Aside(Struct, frozen=True):
    source: Source
    reason: Reason
    raw: bytes
    desk: str | None


class _Receipt(Struct, frozen=True):
    topic: str
    correlation: bytes | None
    id: str | None
    """The check-in's own id, for an answer that names none."""


class _Decided(Struct, frozen=True):
    seen: SeenCheckIn
    future: asyncio.Future[CheckInAnswer]
    receipt: _Receipt | None = None


class _Taken(Struct):
    """One message in the ledger: what must be on disk before it may be acknowledged."""

    ticket: Ticket
    size: int
    number: int = 0
    desk: str = ""
    decided: tuple[_Decided, ...] = ()
    aside: tuple[_Aside, ...] = ()

    def is_durable(self) -> bool:
        return not self.aside and all(
            d.future.done() and not d.future.cancelled() and d.future.exception() is None
            for d in self.decided
        )


class _Link:
    """One connection: reads in turns, keeps the ledger in order of receipt, knows its markers."""

    def __init__(
        self,
        client: paho.Client,
        generation: int,
        high_water: int,
        marker_topic: str,
        take: Callable[[_Link, Arrived], None],
    ) -> None:
        self.paho, self.generation = client, generation
        self._take = take
        self._reader: Reader | None = None
        self._again: asyncio.Handle | None = None
        self.ledger: deque[_Taken] = deque()
        self.waiting = asyncio.Event()
        self.reading: Literal["reading", "paused"] = "reading"
        self.durable_up_to: dict[str, int] = {}
        self.count = 0
        self._high_water, self._marker_topic = high_water, marker_topic
        self._bytes = 0
        self._loop = asyncio.get_running_loop()
        self._broken: asyncio.Future[NoReturn] = self._loop.create_future()
        self._markers: dict[bytes, asyncio.Future[None]] = {}

    # reading

    def adopt_reader(self) -> None:
        """Read in turns of up to 100 packets instead of aiomqtt's one; a paused link stays paused."""
        if self._reader is None:
            v5 = self.paho.protocol == paho.MQTTv5
            self._reader = Reader(self.paho, v5=v5, take=lambda message: self._take(self, message))
        sock = self.paho.socket()
        if sock is not None and self.reading == "reading":
            self._loop.add_reader(sock.fileno(), self._readable)
            self._soon()

    def _soon(self) -> None:
        if self._again is None:
            self._again = self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._again = None
        self._readable()

    def _readable(self) -> None:
        assert self._reader is not None
        try:
            if self._reader.turn(_READ_AT_ONCE, self._reads_on):
                self._soon()
            else:
                self._read_what_tls_holds()
        except Exception as error:  # noqa: BLE001 - whatever breaks the reader ends the connection, told to `broken`
            if not self._broken.done():
                self._broken.set_exception(error)

    def _reads_on(self) -> bool:
        return self.reading == "reading"

    def _read_what_tls_holds(self) -> None:
        """Bytes that TLS has already decrypted make no socket readable."""
        sock = self.paho.socket()
        if self.reading == "reading" and isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._soon()

    def _pause_if_full(self) -> None:
        sock = self.paho.socket()
        if sock is not None and self.reading == "reading" and self._fill() > 1:
            self.reading = "paused"
            self._loop.remove_reader(sock.fileno())

    def _resume_if_half_empty(self) -> None:
        if self.reading == "paused" and self._fill() < 0.5:
            self.reading = "reading"
            self.adopt_reader()

    def _fill(self) -> float:
        return max(len(self.ledger) / self._high_water, self._bytes / HIGH_WATER_BYTES)

    async def broken(self) -> NoReturn:
        """Raises when the reader broke."""
        await self._broken

    # the ledger

    def take(self, taken: _Taken) -> None:
        """In order of receipt; stops the reading above the mark."""
        taken.number = self.count
        self.count += 1
        self.ledger.append(taken)
        self._bytes += taken.size
        self.waiting.set()
        self._pause_if_full()

    def released(self) -> _Taken:
        """The head is durable: out of the ledger with it."""
        taken = self.ledger.popleft()
        self._bytes -= taken.size
        if not self.ledger:
            self.waiting.clear()
        self._resume_if_half_empty()
        return taken

    def forget(self) -> None:
        """The connection is gone; what its futures still say is looked at by nobody, and that is no error."""
        for decided in (d for taken in self.ledger for d in taken.decided):
            decided.future.add_done_callback(lambda f: f.cancelled() or f.exception())
        self.ledger.clear()
        self._broken.cancel()
        if self._again is not None:
            self._again.cancel()
        for marker in self._markers.values():
            marker.cancel()

    # markers

    def send_marker(self) -> asyncio.Future[None]:
        """Done when our own message has come back behind everything that waited."""
        nonce = secrets.token_hex(8).encode()
        back = self._markers[nonce] = self._loop.create_future()
        self.paho.publish(self._marker_topic, nonce, 1)
        return back

    def marker_came(self, nonce: bytes) -> None:
        """A nonce of an older connection, or a forged one, wakes nobody."""
        back = self._markers.pop(nonce, None)
        if back is not None and not back.done():
            back.set_result(None)


# --- the feed ---


class Broker(Struct, frozen=True, kw_only=True):
    """Where the broker is, as `mqtt://host[:port]` or `mqtts://…` says it; `?protocol=3.1.1` for an old one."""

    host: str
    port: int
    tls: bool
    protocol: Version

    @classmethod
    def of_url(cls, url: str, protocol: Version) -> Broker:
        """Raises ValueError, saying what was expected."""
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.username is not None:
            raise ValueError(
                "expected mqtt://host[:port] or mqtts://host[:port]; the name stands in username"
            )
        asked = parse_qs(parts.query).get("protocol", [protocol])[-1]
        if asked not in ("5", "3.1.1"):
            raise ValueError("protocol: expected 5 or 3.1.1")
        tls = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname,
            port=parts.port or (8883 if tls else 1883),
            tls=tls,
            protocol=cast(Version, asked),
        )


class _From(Struct, frozen=True):
    """Whose a topic is: the topic is the identity, the broker's ACL its guard."""

    source: Source
    device: str
    claimed_desk: str | None
    prefix: str


class MqttFeed:
    """The way in over MQTT. A `Feed`: runs until cancelled, reconnects by itself."""

    name = "mqtt"

    def __init__(
        self,
        desks: Desks,
        *,
        url: str,
        client_id: str,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | Path | None = None,
        protocol_version: Version = "5",
        high_water: int = HIGH_WATER,
        session_expiry_s: int = SESSION_EXPIRY_S,
        keepalive_s: int = 60,
        keys: Keys | None = None,
        clock: Callable[[], datetime],
    ) -> None:
        """Raises ValueError for an address that is none."""
        self._desks, self._clock = desks, clock
        self._broker = Broker.of_url(url, protocol_version)
        self._client_id, self._username, self._password, self._ca_file = (
            client_id,
            username,
            password,
            ca_file,
        )
        self._high_water, self._session_expiry_s = high_water, session_expiry_s
        self._keepalive_s = keepalive_s
        self._keys = keys or Keys()
        self._marker_topic = f"callwatch/{client_id.translate(str.maketrans('/+#', '___'))}/marker"
        self._acknowledgements = Acknowledgements()
        self._link: _Link | None = None
        self._came_up = asyncio.Event()
        self._failures = 0

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker still keeps for us."""
        return 0 if self._link is None else len(self._link.ledger)

    @property
    def reading(self) -> Literal["reading", "paused", "away"]:
        """Whether the socket is read, stands still above the high-water mark, or is not there."""
        return "away" if self._link is None else self._link.reading

    # connecting

    async def run(self) -> None:
        """Until cancelled. A lost connection is tried again after a jittered wait of at most 30 s."""
        while True:
            reason = await self._one_connection()
            self._failures += 1
            delay_s = _back_off(self._failures)
            log.warning("mqtt_lost", reason=reason, delay_s=delay_s, attempt=self._failures)
            await asyncio.sleep(delay_s)

    async def _one_connection(self) -> str:
        """Returns the reason for which it ended, as one word."""
        # in a task of its own: a task group that ends by an error leaves its own cancellation in its task's count
        try:
            reason = await _loud(asyncio.create_task(self._until_lost(), name="mqtt-connection"))
        except ConnectionDropped as given_up:
            reason = given_up.reason
        if self._came_up.is_set() or self._failures == 0:
            self._desks.feed_changed(self.name, "down")
        self._came_up.clear()
        return reason

    async def _until_lost(self) -> str:
        try:
            await self._connected()
        except Exception as error:  # noqa: BLE001 - the watch must stand again whatever ended this connection
            return _reason(error)
        return "ended"

    async def _connected(self) -> None:
        client = await self._client()
        owned, generation = self._acknowledgements.take_over(client)
        link = _Link(owned, generation, self._high_water, self._marker_topic, self._received)
        # the broker sends what waited as soon as it has said hello: listen before the connection is opened
        link.paho.on_message = lambda _client, _userdata, message: self._received(link, arrived(message))
        self._link = link
        try:
            await _opened(client, link.paho)
            try:
                await self._served(client, link)
            finally:
                self._acknowledgements.release()
                await _closed(client, link.paho)
        finally:
            self._acknowledgements.release()
            self._link = None
            link.forget()

    async def _served(self, client: aiomqtt.Client, link: _Link) -> None:
        link.adopt_reader()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_loud(_lost(client)), name="mqtt-lost")
            tasks.create_task(_loud(link.broken()), name="mqtt-reader")
            tasks.create_task(_loud(self._acknowledge(link)), name="mqtt-acknowledge")
            tasks.create_task(_loud(self._come_up(client, link)), name="mqtt-drain")

    async def _client(self) -> aiomqtt.Client:
        broker = self._broker
        context = await asyncio.to_thread(_tls, self._ca_file) if broker.tls else None
        session: dict[str, Any] = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": False}
        if broker.protocol == "5":
            properties = _properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = self._session_expiry_s
            properties.ReceiveMaximum = min(self._high_water, 65535)
            session = {
                "protocol": aiomqtt.ProtocolVersion.V5,
                "clean_start": False,
                "properties": properties,
            }
        return aiomqtt.Client(
            broker.host,
            broker.port,
            identifier=self._client_id,
            username=self._username,
            password=self._password,
            keepalive=self._keepalive_s,
            tls_context=context,
            **session,
        )

    async def _come_up(self, client: aiomqtt.Client, link: _Link) -> None:
        await self._subscribed(client)
        self._desks.feed_changed(self.name, "up")
        self._failures = 0
        self._came_up.set()
        log.info("mqtt_connected", url_host=self._broker.host, port=self._broker.port)
        marker = link.send_marker()
        await asyncio.wait((marker,), timeout=DRAIN_S)
        if not marker.done():
            log.warning("mqtt_not_drained", after=DRAIN_S, held=len(link.ledger))
            self._desks.feed_changed(self.name, "unknown")
        await marker
        self._desks.feed_changed(self.name, "drained")

    async def _subscribed(self, client: aiomqtt.Client) -> None:
        topics = ("callwatch/+/+/checkin", "owntracks/#", self._marker_topic)
        if self._broker.protocol == "5":
            # 1: what was retained comes once for a new session, not again at each reconnection
            options = SubscribeOptions(qos=1, retainHandling=1)
            granted = await _loud(client.subscribe([(topic, options) for topic in topics]))
        else:
            granted = await _loud(client.subscribe([(topic, 1) for topic in topics]))
        codes = [code if isinstance(code, int) else code.value for code in granted]
        if any(code >= 0x80 for code in codes):
            raise ConnectionDropped("subscription_refused")

    # drained

    async def settle(self, timeout_s: float = 2.0) -> Literal["drained", "unknown", "down"]:
        """Everything that already waits in the socket or at the broker has been decided, when it says `drained`.

        For the moment after a SIGSTOP or stall, before deadlines fire: a connection that was lost meanwhile is
        waited for, one that has been failing for longer is `down` at once. Never longer than `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if self._link is None and self._failures > 1:
                        return "down"
                    await self._came_up.wait()
                    if await self._marker_is_back():
                        return "drained"
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return "unknown" if self._came_up.is_set() else "down"

    async def _marker_is_back(self) -> bool:
        if self._link is None:
            return False
        marker = self._link.send_marker()
        await asyncio.wait((marker,))
        return not marker.cancelled()

    # telling phones

    def tell(self, topic: str, body: bytes, *, expires_s: int) -> bool:
        """One message to a phone, which the broker keeps that long (MQTT 5) for one that is off. False: no broker.

        Never retained: what lies on a topic for ever would be told to whoever has the phone next.
        """
        link = self._link
        if link is None or not self._came_up.is_set():
            return False
        properties = None
        if self._broker.protocol == "5":
            properties = _properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = expires_s
        link.paho.publish(topic, body, 1, properties=properties)
        return True

    # taking messages in

    def _received(self, link: _Link, message: Arrived) -> None:
        """In the event loop: one message into the ledger. Never raises."""
        if link is not self._link:
            return
        ticket = Ticket(link.generation, message.mid, message.qos)
        body = message.payload
        try:
            taken = self._taken(link, ticket, body, message)
        except Exception as error:  # noqa: BLE001 - one poisonous message must not end the reading of the others
            log.error("mqtt_message_failed", error=type(error).__name__)
            taken = _Taken(ticket, len(body), aside=(_aside("mqtt", "decide_failed", body, None),))
        link.take(taken)

    def _taken(self, link: _Link, ticket: Ticket, body: bytes, message: Arrived) -> _Taken:
        topic = message.topic
        if topic is None:
            return _Taken(ticket, len(body), aside=(_aside("mqtt", "undecodable", body, None),))
        if topic == self._marker_topic:
            link.marker_came(body)
            return _Taken(ticket, 0)
        who = _whose(topic)
        if who is None:
            self._desks.counted("", "owntracks", _unheard(message))
            return _Taken(ticket, 0)
        return self._of_device(who, topic, ticket, body, message)

    def _of_device(self, who: _From, topic: str, ticket: Ticket, body: bytes, message: Arrived) -> _Taken:
        desk = self._desks.desk_of_device(who.device)
        if desk is None:
            claimed = who.claimed_desk if who.claimed_desk in self._desks.desk_ids() else None
            self._desks.counted(claimed or "", who.source, _unheard(message))
            return _Taken(ticket, 0)
        check_ins, aside = self._read(who, topic, desk, body, message.retain)
        if message.retain and not check_ins:
            # old, whatever it says: nothing is put aside for it
            self._desks.counted(desk, who.source, "retained")
            return _Taken(ticket, 0)
        decided = tuple(
            _Decided(seen, self._decide(desk, seen), _receipt(who, seen, message)) for seen in check_ins
        )
        return _Taken(ticket, len(body), desk=desk, decided=decided, aside=aside)

    def _read(
        self, who: _From, topic: str, desk: str, body: bytes, retained: bool
    ) -> tuple[Sequence[SeenCheckIn], tuple[_Aside, ...]]:
        if who.claimed_desk not in (None, desk):
            return (), (_aside(who.source, "identity", body, desk),)
        if who.source == "owntracks":
            parsed = parse_owntracks(
                body,
                device=who.device,
                topic=topic,
                received_at=self._clock(),
                retained=retained,
                source="owntracks",
                keys=self._keys.of(who.device, desk),
            )
            return parsed.check_ins, tuple(_aside("owntracks", b.reason, b.raw, desk) for b in parsed.bad)
        return _own_json(who.device, desk, body, retained)

    def _decide(self, desk: str, seen: SeenCheckIn) -> asyncio.Future[CheckInAnswer]:
        try:
            return self._desks.check_in(desk, seen)
        except Exception as error:  # noqa: BLE001 - told like any other answer, when its turn comes
            failed: asyncio.Future[CheckInAnswer] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    # giving answers out

    async def _acknowledge(self, link: _Link) -> NoReturn:
        """The one loop that acknowledges, in order of receipt, in turns of 500 so that the event loop lives."""
        while True:
            await link.waiting.wait()
            for _ in range(_RELEASE_AT_ONCE):
                if not link.ledger:
                    break
                if not link.ledger[0].is_durable():
                    self._acknowledgements.send()
                    await self._made_durable(link, link.ledger[0])
                taken = link.released()
                # the receipt first: a connection lost in between brings the check-in again, and a receipt with it
                self._answer(link, taken)
                self._acknowledgements.acknowledge(taken.ticket)
            self._acknowledgements.send()
            await asyncio.sleep(0)

    async def _made_durable(self, link: _Link, taken: _Taken) -> None:
        for decided in taken.decided:
            if not decided.future.done():
                # wait() and not await: a lost connection must not cancel what the desk has decided
                await asyncio.wait((decided.future,))
            await self._settled(link, taken, decided)
        for aside in taken.aside:
            await self._put_aside(aside)

    async def _settled(self, link: _Link, taken: _Taken, decided: _Decided) -> None:
        """The future is done: durable, or why not."""
        if decided.future.cancelled():
            raise ConnectionDropped("given_up")
        error = decided.future.exception()
        if error is None:
            return
        if isinstance(error, NotTaken) and error.reason == "fenced":
            # led elsewhere: kept for a person to look at, so that the other desks' messages are not held up
            await self._put_aside(_aside(decided.seen.source, "fenced", decided.seen.raw, taken.desk))
        elif isinstance(error, NotTaken):
            raise ConnectionDropped(error.reason) from error
        elif isinstance(error, Degraded):
            await self._on_disk_again(link, taken)
        elif isinstance(error, StoreFenced) or (isinstance(error, EdgeError) and not error.permanent):
            raise ConnectionDropped(error.reason) from error
        else:
            await self._put_aside(
                _aside(decided.seen.source, _reason_of(error), decided.seen.raw, taken.desk)
            )

    async def _on_disk_again(self, link: _Link, taken: _Taken) -> None:
        """Applied, not stored: the broker keeps it and everything behind it until the desk says that it is."""
        if taken.number <= link.durable_up_to.get(taken.desk, -1):
            return
        decided_by_now = link.count - 1
        await self._desks.durable(taken.desk)
        link.durable_up_to[taken.desk] = decided_by_now

    async def _put_aside(self, aside: _Aside) -> None:
        """Kept before it is acknowledged; while the store is away the ledger waits, and the broker with it."""
        while True:
            try:
                await self._desks.quarantine(aside.source, aside.reason, aside.raw, aside.desk)
            except StoreFenced as error:
                raise ConnectionDropped(error.reason) from error
            except (Degraded, StoreUnavailable):
                await asyncio.sleep(_QUARANTINE_AGAIN_S)
            except Exception as error:  # noqa: BLE001 - rubbish that cannot be kept must not bury the check-ins behind it
                log.error("mqtt_quarantine_failed", error=type(error).__name__, reason=aside.reason)
                return
            else:
                return

    def _answer(self, link: _Link, taken: _Taken) -> None:
        """Without an answer (stored only after a degraded time) there is none to give: the device asks again."""
        for decided in taken.decided:
            if decided.receipt is not None and decided.future.exception() is None:
                self._write_receipt(link, decided.receipt, decided.future.result())

    def _write_receipt(self, link: _Link, receipt: _Receipt, answer: CheckInAnswer) -> None:
        properties = None
        if receipt.correlation is not None:
            properties = _properties(PacketTypes.PUBLISH)
            properties.CorrelationData = receipt.correlation
        body = {
            "id": answer.id or receipt.id,
            "outcome": answer.outcome,
            "visit": answer.visit,
            "seq": answer.seq,
        }
        link.paho.publish(receipt.topic, msgspec.json.encode(body), 1, properties=properties)


def _whose(topic: str) -> _From | None:
    parts = topic.split("/")
    if len(parts) == 4 and parts[0] == "callwatch" and parts[3] == "checkin" and parts[2]:
        return _From("mqtt", f"callwatch:{parts[2]}", parts[1], f"callwatch/{parts[1]}/{parts[2]}")
    device = device_of_topic(topic)
    return None if device is None else _From("owntracks", device, None, topic)


def _unheard(message: Arrived) -> Literal["retained", "unknown_device"]:
    return "retained" if message.retain else "unknown_device"


def _own_json(
    device: str, desk: str, body: bytes, retained: bool
) -> tuple[Sequence[SeenCheckIn], tuple[_Aside, ...]]:
    """One check-in or an array of them, as over HTTP; a bad one of several harms no other."""
    if body.lstrip()[:1] != b"[":
        items = [body]
    else:
        try:
            items = split_checkins(body)
        except EdgeError as error:
            return (), (_aside("mqtt", error.reason, body, desk),)
        if len(items) > _ITEMS:
            return (), (_aside("mqtt", "too_large", body, desk),)
    seen: list[SeenCheckIn] = []
    aside: list[_Aside] = []
    for item in items:
        try:
            seen.append(read_checkin(item, device=device, source="mqtt", retained=retained))
        except EdgeError as error:
            aside.append(_aside("mqtt", error.reason, item, desk))
    return seen, tuple(aside)


def _receipt(who: _From, seen: SeenCheckIn, message: Arrived) -> _Receipt | None:
    """Where the answer goes, if one is wanted: MQTT 5's response topic, else the device's own receipt topic."""
    wanted = message.response_topic
    if who.source != "mqtt" or not (seen.receipt or wanted):
        return None
    own = f"{who.prefix}/receipt"
    topic = wanted if wanted and _may_answer_to(wanted, own) else own
    return _Receipt(topic, message.correlation, seen.id)


def _may_answer_to(topic: str, own: str) -> bool:
    """We may write where phones may not: a response topic must not make us speak for another device."""
    if topic == own or topic.startswith(own + "/"):
        return "+" not in topic and "#" not in topic
    return not (topic.startswith(("callwatch/", "owntracks/", "$")) or "+" in topic or "#" in topic)


def _aside(source: Source, reason: Reason, raw: bytes, desk: str | None) -> _Aside:
    return _Aside(source, reason, raw[:_KEEP_OF_TOO_LARGE] if reason == "too_large" else raw, desk)


def _reason_of(error: BaseException) -> Reason:
    if isinstance(error, EdgeError):
        return error.reason
    return "other" if isinstance(error, ApiProblem) else "decide_failed"


def _reason(error: BaseException) -> str:
    """One word for the log: of a group the first, since one loss ends all tasks of a connection."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error.reason if isinstance(error, ConnectionDropped) else type(error).__name__


def _back_off(failures: int) -> float:
    """Seconds: doubling from a quarter to 30, of which between half and all is waited (equal jitter)."""
    ceiling = min(_BACK_OFF_CAP_S, _BACK_OFF_S * 2 ** min(failures, 10))
    return round(random.uniform(ceiling / 2, ceiling), 3)  # noqa: S311 - spreads reconnections, hides nothing


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]


def _tls(ca_file: str | Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


async def _loud(work: Awaitable[T]) -> T:
    """Our own end is always heard, and only ours is silent.

    A future that somebody else cancelled (a desk given up) looks like our own end: a task group would take it for one
    and go on without this task, and the feed would die without a word. And Python 3.11 forgets our own end when it
    comes together with something: with the answer for which `asyncio.wait_for` waits (aiomqtt does), with the error
    by which a task group already ends.
    """
    before = _cancellations()
    try:
        return await work
    except asyncio.CancelledError:
        raise ConnectionDropped("given_up") from None
    finally:
        if _cancellations() > before:
            raise asyncio.CancelledError


def _cancellations() -> int:
    """Of this task, which must not stand in a frame of its own error: the circle would keep a dead socket open."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


async def _opened(client: aiomqtt.Client, link: paho.Client) -> None:
    """aiomqtt leaves the socket of a connection open that was never greeted, and its thread may open one after we
    have given up: whichever of the two sees the other's mark cuts it."""
    loop, given_up, connect = asyncio.get_running_loop(), False, client._client_connect

    def connect_unless_given_up() -> None:
        connect()
        if given_up:
            loop.call_soon_threadsafe(_cut, link)

    client._client_connect = connect_unless_given_up  # type: ignore[method-assign]
    try:
        async with asyncio.timeout(_CONNECT_S):
            await _loud(client.__aenter__())
    except BaseException:
        given_up = True
        _cut(link)
        raise


async def _closed(client: aiomqtt.Client, link: paho.Client) -> None:
    """Say goodbye, so that the broker needs no time-out; a broker that no longer listens is left standing."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await client.__aexit__(None, None, None)
    except (aiomqtt.MqttError, TimeoutError):
        _cut(link)


def _cut(link: paho.Client) -> None:
    """Reading to the end of a socket that is shut makes paho clear everything away by itself."""
    sock = link.socket()
    if isinstance(sock, socket.socket):
        # aiomqtt's own callback raises when it finds that its greeting was cancelled
        link.on_disconnect = None
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        while link.socket() is not None and not link.loop_read():
            pass


async def _lost(client: aiomqtt.Client) -> NoReturn:
    """aiomqtt's queue stays empty (our callback took its place): iterating it ends when the connection does."""
    async for _ in client.messages:
        pass
    raise ConnectionDropped("ended")
