"""What a broker does about a package, and the winner about its first visit: one table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from monitor.core.placing import after, award, bids, reach, rounds, telling
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import WITHDRAW_REASONS, PlacementActed, PlacementAction
from monitor.core.placing.model import Placement
from monitor.core.work import Decision, Refusal, Work

Act = Callable[[Work, Placement, PlacementActed], Refusal | None]


def acted(work: Work, seen: PlacementActed) -> Decision:
    """Do it, or say why not: to the second of two, who was first."""
    placement = work.placement(seen.placement)
    if placement is None:
        return Decision(refusal=Refusal(code="not_found"))
    refusal = _barred(work, placement, seen) or ACTIONS[seen.action](work, placement, seen)
    return work.decision(refusal=refusal) if refusal is not None else work.decision(answer=placement.ref)


def _barred(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """Who may: a broker, whatever it is; the winner confirms its first visit, and nothing else."""
    if not telling.is_broker(work, seen.by):
        award = placement.award
        if seen.action not in BY_WINNER or seen.by not in work.state.values.providers:
            return Refusal(code="not_broker")
        if award is None or award.provider != seen.by:
            return Refusal(code="not_winner")
        if seen.source == "link" and not placement.link_opens(seen.by, seen.link):
            bids.record_refusal(work, placement, seen.by, "link_revoked", "link")
            return Refusal(code="link_revoked")  # whoever holds it, it need not be the winner
    if placement.ended is not None:
        first = _first(placement.ended_by, placement.ended_at)
        return Refusal(code="already_ended", detail=first | {"reason": placement.ended})
    award = placement.award
    if seen.action in OF_WINNER and award is not None and seen.provider not in (None, award.provider):
        return Refusal(code="not_winner")  # the page of two brokers showed another winner by then
    return None


LATEST, LONGEST = timedelta(days=366), timedelta(days=14)
"""A first visit in 2062 is a slip of the pen, after which nobody would be asked about the package any more; one of
live-in care may last for days (ours)."""
BY_WINNER: frozenset[PlacementAction] = frozenset({"confirm_first_visit"})
OF_WINNER: frozenset[PlacementAction] = frozenset(
    {"papers_sent", "confirm_first_visit", "extend", "send_back"}
)
"""What is done about the award: a `provider` named with it is who is meant to have it."""


def _papers_sent(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    award = placement.award
    if award is None:
        return Refusal(code="not_awarded")
    if award.papers_sent_at is not None:
        return Refusal(code="already_done", detail=_first(award.papers_by, award.papers_sent_at))
    work.emit(placement.ref, p.PapersSent(by=seen.by, note=seen.note), policy=placement.policy)
    return None


def _first(by: str | None, at: datetime | None) -> dict[str, Any]:
    """Who was first and when; nobody where it came by itself."""
    return {"at": at} if by is None else {"by": by, "at": at}


def _confirm(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """Day and time of the first visit, by the winner or by a broker who has spoken to them. A second, other time is
    agreed between people: it is in the provider's own rota by then."""
    award, known = placement.award, placement.first_visit
    if award is None:
        return Refusal(code="not_awarded")
    if known is not None:
        return Refusal(code="already_done", detail=_first(known.by or award.provider, known.at))
    if seen.start is None or seen.start <= work.now:
        return Refusal(code="start", detail={"expected": ["a time to come"]})
    if seen.start - work.now > LATEST:
        return Refusal(code="start", detail={"expected": ["a time within a year"]})
    if seen.end is None or not timedelta() < seen.end - seen.start <= LONGEST:
        return Refusal(code="end", detail={"expected": ["a time after the start, within two weeks of it"]})
    winner = work.state.values.providers.get(award.provider)
    confirmed = p.FirstVisitConfirmed(
        provider=award.provider,
        start=seen.start,
        end=seen.end,
        source=seen.source,
        supervisor=seen.supervisor,
        by=seen.by if seen.by != award.provider else None,
        desk=winner.said.desk if winner is not None else None,
        note=seen.note,
    )
    work.emit(placement.ref, confirmed, policy=placement.policy)
    after.over(work, placement.ref, "confirmed", seen.by)
    telling.first_visit(work, placement.ref)
    return None


