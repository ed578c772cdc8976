"""The council in the alert: told by a person of ours, whom the machine rings and joins to its desk (spec 22.6).

Our person first, then the council: whoever picks up at a council desk never finds nobody on the line. Only where
nobody of ours has the alert for twenty minutes, and the desk has agreed to it, does the machine ring the desk by
itself (COV-1). The mail goes at once, and nothing waits for any of this.
"""

from __future__ import annotations

from config.policy import CouncilDesk
from escalation import inform, reassure, replace
from escalation.inform import Council
from escalation.replies import Answer
from escalation.track import Contact, ContactPurpose
from monitor.core import facts as f
from monitor.core.alerts import intend, managers, open_messages, person_for, tell_person, tell_staff
from monitor.core.state import Alert, Message, Visit
from monitor.core.weather import IN_REPORT, goes_in_report, leave_out
from monitor.core.work import Work

HOUR_PASSED = "hour_passed"
"""Reason for which the council is told that nobody was sent within the hour."""
RING_US = "OCV-150"
"""The call to who has the alert: the council is rung for them once they are there."""
RING_DESK = "COV-1"
"""The call that the machine makes to a council desk by itself."""
REPORT, SECOND_REPORT = "CO-2", "CO-150"
"""The report by mail; and the short one that the hour has passed, to a desk that has had the first one."""
RING_DESK_S = 60
"""A desk's queue picks up late; nobody's voicemail is there (ours)."""


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
    _record(work, alert, council, by)
    if council.step == "trying" and council.desk is not None:
        fresh = before == 0 or (council.tries == 1 and council.reason == HOUR_PASSED)
        _try(work, alert, council, first=fresh)


def _record(work: Work, alert: Alert, council: Council, by: str | None = None) -> None:
    moved = f.CouncilMoved(
        step=council.step,
        reason=council.reason,
        desk=council.desk,
        tries=council.tries,
        next_at=council.next_at,
        by=by,
    )
    work.emit(alert.ref, moved, policy=alert.policy)


def council_deadline(work: Work, alert: Alert, council: Council) -> None:
    """The next try, unless our person speaks to the desk just now."""
    policy = work.policy(alert)
    if _on_the_line(alert, council):
        _record(work, alert, inform.council_waits(policy, work.now, council))
        return
    council_moves(work, alert, inform.council_again(policy, work.now, council, council_desk(work, alert)))


def _on_the_line(alert: Alert, council: Council) -> bool:
    return any(held.ended_at is None and held.other == council.desk for held in alert.lines)


def _try(work: Work, alert: Alert, council: Council, *, first: bool) -> None:
    rehearsed = is_rehearsed(work, alert)
    if first or council.tries == inform.COUNCIL_TRIES + 1:
        # the mail after three tries says "not answered": they stand in it
        _report(work, alert, council, again=first and council.reason == HOUR_PASSED)
    if rehearsed:
        return
    _our_person_rings(work, alert, council)
    if council.tries == inform.COUNCIL_TRIES + 1:
        words = "RM-2" if _rung(work, alert, council) else "RM-150"
        for manager in managers(work):
            tell_person(work, alert, manager, words, count=inform.COUNCIL_TRIES)


def _report(work: Work, alert: Alert, council: Council, *, again: bool) -> None:
    assert council.desk is not None
    had = any(m.template == REPORT and m.person == council.desk for m in work.messages_of(alert))
    mail = Contact(
        person=council.desk,
        line="",
        channel="email",
        purpose="inform_council",
        template=SECOND_REPORT if again and had else REPORT,
        priority="time_critical",
        rehearsed=is_rehearsed(work, alert),
        count=council.tries - 1,
    )
    intend(work, mail, alert=alert)


def _rung(work: Work, alert: Alert, council: Council) -> bool:
    """Whether a call to the desk has left us about this alert."""
    calls = (m for m in work.messages_of(alert) if m.channel == "call" and m.person == council.desk)
    return any(m.attempts for m in calls)


# --- who rings whom ---


def _our_person_rings(work: Work, alert: Alert, council: Council) -> None:
    """Who has it is rung and joined to the desk; where that cannot be, whoever is responsible is asked to ring."""
    assert council.desk is not None
    if _ring_holder(work, alert, council):
        tell_staff(work, alert, "OC-150", about=council.desk, count=council.tries)
        return
    tell_staff(work, alert, "OC-61", about=council.desk, count=council.tries)
    if _machine_rings(work, alert, council):
        _ring(work, alert, RING_DESK, council.desk, "", "inform_council", RING_DESK_S)


def _ring_holder(work: Work, alert: Alert, council: Council) -> bool:
    """Ring who has it, if they have a telephone and do not speak to us about a council already: one at a time."""
    holder = alert.taken_by
    lines = person_for(work, holder, alert.service_user).voice_lines() if holder is not None else ()
    if holder is None or not lines or not any(desk.by_phone for desk in _lines_of(work, council)):
        return False
    if _rings_already(work, holder):
        return False
    ring_s = round(work.policy(alert).ring_staff.total_seconds())
    _ring(work, alert, RING_US, holder, lines[0].ref, "notice", ring_s, about=council.desk)
    return True


def _rings_already(work: Work, holder: str) -> bool:
    """A call of this kind to them has not come to its end: about this alert, or another one that they have."""
    return any(
        message.template == RING_US and message.person == holder
        for alert in work.all_open_alerts()
        if alert.taken_by == holder
        for message in open_messages(work, alert, "notice")
    )


