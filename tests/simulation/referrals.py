"""A council's referrals at a provider's desk in a run: when they come, who deals with them, who answers, who never.

Everything is drawn from a `Random` of its own, and half of the worlds have none: those are the worlds that they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from config.load import DutyEntry
from connectors.ports import ApiProblem, ReferralActionIn, ReferralIn, ReferralMail
from tests.simulation.journal import read
from tests.simulation.referral_rules import Answered, Told, gather
from tests.simulation.world import Desk, Shift, Someone, World

if TYPE_CHECKING:
    from tests.simulation.run import Run

REFERRALS = 0.5
"""So many worlds have a desk that councils ask."""
NEAR = timedelta(milliseconds=1)
KILLED = 0.15
"""So often the process dies at a moment of a referral's clock, in worlds in which it dies at all."""
WEEK = frozenset(range(5))
OWN = (
    Shift(person="rf-1", role="referrals", hours="Mon-Fri 09:00-17:00", days=WEEK, start=540, until=1020),
    Shift(
        person="rf-2",
        role="referrals",
        hours="Sat-Sun 08:00-22:00",
        days=frozenset({5, 6}),
        start=480,
        until=1320,
    ),
)
"""Who sees to referrals: on weekdays, at weekends; at night whoever is on duty."""
MOVES = ("answers", "answers", "answers", "answers_late", "takes", "takes_and_answers", "silent", "silent")
OUTCOMES: tuple[dict[str, Any], ...] = (
    {"outcome": "bid"},
    {"outcome": "declined", "reason": "no_capacity"},
    {"outcome": "withdrawn"},
)


@dataclass(kw_only=True)
class Asked:
    """A question that a council puts at a moment, and what becomes of it. `doubled`: it comes in twice at once."""

    id: str
    desk: str
    at: datetime
    kind: str
    mail: bool
    doubled: bool
    answer_by: datetime | None
    move: str
    by: str
    share: float
    """When they do it: this share of the window."""


@dataclass(kw_only=True)
class Inbox:
    """What councils will ask of one desk, and by whose hours it is seen to."""

    desk: str
    shifts: tuple[Shift, ...]
    asked: list[Asked] = field(default_factory=list)


def with_referrals(seed: int, world: World) -> Inbox | None:
    """The referrals of this seed, in the worlds that have some; their people and hours join the desk."""
    rng = Random(f"referrals:{seed}")
    if rng.random() >= REFERRALS:
        return None
    desk = next(iter(world.desks.values()))
    own = OWN if rng.random() < 0.8 else ()
    for n, shift in enumerate(own):
        desk.people[shift.person] = Someone(
            id=shift.person,
            role="staff",
            number=f"+4477009099{n + 50}",
            answers=rng.choice((0.0, 0.4, 0.9)),
            texts_back=rng.choice((0.0, 0.3, 0.7)),
            passes_on=rng.choice((0.0, 0.2, 0.5)),
        )
    duty = tuple(DutyEntry(person=s.person, role="referrals", hours=s.hours) for s in own)
    desk.config = msgspec.structs.replace(desk.config, duty=(*desk.config.duty, *duty))
    inbox = Inbox(desk=desk.id, shifts=own)
    inbox.asked = [_asked(rng, n, world, desk) for n in range(rng.choice((2, 4, 6)))]
    return inbox


def _asked(rng: Random, n: int, world: World, desk: Desk) -> Asked:
    at = world.epoch + timedelta(seconds=rng.uniform(0.03, 0.85) * world.lasts.total_seconds())
    kind = rng.choice(("standard", "standard", "discharge", "palliative"))
    policy = desk.config.policy
    window = policy.referral_discharge_within if kind == "discharge" else policy.referral_within
    staff = [one.id for one in desk.people.values() if one.role == "staff"]
    return Asked(
        id=f"rq-{n}",
        desk=desk.id,
        at=at,
        kind=kind,
        mail=rng.random() < 0.3,
        doubled=rng.random() < 0.2,
        answer_by=at + window * rng.uniform(0.3, 1.5) if rng.random() < 0.4 else None,
        move=rng.choice(MOVES),
        by=rng.choice(staff),
        share=rng.random(),
    )


