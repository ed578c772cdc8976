"""A care worker says that nobody opens the door after the alert that nobody had come (spec 7.24; domain.md 3: "The care
worker is there")."""

from __future__ import annotations

from typing import Any

import pytest

from escalation.people import LineView, PersonView, PlanView
from escalation.track import TrackName
from monitor.core import facts as f
from monitor.core.inputs import Position
from monitor.core.state import Alert
from tests.core.driver import AWAY, THERE, Desk

SENT = ("offer", "locate", "reassure", "tell_replacement")
"""What a late visit sends to find or send somebody, or to the home."""


def late(**policy: Any) -> Desk:
    """The visit is late, and its service user is being rung."""
    desk = Desk(**policy)
    desk.plan()
    desk.advance(minutes=30)
    desk.send_all()
    return desk


def offered() -> Desk:
    """Nothing was heard of dee: the visit has been offered to kit."""
    desk = late()
    desk.advance(minutes=6)
    desk.send_all()
    assert desk.messages("offer", "kit")
    return desk


def step(desk: Desk, name: TrackName) -> tuple[str, str]:
    track = desk.alert("late_visit").track(name)
    assert track is not None
    return track.step, track.reason


def test_nobody_opens_and_nobody_else_is_looked_for_sent_or_rung() -> None:
    desk = late()
    assert desk.check("no_reply", position=THERE).outcome == "no_reply"
    before = {purpose: len(desk.messages(purpose)) for purpose in SENT}
    desk.advance(hours=3)
    assert {purpose: len(desk.messages(purpose)) for purpose in SENT} == before
    assert step(desk, "locate") == ("reached", "at_door")
    assert step(desk, "replace") == ("done", "at_door")
    assert step(desk, "reassure") == ("done", "at_door")
    assert not any(message.template == "RM-1" for message in desk.messages())


def test_neither_alert_ends_before_somebody_comes_in_or_says_how_it_ended() -> None:
    desk = late()
    desk.check("no_reply")
    desk.advance(hours=3)
    assert [(alert.kind, alert.state) for alert in desk.alerts()] == [
        ("late_visit", "open"),
        ("no_reply", "open"),
    ]
    asked = [message for message in desk.messages("summon") if message.alert == desk.alert("no_reply").ref]
    assert {"olga", "mary"} < {message.person for message in asked}


def test_staff_are_summoned_about_the_door_and_not_about_the_late_visit() -> None:
    desk = late()
    desk.check("no_reply")
    about = len([m for m in desk.messages("summon") if m.alert == desk.alert("late_visit").ref])
    desk.advance(hours=1)
    assert len([m for m in desk.messages("summon") if m.alert == desk.alert("late_visit").ref]) == about


def test_who_takes_the_door_has_the_late_visit_and_gives_both_back() -> None:
    desk = late()
    desk.check("no_reply")
    desk.act("take", "paul", alert=desk.alert("no_reply"))
    assert desk.alert("late_visit").taken_by == "paul"
    desk.act("hand_over", "paul", alert=desk.alert("no_reply"))
    assert desk.alert("late_visit").taken_by is None


def test_who_has_the_late_visit_hears_of_the_door() -> None:
    desk = late()
    desk.act("take", "mary", alert=desk.alert("late_visit"))
    desk.check("no_reply")
    door = desk.alert("no_reply").ref
    assert [m.template for m in desk.messages(person="mary") if m.alert == door] == ["OC-9"]
    assert desk.alert("late_visit").taken_by == "mary"


def test_who_was_asked_to_go_is_told_that_nobody_is_wanted() -> None:
    desk = offered()
    (offer,) = desk.messages("offer", "kit")
    desk.check("no_reply")
    assert [m.template for m in desk.messages("stand_down", "kit")] == ["CW-8B"]
    desk.text("kit", f"{offer.slot}1")
    assert not desk.alert("late_visit").sent


def test_who_is_on_the_way_is_stood_down_unless_it_is_they_who_are_at_the_door() -> None:
    desk = offered()
    desk.text("kit", f"{desk.messages('offer', 'kit')[0].slot}1")
    assert desk.alert("late_visit").sent
    desk.check("no_reply", device="d-kit")
    assert not any(m.template == "CW-8B" for m in desk.messages("stand_down", "kit"))
    other = offered()
    other.text("kit", f"{other.messages('offer', 'kit')[0].slot}1")
    other.check("no_reply")
    assert [m.template for m in other.messages("stand_down", "kit")] == ["CW-8B"]
    assert not other.alert("late_visit").sent


def test_next_of_kin_who_are_being_rung_go_on_being_rung() -> None:
    """Not reached by telephone and not at the door either: that is graver, and not over."""
    desk = Desk()
    desk.people.people["ed"] = PersonView(
        ref="ed", role="service_user", lines=(LineView(ref="l-ed", kind="landline"),), next_of_kin=("ned",)
    )
    desk.plan()
    desk.advance(minutes=30)
    while desk.alert("late_visit").track("inform") is None or step(desk, "inform")[0] != "trying":
        desk.send_all()
        for message in [m for m in desk.messages("reassure") if m.phase == "accepted"]:
            desk.deliver(message, "no_answer")
        desk.advance(minutes=1)
    rung = len(desk.messages("inform_next_of_kin"))
    desk.check("no_reply")
    desk.advance(minutes=20)
    assert len(desk.messages("inform_next_of_kin")) > rung


