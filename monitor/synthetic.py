"""A provider's day that nobody lives: people, a rota and what the care workers' phones will say.

For the demonstration and for benches. Pure: the same seed and the same `now` give the same day, byte for byte,
so a demo that is stopped and started again goes on with the day it had. Telephone numbers are those that Ofcom
keeps for drama (07700 900000-900999 and 01632 960000-960999); no name, home or number is anybody's.

How the day lies around `now`: a person who starts the demo wants to see something within a minute, at any hour.
So the watch is taken over about an hour into a day's runs.

- No visit of the past is so old that its arrival without a departure would already be overdue; the phones deliver
  the check-ins of the past hour as soon as they are connected.
- A visit whose ordinary deadline has passed by then, or is about to, gets a `late_after` that ends `TAKE_OVER`
  after `now`: the rota arrives before the phones do, and must not raise an alert for everybody who was visited.
- One visit is not so treated: nobody comes, and its ordinary 30 minutes end `alert_in` after `now`.
- Soon after follow an arrival that nobody hears of in time, because the phone is off the network, and a departure
  that is forgotten. Both are named in `scenarios`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from msgspec.structs import replace

CARE_WORKERS = 25
PAIRS = 4
"""Pairs of care workers who make the double-handed visits: 4 of 21 runs, 19% of visits (domain, "Sizes")."""
SERVICE_USERS = 120
VISITS = 300

TAKE_OVER = timedelta(minutes=2)
TOLERANCE = timedelta(minutes=30)
OVERRUN = timedelta(minutes=45)
STEP = timedelta(minutes=15)
SHORTEST = timedelta(minutes=30)
PAUSE_AFTER_FORGETTING = timedelta(hours=2)
OFFLINE_BEFORE = timedelta(minutes=6)
BACK_AFTER_ALERT = timedelta(minutes=3)

HOME_RADIUS_M = 100
HOMES_APART_M = 400
KEPT_AWAY_M = 600
KM_PER_DEGREE = 111.32
TOWN_KMH = 24.0
DETOUR = 1.35
PARKING = timedelta(minutes=4)

RESERVED_NUMBERS = 10
"""The last ten of either block are never given to a person: use them for the desk's own lines."""

_AREAS = (
    ("Beckenham", 51.4085, -0.0253),
    ("Penge", 51.4145, -0.0535),
    ("West Wickham", 51.3755, -0.0145),
    ("Hayes", 51.3765, 0.0185),
    ("Bromley Common", 51.3835, 0.0445),
    ("Bickley", 51.4005, 0.0445),
    ("Chislehurst", 51.4165, 0.0735),
    ("Mottingham", 51.4365, 0.0505),
    ("Petts Wood", 51.3885, 0.0765),
    ("Orpington", 51.3735, 0.0985),
    ("St Mary Cray", 51.3945, 0.1105),
)

_FIRST_NAMES = (
    "Ada", "Albert", "Amina", "Arthur", "Beatrice", "Bernard", "Chidi", "Clara", "Comfort", "Cyril", "Dilys",
    "Doreen", "Edith", "Elsie", "Ernest", "Esther", "Fatima", "Florence", "Frank", "Geoffrey", "Gladys", "Gwen",
    "Harold", "Hilda", "Ines", "Iris", "Ivy", "Jamal", "Joan", "Joyce", "Kamala", "Kofi", "Leonard", "Lilian",
    "Mabel", "Mavis", "Maureen", "Nadia", "Norman", "Olive", "Pearl", "Percy", "Priya", "Queenie", "Ravi",
    "Rita", "Ronald", "Rose", "Stanley", "Sylvia", "Tomasz", "Vera", "Violet", "Wilfred", "Winifred", "Zoë",
)  # fmt: skip
_SURNAMES = (
    "Ashdown", "Bellweather", "Brightling", "Cobbold", "Copperwheat", "Dallimore", "Eastgrove", "Fairlamb",
    "Garlick", "Hazelden", "Honeyfield", "Inkpen", "Jollyman", "Kettlewell", "Larkrise", "Merryfield",
    "Nettleship", "Oakshott", "Pennyfeather", "Quantrill", "Rainbird", "Sandalwood", "Tidmarsh", "Underhay",
    "Vickery", "Wetherspring", "Yarrow",
)  # fmt: skip

