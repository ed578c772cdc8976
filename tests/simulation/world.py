"""A seeded world: desks with people and a rota, and what each of them will do. Data only; nothing here runs.

Everything is drawn from one `random.Random(seed)`, in a fixed order, so that a seed is a world.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from config.load import CouncilDeskEntry, DeskConfig, DutyEntry
from config.policy import Contract, Policy
from tests.simulation.journal import Person

STARTS = (
    datetime(2026, 11, 23, 5, tzinfo=UTC),  # a Monday
    datetime(2026, 11, 27, 16, tzinfo=UTC),  # a Friday evening into Saturday
    datetime(2026, 12, 25, 5, tzinfo=UTC),  # a bank holiday
    datetime(2026, 10, 24, 20, tzinfo=UTC),  # into the night in which the clocks go back
    datetime(2026, 3, 28, 20, tzinfo=UTC),  # into the night in which they go forward
)
APART = 0.0011
"""About 120 m of latitude between two homes: their circles (40 m) never meet, and no way is longer than the kilometre
from which on the product asks whether a car could have done it."""
COLUMNS = 7
SAME_HOME = timedelta(hours=6)
"""Two visits to one person this close together: a check-in that names neither may belong to either."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One line of a duty list, for the configuration (text) and for the auditor (structure)."""

    person: str
    role: str
    hours: str
    days: frozenset[int] = frozenset()
    holidays: bool = False
    start: int = 0
    until: int = 0
    """Minutes of the local day; no days and no holidays: otherwise."""


@dataclass(frozen=True, kw_only=True)
class Someone:
    """A person with a telephone, and their habits as shares of 1."""

    id: str
    role: str
    number: str
    kind: str = "mobile"
    answers: float = 0.6
    voicemail: float = 0.2
    texts_back: float = 0.5
    digit: str = "1"
    """What they press when they have listened: "" for nothing."""
    passes_on: float = 0.2
    lat: float | None = None
    lon: float | None = None
    device: str | None = None
    temper: str = "steady"
    """How they answer texts and calls (folk.py)."""
    plan: dict[str, Any] = field(default_factory=dict)
    """The contract's `contact_plan`."""
    kin: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()
    child: bool = False
    contract: str | None = None

    @property
    def plain(self) -> bool:
        """Nothing in their plan keeps the machine from ringing them."""
        return not self.plan and not self.child

    def known(self) -> Person:
        """As the auditor knows them: what was uploaded, and no more."""
        never = frozenset(self.plan.get("never_tell", ()))
        told = [one for one in self.kin if one not in never]
        speaker = self.plan.get("spokesperson") or (told[0] if self.child and told else None)
        channels = tuple(self.plan.get("channels", ()))
        alone = self.child and speaker is None
        return Person(
            id=self.id,
            role=self.role,
            numbers=(self.number,),
            landlines=frozenset({self.number} if self.kind == "landline" else ()),
            public=self.plan.get("public"),
            by_person_only=channels[:1] == ("person",) or alone,
            end_of_life=self.plan.get("end_of_life", False),
            never_tell=never,
            kin=tuple(told),
            speaker=speaker if speaker not in never else None,
            not_with=frozenset(self.not_with),
            channels=channels,
            private=self.contract == "private",
        )


@dataclass(kw_only=True)
class CheckIn:
    """One message of a phone, as the world knows it."""

    id: str
    desk: str
    device: str
    kind: str
    """As the phone sends it, or `elsewhere`."""
    at: datetime
    visit: str
    worker: str
    named: bool
    lat: float | None = None
    lon: float | None = None
    doubled: bool = False


@dataclass(kw_only=True)
class Story:
    """What one care worker does at one visit. `arrives` None: nobody comes."""

    worker: str
    arrives: datetime | None
    leaves: datetime | None
    named: bool
    doubled: bool
    close: datetime | None = None
    """They arrive in the last seconds before the visit is late, which is then."""
    kind: str = "arrive"
    """`elsewhere`: they press *arrive* five kilometres away; `no_reply`: nobody opens the door."""


@dataclass(kw_only=True)
class Visit:
    """A row of the rota and the truth about it."""

    id: str
    service_user: str
    start: datetime
    minutes: int
    workers: tuple[str, ...]
    time_critical: bool = False
    late_after: str | None = None
    stories: list[Story] = field(default_factory=list)

    @property
    def end(self) -> datetime:
        """The planned end."""
        return self.start + timedelta(minutes=self.minutes)

    def row(self) -> dict[str, Any]:
        """As the contract's `PUT …/rota` writes it."""
        row: dict[str, Any] = {
            "id": self.id,
            "service_user": self.service_user,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "workers": list(self.workers),
        }
        if self.time_critical:
            row["time_critical"] = True
        if self.late_after is not None:
            row["late_after"] = self.late_after
        return row


