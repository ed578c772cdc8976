"""What phones are told: the homes of their day and no others, what is new and no more, and nobody's name."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.owntracks_commands import MOST_REGIONS
from connectors.owntracks_secret import Keys, opened
from monitor.core import facts as f
from monitor.core.state import State
from monitor.core.upload import finished
from monitor.directory import Directory
from monitor.downlink import ASK_AGAIN_S, GAP_S, RETRY_S, TELLS, Downlink
from tests.core.driver import NOWHERE, Desk
from tests.waiting import until

NINE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PHONE, OTHER = "owntracks:u17/phone", "owntracks:u18/phone"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Office:
    """A desk as the downlink sees it: the real directory and core, a broker that remembers, a clock in the hand."""

    def __init__(self, *, keys: Keys | None = None, enabled: bool = True) -> None:
        self.core = Desk(now=NINE)
        self.directory = Directory(self.core.mint, "Europe/London", 150.0)
        self.core.people = self.directory  # type: ignore[assignment]
        self.sent: list[tuple[str, bytes, int]] = []
        self.up = True
        self.seconds = 0.0
        self.downlink = Downlink(lambda: {"north": self}, self, keys or Keys(), enabled=enabled)
        self.downlink.publish = self._publish
        self.people({"id": "cw-1", "role": "care_worker", "name": "Davina", "devices": [PHONE, "traccar:1"]})
        self.people({"id": "cw-2", "role": "care_worker", "name": "Kit", "devices": [OTHER]})
        for number in range(1, 4):
            self.home(number)

    # as a desk and as a clock

    @property
    def id(self) -> str:
        return "north"

    @property
    def state(self) -> State:
        return self.core.state

    def now(self) -> datetime:
        return self.core.now

    def monotonic(self) -> float:
        return self.seconds

    def _publish(self, topic: str, body: bytes, *, expires_s: int) -> bool:
        if self.up:
            self.sent.append((topic, body, expires_s))
        return self.up

    # what a test does

    def people(self, person: dict[str, Any]) -> None:
        good, _ = finished(self.directory.read([person]))
        self.directory.apply(good, [])

    def home(self, number: int, **more: Any) -> None:
        where = {"lat": 51.4 + number / 100, "lon": 0.01, "radius_m": 80}
        one = {"id": f"su-{number}", "role": "service_user", "name": f"Edna Q. {number}", "homes": [where]}
        self.people(one | more)

    def plan(self, name: str, number: int, start: datetime, worker: str = "cw-1", **more: Any) -> None:
        """A visit at somebody's, and the fact that an upload is in."""
        su, cw = self.directory.ref("person", f"su-{number}"), self.directory.ref("person", worker)
        self.core.plan(name, start=start, service_user=su, workers=(cw,), **more)

    def told(self, body: f.FactBody) -> None:
        fact = f.Happened(seq=1, at=self.now(), subject="", body=body, due_at=None, policy="")
        self.downlink.happened("north", fact)

    def uploaded(self) -> None:
        counts = dict.fromkeys(("new", "changed", "cancelled", "unchanged", "refused"), 0)
        self.told(f.RotaAdopted(evidence=NOWHERE, **counts))

    def later(self, **by: float) -> None:
        self.core.now += timedelta(**by)
        self.seconds += timedelta(**by).total_seconds()

    @property
    def lists(self) -> list[dict[str, dict[str, Any]]]:
        """Each list of homes that was sent, by the name of the region."""
        return [homes_in(body) for _, body, _ in self.sent if b"setWaypoints" in body]


def homes_in(body: bytes) -> dict[str, dict[str, Any]]:
    command = json.loads(body)
    assert (command["_type"], command["action"]) == ("cmd", "setWaypoints")
    assert command["waypoints"]["_type"] == "waypoints"
    return {one["desc"]: one for one in command["waypoints"]["waypoints"]}


@contextlib.asynccontextmanager
async def running(office: Office) -> AsyncIterator[Office]:
    task = asyncio.create_task(office.downlink.run())
    try:
        yield office
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with running(Office()) as one:
        yield one


async def settled(office: Office) -> None:
    """Everything that is due has been looked at."""
    told = office.downlink
    await until(lambda: not told._everybody and all(at > office.seconds for at in told._due.values()))


# --- the homes of the day ---


