"""A file of another vendor's, handed to the desk: by HTTP and by the feeds, through the very same entry as our JSON.

Parsing happens off the loop. What the desk says of a row and what the file did to it become one list of problems, each
with the physical line on which its row starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct, structs

from config.policy import Calendar
from config.settings import Mapping as CsvMapping
from connectors.csv_files import (
    MESSAGES,
    Event,
    FileProblem,
    Items,
    read_checkin_file,
    read_people_file,
    read_rota_file,
)
from connectors.ports import Degraded, Desks, EdgeError, SeenCheckIn
from monitor.core.views import CheckInAnswer, PeopleAnswer, PeopleProblem, RotaAnswer, RotaProblem

_NATURAL = ("device", "worker", "id", "visit", "service_user", "tag")
AT_ONCE = 200
"""Check-ins decided before the loop is free again."""


class LineProblem(Struct, frozen=True, kw_only=True):
    """One line's problem of a file of check-ins. `error`: the row had no effect."""

    row: int
    line: int
    id: str | None
    code: str
    severity: str
    message: str


class SeenFile(Struct, frozen=True, kw_only=True):
    """A file of check-ins, read and ready to be decided, in the order in which things happened."""

    seen: tuple[SeenCheckIn, ...]
    lines: tuple[int, ...]
    problems: tuple[LineProblem, ...]
    heartbeat: datetime | None
    newest: datetime | None
    """The newest time of a check-in."""


# --- rota and people ---


async def put_rota(
    desks: Desks, desk: str, mapping: CsvMapping, body: bytes, by: str, *, confirm: bool = False
) -> RotaAnswer:
    """One file, one upload. Raises BadFile (400) when no row can be used, ApiProblem(409, confirm_needed): nothing was
    applied."""
    return await put_rota_rows(desks, desk, await read_rota(mapping, body), by, confirm=confirm)


async def read_rota(mapping: CsvMapping, body: bytes) -> Items:
    """The rows, read off the loop. Raises BadFile."""
    return await asyncio.to_thread(read_rota_file, mapping, body)


async def put_rota_rows(
    desks: Desks, desk: str, read: Items, by: str, *, confirm: bool = False, complete: bool = True
) -> RotaAnswer:
    """The rows of one file, one upload. `complete` False: nothing is cancelled by it. Raises as `put_rota`."""
    visits = [item for item in read.items if complete or not item.get("cancelled")]
    lines = [
        line
        for line, item in zip(read.lines, read.items, strict=True)
        if complete or not item.get("cancelled")
    ]
    upload: dict[str, Any] = {"visits": visits}
    if read.covers is not None and complete:
        upload |= {"complete": True, "covers": dict(zip(("from", "to"), read.covers, strict=True))}
    if confirm:
        upload["confirm"] = True
    whole, empty = read.covers is not None, not read.items
    answer = await desks.put_rota(desk, upload, by, lines=lines, whole=whole, empty=empty)
    # of 20,000 rows there may be 60,000
    return structs.replace(answer, problems=await asyncio.to_thread(_rota_problems, answer, read))


def _rota_problems(answer: RotaAnswer, read: Items) -> tuple[RotaProblem, ...]:
    ids = {line: item.get("id") for line, item in zip(read.lines, read.items, strict=True)}
    about: dict[int, str | None] = {problem.row: problem.visit for problem in answer.problems}
    kept, refused = _explained(answer.problems, read.problems)
    ours = [
        RotaProblem(
            row=problem.line,
            visit=about.get(problem.line) or ids.get(problem.line),
            code=problem.code,  # type: ignore[arg-type]  # of the closed list, by the test of the messages
            severity="error" if refused.get(problem.line) in problem.replaces else "warning",
            message=MESSAGES[problem.code],
            line=problem.line,
        )
        for problem in read.problems
    ]
    return tuple(sorted([*kept, *ours], key=lambda one: (one.row, one.severity, one.code)))


def _explained(
    said: Sequence[RotaProblem], found: Sequence[FileProblem]
) -> tuple[list[RotaProblem], dict[int, str]]:
    """What the desk says of a row, without what the file's own problem says better; and why it refused which row."""
    better: dict[int, set[str]] = {}
    for problem in found:
        better.setdefault(problem.line, set()).update(problem.replaces)
    kept = [problem for problem in said if problem.code not in better.get(problem.row, ())]
    return kept, {problem.row: problem.code for problem in said if problem.severity == "error"}


async def put_people(desks: Desks, desk: str, mapping: CsvMapping, body: bytes) -> PeopleAnswer:
    """One file, one upload; a person keeps what the file does not name. Raises BadFile (400), ApiProblem(409)."""
    read = await asyncio.to_thread(read_people_file, mapping, body)
    answer = await desks.put_people(desk, read.items, lines=read.lines, partial=True)
    ids = {line: item.get("id") for line, item in zip(read.lines, read.items, strict=True)}
    ours = [
        PeopleProblem(
            row=problem.line,
            id=ids.get(problem.line),
            code=problem.code,
            severity="warning",
            message=MESSAGES[problem.code],
            line=problem.line,
        )
        for problem in read.problems
    ]
    problems = tuple(sorted([*answer.problems, *ours], key=lambda one: (one.row, one.severity, one.code)))
    return structs.replace(answer, problems=problems)


# --- check-ins ---


