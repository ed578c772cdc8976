"""The Sender contract, with the real twilio library against the stand-in network over loopback."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from connectors.ports import EdgeError
from connectors.twilio.sending import NotConfigured, TwilioSender
from tests.fakes.telephones import ACCOUNT, DEEPA, EDITH, OFFICE, TOKEN, Telephones, message, telephones
from tests.waiting import until


@pytest.fixture
async def world() -> AsyncIterator[Telephones]:
    async with telephones() as everything:
        yield everything


def now() -> datetime:
    return datetime.now(UTC)


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def provider_that(behaves: Behaviour, timeout_s: float = 10.0) -> AsyncIterator[TwilioSender]:
    """A sender whose provider is a bare socket with a behaviour of its own, and what comes of it before `timeout_s`."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with contextlib.suppress(ConnectionResetError):  # the sender has given up: that is what is tested
            await reader.readuntil(b"\r\n\r\n")
            await behaves(reader, writer)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ours = f"http://127.0.0.1:{port}"
    sender = TwilioSender(ACCOUNT, TOKEN, ours, "http://127.0.0.1:1", timeout_s=timeout_s)
    try:
        yield sender
    finally:
        await sender.close()
        server.close()
        await asyncio.gather(*talks)


CALL = {"channel": "call", "to": EDITH, "key": "c-1", "ring_s": 50}


async def test_a_text_reaches_the_phone_with_its_words(world: Telephones) -> None:
    sent = await world.sender.send(message())
    (text,) = (await world.phone(DEEPA))["texts"]
    assert (text["sid"], text["from"], text["to"]) == (sent.provider_ref, OFFICE, DEEPA)
    assert text["body"] == message().body


async def test_a_text_reports_sent_then_delivered_under_its_key(world: Telephones) -> None:
    await world.sender.send(message(key="a/b ?"))
    await until(lambda: world.desks.statuses("a/b ?") == ["sent", "delivered"])


@pytest.mark.parametrize(
    ("asked", "arrives"), [(0, 1), (1, 1), (600, 600), (36_000, 36_000), (36_001, 36_000)]
)
async def test_validity_is_what_is_left_of_the_step_within_twilios_limits(
    world: Telephones, asked: int, arrives: int
) -> None:
    await world.sender.send(message(validity_s=asked))
    assert (await world.phone(DEEPA))["texts"][0]["validity_s"] == arrives


@pytest.mark.parametrize(("asked", "arrives"), [(4, 5), (25, 25), (50, 50), (601, 600)])
async def test_a_call_rings_as_long_as_the_step_says(world: Telephones, asked: int, arrives: int) -> None:
    await world.sender.send(message(**CALL | {"ring_s": asked}))
    assert (await world.phone(EDITH))["calls"][0]["ring_s"] == arrives


async def test_a_call_that_nobody_answers_is_no_answer_after_its_ring_time(world: Telephones) -> None:
    await world.sender.send(message(**CALL | {"ring_s": 5}))  # a quarter of a second at this speed
    await until(lambda: world.desks.statuses("c-1") == ["initiated", "ringing", "no_answer"])
    assert [c.sequence for c in world.desks.callbacks] == [0, 1, 2]


async def test_a_refused_number_is_bad_number_for_good_and_stands_in_no_error(world: Telephones) -> None:
    with pytest.raises(EdgeError) as caught:
        await world.sender.send(message(to="+44123"))
    assert (caught.value.reason, caught.value.permanent) == ("bad_number", True)
    assert "44123" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


async def test_a_phone_that_said_stop_is_refused_for_good_until_it_says_start(world: Telephones) -> None:
    await world.sender.send(message())
    await world.does(f"phones/{DEEPA}/reply", {"body": "stop"})
    with pytest.raises(EdgeError) as caught:
        await world.sender.send(message())
    assert (caught.value.reason, caught.value.permanent) == ("refused", True)
    await world.does(f"phones/{DEEPA}/reply", {"body": "START"})
    assert await world.sender.send(message())


async def test_a_wrong_token_is_unauthorised_for_good(world: Telephones) -> None:
    sender = TwilioSender(ACCOUNT, "wrong", world.url, world.public_url)
    for attempt in (sender.send(message()), sender.look_up(message(), now())):
        with pytest.raises(EdgeError) as caught:
            await attempt
        assert (caught.value.reason, caught.value.permanent) == ("unauthorised", True)
    await sender.close()


async def test_the_previous_token_still_sends_during_a_rotation(world: Telephones) -> None:
    sender = TwilioSender(ACCOUNT, "the-previous-token", world.url, world.public_url)
    assert (await sender.send(message())).provider_ref.startswith("SM")
    await sender.close()


