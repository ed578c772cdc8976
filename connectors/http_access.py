"""Who may do what over HTTP: the route by role table, credentials as they are presented, wrong ones counted.

`RULES` is the only place that says which role may use which route. The middleware of `connectors.http_api` applies
it, docs/interface.md prints it, and tests/unit/test_http_api.py walks it, cell by cell.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Literal

from aiohttp import web
from msgspec import Struct

from config.policy import DeskKind
from config.tokens import ROLES as ROLES
from config.tokens import Role
from connectors.links import Link, Shown
from connectors.ports import ApiProblem, Credential, Desks

CREDENTIAL = web.RequestKey("credential", Credential)
"""Under this key a request carries who speaks, once the table has let it in."""

Way = Literal["token", "token_or_session", "session", "loopback_or_token", "link", "signature", "open"]
"""How a route is entered. `link` and `signature`: what the route itself verifies, a signed link of ours in its path
or a webhook's signature; `open`: by anybody."""


class Rule(Struct, frozen=True, kw_only=True):
    """One row of the table. A path with `{desk}` is bound to the credential's desk, and what a role may do there
    depends on what kind of desk it is."""

    method: str
    path: str
    way: Way
    roles: frozenset[Role]
    """At a provider's desk, and where the path names none."""
    council: frozenset[Role] = frozenset()
    """At a council's desk."""

    def at(self, kind: DeskKind | None) -> frozenset[Role]:
        """The roles that may use it at a desk of this kind; None: at no desk in particular."""
        return self.council if kind == "council" else self.roles


_ON_DUTY: tuple[Role, ...] = ("office", "on_call", "manager")
_READ: tuple[Role, ...] = (*_ON_DUTY, "auditor")


def _rule(method: str, path: str, way: Way, *roles: Role) -> Rule:
    """The same at every desk; a council's own people are its brokers, who may what an office may at its own."""
    at_council: tuple[Role, ...] = (*roles, "broker") if "office" in roles and "{desk}" in path else roles
    return Rule(method=method, path=path, way=way, roles=frozenset(roles), council=frozenset(at_council))


def _provider(method: str, path: str, way: Way, *roles: Role) -> Rule:
    """At providers' desks alone: a referral is what a council asks of them."""
    return Rule(method=method, path=path, way=way, roles=frozenset(roles))


def _council(method: str, path: str, way: Way, *roles: Role) -> Rule:
    """At councils' desks alone: no role of a provider's desk sees anything of it."""
    return Rule(method=method, path=path, way=way, roles=frozenset(), council=frozenset(roles))


