"""The stand-in telephones as their users meet them: the product over HTTP, a test through its control, a person
through the page. Sender, network and webhooks are the real ones; only the desk is a fake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect

from connectors.ports import EdgeError
from connectors.twilio import twiml
from connectors.twilio.network import APPLICATION_ERROR, TelephoneNetwork
from connectors.twilio.standin import run_phones, serving
from monitor.core.views import Script
from tests.fakes.telephones import (
    ACCOUNT,
    DEEPA,
    EDITH,
    OFFICE,
    TOKEN,
    FakeDesks,
    Telephones,
    message,
    telephones,
)
from tests.system.chromium import browser
from tests.waiting import until

pytestmark = pytest.mark.store_once("the desk behind the telephones is a fake: no store is opened")

HELLO = "Hello. This is Bright Care, your care company. Take your time."
QUESTION = "If you are all right, press 1. If you want to talk to somebody, press 2."
ASK = Script(say=(HELLO, QUESTION), keys=True, step="ask", wait_s=6)
AGAIN = Script(say=("I will say that again.", QUESTION), keys=True, step="again", wait_s=6)
THANKS = Script(say=("Thank you. Goodbye.",))
SOMEBODY = Script(say=("Somebody will ring you.",))
SCRIPTS = {
    ("", None): ASK,
    ("ask", "1"): THANKS,
    ("ask", "*"): AGAIN,
    ("ask", ""): AGAIN,
    ("again", "1"): THANKS,
    ("again", ""): SOMEBODY,
}
CALL: dict[str, Any] = {"channel": "call", "to": EDITH, "key": "c-1", "ring_s": 50}


@pytest.fixture
async def world() -> AsyncIterator[Telephones]:
    async with telephones(FakeDesks(dict(SCRIPTS))) as everything:
        yield everything


async def ring_edith(world: Telephones, **changes: Any) -> str:
    """Our call to Edith; the sid."""
    return (await world.sender.send(message(**CALL | changes))).provider_ref


# --- a whole call ---


async def test_she_answers_hears_us_presses_1_and_hears_the_end(world: Telephones) -> None:
    sid = await ring_edith(world)
    call = await world.does(f"calls/{sid}/answer")
    assert (call["status"], call["waiting_for_key"], call["script"]) == (
        "in-progress",
        True,
        [HELLO, QUESTION],
    )
    call = await world.does(f"calls/{sid}/press", {"digits": "1"})
    assert (call["status"], call["pressed"]) == ("completed", "1")
    assert call["script"][-1] == "Thank you. Goodbye."
    assert world.desks.steps == [("c-1", "", None), ("c-1", "ask", "1")]
    await until(
        lambda: (
            world.desks.statuses("c-1")[:3] == ["initiated", "ringing", "in_progress"]
            and world.desks.callbacks[-1].status == "completed"
        )
    )
    told = [c for c in world.desks.callbacks if c.sequence is not None]
    assert [c.sequence for c in told] == [0, 1, 2, 3]


async def test_silence_comes_to_the_desk_as_an_empty_digit_and_the_call_goes_on(world: Telephones) -> None:
    sid = await ring_edith(world)
    await world.does(f"calls/{sid}/answer")
    await until(lambda: world.desks.steps[-1] == ("c-1", "again", ""))
    assert world.desks.steps == [("c-1", "", None), ("c-1", "ask", ""), ("c-1", "again", "")]
    await until(lambda: world.network.calls[sid].over)
    assert world.network.calls[sid].heard[-1] == "Somebody will ring you."


async def test_an_answering_machine_hears_it_all_and_is_labelled(world: Telephones) -> None:
    sid = await ring_edith(world)
    await world.does(f"calls/{sid}/voicemail")
    await until(
        lambda: any(c.answered_by == "machine" and c.status == "in_progress" for c in world.desks.callbacks)
    )
    await until(lambda: world.desks.callbacks[-1].status == "completed")
    assert world.desks.callbacks[-1].answered_by == "machine"
    assert [digit for _, _, digit in world.desks.steps] == [None, "", ""]
    assert world.network.calls[sid].pressed == ""


async def test_a_person_is_labelled_human_while_the_call_is_on(world: Telephones) -> None:
    sid = await ring_edith(world)
    await world.does(f"calls/{sid}/answer")
    await until(
        lambda: any(c.answered_by == "human" and c.status == "in_progress" for c in world.desks.callbacks)
    )


async def test_without_detection_nobody_is_labelled(world: Telephones) -> None:
    sid = await ring_edith(world, detect_machine=False)
    await world.does(f"calls/{sid}/answer")
    await world.does(f"calls/{sid}/hangup")
    await until(lambda: world.desks.statuses("c-1")[-1:] == ["completed"])
    assert {c.answered_by for c in world.desks.callbacks} == {None}


@pytest.mark.parametrize(
    ("does", "status"), [("busy", "busy"), ("no-answer", "no_answer"), ("hangup", "busy")]
)
async def test_a_call_that_is_not_answered_says_how(world: Telephones, does: str, status: str) -> None:
    sid = await ring_edith(world)
    await world.does(f"calls/{sid}/{does}")
    await until(lambda: world.desks.statuses("c-1") == ["initiated", "ringing", status])
    assert world.desks.steps == []


async def test_she_puts_it_down_before_a_key(world: Telephones) -> None:
    sid = await ring_edith(world)
    await world.does(f"calls/{sid}/answer")
    call = await world.does(f"calls/{sid}/hangup")
    assert call["status"] == "completed"
    assert world.desks.steps == [("c-1", "", None)]


async def test_a_desk_that_fails_is_heard_as_an_apology(world: Telephones) -> None:
    world.desks.fails_with = RuntimeError("bug")
    sid = await ring_edith(world)
    call = await world.does(f"calls/{sid}/answer")
    assert (call["status"], call["script"]) == ("completed", [twiml.SORRY])


async def test_a_slow_desk_is_heard_as_one_moment_and_then_its_words() -> None:
    desks = FakeDesks(dict(SCRIPTS), gate=asyncio.Event())
    async with telephones(desks, bound_s=0.05) as world:
        sid = await ring_edith(world)
        answering = asyncio.create_task(world.does(f"calls/{sid}/answer"))
        await until(lambda: twiml.ONE_MOMENT in world.network.calls[sid].heard)
        assert desks.gate is not None
        desks.gate.set()
        call = await answering
        assert call["script"][-2:] == [HELLO, QUESTION]
        assert desks.steps == [("c-1", "", None)]


async def test_a_webhook_that_refuses_is_heard_as_twilios_own_error() -> None:
    """What a wrong token in our configuration sounds like."""
    async with telephones() as world:
        world.network.auth_tokens[:] = ["another"]
        world.network.voice_url = f"{world.public_url}/twilio/voice"
        call = await world.does(f"phones/{EDITH}/call", {"to": OFFICE})
        assert (call["status"], call["script"]) == ("completed", [APPLICATION_ERROR])
        assert world.events == [("forged", None)]


# --- she rings us ---


async def she_rings_us_to_be_joined(world: Telephones) -> tuple[str, str]:
    """Her call and the one that we make for her; Deepa's telephone rings."""
    world.desks.inbound = Script(say=("I am putting you through.",), dial=DEEPA)
    call = await world.does(f"phones/{EDITH}/call", {"to": OFFICE})
    assert (call["status"], call["script"]) == ("in-progress", ["I am putting you through."])
    theirs = (await world.phone(DEEPA))["calls"][-1]
    assert theirs["status"] == "ringing"
    return call["sid"], theirs["sid"]


