"""Brokers and providers at work in a run: packages are sent out, bids race the close, awards are made or forgotten.

What each does next it takes from the journal as it became durable, as a person would take it from a text or a page.
Every request is made again until it is answered, as a browser's or a gateway's would be; what was answered is kept for
the rules (`tests/simulation/placing_rules.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.placing_in import BidIn, DeclineIn, PlacementActionIn, PlacementIn, Speaker, TakeBackIn
from connectors.ports import ApiProblem, Record
from tests.simulation.council import Council, Package
from tests.simulation.journal import Fact, read
from tests.simulation.placing_rules import Placed, by_ref, gather

if TYPE_CHECKING:
    from tests.simulation.run import Run

NEAR = timedelta(milliseconds=1)
KILLED = 0.1
"""So often the process dies at the close of a provider's window, in worlds in which it dies at all."""


class Placings:
    """The council's desk of a run, and whoever deals with it."""

    def __init__(self, run: Run, council: Council) -> None:
        self._run, self._council = run, council
        self._rng = Random(f"placings:{run.world.seed}")
        self._by_ref: dict[str, Package] = {}
        self.answered: list[tuple[str, str, str]] = []
        """(package, provider, what) of every bid, decline and withdrawal that was answered with success."""

    def placed(self) -> Placed:
        """The council's journal as the rules read it."""
        run = self._run
        names = run.machine.outside("brokerage")
        known = [one for one in self.answered if one[0] in set(names.values())]
        facts = read(run.machine.journal("brokerage"))
        offices = [fact for desk in run.world.desks for fact in read(run.machine.journal(desk))]
        return gather(facts, run.auditor.able_for, run.clock.true(), by_ref(known, names), offices)

    # --- what the journal shows ---

    async def begin(self) -> None:
        """The providers are known, and packages go out at their moments."""
        await self._insist(lambda app: app.watch.put_people("brokerage", _staff(self._council)))
        await self._insist(lambda app: app.watch.put_providers("brokerage", self._council.providers))
        for package in self._council.packages:
            self._run.go(self._goes_out(package))

    def recorded(self, facts: Sequence[Record]) -> None:
        """Facts of the desk became durable: who is concerned acts on them."""
        for fact in read(facts):
            act = getattr(self, f"_{fact.kind}", None)
            package = self._by_ref.get(fact.subject)
            if act is not None and package is not None:
                act(package, fact)

    def _RoundOpened(self, package: Package, fact: Fact) -> None:  # noqa: N802
        for provider in fact.body["asked"]:
            self._asked(package, provider, fact)

    def _ProviderAsked(self, package: Package, fact: Fact) -> None:  # noqa: N802
        self._asked(package, fact.body["provider"], fact)

    def _asked(self, package: Package, ref: str, fact: Fact) -> None:
        provider = self._name(ref)
        closes = datetime.fromisoformat(fact.body["closes_at"])
        self._run.go(self._moves(package, provider, package.moves[provider], closes))
        if "crash" in self._run.world.faults and self._rng.random() < KILLED:
            self._run.go(self._killed(closes + self._rng.choice((-NEAR, timedelta(), NEAR))))
        if package.broker == "early":
            self._run.go(self._awards_early(package, closes))

    def _ProposalMade(self, package: Package, fact: Fact) -> None:  # noqa: N802
        if fact.body.get("proposed") and package.broker in ("confirms", "overrides", "early"):
            self._run.go(self._awards(package, fact))

    def _RoundClosed(self, package: Package, fact: Fact) -> None:  # noqa: N802
        if package.broker != "forgets":
            self._run.go(self._opens_next(package))

    def _PlacementAwarded(self, package: Package, fact: Fact) -> None:  # noqa: N802
        if package.winner == "confirms":
            self._run.go(self._confirms(package, self._name(fact.body["provider"])))

    def _FirstVisitConfirmed(self, package: Package, fact: Fact) -> None:  # noqa: N802
        if package.afterwards != "stays":
            self._run.go(self._thinks_again(package))

    def _PlacementUnplaced(self, package: Package, fact: Fact) -> None:  # noqa: N802
        self._run.go(self._act(package, 4, action="withdraw", reason="placed_elsewhere"))

    def _AwardTakenBack(self, package: Package, fact: Fact) -> None:  # noqa: N802
        self._run.go(self._act(package, 4, action="withdraw", reason="not_needed"))

    # --- what people do ---

    async def _goes_out(self, package: Package) -> None:
        await self._run.until(package.at)
        said = msgspec.convert(package.body, PlacementIn)
        broker = Speaker(source="api")
        view, _ = await self._insist(lambda app: app.watch.place("brokerage", said, broker))
        self._by_ref[view.subject] = package
        self.recorded([one for one in self._run.machine.journal("brokerage") if one.subject == view.subject])
        if package.broker == "withdraws":
            await asyncio.sleep(self._rng.uniform(0, 60) * self._council.unit_s)
            await self._act(package, 0, action="withdraw", reason="not_needed")

    async def _moves(self, package: Package, provider: str, move: str, closes: datetime) -> None:
        now = self._run.clock.true()
        at = now + (closes - now) * self._rng.random()
        if move in ("at_the_close", "changed"):
            at = closes + self._rng.choice((-NEAR, timedelta(), NEAR))
        if move == "after":
            at = closes + timedelta(seconds=self._rng.uniform(0, 5) * self._council.unit_s)
        if move == "silent":
            return
        if move == "declined":
            await self._run.until(at)
            await self._declines(package, provider)
            return
        if move == "changed":
            await self._run.until(now + (at - now) * self._rng.random())
            await self._bids(package, provider, days=0)
        await self._run.until(at)
        if move == "doubled":
            self._run.go(self._bids(package, provider, days=1))
        await self._bids(package, provider, days=0)
        if move == "withdrawn":
            await asyncio.sleep(self._rng.uniform(0, 20) * self._council.unit_s)
            await self._takes_back(package, provider)

    async def _killed(self, at: datetime) -> None:
        await self._run.until(at)
        if not self._run.calm and self._run.clock.true() - at < timedelta(seconds=1):
            self._run.outcome.counts["killed at the close"] += 1
            self._run.killed()

    async def _bids(self, package: Package, provider: str, *, days: int) -> None:
        start = datetime.fromisoformat(package.body["start"]) - timedelta(hours=self._rng.choice((0, 2, -30)))
        said = BidIn(start=(start + timedelta(days=days)).isoformat(), how="two of our regular team")
        who = Speaker(source="link", provider=provider)
        await self._tells(
            package, provider, "bid", lambda app: app.watch.bid("brokerage", package.id, said, who)
        )

    async def _declines(self, package: Package, provider: str) -> None:
        said, who = DeclineIn(reason="no_capacity"), Speaker(source="link", provider=provider)
        work = lambda app: app.watch.decline("brokerage", package.id, said, who)  # noqa: E731
        await self._tells(package, provider, "decline", work)

    async def _takes_back(self, package: Package, provider: str) -> None:
        who = Speaker(source="api", provider=provider)
        work = lambda app: app.watch.take_back("brokerage", package.id, TakeBackIn(), who)  # noqa: E731
        await self._tells(package, provider, "withdraw", work)

    async def _awards(self, package: Package, fact: Fact) -> None:
        """The proposed one, or now and then another who bid."""
        await asyncio.sleep(self._rng.uniform(0, 15) * self._council.unit_s)
        if package.broker == "overrides":
            others = [
                row["provider"] for row in fact.body["rows"] if row["provider"] != fact.body["proposed"]
            ]
            if others:
                to = self._name(self._rng.choice(others))
                await self._act(
                    package, 0, action="award", provider=to, reason="specialist_need", note="knows her"
                )
        await self._act(package, 0, action="award")

    async def _awards_early(self, package: Package, closes: datetime) -> None:
        now = self._run.clock.true()
        await self._run.until(now + (closes - now) * 0.5)
        provider = self._rng.choice(sorted(package.moves))
        await self._act(
            package, 0, action="award", provider=provider, reason="emergency", note="the ward closes"
        )

    async def _thinks_again(self, package: Package) -> None:
        """Nobody wants the first visit any more: sometimes at once, while it is still landing."""
        said = (
            {"reason": "died"} if package.afterwards == "withdraw" else {"note": "they cannot go after all"}
        )
        await self._act(package, self._rng.choice((0.0, 0.001, 5.0)), action=package.afterwards, **said)

    async def _opens_next(self, package: Package) -> None:
        await self._act(package, 10, action="open_next")

    async def _confirms(self, package: Package, provider: str) -> None:
        await asyncio.sleep(self._rng.uniform(0, 30) * self._council.unit_s)
        start = max(
            datetime.fromisoformat(package.body["start"]), self._run.clock.true() + timedelta(hours=1)
        )
        said = PlacementActionIn(
            action="confirm_first_visit",
            start=start.isoformat(),
            end=(start + timedelta(minutes=30)).isoformat(),
            supervisor=True,
        )
        who = Speaker(source="link", provider=provider)
        await self._asks(package, lambda app: app.watch.act_on_placement("brokerage", package.id, said, who))

    async def _act(self, package: Package, within: float, **action: Any) -> None:
        await asyncio.sleep(self._rng.uniform(0, within) * self._council.unit_s)
        said, who = PlacementActionIn(by="bea", **action), Speaker(source="api")
        await self._asks(package, lambda app: app.watch.act_on_placement("brokerage", package.id, said, who))

    # --- over the wire ---

    async def _tells(self, package: Package, provider: str, what: str, work: Callable[[Any], Any]) -> None:
        if await self._asks(package, work):
            self.answered.append((package.id, provider, what))

    async def _asks(self, package: Package, work: Callable[[Any], Any]) -> bool:
        try:
            await self._insist(work)
        except ApiProblem as problem:
            self._run.auditor.note(f"{package.id}: refused: {problem.code}")
            return False
        return True

    async def _insist(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await self._run.insist(work)

    def _name(self, ref: str) -> str:
        return self._run.machine.outside("brokerage")[ref]


def _staff(council: Council) -> list[dict[str, Any]]:
    """The brokers, as `PUT …/people` has them."""
    return json.loads(json.dumps([one for one in council.people_body() if one["role"] == "staff"]))  # type: ignore[no-any-return]
