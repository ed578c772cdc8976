"""A large upload is taken in by portions: what comes in between, and what is left when it is cut off anywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core import facts as f
from monitor.core.inputs import RotaReceived, RotaRow
from monitor.core.state import CUT_OFF_AFTER, Visit
from monitor.core.upload import Plan, finished, portions, prepared
from tests.core.days import copy_of
from tests.core.driver import MONDAY, NOWHERE, Desk
from tests.core.test_rota import DAY, HOUR, MINUTE, ROWS, row

FAR = MONDAY + timedelta(days=1)
WEEK = {"covers_from": MONDAY, "covers_to": MONDAY + timedelta(days=7)}


def plan_of(desk: Desk, *rows: RotaRow, **upload: Any) -> Plan:
    return finished(
        prepared(desk.state, RotaReceived(upload="u", evidence=NOWHERE, rows=rows, **upload), desk.now)
    )


def far(*numbers: int, **given_: Any) -> tuple[RotaRow, ...]:
    given_.setdefault("start", FAR)
    return tuple(row(number, **given_) for number in numbers)


def replacing() -> tuple[Desk, Plan]:
    """A desk with ten visits, and a complete upload that moves v1 to v4, drops v5, keeps v6 to v10, adds v11 and cannot
    read v12."""
    desk = Desk()
    desk.upload(*far(*range(1, 11)))
    rows = (*far(1, 2, 3, 4, start=FAR + HOUR), *far(*range(6, 12)), *far(12, start=None))
    return desk, plan_of(desk, *rows, complete=True, **WEEK)


def visits(desk: Desk) -> dict[str, Visit]:
    return desk.state.values.visits


# --- the same, however it is cut ---


def but_for_ids(desk: Desk) -> dict[str, Any]:
    """Ids are minted in the order of the facts, and what a portion sets off stands before the next portion's facts."""
    values = desk.state.values
    alerts = [(a.kind, a.visit, a.reason, a.state, a.count, a.tracks) for a in values.alerts.values()]
    messages = [(m.person, m.template, m.purpose, m.result, m.next_at) for m in values.messages.values()]
    questions = {
        line: [(q.template, q.open, q.closed_at) for q in asked] for line, asked in values.questions.items()
    }
    told = {"alerts": alerts, "messages": messages, "questions": questions}
    return copy_of(values) | {name: sorted_by_text(entries) for name, entries in told.items()}


def sorted_by_text(entries: Any) -> Any:
    """In an order that the ids have no part in."""
    if isinstance(entries, dict):
        return {name: sorted_by_text(each) for name, each in entries.items()}
    return sorted(entries, key=repr)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(ROWS, st.booleans(), st.booleans(), st.integers(0, 300)), max_size=4),
    st.integers(1, 4),
)
def test_in_portions_the_same_is_watched_and_answered_as_in_one(
    uploads: list[tuple[list[RotaRow], bool, bool, int]], most: int
) -> None:
    whole, cut = Desk(), Desk()
    for rows, complete, confirm, minutes in uploads:
        more = {"complete": complete, "confirm": confirm, **(DAY if complete else {})}
        answers = whole.upload(*rows, **more), cut.upload(*rows, portion=most, **more)
        assert answers[0].answer == answers[1].answer
        assert answers[0].refusal == answers[1].refusal
        for desk in (whole, cut):
            desk.advance(minutes=minutes)
        assert but_for_ids(whole) == but_for_ids(cut)
        assert copy_of(cut.replayed().values) == copy_of(cut.state.values)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_no_portion_has_more_rows_than_it_may_and_none_is_lost(most: int) -> None:
    _, plan = replacing()
    parts = list(portions(plan, most))
    sizes = [len(part.plan) + len(part.mend) + len(part.refuse) + len(part.cancel) for part in parts]
    assert max(sizes) <= most
    assert sum(sizes) == 12
    assert [part.ends is not None for part in parts] == [False] * (len(parts) - 1) + [True]


def test_an_upload_without_any_row_is_one_portion() -> None:
    [only] = portions(plan_of(Desk()), 1)
    assert (only.begins, only.ends is not None) == (None, True)


def test_what_is_cancelled_comes_last_and_that_all_was_taken_in_last_of_all() -> None:
    desk, plan = replacing()
    before = len(desk.facts)
    desk.portions(plan, 1)
    kinds = [type(fact.body).__name__ for fact in desk.facts[before:]]
    assert kinds[0] == "RotaBegun"
    assert kinds[-1] == "RotaAdopted"
    planned = [at for at, kind in enumerate(kinds) if kind in ("VisitPlanned", "VisitReplanned")]
    assert max(planned) < kinds.index("RowRefused") < kinds.index("VisitCancelled")


def test_an_upload_of_one_portion_is_one_append_as_ever() -> None:
    desk = Desk()
    desk.upload(*far(1, 2))
    assert desk.bodies(f.RotaBegun) == []
    assert desk.state.values.rota_begun is None


# --- cut off ---


@pytest.mark.parametrize("told", range(1, 12))
@pytest.mark.parametrize("snapshot", [True, False])
def test_cut_off_anywhere_and_sent_again_the_end_is_the_same(told: int, snapshot: bool) -> None:
    whole, plan = replacing()
    whole.portions(plan, 1)

    desk, plan = replacing()
    parts = list(portions(plan, 1))
    assert len(parts) == 12
    for part in parts[:told]:
        desk.tell(part)
    assert {visit.ref for visit in visits(desk).values() if visit.cancelled} == set()
    desk.restart(snapshot=snapshot)
    again = plan_of(desk, *plan.upload.rows, complete=True, **WEEK)
    assert not again.confirm_needed
    desk.portions(again, 1)
    assert visits(desk) == visits(whole)
    assert desk.state.values.unwatched.keys() == whole.state.values.unwatched.keys()
    assert desk.state.values.rota_begun is None
    assert [alert.reason for alert in desk.alerts("rota")] == ["rows_not_watched"]


