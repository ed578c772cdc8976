"""Arrived, and not left long after the planned end: text, call, then a person on duty (spec 19.6.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import Duty, parse_hours
from escalation.people import LineView, PlanView
from monitor.core import facts as f
from monitor.core.inputs import SignalChanged
from monitor.core.state import Message
from tests.core.days import busy_day, tidy_up
from tests.core.driver import MONDAY, Desk

MINUTE = timedelta(minutes=1)
END = MONDAY + 30 * MINUTE
OVERRUN = END + 45 * MINUTE
"""The policy's own: asked at 45 minutes past the end, rung five minutes later, looked for after five more."""
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def inside(start: datetime = MONDAY, **row: Any) -> Desk:
    """dee has arrived at ed's and forgets to check out."""
    desk = Desk(start)
    desk.plan(**row)
    desk.check()
    return desk


def asked(desk: Desk, template: str = "CW-6", person: str = "dee") -> list[Message]:
    """The questions of that kind to them which were not taken back, leaving now if they still wait."""
    found = [m for m in desk.messages("ask_worker") if (m.template, m.person) == (template, person)]
    for message in found:
        if message.phase == "queued":
            desk.send(message)
    return [desk.message(m.key) for m in found if desk.message(m.key).result != "cancelled"]


def texted(desk: Desk) -> Message:
    """The text after the overrun."""
    desk.advance(minutes=(OVERRUN - MONDAY) / MINUTE)
    return asked(desk)[-1]


def says(desk: Desk, message: Message, digit: int) -> Any:
    """They answer by text: 4 ring me, 5 left, 6 still here."""
    return desk.text(message.person, f"{message.slot}{digit}", line=message.line)


def place(desk: Desk, index: int = 0, visit: str = "v1") -> Any:
    return desk.visit(visit).places[index]


def steps(desk: Desk) -> list[tuple[str, str]]:
    return [(body.step, body.reason) for body in desk.bodies(f.CheckOutAsked)]


# --- the ladder ---


def test_text_at_the_overrun_call_five_minutes_later_the_person_on_duty_after_five_more() -> None:
    desk = inside()
    desk.advance(minutes=75, milliseconds=-1)
    assert desk.messages() == []
    desk.advance(milliseconds=1)
    assert [m.intended_at for m in asked(desk)] == [OVERRUN]
    desk.advance(minutes=5, milliseconds=-1)
    assert asked(desk, "CWV-110") == []
    desk.advance(milliseconds=1)
    assert len(asked(desk, "CWV-110")) == 1
    desk.advance(minutes=5, milliseconds=-1)
    assert desk.alerts() == []
    desk.advance(milliseconds=1)
    alert = desk.alert("lone_worker")
    assert (alert.worker, alert.reason) == ("dee", "check_out_silent")
    assert (alert.due_at, alert.opened_at) == (OVERRUN + 10 * MINUTE, desk.now)
    assert [m.template for m in desk.messages("summon")] == ["OC-110"]
    assert steps(desk) == [("texted", ""), ("rung", ""), ("on_call", "")]


def test_nobody_else_is_told_before() -> None:
    desk = inside()
    desk.advance(minutes=84)
    assert {m.person for m in desk.messages()} == {"dee"}


@pytest.mark.parametrize("status", ["no_answer", "busy", "completed"])
@pytest.mark.parametrize("start", [MONDAY, datetime(2026, 11, 23, 22, 0, tzinfo=UTC)], ids=["day", "night"])
def test_a_call_that_says_nothing_moves_on_at_once_and_is_made_once_more_only_by_day_to_who_was_there(
    status: Any, start: datetime
) -> None:
    desk = inside(start)
    desk.advance(minutes=80)
    (call,) = asked(desk, "CWV-110")
    desk.advance(seconds=30)
    desk.deliver(call, status)
    again = status != "no_answer" and start == MONDAY
    assert (place(desk).leaving.step, len(desk.alerts())) == (("again", 0) if again else ("on_call", 1))
    if again:
        desk.advance(minutes=5)
        assert len(asked(desk, "CWV-110")) == 2
        desk.deliver(asked(desk, "CWV-110")[-1], status)
        assert desk.alert("lone_worker").reason == "check_out_silent"
        assert len(asked(desk, "CWV-110")) == 2


def test_a_voicemail_is_nobody() -> None:
    desk = inside()
    desk.advance(minutes=80)
    (call,) = asked(desk, "CWV-110")
    desk.deliver(call, "in_progress", answered_by="machine")
    assert desk.alert("lone_worker").reason == "check_out_silent"


