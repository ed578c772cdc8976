"""What pages and the API show of providers and placements, in the caller's own ids. Types only: connectors see these.

Two views of a placement: the broker's, which has everything, and a provider's own (`OwnPlacement`), which is made of
what concerns that provider and nothing else: no other provider, no count, no number that another's bid would change.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

from config.placing import PlacementKind, Rule
from monitor.core.placing.inputs import (
    BidSource,
    CallOffOutcome,
    DeclineReason,
    MarkKind,
    OverrideReason,
    PlacementAction,
    RatingLevel,
    WithdrawReason,
)

Stage = Literal["received", "open", "proposed", "waiting", "awarded", "started", "unplaced", "withdrawn"]
OwnState = Literal["open", "closed", "won", "not_successful", "taken_back", "withdrawn"]
"""*open*: the provider may bid; *closed*: its window is over, and nothing was said yet; *not_successful*: it was told
so; *taken_back*: the package had been awarded to it, and is with the broker again."""


class MarkView(Struct, frozen=True, kw_only=True, gc=False):
    """A place that may name somebody: characters `from` up to, not including, `to` of the field at `path`."""

    kind: MarkKind
    path: str
    start: int = field(name="from")
    end: int = field(name="to")


class RatingView(Struct, frozen=True, kw_only=True, gc=False):
    """The CQC rating as last told."""

    overall: RatingLevel | None = None
    safe: RatingLevel | None = None
    effective: RatingLevel | None = None
    caring: RatingLevel | None = None
    responsive: RatingLevel | None = None
    well_led: RatingLevel | None = None
    published: date | None = None


class ScoreView(Struct, frozen=True, kw_only=True, gc=False):
    """A provider's score in an area, 0 to 100."""

    area: str
    score: int


class ProviderPhone(Struct, frozen=True, kw_only=True, gc=False):
    """One of a provider's telephones."""

    number: str
    kind: Literal["mobile", "landline"]


class ProviderView(Struct, frozen=True, kw_only=True, gc=False):
    """A provider as the council last told it. `rate_pence` an hour; `hours_declared` a week, on `declared_on`."""

    id: str
    name: str
    tier: str
    areas: tuple[str, ...]
    specialisms: tuple[str, ...]
    rating: RatingView
    rate_pence: int | None
    hours_declared: int | None
    declared_on: date | None
    scores: tuple[ScoreView, ...]
    partners: tuple[str, ...]
    active: bool
    desk: str | None
    since: datetime
    email: str | None = None
    phones: tuple[ProviderPhone, ...] = ()


class ProviderProblem(Struct, frozen=True, kw_only=True, gc=False):
    """What is wrong with one item of an upload of providers; an `error` means that the item was not taken."""

    row: int
    id: str | None
    path: str | None
    code: str
    severity: Literal["error", "warning"]
    message: str
    expected: tuple[str, ...] | UnsetType = UNSET


class ProvidersAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """What an upload of providers did."""

    new: int
    changed: int
    unchanged: int
    problems: tuple[ProviderProblem, ...]


class AreaView(Struct, frozen=True, kw_only=True, gc=False):
    """An area with its wards."""

    id: str
    wards: tuple[str, ...]
    name: str = ""
    """As the council calls it; in no fact."""
    ward_names: dict[str, str] = {}
    """And its wards, of those that have a name, by id."""


class AreasView(Struct, frozen=True, kw_only=True, gc=False):
    """What a package may name at this desk. `confirmed` False: the timings of that kind stand in no document of the
    council's; they are ours."""

    areas: tuple[AreaView, ...]
    kinds: tuple[PlacementKind, ...]
    unconfirmed: tuple[PlacementKind, ...]
    specialisms: tuple[str, ...]


class CutoffView(Struct, frozen=True, kw_only=True, gc=False):
    """Until when, local time, a provider is told of a package that starts the same day, or the next morning (appendix
    M)."""

    same_day: str
    next_morning: str
    weekend_same_day: str
    weekend_next_morning: str


