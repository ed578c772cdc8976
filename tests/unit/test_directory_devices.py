"""Devices, tags, cards and homes in the directory: one spelling, one owner, the home of the day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from monitor.core.upload import finished
from monitor.directory import Directory, Region, device_name
from tests.unit.test_directory import directory, put, rows, worker

PHONE = "owntracks:u17/phone"


def owner(made: Directory, device: str) -> str | None:
    ref = made.worker_of(made.known("device", device) or "")
    return made.outside(ref) if ref else None


def service_user(name: str = "su-1", **more: Any) -> dict[str, Any]:
    return {"id": name, "role": "service_user", "name": "Edna Quill"} | more


def restarted(made: Directory) -> Directory:
    """The same directory from what the store holds: of each row the last."""
    kept = {(row.kind, row.outside): row for row in rows(made)}
    again = directory()
    again.restore(kept.values(), made.rev)
    return again


@pytest.mark.parametrize(
    ("outside", "name"),
    [
        ("tag:04A2B1C3", "tag:04a2b1c3"),
        ("TAG:04:a2:B1:c3", "tag:04a2b1c3"),
        ("Tag: 04-a2-b1-c3 ", "tag:04a2b1c3"),
        ("tag:04 a2 b1 c3 d4 e5 f6", "tag:04a2b1c3d4e5f6"),
        ("tag:Front-Door", "tag:front-door"),
        (PHONE, PHONE),
        ("traccar:AB:CD", "traccar:AB:CD"),
        ("line:+441632960101", "line:+441632960101"),
    ],
)
def test_a_tag_has_one_spelling_and_other_devices_are_as_they_stand(outside: str, name: str) -> None:
    assert device_name(outside) == name


def test_a_device_that_is_handed_on_is_the_new_person_s_alone_also_after_a_restart() -> None:
    made = directory()
    put(made, worker(devices=[PHONE, "traccar:1"]))
    (problem,) = put(made, worker("cw-2", devices=[PHONE]))
    assert (problem.code, problem.severity, problem.id) == ("device_moved", "warning", "cw-2")
    assert PHONE not in problem.message
    # the first person's row is written last: it must not bring the phone back
    put(made, worker(devices=["traccar:1"], first_name="Dee"))
    for one in (made, restarted(made)):
        assert (owner(one, PHONE), owner(one, "traccar:1")) == ("cw-2", "cw-1")


def test_whose_tag_is_spelled_with_colons_can_be_changed_and_harms_nobody_after_her() -> None:
    made = directory()
    line, tag = "+441632960101", "TAG:04:A2:11:22"
    phones = [{"number": line, "kind": "mobile"}]
    edna = service_user(devices=[tag, f"line:{line}"], phones=phones, home_number="471")
    dee = worker(devices=["Tag:99-A2-11-22"], pin="4711")
    put(made, edna, dee)
    changed = ({"name": "Edna Quill-Vale"}, {"name": "Dee V"})
    assert put(made, edna | changed[0], dee | changed[1], worker("cw-2")) == ()
    for one in (made, restarted(made)):
        assert owner(one, "tag:04a21122") == "su-1"
        assert one.outside(one.card_holder("99a21122") or "") == "cw-1"
        assert one.outside(one.worker_by_pin("4711") or "") == "cw-1"
        ref = one.known("person", "su-1") or ""
        assert (one.full_name(ref), one.home_by_number("471")) == ("Edna Quill-Vale", ref)
        assert one.persons_on(line) == (one.known("line", line), (ref,))
        assert one.homes_on(line) == ((ref,), True)
        assert one.known("person", "cw-2") in one.people


def test_the_rows_of_two_who_claimed_one_phone_agree_in_any_order() -> None:
    made = directory()
    put(made, worker(devices=[PHONE]), worker("cw-2", devices=[PHONE]))
    kept = {(row.kind, row.outside): row for row in rows(made)}
    for order in (list(kept.values()), list(reversed(kept.values()))):
        again = directory()
        again.restore(order, made.rev)
        assert owner(again, PHONE) == "cw-2"


def test_a_household_shares_its_line_and_nobody_is_warned() -> None:
    made = directory()
    line = {"devices": ["line:+441632960101"]}
    assert put(made, service_user(**line), service_user("su-2", **line)) == ()


def test_a_card_is_its_care_worker_s_and_a_tag_in_a_home_is_no_card() -> None:
    made = directory()
    put(made, worker(devices=["tag:04A2B1C3", "traccar:card-7"]), service_user(devices=["tag:99A2B1C3"]))
    holders = [made.card_holder(card) for card in ("04:a2:b1:c3", "card-7", "99a2b1c3", "none")]
    assert [made.outside(ref) if ref else None for ref in holders] == ["cw-1", "cw-1", None, None]


# --- homes and their regions ---

MOVED = [
    {"lat": 51.41, "lon": 0.01, "radius_m": 80, "to": "2026-06-30"},
    {"lat": 51.42, "lon": 0.02, "radius_m": 90, "from": "2026-07-01"},
]


@pytest.mark.parametrize(
    ("at", "lat"),
    [
        (datetime(2026, 6, 30, 22, 59, tzinfo=UTC), 51.41),  # 23:59 local
        (datetime(2026, 6, 30, 23, 0, tzinfo=UTC), 51.42),  # midnight local
    ],
)
def test_the_home_is_that_of_the_local_day_and_its_region_keeps_its_marks(at: datetime, lat: float) -> None:
    made = directory()
    put(made, service_user(homes=MOVED))
    ref = made.known("person", "su-1") or ""
    assert [home.lat for home in made.homes(ref, at)] == [lat]
    (region,) = made.regions(ref, at)
    assert (region.label, region.home.lat) == ("su-1", lat)
    for mark in (f"rid:{region.rid}", f"wtst:{region.tst}", "desc:su-1"):
        assert made.home_of(["desc:something else", mark]) == ref


def test_regions_outlive_a_restart() -> None:
    made = directory()
    put(made, service_user(homes=MOVED[:1]))
    ref, at = made.known("person", "su-1") or "", datetime(2026, 6, 1, tzinfo=UTC)
    again = restarted(made)
    assert again.regions(ref, at) == made.regions(ref, at)
    assert again.home_of([f"wtst:{made.regions(ref, at)[0].tst}"]) == ref


def test_two_homes_at_once_or_nobody_s_are_no_answer() -> None:
    made = directory()
    put(made, service_user(), service_user("su-2"), worker())
    assert made.home_of(["desc:su-1", "desc:su-2"]) is None
    assert made.home_of(["desc:cw-1", "rid:6da9cf", "wtst:1774000000"]) is None
    assert made.home_of([]) is None


def test_two_people_with_the_same_mark_are_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Region, "tst", property(lambda _: 1_000_000_007))
    made = directory()
    put(made, service_user(), service_user("su-2"))
    assert made.home_of(["wtst:1000000007"]) is None
    assert made.outside(made.home_of(["wtst:1000000007", "desc:su-2"]) or "") == "su-2"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("callwatch:phone-17", "callwatch:phone-17"),
        ("phone-17", "callwatch:phone-17"),
        (" traccar:8612 ", "traccar:8612"),
        ("owntracks:u17", "owntracks:u17"),
        ("callwatch:Dee's phone", "callwatch:Dee's phone"),
        ("tag:Front-Door", "tag:front-door"),
    ],
)
def test_a_device_is_found_as_check_ins_name_it_however_an_office_writes_it(written: str, read: str) -> None:
    made = directory()
    assert put(made, worker(devices=[written])) == ()
    assert owner(made, read) == "cw-1"
    good, _ = finished(made.read([worker(devices=[written])]))
    assert made.apply(good, []).unchanged == 1


@pytest.mark.parametrize(
    "device",
    [
        "",
        "callwatch:",
        "callwatch:a/b",
        "callwatch:#",
        "owntracks:u/phone/",
        "owntracks:+/x",
        "04:a2:b1:c3",
        "CALLWATCH:p",
        "tag:",
    ],
)
def test_a_device_of_which_nothing_can_ever_be_heard_is_said(device: str) -> None:
    (problem,) = put(directory(), worker(devices=[device, PHONE]))
    assert (problem.code, problem.severity, problem.id) == ("bad_device", "warning", "cw-1")


@pytest.mark.parametrize(
    ("home", "counts"),
    [
        ({"lat": 91, "lon": 0.1}, False),
        ({"lat": 51.4, "lon": 180.5}, False),
        ({"lat": 0, "lon": 0}, False),
        ({"lat": 51.4, "lon": 0, "radius_m": -50}, True),
        ({"lat": 51.4, "lon": 0, "from": "2026-11-25", "to": "2026-11-24"}, False),
    ],
)
def test_a_home_that_cannot_be_is_said_and_counts_for_nobody_as_a_place(
    home: dict[str, Any], counts: bool
) -> None:
    made = directory()
    (problem,) = put(made, service_user(homes=[home]))
    assert (problem.code, problem.severity) == ("bad_home", "warning")
    homes = made.homes(made.known("person", "su-1") or "", datetime(2026, 11, 24, 12, tzinfo=UTC))
    assert [one.radius_m for one in homes] == ([made.default_radius_m] if counts else [])


def test_a_home_on_the_meridian_or_of_one_day_is_no_problem() -> None:
    homes = [
        {"lat": 51.4779, "lon": 0, "radius_m": 0},
        {"lat": -90, "lon": 180, "radius_m": 50, "from": "2026-11-25", "to": "2026-11-25"},
    ]
    assert put(directory(), service_user(homes=homes)) == ()


def test_a_person_is_the_same_with_spaces_around_the_id_as_in_a_rota() -> None:
    made = directory()
    put(made, service_user(" su-1 "))
    assert made.known("person", "su-1") in made.people
