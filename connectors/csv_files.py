"""Another vendor's export, by a column mapping, as the rows of our own JSON: rota, people, check-ins. No network here.

The rules are those of the JSON and stay where they are (the desk judges each row). Here is only what a spreadsheet
does to a value, named with the line of the file; what is unreadable is left out of the row, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from config.mapping import LISTS, NEEDED, TIMES
from config.settings import Mapping as CsvMapping
from connectors.csv_text import UNREADABLE, BadFile, Delimiter, Row, Sheet, decode, open_sheet, plain
from connectors.csv_times import TimeReader, UnreadableTime, end_of

MOST_ROWS = 20_000
"""Rows of one file, as of one upload in JSON."""
COVERS_AT_MOST = timedelta(days=62)
"""A complete rota over more than this has a slip in a date, and would cancel by it."""

MESSAGES: dict[str, str] = {
    "time_unreadable": "a date or time that cannot be read in the mapping's formats",
    "date_not_day_first": "a date with the month first; expected the day first, and it is not guessed",
    "number_damaged": "a number that the spreadsheet rounded (4.47701E+11): its digits are lost",
    "cell_error": "an error of the spreadsheet (#REF!, ########) instead of a value",
    "cells_missing": "the row ends before its last columns",
    "cells_extra": "more cells than the header has: a separator inside a value without quotes?",
    "quote_open": "a quote that is never closed; the row was read by itself",
    "character_unreadable": "a character that is not in the file's encoding",
    "value_unknown": "a value that the mapping does not know; it was passed over",
    "repeated_header": "the header again; passed over",
    "footer_row": "a total or footer, no row; passed over",
    "repeated_row": "the same row again; the later one counts",
    "column_missing": "a column of the mapping is not in the file",
    "column_twice": "a column of the mapping stands in the file twice",
    "covers_doubtful": "the dates lie too far apart for a complete rota: nothing is cancelled by absence",
    "no_subject": "names no visit, service user or care worker that the check-in could belong to",
    "no_time": "no time of an arrival or departure",
    "time_does_not_exist": "a local time that does not exist that night; read with the offset before the change",
    "time_exists_twice": "a local time that exists twice that night; the first is meant",
    "identity": "names a device of another desk",
    "left_before_arrived": "left before it began; the departure was passed over",
}
"""Codes that a file adds to those of the JSON (docs/interface.md, closed lists)."""

_EMPTY = frozenset({"", "null", "(null)", "nil", "none", "n/a", "-", "--", "–", "—", "(blank)"})
_SHEET_ERRORS = re.compile(r"#(?:REF!|N/A|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!)|#{3,}", re.IGNORECASE)
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d{1,3}", re.IGNORECASE)
_FLOAT_ID = re.compile(r"(\d+)\.0+")
_AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)
_SPLIT = re.compile(r"[;,|\n\r\t]+")
_FOOTER = re.compile(
    r"(?:grand |sub-?)?totals?\b|count\b|\(?\d+ (?:rows?|records?|visits?)\b|end of|page \d|printed|generated|"
    r"exported|report\b|produced",
    re.IGNORECASE,
)
_YES = frozenset({"yes", "y", "true", "t", "1", "x", "✓"})
_NO = frozenset({"no", "n", "false", "f", "0"})
HOME_CONFIRMED = "home_confirmed"
_PLAIN_NUMBER = re.compile(r"\d{1,4}")
_IDS = frozenset(
    {
        "id",
        "service_user",
        "visit",
        "worker",
        "device",
        "tag",
        "contract",
        "mobile",
        "landline",
        "client_group",
        "council_ref",
        "spokesperson",
        "public_by",
        "household_line",
        "pin",
        "home_number",
    }
)

_KEYED = frozenset({"pin", "home_number"})
"""What people key into the free number."""

_STANDS_FOR: dict[str, frozenset[str]] = {
    "start": frozenset({"no_time"}),
    "end": frozenset({"short_visit", "off_step"}),
    "minutes": frozenset({"short_visit", "off_step"}),
    "service_user": frozenset({"no_person"}),
    "workers": frozenset({"no_worker"}),
}
"""What the desk would say of a row without this field: the file's own problem says it better."""


