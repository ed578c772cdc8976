"""Who may do what over HTTP: the route by role table, credentials as they are presented, wrong ones counted.

`RULES` is the only place that says which role may use which route. The middleware of `connectors.http_api` applies
it, docs/interface.md prints it, and tests/unit/test_http_api.py walks it, cell by cell.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Container, Iterable
from typing import Literal

from aiohttp import web
from msgspec import Struct

from connectors.ports import ApiProblem, Credential, Desks

Role = Literal["office", "on_call", "manager", "broker", "auditor", "intake", "device", "operator"]
ROLES: tuple[Role, ...] = Role.__args__  # type: ignore[attr-defined]

CREDENTIAL = web.RequestKey("credential", Credential)
"""Under this key a request carries who speaks, once the table has let it in."""

Way = Literal["token", "token_or_session", "session", "loopback_or_token", "open"]
"""How a route is entered. `open`: no credential, or (a webhook) a signature that the route itself verifies."""


class Rule(Struct, frozen=True, kw_only=True):
    """One row of the table. A path with `{desk}` is bound to the credential's desk."""

    method: str
    path: str
    way: Way
    roles: frozenset[Role]


_ON_DUTY: tuple[Role, ...] = ("office", "on_call", "manager")


def _rule(method: str, path: str, way: Way, *roles: Role) -> Rule:
    return Rule(method=method, path=path, way=way, roles=frozenset(roles))


