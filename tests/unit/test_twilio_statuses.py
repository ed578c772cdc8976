"""Twilio's vocabulary in ours."""

from __future__ import annotations

import pytest

from connectors.twilio.statuses import answered_by, status_of


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("accepted", "queued"),
        ("scheduled", "queued"),
        ("queued", "queued"),
        ("sending", "queued"),
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("read", "delivered"),
        ("undelivered", "undelivered"),
        ("partially_delivered", "undelivered"),
        ("failed", "failed"),
        ("canceled", "canceled"),
        ("in-progress", None),
        ("", None),
        (None, None),
    ],
)
def test_every_word_for_a_text(word: str | None, ours: str | None) -> None:
    assert status_of("sms", word) == ours


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("queued", "queued"),
        ("initiated", "initiated"),
        ("ringing", "ringing"),
        ("in-progress", "in_progress"),
        ("answered", "in_progress"),
        ("completed", "completed"),
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("canceled", "canceled"),
        ("failed", "failed"),
        ("delivered", None),
        ("no_answer", None),
        (None, None),
    ],
)
def test_every_word_for_a_call(word: str | None, ours: str | None) -> None:
    assert status_of("call", word) == ours


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("human", "human"),
        ("machine_start", "machine"),
        ("machine_end_beep", "machine"),
        ("machine_end_silence", "machine"),
        ("machine_end_other", "machine"),
        ("fax", "machine"),
        ("unknown", "unknown"),
        ("a word of next year", "unknown"),
        ("", None),
        (None, None),
    ],
)
def test_who_picked_up(word: str | None, ours: str | None) -> None:
    assert answered_by(word) == ours
