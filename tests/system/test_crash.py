"""SIGKILL at any moment: what was acknowledged is there, once; what was being said to somebody is said, once.

Real broker, real store, real processes. The moments are drawn from one printed seed.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from tests.system.broker import LOOPBACK, Mosquitto, phone
from tests.system.daemon import (
    EDNA,
    OFFICE,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    by_day,
    care_worker,
    chain_break,
    day_of,
    in_s,
    instant,
    now,
    of_kind,
    rfc,
    service_user,
    staff,
    visit,
)
from tests.waiting import until_sync

KILLS = 100
SEED = 20261122
STARTS_S = 0.2
"""About as long as a forked daemon takes to become ready."""
PER_S = 50
"""Check-ins a second over MQTT; over HTTP one follows the other."""
LATE = 12
"""Visits that nobody makes, one every two seconds: somebody is being rung while we are killed."""
KEEPS_ALL = "max_queued_messages 0\nmax_inflight_messages 5000"
TOPIC = "callwatch/bright/phone-1/checkin"


# --- 100 kills under load ---


class Load:
    """A hundred care workers with twenty visits each, who arrive and leave, one after the other, all day long."""

    WORKERS, ROUNDS = 100, 20

    def __init__(self, way: str, start: datetime) -> None:
        self.way, self.start = way, start

    def people(self) -> Iterator[dict[str, Any]]:
        for n in range(self.WORKERS):
            name = f"{self.way}-{n}"
            yield service_user(f"su-{name}", phones=[])
            yield care_worker(f"cw-{name}", phones=[], devices=[f"callwatch:{name}"])

    def rota(self) -> Iterator[dict[str, Any]]:
        for n in range(self.WORKERS):
            who = {"service_user": f"su-{self.way}-{n}", "workers": [f"cw-{self.way}-{n}"]}
            for turn in range(self.ROUNDS):
                yield visit(f"{self.way}-{n}-{turn}", self.start, minutes=120) | who

    def check_ins(self) -> Iterator[dict[str, Any]]:
        """What is said, in the order of the day, each when its turn has come."""
        for turn in range(self.ROUNDS):
            for kind in ("arrive", "leave"):
                for n in range(self.WORKERS):
                    yield told(kind, f"{self.way}-{n}-{turn}")


def told(kind: str, name: str) -> dict[str, Any]:
    """A check-in about a visit, happening now, by the care worker's own device."""
    body = {"id": f"{kind}.{name}", "kind": kind, "visit": name, "at": rfc(now())}
    return body | {"device": "callwatch:" + name.rpartition("-")[0]}


