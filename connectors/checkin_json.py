"""Our own JSON check-in, the same body over MQTT and HTTP (docs/interface.md, `POST …/checkins`). No network here.

Strict about what it names (a wrong type is refused, with the field and what was expected), tolerant about the
rest (unknown fields are ignored). No error text repeats a value that came in.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from connectors.ports import EdgeError, Reason, SeenCheckIn
from monitor.core.inputs import Source

MAX_BODY = 1 << 20
"""Bytes of one body; devices.md: over 1 MiB is refused."""

Kind = Literal["arrive", "leave", "no_reply", "refused"]
T = TypeVar("T")

_Id = Annotated[str, Meta(min_length=1, max_length=200)]
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

_EXPECTED = {
    "": "one JSON object",
    "id": "a text of 1 to 200 characters",
    "kind": "one of " + ", ".join(get_args(Kind)),
    "at": "an RFC 3339 instant with its offset, such as 2026-03-29T07:30:00Z",
    "lat": "a number of degrees from -90 to 90, with lon",
    "lon": "a number of degrees from -180 to 180, with lat",
    "accuracy_m": "a number of metres, 0 or more",
    "receipt": "true or false",
    "device": "the credential's own device, or none",
}
_ID_EXPECTED = "a text of 1 to 200 characters, or null"
_PATH = re.compile(r"(?: - at `\$\.?(?P<at>[a-z_]*).*`|required field `(?P<missing>[a-z_]+)`)$")


class CheckInProblem(EdgeError):
    """A check-in that cannot be taken: `path` names the field ("" the whole body), `id` its own id if readable."""

    def __init__(self, reason: Reason, text: str, *, path: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(reason, text, permanent=True)
        self.path = path
        self.id = id


class _Item(Struct, frozen=True, kw_only=True, gc=False):
    id: _Id
    kind: Kind
    at: Annotated[datetime, Meta(tz=True)]
    worker: _Id | None = None
    device: _Id | None = None
    service_user: _Id | None = None
    visit: _Id | None = None
    tag: _Id | None = None
    lat: Annotated[float, Meta(ge=-90, le=90)] | None = None
    lon: Annotated[float, Meta(ge=-180, le=180)] | None = None
    accuracy_m: Annotated[float, Meta(ge=0)] | None = None
    receipt: bool | None = None


class _OnlyId(Struct, frozen=True, gc=False):
    id: object = None


_ITEM = msgspec.json.Decoder(_Item)
_ANY = msgspec.json.Decoder()
_RAW_LIST = msgspec.json.Decoder(list[Raw])
_ONLY_ID = msgspec.json.Decoder(_OnlyId)


def decode_bounded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode a body that nobody vouches for: at most 1 MiB, bounded in depth.

    Raises EdgeError too_large, too_deep, bad_body (not JSON), wrong_type (JSON of another shape).
    """
    if len(body) > MAX_BODY:
        raise EdgeError("too_large", f"expected at most {MAX_BODY} bytes", permanent=True)
    try:
        return decoder.decode(body)
    except RecursionError as error:
        raise EdgeError("too_deep", "expected JSON of a moderate depth", permanent=True) from error
    except msgspec.ValidationError as error:
        raise EdgeError("wrong_type", str(error), permanent=True) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EdgeError("bad_body", "expected JSON in UTF-8", permanent=True) from error


def split_checkins(body: bytes) -> list[bytes]:
    """The items of an array of check-ins, each undecoded: a bad one harms no other.

    Raises CheckInProblem for a body that is no array, no JSON, too large or too deep.
    """
    try:
        return [bytes(item) for item in decode_bounded(body, _RAW_LIST)]
    except EdgeError as error:
        raise CheckInProblem(error.reason, str(error)) from error


def read_checkin(item: bytes, *, device: str | None, source: Source, retained: bool = False) -> SeenCheckIn:
    """One check-in. `device` is the credential's or topic's own; None lets the body name any (role `intake`).

    Raises CheckInProblem: too_large, too_deep, bad_body, wrong_type, identity (the body claims another device).
    """
    try:
        read = decode_bounded(item, _ITEM)
    except EdgeError as error:
        raise _explained(item, error) from error
    named = _own_device(read, device)
    lat, lon = _position(read)
    return SeenCheckIn(
        source=source,
        kind=read.kind,
        at=_instant(read),
        device=named,
        natural_key=f"{named or read.worker or ''}|{read.id}",
        raw=item,
        id=read.id,
        worker=read.worker,
        service_user=read.service_user,
        visit=read.visit,
        tag=read.tag,
        lat=lat,
        lon=lon,
        accuracy_m=None if lat is None else read.accuracy_m,
        retained=retained,
        receipt=bool(read.receipt),
    )


def _own_device(read: _Item, device: str | None) -> str | None:
    claim = read.device if read.device is None or ":" in read.device else f"callwatch:{read.device}"
    if device is None or claim is None or claim == device:
        return device or claim
    raise _problem("identity", "device", read.id)


def _position(read: _Item) -> tuple[float | None, float | None]:
    if (read.lat is None) != (read.lon is None):
        raise _problem("wrong_type", "lat" if read.lat is None else "lon", read.id)
    # 0/0 lies in the Gulf of Guinea: it is what an app sends that has no fix
    return (None, None) if read.lat == 0 and read.lon == 0 else (read.lat, read.lon)


def _instant(read: _Item) -> datetime:
    if not _FIRST <= read.at < _LAST:
        raise _problem("wrong_type", "at", read.id)
    return read.at.astimezone(UTC)


def _problem(reason: Reason, path: str, item_id: str | None) -> CheckInProblem:
    expected = _EXPECTED.get(path, _ID_EXPECTED)
    return CheckInProblem(
        reason, f"{path}: expected {expected}" if path else f"expected {expected}", path=path, id=item_id
    )


def _explained(item: bytes, error: EdgeError) -> CheckInProblem:
    """msgspec's own text may repeat what came in ("Invalid enum value 'Mrs …'"): only the path is taken from it."""
    if error.reason == "wrong_type":
        error = _no_json(item) or error
    if error.reason != "wrong_type":
        return CheckInProblem(error.reason, str(error))
    found = _PATH.search(str(error))
    path = (found["at"] or found["missing"] or "") if found else ""
    return _problem("wrong_type", path, _readable_id(item))


def _no_json(item: bytes) -> EdgeError | None:
    """A wrong type was found first, but what follows it may be no JSON at all."""
    try:
        decode_bounded(item, _ANY)
    except EdgeError as error:
        return error
    return None


def _readable_id(item: bytes) -> str | None:
    try:
        found = _ONLY_ID.decode(item).id
    except msgspec.MsgspecError:
        return None
    return found if isinstance(found, str) and 0 < len(found) <= 200 else None