def cut_off(rows: int = 4, told: int = 2) -> Desk:
    desk = Desk()
    for part in list(portions(plan_of(desk, *far(*range(1, rows + 1))), 1))[:told]:
        desk.tell(part)
    return desk


def alarms(desk: Desk) -> list[tuple[str, str, int]]:
    return [(alert.reason, alert.state, alert.count) for alert in desk.alerts("rota")]


@pytest.mark.parametrize(
    ("short_of", "found"), [(MINUTE / 60, []), (0 * MINUTE, [("rota_cut_off", "open", 4)])]
)
def test_an_upload_that_was_cut_off_and_did_not_come_again_is_an_alarm_to_the_second(
    short_of: timedelta, found: list[tuple[str, str, int]]
) -> None:
    desk = cut_off()
    desk.restart()
    desk.advance(seconds=(CUT_OFF_AFTER - short_of).total_seconds())
    assert alarms(desk) == found
    if found:
        assert {m.template for m in desk.messages("summon")} <= {"OC-44", "OCV-3"}
        assert desk.messages("summon")


def test_it_is_told_once_and_ends_with_an_upload_as_large() -> None:
    desk = cut_off()
    desk.advance(hours=2)
    assert alarms(desk) == [("rota_cut_off", "open", 4)]
    desk.upload(*far(1))
    assert alarms(desk) == [("rota_cut_off", "open", 4)]
    desk.upload(*far(1, 2, 3, 4))
    assert alarms(desk) == [("rota_cut_off", "ended", 4)]


@pytest.mark.parametrize(("rows", "found"), [(3, [("rota_cut_off", "open", 4)]), (4, [])])
def test_a_smaller_upload_does_not_stand_for_the_one_that_was_cut_off(
    rows: int, found: list[tuple[str, str, int]]
) -> None:
    desk = cut_off()
    desk.upload(*far(*range(1, rows + 1)))
    desk.advance(hours=1)
    assert alarms(desk) == found


def test_an_upload_that_was_cut_off_does_not_make_the_rota_new() -> None:
    desk = Desk(rota_old_after=timedelta(hours=24))
    desk.upload(*far(1, start=MONDAY + timedelta(days=5)))
    desk.advance(hours=23)
    for part in list(portions(plan_of(desk, *far(*range(1, 5), start=MONDAY + timedelta(days=5))), 1))[:2]:
        desk.tell(part)
    desk.advance(hours=1)
    assert "rota_old" in {reason for reason, _, _ in alarms(desk)}


# --- what comes in between ---


def between(desk: Desk, plan: Plan, number: int, happens: Callable[[], object]) -> None:
    desk.portions(plan, 1, lambda at: happens() if at == number else None)


@pytest.mark.parametrize("number", range(1, 11))
def test_who_arrives_between_two_portions_has_arrived_and_nothing_of_it_is_cancelled_or_lost(
    number: int,
) -> None:
    desk = Desk()
    near = MONDAY + 10 * MINUTE
    desk.upload(*(row(n, start=near) for n in range(1, 4)), *far(*range(4, 16)))
    rows = (row(1, start=near + HOUR), row(2, start=near), *far(*range(4, 13)))
    plan = plan_of(desk, *rows, complete=True, confirm=True, **WEEK)
    assert [ref for ref, _ in plan.cancel] == ["v3", "v13", "v14", "v15"]

    def arrive() -> None:
        for ref in ("v1", "v2", "v3"):
            desk.check(visit=ref, device=None, worker=f"w{ref[1:]}", service_user="ed", tag=True)

    between(desk, plan, number, arrive)
    assert [visits(desk)[ref].anybody_there for ref in ("v1", "v2", "v3")] == [True, True, True]
    assert {visit.ref for visit in visits(desk).values() if visit.cancelled} == {"v13", "v14", "v15"}
    [adopted] = [body for body in desk.bodies(f.RotaAdopted) if body.cancelled]
    assert adopted.cancelled == 3


@pytest.mark.parametrize("number", range(1, 5))
def test_a_visit_that_is_missed_between_two_portions_keeps_its_alert_and_is_not_cancelled(
    number: int,
) -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY), row(2, start=MONDAY), *far(*range(3, 9)))
    rows = (row(1, start=MONDAY + 8 * HOUR), *far(*range(3, 7)))
    plan = plan_of(desk, *rows, complete=True, confirm=True, **WEEK)
    assert [ref for ref, _ in plan.cancel] == ["v2", "v7", "v8"]
    assert len(list(portions(plan, 1))) == 8
    between(desk, plan, number, lambda: desk.advance(minutes=31))
    late = {alert.visit for alert in desk.alerts("late_visit")}
    assert late == {
        "v1",
        "v2",
    }  # the one was moved too late to move its deadline, the other is dropped no more
    assert not visits(desk)["v2"].cancelled


def test_a_visit_that_a_person_settles_between_two_portions_stays_settled() -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY), *far(2, 3))
    desk.advance(minutes=31)
    plan = plan_of(desk, *far(2, 3), row(1, start=MONDAY))
    between(desk, plan, 1, lambda: desk.act("close", "mary", reason="outcome_recorded"))
    assert visits(desk)["v1"].resolved
    desk.advance(hours=3)
    assert len(desk.alerts("late_visit")) == 1