@pytest.mark.parametrize(
    ("status", "code", "reason", "permanent"),
    [
        (503, 20503, "provider_down", False),
        (500, 20500, "provider_down", False),
        (504, 20504, "timeout", False),
        (429, 20429, "rate_limited", False),
        (400, 21611, "rate_limited", False),
        (400, 21211, "bad_number", True),
        (400, 21614, "bad_number", True),
        (400, 21610, "refused", True),
        (400, 21408, "refused", True),
        (400, 99999, "refused", True),
        (404, 20404, "refused", True),
        (401, 20003, "unauthorised", True),
        (403, 20403, "unauthorised", True),
    ],
)
async def test_every_refusal_has_its_reason(
    world: Telephones, status: int, code: int, reason: str, permanent: bool
) -> None:
    await world.does("faults", {"kind": "refuse", "count": 1, "status": status, "code": code})
    with pytest.raises(EdgeError) as caught:
        await world.sender.send(message())
    assert (caught.value.reason, caught.value.permanent) == (reason, permanent)
    assert await world.sender.send(message()), "the fault was for once"


async def test_nobody_listening_is_provider_down_and_nothing_was_sent(free_port: int) -> None:
    sender = TwilioSender(ACCOUNT, TOKEN, f"http://127.0.0.1:{free_port}", "http://127.0.0.1:1")
    with pytest.raises(EdgeError) as caught:
        await sender.send(message())
    assert (caught.value.reason, caught.value.permanent) == ("provider_down", False)
    await sender.close()


async def test_a_provider_that_hangs_is_a_timeout_within_the_bound(world: Telephones) -> None:
    sender = TwilioSender(ACCOUNT, TOKEN, world.url, world.public_url, timeout_s=0.3, look_up_s=0.2)
    await world.does("faults", {"kind": "hang"})
    for attempt, bound in ((sender.send(message()), 0.3), (sender.look_up(message(), now()), 0.2)):
        began = time.monotonic()
        with pytest.raises(EdgeError) as caught:
            await attempt
        assert caught.value.reason == "timeout"
        assert bound * 0.9 <= time.monotonic() - began < bound + 5
    assert (await world.phone(DEEPA))["texts"] == []
    await sender.close()


