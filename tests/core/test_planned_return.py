"""Planned returns, and a day centre of every week, on a desk in the hand (domain.md, "Absence and return")."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core import facts as f
from monitor.core.inputs import AbsenceActed, HomeSaid
from monitor.reads import stage_of
from tests.core.driver import MONDAY, NOWHERE, Desk
from tests.core.test_absence import absence, act, tell, templates

HOUR = timedelta(hours=1)
WEDNESDAY = MONDAY + timedelta(days=2, hours=2)
"""10:00: ed is to come home then."""
DAYS = ("mon", "tue", "wed", "eve", "thu")
STARTS = dict(
    zip(
        DAYS,
        (
            MONDAY + HOUR,
            MONDAY + timedelta(days=1, hours=1),
            WEDNESDAY + HOUR,
            WEDNESDAY + 7 * HOUR,
            WEDNESDAY + timedelta(days=1),
        ),
        strict=True,
    )
)


def planned(**more: Any) -> Desk:
    """Ed is in hospital since now and is to be home on Wednesday at ten; the ward is to be asked, unless said."""
    desk = Desk(**more.pop("desk", {}))
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned",))
    for name, start in STARTS.items():
        desk.plan(name, start=start)
    given = {"return_at": WEDNESDAY, "home_from": "place", "spoke_to": "place"} | more
    assert tell(desk, **given).refusal is None
    return desk


def stages(desk: Desk) -> str:
    """Which of the five visits is away (a), waits for home (h), is watched (w); those of before yesterday have left."""
    visits = [desk.visit(name) for name in DAYS if name in desk.state.values.visits]
    return "".join("a" if v.away else "h" if v.waits_home else "w" for v in visits)


def until(desk: Desk, at: datetime) -> None:
    desk.advance(seconds=(at - desk.now).total_seconds())


# --- somebody has to say that they are home ---


def test_the_first_visit_on_the_return_waits_for_home_and_the_others_stay_away() -> None:
    desk = planned()
    assert stages(desk) == "aahaa"
    until(desk, STARTS["wed"])
    assert [m.template for m in desk.messages("notice") if m.visit == "wed"] == ["OC-185"]
    assert desk.alerts("late_visit") == []


def test_who_is_confirmed_home_is_back_and_the_rest_is_watched() -> None:
    desk = planned()
    until(desk, STARTS["wed"] - timedelta(minutes=20))
    desk.tell(HomeSaid(visit="wed", by="paul", at=desk.now))
    assert stages(desk) == "awww"
    (ended,) = desk.bodies(f.AbsenceEnded)
    assert (ended.reason, ended.by, ended.ended_at) == ("returned", "paul", desk.now)
    assert templates(desk, "ned") == ["NOK-170"]
    until(desk, STARTS["wed"] + 30 * timedelta(minutes=1))
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["wed"]


def test_a_care_worker_who_is_there_confirms_it_too() -> None:
    desk = planned()
    until(desk, STARTS["wed"])
    desk.check(service_user="ed", visit="wed")
    assert len(desk.bodies(f.AbsenceEnded)) == 1
    assert stages(desk)[-2:] == "ww"
    assert [alert for alert in desk.alerts("away") if alert.reason == "came_while_away"] == []


def test_the_office_says_on_the_absence_itself_that_they_are_back() -> None:
    desk = planned()
    until(desk, WEDNESDAY + timedelta(minutes=5))
    act(desk, "end", outcome="returned")
    assert len(desk.bodies(f.HomeConfirmed)) == 1
    assert stages(desk) == "awww"


def test_unconfirmed_at_half_past_eight_a_person_decides() -> None:
    desk = planned()
    until(desk, MONDAY + timedelta(days=2, hours=12, minutes=30))
    assert [(a.kind, a.visit) for a in desk.alerts() if a.kind == "home_unconfirmed"] == [
        ("home_unconfirmed", "wed")
    ]
    assert stages(desk) == "ahaa", "nobody else is missed either"


@pytest.mark.parametrize("late", [False, True])
def test_a_discharge_that_slips_moves_what_waits_to_the_first_visit_after_it(late: bool) -> None:
    desk = planned()
    until(desk, MONDAY + timedelta(days=2, hours=12, minutes=31) if late else WEDNESDAY)
    slipped = STARTS["thu"] - HOUR
    assert act(desk, "change_return", return_at=slipped, home_from="place").refusal is None
    assert stages(desk) == "aaah"
    assert all(alert.state == "ended" for alert in desk.alerts("home_unconfirmed"))
    until(desk, STARTS["thu"])
    assert [m.visit for m in desk.messages("notice") if m.template == "OC-185"][-1:] == ["thu"]


def test_a_return_that_nobody_knows_any_more_leaves_everything_away_and_asked_about() -> None:
    desk = planned()
    act(desk, "change_return")
    assert stages(desk) == "aaaaa"
    until(desk, MONDAY + timedelta(days=2, hours=2))
    assert "OC-8" in templates(desk), "each morning somebody is asked"


def test_a_visit_that_the_rota_plans_before_the_first_one_is_the_first_one() -> None:
    desk = planned()
    desk.plan("early", start=WEDNESDAY + timedelta(minutes=30))
    assert desk.visit("early").waits_home
    assert stages(desk) == "aaaaa"


def test_a_rota_that_says_the_same_again_changes_nothing_and_one_that_moves_it_keeps_it_waiting() -> None:
    desk = planned()
    desk.plan("wed", start=STARTS["wed"])
    assert stages(desk) == "aahaa"
    desk.plan("wed", start=STARTS["wed"] + timedelta(minutes=15))
    assert stages(desk) == "aahaa"
    assert desk.visit("wed").agreed_start == STARTS["wed"] + timedelta(minutes=15)


def test_a_return_without_any_visit_is_an_alarm_a_day_later() -> None:
    desk = Desk()
    tell(
        desk, return_at=WEDNESDAY, home_from="place", spoke_to="place", review_at=MONDAY + timedelta(days=20)
    )
    until(desk, WEDNESDAY + timedelta(hours=24) - timedelta(seconds=1))
    assert [a for a in desk.alerts("away") if a.reason == "review_passed"] == []
    desk.advance(seconds=1)
    assert [a.reason for a in desk.alerts("away") if a.reason == "review_passed"] == ["review_passed"]


def test_what_was_never_true_is_watched_by_its_plan() -> None:
    desk = planned()
    act(desk, "end", outcome="withdrawn")
    assert stages(desk) == "wwwww"
    until(desk, STARTS["mon"] + timedelta(minutes=30))
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["mon"]


# --- a return that is certain ---


def test_a_certain_return_watches_from_then_on_and_ends_by_itself_without_saying_so() -> None:
    desk = planned(home_from=None, reason="family")
    assert stages(desk) == "aawww"
    until(desk, WEDNESDAY)
    (ended,) = desk.bodies(f.AbsenceEnded)
    assert (ended.reason, ended.by, ended.ended_at) == ("returned", "paul", WEDNESDAY)
    assert templates(desk, "ned") == [], "nobody has seen that they are back"
    until(desk, STARTS["wed"] + timedelta(minutes=30))
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["wed"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"return_at": MONDAY}, "return_at"),
        ({"home_from": "place"}, "home_from"),
        ({"weekly": "Tue 10:00-15:00", "return_at": WEDNESDAY, "home_from": "place"}, "home_from"),
        ({"weekly": "every Tuesday"}, "weekly"),
        ({"weekly": "otherwise"}, "weekly"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(said: dict[str, Any], code: str) -> None:
    refusal = tell(Desk(), **said).refusal
    assert refusal is not None
    assert refusal.code == code


# --- a day centre of every week ---

TUESDAY = MONDAY + timedelta(days=1)


def centre(weekly: str = "Tue 10:00-15:00", **desk_: Any) -> Desk:
    """Ed goes there since now; visits on Tuesday at nine, ten, half past two and three, and on Wednesday at ten."""
    desk = Desk(**desk_)
    for hour, name in ((1, "nine"), (2, "ten"), (6.5, "half"), (7, "three"), (26, "wed")):
        desk.plan(name, start=TUESDAY + hour * HOUR)
    said = {"reason": "day_centre", "review_at": MONDAY + timedelta(days=60)}
    assert tell(desk, weekly=weekly, spoke_to="next_of_kin", **said).refusal is None
    return desk


def away(desk: Desk) -> set[str]:
    return {v.ref for v in desk.state.values.visits.values() if v.away is not None}


def test_what_lies_between_going_and_coming_back_is_away_and_nothing_else() -> None:
    desk = centre()
    assert away(desk) == {"ten", "half"}
    until(desk, TUESDAY + timedelta(hours=3))
    assert stage_of(desk.visit("ten"), desk.now) == "away"
    assert [alert.visit for alert in desk.alerts("late_visit")] == ["nine"]


def test_a_visit_that_is_only_half_inside_is_watched() -> None:
    desk = centre("Tue 10:15-15:15")
    assert away(desk) == {"half"}


def test_nobody_is_asked_each_morning_about_a_day_centre_and_its_review_date_holds() -> None:
    desk = Desk()
    said = {"reason": "day_centre", "review_at": MONDAY + timedelta(days=60)}
    tell(desk, weekly="Tue 10:00-15:00", spoke_to="next_of_kin", **said)
    until(desk, MONDAY + timedelta(days=59))
    assert "OC-8" not in templates(desk)
    until(desk, MONDAY + timedelta(days=60))
    assert "review_passed" in [a.reason for a in desk.alerts("away")]


def test_on_a_bank_holiday_they_are_at_home_unless_the_hours_say_so() -> None:
    holiday = {"holidays": [date(2026, 11, 24)]}
    assert away(centre(**holiday)) == set()
    assert away(centre("Tue+holidays 10:00-15:00", **holiday)) == {"ten", "half"}


def test_on_a_day_on_which_they_do_not_go_the_visits_are_watched() -> None:
    desk = centre()
    act(desk, "at_home", day=date(2026, 11, 24))
    assert away(desk) == set()
    desk.plan("new", start=TUESDAY + 3 * HOUR)
    assert away(desk) == set()


def test_a_visit_planned_later_is_away_on_its_day_too() -> None:
    desk = centre()
    desk.plan("next", start=TUESDAY + timedelta(days=7, hours=3))
    assert "next" in away(desk)


def test_hospital_beside_a_day_centre_takes_the_rest_and_gives_it_back() -> None:
    desk = centre()
    assert tell(desk, spoke_to="place").refusal is None
    assert away(desk) == {"nine", "ten", "half", "three", "wed"}
    hospital = next(one for one in desk.state.values.absences.values() if one.weekly is None)
    desk.tell(AbsenceActed(absence=hospital.ref, action="end", by="paul", at=desk.now, outcome="returned"))
    assert away(desk) == {"ten", "half"}
    refusal = tell(desk, weekly="Thu 10:00-12:00").refusal
    assert refusal is not None
    assert refusal.code == "already_away"


def test_an_arrangement_ends_with_its_last_day() -> None:
    desk = centre()
    act(desk, "change_return", return_at=TUESDAY + 4 * HOUR)
    assert away(desk) == {"ten"}
    until(desk, TUESDAY + 4 * HOUR)
    assert absence(desk).ended_as == "returned"


def test_only_an_arrangement_of_every_week_has_days_at_home() -> None:
    refusal = act(planned(), "at_home", day=date(2026, 11, 24), note=NOWHERE).refusal
    assert refusal is not None
    assert refusal.code == "day"


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_knows_the_return_and_the_day_centre(snapshot: bool) -> None:
    one, two = planned(), centre()
    for desk in (one, two):
        before, again = away(desk), desk.state.next_deadline()
        desk.restart(snapshot=snapshot)
        assert (away(desk), desk.state.next_deadline()) == (before, again)
    assert stages(one) == "aahaa"
