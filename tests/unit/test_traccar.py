"""Traccar as Client and server write it: every line of devices.md, "Traccar", as a test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.checkin_json import MAX_BODY
from connectors.ports import SeenCheckIn
from connectors.traccar import MAX_ITEMS, TraccarBody, parse_traccar

DEVICE = "traccar:8612"
RECEIVED = datetime(2026, 3, 29, 9, 0, tzinfo=UTC)
AT = datetime(2026, 3, 29, 7, 31, tzinfo=UTC)
SECONDS = 1774769460

# as Traccar Client 9 sends it, its odd last member included
CLIENT: dict[str, Any] = {
    "location": {
        "timestamp": "2026-03-29T07:31:00.000Z",
        "coords": {
            "latitude": 51.4055,
            "longitude": 0.0144,
            "accuracy": 14.2,
            "speed": 1.3,
            "heading": -1,
            "altitude": 30.0,
        },
        "is_moving": False,
        "odometer": 1024.5,
        "event": "motionchange",
        "battery": {"level": 0.71, "is_charging": False},
        "activity": {"type": "still"},
        "extras": {},
        "_": "&id=8612&lat=51.4055&lon=0.0144&timestamp=2026-03-29T07:31:00.000Z&",
    },
    "device_id": "8612",
}
FORM = {
    "id": "8612",
    "timestamp": str(SECONDS),
    "lat": "51.4055",
    "lon": "0.0144",
    "speed": "0.0",
    "bearing": "0.0",
    "altitude": "30.0",
    "accuracy": "14.2",
    "batt": "71.0",
}
PHONE = {"id": 3, "name": "Davina", "uniqueId": "8612", "status": "online", "phone": None}
POSITION: dict[str, Any] = {
    "id": 12345,
    "attributes": {"batteryLevel": 85, "motion": False},
    "deviceId": 3,
    "protocol": "osmand",
    "serverTime": "2026-03-29T07:31:09.000+00:00",
    "deviceTime": "2026-03-29T07:31:00.000+00:00",
    "fixTime": "2026-03-29T07:31:00.000+00:00",
    "outdated": False,
    "valid": True,
    "latitude": 51.4055,
    "longitude": 0.0144,
    "altitude": 30.0,
    "speed": 2.5,
    "course": 0.0,
    "accuracy": 14.2,
    "network": None,
    "geofenceIds": None,
}
FORWARD = {"position": POSITION, "device": PHONE}
GEOFENCE = {
    "id": 7,
    "attributes": {},
    "name": "su-1",
    "description": "",
    "area": "CIRCLE (51.4060 0.0150, 80.0)",
    "calendarId": 0,
}


def event(kind: str, **more: Any) -> dict[str, Any]:
    one = {
        "id": 500,
        "attributes": {},
        "deviceId": 3,
        "type": kind,
        "eventTime": "2026-03-29T07:31:00.000+00:00",
        "positionId": 12345,
        "geofenceId": 7,
        "maintenanceId": 0,
    }
    return {"event": one | more.pop("of", {}), "position": POSITION, "device": PHONE, **more}


ENTER = event("geofenceEnter", geofence=GEOFENCE)


def parse(message: Any = b"", query: str = "", *, device: str | None = DEVICE) -> TraccarBody:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return parse_traccar(body, query, device=device, received_at=RECEIVED)


def one(message: Any = b"", query: str = "", *, device: str | None = DEVICE) -> SeenCheckIn:
    read = parse(message, query, device=device)
    assert (len(read.check_ins), read.nothing, read.bad) == (1, (), ()), read
    return read.check_ins[0]


def bad(message: Any = b"", query: str = "", *, device: str | None = DEVICE) -> str:
    read = parse(message, query, device=device)
    assert (read.check_ins, len(read.bad)) == ((), 1), read
    return read.bad[0].reason


def of_client(**location: Any) -> dict[str, Any]:
    return CLIENT | {"location": CLIENT["location"] | location}


def at_position(**fields: Any) -> dict[str, Any]:
    return FORWARD | {"position": POSITION | fields}


# --- the Client's JSON ---


def test_what_the_client_sends_is_a_fix_at_its_own_time() -> None:
    body = json.dumps(CLIENT).encode()
    assert one(body) == SeenCheckIn(
        source="traccar",
        kind="fix",
        at=AT,
        device=DEVICE,
        natural_key=one(CLIENT).natural_key,
        raw=body,
        lat=51.4055,
        lon=0.0144,
        accuracy_m=14.2,
    )


def test_several_locations_in_one_body_are_several_fixes() -> None:
    later = CLIENT["location"] | {"timestamp": "2026-03-29T07:35:00Z"}
    read = parse(CLIENT | {"location": [CLIENT["location"], later]})
    assert [seen.at.minute for seen in read.check_ins] == [31, 35]


def located(count: int, **last: Any) -> list[dict[str, Any]]:
    """The oldest first, as apps write them."""
    places = [
        {"timestamp": SECONDS + n, "coords": {"latitude": 51.0, "longitude": 0.1}} for n in range(count)
    ]
    return [*places[:-1], places[-1] | last]


def test_each_of_several_locations_is_kept_by_itself_and_can_be_read_again() -> None:
    body = {"device_id": 'p"17', "secret": "x" * 5000, "location": [CLIENT["location"], *located(2)]}
    read = parse(body, device=None)
    assert len(read.check_ins) == 3
    for seen in read.check_ins:
        assert len(seen.raw) < 1000
        assert one(seen.raw, device=None) == seen


def test_a_bad_location_of_several_harms_no_other() -> None:
    read = parse(CLIENT | {"location": [*located(1, timestamp="yesterday"), 5, *located(1)]})
    assert [seen.kind for seen in read.check_ins] == ["fix"]
    assert [wrong.reason for wrong in read.bad] == ["wrong_type", "bad_body"]


@pytest.mark.parametrize("bodies", [1, 3])
@pytest.mark.parametrize("over", [0, 1, 14_000])
def test_the_last_of_too_many_locations_count_and_what_is_over_is_put_aside_once(
    bodies: int, over: int
) -> None:
    places = located(MAX_ITEMS + over)
    third = len(places) // bodies
    parts = [CLIENT | {"location": places[n * third : (n + 1) * third]} for n in range(bodies - 1)]
    last = CLIENT | {"location": places[(bodies - 1) * third :]}
    read = parse(json.dumps([*parts, last], separators=(",", ":")).encode())
    assert [seen.at.timestamp() for seen in read.check_ins] == [SECONDS + over + n for n in range(MAX_ITEMS)]
    assert [wrong.reason for wrong in read.bad] == ["too_large"] * (over > 0)
    assert [json.loads(wrong.raw) for wrong in read.bad] == [places[:over]] * (over > 0)


def test_a_call_for_help_among_too_many_locations_is_heard() -> None:
    places = [*located(1, extras={"alarm": "SOS"}), *located(MAX_ITEMS + 5)]
    read = parse(CLIENT | {"location": places})
    assert [seen.kind for seen in read.check_ins] == ["help", *["fix"] * (MAX_ITEMS + 1)]


def test_an_array_of_bodies_is_taken_one_by_one_and_a_bad_one_harms_no_other() -> None:
    read = parse([CLIENT, {"device_id": "8612"}, ENTER])
    assert [seen.kind for seen in read.check_ins] == ["fix", "arrive"]
    assert [wrong.reason for wrong in read.bad] == ["bad_body"]


def test_a_faked_position_says_so() -> None:
    assert one(of_client(mock=True)).mock
    assert not one(of_client(mock=False)).mock
    assert not one(CLIENT).mock
    assert one(query=urlencode(FORM | {"mock": "true"})).mock
    assert one(at_position(attributes={"mock": True})).mock


@pytest.mark.parametrize(
    "position", [{"latitude": 0, "longitude": 0.0}, {"latitude": None, "longitude": None}, {}]
)
def test_a_phone_without_a_fix_has_no_position(position: dict[str, Any]) -> None:
    seen = one(of_client(coords=position))
    assert (seen.lat, seen.lon, seen.accuracy_m) == (None, None, None)


def test_an_unknown_accuracy_is_none() -> None:
    coords = CLIENT["location"]["coords"]
    assert one(of_client(coords=coords | {"accuracy": -1})).accuracy_m is None


@pytest.mark.parametrize(
    ("coords", "reason"),
    [({"latitude": 91, "longitude": 0.1}, "wrong_type"), ({"latitude": "x"}, "wrong_type")],
)
def test_a_position_that_cannot_be_is_put_aside(coords: dict[str, Any], reason: str) -> None:
    assert bad(of_client(coords=coords)) == reason


# --- the query, the form ---


def test_a_query_a_form_and_a_post_with_a_query_say_the_same() -> None:
    text = urlencode(FORM)
    found = [one(query=text), one(text.encode()), one(b"  ", text), one(b"ignored", text)]
    assert {(seen.at, seen.lat, seen.lon, seen.accuracy_m, seen.natural_key) for seen in found} == {
        (AT, 51.4055, 0.0144, 14.2, one(CLIENT | {"device_id": 8612}).natural_key)
    }
    assert found[0].raw == text.encode()


def test_json_counts_before_a_query() -> None:
    assert one(CLIENT, "id=somebody&lat=1&lon=1").lat == 51.4055


@pytest.mark.parametrize(
    "timestamp",
    [
        str(SECONDS),
        f"{SECONDS}000",
        f"{SECONDS}.0",
        "2026-03-29T07:31:00Z",
        "2026-03-29T07:31:00.000Z",
        "2026-03-29T08:31:00+01:00",
        "2026-03-29T08:31:00.000+0100",
        "2026-03-29T07:31:00",
        "2026-03-29 07:31:00",
    ],
)
def test_times_come_as_seconds_milliseconds_or_iso(timestamp: str) -> None:
    assert one(query=urlencode(FORM | {"timestamp": timestamp})).at == AT


def test_a_plus_sign_that_nobody_escaped_is_still_one() -> None:
    text = urlencode({k: v for k, v in FORM.items() if k != "timestamp"})
    assert one(query=text + "&timestamp=2026-03-29T08:31:00+01:00").at == AT


def test_without_a_time_receipt_counts() -> None:
    assert one(query="id=8612&lat=51.4055&lon=0.0144").at == RECEIVED
    assert one(query="id=8612&lat=51.4055&lon=0.0144&timestamp=").at == RECEIVED


@pytest.mark.parametrize(
    "timestamp", ["yesterday", "0", "-5", "946684799", "4102444800", "9" * 30, "29-03-2026", "250329073100"]
)
def test_a_time_that_cannot_be_is_put_aside(timestamp: str) -> None:
    assert bad(query=urlencode(FORM | {"timestamp": timestamp})) == "wrong_type"


def test_a_location_may_be_one_field_and_the_id_has_two_names() -> None:
    seen = one(query="deviceid=8612&location=51.4055,0.0144")
    assert (seen.lat, seen.lon) == (51.4055, 0.0144)


@pytest.mark.parametrize(("valid", "lat"), [("true", 51.4055), ("1", 51.4055), ("false", None), ("0", None)])
def test_a_position_that_is_not_valid_is_none(valid: str, lat: float | None) -> None:
    assert one(query=urlencode(FORM | {"valid": valid})).lat == lat


# --- what the server forwards ---


def test_a_forwarded_position_is_a_fix_of_its_device() -> None:
    seen = one(FORWARD, device=None)
    assert (seen.kind, seen.device, seen.at, seen.lat, seen.region_enter) == (
        "fix",
        DEVICE,
        AT,
        51.4055,
        False,
    )


def test_a_position_inside_a_geofence_says_so_since_enter_may_never_have_been_told() -> None:
    assert one(at_position(geofenceIds=[7])).region_enter
    assert not one(at_position(geofenceIds=[])).region_enter


def test_an_accuracy_of_nought_is_an_unknown_one() -> None:
    assert one(at_position(accuracy=0.0)).accuracy_m is None


@pytest.mark.parametrize("stale", [{"outdated": True}, {"valid": False}])
def test_the_last_position_known_is_not_where_somebody_is_now(stale: dict[str, Any]) -> None:
    seen = one(at_position(fixTime="2026-03-28T07:00:00Z", **stale))
    assert (seen.lat, seen.at) == (None, AT)


def test_times_of_an_old_server_are_milliseconds() -> None:
    assert one(at_position(fixTime=SECONDS * 1000)).at == AT


def test_entering_and_leaving_a_geofence_is_the_servers_decision_about_its_circle() -> None:
    enter, leave = one(ENTER), one(event("geofenceExit", geofence=GEOFENCE))
    assert (enter.kind, enter.region_enter, enter.regions) == ("arrive", True, ("desc:su-1",))
    assert (enter.lat, enter.lon, enter.accuracy_m) == (51.4060, 0.0150, 80.0)
    assert (leave.kind, leave.region_enter, leave.lat) == ("leave", True, 51.4060)


@pytest.mark.parametrize(
    "area",
    [
        "CIRCLE (51.4 0.01, 251)",
        "CIRCLE (51.4 0.01, 5000)",
        "CIRCLE (51.4 0.01, 0)",
        "CIRCLE (91 0.01, 80)",
        "CIRCLE (x y, z)",
        "POLYGON ((51.4 0.01, 51.5 0.01, 51.5 0.02, 51.4 0.01))",
        "",
        None,
    ],
)
def test_a_geofence_that_is_large_or_no_circle_says_less_than_the_fix(area: str | None) -> None:
    seen = one(event("geofenceEnter", geofence=GEOFENCE | {"area": area}))
    assert (seen.lat, seen.accuracy_m, seen.region_enter) == (51.4055, 14.2, True)


@pytest.mark.parametrize("area", ["CIRCLE(51.406 0.015,250)", "circle ( 51.406   0.015 , 250.0 )"])
def test_a_circle_is_read_however_it_is_spaced(area: str) -> None:
    assert one(event("geofenceEnter", geofence=GEOFENCE | {"area": area})).accuracy_m == 250.0


def test_the_time_of_an_event_is_its_own() -> None:
    of = {"eventTime": "2026-03-29T07:40:00Z"}
    assert one(event("geofenceEnter", geofence=GEOFENCE, of=of)).at.minute == 40
    assert one(event("geofenceEnter", geofence=GEOFENCE, of={"eventTime": None})).at == AT


def test_a_changed_driver_names_the_care_worker_by_the_card() -> None:
    seen = one(event("driverChanged", of={"attributes": {"driverUniqueId": "0042aa"}}))
    assert (seen.kind, seen.card, seen.lat) == ("fix", "0042aa", 51.4055)
    assert one(at_position(attributes={"driverUniqueId": "0042aa"})).card == "0042aa"


def test_a_device_that_went_offline_is_dark_since_we_were_told() -> None:
    seen = one(event("deviceOffline"))
    assert (seen.kind, seen.at, seen.lat) == ("offline", RECEIVED, None)


@pytest.mark.parametrize(
    "kind",
    ["deviceOnline", "deviceUnknown", "deviceMoving", "ignitionOn", "maintenance", "textMessage", "other"],
)
def test_an_event_that_says_nothing_about_a_visit_is_named(kind: str) -> None:
    assert parse(event(kind)) == TraccarBody(nothing=("event",))


# --- in trouble ---


@pytest.mark.parametrize(
    "message",
    [
        of_client(alarm="sos"),
        of_client(extras={"alarm": "sos"}),
        of_client(event="sos"),
        at_position(attributes={"alarm": "sos"}),
        at_position(attributes={"alarm": "lowBattery,sos"}),
        event("alarm", of={"attributes": {"alarm": "sos"}}),
    ],
)
def test_an_sos_is_a_call_for_help_and_a_fix_beside_it(message: dict[str, Any]) -> None:
    read = parse(message)
    assert [(seen.kind, seen.lat, seen.at) for seen in read.check_ins] == [
        ("help", 51.4055, AT),
        ("fix", 51.4055, AT),
    ]


def test_an_sos_of_a_query_is_a_call_for_help() -> None:
    assert [seen.kind for seen in parse(query=urlencode(FORM | {"alarm": "sos"})).check_ins] == [
        "help",
        "fix",
    ]


def test_position_and_event_of_one_sos_are_one_call_for_help() -> None:
    of_position = parse(at_position(attributes={"alarm": "sos"})).check_ins[0]
    of_event = parse(event("alarm", of={"attributes": {"alarm": "sos"}})).check_ins[0]
    assert of_position.natural_key == of_event.natural_key


@pytest.mark.parametrize(
    "broken",
    [
        {"coords": {"latitude": "x", "longitude": []}},
        {"timestamp": "yesterday"},
        {"coords": None, "timestamp": None},
    ],
)
def test_a_broken_message_costs_no_call_for_help(broken: dict[str, Any]) -> None:
    read = parse(of_client(alarm="sos", **broken))
    assert (read.check_ins[0].kind, read.bad) == ("help", ())
    assert read.check_ins[0].at in (AT, RECEIVED)


@pytest.mark.parametrize("alarm", ["lowBattery", "sosnot", "", None, 5, ["sos"]])
def test_another_alarm_is_none(alarm: Any) -> None:
    assert one(of_client(alarm=alarm)).kind == "fix"
    assert parse(event("alarm", of={"attributes": {"alarm": alarm}})).nothing == ("event",)


# --- identity ---


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (CLIENT | {"device_id": "8613"}, ""),
        (b"", urlencode(FORM | {"id": "8613"})),
        (FORWARD | {"device": PHONE | {"uniqueId": "8613"}}, ""),
        (ENTER | {"device": PHONE | {"uniqueId": "8613"}}, ""),
    ],
)
def test_a_claimed_id_that_is_not_the_credentials_is_put_aside(body: Any, query: str) -> None:
    assert bad(body, query) == "identity"


def test_a_message_without_an_id_is_its_credentials() -> None:
    assert one(CLIENT | {"device_id": None}).device == DEVICE
    assert one(FORWARD | {"device": None}).device == DEVICE


def test_a_feed_that_speaks_for_many_must_name_the_device() -> None:
    assert one(CLIENT, device=None).device == DEVICE
    assert bad(CLIENT | {"device_id": ""}, device=None) == "bad_body"
    assert bad(FORWARD | {"device": {"id": 3}}, device=None) == "bad_body"


# --- what is put aside, what is none ---


@pytest.mark.parametrize("nothing", [(b"", ""), (b" \n", ""), (b"[]", ""), (b"", "  ")])
def test_an_empty_request_says_nothing(nothing: tuple[bytes, str]) -> None:
    assert parse(*nothing) == TraccarBody(nothing=("empty",))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe garbage", "bad_body"),
        (b"rubbish", "bad_body"),
        (b'{"location":', "bad_body"),
        (b"[1,2]", "bad_body"),
        (b"{}", "bad_body"),
        ({"location": [], "device_id": "8612"}, "bad_body"),
        ({"location": "here", "device_id": "8612"}, "bad_body"),
        (b"&".join(b"a%d=1" % n for n in range(101)), "bad_body"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "too_deep"),
        (b'{"x":"' + b"x" * MAX_BODY + b'"}', "too_large"),
        (b"[" + b",".join([b"{}"] * (MAX_ITEMS + 1)) + b"]", "too_large"),
    ],
)
def test_what_cannot_be_used_is_put_aside_with_its_reason(body: Any, reason: str) -> None:
    read = parse(body)
    assert (read.check_ins, {wrong.reason for wrong in read.bad}) == ((), {reason})


# --- the same message twice ---


def test_the_same_fix_said_twice_or_by_another_way_is_the_same_message() -> None:
    again = CLIENT | {"location": CLIENT["location"] | {"battery": {"level": 0.5, "is_charging": True}}}
    assert one(CLIENT).natural_key == one(again).natural_key == one(FORWARD).natural_key


def test_the_servers_own_number_says_nothing_since_a_database_may_begin_anew() -> None:
    tomorrow = at_position(fixTime="2026-03-30T07:31:00Z")
    assert tomorrow["position"]["id"] == POSITION["id"]
    assert one(tomorrow).natural_key != one(FORWARD).natural_key


@pytest.mark.parametrize(
    "other",
    [
        at_position(latitude=51.4056),
        at_position(fixTime="2026-03-29T07:31:01Z"),
        ENTER,
        event("geofenceExit", geofence=GEOFENCE),
    ],
)
def test_what_says_something_else_is_another_message(other: dict[str, Any]) -> None:
    assert one(FORWARD).natural_key != one(other).natural_key


SHARED_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [*POSITION, *CLIENT, *CLIENT["location"], "event", "position", "device", "geofence"]


@SHARED_MACHINE
@given(st.sampled_from([CLIENT, FORWARD, ENTER]), st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_whatever_json_comes_is_read_named_or_put_aside(
    message: dict[str, Any], more: dict[str, Any]
) -> None:
    for mixed in (
        message | more,
        {key: {**value, **more} for key, value in message.items() if isinstance(value, dict)},
    ):
        read = parse(mixed)
        assert read.check_ins or read.nothing or read.bad
        assert all(seen.at.tzinfo is UTC and seen.device == DEVICE for seen in read.check_ins)


@SHARED_MACHINE
@given(st.binary(max_size=200), st.text(max_size=100))
def test_whatever_bytes_come_are_read_named_or_put_aside(body: bytes, query: str) -> None:
    read = parse(body, query)
    assert read.check_ins or read.nothing or read.bad
