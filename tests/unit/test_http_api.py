"""The HTTP contract over a real loopback socket, against a fake of what stands behind it."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import re
import socket
import zlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connectors.board import BoardOptions
from connectors.http_access import ROLES, RULES, WrongTries, own_phone, own_user, refusal
from connectors.http_api import build_app, serve
from connectors.http_wire import Limits
from connectors.ports import ApiProblem, Credential, record_hash
from monitor.core.views import PlaceView, VisitView
from tests.fakes.desks import NOW, FakeDesks, alert_view, contact
from tests.waiting import until

DOM, EVE = "/v1/desks/dom", "/v1/desks/eve"
PHONE = "owntracks:u17/phone"
FIX = b'{"_type":"location","tst":1795420000,"lat":51.4,"lon":0.01,"acc":12,"tid":"u1"}'
ENTER = b'{"_type":"transition","event":"enter","tst":1795420000,"lat":51.4,"lon":0.01,"acc":9,"desc":"home"}'


def credentials() -> dict[str, Credential]:
    """One secret for each role, for the desk `dom`; the device's are its secrets' names."""
    roles = {
        f"s-{role}": Credential(role=role, desk="dom", device=PHONE if role == "device" else None, name=role)
        for role in ROLES
    }
    return {
        **roles,
        "s-ours": Credential(role="device", desk="dom", device="callwatch:phone-17"),
        "s-eve": Credential(role="office", desk="eve"),
        "s-all": Credential(role="operator", desk="*"),
    }


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(user: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


Client = TestClient[web.Request, web.Application]


async def metrics() -> bytes:
    return b"callwatch_degraded 0\n"


def client_of(desks: FakeDesks, *, loopback: bool = True, **options: Any) -> Client:
    board = BoardOptions(session_key=b"k" * 32, password_hash=None if loopback else HASH)
    app = build_app(desks, metrics=metrics, loopback=loopback, board=board, **options)
    return TestClient(TestServer(app))


# of the word "visit", with argon2's cheapest settings: only its shape matters here
HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"


@pytest.fixture
def desks() -> FakeDesks:
    return FakeDesks(credentials=credentials())


@pytest.fixture
async def client(desks: FakeDesks) -> AsyncIterator[Client]:
    async with client_of(desks) as client:
        yield client


def checkin(checkin_id: str = "c1", **more: Any) -> dict[str, Any]:
    return {"id": checkin_id, "kind": "arrive", "at": "2026-11-23T07:31:00Z", **more}


async def error_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The contract's error, after a check that nothing but the contract's error is there."""
    assert response.content_type == "application/json"
    body = await response.json()
    assert set(body["error"]) == {"code", "message", "path"}
    assert "Traceback" not in await response.text()
    error: dict[str, Any] = body["error"]
    return error


# --- who may use which route: tests/unit/test_route_roles.py walks the table ---


def test_an_operator_of_all_desks_is_still_bound_by_the_roles() -> None:
    rule = next(rule for rule in RULES if rule.path.endswith("/visits"))
    everywhere = Credential(role="auditor", desk="*")
    assert refusal(rule, everywhere, "eve", FakeDesks().desk_kind) is None
    refused = refusal(rule, Credential(role="operator", desk="*"), "eve", FakeDesks().desk_kind)
    assert refused is not None
    assert refused.status == 403


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
async def test_health_is_open_on_loopback_and_needs_an_operator_elsewhere(
    path: str, desks: FakeDesks
) -> None:
    async with client_of(desks) as client:
        assert (await client.get(path)).status == 200
        # a proxy in front of the loopback listener hands the whole world on
        assert (await client.get(path, headers={"X-Forwarded-For": "203.0.113.9"})).status == 401
    async with client_of(desks, loopback=False) as client:
        assert (await client.get(path)).status == 401
        assert (await client.get(path, headers=bearer("s-office"))).status == 403
        assert (await client.get(path, headers=bearer("s-all"))).status == 200


async def test_wrong_credentials_are_429_after_a_while_and_a_right_one_is_still_served(
    desks: FakeDesks,
) -> None:
    async with client_of(desks, limits=Limits(wrong_tries=3)) as client:
        statuses = [(await client.get(f"{DOM}/visits", headers=bearer(f"w{n}"))).status for n in range(4)]
        assert statuses == [401, 401, 401, 429]
        answer = await client.get(f"{DOM}/visits", headers=bearer("w"))
        assert (await error_of(answer))["code"] == "rate_limited"
        assert 0 < int(answer.headers["Retry-After"]) <= 61
        assert (await client.get(f"{DOM}/visits", headers=bearer("s-office"))).status == 200
    # counted by the shell, and nothing of an unknown sender is kept
    assert desks.put_aside == [("http", "unauthorised", b"", None)] * 3


