"""Reads the body of `PUT …/rota` (docs/interface.md) into rows of minted ids, as far as each row can be read.

Local times enter through the desk's calendar. What cannot be read leaves a hole that the core's rules judge: only a
row whose person or start cannot be known is refused (`monitor.core.rota`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import Any, Literal

from msgspec import UNSET, Struct, structs

from config.policy import Calendar, Policy, parse_duration
from connectors.ports import ApiProblem, EvidenceRow
from monitor.core.inputs import (
    CONDITIONS,
    RAISED_BY,
    VISIT_KINDS,
    Agreed,
    Condition,
    Evidence,
    RotaProblemCode,
    RotaReceived,
    RotaRow,
    VisitKind,
)
from monitor.core.upload import AT_ONCE, RowProblem, Steps, Upload
from monitor.core.views import RotaAnswer, RotaProblem
from monitor.directory import Directory

FIELDS = frozenset(
    {
        "id",
        "service_user",
        "start",
        "end",
        "workers",
        "places",
        "time_critical",
        "late_after",
        "cancelled",
        "kind",
        "conditional",
        "agreed",
    }
)
HEAD = frozenset({"visits", "covers", "complete", "confirm"})
SLICE = 250
"""Rows read between two stops: 20,000 of them at once would hold every check-in up."""
MOST_PLACES = 9
FIRST_YEAR, LAST_YEAR = 1900, 9000
"""As `Calendar.to_utc` reads local times; also keeps `late_at` and the like inside what a datetime can hold."""
MESSAGES: dict[RotaProblemCode, str] = {
    "no_person": "not watched: expected the id of a service user in `service_user`",
    "no_time": "not watched: expected an RFC 3339 time, or a local time without an offset, in `start`",
    "short_visit": "shorter than the least planned visit, or its end cannot be read (spec 7.21)",
    "no_travel_time": "no time to travel between two homes (spec 7.23)",
    "overlap": "overlaps the same care worker's visit before",
    "unknown_worker": "names a care worker whom the directory does not know",
    "no_worker": "names no care worker",
    "time_does_not_exist": "a local time that does not exist that night; read with the offset before the change",
    "time_exists_twice": "a local time that exists twice that night; the first is meant",
    "unknown_field": "has a field that is not known, or whose value cannot be read; it was passed over",
    "off_step": "not in the planning steps of the policy (spec 7.21)",
    "duplicate_id": "has the id of another visit in this upload; watched under an id of its own",
    "person_died": "not watched: it is recorded that this service user has died",
    "wide_window": "has a wider tolerance than what is agreed (spec 21.2: 30 minutes); wider than 4 hours and"
    " than the visit itself it is passed over, and the policy's holds",
    "long_visit": "ends more than a day after its start and is no live-in visit; its arrival is watched all the same",
    "unknown_service_user": "names a service user whom the directory does not know; watched by the id",
}


class Moment(Struct, frozen=True, kw_only=True):
    """A time of the rota as UTC, or None, with what was odd about it."""

    at: datetime | None = None
    trouble: RotaProblemCode | None = None


def read_moment(value: Any, calendar: Calendar, *, day_alone: bool = True) -> Moment:
    """RFC 3339, or a local time without an offset. A year that no rota can mean is no time: the row is refused, and
    the rest of the upload is read. `day_alone`: a day without a time is its local midnight, else it is no time."""
    if not isinstance(value, str):
        return Moment()
    try:
        at = _iso(value)
        if not FIRST_YEAR <= at.year <= LAST_YEAR or not (day_alone or _has_time(value)):
            return Moment()
        if at.tzinfo is not None:
            return Moment(at=at.astimezone(UTC))
        instant, trouble = calendar.to_utc(at)
    except ValueError:
        return Moment()
    return Moment(at=instant, trouble=trouble)


def _iso(text: str) -> datetime:
    """RFC 3339 (5.6) takes `t` and `z` as well, which the standard library does not. Raises ValueError."""
    return datetime.fromisoformat(text.strip().upper())


def _has_time(text: str) -> bool:
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return True
    return False


class Reading(Struct, frozen=True, kw_only=True):
    """What one upload is read with, beside its body."""

    directory: Directory
    calendar: Calendar
    policy: Policy
    upload: str
    evidence: EvidenceRow
    digest: str
    by: str
    lines: Sequence[int] | None = None
    """The number of each row in its file."""
    whole: bool = False
    """A file that is meant to hold all visits."""
    empty: bool | None = None
    """Whether a file has no row, not even one that is none of the visits; None: the visits say it."""


def read_rota(body: dict[str, Any], reading: Reading) -> Steps[RotaReceived]:
    """The whole upload. Uploads of one desk must follow each other. Raises ApiProblem(400) only when it is no upload at
    all."""
    head, rows = _head(body, reading), []
    for row in _rows(body, reading):
        rows.append(row)
        if len(rows) % SLICE == 0:
            yield
    kept = yield from _last_of_each(rows, reading.directory)
    empty = not kept if reading.empty is None else reading.empty
    return structs.replace(head, rows=kept, size=_size(head, kept, whole=reading.whole), empty=empty)


def _size(head: RotaReceived, rows: Sequence[RotaRow], *, whole: bool) -> int | None:
    """Visits: of a file, which covers what it has, all of them; else in a week, of those that it says it covers."""
    visits = sum(1 for row in rows if not row.cancelled)
    if whole:
        return visits
    if not head.complete or head.covers_from is None or head.covers_to is None:
        return None
    days = max((head.covers_to - head.covers_from) / timedelta(days=1), 1.0)
    return ceil(visits * 7 / days)


def _head(body: dict[str, Any], reading: Reading) -> RotaReceived:
    """The upload without its rows."""
    if not isinstance(body.get("visits"), list):
        raise ApiProblem(400, "bad_body", "expected a list of visits", "visits")
    covers_from, covers_to = _covers(body, reading.calendar)
    complete, confirm = body.get("complete", False), body.get("confirm", False)
    if not isinstance(complete, bool) or not isinstance(confirm, bool):
        raise ApiProblem(400, "bad_body", "expected true or false", "complete")
    if complete and (covers_from is None or covers_to is None):
        raise ApiProblem(400, "bad_body", "a complete upload says what it covers: from and to", "covers")
    return RotaReceived(
        upload=reading.upload,
        evidence=Evidence(id=reading.evidence.id, digest=reading.digest),
        rows=(),
        covers_from=covers_from,
        covers_to=covers_to,
        complete=complete,
        confirm=confirm,
        by=reading.by,
    )


def head_problems(body: dict[str, Any]) -> tuple[RotaProblem, ...]:
    """A field beside the visits that nobody knows, as row 0: `complet` is an upload that calls nothing off."""
    covers = body.get("covers")
    if HEAD.issuperset(body) and (not isinstance(covers, dict) or {"from", "to"}.issuperset(covers)):
        return ()
    message = f"the upload itself {MESSAGES['unknown_field']}"
    return (RotaProblem(row=0, visit=None, code="unknown_field", severity="warning", message=message),)


def _rows(body: dict[str, Any], reading: Reading) -> Iterator[RotaRow]:
    for at, item in enumerate(body["visits"]):
        number = at + 1 if reading.lines is None else reading.lines[at]
        yield _row(number, item, reading.directory, reading.calendar, reading.policy)


def _covers(body: dict[str, Any], calendar: Calendar) -> tuple[datetime | None, datetime | None]:
    covers = body.get("covers")
    if covers is None:
        return None, None
    if not isinstance(covers, dict):
        raise ApiProblem(400, "bad_body", "expected an object with from and to", "covers")
    found = []
    for name in ("from", "to"):
        moment = read_moment(covers.get(name), calendar)
        if moment.at is None:
            raise ApiProblem(400, "bad_body", "expected an RFC 3339 or local time", f"covers.{name}")
        found.append(moment.at)
    if found[1] <= found[0]:
        # it would call nothing off, and nobody would know
        raise ApiProblem(400, "bad_body", "expected a time after `from`", "covers.to")
    return found[0], found[1]


def _last_of_each(rows: Sequence[RotaRow], directory: Directory) -> Steps[tuple[RotaRow, ...]]:
    """The same visit twice in one upload: the later row counts. The same id for two different visits: both are
    watched, the earlier one under an id made of person and start (nothing that is a real visit is unwatched)."""
    latest = {row.key: row for row in rows}
    kept = []
    for at, row in enumerate(rows):
        if at and at % AT_ONCE == 0:
            yield
        last = latest[row.key]
        if last.row == row.row:
            kept.append(row)
        elif (
            row.service_user
            and row.start
            and (row.service_user, row.start) != (last.service_user, last.start)
        ):
            outside = f"{directory.outside(row.key)}@{directory.outside(row.service_user)}@{row.start:%Y-%m-%dT%H:%MZ}"
            ref = directory.ref("visit", outside)
            warnings = (*row.warnings, "duplicate_id")
            kept.append(structs.replace(row, key=ref, visit=ref, warnings=warnings))
    return tuple(kept)


def _row(number: int, item: Any, directory: Directory, calendar: Calendar, policy: Policy) -> RotaRow:
    if not isinstance(item, dict):
        return RotaRow(row=number, key=f"row-{number}")
    warnings: list[RotaProblemCode] = []
    if not FIELDS.issuperset(item):
        warnings.append("unknown_field")
    # read as its midnight, a day alone would be a visit at an hour that nobody meant
    start = read_moment(item.get("start"), calendar, day_alone=False)
    end = read_moment(item.get("end"), calendar, day_alone=False)
    warnings += [moment.trouble for moment in (start, end) if moment.trouble is not None]
    person = _text(item.get("service_user"))
    visit = _visit_id(item, person, start)
    workers, unknown = _workers(item.get("workers", []), directory, warnings)
    known = directory.people.get(directory.known("person", person) or "") if person else None
    ref = directory.ref("visit", visit) if visit else None
    return RotaRow(
        row=number,
        key=ref or f"row-{number}",
        visit=ref,
        service_user=directory.ref("person", person) if person else None,
        start=start.at,
        end=_end(start, _kept_length(item, start, end), policy),
        workers=workers,
        unknown_workers=unknown,
        known=known is not None,
        contract=known.view.contract if known is not None else None,
        client_group=known.view.client_group if known is not None else None,
        places=_number(item.get("places", 1), warnings),
        time_critical=_flag(item.get("time_critical", False), warnings),
        cancelled=_flag(item.get("cancelled", False), warnings),
        late_after=_late_after(item.get("late_after"), warnings),
        kind=_kind(item.get("kind"), warnings),
        conditional=_conditional(item.get("conditional"), warnings),
        agreed=_agreed(item.get("agreed"), directory, warnings),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _kept_length(item: dict[str, Any], start: Moment, end: Moment) -> Moment:
    """A visit whose start was moved over the hole of the spring night keeps its planned length."""
    if start.at is None or end.at is None or start.trouble != "time_does_not_exist" or end.at > start.at:
        return end
    ends = _iso(item["end"])
    if ends.tzinfo is not None:
        return end
    length = ends - _iso(item["start"])
    return Moment(at=start.at + length, trouble=end.trouble)


def _end(start: Moment, end: Moment, policy: Policy) -> datetime | None:
    """Without a usable end the visit is watched all the same, as the shortest one: its start is what counts."""
    if start.at is None:
        return None
    if end.at is None or end.at <= start.at:
        return start.at + policy.min_visit - timedelta(minutes=1)
    return end.at


def _visit_id(item: dict[str, Any], person: str | None, start: Moment) -> str | None:
    """The caller's id; without one, person and start name the visit, so that a mended upload finds it again."""
    given = _text(item.get("id"))
    if given is not None or person is None or start.at is None:
        return given
    return f"{person}@{start.at:%Y-%m-%dT%H:%MZ}"


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def _workers(
    value: Any, directory: Directory, warnings: list[RotaProblemCode]
) -> tuple[tuple[str, ...], int]:
    if not isinstance(value, list):
        if value is not None:
            warnings.append("unknown_field")
        return (), 0
    names = [_text(item) for item in value]
    known = [name for name in names if name is not None]
    if len(known) < len(names):
        warnings.append("unknown_field")
    unknown = sum(1 for name in known if directory.known("person", name) not in directory.people)
    return tuple(dict.fromkeys(directory.ref("person", name) for name in known)), unknown


