"""What a form of the board holds, read with its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from connectors.ports import ApiProblem

_UNREADABLE = (ValueError, LookupError, RuntimeError, AssertionError, web.RequestPayloadError)
"""What the library raises of a body that is no form: no boundary, an encoding that is none, bytes that are no text."""


async def read_form(request: web.Request) -> Mapping[str, Any]:
    """The fields that were sent. Raises ApiProblem(400) for what is no form: sent again, it would be none either."""
    try:
        return await request.post()
    except _UNREADABLE as error:
        raise ApiProblem(400, "bad_body", "expected a form in UTF-8") from error


def field(form: Mapping[str, Any], name: str, most: int) -> str:
    """A text field of a form, trimmed. Raises ApiProblem(400) when it is longer than `most` characters."""
    value = form.get(name, "")
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > most:
        raise ApiProblem(400, "too_large", f"expected at most {most} characters", name)
    return text
