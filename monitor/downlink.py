"""What OwnTracks phones are told: the homes of the day as regions, and, when a visit is late, to say where they are.

Shell effects, and no facts (docs/decisions/0010-devices.md): they prove nothing and decide nothing, a lost one costs
some comfort, a repeated one changes nothing. They leave only after the fact that set them off is on disk. Over MQTT a
phone is told at its topic, in HTTP mode in the answer to what it sends.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from msgspec import Struct

from connectors.owntracks_commands import (
    MOST_REGIONS,
    Waypoint,
    command_topic,
    report_location,
    set_waypoints,
    switched_off,
)
from connectors.owntracks_secret import Keys, sealed
from monitor.clock import Clock
from monitor.core import facts as f
from monitor.core.state import State, Visit
from monitor.directory import Directory, Region

log = structlog.get_logger("downlink")

GAP_S = 10.0
"""At least this long between two lists of homes to one phone over MQTT."""
RETRY_S = 30.0
"""A list that found no broker is tried again after this long."""
ASK_AGAIN_S = 600.0
"""A phone is asked where it is at most once in this time, and an answer that comes later helps nobody."""
LASTS_S = 6 * 3600
"""What the broker keeps for a phone that is off: longer, and the list is of yesterday."""
PACE_S = 0.02
"""Between two phones: fifty a second at most."""
GATHER_S = 0.2
"""The parts of an upload come this close together."""
PORTION = 2_000
"""Phones that are made due before the loop has its turn: about 1 ms."""
LINGER = timedelta(minutes=30)
"""A visit that ended this long ago makes room for a later one (twenty regions fit on a phone)."""

TELLS = frozenset({f.RotaAdopted, f.PeopleChanged, f.DayRolledOver, f.DepartureRecorded, f.AlertRaised})
"""The facts after which somebody may have to be told something."""
_PHONE = re.compile(r"owntracks:[^/+#]+/[^/+#]+")
_LATE = ("late_visit", "second_worker_missing")


class Publish(Protocol):
    """The way out over MQTT (`connectors.mqtt.MqttFeed.tell`)."""

    def __call__(self, topic: str, body: bytes, *, expires_s: int) -> bool:
        """Whether the broker is there to take it."""


class Desk(Protocol):
    """One desk, as far as a phone is concerned (`monitor.desk_shell.DeskShell`)."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def directory(self) -> Directory:
        """Its people."""

    @property
    def state(self) -> State:
        """What it knows now."""


class _Phone(Struct):
    """What one phone was told, in memory only: after a restart it is told once more."""

    over_mqtt: bytes = b""
    over_http: bytes = b""
    regions: dict[int, Waypoint] = {}
    """What lies on it, by `tst`."""
    told_at: float = -GAP_S
    asked_at: float = -ASK_AGAIN_S
    asked_over_http: bool = True
    """Nothing is asked that the next answer would have to carry."""
    is_fresh: bool = False
    """It was heard since we started and since the day began."""
    is_http: bool = False
    """It asks over HTTP: at its topic nobody listens."""


