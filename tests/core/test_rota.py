"""What an upload watches, warns about, refuses and cancels (spec 7.21, 7.23; domain.md "Nothing … unwatched")."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.policy import Contract, Policy
from monitor.core import facts as f
from monitor.core.inputs import PolicyLoaded, RotaProblemCode, RotaRow
from monitor.core.upload import Upload
from tests.core.driver import DUTY, MONDAY, Desk

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = {"covers_from": MONDAY, "covers_to": MONDAY + timedelta(days=1)}


def row(number: int = 1, **given_: Any) -> RotaRow:
    begin = given_.pop("start", MONDAY + 5 * HOUR)
    given_.setdefault("visit", f"v{number}")
    given_.setdefault("end", begin + 30 * MINUTE if begin else None)
    given_.setdefault("service_user", "ed")
    given_.setdefault("workers", (f"w{number}",))
    return RotaRow(row=number, key=given_["visit"] or f"row-{number}", start=begin, **given_)


def problems(desk: Desk, *rows: RotaRow) -> list[tuple[int, str, bool]]:
    answer = desk.upload(*rows).answer
    assert isinstance(answer, Upload)
    return [(problem.row, problem.code, problem.error) for problem in answer.problems]


# --- every problem ---


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"service_user": None}, "no_person"),
        ({"start": None}, "no_time"),
        ({"end": MONDAY + 5 * HOUR}, "no_time"),
        ({"end": None}, "no_time"),
    ],
)
def test_only_whom_or_when_unknown_is_refused_and_not_watched(given_: dict[str, Any], code: str) -> None:
    desk = Desk()
    assert problems(desk, row(**given_)) == [(1, code, True)]
    assert desk.state.values.visits == {}
    assert [unwatched.code for unwatched in desk.state.values.unwatched.values()] == [code]


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ({"end": MONDAY + 5 * HOUR + 29 * MINUTE}, "short_visit"),
        ({"start": MONDAY + 5 * HOUR + 7 * MINUTE}, "off_step"),
        ({"end": MONDAY + 5 * HOUR + 40 * MINUTE}, "off_step"),
        ({"workers": ()}, "no_worker"),
        ({"workers": (), "unknown_workers": 1}, "unknown_worker"),
        ({"known": False}, "unknown_service_user"),
        ({"warnings": ("time_does_not_exist",)}, "time_does_not_exist"),
        ({"warnings": ("time_exists_twice",)}, "time_exists_twice"),
        ({"warnings": ("unknown_field",)}, "unknown_field"),
    ],
)
def test_everything_else_is_a_warning_and_is_watched(given_: dict[str, Any], code: RotaProblemCode) -> None:
    desk = Desk()
    found = problems(desk, row(**given_))
    assert (1, code, False) in found
    assert not any(error for _, _, error in found)
    assert desk.visit("v1").late_at == desk.visit("v1").start + 30 * MINUTE


@pytest.mark.parametrize(
    ("gap_min", "same_home", "code"),
    [
        (-1, False, "overlap"),
        (-1, True, "overlap"),
        (0, True, None),
        (4, False, "no_travel_time"),
        (5, False, None),
    ],
)
def test_one_care_worker_s_rows_overlap_or_leave_no_time_to_travel(
    gap_min: int, same_home: bool, code: str | None
) -> None:
    first = row(1, workers=("dee",))
    assert first.end is not None
    second = row(
        2, workers=("dee",), service_user="ed" if same_home else "fay", start=first.end + gap_min * MINUTE
    )
    found = problems(Desk(visit_step=timedelta(minutes=1)), second, first)
    assert found == ([] if code is None else [(2, code, False)])


@pytest.mark.parametrize(("gap_min", "code"), [(-1, "overlap"), (4, "no_travel_time"), (5, None)], ids=str)
@pytest.mark.parametrize("other_first", [False, True])
def test_so_do_rows_of_two_uploads(gap_min: int, code: str | None, other_first: bool) -> None:
    first = row(1, workers=("dee",))
    assert first.end is not None
    second = row(2, workers=("dee",), service_user="fay", start=first.end + gap_min * MINUTE)
    desk = Desk(visit_step=timedelta(minutes=1))
    before, after = (second, first) if other_first else (first, second)
    assert problems(desk, before) == []
    assert problems(desk, after) == ([] if code is None else [(after.row, code, False)])


def test_what_an_upload_moves_or_calls_off_is_in_nobodys_way() -> None:
    desk = Desk(visit_step=timedelta(minutes=1))
    first = row(1, workers=("dee",))
    assert problems(desk, first) == []
    same_time = row(2, workers=("dee",), service_user="fay")
    off = row(1, workers=("dee",), cancelled=True)
    assert desk.upload(off, same_time, confirm=True).answer.problems == ()


def test_a_row_in_order_is_no_problem_at_all() -> None:
    assert problems(Desk(), row()) == []


def test_a_row_without_an_id_of_its_own_is_watched_all_the_same() -> None:
    desk = Desk()
    desk.upload(row(visit=None))
    assert [visit.service_user for visit in desk.state.values.visits.values()] == ["ed"]


def test_the_answer_counts_what_was_done() -> None:
    desk = Desk()
    desk.upload(row(1), row(2))
    answer = desk.upload(row(1), row(2, workers=("dee",)), row(3), row(4, service_user=None)).answer
    assert (answer.new, answer.changed, answer.unchanged, answer.cancelled, answer.watched) == (1, 1, 1, 0, 3)


# --- rows that are not watched ---


def test_rows_that_are_not_watched_are_one_alert_until_the_last_is_mended() -> None:
    desk = Desk()
    desk.upload(row(1, start=None), row(2, service_user=None))
    assert (desk.alert("rota").state, desk.alert("rota").count) == ("open", 2)
    desk.upload(row(1))
    assert [alert.state for alert in desk.alerts("rota")] == ["open"]
    desk.upload(row(2))
    assert desk.alert("rota").ended_reason == "outcome_recorded"
    assert desk.state.values.unwatched == {}


def test_a_closed_alert_about_rows_is_raised_again_by_the_next_upload_that_does_not_mend_them() -> None:
    desk = Desk()
    desk.upload(row(1, start=None))
    desk.act("close", "mary", alert=desk.alert("rota"), reason="outcome_recorded")
    desk.upload(row(2))
    assert [alert.state for alert in desk.alerts("rota")] == ["ended", "open"]


def test_a_row_without_an_id_counts_until_the_next_upload_and_one_with_an_id_until_it_is_mended() -> None:
    desk = Desk()
    desk.upload(row(1, visit=None, service_user=None), row(2, start=None))
    desk.upload(row(3))
    assert set(desk.state.values.unwatched) == {"v2"}
    desk.upload(complete=True, confirm=True, **DAY)
    assert desk.state.values.unwatched == {}


def test_a_bad_row_keeps_the_visit_s_old_version() -> None:
    desk = Desk()
    desk.upload(row(1))
    before = desk.visit("v1")
    desk.upload(row(1, start=None), complete=True, confirm=True, **DAY)
    assert desk.visit("v1") == before


# --- absence ---


def test_absence_cancels_nothing() -> None:
    desk = Desk()
    desk.upload(row(1), row(2))
    desk.upload(row(1))
    desk.upload(row(1), complete=True)
    desk.upload(row(1), confirm=True, **DAY)
    assert [visit.cancelled for visit in desk.state.values.visits.values()] == [False, False]


def test_a_complete_upload_cancels_what_it_covers_and_no_longer_has() -> None:
    desk = Desk()
    desk.upload(*(row(n) for n in range(5)), row(5, start=MONDAY + timedelta(days=2)))
    answer = desk.upload(*(row(n) for n in range(1, 5)), complete=True, **DAY).answer
    assert answer.cancelled == 1
    assert [ref for ref, visit in desk.state.values.visits.items() if visit.cancelled] == ["v0"]
    desk.advance(hours=12)
    assert "v0" not in {alert.visit for alert in desk.alerts()}


@pytest.mark.parametrize(
    ("planned", "dropped", "asks"), [(5, 1, False), (10, 2, False), (9, 2, True), (4, 1, True)]
)
def test_more_than_a_fifth_of_what_remains_waits_for_confirmation(
    planned: int, dropped: int, asks: bool
) -> None:
    desk = Desk()
    desk.upload(*(row(n) for n in range(planned)))
    decision = desk.upload(*(row(n) for n in range(dropped, planned)), complete=True, **DAY)
    assert (decision.refusal is not None) is asks
    if decision.refusal is not None:
        assert decision.refusal.code == "confirm_needed"
        assert sorted(decision.refusal.detail["cancels"]) == [f"v{n}" for n in range(dropped)]


@pytest.mark.parametrize(("hours", "asks"), [(4, False), (3.99, True)])
def test_a_visit_of_the_next_four_hours_is_not_dropped_without_confirmation(hours: float, asks: bool) -> None:
    desk = Desk(visit_step=timedelta(seconds=1))
    desk.upload(row(0, start=MONDAY + hours * HOUR), *(row(n) for n in range(1, 20)))
    decision = desk.upload(*(row(n) for n in range(1, 20)), complete=True, **DAY)
    assert (decision.refusal is not None) is asks


def test_until_it_is_confirmed_nothing_of_the_upload_is_applied() -> None:
    desk = Desk()
    desk.upload(row(1), row(2))
    facts = len(desk.facts)
    desk.upload(row(3), row(4, start=None), complete=True, **DAY)
    assert len(desk.facts) == facts
    desk.upload(row(3), row(4, start=None), complete=True, confirm=True, **DAY)
    assert [desk.visit(ref).cancelled for ref in ("v1", "v2", "v3")] == [True, True, False]


def test_what_is_late_missed_attended_or_alerted_is_never_cancelled_by_an_upload() -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY), row(2, start=MONDAY, workers=("dee",)), row(3, start=MONDAY + 2 * HOUR))
    desk.check(visit="v2")
    desk.check("no_reply", visit="v3")
    desk.advance(minutes=30)
    desk.upload(complete=True, confirm=True, **DAY)
    assert not any(visit.cancelled for visit in desk.state.values.visits.values())
    desk.advance(minutes=90)
    assert desk.visit("v1").missed
    desk.upload(complete=True, confirm=True, **DAY)
    assert not desk.visit("v1").cancelled


def test_a_visit_that_was_dropped_and_is_back_is_watched_again() -> None:
    desk = Desk()
    desk.upload(row(1))
    desk.upload(complete=True, confirm=True, **DAY)
    desk.upload(row(1))
    desk.advance(hours=6)
    assert desk.alert().visit == "v1"


def test_a_visit_that_is_somebody_else_s_now_is_watched_for_them_and_the_old_alert_stays_open() -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY))
    desk.advance(minutes=31)
    assert desk.upload(row(1, service_user="fay")).refusal is not None
    desk.upload(row(1, service_user="fay"), confirm=True)
    assert set(desk.state.by_service_user) == {"fay"}
    desk.act("close", "mary", reason="outcome_recorded")
    desk.advance(hours=6)
    assert [alert.service_user for alert in desk.alerts("late_visit")] == ["ed", "fay"]


# --- agreed, planned, actual ---


@pytest.mark.parametrize(("minutes_before", "moves"), [(120, True), (119.99, False), (10, False)])
def test_a_plan_moved_within_two_hours_of_its_start_does_not_move_the_deadline(
    minutes_before: float, moves: bool
) -> None:
    desk = Desk(visit_step=timedelta(seconds=1))
    start = MONDAY + 5 * HOUR
    desk.upload(row(1, start=start))
    desk.now = start - minutes_before * MINUTE
    desk.upload(row(1, start=start + HOUR))
    visit = desk.visit("v1")
    assert visit.start == start + HOUR
    assert visit.late_at == start + (HOUR if moves else timedelta()) + 30 * MINUTE
    assert visit.agreed_start == start + (HOUR if moves else timedelta())


def test_a_plan_moved_while_an_alert_is_open_moves_neither_the_deadline_nor_the_alert() -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY))
    desk.advance(minutes=31)
    desk.upload(row(1, start=MONDAY + 6 * HOUR))
    assert desk.visit("v1").late_at == MONDAY + 30 * MINUTE
    assert desk.alert().state == "open"


def test_the_time_to_which_a_settled_visit_was_moved_is_watched() -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY))
    desk.advance(minutes=31)
    desk.upload(row(1, start=MONDAY + 6 * HOUR))
    desk.act("close", "mary", reason="outcome_recorded")
    desk.advance(hours=6)
    assert [alert.state for alert in desk.alerts("late_visit")] == ["ended", "open"]


def test_a_visit_that_was_made_is_not_watched_again_by_a_clock_that_is_set_back() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.text("ed", word="help")
    desk.act("close", "mary", reason="outcome_recorded")
    desk.check(at=MONDAY)
    assert desk.alert("help_asked").visit == "v1"
    desk.now -= HOUR
    desk.act("close", "mary", alert=desk.alert("help_asked"), reason="seen_well")
    assert len(desk.bodies(f.VisitPlanned)) == 1
    assert desk.visit("v1").anybody_there


@pytest.mark.parametrize("reason", ["outcome_recorded", "cancelled_confirmed"])
def test_an_upload_that_repeats_a_settled_visit_does_not_watch_it_again_and_one_that_moves_it_does(
    reason: str,
) -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY))
    desk.advance(minutes=31)
    desk.act("close", "mary", reason=reason, raised_by="next_of_kin")
    desk.upload(row(1, start=MONDAY))
    desk.advance(hours=2)
    assert len(desk.alerts("late_visit")) == 1
    desk.upload(row(1, start=MONDAY + 6 * HOUR))
    desk.advance(hours=6)
    assert [alert.state for alert in desk.alerts("late_visit")] == ["ended", "open"]


def test_a_tighter_tolerance_counts_at_once_and_a_wider_one_not_within_the_freeze() -> None:
    desk = Desk()
    desk.upload(row(1, start=MONDAY + HOUR))
    desk.upload(row(1, start=MONDAY + HOUR, late_after=10 * MINUTE))
    assert desk.visit("v1").late_at == MONDAY + 70 * MINUTE
    desk.upload(row(1, start=MONDAY + HOUR, late_after=60 * MINUTE))
    assert desk.visit("v1").late_at == MONDAY + 70 * MINUTE


def test_a_change_of_care_worker_keeps_who_has_arrived() -> None:
    desk = Desk()
    desk.plan(workers=("dee",))
    desk.check()
    desk.plan(workers=("kit", "dee"))
    assert [(p.planned, p.worker) for p in desk.visit().places] == [("kit", None), ("dee", "dee")]
    desk.plan(workers=("kit",))
    assert [(p.planned, p.worker) for p in desk.visit().places] == [("kit", "dee")]


# --- policy ---


def loaded(**policy: Any) -> PolicyLoaded:
    return PolicyLoaded(policy=Policy(**policy), duty=DUTY, council_desks=(), holidays=(), public="auto")


def test_a_policy_change_replans_only_visits_that_are_not_yet_due() -> None:
    desk = Desk()
    desk.upload(
        row(1, start=MONDAY), row(2, start=MONDAY + HOUR), row(3, start=MONDAY + HOUR, workers=("dee",))
    )
    desk.check(visit="v3")
    desk.tell(loaded(late_after=10 * MINUTE))
    late = {ref: visit.late_at - visit.start for ref, visit in desk.state.values.visits.items()}
    assert late == {"v1": 30 * MINUTE, "v2": 10 * MINUTE, "v3": 30 * MINUTE}
    assert [body.reason for body in desk.bodies(f.VisitReplanned)] == ["policy"]


def test_the_same_policy_again_causes_no_fact() -> None:
    desk = Desk()
    desk.tell(loaded(late_after=10 * MINUTE))
    facts = len(desk.facts)
    desk.tell(loaded(late_after=10 * MINUTE))
    assert len(desk.facts) == facts


def test_an_alert_keeps_the_policy_under_which_it_opened() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=30)
    desk.tell(loaded(summon_next=timedelta(minutes=50)))
    desk.advance(minutes=5)
    assert desk.alert().track("summon").index == 1  # type: ignore[union-attr]


# --- nothing real is left unwatched ---

MOMENTS = st.integers(-600, 3_000).map(lambda minutes: MONDAY + minutes * MINUTE)
ROWS = st.lists(
    st.builds(
        lambda n, start, length, who, workers, places, critical: RotaRow(
            row=n,
            key=f"v{n}",
            visit=f"v{n}",
            service_user=who,
            start=start,
            end=start + length * MINUTE if start else None,
            workers=tuple(workers),
            places=places,
            time_critical=critical,
        ),
        n=st.integers(0, 12),
        start=st.none() | MOMENTS,
        length=st.integers(-10, 500),
        who=st.sampled_from([None, "ed", "fay"]),
        workers=st.lists(st.sampled_from(["dee", "kit"]), unique=True, max_size=2),
        places=st.integers(0, 3),
        critical=st.booleans(),
    ),
    unique_by=lambda r: r.row,
    max_size=8,
)


def watched(desk: Desk, when: datetime) -> None:
    """The visit has a deadline, an alert, an arrival, or a recorded reason why none is wanted."""
    for visit in desk.state.values.visits.values():
        settled = visit.over or visit.anybody_there or visit.missed or visit.alerts
        assert settled or visit.late_at >= when or desk.state.next_deadline() is not None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ROWS, st.booleans(), st.integers(0, 300)), max_size=4))
def test_each_row_with_a_person_and_a_time_is_a_visit_that_alerts(
    uploads: list[tuple[list[RotaRow], bool, int]],
) -> None:
    desk = Desk()
    for rows, complete, minutes in uploads:
        decision = desk.upload(*rows, complete=complete, **(DAY if complete else {}))
        if decision.refusal is None:
            for given_row in rows:
                usable = (
                    given_row.service_user is not None
                    and given_row.start is not None
                    and given_row.end is not None
                    and given_row.end > given_row.start
                )
                assert usable == (given_row.key not in desk.state.values.unwatched)
                if usable:
                    assert given_row.visit in desk.state.values.visits
        watched(desk, desk.now)
        desk.advance(minutes=minutes)
    last = max((visit.late_at for visit in desk.state.values.visits.values()), default=desk.now)
    desk.advance(seconds=max((last - desk.now).total_seconds(), 0) + 3600)
    for visit in desk.state.values.visits.values():
        assert visit.cancelled or visit.alerts


# --- a rota that is old ---


def rota_alerts(desk: Desk) -> list[tuple[str, str]]:
    return [(a.reason, a.state) for a in desk.state.values.alerts.values() if a.kind == "rota"]


@pytest.mark.parametrize(
    ("after", "told"), [(timedelta(hours=24) - MINUTE / 60, 0), (timedelta(hours=24), 1)]
)
def test_a_rota_that_is_a_day_old_is_an_alarm_to_the_second(after: timedelta, told: int) -> None:
    desk = Desk(rota_old_after=timedelta(hours=24))
    desk.upload(row(start=MONDAY + timedelta(days=3)))
    desk.advance(seconds=after.total_seconds())
    assert rota_alerts(desk) == [("rota_old", "open")] * told


def test_a_new_rota_ends_the_alarm_also_where_nothing_changed_and_the_next_day_counts_from_it() -> None:
    desk = Desk(rota_old_after=timedelta(hours=24))
    visit = row(start=MONDAY + timedelta(days=3))
    desk.upload(visit)
    desk.advance(hours=30)
    desk.upload(visit)
    assert rota_alerts(desk) == [("rota_old", "ended")]
    desk.advance(hours=23, minutes=59)
    assert [state for _, state in rota_alerts(desk)].count("open") == 0
    desk.advance(minutes=1)
    assert [state for _, state in rota_alerts(desk)].count("open") == 1


def test_a_desk_that_never_had_a_rota_has_none_that_is_old() -> None:
    desk = Desk(rota_old_after=timedelta(hours=24))
    desk.advance(hours=72)
    assert rota_alerts(desk) == []


# --- a row that says that it is called off ---


def test_a_cancelled_row_calls_its_visit_off_and_only_it() -> None:
    desk = Desk()
    far = MONDAY + timedelta(days=2)
    desk.upload(*(row(number, start=far) for number in range(1, 11)))
    answer = desk.upload(row(3, start=far, cancelled=True)).answer
    assert isinstance(answer, Upload)
    assert (answer.cancelled, answer.watched) == (1, 0)
    assert [ref for ref, visit in desk.state.values.visits.items() if visit.cancelled] == ["v3"]
    [fact] = [fact.body for fact in desk.facts if isinstance(fact.body, f.VisitCancelled)]
    assert fact.reason == "cancelled_in_rota"


def test_a_cancelled_row_of_a_visit_that_starts_soon_waits_for_a_confirmation() -> None:
    desk = Desk()
    desk.upload(*(row(number, start=MONDAY + 3 * HOUR) for number in range(1, 11)))
    called_off = row(3, start=MONDAY + 3 * HOUR, cancelled=True)
    refusal = desk.upload(called_off).refusal
    assert refusal is not None
    assert refusal.detail["cancels"] == ["v3"]
    assert not desk.state.values.visits["v3"].cancelled
    desk.upload(called_off, confirm=True)
    assert desk.state.values.visits["v3"].cancelled


def test_a_cancelled_row_of_a_visit_that_nobody_knows_plans_and_refuses_nothing() -> None:
    desk = Desk()
    answer = desk.upload(row(start=None, service_user=None, cancelled=True)).answer
    assert isinstance(answer, Upload)
    assert (answer.problems, desk.state.values.visits) == ((), {})


# --- a rota that went missing ---


def sized(desk: Desk, size: int | None, count: int = 1, **more: Any) -> list[tuple[str, str]]:
    """An upload that says that it is all of `size` visits, and what is told about rotas after it."""
    rows = [row(number, start=desk.now + timedelta(days=2)) for number in range(1, count + 1)]
    desk.upload(*rows, size=size, empty=not rows, **more)
    return [(reason, state) for reason, state in rota_alerts(desk) if reason in ("rota_empty", "rota_half")]


@pytest.mark.parametrize(("size", "told"), [(100, []), (50, []), (49, [("rota_half", "open")])])
def test_a_rota_of_less_than_half_is_an_alarm_at_the_exact_half(
    size: int, told: list[tuple[str, str]]
) -> None:
    desk = Desk()
    assert sized(desk, 100) == []
    desk.advance(hours=24)
    assert sized(desk, size) == told


def test_it_is_told_once_and_over_with_one_that_is_whole_again() -> None:
    desk = Desk()
    for size in (100, 40, 41, 30):
        sized(desk, size)
    assert [alert.count for alert in desk.alerts("rota")] == [40]
    assert {message.template for message in desk.messages("summon")} <= {"OC-46", "OCV-3"}
    assert sized(desk, 99) == [("rota_half", "ended")]


def test_a_weekend_is_held_against_the_weekend_before() -> None:
    desk = Desk()
    assert sized(desk, 20) == []
    for _ in range(6):
        desk.advance(hours=24)
        assert sized(desk, 100) == []
    desk.advance(hours=24)
    assert sized(desk, 20) == []
    desk.advance(hours=24)
    assert sized(desk, 20) == [], "what was last is what is usual too"


@pytest.mark.parametrize("days", [1, 13])
def test_days_of_half_rotas_do_not_become_what_is_usual(days: int) -> None:
    desk = Desk()
    sized(desk, 100)
    for _ in range(days):
        desk.advance(hours=24)
        assert sized(desk, 40)[-1] == ("rota_half", "open")


def test_what_a_person_confirms_or_has_looked_at_is_what_is_usual_from_then_on() -> None:
    desk = Desk()
    sized(desk, 100)
    assert sized(desk, 40, confirm=True) == []
    desk.advance(hours=24)
    assert sized(desk, 40) == []
    assert sized(desk, 10) == [("rota_half", "open")]
    desk.act("close", "mary", alert=desk.alert("rota"), reason="other")
    assert sized(desk, 10) == [("rota_half", "ended")]
    assert sized(desk, 4) == [("rota_half", "ended"), ("rota_half", "open")]


def test_an_upload_that_does_not_say_that_it_is_all_is_not_judged_by_its_size() -> None:
    desk = Desk()
    sized(desk, 100)
    assert sized(desk, None) == []


def test_an_empty_upload_is_an_alarm_for_a_desk_that_had_a_rota_until_one_comes_that_is_not() -> None:
    desk = Desk()
    assert sized(desk, 0, count=0) == []
    sized(desk, 3, count=3)
    assert sized(desk, 0, count=0) == [("rota_empty", "open")]
    assert {message.template for message in desk.messages("summon")} <= {"OC-45", "OCV-3"}
    assert sized(desk, None, count=0) == [("rota_empty", "open")]
    assert sized(desk, 3, count=3) == [("rota_empty", "ended")]


def test_an_empty_upload_that_is_confirmed_is_meant_so() -> None:
    desk = Desk()
    sized(desk, 3, count=3)
    assert sized(desk, 0, count=0, confirm=True) == []


def test_what_is_usual_is_the_same_after_a_restart() -> None:
    desk = Desk()
    sized(desk, 100)
    for snapshot in (True, False):
        desk.restart(snapshot=snapshot)
        assert desk.state.values.rota_sizes == {MONDAY.date(): 100}


# --- a plan that would keep the watch quiet: a wide tolerance, an end in years ---


def stretched(desk: Desk, **given_: Any) -> list[str]:
    return [code for _, code, error in problems(desk, row(workers=("dee",), **given_)) if not error]


@pytest.mark.parametrize(
    ("tolerance", "critical", "codes"),
    [
        (20 * MINUTE, False, []),
        (30 * MINUTE, False, []),
        (30 * MINUTE + timedelta(seconds=1), False, ["wide_window"]),
        (20 * MINUTE, True, []),
        (21 * MINUTE, True, ["wide_window"]),
    ],
    ids=str,
)
def test_a_tolerance_of_its_own_may_be_tighter_and_a_wider_one_is_warned_about(
    tolerance: timedelta, critical: bool, codes: list[str]
) -> None:
    desk = Desk(time_critical_late_after=20 * MINUTE)
    assert stretched(desk, late_after=tolerance, time_critical=critical) == codes
    assert desk.visit("v1").late_at == desk.visit("v1").start + tolerance


def test_what_is_wide_is_said_by_the_contract_of_whose_visit_it_is() -> None:
    contracts = (Contract(id="lbb", policy=Policy(late_after=45 * MINUTE)),)
    desk = Desk(contracts=contracts)
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], contract="lbb")
    assert stretched(desk, late_after=45 * MINUTE, contract="lbb") == []
    assert stretched(desk, late_after=46 * MINUTE, contract="lbb") == ["wide_window"]
    assert stretched(desk, late_after=45 * MINUTE, contract="another") == ["wide_window"]


@pytest.mark.parametrize(
    ("tolerance", "hours", "late_min"),
    [
        (4 * HOUR, 0.5, 240),  # as wide as a policy may be
        (4 * HOUR + MINUTE, 0.5, 30),
        (30 * HOUR, 0.5, 30),  # 30 hours for 30 minutes is a silent watch
        (6 * HOUR, 9, 360),  # a night may be begun within itself
        (10 * HOUR, 9, 30),
        (30 * HOUR, 24 * 365, 30),
    ],
    ids=str,
)
def test_a_tolerance_beyond_every_policy_and_the_visit_is_a_slip_and_the_policy_s_holds(
    tolerance: timedelta, hours: float, late_min: int
) -> None:
    desk = Desk()
    start = MONDAY + 5 * HOUR
    assert "wide_window" in stretched(desk, start=start, end=start + hours * HOUR, late_after=tolerance)
    assert desk.visit("v1").late_at == start + late_min * MINUTE
    desk.upload(row(start=start, end=start + hours * HOUR, late_after=tolerance, workers=("dee",)))
    assert len(desk.bodies(f.VisitReplanned)) == 0


YEARS = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "end", "codes"),
    [
        ("visit", MONDAY + 29 * HOUR, []),
        ("visit", MONDAY + 29 * HOUR + 15 * MINUTE, ["long_visit"]),
        ("visit", YEARS, ["long_visit"]),
        ("waking_night", MONDAY + 15 * HOUR, []),
        ("sleep_in", YEARS, ["long_visit"]),
        ("live_in", MONDAY + 24 * 90 * HOUR, []),
        ("live_in", YEARS, ["long_visit"]),
    ],
    ids=str,
)
def test_an_end_more_than_a_day_away_is_warned_about_but_of_living_in(
    kind: Any, end: datetime, codes: list[str]
) -> None:
    desk = Desk()
    assert stretched(desk, kind=kind, end=end) == codes
    visit = desk.visit("v1")
    assert (visit.end, visit.late_at) == (end, visit.start + 30 * MINUTE)


def test_a_visit_until_2099_is_late_and_missed_and_whoever_stays_in_it_is_looked_for() -> None:
    desk = Desk()
    desk.upload(row(start=MONDAY, end=YEARS, workers=("dee",)))
    desk.advance(minutes=30)
    assert desk.alert().due_at == MONDAY + 30 * MINUTE
    desk.advance(hours=24)
    assert desk.visit("v1").missed
    inside = Desk()
    inside.upload(row(start=MONDAY, end=YEARS, workers=("dee",)))
    inside.check()
    inside.advance(hours=27)
    assert inside.alerts("lone_worker")


def test_a_visit_until_2099_takes_no_arrival_that_is_another_s() -> None:
    desk = Desk()
    tomorrow = MONDAY + timedelta(days=1, hours=2)
    desk.upload(row(1, start=MONDAY, end=YEARS, workers=("dee",)), row(2, start=tomorrow, workers=("dee",)))
    desk.now = tomorrow
    desk.advance(minutes=5)
    assert desk.check(service_user="ed").visit == "v2"
    assert desk.visit("v2").anybody_there


def test_moved_within_the_day_it_is_still_looked_for_by_then() -> None:
    desk = Desk()
    desk.upload(row(start=MONDAY + 5 * HOUR, end=YEARS))
    desk.upload(row(start=MONDAY + 6 * HOUR, end=YEARS))
    desk.tell(loaded(overrun_after=HOUR))
    assert desk.visit("v1").overrun_at == MONDAY + 31 * HOUR
    desk.upload(row(start=MONDAY + 7 * HOUR, end=YEARS))
    assert desk.visit("v1").overrun_at == MONDAY + 32 * HOUR