def _lines_of(work: Work, council: Council) -> tuple[CouncilDesk, ...]:
    return work.state.council_lines(council.desk or "")


def _machine_rings(work: Work, alert: Alert, council: Council) -> bool:
    """Nobody of ours has had it for too long, and every line of that desk's configuration says that it agrees."""
    agreed = [desk.machine_calls for desk in _lines_of(work, council)]
    if alert.taken_by is not None or not agreed or not all(agreed):
        return False
    summoned = alert.track("summon")
    free = (summoned.since if summoned is not None else None) or alert.opened_at
    out = [m for m in open_messages(work, alert, "inform_council") if m.template == RING_DESK]
    return work.now >= free + inform.nobody_has_it(work.policy(alert)) and not out


def _ring(
    work: Work,
    alert: Alert,
    template: str,
    person: str,
    line: str,
    purpose: ContactPurpose,
    ring_s: int,
    about: str | None = None,
) -> None:
    call = Contact(
        person=person,
        line=line,
        channel="call",
        purpose=purpose,
        template=template,
        priority="time_critical",
        ring_s=ring_s,
        about=about,
    )
    intend(work, call, alert=alert)


def council_is_rung(work: Work, alert: Alert, visit: Visit) -> None:
    """Somebody takes it while the council waits to be told: they are rung at once, and not at the next try."""
    council = alert.council
    if council is None or council.step != "trying" or council.desk is None or alert.taken_by is None:
        return
    if council.reason in (inform.ON_THE_LINE, STOPPED) or is_rehearsed(work, alert):
        return
    mine = (m for m in work.messages_of(alert) if m.person == alert.taken_by)
    if not any(m.template in (RING_US, "OC-150") for m in mine) and _ring_holder(work, alert, council):
        tell_staff(work, alert, "OC-150", about=council.desk, count=council.tries)


STOPPED = "stopped"
"""Reason of a council that a named person tells without the machine for now (`monitor.core.steering`)."""


def pointless(work: Work, alert: Alert, message: Message) -> str | None:
    """Why our person, or the desk, need not be rung any more, or None."""
    council = alert.council
    if alert.state == "ended":
        return "alert_ended"
    if council is None or council.step != "trying":
        return "told"
    if is_rehearsed(work, alert):
        return "public_off"
    if message.template == RING_DESK:
        return "taken" if alert.taken_by is not None else None
    if alert.taken_by != message.person:
        return "taken"
    # they have pressed 6 in the call in which they took it
    spoke = (held for held in alert.lines if held.call != message.key and held.other == message.about)
    return "rung_already" if any(held.since >= message.intended_at for held in spoke) else None


# --- they are told ---


def council_told(work: Work, alert: Alert, by: str) -> None:
    """A named person of ours has told them."""
    council_moves(work, alert, inform.council_told(alert.council, "told"), by=by)


def told_by_key(work: Work, alert: Alert, message: Message) -> None:
    """The same, by a key when the desk's line has gone; the officer's name and reference are asked for by text."""
    council = alert.council
    if alert.state == "ended" or (council is not None and council.step == "reached"):
        return
    council_told(work, alert, message.person)
    tell_person(work, alert, message.person, "OC-151")


def desk_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> str | None:
    """A desk that the machine has rung: told only by the key that says so; a key for a person is no more than that."""
    if answer != "noted" or not proof:
        return None
    reached = f.PersonReached(
        person=message.person, purpose="inform_council", proof=proof, answer=answer, message=message.key
    )
    work.emit(alert.ref, reached)
    if alert.state != "ended" and alert.council is not None and alert.council.step == "trying":
        council_moves(work, alert, inform.council_told(alert.council, "noted"))
        tell_staff(work, alert, "OC-152", about=message.person)
    return None


# --- the hour ---


def breach(work: Work, alert: Alert, visit: Visit) -> None:
    """The hour passed and nobody was sent: registered manager and council (domain.md, "Ending"), also a council that
    had been told before; one that is being told has it in writing at once."""
    track, council = alert.track("replace"), alert.council
    if track is None or track.index < replace.BREACH or (track.step, track.reason) == ("reached", "sent"):
        return
    if alert.kind != "late_visit" or _breach_reported(work, alert):
        return
    weather = goes_in_report(work, alert)
    if weather is not None:
        # it stands in the report of the hour, and with it no mail of its own is owed any more
        leave_out(work, alert, weather, "council_breach")
        if council is None:
            council_moves(work, alert, Council(step="waiting", reason=IN_REPORT))
        return
    if council is None or council.step in ("done", "reached"):
        council_begins(work, alert, HOUR_PASSED)
    elif council.step == "trying" and council.desk is not None:
        _report(work, alert, council, again=True)


def _breach_reported(work: Work, alert: Alert) -> bool:
    """A report has gone since the hour passed, or waits for a desk to open, or that of declared bad weather has it."""
    council, hour_at = alert.council, alert.hour_at
    if "council_breach" in alert.left_out:
        return True
    if council is not None and (council.step == "skipped" or (council.step == "trying" and not council.desk)):
        return True
    reports = (m for m in work.messages_of(alert) if m.template in (REPORT, SECOND_REPORT))
    return any(hour_at is not None and m.intended_at >= hour_at for m in reports)
