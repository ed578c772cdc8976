"""A care worker stands at the door and nobody opens: what that does to a late visit that is open already (spec 7.24).

Somebody has come. Nobody else is looked for or sent, and the machine does not ring the service user to say that their
care worker has not signed in. The alert *no reply* has the visit: staff are summoned by it alone, and who takes it has
both. Next of kin and the council who are being told that the person cannot be reached go on being told: with nobody at
the door either that is graver, and not over. The late visit ends by an arrival, or by a named person's outcome.
"""

from __future__ import annotations

from msgspec import structs

from escalation import inform, summon
from escalation.replace import OFFERS
from escalation.track import Move, Track, TrackName
from monitor.core import facts as f
from monitor.core.alerts import (
    cancel,
    end_alert,
    holding,
    move,
    open_messages,
    reassure_after_all,
    summon_case,
    tell_covered,
    tell_person,
    withdraw,
)
from monitor.core.causes import AT_DOOR
from monitor.core.counted import on_the_way
from monitor.core.offers import asked
from monitor.core.state import Alert, Visit
from monitor.core.views import EndedReason
from monitor.core.work import Work


def stands(work: Work, alert: Alert, visit: Visit) -> None:
    """Somebody is at the door: the tracks of this late visit that look for somebody, or ring the home, rest."""
    where = alert.track("locate")
    if where is None or where.reason != AT_DOOR:
        _all_rest(work, alert, visit)
    # whoever gives it back, and an incident that ends, would summon for it again
    _summons_rest(work, work.alert(alert.ref) or alert)
    for door in work.open_alerts(visit):
        if door.kind == "no_reply" and not door.reason:
            _same_holder(work, door, work.alert(alert.ref) or alert)


def _all_rest(work: Work, alert: Alert, visit: Visit) -> None:
    _rests(work, alert, "locate", "locate", Track(name="locate", step="reached", reason=AT_DOOR))
    _stand_down(work, alert, visit)
    replaced = alert.track("replace")
    if replaced is None or replaced.step != "done":
        index = replaced.index if replaced is not None else 0
        _rests(
            work, alert, "replace", "offer", Track(name="replace", step="done", reason=AT_DOOR, index=index)
        )
    spoken = alert.track("reassure")
    if spoken is not None and spoken.step in ("waiting", "trying"):
        quiet = structs.replace(spoken, step="done", reason=AT_DOOR, next_at=None)
        _rests(work, alert, "reassure", "reassure", quiet)
    told = alert.track("inform")
    if told is not None and told.step == "waiting":
        move(work, alert, Move(track=structs.replace(told, step="done", reason=AT_DOOR, next_at=None)))


def _rests(work: Work, alert: Alert, name: TrackName, purpose: str, to: Track) -> None:
    for message in open_messages(work, alert, purpose):
        if message.phase == "queued":
            cancel(work, message, AT_DOOR)
    move(work, alert, Move(track=to))


def _stand_down(work: Work, alert: Alert, visit: Visit) -> None:
    """Who was asked, or is on the way, and is not the one at the door, hears that nobody more is wanted."""
    withdraw(work, alert, "offer")
    here = {door.worker for door in work.open_alerts(visit) if door.kind == "no_reply"}
    going = {sent.worker for sent in on_the_way(alert, visit)} - here
    for worker in sorted(going):
        work.emit(alert.ref, f.ReplacementDeclined(worker=worker, after_all=True))
    offered = {m.person for m in work.messages_of(alert) if m.template in OFFERS and m.attempts > 0}
    waiting = (asked(work, alert) & offered) - set(alert.declined)
    for worker in sorted((going | waiting) - here):
        tell_covered(work, alert, worker)


def _summons_rest(work: Work, alert: Alert) -> None:
    """Staff are summoned once about the same door, in its own words."""
    track = alert.track("summon")
    if alert.state != "open" or track is None or track.step not in ("waiting", "trying"):
        return
    withdraw(work, alert, "summon")
    move(work, alert, Move(track=structs.replace(track, step="skipped", reason=AT_DOOR, next_at=None)))


def leaves(work: Work, alert: Alert) -> None:
    """*No reply* ended without an arrival and without an outcome: the procedure goes on where it rested."""
    track = alert.track("replace")
    if track is not None and track.reason == AT_DOOR:
        from_here = structs.replace(track, step="waiting", reason="locating", next_at=work.now)
        move(work, alert, Move(track=from_here))
    told = alert.track("inform")
    if told is not None and told.reason == AT_DOOR:
        later = work.now + work.policy(alert).replace_within / 2
        move(work, alert, inform.waits("raised", later))
    spoken = alert.track("reassure")
    if spoken is not None and spoken.reason == AT_DOOR:
        reassure_after_all(work, alert)
    current = work.alert(alert.ref) or alert
    called = current.track("summon")
    if called is None or called.reason != AT_DOOR:
        return
    if current.taken_by is not None:
        move(work, current, Move(track=holding(work, current, "door_over")))
    else:
        move(work, current, summon.begin(summon_case(work, current), "door_over"))


def follow(work: Work, ref: str) -> None:
    """After anything about a *no reply*: what it and the late visit of the same door owe each other."""
    door = work.alert(ref)
    visit = work.visit(door.visit) if door is not None else None
    if door is None or visit is None or door.kind != "no_reply" or door.reason:
        return
    for late in work.open_alerts(visit):
        if late.hour_at is not None:
            work.touched[late.ref] = None
            _same_holder(work, door, late)


def _same_holder(work: Work, door: Alert, late: Alert) -> None:
    """Who takes the one has the other; when they give it up, it is nobody's again."""
    track = late.track("summon")
    if track is None or track.reason != AT_DOOR or door.state == "ended":
        return
    if door.taken_by is not None and late.taken_by != door.taken_by:
        work.emit(late.ref, f.AlertTaken(by=door.taken_by, proof=f"alert:{door.ref}"))
        move(work, late, Move(track=Track(name="summon", step="reached", reason=AT_DOOR)))
    elif door.taken_by is None and late.taken_by is not None:
        work.emit(late.ref, f.AlertLapsed(by=late.taken_by))
        move(work, late, Move(track=Track(name="summon", step="skipped", reason=AT_DOOR)))


def raised(work: Work, door: Alert) -> None:
    """Who has the late visit hears what was found at the door, whoever else is summoned about it."""
    visit = work.visit(door.visit)
    holders = (
        {late.taken_by for late in work.open_alerts(visit) if late.hour_at} if visit is not None else set()
    )
    told = {message.person for message in work.messages_of(door)}
    for holder in sorted(one for one in holders if one is not None and one not in told):
        tell_person(work, door, holder, "OC-9")


def settled(work: Work, door: Alert, reason: EndedReason, by: str, outcome: str | None) -> None:
    """A named person has said how it ended at the door: that is the end of the late visit of that door too."""
    visit = work.visit(door.visit)
    if visit is None or door.kind != "no_reply" or door.reason or reason == "merged":
        return
    for late in work.open_alerts(visit):
        if late.hour_at is not None:
            end_alert(work, late, reason, by=by, outcome=outcome)
