"""A first visit after a discharge is conditional: its clock runs from *home confirmed* (domain.md section 1; spec
4.6.4, 4.6.7)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import Calendar, Policy
from monitor.core import facts as f
from monitor.core import homes
from monitor.core.desk import Decision
from monitor.core.inputs import AbsenceActed, AbsenceTold, HomeSaid
from monitor.core.state import Message
from tests.core.driver import MONDAY, NOWHERE, THERE, Desk

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TWO = MONDAY + 6 * HOUR
"""14:00 local: the planned time, in office hours."""
HALF_PAST_EIGHT = MONDAY.replace(hour=20, minute=30)


def discharged(**more: Any) -> Desk:
    """ed is to come home today; his first visit is planned for 14:00."""
    desk = Desk(ask_duty=False, **more.pop("desk", {}))
    desk.plan(start=TWO, conditional="home_confirmed", **more)
    return desk


def confirm(desk: Desk, at: datetime | None = None, by: str = "olga") -> Decision:
    return desk.tell(HomeSaid(visit="v1", by=by, at=at or desk.now))


def asked(desk: Desk) -> list[Message]:
    return [message for message in desk.messages() if message.template == "OC-185"]


def until(desk: Desk, moment: datetime) -> None:
    desk.advance(seconds=(moment - desk.now).total_seconds())


# --- nobody has confirmed it ---


def test_at_the_planned_time_the_office_is_asked_to_ring_the_ward_and_nobody_is_late() -> None:
    desk = discharged()
    until(desk, TWO - timedelta(seconds=1))
    assert desk.messages() == []
    until(desk, TWO)
    assert [(m.person, m.at, m.visit) for m in asked(desk)] == [("olga", HALF_PAST_EIGHT, "v1")]
    until(desk, HALF_PAST_EIGHT - timedelta(seconds=1))
    assert (desk.alerts(), len(desk.messages())) == ([], 1), (
        "neither care worker nor service user hears anything"
    )
    assert not desk.visit().missed


def test_unconfirmed_at_half_past_eight_staff_are_summoned_to_decide() -> None:
    desk = discharged()
    until(desk, HALF_PAST_EIGHT)
    alert = desk.alert("home_unconfirmed")
    assert (alert.due_at, alert.visit, alert.hour_at) == (HALF_PAST_EIGHT, "v1", None)
    assert [(m.person, m.template) for m in desk.messages("summon")] == [("paul", "OC-186")]
    desk.advance(hours=8)
    assert {message.purpose for message in desk.messages()} == {"notice", "summon"}
    assert desk.alert("home_unconfirmed").state == "open", "the ladder never ends quietly"


@pytest.mark.parametrize(
    ("start", "decide"),
    [
        ("2026-11-23 14:00", "2026-11-23 20:30"),
        ("2026-11-23 20:29", "2026-11-23 20:30"),
        ("2026-11-23 20:30", "2026-11-23 20:30"),
        ("2026-11-23 20:31", "2026-11-23 20:31"),
        ("2026-06-01 10:00", "2026-06-01 19:30"),  # summer: 20:30 local
        ("2026-03-29 00:30", "2026-03-29 19:30"),  # the night of the change
    ],
)
def test_a_person_decides_at_half_past_eight_local_or_at_a_later_start(start: str, decide: str) -> None:
    at = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, decide)]
    assert homes.decide_at(at[0], Policy(), Calendar()) == at[1]


def test_a_visit_planned_for_later_than_that_summons_at_its_start() -> None:
    desk = Desk(HALF_PAST_EIGHT, ask_duty=False)
    desk.plan(start=HALF_PAST_EIGHT + HOUR, conditional="home_confirmed")
    desk.advance(hours=1)
    assert (asked(desk), desk.alert("home_unconfirmed").opened_at) == ([], HALF_PAST_EIGHT + HOUR)


def test_where_nobody_can_be_texted_staff_are_summoned_at_the_planned_time() -> None:
    desk = discharged()
    for person in ("olga", "mary"):
        desk.people.people[person] = structs.replace(desk.people.people[person], lines=())
    until(desk, TWO)
    assert desk.alert("home_unconfirmed").opened_at == TWO


def test_who_must_not_hear_of_the_person_is_neither_asked_nor_confirms() -> None:
    desk = discharged()
    ed = desk.people.people["ed"]
    plan = structs.replace(ed.plan, never_tell=frozenset({"olga"}))
    desk.people.people["ed"] = structs.replace(ed, plan=plan)
    until(desk, TWO)
    assert [m.person for m in asked(desk)] == ["mary"]
    refusal = confirm(desk).refusal
    assert refusal is not None
    assert refusal.code == "never_told"


# --- somebody confirms it ---


@pytest.mark.parametrize(
    ("said_at", "home_at", "late_at"),
    [
        (TWO - HOUR, TWO - HOUR, TWO + 30 * MINUTE),  # never sooner than planned
        (TWO, TWO, TWO + 30 * MINUTE),
        (TWO + HOUR, TWO + HOUR, TWO + 90 * MINUTE),
        (
            TWO + 2 * HOUR,
            TWO + HOUR,
            TWO + 90 * MINUTE,
        ),  # from when they were home, not from when it was said
    ],
)
def test_confirmed_the_clock_runs_from_there(said_at: datetime, home_at: datetime, late_at: datetime) -> None:
    desk = discharged()
    until(desk, said_at)
    assert confirm(desk, home_at).refusal is None
    visit = desk.visit()
    assert (visit.home_at, visit.home_by, visit.late_at) == (home_at, "olga", late_at)
    assert visit.start == TWO, "what the rota says stands"
    until(desk, max(late_at, said_at) - timedelta(seconds=1))
    if late_at > said_at:
        assert desk.alerts() == []
    until(desk, max(late_at, said_at))
    assert desk.alert().due_at == late_at


def test_after_it_the_care_worker_is_asked_as_before_any_alert() -> None:
    desk = discharged()
    until(desk, TWO + HOUR)
    confirm(desk)
    until(desk, TWO + 89 * MINUTE)
    asks = [((m.intended_at - TWO) / MINUTE, m.template) for m in desk.messages("ask_worker")]
    assert asks == [(70, "CW-1"), (80, "CW-1"), (85, "CWV-1")]


def test_the_service_starts_within_twenty_four_hours_at_most() -> None:
    desk = Desk(ask_duty=False)
    desk.plan(start=TWO + 48 * HOUR, conditional="home_confirmed")
    until(desk, TWO)
    confirm(desk)
    assert desk.visit().late_at == TWO + 48 * HOUR, "not before the planned start itself"
    desk = Desk(ask_duty=False)
    desk.plan(start=TWO + 24 * HOUR - 10 * MINUTE, conditional="home_confirmed")
    until(desk, TWO)
    confirm(desk)
    assert desk.visit().late_at == TWO + 24 * HOUR, "ten minutes after its start, not thirty"


def test_the_alert_ends_with_the_confirmation_and_the_visit_is_watched() -> None:
    desk = discharged()
    until(desk, HALF_PAST_EIGHT + MINUTE)
    decision = desk.act("confirm_home", "paul", alert=desk.alert("home_unconfirmed"))
    assert decision.refusal is None
    alert, visit = desk.alert("home_unconfirmed"), desk.visit()
    assert (alert.state, alert.ended_reason, alert.check) == ("ended", "outcome_recorded", None)
    assert (visit.over, visit.late_at) == (False, HALF_PAST_EIGHT + 31 * MINUTE)
    desk.advance(minutes=30)
    assert desk.alert().state == "open"


@pytest.mark.parametrize(
    ("visit", "before", "at", "code"),
    [
        ({"conditional": None}, False, None, "not_conditional"),
        ({}, True, None, "already_confirmed"),
        ({}, False, MONDAY + MINUTE, "at"),
    ],
)
def test_what_cannot_be_confirmed_changes_nothing(
    visit: dict[str, Any], before: bool, at: datetime | None, code: str
) -> None:
    desk = Desk()
    desk.plan(start=TWO, **({"conditional": "home_confirmed"} | visit))
    if before:
        confirm(desk)
    facts = len(desk.facts)
    refusal = confirm(desk, at).refusal
    assert refusal is not None
    assert (refusal.code, len(desk.facts)) == (code, facts)
    unknown = desk.tell(HomeSaid(visit="nowhere", by="olga", at=desk.now)).refusal
    assert unknown is not None
    assert unknown.code == "not_found"


# --- somebody decides otherwise ---


def test_a_named_person_s_outcome_settles_it_and_reasons_that_decide_nothing_are_refused() -> None:
    desk = discharged()
    until(desk, HALF_PAST_EIGHT)
    for reason in ("merged", "arrived", "replacement_arrived"):
        refusal = desk.act("close", "paul", alert=desk.alert("home_unconfirmed"), reason=reason).refusal
        assert refusal is not None
        assert refusal.code == "reason"
    desk.act("close", "paul", alert=desk.alert("home_unconfirmed"), reason="away")
    assert desk.visit().over
    desk.advance(hours=20)
    assert desk.alerts("late_visit") == []


def test_agreed_for_another_day_it_is_asked_about_there() -> None:
    desk = discharged()
    until(desk, HALF_PAST_EIGHT)
    tomorrow = TWO + 24 * HOUR
    alert = desk.alert("home_unconfirmed")
    desk.act("agree_change", "paul", alert=alert, raised_by="council", start=tomorrow)
    assert desk.alert("home_unconfirmed").state == "ended"
    assert desk.visit().waits_home
    until(desk, tomorrow)
    assert [m.intended_at for m in asked(desk)] == [TWO, tomorrow]
    until(desk, HALF_PAST_EIGHT + 24 * HOUR)
    assert len([a for a in desk.alerts("home_unconfirmed") if a.state != "ended"]) == 1


def test_the_rota_moves_it_freely_while_its_clock_has_not_begun() -> None:
    desk = discharged()
    until(desk, TWO + HOUR)
    desk.plan(start=TWO + 4 * HOUR, conditional="home_confirmed")
    visit = desk.visit()
    assert (visit.agreed_start, visit.late_at) == (TWO + 4 * HOUR, TWO + 4 * HOUR + 30 * MINUTE)
    until(desk, TWO + 4 * HOUR)
    assert len(asked(desk)) == 2


def test_a_rota_without_the_condition_is_watched_from_the_planned_time() -> None:
    desk = discharged()
    desk.plan(start=TWO)
    until(desk, TWO + 30 * MINUTE)
    assert desk.alert().state == "open"


def test_the_same_rota_again_changes_nothing_after_the_confirmation() -> None:
    desk = discharged()
    until(desk, TWO + HOUR)
    confirm(desk)
    before = desk.visit()
    desk.plan(start=TWO, conditional="home_confirmed")
    assert desk.visit() == before


# --- a care worker is there ---


@pytest.mark.parametrize("hours", [0, 2, 7])
def test_a_care_worker_who_is_there_confirms_it_and_is_not_late(hours: int) -> None:
    desk = discharged()
    until(desk, TWO + hours * HOUR)
    desk.check(service_user="ed", position=THERE, visit="v1")
    assert desk.visit().verdicts == ("on_time",)
    (confirmed,) = desk.bodies(f.HomeConfirmed)
    assert (confirmed.by, confirmed.proof, confirmed.confirmed_at) == (None, "arrival", desk.now)
    assert [a.ended_reason for a in desk.alerts("home_unconfirmed")] == (["arrived"] if hours == 7 else [])


def test_of_two_the_second_has_the_tolerance_from_then() -> None:
    desk = discharged(workers=("dee", "kit"))
    until(desk, TWO + 2 * HOUR)
    desk.check(service_user="ed", position=THERE, visit="v1")
    assert desk.alerts() == []
    desk.advance(minutes=30)
    assert desk.alert("second_worker_missing").due_at == TWO + 150 * MINUTE


# --- beside an absence ---


def in_hospital(desk: Desk, spoke_to: Any = "place") -> None:
    review = desk.now + 24 * HOUR
    told = AbsenceTold(
        service_user="ed",
        reason="hospital",
        from_at=desk.now,
        review_at=review,
        raised_by="next_of_kin",
        by="olga",
        note=NOWHERE,
        spoke_to=spoke_to,
        at=desk.now,
    )
    assert desk.tell(told).refusal is None


def back(desk: Desk, outcome: Any) -> None:
    (absence,) = desk.state.values.absences
    ended = AbsenceActed(absence=absence, action="end", by="olga", at=desk.now, outcome=outcome, note=NOWHERE)
    assert desk.tell(ended).refusal is None


def test_who_is_back_from_the_absence_is_home_and_the_clock_runs() -> None:
    desk = discharged()
    in_hospital(desk)
    until(desk, TWO - HOUR)
    back(desk, "returned")
    assert (desk.visit().home_at, desk.visit().late_at) == (TWO - HOUR, TWO + 30 * MINUTE)
    until(desk, TWO + 30 * MINUTE)
    assert desk.alert().due_at == TWO + 30 * MINUTE


def test_an_absence_that_never_was_leaves_the_home_to_be_confirmed() -> None:
    desk = discharged()
    in_hospital(desk)
    until(desk, TWO - HOUR)
    back(desk, "withdrawn")
    until(desk, TWO)
    assert len(asked(desk)) == 1


# --- edges ---


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("hours", [1, 6, 13])
def test_a_restart_keeps_what_is_waited_for(hours: int, snapshot: bool) -> None:
    desk, other = discharged(), discharged()
    for one in (desk, other):
        one.advance(hours=hours)
    desk.restart(snapshot=snapshot)
    for one in (desk, other):
        one.advance(hours=8)
    assert [type(fact.body) for fact in desk.facts] == [type(fact.body) for fact in other.facts]


def test_another_hour_of_decision_is_the_policy_s() -> None:
    desk = discharged(desk={"home_decide_at": time(17)})
    until(desk, MONDAY.replace(hour=17))
    assert desk.alert("home_unconfirmed").state == "open"


def test_what_was_asked_and_has_not_left_is_cancelled_by_the_confirmation() -> None:
    desk = discharged()
    until(desk, TWO)
    confirm(desk)
    assert desk.tell_turn(asked(desk)[0]) == "no"