ScenarioName = Literal["never_comes", "phone_offline", "forgotten_departure", "late"]


class Scenario(Struct, frozen=True, kw_only=True):
    """Something that goes wrong on purpose. `alert_at`: when an alert is due, None when there should be none."""

    name: ScenarioName
    visit: str
    service_user: str
    worker: str
    alert_at: datetime | None
    ends_at: datetime | None = None
    """When the phones' own evidence ends the alert, if it ever does."""


class PhoneMessage(Struct, frozen=True, kw_only=True):
    """One MQTT publication, QoS 1. `due_at`: when it leaves the phone, which may be long after its `tst`."""

    due_at: datetime
    topic: str
    payload: bytes
    retain: bool = False


class PhonePlan(Struct, frozen=True, kw_only=True):
    """All that one care worker's phone will publish, in order of `due_at`."""

    worker: str
    user: str
    device: str
    messages: tuple[PhoneMessage, ...]


class SyntheticDay(Struct, frozen=True, kw_only=True):
    """The bodies of `PUT …/people` and `PUT …/rota`, the phones, and the desk's duty list in chain order."""

    seed: int
    now: datetime
    people_body: dict[str, Any]
    rota_body: dict[str, Any]
    phones: tuple[PhonePlan, ...]
    scenarios: tuple[Scenario, ...]
    duty: tuple[dict[str, str], ...]


class _Place(Struct, frozen=True):
    lat: float
    lon: float


class _Visit(Struct, frozen=True, kw_only=True):
    id: str
    client: int
    start: datetime
    end: datetime
    time_critical: bool = False


class _Run(Struct, frozen=True, kw_only=True):
    """One care worker's day, or a pair's: the same homes, walked through several times."""

    workers: tuple[int, ...]
    clients: tuple[int, ...]
    visits: tuple[_Visit, ...] = ()


class _Stay(Struct, frozen=True, kw_only=True):
    """A visit as it really goes. `left` None: the departure is forgotten."""

    visit: _Visit
    arrived: datetime
    left: datetime | None


# --- the day ---


def synthetic_day(
    seed: int,
    now: datetime,
    *,
    zone: str = "Europe/London",
    alert_in: timedelta = timedelta(seconds=30),
) -> SyntheticDay:
    """The day that `seed` and `now` make: about 120 service users, 25 care workers, 300 visits.

    `now` is aware; the visit that nobody makes is late `alert_in` after it. Visit ids carry the local date of
    `zone`, so that two days do not share them.
    """
    rng = random.Random(seed)  # noqa: S311 - a synthetic day is no secret
    now = now.astimezone(UTC).replace(microsecond=0)
    homes = _homes(rng)
    runs = _runs(rng, homes, now, now - TOLERANCE + alert_in)
    runs = _numbered(runs, f"v{now.astimezone(ZoneInfo(zone)):%y%m%d}")
    scenarios = _scenarios(runs, now)
    return SyntheticDay(
        seed=seed,
        now=now,
        people_body={"people": _people(rng, homes, scenarios)},
        rota_body=_rota(runs, now, scenarios),
        phones=tuple(_phones(seed, runs, homes, scenarios, now)),
        scenarios=scenarios,
        duty=_DUTY,
    )


_DUTY = (
    {"person": "st-office", "role": "office", "hours": "Mon-Fri 09:00-17:00"},
    {"person": "st-office-2", "role": "office", "hours": "Mon-Fri 09:00-17:00"},
    {"person": "st-on-call", "role": "on_call", "hours": "otherwise"},
    {"person": "st-manager", "role": "manager", "hours": "otherwise"},
)


# --- places ---


