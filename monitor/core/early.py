"""Too early is as wrong as too late where a visit is time-critical: doses come too close (spec 21.2; domain.md 1)."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import structs

from escalation.locate import worker_contact
from monitor.core.alerts import intend, person_for, raise_alert
from monitor.core.views import AlertKind
from monitor.core.work import Work

KIND: AlertKind = "very_early"
WARNS_WORKER = "CW-220"
"""To who has come: before anything is given they ring."""


def very_early(work: Work, ref: str, worker: str | None, at: datetime) -> None:
    """Somebody has come to a time-critical visit before its agreed timeframe: who is there is told, and staff are
    summoned, once. What reaches us when its time has come already warns of nothing any more, and is shown (`early`)."""
    visit = work.visit(ref)
    if visit is None or work.now >= visit.agreed_start or KIND in visit.alerted:
        return
    minutes = int((visit.agreed_start - at) / timedelta(minutes=1))
    alert = raise_alert(work, KIND, visit=visit, worker=worker, count=minutes)
    view = person_for(work, worker, visit.service_user) if worker is not None else None
    line = view.text_line() if view is not None else None
    if view is None or line is None:
        return
    warning = worker_contact(
        view, line.ref, "sms", work.policy(alert), "notice", WARNS_WORKER, "time_critical"
    )
    intend(work, structs.replace(warning, count=minutes), alert=alert, visit=visit)
