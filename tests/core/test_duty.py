"""The start of an on-call duty must be answered (domain.md section 2, "Hours"; spec 6.2; wording.md OC-7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from config.policy import Calendar, Duty
from escalation import on_call
from escalation.on_call import HandOver
from escalation.people import LineView, PersonView
from monitor.core import alerts
from monitor.core import facts as f
from monitor.core.inputs import DayRolled, PolicyLoaded
from monitor.core.state import Message
from monitor.core.work import Ctx, Work
from tests.core.driver import DUTY, Desk

MINUTE = timedelta(minutes=1)
FIVE = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
"""17:00 local in winter: olga's office hours end, paul is on call."""
TWO = (
    Duty(person="olga", role="office", hours="Mon-Fri 09:00-17:00"),
    Duty(person="paul", role="on_call", hours="Mon-Fri 17:00-09:00 +holidays"),
    Duty(person="anna", role="on_call", hours="otherwise"),
    Duty(person="mary", role="manager", hours="otherwise"),
)


def evening(*, before_s: float = 60, **desk_: Any) -> Desk:
    """A desk a minute before the hand-over at 17:00."""
    return Desk(FIVE - timedelta(seconds=before_s), **desk_)


def sent(desk: Desk, template: str) -> list[Message]:
    return [message for message in desk.messages() if message.template == template]


def asked(desk: Desk) -> list[tuple[float, str, str]]:
    """(minutes after the hand-over, person, channel) of every question about it."""
    found = [m for m in desk.messages() if m.template in ("OC-7", "OCV-180")]
    return [((m.intended_at - FIVE) / MINUTE, m.person, m.channel) for m in found]


def chain(desk: Desk) -> list[str]:
    ctx = Ctx(now=desk.now, mint=desk.mint, people=desk.people)
    return [person.ref for person in alerts.duty_chain(Work(desk.state, ctx), None)]


def steps(desk: Desk) -> list[tuple[str, str]]:
    return [(fact.subject, fact.body.step) for fact in desk.facts if isinstance(fact.body, f.DutyMoved)]


def reply(desk: Desk) -> None:
    (message,) = sent(desk, "OC-7")
    if message.phase == "queued":
        desk.send(message)
    desk.text("paul", f"{message.slot}5")


# --- when there is a hand-over ---


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "start", "incoming", "before"),
    [
        ("2026-11-23 16:59:59", "2026-11-23 17:00", ("paul",), ("olga",)),
        (
            "2026-11-23 17:00:00",
            "2026-11-24 17:00",
            ("paul",),
            ("olga",),
        ),  # to the office nobody hands over so
        ("2026-11-27 17:00:00", "2026-11-28 09:00", ("anna",), ("paul",)),  # Saturday
        ("2026-11-28 09:00:00", "2026-11-30 17:00", ("paul",), ("olga",)),
        ("2026-12-24 17:00:00", "2026-12-25 09:00", ("anna",), ("paul",)),  # Christmas: no office
        ("2026-12-25 09:00:00", "2026-12-25 17:00", ("paul",), ("anna",)),
        ("2026-06-01 10:00:00", "2026-06-01 16:00", ("paul",), ("olga",)),  # 17:00 local in summer
    ],
)
def test_the_next_hand_over_is_where_somebody_comes_on_call_who_was_not_on_duty(
    after: str, start: str, incoming: tuple[str, ...], before: tuple[str, ...]
) -> None:
    calendar = Calendar(holidays=frozenset({date(2026, 12, 25), date(2026, 12, 28)}))
    found = on_call.next_start(TWO, at(after), calendar)
    assert found is not None
    assert (found.at, found.incoming, found.before) == (at(start), incoming, before)


def test_a_list_on_which_nobody_ever_comes_on_call_has_none() -> None:
    always = (Duty(person="olga", role="on_call", hours="daily 00:00-24:00"),)
    office = (Duty(person="olga", role="office", hours="Mon-Fri 09:00-17:00"),)
    both = (*office, Duty(person="olga", role="on_call", hours="otherwise"))
    assert [on_call.next_start(duty, FIVE, Calendar()) for duty in (always, office, both)] == [None] * 3


# --- how they are asked ---


