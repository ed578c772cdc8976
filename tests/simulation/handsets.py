"""Care workers' telephones: they keep what they have to say until somebody takes it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from connectors.checkin_json import read_checkin
from tests.simulation.machine import is_down
from tests.simulation.world import CheckIn

if TYPE_CHECKING:
    from tests.simulation.run import Run


class Handset:
    """A care worker's telephone: keeps what it has to say until somebody takes it, in order."""

    def __init__(self, run: Run, desk: str, device: str, by_http: bool) -> None:
        self._run, self._desk, self._device, self._by_http = run, desk, device, by_http
        self._queue: list[CheckIn] = []
        self._wake = asyncio.Event()
        self.online = True

    def says(self, checkin: CheckIn) -> None:
        """One more check-in."""
        self._queue.append(checkin)
        if checkin.doubled:
            self._queue.append(checkin)
        self._wake.set()

    def connect(self, *, online: bool) -> None:
        """Into a tunnel, or out of it."""
        self.online = online
        self._wake.set()

    async def work(self) -> None:
        """Send what waits."""
        rng = self._run.rng
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and self.online:
                await asyncio.sleep(rng.uniform(0.05, 1.5))
                if self.online and await self._send(self._queue[0]):
                    self._queue.pop(0)
                elif self.online:
                    await asyncio.sleep(rng.uniform(3, 20))

    async def _send(self, checkin: CheckIn) -> bool:
        body = body_of(checkin)
        if not self._by_http:
            taken = self._run.broker.publish(self._device, body, checkin.id)
            # the broker's answer may be lost on the way: then the phone says it again
            return taken and self._run.rng.random() >= self._run.lossy_phones
        try:
            await self._run.machine.ask(lambda app: self._request(app, checkin, body))
        except Exception as error:
            if is_down(error):
                return False
            raise
        self._run.auditor.acknowledged(checkin.id, self._desk)
        return self._run.rng.random() >= self._run.lossy_phones

    async def _request(self, app: Any, checkin: CheckIn, body: bytes) -> None:
        seen = read_checkin(body, device=self._device, source="http")
        self._run.auditor.delivered(checkin.id, self._desk)
        await app.watch.check_in(self._desk, seen)


def body_of(checkin: CheckIn) -> bytes:
    kind = "arrive" if checkin.kind == "cover" else checkin.kind
    said: dict[str, Any] = {"id": checkin.id, "kind": kind, "at": checkin.at.isoformat()}
    if checkin.kind == "elsewhere":
        said |= {"kind": "arrive", "visit": checkin.visit, "lat": 51.50, "lon": 0.02, "accuracy_m": 15}
    elif checkin.named:
        said["visit"] = checkin.visit
    elif checkin.lat is not None:
        said |= {"lat": checkin.lat, "lon": checkin.lon, "accuracy_m": 15}
    return json.dumps(said).encode()