def _number(value: Any, warnings: list[RotaProblemCode]) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_PLACES:
        return value
    warnings.append("unknown_field")
    return 1


def _flag(value: Any, warnings: list[RotaProblemCode]) -> bool:
    if isinstance(value, bool):
        return value
    warnings.append("unknown_field")
    return False


def _kind(value: Any, warnings: list[RotaProblemCode]) -> VisitKind:
    for kind in VISIT_KINDS:
        if value == kind:
            return kind
    if value is not None:
        warnings.append("unknown_field")
    return "visit"


def _conditional(value: Any, warnings: list[RotaProblemCode]) -> Condition | None:
    """A condition that is not known is none: the visit is watched from its planned time."""
    for condition in CONDITIONS:
        if value == condition:
            return condition
    if value is not None:
        warnings.append("unknown_field")
    return None


def _agreed(value: Any, directory: Directory, warnings: list[RotaProblemCode]) -> Agreed | None:
    """A conversation counts only with who had it (a member of staff), who raised it, and when; else the plan may move
    and the deadline does not."""
    if value is None:
        return None
    found = value if isinstance(value, dict) else {}
    name = _text(found.get("by"))
    ref = directory.known("person", name) if name is not None else None
    person = directory.people.get(ref or "")
    raised = next((one for one in RAISED_BY if one == found.get("raised_by")), None)
    at = _instant(found.get("at"))
    if person is None or person.given.role != "staff" or raised is None or at is None:
        warnings.append("unknown_field")
        return None
    return Agreed(by=person.ref, raised_by=raised, at=at)