async def read_checkins(
    desks: Desks, desk: str, mapping: CsvMapping, body: bytes, *, manual: bool
) -> SeenFile:
    """The check-ins of a file as they were seen. `manual`: an office's own upload, never electronic (spec 21.3).

    Raises BadFile (400) when no row of it can be used."""
    calendar = desks.calendar(desk)
    seen = await asyncio.to_thread(_seen_file, mapping, body, calendar, manual)
    devices = {one.device for one in seen.seen if one.device is not None}
    strangers = {device for device in devices if desks.desk_of_device(device) not in (None, desk)}
    return _without(seen, strangers, desks, desk) if strangers else seen


def _without(seen: SeenFile, strangers: set[str], desks: Desks, desk: str) -> SeenFile:
    """A feed speaks for any device of its desk, and for no other desk's (devices.md, "Trust")."""
    pairs = list(zip(seen.lines, seen.seen, strict=True))
    refused = [line for line, one in pairs if one.device in strangers]
    for _ in refused:
        desks.counted(desk, "file", "unknown_device")
    own = [(line, one) for line, one in pairs if one.device not in strangers]
    found = [_line_problem(FileProblem(line=line, code="identity", error=True)) for line in refused]
    return structs.replace(
        seen,
        seen=tuple(one for _, one in own),
        lines=tuple(line for line, _ in own),
        problems=tuple(sorted([*seen.problems, *found], key=lambda one: one.line)),
    )


def _seen_file(mapping: CsvMapping, body: bytes, calendar: Calendar, manual: bool) -> SeenFile:
    read = read_checkin_file(mapping, body)
    problems = list(read.problems)
    timed = [(_utc(event, calendar, problems), event) for event in read.events]
    timed.sort(key=lambda pair: (pair[0], pair[1].order, pair[1].line))
    beat = read.heartbeat
    return SeenFile(
        seen=tuple(_seen(event, at, manual) for at, event in timed),
        lines=tuple(event.line for _, event in timed),
        problems=tuple(_line_problem(problem) for problem in sorted(problems, key=lambda one: one.line)),
        heartbeat=None if beat is None else _instant(beat, calendar)[0],
        newest=max((at for at, _ in timed), default=None),
    )


def _instant(at: datetime, calendar: Calendar) -> tuple[datetime, str | None]:
    return (at.astimezone(UTC), None) if at.tzinfo is not None else calendar.to_utc(at)


def _utc(event: Event, calendar: Calendar, problems: list[FileProblem]) -> datetime:
    at, trouble = _instant(event.at, calendar)
    if trouble is not None:
        problems.append(FileProblem(line=event.line, code=trouble, about=event.values.get("id")))
    return at


def _seen(event: Event, at: datetime, manual: bool) -> SeenCheckIn:
    """The natural key names the event, not the row: a row that gains its departure brings the departure alone."""
    values = event.values
    device = values.get("device")
    device = device if device is None or ":" in device else f"callwatch:{device}"
    by_hand = manual or event.manual
    said = {"kind": event.kind, "at": at, "manual": by_hand} | values
    parts = ("file", event.kind, at.isoformat(), *(str(values.get(name, "")) for name in _NATURAL))
    lat, lon = values.get("lat"), values.get("lon")
    there = (
        lat is not None and lon is not None and (lat, lon) != (0, 0) and abs(lat) <= 90 and abs(lon) <= 180
    )
    return SeenCheckIn(
        source="file",
        kind=event.kind,  # type: ignore[arg-type]  # one of csv_files.KINDS
        at=at,
        device=device,
        natural_key="|".join(parts),
        raw=msgspec.json.encode(said),
        id=f"{values.get('id') or values.get('visit') or event.line}:{event.kind}",
        worker=values.get("worker"),
        service_user=values.get("service_user"),
        visit=values.get("visit"),
        tag=values.get("tag"),
        lat=lat if there else None,
        lon=lon if there else None,
        accuracy_m=values.get("accuracy_m") if there else None,
        manual=by_hand,
    )


def _line_problem(problem: FileProblem) -> LineProblem:
    return LineProblem(
        row=problem.line,
        line=problem.line,
        id=problem.about,
        code=problem.code,
        severity="error" if problem.error else "warning",
        message=MESSAGES[problem.code],
    )


Taken = Callable[[SeenCheckIn, CheckInAnswer], None]


async def hand_in(desks: Desks, desk: str, seen: Sequence[SeenCheckIn], taken: Taken) -> None:
    """Decide them in order, and wait until each is on disk: then `taken` hears of it. Raises Degraded: what is not on
    disk is to be given again."""
    for first in range(0, len(seen), AT_ONCE):
        part = seen[first : first + AT_ONCE]
        futures = [desks.check_in(desk, one) for one in part]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        for one, answer in zip(part, answers, strict=True):
            if isinstance(answer, EdgeError) and not isinstance(answer, Degraded):
                # one that cannot be decided is put aside; the others go on
                await desks.quarantine("file", answer.reason, one.raw, desk)
                refused = CheckInAnswer(id=one.id, stored=False, outcome="quarantined", visit=None, seq=None)
                taken(one, refused)
            elif not isinstance(answer, BaseException):
                taken(one, answer)
        failed = [
            one
            for one in answers
            if isinstance(one, Degraded) or not isinstance(one, EdgeError | CheckInAnswer)
        ]
        if failed:
            raise failed[0]
