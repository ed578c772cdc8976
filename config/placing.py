"""Pure values of how a council places packages of care: rounds, windows, what decides between bids, what follows.

Nothing here reads a file, a clock or the environment. No council is named here: each one's ways are a file in
`config/placing_policies/`. Clause numbers are those of the London Borough of Bromley's service specification ("the
spec"); *ours* marks a choice where the documents are silent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from config.policy import format_duration, parse_duration

PlacementKind = Literal["standard", "discharge", "palliative", "children"]
PLACEMENT_KINDS: tuple[PlacementKind, ...] = get_args(PlacementKind)
Rule = Literal["open", "ranked", "direct"]
"""*open*: everybody asked may bid until the close. *ranked*: one after another, each for a window. *direct*: one
provider, who delivers or passes it on to a partner of theirs."""
Where = Literal["own", "other", "any"]
"""Which providers, seen from the package's area: those of this area, those of all others, or wherever they are."""
Order = Literal["together", "score", "rate"]
"""Who comes first, with the highest score in the area or the lowest blended rate: of a ranked or direct round in the
asking, of an open one between the bids. *together*: nobody, what decides is fair share and the ties."""
EarlyClose = Literal["never", "all_declined", "all_answered", "first_bid"]
"""*all_declined*: nobody who was asked is left to wait for; the other two close then as well."""
Next = Literal["by_itself", "broker", "end"]
"""What follows a round that placed nothing: the next one opens by itself, or when the broker says, or there is none."""
AcrossClosing = Literal["run_on", "pause"]
"""A window that would cross the end of the broker's hours runs on, or counts only the minutes within them."""
TieBreak = Literal["hours_held", "packages_won", "earliest_start", "rate", "score", "drawn"]
"""*drawn*: by the digest of package and provider, the same whenever it is drawn again, and nobody's choice."""


