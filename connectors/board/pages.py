"""The board's pages: read the view, render it, send what changed, take what a person pressed."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp_jinja2
import jinja2
import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from aiohttp_sse import EventSourceResponse, sse_response
from msgspec import Struct

from config.policy import DeskKind
from connectors.board import away, referrals, texts, words
from connectors.board.forms import field as _field
from connectors.board.forms import read_form
from connectors.board.placing import READS_PACKAGES, PlacingPages, list_url, one_url
from connectors.board.sign_in import BoardOptions, SignIn, check
from connectors.board.times import Times
from connectors.http_access import CREDENTIAL
from connectors.http_wire import recording_of
from connectors.ports import ActionIn, ApiProblem, Credential, Desks, WeatherIn
from monitor.core.inputs import RaisedBy
from monitor.core.views import AlertPage, BoardView

_HERE = Path(__file__).parent
_log = structlog.get_logger("callwatch.board")
_ASSETS = {
    "board.css": "text/css",
    "board.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_PING_S = 5.0
_STREAM_S = 900.0
"""A stream is closed after this long; the browser opens it again, and its session is looked at again."""
_NOTE_CHARS = 2000
_BY_CHARS = 200

_FIELDS = ("worker", "minutes", "to", "sent", "eta", "adequate", "safeguarding", "serious_incident")
_YES_NO = {"yes": True, "no": False}
_UNSAID = {
    "adequate": "choose whether the action was adequate",
    "safeguarding": "choose whether a safeguarding concern was raised",
    "serious_incident": "choose whether it was a serious incident",
    "note": "write into the note why no safeguarding concern was raised, in words",
}
"""What of a manager's check was left out."""

_HEADINGS = {
    400: "That could not be read",
    401: "Please sign in",
    403: "That is not allowed from here",
    404: "There is nothing here",
    409: "Somebody was first",
    413: "That was too long",
    429: "Too many tries",
    503: "That could not be put on disk",
}


class Action(Struct, frozen=True, kw_only=True):
    """A pressed button, read from its form. `fields` are those that one action alone has."""

    action: str
    by: str
    note: str | None
    reason: str | None
    raised_by: RaisedBy | None
    back: str
    of: str = ""
    """What the button itself names: a track, an answer, a person."""
    fields: dict[str, str] = {}