WHY = frozenset({"time_unreadable", "date_not_day_first", "cell_error", "value_unknown"})
"""Problems for which a row may bring no check-in at all."""
KINDS = ("arrive", "leave", "no_reply", "refused")
DAMAGE = frozenset({"number_damaged", "cell_error"})
"""Problems for which a list is shorter than the one that was meant."""
MISPLACED = frozenset({"cells_extra", "quote_open"})
"""Problems of a row for which any of its cells may be another column's."""


class FileProblem(Struct, frozen=True, kw_only=True):
    """One thing wrong with a line. `replaces`: codes of the desk about the same row that this one explains."""

    line: int
    code: str
    replaces: frozenset[str] = frozenset()
    error: bool = False
    """Only of what the desk never sees: the row has no effect."""
    about: str | None = None
    """The row's own id, where it has one."""


class Items(Struct, frozen=True, kw_only=True):
    """What a file holds, as the desk takes it: items of our JSON, and the line of each."""

    items: tuple[dict[str, Any], ...]
    lines: tuple[int, ...]
    problems: tuple[FileProblem, ...]
    covers: tuple[str, str] | None = None
    """Of a complete rota: the local midnights around the days on which it has a row."""
    header_line: int = 1


class Event(Struct, frozen=True, kw_only=True):
    """One check-in of a row: when by the file (local, or with an offset), and what it says."""

    line: int
    kind: str
    at: datetime
    order: int
    """Among those at the same time: who leaves, before who arrives."""
    values: dict[str, Any]
    manual: bool


class Events(Struct, frozen=True, kw_only=True):
    """The check-ins of a file in their order of time, and its newest heartbeat."""

    events: tuple[Event, ...]
    problems: tuple[FileProblem, ...]
    heartbeat: datetime | None = None


# --- cells to values ---