def test_they_are_texted_at_the_hand_over_rung_after_ten_minutes_twice_and_then_who_had_it_stays_on() -> None:
    desk = evening()
    desk.advance(seconds=59)
    assert asked(desk) == []
    desk.advance(seconds=1)
    assert asked(desk) == [(0, "paul", "sms")]
    desk.advance(minutes=9, seconds=59)
    assert len(asked(desk)) == 1
    desk.advance(seconds=1)
    desk.send_all()
    assert asked(desk)[1:] == [(10, "paul", "call")]
    desk.deliver(sent(desk, "OCV-180")[0], "no_answer")
    desk.advance(minutes=2, seconds=30)
    assert asked(desk)[2:] == [(12.5, "paul", "call")]
    desk.advance(minutes=2, seconds=29)
    assert sent(desk, "OC-182") == []
    desk.advance(seconds=1)
    assert steps(desk)[-1] == ("paul", "unanswered")
    assert [(m.person, m.about) for m in sent(desk, "OC-182")] == [("olga", "paul")]
    assert [(m.person, m.about) for m in sent(desk, "RM-180")] == [("mary", "paul")]
    desk.advance(hours=12)
    assert len(asked(desk)) == 3


def test_the_last_call_that_nobody_answers_ends_the_asking_at_once() -> None:
    desk = evening()
    desk.advance(minutes=11)
    desk.send_all()
    desk.deliver(sent(desk, "OCV-180")[0], "no_answer")
    desk.advance(minutes=2, seconds=30)
    desk.send_all()
    desk.deliver(sent(desk, "OCV-180")[1], "busy")
    assert steps(desk)[-1] == ("paul", "unanswered")


@pytest.mark.parametrize("minutes", [0, 5, 12, 14])
def test_who_answers_is_asked_no_more_and_nobody_else_hears_of_it(minutes: int) -> None:
    desk = evening()
    desk.advance(minutes=1)
    desk.send_all()
    desk.advance(minutes=minutes)
    reply(desk)
    assert steps(desk)[-1] == ("paul", "started")
    desk.advance(hours=3)
    assert sent(desk, "OC-182") == sent(desk, "OC-183") == sent(desk, "RM-180") == []
    assert not any(m.phase == "queued" and m.template == "OCV-180" for m in desk.messages())
    (reached,) = [b for b in desk.bodies(f.PersonReached) if b.answer == "start_duty"]
    assert (reached.person, reached.proof) == ("paul", "reply:15")


def test_in_a_call_two_keys_start_the_duty_and_one_does_not() -> None:
    desk = evening()
    desk.advance(minutes=11)
    desk.send_all()
    (call,) = sent(desk, "OCV-180")
    desk.press(call, "1", "", "")
    assert steps(desk)[-1] == ("paul", "rung")
    desk.press(call, "1", "5")
    assert steps(desk)[-1] == ("paul", "started")
    assert desk.bodies(f.DutyMoved)[-1].proof == "key:5"


def test_who_answers_after_all_frees_who_stayed_on_and_the_manager_hears_it() -> None:
    desk = evening()
    desk.advance(minutes=20)
    assert chain(desk) == ["olga", "paul", "mary"]
    reply(desk)
    assert chain(desk) == ["paul", "mary"]
    assert [m.person for m in sent(desk, "OC-183")] == ["olga", "mary"]


def test_who_takes_an_alert_has_started() -> None:
    desk = evening(late_after=MINUTE)
    desk.plan(start=FIVE)
    desk.advance(minutes=2)
    desk.act("take", "paul")
    assert steps(desk)[-1] == ("paul", "started")
    assert desk.bodies(f.DutyMoved)[-1].proof == "person:paul"


def test_who_takes_no_texts_is_rung_at_once_and_who_has_no_telephone_does_not_start() -> None:
    desk = evening()
    desk.people.people["paul"] = structs.replace(
        desk.people.people["paul"], lines=(LineView(ref="l-paul", kind="landline"),)
    )
    desk.advance(minutes=1)
    assert asked(desk) == [(0, "paul", "call")]
    desk = evening()
    desk.people.people["paul"] = structs.replace(desk.people.people["paul"], lines=())
    desk.advance(minutes=1)
    assert desk.bodies(f.DutyMoved)[-1].reason == "no_line"
    assert [m.person for m in sent(desk, "OC-182")] == ["olga"]


def test_a_text_that_cannot_be_sent_is_followed_by_the_call_at_once() -> None:
    desk = evening()
    desk.advance(minutes=1)
    (text,) = sent(desk, "OC-7")
    desk.send(text)
    desk.deliver(text, "undelivered")
    assert asked(desk)[1:] == [(0, "paul", "call")]


def test_a_policy_of_seconds_asks_in_seconds() -> None:
    desk = evening(summon_next=timedelta(seconds=2))
    desk.advance(minutes=1, seconds=6)
    at_s = [(m.intended_at - FIVE).total_seconds() for m in desk.messages() if m.person == "paul"]
    assert at_s == [0, 4, 5]
    assert steps(desk)[-1] == ("paul", "unanswered")


# --- the chain ---


def over(step: Any, person: str = "b", outgoing: str | None = "a", until: datetime | None = None) -> HandOver:
    return HandOver(person=person, began_at=FIVE, step=step, outgoing=outgoing, until=until)


