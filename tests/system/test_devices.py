"""Phones, trackers and tags as they are: their own bodies over real HTTP and a real broker, into the real daemon."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import paho.mqtt.client as paho
import pytest
from nacl.bindings import crypto_secretbox, crypto_secretbox_open

from tests.system.broker import LOOPBACK, Mosquitto, phone, publish
from tests.system.daemon import (
    DAVE,
    DESK,
    OFFICE,
    Answer,
    Daemon,
    Telephones,
    WarmStart,
    by_day,
    care_worker,
    in_s,
    now,
    of_kind,
    request,
    rfc,
    secret_of,
    service_user,
    staff,
    table,
    visit,
)
from tests.waiting import until_sync

HOME = {"lat": 51.4060, "lon": 0.0157}
OFF = {"lat": 51.5000, "lon": 0.1000}
TRACCAR, OWNTRACKS, OURS = "traccar:8612", "owntracks:u17/phone", "callwatch:phone-17"
NEXT_DOOR = {"lat": 51.4200, "lon": 0.0157, "radius_m": 80}


@pytest.fixture
def daemon(tmp_path: Path, warm: WarmStart) -> Iterator[Daemon]:
    devices = (TRACCAR, OWNTRACKS, OURS)
    with Daemon(tmp_path, overrides=by_day(), devices=devices, warm=warm) as one:
        office = one.api()
        office.people(
            service_user(devices=["tag:04:A2:B1:C3"]),
            service_user("su-2", "+441632960102", homes=[NEXT_DOOR]),
            care_worker(devices=[TRACCAR, OWNTRACKS, OURS]),
            care_worker("cw-2", "+447700900018", devices=["traccar:card-7"]),
            staff(),
        )
        office.rota(visit("v-1", in_s(60)))
        yield one


def traccar(daemon: Daemon, body: Any = None, query: str = "", *, secret: str | None = None) -> Answer:
    """As the app calls the address that was typed into it; a GET when there is no body."""
    path = f"/traccar/{secret or secret_of('device', DESK, TRACCAR)}" + (f"?{query}" if query else "")
    return request(daemon.port, "GET" if body is None else "POST", path, body)


def client_json(at: datetime | None = None, device: str = "8612", **location: Any) -> dict[str, Any]:
    where = {"latitude": HOME["lat"], "longitude": HOME["lon"], "accuracy": 8.0, "speed": 0.4, "heading": -1}
    located = {
        "timestamp": rfc(at or now()),
        "coords": where | {"altitude": 20},
        "is_moving": False,
        "event": "motionchange",
        "battery": {"level": 0.6, "is_charging": False},
        "activity": {"type": "still"},
        "extras": {},
    }
    return {"location": located | location, "device_id": device}


def forward(device: str = "8612", at: datetime | None = None, **position: Any) -> dict[str, Any]:
    stamp = (at or now()).astimezone(UTC).isoformat(timespec="milliseconds")
    one = {
        "id": 1,
        "attributes": {},
        "protocol": "osmand",
        "serverTime": stamp,
        "deviceTime": stamp,
        "fixTime": stamp,
        "outdated": False,
        "valid": True,
        "latitude": HOME["lat"],
        "longitude": HOME["lon"],
        "speed": 1.2,
        "accuracy": 9.0,
    }
    return {"position": one | position, "device": {"id": 3, "name": "x", "uniqueId": device}}


def geofence_event(kind: str, device: str = "8612", **position: Any) -> dict[str, Any]:
    message = forward(device, **position)
    fence = {"id": 7, "name": "home", "area": f"CIRCLE ({HOME['lat']} {HOME['lon']}, 80.0)"}
    event = {"id": 5, "type": kind, "eventTime": message["position"]["fixTime"], "attributes": {}}
    return message | {"event": event, "geofence": fence}


def arrived(daemon: Daemon, name: str = "v-1") -> str | None:
    """Who is at the visit."""
    found = daemon.api().visit(name)
    assert found is not None
    place = found["places"][0]
    return str(place["worker"]) if place["arrived"] else None


# --- Traccar Client ---


def test_two_fixes_of_the_traccar_client_two_minutes_apart_are_an_arrival(daemon: Daemon) -> None:
    first, second = in_s(-125), in_s(-1)
    assert traccar(daemon, client_json(first)).status == 200
    assert arrived(daemon) is None
    seconds = int(second.timestamp())
    query = urlencode(
        {"id": "8612", "timestamp": seconds, "lat": HOME["lat"], "lon": HOME["lon"], "batt": 60}
    )
    assert traccar(daemon, None, query).status == 200
    assert arrived(daemon) == "cw-1"
    assert daemon.api().metric("callwatch_checkins_total", source="traccar", outcome="near") == 1
    assert daemon.api().metric("callwatch_checkins_total", source="traccar") == 2


@pytest.mark.parametrize("how", ["bearer", "basic"])
def test_the_credential_may_stand_in_the_header(daemon: Daemon, how: str) -> None:
    api = daemon.api(device=TRACCAR, user="8612" if how == "basic" else None)
    assert api.call("POST", "/traccar", client_json()).status == 200
    assert api.call("POST", "/traccar", client_json(device="8613")).status == 200
    assert daemon.api().metric("callwatch_quarantine_total", source="traccar", reason="identity") == 1
    assert daemon.api().metric("callwatch_checkins_total", source="traccar", outcome="near") == 1


def test_a_wrong_credential_of_a_traccar_client_is_401_and_counted(daemon: Daemon) -> None:
    answer = traccar(daemon, client_json(), secret="wrong")
    assert (answer.status, answer.headers["www-authenticate"][:5]) == (401, "Basic")
    assert daemon.api().metric("callwatch_quarantine_total", source="traccar", reason="unauthorised") == 1
    assert daemon.api("office").call("POST", "/traccar", client_json()).status == 403


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"rubbish", "bad_body"), (b'{"location":{"timestamp":"x"}}', "wrong_type"), (b"{" * 9999, "bad_body")],
)
def test_rubbish_of_a_traccar_client_is_kept_and_200_so_that_it_blocks_nothing(
    daemon: Daemon, body: bytes, reason: str
) -> None:
    assert traccar(daemon, body).status == 200
    assert daemon.api().metric("callwatch_quarantine_total", source="traccar", reason=reason) == 1
    kept = b"".join(path.read_bytes() for path in (daemon.data / "quarantine").rglob("*") if path.is_file())
    assert kept


def test_a_traccar_body_over_a_mebibyte_is_200_and_its_beginning_is_kept(daemon: Daemon) -> None:
    assert traccar(daemon, b"x" * (2 << 20)).status == 200
    assert daemon.api().metric("callwatch_quarantine_total", source="traccar", reason="too_large") == 1


def test_a_faked_position_is_named_and_never_an_arrival(daemon: Daemon) -> None:
    for at in (in_s(-125), in_s(-1)):
        traccar(daemon, client_json(at, mock=True))
    assert arrived(daemon) is None
    assert daemon.api().metric("callwatch_checkins_total", source="traccar", outcome="mock_position") == 2


def test_a_care_worker_in_trouble_summons_a_person_within_seconds(tmp_path: Path, warm: WarmStart) -> None:
    with (
        Telephones() as phones,
        Daemon(tmp_path, phones=phones, overrides=by_day(), devices=(TRACCAR,), warm=warm) as daemon,
    ):
        daemon.api().people(service_user(), care_worker(devices=[TRACCAR]), staff())
        sos = client_json(alarm="sos", coords={"latitude": "?"})
        assert traccar(daemon, sos).status == 200
        assert traccar(daemon, sos).status == 200
        (alert,) = daemon.api().alerts(kind="help_asked")
        assert (alert["state"], alert["reason"], alert["visit"]) == ("open", "sos", None)
        assert "HELP asked by Davina cw-1" in phones.text(OFFICE)["body"]
        phones.do(phones.ringing(OFFICE), "hangup")
        assert daemon.api().metric("callwatch_checkins_total", source="traccar", outcome="help_asked") == 1
        assert phones.texts(DAVE) == []


# --- a Traccar server that forwards ---


def server(daemon: Daemon, body: Any) -> None:
    """The desk's feed credential, as the header that the server was given."""
    assert daemon.api("intake").call("POST", "/traccar", body).status == 200


