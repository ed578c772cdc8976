"""OwnTracks bodies as the apps write them, over MQTT and HTTP alike. Pure reading: no network, no clock.

Every rule is a line of the apps' own documentation (owntracks.org/booklet/tech/json) or of a trap met in the
field. What makes no check-in is a named result; what cannot be read is an EdgeError for the quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from connectors.checkin_json import decode_bounded
from connectors.ports import EdgeError, Reason, SeenCheckIn
from monitor.core.inputs import CheckInKind, Source

MAX_ITEMS = 1000
"""Messages of one array: no app sends more than its short queue."""

NoCheckIn = Literal[
    "empty",
    "beacon",
    "card",
    "cmd",
    "configuration",
    "dump",
    "request",
    "status",
    "steps",
    "waypoint",
    "waypoints",
]
"""Why a message makes no check-in: there was none, or it is of a type that says nothing about a visit."""

_NOTHING: dict[str, NoCheckIn] = {
    "beacon": "beacon",
    "card": "card",
    "cmd": "cmd",
    "configuration": "configuration",
    "dump": "dump",
    "request": "request",
    "status": "status",
    "steps": "steps",
    "waypoint": "waypoint",
    "waypoints": "waypoints",
}
_EVENTS: dict[str, CheckInKind] = {"enter": "arrive", "leave": "leave"}

# a tag is written with its prefix, or is an NFC chip's bare number of 4, 7 or 10 bytes
_TAG = re.compile(
    r"tag:[0-9A-Za-z._-]{1,64}|(?:[0-9A-Fa-f]{2}:?){3}(?:(?:[0-9A-Fa-f]{2}:?){3}){0,2}[0-9A-Fa-f]{2}"
)
_NUMBER = re.compile(r"\s*[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,2})?\s*")
_LARGEST = 1e15
_FIRST_TST, _LAST_TST = 946_684_800, 4_102_444_800  # the years 2000 and 2100

_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_RAW_LIST = msgspec.json.Decoder(list[Raw])


class BadMessage(Struct, frozen=True, kw_only=True):
    """One message that must be put aside: why, what was expected, and the bytes as they came."""

    reason: Reason
    text: str
    raw: bytes


class OwnTracksBody(Struct, frozen=True, kw_only=True):
    """What one body held: an array may hold check-ins beside messages that say nothing or cannot be read."""

    check_ins: tuple[SeenCheckIn, ...] = ()
    nothing: tuple[NoCheckIn, ...] = ()
    bad: tuple[BadMessage, ...] = ()


class _Received(Struct, frozen=True, kw_only=True):
    device: str
    topic: str | None
    at: datetime
    retained: bool
    source: Source


def read_owntracks(
    body: bytes,
    *,
    device: str,
    topic: str | None,
    received_at: datetime,
    retained: bool,
    source: Source,
) -> list[SeenCheckIn]:
    """The check-ins of one body; an empty list when it says nothing about a visit.

    Raises EdgeError (bad_body, too_large, too_deep, wrong_type, undecodable, identity) when nothing in it can be
    used and something must be put aside. `parse_owntracks` tells more: which message of an array was bad.
    """
    parsed = parse_owntracks(
        body, device=device, topic=topic, received_at=received_at, retained=retained, source=source
    )
    if parsed.bad and not parsed.check_ins:
        raise EdgeError(parsed.bad[0].reason, parsed.bad[0].text, permanent=True)
    return list(parsed.check_ins)


def parse_owntracks(
    body: bytes,
    *,
    device: str,
    topic: str | None,
    received_at: datetime,
    retained: bool,
    source: Source,
) -> OwnTracksBody:
    """Everything one body held, message by message.

    `device` is the credential's or topic's own (`owntracks:u17/phone`); `topic` is the MQTT topic it came by, or
    over HTTP what the sender claims. Never raises for what came in: a body that is no JSON is one bad message.
    """
    received = _Received(device=device, topic=topic, at=received_at, retained=retained, source=source)
    if not body.strip():
        return OwnTracksBody(nothing=("empty",))
    try:
        items = _items(body)
    except EdgeError as error:
        return OwnTracksBody(bad=(BadMessage(reason=error.reason, text=str(error), raw=body),))
    return _each(items, received)


def _items(body: bytes) -> list[bytes]:
    if body.lstrip()[:1] != b"[":
        return [body]
    items = decode_bounded(body, _RAW_LIST)
    if len(items) > MAX_ITEMS:
        raise EdgeError("too_large", f"expected at most {MAX_ITEMS} messages in an array", permanent=True)
    return [bytes(item) for item in items]


def _each(items: list[bytes], received: _Received) -> OwnTracksBody:
    check_ins: list[SeenCheckIn] = []
    nothing: list[NoCheckIn] = [] if items else ["empty"]
    bad: list[BadMessage] = []
    for item in items:
        try:
            read = _read(item, received)
        except EdgeError as error:
            bad.append(BadMessage(reason=error.reason, text=str(error), raw=item))
        else:
            if isinstance(read, SeenCheckIn):
                check_ins.append(read)
            else:
                nothing.append(read)
    return OwnTracksBody(check_ins=tuple(check_ins), nothing=tuple(nothing), bad=tuple(bad))


def _read(item: bytes, received: _Received) -> SeenCheckIn | NoCheckIn:
    message = decode_bounded(item, _ANY)
    if not isinstance(message, dict):
        raise _bad("bad_body", "expected a JSON object")
    kind = message.get("_type")
    if not isinstance(kind, str):
        raise _bad("bad_body", "_type: expected a text")
    _refuse_other_device(message, received)
    if kind in _NOTHING:
        return _NOTHING[kind]
    reader = _READERS.get(kind)
    if reader is None:
        raise _bad("bad_body", "_type: expected one of the OwnTracks types")
    return reader(message, item, received)


def _refuse_other_device(message: dict[str, Any], received: _Received) -> None:
    """`topic` in a body, or a topic over HTTP, is a claim: the credential's own device, or refused."""
    for claim in (received.topic, message.get("topic")):
        claimed = device_of_topic(claim) if isinstance(claim, str) else None
        if claimed is not None and received.device.startswith("owntracks:") and claimed != received.device:
            raise _bad("identity", "topic: expected the credential's own device")


