"""A visit's deadlines: late, missed, not left, done with (spec 21.2, 21.4, 19.6.4).

On time is `at < late_at`; the alert is due at `now >= late_at`: 29:59.999 quiet, 30:00 alert.
"""

from __future__ import annotations

from datetime import datetime

from monitor.core import asking, homes, leaving
from monitor.core import facts as f
from monitor.core.alerts import WHILE_DOWN, raise_alert
from monitor.core.incidents import gone_dark, raise_late
from monitor.core.state import Alert, Visit
from monitor.core.views import AlertKind
from monitor.core.work import Work


def on_deadline(work: Work, visit: Visit, due_at: datetime) -> None:
    """Everything of this visit that has become due by now, in the order in which it matters."""
    if visit.closes_at is not None and visit.closes_at <= work.now and not visit.alerts:
        work.emit(visit.ref, f.VisitClosed())
        return
    if visit.over:
        return
    if visit.waits_home:
        homes.look(work, visit)
        return
    if visit.look_at is not None and visit.all_there and visit.anybody_inside and visit.end <= work.now:
        asking.look_ahead(work, visit)
    elif visit.look_at is not None and visit.look_at <= work.now < visit.late_at and not visit.all_there:
        asking.look(work, visit)
        gone_dark(work, [visit])
    _late(work, visit)
    _missed(work, _now(work, visit))
    leaving.look(work, _now(work, visit))


def _now(work: Work, visit: Visit) -> Visit:
    current = work.visit(visit.ref)
    assert current is not None
    return current


def _late(work: Work, visit: Visit) -> None:
    kind: AlertKind = "second_worker_missing" if visit.anybody_there else "late_visit"
    if visit.all_there or visit.late_at > work.now or kind in visit.alerted or visit.at_door:
        return
    if work.now - visit.late_at > work.policy_for(visit.service_user).catch_up:
        raise_alert(work, kind, visit=visit, due_at=visit.late_at, reason=WHILE_DOWN, too_old=True)
        digest(work)
        return
    reason = "place_inconsistent" if "place_inconsistent" in visit.verdicts else ""
    raise_late(work, kind, visit, due_at=visit.late_at, reason=reason)


def digest(work: Work) -> Alert:
    """The one incident in which staff are told of everything that became due long ago (design rule 3)."""
    # one by one and not a list of all: of ten thousand that became due while we were down, each comes by here
    for ref in work.alert_refs():
        alert = work.alert(ref)
        if alert is not None and _is_digest(alert):
            return alert
    return raise_alert(work, "incident", reason=WHILE_DOWN, count=1)


def _is_digest(alert: Alert) -> bool:
    return alert.kind == "incident" and alert.reason == WHILE_DOWN and alert.state != "ended"


def _missed(work: Work, visit: Visit) -> None:
    if not visit.anybody_there and not visit.missed and visit.missed_at <= work.now:
        work.emit(visit.ref, f.VisitMissed(), due_at=visit.missed_at)
