"""The disk is full, read-only, or somebody else's: what is heard, who is told what, and that it is all recorded after.

The one exception to "nothing leaves before it is on disk" (docs/architecture.md): summons to staff, which say so. A
real daemon on real disks in trouble; what a text says is looked for by its codes and its one promise, nobody else is
told.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from connectors.sqlite_files import DATABASE
from tests.system.broker import Mosquitto, phone, publish
from tests.system.daemon import (
    EDNA,
    OFFICE,
    ON_CALL,
    Answer,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    by_day,
    care_worker,
    chain_break,
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
from tests.system.disks import ext4, fill, tmpfs
from tests.system.stores import on_redis, server_of
from tests.system.wall_clock import WallClock
from tests.waiting import until_sync

PHONE_TOPIC = "callwatch/bright/phone-17/checkin"
TOLD_AFTER_S = 5
"""A store that does not answer for this long is told to staff."""


# --- disks that take no more, and then do ---


class Disk(NamedTuple):
    """Where the data lies, and how it comes into trouble and out of it."""

    data: Path
    breaks: Callable[[], object]
    mends: Callable[[], object]


@contextmanager
def full(folder: Path, size: str = "2m") -> Iterator[Disk]:
    """A small disk on which no byte is left.

    Somebody reads the database meanwhile: otherwise SQLite finds room of its own, in the log that it copies back.
    """
    with tmpfs(folder / "disk", size) as at, contextlib.ExitStack() as reading:

        def breaks() -> None:
            where = f"{(at / 'data' / DATABASE).as_uri()}?mode=ro"
            reader = reading.enter_context(contextlib.closing(sqlite3.connect(where, uri=True)))
            reader.execute("BEGIN").execute("SELECT count(*) FROM fact").fetchone()
            fill(at)

        def mends() -> None:
            reading.close()
            (at / "ballast").unlink()

        yield Disk(at / "data", breaks, mends)


@contextmanager
def read_only(folder: Path) -> Iterator[Disk]:
    """A disk that the kernel takes no more writes for, and that comes back repaired."""
    with ext4(folder) as disk:
        yield Disk(disk.at / "data", disk.turns_read_only, disk.comes_back)


HOLD = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
conn.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that holds the database, as a backup tool or a curious person with a shell would."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None

    def takes(self) -> None:
        """Held when it returns."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self._data / DATABASE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"held\n"

    def lets_go(self) -> None:
        """Free when it returns."""
        if self._process is not None:
            self._process.communicate(b"", timeout=40)
            self._process = None


@contextmanager
def locked(folder: Path) -> Iterator[Disk]:
    """A database that another process keeps for itself."""
    holder = Holder(folder / "data")
    try:
        yield Disk(folder / "data", holder.takes, holder.lets_go)
    finally:
        holder.lets_go()


@contextmanager
def out_of_memory(folder: Path, size: str = "") -> Iterator[Disk]:
    """A Redis that has reached its maxmemory, and throws nothing away; `size` is for disks."""
    server = server_of(folder / "data")
    yield Disk(folder / "data", lambda: server.set("maxmemory", "1"), lambda: server.set("maxmemory", "0"))


@contextmanager
def a_replica(folder: Path) -> Iterator[Disk]:
    """A Redis that was made the replica of another: it takes no writes."""
    server = server_of(folder / "data")

    def follows(host: str, port: str) -> None:
        assert server.ask("REPLICAOF", host, port) == b"+OK"

    yield Disk(folder / "data", lambda: follows("127.0.0.1", "1"), lambda: follows("NO", "ONE"))


@contextmanager
def killed(folder: Path) -> Iterator[Disk]:
    """A Redis that was killed, and is started again."""
    server = server_of(folder / "data")
    yield Disk(folder / "data", server.kill, lambda: server.running or server.start())


TROUBLES = {"full": full, "read-only": read_only, "locked": locked}
if on_redis():
    # the same stories, told of a server
    full, read_only, locked = out_of_memory, a_replica, killed
    TROUBLES = {"out-of-memory": full, "a-replica": read_only, "killed": locked}


@pytest.fixture(params=list(TROUBLES))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with TROUBLES[request.param](tmp_path) as disk:
        yield disk


@pytest.fixture
def phones() -> Iterator[Telephones]:
    with Telephones() as phones:
        yield phones


# --- what an outsider does and sees ---


def checked_in(daemon: Daemon, **fields: Any) -> Answer:
    """One check-in of a gateway, whatever is answered."""
    return daemon.api("intake").call("POST", "./checkins", {"kind": "arrive", "worker": "cw-1"} | fields)