RULES: tuple[Rule, ...] = (
    _rule("PUT", "/v1/desks/{desk}/people", "token", "office", "manager", "intake"),
    _rule("POST", "/v1/desks/{desk}/people/{id}/practice-call", "token", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/people/{id}/practice-call", "token", *_READ),
    _rule("POST", "/v1/desks/{desk}/weather", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/weather", "token_or_session", *_READ),
    _rule("PUT", "/v1/desks/{desk}/rota", "token", "office", "manager", "intake"),
    _rule("POST", "/v1/desks/{desk}/checkins", "token", *_ON_DUTY, "intake", "device"),
    _rule("GET", "/v1/desks/{desk}/visits", "token_or_session", *_READ),
    _rule("POST", "/v1/desks/{desk}/visits/{id}/home-confirmed", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/alerts", "token_or_session", *_READ),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}", "token_or_session", *_READ),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}/record", "token_or_session", *_READ),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}/candidates", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/alerts/{id}/recording", "token_or_session", *_ON_DUTY),
    _rule("POST", "/v1/desks/{desk}/alerts/{id}/actions", "token_or_session", *_ON_DUTY),
    _rule("POST", "/v1/desks/{desk}/absences", "token_or_session", *_ON_DUTY),
    _rule("GET", "/v1/desks/{desk}/absences", "token_or_session", *_READ),
    _rule("GET", "/v1/desks/{desk}/absences/{id}", "token_or_session", *_READ),
    _rule("POST", "/v1/desks/{desk}/absences/{id}/actions", "token_or_session", *_ON_DUTY),
    _provider("POST", "/v1/desks/{desk}/referrals", "token_or_session", *_ON_DUTY, "intake"),
    _provider("POST", "/v1/desks/{desk}/referrals/email", "token", *_ON_DUTY, "intake"),
    _provider("GET", "/v1/desks/{desk}/referrals", "token_or_session", *_READ),
    _provider("GET", "/v1/desks/{desk}/referrals/{id}", "token_or_session", *_READ),
    _provider("POST", "/v1/desks/{desk}/referrals/{id}/take", "token_or_session", *_ON_DUTY),
    _provider("POST", "/v1/desks/{desk}/referrals/{id}/answer", "token_or_session", *_ON_DUTY),
    _rule("POST", "/v1/desks/{desk}/people/{id}/died", "token_or_session", "on_call", "manager", "office"),
    _rule("GET", "/v1/desks/{desk}/people/{id}/died", "token_or_session", *_READ),
    _rule("POST", "/v1/desks/{desk}/people/{id}/died/undo", "token_or_session", "manager", "office"),
    _rule("GET", "/v1/desks/{desk}/facts", "token_or_session", *_READ),
    _rule("POST", "/owntracks", "token", "device"),
    _rule("POST", "/owntracks/{key}", "token", "device"),
    _rule("GET", "/traccar", "token", "intake", "device"),
    _rule("GET", "/traccar/{key}", "token", "intake", "device"),
    _rule("POST", "/traccar", "token", "intake", "device"),
    _rule("POST", "/traccar/{key}", "token", "intake", "device"),
    _rule("GET", "/healthz", "loopback_or_token", "operator"),
    _rule("GET", "/readyz", "loopback_or_token", "operator"),
    _rule("GET", "/metrics", "loopback_or_token", "operator"),
    _rule("GET", "/", "session", *_READ, "broker"),
    _rule("GET", "/board/{desk}", "session", *_READ),
    _rule("GET", "/board/{desk}/events", "session", *_READ),
    _rule("GET", "/board/{desk}/fragment", "session", *_READ),
    _rule("GET", "/board/{desk}/alerts/{id}", "session", *_READ),
    _rule("GET", "/board/{desk}/alerts/{id}/recording", "session", *_ON_DUTY),
    _rule("POST", "/board/{desk}/alerts/{id}/actions", "session", *_ON_DUTY),
    _rule("GET", "/board/{desk}/away", "session", *_READ),
    _rule("POST", "/board/{desk}/away", "session", *_ON_DUTY),
    _rule("POST", "/board/{desk}/absences/{id}/actions", "session", *_ON_DUTY),
    _rule("POST", "/board/{desk}/died", "session", *_ON_DUTY),
    _provider("GET", "/board/{desk}/referrals", "session", *_READ),
    _provider("POST", "/board/{desk}/referrals", "session", *_ON_DUTY),
    _provider("POST", "/board/{desk}/referrals/{id}/answer", "session", *_ON_DUTY),
    _rule("GET", "/board/{desk}/texts", "session", *_READ),
    _rule("POST", "/board/{desk}/texts/{id}", "session", *_ON_DUTY),
    _rule("GET", "/board/{desk}/weather", "session", *_READ),
    _rule("POST", "/board/{desk}/weather", "session", *_ON_DUTY),
    _rule("POST", "/board/{desk}/me", "session", *_ON_DUTY),
    _rule("GET", "/sign-in", "open"),
    _rule("POST", "/sign-in", "open"),
    _rule("POST", "/sign-out", "open"),
    _rule("GET", "/assets/{name}", "open"),
    # a council's desk: placements (issue 5). A provider's own credential bids and sees what concerns it, no more
    _council("PUT", "/v1/desks/{desk}/providers", "token", "broker"),
    _council("GET", "/v1/desks/{desk}/providers", "token_or_session", "broker", "auditor"),
    _council("GET", "/v1/desks/{desk}/areas", "token_or_session", "broker", "auditor"),
    _council("POST", "/v1/desks/{desk}/placements", "token_or_session", "broker"),
    _council("GET", "/v1/desks/{desk}/placements", "token_or_session", "broker", "auditor", "provider"),
    _council("GET", "/v1/desks/{desk}/placements/{id}", "token_or_session", "broker", "auditor", "provider"),
    _council("POST", "/v1/desks/{desk}/placements/{id}/bids", "token_or_session", "broker", "provider"),
    _council("POST", "/v1/desks/{desk}/placements/{id}/decline", "token_or_session", "broker", "provider"),
    _council("POST", "/v1/desks/{desk}/placements/{id}/withdraw", "token_or_session", "broker", "provider"),
    _council("POST", "/v1/desks/{desk}/placements/{id}/award", "token_or_session", "broker"),
    _council("POST", "/v1/desks/{desk}/placements/{id}/actions", "token_or_session", "broker", "provider"),
    _council("POST", "/v1/desks/{desk}/placements/{id}/care-ended", "token_or_session", "broker"),
    _council("GET", "/v1/desks/{desk}/register/held", "token_or_session", "broker", "auditor"),
    _council("GET", "/v1/desks/{desk}/register", "token_or_session", "broker", "auditor"),
    _council("GET", "/v1/desks/{desk}/register.csv", "token_or_session", "broker", "auditor"),
    _council("GET", "/desks/{desk}/placements", "session", "broker", "auditor"),
    _council("POST", "/desks/{desk}/placements", "session", "broker"),
    _council("GET", "/desks/{desk}/placements/new", "session", "broker"),
    _council("GET", "/desks/{desk}/placements/events", "session", "broker", "auditor"),
    _council("GET", "/desks/{desk}/placements/fragment", "session", "broker", "auditor"),
    _council("GET", "/desks/{desk}/placements/{id}", "session", "broker", "auditor"),
    _council("POST", "/desks/{desk}/placements/{id}/actions", "session", "broker"),
    _council("GET", "/desks/{desk}/register", "session", "broker", "auditor"),
    _council("GET", "/desks/{desk}/register/held", "session", "broker", "auditor"),
    _council("POST", "/desks/{desk}/register/held", "session", "broker"),
    _rule("GET", "/b/{token}", "link"),
    _rule("POST", "/b/{token}", "link"),
    # the telephone network, which signs what it sends
    _rule("POST", "/twilio/sms", "signature"),
    _rule("POST", "/twilio/voice", "signature"),
    _rule("POST", "/twilio/voice/{key}", "signature"),
    _rule("POST", "/twilio/status/{key}", "signature"),
    _rule("POST", "/twilio/recording/{alert}", "signature"),
    _rule("GET", "/twilio/recording/{alert}", "signature"),
)


NOT_YET: frozenset[str] = frozenset()
"""Paths whose rules are settled and which nothing serves yet. Whoever serves one takes it out of here."""


def refusal(
    rule: Rule, who: Credential, desk: str | None, kind_of: Callable[[str], DeskKind | None]
) -> ApiProblem | None:
    """Why this credential may not use this route for this desk, or None.

    An unknown desk is 404 for a right credential; another desk than the credential's is 403. What may be used at some
    kind of desk alone is 403 for whom it is nowhere, and then for whom it is not at this one. Bids are sealed: who is
    of every desk by the board's one password is of every provider's desk, and of no council's.
    """
    if who.role not in rule.roles | rule.council:
        return _no_role()
    if desk is None:
        return None
    kind = kind_of(desk)
    if kind is None:
        return ApiProblem(404, "unknown_desk", "there is no desk with this id here", "desk")
    if who.desk != desk and (who.desk != "*" or (kind == "council" and who.role in _ON_DUTY)):
        return ApiProblem(403, "desk", "this credential belongs to another desk", "desk")
    return None if who.role in rule.at(kind) else _no_role()


def _no_role() -> ApiProblem:
    return ApiProblem(403, "role", "this credential's role may not use this route")


def is_oneself(who: Credential, by: str) -> None:
    """Raises ApiProblem(403) when a person's own credential says that somebody else did it (design rule 10)."""
    if who.person is not None and by != who.person:
        raise ApiProblem(403, "identity", "this credential is another person's own", "by")


def opened(shown: Shown) -> Link:
    """What a signed link opens. Raises ApiProblem: 404 for what is no link of ours, 403 for one that has ended.

    Whether a genuine one was taken back, the core knows.
    """
    if shown.link is None:
        raise ApiProblem(404, "unknown_link", "this link is not known, or is over for long")
    if shown.verdict != "genuine":
        raise ApiProblem(403, "link_expired", "this link has ended")
    return shown.link


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
    """Is the claimed user (basic auth, X-Limit-U, `?u=`) this device's own? No device: no name is its own.

    A device of ours is the same with and without its scheme, in its credential as in the claim.
    """
    if device is None:
        return False
    name = DeviceName.of(device)
    ours = (f"callwatch:{device}",) if ":" not in device else ()
    return claimed in (name.whole, name.local, name.user, *ours)


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
