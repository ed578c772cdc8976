"""The demo's day: whoever starts it at whatever hour sees a live alert soon, and no false one."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from config.policy import Calendar, Duty, applying, parse_duration
from connectors.owntracks import parse_owntracks
from connectors.ports import PersonIn
from monitor.synthetic import OVERRUN, TAKE_OVER, TOLERANCE, PhonePlan, SyntheticDay, synthetic_day

NOWS = (
    datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC),
    datetime(2026, 11, 23, 10, 7, 13, tzinfo=UTC),
    datetime(2026, 11, 23, 23, 14, 59, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 44, 30, tzinfo=UTC),
    datetime(2027, 3, 28, 0, 59, 1, tzinfo=UTC),
)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=[(seed, now) for seed in (1, 7) for now in NOWS], ids=str)
def day(request: pytest.FixtureRequest) -> SyntheticDay:
    seed, now = request.param
    return synthetic_day(seed, now)


def visits(day: SyntheticDay) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = day.rota_body["visits"]
    return rows


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def late_at(row: dict[str, Any]) -> datetime:
    return at(row["start"]) + (parse_duration(row["late_after"]) if "late_after" in row else TOLERANCE)


def scenario(day: SyntheticDay, name: str) -> Any:
    [found] = [scenario for scenario in day.scenarios if scenario.name == name]
    return found


def transitions(plan: PhonePlan) -> list[tuple[str, str, datetime, datetime]]:
    """(event, service user, when it happened, when it leaves the phone)."""
    found = []
    for message in plan.messages:
        body = json.loads(message.payload)
        if body["_type"] == "transition":
            happened = datetime.fromtimestamp(body["tst"], UTC)
            found.append((body["event"], body["desc"], happened, message.due_at))
    return sorted(found, key=lambda entry: entry[2])


def attended(day: SyntheticDay, event: str) -> dict[tuple[str, str], tuple[datetime, datetime]]:
    """(visit, care worker) -> (when it happened, when it leaves the phone), by walking rota and phone together."""
    plans = {plan.worker: plan for plan in day.phones}
    found = {}
    for worker, plan in plans.items():
        rows = [row for row in visits(day) if worker in row["workers"]]
        for said, client, happened, due_at in transitions(plan):
            row = min(
                (row for row in rows if row["service_user"] == client),
                key=lambda row: abs(at(row["start"]) - happened),
            )
            if said == event:
                assert (row["id"], worker) not in found
                found[row["id"], worker] = (happened, due_at)
    return found


def test_the_same_seed_and_moment_make_the_same_day_to_the_byte_and_another_seed_another() -> None:
    one, two, other = (synthetic_day(seed, NOWS[1]) for seed in (1, 1, 2))
    assert msgspec.json.encode(one) == msgspec.json.encode(two)
    assert msgspec.json.encode(one.rota_body) != msgspec.json.encode(other.rota_body)


def test_the_day_has_the_size_of_a_provider(day: SyntheticDay) -> None:
    roles = Counter(person["role"] for person in day.people_body["people"])
    assert (roles["service_user"], roles["care_worker"], roles["staff"]) == (120, 25, 4)
    assert len(visits(day)) == 300
    double = sum(len(row["workers"]) == 2 for row in visits(day))
    assert 0.17 <= double / 300 <= 0.21
    assert all(row.get("places", 1) == len(row["workers"]) for row in visits(day))
    assert 10 <= sum(row.get("time_critical", False) for row in visits(day)) <= 60


def test_people_are_written_as_the_contract_says(day: SyntheticDay) -> None:
    people = [msgspec.convert(person, PersonIn, strict=True) for person in day.people_body["people"]]
    assert all(
        set(person) <= {field.encode_name for field in msgspec.structs.fields(PersonIn)}
        for person in day.people_body["people"]
    )
    known = {person.id for person in people}
    assert len(known) == len(people)
    assert {kin for person in people for kin in person.next_of_kin} <= known
    for row in visits(day):
        assert {row["service_user"], *row["workers"]} <= known
        assert set(row) <= {
            "id", "service_user", "start", "end", "workers", "places", "time_critical", "late_after",
        }  # fmt: skip


def test_every_number_is_kept_for_drama_and_is_one_persons_only(day: SyntheticDay) -> None:
    lines = [phone for person in day.people_body["people"] for phone in person["phones"]]
    assert len({line["number"] for line in lines}) == len(lines)
    for line in lines:
        expected = r"\+447700900\d{3}" if line["kind"] == "mobile" else r"\+441632960\d{3}"
        assert re.fullmatch(expected, line["number"])
        assert not line["number"].endswith(tuple(f"99{n}" for n in range(10))), (
            "kept for the desk's own lines"
        )


def test_the_rota_is_one_that_a_good_office_writes(day: SyntheticDay) -> None:
    missed = scenario(day, "never_comes").visit
    for row in visits(day):
        start, end = at(row["start"]), at(row["end"])
        assert end - start in [30 * MINUTE, 45 * MINUTE, 60 * MINUTE]
        assert row["id"] == missed or (start.minute % 15, start.second) == (0, 0)
    for who in ("workers", "service_user"):
        spans: dict[str, list[tuple[datetime, datetime]]] = {}
        for row in visits(day):
            for name in row[who] if who == "workers" else [row[who]]:
                spans.setdefault(name, []).append((at(row["start"]), at(row["end"])))
        for entries in spans.values():
            for (_, ended), (begins, _) in pairwise(sorted(entries)):
                assert begins - ended >= 5 * MINUTE


def test_the_visit_that_nobody_makes_is_late_half_a_minute_after_the_start(day: SyntheticDay) -> None:
    missed = scenario(day, "never_comes")
    [row] = [row for row in visits(day) if row["id"] == missed.visit]
    assert late_at(row) == missed.alert_at == day.now + timedelta(seconds=30)
    assert "late_after" not in row
    assert missed.ends_at is None
    assert not [key for key in attended(day, "enter") if key[0] == missed.visit]


def test_her_phone_is_alive_and_elsewhere_while_the_visit_is_missed(day: SyntheticDay) -> None:
    missed = scenario(day, "never_comes")
    [plan] = [plan for plan in day.phones if plan.worker == missed.worker]
    heard = [message.due_at for message in plan.messages if message.due_at <= missed.alert_at]
    assert missed.alert_at - max(heard) <= 11 * MINUTE
    assert not [entry for entry in transitions(plan) if entry[3] <= missed.alert_at]


def test_every_other_visit_is_attended_by_all_who_are_planned_and_in_time(day: SyntheticDay) -> None:
    missed = scenario(day, "never_comes").visit
    arrivals = attended(day, "enter")
    wanted = {(row["id"], worker) for row in visits(day) for worker in row["workers"] if row["id"] != missed}
    assert set(arrivals) == wanted
    rows = {row["id"]: row for row in visits(day)}
    for (visit, _), (happened, _) in arrivals.items():
        start = at(rows[visit]["start"])
        assert -7 * MINUTE <= happened - start <= 21 * MINUTE


def test_only_what_is_named_raises_an_alert(day: SyntheticDay) -> None:
    """What the desk knows at a visit's deadline, from the messages that had left the phones by then."""
    arrivals = attended(day, "enter")
    late = {
        row["id"]
        for row in visits(day)
        for worker in row["workers"]
        if (row["id"], worker) not in arrivals or arrivals[row["id"], worker][1] >= late_at(row)
    }
    assert late == {scenario(day, "never_comes").visit, scenario(day, "phone_offline").visit}