@dataclass(kw_only=True)
class Desk:
    """One desk."""

    id: str
    config: DeskConfig
    shifts: tuple[Shift, ...]
    people: dict[str, Someone]
    visits: dict[str, Visit]
    council: tuple[Someone, ...] = ()

    def people_body(self) -> list[dict[str, Any]]:
        """As the contract's `PUT …/people` writes it."""
        return [_person(one) for one in self.people.values()]

    def by_number(self, number: str) -> Someone | None:
        """Who has this telephone."""
        return next((one for one in (*self.people.values(), *self.council) if one.number == number), None)


@dataclass(kw_only=True)
class World:
    """Everything that one seed decides before anything runs."""

    seed: int
    style: str
    epoch: datetime
    lasts: timedelta
    desks: dict[str, Desk]
    faults: frozenset[str]


ALL_FAULTS = frozenset(
    {
        "crash",
        "store",
        "broker",
        "phones",
        "clock",
        "stall",
        "provider",
        "callbacks",
        "rota",
        "policy",
        "http",
    }
)


def make_world(seed: int, hours: float | None = None, faults: frozenset[str] | None = None) -> World:
    """The world of a seed: `day` with the real policy, or `quick` with every duration a thirtieth of it."""
    rng = Random(f"world:{seed}")
    style = rng.choice(("day", "day", "quick"))
    epoch = rng.choice(STARTS) + timedelta(minutes=rng.randrange(60))
    lasts = timedelta(hours=hours if hours is not None else (12 if style == "day" else 1.5))
    drawn = frozenset(name for name in sorted(ALL_FAULTS) if rng.random() < 0.65)
    desks = {}
    for number in range(rng.choice((1, 1, 2, 3))):
        desk = _desk(rng, number, style, epoch, lasts, 60)
        desks[desk.id] = desk
    return World(
        seed=seed,
        style=style,
        epoch=epoch,
        lasts=lasts,
        desks=desks,
        faults=drawn if faults is None else faults,
    )


def policy_of(rng: Random, style: str) -> Policy:
    """The real one, or the same in seconds for minutes (two to one)."""
    if style == "day":
        late = timedelta(minutes=rng.choice((15, 30, 30)))
        return Policy(late_after=late, time_critical_late_after=min(late, timedelta(minutes=20)))
    return Policy(
        late_after=timedelta(seconds=60),
        time_critical_late_after=timedelta(seconds=30),
        early_after=timedelta(seconds=30),
        ask_worker=(timedelta(seconds=20), timedelta(seconds=40)),
        summon_call_after=timedelta(seconds=10),
        summon_next=timedelta(seconds=60),
        ack_expires=timedelta(minutes=4),
        reassure_retry=timedelta(seconds=40),
        hold_public=timedelta(seconds=20),
        ask_public=timedelta(seconds=8),
        locate_gives_up=timedelta(seconds=40),
        replace_within=timedelta(minutes=8),
        offer_wave=timedelta(seconds=40),
        join_within=timedelta(seconds=20),
        missed_after=timedelta(minutes=2),
        overrun_after=timedelta(minutes=2),
        plan_freeze=timedelta(minutes=10),
        referral_within=timedelta(minutes=4),
        referral_discharge_within=timedelta(minutes=1),
        referral_last=timedelta(seconds=20),
    )


# --- one desk ---