def test_entering_and_leaving_a_geofence_are_an_arrival_and_a_departure(daemon: Daemon) -> None:
    server(daemon, geofence_event("geofenceEnter", at=in_s(-60)))
    assert arrived(daemon) == "cw-1"
    # the fix that crosses the edge lies outside: the server's decision counts
    server(daemon, geofence_event("geofenceExit", latitude=51.4071))
    (left,) = of_kind(daemon.api().facts(), "DepartureRecorded")
    assert json.loads(left["body"])["worker"] is not None


def test_the_first_fix_inside_a_geofence_comes_without_enter_and_the_second_makes_the_arrival(
    daemon: Daemon,
) -> None:
    server(daemon, [forward(at=in_s(-130), geofenceIds=[7]), forward(at=in_s(-5), geofenceIds=[7])])
    assert arrived(daemon) == "cw-1"


def test_a_feed_speaks_for_the_devices_of_its_desk_and_for_no_other(tmp_path: Path, warm: WarmStart) -> None:
    other = {"id": "other", "kind": "provider", "name": "Other Care"}
    with Daemon(tmp_path, overrides=by_day(), desks=[other], warm=warm) as daemon:
        daemon.api(desk="other").people(care_worker(devices=[TRACCAR]))
        server(daemon, forward())
        assert daemon.api().metric("callwatch_quarantine_total", source="traccar", reason="identity") == 1
        server(daemon, forward("nobody"))
        unknown = {"source": "traccar", "outcome": "unknown_device"}
        assert daemon.api().metric("callwatch_checkins_total", desk=DESK, **unknown) == 2


