"""The outbox where something fails that no provider named: nothing that was tried stays in doubt for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from connectors.ports import OutboundMessage, StatusCallback
from connectors.twilio.sending import TwilioSender
from monitor.clock import SystemClock
from monitor.core.state import Message
from monitor.outbox import Outbox
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

    def urgent(self, key: str) -> bool:
        return False

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
