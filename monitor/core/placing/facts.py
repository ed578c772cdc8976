"""What a council's desk decided about its packages, past tense, versioned (`monitor.core.facts` has all kinds).

The subject is the placement, but where another one is named. Ids, counts, hours, instants and named reasons only.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from config.placing import Area, PlacingTerms
from monitor.core.body import FactBody
from monitor.core.evidence import Evidence
from monitor.core.placing.inputs import (
    BidSource,
    CallOffOutcome,
    DeclineReason,
    MarkKind,
    OverrideReason,
    PackageSaid,
    ProviderSaid,
    WithdrawReason,
)

CloseReason = Literal["time", "all_answered", "first_bid", "awarded", "withdrawn", "nobody_asked"]
AskedReason = Literal["opened", "declined", "silent", "passed_on", "not_reached"]
PassedReason = Literal["nobody_asked", "other_area"]
Crosses = Literal["", "runs_on", "paused"]
"""A window that crosses the end of the broker's hours: it runs on, or only minutes within them count."""
RuleName = Literal["cqc", "hours_limit", "start", "specialisms", "area", "active"]
RULES: tuple[RuleName, ...] = RuleName.__args__  # type: ignore[attr-defined]
Outcome = Literal["holds", "fails", "unknown"]
"""*unknown* never keeps a provider out by itself: it is shown (not yet rated, not declared)."""
EndReason = Literal["started", "unplaced", "withdrawn"]
BackReason = Literal["unconfirmed", "sent_back"]
RowAnswer = Literal["bid", "declined", "withdrawn", "silent", "not_reached"]
DEAD_LINK = frozenset({"link_revoked", "link_expired"})
"""Why a press on a genuine link did nothing: whoever holds it may be nobody of the provider's any more."""
SummonReason = Literal["unconfirmed", "undecided"]