def test_a_text_that_cannot_be_sent_is_followed_by_the_call_at_once() -> None:
    desk = inside()
    message = texted(desk)
    desk.deliver(message, "undelivered")
    assert len(asked(desk, "CWV-110")) == 1


def test_an_open_line_without_a_key_is_looked_into_at_once() -> None:
    desk = inside()
    desk.advance(minutes=80)
    desk.press(asked(desk, "CWV-110")[0], "", "")
    assert (desk.alert("lone_worker").reason, steps(desk)[-1]) == ("check_out_silent", ("on_call", "no_key"))


# --- what is answered ---


def by_text(desk: Desk, digit: int) -> None:
    says(desk, texted(desk), digit)


def by_key(desk: Desk, digit: int) -> None:
    texted(desk)
    desk.advance(minutes=5)
    desk.press(asked(desk, "CWV-110")[0], {4: "9", 5: "1", 6: "2"}[digit])


WAYS = pytest.mark.parametrize("way", [by_text, by_key])
Way = Callable[[Desk, int], None]


@WAYS
def test_left_is_a_claim_and_never_a_check_out(way: Way) -> None:
    desk = inside()
    way(desk, 5)
    assert (place(desk).left, place(desk).left_at, desk.visit().over) == (True, None, True)
    assert "left_time_unknown" in desk.visit().verdicts
    (departure,) = desk.bodies(f.DepartureRecorded)
    assert departure.claim
    desk.advance(hours=6)
    assert desk.alerts() == []
    assert len(asked(desk)) == 1


@WAYS
def test_still_here_is_asked_again_after_as_long_as_at_first_and_shown_as_run_over(way: Way) -> None:
    desk = inside()
    way(desk, 6)
    assert "overrun" in desk.visit().verdicts
    assert (place(desk).left, desk.alerts()) == (False, [])
    desk.advance(minutes=45, milliseconds=-1)
    assert len(asked(desk)) == 1
    desk.advance(milliseconds=1)
    first, again = asked(desk)
    assert first.slot == again.slot
    desk.advance(minutes=10)
    assert desk.alert("lone_worker").reason == "check_out_silent"


@WAYS
def test_ring_me_is_told_to_the_person_on_duty_at_once(way: Way) -> None:
    desk = inside()
    way(desk, 4)
    alert = desk.alert("lone_worker")
    assert (alert.reason, alert.opened_at) == ("check_out_ring_me", desk.now)
    assert "OC-111" in [m.template for m in desk.messages("summon")]


def test_help_by_text_rings_everybody_and_says_where_they_are() -> None:
    desk = inside()
    texted(desk)
    desk.text("dee", word="help")
    assert desk.alert("help_asked").worker == "dee"
    assert desk.alert("lone_worker").reason == "check_out_ring_me"


def test_help_on_the_call_keeps_the_line_and_says_where_they_are() -> None:
    desk = inside()
    desk.advance(minutes=80)
    desk.press(asked(desk, "CWV-110")[0], "9")
    assert [line.person for line in desk.alert("help_asked").lines] == ["dee"]
    assert desk.alert("lone_worker").reason == "check_out_ring_me"


def test_the_same_text_handed_over_twice_is_taken_once() -> None:
    desk = inside()
    message = texted(desk)
    says(desk, message, 6)
    says(desk, message, 6)
    assert len(desk.bodies(f.CheckOutAnswered)) == 1


def test_who_is_still_there_says_later_that_they_have_left() -> None:
    desk = inside()
    message = texted(desk)
    says(desk, message, 6)
    desk.advance(minutes=20)
    says(desk, message, 5)
    assert place(desk).left
    desk.advance(hours=3)
    assert (desk.alerts(), len(asked(desk))) == ([], 1)


def test_what_is_said_back_fits_the_answer() -> None:
    for digit, words in ((5, "CW-110"), (6, "CW-111"), (4, "CW-112")):
        desk = inside()
        said = says(desk, texted(desk), digit).answer
        assert (said.template, said.visit) == (words, "v1")


# --- what ends it ---


def test_a_check_out_takes_back_what_waits() -> None:
    desk = inside()
    desk.advance(minutes=75)
    (waits,) = desk.messages("ask_worker")
    assert waits.phase == "queued"
    assert desk.check("leave").outcome == "left_overrun"
    assert desk.message(waits.key).result == "cancelled"
    desk.advance(hours=2)
    assert (desk.alerts(), len(desk.messages("ask_worker"))) == ([], 1)


def test_a_question_whose_turn_comes_after_the_check_out_does_not_leave() -> None:
    desk = inside()
    message = texted(desk)
    desk.check("leave")
    assert says(desk, message, 5).answer.template == "OC-25"
    assert place(desk).left_at == desk.now


