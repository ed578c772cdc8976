"""What an HTTP request costs at most, how its body and query are read, how an answer and a refusal are written.

No refusal repeats a value that came in, and each says what was expected and where.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct
from multidict import CIMultiDict

from config.policy import parse_duration
from connectors.ports import ApiProblem, Degraded, Desks, EdgeError, Reason
from monitor.core.inputs import Source

B = TypeVar("B")
T = TypeVar("T")
QUARANTINE_KEEPS = 4096
"""Bytes that are kept of a body that is too large."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one request may cost. Bytes, seconds, counts."""

    checkin_bytes: int = 1 << 20
    upload_bytes: int = 32 << 20
    upload_rows: int = 20_000
    """Rows of one rota, people of one upload: an upload is one decision, and deadlines wait for its end."""
    checkin_items: int = 5_000
    action_bytes: int = 64 << 10
    drain_bytes: int = 64 << 20
    """How much of an OwnTracks body that is too large is read and thrown away before its 200."""
    body_s: float = 30.0
    durable_s: float = 10.0
    facts_wait_s: float = 30.0
    retry_after_s: int = 5
    wrong_tries: int = 60
    wrong_window_s: float = 60.0


# --- answers ---


_CSP = "Content-Security-Policy"
_ON_ALL = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    _CSP: (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Server": "callwatch",
}
_ON_JSON = CIMultiDict(_ON_ALL | {"Content-Type": "application/json"})


async def on_every_answer(_: web.Request, answer: web.StreamResponse) -> None:
    """The headers that every answer has; one of `as_json` was made with them."""
    if _CSP not in answer.headers:
        answer.headers.update(_ON_ALL)


def as_json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    answer = web.Response(status=status, body=msgspec.json.encode(body), headers=_ON_JSON)
    if headers is not None:
        answer.headers.update(headers)
    return answer


def as_problem(problem: ApiProblem, headers: Mapping[str, str] | None = None) -> web.Response:
    error = {"code": problem.code, "message": str(problem), "path": problem.path}
    return as_json({**problem.extra, "error": error}, problem.status, headers)


def busy(error: BaseException, limits: Limits) -> web.Response:
    """503: not on disk, or not answered. Says to try again, and when."""
    code = "degraded" if isinstance(error, Degraded) else "unavailable"
    text = "this could not be put on disk now; send it again" if code == "degraded" else "please try again"
    return as_problem(ApiProblem(503, code, text), {"Retry-After": str(limits.retry_after_s)})


_OWN_ERRORS = {
    404: ("not_found", "there is nothing at this path"),
    413: ("too_large", "the body is larger than this route takes"),
    401: ("unauthorised", "a credential is needed"),
    403: ("forbidden", "this is not allowed"),
}


