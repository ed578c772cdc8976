"""What a rota upload means: which visits are watched, which rows are warned about, what an absence cancels.

Nothing that is a real visit is left unwatched (domain.md): a row is refused only if whom or when cannot be known.
Everything else is watched, with a warning where the spec's planning rules are broken (7.21, 7.23).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from config.policy import Policy
from monitor.core import facts as f
from monitor.core.alerts import end_alert, raise_alert
from monitor.core.inputs import PolicyLoaded, RotaProblemCode, RotaReceived, RotaRow
from monitor.core.state import ROTA_OLD, Visit, rota_deadline
from monitor.core.times import Times, resolve
from monitor.core.work import Decision, Refusal, Work

__all__ = [
    "RowProblem",
    "Times",
    "Upload",
    "receive",
    "replan_for_policy",
    "resolve",
    "row_error",
    "row_warnings",
]

MANY = 0.20
"""Cancelling more than this share of what remains waits for confirmation (issue: absence cancels nothing by itself)."""
SOON = timedelta(hours=4)
"""Cancelling a visit that starts within this time waits for confirmation (domain.md, "Nothing … unwatched")."""


class RowProblem(Struct, frozen=True, kw_only=True):
    """One row's problem, by its number in the upload."""

    row: int
    visit: str | None
    code: RotaProblemCode
    error: bool


class Upload(Struct, frozen=True, kw_only=True):
    """What an upload did; the shell turns it into the contract's answer."""

    new: int
    changed: int
    cancelled: int
    unchanged: int
    watched: int
    problems: tuple[RowProblem, ...]


def receive(work: Work, upload: RotaReceived) -> Decision:
    """Take a whole upload, or refuse it whole until the cancellations are confirmed."""
    usable, problems = _sift(work, upload)
    dropped = _dropped(work, upload, {_ref(row) for row in upload.rows if not row.cancelled})
    if not upload.confirm and _needs_confirmation(work, upload, dropped):
        would = [visit.ref for visit in dropped]
        return Decision(refusal=Refusal(code="confirm_needed", detail={"cancels": would}))
    counts = {"new": 0, "changed": 0, "unchanged": 0}
    for row in usable:
        counts[_plan(work, row)] += 1
    called_off = {_ref(row) for row in upload.rows if row.cancelled}
    for visit in dropped:
        reason: f.CancelReason = "cancelled_in_rota" if visit.ref in called_off else "dropped_from_rota"
        work.emit(visit.ref, f.VisitCancelled(reason=reason))
    _note_rows(work, upload, problems)
    _alarm(work)
    _no_longer_old(work)
    refused = sum(1 for problem in problems if problem.error)
    adopted = f.RotaAdopted(
        evidence=upload.evidence,
        cancelled=len(dropped),
        refused=refused,
        covers_to=upload.covers_to,
        **counts,
    )
    work.emit(upload.upload, adopted)
    answer = Upload(cancelled=len(dropped), watched=len(usable), problems=tuple(problems), **counts)
    return work.decision(answer=answer)


def _sift(work: Work, upload: RotaReceived) -> tuple[list[RotaRow], list[RowProblem]]:
    policy = work.policy()
    usable: list[RotaRow] = []
    problems: list[RowProblem] = []
    for row in upload.rows:
        if row.cancelled:
            continue
        error = row_error(row)
        if error is not None:
            problems.append(RowProblem(row=row.row, visit=row.visit, code=error, error=True))
            continue
        usable.append(row)
        problems += [
            RowProblem(row=row.row, visit=row.visit, code=code, error=False)
            for code in row_warnings(row, policy)
        ]
    problems += _neighbours(usable, policy)
    return usable, sorted(problems, key=lambda problem: (problem.row, not problem.error, problem.code))


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
    step = policy.visit_step
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