def comes_into_trouble(daemon: Daemon, disk: Disk) -> None:
    """Break the disk, and let something in that must be written, until the daemon has noticed."""
    disk.breaks()
    numbers = iter(range(1000))

    def noticed() -> bool:
        name = f"stray-{next(numbers)}"
        return checked_in(daemon, id=name, visit="nobody's", at=rfc(now())).status == 503

    until_sync(noticed, 40, what="a check-in that cannot be stored")


def recovers(daemon: Daemon, disk: Disk) -> None:
    """Mend the disk, and wait until the daemon says that it is ready again."""
    disk.mends()
    daemon.wait_watching()


def about(text: Mapping[str, Any], person: str) -> bool:
    """Whether a text to staff is about this person; their id stands in it."""
    return f" {person}" in text["body"] and "Reply" in text["body"]


def summons(phones: Telephones, person: str = "su-1", timeout: float = 40.0) -> dict[str, Any]:
    """The text with which the office is summoned about this person."""
    return until_sync(
        lambda: next((text for text in phones.texts(OFFICE) if about(text, person)), {}),
        timeout,
        what="a summons",
    )


def warning(phones: Telephones) -> dict[str, Any]:
    """The text with which the office is asked to watch by hand: about nobody."""
    return until_sync(
        lambda: next(
            (text for text in phones.texts(OFFICE) if "Reply" in text["body"] and " su-" not in text["body"]),
            {},
        ),
        40,
        what="the warning",
    )


def code(text: Mapping[str, Any]) -> str:
    """The code with which it is taken."""
    found = re.search(r"Reply (\d\d) I have it", text["body"])
    assert found, text["body"]
    return found[1]


def takes(phones: Telephones, text: Mapping[str, Any]) -> str:
    """The office replies that it has it; the answer that comes back."""
    before = len(phones.texts(OFFICE))
    phones.reply(OFFICE, code(text))
    answers = until_sync(
        lambda: [one for one in phones.texts(OFFICE)[before:] if one["direction"] == "outbound-reply"],
        what="an answer",
    )
    return str(answers[0]["body"])


def nobody_else(text: str) -> bool:
    """The one promise: that the machine contacts nobody else, and nothing that says the opposite."""
    low = text.lower()
    promised = "nobody else" in low or "nothing else" in low
    return promised and not re.search(r"is being (rung|texted)|will be (rung|texted)", low)


def whole(office: Api) -> list[dict[str, Any]]:
    """All facts: an unbroken chain, in order."""
    facts = office.facts()
    assert chain_break(facts) is None
    assert [fact["at"] for fact in facts] == sorted(fact["at"] for fact in facts)
    return facts


def contacts(office: Api, visit: str, **fields: Any) -> list[dict[str, Any]]:
    """The contacts of the one alert of a visit whose fields are as given."""
    (alert,) = office.alerts(visit=visit)
    return [one for one in alert["contacts"] if fields.items() <= one.items()]


SLOW = {"late_after": "2s", "summon_call_after": "5m", "summon_next": "15m"} | by_day()
"""Texts only, so that a call is one that should not be."""


# --- the whole story, on every kind of trouble ---


