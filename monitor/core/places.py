"""Was the care worker at the home? Circles are compared, not points (devices.md, "Position")."""

from __future__ import annotations

from datetime import timedelta
from math import asin, cos, radians, sin, sqrt
from typing import Literal

from msgspec import Struct

from monitor.core.inputs import Position

EARTH_M = 6_371_008.8
COARSE_M = 250.0
"""A fix with a larger accuracy circle (and larger than the home's own) cannot prove presence, only absence (ours)."""
FASTEST_M_S = 55.0
"""Faster than any car between two homes: about 200 km/h (devices.md: farther apart than any car can go)."""

PlaceVerdict = Literal["consistent", "inconsistent", "unclear", "none"]


class Home(Struct, frozen=True, kw_only=True, gc=False):
    """A home's circle: degrees and metres."""

    lat: float
    lon: float
    radius_m: float


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance in metres."""
    a1, a2 = radians(lat1), radians(lat2)
    half_lat, half_lon = (a2 - a1) / 2, radians(lon2 - lon1) / 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(sin(half_lat) ** 2 + cos(a1) * cos(a2) * sin(half_lon) ** 2)))


def place_verdict(position: Position | None, homes: tuple[Home, ...]) -> PlaceVerdict:
    """*consistent*: the circles meet; *inconsistent*: they do not; *unclear*: they meet, but the fix is too coarse
    to say; *none*: there is no fix, or no home to compare it with."""
    if position is None or not homes:
        return "none"
    found = [_against(position, home) for home in homes]
    return "consistent" if "consistent" in found else "unclear" if "unclear" in found else "inconsistent"


def _against(position: Position, home: Home) -> PlaceVerdict:
    apart = distance_m(position.lat, position.lon, home.lat, home.lon)
    if apart > home.radius_m + position.accuracy_m:
        return "inconsistent"
    return "consistent" if position.accuracy_m <= max(COARSE_M, home.radius_m) else "unclear"


def impossible_travel(metres: float, between: timedelta) -> bool:
    """Whether no car covers `metres` in that time."""
    return metres > 1_000 and metres > FASTEST_M_S * max(between.total_seconds(), 1.0)
