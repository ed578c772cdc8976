"""The contact plan in the core: who is contacted, when nobody is, and two people on one line (domain.md section 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import parse_hours
from escalation.people import LineView, PersonView, PlanView
from monitor.core import facts as f
from monitor.core.state import Message
from tests.core.driver import Desk

MINUTE = timedelta(minutes=1)
HER_LINE = LineView(ref="l-ed", kind="landline")


def desk_of(plan: PlanView | None = None, **more: Any) -> Desk:
    desk = Desk(public="auto")
    change(desk, "ed", plan=plan or PlanView(), **more)
    return desk


def change(desk: Desk, ref: str, **more: Any) -> None:
    known = desk.people.people.get(ref) or PersonView(ref=ref, role="contact")
    desk.people.people[ref] = structs.replace(known, **more)


def alerted(plan: PlanView | None = None, *, kin: tuple[str, ...] = (), **row: Any) -> Desk:
    desk = desk_of(plan, next_of_kin=kin)
    desk.plan(**row)
    desk.advance(minutes=30)
    return desk


def step(desk: Desk, service_user: str = "ed") -> tuple[str, str]:
    (alert,) = [one for one in desk.alerts("late_visit") if one.service_user == service_user]
    track = alert.track("reassure")
    assert track is not None
    return track.step, track.reason


def asked(desk: Desk) -> list[tuple[str, str, str]]:
    return [(m.person, m.channel, m.template) for m in desk.messages("reassure") if m.result != "cancelled"]


def last(desk: Desk) -> Message:
    return desk.messages("reassure")[-1]


# --- who is contacted ---


@pytest.mark.parametrize(
    ("plan", "kin", "who"),
    [
        (PlanView(), ("ned",), ("ed", "call", "SUV-1")),
        (PlanView(spokesperson="ned"), (), ("ned", "call", "SPV-1")),
        (PlanView(spokesperson="olga"), ("ned",), ("olga", "call", "SPV-1")),
        (PlanView(minor=True), ("ned",), ("ned", "call", "SPV-1")),
        (PlanView(minor=True, spokesperson="olga"), ("ned",), ("olga", "call", "SPV-1")),
        (PlanView(minor=True), ("gone", "ned"), ("ned", "call", "SPV-1")),
        (PlanView(minor=True, never_tell=frozenset({"ned"})), ("ned", "olga"), ("olga", "call", "SPV-1")),
    ],
)
def test_who_speaks_for_them_or_the_parent_is_contacted_in_their_place(
    plan: PlanView, kin: tuple[str, ...], who: tuple[str, str, str]
) -> None:
    assert asked(alerted(plan, kin=kin)) == [who]


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (PlanView(channels=("person",)), "person_only"),
        (PlanView(channels=("person", "voice")), "person_only"),
        (PlanView(end_of_life=True), "person_only"),
        (PlanView(language="pl"), "person_only"),
        (PlanView(language="cy-GB"), "person_only"),
        (PlanView(end_of_life=True, spokesperson="ned"), "person_only"),
        (PlanView(minor=True), "nobody_speaks"),
        (PlanView(quiet=parse_hours("daily 09:00-22:00")), "quiet_hours"),
        (PlanView(channels=("text",)), "no_line"),
        (PlanView(spokesperson="gone"), "no_line"),
    ],
)
def test_a_step_that_the_plan_skips_says_so_in_a_fact_and_nobody_is_rung(plan: PlanView, reason: str) -> None:
    desk = alerted(plan)
    assert step(desk) == ("skipped", reason)
    assert asked(desk) == []
    assert [(b.step, b.reason) for b in desk.bodies(f.TrackMoved) if b.track == "reassure"] == [
        ("skipped", reason)
    ]
    assert {m.purpose for m in desk.messages()} & {"summon"}, "staff are summoned all the same"


def test_a_reason_in_a_fact_says_nothing_of_somebody_s_health() -> None:
    desk = alerted(PlanView(end_of_life=True))
    assert not any("end_of_life" in f.encode_body(fact.body) for fact in desk.facts)


def test_the_speaker_s_own_plan_says_how_they_are_contacted() -> None:
    desk = desk_of(PlanView(spokesperson="ned", channels=("voice",), ring_s=80))
    change(desk, "ned", plan=PlanView(channels=("text",)))
    desk.plan()
    desk.advance(minutes=30)
    assert asked(desk) == [("ned", "sms", "SP-1")]


@pytest.mark.parametrize(
    ("theirs", "own", "quiet"),
    [
        ("daily 09:00-22:00", None, True),
        ("daily 09:00-22:00", "daily 07:00-22:00", False),
        (None, "daily 09:00-22:00", True),
    ],
)
def test_the_hours_of_whoever_is_rung_count(theirs: str | None, own: str | None, quiet: bool) -> None:
    plan = PlanView(spokesperson="ned", quiet=parse_hours(theirs) if theirs else None)
    desk = desk_of(plan)
    change(desk, "ned", plan=PlanView(quiet=parse_hours(own) if own else None))
    desk.plan()
    desk.advance(minutes=30)
    assert (step(desk)[1] == "quiet_hours") is quiet


# --- quiet hours ---


@pytest.mark.parametrize(
    ("hours", "reason"), [("daily 08:30-22:00", "raised"), ("daily 08:31-22:00", "quiet_hours")]
)
def test_at_the_first_minute_of_their_hours_they_are_rung(hours: str, reason: str) -> None:
    assert step(alerted(PlanView(quiet=parse_hours(hours))))[1] == reason


def test_a_time_critical_visit_may_ring_in_quiet_hours_where_the_plan_says_so() -> None:
    plan = PlanView(quiet=parse_hours("daily 10:00-22:00"), quiet_but_time_critical=True)
    assert step(alerted(plan, time_critical=True))[0] == "trying"
    assert step(alerted(plan))[1] == "quiet_hours"


def test_quiet_hours_that_begin_between_two_tries_end_the_tries() -> None:
    desk = alerted(PlanView(quiet=parse_hours("daily 08:00-08:32")))
    desk.send(last(desk))
    desk.deliver(last(desk), "no_answer")
    desk.advance(minutes=3)
    assert step(desk) == ("skipped", "quiet_hours")
    assert len(asked(desk)) == 1


def test_a_call_that_comes_to_its_turn_in_a_quiet_hour_does_not_leave() -> None:
    desk = alerted(PlanView(quiet=parse_hours("daily 08:00-08:31")))
    desk.now += MINUTE
    assert desk.tell_turn(last(desk)) == "no"
    assert last(desk).reason == "quiet_hours"


# --- what the speaker answers ---


def spoken_for() -> Desk:
    desk = alerted(PlanView(spokesperson="ned"))
    desk.send(last(desk))
    return desk


@pytest.mark.parametrize(("keys", "reason"), [(("1", "1"), "all_right"), (("1", "3"), "carer_here")])
def test_the_speaker_s_answer_is_contact(keys: tuple[str, ...], reason: str) -> None:
    desk = spoken_for()
    desk.press(last(desk), *keys)
    assert step(desk) == ("reached", reason)
    assert desk.bodies(f.PersonReached)[-1].person == "ned"


@pytest.mark.parametrize("keys", [("1", "2"), ("", ""), ("1", "", "")])
def test_help_that_the_speaker_asks_for_is_about_the_service_user(keys: tuple[str, ...]) -> None:
    desk = spoken_for()
    desk.press(last(desk), *keys)
    assert desk.alert("help_asked").service_user == "ed"


def test_a_wrong_number_is_no_contact_and_the_next_way_is_tried_at_once() -> None:
    desk = desk_of(PlanView(spokesperson="ned"))
    change(desk, "ned", lines=(LineView(ref="l-ned", kind="landline"), LineView(ref="l-mob")))
    desk.plan()
    desk.advance(minutes=30)
    desk.send(last(desk))
    desk.press(last(desk), "9")
    assert [m.line for m in desk.messages("reassure")] == ["l-ned", "l-mob"]
    assert desk.bodies(f.PersonReached) == []


def test_a_text_from_the_speaker_hears_the_speaker_s_words() -> None:
    desk = desk_of(PlanView(spokesperson="ned"))
    change(desk, "ned", plan=PlanView(channels=("text",)))
    desk.plan()
    desk.advance(minutes=30)
    desk.send(last(desk))
    said = desk.text("ned", "11").answer
    assert (said.template, said.person) == ("SP-2", "ned")
    assert step(desk) == ("reached", "all_right")


def test_without_keys_on_their_telephone_a_mobile_is_texted_first() -> None:
    desk = desk_of(PlanView(keypad=False), lines=(HER_LINE, LineView(ref="l-mob")))
    desk.plan()
    desk.advance(minutes=30)
    assert [(m.channel, m.line) for m in desk.messages("reassure")] == [("sms", "l-mob")]


# --- two people on one line: one call, one question ---


def household(**second: Any) -> Desk:
    """ed and eve live together, on one landline; both visits are late."""
    desk = desk_of()
    change(desk, "eve", role="service_user", **{"lines": (HER_LINE,)} | second)
    desk.plan("v1")
    desk.plan("v2", service_user="eve", workers=("kit",), start=desk.now + MINUTE)
    desk.advance(minutes=31)
    return desk


def test_two_people_on_one_line_get_one_call() -> None:
    desk = household()
    assert asked(desk) == [("ed", "call", "SUV-1")]
    assert step(desk, "eve") == ("waiting", "same_line")


@pytest.mark.parametrize(("key", "reason"), [("1", "all_right"), ("2", "talk"), ("3", "carer_here")])
def test_one_answer_is_the_answer_for_both(key: str, reason: str) -> None:
    desk = household()
    desk.send(last(desk))
    desk.press(last(desk), key)
    assert (step(desk), step(desk, "eve")) == (("reached", reason), ("reached", reason))
    assert {body.person for body in desk.bodies(f.PersonReached)} == {"ed", "eve"}
    assert len(desk.alerts("help_asked")) == (key == "2")
    desk.advance(minutes=20)
    assert len(asked(desk)) == 1


def test_who_does_not_understand_the_keys_is_not_all_right_by_the_other_s_answer() -> None:
    desk = household(plan=PlanView(understands_keys=False))
    desk.send(last(desk))
    desk.press(last(desk), "1")
    assert (step(desk)[1], step(desk, "eve")[1]) == ("all_right", "keys_not_understood")


def test_while_nobody_answers_the_line_is_rung_for_both_together_and_both_are_then_not_reached() -> None:
    desk = household()
    for _ in range(3):
        desk.send(last(desk))
        desk.deliver(last(desk), "no_answer")
        desk.advance(minutes=3)
    assert len(asked(desk)) == 3
    assert (step(desk), step(desk, "eve")) == (("not_reached", "unanswered"), ("not_reached", "same_line"))


def test_with_another_line_of_her_own_she_is_then_rung_there() -> None:
    desk = household(lines=(HER_LINE, LineView(ref="l-eve")))
    for _ in range(3):
        desk.send(last(desk))
        desk.deliver(last(desk), "no_answer")
        desk.advance(minutes=3)
    assert step(desk, "eve")[0] == "trying"
    assert (last(desk).person, last(desk).line) == ("eve", "l-eve")


def test_when_the_first_alert_ends_the_other_is_asked_herself_at_once() -> None:
    desk = household()
    desk.send(last(desk))
    desk.deliver(last(desk), "no_answer")
    desk.check(device="d-dee", service_user="ed")
    assert step(desk, "eve")[0] == "trying"
    assert asked(desk)[-1] == ("eve", "call", "SUV-1")


def test_another_line_does_not_wait() -> None:
    desk = household(lines=(LineView(ref="l-eve"),))
    assert [person for person, *_ in asked(desk)] == ["ed", "eve"]


def test_one_who_speaks_for_two_gets_one_call() -> None:
    desk = desk_of(PlanView(spokesperson="ned"))
    change(desk, "fay", plan=PlanView(spokesperson="ned"))
    desk.plan("v1")
    desk.plan("v2", service_user="fay", workers=("kit",))
    desk.advance(minutes=30)
    assert [person for person, *_ in asked(desk)] == ["ned"]
    desk.send(last(desk))
    desk.press(last(desk), "1", "1")
    assert (step(desk)[0], step(desk, "fay")[0]) == ("reached", "reached")


def test_after_a_restart_the_answer_is_still_for_both() -> None:
    desk = household()
    desk.send(last(desk))
    desk.restart(snapshot=False)
    desk.press(last(desk), "1")
    assert (step(desk)[0], step(desk, "eve")[0]) == ("reached", "reached")