class PackageView(Struct, frozen=True, kw_only=True, gc=False):
    """The package as it was sent out. `text` None: not read here (lists), or it cannot be had now."""

    kind: PlacementKind
    area: str
    ward: str | None
    minutes_week: int
    hours_week: float
    visits: tuple[int, ...]
    care_workers: int
    time_critical: bool
    specialisms: tuple[str, ...]
    start: datetime | None
    discharge_at: datetime | None
    text: str | None = None
    area_name: str = ""
    ward_name: str = ""
    at_most_s: int | None = None
    """The longest that such a package lasts, by its policy (discharge: six weeks)."""
    cutoff: CutoffView | None = None


# --- the broker's and auditor's view ---


class AskedView(Struct, frozen=True, kw_only=True, gc=False):
    """A provider was asked in a round."""

    provider: str
    at: datetime
    closes_at: datetime
    answered_at: datetime | None
    not_reached_at: datetime | None = None
    """Since when it is known that no text and no mail of this turn could reach it."""
    spoken_at: datetime | None = None
    """When a broker had told it by telephone: from then on it counts as asked."""
    spoken_by: str | None = None


class RoundView(Struct, frozen=True, kw_only=True, gc=False):
    """A round as it was held. `line`: who is asked after those, in this order."""

    index: int
    name: str
    rule: Rule
    opened_at: datetime
    closes_at: datetime
    closed_at: datetime | None
    reason: str | None
    by: str | None
    crosses: str
    asked: tuple[AskedView, ...]
    line: tuple[str, ...]
    silent: tuple[str, ...]
    losers_told_at: datetime | None
    not_reached: tuple[str, ...] = ()
    """Whom no invitation had reached when their time was over: they were not silent."""
    evaluation: tuple[RowView, ...] = ()
    """What every rule said of every provider at the close, as in a proposal; it stays when the next round opens."""
    evaluated_at: datetime | None = None


class BidView(Struct, frozen=True, kw_only=True, gc=False):
    """A bid as it stands. `counts`: it is considered. `how` None: not read here, or nothing was said."""

    provider: str
    round: int
    at: datetime
    first_at: datetime
    start: datetime
    source: BidSource
    late: bool
    admitted: bool
    counts: bool
    withdrawn_at: datetime | None
    changes: int
    by: str | None
    hours_free: int | None
    hours_declared: int | None
    how: str | None = None


class DeclineView(Struct, frozen=True, kw_only=True, gc=False):
    """A provider does not take the package."""

    provider: str
    round: int
    at: datetime
    reason: DeclineReason
    source: BidSource
    late: bool
    note: str | None = None
    pass_to: str | None = None
    """The partner to whom it was passed on."""


class RuleView(Struct, frozen=True, kw_only=True, gc=False):
    """What one rule says of one provider; `why` is a name out of docs/interface.md, `value` and `limit` what it
    compared."""

    rule: str
    outcome: Literal["holds", "fails", "unknown"]
    why: str
    value: int | None
    limit: int | None
    at: datetime | None
    added: int = 0
    """Of the hours: minutes a week that came since they were declared, and those of this package."""
    names: tuple[str, ...] = ()
    """Of the specialisms: those that are missing."""


class RowView(Struct, frozen=True, kw_only=True, gc=False):
    """One provider in a proposal. `place` 1 is proposed; None may not have it."""

    provider: str
    results: tuple[RuleView, ...]
    minutes_held: int
    packages_won: int
    start: datetime | None
    rate_pence: int | None
    score: int | None
    late: bool
    place: int | None
    decided_by: str
    answer: Literal["bid", "declined", "withdrawn", "silent", "not_reached"] = "bid"
    minutes_proposed: int = 0
    """Minutes a week of other packages that are proposed for it and wait for a broker's word."""
    rated_at: datetime | None = None
    """Since when the council knows of the rating."""


class AwardView(Struct, frozen=True, kw_only=True, gc=False):
    """Whose the package is. `by` None: the policy itself."""

    provider: str
    at: datetime
    by: str | None
    early: bool
    reason: OverrideReason | None
    proposed: str | None
    confirm_by: datetime
    papers_sent_at: datetime | None
    papers_by: str | None
    papers_reminded_at: datetime | None
    reminded_at: datetime | None
    note: str | None = None
    extended_at: datetime | None = None
    """When the winner was given longer to confirm, last."""
    extended_by: str | None = None