def test_no_deadline_but_the_missed_visits_falls_into_the_time_in_which_the_phones_catch_up(
    day: SyntheticDay,
) -> None:
    missed = scenario(day, "never_comes").visit
    for row in visits(day):
        assert row["id"] == missed or late_at(row) >= day.now + TAKE_OVER
        assert at(row["end"]) + OVERRUN > day.now + MINUTE


def test_some_are_late_but_not_too_late(day: SyntheticDay) -> None:
    rows = {row["id"]: row for row in visits(day)}
    delays = [
        (happened - at(rows[visit]["start"])) / MINUTE
        for (visit, _), (happened, _) in attended(day, "enter").items()
    ]
    assert 0.03 <= sum(5 <= delay <= 21 for delay in delays) / len(delays) <= 0.2
    named = [scenario for scenario in day.scenarios if scenario.name == "late"]
    assert len(named) >= 2
    for entry in named:
        happened, _ = attended(day, "enter")[entry.visit, entry.worker]
        assert happened - at(rows[entry.visit]["start"]) >= 11 * MINUTE
        assert happened > day.now - 20 * MINUTE


def test_the_phone_that_is_offline_tells_of_an_arrival_in_time_after_the_alert(day: SyntheticDay) -> None:
    unheard = scenario(day, "phone_offline")
    happened, due_at = attended(day, "enter")[unheard.visit, unheard.worker]
    assert happened < unheard.alert_at < due_at == unheard.ends_at
    assert day.now + 2 * MINUTE <= unheard.alert_at <= day.now + 33 * MINUTE
    [plan] = [plan for plan in day.phones if plan.worker == unheard.worker]
    [will] = [message for message in plan.messages if message.payload == b'{"_type":"lwt"}']
    assert not [message for message in plan.messages if will.due_at < message.due_at < unheard.ends_at], (
        "it is off the network"
    )