def test_the_count_of_wrong_tries_ends_with_its_window_and_is_bounded() -> None:
    now = [0.0]
    tries = WrongTries(limit=2, window_s=60, clock=lambda: now[0])
    tries.count("a")
    assert tries.retry_after_s("a") is None
    tries.count("a")
    now[0] = 59.9
    assert tries.retry_after_s("a") == 1
    now[0] = 60.0
    assert tries.retry_after_s("a") is None
    for n in range(WrongTries.REMEMBERED + 10):
        tries.count(str(n))
    assert len(tries._seen) <= WrongTries.REMEMBERED


@pytest.mark.parametrize(
    ("device", "user", "own"),
    [
        (PHONE, PHONE, True),
        (PHONE, "u17/phone", True),
        (PHONE, "u17", True),
        (PHONE, "u18", False),
        (PHONE, "phone", False),
        (PHONE, "", False),
        ("callwatch:phone-17", "phone-17", True),
        ("phone-17", "phone-17", True),
        ("phone-17", "callwatch:phone-17", True),
        ("phone-17", "owntracks:phone-17", False),
        (None, "anybody", False),
    ],
)
def test_a_claimed_user_is_the_devices_own_or_it_is_not(device: str | None, user: str, own: bool) -> None:
    assert own_user(device, user) is own


def test_a_claimed_phone_is_the_devices_own_unless_the_id_names_none() -> None:
    assert own_phone(PHONE, "phone")
    assert not own_phone(PHONE, "tablet")
    assert own_phone("callwatch:phone-17", "whatever the app calls itself")


# --- refusals ---


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("path", "as_page"),
    [
        ("/nowhere", True),
        ("/board", True),
        ("/desks", True),
        ("/board/dom/no/such/page", True),
        ("/favicon.ico", True),
        ("/b/none/of/ours", True),
        ("/v1/desks", False),
        ("/v1", False),
        ("/owntracks/a/b", False),
        ("/traccar/a/b", False),
        ("/twilio/nowhere", False),
        ("/metrics/nowhere", False),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "*/*", BROWSER["Accept"]])
async def test_a_browser_at_a_path_that_is_not_there_gets_a_page_and_a_program_the_contract_s_error(
    client: Client, path: str, as_page: bool, accept: str
) -> None:
    answer = await client.get(path, headers={"Accept": accept})
    assert answer.status == 404
    if not (as_page and accept == BROWSER["Accept"]):
        assert (await error_of(answer))["code"] == "not_found"
        return
    text = await answer.text()
    assert answer.content_type == "text/html"
    assert "There is nothing here" in text
    assert ('href="/"' in text) == (not path.startswith("/b/"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "at"),
    [
        ("GET", "/nowhere", b"", 404, "not_found", None),
        ("GET", "/v1/desks", b"", 404, "not_found", None),
        ("DELETE", f"{DOM}/visits", b"", 404, "method", None),
        ("GET", "/owntracks", b"", 404, "method", None),
        ("GET", f"{DOM}/visits?date=yesterday", b"", 400, "wrong_type", "date"),
        ("GET", f"{DOM}/alerts?open=perhaps", b"", 400, "wrong_type", "open"),
        ("GET", f"{DOM}/alerts/none", b"", 404, "unknown_alert", "id"),
        ("GET", f"{DOM}/facts?after=-1", b"", 400, "wrong_type", "after"),
        ("GET", f"{DOM}/facts?after=x", b"", 400, "wrong_type", "after"),
        ("GET", f"{DOM}/facts?after={'9' * 30}", b"", 400, "wrong_type", "after"),
        ("GET", f"{DOM}/facts?wait=10", b"", 400, "wrong_type", "wait"),
        ("GET", f"{DOM}/facts?wait={'9' * 400}d", b"", 400, "wrong_type", "wait"),
        ("PUT", f"{DOM}/people", b"", 400, "bad_body", None),
        ("PUT", f"{DOM}/people", b"\xff\xfe garbage", 400, "bad_body", None),
        ("PUT", f"{DOM}/people", b'{"people":', 400, "bad_body", None),
        ("PUT", f"{DOM}/people", b"[" * 200_000, 400, "wrong_type", None),
        ("PUT", f"{DOM}/people", b'{"people":[' + b"[" * 200_000, 400, "too_deep", None),
        ("PUT", f"{DOM}/people", b"[]", 400, "wrong_type", None),
        ("PUT", f"{DOM}/people", b"{}", 400, "wrong_type", None),
        ("PUT", f"{DOM}/people", b'{"people":{}}', 400, "wrong_type", "people"),
        ("PUT", f"{DOM}/rota", b"7", 400, "wrong_type", None),
        ("PUT", f"{DOM}/rota", b'{"visit":[]}', 400, "wrong_type", "visits"),
        ("PUT", f"{DOM}/rota", b'{"visits":"all"}', 400, "wrong_type", "visits"),
        ("POST", f"{DOM}/alerts/al-1/actions", b"{}", 400, "wrong_type", None),
        (
            "POST",
            f"{DOM}/alerts/al-1/actions",
            b'{"action":"Mrs Marsh","by":"st-1"}',
            400,
            "wrong_type",
            "action",
        ),
        ("POST", f"{DOM}/alerts/al-1/actions", b'{"action":"take","by":7}', 400, "wrong_type", "by"),
        ("POST", f"{DOM}/alerts/al-1/actions", b'{"action":"take","by":" "}', 400, "missing", "by"),
        (
            "POST",
            f"{DOM}/alerts/al-1/actions",
            b'{"action":"take","by":"s","at":"08:00"}',
            400,
            "wrong_type",
            "at",
        ),
        (
            "POST",
            f"{DOM}/alerts/al-1/actions",
            b'{"action":"take","by":"s","at":"2026-11-23T08:00:00"}',
            400,
            "wrong_type",
            "at",
        ),
        ("POST", f"{DOM}/alerts/al-9/actions", b'{"action":"take","by":"st-1"}', 404, "unknown_alert", "id"),
        ("POST", f"{DOM}/checkins", b"", 400, "bad_body", None),
        ("POST", f"{DOM}/checkins", b"\x00\x01", 400, "bad_body", None),
        ("POST", f"{DOM}/checkins", b"[" * 200_000, 400, "too_deep", None),
        ("POST", f"{DOM}/checkins", b'"arrived"', 400, "wrong_type", None),
        ("POST", f"{DOM}/checkins", b'{"id":"c1","kind":"arrive"}', 400, "wrong_type", "at"),
    ],
)
async def test_bad_input_is_a_clear_error_in_the_contracts_shape(
    client: Client, method: str, path: str, body: bytes, status: int, code: str, at: str | None
) -> None:
    answer = await client.request(method, path, data=body, headers=bearer("s-office"))
    error = await error_of(answer)
    assert (answer.status, error["code"], error["path"]) == (status, code, at)
    assert error["message"]
    assert "Marsh" not in await answer.text()


