"""Callers on the free number: check-ins by line and PIN, and an alert that stands until somebody has the caller."""

from __future__ import annotations

from datetime import timedelta

import pytest

from escalation.free_number import WhyPerson
from monitor.core import facts as f
from monitor.core.callers import Join
from monitor.core.inputs import CallerAlone, CallerJoined, CallerWaits, CheckInSeen, PinsGuessed
from monitor.core.state import Alert
from monitor.core.work import Decision
from tests.core.driver import NEXT_HOME, NOWHERE, Desk

WHYS: tuple[WhyPerson, ...] = WhyPerson.__args__  # type: ignore[attr-defined]


def rings(desk: Desk, kind: str = "arrive", **more: object) -> Decision:
    """dee, on ed's own line, unless said otherwise."""
    desk._prints += 1
    fields: dict[str, object] = {
        "ref": desk.mint("k"),
        "source": "phone",
        "kind": kind,
        "at": desk.now,
        "fingerprint": desk._prints,
        "evidence": NOWHERE,
        "worker": "dee",
        "service_user": "ed",
        "tag": True,
    }
    return desk.tell(CheckInSeen(**(fields | more)))  # type: ignore[arg-type]


def waits(desk: Desk, why: WhyPerson = "help", **more: str) -> Join:
    about = {"worker": "dee", "service_user": "ed", "line": "l-ed"} | more
    answer = desk.tell(CallerWaits(why=why, **about)).answer  # type: ignore[arg-type]
    assert isinstance(answer, Join)
    return answer


def helps(desk: Desk) -> list[Alert]:
    return [alert for alert in desk.state.values.alerts.values() if alert.kind == "help_asked"]


# --- check-ins ---


def test_on_the_homes_own_line_the_line_is_the_proof() -> None:
    desk = Desk()
    desk.plan()
    assert rings(desk).outcome == "arrived"
    (arrived,) = desk.bodies(f.ArrivalRecorded)
    assert (arrived.proof, arrived.worker, arrived.verdicts) == ("line", "dee", ("on_time",))
    assert rings(desk, "leave").outcome == "left_short"


def test_a_home_that_was_only_keyed_counts_and_its_place_is_not_clear() -> None:
    desk = Desk()
    desk.plan()
    assert rings(desk, tag=False).outcome == "arrived"
    (arrived,) = desk.bodies(f.ArrivalRecorded)
    assert (arrived.proof, set(arrived.verdicts)) == ("pressed", {"on_time", "place_unclear"})
    (record,) = desk.bodies(f.CheckInRecorded)
    assert (record.source, record.place) == ("phone", "unclear")


@pytest.mark.parametrize(("instead", "visit"), [(False, "hers"), (True, "now")], ids=["key 1", "key 4"])
def test_in_place_of_somebody_means_the_visit_that_is_now_and_not_ones_own(instead: bool, visit: str) -> None:
    desk = Desk()
    desk.plan("now", workers=("kit",))
    desk.plan("hers", start=desk.now + timedelta(minutes=90), workers=("dee",))
    assert rings(desk, instead=instead).visit == visit
    (arrived,) = desk.bodies(f.ArrivalRecorded)
    assert ("other_worker" in arrived.verdicts) is instead


def test_an_arrival_by_telephone_takes_the_alert_back() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    assert desk.alert().kind == "late_visit"
    assert rings(desk).outcome == "arrived_late"
    assert desk.alert().state == "ended"


def test_the_same_key_of_the_same_call_is_one_check_in() -> None:
    desk = Desk()
    desk.plan()
    rings(desk, fingerprint=77)
    assert rings(desk, fingerprint=77).outcome == "duplicate"
    assert len(desk.bodies(f.ArrivalRecorded)) == 1


def test_a_next_arrival_farther_away_than_a_car_can_go_is_flagged() -> None:
    """A made-up caller id, or a PIN that two people use."""
    desk = Desk()
    desk.people.home["fay"] = (NEXT_HOME,)
    desk.plan()
    desk.plan("v2", service_user="fay", start=desk.now + timedelta(minutes=5))
    rings(desk)
    desk.now += timedelta(seconds=10)
    assert rings(desk, service_user="fay").outcome == "flagged_place"


# --- a person is wanted ---


@pytest.mark.parametrize("why", WHYS)
def test_an_alert_stands_before_anybody_is_rung_and_nobody_is_rung_by_us_meanwhile(why: WhyPerson) -> None:
    desk = Desk()
    join = waits(desk, why)
    (alert,) = helps(desk)
    assert (alert.ref, alert.reason, alert.state) == (join.alert, f"caller_{why}", "open")
    assert [rung.person for rung in join.rungs] == ["paul", "mary"]
    sent = desk.bodies(f.MessageIntended)
    assert {m.channel for m in sent} == ({"sms"} if why == "help" else set())
    assert {m.priority for m in sent} <= {"help"}


