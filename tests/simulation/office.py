"""The office at work in a run: who is away and comes back, who has died, or has not; plans edited, rows mended, alerts
taken and checked on the board.

Everything is drawn from a `Random` of its own, and the worlds without it are the worlds that they were. Every request
is made again until it is answered, as a browser's would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from connectors.ports import AbsenceActionIn, AbsenceIn, ActionIn, ApiProblem, DeathIn, Record
from tests.simulation.world import Desk, Someone, Visit

if TYPE_CHECKING:
    from tests.simulation.run import Run

OFFICES = 0.5
"""So many worlds have one."""
SUPERVISOR, MANAGER = "oc-1", "ma-1"
PLANS: tuple[dict[str, Any], ...] = ({"ring_s": 40}, {"ring_s": 75}, {"hours": "daily 07:00-22:00"})
"""Edits of a contact plan that leave alone what the rules hold against the plan."""


class Office:
    """The office of the first desk of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._rng = Random(f"office:{run.world.seed}")
        self._desk: Desk = next(iter(run.world.desks.values()))
        self.gone: set[str] = set()
        """Service users who are away or dead when the faults have ended: nobody is to be missed there."""

    def begin(self) -> None:
        """What it does, each at its moment."""
        users = [one for one in self._desk.people.values() if one.role == "service_user"]
        away = self._rng.sample(users, min(5, len(users)))
        for one in away[:3]:
            self._at(partial(self._is_away, one))
        for one in away[3 : 3 + self._rng.choice((0, 1, 1))]:
            self._at(partial(self._has_died, one))
        for _ in range(2):
            self._at(partial(self._edits_a_plan, self._rng.choice(users)))
        self._at(partial(self._mends_a_row, self._rng.choice(users)))

    def _at(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._run.go(self._at_some_time(work))

    async def _at_some_time(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await asyncio.sleep(self._rng.uniform(0.05, 0.75) * self._run.world.lasts.total_seconds())
        await work()

    async def _rests(self, least: float, most: float) -> None:
        """So many minutes, or what people call minutes here."""
        unit = 2.0 if self._run.world.style == "quick" else 60.0
        await asyncio.sleep(self._rng.uniform(least, most) * unit)

    # --- absence and death ---

    async def _is_away(self, one: Someone) -> None:
        """Reported, confirmed at once, later or never; back in time, later or not; or it was not true."""
        self.gone.add(one.id)
        rng, now = self._rng, self._run.clock.true()
        confirmed = rng.random() < 0.6
        said = AbsenceIn(
            service_user=one.id,
            reason=rng.choice(("hospital", "family", "day_centre")),
            review_at=now + timedelta(days=2),
            raised_by=rng.choice(("care_worker", "next_of_kin")),
            by=SUPERVISOR,
            note="her daughter rang",
            from_at=now + timedelta(minutes=rng.choice((-60, -5, 0, 30))),
            spoke_to="next_of_kin" if confirmed else None,
        )
        view = await self._asks(lambda app: app.watch.report_absence(self._desk.id, said))
        if view is None:
            return
        await self._rests(1, 60)
        if not confirmed and rng.random() < 0.6:
            await self._absence(view.id, action="confirm", spoke_to="place")
        await self._rests(5, 240)
        if rng.random() < 0.7:
            await self._absence(view.id, action="end", outcome=rng.choice(("returned", "withdrawn")))
            self.gone.discard(one.id)

    async def _absence(self, ref: str, **action: Any) -> None:
        said = AbsenceActionIn(by=SUPERVISOR, **action)
        await self._asks(lambda app: app.watch.act_on_absence(self._desk.id, ref, said))

    async def _has_died(self, one: Someone) -> None:
        """Or it was somebody else."""
        self.gone.add(one.id)
        said = DeathIn(by=SUPERVISOR, note="her daughter rang")
        await self._asks(lambda app: app.watch.record_death(self._desk.id, one.id, said, undo=False))
        if self._rng.random() < 0.5:
            await self._rests(1, 120)
            said = DeathIn(by=MANAGER, note="another Mrs Rose")
            await self._asks(lambda app: app.watch.record_death(self._desk.id, one.id, said, undo=True))
            self.gone.discard(one.id)

    # --- people and rota ---

    async def _edits_a_plan(self, one: Someone) -> None:
        """And sends everybody again, as an export would."""
        edited = self._desk.people[one.id]
        plan = {**edited.plan, **self._rng.choice(PLANS)}
        self._desk.people[one.id] = replace(edited, plan=plan)
        await self._asks(lambda app: app.watch.put_people(self._desk.id, self._desk.people_body()))

    async def _mends_a_row(self, one: Someone) -> None:
        """A row without a usable start is refused, and the desk told of it until it is mended."""
        run, worker = self._run, next(p.id for p in self._desk.people.values() if p.role == "care_worker")
        start = (run.clock.true() + timedelta(hours=2)).replace(microsecond=0)
        visit = Visit(
            id=f"{self._desk.id[0]}-mended", service_user=one.id, start=start, minutes=30, workers=(worker,)
        )
        async with run.uploading[self._desk.id]:
            body = {"visits": [visit.row() | {"start": "soon"}]}
            await self._asks(lambda app: app.watch.put_rota(self._desk.id, body, "st-1"))
        await self._rests(5, 60)
        self._desk.visits[visit.id] = visit
        async with run.uploading[self._desk.id]:
            await run.upload(self._desk, {"visits": [visit.row()]}, ())

    # --- alerts on the board ---

    @property
    def desk(self) -> str:
        """Whose office it is."""
        return self._desk.id

    def recorded(self, facts: Sequence[Record]) -> None:
        """Who sits at the board takes some of what is raised, and a manager checks some of what is over."""
        for fact in facts:
            if fact.kind == "AlertRaised" and self._rng.random() < 0.1:
                self._run.go(self._takes(fact.subject))
            if fact.kind == "AlertEnded" and self._rng.random() < 0.2:
                self._run.go(self._checks(fact.subject))

    async def _takes(self, alert: str) -> None:
        await self._rests(0.2, 8)
        action = ActionIn(action="take", by=self._rng.choice(("st-1", SUPERVISOR)))
        await self._asks(lambda app: app.watch.act(self.desk, alert, action))

    async def _checks(self, alert: str) -> None:
        await self._rests(1, 60)
        action = ActionIn(
            action="check", by=MANAGER, adequate=True, safeguarding="raised", serious_incident=False
        )
        await self._asks(lambda app: app.watch.act(self.desk, alert, action))

    async def _asks(self, work: Callable[[Any], Any]) -> Any:
        try:
            return await self._run.insist(work)
        except ApiProblem as problem:
            self._run.auditor.note(f"the office was refused: {problem.code}")
            return None