class _Reader:
    """One file by one mapping: each row's values, cleaned, with its problems."""

    def __init__(self, mapping: CsvMapping, body: bytes) -> None:
        self.mapping = mapping
        self.problems: list[FileProblem] = []
        self._noted: dict[tuple[int, str], int] = {}
        self.times = TimeReader(mapping.dates)
        self.american = self.day_first = 0
        text = decode(body, mapping.encoding)
        delimiter: Delimiter | None = "\t" if mapping.delimiter == "tab" else mapping.delimiter
        names = {name: self._names(name) for headers in mapping.columns.values() for name in headers}
        self.sheet: Sheet = self._open(text, names, delimiter)
        self.places = {field: self._places(headers, names) for field, headers in mapping.columns.items()}
        self._values = {
            field: {plain(theirs): ours for theirs, ours in pairs.items()}
            for field, pairs in mapping.values.items()
        }
        self._empty = _EMPTY | {plain(text) for text in mapping.empty}
        self._used = sorted({place for pair in self.places.values() for place in pair})
        self._header_cells = {place: plain(self.sheet.header[place]) for place in self._used}
        self._seen: dict[tuple[str, ...], int] = {}
        self.footers = tuple(plain(text) for text in mapping.footers)

    def _names(self, header: str) -> tuple[str, ...]:
        return (plain(header), *(plain(alias) for alias in self.mapping.aliases.get(header, ())))

    def _open(self, text: str, names: Mapping[str, tuple[str, ...]], delimiter: Delimiter | None) -> Sheet:
        columns = self.mapping.columns
        needed = []
        for ways in NEEDED[self.mapping.what]:
            usable = [way for way in ways if all(field in columns for field in way)]
            needed.append([[name for field in way for name in columns[field]] for way in usable])
        wanted = {alias: name for name, all_names in names.items() for alias in all_names}
        return open_sheet(text, wanted, [ways for ways in needed if ways and all(ways)], delimiter)

    def _places(self, headers: Sequence[str], names: Mapping[str, tuple[str, ...]]) -> tuple[int, ...]:
        found = []
        for header in headers:
            there = [place for name in names[header] for place in self.sheet.columns.get(name, ())]
            if len(there) > 1:
                raise BadFile("column_twice", f"a column of the mapping stands there twice: {header}")
            if not there:
                self.note(self.sheet.line, "column_missing")
            found += there
        return tuple(found)

    def rows(self) -> Iterator[tuple[Row, _Values]]:
        """Every row that is one, with its values."""
        count = 0
        for row in self.sheet.rows:
            if self._is_header(row):
                self.note(row.line, "repeated_header")
                continue
            values = _Values(self, row)
            if values.nothing and self._is_footer(row):
                self.note(row.line, "footer_row")
                continue
            count += 1
            if count > MOST_ROWS:
                raise BadFile("too_large", f"expected at most {MOST_ROWS} rows in one file")
            self._shape(row, values)
            yield row, values
        # a row may be an accident, a tenth of them is a spreadsheet set to American dates
        if self.american > max(2, self.day_first) and self.american * 10 >= count:
            raise BadFile("american_dates", "the dates have the month first; expected the day first")

    def _is_header(self, row: Row) -> bool:
        return all(
            len(row.cells) > place and plain(row.cells[place]) == name
            for place, name in self._header_cells.items()
        )

    def _is_footer(self, row: Row) -> bool:
        first = next((plain(cell) for cell in row.cells if cell.strip()), "")
        return bool(_FOOTER.match(first)) or first.startswith(self.footers or ("\0",))

    def _shape(self, row: Row, values: _Values) -> None:
        used = tuple(row.cells[place].strip() for place in self._used if place < len(row.cells))
        if row.trouble == "cells_missing":
            cut = frozenset[str]().union(
                *(
                    _STANDS_FOR.get(field, frozenset())
                    for field, there in self.places.items()
                    if values.cut(there)
                )
            )
            if any(values.cut(there) for there in self.places.values()):
                self.note(row.line, "cells_missing", cut)
        elif row.trouble is not None:
            self.note(row.line, row.trouble)
        if any(UNREADABLE in cell for cell in used):
            self.note(row.line, "character_unreadable")
        if self._seen.setdefault(used, row.line) != row.line:
            self.note(row.line, "repeated_row")

    def note(self, line: int, code: str, replaces: frozenset[str] = frozenset(), **more: Any) -> None:
        """One problem a line and code: an American date in two columns is one mistake."""
        known = self._noted.get((line, code))
        if known is None:
            self._noted[line, code] = len(self.problems)
            self.problems.append(FileProblem(line=line, code=code, replaces=replaces, **more))
        else:
            before = self.problems[known]
            self.problems[known] = structs.replace(before, replaces=before.replaces | replaces)

    def fail(self, line: int, code: str, about: str | None) -> None:
        """A row of which nothing comes: its own problems become errors, or `code` says why."""
        why = [at for (of, found), at in self._noted.items() if of == line and found in WHY]
        for at in why:
            self.problems[at] = structs.replace(self.problems[at], error=True, about=about)
        if not why:
            self.note(line, code, error=True, about=about)

    # one cell

    def clean(self, text: str) -> str:
        """Without what a spreadsheet puts around a value; "" for what means nothing."""
        text = text.replace("\u00a0", " ").replace("\u200b", "").replace("\ufeff", "").strip()
        guarded = _AS_TEXT.fullmatch(text)
        text = (guarded[1] if guarded else text.lstrip("'") if text.startswith("'") else text).strip()
        return "" if plain(text) in self._empty else text

    def mapped(self, field: str, text: str) -> Any:
        """What the mapping makes of a value, or None when it has a list that does not hold it."""
        return self._values[field].get(plain(text)) if field in self._values else text


