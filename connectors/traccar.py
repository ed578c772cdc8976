"""Traccar as its Client app and its server write it. Pure reading: no network, no clock.

Three writers, one device name (`traccar:<uniqueId>`): the Client's JSON (version 9 and on), the older query or form of
the OsmAnd protocol, and what a Traccar server forwards (`forward.url` with `forward.type=json`, `event.forward.url`).
Rules are lines of traccar.org/osmand, traccar.org/forward and of the projects' own sources. Speed (knots from the
server, metres a second from the app) is not read: nothing here is decided by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct, structs

from connectors.checkin_json import decode_bounded
from connectors.ports import EdgeError, SeenCheckIn
from connectors.tolerant import NOWHERE, BadMessage, Place, bad, bad_message, number, place
from monitor.core.inputs import CheckInKind

MAX_ITEMS = 1000
"""Messages of one body, and locations of its lists: a shift's fixes at two a minute (ours)."""
SMALL_M = 250.0
"""A geofence no larger than this says where it is better than the fix at its edge does (ours)."""

NoCheckIn = Literal["empty", "event"]
"""Why a message makes no check-in: there was none, or it is an event that says nothing about a visit."""

_MAX_FIELDS, _TEXT = 100, 200
_EVENTS: dict[str, CheckInKind] = {
    "geofenceEnter": "arrive",
    "geofenceExit": "leave",
    "deviceOffline": "offline",
    "driverChanged": "fix",
}
_MILLISECONDS_FROM = 1e11
"""Traccar takes a larger number for milliseconds; as seconds it would lie in the year 5138."""
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_CIRCLE = re.compile(r"\s*CIRCLE\s*\(\s*(\S+)\s+(\S+?)\s*,\s*(\S+?)\s*\)\s*", re.IGNORECASE)

_LOST_PLUS = re.compile(r"(T\S+) (\d\d:?\d\d)$")

_CALLS = 10
"""Calls for help that are taken out of what is too much."""

_RAW_LIST = msgspec.json.Decoder(list[Raw])
_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
T = TypeVar("T")
Table = Mapping[str, Any]


class TraccarBody(Struct, frozen=True, kw_only=True):
    """What one request held."""

    check_ins: tuple[SeenCheckIn, ...] = ()
    nothing: tuple[NoCheckIn, ...] = ()
    bad: tuple[BadMessage, ...] = ()


class _Several(Struct, frozen=True, gc=False):
    """A body of the Client with a list of locations."""

    location: list[Raw]
    device_id: object = None
    position: object = None
    event: object = None


_SEVERAL = msgspec.json.Decoder(_Several)


class _Received(Struct, frozen=True, kw_only=True):
    device: str | None
    at: datetime


class _Report(Struct, frozen=True, kw_only=True):
    """One message, whoever wrote it."""

    id: str | None
    at: datetime | None
    where: Place = NOWHERE
    kind: CheckInKind = "fix"
    inside: bool = False
    """The server itself says that it is inside a geofence, or has entered or left one."""
    regions: tuple[str, ...] = ()
    mock: bool = False
    sos: bool = False
    card: str | None = None


def parse_traccar(body: bytes, query: str, *, device: str | None, received_at: datetime) -> TraccarBody:
    """Everything one request held. Never raises for what came in.

    `device` is the credential's own, None for a feed that speaks for any device of its desk; `query` as it stood in
    the URL, undecoded: it counts when the body is no JSON.
    """
    received = _Received(device=device, at=received_at)
    if body.lstrip()[:1] in (b"{", b"["):
        return _json(body, received)
    raw = query.encode() if query.strip() else body
    if not raw.strip():
        return TraccarBody(nothing=("empty",))
    return _gathered([raw], lambda one: _seen(_of_form(one), one, received))


