"""The routes of the phone apps, `/owntracks` and `/traccar`: their own bodies, unchanged, and the answers they need.

OwnTracks for Android and the Traccar Client keep a message until they have a 200 and send nothing behind it; a Traccar
server sends an event once. So with the right credential everything is answered 200 once it is kept, rubbish too, and
503 only when it was not kept (devices.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from aiohttp import web
from msgspec import Raw

from connectors.http_access import CREDENTIAL, own_phone, own_user
from connectors.http_wire import (
    QUARANTINE_KEEPS,
    Limits,
    Patience,
    as_json,
    drain,
    put_aside,
    read_body,
)
from connectors.owntracks import parse_owntracks
from connectors.owntracks_secret import Keys
from connectors.ports import ApiProblem, Credential, Desks, EdgeError, SeenCheckIn
from connectors.tolerant import BadMessage
from connectors.traccar import parse_traccar

App = Literal["owntracks", "traccar"]
_NO_BODY = b""


def _own_claims(request: web.Request, device: str | None) -> bool:
    """Are the names that an OwnTracks app sends beside its credential the credential's own? (devices.md)"""
    users = (request.headers.get("X-Limit-U"), request.query.get("u"))
    phones = (request.headers.get("X-Limit-D"), request.query.get("d"))
    return device is not None and (
        all(claim is None or own_user(device, claim) for claim in users)
        and all(claim is None or own_phone(device, claim) for claim in phones)
    )


class PhoneApps:
    """The handlers of the apps' routes. `keys` open what OwnTracks encrypts."""

    def __init__(self, desks: Desks, *, limits: Limits, now: Callable[[], datetime], keys: Keys) -> None:
        self._desks, self._limits, self._now, self._keys = desks, limits, now, keys
        self._patience = Patience(limits.durable_s)

    def handlers(self) -> Mapping[tuple[str, str], Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Keyed as the rules are."""
        traccar = {(method, "/traccar"): self.traccar for method in ("GET", "POST")}
        with_key = {(method, "/traccar/{key}"): self.traccar for method in ("GET", "POST")}
        owntracks = {("POST", path): self.post_owntracks for path in ("/owntracks", "/owntracks/{key}")}
        return {**owntracks, **traccar, **with_key}

    async def post_owntracks(self, request: web.Request) -> web.Response:
        """An array: empty, or with what the phone is told (booklet, "HTTP")."""
        who = request[CREDENTIAL]
        body = await self._body(request, who, "owntracks")
        if body is None:
            return as_json([], headers={"Connection": "close"})
        if not _own_claims(request, who.device):
            await put_aside(self._desks, who.desk, "owntracks", "identity", body)
            return as_json([])
        device = who.device or ""
        parsed = parse_owntracks(
            body,
            device=device,
            topic=None,
            received_at=self._now(),
            retained=False,
            source="owntracks",
            keys=self._keys.of(device, who.desk),
        )
        await self._keep(who, "owntracks", parsed.check_ins, parsed.bad)
        told = self._desks.commands(who.desk, device) if parsed.check_ins else ()
        return as_json([Raw(message) for message in told])

    async def traccar(self, request: web.Request) -> web.Response:
        """The app reads nothing but the status."""
        who = request[CREDENTIAL]
        body = await self._body(request, who, "traccar")
        if body is None:
            return as_json({}, headers={"Connection": "close"})
        parsed = parse_traccar(
            body, request.rel_url.raw_query_string, device=who.device, received_at=self._now()
        )
        own, others = self._of_this_desk(who.desk, parsed.check_ins)
        await self._keep(who, "traccar", own, (*parsed.bad, *others))
        return as_json({})

    def _of_this_desk(
        self, desk: str, seen: Sequence[SeenCheckIn]
    ) -> tuple[list[SeenCheckIn], list[BadMessage]]:
        """A feed speaks for any device of its desk, and for no other desk's."""
        own: list[SeenCheckIn] = []
        others: list[BadMessage] = []
        for one in seen:
            if self._desks.desk_of_device(one.device or "") in (None, desk):
                own.append(one)
            else:
                text = "id: expected a device of this desk"
                others.append(BadMessage(reason="identity", text=text, raw=one.raw))
        return own, others

    async def _body(self, request: web.Request, who: Credential, app: App) -> bytes | None:
        """The whole body; None when what came was put aside instead. Raises EdgeError: it never came whole (503)."""
        try:
            body, whole = await read_body(request, self._limits.checkin_bytes, self._limits.body_s)
        except ApiProblem as problem:
            if problem.code != "bad_body":
                raise EdgeError("timeout", "the body did not arrive in time") from problem
            # what was packed wrongly is rubbish like any other
            await put_aside(self._desks, who.desk, app, "undecodable", _NO_BODY)
            return None
        if whole:
            return body
        await drain(request, self._limits)
        await put_aside(self._desks, who.desk, app, "too_large", body[:QUARANTINE_KEEPS])
        return None

    async def _keep(
        self, who: Credential, app: App, check_ins: Sequence[SeenCheckIn], bad: Sequence[BadMessage]
    ) -> None:
        futures = [self._desks.check_in(who.desk, one) for one in check_ins]
        for one in bad:
            await put_aside(self._desks, who.desk, app, one.reason, one.raw)
        await self._patience.settle(futures)
