"""What the facts of placing make of what the desk knows. Folds only: replaying them years later gives the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import structs

from monitor.core.body import FactBody
from monitor.core.placing import facts as p
from monitor.core.placing.inputs import PlacementAction
from monitor.core.placing.model import (
    Asked,
    Award,
    Bid,
    CallOff,
    Declined,
    FirstVisit,
    Placement,
    Remark,
    RoundRun,
)


def evolve_placement(
    known: Placement | None, ref: str, at: datetime, policy: str, body: FactBody
) -> Placement | None:
    """The placement after this fact; None when it is not in the state (any more)."""
    after = _evolved(known, ref, at, policy, body)
    return after if after is None else _remarked(after, at, body)


Remarked = (
    p.PlacementAwarded
    | p.RoundOpened
    | p.LateBidAdmitted
    | p.ProviderSpokenTo
    | p.PapersSent
    | p.FirstVisitConfirmed
    | p.ConfirmationExtended
    | p.AwardTakenBack
    | p.LinkRevoked
    | p.PlacementEnded
)
"""What somebody does, and may write a word beside."""
ACTIONS: dict[type[FactBody], PlacementAction] = {
    p.PlacementAwarded: "award",
    p.RoundOpened: "open_next",
    p.LateBidAdmitted: "admit_late",
    p.ProviderSpokenTo: "spoke_provider",
    p.PapersSent: "papers_sent",
    p.FirstVisitConfirmed: "confirm_first_visit",
    p.ConfirmationExtended: "extend",
    p.AwardTakenBack: "send_back",
    p.LinkRevoked: "revoke_link",
    p.PlacementEnded: "withdraw",
}


def _remarked(known: Placement, at: datetime, body: FactBody) -> Placement:
    if not isinstance(body, Remarked) or body.note is None:
        return known
    provider = None if isinstance(body, p.RoundOpened | p.PapersSent | p.PlacementEnded) else body.provider
    by = body.by or provider  # the winner confirms for itself
    if by is None:
        return known
    remark = Remark(action=ACTIONS[type(body)], at=at, by=by, note=body.note, provider=provider)
    return structs.replace(known, remarks=(*known.remarks, remark))


def _evolved(
    known: Placement | None, ref: str, at: datetime, policy: str, body: FactBody
) -> Placement | None:
    if isinstance(body, p.PlacementReceived):
        return Placement(
            ref=ref,
            package=body.package,
            received_at=at,
            by=body.by,
            policy=policy,
            text=body.text,
            marks=body.marks,
            override=body.override,
        )
    if known is None or isinstance(body, p.PlacementClosed):
        return None
    match body:
        case p.RoundOpened():
            return _renewed(_opened(known, at, body), body.renewed)
        case p.RoundPassedOver():
            return structs.replace(known, passed_over=tuple(sorted({*known.passed_over, body.index})))
        case p.ProviderAsked():
            renewed = (body.provider,) if body.renewed else ()
            return _renewed(_with_round(known, _asked_next(known.rounds[-1], at, body)), renewed)
        case p.RoundReminded():
            return _with_round(known, structs.replace(known.rounds[-1], reminded=body.step + 1))
        case p.BidRecorded():
            return _answered(_with_bid(known, at, body), body.provider, at, body.late)
        case p.BidWithdrawn():
            return _withdrawn(known, at, body.provider)
        case p.BidDeclined():
            return _answered(_with_declined(known, at, body), body.provider, at, body.late)
        case p.BidRefused() if body.provider is not None and body.why in p.DEAD_LINK:
            return structs.replace(known, dead_presses=(*known.dead_presses, body.provider))
        case p.LateBidAdmitted():
            return _admitted(known, body)
        case p.RoundClosed():
            return _with_round(known, _closed(known.rounds[-1], at, body))
        case p.ProviderNotReached():
            return structs.replace(known, rounds=tuple(_not_reached(run, at, body) for run in known.rounds))
        case p.ProviderSpokenTo():
            return structs.replace(known, rounds=tuple(_spoken_to(run, at, body) for run in known.rounds))
        case p.ProposalMade():
            known = _with_round(known, structs.replace(known.rounds[-1], rows=body.rows, judged_at=at))
            return structs.replace(known, rows=body.rows, proposed=body.proposed, proposed_at=at)
        case _:
            return _after(known, at, body)


def _after(known: Placement, at: datetime, body: FactBody) -> Placement:
    match body:
        case p.PlacementAwarded():
            return structs.replace(known, award=_award(at, body), unplaced_at=None)
        case p.LosersTold():
            return structs.replace(known, rounds=tuple(_told(run, at, body) for run in known.rounds))
        case p.PapersReminded() | p.PapersSent() | p.ConfirmationReminded():
            return _with_award(known, at, body)
        case p.ConfirmationExtended() if known.award is not None:
            return structs.replace(known, award=_extended(known.award, at, body), alert=None)
        case p.FirstVisitConfirmed():
            visit = FirstVisit(
                start=body.start,
                end=body.end,
                at=at,
                source=body.source,
                supervisor=body.supervisor,
                by=body.by,
                desk=body.desk,
            )
            return structs.replace(known, first_visit=visit)
        case p.AwardTakenBack():
            return structs.replace(
                known,
                award=None,
                proposed=None,
                rows=(),
                first_visit=None,
                alert=None,
                taken_back=(*known.taken_back, body.provider),
                call_offs=_unwanted(known, at),
            )
        case p.LinkRevoked():
            return structs.replace(known, revoked=tuple(sorted({*known.revoked, body.provider})))
        case p.PlacementUnplaced():
            return structs.replace(known, unplaced_at=at, alert=body.alert)
        case p.BrokerSummoned():
            award = structs.replace(known.award, summoned_at=at) if known.award is not None else None
            return structs.replace(known, award=award, alert=body.alert)
        case p.FirstVisitLanded() if known.first_visit is not None:
            return structs.replace(known, first_visit=structs.replace(known.first_visit, landed=body.visit))
        case p.LandingMissed() if known.first_visit is not None:
            return structs.replace(known, first_visit=structs.replace(known.first_visit, missed_at=at))
        case p.FirstVisitCalledOff():
            return _with_call_off(known, body.index, outcome=body.outcome, settled_at=at)
        case p.CallOffMissed():
            return _with_call_off(known, body.index, missed_at=at)
        case p.PlacementEnded():
            return structs.replace(
                known,
                ended=body.reason,
                ended_at=at,
                ended_by=body.by,
                withdrawn=body.withdrawn,
                call_offs=_unwanted(known, at) if body.reason == "withdrawn" else known.call_offs,
            )
        case _:
            return known


def _unwanted(known: Placement, at: datetime) -> tuple[CallOff, ...]:
    """With the first visit that the winner has confirmed, where it has a desk here: it may stand there, also when
    nobody has said so yet."""
    visit, award = known.first_visit, known.award
    if visit is None or visit.desk is None or award is None:
        return known.call_offs
    unwanted = CallOff(
        provider=award.provider,
        desk=visit.desk,
        start=visit.start,
        end=visit.end,
        at=at,
        again=known.times_had,
    )
    return (*known.call_offs, unwanted)


def _with_call_off(known: Placement, index: int, **more: Any) -> Placement:
    changed = structs.replace(known.call_offs[index], **more)
    return structs.replace(
        known, call_offs=(*known.call_offs[:index], changed, *known.call_offs[index + 1 :])
    )


def _told(run: RoundRun, at: datetime, body: p.LosersTold) -> RoundRun:
    if run.index != body.index or run.closed_at is None:
        return run
    return structs.replace(run, told_at=run.told_at or at, told=(*run.told, *body.told))


def _award(at: datetime, body: p.PlacementAwarded) -> Award:
    return Award(
        provider=body.provider,
        at=at,
        confirm_by=body.confirm_by,
        index=body.index,
        by=body.by,
        early=body.early,
        reason=body.reason,
        note=body.note,
        proposed=body.proposed,
    )


def _extended(award: Award, at: datetime, body: p.ConfirmationExtended) -> Award:
    """They are reminded, and the broker is summoned, by the new deadline."""
    return structs.replace(
        award,
        confirm_by=body.confirm_by,
        extended_at=at,
        extended_by=body.by,
        reminded_at=None,
        summoned_at=None,
    )


def _with_award(known: Placement, at: datetime, body: FactBody) -> Placement:
    if known.award is None:
        return known
    match body:
        case p.PapersSent():
            award = structs.replace(known.award, papers_sent_at=at, papers_by=body.by)
        case p.PapersReminded():
            award = structs.replace(known.award, papers_reminded_at=at)
        case _:
            award = structs.replace(known.award, reminded_at=at)
    return structs.replace(known, award=award)


def _opened(known: Placement, at: datetime, body: p.RoundOpened) -> Placement:
    run = RoundRun(
        index=body.index,
        opened_at=at,
        closes_at=body.closes_at,
        asked=tuple(Asked(provider=ref, at=at, closes_at=body.closes_at) for ref in body.asked),
        line=body.line,
        crosses=body.crosses,
        by=body.by,
        reminds_at=body.reminds_at,
    )
    return structs.replace(
        known, rounds=(*known.rounds, run), rows=(), proposed=None, unplaced_at=None, alert=None
    )


def _renewed(known: Placement, providers: tuple[str, ...]) -> Placement:
    if not providers:
        return known
    revoked = tuple(one for one in known.revoked if one not in providers)
    return structs.replace(known, revoked=revoked, renewed=(*known.renewed, *providers))


def _asked_next(run: RoundRun, at: datetime, body: p.ProviderAsked) -> RoundRun:
    """The turn of whoever was asked before is over, also where they declined before their window was."""
    asked = Asked(provider=body.provider, at=at, closes_at=body.closes_at)
    last = structs.replace(run.asked[-1], closes_at=min(at, run.asked[-1].closes_at))
    return structs.replace(
        run,
        asked=(*run.asked[:-1], last, asked),
        line=tuple(ref for ref in run.line if ref != body.provider),
        closes_at=body.closes_at,
        crosses=body.crosses or run.crosses,
        reminds_at=body.reminds_at,
        reminded=0,
    )


def _closed(run: RoundRun, at: datetime, body: p.RoundClosed) -> RoundRun:
    return structs.replace(
        run, closed_at=at, reason=body.reason, silent=body.silent, not_reached=body.not_reached
    )


def _not_reached(run: RoundRun, at: datetime, body: p.ProviderNotReached) -> RoundRun:
    """The run after the fact: of one that is over, whoever was not reached has not been silent."""
    mine = [one for one in run.asked if (one.provider, one.at) == (body.provider, body.asked_at)]
    if run.index != body.index or not mine:
        return run
    asked = tuple(structs.replace(one, not_reached_at=at) if one in mine else one for one in run.asked)
    if body.provider not in run.silent:
        return structs.replace(run, asked=asked)
    silent = tuple(one for one in run.silent if one != body.provider)
    return structs.replace(run, asked=asked, silent=silent, not_reached=(*run.not_reached, body.provider))


def _spoken_to(run: RoundRun, at: datetime, body: p.ProviderSpokenTo) -> RoundRun:
    def told(one: Asked) -> Asked:
        if (run.index, one.provider, one.at) != (body.index, body.provider, body.asked_at):
            return one
        return structs.replace(one, spoken_at=at, spoken_by=body.by)

    return structs.replace(run, asked=tuple(told(one) for one in run.asked))


def _with_round(known: Placement, run: RoundRun) -> Placement:
    return structs.replace(known, rounds=(*known.rounds[:-1], run))


def _answered(known: Placement, provider: str, at: datetime, late: bool) -> Placement:
    """Their first answer in time is their response time. Of a ranked round one may come late while another is asked."""
    run = known.running
    if run is None or late:
        return known
    asked = tuple(
        structs.replace(one, answered_at=at) if one.provider == provider and one.answered_at is None else one
        for one in run.asked
    )
    return _with_round(known, structs.replace(run, asked=asked))


def _with_bid(known: Placement, at: datetime, body: p.BidRecorded) -> Placement:
    """A change takes the place of what it changes; what comes after a withdrawal is a new bid; one after the close
    stands beside what came in time."""
    before = known.bid_of(body.provider)
    same = before is not None and before.index == body.index and before.stands
    bid = Bid(
        provider=body.provider,
        index=body.index,
        at=at,
        first_at=before.first_at if before is not None and same else at,
        start=body.start,
        source=body.source,
        late=body.late,
        changes=body.change,
        by=body.by,
        how=body.how,
        hours_free=body.hours_free,
        hours_declared=body.hours_declared,
    )
    if body.late:
        return structs.replace(known, late=_put(known.late, bid))
    bids = known.bids if same else _without(known.bids, body.provider)
    return structs.replace(
        known,
        bids=_put(bids, bid),
        late=_without(known.late, body.provider),
        declined=_not_declined(known, body.provider),
    )


def _without(bids: tuple[Bid, ...], provider: str) -> tuple[Bid, ...]:
    return tuple(bid for bid in bids if bid.provider != provider)


def _not_declined(known: Placement, provider: str) -> tuple[Declined, ...]:
    return tuple(one for one in known.declined if one.provider != provider)


def _put(bids: tuple[Bid, ...], bid: Bid) -> tuple[Bid, ...]:
    if all(one.provider != bid.provider for one in bids):
        return (*bids, bid)
    return tuple(bid if one.provider == bid.provider else one for one in bids)


def _admitted(known: Placement, body: p.LateBidAdmitted) -> Placement:
    late = next((bid for bid in known.late if bid.provider == body.provider), None)
    if late is None:
        return known
    return structs.replace(
        known,
        bids=_put(known.bids, structs.replace(late, admitted=True)),
        late=_without(known.late, body.provider),
        declined=_not_declined(known, body.provider),
    )


def _withdrawn(known: Placement, at: datetime, provider: str) -> Placement:
    """Whatever the provider has bid stands no more, in time or late."""
    return structs.replace(known, bids=_gone(known.bids, provider, at), late=_gone(known.late, provider, at))


def _gone(bids: tuple[Bid, ...], provider: str, at: datetime) -> tuple[Bid, ...]:
    return tuple(
        structs.replace(bid, withdrawn_at=at) if bid.provider == provider and bid.stands else bid
        for bid in bids
    )


def _with_declined(known: Placement, at: datetime, body: p.BidDeclined) -> Placement:
    others = tuple(one for one in known.declined if one.provider != body.provider)
    said = Declined(
        provider=body.provider,
        index=body.index,
        at=at,
        reason=body.reason,
        source=body.source,
        late=body.late,
        note=body.note,
        pass_to=body.pass_to,
    )
    return structs.replace(_withdrawn(known, at, body.provider), declined=(*others, said))