def test_a_pool_car_is_whose_card_it_has_read(daemon: Daemon) -> None:
    daemon.api().rota(visit("v-2", in_s(60), workers=["cw-2"], service_user="su-2"))
    where = {"latitude": NEXT_DOOR["lat"], "longitude": NEXT_DOOR["lon"]}
    attributes = {"driverUniqueId": "card-7"}
    message = forward("car-1", at=in_s(-130), attributes=attributes, **where)
    event = {"type": "driverChanged", "eventTime": message["position"]["fixTime"], "attributes": attributes}
    server(daemon, message | {"event": event})
    server(daemon, forward("car-1", at=in_s(-2), attributes=attributes, **where))
    assert arrived(daemon, "v-2") == "cw-2"


def test_a_card_cannot_speak_for_another_from_a_phone_that_somebody_carries(daemon: Daemon) -> None:
    daemon.api().rota(visit("v-2", in_s(60), workers=["cw-2"], service_user="su-2"))
    query = {"id": "8612", "lat": NEXT_DOOR["lat"], "lon": NEXT_DOOR["lon"], "driverUniqueId": "card-7"}
    for at in (in_s(-130), in_s(-2)):
        traccar(daemon, None, urlencode(query | {"timestamp": int(at.timestamp())}))
    assert arrived(daemon, "v-2") == "cw-1"


# --- tags ---


@pytest.mark.parametrize(
    "spelled", ["tag:04a2b1c3", "04A2B1C3", "04:a2:b1:c3", "TAG:04-A2-B1-C3", "tag:04:A2:B1:C3"]
)
def test_a_tag_is_found_however_its_reader_spells_it(daemon: Daemon, spelled: str) -> None:
    result = daemon.api("intake").checkin(id="c-1", kind="arrive", worker="cw-1", tag=spelled, at=rfc(now()))
    assert (result["outcome"], result["visit"]) == ("arrived", "v-1")