async def test_a_phone_that_is_heard_for_the_first_time_is_told_the_homes_of_its_own_day(
    office: Office,
) -> None:
    office.plan("v1", 1, NINE + HOUR)
    office.plan("v2", 2, NINE + 2 * HOUR, worker="cw-2")
    office.downlink.heard("north", PHONE)
    await until(lambda: office.sent)
    (topic, body, _) = office.sent[0]
    assert topic == "owntracks/u17/phone/cmd"
    (home,) = homes_in(body).values()
    assert home == {
        "_type": "waypoint",
        "desc": "su-1",
        "lat": pytest.approx(51.41),
        "lon": 0.01,
        "rad": 80,
        "tst": home["tst"],
        "rid": home["rid"],
    }
    assert 1_000_000_000 <= home["tst"] < 1_600_000_000
    assert b"Edna" not in body


async def test_what_a_phone_knows_already_is_not_said_again(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    office.downlink.heard("north", PHONE)
    await until(lambda: office.sent)
    office.later(hours=1)
    for _ in range(3):
        office.downlink.heard("north", PHONE)
        office.uploaded()
        await settled(office)
    assert len(office.sent) == 1


async def test_a_rota_that_changed_is_told_and_what_fell_away_is_switched_off(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    office.downlink.heard("north", PHONE)
    await until(lambda: len(office.lists) == 1)
    office.plan("v2", 2, NINE + 2 * HOUR)
    office.plan("v1", 1, NINE + HOUR, worker="cw-2")
    office.later(seconds=GAP_S)
    office.uploaded()
    await until(lambda: len(office.lists) == 3)
    mine, theirs = (
        [homes_in(body) for topic, body, _ in office.sent if user in topic][-1] for user in ("u17", "u18")
    )
    assert {name: home["rad"] for name, home in mine.items()} == {"su-2": 80, "su-1": 0}
    assert (mine["su-1"]["lat"], mine["su-1"]["lon"]) == (0, 0)
    assert mine["su-1"]["tst"] == office.lists[0]["su-1"]["tst"]
    assert {name: home["rad"] for name, home in theirs.items()} == {"su-1": 80}


async def test_an_upload_of_many_parts_looks_up_the_phones_once_and_not_while_a_part_is_taken_in(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def devices() -> list[str]:
        looked_up.append("")
        return [PHONE]

    monkeypatch.setattr(office.directory, "devices", devices)
    office.plan("v1", 1, NINE + HOUR)
    for _ in range(200):
        office.uploaded()
    assert looked_up == []
    await until(lambda: len(office.lists) == 1)
    assert len(looked_up) == 1


async def test_a_list_that_became_empty_takes_everything_off(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    office.downlink.heard("north", PHONE)
    await until(lambda: len(office.lists) == 1)
    office.plan("v1", 1, NINE + HOUR, worker="cw-2")
    office.later(seconds=GAP_S)
    office.uploaded()
    await until(lambda: [homes for homes in office.lists if homes["su-1"]["rad"] == 0])


async def test_a_phone_is_told_at_most_every_ten_seconds_and_then_the_latest(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    office.downlink.heard("north", PHONE)
    await until(lambda: office.sent)
    for number in (2, 3):
        office.later(seconds=1)
        office.plan(f"v{number}", number, NINE + HOUR)
        office.uploaded()
    await settled(office)
    assert len(office.sent) == 1
    office.later(seconds=GAP_S)
    office.uploaded()
    await until(lambda: len(office.sent) == 2)
    assert set(office.lists[1]) == {"su-1", "su-2", "su-3"}


@pytest.mark.parametrize(
    ("start", "is_told"),
    [
        (NINE - 9 * HOUR, True),  # 00:00 today
        (NINE - 9 * HOUR - MINUTE, False),  # ended long ago
        (NINE + 15 * HOUR, True),  # 00:00 tonight
        (NINE + 22 * HOUR - MINUTE, True),  # 06:59 tomorrow
        (NINE + 22 * HOUR, False),  # 07:00 tomorrow: the night is over
    ],
)
async def test_the_day_goes_to_the_end_of_the_coming_night(
    office: Office, start: datetime, is_told: bool
) -> None:
    office.plan("v1", 1, start)
    assert bool(office.downlink.answer("north", PHONE)) == is_told


async def test_a_waking_night_that_goes_on_is_still_of_today(office: Office) -> None:
    office.plan("v1", 1, NINE - 11 * HOUR, end=NINE - 2 * HOUR)
    office.core.now = NINE - 3 * HOUR
    assert office.downlink.answer("north", PHONE)


async def test_of_more_homes_than_a_phone_can_watch_those_to_come_are_told(office: Office) -> None:
    for number in range(1, MOST_REGIONS + 6):
        office.home(number)
        office.plan(f"v{number}", number, NINE - 4 * HOUR + number * 20 * MINUTE)
    (body,) = office.downlink.answer("north", PHONE)
    watched = {name for name, home in homes_in(body).items() if home["rad"]}
    assert len(watched) == MOST_REGIONS
    assert f"su-{MOST_REGIONS + 5}" in watched
    assert "su-1" not in watched


async def test_two_visits_at_one_home_are_one_region_and_two_homes_of_one_person_are_two(
    office: Office,
) -> None:
    homes = [{"lat": 51.41, "lon": 0.01, "radius_m": 80}, {"lat": 51.5, "lon": 0.02}]
    office.home(1, homes=homes)
    office.plan("v1", 1, NINE + HOUR)
    office.plan("v2", 1, NINE + 5 * HOUR)
    (body,) = office.downlink.answer("north", PHONE)
    assert {name: home["rad"] for name, home in homes_in(body).items()} == {"su-1": 80, "su-1 2": 150}


async def test_a_cancelled_visit_is_no_home_to_go_to(office: Office) -> None:
    office.plan("v1", 1, NINE + 5 * HOUR)
    office.core.upload(complete=True, confirm=True, covers_from=NINE, covers_to=NINE + 20 * HOUR)
    assert office.core.visit("v1").cancelled
    assert office.downlink.answer("north", PHONE) == []


async def test_a_new_day_is_told_when_the_phone_is_next_heard(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    office.downlink.heard("north", PHONE)
    await until(lambda: len(office.lists) == 1)
    office.later(hours=24)
    office.plan("v2", 2, NINE + 25 * HOUR)
    office.told(f.DayRolledOver(day=office.now().date()))
    await until(lambda: len(office.lists) == 2)
    assert {name: home["rad"] for name, home in office.lists[1].items()} == {"su-2": 80, "su-1": 0}
    office.later(seconds=GAP_S)
    office.downlink.heard("north", PHONE)
    await until(lambda: len(office.lists) == 3)
    office.later(seconds=GAP_S)
    office.downlink.heard("north", PHONE)
    await settled(office)
    assert len(office.lists) == 3


async def test_without_a_broker_the_phone_is_told_when_it_is_back(office: Office) -> None:
    office.up = False
    office.plan("v1", 1, NINE + HOUR)
    office.downlink.heard("north", PHONE)
    await settled(office)
    office.up = True
    office.later(seconds=RETRY_S)
    office.downlink.heard("north", OTHER)
    await until(lambda: [topic for topic, _, _ in office.sent] == ["owntracks/u17/phone/cmd"])


async def test_a_phone_that_was_off_the_network_is_told_again(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    office.downlink.heard("north", PHONE)
    await until(lambda: len(office.sent) == 1)
    office.downlink.lost("north", PHONE)
    office.later(seconds=GAP_S)
    office.downlink.heard("north", PHONE)
    await until(lambda: len(office.sent) == 2)


async def test_a_home_that_moved_is_told_under_the_same_marks(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    (first,) = office.downlink.answer("north", PHONE)
    office.home(1, homes=[{"lat": 51.6, "lon": 0.01, "radius_m": 90}])
    (second,) = office.downlink.answer("north", PHONE)
    before, after = homes_in(first)["su-1"], homes_in(second)["su-1"]
    assert (before["tst"], before["rid"]) == (after["tst"], after["rid"])
    assert (after["lat"], after["rad"]) == (51.6, 90)


@pytest.mark.parametrize(
    "device", ["owntracks:u+/phone", "owntracks:u17", "owntracks:u/a/b", "owntracks:#/p"]
)
async def test_a_device_that_is_no_topic_is_not_told(office: Office, device: str) -> None:
    office.people({"id": "cw-1", "role": "care_worker", "devices": [device]})
    office.plan("v1", 1, NINE + HOUR)
    office.uploaded()
    await settled(office)
    assert office.sent == []


async def test_switched_off_nothing_is_told() -> None:
    async with running(Office(enabled=False)) as office:
        office.plan("v1", 1, NINE + HOUR)
        office.downlink.heard("north", PHONE)
        office.uploaded()
        await settled(office)
        assert (office.sent, office.downlink.answer("north", PHONE)) == ([], ())


# --- over HTTP ---


async def test_in_http_mode_the_answer_carries_the_list_once(office: Office) -> None:
    office.plan("v1", 1, NINE + HOUR)
    (body,) = office.downlink.answer("north", PHONE)
    assert set(homes_in(body)) == {"su-1"}
    assert office.downlink.answer("north", PHONE) == []
    office.uploaded()
    await settled(office)
    assert office.sent == [], "at its topic nobody listens"


# --- where are you? ---


def late(office: Office, **more: Any) -> f.AlertRaised:
    return f.AlertRaised(**{"alert": "a1", "kind": "late_visit", "visit": "v1"} | more)


async def test_the_phone_of_who_is_late_is_asked_where_it_is(office: Office) -> None:
    office.plan("v1", 1, NINE)
    office.told(late(office))
    assert office.sent == [
        ("owntracks/u17/phone/cmd", b'{"_type":"cmd","action":"reportLocation"}', int(ASK_AGAIN_S))
    ]


async def test_a_phone_is_asked_once_in_ten_minutes(office: Office) -> None:
    office.plan("v1", 1, NINE)
    asked = []
    for minutes in (0, 5, 4.98, 0.02):
        office.later(minutes=minutes)
        office.told(late(office))
        asked.append(len(office.sent))
    assert asked == [1, 1, 1, 2]


@pytest.mark.parametrize(
    "alert", [{"kind": "very_short"}, {"kind": "lone_worker"}, {"reason": "while_down"}, {"visit": None}]
)
async def test_for_another_alert_nobody_is_asked(office: Office, alert: dict[str, Any]) -> None:
    office.plan("v1", 1, NINE)
    office.told(late(office, **alert))
    assert office.sent == []


async def test_of_two_care_workers_only_the_missing_one_is_asked(office: Office) -> None:
    refs = tuple(office.directory.ref("person", name) for name in ("cw-1", "cw-2"))
    su = office.directory.ref("person", "su-1")
    office.core.plan("v1", start=NINE, service_user=su, workers=refs, places=2)
    office.core.check(device=None, worker=refs[0])
    office.told(late(office, kind="second_worker_missing"))
    assert [topic for topic, _, _ in office.sent] == ["owntracks/u18/phone/cmd"]


async def test_in_http_mode_the_question_waits_for_the_next_answer_and_not_for_ever(office: Office) -> None:
    office.downlink.answer("north", PHONE)
    office.plan("v1", 1, NINE - 2 * HOUR)
    office.told(late(office))
    assert office.sent == []
    answer = office.downlink.answer("north", PHONE)
    assert [json.loads(body)["action"] for body in answer] == ["setWaypoints", "reportLocation"]
    assert office.downlink.answer("north", PHONE) == []
    office.later(seconds=ASK_AGAIN_S)
    office.told(late(office))
    office.later(seconds=ASK_AGAIN_S)
    assert office.downlink.answer("north", PHONE) == []


async def test_in_http_mode_who_has_just_said_where_they_are_is_not_asked(office: Office) -> None:
    office.downlink.answer("north", PHONE)
    office.plan("v1", 1, NINE)
    office.told(late(office))
    office.downlink.heard("north", PHONE, is_answer=True)
    assert [json.loads(body)["action"] for body in office.downlink.answer("north", PHONE)] == ["setWaypoints"]


# --- encrypted ---


@pytest.mark.parametrize("keys", [Keys({PHONE: b"own"}, {"north": b"desk"}), Keys({}, {"north": b"own"})])
async def test_a_phone_with_a_key_is_told_in_a_box(keys: Keys) -> None:
    async with running(Office(keys=keys)) as office:
        office.plan("v1", 1, NINE)
        office.downlink.heard("north", PHONE)
        await until(lambda: office.sent)
        (answer,) = office.downlink.answer("north", PHONE)
        for body in (office.sent[0][1], answer):
            assert b"su-1" not in body
            message = json.loads(body)
            assert message["_type"] == "encrypted"
            assert set(homes_in(opened(message["data"], [b"own"]))) == {"su-1"}


# --- its troubles are its own ---


async def test_trouble_with_one_phone_is_not_the_others_nor_the_watch_s(office: Office) -> None:
    office.plan("v1", 1, NINE)
    office.plan("v2", 2, NINE, worker="cw-2")
    good = office._publish

    def broken(topic: str, body: bytes, *, expires_s: int) -> bool:
        if "u17" in topic:
            raise ValueError(topic)
        return good(topic, body, expires_s=expires_s)

    office.downlink.publish = broken
    office.uploaded()
    await until(lambda: [topic for topic, _, _ in office.sent] == ["owntracks/u18/phone/cmd"])
    office.told(late(office))


def test_only_known_facts_set_it_off() -> None:
    assert all(issubclass(kind, f.FactBody) for kind in TELLS)
