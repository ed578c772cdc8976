"""*Reassure* as a timetable: by their own channel, at least three minutes apart, and never silent (spec 22.2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from escalation.people import LineView, PersonView, PlanView
from monitor.core import facts as f
from monitor.core.inputs import PolicyLoaded, SignalChanged
from monitor.core.state import Message
from tests.core.driver import DUTY, MONDAY, Desk

LANDLINE = LineView(ref="l-ed", kind="landline")
MOBILE = LineView(ref="l-mob")


def alerted(*lines: LineView, plan: PlanView | None = None, public: str = "auto", **row: Any) -> Desk:
    """A late visit to ed at MONDAY + 30 min, alerted; nothing has been sent yet."""
    desk = Desk(public=public)
    desk.people.people["ed"] = PersonView(
        ref="ed", role="service_user", lines=lines or (LANDLINE,), plan=plan or PlanView()
    )
    desk.plan(**row)
    desk.advance(minutes=30)
    return desk


def track(desk: Desk) -> tuple[str, str]:
    found = desk.alert().track("reassure")
    assert found is not None
    return found.step, found.reason


def tries(desk: Desk) -> list[tuple[float, str, str | None]]:
    """(minutes after the alert, channel, line) of every try that was not cancelled."""
    begin = MONDAY + timedelta(minutes=30)
    return [
        ((m.intended_at - begin).total_seconds() / 60, m.channel, m.line)
        for m in desk.messages("reassure")
        if m.result != "cancelled"
    ]


def last(desk: Desk) -> Message:
    return desk.messages("reassure")[-1]


def ring(desk: Desk, status: Any = "no_answer", **more: Any) -> None:
    """The call that waits leaves, rings and comes to this end."""
    assert desk.send(last(desk)) == "send"
    desk.deliver(last(desk), status, **more)


# --- the timetable ---


def test_they_are_rung_at_the_alert_and_every_three_minutes_and_are_then_not_reached() -> None:
    desk = alerted()
    for _ in range(2):
        ring(desk)
        desk.advance(minutes=3)
    assert tries(desk) == [(0, "call", "l-ed"), (3, "call", "l-ed"), (6, "call", "l-ed")]
    assert track(desk) == ("trying", "unanswered")
    ring(desk)
    assert track(desk) == ("not_reached", "unanswered")
    notices = [(m.template, m.count) for m in desk.messages("notice")]
    # the council is told by a person (22.6), from the second unanswered try on
    assert notices == [("OC-61", 1), ("OC-15", 3)]
    desk.advance(hours=1)
    assert len(tries(desk)) == 3


def test_the_first_is_a_first_contact_and_the_others_are_repeats_with_a_long_ring() -> None:
    desk = alerted()
    ring(desk)
    desk.advance(minutes=3)
    assert [(m.priority, m.ring_s, m.template) for m in desk.messages("reassure")] == [
        ("first_contact", 50, "SUV-1"),
        ("repeat", 50, "SUV-1"),
    ]


def test_for_a_time_critical_visit_the_repeats_come_first_among_repeats() -> None:
    desk = alerted(time_critical=True)
    ring(desk)
    desk.advance(minutes=3)
    assert [m.priority for m in desk.messages("reassure")] == ["first_contact", "time_critical"]


def test_never_two_rings_at_once() -> None:
    desk = alerted()
    desk.advance(minutes=2, seconds=30)
    desk.send(last(desk))
    desk.advance(seconds=30)
    assert len(tries(desk)) == 1
    desk.advance(seconds=30)
    assert len(tries(desk)) == 1
    desk.deliver(last(desk), "no_answer")
    desk.advance(seconds=30)
    assert len(tries(desk)) == 2


def test_a_call_of_which_nothing_is_heard_does_not_hold_the_next_one_up_for_ever() -> None:
    desk = alerted()
    desk.send(last(desk))
    desk.advance(minutes=3)
    assert len(tries(desk)) == 2


def test_a_call_that_could_not_leave_gives_way_to_the_next_try() -> None:
    desk = alerted()
    desk.advance(minutes=3)
    assert [m.result for m in desk.messages("reassure")] == ["cancelled", "intended"]


def test_what_cannot_be_sent_gives_way_to_the_next_line_at_once() -> None:
    desk = alerted(LANDLINE, MOBILE)
    ring(desk, "failed")
    assert tries(desk) == [(0, "call", "l-ed"), (0, "call", "l-mob")]


def test_an_old_call_that_fails_late_rings_nobody_again() -> None:
    desk = alerted()
    desk.send(last(desk))
    first = last(desk)
    desk.advance(minutes=3)
    ring(desk)
    desk.deliver(first, "failed")
    assert len(tries(desk)) == 2


# --- the way of the person ---


@pytest.mark.parametrize(
    ("lines", "channels", "wanted"),
    [
        ((LANDLINE,), (), [("call", "l-ed")]),
        ((LANDLINE,), ("text", "voice"), [("call", "l-ed")]),
        ((MOBILE,), (), [("call", "l-mob"), ("sms", "l-mob")]),
        ((MOBILE,), ("text",), [("sms", "l-mob")]),
        ((MOBILE, LANDLINE), ("text", "voice"), [("sms", "l-mob"), ("call", "l-mob"), ("call", "l-ed")]),
        ((LineView(ref="l1", use="voice_only"),), ("text", "voice"), [("call", "l1")]),
        ((LineView(ref="l1", use="text_only"),), (), [("sms", "l1")]),
        ((LineView(ref="l1", stopped=True),), ("text", "voice"), [("call", "l1")]),
    ],
)
def test_each_line_by_what_it_can_do_in_the_order_of_the_plan(
    lines: tuple[LineView, ...], channels: tuple[Any, ...], wanted: list[tuple[str, str]]
) -> None:
    desk = alerted(*lines, plan=PlanView(channels=channels))
    for _ in wanted[1:]:
        desk.send(last(desk))
        desk.deliver(last(desk), "delivered" if last(desk).channel == "sms" else "no_answer")
        desk.advance(minutes=3)
    assert [(channel, line) for _, channel, line in tries(desk)] == wanted


def test_the_ring_of_the_plan_is_used() -> None:
    assert last(alerted(plan=PlanView(ring_s=80))).ring_s == 80


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        (None, "nobody_known"),
        (PersonView(ref="ed", role="service_user"), "no_line"),
        (
            PersonView(ref="ed", role="service_user", lines=(LANDLINE,), plan=PlanView(channels=("person",))),
            "person_only",
        ),
    ],
)
def test_who_cannot_or_must_not_be_contacted_by_a_machine_is_skipped_by_name(
    person: PersonView | None, reason: str
) -> None:
    desk = Desk()
    desk.plan()
    if person is None:
        del desk.people.people["ed"]
    else:
        desk.people.people["ed"] = person
    desk.advance(minutes=40)
    assert track(desk) == ("skipped", reason)
    assert desk.messages("reassure") == []
    assert desk.messages("summon")


# --- off, ask, auto ---


@pytest.mark.parametrize(
    ("desk_mode", "own", "first_min"),
    [
        ("auto", None, 0),
        ("auto", "auto", 0),
        ("auto", "ask", 2),
        ("ask", None, 2),
        ("ask", "auto", 2),
        ("off", "auto", None),
        ("auto", "off", None),
        ("off", None, None),
    ],
)
def test_the_lower_of_the_desk_s_and_the_person_s_mode_counts(
    desk_mode: str, own: Any, first_min: float | None
) -> None:
    desk = alerted(plan=PlanView(public=own), public=desk_mode)
    if first_min:
        desk.advance(minutes=first_min, milliseconds=-1)
        assert tries(desk) == []
        desk.advance(milliseconds=1)
    if first_min is None:
        desk.advance(minutes=20)
        assert [m.result for m in desk.messages("reassure")] == ["rehearsed"]
        assert track(desk) == ("skipped", "public_off")
    else:
        assert [minute for minute, _, _ in tries(desk)] == [first_min]


def test_a_rehearsed_message_never_leaves_and_staff_are_summoned_for_real() -> None:
    desk = alerted(public="off")
    assert desk.tell_turn(last(desk)) == "no"
    assert last(desk).attempts == 0
    assert desk.send(desk.messages("summon")[0]) == "send"


def test_switched_off_meanwhile_what_waits_does_not_leave() -> None:
    desk = alerted()
    desk.tell(
        PolicyLoaded(policy=desk.state.values.policy, duty=DUTY, council_desks=(), holidays=(), public="off")
    )
    assert desk.tell_turn(last(desk)) == "no"
    assert last(desk).reason == "public_off"


def test_the_person_on_duty_may_stop_it_for_a_while_and_then_it_goes_by_itself() -> None:
    desk = alerted(public="ask")
    desk.advance(minutes=1)
    desk.act("pause", "paul")
    assert track(desk) == ("waiting", "paused")
    desk.advance(minutes=14, seconds=59)
    assert tries(desk) == []
    desk.advance(seconds=1)
    assert tries(desk) == [(16, "call", "l-ed")]


# --- in the dark ---


@pytest.mark.parametrize(("cause", "subject"), [("broker", ""), ("feed", "mqtt"), ("device", "d-dee")])
@pytest.mark.parametrize(("time_critical", "held_min"), [(False, 10), (True, 0)])
def test_in_the_dark_staff_at_once_and_the_service_user_after_ten_minutes(
    cause: Any, subject: str, time_critical: bool, held_min: int
) -> None:
    desk = Desk()
    desk.plan(time_critical=time_critical)
    desk.tell(SignalChanged(cause=cause, subject=subject, dark=True))
    desk.advance(minutes=30)
    assert desk.messages("summon")
    if held_min:
        assert track(desk) == ("waiting", "dark")
        desk.advance(minutes=held_min, milliseconds=-1)
        assert tries(desk) == []
        desk.advance(milliseconds=1)
    assert [minute for minute, _, _ in tries(desk)] == [held_min]


def test_when_our_own_clock_is_doubted_nobody_outside_is_contacted_until_it_is_settled() -> None:
    desk = Desk()
    desk.plan(time_critical=True)
    desk.tell(SignalChanged(cause="clock", dark=True))
    desk.advance(minutes=45)
    assert tries(desk) == []
    assert desk.messages("summon")
    desk.tell(SignalChanged(cause="clock", dark=False))
    desk.advance(milliseconds=1)
    assert len(tries(desk)) == 1


def test_another_care_worker_s_dark_phone_is_nothing_to_this_visit() -> None:
    desk = Desk()
    desk.plan()
    desk.tell(SignalChanged(cause="device", subject="d-kit", dark=True))
    desk.advance(minutes=30)
    assert track(desk)[0] == "trying"


@pytest.mark.parametrize(("heard_after", "dark"), [(True, False), (False, True)])
def test_of_two_phones_of_one_care_worker_the_one_that_still_speaks_is_enough(
    heard_after: bool, dark: bool
) -> None:
    desk = Desk()
    desk.people.devices["d-dee2"] = "dee"
    desk.plan()
    if not heard_after:
        desk.check("leave", service_user="fay", device="d-dee2")
        desk.advance(minutes=1)
    desk.tell(SignalChanged(cause="device", subject="d-dee", dark=True))
    if heard_after:
        desk.advance(minutes=1)
        desk.check("leave", service_user="fay", device="d-dee2")
    desk.advance(minutes=29)
    assert (track(desk)[1] == "dark") is dark


# --- what they answer ---


@pytest.mark.parametrize(
    ("keys", "answer", "help_asked"),
    [
        (("1",), "all_right", False),
        (("2",), "talk", True),
        (("3",), "carer_here", False),
        (("", "1"), "all_right", False),
        (("7", "1"), "all_right", False),
    ],
)
def test_a_key_is_contact(keys: tuple[str, ...], answer: str, help_asked: bool) -> None:
    desk = alerted()
    desk.send(last(desk))
    desk.press(last(desk), *keys)
    (reached,) = desk.bodies(f.PersonReached)
    assert (reached.person, reached.answer, reached.proof) == ("ed", answer, f"key:{keys[-1]}")
    assert track(desk) == ("reached", answer)
    assert bool(desk.alerts("help_asked")) is help_asked
    assert (desk.alert().state, desk.visit().anybody_there) == ("open", False)
    desk.advance(hours=1)
    assert len(tries(desk)) == 1


def test_my_carer_is_here_is_told_to_staff_and_is_no_arrival() -> None:
    desk = alerted()
    desk.send(last(desk))
    desk.press(last(desk), "3")
    assert [m.template for m in desk.messages("notice")] == ["OC-18"]
    assert desk.bodies(f.ArrivalRecorded) == []


@pytest.mark.parametrize("keys", [("", ""), ("7", "8"), ("", "9", "")])
def test_an_open_line_without_a_key_is_no_contact_and_a_person_must_ring(keys: tuple[str, ...]) -> None:
    desk = alerted()
    desk.send(last(desk))
    desk.press(last(desk), *keys)
    assert desk.alert("help_asked").reason == "no_key"
    assert desk.bodies(f.PersonReached) == []
    assert track(desk)[0] == "trying"


def test_hung_up_before_a_key_is_not_contact() -> None:
    desk = alerted()
    ring(desk, "completed")
    assert (last(desk).result, last(desk).reason, last(desk).proof) == ("answered", "no_key", None)
    desk.advance(minutes=3)
    assert len(tries(desk)) == 2


def test_voicemail_is_not_contact() -> None:
    desk = alerted()
    ring(desk, "in_progress", answered_by="machine")
    assert (last(desk).result, last(desk).proof) == ("voicemail", None)
    desk.advance(minutes=3)
    assert len(tries(desk)) == 2


def test_a_key_after_a_wrong_guess_of_voicemail_is_contact_all_the_same() -> None:
    desk = alerted()
    ring(desk, "in_progress", answered_by="machine")
    desk.press(last(desk), "1")
    assert (last(desk).result, last(desk).proof) == ("answered", "key:1")
    assert track(desk) == ("reached", "all_right")


@pytest.mark.parametrize("key", ["1", "3"])
def test_where_keys_are_not_understood_a_key_is_answered_and_a_person_is_told_to_ring(key: str) -> None:
    desk = alerted(plan=PlanView(understands_keys=False))
    desk.send(last(desk))
    desk.press(last(desk), key)
    assert track(desk) == ("reached", "keys_not_understood")
    assert [m.template for m in desk.messages("notice")] == ["OC-51"]
    assert desk.alerts("help_asked") == []


def test_where_keys_are_not_understood_key_two_is_help_all_the_same() -> None:
    desk = alerted(plan=PlanView(understands_keys=False))
    desk.send(last(desk))
    desk.press(last(desk), "2")
    assert desk.alert("help_asked").reason == "asked"


def test_an_answer_after_they_were_not_reached_is_contact() -> None:
    desk = alerted(MOBILE, plan=PlanView(channels=("text",)))
    for _ in range(3):
        desk.send(last(desk))
        desk.deliver(last(desk), "delivered")
        desk.advance(minutes=3)
    assert track(desk)[0] == "not_reached"
    desk.text("ed", "1", line="l-mob")
    assert track(desk) == ("reached", "all_right")


def test_a_named_person_s_conversation_is_contact_and_stops_the_machine() -> None:
    desk = alerted()
    desk.act("spoke_service_user", "olga")
    assert track(desk) == ("reached", "spoke")
    assert desk.bodies(f.PersonReached)[-1].proof == "person:olga"
    assert last(desk).result == "cancelled"


# --- texts ---


def texted() -> Desk:
    desk = alerted(MOBILE, plan=PlanView(channels=("text",)))
    desk.send(last(desk))
    return desk


def reply(desk: Desk, code: str | None = None, **more: Any) -> Any:
    return desk.text("ed", code, line="l-mob", **more).answer


@pytest.mark.parametrize(
    ("code", "answer", "words"),
    [
        ("1", "all_right", "SU-2"),
        ("11", "all_right", "SU-2"),
        ("2", "talk", "SU-3"),
        ("13", "carer_here", "SU-4"),
    ],
)
def test_a_reply_by_code_or_bare_digit_is_contact(code: str, answer: str, words: str) -> None:
    desk = texted()
    said = reply(desk, code)
    assert (said.template, said.person) == (words, "ed")
    assert track(desk) == ("reached", answer)
    assert (last(desk).proof, last(desk).result, last(desk).phase) == (f"reply:{code}", "answered", "settled")


def test_after_all_right_they_may_still_ask_for_somebody() -> None:
    desk = texted()
    reply(desk, "1")
    reply(desk, "2")
    assert desk.alert("help_asked").reason == "asked"


def test_help_by_text_is_key_two() -> None:
    desk = texted()
    assert reply(desk, word="help").template == "SU-3"
    assert desk.alert("help_asked").reason == "asked"


def test_their_own_words_go_before_a_person_and_are_never_all_right() -> None:
    desk = texted()
    assert reply(desk, word="other").template == "SU-11"
    assert desk.alert("help_asked").reason == "free_text"
    assert track(desk)[0] == "trying"


def test_do_not_come_calls_nothing_off_and_a_person_rings() -> None:
    """Spec 7.26: it counts when a supervisor has confirmed it with them, and until then the visit stands."""
    desk = texted()
    visits = dict(desk.state.values.visits)
    assert reply(desk, word="dont_come").template == "SU-12"
    asked = desk.alert("help_asked")
    assert asked.reason == "dont_come"
    assert {m.template for m in desk.messages("summon") if m.alert == asked.ref} <= {"OC-35", "OCV-3"}
    assert {ref: (v.start, v.cancelled, v.resolved) for ref, v in desk.state.values.visits.items()} == {
        ref: (v.start, v.cancelled, v.resolved) for ref, v in visits.items()
    }
    assert desk.alert("late_visit").state == "open"
    assert track(desk)[0] == "trying"


def test_all_right_and_do_not_come_in_one_text_is_not_all_right() -> None:
    desk = texted()
    assert reply(desk, "1", word="dont_come").template == "SU-12"
    assert desk.alert("help_asked").reason == "dont_come"
    assert track(desk)[0] == "trying"


def test_asked_again_the_older_text_s_code_still_answers() -> None:
    desk = texted()
    desk.deliver(last(desk), "delivered")
    first = last(desk)
    desk.advance(minutes=3)
    assert last(desk).slot == first.slot
    reply(desk, "11")
    assert (desk.message(first.key).proof, desk.message(first.key).result) == ("reply:11", "answered")
    assert (last(desk).result, last(desk).proof) == ("cancelled", None)


def test_stop_is_voice_only_from_then_on_and_an_alarm() -> None:
    desk = alerted(MOBILE, plan=PlanView(channels=("text", "voice")))
    desk.send(last(desk))
    assert reply(desk, word="stop") is None
    assert desk.alert("incident").reason == "stopped_texts"
    desk.advance(minutes=3)
    assert [channel for _, channel, _ in tries(desk)] == ["sms", "call"]


def test_at_most_five_automatic_replies_in_a_day() -> None:
    desk = Desk()
    said = [desk.text("fay", word="other").answer is not None for _ in range(7)]
    assert said == [True] * 5 + [False] * 2
    desk.advance(hours=24)
    assert desk.text("fay", word="other").answer is not None


def test_who_has_had_five_still_hears_the_answer_to_our_own_question() -> None:
    desk = alerted(MOBILE, plan=PlanView(channels=("text",)))
    for _ in range(6):
        reply(desk, word="other")
    desk.advance(seconds=1)
    desk.send(last(desk))
    desk.advance(minutes=3)
    desk.send(last(desk))
    assert reply(desk, "1").template == "SU-2"


@pytest.mark.parametrize(("code", "help_asked"), [("1", False), ("3", False), ("2", True)])
def test_an_answer_after_the_end_alarms_only_when_it_asks_for_somebody(code: str, help_asked: bool) -> None:
    desk = texted()
    desk.check()
    assert desk.alert().state == "ended"
    reply(desk, code)
    assert bool(desk.alerts("help_asked")) is help_asked
    assert desk.bodies(f.AnswerHeard)[-1].stale


def test_on_a_shared_line_the_words_are_taken_for_the_service_user_s() -> None:
    desk = texted()
    desk.text("ed", line="l-mob", persons=("ned", "ed"), word="other")
    assert desk.alert("help_asked").service_user == "ed"


def test_a_next_of_kin_s_words_ring_nobody() -> None:
    desk = Desk()
    desk.text("ned", word="other")
    assert desk.alerts() == []
    assert desk.bodies(f.ReplyKept)[-1].persons == ("ned",)