def library_error(error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals in the contract's shape; a wrong method is 404, since the contract has no 405."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        problem = ApiProblem(404, "method", f"this path takes only: {allowed}")
        return as_problem(problem, {"Allow": allowed})
    status = error.status if error.status in _OWN_ERRORS else 400
    code, text = _OWN_ERRORS.get(status, ("bad_request", "this request could not be read"))
    return as_problem(ApiProblem(status, code, text))


class Refused(ApiProblem):
    """An ApiProblem that carries headers of its own (Retry-After, WWW-Authenticate)."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> None:
        super().__init__(status, code, message)
        self.headers = headers


# --- what must be on disk before the answer ---


async def put_aside(desks: Desks, desk: str, source: Source, reason: Reason, raw: bytes) -> None:
    """Kept, bounded, and counted as put aside by the shell; a forged identity counts as its own outcome too."""
    await desks.quarantine(source, reason, raw, desk)
    if reason == "identity":
        desks.counted(desk, source, "unknown_device")


# --- reading ---


_LAST = {"Connection": "close"}
"""aiohttp closes the connection on a body that it could not read: the sender must not put its next request on it."""


async def read_body(request: web.Request, limit: int, body_s: float) -> tuple[bytes, bool]:
    """The body, and whether that is all of it: at most `limit` bytes are kept. Raises ApiProblem(400)."""
    body = bytearray()
    content = request.content
    try:
        if content.is_eof():
            # it came with the headers, as a check-in does: nothing to wait for, so no timer either
            whole = content.read_nowait()
            return whole[:limit], len(whole) <= limit
        async with asyncio.timeout(body_s):
            async for chunk in content.iter_any():
                body += chunk[: limit + 1 - len(body)]
                if len(body) > limit:
                    return bytes(body[:limit]), False
    except TimeoutError:
        raise Refused(400, "body_incomplete", f"the body did not arrive within {body_s:g} s", _LAST) from None
    except (web.RequestPayloadError, OSError, ValueError) as error:
        raise Refused(400, "bad_body", "the body could not be read to its end", _LAST) from error
    return bytes(body), True


async def read_whole(request: web.Request, limit: int, limits: Limits) -> bytes:
    """Raises ApiProblem(413) above `limit` bytes, without reading on."""
    body, whole = b"", (request.content_length or 0) <= limit
    if whole:
        body, whole = await read_body(request, limit, limits.body_s)
    if not whole:
        raise ApiProblem(413, "too_large", f"expected at most {limit} bytes")
    return body


class Patience:
    """Bounds how long answers are waited for: one timer for all of them, where `asyncio.wait` would take one each."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def settle(self, futures: Sequence[asyncio.Future[T]]) -> list[T]:
        """Every future's answer. Raises Degraded when one of them is not on disk, or not in time."""
        self._bound(futures)
        answers: list[T] = []
        failure: EdgeError | None = None
        for future in futures:
            try:
                answers.append(await future)
            except EdgeError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return answers

    async def one(self, future: asyncio.Future[T]) -> T:
        """The same for a single one."""
        self._bound((future,))
        return await future

    def _bound(self, futures: Sequence[asyncio.Future[T]]) -> None:
        loop, waiting = asyncio.get_running_loop(), self._waiting
        # mostly they are done in the order in which they came: what is done need not be kept until the sweep
        while waiting and waiting[0][1].done():
            waiting.popleft()
        ends = loop.time() + self._within_s
        waiting.extend([(ends, future) for future in futures if not future.done()])
        if self._timer is None and waiting:
            self._timer = loop.call_at(ends, self._sweep)

    def _sweep(self) -> None:
        loop, waiting = asyncio.get_running_loop(), self._waiting
        while waiting and (waiting[0][1].done() or waiting[0][0] <= loop.time()):
            _, future = waiting.popleft()
            if not future.done():
                future.set_exception(Degraded("timeout", "not durable in time"))
        self._timer = loop.call_at(waiting[0][0], self._sweep) if waiting else None


def not_too_many(items: Sequence[object], most: int, path: str | None = None) -> None:
    """Raises ApiProblem(413): a small body of empty rows costs as much as a large one of full rows."""
    if len(items) > most:
        raise ApiProblem(413, "too_large", f"expected at most {most} of them in one body; send several", path)


async def drain(request: web.Request, limits: Limits) -> None:
    """Read on and throw away, bounded, so that a telephone hears the answer instead of a reset connection."""
    left = limits.drain_bytes
    try:
        async with asyncio.timeout(limits.body_s):
            async for chunk in request.content.iter_any():
                left -= len(chunk)
                if left <= 0:
                    return
    except (TimeoutError, web.RequestPayloadError, OSError, ValueError):
        return


def _said(error: Exception) -> tuple[str, str | None]:
    """What was expected and where, from msgspec's message, with none of the sender's values in it."""
    text, _, place = str(error).partition(" - at `")
    path = place.rstrip("`").removeprefix("$").removeprefix(".") or None
    if text.startswith(("Expected", "Object missing", "Invalid RFC3339")):
        return text.replace("`", ""), path
    return "not one of the values that docs/interface.md lists", path


_FIRST_YEAR, _LAST_YEAR = 1900, 9000
"""Beyond these a time with an offset, or an hour later, may be none that a datetime can hold."""


def within_years(at: datetime | date) -> bool:
    """Whether a time of a body can be reckoned with; nobody who plans or records care means another one."""
    return _FIRST_YEAR <= at.year <= _LAST_YEAR


def decode(body: bytes, kind: type[B]) -> B:
    """Raises ApiProblem(400) that says what was expected."""
    try:
        return _of_our_time(msgspec.json.decode(body, type=kind))
    except msgspec.ValidationError as error:
        raise ApiProblem(400, "wrong_type", *_said(error)) from None
    except RecursionError:
        raise ApiProblem(400, "too_deep", "the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ApiProblem(400, "bad_body", "expected JSON in UTF-8") from None


def _of_our_time(body: B) -> B:
    """The body itself. Raises ApiProblem(400) for a time that nobody can mean."""
    names: tuple[str, ...] = getattr(body, "__struct_fields__", ())
    for name, path in zip(names, getattr(body, "__struct_encode_fields__", ()), strict=True):
        moment = getattr(body, name)
        if isinstance(moment, date) and not within_years(moment):
            text = f"expected a time from {_FIRST_YEAR} to {_LAST_YEAR}"
            raise ApiProblem(400, "wrong_type", text, path)
    return body


def aware(body: B) -> B:
    """The body itself. Raises ApiProblem(400) for a time without its offset."""
    for name in body.__struct_fields__:  # type: ignore[attr-defined]
        moment = getattr(body, name)
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise ApiProblem(400, "wrong_type", "expected a time with its offset (RFC 3339)", name)
    return body


def day(text: str | None, path: str) -> date | None:
    try:
        found = None if text is None else date.fromisoformat(text)
    except ValueError:
        found = date.min
    if found is not None and not within_years(found):
        raise ApiProblem(400, "wrong_type", "expected a date such as 2026-03-29", path)
    return found


def flag(text: str | None, path: str) -> bool:
    if text not in (None, "true", "false"):
        raise ApiProblem(400, "wrong_type", "expected true or false", path)
    return text == "true"


def after_seq(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ApiProblem(400, "wrong_type", "expected a whole number of 0 or more", "after")
    return int(text)


def wait_s(text: str | None, most_s: float) -> float:
    try:
        wait = timedelta() if text is None else parse_duration(text)
    except (ValueError, OverflowError):
        raise ApiProblem(400, "wrong_type", 'expected a duration such as "10s"', "wait") from None
    return min(wait.total_seconds(), most_s)


async def recording_of(desks: Desks, desk: str, alert: str) -> web.Response:
    """What a caller has left about an alert of this desk, as sound. Raises ApiProblem 404, 503."""
    if await desks.alert(desk, alert) is None:
        raise ApiProblem(404, "unknown_alert", "this desk has no alert with this id", "id")
    try:
        sound = await desks.recording(alert)
    except EdgeError as error:
        raise ApiProblem(503, "provider", "the telephone provider does not give it now") from error
    if sound is None:
        raise ApiProblem(404, "no_recording", "nobody has left a message about this alert", "id")
    return web.Response(body=sound, content_type="audio/mpeg")
