"""A simulated telephone network and the people on it: texts, calls, callbacks, and everything that goes wrong.

The network keeps what was handed to it, whatever becomes of the process that did it. A person is a row of habits
(world.Someone) and a seeded die.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Literal, Protocol

from connectors.ports import EdgeError, OutboundMessage, Reason, Sent, StatusCallback
from monitor.core.inputs import CallStatus
from monitor.core.views import Script
from tests.simulation.machine import Machine, is_down
from tests.simulation.world import Someone, World

CODE = re.compile(r"Reply (\d+) I have it, (\d+) pass on")
DEALS = re.compile(r"Reply (\d+) I deal with it, (\d+) pass on")
HOLDER = re.compile(r"Reply (\d+) still mine, (\d+) pass on")
ASKED_WHERE = re.compile(r"Reply (\d+) (?:I am )?there, (\d+) \+ minutes.*, (\d+) cannot")
OFFERED = re.compile(r"Reply (\d+) I will go, (\d+) no")
GIVE_BACK = re.compile(r"after all reply (\d+)")
NOT_LEFT = re.compile(r"Reply (\d+) I have left, (\d+) still here, (\d+) I want")
ASKED = re.compile(r"Reply (\d+) all right, (\d+) ring me now, (\d+) my carer is here")


class Witness(Protocol):
    """Who is told what left and what people heard."""

    def created(self, message: OutboundMessage, ref: str) -> None:
        """The network has this message: it will reach somebody, or try to."""

    def not_created(self, message: OutboundMessage) -> None:
        """The network has refused it, for certain."""

    def told_taken(self, key: str, person: str) -> None:
        """A person who pressed the key was told that the alert is theirs."""


@dataclass(kw_only=True)
class Made:
    """A message at the provider."""

    ref: str
    message: OutboundMessage
    made_at: datetime
    status: CallStatus = "queued"
    known_as: str | None = None
    """The key under which the process has been told of it."""


class Network:
    """The provider."""

    def __init__(self, machine: Machine, world: World, seed: int, witness: Witness) -> None:
        self._machine, self._world, self._witness = machine, world, witness
        self._loop = machine.loop
        self.rng = Random(f"telephones:{seed}")
        self.made: list[Made] = []
        self.faulty = 0.0
        """Share of POSTs that go wrong."""
        self.lossy = 0.0
        """Share of callbacks that are lost, doubled or late."""
        self.down = False
        self.crash_at: Callable[[], bool] = lambda: False
        """Asked right before and right after the moment at which a message exists."""
        self.responsive = 1.0
        """How much of their habits people keep: 0, nobody answers anything."""

    # --- the process's side ---

    async def post(self, message: OutboundMessage, since_life: int) -> Sent:
        """One POST, as `Sender.send`."""
        if self.crash_at():
            self._machine.kill()
        fault = self._fault()
        await asyncio.sleep(self.rng.uniform(0.02, 0.3) * (20 if fault == "slow" else 1))
        if fault in ("refuse", "rate"):
            self._witness.not_created(message)
            reason: Reason = "provider_down" if fault == "refuse" else "rate_limited"
            raise EdgeError(reason)
        made = self._make(message) if fault != "lost" else None
        if made is not None and self.crash_at():
            self._machine.kill()
        if fault in ("lost", "timeout") or made is None:
            await asyncio.sleep(10.0)
            raise EdgeError("timeout")
        await asyncio.sleep(self.rng.uniform(0.02, 0.2))
        made.known_as = message.key
        return Sent(provider_ref=made.ref)

    def _fault(self) -> str:
        if self.down:
            return self.rng.choice(("refuse", "lost"))
        if self.rng.random() >= self.faulty:
            return "none"
        return self.rng.choice(("refuse", "rate", "lost", "timeout", "timeout", "slow"))

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """The provider's list: to, from and time, never the key (measured.md)."""
        await asyncio.sleep(self.rng.uniform(0.05, 0.5))
        if self.down:
            raise EdgeError("provider_down")
        for made in reversed(self.made):
            same = made.message.to == message.to and made.message.channel == message.channel
            words = message.channel == "call" or made.message.body == message.body
            if same and words and made.made_at >= since and made.known_as in (None, message.key):
                made.known_as = message.key
                return Sent(provider_ref=made.ref)
        return None

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """What became of it."""
        await asyncio.sleep(self.rng.uniform(0.05, 0.5))
        if self.down:
            raise EdgeError("provider_down")
        for made in self.made:
            if made.ref == provider_ref:
                return StatusCallback(key=message.key, status=made.status, provider_ref=made.ref)
        return None

    # --- a message's own life ---

    def _make(self, message: OutboundMessage) -> Made:
        ref = f"{'SM' if message.channel == 'sms' else 'CA'}{len(self.made):06d}"
        made = Made(ref=ref, message=message, made_at=self._machine.clock.true())
        self.made.append(made)
        self._witness.created(message, ref)
        self._world_task(self._text(made) if message.channel == "sms" else self._ring(made))
        return made

    def _world_task(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.create_task(work, context=Context())

    async def _text(self, made: Made) -> None:
        someone = self._who(made)
        await asyncio.sleep(self.rng.uniform(0.2, 3))
        self._tell(made, "sent", 1)
        await asyncio.sleep(self.rng.uniform(0.2, 4))
        if someone is None or self.rng.random() < 0.02:
            self._tell(made, "undelivered", 2)
            return
        self._tell(made, "delivered", 2)
        await self.read(made, someone)

    async def _ring(self, made: Made) -> None:
        someone = self._who(made)
        await asyncio.sleep(self.rng.uniform(0.2, 2))
        self._tell(made, "ringing", 1)
        if someone is None:
            self._tell(made, "failed", 2)
            return
        answers = self.who_answers(made, someone)
        await asyncio.sleep(self.rng.uniform(2, max(made.message.ring_s, 3)))
        if answers == "human":
            self._tell(made, "in_progress", 2, "human")
            await self._talk(made, someone, silent=False)
        elif answers == "machine":
            self._tell(made, "in_progress", 2)
            self._tell(made, "in_progress", None, "machine")
            await self._talk(made, someone, silent=True)
        else:
            self._tell(made, self.rng.choice(("no_answer", "busy")), 2)
            return
        self._tell(made, "completed", 3)

    def _who(self, made: Made) -> Someone | None:
        desk = self._world.desks.get(made.message.desk)
        return desk.by_number(made.message.to) if desk is not None else self.elsewhere(made.message.to)

    def elsewhere(self, number: str) -> Someone | None:
        """Who has this telephone, of a desk that has no visits."""
        return None

    # --- what people do ---

    def who_answers(self, made: Made, someone: Someone) -> Literal["human", "machine", "nobody"]:
        """Who takes this call, if anybody."""
        drawn = self.rng.random()
        if drawn < someone.answers * self.responsive:
            return "human"
        return "machine" if drawn < someone.answers + someone.voicemail else "nobody"

    async def read(self, made: Made, someone: Someone) -> None:
        """A text has reached them."""
        if self.rng.random() >= someone.texts_back * self.responsive:
            return
        quick = self._world.style == "quick"
        await asyncio.sleep(self.rng.uniform(1, 15) if quick else self.rng.uniform(5, 240))
        words = self._answer(made.message.body, someone)
        if words is not None:
            await self.text_us(made, someone, words)

    def _answer(self, body: str, someone: Someone) -> str | None:
        for pattern in (CODE, HOLDER):
            found = pattern.search(body)
            if found is not None:
                return found[2] if self.rng.random() < someone.passes_on else found[1]
        found = NOT_LEFT.search(body)
        if found is not None:
            # some never look at it
            return self.rng.choice((found[1], found[2], found[3], None))
        found = ASKED.search(body)
        if found is not None:
            return found[int(someone.digit)] if someone.digit in ("1", "2", "3") else None
        return None

    async def text_us(self, made: Made, someone: Someone, words: str) -> None:
        """They text back."""
        ref = f"IN{self.rng.randrange(10**9):09d}"
        for attempt in range(3):
            try:
                await self._machine.ask(
                    lambda app: app.watch.sms_received(made.message.sender, someone.number, words, ref)
                )
            except Exception as error:
                if not is_down(error):
                    raise
                await asyncio.sleep(20 * (attempt + 1))
            else:
                return

    async def _talk(self, made: Made, someone: Someone, *, silent: bool) -> None:
        """Through the script, key by key; the line drops when nobody answers our webhook."""
        step, digit = "", None
        for _ in range(12):
            try:
                script = await self._machine.ask(self._step(made.message.key, step, digit))
            except Exception as error:
                if not is_down(error):
                    raise
                return
            if script.step == "taken" and digit == "2":
                self._witness.told_taken(made.message.key, someone.id)
            if not script.keys:
                return
            await asyncio.sleep(self.rng.uniform(2, 8))
            if not silent and self.rng.random() < 0.05:
                return
            step, digit = script.step, "" if silent else self.press(made, script, someone)

    def _step(self, key: str, step: str, digit: str | None) -> Callable[[Any], Coroutine[Any, Any, Script]]:
        return lambda app: app.watch.call_step(key, step, digit)

    def press(self, made: Made, script: Script, someone: Someone) -> str:
        """The key that they press at this step."""
        if someone.role != "staff":
            return someone.digit
        if script.step.startswith("wake"):
            return "1"
        return "3" if self.rng.random() < someone.passes_on else "2"

    # --- callbacks ---

    def _tell(self, made: Made, status: CallStatus, sequence: int | None, answered_by: Any = None) -> None:
        """A status callback goes out; whether it comes in, once, twice or late, is another matter."""
        if sequence is not None:
            made.status = status
        drawn = self.rng.random()
        times = 0 if drawn < self.lossy / 2 else 2 if drawn < self.lossy else 1
        callback = StatusCallback(
            key=made.message.key,
            status=status,
            sequence=sequence,
            answered_by=answered_by,
            provider_ref=made.ref,
        )
        for _ in range(times):
            late = self.rng.random() < self.lossy
            delay = self.rng.uniform(5, 90) if late else self.rng.uniform(0.01, 0.2)
            self._world_task(self._call_back(callback, delay))

    async def _call_back(self, callback: StatusCallback, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            await self._machine.ask(lambda app: app.watch.call_status(callback))
        except Exception as error:
            if not is_down(error):
                raise


__all__ = ["Made", "Network", "Witness"]
