"""A care worker's telephone dies with six visits to go, through a real broker: by its last will, and by its silence."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from tests.system.broker import LOOPBACK, Mosquitto, phone, publish
from tests.system.daemon import (
    DAVE,
    DESK,
    OFFICE,
    Daemon,
    Telephones,
    WarmStart,
    by_day,
    care_worker,
    chain_break,
    in_s,
    now,
    of_kind,
    request,
    staff,
    visit,
)
from tests.system.test_free_number import FREE, World
from tests.system.test_storms import PATIENT, body, incident, number, people
from tests.waiting import until_sync

TOPIC, PHONE, OURS = "owntracks/u17/phone", "owntracks:u17/phone", "callwatch:phone-18"
BREATHING = PATIENT | {"position_kept": "6s", "late_after": "8s", "hold_public": "4s", "ring_public": "5s"}
"""A last will counts after one second, silence after six."""


@contextmanager
def office(
    tmp_path: Path, warm: WarmStart, **overrides: str
) -> Iterator[tuple[Daemon, Telephones, Mosquitto]]:
    """A desk whose care worker cw-1 has six visits to go, one of which is due."""
    with (
        Mosquitto(tmp_path) as broker,
        Telephones() as phones,
        Daemon(
            tmp_path,
            broker=broker,
            phones=phones,
            overrides=by_day() | BREATHING | overrides,
            checkin_numbers=[FREE],
            devices=(OURS,),
            warm=warm,
        ) as daemon,
    ):
        api = daemon.api()
        api.people(
            *people(6),
            care_worker(devices=[PHONE], pin="4711"),
            care_worker("cw-2", "+447700900018", devices=[OURS]),
            staff(),
        )
        yield daemon, phones, broker


def rota(daemon: Daemon, first: float = -1) -> None:
    daemon.api().rota(
        *[visit(f"v-{n}", in_s(first + 60 * (n - 1)), minutes=1, service_user=f"su-{n}") for n in range(1, 7)]
    )


def fix(mark: int, **more: Any) -> tuple[str, bytes]:
    """Where it is: on the road, far from every home."""
    where = {"lat": 50.9, "lon": 0.5, "acc": 10}
    one = {"_type": "location", "tst": int(now().timestamp()), "_id": f"f{mark}", **where}
    return TOPIC, json.dumps(one | more).encode()


def entering(person: int, at: datetime) -> tuple[str, bytes]:
    where = {"lat": 51.3 + person / 100, "lon": 0.0157, "acc": 10, "desc": f"su-{person}"}
    one = {"_type": "transition", "event": "enter", "tst": int(at.timestamp()), "_id": f"e{person}", **where}
    return f"{TOPIC}/event", json.dumps(one).encode()


def signals(daemon: Daemon) -> set[str]:
    return {str(daemon.api().visit(f"v-{n}")["signal"]) for n in range(2, 7)}  # type: ignore[index]


@contextmanager
def with_last_will(broker: Mosquitto) -> Iterator[paho.Client]:
    """A phone whose app has left its last will with the broker, as OwnTracks does."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "u17-phone", protocol=paho.MQTTv311)
    client.will_set(TOPIC, b'{"_type":"lwt"}', 1)
    client.connect(LOOPBACK, broker.port)
    client.loop_start()
    try:
        until_sync(client.is_connected, what="the phone is connected")
        yield client
    finally:
        client.loop_stop()


def dies(client: paho.Client) -> None:
    """The network is gone without a word."""
    client.loop_stop()
    wire = client.socket()
    assert wire is not None
    wire.shutdown(socket.SHUT_RDWR)


def is_told(daemon: Daemon, phones: Telephones) -> dict[str, Any]:
    """Staff of one incident with its round, the care worker how to check in."""
    found = incident(daemon.api(), state="open", reason="worker_dark")
    assert found["visits"] == [f"v-{n}" for n in range(1, 7)]
    assert "6 visits not known" in phones.text(OFFICE)["body"]
    assert "0808 157 0042".replace(" ", "") in phones.text(DAVE)["body"].replace(" ", "")
    assert signals(daemon) == {"dark:device"}
    assert len(daemon.api().alerts(kind="incident")) == 1
    page = str(request(daemon.port, "GET", f"/board/{DESK}/alerts/{found['id']}").body)
    assert page.count('<li class="unknown">') == 6
    return found


