"""What a rota upload means for the state: which visits are watched, which change, what an absence cancels.

Nothing that is a real visit is left unwatched (domain.md). What is known of an upload by itself, and what it would
cancel, is `monitor.core.upload`; here its portions are decided, each against the state as it is by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal

from config.policy import Policy, agreed_with
from monitor.core import absence, staff_changes, tomorrow
from monitor.core import facts as f
from monitor.core.alerts import end_alert, raise_alert
from monitor.core.inputs import Agreed, PolicyLoaded, RotaEnd, RotaPortion, RotaRow, RotaTaken
from monitor.core.state import (
    ROTA_CUT_OFF,
    ROTA_EMPTY,
    ROTA_HALF,
    ROTA_LOOK,
    ROTA_OLD,
    WEEK,
    Visit,
    rota_deadlines,
)
from monitor.core.times import Times, came_for_another, changed, resolve, watched_end
from monitor.core.upload import droppable, ref_of
from monitor.core.work import Decision, Work

__all__ = ["Times", "replan_for_policy", "resolve", "take"]


def take(work: Work, portion: RotaPortion) -> Decision:
    """One portion of an upload; the last one says that all of it was taken in. What came in between stands: each row is
    planned into the visit as it is now, and what somebody has come to, or misses, meanwhile is not cancelled."""
    if portion.begins is not None:
        work.emit(portion.upload, f.RotaBegun(evidence=portion.evidence, rows=portion.begins))
    counts = {"new": 0, "changed": 0, "unchanged": 0}
    for row in portion.plan:
        counts[plan(work, row)] += 1
    _note_rows(work, portion)
    cancelled = sum(_cancel(work, ref, reason) for ref, reason in portion.cancel)
    before = portion.before
    taken = RotaTaken(
        new=before.new + counts["new"],
        changed=before.changed + counts["changed"],
        unchanged=before.unchanged + counts["unchanged"],
        cancelled=before.cancelled + cancelled,
    )
    if portion.ends is not None:
        _adopt(work, portion, portion.ends, taken)
    return work.decision(answer=taken)


def _cancel(work: Work, ref: str, reason: f.CancelReason) -> int:
    visit = work.visit(ref)
    if visit is None or not droppable(visit, work.now):
        return 0
    work.emit(ref, f.VisitCancelled(reason=reason))
    return 1


def _note_rows(work: Work, portion: RotaPortion) -> None:
    """Rows that are not watched count until they are mended: by a later good row of the same visit, or, for rows
    without an id, by the next upload."""
    unwatched = work.state.values.unwatched
    for key in portion.mend:
        if key in unwatched:
            work.emit(key, f.RowMended())
    for row in portion.refuse:
        if row.key not in unwatched:
            work.emit(row.key, f.RowRefused(row=row.row, code=row.code))


def _adopt(work: Work, portion: RotaPortion, ends: RotaEnd, taken: RotaTaken) -> None:
    _alarm(work)
    short = _short(work, ends)
    _alarm_short(work, ends, short)
    _end(work, ROTA_OLD)
    tomorrow.end_if_mended(work)
    _end(work, ROTA_CUT_OFF, rows=taken.planned + ends.refused)
    work.emit(
        portion.upload,
        f.RotaAdopted(
            evidence=portion.evidence,
            new=taken.new,
            changed=taken.changed,
            cancelled=taken.cancelled,
            unchanged=taken.unchanged,
            refused=ends.refused,
            covers_to=ends.covers_to,
            size=None if short else ends.size,
        ),
    )


def plan(work: Work, row: RotaRow) -> Literal["new", "changed", "unchanged"]:
    """Plan one usable row: new, changed or unchanged."""
    if work.has_died(row.service_user):
        return "unchanged"  # nothing is watched there any more; the upload's answer names the row
    old = work.visit(ref_of(row))
    if old is None or _anew(work, old, row):
        _plan_new(work, row)
        absence.review(work, ref_of(row))
        return "new"
    new = _replanned(work, old, row)
    if new is None:
        if old.placement is not None and not old.adopted:
            work.emit(old.ref, f.FirstVisitAdopted())
        return "unchanged"
    work.emit(ref_of(row), new)
    if new.workers != old.workers:
        staff_changes.replanned(work, ref_of(row))
    absence.review(work, ref_of(row))
    if row.agreed is not None and new.reason == "agreed":
        _record_agreed(work, ref_of(row), row.agreed)
    return "changed"


def _anew(work: Work, old: Visit, row: RotaRow) -> bool:
    """Whether a known visit is watched from the beginning again: it was dropped and is back, it is somebody else's
    now, or a person settled it and it is moved to a time to come. Settled and unmoved, it stays settled."""
    if old.service_user != row.service_user:
        return True
    to_come = row.start is not None and row.start != old.start and row.start > work.now
    if old.resolved:
        return to_come
    return old.cancelled or (to_come and _had_its_time(work, old, row))


WAITED_FOR = ("late_visit", "second_worker_missing", "no_reply", "home_unconfirmed")
"""While one of these is open, a plan that moves does not take the visit away from it."""


def _had_its_time(work: Work, old: Visit, row: RotaRow) -> bool:
    """The id is used again, for another occasion: they have come and gone, or it was missed and nobody is waited for
    any more. What was says nothing about a time to come: nothing that is a real visit is left unwatched."""
    if row.start is None or any(alert.kind in WAITED_FOR for alert in work.open_alerts(old)):
        return False
    if old.anybody_inside:
        return False  # `leaving.next_occasion`, as soon as they have left
    past = came_for_another(old, row.start, work.policy_for(row.service_user or old.service_user))
    return past if old.anybody_there else old.missed


def _plan_new(work: Work, row: RotaRow) -> None:
    assert row.service_user is not None
    assert row.start is not None
    assert row.end is not None
    policy = work.policy_for(row.service_user)
    times = resolve(
        row.start,
        row.end,
        row.late_after,
        time_critical=row.time_critical,
        policy=policy,
        kind=row.kind,
        waits_home=row.conditional is not None,
    )
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
        look_at=times.look_at,
        visit_kind=row.kind,
        agreed=row.agreed is not None,
        conditional=row.conditional,
        placement=row.placement,
    )
    work.emit(ref_of(row), planned)


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
        and old.kind == row.kind
        and old.conditional == row.conditional
    )
    if same:
        return None
    policy = work.policy_for(row.service_user)
    frozen = bool(old.alerts) or old.missed or old.agreed or old.agreed_start - work.now < policy.plan_freeze
    spoken = _spoken_about(old, row)
    # what waits for *home confirmed* has no clock yet that a change could put back
    waits = old.waits_home and (row.conditional is not None or old.returns is not None)
    frozen = frozen and not spoken and not waits
    agreed = old.agreed_start if frozen else row.start
    times = resolve(
        agreed,
        max(row.end, agreed),
        row.late_after,
        time_critical=row.time_critical,
        policy=policy,
        kind=row.kind,
        waits_home=waits,
    )
    return f.VisitReplanned(
        start=row.start,
        end=row.end,
        agreed_start=agreed,
        late_at=min(times.late_at, old.late_at) if frozen else times.late_at,
        missed_at=min(times.missed_at, old.missed_at) if frozen else times.missed_at,
        # who is inside since an earlier occasion of the same id is looked for at the time of that one
        overrun_at=old.overrun_at
        if old.anybody_inside and came_for_another(old, row.start, policy)
        else watched_end(row.start, row.end, row.kind) + policy.overrun_after,
        workers=row.workers,
        places=places,
        time_critical=row.time_critical,
        late_after=row.late_after,
        look_at=times.look_at,
        visit_kind=row.kind,
        conditional=row.conditional,
        reason="agreed" if spoken else "rota",
    )


def _spoken_about(old: Visit, row: RotaRow) -> bool:
    """Whether a named person has agreed the row's time. What somebody has come to, or is missed, is past agreeing."""
    return row.agreed is not None and row.start != old.start and not old.anybody_there and not old.missed