async def test_she_rings_us_and_is_joined_to_somebody(world: Telephones) -> None:
    hers, theirs = await she_rings_us_to_be_joined(world)
    assert (await world.does(f"calls/{theirs}/answer"))["status"] == "in-progress"
    assert (await world.does(f"calls/{theirs}/hangup"))["status"] == "completed"
    await until(lambda: world.network.calls[hers].over)
    assert world.network.calls[hers].heard == ["I am putting you through."]
    assert world.desks.received == [(OFFICE, EDITH)]


async def test_she_rings_us_and_nobody_is_there(world: Telephones) -> None:
    hers, theirs = await she_rings_us_to_be_joined(world)
    await until(lambda: world.network.calls[hers].over)
    assert world.network.calls[hers].heard == ["I am putting you through.", twiml.SORRY]
    assert world.network.calls[theirs].status == "no-answer"


async def test_she_rings_us_and_puts_it_down_while_it_rings_there(world: Telephones) -> None:
    hers, theirs = await she_rings_us_to_be_joined(world)
    assert (await world.does(f"calls/{hers}/hangup"))["status"] == "completed"
    assert world.network.calls[theirs].status == "canceled"


# --- somebody is asked before they are joined ---


async def asked_first(world: Telephones) -> tuple[str, str]:
    """Edith's call on the free number, and the one to Deepa, who is asked to press 1."""
    world.desks.inbound = Script(
        say=("One moment.",), dial=DEEPA, dial_from=OFFICE, asked_first=True, step="1", turn=1
    )
    world.desks.onward[1] = Script(say=("That was all.",), hang_up=True, turn=2)
    world.desks.whispers = {
        ("", None): Script(say=("Press 1.",), keys=True, step="wake", wait_s=2),
        ("wake", "1"): Script(say=("You are joined.",), step="tell"),
        ("wake", ""): Script(say=("Thank you.",), step="passed", hang_up=True),
    }
    call = await world.does(f"phones/{EDITH}/call", {"to": OFFICE})
    theirs = (await world.phone(DEEPA))["calls"][-1]
    assert (theirs["status"], theirs["from"]) == ("ringing", OFFICE)
    return call["sid"], theirs["sid"]


