"""Absence and return, on a desk in the hand (domain.md, "Absence and return"; spec 7.26-7.27, 4.6.8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from escalation.people import PlanView
from monitor.core import facts as f
from monitor.core.desk import Decision
from monitor.core.inputs import AbsenceActed, AbsenceTold
from monitor.core.state import Absence
from monitor.reads import stage_of
from tests.core.driver import MONDAY, NOWHERE, Desk

HOUR = timedelta(hours=1)


def tell(desk: Desk, **more: Any) -> Decision:
    """Ed is in hospital, as a care worker has passed on to paul."""
    said: dict[str, Any] = {
        "service_user": "ed",
        "reason": "hospital",
        "from_at": desk.now,
        "review_at": desk.now + timedelta(days=3),
        "raised_by": "care_worker",
        "by": "paul",
        "note": NOWHERE,
        "at": desk.now,
    }
    return desk.tell(AbsenceTold(**(said | more)))


def act(desk: Desk, action: str, by: str = "paul", **more: Any) -> Decision:
    more.setdefault("at", desk.now)
    return desk.tell(AbsenceActed(absence=absence(desk).ref, action=action, by=by, **more))  # type: ignore[arg-type]


def absence(desk: Desk) -> Absence:
    (one,) = desk.state.values.absences.values()
    return one


def away(**more: Any) -> Desk:
    """Ed is away since now, confirmed with his next of kin; a visit at nine tomorrow and one in an hour."""
    desk = Desk(**more)
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    desk.plan("v1", start=desk.now + HOUR)
    desk.plan("v2", start=desk.now + timedelta(days=1, hours=1))
    assert tell(desk, spoke_to="next_of_kin").refusal is None
    return desk


def templates(desk: Desk, person: str | None = None) -> list[str]:
    return [m.template for m in desk.messages(person=person) if m.result != "cancelled"]


# --- it counts only when a supervisor has confirmed it ---


def test_what_a_care_worker_reports_is_unconfirmed_and_the_visit_is_watched() -> None:
    desk = Desk()
    desk.plan(start=desk.now + HOUR)
    tell(desk)
    desk.advance(hours=1, minutes=29, seconds=59)
    assert desk.alerts("late_visit") == []
    desk.advance(seconds=1)
    assert len(desk.alerts("late_visit")) == 1, "an unconfirmed absence calls nothing off"


def test_a_confirmed_absence_shows_its_visits_as_away_and_misses_nobody() -> None:
    desk = away()
    desk.advance(hours=30)
    assert desk.alerts("late_visit") == []
    assert [stage_of(desk.visit(ref), desk.now) for ref in ("v1", "v2")] == ["away", "away"]
    assert desk.messages("ask_worker") == [], "nobody is asked where they are either"


@pytest.mark.parametrize(("by", "code"), [("dee", "not_supervisor"), ("olga", None), ("mary", None)])
def test_only_somebody_of_the_duty_list_confirms_it(by: str, code: str | None) -> None:
    desk = Desk()
    desk.plan(start=desk.now + HOUR)
    tell(desk)
    refusal = act(desk, "confirm", by=by, spoke_to="service_user").refusal
    assert (refusal.code if refusal else None) == code
    assert (desk.visit().away is None) == (code is not None)


def test_a_confirmation_says_with_whom_somebody_has_spoken() -> None:
    desk = Desk()
    tell(desk)
    refusal = act(desk, "confirm").refusal
    assert refusal is not None
    assert refusal.code == "spoke_to"


def test_confirming_it_ends_the_late_alert_with_who_confirmed_and_calls_off_no_visit() -> None:
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", start=desk.now + timedelta(hours=4))
    desk.advance(minutes=31)
    desk.send_all()
    tell(desk, from_at=MONDAY)
    assert desk.alert().state == "open"
    act(desk, "confirm", by="mary", spoke_to="next_of_kin")
    assert (desk.alert().state, desk.alert().ended_reason) == ("ended", "cancelled_confirmed")
    (ended,) = desk.bodies(f.AlertEnded)
    assert (ended.by, ended.outcome) == ("mary", "away")
    assert not desk.visit("v1").cancelled
    assert [stage_of(desk.visit(ref), desk.now) for ref in ("v1", "v2")] == ["away", "away"]
    assert desk.state.values.cancelled == {}, "an absence is no pattern of cancellations"


def test_a_visit_that_was_over_when_the_absence_began_is_watched_as_ever() -> None:
    desk = Desk()
    desk.plan("v1")
    tell(desk, from_at=desk.now + HOUR, review_at=desk.now + timedelta(days=2), spoke_to="service_user")
    desk.advance(minutes=31)
    assert len(desk.alerts("late_visit")) == 1


def test_a_visit_that_is_planned_during_the_absence_is_away_and_one_moved_before_it_is_not() -> None:
    desk = Desk()
    begins = desk.now + timedelta(hours=6)
    tell(desk, from_at=begins, spoke_to="service_user")
    desk.plan("v1", start=begins + HOUR)
    assert desk.visit().away == absence(desk).ref
    desk.plan("v1", start=begins - timedelta(hours=2))
    assert desk.visit().away is None
    desk.advance(hours=5)
    assert len(desk.alerts("late_visit")) == 1


def test_a_second_absence_of_the_same_person_names_the_first() -> None:
    desk = away()
    refusal = tell(desk).refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["absence"]) == ("already_away", absence(desk).ref)


def test_the_care_worker_of_the_next_visit_hears_that_they_are_away() -> None:
    desk = away()
    assert templates(desk, "dee") == ["CW-170"]


# --- who comes all the same ---


def test_a_care_worker_who_arrives_all_the_same_counts_and_a_person_is_asked_to_look() -> None:
    desk = away()
    desk.advance(hours=1, minutes=2)
    desk.check("arrive", visit="v1")
    assert stage_of(desk.visit(), desk.now) == "arrived"
    assert "while_away" in desk.visit().verdicts
    alert = desk.alert("away")
    assert (alert.reason, alert.service_user, alert.worker) == ("came_while_away", "ed", "dee")
    assert stage_of(desk.visit("v2"), desk.now) == "away", (
        "the others stay as they are until a person says more"
    )


# --- every morning ---


def morning(desk: Desk, day: int = 1) -> datetime:
    """10:00 in Greenwich winter time, `day` days after the Monday on which it begins."""
    return MONDAY.replace(hour=10) + timedelta(days=day)


def test_each_morning_at_ten_the_office_is_asked_once_and_after_two_hours_it_is_an_alarm() -> None:
    desk = away()
    desk.advance(seconds=(morning(desk) - desk.now).total_seconds() - 1)
    assert desk.bodies(f.AwayQuestioned) == [], "who confirmed it was told that day how they are"
    desk.advance(seconds=1)
    (asked,) = desk.bodies(f.AwayQuestioned)
    assert (asked.absences, asked.told) == ((absence(desk).ref,), "olga")
    (text,) = [m for m in desk.messages(person="olga") if m.template == "OC-8"]
    assert (text.count, text.about) == (1, "ed")
    desk.advance(hours=2, seconds=-1)
    assert desk.alerts("away") == []
    desk.advance(seconds=1)
    alert = desk.alert("away")
    assert (alert.reason, alert.count, alert.due_at) == ("not_asked", 1, desk.now)
    assert "OC-171" in templates(desk, "olga")


def test_an_answer_ends_the_question_and_its_alarm() -> None:
    desk = away()
    desk.advance(days=1, hours=5)
    assert desk.alert("away").state == "open"
    assert act(desk, "asked", by="olga", spoke_to="place", note=NOWHERE).refusal is None
    assert desk.alert("away").state == "ended"
    (answered,) = desk.bodies(f.AwayAnswered)
    assert (answered.by, answered.spoke_to) == ("olga", "place")
    desk.advance(hours=12)
    assert len(desk.bodies(f.AwayQuestioned)) == 1, "asked again only tomorrow"
    desk.advance(hours=12)
    assert len(desk.bodies(f.AwayQuestioned)) == 2


def test_one_answered_in_the_morning_is_not_asked_about_at_ten() -> None:
    desk = away()
    desk.advance(days=1, minutes=30)
    act(desk, "asked", spoke_to="service_user")
    desk.advance(hours=10)
    assert desk.bodies(f.AwayQuestioned) == []


def test_unanswered_and_closed_by_hand_it_is_asked_anew_the_next_morning() -> None:
    desk = away()
    desk.advance(days=1, hours=5)
    desk.act("close", "mary", alert=desk.alert("away"), reason="other")
    desk.advance(hours=12)
    assert len(desk.alerts("away")) == 1, "the same morning rings once"
    desk.advance(days=1)
    assert len(desk.bodies(f.AwayQuestioned)) == 2
    assert [a.state for a in desk.alerts("away")].count("open") == 1


def test_of_two_the_alarm_ends_with_the_second_answer() -> None:
    desk = away()
    tell(desk, service_user="fay", spoke_to="service_user")
    desk.advance(days=1, hours=5)
    assert desk.alert("away").count == 2
    for ref in sorted(desk.state.values.absences):
        assert desk.alert("away").state == "open"
        desk.tell(AbsenceActed(absence=ref, action="asked", by="olga", at=desk.now, spoke_to="place"))
    assert desk.alert("away").state == "ended"


def test_nobody_on_duty_who_could_be_asked_is_an_alarm_at_once() -> None:
    desk = away()
    for ref in ("olga", "paul", "mary"):
        desk.people.people[ref] = structs.replace(desk.people.people[ref], lines=())
    desk.advance(seconds=(morning(desk) - desk.now).total_seconds())
    assert desk.alert("away").reason == "not_asked"


def test_whoever_must_not_hear_of_somebody_does_not_hear_that_they_are_away() -> None:
    desk = away()
    desk.people.people["ed"] = structs.replace(
        desk.people.people["ed"], plan=PlanView(never_tell=frozenset({"olga"}))
    )
    desk.advance(seconds=(morning(desk) - desk.now).total_seconds())
    (text,) = [m for m in desk.messages(person="olga") if m.template == "OC-8"]
    assert text.about is None


def test_a_review_date_that_passes_is_an_alarm_once_and_another_date_ends_it() -> None:
    desk = away()
    desk.advance(days=3)
    alert = next(a for a in desk.alerts("away") if a.reason == "review_passed")
    assert alert.service_user == "ed"
    assert "OC-172" in templates(desk)
    refusal = act(desk, "change_review", review_at=desk.now).refusal
    assert refusal is not None
    act(desk, "change_review", review_at=desk.now + timedelta(days=2))
    assert desk.state.values.alerts[alert.ref].state == "ended"
    desk.advance(days=2, hours=1)
    assert [a.reason for a in desk.alerts("away") if a.state == "open"].count("review_passed") == 1


# --- return ---


def test_return_restarts_the_visits_and_tells_next_of_kin_and_the_next_care_worker() -> None:
    desk = away()
    desk.advance(hours=6)
    act(desk, "end", outcome="returned")
    assert [stage_of(desk.visit(ref), desk.now) for ref in ("v1", "v2")] == ["away", "planned"]
    assert desk.alerts("late_visit") == [], "no alarm for a visit that lay in the absence"
    assert "NOK-170" in templates(desk, "ned")
    assert templates(desk, "dee") == ["CW-170", "CW-171"]
    desk.advance(days=1)
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["v2"]


def test_a_visit_whose_time_is_not_over_is_asked_for_from_the_return_with_its_own_tolerance() -> None:
    desk = away()
    desk.advance(hours=1, minutes=20)
    act(desk, "end", outcome="returned")
    desk.advance(minutes=29, seconds=59)
    assert desk.alerts("late_visit") == []
    desk.advance(seconds=1)
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["v1"]


def test_a_visit_after_a_return_that_is_recorded_late_is_missed_at_once() -> None:
    desk = away()
    desk.advance(hours=2)
    act(desk, "end", outcome="returned", at=desk.now - timedelta(hours=1, minutes=10))
    desk.advance(seconds=1)
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["v1"]


def test_an_absence_that_never_was_is_watched_as_if_it_had_not_been() -> None:
    desk = away()
    desk.advance(hours=2)
    act(desk, "end", outcome="withdrawn")
    desk.advance(seconds=1)
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["v1"]
    assert desk.messages(person="ned") == [] or "NOK-170" not in templates(desk, "ned")


@pytest.mark.parametrize(
    ("public", "result"), [("off", "rehearsed"), ("ask", "intended"), ("auto", "intended")]
)
def test_public_messages_that_are_off_hold_for_next_of_kin_too(public: str, result: str) -> None:
    desk = away(public=public)
    act(desk, "end", outcome="returned")
    (text,) = desk.messages(person="ned")
    assert (text.template, text.result) == ("NOK-170", result)


def test_a_next_of_kin_whom_only_a_person_rings_is_named_in_a_fact() -> None:
    desk = away()
    desk.people.people["ned"] = structs.replace(
        desk.people.people["ned"], plan=PlanView(channels=("person",))
    )
    act(desk, "end", outcome="returned")
    assert [(b.person, b.reason) for b in desk.bodies(f.KinNotTold)] == [("ned", "person_only")]
    assert desk.messages(person="ned") == []


def test_a_text_about_the_return_that_fails_is_told_to_the_person_on_duty() -> None:
    desk = away()
    act(desk, "end", outcome="returned")
    (text,) = desk.messages(person="ned")
    desk.send_all()
    desk.deliver(text, "undelivered")
    assert [(b.person, b.reason) for b in desk.bodies(f.KinNotTold)] == [("ned", "failed")]
    assert "OC-175" in templates(desk, "paul")


def test_the_same_after_a_restart_by_snapshot_or_by_journal() -> None:
    for snapshot in (True, False):
        desk = away()
        desk.advance(days=1, hours=3)
        desk.restart(snapshot=snapshot)
        desk.advance(hours=2)
        assert desk.alert("away").reason == "not_asked"
        desk.restart(snapshot=snapshot)
        act(desk, "end", by="mary", outcome="returned")
        assert desk.alert("away").state == "ended"
        assert "NOK-170" in templates(desk, "ned")
        assert desk.replayed().values == desk.state.values
