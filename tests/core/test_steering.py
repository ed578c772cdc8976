"""A person steers a track of an alert: *stop* rests it for a while, *do now* makes its next moment this one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.core import facts as f
from monitor.core.inputs import ActionTaken
from tests.core.driver import Desk
from tests.core.test_procedure import answer, desk_with, sent, track

MINUTE = timedelta(minutes=1)
RESTS = 15
"""Minutes: `ack_expires` of the policy."""


def at_alert(*workers: str, **row: Any) -> Desk:
    desk = desk_with(*workers, **row)
    desk.advance(minutes=30)
    desk.send_all()
    return desk


def steer(desk: Desk, action: str, name: str, by: str = "ann", **more: Any) -> str | None:
    """The code of the refusal, or None."""
    refusal = desk.act(action, by, track=name, **more).refusal
    return refusal.code if refusal is not None else None


def rests_until(desk: Desk, name: Any) -> Any:
    found = desk.alert().track(name)
    return found.rests_until if found is not None else None


@pytest.mark.parametrize("name", ["summon", "reassure", "locate", "replace"])
def test_a_stopped_track_sends_nothing_until_it_goes_on_by_itself(name: str) -> None:
    purposes = {"summon": "summon", "reassure": "reassure", "locate": "locate", "replace": "offer"}
    desk = at_alert("amy", "bea")
    before = desk.alert().track(name)  # type: ignore[arg-type]
    assert steer(desk, "stop_track", name) is None
    assert rests_until(desk, name) == desk.now + RESTS * MINUTE
    known = len(desk.messages(purposes[name]))
    desk.advance(minutes=RESTS - 1)
    assert len(desk.messages(purposes[name])) == known
    after = desk.alert().track(name)  # type: ignore[arg-type]
    assert before is not None
    assert after is not None
    assert (after.step, after.phase) == (before.step, before.phase)
    desk.advance(minutes=2)
    assert rests_until(desk, name) is None
    if name != "replace":  # whose first offers wait for what *locate* finds
        assert (
            len(desk.messages(purposes[name])) > known or desk.alert().track(name).step == "not_reached"  # type: ignore[union-attr,arg-type]
        )


def test_a_stopped_search_for_a_replacement_begins_after_the_rest_and_not_before() -> None:
    desk = at_alert("amy")
    assert steer(desk, "stop_track", "replace") is None
    desk.advance(minutes=10)
    assert track(desk, "locate")[0] == "not_reached"
    assert desk.messages("offer") == []
    desk.advance(minutes=6)
    assert sorted(m.person for m in desk.messages("offer")) == ["amy", "kit"]


def test_the_hour_warns_and_is_broken_while_the_offers_are_stopped() -> None:
    desk = at_alert("amy")
    desk.advance(minutes=29)
    assert steer(desk, "stop_track", "replace") is None
    desk.advance(minutes=2)
    assert sent(desk, "OC-6"), "half of the hour"
    assert rests_until(desk, "replace") is not None, "and the offers rest all the same"
    for _ in range(3):
        desk.advance(minutes=12)
        steer(desk, "stop_track", "replace")
    assert sent(desk, "RM-1"), "the hour has passed"


def test_a_call_that_fails_while_the_track_rests_rings_nobody_else() -> None:
    desk = at_alert()
    (ringing,) = desk.messages("reassure")
    assert steer(desk, "stop_track", "reassure") is None
    desk.deliver(ringing, "failed")
    assert desk.messages("reassure") == [desk.message(ringing.key)]
    desk.advance(minutes=RESTS + 1)
    assert len(desk.messages("reassure")) > 1


def test_next_of_kin_and_council_rest_together() -> None:
    desk = at_alert()
    assert steer(desk, "do_now", "inform") is None
    (first,) = [m for m in desk.messages("inform_next_of_kin") if m.channel == "call"]
    assert first.person == "ned"
    assert steer(desk, "stop_track", "inform") is None
    council = desk.alert().council
    if council is not None and council.next_at is not None:
        assert council.next_at == desk.now + RESTS * MINUTE
    calls = len(desk.messages("inform_next_of_kin"))
    desk.advance(minutes=RESTS - 1)
    assert len(desk.messages("inform_next_of_kin")) == calls
    desk.advance(minutes=2)
    assert len(desk.messages("inform_next_of_kin")) > calls


def test_an_answer_ends_a_rest() -> None:
    desk = at_alert()
    (asked,) = desk.messages("locate")
    assert steer(desk, "stop_track", "locate") is None
    answer(desk, asked, 2, number=10)
    assert track(desk, "locate") == ("reached", "on_my_way")
    assert rests_until(desk, "locate") is None


def test_do_now_takes_the_next_step_at_once() -> None:
    desk = at_alert("amy", "bea")
    assert steer(desk, "do_now", "locate") is None
    assert [m.channel for m in desk.messages("locate")] == ["sms", "call"]
    assert steer(desk, "do_now", "replace") is None
    assert sorted(m.person for m in desk.messages("offer")) == ["amy", "bea", "kit"]
    assert steer(desk, "do_now", "summon") is None
    assert "call" in [m.channel for m in desk.messages("summon")]


def test_do_now_wakes_a_track_that_rests() -> None:
    desk = at_alert("amy")
    steer(desk, "stop_track", "replace")
    assert steer(desk, "do_now", "replace", by="mia") is None
    assert sorted(m.person for m in desk.messages("offer")) == ["amy", "kit"]
    assert rests_until(desk, "replace") is None


def test_do_now_never_rings_on_top_of_a_call_that_may_be_ringing() -> None:
    desk = at_alert()
    assert steer(desk, "do_now", "reassure") is None
    assert len(desk.messages("reassure")) == 1
    assert track(desk, "reassure") == ("trying", "still_ringing")


def test_nobody_is_asked_to_go_while_everybody_comes() -> None:
    desk = at_alert("amy")
    answer(desk, desk.messages("locate")[0], 2, number=10)
    assert steer(desk, "do_now", "replace") == "somebody_comes"
    assert desk.messages("offer") == []


def test_next_of_kin_are_not_told_once_the_service_user_has_answered() -> None:
    desk = at_alert()
    desk.act("spoke_service_user", "ann")
    assert steer(desk, "do_now", "inform") == "reached"
    assert desk.messages("inform_next_of_kin") == []


def test_the_second_hears_who_was_first_and_nothing_is_recorded_for_them() -> None:
    desk = at_alert("amy")
    shown = desk.alert().track("locate")
    assert shown is not None
    first_at = desk.now
    assert steer(desk, "do_now", "locate", next_at=shown.next_at) is None
    desk.advance(seconds=1)
    second = desk.act("do_now", "mia", track="locate", next_at=shown.next_at)
    assert second.refusal is not None
    assert (second.refusal.code, second.refusal.detail) == ("moved_on", {"by": "ann", "at": first_at})
    assert steer(desk, "stop_track", "locate") is None
    third = desk.act("stop_track", "mia", track="locate")
    assert third.refusal is not None
    assert (third.refusal.code, third.refusal.detail["by"]) == ("already_stopped", "ann")
    assert [body.by for body in desk.bodies(f.ActionRecorded)] == ["ann", "ann"]


@pytest.mark.parametrize("action", ["stop_track", "do_now"])
def test_what_does_not_run_can_neither_be_stopped_nor_hastened(action: str) -> None:
    desk = at_alert()
    desk.act("take", "ann")
    assert steer(desk, action, "summon") == "not_running"
    desk.act("spoke_service_user", "ann")
    assert steer(desk, action, "reassure") == "not_running"


def test_a_rest_survives_a_restart() -> None:
    desk = at_alert()
    steer(desk, "stop_track", "reassure")
    until = rests_until(desk, "reassure")
    desk.restart()
    assert rests_until(desk, "reassure") == until
    known = len(desk.messages("reassure"))
    desk.advance(minutes=RESTS - 1)
    assert len(desk.messages("reassure")) == known


def test_who_sent_somebody_is_who_was_first() -> None:
    desk = at_alert("amy", "bea")
    assert desk.act("assign_replacement", "ann", to="amy", minutes=12).refusal is None
    refused = desk.act("assign_replacement", "mia", to="bea", minutes=5).refusal
    assert refused is not None
    assert refused.code == "already_sent"
    assert (refused.detail["by"], refused.detail["worker"]) == ("ann", "amy")


@pytest.mark.parametrize(
    ("done", "code"),
    [
        (timedelta(minutes=1), None),
        (timedelta(minutes=1, seconds=1), "at"),
        (timedelta(days=-1), None),
        (timedelta(days=-1, seconds=-1), "at"),
        (timedelta(days=365), "at"),
    ],
)
def test_what_was_done_was_done_by_now_and_not_long_before_the_alert(
    done: timedelta, code: str | None
) -> None:
    desk = at_alert("amy")
    before = len(desk.facts)
    said = ActionTaken(
        alert=desk.alert().ref, action="told_council", by="ann", at=desk.alert().opened_at + done
    )
    refusal = desk.tell(said).refusal
    assert (refusal.code if refusal is not None else None) == code
    assert (len(desk.facts) == before) == (code is not None)
