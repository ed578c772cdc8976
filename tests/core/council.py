"""A council's desk in the hand: providers, areas, a placing policy, and brokers; over `tests.core.driver.Desk`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from config.placing import Area, PlacementKind, PlacingPolicy, Round, placing_terms
from config.policy import Duty
from escalation.people import LineView, PersonView
from monitor.core import facts as f
from monitor.core.inputs import DeadlineReached, Input
from monitor.core.placing.inputs import (
    BidGiven,
    BidRefusedByProvider,
    LocalScore,
    PackageReceived,
    PackageSaid,
    PlacingLoaded,
    ProviderSaid,
    ProvidersTold,
    Rating,
)
from monitor.core.placing.model import Placement
from monitor.core.placing.reach import INVITED, TURN
from monitor.core.work import Decision
from tests.core.driver import MONDAY, Desk

GOOD = Rating(
    overall="good", safe="good", effective="good", caring="good", responsive="good", well_led="good"
)
AREAS = (Area(id="east", wards=("petts-wood",)), Area(id="south", wards=("darwin",)))
BROKERS = (Duty(person="bea", role="office", hours="otherwise"),)
PATCH = Round(name="patch", tiers=("patch",), window=timedelta(hours=2), reminders=(timedelta(minutes=90),))
OTHERS = Round(name="other_patches", tiers=("patch",), area="other", only_areas=("south",))
FRAMEWORK = Round(name="framework", tiers=("framework",), area="any", next="end")
STANDARD = PlacingPolicy(rounds=(PATCH, OTHERS, FRAMEWORK))


def provider(ref: str, tier: str = "patch", areas: tuple[str, ...] = ("east",), **more: Any) -> ProviderSaid:
    """A provider of whom nothing speaks against a package."""
    values: dict[str, Any] = {"rating": GOOD, "rate_pence": 2100, "hours_declared": 900}
    return ProviderSaid(ref=ref, tier=tier, areas=areas, **values | more)


ACE, BEE = provider("ace"), provider("bee")
SEA = provider("sea", areas=("south",), scores=(LocalScore(area="south", score=80),))
FRAME = provider("frame", "framework", areas=())


class Council(Desk):
    """A council's desk. `ace` and `bee` are patch providers of the east, `sea` of the south, `frame` is on the
    framework; `bea` is the broker."""

    def __init__(
        self,
        now: datetime = MONDAY,
        *,
        placing: PlacingPolicy = STANDARD,
        kinds: tuple[PlacementKind, ...] = ("standard", "discharge"),
        providers: tuple[ProviderSaid, ...] = (ACE, BEE, SEA, FRAME),
        **more: Any,
    ) -> None:
        self.reaches = True
        super().__init__(now, **{"duty": BROKERS, "council_desks": ()} | more)
        self.people.people["bea"] = PersonView(
            ref="bea", role="staff", lines=(LineView(ref="l-bea"),), mail=True
        )
        for one in providers:
            line = LineView(ref=f"l-{one.ref}")
            self.people.people[one.ref] = PersonView(ref=one.ref, role="provider", lines=(line,), mail=True)
        terms = placing_terms(dict.fromkeys(kinds, placing))
        self.tell(PlacingLoaded(terms=terms, areas=AREAS, mailbox="mailbox"))
        self.tell(ProvidersTold(providers=providers))

    def advance(self, **by: float) -> list[f.FactBody]:
        """As of any desk; and unless `reaches` is False, whoever is asked has been told before time passes."""
        before = len(self.facts)
        self.reach()
        super().advance(**by)
        return [fact.body for fact in self.facts[before:]]

    def tell(self, seen: Input) -> Decision:
        """As of any desk; who is asked when a deadline has come is told at once."""
        decision = super().tell(seen)
        if isinstance(seen, DeadlineReached):
            self.reach()
        return decision

    def reach(self) -> None:
        """The texts and mails that ask providers are delivered."""
        for message in self.messages("package") if self.reaches else ():
            if message.phase == "queued" and message.template in (INVITED, TURN):
                self.send(message)
                self.deliver(message, "delivered")

    def sends(self, ref: str = "k1", **more: Any) -> Decision:
        """The broker sends out a package: an hour a day in the east, unless said otherwise."""
        values: dict[str, Any] = {"kind": "standard", "area": "east", "minutes_week": 420, "visits": (30, 30)}
        package = PackageSaid(**values | {"start": self.now + timedelta(days=2)} | more)
        return self.tell(PackageReceived(ref=ref, package=package, by="bea"))

    def bids(self, provider: str, ref: str = "k1", **more: Any) -> Decision:
        """A provider can take it, from the day on which it is wanted."""
        values: dict[str, Any] = {"start": self.placement(ref).package.start, "source": "link"}
        return self.tell(BidGiven(placement=ref, provider=provider, **values | more))

    def declines(self, provider: str, ref: str = "k1", **more: Any) -> Decision:
        """A provider does not take it."""
        values: dict[str, Any] = {"reason": "no_capacity", "source": "link"}
        return self.tell(BidRefusedByProvider(placement=ref, provider=provider, **values | more))

    def placement(self, ref: str = "k1") -> Placement:
        """The package as it stands."""
        return self.state.values.placements[ref]

    def changed(self, said: ProviderSaid, **more: Any) -> None:
        """The council learns something new about a provider."""
        self.tell(ProvidersTold(providers=(structs.replace(said, **more),)))
