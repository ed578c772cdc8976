"""The signed webhooks over real HTTP, with a desk that is quick, slow, silent or broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree

import aiohttp
import pytest
from multidict import MultiDict
from twilio.request_validator import RequestValidator
from yarl import URL

from connectors.ports import Degraded, StatusCallback
from connectors.twilio import signature, twiml
from connectors.twilio.webhooks import ROUNDS
from monitor.core.views import Script
from tests.fakes.telephones import DEEPA, EDITH, OFFICE, TOKEN, FakeDesks, webhooks_of
from tests.waiting import until

ASK = Script(say=("If you are all right, press 1.",), keys=True, step="ask", wait_s=6)
THANKS = Script(say=("Thank you. Goodbye.",))


class Twilio:
    """Somebody who knows the token, and posts."""

    def __init__(self, url: str, http: aiohttp.ClientSession, events: list[tuple[str, str | None]]) -> None:
        self.url, self.http, self.events = url, http, events

    async def posts(
        self, path: str, form: MultiDict[str] | dict[str, str], token: str = TOKEN
    ) -> tuple[int, str]:
        headers = {"X-Twilio-Signature": RequestValidator(token).compute_signature(self.url + path, form)}
        return await self.raw(path, urlencode(list(form.items())).encode(), headers)

    async def raw(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        url = URL(self.url + path, encoded=True)
        async with self.http.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def twilio(desks: FakeDesks, tokens: list[str] | None = None, **options: Any) -> AsyncIterator[Twilio]:
    events: list[tuple[str, str | None]] = []
    count = lambda event, key: events.append((event, key))  # noqa: E731
    async with (
        webhooks_of(desks, [TOKEN] if tokens is None else tokens, on_event=count, **options) as url,
        aiohttp.ClientSession() as http,
    ):
        yield Twilio(url, http, events)


def said(xml: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(xml).iter("Say")]


def action(xml: str, verb: str) -> str:
    """Where the document sends Twilio next, as a path."""
    (element,) = ElementTree.fromstring(xml).iter(verb)
    return URL(element.get("action") or "".join(element.itertext()), encoded=True).raw_path_qs


SMS = {"MessageSid": "SM1", "To": OFFICE, "From": DEEPA, "Body": "12 15", "NumMedia": "0"}
CALLED = {"CallSid": "CA1", "To": EDITH, "From": OFFICE, "CallStatus": "in-progress"}


# --- who speaks ---

PATHS = [
    "/twilio/sms",
    "/twilio/voice",
    "/twilio/voice/m-1?step=ask",
    "/twilio/status/m-1",
    "/twilio/recording/a1",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_forged_webhook_is_403_counted_and_reaches_no_desk(path: str) -> None:
    desks = FakeDesks()
    async with twilio(desks) as caller:
        assert await caller.posts(path, SMS | CALLED, token="guessed") == (403, "signature")
        assert (await caller.raw(path, urlencode(SMS).encode(), {}))[0] == 403
        assert caller.events == [("forged", None), ("unsigned", None)]
    assert [*desks.texts, *desks.steps, *desks.callbacks, *desks.received, *desks.left] == []


async def test_both_tokens_count_during_a_rotation_and_a_new_list_counts_at_once() -> None:
    tokens = [TOKEN, "previous"]
    desks = FakeDesks()
    async with twilio(desks, tokens) as caller:
        assert (await caller.posts("/twilio/sms", SMS))[0] == 200
        assert (await caller.posts("/twilio/sms", SMS, token="previous"))[0] == 200
        tokens[:] = ["next", TOKEN]
        assert (await caller.posts("/twilio/sms", SMS, token="previous"))[0] == 403
        assert (await caller.posts("/twilio/sms", SMS, token="next"))[0] == 200


async def test_repeated_and_empty_parameters_are_part_of_what_is_signed() -> None:
    async with twilio(FakeDesks()) as caller:
        form = MultiDict([*SMS.items(), ("MediaUrl", "b"), ("MediaUrl", "a"), ("FromCity", "")])
        assert (await caller.posts("/twilio/sms", form))[0] == 200
        signature = RequestValidator(TOKEN).compute_signature(caller.url + "/twilio/sms", form)
        form.popone("MediaUrl")
        tampered = urlencode(list(form.items())).encode()
        assert (await caller.raw("/twilio/sms", tampered, {"X-Twilio-Signature": signature}))[0] == 403


async def test_the_host_header_is_not_believed() -> None:
    """Whoever calls writes it; a signature for another host of theirs must not count here."""
    async with twilio(FakeDesks()) as caller:
        theirs = RequestValidator(TOKEN).compute_signature("http://elsewhere.example/twilio/sms", SMS)
        headers = {
            "X-Twilio-Signature": theirs,
            "Host": "elsewhere.example",
            "X-Forwarded-Host": "elsewhere.example",
        }
        assert (await caller.raw("/twilio/sms", urlencode(SMS).encode(), headers))[0] == 403


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"a=%ff", b"a=1&" * 1000, b"x" * 70_000])
async def test_what_is_no_form_is_400_and_never_a_fault_of_ours(body: bytes) -> None:
    async with twilio(FakeDesks()) as caller:
        assert (await caller.raw("/twilio/sms", body, {"X-Twilio-Signature": "x"}))[0] == 400
        assert caller.events == [("bad_body", None)]


async def test_a_body_that_never_comes_is_given_up() -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"Body="
        await asyncio.Event().wait()

    async with (
        twilio(FakeDesks(), bound_s=0.1) as caller,
        caller.http.post(caller.url + "/twilio/sms", data=drip()) as answer,
    ):
        assert answer.status == 400


async def test_a_prefix_of_a_proxy_is_not_part_of_what_twilio_signed() -> None:
    async with twilio(FakeDesks(), path_prefix="/inner") as caller:
        signature = RequestValidator(TOKEN).compute_signature(caller.url + "/twilio/sms", SMS)
        body = urlencode(SMS).encode()
        assert (await caller.raw("/inner/twilio/sms", body, {"X-Twilio-Signature": signature}))[0] == 200


# --- texts ---


async def test_a_text_is_handed_to_the_desk_and_answered_with_its_words() -> None:
    desks = FakeDesks(reply="Thank you, 15 minutes.")
    async with twilio(desks) as caller:
        status, xml = await caller.posts("/twilio/sms", SMS)
    assert (status, desks.texts) == (200, [(OFFICE, DEEPA, "12 15", "SM1")])
    assert "<Message>Thank you, 15 minutes.</Message>" in xml


async def test_a_text_that_the_desk_cannot_take_is_503() -> None:
    async with twilio(FakeDesks(fails_with=Degraded("full"))) as caller:
        assert (await caller.posts("/twilio/sms", SMS))[0] == 503
        assert caller.events == [("failed", None)]


async def test_a_text_that_takes_long_is_answered_in_time_and_still_taken() -> None:
    desks = FakeDesks(reply="too late", gate=asyncio.Event())
    async with twilio(desks, bound_s=0.05) as caller:
        status, xml = await caller.posts("/twilio/sms", SMS)
        assert (status, "too late" in xml, caller.events) == (200, False, [("slow", None)])
        assert len(desks.texts) == 1


# --- calls ---


async def test_a_call_asks_hears_a_key_and_ends() -> None:
    desks = FakeDesks({("", None): ASK, ("ask", "1"): THANKS})
    async with twilio(desks) as caller:
        _, asked = await caller.posts("/twilio/voice/m-1", CALLED)
        assert said(asked) == ["If you are all right, press 1."]
        _, ended = await caller.posts(action(asked, "Gather"), CALLED | {"Digits": "1"})
        assert said(ended) == ["Thank you. Goodbye."]
    assert desks.steps == [("m-1", "", None), ("m-1", "ask", "1")]


@pytest.mark.parametrize("form", [{"Digits": ""}, {}], ids=["empty", "absent"])
async def test_silence_is_an_empty_digit(form: dict[str, str]) -> None:
    desks = FakeDesks({("", None): ASK, ("ask", ""): THANKS})
    async with twilio(desks) as caller:
        _, asked = await caller.posts("/twilio/voice/m-1", CALLED)
        await caller.posts(action(asked, "Gather"), CALLED | form)
    assert desks.steps[-1] == ("m-1", "ask", "")


async def test_keys_and_steps_with_odd_letters_come_back_as_they_went() -> None:
    odd = Script(say=("x",), keys=True, step="a b/ü&c")
    desks = FakeDesks({("", None): odd, ("a b/ü&c", "#"): THANKS})
    async with twilio(desks) as caller:
        _, asked = await caller.posts("/twilio/voice/m%2F1%20x", CALLED)
        status, _ = await caller.posts(action(asked, "Gather"), CALLED | {"Digits": "#"})
    assert (status, desks.steps) == (200, [("m/1 x", "", None), ("m/1 x", "a b/ü&c", "#")])


async def test_the_same_webhook_twice_is_one_key_for_the_desk_and_the_same_words_for_the_caller() -> None:
    desks = FakeDesks({("", None): ASK, ("ask", "1"): THANKS})
    async with twilio(desks) as caller:
        first = await caller.posts("/twilio/voice/m-1?step=ask&turn=1", CALLED | {"Digits": "1"})
        again = await caller.posts("/twilio/voice/m-1?step=ask&turn=1", CALLED | {"Digits": "1"})
    assert first == again
    assert desks.steps == [("m-1", "ask", "1")]


async def test_the_same_key_at_the_same_step_later_in_the_call_is_a_new_answer() -> None:
    desks = FakeDesks({("", None): ASK, ("ask", "7"): ASK})
    async with twilio(desks) as caller:
        _, xml = await caller.posts("/twilio/voice/m-1", CALLED)
        for _ in range(3):
            _, xml = await caller.posts(action(xml, "Gather"), CALLED | {"Digits": "7"})
    assert desks.steps == [("m-1", "", None)] + [("m-1", "ask", "7")] * 3


async def test_a_slow_desk_keeps_the_caller_and_hears_the_key_once() -> None:
    desks = FakeDesks({("ask", "1"): THANKS}, gate=asyncio.Event())
    async with twilio(desks, bound_s=0.05) as caller:
        status, held = await caller.posts("/twilio/voice/m-1?step=ask&turn=1", CALLED | {"Digits": "1"})
        assert (status, said(held)) == (200, [twiml.ONE_MOMENT])
        # a redirect carries no digits
        _, held = await caller.posts(action(held, "Redirect"), CALLED)
        assert said(held) == [twiml.ONE_MOMENT]
        assert desks.gate is not None
        desks.gate.set()
        _, ended = await caller.posts(action(held, "Redirect"), CALLED)
        assert said(ended) == ["Thank you. Goodbye."]
        assert caller.events == [("slow", "m-1")] * 2
    assert desks.steps == [("m-1", "ask", "1")]


@pytest.mark.parametrize("path", ["/twilio/voice/m-1", "/twilio/voice"])
async def test_a_desk_that_never_answers_ends_in_words_and_not_in_silence(path: str) -> None:
    desks = FakeDesks({("", None): ASK}, gate=asyncio.Event())
    async with twilio(desks, bound_s=0.02) as caller:
        _, xml = await caller.posts(path, CALLED)
        for _ in range(ROUNDS - 1):
            assert said(xml) == [twiml.ONE_MOMENT]
            _, xml = await caller.posts(action(xml, "Redirect"), CALLED)
        assert said(xml) == [twiml.SORRY]
        assert caller.events[-1][0] == "failed"


@pytest.mark.parametrize("error", [Degraded("full"), KeyError("bug")], ids=["degraded", "bug"])
async def test_a_desk_that_fails_says_that_somebody_will_ring(error: Exception) -> None:
    async with twilio(FakeDesks(fails_with=error)) as caller:
        for path, key in (("/twilio/voice/m-1", "m-1"), ("/twilio/voice", None)):
            status, xml = await caller.posts(path, CALLED)
            assert (status, said(xml)) == (200, [twiml.SORRY])
            assert caller.events[-1] == ("failed", key)


async def test_a_call_to_us_is_answered_and_joined_and_nobody_there_is_said() -> None:
    desks = FakeDesks(inbound=Script(say=("I am putting you through.",), dial=OFFICE))
    inbound = {"CallSid": "CA2", "To": OFFICE, "From": EDITH, "CallStatus": "ringing"}
    async with twilio(desks) as caller:
        _, xml = await caller.posts("/twilio/voice", inbound)
        assert said(xml) == ["I am putting you through."]
        after = action(xml, "Dial")
        _, alone = await caller.posts(after, inbound | {"DialCallStatus": "no-answer"})
        assert (said(alone), caller.events) == ([twiml.SORRY], [("not_joined", None)])
        _, talked = await caller.posts(after, inbound | {"DialCallStatus": "completed"})
        assert talked == twiml.hangup_twiml()
    assert desks.received == [(OFFICE, EDITH)]


# --- the free number ---

PIN = Script(say=("Key your PIN.",), keys=True, step="pin", digits=8, turn=1)
MENU = Script(say=("Press 1.",), keys=True, step="menu", turn=2)
JOIN = Script(say=("One moment.",), dial=DEEPA, dial_from=OFFICE, asked_first=True, step="1", turn=3)
GONE = Script(say=("Goodbye.",), hang_up=True, turn=4)
INBOUND = {"CallSid": "CA2", "To": OFFICE, "From": EDITH, "CallStatus": "in-progress"}


def attributes(xml: str, verb: str) -> dict[str, str]:
    (element,) = ElementTree.fromstring(xml).iter(verb)
    return dict(element.attrib)


async def test_a_number_is_keyed_up_to_a_hash_and_comes_back_with_its_question() -> None:
    desks = FakeDesks(inbound=PIN, onward={1: MENU, 2: GONE})
    async with twilio(desks) as caller:
        _, asked = await caller.posts("/twilio/voice", INBOUND)
        gather = attributes(asked, "Gather")
        assert (gather["numDigits"], gather["finishOnKey"]) == ("8", "#")
        _, menu = await caller.posts(action(asked, "Gather"), INBOUND | {"Digits": "4711"})
        assert attributes(menu, "Gather")["numDigits"] == "1"
        _, ended = await caller.posts(action(menu, "Gather"), INBOUND | {"Digits": ""})
        assert "<Hangup" in ended
    assert [(who, h.turn, h.digits, h.dialled) for who, h in desks.heard] == [
        (EDITH, 1, "4711", False),
        (EDITH, 2, "", False),
    ]
    assert parse_qs(desks.heard[0][1].raw.decode())["Digits"] == ["4711"], (
        "the form as it came, for the evidence"
    )


@pytest.mark.parametrize(
    "withheld", ["+266696687", "+7378742833", "+86282452253", "anonymous", "", "Restricted"]
)
async def test_a_withheld_number_is_no_number(withheld: str) -> None:
    desks = FakeDesks(inbound=PIN)
    async with twilio(desks) as caller:
        await caller.posts("/twilio/voice", INBOUND | {"From": withheld})
    assert desks.received == [(OFFICE, "")]


async def test_a_pin_stands_in_no_url_also_when_the_desk_is_slow() -> None:
    desks = FakeDesks(inbound=PIN, onward={1: MENU}, gate=asyncio.Event())
    async with twilio(desks, bound_s=0.05) as caller:
        _, held = await caller.posts("/twilio/voice?turn=1", INBOUND | {"Digits": "4711"})
        assert said(held) == [twiml.ONE_MOMENT]
        assert "4711" not in held
        assert desks.gate is not None
        desks.gate.set()
        _, menu = await caller.posts(action(held, "Redirect"), INBOUND)
        assert said(menu) == ["Press 1."]
    assert len(desks.heard) == 1


async def test_the_same_key_twice_is_heard_once_and_answered_twice() -> None:
    desks = FakeDesks(onward={2: GONE})
    async with twilio(desks) as caller:
        first = await caller.posts("/twilio/voice?turn=2", INBOUND | {"Digits": "1"})
        assert await caller.posts("/twilio/voice?turn=2", INBOUND | {"Digits": "1"}) == first
    assert len(desks.heard) == 1


async def test_who_is_rung_for_a_caller_is_asked_first_and_shown_our_number() -> None:
    asks = Script(say=("Press 1.",), keys=True, step="wake")
    told = Script(say=("You are joined.",), step="tell")
    passed = Script(say=("Thank you.",), step="passed", hang_up=True)
    whispers = {("", None): asks, ("wake", "1"): told, ("wake", ""): passed}
    desks = FakeDesks(onward={2: JOIN, 3: GONE}, whispers=whispers)
    theirs = {
        "CallSid": "CA9",
        "ParentCallSid": "CA2",
        "To": DEEPA,
        "From": OFFICE,
        "CallStatus": "in-progress",
    }
    async with twilio(desks) as caller:
        _, join = await caller.posts("/twilio/voice?turn=2", INBOUND | {"Digits": "9"})
        assert attributes(join, "Dial")["callerId"] == OFFICE
        whisper = URL(attributes(join, "Number")["url"], encoded=True).raw_path_qs
        _, asked = await caller.posts(whisper, theirs)
        _, joined = await caller.posts(action(asked, "Gather"), theirs | {"Digits": "1"})
        assert (said(joined), "<Hangup" in joined) == (["You are joined."], False)
        _, nobody = await caller.posts(action(asked, "Gather") + "0", theirs | {"Digits": ""})
        assert "<Hangup" in nobody
        _, ended = await caller.posts(
            action(join, "Dial"),
            INBOUND | {"DialCallStatus": "completed", "DialBridged": "true", "Digits": "5"},
        )
        assert "<Hangup" in ended
    assert desks.whispered == [("CA2", 1, "", None), ("CA2", 1, "wake", "1"), ("CA2", 1, "wake", "")]
    back = desks.heard[-1][1]
    assert (back.turn, back.dialled, back.joined, back.digits) == (3, True, True, "")


@pytest.mark.parametrize(
    ("status", "bridged", "spoke"),
    [
        ("completed", "true", True),
        ("completed", None, True),
        ("completed", "false", False),
        ("no-answer", "false", False),
        ("busy", None, False),
    ],
)
async def test_whether_the_two_have_spoken(status: str, bridged: str | None, spoke: bool) -> None:
    desks = FakeDesks(onward={3: GONE})
    form = INBOUND | {"DialCallStatus": status} | ({"DialBridged": bridged} if bridged else {})
    async with twilio(desks) as caller:
        await caller.posts("/twilio/voice?turn=3&after=dial", form)
    assert desks.heard[0][1].joined is spoke


async def test_a_desk_that_fails_joins_nobody_to_a_caller_unasked() -> None:
    async with twilio(FakeDesks(fails_with=KeyError("bug"))) as caller:
        _, xml = await caller.posts("/twilio/voice?of=CA2&person=1", INBOUND)
        assert "<Hangup" in xml
        assert caller.events == [("failed", None)]


# --- status ---


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (
            {"MessageSid": "SM1", "MessageStatus": "delivered"},
            {"status": "delivered", "provider_ref": "SM1"},
        ),
        (
            {"CallSid": "CA1", "CallStatus": "no-answer", "SequenceNumber": "2"},
            {"status": "no_answer", "sequence": 2, "provider_ref": "CA1"},
        ),
        (
            {
                "CallSid": "CA1",
                "CallStatus": "completed",
                "SequenceNumber": "3",
                "AnsweredBy": "machine_start",
            },
            {"status": "completed", "sequence": 3, "answered_by": "machine", "provider_ref": "CA1"},
        ),
        (
            {"CallSid": "CA1", "AnsweredBy": "human", "MachineDetectionDuration": "2400"},
            {"status": "in_progress", "answered_by": "human", "provider_ref": "CA1"},
        ),
        (
            {"CallSid": "CA1", "CallStatus": "ringing", "SequenceNumber": "-1"},
            {"status": "ringing", "provider_ref": "CA1"},
        ),
    ],
    ids=[
        "a text",
        "nobody answered",
        "a machine, at the end",
        "the detection's verdict",
        "a senseless number",
    ],
)
async def test_a_status_is_told_by_our_key(form: dict[str, str], told: dict[str, Any]) -> None:
    desks = FakeDesks()
    async with twilio(desks) as caller:
        assert await caller.posts("/twilio/status/m-1", form) == (204, "")
    assert desks.callbacks == [StatusCallback(key="m-1", **told)]


async def test_a_status_of_next_year_is_counted_and_not_told() -> None:
    desks = FakeDesks()
    async with twilio(desks) as caller:
        assert (await caller.posts("/twilio/status/m-1", {"CallSid": "CA1", "CallStatus": "new"}))[0] == 204
        assert caller.events == [("unknown_status", "m-1")]
    assert desks.callbacks == []


async def test_a_status_that_is_not_on_disk_is_503() -> None:
    async with twilio(FakeDesks(fails_with=Degraded("full"))) as caller:
        assert (await caller.posts("/twilio/status/m-1", {"MessageSid": "SM1", "MessageStatus": "sent"}))[
            0
        ] == 503


async def test_a_slow_status_is_answered_in_time_and_still_told() -> None:
    desks = FakeDesks(gate=asyncio.Event())
    async with twilio(desks, bound_s=0.05) as caller:
        assert (await caller.posts("/twilio/status/m-1", {"CallSid": "C", "CallStatus": "busy"}))[0] == 204
        await until(lambda: len(desks.callbacks) == 1)


async def test_a_failure_is_logged_without_a_number_or_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    async with twilio(FakeDesks(fails_with=ValueError(f"about {DEEPA}: 12 15"))) as caller:
        await caller.posts("/twilio/sms", SMS)
    printed = "".join(capsys.readouterr())
    assert "ValueError" in printed
    assert "7700900102" not in printed
    assert "12 15" not in printed


# --- the answerphone ---

SID = "RE" + "a" * 32
LEFT = {"CallSid": "CA1", "RecordingSid": SID, "RecordingDuration": "7", "RecordingStatus": "completed"}


@pytest.mark.parametrize(
    ("form", "recording", "seconds"),
    [
        (LEFT, SID, 7),
        (LEFT | {"RecordingStatus": "absent"}, None, 0),
        ({"CallSid": "CA1", "RecordingUrl": f"https://api.twilio.com/x/Recordings/{SID}"}, SID, 0),
        (LEFT | {"RecordingSid": "../../Accounts"}, None, 0),
    ],
)
async def test_what_was_left_is_told_by_its_alert(
    form: dict[str, str], recording: str | None, seconds: int
) -> None:
    desks = FakeDesks()
    async with twilio(desks) as caller:
        assert (await caller.posts("/twilio/recording/a1?tries=1", form))[0] == 204
    (left,) = desks.left
    assert (left.alert, left.recording, left.seconds, left.on_line) == ("a1", recording, seconds, False)


async def test_what_was_left_and_is_not_on_disk_is_503() -> None:
    async with twilio(FakeDesks(fails_with=Degraded("full"))) as caller:
        assert (await caller.posts("/twilio/recording/a1", LEFT))[0] == 503


async def test_a_caller_who_has_finished_hears_that_they_were_heard() -> None:
    desks = FakeDesks()
    async with twilio(desks) as caller:
        status, xml = await caller.posts(
            "/twilio/voice?left=a1&tries=2", CALLED | LEFT | {"Digits": "hangup"}
        )
        assert (status, said(xml)) == (200, ["Thank you."])
    (left,) = desks.left
    assert (left.recording, left.tries, left.on_line) == (SID, 2, True)


async def test_the_sound_is_given_to_who_has_the_link_and_kept_by_nobody() -> None:
    desks = FakeDesks(sounds={"a1": b"sound"})
    until, sig = signature.link([TOKEN], "a1", 60)
    async with twilio(desks) as caller:
        url = f"{caller.url}/twilio/recording/a1?until={until}&sig="
        async with caller.http.get(url + sig) as answer:
            assert (answer.status, await answer.read()) == (200, b"sound")
            assert answer.headers["Cache-Control"] == "no-store"
        async with caller.http.get(url + "0" * 40) as answer:
            assert answer.status == 403
        other = f"{caller.url}/twilio/recording/a2?until={until}&sig={signature.link([TOKEN], 'a2', 60)[1]}"
        async with caller.http.get(other) as answer:
            assert answer.status in (403, 404)


async def test_a_text_handed_over_twice_at_once_has_one_decision_and_one_answer_each() -> None:
    desks = FakeDesks(reply="Thank you.")
    async with twilio(desks) as caller:
        first, second = await asyncio.gather(
            caller.posts("/twilio/sms", SMS), caller.posts("/twilio/sms", SMS)
        )
    assert first == second
    assert len(desks.texts) == 1
