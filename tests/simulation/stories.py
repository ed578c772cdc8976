"""Scripted stories of the procedure in virtual time, and the process killed at one chosen moment of each.

The world is small and knows no dice: one late visit, people with fixed habits, a network that loses nothing. Whoever
tells a story says where the process dies (`Crash`); how it ended is a value (`End`) that can be compared with how it
ends when nobody dies.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

import structlog

from config.load import CouncilDeskEntry, DeskConfig, DutyEntry
from config.policy import Policy
from connectors.checkin_json import read_checkin
from connectors.ports import ActionIn, ApiProblem, OutboundMessage, Record, Sent, StatusCallback
from monitor import scheduler
from monitor.core.inputs import CallStatus
from monitor.core.views import Script
from tests.simulation.broker import Broker
from tests.simulation.machine import Machine, is_down
from tests.simulation.virtual_time import SimClock, VirtualLoop, run_virtually, virtual_apscheduler

DESK, OURS = "bright", "+441632960999"
EDNA, DAVE, KIT, LOU = "+441632960101", "+447700900017", "+447700900018", "+447700900019"
OLGA, MARY, NED, NORA = "+447700900201", "+447700900202", "+447700900301", "+447700900302"
COUNCIL, COUNCIL_MAIL = "+441632960900", "edt@council.example"
MONDAY = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
DOWN_S = 1.0
"""How long the process is away after it was killed."""
FATAL = frozenset({"a send failed unexpectedly", "deadline failed", "an input could not be decided"})
Keys = Mapping[str, str]
"""What somebody presses, by the step of the call at which they are asked; "" says nothing."""


@dataclass(kw_only=True)
class Habits:
    """What somebody does when they are rung or written to. The last of `rung` goes on for ever."""

    rung: tuple[Literal["voicemail", "busy", "no_answer"] | Keys, ...] = ("no_answer",)
    reads: Callable[[str], str | None] = lambda body: None
    thinks_s: float = 4
    """So long before they write back."""


@dataclass(frozen=True, kw_only=True)
class Crash:
    """SIGKILL as soon as so many facts are durable, or right after so many messages exist at the provider."""

    facts: int | None = None
    posts: int | None = None


@dataclass(frozen=True, kw_only=True)
class End:
    """How a story ended: what stands in the record, and who was told what."""

    alerts: tuple[tuple[str, str, str | None, str | None], ...]
    """(kind, state, how it ended, who had it)."""
    tracks: tuple[tuple[str, str, str, str], ...]
    """(kind of alert, track, step, reason)."""
    council: str | None
    reached: frozenset[tuple[str, str, str]]
    """(person, for what, answer)."""
    heard: frozenset[tuple[str, str]]
    """(number or address, words): each message that exists at the provider."""
    lines: tuple[tuple[str, str], ...]
    """(kind of alert, what came of the last line that was kept)."""


@dataclass(kw_only=True)
class Told:
    """A story that was told."""

    end: End
    facts: int
    appended: tuple[int, ...]
    """The last fact of each append: between two of them the process may die."""
    posts: int
    lives: int
    kinds: tuple[str, ...]
    """The kinds of the facts in their order."""
    repeated: tuple[str, ...]
    """Messages that exist more than once at the provider."""
    marked: frozenset[str]
    """Messages that say of themselves that they may."""
    texts: Counter[tuple[str, str]]
    """(number, words) of what was written, repeats of one message aside."""


@dataclass(kw_only=True)
class Made:
    """A message at the provider."""

    ref: str
    message: OutboundMessage
    at: datetime
    status: CallStatus = "queued"
    known_as: str | None = None
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Of a call: it is over."""


