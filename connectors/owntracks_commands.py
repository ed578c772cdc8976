"""What OwnTracks phones can be told (booklet, `_type=cmd`), as JSON for MQTT or for an HTTP answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

MOST_REGIONS = 20
"""iOS watches no more than this many regions for one app, and says nothing of the others."""


class Waypoint(Struct, frozen=True, kw_only=True):
    """One region as a phone keeps it. Android knows it again by `tst`, iOS by `desc`."""

    desc: str
    lat: float
    lon: float
    rad: int
    tst: int
    rid: str


def switched_off(waypoint: Waypoint) -> Waypoint:
    """What takes a region off a phone again. Only iOS can delete one, by a position that Android would fall over; a
    region without a radius is watched by neither, and no home's position stays behind."""
    return msgspec.structs.replace(waypoint, lat=0.0, lon=0.0, rad=0)


def set_waypoints(waypoints: Sequence[Waypoint]) -> bytes:
    """Adds these regions, or changes those that the phone has already; it keeps all others."""
    regions = [{"_type": "waypoint"} | msgspec.structs.asdict(one) for one in waypoints]
    inner = {"_type": "waypoints", "_creator": "callwatch", "waypoints": regions}
    return msgspec.json.encode({"_type": "cmd", "action": "setWaypoints", "waypoints": inner})


def report_location() -> bytes:
    """Asks the phone where it is."""
    return msgspec.json.encode({"_type": "cmd", "action": "reportLocation"})


def command_topic(device: str) -> str:
    """`owntracks:u17/phone` listens on `owntracks/u17/phone/cmd`."""
    return f"owntracks/{device.partition(':')[2]}/cmd"