async def test_a_body_over_the_limit_is_413_whether_it_says_its_length_or_not(client: Client) -> None:
    garbage = b"x" * (10 << 20)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(garbage), 1 << 16):
            yield garbage[start : start + (1 << 16)]

    for data in (io.BytesIO(garbage), chunks()):
        answer = await client.post(f"{DOM}/checkins", data=data, headers=bearer("s-intake"))
        assert (answer.status, (await error_of(answer))["code"]) == (413, "too_large")
    assert (await client.get("/healthz")).status == 200


async def test_ten_megabytes_of_garbage_are_read_as_a_rota_and_refused(client: Client) -> None:
    answer = await client.put(f"{DOM}/rota", data=io.BytesIO(b"x" * (10 << 20)), headers=bearer("s-intake"))
    assert (answer.status, (await error_of(answer))["code"]) == (400, "bad_body")
    too_much = io.BytesIO(b" " * ((32 << 20) + 1))
    answer = await client.put(f"{DOM}/people", data=too_much, headers=bearer("s-intake"))
    assert answer.status == 413


async def test_a_compressed_body_counts_unpacked_and_a_broken_one_is_a_400(client: Client) -> None:
    packed = {"Content-Encoding": "gzip", **bearer("s-intake")}
    bomb = gzip.compress(b"[" + b" " * (40 << 20))
    assert (await client.put(f"{DOM}/rota", data=bomb, headers=packed)).status == 413
    fine = gzip.compress(json.dumps({"visits": []}).encode())
    assert (await client.put(f"{DOM}/rota", data=fine, headers=packed)).status == 200
    broken = zlib.compress(b"{}")[:4] + b"\xff" * 40
    answer = await client.put(f"{DOM}/rota", data=broken, headers=packed)
    assert (answer.status, (await error_of(answer))["code"]) == (400, "bad_body")


async def test_a_body_that_never_ends_is_given_up(desks: FakeDesks) -> None:
    async with client_of(desks, limits=Limits(body_s=0.05)) as client:
        held = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"{"
            await held.wait()

        request = asyncio.ensure_future(
            client.post(f"{DOM}/checkins", data=slow(), headers=bearer("s-intake"))
        )
        answer = await asyncio.wait_for(request, 30)
        assert (answer.status, (await error_of(answer))["code"]) == (400, "body_incomplete")
        held.set()


