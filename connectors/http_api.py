"""The HTTP contract of docs/interface.md: people, rota, check-ins, visits, alerts, facts, OwnTracks, health.

One middleware turns every failure into the contract's error body, another applies the route by role table of
`connectors.http_access`. Handlers read, ask `Desks`, and answer; nothing is decided here.
"""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NoReturn

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from config.placing import PLACEMENT_KINDS
from connectors.bid_pages import BidPages
from connectors.board import Board, BoardOptions
from connectors.checkin_json import CheckInProblem, read_checkin, split_checkins
from connectors.direct import is_direct
from connectors.http_access import (
    CREDENTIAL,
    NOT_YET,
    RULES,
    Rule,
    WrongTries,
    holder,
    is_oneself,
    presented,
    refusal,
)
from connectors.http_files import FileUploads, Mappings
from connectors.http_phones import PhoneApps
from connectors.http_placing import PlacingApi
from connectors.http_wire import (
    Limits,
    Patience,
    Refused,
    after_seq,
    as_json,
    as_problem,
    aware,
    busy,
    day,
    decode,
    flag,
    library_error,
    not_too_many,
    on_every_answer,
    put_aside,
    read_whole,
    recording_of,
    wait_s,
)
from connectors.owntracks_secret import Keys
from connectors.ports import (
    AbsenceActionIn,
    AbsenceIn,
    ActionIn,
    ApiProblem,
    Credential,
    DeathIn,
    Desks,
    EdgeError,
    HomeConfirmedIn,
    PracticeIn,
    Record,
    ReferralActionIn,
    ReferralIn,
    SeenCheckIn,
    WeatherIn,
)
from connectors.referral_mail import NoMailError, read_mail
from monitor.core.inputs import REFERRAL_OUTCOMES

Handlers = Mapping[tuple[str, str], Callable[[web.Request], Awaitable[web.StreamResponse]]]
_log = structlog.get_logger("callwatch.http")

_MANAGERS = {
    "check": "answer the manager's check",
    "send_notice": "send the written notice",
    "no_notice": "say that no written notice is sent",
}
_BY_HAND = frozenset({"office", "on_call", "manager"})
"""Entered by a person of the office: never electronic (spec 21.3)."""
_NO_BODY = b""
_BY_ITSELF = frozenset({"open", "link", "signature"})
"""Ways for which the guard asks nobody: the route verifies a link or a signature by itself, or shows nothing."""


def _where(error: BaseException) -> str:
    """The last frame, as file:line. The message stays out of the log: it may hold a person's data."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""


class _Errors:
    """Whatever happens: the contract's error body, or a page in words for a browser."""

    def __init__(self, limits: Limits, board: Board, guarded: Middleware) -> None:
        self._limits, self._board, self._guarded = limits, board, guarded

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The only one that aiohttp knows: each of its own layers costs every request what ours cost together."""
        try:
            return await self._guarded(request, handler)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = library_error(error)
        except ApiProblem as problem:
            answer = as_problem(problem, problem.headers if isinstance(problem, Refused) else None)
        except EdgeError as error:
            answer = busy(error, self._limits)
        except Exception as error:  # noqa: BLE001 - whatever it is: no trace leaves, and the sender tries again
            _log.error("http_failed", route=_route(request), error=type(error).__name__, where=_where(error))
            answer = busy(error, self._limits)
        return self._board.in_words(request, answer)


def _route(request: web.Request) -> str:
    """The route's template: a path itself may hold a secret or an id."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


# --- who speaks ---


def _app(request: web.Request) -> Literal["owntracks", "traccar"] | None:
    """The phone app whose route this is: a person has typed its credential, as a user and a password."""
    if request.path.startswith("/owntracks"):
        return "owntracks"
    return "traccar" if request.path.startswith("/traccar") else None


def _challenge(request: web.Request) -> dict[str, str]:
    scheme = "Bearer" if _app(request) is None else "Basic"
    return {"WWW-Authenticate": f'{scheme} realm="callwatch"'}