def test_a_tag_that_hangs_nowhere_is_no_arrival(daemon: Daemon) -> None:
    result = daemon.api("intake").checkin(
        id="c-1", kind="arrive", worker="cw-1", tag="04a2b1c4", at=rfc(now())
    )
    assert (result["outcome"], arrived(daemon)) == ("unknown_person", None)


def location(**more: Any) -> dict[str, Any]:
    one = {"_type": "location", "tst": int(now().timestamp()), "acc": 10, "t": "u", "tid": "17", **HOME}
    return one | more


@pytest.mark.parametrize("field", ["tag", "poi"])
def test_a_tag_in_owntracks_is_an_arrival_at_once(daemon: Daemon, field: str) -> None:
    api = daemon.api(device=OWNTRACKS)
    assert api.call("POST", "/owntracks", location(**{field: "04:a2:b1:c3"})).status == 200
    assert arrived(daemon) == "cw-1"


def test_a_tag_in_owntracks_far_from_its_home_is_only_a_word_that_stayed(daemon: Daemon) -> None:
    api = daemon.api(device=OWNTRACKS)
    api.call("POST", "/owntracks", location(tag="tag:04a2b1c3", **OFF))
    assert arrived(daemon) is None


def test_a_tag_that_stayed_is_no_arrival_at_a_home_without_a_position_and_a_poi_is(daemon: Daemon) -> None:
    daemon.api().people(service_user(devices=["tag:04:A2:B1:C3"], homes=[]))
    api = daemon.api(device=OWNTRACKS)
    api.call("POST", "/owntracks", location(tag="tag:04a2b1c3", **OFF))
    assert arrived(daemon) is None
    api.call("POST", "/owntracks", location(tag="tag:04a2b1c3", poi="tag:04a2b1c3", _id="b", **OFF))
    assert arrived(daemon) == "cw-1"


@pytest.mark.parametrize("inside", ["inrids", "inregions"])
def test_a_tag_that_stayed_from_elsewhere_does_not_hide_the_region(daemon: Daemon, inside: str) -> None:
    api = daemon.api(device=OWNTRACKS)
    daemon.api().people(service_user("su-2", "+441632960102", homes=[NEXT_DOOR], devices=["tag:99A2B1C3"]))
    (command,) = api.call("POST", "/owntracks", location(**OFF)).body
    home = {one["desc"]: one for one in command["waypoints"]["waypoints"]}["su-1"]
    name = home["rid"] if inside == "inrids" else home["desc"]
    api.call("POST", "/owntracks", location(tag="99:a2:b1:c3", **{inside: [name]}))
    assert arrived(daemon) == "cw-1"


def published(broker: Mosquitto, topic: str, message: Any) -> None:
    """By Debian's own mosquitto_pub, at QoS 1."""
    words = ["mosquitto_pub", "-h", LOOPBACK, "-p", str(broker.port), "-q", "1", "-t", topic, "-s"]
    subprocess.run(words, input=json.dumps(message).encode(), check=True, timeout=20)


@pytest.mark.parametrize("way", ["ours", "owntracks"])
def test_a_tag_comes_in_over_the_broker(tmp_path: Path, warm: WarmStart, way: str) -> None:
    with (
        Mosquitto(tmp_path) as broker,
        Daemon(tmp_path, broker=broker, overrides=by_day(), warm=warm) as daemon,
    ):
        daemon.api().people(service_user(devices=["tag:04A2B1C3"]), care_worker(devices=[OWNTRACKS, OURS]))
        daemon.api().rota(visit("v-1", in_s(60)))
        if way == "ours":
            body = {"id": "c-1", "kind": "arrive", "at": rfc(now()), "tag": "04:a2:b1:c3"}
            published(broker, f"callwatch/{DESK}/phone-17/checkin", body)
        else:
            published(broker, "owntracks/u17/phone", location(poi="tag:04a2b1c3"))
        assert until_sync(lambda: arrived(daemon), what="the arrival") == "cw-1"