class _Values:
    """The mapped cells of one row, cleaned once; problems are noted where a value cannot be used."""

    def __init__(self, reader: _Reader, row: Row) -> None:
        self.reader, self._row = reader, row
        self._damaged: set[str] = set()
        self._cells = {
            field: tuple(reader.clean(row.cells[place]) if place < len(row.cells) else "" for place in places)
            for field, places in reader.places.items()
        }

    @property
    def nothing(self) -> bool:
        """Whether no person, time or id can be read: only then may the row be a footer."""
        for field, cells in self._cells.items():
            if field in TIMES and any(cells):
                try:
                    self.reader.times.read(cells)
                    return False
                except UnreadableTime:
                    continue
        said = [cell for field, cells in self._cells.items() if field in _IDS for cell in cells if cell]
        return all(
            _FOOTER.match(cell) or plain(cell).startswith(self.reader.footers or ("\0",)) for cell in said
        )

    def cut(self, places: Sequence[int]) -> bool:
        return any(place >= len(self._row.cells) for place in places)

    def note(self, code: str, field: str = "", **more: Any) -> None:
        if code in DAMAGE:
            self._damaged.add(field)
        self.reader.note(self._row.line, code, _STANDS_FOR.get(field, frozenset()), **more)

    def damaged(self, field: str) -> bool:
        """Whether something of it was lost, as far as it has been read: what is left is not all that was meant."""
        columns, places = self.reader.mapping.columns.get(field, ()), self.reader.places.get(field, ())
        return bool(places) and (
            field in self._damaged
            or len(places) < len(columns)
            or self.cut(places)
            or self._row.trouble in MISPLACED
            or any(UNREADABLE in cell for cell in self._cells[field])
        )

    def fail(self, code: str, about: str | None) -> None:
        """The row has no effect: what was wrong with it is why, else `code`."""
        self.reader.fail(self._row.line, code, about)

    def has(self, field: str) -> bool:
        """Whether the mapping gives the field a column that is in the file, or a value."""
        return bool(self._cells.get(field)) or field in self.reader.mapping.fixed

    def filled(self, field: str) -> bool:
        return any(self._cells.get(field, ()))

    def timed(self, field: str) -> bool:
        """Whether there is a time: of a pair of columns the date alone is none."""
        return bool(self._cells.get(field, ("",))[-1])

    def texts(self, field: str) -> list[str]:
        """The usable cells of a field: no error of the sheet, no number whose digits are lost."""
        found = []
        for cell in self._cells.get(field, ()):
            if _SHEET_ERRORS.fullmatch(cell):
                self.note("cell_error", field)
            elif _ROUNDED.fullmatch(cell) and (field in _IDS or field in LISTS):
                self.note("number_damaged", field)
            elif cell:
                whole = _FLOAT_ID.fullmatch(cell) if field in _IDS else None
                found.append(whole[1] if whole else cell)
        return found

    def text(self, field: str) -> Any:
        """One value: the fixed one, or the cell's as the mapping maps it; None for nothing."""
        if field in self.reader.mapping.fixed:
            return self.reader.mapping.fixed[field]
        cells = self.texts(field)
        if not cells:
            return None
        value = self.reader.mapped(field, cells[0])
        if value is None:
            self.note("value_unknown", field)
        return value

    def several(self, field: str) -> list[str]:
        """`A12; B7` and the cells of several columns, as a list."""
        fixed = self.reader.mapping.fixed.get(field)
        cells = [str(fixed)] if fixed is not None else self.texts(field)
        parts = [part.strip() for cell in cells for part in _SPLIT.split(cell)]
        found = []
        for part in parts:
            if _ROUNDED.fullmatch(part):
                self.note("number_damaged", field)
            elif part:
                mapped = self.reader.mapped(field, part)
                found.append(part if mapped is None else str(mapped))
        return list(dict.fromkeys(found))

    def flag(self, field: str, unclear: bool) -> bool:
        """Yes or no; what is neither is named and counts as `unclear`."""
        value = self.text(field)
        if value is None:
            # a value that its list does not know, or nothing at all
            return unclear if self.filled(field) else False
        if isinstance(value, bool):
            return value
        word = plain(str(value))
        if word in _YES or word in _NO:
            return word in _YES
        self.note("value_unknown", field)
        return unclear

    def number(self, field: str) -> float | None:
        value = self.text(field)
        if value is None:
            return None
        try:
            return float(str(value).replace(",", "."))
        except ValueError:
            self.note("value_unknown", field)
            return None

    def time(self, field: str) -> datetime | None:
        """A time; None when there is none, and when it cannot be read, which is noted."""
        cells = self._cells.get(field, ())
        if any(_SHEET_ERRORS.fullmatch(cell) for cell in cells):
            self.note("cell_error", field)
            return None
        try:
            return self._counted(cells)
        except UnreadableTime as error:
            self.reader.american += error.trouble == "date_not_day_first"
            if error.trouble != "no_time":
                self.note(error.trouble, field)
            return None

    def day(self, field: str) -> date | None:
        """A date without a time; None when there is none, and when it cannot be read, which is noted."""
        cell = self.text(field)
        if cell is None:
            return None
        try:
            return self.reader.times.day(str(cell))
        except UnreadableTime as error:
            self.reader.american += error.trouble == "date_not_day_first"
            self.note(error.trouble, field)
            return None

    def _counted(self, cells: tuple[str, ...]) -> datetime:
        at = self.reader.times.read(cells)
        self.reader.day_first += at.day > 12
        return at