def device_of_topic(topic: str) -> str | None:
    """`owntracks/u17/phone/event` is `owntracks:u17/phone`; None for any other topic."""
    parts = topic.split("/", 3)
    if len(parts) < 3 or parts[0] != "owntracks" or not parts[1] or not parts[2]:
        return None
    return f"owntracks:{parts[1]}/{parts[2]}"


def _location(message: dict[str, Any], item: bytes, received: _Received) -> SeenCheckIn:
    lat, lon, accuracy_m = _position(message)
    return _seen(
        "fix",
        message,
        item,
        received,
        lat=lat,
        lon=lon,
        accuracy_m=accuracy_m,
        # transitions get lost: a fix that says "inside" carries the device's own decision as well
        region_enter=any(isinstance(message.get(k), list) and message[k] for k in ("inrids", "inregions")),
        tag=_tag(message),
    )


def _transition(message: dict[str, Any], item: bytes, received: _Received) -> SeenCheckIn:
    event = message.get("event")
    if not isinstance(event, str) or event not in _EVENTS:
        raise _bad("bad_body", "event: expected enter or leave")
    try:
        lat, lon, accuracy_m = _position(message)
    except EdgeError:
        # the device's own decision is the evidence: a broken position beside it must not cost an arrival
        lat = lon = accuracy_m = None
    return _seen(
        _EVENTS[event],
        message,
        item,
        received,
        lat=lat,
        lon=lon,
        accuracy_m=accuracy_m,
        # of leaving too: the position is by nature outside the home by then
        region_enter=True,
        tag=_tag(message),
    )


