"""Credentials of the HTTP API: the secret, its hash, the block for the configuration. Pure: random bytes come in.

A secret is 256 random bits, so nobody can guess it and a plain SHA-256 is the right hash: slow hashes such as
argon2 protect what people choose and remember, and here would only make every request slow. The board's password
is chosen by a person; that one is argon2 (`[http] password_hash`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import Literal

Role = Literal[
    "office", "on_call", "manager", "broker", "auditor", "intake", "device", "operator", "provider"
]
ROLES: tuple[Role, ...] = Role.__args__  # type: ignore[attr-defined]

SPEAKS_FOR: dict[Role, str] = {"device": "device", "provider": "provider"}
"""The roles that speak for one thing alone, and the key that names it."""

SIGNS_IN: frozenset[Role] = frozenset({"office", "on_call", "manager", "broker", "auditor"})
"""The roles of people: their secret may be typed at the sign-in page, and may name them (`person`)."""

SECRET_BYTES = 32
TOKEN_HASH = re.compile(r"sha256:[0-9a-f]{64}")

TokenVerdict = Literal["holds", "expired", "other"]


def new_token(random_bytes: bytes) -> str:
    """A secret of 32 random bytes as text that fits a header, a URL's path and a command line.

    The prefix lets secret scanners find one that was published by accident. Raises ValueError on any other
    number of bytes.
    """
    if len(random_bytes) != SECRET_BYTES:
        raise ValueError(f"expected {SECRET_BYTES} random bytes")
    return "cw_" + base64.urlsafe_b64encode(random_bytes).rstrip(b"=").decode()


def hash_token(secret: str) -> str:
    """What the configuration keeps of a secret: `sha256:` and 64 hex digits. Any text has a hash."""
    # a header may hold bytes that are no text; they hash to something that no token has
    return "sha256:" + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def token_matches(secret: str, token_hash: str) -> bool:
    """Whether `secret` is the one behind `token_hash`; takes the same time wherever they differ."""
    return _same(hash_token(secret), token_hash)


def check_token(secret: str, token_hash: str, expires: datetime, now: datetime) -> TokenVerdict:
    """Whether a secret opens the door at `now`: it does until, and not at, the instant `expires`."""
    return check_hash(hash_token(secret), token_hash, expires, now)


def check_hash(shown: str, token_hash: str, expires: datetime, now: datetime) -> TokenVerdict:
    """The same for a secret whose hash is known already; takes the same time wherever they differ."""
    if not _same(shown, token_hash):
        return "other"
    return "holds" if now < expires else "expired"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))


def token_block(
    token_hash: str,
    role: Role,
    desk: str,
    device: str | None,
    expires: datetime,
    *,
    provider: str | None = None,
    person: str | None = None,
) -> str:
    """The `[[http.token]]` block for the configuration. Raises ValueError for a device's token without a device,
    another role's with one (the same for a provider's), a person's name on what no person holds, and an instant
    without offset."""
    names = {"device": device, "provider": provider, "person": person}
    for key in ("device", "provider"):
        if (role == key) != (names[key] is not None):
            raise ValueError(f"expected a {key} with the role {key}, and only there")
    if person is not None and role not in SIGNS_IN:
        raise ValueError("expected a person with a role that people have, and only there")
    if expires.tzinfo is None:
        raise ValueError("expected an instant with its offset")
    until = expires.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
    lines = [
        "[[http.token]]",
        f"hash = {_toml(token_hash)}",
        f"role = {_toml(role)}",
        f"desk = {_toml(desk)}",
    ]
    lines += [f"{key} = {_toml(name)}" for key, name in names.items() if name is not None]
    return "\n".join([*lines, f"expires = {until}Z"]) + "\n"


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
