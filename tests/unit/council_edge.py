"""A council's desk at its edge: real engine, store in memory, real directory; the clock is in the hand.

The areas, policies and names are those of `tests.core.council`: `ace` and `bee` are patch providers of the east, `sea`
of the south, `frame` is on the framework; `bea` is the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import msgspec

from config.load import DeskConfig, DutyEntry
from config.placing import PlacingPolicy, placing_terms
from config.policy import Policy
from connectors.memory_store import MemoryStore
from connectors.placing_in import BidIn, DeclineIn, PlacementActionIn, PlacementIn, Speaker, TakeBackIn
from connectors.ports import ApiProblem
from monitor.core.placing.inputs import PlacingLoaded
from monitor.core.placing.views import BidReceipt, OwnPlacement, PlacementView, ProvidersAnswer
from monitor.desk_placing import Placing
from monitor.desk_providers import Providers
from monitor.desk_shell import DeskShell
from monitor.directory import Directory
from monitor.engine import Engine
from monitor.ids import minter
from tests.core.council import AREAS, STANDARD
from tests.core.driver import MONDAY

GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
BROKER = Speaker(source="broker", by="bea")
WANTED: Mapping[str, Any] = {"kind": "standard", "area": "east", "hours_week": 7, "visits": (30, 30)}


class Hand:
    """A clock in the hand."""

    def __init__(self) -> None:
        self.at = MONDAY

    def now(self) -> Any:
        return self.at

    def monotonic(self) -> float:
        return (self.at - MONDAY).total_seconds()


class Nobody:
    """Hooks and metrics that tell nobody."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_said, **_more: None


class Edge:
    """What an outsider has of the desk, without HTTP in between."""

    def __init__(self, shell: DeskShell, store: MemoryStore, clock: Hand) -> None:
        self.shell, self.store, self.clock = shell, store, clock

    @property
    def placing(self) -> Placing:
        return Placing(self.shell, self.store.evidence)

    def wait(self, **span: float) -> None:
        """Time goes by, and every deadline fires at its moment."""
        until = self.clock.at + timedelta(**span)
        engine = self.shell.engine
        while (at := engine.state.next_deadline()) is not None and at <= until:
            self.clock.at = max(at, self.clock.at)
            engine.fire_due(100)
        self.clock.at = until

    async def provider(self, *names: str, **more: Any) -> ProvidersAnswer:
        items = [provider(name) | more for name in names]
        return await Providers(self.shell, ["bright"]).put(items)

    async def place(self, **more: Any) -> tuple[PlacementView, bool]:
        said = msgspec.convert(dict(WANTED) | {"start": rfc(self, days=2)} | more, PlacementIn)
        return await self.placing.place(said, BROKER)

    async def bid(self, name: str, placement: str = "ref-1", **more: Any) -> BidReceipt:
        said = msgspec.convert({"start": rfc(self, days=2)} | more, BidIn)
        return await self.placing.bid(placement, said, own(name))

    async def decline(self, name: str, placement: str = "ref-1", **more: Any) -> BidReceipt:
        said = msgspec.convert({"reason": "no_capacity"} | more, DeclineIn)
        return await self.placing.decline(placement, said, own(name))

    async def take_back(self, name: str, placement: str = "ref-1") -> BidReceipt:
        return await self.placing.take_back(placement, TakeBackIn(), own(name))

    async def act(self, action: str, placement: str = "ref-1", **more: Any) -> PlacementView:
        said = msgspec.convert({"action": action} | more, PlacementActionIn)
        return await self.placing.act(placement, said, BROKER)

    async def own(self, name: str, placement: str = "ref-1") -> OwnPlacement:
        return await self.placing.own(placement, name)

    async def refused(self, asked: Any) -> ApiProblem:
        """The problem with which what was asked is answered."""
        try:
            answer = await asked
        except ApiProblem as problem:
            return problem
        raise AssertionError(f"expected a refusal, got {answer}")

    async def kinds(self) -> list[str]:
        """The kinds of the desk's durable facts, in their order."""
        return [record.kind for record in await self.store.facts("hall", 0)]


def own(name: str) -> Speaker:
    """The provider's own credential."""
    return Speaker(source="api", provider=name)


def provider(name: str) -> dict[str, Any]:
    """An item of an upload of providers, of whom nothing speaks against a package."""
    tier = "framework" if name == "frame" else "patch"
    areas = {"sea": ["south"], "frame": []}.get(name, ["east"])
    said = {"id": name, "name": f"{name.title()} Homecare Ltd", "tier": tier, "areas": areas, "rating": GOOD}
    return said | {
        "rate": 21.5,
        "hours_declared": 900,
        "declared_on": "2026-03-01",
        "email": f"{name}@x.example",
    }


def rfc(edge: Edge, **span: float) -> str:
    """RFC 3339, so long after the edge's present moment."""
    return (edge.clock.at + timedelta(**span)).isoformat().replace("+00:00", "Z")


async def _at_once(work: Callable[[], bytes]) -> bytes:
    return work()


@asynccontextmanager
async def council(placing: PlacingPolicy = STANDARD) -> AsyncIterator[Edge]:
    """A council's desk with its four providers."""
    clock, store = Hand(), MemoryStore()
    random = Random(5).randbytes
    mint = minter(random, clock.now)
    directory = Directory(mint, "Europe/London", 150, mail=True)
    engine = Engine("hall", store, clock, mint, directory, Nobody(), off_loop=_at_once)  # type: ignore[arg-type]
    config = DeskConfig(
        id="hall",
        kind="council",
        name="Hall Council",
        policy=Policy(),
        public="off",
        numbers=(),
        sender_name=None,
        telephone=None,
        duty=(DutyEntry(person="bea", role="office", hours="otherwise"),),
        council_desks=(),
    )
    shell = DeskShell(config, engine, None, clock, Nobody(), mint, random)  # type: ignore[arg-type]
    await store.open()
    await engine.start()
    shell.adopt(config, ())
    terms = placing_terms(dict.fromkeys(("standard", "discharge"), placing))
    shell.tell(PlacingLoaded(terms=terms, areas=AREAS, mailbox=None))
    task = asyncio.create_task(engine.run())
    edge = Edge(shell, store, clock)
    try:
        await shell.put_people(
            [{"id": "bea", "role": "staff", "name": "Beatrice Fernsby"}], lambda _: False, lambda _: None
        )
        await edge.provider("ace", "bee", "sea", "frame")
        yield edge
    finally:
        task.cancel()
        await asyncio.wait([task])
        await store.close()
