"""One file pulled over HTTPS, asked for only if it changed (ETag, If-Modified-Since)."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
from yarl import URL

from connectors.fetch import Fetched, Look, Mark, Seen
from connectors.ports import EdgeError, Reason

NAME = "pulled"
"""What the one file of such a feed is called in its memory: a URL may say more than a log should."""
_CHUNK = 256 << 10


class HttpsFetcher:
    """`connectors.fetch.Fetcher` of one URL. A credential is never carried to another address: no redirects."""

    def __init__(
        self,
        *,
        url: str,
        token: str | None,
        user: str | None,
        password: str | None,
        ca_file: Path | None,
        most_bytes: int,
        timeout_s: float,
    ) -> None:
        self._url, self._most_bytes, self._timeout_s = url, most_bytes, timeout_s
        self._headers = {"Accept": "text/csv, text/plain, */*", "User-Agent": "callwatch"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        elif user is not None:
            self._headers["Authorization"] = aiohttp.BasicAuth(user, password or "", "utf-8").encode()
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def look(self, seen: Seen) -> Look:
        """The file if it changed. Raises EdgeError: unauthorised, timeout, unreachable, refused, identity (TLS)."""
        headers = dict(self._headers)
        if seen.etag:
            headers["If-None-Match"] = seen.etag
        if seen.last_modified:
            headers["If-Modified-Since"] = seen.last_modified
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._opened().get(
                    URL(self._url, encoded=True), headers=headers, allow_redirects=False
                ) as answer,
            ):
                return await self._answered(answer, seen)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _mapped(error) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
            connector = aiohttp.TCPConnector(ssl=context, limit=1)
            timeout = aiohttp.ClientTimeout(total=self._timeout_s, connect=self._timeout_s)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def _answered(self, answer: aiohttp.ClientResponse, seen: Seen) -> Look:
        if answer.status == 304:
            newest = _instant(seen.last_modified)
            return Look(
                newest=newest, there=frozenset({NAME}), etag=seen.etag, last_modified=seen.last_modified
            )
        if answer.status != 200:
            raise EdgeError(_of_status(answer.status), f"HTTP {answer.status}")
        modified = answer.headers.get("Last-Modified")
        body = await self._body(answer)
        return Look(
            files=(body,),
            newest=_instant(modified),
            there=frozenset({NAME}),
            etag=answer.headers.get("ETag"),
            last_modified=modified,
        )

    async def _body(self, answer: aiohttp.ClientResponse) -> Fetched:
        """A body cut short raises: aiohttp compares it with what was announced."""
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._most_bytes:
                answer.close()
                return Fetched(name=NAME, refused="too_large")
        return Fetched(name=NAME, body=bytes(body), mark=Mark(len(body), 0))

    async def close(self) -> None:
        """The session."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _instant(text: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return None if at is None else at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)


def _of_status(status: int) -> Reason:
    if status in (401, 403):
        return "unauthorised"
    if status == 429:
        return "rate_limited"
    return "provider_down" if status >= 500 else "refused"


def _mapped(error: BaseException) -> EdgeError:
    """The text names the class only: aiohttp's own messages hold the URL."""
    reason: Reason = "unreachable"
    if isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        reason = "identity"
    elif isinstance(error, aiohttp.ClientPayloadError):
        reason = "bad_body"
    return EdgeError(reason, f"the file could not be pulled: {type(error).__name__}")
