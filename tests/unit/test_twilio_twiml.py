"""The words of a call as Twilio reads them, to the letter."""

from __future__ import annotations

from connectors.twilio import twiml
from monitor.core.views import Record, Script

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def say(words: str) -> str:
    return f'<Say language="en-GB" voice="Polly.Amy-Neural"><prosody rate="90%">{words}</prosody></Say>'


def test_a_question_waits_for_one_key_and_reports_silence() -> None:
    script = Script(
        say=("If you are all right, press 1.", "If not, press 2."), keys=True, step="ask", wait_s=6
    )
    assert twiml.call_twiml(script, action_url="https://h.example/twilio/voice/m-1?step=ask&turn=1") == (
        f'{HEAD}<Response><Gather action="https://h.example/twilio/voice/m-1?step=ask&amp;turn=1" '
        'actionOnEmptyResult="true" finishOnKey="" input="dtmf" method="POST" numDigits="1" timeout="6">'
        f"{say('If you are all right, press 1.')}{say('If not, press 2.')}</Gather></Response>"
    )


def test_a_call_opens_with_a_second_of_silence_outside_of_the_question() -> None:
    script = Script(say=("Hello.",), keys=True, step="ask")
    opened = twiml.call_twiml(script, action_url="https://h.example/x", opening=True)
    assert opened.startswith(f'{HEAD}<Response><Pause length="1" /><Gather ')


def test_a_last_word_is_said_and_the_call_ends() -> None:
    assert twiml.call_twiml(Script(say=("Thank you. Goodbye.",))) == (
        f"{HEAD}<Response>{say('Thank you. Goodbye.')}</Response>"
    )


def test_a_caller_is_joined_to_a_number_and_comes_back_if_nobody_is_there() -> None:
    script = Script(say=("I am putting you through.",), dial="+441632960100")
    assert twiml.call_twiml(script, after_dial_url="https://h.example/twilio/voice?after=dial") == (
        f"{HEAD}<Response>{say('I am putting you through.')}"
        '<Dial action="https://h.example/twilio/voice?after=dial" method="POST" timeout="25">+441632960100</Dial>'
        "</Response>"
    )


def test_a_slow_desk_keeps_the_caller_on_the_line() -> None:
    assert twiml.wait_twiml("https://h.example/twilio/voice/m-1?again=1") == (
        f"{HEAD}<Response>{say('One moment, please.')}"
        '<Pause length="1" /><Redirect method="POST">https://h.example/twilio/voice/m-1?again=1</Redirect></Response>'
    )


def test_when_the_daemon_cannot_go_on_the_caller_is_told_that_somebody_will_ring() -> None:
    assert twiml.sorry_twiml() == (
        f"{HEAD}<Response>"
        + say("I am sorry to keep you. Somebody will ring you in a few minutes. In an emergency, dial 9 9 9.")
        + "<Hangup /></Response>"
    )


def test_what_this_file_says_of_its_own_asks_nothing_and_names_no_key() -> None:
    for words in (twiml.SORRY, twiml.ONE_MOMENT):
        assert "?" not in words
        assert "press" not in words


def test_names_cannot_break_the_document() -> None:
    script = Script(say=('<b>O"Hara</b> & S\u00f8n\x0b\x00',))
    assert say('&lt;b&gt;O"Hara&lt;/b&gt; &amp; S\u00f8n') in twiml.call_twiml(script)


def test_a_text_is_answered_with_a_text_or_with_nothing() -> None:
    assert twiml.sms_twiml("Thank you & goodbye\x07") == (
        f"{HEAD}<Response><Message>Thank you &amp; goodbye</Message></Response>"
    )
    assert twiml.sms_twiml(None) == f"{HEAD}<Response />"
    assert twiml.sms_twiml("") == f"{HEAD}<Response />"


def test_who_is_rung_may_be_asked_first_and_then_sees_our_number() -> None:
    script = Script(say=(), dial="+441632960100", dial_from="+441632960999", asked_first=True)
    xml = twiml.call_twiml(
        script, after_dial_url="https://h.example/a", asked_first_url="https://h.example/w"
    )
    assert xml == (
        f"{HEAD}<Response>"
        '<Dial action="https://h.example/a" callerId="+441632960999" method="POST" timeout="25">'
        '<Number method="POST" url="https://h.example/w">+441632960100</Number></Dial></Response>'
    )


def test_a_number_ends_with_a_hash_and_a_call_ends_when_it_is_said() -> None:
    xml = twiml.call_twiml(Script(say=(), keys=True, digits=8), action_url="https://h.example/n")
    assert 'finishOnKey="#"' in xml
    assert 'numDigits="8"' in xml
    assert twiml.call_twiml(Script(say=(), hang_up=True)) == f"{HEAD}<Response><Hangup /></Response>"


def test_a_caller_is_recorded_after_the_tone_and_an_empty_recording_comes_back_too() -> None:
    script = Script(say=("Please speak.",), record=Record(alert="a1", longest_s=120))
    urls = {"action_url": "https://h.example/voice?left=a1", "recorded_url": "https://h.example/recording/a1"}
    assert twiml.call_twiml(script, **urls) == (
        f"{HEAD}<Response>{say('Please speak.')}"
        '<Record action="https://h.example/voice?left=a1" finishOnKey="#" maxLength="120" method="POST" '
        'playBeep="true" recordingStatusCallback="https://h.example/recording/a1" '
        'recordingStatusCallbackEvent="completed absent" recordingStatusCallbackMethod="POST" timeout="10" '
        'trim="do-not-trim" /><Redirect method="POST">https://h.example/voice?left=a1</Redirect></Response>'
    )


def test_a_recording_is_played_between_what_is_said_while_a_key_is_awaited() -> None:
    script = Script(say=("Somebody rang.",), play="a1", then=("Press 2 to take it.",), keys=True, step="tell")
    said = twiml.call_twiml(script, action_url="https://h.example/x", play_url="https://h.example/sound")
    middle = f"{say('Somebody rang.')}<Play>https://h.example/sound</Play>{say('Press 2 to take it.')}"
    assert f">{middle}</Gather>" in said