def _extend(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """The winner has longer to confirm. Who names another deadline than the one that holds, or none where one was
    moved before, has a page before them that somebody else's word has overtaken."""
    award = placement.award
    if award is None:
        return Refusal(code="not_awarded")
    if placement.first_visit is not None:
        visit = placement.first_visit
        return Refusal(code="already_done", detail=_first(visit.by or award.provider, visit.at))
    overtaken = seen.was != award.confirm_by if seen.was is not None else award.extended_at is not None
    if overtaken:
        return Refusal(
            code="already_done", detail=_first(award.extended_by or award.by, award.extended_at or award.at)
        )
    if seen.until is None or seen.until <= max(work.now, award.confirm_by):
        return Refusal(code="until", detail={"expected": ["a time to come, after the present deadline"]})
    if seen.until - work.now > LATEST:
        return Refusal(code="until", detail={"expected": ["a time within a year"]})
    extended = p.ConfirmationExtended(
        provider=award.provider, confirm_by=seen.until, was=award.confirm_by, by=seen.by, note=seen.note
    )
    work.emit(placement.ref, extended, policy=placement.policy)
    after.over(work, placement.ref, "extended", seen.by)
    telling.extended(work, placement.ref)
    return None


def _send_back(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """The award is taken back, with a note why; whoever follows is asked, or the next round opens."""
    if placement.award is None:
        return Refusal(code="not_awarded")
    if seen.note is None:
        return Refusal(code="note", detail={"expected": ["why it is taken back, in words"]})
    provider = placement.award.provider
    back = p.AwardTakenBack(provider=provider, reason="sent_back", by=seen.by, note=seen.note)
    work.emit(placement.ref, back, policy=placement.policy)
    telling.award_taken_back(work, placement.ref, provider)
    after.over(work, placement.ref, "sent_back", seen.by)
    if not rounds.open_next(work, placement.ref, seen.by):
        after.unplaced(work, placement.ref)
    return None


def _open_next(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """The broker opens the next round; with a proposal before them only with a note, why it is not followed."""
    if placement.award is not None:
        return Refusal(code="already_awarded", detail=_first(placement.award.by, placement.award.at))
    if placement.running is not None:
        run = placement.running
        return Refusal(code="round_open", detail=_first(run.by, run.opened_at))
    if placement.proposed is not None and seen.note is None:
        return Refusal(code="note", detail={"expected": ["why the proposal is not followed, in words"]})
    if not rounds.open_next(work, placement.ref, seen.by, seen.note):
        if placement.proposed is None:
            after.unplaced(work, placement.ref)  # nobody is left to ask: it waits for no round any more
        return Refusal(code="no_more_rounds")
    after.passed_over(work, placement.ref)
    return None


def _withdraw(work: Work, placement: Placement, seen: PlacementActed) -> Refusal | None:
    """Nobody is looked for any more: whoever might still hope for the package is told."""
    if seen.withdrawn is None:
        return Refusal(code="withdrawn", detail={"expected": list(WITHDRAW_REASONS)})
    if seen.withdrawn == "other" and seen.note is None:
        return Refusal(code="note", detail={"expected": ["why it is withdrawn, in words"]})
    hoping = after.hoping(placement)
    rounds.close(work, placement.ref, "withdrawn")
    ended = p.PlacementEnded(reason="withdrawn", by=seen.by, withdrawn=seen.withdrawn, note=seen.note)
    work.emit(placement.ref, ended, policy=placement.policy)
    telling.package_withdrawn(work, placement.ref, hoping)
    after.over(work, placement.ref, "withdrawn", seen.by)
    return None


ACTIONS: dict[PlacementAction, Act] = {
    "award": award.act,
    "papers_sent": _papers_sent,
    "confirm_first_visit": _confirm,
    "extend": _extend,
    "send_back": _send_back,
    "open_next": _open_next,
    "withdraw": _withdraw,
    "admit_late": bids.admit_late,
    "spoke_provider": reach.spoken_to,
    "revoke_link": bids.revoke_link,
}
"""What each action does. Where it returns a refusal nothing changes, but that a package with no round left is then
unplaced."""