class Publishing(threading.Thread):
    """Sends a load in a thread of its own until it is told to stop, and remembers what was acknowledged."""

    def __init__(self, load: Load) -> None:
        super().__init__(name=load.way)
        self.acknowledged: set[str] = set()
        self.stopping = threading.Event()
        self._load, self._error = load, list[BaseException]()

    def run(self) -> None:
        try:
            self.send()
        except BaseException as error:
            self._error.append(error)

    def send(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        """Stopped, and its trouble, if it had any, is ours."""
        self.stopping.set()
        self.join(60)
        assert not self.is_alive()
        for error in self._error:
            raise error


class Phones(Publishing):
    """Phone apps behind the broker: QoS 1, some messages twice. Acknowledged: mosquitto's PUBACK has come."""

    def __init__(self, load: Load, broker: Mosquitto) -> None:
        super().__init__(load)
        self._broker = broker

    def send(self) -> None:
        with phone(self._broker, client_id="the-phones") as client:
            sent = []
            for body, info in self._publish(client):
                sent.append((body, info))
            for body, info in sent:
                info.wait_for_publish(30)
                assert info.is_published()
                self.acknowledged.add(body)

    def _publish(self, client: paho.Client) -> Iterator[tuple[str, paho.MQTTMessageInfo]]:
        dice = random.Random(SEED)
        for body in self._load.check_ins():
            topic = f"callwatch/bright/{body['device'].removeprefix('callwatch:')}/checkin"
            for _ in range(2 if dice.random() < 0.2 else 1):
                yield body["id"], client.publish(topic, json.dumps(body), 1)
            if self.stopping.wait(dice.expovariate(PER_S)):
                return


class Gateway(Publishing):
    """A vendor's feed over HTTP: one after the other, each until it is told 200."""

    def __init__(self, load: Load, api: Api) -> None:
        super().__init__(load)
        self.outcomes: Counter[str] = Counter()
        self._api = api

    def send(self) -> None:
        for body in self._load.check_ins():
            while not self._posted(body):
                if self.stopping.wait(0.02):
                    return
            if self.stopping.wait(0.005):
                return

    def _posted(self, body: dict[str, Any]) -> bool:
        try:
            answer = self._api.call("POST", "./checkins", body)
        except OSError:
            return False  # killed meanwhile: not acknowledged, to be sent again
        assert answer.status in (200, 503), answer
        if answer.status == 503:
            return False
        (result,) = answer.body["results"]
        assert result["stored"]
        self.outcomes[result["outcome"]] += 1
        self.acknowledged.add(body["id"])
        return True


def killed_at_random(daemon: Daemon, dice: random.Random) -> int:
    """KILLS times started and killed, a quarter of them while it starts; how many had become ready."""
    ready = 0
    for number in range(KILLS):
        if number % 4:
            daemon.start(watching=False)
            ready += 1
            time.sleep(dice.uniform(0, 0.7))  # not a wait for anything: the moment of the kill is the input
        else:
            daemon.launch()
            time.sleep(dice.uniform(0, STARTS_S))
        daemon.kill()
    return ready


def done(seen: dict[str, Any], kind: str) -> bool:
    """Whether a visit shows that the check-in counted."""
    (place,) = seen["places"]
    return bool(place["arrived"] if kind == "arrive" else place["left"])


@pytest.mark.timeout(400)
def test_a_hundred_kills_under_load_lose_nothing_acknowledged_and_record_nothing_twice(
    tmp_path: Path, warm: WarmStart
) -> None:
    start = in_s(900)
    over_mqtt, over_http = Load("m", start), Load("h", start)
    with (
        Mosquitto(tmp_path, options=KEEPS_ALL) as broker,
        Telephones() as telephones,
        Daemon(tmp_path, broker=broker, phones=telephones, warm=warm) as daemon,
    ):
        office = daemon.api()
        office.people(service_user(), staff(), *over_mqtt.people(), *over_http.people())
        late = [visit(f"late-{n}", in_s(6 + 2 * n), late_after="1s", workers=[]) for n in range(LATE)]
        assert office.rota(*over_mqtt.rota(), *over_http.rota(), *late)["watched"] == 4000 + LATE
        senders = Phones(over_mqtt, broker), Gateway(over_http, daemon.api("intake"))
        daemon.kill()
        for sender in senders:
            sender.start()
        began = time.monotonic()
        ready = killed_at_random(daemon, random.Random(SEED))
        took = time.monotonic() - began
        daemon.start()
        for sender in senders:
            sender.end()
        acknowledged = [len(sender.acknowledged) for sender in senders]
        print(f"seed {SEED}: {KILLS} kills in {took:.0f} s, {ready} when ready, acknowledged {acknowledged}")
        print(f"start: median {sorted(daemon.starts_s)[ready // 2]:.2f} s; HTTP {dict(senders[1].outcomes)}")
        assert acknowledged[0] > 500
        assert acknowledged[1] > 100
        until_sync(lambda: len(office.alerts(kind="late_visit")) == LATE, 40, what="every late visit alerts")
        names = senders[0].acknowledged | senders[1].acknowledged
        nothing_lost(office, names)
        nothing_twice(office)
        said_once(office, telephones)
        sent_again_is_a_repeat(office, names)
        assert chain_break(office.facts()) is None
        assert daemon.verify()["ok"]


def nothing_lost(office: Api, acknowledged: set[str]) -> None:
    def missing() -> list[str]:
        visits = office.visits()
        pairs = [name.split(".") for name in acknowledged]
        return [f"{kind}.{name}" for kind, name in pairs if not done(visits[name], kind)]

    # the last were published after the marker by which the daemon knew that it was drained
    until_sync(lambda: not missing(), 30, 0.5, what="every acknowledged check-in is on its visit")


def nothing_twice(office: Api) -> None:
    facts = office.facts()
    for kind in ("ArrivalRecorded", "DepartureRecorded"):
        counts = Counter(fact["subject"] for fact in of_kind(facts, kind))
        assert max(counts.values()) == 1, kind
    recorded = Counter(
        (fact["subject"], json.loads(fact["body"])["check"]) for fact in of_kind(facts, "CheckInRecorded")
    )
    assert max(recorded.values()) == 1
    raised = Counter(
        json.loads(fact["body"])["visit"] for fact in of_kind(facts, "AlertRaised", kind="late_visit")
    )
    assert sorted(raised.values()) == [1] * LATE


def said_once(office: Api, telephones: Telephones) -> None:
    """Every text that was attempted is at the provider, and more than once only where it says so."""
    contacts = [one for alert in office.alerts() for one in alert["contacts"] if one["channel"] == "sms"]
    sent = [one for one in contacts if one["attempted_at"] is not None]
    repeated = [one for one in sent if one["possibly_repeated"]]
    # not by the words: two visits to one person at the same hour are reported in the same ones
    copies = Counter(text["reports_to"] for text in telephones.texts(OFFICE))
    print(f"texts: {len(sent)} contacts, {copies.total()} at the provider, {len(repeated)} marked")
    assert len(copies) >= LATE
    assert copies.total() - len(copies) <= len(repeated)


def sent_again_is_a_repeat(office: Api, acknowledged: set[str]) -> None:
    seq = office.facts()[-1]["seq"]
    names = sorted(name.split(".") for name in acknowledged)
    for at in range(0, len(names), 500):
        bodies = [told(kind, name) for kind, name in names[at : at + 500]]
        results = office.post("./checkins", bodies)["results"]
        assert Counter(result["outcome"] for result in results) == {"duplicate": len(bodies)}
    assert of_kind(office.facts(seq), "CheckInRecorded") == []


# --- killed while something was being said ---


def code(text: str, meaning: str) -> str:
    """The digits that a text asks for, before these words."""
    found = re.search(rf"(\d+) {meaning}", text)
    assert found is not None, text
    return found[1]


def the_summons(office: Api) -> dict[str, Any]:
    """The one text to the office, as the alert shows it."""
    (alert,) = office.alerts(kind="late_visit")
    (contact,) = [one for one in alert["contacts"] if one["purpose"] == "summon"]
    assert isinstance(contact, dict)
    return contact


def late_with_texts_alone(tmp_path: Path, telephones: Telephones) -> Daemon:
    """A daemon whose first words about a late visit are one text to the office and nothing else."""
    slow = {"late_after": "1s", "summon_call_after": "20m", "summon_next": "50m"} | by_day()
    return Daemon(tmp_path, phones=telephones, public="off", overrides=slow)


def taken_by_text(daemon: Daemon, telephones: Telephones, text: dict[str, Any]) -> None:
    """The office answers the text it has, and the alert is theirs: nothing more was needed."""
    telephones.reply(OFFICE, code(text["body"], "I have it"))
    alert = daemon.api().alert("v-1", state="taken")
    assert alert["taken_by"] == "st-1"
    assert the_summons(daemon.api())["proof"].startswith("reply:")


def test_killed_right_after_the_post_the_text_is_found_at_the_provider_and_not_sent_twice(
    tmp_path: Path, warm: WarmStart
) -> None:
    with Telephones() as telephones, late_with_texts_alone(tmp_path, telephones) as daemon:
        daemon.api().people(service_user(), care_worker(), staff())
        telephones.fault("timeout_after_send")
        telephones.fault("lose")  # no callback tells how it went: only the provider's list can
        daemon.api().rota(visit("v-1", now()))
        text = telephones.text(OFFICE)
        daemon.kill()
        telephones.mend()
        daemon.start()
        office = daemon.api()
        until_sync(lambda: of_kind(office.facts(), "MessageAccepted", found=True), what="it is found")
        attempted = of_kind(office.facts(), "MessageAttempted")
        assert len([fact for fact in attempted if fact["subject"] == the_summons(office)["key"]]) == 1
        assert the_summons(office)["possibly_repeated"] is False
        taken_by_text(daemon, telephones, text)
        sent = [one for one in telephones.texts(OFFICE) if one["direction"] == "outbound-api"]
        assert len(sent) == 1


def test_killed_right_after_the_post_of_a_call_the_service_user_is_not_rung_twice(tmp_path: Path) -> None:
    with (
        Telephones(speed=1) as telephones,
        Daemon(tmp_path, phones=telephones, duty=(), overrides={"late_after": "1s"}) as daemon,
    ):
        daemon.api().people(service_user(), care_worker(), staff())
        telephones.fault("timeout_after_send")
        daemon.api().rota(visit("v-1", now()))
        call = telephones.ringing(EDNA)
        daemon.kill()
        telephones.mend()
        daemon.start()
        office = daemon.api()
        until_sync(lambda: of_kind(office.facts(), "MessageAccepted", found=True), what="it is found")
        telephones.do(call, "answer")
        telephones.do(call, "press", digits="1")
        alert = office.alert("v-1")
        (contact,) = [one for one in alert["contacts"] if one["purpose"] == "reassure"]
        assert (contact["proof"], contact["possibly_repeated"]) == ("key:1", False)
        assert len(telephones.calls(EDNA)) == 1


@pytest.mark.parametrize("fault", ["refuse", "hang"])
def test_killed_before_the_provider_had_it_the_text_is_sent_after_the_restart(
    tmp_path: Path, fault: str
) -> None:
    with Telephones() as telephones, late_with_texts_alone(tmp_path, telephones) as daemon:
        daemon.api().people(service_user(), care_worker(), staff())
        telephones.fault(fault)
        daemon.api().rota(visit("v-1", now()))
        # a refusal that is not on disk yet is one that nobody knows of: only "hang" stops at the attempt
        known = "MessageDeferred" if fault == "refuse" else "MessageAttempted"
        until_sync(lambda: of_kind(daemon.api().facts(), known), what=f"{known} is on disk")
        daemon.kill()
        assert telephones.texts(OFFICE) == []
        telephones.mend()
        daemon.start()
        taken_by_text(daemon, telephones, telephones.text(OFFICE, timeout=40))
        sent = [one for one in telephones.texts(OFFICE) if one["direction"] == "outbound-api"]
        assert len(sent) == 1
        # refused is known; what was never answered may have been sent, and says so
        assert the_summons(daemon.api())["possibly_repeated"] is (fault == "hang")


# --- away for an hour ---

AN_HOUR_AGO = {
    "LD_PRELOAD": "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "FAKETIME": "-3600",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
}


def entered(at: datetime, lat: float, lon: float) -> str:
    """What OwnTracks on Android writes when it enters a region."""
    where = {"lat": lat, "lon": lon, "acc": 12, "tid": "u1", "t": "l", "rid": "6da9cf"}
    when = {
        "tst": int(at.timestamp()),
        "wtst": int(at.timestamp()) - 86400,
        "created_at": int(at.timestamp()),
    }
    return json.dumps({"_type": "transition", "event": "enter", "desc": "home"} | where | when)


def mosquitto_pub(broker: Mosquitto, topic: str, body: str) -> None:
    """As a shell script would: QoS 1, acknowledged by the broker when it returns."""
    words = ["mosquitto_pub", "-h", LOOPBACK, "-p", str(broker.port), "-q", "1", "-t", topic, "-m", body]
    subprocess.run(words, check=True, timeout=40)


def test_down_for_an_hour_over_ten_deadlines_only_the_two_missing_alert_at_once_with_their_lateness(
    tmp_path: Path,
) -> None:
    then = in_s(-3600)
    starts = [then + timedelta(minutes=n + 1) for n in range(10)]
    homes = [(51.40 + n / 100, 0.01) for n in range(10)]
    people = [
        service_user(f"su-{n}", EDNA[:-3] + f"{n:03}", homes=[{"lat": lat, "lon": lon, "radius_m": 80}])
        for n, (lat, lon) in enumerate(homes)
    ]
    workers = [care_worker(f"cw-{n}", phones=[], devices=[f"owntracks:u{n}/phone"]) for n in range(10)]
    with (
        Mosquitto(tmp_path, options=KEEPS_ALL) as broker,
        Telephones() as telephones,
        Daemon(tmp_path, broker=broker, phones=telephones, env=AN_HOUR_AGO, overrides=by_day()) as daemon,
    ):
        office = daemon.api()
        office.people(staff(), *people, *workers)
        planned = [
            visit(f"v-{n}", at, service_user=f"su-{n}", workers=[f"cw-{n}"], late_after="10m")
            for n, at in enumerate(starts)
        ]
        assert office.rota(*planned)["watched"] == 10
        daemon.kill()
        for n in range(8):  # in time: the last second counts
            arrived = starts[n] + timedelta(minutes=5)
            mosquitto_pub(broker, f"owntracks/u{n}/phone/event", entered(arrived, *homes[n]))
        daemon.env.clear()
        daemon.start()
        watching = now()
        missing = {name: office.alert(name) for name in ("v-8", "v-9")}
        for n, alert in ((8, missing["v-8"]), (9, missing["v-9"])):
            due = starts[n] + timedelta(minutes=10)
            assert abs((instant(alert["due_at"]) - due).total_seconds()) < 0.001
            late_s = (instant(alert["opened_at"]) - due).total_seconds()
            assert alert["lateness_s"] == pytest.approx(late_s, abs=0.01)
            assert 2400 < late_s < 3600
            assert (instant(alert["opened_at"]) - watching).total_seconds() < 1
        telephones.text(OFFICE)
        for n in (8, 9):
            telephones.ringing(EDNA[:-3] + f"{n:03}")
        assert {alert["visit"] for alert in office.alerts()} == {"v-8", "v-9"}
        seen = office.visits(day_of(starts[0])) | office.visits(day_of(starts[9]))
        assert [seen[f"v-{n}"]["stage"] for n in range(8)] == ["arrived"] * 8
        assert [len(telephones.calls(EDNA[:-3] + f"{n:03}")) for n in range(8)] == [0] * 8
        assert chain_break(office.facts()) is None
