"""Track *inform* in the alert: next of kin are told that the service user cannot be reached (spec 22.6)."""

from __future__ import annotations

from msgspec import structs

from escalation import inform, locate, reassure, replace
from escalation.people import PersonView
from escalation.replies import Answer
from escalation.track import Move, Track
from monitor.core import facts as f
from monitor.core.alerts import (
    held,
    move,
    never_left,
    open_messages,
    others_on,
    pass_over,
    person_for,
    skip_wrong_numbers,
    strangers_line,
    tell_staff,
    withdraw,
)
from monitor.core.asking import missing_workers
from monitor.core.council import council_begins, council_moves, is_rehearsed
from monitor.core.counted import expected, places_open, said_by
from monitor.core.state import Alert, Message, Visit
from monitor.core.work import Work

UNREACHABLE = frozenset({"no_line", "nobody_known"})


def kin_of(work: Work, alert: Alert) -> tuple[PersonView, ...]:
    """Next of kin in their order, without those who must never be told."""
    person = work.ctx.people.person(alert.service_user) if alert.service_user else None
    if person is None:
        return ()
    known = (ref for ref in person.next_of_kin if work.ctx.people.person(ref) is not None)
    views = (person_for(work, ref, person.ref) for ref in known)
    return tuple(view for view in views if view.ref not in person.plan.never_tell)


NOT_ANSWERED = ("no_answer", "voicemail", "busy")
"""Nobody picked up. Who did, and pressed nothing, has shown that there is somebody on that line."""


def rung_in_vain(work: Work, alert: Alert, kin: PersonView) -> frozenset[str]:
    """Lines of theirs that have been rung for the service user, or for whom they live with, and were not answered: two
    people on one line get one call, and it was made (domain.md section 2). Who was rung as the one who speaks for
    somebody is rung again as their next of kin."""
    silent, heard = set(), set()
    for line in kin.voice_lines():
        for message in _for_others_on(work, alert, line.ref, kin.ref):
            if message.result in NOT_ANSWERED:
                silent.add(line.ref)
            elif message.result == "answered" or message.proof is not None:
                heard.add(line.ref)
    return frozenset(silent - heard)


def _for_others_on(work: Work, alert: Alert, line: str, kin: str) -> list[Message]:
    about = alert.service_user or ""
    alerts = (alert, *others_on(work, alert, line, about)) if about in work.ctx.people.on_line(line) else ()
    calls = (message for one in alerts for message in work.messages_of(one) if message.channel == "call")
    return [m for m in calls if (m.purpose, m.line) == ("reassure", line) and m.person != kin]


def _pass_over(work: Work, alert: Alert) -> None:
    """Whom there is no sense in ringing on a line that has just been silent: that stands in the alert, once."""
    so_far = work.messages_of(work.alert(alert.ref) or alert)
    noted = {(m.person, m.line) for m in so_far if m.reason == reassure.SAME_LINE}
    for kin in kin_of(work, alert):
        for line in sorted(rung_in_vain(work, alert, kin)):
            if (kin.ref, line) not in noted:
                pass_over(work, alert, kin.ref, line, "inform_next_of_kin", "NOKV-1", reassure.SAME_LINE)


def _with_a_line_left(work: Work, alert: Alert, kin: PersonView) -> PersonView:
    silent = rung_in_vain(work, alert, kin)
    if not silent:
        return kin
    return structs.replace(kin, lines=tuple(line for line in kin.lines if line.ref not in silent))


def inform_case(work: Work, alert: Alert) -> inform.InformCase:
    """Who may be told, on which lines, and whether for real."""
    return inform.InformCase(
        policy=work.policy(alert),
        now=work.now,
        kin=tuple(_with_a_line_left(work, alert, kin) for kin in kin_of(work, alert)),
        held=held(work, alert, "inform_next_of_kin"),
        rehearsed=is_rehearsed(work, alert),
    )


def unanswered(work: Work, alert: Alert) -> int:
    """So many tries to reach the service user have ended without a human answering."""
    return sum(
        1
        for message in work.messages_of(alert)
        if message.purpose == "reassure"
        and message.phase == "settled"
        and message.proof is None
        and (message.result not in ("cancelled", "rehearsed") or never_left(message))
    )