def test_staff_are_summoned_and_told_the_truth_and_afterwards_everything_is_recorded_in_order(
    tmp_path: Path, disk: Disk, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(
        tmp_path, warm=warm, phones=phones, data=disk.data, overrides=SLOW | {"ack_expires": "1s"}
    ) as daemon:
        office = daemon.api()
        office.people(service_user(), service_user("su-2", "+441632960102"), care_worker(), staff())
        late_at = in_s(7)
        start = late_at - timedelta(seconds=2)
        office.rota(visit("came", start, service_user="su-2"), visit("nobody", start))
        comes_into_trouble(daemon, disk)
        broken_at = now()

        refused = checked_in(daemon, id="c-1", visit="came", at=rfc(now()))
        assert (refused.status, refused.body["error"]["code"]) == (503, "degraded")
        assert int(refused.headers["retry-after"]) >= 1
        assert checked_in(daemon, id="c-1", visit="came", at=rfc(now())).status == 503
        says_that_it_is_in_trouble(daemon)

        summoned = summons(phones)
        assert now() >= late_at
        assert nobody_else(summoned["body"]), summoned["body"]
        watch = warning(phones)
        assert now() >= broken_at + timedelta(seconds=TOLD_AFTER_S - 1)
        assert "nobody else" in watch["body"]
        for text in (summoned, watch):
            heard = takes(phones, text)
            assert "cannot be recorded" in heard
            assert "nobody else" in heard
        taken_at = now()
        assert phones.calls(EDNA) == []
        assert says_that_it_is_in_trouble(daemon)

        recovers(daemon, disk)
        says_that_all_is_well(daemon)
        again = checked_in(daemon, id="c-1", visit="came", at=rfc(now()))
        (result,) = again.body["results"]
        assert (result["outcome"], result["visit"], result["stored"]) == ("duplicate", "came", True)
        came = office.visit("came")
        assert came is not None
        assert (came["stage"], came["verdicts"], came["alert"]) == ("arrived", ["on_time"], None)

        facts = whole(office)
        assert daemon.verify()["ok"] is True
        raised = of_kind(facts, "AlertRaised")
        assert sorted(json.loads(fact["body"])["kind"] for fact in raised) == ["late_visit", "watch_fault"]
        was_taken_unrecorded(office, taken_at)
        is_told_that_it_is_over(office, phones)
        (summon, *more) = contacts(office, "nobody", purpose="summon")
        assert (summon["unrecorded_at_send"], summon["proof"]) == (True, f"reply:{code(summoned)}")
        assert more == []
        # what was held is not lost: now that it can be recorded she is rung, once
        until_sync(lambda: phones.calls(EDNA), 30, what="she is rung")
        assert contacts(office, "nobody", purpose="reassure")[0]["unrecorded_at_send"] is False
        assert (len(phones.calls(EDNA)), phones.calls(OFFICE)) == (1, [])
        assert daemon.stop() == 0


def says_that_it_is_in_trouble(daemon: Daemon) -> bool:
    """On every face: metric, readiness, health, board."""
    assert daemon.api().metric("callwatch_degraded") == 1
    assert request(daemon.port, "GET", "/readyz").status == 503
    health = request(daemon.port, "GET", "/healthz").body
    assert (health["status"], health["ready"]) == ("trouble", False)
    assert health["desks"]["bright"]["degraded"] in ("full", "read_only", "locked", "unreachable", "io")
    assert health["desks"]["bright"]["backlog"] > 0
    assert daemon.api().metric("callwatch_journal_waiting", desk="bright") > 0
    board = daemon.api().call("GET", "/board/bright")
    assert board.status == 200
    assert "cannot be written to disk" in board.body
    return True


def says_that_all_is_well(daemon: Daemon) -> None:
    """The same faces after it."""
    assert daemon.api().metric("callwatch_degraded") == 0
    health = request(daemon.port, "GET", "/healthz").body
    assert (health["status"], health["desks"]["bright"]["degraded"]) == ("ok", None)
    assert "cannot be written to disk" not in daemon.api().call("GET", "/board/bright").body


def was_taken_unrecorded(office: Api, taken_at: datetime) -> None:
    """Taken by who said so; asked again ten minutes after that, however short a taking lasts otherwise."""
    (alert,) = office.alerts(visit="nobody")
    assert (alert["state"], alert["taken_by"]) == ("taken", "st-1")
    (summon,) = [track for track in alert["tracks"] if track["name"] == "summon"]
    rest_s = (instant(summon["next_at"]) - instant(alert["taken_at"])).total_seconds()
    assert rest_s == 600
    assert abs((instant(alert["taken_at"]) - taken_at).total_seconds()) < 30


def is_told_that_it_is_over(office: Api, phones: Telephones) -> None:
    """The warning ends by itself, and who was warned hears of it."""
    (fault,) = office.alerts(kind="watch_fault")
    assert (fault["state"], fault["ended_reason"]) == ("ended", "outcome_recorded")
    over = until_sync(lambda: [text["body"] for text in phones.texts(OFFICE) if "over" in text["body"]])
    assert len(over) == 1
    assert "recorded again" in over[0]


# --- MQTT: connected, read, unacknowledged ---


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, options="log_type all") as broker:
        yield broker


class Wire:
    """What the broker's log says of our subscriber."""

    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker

    def handed_over(self) -> list[tuple[str, str]]:
        """Check-ins that the broker sent on: to which client, under which message id."""
        sent = rf"Sending PUBLISH to (\S+) \(d\d, q1, r0, m(\d+), '{PHONE_TOPIC}'"
        return re.findall(sent, self._broker.log.read_text())

    def acknowledged(self) -> int:
        """How many of them were acknowledged to it."""
        said = self._broker.log.read_text()
        return sum(
            f"Received PUBACK from {client} (Mid: {mid}," in said for client, mid in self.handed_over()
        )

    def connections(self) -> int:
        """How often our subscriber came."""
        return len(re.findall(r"New client connected from \S+ as callwatch", self._broker.log.read_text()))