class _Guard:
    """Finds out who speaks and applies the table."""

    def __init__(
        self,
        desks: Desks,
        rules: Mapping[web.AbstractRoute, Rule],
        *,
        loopback: bool,
        board: Board,
        limits: Limits,
    ) -> None:
        self._desks, self._rules, self._loopback, self._board = desks, rules, loopback, board
        self._sessions = board.sessions()
        self._wrong = WrongTries(
            limit=limits.wrong_tries, window_s=limits.wrong_window_s, clock=time.monotonic
        )

    async def admit(self, request: web.Request, rule: Rule | None) -> None:
        """Raises ApiProblem, or a redirect to the sign-in page, unless the table allows this request."""
        if rule is None:
            raise ApiProblem(403, "forbidden", "this route is not in the table of roles")
        if rule.way in _BY_ITSELF or (
            rule.way == "loopback_or_token" and self._loopback and is_direct(request)
        ):
            return
        who = await self._who(request, rule)
        refused = refusal(rule, who, request.match_info.get("desk"), self._desks.desk_kind)
        if refused is not None:
            if rule.way == "session":
                await self._board.may_sign_in_instead(request)
            raise refused
        if rule.way == "token_or_session" and not presented(request):
            await self._board.check_header(request)
        request[CREDENTIAL] = who

    async def _who(self, request: web.Request, rule: Rule) -> Credential:
        if rule.way == "session":
            return await self._board.signed_in_or_turned_away(request)
        shown = presented(request)
        if not shown and rule.way == "token_or_session":
            in_session = await self._board.api_credential(request)
            if in_session is not None:
                return in_session
        who = holder(self._desks, shown)
        if who is None:
            await self._turn_away(request, wrong=bool(shown))
        return who

    async def _turn_away(self, request: web.Request, *, wrong: bool) -> NoReturn:
        if not wrong:
            raise Refused(401, "unauthorised", "a credential is needed", _challenge(request))
        remote = request.remote or ""
        retry_after_s = self._wrong.retry_after_s(remote)
        if retry_after_s is not None:
            text = "too many wrong credentials from this address"
            raise Refused(429, "rate_limited", text, {"Retry-After": str(retry_after_s)})
        self._wrong.count(remote)
        source = _app(request) or "http"
        # counted and logged by the shell; the body of an unknown sender is not kept (devices.md), so that a store
        # that is away has nothing to refuse and must not turn this 401 into "send it again"
        with contextlib.suppress(EdgeError):
            await self._desks.quarantine(source, "unauthorised", _NO_BODY)
        raise Refused(
            401, "unauthorised", "this credential is not known, or has expired", _challenge(request)
        )

    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The handler's answer. Raises what `admit` raises."""
        rule = self._rules.get(request.match_info.route)
        if rule is not None and rule.way == "token":
            # no session is read, so there is no cookie to write
            await self.admit(request, rule)
            return await handler(request)
        return await self._sessions(request, partial(self._admitted, rule, handler))

    async def _admitted(
        self, rule: Rule | None, handler: Handler, request: web.Request
    ) -> web.StreamResponse:
        if request.match_info.http_exception is None:
            await self.admit(request, rule)
        return await handler(request)


class _PeopleBody(Struct, frozen=True):
    people: list[Any]


def _full_name(device: str | None) -> str | None:
    """A device's credential may be written without the scheme of our own devices."""
    return device if device is None or ":" in device else f"callwatch:{device}"


def _as_answer(problem: CheckInProblem) -> ApiProblem:
    status = {"identity": 403, "too_large": 413}.get(problem.reason, 400)
    return ApiProblem(status, problem.reason, str(problem), problem.path or None)


def _not_stored(problem: CheckInProblem) -> dict[str, Any]:
    """The item of an array that could not be taken."""
    error = {"code": problem.reason, "message": str(problem), "path": problem.path or None}
    return {
        "id": problem.id,
        "stored": False,
        "outcome": "quarantined",
        "visit": None,
        "seq": None,
        "error": error,
    }


# --- the routes ---


def _fact(record: Record) -> dict[str, Any]:
    """The envelope as the contract shows it: `body` byte for byte as stored, hashes in hex."""
    shown = {name: getattr(record, name) for name in record.__struct_fields__}
    return {**shown, "prev": record.prev.hex(), "hash": record.hash.hex()}