# --- OwnTracks with a shared key, and what OwnTracks phones are told ---

KEY = "a key of this desk"


def closed(message: Any, key: str = KEY) -> dict[str, Any]:
    """As the apps encrypt: by libsodium itself."""
    nonce = os.urandom(24)
    box = nonce + crypto_secretbox(json.dumps(message).encode(), nonce, key.encode().ljust(32, b"\0"))
    return {"_type": "encrypted", "data": base64.b64encode(box).decode()}


def open_box(message: dict[str, Any]) -> dict[str, Any]:
    box = base64.b64decode(message["data"])
    found = json.loads(crypto_secretbox_open(box[24:], box[:24], KEY.encode().ljust(32, b"\0")))
    assert isinstance(found, dict)
    return found


def with_key(tmp_path: Path) -> str:
    (tmp_path / "phones.key").write_text(KEY + "\n")
    return table("[owntracks.key]", {"file": "phones.key", "desk": DESK})


def staffed(daemon: Daemon, **more: Any) -> None:
    daemon.api().people(service_user(), care_worker(devices=[OWNTRACKS]), staff())
    daemon.api().rota(visit("v-1", in_s(60), **more))


def entering() -> dict[str, Any]:
    return {
        "_type": "transition",
        "event": "enter",
        "tst": int(now().timestamp()),
        "acc": 20,
        "t": "c",
        **HOME,
    }


def test_an_encrypted_phone_checks_in_over_http_and_is_answered_in_a_box(
    tmp_path: Path, warm: WarmStart
) -> None:
    keyed = {"tables": with_key(tmp_path), "devices": (OWNTRACKS,), "warm": warm}
    with Daemon(tmp_path, overrides=by_day(), **keyed) as daemon:
        staffed(daemon)
        phone = daemon.api(device=OWNTRACKS)
        (answer,) = phone.call("POST", "/owntracks", closed(entering())).body
        assert (answer["_type"], open_box(answer)["action"]) == ("encrypted", "setWaypoints")
        assert arrived(daemon) == "cw-1"
        assert phone.call("POST", "/owntracks", closed(entering(), "another key")).body == []
        assert daemon.api().metric("callwatch_quarantine_total", source="owntracks", reason="wrong_key") == 1
        assert KEY not in daemon.log


def test_an_encrypted_phone_without_a_key_of_ours_is_put_aside_and_200(daemon: Daemon) -> None:
    answer = daemon.api(device=OWNTRACKS).call("POST", "/owntracks", closed(entering()))
    assert (answer.status, answer.body) == (200, [])
    assert daemon.api().metric("callwatch_quarantine_total", source="owntracks", reason="no_key") == 1
    assert arrived(daemon) is None


def test_a_new_key_holds_after_a_sighup(tmp_path: Path, warm: WarmStart) -> None:
    keyed = {"tables": with_key(tmp_path), "devices": (OWNTRACKS,), "warm": warm}
    with Daemon(tmp_path, overrides=by_day(), **keyed) as daemon:
        staffed(daemon)
        (tmp_path / "phones.key").write_text("the next key")
        daemon.send(signal.SIGHUP)
        phone = daemon.api(device=OWNTRACKS)

        def opened() -> bool:
            phone.call("POST", "/owntracks", closed(entering(), "the next key"))
            return arrived(daemon) == "cw-1"

        until_sync(opened, what="the new key opens")


class Listener:
    """A phone that listens at its own topic, as OwnTracks does (QoS 1, a session that lasts)."""

    def __init__(self, client: paho.Client) -> None:
        self.commands: list[dict[str, Any]] = []
        ready: list[int] = []
        client.on_message = lambda _client, _userdata, message: self.commands.append(
            json.loads(message.payload)
        )
        client.on_subscribe = lambda *_: ready.append(1)
        client.subscribe("owntracks/u17/phone/cmd", 1)
        until_sync(lambda: ready, what="subscribed")

    def heard(self, count: int = 1) -> dict[str, Any]:
        """The `count`-th command, once it is there."""
        until_sync(lambda: len(self.commands) >= count, 20, what=f"command {count}")
        return self.commands[count - 1]


