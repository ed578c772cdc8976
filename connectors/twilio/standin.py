"""The stand-in telephones over HTTP: Twilio's REST API, control for tests, and a page for people.

| route | does |
| --- | --- |
| `/2010-04-01/Accounts/{sid}/Messages.json`, `/Calls.json`, `/Messages/{sid}.json`, `/Calls/{sid}.json` | as Twilio's |
| `GET /phones` | the page |
| `GET /phones/{number}` | `{"number","label","texts":[…],"calls":[…]}`, newest last |
| `POST /phones/{number}/reply` `{"body","to"?}` | a text to us; `to` is who last wrote to it, unless given |
| `POST /phones/{number}/reply` `{"again"}` | the network hands over the text of that sid once more |
| `POST /phones/{number}/call` `{"to"?,"withheld"?}` | rings us, with or without telling its number |
| `…/Recordings.json?CallSid=`, `…/Recordings/{sid}.json`, `.mp3` (a password is asked for), `DELETE` | as Twilio's |
| `POST /calls/{sid}/answer\\|voicemail\\|busy\\|no-answer\\|hangup`, `…/press` `{"digits"}` | what a person does |
| `POST /calls/{sid}/say` `{"words"}` | what a person says after the tone |
| `GET /conferences` | `{"conferences":[{"name","begun","calls":[sid]}]}`: who talks to whom |
| `POST /faults` `{"kind","count"?,"status"?,"code"?}`, `GET`, `DELETE /faults[?kind=]` | what goes wrong on purpose |
| `POST /numbers` `{"sms_url"?,"voice_url"?}`, `GET /numbers` | where what a phone begins is sent |
| `POST /reset` | as new |

Faults: `refuse` (503, or `status` and `code` of your choice), `hang` (nothing happens, no answer), `timeout_after_send`
(it happens, no answer), `lose`, `double`, `reorder` (status callbacks), `undelivered` (texts). `count` is how often;
without it until cleared. Numbers in URLs: `+44…`, `%2B44…` or `44…`. Bodies: JSON or form.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from connectors.twilio.network import (
    FAULTS,
    Call,
    Fault,
    FaultKind,
    NotNow,
    Recording,
    Refused,
    TelephoneNetwork,
    Text,
)

__all__ = ["TelephoneNetwork", "run_phones", "serving", "standin_app"]

HANG_S = 120.0
"""How long a hanging request is kept, at most; longer than anybody should wait."""

SETTLE_S = 5.0
"""How long an action waits for what it causes (the next thing asked, or the end), so that a test can go on at once."""

_HERE = Path(__file__).parent
_REST = "/2010-04-01/Accounts/{account}"
_ALIASES: dict[str, FaultKind] = {
    "timeout": "timeout_after_send",
    "time_out": "timeout_after_send",
    "timeout_after_sent": "timeout_after_send",
    "time_out_after_sent": "timeout_after_send",
    "time_out_after_having_sent": "timeout_after_send",
    "lose_callbacks": "lose",
    "double_callbacks": "double",
    "reorder_callbacks": "reorder",
}


def standin_app(network: TelephoneNetwork) -> web.Application:
    """The application in front of a network, which it closes when it is cleaned up."""
    face = Face(network)
    app = web.Application(middlewares=[_errors], client_max_size=256 * 1024)
    app.add_routes(face.routes())
    app.on_shutdown.append(face.stop)
    return app


@asynccontextmanager
async def serving(network: TelephoneNetwork, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """The network behind HTTP for as long as the block lasts; yields its base URL (port 0: any free one)."""
    runner = web.AppRunner(standin_app(network), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        where = runner.addresses[0]
        yield f"http://{f'[{where[0]}]' if ':' in where[0] else where[0]}:{where[1]}"
    finally:
        await runner.cleanup()


async def run_phones(
    listen_host: str,
    port: int,
    *,
    auth_tokens: Sequence[str],
    sms_url: str = "",
    voice_url: str = "",
    speed: float = 1.0,
    labels: Mapping[str, str] | None = None,
    speech_cps: float | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """The stand-in alone, until cancelled. `on_ready` is told the base URL. Raises OSError when it cannot listen."""
    network = TelephoneNetwork(
        auth_tokens, sms_url=sms_url, voice_url=voice_url, speed=speed, labels=labels, speech_cps=speech_cps
    )
    async with serving(network, listen_host, port) as base_url:
        if on_ready is not None:
            on_ready(base_url)
        await asyncio.Event().wait()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as error:
        return _twilio_error(error)
    except NotNow as error:
        return _problem(409, str(error))
    except ValueError as error:
        return _problem(400, str(error))


class Face:
    """The handlers; see the module's table."""

    def __init__(self, network: TelephoneNetwork) -> None:
        self._net = network

    def routes(self) -> list[web.RouteDef]:
        """Every route, to be added to any application."""
        return [*self._rest(), *self._control(), *self._page()]

    async def stop(self, _: web.Application) -> None:
        """Let go of hanging and waiting requests, end the calls."""
        await self._net.close()

    def _rest(self) -> list[web.RouteDef]:
        return [
            web.post(f"{_REST}/Messages.json", self._create_message),
            web.get(f"{_REST}/Messages.json", self._list_messages),
            web.get(f"{_REST}/Messages/{{sid}}.json", self._message),
            web.post(f"{_REST}/Calls.json", self._create_call),
            web.get(f"{_REST}/Calls.json", self._list_calls),
            web.get(f"{_REST}/Calls/{{sid}}.json", self._call),
            web.post(f"{_REST}/Calls/{{sid}}.json", self._update_call),
            web.get(f"{_REST}/Recordings.json", self._list_recordings),
            web.get(f"{_REST}/Recordings/{{sid}}.json", self._recording),
            web.delete(f"{_REST}/Recordings/{{sid}}.json", self._delete_recording),
            web.get(f"{_REST}/Recordings/{{sid}}.mp3", self._sound),
        ]

    def _control(self) -> list[web.RouteDef]:
        return [
            web.get("/phones/{number}", self._phone),
            web.post("/phones/{number}/reply", self._reply),
            web.post("/phones/{number}/call", self._ring_us),
            web.post("/calls/{sid}/press", self._press),
            web.post("/calls/{sid}/say", self._say),
            web.post("/calls/{sid}/{action:answer|voicemail|busy|no-answer|hangup}", self._act),
            web.get("/calls/{sid}", self._one_call),
            web.get("/conferences", self._conferences),
            web.get("/faults", self._faults),
            web.post("/faults", self._set_faults),
            web.delete("/faults", self._clear_faults),
            web.get("/numbers", self._numbers),
            web.post("/numbers", self._set_numbers),
            web.post("/reset", self._reset),
        ]

    def _page(self) -> list[web.RouteDef]:
        return [
            web.get("/phones", self._html),
            web.get("/phones.json", self._all_phones),
            web.get("/phones/static/{name:phones\\.(?:js|css|svg)}", self._static),
        ]

    # --- Twilio's REST API ---

    async def _create_message(self, request: web.Request) -> web.Response:
        account, token = await self._enter(request)
        form = await request.post()
        text = self._net.accept_text(account, token, _strings(form))
        await self._maybe_never(request)
        return _json(_text_json(text), status=201)

    async def _create_call(self, request: web.Request) -> web.Response:
        account, token = await self._enter(request)
        form = await request.post()
        events = [str(event) for event in form.getall("StatusCallbackEvent", [])]
        call = self._net.accept_call(account, token, _strings(form), events)
        await self._maybe_never(request)
        return _json(_call_json(call), status=201)

    async def _list_messages(self, request: web.Request) -> web.Response:
        await self._enter(request)
        texts = _filtered(self._net.texts.values(), request, "DateSent", lambda text: text.sent)
        return _json(_page("messages", [_text_json(text) for text in texts], request))

    async def _list_calls(self, request: web.Request) -> web.Response:
        await self._enter(request)
        calls = _filtered(self._net.calls.values(), request, "StartTime", lambda call: call.started)
        return _json(_page("calls", [_call_json(call) for call in calls], request))

    async def _message(self, request: web.Request) -> web.Response:
        await self._enter(request)
        text = self._net.texts.get(request.match_info["sid"])
        if text is None:
            raise _no_such(request)
        return _json(_text_json(text))

    async def _call(self, request: web.Request) -> web.Response:
        await self._enter(request)
        return _json(_call_json(self._rest_call(request)))

    async def _update_call(self, request: web.Request) -> web.Response:
        await self._enter(request)
        call = self._rest_call(request)
        self._net.cancel_call(call, _strings(await request.post()).get("Status", ""))
        return _json(_call_json(call))

    def _rest_call(self, request: web.Request) -> Call:
        call = self._net.calls.get(request.match_info["sid"])
        if call is None:
            raise _no_such(request)
        return call

    async def _list_recordings(self, request: web.Request) -> web.Response:
        await self._enter(request)
        wanted = request.query.get("CallSid")
        found = [one for one in self._net.recordings.values() if wanted in (None, one.call)]
        return _json(_page("recordings", [_recording_json(one) for one in found], request))

    async def _recording(self, request: web.Request) -> web.Response:
        await self._enter(request)
        return _json(_recording_json(self._rest_recording(request)))

    async def _delete_recording(self, request: web.Request) -> web.Response:
        await self._enter(request)
        del self._net.recordings[self._rest_recording(request).sid]
        return web.Response(status=204)

    async def _sound(self, request: web.Request) -> web.Response:
        """As an account does that asks for the password of its media, which is Twilio's default."""
        await self._enter(request)
        return web.Response(body=self._rest_recording(request).sound, content_type="audio/mpeg")

    def _rest_recording(self, request: web.Request) -> Recording:
        found = self._net.recordings.get(request.match_info["sid"])
        if found is None:
            raise _no_such(request)
        return found

    async def _enter(self, request: web.Request) -> tuple[str, str]:
        """The account and the token of whoever asks, after the faults that strike every request."""
        fault = self._net.faults.take("refuse")
        if fault is not None:
            raise Refused(fault.status, fault.code, "The stand-in was told to refuse.")
        if self._net.faults.take("hang"):
            await self._never(request)
        account, token = _basic(request.headers.get("Authorization", ""))
        tokens = self._net.auth_tokens
        known = any(hmac.compare_digest(token, each) for each in tokens) or bool(token and not tokens)
        if not known or account != request.match_info["account"]:
            raise Refused(401, 20003, "Authenticate")
        return account, token

    async def _maybe_never(self, request: web.Request) -> None:
        if self._net.faults.take("timeout_after_send"):
            await self._never(request)

    async def _never(self, request: web.Request) -> None:
        """No answer, until the one who waits has gone."""
        await self._net.until(lambda: self._net.closing or _gone(request), HANG_S)
        raise Refused(504, 20504, "The stand-in was told not to answer.")

    # --- for tests, and for the page ---

    async def _phone(self, request: web.Request) -> web.Response:
        return _json(self._phone_json(_number(request.match_info["number"])))

    async def _reply(self, request: web.Request) -> web.Response:
        body = await _body(request)
        phone = _number(request.match_info["number"])
        if isinstance(body.get("again"), str):
            text, status = await self._net.again(phone, body["again"])
            return _json({"sid": text.sid, "to": text.to, "webhook_status": status})
        if not isinstance(body.get("body"), str) or not body["body"]:
            raise ValueError('body: expected {"body": "…", "to"?: "+44…"}, or {"again": "SM…"}')
        to = _number(body["to"]) if body.get("to") else None
        text, status = await self._net.write(phone, body["body"], to)
        return _json({"sid": text.sid, "to": text.to, "webhook_status": status})

    async def _ring_us(self, request: web.Request) -> web.Response:
        body, phone = await _body(request), _number(request.match_info["number"])
        to = _number(body["to"]) if body.get("to") else self._net.last_contact(phone)
        withheld = body.get("withheld") in (True, "true", "on", "1")
        call = self._net.ring_us(phone, to, withheld=withheld)
        await self._settled(call)
        return _json(_seen_call(call))

    async def _one_call(self, request: web.Request) -> web.Response:
        return _json(_seen_call(self._known_call(request)))

    async def _conferences(self, _: web.Request) -> web.Response:
        rooms = self._net.conferences.values()
        seen = [{"name": r.name, "begun": r.begun, "calls": [call.sid for call in r.members]} for r in rooms]
        return _json({"conferences": seen})

    async def _act(self, request: web.Request) -> web.Response:
        call = self._known_call(request)
        await self._net.until(lambda: call.status not in ("queued", "initiated"), SETTLE_S)
        self._net.act(call, request.match_info["action"])
        await self._net.until(lambda: call.status != "ringing", SETTLE_S)
        if request.match_info["action"] in ("answer", "hangup"):
            await self._settled(call)
        return _json(_seen_call(call))

    async def _press(self, request: web.Request) -> web.Response:
        call, body = self._known_call(request), await _body(request)
        await self._settled(call)
        self._net.press(call, str(body.get("digits", "")))
        await self._settled(call)
        return _json(_seen_call(call))

    async def _say(self, request: web.Request) -> web.Response:
        call, body = self._known_call(request), await _body(request)
        await self._settled(call)
        self._net.say(call, str(body.get("words", "")))
        return _json(_seen_call(call))

    async def _settled(self, call: Call) -> None:
        """Until the person is asked something, is recorded, waits for or talks to somebody, or the call is over."""

        def settled() -> bool:
            return call.asking or call.recording or call.held or call.joined or call.over or self._net.closing

        await self._net.until(settled, SETTLE_S)

    def _known_call(self, request: web.Request) -> Call:
        call = self._net.calls.get(request.match_info["sid"])
        if call is None:
            raise web.HTTPNotFound(text='{"error":"no such call"}', content_type="application/json")
        return call

    async def _faults(self, _: web.Request) -> web.Response:
        return _json({"faults": self._net.faults.view()})

    async def _set_faults(self, request: web.Request) -> web.Response:
        for kind, fault in _faults_asked(await _body(request)):
            if fault is None:
                self._net.faults.clear(kind)
            else:
                self._net.faults.set(kind, fault)
        return _json({"faults": self._net.faults.view()})

    async def _clear_faults(self, request: web.Request) -> web.Response:
        kind = request.query.get("kind")
        self._net.faults.clear(_fault_kind(kind) if kind else None)
        return _json({"faults": self._net.faults.view()})

    async def _numbers(self, _: web.Request) -> web.Response:
        return _json({"sms_url": self._net.sms_url, "voice_url": self._net.voice_url})

    async def _set_numbers(self, request: web.Request) -> web.Response:
        body = await _body(request)
        self._net.sms_url = str(body.get("sms_url", self._net.sms_url))
        self._net.voice_url = str(body.get("voice_url", self._net.voice_url))
        return await self._numbers(request)

    async def _reset(self, _: web.Request) -> web.Response:
        await self._net.reset()
        return _json({"reset": True})

    # --- the page ---

    async def _html(self, _: web.Request) -> web.FileResponse:
        return _file("templates/phones.html")

    async def _static(self, request: web.Request) -> web.FileResponse:
        return _file(f"static/{request.match_info['name']}")

    async def _all_phones(self, request: web.Request) -> web.Response:
        """Every phone, as soon as something changed after `after`, else after `wait` seconds."""
        after = int(request.query.get("after", "-1"))
        wait_s = min(float(request.query.get("wait", "0")), 30.0)
        await self._net.until(lambda: self._net.version != after or self._net.closing, wait_s)
        seen = dict.fromkeys(self._net.labels)
        seen |= dict.fromkeys(t.from_ if t.direction == "inbound" else t.to for t in self._net.texts.values())
        seen |= dict.fromkeys(call.phone for call in self._net.calls.values())
        return _json({"version": self._net.version, "phones": [self._phone_json(number) for number in seen]})

    def _phone_json(self, number: str) -> dict[str, Any]:
        texts = [t for t in self._net.texts.values() if number in (t.to, t.from_)]
        calls = [c for c in self._net.calls.values() if number in (c.to, c.from_)]
        return {
            "number": number,
            "label": self._net.labels.get(number),
            "texts": [_seen_text(text) for text in texts],
            "calls": [_seen_call(call) for call in calls],
        }