class Referrals:
    """The desk's inbox at work."""

    def __init__(self, run: Run, inbox: Inbox) -> None:
        self._run, self._inbox = run, inbox
        self._rng = Random(f"inbox:{run.world.seed}")
        self._logged: list[str] = []
        self._answered: list[Answered] = []

    def begin(self) -> None:
        """Councils ask at their moments."""
        for asked in self._inbox.asked:
            self._run.go(self._comes(asked))

    def told(self) -> Told:
        """The desk's journal as the rules read it."""
        run, desk = self._run, self._run.world.desks[self._inbox.desk]
        refs: dict[str, str] = {}
        for ref, outside in run.machine.outside(desk.id).items():
            refs.setdefault(outside, ref)

        def people(shifts: tuple[Shift, ...]) -> Callable[[datetime], frozenset[str]]:
            on = run.on_duty(desk, shifts)
            return lambda at: frozenset(refs[one] for one in on(at) if one in refs)

        return gather(
            read(run.machine.journal(desk.id)),
            ends_at=run.clock.true(),
            able=run.auditor.able_for,
            steady=run.auditor.steady,
            own=people(self._inbox.shifts),
            on_duty=people(desk.shifts),
            logged=[refs.get(one, one) for one in self._logged],
            answered=[
                msgspec.structs.replace(one, ref=refs.get(one.ref, one.ref), by=refs[one.by])
                for one in self._answered
            ],
        )

    # --- what councils and people do ---

    async def _comes(self, asked: Asked) -> None:
        await self._run.until(asked.at)
        if asked.doubled:
            self._run.go(self._again(asked))
        view = await self._hands_in(asked)
        self._logged.append(view.id)
        window = view.answer_by - view.arrived_at
        if "crash" in self._run.world.faults and self._rng.random() < KILLED:
            moment = self._rng.choice((view.half_at, view.last_at, view.answer_by))
            self._run.go(self._killed(moment + self._rng.choice((-NEAR, timedelta(), NEAR))))
        if asked.move in ("takes", "takes_and_answers"):
            await self._run.until(view.arrived_at + window * asked.share * 0.5)
            await self._does(asked, view.id, {})
        if asked.move in ("answers", "takes_and_answers"):
            await self._run.until(view.arrived_at + window * (0.5 + asked.share * 0.5))
            await self._answers(asked, view.id)
        if asked.move == "answers_late":
            await self._run.until(view.answer_by + window * asked.share)
            await self._answers(asked, view.id)

    async def _again(self, asked: Asked) -> None:
        await self._hands_in(asked)

    async def _hands_in(self, asked: Asked) -> Any:
        """Whoever forwards it keeps it while our clock says that it has not come yet."""
        while True:
            try:
                return await self._run.insist(lambda app: self._log(app, asked))
            except ApiProblem as problem:
                self._run.auditor.note(f"{asked.id}: refused: {problem.code}")
                await asyncio.sleep(60)

    def _log(self, app: Any, asked: Asked) -> Any:
        if not asked.mail:
            given = ReferralIn(
                id=asked.id,
                kind=asked.kind,  # type: ignore[arg-type]
                # when it reached whoever forwards it: we may hear of it when its time is over
                arrived_at=asked.at if asked.answer_by is not None else None,
                answer_by=asked.answer_by,
                text="Help with washing and dressing.",
            )
            return app.watch.log_referral(asked.desk, given, "api")
        mail = ReferralMail(
            raw=b"Subject: package\r\n\r\nHelp with washing.",
            natural_key=asked.id,
            sent_at=asked.at,
            discharge=asked.kind == "discharge",
        )
        return app.watch.mail_referral(asked.desk, mail, None, None)

    async def _killed(self, at: datetime) -> None:
        await self._run.until(at)
        if not self._run.calm and self._run.clock.true() - at < timedelta(seconds=1):
            self._run.outcome.counts["killed at a mark"] += 1
            self._run.killed()

    async def _answers(self, asked: Asked, ref: str) -> None:
        more = dict(self._rng.choice(OUTCOMES))
        if more["outcome"] == "bid":
            more["start"] = self._run.clock.true() + timedelta(hours=20)
        if await self._does(asked, ref, more):
            self._answered.append(Answered(ref=ref, by=asked.by, outcome=more["outcome"]))

    async def _does(self, asked: Asked, ref: str, more: dict[str, Any]) -> bool:
        action = ReferralActionIn(by=asked.by, **more)
        try:
            await self._run.insist(lambda app: app.watch.act_on_referral(asked.desk, ref, action))
        except ApiProblem as problem:
            self._run.auditor.note(f"{asked.id}: refused: {problem.code}")
            # the answer to our first request may have been lost with the process
            return problem.code == "already_answered" and problem.extra.get("by") == asked.by
        return True
