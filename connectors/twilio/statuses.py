"""Twilio's words for how a text or a call is doing, in ours."""

from __future__ import annotations

from typing import Literal

from monitor.core.inputs import CallStatus
from monitor.core.views import Channel

AnsweredBy = Literal["human", "machine", "unknown"]

_TEXT: dict[str, CallStatus] = {
    "accepted": "queued",
    "scheduled": "queued",
    "queued": "queued",
    "sending": "queued",
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    # some parts came and some did not: half a question is not a question
    "partially_delivered": "undelivered",
    "failed": "failed",
    "canceled": "canceled",
}

_CALL: dict[str, CallStatus] = {
    "queued": "queued",
    "initiated": "initiated",
    "ringing": "ringing",
    "in-progress": "in_progress",
    # the name of the event; some accounts send it as the status
    "answered": "in_progress",
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}


def status_of(channel: Channel, word: str | None) -> CallStatus | None:
    """Our status for Twilio's word on a text (`sms`) or a call, or None for a word that we do not know."""
    return (_TEXT if channel == "sms" else _CALL).get(word or "")


def answered_by(word: str | None) -> AnsweredBy | None:
    """Who picked up, as Twilio's detection labels it: a fax is a machine, any new word is `unknown`.

    None when nothing was said. Detection only labels; contact is a key pressed (design rule 5).
    """
    if not word:
        return None
    if word == "human":
        return "human"
    return "machine" if word == "fax" or word.startswith("machine") else "unknown"
