"""Who was sent and is not there in time: asked first, as who was planned is, and only then is the place offered again.

A text and then a call: *there*, *on my way* with minutes, *cannot* (spec 22.3, 22.4). Their own time, what they say
and how long they are asked follow from the policy's spans for *locate*. The hour runs on meanwhile.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import structs

from escalation import locate
from escalation.track import ContactChannel
from monitor.core.alerts import intend, open_messages, person_for, tell_staff
from monitor.core.counted import on_the_way, said_by, said_cannot
from monitor.core.state import Alert, Message, Sent, Visit
from monitor.core.work import Work

WHERE = "CW-150"
"""The text that asks them; CW-2 speaks of a visit that is theirs by the rota."""
WHERE_BY_CALL = "CWV-1"
Next = Literal["ask", "call", "give_up"]


def next_look(work: Work, alert: Alert, visit: Visit) -> datetime | None:
    """When the next of them is to be asked, or waited for no longer; None: nobody is on the way."""
    going = on_the_way(alert, visit)
    return min((_next(work, alert, visit, sent)[1] for sent in going), default=None)


def given_up(work: Work, alert: Alert, visit: Visit) -> list[Sent]:
    """Who is not waited for any more. Whose time has come to be asked is asked."""
    gone = []
    for sent in on_the_way(alert, visit):
        following, at = _next(work, alert, visit, sent)
        while at <= work.now and following != "give_up" and _ask(work, alert, visit, sent, following):
            following, at = _next(work, work.alert(alert.ref) or alert, visit, sent)
        if at <= work.now:
            gone.append(sent)
    return gone


def on_failed(work: Work, alert: Alert, visit: Visit, message: Message) -> Sent | None:
    """A question to them could not be sent: the call in place of the text, now. Returns who cannot be asked at all
    (design rule 6)."""
    sent = next((one for one in on_the_way(alert, visit) if one.worker == message.person), None)
    if sent is None or any(m.person == sent.worker for m in open_messages(work, alert, "locate")):
        return None
    following, _ = _next(work, alert, visit, sent)
    if following == "call" and _ask(work, alert, visit, sent, "call"):
        return None
    heard = any(m.result != "failed" for m in _asked(work, alert, sent))
    return None if heard or following == "ask" else sent


def silent(work: Work, alert: Alert, visit: Visit) -> list[str]:
    """Who was sent, was waited for in vain and has not said that they cannot: they may be on the way still, and hear
    when somebody else goes."""
    asked = {m.person for m in work.messages_of(alert) if m.template == WHERE}
    told = {m.person for m in work.messages_of(alert) if m.template == "CW-8B" and m.result != "cancelled"}
    going = {sent.worker for sent in alert.sent}
    return sorted(who for who in asked - told - going if not said_cannot(visit, who))


def _next(work: Work, alert: Alert, visit: Visit, sent: Sent) -> tuple[Next, datetime]:
    """What comes next for who was sent, and when."""
    policy = work.policy(alert)
    missed = sent.eta_at + locate.eta_grace(policy)
    said = said_by(visit, sent.worker)
    if said is not None and said.answer == "there" and (sent.at is None or said.said_at >= sent.at):
        return "give_up", max(missed, (said.claimed_at or said.said_at) + locate.claim_holds(policy))
    asked = _asked(work, alert, sent)
    if not asked:
        return "ask", missed
    began = asked[0].intended_at
    if began + policy.locate_gives_up < missed:
        return "give_up", missed  # they have named another time since, and that one has passed as well
    called = any(message.channel == "call" for message in asked)
    if not called and person_for(work, sent.worker, visit.service_user).voice_lines():
        return "call", max(missed, began + locate.call_after(policy))
    return "give_up", max(missed, began + policy.locate_gives_up)


def _asked(work: Work, alert: Alert, sent: Sent) -> list[Message]:
    """The questions to them since they accepted."""
    mine = [m for m in work.messages_of(alert) if m.person == sent.worker]
    accepted = max((m.intended_at for m in mine if m.template == "CW-8"), default=alert.opened_at)
    return [m for m in mine if m.template in (WHERE, WHERE_BY_CALL) and m.intended_at >= accepted]


def _ask(work: Work, alert: Alert, visit: Visit, sent: Sent, how: Next) -> bool:
    """By text, else by call. Returns whether there is a line for it."""
    view = person_for(work, sent.worker, visit.service_user)
    text, voice = view.text_line(), next(iter(view.voice_lines()), None)
    by_text = how == "ask" and text is not None
    line = text if by_text else voice
    if line is None:
        return False
    channel: ContactChannel = "sms" if by_text else "call"
    words = WHERE if by_text else WHERE_BY_CALL
    contact = locate.worker_contact(
        view, line.ref, channel, work.policy(alert), "locate", words, "time_critical"
    )
    intend(work, structs.replace(contact, at=sent.eta_at), alert=alert, visit=visit)
    if how == "ask":
        tell_staff(work, alert, "OC-153", about=sent.worker, at=sent.eta_at)
    return True