class Stage:
    """The machine under test, a network, and the people of one story."""

    def __init__(self, habits: Mapping[str, Habits], crash: Crash, policy: Policy) -> None:
        self.loop = VirtualLoop(60.0)
        self.clock = SimClock(self.loop, MONDAY)
        self.habits, self._crash = habits, crash
        self.machine = Machine(
            self.loop, self.clock, 1, [desk_config(policy)], Broker(self.loop, Random("broker"))
        )
        self.machine.telephones, self.machine.journalist, self.machine.listener = self, self, self  # type: ignore[assignment]
        self.made: list[Made] = []
        self.rooms: dict[str, list[Made]] = {}
        self._rung: Counter[str] = Counter()
        self._killed = False
        self.appended: list[int] = []

    # --- what is seen of the process ---

    def recorded(self, desk: str, facts: Sequence[Record]) -> None:
        """Facts became durable."""
        self.appended.append(facts[-1].seq)
        if self._crash.facts is not None and facts[-1].seq >= self._crash.facts:
            self._kill()

    def sending(self, message: OutboundMessage) -> None:
        """Nothing is made of it here."""

    def delivered(self, checkin: str, desk: str) -> None:
        """Nothing is made of it here."""

    def acknowledged(self, checkin: str, desk: str) -> None:
        """Nothing is made of it here."""

    def trouble(self, what: str) -> None:
        """It must never happen."""
        raise AssertionError(what)

    def _kill(self) -> None:
        if not self._killed and self.machine.app is not None:
            self._killed = True
            self.machine.kill()

    # --- the provider ---

    async def post(self, message: OutboundMessage, since_life: int) -> Sent:
        """One POST, as `Sender.send`."""
        await asyncio.sleep(0.05)
        made = Made(
            ref=f"R{len(self.made)}", message=message, at=self.clock.true() + timedelta(microseconds=1)
        )
        self.made.append(made)
        lives = {"sms": self._text, "call": self._ring, "email": self._mail}[message.channel]
        self.world(lives(made))
        if len(self.made) == self._crash.posts:
            self._kill()
        await asyncio.sleep(0.05)
        made.known_as = message.key
        return Sent(provider_ref=made.ref)

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """The provider's list: to and time, never the key; of a text its words, too."""
        await asyncio.sleep(0.05)
        for made in reversed(self.made):
            same = (made.message.to, made.message.channel) == (message.to, message.channel)
            words = message.channel != "sms" or made.message.body == message.body
            if same and words and made.at >= since and made.known_as in (None, message.key):
                made.known_as = message.key
                return Sent(provider_ref=made.ref)
        return None

    async def hang_up(self, message: OutboundMessage, provider_ref: str) -> None:
        """Nothing rings that long."""

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """What became of it."""
        await asyncio.sleep(0.05)
        (made,) = [one for one in self.made if one.ref == provider_ref]
        return StatusCallback(key=message.key, status=made.status, provider_ref=made.ref)

    async def _tell(self, made: Made, status: CallStatus, answered_by: Any = None) -> None:
        """A status callback; nobody repeats it when we are away."""
        if answered_by is None:
            made.status = status
        said = StatusCallback(
            key=made.message.key, status=status, answered_by=answered_by, provider_ref=made.ref
        )
        await self._asked(lambda app: app.watch.call_status(said))

    async def _asked(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """A webhook; None when nobody answers."""
        try:
            return await self.machine.ask(work)
        except Exception as error:
            if not is_down(error):
                raise
            return None

    async def insist(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """A client that tries until it is answered."""
        while True:
            try:
                return await self.machine.ask(work)
            except Exception as error:
                if not is_down(error):
                    raise
                await asyncio.sleep(0.5)

    # --- people ---

    async def _mail(self, made: Made) -> None:
        made.status = "delivered"

    async def _text(self, made: Made) -> None:
        await asyncio.sleep(1)
        await self._tell(made, "delivered")
        words = self._habit(made).reads(made.message.body)
        if words is None:
            return
        await asyncio.sleep(self._habit(made).thinks_s)
        number, ours = made.message.to, made.message.sender
        await self.insist(lambda app: app.watch.sms_received(ours, number, words, f"IN-{made.ref}"))

    def _habit(self, made: Made) -> Habits:
        return self.habits.get(made.message.to, Habits())

    async def _ring(self, made: Made) -> None:
        habit = self._habit(made).rung
        does = habit[min(self._rung[made.message.to], len(habit) - 1)]
        self._rung[made.message.to] += 1
        await self._tell(made, "ringing")
        if isinstance(does, str) and does != "voicemail":
            await asyncio.sleep(made.message.ring_s if does == "no_answer" else 2)
            await self._tell(made, does)
            return
        await asyncio.sleep(5)
        await self._tell(made, "in_progress")
        if does == "voicemail":
            await self._tell(made, "in_progress", "machine")
        await self._talk(made, {} if isinstance(does, str) else does)
        made.left.set()
        await self._tell(made, "completed")

    async def _talk(self, made: Made, keys: Keys) -> None:
        """Through the script, key by key; the line drops when nobody answers our webhook."""
        key, step, digit = made.message.key, "", None
        for _ in range(60):
            script: Script | None = await self._asked(_step(key, step, digit))
            if script is None:
                return
            step, digit = script.step, ""
            if script.room is not None:
                if not await self._in_room(script.room, made, keys):
                    return
            elif script.hold_s is not None:
                await asyncio.sleep(script.hold_s)
            elif script.keys and keys.get(step) == "hang up":
                return
            elif script.keys:
                await asyncio.sleep(2)
                digit = keys.get(step, "")
            else:
                return

    async def _in_room(self, room: str, made: Made, keys: Keys) -> bool:
        """They talk; staff put it down after a while, an officer of the council before them. Whether this line goes on
        afterwards."""
        members = self.rooms.setdefault(room, [])
        members.append(made)
        officer = any(one.message.to == COUNCIL for one in members)
        ends_it = made.message.to == COUNCIL if officer else made.message.to in (OLGA, MARY)
        if ends_it:
            await asyncio.sleep(30)
        else:
            others = [asyncio.ensure_future(one.left.wait()) for one in members if one is not made]
            while not others:
                await asyncio.sleep(1)
                others = [asyncio.ensure_future(one.left.wait()) for one in members if one is not made]
            await asyncio.wait(others, timeout=90, return_when=asyncio.FIRST_COMPLETED)
            for one in others:
                one.cancel()
        members.remove(made)
        return not ends_it

    # --- the whole ---

    def world(self, work: Coroutine[Any, Any, None]) -> None:
        """A step of the world outside: it outlives the process."""
        self.loop.create_task(work, context=Context())

    def facts(self, kind: str, **body: Any) -> list[Record]:
        """What is on disk."""
        found = (fact for fact in self.machine.journal(DESK) if fact.kind == kind)
        return [fact for fact in found if body.items() <= json.loads(fact.body).items()]

    async def until(self, so: Callable[[], Any], minutes: float = 90) -> None:
        """The world waits for something."""
        ends = self.clock.true() + timedelta(minutes=minutes)
        while not so():
            assert self.clock.true() < ends, "it never came"
            await asyncio.sleep(1)

    async def minutes(self, after: float) -> None:
        """Until so many minutes after the visit should have begun."""
        await asyncio.sleep(max(0.0, (MONDAY + timedelta(minutes=after) - self.clock.true()).total_seconds()))

    async def checks_in(self, worker: str, kind: str = "arrive") -> None:
        """Somebody arrives, or leaves; their telephone says so until it is heard."""
        at = self.clock.true().isoformat()
        said = {"id": f"k-{worker}-{kind}", "kind": kind, "visit": "v-1", "at": at}
        seen = read_checkin(json.dumps(said).encode(), device=f"callwatch:phone-{worker}", source="http")

        async def says(app: Any) -> None:
            await app.watch.check_in(DESK, seen)

        await self.insist(says)

    async def acts(self, kind: str, action: str, **more: Any) -> None:
        """Olga does something on the board, once."""

        async def does(app: Any) -> None:
            (alert,) = [one for one in await app.watch.alerts(DESK, False) if one.kind == kind]
            await app.watch.act(DESK, alert.id, ActionIn(action=action, by="st-1", **more))

        try:
            await self.insist(does)
        except ApiProblem as problem:
            # it was taken before the kill, and nobody had been told so
            if problem.code not in ("already_ended", "already_taken"):
                raise

    async def _keep_alive(self) -> None:
        while True:
            task = self.machine.task
            assert task is not None
            await asyncio.wait((task,))
            if not task.cancelled() and (error := task.exception()) is not None and not is_down(error):
                raise error
            self.machine.ended()
            await asyncio.sleep(DOWN_S)
            self.machine.start()

    async def play(self, story: Callable[[Stage], Awaitable[None]]) -> None:
        """From the start of the process to the end of the story."""
        failed = self.loop.create_future()
        self.loop.set_exception_handler(
            lambda _, context: (
                failed.set_exception(context.get("exception") or AssertionError(str(context.get("message"))))
                if not failed.done()
                else None
            )
        )
        self.machine.start()
        self.world(self._keep_alive())
        told = self.loop.create_task(self._tell_story(story))
        await asyncio.wait((told, failed), return_when=asyncio.FIRST_COMPLETED)
        (failed if failed.done() else told).result()

    async def _tell_story(self, story: Callable[[Stage], Awaitable[None]]) -> None:
        await self.insist(lambda app: app.watch.put_people(DESK, people()))
        row = {
            "id": "v-1",
            "service_user": "su-1",
            "start": MONDAY.isoformat(),
            "end": (MONDAY + timedelta(minutes=45)).isoformat(),
            "workers": ["cw-1"],
        }
        await self.insist(lambda app: app.watch.put_rota(DESK, {"visits": [row]}, "st-1"))
        await story(self)
        # what was said last arrives, and overdue callbacks are asked for
        await asyncio.sleep(600)

    def told(self) -> Told:
        """What can be seen of it now."""
        app = self.machine.app
        assert app is not None
        values = app.watch.shells[DESK].engine.state.values
        names = self.machine.outside(DESK)
        name = lambda ref: names.get(ref, ref) if ref else None  # noqa: E731
        alerts = sorted(values.alerts.values(), key=lambda one: one.kind)
        by_key: dict[str, list[Made]] = {}
        for made in self.made:
            by_key.setdefault(made.message.key, []).append(made)
        words = {key: values.messages[key].template for key in by_key}
        reached = (json.loads(fact.body) for fact in self.facts("PersonReached"))
        journal = self.machine.journal(DESK)
        return Told(
            end=End(
                alerts=tuple((a.kind, a.state, a.ended_reason, name(a.taken_by)) for a in alerts),
                tracks=tuple(
                    (a.kind, t.name, t.step, t.reason)
                    for a in alerts
                    for t in sorted(a.tracks, key=lambda t: t.name)
                ),
                council=next((a.council.step for a in alerts if a.council is not None), None),
                reached=frozenset((name(r["person"]) or "", r["purpose"], r["answer"]) for r in reached),
                heard=frozenset((made[0].message.to, words[key]) for key, made in by_key.items()),
                lines=tuple((a.kind, a.lines[-1].came) for a in alerts if a.lines),
            ),
            facts=len(journal),
            appended=tuple(self.appended),
            posts=len(self.made),
            lives=self.machine.life,
            kinds=tuple(fact.kind for fact in journal),
            repeated=tuple(key for key, made in by_key.items() if len(made) > 1),
            marked=frozenset(key for key in by_key if values.messages[key].possibly_repeated),
            texts=Counter(
                (made[0].message.to, words[key])
                for key, made in by_key.items()
                if made[0].message.channel == "sms"
            ),
        )


def _step(key: str, step: str, digit: str | None) -> Callable[[Any], Coroutine[Any, Any, Script]]:
    return lambda app: app.watch.call_step(key, step, digit)


def code(meaning: str) -> Callable[[str], str | None]:
    """Writes back the digits that a text names before these words."""

    def reads(body: str) -> str | None:
        found = re.search(rf"(\d+) {meaning}", body)
        return found[1] if found is not None else None

    return reads


def desk_config(policy: Policy) -> DeskConfig:
    """One office with somebody on duty, a manager and a council desk."""
    duty = (("st-1", "office"), ("st-2", "manager"))
    return DeskConfig(
        id=DESK,
        kind="provider",
        name="Bright Care",
        policy=policy,
        public="auto",
        numbers=(OURS,),
        sender_name=None,
        telephone="+441632960777",
        duty=tuple(DutyEntry(person=who, role=role, hours="daily 00:00-24:00") for who, role in duty),  # type: ignore[arg-type]
        council_desks=(
            CouncilDeskEntry(
                name="EDT", phone=COUNCIL, email=COUNCIL_MAIL, hours="daily 00:00-24:00", contract=None
            ),
        ),
    )


def people() -> list[dict[str, Any]]:
    """Edna, her next of kin, three care workers, two of staff."""

    def one(ref: str, role: str, name: str, number: str, kind: str = "mobile", **more: Any) -> dict[str, Any]:
        return {"id": ref, "role": role, "name": name, "phones": [{"number": number, "kind": kind}]} | more

    homes = [{"lat": 51.4060, "lon": 0.0157, "radius_m": 80}]
    kin = ["c-1", "c-2"]
    return [
        one("su-1", "service_user", "Edna Quillfeather", EDNA, "landline", homes=homes, next_of_kin=kin),
        one("c-1", "contact", "Ned Quillfeather", NED),
        one("c-2", "contact", "Nora Quillfeather", NORA),
        *(
            one(f"cw-{n}", "care_worker", name, number, devices=[f"callwatch:phone-cw-{n}"])
            for n, (name, number) in enumerate((("Dave", DAVE), ("Kit", KIT), ("Lou", LOU)), start=1)
        ),
        one("st-1", "staff", "Olga Pennyfarthing", OLGA),
        one("st-2", "staff", "Mary Larkspur", MARY),
    ]


@contextmanager
def _listening() -> Iterator[list[str]]:
    """The product's log: some lines must never be written."""
    heard: list[str] = []

    def hear(_logger: object, _level: str, event: MutableMapping[str, Any]) -> Any:
        heard.append(str(event.get("event")))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[hear],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    )
    try:
        yield heard
    finally:
        structlog.configure(**before)


def tell(
    story: Callable[[Stage], Awaitable[None]],
    habits: Mapping[str, Habits],
    crash: Crash | None = None,
    policy: Policy | None = None,
) -> Told:
    """Tell it once. Raises AssertionError for what must never happen, StuckError when it goes on for ever."""
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    stage = Stage(habits, crash or Crash(), policy or Policy())
    nap, scheduler.LONGEST_SLEEP = scheduler.LONGEST_SLEEP, timedelta(seconds=30)
    told: list[Told] = []

    async def whole() -> None:
        await stage.play(story)
        told.append(stage.told())

    try:
        with virtual_apscheduler(stage.clock), _listening() as heard:
            run_virtually(stage.loop, whole())
    finally:
        scheduler.LONGEST_SLEEP = nap
    assert not FATAL & set(heard), sorted(FATAL & set(heard))
    return told[0]
