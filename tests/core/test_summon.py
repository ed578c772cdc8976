"""The ladder of *summon* as a timetable: by day, by night, on a bank holiday, and without an end (spec 21.3, 22)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.policy import Duty
from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core.inputs import SendReported, SendTurn, SignalChanged
from tests.core.driver import MONDAY, NOWHERE, Desk

NOON = MONDAY + timedelta(hours=4)
NIGHT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LATE = timedelta(minutes=30)


def raised(at: datetime, **desk_: Any) -> Desk:
    """A late visit, alerted at `at`; nothing has been sent yet."""
    desk = Desk(at - LATE, public="off", ask_duty=False, **desk_)
    desk.plan()
    desk.advance(minutes=30)
    return desk


def timetable(desk: Desk, begin: datetime) -> list[tuple[float, str, str]]:
    """(minutes after the alert, person, channel) of every summons so far, in order."""
    return [
        ((m.intended_at - begin).total_seconds() / 60, m.person, m.channel) for m in desk.messages("summon")
    ]


def summons(desk: Desk, person: str, channel: str) -> Any:
    return [m for m in desk.messages("summon", person) if m.channel == channel][-1]


# --- who, and when ---


def test_by_day_the_office_is_texted_then_called_and_after_five_minutes_the_manager() -> None:
    desk = raised(NOON)
    desk.advance(minutes=10)
    assert timetable(desk, NOON) == [
        (0, "olga", "sms"),
        (1, "olga", "call"),
        (5, "mary", "sms"),
        (6, "mary", "call"),
        (10, "olga", "sms"),
    ]


def test_by_night_the_call_comes_first_and_twice_within_three_minutes() -> None:
    desk = raised(NIGHT)
    desk.send_all()
    desk.advance(minutes=5)
    assert timetable(desk, NIGHT) == [
        (0, "paul", "sms"),
        (0, "paul", "call"),
        (2.5, "paul", "call"),
        (5, "mary", "sms"),
        (5, "mary", "call"),
    ]


@pytest.mark.parametrize(
    ("at", "holidays", "first"),
    [
        (datetime(2026, 11, 23, 8, 59, tzinfo=UTC), (), "paul"),
        (datetime(2026, 11, 23, 9, 0, tzinfo=UTC), (), "olga"),
        (datetime(2026, 11, 23, 16, 59, tzinfo=UTC), (), "olga"),
        (datetime(2026, 11, 23, 17, 0, tzinfo=UTC), (), "paul"),
        (datetime(2026, 11, 22, 12, 0, tzinfo=UTC), (), "paul"),
        (datetime(2026, 11, 23, 12, 0, tzinfo=UTC), (date(2026, 11, 23),), "paul"),
        (datetime(2026, 7, 6, 8, 0, tzinfo=UTC), (), "olga"),
        (datetime(2026, 7, 6, 16, 0, tzinfo=UTC), (), "paul"),
    ],
)
def test_office_in_office_hours_and_on_call_otherwise_bank_holidays_too(
    at: datetime, holidays: tuple[date, ...], first: str
) -> None:
    desk = raised(at, holidays=holidays)
    assert desk.messages("summon")[0].person == first


def test_a_manager_who_is_on_the_list_first_is_rung_last() -> None:
    duty = (
        Duty(person="mary", role="manager", hours="daily 00:00-24:00"),
        Duty(person="olga", role="office", hours="daily 00:00-24:00"),
    )
    desk = raised(NOON, duty=duty)
    assert [person for _, person, _ in timetable(desk, NOON)] == ["olga"]


def test_when_only_the_manager_is_on_duty_the_manager_is_summoned() -> None:
    desk = raised(NOON, duty=(Duty(person="mary", role="manager", hours="Sat-Sun 09:00-10:00"),))
    assert desk.messages("summon")[0].person == "mary"


def test_the_words_and_the_ring_are_those_of_the_kind() -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    assert [(m.template, m.priority, m.ring_s) for m in desk.messages("summon")] == [
        ("OC-1", "summon", 25),
        ("OCV-1", "summon", 25),
    ]


def test_at_the_change_of_duty_the_ladder_goes_on_with_who_is_on_duty_then() -> None:
    begin = datetime(2026, 11, 23, 16, 58, tzinfo=UTC)
    desk = raised(begin)
    desk.advance(minutes=30)
    people = [person for _, person, _ in timetable(desk, begin)]
    assert people[0] == "olga"
    assert set(people[2:]) == {"paul", "mary"}


# --- the end that is none ---


def test_later_rounds_wait_longer_and_never_stop() -> None:
    desk = raised(NOON)
    desk.advance(hours=48)
    last = desk.messages("summon")[-1]
    assert desk.now - last.intended_at <= timedelta(minutes=30)
    assert {m.person for m in desk.messages("summon")} >= {"olga", "paul", "mary"}


LINES = st.sampled_from(
    [
        (),
        (LineView(ref="l1"),),
        (LineView(ref="l2", kind="landline"),),
        (LineView(ref="l3", use="text_only"),),
        (LineView(ref="l4", use="voice_only"), LineView(ref="l5")),
        (LineView(ref="l6", stopped=True),),
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    lines=st.tuples(LINES, LINES, LINES),
    night=st.booleans(),
    next_s=st.integers(1, 3600),
    call_after_s=st.integers(0, 3600),
    result=st.sampled_from(["none", "failed", "no_answer", "voicemail"]),
)
def test_it_never_ends_in_silence_whoever_has_a_line_and_whatever_becomes_of_it(
    lines: tuple[Any, ...], night: bool, next_s: int, call_after_s: int, result: str
) -> None:
    at = NIGHT if night else NOON
    desk = Desk(
        at - LATE,
        public="off",
        summon_next=timedelta(seconds=next_s),
        summon_call_after=timedelta(seconds=call_after_s),
    )
    for ref, own in zip(("olga", "paul", "mary"), lines, strict=True):
        desk.people.people[ref] = PersonView(ref=ref, role="staff", lines=own)
    desk.plan()
    desk.advance(minutes=30)
    for _ in range(12):
        for message in desk.send_all() if result != "none" else []:
            if result == "voicemail" and message.channel == "call":
                desk.deliver(message, "in_progress", answered_by="machine")
            else:
                desk.deliver(message, "no_answer" if result == "no_answer" else "failed")
        track = desk.alert().track("summon")
        assert track is not None
        assert track.next_at is not None
        assert desk.now <= track.next_at <= desk.now + 6 * timedelta(seconds=next_s)
        desk.now = track.next_at
        desk.advance()
    assert desk.alert().state == "open"
    chain = [desk.people.people[ref] for ref in ("paul" if night else "olga", "mary")]
    if any(person.text_line() or person.voice_lines() for person in chain):
        assert desk.messages("summon")


@pytest.mark.parametrize("at", [NOON, NIGHT])
def test_with_nobody_to_be_reached_it_asks_again_and_finds_who_is_added(at: datetime) -> None:
    desk = Desk(at - LATE, public="off")
    saved = dict(desk.people.people)
    for ref in ("olga", "paul", "mary"):
        desk.people.people[ref] = PersonView(ref=ref, role="staff")
    desk.plan()
    desk.advance(minutes=60)
    assert desk.messages("summon") == []
    assert desk.alert().track("summon").reason == "nobody_on_duty"  # type: ignore[union-attr]
    desk.people.people |= saved
    desk.advance(minutes=30)
    assert desk.messages("summon")[0].person == ("olga" if at is NOON else "paul")


@pytest.mark.parametrize("call_after_s", [0, 60])
def test_who_can_only_be_texted_has_the_whole_rung_before_the_next_round(call_after_s: int) -> None:
    desk = Desk(NOON - LATE, public="off", summon_call_after=timedelta(seconds=call_after_s))
    for ref in ("olga", "mary"):
        lines = (LineView(ref="l1", use="text_only"),) if ref == "olga" else ()
        desk.people.people[ref] = PersonView(ref=ref, role="staff", lines=lines)
    desk.plan()
    desk.advance(minutes=40)
    assert [minute for minute, _, _ in timetable(desk, NOON)] == [0, 5, 10]


def test_when_everything_fails_at_once_the_next_round_waits_a_minute() -> None:
    desk = raised(NOON)
    begin = len(desk.facts)
    for _ in range(10):
        for message in desk.send_all():
            desk.deliver(message, "failed")
    assert desk.alert().track("summon").phase == "round_over"  # type: ignore[union-attr]
    desk.advance(seconds=59)
    assert {minute for minute, _, _ in timetable(desk, NOON)} == {0}
    desk.advance(seconds=1)
    assert timetable(desk, NOON)[-1] == (1, "olga", "sms")
    assert len(desk.facts) - begin < 50


# --- what fails advances at once ---


def test_a_text_that_cannot_be_sent_brings_the_call_at_once() -> None:
    desk = raised(NOON)
    desk.advance(seconds=10)
    desk.send(summons(desk, "olga", "sms"))
    desk.deliver(summons(desk, "olga", "sms"), "undelivered")
    assert [(person, channel) for _, person, channel in timetable(desk, NOON)] == [
        ("olga", "sms"),
        ("olga", "call"),
    ]


def test_a_call_that_cannot_be_made_brings_the_next_person_at_once() -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    desk.send_all()
    desk.deliver(summons(desk, "olga", "call"), "failed")
    assert desk.messages("summon")[-1].person == "mary"


def test_a_hung_up_call_brings_the_next_person_at_once_and_is_no_contact() -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    desk.send_all()
    desk.deliver(summons(desk, "olga", "call"), "completed")
    assert desk.messages("summon")[-1].person == "mary"
    assert desk.bodies(f.PersonReached) == []


def test_voicemail_is_not_contact_and_brings_the_next_person_at_once() -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    desk.send_all()
    desk.deliver(summons(desk, "olga", "call"), "in_progress", answered_by="machine")
    assert (summons(desk, "olga", "call").result, summons(desk, "olga", "call").proof) == ("voicemail", None)
    assert desk.messages("summon")[-1].person == "mary"


def test_voicemail_at_night_brings_the_second_call_first() -> None:
    desk = raised(NIGHT)
    desk.send_all()
    desk.deliver(summons(desk, "paul", "call"), "in_progress", answered_by="machine")
    assert [(p, c) for _, p, c in timetable(desk, NIGHT)] == [
        ("paul", "sms"),
        ("paul", "call"),
        ("paul", "call"),
    ]


@pytest.mark.parametrize("status", ["no_answer", "busy"])
def test_a_call_that_rang_leaves_the_text_its_five_minutes(status: Any) -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    desk.send_all()
    desk.deliver(summons(desk, "olga", "call"), status)
    desk.advance(minutes=3, seconds=59)
    assert {m.person for m in desk.messages("summon")} == {"olga"}
    desk.advance(seconds=1)
    assert desk.messages("summon")[-1].person == "mary"


def test_a_text_that_fails_while_the_call_of_the_same_step_waits_rings_nobody_twice() -> None:
    desk = raised(NIGHT)
    desk.send_all()
    desk.deliver(summons(desk, "paul", "sms"), "failed")
    assert [c for _, _, c in timetable(desk, NIGHT)] == ["sms", "call"]
    desk.deliver(summons(desk, "paul", "call"), "failed")
    assert [c for _, _, c in timetable(desk, NIGHT)] == ["sms", "call", "call"]


def test_what_fails_late_of_an_earlier_step_moves_nothing() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.advance(minutes=2)
    desk.send_all()
    desk.deliver(summons(desk, "olga", "call"), "no_answer")
    before = desk.alert().track("summon")
    desk.deliver(summons(desk, "olga", "sms"), "failed")
    assert desk.alert().track("summon") == before


def test_a_call_that_has_not_left_yet_is_not_doubled() -> None:
    desk = raised(NIGHT)
    desk.advance(minutes=4)
    assert [c for _, _, c in timetable(desk, NIGHT)] == ["sms", "call"]


# --- two keys ---


@pytest.mark.parametrize(
    ("keys", "state", "answer"),
    [
        (("1", "2"), "taken", "take"),
        (("1", "*", "2"), "taken", "take"),
        (("1", "", "2"), "taken", "take"),
        (("1", "3"), "open", "pass_on"),
        (("2",), "open", None),
        (("1",), "open", None),
        (("", ""), "open", None),
    ],
)
def test_taking_it_on_by_telephone_takes_two_keys(
    keys: tuple[str, ...], state: str, answer: str | None
) -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    desk.send_all()
    desk.press(summons(desk, "olga", "call"), *keys)
    assert desk.alert().state == state
    assert [body.answer for body in desk.bodies(f.PersonReached)] == ([answer] if answer else [])


def test_the_key_is_the_proof_and_the_call_is_answered() -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    desk.send_all()
    call = summons(desk, "olga", "call")
    desk.press(call, "1", "2")
    desk.deliver(call, "completed")
    assert (desk.message(call.key).proof, desk.message(call.key).result) == ("key:2", "answered")
    assert desk.alert().taken_by == "olga"


def test_no_key_at_all_brings_the_next_person_when_the_script_ends() -> None:
    desk = raised(NOON)
    desk.advance(minutes=1)
    desk.send_all()
    desk.press(summons(desk, "olga", "call"), "", "")
    assert desk.messages("summon")[-1].person == "mary"
    desk.deliver(summons(desk, "olga", "call"), "completed")
    assert {m.person for m in desk.messages("summon")} == {"olga", "mary"}


# --- taken, and what becomes of it ---


def taken(by: str = "olga", code: str = "11") -> Desk:
    desk = raised(NOON)
    desk.send_all()
    desk.text(by, code)
    return desk


def test_a_text_takes_it_and_summoning_rests() -> None:
    desk = taken()
    assert (desk.alert().state, desk.alert().taken_by) == ("taken", "olga")
    sms = summons(desk, "olga", "sms")
    assert (sms.proof, sms.result) == ("reply:11", "answered")
    desk.advance(minutes=14, seconds=59)
    assert timetable(desk, NOON) == [(0, "olga", "sms")]


def test_after_fifteen_minutes_they_are_asked_once_and_after_five_more_it_lapses() -> None:
    desk = taken()
    desk.advance(minutes=15)
    assert [(m.template, m.person) for m in desk.messages("summon")][1:] == [("OC-2", "olga")]
    desk.send_all()
    desk.advance(minutes=4, seconds=59)
    assert desk.alert().state == "taken"
    desk.advance(seconds=1)
    assert desk.alert().state == "open"
    assert [body.by for body in desk.bodies(f.AlertLapsed)] == ["olga"]
    assert [(m.template, m.person) for m in desk.messages("summon")][2:] == [("OC-1", "olga")]


def test_still_mine_holds_it_for_another_fifteen_minutes() -> None:
    desk = taken()
    desk.advance(minutes=15)
    desk.send_all()
    slot = summons(desk, "olga", "sms").slot
    desk.text("olga", f"{slot}3")
    desk.advance(minutes=14, seconds=59)
    assert desk.alert().state == "taken"
    assert len(desk.messages("summon")) == 2
    desk.advance(seconds=1)
    assert len(desk.messages("summon")) == 3


def test_passed_on_is_the_next_person_at_once() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.text("olga", "12")
    assert desk.messages("summon")[-1].person == "mary"


def test_who_had_it_and_passes_it_on_is_not_the_next_one_to_be_rung() -> None:
    desk = raised(NOON)
    desk.advance(minutes=5)
    desk.send_all()
    desk.text("mary", "11")
    assert desk.alert().taken_by == "mary"
    desk.text("mary", "12")
    assert (desk.alert().state, desk.messages("summon")[-1].person) == ("open", "olga")


def test_who_was_summoned_earlier_passes_on_nothing_that_is_not_theirs() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.advance(minutes=5)
    before = desk.alert().track("summon")
    desk.text("olga", "12")
    assert desk.alert().track("summon") == before


def test_when_somebody_takes_it_the_others_who_were_summoned_are_told_who_has_it() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.advance(minutes=5)
    desk.send_all()
    desk.text("mary", "11")
    assert [(m.template, m.person, m.about) for m in desk.messages("stand_down")] == [
        ("OC-3", "olga", "mary")
    ]


def test_a_second_taker_is_told_who_has_it_and_may_take_it_back() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.advance(minutes=5)
    desk.send_all()
    desk.text("mary", "11")
    desk.text("olga", "11")
    assert desk.alert().taken_by == "mary"
    told = desk.messages("stand_down", "olga")[-1]
    desk.send_all()
    desk.text("olga", f"{told.slot}1")
    assert desk.alert().taken_by == "olga"


def test_the_board_takes_it_once_and_says_who_was_first() -> None:
    desk = raised(NOON)
    assert desk.act("take", "olga").refusal is None
    refusal = desk.act("take", "mary").refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail["by"]) == ("already_taken", "olga")
    assert desk.act("take", "olga").refusal is None


def test_handed_over_to_a_named_person_who_is_asked_and_back_to_the_chain() -> None:
    desk = taken()
    desk.act("hand_over", "olga", to="mary")
    assert desk.alert().taken_by == "mary"
    assert desk.messages(person="mary")[-1].template == "OC-2"
    desk.act("hand_over", "mary")
    assert (desk.alert().state, desk.messages("summon")[-1].person) == ("open", "olga")


@pytest.mark.parametrize("answers", [True, False])
def test_who_is_handed_an_alert_and_says_nothing_for_five_minutes_has_it_no_longer(answers: bool) -> None:
    desk = taken()
    desk.act("hand_over", "olga", to="mary")
    desk.advance(minutes=4, seconds=59)
    assert desk.alert().taken_by == "mary"
    question = desk.messages(person="mary")[-1]
    if answers:
        desk.send(question)
        desk.text("mary", f"{question.slot}3")
    desk.advance(seconds=1)
    assert desk.alert().taken_by == ("mary" if answers else None)
    assert desk.messages("summon")[-1].person == ("mary" if answers else "olga")


def test_what_was_taken_unrecorded_is_asked_again_after_ten_minutes() -> None:
    desk = raised(NOON)
    desk.unrecorded = True
    desk.act("take", "olga")
    assert desk.alert().unrecorded
    desk.advance(minutes=9, seconds=59)
    assert [m for m in desk.messages() if m.template == "OC-23"] == []
    desk.advance(seconds=1)
    assert [m.person for m in desk.messages() if m.template == "OC-23"] == ["olga"]


# --- help ---


def helped() -> Desk:
    desk = Desk(NOON - LATE, summon_next=timedelta(minutes=5))
    desk.text("ed", word="help")
    return desk


def test_help_rings_the_whole_chain_together_until_somebody_takes_it() -> None:
    desk = helped()
    begin = desk.now
    desk.send_all()
    assert sorted(timetable(desk, begin)) == [
        (0, "mary", "call"),
        (0, "mary", "sms"),
        (0, "olga", "call"),
        (0, "olga", "sms"),
    ]
    assert {m.priority for m in desk.messages("summon")} == {"help"}
    for call in [m for m in desk.messages("summon") if m.channel == "call"]:
        desk.deliver(call, "no_answer")
    desk.advance(minutes=2)
    assert timetable(desk, begin)[4:] == [(2, "olga", "call"), (2, "mary", "call")]


def test_one_who_passes_help_on_or_hangs_up_does_not_start_the_others_telephones_again() -> None:
    desk = helped()
    desk.send_all()
    desk.text("olga", "12")
    desk.deliver(summons(desk, "mary", "call"), "completed")
    assert len(desk.messages("summon")) == 4


def test_help_asked_again_while_somebody_has_it_goes_to_them() -> None:
    desk = helped()
    desk.send_all()
    desk.text("olga", "11")
    before = len(desk.messages("summon"))
    desk.text("ed", word="help")
    assert [(m.person, m.template) for m in desk.messages("summon")][before:] == [("olga", "OC-12")]
    assert len(desk.alerts("help_asked")) == 1


def test_a_care_worker_who_texts_help_is_heard() -> None:
    desk = Desk(NOON)
    desk.text("dee", word="help")
    assert (desk.alert("help_asked").worker, desk.alert("help_asked").service_user) == ("dee", None)
    assert {m.person for m in desk.messages("summon")} == {"olga", "mary"}


# --- over ---


def test_those_who_were_told_are_told_that_it_is_over_and_nobody_else() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.advance(minutes=5)
    desk.check()
    told = [(m.person, m.template, m.about) for m in desk.messages("stand_down")]
    assert told == [("olga", "OC-19", "dee")]
    queued = [m for m in desk.messages("summon") if m.result == "cancelled"]
    assert {m.person for m in queued} == {"olga", "mary"}


def test_who_has_it_is_told_also_when_no_message_had_gone_to_them() -> None:
    desk = raised(NOON)
    desk.act("take", "olga")
    desk.check()
    assert [m.person for m in desk.messages("stand_down")] == ["olga"]


def test_who_closed_it_is_not_told_that_it_is_closed() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.act("close", "olga", reason="outcome_recorded")
    assert desk.messages("stand_down") == []


def test_a_close_without_a_reason_code_is_refused_and_an_ended_alert_takes_only_notes() -> None:
    desk = raised(NOON)
    refusal = desk.act("close", "olga", reason="because").refusal
    assert refusal is not None
    assert "outcome_recorded" in refusal.detail["expected"]
    desk.act("close", "olga", reason="outcome_recorded")
    assert desk.act("take", "mary").refusal is not None
    assert desk.act("note", "mary").refusal is None


def test_the_ladder_stops_when_the_alert_ends() -> None:
    desk = raised(NOON)
    desk.send_all()
    desk.check()
    desk.advance(minutes=10)
    desk.check("leave")
    before = len(desk.messages())
    desk.advance(hours=30)
    assert len(desk.messages()) == before


# --- lines ---


def test_a_stopped_line_is_rung_and_no_longer_texted_and_it_is_an_alarm() -> None:
    desk = Desk(NOON - timedelta(hours=1), public="off")
    desk.text("olga", word="stop")
    desk.text("olga", word="stop")
    alarm = desk.alert("incident")
    assert (alarm.reason, alarm.worker) == ("stopped_texts", "olga")
    assert [(m.person, m.template) for m in desk.messages("summon")] == [("olga", "OCV-3")]
    desk.plan()
    desk.advance(minutes=30)
    assert [m.channel for m in desk.messages("summon", "olga") if m.template == "OCV-1"] == ["call"]


def test_a_permanent_failure_of_the_post_advances_like_any_other() -> None:
    desk = raised(NOON)
    (sms,) = desk.messages("summon")
    desk.tell_turn(sms)
    desk.tell(SendReported(key=sms.key, result="failed", permanent=True, reason="bad_number"))
    assert summons(desk, "olga", "call").intended_at == NOON


def test_a_member_of_staff_with_an_address_gets_a_mail_beside_the_text() -> None:
    desk = Desk(MONDAY.replace(hour=10))
    desk.people.people["olga"] = PersonView(
        ref="olga", role="staff", lines=(LineView(ref="l-olga"),), mail=True
    )
    desk.plan()
    desk.advance(minutes=30)
    assert [(m.channel, m.line) for m in desk.messages("summon", "olga")] == [
        ("sms", "l-olga"),
        ("email", None),
    ]


def test_a_mail_that_fails_moves_no_ladder_while_there_is_a_telephone() -> None:
    desk = Desk(MONDAY.replace(hour=10))
    desk.people.people["olga"] = PersonView(
        ref="olga", role="staff", lines=(LineView(ref="l-olga"),), mail=True
    )
    desk.plan()
    desk.advance(minutes=30)
    (mail,) = [m for m in desk.messages("summon", "olga") if m.channel == "email"]
    desk.tell(SendTurn(key=mail.key, evidence=NOWHERE))
    desk.tell(SendReported(key=mail.key, result="failed", permanent=True, reason="refused"))
    assert [m.person for m in desk.messages("summon") if m.phase == "queued"] == ["olga"]


def test_without_any_telephone_the_mail_is_the_rung_and_its_failure_passes_on() -> None:
    desk = Desk(MONDAY.replace(hour=10))
    desk.people.people["olga"] = PersonView(ref="olga", role="staff", mail=True)
    desk.plan()
    desk.advance(minutes=30)
    (mail,) = desk.messages("summon", "olga")
    desk.tell(SendTurn(key=mail.key, evidence=NOWHERE))
    desk.tell(SendReported(key=mail.key, result="failed", permanent=True, reason="refused"))
    assert desk.messages("summon", "mary")


def test_a_jumped_clock_summons_staff_until_it_is_confirmed() -> None:
    desk = Desk(MONDAY.replace(hour=10))
    desk.tell(SignalChanged(cause="clock", dark=True))
    assert [(m.template, m.person) for m in desk.messages("summon")] == [("OC-32", "olga")]
    desk.send_all()
    desk.tell(SignalChanged(cause="clock", dark=False))
    assert desk.alert("watch_fault").state == "ended"
    assert [m.template for m in desk.messages("stand_down")] == ["OC-29"]


def test_who_texts_that_they_have_it_when_another_has_is_not_told_that_it_is_theirs() -> None:
    desk = Desk(MONDAY.replace(hour=10), public="off")
    desk.plan()
    desk.advance(minutes=30)
    desk.send_all()
    desk.advance(minutes=6)
    desk.send_all()
    first, second = (
        next(m for m in desk.messages("summon", who) if m.channel == "sms") for who in ("olga", "mary")
    )
    mine = desk.text("olga", f"{first.slot}1").answer
    theirs = desk.text("mary", f"{second.slot}1").answer
    assert mine.template == "OC-22"
    assert desk.alert().taken_by == "olga"
    assert theirs is None, "OC-3 tells who has it, as a message of its own"
    assert "OC-3" in [m.template for m in desk.messages(person="mary")]


def test_a_digest_cannot_be_closed_while_one_of_its_alerts_is_open_and_would_fall_silent() -> None:
    desk = Desk(MONDAY, public="off")
    desk.plan("v1")
    desk.plan("v2", service_user="ed2")
    desk.now += timedelta(hours=4)
    desk.advance(seconds=1)
    digest = desk.alert("incident")
    refused = desk.act("close", "olga", alert=digest, reason="other").refusal
    assert refused is not None
    assert (refused.code, desk.alert("incident").state) == ("alerts_open", "open")
    for alert in desk.alerts("late_visit"):
        desk.act("close", "olga", alert=alert, reason="seen_well")
    assert desk.alert("incident").state == "ended"
