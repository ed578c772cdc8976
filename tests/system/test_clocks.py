"""Clocks: a process that was stopped, a wall clock that is set, a late start, both nights of the change, bank holidays.

The daemon is the real command; its wall clock is libfaketime's (`tests.system.wall_clock`).
"""

from __future__ import annotations

import http.client
import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.broker import LOOPBACK, Mosquitto, phone, publish
from tests.system.daemon import (
    EDNA,
    OFFICE,
    ON_CALL,
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    day_of,
    in_s,
    instant,
    now,
    of_kind,
    rfc,
    secret_of,
    service_user,
    staff,
    visit,
    warm_start,
)
from tests.system.test_windows_together import BROKERAGE, PROVIDERS, cast, council, sends
from tests.system.wall_clock import WallClock
from tests.waiting import until_sync

PHONE_TOPIC = "callwatch/bright/phone-17/checkin"
PROMPT_S = 1.0
"""From a deadline to its fact on disk (issue: less than a second)."""
JUMPED = "machine has jumped"
"""Of the alarm; that it is over says so of the clock."""
SLOW = {"late_after": "2s", "summon_call_after": "5m", "summon_next": "15m"}


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> WallClock:
    return WallClock(tmp_path_factory.mktemp("wall"))


@pytest.fixture(scope="module")
def warm(wall: WallClock) -> Iterator[WarmStart]:
    """Starts daemons that look at `wall`."""
    with warm_start(wall.env) as warm:
        yield warm


@pytest.fixture
def clock(wall: WallClock) -> WallClock:
    wall.is_right()
    return wall


@pytest.fixture
def phones() -> Iterator[Telephones]:
    with Telephones() as phones:
        yield phones


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as broker:
        yield broker


OFFICE_HOURS = (
    {"person": "st-1", "role": "office", "hours": "Mon-Fri 09:00-17:00"},
    {"person": "st-2", "role": "on_call", "hours": "otherwise"},
)


@contextmanager
def at(
    moment: str, clock: WallClock, folder: Path, phones: Telephones, warm: WarmStart, **more: Any
) -> Iterator[tuple[Daemon, Api]]:
    """A daemon whose clock shows `moment` (UTC) about when it is ready, with the cast in it."""
    lead_s = 25.0
    clock.set(datetime.fromisoformat(moment).replace(tzinfo=UTC) - timedelta(seconds=lead_s))
    settings: dict[str, Any] = {"overrides": SLOW, "duty": OFFICE_HOURS} | more
    with Daemon(folder, phones=phones, warm=warm, **settings) as daemon:
        office = daemon.api()
        office.people(
            service_user(), care_worker(devices=["callwatch:phone-17"]), staff(), staff("st-2", ON_CALL)
        )
        yield daemon, office


def utc(text: str) -> datetime:
    """An instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def raised(office: Api) -> dict[str, Mapping[str, Any]]:
    """The fact with which each visit's alert was raised; a second one for the same visit fails."""
    names = {alert["id"]: alert["visit"] for alert in office.alerts()}
    found: dict[str, Mapping[str, Any]] = {}
    for fact in of_kind(office.facts(), "AlertRaised", kind="late_visit"):
        name = names[json.loads(fact["body"])["alert"]]
        assert name not in found, f"{name} was raised twice"
        found[name] = fact
    return found


def late_by_s(fact: Mapping[str, Any]) -> float:
    """From the deadline to the fact."""
    return (instant(fact["at"]) - instant(fact["due_at"])).total_seconds()


def track(office: Api, name: str, visit: str) -> dict[str, Any]:
    """One track of the one alert of a visit."""
    (alert,) = office.alerts(visit=visit)
    (found,) = [one for one in alert["tracks"] if one["name"] == name]
    return dict(found)


def arrival(name: str, visit: str, at: datetime) -> bytes:
    """What a care worker's phone publishes."""
    return json.dumps({"id": name, "kind": "arrive", "visit": visit, "at": rfc(at)}).encode()


# --- stopped in its tracks ---


