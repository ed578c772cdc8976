"""The answerphone: the alert stands before the tone, and rings whatever becomes of the words (clause 4.6.6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.policy import Duty
from monitor.core import facts as f
from monitor.core.inputs import AnswerphoneBegins, AnswerphoneHeard, CallerWaits
from monitor.core.state import Alert
from tests.core.driver import NOWHERE, Desk

CHAIN = (
    *(Duty(person=who, role="on_call", hours="daily 00:00-24:00") for who in ("olga", "paul", "dee", "kit")),
    Duty(person="mary", role="manager", hours="otherwise"),
)
NIGHT = datetime(2026, 11, 24, 3, tzinfo=UTC)


def rings(desk: Desk, *, service_user: str | None = None, line: str | None = "l-nora") -> Any:
    return desk.tell(CallerWaits(why="rang", service_user=service_user, line=line)).answer


def nobody_came(desk: Desk, **caller: Any) -> Alert:
    """The alert under which the message is kept."""
    offer = desk.tell(AnswerphoneBegins(alert=rings(desk, **caller).alert, call=NOWHERE)).answer
    return desk.state.values.alerts[offer.alert]


def says(desk: Desk, alert: Alert, fingerprint: int = 1, seconds: int = 9) -> None:
    words = AnswerphoneHeard(alert=alert.ref, recording=NOWHERE, fingerprint=fingerprint, seconds=seconds)
    desk.tell(words)


def called(desk: Desk, since: int = 0) -> list[tuple[str, str]]:
    """Who is rung with which words, in order."""
    sent = desk.bodies(f.MessageIntended)[since:]
    return [(m.person, m.template) for m in sent if m.channel == "call"]


@pytest.mark.parametrize(
    ("clock", "rung"),
    [
        ("05:59", ["olga", "paul", "dee"]),
        ("06:00", ["olga", "paul", "dee", "mary"]),
        ("21:59", ["olga", "paul", "dee", "mary"]),
        ("22:00", ["olga", "paul", "dee"]),
    ],
)
def test_from_six_to_ten_the_registered_manager_is_rung_before_any_tone(clock: str, rung: list[str]) -> None:
    hour, minute = map(int, clock.split(":"))
    desk = Desk(datetime(2026, 11, 24, hour, minute, tzinfo=UTC), duty=CHAIN)
    assert [one.person for one in rings(desk).rungs] == rung


def test_nobody_is_rung_while_the_caller_speaks_and_the_chain_when_they_have() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk)
    assert alert.kind == "message"
    desk.advance(minutes=3, seconds=59)
    assert called(desk) == []
    says(desk, alert)
    assert called(desk) == [("olga", "OCV-130")]
    assert desk.state.values.alerts[alert.ref].recordings[-1].seconds == 9


def test_unanswered_it_goes_on_to_the_registered_manager() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    says(desk, nobody_came(desk))
    desk.advance(minutes=21)
    assert [who for who, _ in called(desk)] == ["olga", "paul", "dee", "kit", "mary"]


@pytest.mark.parametrize(
    "caller", [{"service_user": "ed", "line": "l-ed"}, {"line": "l-ed"}], ids=["known", "line"]
)
def test_from_the_line_of_a_service_user_it_is_help_and_everybody_is_rung(caller: dict[str, Any]) -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk, **caller)
    assert alert.kind == "help_asked"
    says(desk, alert)
    assert [who for who, _ in called(desk)] == ["olga", "paul", "dee", "kit", "mary"]


def test_the_alert_of_a_stranger_who_was_put_through_ends_as_part_of_the_message() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk)
    (before,) = desk.alerts("help_asked")
    assert (before.state, before.ended_reason) == ("ended", "merged")
    assert (alert.line, alert.reason) == ("l-nora", "caller_rang")


def test_nothing_heard_of_it_rings_the_chain_at_its_time_and_says_so() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk)
    desk.advance(minutes=4, seconds=1)
    assert called(desk) == [("olga", "OCV-130")]
    assert [one.came for one in desk.bodies(f.AnswerphoneEnded)] == ["unknown"]
    says(desk, alert)
    assert [one.came for one in desk.bodies(f.AnswerphoneEnded)] == ["unknown", "words"]


def test_not_a_word_rings_the_chain_too_and_soon() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk)
    desk.tell(AnswerphoneHeard(alert=alert.ref, last=False))
    assert called(desk) == []
    desk.advance(seconds=21)
    assert called(desk) == [("olga", "OCV-130")]


def test_who_has_said_nothing_twice_rings_the_chain_at_once() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk)
    desk.tell(AnswerphoneHeard(alert=alert.ref))
    assert called(desk) == [("olga", "OCV-130")]
    assert [one.came for one in desk.bodies(f.AnswerphoneEnded)] == ["nothing"]


def test_told_twice_it_counts_once_and_another_message_counts_again() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk)
    says(desk, alert, 7)
    before = len(desk.facts)
    says(desk, alert, 7)
    assert len(desk.facts) == before
    says(desk, alert, 8)
    assert len(desk.bodies(f.AnswerphoneEnded)) == 2


def test_words_about_an_alert_that_has_ended_raise_a_new_one() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    alert = nobody_came(desk)
    desk.act("close", "mary", alert=alert, reason="other")
    says(desk, alert)
    new = desk.alerts("message")[-1]
    assert (new.ref != alert.ref, new.state) == (True, "open")
    assert new.recordings[-1].came == "words"
    says(desk, alert)
    assert len(desk.alerts("message")) == 2


def test_who_has_it_already_is_told_and_rung_alone() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    first = nobody_came(desk)
    says(desk, first)
    desk.act("take", "paul", alert=desk.state.values.alerts[first.ref])
    before = len(desk.bodies(f.MessageIntended))
    desk.now += timedelta(minutes=1)
    again = nobody_came(desk)
    assert again.ref == first.ref
    says(desk, again, 2)
    assert called(desk, before) == [("paul", "OCV-130")]


def test_with_nobody_on_duty_the_message_waits_for_somebody_and_is_never_done() -> None:
    desk = Desk(NIGHT, duty=())
    alert = nobody_came(desk)
    says(desk, alert)
    track = desk.state.values.alerts[alert.ref].track("summon")
    assert track is not None
    assert (track.step, track.reason) == ("trying", "nobody_on_duty")
    assert track.next_at is not None


def test_a_restart_in_the_middle_forgets_neither_the_caller_nor_the_moment() -> None:
    desk = Desk(NIGHT, duty=CHAIN)
    nobody_came(desk)
    desk.restart(snapshot=False)
    desk.advance(minutes=5)
    assert called(desk) == [("olga", "OCV-130")]
