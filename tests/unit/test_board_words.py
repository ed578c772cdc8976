"""What the board and an alert's page say in their first lines: who, what, and no raw word of the machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.board import words
from monitor.core.desk import reasons_for
from monitor.core.facts import KINDS as FACTS
from monitor.core.views import AlertKind, RecordLine, TrackView
from monitor.reads import Reads
from tests.unit.test_words import NOW, Story


def about(**alert: Any) -> Any:
    """The board's alert of these words."""
    story = Story()
    by = alert.pop("by", None)
    story.alert(visit=None, worker=story.ref(by) if by else None, **alert)
    return Reads(story.state, story.directory).board_alert(story.state.values.alerts["a1"], NOW)


@pytest.mark.parametrize(
    ("by", "name"),
    [("cw-1", "Dee Vale"), ("kin", "Tom Rushbrook"), ("st-1", "Pat Moss"), (None, "Edna Rushbrook")],
)
def test_the_first_line_says_who_asks_for_help_whoever_they_are(by: str | None, name: str) -> None:
    more = {"service_user": None} if by else {}
    one = about(kind="help_asked", reason="help", by=by, **more)
    assert one.who == name
    assert one.alert.person == (by or "SU-7")
    assert (one.alert.service_user is None) == (by is not None)


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        ("incident", "stopped_texts", "wants no more texts from us"),
        ("incident", "several_late", "several visits, one cause"),
        ("help_asked", "help", "asked for help"),
        ("help_asked", "at_door", "writes of a door that nobody opens"),
        ("help_asked", "caller_help", "asked for help"),
        ("help_asked", "caller_rang", "rang us and reached nobody"),
        ("help_asked", "caller_unrecorded", "rang to check in, and it could not be recorded"),
        ("no_reply", "", "no reply at the door"),
    ],
)
def test_the_heading_says_what_it_is_about(kind: AlertKind, reason: str, said: str) -> None:
    assert words.kind(about(kind=kind, reason=reason).alert) == said


def test_a_stop_is_about_who_sent_it() -> None:
    assert about(kind="incident", reason="stopped_texts").alert.person == "SU-7"


def test_nobody_is_named_for_what_nobody_said() -> None:
    assert about(kind="no_reply", by="cw-1").alert.person is None


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_no_line_of_a_record_is_the_raw_name_of_a_fact(kind: str) -> None:
    (line,) = words.record([RecordLine(seq=1, at=NOW, kind=kind, subject="a1")], {}) or [None]
    if line is not None:
        assert re.search("[a-z][A-Z]", line.what) is None


def test_a_track_that_rests_for_its_cause_says_so_in_plain_words() -> None:
    track = TrackView(name="summon", step="skipped", next_at=None, reason="in_incident")
    assert words.stands(track) == "told of it by the alert of its cause"
    other = TrackView(name="locate", step="not_reached", next_at=None, reason="no_line")
    assert words.stands(other) == "not reached, no line"


@pytest.mark.parametrize(
    ("kind", "reason", "over"),
    [
        ("rota", "rows_not_watched", "rows of the rota not watched"),
        ("incident", "stopped_texts", "no more texts"),
    ],
)
def test_what_is_over_is_named_and_who_said_so(kind: AlertKind, reason: str, over: str) -> None:
    story = Story()
    story.alert(
        kind=kind,
        reason=reason,
        visit=None,
        service_user=None,
        state="ended",
        ended_reason="outcome_recorded",
    )
    said = story.text("OC-29", "cw-1", "stand_down", visit=None, about="st-1")
    assert over in said
    assert "outcome recorded by Pat" in said


@pytest.mark.parametrize("kind", AlertKind.__args__)  # type: ignore[attr-defined]
def test_of_the_outcomes_that_have_words_exactly_those_are_offered_that_are_accepted(kind: AlertKind) -> None:
    more = {"placement": "k1", "reason": "unplaced"} if kind == "placement" else {}
    offered = set(words.close_reasons(about(kind=kind, **more).alert))
    assert offered == set(reasons_for(kind)) & set(words.CLOSE_REASONS)
    assert offered


@pytest.mark.parametrize("reason", ["undecided", "unconfirmed"])
def test_a_package_that_waits_for_a_decision_is_offered_no_outcome(reason: str) -> None:
    assert words.close_reasons(about(kind="placement", placement="k1", reason=reason).alert) == {}


def test_the_board_knows_who_lives_alone() -> None:
    assert about().lives_alone
    assert not about(service_user=None).lives_alone


def test_a_telephone_is_rung_and_a_text_is_sent() -> None:
    rung = RecordLine(
        seq=1, at=NOW, kind="MessageAttempted", subject="m1", channel="call", result="attempted"
    )
    sent = RecordLine(seq=2, at=NOW, kind="MessageAttempted", subject="m2", channel="sms", result="attempted")
    assert [line.result for line in words.record([rung, sent], {})] == ["being sent", "being rung"]


def test_the_record_says_what_a_clock_said_that_is_not_believed() -> None:
    said = datetime(2030, 1, 1, 10, tzinfo=UTC)
    arrived = RecordLine(seq=1, at=NOW, kind="ArrivalRecorded", subject="v1", proof="pressed", said_at=said)
    seen = RecordLine(
        seq=2, at=NOW, kind="CheckInRecorded", subject="v1", result="clock_doubtful", said_at=said
    )
    above, below = words.record([arrived, seen], {})
    assert (above.result, above.said_at) == ("clock doubtful", said)
    assert (below.result, below.said_at) == ("the time at which it reached us was taken", said)


@pytest.mark.parametrize(
    ("at", "words_"),
    [
        (datetime(2030, 7, 1, 9, 5, tzinfo=UTC), "Mon 1 Jul 2030, 10:05"),
        (datetime(1, 1, 1, tzinfo=UTC), "Mon 1 Jan 1, 00:00"),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), "Fri 31 Dec 9999, 23:59"),
    ],
)
def test_a_clock_s_own_time_is_shown_with_its_year_whatever_it_is(at: datetime, words_: str) -> None:
    assert words.dated(at, "Europe/London") == words_
