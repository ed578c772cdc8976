"""What follows an award, and what follows when nothing could be placed (appendix A).

The winner is told at once, and whoever bid and did not win; the broker is reminded of the papers, the winner of day and
time of the first visit. Whatever waits for a person is never over by silence: a package that could not be placed, a
proposal that nobody decides, an award that nobody confirms each summon the broker by an alert.
"""

from __future__ import annotations

from monitor.core import alerts, incidents
from monitor.core.placing import facts as p
from monitor.core.placing import telling
from monitor.core.placing.clock import losers_at
from monitor.core.placing.model import Bid, Placement
from monitor.core.state import Alert
from monitor.core.work import Refusal, Work


def awarded(work: Work, ref: str) -> None:
    """The package is theirs: the winner is told, and everybody who bid for it and was not told yet."""
    placement = work.placement(ref)
    if placement is None or placement.award is None:
        return
    telling.won(work, ref)
    for index in sorted({run.index for run in placement.rounds}):
        _tell(work, placement, index)
    over(work, ref, "awarded", placement.award.by)


def _tell(work: Work, placement: Placement, index: int, spare: str | None = None) -> None:
    """Who bid in that round, and has heard nothing, is told that it was not successful; not the winner, nor `spare`."""
    known = {run.told_at for run in placement.rounds if run.index == index}
    lost = losers(placement, index, spare)
    if not lost and None not in known:
        return
    work.emit(placement.ref, p.LosersTold(index=index, told=lost), policy=placement.policy)
    if lost:
        telling.lost(work, placement.ref, lost)


def losers(placement: Placement, index: int, spare: str | None = None) -> tuple[str, ...]:
    """Those with a bid of that round that stands, in time or late, who did not win and were not told."""
    winner = placement.award.provider if placement.award is not None else None
    heard = {ref for run in placement.rounds if run.index == index for ref in run.told}
    bids: tuple[Bid, ...] = (*placement.bids, *placement.late)
    found = {bid.provider for bid in bids if bid.index == index and bid.stands}
    return tuple(sorted(found - {winner, spare, *placement.taken_back} - heard))


def passed_over(work: Work, ref: str) -> None:
    """The broker does not follow a proposal: who was spared because of it, when the others of the round were told, is
    told now."""
    placement = work.placement(ref)
    if placement is None:
        return
    for index in sorted({run.index for run in placement.rounds if run.told_at is not None}):
        if losers(placement, index):
            _tell(work, placement, index)


# --- the moments ---


def on_lost(work: Work, ref: str) -> None:
    """Two and a half hours are over: whoever bid and heard nothing is told, also when nobody has decided. The provider
    that is proposed has not lost while the proposal stands: the broker is reminded of it."""
    placement = work.placement(ref)
    if placement is None:
        return
    policy = work.placing(placement)
    waiting = [run for run in placement.rounds if run.closed_at is not None and run.told_at is None]
    for index in sorted({run.index for run in waiting if losers_at(run, policy) <= work.now}):
        _tell(work, placement, index, placement.proposed)
    if placement.stage == "proposed":
        telling.undecided(work, ref)


def on_papers(work: Work, ref: str) -> None:
    """The broker is reminded to send the full papers under password protection, from the brokerage mailbox."""
    placement = work.placement(ref)
    if placement is None:
        return
    work.emit(ref, p.PapersReminded(told=telling.brokers(work)), policy=placement.policy)
    telling.papers(work, ref)


def on_confirm_reminder(work: Work, ref: str) -> None:
    """The winner is reminded that day and time of the first visit are waited for."""
    placement = work.placement(ref)
    if placement is None or placement.award is None:
        return
    reminded = p.ConfirmationReminded(provider=placement.award.provider)
    work.emit(ref, reminded, policy=placement.policy)
    telling.confirm_reminder(work, ref)


def on_unconfirmed(work: Work, ref: str) -> None:
    """Nothing was confirmed in time: back to the broker, who confirms for them after a telephone call, or sends the
    package back. The award stands until a person decides."""
    summon(work, ref, "unconfirmed")
    telling.unconfirmed(work, ref)