@pytest.mark.parametrize(
    ("before", "hand_overs", "after"),
    [
        ("b m", [], "b m"),
        ("b m", [over("asked")], "b a m"),
        ("b m", [over("rung_again")], "b a m"),
        ("b m", [over("unanswered")], "a b m"),
        ("b m", [over("started")], "b m"),
        ("b m", [over("not_asked")], "b m"),
        ("b m", [over("unanswered", outgoing=None)], "b m"),
        ("b m", [over("unanswered", outgoing="m")], "m b"),
        ("b c m", [over("unanswered", "c")], "b a c m"),
        ("b c m", [over("unanswered"), over("unanswered", "c")], "b a c m"),
        ("c m", [over("unanswered")], "c m"),
        ("b m", [over("unanswered", until=FIVE)], "b m"),
        ("b m", [over("unanswered", until=FIVE + timedelta(microseconds=1))], "a b m"),
    ],
)
def test_who_stays_on_is_summoned_before_who_is_silent_and_both_are_in_the_chain(
    before: str, hand_overs: list[HandOver], after: str
) -> None:
    assert on_call.in_order(tuple(before.split()), hand_overs, FIVE) == tuple(after.split())


def test_an_alert_while_the_incoming_person_is_asked_summons_them_first_and_the_outgoing_one_next() -> None:
    desk = evening(late_after=MINUTE, public="off")
    desk.plan(start=FIVE)
    desk.advance(minutes=2)
    assert chain(desk) == ["paul", "olga", "mary"]
    desk.advance(minutes=16)
    assert chain(desk) == ["olga", "paul", "mary"]


def test_a_silent_night_after_a_silent_night_is_kept_by_who_was_there_last() -> None:
    desk = Desk(FIVE - timedelta(minutes=1), duty=TWO)
    desk.people.people["anna"] = PersonView(ref="anna", role="staff", lines=(LineView(ref="l-anna"),))
    desk.advance(days=4, hours=16, minutes=20)  # Saturday, 09:19: paul was silent each night, now anna is
    assert chain(desk) == ["olga", "anna", "mary"]


# --- ends and edges ---


def test_with_the_end_of_the_duty_the_question_is_closed_and_the_list_holds_again() -> None:
    desk = evening()
    desk.advance(hours=16, minutes=1)
    assert steps(desk)[-1] == ("paul", "over")
    assert desk.state.values.hand_overs == {}
    assert not [q for q in desk.state.values.questions["l-paul"] if q.open]
    assert chain(desk) == ["olga", "mary"]


def test_the_roll_over_at_four_leaves_the_question_to_be_answered() -> None:
    desk = evening()
    desk.advance(minutes=1)
    desk.send_all()
    desk.deliver(sent(desk, "OC-7")[0], "delivered")
    desk.advance(hours=11)
    desk.tell(DayRolled(day=desk.now.date()))
    reply(desk)
    assert steps(desk)[-1] == ("paul", "started")


def test_a_desk_that_wants_it_so_asks_nobody() -> None:
    desk = evening(ask_duty=False)
    desk.advance(hours=40)
    assert (asked(desk), steps(desk)) == ([], [])


def test_after_a_stop_a_start_of_duty_that_is_long_past_is_noted_and_nobody_is_asked() -> None:
    for hours, expected in ((2.0, "asked"), (2.1, "not_asked")):
        desk = evening()
        desk.now = FIVE + timedelta(hours=hours)
        desk.advance()
        assert steps(desk) == [("paul", expected)]


def test_of_several_that_passed_while_we_were_down_the_last_one_is_asked_about() -> None:
    desk = evening()
    desk.now = FIVE + timedelta(days=2, minutes=5)
    desk.advance()
    assert steps(desk) == [("paul", "asked")]
    assert desk.bodies(f.DutyMoved)[0].began_at == FIVE + timedelta(days=2)


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("minutes", [0, 5, 11, 20])
def test_a_restart_goes_on_where_it_was(minutes: int, snapshot: bool) -> None:
    desk, other = evening(), evening()
    for one in (desk, other):
        one.advance(minutes=1 + minutes)
    desk.restart(snapshot=snapshot)
    for one in (desk, other):
        one.advance(hours=20)
    assert (asked(desk), steps(desk)) == (asked(other), steps(other))


def test_another_list_ends_what_the_old_one_has_begun() -> None:
    desk = evening()
    desk.advance(minutes=5)
    values = desk.state.values
    desk.tell(
        PolicyLoaded(
            policy=values.policy,
            duty=(DUTY[0], DUTY[2]),
            council_desks=values.council_desks,
            holidays=values.holidays,
            public=values.public,
        )
    )
    assert steps(desk)[-1] == ("paul", "over")
    assert desk.state.values.hand_overs == {}