def published(broker: Mosquitto, name: str, visit: str) -> None:
    """An arrival from a phone, with the broker when this returns."""
    body = {"id": name, "kind": "arrive", "visit": visit, "at": rfc(now())}
    with phone(broker) as client:
        publish(client, [(PHONE_TOPIC, json.dumps(body).encode())])


def cast(office: Api) -> None:
    """A service user, a care worker with a phone, the office."""
    office.people(service_user(), care_worker(devices=["callwatch:phone-17"]), staff())


def test_a_phones_arrival_is_applied_and_not_acknowledged_until_it_is_on_disk(
    tmp_path: Path, phones: Telephones, broker: Mosquitto, warm: WarmStart
) -> None:
    wire = Wire(broker)
    with (
        locked(tmp_path) as disk,
        Daemon(tmp_path, warm=warm, phones=phones, broker=broker, overrides=SLOW) as daemon,
    ):
        office = daemon.api()
        cast(office)
        start = in_s(3)
        office.rota(visit("came", start), visit("nobody", start))
        published(broker, "before", "nobody else's")
        until_sync(lambda: wire.acknowledged() == 1, what="what is on disk is acknowledged")
        comes_into_trouble(daemon, disk)
        published(broker, "m-1", "came")
        until_sync(lambda: len(wire.handed_over()) == 2, what="the arrival has been handed over")
        # the deadline of both passes: the one that nobody came to is heard of, and with it the other was looked at
        summons(phones)
        assert wire.acknowledged() == 1
        recovers(daemon, disk)
        until_sync(lambda: wire.acknowledged() == 2, what="now it is acknowledged")
        assert wire.connections() == 1
        assert [alert["visit"] for alert in office.alerts(kind="late_visit")] == ["nobody"]
        came = office.visit("came")
        assert came is not None
        assert (came["stage"], came["verdicts"]) == ("arrived", ["on_time"])
        whole(office)


def test_killed_while_the_disk_is_full_it_hears_from_the_broker_again_what_it_never_acknowledged(
    tmp_path: Path, phones: Telephones, broker: Mosquitto, warm: WarmStart
) -> None:
    wire = Wire(broker)
    with (
        full(tmp_path) as disk,
        Daemon(tmp_path, warm=warm, phones=phones, broker=broker, data=disk.data, overrides=SLOW) as daemon,
    ):
        office = daemon.api()
        cast(office)
        late_at = in_s(7)
        start = late_at - timedelta(seconds=2)
        office.rota(*(visit(name, start) for name in ("phoned", "posted", "nobody")))
        kept = office.facts()
        comes_into_trouble(daemon, disk)
        published(broker, "m-1", "phoned")
        until_sync(lambda: len(wire.handed_over()) == 1, what="the arrival has been handed over")
        posted = {"id": "h-1", "visit": "posted", "at": rfc(now())}
        assert checked_in(daemon, **posted).status == 503
        daemon.kill()
        disk.mends()
        daemon.start()
        phones.leads_to(daemon)
        # the gateway does what 503 asks of it
        (result,) = checked_in(daemon, **posted).body["results"]
        assert (result["outcome"], result["visit"]) == ("arrived", "posted")
        alert = office.alert("nobody")
        assert instant(alert["due_at"]) == late_at
        assert [alert["visit"] for alert in office.alerts(kind="late_visit")] == ["nobody"]
        facts = whole(office)
        assert facts[: len(kept)] == kept
        assert len(of_kind(facts, "ArrivalRecorded")) == 2


# --- a person who answers by telephone, and a disk that is soon well again ---


