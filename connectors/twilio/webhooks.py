"""Twilio's webhooks in: texts, calls, keys and status callbacks, each one signed or refused.

Twilio waits 15 s for an answer and does not ask again. So nothing here takes longer than `bound_s`, a caller never
meets dead air, and what the desk does is never cut short because a telephone network is impatient.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
import structlog
from aiohttp import web
from multidict import MultiDict

from connectors.ports import Desks, StatusCallback
from connectors.twilio import signature, twiml
from connectors.twilio.statuses import answered_by, status_of
from monitor.core.views import CallHeard, LeftMessage, Script

T = TypeVar("T")

Event = Literal["unsigned", "forged", "bad_body", "unknown_status", "slow", "failed", "not_joined"]
EVENTS: tuple[Event, ...] = Event.__args__  # type: ignore[attr-defined]
"""What the shell may count: a refused signature (`unsigned`, `forged`), a form that cannot be read, a status that we
do not know, a desk slower than the bound, a desk that raised, and a caller whom nobody could be found for."""

OnEvent = Callable[[Event, str | None], None]
"""The event, and the key of the message it is about where there is one. Never a number, never a word."""

BOUND_S = 8.0
BODY_LIMIT = 64 * 1024
LINK_S = 15 * 60
"""So long a recording may be fetched by the link that a call of ours was given: the call is over before."""
ROUNDS = 4
"""How often a caller is asked to hold the line before we say that somebody will ring: about half a minute."""

_log = structlog.get_logger(__name__)


def routes(
    desks: Desks,
    tokens: Sequence[str],
    public_url: str | Callable[[], str],
    path_prefix: str = "",
    *,
    on_event: OnEvent | None = None,
    bound_s: float = BOUND_S,
    sorry: str = twiml.SORRY,
) -> list[web.RouteDef]:
    """The routes of docs/interface.md under `path_prefix`.

    `tokens` is read at each request (current and previous), `public_url` too when it is a function. `public_url` +
    "/twilio/…" is what Twilio calls; `path_prefix` is what a proxy adds on this side only.
    """
    hooks = Webhooks(desks, tokens, public_url, path_prefix, on_event, bound_s, sorry)
    return [
        web.post(f"{path_prefix}/twilio/sms", hooks.sms),
        web.post(f"{path_prefix}/twilio/voice", hooks.voice),
        web.post(f"{path_prefix}/twilio/voice/{{key}}", hooks.step),
        web.post(f"{path_prefix}/twilio/status/{{key}}", hooks.status),
        web.post(f"{path_prefix}/twilio/recording/{{alert}}", hooks.recorded),
        web.get(f"{path_prefix}/twilio/recording/{{alert}}", hooks.played),
    ]


class Webhooks:
    """The handlers; see `routes`."""

    def __init__(
        self,
        desks: Desks,
        tokens: Sequence[str],
        public_url: str | Callable[[], str],
        path_prefix: str,
        on_event: OnEvent | None,
        bound_s: float,
        sorry: str,
    ) -> None:
        self._desks, self._tokens, self._prefix = desks, tokens, path_prefix
        self._public_url = public_url if callable(public_url) else (lambda: public_url)
        self._on_event, self._bound_s, self._sorry = on_event, bound_s, sorry
        self._asked: dict[str, asyncio.Task[Any]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    async def sms(self, request: web.Request) -> web.Response:
        """A text to one of our numbers: 200 with the desk's reply, 503 when the desk could not take it."""
        form = await self._form(request)
        sid = form.get("MessageSid", "")
        to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
        # handed over once more while the first is being decided, it has the same answer
        name = f"sms {sid} {to}" if sid else f"sms {id(form)}"
        task = self._once(name, lambda: self._desks.sms_received(to, sender, body, sid))
        if not await self._done(task):
            # it is being dealt with and Twilio asks no second time: no reply is better than an error
            self._count("slow")
            return _xml(twiml.sms_twiml(None))
        if task.exception() is not None:
            self._failed("sms", task, None)
            return web.Response(status=503, headers={"Retry-After": "5"})
        return _xml(twiml.sms_twiml(task.result()))

    async def voice(self, request: web.Request) -> web.Response:
        """A call to one of our numbers: its beginning, each answer on the free number, and its return when the person
        whom we rang for it did not stay on."""
        form = await self._form(request)
        query = request.query
        if "of" in query:
            return await self._whisper(request, form)
        if "left" in query:
            return await self._spoken(request, form)
        if query.get("after") == "dial" and "turn" not in query:
            return self._after_dial(form)
        to, caller, sid = form.get("To", ""), _caller(form), form.get("CallSid", "")
        if "turn" not in query:
            listen = self._once(f"voice {sid}", lambda: self._desks.call_received(to, caller, sid))
            return await self._speak(
                request, listen, "voice", None, opening="again" not in query, asked_of=sid
            )
        heard = _heard(query.get("turn"), query.get("after") == "dial", form)
        # what was keyed is no part of the name: a redirect asks again without it, and a PIN stands in no URL
        name = f"heard {sid} {heard.turn} {heard.dialled}"
        go_on = self._once(name, lambda: self._desks.call_heard(to, caller, sid, heard))
        return await self._speak(request, go_on, "voice", None, opening=False, asked_of=sid)

    async def _whisper(self, request: web.Request, form: MultiDict[str]) -> web.Response:
        """Who was rung for a caller on the free number is told so, and asked for a key before they are joined."""
        query = request.query
        of, person, step = query["of"], _number(query.get("person")), query.get("step", "")
        digit = query.get("digit", form.get("Digits", "")) if "step" in query else None
        name = f"whisper {of} {person} {step!r} {digit!r} {query.get('asked', '')}"
        ask = self._once(name, lambda: self._desks.whisper(of, person, step, digit))
        if not await self._done(ask) or ask.exception() is not None:
            self._count("failed")
            return _xml(twiml.hangup_twiml())
        script = ask.result()
        asked = str(_number(query.get("asked")) + 1)
        action = self._url("voice", of=of, person=str(person), step=script.step, asked=asked)
        return _xml(twiml.call_twiml(script, action_url=action, opening="step" not in query))

    async def step(self, request: web.Request) -> web.Response:
        """The next step of our own call: the first request has no step, the others what was pressed."""
        form = await self._form(request)
        key, query = request.match_info["key"], request.query
        step = query.get("step", "")
        pressed = query.get("digit", form.get("Digits", ""))
        digit = pressed if "step" in query else None
        name = f"step {key} {form.get('CallSid', '')} {step!r} {digit!r} {query.get('turn', '')}"
        ask = self._once(name, lambda: self._desks.call_step(key, step, digit))
        return await self._speak(
            request, ask, f"voice/{quote(key, safe='')}", key, opening="step" not in query, digit=digit
        )

    async def status(self, request: web.Request) -> web.Response:
        """A status callback, or the verdict of the answering-machine detection: 204, or 503 when it is not on disk.

        Twilio does not repeat it; the outbox asks for the status of what stays silent.
        """
        form = await self._form(request)
        callback = _callback(request.match_info["key"], form)
        if callback is None:
            self._count("unknown_status", request.match_info["key"])
            return web.Response(status=204)
        task = self._begin(self._desks.call_status(callback))
        if not await self._done(task):
            self._count("slow", callback.key)
        elif task.exception() is not None:
            self._failed("status", task, callback.key)
            return web.Response(status=503, headers={"Retry-After": "5"})
        return web.Response(status=204)

    # --- the answerphone ---

    async def _spoken(self, request: web.Request, form: MultiDict[str]) -> web.Response:
        """The caller has finished, or has said nothing. Who hung up hears no more of it."""
        tries = _number(request.query.get("tries"))
        left = _left(request.query["left"], tries, form)
        # one answer for each time that they are asked: a redirect that held the line brings the form back without it
        name = f"left {left.alert} {left.call} {tries}"
        ask = self._once(name, lambda: self._desks.message_left(left))
        return await self._speak(request, ask, "voice", None, opening=False)

    async def recorded(self, request: web.Request) -> web.Response:
        """What was left can be played, or was nothing: 204 once it is on disk, else 503.

        Twilio does not repeat it: what is not heard of is asked for (`monitor.watch`).
        """
        form = await self._form(request)
        left = _left(request.match_info["alert"], 0, form)
        if form.get("RecordingStatus", "completed") not in ("completed", "absent"):
            self._count("unknown_status")
            return web.Response(status=204)
        left = msgspec.structs.replace(left, tries=_number(request.query.get("tries")), on_line=False)
        task = self._begin(self._desks.message_left(left))
        if not await self._done(task):
            self._count("slow")
            return web.Response(status=503, headers={"Retry-After": "5"})
        if task.exception() is not None:
            self._failed("recording", task, None)
            return web.Response(status=503, headers={"Retry-After": "5"})
        return web.Response(status=204)

    async def played(self, request: web.Request) -> web.Response:
        """The sound of a recording, for a call of ours: Twilio fetches it without a signature of its own, so the link
        has ours, for `LINK_S`. Where the account's media ask for a password (as they do by default) nobody else could
        give it, and no link of ours could hold it."""
        alert, query = request.match_info["alert"], request.query
        if not signature.link_holds(self._tokens, alert, query.get("until", ""), query.get("sig", "")):
            self._count("forged")
            raise web.HTTPForbidden(text="signature")
        task = self._begin(self._desks.recording(alert))
        if not await self._done(task):
            self._count("slow")
        elif task.exception() is not None:
            self._failed("play", task, None)
        if not task.done() or task.exception() is not None or task.result() is None:
            raise web.HTTPNotFound(text="not to be had now")
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return web.Response(body=task.result(), content_type="audio/mpeg", headers=headers)

    def _play_url(self, alert: str) -> str:
        until, sig = signature.link(self._tokens, alert, LINK_S)
        return self._url(f"recording/{quote(alert, safe='')}", until=until, sig=sig)

    # --- who speaks ---

    async def _form(self, request: web.Request) -> MultiDict[str]:
        """The signed form. Raises 403 for a wrong signature, 400 for what is no form; the body is not kept."""
        try:
            async with asyncio.timeout(self._bound_s):
                form = await _read_form(request)
        except (ValueError, TimeoutError, web.RequestPayloadError):
            self._count("bad_body")
            raise web.HTTPBadRequest(text="expected a form of at most 64 KiB, UTF-8") from None
        url = signature.called_url(self._public_url(), request.raw_path, self._prefix)
        verdict = signature.check(self._tokens, url, form, request.headers)
        if verdict != "genuine":
            self._count(verdict)
            raise web.HTTPForbidden(text="signature")
        return form

    # --- what the desk says, in time ---

    async def _speak(
        self,
        request: web.Request,
        asked: asyncio.Task[Script],
        path: str,
        key: str | None,
        *,
        opening: bool,
        digit: str | None = None,
        asked_of: str = "",
    ) -> web.Response:
        if not await self._done(asked):
            self._count("slow", key)
            return self._hold(request, path, key, digit)
        if asked.exception() is not None:
            self._failed("voice", asked, key)
            return _xml(twiml.sorry_twiml(self._sorry))
        script = asked.result()
        action = after_dial = whisper = None
        if key is not None:
            action = self._url(path, step=script.step, turn=_next_turn(request))
        elif script.turn is not None:
            action = self._url(path, turn=str(script.turn))
            after_dial = self._url(path, turn=str(script.turn), after="dial")
            whisper = self._url(path, of=asked_of, person=script.step) if script.asked_first else None
        recorded = None
        if script.record is not None:
            tries = str(script.record.tries)
            action = self._url("voice", left=script.record.alert, tries=tries)
            recorded = self._url(f"recording/{quote(script.record.alert, safe='')}", tries=tries)
        return _xml(
            twiml.call_twiml(
                script,
                action_url=action,
                after_dial_url=after_dial or self._url("voice", after="dial"),
                asked_first_url=whisper,
                recorded_url=recorded,
                play_url=self._play_url(script.play) if script.play is not None else None,
                opening=opening and "again" not in request.query,
            )
        )

    def _hold(self, request: web.Request, path: str, key: str | None, digit: str | None) -> web.Response:
        """Keep the caller on the line and come back for the same answer; a redirect carries no digits."""
        again = _number(request.query.get("again")) + 1
        if again >= ROUNDS:
            self._count("failed", key)
            return _xml(twiml.sorry_twiml(self._sorry))
        kept = ("step", "turn", "after", "left", "tries")
        query = {name: value for name, value in request.query.items() if name in kept}
        if digit is not None:
            query["digit"] = digit
        return _xml(twiml.wait_twiml(self._url(path, **query, again=str(again))))

    def _after_dial(self, form: MultiDict[str]) -> web.Response:
        if form.get("DialCallStatus") in ("completed", "answered"):
            return _xml(twiml.hangup_twiml())
        self._count("not_joined")
        return _xml(twiml.sorry_twiml(self._sorry))

    def _url(self, path: str, **query: str) -> str:
        return f"{self._public_url().rstrip('/')}/twilio/{path}?{urlencode(query, quote_via=quote)}"

    # --- the desk's work goes on when Twilio stops waiting ---

    def _once(self, name: str, make: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """The same question asked again (a redirect, a retry) gets the same answer: the desk hears a key once."""
        if name not in self._asked:
            self._asked[name] = self._begin(make())
            self._asked[name].add_done_callback(lambda _: self._forget_later(name))
        return self._asked[name]

    def _forget_later(self, name: str) -> None:
        asyncio.get_running_loop().call_later(self._bound_s + 10, self._asked.pop, name, None)

    def _begin(self, work: Awaitable[T]) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.create_task(_as_coroutine(work), name="twilio webhook")
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen: what it means is said where the answer is given

    async def _done(self, task: asyncio.Task[Any]) -> bool:
        done, _ = await asyncio.wait({task}, timeout=self._bound_s)
        return bool(done)

    def _failed(self, where: str, task: asyncio.Task[Any], key: str | None) -> None:
        self._count("failed", key)
        error = task.exception()
        _log.error("webhook_failed", webhook=where, key=key, error=type(error).__name__)

    def _count(self, event: Event, key: str | None = None) -> None:
        if self._on_event is not None:
            self._on_event(event, key)


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work


async def _read_form(request: web.Request) -> MultiDict[str]:
    """Every parameter, also repeated and empty ones: the signature covers them all. Raises ValueError."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(8192):
        body += chunk
        if len(body) > BODY_LIMIT:
            raise ValueError("too large")
    pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=500)
    return MultiDict(pairs)


def _callback(key: str, form: MultiDict[str]) -> StatusCallback | None:
    """A text has MessageStatus, a call CallStatus, the detection's verdict neither: it says that the call goes on."""
    if "MessageSid" in form or "MessageStatus" in form:
        status = status_of("sms", form.get("MessageStatus") or form.get("SmsStatus"))
    else:
        verdict_alone = "AnsweredBy" in form and "CallStatus" not in form
        status = "in_progress" if verdict_alone else status_of("call", form.get("CallStatus"))
    if status is None:
        return None
    sequence = form.get("SequenceNumber", "")
    return StatusCallback(
        key=key,
        status=status,
        sequence=int(sequence) if sequence.isascii() and sequence.isdigit() else None,
        answered_by=answered_by(form.get("AnsweredBy")),
        provider_ref=form.get("MessageSid") or form.get("CallSid"),
    )


_SID = re.compile(r"RE[0-9a-f]{32}")
WITHHELD = frozenset({"+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"})
"""ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE on a keypad: what Twilio sends for a number it is not told."""


def _caller(form: MultiDict[str]) -> str:
    """The caller's number, or "" when it is withheld. Whoever wants to can send a false one (docs/architecture.md)."""
    caller = form.get("From", "").strip()
    return "" if caller in WITHHELD or not caller.startswith("+") else caller


def _heard(turn: str | None, dialled: bool, form: MultiDict[str]) -> CallHeard:
    spoke = form.get("DialCallStatus") in ("completed", "answered") and form.get("DialBridged") != "false"
    return CallHeard(
        turn=_number(turn),
        digits="" if dialled else form.get("Digits", ""),
        dialled=dialled,
        joined=dialled and spoke,
        raw=urlencode(list(form.items())).encode(),
    )


def _left(alert: str, tries: int, form: MultiDict[str]) -> LeftMessage:
    """The id of a recording is the last part of its address, where it is not given by itself."""
    sid = form.get("RecordingSid") or form.get("RecordingUrl", "").rpartition("/")[2]
    there = form.get("RecordingStatus", "completed") == "completed" and _SID.fullmatch(sid) is not None
    return LeftMessage(
        alert=alert,
        recording=sid if there else None,
        seconds=_number(form.get("RecordingDuration")) if there else 0,
        call=form.get("CallSid", ""),
        tries=tries,
    )


def _next_turn(request: web.Request) -> str:
    """Counts the steps of a call, so that the same key at the same step later on is a new answer."""
    return str(_number(request.query.get("turn")) + 1)


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else 0


def _xml(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/xml", charset="utf-8")