def test_a_phone_that_dies_with_six_visits_to_go_is_one_incident_and_what_it_kept_ends_it(
    tmp_path: Path, warm: WarmStart
) -> None:
    with office(tmp_path, warm) as (daemon, phones, broker):
        api = daemon.api()
        rota(daemon)
        came = now()
        with with_last_will(broker) as client:
            publish(client, [fix(1)])
            dies(client)
        found = is_told(daemon, phones)
        (late,) = until_sync(lambda: api.alerts(kind="late_visit"), what="the first one is late") or []
        assert late["incident"] == found["id"]
        phones.ringing(number(1), timeout=40)
        facts = api.facts()
        asked = next(f for f in of_kind(facts, "MessageIntended") if body(f)["purpose"] == "reassure")
        waited = datetime.fromisoformat(asked["at"]) - datetime.fromisoformat(late["opened_at"])
        assert waited.total_seconds() >= 4, "the service user only after hold_public"
        with phone(broker) as back:
            # what it kept comes first, then where it is now
            publish(back, [entering(1, came), fix(2)])
        until_sync(
            lambda: api.alerts(id=late["id"], ended_reason="late_evidence"), what="it was there in time"
        )
        until_sync(lambda: api.alerts(id=found["id"], state="ended"), what="it is over")
        assert signals(daemon) == {"known"}
        assert [body(f)["cause"] for f in of_kind(api.facts(), "SignalLost")] == ["device"]
        assert chain_break(api.facts()) is None


def test_a_phone_that_reported_and_falls_silent_is_dark_and_one_that_only_checked_in_is_not(
    tmp_path: Path, warm: WarmStart
) -> None:
    with office(tmp_path, warm, late_after="10m") as (daemon, phones, broker):
        api = daemon.api()
        rota(daemon)
        api.rota(visit("w-1", in_s(-30), minutes=1, workers=["cw-2"], service_user="su-1"))
        api.rota(visit("w-2", in_s(-2), minutes=5, workers=["cw-2"], service_user="su-2"))
        checkins = [
            {"id": "c-1", "kind": "arrive", "visit": "w-1", "at": in_s(-29).isoformat()},
            {"id": "c-2", "kind": "leave", "visit": "w-1", "at": now().isoformat()},
        ]
        topic = f"callwatch/{DESK}/phone-18/checkin"
        with phone(broker) as client, phone(broker) as other:
            publish(other, [(topic, json.dumps(one).encode()) for one in checkins])
            marks = iter(range(1, 1000))

            def reports() -> bool:
                publish(client, [fix(next(marks))])
                return bool(of_kind(api.facts(), "DeviceWatched"))

            until_sync(reports, what="it reports by itself")
            found = is_told(daemon, phones)
            lost = of_kind(api.facts(), "SignalLost")
            assert [body(fact)["cause"] for fact in lost] == ["device"], "the other one never reported"
            assert api.visit("w-2")["signal"] == "known"  # type: ignore[index]
            publish(client, [fix(1000)])
            until_sync(lambda: api.alerts(id=found["id"], state="ended"), what="it is heard again")
        assert api.alerts(kind="late_visit") == []


def test_a_care_worker_who_checks_in_by_telephone_is_known_again(tmp_path: Path, warm: WarmStart) -> None:
    with office(tmp_path, warm, late_after="10m") as (daemon, phones, broker):
        api = daemon.api()
        rota(daemon)
        with with_last_will(broker) as client:
            dies(client)
        found = is_told(daemon, phones)
        caller = World(daemon, phones)
        caller.keys(caller.rings(number(1)), "4711", "1")
        until_sync(lambda: api.alerts(id=found["id"], state="ended"), what="they are heard")
        assert signals(daemon) == {"known"}
