"""The ledger: what each provider was offered in the span, what came of it, and what it holds (fair share, appendix A).

A line stands for one provider and one package, and outlives the package. Hours are held from the award until the award
is taken back, the package withdrawn, or a broker says that care has ended (`care`); of a package with a longest time
(discharge: six weeks, 4.6.1) at most until that is over: counted from the first visit as confirmed, before that from
the wanted start, else from the discharge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from monitor.core.body import Draft
from monitor.core.placing import facts as p
from monitor.core.placing.model import Ledger, Placement, Provider, RoundRun, Share, share_key
from monitor.core.placing.rules import wanted
from monitor.core.state import State


class Held(Struct, frozen=True, kw_only=True):
    """What a provider holds. `minutes` a week of packages that last; `packages`: those won in the span, also where they
    are over by now."""

    minutes: int = 0
    packages: int = 0


def held(state: State, provider: str, now: datetime, since: datetime) -> Held:
    """What the provider was awarded since that moment and holds now."""
    lines = state.values.ledger
    won = [lines[key] for key in state.won.get(provider, ())]
    won = [one for one in won if one.won_at is not None and one.won_at >= since]
    minutes = sum(one.minutes_week for one in won if holds(one, now))
    return Held(minutes=minutes, packages=len(won))


def holds(share: Share, now: datetime) -> bool:
    """Whether a package that was won is held still."""
    ends = share.held_until
    return ends is None or ends > now


def proposed(state: State, *, without: str) -> dict[str, int]:
    """By provider: minutes a week of the packages that wait for a broker's word to be theirs, but for `without`. Of
    many windows that close together each proposal counts for the next."""
    found: dict[str, int] = {}
    for one in state.values.placements.values():
        if one.proposed is not None and one.ref != without and _waits(one):
            found[one.proposed] = found.get(one.proposed, 0) + one.package.minutes_week
    return found


def _waits(one: Placement) -> bool:
    return one.award is None and one.ended is None and one.running is None


# --- folding ---


def fold(state: State, known: Placement | None, fact: Draft) -> None:
    """Write the fact into the ledger. `known`: the package before it."""
    if isinstance(fact.body, p.CareEnded):
        _care_ended(state, fact.subject, fact.body)
    if known is None:
        return
    lasts = state.placing_of(known).at_most
    for share in written(state.values.ledger, known, fact, state.values.providers, lasts):
        state.keep_share(share)


def _care_ended(state: State, ref: str, body: p.CareEnded) -> None:
    """Also of a package that has left the state: its line is here."""
    line = state.values.ledger.get(share_key(body.provider, ref))
    if line is not None:
        state.keep_share(structs.replace(line, ended_on=body.on, ended_at=body.frees_at))


def written(
    lines: Ledger,
    known: Placement,
    fact: Draft,
    providers: Mapping[str, Provider],
    lasts: timedelta | None,
) -> Iterable[Share]:
    """The lines that the fact changes, as they are after it."""
    body, at = fact.body, fact.at
    match body:
        case p.RoundOpened():
            return [_offered(lines, one, known, at, providers) for one in body.asked]
        case p.ProviderAsked():
            return [_offered(lines, body.provider, known, at, providers)]
        case p.BidRecorded():
            return _bid(lines, known, at, body)
        case p.BidWithdrawn():
            return _said(lines, known, body.provider, bid=False, withdrew=True, when="bid")
        case p.BidDeclined():
            return _declined(lines, known, at, body)
        case p.LateBidAdmitted():
            return _said(lines, known, body.provider, bid=True, silent=False, not_reached=False)
        case p.RoundClosed():
            return _unanswered(lines, known, at, body)
        case p.ProviderNotReached():
            return _not_reached(lines, known, body)
        case p.PlacementAwarded():
            share = _offered(lines, body.provider, known, at, providers)
            until = max(at, wanted(known.package) or at) + lasts if lasts is not None else None
            won = structs.replace(
                share,
                won=True,
                won_at=at,
                until=until,
                tier=_tier(providers, body.provider),
                taken_back=False,
                ended_on=None,
                ended_at=None,
            )
            return [won]
        case p.FirstVisitConfirmed() if lasts is not None:
            return _said(lines, known, body.provider, when="won", until=body.start + lasts)
        case p.AwardTakenBack():
            return _said(lines, known, body.provider, won=False, taken_back=True)
        case p.PlacementEnded() if body.reason == "withdrawn" and known.award is not None:
            return _said(lines, known, known.award.provider, won=False)
        case _:
            return ()


def _offered(
    lines: Ledger, provider: str, known: Placement, at: datetime, providers: Mapping[str, Provider]
) -> Share:
    """The line of the provider and this package: a new one, unless it was offered to them before."""
    package = known.package
    return lines.get(share_key(provider, known.ref)) or Share(
        provider=provider,
        placement=known.ref,
        at=at,
        minutes_week=package.minutes_week,
        kind=package.kind,
        tier=_tier(providers, provider),
    )


def _tier(providers: Mapping[str, Provider], provider: str) -> str:
    known = providers.get(provider)
    return known.said.tier if known is not None else ""


def _said(
    lines: Ledger, known: Placement, provider: str, *, when: str | None = None, **values: Any
) -> Iterable[Share]:
    """The provider's line with these values; none where it has none, or where `when` does not hold of it."""
    line = lines.get(share_key(provider, known.ref))
    if line is None or (when is not None and not getattr(line, when)):
        return ()
    return (structs.replace(line, **values),)


