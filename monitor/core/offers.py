"""Offers to go instead: who has one open, and for whom there is room for one more (spec 22.4).

Sixty late visits want the same care workers. However many alerts ask, one care worker has at most `open_offers` of them
to answer at a time; the last place is a time-critical visit's. Who would have been asked but for that stands in the
alert (`OffersHeld`), and is asked as soon as an offer of theirs is answered, withdrawn or lapses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from config.policy import Policy
from escalation.candidates import Score
from escalation.replace import OFFERS
from monitor.core import facts as f
from monitor.core.counted import on_the_way
from monitor.core.state import Alert, Message
from monitor.core.work import Work

NO_ROOM = "open_offers"
"""Why somebody is not asked, and why a wave asks nobody: as many offers are open as the policy allows."""
COVERED_WORDS = "CW-8B"


def asked(work: Work, alert: Alert) -> set[str]:
    """Whose last word from us about it is an offer. Who was told since that it is covered may be asked again."""
    last: dict[str, bool] = {}
    for message in work.messages_of(alert):
        if message.result != "cancelled" and message.template in (*OFFERS, COVERED_WORDS):
            last[message.person] = message.template in OFFERS
    return {person for person, offered in last.items() if offered}


def ever_asked(work: Work, alert: Alert) -> int:
    """To how many the visit was offered."""
    return len({m.person for m in work.messages_of(alert) if m.template in OFFERS})


def most(policy: Policy, *, time_critical: bool) -> int:
    """So many offers one care worker may have open when this alert asks: one place is kept for a visit that is
    time-critical, where there is more than one."""
    return policy.open_offers if time_critical else max(policy.open_offers - 1, 1)


def has_room(work: Work, alert: Alert, worker: str) -> bool:
    """Whether this care worker may be asked about this alert now, as far as their open offers go."""
    others = {one.ref for one in _open(work, worker) if one.ref != alert.ref}
    return len(others) < most(work.policy(alert), time_critical=alert.time_critical)


def may_have_more(work: Work, worker: str) -> bool:
    """Whether there is an alert that could ask them at all, whatever its policy says of the last place."""
    policies = (work.state.values.policy, *work.state.values.policies.values())
    return len(_open(work, worker)) < max(policy.open_offers for policy in policies)


def split(
    work: Work, alert: Alert, ranked: Sequence[Score], size: int
) -> tuple[list[Score], tuple[str, ...]]:
    """Who is asked in a wave of that size, and who was passed over on the way, best first, for want of room."""
    free: list[Score] = []
    held: list[str] = []
    for score in ranked:
        if len(free) == size:
            break
        if has_room(work, alert, score.ref):
            free.append(score)
        else:
            held.append(score.ref)
    return free, tuple(held[:size])


def _open(work: Work, worker: str) -> list[Alert]:
    """The alerts of which this care worker has an offer to answer, or to which they are on the way."""
    keys = [*work.state.offers.get(worker, ()), *work.new_messages()]
    found = [message for key in keys if (message := work.message(key)) is not None]
    mine = [m for m in found if m.person == worker and m.template in OFFERS]
    alerts = {m.alert: m for m in mine if m.alert is not None}  # the last one of each
    return [a for ref, m in alerts.items() if (a := work.alert(ref)) is not None and _is_open(work, a, m)]


def _is_open(work: Work, alert: Alert, offer: Message) -> bool:
    if alert.state == "ended":
        return False
    if any(sent.worker == offer.person for sent in alert.sent):
        visit = work.visit(alert.visit)
        return visit is not None and any(one.worker == offer.person for one in on_the_way(alert, visit))
    if offer.person in alert.declined or offer.result in ("failed", "cancelled"):
        return False
    if offer.channel == "call" and offer.phase == "settled":
        return False  # a call that is over can be answered no more
    return work.now < lapses_at(work, alert, offer) and offer.person in asked(work, alert)


def lapses_at(work: Work, alert: Alert, offer: Message) -> datetime:
    """Until when an unanswered offer counts: as long as it says that it stands, and for one wave at least."""
    return max(offer.expires_at, offer.intended_at + work.policy(alert).offer_wave)


def room_at(work: Work, workers: Sequence[str]) -> datetime | None:
    """When the first open offer of one of these lapses by itself; None: none does."""
    moments = []
    for worker in workers:
        for key in work.state.offers.get(worker, ()):
            message = work.message(key)
            alert = work.alert(message.alert) if message is not None else None
            if message is not None and alert is not None and _is_open(work, alert, message):
                moments.append(lapses_at(work, alert, message))
    return min((at for at in moments if at > work.now), default=None)


def hold(work: Work, alert: Alert, held: tuple[str, ...], owed: int) -> None:
    """Say who would have been asked in this wave and has no room, if that is not what was said last."""
    current = work.alert(alert.ref) or alert
    if (current.offers_held, current.offers_owed) != (held, owed):
        work.emit(alert.ref, f.OffersHeld(workers=held, owed=owed), policy=alert.policy)


def freed(work: Work, since: int) -> set[str]:
    """Who may have room again by the facts of this decision from that one on."""
    found: set[str] = set()
    for draft in work.drafts[since:]:
        body = draft.body
        if isinstance(body, f.ReplacementDeclined):
            found.add(body.worker)
        elif isinstance(body, f.AlertEnded):
            ended = work.alert(draft.subject)
            found |= {m.person for m in work.messages_of(ended) if m.template in OFFERS} if ended else set()
        elif isinstance(body, f.MessageSettled):
            message = work.message(draft.subject)
            if message is not None and message.template in OFFERS:
                found.add(message.person)
        elif isinstance(body, f.MessageIntended) and body.template == COVERED_WORDS:
            found.add(body.person)
    return found


def any_owed(work: Work) -> bool:
    """Whether an alert owes offers at all: seldom, and asked after every decision."""
    return bool(work.state.owing) or any(type(draft.body) is f.OffersHeld for draft in work.drafts)


def owing(work: Work) -> list[Alert]:
    """The alerts that still owe offers of a wave, in the order in which they are served: time-critical visits, then
    those about which nobody was asked, then by age."""
    found = {ref: work.alert(ref) for ref in (*work.state.owing, *work.changed_alerts())}
    alerts = [a for a in found.values() if a is not None and a.offers_owed and a.state != "ended"]
    return sorted(alerts, key=lambda a: (not a.time_critical, bool(asked(work, a)), a.opened_at, a.ref))
