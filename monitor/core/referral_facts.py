"""What a provider's desk has decided about referrals that came from a council. Ids, instants and closed lists only:
what a council wrote is evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from config.placing import PlacementKind
from monitor.core.body import FactBody
from monitor.core.evidence import Evidence
from monitor.core.placing.inputs import DeclineReason

ReferralSource = Literal["api", "page", "email"]
ReferralOutcome = Literal["bid", "declined", "too_late", "withdrawn"]
"""What came of it: a bid with when it can start; declined with a reason; it was too late to answer; the council has
withdrawn it."""
REFERRAL_OUTCOMES: tuple[ReferralOutcome, ...] = ReferralOutcome.__args__  # type: ignore[attr-defined]
ReferralMark = Literal["arrival", "half", "last"]
"""The moments at which somebody is summoned (domain.md section 4)."""
REFERRAL_MARKS: tuple[ReferralMark, ...] = ReferralMark.__args__  # type: ignore[attr-defined]


class ReferralLogged(FactBody, frozen=True, kw_only=True):
    """A council asks by `answer_by` for an answer about a package. `sent_at`: what the mail itself says, which decides
    nothing. `fingerprint`: 63-bit keyed hash by which the same one is known when it comes again; 0: it has none."""

    package: PlacementKind
    source: ReferralSource
    arrived_at: datetime
    answer_by: datetime
    half_at: datetime
    last_at: datetime
    evidence: Evidence
    council: str | None = None
    by: str | None = None
    sent_at: datetime | None = None
    fingerprint: int = 0


class ReferralSummoned(FactBody, frozen=True, kw_only=True):
    """Who is to see to it was told, or told again; None: nobody who could be told was on duty."""

    mark: ReferralMark
    person: str | None = None
    messages: tuple[str, ...] = ()
    reason: str = ""


class ReferralTaken(FactBody, frozen=True, kw_only=True):
    """A named person deals with it."""

    by: str
    proof: str


class ReferralPassed(FactBody, frozen=True, kw_only=True):
    """Who was told, or had it, has passed it on."""

    by: str
    proof: str


class ReferralAnswered(FactBody, frozen=True, kw_only=True):
    """What the council was answered, by whom, when; `late`: after the time that it gave."""

    outcome: ReferralOutcome
    by: str
    done_at: datetime
    late: bool = False
    reason: DeclineReason | None = None
    starts_at: datetime | None = None
    note: Evidence | None = None


class ReferralLapsed(FactBody, frozen=True, kw_only=True):
    """The time is over and no answer to the council is recorded. `told`: the managers, or who stood in for them."""

    told: tuple[str, ...] = ()
    reason: str = ""


class ReferralForgotten(FactBody, frozen=True, kw_only=True):
    """It has left the state."""


ReferralBody = (
    ReferralLogged
    | ReferralSummoned
    | ReferralTaken
    | ReferralPassed
    | ReferralAnswered
    | ReferralLapsed
    | ReferralForgotten
)
REFERRAL_FACTS: frozenset[type] = frozenset(ReferralBody.__args__)