async def test_who_presses_the_key_is_joined_and_both_go_on_until_one_puts_it_down(world: Telephones) -> None:
    hers, theirs = await asked_first(world)
    assert (await world.does(f"calls/{theirs}/answer"))["waiting_for_key"]
    await world.does(f"calls/{theirs}/press", {"digits": "1"})
    await until(lambda: world.network.calls[theirs].bridged)
    assert not world.network.calls[hers].over
    await world.does(f"calls/{theirs}/hangup")
    await until(lambda: world.network.calls[hers].over)
    assert (world.desks.heard[0][1].dialled, world.desks.heard[0][1].joined) == (True, True)


@pytest.mark.parametrize("how", ["answer", "voicemail"], ids=["nobody presses", "a mail box"])
async def test_who_presses_no_key_is_not_joined(world: Telephones, how: str) -> None:
    hers, theirs = await asked_first(world)
    await world.does(f"calls/{theirs}/{how}")
    await until(lambda: world.network.calls[hers].over)
    assert world.network.calls[theirs].heard[-1] == "Thank you."
    assert world.desks.heard[0][1].joined is False


async def test_a_caller_who_puts_it_down_while_somebody_is_asked_ends_both(world: Telephones) -> None:
    hers, theirs = await asked_first(world)
    await world.does(f"calls/{theirs}/answer")
    await world.does(f"calls/{hers}/hangup")
    await until(lambda: world.network.calls[theirs].over)
    assert world.desks.heard == []


async def test_a_withheld_number_is_not_told_to_us(world: Telephones) -> None:
    world.desks.inbound = Script(say=("Hello.",))
    call = await world.does(f"phones/{EDITH}/call", {"to": OFFICE, "withheld": True})
    assert world.desks.received == [(OFFICE, "")]
    assert call["from"] == EDITH, "the telephone itself knows its own number"


# --- texts ---


async def test_a_reply_goes_to_who_wrote_and_its_answer_comes_back(world: Telephones) -> None:
    world.desks.reply = "Thank you Deepa."
    await world.sender.send(message())
    answer = await world.does(f"phones/{DEEPA}/reply", {"body": "11"})
    assert (answer["to"], answer["webhook_status"]) == (OFFICE, 200)
    assert world.desks.texts == [(OFFICE, DEEPA, "11", answer["sid"])]
    texts = (await world.phone(DEEPA))["texts"]
    assert [(t["direction"], t["body"]) for t in texts][1:] == [
        ("inbound", "11"),
        ("outbound-reply", "Thank you Deepa."),
    ]