def _bid(lines: Ledger, known: Placement, at: datetime, body: p.BidRecorded) -> Iterable[Share]:
    if body.late:
        return _said(lines, known, body.provider, late=True)
    took = _took(known, body.provider, at)
    answer: dict[str, Any] = {"bid": True, "declined": None, "silent": False, "withdrew": False}
    return _said(lines, known, body.provider, answered_s=took, not_reached=False, **answer)


def _declined(lines: Ledger, known: Placement, at: datetime, body: p.BidDeclined) -> Iterable[Share]:
    """After the close it takes back a bid, or says too late what silence has said."""
    if body.late:
        line = lines.get(share_key(body.provider, known.ref))
        if line is not None and line.bid:
            return _said(lines, known, body.provider, late=True, bid=False, withdrew=True)
        return _said(lines, known, body.provider, late=True)
    took = _took(known, body.provider, at)
    answer: dict[str, Any] = {"bid": False, "declined": body.reason, "silent": False, "withdrew": False}
    return _said(lines, known, body.provider, answered_s=took, not_reached=False, **answer)


def _took(known: Placement, provider: str, at: datetime) -> int | None:
    """Seconds from being asked, or told so by telephone where nothing else had come, to the first answer."""
    asked = known.was_asked(provider)
    return int(((asked.answered_at or at) - asked.heard_at).total_seconds()) if asked is not None else None


def _unanswered(lines: Ledger, known: Placement, at: datetime, body: p.RoundClosed) -> list[Share]:
    """Who said nothing though its own window was over is silent, or was never reached."""
    run = known.rounds[-1]
    silent = [one for ref in _over(run, at, body.silent) for one in _keeps_silent(lines, known, ref)]
    missed = [one for ref in _over(run, at, body.not_reached) for one in _was_missed(lines, known, ref)]
    return [*silent, *missed]


def _over(run: RoundRun, at: datetime, named: Iterable[str]) -> list[str]:
    """Those of them whose own window was over: not who was cut short by an award in an emergency, a withdrawal, or the
    first bid of another."""
    return [one.provider for one in run.asked if one.provider in named and one.closes_at <= at]


def _keeps_silent(lines: Ledger, known: Placement, provider: str) -> Iterable[Share]:
    """Who has answered about this package in an earlier round is not silent about it."""
    line = lines.get(share_key(provider, known.ref))
    if line is None or line.bid or line.refused:
        return ()
    return (structs.replace(line, silent=True, not_reached=False),)


def _was_missed(lines: Ledger, known: Placement, provider: str) -> Iterable[Share]:
    """Who has answered, or was silent, in an earlier round was reached there."""
    line = lines.get(share_key(provider, known.ref))
    if line is None or line.bid or line.refused:
        return ()
    return (structs.replace(line, not_reached=True),)


def _not_reached(lines: Ledger, known: Placement, body: p.ProviderNotReached) -> Iterable[Share]:
    """It came out after the close: what was taken for silence was none, but for another round's."""
    silent = [run for run in known.rounds if body.provider in run.silent]
    mine = [run for run in silent if any(one.at == body.asked_at for one in run.asked)]
    if not mine or len(silent) > 1:
        return ()
    return _said(lines, known, body.provider, when="silent", silent=False, not_reached=True)


def tidy(state: State, before: datetime) -> None:
    """Leave out what was offered before that moment and not won since."""
    for key, one in list(state.values.ledger.items()):
        if (one.won_at or one.at) < before:
            state.forget_share(key)
