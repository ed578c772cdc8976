"""Whether who was asked about a package was reached at all (design rule 5: silence is recorded, and a provider that
nothing could reach has kept none).

The turn of a provider is one asking with its own window: an invitation, and what reminds of it, by text and by mail.
"""

from __future__ import annotations

from collections.abc import Iterable

from monitor.core.placing import facts as p
from monitor.core.placing.inputs import PlacementActed
from monitor.core.placing.model import Asked, Placement, RoundRun
from monitor.core.state import Message
from monitor.core.work import Refusal, Work

INVITED, TURN, REMINDED = "BD-1", "BD-7", "BD-2"
ASKS = frozenset({INVITED, TURN, REMINDED})
"""Words that tell a provider that it is asked."""


def unreached(work: Work, placement: Placement, asked: Asked) -> bool:
    """Whether nothing of this turn has come to them, nor can have: every text and mail has failed, or waits still, and
    nobody has rung them."""
    return asked.spoken_at is None and not any(_may_have_come(one) for one in asking(work, placement, asked))


def failed(work: Work, placement: Placement, asked: Asked) -> bool:
    """Whether nothing of this turn has come to them, nor can any more."""
    return asked.spoken_at is None and all(_is_lost(one) for one in asking(work, placement, asked))


def asking(work: Work, placement: Placement, asked: Asked) -> list[Message]:
    """The texts and mails that ask them in this turn."""
    told = (work.message(key) for key in placement.messages)
    return [one for one in told if one is not None and one.person == asked.provider and _is_of(one, asked)]


def _is_of(message: Message, asked: Asked) -> bool:
    if message.template not in ASKS:
        return False
    return message.intended_at == asked.at or asked.at < message.intended_at < asked.closes_at


def _may_have_come(message: Message) -> bool:
    return message.phase in ("attempted", "accepted") or (
        message.phase == "settled" and not _is_lost(message)
    )


def _is_lost(message: Message) -> bool:
    return message.phase == "settled" and message.result in ("failed", "cancelled")


def turn_of(placement: Placement, message: Message) -> tuple[RoundRun, Asked] | None:
    """The turn to which a message belongs."""
    for run in placement.rounds:
        for asked in run.asked:
            if asked.provider == message.person and _is_of(message, asked):
                return run, asked
    return None


def note(work: Work, placement: Placement, run: RoundRun, asked: Asked, told: Iterable[str] = ()) -> bool:
    """Record that nothing could reach them in this turn, once. Returns whether it was not known before."""
    if asked.not_reached_at is not None:
        return False
    found = p.ProviderNotReached(
        index=run.index, provider=asked.provider, asked_at=asked.at, told=tuple(sorted(told))
    )
    work.emit(placement.ref, found, policy=placement.policy)
    return True


def spoken_to(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """A broker has told them by telephone that they are asked: whoever says nothing from here on is silent, and whoever
    answers has taken the time since then. Refused: `not_asked`, `window_over`, `already_done`, `reached` (something had
    come to them, or they have answered)."""
    asked, run = placement.was_asked(seen.provider or ""), placement.running
    if asked is None:
        return Refusal(code="not_asked")
    if run is None or asked not in run.asked or work.now >= asked.closes_at:
        return Refusal(code="window_over")
    if asked.spoken_at is not None:
        return Refusal(code="already_done", detail={"by": asked.spoken_by, "at": asked.spoken_at})
    if asked.answered_at is not None or not (asked.not_reached_at or unreached(work, placement, asked)):
        return Refusal(code="reached")
    told = p.ProviderSpokenTo(
        index=run.index, provider=asked.provider, asked_at=asked.at, by=seen.by, note=seen.note
    )
    work.emit(placement.ref, told, policy=placement.policy)
    return None