def _instant(value: Any) -> datetime | None:
    """A time with its offset; None for anything else."""
    try:
        at = _iso(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if at is None or at.tzinfo is None or not FIRST_YEAR <= at.year <= LAST_YEAR:
        return None
    return at.astimezone(UTC)


def _late_after(value: Any, warnings: list[RotaProblemCode]) -> timedelta | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError:
            pass  # named in the warning below
    warnings.append("unknown_field")
    return None


def answer(upload: Upload, directory: Directory, *, of_a_file: bool = False) -> Steps[RotaAnswer]:
    """The contract's answer, in the caller's own ids."""
    problems: list[RotaProblem] = []
    for problem in upload.problems:
        problems.append(_problem(problem, directory, of_a_file))
        if len(problems) % AT_ONCE == 0:
            yield
    return RotaAnswer(
        new=upload.new,
        changed=upload.changed,
        cancelled=upload.cancelled,
        unchanged=upload.unchanged,
        watched=upload.watched,
        problems=tuple(problems),
    )


def _problem(problem: RowProblem, directory: Directory, of_a_file: bool) -> RotaProblem:
    severity: Literal["error", "warning"] = "error" if problem.error else "warning"
    return RotaProblem(
        row=problem.row,
        visit=directory.outside(problem.visit) if problem.visit else None,
        code=problem.code,
        severity=severity,
        message=MESSAGES[problem.code],
        line=problem.row if of_a_file else UNSET,
    )