def inform_begins(work: Work, alert: Alert, visit: Visit) -> None:
    """They cannot be reached: next of kin and council are told (22.6). A step that a plan skips is not that."""
    track, spoken = alert.track("inform"), alert.track("reassure")
    if spoken is None or (track is not None and (track.step != "waiting" or track.rests(work.now))):
        return
    policy = work.policy(alert)
    if _claimed(alert):
        if track is None:
            move(work, alert, inform.waits("claimed_there", work.now + policy.replace_within / 2))
        return
    tried = spoken.step == "trying" and unanswered(work, alert) >= policy.inform_after_rounds
    if spoken.step == "not_reached" or tried or (spoken.step == "skipped" and spoken.reason in UNREACHABLE):
        inform_now(work, alert, "not_reached" if spoken.step != "skipped" else spoken.reason)
    elif (
        spoken.step == "skipped"
        and track is None
        and spoken.reason != "in_digest"
        and spoken.reason != "too_old"
    ):
        move(work, alert, inform.waits(spoken.reason, work.now + policy.replace_within / 2))


def _confirmed(work: Work, alert: Alert, visit: Visit) -> bool:
    """Somebody is on the way for every place: who is only being asked where they are has confirmed nothing."""
    grace = locate.eta_grace(work.policy(alert))
    coming = 0
    for worker in missing_workers(visit):
        said = said_by(visit, worker)
        in_time = said is not None and (said.eta_at is None or work.now < said.eta_at + grace)
        coming += in_time and expected(alert, visit, worker, work.now)
    return places_open(alert, visit) <= coming


def _claimed(alert: Alert) -> bool:
    where = alert.track("locate")
    return where is not None and (where.step, where.reason) == ("reached", "there")


def inform_now(work: Work, alert: Alert, reason: str) -> None:
    """Next of kin and council are told from now on."""
    for kin in kin_of(work, alert):
        skip_wrong_numbers(work, alert, kin.ref, "inform_next_of_kin", "NOKV-1")
    _pass_over(work, alert)
    _begin(work, alert, reason)
    if alert.council is None or alert.council.step == "waiting":
        council_begins(work, alert, reason)


def _begin(work: Work, alert: Alert, reason: str) -> None:
    """The first of them whom a call can still find. Where they all have only the line that was silent, somebody of ours
    hears it: no ladder ends in silence."""
    to = inform.begin(inform_case(work, alert), reason)
    silent = any(rung_in_vain(work, alert, kin) for kin in kin_of(work, alert))
    if to.track.step != "not_reached" or not silent:
        move(work, alert, to)
        return
    move(work, alert, Move(track=structs.replace(to.track, reason=reassure.SAME_LINE)))
    tell_staff(work, alert, "OC-101", count=unanswered(work, alert))


def inform_rests(work: Work, alert: Alert, visit: Visit) -> None:
    """The service user has answered after all: nobody else is rung about not reaching them."""
    track, spoken = alert.track("inform"), alert.track("reassure")
    if spoken is None or spoken.step != "reached":
        return
    if track is not None and track.step in ("waiting", "trying"):
        withdraw(work, alert, "inform_next_of_kin")
        done = Track(name="inform", step="done", reason="reached", index=track.index, round=track.round)
        move(work, alert, Move(track=done))
    breach = alert.track("replace")
    if (
        alert.council is not None
        and alert.council.step == "trying"
        and (breach is None or breach.index < replace.BREACH)
    ):
        council_moves(
            work, alert, structs.replace(alert.council, step="done", reason="reached", next_at=None)
        )


def kin_answered(work: Work, alert: Alert, message: Message, answer: Answer, proof: str) -> None:
    """A next of kin answered by key or code. What they say calls nothing off: the visit stays in place."""
    track = alert.track("inform")
    if answer in ("no_key", "no_answer_key") or alert.state == "ended" or track is None:
        return
    if answer == "wrong_number":
        strangers_line(work, message)
        withdraw(work, alert, "inform_next_of_kin", message.person)
        tell_staff(work, alert, "OC-66", about=message.person)
        if track.step == "trying":
            _next_kin(work, alert, track, "wrong_number")
        return
    work.emit(
        alert.ref,
        f.PersonReached(
            person=message.person,
            purpose="inform_next_of_kin",
            proof=proof,
            answer=answer,
            message=message.key,
        ),
    )
    withdraw(work, alert, "inform_next_of_kin")
    move(work, alert, inform.told(track, answer))
    tell_staff(work, alert, "OC-67" if answer == "ring_me" else "OC-68", about=message.person)