def _desk(rng: Random, number: int, style: str, epoch: datetime, lasts: timedelta, size: int) -> Desk:
    name = ("bright", "harbour", "meadow")[number]
    size = size if number == 0 else rng.randrange(8, 20)
    people: dict[str, Someone] = {}
    shifts = _staff(rng, number, people)
    workers = [_worker(rng, number, n, people) for n in range(max(3, size // 8))]
    users = [_service_user(rng, number, n, people) for n in range(max(4, size * 2 // 3))]
    users = [_with_plan(rng, number, one, people) for one in users]
    policy = policy_of(rng, style)
    rota = _Rota(rng, name, policy, workers, users)
    visits = rota.visits(epoch, lasts, size)
    if number == 0 and rng.random() < STORMS:
        rota.all_at_once(visits, epoch, lasts)
    council, entries = _council(rng, number)
    config = DeskConfig(
        id=name,
        kind="provider",
        name=f"{name.title()} Care",
        policy=policy,
        public=rng.choice(("off", "ask", "auto", "auto")),
        numbers=(f"+44163296{number}900",),
        sender_name=None,
        telephone=f"+44163296{number}901",
        duty=tuple(DutyEntry(person=s.person, role=s.role, hours=s.hours) for s in shifts),  # type: ignore[arg-type]
        council_desks=entries,
        contracts=(Contract(id="private", council=False, policy=policy),),
    )
    return Desk(id=name, config=config, shifts=shifts, people=people, visits=visits, council=council)


STORMS = 0.15
"""So many worlds have a morning in which most visits begin at once, and nobody comes to half of them."""
COUNCILS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("duty", "Mon-Fri 09:00-17:00"), ("direct", "Mon-Fri 17:00-17:30"), ("edt", "otherwise")),
    (("edt", "daily 00:00-24:00"),),
    (("duty", "Mon-Fri 09:00-17:00"),),
    (),
)
"""Appendix E; one desk at all hours; one that is closed at night; none at all."""


def _council(rng: Random, desk: int) -> tuple[tuple[Someone, ...], tuple[CouncilDeskEntry, ...]]:
    people, entries = [], []
    for n, (name, hours) in enumerate(rng.choices(COUNCILS, (5, 3, 1, 1))[0]):
        phone = f"+44163297{desk}{n:03d}"
        people.append(Someone(id=f"{name}-{desk}", role="council", number=phone, kind="landline"))
        entries.append(
            CouncilDeskEntry(
                name=name, phone=phone, email=f"{name}{desk}@council.example", hours=hours, contract=None
            )
        )
    return tuple(people), tuple(entries)


def _with_plan(rng: Random, desk: int, one: Someone, people: dict[str, Someone]) -> Someone:
    """Their family, their contact plan, who pays for them."""
    kin = tuple(_kin(rng, desk, one, n, people) for n in range(rng.choice((0, 1, 1, 2))))
    plan: dict[str, Any] = {}
    drawn, never = rng.random(), rng.random()
    if drawn < 0.4:
        plan = dict(rng.choice(PLANS))
    if kin and rng.random() < 0.06:
        plan["spokesperson"] = kin[0]
    if never < 0.06 and kin:
        plan["never_tell"] = [kin[-1]]
    elif never < 0.12:
        plan["never_tell"] = [rng.choice(("st-1", "oc-1", "cw-1"))]
    others = [p for p in people.values() if p.role == "service_user" and p.id != one.id]
    shared = rng.choice(others) if rng.random() < 0.06 else None
    changed = replace(
        one,
        number=shared.number if shared is not None else one.number,
        kind=shared.kind if shared is not None else one.kind,
        plan=plan,
        kin=kin,
        child=rng.random() < 0.03,
        not_with=("cw-0",) if rng.random() < 0.05 else (),
        contract="private" if rng.random() < 0.1 else None,
    )
    people[one.id] = changed
    return changed


PLANS: tuple[dict[str, Any], ...] = (
    {"public": "off"},
    {"public": "ask"},
    {"public": "auto"},
    {"channels": ["person"]},
    {"channels": ["voice"]},
    {"channels": ["text", "voice"]},
    {"understands_keys": False},
    {"keypad": False},
    {"hours": "daily 08:00-20:00"},
    {"hours": "daily 08:00-20:00", "outside_hours": "time_critical"},
    {"end_of_life": True},
    {"voicemail": True},
    {"ring_s": 60},
)
"""Contact plans, a row each."""


def _kin(rng: Random, desk: int, one: Someone, n: int, people: dict[str, Someone]) -> str:
    kin = Someone(
        id=f"ne-{one.id[3:]}-{n}",
        role="contact",
        number=f"+44770092{desk}{len(people):03d}",
        kind=rng.choice(("mobile", "mobile", "landline")),
        answers=rng.choice((0.0, 0.5, 0.9)),
        voicemail=rng.choice((0.0, 0.5)),
        texts_back=rng.choice((0.0, 0.4)),
        temper=rng.choice(("steady", "steady", "muddled")),
    )
    people[kin.id] = kin
    return kin.id


def _staff(rng: Random, desk: int, people: dict[str, Someone]) -> tuple[Shift, ...]:
    def person(name: str, n: int) -> str:
        people[name] = Someone(
            id=name,
            role="staff",
            number=f"+44770090{desk}{n:03d}",
            answers=rng.choice((0.0, 0.4, 0.7, 0.9)),
            voicemail=rng.choice((0.0, 0.3, 0.8)),
            texts_back=rng.choice((0.0, 0.3, 0.7)),
            passes_on=rng.choice((0.0, 0.2, 0.5)),
        )
        return name

    week = frozenset(range(5))
    return (
        Shift(
            person=person("st-1", 1),
            role="office",
            hours="Mon-Fri 08:00-18:00",
            days=week,
            start=480,
            until=1080,
        ),
        Shift(
            person=person("st-2", 2),
            role="office",
            hours="Mon-Fri 08:00-18:00",
            days=week,
            start=480,
            until=1080,
        ),
        Shift(person=person("oc-1", 3), role="on_call", hours="otherwise"),
        Shift(person=person("oc-2", 4), role="on_call", hours="otherwise"),
        Shift(
            person=person("ma-1", 5),
            role="manager",
            hours="Mon-Fri 09:00-17:00",
            days=week,
            start=540,
            until=1020,
        ),
    )


def _worker(rng: Random, desk: int, n: int, people: dict[str, Someone]) -> Someone:
    one = Someone(
        id=f"cw-{n}",
        role="care_worker",
        number=f"+44770091{desk}{n:03d}",
        device=f"callwatch:phone-{desk}-{n}",
        answers=rng.random(),
        texts_back=rng.choice((0.2, 0.6, 0.9)),
        temper=rng.choice(("steady", "steady", "hopeful", "muddled", "eager")),
    )
    people[one.id] = one
    return one


def _service_user(rng: Random, desk: int, n: int, people: dict[str, Someone]) -> Someone:
    one = Someone(
        id=f"su-{n}",
        role="service_user",
        number=f"+4416329{desk}{n:04d}",
        kind=rng.choice(("landline", "mobile")),
        answers=rng.choice((0.0, 0.5, 0.9)),
        voicemail=rng.choice((0.0, 0.5)),
        digit=rng.choice(("1", "1", "1", "2", "3", "")),
        texts_back=rng.choice((0.0, 0.5)),
        temper=rng.choice(("steady", "steady", "steady", "muddled")),
        lat=51.40 + APART * (n % COLUMNS),
        lon=0.02 + APART * 1.6 * (n // COLUMNS),
    )
    people[one.id] = one
    return one


def _person(one: Someone) -> dict[str, Any]:
    body: dict[str, Any] = {"id": one.id, "role": one.role, "name": one.id.replace("-", " ").title()}
    body["phones"] = [{"number": one.number, "kind": one.kind}]
    if one.lat is not None:
        body["homes"] = [{"lat": one.lat, "lon": one.lon, "radius_m": 40}]
    if one.device is not None:
        body["devices"] = [one.device]
    if one.plan:
        body["contact_plan"] = one.plan
    if one.kin:
        body["next_of_kin"] = list(one.kin)
    if one.not_with:
        body["not_with"] = list(one.not_with)
    if one.child:
        body["born"] = "2015-05-05"
    if one.contract is not None:
        body["contract"] = one.contract
    return body


# --- the rota and the truth ---


def last_visits(rng: Random, desk: Desk, now: datetime, gone: Collection[str] = ()) -> list[Visit]:
    """Three visits that fall due when the faults have ended: nobody comes to two of them, somebody to the third.
    `gone`: who is away, or has died."""
    start = (now + timedelta(seconds=60)).replace(microsecond=0)
    workers = [one.id for one in desk.people.values() if one.role == "care_worker"]
    users = [one.id for one in desk.people.values() if one.role == "service_user" and one.id not in gone]
    visits = []
    for number, worker in enumerate(workers[:3]):
        comes = start + timedelta(seconds=20) if number == 2 else None
        visit = Visit(
            id=f"{desk.id[0]}-last-{number}",
            service_user=rng.choice(users),
            start=start,
            minutes=30,
            workers=(worker,),
            late_after="60s",
        )
        visit.stories = [Story(worker=worker, arrives=comes, leaves=None, named=True, doubled=False)]
        visits.append(visit)
    return visits


class _Rota:
    """Draws the visits of one desk."""

    def __init__(
        self, rng: Random, desk: str, policy: Policy, workers: list[Someone], users: list[Someone]
    ) -> None:
        self._rng, self._desk, self._policy = rng, desk, policy
        self._workers, self._users = workers, users
        self._quick = policy.late_after <= timedelta(minutes=1)

    def visits(self, epoch: datetime, lasts: timedelta, size: int) -> dict[str, Visit]:
        """Runs of visits, one after the other for each care worker, over the first three quarters of the time."""
        unit = timedelta(seconds=30) if self._quick else timedelta(minutes=15)
        each = max(1, size // len(self._workers))
        room = max(int(lasts * 0.75 / unit) - 2, each + 4)
        found: dict[str, Visit] = {}
        for worker in self._workers:
            slots = sorted(self._rng.sample(range(2, room), each))
            for at, slot in enumerate(slots):
                gap = (slots[at + 1] if at + 1 < each else slot + 4) - slot
                name = f"{self._desk[0]}{worker.id}-{at}"
                found[name] = self._visit(name, epoch + unit * slot, max(1, min(gap - 1, 3)), worker.id)
        _name_what_is_ambiguous(list(found.values()))
        return found

    def all_at_once(self, visits: dict[str, Visit], epoch: datetime, lasts: timedelta) -> None:
        """Forty late at once: most visits begin at the same moment, and nobody comes to half of them."""
        start = (epoch + lasts / 3).replace(microsecond=0)
        for visit in self._rng.sample(list(visits.values()), len(visits) * 2 // 3):
            shift = start - visit.start
            visit.start = start
            if self._rng.random() < 0.5:
                visit.stories = [
                    replace(story, arrives=None, leaves=None, close=None) for story in visit.stories
                ]
                continue
            visit.stories = [
                replace(
                    story,
                    arrives=story.arrives + shift if story.arrives else None,
                    leaves=story.leaves + shift if story.leaves else None,
                    close=story.close + shift if story.close else None,
                    named=True,
                )
                for story in visit.stories
            ]

    def _visit(self, name: str, start: datetime, length: int, worker: str) -> Visit:
        rng = self._rng
        both = [worker]
        if rng.random() < 0.12:
            both.append(rng.choice([one.id for one in self._workers if one.id != worker]))
        visit = Visit(
            id=name,
            service_user=rng.choice(self._users).id,
            start=start.replace(microsecond=0),
            minutes=length if self._quick else 15 * length,
            workers=tuple(both),
            time_critical=rng.random() < 0.15,
            late_after=("20s" if self._quick else "10m") if rng.random() < 0.1 else None,
        )
        visit.stories = [self._story(visit, who) for who in both]
        return visit

    def _late_at(self, visit: Visit) -> datetime:
        if visit.late_after is not None:
            return visit.start + timedelta(seconds=20 if self._quick else 600)
        return visit.start + self._policy.tolerance(time_critical=visit.time_critical)

    def _story(self, visit: Visit, worker: str) -> Story:
        """In time, in the last seconds, late, or never; forgotten departures; doubled messages."""
        rng, late_at = self._rng, self._late_at(visit)
        tolerance = (late_at - visit.start).total_seconds()
        arrives: datetime | None = None
        drawn = rng.random()
        if drawn < 0.12:
            arrives = late_at - timedelta(seconds=rng.randrange(2, 12))
        elif drawn < 0.25:
            arrives = late_at + timedelta(seconds=rng.randrange(0, int(tolerance * 2)))
        elif drawn < 0.85:
            arrives = visit.start + timedelta(seconds=int(tolerance * rng.uniform(-0.25, 0.4)))
        leaves = None
        if arrives is not None and rng.random() < 0.85:
            leaves = arrives + timedelta(minutes=visit.minutes) * rng.uniform(0.2, 1.1)
        kind = rng.choices(("arrive", "elsewhere", "no_reply"), (92, 5, 3))[0]
        in_window = arrives is not None and arrives < visit.end
        return Story(
            worker=worker,
            arrives=arrives,
            leaves=leaves,
            named=self._quick
            or kind != "arrive"
            or not in_window
            or len(visit.workers) > 1
            or rng.random() < 0.5,
            doubled=rng.random() < 0.1,
            close=late_at if drawn < 0.12 else None,
            kind=kind,
        )


def _name_what_is_ambiguous(visits: list[Visit]) -> None:
    for visit in visits:
        others = (v for v in visits if v.service_user == visit.service_user and v is not visit)
        if any(abs(other.start - visit.start) < SAME_HOME for other in others):
            for story in visit.stories:
                story.named = True