def on_undecided(work: Work, ref: str) -> None:
    """A round is over for long, and nobody has decided what follows."""
    summon(work, ref, "undecided")


def on_not_landed(work: Work, ref: str) -> None:
    """The first visit does not stand in the provider's own desk, though it should: a person sees to it."""
    placement = work.placement(ref)
    visit = placement.first_visit if placement is not None else None
    if placement is None or placement.award is None or visit is None or visit.desk is None:
        return
    missed = p.LandingMissed(provider=placement.award.provider, desk=visit.desk)
    work.emit(ref, missed, policy=placement.policy)
    telling.not_landed(work, ref)


def on_started(work: Work, ref: str) -> None:
    """The first visit has come: its desk watches it from here on."""
    placement = work.placement(ref)
    if placement is not None:
        work.emit(ref, p.PlacementEnded(reason="started"), policy=placement.policy)


def on_leave(work: Work, ref: str) -> None:
    """It ended a while ago."""
    placement = work.placement(ref)
    if placement is not None:
        work.emit(ref, p.PlacementClosed(), policy=placement.policy)


# --- the broker is summoned ---


def unplaced(work: Work, ref: str) -> None:
    """The last round has placed nothing: the broker is summoned."""
    placement = work.placement(ref)
    if placement is None or placement.unplaced_at is not None or placement.ended is not None:
        return
    over(work, ref, "unplaced")
    alert = incidents.raise_unplaced(work, ref, urgent=placement.urgent)
    work.emit(ref, p.PlacementUnplaced(alert=alert.ref), policy=placement.policy)
    telling.unplaced(work, ref)


def summon(work: Work, ref: str, reason: p.SummonReason) -> None:
    """The broker is summoned to a package that waits for a decision."""
    placement = work.placement(ref)
    if placement is None or placement.ended is not None:
        return
    over(work, ref, reason)
    alert = _raise(work, placement, reason)
    work.emit(ref, p.BrokerSummoned(alert=alert.ref, reason=reason), policy=placement.policy)


def _raise(work: Work, placement: Placement, reason: str) -> Alert:
    """Hospital discharge goes to the top: a bed waits."""
    return alerts.raise_alert(
        work, "placement", reason=reason, placement=placement.ref, time_critical=placement.urgent
    )


def over(work: Work, ref: str, outcome: str, by: str | None = None) -> None:
    """Whatever the broker was summoned for is settled by this."""
    for alert in work.all_open_alerts():  # some are summoned for by a bundle, and some were, which is over
        if alert.kind == "placement" and alert.placement == ref:
            alerts.end_alert(work, alert, "outcome_recorded", by=by, outcome=outcome)


def not_closed(work: Work, alert: Alert) -> Refusal | None:
    """Why this alert about a package cannot be closed: it waits for a decision, and that is made about the package."""
    placement = work.placement(alert.placement) if alert.placement is not None else None
    if placement is None or placement.alert != alert.ref or placement.unplaced_at is not None:
        return None
    return Refusal(code="package_waits")


def closed(work: Work, alert: Alert, by: str) -> None:
    """A named person has recorded an outcome: nobody looks for a provider of an unplaced package any more."""
    placement = work.placement(alert.placement) if alert.placement is not None else None
    if placement is not None and placement.stage == "unplaced" and placement.ended is None:
        for index in sorted({run.index for run in placement.rounds}):
            _tell(work, placement, index)
        work.emit(placement.ref, p.PlacementEnded(reason="unplaced", by=by), policy=placement.policy)


def hoping(placement: Placement) -> tuple[str, ...]:
    """Whoever may still hope for the package: the winner, those asked in the window that runs who have not declined,
    and those whose bid stands and who were not told that it was not successful."""
    found = {placement.award.provider} if placement.award is not None else set()
    if placement.running is not None:
        found |= {one.provider for one in placement.running.asked}
    for index in {run.index for run in placement.rounds}:
        found |= set(losers(placement, index))
    declined = {one.provider for one in placement.declined}
    return tuple(sorted(found - declined))
