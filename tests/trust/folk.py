"""The people of an office's day: care workers on their runs, service users, staff; and how they answer.

What is true is decided here and by nobody else: who stood in which home from when to when. The product hears of it by
check-ins, positions, texts and keys alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Literal

from connectors.ports import SeenCheckIn
from monitor.core.views import Script
from tests.simulation.handsets import body_of
from tests.simulation.machine import Machine
from tests.simulation.telephones import (
    ASKED_WHERE,
    CODE,
    GIVE_BACK,
    HOLDER,
    NOT_LEFT,
    OFFERED,
    Made,
    Network,
    Witness,
)
from tests.simulation.world import CheckIn, Desk, Someone, Visit, World
from tests.trust.habits import Habits
from tests.trust.office import drive_min

SOON = (1.0, 7.0)
"""Minutes until a text is seen by somebody who has the phone within reach."""
NEVER = ("cannot", "asleep", "unaware")
"""Why nobody comes: they know and say so when asked; they sleep; nobody told them that the visit is theirs."""

Answer = Literal["there", "on_my_way", "cannot"]


@dataclass(kw_only=True)
class Truth:
    """What really happened at one visit."""

    visit: Visit
    never: str | None = None
    forgets: bool = False
    inside_at: datetime | None = None
    left_at: datetime | None = None
    pressed_at: datetime | None = None
    seen_by_position: bool = False
    by: str = ""


@dataclass(kw_only=True)
class Asked:
    """What the journal says that a message is about."""

    purpose: str
    template: str
    visit: str | None


class Folk(Network):
    """The telephone network with these people on it."""

    def __init__(
        self, machine: Machine, world: World, desk: Desk, seed: int, habits: Habits, witness: Witness
    ) -> None:
        super().__init__(machine, world, seed, witness)
        self.desk, self.habits, self.machine = desk, habits, machine
        self.truth = {visit.id: Truth(visit=visit) for visit in desk.visits.values()}
        self.asked: dict[str, Asked] = {}
        rng = Random(f"folk:{seed}")
        self.workers = {
            one.id: Worker(self, one, Random(f"{seed}:{one.id}"))
            for one in desk.people.values()
            if one.role == "care_worker"
        }
        for truth in self.truth.values():
            truth.never = rng.choice(NEVER) if rng.random() < habits.never_comes else None
            truth.forgets = rng.random() < habits.forgets

    def hand_in(self, seen: SeenCheckIn) -> None:
        """A position that a connector has read."""
        app = self.machine.app
        assert app is not None
        self.machine.context.copy().run(app.watch.check_in, self.desk.id, seen)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Somebody does something in their own time."""
        self.machine.loop.create_task(work, context=Context())

    def minutes(self, least: float, most: float) -> float:
        """Seconds, from minutes."""
        return self.rng.uniform(least, most) * 60

    # --- texts ---

    async def read(self, made: Made, someone: Someone) -> None:
        """Staff and care workers answer texts; service users of this office are rung."""
        about = self.asked.get(made.message.key)
        if someone.role == "care_worker" and about is not None:
            await self.workers[someone.id].reads(made, about)
        elif someone.role == "staff":
            found = CODE.search(made.message.body) or HOLDER.search(made.message.body)
            if found is not None and self.rng.random() < self.habits.staff_texts:
                await asyncio.sleep(self.minutes(0.3, 3))
                await self.text_us(made, someone, found[1])

    # --- calls ---

    def who_answers(self, made: Made, someone: Someone) -> Literal["human", "machine", "nobody"]:
        """A human, or nobody: what a voicemail does is the simulation's to find out."""
        if someone.role == "care_worker":
            taken = self.workers[someone.id].picks_up(self.asked.get(made.message.key))
            return "human" if taken else "nobody"
        share = self.habits.staff_answers if someone.role == "staff" else self.habits.user_answers
        return "human" if self.rng.random() < share else "nobody"

    def press(self, made: Made, script: Script, someone: Someone) -> str:
        """The key that they press at this step."""
        about = self.asked.get(made.message.key)
        if someone.role == "staff":
            return "1" if script.step.startswith("wake") else "2"
        if someone.role == "care_worker":
            return self.workers[someone.id].presses(script, about)
        if self.rng.random() >= self.habits.user_presses:
            return ""
        with_them = about is not None and about.visit is not None and self.somebody_inside(about.visit)
        return "3" if with_them else "1"

    def somebody_inside(self, visit: str) -> bool:
        """A care worker is in that home now."""
        truth = self.truth[visit]
        return truth.inside_at is not None and truth.left_at is None


