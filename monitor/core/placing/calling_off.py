"""A first visit that stands in the provider's own desk, and that nobody wants any more: its package was withdrawn, or
is with somebody else.

It came by a machine, so a machine calls it off, by the same road: as long as it is as it came. An office that has put a
person or a care worker to it, or anything else that only people do, has made it its own: then it stays watched and the
office is told, because a visit that is called off though somebody waits for it is worse than a false alarm.
"""

from __future__ import annotations

from monitor.core import facts as f
from monitor.core import notices
from monitor.core.placing import facts as p
from monitor.core.placing import telling
from monitor.core.placing.clock import overdue_at
from monitor.core.placing.inputs import CallOffSettled, CallOffTold, KeptReason
from monitor.core.state import Message, Visit
from monitor.core.upload import droppable
from monitor.core.work import Decision, Refusal, Work

CALLED_OFF, KEPT = "OC-194", "OC-195"
"""To the first on duty of the provider's desk: nobody need go; it stays until they call it off themselves."""


# --- in the provider's desk ---


def told(work: Work, seen: CallOffTold) -> Decision:
    """The visit is called off, or kept, once, however often it is told. Answers a `CallOffOutcome`."""
    visit = work.visit(seen.visit)
    if visit is None:
        return work.decision(answer="not_there")
    if visit.package_over:
        return work.decision(answer="called_off" if visit.package_over == "called_off" else "kept")
    if visit.cancelled:
        return work.decision(answer="called_off")
    why = own(work, visit, seen)
    if why is None:
        work.emit(visit.ref, f.VisitCancelled(reason="called_off_by_council"))
    else:
        work.emit(visit.ref, f.FirstVisitKept(reason=why))
    _tell_office(work, visit, CALLED_OFF if why is None else KEPT)
    return work.decision(answer="called_off" if why is None else "kept")


def own(work: Work, visit: Visit, came: CallOffTold) -> KeptReason | None:
    """Why the visit is its office's own; None: it is as it came."""
    if visit.placement != came.placement:
        return "in_rota"
    if work.ctx.people.person(visit.service_user) is not None:
        return "person_named"
    if visit.away is not None:
        return "away"
    if not droppable(visit, work.now) or visit.alerted or visit.resolved:
        return "under_way"
    if visit.workers or visit.said:
        return "worker_planned"
    if not _as_it_came(visit, came):
        return "changed"
    if not set(work.state.by_service_user.get(visit.service_user, ())) <= {visit.ref}:
        return "other_visits"
    return "in_rota" if visit.adopted else None


def _as_it_came(visit: Visit, came: CallOffTold) -> bool:
    return (visit.start, visit.end, visit.time_critical) == (came.start, came.end, came.time_critical) and (
        visit.kind == "visit"
        and len(visit.places) == 1
        and visit.late_after is None
        and visit.conditional is None
        and not visit.agreed
    )


def _tell_office(work: Work, visit: Visit, words: str) -> None:
    on_duty = notices.on_duty(work, visit.service_user)
    if on_duty is not None:
        notices.text(work, on_duty.ref, words, visit=visit, at=visit.start)


def pointless(work: Work, message: Message) -> str | None:
    """The office need not name the person of a visit that was called off before its text left."""
    visit = work.visit(message.visit)
    return "called_off" if visit is not None and visit.package_over and visit.cancelled else None


# --- in the council's desk ---


def settled(work: Work, seen: CallOffSettled) -> Decision:
    """What became of it stands on the provider's disk."""
    placement = work.placement(seen.placement)
    offs = placement.call_offs if placement is not None else ()
    if placement is None or seen.index >= len(offs) or offs[seen.index].desk != seen.desk:
        return Decision(refusal=Refusal(code="not_found"))
    off = offs[seen.index]
    if off.outcome is None:
        known = p.FirstVisitCalledOff(
            index=seen.index, provider=off.provider, desk=off.desk, outcome=seen.outcome
        )
        work.emit(placement.ref, known, policy=placement.policy)
    return work.decision(answer=placement.ref)


def on_not_called_off(work: Work, ref: str) -> None:
    """It is not known for long what became of it: a person rings them. It is tried on all the same."""
    placement = work.placement(ref)
    if placement is None:
        return
    for index, off in enumerate(placement.call_offs):
        if off.outcome is None and off.missed_at is None and overdue_at(off) <= work.now:
            missed = p.CallOffMissed(index=index, provider=off.provider, desk=off.desk)
            work.emit(ref, missed, policy=placement.policy)
            telling.not_called_off(work, ref, off)
