"""Texts and calls out, through Twilio's own library, bounded in time by us.

The library is used for what it knows (resources, parameters, errors) and not for what it does badly: it ignores
its `timeout`, logs numbers at INFO, has no base URL, and passes credentials in a way that aiohttp has deprecated.
All four are mended in one place, `BoundedClient` (docs/decisions/0004).
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from connectors.ports import EdgeError, OutboundMessage, Reason, Recorded, Sent, StatusCallback
from connectors.twilio.statuses import answered_by, status_of

T = TypeVar("T")

VALIDITY_S = (1, 36_000)
"""What Twilio accepts as ValidityPeriod (error 90007)."""

RING_S = (5, 600)
"""What Twilio accepts as Timeout of a call."""

CALL_EVENTS = ["initiated", "ringing", "answered", "completed"]

CLOCK_SKEW = timedelta(seconds=2)
"""How far Twilio's clock may be behind ours in a look-up; its times have whole seconds."""

LATEST = timedelta(minutes=2)
"""How long after the attempt was journalled a call may have been made and still be this one: a commit can block for a
minute, and the same person is not rung twice within three."""

NEWEST = 50
"""How many of the newest messages between two numbers a look-up reads: one page."""

MEDIA_PAUSES_S = (0.0, 0.5, 1.0, 1.5)
"""How long we wait before each try to fetch what was recorded a moment ago: Twilio waits for us meanwhile."""

LARGEST_SOUND = 8 * 1024 * 1024
"""Ten minutes of MP3 at the most that Twilio makes of a telephone call are under 5 MB."""

KNOWN = 2_000
"""How many references of our own are remembered, so that a look-up does not find another message."""


class UnclearAnswer(TwilioException):  # type: ignore[misc]
    """Twilio said yes, but not in a form that can be read: the message may have been sent."""


class BoundedClient(AsyncTwilioHttpClient):  # type: ignore[misc]
    """The library's HTTP client with our host, our time limit and no log of its own."""

    def __init__(self, api_url: str, timeout_s: float) -> None:
        super().__init__(pool_connections=False)
        self.session: aiohttp.ClientSession | None = None
        self._scheme, self._host = urlsplit(api_url)[:2]
        self._timeout_s = timeout_s

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        allow_redirects: bool = False,
    ) -> Response:
        """One request to our host. Raises TimeoutError within the limit, aiohttp.ClientError, UnclearAnswer."""
        limit_s = self._timeout_s if timeout is None else min(timeout, self._timeout_s)
        async with (
            asyncio.timeout(limit_s),
            self._session().request(
                method.upper(),
                self._here(url),
                params=None if params is None else {name: str(value) for name, value in params.items()},
                data=None if data is None else urlencode(data, doseq=True),
                headers=_headers(headers, auth),
                timeout=aiohttp.ClientTimeout(total=limit_s, sock_connect=limit_s / 2),
                allow_redirects=False,
            ) as answer,
        ):
            text = await answer.text()
        _readable(answer.status, text)
        return Response(answer.status, text, answer.headers)

    async def media(self, path: str, auth: tuple[str, str]) -> bytes | None:
        """The sound behind a path of the API; None: there is none (yet). Raises as `request` does, and UnclearAnswer
        for one that is too large to be somebody's message."""
        url = self._here(f"https://api.twilio.com{path}")
        async with (
            asyncio.timeout(self._timeout_s),
            self._session().get(url, headers=_headers(None, auth)) as answer,
        ):
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise UnclearAnswer(f"{answer.status} for a recording")
            sound = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                sound += chunk
                if len(sound) > LARGEST_SOUND:
                    break
        if len(sound) > LARGEST_SOUND:
            raise UnclearAnswer("a recording that is too large")
        return bytes(sound)

    def _session(self) -> aiohttp.ClientSession:
        # made late: a session belongs to the running loop, and the composition root may have none yet
        if self.session is None:
            self.session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self.session

    def _here(self, url: str) -> str:
        return urlunsplit((self._scheme, self._host, *urlsplit(url)[2:]))


def _headers(headers: dict[str, str] | None, auth: tuple[str, str] | None) -> dict[str, str]:
    found = dict(headers or {})
    if auth is not None:
        found["Authorization"] = aiohttp.encode_basic_auth(*auth)
    return found


def _readable(status: int, text: str) -> None:
    if not 200 <= status < 300:
        return
    try:
        fine = isinstance(json.loads(text), dict)
    except ValueError:
        fine = False
    if not fine:
        raise UnclearAnswer("an answer that is not a JSON object")


