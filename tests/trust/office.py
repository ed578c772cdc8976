"""An office and its rota for one day: 15 areas of ten people, each with a morning and an evening run of ten visits.

Single-handed visits only: with one of two care workers there no machine rings anybody (domain.md), so they would
only make the figures look better.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from config.load import DeskConfig, DutyEntry
from config.policy import Policy
from tests.simulation.world import Desk, Shift, Someone, Visit

AREAS = 15
IN_AREA = 10
METRES_PER_DEGREE = 111_320.0
METRES_A_MINUTE = 350.0
"""How fast they get about, parking apart."""
DESK = "trust"


def make_office(rng: Random, day: datetime, areas: int = AREAS) -> Desk:
    """People and visits of one day; `day` is its midnight in UTC."""
    people: dict[str, Someone] = {}
    shifts = _staff(people)
    visits: dict[str, Visit] = {}
    for area in range(areas):
        homes = [_service_user(rng, area, n, people) for n in range(IN_AREA)]
        for half, hour in enumerate((7, 15)):
            worker = _worker(area, half, people)
            begins = day + timedelta(hours=hour, minutes=5 * rng.randrange(6))
            for visit in _run(rng, worker.id, homes, begins):
                visits[visit.id] = visit
    return Desk(id=DESK, config=_config(shifts), shifts=shifts, people=people, visits=visits)


def _config(shifts: tuple[Shift, ...]) -> DeskConfig:
    return DeskConfig(
        id=DESK,
        kind="provider",
        name="Trust Care",
        policy=Policy(),
        public="auto",
        numbers=("+441632960900",),
        sender_name=None,
        telephone="+441632960901",
        duty=tuple(DutyEntry(person=s.person, role=s.role, hours=s.hours) for s in shifts),  # type: ignore[arg-type]
        council_desks=(),
    )


def _staff(people: dict[str, Someone]) -> tuple[Shift, ...]:
    shifts = (
        Shift(person="st-1", role="office", hours="Mon-Fri 08:00-18:00"),
        Shift(person="st-2", role="office", hours="Mon-Fri 08:00-18:00"),
        Shift(person="oc-1", role="on_call", hours="otherwise"),
        Shift(person="oc-2", role="on_call", hours="otherwise"),
        Shift(person="ma-1", role="manager", hours="otherwise"),
    )
    for n, shift in enumerate(shifts):
        people[shift.person] = Someone(id=shift.person, role="staff", number=f"+447700900{n:03d}")
    return shifts


def _worker(area: int, half: int, people: dict[str, Someone]) -> Someone:
    n = area * 2 + half
    one = Someone(
        id=f"cw-{n}", role="care_worker", number=f"+447700901{n:03d}", device=f"callwatch:trust-{n}"
    )
    people[one.id] = one
    return one


def _service_user(rng: Random, area: int, n: int, people: dict[str, Someone]) -> Someone:
    """Within 700 m of the middle of the area; areas are 1.5 km apart."""
    north, east = (area // 5) * 1500 + rng.uniform(-700, 700), (area % 5) * 1500 + rng.uniform(-700, 700)
    number = area * IN_AREA + n
    one = Someone(
        id=f"su-{number}",
        role="service_user",
        number=f"+441632961{number:03d}",
        kind="landline" if rng.random() < 0.7 else "mobile",
        lat=51.38 + north / METRES_PER_DEGREE,
        lon=0.02 + east / (METRES_PER_DEGREE * 0.624),
    )
    people[one.id] = one
    return one


def _run(rng: Random, worker: str, homes: list[Someone], begins: datetime) -> list[Visit]:
    """One home after the other, with the drive between them in steps of five minutes (7.23)."""
    visits, start = [], begins
    for n, (home, onward) in enumerate(zip(homes, [*homes[1:], homes[0]], strict=True)):
        minutes = rng.choices((30, 45, 60), (70, 25, 5))[0]
        visits.append(
            Visit(id=f"{worker}-{n}", service_user=home.id, start=start, minutes=minutes, workers=(worker,))
        )
        start += timedelta(minutes=minutes + 5 * -(-drive_min(home, onward) // 5))
    return visits


def drive_min(one: Someone, other: Someone) -> float:
    """Minutes from door to door."""
    assert one.lat is not None
    assert one.lon is not None
    assert other.lat is not None
    assert other.lon is not None
    north = (one.lat - other.lat) * METRES_PER_DEGREE
    east = (one.lon - other.lon) * METRES_PER_DEGREE * 0.624
    return 2 + float((north**2 + east**2) ** 0.5) / METRES_A_MINUTE
