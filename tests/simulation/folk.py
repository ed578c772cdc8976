"""People who behave by the seed: care workers, families, service users, staff, council desks, on their telephones.

Who they are stands in `world.Someone` (`temper`, `answers`, `texts_back`); what they do with a question is drawn here,
from the network's own die. They keep what they say, or not: who is on the way may come in time, late, or never.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from connectors.ports import OutboundMessage
from monitor.core.views import Script
from tests.simulation.machine import Machine, is_down
from tests.simulation.telephones import (
    ASKED,
    ASKED_WHERE,
    CODE,
    DEALS,
    GIVE_BACK,
    HOLDER,
    NOT_LEFT,
    OFFERED,
    Made,
    Network,
)
from tests.simulation.world import Someone, World

HOLDS_ALL = re.compile(r"Reply (\d+) all still mine, (\d+) pass all on")
NOT_WELL = re.compile(r"Reply (\d+) if not and we ring")
SECOND = re.compile(r"Reply (\d+) .+ is here, (\d+) not here")
FAMILY = re.compile(r"Reply (\d+) I have spoken to .+?, (\d+) ring me, (\d+) I can go")
LONG_TALK = 90
"""Seconds that two people who were joined talk at most."""

WHERE: Mapping[str, tuple[tuple[str, int], ...]] = {
    "steady": (("there", 2), ("kept", 5), ("missed", 1), ("cannot", 3), ("nothing", 2)),
    "hopeful": (("there", 3), ("missed", 5), ("twice", 1), ("nothing", 2)),
    "muddled": (
        ("nonsense", 3),
        ("stale", 3),
        ("twice", 2),
        ("cannot", 2),
        ("help", 1),
        ("stop", 1),
        ("kept", 2),
    ),
    "eager": (("kept", 4), ("there", 2), ("twice", 2), ("cannot", 1)),
}
"""What a care worker says who is asked where they are, by their temper, with weights."""
COVER: Mapping[str, tuple[tuple[str, int], ...]] = {
    "steady": (("go", 2), ("no", 2), ("nothing", 2), ("late", 1)),
    "hopeful": (("go", 3), ("gives_back", 2), ("never_comes", 2), ("nothing", 1)),
    "muddled": (("nonsense", 2), ("stale", 2), ("go", 1), ("no", 1), ("twice", 1)),
    "eager": (("instant", 6), ("go", 3), ("late", 2)),
}
"""The same of somebody who is offered a visit."""
WORDS = (
    "who is this",
    "sat nav broke lol",
    "ok thanks",
    "my phone is new",
    "12",
    "??",
    "yes",
    "in the garden",
)
NOT_TODAY = ("please dont come today", "no need to come today thank you")


@dataclass(frozen=True, kw_only=True)
class About:
    """What the journal says that a message is about, in the caller's ids."""

    template: str
    visit: str | None


class Day(Protocol):
    """Who is told what was sent, what was heard, and who goes where."""

    def created(self, message: OutboundMessage, ref: str) -> None:
        """The network has it."""

    def not_created(self, message: OutboundMessage) -> None:
        """The network has refused it."""

    def told_taken(self, key: str, person: str) -> None:
        """Somebody was told that it is theirs."""

    def about(self, key: str) -> About | None:
        """What that message is about."""

    def comes(self, desk: str, visit: str, worker: str, at: datetime) -> None:
        """A care worker will be at that visit then, and check in."""

    def elsewhere(self, number: str) -> Someone | None:
        """Who has this telephone, of a desk that has no visits."""


