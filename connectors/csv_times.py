"""Dates and times as a spreadsheet writes them, read day first or year first and never guessed.

What is read is a local time without offset (or an instant, where the text has one): the desk's calendar judges times
that do not exist, or exist twice, as it does for a rota in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Literal

from config.mapping import SERIAL, read_format

Trouble = Literal["time_unreadable", "date_not_day_first", "no_time"]

_DATES = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%d-%b-%Y")
_TIMES = (
    r"(?P<H>\d{1,2})[:.](?P<M>\d{2})(?:[:.](?P<S>\d{2}(?:\.\d+)?))?",
    r"(?P<I>\d{1,2})(?:[:.](?P<M>\d{2}))?(?:[:.](?P<S>\d{2}))?\s*(?P<p>[AaPp]\.?[Mm]\.?)",
)
_WEEKDAY = re.compile(
    r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+", re.IGNORECASE
)
_SERIAL = re.compile(r"(\d{5})(?:[.,](\d{1,15}))?")
_FRACTION = re.compile(r"(0?[.,]\d{1,15})|0")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?\s*(?:Z|[+-]\d\d:?\d\d)")
_EPOCH_BEFORE = re.compile(r"(?:3[01]/12/1899|1899-12-3[01]|00/01/1900|1900-01-0[01])[T ]+")
"""What a cell that holds a time alone is given as its date: Excel's and Access's day nought."""
_NUMBERS = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?!\d)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EXCEL_DAY_0 = date(1899, 12, 30)
_FIRST_YEAR, _LAST_YEAR = 2000, 2099
_DAY_S = 86_400
OVERNIGHT = timedelta(hours=14)
"""An end before its start, written with the same date, is the next morning's if the visit is no longer than this."""


class UnreadableTime(ValueError):
    """A cell that cannot be read as a time. `trouble` is the name of the problem."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble: Trouble = trouble


class TimeReader:
    """Reads by the formats that a mapping declares, or by every day-first one."""

    def __init__(self, declared: Sequence[str] = ()) -> None:
        formats = [read_format(text) for text in declared if text != SERIAL] or [
            read_format(text) for text in (_DATES if not declared else ())
        ]
        self._serials = not declared or SERIAL in declared
        self._instants = not declared
        self._dates = [re.compile(_capped(one.date)) for one in formats]
        times = [one.time for one in formats if one.time] if declared else []
        self._times = [re.compile(text) for text in times or _TIMES]
        self._read = lru_cache(maxsize=4096)(self._read_anew)

    def read(self, cells: Sequence[str]) -> datetime:
        """One cell with date and time, or a date's and a time's. Raises UnreadableTime."""
        if not any(cells):
            raise UnreadableTime("no_time")
        return self._read(tuple(cells))

    def _read_anew(self, cells: tuple[str, ...]) -> datetime:
        try:
            at = self._one(cells[0]) if len(cells) == 1 else self._pair(cells[0], cells[1])
        except (ValueError, OverflowError) as error:
            if isinstance(error, UnreadableTime):
                raise
            raise UnreadableTime("time_unreadable") from error
        if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
            raise UnreadableTime("time_unreadable")
        return at

    def day(self, text: str) -> date:
        """A date that may lie a lifetime ago. Raises UnreadableTime, also for a year of two digits: 31 may be 1931."""
        day, rest = self._date(text)
        if str(day.year) not in text or (rest and self._time(rest) != 0):
            raise UnreadableTime("time_unreadable")
        return day

    def _one(self, text: str) -> datetime:
        if self._instants and _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", ""))
        serial = _SERIAL.fullmatch(text) if self._serials else None
        if serial is not None:
            return _at(_excel_day(serial[1]), _fraction_s(serial[2] or "0"))
        day, rest = self._date(text)
        if not rest:
            # a date alone is no start: midnight would be a guess
            raise UnreadableTime("no_time")
        return _at(day, self._time(rest))

    def _pair(self, day_text: str, time_text: str) -> datetime:
        if not day_text or not time_text:
            raise UnreadableTime("no_time")
        serial = _SERIAL.fullmatch(day_text) if self._serials else None
        if serial is not None:
            day = _excel_day(serial[1])
        else:
            day, rest = self._date(day_text)
            if rest and self._time(rest) != 0:
                raise UnreadableTime("time_unreadable")
        return _at(day, self._time(_EPOCH_BEFORE.sub("", time_text)))

    def _date(self, text: str) -> tuple[date, str]:
        """The date and what follows it."""
        text = _WEEKDAY.sub("", text, count=1) if text[:1].isalpha() else text
        for pattern in self._dates:
            found = pattern.match(text)
            if found is not None and (day := _day(found)) is not None:
                return day, text[found.end() :].lstrip(" T,")
        raise UnreadableTime("date_not_day_first" if _is_american(text) else "time_unreadable")

    def _time(self, text: str) -> int:
        """Seconds since midnight; 24:00 is the next day's."""
        if self._serials and _FRACTION.fullmatch(text):
            return _fraction_s(text.partition("." if "." in text else ",")[2] or "0")
        for pattern in self._times:
            found = pattern.fullmatch(text)
            if found is not None:
                return _seconds(found)
        raise UnreadableTime("time_unreadable")


def _capped(pattern: str) -> str:
    # 16/03/20 must not be read out of 16/03/2026 or 16/03/20:30
    return pattern + r"(?![\d/])"


def _day(found: re.Match[str]) -> date | None:
    part = found.groupdict()
    year = int(part["Y"]) if part.get("Y") else 2000 + int(part["y"])
    month = _month(part["b"]) if part.get("b") else int(part["m"])
    try:
        return date(year, month, int(part["d"]))
    except ValueError:
        return None


def _month(name: str) -> int:
    short = name[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0


def _is_american(text: str) -> bool:
    """A date that only makes sense with the month first."""
    found = _NUMBERS.match(text)
    if found is None:
        return False
    first, second = int(found[1]), int(found[2])
    return 1 <= first <= 12 < second <= 31


def _seconds(found: re.Match[str]) -> int:
    part = found.groupdict()
    minute, second = int(part.get("M") or 0), float(part.get("S") or 0)
    half = part.get("p")
    hour = int(part["I"] if half else part["H"])
    if half:
        if not 1 <= hour <= 12:
            raise UnreadableTime("time_unreadable")
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    whole_day = (hour, minute, second) == (24, 0, 0)
    if minute > 59 or second >= 60 or (hour > 23 and not whole_day):
        raise UnreadableTime("time_unreadable")
    return hour * 3600 + minute * 60 + int(second)


def _excel_day(days: str) -> date:
    return _EXCEL_DAY_0 + timedelta(days=int(days))


def _fraction_s(digits: str) -> int:
    """0.3125 of a day is 07:30:00, and 0.322916667 is 07:45:00: to the whole second."""
    return round(float(f"0.{digits}") * _DAY_S)


def _at(day: date, seconds: int) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)  # noqa: DTZ001 - local, as written


def end_of(start: datetime, end: datetime, *, same_date: bool) -> datetime:
    """The end, moved to the next morning where a night's visit was written with one date."""
    if not same_date or end > start or (start.tzinfo is None) != (end.tzinfo is None):
        return end
    later = end + timedelta(days=1)
    return later if start < later <= start + OVERNIGHT else end
