"""One password, a session in an encrypted cookie, a token on every form, wrong tries slowed down.

Without a password the board opens to anybody who can reach a listener on loopback, and there the page must have been
asked for on this machine, under a loopback name, and not through a proxy: another site's page cannot borrow the browser
to read it, and a proxy in front of the listener does not open it to the world. On any other listener it is entered with
a secret of one's own alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import argon2
import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import Session
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from msgspec import Struct

from config.tokens import SIGNS_IN, hash_token
from connectors.direct import is_direct, under_loopback_name
from connectors.http_access import WrongTries
from connectors.ports import ApiProblem, Credential, Desks


class _Kept(Struct, frozen=True, kw_only=True):
    session: Session
    as_read: dict[str, Any]


_KEPT = web.RequestKey("session", _Kept)

SESSION_S = 12 * 3600
_AT_ONCE = 2
_TRIES, _TRIES_WINDOW_S = 5, 60.0
_SIGNED_IN, _WITH, _OWN, _TOKEN, _BY = "signed_in_until", "with", "own", "token", "by"


def nobody(_: str) -> Mapping[str, str]:
    """No staff known: whoever acts writes their staff id."""
    return {}


class BoardOptions(Struct, frozen=True, kw_only=True):
    """What the composition root decides about the board. `staff`: a desk's people who may act, id to name.

    `password_hash` is argon2's encoded text; None opens the board without one, on loopback only: elsewhere it is
    entered with one's own secret alone.
    """

    session_key: bytes
    password_hash: str | None = None
    https: bool = False
    staff: Callable[[str], Mapping[str, str]] = nobody


def check(options: BoardOptions) -> None:
    """Raises ValueError for options with which the board must not start."""
    if len(options.session_key) != 32:
        raise ValueError("the board's session key: expected 32 bytes")
    if options.password_hash is not None:
        try:
            argon2.extract_parameters(options.password_hash)
        except argon2.exceptions.InvalidHashError:
            raise ValueError("the board's password: expected an argon2 hash") from None


class Sessions:
    """The session's cookie: encrypted, HttpOnly, SameSite=Lax, 12 hours, Secure behind https.

    aiohttp-session's storage with a middleware of our own: its own one keeps the session under a text key, which
    aiohttp warns about.
    """

    def __init__(self, options: BoardOptions) -> None:
        self._storage = EncryptedCookieStorage(
            options.session_key,
            cookie_name="callwatch",
            max_age=SESSION_S,
            secure=options.https,
            httponly=True,
            samesite="Lax",
        )

    async def of(self, request: web.Request) -> Session:
        """The request's session, read from its cookie once; empty when there is none, or it has expired."""
        kept = request.get(_KEPT)
        if kept is None:
            session = await self._storage.load_session(request)
            request[_KEPT] = kept = _Kept(session=session, as_read=dict(session))
        return kept.session

    async def renew(self, request: web.Request) -> Session:
        """A new session in place of the old one, so that nobody signs in to a session that another has begun."""
        session = await self._storage.new_session()
        request[_KEPT] = _Kept(session=session, as_read={})
        return session

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Writes the cookie when the session has changed, on redirects too."""
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            await self._write(request, answer)
            raise
        await self._write(request, response)
        return response

    async def _write(self, request: web.Request, response: web.StreamResponse) -> None:
        kept = request.get(_KEPT)
        if kept is not None and not response.prepared and dict(kept.session) != kept.as_read:
            await self._storage.save_session(request, response, kept.session)


class SignIn:
    """Who has signed in, and whether a form was ours."""

    def __init__(
        self, options: BoardOptions, desks: Desks, *, loopback: bool, now: Callable[[], datetime]
    ) -> None:
        self.sessions = Sessions(options)
        self._desks = desks
        self._hash, self._loopback, self._now = options.password_hash, loopback, now
        self._hasher = argon2.PasswordHasher()
        # argon2 takes 64 MiB a time on purpose: a crowd at the door must not take the machine
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._wrong = WrongTries(limit=_TRIES, window_s=_TRIES_WINDOW_S, clock=time.monotonic)

    @property
    def needed(self) -> bool:
        """Must somebody sign in? Not where there is no password and the listener is for this machine alone."""
        return self._hash is not None or not self._loopback

    async def credential(self, request: web.Request) -> Credential | None:
        """Who is at this screen: as `entered`, or, where there is no password, the office; None: nobody signed in.

        Raises ApiProblem(403) when there is no password and the page was not asked for on this machine itself, under a
        loopback name.
        """
        entered = await self.entered(request)
        if entered is not None or self.needed:
            return entered
        if not (is_direct(request) and under_loopback_name(request)):
            raise ApiProblem(403, "forbidden", "without a password the board answers on this machine only")
        return await self._office(request)

    async def entered(self, request: web.Request) -> Credential | None:
        """Who has really signed in: by the one password as the office of every desk, or with a secret of their own in
        its role at its desk, for as long as it holds. None: nobody has."""
        session = await self.sessions.of(request)
        until = session.get(_SIGNED_IN)
        if not isinstance(until, int | float) or until <= self._now().timestamp():
            return None
        own = _text(session.get(_OWN))
        if own:
            return await self._holder(request, own)
        if self._hash is None or session.get(_WITH) != self._password_mark():
            return None
        return await self._office(request)

    async def _office(self, request: web.Request) -> Credential:
        return Credential(role="office", desk="*", name=await self.by(request))

    async def _holder(self, request: web.Request, own: str) -> Credential | None:
        who = self._desks.standing(own)
        if who is None or who.role not in SIGNS_IN:
            return None
        return msgspec.structs.replace(who, name=who.person or await self.by(request))

    def retry_after_s(self, remote: str) -> int | None:
        """Seconds until this address may try a password again, or None."""
        return self._wrong.retry_after_s(remote)

    async def enter_by_name(self, request: web.Request, shown: str) -> bool:
        """Looks for somebody's own secret; a right one starts a new session, however many wrong ones were tried from
        there: nobody guesses 256 bits, and behind one proxy stand all."""
        own = self._own(shown)
        if own:
            await self._begin(request, _OWN, own)
        return bool(own)

    async def enter(self, request: web.Request, password: str) -> bool:
        """Checks the board's password off the loop; the right one starts a new session."""
        remote = request.remote or ""
        async with self._at_once:
            right = await asyncio.to_thread(self._verify, password)
        if not right:
            self._wrong.count(remote)
            return False
        self._wrong.forget(remote)
        await self._begin(request, _WITH, self._password_mark())
        return True

    async def _begin(self, request: web.Request, by: str, mark: str) -> None:
        session = await self.sessions.renew(request)
        session[_SIGNED_IN] = int(self._now().timestamp()) + SESSION_S
        session[by] = mark

    def _own(self, shown: str) -> str:
        """The hash under which a person's own secret is known; nothing for anything else. A device's, a feed's or a
        provider's secret is no person's, and opens no page."""
        token_hash = hash_token(shown)
        who = self._desks.standing(token_hash)
        return token_hash if who is not None and who.role in SIGNS_IN else ""

    def _password_mark(self) -> str:
        """Changes with the password, so that a new password signs everybody out."""
        return hashlib.sha256((self._hash or "").encode()).hexdigest()[:16]

    def _verify(self, password: str) -> bool:
        try:
            return self._hash is not None and self._hasher.verify(self._hash, password)
        except argon2.exceptions.VerificationError:
            return False

    async def leave(self, request: web.Request) -> None:
        """Ends the session in this browser."""
        (await self.sessions.of(request)).invalidate()

    async def token(self, request: web.Request) -> str:
        """The session's token for forms, made when there is none yet."""
        session = await self.sessions.of(request)
        token = _text(session.get(_TOKEN))
        if not token:
            session[_TOKEN] = token = secrets.token_urlsafe(24)
        return token

    async def check_token(self, request: web.Request, shown: Any) -> None:
        """Raises ApiProblem(403) unless the form or header carries the session's own token."""
        session = await self.sessions.of(request)
        own = _text(session.get(_TOKEN))
        if not own or not hmac.compare_digest(own.encode(), _text(shown).encode()):
            raise ApiProblem(
                403, "stale_form", "this page was open for too long; open it again and press once more"
            )

    async def person(self, request: web.Request) -> str:
        """Whose own secret signed in here: an outside id, or nothing when no person's did."""
        own = _text((await self.sessions.of(request)).get(_OWN))
        who = self._desks.standing(own) if own else None
        return "" if who is None else who.person or ""

    async def by(self, request: web.Request) -> str:
        """Who said that they are at this screen: a staff id, or nothing yet."""
        return _text((await self.sessions.of(request)).get(_BY))

    async def remember(self, request: web.Request, by: str) -> None:
        """Keeps who is at this screen for the session."""
        session = await self.sessions.of(request)
        if session.get(_BY) != by:
            session[_BY] = by


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
