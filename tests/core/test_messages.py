"""A message from intended to settled; callbacks twice, late and out of order; degraded mode (devices.md, "Twilio")."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from msgspec import structs

from escalation.people import LineView, PersonView, PlanView
from monitor.core import council, messages
from monitor.core import facts as f
from monitor.core.inputs import DayRolled, DeliveryReported, SendReported
from monitor.core.messages import BACK_OFF
from monitor.core.state import Message
from monitor.core.work import Ctx, Work
from tests.core.driver import MONDAY, Desk


def alerted() -> tuple[Desk, Message]:
    """A late visit; the text to paul, who is on call, waits for its turn."""
    desk = Desk(public="off", ask_duty=False)
    desk.plan()
    desk.advance(minutes=30)
    (message,) = desk.messages("summon")
    return desk, message


def posted() -> tuple[Desk, Message]:
    """Its attempt is on disk; the provider has not answered yet."""
    desk, message = alerted()
    assert desk.tell_turn(message) == "send"
    return desk, message


def report(desk: Desk, message: Message, result: Any, **more: Any) -> None:
    desk.tell(SendReported(key=message.key, result=result, **more))


def course(desk: Desk, message: Message) -> list[str]:
    """The kinds of the facts about this message, in order."""
    return [type(fact.body).__name__ for fact in desk.facts if fact.subject == message.key]


# --- its course ---


def test_intended_attempted_accepted_settled() -> None:
    desk, message = posted()
    assert desk.message(message.key).phase == "attempted"
    report(desk, message, "accepted", provider_ref="SM1")
    desk.deliver(message, "sent")
    desk.deliver(message, "delivered")
    assert course(desk, message) == [
        "MessageIntended",
        "MessageAttempted",
        "MessageAccepted",
        "MessageSettled",
    ]
    settled = desk.message(message.key)
    assert (settled.phase, settled.result, settled.provider_ref, settled.proof) == (
        "settled",
        "delivered",
        "SM1",
        None,
    )


def test_a_turn_comes_once() -> None:
    desk, message = posted()
    assert desk.tell_turn(message) == "no"
    assert course(desk, message).count("MessageAttempted") == 1


def test_a_turn_for_a_message_that_is_not_there_is_refused() -> None:
    desk, message = alerted()
    desk.check()
    desk.check("leave")
    desk.advance(hours=37)
    assert message.key not in desk.state.values.messages
    assert desk.tell_turn(message) == "no"


# --- callbacks ---


@pytest.mark.parametrize("order", list(permutations(["sent", "delivered", "delivered"], 3))[:3])
def test_callbacks_twice_and_out_of_order_settle_it_once(order: tuple[Any, ...]) -> None:
    desk, message = posted()
    report(desk, message, "accepted", provider_ref="SM1")
    for status in order:
        desk.deliver(message, status)
    assert course(desk, message).count("MessageSettled") == 1
    assert desk.message(message.key).result == "delivered"


def test_a_callback_may_overtake_the_answer_to_our_post() -> None:
    desk, message = posted()
    desk.deliver(message, "delivered", provider_ref="SM9")
    report(desk, message, "accepted", provider_ref="SM9")
    assert course(desk, message)[1:] == ["MessageAttempted", "MessageAccepted", "MessageSettled"]
    assert desk.message(message.key).provider_ref == "SM9"


def test_what_fails_after_it_was_delivered_changes_nothing() -> None:
    desk, message = posted()
    report(desk, message, "accepted")
    desk.deliver(message, "delivered")
    desk.deliver(message, "failed")
    assert desk.message(message.key).result == "delivered"


def test_a_callback_to_an_attempt_that_was_given_up_proves_that_it_was_sent_and_it_is_not_sent_again() -> (
    None
):
    desk, message = posted()
    report(desk, message, "unknown", reason="timeout")
    assert desk.message(message.key).phase == "queued"
    desk.deliver(message, "sent", provider_ref="SM1")
    assert desk.message(message.key).phase == "accepted"
    assert desk.tell_turn(message) == "no"


def test_so_does_the_provider_s_late_yes() -> None:
    desk, message = posted()
    report(desk, message, "unknown", reason="timeout")
    report(desk, message, "accepted", provider_ref="SM1", found=True)
    assert (desk.message(message.key).phase, desk.tell_turn(message)) == ("accepted", "no")


def test_a_callback_for_what_never_left_is_nobody_s() -> None:
    desk, message = alerted()
    desk.deliver(message, "delivered")
    assert course(desk, message) == ["MessageIntended"]


def test_a_callback_that_never_comes_is_asked_for_three_times_and_then_given_up() -> None:
    desk, message = posted()
    report(desk, message, "accepted")
    desk.advance(seconds=59)
    assert course(desk, message)[-1] == "MessageAccepted"
    desk.advance(seconds=1)
    assert course(desk, message)[-1] == "MessageChased"
    desk.advance(hours=1)
    assert course(desk, message).count("MessageChased") == 3
    assert (desk.message(message.key).result, desk.message(message.key).reason) == ("failed", "no_callback")


# --- refused, in doubt, too late ---


def test_a_provider_that_is_down_is_tried_again_with_growing_pauses_until_the_message_has_had_its_time() -> (
    None
):
    desk, message = alerted()
    pauses = []
    while desk.message(message.key).phase == "queued":
        assert desk.tell_turn(message) == "send"
        report(desk, message, "failed", reason="unreachable")
        waits = desk.message(message.key).not_before
        if desk.message(message.key).phase == "queued":
            assert waits is not None
            pauses.append(round((waits - desk.now).total_seconds()))
            desk.now = waits
    assert tuple(pauses[:6]) == BACK_OFF
    assert set(pauses[6:]) == {60}
    assert desk.now - message.intended_at < timedelta(minutes=30)
    assert (desk.message(message.key).result, desk.message(message.key).reason) == ("failed", "expired")


def test_what_was_looked_up_in_vain_is_sent_again_at_once_and_marked() -> None:
    desk, message = posted()
    report(desk, message, "unknown", reason="timeout", possibly_repeated=True)
    assert desk.message(message.key).not_before == desk.now
    assert desk.tell_turn(message) == "send"
    assert desk.message(message.key).possibly_repeated
    assert desk.bodies(f.MessageAttempted)[-1].possibly_repeated
    assert desk.bodies(f.MessageAttempted)[-1].attempt == 2


def test_what_is_looked_up_in_vain_again_and_again_waits_longer_each_time() -> None:
    desk, message = posted()
    pauses = []
    for _ in range(4):
        report(desk, message, "unknown", reason="timeout", possibly_repeated=True)
        waits = desk.message(message.key).not_before
        assert waits is not None
        pauses.append(round((waits - desk.now).total_seconds()))
        desk.now = waits
        assert desk.tell_turn(message) == "send"
    assert tuple(pauses) == (0, *BACK_OFF[:3])


def test_what_was_found_at_the_provider_is_not_sent_again_and_says_so() -> None:
    desk, message = posted()
    report(desk, message, "accepted", provider_ref="SM1", found=True)
    assert desk.bodies(f.MessageAccepted)[-1].found


def test_a_permanent_refusal_settles_it() -> None:
    desk, message = posted()
    report(desk, message, "failed", permanent=True, reason="bad_number")
    assert (desk.message(message.key).result, desk.message(message.key).reason) == ("failed", "bad_number")


@pytest.mark.parametrize(("minutes", "answer"), [(29.999, "send"), (30, "no")])
def test_a_summons_lives_half_an_hour(minutes: float, answer: str) -> None:
    desk, message = alerted()
    desk.now += timedelta(minutes=minutes)
    assert desk.tell_turn(message) == answer


def test_a_call_to_a_service_user_lives_until_the_next_one() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=30)
    (call,) = desk.messages("reassure")
    assert call.expires_at - call.intended_at == timedelta(minutes=3)


# --- what became pointless ---


@pytest.mark.parametrize("how", ["arrived", "taken"])
def test_what_became_pointless_is_cancelled_and_never_leaves(how: str) -> None:
    desk, _ = alerted()
    desk.advance(minutes=5)
    mary = desk.messages("summon", "mary")[0]
    if how == "arrived":
        desk.check()
    else:
        desk.act("take", "paul")
    assert desk.message(mary.key).result == "cancelled"
    assert desk.tell_turn(mary) == "no"


def test_it_is_looked_at_again_when_its_turn_comes() -> None:
    """The turn may come between the fact that made it pointless and the fact that cancels it."""
    desk, message = alerted()
    desk.act("take", "mary")
    asked = [m for m in desk.messages("summon") if m.phase == "queued"]
    assert asked == []
    assert desk.message(message.key).reason == "taken"


# --- contact ---


def test_neither_delivered_nor_completed_is_contact() -> None:
    desk, message = posted()
    report(desk, message, "accepted")
    desk.deliver(message, "delivered")
    assert desk.message(message.key).proof is None
    assert desk.bodies(f.PersonReached) == []


@pytest.mark.parametrize("delivered_first", [True, False])
def test_a_reply_proves_the_text_whether_its_callback_came_or_not(delivered_first: bool) -> None:
    desk, message = posted()
    report(desk, message, "accepted")
    if delivered_first:
        desk.deliver(message, "delivered")
    desk.text("paul", "11")
    desk.deliver(message, "delivered")
    found = desk.message(message.key)
    assert (found.phase, found.result, found.proof) == ("settled", "answered", "reply:11")


@pytest.mark.parametrize(
    ("status", "answered_by", "result"),
    [
        ("completed", None, "answered"),
        ("completed", "human", "answered"),
        ("completed", "machine", "voicemail"),
        ("in_progress", "machine", "voicemail"),
        ("completed", "unknown", "answered"),
        ("busy", None, "busy"),
        ("no_answer", None, "no_answer"),
        ("failed", None, "failed"),
        ("canceled", None, "failed"),
    ],
)
def test_each_end_of_a_call_has_its_name_and_none_is_contact(
    status: Any, answered_by: Any, result: str
) -> None:
    desk, _ = alerted()
    desk.advance(minutes=1)
    call = desk.messages("summon")[-1]
    desk.send(call)
    desk.deliver(call, status, answered_by=answered_by)
    assert (desk.message(call.key).result, desk.message(call.key).proof) == (result, None)


def test_ringing_and_talking_settle_nothing() -> None:
    desk, _ = alerted()
    desk.advance(minutes=1)
    call = desk.messages("summon")[-1]
    desk.send(call)
    for status in ("queued", "initiated", "ringing", "in_progress"):
        desk.deliver(call, status)
    assert desk.message(call.key).phase == "accepted"


# --- questions ---


@pytest.mark.parametrize(("minutes", "same"), [(719, False), (720, True)])
def test_a_slot_rests_for_twelve_hours_after_its_question_was_closed(minutes: int, same: bool) -> None:
    desk, message = alerted()
    desk.send(message)
    desk.advance(hours=11)
    desk.check(visit="v1", at=MONDAY)
    desk.check("leave", visit="v1")
    assert not [question for question in desk.state.values.questions["l-paul"] if question.open]
    desk.advance(minutes=minutes - 30)
    desk.plan("v2")
    desk.advance(minutes=30)
    second = next(m for m in desk.messages("summon", "paul") if m.visit == "v2" and m.slot)
    assert (second.slot == message.slot) is same


def test_a_text_whose_callback_never_came_can_be_answered_all_the_same() -> None:
    desk, message = alerted()
    desk.send(message)
    desk.advance(minutes=25)
    assert desk.message(message.key).reason == "no_callback"
    desk.text("paul", "11")
    assert desk.alert().taken_by == "paul"
    assert desk.message(message.key).result == "answered"


def test_a_text_can_be_answered_also_when_the_one_after_it_was_cancelled_before_it_left() -> None:
    desk, message = alerted()
    desk.send(message)
    desk.advance(minutes=10)
    again = desk.messages("summon", "paul")[-1]
    assert (again.slot, again.phase) == (message.slot, "queued")
    desk.act("take", "mary")
    desk.text("paul", "11")
    assert desk.messages("stand_down", "paul")
    assert desk.message(message.key).proof == "reply:11"


def test_a_question_that_never_left_is_nobody_s_to_answer() -> None:
    desk, _ = alerted()
    desk.act("take", "mary")
    assert desk.text("paul", "11").answer.template == "OC-25"


def test_an_answer_to_a_closed_question_is_refused_politely_and_changes_nothing() -> None:
    desk, message = alerted()
    desk.send(message)
    desk.check()
    before = desk.alert()
    said = desk.text("paul", "11").answer
    assert said.template == "OC-25"
    assert desk.alert() == before
    assert desk.bodies(f.AnswerHeard)[-1].stale


def test_a_code_that_belongs_to_no_question_is_not_guessed() -> None:
    desk, message = alerted()
    desk.send(message)
    assert desk.text("paul", "21").answer.template == "OC-26"
    assert desk.alert().state == "open"


def test_two_open_questions_have_two_slots_and_each_code_finds_its_own() -> None:
    desk = Desk(public="off")
    desk.plan("v1")
    desk.plan("v2", service_user="fay", workers=("kit",))
    desk.advance(minutes=30)
    desk.send_all()
    assert desk.text("paul", "1").answer.template == "OC-26"
    desk.text("paul", "21")
    assert [alert.state for alert in desk.alerts("late_visit")] == ["open", "taken"]


# --- degraded mode ---


def test_while_nothing_can_be_recorded_only_summons_leave_and_they_are_marked() -> None:
    desk = Desk()
    desk.people.people["ed"] = PersonView(
        ref="ed", role="service_user", lines=(LineView(ref="l-ed"),), plan=PlanView(channels=("text",))
    )
    desk.plan()
    desk.advance(minutes=30)
    desk.send_all()
    desk.advance(minutes=5)
    desk.act("take", "mary")
    told = {m.purpose: m for m in desk.messages() if m.phase == "queued"}
    assert desk.tell_turn(told["reassure"], unrecorded=True) == "hold"
    assert desk.tell_turn(told["stand_down"], unrecorded=True) == "hold"
    assert desk.message(told["reassure"].key).phase == "queued"


def test_a_summons_leaves_unrecorded_and_says_so() -> None:
    desk, message = alerted()
    assert desk.tell_turn(message, unrecorded=True) == "send"
    assert desk.message(message.key).unrecorded
    assert desk.bodies(f.MessageAttempted)[-1].unrecorded_at_send


def test_help_leaves_unrecorded_too() -> None:
    desk = Desk()
    desk.text("ed", word="help")
    assert {desk.tell_turn(m, unrecorded=True) for m in desk.messages("summon")} == {"send"}


def test_a_second_call_to_an_engaged_line_waits_until_the_first_is_over() -> None:
    desk = Desk(MONDAY.replace(hour=10), public="off")
    desk.plan("v1", time_critical=True)
    desk.plan("v2", service_user="ed2")
    desk.advance(minutes=31)
    first, second = [m for m in desk.messages("summon", "olga") if m.channel == "call"]
    assert desk.send(first) == "send"
    assert desk.send(second) == "no"
    waiting = desk.state.values.messages[second.key]
    assert (waiting.phase, waiting.reason) == ("queued", "line_busy")
    desk.tell(DeliveryReported(key=first.key, status="no_answer"))
    assert desk.send(waiting) == "send"


def test_what_waits_for_a_line_of_ours_is_deferred_once_and_goes_when_the_call_ends() -> None:
    desk, first, second = two_calls_to_olga()
    assert desk.send(first) == "send"
    assert desk.tell_turn(second) == "no"
    rung_out = first.ring_s + 90
    assert desk.bodies(f.MessageDeferred)[-1].next_at == desk.now + timedelta(seconds=rung_out)
    for _ in range(11):
        desk.now += timedelta(seconds=5)
        assert desk.tell_turn(desk.message(second.key)) == "no"
        assert opens_at(desk, second) is not None
    assert len(desk.bodies(f.MessageDeferred)) == 1
    desk.now += timedelta(seconds=5)
    desk.tell(DeliveryReported(key=first.key, status="no_answer"))
    assert woken(desk, first) == [second.key]
    assert opens_at(desk, second) is None
    assert desk.send(desk.message(second.key)) == "send"


def test_what_waits_while_one_call_after_the_other_holds_the_line_is_one_fact() -> None:
    desk, first, second = two_calls_to_olga()
    third = structs.replace(second, key="m-third")
    desk.state.values.messages[third.key] = third
    desk.send(first)
    assert [desk.tell_turn(second), desk.tell_turn(third)] == ["no", "no"]
    desk.now += timedelta(seconds=20)
    desk.tell(DeliveryReported(key=first.key, status="no_answer"))
    assert woken(desk, first) == [second.key, third.key]
    assert desk.send(desk.message(second.key)) == "send"
    assert desk.tell_turn(desk.message(third.key)) == "no"
    assert opens_at(desk, third) == desk.now + timedelta(seconds=second.ring_s + 90)
    assert len(desk.bodies(f.MessageDeferred)) == 2


def test_a_call_that_the_provider_does_not_take_holds_its_line_no_longer() -> None:
    desk, first, second = two_calls_to_olga()
    desk.tell_turn(first)
    assert desk.tell_turn(second) == "no"
    desk.tell(SendReported(key=first.key, result="failed", reason="rate_limited"))
    assert woken(desk, first) == [second.key]
    assert desk.tell_turn(desk.message(second.key)) == "send"


def test_what_waits_for_a_line_wakes_nobody_and_expires_at_its_time() -> None:
    desk, first, second = two_calls_to_olga()
    desk.now = second.expires_at - timedelta(seconds=60)
    first = structs.replace(first, expires_at=desk.now + timedelta(hours=1))
    desk.state.values.messages[first.key] = first
    desk.send(first)
    assert desk.tell_turn(second) == "no"
    assert desk.bodies(f.MessageDeferred)[-1].next_at > second.expires_at
    assert desk.message(second.key).next_at == second.expires_at
    assert woken(desk, second) == []


def two_calls_to_olga() -> tuple[Desk, Message, Message]:
    desk = Desk(MONDAY.replace(hour=10), public="off")
    desk.plan("v1", time_critical=True)
    desk.plan("v2", service_user="ed2")
    desk.advance(minutes=31)
    first, second = [m for m in desk.messages("summon", "olga") if m.channel == "call"]
    return desk, first, second


def opens_at(desk: Desk, message: Message) -> datetime | None:
    return messages.opens_at(desk.messages(), desk.message(message.key), desk.now)


def woken(desk: Desk, ended: Message) -> list[str]:
    return [m.key for m in messages.woken_by(desk.messages(), desk.message(ended.key))]


@pytest.mark.parametrize(
    ("waited_s", "priority", "again_s"),
    [
        (0, "summon", 5),
        (20, "summon", 5),
        (40, "summon", 10),
        (120, "summon", 30),
        (900, "summon", 30),
        (900, "help", 5),
    ],
)
def test_who_talks_with_us_already_is_looked_at_less_often(
    waited_s: float, priority: Any, again_s: float
) -> None:
    desk, first, second = two_calls_to_olga()
    second = structs.replace(
        second, template=council.RING_US, priority=priority, expires_at=desk.now + timedelta(hours=1)
    )
    desk.state.values.messages[second.key] = second
    desk.now = second.intended_at + timedelta(seconds=waited_s)
    desk.send(first)
    work = Work(desk.state, Ctx(now=desk.now, mint=desk.mint, people=desk.people))
    assert messages._held_until(work, second) == desk.now + timedelta(seconds=again_s)


def test_a_call_whose_end_nobody_reports_engages_its_line_for_two_minutes_at_most() -> None:
    desk = Desk(MONDAY.replace(hour=10), public="off")
    desk.plan("v1", time_critical=True)
    desk.plan("v2", service_user="ed2")
    desk.advance(minutes=31)
    first, second = [m for m in desk.messages("summon", "olga") if m.channel == "call"]
    desk.send(first)
    desk.now += timedelta(seconds=first.ring_s + 90)
    assert desk.send(desk.state.values.messages[second.key]) == "send"


# --- a text that comes twice, and two texts that say the same ---


def test_a_text_that_is_handed_over_twice_is_taken_once() -> None:
    desk = Desk()
    desk.text("fay", word="other", fingerprint=77)
    before = len(desk.facts)
    again = desk.text("fay", word="other", fingerprint=77)
    assert (len(desk.facts), again.answer) == (before, None)


def test_two_texts_that_say_the_same_are_two() -> None:
    desk = Desk()
    desk.text("fay", word="other", fingerprint=77)
    desk.text("fay", word="other", fingerprint=78)
    assert len(desk.bodies(f.ReplyKept)) == 2


def test_the_same_text_is_known_again_after_a_restart_and_from_another_line_it_is_another() -> None:
    desk = Desk()
    desk.text("fay", word="other", fingerprint=77)
    desk.restart(snapshot=False)
    desk.text("fay", word="other", fingerprint=77)
    desk.text("ed", word="other", fingerprint=77)
    assert len(desk.bodies(f.ReplyKept)) == 2


def test_texts_are_forgotten_after_two_days_and_not_before() -> None:
    desk = Desk()
    desk.text("fay", word="other", fingerprint=77)
    desk.now += timedelta(days=2)
    desk.tell(DayRolled(day=desk.now.date()))
    assert "l-fay" in desk.state.values.texts
    desk.now += timedelta(days=1)
    desk.tell(DayRolled(day=desk.now.date()))
    assert desk.state.values.texts == {}


def test_a_care_worker_who_says_twice_that_they_are_there_has_said_it_twice() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=10)
    (asked,) = desk.messages("ask_worker")
    desk.send(asked)
    for _ in range(2):
        desk.text("dee", f"{asked.slot}1")
    assert [one.answer for one in desk.bodies(f.WorkerAnswered)] == ["there", "there"]