async def test_a_reply_as_a_form_and_to_another_number_of_ours(world: Telephones) -> None:
    form = {"body": "hello & goodbye + £", "to": "01632960199"}
    async with world.http.post(f"{world.url}/phones/{DEEPA}/reply", data=form) as answer:
        assert answer.status == 200
    assert world.desks.texts[0][:3] == ("+441632960199", DEEPA, "hello & goodbye + £")


async def test_a_phone_that_nobody_wrote_to_must_say_to_whom(world: Telephones) -> None:
    await world.does(f"phones/{DEEPA}/reply", {"body": "hello"}, status=409)
    await world.does(f"phones/{DEEPA}/reply", {}, status=400)


@pytest.mark.parametrize("written", ["%2B447700900102", "+447700900102", "447700900102", "07700900102"])
async def test_a_number_is_found_however_it_is_written(world: Telephones, written: str) -> None:
    await world.sender.send(message())
    async with world.http.get(f"{world.url}/phones/{written}") as answer:
        assert len((await answer.json())["texts"]) == 1


async def test_a_phone_nobody_rang_is_empty_and_no_error(world: Telephones) -> None:
    phone = await world.phone("+447700900999")
    assert (phone["texts"], phone["calls"], phone["label"]) == ([], [], None)


# --- what a person cannot do now ---


async def test_keys_and_actions_out_of_turn_are_409_and_unknown_calls_404(world: Telephones) -> None:
    sid = await ring_edith(world)
    await world.does(f"calls/{sid}/answer")
    await world.does(f"calls/{sid}/answer", status=409)
    await world.does(f"calls/{sid}/press", {"digits": "x"}, status=400)
    await world.does(f"calls/{sid}/hangup")
    await world.does(f"calls/{sid}/press", {"digits": "1"}, status=409)
    await world.does("calls/CA0/answer", status=404)


# --- the REST API beyond what the sender uses ---


def rest(world: Telephones, path: str, token: str = TOKEN) -> Any:
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, token)}
    return world.http.get(f"{world.url}/2010-04-01/Accounts/{ACCOUNT}/{path}", headers=headers)


async def test_lists_filter_by_to_from_and_date_newest_first(world: Telephones) -> None:
    await world.sender.send(message(body="one"))
    await world.sender.send(message(body="two", key="m-2"))
    await world.sender.send(message(body="three", key="m-3", to=EDITH))
    await until(lambda: len(world.desks.callbacks) == 6)
    today = datetime.now(UTC).date()
    for query, bodies in {
        "": ["three", "two", "one"],
        f"To=%2B{DEEPA[1:]}": ["two", "one"],
        f"From=%2B{EDITH[1:]}": [],
        f"DateSent%3E={today}": ["three", "two", "one"],
        f"DateSent={today}": ["three", "two", "one"],
        f"DateSent%3C={today}": [],
        f"DateSent%3E={today + timedelta(days=1)}T00:00:00Z": [],
        "PageSize=2": ["three", "two"],
        "PageSize=2&Page=1": ["one"],
    }.items():
        async with rest(world, f"Messages.json?{query}") as answer:
            listed = await answer.json()
            assert [m["body"] for m in listed["messages"]] == bodies, query
    async with rest(world, "Messages.json?DateSent=yesterday") as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 20001)


async def test_a_call_that_still_rings_has_no_start_time_and_no_date_filter_finds_it(
    world: Telephones,
) -> None:
    await ring_edith(world)
    async with rest(world, f"Calls.json?StartTime%3E={datetime.now(UTC).date()}") as answer:
        assert (await answer.json())["calls"] == []
    async with rest(world, "Calls.json") as answer:
        assert [c["start_time"] for c in (await answer.json())["calls"]] == [None]


