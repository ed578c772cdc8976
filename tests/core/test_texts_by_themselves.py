"""Texts that answer no question of ours and must reach a person: HELP from anybody, a door that nobody opens, STOP."""

from __future__ import annotations

from datetime import timedelta

import pytest

from escalation.replies import QUESTIONS, read_reply
from monitor.core.facts import AlertRaised
from tests.core.driver import MONDAY, Desk

MINUTE = timedelta(minutes=1)


# --- HELP ---


@pytest.mark.parametrize(
    ("person", "words"),
    [("dee", "CW-230"), ("paul", "OC-230"), ("ned", "NOK-230"), ("fay", "SU-11")],
)
@pytest.mark.parametrize("asked", [False, True], ids=["nothing asked", "a question open"])
def test_who_texts_help_is_told_that_a_person_rings_them(person: str, words: str, asked: bool) -> None:
    desk = Desk()
    if asked:
        desk.plan(service_user="ed")
        desk.advance(minutes=31)
    assert desk.text(person, word="help").answer.template == words
    raised = [body for body in desk.bodies(AlertRaised) if body.kind == "help_asked"]
    assert [body.worker or body.service_user for body in raised] == [person]


def test_help_beside_the_question_whether_they_are_all_right_is_answered_too() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=30)
    desk.text("dee", f"{desk.messages('locate', 'dee')[0].slot}3")
    assert desk.text("dee", word="help").answer.template == "CW-230"


# --- a door that nobody opens ---


@pytest.mark.parametrize(
    ("words", "door"),
    [
        ("cannot get in", True),
        ("Can't get in, tried the bell", True),
        ("I am at u5 and nobody opens the door", True),
        ("no one is answering the door", True),
        ("no reply at the door", True),
        ("Door is bolted", True),
        ("unable to gain access", True),
        ("cannot get in touch with the office", False),
        ("cannot get in till the bus comes", False),
        ("cannot get there", False),
        ("running 10 mins late", False),
        ("12 15", False),
        ("", False),
    ],
)
def test_what_says_that_nobody_opens(words: str, door: bool) -> None:
    assert read_reply(words).door is door


def test_of_a_door_at_the_one_visit_they_can_be_at_it_is_the_report_of_no_reply() -> None:
    desk = Desk()
    desk.plan()
    desk.plan("v2", start=MONDAY + 90 * MINUTE, service_user="fay")
    desk.advance(minutes=5)
    answer = desk.text("dee", word="other", door=True).answer
    assert (answer.template, answer.visit) == ("CW-231", "v1")
    assert (desk.alert("no_reply").visit, desk.alert("no_reply").worker) == ("v1", "dee")
    assert desk.visit("v1").at_door


def test_a_door_written_of_after_the_alert_stops_the_search_like_any_other_report() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.text("dee", word="other", door=True)
    where = desk.alert("late_visit").track("locate")
    assert where is not None
    assert where.reason == "at_door"


@pytest.mark.parametrize("visits", [0, 2])
def test_where_it_may_be_any_of_several_doors_or_none_a_person_rings_them(visits: int) -> None:
    desk = Desk()
    for number in range(visits):
        desk.plan(f"v{number}", service_user=("ed", "fay")[number])
    assert desk.text("dee", word="other", door=True).answer.template == "CW-232"
    assert (desk.alert("help_asked").worker, desk.alert("help_asked").reason) == ("dee", "at_door")
    assert not desk.alerts("no_reply")


def test_a_door_of_which_a_service_user_writes_is_free_text_like_any_other() -> None:
    desk = Desk()
    assert desk.text("fay", word="other", door=True).answer.template == "SU-11"
    assert desk.alert("help_asked").reason == "free_text"


# --- STOP, and who ended it ---


def test_the_alarm_about_stop_can_be_taken_by_its_code() -> None:
    desk = Desk()
    desk.text("fay", word="stop")
    (asked,) = desk.messages("summon", "paul")
    assert asked.template == "OC-30"
    assert QUESTIONS["OC-30"][1] == "take"
    desk.text("paul", f"{asked.slot}1")
    assert desk.alert("incident").taken_by == "paul"
    before = len(desk.messages("summon"))
    desk.advance(minutes=14)
    assert len(desk.messages("summon")) == before


def test_who_is_told_that_it_is_over_hears_who_has_ended_it() -> None:
    desk = Desk()
    desk.plan()
    desk.advance(minutes=31)
    desk.send_all()
    desk.act("close", "mary", reason="visit_made")
    (over,) = [message for message in desk.messages("stand_down") if message.template == "OC-29"]
    assert (over.person, over.about) == ("paul", "mary")