async def test_an_answer_that_never_ends_is_a_timeout_within_the_bound() -> None:
    """The headers come at once and the body drips: only a limit on the whole catches it."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 10000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b" ")
            try:
                async with asyncio.timeout(0.02):
                    await reader.read(4096)
            except TimeoutError:
                continue

    async with provider_that(drip, timeout_s=0.3) as sender:
        began = time.monotonic()
        with pytest.raises(EdgeError) as caught:
            await sender.send(message())
        assert caught.value.reason == "timeout"
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b"{}"])
async def test_a_yes_that_cannot_be_read_may_have_been_sent(answer: bytes) -> None:
    async def garble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(answer))
        writer.write(answer)

    async with provider_that(garble) as sender:
        with pytest.raises(EdgeError) as caught:
            await sender.send(message())
    assert (caught.value.reason, caught.value.permanent) == ("timeout", False)


async def test_a_connection_that_breaks_after_the_request_may_have_been_sent() -> None:
    async def go_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with provider_that(go_away) as sender:
        with pytest.raises(EdgeError) as caught:
            await sender.send(message())
    assert (caught.value.reason, caught.value.permanent) == ("timeout", False)


async def test_credentials_are_not_carried_to_another_host() -> None:
    """A redirect is not followed: it would hand the token to whoever it names."""
    asked: list[str] = []

    async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append("once")
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")

    async with provider_that(redirect) as sender:
        with pytest.raises(EdgeError) as caught:
            await sender.send(message())
    assert caught.value.reason == "provider_down"
    assert asked == ["once"]


@pytest.mark.parametrize("what", [{}, CALL], ids=["text", "call"])
async def test_what_timed_out_after_it_was_sent_is_found(world: Telephones, what: dict[str, object]) -> None:
    sender = TwilioSender(ACCOUNT, TOKEN, world.url, world.public_url, timeout_s=2.0)
    await world.does("faults", {"kind": "timeout_after_send", "count": 1})
    began = now()
    with pytest.raises(EdgeError) as caught:
        await sender.send(message(**what))
    assert caught.value.reason == "timeout"
    found = await sender.look_up(message(**what), began)
    assert found is not None
    assert found.provider_ref in {**world.network.texts, **world.network.calls}
    await sender.close()


async def test_a_text_is_found_by_another_process_after_a_crash(world: Telephones) -> None:
    began = now()
    sent = await world.sender.send(message())
    after_the_crash = TwilioSender(ACCOUNT, TOKEN, world.url, world.public_url)
    assert await after_the_crash.look_up(message(), began) == sent
    await after_the_crash.close()


@pytest.mark.parametrize(
    "other",
    [
        {"body": "other words"},
        {"to": "+447700900199"},
        {"sender": "+441632960199"},
        {"channel": "call", "key": "m-2"},
    ],
    ids=["other words", "other phone", "other number of ours", "a call"],
)
async def test_a_look_up_does_not_find_another_message(world: Telephones, other: dict[str, str]) -> None:
    began = now()
    await world.sender.send(message(**other))
    assert await world.sender.look_up(message(), began) is None


async def test_a_look_up_does_not_find_what_is_known_under_another_key(world: Telephones) -> None:
    began = now()
    await world.sender.send(message(**CALL | {"key": "c-before"}))
    assert await world.sender.look_up(message(**CALL), began) is None


async def test_a_look_up_does_not_find_our_own_answer_to_a_text(world: Telephones) -> None:
    world.desks.reply = message().body
    began = now()
    await world.does(f"phones/{DEEPA}/reply", {"body": "hello", "to": OFFICE})
    assert (await world.phone(DEEPA))["texts"][-1]["body"] == message().body
    assert await world.sender.look_up(message(), began) is None


@pytest.mark.parametrize(
    ("later_s", "found"), [(-2, True), (0, True), (1.9, True), (3.1, False), (300, False)]
)
async def test_a_look_up_finds_only_what_was_made_since_the_attempt(
    world: Telephones, later_s: float, found: bool
) -> None:
    await world.sender.send(message())
    created = next(iter(world.network.texts.values())).created.replace(microsecond=0)
    seen = await world.sender.look_up(message(), created + timedelta(seconds=later_s))
    assert (seen is not None) == found


@pytest.mark.parametrize(("earlier_s", "found"), [(0, True), (119, True), (122, False)])
async def test_a_later_call_to_the_same_phone_is_another_call(
    world: Telephones, earlier_s: float, found: bool
) -> None:
    await world.sender.send(message(**CALL))
    created = next(iter(world.network.calls.values())).created
    seen = await world.sender.look_up(message(**CALL), created - timedelta(seconds=earlier_s))
    assert (seen is not None) == found


async def test_a_message_that_still_waits_in_twilios_queue_is_found(world: Telephones) -> None:
    """It has no DateSent and no StartTime yet, so a date filter would not see it."""
    began = now()
    sent = await world.sender.send(message(**CALL))
    assert world.network.calls[sent.provider_ref].started is None
    assert await world.sender.look_up(message(**CALL), began) == sent


async def test_status_asks_for_what_no_callback_told(world: Telephones) -> None:
    await world.does("faults", {"kind": "lose"})
    text = await world.sender.send(message())
    call = await world.sender.send(message(**CALL))
    await world.does(f"calls/{call.provider_ref}/voicemail")
    await world.does(f"calls/{call.provider_ref}/hangup")
    told = await world.sender.status(message(), text.provider_ref)
    assert told is not None
    assert (told.key, told.status, told.answered_by) == ("m-1", "delivered", None)
    rang = await world.sender.status(message(**CALL), call.provider_ref)
    assert rang is not None
    assert (rang.key, rang.status, rang.answered_by) == ("c-1", "completed", "machine")
    assert world.desks.callbacks == []


async def test_status_of_what_twilio_does_not_know_is_none(world: Telephones) -> None:
    assert await world.sender.status(message(), "SM" + "0" * 32) is None


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [
        ("lose", ["delivered"]),
        ("double", ["sent", "sent", "delivered"]),
        ("reorder", ["delivered", "sent"]),
    ],
)
async def test_callbacks_go_wrong_as_switched(world: Telephones, fault: str, arrives: list[str]) -> None:
    await world.does("faults", {"kind": fault, "count": 1})
    await world.sender.send(message())
    await until(lambda: world.desks.statuses("m-1") == arrives)


async def test_a_text_that_does_not_arrive_says_so(world: Telephones) -> None:
    await world.does("faults", {"kind": "undelivered", "count": 1})
    await world.sender.send(message())
    await until(lambda: world.desks.statuses("m-1") == ["sent", "undelivered"])


async def test_only_texts_and_calls_are_telephone_messages(world: Telephones) -> None:
    with pytest.raises(EdgeError) as caught:
        await world.sender.send(message(channel="email"))
    assert caught.value.permanent


async def test_no_number_and_no_word_is_logged(world: Telephones, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await world.sender.send(message())
    await world.sender.look_up(message(), now())
    with pytest.raises(EdgeError):
        await world.sender.send(message(to="+44123"))
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("asyncio")]
    assert not [line for line in ours if "7700900102" in line or "check-in" in line]


async def test_a_daemon_without_an_account_says_so() -> None:
    sender = NotConfigured()
    with pytest.raises(EdgeError) as caught:
        await sender.send(message())
    assert (caught.value.reason, caught.value.permanent) == ("not_configured", True)
    assert await sender.look_up(message(), now()) is None
    assert await sender.status(message(), "SM1") is None
    await sender.close()
