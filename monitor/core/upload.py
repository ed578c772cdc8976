"""A rota upload before anything is decided: which rows can be watched, what is wrong with them, what would be
cancelled; and the portions in which it is taken in.

An upload of 20,000 rows is too long for one turn of the loop. So everything here stops now and then (`Steps`), and
whoever runs it may let others go first. Nothing that is a real visit is left unwatched (domain.md): a row is refused
only if whom or when cannot be known; everything else is watched, with a warning (spec 7.21, 7.23).
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from msgspec import Struct, structs

from config.policy import Policy, agreed_with
from monitor.core.inputs import (
    DropReason,
    RefusedRow,
    RotaEnd,
    RotaPortion,
    RotaProblemCode,
    RotaReceived,
    RotaRow,
    RotaTaken,
)
from monitor.core.state import State, Visit
from monitor.core.times import LONGEST, WIDEST

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Work that stops now and then: at each stop others may go first. What it returns is its result."""

AT_ONCE = 500
"""Rows looked at between two stops: 1-3 ms."""
VISITS_AT_ONCE = 4_000
"""Visits of the state looked at between two stops: 1-3 ms."""
MANY = 0.20
"""Cancelling more than this share of what remains waits for confirmation (issue: absence cancels nothing by itself)."""
SOON = timedelta(hours=4)
"""Cancelling a visit that starts within this time waits for confirmation (domain.md, "Nothing … unwatched")."""

STAYS = 0
"""The row of a visit that is not in the upload; rows of an upload begin at 1."""


class RowProblem(Struct, frozen=True, kw_only=True):
    """One row's problem, by its number in the upload."""

    row: int
    visit: str | None
    code: RotaProblemCode
    error: bool


class Plan(Struct, frozen=True, kw_only=True):
    """An upload, judged and held against the state of one moment. Nothing of it is decided yet."""

    upload: RotaReceived
    usable: tuple[RotaRow, ...]
    problems: tuple[RowProblem, ...]
    refuse: tuple[RefusedRow, ...]
    mend: tuple[str, ...]
    """What is not watched until now, and is in order with this upload."""
    cancel: tuple[tuple[str, DropReason], ...]
    given_away: tuple[str, ...] = ()
    """Visits soon to come, or late, whose id is somebody else's in this upload: nobody would be waited for in that
    home."""
    confirm_needed: bool
    """Nothing may be taken in until somebody has confirmed the cancellations."""


class Upload(Struct, frozen=True, kw_only=True):
    """What an upload did; the shell turns it into the contract's answer."""

    new: int
    changed: int
    cancelled: int
    unchanged: int
    watched: int
    problems: tuple[RowProblem, ...]


def outcome(plan: Plan, taken: RotaTaken) -> Upload:
    """What the upload did, when its last portion was taken."""
    return Upload(
        new=taken.new,
        changed=taken.changed,
        cancelled=taken.cancelled,
        unchanged=taken.unchanged,
        watched=len(plan.usable),
        problems=plan.problems,
    )


