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
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any
from unittest.mock import patch

import structlog

from config.load import DeskConfig
from connectors.ports import ActionIn, ApiProblem, Head, Loaded, OutboundMessage, Record
from monitor import desk_shell, scheduler
from monitor.engine import fold
from tests.simulation import placing_rules, referral_rules
from tests.simulation.auditor import Auditor, Book, Violation, duty_at
from tests.simulation.broker import Broker, Stored
from tests.simulation.council import with_council
from tests.simulation.faults import Faults
from tests.simulation.folk import About, Folk
from tests.simulation.handsets import Handset, body_of
from tests.simulation.journal import Reading, read
from tests.simulation.machine import Machine, SimApp, is_down
from tests.simulation.office import OFFICES, Office
from tests.simulation.placings import Placings
from tests.simulation.referrals import Referrals, with_referrals
from tests.simulation.rules import broken
from tests.simulation.virtual_time import (
    SimClock,
    StuckError,
    VirtualLoop,
    run_virtually,
    virtual_apscheduler,
)
from tests.simulation.world import (
    CheckIn,
    Desk,
    Shift,
    Someone,
    Story,
    Visit,
    World,
    last_visits,
    make_world,
)

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
        self.council = with_council(
            seed, self.world.style, self.world.epoch, self.world.lasts, tuple(self.world.desks)
        )
        self.placings = Placings(self, self.council) if self.council is not None else None
        inbox = with_referrals(seed, self.world)
        self.referrals = Referrals(self, inbox) if inbox is not None else None
        self.office = Office(self) if Random(f"offices:{seed}").random() < OFFICES else None
        configs = self.configs()
        self.machine = Machine(self.loop, self.clock, seed, configs, self.broker)
        self.network = Folk(self.machine, self.world, seed, self)
        self.auditor = Auditor(
            self.clock.true, lambda: self.machine.life, self.machine.evidence, self.machine.outside
        )
        self.machine.telephones, self.machine.journalist = self.network, self
        self.machine.listener = self.auditor
        self.machine.on_change = self.changed
        self.auditor.could_be_read = self._could_be_read
        self.outcome = Outcome(seed=seed)
        self.lossy_phones = 0.0
        self.faults = Faults(self)
        self.calm = False
        self.still = False
        self._handsets: dict[str, Handset] = {}
        self._checkins = 0
        self._about: dict[str, About] = {}
        self.faults_end = self.world.epoch + self.world.lasts
        self.uploading = {desk: asyncio.Lock() for desk in self.world.desks}

    def configs(self) -> list[DeskConfig]:
        """Of every desk, as configured now."""
        found = [desk.config for desk in self.world.desks.values()]
        return [*found, self.council.config] if self.council is not None else found

    @property
    def desk_ids(self) -> tuple[str, ...]:
        """Every desk, the council's too."""
        return (*self.world.desks, *([self.council.id] if self.council is not None else ()))

    # --- witness and journalist: what is seen goes to the auditor ---

    def recorded(self, desk: str, facts: Sequence[Record]) -> None:
        """Facts became durable."""
        self.outcome.counts.update(fact.kind for fact in facts)
        self.auditor.recorded(desk, facts)
        self._note_messages(desk, facts)
        if self.placings is not None and self.council is not None and desk == self.council.id:
            self.placings.recorded(facts)
        if self.office is not None and desk == self.office.desk:
            self.office.recorded(facts)
        if self._dies_here():
            self.loop.call_soon(self.killed)
        if any(fact.kind == "RotaBegun" for fact in facts):
            self._in_the_middle_of_an_upload()

    def _note_messages(self, desk: str, facts: Sequence[Record]) -> None:
        """Of each message what it is about: whoever reads it knows."""
        names = self.machine.outside(desk) if any(fact.kind == "MessageIntended" for fact in facts) else {}
        for fact in facts:
            if fact.kind == "MessageIntended":
                body = json.loads(fact.body)
                visit = names.get(body.get("visit") or "")
                self._about[fact.subject] = About(template=body["template"], visit=visit)

    def about(self, key: str) -> About | None:
        """What that message is about."""
        return self._about.get(key)

    def elsewhere(self, number: str) -> Someone | None:
        """Who has this telephone, of the council's desk."""
        return self.council.by_number(number) if self.council is not None else None

    def comes(self, desk: str, visit: str, worker: str, at: datetime) -> None:
        """A care worker will be at that visit then, and check in."""
        found = self.world.desks[desk].visits.get(visit)
        if found is None or at >= found.end:
            return
        story = Story(
            worker=worker,
            arrives=at,
            leaves=None,
            named=True,
            doubled=False,
            kind="arrive" if worker in found.workers else "cover",
        )
        known = [s for s in found.stories if s.worker == worker and s.arrives is not None and s.arrives <= at]
        if not known:
            found.stories.append(story)
            self.go(self._happens(self.world.desks[desk], found, story, story.kind, at))

    def _dies_here(self) -> bool:
        """Right after an append, before anything of it is released."""
        return "crash" in self.world.faults and not self.calm and self.rng.random() < 0.0005

    def _in_the_middle_of_an_upload(self) -> None:
        """The moment at which a crash leaves a part of it."""
        if "crash" in self.world.faults and not self.calm and self.rng.random() < 0.3:
            self.outcome.counts["cut off"] += 1
            self.loop.call_later(self.rng.uniform(0, 0.2), self.killed)

    def killed(self) -> None:
        """The process dies, now."""
        self.auditor.note("killed")
        self.machine.kill()

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
                alert = book.messages[key].alert
                if alert is not None and self.rng.random() < 0.7:
                    self.go(self._sees_to_it(desk, alert, person))

    async def _sees_to_it(self, desk: str, alert: str, person: str) -> None:
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            await asyncio.sleep(self.faults.span(300))
            await self._acts(desk, alert, self._some_action(desk, person))
        await asyncio.sleep(self.faults.span(1500))
        action = ActionIn(action="close", by=person, reason="seen_well", note="spoke to the family")
        if await self._acts(desk, alert, action):
            self.auditor.closed(desk, alert)

    async def _acts(self, desk: str, alert: str, action: ActionIn) -> bool:
        try:
            await self.insist(lambda app: app.watch.act(desk, alert, action))
        except ApiProblem as problem:
            self.auditor.note(f"{alert}: {action.action} was refused: {problem.code}")
            return False
        return True

    def _some_action(self, desk: str, person: str) -> ActionIn:
        """What somebody does about an alert that they have."""
        if desk not in self.world.desks:
            return ActionIn(by=person, action="note", note="rang round")
        workers = [one.id for one in self.world.desks[desk].people.values() if one.role == "care_worker"]
        more: dict[str, Any] = self.rng.choice(
            (
                {"action": "spoke_service_user"},
                {"action": "spoke_care_worker", "reason": "on_my_way", "minutes": 12},
                {"action": "spoke_care_worker", "reason": "cannot"},
                {"action": "assign_replacement", "to": self.rng.choice(workers), "minutes": 15},
                {"action": "told_next_of_kin"},
                {"action": "told_council"},
                {"action": "pause"},
                {
                    "action": "stop_track",
                    "track": self.rng.choice(("reassure", "locate", "replace", "inform")),
                },
                {"action": "do_now", "track": self.rng.choice(("reassure", "locate", "replace", "inform"))},
                {"action": "note", "note": "the neighbour has a key"},
                {"action": "hand_over"},
            )
        )
        return ActionIn(by=person, **more)

    def trouble(self, what: str) -> None:
        """Something that must never happen."""
        self.auditor.trouble(what)

    def _could_be_read(self, checkin: str, at: datetime) -> bool:
        app = self.machine.app
        if app is None or not app.watching:
            return False
        seconds = (at - self.world.epoch).total_seconds()
        return self.broker.could_be_read(checkin, seconds, app.watching_since)

    def changed(self) -> None:
        app = self.machine.app
        able = app is not None and app.watching and not self.still and not self.auditor.store_broken
        self.auditor.able(able, self.clock.offset)

    # --- the whole ---

    async def main(self) -> None:
        """Safety phase, liveness phase, last words."""
        failed: asyncio.Future[None] = self.loop.create_future()

        def fail() -> None:
            if not failed.done():
                failed.set_result(None)

        self.auditor.on_violation = fail
        work = self.loop.create_task(self._phases())
        await asyncio.wait((work, failed), return_when=asyncio.FIRST_COMPLETED)
        if not failed.done():
            work.result()
        self.outcome.violation = self.auditor.violation

    def go(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.create_task(work, context=Context())

    async def _phases(self) -> None:
        self._open_books()
        self.machine.start()
        self.go(self._keep_alive())
        for desk in self.world.desks.values():
            await self._first_upload(desk)
        self.go(self._rounds())
        if self.placings is not None:
            self.go(self.placings.begin())
        if self.referrals is not None:
            self.referrals.begin()
        if self.office is not None:
            self.office.begin()
        for desk in self.world.desks.values():
            self._people_act(desk)
        self.faults.begin()
        await self.until(self.faults_end)
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
        kept = Stored(mid=0, device=checkin.device, body=body_of(checkin), checkin=checkin.id, retained=True)
        self.broker.retained.append(kept)

    def _open_books(self) -> None:
        council = (self.council,) if self.council is not None else ()
        for desk in (*self.world.desks.values(), *council):
            policy = desk.config.policy
            if desk.visits:
                self._retain(desk)
            self.auditor.books[desk.id] = Book(
                zone=policy.zone,
                staff={one.number: one.id for one in desk.people.values() if one.role == "staff"},
                on_duty=self.on_duty(desk, desk.shifts),
                late_after=policy.late_after,
                critical_late_after=policy.time_critical_late_after,
                plan_freeze=policy.plan_freeze,
                public=desk.config.public,
                holds_public=policy.hold_public + policy.ask_public,
                service_users={
                    one.number: one.id for one in desk.people.values() if one.role == "service_user"
                },
                plain=frozenset(_plain(desk)),
                care_workers={one.number: one.id for one in desk.people.values() if one.role == "care_worker"}
                | (self.council.professionals() if desk is self.council else {}),
            )

    def on_duty(self, desk: Desk, shifts: Sequence[Shift]) -> Callable[[datetime], frozenset[str]]:
        """Whose turn it is by these hours, by the auditor's own reckoning."""
        zone = desk.config.policy.zone
        return lambda at: duty_at(shifts, zone, HOLIDAYS, at)

    async def until(self, at: datetime) -> None:
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
        for desk in self.desk_ids:
            self.machine.note_journal(desk)
            self.auditor.same_journal(desk, self.machine.journal(desk))

    # --- uploads ---

    async def _first_upload(self, desk: Desk) -> None:
        await self.insist(lambda app: app.watch.put_people(desk.id, desk.people_body()))
        await self.upload(desk, {"visits": [visit.row() for visit in desk.visits.values()]}, ())

    async def upload(self, desk: Desk, body: dict[str, Any], dropped: Sequence[str]) -> bool:
        self.auditor.rota_sent(desk.id, body["visits"])
        try:
            await self.insist(lambda app: app.watch.put_rota(desk.id, body, "st-1"))
        except ApiProblem as problem:
            self.auditor.note(f"upload refused: {problem.code}")
            return False
        self.auditor.rota_taken(desk.id, body["visits"], dropped)
        return True

    async def insist(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
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
                self.go(handset.work())
                if "phones" in self.world.faults and self.rng.random() < 0.3:
                    self.go(self._tunnel(handset))
        for visit in list(desk.visits.values()):
            self.tell_stories(desk, visit)

    def tell_stories(self, desk: Desk, visit: Visit) -> None:
        for story in visit.stories:
            if story.arrives is not None:
                self.go(self._happens(desk, visit, story, story.kind, story.arrives))
                if story.leaves is not None and story.kind == "arrive":
                    self.go(self._happens(desk, visit, story, "leave", story.leaves))

    async def _happens(self, desk: Desk, visit: Visit, story: Story, kind: str, at: datetime) -> None:
        if at < self.clock.true() or (at > self.faults_end and not self.calm):
            return
        await self.until(at)
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

    # --- the end ---

    async def _calm_down(self) -> None:
        """Everything is mended; from here on all must come right by itself."""
        self.calm = True
        self.auditor.note("calm")
        self.network.faulty = self.network.lossy = self.lossy_phones = 0.0
        self.network.down = False
        self.broker.up = True
        self.clock.offset = timedelta()
        self.faults.mend_store()
        self.faults.go_on()
        for handset in self._handsets.values():
            handset.connect(online=True)
        while self.machine.app is None or not self.machine.app.watching:
            await asyncio.sleep(1)
        await asyncio.sleep(5)
        self.changed()
        healed_at = self.clock.true()
        for desk in self.world.desks.values():
            self.go(self._last_visits(desk))
        await asyncio.sleep(CALM.total_seconds())
        self.auditor.look_round()
        self.auditor.all_offered(healed_at)

    async def _last_visits(self, desk: Desk) -> None:
        gone = self.office.gone if self.office is not None and desk.id == self.office.desk else ()
        visits = last_visits(self.rng, desk, self.clock.true(), gone)
        for visit in visits:
            desk.visits[visit.id] = visit
            self.tell_stories(desk, visit)
        async with self.uploading[desk.id]:
            await self.upload(desk, {"visits": [visit.row() for visit in visits]}, ())

    async def _last_words(self) -> None:
        """Every promise is kept, and folding the journal gives the state that the process has."""
        app = self.machine.app
        assert app is not None
        heads = [await self._replayed(app, desk) for desk in self.desk_ids]
        self._check_journals()
        self.judge()
        self.auditor.all_kept()
        self.outcome.hash = hashlib.sha256(b"".join(heads)).hexdigest()
        self.outcome.counts["facts"] = sum(len(self.machine.journal(desk)) for desk in self.desk_ids)

    def judge(self) -> None:
        """The procedure's rules, over each desk's journal."""
        for desk in self.world.desks:
            for rule, text in broken(self.reading(desk)):
                self.auditor.fail(rule, text)
        if self.placings is not None:
            for rule, text in placing_rules.broken(self.placings.placed()):
                self.auditor.fail(rule, text)
        if self.referrals is not None:
            for rule, text in referral_rules.broken(self.referrals.told()):
                self.auditor.fail(rule, text)

    def reading(self, desk: str) -> Reading:
        """The desk's journal as the rules read it."""
        people = {one.id: one.known() for one in self.world.desks[desk].people.values()}
        return Reading(
            desk=desk,
            facts=read(self.machine.journal(desk)),
            names=self.machine.outside(desk),
            people=people,
            able=self.auditor.able_for,
            steady=self.auditor.steady,
        )

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


def _plain(desk: Desk) -> Iterator[str]:
    """Service users whom nothing keeps the machine from ringing: no plan, and a line of their own."""
    lines = Counter(one.number for one in desk.people.values())
    for one in desk.people.values():
        if one.role == "service_user" and one.plain and lines[one.number] == 1:
            yield one.id


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


@contextmanager
def _small_portions(run: Run) -> Iterator[None]:
    """Uploads are taken in by a few rows at a time, and between two portions time passes: check-ins come, deadlines
    fire, the process is killed."""
    rng = Random(f"portions:{run.world.seed}")

    async def others_first() -> None:
        await asyncio.sleep(rng.uniform(0, 0.02))

    with (
        patch.object(desk_shell, "PORTION", rng.choice((1, 3, 200))),
        patch.object(desk_shell, "PEOPLE", rng.choice((1, 5, 100))),
        patch.object(desk_shell, "others_first", others_first),
    ):
        yield


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
        with virtual_apscheduler(run.clock), _listening(run), _small_portions(run):
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