def test_who_wants_to_be_rung_after_the_check_out_is_rung_all_the_same() -> None:
    desk = inside()
    message = texted(desk)
    desk.check("leave")
    says(desk, message, 4)
    assert desk.alert("help_asked").worker == "dee"


@pytest.mark.parametrize("after_min", [76, 81, 86])
def test_the_next_arrival_elsewhere_proves_that_they_have_left(after_min: int) -> None:
    desk = inside()
    desk.plan("v2", start=MONDAY + 150 * MINUTE, service_user="fay")
    desk.advance(minutes=after_min)
    desk.check(visit="v2")
    assert (place(desk).left, place(desk).left_at, place(desk).leaving) == (True, None, None)
    assert [m for m in desk.messages("ask_worker") if m.phase == "queued"] == []
    assert [alert.state for alert in desk.alerts("lone_worker")] == ["ended"] * (after_min == 86)


@pytest.mark.parametrize("digit", [5, 6])
def test_an_answer_after_the_alert_ends_it_and_those_who_were_told_are_told(digit: int) -> None:
    desk = inside()
    message = texted(desk)
    desk.advance(minutes=10)
    desk.send_all()
    says(desk, message, digit)
    assert desk.alert("lone_worker").ended_reason == "late_evidence"
    assert [m.template for m in desk.messages("stand_down")] == ["OC-29"]
    assert place(desk).left == (digit == 5)


def test_still_here_after_the_alert_is_asked_again_and_looked_for_again() -> None:
    desk = inside()
    message = texted(desk)
    desk.advance(minutes=10)
    says(desk, message, 6)
    desk.advance(minutes=55)
    assert [alert.state for alert in desk.alerts("lone_worker")] == ["ended", "open"]


def test_ring_me_after_the_alert_goes_to_whoever_has_it() -> None:
    desk = inside()
    message = texted(desk)
    desk.advance(minutes=10)
    desk.act("take", "mary", alert=desk.alert("lone_worker"))
    says(desk, message, 4)
    assert [(m.person, m.template) for m in desk.messages("notice")] == [("mary", "OC-113")]


def test_the_office_closes_it_and_nobody_is_asked_again() -> None:
    desk = inside()
    desk.advance(minutes=85)
    desk.act("close", "mary", alert=desk.alert("lone_worker"), reason="seen_well")
    (departure,) = desk.bodies(f.DepartureRecorded)
    assert (departure.left_at, departure.claim) == (None, "person:mary")
    desk.advance(hours=40)
    assert len(desk.alerts("lone_worker")) <= 1
    assert "v1" not in desk.state.values.visits


def test_an_alert_that_was_merged_into_another_asks_again_after_a_while() -> None:
    desk = inside()
    desk.advance(minutes=85)
    desk.check("help", device="d-dee")
    desk.act("close", "mary", alert=desk.alert("lone_worker"), reason="merged")
    assert not place(desk).left
    desk.advance(minutes=45)
    assert asked(desk)[-1].intended_at == OVERRUN + 55 * MINUTE
    assert place(desk).leaving.step == "texted"


@pytest.mark.parametrize(("reason", "left"), [("left", True), ("still_here", False)])
def test_what_they_say_to_a_person_of_ours_counts_as_what_they_text(reason: str, left: bool) -> None:
    desk = inside()
    desk.advance(minutes=85)
    alert = desk.alert("lone_worker")
    desk.act("spoke_care_worker", "mary", alert=alert, reason=reason)
    ended = desk.alert("lone_worker")
    assert (ended.state, ended.ended_reason, place(desk).left) == ("ended", "outcome_recorded", left)


def test_where_they_are_is_no_answer_to_whether_they_have_left() -> None:
    desk = inside()
    desk.advance(minutes=85)
    said = desk.act("spoke_care_worker", "mary", alert=desk.alert("lone_worker"), reason="cannot")
    assert said.refusal is not None
    assert said.refusal.detail == {"expected": ["left", "still_here"]}


def test_a_real_check_out_after_the_claim_gives_the_time() -> None:
    desk = inside()
    says(desk, texted(desk), 5)
    desk.advance(minutes=3)
    desk.check("leave", at=END)
    assert (place(desk).left_at, place(desk).leaving) == (END, None)
    assert "left_time_unknown" not in desk.visit().verdicts