def finished(steps: Steps[T]) -> T:
    """Go through all steps without a stop."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


def prepared(state: State, upload: RotaReceived, now: datetime) -> Steps[Plan]:
    """Judge the rows and look what the upload would cancel. Decides nothing; the state may change at each stop, and
    each portion is held against it again."""
    kept = {ref_of(row) for row in upload.rows if not row.cancelled}
    dropped, remaining = yield from _compared(state, upload, now, kept)
    stays = yield from _stays(state, upload, {visit.ref for visit in dropped})
    usable, problems = yield from _judged(upload, state, stays)
    given_away = yield from _given_away(state, usable, now)
    called_off = {ref_of(row) for row in upload.rows if row.cancelled}
    refused = {problem.row: problem.code for problem in problems if problem.error}
    return Plan(
        upload=upload,
        usable=tuple(usable),
        problems=tuple(problems),
        refuse=tuple(
            RefusedRow(key=row.key, row=row.row, code=refused[row.row])
            for row in upload.rows
            if row.row in refused
        ),
        mend=_mended(state, upload, refused),
        cancel=tuple(
            (visit.ref, "cancelled_in_rota" if visit.ref in called_off else "dropped_from_rota")
            for visit in dropped
        ),
        given_away=given_away,
        confirm_needed=not upload.confirm
        and (bool(given_away) or _needs_confirmation(dropped, remaining, now)),
    )


# --- the rows by themselves ---


def _judged(
    upload: RotaReceived, state: State, stays: Sequence[RotaRow]
) -> Steps[tuple[list[RotaRow], list[RowProblem]]]:
    policy, died = state.values.policy, state.values.died
    usable: list[RotaRow] = []
    found: dict[int, list[RowProblem]] = {}
    for at, row in enumerate(upload.rows):
        if at and at % AT_ONCE == 0:
            yield
        if row.cancelled:
            continue
        if row.service_user in died:
            # named, and no row that waits to be mended: nobody goes there any more
            _note(found, row, "person_died")
            continue
        error = row_error(row)
        if error is not None:
            _note(found, row, error, error=True)
            continue
        for code in (*row_warnings(row, policy), *_stretched(row, state)):
            _note(found, row, code)
        usable.append(_believed(row))
    yield from _neighbours([*usable, *stays], policy, found)
    problems: list[RowProblem] = []
    for at, number in enumerate(sorted(found)):
        if at and at % AT_ONCE == 0:
            yield
        problems += sorted(found[number], key=lambda problem: (not problem.error, problem.code))
    return usable, problems


def _note(
    found: dict[int, list[RowProblem]], row: RotaRow, code: RotaProblemCode, *, error: bool = False
) -> None:
    problem = RowProblem(row=row.row, visit=row.visit, code=code, error=error)
    found.setdefault(row.row, []).append(problem)


def row_error(row: RotaRow) -> RotaProblemCode | None:
    """Why the row cannot be watched at all, or None."""
    if row.service_user is None:
        return "no_person"
    if row.start is None or row.end is None or row.end <= row.start:
        return "no_time"
    return None


def row_warnings(row: RotaRow, policy: Policy) -> tuple[RotaProblemCode, ...]:
    """What is wrong with a row that is watched all the same (spec 7.21)."""
    if row.start is None or row.end is None:
        return row.warnings
    found: list[RotaProblemCode] = list(row.warnings)
    if row.end - row.start < policy.min_visit:
        found.append("short_visit")
    step = policy.visit_step if row.kind == "visit" else None
    if step and (
        (row.start - datetime.min.replace(tzinfo=row.start.tzinfo)) % step or (row.end - row.start) % step
    ):
        found.append("off_step")
    if not row.workers and not row.unknown_workers:
        found.append("no_worker")
    if row.unknown_workers:
        found.append("unknown_worker")
    if not row.known:
        found.append("unknown_service_user")
    return tuple(found)


LONGEST_STAY = timedelta(days=366)
"""Who lives in is planned for a year at most at a time (ours)."""


def _stretched(row: RotaRow, state: State) -> tuple[RotaProblemCode, ...]:
    """A plan that would keep the watch quiet for longer than was agreed: a tolerance wider than that of the person's
    contract (21.2: 30 minutes, which a visit may tighten), an end more than a day away."""
    assert row.start is not None
    assert row.end is not None
    terms = agreed_with(state.values.contracts, row.contract, row.client_group)
    policy = state.policy_of(terms.digest) if terms is not None else state.values.policy
    found: list[RotaProblemCode] = []
    if row.late_after is not None and row.late_after > policy.tolerance(time_critical=row.time_critical):
        found.append("wide_window")
    if row.end - row.start > (LONGEST_STAY if row.kind == "live_in" else LONGEST):
        found.append("long_visit")
    return tuple(found)


def _believed(row: RotaRow) -> RotaRow:
    """A tolerance beyond all that a policy may state, and beyond the visit itself, is a slip (30 hours for 30 minutes):
    the visit is watched by the tolerance of its policy."""
    if row.late_after is None or row.start is None or row.end is None:
        return row
    own = min(row.end - row.start, LONGEST)
    return row if row.late_after <= max(WIDEST, own) else structs.replace(row, late_after=None)


def _neighbours(rows: Sequence[RotaRow], policy: Policy, found: dict[int, list[RowProblem]]) -> Steps[None]:
    """Each care worker's rows in order of time: overlapping, or without time to travel (spec 7.23). Said of the later
    row of the two, or of the one that is in this upload."""
    runs: dict[str, list[RotaRow]] = {}
    for at, row in enumerate(rows):
        if at and at % AT_ONCE == 0:
            yield
        for worker in row.workers:
            runs.setdefault(worker, []).append(row)
    looked_at = 0
    for run in runs.values():
        run.sort(key=lambda row: (row.start, row.end, row.row))
        for before, after in pairwise(run):
            said_of = after if after.row != STAYS else before
            code = _between(before, after, policy) if said_of.row != STAYS else None
            if code is not None:
                _note(found, said_of, code)
            looked_at += 1
            if looked_at % AT_ONCE == 0:
                yield


def _stays(state: State, upload: RotaReceived, gone: Container[str]) -> Steps[list[RotaRow]]:
    """What is planned already, and stays so, for the care workers of this upload around its times: offices send a
    round at a time, and an overlap of two uploads is one too."""
    named = {ref_of(row) for row in upload.rows}
    starts = [row.start for row in upload.rows if row.start is not None]
    found: list[RotaRow] = []
    if not starts:
        return found
    first, last = min(starts) - LONGEST, max(starts) + LONGEST
    for worker in sorted({worker for row in upload.rows for worker in row.workers}):
        found += (
            _as_row(visit, worker)
            for visit in state.round_of(worker).visits
            if visit.ref not in named and visit.ref not in gone and first <= visit.start <= last
        )
        yield
    return found


def _as_row(visit: Visit, worker: str) -> RotaRow:
    return RotaRow(
        row=STAYS,
        key=visit.ref,
        visit=visit.ref,
        service_user=visit.service_user,
        start=visit.start,
        end=visit.end,
        workers=(worker,),
        kind=visit.kind,
    )


def _between(before: RotaRow, after: RotaRow, policy: Policy) -> RotaProblemCode | None:
    if before.end is None or after.start is None or "live_in" in (before.kind, after.kind):
        return None  # who lives in has free hours, and does other visits in them
    if after.start < before.end:
        return "overlap"
    same_home = before.service_user == after.service_user
    return "no_travel_time" if not same_home and after.start - before.end < policy.travel_between else None


def ref_of(row: RotaRow) -> str:
    """Under which id the row is watched; one without an id of its own still is."""
    return row.visit or row.key


# --- against the state ---


def _compared(
    state: State, upload: RotaReceived, now: datetime, kept: set[str]
) -> Steps[tuple[list[Visit], int]]:
    """The planned visits within `covers` that a complete upload no longer has, and those whose row says that they are
    called off; and how many visits remain that it speaks of. A package's first visit stays until the rota names its
    person or calls it off (`monitor.core.placing.landing`). One that is late, or about which an alert is open, is not
    dropped: moving a plan must not close an alert."""
    called_off = {ref_of(row) for row in upload.rows if row.cancelled} - kept
    begin, end = upload.covers_from, upload.covers_to
    complete = upload.complete and begin is not None and end is not None
    dropped: list[Visit] = []
    remaining = 0
    if not complete and not called_off:
        return dropped, remaining
    visits = state.values.visits
    for at, ref in enumerate(list(visits)):
        if at and at % VISITS_AT_ONCE == 0:
            yield
        visit = visits.get(ref)
        if visit is None or not droppable(visit, now):
            continue
        within = _within(visit, begin, end)
        remaining += within
        if ref in called_off or (complete and within and ref not in kept and visit.placement is None):
            dropped.append(visit)
    return dropped, remaining


def _given_away(state: State, rows: Sequence[RotaRow], now: datetime) -> Steps[tuple[str, ...]]:
    """Visits of the next hours, and those that are late, to which nobody has come, and whose id names another person
    now: as much a visit that is dropped as one that is absent, and nobody could be sent to it any more."""
    visits, found = state.values.visits, []
    for at, row in enumerate(rows):
        if at and at % AT_ONCE == 0:
            yield
        visit = visits.get(ref_of(row))
        if visit is None or visit.service_user == row.service_user:
            continue
        waited_for = not (visit.over or visit.anybody_there or visit.missed)
        if _is_soon(visit, now) and waited_for:
            found.append(visit.ref)
    return tuple(found)


def droppable(visit: Visit, now: datetime) -> bool:
    """Whether an upload may cancel the visit: nobody came, nobody is missed, nothing is open about it."""
    return (
        not visit.cancelled
        and not visit.anybody_there
        and not visit.missed
        and not visit.alerts
        and visit.late_at > now
    )


def _within(visit: Visit, begin: datetime | None, end: datetime | None) -> bool:
    return (begin is None or begin <= visit.start) and (end is None or visit.start < end)


def _is_soon(visit: Visit, now: datetime) -> bool:
    """By what was agreed too: a visit is not called off by moving it to tomorrow first."""
    return min(visit.start, visit.agreed_start) < now + SOON


def _needs_confirmation(dropped: Sequence[Visit], remaining: int, now: datetime) -> bool:
    if not dropped:
        return False
    soon = any(_is_soon(visit, now) for visit in dropped)
    return soon or len(dropped) > MANY * remaining


def _mended(state: State, upload: RotaReceived, refused: dict[int, RotaProblemCode]) -> tuple[str, ...]:
    unwatched = state.values.unwatched
    if not unwatched:
        return ()
    still = {row.key for row in upload.rows if row.row in refused}
    present = {row.key for row in upload.rows}
    return tuple(
        key
        for key in unwatched
        if key not in still and (key in present or upload.complete or key.startswith("row-"))
    )


# --- in portions ---


def portions(plan: Plan, most: int) -> Iterator[RotaPortion]:
    """The upload in portions of at most so many rows, one or more. What is watched more comes first, what is cancelled
    last, and that all of it was taken in last of all: cut off anywhere, an upload has only added to the watch."""
    upload = plan.upload
    rows = len(plan.usable) + len(plan.refuse)
    whole = rows + len(plan.mend) + len(plan.cancel) <= most
    at, length = 0, max(rows + len(plan.mend) + len(plan.cancel), 1)
    while at < length:
        window = _Window(at, at + most)
        yield RotaPortion(
            upload=upload.upload,
            evidence=upload.evidence,
            begins=rows if at == 0 and not whole else None,
            plan=window.of(plan.usable),
            mend=window.of(plan.mend),
            refuse=window.of(plan.refuse),
            cancel=window.of(plan.cancel),
            ends=_end(plan) if at + most >= length else None,
        )
        at += most


def _end(plan: Plan) -> RotaEnd:
    upload = plan.upload
    return RotaEnd(
        refused=len(plan.refuse),
        covers_to=upload.covers_to,
        size=upload.size,
        empty=upload.empty,
        confirmed=upload.confirm,
    )


class _Window:
    """From where to where of several sequences behind each other."""

    def __init__(self, begin: int, end: int) -> None:
        self._begin, self._end = begin, end

    def of(self, items: tuple[T, ...]) -> tuple[T, ...]:
        """What of these lies in it; the next ones lie behind them."""
        found = items[max(self._begin, 0) : max(self._end, 0)]
        self._begin, self._end = self._begin - len(items), self._end - len(items)
        return found
