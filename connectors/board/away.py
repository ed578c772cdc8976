"""The forms about those who are away, or have died, as the contract's bodies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from connectors.board.forms import field
from connectors.http_wire import within_years
from connectors.ports import AbsenceActionIn, AbsenceIn, ApiProblem, DeathIn

B = TypeVar("B")
_NOTE_CHARS = 2000
ASKED_FOR = {
    "service_user": "choose who is away",
    "reason": "choose where they are",
    "review_at": "give a review date",
    "raised_by": "choose who told us",
    "note": "write who said so",
}


def report(form: Mapping[str, Any], by: str, zone: str) -> AbsenceIn:
    """Somebody is away. Raises ApiProblem(400) for a field that is missing or cannot be read."""
    for name, words in ASKED_FOR.items():
        if not field(form, name, _NOTE_CHARS):
            raise ApiProblem(400, "missing", f"{words}, then press again", name)
    return as_body(
        AbsenceIn,
        {
            "service_user": field(form, "service_user", 200),
            "reason": field(form, "reason", 50),
            "from": moment(form, "from_at", zone),
            "review_at": moment(form, "review_at", zone),
            "raised_by": field(form, "raised_by", 50),
            "by": by,
            "note": field(form, "note", _NOTE_CHARS),
            "spoke_to": field(form, "spoke_to", 50) or None,
            "return_at": moment(form, "return_at", zone),
            "home_from": field(form, "home_from", 50) or None,
            "weekly": field(form, "weekly", 200) or None,
        },
    )


def action(form: Mapping[str, Any], by: str, zone: str) -> AbsenceActionIn:
    """A pressed button about an absence. Raises ApiProblem(400)."""
    name, _, outcome = field(form, "action", 50).partition(":")
    spoke = field(form, "spoke_to", 50) if name in ("confirm", "asked") else ""
    return as_body(
        AbsenceActionIn,
        {
            "action": name,
            "by": by,
            "spoke_to": spoke or None,
            "review_at": moment(form, "review_at", zone) if name in ("change_review", "asked") else None,
            "outcome": outcome or None,
            "return_at": moment(form, "return_at", zone) if name == "change_return" else None,
            "home_from": (field(form, "home_from", 50) or None) if name == "change_return" else None,
            "day": (field(form, "day", 50) or None) if name == "at_home" else None,
            "note": field(form, "note", _NOTE_CHARS) or None,
        },
    )


def death(form: Mapping[str, Any], by: str) -> DeathIn:
    """Somebody has died, or that was a mistake. Raises ApiProblem(400)."""
    note = field(form, "note", _NOTE_CHARS)
    if not note:
        raise ApiProblem(400, "missing", "write who said so, then press again", "note")
    return DeathIn(by=by, note=note)


def moment(form: Mapping[str, Any], name: str, zone: str) -> datetime | None:
    """A local time of the desk's own clocks, as a browser's field gives it."""
    text = field(form, name, 50)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or not within_years(at):
        raise ApiProblem(400, "wrong_type", "expected a day and a time", name)
    return at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))


def as_body(kind: type[B], values: dict[str, Any]) -> B:
    """A form as a body of the contract. Raises ApiProblem(400)."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError:
        raise ApiProblem(400, "wrong_type", "this page has no such button") from None
