"""Rounds: who is asked and until when, what closes a window, and what follows one that placed nothing.

Of a ranked round one provider is asked after another, each for a window of its own; of a direct round one, who may
pass the package on to a partner. A ranked round whose bid fails a rule, or whose award is taken back, goes on with
those who follow in its line: as a new run of the same round.
"""

from __future__ import annotations

from datetime import datetime

from config.placing import Round
from monitor.core.evidence import Evidence
from monitor.core.placing import after, evaluate, reach, telling
from monitor.core.placing import facts as p
from monitor.core.placing.model import Declined, Placement, Provider, RoundRun
from monitor.core.placing.windows import Window, window
from monitor.core.work import Work


def open_next(work: Work, ref: str, by: str | None = None, note: Evidence | None = None) -> bool:
    """Open the next round of the policy that is held for this package and has somebody to ask. Returns whether there
    was one; a window that runs, an award and an end leave none. `note`: why the broker passes over a proposal."""
    placement = work.placement(ref)
    if placement is None or placement.running or placement.award is not None or placement.ended is not None:
        return False
    policy, last = work.placing(placement), placement.round
    if last is not None and last.line:
        line = tuple(one for one in last.line if _may_be_asked(work, placement, one))
        if line:
            _open(work, placement, last.index, line, by, note)
            return True
    for index in range(last.index + 1 if last is not None else 0, len(policy.rounds)):
        found = audience(work, placement, policy.rounds[index])
        if found:
            _open(work, placement, index, found, by, note)
            return True
        if index in placement.passed_over:
            continue  # said before, and nothing has changed
        held_here = held_for(policy.rounds[index], placement.package.area)
        passed = p.RoundPassedOver(index=index, reason="nobody_asked" if held_here else "other_area")
        work.emit(ref, passed, policy=placement.policy)
    return False


def _open(
    work: Work,
    placement: Placement,
    index: int,
    found: tuple[str, ...],
    by: str | None,
    note: Evidence | None,
) -> None:
    held = work.placing(placement).rounds[index]
    asked = found if held.rule == "open" else found[:1]
    opens = _window(work, placement, held)
    opened = p.RoundOpened(
        index=index,
        closes_at=opens.closes_at,
        asked=asked,
        line=found[1:] if held.rule == "ranked" else (),
        crosses=opens.crosses,
        reminds_at=opens.reminds_at,
        by=by,
        note=note,
        renewed=tuple(one for one in asked if one in placement.revoked),
    )
    work.emit(placement.ref, opened, policy=placement.policy)
    after.over(work, placement.ref, "next_round", by)
    telling.invite(work, placement.ref, asked)


def _window(work: Work, placement: Placement, held: Round) -> Window:
    return window(work.now, held, work.placing(placement), work.state.calendar)


# --- who is asked ---


def held_for(held: Round, area: str) -> bool:
    """Whether the round is held for packages of this area."""
    return not held.only_areas or area in held.only_areas


def audience(work: Work, placement: Placement, held: Round) -> tuple[str, ...]:
    """The providers of this round, in their order; none where it is not held for the package's area.

    Left out are those who have declined the package, and those to whom it was awarded and who have it no more: their
    answer is known. Who was asked in an earlier round and said nothing, or bid in vain, is asked again (ours)."""
    area = placement.package.area
    if not held_for(held, area):
        return ()
    found = [
        one
        for one in work.state.values.providers.values()
        if one.said.tier in held.tiers and _there(one, area, held) and _may_be_asked(work, placement, one.ref)
    ]
    return tuple(one.ref for one in sorted(found, key=lambda one: (_rank(one, area, held), one.ref)))


def _may_be_asked(work: Work, placement: Placement, ref: str) -> bool:
    known = work.state.values.providers.get(ref)
    if known is None or not known.said.active or ref in placement.taken_back:
        return False
    return all(said.provider != ref for said in placement.declined)