@contextmanager
def shipped(tmp_path: Path, warm: WarmStart, **more: Any) -> Iterator[tuple[Daemon, paho.Client, Listener]]:
    """The shipped broker with its access rules, the daemon, and one phone under its own name."""
    (tmp_path / "mqtt.secret").write_text("a")
    names = {"callwatch": "a", "u17": "b", "u18": "c"}
    signs_in = {"username": "callwatch", "password_file": "mqtt.secret"}
    with (
        Mosquitto(tmp_path, passwords=names) as broker,
        Daemon(tmp_path, broker=broker, mqtt=signs_in, warm=warm, **more) as daemon,
        phone(broker, name="u17", password="b") as client,
    ):
        yield daemon, client, Listener(client)


def test_a_phone_is_told_the_homes_of_its_day_and_its_region_finds_the_visit(
    tmp_path: Path, warm: WarmStart
) -> None:
    with shipped(tmp_path, warm, overrides=by_day()) as (daemon, client, listener):
        staffed(daemon)
        topic = "owntracks/u17/phone"
        publish(client, [(topic, json.dumps(location(**OFF)).encode())])
        command = listener.heard()
        assert (command["_type"], command["action"]) == ("cmd", "setWaypoints")
        (home,) = command["waypoints"]["waypoints"]
        assert (home["desc"], home["lat"], home["lon"], home["rad"]) == ("su-1", HOME["lat"], HOME["lon"], 80)
        assert "Edna" not in json.dumps(command)
        # Android sends no description and, where it has no fix, no position: the region alone says whose home it is
        known = {"_type": "transition", "event": "enter", "tst": int(now().timestamp()), "wtst": home["tst"]}
        publish(client, [(f"{topic}/event", json.dumps(known).encode())])
        until_sync(lambda: arrived(daemon) == "cw-1", what="the arrival")
        # what we say at the phone's topic comes back to us, and says nothing
        assert daemon.api().metric("callwatch_quarantine_total") == 0


@pytest.mark.parametrize("claims", [{"desc": "My own house"}, {"rid": "6da9cf"}, {"wtst": 1774000000}])
def test_a_region_that_nobody_knows_and_no_position_is_an_arrival_nowhere(
    daemon: Daemon, claims: dict[str, Any]
) -> None:
    message = {"_type": "transition", "event": "enter", "tst": int(now().timestamp())} | claims
    assert daemon.api(device=OWNTRACKS).call("POST", "/owntracks", message).status == 200
    assert arrived(daemon) is None
    assert daemon.api().metric("callwatch_checkins_total", source="owntracks", outcome="unknown_person") == 1


@pytest.mark.parametrize("mark", ["rid", "wtst", "desc"])
def test_a_region_of_ours_is_known_by_each_of_its_marks(daemon: Daemon, mark: str) -> None:
    api = daemon.api(device=OWNTRACKS)
    (command,) = api.call("POST", "/owntracks", location(**OFF)).body
    home = {one["desc"]: one for one in command["waypoints"]["waypoints"]}["su-1"]
    named = {"rid": home["rid"], "wtst": home["tst"], "desc": home["desc"]}[mark]
    assert api.call("POST", "/owntracks", entering() | {"lat": None, "lon": None, mark: named}).body == []
    assert arrived(daemon) == "cw-1"


@pytest.mark.parametrize("inside", ["inrids", "inregions"])
def test_a_fix_inside_a_region_of_ours_is_the_arrival_whose_enter_was_lost(
    daemon: Daemon, inside: str
) -> None:
    api = daemon.api(device=OWNTRACKS)
    (command,) = api.call("POST", "/owntracks", location(**OFF)).body
    home = {one["desc"]: one for one in command["waypoints"]["waypoints"]}["su-1"]
    name = home["rid"] if inside == "inrids" else home["desc"]
    api.call("POST", "/owntracks", location(**{inside: [name]}))
    assert arrived(daemon) == "cw-1"


