"""A provider's bid page, opened by the signed link that it was sent: one package, its own bid, and nothing of others.

The link in the path is the secret; there is no session and no cookie. Mail scanners fetch what they find: GET never
acts. A POST carries the same link in its path, so another site's page, which does not know it, can press nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp_jinja2
import structlog
from aiohttp import web

from connectors.board import placing_forms
from connectors.board import placing_words as said
from connectors.board.forms import read_form
from connectors.board.times import Times
from connectors.http_access import opened
from connectors.links import PATH, Link
from connectors.placing_in import Speaker, TakeBackIn
from connectors.ports import ApiProblem, Desks, EdgeError
from monitor.core.placing.views import OwnPlacement

_log = structlog.get_logger("callwatch.bids")
_RETRY_AFTER_S = 5
_HEADINGS = {
    400: "That could not be read",
    403: "This link opens nothing any more",
    404: "This link is not known",
    409: "That is not possible any more",
    503: "Please try again in a moment",
}


class BidPages:
    """Handlers of `/b/{token}`."""

    def __init__(self, desks: Desks, *, now: Callable[[], datetime]) -> None:
        self._desks, self._now = desks, now

    def handlers(self) -> Mapping[tuple[str, str], Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Keyed by method and path, as the table of rules is."""
        return {("GET", "/b/{token}"): self.get_bid, ("POST", "/b/{token}"): self.post_bid}

    async def get_bid(self, request: web.Request) -> web.StreamResponse:
        """What the link shows. Nothing is done, and nothing recorded, however often it is fetched."""
        try:
            link = self._opened(request)
            own = await self._own(link)
        except ApiProblem as problem:
            return self._closed(request, problem)
        except EdgeError:
            return self._closed(request, _away())
        return self._page(request, link, own)

    async def post_bid(self, request: web.Request) -> web.StreamResponse:
        """A press of the provider's: what came of it is then shown by the page itself."""
        try:
            link = self._opened(request)
        except ApiProblem as problem:
            return await self._dead(request, problem)
        form: Mapping[str, Any] = {}
        try:
            form = await read_form(request)
            named = await self._act(link, form)
        except ApiProblem as problem:
            return await self._refused(request, link, form, problem)
        except EdgeError:
            return self._closed(request, _away(pressed=True))
        page = PATH + quote(request.match_info["token"])
        return web.Response(status=303, headers={"Location": f"{page}?named" if named else page})

    def _opened(self, request: web.Request) -> Link:
        link = opened(self._desks.link(request.match_info["token"]))
        if link.purpose != "bid":
            raise ApiProblem(404, "unknown_link", "this link is not known, or is over for long")
        return link

    async def _dead(self, request: web.Request, problem: ApiProblem) -> web.StreamResponse:
        """A press on a link that opens nothing. Of a genuine one whose time is over it is recorded, as of one that was
        revoked; of what is no link of ours there is nobody of whom it could be."""
        link = self._desks.link(request.match_info["token"]).link
        try:
            if problem.code == "link_expired" and link is not None and link.purpose == "bid":
                await self._desks.dead_link(link.desk, link.intent, link.person)
        except EdgeError:
            return self._closed(request, _away(pressed=True))
        return self._closed(request, problem)

    async def _own(self, link: Link) -> OwnPlacement:
        own = await self._desks.own_placement(link.desk, link.intent, link.person)
        if own.revoked or link.serial != own.link_serial:
            raise ApiProblem(403, "link_revoked", "the brokerage has taken this link back")
        return own

    async def _act(self, link: Link, form: Mapping[str, Any]) -> bool:
        """Does what was pressed. Returns whether its words look as if they named somebody; they are kept."""
        speaker = Speaker(source="link", provider=link.person, link=link.serial)
        at = link.desk, link.intent
        match placing_forms.pressed(form)[0]:
            case "bid":
                receipt = await self._desks.bid(*at, placing_forms.bid(form), speaker)
            case "take_back":
                receipt = await self._desks.take_back(*at, TakeBackIn(), speaker)
            case "decline":
                receipt = await self._desks.decline(*at, placing_forms.decline(form), speaker)
            case "confirm_first_visit":
                await self._desks.act_on_placement(*at, placing_forms.action(form), speaker)
                return False
            case _:
                raise ApiProblem(400, "wrong_type", "this page has no such button", "action")
        return bool(receipt.warnings)

    async def _refused(
        self, request: web.Request, link: Link, form: Mapping[str, Any], problem: ApiProblem
    ) -> web.StreamResponse:
        """The page as it is now, with why nothing was taken down, and with what was written, which is put aside as
        a body of the API that cannot be read is: whoever closes the page now has said it all the same."""
        try:
            own = await self._own(link)
            if problem.status == 400 and form:
                written = urlencode({name: value for name, value in form.items() if isinstance(value, str)})
                await self._desks.quarantine("http", "bad_body", written.encode(), link.desk)
        except ApiProblem as gone:
            return self._closed(request, gone)
        except EdgeError:
            return self._closed(request, _away(pressed=True))
        return self._page(request, link, own, form, problem)

    def _page(
        self,
        request: web.Request,
        link: Link,
        own: OwnPlacement,
        form: Mapping[str, Any] | None = None,
        problem: ApiProblem | None = None,
    ) -> web.Response:
        zone, now = self._desks.calendar(link.desk).zone, self._now()
        context = {
            "own": own,
            "said": said,
            "zone": zone,
            "now": now,
            "t": Times(zone, now),
            "form": form or {},
            "problem": problem,
            "named": "named" in request.query,
            "page": PATH + quote(request.match_info["token"]),
        }
        template = "_bid.html" if "live" in request.query else "bid.html"
        status = 200 if problem is None else problem.status
        return aiohttp_jinja2.render_template(template, request, context, status=status)

    def _closed(self, request: web.Request, problem: ApiProblem) -> web.Response:
        """A link that opens nothing, in plain words. What the link was stays out of the log: it is a secret."""
        _log.info("link_refused", reason=problem.code)
        context: dict[str, Any] = {
            "said": said,
            "heading": _HEADINGS.get(problem.status, "That did not work"),
            "problem": problem,
            "code": problem.code,
        }
        answer = aiohttp_jinja2.render_template("bid_closed.html", request, context, status=problem.status)
        if problem.status == 503:
            answer.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return answer


def _away(*, pressed: bool = False) -> ApiProblem:
    """The disk takes nothing now. What was pressed may be there or not: only the page itself can tell, later."""
    return ApiProblem(503, "press_again" if pressed else "away", "")