async def test_a_failure_of_ours_is_503_without_a_trace_and_without_the_senders_values(
    desks: FakeDesks, client: Client, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    desks.broken = RuntimeError("Mrs Marsh, 1 Station Road")
    answer = await client.get(f"{DOM}/visits", headers=bearer("s-office"))
    assert (answer.status, (await error_of(answer))["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    written = await answer.text() + caplog.text + "".join(capsys.readouterr())
    assert "Marsh" not in written
    assert "RuntimeError" in written


async def test_every_answer_says_that_it_must_not_be_stored(client: Client) -> None:
    for path in (f"{DOM}/visits", "/healthz", "/nowhere", "/board/dom"):
        answer = await client.get(path, headers=bearer("s-office"))
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


# --- uploads ---


async def test_people_and_rota_go_to_their_desk_and_the_answer_is_the_contracts(
    client: Client, desks: FakeDesks
) -> None:
    people = {"people": [{"id": "su-1", "role": "service_user"}, {"nonsense": True}]}
    answer = await client.put(f"{DOM}/people", json=people, headers=bearer("s-intake"))
    assert await answer.json() == {"new": 2, "changed": 0, "unchanged": 0, "problems": []}
    assert desks.people == [("dom", people["people"])]
    rota = {"visits": [{"id": "v-1", "mood": "unknown field"}], "complete": True}
    answer = await client.put(f"{DOM}/rota", json=rota, headers=bearer("s-intake"))
    assert set(await answer.json()) == {"new", "changed", "cancelled", "unchanged", "watched", "problems"}
    assert desks.rotas == [("dom", rota, "intake")]


async def test_an_upload_that_needs_confirmation_is_409_with_what_it_would_cancel(
    client: Client, desks: FakeDesks
) -> None:
    desks.refuses = ApiProblem(409, "confirm_needed", "this cancels visits", extra={"would_cancel": ["v-1"]})
    answer = await client.put(f"{DOM}/rota", json={"visits": []}, headers=bearer("s-office"))
    assert (answer.status, (await error_of(answer))["code"]) == (409, "confirm_needed")
    assert (await answer.json())["would_cancel"] == ["v-1"]


async def test_a_device_that_another_desk_holds_is_409(client: Client, desks: FakeDesks) -> None:
    desks.refuses = ApiProblem(409, "device_taken", "another desk holds it", "people[0].devices[0]")
    answer = await client.put(f"{DOM}/people", json={"people": [{}]}, headers=bearer("s-office"))
    error = await error_of(answer)
    assert (answer.status, error["code"], error["path"]) == (409, "device_taken", "people[0].devices[0]")


# --- check-ins in our own JSON ---


async def test_one_checkin_is_answered_with_its_outcome(client: Client, desks: FakeDesks) -> None:
    answer = await client.post(f"{DOM}/checkins", json=checkin(visit="v-1"), headers=bearer("s-ours"))
    assert answer.status == 200
    assert await answer.json() == {
        "results": [{"id": "c1", "stored": True, "outcome": "arrived", "visit": "v-1", "seq": 1}]
    }
    desk, seen = desks.seen[0]
    assert (desk, seen.device, seen.source, seen.manual) == ("dom", "callwatch:phone-17", "http", False)


async def test_a_checkin_sent_twice_is_the_same_message(client: Client, desks: FakeDesks) -> None:
    outcomes = []
    for _ in range(2):
        answer = await client.post(f"{DOM}/checkins", json=checkin(), headers=bearer("s-ours"))
        outcomes.append((await answer.json())["results"][0]["outcome"])
    assert outcomes == ["arrived", "duplicate"]


@pytest.mark.parametrize(
    ("secret", "by_hand"),
    [("s-office", True), ("s-on_call", True), ("s-manager", True), ("s-intake", False), ("s-device", False)],
)
async def test_what_a_person_of_the_office_posts_is_entered_by_hand(
    client: Client, desks: FakeDesks, secret: str, by_hand: bool
) -> None:
    await client.post(f"{DOM}/checkins", json=checkin(), headers=bearer(secret))
    assert desks.seen[0][1].manual is by_hand


async def test_one_bad_item_of_an_array_harms_no_other(client: Client, desks: FakeDesks) -> None:
    items = [
        checkin("c1"),
        {"id": "c2", "kind": "Mrs Marsh"},
        7,
        checkin("c4", device="callwatch:phone-18"),
        checkin("c5"),
    ]
    answer = await client.post(f"{DOM}/checkins", json=items, headers=bearer("s-ours"))
    assert answer.status == 200
    results = (await answer.json())["results"]
    assert [row["stored"] for row in results] == [True, False, False, False, True]
    assert [row["id"] for row in results] == ["c1", "c2", None, "c4", "c5"]
    assert [row["error"]["code"] for row in results if not row["stored"]] == [
        "wrong_type",
        "wrong_type",
        "identity",
    ]
    assert "Marsh" not in await answer.text()
    assert [reason for _, reason, _, _ in desks.put_aside] == ["wrong_type", "wrong_type", "identity"]
    assert desks.put_aside[0][2] == b'{"id": "c2", "kind": "Mrs Marsh"}', "kept byte for byte"
    assert [seen.id for _, seen in desks.seen] == ["c1", "c5"]


async def test_an_empty_array_is_nothing_and_fine(client: Client) -> None:
    answer = await client.post(f"{DOM}/checkins", data=b" [] ", headers=bearer("s-intake"))
    assert (answer.status, await answer.json()) == (200, {"results": []})


async def test_a_device_may_not_speak_for_another(client: Client, desks: FakeDesks) -> None:
    forged = checkin(device="callwatch:phone-18")
    answer = await client.post(f"{DOM}/checkins", json=forged, headers=bearer("s-ours"))
    assert (answer.status, (await error_of(answer))["code"]) == (403, "identity")
    assert desks.seen == []
    assert [row[:2] for row in desks.put_aside] == [("http", "identity")]
    assert desks.counts == [("dom", "http", "unknown_device")]


async def test_a_feed_speaks_for_any_device_of_its_desk_and_for_no_other_desks(
    client: Client, desks: FakeDesks
) -> None:
    desks.devices = {"callwatch:phone-17": "dom", "callwatch:phone-90": "eve"}
    for name, status in (("phone-17", 200), ("never heard of", 200), ("phone-90", 403)):
        body = checkin(name, device=f"callwatch:{name}")
        assert (await client.post(f"{DOM}/checkins", json=body, headers=bearer("s-intake"))).status == status
    assert [seen.id for _, seen in desks.seen] == ["phone-17", "never heard of"]


@pytest.mark.parametrize(
    "body", [checkin(), [checkin("c1"), {"bad": 1}, checkin("c2")]], ids=["one", "array"]
)
async def test_what_is_not_on_disk_is_503_and_to_be_sent_again(
    client: Client, desks: FakeDesks, body: object
) -> None:
    desks.degraded = True
    if isinstance(body, list):
        body = [body[0], body[2]]
    answer = await client.post(f"{DOM}/checkins", json=body, headers=bearer("s-ours"))
    assert (answer.status, (await error_of(answer))["code"]) == (503, "degraded")
    assert int(answer.headers["Retry-After"]) > 0
    assert desks.seen, "it was applied all the same"
    desks.degraded = False
    answer = await client.post(f"{DOM}/checkins", json=body, headers=bearer("s-ours"))
    assert {row["outcome"] for row in (await answer.json())["results"]} == {"duplicate"}


async def test_a_store_that_answers_nothing_does_not_hold_the_sender(desks: FakeDesks) -> None:
    desks.stuck = True
    async with client_of(desks, limits=Limits(durable_s=0.05)) as client:
        answer = await client.post(f"{DOM}/checkins", json=checkin(), headers=bearer("s-ours"))
        assert (answer.status, (await error_of(answer))["code"]) == (503, "degraded")


# --- what is ---


async def test_visits_are_shown_as_the_contract_names_them(client: Client, desks: FakeDesks) -> None:
    place = PlaceView(worker="w-1", arrived=NOW, left=None, evidence="electronic")
    desks.visit_views = [
        VisitView(
            id="v-1",
            subject="m1",
            service_user="su-1",
            start=NOW,
            end=NOW,
            late_at=NOW,
            stage="arrived",
            signal="known",
            verdicts=("on_time",),
            places=(place,),
            alert=None,
            time_critical=False,
            planned=("w-1",),
        )
    ]
    answer = await client.get(f"{DOM}/visits?date=2026-11-23", headers=bearer("s-auditor"))
    visit = (await answer.json())["visits"][0]
    assert set(visit) >= {
        "id", "service_user", "start", "end", "late_at", "stage", "signal", "verdicts", "places", "alert",
    }  # fmt: skip
    assert visit["start"] == "2026-11-23T08:02:00Z"
    assert str(desks.asked_days[0]) == "2026-11-23"


async def test_alerts_can_be_listed_open_only_and_looked_at_one_by_one(
    client: Client, desks: FakeDesks
) -> None:
    desks.alert_views = {"al-1": alert_view(), "al-2": alert_view("al-2", state="ended")}
    every = await (await client.get(f"{DOM}/alerts", headers=bearer("s-office"))).json()
    only_open = await (await client.get(f"{DOM}/alerts?open=true", headers=bearer("s-office"))).json()
    assert [one["id"] for one in every["alerts"]] == ["al-1", "al-2"]
    assert [one["id"] for one in only_open["alerts"]] == ["al-1"]
    one = await (await client.get(f"{DOM}/alerts/al-1", headers=bearer("s-office"))).json()
    assert set(one) >= {
        "id", "kind", "visit", "due_at", "opened_at", "lateness_s", "state", "ended_reason", "tracks", "contacts",
        "taken_by",
    }  # fmt: skip
    assert set(one["tracks"][0]) >= {"name", "step", "next_at"}
    assert set(one["contacts"][0]) >= {
        "key", "person", "purpose", "channel", "intended_at", "attempted_at", "settled_at", "result", "proof",
        "possibly_repeated",
    }  # fmt: skip


async def test_the_first_to_take_an_alert_has_it_and_the_second_hears_who(
    client: Client, desks: FakeDesks
) -> None:
    desks.alert_views = {"al-1": alert_view()}
    path = f"{DOM}/alerts/al-1/actions"
    first = await client.post(path, json={"action": "take", "by": "st-1"}, headers=bearer("s-office"))
    assert (await first.json())["taken_by"] == "st-1"
    second = await client.post(path, json={"action": "take", "by": "st-2"}, headers=bearer("s-on_call"))
    assert (second.status, (await error_of(second))["code"]) == (409, "taken")
    assert (await second.json())["taken_by"] == "st-1"


async def test_facts_come_byte_for_byte_a_thousand_at_a_time(client: Client, desks: FakeDesks) -> None:
    odd = '{"b":1.0, "a":"é","n":null}'
    await desks.add_facts("dom", [odd] + [f'{{"n":{n}}}' for n in range(1100)])
    first = await (await client.get(f"{DOM}/facts", headers=bearer("s-auditor"))).json()
    assert (len(first["facts"]), first["next"]) == (1000, 1000)
    fact = first["facts"][0]
    assert fact["body"] == odd
    assert set(fact) == {
        "seq", "at", "due_at", "kind", "v", "subject", "cause", "people_rev", "policy", "body", "prev", "hash",
    }  # fmt: skip
    assert (fact["prev"], fact["hash"]) == ("00" * 32, record_hash("dom", desks.journal["dom"][0]).hex())
    rest = await (await client.get(f"{DOM}/facts?after=1000", headers=bearer("s-auditor"))).json()
    assert (len(rest["facts"]), rest["next"]) == (101, 1101)
    none = await (await client.get(f"{DOM}/facts?after=1101&wait=50ms", headers=bearer("s-auditor"))).json()
    assert none == {"facts": [], "next": 1101}


async def test_facts_waits_for_the_next_one(client: Client, desks: FakeDesks) -> None:
    waiting = asyncio.ensure_future(client.get(f"{DOM}/facts?after=0&wait=30s", headers=bearer("s-office")))
    await until(lambda: desks._moved._waiters, what="the request waits")
    await desks.add_facts("dom", ["{}"])
    answer = await asyncio.wait_for(waiting, 30)
    assert [fact["seq"] for fact in (await answer.json())["facts"]] == [1]


async def test_reads_of_a_desk_whose_store_is_away_are_503(client: Client, desks: FakeDesks) -> None:
    desks.degraded = True
    for path in ("visits", "alerts", "facts", "alerts/al-1"):
        answer = await client.get(f"{DOM}/{path}", headers=bearer("s-office"))
        assert answer.status == 503, path
        assert "Retry-After" in answer.headers


async def test_ready_says_so_or_is_503(client: Client, desks: FakeDesks) -> None:
    assert (await client.get("/readyz")).status == 200
    desks.is_ready = False
    answer = await client.get("/readyz")
    assert (answer.status, (await error_of(answer))["code"]) == (503, "not_ready")


async def test_metrics_are_prometheus_text(client: Client) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert await answer.read() == b"callwatch_degraded 0\n"


# --- OwnTracks as the apps send it ---


WAYS: list[tuple[str, dict[str, str]]] = [
    ("/owntracks", basic("u17", "s-device")),
    ("/owntracks", basic(PHONE, "s-device")),
    ("/owntracks", basic("u17/phone", "s-device")),
    ("/owntracks", bearer("s-device")),
    ("/owntracks/s-device", {}),
    ("/owntracks/s-device", basic("somebody", "else")),
]


@pytest.mark.parametrize(("path", "headers"), WAYS)
async def test_owntracks_is_taken_by_every_way_to_show_its_credential(
    client: Client, desks: FakeDesks, path: str, headers: dict[str, str]
) -> None:
    names = {"X-Limit-U": "u17", "X-Limit-D": "phone"}
    answer = await client.post(path, data=ENTER, headers={**headers, **names})
    assert (answer.status, await answer.json()) == (200, [])
    desk, seen = desks.seen[0]
    assert (desk, seen.device, seen.source, seen.kind) == ("dom", PHONE, "owntracks", "arrive")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"rubbish", "bad_body"),
        (b"\xff\x00\xfe", "bad_body"),
        (b'{"_type":"location"', "bad_body"),
        (b'{"lat":51.4}', "bad_body"),
        (b'{"_type":"location","tst":"soon","lat":"x"}', "wrong_type"),
        (b'{"_type":"encrypted","data":"AAAA"}', "undecodable"),
        (b'{"_type":"location","a":' + b"[" * 100_000, "too_deep"),
        (b"7", "bad_body"),
    ],
)
async def test_rubbish_with_a_right_credential_is_kept_and_answered_200(
    client: Client, desks: FakeDesks, body: bytes, reason: str
) -> None:
    answer = await client.post("/owntracks/s-device", data=body)
    assert (answer.status, await answer.json()) == (200, [])
    assert desks.put_aside == [("owntracks", reason, body, "dom")]
    assert desks.counts == [], "the shell counts what it puts aside"


