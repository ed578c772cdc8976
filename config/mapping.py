"""What a column mapping may name, and which dates it may declare. Pure values; `[[mapping]]` is in
`config.settings`.

Another vendor's export is read by a mapping: our field on the left, the column's header on the right. Dates are
day first or year first, always: 03/04/2026 is the third of April here, and nobody guesses.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

What = Literal["rota", "people", "checkins"]

FIELDS: dict[What, tuple[str, ...]] = {
    "rota": (
        "id",
        "service_user",
        "start",
        "end",
        "minutes",
        "workers",
        "places",
        "time_critical",
        "late_after",
        "kind",
        "conditional",
        "status",
    ),
    "people": (
        "id",
        "role",
        "name",
        "first_name",
        "mobile",
        "landline",
        "email",
        "lat",
        "lon",
        "radius_m",
        "next_of_kin",
        "devices",
        "skills",
        "needs",
        "not_with",
        "prefers",
        "gender",
        "hours_week",
        "offer_hours",
        "contract",
        "client_group",
        "council_ref",
        "born",
        "public",
        "public_by",
        "channels",
        "ring_s",
        "keypad",
        "understands_keys",
        "hours",
        "outside_hours",
        "weather_rank",
        "voicemail",
        "language",
        "spokesperson",
        "never_tell",
        "lives_alone",
        "household_line",
        "agreed_by",
        "agreed_on",
        "end_of_life",
        "pin",
        "home_number",
    ),
    "checkins": (
        "id",
        "visit",
        "service_user",
        "worker",
        "device",
        "tag",
        "arrived",
        "left",
        "kind",
        "at",
        "lat",
        "lon",
        "accuracy_m",
        "manual",
        "edited",
        "heartbeat",
    ),
}
"""Our fields, by what a file holds: those of the JSON (docs/interface.md), and what configuration.md explains."""

NEEDED: dict[What, tuple[tuple[tuple[str, ...], ...], ...]] = {
    "rota": ((("service_user",),), (("start",),), (("end",), ("minutes",))),
    "people": ((("id",),), (("role",),)),
    "checkins": (
        (("visit",), ("service_user",), ("worker",), ("device",), ("tag",)),
        (("arrived",), ("kind", "at")),
    ),
}
"""Each group must be there in one of its ways: all fields of one of the inner tuples."""

TIMES = frozenset({"start", "end", "arrived", "left", "at", "heartbeat"})
"""Fields whose column may be a pair: a date's and a time's."""
LISTS = frozenset(
    {"workers", "next_of_kin", "devices", "skills", "needs", "not_with", "channels", "never_tell"}
)
FLAGS = frozenset(
    {
        "time_critical",
        "manual",
        "edited",
        "lives_alone",
        "keypad",
        "understands_keys",
        "voicemail",
        "end_of_life",
    }
)
STATUSES = ("planned", "cancelled", "ignored")
"""What the values of a status column may be mapped to."""
SEVERAL = frozenset({"mobile", "landline"}) | LISTS
"""Fields that may be fed by several columns."""

SERIAL = "serial"
"""The declared format of Excel's day numbers: 46001.3125 is 10 December 2025, 07:30."""

_DIRECTIVE = {
    "d": r"(?P<d>\d{1,2})",
    "m": r"(?P<m>\d{1,2})",
    "b": r"(?P<b>[A-Za-z]{3,9})\.?",
    "B": r"(?P<b>[A-Za-z]{3,9})",
    "Y": r"(?P<Y>\d{4})(?!\d)",
    "y": r"(?P<y>\d{2})(?!\d)",
    "a": r"[A-Za-z]{2,9}\.?",
    "A": r"[A-Za-z]{2,9}",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "M": r"(?P<M>\d{2})",
    "S": r"(?P<S>\d{2}(?:\.\d+)?)",
    "p": r"(?P<p>[AaPp]\.?[Mm]\.?)",
}
_OF_A_TIME = "HIMSp"
_TOKEN = re.compile(r"%(.)|(\s+)|([^%\s]+)")
DAY_FIRST = 'a format with the day before the month or the year first, such as "%d/%m/%Y %H:%M", or "serial"'


class DateFormat(Struct, frozen=True):
    """A declared format in its two halves, as regular expressions; the time's is "" when it names none."""

    date: str
    time: str


def read_format(text: str) -> DateFormat:
    """A format in the notation of `strftime`, the date before the time. Raises ValueError: not one, or month first."""
    tokens = _TOKEN.findall(text)
    names = [name for name, _, _ in tokens if name]
    if not names or any(name not in _DIRECTIVE for name in names) or len(set(names)) < len(names):
        raise ValueError(DAY_FIRST)
    first_of_time = next((n for n, token in enumerate(tokens) if token[0] and token[0] in _OF_A_TIME), None)
    date, time = tokens[:first_of_time], tokens[first_of_time:] if first_of_time is not None else []
    _check_date([name for name, _, _ in date if name])
    _check_time([name for name, _, _ in time if name])
    return DateFormat(_pattern(date).rstrip(), _pattern(time))


def _check_date(names: list[str]) -> None:
    order = [{"B": "b", "y": "Y"}.get(name, name) for name in names if name not in "aA"]
    # a month in letters cannot be taken for a day, so its place says nothing
    if order not in (["d", "m", "Y"], ["Y", "m", "d"], ["d", "b", "Y"], ["b", "d", "Y"], ["Y", "b", "d"]):
        raise ValueError(DAY_FIRST)


def _check_time(names: list[str]) -> None:
    known = (["H", "M"], ["H", "M", "S"], ["I", "M", "p"], ["I", "M", "S", "p"])
    if names and names not in known:
        raise ValueError('a time such as "%H:%M", "%H:%M:%S" or "%I:%M %p" after the date')


def _pattern(tokens: list[tuple[str, str, str]]) -> str:
    parts = [
        _DIRECTIVE[name] if name else r"\s+" if space else re.escape(other) for name, space, other in tokens
    ]
    while parts and parts[-1] in (r"\s+", re.escape("T"), re.escape(",")):
        parts.pop()
    return "".join(parts)
