"""Texts that answered no question: they wait in a list until a named person has seen or answered them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import structs

from escalation.people import LineView, PersonView
from escalation.replies import read_reply
from monitor.core import facts as f
from monitor.core.desk import Decision
from monitor.core.inputs import DayRolled, TextsRead
from monitor.core.messages import AUTOMATIC_REPLIES
from monitor.core.state import Unread
from monitor.core.texts import OF_ONE, STRANGERS
from tests.core.driver import MONDAY, Desk

BUNDLE = 5
"""Minutes: a third of `ack_expires`."""


def write(desk: Desk, person: str, words: str) -> Decision:
    """A text as the edge reads it."""
    read = read_reply(words)
    return desk.text(
        person,
        read.code,
        word=read.word,
        number=read.number,
        door=read.door,
        against=read.against,
        thanks=read.thanks,
    )


def unknown(desk: Desk, line: str, words: str = "hello") -> Decision:
    return desk.text("", word=read_reply(words).word, line=line, persons=())


def waiting(desk: Desk) -> list[Unread]:
    return [one for one in desk.state.values.unread.values() if one.waits]


def told(desk: Desk) -> list[tuple[str, int]]:
    return [(m.person, m.count) for m in desk.messages("notice") if m.template == "OC-250"]


def read(desk: Desk, line: str, by: str = "paul", *, last: int | None = None) -> Decision:
    known = desk.state.values.unread.get(line)
    seen = last if last is not None else known.last if known is not None else 0
    return desk.tell(TextsRead(line=line, by=by, outcome="answered", last=seen))


def kin() -> Desk:
    """Ned is ed's next of kin, and a late visit of ed's stands open."""
    desk = Desk()
    desk.people.people["ed"] = structs.replace(desk.people.people["ed"], next_of_kin=("ned",))
    desk.plan()
    desk.advance(minutes=31)
    return desk


# --- whose words wait ---


@pytest.mark.parametrize(
    ("person", "words", "said"),
    [
        ("dee", "my car has broken down", "CW-250"),
        ("dee", "11", "CW-250"),
        ("ned", "is she back from the day centre", "NOK-250"),
        ("ned", "21", "NOK-250"),
        ("paul", "I am ill and cannot do tonight", "OC-26"),
    ],
)
def test_what_answers_no_question_waits_for_a_person_and_says_so(person: str, words: str, said: str) -> None:
    desk = Desk()
    assert write(desk, person, words).answer.template == said
    (one,) = waiting(desk)
    assert (one.persons, one.count) == ((person,), 1)
    assert not desk.alerts()


@pytest.mark.parametrize(
    ("person", "words"),
    [("dee", "ok thanks"), ("ned", "Thank you very much x"), ("paul", "61"), ("dee", "STOP")],
)
def test_thanks_a_mistyped_code_of_staff_and_stop_wait_for_nobody(person: str, words: str) -> None:
    desk = Desk()
    write(desk, person, words)
    assert not waiting(desk)


@pytest.mark.parametrize("words", ["help", "URGENT please ring me", "it is an emergency"])
@pytest.mark.parametrize("person", ["dee", "ned"])
def test_a_cry_for_help_does_not_wait_in_a_list(person: str, words: str) -> None:
    desk = Desk()
    write(desk, person, words)
    assert not waiting(desk)
    assert desk.alert("help_asked").worker == person


def test_not_urgent_is_no_cry_for_help() -> None:
    desk = Desk()
    write(desk, "dee", "not urgent, can somebody ring me tomorrow")
    assert not desk.alerts()
    assert len(waiting(desk)) == 1


def test_a_service_users_words_are_an_alert_of_their_own() -> None:
    desk = Desk()
    write(desk, "fay", "where is she")
    assert not waiting(desk)
    assert desk.alert("help_asked").reason == "free_text"


def test_several_texts_of_one_line_are_one_entry_that_counts_them() -> None:
    desk = Desk()
    for number in range(7):
        write(desk, "dee", f"first this and then that {number}")
        desk.advance(seconds=10)
    (one,) = waiting(desk)
    assert (one.count, one.first_at, len(one.words)) == (7, MONDAY, 5)
    answered = [body for body in desk.bodies(f.ReplyKept) if body.answered]
    assert len(answered) == AUTOMATIC_REPLIES


# --- words beside a code ---


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("13 my mother is in hospital", "cannot"),
        ("12 25 the road is closed", "on_my_way"),
        ("12 40 could not leave sooner", "on_my_way"),
        ("11 no problem", "there"),
    ],
)
def test_a_code_that_stands_is_taken_and_its_words_wait(words: str, answer: str) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=10)
    write(desk, "dee", words)
    assert [said.answer for said in desk.visit().said] == [answer]
    (one,) = waiting(desk)
    assert one.persons == ("dee",)


@pytest.mark.parametrize(
    "words", ["11 not there yet", "12 cannot make it", "11 nobody can be there", "11 pressed the wrong one"]
)
def test_words_that_deny_the_code_take_it_back_and_wait(words: str) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=10)
    assert write(desk, "dee", words).answer.template == "OC-70"
    assert not desk.visit().said
    assert len(waiting(desk)) == 1
    desk.send_all()
    desk.text("dee", "13")
    assert [said.answer for said in desk.visit().said] == ["cannot"], "the question is open still"


def test_a_code_without_words_waits_for_nobody() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=10)
    write(desk, "dee", "11 thanks")
    assert not waiting(desk)


def test_there_and_cannot_get_in_is_the_report_of_no_reply_at_that_very_visit() -> None:
    desk = Desk()
    desk.plan()
    desk.plan("v2", start=MONDAY + timedelta(minutes=10), service_user="fay")
    desk.advance(minutes=10)
    answer = write(desk, "dee", "11 cannot get in").answer
    assert (answer.template, answer.visit) == ("CW-231", "v1")
    assert desk.alert("no_reply").visit == "v1"


def test_a_door_beside_a_code_that_is_over_is_heard_all_the_same() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=10)
    desk.send_all()
    desk.check(service_user="ed")
    desk.check("leave", service_user="ed")
    desk.plan("v2", start=desk.now, service_user="fay")
    desk.advance(minutes=5)
    answer = write(desk, "dee", "11 cannot get in").answer
    assert (answer.template, answer.visit) == ("CW-231", "v2")


@pytest.mark.parametrize("code", ["13", "12 15"])
def test_cannot_get_there_and_cannot_get_in_contradict_and_a_person_rings_and_asks(code: str) -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=10)
    assert write(desk, "dee", f"{code} cannot get in").answer.template == "CW-232"
    assert (desk.alert("help_asked").worker, desk.alert("help_asked").reason) == ("dee", "at_door")
    assert not desk.visit().said
    desk.advance(minutes=20)
    assert desk.alert("late_visit").state == "open", "nothing was called off"


# --- who is told ---


def test_whoever_is_on_duty_is_told_of_all_that_gathered_in_one_text() -> None:
    desk = Desk()
    write(desk, "dee", "the tyre is flat")
    desk.advance(minutes=BUNDLE - 1)
    write(desk, "ned", "please ring me about thursday")
    assert told(desk) == []
    desk.advance(minutes=1)
    assert told(desk) == [("paul", 2)]


def test_the_next_text_waits_its_quarter_of_an_hour_and_what_waits_is_told_of_again() -> None:
    desk = Desk(now=MONDAY + timedelta(hours=2))
    write(desk, "dee", "the tyre is flat")
    desk.advance(minutes=BUNDLE)
    write(desk, "kit", "my phone is new")
    desk.advance(minutes=14)
    assert told(desk) == [("olga", 1)]
    desk.advance(minutes=1)
    assert told(desk) == [("olga", 1), ("olga", 2)]
    desk.advance(minutes=59)
    assert len(told(desk)) == 2
    desk.advance(minutes=1)
    assert told(desk)[2:] == [("olga", 2)]
    desk.advance(hours=20)
    assert len(told(desk)) == 3, "not again before the next morning"
    desk.advance(hours=4)
    assert len(told(desk)) == 4


def test_by_night_a_new_text_is_told_of_and_an_old_one_waits_for_the_morning() -> None:
    desk = Desk(now=MONDAY + timedelta(hours=14, minutes=30))
    write(desk, "dee", "the tyre is flat")
    desk.advance(minutes=BUNDLE)
    assert len(told(desk)) == 1
    desk.advance(hours=1)
    assert len(told(desk)) == 1
    assert desk.bodies(f.TextsTold)[-1].reason == "night"
    desk.advance(hours=10)
    assert len(told(desk)) == 2


def test_nobody_is_told_of_their_own_words() -> None:
    desk = Desk()
    write(desk, "paul", "I am ill and cannot do tonight")
    desk.advance(minutes=BUNDLE)
    assert told(desk) == [("mary", 1)]


def test_what_was_read_meanwhile_is_told_to_nobody() -> None:
    desk = Desk()
    write(desk, "dee", "the tyre is flat")
    desk.advance(minutes=BUNDLE)
    assert read(desk, "l-dee").refusal is None
    assert desk.send_all() == []
    (message,) = [m for m in desk.messages("notice") if m.template == "OC-250"]
    assert (message.result, message.reason) == ("cancelled", "read")
    desk.advance(hours=30)
    assert len(told(desk)) == 1


def test_while_an_alert_is_open_that_concerns_them_its_holder_is_told_at_once() -> None:
    desk = kin()
    desk.act("take", "mary")
    write(desk, "ned", "she is not picking up, I am worried")
    (message,) = [m for m in desk.messages() if m.template == "OC-251"]
    assert (message.person, message.about, message.alert) == ("mary", "ned", desk.alert().ref)
    assert desk.bodies(f.ReplyKept)[-1].told
    assert len(waiting(desk)) == 1
    desk.advance(minutes=BUNDLE)
    assert told(desk) == []


def test_a_next_of_kin_of_somebody_else_waits_in_the_list_alone() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    write(desk, "ned", "please ring me")
    assert not [m for m in desk.messages() if m.template == "OC-251"]
    assert len(waiting(desk)) == 1


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_restart_forgets_nothing_of_it(snapshot: bool) -> None:
    desk = Desk()
    write(desk, "dee", "the tyre is flat")
    desk.restart(snapshot=snapshot)
    desk.advance(minutes=BUNDLE)
    assert told(desk) == [("paul", 1)]
    desk.restart(snapshot=snapshot)
    assert read(desk, "l-dee").refusal is None
    assert not waiting(desk)


# --- a person has read them ---


def test_who_is_second_hears_who_was_first_and_what_comes_after_it_waits_anew() -> None:
    desk = Desk()
    write(desk, "dee", "the tyre is flat")
    assert read(desk, "l-dee", "olga").refusal is None
    (seen,) = desk.bodies(f.TextsSeen)
    assert (seen.by, seen.outcome) == ("olga", "answered")
    refusal = read(desk, "l-dee", "mary").refusal
    assert refusal is not None
    assert (refusal.code, refusal.detail) == ("already_seen", {"by": "olga", "at": MONDAY})
    write(desk, "dee", "and now the other one")
    (one,) = waiting(desk)
    assert one.count == 1


def test_who_has_not_seen_the_newest_of_them_has_not_seen_them() -> None:
    desk = Desk()
    write(desk, "dee", "the tyre is flat")
    shown = waiting(desk)[0].last
    write(desk, "dee", "and I am hurt a little")
    refusal = read(desk, "l-dee", last=shown).refusal
    assert refusal is not None
    assert refusal.code == "wrote_again"
    assert len(waiting(desk)) == 1
    refusal = read(desk, "l-kit").refusal
    assert refusal is not None
    assert refusal.code == "not_found"


# --- a line by which nobody is known ---


def test_a_stranger_gets_no_answer_summons_nobody_and_stands_in_the_list() -> None:
    desk = Desk()
    assert unknown(desk, "l-x", "URGENT you have won").answer is None
    assert [(one.persons, one.count) for one in waiting(desk)] == [((), 1)]
    desk.advance(hours=8)
    assert desk.messages() == []
    assert desk.alerts() == []
    assert desk.bodies(f.TextsTold) == []


def test_of_one_stranger_and_of_all_strangers_only_so_much_is_kept() -> None:
    desk = Desk()
    for _ in range(OF_ONE + 5):
        unknown(desk, "l-x0")
    for number in range(1, STRANGERS + 5):
        unknown(desk, f"l-x{number}")
    assert len(waiting(desk)) == STRANGERS
    assert desk.state.values.unread["l-x0"].count == OF_ONE
    assert len(desk.bodies(f.ReplyKept)) == OF_ONE + STRANGERS - 1
    write(desk, "dee", "the tyre is flat")
    assert "l-dee" in desk.state.values.unread, "a full list of strangers hides nobody whom we know"
    read(desk, "l-x0")
    unknown(desk, "l-late")
    assert "l-late" in desk.state.values.unread


def test_a_text_of_a_stranger_that_is_handed_over_twice_counts_once() -> None:
    desk = Desk()
    for _ in range(2):
        desk.text("", word="other", line="l-x", persons=(), fingerprint=7)
    assert waiting(desk)[0].count == 1


def test_after_a_week_strangers_are_forgotten_and_after_a_day_what_was_answered() -> None:
    desk = Desk()
    unknown(desk, "l-x")
    write(desk, "dee", "the tyre is flat")
    write(desk, "kit", "mine too")
    read(desk, "l-kit")
    for day in range(1, 9):
        desk.advance(days=1, minutes=1)
        desk.tell(DayRolled(day=(MONDAY + timedelta(days=day)).date()))
    assert list(desk.state.values.unread) == ["l-dee"]


def test_a_line_that_a_stranger_had_and_somebody_has_now_is_theirs() -> None:
    desk = Desk()
    unknown(desk, "l-zoe")
    view = PersonView(ref="zoe", role="contact", lines=(LineView(ref="l-zoe"),))
    desk.people.people["zoe"] = view
    write(desk, "zoe", "it is me, zoe")
    (one,) = waiting(desk)
    assert (one.persons, one.count) == (("zoe",), 2)