def test_what_waits_when_a_stopped_daemon_goes_on_is_read_before_deadlines_that_passed_meanwhile(
    tmp_path: Path, phones: Telephones, broker: Mosquitto
) -> None:
    with Daemon(tmp_path, phones=phones, broker=broker, overrides=SLOW) as daemon:
        office = daemon.api()
        office.people(
            service_user(), care_worker(devices=["callwatch:phone-17"]), care_worker("cw-2"), staff()
        )
        late_at = in_s(8)
        start = late_at - timedelta(seconds=2)
        office.rota(visit("phoned", start), visit("posted", start, workers=["cw-2"]), visit("nobody", start))
        daemon.send(signal.SIGSTOP)
        try:
            stopped = time.monotonic()
            with phone(broker) as one:
                publish(one, [(PHONE_TOPIC, arrival("m-1", "phoned", now()))])
            waiting = posts(daemon, {"id": "h-1", "kind": "arrive", "worker": "cw-2", "visit": "posted"})
            assert now() < late_at
            until_sync(
                lambda: time.monotonic() - stopped >= 5 and now() > late_at,
                what="five seconds and the deadline",
            )
        finally:
            daemon.send(signal.SIGCONT)
        answer = waiting.getresponse()
        (result,) = json.loads(answer.read())["results"]
        waiting.close()
        assert result["outcome"] == "arrived"
        alert = office.alert("nobody")
        assert instant(alert["due_at"]) == late_at
        assert set(raised(office)) == {"nobody"}
        for name in ("phoned", "posted"):
            seen = office.visit(name)
            assert seen is not None
            # in time by its own clock, and read when the visit was late by ours
            assert (seen["stage"], seen["alert"]) == ("arrived", None)
            assert seen["verdicts"] == ["on_time", "late_evidence"]


def posts(daemon: Daemon, item: Mapping[str, Any]) -> http.client.HTTPConnection:
    """A check-in of now, sent whole; its answer is not waited for: who should give it stands still."""
    connection = http.client.HTTPConnection(LOOPBACK, daemon.port, timeout=40)
    headers = {
        "Authorization": f"Bearer {secret_of('intake')}",
        "Content-Type": "application/json",
    }
    body = json.dumps({**item, "at": rfc(now())})
    connection.request("POST", "/v1/desks/bright/checkins", body, headers)
    return connection


# --- a wall clock that is set ---


def test_a_clock_set_an_hour_ahead_tells_staff_at_once_and_the_service_user_only_when_it_is_confirmed(
    tmp_path: Path, clock: WallClock, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, phones=phones, warm=warm, overrides=SLOW) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        soon, later = clock.now() + timedelta(minutes=30), clock.now() + timedelta(hours=3)
        office.rota(visit("soon", soon), visit("later", later))

        clock.step(3600)
        phones.text(OFFICE)
        alert = office.alert("soon")
        assert signal_of(office, "soon", clock) == "dark:clock"
        assert (track(office, "reassure", "soon")["step"], phones.calls(EDNA)) == ("waiting", [])
        assert instant(alert["due_at"]) == soon + timedelta(seconds=2)

        # it was wrong: right again, and confirmed, nobody is rung for a visit that is not late yet
        clock.step(-3600)
        noticed(daemon, 2)
        confirms(daemon, clock)
        assert signal_of(office, "later", clock) == "known"
        held = track(office, "reassure", "soon")
        assert (held["step"], held["next_at"], phones.calls(EDNA)) == ("waiting", alert["due_at"], [])

        # it was right: what was held leaves as soon as a device says so, also to a process that never saw the step
        clock.step(3600)
        noticed(daemon, 3)
        assert signal_of(office, "later", clock) == "dark:clock"
        assert (track(office, "reassure", "soon")["step"], phones.calls(EDNA)) == ("waiting", [])
        # killed before it has told of this jump, it would find the clock confirmed and have nothing to tell
        until_sync(
            lambda: sum(JUMPED in text["body"] for text in phones.texts(OFFICE)) >= 2,
            what="the second jump is told",
        )
        daemon.kill()
        daemon.start()
        assert signal_of(office, "later", clock) == "dark:clock"
        confirms(daemon, clock)
        phones.ringing(EDNA)
        assert signal_of(office, "later", clock) == "known"
        told = [text["body"] for text in phones.texts(OFFICE)]
        late = [body for body in told if "LATE" in body]
        jumped = [body for body in told if JUMPED in body]
        over = [body for body in told if "confirmed the clock" in body]
        assert (len(phones.calls(EDNA)), len(late)) == (1, 1)
        # each jump is an alarm with an end; an hour's step may bring the next summons of an alarm with it
        assert len(jumped) >= 2
        assert len(over) == 2
        assert len(told) == len(late) + len(jumped) + len(over)
        assert set(raised(office)) == {"soon"}
        assert chain_break(office.facts()) is None


