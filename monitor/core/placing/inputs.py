"""What a council's desk is told from outside, by minted ids: its providers, its packages, bids, what its brokers do.

Types only: connectors see these.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from config.placing import Area, PlacementKind, PlacingTerms
from monitor.core.evidence import Evidence

RatingLevel = Literal["outstanding", "good", "requires_improvement", "inadequate", "not_rated"]
RATING_LEVELS: tuple[RatingLevel, ...] = RatingLevel.__args__  # type: ignore[attr-defined]
Question = Literal["safe", "effective", "caring", "responsive", "well_led"]
QUESTIONS: tuple[Question, ...] = Question.__args__  # type: ignore[attr-defined]
"""The five questions of the Care Quality Commission."""
MarkKind = Literal["name", "postcode", "birth_date", "nhs_number", "telephone", "email", "address"]
MARK_KINDS: tuple[MarkKind, ...] = MarkKind.__args__  # type: ignore[attr-defined]
"""What may make a referral no longer anonymous."""
BidSource = Literal["link", "api", "broker"]
"""By signed link, over the API with the provider's own credential, or by telephone, entered by a broker."""
DeclineReason = Literal["no_capacity", "no_skills", "area", "hours", "start", "rate", "other"]
DECLINE_REASONS: tuple[DeclineReason, ...] = DeclineReason.__args__  # type: ignore[attr-defined]
OverrideReason = Literal["specialist_need", "geography", "emergency", "continuity", "choice", "other"]
OVERRIDE_REASONS: tuple[OverrideReason, ...] = OverrideReason.__args__  # type: ignore[attr-defined]
"""Why a broker awards otherwise than proposed, or before the close (appendix A: specialist needs, skills, geography,
emergency); `other` wants words, which are evidence."""
WithdrawReason = Literal["not_needed", "placed_elsewhere", "died", "mistake", "other"]
WITHDRAW_REASONS: tuple[WithdrawReason, ...] = WithdrawReason.__args__  # type: ignore[attr-defined]
PlacementAction = Literal[
    "award",
    "open_next",
    "admit_late",
    "spoke_provider",
    "papers_sent",
    "confirm_first_visit",
    "extend",
    "send_back",
    "revoke_link",
    "withdraw",
]
PLACEMENT_ACTIONS: tuple[PlacementAction, ...] = PlacementAction.__args__  # type: ignore[attr-defined]
CallOffOutcome = Literal["called_off", "kept", "not_there"]
"""What became of a first visit that nobody wants any more, in the provider's own desk: it is watched no more; its
office had made it its own, and keeps it until it calls it off itself; it never stood there, or has left."""
KeptReason = Literal[
    "in_rota", "person_named", "worker_planned", "changed", "other_visits", "away", "under_way"
]
"""Why a first visit is its office's own: its rota has it, or planned it anew; the directory has the person; somebody is
to go; its time or what belongs to it is another; the person has other visits; somebody has said that they are away;
somebody came, or was missed."""
PackageOver = Literal["", "called_off", KeptReason]
"""Of a first visit: its package is the provider's no more, and the visit was called off for that, or kept."""


class Rating(Struct, frozen=True, kw_only=True, gc=False):
    """The provider's CQC rating as it was published on that day. None: not said."""

    overall: RatingLevel | None = None
    safe: RatingLevel | None = None
    effective: RatingLevel | None = None
    caring: RatingLevel | None = None
    responsive: RatingLevel | None = None
    well_led: RatingLevel | None = None
    published: date | None = None


class LocalScore(Struct, frozen=True, kw_only=True, gc=False):
    """The provider's score in one area, 0 to 100."""

    area: str
    score: int


class ProviderSaid(Struct, frozen=True, kw_only=True, gc=False):
    """A provider organisation as the council knows it, whole; name and contacts stand in the directory.

    `rate_pence`: blended rate, pence an hour. `hours_declared`: private and allocated hours a week, as the provider
    declared them on `declared_on`.
    """

    ref: str
    tier: str
    areas: tuple[str, ...] = ()
    specialisms: tuple[str, ...] = ()
    rating: Rating = Rating()
    rate_pence: int | None = None
    hours_declared: int | None = None
    declared_on: date | None = None
    scores: tuple[LocalScore, ...] = ()
    partners: tuple[str, ...] = ()
    """To whom they may pass a package on."""
    active: bool = True
    desk: str | None = None
    """The id of their own desk on the same installation: the first visit is planned there."""


class ProvidersTold(Struct, frozen=True, kw_only=True):
    """The council's list, or part of it. Absence removes nobody."""

    providers: tuple[ProviderSaid, ...]


class PlacingLoaded(Struct, frozen=True, kw_only=True):
    """What the configuration says at start or after a reload. What did not change causes no fact."""

    terms: tuple[PlacingTerms, ...]
    areas: tuple[Area, ...] = ()
    mailbox: str | None = None
    """The minted id under which the brokerage mailbox is written to."""