def _record_agreed(work: Work, ref: str, said: Agreed) -> None:
    """Who agreed it, who raised it, when; an alert about a time that is to come now is over."""
    visit = work.visit(ref)
    action = f.ActionRecorded(action="agree_change", by=said.by, done_at=said.at, raised_by=said.raised_by)
    work.emit(ref, action)
    for alert in work.open_alerts(visit) if visit is not None and visit.start > work.now else []:
        if alert.kind in ("late_visit", "home_unconfirmed"):
            end_alert(work, alert, "outcome_recorded", by=said.by, outcome="agreed_change")


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


def _short(work: Work, ends: RotaEnd) -> str:
    """Whether visits went missing, of a desk that had a rota (domain.md: an empty rota is a silent watch): all of them,
    or more than half of what there were a week ago, and last."""
    values = work.state.values
    if ends.confirmed or values.rota_at is None:
        return ""
    if ends.empty:
        return ROTA_EMPTY
    today = work.state.calendar.day(work.now)
    sizes = values.rota_sizes
    last = sizes[max(sizes)] if sizes else 0
    usual = min(last, sizes.get(today - WEEK, last))
    return ROTA_HALF if ends.size is not None and ends.size * 2 < usual else ""


def _alarm_short(work: Work, ends: RotaEnd, short: str) -> None:
    told = {alert.reason for alert in work.all_open_alerts() if alert.kind == "rota"}
    if short and short not in told:
        raise_alert(work, "rota", reason=short, count=ends.size or 0)
    if not ends.empty or ends.confirmed:
        _end(work, ROTA_EMPTY)
    if not short and (ends.size is not None or ends.confirmed):
        _end(work, ROTA_HALF)


