"""OwnTracks as the apps write it: every line of devices.md, "OwnTracks", as a test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.checkin_json import MAX_BODY
from connectors.owntracks import (
    MAX_ITEMS,
    OwnTracksBody,
    device_of_topic,
    parse_owntracks,
    read_owntracks,
)
from connectors.ports import EdgeError, SeenCheckIn

DEVICE = "owntracks:u17/phone"
RECEIVED = datetime(2026, 3, 29, 9, 0, tzinfo=UTC)
TST = 1774769460
AT = datetime(2026, 3, 29, 7, 31, tzinfo=UTC)

LOCATION = {
    "_type": "location",
    "_id": "5d3a81c0",
    "BSSID": "00:11:22:33:44:55",
    "SSID": "home",
    "acc": 14,
    "alt": 30,
    "batt": 71,
    "bs": 1,
    "conn": "w",
    "created_at": TST + 5,
    "lat": 51.4055,
    "lon": 0.0144,
    "m": 1,
    "t": "u",
    "tid": "17",
    "topic": "owntracks/u17/phone",
    "tst": TST,
    "vac": 4,
    "vel": 0,
}
ENTER = {
    "_type": "transition",
    "acc": 25.0,
    "desc": "visit",
    "event": "enter",
    "lat": 51.4055,
    "lon": 0.0144,
    "rid": "6da9cf",
    "t": "c",
    "tid": "17",
    "tst": TST,
    "wtst": 1774000000,
}


def without(message: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in names}


def encoded(message: Any) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


def parse(
    message: Any, *, retained: bool = False, topic: str | None = "owntracks/u17/phone"
) -> OwnTracksBody:
    return parse_owntracks(
        encoded(message),
        device=DEVICE,
        topic=topic,
        received_at=RECEIVED,
        retained=retained,
        source="owntracks",
    )


def one(message: Any, *, retained: bool = False) -> SeenCheckIn:
    read = parse(message, retained=retained)
    assert (len(read.check_ins), read.nothing, read.bad) == (1, (), ())
    return read.check_ins[0]


def bad(message: Any) -> str:
    read = parse(message)
    assert (read.check_ins, read.nothing, len(read.bad)) == ((), (), 1)
    return read.bad[0].reason


# --- what makes a check-in ---


def test_an_android_location_is_a_fix_at_the_time_of_the_fix() -> None:
    assert one(LOCATION) == SeenCheckIn(
        source="owntracks",
        kind="fix",
        at=AT,
        device=DEVICE,
        natural_key="owntracks:u17/phone|5d3a81c0",
        raw=encoded(LOCATION),
        lat=51.4055,
        lon=0.0144,
        accuracy_m=14.0,
    )


def test_entering_a_region_is_an_arrival_by_the_devices_own_decision() -> None:
    seen = one(ENTER)
    assert (seen.kind, seen.region_enter, seen.at, seen.accuracy_m) == ("arrive", True, AT, 25.0)


def test_leaving_a_region_is_a_departure_by_the_devices_own_decision() -> None:
    # its position is by nature outside the home: it must not be judged by that alone
    seen = one(ENTER | {"event": "leave"})
    assert (seen.kind, seen.region_enter) == ("leave", True)


def test_the_type_decides_and_never_the_topic() -> None:
    read = parse(ENTER, topic="owntracks/u17/phone")
    also = parse(LOCATION, topic="owntracks/u17/phone/event")
    assert (read.check_ins[0].kind, also.check_ins[0].kind) == ("arrive", "fix")


def test_the_next_place_may_be_entered_before_the_last_is_left() -> None:
    later = ENTER | {"rid": "other", "tst": TST + 60}
    left = ENTER | {"event": "leave", "tst": TST + 90}
    assert [c.kind for c in parse([ENTER, later, left]).check_ins] == ["arrive", "arrive", "leave"]


@pytest.mark.parametrize(
    "names", [("desc",), ("desc", "rid"), ("desc", "wtst"), ("desc", "rid", "wtst", "tid")]
)
def test_a_transition_may_lack_its_description(names: tuple[str, ...]) -> None:
    assert one(without(ENTER, *names)).kind == "arrive"


@pytest.mark.parametrize(
    "inside", [{"inregions": ["visit"]}, {"inrids": ["6da9cf"]}, {"inregions": [], "inrids": ["6da9cf"]}]
)
def test_a_fix_that_says_inside_carries_the_devices_decision(inside: dict[str, Any]) -> None:
    seen = one(LOCATION | inside)
    assert (seen.kind, seen.region_enter) == ("fix", True)


@pytest.mark.parametrize("outside", [{}, {"inregions": []}, {"inrids": None}, {"inrids": "6da9cf"}])
def test_a_fix_without_regions_decides_nothing(outside: dict[str, Any]) -> None:
    assert one(LOCATION | outside).region_enter is False


@pytest.mark.parametrize(
    "message", [{"_type": "lwt"}, {"_type": "lwt", "tst": TST}, {"_type": "lwt", "tst": "x"}]
)
def test_a_last_will_says_offline_since_we_were_told(message: dict[str, Any]) -> None:
    # iOS writes the moment of its first connection into tst; Android writes none
    seen = one(message)
    assert (seen.kind, seen.at, seen.lat) == ("offline", RECEIVED, None)


def test_two_last_wills_of_one_app_start_are_two() -> None:
    first = one({"_type": "lwt", "tst": TST})
    later = parse_owntracks(
        b'{"_type":"lwt","tst":%d}' % TST,
        device=DEVICE,
        topic=None,
        received_at=RECEIVED.replace(hour=10),
        retained=False,
        source="owntracks",
    )
    assert first.natural_key != later.check_ins[0].natural_key


@pytest.mark.parametrize("message", [LOCATION, ENTER, {"_type": "lwt"}])
def test_what_was_retained_says_so(message: dict[str, Any]) -> None:
    assert one(message, retained=True).retained
    assert not one(message).retained


# --- the three clocks ---


def test_created_at_is_not_when_it_happened() -> None:
    assert one(LOCATION | {"created_at": TST + 3600}).at == AT


def test_without_its_own_time_receipt_counts() -> None:
    assert one(without(LOCATION, "tst")).at == RECEIVED
    assert one(LOCATION | {"tst": None}).at == RECEIVED
    assert one(LOCATION | {"tst": ""}).at == RECEIVED


@pytest.mark.parametrize(
    "tst", ["yesterday", True, [TST], {}, -5, 0, 946_684_799, 4_102_444_800, TST * 1000, 10**400]
)
def test_a_time_that_cannot_be_is_put_aside(tst: Any) -> None:
    assert bad(LOCATION | {"tst": tst}) == "wrong_type"


@pytest.mark.parametrize(
    ("tst", "year"), [(946_684_800, 2000), (4_102_444_799, 2099), (TST + 0.5, 2026), (f" {TST} ", 2026)]
)
def test_times_are_taken_to_the_very_bounds(tst: Any, year: int) -> None:
    assert one(LOCATION | {"tst": tst}).at.year == year


# --- positions and numbers ---


def test_numbers_may_be_written_as_texts() -> None:
    seen = one(LOCATION | {"lat": "51.4055", "lon": "1.44e-2", "acc": "14", "tst": str(TST), "vel": "0"})
    assert (seen.lat, seen.lon, seen.accuracy_m, seen.at) == (51.4055, 0.0144, 14.0, AT)


def test_an_accuracy_of_five_kilometres_is_kept_as_it_is() -> None:
    assert one(LOCATION | {"acc": 5000}).accuracy_m == 5000.0


@pytest.mark.parametrize("acc", [-1, None, ""])
def test_an_unknown_accuracy_is_none(acc: Any) -> None:
    seen = one(LOCATION | {"acc": acc})
    assert (seen.lat, seen.accuracy_m) == (51.4055, None)


def test_a_speed_of_minus_one_harms_nothing() -> None:
    assert one(LOCATION | {"vel": -1, "ssid": "x"}).lat == 51.4055


@pytest.mark.parametrize(
    "position",
    [{"lat": 0, "lon": 0}, {"lat": "0", "lon": 0.0}, {"lat": None, "lon": 0.0144}, {"lat": 51.4, "lon": ""}],
)
def test_a_phone_without_a_fix_has_no_position(position: dict[str, Any]) -> None:
    seen = one(LOCATION | position)
    assert (seen.kind, seen.lat, seen.lon, seen.accuracy_m) == ("fix", None, None, None)


@pytest.mark.parametrize("lat", ["north", True, [51.4], 90.1, -90.1, 10**400, "1_0", "nan", "inf", "9" * 400])
def test_a_location_with_an_impossible_latitude_is_put_aside(lat: Any) -> None:
    assert bad(LOCATION | {"lat": lat}) == "wrong_type"


@pytest.mark.parametrize("lon", ["east", 180.1, -180.1])
def test_a_location_with_an_impossible_longitude_is_put_aside(lon: Any) -> None:
    assert bad(LOCATION | {"lon": lon}) == "wrong_type"


@pytest.mark.parametrize("broken", [{"lat": "north"}, {"lon": 999}, {"acc": []}])
def test_a_broken_position_costs_no_arrival(broken: dict[str, Any]) -> None:
    seen = one(ENTER | broken)
    assert (seen.kind, seen.region_enter, seen.lat, seen.accuracy_m) == ("arrive", True, None, None)


@pytest.mark.parametrize("tag", ["tag:04a2b1", "04A2B1C3", "04:a2:b1:c3:d4:e5:f6", "04a2b1c3d4e5f60718ff"])
def test_a_tag_that_looks_like_one_is_kept_untouched(tag: str) -> None:
    assert one(LOCATION | {"tag": tag}).tag == tag
    assert one(LOCATION | {"poi": tag}).tag == tag


def test_a_tag_lasts_and_a_poi_is_said_once() -> None:
    read = [
        one(LOCATION | said)
        for said in ({"tag": "tag:a"}, {"poi": "tag:b"}, {"tag": "tag:a", "poi": "tag:b"})
    ]
    assert [(seen.tag, seen.tag_lasts) for seen in read] == [
        ("tag:a", True),
        ("tag:b", False),
        ("tag:b", False),
    ]
    note = one(LOCATION | {"tag": "tag:a", "poi": "lunch"})
    assert (note.tag, note.tag_lasts) == ("tag:a", True)


def test_a_tag_that_lasts_says_nothing_beside_a_transition_which_names_its_own_place() -> None:
    beside = [one(ENTER | said) for said in ({"tag": "tag:a"}, {"poi": "tag:b"})]
    assert [(seen.tag, seen.tag_lasts) for seen in beside] == [(None, False), ("tag:b", False)]


@pytest.mark.parametrize("tag", ["Mrs Example", "04a2b1", "tag:", "tag:a b", 4, None, ["tag:04a2b1"]])
def test_a_note_is_no_tag(tag: Any) -> None:
    assert one(LOCATION | {"tag": tag, "poi": tag}).tag is None


# --- what makes none ---


@pytest.mark.parametrize(
    "kind",
    ["beacon", "card", "cmd", "configuration", "dump", "request", "status", "steps", "waypoint", "waypoints"],
)
def test_a_message_that_says_nothing_about_a_visit_is_named(kind: str) -> None:
    read = parse({"_type": kind, "tst": "rubbish", "lat": []})
    assert (read.check_ins, read.nothing, read.bad) == ((), (kind,), ())


@pytest.mark.parametrize("nothing", [b"", b"  \n", b"[]"])
def test_an_empty_body_says_nothing(nothing: bytes) -> None:
    assert parse(nothing) == OwnTracksBody(nothing=("empty",))


# --- what is put aside ---


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xff\xfe garbage", "bad_body"),
        (b'{"_type":"location"', "bad_body"),
        (b"17", "bad_body"),
        (b'"lwt"', "bad_body"),
        (b"null", "bad_body"),
        (b"{}", "bad_body"),
        ({"_type": 5}, "bad_body"),
        ({"_type": "LOCATION"}, "bad_body"),
        (without(ENTER, "event"), "bad_body"),
        (ENTER | {"event": "hover"}, "bad_body"),
        (ENTER | {"event": ["enter"]}, "bad_body"),
        ({"_type": "encrypted", "data": "AAAA"}, "undecodable"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "too_deep"),
        (b'{"_type":"lwt","x":"' + b"x" * MAX_BODY + b'"}', "too_large"),
        (b"[" + b",".join([b'{"_type":"lwt"}'] * (MAX_ITEMS + 1)) + b"]", "too_large"),
    ],
)
def test_what_cannot_be_used_is_put_aside_with_its_reason(message: Any, reason: str) -> None:
    assert bad(message) == reason
    with pytest.raises(EdgeError) as caught:
        read_owntracks(
            encoded(message),
            device=DEVICE,
            topic=None,
            received_at=RECEIVED,
            retained=False,
            source="owntracks",
        )
    assert (caught.value.reason, caught.value.permanent) == (reason, True)


def test_an_array_as_long_as_allowed_is_read() -> None:
    assert len(parse([{"_type": "lwt"}] * MAX_ITEMS).check_ins) == MAX_ITEMS


def test_one_bad_message_of_an_array_harms_no_other() -> None:
    read = parse([LOCATION, {"_type": 5}, {"_type": "card"}, [LOCATION], ENTER])
    assert [c.kind for c in read.check_ins] == ["fix", "arrive"]
    assert read.nothing == ("card",)
    assert [(b.reason, b.raw) for b in read.bad] == [
        ("bad_body", b'{"_type": 5}'),
        ("bad_body", encoded([LOCATION])),
    ]
    assert read.check_ins[1].raw == encoded(ENTER)


def test_the_plain_reading_gives_the_check_ins_of_a_body() -> None:
    def plain(message: Any) -> list[SeenCheckIn]:
        return read_owntracks(
            encoded(message),
            device=DEVICE,
            topic=None,
            received_at=RECEIVED,
            retained=False,
            source="http",
        )

    assert [c.kind for c in plain([LOCATION, {"_type": 5}, ENTER])] == ["fix", "arrive"]
    assert plain({"_type": "card"}) == []
    assert plain(LOCATION)[0].source == "http"


# --- identity ---


def test_a_body_that_claims_anothers_topic_is_put_aside() -> None:
    assert bad(LOCATION | {"topic": "owntracks/u18/phone"}) == "identity"
    assert bad(LOCATION | {"topic": "owntracks/u17/tablet/event"}) == "identity"
    assert parse(ENTER, topic="owntracks/u18/phone").bad[0].reason == "identity"


@pytest.mark.parametrize("topic", ["owntracks/u17/phone/event", "company/phones/17", "", 5, None])
def test_a_topic_that_claims_nobody_else_is_fine(topic: Any) -> None:
    assert one(LOCATION | {"topic": topic}).device == DEVICE


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("owntracks/u17/phone", DEVICE),
        ("owntracks/u17/phone/event", DEVICE),
        ("owntracks/u17/phone/a/b", DEVICE),
        ("owntracks/u17", None),
        ("owntracks//phone", None),
        ("owntracks/u17/", None),
        ("callwatch/d/phone/checkin", None),
    ],
)
def test_the_device_of_a_topic(topic: str, device: str | None) -> None:
    assert device_of_topic(topic) == device


# --- the same message twice ---


def test_a_message_with_an_id_is_known_by_it() -> None:
    assert one(LOCATION).natural_key == one(LOCATION | {"batt": 5, "lat": 1.0}).natural_key
    assert one(LOCATION).natural_key != one(LOCATION | {"_id": "5d3a81c1"}).natural_key


def test_a_message_without_an_id_is_known_by_what_it_says() -> None:
    assert one(ENTER).natural_key == one(ENTER | {"batt": 5, "tst": str(TST), "acc": 99}).natural_key


@pytest.mark.parametrize(
    "other",
    [
        {"tst": TST + 1},
        {"lat": 51.4056},
        {"lon": 0.0145},
        {"event": "leave"},
        {"rid": "other"},
    ],
)
def test_what_says_something_else_is_another_message(other: dict[str, Any]) -> None:
    assert one(ENTER).natural_key != one(ENTER | other).natural_key


def test_the_type_is_part_of_what_it_says() -> None:
    same = {"tst": TST, "lat": 51.4, "lon": 0.01}
    fix = one({"_type": "location"} | same)
    assert fix.natural_key != one({"_type": "transition", "event": "enter"} | same).natural_key


def test_the_same_words_of_another_phone_are_another_message() -> None:
    other = parse_owntracks(
        encoded(without(LOCATION, "topic")),
        device="owntracks:u18/phone",
        topic=None,
        received_at=RECEIVED,
        retained=False,
        source="owntracks",
    )
    assert other.check_ins[0].natural_key != one(LOCATION).natural_key


def test_without_any_time_yesterdays_same_message_is_another_one() -> None:
    timeless = without(ENTER, "tst")
    today = one(timeless)
    tomorrow = parse_owntracks(
        encoded(timeless),
        device=DEVICE,
        topic=None,
        received_at=RECEIVED.replace(day=30),
        retained=False,
        source="owntracks",
    )
    assert today.natural_key != tomorrow.check_ins[0].natural_key


# drawing is slow for the first example on a busy machine, which says nothing about the code
SHARED_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@SHARED_MACHINE
@given(
    st.sampled_from([LOCATION, ENTER, {"_type": "lwt"}]),
    st.dictionaries(st.sampled_from([*LOCATION, *ENTER, "inrids", "poi", "tag"]), JSON),
)
def test_whatever_comes_is_read_named_or_put_aside(message: dict[str, Any], changes: dict[str, Any]) -> None:
    read = parse(message | changes)
    assert len(read.check_ins) + len(read.nothing) + len(read.bad) == 1
    assert all(c.at.tzinfo is UTC and c.device == DEVICE for c in read.check_ins)


@SHARED_MACHINE
@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_read_named_or_put_aside(garbage: bytes) -> None:
    read = parse(garbage)
    assert len(read.check_ins) + len(read.nothing) + len(read.bad) >= 1
