"""A council's desk in a world: its brokers, its providers, the packages that it places, and what everybody will do.

Data only, drawn from a `Random` of its own: a world without a council is the world that it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from config.load import AreaEntry, DeskConfig, DutyEntry
from config.placing import PlacementKind, PlacingPolicy, Round
from config.policy import Policy
from tests.simulation.world import Desk, Shift, Someone

COUNCILS = 0.5
"""So many worlds have one."""
AREAS = {"east": ("petts-wood", "mottingham"), "west": ("penge",), "south": ("darwin",)}
MOVES = (
    "early",
    "early",
    "at_the_close",
    "after",
    "doubled",
    "changed",
    "withdrawn",
    "declined",
    "declined",
    "silent",
)
"""What a provider does when it is asked; `doubled`: two bids from two connections in the same moment, `changed`: a
second one, half the time at the very close."""


@dataclass(kw_only=True)
class Package:
    """A package that a broker sends out at a moment, and what each provider will do when it is asked to bid."""

    id: str
    at: datetime
    body: dict[str, Any]
    moves: dict[str, str]
    broker: str
    """`confirms`, `forgets`, `overrides`, `early`, `withdraws`."""
    winner: str
    """`confirms`, `silent`."""
    afterwards: str = "stays"
    """What the broker does about a first visit that is confirmed: `stays`, `withdraw`, `send_back`."""


@dataclass(kw_only=True)
class Council(Desk):
    """The desk, with its providers and packages."""

    providers: list[dict[str, Any]] = field(default_factory=list)
    packages: list[Package] = field(default_factory=list)
    unit_s: float = 60.0
    """Seconds in what people call a minute here."""

    def professionals(self) -> dict[str, str]:
        """By address: providers and the brokerage mailbox, who are no members of the public."""
        addresses = {one["email"]: one["id"] for one in self.providers}
        numbers = {phone["number"]: one["id"] for one in self.providers for phone in one["phones"]}
        return addresses | numbers | {self.config.mailbox or "": "mailbox"}


def with_council(
    seed: int, style: str, epoch: datetime, lasts: timedelta, desks: Sequence[str] = ()
) -> Council | None:
    """The council of this seed, in the worlds that have one. Some of its providers have one of the `desks`."""
    rng = Random(f"council:{seed}")
    if rng.random() >= COUNCILS:
        return None
    unit = 60.0 if style == "day" else 2.0
    people, shifts = _people(rng)
    providers = [_provider(rng, n) for n in range(rng.choice((3, 5, 7)))]
    for one in providers:
        people[one["id"]] = Someone(
            id=one["id"], role="provider", number=one["phones"][0]["number"], answers=0.0, texts_back=0.0
        )
    config = DeskConfig(
        id="brokerage",
        kind="council",
        name="Brokerage",
        policy=_summons(style),
        public="off",
        numbers=("+441632969900",),
        sender_name=None,
        telephone="+441632969901",
        duty=tuple(DutyEntry(person=s.person, role=s.role, hours=s.hours) for s in shifts),  # type: ignore[arg-type]
        council_desks=(),
        placing=_policies(rng, unit),
        areas=tuple(AreaEntry(id=area, name=area.title(), wards=wards) for area, wards in AREAS.items()),
        mailbox="brokerage@council.example",
    )
    council = Council(
        id="brokerage",
        config=config,
        shifts=shifts,
        people=people,
        visits={},
        council=(),
        providers=providers,
    )
    council.unit_s = unit
    council.packages = [_package(rng, n, council, epoch, lasts) for n in range(rng.choice((4, 8, 12)))]
    _share_the_installation(Random(f"landing:{seed}"), council, desks)
    return council


def _share_the_installation(rng: Random, council: Council, desks: Sequence[str]) -> None:
    """First visits land in the providers' own desks, and some are not wanted any more. Drawn apart: all else is as it
    was."""
    for one in council.providers:
        if desks and rng.random() < 0.7:
            one["desk"] = rng.choice(desks)
    for package in council.packages:
        package.afterwards = rng.choice(("stays", "stays", "withdraw", "send_back"))


def _summons(style: str) -> Policy:
    if style == "day":
        return Policy()
    return Policy(
        summon_call_after=timedelta(seconds=10),
        summon_next=timedelta(seconds=60),
        ack_expires=timedelta(minutes=4),
    )


def _people(rng: Random) -> tuple[dict[str, Someone], list[Shift]]:
    people = {
        name: Someone(id=name, role="staff", number=f"+4477009099{n:02d}", answers=rng.choice((0.5, 0.9)))
        for n, name in enumerate(("bea", "bob"))
    }
    shifts = [
        Shift(person="bea", role="office", hours="otherwise"),
        Shift(person="bob", role="manager", hours="otherwise"),
    ]
    return people, shifts


def _provider(rng: Random, n: int) -> dict[str, Any]:
    level = rng.choice(("good", "good", "good", "outstanding", "requires_improvement", None))
    questions = ("safe", "effective", "caring", "responsive", "well_led")
    return {
        "id": f"prov-{n}",
        "name": f"Provider {n}",
        "tier": "patch" if n % 3 else "framework",
        "areas": rng.sample(sorted(AREAS), rng.choice((1, 2))),
        "email": f"bids@provider-{n}.example",
        "phones": [{"number": f"+4477009098{n:02d}", "kind": "mobile"}],
        "rating": {"overall": level} | dict.fromkeys(questions, level if level != "outstanding" else "good"),
        "rate": rng.choice((19.5, 21.0, 22.25)),
        "hours_declared": rng.choice((400, 1500, 2990, 3100, None)),
        "scores": {area: rng.randrange(40, 100) for area in sorted(AREAS)},
    }


def _policies(rng: Random, unit_s: float) -> dict[PlacementKind, PlacingPolicy]:
    def minutes(n: float) -> timedelta:
        return timedelta(seconds=n * unit_s)

    patch = Round(name="patch", tiers=("patch",), window=minutes(40), reminders=(minutes(30),))
    framework = Round(name="framework", tiers=("framework",), area="any", window=minutes(20), next="end")
    ranked = Round(
        name="ranked",
        tiers=("patch",),
        area="any",
        rule="ranked",
        order="score",
        window=minutes(8),
        next="end",
    )
    after = {
        "lost_told_after": minutes(50),
        "confirm_within": minutes(40),
        "confirm_reminder": minutes(20),
        "papers_reminder": minutes(5),
    }
    rounds = rng.choice(
        (
            (patch, framework),
            (Round(**{**_fields(patch), "closes_early": "all_answered", "next": "broker"}), framework),
            (ranked,),
        )
    )
    award = rng.choice(("broker", "broker", "by_itself"))
    standard = PlacingPolicy(rounds=rounds, award=award, **after)  # type: ignore[arg-type]
    quick = Round(
        name="discharge",
        tiers=("patch",),
        window=minutes(20),
        reminders=(minutes(10),),
        closes_early="first_bid",
    )
    return {"standard": standard, "discharge": PlacingPolicy(rounds=(quick, framework), **after)}  # type: ignore[arg-type]


def _fields(held: Round) -> dict[str, Any]:
    return {name: getattr(held, name) for name in held.__struct_fields__}


def _package(rng: Random, n: int, council: Council, epoch: datetime, lasts: timedelta) -> Package:
    at = epoch + timedelta(seconds=rng.uniform(0.05, 0.7) * lasts.total_seconds())
    wanted = at + timedelta(days=rng.choice((1, 2, 5)))
    minutes = 15 * rng.randrange(4, 80)
    body = {
        "id": f"pk-{n}",
        "kind": rng.choice(("standard", "standard", "discharge")),
        "area": rng.choice(sorted(AREAS)),
        "minutes_week": minutes,
        "visits": [30] * rng.choice((1, 2, 4)),
        "care_workers": rng.choice((1, 1, 2)),
        "start": wanted.isoformat(),
        "by": "bea",
        "text": rng.choice(("", "Help with washing and dressing.", "Needs a hoist.")),
    }
    return Package(
        id=f"pk-{n}",
        at=at,
        body=body,
        moves={one["id"]: rng.choice(MOVES) for one in council.providers},
        broker=rng.choice(("confirms", "confirms", "forgets", "overrides", "early", "withdraws")),
        winner=rng.choice(("confirms", "confirms", "silent")),
    )
