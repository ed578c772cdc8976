"""The reader of PUBLISH packets: cut anywhere, mixed with other packets, whole or broken."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.mqtt_reader import Arrived, Reader

PINGRESP = b"\xd0\x00"


def length(size: int) -> bytes:
    written = b""
    while True:
        size, digit = divmod(size, 128)
        written += bytes([digit | (0x80 if size else 0)])
        if not size:
            return written


def publish(
    topic: bytes, payload: bytes, *, mid: int = 7, qos: int = 1, retain: int = 0, props: bytes = b""
) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + (mid.to_bytes(2, "big") if qos else b"") + props + payload
    return bytes([0x30 | qos << 1 | retain]) + length(len(body)) + body


class Connection:
    """A paho client whose socket is one end of a pair: no broker, no greeting."""

    def __init__(self, *, v5: bool) -> None:
        self.ours, self.brokers = socket.socketpair()
        self.ours.setblocking(False)
        self.link = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5 if v5 else paho.MQTTv311)
        self.link._sock = self.ours
        self.lost: list[object] = []
        self.link.on_disconnect = lambda *said: self.lost.append(said)
        self.pings = 0
        self.came: list[Arrived] = []
        self.reader = Reader(self.link, v5=v5, take=self.came.append)

    def hears(self, data: bytes, piece: int = 1 << 20) -> None:
        for begin in range(0, len(data), piece):
            self.brokers.sendall(data[begin : begin + piece])
            while self.reader.turn(100, lambda: True):
                pass

    def close(self) -> None:
        self.ours.close()
        self.brokers.close()


@pytest.fixture(params=[True, False], ids=["v5", "v3.1.1"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    made = Connection(v5=request.param)
    yield made
    made.close()


def none(connection: Connection) -> bytes:
    """No properties, as that version writes them."""
    return b"\0" if connection.reader._v5 else b""


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 1 << 20])
def test_packets_cut_anywhere_come_whole_and_in_order(connection: Connection, piece: int) -> None:
    props = none(connection)
    sent = [
        publish(b"a/b", b"one", props=props),
        PINGRESP,
        publish("ü".encode(), b"", mid=65535, props=props),
        publish(b"a", b"x" * 300, qos=0, props=props),
        PINGRESP + PINGRESP,
        publish(b"kept", b"old", retain=1, props=props),
    ]
    connection.hears(b"".join(sent), piece)
    assert [(a.topic, a.mid, a.qos, a.retain, a.payload) for a in connection.came] == [
        ("a/b", 7, 1, False, b"one"),
        ("ü", 65535, 1, False, b""),
        ("a", 0, 0, False, b"x" * 300),
        ("kept", 7, 1, True, b"old"),
    ]
    assert not connection.lost


def test_a_large_packet_comes_whole(connection: Connection) -> None:
    body = bytes(range(256)) * 4096
    connection.hears(publish(b"t", body, props=none(connection)), 50_000)
    (came,) = connection.came
    assert came.payload == body


def test_a_large_packet_is_put_together_once() -> None:
    """Sixteen megabytes, the most that the shipped broker lets through."""
    connection = Connection(v5=False)
    whole = publish(b"t", b"x" * (16 << 20))
    for begin in range(0, len(whole), 50_000):
        connection.brokers.sendall(whole[begin : begin + 50_000])
        connection.reader.turn(100, lambda: True)
        assert len(connection.reader._buffer) < 100_000  # what has come is not copied again for each piece
    assert [len(a.payload) for a in connection.came] == [16 << 20]
    connection.close()


def test_a_topic_that_is_no_text_is_named_so(connection: Connection) -> None:
    connection.hears(publish(b"\xff\xfe", b"x", props=none(connection)))
    assert connection.came[0].topic is None


def test_the_answer_s_topic_and_correlation_are_read() -> None:
    connection = Connection(v5=True)
    asked = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    asked.ResponseTopic, asked.CorrelationData = "to/me", b"\1\2"
    connection.hears(publish(b"t", b"body", props=asked.pack()))  # type: ignore[no-untyped-call]
    (came,) = connection.came
    assert (came.response_topic, came.correlation, came.payload) == ("to/me", b"\1\2", b"body")
    connection.close()


@pytest.mark.parametrize(
    "broken",
    [
        publish(b"", b"")[:2],  # shorter than its topic's length
        b"\x32\xff\xff\xff\xff\xff",  # a length of five bytes
        b"\x32\x03\x00\x09a",  # a topic longer than the packet
    ],
)
def test_a_packet_that_breaks_the_standard_ends_the_connection(connection: Connection, broken: bytes) -> None:
    connection.hears(broken + b"\0" * 300)
    assert connection.came == []
    assert connection.lost


def test_what_was_read_ahead_waits_while_nobody_reads_on(connection: Connection) -> None:
    props = none(connection)
    wanted = 1
    connection.brokers.sendall(b"".join(publish(b"t", str(n).encode(), props=props) for n in range(5)))
    assert connection.reader.turn(100, lambda: len(connection.came) < wanted) is False
    assert [a.payload for a in connection.came] == [b"0"]
    wanted = 5
    connection.reader.turn(100, lambda: len(connection.came) < wanted)
    assert [a.payload for a in connection.came] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_turn_is_bounded_and_says_that_there_may_be_more(connection: Connection) -> None:
    props = none(connection)
    connection.brokers.sendall(b"".join(publish(b"t", b"", props=props) for _ in range(50)))
    assert connection.reader.turn(10, lambda: True) is True
    assert len(connection.came) < 11


def test_the_end_of_the_connection_is_paho_s_to_tell(connection: Connection) -> None:
    connection.hears(publish(b"t", b"last", props=none(connection))[:-1])
    connection.brokers.close()
    assert connection.reader.turn(100, lambda: True) is False
    assert connection.lost
    assert connection.link.socket() is None
    assert connection.reader.turn(100, lambda: True) is False


def test_what_paho_had_begun_to_read_it_ends() -> None:
    connection = Connection(v5=False)
    begun: list[bytes] = []
    connection.link.on_message = lambda _c, _u, message: begun.append(bytes(message.payload))
    first, second = publish(b"t", b"first"), publish(b"t", b"second")
    connection.brokers.sendall(first[:5])
    connection.link.loop_read()
    connection.hears(first[5:] + second)
    assert begun == [b"first"]
    assert [a.payload for a in connection.came] == [b"second"]
    connection.close()
