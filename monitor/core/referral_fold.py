"""A referral as the desk knows it, what its facts make of it, and when it wants to be asked about. Folds only."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct, structs

from config.placing import PlacementKind
from config.policy import Policy
from monitor.core.body import Draft
from monitor.core.placing.inputs import DeclineReason
from monitor.core.referral_facts import (
    ReferralAnswered,
    ReferralForgotten,
    ReferralLapsed,
    ReferralLogged,
    ReferralMark,
    ReferralOutcome,
    ReferralPassed,
    ReferralSource,
    ReferralSummoned,
    ReferralTaken,
)

UNANSWERED_KEPT = timedelta(days=31)
"""So long one that nobody has answered stays on the list after its time (ours): the next contract meeting asks."""


class Summons(Struct, frozen=True, kw_only=True, gc=False):
    """Who was told, when, and why not somebody else."""

    at: datetime
    mark: ReferralMark
    person: str | None
    messages: tuple[str, ...] = ()
    reason: str = ""


class ReferralAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """What the council was answered."""

    outcome: ReferralOutcome
    by: str
    done_at: datetime
    recorded_at: datetime
    late: bool
    reason: DeclineReason | None = None
    starts_at: datetime | None = None


class Referral(Struct, frozen=True, kw_only=True, gc=False):
    """A council's question about a package, with its clock."""

    ref: str
    package: PlacementKind
    source: ReferralSource
    arrived_at: datetime
    logged_at: datetime
    answer_by: datetime
    half_at: datetime
    last_at: datetime
    council: str | None = None
    by: str | None = None
    sent_at: datetime | None = None
    fingerprint: int = 0
    evidence: str = ""
    """The id of what the council wrote."""
    summons: tuple[Summons, ...] = ()
    taken_by: str | None = None
    taken_at: datetime | None = None
    lapsed_at: datetime | None = None
    answer: ReferralAnswer | None = None

    @property
    def waits(self) -> bool:
        """No answer to the council is recorded, and its time is not over."""
        return self.answer is None and self.lapsed_at is None

    @property
    def mark(self) -> ReferralMark | None:
        """The last moment at which somebody was summoned."""
        return self.summons[-1].mark if self.summons else None

    @property
    def messages(self) -> tuple[str, ...]:
        """The keys of all that went out about it."""
        return tuple(key for one in self.summons for key in one.messages)


def marks(referral: Referral) -> dict[ReferralMark, datetime]:
    """When somebody is summoned; who has taken it is left in peace until the last of them."""
    found: dict[ReferralMark, datetime] = {"arrival": referral.arrived_at, "half": referral.half_at}
    if referral.taken_by is not None:
        found = {}
    return {**found, "last": referral.last_at}


ORDER: dict[ReferralMark | None, int] = {None: 0, "arrival": 1, "half": 2, "last": 3}


def next_moment(referral: Referral, policy: Policy) -> datetime:
    """When it wants to be asked about next: a mark, the end of its time, or that it leaves the state."""
    if referral.answer is not None:
        return referral.answer.recorded_at + policy.closes_after
    if referral.lapsed_at is not None:
        return referral.lapsed_at + UNANSWERED_KEPT
    done = ORDER[referral.mark]
    to_come = [at for mark, at in marks(referral).items() if ORDER[mark] > done]
    return min([*to_come, referral.answer_by])


def evolve_referral(known: Referral | None, fact: Draft) -> Referral | None:
    """The referral after this fact; None when it is not in the state (any more)."""
    body = fact.body
    if isinstance(body, ReferralLogged):
        return _logged(fact, body)
    if known is None or isinstance(body, ReferralForgotten):
        return None
    match body:
        case ReferralSummoned():
            one = Summons(
                at=fact.at,
                mark=body.mark,
                person=body.person,
                messages=body.messages,
                reason=body.reason,
            )
            return structs.replace(known, summons=(*known.summons, one))
        case ReferralTaken():
            return structs.replace(known, taken_by=body.by, taken_at=fact.at)
        case ReferralPassed() if known.taken_by == body.by:
            return structs.replace(known, taken_by=None, taken_at=None)
        case ReferralAnswered():
            return structs.replace(known, answer=_answer(fact, body))
        case ReferralLapsed():
            return structs.replace(known, lapsed_at=fact.at)
        case _:
            return known


def _logged(fact: Draft, body: ReferralLogged) -> Referral:
    return Referral(
        ref=fact.subject,
        package=body.package,
        source=body.source,
        arrived_at=body.arrived_at,
        logged_at=fact.at,
        answer_by=body.answer_by,
        half_at=body.half_at,
        last_at=body.last_at,
        council=body.council,
        by=body.by,
        sent_at=body.sent_at,
        fingerprint=body.fingerprint,
        evidence=body.evidence.id,
    )


def _answer(fact: Draft, body: ReferralAnswered) -> ReferralAnswer:
    return ReferralAnswer(
        outcome=body.outcome,
        by=body.by,
        done_at=body.done_at,
        recorded_at=fact.at,
        late=body.late,
        reason=body.reason,
        starts_at=body.starts_at,
    )