def test_of_two_who_only_said_that_they_had_left_one_check_out_gives_one_time() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.check(device="d-kit")
    desk.advance(minutes=75)
    for person in ("dee", "kit"):
        says(desk, asked(desk, person=person)[0], 5)
    desk.check("leave", at=END, visit="v1")
    assert [one.left_at for one in desk.visit().places] == [END, None]
    assert "left_time_unknown" in desk.visit().verdicts


def test_who_comes_back_after_the_claim_has_their_time_again() -> None:
    desk = inside()
    says(desk, texted(desk), 5)
    desk.advance(minutes=10)
    assert desk.check().outcome == "arrived"
    assert "left_time_unknown" not in desk.visit().verdicts
    desk.advance(minutes=45, milliseconds=-1)
    assert len(asked(desk)) == 1
    desk.advance(milliseconds=1)
    assert len(asked(desk)) == 2


def test_a_plan_that_grew_takes_the_question_back_until_its_new_overrun() -> None:
    desk = inside(NOON)
    desk.plan(start=NOON, end=NOON + timedelta(hours=3))
    desk.advance(hours=3, minutes=45, milliseconds=-1)
    assert asked(desk) == []
    desk.advance(milliseconds=1)
    assert len(asked(desk)) == 1


# --- the run ---


def test_only_the_last_visit_of_a_run_asks_for_its_check_out() -> None:
    desk = inside()
    for n in (1, 2, 3):
        desk.plan(f"r{n}", start=MONDAY + n * 45 * MINUTE, service_user="fay")
    desk.advance(minutes=209)
    assert asked(desk) == []
    assert desk.alerts("lone_worker") == []
    desk.advance(minutes=1)
    assert [m.visit for m in asked(desk)] == ["v1"]


def test_a_visit_that_was_made_before_is_nothing_to_come() -> None:
    desk = Desk()
    desk.plan("v2", start=MONDAY + 60 * MINUTE, service_user="fay")
    desk.check(visit="v2")
    desk.advance(minutes=5)
    desk.check("leave", visit="v2")
    desk.plan("v1", start=MONDAY + 6 * MINUTE, end=END)
    desk.advance(minutes=5)
    desk.check(visit="v1")
    desk.advance(minutes=65)
    assert [m.visit for m in asked(desk)] == ["v1"]


# --- each place for itself ---


def test_two_who_forget_are_asked_each_for_themselves() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.check(device="d-kit")
    desk.advance(minutes=75)
    assert len(asked(desk)) == len(asked(desk, person="kit")) == 1
    says(desk, asked(desk)[0], 5)
    assert (place(desk, 0).left, place(desk, 1).left, desk.visit().over) == (True, False, False)
    desk.advance(minutes=10)
    assert desk.alert("lone_worker").worker == "kit"


def test_one_of_two_who_is_found_ends_their_own_alert_alone() -> None:
    desk = Desk()
    desk.plan(workers=("dee", "kit"))
    desk.check()
    desk.check(device="d-kit")
    desk.advance(minutes=75)
    (question,) = asked(desk, person="kit")
    desk.advance(minutes=15)
    says(desk, question, 5)
    assert {a.worker: a.state for a in desk.alerts("lone_worker")} == {"dee": "open", "kit": "ended"}


# --- the contact plan and the night ---


def with_plan(plan: PlanView, start: datetime = MONDAY) -> Desk:
    desk = inside(start)
    desk.people.people["dee"] = structs.replace(desk.people.people["dee"], plan=plan)
    return desk


def test_in_their_quiet_hours_they_are_texted_and_not_rung() -> None:
    desk = with_plan(PlanView(quiet=parse_hours("daily 07:00-08:30")))
    texted(desk)
    desk.advance(minutes=5)
    assert (len(asked(desk)), asked(desk, "CWV-110")) == (1, [])
    assert (desk.alert("lone_worker").reason, steps(desk)[-1]) == (
        "check_out_silent",
        ("on_call", "quiet_hours"),
    )


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (PlanView(channels=("text",)), [("texted", ""), ("on_call", "by_plan")]),
        (PlanView(channels=("voice",)), [("rung", ""), ("on_call", "")]),
        (PlanView(channels=("person",)), [("on_call", "by_plan")]),
    ],
)
def test_a_way_that_their_plan_does_not_have_is_skipped_by_name(plan: PlanView, expected: Any) -> None:
    desk = with_plan(plan)
    desk.advance(minutes=85)
    assert steps(desk) == expected


def test_who_has_no_telephone_is_looked_for_at_once() -> None:
    desk = inside()
    desk.people.people["dee"] = structs.replace(desk.people.people["dee"], lines=())
    desk.advance(minutes=75)
    assert (desk.alert("lone_worker").reason, steps(desk)) == (
        "check_out_not_asked",
        [("on_call", "no_line")],
    )