class _Api:
    """The handlers of the contract's routes."""

    def __init__(
        self,
        desks: Desks,
        *,
        metrics: Callable[[], Awaitable[bytes]],
        limits: Limits,
        now: Callable[[], datetime],
        mappings: Mappings,
    ) -> None:
        self._desks, self._metrics, self._limits, self._now = desks, metrics, limits, now
        self._patience = Patience(limits.durable_s)
        self._files = FileUploads(desks, mappings, limits)

    def handlers(self) -> Handlers:
        """Keyed as the rules are."""
        desk = "/v1/desks/{desk}"
        return {
            # first, since aiohttp asks the routes of a desk one after the other
            ("POST", f"{desk}/checkins"): self.post_checkins,
            ("PUT", f"{desk}/people"): self.put_people,
            ("POST", f"{desk}/people/{{id}}/practice-call"): self.post_practice,
            ("GET", f"{desk}/people/{{id}}/practice-call"): self.get_practice,
            ("POST", f"{desk}/weather"): self.post_weather,
            ("GET", f"{desk}/weather"): self.get_weather,
            ("PUT", f"{desk}/rota"): self.put_rota,
            ("GET", f"{desk}/visits"): self.get_visits,
            ("POST", f"{desk}/visits/{{id}}/home-confirmed"): self.post_home,
            ("GET", f"{desk}/alerts"): self.get_alerts,
            ("GET", f"{desk}/alerts/{{id}}"): self.get_alert,
            ("GET", f"{desk}/alerts/{{id}}/record"): self.get_record,
            ("GET", f"{desk}/alerts/{{id}}/candidates"): self.get_candidates,
            ("GET", f"{desk}/alerts/{{id}}/recording"): self.get_recording,
            ("POST", f"{desk}/alerts/{{id}}/actions"): self.post_action,
            ("POST", f"{desk}/referrals"): self.post_referral,
            ("POST", f"{desk}/referrals/email"): self.post_referral_mail,
            ("GET", f"{desk}/referrals"): self.get_referrals,
            ("GET", f"{desk}/referrals/{{id}}"): self.get_referral,
            ("POST", f"{desk}/referrals/{{id}}/take"): self.post_referral_take,
            ("POST", f"{desk}/referrals/{{id}}/answer"): self.post_referral_answer,
            ("POST", f"{desk}/absences"): self.post_absence,
            ("GET", f"{desk}/absences"): self.get_absences,
            ("GET", f"{desk}/absences/{{id}}"): self.get_absence,
            ("POST", f"{desk}/absences/{{id}}/actions"): self.post_absence_action,
            ("POST", f"{desk}/people/{{id}}/died"): self.post_died,
            ("GET", f"{desk}/people/{{id}}/died"): self.get_died,
            ("POST", f"{desk}/people/{{id}}/died/undo"): self.post_died_undo,
            ("GET", f"{desk}/facts"): self.get_facts,
            ("GET", "/healthz"): self.get_health,
            ("GET", "/readyz"): self.get_ready,
            ("GET", "/metrics"): self.get_metrics,
        }

    # uploads

    async def put_people(self, request: web.Request) -> web.Response:
        if (mapping := self._files.wanted(request, "people")) is not None:
            return await self._files.put_people(request, mapping)
        body = await read_whole(request, self._limits.upload_bytes, self._limits)
        people = decode(body, _PeopleBody).people
        not_too_many(people, self._limits.upload_rows, "people")
        return as_json(await self._desks.put_people(request.match_info["desk"], people))

    async def post_practice(self, request: web.Request) -> web.Response:
        """Starts a practice call; 202, since nobody has answered it yet."""
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        by = decode(body, PracticeIn).by
        if not by.strip():
            raise ApiProblem(400, "missing", "expected the id of the member of staff who starts it", "by")
        is_oneself(request[CREDENTIAL], by)
        started = await self._desks.practise(request.match_info["desk"], request.match_info["id"], by)
        return as_json(started, status=202)

    async def get_practice(self, request: web.Request) -> web.Response:
        return as_json(await self._desks.practice(request.match_info["desk"], request.match_info["id"]))

    # what councils ask of this desk

    async def post_referral(self, request: web.Request) -> web.Response:
        """201: it is on record, and somebody was summoned; the same one again answers as it stands."""
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        given = aware(decode(body, ReferralIn))
        return as_json(await self._desks.log_referral(request.match_info["desk"], given, "api"), status=201)

    async def post_referral_mail(self, request: web.Request) -> web.Response:
        """A raw mail, as a mailbox's rule or a pipe hands it on. What is no mail is put aside, and refused."""
        desk = request.match_info["desk"]
        kind = request.query.get("kind")
        if kind is not None and kind not in PLACEMENT_KINDS:
            raise ApiProblem(400, "wrong_type", f"expected one of {', '.join(PLACEMENT_KINDS)}", "kind")
        raw = await read_whole(request, self._limits.upload_bytes, self._limits)
        try:
            mail = read_mail(raw)
        except NoMailError:
            await put_aside(self._desks, desk, "http", "bad_body", raw)
            raise ApiProblem(400, "bad_body", "expected a mail as it was sent, with its headers") from None
        council = request.query.get("council") or None
        return as_json(await self._desks.mail_referral(desk, mail, kind, council), status=201)

    async def get_referrals(self, request: web.Request) -> web.Response:
        only_open = flag(request.query.get("open"), "open")
        return as_json({"referrals": await self._desks.referrals(request.match_info["desk"], only_open)})

    async def get_referral(self, request: web.Request) -> web.Response:
        return as_json(await self._desks.referral(request.match_info["desk"], request.match_info["id"]))

    async def post_referral_take(self, request: web.Request) -> web.Response:
        """A named person deals with it: nobody else is summoned."""
        action = await self._referral_action(request)
        return await self._acted_on_referral(request, msgspec.structs.replace(action, outcome=None))

    async def post_referral_answer(self, request: web.Request) -> web.Response:
        """What the council was answered."""
        action = await self._referral_action(request)
        if action.outcome is None:
            raise ApiProblem(400, "missing", f"expected one of {', '.join(REFERRAL_OUTCOMES)}", "outcome")
        return await self._acted_on_referral(request, action)

    async def _referral_action(self, request: web.Request) -> ReferralActionIn:
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        action = aware(decode(body, ReferralActionIn))
        if not action.by.strip():
            raise ApiProblem(400, "missing", "expected the id of the person who did it", "by")
        return action

    async def _acted_on_referral(self, request: web.Request, action: ReferralActionIn) -> web.Response:
        desk, referral = request.match_info["desk"], request.match_info["id"]
        return as_json(await self._desks.act_on_referral(desk, referral, action))

    # who is away, who has died

    async def post_absence(self, request: web.Request) -> web.Response:
        """201: it is on record; whether it counts says its `state`."""
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        said = decode(body, AbsenceIn)
        is_oneself(request[CREDENTIAL], said.by)
        return as_json(await self._desks.report_absence(request.match_info["desk"], said), status=201)

    async def get_absences(self, request: web.Request) -> web.Response:
        only_open = flag(request.query.get("open"), "open")
        return as_json({"absences": await self._desks.absences(request.match_info["desk"], only_open)})

    async def get_absence(self, request: web.Request) -> web.Response:
        return as_json(await self._desks.absence(request.match_info["desk"], request.match_info["id"]))

    async def post_absence_action(self, request: web.Request) -> web.Response:
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        desk, absence = request.match_info["desk"], request.match_info["id"]
        action = decode(body, AbsenceActionIn)
        is_oneself(request[CREDENTIAL], action.by)
        return as_json(await self._desks.act_on_absence(desk, absence, action))

    async def post_died(self, request: web.Request) -> web.Response:
        return await self._death(request, undo=False)

    async def post_died_undo(self, request: web.Request) -> web.Response:
        return await self._death(request, undo=True)

    async def _death(self, request: web.Request, *, undo: bool) -> web.Response:
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        desk, person = request.match_info["desk"], request.match_info["id"]
        said = decode(body, DeathIn)
        is_oneself(request[CREDENTIAL], said.by)
        return as_json(await self._desks.record_death(desk, person, said, undo=undo))

    async def get_died(self, request: web.Request) -> web.Response:
        return as_json(await self._desks.death(request.match_info["desk"], request.match_info["id"]))

    async def post_weather(self, request: web.Request) -> web.Response:
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        said = decode(body, WeatherIn)
        is_oneself(request[CREDENTIAL], said.by)
        return as_json(await self._desks.say_weather(request.match_info["desk"], said))

    async def get_weather(self, request: web.Request) -> web.Response:
        return as_json(await self._desks.weather(request.match_info["desk"]))

    async def put_rota(self, request: web.Request) -> web.Response:
        if (mapping := self._files.wanted(request, "rota")) is not None:
            return await self._files.put_rota(request, mapping, request[CREDENTIAL])
        body = await read_whole(request, self._limits.upload_bytes, self._limits)
        rota = decode(body, dict[str, Any])
        if not isinstance(rota.get("visits"), list):
            raise ApiProblem(400, "wrong_type", "expected an array of visits", "visits")
        not_too_many(rota["visits"], self._limits.upload_rows, "visits")
        who = request[CREDENTIAL]
        return as_json(await self._desks.put_rota(request.match_info["desk"], rota, who.name or who.role))

    # check-ins in our own JSON

    async def post_checkins(self, request: web.Request) -> web.Response:
        desk, who = request.match_info["desk"], request[CREDENTIAL]
        if (mapping := self._files.wanted(request, "checkins")) is not None:
            if who.device is not None:
                raise ApiProblem(403, "identity", "a device speaks for itself alone, and not by files")
            return await self._files.post_checkins(request, mapping, manual=who.role in _BY_HAND)
        body = await read_whole(request, self._limits.checkin_bytes, self._limits)
        if body.lstrip()[:1] == b"[":
            return as_json({"results": await self._several(desk, who, body)})
        seen = await self._own_json(desk, who, body)
        if isinstance(seen, CheckInProblem):
            raise _as_answer(seen)
        return as_json({"results": (await self._patience.one(self._desks.check_in(desk, seen)),)})

    async def _several(self, desk: str, who: Credential, body: bytes) -> list[Any]:
        items = await self._items(desk, body)
        not_too_many(items, self._limits.checkin_items)
        read = [await self._own_json(desk, who, item) for item in items]
        futures = [self._desks.check_in(desk, one) for one in read if isinstance(one, SeenCheckIn)]
        answers = iter(await self._patience.settle(futures))
        return [_not_stored(one) if isinstance(one, CheckInProblem) else next(answers) for one in read]

    async def _items(self, desk: str, body: bytes) -> list[bytes]:
        try:
            return split_checkins(body)
        except CheckInProblem as problem:
            await put_aside(self._desks, desk, "http", problem.reason, body)
            raise _as_answer(problem) from None

    async def _own_json(self, desk: str, who: Credential, item: bytes) -> SeenCheckIn | CheckInProblem:
        """One item as it was seen, or why it was put aside: a bad one harms no other."""
        try:
            seen = read_checkin(item, device=_full_name(who.device), source="http")
            self._refuse_other_desks_device(desk, seen)
        except CheckInProblem as problem:
            await put_aside(self._desks, desk, "http", problem.reason, item)
            return problem
        return msgspec.structs.replace(seen, manual=True) if who.role in _BY_HAND else seen

    def _refuse_other_desks_device(self, desk: str, seen: SeenCheckIn) -> None:
        """A feed speaks for any device of its desk, and for no other desk's."""
        if seen.device is not None and self._desks.desk_of_device(seen.device) not in (None, desk):
            text = "device: expected a device of this desk"
            raise CheckInProblem("identity", text, path="device", id=seen.id)

    # what is

    async def get_visits(self, request: web.Request) -> web.Response:
        of_day = day(request.query.get("date"), "date")
        return as_json({"visits": await self._desks.visits(request.match_info["desk"], of_day)})

    async def post_home(self, request: web.Request) -> web.Response:
        """Somebody has heard that the person of a conditional visit is home."""
        home = decode(await read_whole(request, self._limits.action_bytes, self._limits), HomeConfirmedIn)
        if not home.by.strip():
            raise ApiProblem(400, "missing", "expected the id of the person who heard it", "by")
        is_oneself(request[CREDENTIAL], home.by)
        if home.at is not None and home.at.tzinfo is None:
            raise ApiProblem(400, "wrong_type", "expected a time with its offset (RFC 3339)", "at")
        found = await self._desks.confirm_home(request.match_info["desk"], request.match_info["id"], home)
        return as_json(found)

    async def get_alerts(self, request: web.Request) -> web.Response:
        only_open = flag(request.query.get("open"), "open")
        check = request.query.get("check")
        if check not in (None, "open"):
            raise ApiProblem(
                400, "wrong_type", "expected open: those that wait for the manager's check", "check"
            )
        notice = request.query.get("notice")
        if notice not in (None, "open"):
            raise ApiProblem(
                400, "wrong_type", "expected open: those whose written notice to the council waits", "notice"
            )
        found = await self._desks.alerts(
            request.match_info["desk"],
            only_open,
            unchecked=check is not None,
            unwritten=notice is not None,
        )
        return as_json({"alerts": found})

    async def get_alert(self, request: web.Request) -> web.Response:
        alert = await self._desks.alert(request.match_info["desk"], request.match_info["id"])
        if alert is None:
            raise ApiProblem(404, "unknown_alert", "this desk has no alert with this id", "id")
        return as_json(alert)

    async def get_record(self, request: web.Request) -> web.Response:
        """Everything about an alert. That somebody read it is logged, with the role that they read it in."""
        desk, alert_id = request.match_info["desk"], request.match_info["id"]
        found = await self._desks.record(desk, alert_id)
        if found is None:
            raise ApiProblem(404, "unknown_alert", "this desk has no alert with this id", "id")
        _log.info("record_read", desk=desk, alert=alert_id, role=request[CREDENTIAL].role)
        return as_json(found)

    async def get_candidates(self, request: web.Request) -> web.Response:
        found = await self._desks.candidates(request.match_info["desk"], request.match_info["id"])
        if found is None:
            raise ApiProblem(404, "unknown_alert", "this desk has no alert with this id", "id")
        return as_json({"candidates": found})

    async def get_recording(self, request: web.Request) -> web.Response:
        """The newest message that a caller has left about the alert, as sound."""
        desk, alert = request.match_info["desk"], request.match_info["id"]
        answer = await recording_of(self._desks, desk, alert)
        _log.info("record_read", desk=desk, alert=alert, role=request[CREDENTIAL].role)
        return answer

    async def post_action(self, request: web.Request) -> web.Response:
        body = await read_whole(request, self._limits.action_bytes, self._limits)
        action = decode(body, ActionIn)
        if not action.by.strip():
            raise ApiProblem(400, "missing", "expected the id of the person who did it", "by")
        is_oneself(request[CREDENTIAL], action.by)
        if action.action in _MANAGERS and presented(request) and request[CREDENTIAL].role != "manager":
            raise ApiProblem(403, "role", f"only a manager's credential may {_MANAGERS[action.action]}")
        for name in ("at", "next_at", "start", "end"):
            moment = getattr(action, name)
            if moment is not None and moment.tzinfo is None:
                raise ApiProblem(400, "wrong_type", "expected a time with its offset (RFC 3339)", name)
        return as_json(await self._desks.act(request.match_info["desk"], request.match_info["id"], action))

    async def get_facts(self, request: web.Request) -> web.Response:
        after = after_seq(request.query.get("after", "0"))
        most_s = wait_s(request.query.get("wait"), self._limits.facts_wait_s)
        facts = await self._desks.facts(request.match_info["desk"], after, most_s)
        return as_json({"facts": [_fact(one) for one in facts], "next": facts[-1].seq if facts else after})

    # health

    async def get_health(self, _: web.Request) -> web.Response:
        return as_json(self._desks.health())

    async def get_ready(self, _: web.Request) -> web.Response:
        if not self._desks.ready():
            raise ApiProblem(503, "not_ready", "still starting or draining, or the store cannot be written")
        return as_json({"ready": True})

    async def get_metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=await self._metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )


