"""Bytes of an export to a header and rows: encoding, delimiter, quotes, and the file's own line of each row.

A quote that nobody closes would swallow the visits behind it: such a row is read by itself and named, and the lines
behind it are rows again.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from connectors.ports import ApiProblem

Delimiter = Literal[",", ";", "\t"]
DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t")
RowTrouble = Literal["quote_open", "cells_extra", "cells_missing", "character_unreadable"]

MOST_LINES = 40
"""Physical lines that one quoted cell may go over; behind that, the quote was never closed."""
HEADER_WITHIN = 40
"""Rows among which the header must be: exports begin with a title, a date, a blank line."""
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_LINE = re.compile(r"\r\n|\n|\r")
_END = "\x1e"
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class BadFile(ApiProblem):
    """A file of which no row can be used: 400 with a code of docs/interface.md. The text repeats nothing of it."""

    def __init__(self, code: str, message: str, path: str | None = None) -> None:
        super().__init__(400, code, message, path)


class Row(NamedTuple):
    """One record: the physical line on which it starts, its cells, what was odd about its shape."""

    line: int
    cells: list[str]
    trouble: RowTrouble | None = None


class Sheet(NamedTuple):
    """A header found, its physical line, and the rows below it."""

    columns: dict[str, tuple[int, ...]]
    """By plain header: where it stands; more than one place means that it stands there more than once."""
    line: int
    rows: Iterator[Row]
    header: list[str]


def decode(body: bytes, declared: str | None) -> str:
    """The file's text. A byte-order mark wins over what was declared; without either, UTF-8 unless it is not.

    Raises BadFile: no text at all.
    """
    if body.startswith(_SPREADSHEETS):
        raise BadFile("not_text", "this is a spreadsheet's own file; save it as CSV")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = body.decode("utf-16", "replace")
    elif declared == "utf-16":
        raise BadFile("not_text", "expected UTF-16 with its byte-order mark")
    elif body.startswith(b"\xef\xbb\xbf") or declared == "utf-8":
        text = body.decode("utf-8-sig", "replace")
    else:
        text = body.decode("cp1252", "replace") if declared == "cp1252" else _recognised(body)
    if "\0" in text:
        raise BadFile("not_text", "expected text in UTF-8, UTF-16 with its byte-order mark, or Windows-1252")
    return text


def _recognised(body: bytes) -> str:
    """One broken character must not make a file of UTF-8 one of Windows-1252."""
    text = body.decode("utf-8", "replace")
    bad = text.count(UNREADABLE)
    good = sum(1 for character in text if character > "\x7f" and character != UNREADABLE) if bad else 0
    return text if good >= bad else body.decode("cp1252", "replace")


def plain(header: str) -> str:
    """A header as it is compared: without case, and with single spaces."""
    return " ".join(header.replace("\ufeff", "").replace("\u200b", "").split()).casefold()


def open_sheet(
    text: str,
    wanted: Mapping[str, str],
    needed: Sequence[Sequence[Sequence[str]]],
    delimiter: Delimiter | None,
) -> Sheet:
    """Find the header: the row with most of the wanted columns that has a way to each of the `needed` ones. `wanted`:
    the mapping's header by each plain name under which it may stand.

    Raises BadFile(no_header), naming the columns that the mapping needs and the file does not have.
    """
    lines = _LINE.split(text)
    skipped = 0
    if lines and (told := re.fullmatch(r'"?sep=(.)"?', lines[0].strip(" "))) is not None:
        # Excel's own first line: which delimiter follows
        skipped, delimiter = 1, next((one for one in DELIMITERS if one == told[1]), delimiter)
    best: tuple[int, Row, Delimiter] | None = None
    for candidate in (delimiter,) if delimiter else DELIMITERS:
        for row in _first(records(lines, candidate, skipped), HEADER_WITHIN):
            score = len(_found(row, wanted))
            if score and (best is None or score > best[0]):
                best = (score, row, candidate)
    there = _found(best[1], wanted) if best else set()
    missing = [ways for ways in needed if not any(there.issuperset(way) for way in ways)]
    if best is None or missing:
        expected = "; ".join(" or ".join(" and ".join(way) for way in ways) for ways in missing or needed)
        raise BadFile("no_header", f"no header with the columns of the mapping; not found: {expected}")
    return _sheet(lines, best[1], best[2])


def _found(row: Row, wanted: Mapping[str, str]) -> set[str]:
    return {wanted[name] for cell in row.cells if (name := plain(cell)) in wanted}


def _first(rows: Iterator[Row], most: int) -> Iterator[Row]:
    for _, row in zip(range(most), rows, strict=False):
        yield row


def _sheet(lines: list[str], header: Row, delimiter: Delimiter) -> Sheet:
    columns: dict[str, tuple[int, ...]] = {}
    for index, cell in enumerate(header.cells):
        if name := plain(cell):
            columns[name] = (*columns.get(name, ()), index)
    last = max((index for index, cell in enumerate(header.cells) if cell.strip()), default=0)
    after = header.line + sum(cell.count("\n") for cell in header.cells)
    rows = records(lines, delimiter, after, width=last + 1)
    return Sheet(columns, header.line, rows, header.cells)


def records(lines: list[str], delimiter: Delimiter, start: int = 0, width: int = 0) -> Iterator[Row]:
    """Every record that is not blank. `width` is the header's: a quoted cell over several lines whose row does not
    fit it is a quote left open."""
    at = start
    while at < len(lines):
        row, used = _record(lines, at, delimiter, width)
        at += used
        if any(cell.strip() for cell in row.cells):
            yield row


def _record(lines: list[str], at: int, delimiter: Delimiter, width: int) -> tuple[Row, int]:
    text = lines[at]
    if '"' not in text:
        return _shaped(at, text.split(delimiter), width), 1
    for used in range(1, min(MOST_LINES, len(lines) - at) + 1):
        if used > 1 and '"' not in lines[at + used - 1]:
            continue
        cells = _closed("\n".join(lines[at : at + used]), delimiter, strict=used > 1)
        if cells is not None:
            fits = used == 1 or not width or len(_without_tail(cells, width)) == width
            return (_shaped(at, cells, width), used) if fits else (_left_open(at, text, delimiter), 1)
    return _left_open(at, text, delimiter), 1


def _closed(text: str, delimiter: Delimiter, *, strict: bool) -> list[str] | None:
    """The cells, or None while a quote is open: then the line behind is swallowed too. `strict`: what closes a cell of
    an earlier line must be followed by a delimiter, or it is another cell's opening quote."""
    try:
        rows = list(csv.reader([f"{text}\n", _END], delimiter=delimiter, strict=strict))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 2 else None


def _left_open(at: int, text: str, delimiter: Delimiter) -> Row:
    return Row(at + 1, [cell.replace('"', "") for cell in text.split(delimiter)], "quote_open")


def _shaped(at: int, cells: list[str], width: int) -> Row:
    trouble: RowTrouble | None = None
    if width and len(cells) != width:
        trouble = "cells_missing" if len(cells) < width else None
        if any(cell.strip() for cell in cells[width:]):
            trouble = "cells_extra"
    return Row(at + 1, cells, trouble)


def _without_tail(cells: list[str], width: int) -> list[str]:
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells
