"""The outbox where something fails that no provider named: nothing that was tried stays in doubt for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec

from connectors.ports import EdgeError, NotTaken, OutboundMessage, Sent, StatusCallback
from connectors.twilio.sending import TwilioSender
from monitor.clock import SystemClock
from monitor.core.state import ENGAGED, Message
from monitor.outbox import LONGEST_PAUSE_S, Lane, Outbox
from tests.fakes.telephones import ACCOUNT, TOKEN, message, telephones
from tests.waiting import until


class OneMessage:
    """A desk with one text, which is tried again when the provider did not take it."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self.text = Message(
            key="m-1",
            person="p1",
            line="l1",
            purpose="summon",
            channel="sms",
            template="OC-1",
            priority="summon",
            intended_at=now,
            expires_at=now + timedelta(minutes=10),
            policy="p",
        )
        self.said: list[tuple[str, bool]] = []
        self.outbox: Outbox | None = None

    def queued(self, key: str) -> Message | None:
        return self.text

    def rank(self, key: str) -> int:
        return 1

    def opens_at(self, message: Message) -> datetime | None:
        return message.not_before

    async def attempt(self, key: str) -> OutboundMessage | None:
        return message(key=key)

    def outbound(self, key: str) -> OutboundMessage | None:
        return message(key=key)

    def accepted(self, key: str, provider_ref: str, *, found: bool) -> None:
        self.said.append(("accepted", found))

    def refused(self, key: str, reason: str, *, permanent: bool, possibly_repeated: bool) -> None:
        self.said.append((reason, possibly_repeated))
        assert self.outbox is not None
        self.outbox.add("bright", self.text)

    def reported(self, callback: StatusCallback) -> None:
        """Nothing here is chased."""


@contextmanager
def no_thread_left(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """What looks up a name gets a RuntimeError, which is no error of a network."""
    none_left = ThreadPoolExecutor(1)
    none_left.shutdown()
    loop.set_default_executor(none_left)
    try:
        yield
    finally:
        loop.set_default_executor(ThreadPoolExecutor(1))


class Ledger:
    """A desk with texts to several people; `before` may raise in a turn, `after` when the outcome is to be recorded."""

    def __init__(self, *keys: str) -> None:
        now = datetime.now(UTC)
        self.texts = {
            key: Message(
                key=key,
                person=f"p-{key}",
                line=f"l-{key}",
                purpose="summon",
                channel="sms",
                template="OC-1",
                priority="summon",
                intended_at=now + timedelta(milliseconds=n),
                expires_at=now + timedelta(minutes=10),
                policy="p",
            )
            for n, key in enumerate(keys)
        }
        self.before: list[Exception] = []
        self.after: list[Exception] = []
        self.outbox: Outbox | None = None
        self.tries: list[str] = []
        self.taken: list[tuple[str, bool]] = []

    def is_(self, key: str, phase: str, *, pause_s: float = 0.0) -> None:
        not_before = datetime.now(UTC) + timedelta(seconds=pause_s)
        self.texts[key] = msgspec.structs.replace(self.texts[key], phase=phase, not_before=not_before)

    def queued(self, key: str) -> Message | None:
        return self.texts[key] if self.texts[key].phase in ("queued", "attempted") else None

    def rank(self, key: str) -> int:
        return 1

    def opens_at(self, message: Message) -> datetime | None:
        return message.not_before

    async def attempt(self, key: str) -> OutboundMessage | None:
        if self.texts[key].phase != "queued":
            return None
        self.tries.append(key)
        if self.before:
            raise self.before.pop()
        self.is_(key, "attempted")
        return self.outbound(key)

    def outbound(self, key: str) -> OutboundMessage | None:
        return message(key=key, to=f"+4477009002{list(self.texts).index(key):02}")

    def accepted(self, key: str, provider_ref: str, *, found: bool) -> None:
        if self.after:
            raise self.after.pop()
        self.is_(key, "accepted")
        self.taken.append((key, found))

    def refused(self, key: str, reason: str, *, permanent: bool, possibly_repeated: bool) -> None:
        """As the core: it is queued again, and may go after its pause (here some milliseconds)."""
        self.is_(key, "queued", pause_s=0.0 if possibly_repeated else 0.02)
        self.texts[key] = msgspec.structs.replace(self.texts[key], attempts=self.texts[key].attempts + 1)
        assert self.outbox is not None
        self.outbox.add("bright", self.texts[key])

    def reported(self, callback: StatusCallback) -> None:
        """Nothing here is chased."""


class Provider:
    """Takes what is sent, but for what is to fail: by key, or everything by "*"."""

    def __init__(self) -> None:
        self.fails: dict[str, EdgeError] = {}
        self.sent: list[str] = []
        self.asked: list[float] = []
        self.looked_up: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, outbound: OutboundMessage) -> Sent:
        self.asked.append(asyncio.get_running_loop().time())
        await self.open.wait()
        error = self.fails.get(outbound.key) or self.fails.get("*")
        if error is not None:
            raise error
        self.sent.append(outbound.key)
        return Sent(provider_ref=f"SM-{outbound.key}")

    async def look_up(self, outbound: OutboundMessage, since: datetime) -> Sent | None:
        self.looked_up.append(outbound.key)
        return Sent(provider_ref=f"SM-{outbound.key}") if outbound.key in self.sent else None

    async def status(self, outbound: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        return None

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def sending(desk: Ledger, provider: Provider, *, sms_per_s: float = 50.0) -> AsyncIterator[Outbox]:
    outbox = Outbox(provider, SystemClock(), calls_per_s=1.0, sms_per_s=sms_per_s, on_late=lambda _: None)
    desk.outbox = outbox
    outbox.serve("bright", desk)
    running = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_message_whose_turn_could_not_be_recorded_has_its_turn_again_and_goes_once() -> None:
    desk, provider = Ledger("m-1"), Provider()
    desk.before = [NotTaken("unreachable", "too many facts wait for the store")] * 2
    async with sending(desk, provider) as outbox:
        outbox.add("bright", desk.texts["m-1"])
        await until(lambda: desk.taken, what="it is sent")
    assert (desk.tries, provider.sent) == (["m-1"] * 3, ["m-1"])


async def test_a_message_whose_outcome_could_not_be_recorded_is_looked_up_and_not_sent_twice() -> None:
    desk, provider = Ledger("m-1"), Provider()
    desk.after = [NotTaken("unreachable", "too many facts wait for the store")]
    async with sending(desk, provider) as outbox:
        outbox.add("bright", desk.texts["m-1"])
        await until(lambda: desk.taken, what="the outcome is recorded")
    assert (desk.taken, provider.sent) == ([("m-1", True)], ["m-1"])


class Calls(Ledger):
    """Calls of which it is on record that they wait for their line."""

    def __init__(self, *keys: str) -> None:
        super().__init__(*keys)
        for key, waits in list(self.texts.items()):
            self.texts[key] = msgspec.structs.replace(waits, channel="call", reason=ENGAGED)


class OneLine(Calls):
    """Who has its turn while the line is engaged stays queued, and no fact says so once more."""

    engaged = True

    def opens_at(self, message: Message) -> datetime | None:
        return datetime.now(UTC) + timedelta(hours=1) if self.engaged and self.tries else None

    async def attempt(self, key: str) -> OutboundMessage | None:
        if not self.engaged:
            return await super().attempt(key)
        self.tries.append(key)
        return None


async def test_what_meets_an_engaged_line_waits_in_the_outbox_and_goes_when_it_is_woken() -> None:
    desk, provider = OneLine("m-1"), Provider()
    async with sending(desk, provider) as outbox:
        outbox.add("bright", desk.texts["m-1"])
        await until(lambda: desk.tries, what="its turn")
        await until(lambda: outbox.waiting == 1 and not sum(outbox.depths().values()), what="it waits")
        outbox.add("bright", desk.texts["m-1"])
        assert outbox.waiting == 1, "one timer, however often it is named"
        assert desk.tries == ["m-1"]
        desk.engaged = False
        outbox.add("bright", desk.texts["m-1"])
        await until(lambda: desk.taken and not outbox.waiting, what="it is sent")
    assert provider.sent == ["m-1"]


class FreeAgain(Calls):
    """A call that waits for its line: the hold has run out when the outbox looks, a moment after it was decided on."""

    async def attempt(self, key: str) -> OutboundMessage | None:
        if self.tries:
            return await super().attempt(key)
        self.tries.append(key)
        return None


async def test_a_line_that_is_free_in_the_moment_of_the_look_is_not_waited_for_until_the_call_expires() -> (
    None
):
    desk, provider = FreeAgain("m-1"), Provider()
    async with sending(desk, provider) as outbox:
        outbox.add("bright", desk.texts["m-1"])
        await until(lambda: desk.taken and not outbox.waiting, what="it is sent")
    assert desk.tries == ["m-1", "m-1"]


async def test_a_desk_that_was_given_up_sends_nothing_any_more() -> None:
    desk, provider = Ledger("m-1", "m-2"), Provider()
    desk.before = [NotTaken("fenced", "this process no longer leads the desk")]
    async with sending(desk, provider) as outbox:
        outbox.add("bright", desk.texts["m-1"])
        await until(lambda: desk.tries, what="its turn")
        outbox.add("bright", desk.texts["m-2"])
        await until(lambda: desk.taken, what="another message")
        await until(lambda: not outbox.waiting, what="nothing waits")
    assert provider.sent == ["m-2"]


async def test_a_message_that_is_being_posted_is_not_looked_up_meanwhile() -> None:
    """The store comes back while a POST is under way, and everything without an outcome is in doubt."""
    desk, provider = Ledger("m-1"), Provider()
    provider.open.clear()
    async with sending(desk, provider) as outbox:
        outbox.add("bright", desk.texts["m-1"])
        await until(lambda: provider.asked, what="the POST begins")
        outbox.doubt("bright", desk.texts["m-1"])
        for _ in range(20):
            await asyncio.sleep(0)
        provider.open.set()
        await until(lambda: desk.taken and not outbox.waiting, what="the outcome")
    assert (desk.taken, provider.sent, provider.looked_up) == ([("m-1", False)], ["m-1"], [])


async def test_one_number_that_always_fails_holds_nobody_else_up() -> None:
    desk, provider = Ledger("bad", *(f"m-{n}" for n in range(8))), Provider()
    provider.fails["bad"] = EdgeError("provider_down")
    async with sending(desk, provider) as outbox:
        outbox.add("bright", desk.texts["bad"])
        await until(lambda: len(provider.asked) >= 5, what="it failed again and again")
        for key in list(desk.texts)[1:]:
            began = asyncio.get_running_loop().time()
            outbox.add("bright", desk.texts[key])
            await until(lambda key=key: key in provider.sent, what="somebody else's")
            assert asyncio.get_running_loop().time() - began < 0.5


async def test_many_numbers_that_always_fail_hold_up_nobody_who_was_never_tried() -> None:
    """Their pauses together are shorter than their turns: among themselves they would take every one."""
    bad = [f"bad-{n}" for n in range(12)]
    desk, provider = Ledger(*bad, "good"), Provider()
    provider.fails |= dict.fromkeys(bad, EdgeError("provider_down"))
    async with sending(desk, provider) as outbox:
        for key in bad:
            outbox.add("bright", desk.texts[key])
        await until(lambda: len(provider.asked) >= 4, what="they failed")
        tried, began = len(provider.asked), asyncio.get_running_loop().time()
        outbox.add("bright", desk.texts["good"])
        await until(lambda: provider.sent == ["good"], 2 * LONGEST_PAUSE_S, what="somebody else's")
        assert len(provider.asked) <= tried + len(bad), "each of them once before, at the most"
        assert asyncio.get_running_loop().time() - began < LONGEST_PAUSE_S / 2


async def test_a_provider_that_takes_nothing_is_left_in_peace_for_longer_and_longer_and_never_long() -> None:
    keys = [f"m-{n}" for n in range(20)]
    desk, provider = Ledger(*keys), Provider()
    provider.fails["*"] = EdgeError("provider_down")
    async with sending(desk, provider) as outbox:
        for key in keys:
            outbox.add("bright", desk.texts[key])
        await until(lambda: len(provider.asked) >= 26, 20, what="some tries")
        pauses = [after - before for before, after in pairwise(provider.asked[19:])]
        # at 50 a second six would have been tried in an eighth of one
        assert max(pauses) >= 0.5
        assert max(pauses) < LONGEST_PAUSE_S + 1
        provider.fails.clear()
        await until(lambda: len(provider.sent) == 20, LONGEST_PAUSE_S + 10, what="all went out")
        assert sorted(provider.sent) == sorted(keys)


def test_no_two_processes_come_back_at_the_same_moment() -> None:
    def pauses(spread: float) -> list[float]:
        lane, now = Lane(50.0, lambda: spread), 0.0
        found = []
        for n in range(8):
            lane.failed(f"to-{n}", now)
            found.append(max(lane.paused_until - now, 0.0))
            now += found[-1]
        return found

    least, most = pauses(0.0), pauses(0.999)
    assert all(low < high for low, high in zip(least[1:], most[1:], strict=True))
    assert most[-1] <= LONGEST_PAUSE_S
    assert least[0] == most[0] == 0.0, "one recipient says nothing of the account"


async def test_a_send_that_fails_in_a_way_that_nobody_named_is_in_doubt_and_tried_again() -> None:
    desk = OneMessage()
    told: list[tuple[str, str, bool]] = []
    async with telephones() as world:
        named = world.url.replace("127.0.0.1", "localhost")
        sender = TwilioSender(ACCOUNT, TOKEN, named, world.public_url)
        desk.outbox = outbox = Outbox(
            sender,
            SystemClock(),
            calls_per_s=1.0,
            sms_per_s=20.0,
            on_late=lambda _: None,
            on_provider=lambda channel, answer, about: told.append((channel, answer, about)),
        )
        outbox.serve("bright", desk)
        running = asyncio.create_task(outbox.run())
        try:
            with no_thread_left(asyncio.get_running_loop()):
                outbox.add("bright", desk.text)
                await until(lambda: len(desk.said) >= 2, what="two tries that failed")
            await until(lambda: desk.said[-1][0] == "accepted", what="one that was taken")
            assert set(desk.said[:-1]) == {("timeout", True)}, "it may have been sent, and that is said"
            assert told[0] == ("sms", "timeout", False), "and the account is not called well"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await sender.close()