def _neighbours(rows: list[RotaRow], policy: Policy) -> list[RowProblem]:
    """Each care worker's rows in order of time: overlapping, or without time to travel (spec 7.23)."""
    found = []
    runs: dict[str, list[RotaRow]] = {}
    for row in rows:
        for worker in row.workers:
            runs.setdefault(worker, []).append(row)
    for run in runs.values():
        run.sort(key=lambda row: (row.start, row.end, row.row))
        for before, after in pairwise(run):
            code = _between(before, after, policy)
            if code is not None:
                found.append(RowProblem(row=after.row, visit=after.visit, code=code, error=False))
    return found


def _between(before: RotaRow, after: RotaRow, policy: Policy) -> RotaProblemCode | None:
    if before.end is None or after.start is None:
        return None
    if after.start < before.end:
        return "overlap"
    same_home = before.service_user == after.service_user
    return "no_travel_time" if not same_home and after.start - before.end < policy.travel_between else None


def _ref(row: RotaRow) -> str:
    """Under which id the row is watched; one without an id of its own still is."""
    return row.visit or row.key


def _dropped(work: Work, upload: RotaReceived, kept: set[str]) -> list[Visit]:
    """The planned visits within `covers` that a complete upload no longer has, and those whose row says that they are
    called off. One that is late, or about which an alert is open, is not dropped: moving a plan must not close an
    alert."""
    called_off = {_ref(row) for row in upload.rows if row.cancelled} - kept
    complete = upload.complete and upload.covers_from is not None and upload.covers_to is not None
    if not complete and not called_off:
        return []
    begin, end = upload.covers_from, upload.covers_to
    return [
        visit
        for visit in _droppable(work)
        if visit.ref in called_off or (complete and visit.ref not in kept and _within(visit, begin, end))
    ]


def _remaining(work: Work, upload: RotaReceived) -> list[Visit]:
    return [visit for visit in _droppable(work) if _within(visit, upload.covers_from, upload.covers_to)]


def _within(visit: Visit, begin: datetime | None, end: datetime | None) -> bool:
    return (begin is None or begin <= visit.start) and (end is None or visit.start < end)


def _droppable(work: Work) -> list[Visit]:
    return [
        visit
        for visit in work.state.values.visits.values()
        if not visit.cancelled
        and not visit.anybody_there
        and not visit.missed
        and not visit.alerts
        and visit.late_at > work.now
    ]


def _needs_confirmation(work: Work, upload: RotaReceived, dropped: list[Visit]) -> bool:
    if not dropped:
        return False
    soon = any(visit.start < work.now + SOON for visit in dropped)
    return soon or len(dropped) > MANY * len(_remaining(work, upload))


def _plan(work: Work, row: RotaRow) -> str:
    """Plan one usable row: new, changed or unchanged."""
    old = work.visit(_ref(row))
    if old is None or _anew(work, old, row):
        _plan_new(work, row)
        return "new"
    new = _replanned(work, old, row)
    if new is None:
        return "unchanged"
    work.emit(_ref(row), new)
    return "changed"


def _anew(work: Work, old: Visit, row: RotaRow) -> bool:
    """Whether a known visit is watched from the beginning again: it was dropped and is back, it is somebody else's
    now, or a person settled it and it is moved to a time to come. Settled and unmoved, it stays settled."""
    if old.service_user != row.service_user:
        return True
    if old.resolved:
        return row.start is not None and row.start != old.start and row.start > work.now
    return old.cancelled


def _plan_new(work: Work, row: RotaRow) -> None:
    assert row.service_user is not None
    assert row.start is not None
    assert row.end is not None
    times = resolve(row.start, row.end, row.late_after, time_critical=row.time_critical, policy=work.policy())
    planned = f.VisitPlanned(
        service_user=row.service_user,
        start=row.start,
        end=row.end,
        late_at=times.late_at,
        missed_at=times.missed_at,
        overrun_at=times.overrun_at,
        workers=row.workers,
        places=max(row.places, len(row.workers), 1),
        time_critical=row.time_critical,
        late_after=row.late_after,
    )
    work.emit(_ref(row), planned)