def _homes(rng: random.Random) -> tuple[_Place, ...]:
    """One home per service user, the areas in turn, none too near to another."""
    homes: list[_Place] = []
    while len(homes) < SERVICE_USERS:
        _, lat, lon = _AREAS[len(homes) % len(_AREAS)]
        home = _near(rng, _Place(lat, lon), 1.3)
        if all(_metres(home, other) >= HOMES_APART_M for other in homes):
            homes.append(home)
    return tuple(homes)


def _near(rng: random.Random, centre: _Place, within_km: float) -> _Place:
    return _moved(centre, within_km * 1000 * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi))


def _moved(place: _Place, metres: float, bearing: float) -> _Place:
    north, east = metres * math.cos(bearing) / 1000, metres * math.sin(bearing) / 1000
    lat = place.lat + north / KM_PER_DEGREE
    return _Place(lat, place.lon + east / (KM_PER_DEGREE * math.cos(math.radians(place.lat))))


def _metres(a: _Place, b: _Place) -> float:
    east = (b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return math.hypot(b.lat - a.lat, east) * KM_PER_DEGREE * 1000


def _drive(a: _Place, b: _Place) -> timedelta:
    return PARKING + timedelta(hours=_metres(a, b) / 1000 * DETOUR / TOWN_KMH)


def _up(at: datetime) -> datetime:
    """The next quarter of an hour (spec 7.21: visits are planned in steps of 15 minutes)."""
    return at + (datetime.min.replace(tzinfo=UTC) - at) % STEP


# --- runs ---

_STAR, _OFFLINE, _FORGETS = 0, 1, 2  # among the runs of one care worker
_FIRST_SINGLE = PAIRS


def _runs(
    rng: random.Random, homes: Sequence[_Place], now: datetime, star_start: datetime
) -> tuple[_Run, ...]:
    planned = []
    for index, run in enumerate(_empty_runs(homes)):
        begins, first_pause = _beginning(rng, index - _FIRST_SINGLE, now, star_start)
        visits = _laid(rng, homes, run.clients, _VISITS_OF[index], begins, first_pause)
        planned.append(replace(run, visits=tuple(visits)))
    return tuple(planned)


_RUNS = CARE_WORKERS - PAIRS
_VISITS_OF = tuple(VISITS // _RUNS + (index < VISITS % _RUNS) for index in range(_RUNS))


def _empty_runs(homes: Sequence[_Place]) -> list[_Run]:
    """Who goes to whom: homes in order of place, cut into rounds that are short to drive."""
    workers = [(2 * n, 2 * n + 1) for n in range(PAIRS)] + [(n,) for n in range(2 * PAIRS, CARE_WORKERS)]
    left = list(range(SERVICE_USERS))
    runs = []
    for index, pair in enumerate(workers):
        count = SERVICE_USERS // _RUNS + (index < SERVICE_USERS % _RUNS)
        runs.append(_Run(workers=pair, clients=tuple(_round(homes, left, count))))
    return runs


def _round(homes: Sequence[_Place], left: list[int], count: int) -> Iterator[int]:
    here = homes[min(left, key=lambda client: (homes[client].lon, client))]
    for _ in range(count):
        nearest = min(left, key=lambda client: (_metres(here, homes[client]), client))
        left.remove(nearest)
        here = homes[nearest]
        yield nearest


def _beginning(
    rng: random.Random, single: int, now: datetime, star_start: datetime
) -> tuple[datetime, timedelta]:
    """When a run begins, and how long it pauses after its first visit.

    The earliest moment is such that a first visit of the shortest kind, arrived and not yet known to be left, is
    not overdue when the rota arrives.
    """
    earliest = _up(now + TAKE_OVER - OVERRUN - SHORTEST)
    if single == _STAR:
        return star_start, timedelta(0)
    if single == _OFFLINE:
        return _up(now + TAKE_OVER - TOLERANCE) - timedelta(minutes=45), timedelta(0)
    if single == _FORGETS:
        return earliest, PAUSE_AFTER_FORGETTING
    return earliest + rng.randrange(3) * STEP, timedelta(0)


def _laid(
    rng: random.Random,
    homes: Sequence[_Place],
    clients: Sequence[int],
    count: int,
    begins: datetime,
    first_pause: timedelta,
) -> Iterator[_Visit]:
    """Visits one after another in steps of 15 minutes, with the drive between them; a break after each round."""
    start = begins
    for number in range(count):
        client = clients[number % len(clients)]
        length = SHORTEST if number == 0 else timedelta(minutes=rng.choices((30, 45, 60), (60, 30, 10))[0])
        yield _Visit(id="", client=client, start=start, end=start + length, time_critical=rng.random() < 0.12)
        onward = clients[(number + 1) % len(clients)]
        rest = first_pause if number == 0 else timedelta(0)
        if number % len(clients) == len(clients) - 1:
            rest += timedelta(minutes=45)
        start = _up(start + length + rest + _drive(homes[client], homes[onward]))


def _numbered(runs: Sequence[_Run], prefix: str) -> tuple[_Run, ...]:
    """Ids in the order of the day, as an office's rota would count them."""
    order = sorted(
        (visit.start, index, number)
        for index, run in enumerate(runs)
        for number, visit in enumerate(run.visits)
    )
    ids = {(index, number): f"{prefix}-{at:03d}" for at, (_, index, number) in enumerate(order, 1)}
    return tuple(
        replace(
            run,
            visits=tuple(replace(visit, id=ids[index, number]) for number, visit in enumerate(run.visits)),
        )
        for index, run in enumerate(runs)
    )


# --- what goes wrong ---


def _scenarios(runs: Sequence[_Run], now: datetime) -> tuple[Scenario, ...]:
    star, offline, forgets = (runs[_FIRST_SINGLE + n] for n in (_STAR, _OFFLINE, _FORGETS))
    missed, unheard, unleft = star.visits[0], offline.visits[1], forgets.visits[0]
    late_at, over_at = unheard.start + TOLERANCE, unleft.end + OVERRUN
    return (
        _scenario("never_comes", star, missed, missed.start + TOLERANCE),
        _scenario("phone_offline", offline, unheard, late_at, late_at + BACK_AFTER_ALERT),
        _scenario("forgotten_departure", forgets, unleft, over_at),
        *_late_ones(runs, now),
    )


def _late_ones(runs: Sequence[_Run], now: datetime) -> Iterator[Scenario]:
    """Every fifth ordinary run has its next visit begun late, but inside the tolerance: no alert."""
    for run in runs[_FIRST_SINGLE + 3 :: 5]:
        visit = next(visit for visit in run.visits if visit.start > now - timedelta(minutes=5))
        yield _scenario("late", run, visit, None)


def _scenario(
    name: ScenarioName,
    run: _Run,
    visit: _Visit,
    alert_at: datetime | None,
    ends_at: datetime | None = None,
) -> Scenario:
    return Scenario(
        name=name,
        visit=visit.id,
        service_user=_client_id(visit.client),
        worker=_worker_id(run.workers[0]),
        alert_at=alert_at,
        ends_at=ends_at,
    )


def _named(scenarios: Sequence[Scenario], visit: _Visit) -> ScenarioName | None:
    return next((scenario.name for scenario in scenarios if scenario.visit == visit.id), None)


# --- the rota ---


def _client_id(client: int) -> str:
    return f"su-{client + 1:03d}"


def _worker_id(worker: int) -> str:
    return f"cw-{worker + 1:02d}"


def _rota(runs: Sequence[_Run], now: datetime, scenarios: Sequence[Scenario]) -> dict[str, Any]:
    rows = [(visit, run) for run in runs for visit in run.visits]
    rows.sort(key=lambda row: row[0].id)
    return {
        "covers": {
            "from": _text(min(visit.start for visit, _ in rows)),
            "to": _text(max(visit.end for visit, _ in rows)),
        },
        "visits": [_row(visit, run, now, _named(scenarios, visit)) for visit, run in rows],
    }


def _row(visit: _Visit, run: _Run, now: datetime, scenario: ScenarioName | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": visit.id,
        "service_user": _client_id(visit.client),
        "start": _text(visit.start),
        "end": _text(visit.end),
        "workers": [_worker_id(worker) for worker in run.workers],
    }
    if len(run.workers) > 1:
        row["places"] = len(run.workers)
    if visit.time_critical and scenario is None:
        row["time_critical"] = True
    if scenario != "never_comes" and visit.start + TOLERANCE < now + TAKE_OVER:
        row["late_after"] = f"{int((now + TAKE_OVER - visit.start).total_seconds())}s"
    return row


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- people ---


FIRST_PIN = 4701
"""The first care worker's PIN; each one's is the next number."""


class _Lines:
    """Drama numbers, each given to one person only."""

    def __init__(self, rng: random.Random) -> None:
        self._mobiles = rng.sample(range(1000 - RESERVED_NUMBERS), 1000 - RESERVED_NUMBERS)
        self._landlines = rng.sample(range(1000 - RESERVED_NUMBERS), 1000 - RESERVED_NUMBERS)

    def mobile(self) -> dict[str, str]:
        return {"number": f"+447700900{self._mobiles.pop():03d}", "kind": "mobile", "use": "first"}

    def landline(self) -> dict[str, str]:
        number = f"+441632960{self._landlines.pop():03d}"
        return {"number": number, "kind": "landline", "use": "first"}


def _people(
    rng: random.Random, homes: Sequence[_Place], scenarios: Sequence[Scenario]
) -> list[dict[str, Any]]:
    names = [f"{first} {last}" for first in _FIRST_NAMES for last in _SURNAMES]
    rng.shuffle(names)
    lines = _Lines(rng)
    missed = scenarios[0].service_user
    people = [_staff(ref, names.pop(), lines) for ref in dict.fromkeys(entry["person"] for entry in _DUTY)]
    people += [_care_worker(rng, worker, names.pop(), lines) for worker in range(CARE_WORKERS)]
    for client, home in enumerate(homes):
        kin = [f"nok-{client + 1:03d}"] if rng.random() < 0.7 else []
        people += [_contact(ref, names.pop(), lines) for ref in kin]
        alone = _client_id(client) == missed or rng.random() < 0.6
        people.append(_service_user(rng, client, names.pop(), home, kin, lines, alone))
    return people


def _person(ref: str, role: str, name: str, phones: list[dict[str, str]]) -> dict[str, Any]:
    return {"id": ref, "role": role, "name": name, "first_name": name.split()[0], "phones": phones}


def _staff(ref: str, name: str, lines: _Lines) -> dict[str, Any]:
    return _person(ref, "staff", name, [lines.mobile()])


def _contact(ref: str, name: str, lines: _Lines) -> dict[str, Any]:
    return _person(ref, "contact", name, [lines.mobile()])


def _care_worker(rng: random.Random, worker: int, name: str, lines: _Lines) -> dict[str, Any]:
    person = _person(_worker_id(worker), "care_worker", name, [lines.mobile()])
    skills = [skill for skill in ("medication", "hoist", "stoma") if rng.random() < 0.5]
    return person | {"devices": [_device(worker)], "skills": skills, "pin": f"{FIRST_PIN + worker}"}


def _service_user(
    rng: random.Random,
    client: int,
    name: str,
    home: _Place,
    kin: list[str],
    lines: _Lines,
    alone: bool,
) -> dict[str, Any]:
    """Most have a landline only; who lives alone is rung there, the others are texted first."""
    landline = alone or rng.random() < 0.6
    phones = [lines.landline() if landline else lines.mobile()]
    return _person(_client_id(client), "service_user", name, phones) | {
        "homes": [{"lat": round(home.lat, 6), "lon": round(home.lon, 6), "radius_m": HOME_RADIUS_M}],
        "home_number": f"{101 + client}",
        "next_of_kin": kin,
        "contact_plan": {
            "public": "auto",
            "channels": ["voice"] if landline else ["text", "voice"],
            "ring_s": 50,
            "lives_alone": alone,
        },
    }


# --- phones ---


def _user(worker: int) -> str:
    return f"u{worker + 1:02d}"


def _device(worker: int) -> str:
    return f"owntracks:{_user(worker)}/phone"


def _phones(
    seed: int,
    runs: Sequence[_Run],
    homes: Sequence[_Place],
    scenarios: Sequence[Scenario],
    now: datetime,
) -> Iterator[PhonePlan]:
    for run in runs:
        for worker in run.workers:
            # an own source for each phone, so that a change to one run leaves the others' messages as they were
            rng = random.Random(f"{seed}/{worker}/{int(now.timestamp())}")  # noqa: S311
            stays = _stays(rng, run, homes, scenarios)
            messages = _Phone(rng, worker, run, homes).day(stays)
            yield PhonePlan(
                worker=_worker_id(worker),
                user=_user(worker),
                device=_device(worker),
                messages=tuple(_through_the_network(worker, messages, run, scenarios)),
            )


def _stays(
    rng: random.Random, run: _Run, homes: Sequence[_Place], scenarios: Sequence[Scenario]
) -> list[_Stay]:
    """What really happens: a little early or late, sometimes 5 to 20 minutes late, and once not at all."""
    stays: list[_Stay] = []
    for visit in run.visits:
        scenario = _named(scenarios, visit)
        if scenario == "never_comes":
            continue
        arrived = visit.start + _delay(rng, scenario)
        if stays:
            before = stays[-1]
            gone = before.left or before.visit.end
            arrived = max(arrived, gone + _drive(homes[before.visit.client], homes[visit.client]))
        stayed = (visit.end - visit.start) * rng.uniform(0.85, 1.0)
        left = None if scenario == "forgotten_departure" else arrived + stayed
        stays.append(_Stay(visit=visit, arrived=_whole(arrived), left=left and _whole(left)))
    return stays


def _delay(rng: random.Random, scenario: ScenarioName | None) -> timedelta:
    drawn, late = rng.random(), timedelta(minutes=rng.uniform(5, 20))
    on_time = timedelta(minutes=rng.uniform(-6, 4))
    if scenario == "late":
        return max(late, timedelta(minutes=12))
    return late if scenario is None and drawn < 0.06 else on_time


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)


class _Phone:
    """OwnTracks on Android, as it writes: locations (retained) and region transitions with a little noise."""

    def __init__(self, rng: random.Random, worker: int, run: _Run, homes: Sequence[_Place]) -> None:
        self._rng, self._homes = rng, homes
        self._topic = f"owntracks/{_user(worker)}/phone"
        self._tid = f"{worker + 1:02d}"
        self._begins = min(visit.start for visit in run.visits) - timedelta(minutes=20)
        self._wtst = int(self._begins.timestamp()) // 86_400 * 86_400
        # at home before the run: away from everybody who is visited
        self._base = next(
            place
            for place in iter(lambda: _near(rng, _Place(51.395, 0.035), 6.0), None)
            if all(_metres(place, home) >= KEPT_AWAY_M for home in homes)
        )

    def day(self, stays: Sequence[_Stay]) -> list[PhoneMessage]:
        """Every message in the order of its `tst`."""
        messages = [*self._waiting(self._base, self._begins, stays[0].arrived)]
        for stay in stays:
            messages += self._stay(stay)
        for before, after in pairwise(stays):
            if before.left is not None:
                messages += self._way(before, before.left, after)
        return sorted(messages, key=lambda message: message.due_at)

    def _stay(self, stay: _Stay) -> Iterator[PhoneMessage]:
        client, home = stay.visit.client, self._homes[stay.visit.client]
        yield self._transition("enter", stay.arrived, client)
        yield self._location(stay.arrived + timedelta(seconds=20), home, "c", client)
        if stay.left is None:
            return
        yield self._location(stay.arrived + (stay.left - stay.arrived) / 2, home, "p", client)
        yield self._transition("leave", stay.left, client)

    def _way(self, before: _Stay, left: datetime, after: _Stay) -> Iterator[PhoneMessage]:
        """Waits near the last home, then drives straight to the next."""
        here, there = self._homes[before.visit.client], self._homes[after.visit.client]
        drive = min(_drive(here, there) - PARKING / 2, after.arrived - left)
        parked = _moved(here, HOMES_APART_M / 2, self._rng.uniform(0, 2 * math.pi))
        yield from self._waiting(parked, left + timedelta(minutes=4), after.arrived - drive)
        for share in (0.35, 0.7):
            place = _Place(
                here.lat + (there.lat - here.lat) * share, here.lon + (there.lon - here.lon) * share
            )
            yield self._location(after.arrived - drive * (1 - share), place, "u", None, moving=True)

    def _waiting(self, place: _Place, begins: datetime, ends: datetime) -> Iterator[PhoneMessage]:
        at = begins
        while at < ends - timedelta(minutes=2):
            yield self._location(at, place, "p", None)
            at += timedelta(minutes=10)

    def _common(self, at: datetime, place: _Place) -> dict[str, Any]:
        seen = _moved(place, abs(self._rng.gauss(0, 9)), self._rng.uniform(0, 2 * math.pi))
        return {
            "_id": f"{self._rng.getrandbits(32):08x}",
            "acc": self._rng.randint(5, 24),
            "created_at": int(at.timestamp()) + 1,
            "lat": round(seen.lat, 7),
            "lon": round(seen.lon, 7),
            "tid": self._tid,
            "tst": int(at.timestamp()),
        }

    def _location(
        self, at: datetime, place: _Place, trigger: str, client: int | None, moving: bool = False
    ) -> PhoneMessage:
        at = _whole(at)
        body = {"_type": "location"} | self._common(at, place)
        body |= {
            "alt": self._rng.randint(45, 110),
            "batt": self._battery(at),
            "bs": 1,
            "conn": "m",
            "m": 1,
            "t": trigger,
            "topic": self._topic,
            "vac": 2,
            "vel": self._rng.randint(22, 44) if moving else 0,
        }
        if client is not None:
            body |= {"inregions": [_client_id(client)], "inrids": [_region(client)]}
        return PhoneMessage(due_at=at, topic=self._topic, payload=msgspec.json.encode(body), retain=True)

    def _transition(self, event: str, at: datetime, client: int) -> PhoneMessage:
        home = self._homes[client]
        edge = _moved(home, HOME_RADIUS_M * 0.6 if event == "enter" else 0.0, self._rng.uniform(0, 6.28))
        body = {"_type": "transition"} | self._common(at, edge)
        body |= {
            "desc": _client_id(client),
            "event": event,
            "rid": _region(client),
            "t": "c",
            "wtst": self._wtst,
        }
        return PhoneMessage(due_at=at, topic=f"{self._topic}/event", payload=msgspec.json.encode(body))

    def _battery(self, at: datetime) -> int:
        return max(9, 96 - int((at - self._begins) / timedelta(minutes=12)))


def _region(client: int) -> str:
    return f"{client * 7919 + 0xA00000:06x}"


def _through_the_network(
    worker: int, messages: Sequence[PhoneMessage], run: _Run, scenarios: Sequence[Scenario]
) -> list[PhoneMessage]:
    """As they leave the phone: held back while it is off the network, with the last will when it goes."""
    unheard = next(scenario for scenario in scenarios if scenario.name == "phone_offline")
    if unheard.worker != _worker_id(worker) or unheard.ends_at is None:
        return list(messages)
    visit = next(visit for visit in run.visits if visit.id == unheard.visit)
    gone, back = visit.start - OFFLINE_BEFORE, unheard.ends_at
    will = PhoneMessage(
        due_at=gone, topic=f"owntracks/{_user(worker)}/phone", payload=b'{"_type":"lwt"}', retain=True
    )
    moved = [
        replace(message, due_at=back) if gone <= message.due_at < back else message for message in messages
    ]
    return sorted([*moved, will], key=lambda message: message.due_at)