# --- the application ---


def _table(handlers: Handlers, extra: Sequence[web.RouteDef]) -> dict[tuple[str, str], Rule]:
    """The rules by method and path. A route without a rule is a mistake of ours, a rule without a route too; and so is
    a route that comes from elsewhere and is not entered by a signature that it verifies by itself."""
    rules = {(rule.method, rule.path): rule for rule in RULES}
    wanted = {at for at, rule in rules.items() if rule.way != "signature" and rule.path not in NOT_YET}
    assert handlers.keys() == wanted, sorted(handlers.keys() ^ wanted)
    for route in extra:
        rule = rules.get((route.method.upper(), route.path))
        assert rule is not None, route.path
        assert rule.way == "signature", route.path
    return rules


def _by_route(app: web.Application, rules: Mapping[tuple[str, str], Rule]) -> dict[web.AbstractRoute, Rule]:
    """The same rules by what aiohttp found. HEAD is GET; a route without a rule has none here and is refused."""
    found: dict[web.AbstractRoute, Rule] = {}
    for route in app.router.routes():
        method = "GET" if route.method == "HEAD" else route.method
        rule = rules.get((method, route.resource.canonical)) if route.resource is not None else None
        if rule is not None:
            found[route] = rule
    return found


def _utc_now() -> datetime:
    return datetime.now(UTC)


