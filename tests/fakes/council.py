"""A council's desk behind the pages: views that a test sets, and what was asked of it. It decides nothing."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from msgspec import structs

from connectors.links import Link, Shown
from connectors.placing_in import (
    BidIn,
    CareEndedIn,
    DeclineIn,
    PlacementActionIn,
    PlacementIn,
    Speaker,
    TakeBackIn,
)
from connectors.ports import ApiProblem, Credential, Degraded
from monitor.core.placing.views import (
    AreasView,
    AreaView,
    AskedView,
    BidReceipt,
    BidView,
    HeldPage,
    HeldView,
    OwnPlacement,
    PackageView,
    PlacementPage,
    PlacementsPage,
    PlacementView,
    ProviderView,
    RatingView,
    RegisterView,
    RoundView,
    RowView,
    RuleView,
)
from tests.fakes.desks import NOW, FakeDesks

NAMES = {"ace": "Acorn Care", "bee": "Beech Homecare", "st-1": "Anna Weber", "bea": "Beatrice Fernsby"}
"""Whoever the broker may see by name."""
AREAS = AreasView(
    areas=(
        AreaView(id="east", wards=("petts-wood", "orpington"), name="East"),
        AreaView(id="south", wards=("darwin",)),
    ),
    kinds=("discharge", "standard"),
    unconfirmed=("discharge",),
    specialisms=("dementia", "peg_feeding"),
)
LETTERS = "A" * 18


def package_view(**more: Any) -> PackageView:
    """An hour a day in the east."""
    values: dict[str, Any] = {"text": "Lives alone, one flight of stairs."}
    return PackageView(
        **{
            "kind": "standard",
            "area": "east",
            "ward": "petts-wood",
            "minutes_week": 420,
            "hours_week": 7.0,
            "visits": (30, 30),
            "care_workers": 1,
            "time_critical": False,
            "specialisms": (),
            "start": NOW + timedelta(days=2),
            "discharge_at": None,
        }
        | values
        | more
    )


def asked(provider: str, answered: bool = False) -> AskedView:
    """Asked half an hour ago, for two hours."""
    at = NOW - timedelta(minutes=30)
    answered_at = at + timedelta(minutes=5) if answered else None
    return AskedView(provider=provider, at=at, closes_at=at + timedelta(hours=2), answered_at=answered_at)


def round_view(*who: AskedView, **more: Any) -> RoundView:
    """The first round, open still."""
    at = NOW - timedelta(minutes=30)
    values: dict[str, Any] = {"index": 0, "name": "patch", "rule": "open", "opened_at": at, "by": None}
    values |= {"closes_at": at + timedelta(hours=2), "closed_at": None, "reason": None, "crosses": ""}
    return RoundView(**values | {"asked": who, "line": (), "silent": (), "losers_told_at": None} | more)


def bid_view(provider: str = "ace", **more: Any) -> BidView:
    """A bid of five minutes ago, in time."""
    at = NOW - timedelta(minutes=5)
    values: dict[str, Any] = {"provider": provider, "round": 0, "at": at, "first_at": at, "source": "link"}
    values |= {"start": NOW + timedelta(days=2), "late": False, "admitted": False, "counts": True}
    values |= {"withdrawn_at": None, "changes": 0, "by": None, "hours_free": 12, "hours_declared": 900}
    return BidView(**values | {"how": "Two regular care workers."} | more)


def row_view(provider: str, place: int | None, *results: RuleView, **more: Any) -> RowView:
    """A row of a proposal."""
    values: dict[str, Any] = {"minutes_held": 600, "packages_won": 2, "start": NOW + timedelta(days=2)}
    values |= {"rate_pence": 2150, "score": None, "late": False, "decided_by": ""}
    return RowView(provider=provider, place=place, results=results, **values | more)


def rule_view(rule: str = "cqc", outcome: Any = "holds", **more: Any) -> RuleView:
    """What one rule says."""
    values: dict[str, Any] = {"why": "", "value": None, "limit": None, "at": None}
    return RuleView(rule=rule, outcome=outcome, **values | more)


def placement_view(placement: str = "k1", stage: Any = "open", **more: Any) -> PlacementView:
    """A package whose window is open: two providers were asked, one has bid."""
    values: dict[str, Any] = {
        "id": placement,
        "subject": f"g-{placement}",
        "stage": stage,
        "package": package_view(),
        "received_at": NOW - timedelta(minutes=30),
        "by": "st-1",
        "confirmed": True,
        "closes_at": NOW + timedelta(minutes=90) if stage == "open" else None,
        "rounds": (round_view(asked("ace", answered=True), asked("bee")),),
        "bids": (bid_view(),),
    }
    empty = ("marks", "late_bids", "declined", "proposal", "taken_back", "revoked")
    nothing = ("proposed", "proposed_at", "award", "first_visit", "alert", "unplaced_at")
    ended = ("ended_at", "ended", "withdrawn")
    values |= dict.fromkeys(empty, ()) | dict.fromkeys((*nothing, *ended))
    return PlacementView(**values | more)


def own_view(state: Any = "open", **more: Any) -> OwnPlacement:
    """What `ace` sees of the same package, before it has said anything."""
    values: dict[str, Any] = {"id": "k1", "council": "Bright Brokerage", "state": state}
    values |= {"package": package_view(), "asked_at": NOW - timedelta(minutes=30)}
    values |= {"closes_at": NOW + timedelta(minutes=90), "confirm_by": None, "first_visit": None}
    return OwnPlacement(**values | {"partners": (), "telephone": "+441632960111"} | more)


def provider_view(provider: str) -> ProviderView:
    """A provider with its name and nothing else."""
    values: dict[str, Any] = {"id": provider, "name": NAMES[provider], "tier": "patch", "areas": ("east",)}
    values |= {"specialisms": (), "rating": RatingView(), "rate_pence": None, "hours_declared": None}
    values |= {"declared_on": None, "scores": (), "partners": (), "active": True, "desk": None}
    return ProviderView(since=NOW, **values)


class FakeCouncil(FakeDesks):
    """One council's desk, `hall`. What was pressed stands in `placing`, in order: what, and with which body."""

    def __init__(self) -> None:
        people = {role: Credential(role=role, desk="hall", person="st-1") for role in ("broker", "auditor")}
        super().__init__(("hall",), {f"secret of the {role}": who for role, who in people.items()})
        self.councils = {"hall"}
        self.packages: dict[str, PlacementView] = {}
        self.owned: dict[tuple[str, str], OwnPlacement | ApiProblem] = {}
        self.links: dict[str, Shown] = {}
        self.placing: list[tuple[str, str, Any, Speaker]] = []
        self.says_no: ApiProblem | None = None
        self.holding: tuple[HeldView, ...] = ()
        self.kept: RegisterView | None = None
        self.asked_since: list[date | None] = []

    def link(self, shown: str) -> Shown:
        return self.links.get(shown, Shown(verdict="forged"))

    def give_link(
        self, text: str = LETTERS, *, ended: bool = False, provider: str = "ace", serial: int = 0
    ) -> None:
        """A link of ours to the package `k1`."""
        until = NOW + timedelta(hours=4)
        link = Link(purpose="bid", desk="hall", intent="k1", person=provider, until=until, serial=serial)
        self.links[text] = Shown(verdict="expired" if ended else "genuine", link=link)

    async def placements_page(self, desk: str) -> PlacementsPage:
        return PlacementsPage(
            desk=desk,
            name="Bright Brokerage",
            now=NOW,
            degraded=self.degraded,
            placements=tuple(self.packages.values()),
            names=NAMES,
            areas=AREAS,
            providers=tuple(provider_view(one) for one in ("ace", "bee")),
            brokers=("st-1",),
        )

    async def placement_page(self, desk: str, placement: str) -> PlacementPage:
        known = self.packages.get(placement)
        if known is None:
            raise ApiProblem(404, "unknown_placement", "this desk has no package with this id")
        page = await self.placements_page(desk)
        shared = {name: getattr(page, name) for name in ("desk", "name", "now", "degraded", "names")}
        return PlacementPage(**shared, placement=known, providers=page.providers, brokers=page.brokers)

    async def register(self, desk: str, since: date | None) -> RegisterView:
        self.asked_since.append(since)
        if self.kept is None:
            raise ApiProblem(404, "no_policy", "this desk has no policy by which packages are placed")
        return self.kept

    def _heard(self, what: str, placement: str, body: Any, speaker: Speaker) -> None:
        if self.degraded:
            raise Degraded("full")
        if self.says_no is not None:
            raise self.says_no
        self.placing.append((what, placement, body, speaker))

    async def place(self, desk: str, said: PlacementIn, speaker: Speaker) -> tuple[PlacementView, bool]:
        self._heard("place", "", said, speaker)
        view = placement_view(said.id or "g1")
        self.packages[view.id] = view
        return view, True

    async def own_placement(self, desk: str, placement: str, provider: str) -> OwnPlacement:
        if self.degraded:
            raise Degraded("full")
        found = self.owned.get((placement, provider))
        if found is None:
            raise ApiProblem(404, "unknown_placement", "this package was not sent to you")
        if isinstance(found, ApiProblem):
            raise found
        return found

    def _receipt(self, placement: str, what: Any) -> BidReceipt:
        return BidReceipt(placement=placement, provider="ace", what=what, at=NOW, late=False, closes_at=NOW)

    async def bid(self, desk: str, placement: str, said: BidIn, speaker: Speaker) -> BidReceipt:
        self._heard("bid", placement, said, speaker)
        return self._receipt(placement, "bid")

    async def decline(self, desk: str, placement: str, said: DeclineIn, speaker: Speaker) -> BidReceipt:
        self._heard("decline", placement, said, speaker)
        return self._receipt(placement, "declined")

    async def take_back(self, desk: str, placement: str, said: TakeBackIn, speaker: Speaker) -> BidReceipt:
        self._heard("take_back", placement, said, speaker)
        return self._receipt(placement, "withdrawn")

    async def held(self, desk: str) -> list[HeldView]:
        return list(self.holding)

    async def care_ended(self, desk: str, placement: str, said: CareEndedIn, speaker: Speaker) -> HeldView:
        self._heard("care_ended", placement, said, speaker)
        return self.holding[0]

    async def held_page(self, desk: str) -> HeldPage:
        page = await self.placements_page(desk)
        shared = {name: getattr(page, name) for name in ("desk", "name", "now", "degraded", "names")}
        return HeldPage(**shared, held=self.holding)

    async def dead_link(self, desk: str, placement: str, provider: str) -> None:
        self._heard("dead_link", placement, provider, Speaker(source="link", provider=provider))

    async def act_on_placement(
        self, desk: str, placement: str, said: PlacementActionIn, speaker: Speaker
    ) -> PlacementView:
        self._heard(said.action, placement, said, speaker)
        return self.packages[placement]

    def show(self, *packages: PlacementView) -> None:
        """What the council has now."""
        self.packages = {one.id: one for one in packages}


def renamed(view: PlacementView, **more: Any) -> PlacementView:
    """The same package, otherwise."""
    return structs.replace(view, **more)