def _there(provider: Provider, area: str, held: Round) -> bool:
    return held.area == "any" or (area in provider.said.areas) == (held.area == "own")


def _rank(provider: Provider, area: str, held: Round) -> tuple[int, int]:
    """Who has no score in the area, or no rate, comes last."""
    if held.order == "score":
        score = next((one.score for one in provider.said.scores if one.area == area), None)
        return (1, 0) if score is None else (0, -score)
    rate = provider.said.rate_pence if held.order == "rate" else 0
    return (1, 0) if rate is None else (0, rate)


def partners_of(work: Work, placement: Placement, provider: str) -> tuple[str, ...]:
    """To whom the provider may pass the package on now; none where the round does not allow it, or the package was
    passed on to them, or it is not their turn."""
    run = placement.running
    if run is None or not work.placing(placement).rounds[run.index].passes_on:
        return ()
    known = work.state.values.providers.get(provider)
    if known is None or provider != run.asked[0].provider or len(run.asked) > 1:
        return ()
    return tuple(sorted(one for one in known.said.partners if _may_be_asked(work, placement, one)))


# --- the moments of a window ---


def on_close(work: Work, ref: str) -> None:
    """The window is over."""
    close(work, ref, "time")


def on_turn(work: Work, ref: str) -> None:
    """The window of whoever was asked last is over: without a bid the next in line is asked."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None:
        return
    now_asked = run.asked[-1]
    missed = reach.unreached(work, placement, now_asked)
    reason: p.AskedReason = "not_reached" if missed else "silent"
    if _has_bid(placement, run, now_asked.provider) or not _ask_next(work, placement, run, reason):
        close(work, ref, "time")


def on_reminder(work: Work, ref: str) -> None:
    """Whoever has not answered is reminded: once, where several reminders came due while nothing was decided, and not
    when the window is over as well."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None or work.now >= run.closes_at:
        return
    passed = sum(at <= work.now for at in run.reminds_at)
    told = tuple(one.provider for one in run.asked if one.answered_at is None and work.now < one.closes_at)
    reminded = p.RoundReminded(index=run.index, step=passed - 1, told=told)
    work.emit(ref, reminded, policy=placement.policy, due_at=run.reminds_at[run.reminded])
    telling.remind(work, ref, told)


def answered(work: Work, ref: str) -> None:
    """Somebody has bid, declined or withdrawn: what their answer means for the window, by the rule of the round."""
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None:
        return
    held = work.placing(placement).rounds[run.index]
    if held.rule == "open":
        _answered_together(work, placement, run, held)
    else:
        _answered_in_turn(work, placement, run, held)


def _answered_together(work: Work, placement: Placement, run: RoundRun, held: Round) -> None:
    asked = [one.provider for one in run.asked]
    if held.closes_early == "first_bid" and any(_has_bid(placement, run, one) for one in asked):
        close(work, placement.ref, "first_bid")
        return
    all_answered = held.closes_early == "all_answered" and not unanswered(placement, run)
    all_declined = held.closes_early != "never" and all(_declined(placement, one) for one in asked)
    if all_answered or all_declined:
        close(work, placement.ref, "all_answered")


def _answered_in_turn(work: Work, placement: Placement, run: RoundRun, held: Round) -> None:
    """A bid ends the asking where the round closes early; a decline passes the package on at once."""
    turn = run.asked[-1]
    said = _declined(placement, turn.provider)
    if _has_bid(placement, run, turn.provider):
        if held.closes_early in ("first_bid", "all_answered"):
            close(work, placement.ref, "first_bid")
    elif said is not None and said.pass_to is not None:
        _ask(work, placement, run, said.pass_to, "passed_on")
    elif said is not None and not _ask_next(work, placement, run, "declined"):
        close(work, placement.ref, "all_answered")


