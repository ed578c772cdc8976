"""The answerphone: a caller whom nobody came for leaves a message, and the message rings the on-call chain (4.6.6).

The alert stands before anybody is asked to speak, and it rings by itself when nothing is heard of what was spoken: a
callback that is lost, a crash of ours or a caller who puts the telephone down costs the words at most, never the call.
"""

from __future__ import annotations

from msgspec import Struct, structs

from escalation import summon
from escalation.track import Contact
from monitor.core import alerts
from monitor.core import facts as f
from monitor.core.inputs import AnswerphoneBegins, AnswerphoneHeard
from monitor.core.state import Alert, Recording
from monitor.core.views import AnswerphoneCame
from monitor.core.work import Decision, Work

SOON = 6
"""Who said nothing may be asked once more: so much of the longest message is left for that (ours)."""


class Offer(Struct, frozen=True, kw_only=True):
    """The answer to `AnswerphoneBegins`: the alert under which the message is kept, and how long it may be."""

    alert: str
    longest_s: int


def begins(work: Work, seen: AnswerphoneBegins) -> Decision:
    """The caller is asked to speak. What comes of it is waited for twice as long as it may last, then staff are rung
    without it. Answers an `Offer`; None where the alert is not known (any more)."""
    known = work.alert(seen.alert)
    if known is None:
        return work.decision()
    alert = _for_message(work, known)
    longest = work.policy(alert).answerphone_longest
    until = work.now + 2 * longest
    work.emit(alert.ref, f.AnswerphoneBegan(until=until, evidence=seen.call))
    if alert.taken_by is not None:
        alerts.tell_person(work, alert, alert.taken_by, alerts.CALLED[0])
    elif _nobody_is_rung(alert):
        alerts.move(work, alert, summon.waits_for_words(alerts.summon_case(work, alert), until))
    return work.decision(answer=Offer(alert=alert.ref, longest_s=round(longest.total_seconds())))


def _for_message(work: Work, alert: Alert) -> Alert:
    """A service user who rings asks for help. Anybody else leaves a message, which has a kind of its own: the chain is
    rung for it one after the other. What has ended meanwhile is not opened again."""
    if alert.state == "ended":
        return _raise(work, alert)
    stranger = alert.kind == "help_asked" and alert.worker is None and not _of_service_user(work, alert)
    if not (stranger and alert.state == "open" and _nobody_is_rung(alert)):
        return alert
    new = _raise(work, alert)
    alerts.end_alert(work, work.alert(alert.ref) or alert, "merged")
    return work.alert(new.ref) or new


def _raise(work: Work, before: Alert) -> Alert:
    return alerts.raise_alert(
        work,
        "help_asked" if _of_service_user(work, before) or before.worker is not None else "message",
        service_user=before.service_user,
        worker=before.worker,
        line=before.line,
        reason=before.reason,
        joining=True,
        tell_now=False,
    )


def _of_service_user(work: Work, alert: Alert) -> bool:
    """Whether a service user may have rung: two of one household are not told apart by their line."""
    here = work.ctx.people.on_line(alert.line) if alert.line is not None else ()
    known = (work.ctx.people.person(ref) for ref in here)
    return alert.service_user is not None or any(
        person is not None and person.role == "service_user" for person in known
    )


def _nobody_is_rung(alert: Alert) -> bool:
    track = alert.track("summon")
    return track is not None and track.phase in ("joining", summon.ANSWERPHONE)


def newest_words(alert: Alert) -> Recording | None:
    """The last message that was left about it, if one was."""
    spoken = [one for one in alert.recordings if one.came == "words" and one.recording is not None]
    return spoken[-1] if spoken else None


def unheard(alert: Alert) -> bool:
    """Nothing was heard of what was left about it, by the time at which something should have been."""
    return bool(alert.answerphone) and bool(alert.recordings) and alert.recordings[-1].came == "unknown"


def heard(work: Work, seen: AnswerphoneHeard) -> Decision:
    """What the network says of it. Said again it changes nothing. Answers whether the alert is known."""
    alert = work.alert(seen.alert)
    if alert is None:
        return work.decision(answer=False)
    if seen.recording is None:
        _nothing(work, alert, last=seen.last)
    elif not _known_already(work, seen.fingerprint):
        over = alert.state == "ended"
        _came(work, _raise(work, alert) if over else alert, "words", seen)
    return work.decision(answer=True)


def _known_already(work: Work, fingerprint: int) -> bool:
    found = (work.alert(ref) for ref in list(work.alert_refs()))
    return any(
        one.fingerprint == fingerprint
        for alert in found
        if alert is not None
        for one in alert.recordings
        if one.came == "words"
    )


def _nothing(work: Work, alert: Alert, *, last: bool) -> None:
    """Not a word. `last` False: they may be on the line still, and are asked once more; not for long."""
    if alert.answerphone is None or alert.state == "ended":
        return
    track = alert.track("summon")
    if unheard(alert):
        # staff are being rung already, and told that it is not known
        work.emit(alert.ref, f.AnswerphoneEnded(came="nothing"))
        return
    if last or track is None or track.phase != summon.ANSWERPHONE or track.next_at is None:
        _came(work, alert, "nothing", None)
        return
    soon = work.now + work.policy(alert).answerphone_longest / SOON
    if soon < track.next_at:
        alerts.record(work, alert, structs.replace(track, next_at=soon))


def _came(work: Work, alert: Alert, came: AnswerphoneCame, seen: AnswerphoneHeard | None) -> None:
    """It is on record, and the chain is rung; who has the alert already is told and rung alone."""
    ended = f.AnswerphoneEnded(
        came=came,
        seconds=seen.seconds if seen is not None else 0,
        evidence=seen.recording if seen is not None else None,
        fingerprint=seen.fingerprint if seen is not None else 0,
    )
    work.emit(alert.ref, ended)
    current = work.alert(alert.ref) or alert
    if current.taken_by is not None:
        _tell_holder(work, current, current.taken_by, rings=came == "words")
        return
    reason = "message_left" if came == "words" else "no_words"
    alerts.move(work, current, summon.begin(alerts.summon_case(work, current), reason))


def _tell_holder(work: Work, alert: Alert, holder: str, *, rings: bool) -> None:
    sms, call = alerts.CALLED
    alerts.tell_person(work, alert, holder, sms)
    voice = alerts.person_for(work, holder, alert.service_user).voice_lines()
    if not rings or not voice:
        return
    ring = Contact(
        person=holder,
        line=voice[0].ref,
        channel="call",
        purpose="summon",
        template=call,
        priority="summon",
        ring_s=round(work.policy(alert).ring_staff.total_seconds()),
    )
    alerts.intend(work, ring, alert=alert)
