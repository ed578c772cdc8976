"""One day seen from outside: a real broker, a real store, real telephones of the stand-in, the command as it is run."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.broker import LOOPBACK, Mosquitto, phone, publish
from tests.system.daemon import (
    DAVE,
    DESK,
    EDNA,
    OFFICE,
    ON_CALL,
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
    request,
    rfc,
    service_user,
    staff,
    visit,
)
from tests.waiting import until_sync

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
AN_HOUR_AGO = {"LD_PRELOAD": FAKETIME, "FAKETIME": "-3600", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
CHAIN = (
    {"person": "st-1", "role": "office", "hours": "otherwise"},
    {"person": "st-2", "role": "on_call", "hours": "otherwise"},
)
HOME = {"lat": 51.4060, "lon": 0.0157}


@pytest.fixture
def phones() -> Iterator[Telephones]:
    with Telephones() as one:
        yield one


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, options="max_queued_messages 0\nmax_inflight_messages 5000") as one:
        yield one


def quick(**more: Any) -> dict[str, Any]:
    """The policy of a day in which everything takes seconds."""
    return {"late_after": "2s", "summon_call_after": "1s", "summon_next": "4s"} | by_day() | more


def code(text: str, meaning: str) -> str:
    """The digits that a text asks for, before these words."""
    found = re.search(rf"(\d+) {meaning}", text)
    assert found is not None, text
    return found[1]


def contact(alert: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The one contact of an alert with these fields."""
    (found,) = [one for one in alert["contacts"] if fields.items() <= one.items()]
    assert isinstance(found, dict)
    return found


def track(alert: dict[str, Any], name: str) -> str:
    """Where a track stands."""
    (step,) = [one["step"] for one in alert["tracks"] if one["name"] == name]
    assert isinstance(step, str)
    return step


def stands(office: Api, name: str, step: str) -> dict[str, Any]:
    """The late visit's alert, once its track stands there."""

    def seen() -> dict[str, Any] | None:
        return next((one for one in office.alerts(kind="late_visit") if track(one, name) == step), None)

    found = until_sync(seen, 40, what=f"{name} is {step}")
    assert found is not None
    return found


# --- nobody came ---


def test_nobody_came_and_within_a_second_it_is_on_disk_and_the_telephones_ring(
    tmp_path: Path, phones: Telephones
) -> None:
    with Daemon(tmp_path, phones=phones, overrides=quick()) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        start = now()
        office.rota(visit("v-1", start))
        alert = office.alert("v-1")
        (raised,) = of_kind(office.facts(), "AlertRaised")
        assert instant(raised["due_at"]) - start == timedelta(seconds=2)
        assert 0 <= (instant(raised["at"]) - instant(raised["due_at"])).total_seconds() < 1
        assert (alert["kind"], alert["state"]) == ("late_visit", "open")
        assert office.visits(day_of(start))["v-1"]["stage"] == "late"
        text = phones.text(OFFICE)
        assert "LATE Edna" in text["body"]
        assert "Quillfeather" not in text["body"]
        phones.ringing(EDNA)
        assert phones.texts(EDNA) == []  # a landline gets voice only
        assert chain_break(office.facts()) is None


