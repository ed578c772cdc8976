"""What the simulated days of the whole procedure have found (tests/simulation/rules.py), a table line for each."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from msgspec import structs

from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core.inputs import SendReported
from tests.core.driver import MONDAY
from tests.core.test_procedure import answer, desk_with, sent, track

MINUTE = timedelta(minutes=1)


def test_a_notice_that_was_in_doubt_is_not_sent_again_when_the_alert_is_over() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 1)
    desk.advance(minutes=20)
    (reminder,) = [m for m in desk.messages("notice", "dee") if m.alert is not None]
    assert desk.tell_turn(reminder) == "send"
    desk.advance(seconds=1)
    desk.check()
    desk.tell(SendReported(key=reminder.key, result="failed", reason="timeout", possibly_repeated=True))
    assert desk.tell_turn(reminder) == "no"
    assert desk.message(reminder.key).reason == "alert_ended"


def test_what_is_said_because_it_is_over_leaves_after_the_end() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=30)
    desk.send_all()
    desk.check()
    (over,) = desk.messages("stand_down", "paul")
    assert desk.send(over) == "send"


@pytest.mark.parametrize(("after_s", "leaves"), [(179, "no"), (180, "send")])
def test_a_telephone_that_nobody_answered_is_left_in_peace_whatever_there_is_to_tell(
    after_s: float, leaves: str
) -> None:
    """Spec 22.2 (ours): at least `reassure_retry` between two rings, of whichever track."""
    desk = desk_with("kit")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 3)
    (call,) = sent(desk, "SUV-1")
    answer(desk, sent(desk, "CW-7", "kit")[0], 1)
    desk.deliver(call, "no_answer")
    desk.act("spoke_service_user", "paul")  # the track itself rings no more
    desk.now += timedelta(seconds=after_s)
    (told,) = desk.messages("tell_replacement", "ed")
    assert desk.tell_turn(told) == leaves
    if leaves == "no":
        deferred = desk.bodies(f.MessageDeferred)[-1]
        assert (deferred.reason, deferred.next_at) == ("rung_lately", MONDAY + 13 * MINUTE)


def test_who_answered_the_first_call_hears_the_name_at_once() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 3)
    desk.press(sent(desk, "SUV-1")[0], "1")
    desk.deliver(sent(desk, "SUV-1")[0], "completed")
    answer(desk, sent(desk, "CW-7", "kit")[0], 1)
    (told,) = desk.messages("tell_replacement", "ed")
    assert desk.tell_turn(told) == "send"


def test_the_name_waits_while_the_service_user_is_still_being_rung_about_themselves() -> None:
    desk = desk_with("kit")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 3)
    desk.deliver(sent(desk, "SUV-1")[0], "busy")
    desk.advance(seconds=170)
    answer(desk, sent(desk, "CW-7", "kit")[0], 1)
    desk.advance(seconds=10)
    (told,) = desk.messages("tell_replacement", "ed")
    assert desk.tell_turn(told) == "no"
    assert desk.tell_turn(desk.messages("reassure", "ed")[-1]) == "send"


def test_who_was_asked_hears_that_it_is_covered_also_when_it_is_over_before_the_text_has_left() -> None:
    desk = desk_with("kit", "lou")
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 3)
    offers = {m.person: m for m in sent(desk, "CW-7")}
    answer(desk, offers["kit"], 1)
    (covered,) = [m for m in desk.messages("stand_down", "lou") if m.template == "CW-8B"]
    desk.advance(seconds=1)
    desk.act("close", "paul", reason="seen_well")
    assert desk.send(covered) == "send"


def test_silence_on_an_offer_by_telephone_is_no_contact() -> None:
    desk = desk_with("kit")
    kit = desk.people.people["kit"]
    desk.people.people["kit"] = structs.replace(kit, lines=(LineView(ref="l-kit", kind="landline"),))
    desk.advance(minutes=10)
    answer(desk, sent(desk, "CW-1")[0], 3)
    (call,) = sent(desk, "CWV-2")
    desk.press(call, "", "")
    assert [body.person for body in desk.bodies(f.PersonReached)] == ["dee"]
    assert [body.worker for body in desk.bodies(f.ReplacementDeclined)] == ["kit"]


def test_a_next_of_kin_behind_whom_nobody_can_be_rung_is_not_rung_without_end() -> None:
    desk = desk_with("kit")
    people = desk.people.people
    people["ed"] = structs.replace(people["ed"], next_of_kin=("ned", "nora"))
    people["nora"] = PersonView(ref="nora", role="contact")
    desk.advance(minutes=30)
    for _ in range(60 * 6):
        desk.advance(seconds=10)
        for message in desk.send_all():
            if message.channel == "call":
                desk.deliver(message, "no_answer")
    rung = [m.attempted_at for m in desk.messages("inform_next_of_kin", "ned") if m.channel == "call"]
    assert len(rung) == 3
    assert all(later - sooner > 2 * MINUTE for sooner, later in pairwise(rung) if sooner and later)
    assert track(desk, "inform")[0] == "not_reached"