# --- a rota ---


def read_rota_file(mapping: CsvMapping, body: bytes) -> Items:
    """The visits of an export. Raises BadFile (ApiProblem 400) when no row of it can be used."""
    reader = _Reader(mapping, body)
    items, lines, days = [], [], []
    for row, values in reader.rows():
        status = _status(values)
        if status == "ignored":
            continue
        item, day = _visit(mapping, values)
        if day is not None:
            days.append(day)
        if status == "cancelled":
            item["cancelled"] = True
        items.append(item)
        lines.append(row.line)
    covers = _covers(reader, days) if mapping.complete else None
    return Items(
        items=tuple(items),
        lines=tuple(lines),
        problems=tuple(reader.problems),
        covers=covers,
        header_line=reader.sheet.line,
    )


def _status(values: _Values) -> str:
    status = values.text("status")
    if not isinstance(status, str):
        # an unknown status is named, and the visit is watched: nothing that is real may be left out
        return "planned"
    return "cancelled" if plain(status) in ("cancelled", "canceled") else plain(status)


def _visit(mapping: CsvMapping, values: _Values) -> tuple[dict[str, Any], date | None]:
    item: dict[str, Any] = {}
    for field in ("id", "service_user"):
        if (value := values.text(field)) is not None:
            item[field] = str(value)
    start = values.time("start")
    if start is not None:
        item["start"] = start.isoformat()
        end = _end(mapping, values, start)
        if end is not None:
            item["end"] = end.isoformat()
    elif values.filled("end"):
        values.time("end")
    item["workers"] = values.several("workers")
    _visit_extras(values, item)
    return item, start.date() if start is not None else None


def _end(mapping: CsvMapping, values: _Values, start: datetime) -> datetime | None:
    if "minutes" in mapping.columns and (minutes := values.number("minutes")) is not None:
        return start + timedelta(minutes=minutes) if 0 < minutes <= 1440 else None
    end = values.time("end")
    return None if end is None else end_of(start, end, same_date=_one_date(mapping, "start", "end"))


def _one_date(mapping: CsvMapping, first: str, second: str) -> bool:
    pair = mapping.columns.get(first, ()), mapping.columns.get(second, ())
    return all(len(one) == 2 for one in pair) and pair[0][0] == pair[1][0]


def _visit_extras(values: _Values, item: dict[str, Any]) -> None:
    if values.filled("places") or "places" in values.reader.mapping.fixed:
        places = values.number("places")
        if places is not None:
            # 2.0 is a spreadsheet's 2; 2.5 care workers are the desk's problem to name
            item["places"] = int(places) if places == int(places) else places
    if values.has("time_critical"):
        item["time_critical"] = values.flag("time_critical", unclear=True)
    late = values.text("late_after")
    if late is not None:
        item["late_after"] = f"{late}m" if _PLAIN_NUMBER.fullmatch(str(late)) else str(late)
    kind = values.text("kind")
    if kind is not None:
        item["kind"] = str(kind)
    if (condition := values.text("conditional")) is not None and (
        said := _conditional(condition)
    ) is not None:
        item["conditional"] = said


def _conditional(value: Any) -> str | None:
    """A plain yes is the one condition that there is; what is neither that nor a no goes on as it stands: the desk
    names it, and watches the visit from its planned time."""
    word = plain(str(value))
    return HOME_CONFIRMED if word in _YES else None if word in _NO else str(value)


def _covers(reader: _Reader, days: Sequence[date]) -> tuple[str, str] | None:
    if not days:
        return None
    begin, end = min(days), max(days) + timedelta(days=1)
    if end - begin > COVERS_AT_MOST:
        reader.note(reader.sheet.line, "covers_doubtful")
        return None
    return f"{begin.isoformat()}T00:00", f"{end.isoformat()}T00:00"


# --- people ---


