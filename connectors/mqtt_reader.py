"""Reads what the broker sends in large pieces, and PUBLISH packets by itself; every other packet is paho's.

paho asks the kernel four times for each message and builds a dozen objects around it, which was more than the
decision that the message led to (docs/decisions/0003-mqtt-library.md). What it keeps is all that has a state:
connecting, subscribing, keep-alive, acknowledging, losing the connection.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any, Literal

import paho.mqtt.client as paho
from msgspec import Struct
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_CHUNK, _LARGE = 1 << 16, 1 << 20
_PUBLISH = 0x30
_LONGEST_LENGTH = 4
"""Bytes of a packet's length, by the standard."""


class Arrived(Struct, frozen=True, gc=False):
    """One message as it came. `topic` None: no text in UTF-8."""

    topic: str | None
    mid: int
    qos: int
    retain: bool
    payload: bytes
    response_topic: str | None = None
    correlation: bytes | None = None


def arrived(message: paho.MQTTMessage) -> Arrived:
    """What paho read itself: before the connection was ours."""
    try:
        topic: str | None = message.topic
    except UnicodeDecodeError:
        topic = None
    return Arrived(
        topic,
        message.mid,
        message.qos,
        message.retain,
        bytes(message.payload),
        getattr(message.properties, "ResponseTopic", None),
        getattr(message.properties, "CorrelationData", None),
    )


class Reader:
    """Stands between paho and its socket. `turn` is to be called when the socket is readable, and again at once
    while it says so."""

    def __init__(self, link: paho.Client, *, v5: bool, take: Callable[[Arrived], None]) -> None:
        self._link, self._v5, self._take = link, v5, take
        self._buffer, self._at = b"", 0
        self._pieces: list[bytes] = []
        self._missing = 0
        """Bytes of the packet at the head that have not come: a large one is put together once, not at every piece."""
        self._sock_recv = link._sock_recv
        link._sock_recv = self._recv  # type: ignore[method-assign]

    def turn(self, limit: int, go_on: Callable[[], bool]) -> bool:
        """At most `limit` packets, while `go_on`. Returns whether more may be there that the socket does not show."""
        for _ in range(limit):
            if not go_on():
                return False
            if not self._one():
                return False
        return True

    def _one(self) -> bool:
        """One packet, or a piece of the next. Returns whether it is worth while to try again now."""
        link = self._link
        if link._in_packet["command"] == 0:
            found = self._packet()
            if found == "missing":
                return self._fill()
            if found != "theirs":
                self._take(found)
                return True
        # paho takes it out of our buffer, and waits for the rest of a packet as it always does
        return link.loop_read() == 0 and link._in_packet["command"] == 0 and link.socket() is not None

    def _recv(self, bufsize: int) -> bytes:
        """What paho calls for its socket: first what was read ahead."""
        piece = self._buffer[self._at : self._at + bufsize]
        if not piece:
            return self._sock_recv(bufsize)
        self._at += len(piece)
        return piece

    def _fill(self) -> bool:
        """More from the socket; False when there is nothing now, or the connection has ended."""
        sock: Any = self._link.socket()
        if sock is None:
            return False
        try:
            data = sock.recv(max(_CHUNK, min(self._missing, _LARGE)))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            data = b""
        if not data:
            # paho meets the same end, and clears away
            self._buffer, self._at, self._pieces, self._missing = b"", 0, [], 0
            self._link.loop_read()
            return False
        self._link._last_bytes_received = time.monotonic()
        self._pieces.append(data)
        self._missing -= len(data)
        if self._missing <= 0:
            self._buffer, self._at = b"".join([self._buffer[self._at :], *self._pieces]), 0
            self._pieces, self._missing = [], 0
        return True

    def _packet(self) -> Arrived | Literal["missing", "theirs"]:
        """The PUBLISH at the head of the buffer; `missing`: not whole yet; `theirs`: any other packet, or a bad one."""
        buffer, at = self._buffer, self._at
        if self._missing or at >= len(buffer):
            return "missing"
        if buffer[at] & 0xF0 != _PUBLISH or buffer[at] & 0x06 == 0x04:
            return "theirs"
        length = _length(buffer, at + 1)
        if length is None:
            return "missing" if len(buffer) - at <= _LONGEST_LENGTH else "theirs"
        size, head = length
        if head + size > len(buffer):
            self._missing = head + size - len(buffer)
            return "missing"
        found = _publish(buffer[at], buffer[head : head + size], v5=self._v5)
        if found is None:
            return "theirs"
        self._at = head + size
        if self._at == len(buffer):
            self._buffer, self._at = b"", 0  # a large one is not kept until the next comes
        return found


def _length(buffer: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer and where it ends; None when it is not whole, or too long."""
    value = shift = 0
    for position in range(at, min(at + _LONGEST_LENGTH, len(buffer))):
        digit = buffer[position]
        value |= (digit & 0x7F) << shift
        if digit < 0x80:
            return value, position + 1
        shift += 7
    return None


def _publish(header: int, packet: bytes, *, v5: bool) -> Arrived | None:
    """None for one that breaks the standard: paho says so and ends the connection."""
    qos = header >> 1 & 3
    end = 2 + int.from_bytes(packet[:2], "big")
    rest = end + (2 if qos else 0)
    if end <= 2 or rest + v5 > len(packet):
        return None
    topic, properties = _text(packet[2:end]), None
    if v5:
        if packet[rest] == 0:
            rest += 1
        else:
            properties, used = _properties(packet[rest:])
            if properties is None:
                return None
            rest += used
    return Arrived(
        topic,
        int.from_bytes(packet[end : end + 2], "big") if qos else 0,
        qos,
        bool(header & 1),
        packet[rest:],
        getattr(properties, "ResponseTopic", None),
        getattr(properties, "CorrelationData", None),
    )


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _properties(packet: bytes) -> tuple[Properties | None, int]:
    try:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        _, used = properties.unpack(packet)  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - whatever is wrong with it is said by paho, which reads it again
        return None, 0
    return properties, used