class Downlink:
    """Tells phones. `desks` by id; `publish` is None while no broker is configured."""

    def __init__(
        self, desks: Callable[[], Mapping[str, Desk]], clock: Clock, keys: Keys, *, enabled: bool = True
    ) -> None:
        self._desks, self._clock, self._keys = desks, clock, keys
        self.enabled = enabled
        self.publish: Publish | None = None
        self._phones: dict[tuple[str, str], _Phone] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._everybody: set[str] = set()
        self._wake = asyncio.Event()

    # --- what sets it off ---

    def heard(self, desk: str, device: str, *, is_answer: bool = False) -> None:
        """A phone spoke: the first time in a day it hears what its day is. Called for each message, so it is quick.

        `is_answer`: it said where it is now, so that it need not be asked in the answer to that very message.
        """
        phone = self._phones.get((desk, device))
        if is_answer and phone is not None:
            phone.asked_over_http = True
        if self.enabled and (phone is None or not phone.is_fresh):
            phone = self._phone(desk, device)
            phone.is_fresh, phone.over_mqtt, phone.over_http = True, b"", b""
            self._later((desk, device), 0.0)

    def lost(self, desk: str, device: str) -> None:
        """It went off the network: what it was told may not have reached it, so it is told again when it is back."""
        if (phone := self._phones.get((desk, device))) is not None:
            phone.is_fresh = False

    def happened(self, desk: str, fact: f.Happened) -> None:
        """A fact of `TELLS` is on disk."""
        shell = self._desks().get(desk)
        if shell is None or not self.enabled:
            return
        try:
            self._set_off(shell, fact.body)
        except Exception as error:  # noqa: BLE001 - a comfort must never hold up the watch that it comes with
            log.error("phones could not be told", desk=desk, error=type(error).__name__)

    def _set_off(self, shell: Desk, body: f.FactBody) -> None:
        if isinstance(body, f.AlertRaised):
            self._ask_where(shell, body)
        elif isinstance(body, f.DepartureRecorded):
            for device in _phones_of(shell.directory, body.worker) if body.worker else ():
                self._later((shell.id, device), 0.0)
        else:
            if isinstance(body, f.DayRolledOver):
                self._new_day(shell.id)
            # an upload comes in many parts: who carries a phone is looked up once, when its turn comes
            self._everybody.add(shell.id)
            self._wake.set()

    def _new_day(self, desk: str) -> None:
        for (owner, _), phone in self._phones.items():
            if owner == desk:
                phone.is_fresh = phone.is_http = False

    async def _look_up(self) -> None:
        """Every phone of the desks of which the rota, the people or the day is new."""
        if self._everybody:
            await asyncio.sleep(GATHER_S)
        while self._everybody:
            shell = self._desks().get(desk := self._everybody.pop())
            phones = filter(_PHONE.fullmatch, shell.directory.devices()) if shell is not None else ()
            for number, device in enumerate(phones):
                self._later((desk, device), 0.0)
                if number % PORTION == PORTION - 1:
                    await asyncio.sleep(0)

    def _ask_where(self, shell: Desk, alert: f.AlertRaised) -> None:
        """Whoever is waited for is asked, as far as their phone lets itself be asked (`allowRemoteLocation`)."""
        visit = shell.state.values.visits.get(alert.visit or "")
        if visit is None or alert.kind not in _LATE or alert.reason == "while_down":
            return
        waited_for = [place.planned for place in visit.places if place.arrived_at is None and place.planned]
        for device in (device for worker in waited_for for device in _phones_of(shell.directory, worker)):
            phone = self._phone(shell.id, device)
            if self._clock.monotonic() - phone.asked_at >= ASK_AGAIN_S:
                phone.asked_at, phone.asked_over_http = self._clock.monotonic(), False
                self._send(shell.id, device, report_location(), int(ASK_AGAIN_S))

    # --- over MQTT ---

    async def run(self) -> None:
        """Until cancelled. A whole rota makes many phones due: one after the other, so that the loop lives."""
        while True:
            await self._until_due()
            await self._look_up()
            now = self._clock.monotonic()
            for key in [key for key, due_at in self._due.items() if due_at <= now]:
                self._due.pop(key, None)
                await asyncio.sleep(PACE_S if self._told_homes(*key) else 0)

    def _told_homes(self, desk: str, device: str) -> bool:
        try:
            return self._tell_homes(desk, device)
        except Exception as error:  # noqa: BLE001 - one phone's trouble is neither the others' nor the watch's
            log.error("a phone could not be told", desk=desk, error=type(error).__name__)
            return False

    async def _until_due(self) -> None:
        while not self._everybody:
            wait_s = min(self._due.values()) - self._clock.monotonic() if self._due else math.inf
            if wait_s <= 0:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(max(wait_s, PACE_S) if self._due else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _later(self, key: tuple[str, str], due_at: float) -> None:
        self._due[key] = min(due_at, self._due.get(key, due_at))
        self._wake.set()

    def _tell_homes(self, desk: str, device: str) -> bool:
        """Whether something was said: only what is new to the phone, and not more often than every `GAP_S`."""
        shell, phone = self._desks().get(desk), self._phone(desk, device)
        homes = self._homes(shell, device) if shell is not None else []
        print_ = _print(homes)
        nothing_new = print_ == phone.over_mqtt or not (homes or phone.regions)
        if shell is None or self.publish is None or phone.is_http or nothing_new:
            return False
        ready_at = phone.told_at + GAP_S
        if ready_at > self._clock.monotonic():
            self._later((desk, device), ready_at)
            return False
        body, regions = self._list(phone, homes, shell, device)
        if not self._send(desk, device, body, LASTS_S):
            self._later((desk, device), self._clock.monotonic() + RETRY_S)
            return False
        phone.over_mqtt, phone.told_at, phone.regions = print_, self._clock.monotonic(), regions
        return True

    def _send(self, desk: str, device: str, body: bytes, expires_s: int) -> bool:
        if self.publish is None or self._phone(desk, device).is_http:
            return False
        return self.publish(command_topic(device), self._closed(desk, device, body), expires_s=expires_s)

    def _closed(self, desk: str, device: str, body: bytes) -> bytes:
        keys = self._keys.of(device, desk)
        return sealed(body, keys[0]) if keys else body

    # --- over HTTP ---

    def answer(self, desk: str, device: str) -> Sequence[bytes]:
        """What the answer to this phone carries: asked for once, taken for told."""
        shell = self._desks().get(desk)
        if shell is None or not self.enabled:
            return ()
        try:
            return self._answered(shell, device)
        except Exception as error:  # noqa: BLE001 - the phone's own message is kept, and that is what it must hear
            log.error("a phone could not be told", desk=desk, error=type(error).__name__)
            return ()

    def _answered(self, shell: Desk, device: str) -> Sequence[bytes]:
        phone, homes = self._phone(shell.id, device), self._homes(shell, device)
        phone.is_http = True
        told: list[bytes] = []
        if _print(homes) != phone.over_http and (homes or phone.regions):
            body, phone.regions = self._list(phone, homes, shell, device)
            told.append(body)
            phone.over_http = _print(homes)
        if not phone.asked_over_http and self._clock.monotonic() - phone.asked_at < ASK_AGAIN_S:
            told.append(report_location())
        phone.asked_over_http = True
        return [self._closed(shell.id, device, body) for body in told]

    # --- which homes ---

    def _phone(self, desk: str, device: str) -> _Phone:
        return self._phones.setdefault((desk, device), _Phone())

    def _homes(self, shell: Desk, device: str) -> list[Waypoint]:
        """The homes of the visits that lie ahead of whoever carries it, today and in the coming night; the nearest
        in time where there are more than fit, in an order that does not change."""
        now = self._clock.now()
        visits = [visit for visit in self._visits(shell, device) if _is_of_today(shell.state, visit, now)]
        ahead = sorted(
            visits, key=lambda visit: (visit.end + LINGER < now, abs(visit.start - now), visit.ref)
        )
        found: dict[int, Waypoint] = {}
        for visit in ahead:
            for region in shell.directory.regions(visit.service_user, visit.start):
                if len(found) < MOST_REGIONS:
                    found.setdefault(region.tst, _waypoint(region))
        return [found[tst] for tst in sorted(found)]

    def _visits(self, shell: Desk, device: str) -> list[Visit]:
        ref = shell.directory.known("device", device)
        worker = shell.directory.worker_of(ref) if ref else None
        known = shell.state.values.visits
        visits = (known[ref] for ref in shell.state.by_worker.get(worker or "", {}) if ref in known)
        return [visit for visit in visits if worker in visit.workers and not visit.cancelled]

    def _list(
        self, phone: _Phone, homes: Sequence[Waypoint], shell: Desk, device: str
    ) -> tuple[bytes, dict[int, Waypoint]]:
        """The homes, and what is to be taken off again (what we put there, or what was of an earlier day); and what
        lies on the phone then."""
        wanted = {home.tst: home for home in homes}
        old = {tst: one for tst, one in phone.regions.items() if tst not in wanted}
        for visit in self._visits(shell, device):
            if visit.end < self._clock.now():
                regions = shell.directory.regions(visit.service_user, visit.start)
                old |= {one.tst: _waypoint(one) for one in regions if one.tst not in wanted}
        return set_waypoints([*homes, *(switched_off(old[tst]) for tst in sorted(old))]), wanted


def _phones_of(directory: Directory, person: str) -> list[str]:
    found = directory.people.get(person)
    return [one for one in found.given.devices if _PHONE.fullmatch(one)] if found else []


def _is_of_today(state: State, visit: Visit, now: datetime) -> bool:
    """It goes on still, or begins today or in the night that follows (to the hour at which the policy's night ends)."""
    calendar, policy = state.calendar, state.values.policy
    today, day = calendar.day(now), calendar.day(visit.start)
    tonight = day == today + timedelta(days=1) and calendar.local(visit.start).time() < policy.night_to
    return day == today or tonight or (day < today and visit.end + LINGER >= now)


def _waypoint(region: Region) -> Waypoint:
    home = region.home
    return Waypoint(
        desc=region.label,
        lat=home.lat,
        lon=home.lon,
        rad=round(home.radius_m),
        tst=region.tst,
        rid=region.rid,
    )


def _print(homes: Sequence[Waypoint]) -> bytes:
    return hashlib.blake2b(set_waypoints(homes), digest_size=16).digest() if homes else b"none"
