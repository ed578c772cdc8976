"""What a form of the board holds, read with its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.ports import ApiProblem


def field(form: Mapping[str, Any], name: str, most: int) -> str:
    """A text field of a form, trimmed. Raises ApiProblem(400) when it is longer than `most` characters."""
    value = form.get(name, "")
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > most:
        raise ApiProblem(400, "too_large", f"expected at most {most} characters", name)
    return text