@pytest.mark.parametrize("digit", ["1", "2", "3"])
def test_a_key_of_the_service_user_is_contact_with_its_time(
    tmp_path: Path, phones: Telephones, warm: WarmStart, digit: str
) -> None:
    with Daemon(tmp_path, phones=phones, overrides=quick(), warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        office.rota(visit("v-1", now()))
        call = phones.ringing(EDNA)
        answered_at = now()
        phones.do(call, "answer")
        pressed = phones.do(call, "press", digits=digit)
        assert any("press 1" in line for line in pressed["script"])
        alert = stands(office, "reassure", "reached")
        said = contact(alert, purpose="reassure")
        assert (said["channel"], said["proof"]) == ("call", f"key:{digit}")
        (reached,) = of_kind(office.facts(), "PersonReached")
        assert abs((instant(reached["at"]) - answered_at).total_seconds()) < 5
        assert office.visits()["v-1"]["places"][0]["arrived"] is None  # whatever they say, it is no arrival
        # who wants to talk is rung back, and whoever says that the carer is there has the office ask the carer
        asked = "HELP" if digit == "2" else "says that the carer is there" if digit == "3" else ""
        if asked:
            until_sync(lambda: any(asked in text["body"] for text in phones.texts(OFFICE)), what=asked)


def test_a_text_of_the_service_user_is_contact(tmp_path: Path, phones: Telephones, warm: WarmStart) -> None:
    by_text = {"channels": ["text"]}
    mobile = [{"number": "+447700900111", "kind": "mobile"}]
    with Daemon(tmp_path, phones=phones, overrides=quick(), warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(phones=mobile, contact_plan=by_text), care_worker(), staff())
        office.rota(visit("v-1", now()))
        asked = phones.text("+447700900111")
        reply = code(asked["body"], "all right")
        phones.reply("+447700900111", reply)
        alert = office.alert("v-1")
        assert track(alert, "reassure") == "reached"
        assert contact(alert, purpose="reassure")["proof"] == f"reply:{reply}"
        assert alert["state"] == "open"  # somebody must still go


def test_voicemail_and_a_call_that_is_picked_up_without_a_key_are_no_contact(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    twice = quick(reassure_retry="1s", reassure_rounds=2, inform_after_rounds=2)
    with Daemon(tmp_path, phones=phones, overrides=twice, warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        office.rota(visit("v-1", now()))
        phones.do(phones.ringing(EDNA), "voicemail")
        second = phones.ringing(EDNA, 2, timeout=40)
        phones.do(second, "answer")
        phones.do(second, "hangup")

        alert = stands(office, "reassure", "not_reached")
        results = [one["result"] for one in alert["contacts"] if one["purpose"] == "reassure"]
        assert results == ["voicemail", "answered"]
        assert {one["proof"] for one in alert["contacts"]} == {None}
        assert of_kind(office.facts(), "PersonReached") == []


# --- who takes it ---


def test_a_summons_that_nobody_answers_goes_to_the_next_who_takes_it_with_two_keys(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, phones=phones, public="off", duty=CHAIN, overrides=quick(), warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff(), staff("st-2", ON_CALL))
        office.rota(visit("v-1", now()))
        phones.text(OFFICE)
        phones.do(phones.ringing(OFFICE), "no-answer")
        call = phones.ringing(ON_CALL, timeout=40)
        phones.do(call, "answer")
        phones.do(call, "press", digits="1")
        assert office.alert("v-1")["state"] == "open"  # awake is not yet taken
        phones.do(call, "press", digits="2")
        alert = office.alert("v-1", state="taken")
        assert alert["taken_by"] == "st-2"
        assert contact(alert, person="st-2", channel="call")["proof"] == "key:2"
        (taken,) = of_kind(office.facts(), "AlertTaken")
        assert taken["seq"]
        assert phones.calls(EDNA) == []  # public is off


def test_who_takes_it_by_text_is_thanked_and_the_arrival_stands_them_down(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, phones=phones, public="off", overrides=quick(), warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        office.rota(visit("v-1", now()))
        text = phones.text(OFFICE)
        phones.reply(OFFICE, code(text["body"], "I have it"))
        assert office.alert("v-1", state="taken")["taken_by"] == "st-1"
        assert "You have Edna" in phones.text(OFFICE, 2)["body"]
        feed = daemon.api("intake")
        result = feed.checkin(id="c-1", kind="arrive", visit="v-1", worker="cw-1", at=rfc(now()))
        assert (result["outcome"], result["visit"]) == ("arrived_late", "v-1")
        alert = office.alert("v-1", state="ended")
        assert alert["ended_reason"] == "arrived"
        assert "over." in phones.text(OFFICE, 3)["body"]
        assert office.visits()["v-1"]["verdicts"] == ["late"]


def test_what_staff_do_by_hand_is_recorded_and_the_second_is_told_who_was_first(
    tmp_path: Path, warm: WarmStart
) -> None:
    with Daemon(tmp_path, overrides=quick(), warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff(), staff("st-2", ON_CALL))
        office.rota(visit("v-1", now()))
        alert = office.alert("v-1")
        path = f"./alerts/{alert['id']}/actions"
        for nobody in ("ghost", "su-1", "cw-1"):
            refused = office.call("POST", path, {"action": "take", "by": nobody})
            assert (refused.status, refused.body["error"]["path"]) == (400, "by"), "only staff may take it on"
        assert office.alert("v-1")["state"] == "open"
        office.post(path, {"action": "take", "by": "st-1"})
        second = office.call("POST", path, {"action": "take", "by": "st-2"})
        assert second.status == 409
        assert "st-1" in json.dumps(second.body)
        office.post(path, {"action": "spoke_service_user", "by": "st-1", "note": "she is in the garden"})
        office.post(path, {"action": "spoke_care_worker", "by": "st-2"})
        office.post(path, {"action": "told_next_of_kin", "by": "st-1"})
        contacts = office.get(f"./alerts/{alert['id']}")["contacts"]
        by_hand = [c for c in contacts if c["channel"] in ("page", "person")]
        assert [(c["purpose"], c["channel"], c["person"], c["result"], c["proof"]) for c in by_hand] == [
            ("summon", "page", "st-1", "answered", "person:st-1"),
            ("reassure", "person", "su-1", "answered", "person:st-1"),
            ("locate", "person", "cw-1", "answered", "person:st-2"),
            ("inform_next_of_kin", "person", None, "answered", "person:st-1"),
        ]
        assert len({c["key"] for c in contacts}) == len(contacts)
        office.post(path, {"action": "note", "by": "st-1", "note": "rang twice"})
        facts = office.facts()
        assert len(of_kind(facts, "ActionRecorded")) >= 3
        assert "garden" not in json.dumps(facts)
        assert track(office.get(f"./alerts/{alert['id']}"), "reassure") == "reached"
        office.post(path, {"action": "close", "by": "st-1", "reason": "outcome_recorded"})
        assert office.alert("v-1")["state"] == "ended"
        assert office.get("./alerts?open=true")["alerts"] == []


# --- check-ins ---


def test_a_device_speaks_for_who_carries_it_and_one_that_nobody_has_for_nobody(
    tmp_path: Path, warm: WarmStart
) -> None:
    with Daemon(tmp_path, devices=("callwatch:ph",), warm=warm) as daemon:
        office = daemon.api("intake")
        office.people(service_user(), care_worker(devices=["callwatch:ph"]), care_worker("cw-2"), staff())
        office.rota(visit("v-1", now()), visit("v-2", now(), workers=["cw-2"]))
        lost = {"id": "c1", "kind": "arrive", "device": "callwatch:lost", "visit": "v-1", "at": rfc(now())}
        assert office.checkin(**lost)["outcome"] == "unknown_device"
        unknown = {
            "id": "c2",
            "kind": "arrive",
            "device": "callwatch:ph",
            "visit": "gone",
            "service_user": "su-1",
        }
        assert office.checkin(**unknown, at=rfc(now()))["outcome"] in ("arrived", "arrived_early")
        claims = {"id": "c3", "kind": "arrive", "device": "callwatch:ph", "worker": "cw-2", "visit": "v-2"}
        assert office.checkin(**claims, at=rfc(now()))["outcome"] == "arrived"
        (place,) = daemon.api().visit("v-2")["places"]
        assert place["worker"] == "cw-1", "the phone is cw-1's, whatever its body claims"
        assert "other_worker" in daemon.api().visit("v-2")["verdicts"]


def test_one_id_for_two_visits_leaves_neither_unwatched(tmp_path: Path, warm: WarmStart) -> None:
    with Daemon(tmp_path, warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), staff())
        soon = now() + timedelta(hours=1)
        answer = office.rota(visit("dup", soon), visit("dup", soon + timedelta(hours=1)))
        assert answer["watched"] == 2
        assert "duplicate_id" in [problem["code"] for problem in answer["problems"]]
        assert len([name for name in office.visits() if name.startswith("dup")]) == 2


def entered(at: datetime, **more: Any) -> str:
    """What OwnTracks on Android writes when it enters a region."""
    when = {
        "tst": int(at.timestamp()),
        "wtst": int(at.timestamp()) - 86400,
        "created_at": int(at.timestamp()),
    }
    known = {"_type": "transition", "event": "enter", "desc": "Edna", "rid": "6da9cf", "t": "l", "tid": "ph"}
    return json.dumps(known | when | HOME | {"acc": 12} | more)


def fix(at: datetime, **more: Any) -> str:
    """What OwnTracks on iOS writes while it moves."""
    known = {"_type": "location", "acc": 9, "batt": 64, "bs": 1, "conn": "m", "tid": "ph", "vel": 0, "vac": 3}
    return json.dumps(known | HOME | {"tst": int(at.timestamp())} | more)


def mosquitto_pub(broker: Mosquitto, topic: str, body: str, *more: str) -> None:
    """As a shell script would: QoS 1, acknowledged by the broker when it returns."""
    words = ["mosquitto_pub", "-h", LOOPBACK, "-p", str(broker.port), "-q", "1", "-t", topic, "-m", body]
    subprocess.run([*words, *more], check=True, timeout=40)


def arrived(office: Api, name: str, day: str) -> dict[str, Any]:
    """The visit, once somebody is there."""

    def seen() -> dict[str, Any] | None:
        found = office.visits(day)[name]
        return found if found["stage"] == "arrived" else None

    found = until_sync(seen, what=f"somebody is at {name}")
    assert found is not None
    return found


@pytest.mark.parametrize("bodies", ["an enter", "two fixes"])
def test_an_owntracks_body_from_mosquitto_is_on_disk_and_then_acknowledged(
    tmp_path: Path, broker: Mosquitto, warm: WarmStart, bodies: str
) -> None:
    start = in_s(-240)
    with Daemon(tmp_path, broker=broker, warm=warm, overrides={"late_after": "30m"}) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(devices=["owntracks:u17/phone"]))
        office.rota(visit("v-1", start))
        first = start + timedelta(seconds=30)
        if bodies == "an enter":
            mosquitto_pub(broker, "owntracks/u17/phone/event", entered(first))
        else:
            mosquitto_pub(broker, "owntracks/u17/phone", fix(first))
            mosquitto_pub(broker, "owntracks/u17/phone", fix(first + timedelta(seconds=150)))
        place = arrived(office, "v-1", day_of(start))["places"][0]
        assert instant(place["arrived"]) == first.replace(microsecond=0)
        assert place["worker"] == "cw-1"
        facts = office.facts()
        assert len(of_kind(facts, "ArrivalRecorded")) == 1
        assert chain_break(facts) is None
        assert daemon.stop() == 0
        daemon.start()
        # it was acknowledged: the broker has nothing of it left, so nothing comes a second time
        assert (
            office.metric("callwatch_checkins_total", source="mqtt")
            + office.metric("callwatch_checkins_total", source="owntracks")
            == 0
        )
        assert len(of_kind(office.facts(), "ArrivalRecorded")) == 1


def test_a_repeat_is_a_duplicate_across_a_restart_and_the_receipt_says_so(
    tmp_path: Path, broker: Mosquitto, warm: WarmStart
) -> None:
    body = {"id": "c-1", "kind": "arrive", "visit": "v-1", "at": rfc(now()), "receipt": True}
    topic = f"callwatch/{DESK}/phone-1"
    receipts: list[dict[str, Any]] = []
    with (
        Daemon(tmp_path, broker=broker, warm=warm, devices=["callwatch:phone-1"]) as daemon,
        phone(broker, client_id="phone-1") as client,
    ):
        client.on_message = lambda _client, _userdata, message: receipts.append(json.loads(message.payload))
        client.subscribe(f"{topic}/receipt", 1)
        office = daemon.api()
        office.people(service_user(), care_worker(devices=["callwatch:phone-1"]))
        office.rota(visit("v-1", in_s(60)))
        publish(client, [(f"{topic}/checkin", json.dumps(body).encode())])
        until_sync(lambda: receipts, what="a receipt")
        assert (receipts[0]["id"], receipts[0]["outcome"], receipts[0]["visit"]) == ("c-1", "arrived", "v-1")
        assert office.facts(receipts[0]["seq"] - 1)[0]["kind"] == "CheckInRecorded"
        daemon.kill()
        daemon.start()
        publish(client, [(f"{topic}/checkin", json.dumps(body).encode())])
        until_sync(lambda: len(receipts) == 2, what="a second receipt")
        assert (receipts[1]["outcome"], receipts[1]["visit"]) == ("duplicate", "v-1")
        phone_1 = daemon.api(device="callwatch:phone-1")
        assert phone_1.checkin(**body)["outcome"] == "duplicate"
        assert len(of_kind(office.facts(), "ArrivalRecorded")) == 1


def test_a_double_handed_visit_wants_both(tmp_path: Path, phones: Telephones, warm: WarmStart) -> None:
    with Daemon(tmp_path, phones=phones, public="off", overrides=quick(), warm=warm) as daemon:
        office, feed = daemon.api(), daemon.api("intake")
        office.people(service_user(), care_worker(), care_worker("cw-2", "+447700900018"), staff())
        office.rota(visit("v-1", now(), workers=["cw-1", "cw-2"]))
        feed.checkin(id="c-1", kind="arrive", visit="v-1", worker="cw-1", at=rfc(now()))
        alert = office.alert("v-1")
        assert alert["kind"] == "second_worker_missing"
        assert "SECOND" in phones.text(OFFICE)["body"]
        feed.checkin(id="c-2", kind="arrive", visit="v-1", worker="cw-2", at=rfc(now()))
        assert office.alert("v-1")["state"] == "ended"
        places = office.visits()["v-1"]["places"]
        assert {place["worker"] for place in places} == {"cw-1", "cw-2"}
        assert all(place["arrived"] for place in places)


def test_nobody_opens_the_door_and_staff_are_summoned(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, phones=phones, warm=warm, overrides=by_day()) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        office.rota(visit("v-1", now()))
        feed = daemon.api("intake")
        result = feed.checkin(id="c-1", kind="no_reply", visit="v-1", worker="cw-1", at=rfc(now()))
        assert result["outcome"] == "no_reply"
        assert office.alert("v-1")["kind"] == "no_reply"
        assert "NO REPLY" in phones.text(OFFICE)["body"]
        # she is the one who does not open
        assert phones.calls(EDNA) == []


def test_a_missed_visit_stays_open_until_somebody_comes_after_all(tmp_path: Path, warm: WarmStart) -> None:
    with Daemon(tmp_path, overrides=quick(late_after="1s", missed_after="1s"), warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker())
        office.rota(visit("v-1", now(), minutes=1 / 30))
        until_sync(lambda: office.visits()["v-1"]["stage"] == "missed", what="the visit is missed")
        assert office.alert("v-1")["state"] == "open"
        feed = daemon.api("intake")
        late = feed.checkin(id="c-1", kind="arrive", visit="v-1", worker="cw-1", at=rfc(now()))
        assert late["outcome"] == "arrived_late"
        assert office.visits()["v-1"]["stage"] == "arrived"
        assert office.alert("v-1")["ended_reason"] == "arrived"


def test_who_arrived_and_never_left_is_looked_after(tmp_path: Path, phones: Telephones) -> None:
    then = in_s(-3600)
    with Daemon(
        tmp_path,
        phones=phones,
        env=AN_HOUR_AGO,
        overrides=by_day() | {"overrun_after": "5m", "locate_gives_up": "1s"},
    ) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        office.rota(visit("v-1", then, minutes=30))
        daemon.api("intake").checkin(id="c-1", kind="arrive", visit="v-1", worker="cw-1", at=rfc(then))
        daemon.kill()
        daemon.env.clear()
        daemon.start()
        assert "no check-out" in phones.text(DAVE)["body"]
        (asked,) = of_kind(office.facts(), "CheckOutAsked", step="texted")
        assert instant(asked["due_at"]) == then + timedelta(minutes=35)
        phones.do(phones.ringing(DAVE, timeout=40), "no-answer")
        assert office.alert("v-1")["kind"] == "lone_worker"
        assert "has not checked out" in phones.text(OFFICE)["body"]


# --- the rota ---


def tomorrow(name: str, hour: int) -> dict[str, Any]:
    start = (in_s(86_400)).replace(hour=hour, minute=0, second=0, microsecond=0)
    return visit(name, start)


def test_absence_cancels_nothing_unless_the_upload_is_complete_and_much_of_it_wants_a_word(
    tmp_path: Path, warm: WarmStart
) -> None:
    ten = [tomorrow(f"v-{n}", 8 + n) for n in range(10)]
    covers = {"from": rfc(in_s(3600 * 6)), "to": rfc(in_s(86_400 * 3))}
    with Daemon(tmp_path, warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker())
        assert office.rota(*ten)["new"] == 10
        assert office.rota(*ten[:1]) | {"problems": []} == {
            "new": 0,
            "changed": 0,
            "cancelled": 0,
            "unchanged": 1,
            "watched": 1,
            "problems": [],
        }
        day = day_of(instant(ten[0]["start"]))
        assert office.rota(*ten[:9], complete=True, covers=covers)["cancelled"] == 1
        assert office.visits(day)["v-9"]["stage"] == "cancelled"
        seq = office.facts()[-1]["seq"]
        body = {"visits": ten[:4], "complete": True, "covers": covers}
        refused = office.call("PUT", "./rota", body)
        assert (refused.status, refused.body["error"]["code"]) == (409, "confirm_needed")
        assert all(f"v-{n}" in json.dumps(refused.body) for n in range(4, 9))
        assert office.facts(seq) == []
        assert office.put("./rota", body | {"confirm": True})["cancelled"] == 5
        stages = {name: one["stage"] for name, one in office.visits(day).items()}
        assert sorted(name for name, stage in stages.items() if stage == "planned") == [
            f"v-{n}" for n in range(4)
        ]


def test_rows_that_cannot_be_watched_are_named_counted_and_told_until_they_are_mended(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, phones=phones, warm=warm, overrides=by_day()) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        good, bad = tomorrow("v-1", 9), {"id": "v-2", "start": rfc(in_s(90_000))}
        answer = office.rota(good, bad)
        assert answer["watched"] == 1
        errors = [(p["visit"], p["code"]) for p in answer["problems"] if p["severity"] == "error"]
        assert errors == [("v-2", "no_person")]
        assert "NOT WATCHED" in phones.text(OFFICE)["body"]
        assert office.metric("callwatch_alerts_open", kind="rota") == 1
        office.rota(good, tomorrow("v-2", 11))
        assert office.alerts(kind="rota")[0]["state"] == "ended"
        assert office.metric("callwatch_alerts_open", kind="rota") == 0


# --- what nobody should send ---

SECRETS = (
    "Edna",
    "Quillfeather",
    "Davina",
    "Thistlewood",
    "Orla",
    "Pennyfarthing",
    "51.406",
    "0.0157",
    "51.9",
)
NUMBERS = tuple(number.removeprefix("+44") for number in (EDNA, DAVE, OFFICE))

DEEP = b"[" * 200_000 + b"]" * 200_000
GARBAGE: dict[str, bytes] = {
    "no text": bytes(range(256)) * 8,
    "nothing": b"",
    "half of it": b'{"id":"c-1","kind":"arri',
    "deep": DEEP,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "10 MB": b'{"id":"' + b"Edna Quillfeather " * 600_000 + b'"}',
    "a number": b"1" * 5000,
    "nul": b"null",
    "wrong types": b'{"id":{"Edna":1},"kind":["arrive"],"at":51.406,"lat":"north","lon":{}}',
    "not a number": b'{"id":"c-1","kind":"arrive","at":"2026-01-01T00:00:00Z","lat":NaN,"lon":Infinity}',
    "a year without end": b'{"id":"c-1","kind":"arrive","at":"99999-01-01T00:00:00Z"}',
    "surrogates": b'{"id":"\\ud800","kind":"arrive","at":"2026-01-01T00:00:00Z","worker":"\\ud800"}',
    "another's device": b'{"id":"c-1","kind":"arrive","at":"2026-01-01T00:00:00Z","device":"callwatch:phone-2"}',
}
TOPICS = (
    f"callwatch/{DESK}/phone-1/checkin",
    f"callwatch/{DESK}/phone-99/checkin",
    "callwatch/nowhere/phone-1/checkin",
    f"callwatch/{DESK}/phone-1/checkin/more",
    "owntracks/u17/phone",
    "owntracks/u17/phone/event",
    "owntracks/nobody/phone",
    "owntracks/u17",
)


def storm_over_mqtt(broker: Mosquitto, stop: threading.Event) -> None:
    """Every body on every topic, round after round."""
    with phone(broker, client_id="the-storm") as client:
        while not stop.is_set():
            for topic in TOPICS:
                bodies = [body for body in GARBAGE.values() if len(body) < 1_000_000]
                publish(client, [(topic, body) for body in bodies])
                if stop.wait(0.01):
                    break
        publish(client, [(TOPICS[0], GARBAGE["10 MB"]), (TOPICS[4], GARBAGE["10 MB"])])


def storm_over_http(daemon: Daemon, stop: threading.Event, seen: list[tuple[str, str, int]]) -> None:
    """Every body to every route that takes one, each with the right credential."""
    routes = {
        ("PUT", "./people"): daemon.api("intake"),
        ("PUT", "./rota"): daemon.api("intake"),
        ("POST", "./checkins"): daemon.api(device="callwatch:phone-1"),
        ("POST", "/owntracks"): daemon.api(device="owntracks:u17/phone"),
        ("POST", "./alerts/nothing/actions"): daemon.api(),
    }
    for (method, path), api in routes.items():
        for name, body in GARBAGE.items():
            if stop.is_set():
                return
            try:
                seen.append((path, name, api.call(method, path, body).status))
            except OSError:
                seen.append((path, name, 0))  # a body that is too large may be refused by hanging up


FORGED = [
    ("PUT", "/v1/desks/nowhere/rota", "office", 404),
    ("POST", "/v1/desks/nowhere/checkins", "office", 404),
    ("GET", "/v1/desks/other/facts", "office", 403),
    ("PUT", "./rota", "auditor", 403),
    ("POST", "./checkins", "operator", 403),
]


UNSIGNED = ("/twilio/sms", "/twilio/voice", "/twilio/voice/some-key", "/twilio/status/some-key")


def test_a_storm_of_bad_input_stops_nothing_silences_nobody_and_tells_nobodys_name(
    tmp_path: Path, broker: Mosquitto, phones: Telephones, warm: WarmStart
) -> None:
    devices = ["callwatch:phone-1", "callwatch:phone-2", "owntracks:u17/phone"]
    other = {"id": "other", "kind": "provider", "name": "Other Care"}
    with Daemon(
        tmp_path, broker=broker, phones=phones, devices=devices, overrides=quick(), warm=warm, desks=[other]
    ) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(devices=devices), staff())
        stop, seen = threading.Event(), list[tuple[str, str, int]]()
        storms = [
            threading.Thread(target=storm_over_mqtt, args=(broker, stop)),
            threading.Thread(target=storm_over_http, args=(daemon, stop, seen)),
        ]
        for storm in storms:
            storm.start()
        try:
            start = in_s(1)
            office.rota(visit("v-1", start))
            truncated = json.dumps({"visits": [visit("v-1", in_s(7200))], "complete": True}).encode()[:-20]
            assert daemon.api("intake").call("PUT", "./rota", truncated).status == 400
            alert = office.alert("v-1", timeout=40)
            assert alert["lateness_s"] < 1
            phones.ringing(EDNA, timeout=40)
            phones.text(OFFICE, timeout=40)
            for method, path, role, status in FORGED:
                assert daemon.api(role).call(method, path, {"visits": []}).status == status, (path, role)
            assert request(daemon.port, "GET", "/v1/desks/bright/facts").status == 401
            for path in UNSIGNED:
                assert request(daemon.port, "POST", path, b"From=x&To=y&Body=STOP").status == 403, path
            storms[1].join(60)
        finally:
            stop.set()
            for storm in storms:
                storm.join(60)
        assert daemon.running
        until_sync(lambda: office.metric("callwatch_quarantine_total", reason="too_large") >= 2, 20)
        refused_all(seen)
        counted(office)
        # another's identity: the topic's device counts, the body's claim is put aside
        assert office.visits(day_of(start))["v-1"]["stage"] == "late"
        still_heard(daemon, broker)
        assert chain_break(office.facts()) is None
        assert all(json.loads(line)["level"] for line in daemon.log.splitlines())
        tells_nobody(daemon.log)
        tells_nobody(office.call("GET", "/metrics").body, office.call("GET", "/healthz").body)


def test_poison_that_waits_in_the_broker_holds_up_no_arrival_behind_it_and_does_not_come_back(
    tmp_path: Path, broker: Mosquitto, warm: WarmStart
) -> None:
    with Daemon(tmp_path, broker=broker, overrides={"late_after": "2s"}, warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(devices=["callwatch:phone-1"]))
        start = in_s(1)
        office.rota(visit("v-1", start))
        daemon.kill()
        until_sync(lambda: now() > start, what="the visit begins")
        body = {"id": "honest", "kind": "arrive", "visit": "v-1", "at": rfc(now())}
        with phone(broker, client_id="the-storm") as client:
            publish(client, [(topic, poison) for topic in TOPICS for poison in GARBAGE.values()])
            publish(client, [(TOPICS[0], json.dumps(body).encode())])
        until_sync(lambda: now() > start + timedelta(seconds=3), what="the visit would be late")
        daemon.start()
        assert office.visits(day_of(start))["v-1"]["stage"] == "arrived"
        assert office.alerts(kind="late_visit") == []

        seen: list[float] = []

        def all_looked_at() -> bool:
            seen.append(
                office.metric("callwatch_quarantine_total") + office.metric("callwatch_checkins_total")
            )
            # two topics have nobody behind them and are not subscribed to; then nothing comes for a second and a half
            return seen[-1] > 4 * len(GARBAGE) and seen[-75:] == seen[-1:] * 75

        until_sync(all_looked_at, what="all of it has been looked at")
        assert daemon.stop() == 0
        daemon.start()
        assert office.metric("callwatch_quarantine_total") == 0
        assert office.visits(day_of(start))["v-1"]["stage"] == "arrived"


MANY = {
    ("PUT", "./people"): b'{"people":[' + b"1," * 1_000_000 + b"1]}",
    ("PUT", "./rota"): b'{"visits":[' + b"{}," * 1_000_000 + b"{}]}",
    ("POST", "./checkins"): b"[" + b"1," * 400_000 + b"1]",
}


@pytest.mark.parametrize("route", MANY, ids=lambda route: route[1])
def test_a_million_empty_rows_are_refused_as_a_whole_and_the_alert_comes_in_time(
    tmp_path: Path, warm: WarmStart, route: tuple[str, str]
) -> None:
    with Daemon(tmp_path, overrides={"late_after": "1s"}, warm=warm) as daemon:
        office = daemon.api()
        office.people(service_user())
        office.rota(visit("v-1", now()))
        seq = office.facts()[-1]["seq"]
        answer = daemon.api("intake").call(*route, MANY[route])
        assert (answer.status, answer.body["error"]["code"]) == (413, "too_large")
        assert office.alert("v-1")["lateness_s"] < 1
        assert {fact["kind"] for fact in office.facts(seq)}.isdisjoint(
            {"RowRefused", "RotaAdopted", "PeopleChanged"}
        )


def refused_all(seen: list[tuple[str, str, int]]) -> None:
    """A clear 4xx for each; OwnTracks apps are answered 200, since they would repeat it for ever."""
    assert len(seen) == 5 * len(GARBAGE)
    for path, name, status in seen:
        wanted = (200,) if path == "/owntracks" else (400, 403, 404, 413)
        assert status in wanted or (status == 0 and name == "10 MB"), (path, name, status)


def counted(office: Api) -> None:
    for reason in ("bad_body", "too_deep", "wrong_type", "identity"):
        assert office.metric("callwatch_quarantine_total", reason=reason) > 0, reason
    assert office.metric("callwatch_quarantine_total", source="mqtt") > 0
    assert office.call("GET", "/healthz").status == 200
    assert office.call("GET", "/readyz").status == 200


def still_heard(daemon: Daemon, broker: Mosquitto) -> None:
    """After all that an honest arrival ends the alert."""
    body = {"id": "honest", "kind": "arrive", "visit": "v-1", "at": rfc(now())}
    mosquitto_pub(broker, TOPICS[0], json.dumps(body))
    daemon.api().alert("v-1", state="ended")


def tells_nobody(*texts: Any) -> None:
    for text in texts:
        # a second may look like a coordinate, and so may the sum of some
        said = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z|_seconds_sum(\{.*\})? [0-9.e-]+", "", str(text))
        for secret in (*SECRETS, *NUMBERS):
            assert secret not in said, f"{secret} is told"


# --- every route ---


def test_every_route_of_the_contract_answers_for_a_day(tmp_path: Path, warm: WarmStart) -> None:
    device = "owntracks:u17/phone"
    with Daemon(tmp_path, devices=[device], overrides=quick(), warm=warm) as daemon:
        office = daemon.api()
        assert office.people(service_user(), care_worker(devices=[device]), staff())["new"] == 3
        assert office.people(service_user())["unchanged"] == 1
        start = in_s(-60)
        assert office.rota(visit("v-1", start), visit("v-2", in_s(1800)))["watched"] == 2
        alert = office.alert("v-1")
        assert office.get(f"./alerts/{alert['id']}")["id"] == alert["id"]
        assert office.get("./alerts?open=true")["alerts"][0]["id"] == alert["id"]
        told: list[list[str]] = [["cmd"], []]
        for api in (daemon.api(device=device), daemon.api(device=device, user=device)):
            answer = api.call("POST", "/owntracks", entered(now()).encode())
            # an array: the first time with the homes of the day
            assert (answer.status, [one["_type"] for one in answer.body]) == (200, told.pop(0))
        key = daemon.api(device=device).secret
        assert request(daemon.port, "POST", f"/owntracks/{key}", fix(now()).encode()).status == 200
        assert office.alert("v-1", state="ended")["ended_reason"] == "arrived"
        feed = daemon.api("intake")
        several = [
            {"id": "c-1", "kind": "leave", "visit": "v-1", "worker": "cw-1", "at": rfc(now())},
            {"id": "c-2", "kind": "dance", "at": rfc(now())},
        ]
        left, bad = feed.post("./checkins", several)["results"]
        assert (left["stored"], left["outcome"]) == (True, "left_short")
        assert (bad["stored"], bad["id"], bad["error"]["path"]) == (False, "c-2", "kind")
        facts = office.get("./facts?after=0&wait=1s")
        assert facts["next"] == facts["facts"][-1]["seq"]
        quiet = office.get(f"./facts?after={facts['next']}")
        assert (quiet["facts"], quiet["next"]) == ([], facts["next"])
        assert office.get("/healthz")
        assert office.call("GET", "/readyz").status == 200
        assert office.metric("callwatch_journal_seq", desk=DESK) == facts["next"]
        assert office.metric("callwatch_degraded") == 0
        assert request(daemon.port, "GET", "/").headers["location"] == f"/board/{DESK}"
        assert request(daemon.port, "GET", f"/board/{DESK}").status == 200
        assert office.call("GET", "/v1/nothing").status == 404