RULES: tuple[Rule, ...] = (
    _rule("PUT", "/v1/desks/{desk}/people", "token", "office", "manager", "intake"),
    _rule("POST", "/v1/desks/{desk}/people/{id}/practice-call", "token", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/people/{id}/practice-call", "token", *_ON_DUTY, "auditor"),
    _rule("POST", "/v1/desks/{desk}/weather", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/weather", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("PUT", "/v1/desks/{desk}/rota", "token", "office", "manager", "intake"),
    _rule("POST", "/v1/desks/{desk}/checkins", "token", *_ON_DUTY, "intake", "device"),
    _rule("GET", "/v1/desks/{desk}/visits", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("POST", "/v1/desks/{desk}/visits/{id}/home-confirmed", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/alerts", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}/record", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}/candidates", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}/recording", "token_or_session", *_ON_DUTY),
    _rule("POST", "/v1/desks/{desk}/alerts/{id}/actions", "token_or_session", *_ON_DUTY),
    _rule("POST", "/v1/desks/{desk}/absences", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/absences", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("GET", "/v1/desks/{desk}/absences/{id}", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("POST", "/v1/desks/{desk}/absences/{id}/actions", "token_or_session", *_ON_DUTY),
    _rule("POST", "/v1/desks/{desk}/people/{id}/died", "token_or_session", "on_call", "manager", "office"),
    _rule("GET", "/v1/desks/{desk}/people/{id}/died", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("POST", "/v1/desks/{desk}/people/{id}/died/undo", "token_or_session", "manager", "office"),
    _rule("GET", "/v1/desks/{desk}/facts", "token_or_session", *_ON_DUTY, "auditor"),
    _rule("POST", "/owntracks", "token", "device"),
    _rule("POST", "/owntracks/{key}", "token", "device"),
    _rule("GET", "/traccar", "token", "intake", "device"),
    _rule("GET", "/traccar/{key}", "token", "intake", "device"),
    _rule("POST", "/traccar", "token", "intake", "device"),
    _rule("POST", "/traccar/{key}", "token", "intake", "device"),
    _rule("GET", "/healthz", "loopback_or_token", "operator"),
    _rule("GET", "/readyz", "loopback_or_token", "operator"),
    _rule("GET", "/metrics", "loopback_or_token", "operator"),
    _rule("GET", "/", "session", "office"),
    _rule("GET", "/board/{desk}", "session", "office"),
    _rule("GET", "/board/{desk}/events", "session", "office"),
    _rule("GET", "/board/{desk}/fragment", "session", "office"),
    _rule("GET", "/board/{desk}/alerts/{id}", "session", "office"),
    _rule("GET", "/board/{desk}/alerts/{id}/recording", "session", "office"),
    _rule("POST", "/board/{desk}/alerts/{id}/actions", "session", "office"),
    _rule("GET", "/board/{desk}/away", "session", "office"),
    _rule("POST", "/board/{desk}/away", "session", "office"),
    _rule("POST", "/board/{desk}/absences/{id}/actions", "session", "office"),
    _rule("POST", "/board/{desk}/died", "session", "office"),
    _rule("GET", "/board/{desk}/weather", "session", "office"),
    _rule("POST", "/board/{desk}/weather", "session", "office"),
    _rule("POST", "/board/{desk}/me", "session", "office"),
    _rule("GET", "/sign-in", "open"),
    _rule("POST", "/sign-in", "open"),
    _rule("POST", "/sign-out", "open"),
    _rule("GET", "/assets/{name}", "open"),
)


def refusal(rule: Rule, who: Credential, desk: str | None, known: Container[str]) -> ApiProblem | None:
    """Why this credential may not use this route for this desk, or None.

    An unknown desk is 404 for a right credential; another desk than the credential's is 403.
    """
    if who.role not in rule.roles:
        return ApiProblem(403, "role", "this credential's role may not use this route")
    if desk is None:
        return None
    if desk not in known:
        return ApiProblem(404, "unknown_desk", "there is no desk with this id here", "desk")
    if who.desk not in (desk, "*"):
        return ApiProblem(403, "desk", "this credential belongs to another desk", "desk")
    return None


class Presented(Struct, frozen=True, kw_only=True):
    """A secret as it was shown, with the basic-auth user who must then be the device's own name."""

    secret: str
    user: str | None = None


def presented(request: web.Request) -> list[Presented]:
    """Every reading of the credential that a request shows: the key in the path, bearer, or basic auth.

    A device id may hold colons (`owntracks:u17/phone`), which basic auth uses as its separator: both the last and
    the first colon are tried.
    """
    key = request.match_info.get("key")
    if key is not None:
        return [Presented(secret=key)]
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return [Presented(secret=rest.strip())]
    if scheme.lower() == "basic":
        return _basic(rest.strip())
    return []


def _basic(encoded: str) -> list[Presented]:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return [Presented(secret="", user="")]
    user_l, _, secret_l = text.rpartition(":")
    user_f, _, secret_f = text.partition(":")
    readings = [Presented(secret=secret_l, user=user_l), Presented(secret=secret_f, user=user_f)]
    return readings if readings[0] != readings[1] else readings[:1]


def holder(desks: Desks, shown: Iterable[Presented]) -> Credential | None:
    """Who holds the secret that was shown, or None; a basic-auth user must be the credential's own device."""
    for one in shown:
        who = desks.credential(one.secret) if one.secret else None
        if who is not None and (one.user is None or own_user(who.device, one.user)):
            return who
    return None


class DeviceName(Struct, frozen=True, kw_only=True):
    """A device id in its parts: `owntracks:u17/phone` is whole, local `u17/phone`, user `u17`, phone `phone`."""

    whole: str
    local: str
    user: str
    phone: str | None

    @classmethod
    def of(cls, device: str) -> DeviceName:
        """Reads an id with or without its scheme, with or without a phone."""
        scheme, colon, rest = device.partition(":")
        local = rest if colon else scheme
        user, slash, phone = local.partition("/")
        return cls(whole=device, local=local, user=user, phone=phone if slash else None)


def own_user(device: str | None, claimed: str) -> bool:
    """Is the claimed user (basic auth, X-Limit-U, `?u=`) this device's own? No device: no name is its own."""
    if device is None:
        return False
    name = DeviceName.of(device)
    return claimed in (name.whole, name.local, name.user)


def own_phone(device: str, claimed: str) -> bool:
    """Is the claimed device name (X-Limit-D, `?d=`) this device's own? An id without a phone part takes any."""
    name = DeviceName.of(device)
    return name.phone is None or claimed in (name.whole, name.local, name.phone)


class WrongTries:
    """Counts wrong credentials per remote address in a window that slides by whole windows.

    Only the wrong ones are answered 429: a right credential is always served, because behind one address may stand
    a whole office and one telephone with an old password.
    """

    REMEMBERED = 10_000

    def __init__(self, *, limit: int, window_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._window_s, self._clock = limit, window_s, clock
        self._seen: dict[str, tuple[float, int]] = {}

    def retry_after_s(self, remote: str) -> int | None:
        """Whole seconds until this address may try again, or None when it may now."""
        since, count = self._seen.get(remote, (0.0, 0))
        left_s = since + self._window_s - self._clock()
        if count < self._limit or left_s <= 0:
            return None
        return int(left_s) + 1

    def count(self, remote: str) -> None:
        """One more wrong try from this address."""
        now = self._clock()
        since, count = self._seen.pop(remote, (now, 0))
        if now - since >= self._window_s:
            since, count = now, 0
        if len(self._seen) >= self.REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[remote] = (since, count + 1)

    def forget(self, remote: str) -> None:
        """A right try clears the address."""
        self._seen.pop(remote, None)
