"""PINs, numbers of homes, and whose line it is: what the free number looks up, and that a PIN is kept as a hash."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from connectors.ports import PeopleRow
from monitor.core.upload import finished
from monitor.core.views import PeopleProblem
from monitor.directory import Directory, first_of

EDNA, FRED = "+441632960101", "+447700900333"


def directory(secret: bytes = b"s" * 32) -> Directory:
    numbers = count(1)
    made = Directory(lambda prefix: f"{prefix}{next(numbers)}", "Europe/London", 150.0)
    made.secret = secret
    return made


def put(made: Directory, *people: dict[str, Any]) -> tuple[PeopleProblem, ...]:
    good, problems = finished(made.read(list(people)))
    return made.apply(good, problems).problems


def worker(name: str = "cw-1", **more: Any) -> dict[str, Any]:
    return {"id": name, "role": "care_worker", "name": "Dee Vale"} | more


def at_home(name: str = "su-1", number: str = EDNA, kind: str = "landline", **more: Any) -> dict[str, Any]:
    return {"id": name, "role": "service_user", "phones": [{"number": number, "kind": kind}]} | more


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Ida Moss", "Ida"),
        ("Ida", "Ida"),
        ("Moss, Ida", "Ida"),
        ("MOSS, Mrs Ida", "Ida"),
        ("Mrs Ida Moss", "Ida"),
        ("Mrs. Moss", "Mrs M"),
        ("Dr moss", "Dr M"),
        ("Anne-Marie Moss", "Anne-Marie"),
        ("Moss,", "Moss"),
        ("", ""),
        ("Mrs", ""),
    ],
)
def test_the_first_name_is_found_however_an_office_writes_it_and_no_surname_is_told(
    name: str, first: str
) -> None:
    assert first_of(name) == first


def rows(made: Directory) -> list[PeopleRow]:
    return made.take_changes()


def test_a_pin_finds_its_care_worker_and_is_nowhere_to_be_read() -> None:
    made = directory()
    assert put(made, worker(pin="4711"), worker("cw-2", pin="08150815")) == ()
    assert made.outside(made.worker_by_pin("4711") or "") == "cw-1"
    assert made.outside(made.worker_by_pin("08150815") or "") == "cw-2"
    assert made.worker_by_pin("0815") is None
    assert made.pin_digits() == 8
    kept = b"".join(row.body or b"" for row in rows(made)) + repr(list(made.people.values())).encode()
    assert b"4711" not in kept
    assert b"08150815" not in kept


def test_another_desk_makes_another_hash_of_the_same_pin() -> None:
    bodies = []
    for secret in (b"a" * 32, b"b" * 32):
        made = directory(secret)
        put(made, worker(pin="4711"))
        bodies.append(rows(made)[-1].body)
    assert bodies[0] != bodies[1]


@pytest.mark.parametrize("pin", ["471", "471100000", "47 11", "47x1", "٤٧١١", "4711\n"])
def test_a_pin_is_four_to_eight_plain_digits(pin: str) -> None:
    made = directory()
    (problem,) = put(made, worker(pin=pin))
    assert (problem.code, problem.severity) == ("bad_pin", "warning")
    assert pin not in problem.message
    assert made.worker_by_pin(pin) is None
    assert len(made.people) == 1, "the person is taken all the same"


def test_a_service_user_has_no_pin() -> None:
    assert [p.code for p in put(directory(), at_home(pin="4711"))] == ["bad_pin"]


@pytest.mark.parametrize(
    ("upload", "still"),
    [
        ({}, True),
        ({"pin": "47"}, True),
        ({"pin": None}, False),
        ({"pin": ""}, False),
        ({"pin": "4712"}, False),
    ],
    ids=["left out", "bad", "null", "empty", "another"],
)
def test_a_pin_stays_unless_it_is_taken_away_or_changed(upload: dict[str, Any], still: bool) -> None:
    made = directory()
    put(made, worker(pin="4711"))
    put(made, worker(name="cw-1", **upload))
    assert (made.worker_by_pin("4711") is not None) is still


def test_a_pin_is_one_persons_and_free_again_when_that_one_has_another() -> None:
    made = directory()
    (problem,) = put(made, worker(pin="4711"), worker("cw-2", pin="4711"))
    assert (problem.row, problem.code) == (2, "pin_taken")
    assert made.outside(made.worker_by_pin("4711") or "") == "cw-1"
    assert put(made, worker(pin="4712"), worker("cw-2", pin="4711")) == ()
    assert made.outside(made.worker_by_pin("4711") or "") == "cw-2"


def test_the_same_people_again_are_unchanged() -> None:
    made = directory()
    upload = [worker(pin="4711"), at_home(home_number="118")]
    put(made, *upload)
    good, problems = finished(made.read(upload))
    assert made.apply(good, problems).unchanged == 2


def test_a_file_that_names_no_pin_takes_none_away_and_is_no_problem() -> None:
    made = directory()
    put(made, worker(pin="4711"))
    item = made.completed({"id": "cw-1", "name": "Dee Vale-Oak"})
    assert put(made, item) == ()
    assert made.worker_by_pin("4711") is not None


MOBILE, LANDLINE = "+447700900123", "+441632960123"


def manager(**more: Any) -> dict[str, Any]:
    phones = [
        {"number": MOBILE, "kind": "mobile", "use": "then"},
        {"number": LANDLINE, "kind": "landline", "use": "first"},
    ]
    return {"id": "om-1", "role": "staff", "phones": phones, "devices": ["tag:04", "tag:05"]} | more


def kept_numbers(made: Directory) -> list[str]:
    [person] = made.people.values()
    return [phone.number for phone in person.given.phones]


@pytest.mark.parametrize(
    ("brought", "phones", "devices"),
    [
        ({"phones_by_kind": {"mobile": []}}, [LANDLINE], 2),
        ({"phones_by_kind": {"mobile": [{"number": EDNA, "kind": "mobile"}]}}, [EDNA, LANDLINE], 2),
        ({"phones_by_kind": {"landline": []}}, [MOBILE], 2),
        ({"phones_by_kind": {"mobile": [], "landline": []}}, [], 2),
        ({"phones_by_kind": {"mobile": []}, "damaged": ["mobile"]}, [MOBILE, LANDLINE], 2),
        (
            {"phones_by_kind": {"mobile": [], "landline": []}, "damaged": ["mobile"]},
            [MOBILE],
            2,
        ),
        ({"devices": []}, [MOBILE, LANDLINE], 0),
        ({"devices": ["tag:06"], "damaged": ["devices"]}, [MOBILE, LANDLINE], 2),
    ],
)
def test_a_file_takes_no_telephone_and_no_device_that_it_does_not_plainly_speak_of(
    brought: dict[str, Any], phones: list[str], devices: int
) -> None:
    made = directory()
    put(made, manager())
    assert put(made, made.completed({"id": "om-1"} | brought)) == ()
    assert kept_numbers(made) == phones
    [person] = made.people.values()
    assert len(person.given.devices) == devices


def test_a_number_that_a_file_brings_again_keeps_its_use_and_is_no_change() -> None:
    made = directory()
    put(made, manager())
    again = [{"number": "07700 900123", "kind": "mobile"}]
    good, problems = finished(
        made.read([made.completed({"id": "om-1", "phones_by_kind": {"mobile": again}})])
    )
    assert made.apply(good, problems).unchanged == 1


def test_what_no_network_could_ring_takes_the_place_of_no_number_and_is_named() -> None:
    made = directory()
    put(made, manager())
    noted = {"id": "om-1", "phones_by_kind": {"mobile": [{"number": "seefile", "kind": "mobile"}]}}
    assert [p.code for p in put(made, made.completed(noted))] == ["bad_number"]
    put(made, made.completed(noted))
    assert sorted(kept_numbers(made)) == sorted([MOBILE, LANDLINE, "seefile"])


def test_who_is_rung_first_stays_so_when_a_file_brings_the_numbers_again() -> None:
    made = directory()
    phones = [
        {"number": number, "kind": kind}
        for number, kind in ((LANDLINE, "landline"), (MOBILE, "mobile"), (EDNA, "landline"))
    ]
    put(made, manager(phones=phones))
    again = {"mobile": [{"number": FRED, "kind": "mobile"}], "landline": [phones[0], phones[2]]}
    put(made, made.completed({"id": "om-1", "phones_by_kind": again}))
    assert kept_numbers(made) == [LANDLINE, FRED, EDNA]


def test_of_somebody_new_everything_is_taken_that_could_be_read() -> None:
    made = directory()
    brought = {
        "phones_by_kind": {"mobile": [], "landline": [{"number": LANDLINE, "kind": "landline"}]},
        "devices": ["tag:04"],
        "damaged": ["mobile", "devices"],
    }
    assert put(made, made.completed({"id": "om-1", "role": "staff"} | brought)) == ()
    assert kept_numbers(made) == [LANDLINE]
    assert len(made.devices()) == 1


def test_a_list_of_the_never_to_be_told_that_lost_a_cell_opens_no_door() -> None:
    made = directory()
    brought = {"id": "su-9", "role": "service_user", "next_of_kin": ["nok-1"], "damaged": ["never_tell"]}
    plan = {"contact_plan": {"never_tell": ["nok-3"], "lives_alone": True}}
    # of somebody new nobody knows whom the lost cell named
    assert made.completed(brought | plan)["next_of_kin"] == []
    put(made, brought | {"contact_plan": {"never_tell": ["nok-1", "nok-2"]}})
    kept = made.completed(brought | plan)["contact_plan"]
    assert kept["never_tell"] == ("nok-1", "nok-2")
    assert kept["lives_alone"]


def test_after_a_restart_everything_is_found_again() -> None:
    made, again = directory(), directory()
    put(made, worker(pin="4711"), at_home(home_number="118", devices=["line:01632 960 777"]))
    again.restore(rows(made), made.rev)
    assert again.outside(again.worker_by_pin("4711") or "") == "cw-1"
    assert again.outside(again.home_by_number("118") or "") == "su-1"
    assert again.homes_on("+441632960777") == made.homes_on("+441632960777") != ((), False)


@pytest.mark.parametrize(
    ("number", "codes"),
    [
        ("118", []),
        ("12345678", []),
        ("11", ["bad_home_number"]),
        ("SU-1", ["bad_home_number"]),
        ("", ["bad_home_number"]),
    ],
)
def test_a_homes_number_is_three_to_eight_digits(number: str, codes: list[str]) -> None:
    made = directory()
    assert [p.code for p in put(made, at_home(home_number=number))] == codes
    assert (made.home_by_number(number) is not None) is (not codes)


def test_a_homes_number_is_one_homes_and_gone_when_it_is_left_out() -> None:
    made = directory()
    problems = put(made, at_home(home_number="118"), at_home("su-2", FRED, home_number="118"))
    assert [(p.row, p.code) for p in problems] == [(2, "home_number_taken")]
    put(made, at_home())
    assert made.home_by_number("118") is None


@pytest.mark.parametrize(
    ("people", "homes", "placed"),
    [
        ([at_home()], {"su-1"}, True),
        ([at_home(kind="mobile")], {"su-1"}, False),
        ([at_home(phones=[], devices=["line:01632 960101"])], {"su-1"}, True),
        ([at_home(), at_home("su-2")], {"su-1", "su-2"}, True),
        ([at_home(), worker(phones=[{"number": EDNA, "kind": "landline"}])], {"su-1"}, True),
        ([worker(phones=[{"number": EDNA, "kind": "mobile"}])], set(), False),
        ([worker(devices=[f"line:{EDNA}"])], set(), False),
        ([at_home(number=FRED)], set(), False),
    ],
    ids=[
        "landline",
        "mobile",
        "line device",
        "couple",
        "shared with a worker",
        "a worker's",
        "a worker's line",
        "other",
    ],
)
def test_whose_line_it_is(people: list[dict[str, Any]], homes: set[str], placed: bool) -> None:
    made = directory()
    assert put(made, *people) == ()
    found, sure = made.homes_on(EDNA)
    assert ({made.outside(ref) for ref in found}, sure) == (homes, placed)


def test_a_line_that_is_given_up_names_nobody_any_more() -> None:
    made = directory()
    put(made, at_home(devices=[f"line:{FRED}"]))
    put(made, at_home(phones=[]))
    assert made.homes_on(EDNA) == made.homes_on(FRED) == ((), False)


def test_a_line_that_is_no_number_is_told() -> None:
    (problem,) = put(directory(), at_home(devices=["line:the red telephone"]))
    assert (problem.code, "red" in problem.message) == ("bad_number", False)


# --- what nobody can mean ---


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"contact_plan": {"never_tel": ["nk-1"]}}, "contact_plan.never_tel"),
        ({"phone": "+441632960101"}, "phone"),
        ({"phones": [{"number": EDNA, "type": "mobile"}]}, "phones[].type"),
        ({"homes": [{"lat": 51.4, "lon": 0.1, "lng": 0.1}]}, "homes[].lng"),
        (
            {"zip": 1, "contact_plan": {"never_tel": [], "ring": 3}},
            "contact_plan.never_tel, contact_plan.ring, zip",
        ),
        ({"Ida Moss, 12 High St": 1}, "…"),
    ],
)
def test_a_field_that_nobody_knows_is_passed_over_and_said(more: dict[str, Any], named: str) -> None:
    (problem,) = put(directory(), at_home() | more)
    assert (problem.row, problem.id, problem.code, problem.severity) == (
        1,
        "su-1",
        "unknown_field",
        "warning",
    )
    assert problem.message.endswith(f": {named}")


def test_every_field_of_the_contract_is_known() -> None:
    contract = {
        "contact_plan": {
            "public": "off",
            "channels": ["voice"],
            "ring_s": 40,
            "never_tell": [],
            "lives_alone": True,
        },
        "homes": [{"lat": 51.4, "lon": 0.1, "radius_m": 50, "from": "2026-11-01", "to": "2026-12-01"}],
        "phones": [{"number": EDNA, "kind": "mobile", "use": "first"}],
    }
    assert put(directory(), at_home() | contract) == ()


def test_whoever_is_named_and_not_known_is_said_once_all_of_the_upload_is_known() -> None:
    made = directory()
    plan = {"never_tell": ["nk-1", "nobody-such"], "spokesperson": "nk-1"}
    people = [at_home(next_of_kin=["ghost"], contact_plan=plan), {"id": "nk-1", "role": "contact"}]
    good, problems = finished(made.read(people))
    made.apply(good, problems)
    found = made.naming_strangers(good, of_a_file=False)
    assert [(one.id, one.code, one.severity) for one in found] == [("su-1", "unknown_person", "warning")] * 2
    assert [one.message.split("`")[1] for one in found] == ["contact_plan.never_tell", "next_of_kin"]
    assert not any("ghost" in one.message or "nobody" in one.message for one in found)


def test_a_person_without_a_role_is_refused_in_words_for_an_office() -> None:
    """*Object missing required field* is said of programs; it stands beside the line of a spreadsheet."""
    (problem,) = put(directory(), {"id": "x-1", "name": "Somebody Else"})
    assert (problem.code, problem.message) == ("bad_person", "Expected a value for `role`")