def test_a_clock_set_back_an_hour_and_right_again_drops_no_deadline_and_fires_none_twice(
    tmp_path: Path, clock: WallClock, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, phones=phones, warm=warm, overrides=SLOW) as daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(), staff())
        start = clock.now()
        office.rota(visit("first", start), visit("second", start + timedelta(seconds=12)))
        office.alert("first")

        clock.step(-3600)
        noticed(daemon, 1)
        assert signal_of(office, "second", clock) == "dark:clock"
        # by this clock "second" is an hour away; what is due by it now is not
        due = clock.now() + timedelta(seconds=1)
        office.rota(visit("between", due - timedelta(seconds=2)))
        office.alert("between")
        assert late_by_s(raised(office)["between"]) < PROMPT_S
        assert set(raised(office)) == {"first", "between"}

        right_at = start + timedelta(seconds=15)
        clock.set(max(right_at, now()))
        office.alert("second")
        facts = raised(office)
        assert set(facts) == {"first", "second", "between"}
        assert instant(facts["second"]["due_at"]) == start + timedelta(seconds=14)
        assert chain_break(office.facts()) is None


def test_a_clock_set_back_an_hour_in_a_bid_window_loses_no_bid_and_opens_nothing_again(
    tmp_path: Path, clock: WallClock, warm: WarmStart
) -> None:
    with Daemon(tmp_path, warm=warm, desks=[council("8s")], providers=PROVIDERS) as daemon:
        broker, ace, bee = cast(daemon), *(daemon.api(desk=BROKERAGE, provider=name) for name in PROVIDERS)
        sends(broker, "pk-1")
        bid = {"start": rfc(in_s(86_400))}
        first = ace.post("./placements/pk-1/bids", bid)
        closes = instant(first["closes_at"])
        clock.step(-3600)
        noticed(daemon, 1)
        # by the clock that is there the window has an hour more, and says so by the receipt
        second = bee.post("./placements/pk-1/bids", bid)
        assert (second["late"], second["closes_at"]) == (False, first["closes_at"])
        until_sync(lambda: now() > closes)
        clock.is_right()
        noticed(daemon, 2)
        until_sync(lambda: broker.get("./placements/pk-1")["stage"] != "open")
        clock.step(-3600)
        noticed(daemon, 3)
        assert bee.post("./placements/pk-1/bids", bid)["late"]
        seen = broker.get("./placements/pk-1")
        assert [one["at"] for one in seen["bids"]] == [first["at"], second["at"]]
        (closed,) = of_kind(broker.facts(), "RoundClosed")
        assert instant(closed["due_at"]) == closes
        assert chain_break(broker.facts(), BROKERAGE) is None


def noticed(daemon: Daemon, steps: int) -> None:
    """That many steps of the clock stand in the log; the daemon looks twice a second."""
    until_sync(lambda: daemon.log.count("the wall clock stepped") == steps, what=f"step {steps} is noticed")


def signal_of(office: Api, name: str, clock: WallClock) -> str:
    """Whether it is known or dark for a visit."""
    return str(seen(office, name, clock)["signal"])


def seen(office: Api, name: str, clock: WallClock) -> dict[str, Any]:
    """The visit, on the day that the clock shows or on those beside it: tests run at midnight too."""
    days = (day_of(clock.now() + timedelta(days=off)) for off in (0, 1, -1))
    return next(found for day in days if (found := office.visit(name, day)) is not None)


def confirms(daemon: Daemon, clock: WallClock) -> dict[str, Any]:
    """A device checks in live, and its own clock agrees with the daemon's."""
    return daemon.api("intake").checkin(
        id=f"live-{clock.now().timestamp()}",
        kind="arrive",
        worker="cw-1",
        visit="nobody's",
        at=rfc(clock.now()),
    )


# --- a late start ---


def test_started_an_hour_late_it_reads_first_and_three_hours_late_it_tells_staff_in_one_digest(
    tmp_path: Path, clock: WallClock, phones: Telephones, broker: Mosquitto, warm: WarmStart
) -> None:
    daemon = Daemon(tmp_path, phones=phones, broker=broker, warm=warm, overrides=SLOW)
    with daemon:
        office = daemon.api()
        office.people(service_user(), care_worker(devices=["callwatch:phone-17"]), staff())
        start = clock.now() + timedelta(minutes=20)
        office.rota(visit("came", start), visit("nobody", start), visit("last", start + timedelta(hours=1)))
        assert daemon.stop() == 0
        with phone(broker) as one:
            publish(one, [(PHONE_TOPIC, arrival("m-1", "came", start + timedelta(seconds=1)))])

        clock.step(3600)
        daemon.start()
        phones.leads_to(daemon)
        alert = office.alert("nobody")
        assert instant(alert["due_at"]) == start + timedelta(seconds=2)
        assert 2300 < alert["lateness_s"] < 2500
        phones.text(OFFICE)
        phones.ringing(EDNA)
        assert set(raised(office)) == {"nobody"}
        came = seen(office, "came", clock)
        assert (came["stage"], came["verdicts"]) == ("arrived", ["on_time", "late_evidence"])

        assert daemon.stop() == 0
        clock.step(3 * 3600)
        rings, texts = len(phones.calls(EDNA)), len(phones.texts(OFFICE))
        daemon.start()
        phones.leads_to(daemon)
        assert office.alert("last")["state"] == "open"
        phones.text(OFFICE, texts + 1)
        assert len(office.alerts(kind="incident")) == 1
        assert track(office, "reassure", "last")["step"] == "skipped"
        assert len(phones.calls(EDNA)) >= rings
        assert chain_break(office.facts()) is None