class Board:
    """Everything of the board that `connectors.http_api` needs: handlers, sessions, who has signed in."""

    def __init__(
        self, desks: Desks, options: BoardOptions, *, loopback: bool, now: Callable[[], datetime]
    ) -> None:
        check(options)
        self._desks, self._options = desks, options
        self._sign_in = SignIn(options, desks, loopback=loopback, now=now)
        self._streams: set[EventSourceResponse] = set()
        self._placing = PlacingPages(
            desks, context=self._form_context, form=self._own_form, events=self.get_events, times=Times
        )
        self._assets = {name: (_HERE / "static" / name).read_bytes() for name in _ASSETS}

    def handlers(self) -> Mapping[tuple[str, str], Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """Keyed by method and path, as the table of rules is."""
        return {
            ("GET", "/"): self.get_home,
            ("GET", "/board/{desk}"): self.get_board,
            ("GET", "/board/{desk}/events"): self.get_events,
            ("GET", "/board/{desk}/fragment"): self.get_fragment,
            ("GET", "/board/{desk}/alerts/{id}"): self.get_alert,
            ("GET", "/board/{desk}/alerts/{id}/recording"): self.get_recording,
            ("POST", "/board/{desk}/alerts/{id}/actions"): self.post_action,
            ("GET", "/board/{desk}/away"): self.get_away,
            ("POST", "/board/{desk}/away"): self.post_away,
            ("POST", "/board/{desk}/absences/{id}/actions"): self.post_absence_action,
            ("POST", "/board/{desk}/died"): self.post_died,
            ("GET", "/board/{desk}/referrals"): self.get_referrals,
            ("POST", "/board/{desk}/referrals"): self.post_referral,
            ("POST", "/board/{desk}/referrals/{id}/answer"): self.post_referral_answer,
            ("GET", "/board/{desk}/texts"): self.get_texts,
            ("POST", "/board/{desk}/texts/{id}"): self.post_texts,
            ("GET", "/board/{desk}/weather"): self.get_weather,
            ("POST", "/board/{desk}/weather"): self.post_weather,
            ("POST", "/board/{desk}/me"): self.post_me,
            ("GET", "/sign-in"): self.get_sign_in,
            ("POST", "/sign-in"): self.post_sign_in,
            ("POST", "/sign-out"): self.post_sign_out,
            ("GET", "/assets/{name}"): self.get_asset,
            **self._placing.handlers(),
        }

    def sessions(self) -> Middleware:
        """The middleware that reads and writes the session's cookie."""
        return self._sign_in.sessions.middleware

    def attach(self, app: web.Application) -> None:
        """Templates, and the end of the open streams when the listener stops."""
        env = aiohttp_jinja2.setup(
            app,
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        env.globals["words"] = words
        app.on_shutdown.append(self._end_streams)

    async def _end_streams(self, _: web.Application) -> None:
        for stream in tuple(self._streams):
            stream.stop_streaming()

    # who speaks

    async def signed_in_or_turned_away(self, request: web.Request) -> Credential:
        """The session's credential. Raises a redirect to the sign-in page, or ApiProblem(401) for a script."""
        who = await self._sign_in.credential(request)
        if who is not None:
            return who
        self._ask(request)
        raise ApiProblem(401, "unauthorised", "sign in first")

    async def may_sign_in_instead(self, request: web.Request) -> None:
        """Raises a redirect to the sign-in page for whom no password was asked of, and who may not see this page."""
        if await self._sign_in.entered(request) is None:
            self._ask(request)

    def _ask(self, request: web.Request) -> None:
        if request.method == "GET" and _is_page(request):
            raise web.HTTPSeeOther("/sign-in?" + urlencode({"next": request.path}))

    async def api_credential(self, request: web.Request) -> Credential | None:
        """The session on a route of the API: only after a real sign-in."""
        return await self._sign_in.entered(request)

    async def check_header(self, request: web.Request) -> None:
        """Raises ApiProblem(403) when a session changes something without its token in the header."""
        if request.method not in ("GET", "HEAD"):
            await self._sign_in.check_token(request, request.headers.get("X-CSRF-Token"))

    # pages

    async def get_home(self, request: web.Request) -> web.StreamResponse:
        desks = await self._desks_of(request)
        if len(desks) == 1:
            return _see(self._start_url(request, desks[0]))
        offered = [(desk, self._start_url(request, desk)) for desk in desks]
        return self._render(request, "desks.html", desks=offered)

    async def _desks_of(self, request: web.Request) -> list[str]:
        """The desks that are offered: one's own, or with the one password those of every provider. Where nobody was
        asked for a password the councils' too, which then ask for one's own."""
        who = request[CREDENTIAL]
        if who.desk != "*":
            return [who.desk]
        asked = await self._sign_in.entered(request) is not None
        kinds: tuple[DeskKind, ...] = ("provider",) if asked else ("provider", "council")
        return [desk for desk in self._desks.desk_ids() if self._desks.desk_kind(desk) in kinds]

    def _start_url(self, request: web.Request, desk: str) -> str:
        """Where a desk's people begin: at a council's desk with its packages, unless they may see its alerts alone."""
        who = request[CREDENTIAL]
        brokers = self._desks.desk_kind(desk) == "council" and (who.desk == "*" or who.role in READS_PACKAGES)
        return list_url(desk) if brokers else _board_url(desk)

    async def get_board(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        start = self._start_url(request, desk)
        if start != _board_url(desk):
            return _see(start)
        return self._render(request, "board.html", **await self._board_context(request))

    async def get_fragment(self, request: web.Request) -> web.StreamResponse:
        return self._render(request, "_board.html", **await self._board_context(request))

    async def _board_context(self, request: web.Request) -> dict[str, Any]:
        view = await self._desks.board(request.match_info["desk"])
        return {
            "view": view,
            "t": Times(view.zone, view.now),
            "open": words.in_state(view.alerts, "open"),
            "taken": words.in_state(view.alerts, "taken"),
            "signals": {one.visit.id: one.visit.signal for one in view.visits},
            "here": _board_url(view.desk),
            **await self._form_context(request),
        }

    async def _form_context(self, request: web.Request) -> dict[str, Any]:
        staff = self._options.staff(request.match_info["desk"])
        person = await self._sign_in.person(request)
        own = person if person in staff else ""
        return {
            "token": await self._sign_in.token(request),
            "own": own,
            "me": own or await self._sign_in.by(request),
            "staff": staff,
            "signed_in": await self._sign_in.entered(request) is not None,
        }

    async def get_alert(self, request: web.Request) -> web.StreamResponse:
        desk, alert_id = request.match_info["desk"], request.match_info["id"]
        form = await self._form_context(request)
        page = await self._desks.alert_page(desk, alert_id, form["me"] or None)
        if page is None:
            raise ApiProblem(404, "unknown_alert", "this desk has no alert with this id")
        view = await self._desks.board(desk)
        live = "live" in request.query
        if not live:
            _log.info("record_read", desk=desk, alert=alert_id, role=request[CREDENTIAL].role)
        template = "_alert.html" if live else "alert.html"
        return self._render(request, template, **self._alert_context(view, page), **form)

    async def get_recording(self, request: web.Request) -> web.StreamResponse:
        """What a caller has left, for who sits at the board."""
        desk, alert = request.match_info["desk"], request.match_info["id"]
        answer = await recording_of(self._desks, desk, alert)
        _log.info("record_read", desk=desk, alert=alert, role=request[CREDENTIAL].role)
        return answer

    def _alert_context(self, view: BoardView, page: AlertPage) -> dict[str, Any]:
        one, alert = page.one, page.one.alert
        staff = self._options.staff(view.desk)
        about = {alert.service_user: one.who} if alert.service_user else {}
        names = {**staff, **about, **page.names}
        kin = [who for who in page.telephones if who.role == "next_of_kin" and not who.never_tell]
        return {
            "view": view,
            "one": one,
            "alert": alert,
            "shown": page,
            "names": names,
            "kin": kin,
            "workers": [who for who in page.telephones if who.role in ("care_worker", "replacement")],
            "signal": page.signal,
            "t": Times(view.zone, view.now),
            "lines": words.timeline(alert) if page.record is None else words.record(page.record, names),
            "here": _board_url(view.desk),
            "page": _alert_url(view.desk, alert.id),
            "package": one_url(view.desk, alert.placement) if alert.placement else None,
            "packages": list_url(view.desk) if alert.reason == "several_unplaced" else None,
        }

    def _render(self, request: web.Request, template: str, status: int = 200, **context: Any) -> web.Response:
        who = request.get(CREDENTIAL)
        context["reads"] = who is not None and who.role == "auditor"
        return aiohttp_jinja2.render_template(template, request, context, status=status)

    async def get_asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in _ASSETS:
            raise ApiProblem(404, "not_found", "there is nothing at this path")
        return web.Response(body=self._assets[name], content_type=_ASSETS[name], charset="utf-8")

    # live

    async def get_events(self, request: web.Request) -> web.StreamResponse:
        """One event now, and one whenever something became durable: the page then fetches the fragment."""
        async with sse_response(request, ping_interval=_PING_S) as stream:
            forward = asyncio.create_task(
                self._forward(request.match_info["desk"], stream), name="board-events"
            )
            self._streams.add(stream)
            forward.add_done_callback(lambda _: stream.stop_streaming())
            try:
                async with asyncio.timeout(_STREAM_S):
                    await stream.wait()
            except TimeoutError:
                pass  # the browser comes back by itself, and is asked who it is
            finally:
                self._streams.discard(stream)
                forward.cancel()
                await asyncio.wait({forward})
        return stream

    async def _forward(self, desk: str, stream: EventSourceResponse) -> None:
        await stream.send("now", event="changed")
        changes = self._desks.changes(desk)
        async with _closing(changes):
            async for seq in changes:
                with contextlib.suppress(ConnectionError):
                    await stream.send(str(seq), event="changed", id=str(seq))

    # what a person pressed

    async def post_action(self, request: web.Request) -> web.StreamResponse:
        desk, alert_id = request.match_info["desk"], request.match_info["id"]
        pressed = await self._pressed(request)
        action = _as_action(pressed)
        await self._sign_in.remember(request, pressed.by)
        try:
            await self._desks.act(desk, alert_id, action)
        except ApiProblem as problem:
            if problem.status != 409 or not _is_page(request):
                raise
            return await self._second(request, pressed, problem)
        return _see(_board_url(desk) if pressed.back == "board" else _alert_url(desk, alert_id))

    async def _second(self, request: web.Request, pressed: Action, problem: ApiProblem) -> web.Response:
        """Somebody was first: who and when, and what was tried is kept, to be put on record as a note."""
        desk, alert_id = request.match_info["desk"], request.match_info["id"]
        view = await self._desks.board(desk)
        by, at = problem.extra.get("by"), problem.extra.get("at")
        return self._render(
            request,
            "first.html",
            409,
            first=self._options.staff(desk).get(by, by) if by else None,
            at=at if isinstance(at, datetime) else None,
            t=Times(view.zone, view.now),
            text=_sentence(problem.message),
            tried=words.TRIED.get(pressed.action, pressed.action),
            note=pressed.note or "",
            by=pressed.by,
            take_over=problem.code == "already_taken",
            page=_alert_url(desk, alert_id),
            token=await self._sign_in.token(request),
        )

    async def _pressed(self, request: web.Request) -> Action:
        form = await read_form(request)
        await self._sign_in.check_token(request, form.get("token"))
        by = await self._who(request, form)
        action, _, of = _field(form, "action", 500).partition(":")
        return Action(
            action=action,
            of=of,
            fields={name: _field(form, name, _BY_CHARS) for name in _FIELDS},
            by=by,
            note=_field(form, "note", _NOTE_CHARS) or None,
            reason=_field(form, "reason", 50) or None,
            raised_by=next((one for one in words.RAISED_BY if one == _field(form, "raised_by", 50)), None),
            back=_field(form, "back", 50),
        )

    async def _who(self, request: web.Request, form: Mapping[str, Any]) -> str:
        """Who pressed. Raises ApiProblem(400) for nobody, (403) for another than the person who has signed in."""
        staff = self._options.staff(request.match_info["desk"])
        own = await self._sign_in.person(request)
        claimed = _field(form, "by", _BY_CHARS)
        if own in staff:
            if claimed not in ("", own):
                raise ApiProblem(403, "identity", "somebody else has signed in here", "by")
            return own
        by = claimed or await self._sign_in.by(request)
        self._check_by(request, by)
        return by

    def _check_by(self, request: web.Request, by: str) -> None:
        staff = self._options.staff(request.match_info["desk"])
        if not by or (staff and by not in staff):
            raise ApiProblem(
                400, "missing", "say who you are, then press again: the record needs a name", "by"
            )

    # who is away, who has died

    async def get_away(self, request: web.Request) -> web.StreamResponse:
        page = await self._desks.away_page(request.match_info["desk"])
        form = await self._form_context(request)
        here, person = _board_url(page.desk), request.query.get("person", "")
        t = Times(page.zone, page.now)
        return self._render(request, "away.html", page=page, t=t, here=here, person=person, **form)

    async def _own_form(self, request: web.Request) -> tuple[Mapping[str, Any], str]:
        """A form of ours, and who pressed; they are remembered."""
        form = await read_form(request)
        await self._sign_in.check_token(request, form.get("token"))
        by = await self._who(request, form)
        await self._sign_in.remember(request, by)
        return form, by

    async def post_away(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._own_form(request)
        zone = (await self._desks.away_page(desk)).zone
        said = away.report(form, by, zone)
        await self._desks.report_absence(desk, said)
        back = _field(form, "back", _BY_CHARS)
        return _see(_alert_url(desk, back) if back else _away_url(desk))

    async def post_absence_action(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._own_form(request)
        zone = (await self._desks.away_page(desk)).zone
        await self._desks.act_on_absence(desk, request.match_info["id"], away.action(form, by, zone))
        return _see(_away_url(desk))

    async def post_died(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._own_form(request)
        person, undo = _field(form, "person", _BY_CHARS), _field(form, "action", 50) == "undo"
        await self._desks.record_death(desk, person, away.death(form, by), undo=undo)
        return _see(_away_url(desk))

    # what councils ask of this desk

    async def get_referrals(self, request: web.Request) -> web.StreamResponse:
        page = await self._desks.referrals_page(request.match_info["desk"])
        form = await self._form_context(request)
        t, here = Times(page.zone, page.now), _board_url(page.desk)
        template = "_referrals.html" if "live" in request.query else "referrals.html"
        return self._render(request, template, page=page, t=t, here=here, **form)

    async def post_referral(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._own_form(request)
        zone = (await self._desks.referrals_page(desk)).zone
        await self._desks.log_referral(desk, referrals.report(form, by, zone), "page")
        return _see(f"{_board_url(desk)}/referrals")

    async def post_referral_answer(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._own_form(request)
        zone = (await self._desks.referrals_page(desk)).zone
        await self._desks.act_on_referral(desk, request.match_info["id"], referrals.action(form, by, zone))
        return _see(f"{_board_url(desk)}/referrals")

    # texts that nobody has answered

    async def get_texts(self, request: web.Request) -> web.StreamResponse:
        form = await self._form_context(request)
        page = await self._desks.texts_page(request.match_info["desk"], form["me"] or None)
        live = "live" in request.query
        if not live:
            _log.info("record_read", desk=page.desk, role=request[CREDENTIAL].role)
        t, here = Times(page.zone, page.now), _board_url(page.desk)
        return self._render(
            request, "_texts.html" if live else "texts.html", page=page, t=t, here=here, **form
        )

    async def post_texts(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._own_form(request)
        await self._desks.read_texts(desk, request.match_info["id"], texts.action(form, by))
        return _see(f"{_board_url(desk)}/texts")

    # declared bad weather

    async def get_weather(self, request: web.Request) -> web.StreamResponse:
        view = await self._desks.board(request.match_info["desk"])
        weather = await self._desks.weather(view.desk)
        return self._render(
            request,
            "weather.html",
            view=view,
            weather=weather,
            names={**view.weather_names, **self._options.staff(view.desk)},
            t=Times(view.zone, view.now),
            hours=words.ends_in(view.zone, view.now),
            here=_board_url(view.desk),
            **await self._form_context(request),
        )

    async def post_weather(self, request: web.Request) -> web.StreamResponse:
        desk = request.match_info["desk"]
        form, by = await self._own_form(request)
        await self._desks.say_weather(desk, _as_weather(form, by))
        return _see(f"{_board_url(desk)}/weather")

    async def post_me(self, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        await self._sign_in.check_token(request, form.get("token"))
        await self._sign_in.remember(request, await self._who(request, form))
        return _see(_board_url(request.match_info["desk"]))

    # signing in

    async def get_sign_in(self, request: web.Request) -> web.StreamResponse:
        another = request.query.get("as") == "another"
        if not another and await self._sign_in.entered(request) is not None:
            return _see(_own_path(request.query.get("next", "")))
        return await self._sign_in_page(request, request.query.get("next", ""), "")

    async def _sign_in_page(
        self, request: web.Request, after: str, problem: str, status: int = 200
    ) -> web.Response:
        token = await self._sign_in.token(request)
        return self._render(
            request, "sign_in.html", status, token=token, next=_own_path(after), problem=problem
        )

    async def post_sign_in(self, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        await self._sign_in.check_token(request, form.get("token"))
        after, shown = _field(form, "next", 500), _field(form, "password", 1000)
        if not await self._sign_in.enter_by_name(request, shown):
            wait_s = self._sign_in.retry_after_s(request.remote or "")
            if wait_s is not None:
                text = f"Too many wrong passwords. Please wait {wait_s} s, then try once more."
                response = await self._sign_in_page(request, after, text, 429)
                response.headers["Retry-After"] = str(wait_s)
                return response
            if not await self._sign_in.enter(request, shown):
                return await self._sign_in_page(request, after, "That opens nothing here.", 403)
        if (who := await self._sign_in.entered(request)) is not None:
            _log.info("signed_in", desk=who.desk, role=who.role)
        return _see(_own_path(after))

    async def post_sign_out(self, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        await self._sign_in.check_token(request, form.get("token"))
        await self._sign_in.leave(request)
        return _see("/sign-in")

    # failures, in words

    def in_words(self, request: web.Request, answer: web.Response) -> web.Response:
        """The same refusal as a page, when a browser asked for a page."""
        if not _is_page(request) or not isinstance(answer.body, bytes):
            return answer
        error = msgspec.json.decode(answer.body)["error"]
        not_theirs = answer.status == 403 and error["code"] in ("role", "desk")
        page = self._render(
            request,
            "error.html",
            answer.status,
            heading=_HEADINGS.get(answer.status, "That did not work"),
            text=_sentence(error["message"]),
            heard=error["code"] == "degraded",
            back="/" if not_theirs else _back(request),
            another=urlencode({"as": "another", "next": request.path}) if not_theirs else "",
        )
        if "Retry-After" in answer.headers:
            page.headers["Retry-After"] = answer.headers["Retry-After"]
        return page


@contextlib.asynccontextmanager
async def _closing(changes: Any) -> Any:
    """Ends an async generator on the spot; an iterator that is no generator has nothing to end."""
    try:
        yield
    finally:
        close = getattr(changes, "aclose", None)
        if close is not None:
            await close()


def _as_action(pressed: Action) -> ActionIn:
    """The contract's action. Raises ApiProblem(400): this page has no such button, or a field was left empty."""
    by, note, fields = pressed.by, pressed.note, pressed.fields
    match pressed.action:
        case "take" | "spoke_service_user" | "told_council" | "confirm_home" | "send_notice":
            return ActionIn(action=pressed.action, by=by, note=note)
        case "take_over":
            return ActionIn(action="hand_over", by=by, note=note, to=by)
        case "hand_over":
            return ActionIn(action="hand_over", by=by, note=note, to=fields["to"] or None)
        case "spoke_care_worker":
            return _said(pressed)
        case "assign_replacement":
            minutes, _, worker = pressed.of.partition(":")
            return _sent(pressed, worker or fields["sent"], minutes or fields["eta"])
        case "told_next_of_kin":
            return ActionIn(action="told_next_of_kin", by=by, note=note, to=pressed.of or None)
        case "check":
            return _checked(pressed)
        case "stop_track" | "do_now":
            return _steered(pressed)
        case "note" if note:
            return ActionIn(action="note", by=by, note=note)
        case "close" if pressed.reason in words.CLOSE_REASONS:
            return ActionIn(
                action="close", by=by, note=note, reason=pressed.reason, raised_by=pressed.raised_by
            )
        case "no_notice" if note:
            return ActionIn(action="no_notice", by=by, note=note)
        case "no_notice":
            raise ApiProblem(
                400, "missing", "write into the note why it is not sent, then press again", "note"
            )
        case "note":
            raise ApiProblem(400, "missing", "the note is empty: write it, then press again", "note")
        case "close":
            raise ApiProblem(400, "missing", "choose what happened, then press again", "reason")
        case _:
            raise _no_button()


def _as_weather(form: Mapping[str, Any], by: str) -> WeatherIn:
    """What was pressed about the weather. Raises ApiProblem(400)."""
    action, _, of = _field(form, "action", 500).partition(":")
    until = _field(form, "until", 50)
    raw = {
        "action": action,
        "by": by,
        "until": until or None,
        "service_user": of or None,
        "next_of_kin": _field(form, "next_of_kin", _BY_CHARS) or None,
        "note": _field(form, "note", _NOTE_CHARS) or None,
    }
    try:
        return msgspec.convert(raw, WeatherIn)
    except msgspec.ValidationError:
        raise _no_button() from None


def _no_button() -> ApiProblem:
    return ApiProblem(400, "wrong_type", "this page has no such button", "action")


def _said(pressed: Action) -> ActionIn:
    """What the care worker said: there, on the way with minutes, or that they cannot."""
    if pressed.of not in words.ANSWERS:
        raise _no_button()
    minutes = _minutes(pressed.fields["minutes"], "minutes") if pressed.of == "on_my_way" else None
    return ActionIn(
        action="spoke_care_worker",
        by=pressed.by,
        note=pressed.note,
        reason=pressed.of,
        to=pressed.fields["worker"] or None,
        minutes=minutes,
    )


def _checked(pressed: Action) -> ActionIn:
    """The manager's three answers. Raises ApiProblem(400): one of them, or the reason, was left out."""
    fields = pressed.fields
    why = {"note": pressed.note} if fields["safeguarding"] == "not_raised" else {}
    missing = next((name for name, said in (fields | why).items() if name in _UNSAID and not said), None)
    if missing is not None:
        raise ApiProblem(400, "missing", f"{_UNSAID[missing]}, then press again", missing)
    return msgspec.convert(
        {
            "action": "check",
            "by": pressed.by,
            "note": pressed.note,
            "adequate": _YES_NO.get(fields["adequate"]),
            "safeguarding": fields["safeguarding"] if fields["safeguarding"] in words.SAFEGUARDING else None,
            "serious_incident": _YES_NO.get(fields["serious_incident"]),
        },
        ActionIn,
    )


def _sent(pressed: Action, worker: str, minutes: str) -> ActionIn:
    if not worker:
        raise ApiProblem(400, "missing", "choose who goes, then press again", "sent")
    away = _minutes(minutes, "eta")
    return ActionIn(action="assign_replacement", by=pressed.by, note=pressed.note, to=worker, minutes=away)


def _minutes(text: str, field: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 600:
        raise ApiProblem(400, "missing", "say in how many minutes, from 1 to 600, then press again", field)
    return int(text)


def _steered(pressed: Action) -> ActionIn:
    """A track that is stopped, or goes on now; with the moment that the page showed, so that the second hears it."""
    name, _, shown = pressed.of.partition(":")
    if name not in words.TRACKS:
        raise _no_button()
    try:
        seen = datetime.fromisoformat(shown) if shown else None
    except ValueError:
        raise _no_button() from None
    if seen is not None and seen.tzinfo is None:
        raise _no_button()
    return msgspec.convert(
        {"action": pressed.action, "by": pressed.by, "note": pressed.note, "track": name, "next_at": seen},
        ActionIn,
    )


def _sentence(text: str) -> str:
    """A message of the contract as a sentence; an id at its start keeps its letters."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


_PAGES = ("/board/", "/desks/")
"""Where pages stand that somebody has to sign in for."""


_OF_PROGRAMS = re.compile(r"/(v1|owntracks|traccar|twilio|healthz|readyz|metrics|assets)(/|$)")
"""Where programs speak to us, which read the contract's error whatever they say that they accept."""


def _is_page(request: web.Request) -> bool:
    """Whether somebody reads the answer in a browser; also where there is nothing at all."""
    path = request.path
    ours = path in ("/", "/sign-in", "/sign-out") or path.startswith((*_PAGES, "/b/"))
    nobodys = request.match_info.http_exception is not None and _OF_PROGRAMS.match(path) is None
    return (ours or nobodys) and "text/html" in request.headers.get("Accept", "")


def _back(request: web.Request) -> str:
    if request.path.startswith("/b/"):
        return ""  # whoever came by a link has no other page of ours
    desk, alert_id = request.match_info.get("desk"), request.match_info.get("id")
    if desk is None:
        return "/"
    if request.path.startswith("/desks/"):
        return list_url(desk) if alert_id is None or request.method == "GET" else one_url(desk, alert_id)
    return _board_url(desk) if alert_id is None or request.method == "GET" else _alert_url(desk, alert_id)


def _own_path(path: str) -> str:
    """Where to go after signing in: a path of ours, never another site's."""
    parts = urlsplit(path)
    ours = not parts.scheme and not parts.netloc and path.startswith(_PAGES) and "\\" not in path
    return quote(parts.path) if ours else "/"


def _board_url(desk: str) -> str:
    return f"/board/{quote(desk, safe='')}"


def _away_url(desk: str) -> str:
    return f"{_board_url(desk)}/away"


def _alert_url(desk: str, alert_id: str) -> str:
    return f"{_board_url(desk)}/alerts/{quote(alert_id, safe='')}"


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})