def read_people_file(mapping: CsvMapping, body: bytes) -> Items:
    """The people of an export; a person has only the fields that the mapping names. Raises BadFile.

    Two keys are not those of the JSON: `phones_by_kind`, with the kinds that the mapping names, and `damaged`, the
    lists (and kinds) of which a cell could not be read. `Directory.completed` makes `phones` of them."""
    reader = _Reader(mapping, body)
    items, lines = [], []
    for row, values in reader.rows():
        items.append(_person(values))
        lines.append(row.line)
    return Items(
        items=tuple(items),
        lines=tuple(lines),
        problems=tuple(reader.problems),
        header_line=reader.sheet.line,
    )


def _person(values: _Values) -> dict[str, Any]:
    item: dict[str, Any] = {}
    for field in _PERSON_TEXTS:
        value = values.text(field)
        # digits of another column would be a PIN as good as any
        if value is not None and not (field in _KEYED and values.damaged(field)):
            item[field] = str(value)
    for field in _PERSON_LISTS:
        if values.has(field):
            item[field] = values.several(field)
    if (hours := values.number("hours_week")) is not None:
        item["hours_week"] = hours
    if (born := values.day("born")) is not None:
        item["born"] = born.isoformat()
    by_kind = {kind: _phones(values, kind) for kind in ("mobile", "landline") if values.has(kind)}
    if by_kind:
        item["phones_by_kind"] = by_kind
    plan = _plan(values)
    if plan:
        item["contact_plan"] = plan
    lists = (*_PERSON_LISTS, "mobile", "landline", "channels", "never_tell")
    if damaged := [field for field in lists if values.damaged(field)]:
        item["damaged"] = damaged
    _home(values, item)
    return item


_PERSON_TEXTS = (
    "id",
    "role",
    "name",
    "first_name",
    "email",
    "prefers",
    "gender",
    "offer_hours",
    "contract",
    "client_group",
    "council_ref",
    "pin",
    "home_number",
)
_PERSON_LISTS = ("next_of_kin", "devices", "skills", "needs", "not_with")
_PLAN_TEXTS = ("public", "public_by", "hours", "outside_hours", "language", "spokesperson", "agreed_by")
_PLAN_FLAGS = {"keypad": False, "understands_keys": False, "voicemail": False, "end_of_life": True}
"""What a cell that says neither yes nor no counts as: what lets a person ring, not a machine."""
_CHANNELS = ("voice", "text", "person")
_RANKS = ("red", "amber", "green")


def _plan(values: _Values) -> dict[str, Any]:
    """The contact plan as far as the file has it; an empty cell changes nothing, but of *lives alone* and of a list."""
    plan: dict[str, Any] = {
        field: str(value) for field in _PLAN_TEXTS if (value := values.text(field)) is not None
    }
    if (rank := values.text("weather_rank")) is not None:
        known = plain(str(rank)) in _RANKS
        plan["weather_rank"] = plain(str(rank)) if known else "red"  # nothing is left out for them
        if not known:
            values.note("value_unknown", "weather_rank")
    if values.has("lives_alone"):
        plan["lives_alone"] = values.flag("lives_alone", unclear=True)
    for field, unclear in _PLAN_FLAGS.items():
        if values.filled(field) or field in values.reader.mapping.fixed:
            plan[field] = values.flag(field, unclear)
    if (ring_s := values.number("ring_s")) is not None:
        plan["ring_s"] = int(ring_s)
    if (line := values.text("household_line")) is not None:
        plan["household_line"] = _number(str(line))
    if (agreed_on := values.day("agreed_on")) is not None:
        plan["agreed_on"] = agreed_on.isoformat()
    if values.has("never_tell"):
        plan["never_tell"] = values.several("never_tell")
    if values.filled("channels") or "channels" in values.reader.mapping.fixed:
        plan["channels"] = _channels(values)
    return plan


def _channels(values: _Values) -> list[str]:
    """In their order; one that is none is named, and a list without one that is known leaves it to a person."""
    given = [plain(one) for one in values.several("channels")]
    if any(one not in _CHANNELS for one in given):
        values.note("value_unknown", "channels")
    return [one for one in given if one in _CHANNELS] or ["person"]


