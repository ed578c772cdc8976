"""The forms of a council's desk, and of a provider's bid page, as the contract's bodies.

Times go through as the browser gives them, local and without an offset: the desk's own calendar reads them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import date
from typing import Any

from connectors.board.forms import field
from connectors.placing_in import BidIn, CareEndedIn, DeclineIn, PlacementActionIn, PlacementIn, TakeBackIn
from connectors.ports import ApiProblem
from monitor.core.placing.inputs import PLACEMENT_ACTIONS

TEXT_CHARS = 4000
NOTE_CHARS = 2000
_SHORT = 200
_VISITS = 6


def pressed(form: Mapping[str, Any]) -> tuple[str, str]:
    """The button, and whom it names: `admit_late:ace` is about that provider."""
    action, _, of = field(form, "action", 500).partition(":")
    return action, of


def note(form: Mapping[str, Any]) -> str:
    """What was written beside the button."""
    return field(form, "note", NOTE_CHARS)


def package(form: Mapping[str, Any], by: str) -> PlacementIn:
    """A package to be sent out. Raises ApiProblem(400) for a field that is missing or cannot be read."""
    for name, asked in (("kind", "choose what kind of package it is"), ("place", "choose where it is")):
        if not field(form, name, _SHORT):
            raise missing(name, asked)
    area, _, ward = field(form, "place", _SHORT).partition("/")
    lengths = [field(form, f"visit-{n}", 10) for n in range(1, _VISITS + 1)]
    visits = tuple(_whole(f"visit-{n}", text) for n, text in enumerate(lengths, 1) if text)
    if not visits:
        raise missing("visit-1", "choose how long the first visit of the day is")
    return PlacementIn(
        kind=field(form, "kind", _SHORT),
        area=area,
        ward=ward or None,
        id=field(form, "id", _SHORT) or field(form, "fresh", _SHORT) or None,
        by=by,
        hours_week=_hours(form),
        visits=visits,
        care_workers=_whole("care_workers", field(form, "care_workers", 10) or "1"),
        time_critical=bool(field(form, "time_critical", 10)),
        specialisms=_all(form, "specialisms"),
        start=field(form, "start", 50) or None,
        discharge_at=field(form, "discharge_at", 50) or None,
        text=field(form, "text", TEXT_CHARS),
        override=field(form, "override", NOTE_CHARS) or None,
    )


def fresh() -> str:
    """A short reference for a package that has none: the form carries it, so that two presses send one package. Its
    letters make no word, no number and no postcode."""
    return "pk-" + "".join(secrets.choice("bcdfghjkmnpqrstvwxz") for _ in range(6))


def chosen(form: Mapping[str, Any]) -> frozenset[str]:
    """The specialisms that were ticked."""
    return frozenset(_all(form, "specialisms"))


def bid(form: Mapping[str, Any], by: str | None = None) -> BidIn:
    """A bid: by whose link the page is, or by telephone, entered by `by`. Raises ApiProblem(400)."""
    provider = _provider(form) if by is not None else None
    start = field(form, "start", 50)
    if not start:
        raise missing("start", "give day and time at which the care could start")
    return BidIn(
        start=start,
        how=field(form, "how", NOTE_CHARS),
        hours_free=_maybe(form, "hours_free"),
        hours_declared=_maybe(form, "hours_declared"),
        provider=provider,
        by=by,
    )


def decline(form: Mapping[str, Any], by: str | None = None) -> DeclineIn:
    """It is not taken, and why. Raises ApiProblem(400)."""
    provider = _provider(form) if by is not None else None
    reason = field(form, "reason", 50) or pressed(form)[1]
    if not reason:
        raise missing("reason", "choose why")
    return DeclineIn(
        reason=reason,
        note=note(form),
        pass_to=field(form, "pass_to", _SHORT) or None,
        provider=provider,
        by=by,
    )


def care_ended(form: Mapping[str, Any], by: str) -> tuple[str, CareEndedIn]:
    """The package whose care ends, and on which day; or that it goes on. Raises ApiProblem(400)."""
    name, of = pressed(form)
    if name == "goes_on":
        return of, CareEndedIn(on=None, by=by)
    if name != "care_ended":
        raise ApiProblem(400, "wrong_type", "this page has no such button", "action")
    try:
        on = date.fromisoformat(field(form, "on", 20))
    except ValueError as error:
        raise missing("on", "give the day on which the care ends") from error
    return of, CareEndedIn(on=on, by=by)


def take_back(form: Mapping[str, Any], by: str) -> TakeBackIn:
    """A bid is taken back by telephone. Raises ApiProblem(400)."""
    return TakeBackIn(provider=pressed(form)[1] or _provider(form), by=by)


def action(form: Mapping[str, Any], by: str | None = None) -> PlacementActionIn:
    """A pressed button about a package. Raises ApiProblem(400)."""
    name, of = pressed(form)
    if name not in PLACEMENT_ACTIONS:
        raise ApiProblem(400, "wrong_type", "this page has no such button", "action")
    visit = name == "confirm_first_visit"
    start = field(form, "visit_start", 50) if visit else ""
    end = field(form, "visit_end", 50) if visit else ""
    until = field(form, "until", 50) if name == "extend" else ""
    if name == "extend" and not until:
        raise missing("until", "give day and time until when they may confirm")
    if visit and not (start and end):
        raise missing("visit_start", "give day and time at which the first visit starts and ends")
    return PlacementActionIn(
        action=name,
        by=by,
        provider=(of or field(form, "provider", _SHORT) or None) if by is not None else None,
        reason=field(form, "reason", 50) or None,
        note=note(form),
        start=start or None,
        end=end or None,
        supervisor=bool(field(form, "supervisor", 10)),
        until=until or None,
        was=field(form, "was", 50) or None if name == "extend" else None,
    )


def missing(name: str, asked: str) -> ApiProblem:
    """A field that was left empty."""
    return ApiProblem(400, "left_empty", f"{asked}, then press again", name)


def _provider(form: Mapping[str, Any]) -> str:
    provider = field(form, "provider", _SHORT)
    if not provider:
        raise missing("provider", "choose the provider")
    return provider


def _hours(form: Mapping[str, Any]) -> float:
    text = field(form, "hours_week", 10).replace(",", ".")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise missing("hours_week", "give the hours of care a week, in quarters")
    return float(text)


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ApiProblem(400, "wrong_type", "expected a whole number", name)
    return int(text)


def _maybe(form: Mapping[str, Any], name: str) -> int | None:
    text = field(form, name, 10)
    return _whole(name, text) if text else None


def _all(form: Mapping[str, Any], name: str) -> tuple[str, ...]:
    every = getattr(form, "getall", None)
    values = every(name, []) if every is not None else form.get(name, [])
    return tuple(value[:_SHORT] for value in values if isinstance(value, str) and value)
