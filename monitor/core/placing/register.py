"""The register: how providers answer, out of the ledger (appendix A: "persistent declines of packages, which includes
non-responses to requests, will be monitored"). Pure; the numbers stay right when a package has left the state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from config.placing import PlacingPolicy
from monitor.core.placing import ledger, rules
from monitor.core.placing.model import Provider, Share
from monitor.core.placing.views import Persistent, RegisterRow, RegisterView, Target, Within
from monitor.core.state import State


def register(state: State, now: datetime, since: datetime | None = None) -> RegisterView | None:
    """What was offered from `since` (None: the span of the ledger) until now, by provider; None: no policy was adopted.
    Target, limit and what counts as persistent are those of the standard packages."""
    policy = leading_policy(state)
    if policy is None:
        return None
    begins = since if since is not None else now - policy.fair_share_span
    lines: dict[str, list[Share]] = {ref: [] for ref in state.values.providers}
    for one in state.values.ledger.values():
        if one.at >= begins:
            lines.setdefault(one.provider, []).append(one)
    providers = state.values.providers
    rows = [_row(state, providers[ref], mine, policy, now) for ref, mine in lines.items() if ref in providers]
    won = [one for mine in lines.values() for one in mine if one.won]
    patch = sum(one.tier == policy.patch_tier for one in won)
    share = patch / len(won) if won else None
    return RegisterView(
        since=begins,
        until=now,
        rows=tuple(sorted(rows, key=lambda row: (row.tier, row.provider))),
        placed=len(won),
        placed_with_patch=patch,
        patch_share=share,
        patch_target=policy.patch_target,
        target=target(share, policy.patch_target),
        in_a_row=policy.persistent_in_a_row,
        share=policy.persistent_share,
        at_least=policy.persistent_at_least,
    )


def leading_policy(state: State) -> PlacingPolicy | None:
    """The policy of the standard packages, else that of the first kind there is."""
    placing = state.values.placing
    kind = "standard" if "standard" in placing else min(placing, default=None)
    return state.values.placing_policies[placing[kind]] if kind is not None else None


def target(share: float | None, between: tuple[float, float]) -> Target:
    """Where the share of placements with patch providers stands against the target, bounds included."""
    if share is None:
        return "none_placed"
    low, high = between
    return "below" if share < low else "above" if share > high else "within"


def _row(
    state: State, provider: Provider, lines: Sequence[Share], policy: PlacingPolicy, now: datetime
) -> RegisterRow:
    said = provider.said
    settled = [one for one in lines if one.bid or one.refused]
    refused, missed = sum(one.refused for one in settled), sum(one.not_reached for one in lines)
    span = now - policy.fair_share_span
    declared = said.hours_declared is not None
    return RegisterRow(
        provider=said.ref,
        tier=said.tier,
        active=said.active,
        offered=len(lines),
        bid=sum(one.bid for one in lines),
        declined=sum(one.declined is not None for one in lines),
        declined_for=dict(sorted(Counter(one.declined for one in lines if one.declined is not None).items())),
        silent=sum(one.silent for one in lines),
        not_reached=missed,
        withdrew=sum(one.withdrew for one in lines),
        unanswered=len(lines) - len(settled) - missed,
        late=sum(one.late for one in lines),
        won=sum(one.won for one in lines),
        taken_back=sum(one.taken_back for one in lines),
        median_s=median([one.answered_s for one in lines if one.answered_s is not None]),
        within=_within(state, lines),
        minutes_held=ledger.held(state, said.ref, now, span).minutes,
        hours_declared=said.hours_declared,
        declared_on=said.declared_on,
        minutes_since=ledger.held(state, said.ref, now, rules.told_from(provider)).minutes if declared else 0,
        hours_limit=policy.hours_limit,
        in_a_row=in_a_row(settled),
        refused_share=refused / len(settled) if settled else None,
        persistent=persistent(settled, policy),
    )


def _within(state: State, lines: Sequence[Share]) -> tuple[Within, ...]:
    """Against every response time of the policy that holds now for packages of that kind (appendix A and M: 30 minutes
    and one hour for discharge)."""
    found: list[Within] = []
    for kind in sorted(state.values.placing):
        policy = state.values.placing_policies[state.values.placing[kind]]
        mine = [one for one in lines if one.kind == kind]
        took = [one.answered_s for one in mine if one.answered_s is not None]
        of = len(took) + sum(one.silent and one.answered_s is None for one in mine)
        for limit in policy.respond_within:
            answered = sum(timedelta(seconds=seconds) <= limit for seconds in took)
            found.append(Within(kind=kind, limit_s=int(limit.total_seconds()), answered=answered, of=of))
    return tuple(found)


def median(seconds: Sequence[int]) -> int | None:
    """The middle one, of an even number the lower whole second between the two; None: there is none."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) // 2


def in_a_row(settled: Sequence[Share]) -> int:
    """How many of the last packages were declined, given back or left without an answer, with no bid after them."""
    count = 0
    for one in reversed(settled):
        if not one.refused:
            break
        count += 1
    return count


def persistent(settled: Sequence[Share], policy: PlacingPolicy) -> tuple[Persistent, ...]:
    """Why the provider is spoken of in the contract meeting; empty: it is not."""
    refused, found = sum(one.refused for one in settled), list[Persistent]()
    if in_a_row(settled) >= policy.persistent_in_a_row:
        found.append("in_a_row")
    enough = len(settled) >= policy.persistent_at_least
    if enough and refused > policy.persistent_share * len(settled):
        found.append("share")
    return tuple(found)
