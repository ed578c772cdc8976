"""One simulated day: the world acts, faults happen, the auditor looks on; then the faults end and all must be well."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import structlog

from connectors.checkin_json import read_checkin
from connectors.ports import ActionIn, ApiProblem, Head, Loaded, OutboundMessage, Record
from monitor import scheduler
from monitor.engine import fold
from tests.simulation.auditor import Auditor, Book, Violation, duty_at
from tests.simulation.broker import Broker, Stored
from tests.simulation.machine import Machine, SimApp, is_down
from tests.simulation.telephones import Network
from tests.simulation.virtual_time import (
    SimClock,
    StuckError,
    VirtualLoop,
    run_virtually,
    virtual_apscheduler,
)
from tests.simulation.world import CheckIn, Desk, Story, Visit, World, last_visits, make_world, policy_of

CALM = timedelta(minutes=18)
"""How long the liveness phase lasts."""
HOLIDAYS = frozenset({date(2026, 12, 25), date(2026, 12, 28), date(2026, 4, 3), date(2026, 4, 6)})
FATAL = frozenset(
    {
        "a send failed unexpectedly",
        "deadline failed",
        "an input could not be decided",
        "a wake-up failed",
        "words cannot be filled in",
        "fact cannot be folded",
        "snapshot cannot be read",
        "desk given up",
    }
)
"""Lines that the product must never have to write here."""


@dataclass(kw_only=True)
class Outcome:
    """What a run came to."""

    seed: int
    hash: str = ""
    violation: Violation | None = None
    at: datetime | None = None
    log: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Handset:
    """A care worker's telephone: keeps what it has to say until somebody takes it, in order."""

    def __init__(self, run: Run, desk: str, device: str, by_http: bool) -> None:
        self._run, self._desk, self._device, self._by_http = run, desk, device, by_http
        self._queue: list[CheckIn] = []
        self._wake = asyncio.Event()
        self.online = True

    def says(self, checkin: CheckIn) -> None:
        """One more check-in."""
        self._queue.append(checkin)
        if checkin.doubled:
            self._queue.append(checkin)
        self._wake.set()

    def connect(self, *, online: bool) -> None:
        """Into a tunnel, or out of it."""
        self.online = online
        self._wake.set()

    async def work(self) -> None:
        """Send what waits."""
        rng = self._run.rng
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and self.online:
                await asyncio.sleep(rng.uniform(0.05, 1.5))
                if self.online and await self._send(self._queue[0]):
                    self._queue.pop(0)
                elif self.online:
                    await asyncio.sleep(rng.uniform(3, 20))

    async def _send(self, checkin: CheckIn) -> bool:
        body = _body(checkin)
        if not self._by_http:
            taken = self._run.broker.publish(self._device, body, checkin.id)
            # the broker's answer may be lost on the way: then the phone says it again
            return taken and self._run.rng.random() >= self._run.lossy_phones
        try:
            await self._run.machine.ask(lambda app: self._request(app, checkin, body))
        except Exception as error:
            if is_down(error):
                return False
            raise
        self._run.auditor.acknowledged(checkin.id, self._desk)
        return self._run.rng.random() >= self._run.lossy_phones

    async def _request(self, app: Any, checkin: CheckIn, body: bytes) -> None:
        seen = read_checkin(body, device=self._device, source="http")
        self._run.auditor.delivered(checkin.id, self._desk)
        await app.watch.check_in(self._desk, seen)


def _body(checkin: CheckIn) -> bytes:
    said: dict[str, Any] = {"id": checkin.id, "kind": checkin.kind, "at": checkin.at.isoformat()}
    if checkin.kind == "elsewhere":
        said |= {"kind": "arrive", "visit": checkin.visit, "lat": 51.50, "lon": 0.02, "accuracy_m": 15}
    elif checkin.named:
        said["visit"] = checkin.visit
    elif checkin.lat is not None:
        said |= {"lat": checkin.lat, "lon": checkin.lon, "accuracy_m": 15}
    return json.dumps(said).encode()