def _replanned(work: Work, old: Visit, row: RotaRow) -> f.VisitReplanned | None:
    """The change, or None. Within `plan_freeze` of its start, or while an alert is open, the plan may move but not
    the deadline nor what was agreed (domain.md, "Agreed, planned, actual")."""
    assert row.start is not None
    assert row.end is not None
    places = max(row.places, len(row.workers), 1)
    same = (
        old.start == row.start
        and old.end == row.end
        and old.workers == row.workers
        and len(old.places) == places
        and old.time_critical == row.time_critical
        and old.late_after == row.late_after
    )
    if same:
        return None
    policy = work.policy()
    frozen = bool(old.alerts) or old.missed or old.agreed_start - work.now < policy.plan_freeze
    agreed = old.agreed_start if frozen else row.start
    times = resolve(
        agreed, max(row.end, agreed), row.late_after, time_critical=row.time_critical, policy=policy
    )
    return f.VisitReplanned(
        start=row.start,
        end=row.end,
        agreed_start=agreed,
        late_at=min(times.late_at, old.late_at) if frozen else times.late_at,
        missed_at=times.missed_at,
        overrun_at=row.end + policy.overrun_after,
        workers=row.workers,
        places=places,
        time_critical=row.time_critical,
        late_after=row.late_after,
        reason="rota",
    )


def _note_rows(work: Work, upload: RotaReceived, problems: list[RowProblem]) -> None:
    """Rows that are not watched count until they are mended: by a later good row of the same visit, or, for rows
    without an id, by the next upload."""
    refused = {problem.row: problem.code for problem in problems if problem.error}
    keys = {row.key for row in upload.rows if row.row in refused}
    present = {row.key for row in upload.rows}
    for key in list(work.state.values.unwatched):
        gone = upload.complete or key.startswith("row-")
        if key not in keys and (key in present or gone):
            work.emit(key, f.RowMended())
    for row in upload.rows:
        if row.row in refused and row.key not in work.state.values.unwatched:
            work.emit(row.key, f.RowRefused(row=row.row, code=refused[row.row]))


def _alarm(work: Work) -> None:
    """Rows that are not watched are the office's until they are mended; the alert ends with the last of them."""
    rows = set(work.state.values.unwatched)
    for draft in work.drafts:
        if isinstance(draft.body, f.RowRefused):
            rows.add(draft.subject)
        elif isinstance(draft.body, f.RowMended):
            rows.discard(draft.subject)
    raised = [a for a in work.all_open_alerts() if a.kind == "rota" and a.reason == "rows_not_watched"]
    if rows and not raised:
        raise_alert(work, "rota", reason="rows_not_watched", count=len(rows))
    for alert in raised if not rows else []:
        end_alert(work, alert, "outcome_recorded", outcome="mended")


def on_deadline(work: Work, due_at: datetime) -> None:
    """No rota was uploaded for `rota_old_after`: what was planned since is watched by nobody."""
    if rota_deadline(work.state.values) == due_at:
        raise_alert(work, "rota", reason=ROTA_OLD, due_at=due_at)


def _no_longer_old(work: Work) -> None:
    for alert in work.all_open_alerts():
        if alert.kind == "rota" and alert.reason == ROTA_OLD:
            end_alert(work, alert, "outcome_recorded", outcome="mended")


def replan_for_policy(work: Work, loaded: PolicyLoaded) -> None:
    """A policy change re-plans only visits that are not yet due, by a fact; others keep what they had."""
    for visit in list(work.state.values.visits.values()):
        if visit.over or visit.anybody_there or visit.alerts or visit.start <= work.now:
            continue
        times = resolve(
            visit.agreed_start,
            visit.end,
            visit.late_after,
            time_critical=visit.time_critical,
            policy=loaded.policy,
        )
        if (times.late_at, times.missed_at, times.overrun_at) == (
            visit.late_at,
            visit.missed_at,
            visit.overrun_at,
        ):
            continue
        work.emit(
            visit.ref,
            f.VisitReplanned(
                start=visit.start,
                end=visit.end,
                agreed_start=visit.agreed_start,
                late_at=times.late_at,
                missed_at=times.missed_at,
                overrun_at=times.overrun_at,
                workers=visit.workers,
                places=len(visit.places),
                time_critical=visit.time_critical,
                late_after=visit.late_after,
                reason="policy",
            ),
        )