class FirstVisitView(Struct, frozen=True, kw_only=True, gc=False):
    """Day and time of the first visit, as confirmed."""

    start: datetime
    end: datetime
    at: datetime
    source: BidSource
    supervisor: bool
    by: str | None
    landed: bool = False
    """It is planned in the provider's own desk on this installation, and watched there."""


class RemarkView(Struct, frozen=True, kw_only=True, gc=False):
    """What was written beside an action. `note` None: not read here (lists), or it cannot be had now."""

    action: PlacementAction
    at: datetime
    by: str
    provider: str | None
    note: str | None = None


class CallOffView(Struct, frozen=True, kw_only=True, gc=False):
    """A first visit in the provider's own desk here that nobody wants any more, since `at`. `outcome` None: it is not
    known yet what became of it there; `missed_at`: when the broker was told so."""

    provider: str
    start: datetime
    at: datetime
    outcome: CallOffOutcome | None
    settled_at: datetime | None
    missed_at: datetime | None


class PlacementView(Struct, frozen=True, kw_only=True, gc=False):
    """A placement, whole: for the council's own people. `subject` is what its facts are about."""

    id: str
    subject: str
    stage: Stage
    package: PackageView
    received_at: datetime
    by: str
    confirmed: bool
    """False: the timings of its policy stand in no document of the council's."""
    closes_at: datetime | None
    """Of the window that is open."""
    marks: tuple[MarkKind, ...]
    rounds: tuple[RoundView, ...]
    bids: tuple[BidView, ...]
    late_bids: tuple[BidView, ...]
    declined: tuple[DeclineView, ...]
    proposal: tuple[RowView, ...]
    proposed: str | None
    proposed_at: datetime | None
    award: AwardView | None
    taken_back: tuple[str, ...]
    first_visit: FirstVisitView | None
    revoked: tuple[str, ...]
    alert: str | None
    unplaced_at: datetime | None
    ended_at: datetime | None
    ended: str | None
    withdrawn: WithdrawReason | None
    override: str | None = None
    """Why a broker said that the text is anonymous all the same."""
    call_offs: tuple[CallOffView, ...] = ()
    remarks: tuple[RemarkView, ...] = ()
    """What was written beside each step, in their order."""
    answers_by_token: tuple[str, ...] = ()
    """Those asked who have a credential of their own: they can answer by it, also when their link is revoked."""


class PlacementsPage(Struct, frozen=True, kw_only=True, gc=False):
    """What the page of a council's packages shows, with names: for the desk's own people.

    `names`: of providers and staff, by their ids. `broker_open`: whether it is within the broker's hours, by kind, for
    kinds that have any.
    """

    desk: str
    name: str
    now: datetime
    degraded: bool
    placements: tuple[PlacementView, ...]
    names: dict[str, str]
    areas: AreasView
    providers: tuple[ProviderView, ...]
    brokers: tuple[str, ...]
    """Who may act: the staff of the desk, by their ids."""


class PlacementPage(Struct, frozen=True, kw_only=True, gc=False):
    """What the page of one placement shows."""

    desk: str
    name: str
    now: datetime
    degraded: bool
    placement: PlacementView
    names: dict[str, str]
    providers: tuple[ProviderView, ...]
    brokers: tuple[str, ...]


# --- a provider's own view ---


class OwnBid(Struct, frozen=True, kw_only=True, gc=False):
    """A provider's own bid as it stands."""

    at: datetime
    start: datetime
    source: BidSource
    late: bool
    withdrawn_at: datetime | None
    changes: int
    hours_free: int | None
    hours_declared: int | None
    how: str | None = None


class OwnDecline(Struct, frozen=True, kw_only=True, gc=False):
    """A provider's own decline."""

    at: datetime
    reason: DeclineReason
    source: BidSource
    late: bool
    note: str | None = None
    pass_to: str | None = None
    """The partner to whom it was passed on."""