def on_deadline(work: Work, due_at: datetime) -> None:
    """An upload was cut off and did not come again, or none came for `rota_old_after`: what was planned since is
    watched by nobody. Or it is the time of day to look at tomorrow."""
    values = work.state.values
    for reason, at in rota_deadlines(values, work.state.calendar).items():
        if at == due_at and reason == ROTA_LOOK:
            tomorrow.look(work, due_at)
        elif at == due_at:
            rows = values.rota_begun.rows if reason == ROTA_CUT_OFF and values.rota_begun else 0
            raise_alert(work, "rota", reason=reason, due_at=due_at, count=rows)


def _end(work: Work, reason: str, rows: int | None = None) -> None:
    """What was told of is over; of an upload that was cut off, by one that has as many rows."""
    for alert in work.all_open_alerts():
        if alert.kind == "rota" and alert.reason == reason and (rows is None or alert.count <= rows):
            end_alert(work, alert, "outcome_recorded", outcome="mended")


def replan_for_policy(work: Work, loaded: PolicyLoaded) -> None:
    """A policy change re-plans only visits that are not yet due, by a fact; others keep what they had."""

    def policy_for(service_user: str) -> Policy:
        person = work.ctx.people.person(service_user) if loaded.contracts else None
        if person is None:
            return loaded.policy
        agreed = agreed_with(loaded.contracts, person.contract, person.client_group)
        return agreed.policy if agreed is not None else loaded.policy

    replan(work, list(work.state.values.visits.values()), policy_for)


def replan_for_people(work: Work, people: Iterable[str]) -> None:
    """Somebody's contract may be another one: their visits that are not yet due have its tolerance."""
    if not work.state.values.contracts:
        return
    refs = [ref for person in people for ref in sorted(work.state.by_service_user.get(person, ()))]
    replan(work, [visit for ref in refs if (visit := work.visit(ref)) is not None], work.policy_for)


def replan(work: Work, visits: Iterable[Visit], policy_for: Callable[[str], Policy]) -> None:
    """Their deadlines by another policy, as far as they are not yet due."""
    for visit in visits:
        due = min(visit.start, visit.agreed_start) <= work.now
        if visit.over or visit.anybody_there or visit.alerts or due:
            continue
        # what the freeze has held back stays held back: a wider tolerance, and an end that moved with its start
        own = None if visit.late_after is None else visit.late_at - visit.agreed_start
        times = resolve(
            visit.agreed_start,
            visit.end - max(visit.start - visit.agreed_start, timedelta()),
            own,
            time_critical=visit.time_critical,
            policy=policy_for(visit.service_user),
            kind=visit.kind,
            waits_home=visit.waits_home,
        )
        new = {name: getattr(times, name) for name in Times.__struct_fields__}
        ends = watched_end(visit.start, visit.end, visit.kind)
        new["overrun_at"] = ends + policy_for(visit.service_user).overrun_after
        if any(getattr(visit, name) != value for name, value in new.items()):
            work.emit(visit.ref, changed(visit, "policy", **new))


def agreed(work: Work, visit: Visit, start: datetime, end: datetime) -> f.VisitReplanned:
    """Another time, agreed with the service user: the deadline and what was promised move with it."""
    times = resolve(
        start,
        end,
        visit.late_after,
        time_critical=visit.time_critical,
        policy=work.policy_for(visit.service_user),
        kind=visit.kind,
        waits_home=visit.waits_home,
    )
    new = {name: getattr(times, name) for name in Times.__struct_fields__}
    return changed(visit, "agreed", start=start, end=end, agreed_start=start, **new)