# --- shapes ---


def _seen_text(text: Text) -> dict[str, Any]:
    return {
        "sid": text.sid,
        "from": text.from_,
        "to": text.to,
        "body": text.body,
        "direction": text.direction,
        "status": text.status,
        "at": text.created.isoformat(timespec="milliseconds"),
        "validity_s": text.validity_s,
        "reports_to": text.courier.url if text.courier else None,
    }


def _seen_call(call: Call) -> dict[str, Any]:
    return {
        "sid": call.sid,
        "from": call.from_,
        "to": call.to,
        "direction": call.direction,
        "status": call.status,
        "at": call.created.isoformat(timespec="milliseconds"),
        "ring_s": call.ring_s,
        "script": list(call.heard),
        "waiting_for_key": call.asking,
        "pressed": call.pressed,
        "answered_by": call.answered_by,
        "conference": call.conference,
        "held": call.held,
        "recording": call.recording,
    }


def _text_json(text: Text) -> dict[str, Any]:
    return {
        "sid": text.sid,
        "account_sid": text.account,
        "to": text.to,
        "from": text.from_,
        "body": text.body,
        "direction": text.direction,
        "status": text.status,
        "date_created": _rfc2822(text.created),
        "date_sent": _rfc2822(text.sent),
        "date_updated": _rfc2822(text.sent or text.created),
        "error_code": text.error_code,
        "error_message": None,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(-(-len(text.body) // 160)),
        "price": None,
        "price_unit": "GBP",
        "api_version": "2010-04-01",
        "uri": f"/2010-04-01/Accounts/{text.account}/Messages/{text.sid}.json",
        "subresource_uris": {},
    }


def _call_json(call: Call) -> dict[str, Any]:
    return {
        "sid": call.sid,
        "account_sid": call.account,
        "to": call.to,
        "to_formatted": call.to,
        "from": call.from_,
        "from_formatted": call.from_,
        "direction": call.direction,
        # the resource has no `initiated`; that is a name of callbacks only
        "status": "queued" if call.status == "initiated" else call.status,
        "answered_by": call.answered_by,
        "date_created": _rfc2822(call.created),
        "date_updated": _rfc2822(call.ended or call.started or call.created),
        "start_time": _rfc2822(call.started),
        "end_time": _rfc2822(call.ended),
        "duration": None,
        "parent_call_sid": None,
        "price": None,
        "price_unit": "GBP",
        "api_version": "2010-04-01",
        "uri": f"/2010-04-01/Accounts/{call.account}/Calls/{call.sid}.json",
        "subresource_uris": {},
    }


def _recording_json(one: Recording) -> dict[str, Any]:
    uri = f"/2010-04-01/Accounts/{one.account}/Recordings/{one.sid}"
    return {
        "sid": one.sid,
        "account_sid": one.account,
        "call_sid": one.call,
        "conference_sid": None,
        "status": "completed",
        "source": "RecordVerb",
        "channels": 1,
        "duration": str(one.seconds),
        "date_created": _rfc2822(one.created),
        "date_updated": _rfc2822(one.created),
        "start_time": _rfc2822(one.created),
        "error_code": None,
        "price": None,
        "price_unit": "GBP",
        "encryption_details": None,
        "api_version": "2010-04-01",
        "uri": f"{uri}.json",
        "media_url": f"https://api.twilio.com{uri}",
        "subresource_uris": {},
    }


def _rfc2822(at: datetime | None) -> str | None:
    return None if at is None else format_datetime(at)


def _page(name: str, records: list[dict[str, Any]], request: web.Request) -> dict[str, Any]:
    size = max(1, min(int(request.query.get("PageSize", "50")), 1000))
    page = max(0, int(request.query.get("Page", "0")))
    start, here = page * size, request.path_qs
    onward = request.rel_url.update_query({"Page": str(page + 1), "PageSize": str(size)})
    return {
        name: records[start : start + size],
        "page": page,
        "page_size": size,
        "start": start,
        "end": start + size - 1,
        "uri": here,
        "first_page_uri": here,
        "previous_page_uri": None,
        "next_page_uri": str(onward) if len(records) > start + size else None,
    }


def _filtered(items: Any, request: web.Request, name: str, at: Callable[[Any], datetime | None]) -> list[Any]:
    """Newest first, by To, From and the date, which what still waits has not got (as at Twilio)."""
    found = [
        item
        for item in items
        if request.query.get("To", item.to) == item.to and request.query.get("From", item.from_) == item.from_
    ]
    for suffix in ("", "<", ">"):
        value = request.query.get(name + suffix)
        if value is not None:
            found = [item for item in found if _matches(at(item), suffix, value)]
    return found[::-1]


def _matches(at: datetime | None, suffix: str, value: str) -> bool:
    try:
        day = date.fromisoformat(value) if len(value) == 10 else None
        limit = datetime.combine(day, time(), UTC) if day else datetime.fromisoformat(value)
    except ValueError:
        raise Refused(400, 20001, "Invalid date value.") from None
    limit = limit if limit.tzinfo else limit.replace(tzinfo=UTC)
    if at is None:
        return False
    if suffix == "":
        return limit <= at < limit + timedelta(days=1)
    return at <= limit if suffix == "<" else at >= limit


def _basic(header: str) -> tuple[str, str]:
    scheme, _, coded = header.partition(" ")
    try:
        account, _, token = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (account, token) if scheme.lower() == "basic" else ("", "")


def _no_such(request: web.Request) -> Refused:
    return Refused(404, 20404, f"The requested resource {request.path} was not found")


def _twilio_error(error: Refused) -> web.Response:
    body = {
        "code": error.code,
        "message": error.message,
        "more_info": f"https://www.twilio.com/docs/errors/{error.code}",
        "status": error.status,
    }
    return _json(body, status=error.status)


def _problem(status: int, message: str) -> web.Response:
    return _json({"error": message}, status=status)


def _json(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})


def _file(path: str) -> web.FileResponse:
    headers = {
        "Content-Security-Policy": "default-src 'self'",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return web.FileResponse(_HERE / path, headers=headers)


# --- what is asked ---


async def _body(request: web.Request) -> dict[str, Any]:
    """A JSON object or a form, also none. Raises ValueError."""
    if request.content_type == "application/json":
        body = json.loads(await request.text() or "{}")
        if not isinstance(body, dict):
            raise ValueError("expected a JSON object")
        return body
    return dict(_strings(await request.post()))


def _strings(form: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _number(text: str) -> str:
    """`+44…`, `44…`, ` 44…` (a plus read as a blank) or `07…`, as E.164."""
    digits = text.strip().lstrip("+").replace(" ", "")
    if not digits.isascii() or not digits.isdigit():
        raise ValueError("a telephone number: expected +44…")
    return f"+44{digits[1:]}" if digits.startswith("0") else f"+{digits}"


def _fault_kind(name: str) -> FaultKind:
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    for kind in FAULTS:
        if plain == kind:
            return kind
    if plain in _ALIASES:
        return _ALIASES[plain]
    raise ValueError(f"kind: expected one of {', '.join(FAULTS)}")


def _faults_asked(body: dict[str, Any]) -> list[tuple[FaultKind, Fault | None]]:
    """`{"kind": "hang", "count": 1}`, or several at once: `{"hang": 1, "lose": true, "double": false}`."""
    kind = body.get("kind") or body.get("fault")
    if kind is not None:
        return [(_fault_kind(str(kind)), _fault(body.get("count"), body))]
    asked = [(name, value) for name, value in body.items() if name not in ("count", "status", "code")]
    if not asked:
        raise ValueError('expected {"kind": "…", "count"?: 1}')
    return [(_fault_kind(name), _fault(value, body)) for name, value in asked]


def _fault(count: Any, body: dict[str, Any]) -> Fault | None:
    """None switches it off. `count` None or true: until cleared."""
    if count is False or count in (0, "0", "false"):
        return None
    left = None if count in (None, "", "true") or count is True else int(count)
    plain = Fault(left=left)
    return Fault(
        left=left, status=int(body.get("status", plain.status)), code=int(body.get("code", plain.code))
    )


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