class TwilioSender:
    """One Twilio account as `connectors.ports.Sender`.

    `public_url` is where Twilio reaches us, also as a function when the port is known late. Times in seconds.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        api_url: str,
        public_url: str | Callable[[], str],
        *,
        timeout_s: float = 10.0,
        look_up_s: float = 5.0,
    ) -> None:
        self._http = BoundedClient(api_url, timeout_s)
        self._client = Client(account_sid, auth_token, account_sid, http_client=self._http)
        self._auth = (account_sid, auth_token)
        self._public_url = public_url if callable(public_url) else (lambda: public_url)
        self._timeout_s, self._look_up_s = timeout_s, look_up_s
        self._known: OrderedDict[str, str] = OrderedDict()

    async def send(self, message: OutboundMessage) -> Sent:
        """Hand it over. Raises EdgeError; after `timeout` it may have been sent: look it up."""
        record = await self._bounded(self._create(message), self._timeout_s)
        return self._ours(message, record)

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """The message at the provider, by to, from, time and (a text) its words; None when it is not there.

        Raises EdgeError when the provider cannot be asked; at most `look_up_s` seconds in all.
        """
        records = await self._bounded(self._newest(message), self._look_up_s)
        found = [r for r in records if self._may_be(r, message, since)]
        return self._ours(message, min(found, key=_created)) if found else None

    async def hang_up(self, message: OutboundMessage, provider_ref: str) -> None:
        """`canceled` ends what is queued or ringing, and nothing that was answered. Raises EdgeError."""
        if message.channel == "call":
            call = self._client.calls(provider_ref)
            await self._bounded(call.update_async(status="canceled"), self._timeout_s)

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """What Twilio says of it now, or None when it does not know it. Raises EdgeError."""
        try:
            record = await self._bounded(self._resource(message)(provider_ref).fetch_async(), self._timeout_s)
        except NotThere:
            return None
        status = status_of(message.channel, record.status)
        if status is None:
            return None
        return StatusCallback(
            key=message.key,
            status=status,
            answered_by=answered_by(getattr(record, "answered_by", None)),
            provider_ref=provider_ref,
        )

    async def recordings_of(self, call: str) -> Sequence[Recorded]:
        """What callers have left in this call. Raises EdgeError."""
        listed = self._client.recordings.list_async(call_sid=call, limit=NEWEST)
        records: list[Any] = await self._bounded(listed, self._look_up_s)
        done = [r for r in records if r.status == "completed"]
        return [Recorded(ref=r.sid, seconds=_seconds(r.duration)) for r in done]

    async def recording(self, ref: str) -> bytes | None:
        """Its sound. Just recorded, it may take a moment to be there. Raises EdgeError."""
        path = f"/2010-04-01/Accounts/{self._auth[0]}/Recordings/{quote(ref, safe='')}.mp3"
        for pause_s in MEDIA_PAUSES_S:
            await asyncio.sleep(pause_s)
            sound = await self._bounded(self._http.media(path, self._auth), self._look_up_s)
            if sound is not None:
                return sound
        return None

    async def close(self) -> None:
        """Give back connections."""
        await self._http.close()

    def _create(self, message: OutboundMessage) -> Awaitable[Any]:
        if message.channel == "sms":
            return self._client.messages.create_async(**self._text(message))  # type: ignore[no-any-return]
        return self._resource(message).create_async(**self._call(message))  # type: ignore[no-any-return]

    def _resource(self, message: OutboundMessage) -> Any:
        match message.channel:
            case "sms":
                return self._client.messages
            case "call":
                return self._client.calls
            case _:
                raise EdgeError("refused", f"no telephone message: {message.channel}", permanent=True)

    def _text(self, message: OutboundMessage) -> dict[str, Any]:
        return {
            "to": message.to,
            "from_": message.sender,
            "body": message.body,
            "status_callback": self._url("status", message.key),
            "validity_period": _clamp(message.validity_s, VALIDITY_S),
        }

    def _call(self, message: OutboundMessage) -> dict[str, Any]:
        call = {
            "to": message.to,
            "from_": message.sender,
            "url": self._url("voice", message.key),
            "method": "POST",
            "status_callback": self._url("status", message.key),
            "status_callback_event": CALL_EVENTS,
            "status_callback_method": "POST",
            "timeout": _clamp(message.ring_s, RING_S),
        }
        return call | self._detection(message) if message.detect_machine else call

    def _detection(self, message: OutboundMessage) -> dict[str, Any]:
        # in the background: whoever picks up hears us at once, and the label comes when it comes
        return {
            "machine_detection": "Enable",
            "async_amd": "true",
            "async_amd_status_callback": self._url("status", message.key),
            "async_amd_status_callback_method": "POST",
        }

    def _url(self, what: str, key: str) -> str:
        return f"{self._public_url().rstrip('/')}/twilio/{what}/{quote(key, safe='')}"

    async def _newest(self, message: OutboundMessage) -> list[Any]:
        # no date filter: it looks at DateSent and StartTime, which what still waits in Twilio's queue has not got
        listed = self._resource(message).list_async(to=message.to, from_=message.sender, limit=NEWEST)
        records: list[Any] = await listed
        return records

    def _may_be(self, record: Any, message: OutboundMessage, since: datetime) -> bool:
        """A candidate of a look-up. Our own TwiML replies and messages known under another key are none."""
        created = record.date_created
        return (
            record.direction == "outbound-api"
            and record.to == message.to
            and self._known.get(record.sid, message.key) == message.key
            and isinstance(created, datetime)
            and since - CLOCK_SKEW <= created
            and (
                _same_words(record.body, message.body)
                if message.channel == "sms"
                else created <= since + LATEST
            )
        )

    def _ours(self, message: OutboundMessage, record: Any) -> Sent:
        sid: str | None = record.sid
        if not sid:
            raise EdgeError("timeout", "an answer without a reference: it may have been sent")
        self._known[sid] = message.key
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return Sent(provider_ref=sid)

    async def _bounded(self, request: Awaitable[T], limit_s: float) -> T:
        try:
            async with asyncio.timeout(limit_s):
                return await request
        except (TwilioException, aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = edge_error(error)
        # raised outside the handler on purpose: Twilio's messages quote the number, and a chained cause is printed
        raise failure


class NotThere(EdgeError):
    """The provider does not know what we asked for."""


class NotConfigured:
    """The Sender of a daemon without an account: it says so, and the desk works by board and e-mail."""

    async def send(self, message: OutboundMessage) -> Sent:
        """Raises EdgeError `not_configured`, permanent."""
        raise EdgeError("not_configured", "no telephone account is configured", permanent=True)

    async def look_up(self, message: OutboundMessage, since: datetime) -> Sent | None:
        """Nothing was ever sent."""
        return None

    async def hang_up(self, message: OutboundMessage, provider_ref: str) -> None:
        """Nothing rings."""

    async def status(self, message: OutboundMessage, provider_ref: str) -> StatusCallback | None:
        """Nothing is known."""
        return None

    async def recordings_of(self, call: str) -> Sequence[Recorded]:
        """Nobody could ring us."""
        return ()

    async def recording(self, ref: str) -> bytes | None:
        """Nobody could ring us."""
        return None

    async def close(self) -> None:
        """Nothing to give back."""


def _seconds(duration: str | None) -> int:
    return int(duration) if duration is not None and duration.isascii() and duration.isdigit() else 0


def _clamp(value: int, limits: tuple[int, int]) -> int:
    return max(limits[0], min(value, limits[1]))


def _created(record: Any) -> datetime:
    created: datetime = record.date_created
    return created.astimezone(UTC)


def _same_words(theirs: str | None, ours: str) -> bool:
    """A trial account puts a sentence in front, and both ends lose their blanks on the way."""
    return bool(ours.strip()) and (theirs or "").strip().endswith(ours.strip())


# --- errors: Twilio's codes and HTTP's, in the closed list of reasons ---

_BY_CODE: dict[int, tuple[Reason, bool]] = {
    # the number cannot be a telephone, or not one for this channel
    **dict.fromkeys((21201, 21211, 21214, 21217, 21401, 21421, 21604, 21612, 21614), ("bad_number", True)),
    # not this sender, not this country, not this person (21610: they texted STOP)
    **dict.fromkeys(
        (21210, 21212, 21213, 21215, 21216, 21219, 21408, 21602, 21603, 21606, 21608, 21610, 21617, 21659),
        ("refused", True),
    ),
    **dict.fromkeys((20003, 20005, 20006, 20008, 20403), ("unauthorised", True)),
    **dict.fromkeys((20429, 14107, 21611, 30001, 63038), ("rate_limited", False)),
}

_BY_STATUS: dict[int, tuple[Reason, bool]] = {
    401: ("unauthorised", True),
    403: ("unauthorised", True),
    # a gateway gave up waiting: what is behind it may have gone on
    408: ("timeout", False),
    429: ("rate_limited", False),
    504: ("timeout", False),
}


def edge_error(error: BaseException) -> EdgeError:
    """One failure as EdgeError. Its text names Twilio's code and the HTTP status, never a number or a word sent."""
    match error:
        case TwilioException():
            return _twilio_error(error)
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
            return EdgeError("provider_down", f"no connection ({type(error).__name__})")
        case TimeoutError():
            return EdgeError("timeout", "no answer in time: it may have been sent")
        case _:
            # the connection broke after it was made; the request may have arrived
            return EdgeError(
                "timeout", f"the connection broke ({type(error).__name__}): it may have been sent"
            )


def _twilio_error(error: TwilioException) -> EdgeError:
    status, code = _status_and_code(error)
    if status is None:
        return EdgeError("timeout", "an unclear answer: it may have been sent")
    reason, permanent = _BY_CODE.get(code or 0) or _BY_STATUS.get(status) or _by_class(status)
    kind = NotThere if status == 404 else EdgeError
    return kind(reason, f"Twilio answered {status}, code {code}", permanent=permanent)


def _status_and_code(error: TwilioException) -> tuple[int | None, int | None]:
    if isinstance(error, TwilioRestException | TwilioServiceException):
        return error.status, error.code
    # a list that fails carries the whole response as its second argument, and loses the code
    answer = next((arg for arg in error.args if isinstance(arg, Response)), None)
    return (None, None) if answer is None else (answer.status_code, None)


def _by_class(status: int) -> tuple[Reason, bool]:
    return ("provider_down", False) if status >= 500 or status < 400 else ("refused", True)