@dataclass(kw_only=True)
class _Unread:
    made: Made
    about: Asked


@dataclass(kw_only=True)
class _Doing:
    """Where a care worker is now. `at` None: on the road, or at home."""

    at: Truth | None = None
    driving: bool = False
    free_again: datetime | None = None
    unread: list[_Unread] = field(default_factory=list)


class Worker:
    """One care worker: her run, her telephone, what she forgets."""

    def __init__(self, folk: Folk, one: Someone, rng: Random) -> None:
        self._folk, self.one, self._seed = folk, one, rng.random()
        self._dice: dict[str, Random] = {}
        self._life = Random(f"life:{self._seed}")
        """What happens to her: the same day whatever she answers."""
        self._habits = folk.habits
        self.attentive = rng.random() < folk.habits.attentive
        self.positions = rng.random() < folk.habits.shares_position
        self._doing = _Doing()
        self._sent = 0
        self._asleep_until: datetime | None = None
        run = [v for v in folk.desk.visits.values() if v.workers == (one.id,)]
        self._run = sorted(run, key=lambda visit: visit.start)
        self._reminded: dict[str, int] = {}
        self.given_away: set[str] = set()
        """Visits that somebody else makes now."""
        self._where = folk.desk.people[self._run[0].service_user]
        self._next = 0

    def _die(self, visit: str | None) -> Random:
        """How she answers about this visit: her own die for each, so that what the product does elsewhere moves
        nothing here."""
        key = visit or ""
        return self._dice.setdefault(key, Random(f"{self._seed}:{key}"))

    # --- the run ---

    def now(self) -> datetime:
        return self._folk.machine.clock.true()

    async def work(self) -> None:
        """Through the run, visit by visit."""
        await self._until(self._run[0].start - timedelta(minutes=40))
        for n, visit in enumerate(self._run):
            self._next = n
            truth = self._folk.truth[visit.id]
            if truth.never is not None:
                if truth.never == "asleep":
                    self._asleep_until = visit.start + timedelta(minutes=self._life.uniform(45, 100))
                    await self._until(self._asleep_until)
                continue
            await self._travel(visit)
            if visit.id in self.given_away:
                continue
            await self._visit(truth)
        self._next = len(self._run)

    async def _until(self, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - self.now()).total_seconds()))

    async def _travel(self, visit: Visit) -> None:
        """Not much before the start, and not much after it if nothing is in the way."""
        home = self._folk.desk.people[visit.service_user]
        minutes = drive_min(self._where, home) * self._life.uniform(0.8, 1.5)
        arrives = visit.start + timedelta(minutes=self._life.triangular(-8, 12, 0))
        await self._until(arrives - timedelta(minutes=minutes))
        self._doing.driving = True
        legs = max(1, round(minutes / 3))
        for leg in range(legs):
            self._fix(self._where, home, leg / legs)
            await asyncio.sleep(minutes * 60 / legs)
        self._where, self._doing.driving = home, False

    async def _visit(self, truth: Truth) -> None:
        visit = truth.visit
        truth.inside_at, truth.by, self._doing.at = self.now(), self.one.id, truth
        self._reads_unread()
        if not truth.forgets:
            self._press("arrive", truth)
        shows = self.positions and self._life.random() >= self._habits.position_fails
        stays = visit.minutes * self._life.uniform(0.7, 1.05)
        if self._life.random() < self._habits.overruns:
            stays += self._life.uniform(25, 60)
        first = 3.0
        if shows:
            truth.seen_by_position = True
            await asyncio.sleep(30)
            self._fix(self._where, self._where, 0)
            await asyncio.sleep(150)
            self._fix(self._where, self._where, 0)
        else:
            await asyncio.sleep(first * 60)
        await asyncio.sleep((stays - first) * 60)
        truth.left_at, self._doing.at = self.now(), None
        if truth.pressed_at is None and self._life.random() < self._habits.remembers_leaving:
            self._press("arrive", truth)
        self._reads_unread()
        if truth.pressed_at is not None:
            self._press("leave", truth)

    # --- the telephone as a handset ---

    def _press(self, kind: str, truth: Truth) -> None:
        """A check-in, pressed now."""
        if kind == "arrive":
            truth.pressed_at = truth.pressed_at or self.now()
        self._sent += 1
        home = self._folk.desk.people[truth.visit.service_user]
        checkin = CheckIn(
            id=f"{self.one.id}-{self._sent}",
            desk=self._folk.desk.id,
            device=self.one.device or "",
            kind=kind,
            at=self.now(),
            visit=truth.visit.id,
            worker=self.one.id,
            named=True,
            lat=home.lat,
            lon=home.lon,
        )
        self._folk.machine.broker.publish(checkin.device, body_of(checkin), checkin.id)

    def _fix(self, start: Someone, end: Someone, share: float) -> None:
        """A position on the way, for those whose phones send them."""
        if not self.positions:
            return
        assert start.lat is not None
        assert start.lon is not None
        assert end.lat is not None
        assert end.lon is not None
        self._sent += 1
        key = f"{self.one.id}-{self._sent}"
        seen = SeenCheckIn(
            source="mqtt",
            kind="fix",
            at=self.now(),
            device=self.one.device,
            natural_key=key,
            raw=key.encode(),
            id=key,
            lat=start.lat + (end.lat - start.lat) * share,
            lon=start.lon + (end.lon - start.lon) * share,
            accuracy_m=20.0,
        )
        self._folk.hand_in(seen)

    # --- texts ---

    async def reads(self, made: Made, about: Asked) -> None:
        """Now, in a while, or when there is time; nobody reads at the wheel."""
        waits = _Unread(made=made, about=about)
        if self._asleep_until is not None and self.now() < self._asleep_until:
            await self._until(self._asleep_until)
        if self._doing.driving:
            self._doing.unread.append(waits)
        elif self._doing.at is not None:
            share = self._habits.notices if self.attentive else self._habits.notices_bag
            if self._die(about.visit).random() >= share:
                self._doing.unread.append(waits)
                return
            await asyncio.sleep(self._die(about.visit).uniform(*SOON) * 60)
            await self._acts(waits)
        elif self._die(about.visit).random() < self._habits.reads_idle:
            await asyncio.sleep(self._die(about.visit).uniform(0.5, 10) * 60)
            await self._acts(waits)

    def _reads_unread(self) -> None:
        """Arrived, or outside again: what the phone has kept is seen now."""
        waiting, self._doing.unread = self._doing.unread, []
        if waiting:
            waits = waiting[-1]
            self._folk.spawn(self._later(waits, self._die(waits.about.visit).uniform(0.5, 2) * 60))

    async def _later(self, waits: _Unread, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._acts(waits)

    async def _acts(self, waits: _Unread) -> None:
        about, body = waits.about, waits.made.message.body
        if about.visit is None:
            return
        if about.template == "CW-3":
            await self._is_reminded(self._folk.truth[about.visit])
        elif about.template == "CW-9":
            self.given_away.add(about.visit)
        elif (found := OFFERED.search(body)) is not None:
            await self._offered(waits, about.visit, found)
        elif about.template == "CW-8":
            await self._has_it(waits, about.visit)
        elif (found := ASKED_WHERE.search(body)) is not None:
            await self._asked(waits, about.visit, found)
        elif (found := NOT_LEFT.search(body)) is not None:
            gone = self._folk.truth[about.visit].left_at is not None
            await self._folk.text_us(waits.made, self.one, found[1] if gone else found[2])

    async def _asked(self, waits: _Unread, visit: str, codes: re.Match[str]) -> None:
        truth = self._folk.truth[visit]
        if truth.inside_at is not None:
            if truth.pressed_at is None and self._die(visit).random() < self._habits.acts:
                if self._die(visit).random() >= self._habits.only_checks_in:
                    await self._folk.text_us(waits.made, self.one, codes[1])
                await self._checks_in_late(truth)
            return
        answer = self._comes(truth)
        if answer == "cannot":
            await self._folk.text_us(waits.made, self.one, codes[3])
        elif answer == "on_my_way":
            await self._folk.text_us(waits.made, self.one, f"{codes[2]} {self._minutes_to(truth)}")

    async def _is_reminded(self, truth: Truth) -> None:
        """The thanks for *there* ask for the check-in; whoever has forgotten it again is reminded by the next."""
        seen = self._reminded[truth.visit.id] = self._reminded.get(truth.visit.id, 0) + 1
        if seen > 1 and truth.pressed_at is None and self._die(truth.visit.id).random() < self._habits.acts:
            await self._checks_in_late(truth)

    async def _checks_in_late(self, truth: Truth) -> None:
        if self._die(truth.visit.id).random() < self._habits.forgets_again:
            return
        await asyncio.sleep(self._die(truth.visit.id).uniform(0.5, 3) * 60)
        if truth.pressed_at is None:
            self._press("arrive", truth)

    def _comes(self, truth: Truth) -> Answer | None:
        """What somebody says who is not there; None: nothing."""
        if truth.never is None:
            return "on_my_way" if self._die(truth.visit.id).random() < self._habits.acts else None
        return "cannot" if self._die(truth.visit.id).random() < self._habits.says_cannot else None

    def _minutes_to(self, truth: Truth) -> int:
        """Their own guess: half of the time that it really takes is hoped away by some."""
        home = self._folk.desk.people[truth.visit.service_user]
        left = 0.0
        here = self._doing.at
        if here is not None and here.inside_at is not None:
            left = max(here.visit.minutes - (self.now() - here.inside_at) / timedelta(minutes=1), 5)
        return max(
            round((left + drive_min(self._where, home)) * self._die(truth.visit.id).uniform(0.8, 1.3)), 1
        )

    # --- calls ---

    def picks_up(self, about: Asked | None) -> bool:
        """Nobody does at the wheel, or asleep."""
        if self._doing.driving or (self._asleep_until is not None and self.now() < self._asleep_until):
            return False
        share = self._habits.picks_up if self._doing.at is not None else self._habits.reads_idle
        return self._die(about.visit if about else None).random() < (share if self.attentive else share / 2)

    def presses(self, script: Script, about: Asked | None) -> str:
        """CWV-1: 1 there, 2 and minutes, 3 cannot. CWV-110: 1 left, 2 still there."""
        if about is None or about.visit is None:
            return ""
        if about.template == "CWV-110":
            return "1" if self._folk.truth[about.visit].left_at is not None else "2"
        if about.template != "CWV-1":
            return ""
        truth = self._folk.truth[about.visit]
        if script.step.startswith("minutes"):
            return str(self._minutes_to(truth))
        if truth.inside_at is not None:
            if truth.pressed_at is None:
                self._folk.spawn(self._checks_in_late(truth))
            return "1"
        return {"cannot": "3", "on_my_way": "2", None: ""}[self._comes(truth)]

    # --- cover for somebody else ---

    def _is_free(self, minutes: float) -> bool:
        """Not in a visit, and no visit of her own for as long as this would take."""
        if self._doing.at is not None or self._doing.driving or self._asleep_until is not None:
            return False
        coming = [visit.start for visit in self._run[self._next :] if visit.start > self.now()]
        return not coming or min(coming) - self.now() > timedelta(minutes=minutes)

    async def _offered(self, waits: _Unread, visit: str, codes: re.Match[str]) -> None:
        truth = self._folk.truth[visit]
        drive = drive_min(self._where, self._folk.desk.people[truth.visit.service_user])
        wants = self._die(visit).random() < self._habits.goes
        if wants and self._is_free(truth.visit.minutes + 2 * drive):
            await self._folk.text_us(waits.made, self.one, codes[1])
        elif self._die(visit).random() < self._habits.goes:
            await self._folk.text_us(waits.made, self.one, codes[2])

    async def _has_it(self, waits: _Unread, visit: str) -> None:
        back = GIVE_BACK.search(waits.made.message.body)
        if back is not None and self._die(visit).random() < self._habits.cannot_after_all:
            await asyncio.sleep(self._die(visit).uniform(1, 15) * 60)
            await self._folk.text_us(waits.made, self.one, back[1])
        else:
            await self._goes(self._folk.truth[visit])

    async def _goes(self, truth: Truth) -> None:
        """A replacement's visit, with their check-in."""
        drive = drive_min(self._where, self._folk.desk.people[truth.visit.service_user])
        await asyncio.sleep(drive * self._die(truth.visit.id).uniform(0.9, 1.4) * 60)
        if truth.inside_at is not None:
            return
        truth.inside_at, truth.by = self.now(), self.one.id
        self._press("arrive", truth)
        await asyncio.sleep(truth.visit.minutes * 60)
        truth.left_at = self.now()
        self._press("leave", truth)
