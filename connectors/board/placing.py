"""The pages of a council's desk: open windows, what waits for a broker, a package with its bids and its proposal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp_jinja2
import msgspec
from aiohttp import web

from connectors.board import placing_forms, words
from connectors.board import placing_words as said
from connectors.http_access import CREDENTIAL
from connectors.http_wire import day
from connectors.placing_in import Speaker
from connectors.ports import ApiProblem, Desks
from monitor.core.placing.views import HeldPage, PlacementPage, PlacementsPage

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MAY_ACT = "broker"
READS_PACKAGES = frozenset({"broker", "auditor"})
"""Who may open these pages, as the table of routes says."""


class PlacingPages:
    """Handlers of the pages. `context` is what every form needs; `form` reads one of ours and says who pressed it;
    `events` is the desk's live stream; `times` are the desk's clocks."""

    def __init__(
        self,
        desks: Desks,
        *,
        context: Callable[[web.Request], Awaitable[dict[str, Any]]],
        form: Callable[[web.Request], Awaitable[tuple[Mapping[str, Any], str]]],
        events: Handler,
        times: Callable[[str, datetime], Any],
    ) -> None:
        self._desks, self._context, self._form = desks, context, form
        self._events, self._times = events, times

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Keyed by method and path, as the table of rules is."""
        all_of_them = "/desks/{desk}/placements"
        return {
            ("GET", all_of_them): self.get_list,
            ("POST", all_of_them): self.post_new,
            ("GET", f"{all_of_them}/new"): self.get_new,
            ("GET", f"{all_of_them}/events"): self._events,
            ("GET", f"{all_of_them}/fragment"): self.get_fragment,
            ("GET", f"{all_of_them}/{{id}}"): self.get_one,
            ("POST", f"{all_of_them}/{{id}}/actions"): self.post_action,
            ("GET", "/desks/{desk}/register"): self.get_register,
            ("GET", "/desks/{desk}/register/held"): self.get_held,
            ("POST", "/desks/{desk}/register/held"): self.post_held,
        }

    # what is to be seen

    async def get_list(self, request: web.Request) -> web.StreamResponse:
        return self._render(request, "placements.html", **await self._of_list(request))

    async def get_fragment(self, request: web.Request) -> web.StreamResponse:
        return self._render(request, "_placements.html", **await self._of_list(request))

    async def _of_list(self, request: web.Request) -> dict[str, Any]:
        desk = request.match_info["desk"]
        page, view = await self._desks.placements_page(desk), await self._desks.board(desk)
        alerts = {one.alert.id: one for one in words.in_state(view.alerts, "open")}
        waiting = said.needs_a_person(page.placements)
        shown = {one.alert for one in waiting}
        others = [one for key, one in alerts.items() if key not in shown]
        return {
            **await self._of_page(request, page),
            "view": view,
            "alerts": alerts,
            "others": others,
            "waiting": waiting,
            "windows": said.windows(page.placements),
            "unconfirmed": said.unconfirmed(page.placements),
            "over": said.over(page.placements),
            "open": len(waiting) + len(others),
        }

    async def _of_page(
        self, request: web.Request, page: PlacementsPage | PlacementPage | HeldPage
    ) -> dict[str, Any]:
        zone = self._desks.calendar(page.desk).zone
        form = await self._context(request)
        return {
            **form,
            "page": page,
            "zone": zone,
            "names": {**form["staff"], **page.names},
            "t": self._times(zone, page.now),
            "said": said,
            "here": list_url(page.desk),
            "register": register_url(page.desk),
            "held_page": held_url(page.desk),
            "board": f"/board/{quote(page.desk, safe='')}",
            "may_act": request[CREDENTIAL].role == _MAY_ACT,
        }

    async def get_one(self, request: web.Request) -> web.StreamResponse:
        desk, placement = request.match_info["desk"], request.match_info["id"]
        page = await self._desks.placement_page(desk, placement)
        template = "_placement.html" if "live" in request.query else "placement.html"
        context = await self._of_page(request, page)
        return self._render(
            request, template, one=page.placement, at=one_url(desk, page.placement.id), **context
        )

    async def get_register(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        asked = request.query.get("since") or None
        found = await self._desks.register(desk, day(asked, "since"))
        page = await self._desks.placements_page(desk)
        context = await self._of_page(request, page)
        csv = f"/v1/desks/{quote(desk, safe='')}/register.csv"
        listed = [row for row in found.rows if row.persistent]
        return self._render(
            request,
            "register.html",
            found=found,
            listed=listed,
            csv=f"{csv}?{urlencode({'since': asked})}" if asked else csv,
            **context,
        )

    # what providers hold, and that care has ended

    async def get_held(self, request: web.Request) -> web.StreamResponse:
        return await self._held(request, request.query.get("package", ""))

    async def post_held(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._form(request)
        package = placing_forms.pressed(form)[1]
        try:
            package, ended = placing_forms.care_ended(form, by)
            await self._desks.care_ended(desk, package, ended, Speaker(source="broker", by=by))
        except ApiProblem as problem:
            if problem.status != 400:
                raise
            return await self._held(request, package, problem)
        return see(f"{held_url(desk)}#h-{quote(package, safe='')}")

    async def _held(
        self, request: web.Request, chosen: str, problem: ApiProblem | None = None
    ) -> web.StreamResponse:
        """All of them, with the form of the one that was chosen."""
        page = await self._desks.held_page(request.match_info["desk"])
        one = next((one for one in page.held if one.placement == chosen), None)
        return self._render(
            request,
            "held.html",
            200 if problem is None else 400,
            chosen=one,
            problem=problem,
            holders=said.holders(page.held),
            over=[one for one in page.held if not one.held],
            held=held_url(page.desk),
            **await self._of_page(request, page),
        )

    # a package is sent out

    async def get_new(self, request: web.Request) -> web.StreamResponse:
        return await self._new(request, {})

    async def post_new(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._form(request)
        try:
            package = placing_forms.package(form, by)
            view, _ = await self._desks.place(desk, package, Speaker(source="broker", by=by))
        except ApiProblem as problem:
            if problem.status != 400:
                raise
            return await self._new(request, form, problem)
        return see(one_url(desk, view.id))

    async def _new(
        self, request: web.Request, form: Mapping[str, Any], problem: ApiProblem | None = None
    ) -> web.StreamResponse:
        """The form, empty, or as it was filled in, with what is wrong with it."""
        page = await self._desks.placements_page(request.match_info["desk"])
        marks = [] if problem is None else problem.extra.get("marks", [])
        return self._render(
            request,
            "placement_new.html",
            200 if problem is None else 400,
            form=form,
            fresh=form.get("fresh") or placing_forms.fresh(),
            chosen=placing_forms.chosen(form),
            problem=problem,
            marked=said.marked(str(form.get("text", "")), msgspec.to_builtins(marks)),
            **await self._of_page(request, page),
        )

    # what a broker does

    async def post_action(self, request: web.Request) -> web.StreamResponse:
        desk, placement = request.match_info["desk"], request.match_info["id"]
        form, by = await self._form(request)
        try:
            await self._act(desk, placement, form, by)
        except ApiProblem as problem:
            if problem.status != 409:
                raise
            return await self._second(request, form, problem)
        return see(one_url(desk, placement))

    async def _act(self, desk: str, placement: str, form: Mapping[str, Any], by: str) -> None:
        speaker = Speaker(source="broker", by=by)
        match placing_forms.pressed(form)[0]:
            case "bid":
                await self._desks.bid(desk, placement, placing_forms.bid(form, by), speaker)
            case "decline":
                await self._desks.decline(desk, placement, placing_forms.decline(form, by), speaker)
            case "take_back":
                await self._desks.take_back(desk, placement, placing_forms.take_back(form, by), speaker)
            case _:
                await self._desks.act_on_placement(desk, placement, placing_forms.action(form, by), speaker)

    async def _second(
        self, request: web.Request, form: Mapping[str, Any], problem: ApiProblem
    ) -> web.StreamResponse:
        """Somebody was first: who, and when, and what was written is not lost."""
        desk, placement = request.match_info["desk"], request.match_info["id"]
        page = await self._desks.placement_page(desk, placement)
        by, at = problem.extra.get("by"), problem.extra.get("at")
        context = await self._of_page(request, page)
        return self._render(
            request,
            "placement_first.html",
            409,
            first=context["names"].get(by, by) if by else None,
            first_at=at if isinstance(at, datetime) else None,
            text=said.refused(problem),
            tried=said.TRIED.get(placing_forms.pressed(form)[0], "change it"),
            note=placing_forms.note(form),
            at=one_url(desk, placement),
            **context,
        )

    def _render(self, request: web.Request, template: str, status: int = 200, **context: Any) -> web.Response:
        return aiohttp_jinja2.render_template(template, request, context, status=status)


def list_url(desk: str) -> str:
    """The page of a council's packages."""
    return f"/desks/{quote(desk, safe='')}/placements"


def one_url(desk: str, placement: str) -> str:
    """The page of one package."""
    return f"{list_url(desk)}/{quote(placement, safe='')}"


def register_url(desk: str) -> str:
    """The page of a council's register."""
    return f"/desks/{quote(desk, safe='')}/register"


def held_url(desk: str) -> str:
    """The page of the packages that providers hold."""
    return f"{register_url(desk)}/held"


def see(path: str) -> web.Response:
    """Done; the page to look at now."""
    return web.Response(status=303, headers={"Location": path})
