"""Our own JSON check-in: what is taken, what is refused, and that no refusal repeats what came in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.checkin_json import MAX_BODY, CheckInProblem, read_checkin, split_checkins
from connectors.ports import SeenCheckIn

DEVICE = "callwatch:phone-17"
WHOLE = {
    "id": "c-1",
    "kind": "arrive",
    "worker": "w-3",
    "service_user": "su-9",
    "visit": "v-77",
    "tag": "tag:04a2b1",
    "at": "2026-03-29T08:31:00+01:00",
    "lat": 51.4,
    "lon": 0.02,
    "accuracy_m": 12,
    "receipt": True,
}


def body(**changes: Any) -> bytes:
    return json.dumps({"id": "c-1", "kind": "arrive", "at": "2026-03-29T07:31:00Z"} | changes).encode()


def read(item: bytes, device: str | None = DEVICE) -> SeenCheckIn:
    return read_checkin(item, device=device, source="mqtt")


def refused(item: bytes, device: str | None = DEVICE) -> CheckInProblem:
    with pytest.raises(CheckInProblem) as caught:
        read(item, device)
    assert caught.value.permanent
    return caught.value


def test_a_whole_check_in_is_read_field_by_field() -> None:
    raw = json.dumps(WHOLE).encode()
    assert read(raw) == SeenCheckIn(
        source="mqtt",
        kind="arrive",
        at=datetime(2026, 3, 29, 7, 31, tzinfo=UTC),
        device=DEVICE,
        natural_key="callwatch:phone-17|c-1",
        raw=raw,
        id="c-1",
        worker="w-3",
        service_user="su-9",
        visit="v-77",
        tag="tag:04a2b1",
        lat=51.4,
        lon=0.02,
        accuracy_m=12.0,
        receipt=True,
    )


def test_the_instant_is_given_in_utc_whatever_its_offset() -> None:
    assert read(body(at="2026-03-29T08:31:00+01:00")).at.tzinfo is UTC


@pytest.mark.parametrize("kind", ["arrive", "leave", "no_reply", "refused"])
def test_every_kind_of_the_contract_is_taken(kind: str) -> None:
    assert read(body(kind=kind)).kind == kind


def test_unknown_fields_are_ignored_and_nulls_are_absent() -> None:
    seen = read(body(battery=71, nested={"a": [1]}, worker=None, lat=None, lon=None, receipt=None))
    assert (seen.worker, seen.lat, seen.receipt) == (None, None, False)


def test_a_position_of_nought_and_nought_is_no_position() -> None:
    seen = read(body(lat=0, lon=0.0, accuracy_m=5))
    assert (seen.lat, seen.lon, seen.accuracy_m) == (None, None, None)


def test_a_retained_check_in_says_so() -> None:
    assert read_checkin(body(), device=DEVICE, source="mqtt", retained=True).retained


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 17),
        ("id", ""),
        ("id", "x" * 201),
        ("kind", "Mrs Example"),
        ("kind", "fix"),
        ("kind", "offline"),
        ("kind", None),
        ("at", "2026-03-29T07:31:00"),
        ("at", "yesterday"),
        ("at", 1774769460),
        ("at", "0001-01-01T00:00:00+14:00"),
        ("at", "1999-12-31T23:59:59Z"),
        ("at", "2100-01-01T00:00:00Z"),
        ("at", None),
        ("worker", 3),
        ("visit", ["v-77"]),
        ("service_user", {"id": "su-9"}),
        ("tag", True),
        ("lat", "51.4"),
        ("lat", 90.1),
        ("lon", -180.1),
        ("accuracy_m", -1),
        ("receipt", "yes"),
    ],
)
def test_a_wrong_value_is_refused_by_name_with_what_was_expected(field: str, value: Any) -> None:
    both = {"lat": 51.4, "lon": 0.02} if field in ("lat", "lon") else {}
    problem = refused(body(**(both | {field: value})))
    assert (problem.reason, problem.path) == ("wrong_type", field)
    assert str(problem).startswith(f"{field}: expected ")
    assert "Example" not in str(problem)


@pytest.mark.parametrize("field", ["id", "kind", "at"])
def test_a_missing_field_is_named(field: str) -> None:
    whole = json.loads(body())
    del whole[field]
    assert refused(json.dumps(whole).encode()).path == field


@pytest.mark.parametrize(("field", "other"), [("lat", "lon"), ("lon", "lat")])
def test_half_a_position_is_refused(field: str, other: str) -> None:
    assert refused(body(**{other: 0.5})).path == field


def test_a_refusal_carries_the_check_ins_own_id_when_it_can_be_read() -> None:
    assert refused(body(kind="x")).id == "c-1"
    assert refused(body(id=5)).id is None
    assert refused(b"[]").id is None


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (b"", "bad_body"),
        (b"\xff\xfe\x00garbage", "bad_body"),
        (b'{"id":"\xff"}', "bad_body"),
        (b'{"id":"c-1"', "bad_body"),
        (body() + b" {}", "bad_body"),
        (b"null", "wrong_type"),
        (b'"text"', "wrong_type"),
        (b"[1]", "wrong_type"),
        (b'{"id":"c-1","deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "too_deep"),
        (b'{"id":"' + b"x" * MAX_BODY + b'"}', "too_large"),
    ],
)
def test_what_is_no_check_in_is_refused_with_its_reason(item: bytes, reason: str) -> None:
    assert refused(item).reason == reason


def test_the_bound_of_a_body_is_exactly_one_mebibyte() -> None:
    padding = MAX_BODY - len(body(note=""))
    assert read(body(note="x" * padding)).id == "c-1"
    assert refused(body(note="x" * (padding + 1))).reason == "too_large"


def test_a_body_that_claims_another_device_is_refused() -> None:
    problem = refused(body(device="callwatch:phone-18"))
    assert (problem.reason, problem.path, problem.id) == ("identity", "device", "c-1")
    assert "phone-18" not in str(problem)
    assert refused(body(device="owntracks:phone-17")).reason == "identity"


@pytest.mark.parametrize("claim", ["callwatch:phone-17", "phone-17", None])
def test_a_body_may_name_the_credentials_own_device(claim: str | None) -> None:
    assert read(body(device=claim)).device == DEVICE


def test_intake_may_speak_for_any_device_of_its_desk() -> None:
    assert read(body(device="owntracks:u17/phone"), device=None).device == "owntracks:u17/phone"
    assert read(body(device="phone-18"), device=None).device == "callwatch:phone-18"
    assert read(body(worker="w-3"), device=None).device is None


def test_the_same_id_of_another_device_is_another_check_in() -> None:
    keys = {
        read(body(), DEVICE).natural_key,
        read(body(), "callwatch:phone-18").natural_key,
        read(body(id="c-2"), DEVICE).natural_key,
    }
    assert len(keys) == 3
    assert read(body(kind="leave"), DEVICE).natural_key == read(body(), DEVICE).natural_key


def test_an_array_of_check_ins_is_split() -> None:
    assert split_checkins(b" [" + body() + b"," + body(id="c-2") + b"]") == [body(), body(id="c-2")]
    assert split_checkins(b"[]") == []


def test_one_bad_item_of_an_array_leaves_the_others_readable() -> None:
    good, bad, more = split_checkins(b"[" + body() + b',{"id":5},' + body(id="c-3") + b"]")
    assert (read(good).id, read(more).id) == ("c-1", "c-3")
    assert refused(bad).path == "id"


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (b"", "bad_body"),
        (b"[", "bad_body"),
        (b"[garbage", "bad_body"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b"[" + b" " * MAX_BODY + b"]", "too_large"),
    ],
)
def test_a_body_that_cannot_be_split_is_refused(whole: bytes, reason: str) -> None:
    with pytest.raises(CheckInProblem) as caught:
        split_checkins(whole)
    assert caught.value.reason == reason


@pytest.mark.parametrize("rest", [b"garbage", b"]", b', "more": "\xff"}'])
def test_what_is_no_json_is_called_so_even_behind_a_wrong_type(rest: bytes) -> None:
    assert refused(b'{"id": 5, "kind": "arrive"' + rest).reason == "bad_body"


# drawing is slow for the first example on a busy machine, which says nothing about the code
SHARED_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@SHARED_MACHINE
@given(st.dictionaries(st.sampled_from([*WHOLE, "device"]), JSON))
def test_whatever_comes_is_read_or_refused_by_name(changes: dict[str, Any]) -> None:
    reason = None
    try:
        seen = read(json.dumps(WHOLE | changes).encode())
    except CheckInProblem as problem:
        reason = problem.reason
    assert reason in ("wrong_type", "bad_body", "identity") or (seen.device, seen.at.tzinfo) == (DEVICE, UTC)


@SHARED_MACHINE
@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_refused_with_a_reason(garbage: bytes) -> None:
    assert refused(garbage).reason in ("bad_body", "wrong_type")