def test_a_landline_alone_is_rung_at_once() -> None:
    desk = inside()
    line = LineView(ref="l-dee", kind="landline")
    desk.people.people["dee"] = structs.replace(desk.people.people["dee"], lines=(line,))
    desk.advance(minutes=75)
    assert steps(desk) == [("rung", "")]


# --- the dark ---


def dark(desk: Desk, cause: Any, subject: str, *, is_dark: bool = True) -> None:
    desk.tell(SignalChanged(cause=cause, subject=subject, dark=is_dark))


def test_a_dark_phone_is_asked_and_its_silence_is_called_dark() -> None:
    desk = inside()
    desk.check("offline")
    desk.advance(minutes=75)
    assert len(asked(desk)) == 1
    desk.advance(minutes=10)
    assert desk.alert("lone_worker").reason == "check_out_dark"
    assert "OC-112" in [m.template for m in desk.messages("summon")]


def test_a_phone_that_was_heard_again_is_no_dark_one() -> None:
    desk = inside()
    desk.check("offline")
    desk.advance(minutes=40)
    desk.check("leave", visit="v9")
    desk.advance(minutes=45)
    assert desk.alert("lone_worker").reason == "check_out_silent"


def test_while_nothing_comes_in_from_anybody_they_are_not_asked_for_as_long_again() -> None:
    desk = inside()
    dark(desk, "broker", "")
    desk.advance(minutes=75 + 44)
    assert asked(desk) == []
    assert set(steps(desk)) == {("waiting", "dark")}
    desk.advance(minutes=1)
    assert len(asked(desk)) == 1


def test_a_policy_that_waits_for_nothing_looks_into_the_dark_once_a_second_and_not_for_ever() -> None:
    desk = Desk(locate_gives_up=timedelta())
    desk.plan()
    desk.check()
    dark(desk, "broker", "")
    desk.advance(minutes=75)
    desk.advance(seconds=3)
    assert steps(desk) == [("waiting", "dark")] * 4


def test_when_the_way_is_back_and_no_check_out_came_they_are_asked() -> None:
    desk = inside()
    dark(desk, "broker", "")
    desk.advance(minutes=76)
    dark(desk, "broker", "", is_dark=False)
    desk.advance(minutes=4)
    assert len(asked(desk)) == 1


def test_a_check_out_that_waited_on_the_way_is_all_that_was_needed() -> None:
    desk = inside()
    dark(desk, "broker", "")
    desk.advance(minutes=78)
    dark(desk, "broker", "", is_dark=False)
    desk.check("leave", at=END)
    desk.advance(hours=3)
    assert (asked(desk), desk.alerts("lone_worker")) == ([], [])


# --- the disk ---


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("minute", [76, 81, 86])
def test_after_a_restart_nothing_is_asked_twice_and_nothing_is_left_out(minute: int, snapshot: bool) -> None:
    desk = inside()
    desk.advance(minutes=minute)
    desk.restart(snapshot=snapshot)
    desk.advance(minutes=86 - minute)
    assert [m.template for m in desk.messages("ask_worker")] == ["CW-6", "CWV-110"]
    assert len(desk.alerts("lone_worker")) == 1


def test_nobody_on_duty_hears_of_it_who_must_not() -> None:
    desk = Desk(duty=(Duty(person="paul", role="on_call", hours="otherwise"),))
    ed = desk.people.people["ed"]
    plan = structs.replace(ed.plan, never_tell=frozenset({"dee"}))
    desk.people.people["ed"] = structs.replace(ed, plan=plan)
    desk.plan()
    desk.check()
    desk.advance(minutes=76)
    assert asked(desk) == []
    assert desk.alert("lone_worker").reason == "check_out_not_asked"


# --- whatever happens ---


def lost(desk: Desk) -> list[str]:
    """Visits in which somebody is inside, long after the end, and nobody would ever ask or look."""
    values = desk.state.values
    return [
        visit.ref
        for visit in values.visits.values()
        for one in visit.places
        if one.inside and not visit.over and visit.kind != "live_in"
        if one.leaving is not None and one.leaving.next_at is None
        if not any(
            alert.kind == "lone_worker" and alert.state != "ended" and alert.worker == one.worker
            for alert in (values.alerts[ref] for ref in visit.alerts)
        )
    ]


@pytest.mark.parametrize("seed", range(8))
def test_nobody_inside_is_ever_asked_and_looked_for_no_more(seed: int) -> None:
    desk = busy_day(seed, steps=200)
    assert lost(desk) == []
    tidy_up(desk)
    assert lost(desk) == []
