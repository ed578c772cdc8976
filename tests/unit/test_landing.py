"""A first visit from a council's desk to the provider's own: two real engines, each with its store, and stops between
the writes of the one and of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from config.load import DeskConfig, DutyEntry
from config.policy import Policy
from connectors.memory_store import MemoryStore
from monitor.core.placing.inputs import CallOffSettled, FirstVisitSettled
from monitor.desk_shell import DeskShell
from monitor.directory import Directory
from monitor.engine import Engine
from monitor.ids import minter
from monitor.landing import Landing
from tests.unit.council_edge import Edge, Nobody, council, rfc


class Two:
    """A council's desk whose winner has a desk of its own here, and that desk."""

    def __init__(self, edge: Edge, office: DeskShell, store: MemoryStore) -> None:
        self.edge, self.office, self.store = edge, office, store
        self.landing = Landing(lambda: {"hall": edge.shell, "bright": office})

    async def confirm(self, own_desk: str | None = "bright") -> None:
        """Ace has the package, and says when the first visit is."""
        await self.edge.provider("ace", desk=own_desk)
        await self.edge.place(id="P-1")
        await self.edge.bid("ace", "P-1")
        await self.edge.act("award", "P-1", provider="ace", reason="emergency", by="bea")
        start, end = rfc(self.edge, days=1), rfc(self.edge, days=1, hours=1)
        await self.edge.act("confirm_first_visit", "P-1", start=start, end=end, supervisor=True, by="bea")

    async def lands(self) -> None:
        """The process runs until nothing is handed over any more."""
        running = asyncio.create_task(self.landing.run())
        for _ in range(200):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        await self.edge.shell.engine.durable()

    async def planned(self) -> list[str]:
        """The kinds of the provider's facts about visits."""
        found = [record.kind for record in await self.store.facts("bright", 0)]
        return [kind for kind in found if kind.startswith("Visit")]

    async def landed(self) -> int:
        return (await self.edge.kinds()).count("FirstVisitLanded")

    async def called_off(self) -> int:
        return (await self.edge.kinds()).count("FirstVisitCalledOff")


def stops_before(monkeypatch: pytest.MonkeyPatch, desks: Two, kind: type) -> None:
    """The process is stopped before the council's desk hears how it went in the provider's."""
    tell = desks.edge.shell.tell

    def stopped(seen: Any, evidence: Any = ()) -> Any:
        if isinstance(seen, kind):
            raise asyncio.CancelledError
        return tell(seen, evidence)

    monkeypatch.setattr(desks.edge.shell, "tell", stopped)


@asynccontextmanager
async def two() -> AsyncIterator[Two]:
    async with council() as edge:
        store, random = MemoryStore(), Random(6).randbytes
        mint = minter(random, edge.clock.now)
        directory = Directory(mint, "Europe/London", 150, mail=True)
        hooks: Any = Nobody()
        engine = Engine("bright", store, edge.clock, mint, directory, hooks, off_loop=_at_once)
        config = DeskConfig(
            id="bright",
            kind="provider",
            name="Bright Care",
            policy=Policy(),
            public="off",
            numbers=(),
            sender_name=None,
            telephone=None,
            duty=(DutyEntry(person="olga", role="office", hours="otherwise"),),
            council_desks=(),
        )
        shell = DeskShell(config, engine, hooks, edge.clock, hooks, mint, random)
        await store.open()
        await engine.start()
        shell.adopt(config, ())
        task = asyncio.create_task(engine.run())
        try:
            yield Two(edge, shell, store)
        finally:
            task.cancel()
            await asyncio.wait([task])
            await store.close()


async def _at_once(work: Any) -> bytes:
    body: bytes = work()
    return body


async def test_a_confirmed_first_visit_stands_in_the_providers_desk_and_the_council_knows_it() -> None:
    async with two() as desks:
        await desks.confirm()
        (placement,) = desks.edge.shell.state.values.placements.values()
        desks.landing.moved("hall", placement.ref)
        await desks.lands()
        (visit,) = desks.office.state.values.visits.values()
        assert desks.office.directory.outside(visit.ref) == "package-hall-P-1"
        known = desks.edge.shell.state.values.placements[placement.ref].first_visit
        assert known is not None
        assert (known.landed, known.start) == (visit.ref, visit.start)


async def test_a_stop_right_after_the_confirmation_loses_nothing() -> None:
    async with two() as desks:
        await desks.confirm()
        await desks.lands()
        assert await desks.planned() == [], "nobody has said a word to the new process"
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.landed()) == (["VisitPlanned"], 1)


async def test_a_stop_between_the_providers_disk_and_the_councils_plans_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two() as desks:
        await desks.confirm()
        stops_before(monkeypatch, desks, FirstVisitSettled)
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.landed()) == (["VisitPlanned"], 0)
        monkeypatch.undo()
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.landed()) == (["VisitPlanned"], 1)
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.landed()) == (["VisitPlanned"], 1)


