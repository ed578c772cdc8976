"""A named person steers a track: *stop* lets it rest for a while, *do now* makes its next moment this one.

Stopping never lasts for ever: a stopped track goes on by itself when a taking would expire (`ack_expires`), and what
the hour of a replacement warns of comes all the same. Of two people who press the same thing the second is told who
was first (domain.md section 2, "a person, at any moment").
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import structs

from escalation import locate, replace, summon
from escalation.track import Track, TrackName
from monitor.core import alerts, counted, informing, procedure, replacing
from monitor.core import facts as f
from monitor.core.state import Alert, Visit
from monitor.core.work import Refusal, Work

RUNNING = ("waiting", "trying")
"""Only a track at one of these steps has something to stop, or to do."""


def stop(work: Work, alert: Alert, name: TrackName, by: str) -> Callable[[], None] | Refusal:
    """What stops the track; or why it cannot be stopped. Nothing has happened yet when this returns."""
    track = alert.track(name)
    if track is not None and track.rests(work.now):
        return _first(alert, name, "already_stopped")
    council = _council_runs(alert, name)
    if track is None or track.step not in RUNNING or track.next_at is None:
        return (lambda: _council_rests(work, alert)) if council else _not_running(alert, name)
    if name == "summon" and alert.state != "open":
        return _not_running(alert, name)

    def stopped() -> None:
        alerts.rest(work, alert, track, by, look_at=_warning(work, alert, track))
        if council:
            _council_rests(work, alert)

    return stopped


def _warning(work: Work, alert: Alert, track: Track) -> datetime | None:
    if track.name != "replace":
        return None
    return replace.next_warning(work.policy(alert), alert.opened_at, track.index)


def _council_runs(alert: Alert, name: TrackName) -> bool:
    return name == "inform" and alert.council is not None and alert.council.next_at is not None


def _council_rests(work: Work, alert: Alert) -> None:
    """The council is told by a person of ours: the machine reminds them later."""
    council = alert.council
    assert council is not None
    rests = f.CouncilMoved(
        step=council.step,
        reason="stopped",
        desk=council.desk,
        tries=council.tries,
        next_at=work.now + work.policy(alert).ack_expires,
    )
    work.emit(alert.ref, rests, policy=alert.policy)


def now(
    work: Work, alert: Alert, name: TrackName, seen: datetime | None = None
) -> Callable[[], None] | Refusal:
    """What makes the track go on at once; or why there is nothing to do. `seen`: the next moment that whoever presses
    was shown; another one by now means that somebody, or the time itself, was first."""
    track, visit = alert.track(name), work.visit(alert.visit)
    if seen is not None and (track is None or track.next_at != seen):
        return _first(alert, name, "moved_on")
    if track is None and name == "inform" and visit is not None and alert.hour_at is not None:
        return _inform(work, alert, visit)
    if track is None or track.step not in RUNNING or track.next_at is None:
        return _not_running(alert, name)
    awake = structs.replace(track, rests_until=None, rests_by=None)
    if name == "summon":
        if alert.state != "open":
            return _not_running(alert, name)
        case = alerts.summon_case(work, alert)
        return lambda: alerts.move(work, alert, summon.on_deadline(case, awake))
    if name == "reassure":
        return lambda: alerts.reassure_deadline(work, alert, awake)
    if visit is None:
        return _not_running(alert, name)
    if name == "replace":
        return _replace(work, alert, visit, awake)
    if name == "inform":
        return _inform(work, alert, visit)
    return lambda: procedure.locate_deadline(work, alert, visit, awake)


def _replace(work: Work, alert: Alert, visit: Visit, track: Track) -> Callable[[], None] | Refusal:
    """Offers go out now, without waiting for the answer of who was planned. Nobody is asked while everybody who is
    needed comes, or says that they are there: a person may still send one."""
    where = alert.track("locate")
    waits = where is not None and where.step == "trying"
    if counted.need(alert, visit, work.now) == 0 and not waits:
        return Refusal(code="somebody_comes")

    def offered() -> None:
        if where is not None and waits:
            alerts.move(work, alert, locate.given_up(where))
        current = work.alert(alert.ref) or alert
        case = replacing.replace_case(work, current, visit)
        replacing.wave(work, current, case, replace.at_once(case, track))

    return offered


def _inform(work: Work, alert: Alert, visit: Visit) -> Callable[[], None] | Refusal:
    track, spoken = alert.track("inform"), alert.track("reassure")
    if spoken is not None and spoken.step == "reached":
        return Refusal(code="reached")
    if track is None or track.step == "waiting":
        return lambda: informing.inform_now(work, alert, "asked_for")
    return lambda: informing.inform_deadline(work, alert, visit, track)


def _not_running(alert: Alert, name: TrackName) -> Refusal:
    return _first(alert, name, "not_running")


def _first(alert: Alert, name: TrackName, code: str) -> Refusal:
    """With who pressed last about this track, and when."""
    last = next((one for one in alert.pressed if one.track == name), None)
    return Refusal(code=code, detail={"by": last.by if last else None, "at": last.at if last else None})