@pytest.mark.parametrize("why", WHYS)
def test_nobody_joined_in_two_minutes_is_everybody_rung(why: WhyPerson) -> None:
    desk = Desk()
    waits(desk, why)
    assert [m for m in desk.advance(seconds=119) if isinstance(m, f.MessageIntended)] == []
    rung = [m for m in desk.advance(seconds=2) if isinstance(m, f.MessageIntended) and m.channel == "call"]
    words = "OCV-130" if why == "rang" else "OCV-4"
    assert {(m.person, m.template, m.priority) for m in rung} == {
        ("paul", words, "help"),
        ("mary", words, "help"),
    }


def test_nobody_came_to_the_telephone_is_everybody_rung_at_once_and_only_once() -> None:
    desk = Desk()
    join = waits(desk)
    before = len(desk.bodies(f.MessageIntended))
    desk.tell(CallerAlone(alert=join.alert))
    desk.tell(CallerAlone(alert=join.alert))
    calls = desk.bodies(f.MessageIntended)[before:]
    assert [(m.person, m.channel) for m in calls] == [("paul", "call"), ("mary", "call")]


def test_who_presses_the_key_has_the_help_until_they_say_how_it_ended() -> None:
    desk = Desk()
    join = waits(desk)
    desk.tell(CallerJoined(alert=join.alert, person="paul", digit="1"))
    (alert,) = helps(desk)
    assert (alert.state, alert.taken_by) == ("taken", "paul")
    (reached,) = desk.bodies(f.PersonReached)
    assert (reached.person, reached.proof) == ("paul", "key:1")
    assert [m for m in desk.advance(minutes=10) if isinstance(m, f.MessageIntended)] == []
    assert any(isinstance(m, f.MessageIntended) for m in desk.advance(minutes=6)), "asked how it stands"


@pytest.mark.parametrize("why", [why for why in WHYS if why != "help"])
def test_whoever_only_asked_for_a_person_has_one_and_it_is_over(why: WhyPerson) -> None:
    desk = Desk()
    join = waits(desk, why)
    desk.tell(CallerJoined(alert=join.alert, person="paul", digit="1"))
    (alert,) = helps(desk)
    assert (alert.state, alert.ended_reason) == ("ended", "outcome_recorded")
    desk.tell(CallerJoined(alert=join.alert, person="mary", digit="1"))
    desk.tell(CallerAlone(alert=join.alert))
    assert len(desk.bodies(f.PersonReached)) == 1


def test_the_same_caller_again_is_the_same_alert_and_rings_first_who_has_it() -> None:
    desk = Desk()
    join = waits(desk)
    desk.tell(CallerJoined(alert=join.alert, person="mary", digit="1"))
    again = waits(desk)
    assert again.alert == join.alert
    assert [rung.person for rung in again.rungs] == ["mary", "paul"]
    before = len(desk.bodies(f.MessageIntended))
    desk.tell(CallerAlone(alert=again.alert))
    (told,) = desk.bodies(f.MessageIntended)[before:]
    assert (told.person, told.template) == ("mary", "OC-33"), "help is asked again of who has it"


def test_help_is_never_folded_into_a_call_that_asked_for_less() -> None:
    desk = Desk()
    waits(desk, "asked")
    waits(desk, "help")
    assert [alert.reason for alert in helps(desk)] == ["caller_asked", "caller_help"]


def test_two_callers_of_whom_nothing_is_known_are_two_alerts() -> None:
    desk = Desk()
    for _ in range(2):
        desk.tell(CallerWaits(why="silent"))
    assert len(helps(desk)) == 2


def test_without_anybody_on_duty_the_alert_stands_and_nobody_is_to_be_rung() -> None:
    desk = Desk(duty=())
    join = waits(desk)
    assert join.rungs == ()
    desk.tell(CallerAlone(alert=join.alert))
    track = helps(desk)[0].track("summon")
    assert track is not None
    assert (track.reason, track.next_at is not None) == ("nobody_on_duty", True)


def test_guessed_pins_are_one_alarm_as_long_as_it_stands() -> None:
    desk = Desk()
    desk.tell(PinsGuessed())
    desk.tell(PinsGuessed())
    (alert,) = desk.state.values.alerts.values()
    assert (alert.kind, alert.reason) == ("incident", "wrong_pins")
    assert desk.bodies(f.MessageIntended)[0].template in ("OC-34", "OCV-3")
    desk.act("close", "paul", alert=alert, reason="other")
    desk.tell(PinsGuessed())
    assert len(desk.state.values.alerts) == 2


@pytest.mark.parametrize("why", WHYS)
def test_a_restart_in_the_middle_loses_no_caller(why: WhyPerson) -> None:
    desk = Desk()
    waits(desk, why)
    for snapshot in (True, False):
        desk.restart(snapshot=snapshot)
        assert helps(desk)[0].line == "l-ed"
    assert any(isinstance(m, f.MessageIntended) for m in desk.advance(seconds=121))