@pytest.mark.parametrize("body", [b"", b"  ", b"[]", b'{"_type":"card","name":"A"}', b'{"_type":"status"}'])
async def test_what_says_nothing_about_a_visit_is_200_and_nothing(
    client: Client, desks: FakeDesks, body: bytes
) -> None:
    answer = await client.post("/owntracks/s-device", data=body)
    assert (answer.status, await answer.json()) == (200, [])
    assert (desks.seen, desks.put_aside) == ([], [])


async def test_an_array_is_taken_message_by_message(client: Client, desks: FakeDesks) -> None:
    body = b"[" + ENTER + b',{"_type":"transition","event":"sideways"},' + FIX + b"]"
    answer = await client.post("/owntracks/s-device", data=body)
    assert (answer.status, await answer.json()) == (200, [])
    assert [seen.kind for _, seen in desks.seen] == ["arrive", "fix"]
    assert [row[2] for row in desks.put_aside] == [b'{"_type":"transition","event":"sideways"}']


@pytest.mark.parametrize(
    ("query", "headers", "body"),
    [
        ("", {"X-Limit-U": "u18"}, ENTER),
        ("", {"X-Limit-U": "u17", "X-Limit-D": "tablet"}, ENTER),
        ("?u=u18&d=phone", {}, ENTER),
        ("?u=u17&d=tablet", {}, ENTER),
        ("", {}, ENTER[:-1] + b',"topic":"owntracks/u18/phone/event"}'),
    ],
)
async def test_a_claimed_identity_that_is_not_the_credentials_is_put_aside(
    client: Client, desks: FakeDesks, query: str, headers: dict[str, str], body: bytes
) -> None:
    answer = await client.post(f"/owntracks/s-device{query}", data=body, headers=headers)
    assert (answer.status, await answer.json()) == (200, [])
    assert desks.seen == []
    assert desks.put_aside == [("owntracks", "identity", body, "dom")]
    assert desks.counts == [("dom", "owntracks", "unknown_device")]


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", b'{"location":{"timestamp":"2026-11-23T07:31:00Z"},"device_id":"8613"}'),
        ("?id=8613&timestamp=1795419060&lat=51.4&lon=0.02", b""),
    ],
)
async def test_a_traccar_client_that_claims_another_identity_is_answered_200_so_that_it_blocks_nothing(
    client: Client, desks: FakeDesks, query: str, body: bytes
) -> None:
    answer = await client.post(f"/traccar/s-device{query}", data=body)
    assert answer.status == 200
    assert desks.seen == []
    assert [(source, reason) for source, reason, _, _ in desks.put_aside] == [("traccar", "identity")]


