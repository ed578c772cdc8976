"""A whole telephone connector on loopback: the stand-in network, our webhooks, the real library between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
from aiohttp import web

from connectors.ports import Desks, OutboundMessage, StatusCallback
from connectors.twilio.network import TelephoneNetwork
from connectors.twilio.sending import TwilioSender
from connectors.twilio.standin import serving
from connectors.twilio.webhooks import routes
from monitor.core.views import CallHeard, LeftMessage, Script

ACCOUNT = "AC" + "0" * 32
TOKEN = "the-current-token"
OFFICE = "+441632960100"
EDITH = "+441632960101"
DEEPA = "+447700900102"


def message(**changes: Any) -> OutboundMessage:
    """A text to Deepa, unless said otherwise."""
    plain: dict[str, Any] = {
        "key": "m-1",
        "desk": "bright",
        "channel": "sms",
        "to": DEEPA,
        "sender": OFFICE,
        "body": "no check-in yet. Reply 11 I am there, 12 on my way",
    }
    return OutboundMessage(**(plain | changes))


@dataclass
class FakeDesks:
    """The part of `Desks` that telephones speak to: scripts by (step, digit), and what it was told."""

    scripts: dict[tuple[str, str | None], Script] = field(default_factory=dict)
    reply: str | None = None
    inbound: Script = field(default_factory=lambda: Script(say=("Hello, this is Bright Care.",)))
    onward: dict[int, Script] = field(default_factory=dict)
    """What follows on the free number, by the question that was answered."""
    whispers: dict[tuple[str, str | None], Script] = field(default_factory=dict)
    fails_with: Exception | None = None
    gate: asyncio.Event | None = None
    """While it is not set, the desk takes its time."""
    texts: list[tuple[str, str, str, str]] = field(default_factory=list)
    steps: list[tuple[str, str, str | None]] = field(default_factory=list)
    received: list[tuple[str, str]] = field(default_factory=list)
    callbacks: list[StatusCallback] = field(default_factory=list)
    heard: list[tuple[str, CallHeard]] = field(default_factory=list)
    left: list[LeftMessage] = field(default_factory=list)
    sounds: dict[str, bytes] = field(default_factory=dict)
    whispered: list[tuple[str, int, str, str | None]] = field(default_factory=list)

    async def _thinks(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.fails_with is not None:
            raise self.fails_with

    async def sms_received(self, to: str, sender: str, body: str, provider_ref: str) -> str | None:
        self.texts.append((to, sender, body, provider_ref))
        await self._thinks()
        return self.reply

    async def call_received(self, to: str, caller: str, provider_ref: str) -> Script:
        self.received.append((to, caller))
        await self._thinks()
        return self.inbound

    async def call_step(self, key: str, step: str, digit: str | None) -> Script:
        self.steps.append((key, step, digit))
        await self._thinks()
        return self.scripts[(step, digit)]

    async def call_heard(self, to: str, caller: str, provider_ref: str, heard: CallHeard) -> Script:
        self.heard.append((caller, heard))
        await self._thinks()
        return self.onward[heard.turn]

    async def whisper(self, provider_ref: str, person: int, step: str, digit: str | None) -> Script:
        self.whispered.append((provider_ref, person, step, digit))
        await self._thinks()
        return self.whispers[(step, digit)]

    async def message_left(self, left: LeftMessage) -> Script:
        self.left.append(left)
        await self._thinks()
        return Script(say=("Thank you.",), hang_up=True)

    async def recording(self, alert: str) -> bytes | None:
        await self._thinks()
        return self.sounds.get(alert)

    async def call_status(self, callback: StatusCallback) -> None:
        self.callbacks.append(callback)
        await self._thinks()

    def statuses(self, key: str) -> list[str]:
        """What we were told of one message, in the order of arrival, without the detection's verdicts."""
        return [c.status for c in self.callbacks if c.key == key and c.answered_by is None]


@dataclass(kw_only=True)
class Telephones:
    """Everything a test of the connector touches."""

    desks: FakeDesks
    network: TelephoneNetwork
    sender: TwilioSender
    url: str
    """Of the stand-in."""
    public_url: str
    """Of our webhooks."""
    events: list[tuple[str, str | None]]
    http: aiohttp.ClientSession

    async def phone(self, number: str) -> dict[str, Any]:
        """What the stand-in shows of a phone."""
        async with self.http.get(f"{self.url}/phones/{number.replace('+', '%2B')}") as answer:
            assert answer.status == 200
            return cast(dict[str, Any], await answer.json())

    async def does(self, path: str, body: dict[str, Any] | None = None, status: int = 200) -> dict[str, Any]:
        """A POST to the stand-in's control."""
        async with self.http.post(f"{self.url}/{path}", json=body or {}) as answer:
            assert answer.status == status, await answer.text()
            return cast(dict[str, Any], await answer.json())


@asynccontextmanager
async def webhooks_of(desks: FakeDesks, tokens: list[str], **options: Any) -> AsyncIterator[str]:
    """Our webhooks on loopback; yields their public URL."""
    public = {"url": ""}
    app = web.Application()
    app.add_routes(routes(cast(Desks, desks), tokens, lambda: public["url"], **options))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        public["url"] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield public["url"]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def telephones(
    desks: FakeDesks | None = None, *, speed: float = 20.0, timeout_s: float = 2.0, bound_s: float = 8.0
) -> AsyncIterator[Telephones]:
    """Network, webhooks and sender, ready."""
    desks, events = desks or FakeDesks(), []
    count = lambda event, key: events.append((event, key))  # noqa: E731
    async with webhooks_of(desks, [TOKEN], on_event=count, bound_s=bound_s) as public_url:
        network = TelephoneNetwork(
            [TOKEN, "the-previous-token"],
            sms_url=f"{public_url}/twilio/sms",
            voice_url=f"{public_url}/twilio/voice",
            speed=speed,
        )
        async with serving(network) as url, aiohttp.ClientSession() as http:
            sender = TwilioSender(ACCOUNT, TOKEN, url, public_url, timeout_s=timeout_s, look_up_s=1.0)
            try:
                yield Telephones(
                    desks=desks,
                    network=network,
                    sender=sender,
                    url=url,
                    public_url=public_url,
                    events=events,
                    http=http,
                )
            finally:
                await sender.close()