class Run:
    """Everything of one seed."""

    def __init__(
        self, seed: int, hours: float | None, faults: frozenset[str] | None, real_limit_s: float
    ) -> None:
        self.world: World = make_world(seed, hours, faults)
        self.rng = Random(f"run:{seed}")
        self.loop = VirtualLoop(real_limit_s)
        self.clock = SimClock(self.loop, self.world.epoch)
        self.broker = Broker(self.loop, Random(f"broker:{seed}"))
        configs = [desk.config for desk in self.world.desks.values()]
        self.machine = Machine(self.loop, self.clock, seed, configs, self.broker)
        self.network = Network(self.machine, self.world, seed, self)
        self.auditor = Auditor(
            self.clock.true, lambda: self.machine.life, self.machine.evidence, self.machine.outside
        )
        self.machine.telephones, self.machine.journalist = self.network, self
        self.machine.listener = self.auditor
        self.machine.on_change = self._changed
        self.outcome = Outcome(seed=seed)
        self.lossy_phones = 0.0
        self.calm = False
        self._still = False
        self._handsets: dict[str, Handset] = {}
        self._checkins = 0
        self._faults_end = self.world.epoch + self.world.lasts
        self._uploading = {desk: asyncio.Lock() for desk in self.world.desks}

    # --- witness and journalist: what is seen goes to the auditor ---

    def recorded(self, desk: str, facts: Sequence[Record]) -> None:
        """Facts became durable."""
        self.outcome.counts.update(fact.kind for fact in facts)
        self.auditor.recorded(desk, facts)

    def sending(self, message: OutboundMessage) -> None:
        """A message is about to leave."""
        self.auditor.sending(message.key, message.desk, message.to)

    def created(self, message: OutboundMessage, ref: str) -> None:
        """The network has it."""
        self.outcome.counts[f"sent:{message.channel}"] += 1

    def not_created(self, message: OutboundMessage) -> None:
        """The network has refused it."""
        self.auditor.not_created(message.key, message.desk)

    def told_taken(self, key: str, person: str) -> None:
        """Somebody heard "it is yours": they see to it, and often say so on the board."""
        for desk, book in self.auditor.books.items():
            if key in book.messages:
                self.auditor.told_taken(key, desk)
                if self.rng.random() < 0.7:
                    self._go(self._sees_to_it(desk, book.messages[key].alert or "", person))

    async def _sees_to_it(self, desk: str, alert: str, person: str) -> None:
        await asyncio.sleep(self._span(1500))
        action = ActionIn(action="close", by=person, reason="outcome_recorded", note="spoke to the family")
        try:
            await self._insist(lambda app: app.watch.act(desk, alert, action))
        except ApiProblem as problem:
            self.auditor.note(f"{alert} could not be closed: {problem.code}")
        else:
            self.auditor.closed(desk, alert)

    def trouble(self, what: str) -> None:
        """Something that must never happen."""
        self.auditor.trouble(what)

    def _changed(self) -> None:
        app = self.machine.app
        able = app is not None and app.watching and not self._still and not self.auditor.store_broken
        self.auditor.able(able, self.clock.offset)

    # --- the whole ---

    async def main(self) -> None:
        """Safety phase, liveness phase, last words."""
        failed = self.loop.create_future()
        self.auditor.on_violation = lambda: failed.done() or failed.set_result(None)
        work = self.loop.create_task(self._phases())
        await asyncio.wait((work, failed), return_when=asyncio.FIRST_COMPLETED)
        if not failed.done():
            work.result()
        self.outcome.violation = self.auditor.violation

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.create_task(work, context=Context())

    async def _phases(self) -> None:
        self._open_books()
        self.machine.start()
        self._go(self._keep_alive())
        for desk in self.world.desks.values():
            await self._first_upload(desk)
        self._go(self._rounds())
        for desk in self.world.desks.values():
            self._people_act(desk)
        self._start_faults()
        await self._until(self._faults_end)
        await self._calm_down()
        await self._last_words()

    def _retain(self, desk: Desk) -> None:
        """An old message that the broker keeps for good: it must never mean anything."""
        worker = next(one for one in desk.people.values() if one.device is not None)
        visit = next(visit for visit in desk.visits.values() if worker.id in visit.workers)
        checkin = CheckIn(
            id=f"retained-{desk.id}",
            desk=desk.id,
            device=worker.device or "",
            kind="arrive",
            at=visit.start,
            visit=visit.id,
            worker=worker.id,
            named=True,
        )
        self.auditor.gives(checkin.id, desk.id, "retained", visit.id, worker.id, visit.start)
        kept = Stored(mid=0, device=checkin.device, body=_body(checkin), checkin=checkin.id, retained=True)
        self.broker.retained.append(kept)

    def _open_books(self) -> None:
        for desk in self.world.desks.values():
            policy = desk.config.policy
            self._retain(desk)
            self.auditor.books[desk.id] = Book(
                zone=policy.zone,
                staff={one.number: one.id for one in desk.people.values() if one.role == "staff"},
                on_duty=_duty(desk),
                late_after=policy.late_after,
                critical_late_after=policy.time_critical_late_after,
                plan_freeze=policy.plan_freeze,
                public=desk.config.public,
                holds_public=policy.hold_public + policy.ask_public,
                service_users={
                    one.number: one.id for one in desk.people.values() if one.role == "service_user"
                },
            )

    async def _until(self, at: datetime) -> None:
        await asyncio.sleep(max(0.0, (at - self.clock.true()).total_seconds()))

    async def _rounds(self) -> None:
        """The auditor looks round every few minutes."""
        while True:
            await asyncio.sleep(60 if self.world.style == "quick" else 240)
            self.auditor.look_round()

    # --- the process ---

    async def _keep_alive(self) -> None:
        """A supervisor: whatever ended the process, it is started again."""
        while True:
            task = self.machine.task
            assert task is not None
            await asyncio.wait((task,))
            if not task.cancelled() and (error := task.exception()) is not None:
                self.auditor.note(f"the process ended: {error!r}")
                if not is_down(error):
                    self.auditor.trouble(f"the process ended with {error!r}")
            self.machine.ended()
            self.auditor.crashed()
            self._check_journals()
            await asyncio.sleep(self._down_time())
            self.outcome.counts["lives"] += 1
            self.auditor.note("start")
            self.machine.start()

    def _down_time(self) -> float:
        if self.calm:
            return 1.0
        longest = (1, 3, 20, 120, 900) if self.world.style == "quick" else (1, 3, 20, 300, 1800, 8000)
        return self.rng.uniform(0.3, self.rng.choice(longest))

    def _check_journals(self) -> None:
        for desk in self.world.desks:
            self.machine.note_journal(desk)
            self.auditor.same_journal(desk, self.machine.journal(desk))

    # --- uploads ---

    async def _first_upload(self, desk: Desk) -> None:
        await self._insist(lambda app: app.watch.put_people(desk.id, desk.people_body()))
        await self._upload(desk, {"visits": [visit.row() for visit in desk.visits.values()]}, ())

    async def _upload(self, desk: Desk, body: dict[str, Any], dropped: Sequence[str]) -> bool:
        self.auditor.rota_sent(desk.id, body["visits"])
        try:
            await self._insist(lambda app: app.watch.put_rota(desk.id, body, "st-1"))
        except ApiProblem as problem:
            self.auditor.note(f"upload refused: {problem.code}")
            return False
        self.auditor.rota_taken(desk.id, body["visits"], dropped)
        return True

    async def _insist(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """A client that tries until it is answered."""
        while True:
            try:
                return await self.machine.ask(work)
            except Exception as error:
                if not is_down(error):
                    raise
                await asyncio.sleep(self.rng.uniform(1, 10))

    # --- what people do ---

    def _people_act(self, desk: Desk) -> None:
        for one in desk.people.values():
            if one.device is not None:
                by_http = "http" in self.world.faults and self.rng.random() < 0.3
                handset = self._handsets[f"{desk.id}/{one.id}"] = Handset(self, desk.id, one.device, by_http)
                self._go(handset.work())
                if "phones" in self.world.faults and self.rng.random() < 0.3:
                    self._go(self._tunnel(handset))
        for visit in list(desk.visits.values()):
            self._tell_stories(desk, visit)

    def _tell_stories(self, desk: Desk, visit: Visit) -> None:
        for story in visit.stories:
            if story.arrives is not None:
                self._go(self._happens(desk, visit, story, story.kind, story.arrives))
                if story.leaves is not None and story.kind == "arrive":
                    self._go(self._happens(desk, visit, story, "leave", story.leaves))

    async def _happens(self, desk: Desk, visit: Visit, story: Story, kind: str, at: datetime) -> None:
        if at < self.clock.true() or (at > self._faults_end and not self.calm):
            return
        await self._until(at)
        if desk.visits.get(visit.id) is not visit or story not in visit.stories:
            return
        self._checkins += 1
        device, home = desk.people[story.worker].device, desk.people[visit.service_user]
        assert device is not None
        checkin = CheckIn(
            id=f"c{self._checkins}",
            desk=desk.id,
            device=device,
            kind=kind,
            at=self.clock.true(),
            visit=visit.id,
            worker=story.worker,
            named=story.named or kind == "leave",
            lat=home.lat,
            lon=home.lon,
            doubled=story.doubled,
        )
        self.auditor.gives(checkin.id, desk.id, kind, visit.id, story.worker, checkin.at)
        self._handsets[f"{desk.id}/{story.worker}"].says(checkin)

    async def _tunnel(self, handset: Handset) -> None:
        lasts = self.world.lasts.total_seconds()
        await asyncio.sleep(self.rng.uniform(0, lasts * 0.6))
        handset.connect(online=False)
        await asyncio.sleep(self.rng.uniform(0.01, 0.2) * lasts)
        handset.connect(online=True)

    # --- faults ---

    def _start_faults(self) -> None:
        faults: dict[str, tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = {
            "crash": (5, self._crash),
            "store": (3, self._store_fails),
            "broker": (5, self._broker_fails),
            "clock": (2, self._clock_steps),
            "stall": (4, self._stalls),
            "provider": (2, self._provider_fails),
            "rota": (4, self._rota_again),
            "policy": (2, self._policy_changes),
        }
        for name, (often, fault) in faults.items():
            if name in self.world.faults:
                self._go(self._again_and_again(often, fault))
        if "crash" in self.world.faults:
            self.network.crash_at = lambda: not self.calm and self.rng.random() < 0.01
        if "provider" in self.world.faults:
            self.network.faulty = 0.15
        if "callbacks" in self.world.faults:
            self.network.lossy = 0.2
        if "phones" in self.world.faults:
            self.lossy_phones = 0.1

    async def _again_and_again(self, often: int, fault: Callable[[], Coroutine[Any, Any, None]]) -> None:
        mean = self.world.lasts.total_seconds() / often
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / mean))
            if self.calm:
                return
            await fault()

    def _span(self, *choices: float) -> float:
        longest = self.rng.choice(choices)
        return self.rng.uniform(longest / 4, longest) / (5 if self.world.style == "quick" else 1)

    async def _crash(self) -> None:
        if self.machine.app is not None and self.rng.random() < 0.25:
            self.auditor.note("asked to stop")
            self.machine.app.stop()
            return
        self.auditor.note("killed")
        self.machine.kill()

    async def _store_fails(self) -> None:
        self.machine.store.break_with(self.rng.choice(("full", "locked", "read_only", "unreachable")))
        self.auditor.store(broken=True)
        self.auditor.note("the disk takes nothing")
        self._changed()
        await asyncio.sleep(self._span(2, 30, 1200))
        self._mend_store()
        await asyncio.sleep(3)
        self._changed()

    def _mend_store(self) -> None:
        self.machine.store.mend()
        if self.auditor.store_broken:
            self.auditor.note("the disk is back")
            self.auditor.store(broken=False)

    async def _broker_fails(self) -> None:
        if self.rng.random() < 0.4:
            self.broker.cut()
            return
        self.auditor.note("the broker is gone")
        self.broker.up = False
        self.broker.cut()
        await asyncio.sleep(self._span(10, 60, 1500))
        self.broker.up = True
        self.auditor.note("the broker is back")

    async def _clock_steps(self) -> None:
        self.clock.offset = timedelta(seconds=self.rng.choice((-3600, -120, 120, 3600)))
        self.auditor.note(f"the wall clock steps by {self.clock.offset}")
        self._changed()
        await asyncio.sleep(self._span(60, 2400))
        self.clock.offset = timedelta()
        self.auditor.note("the wall clock is right again")
        self._changed()

    async def _stalls(self) -> None:
        if self.machine.app is None:
            return
        life = self.machine.life
        self.auditor.note("stands still")
        self._still = True
        self.auditor.stands_still()
        self.loop.stop_still(life)
        self._changed()
        await asyncio.sleep(self._span(2, 8, 200))
        self._still = False
        if self.loop.still == life:
            self.loop.resume(inputs_first=self.rng.random() < 0.7)
        self.auditor.note("goes on")
        await asyncio.sleep(scheduler.SETTLE_S + 0.5)
        self._changed()

    async def _provider_fails(self) -> None:
        self.auditor.note("the telephone network is down")
        self.network.down = True
        await asyncio.sleep(self._span(20, 600))
        self.network.down = False
        self.auditor.note("the telephone network is back")

    async def _rota_again(self) -> None:
        desk = self.rng.choice(list(self.world.desks.values()))
        async with self._uploading[desk.id]:
            await self._change_rota(desk)

    async def _change_rota(self, desk: Desk) -> None:
        """The same again; or some visits moved or given to somebody else; or some dropped, all confirmed."""
        drawn = self.rng.random()
        now = self.clock.true() + abs(self.clock.offset)
        coming = [v for v in desk.visits.values() if v.start > now + timedelta(minutes=10)]
        if drawn < 0.4 or not coming:
            await self._upload(desk, {"visits": [visit.row() for visit in desk.visits.values()]}, ())
        elif drawn < 0.8:
            await self._move(desk, self.rng.sample(coming, min(3, len(coming))))
        else:
            await self._drop(desk, self.rng.sample(coming, min(2, len(coming))))

    async def _move(self, desk: Desk, visits: Sequence[Visit]) -> None:
        moved = []
        for visit in visits:
            later = timedelta(minutes=self.rng.choice((-5, 15, 30))) / (
                10 if self.world.style == "quick" else 1
            )
            stories = [
                replace(
                    story,
                    arrives=story.arrives + later if story.arrives else None,
                    leaves=story.leaves + later if story.leaves else None,
                )
                for story in visit.stories
            ]
            moved.append(replace(visit, start=visit.start + later, stories=stories))
        # the care workers go by what the office said, whether or not we have heard of it yet
        for visit in moved:
            desk.visits[visit.id] = visit
            self._tell_stories(desk, visit)
        await self._upload(desk, {"visits": [visit.row() for visit in moved]}, ())

    async def _drop(self, desk: Desk, visits: Sequence[Visit]) -> None:
        for visit in visits:
            del desk.visits[visit.id]
        begin = min(visit.start for visit in visits)
        kept = [visit.row() for visit in desk.visits.values()]
        body = {
            "visits": kept,
            "covers": {"from": begin.isoformat(), "to": (self._faults_end + timedelta(days=1)).isoformat()},
            "complete": True,
            "confirm": True,
        }
        await self._upload(desk, body, [visit.id for visit in visits])

    async def _policy_changes(self) -> None:
        desk = self.rng.choice(list(self.world.desks.values()))
        policy = policy_of(self.rng, self.world.style)
        desk.config = msgspec.structs.replace(desk.config, policy=policy)
        configs = [one.config for one in self.world.desks.values()]
        self.machine.configure(configs)
        if policy != self.auditor_policy(desk):
            self.auditor.policy(desk.id, policy.late_after, policy.time_critical_late_after)
        app = self.machine.app
        if app is not None and app.serving:
            self.machine.context.copy().run(app.reload, self.machine.configuration)

    def auditor_policy(self, desk: Desk) -> Any:
        """What the desk was given last, for the sake of not announcing the same twice."""
        book = self.auditor.books[desk.id]
        last = book.policies[-1] if book.policies else (book.late_after, book.critical_late_after)
        return msgspec.structs.replace(
            desk.config.policy, late_after=last[0], time_critical_late_after=last[1]
        )

    # --- the end ---

    async def _calm_down(self) -> None:
        """Everything is mended; from here on all must come right by itself."""
        self.calm = True
        self.auditor.note("calm")
        self.network.faulty = self.network.lossy = self.lossy_phones = 0.0
        self.network.down = False
        self.broker.up = True
        self.clock.offset = timedelta()
        self._mend_store()
        if self.loop.still is not None:
            self.loop.resume()
        self._still = False
        for handset in self._handsets.values():
            handset.connect(online=True)
        while self.machine.app is None or not self.machine.app.watching:
            await asyncio.sleep(1)
        await asyncio.sleep(5)
        self._changed()
        healed_at = self.clock.true()
        for desk in self.world.desks.values():
            self._go(self._last_visits(desk))
        await asyncio.sleep(CALM.total_seconds())
        self.auditor.look_round()
        self.auditor.all_offered(healed_at)

    async def _last_visits(self, desk: Desk) -> None:
        visits = last_visits(self.rng, desk, self.clock.true())
        for visit in visits:
            desk.visits[visit.id] = visit
            self._tell_stories(desk, visit)
        async with self._uploading[desk.id]:
            await self._upload(desk, {"visits": [visit.row() for visit in visits]}, ())

    async def _last_words(self) -> None:
        """Every promise is kept, and folding the journal gives the state that the process has."""
        app = self.machine.app
        assert app is not None
        heads = [await self._replayed(app, desk) for desk in self.world.desks]
        self._check_journals()
        self.auditor.all_kept()
        self.outcome.hash = hashlib.sha256(b"".join(heads)).hexdigest()
        self.outcome.counts["facts"] = sum(len(self.machine.journal(desk)) for desk in self.world.desks)

    async def _replayed(self, app: SimApp, desk: str) -> bytes:
        """Folding the desk's journal gives the state that the process has. Returns the journal's head."""
        engine = app.watch.shells[desk].engine
        while engine.state.seq > len(self.machine.journal(desk)):
            await asyncio.sleep(0.01)
        facts = tuple(self.machine.journal(desk))
        if fold(_loaded(facts)).values != engine.state.values:
            self.auditor.fail("replay", f"{desk}: folding the journal gives another state")
        return facts[-1].hash


