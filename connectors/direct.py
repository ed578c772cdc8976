"""Whether a request comes from this machine itself, and was not handed on by a proxy that stands in front."""

from __future__ import annotations

import ipaddress

from aiohttp import web

_HANDED_ON = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Server",
    "X-Real-IP",
)
"""What proxies add. One that adds nothing (nginx's bare `proxy_pass`) cannot be told from a browser on this machine:
check-config warns of a board without a password under a public address."""


def is_direct(request: web.Request) -> bool:
    """From a loopback address, with none of the headers that proxies add."""
    return _is_loopback(request.remote) and not any(name in request.headers for name in _HANDED_ON)


def under_loopback_name(request: web.Request) -> bool:
    """Asked for as localhost, 127.0.0.1 or [::1]: another site's page cannot borrow the browser with its own name."""
    host = request.host
    name = host.rsplit(":", 1)[0] if host.count(":") == 1 else host.partition("]")[0].lstrip("[")
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str | None) -> bool:
    try:
        return address is not None and ipaddress.ip_address(address.split("%")[0]).is_loopback
    except ValueError:
        return False
