"""The routes of a council's desk: providers, placements, bids, what brokers do (docs/interface.md, "Placements").

The role decides what a route shows: a provider's own credential meets `OwnPlacement` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aiohttp import web
from msgspec import Struct

from connectors.http_access import CREDENTIAL
from connectors.http_wire import Limits, as_json, day, decode, flag, put_aside, read_whole
from connectors.placing_in import (
    BidIn,
    CareEndedIn,
    DeclineIn,
    PlacementActionIn,
    PlacementIn,
    Speaker,
    TakeBackIn,
)
from connectors.ports import ApiProblem, Credential, Desks
from connectors.register_csv import register_csv
from monitor.core.placing.views import BidReceipt, RegisterView

_Body = TypeVar("_Body")
Handlers = Mapping[tuple[str, str], Callable[[web.Request], Awaitable[web.StreamResponse]]]


class _ProvidersBody(Struct, frozen=True):
    providers: list[Any]


def speaker_of(who: Credential) -> Speaker:
    """Who bids or acts by this credential. A provider's names its provider, or it is nobody's."""
    if who.role == "provider":
        return Speaker(source="api", provider=who.provider or "")
    return Speaker(source="broker", by=who.person)


class PlacingApi:
    """The handlers of the routes."""

    def __init__(self, desks: Desks, *, limits: Limits) -> None:
        self._desks, self._limits = desks, limits

    def handlers(self) -> Handlers:
        """Keyed as the rules are."""
        desk = "/v1/desks/{desk}"
        one = f"{desk}/placements/{{id}}"
        return {
            ("PUT", f"{desk}/providers"): self.put_providers,
            ("GET", f"{desk}/providers"): self.get_providers,
            ("GET", f"{desk}/areas"): self.get_areas,
            ("POST", f"{desk}/placements"): self.post_placement,
            ("GET", f"{desk}/placements"): self.get_placements,
            ("GET", one): self.get_placement,
            ("POST", f"{one}/bids"): self.post_bid,
            ("POST", f"{one}/decline"): self.post_decline,
            ("POST", f"{one}/withdraw"): self.post_withdraw,
            ("POST", f"{one}/award"): self.post_award,
            ("POST", f"{one}/actions"): self.post_action,
            ("POST", f"{one}/care-ended"): self.post_care_ended,
            ("GET", f"{desk}/register/held"): self.get_held,
            ("GET", f"{desk}/register"): self.get_register,
            ("GET", f"{desk}/register.csv"): self.get_register_csv,
        }

    async def put_providers(self, request: web.Request) -> web.Response:
        body = await read_whole(request, self._limits.upload_bytes, self._limits)
        providers = decode(body, _ProvidersBody).providers
        return as_json(await self._desks.put_providers(request.match_info["desk"], providers))

    async def get_providers(self, request: web.Request) -> web.Response:
        return as_json({"providers": await self._desks.providers(request.match_info["desk"])})

    async def get_areas(self, request: web.Request) -> web.Response:
        return as_json(await self._desks.areas(request.match_info["desk"]))

    async def post_placement(self, request: web.Request) -> web.Response:
        """201: it is on record, and its first round has opened; 200: it was there already."""
        said = await self._body(request, PlacementIn)
        speaker = speaker_of(request[CREDENTIAL])
        view, new = await self._desks.place(request.match_info["desk"], said, speaker)
        return as_json(view, status=201 if new else 200)

    async def get_placements(self, request: web.Request) -> web.Response:
        desk, who = request.match_info["desk"], request[CREDENTIAL]
        only_open = flag(request.query.get("open"), "open")
        if who.role == "provider":
            own = await self._desks.own_placements(desk, who.provider or "", only_open)
            return as_json({"placements": own})
        return as_json({"placements": await self._desks.placements(desk, only_open)})

    async def get_placement(self, request: web.Request) -> web.Response:
        desk, name, who = request.match_info["desk"], request.match_info["id"], request[CREDENTIAL]
        if who.role == "provider":
            return as_json(await self._desks.own_placement(desk, name, who.provider or ""))
        return as_json(await self._desks.placement(desk, name))

    async def post_bid(self, request: web.Request) -> web.Response:
        at, speaker = _at(request), speaker_of(request[CREDENTIAL])

        async def bid(raw: bytes) -> BidReceipt:
            return await self._desks.bid(*at, decode(raw, BidIn), speaker)

        return await self._kept(request, bid)

    async def post_decline(self, request: web.Request) -> web.Response:
        at, speaker = _at(request), speaker_of(request[CREDENTIAL])

        async def decline(raw: bytes) -> BidReceipt:
            return await self._desks.decline(*at, decode(raw, DeclineIn), speaker)

        return await self._kept(request, decline)

    async def _kept(
        self, request: web.Request, take: Callable[[bytes], Awaitable[BidReceipt]]
    ) -> web.Response:
        """What a provider said and we could not read is put aside before it is told so."""
        raw = await read_whole(request, self._limits.action_bytes, self._limits)
        try:
            return as_json(await take(raw))
        except ApiProblem as problem:
            if problem.status == 400:
                await put_aside(self._desks, request.match_info["desk"], "http", "bad_body", raw)
            raise

    async def post_withdraw(self, request: web.Request) -> web.Response:
        at, speaker = _at(request), speaker_of(request[CREDENTIAL])

        async def take_back(raw: bytes) -> BidReceipt:
            return await self._desks.take_back(*at, decode(raw, TakeBackIn), speaker)

        return await self._kept(request, take_back)

    async def post_award(self, request: web.Request) -> web.Response:
        said = await self._body(request, PlacementActionIn)
        if said.action != "award":
            raise ApiProblem(400, "unknown_value", "this route awards; expected no `action`", "action")
        return await self._acted(request, said)

    async def post_action(self, request: web.Request) -> web.Response:
        return await self._acted(request, await self._body(request, PlacementActionIn))

    async def _acted(self, request: web.Request, said: PlacementActionIn) -> web.Response:
        who = request[CREDENTIAL]
        desk, name = _at(request)
        view = await self._desks.act_on_placement(desk, name, said, speaker_of(who))
        if who.role == "provider":
            return as_json(await self._desks.own_placement(desk, name, who.provider or ""))
        return as_json(view)

    async def post_care_ended(self, request: web.Request) -> web.Response:
        said = await self._body(request, CareEndedIn)
        return as_json(await self._desks.care_ended(*_at(request), said, speaker_of(request[CREDENTIAL])))

    async def get_held(self, request: web.Request) -> web.Response:
        return as_json({"held": await self._desks.held(request.match_info["desk"])})

    async def get_register(self, request: web.Request) -> web.Response:
        """`?since=` a local day."""
        return as_json(await self._register(request))

    async def get_register_csv(self, request: web.Request) -> web.Response:
        """The same for a spreadsheet, as a file of its own."""
        text = register_csv(await self._register(request))
        name = {"Content-Disposition": 'attachment; filename="register.csv"'}
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=name)

    async def _register(self, request: web.Request) -> RegisterView:
        return await self._desks.register(
            request.match_info["desk"], day(request.query.get("since"), "since")
        )

    async def _body(self, request: web.Request, kind: type[_Body]) -> _Body:
        return decode(await read_whole(request, self._limits.action_bytes, self._limits), kind)


def _at(request: web.Request) -> tuple[str, str]:
    return request.match_info["desk"], request.match_info["id"]