class PackageSaid(Struct, frozen=True, kw_only=True, gc=False):
    """The package as it is sent out, without anything that names the person.

    `minutes_week`: minutes of care a week, of all care workers together. `visits`: the length of each visit of a day,
    in minutes.
    """

    kind: PlacementKind
    area: str
    minutes_week: int
    visits: tuple[int, ...]
    ward: str | None = None
    care_workers: Literal[1, 2] = 1
    time_critical: bool = False
    specialisms: tuple[str, ...] = ()
    start: datetime | None = None
    """When it is wanted to begin."""
    discharge_at: datetime | None = None


class PackageReceived(Struct, frozen=True, kw_only=True):
    """A broker sends a package out. `marks`: what was found in its text that might name somebody; without `override`
    such a package is not taken."""

    ref: str
    package: PackageSaid
    by: str
    text: Evidence | None = None
    marks: tuple[MarkKind, ...] = ()
    override: Evidence | None = None
    """Why a broker says that it is anonymous all the same."""


class BidGiven(Struct, frozen=True, kw_only=True):
    """A provider can take the package: from when, and how. A second one takes the place of the first."""

    placement: str
    provider: str
    start: datetime
    source: BidSource
    by: str | None = None
    """The broker who entered a bid by telephone."""
    how: Evidence | None = None
    """How they would deliver it, in their words."""
    hours_free: int | None = None
    """Capacity: hours a week that they have free."""
    hours_declared: int | None = None
    """Private and allocated hours a week as they declare them with the bid."""
    link: int = 0
    """The number of the signed link, where it came by one."""


class BidTakenBack(Struct, frozen=True, kw_only=True):
    """A provider withdraws its bid."""

    placement: str
    provider: str
    source: BidSource
    by: str | None = None
    link: int = 0
    """The number of the signed link, where it came by one."""


class BidRefusedByProvider(Struct, frozen=True, kw_only=True):
    """A provider declines the package, with a reason; `pass_to` hands it on to a partner of theirs where the round
    allows that."""

    placement: str
    provider: str
    reason: DeclineReason
    source: BidSource
    by: str | None = None
    note: Evidence | None = None
    pass_to: str | None = None
    link: int = 0
    """The number of the signed link, where it came by one."""


class DeadLinkPressed(Struct, frozen=True, kw_only=True):
    """Somebody presses on a provider's genuine link whose time is over."""

    placement: str
    provider: str


class PlacementActed(Struct, frozen=True, kw_only=True):
    """A broker, or the winner for its first visit, does something about a placement. What each action needs:
    `award`: provider (None: the proposed one), reason and note where it is not the proposed one or before the close;
    `open_next`: nothing; `admit_late`: provider and note; `spoke_provider`: provider (told by telephone, since no text
    and no mail had reached it); `papers_sent`: nothing; `confirm_first_visit`: start, end;
    `extend`: until (was: the deadline that it takes the place of); `send_back`: note (the award is taken back, the next
    round opens); `revoke_link`: provider; `withdraw`: withdrawn. A note beside any of them is kept.
    """

    placement: str
    action: PlacementAction
    by: str
    """A broker, or the provider that has won."""
    source: BidSource = "api"
    provider: str | None = None
    reason: OverrideReason | None = None
    withdrawn: WithdrawReason | None = None
    note: Evidence | None = None
    start: datetime | None = None
    end: datetime | None = None
    supervisor: bool = False
    """The first visit is made by a field supervisor (appendix A)."""
    until: datetime | None = None
    was: datetime | None = None
    """The deadline that the broker had before them; None: that of the award itself."""
    link: int = 0
    """The number of the signed link, where it came by one."""


class CareEndSaid(Struct, frozen=True, kw_only=True):
    """A broker says on which local day the care of an awarded package ends, or has ended; None: it goes on."""

    placement: str
    by: str
    on: date | None = None


class FirstVisitTold(Struct, frozen=True, kw_only=True):
    """In the provider's own desk: a council's desk here has a first visit confirmed. `placement` is its id there; visit
    and service user are ids of this desk, made of it: nobody's name is known."""

    placement: str
    visit: str
    service_user: str
    start: datetime
    end: datetime
    time_critical: bool = False


class FirstVisitSettled(Struct, frozen=True, kw_only=True):
    """In the council's desk: the first visit stands on the disk of that desk, as that visit."""

    placement: str
    desk: str
    visit: str


class CallOffTold(Struct, frozen=True, kw_only=True):
    """In the provider's own desk: the council's desk wants this first visit no more. `start`, `end`, `time_critical` as
    it was told once."""

    placement: str
    visit: str
    start: datetime
    end: datetime
    time_critical: bool = False


class CallOffSettled(Struct, frozen=True, kw_only=True):
    """In the council's desk: what became of it is on the disk of that desk. `index`: which of `Placement.call_offs`."""

    placement: str
    index: int
    desk: str
    outcome: CallOffOutcome


PlacingInput = (
    ProvidersTold
    | PlacingLoaded
    | PackageReceived
    | BidGiven
    | BidTakenBack
    | BidRefusedByProvider
    | DeadLinkPressed
    | CareEndSaid
    | PlacementActed
    | FirstVisitTold
    | FirstVisitSettled
    | CallOffTold
    | CallOffSettled
)