def test_an_opened_door_ends_both() -> None:
    desk = late()
    desk.check("no_reply")
    desk.advance(minutes=4)
    assert desk.check().outcome == "arrived_late"
    assert {alert.ended_reason for alert in desk.alerts()} == {"arrived"}


def test_a_named_person_s_outcome_at_the_door_ends_both() -> None:
    desk = late()
    desk.check("no_reply")
    desk.act("close", "mary", alert=desk.alert("no_reply"), reason="taken_to_hospital")
    assert {alert.ended_reason for alert in desk.alerts()} == {"outcome_recorded"}
    assert {body.by for body in desk.bodies(f.AlertEnded)} == {"mary"}


def test_a_door_that_is_over_without_an_outcome_gives_the_late_visit_back_to_its_procedure() -> None:
    desk = late()
    desk.check("no_reply")
    desk.advance(minutes=2)
    desk.act("close", "mary", alert=desk.alert("no_reply"), reason="merged")
    assert step(desk, "locate")[0] == "trying"
    assert step(desk, "summon")[0] == "trying"
    assert step(desk, "reassure")[0] == "trying"
    desk.advance(minutes=6)
    assert desk.messages("offer", "kit")


def test_next_of_kin_who_were_to_be_told_later_wait_while_somebody_is_at_the_door() -> None:
    """Their plan lets no machine ring the service user: next of kin follow after half of the hour (22.6)."""
    desk = Desk()
    desk.people.people["ed"] = PersonView(
        ref="ed",
        role="service_user",
        lines=(LineView(ref="l-ed", kind="landline"),),
        plan=PlanView(channels=("person",)),
        next_of_kin=("ned",),
    )
    desk.plan()
    desk.advance(minutes=30)
    assert step(desk, "inform") == ("waiting", "person_only")
    desk.check("no_reply")
    assert step(desk, "inform") == ("done", "at_door")
    desk.advance(minutes=60)
    assert not desk.messages("inform_next_of_kin")
    desk.act("close", "mary", alert=desk.alert("no_reply"), reason="merged")
    desk.advance(minutes=31)
    assert desk.messages("inform_next_of_kin")


@pytest.mark.parametrize(
    "how", [{"position": AWAY}, {"position": THERE, "mock": True}], ids=["elsewhere", "mock"]
)
def test_said_from_elsewhere_it_changes_nothing(how: dict[str, Position | bool]) -> None:
    desk = late()
    desk.check("no_reply", **how)
    desk.advance(minutes=6)
    assert step(desk, "locate") == ("not_reached", "silent")
    assert desk.messages("offer", "kit")


def in_a_round() -> Desk:
    """dee is late at ed's and at fay's: staff have one incident of both."""
    desk = Desk()
    desk.plan("v1")
    desk.plan("v2", service_user="fay")
    desk.advance(minutes=31)
    return desk


def about(desk: Desk, visit: str = "v1") -> Alert:
    (found,) = [alert for alert in desk.alerts("late_visit") if alert.visit == visit]
    return found


def summoned_about(desk: Desk, visit: str = "v1") -> list[str]:
    return [m.key for m in desk.messages("summon") if m.alert == about(desk, visit).ref]


def test_an_incident_that_ends_summons_for_no_visit_at_whose_door_somebody_stands() -> None:
    desk = in_a_round()
    desk.check("no_reply", visit="v1")
    before = summoned_about(desk)
    desk.act("close", "mary", alert=desk.alert("incident"), reason="other")
    track, other = about(desk).track("summon"), about(desk, "v2").track("summon")
    assert track is not None
    assert other is not None
    assert (track.step, track.reason) == ("skipped", "at_door")
    assert (other.step, other.reason) == ("trying", "incident_over")
    desk.advance(minutes=20)
    assert summoned_about(desk) == before
    desk.act("close", "mary", alert=desk.alert("no_reply"), reason="merged")
    called = about(desk).track("summon")
    assert called is not None
    assert (called.step, called.reason) == ("trying", "door_over")


def test_who_has_the_door_has_the_visit_whose_incident_ends_too() -> None:
    desk = in_a_round()
    desk.check("no_reply", visit="v1")
    desk.act("take", "paul", alert=desk.alert("no_reply"))
    desk.act("close", "mary", alert=desk.alert("incident"), reason="other")
    assert about(desk).taken_by == "paul"


def test_who_gives_the_late_visit_back_while_somebody_is_at_the_door_summons_nobody_for_it() -> None:
    desk = late()
    desk.act("take", "mary", alert=desk.alert("late_visit"))
    desk.check("no_reply")
    before = summoned_about(desk)
    desk.act("hand_over", "mary", alert=desk.alert("late_visit"))
    assert step(desk, "summon") == ("skipped", "at_door")
    desk.advance(minutes=20)
    assert [
        key for key in summoned_about(desk) if key not in before and desk.message(key).result != "cancelled"
    ] == []


def test_every_way_into_the_same_door_is_the_same_after_a_restart() -> None:
    desk = offered()
    desk.check("no_reply")
    desk.advance(minutes=5)
    assert desk.replayed().values == desk.state.values
