"""A policy change with many visits is taken in by portions: nothing waits for all of it, and a restart loses none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from config.policy import Policy
from monitor.core import facts as f
from monitor.core.desk import evolve
from monitor.core.inputs import DeadlineReached, PolicyLoaded, RotaRow
from monitor.core.replanning import CHANGED, LOOKED_AT
from monitor.core.state import REPLAN
from tests.core.driver import DUTY, MONDAY, Desk

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MANY = 3 * CHANGED + 7


def desk_with(count: int) -> Desk:
    desk = Desk()
    desk.upload(
        *[
            RotaRow(
                row=n,
                key=f"v{n}",
                visit=f"v{n}",
                service_user="ed",
                start=MONDAY + HOUR + n * MINUTE,
                end=MONDAY + 2 * HOUR + n * MINUTE,
            )
            for n in range(1, count + 1)
        ]
    )
    return desk


def loaded(minutes: int = 10, **policy: timedelta) -> PolicyLoaded:
    policy.setdefault("rota_old_after", timedelta(days=14))
    late = Policy(late_after=minutes * MINUTE, **policy)
    return PolicyLoaded(policy=late, duty=DUTY, council_desks=(), holidays=(), public="auto")


def tolerances(desk: Desk) -> set[timedelta]:
    return {visit.late_at - visit.start for visit in desk.state.values.visits.values()}


def turn(desk: Desk) -> int:
    """One portion; how many visits it changed."""
    at, before = desk.state.values.replan_at, len(desk.facts)
    assert at is not None
    desk.now = max(desk.now, at)
    assert [subject for subject, _ in desk.state.take_due(desk.now, 1)] == [REPLAN]
    desk.tell(DeadlineReached(subject=REPLAN, due_at=at))
    return sum(isinstance(fact.body, f.VisitReplanned) for fact in desk.facts[before:])


def test_a_few_visits_are_planned_anew_at_once() -> None:
    desk = desk_with(CHANGED)
    desk.tell(loaded())
    assert tolerances(desk) == {10 * MINUTE}
    assert desk.bodies(f.PolicySpread) == []


def test_many_are_planned_anew_by_portions_and_all_of_them() -> None:
    desk = desk_with(MANY)
    desk.tell(loaded())
    assert tolerances(desk) == {30 * MINUTE}
    assert [turn(desk) for _ in range(4)] == [CHANGED, CHANGED, CHANGED, 7]
    assert tolerances(desk) == {10 * MINUTE}
    assert desk.state.values.replan_at is None
    assert [body.left for body in desk.bodies(f.PolicySpread)] == [MANY, 2 * CHANGED + 7, CHANGED + 7, 7, 0]


def test_a_change_that_moves_no_deadline_only_looks_at_them() -> None:
    desk = desk_with(LOOKED_AT + 1)
    desk.tell(loaded(30, summon_next=7 * MINUTE))
    assert [turn(desk), turn(desk)] == [0, 0]
    assert desk.state.values.replan_at is None


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("turns", range(4))
def test_a_restart_anywhere_in_between_goes_on(turns: int, snapshot: bool) -> None:
    desk = desk_with(MANY)
    desk.tell(loaded())
    for _ in range(turns):
        turn(desk)
    desk.restart(snapshot=snapshot)
    desk.advance(seconds=1)
    assert tolerances(desk) == {10 * MINUTE}
    assert desk.state.values.replan_at is None
    assert len(desk.bodies(f.VisitReplanned)) == MANY, "none twice"


def test_facts_that_follow_a_snapshot_leave_the_same_visits_to_do() -> None:
    desk = desk_with(MANY)
    desk.tell(loaded())
    turn(desk)
    snapshot, before = desk.restarted(), len(desk.facts)
    turn(desk)
    desk.state = snapshot
    for fact in desk.facts[before:]:
        evolve(desk.state, fact)
    desk.advance(seconds=1)
    assert tolerances(desk) == {10 * MINUTE}


def test_a_second_change_in_the_middle_of_the_first_is_the_one_that_holds() -> None:
    desk = desk_with(MANY)
    desk.tell(loaded(10))
    turn(desk)
    desk.tell(loaded(20))
    desk.advance(seconds=1)
    assert tolerances(desk) == {20 * MINUTE}


def test_what_falls_due_meanwhile_has_its_turn_before_the_next_portion() -> None:
    desk = desk_with(MANY)
    desk.plan("due", start=desk.now - 30 * MINUTE + timedelta(microseconds=1500))
    desk.tell(loaded())
    desk.advance(seconds=1)
    kinds = [type(fact.body).__name__ for fact in desk.facts]
    assert kinds.index("AlertRaised") < len(kinds) - 1 - kinds[::-1].index("PolicySpread")
    assert desk.alert().due_at == desk.visit("due").late_at


def test_what_has_become_due_or_settled_or_is_attended_meanwhile_keeps_what_it_had() -> None:
    desk = desk_with(MANY)
    last = f"v{MANY}"
    desk.tell(loaded())
    turn(desk)
    desk.check(visit=last, at=desk.now)
    desk.advance(seconds=1)
    changed = {fact.subject for fact in desk.facts if isinstance(fact.body, f.VisitReplanned)}
    assert (last in changed) is not desk.visit(last).anybody_there
    assert len(changed) >= MANY - 1
