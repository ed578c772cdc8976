"""Which alerts have one cause, and which visits it concerns (domain.md: *one incident with its whole round*)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from monitor.core.signals import WorkerOf, signal_of_all, silent_workers
from monitor.core.state import Alert, State, Visit

CauseName = Literal[
    "broker_dark",
    "feed_dark",
    "worker_dark",
    "worker_late",
    "line_late",
    "several_late",
    "bad_weather",
    "several_unplaced",
]
CAUSES: tuple[CauseName, ...] = CauseName.__args__  # type: ignore[attr-defined]
"""Reasons of the incidents that stand for several alerts at once, the widest first."""
ALL_DARK: dict[str, CauseName] = {"dark:broker": "broker_dark", "dark:feed": "feed_dark"}
"""By the signal that every visit of the desk has; a doubted clock has its own alarm."""
SEVERAL_LATE: CauseName = "several_late"
"""No cause in common but the moment: staff are told of all of them at once (domain.md: bundles for staff)."""
SEVERAL_UNPLACED: CauseName = "several_unplaced"
"""Packages of a council's desk that nobody can take, and that came to it at once."""
BUNDLES: frozenset[str] = frozenset({SEVERAL_LATE, "bad_weather", SEVERAL_UNPLACED})
"""Incidents whose alerts have nothing in common but the moment, or the declared weather."""
ENDS_WITH_ALERTS: frozenset[str] = frozenset({"worker_late", "line_late"}) | BUNDLES
ROUND = timedelta(hours=4)
"""How far ahead the visits of a cause are listed (ours; the span in which a dropped visit waits for a word, too)."""
IN_INCIDENT = "in_incident"
"""Why staff are not summoned for an alert itself: the incident of its cause does it."""
AT_DOOR = "at_door"
"""Why a track of a late visit rests: somebody is at the door, and *no reply* has the visit."""


class Cause(Struct, frozen=True, kw_only=True, gc=False):
    """What several visits are late for: a way in, one care worker, or one line that people share."""

    name: CauseName
    worker: str | None = None
    line: str | None = None

    def is_of(self, incident: Alert) -> bool:
        """Whether the incident stands for it."""
        return (incident.reason, incident.worker, incident.line) == (self.name, self.worker, self.line)


def is_incident(alert: Alert) -> bool:
    """Whether it stands for a cause, and not for something else that needs staff."""
    return alert.kind == "incident" and alert.reason in CAUSES


def dark_cause(state: State, worker_of: WorkerOf, visit: Visit) -> Cause | None:
    """Why nothing is known of the visit, the widest reason first; None: it is known."""
    if not state.values.dark:
        return None
    silent = silent_workers(state, worker_of)
    every = ALL_DARK.get(signal_of_all(state, silent) or "")
    if every is not None:
        return Cause(name=every)
    absent = [worker for worker in visit.absent if worker in silent]
    return Cause(name="worker_dark", worker=absent[0]) if absent else None


def is_over(
    state: State, worker_of: WorkerOf, incident: Alert, now: datetime, back: frozenset[str] = frozenset()
) -> bool:
    """Whether what caused the incident is over. Lateness ends with its alerts, darkness with the first sign of life or
    the last visit of the round. `back`: what has come back just now, each as `cause:subject`."""
    if incident.reason in ENDS_WITH_ALERTS:
        return True
    if incident.reason == "worker_dark":
        seen = any(worker_of(key.removeprefix("device:")) == incident.worker for key in back)
        dark = not seen and incident.worker in silent_workers(state, worker_of)
    else:
        way = incident.reason.removesuffix("_dark")
        dark = any(entry.cause == way and key not in back for key, entry in state.values.dark.items())
    return not dark or not round_of(state, incident, now)


def round_of(state: State, incident: Alert, now: datetime) -> list[Visit]:
    """The visits of the incident's cause where nobody is known to be, of now and the next hours; time-critical first,
    then by their start."""
    values = state.values
    if incident.reason == "line_late" or incident.reason in BUNDLES:
        visits = [values.visits.get(a.visit or "") for a in members(state, incident.ref)]
    elif incident.worker is not None:
        visits = [values.visits.get(ref) for ref in state.by_worker.get(incident.worker, ())]
    else:
        visits = list(values.visits.values())
    found = [v for v in visits if v is not None and _unknown(v, now) and _planned(v, incident.worker)]
    return sorted(found, key=lambda visit: (not visit.time_critical, visit.start, visit.ref))


def members(state: State, incident: str) -> list[Alert]:
    """The open alerts of an incident."""
    return [state.values.alerts[ref] for ref in state.open_by.get(incident, ())]


def _planned(visit: Visit, worker: str | None) -> bool:
    return worker is None or worker in visit.absent


def _unknown(visit: Visit, now: datetime) -> bool:
    past = visit.missed and not visit.alerts
    return not (visit.all_there or visit.over or past) and visit.start <= now + ROUND