async def test_the_library_reads_every_page_of_a_list(world: Telephones) -> None:
    for index in range(3):
        await world.sender.send(message(key=f"m-{index}"))
    listed = await world.sender._client.messages.list_async(page_size=2)
    assert len({m.sid for m in listed}) == 3


async def test_an_unknown_token_an_unknown_account_and_an_unknown_resource(world: Telephones) -> None:
    async with rest(world, "Messages.json", token="guess") as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, 20003)
    async with rest(world, "Messages/SM0.json") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, 20404)
    async with world.http.get(f"{world.url}/2010-04-01/Accounts/AC1/Messages.json") as answer:
        assert answer.status == 401


async def test_a_call_that_we_take_back_stops_ringing(world: Telephones) -> None:
    sid = await ring_edith(world)
    await until(lambda: world.network.calls[sid].status == "ringing")
    await world.sender._client.calls(sid).update_async(status="canceled")
    await until(lambda: world.desks.statuses("c-1") == ["initiated", "ringing", "canceled"])


# --- control ---


async def test_faults_are_shown_counted_down_and_cleared(world: Telephones) -> None:
    await world.does("faults", {"kind": "time-out after having sent", "count": 2})
    await world.does("faults", {"lose": True, "double": 3, "hang": 0})
    async with world.http.get(f"{world.url}/faults") as answer:
        left = {kind: fault["left"] for kind, fault in (await answer.json())["faults"].items()}
    assert left == {"timeout_after_send": 2, "lose": None, "double": 3}
    async with world.http.delete(f"{world.url}/faults?kind=lose") as answer:
        assert set((await answer.json())["faults"]) == {"timeout_after_send", "double"}
    async with world.http.delete(f"{world.url}/faults") as answer:
        assert (await answer.json())["faults"] == {}
    await world.does("faults", {"kind": "earthquake"}, status=400)
    await world.does("faults", {}, status=400)


async def test_a_refusing_network_takes_nothing_until_it_is_cleared(world: Telephones) -> None:
    await world.does("faults", {"kind": "refuse"})
    for _ in range(2):
        with pytest.raises(EdgeError) as caught:
            await world.sender.send(message())
        assert (caught.value.reason, caught.value.permanent) == ("provider_down", False)
    async with world.http.delete(f"{world.url}/faults"):
        pass
    assert await world.sender.send(message())
    assert len(world.network.texts) == 1


async def test_reset_is_as_new(world: Telephones) -> None:
    await world.does("faults", {"kind": "lose"})
    await world.sender.send(message())
    sid = await ring_edith(world)
    await world.does("reset")
    assert (await world.phone(DEEPA))["texts"] == []
    assert (await world.phone(EDITH))["calls"] == []
    await world.does(f"calls/{sid}/answer", status=404)
    await world.sender.send(message(key="m-9"))
    await until(lambda: world.desks.statuses("m-9") == ["sent", "delivered"])


async def test_where_a_phone_is_answered_can_be_changed(world: Telephones) -> None:
    before = f"{world.public_url}/twilio/sms"
    await world.does("numbers", {"sms_url": "http://127.0.0.1:1/nobody"})
    answer = await world.does(f"phones/{DEEPA}/reply", {"body": "x", "to": OFFICE})
    assert (answer["webhook_status"], world.desks.texts) == (0, [])
    await world.does("numbers", {"sms_url": before})
    assert (await world.does(f"phones/{DEEPA}/reply", {"body": "x", "to": OFFICE}))["webhook_status"] == 200


# --- the network alone ---


async def test_it_runs_alone_says_where_and_ends_when_it_is_told() -> None:
    where: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run_phones("127.0.0.1", 0, auth_tokens=[TOKEN], on_ready=where.set_result))
    async with aiohttp.ClientSession() as http, http.get(f"{await where}/phones.json") as answer:
        assert await answer.json() == {"version": 0, "phones": []}
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.timeout(30):
            await running
    assert running.cancelled()


