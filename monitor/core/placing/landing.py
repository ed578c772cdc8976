"""The first visit of a package, in the provider's own desk.

The council's desk knows when it is, and no name; the provider's desk plans it under ids made of the package's, and
watches it from that moment on: nobody has to do anything for that. The office then puts the person and the care worker
into its rota under the same visit id. Until it does, no upload that leaves the visit out may cancel it.
"""

from __future__ import annotations

from monitor.core import notices, rota
from monitor.core.inputs import RotaRow
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import FirstVisitSettled, FirstVisitTold
from monitor.core.work import Decision, Refusal, Work

WORDS = "OC-193"
"""To the first on duty of the provider's desk: it is planned, and wants a name."""


def told(work: Work, seen: FirstVisitTold) -> Decision:
    """In the provider's desk: the visit is planned, once, however often it is told."""
    row = RotaRow(
        row=0,
        key=seen.visit,
        visit=seen.visit,
        service_user=seen.service_user,
        start=seen.start,
        end=seen.end,
        known=False,
        time_critical=seen.time_critical,
        placement=seen.placement,
    )
    if work.visit(seen.visit) is not None:
        return work.decision(
            answer=seen.visit
        )  # told again after a stop; the office may have moved it meanwhile
    rota.plan(work, row)
    on_duty = notices.on_duty(work, seen.service_user)
    if on_duty is not None:
        notices.text(work, on_duty.ref, WORDS, visit=work.visit(seen.visit), at=seen.start)
    return work.decision(answer=seen.visit)


def settled(work: Work, seen: FirstVisitSettled) -> Decision:
    """In the council's desk: it stands on the provider's disk."""
    placement = work.placement(seen.placement)
    visit = placement.first_visit if placement is not None else None
    if placement is None or placement.award is None or visit is None:
        return Decision(refusal=Refusal(code="not_found"))
    if visit.desk != seen.desk:
        return Decision(refusal=Refusal(code="not_found"))  # of an award that was taken back meanwhile
    if visit.landed is None:
        landed = p.FirstVisitLanded(provider=placement.award.provider, desk=seen.desk, visit=seen.visit)
        work.emit(placement.ref, landed, policy=placement.policy)
    return work.decision(answer=placement.ref)