def _ask_next(work: Work, placement: Placement, run: RoundRun, reason: p.AskedReason) -> bool:
    """Whether there was somebody in the line who may be asked still."""
    following = next((one for one in run.line if _may_be_asked(work, placement, one)), None)
    if following is not None:
        _ask(work, placement, run, following, reason)
    return following is not None


def _ask(work: Work, placement: Placement, run: RoundRun, provider: str, reason: p.AskedReason) -> None:
    opens = _window(work, placement, work.placing(placement).rounds[run.index])
    asked = p.ProviderAsked(
        index=run.index,
        provider=provider,
        closes_at=opens.closes_at,
        reason=reason,
        crosses=opens.crosses,
        reminds_at=opens.reminds_at,
        renewed=provider in placement.revoked,
    )
    due_at = run.asked[-1].closes_at if reason in ("silent", "not_reached") else None
    work.emit(placement.ref, asked, policy=placement.policy, due_at=due_at)
    telling.invite(work, placement.ref, (provider,))


# --- the end of a window ---


def close(work: Work, ref: str, reason: p.CloseReason) -> None:
    """Close the window that runs; who had the whole of it and neither bid nor declined is silent, or was never
    reached. What the bids come to is evaluated at once, unless the package was awarded before the close, or withdrawn.
    """
    placement = work.placement(ref)
    run = placement.running if placement is not None else None
    if placement is None or run is None:
        return
    over = [one for one in unanswered(placement, run) if _time_was_up(run, one, work.now)]
    missed = [one for one in over if _was_missed(work, placement, run, one)]
    closed = p.RoundClosed(
        index=run.index,
        reason=reason,
        silent=tuple(one for one in over if one not in missed),
        not_reached=tuple(missed),
    )
    due_at: datetime | None = run.closes_at if reason == "time" else None
    work.emit(ref, closed, policy=placement.policy, due_at=due_at)
    if reason not in ("awarded", "withdrawn"):
        evaluate.closed(work, ref)


def nothing_placed(work: Work, ref: str) -> None:
    """The round has placed nothing: whoever follows in its line is asked, or the next round opens, by itself or when
    the broker says; after the last one that has anybody to ask the broker is summoned."""
    placement = work.placement(ref)
    last = placement.round if placement is not None else None
    if placement is None or last is None:
        return
    policy = work.placing(placement)
    later = policy.rounds[last.index + 1 :]
    more = any(audience(work, placement, held) for held in later)
    waits = policy.rounds[last.index].next == "broker" and more
    ends = policy.rounds[last.index].next == "end"
    follow = any(_may_be_asked(work, placement, one) for one in last.line)
    # a round with nobody to ask is passed over, and said so, also where the broker would have opened it
    if (follow or not (waits or ends)) and open_next(work, ref):
        return
    if waits:
        telling.nothing_bid(work, ref)
    else:
        after.unplaced(work, ref)


def unanswered(placement: Placement, run: RoundRun) -> tuple[str, ...]:
    """Those who were asked in this round and have neither bid nor declined."""
    return tuple(one.provider for one in run.asked if one.answered_at is None)


def _time_was_up(run: RoundRun, provider: str, now: datetime) -> bool:
    return all(one.closes_at <= now for one in run.asked if one.provider == provider)


def _was_missed(work: Work, placement: Placement, run: RoundRun, provider: str) -> bool:
    """Nothing has come to them, and nothing came from them, not even too late."""
    if any(bid.provider == provider for bid in placement.late):
        return False
    return all(reach.unreached(work, placement, one) for one in run.asked if one.provider == provider)


def _has_bid(placement: Placement, run: RoundRun, provider: str) -> bool:
    """Whether the provider's bid of this run counts."""
    bid = placement.bid_of(provider)
    return bid is not None and bid.index == run.index and bid.counts and bid.at >= run.opened_at


def _declined(placement: Placement, provider: str) -> Declined | None:
    return next((one for one in placement.declined if one.provider == provider), None)
