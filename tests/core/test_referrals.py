"""A council's referral at a provider's desk (domain.md section 4, last paragraph): who is summoned when, who has it,
what was answered, and what becomes of one that nobody answers."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import Duty, Policy
from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core import referrals
from monitor.core.desk import Decision
from monitor.core.inputs import DayRolled, ReferralActed, ReferralSeen
from monitor.core.referral_facts import (
    ReferralAnswered,
    ReferralForgotten,
    ReferralLapsed,
    ReferralLogged,
    ReferralPassed,
    ReferralSummoned,
    ReferralTaken,
)
from monitor.core.referral_fold import ORDER, Referral, marks
from monitor.core.state import Message
from tests.core.days import do
from tests.core.driver import DUTY, NOWHERE, Desk

MINUTE, HOUR, MOMENT = timedelta(minutes=1), timedelta(hours=1), timedelta(milliseconds=1)
FRIDAY = datetime(2026, 11, 27, 14, 0, tzinfo=UTC)
"""14:00 local: olga sits in the office, reff sees to referrals on weekdays until 15:00, wen at weekends."""
OWN = (
    Duty(person="reff", role="referrals", hours="Mon-Fri 09:00-15:00"),
    Duty(person="wen", role="referrals", hours="Sat-Sun 09:00-17:00"),
)


def provider(now: datetime = FRIDAY, **more: Any) -> Desk:
    desk = Desk(now, duty=more.pop("duty", (*DUTY, *OWN)), **more)
    for ref in ("reff", "wen"):
        desk.people.people[ref] = PersonView(ref=ref, role="staff", lines=(LineView(ref=f"l-{ref}"),))
    return desk


def arrives(desk: Desk, ref: str = "r1", **more: Any) -> Decision:
    given: dict[str, Any] = {"package": "standard", "source": "api", "arrived_at": desk.now} | more
    return desk.tell(ReferralSeen(ref=ref, evidence=NOWHERE, **given))


def act(desk: Desk, by: str, outcome: Any = None, ref: str = "r1", **more: Any) -> Decision:
    at = more.pop("at", desk.now)
    return desk.tell(ReferralActed(referral=ref, by=by, at=at, outcome=outcome, **more))


def one(desk: Desk, ref: str = "r1") -> Referral:
    return desk.state.values.referrals[ref]


def out(desk: Desk) -> list[tuple[str, str]]:
    """Who was told with which words, in order."""
    return [(m.person, m.template) for m in desk.messages() if m.template.startswith("RF")]


def message(desk: Desk, person: str, template: str) -> Message:
    return [m for m in desk.messages() if (m.person, m.template) == (person, template)][-1]


def delivered(desk: Desk) -> None:
    """What waits leaves; texts arrive, and nobody picks up a telephone."""
    while sent := desk.send_all():
        for one_ in sent:
            desk.deliver(one_, "no_answer" if one_.channel == "call" else "delivered")


# --- when, and whom ---


def test_its_person_is_told_at_arrival_half_time_and_ten_minutes_left_and_the_manager_at_the_end() -> None:
    desk = provider()
    arrives(desk)
    delivered(desk)
    assert out(desk) == [("reff", "RF-1")]
    desk.advance(hours=1, milliseconds=-1)
    assert len(out(desk)) == 1
    desk.advance(milliseconds=1)
    # 15:00 local: whoever saw to referrals until now has gone home, so the office does
    assert out(desk)[1:] == [("olga", "RF-2"), ("olga", "RFV-1")]
    delivered(desk)
    assert out(desk)[3:] == [("mary", "RF-2"), ("mary", "RFV-1")]
    desk.advance(minutes=50, milliseconds=-1)
    assert len(out(desk)) == 5
    desk.advance(milliseconds=1)
    assert out(desk)[5:] == [("olga", "RF-2"), ("olga", "RFV-1")]
    delivered(desk)
    told = len(out(desk))
    desk.advance(minutes=10, milliseconds=-1)
    assert desk.bodies(ReferralLapsed) == []
    desk.advance(milliseconds=1)
    assert desk.bodies(ReferralLapsed) == [ReferralLapsed(told=("mary",))]
    assert out(desk)[told:] == [("mary", "RF-4")]
    marks = [body.mark for body in desk.bodies(ReferralSummoned)]
    assert marks == ["arrival", "half", "half", "last", "last"]
    (lapsed,) = [fact for fact in desk.facts if type(fact.body) is ReferralLapsed]
    assert lapsed.due_at == FRIDAY + 2 * HOUR


@pytest.mark.parametrize(
    ("package", "policy", "half", "last", "ends"),
    [
        ("standard", {}, 60, 110, 120),
        ("palliative", {}, 60, 110, 120),
        ("discharge", {}, 15, 22.5, 30),  # a quarter of thirty is less than ten
        ("discharge", {"referral_discharge_within": HOUR}, 30, 50, 60),
        ("standard", {"referral_within": 40 * MINUTE}, 20, 30, 40),
        ("standard", {"referral_within": 4 * MINUTE}, 2, 3, 4),
        ("standard", {"referral_within": timedelta(seconds=4)}, 2 / 60, 3 / 60, 4 / 60),
    ],
)
def test_the_window_is_the_policy_s_by_kind_and_a_short_one_scales(
    package: Any, policy: dict[str, Any], half: float, last: float, ends: float
) -> None:
    rules = Policy(**policy)
    ends_at = FRIDAY + referrals.window(rules, package)
    clock = referrals.times(rules, FRIDAY, ends_at)
    found = [clock.half_at, clock.last_at, clock.answer_by]
    assert found == [FRIDAY + minutes * MINUTE for minutes in (half, last, ends)]


def test_at_the_weekend_the_weekend_s_person_is_told_and_by_night_who_is_on_call() -> None:
    saturday = provider(FRIDAY + timedelta(hours=20))
    arrives(saturday)
    assert out(saturday) == [("wen", "RF-1")]
    night = provider(FRIDAY + timedelta(hours=8))
    arrives(night)
    assert out(night) == [("paul", "RF-1")]


def test_who_sees_to_referrals_is_summoned_by_no_alert_and_closes_no_gap() -> None:
    desk = provider(public="off")
    desk.plan("v1", start=FRIDAY - 31 * MINUTE)
    desk.advance(minutes=30)
    assert "reff" not in {m.person for m in desk.messages()}
    assert {m.person for m in desk.messages("summon")} >= {"olga"}


def test_a_mail_that_is_logged_late_is_summoned_for_as_its_clock_stands() -> None:
    desk = provider()
    arrives(desk, arrived_at=FRIDAY - 70 * MINUTE)
    assert out(desk) == [("reff", "RF-2"), ("reff", "RFV-1")]
    assert one(desk).mark == "half"
    delivered(desk)
    told = len(out(desk))
    desk.advance(minutes=40, milliseconds=-1)
    assert len(out(desk)) == told
    desk.advance(milliseconds=1)
    assert len(out(desk)) > told


def test_one_that_is_logged_after_its_time_is_told_to_the_manager_at_once() -> None:
    desk = provider()
    arrives(desk, arrived_at=FRIDAY - 3 * HOUR)
    assert out(desk) == [("mary", "RF-4")]
    assert one(desk).lapsed_at == FRIDAY


def test_where_nobody_can_be_told_that_is_a_fact_and_it_is_tried_again() -> None:
    desk = provider(duty=())
    arrives(desk)
    assert desk.bodies(ReferralSummoned) == [ReferralSummoned(mark="arrival", reason="nobody_on_duty")]
    desk.advance(hours=2)
    assert [body.mark for body in desk.bodies(ReferralSummoned)] == ["arrival", "half", "last"]
    assert desk.bodies(ReferralLapsed) == [ReferralLapsed(reason="nobody_to_tell")]


def test_who_has_no_telephone_is_told_by_mail_and_a_mail_beside_a_text_moves_nothing() -> None:
    desk = provider()
    for ref in ("reff", "mary"):
        desk.people.people[ref] = PersonView(ref=ref, role="staff", mail=True)
    desk.people.people["olga"] = structs.replace(desk.people.people["olga"], mail=True)
    arrives(desk)
    ways = [(m.person, m.template, m.channel) for m in desk.messages()]
    assert ways == [("reff", "RF-1", "email")]
    delivered(desk)
    desk.advance(hours=1)
    told = [(m.channel, m.template) for m in desk.messages(person="olga")]
    assert told == [("sms", "RF-2"), ("email", "RF-2"), ("call", "RFV-1")]
    (beside,) = [m for m in desk.messages(person="olga") if m.channel == "email"]
    desk.send(beside)
    desk.deliver(beside, "failed")
    assert len(desk.bodies(ReferralSummoned)) == 2
    delivered(desk)
    desk.advance(hours=1)
    assert [m.channel for m in desk.messages(person="mary") if m.template == "RF-4"] == ["email"]


def test_a_mail_that_fails_to_who_has_nothing_else_goes_on_to_the_next() -> None:
    desk = provider()
    desk.people.people["reff"] = PersonView(ref="reff", role="staff", mail=True)
    arrives(desk)
    desk.send_all()
    desk.deliver(message(desk, "reff", "RF-1"), "failed")
    assert out(desk)[1:] == [("olga", "RF-1"), ("olga", "RFV-1")]


# --- they answer ---


def test_who_takes_it_by_text_stops_the_summons_and_is_reminded_once() -> None:
    desk = provider()
    arrives(desk)
    desk.send_all()
    said = desk.text("reff", "11")
    assert said.answer.template == "RF-5"
    assert one(desk).taken_by == "reff"
    assert desk.bodies(ReferralTaken) == [ReferralTaken(by="reff", proof="reply:11")]
    desk.advance(minutes=109, seconds=59.999)
    assert out(desk) == [("reff", "RF-1")]
    desk.advance(milliseconds=1)
    assert out(desk)[1:] == [("reff", "RF-3")]
    desk.advance(minutes=10)
    assert out(desk)[2:] == [("mary", "RF-4"), ("reff", "RF-4")]


def test_the_second_who_answers_hears_that_somebody_has_it() -> None:
    desk = provider()
    arrives(desk)
    delivered(desk)
    desk.advance(hours=1)
    desk.send_all()
    assert desk.text("olga", "11").answer.template == "RF-5"
    assert desk.text("reff", "11").answer.template == "RF-7"
    assert one(desk).taken_by == "olga"


def test_whoever_passes_it_on_is_followed_by_the_next_at_once() -> None:
    desk = provider()
    arrives(desk)
    desk.send_all()
    assert desk.text("reff", "12").answer.template == "RF-6"
    assert out(desk) == [("reff", "RF-1"), ("olga", "RF-1")]
    assert desk.bodies(ReferralSummoned)[-1].reason == "passed_on"


def test_who_passes_it_on_twice_passes_over_nobody() -> None:
    """Their text came to them twice after a crash, and they answered both."""
    desk = provider()
    arrives(desk)
    desk.send_all()
    for _ in range(2):
        assert desk.text("reff", "12").answer.template == "RF-6"
    assert out(desk) == [("reff", "RF-1"), ("olga", "RF-1")]
    assert len(desk.bodies(ReferralPassed)) == 1


def test_who_passes_on_what_somebody_else_is_asked_by_now_passes_over_nobody() -> None:
    desk = provider()
    arrives(desk)
    desk.send_all()
    desk.advance(hours=1)
    delivered(desk)
    told = out(desk)
    desk.text("reff", "12")
    assert out(desk) == told


def test_who_has_it_may_pass_it_on_when_they_are_reminded() -> None:
    desk = provider()
    arrives(desk)
    act(desk, "reff")
    desk.advance(minutes=110)
    desk.send_all()
    code = message(desk, "reff", "RF-3").slot
    desk.text("reff", f"{code}2")
    assert one(desk).taken_by is None
    assert out(desk)[-2:] == [("olga", "RF-2"), ("olga", "RFV-1")]


def test_a_call_that_nobody_answers_goes_on_to_the_next_until_everybody_was_rung() -> None:
    desk = provider()
    arrives(desk)
    delivered(desk)
    desk.advance(hours=1)
    desk.send_all()
    desk.deliver(message(desk, "olga", "RF-2"), "delivered")
    desk.deliver(message(desk, "olga", "RFV-1"), "no_answer")
    assert out(desk)[-2:] == [("mary", "RF-2"), ("mary", "RFV-1")]
    desk.send_all()
    desk.deliver(message(desk, "mary", "RF-2"), "delivered")
    desk.deliver(message(desk, "mary", "RFV-1"), "busy")
    assert out(desk)[-2:] == [("mary", "RF-2"), ("mary", "RFV-1")]
    desk.advance(minutes=49)
    assert len(out(desk)) == 5


def test_it_is_taken_by_two_keys_and_silence_in_the_call_is_no_answer() -> None:
    desk = provider()
    arrives(desk)
    delivered(desk)
    desk.advance(hours=1)
    desk.send_all()
    call = message(desk, "olga", "RFV-1")
    desk.press(call, "1")
    assert one(desk).taken_by is None
    desk.press(call, "1", "2")
    assert (one(desk).taken_by, desk.bodies(ReferralTaken)[0].proof) == ("olga", "key:2")
    desk.deliver(call, "completed")
    assert len(desk.bodies(ReferralSummoned)) == 2


def test_a_text_that_cannot_be_delivered_is_followed_by_a_call_to_the_next() -> None:
    desk = provider()
    arrives(desk)
    desk.send_all()
    desk.deliver(message(desk, "reff", "RF-1"), "undelivered")
    assert out(desk)[1:] == [("olga", "RF-1"), ("olga", "RFV-1")]


def test_what_waits_for_its_turn_is_not_sent_when_it_has_become_pointless() -> None:
    desk = provider()
    arrives(desk)
    text = message(desk, "reff", "RF-1")
    act(desk, "olga", "declined", reason="area")
    assert desk.send(text) == "no"


# --- the council is answered ---


@pytest.mark.parametrize(
    ("after", "late"),
    [(2 * HOUR - MOMENT, False), (2 * HOUR, True)],
)
def test_what_was_answered_is_kept_with_by_whom_when_and_whether_in_time(
    after: timedelta, late: bool
) -> None:
    desk = provider()
    arrives(desk)
    starts = FRIDAY + 20 * HOUR
    desk.advance(hours=3)
    assert act(desk, "olga", "bid", starts_at=starts, at=FRIDAY + after).refusal is None
    kept = one(desk).answer
    assert kept is not None
    assert (kept.outcome, kept.by, kept.done_at, kept.starts_at) == ("bid", "olga", FRIDAY + after, starts)
    assert kept.late is late


def test_an_answer_ends_the_summons_and_who_had_it_hears_of_it() -> None:
    desk = provider()
    arrives(desk)
    act(desk, "reff")
    act(desk, "olga", "withdrawn")
    desk.advance(hours=3)
    assert out(desk) == [("reff", "RF-1"), ("reff", "RF-8")]
    assert desk.bodies(ReferralLapsed) == []


@pytest.mark.parametrize(
    ("outcome", "more", "code"),
    [
        ("bid", {}, "starts_at"),
        ("declined", {}, "reason"),
        ("too_late", {"at": FRIDAY - MOMENT}, "at"),
        ("too_late", {"at": FRIDAY + 2 * MINUTE}, "at"),
    ],
)
def test_an_answer_that_is_not_whole_changes_nothing(outcome: str, more: dict[str, Any], code: str) -> None:
    desk = provider()
    arrives(desk)
    before = len(desk.facts)
    refusal = act(desk, "olga", outcome, **more).refusal
    assert refusal is not None
    assert (refusal.code, len(desk.facts)) == (code, before)


def test_the_second_answer_and_the_second_taker_hear_who_was_first() -> None:
    desk = provider()
    arrives(desk)
    act(desk, "reff")
    taken = act(desk, "olga").refusal
    act(desk, "reff", "declined", reason="no_capacity")
    answered = act(desk, "olga", "bid", starts_at=FRIDAY + HOUR).refusal
    unknown = act(desk, "olga", "too_late", ref="r9").refusal
    assert taken is not None
    assert answered is not None
    assert unknown is not None
    assert (taken.code, taken.detail["by"]) == ("already_taken", "reff")
    assert (answered.code, answered.detail["by"]) == ("already_answered", "reff")
    assert unknown.code == "not_found"


def test_one_that_nobody_answered_can_still_be_answered_for_and_cannot_be_taken() -> None:
    desk = provider()
    arrives(desk)
    desk.advance(hours=2)
    refusal = act(desk, "olga").refusal
    assert refusal is not None
    assert refusal.code == "over"
    assert act(desk, "olga", "too_late").refusal is None
    assert desk.bodies(ReferralAnswered)[0].late


# --- the same one, and bad ones ---


def test_the_same_referral_again_is_the_first_one_and_another_under_its_id_is_refused() -> None:
    desk = provider()
    arrives(desk, fingerprint=7)
    assert arrives(desk, fingerprint=7).answer == "r1"
    assert arrives(desk, ref="r2", fingerprint=7).answer == "r1"
    other = arrives(desk, fingerprint=8).refusal
    assert other is not None
    assert other.code == "already_known"
    assert len(desk.bodies(ReferralLogged)) == 1


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"arrived_at": FRIDAY + 2 * MINUTE}, "arrived_at"),
        ({"answer_by": FRIDAY}, "answer_by"),
        ({"answer_by": FRIDAY - HOUR}, "answer_by"),
    ],
)
def test_times_that_make_no_sense_are_refused(more: dict[str, Any], code: str) -> None:
    desk = provider()
    refusal = arrives(desk, **more).refusal
    assert refusal is not None
    assert (refusal.code, desk.state.values.referrals) == (code, {})


# --- clocks and restarts ---


def test_a_clock_that_is_set_back_moves_no_mark() -> None:
    desk = provider()
    arrives(desk)
    delivered(desk)
    desk.advance(minutes=59)
    desk.now -= 30 * MINUTE
    desk.advance(minutes=30, seconds=59)
    assert len(desk.bodies(ReferralSummoned)) == 1
    desk.advance(seconds=1)
    assert len(desk.bodies(ReferralSummoned)) == 2


def test_after_a_stop_the_latest_mark_is_summoned_for_once() -> None:
    desk = provider()
    arrives(desk)
    delivered(desk)
    desk.restart(snapshot=False)
    desk.now += 115 * MINUTE
    desk.advance()
    assert [body.mark for body in desk.bodies(ReferralSummoned)] == ["arrival", "last"]


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_at_any_moment_goes_on_as_if_there_had_been_none(snapshot: bool) -> None:
    def day(*, stops: bool) -> list[f.FactBody]:
        desk = provider()
        arrives(desk, fingerprint=3)
        for _ in range(14):
            desk.advance(minutes=10)
            desk.send_all()
            if stops:
                desk.restart(snapshot=snapshot)
        return [fact.body for fact in desk.facts]

    assert day(stops=True) == day(stops=False)


def test_it_leaves_the_state_some_time_after_it_was_answered_and_its_messages_with_it() -> None:
    desk = provider()
    arrives(desk)
    desk.send_all()
    desk.deliver(message(desk, "reff", "RF-1"), "delivered")
    act(desk, "reff", "too_late")
    desk.tell(DayRolled(day=FRIDAY.date()))
    assert out(desk) == [("reff", "RF-1")]
    desk.advance(hours=36)
    assert desk.bodies(ReferralForgotten) == [ReferralForgotten()]
    desk.tell(DayRolled(day=FRIDAY.date() + timedelta(days=2)))
    assert out(desk) == []
    assert desk.state.values.referrals == {}


@pytest.mark.parametrize("seed", range(5))
def test_on_a_busy_day_none_outlives_its_time_in_silence(seed: int) -> None:
    """Whatever happens, in whatever order: at the end of its time a referral is answered, or that is a fact."""
    rng = random.Random(seed)
    desk = provider(ask_duty=False)
    for _ in range(120):
        name = rng.choice(
            ("referral", "referral", "wait", "send", "end", "press", "answer", "roll", "policy")
        )
        do(desk, (name, rng.randrange(1000), rng.randrange(1000), rng.randrange(1000)))
        desk.advance()
        for referral in desk.state.values.referrals.values():
            assert referral.answer_by > desk.now or not referral.waits
            due = [mark for mark, at in marks(referral).items() if at <= desk.now]
            assert not due or not referral.waits or ORDER[referral.mark] >= max(ORDER[mark] for mark in due)
    assert desk.bodies(ReferralLapsed)
    assert desk.bodies(ReferralAnswered)