def _json(body: bytes, received: _Received) -> TraccarBody:
    try:
        items = _items(body)
    except EdgeError as error:
        return TraccarBody(bad=(bad_message(error, body),))
    if not items:
        return TraccarBody(nothing=("empty",))
    singles, over = _one_by_one(items)
    read = _gathered(singles, lambda item: _of_json(item, received))
    if not over:
        return read
    refusal = bad(
        "too_large", f"expected at most {MAX_ITEMS} locations in one body; the last ones were taken"
    )
    return structs.replace(read, bad=(*read.bad, bad_message(refusal, b"[" + b",".join(over) + b"]")))


def _items(body: bytes) -> list[bytes]:
    if body.lstrip()[:1] != b"[":
        return [body]
    items = decode_bounded(body, _RAW_LIST)
    if len(items) > MAX_ITEMS:
        raise bad("too_large", f"expected at most {MAX_ITEMS} messages in an array")
    return [bytes(item) for item in items]


def _one_by_one(items: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Each location as a body of its own, and those that are too many.

    The last ones count: apps write the oldest first, and where somebody is now matters most. A call for help is heard
    however old it is.
    """
    kept: list[bytes] = []
    over: list[bytes] = []
    calls: list[bytes] = []
    for item in reversed(items):
        several = _several(item)
        if several is None:
            kept.append(item)
            continue
        device = msgspec.json.encode(_text({"id": several.device_id}, "id"))
        first = max(len(several.location) - max(MAX_ITEMS - len(kept), 0), 0)
        kept += [_single(one, device) for one in reversed(several.location[first:])]
        too_many = [bytes(one) for one in reversed(several.location[:first])]
        over += too_many
        calls += [_single(one, device) for one in too_many if b"sos" in one.lower()]
    return [*reversed(calls[:_CALLS]), *reversed(kept)], over[::-1]


def _several(item: bytes) -> _Several | None:
    try:
        found = decode_bounded(item, _SEVERAL)
    except EdgeError:
        return None  # no list: whoever reads it says what is wrong, if anything is
    of_a_server = isinstance(found.event, dict) or isinstance(found.position, dict)
    return found if found.location and not of_a_server else None


def _single(location: Raw | bytes, device: bytes) -> bytes:
    return b'{"location":' + bytes(location) + b',"device_id":' + device + b"}"


def _gathered(items: Iterable[bytes], read: Callable[[bytes], list[SeenCheckIn]]) -> TraccarBody:
    """One bad message of several harms no other."""
    check_ins: list[SeenCheckIn] = []
    nothing: list[NoCheckIn] = []
    wrong: list[BadMessage] = []
    for item in items:
        try:
            found = read(item)
        except EdgeError as error:
            wrong.append(bad_message(error, item))
        else:
            check_ins += found
            nothing += [] if found else ["event"]
    return TraccarBody(check_ins=tuple(check_ins), nothing=tuple(nothing), bad=tuple(wrong))


def _of_json(item: bytes, received: _Received) -> list[SeenCheckIn]:
    message = decode_bounded(item, _ANY)
    if not isinstance(message, dict):
        raise bad("bad_body", "expected a JSON object")
    if isinstance(message.get("event"), dict):
        report = _of_event(message)
        return [] if report is None else _seen(report, item, received)
    if isinstance(message.get("position"), dict):
        return _seen(_of_position(message), item, received)
    location = message.get("location")
    if not isinstance(location, dict):
        raise bad("bad_body", "expected location, position or event")
    return _seen(_of_client(location, message), item, received)


# --- the three writers ---


def _of_client(location: Table, message: Table) -> _Report:
    extras = _table(location, "extras")
    sos = _is_sos(location.get("alarm"), extras.get("alarm"), location.get("event"))
    return _Report(
        id=_text(message, "device_id"),
        at=_unless(sos, None, lambda: _instant(location, "timestamp")),
        where=_unless(
            sos, NOWHERE, lambda: place(_table(location, "coords"), "latitude", "longitude", "accuracy")
        ),
        mock=_is_true(location.get("mock")),
        sos=sos,
        card=_text(extras, "driverUniqueId"),
    )


def _of_form(raw: bytes) -> _Report:
    try:
        fields = dict(
            reversed(parse_qsl(raw.decode(), max_num_fields=_MAX_FIELDS))
        )  # the first of a name counts
    except (UnicodeDecodeError, ValueError) as error:
        raise bad("bad_body", "expected a form, or JSON") from error
    if not fields:
        raise bad("bad_body", "expected a form, or JSON")
    sos = _is_sos(fields.get("alarm"), fields.get("event"))
    return _Report(
        id=_text(fields, "id") or _text(fields, "deviceid"),
        at=_unless(sos, None, lambda: _instant(fields, "timestamp")),
        where=_unless(sos, NOWHERE, lambda: _form_place(fields)),
        mock=_is_true(fields.get("mock")),
        sos=sos,
        card=_text(fields, "driverUniqueId"),
    )


def _form_place(fields: dict[str, str]) -> Place:
    if fields.get("valid", "true").lower() not in ("true", "1"):
        return NOWHERE
    if "location" in fields:
        lat, _, lon = fields["location"].partition(",")
        fields = fields | {"lat": lat, "lon": lon}
    return place(fields, "lat", "lon", "accuracy")


def _of_position(message: Table) -> _Report:
    position = _table(message, "position")
    attributes = _table(position, "attributes")
    sos = _is_sos(attributes.get("alarm"))
    fences = position.get("geofenceIds")
    return _Report(
        id=_unique_id(message),
        at=_unless(sos, None, lambda: _instant(position, *_times_of(position))),
        where=_unless(sos, NOWHERE, lambda: _fix(position)),
        # enter is told on an outside-inside pair only: where the first fix is inside, this list alone says so
        inside=isinstance(fences, list) and bool(fences),
        mock=_is_true(attributes.get("mock")),
        sos=sos,
        card=_text(attributes, "driverUniqueId"),
    )


def _times_of(position: Table) -> tuple[str, ...]:
    # of an outdated position the fix is the last one known: the message is younger than it
    return ("deviceTime", "serverTime") if _is_stale(position) else ("fixTime", "deviceTime", "serverTime")


def _fix(position: Table) -> Place:
    if _is_stale(position):
        return NOWHERE
    where = place(position, "latitude", "longitude", "accuracy")
    # Traccar writes 0 when the device said nothing of its accuracy
    return where if where.accuracy_m else Place(lat=where.lat, lon=where.lon)


def _is_stale(position: Table) -> bool:
    return position.get("outdated") is True or position.get("valid") is False


def _of_event(message: Table) -> _Report | None:
    event, position = _table(message, "event"), _table(message, "position")
    attributes = _table(position, "attributes") | _table(event, "attributes")
    sos = _is_sos(attributes.get("alarm"))
    kind = "fix" if event.get("type") == "alarm" and sos else _EVENTS.get(str(event.get("type")))
    if kind is None:
        return None
    fence = _table(message, "geofence") if kind in ("arrive", "leave") else {}
    where = _unless(sos, NOWHERE, lambda: _fix(position))
    at = _unless(sos, None, lambda: _event_time(event, position))
    return _Report(
        id=_unique_id(message),
        at=at,
        where=NOWHERE if kind == "offline" else _circle(fence) or where,
        kind=kind,
        inside=kind in ("arrive", "leave"),
        regions=tuple(f"desc:{name}" for name in (_text(fence, "name"),) if name),
        mock=_is_true(attributes.get("mock")),
        sos=sos,
        card=_text(attributes, "driverUniqueId"),
    )


def _event_time(event: Table, position: Table) -> datetime | None:
    own = _instant(event, "eventTime", "serverTime")
    return own or _instant(position, "deviceTime", "fixTime")


def _circle(fence: Table) -> Place | None:
    """The circle of a geofence that is small enough to say where somebody is; None for any other."""
    found = _CIRCLE.fullmatch(str(fence.get("area", ""))[:_TEXT])
    if found is None:
        return None
    lat, lon, radius_m = found.groups()
    try:
        circle = place({"lat": lat, "lon": lon, "radius": radius_m}, "lat", "lon", "radius")
    except EdgeError:
        return None
    return circle if circle.accuracy_m is not None and 0 < circle.accuracy_m <= SMALL_M else None


# --- what a report means ---


def _seen(report: _Report, raw: bytes, received: _Received) -> list[SeenCheckIn]:
    """A call for help is one message and the fix beside it another: each is known again by itself."""
    device = _own_device(report.id, received)
    found = [_check_in(report, "help", device, raw, received)] if report.sos else []
    if not report.sos or report.where.lat is not None:
        found.append(_check_in(report, report.kind, device, raw, received))
    return found


def _own_device(claimed: str | None, received: _Received) -> str:
    """The credential's own; a feed's message must name one."""
    named = None if claimed is None else f"traccar:{claimed}"
    if received.device is None:
        if named is None:
            raise bad("bad_body", "expected the device's id")
        return named
    if named not in (None, received.device):
        raise bad("identity", "id: expected the credential's own device")
    return received.device


def _check_in(
    report: _Report, kind: CheckInKind, device: str, raw: bytes, received: _Received
) -> SeenCheckIn:
    where = report.where
    at = report.at or received.at
    key = (device, kind, at.isoformat(), where.lat, where.lon, *report.regions, report.card or "")
    if kind == "help":
        # the server tells of one alarm twice, as a position and as an event: one call for help
        key = (device, kind, at.isoformat())
    return SeenCheckIn(
        source="traccar",
        kind=kind,
        # when a phone was lost it does not say itself
        at=received.at if kind == "offline" else at,
        device=device,
        natural_key="|".join(map(str, key)),
        raw=raw,
        lat=where.lat,
        lon=where.lon,
        accuracy_m=where.accuracy_m,
        region_enter=report.inside,
        regions=report.regions,
        card=report.card,
        mock=report.mock,
    )


# --- fields ---


def _unless(sos: bool, fallback: T, read: Callable[[], T]) -> T:
    """A call for help is heard whatever else is wrong with its message."""
    try:
        return read()
    except EdgeError:
        if sos:
            return fallback
        raise


def _table(message: Table, name: str) -> dict[str, Any]:
    value = message.get(name)
    return value if isinstance(value, dict) else {}


def _text(message: Table, name: str) -> str | None:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value)[:_TEXT]


def _unique_id(message: Table) -> str | None:
    return _text(_table(message, "device"), "uniqueId")


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.lower() in ("true", "1"))


def _is_sos(*values: object) -> bool:
    """`alarm` may hold several, with commas between."""
    return any(isinstance(value, str) and "sos" in value.lower().split(",") for value in values)


def _instant(message: Table, *names: str) -> datetime | None:
    """The first of these fields that is there: seconds, milliseconds, or ISO 8601 (UTC unless it says otherwise)."""
    name = next((one for one in names if message.get(one) not in (None, "")), None)
    if name is None:
        return None
    value = message[name]
    try:
        at = _of_text(value) if isinstance(value, str) else None
        if at is None:
            seconds = number(message, name) or 0.0
            at = datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds, UTC)
    except (ValueError, OverflowError, OSError, EdgeError):
        at = _FIRST.replace(year=1970)
    if not _FIRST <= at < _LAST:
        raise bad("wrong_type", f"{name}: expected seconds, milliseconds or ISO 8601 within 2000 to 2100")
    return at


def _of_text(text: str) -> datetime | None:
    """None for what may be a number."""
    if "-" not in text.strip()[1:]:
        return None
    # a plus sign that was not escaped in a query arrives as a space
    at = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text.strip()))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