def _phones(values: _Values, kind: str) -> list[dict[str, str]]:
    fixed = values.reader.mapping.fixed.get(kind)
    cells = [str(fixed)] if fixed is not None else values.texts(kind)
    parts = [part.strip() for cell in cells for part in re.split(r"[;|/\n]+", cell)]
    for part in parts:
        if _ROUNDED.fullmatch(part):
            values.note("number_damaged", kind)
    usable = [part for part in parts if part and not _ROUNDED.fullmatch(part)]
    return [{"number": _number(part), "kind": kind} for part in usable]


def _number(text: str) -> str:
    """07700900123 with its nought lost to the spreadsheet gets it back; a country code loses nothing."""
    digits = re.sub(r"[\s().-]", "", text)
    return f"0{digits}" if re.fullmatch(r"[1-9]\d{8,9}", digits) else digits


def _home(values: _Values, item: dict[str, Any]) -> None:
    if not (values.filled("lat") and values.filled("lon")):
        return
    lat, lon, radius = values.number("lat"), values.number("lon"), values.number("radius_m")
    if lat is None or lon is None or not (-90 <= lat <= 90 and -180 <= lon <= 180) or (lat, lon) == (0, 0):
        values.note("value_unknown", "lat")
        return
    item["homes"] = [{"lat": lat, "lon": lon} | ({"radius_m": radius} if radius and radius > 0 else {})]


# --- check-ins of another vendor's app ---


def read_checkin_file(mapping: CsvMapping, body: bytes) -> Events:
    """The check-ins of an export; one row may bring an arrival and its departure. Raises BadFile."""
    reader = _Reader(mapping, body)
    events: list[Event] = []
    heartbeat: datetime | None = None
    for row, values in reader.rows():
        beat = values.time("heartbeat")
        if beat is not None and (heartbeat is None or _plain_time(beat) > _plain_time(heartbeat)):
            heartbeat = beat
        events += _events(mapping, row, values)
    return Events(events=tuple(events), problems=tuple(reader.problems), heartbeat=heartbeat)


def _plain_time(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _events(mapping: CsvMapping, row: Row, values: _Values) -> list[Event]:
    what = {
        field: str(value)
        for field in ("id", "visit", "service_user", "worker", "device", "tag")
        if (value := values.text(field)) is not None
    }
    times = _times_of(mapping, values)
    if not times:
        if not any(values.timed(field) for field in ("arrived", "left", "at")):
            # a planned visit to which nobody has come yet, or a heartbeat: nothing is wrong with it
            return []
        values.fail("no_time", what.get("id") or what.get("visit"))
        return []
    if not what.keys() - {"id"}:
        values.note("no_subject", error=True, about=what.get("id"))
        return []
    for field in ("lat", "lon", "accuracy_m"):
        if (number := values.number(field)) is not None:
            what[field] = number  # type: ignore[assignment]
    manual = values.flag("manual", unclear=True) or _edited(values)
    return [
        Event(line=row.line, kind=kind, at=at, order=order, values=what, manual=manual)
        for kind, at, order in times
    ]


def _edited(values: _Values) -> bool:
    """A column that says who edited the row, or that somebody did: whatever is not a plain no counts."""
    value = values.text("edited") if values.has("edited") else None
    if isinstance(value, bool):
        return value
    return values.filled("edited") and plain(str(value or "")) not in _NO


def _times_of(mapping: CsvMapping, values: _Values) -> list[tuple[str, datetime, int]]:
    if "arrived" not in mapping.columns:
        kind, at = values.text("kind"), values.time("at")
        if at is None or not isinstance(kind, str):
            return []
        if kind not in KINDS:
            values.note("value_unknown")
            return []
        return [(kind, at, 0 if kind == "leave" else 1)]
    arrived, left = values.time("arrived"), values.time("left")
    times = [] if arrived is None else [("arrive", arrived, 1)]
    if left is None:
        return times
    if arrived is not None:
        left = end_of(arrived, left, same_date=_one_date(mapping, "arrived", "left"))
        if _plain_time(left) < _plain_time(arrived):
            values.note("left_before_arrived")
            return times
    return [*times, ("leave", left, 2 if left == arrived else 0)]


READERS: dict[str, Callable[[CsvMapping, bytes], Items]] = {
    "rota": read_rota_file,
    "people": read_people_file,
}