class Round(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One round: who is asked, by which rule, for how long."""

    name: str
    tiers: tuple[str, ...]
    """Providers of one of these tiers: patch, framework, lead, partner, or whatever the council calls them."""
    area: Where = "own"
    only_areas: tuple[str, ...] = ()
    """The round is held for packages of these areas alone, and passed over for all others; none: for every package."""
    rule: Rule = "open"
    order: Order = "together"
    window: timedelta = timedelta(hours=2)
    """Of an open round the whole of it; of a ranked or direct one, for each provider in turn."""
    reminders: tuple[timedelta, ...] = ()
    """So long after the opening, whoever was asked and has not answered is reminded."""
    closes_early: EarlyClose = "never"
    passes_on: bool = False
    """Who is asked directly may pass the package on to a partner of theirs, who then has a window."""
    next: Next = "by_itself"


class Cutoff(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until when, local time, a provider must have been told of a package that starts the same day, or next morning."""

    same_day: time
    next_morning: time
    weekend_same_day: time
    weekend_next_morning: time


class PlacingPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one council places packages of one kind. Durations are `timedelta`, times local."""

    rounds: tuple[Round, ...]
    confirmed: bool = True
    """False: the council's document gives no timings, those here are ours and are shown as unconfirmed."""
    broker_hours: str | None = None
    """In the notation of `config.policy.parse_hours`; None: no closing time is known."""
    across_closing: AcrossClosing = "run_on"
    award: Literal["broker", "by_itself"] = "broker"
    lost_told_after: timedelta = timedelta(hours=2, minutes=30)
    """From the opening of a round: who bid and heard nothing is told that it was not successful (appendix A)."""
    respond_within: tuple[timedelta, ...] = (timedelta(hours=2),)
    """The response times against which the register counts."""
    confirm_within: timedelta = timedelta(hours=4)
    """From the award: until when the winner confirms day and time of the first visit (appendix A; limit ours)."""
    confirm_reminder: timedelta = timedelta(hours=2)
    """From the award: then the winner is reminded (ours)."""
    papers_reminder: timedelta = timedelta(minutes=15)
    """From the award: then the broker is reminded to send the full papers under password protection (ours)."""
    link_lasts: timedelta = timedelta(days=42)
    """From the receipt of the package: so long the links to it open, for a bid and then for the first visit (ours)."""
    needs_good: bool = True
    """No new package while the CQC rates the provider *Requires Improvement* or worse, overall or in any of the five
    questions (appendix A)."""
    hours_limit: int | None = 3000
    """Private and allocated hours of care together, a week (ours: the spec gives no period); None: no limit."""
    fair_share: bool = True
    """Between the providers of a round the package goes to the one with the fewest hours of packages in the span."""
    fair_share_span: timedelta = timedelta(days=365)
    ties: tuple[TieBreak, ...] = ("hours_held", "packages_won", "earliest_start", "rate", "drawn")
    patch_tier: str = "patch"
    patch_target: tuple[float, float] = (0.6, 0.7)
    """The share of placements that should be with patch providers."""
    persistent_in_a_row: int = 3
    """So many packages in a row declined, or left without an answer, are spoken of in the contract meeting (appendix A:
    "persistent declines"; the numbers are ours)."""
    persistent_share: float = 0.5
    """Or more than this share of those that were answered for or not, where they are at least `persistent_at_least`."""
    persistent_at_least: int = 5
    cutoff: Cutoff | None = None
    at_most: timedelta | None = None
    """The longest that such a package lasts (discharge: six weeks)."""


class Area(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A patch, locality or neighbourhood with its wards, by ids that stand in the desk's configuration."""

    id: str
    wards: tuple[str, ...] = ()


class PlacingTerms(Struct, frozen=True, kw_only=True):
    """Which policy holds for packages of a kind. `policy` is the encoded one."""

    kind: PlacementKind
    digest: str
    policy: dict[str, Any]


def encode_placing(policy: PlacingPolicy) -> dict[str, Any]:
    """The policy as plain TOML/JSON values, durations and times as text. `decode_placing` reads it back."""
    return _plain(policy)  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, time):
        return value.strftime("%H:%M")
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def decode_placing(values: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> PlacingPolicy:
    """`base` with `values` over it. Raises ValueError on the first thing that it cannot read."""
    return _read({**(base or {}), **values}, PlacingPolicy)  # type: ignore[no-any-return]


def _read(values: Any, kind: type[Struct]) -> Any:
    """msgspec reads durations as ISO 8601 only; people write `2h`."""
    if not isinstance(values, Mapping):
        raise ValueError("expected a table")
    hints = get_type_hints(kind)
    return msgspec.convert({name: _part(value, hints.get(name)) for name, value in values.items()}, kind)


def _part(value: Any, hint: Any) -> Any:
    inner = get_args(hint)
    if value == "none" and type(None) in inner:
        return None  # TOML has no word for it
    if hint is timedelta or timedelta in inner:
        if isinstance(value, list | tuple):
            return [_part(one, timedelta) for one in value]
        return parse_duration(value) if isinstance(value, str) else value
    if get_origin(hint) is tuple and isinstance(inner[0], type) and issubclass(inner[0], Struct):
        return [_read(one, inner[0]) for one in value] if isinstance(value, list | tuple) else value
    if Cutoff in inner and value is not None:
        return _read(value, Cutoff)
    if hint is time and isinstance(value, str):
        return _clock(value)
    return value


def _clock(text: str) -> time:
    """msgspec wants seconds; people write `15:00`."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError('expected a local time such as "15:00"')
    return time.fromisoformat(text)


def read_key(kind: type[Struct], name: str, value: Any) -> Any:
    """The value of one key of a policy, a round or a cut-off. Raises ValueError, KeyError for an unknown key."""
    hint = get_type_hints(kind)[name]
    return msgspec.convert(_part(value, hint), hint)


def placing_digest(policy: PlacingPolicy) -> str:
    """32 hex digits that name this policy's values, whoever wrote them in whatever order."""
    return hashlib.sha256(msgspec.json.encode(encode_placing(policy), order="sorted")).hexdigest()[:32]


def placing_terms(policies: Mapping[PlacementKind, PlacingPolicy]) -> tuple[PlacingTerms, ...]:
    """The policies of a desk as they stand in its facts, by kind."""
    return tuple(
        PlacingTerms(kind=kind, digest=placing_digest(policies[kind]), policy=encode_placing(policies[kind]))
        for kind in sorted(policies)
    )
