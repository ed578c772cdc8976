"""The load: a process of its own that speaks HTTP and MQTT with as little work a message as Python allows.

Every request and packet is made before the clock starts; what is left is one write and one look at the answer. So
the measured daemon, and not the measuring, is what ends at its limit. Answers on stdout with one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

import uvloop

PATIENCE_S = 300.0


def check_in(prefix: str, n: int, at: str, *, receipt: bool = False) -> bytes:
    """The arrival of care worker `n` at visit `n`, as our own JSON."""
    body: dict[str, Any] = {
        "id": f"{prefix}-{n}",
        "kind": "arrive",
        "device": f"callwatch:{prefix}-{n}",
        "visit": f"{prefix}-v-{n}",
        "at": at,
    }
    if receipt:
        body["receipt"] = True
    return json.dumps(body).encode()


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- HTTP ---


class Line(asyncio.Protocol):
    """One keep-alive connection: the next request is written when the last one was answered."""

    def __init__(self, requests: list[bytes], times: list[float], bad: list[bytes]) -> None:
        self._requests, self._times, self._bad = requests, times, bad
        self._left = b""
        self._began = 0.0
        self._transport: Any = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if not self._requests:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(self._requests.pop())

    def data_received(self, data: bytes) -> None:
        self._left += data
        head, found, body = self._left.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._times.append(time.perf_counter() - self._began)
        if not head.startswith(b"HTTP/1.1 200") or b'"stored":true' not in body:
            self._bad.append(self._left[:300])
        self._left = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._bad.append(type(error).__name__.encode())
        if not self.done.done():
            self.done.set_result(None)


async def over_http(options: argparse.Namespace) -> dict[str, Any]:
    """`count` check-ins, `array` a request, over `lines` connections that each wait for their answer."""
    at = now()
    items = [check_in(options.prefix, n, at) for n in range(options.first, options.first + options.count)]
    requests = []
    for begin in range(0, len(items), options.array):
        several = items[begin : begin + options.array]
        body = several[0] if options.array == 1 else b"[" + b",".join(several) + b"]"
        requests.append(
            f"POST /v1/desks/{options.desk}/checkins HTTP/1.1\r\nHost: {options.host}\r\n"
            f"Authorization: Bearer {options.secret}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
    times: list[float] = []
    bad: list[bytes] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_S):
        lines = [
            (await loop.create_connection(lambda: Line(requests, times, bad), options.host, options.port))[1]
            for _ in range(options.lines)
        ]
        await asyncio.gather(*(line.done for line in lines))
    took = time.perf_counter() - began
    return {"took": took, "bad": len(bad), "first_bad": bad[0].decode() if bad else None} | spread(times)


# --- MQTT 3.1.1, as much of it as a publisher needs ---


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def packet(kind: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([kind]) + length + body


CONNECT = packet(0x10, text(b"MQTT") + b"\x04\x02" + (0).to_bytes(2, "big") + text(b"bench-phones"))


def publish(topic: bytes, mid: int, payload: bytes) -> bytes:
    return packet(0x32, text(topic) + mid.to_bytes(2, "big") + payload)


def subscribe(topic: bytes) -> bytes:
    return packet(0x82, (1).to_bytes(2, "big") + text(topic) + b"\x00")


class Publisher(asyncio.Protocol):
    """Counts PUBACKs; notes when a receipt comes back."""

    def __init__(self) -> None:
        self.acked = 0
        self.receipts: dict[str, float] = {}
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None
        self._left = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(CONNECT)

    def data_received(self, data: bytes) -> None:
        left = self._left + data
        at = 0
        while True:
            size, shift, head = 0, 0, at + 1
            while head < len(left):
                digit = left[head]
                size |= (digit & 0x7F) << shift
                shift += 7
                head += 1
                if not digit & 0x80:
                    break
            else:
                break
            if len(left) < head + size:
                break
            self._take(left[at] >> 4, left[head : head + size])
            at = head + size
        self._left = left[at:]

    def _take(self, kind: int, body: bytes) -> None:
        if kind == 4:
            self.acked += 1
        elif kind == 2:
            self.greeted.set_result(None)
        elif kind == 3:
            size = int.from_bytes(body[:2], "big")
            self.receipts[json.loads(body[2 + size :])["id"]] = time.perf_counter()


async def over_mqtt(options: argparse.Namespace) -> dict[str, Any]:
    """`count` check-ins at `rate` a second (0: as fast as the broker takes them); one in a hundred asks for a
    receipt when a rate is given: from its publishing to its coming back is what a phone sees."""
    paced = options.rate > 0
    topic = f"callwatch/{options.desk}/{options.prefix}-".encode()
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(Publisher, options.host, options.port)
    await asyncio.wait_for(line.greeted, 10)
    if paced:
        line.transport.write(subscribe(f"callwatch/{options.desk}/+/receipt".encode()))
    at = now()
    numbers = range(options.first, options.first + options.count)
    packets = [
        publish(
            topic + str(n).encode() + b"/checkin",
            index % 65_535 + 1,
            check_in(options.prefix, n, at, receipt=paced and index % 100 == 0),
        )
        for index, n in enumerate(numbers)
    ]
    sent: dict[str, float] = {}
    began = time.perf_counter()
    if paced:
        index = 0
        while index < options.count:
            due = min(options.count, int((time.perf_counter() - began) * options.rate) + 1)
            if due > index:
                for n in range(index, due):
                    if n % 100 == 0:
                        sent[f"{options.prefix}-{options.first + n}"] = time.perf_counter()
                line.transport.write(b"".join(packets[index:due]))
                index = due
            await asyncio.sleep(0.001)
    else:
        for begin in range(0, options.count, 200):
            line.transport.write(b"".join(packets[begin : begin + 200]))
            while begin + 200 - line.acked > options.window:
                await asyncio.sleep(0.0005)
    async with asyncio.timeout(PATIENCE_S):
        while line.acked < options.count or len(line.receipts) < len(sent):
            await asyncio.sleep(0.002)
    times = [line.receipts[key] - when for key, when in sent.items()]
    return {"took": time.perf_counter() - began, "bad": 0, "first_bad": None} | spread(times)


def spread(seconds: list[float]) -> dict[str, float]:
    """Median, 99% and longest, in seconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    return {
        "median": ordered[len(ordered) // 2],
        "p99": ordered[int((len(ordered) - 1) * 0.99)],
        "longest": ordered[-1],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["http", "mqtt"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--desk", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--array", type=int, default=1)
    parser.add_argument("--lines", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--window", type=int, default=2_000)
    options = parser.parse_args()
    options.secret = sys.stdin.readline().strip()
    work = over_http if options.way == "http" else over_mqtt
    print(json.dumps(uvloop.run(work(options))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