async def test_a_winner_without_a_desk_here_plans_its_visits_elsewhere() -> None:
    async with two() as desks:
        await desks.confirm(None)
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.landed()) == ([], 0)


async def test_the_visit_of_a_package_that_was_withdrawn_before_it_landed_is_planned_nowhere() -> None:
    async with two() as desks:
        await desks.confirm()
        await desks.edge.act("withdraw", "P-1", reason="died", by="bea")
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.landed()) == ([], 0)


async def test_a_visit_that_lands_after_its_award_was_taken_back_settles_nothing_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two() as desks:
        await desks.confirm()
        durable, gate = desks.office.engine.durable, asyncio.Event()

        async def slow(*said: Any, **more: Any) -> None:
            await gate.wait()
            await durable(*said, **more)

        monkeypatch.setattr(desks.office.engine, "durable", slow)
        desks.landing.begin()
        running = asyncio.create_task(desks.landing.run())
        for _ in range(20):
            await asyncio.sleep(0)
        await desks.edge.act("send_back", "P-1", note="they cannot after all", by="bea")
        await desks.edge.act("award", "P-1", provider="ace", reason="emergency", by="bea")
        start, end = rfc(desks.edge, days=2), rfc(desks.edge, days=2, hours=1)
        await desks.edge.act("confirm_first_visit", "P-1", start=start, end=end, by="bea")
        gate.set()
        for _ in range(50):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        desks.landing.begin()
        await desks.lands()
        (placement,) = desks.edge.shell.state.values.placements.values()
        assert placement.first_visit is not None
        landed = desks.office.state.values.visits[placement.first_visit.landed or ""]
        assert landed.start == placement.first_visit.start


# --- called off by the same road ---


@pytest.mark.parametrize(
    ("action", "more"), [("withdraw", {"reason": "died"}), ("send_back", {"note": "they cannot after all"})]
)
async def test_a_first_visit_that_has_landed_is_called_off_when_the_package_goes(
    action: str, more: dict[str, str]
) -> None:
    async with two() as desks:
        await desks.confirm()
        desks.landing.begin()
        await desks.lands()
        await desks.edge.act(action, "P-1", by="bea", **more)
        (placement,) = desks.edge.shell.state.values.placements.values()
        desks.landing.moved("hall", placement.ref)
        await desks.lands()
        (visit,) = desks.office.state.values.visits.values()
        assert (visit.cancelled, await desks.called_off()) == (True, 1)
        assert await desks.planned() == ["VisitPlanned", "VisitCancelled"]


async def test_a_stop_between_any_two_of_the_disks_calls_it_off_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with two() as desks:
        await desks.confirm()
        desks.landing.begin()
        await desks.lands()
        await desks.edge.act("withdraw", "P-1", reason="died", by="bea")
        await desks.lands()
        assert await desks.planned() == ["VisitPlanned"], "nobody has said a word to the new process"
        stops_before(monkeypatch, desks, CallOffSettled)
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.called_off()) == (["VisitPlanned", "VisitCancelled"], 0)
        monkeypatch.undo()
        for _ in range(2):
            desks.landing.begin()
            await desks.lands()
            assert (await desks.planned(), await desks.called_off()) == (
                ["VisitPlanned", "VisitCancelled"],
                1,
            )


async def test_a_landing_that_was_cut_off_before_the_council_knew_of_it_is_called_off_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two() as desks:
        await desks.confirm()
        stops_before(monkeypatch, desks, FirstVisitSettled)
        desks.landing.begin()
        await desks.lands()
        monkeypatch.undo()
        await desks.edge.act("withdraw", "P-1", reason="died", by="bea")
        desks.landing.begin()
        await desks.lands()
        assert (await desks.planned(), await desks.landed()) == (["VisitPlanned", "VisitCancelled"], 0)
        assert await desks.called_off() == 1


async def test_what_never_landed_is_settled_without_a_word_to_the_provider() -> None:
    async with two() as desks:
        await desks.confirm()
        await desks.edge.act("withdraw", "P-1", reason="died", by="bea")
        desks.landing.begin()
        await desks.lands()
        (placement,) = desks.edge.shell.state.values.placements.values()
        assert [off.outcome for off in placement.call_offs] == ["not_there"]
        assert await desks.planned() == []


async def test_back_with_the_same_provider_the_old_visit_is_off_and_the_new_one_stands() -> None:
    async with two() as desks:
        await desks.confirm()
        desks.landing.begin()
        await desks.lands()
        await desks.edge.act("send_back", "P-1", note="they cannot after all", by="bea")
        await desks.edge.act("award", "P-1", provider="ace", reason="emergency", by="bea")
        start, end = rfc(desks.edge, days=2), rfc(desks.edge, days=2, hours=1)
        await desks.edge.act("confirm_first_visit", "P-1", start=start, end=end, by="bea")
        desks.landing.begin()
        await desks.lands()
        stands = {
            desks.office.directory.outside(visit.ref): not visit.cancelled
            for visit in desks.office.state.values.visits.values()
        }
        assert stands == {"package-hall-P-1": False, "package-hall-P-1-again": True}