def test_a_late_care_worker_s_phone_is_asked_where_it_is(tmp_path: Path, warm: WarmStart) -> None:
    late = by_day() | {"late_after": "1s"}
    more = {"overrides": late, "tables": with_key(tmp_path)}
    with shipped(tmp_path, warm, **more) as (daemon, client, listener):
        daemon.api().people(service_user(), care_worker(devices=[OWNTRACKS]), staff())
        daemon.api().rota(visit("v-1", now()))
        daemon.api().alert("v-1")
        until_sync(
            lambda: [one for one in map(open_box, listener.commands) if one["action"] == "reportLocation"]
        )
        asked = [one for one in map(open_box, listener.commands) if one["action"] == "reportLocation"]
        assert asked == [{"_type": "cmd", "action": "reportLocation"}]
        publish(client, [("owntracks/u17/phone", json.dumps(closed(location(t="r"))).encode())])
        until_sync(
            lambda: daemon.api().metric("callwatch_checkins_total", source="owntracks", outcome="near") == 1
        )


def test_no_other_phone_hears_what_a_phone_is_told(tmp_path: Path, warm: WarmStart) -> None:
    with shipped(tmp_path, warm, overrides=by_day()) as (daemon, client, listener):
        port = int(daemon.config.read_text().split("mqtt://127.0.0.1:")[1].split('"')[0])
        words = [
            "mosquitto_sub",
            "-h",
            LOOPBACK,
            "-p",
            str(port),
            "-u",
            "u18",
            "-P",
            "c",
            "-t",
            "owntracks/#",
        ]
        with subprocess.Popen(
            [*words, "-t", "owntracks/u17/phone/cmd", "-W", "30"], stdout=subprocess.PIPE
        ) as other:
            staffed(daemon)
            publish(client, [("owntracks/u17/phone", json.dumps(location(**OFF)).encode())])
            listener.heard()
            publish(client, [("owntracks/u17/phone", json.dumps(location(**OFF)).encode())])
            other.terminate()
            heard, _ = other.communicate(timeout=10)
        assert heard == b""


# --- trust and positions, as they look from outside ---


def test_a_device_of_another_desk_is_refused_whole_and_counted(tmp_path: Path, warm: WarmStart) -> None:
    other = {"id": "other", "kind": "provider", "name": "Other Care"}
    with Daemon(tmp_path, overrides=by_day(), desks=[other], warm=warm) as daemon:
        daemon.api(desk="other").people(care_worker(devices=["tag:04A2B1C3"]))
        claim = {"people": [care_worker(), care_worker("cw-2", devices=["tag:04:a2:b1:c3"])]}
        answer = daemon.api().call("PUT", "./people", claim)
        assert (answer.status, answer.body["error"]["code"]) == (409, "device_taken")
        assert daemon.api().people(care_worker())["new"] == 1, "nothing of the upload was applied"
        assert daemon.api().metric("callwatch_quarantine_total", source="http", reason="identity") == 1


def test_positions_outside_a_planned_visit_never_reach_the_disk(daemon: Daemon) -> None:
    elsewhere = {"lat": 51.987654, "lon": 0.123456}
    api = daemon.api(device=OWNTRACKS)
    daemon.api().rota(visit("v-1", in_s(7200)))
    assert api.call("POST", "/owntracks", location(**elsewhere)).status == 200
    assert daemon.api().metric("callwatch_checkins_total", source="owntracks", outcome="off_shift") == 1
    assert daemon.stop() == 0
    kept = [path.read_bytes() for path in daemon.data.rglob("*") if path.is_file()]
    assert kept
    assert not any(b"51.987654" in body for body in kept)
    assert "51.987654" not in daemon.log