def _last_will(message: dict[str, Any], item: bytes, received: _Received) -> SeenCheckIn:
    """Android's has no `tst`; iOS's is when the app first connected (booklet), not when it was lost."""
    without_time = {"_type": "lwt", "_id": message.get("_id")}
    return _seen("offline", without_time, item, received)


def _encrypted(message: dict[str, Any], item: bytes, received: _Received) -> SeenCheckIn:
    # a secretbox needs the phone's shared key, which no configuration holds yet: kept, so that nothing is lost
    raise _bad("undecodable", "expected a body that is not encrypted")


_READERS: dict[str, Callable[[dict[str, Any], bytes, _Received], SeenCheckIn]] = {
    "location": _location,
    "transition": _transition,
    "lwt": _last_will,
    "encrypted": _encrypted,
}


def _seen(
    kind: CheckInKind,
    message: dict[str, Any],
    item: bytes,
    received: _Received,
    *,
    lat: float | None = None,
    lon: float | None = None,
    accuracy_m: float | None = None,
    region_enter: bool = False,
    tag: str | None = None,
) -> SeenCheckIn:
    tst = _seconds(message, "tst")
    return SeenCheckIn(
        source=received.source,
        kind=kind,
        at=received.at if tst is None else datetime.fromtimestamp(tst, UTC),
        device=received.device,
        natural_key=_natural_key(message, received, tst, lat, lon),
        raw=item,
        lat=lat,
        lon=lon,
        accuracy_m=accuracy_m,
        region_enter=region_enter,
        tag=tag,
        retained=received.retained,
    )


def _natural_key(
    message: dict[str, Any], received: _Received, tst: float | None, lat: float | None, lon: float | None
) -> str:
    """devices.md: by `_id`, else (user, device, `_type`, tst, lat, lon, event, rid).

    Without any time of its own a message is told from yesterday's same one only by when it reached us.
    """
    own_id = message.get("_id")
    if isinstance(own_id, str | int) and own_id != "":
        return f"{received.device}|{own_id}"
    when = next((t for t in (tst, _maybe_seconds(message, "created_at")) if t is not None), None)
    region = message.get("rid", message.get("wtst", ""))
    parts = (
        received.device,
        message["_type"],
        received.at.isoformat() if when is None else repr(when),
        "" if lat is None else repr(lat),
        "" if lon is None else repr(lon),
        message.get("event", ""),
        region if isinstance(region, str | int | float) else "",
    )
    return "|".join(map(str, parts))


def _position(message: dict[str, Any]) -> tuple[float | None, float | None, float | None]:
    lat, lon = _number(message, "lat"), _number(message, "lon")
    # 0/0 is what a phone without a fix sends
    if lat is None or lon is None or (lat == 0 and lon == 0):
        return None, None, None
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise _bad("wrong_type", "lat, lon: expected degrees")
    accuracy_m = _number(message, "acc")
    return lat, lon, accuracy_m if accuracy_m is not None and accuracy_m >= 0 else None


def _tag(message: dict[str, Any]) -> str | None:
    found = (message.get(name) for name in ("tag", "poi"))
    return next((value for value in found if isinstance(value, str) and _TAG.fullmatch(value)), None)


def _seconds(message: dict[str, Any], name: str) -> float | None:
    value = _number(message, name)
    if value is not None and not _FIRST_TST <= value < _LAST_TST:
        raise _bad("wrong_type", f"{name}: expected seconds since 1970 within 2000 to 2100")
    return value


def _maybe_seconds(message: dict[str, Any], name: str) -> float | None:
    try:
        return _seconds(message, name)
    except EdgeError:
        return None


def _number(message: dict[str, Any], name: str) -> float | None:
    """A number, also written as a text; None when it is absent, null or an empty text."""
    value = message.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    # compared before it is converted: JSON may write an integer that no float can hold
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        raise _bad("wrong_type", f"{name}: expected a number")
    return float(value)


def _bad(reason: Reason, text: str) -> EdgeError:
    return EdgeError(reason, text, permanent=True)
