"""One day of an office in virtual time, through the real core and shell; what the journal says of it is kept."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import structlog

from connectors.ports import ActionIn, OutboundMessage, Record
from monitor import scheduler
from tests.simulation.broker import Broker
from tests.simulation.machine import Machine
from tests.simulation.virtual_time import SimClock, VirtualLoop, run_virtually, virtual_apscheduler
from tests.simulation.world import World
from tests.trust.folk import Asked, Folk, Truth
from tests.trust.habits import Habits
from tests.trust.office import AREAS, DESK, make_office

FIRST_DAY = datetime.fromisoformat("2026-11-23T00:00:00Z")
BEGINS, ENDS = timedelta(hours=5), timedelta(hours=24)


@dataclass(kw_only=True)
class Seen:
    """One fact as the figures read it: ids translated back into the office's own."""

    at: datetime
    kind: str
    subject: str
    body: dict[str, Any]


@dataclass(kw_only=True)
class Played:
    """A day that was played: what happened, and what the product made of it."""

    truth: dict[str, Truth]
    facts: list[Seen] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


class _Day:
    """Holds the parts together, and listens."""

    def __init__(self, seed: int, habits: Habits, areas: int, real_limit_s: float) -> None:
        midnight = FIRST_DAY + timedelta(days=seed % 5)
        self.desk = make_office(Random(f"office:{seed}"), midnight, areas)
        self.epoch = midnight + BEGINS
        self.world = World(
            seed=seed,
            style="day",
            epoch=self.epoch,
            lasts=ENDS - BEGINS,
            desks={DESK: self.desk},
            faults=frozenset(),
        )
        self.loop = VirtualLoop(real_limit_s)
        self.clock = SimClock(self.loop, self.epoch)
        broker = Broker(self.loop, Random(f"broker:{seed}"))
        self.machine = Machine(self.loop, self.clock, seed, [self.desk.config], broker)
        self.folk = Folk(self.machine, self.world, self.desk, seed, habits, self)
        self.machine.telephones, self.machine.journalist, self.machine.listener = self.folk, self, self
        self.played = Played(truth=self.folk.truth)
        self._names: dict[str, str] = {}
        self._open: dict[str, str] = {}
        """Alerts that are open, with their kind."""

    async def main(self) -> None:
        self.machine.start()
        desk = self.desk
        await self._up()
        await self.machine.ask(lambda app: app.watch.put_people(desk.id, desk.people_body()))
        rows = [visit.row() for visit in desk.visits.values()]
        await self.machine.ask(lambda app: app.watch.put_rota(desk.id, {"visits": rows}, "st-1"))
        for worker in self.folk.workers.values():
            self.loop.create_task(worker.work(), context=Context())
        await _sleep_until(self.clock, self.epoch - BEGINS + ENDS)

    async def _up(self) -> None:
        while self.machine.app is None or not self.machine.app.watching:
            await asyncio.sleep(1)

    # --- what is seen ---

    def recorded(self, desk: str, facts: Sequence[Record]) -> None:
        """Facts became durable."""
        self._names = self.machine.outside(desk)
        for fact in facts:
            body = json.loads(fact.body)
            for key in ("visit", "worker", "person", "about"):
                if isinstance(body.get(key), str):
                    body[key] = self._names.get(body[key], body[key])
            subject = self._names.get(fact.subject or "", fact.subject or "")
            at = datetime.fromisoformat(fact.at)
            self.played.facts.append(Seen(at=at, kind=fact.kind, subject=subject, body=body))
            if fact.kind == "MessageIntended":
                self.folk.asked[subject] = Asked(
                    purpose=body["purpose"], template=body["template"], visit=body.get("visit")
                )
            elif fact.kind == "AlertRaised":
                self._open[subject] = body["kind"]
            elif fact.kind == "AlertEnded":
                self._open.pop(subject, None)
            elif fact.kind == "AlertTaken":
                self.folk.spawn(self._sees_to_it(subject, self._names.get(body["by"], body["by"])))
            elif fact.kind == "WatchFault":
                self.trouble(f"the watch failed on {subject}")

    async def _sees_to_it(self, alert: str, by: str) -> None:
        """Whoever has it rings round, and records how it ended; a visit that nobody made when the hour is well over."""
        late = self._open.get(alert) in ("late_visit", "second_worker_missing")
        await asyncio.sleep(90 * 60 if late else 15 * 60)
        if alert in self._open:
            done = ActionIn(action="close", by=by, reason="other", note="spoke to everybody")
            await self.machine.ask(lambda app: app.watch.act(self.desk.id, alert, done))

    def sending(self, message: OutboundMessage) -> None:
        """A message is about to leave."""

    def trouble(self, what: str) -> None:
        """Something that must never happen."""
        self.played.troubles.append(what)

    def created(self, message: OutboundMessage, ref: str) -> None:
        """The network has it."""

    def not_created(self, message: OutboundMessage) -> None:
        """It never refuses here."""

    def told_taken(self, key: str, person: str) -> None:
        """Somebody on duty has it."""

    def delivered(self, checkin: str, desk: str) -> None:
        """A check-in was read."""

    def acknowledged(self, checkin: str, desk: str) -> None:
        """And is kept."""


async def _sleep_until(clock: SimClock, at: datetime) -> None:
    await asyncio.sleep(max(0.0, (at - clock.true()).total_seconds()))


@contextmanager
def _listening(day: _Day) -> Iterator[None]:
    """What the product logs as an error is a trouble."""

    def hear(_logger: object, level: str, event: MutableMapping[str, Any]) -> Any:
        if level in ("error", "critical", "exception"):
            day.trouble(f"the log says: {event.get('event')}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[hear],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def play(seed: int, habits: Habits, *, areas: int = AREAS, real_limit_s: float = 300.0) -> Played:
    """Play the day of a seed. Raises what the product raises, and StuckError when it takes too long."""
    day = _Day(seed, habits, areas, real_limit_s)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    nap, scheduler.LONGEST_SLEEP = scheduler.LONGEST_SLEEP, timedelta(seconds=20)
    try:
        with virtual_apscheduler(day.clock), _listening(day):
            run_virtually(day.loop, day.main())
    finally:
        scheduler.LONGEST_SLEEP = nap
    return day.played