class RuleResult(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What one rule says of one provider. `why` is a name out of `monitor.core.placing.rules.WHYS`; `value` and `limit`
    are the numbers it compared, `at` the instant."""

    rule: RuleName
    outcome: Outcome
    why: str = ""
    value: int | None = None
    limit: int | None = None
    at: datetime | None = None
    added: int = 0
    """Of the hours: minutes a week that came since they were declared, and those of this package."""
    names: tuple[str, ...] = ()
    """Of the specialisms: those that are missing."""


class Row(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One provider in a proposal. `place`: 1 is the first of those that may have it; None: this one may not."""

    provider: str
    results: tuple[RuleResult, ...]
    minutes_held: int = 0
    """Minutes a week of packages won in the span of the ledger, by now."""
    packages_won: int = 0
    start: datetime | None = None
    rate_pence: int | None = None
    score: int | None = None
    late: bool = False
    place: int | None = None
    decided_by: str = ""
    """The tie-break by which it stands behind the one before it."""
    minutes_proposed: int = 0
    """Minutes a week of other packages that are proposed for it and wait for a broker's word."""
    answer: RowAnswer = "bid"
    rated_at: datetime | None = None
    """Since when the council knows of the rating: it may have changed while the window was open."""


class PlacingAdopted(FactBody, frozen=True, kw_only=True):
    """How the council places packages from here on; the subject is the desk."""

    terms: tuple[PlacingTerms, ...]
    areas: tuple[Area, ...] = ()
    mailbox: str | None = None


class ProviderAdopted(FactBody, frozen=True, kw_only=True):
    """What the council knows of a provider from here on; the subject is the provider."""

    provider: ProviderSaid


class PlacementReceived(FactBody, frozen=True, kw_only=True):
    """A package is to be placed."""

    package: PackageSaid
    by: str
    text: Evidence | None = None
    marks: tuple[MarkKind, ...] = ()
    override: Evidence | None = None


class RoundOpened(FactBody, frozen=True, kw_only=True):
    """A round has begun. `index` is that of the round in the policy; `asked` whoever may bid now, in their order (of a
    ranked or direct round the first of `line`, those who follow)."""

    index: int
    closes_at: datetime
    asked: tuple[str, ...]
    line: tuple[str, ...] = ()
    crosses: Crosses = ""
    by: str | None = None
    """The broker who opened it; None: it opened by itself."""
    reminds_at: tuple[datetime, ...] = ()
    """When whoever has not answered is reminded."""
    note: Evidence | None = None
    """Why the broker did not follow the proposal."""
    renewed: tuple[str, ...] = ()
    """Those asked whose link was revoked: they are given a new one, and the old one stays revoked."""


class RoundPassedOver(FactBody, frozen=True, kw_only=True):
    """A round of the policy was not held: there was nobody to ask, or it is held for packages of other areas."""

    index: int
    reason: PassedReason


class ProviderAsked(FactBody, frozen=True, kw_only=True):
    """Of a ranked or direct round: the next one is asked, until `closes_at`."""

    index: int
    provider: str
    closes_at: datetime
    reason: AskedReason
    crosses: Crosses = ""
    reminds_at: tuple[datetime, ...] = ()
    renewed: bool = False
    """Its link was revoked: it is given a new one."""


class RoundReminded(FactBody, frozen=True, kw_only=True):
    """Whoever had not answered was reminded. `step`: how many reminders there were before."""

    index: int
    step: int
    told: tuple[str, ...] = ()


class ProviderNotReached(FactBody, frozen=True, kw_only=True):
    """No text and no mail could tell a provider that it is asked, in the turn that began at `asked_at`: the brokers
    `told` ring it while its window is open. Whoever was not reached is not silent."""

    index: int
    provider: str
    asked_at: datetime
    told: tuple[str, ...] = ()


class ProviderSpokenTo(FactBody, frozen=True, kw_only=True):
    """A broker has told a provider by telephone that it is asked, in the turn that began at `asked_at`, since no text
    and no mail had reached it: from here on it counts as asked."""

    index: int
    provider: str
    asked_at: datetime
    by: str
    note: Evidence | None = None


class BidRecorded(FactBody, frozen=True, kw_only=True):
    """A bid, or the change of one. `change`: how many there were before from this provider for this package."""

    index: int
    provider: str
    start: datetime
    source: BidSource
    late: bool = False
    change: int = 0
    by: str | None = None
    how: Evidence | None = None
    hours_free: int | None = None
    hours_declared: int | None = None


class BidWithdrawn(FactBody, frozen=True, kw_only=True):
    """It counts no more. `late`: after the close; then it still stands beside the proposal, and the broker is told."""

    index: int
    provider: str
    source: BidSource
    late: bool = False
    by: str | None = None


class BidDeclined(FactBody, frozen=True, kw_only=True):
    """A provider does not take the package."""

    index: int
    provider: str
    reason: DeclineReason
    source: BidSource
    late: bool = False
    by: str | None = None
    note: Evidence | None = None
    pass_to: str | None = None


class BidRefused(FactBody, frozen=True, kw_only=True):
    """Somebody tried to bid and was told why not: a start in the past, a round that never asked them, a link that was
    revoked or has ended. Nothing else changed."""

    provider: str | None
    why: str
    source: BidSource
    last: bool = False
    """So many presses on links of theirs that open nothing stand here now; of more there is no record but the log."""


class LateBidAdmitted(FactBody, frozen=True, kw_only=True):
    """A bid after the close is considered all the same, because a broker says why."""

    provider: str
    by: str
    note: Evidence | None = None


class RoundClosed(FactBody, frozen=True, kw_only=True):
    """The window is over. `silent`: those asked who neither bid nor declined in the whole of their time; a window that
    closed early has none but those whose turn was over."""

    index: int
    reason: CloseReason
    silent: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()
    """Those whose time was over and whom no invitation had reached."""


class ProposalMade(FactBody, frozen=True, kw_only=True):
    """What follows from the bids by the rules. `proposed` None: nobody bid, or every bid fails a rule."""

    index: int
    rows: tuple[Row, ...]
    proposed: str | None = None


class PlacementAwarded(FactBody, frozen=True, kw_only=True):
    """The package is theirs. `by` None: by the policy itself. `early`: before the close; `proposed`: whom the rules
    named, where that was somebody else."""

    provider: str
    confirm_by: datetime
    index: int = 0
    by: str | None = None
    early: bool = False
    reason: OverrideReason | None = None
    note: Evidence | None = None
    proposed: str | None = None


class LosersTold(FactBody, frozen=True, kw_only=True):
    """Who bid in the round and was not awarded the package was told, at the award or when the time for it had come."""

    index: int
    told: tuple[str, ...] = ()


class PapersReminded(FactBody, frozen=True, kw_only=True):
    """The broker was reminded to send the full papers under password protection, from the brokerage mailbox."""

    told: tuple[str, ...] = ()


class PapersSent(FactBody, frozen=True, kw_only=True):
    """A broker says that the full papers are sent."""

    by: str
    note: Evidence | None = None


class FirstVisitConfirmed(FactBody, frozen=True, kw_only=True):
    """The winner, or a broker for it, says when the first visit is."""

    provider: str
    start: datetime
    end: datetime
    source: BidSource
    supervisor: bool = False
    by: str | None = None
    desk: str | None = None
    """The winner's own desk on this installation, where it is to be planned."""
    note: Evidence | None = None


class ConfirmationReminded(FactBody, frozen=True, kw_only=True):
    """The winner was reminded that day and time of the first visit are to be confirmed."""

    provider: str


class ConfirmationExtended(FactBody, frozen=True, kw_only=True):
    """A broker gives the winner longer to confirm day and time of the first visit: until `confirm_by`, not `was`."""

    provider: str
    confirm_by: datetime
    was: datetime
    by: str
    note: Evidence | None = None


class AwardTakenBack(FactBody, frozen=True, kw_only=True):
    """The package is with the broker again: nothing was confirmed in time, or a broker has sent it back."""

    provider: str
    reason: BackReason
    by: str | None = None
    note: Evidence | None = None


class LinkRevoked(FactBody, frozen=True, kw_only=True):
    """The signed link of this provider for this package opens nothing any more. Asked again it is given a new one."""

    provider: str
    by: str
    note: Evidence | None = None


class PlacementUnplaced(FactBody, frozen=True, kw_only=True):
    """The last round has placed nothing: the broker is summoned by the alert."""

    alert: str
    reason: str = "no_more_rounds"


class BrokerSummoned(FactBody, frozen=True, kw_only=True):
    """The package waits for a person: the winner has not confirmed its first visit in time, or nobody has decided what
    follows a round. The broker is summoned by the alert."""

    alert: str
    reason: SummonReason


class FirstVisitLanded(FactBody, frozen=True, kw_only=True):
    """The first visit is planned in the provider's own desk, on the same installation, and watched there."""

    provider: str
    desk: str
    visit: str
    """Its minted id there."""


class LandingMissed(FactBody, frozen=True, kw_only=True):
    """The first visit does not stand in the provider's own desk after so long: the broker was told, who asks them to
    plan it by hand."""

    provider: str
    desk: str


class FirstVisitCalledOff(FactBody, frozen=True, kw_only=True):
    """What became of a first visit in the provider's own desk, after the package was withdrawn or taken back. `index`:
    which of the package's first visits that were called off."""

    index: int
    provider: str
    desk: str
    outcome: CallOffOutcome


class CallOffMissed(FactBody, frozen=True, kw_only=True):
    """It could not be called off there after so long: the broker was told, who rings them."""

    index: int
    provider: str
    desk: str


class PlacementEnded(FactBody, frozen=True, kw_only=True):
    """Nothing is waited for any more."""

    reason: EndReason
    by: str | None = None
    withdrawn: WithdrawReason | None = None
    note: Evidence | None = None


class CareEnded(FactBody, frozen=True, kw_only=True):
    """A broker says on which local day the care of the package ends: from its beginning, `frees_at`, its hours are
    held no more. None: it goes on after all. The package itself may have left the state long ago."""

    provider: str
    by: str
    on: date | None = None
    frees_at: datetime | None = None


class PlacementClosed(FactBody, frozen=True, kw_only=True):
    """It has left the state; the register and the ledger keep what they need."""


PlacementBody = (
    PlacementReceived
    | RoundOpened
    | RoundPassedOver
    | ProviderAsked
    | RoundReminded
    | ProviderNotReached
    | ProviderSpokenTo
    | BidRecorded
    | BidWithdrawn
    | BidDeclined
    | BidRefused
    | LateBidAdmitted
    | RoundClosed
    | ProposalMade
    | PlacementAwarded
    | LosersTold
    | PapersReminded
    | PapersSent
    | FirstVisitConfirmed
    | ConfirmationReminded
    | ConfirmationExtended
    | AwardTakenBack
    | LinkRevoked
    | PlacementUnplaced
    | BrokerSummoned
    | FirstVisitLanded
    | LandingMissed
    | FirstVisitCalledOff
    | CallOffMissed
    | PlacementEnded
    | CareEnded
    | PlacementClosed
)
PLACEMENT_FACTS: frozenset[type] = frozenset(PlacementBody.__args__)
"""Those whose subject is a placement."""
PlacingBody = PlacingAdopted | ProviderAdopted | PlacementBody