class OwnPlacement(Struct, frozen=True, kw_only=True, gc=False):
    """What one provider may know of a placement.

    The same bytes whatever any other provider has done, until this one is told of an outcome: no time of the package's
    arrival (which would tell its place in a line), no sequence of the journal, no round.
    """

    id: str
    council: str
    """The council's name, as the desk is called."""
    state: OwnState
    package: PackageView
    asked_at: datetime
    closes_at: datetime
    confirm_by: datetime | None
    """Of the winner: until when day and time of the first visit are to be confirmed."""
    first_visit: FirstVisitView | None
    partners: tuple[str, ...]
    """To whom it may be passed on; empty where the round does not allow that."""
    partner_names: dict[str, str] = {}
    revoked: bool = False
    """Its signed link opens nothing any more."""
    link_serial: int = 0
    """The number of the link that it was given last: one of before opens nothing."""
    telephone: str | None = None
    """Of the brokerage, for any question."""
    bid: OwnBid | None = None
    late_bid: OwnBid | None = None
    declined: OwnDecline | None = None


class BidReceipt(Struct, frozen=True, kw_only=True, gc=False):
    """What was taken down, as the journal has it. `late`: after the close; it is kept, and not considered unless the
    broker says why. `warnings`: places in the words that may name somebody."""

    placement: str
    provider: str
    what: Literal["bid", "declined", "withdrawn"]
    at: datetime
    late: bool
    closes_at: datetime
    """Until when it may be changed."""
    start: datetime | None = None
    changes: int | None = None
    warnings: tuple[MarkView, ...] = ()


# --- the register ---


class HeldView(Struct, frozen=True, kw_only=True, gc=False):
    """A package that a provider was awarded and has, in the span of the ledger, with names. `until`: when its longest
    time is over (discharge: six weeks); `ended_on`: the local day on which the care ends, as a broker said; `held`:
    its hours count now."""

    placement: str
    provider: str
    kind: PlacementKind
    minutes_week: int
    hours_week: float
    won_at: datetime
    until: datetime | None
    ended_on: date | None
    held: bool
    name: str = ""


class HeldPage(Struct, frozen=True, kw_only=True, gc=False):
    """What the page of the packages that providers hold shows, the oldest first."""

    desk: str
    name: str
    now: datetime
    degraded: bool
    held: tuple[HeldView, ...]
    names: dict[str, str]


Persistent = Literal["in_a_row", "share"]
"""Why a provider is listed for the contract meeting: so many declines and silences in a row, or too large a share."""
Target = Literal["below", "within", "above", "none_placed"]


class Within(Struct, frozen=True, kw_only=True, gc=False):
    """Of the packages of a kind whose answer is known, `of`: how many were answered within that many seconds. Silence
    is no answer."""

    kind: PlacementKind
    limit_s: int
    answered: int
    of: int


class RegisterRow(Struct, frozen=True, kw_only=True, gc=False):
    """One provider over the span. Each package is counted once, by what the provider said of it last.

    `bid`, `declined`, `silent`, `withdrew`, `not_reached` (no invitation could be delivered: no silence) and
    `unanswered` (still asked, or cut short before its time was over) make up `offered`. `late`: something came after
    the window. `won`: awarded, and still theirs.
    """

    provider: str
    tier: str
    active: bool
    offered: int
    bid: int
    declined: int
    declined_for: dict[DeclineReason, int]
    silent: int
    withdrew: int
    unanswered: int
    late: int
    won: int
    taken_back: int
    median_s: int | None
    """Seconds from being asked to the first answer."""
    within: tuple[Within, ...]
    minutes_held: int
    """Minutes a week of packages that it has now."""
    hours_declared: int | None
    declared_on: date | None
    minutes_since: int
    """Minutes a week that came since it declared its hours."""
    hours_limit: int | None
    in_a_row: int
    """Declines, withdrawals and silences, the last ones without a bid between them."""
    refused_share: float | None
    persistent: tuple[Persistent, ...] = ()
    name: str = ""
    not_reached: int = 0


class RegisterView(Struct, frozen=True, kw_only=True, gc=False):
    """What the council knows of its providers' answers from `since` until `until`, for the contract meetings."""

    since: datetime
    until: datetime
    rows: tuple[RegisterRow, ...]
    placed: int
    placed_with_patch: int
    patch_share: float | None
    patch_target: tuple[float, float]
    target: Target
    in_a_row: int
    """From how many in a row on a provider is listed."""
    share: float
    at_least: int
