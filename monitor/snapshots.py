"""A desk's state as bytes and back: MessagePack, encoded in portions.

Encoding holds the interpreter's lock from its first byte to its last, also in another thread: a desk of 100,000
visits in one piece would stop the event loop for a quarter of a second. In portions of a thousand values it is a
millisecond at a time.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
import structlog

from connectors.ports import Snapshot
from monitor.core.state import STATE_VERSION, Values

log = structlog.get_logger("engine")

PORTION = 1_000
_MAP_16, _MAP_32 = b"\xde", b"\xdf"
_encoder = msgspec.msgpack.Encoder()


def shallow(values: Values) -> Values:
    """The same frozen values in containers of their own, so that the loop may go on while they are encoded."""
    copies = {
        name: dict(value)
        for name in values.__struct_fields__
        if isinstance(value := getattr(values, name), dict)
    }
    return msgspec.structs.replace(values, **copies)


def encode(values: Values) -> bytes:
    """What `msgspec.msgpack.encode` would write, but for the width of the maps' lengths."""
    fields = values.__struct_fields__
    written = bytearray(_MAP_16 + len(fields).to_bytes(2, "big"))
    for name in fields:
        value = getattr(values, name)
        written += _encoder.encode(name)
        if isinstance(value, dict):
            _append_map(written, value)
        else:
            written += _encoder.encode(value)
    return bytes(written)


def _append_map(written: bytearray, value: dict[Any, Any]) -> None:
    written += _MAP_32 + len(value).to_bytes(4, "big")
    entries = iter(value.items())
    while portion := dict(islice(entries, PORTION)):
        encoded = _encoder.encode(portion)
        # without the portion's own header: one byte up to 15 entries, three up to 65,535
        written += memoryview(encoded)[1 if len(portion) < 16 else 3 :]


def read(snapshot: Snapshot) -> Values | None:
    """The state, or None when it is of another version or cannot be read: the journal is folded instead."""
    if snapshot.version != STATE_VERSION:
        return None
    try:
        return msgspec.msgpack.decode(snapshot.body, type=Values)
    except msgspec.MsgspecError as error:
        log.error("snapshot cannot be read", seq=snapshot.head.seq, error=type(error).__name__)
        return None
