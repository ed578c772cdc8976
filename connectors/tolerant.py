"""Reading what apps write loosely: numbers as texts, positions that are none. Shared by the readers of phone apps.

No error text repeats a value that came in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from connectors.ports import EdgeError, Reason

_NUMBER = re.compile(r"\s*[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,2})?\s*")
_LARGEST = 1e15


class BadMessage(Struct, frozen=True, kw_only=True):
    """One message that must be put aside: why, what was expected, and the bytes as they came."""

    reason: Reason
    text: str
    raw: bytes


def bad(reason: Reason, text: str) -> EdgeError:
    """A permanent EdgeError."""
    return EdgeError(reason, text, permanent=True)


def bad_message(error: EdgeError, raw: bytes) -> BadMessage:
    """The message that raised it."""
    return BadMessage(reason=error.reason, text=str(error), raw=raw)


def number(message: Mapping[str, Any], name: str) -> float | None:
    """A number, also written as a text; None when it is absent, null or an empty text. Raises EdgeError(wrong_type)."""
    value = message.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    # compared before it is converted: JSON may write an integer that no float can hold
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        raise bad("wrong_type", f"{name}: expected a number")
    return float(value)


class Place(Struct, frozen=True, kw_only=True):
    """Where an app says it is: degrees and metres, each None when it does not know."""

    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None


NOWHERE = Place()


def place(message: Mapping[str, Any], lat_name: str, lon_name: str, accuracy_name: str) -> Place:
    """Raises EdgeError(wrong_type) for degrees that are none; 0/0 is what a phone without a fix sends."""
    lat, lon = number(message, lat_name), number(message, lon_name)
    if lat is None or lon is None or (lat == 0 and lon == 0):
        return NOWHERE
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise bad("wrong_type", f"{lat_name}, {lon_name}: expected degrees")
    accuracy_m = number(message, accuracy_name)
    known = accuracy_m is not None and accuracy_m >= 0
    return Place(lat=lat, lon=lon, accuracy_m=accuracy_m if known else None)