def build_app(
    desks: Desks,
    *,
    metrics: Callable[[], Awaitable[bytes]],
    loopback: bool,
    board: BoardOptions,
    extra_routes: Sequence[web.RouteDef] = (),
    limits: Limits | None = None,
    keys: Keys | None = None,
    now: Callable[[], datetime] = _utc_now,
    mappings: Mappings = dict,
) -> web.Application:
    """The whole HTTP side: contract, board, and `extra_routes`, which must verify who speaks by themselves.

    `keys` open what phones encrypt; `loopback` says that the listener can be reached from this machine only. Raises
    ValueError when the board's key or hash is malformed.
    """
    limits = limits or Limits()
    pages = Board(desks, board, loopback=loopback, now=now)
    phones = PhoneApps(desks, limits=limits, now=now, keys=keys or Keys())
    api = _Api(desks, metrics=metrics, limits=limits, now=now, mappings=mappings)
    placing, bids = PlacingApi(desks, limits=limits), BidPages(desks, now=now)
    edges = (api, placing, phones, pages, bids)
    handlers = {key: handler for edge in edges for key, handler in edge.handlers().items()}
    rules = _table(handlers, extra_routes)
    app = web.Application(client_max_size=limits.action_bytes)
    app.add_routes([web.route(method, path, handler) for (method, path), handler in handlers.items()])
    app.add_routes(extra_routes)
    guard = _Guard(desks, _by_route(app, rules), loopback=loopback, board=pages, limits=limits)
    app.middlewares.append(_Errors(limits, pages, guard.let_in).middleware)
    app.on_response_prepare.append(on_every_answer)
    pages.attach(app)
    return app


class _NoBodies(logging.Filter):
    """aiohttp logs what it could not parse, with the bytes in the exception: the line stays, the bytes do not."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args, record.exc_info = "a request could not be parsed or answered", (), None
        return True


async def serve(
    app: web.Application, host: str, port: int, *, shutdown_s: float = 2.0
) -> tuple[web.AppRunner, str]:
    """Listen. Returns the runner (`cleanup()` ends it within `shutdown_s`) and the address as `host:port`.

    No access log: a path may hold a secret. Raises OSError when the address cannot be had.
    """
    logger = logging.getLogger("callwatch.http.server")
    logger.addFilter(_NoBodies())
    runner = web.AppRunner(app, access_log=None, logger=logger, shutdown_timeout=shutdown_s)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    bound = runner.addresses[0]
    return runner, f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"