def _loaded(facts: tuple[Record, ...]) -> Loaded:
    return Loaded(
        head=Head(), snapshots=(), tail=facts, people=(), people_rev=0, input_position=None, secret=b""
    )


def _duty(desk: Desk) -> Callable[[datetime], frozenset[str]]:
    zone = desk.config.policy.zone
    return lambda at: duty_at(desk.shifts, zone, HOLIDAYS, at)


@contextmanager
def _listening(run: Run) -> Iterator[None]:
    """The product's log goes to the auditor's; some lines must never be written."""

    def hear(_logger: object, level: str, event: MutableMapping[str, Any]) -> Any:
        text = str(event.get("event"))
        run.auditor.note(f"log {level}: {text} { ({k: v for k, v in event.items() if k != 'event'}) }")
        if text in FATAL and run.auditor.violation is None:
            run.auditor.violation = Violation("trouble", f"the log says: {text} {dict(event)}")
            run.auditor.on_violation()
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


def simulate(
    seed: int,
    *,
    hours: float | None = None,
    faults: frozenset[str] | None = None,
    real_limit_s: float = 120.0,
) -> Outcome:
    """Run one seed. A violated rule is in the outcome; whatever else goes wrong is one too."""
    run = Run(seed, hours, faults, real_limit_s)
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)

    def unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Violation) and run.auditor.violation is None:
            run.auditor.violation = Violation("trouble", f"{context.get('message')}: {error!r}")
            run.auditor.on_violation()

    run.loop.set_exception_handler(unhandled)
    nap = scheduler.LONGEST_SLEEP
    scheduler.LONGEST_SLEEP = (
        timedelta(milliseconds=500) if run.world.style == "quick" else timedelta(seconds=5)
    )
    try:
        with virtual_apscheduler(run.clock), _listening(run):
            run_virtually(run.loop, run.main())
    except (StuckError, Exception) as error:
        run.outcome.violation = run.auditor.violation or Violation("stuck", repr(error))
        if run.auditor.violation is None:
            run.outcome.violation.__cause__ = error
    finally:
        scheduler.LONGEST_SLEEP = nap
    run.outcome.at = run.clock.true()
    run.outcome.log = run.auditor.log
    return run.outcome
