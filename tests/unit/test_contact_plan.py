"""The contact plan as the directory hands it to decisions: minted ids, parsed hours, whether they are under 18."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from config.policy import Calendar
from escalation.people import PersonView, PlanView, is_quiet, may_be_told, told_lines
from monitor.directory import Directory
from tests.unit.test_directory import EDNA, FRED, at_home, directory, put, worker
from tests.unit.test_directory_devices import restarted

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATE = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
CALENDAR = Calendar()


def contact(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "role": "contact", "name": "Nora Quill"} | more


def planned(**plan: Any) -> dict[str, Any]:
    return at_home(contact_plan=plan)


def ref(made: Directory, outside: str) -> str:
    found = made.known("person", outside)
    assert found is not None
    return found


def view(made: Directory, outside: str = "su-1") -> PersonView:
    found = made.person(ref(made, outside))
    assert found is not None
    return found


def test_who_speaks_who_is_told_and_who_never_are_minted_ids_also_after_a_restart() -> None:
    made = directory()
    person = planned(spokesperson="c-1", never_tell=["c-2", "cw-9"]) | {"next_of_kin": ["c-1", "c-3"]}
    put(made, person, contact("c-1"), contact("c-2"))
    for one in (made, restarted(made)):
        seen = view(one)
        assert seen.plan.spokesperson == ref(one, "c-1")
        assert seen.plan.never_tell == {ref(one, "c-2"), ref(one, "cw-9")}
        assert seen.next_of_kin == (ref(one, "c-1"), ref(one, "c-3"))


def test_nobody_who_is_never_to_be_told_is_next_of_kin_or_speaks_for_them() -> None:
    made = directory()
    person = planned(spokesperson="c-1", never_tell=["c-1"]) | {"next_of_kin": ["c-1", "c-2"]}
    assert [p.code for p in put(made, person)] == ["never_told"]
    assert view(made).plan.spokesperson is None
    assert view(made).next_of_kin == (ref(made, "c-2"),)


def test_why_somebody_is_never_told_stands_in_no_view() -> None:
    made = directory()
    put(made, planned(never_tell=["c-1"], never_tell_reason="took her savings"))
    assert "savings" not in repr(view(made))
    assert made.people[ref(made, "su-1")].given.contact_plan is not None


@pytest.mark.parametrize(("given", "kept"), [(10, 30), (30, 30), (50, 50), (90, 90), (120, 90), (None, None)])
def test_a_service_user_is_rung_for_thirty_to_ninety_seconds(given: int | None, kept: int | None) -> None:
    made = directory()
    put(made, planned(ring_s=given))
    assert view(made).plan.ring_s == kept


@pytest.mark.parametrize(
    ("at", "time_critical", "outside_hours", "quiet"),
    [
        (NOON, False, "nobody", False),
        (LATE, False, "nobody", True),
        (LATE, True, "nobody", True),
        (LATE, True, "time_critical", False),
        (LATE, False, "time_critical", True),
        (datetime(2026, 11, 23, 6, 59, 59, tzinfo=UTC), False, "nobody", True),
        (datetime(2026, 11, 23, 7, 0, tzinfo=UTC), False, "nobody", False),
        (datetime(2026, 11, 23, 21, 59, 59, tzinfo=UTC), False, "nobody", False),
        (datetime(2026, 11, 23, 22, 0, tzinfo=UTC), False, "nobody", True),
    ],
)
def test_outside_their_hours_it_is_quiet(
    at: datetime, time_critical: bool, outside_hours: str, quiet: bool
) -> None:
    made = directory()
    assert put(made, planned(hours="daily 07:00-22:00", outside_hours=outside_hours)) == ()
    assert is_quiet(view(made).plan, at, CALENDAR, time_critical=time_critical) is quiet


def test_without_hours_it_is_never_quiet() -> None:
    assert not is_quiet(PlanView(), LATE, CALENDAR, time_critical=False)


@pytest.mark.parametrize("hours", ["always", "otherwise", "Mon-Fri 9-5"])
def test_hours_that_cannot_be_read_are_a_warning_and_make_nothing_quiet(hours: str) -> None:
    made = directory()
    (problem,) = put(made, planned(hours=hours))
    assert (problem.code, problem.severity) == ("bad_hours", "warning")
    assert view(made).plan.quiet is None


@pytest.mark.parametrize(
    ("born", "minor"), [("2008-11-24", True), ("2008-11-23", False), ("1940-01-01", False), (None, False)]
)
def test_on_their_eighteenth_birthday_they_are_a_minor_no_more(born: str | None, minor: bool) -> None:
    made = directory()
    made.new_day(NOON)
    put(made, at_home(born=born))
    assert view(made).plan.minor is minor
    made.new_day(NOON.replace(day=24))
    assert view(made).plan.minor is False


def test_a_day_that_is_known_later_finds_the_minors_too() -> None:
    made = directory()
    put(made, at_home(born="2015-05-01"), contact("c-1"))
    made.new_day(NOON)
    assert view(made).plan.minor
    assert not view(made, "c-1").plan.minor


def test_what_a_replacement_must_be_like() -> None:
    made = directory()
    home = at_home(
        needs=["hoist", "peg"], not_with=["cw-2"], prefers="female", contract="lbb", client_group="adults"
    )
    put(
        made,
        home,
        worker(skills=["hoist"], gender="female", hours_week=30, offer_hours="Mon-Fri 07:00-14:00"),
    )
    seen, dee = view(made), view(made, "cw-1")
    assert (seen.needs, seen.prefers, seen.contract, seen.client_group) == (
        {"hoist", "peg"},
        "female",
        "lbb",
        "adults",
    )
    assert seen.not_with == {ref(made, "cw-2")}
    assert (dee.skills, dee.gender, dee.hours_week) == ({"hoist"}, "female", 30)
    assert dee.offer_hours is not None
    assert CALENDAR.in_hours(dee.offer_hours, NOON)


def test_the_care_workers_are_one_tuple_until_one_of_them_changes() -> None:
    made = directory()
    put(made, worker(), worker("cw-2"), at_home())
    first = made.care_workers()
    assert [made.outside(one.ref) for one in first] == ["cw-1", "cw-2"]
    put(made, at_home(name="su-2", number=FRED))
    assert made.care_workers() is first
    put(made, worker(skills=["hoist"]))
    assert [one.skills for one in made.care_workers()] == [{"hoist"}, frozenset()]
    put(made, worker("cw-2", role="staff"))
    assert [made.outside(one.ref) for one in made.care_workers()] == ["cw-1"]


def test_the_household_s_line_is_rung_after_their_own_and_once() -> None:
    made = directory()
    own = {"number": FRED, "kind": "mobile"}
    put(
        made,
        {"id": "su-1", "role": "service_user", "phones": [own], "contact_plan": {"household_line": EDNA}},
    )
    lines = view(made).lines
    assert [(made.number(line.ref), line.kind) for line in lines] == [(FRED, "mobile"), (EDNA, "landline")]
    put(made, at_home(contact_plan={"household_line": EDNA}))
    assert len(view(made).lines) == 1


# --- never to be told ---


def household() -> Directory:
    """su-1 must not be heard of by c-1, who answers EDNA's line too, nor by the care worker cw-1."""
    made = directory()
    put(
        made,
        {
            "id": "su-1",
            "role": "service_user",
            "phones": [{"number": EDNA, "kind": "landline"}, {"number": FRED}],
            "contact_plan": {"never_tell": ["c-1", "cw-1"]},
        },
        contact("c-1", phones=[{"number": EDNA, "kind": "landline"}]),
        worker(phones=[{"number": "07700900444"}]),
        contact("c-2", phones=[{"number": "07700900555"}]),
        at_home("su-2", "+441632960102"),
    )
    return made


@pytest.mark.parametrize(
    ("about", "person", "told"),
    [
        ("su-1", "c-1", False),
        ("su-1", "cw-1", False),
        ("su-1", "c-2", True),
        ("su-1", "su-1", True),
        ("su-2", "c-1", True),
        (None, "c-1", True),
    ],
)
def test_never_to_be_told_is_about_one_person_and_any_role(
    about: str | None, person: str, told: bool
) -> None:
    made = household()
    assert may_be_told(made, ref(made, about) if about else None, ref(made, person)) is told


def test_a_line_that_they_use_too_is_not_used() -> None:
    made = household()
    about = ref(made, "su-1")
    shared, own = view(made).lines
    assert not may_be_told(made, about, about, shared.ref)
    assert may_be_told(made, about, about, own.ref)
    assert told_lines(made, about, view(made)).lines == (own,)
    assert told_lines(made, about, view(made, "cw-1")).lines == ()
    same = view(made, "c-2")
    assert told_lines(made, about, same) is same