# --- the nights of the change ---


def test_on_the_night_of_twenty_five_hours_half_past_one_is_the_first_of_the_two(
    tmp_path: Path, clock: WallClock, phones: Telephones, warm: WarmStart
) -> None:
    with at("2026-10-25T00:30:00", clock, tmp_path, phones, warm) as (_, office):
        answer = office.put(
            "./rota",
            {
                "visits": [
                    local("twice", "2026-10-25T01:30", "2026-10-25T02:30", late_after="3s"),
                    local("again", "2026-10-25T01:30:00+00:00", "2026-10-25T02:00:00+00:00", late_after="3s"),
                    local("night", "2026-10-24T22:00", "2026-10-25T07:00", late_after="4h"),
                ]
            },
        )
        assert warned_of_times(answer) == {"twice": "time_exists_twice"}
        clock.creep(utc("2026-10-25T00:29:59"))
        office.alert("twice")
        due = raised(office)
        assert set(due) == {"twice"}
        assert instant(due["twice"]["due_at"]) == utc("2026-10-25T00:30:03")
        assert 0 <= late_by_s(due["twice"]) < PROMPT_S
        # the second half past one is an hour later, and a night between ten and seven has ten hours
        again, night = (office.visit(name, "2026-10-25") for name in ("again", "night"))
        night = night or office.visit("night", "2026-10-24")
        assert again is not None
        assert night is not None
        assert instant(again["late_at"]) == utc("2026-10-25T01:30:03")
        assert instant(night["end"]) - instant(night["start"]) == timedelta(hours=10)
        phones.text(ON_CALL)


def test_on_the_night_of_twenty_three_hours_half_past_one_is_half_past_two(
    tmp_path: Path, clock: WallClock, phones: Telephones, warm: WarmStart
) -> None:
    with at("2026-03-29T01:30:00", clock, tmp_path, phones, warm) as (_, office):
        answer = office.put(
            "./rota",
            {
                "visits": [
                    local("gap", "2026-03-29T01:30", "2026-03-29T03:30", late_after="3s"),
                    local("night", "2026-03-28T22:00", "2026-03-29T07:00", late_after="6h"),
                ]
            },
        )
        assert warned_of_times(answer) == {"gap": "time_does_not_exist"}
        clock.creep(utc("2026-03-29T01:29:59"))
        office.alert("gap")
        due = raised(office)
        assert instant(due["gap"]["due_at"]) == utc("2026-03-29T01:30:03")
        assert 0 <= late_by_s(due["gap"]) < PROMPT_S
        night = office.visit("night", "2026-03-28")
        assert night is not None
        assert instant(night["end"]) - instant(night["start"]) == timedelta(hours=8)
        phones.text(ON_CALL)


def warned_of_times(answer: Mapping[str, Any]) -> dict[str, str]:
    """The rows that the answer to a rota warns of because of their times."""
    return {one["visit"]: one["code"] for one in answer["problems"] if one["code"].startswith("time_")}


def local(name: str, start: str, end: str, **more: Any) -> dict[str, Any]:
    """A row in the words of a rota: local times without an offset."""
    return {"id": name, "service_user": "su-1", "start": start, "end": end, "workers": ["cw-1"]} | more


# --- who is on duty ---


@pytest.mark.parametrize(
    ("moment", "summoned", "left_alone"),
    [
        pytest.param("2026-12-28T10:00:00", ON_CALL, OFFICE, id="boxing-day-monday"),
        pytest.param("2026-12-14T10:00:00", OFFICE, ON_CALL, id="ordinary-monday"),
    ],
)
def test_on_a_bank_holiday_the_person_on_call_is_summoned_and_not_the_office(
    moment: str,
    summoned: str,
    left_alone: str,
    tmp_path: Path,
    clock: WallClock,
    phones: Telephones,
    warm: WarmStart,
) -> None:
    with at(moment, clock, tmp_path, phones, warm) as (_, office):
        office.rota(visit("nobody", clock.now() - timedelta(seconds=1)))
        office.alert("nobody")
        phones.text(summoned)
        assert phones.texts(left_alone) == []


