"""Whatever happens in whatever order: nothing goes unwatched, and a restart finds what was there (design.md)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.core import facts as f
from monitor.core.inputs import DayRolled, DeadlineReached
from monitor.core.placing.facts import PlacingBody
from monitor.core.state import State
from tests.core.days import OPS, Op, busy_day, copy_of, do, quiet_ends, tidy_up, unwatched
from tests.core.driver import MONDAY, Desk

pytestmark = pytest.mark.timeout(300)
"""Half a minute each alone; the machine may be shared."""

NUMBER = st.integers(0, 999)
DAYS = st.lists(st.tuples(st.sampled_from(OPS), NUMBER, NUMBER, NUMBER), max_size=25)


@settings(max_examples=150, deadline=None)
@given(DAYS)
def test_nothing_goes_unwatched_and_every_deadline_makes_progress(day: list[Op]) -> None:
    desk = Desk()
    for op in day:
        do(desk, op)
        desk.advance()
        assert unwatched(desk) == []
        assert quiet_ends(desk) == []
        following = desk.state.next_deadline()
        assert following is None or following > desk.now
        assert desk.state.overdue(desk.now) == 0
    desk.advance(hours=50)
    assert unwatched(desk) == []


@settings(max_examples=60, deadline=None)
@given(DAYS)
def test_folding_the_journal_again_gives_an_equal_state(day: list[Op]) -> None:
    desk = Desk()
    for op in day:
        do(desk, op)
    again = desk.replayed()
    assert copy_of(again.values) == copy_of(desk.state.values)
    assert (again.seq, again.next_deadline()) == (desk.state.seq, desk.state.next_deadline())
    assert again.by_worker == desk.state.by_worker
    assert again.by_service_user == desk.state.by_service_user
    assert again.by_print == desk.state.by_print
    assert again.open_by == desk.state.open_by == State(desk.state.values).open_by


@settings(max_examples=60, deadline=None)
@given(DAYS)
def test_what_a_decision_saw_of_its_own_facts_is_what_they_are_folded_to(day: list[Op]) -> None:
    """Live, values are taken over from the decision; this desk works each of them out again."""
    taught, alone = Desk(), Desk(takes_over=False)
    for op in day:
        do(taught, op)
        do(alone, op)
    assert copy_of(alone.state.values) == copy_of(taught.state.values)
    assert alone.facts == taught.facts


def test_an_alert_takes_over_what_its_decision_saw() -> None:
    """The property above would hold as well if nothing were ever taken over."""
    desk = Desk()
    desk.plan()
    desk.now = MONDAY + timedelta(minutes=30)
    ((subject, due_at),) = desk.state.take_due(desk.now, 10)
    decision = desk.tell(DeadlineReached(subject=subject, due_at=due_at))
    raised = [fold.alert.after for fold in decision.folds if fold.alert is not None]
    assert desk.alert() is raised[-1]


@example(before=[("check", 41, 0, 0), ("line", 0, 0, 0)], after=[("line", 0, 0, 0)])
@settings(max_examples=60, deadline=None)
@given(DAYS, DAYS)
def test_a_snapshot_goes_on_as_if_nothing_had_been(before: list[Op], after: list[Op]) -> None:
    """Two desks live the same day; one of them is restarted from its snapshot in the middle."""
    stayed, restarted = Desk(), Desk()
    for op in before:
        do(stayed, op)
        do(restarted, op)
    restarted.restart()
    stayed.hear_anew()
    assert restarted.state.next_deadline() == stayed.state.next_deadline()
    for op in after:
        do(stayed, op)
        do(restarted, op)
    assert copy_of(restarted.state.values) == copy_of(stayed.state.values)


def test_busy_days_between_them_have_every_kind_of_fact_and_survive_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a council's packages have days of their own (tests/core/test_placing_days.py)
    kinds = set(f.KINDS) - {kind.__name__ for kind in PlacingBody.__args__}
    seen: set[str] = set()
    for seed in range(40):
        if seed >= 6 and seen >= kinds:
            break
        # a day in the hand has few visits: on every second one a changed policy reaches them one by one
        monkeypatch.setattr("monitor.core.replanning.CHANGED", 1 if seed % 2 else 100)
        desk = busy_day(seed, steps=300)
        tidy_up(desk)
        again = desk.replayed()
        assert copy_of(again.values) == copy_of(desk.state.values)
        seen |= {type(fact.body).__name__ for fact in desk.facts}
    assert kinds - seen == set()


def test_the_day_rolls_over_once_and_touches_nothing_that_is_open() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.send_all()
    before = (
        dict(desk.state.values.visits),
        dict(desk.state.values.alerts),
        dict(desk.state.values.messages),
    )
    desk.now += timedelta(seconds=1)
    for _ in range(2):
        desk.tell(DayRolled(day=MONDAY.date()))
    assert (desk.state.values.visits, desk.state.values.alerts, desk.state.values.messages) == before
    assert len(desk.bodies(f.DayRolledOver)) == 1


def test_the_roll_over_drops_what_was_carried_long_enough() -> None:
    desk = Desk()
    desk.text("fay", word="other")
    desk.plan()
    desk.advance(minutes=31)
    desk.send_all()
    desk.check()
    desk.advance(minutes=10)
    desk.check("leave")
    for alert in desk.alerts("help_asked"):
        desk.act("close", "mary", alert=alert, reason="outcome_recorded")
    desk.advance(hours=25)
    desk.tell(DayRolled(day=desk.now.date()))
    assert desk.state.values.questions == {}
    assert desk.state.values.replies_to == {}


def test_the_same_deadline_twice_is_decided_once() -> None:
    desk = Desk()
    desk.plan()
    desk.now = MONDAY + timedelta(minutes=30)
    (due,) = desk.state.take_due(desk.now, 10)
    for _ in range(2):
        desk.tell(DeadlineReached(subject=due[0], due_at=due[1]))
    assert len(desk.alerts()) == 1
    assert not desk.state.still_asks(*due)
