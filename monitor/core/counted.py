"""Who is counted on: which places have nobody there, nobody sent, and nobody who is still expected (22.3, 22.4)."""

from __future__ import annotations

from datetime import datetime

from monitor.core.asking import missing_workers
from monitor.core.state import Alert, Said, Sent, Visit
from monitor.core.work import Work


def visit_of(work: Work, alert: Alert) -> Visit | None:
    """The visit that the alert is about; None when it has left the state, or the rota gave it to somebody else."""
    visit = work.visit(alert.visit)
    return visit if visit is not None and visit.service_user == alert.service_user else None


def said_by(visit: Visit, worker: str) -> Said | None:
    """What this care worker has said about where they are, or None."""
    return next((entry for entry in visit.said if entry.worker == worker), None)


def said_cannot(visit: Visit, worker: str) -> bool:
    """Whether they have said that they cannot get there."""
    said = said_by(visit, worker)
    return said is not None and said.answer == "cannot"


def expected(alert: Alert, visit: Visit, worker: str, now: datetime) -> bool:
    """Whether this care worker, who is planned and not there, is counted on still: they are being asked, they claim to
    be there and a check-in is waited for, or they have promised a time within the hour that has not passed for good."""
    track, said = alert.track("locate"), said_by(visit, worker)
    step = track.step if track is not None else "trying"
    if said is None:
        return step == "trying"
    if said.answer == "cannot":
        return False
    if said.eta_at is None:
        return step in ("trying", "reached")
    in_time = alert.hour_at is None or said.eta_at <= alert.hour_at
    return in_time and (now < said.eta_at or step in ("trying", "reached"))


def places_open(alert: Alert, visit: Visit) -> int:
    """How many places have neither an arrival nor somebody who was sent."""
    missing = sum(1 for place in visit.places if place.arrived_at is None)
    return max(missing - len(on_the_way(alert, visit)), 0)


def on_the_way(alert: Alert, visit: Visit) -> list[Sent]:
    """Who was sent and is not there yet."""
    return [sent for sent in alert.sent if not any(place.worker == sent.worker for place in visit.places)]


def need(alert: Alert, visit: Visit, now: datetime) -> int:
    """How many places want somebody: nobody is there, nobody was sent, nobody is counted on any more. While
    somebody stands at a door that nobody opens there is nowhere to send another."""
    if visit.at_door:
        return 0
    counted = sum(1 for worker in missing_workers(visit) if expected(alert, visit, worker, now))
    return max(places_open(alert, visit) - counted, 0)