def test_at_five_the_office_hands_over_to_who_is_on_call(
    tmp_path: Path, clock: WallClock, phones: Telephones, warm: WarmStart
) -> None:
    with at("2026-12-14T17:00:00", clock, tmp_path, phones, warm) as (_, office):
        start = utc("2026-12-14T16:30:00")
        office.rota(
            visit("day", start, late_after="1799s"),
            # another care worker: two late ones of the same are one incident, summoned for once
            visit("evening", start + timedelta(minutes=5), late_after="1500s", workers=["cw-2"]),
        )
        clock.creep(utc("2026-12-14T16:59:57"))
        office.alert("evening")
        people = {
            alert["visit"]: [one["person"] for one in alert["contacts"] if one["purpose"] == "summon"]
            for alert in office.alerts(kind="late_visit")
        }
        assert people == {"day": ["st-1"], "evening": ["st-2"]}
        phones.text(OFFICE)
        phones.text(ON_CALL)


# --- four in the morning ---


def test_the_roll_over_at_four_touches_no_open_visit(
    tmp_path: Path, clock: WallClock, phones: Telephones, warm: WarmStart
) -> None:
    # in July four in the morning is 03:00 UTC
    with at("2026-07-07T03:00:00", clock, tmp_path, phones, warm) as (daemon, office):
        start = utc("2026-07-06T21:00:00")
        rows = [visit(name, start, minutes=600) for name in ("there", "nobody")]
        office.rota(rows[0], rows[1], visit("to-come", utc("2026-07-07T03:00:00")))
        daemon.api("intake").checkin(
            id="c-1", kind="arrive", worker="cw-1", visit="there", at=rfc(clock.now())
        )
        office.alert("nobody")
        before = {name: seen_open(office, name) for name in ("there", "nobody")}
        clock.creep(utc("2026-07-07T02:59:59"))
        (rolled,) = until_sync(
            lambda: of_kind(office.facts(), "DayRolledOver", day="2026-07-07"), what="the new day"
        )
        assert 0 <= (instant(rolled["at"]) - utc("2026-07-07T03:00:00")).total_seconds() < PROMPT_S
        assert {name: seen_open(office, name) for name in ("there", "nobody")} == before
        assert office.alert("to-come")["due_at"] == "2026-07-07T03:00:02Z"
        assert 0 <= late_by_s(raised(office)["to-come"]) < PROMPT_S


def seen_open(office: Api, name: str) -> dict[str, Any]:
    """A visit of the evening before, with the state of its alert, if it has one."""
    seen = office.visit(name, "2026-07-06")
    assert seen is not None
    return seen | {"alerts": [(one["id"], one["state"]) for one in office.alerts(visit=name)]}


# --- the look at tomorrow's rota ---


@pytest.mark.parametrize(
    "six",
    ["2026-11-23T18:00:00", "2026-10-24T17:00:00", "2026-10-25T18:00:00"],
    ids=["winter", "before", "after"],
)
def test_at_six_by_the_desk_s_clocks_an_empty_tomorrow_is_told_and_a_rota_that_mends_it_ends_it(
    six: str, tmp_path: Path, clock: WallClock, phones: Telephones, warm: WarmStart
) -> None:
    overrides = SLOW | {"rota_look_at": "18:00"}
    with at(six, clock, tmp_path, phones, warm, overrides=overrides) as (daemon, office):
        office.rota(visit("v-1", clock.now() + timedelta(minutes=40)))
        assert office.alerts(kind="rota") == []
        clock.creep(utc(six) - timedelta(seconds=1))
        (told,) = until_sync(lambda: office.alerts(kind="rota"), what="the look") or []
        assert (told["reason"], instant(told["due_at"])) == ("tomorrow_empty", utc(six))
        assert "NO VISIT is planned for tomorrow" in phones.text(ON_CALL)["body"]
        daemon.kill()
        daemon.start()
        assert [one["id"] for one in office.alerts(kind="rota")] == [told["id"]]
        office.rota(visit("v-2", utc(six) + timedelta(hours=15)))
        (ended,) = office.alerts(kind="rota")
        assert (ended["state"], ended["ended_reason"]) == ("ended", "outcome_recorded")