def test_the_forgotten_departure_is_never_sent_and_nothing_else_would_show_it(day: SyntheticDay) -> None:
    forgotten = scenario(day, "forgotten_departure")
    assert (forgotten.visit, forgotten.worker) in attended(day, "enter")
    assert (forgotten.visit, forgotten.worker) not in attended(day, "leave")
    assert day.now + MINUTE <= forgotten.alert_at <= day.now + 18 * MINUTE
    [plan] = [plan for plan in day.phones if plan.worker == forgotten.worker]
    next_sign = min(entry[2] for entry in transitions(plan) if entry[2] > forgotten.alert_at)
    assert next_sign > forgotten.alert_at + 30 * MINUTE


def test_every_other_arrival_is_followed_by_its_departure(day: SyntheticDay) -> None:
    arrivals, departures = attended(day, "enter"), attended(day, "leave")
    forgotten = scenario(day, "forgotten_departure")
    assert set(arrivals) - set(departures) == {(forgotten.visit, forgotten.worker)}
    rows = {row["id"]: row for row in visits(day)}
    for key, (left, _) in departures.items():
        planned = at(rows[key[0]]["end"]) - at(rows[key[0]]["start"])
        assert 0.8 <= (left - arrivals[key][0]) / planned <= 1.01


def test_each_message_is_one_that_the_connector_takes_from_its_own_phone(day: SyntheticDay) -> None:
    ids = []
    for plan in day.phones:
        assert [message.due_at for message in plan.messages] == sorted(
            message.due_at for message in plan.messages
        )
        for message in plan.messages:
            assert message.topic.startswith(f"owntracks/{plan.user}/phone")
            read = parse_owntracks(
                message.payload,
                device=plan.device,
                topic=message.topic,
                received_at=message.due_at,
                retained=False,
                source="owntracks",
            )
            assert not read.bad
            ids += [f"{plan.device} {seen.natural_key}" for seen in read.check_ins]
    assert len(set(ids)) == len(ids)
    assert 1_500 < len(ids) < 8_000


def test_only_locations_and_the_last_will_are_retained_as_android_does(day: SyntheticDay) -> None:
    for plan in day.phones:
        for message in plan.messages:
            assert message.retain == (b'"transition"' not in message.payload)


def test_a_device_belongs_to_the_care_worker_who_carries_it(day: SyntheticDay) -> None:
    holders = {
        device: person["id"] for person in day.people_body["people"] for device in person.get("devices", [])
    }
    assert {plan.device: plan.worker for plan in day.phones} == holders
    assert re.fullmatch(r"owntracks:u\d\d/phone", day.phones[0].device)


@pytest.mark.parametrize(
    ("when", "first"),
    [
        (datetime(2026, 11, 23, 10, 0, tzinfo=UTC), "st-office"),
        (datetime(2026, 11, 23, 20, 0, tzinfo=UTC), "st-on-call"),
        (datetime(2026, 11, 22, 10, 0, tzinfo=UTC), "st-on-call"),
    ],
)
def test_somebody_is_on_duty_at_every_hour(when: datetime, first: str) -> None:
    day = synthetic_day(1, when)
    duties = tuple(msgspec.convert(entry, Duty) for entry in day.duty)
    assert applying(duties, when, Calendar())[0].person == first
    people = {person["id"] for person in day.people_body["people"] if person["role"] == "staff"}
    assert {entry.person for entry in duties} == people


@pytest.mark.parametrize("seed", range(20))
def test_any_second_of_any_day_will_do(seed: int) -> None:
    day = synthetic_day(seed, NOWS[0] + seed * timedelta(hours=31, minutes=7, seconds=13))
    test_the_rota_is_one_that_a_good_office_writes(day)
    test_only_what_is_named_raises_an_alert(day)
    test_no_deadline_but_the_missed_visits_falls_into_the_time_in_which_the_phones_catch_up(day)