async def test_a_wrong_credential_is_401_and_its_body_is_not_kept(client: Client, desks: FakeDesks) -> None:
    for path, headers in (
        ("/owntracks", basic("u17", "wrong")),
        ("/owntracks", basic("u18", "s-device")),
        ("/owntracks/wrong", basic("u17", "s-device")),
        ("/owntracks", {}),
    ):
        answer = await client.post(path, data=ENTER, headers=headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert desks.seen == []
    assert desks.put_aside == [("owntracks", "unauthorised", b"", None)] * 3


async def test_a_feed_s_locations_are_taken_and_those_of_another_desk_put_aside_each_by_itself(
    client: Client, desks: FakeDesks
) -> None:
    desks.devices["traccar:2"] = "eve"
    bodies = [
        {"device_id": str(of), "location": [{"timestamp": f"2026-11-23T07:3{n}:00Z"} for n in range(3)]}
        for of in (1, 2)
    ]
    answer = await client.post("/traccar/s-intake", json=bodies)
    assert answer.status == 200
    assert [(seen.device, seen.at.minute) for _, seen in desks.seen] == [
        ("traccar:1", minute) for minute in (30, 31, 32)
    ]
    assert [(row[1], json.loads(row[2])["location"]["timestamp"][14:16]) for row in desks.put_aside] == [
        ("identity", minute) for minute in ("30", "31", "32")
    ]


@pytest.mark.parametrize("size", [(1 << 20) + 1, 10 << 20])
async def test_a_body_over_the_limit_is_200_and_its_first_4_kib_are_kept(
    client: Client, desks: FakeDesks, size: int
) -> None:
    answer = await client.post("/owntracks/s-device", data=io.BytesIO(b"x" * size))
    assert (answer.status, await answer.json()) == (200, [])
    assert desks.put_aside == [("owntracks", "too_large", b"x" * 4096, "dom")]


async def test_a_body_of_exactly_one_mebibyte_is_read(client: Client, desks: FakeDesks) -> None:
    body = io.BytesIO(ENTER + b" " * ((1 << 20) - len(ENTER)))
    assert (await client.post("/owntracks/s-device", data=body)).status == 200
    assert len(desks.seen) == 1


@pytest.mark.parametrize(
    "body", [ENTER, b"rubbish", b"x" * (2 << 20)], ids=["arrival", "rubbish", "too large"]
)
async def test_owntracks_is_503_only_when_it_was_not_kept(
    client: Client, desks: FakeDesks, body: bytes
) -> None:
    desks.degraded = True
    answer = await client.post("/owntracks/s-device", data=io.BytesIO(body))
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    desks.degraded = False
    assert (await client.post("/owntracks/s-device", data=io.BytesIO(body))).status == 200


async def test_owntracks_packed_wrongly_is_rubbish_and_cut_short_is_to_be_sent_again(
    desks: FakeDesks,
) -> None:
    async with client_of(desks, limits=Limits(body_s=0.05)) as client:
        packed = {"Content-Encoding": "gzip"}
        answer = await client.post("/owntracks/s-device", data=b"\x1f\x8b" + b"\xff" * 40, headers=packed)
        assert (answer.status, await answer.json()) == (200, [])
        assert [row[1] for row in desks.put_aside] == ["undecodable"]
        held = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield ENTER[:20]
            await held.wait()

        answer = await client.post("/owntracks/s-device", data=slow())
        assert answer.status == 503, "iOS throws a message away on a 4xx"
        held.set()


async def test_a_wrong_credential_is_401_while_the_store_is_away(client: Client, desks: FakeDesks) -> None:
    desks.degraded = True
    assert (await client.post("/owntracks/wrong", data=ENTER)).status == 401


# --- the listener ---


async def test_extra_routes_are_served_and_must_look_after_themselves(desks: FakeDesks) -> None:
    async def hook(_: web.Request) -> web.Response:
        return web.Response(text="signed")

    async with client_of(desks, extra_routes=[web.post("/twilio/sms", hook)]) as client:
        answer = await client.post("/twilio/sms")
        assert (answer.status, await answer.text()) == (200, "signed")


async def test_serve_says_where_it_listens_and_survives_what_is_not_http(
    desks: FakeDesks, caplog: pytest.LogCaptureFixture
) -> None:
    app = build_app(desks, metrics=metrics, loopback=True, board=BoardOptions(session_key=b"k" * 32))
    runner, address = await serve(app, "127.0.0.1", 0)
    try:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nMrs Marsh\r\n\r\n")
            await until(lambda: caplog.text, what="the listener notes what it could not read")
        async with aiohttp.ClientSession() as session, session.get(f"http://{address}/healthz") as answer:
            assert answer.status == 200
        assert "Marsh" not in caplog.text
    finally:
        await runner.cleanup()


async def test_a_board_needs_a_sound_key_and_a_hash_for_a_password(desks: FakeDesks) -> None:
    def build(**options: Any) -> None:
        board = BoardOptions(**{"session_key": b"k" * 32, **options})
        build_app(desks, metrics=metrics, loopback=True, board=board)

    for options, text in (
        ({"session_key": b"short"}, "32 bytes"),
        ({"password_hash": "secret"}, "argon2 hash"),
    ):
        with pytest.raises(ValueError, match=text):
            build(**options)


def leaves(value: object) -> Iterable[str]:
    """Every text inside a decoded JSON value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value


async def test_proof_and_times_of_contacts_reach_the_caller(client: Client, desks: FakeDesks) -> None:
    reached = contact("k2", "su-1187", "reassure", "call", "answered", "key:1")
    desks.alert_views = {"al-1": msgspec.structs.replace(alert_view(), contacts=(reached,))}
    body = await (await client.get(f"{DOM}/alerts/al-1", headers=bearer("s-office"))).json()
    assert "key:1" in set(leaves(body["contacts"]))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+Z", body[name]) for name in ("due_at", "opened_at"))
