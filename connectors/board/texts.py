"""The form about texts that nobody has answered, as the contract's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.board.away import as_body
from connectors.board.forms import field
from connectors.ports import ApiProblem, TextsReadIn

_SHORT = 20


def action(form: Mapping[str, Any], by: str) -> TextsReadIn:
    """A pressed button: seen, or answered. Raises ApiProblem(400)."""
    last = field(form, "last", _SHORT)
    if not (last.isascii() and last.isdigit()):
        raise ApiProblem(400, "wrong_type", "this page has no such button", "last")
    return as_body(TextsReadIn, {"by": by, "outcome": field(form, "action", _SHORT), "last": int(last)})
