"""One incident per cause: what staff are told once, what runs on, and what comes back (domain.md; design rule 4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec import structs

from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core.causes import round_of
from monitor.core.inputs import RotaRow, SignalChanged
from monitor.core.places import Home
from monitor.core.state import Alert
from tests.core.days import quiet_ends
from tests.core.driver import MONDAY, Desk

MINUTE = timedelta(minutes=1)
SIX = tuple(f"u{number}" for number in range(1, 7))


def desk_with_round(people: tuple[str, ...] = SIX, *, apart: int = 20, **row: Any) -> Desk:
    """dee visits each of these, one after the other, from MONDAY on."""
    desk = Desk()
    for number, person in enumerate(people):
        line = LineView(ref=f"l-{person}", kind="landline")
        desk.people.people[person] = PersonView(ref=person, role="service_user", lines=(line,))
        desk.people.home[person] = (Home(lat=51.5 + number / 100, lon=0.02, radius_m=100.0),)
    row.setdefault("workers", ("dee",))
    desk.upload(
        *[
            RotaRow(
                row=number + 1,
                key=f"v{number + 1}",
                visit=f"v{number + 1}",
                service_user=person,
                start=MONDAY + number * apart * MINUTE,
                end=MONDAY + (number * apart + 15) * MINUTE,
                **row,
            )
            for number, person in enumerate(people)
        ]
    )
    return desk


def incident(desk: Desk) -> Alert:
    return desk.alert("incident")


def summoned(desk: Desk, alert: Alert) -> list[tuple[str, str]]:
    return [(m.person, m.channel) for m in desk.messages("summon") if m.alert == alert.ref]


def late(desk: Desk, visit: str) -> Alert:
    (alert,) = [alert for alert in desk.alerts("late_visit") if alert.visit == visit]
    return alert


def summon(alert: Alert) -> tuple[str, str]:
    track = alert.track("summon")
    assert track is not None
    return track.step, track.reason


def dark(desk: Desk, *, back: bool = False, cause: Any = "device", subject: str = "d-dee") -> None:
    desk.tell(SignalChanged(cause=cause, subject=subject, dark=not back))


def test_a_dead_phone_with_six_visits_to_go_is_one_incident_with_its_whole_round() -> None:
    desk = desk_with_round()
    dark(desk)
    found = incident(desk)
    assert (found.reason, found.worker, found.count) == ("worker_dark", "dee", 6)
    assert [v.ref for v in round_of(desk.state, found, desk.now)] == ["v1", "v2", "v3", "v4", "v5", "v6"]
    assert [m.template for m in desk.messages("summon")] == ["OC-4"]
    desk.advance(minutes=131)
    assert len(desk.alerts("incident")) == 1
    assert [summon(a) for a in desk.alerts("late_visit")] == [("skipped", "in_incident")] * 6
    assert {m.alert for m in desk.messages("summon")} == {found.ref}


def test_the_alerts_of_an_incident_run_on() -> None:
    desk = desk_with_round()
    dark(desk)
    desk.advance(minutes=45)
    asked = {m.person for m in desk.messages("reassure")}
    assert "u1" in asked
    assert late(desk, "v1").track("locate") is not None
    assert late(desk, "v1").track("replace") is not None


def test_the_second_late_visit_of_one_care_worker_makes_one_incident_of_both() -> None:
    desk = desk_with_round(("u1", "u2"))
    desk.advance(minutes=30)
    assert desk.alerts("incident") == []
    first = late(desk, "v1")
    assert summon(first) == ("trying", "raised")
    desk.advance(minutes=20)
    assert incident(desk).reason == "worker_late"
    assert {a.incident for a in desk.alerts("late_visit")} == {incident(desk).ref}
    assert summon(late(desk, "v1")) == summon(late(desk, "v2")) == ("skipped", "in_incident")
    assert summoned(desk, late(desk, "v2")) == []


def test_one_visit_of_a_dark_phone_is_no_incident() -> None:
    desk = desk_with_round(("u1",))
    dark(desk)
    desk.advance(minutes=40)
    assert desk.alerts("incident") == []
    assert summon(late(desk, "v1"))[0] == "trying"


def test_nothing_is_said_of_a_dark_phone_until_one_of_its_visits_is_due() -> None:
    desk = desk_with_round()
    desk.check(service_user="u1")
    dark(desk)
    assert desk.alerts("incident") == []
    desk.now += MINUTE
    desk.advance(minutes=19)
    assert incident(desk).opened_at == MONDAY + 20 * MINUTE


def test_a_time_critical_visit_is_summoned_on_its_own() -> None:
    desk = desk_with_round(time_critical=True)
    dark(desk)
    desk.advance(minutes=30)
    assert summon(late(desk, "v1")) == ("trying", "raised")
    assert late(desk, "v1").incident == incident(desk).ref
    assert summoned(desk, late(desk, "v1"))


def test_who_takes_the_incident_has_its_alerts_and_those_that_come_after() -> None:
    desk = desk_with_round()
    dark(desk)
    desk.advance(minutes=31)
    desk.act("take", "paul", alert=incident(desk))
    assert (late(desk, "v1").state, late(desk, "v1").taken_by) == ("taken", "paul")
    desk.advance(minutes=10)
    text = [m for m in desk.messages("summon", "paul") if m.template == "OC-2"]
    assert len(text) <= 1
    desk.act("take", "paul", alert=incident(desk))
    desk.advance(minutes=10)
    assert late(desk, "v2").taken_by == "paul"


def test_who_takes_an_incident_by_text_is_not_confirmed_in_one_visit_alone() -> None:
    desk = desk_with_round()
    dark(desk)
    desk.advance(minutes=31)
    (asked,) = [m for m in desk.messages("summon") if m.alert == incident(desk).ref and m.channel == "sms"][
        :1
    ]
    desk.send(asked)
    said = desk.text(asked.person, f"{asked.slot}1").answer
    assert incident(desk).taken_by == asked.person
    assert (said.template, said.alert) == ("OC-221", incident(desk).ref)


def test_when_the_taking_lapses_the_incident_summons_again_for_all_of_them() -> None:
    desk = desk_with_round()
    dark(desk)
    desk.advance(minutes=31)
    desk.act("take", "paul", alert=incident(desk))
    desk.advance(minutes=21)
    assert incident(desk).state == "open"
    assert {a.state for a in desk.alerts("late_visit")} == {"open"}
    assert quiet_ends(desk) == []


def test_an_incident_that_is_closed_gives_each_alert_its_own_summons_back() -> None:
    desk = desk_with_round()
    dark(desk)
    desk.advance(minutes=51)
    desk.act("close", "paul", alert=incident(desk), reason="other")
    assert summon(late(desk, "v1")) == summon(late(desk, "v2")) == ("trying", "incident_over")


def test_who_held_the_closed_incident_is_asked_about_each_alert_that_is_left() -> None:
    desk = desk_with_round()
    dark(desk)
    desk.advance(minutes=31)
    desk.act("take", "paul", alert=incident(desk))
    desk.act("close", "paul", alert=incident(desk), reason="other")
    track = late(desk, "v1").track("summon")
    assert late(desk, "v1").taken_by == "paul"
    assert track is not None
    assert track.next_at == desk.now + desk.state.values.policy.ack_expires


def test_the_incident_ends_with_its_cause_and_its_alerts() -> None:
    desk = desk_with_round(("u1", "u2"))
    dark(desk)
    desk.advance(minutes=31)
    dark(desk, back=True)
    assert incident(desk).state == "open", "an alert of it is open"
    desk.check(service_user="u1")
    assert late(desk, "v1").state == "ended"
    assert incident(desk).state == "ended"


def test_a_dark_way_in_is_one_incident_of_the_whole_desk() -> None:
    desk = desk_with_round()
    dark(desk, cause="broker", subject="b")
    desk.advance(minutes=80)
    assert [a.reason for a in desk.alerts("incident")] == ["broker_dark"]
    assert {m.template for m in desk.messages("summon") if m.channel == "sms"} == {"OC-5"}
    dark(desk, cause="broker", subject="b", back=True)
    assert incident(desk).state == "open"


def test_a_way_in_that_comes_back_before_any_alert_ends_its_incident() -> None:
    desk = desk_with_round()
    dark(desk, cause="feed", subject="fd")
    assert incident(desk).state == "open"
    desk.advance(minutes=5)
    dark(desk, cause="feed", subject="fd", back=True)
    assert incident(desk).state == "ended"


def test_two_people_on_one_line_are_one_incident() -> None:
    desk = desk_with_round(("u1", "u2"), apart=0, workers=())
    shared = LineView(ref="l-u1", kind="landline")
    for person in ("u1", "u2"):
        desk.people.people[person] = structs.replace(desk.people.people[person], lines=(shared,))
    desk.advance(minutes=30)
    assert (incident(desk).reason, incident(desk).line) == ("line_late", "l-u1")


def test_somebody_of_whom_not_all_may_hear_is_summoned_for_on_their_own() -> None:
    desk = desk_with_round()
    plan = structs.replace(desk.people.people["u1"].plan, never_tell=frozenset({"paul"}))
    desk.people.people["u1"] = structs.replace(desk.people.people["u1"], plan=plan)
    dark(desk)
    desk.advance(minutes=30)
    assert summon(late(desk, "v1"))[0] == "trying"
    assert {person for person, _ in summoned(desk, late(desk, "v1"))} == {"mary"}


def test_an_incident_survives_a_restart() -> None:
    desk = desk_with_round()
    dark(desk)
    desk.advance(minutes=51)
    desk.restart(snapshot=False)
    desk.advance(minutes=30)
    assert {a.incident for a in desk.alerts("late_visit")} == {incident(desk).ref}
    assert len(desk.bodies(f.AlertGathered)) == len(desk.alerts("late_visit"))
    assert quiet_ends(desk) == []


# --- several at once, without a cause in common ---


def storm(count: int, *, apart_s: float = 1, **more: Any) -> Desk:
    """So many visits, each with a care worker of its own, late one after the other."""
    desk = desk_with_round(())
    rows = []
    for number in range(1, count + 1):
        ref, worker = f"p{number}", f"w{number}"
        line = LineView(ref=f"l-{ref}", kind="landline")
        desk.people.people[ref] = PersonView(ref=ref, role="service_user", lines=(line,))
        desk.people.people[worker] = PersonView(ref=worker, role="care_worker", lines=())
        start = MONDAY + timedelta(seconds=number * apart_s)
        rows.append(
            RotaRow(
                row=number,
                key=f"v{number}",
                visit=f"v{number}",
                service_user=ref,
                start=start,
                end=start + 30 * MINUTE,
                workers=(worker,),
                **more,
            )
        )
    desk.upload(*rows)
    return desk


def test_forty_alerts_at_once_are_one_text_and_one_call_and_forty_service_users_asked() -> None:
    desk = storm(40, apart_s=0.1)
    desk.advance(minutes=32)
    alerts = desk.alerts("late_visit")
    assert len(alerts) == 40
    assert {a.incident for a in alerts} == {incident(desk).ref}
    wanted = [m for m in desk.messages("summon") if m.result != "cancelled"]
    assert [(m.template, m.channel) for m in wanted] == [("OC-92", "sms"), ("OCV-3", "call")]
    dropped = [m for m in desk.messages("summon") if m.result == "cancelled"]
    assert {m.reason for m in dropped} == {"in_incident"}
    assert len({m.person for m in desk.messages("reassure")}) == 40
    assert quiet_ends(desk) == []


def test_two_at_once_are_summoned_each_for_itself_and_the_third_makes_them_one() -> None:
    desk = storm(3)
    desk.advance(minutes=30, seconds=2)
    assert desk.alerts("incident") == []
    desk.advance(seconds=1)
    assert incident(desk).reason == "several_late"
    assert [summon(a) for a in desk.alerts("late_visit")] == [("skipped", "in_incident")] * 3


def test_three_that_are_not_at_once_are_summoned_each_for_itself() -> None:
    desk = storm(3, apart_s=31)
    desk.advance(minutes=33)
    assert desk.alerts("incident") == []


def test_one_answer_takes_them_all_and_one_reminder_goes_out_for_all() -> None:
    desk = storm(10, apart_s=0.1)
    desk.advance(minutes=30, seconds=5)
    (text,) = [m for m in desk.messages("summon") if m.template == "OC-92"]
    desk.send(text)
    desk.text(text.person, f"{text.slot}1", line=text.line)
    assert {a.taken_by for a in desk.alerts("late_visit")} == {text.person}
    desk.advance(minutes=16)
    assert len([m for m in desk.messages("summon") if m.template == "OC-2"]) == 1


def test_time_critical_visits_at_once_are_summoned_each_for_itself() -> None:
    desk = storm(5, apart_s=0.1, time_critical=True)
    desk.advance(minutes=31)
    assert desk.alerts("incident") == []
    assert len({m.alert for m in desk.messages("summon")}) == 5


def test_in_a_storm_each_message_has_the_worth_of_its_purpose() -> None:
    desk = storm(5, apart_s=0.1)
    for number in range(1, 6):
        worker = f"w{number}"
        desk.people.people[worker] = PersonView(
            ref=worker, role="care_worker", lines=(LineView(ref=f"l-{worker}"),)
        )
    desk.advance(minutes=31)
    for call in desk.messages("reassure"):
        desk.send(call)
        desk.deliver(call, "no_answer")
    desk.advance(minutes=10)
    worth = {(m.purpose, m.priority) for m in desk.messages() if m.purpose != "notice"}
    assert worth == {
        ("ask_worker", "repeat"),
        ("summon", "summon"),
        ("reassure", "first_contact"),
        ("reassure", "repeat"),
        ("locate", "repeat"),
        ("offer", "time_critical"),
        ("inform_council", "time_critical"),
    }
    again = [m.person for m in desk.messages("reassure") if m.priority == "repeat"]
    assert sorted(set(again)) == ["p1", "p2", "p3", "p4", "p5"]


def test_of_a_time_critical_visit_the_questions_go_before_what_is_said_again() -> None:
    desk = storm(2, time_critical=True)
    desk.people.people["w1"] = PersonView(ref="w1", role="care_worker", lines=(LineView(ref="l-w1"),))
    desk.advance(minutes=36)
    asked = {
        (m.purpose, m.priority) for m in desk.messages(person="w1") if m.purpose in ("ask_worker", "locate")
    }
    assert asked == {("ask_worker", "time_critical"), ("locate", "time_critical")}


# --- one reminder for all that she holds ---


def two_held() -> Desk:
    """paul has taken two alerts, one minute after the other."""
    desk = storm(2, apart_s=61)
    desk.advance(minutes=32, seconds=2)
    first, second = desk.alerts("late_visit")
    desk.act("take", "paul", alert=first)
    desk.advance(minutes=1)
    desk.act("take", "paul", alert=second)
    return desk


def reminders(desk: Desk) -> list[str]:
    return [m.template for m in desk.messages("summon", "paul") if m.template in ("OC-2", "OC-95")]


def test_one_reminder_asks_about_all_that_somebody_holds_and_one_answer_keeps_them_all() -> None:
    desk = two_held()
    desk.advance(minutes=15)
    assert reminders(desk) == ["OC-95"]
    (text,) = [m for m in desk.messages("summon", "paul") if m.template == "OC-95"]
    assert text.count == 2
    desk.send(text)
    desk.text("paul", f"{text.slot}3")
    desk.advance(minutes=10)
    assert {a.taken_by for a in desk.alerts("late_visit")} == {"paul"}
    assert reminders(desk) == ["OC-95"]


def test_passing_the_reminder_on_gives_them_all_to_the_next() -> None:
    desk = two_held()
    desk.advance(minutes=15)
    (text,) = [m for m in desk.messages("summon", "paul") if m.template == "OC-95"]
    desk.send(text)
    desk.text("paul", f"{text.slot}2")
    assert {a.state for a in desk.alerts("late_visit")} == {"open"}
    assert {summon(a)[0] for a in desk.alerts("late_visit")} == {"trying"}


def test_a_reminder_that_nobody_answers_lapses_for_all_of_them() -> None:
    desk = two_held()
    desk.advance(minutes=21)
    assert {a.state for a in desk.alerts("late_visit")} == {"open"}
    assert quiet_ends(desk) == []