async def test_calls_leave_one_a_second_and_the_rest_waits_in_the_queue() -> None:
    network = TelephoneNetwork([TOKEN], calls_per_s=1.0)
    async with serving(network):
        form = {"To": EDITH, "From": OFFICE, "Url": "http://127.0.0.1:1/x"}
        calls = [network.accept_call(ACCOUNT, TOKEN, form, ()) for _ in range(3)]
        await until(lambda: calls[0].status == "ringing")
        assert calls[2].status == "queued"
        await until(lambda: calls[2].status == "ringing")


async def test_closing_lets_go_of_a_hanging_request_at_once(world: Telephones) -> None:
    await world.does("faults", {"kind": "hang", "count": 1})
    hanging = asyncio.create_task(world.sender.send(message()))
    await until(lambda: world.network.faults.view() == {}, what="the request to hang")
    await world.network.close()
    with pytest.raises(EdgeError):
        await hanging


# --- a person at the page ---


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser() as chromium:
        yield await chromium.new_page()


async def test_a_person_reads_answers_presses_and_writes_back(page: Page) -> None:
    async with telephones(FakeDesks(dict(SCRIPTS), reply="Thank you Deepa."), speed=1.0) as world:
        world.network.labels[EDITH] = "Edith"
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        await page.goto(f"{world.url}/phones")
        await world.sender.send(message())
        await ring_edith(world)
        edith = page.locator(f'[data-number="{EDITH}"]')
        await edith.get_by_role("button", name="Answer", exact=True).click()
        await expect(edith.get_by_text(QUESTION)).to_be_visible()
        await edith.get_by_role("button", name="1", exact=True).click()
        await expect(edith.get_by_text("1 earlier call")).to_be_visible()
        deepa = page.locator(f'[data-number="{DEEPA}"]')
        await expect(deepa.get_by_text(message().body)).to_be_visible()
        await deepa.get_by_label("Write back").fill("11")
        await deepa.get_by_role("button", name="Send").click()
        await expect(deepa.get_by_text("Thank you Deepa.")).to_be_visible()
        assert world.desks.steps[-1] == ("c-1", "ask", "1")
        assert world.desks.texts[0][2] == "11"
        assert problems == []


async def test_a_person_rings_the_free_number_and_keys_a_pin(page: Page) -> None:
    desks = FakeDesks(
        inbound=Script(say=("Key your PIN.",), keys=True, step="pin", digits=4, turn=1),
        onward={
            1: Script(say=("Press 1 for arriving.",), keys=True, step="menu", turn=2),
            2: Script(say=("Arrived.",), hang_up=True, turn=3),
        },
    )
    async with telephones(desks, speed=1.0) as world:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        await page.goto(f"{world.url}/phones")
        form = page.get_by_role("form", name="Ring callwatch")
        await form.get_by_label("Telephone").fill("01632 960101")
        await form.get_by_label("rings").fill(OFFICE)
        await form.get_by_label("withholds").check()
        await form.get_by_role("button", name="Ring").click()
        edith = page.locator(f'[data-number="{EDITH}"]')
        await expect(edith.get_by_text("Key your PIN.")).to_be_visible()
        for digit in "4711":
            await edith.get_by_role("button", name=digit, exact=True).click()
        await expect(edith.get_by_text("Press 1 for arriving.")).to_be_visible()
        await edith.get_by_role("button", name="1", exact=True).click()
        await expect(edith.get_by_text("1 earlier call")).to_be_visible()
        assert [(who, heard.digits) for who, heard in desks.heard] == [("", "4711"), ("", "1")]
        assert problems == []


async def test_a_number_that_is_none_is_told_beside_the_form(page: Page) -> None:
    async with telephones() as world:
        await page.goto(f"{world.url}/phones")
        form = page.get_by_role("form", name="Ring callwatch")
        await form.get_by_label("Telephone").fill("Edith")
        await form.get_by_label("rings").fill(OFFICE)
        await form.get_by_role("button", name="Ring").click()
        await expect(form.get_by_role("alert")).to_contain_text("expected +44")
