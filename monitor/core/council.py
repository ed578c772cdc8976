"""The council in the alert: it is told by a person of ours, and the machine brings them together (spec 22.6)."""

from __future__ import annotations

from escalation import inform, reassure, replace
from escalation.inform import Council
from escalation.track import Contact
from monitor.core import facts as f
from monitor.core.alerts import intend, managers, tell_person, tell_staff
from monitor.core.state import Alert, Visit
from monitor.core.work import Work

HOUR_PASSED = "hour_passed"
"""Reason for which the council is told that nobody was sent within the hour."""


def council_desk(work: Work, alert: Alert) -> str | None:
    """The council desk that answers now, by the person's contract and group; None for a private contract."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    return work.state.council_desk(person, work.now)


def is_rehearsed(work: Work, alert: Alert) -> bool:
    """Public messages are off: everything is decided and shown, nothing is sent."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    return reassure.mode_of(person, work.state.values.public) == "off"


def council_begins(work: Work, alert: Alert, reason: str) -> None:
    """The mail goes at once; a person of ours tells them by telephone."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    private = not work.state.has_council(person)
    desk = council_desk(work, alert)
    begun = inform.council_begin(work.policy(alert), work.now, desk, reason, private=private)
    council_moves(work, alert, begun)


def council_moves(work: Work, alert: Alert, council: Council, by: str | None = None) -> None:
    """Record how far the council has been told, and what follows from it."""
    before = alert.council.tries if alert.council is not None else 0
    work.emit(
        alert.ref,
        f.CouncilMoved(
            step=council.step,
            reason=council.reason,
            desk=council.desk,
            tries=council.tries,
            next_at=council.next_at,
            by=by,
        ),
        policy=alert.policy,
    )
    if council.step == "trying" and council.desk is not None:
        fresh = before == 0 or (council.tries == 1 and council.reason == HOUR_PASSED)
        _council_try(work, alert, council, first=fresh)


def _council_try(work: Work, alert: Alert, council: Council, *, first: bool) -> None:
    rehearsed = is_rehearsed(work, alert)
    assert council.desk is not None
    if first or council.tries == inform.COUNCIL_TRIES + 1:
        # the second mail says "not answered": the three tries stand in it
        mail = Contact(
            person=council.desk,
            line="",
            channel="email",
            purpose="inform_council",
            template="CO-2",
            priority="time_critical",
            rehearsed=rehearsed,
            count=council.tries - 1,
        )
        intend(work, mail, alert=alert)
    if rehearsed:
        return
    tell_staff(work, alert, "OC-61", about=council.desk, count=council.tries)
    if council.tries == inform.COUNCIL_TRIES + 1:
        for manager in managers(work):
            tell_person(work, alert, manager, "RM-2", count=inform.COUNCIL_TRIES)


def council_told(work: Work, alert: Alert, by: str) -> None:
    """A named person of ours has told them."""
    council_moves(work, alert, inform.council_told(alert.council, "told"), by=by)


def breach(work: Work, alert: Alert, visit: Visit) -> None:
    """The hour passed and nobody was sent: registered manager and council (domain.md, "Ending")."""
    track = alert.track("replace")
    if track is None or track.index < replace.BREACH or (track.step, track.reason) == ("reached", "sent"):
        return
    if alert.kind == "late_visit" and (alert.council is None or alert.council.step == "done"):
        council_begins(work, alert, HOUR_PASSED)