def _next_kin(work: Work, alert: Alert, track: Track, reason: str) -> None:
    """The next of them; when all were tried in vain somebody of ours hears it: no ladder ends in silence."""
    _pass_over(work, alert)
    case = inform_case(work, alert)
    following = inform.on_unanswered(case, track, reason)
    move(work, alert, following)
    # in rehearsal nobody was rung, so nobody can be said not to have answered
    if following.track.step == "not_reached" and not case.rehearsed:
        tell_staff(work, alert, "OC-101", count=following.track.round)


def kin_told(work: Work, alert: Alert, by: str, person: str | None) -> None:
    """A named member of staff spoke to a next of kin, whoever rang whom."""
    proof = f"person:{by}"
    kin = kin_of(work, alert)
    told = person or (kin[0].ref if kin else None)
    if told is not None:
        reached = f.PersonReached(person=told, purpose="inform_next_of_kin", proof=proof, answer="spoke")
        work.emit(alert.ref, reached)
    withdraw(work, alert, "inform_next_of_kin")
    track = alert.track("inform") or Track(name="inform", step="waiting", reason="")
    move(work, alert, inform.told(track, "spoke"))


def inform_deadline(work: Work, alert: Alert, visit: Visit, track: Track) -> None:
    """The next of kin who comes next, or the first one."""
    if track.step != "waiting" and _kin_call_waits(work, alert):
        later = work.now + reassure.lasts(work.policy(alert), held(work, alert, "inform_next_of_kin"))
        move(work, alert, Move(track=structs.replace(track, next_at=later)))
        return
    if track.step != "waiting":
        _next_kin(work, alert, track, "unanswered")
        return
    spoken = alert.track("reassure")
    rung = spoken is not None and (spoken.step in ("waiting", "trying") or spoken.reason == "claimed_there")
    if _confirmed(work, alert, visit) or _claimed(alert) or rung:
        later = work.now + work.policy(alert).replace_within / 2
        move(work, alert, inform.waits("being_rung" if rung else "somebody_comes", later))
        return
    inform_now(work, alert, track.reason)


def _kin_call_waits(work: Work, alert: Alert) -> bool:
    """Their call has not left yet: nobody is passed over because the telephones are away."""
    waiting = open_messages(work, alert, "inform_next_of_kin")
    return any(message.channel == "call" and message.phase == "queued" for message in waiting)


def inform_settled(work: Work, alert: Alert, message: Message, result: str) -> None:
    """A try to reach a next of kin ended: unless a human answered, the next one at once."""
    track = alert.track("inform")
    if track is None or track.step != "trying" or message.proof is not None or message.channel == "sms":
        return
    later = [
        m
        for m in work.messages_of(alert)
        if m.purpose == message.purpose and m.intended_at > message.intended_at
    ]
    if later or result in ("cancelled", "rehearsed", "delivered"):
        return
    case = inform_case(work, alert)
    if result == "failed" and never_left(work.message(message.key) or message):
        move(work, alert, _without_texts_sent(work, alert, inform.again(case, track)))
        return
    if inform.is_last(case, track) and track.round < inform.KIN_ROUNDS:
        soon = work.now + work.policy(alert).reassure_retry
        if track.next_at is not None and track.next_at > soon:
            move(work, alert, Move(track=structs.replace(track, next_at=soon)))
        return  # the first one again, but not at once: their telephone is left in peace until the moment set
    _next_kin(work, alert, track, "unanswered")


def _without_texts_sent(work: Work, alert: Alert, to: Move) -> Move:
    """A call that could not leave is tried again; the text beside it is not, unless it could not leave either."""
    texts = [m for m in work.messages_of(alert) if m.purpose == "inform_next_of_kin" and m.channel == "sms"]
    had = {m.line for m in texts if m.attempts or m.phase == "queued"}
    kept = (contact for contact in to.contacts if contact.channel != "sms" or contact.line not in had)
    return Move(track=to.track, contacts=tuple(kept))
