"""The words of a call, and the answer to a text, as Twilio reads them (TwiML).

What is asked, and which keys are named, comes from the Script alone. This file adds no question.
"""

from __future__ import annotations

from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import Gather, VoiceResponse

from monitor.core.views import Record, Script

VOICE = "Polly.Amy-Neural"
"""British English; slowed to 90%, because the listener may be old and just out of bed."""

SORRY = "I am sorry to keep you. Somebody will ring you in a few minutes. In an emergency, dial 9 9 9."
"""wording.md, SUV-1: what is said when nobody is free. Also when the daemon cannot go on: never dead air."""

ONE_MOMENT = "One moment, please."
SILENCE_S = 10
"""So much silence ends a message: somebody old, or who weeps, draws breath for longer than the five seconds that Twilio
would give them."""
DIAL_RING_S = 25

_UNSPEAKABLE = {code: None for code in range(32) if code not in (9, 10, 13)}


def call_twiml(
    script: Script,
    *,
    action_url: str | None = None,
    after_dial_url: str | None = None,
    asked_first_url: str | None = None,
    recorded_url: str | None = None,
    play_url: str | None = None,
    opening: bool = False,
) -> str:
    """One step of a call: say, then wait for one key, join to a number, record, or end.

    The key (or "" after `wait_s` of silence) goes to `action_url`. `opening` puts a second of silence first
    (wording.md 2), outside of the Gather: a key leant on while picking up must not answer a question that nobody
    has heard yet.
    """
    response = VoiceResponse()
    if opening:
        response.pause(length=1)
    if script.keys and action_url is not None:
        _say_all(_gather(response, script, action_url), script, play_url)
        return str(response)
    _say_all(response, script, play_url)
    if script.record is not None and action_url is not None:
        _record(response, script.record, action_url, recorded_url)
    if script.room is not None:
        _confer(response, script.room, action_url)
    elif script.hold_s is not None and action_url is not None:
        response.pause(length=script.hold_s)
        response.redirect(action_url, method="POST")
    if script.dial is not None:
        _dial(response, script.dial, script.dial_from, after_dial_url, asked_first_url)
    if script.hang_up:
        response.hangup()
    return str(response)


def _say_all(parent: VoiceResponse | Gather, script: Script, play_url: str | None) -> None:
    _say(parent, script.say)
    if script.play is not None and play_url is not None:
        parent.play(play_url)
    _say(parent, script.then)


def _record(response: VoiceResponse, asked: Record, action_url: str, recorded_url: str | None) -> None:
    """The answerphone. What was spoken comes back to `action_url` when the caller has finished or has gone, and to
    `recorded_url` once it can be played. Of an empty recording Twilio says nothing there: the next verb does."""
    response.record(
        action=action_url,
        method="POST",
        max_length=asked.longest_s,
        timeout=SILENCE_S,
        finish_on_key="#",
        play_beep=True,
        # a faint voice is no silence
        trim="do-not-trim",
        recording_status_callback=recorded_url,
        recording_status_callback_method="POST",
        recording_status_callback_event="completed absent",
    )
    response.redirect(action_url, method="POST")


def _dial(
    response: VoiceResponse,
    number: str,
    shown: str | None,
    after_url: str | None,
    asked_first_url: str | None,
) -> None:
    """Ring somebody for the caller. With `asked_first_url` they hear that document and are joined when it ends; a
    mail box hears it too, presses nothing, and is hung up on by it."""
    if asked_first_url is None:
        response.dial(number, timeout=DIAL_RING_S, action=after_url, method="POST", caller_id=shown)
        return
    dial = response.dial(timeout=DIAL_RING_S, action=after_url, method="POST", caller_id=shown)
    dial.number(number, url=asked_first_url, method="POST")


def _confer(response: VoiceResponse, room: str, action_url: str | None) -> None:
    """Two lines and no more: when one goes, the other comes back to `action_url`. No music of Twilio's, no beep that
    would frighten somebody who has fallen."""
    dial = response.dial(action=action_url, method="POST")
    dial.conference(
        room,
        beep="false",
        start_conference_on_enter=True,
        end_conference_on_exit=True,
        max_participants=2,
        wait_url="",
    )


def wait_twiml(url: str, pause_s: int = 1) -> str:
    """The desk is slow: say so and come back to `url`."""
    response = VoiceResponse()
    _say(response, (ONE_MOMENT,))
    response.pause(length=pause_s)
    response.redirect(url, method="POST")
    return str(response)


def sorry_twiml(words: str = SORRY) -> str:
    """Say politely that somebody will ring, and end the call."""
    response = VoiceResponse()
    _say(response, (words,))
    response.hangup()
    return str(response)


def hangup_twiml() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def sms_twiml(reply: str | None) -> str:
    """Answer a text with a text, or with nothing."""
    response = MessagingResponse()
    if reply:
        response.message(_clean(reply))
    return str(response)


def _gather(response: VoiceResponse, script: Script, action_url: str) -> Gather:
    return response.gather(
        input="dtmf",
        num_digits=script.digits,
        timeout=script.wait_s,
        # "#" ends a number; where one key is awaited it would arrive as no digit at all, like silence
        finish_on_key="#" if script.digits > 1 else "",
        action=action_url,
        method="POST",
        # without it silence would fall through to the next verb and the desk would never hear of it
        action_on_empty_result=True,
    )


def _say(parent: VoiceResponse | Gather, sentences: tuple[str, ...]) -> None:
    for sentence in sentences:
        parent.say("", voice=VOICE, language="en-GB").prosody(_clean(sentence), rate="90%")


def _clean(text: str) -> str:
    """XML 1.0 has no control characters; one in a name would make Twilio refuse the whole document."""
    return text.translate(_UNSPEAKABLE)