class Folk(Network):
    """The provider, with these people on it."""

    def __init__(self, machine: Machine, world: World, seed: int, day: Day) -> None:
        super().__init__(machine, world, seed, day)
        self._day = day
        self._codes: dict[str, list[str]] = {}
        self._rooms: dict[str, dict[str, int]] = {}

    def elsewhere(self, number: str) -> Someone | None:
        """Brokers and providers too have telephones."""
        return self._day.elsewhere(number)

    def _pick(self, rows: Sequence[tuple[str, int]]) -> str:
        return self.rng.choices([name for name, _ in rows], [weight for _, weight in rows])[0]

    @property
    def _unit(self) -> float:
        """Seconds in what people call a minute here."""
        return 2.0 if self._world.style == "quick" else 60.0

    def _now(self) -> datetime:
        return self._machine.clock.true()

    # --- texts ---

    async def read(self, made: Made, someone: Someone) -> None:
        """A text has reached them."""
        about = self._day.about(made.message.key)
        known = self._codes.setdefault(someone.number, [])
        stale = known[-1] if known else "13"
        known += re.findall(r"\b(\d{2})\b", made.message.body)[:3]
        if about is None or self.rng.random() >= someone.texts_back * self.responsive:
            return
        quick = self._world.style == "quick"
        await asyncio.sleep(self.rng.uniform(1, 15) if quick else self.rng.uniform(5, 240))
        answers: dict[str, Callable[[Made, Someone, About, str], str | None]] = {
            "care_worker": self._worker,
            "service_user": self._user,
            "contact": self._family,
            "staff": self._staff,
        }
        answer = answers.get(someone.role, self._nobody)(made, someone, about, stale)
        if answer == "at once":
            await self._at_once(made, someone)
        elif answer is not None:
            for words in answer.split("|"):
                await self._says(made, someone, words)

    async def _says(self, made: Made, someone: Someone, words: str) -> None:
        """They text; now and then the process dies right before, or right after it has heard."""
        if self.crash_at():
            self._machine.kill()
        await self.text_us(made, someone, words)
        if self.crash_at():
            self._machine.kill()

    def _nobody(self, made: Made, someone: Someone, about: About, stale: str) -> str | None:
        return None

    def _staff(self, made: Made, someone: Someone, about: About, stale: str) -> str | None:
        for pattern in (CODE, HOLDER, HOLDS_ALL, DEALS):
            found = pattern.search(made.message.body)
            if found is not None:
                return found[2] if self.rng.random() < someone.passes_on else found[1]
        return None

    def _user(self, made: Made, someone: Someone, about: About, stale: str) -> str | None:
        found = ASKED.search(made.message.body)
        if found is None:
            return self.rng.choice((*WORDS, *NOT_TODAY)) if self.rng.random() < 0.05 else None
        if someone.temper == "muddled":
            return self.rng.choice((*WORDS, *NOT_TODAY, "HELP", "STOP", stale, f"{found[1]}|{found[2]}"))
        return found[int(someone.digit)] if someone.digit in ("1", "2", "3") else None

    def _family(self, made: Made, someone: Someone, about: About, stale: str) -> str | None:
        found = FAMILY.search(made.message.body) or ASKED.search(made.message.body)
        if found is None:
            return None
        if someone.temper == "muddled":
            return self.rng.choice((*WORDS, "she is in hospital", stale, found[2]))
        return found[self.rng.choice((1, 1, 2, 3))]

    def _worker(self, made: Made, someone: Someone, about: About, stale: str) -> str | None:
        body = made.message.body
        if (found := ASKED_WHERE.search(body)) is not None:
            return self._where(made, someone, about, found, stale)
        if (found := OFFERED.search(body)) is not None:
            return self._offered(made, someone, about, found, stale)
        if about.template == "CW-8":
            return self._has_it(made, someone, about)
        if (found := NOT_WELL.search(body)) is not None:
            return found[1] if self.rng.random() < 0.05 else None
        if (found := NOT_LEFT.search(body)) is not None:
            return self.rng.choice((found[1], found[2], found[3]))
        if (found := SECOND.search(body)) is not None:
            return found[self.rng.choice((1, 2))]
        return self.rng.choice(WORDS) if self.rng.random() < 0.02 else None

    def _where(
        self, made: Made, someone: Someone, about: About, codes: re.Match[str], stale: str
    ) -> str | None:
        drawn = self._pick(WHERE[someone.temper])
        minutes = self.rng.randrange(3, 25)
        if drawn in ("there", "twice") and self.rng.random() < 0.6:
            self._comes(made, someone, about, self.rng.uniform(0, 2))
        if drawn == "kept":
            self._comes(made, someone, about, minutes * self.rng.uniform(0.5, 1))
        elif drawn == "missed" and self.rng.random() < 0.5:
            self._comes(made, someone, about, minutes * self.rng.uniform(1.3, 3))
        said: dict[str, str | None] = {
            "there": codes[1],
            "kept": f"{codes[2]} {self._said(minutes)}",
            "missed": f"{codes[2]} {self._said(minutes)}",
            "cannot": codes[3],
            "nothing": None,
            "nonsense": self.rng.choice(WORDS),
            "twice": f"{codes[1]}|{self.rng.choice((codes[1], codes[3]))}",
            "stale": stale,
            "help": "HELP",
            "stop": "STOP",
        }
        return said[drawn]

    def _said(self, minutes: int) -> int:
        """As they would say it; where minutes are seconds here, no time is shorter than a minute."""
        return minutes if self._world.style == "day" else max(minutes // 8, 1)

    def _offered(
        self, made: Made, someone: Someone, about: About, codes: re.Match[str], stale: str
    ) -> str | None:
        drawn = self._pick(COVER[someone.temper])
        if drawn == "instant":
            return "at once"
        if drawn == "late":
            self._world_task(self._later(made, someone, codes[1], self.rng.uniform(10, 50)))
            return None
        said: dict[str, str | None] = {
            "go": codes[1],
            "gives_back": codes[1],
            "never_comes": codes[1],
            "no": codes[2],
            "nothing": None,
            "nonsense": self.rng.choice(WORDS),
            "stale": stale,
            "twice": f"{codes[1]}|{codes[1]}",
        }
        return said[drawn]

    async def _later(self, made: Made, someone: Someone, words: str, minutes: float) -> None:
        await asyncio.sleep(minutes * self._unit)
        await self._says(made, someone, words)

    async def _at_once(self, made: Made, someone: Someone) -> None:
        """On the stroke: whoever else does the same answers in the same instant."""
        stroke = 10.0 * self._unit / 60
        await asyncio.sleep(stroke - self._loop.time() % stroke)
        found = OFFERED.search(made.message.body)
        assert found is not None
        await self._says(made, someone, found[1])

    def _has_it(self, made: Made, someone: Someone, about: About) -> str | None:
        back = GIVE_BACK.search(made.message.body)
        if back is not None and self.rng.random() < (0.5 if someone.temper == "hopeful" else 0.1):
            self._world_task(self._later(made, someone, back[1], self.rng.uniform(0, 12)))
        elif someone.temper != "hopeful" or self.rng.random() < 0.5:
            self._comes(made, someone, about, self.rng.uniform(3, 40))
        return None

    def _comes(self, made: Made, someone: Someone, about: About, minutes: float) -> None:
        if about.visit is not None:
            at = self._now() + timedelta(seconds=minutes * self._unit)
            self._day.comes(made.message.desk, about.visit, someone.id, at)

    # --- calls ---

    async def _talk(self, made: Made, someone: Someone, *, silent: bool) -> None:
        """Through the script, key by key. A line that is kept stays, or is put down; two that are joined talk."""
        step, digit = "", None
        for _ in range(40):
            try:
                script = await self._machine.ask(self._step(made.message.key, step, digit))
            except Exception as error:
                if not is_down(error):
                    raise
                return
            if script.step == "taken" and digit == "2":
                self._witness.told_taken(made.message.key, someone.id)
            step, digit = script.step, ""
            if script.room is not None:
                if not await self._in_room(script.room, made, someone):
                    return
            elif script.hold_s is not None:
                if silent or self.rng.random() < 0.1:
                    return
                await asyncio.sleep(script.hold_s)
            elif script.keys:
                await asyncio.sleep(self.rng.uniform(2, 8))
                if not silent and self.rng.random() < 0.05:
                    return
                digit = "" if silent else self.press(made, script, someone)
            else:
                return

    async def _in_room(self, room: str, made: Made, someone: Someone) -> bool:
        """They talk until one of them puts it down. Whether this line goes on afterwards."""
        members = self._rooms.setdefault(room, {})
        members[made.ref] = 1
        met = False
        for _ in range(LONG_TALK // 3):
            await asyncio.sleep(3)
            others = len(members) > 1
            if met and not others:
                break
            met = met or others
            if met and self.rng.random() < 0.1:
                break
        members.pop(made.ref, None)
        return someone.role == "staff" and self.rng.random() < 0.3

    def press(self, made: Made, script: Script, someone: Someone) -> str:
        """The key that they press at this step."""
        about = self._day.about(made.message.key)
        template = about.template if about is not None else ""
        if someone.role == "staff":
            return self._staff_key(script, someone)
        if someone.role == "care_worker":
            return self._worker_key(made, script, someone, about, template)
        if someone.role == "contact":
            return self._family_key(script)
        if template == "SUV-2":
            return self.rng.choice(("1", "1", "2", ""))
        return self.rng.choice(("", "9", "#", "2")) if someone.temper == "muddled" else someone.digit

    def _staff_key(self, script: Script, someone: Someone) -> str:
        if script.step.startswith("wake"):
            return "1"
        if script.step.startswith("urgent"):
            return "3" if self.rng.random() < someone.passes_on else "1"
        if script.step.startswith("tell"):
            return "3" if self.rng.random() < someone.passes_on else "2"
        return self.rng.choice(("4", "5", "6", "", "", ""))

    def _family_key(self, script: Script) -> str:
        if script.step.startswith("hello"):
            return self.rng.choice(("1", "1", "1", "1", "9", ""))
        return self.rng.choice(("1", "1", "2", "3", "*", ""))

    def _worker_key(
        self, made: Made, script: Script, someone: Someone, about: About | None, template: str
    ) -> str:
        if template == "CWV-2":
            return "3" if script.step == "confirm" else self.rng.choice(("1", "1", "2", ""))
        if script.step.startswith("minutes"):
            minutes = self.rng.randrange(3, 25)
            if about is not None and self.rng.random() < 0.6:
                self._comes(made, someone, about, minutes)
            return str(self._said(minutes))
        if template != "CWV-1":
            return ""
        return self.rng.choice(("1", "2", "2", "3", "9", "", "7"))