def test_who_takes_it_by_telephone_hears_that_it_cannot_be_recorded(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    hasty = SLOW | {"summon_call_after": "1s", "summon_next": "4m"}
    with locked(tmp_path) as disk, Daemon(tmp_path, warm=warm, phones=phones, overrides=hasty) as daemon:
        office = daemon.api()
        cast(office)
        late_at = in_s(2)
        office.rota(visit("nobody", late_at - timedelta(seconds=2)))
        comes_into_trouble(daemon, disk)
        summons(phones)
        call = phones.ringing(OFFICE)
        phones.do(call, "answer")
        told = phones.do(call, "press", digits="1")
        assert nobody_else(" ".join(told["script"])), told["script"]
        taken = " ".join(phones.do(call, "press", digits="2")["script"])
        assert "cannot be recorded" in taken
        assert phones.calls(EDNA) == []
        recovers(daemon, disk)
        alert = office.alert("nobody", state="taken")
        assert alert["taken_by"] == "st-1"
        proven = [one for one in alert["contacts"] if one["proof"] == "key:2"]
        assert [(one["channel"], one["unrecorded_at_send"]) for one in proven] == [("call", True)]
        whole(office)


def test_who_accepts_a_visit_that_cannot_be_recorded_does_not_hear_that_it_is_theirs(
    tmp_path: Path, warm: WarmStart
) -> None:
    kit = "+441632960155"
    hasty = SLOW | {"locate_gives_up": "1s", "replace_within": "10m"}
    with (
        locked(tmp_path) as disk,
        Telephones(speed=1) as phones,  # the line is held while the trouble comes
        Daemon(tmp_path, warm=warm, phones=phones, overrides=hasty) as daemon,
    ):
        office = daemon.api()
        cast(office)
        office.people(care_worker("cw-9", phones=[{"number": kit, "kind": "landline"}]))
        office.rota(visit("nobody", now() - timedelta(seconds=1)))
        call = phones.do(phones.ringing(kit, timeout=30), "answer")
        phones.do(call, "press", digits="1")
        comes_into_trouble(daemon, disk)
        heard = " ".join(phones.do(call, "press", digits="3")["script"])
        assert "cannot be recorded" in heard
        assert "yours" not in heard
        recovers(daemon, disk)
        whole(office)


def test_who_took_it_unrecorded_is_asked_again_when_ten_minutes_are_over(
    tmp_path: Path,
    phones: Telephones,
) -> None:
    clock = WallClock(tmp_path)
    with locked(tmp_path) as disk, Daemon(tmp_path, phones=phones, overrides=SLOW, env=clock.env) as daemon:
        office = daemon.api()
        cast(office)
        office.rota(visit("nobody", now()))
        comes_into_trouble(daemon, disk)
        takes(phones, summons(phones))
        recovers(daemon, disk)
        alert = office.alert("nobody", state="taken")

        def asked_again() -> list[dict[str, Any]]:
            return [text for text in phones.texts(OFFICE) if "could not be recorded then" in text["body"]]

        clock.step(590)
        until_sync(lambda: "the wall clock stepped" in daemon.log, what="the clock is nearly there")
        assert asked_again() == []
        clock.step(10)
        (again,) = until_sync(asked_again, what="the question of ten minutes ago")
        takes(phones, again)
        taken = office.alert("nobody", state="taken")
        assert instant(taken["taken_at"]) >= instant(alert["taken_at"]) + timedelta(minutes=10)
        whole(office)


def test_a_lock_of_two_seconds_is_told_to_nobody_and_loses_nothing(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    tries = (tmp_path / str(number) for number in range(6))
    # on a machine that stands still meanwhile it is no lock of two seconds, and says nothing of one
    assert any(is_told_to_nobody(folder, phones, warm) for folder in tries)


def is_told_to_nobody(folder: Path, phones: Telephones, warm: WarmStart) -> bool:
    """Tried in this folder; False when it has lasted so long that staff may have been told."""
    folder.mkdir()
    before = len(phones.texts(OFFICE))
    with locked(folder) as disk, Daemon(folder, warm=warm, phones=phones, overrides=SLOW) as daemon:
        office = daemon.api()
        cast(office)
        office.rota(visit("came", in_s(60)))
        broken_at = now()
        comes_into_trouble(daemon, disk)
        assert checked_in(daemon, id="c-1", visit="came", at=rfc(now())).status == 503
        until_sync(lambda: now() > broken_at + timedelta(seconds=2), what="two seconds")
        recovers(daemon, disk)
        if now() > broken_at + timedelta(seconds=TOLD_AFTER_S):
            return False
        says_that_all_is_well(daemon)
        # a visit that nobody comes to, late after staff would have been told: what is told then is told about it alone
        office.rota(visit("nobody", broken_at + timedelta(seconds=TOLD_AFTER_S)))
        until_sync(lambda: len(phones.texts(OFFICE)) > before, what="a summons")
        assert about(phones.texts(OFFICE)[-1], "su-1")
        assert [alert["kind"] for alert in office.alerts()] == ["late_visit"]
        assert len(phones.texts(OFFICE)) == before + 1
        came = office.visit("came")
        assert came is not None
        assert came["stage"] == "arrived"
        whole(office)
        return True


def test_help_asked_while_nothing_can_be_recorded_rings_everybody_on_duty(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    duty = [{"person": person, "role": "on_call", "hours": "otherwise"} for person in ("st-1", "st-2")]
    mobile = [{"number": EDNA_MOBILE, "kind": "mobile"}]
    with (
        locked(tmp_path) as disk,
        Daemon(tmp_path, warm=warm, phones=phones, duty=duty, overrides=SLOW) as daemon,
    ):
        office = daemon.api()
        office.people(service_user(phones=mobile), care_worker(), staff(), staff("st-2", ON_CALL))
        comes_into_trouble(daemon, disk)
        phones.reply(EDNA_MOBILE, "please help me")
        for number in (OFFICE, ON_CALL):
            phones.ringing(number)
        assert [text for text in phones.texts(EDNA_MOBILE) if text["direction"] != "inbound"] == [], (
            "nothing leaves to a service user before it is on disk"
        )
        recovers(daemon, disk)
        (asked,) = office.alerts(kind="help_asked")
        assert {one["unrecorded_at_send"] for one in asked["contacts"] if one["purpose"] == "summon"} == {
            True
        }
        whole(office)


EDNA_MOBILE = "+447700900301"


def test_a_service_user_on_the_line_when_the_disk_goes_is_not_told_of_our_troubles(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with locked(tmp_path) as disk, Daemon(tmp_path, warm=warm, phones=phones, overrides=SLOW) as daemon:
        office = daemon.api()
        cast(office)
        office.rota(visit("nobody", now() - timedelta(seconds=1)))
        call = phones.ringing(EDNA)
        phones.do(call, "answer")
        comes_into_trouble(daemon, disk)
        heard = " ".join(phones.do(call, "press", digits="1")["script"])
        assert "Your carer will be with you as soon as possible. Our number" in heard
        assert "recorded" not in heard
        assert "Nobody else" not in heard
        recovers(daemon, disk)
        until_sync(
            lambda: (
                [one["proof"] for one in office.alert("nobody")["contacts"] if one["person"] == "su-1"]
                == ["key:1"]
            ),
            what="what was pressed is contact afterwards",
        )
        whole(office)


def test_what_nobody_can_read_is_acknowledged_only_when_it_is_kept(
    tmp_path: Path, broker: Mosquitto, warm: WarmStart
) -> None:
    phone = "owntracks:u17/phone"
    # what is put aside lies in the data folder whatever the store is: its disk is full, a Redis is well
    well = server_of(tmp_path / "data") if on_redis() else None
    with (
        tmpfs(tmp_path / "disk", "2m") as at,
        Daemon(at, data=at / "data", warm=warm, devices=(phone,), redis=well) as daemon,
    ):
        cast(daemon.api())
        rubbish = daemon.api(device=phone)
        assert rubbish.call("POST", "/owntracks", b"before").status == 200
        ballast, taken = fill(at), [b"before"]

        def refused() -> Answer | None:
            # the store may give back a block between our filling and its writing: what is taken then must be kept
            fill(at)
            body = b"\x00 rubbish that fills no disk %d" % len(taken)
            answer = rubbish.call("POST", "/owntracks", body)
            if answer.status != 200:
                return answer
            taken.append(body)
            return None

        lost = until_sync(refused, 20, what="the disk is full")
        assert lost is not None
        assert lost.status == 503
        assert "retry-after" in lost.headers
        ballast.unlink()
        until_sync(
            lambda: rubbish.call("POST", "/owntracks", b"\x00 rubbish").status == 200, 20, what="kept again"
        )
        kept = [file.read_bytes() for file in (at / "data" / "quarantine").iterdir()]
        assert sorted(kept) == sorted([*taken, b"\x00 rubbish"])


def test_who_was_first_is_told_only_when_it_is_on_disk(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with locked(tmp_path) as disk, Daemon(tmp_path, warm=warm, phones=phones, overrides=SLOW) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff(), staff("st-2", ON_CALL))
        office.rota(visit("nobody", now() - timedelta(seconds=1)))
        path = f"./alerts/{office.alert('nobody')['id']}/actions"
        comes_into_trouble(daemon, disk)
        taking = [office.call("POST", path, {"action": "take", "by": by}).status for by in ("st-1", "st-2")]
        assert taking == [503, 503]
        recovers(daemon, disk)
        second = office.call("POST", path, {"action": "take", "by": "st-2"})
        assert (second.status, second.body["by"]) == (409, "st-1")
        whole(office)
