"""OwnTracks bodies as the apps write them, over MQTT and HTTP alike. Pure reading: no network, no clock.

Every rule is a line of the apps' own documentation (owntracks.org/booklet/tech/json) or of a trap met in the
field. What makes no check-in is a named result; what cannot be read is an EdgeError for the quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, structs

from connectors.checkin_json import decode_bounded
from connectors.owntracks_secret import opened
from connectors.ports import EdgeError, SeenCheckIn
from connectors.tolerant import NOWHERE, BadMessage, Place, bad_message, number, place
from connectors.tolerant import bad as _bad
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
    r"[Tt][Aa][Gg]:[0-9A-Za-z.:_-]{1,64}|(?:[0-9A-Fa-f]{2}[: -]?){3}(?:(?:[0-9A-Fa-f]{2}[: -]?){3}){0,2}[0-9A-Fa-f]{2}"
)
_REGIONS, _REGION_NAME = 20, 200
_FIRST_TST, _LAST_TST = 946_684_800, 4_102_444_800  # the years 2000 and 2100

_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_RAW_LIST = msgspec.json.Decoder(list[Raw])


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
    keys: Sequence[bytes] = ()
    may_be_encrypted: bool = True


def read_owntracks(
    body: bytes,
    *,
    device: str,
    topic: str | None,
    received_at: datetime,
    retained: bool,
    source: Source,
    keys: Sequence[bytes] = (),
) -> list[SeenCheckIn]:
    """The check-ins of one body; an empty list when it says nothing about a visit.

    Raises EdgeError (bad_body, too_large, too_deep, wrong_type, undecodable, no_key, wrong_key, identity) when nothing
    in it can be used and something must be put aside. `parse_owntracks` tells more: which message of an array was bad.
    """
    parsed = parse_owntracks(
        body,
        device=device,
        topic=topic,
        received_at=received_at,
        retained=retained,
        source=source,
        keys=keys,
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
    keys: Sequence[bytes] = (),
) -> OwnTracksBody:
    """Everything one body held, message by message.

    `device` is the credential's or topic's own (`owntracks:u17/phone`); `topic` is the MQTT topic it came by, or
    over HTTP what the sender claims; `keys` open what this device encrypts, the first that fits. Never raises for what
    came in: a body that is no JSON is one bad message.
    """
    received = _Received(
        device=device, topic=topic, at=received_at, retained=retained, source=source, keys=keys
    )
    if not body.strip():
        return OwnTracksBody(nothing=("empty",))
    try:
        items = _items(body)
    except EdgeError as error:
        return OwnTracksBody(bad=(bad_message(error, body),))
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
            bad.append(bad_message(error, item))
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
    where = place(message, "lat", "lon", "acc")
    inside = (("rid", message.get("inrids")), ("desc", message.get("inregions")))
    poi, lasting = _poi(message), _lasting_tag(message, where)
    return _seen(
        "fix",
        message,
        item,
        received,
        where=where,
        # transitions get lost: a fix that says "inside" carries the device's own decision as well
        region_enter=any(isinstance(names, list) and names for _, names in inside),
        regions=tuple(
            claim
            for key, names in inside
            if isinstance(names, list)
            for name in names[:_REGIONS]
            if (claim := _region(key, name)) is not None
        ),
        tag=poi or lasting,
        tag_lasts=poi is None and lasting is not None,
    )


def _transition(message: dict[str, Any], item: bytes, received: _Received) -> SeenCheckIn:
    event = message.get("event")
    if not isinstance(event, str) or event not in _EVENTS:
        raise _bad("bad_body", "event: expected enter or leave")
    try:
        where = place(message, "lat", "lon", "acc")
    except EdgeError:
        # the device's own decision is the evidence: a broken position beside it must not cost an arrival
        where = NOWHERE
    claims = (_region(key, message.get(key)) for key in ("rid", "wtst", "desc"))
    return _seen(
        _EVENTS[event],
        message,
        item,
        received,
        where=where,
        # of leaving too: the position is by nature outside the home by then
        region_enter=True,
        regions=tuple(claim for claim in claims if claim is not None),
        # a tag that lasts may be left from the last home, and this names its own place
        tag=_poi(message),
    )


def _region(key: str, name: object) -> str | None:
    """What a message calls a region, as `rid:…`, `wtst:…` or `desc:…` (`connectors.ports.SeenCheckIn.regions`)."""
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        return None
    return f"{key}:{str(name)[:_REGION_NAME]}"


def _last_will(message: dict[str, Any], item: bytes, received: _Received) -> SeenCheckIn:
    """Android's has no `tst`; iOS's is when the app first connected (booklet), not when it was lost."""
    without_time = {"_type": "lwt", "_id": message.get("_id")}
    return _seen("offline", without_time, item, received)


def _encrypted(message: dict[str, Any], item: bytes, received: _Received) -> SeenCheckIn | NoCheckIn:
    """What is inside goes the ordinary way, and is what is kept: the box could not be opened after a change of key."""
    if not received.may_be_encrypted:
        raise _bad("bad_body", "data: expected a message that is not encrypted twice")
    inner = opened(message.get("data"), received.keys)
    return _read(inner, structs.replace(received, may_be_encrypted=False))


_READERS: dict[str, Callable[[dict[str, Any], bytes, _Received], SeenCheckIn | NoCheckIn]] = {
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
    where: Place = NOWHERE,
    region_enter: bool = False,
    regions: tuple[str, ...] = (),
    tag: str | None = None,
    tag_lasts: bool = False,
) -> SeenCheckIn:
    tst = _seconds(message, "tst")
    return SeenCheckIn(
        source=received.source,
        kind=kind,
        at=received.at if tst is None else datetime.fromtimestamp(tst, UTC),
        device=received.device,
        natural_key=_natural_key(message, received, tst, where),
        raw=item,
        lat=where.lat,
        lon=where.lon,
        accuracy_m=where.accuracy_m,
        region_enter=region_enter,
        regions=regions,
        tag=tag,
        tag_lasts=tag_lasts,
        retained=received.retained,
    )


def _natural_key(message: dict[str, Any], received: _Received, tst: float | None, where: Place) -> str:
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
        "" if where.lat is None else repr(where.lat),
        "" if where.lon is None else repr(where.lon),
        message.get("event", ""),
        region if isinstance(region, str | int | float) else "",
    )
    return "|".join(map(str, parts))


def _poi(message: dict[str, Any]) -> str | None:
    """Said once, by hand (the booklet, "POI and tags")."""
    return _like_a_tag(message.get("poi"))


def _lasting_tag(message: dict[str, Any], where: Place) -> str | None:
    """A `tag` stays on every message until somebody clears it on the phone (the booklet, "POI and tags"), so that it
    says nothing without a position that may contradict it."""
    return None if where.lat is None else _like_a_tag(message.get("tag"))


def _like_a_tag(value: object) -> str | None:
    return value if isinstance(value, str) and _TAG.fullmatch(value) else None


def _seconds(message: dict[str, Any], name: str) -> float | None:
    value = number(message, name)
    if value is not None and not _FIRST_TST <= value < _LAST_TST:
        raise _bad("wrong_type", f"{name}: expected seconds since 1970 within 2000 to 2100")
    return value


def _maybe_seconds(message: dict[str, Any], name: str) -> float | None:
    try:
        return _seconds(message, name)
    except EdgeError:
        return None
