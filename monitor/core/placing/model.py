"""What a council's desk knows of its providers and packages: frozen values, changed only by `placing.fold`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from config.placing import PlacementKind
from monitor.core.evidence import Evidence
from monitor.core.placing.facts import CloseReason, Crosses, EndReason, Row
from monitor.core.placing.inputs import (
    BidSource,
    CallOffOutcome,
    DeclineReason,
    MarkKind,
    OverrideReason,
    PackageSaid,
    PlacementAction,
    ProviderSaid,
    WithdrawReason,
)

PlacementStage = Literal[
    "received", "open", "proposed", "waiting", "awarded", "started", "unplaced", "withdrawn"
]
"""*received*: no round has opened; *open*: a window runs; *proposed*: closed, and an award is proposed; *waiting*: the
round placed nothing, and the next one opens when the broker says; *awarded*: the first visit is not confirmed yet;
*started*: it is."""


class Provider(Struct, frozen=True, kw_only=True, gc=False):
    """A provider as last told, and since when."""

    said: ProviderSaid
    since: datetime
    rated_since: datetime | None = None
    """Since when the rating has been this one, as far as we were told."""

    @property
    def ref(self) -> str:
        """Its minted id."""
        return self.said.ref


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """A provider was asked in a round, until when it may answer, and what it said last."""

    provider: str
    at: datetime
    closes_at: datetime
    answered_at: datetime | None = None
    """When it first bid or declined, in time: its response time counts from `heard_at`."""
    not_reached_at: datetime | None = None
    """Since when it is known that no text and no mail of this turn could reach it."""
    spoken_at: datetime | None = None
    """When a broker had told it by telephone: its response time counts from then."""
    spoken_by: str | None = None

    @property
    def heard_at(self) -> datetime:
        """Since when it counts as asked."""
        return self.spoken_at or self.at


class Bid(Struct, frozen=True, kw_only=True, gc=False):
    """The last bid of one provider. It counts while it is not withdrawn, and in time or admitted."""

    provider: str
    index: int
    at: datetime
    first_at: datetime
    start: datetime
    source: BidSource
    late: bool = False
    admitted: bool = False
    withdrawn_at: datetime | None = None
    changes: int = 0
    by: str | None = None
    how: Evidence | None = None
    hours_free: int | None = None
    hours_declared: int | None = None

    @property
    def stands(self) -> bool:
        """It is not withdrawn."""
        return self.withdrawn_at is None

    @property
    def counts(self) -> bool:
        """It is considered."""
        return self.stands and (self.admitted or not self.late)


class Declined(Struct, frozen=True, kw_only=True, gc=False):
    """A provider does not take the package."""

    provider: str
    index: int
    at: datetime
    reason: DeclineReason
    source: BidSource
    late: bool = False
    note: Evidence | None = None
    pass_to: str | None = None
    """The partner to whom it was passed on."""


class RoundRun(Struct, frozen=True, kw_only=True, gc=False):
    """A round as it was held. `index`: that of the round in the policy."""

    index: int
    opened_at: datetime
    closes_at: datetime
    asked: tuple[Asked, ...]
    line: tuple[str, ...] = ()
    """Of a ranked or direct round: who is asked after those, in this order."""
    crosses: Crosses = ""
    by: str | None = None
    reminds_at: tuple[datetime, ...] = ()
    """When whoever has not answered is reminded, in this turn."""
    reminded: int = 0
    closed_at: datetime | None = None
    reason: CloseReason | None = None
    silent: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()
    """Whom no invitation had reached when their time was over."""
    told_at: datetime | None = None
    """When those who bid and did not win were told."""
    told: tuple[str, ...] = ()
    """Those who were told that they were not successful."""
    rows: tuple[Row, ...] = ()
    """What the rules said of everybody at the close, also when nobody was proposed; of a second evaluation (a late bid
    admitted, a bid taken back) the last."""
    judged_at: datetime | None = None

    @property
    def runs(self) -> bool:
        """It has not closed."""
        return self.closed_at is None


class Award(Struct, frozen=True, kw_only=True, gc=False):
    """Whose the package is."""

    provider: str
    at: datetime
    confirm_by: datetime
    index: int = 0
    by: str | None = None
    early: bool = False
    reason: OverrideReason | None = None
    note: Evidence | None = None
    proposed: str | None = None
    papers_reminded_at: datetime | None = None
    papers_sent_at: datetime | None = None
    papers_by: str | None = None
    reminded_at: datetime | None = None
    """When the winner was reminded to confirm the first visit."""
    summoned_at: datetime | None = None
    """When the broker was summoned because nothing was confirmed in time."""
    extended_at: datetime | None = None
    """When the winner was given longer to confirm, last."""
    extended_by: str | None = None


class FirstVisit(Struct, frozen=True, kw_only=True, gc=False):
    """Day and time of the first visit, as confirmed."""

    start: datetime
    end: datetime
    at: datetime
    source: BidSource
    supervisor: bool = False
    by: str | None = None
    desk: str | None = None
    """The provider's own desk here, where it is to be planned."""
    missed_at: datetime | None = None
    """When the broker was told that it does not stand there."""
    landed: str | None = None
    """The visit that is planned for it in the provider's own desk, by its minted id there."""


class Remark(Struct, frozen=True, kw_only=True, gc=False):
    """What somebody wrote beside what they did. `provider`: about whom, where it is about one."""

    action: PlacementAction
    at: datetime
    by: str
    note: Evidence
    provider: str | None = None


class CallOff(Struct, frozen=True, kw_only=True, gc=False):
    """A confirmed first visit in a desk here that nobody wants any more, since `at`: the package was withdrawn, or
    taken back from the provider."""

    provider: str
    desk: str
    start: datetime
    end: datetime
    at: datetime
    again: int = 0
    """How often the package had been taken back from them before: it belongs to the visit's name there."""
    outcome: CallOffOutcome | None = None
    """None: it is not known yet."""
    settled_at: datetime | None = None
    missed_at: datetime | None = None
    """When the broker was told that it is not known."""


class Placement(Struct, frozen=True, kw_only=True, gc=False):
    """A package that is placed, or was. `policy`: the digest under which it was received and runs to its end."""

    ref: str
    package: PackageSaid
    received_at: datetime
    by: str
    policy: str
    text: Evidence | None = None
    marks: tuple[MarkKind, ...] = ()
    override: Evidence | None = None
    rounds: tuple[RoundRun, ...] = ()
    """Each run in its order; a ranked round that goes on with the rest of its line runs again."""
    passed_over: tuple[int, ...] = ()
    """Rounds of the policy that were not held, by index."""
    bids: tuple[Bid, ...] = ()
    """The last one in time of each provider, in the order in which they first came; an admitted late one takes its
    place."""
    late: tuple[Bid, ...] = ()
    """The last one of each provider after the close, kept beside those in time until a broker admits it."""
    declined: tuple[Declined, ...] = ()
    rows: tuple[Row, ...] = ()
    """The proposal."""
    proposed: str | None = None
    proposed_at: datetime | None = None
    award: Award | None = None
    taken_back: tuple[str, ...] = ()
    """Providers to whom it was awarded, and that have it no more."""
    first_visit: FirstVisit | None = None
    call_offs: tuple[CallOff, ...] = ()
    """First visits that nobody wants any more, each in its turn."""
    revoked: tuple[str, ...] = ()
    """Providers whose signed link opens nothing any more, until they are asked again and given a new one."""
    renewed: tuple[str, ...] = ()
    """Providers that were given a new link, once for each time."""
    dead_presses: tuple[str, ...] = ()
    """Providers on whose ended or revoked link somebody has pressed, once for each press on record."""
    messages: tuple[str, ...] = ()
    alert: str | None = None
    """The alert that summoned the broker."""
    unplaced_at: datetime | None = None
    ended_at: datetime | None = None
    ended: EndReason | None = None
    ended_by: str | None = None
    withdrawn: WithdrawReason | None = None
    remarks: tuple[Remark, ...] = ()
    """What was written beside each step, by brokers and by the winner, in their order."""

    @property
    def round(self) -> RoundRun | None:
        """The round that was opened last, whether it still runs or not."""
        return self.rounds[-1] if self.rounds else None

    @property
    def running(self) -> RoundRun | None:
        """The round whose window is open."""
        last = self.round
        return last if last is not None and last.runs else None

    @property
    def stage(self) -> PlacementStage:
        """Where it stands."""
        if self.ended is not None:
            return (
                "withdrawn"
                if self.ended == "withdrawn"
                else "started"
                if self.ended == "started"
                else "unplaced"
            )
        if self.award is not None:
            return "started" if self.first_visit is not None else "awarded"
        if self.running is not None:
            return "open"
        if self.unplaced_at is not None:
            return "unplaced"
        if not self.rounds:
            return "received"
        return "proposed" if self.proposed is not None else "waiting"

    @property
    def urgent(self) -> bool:
        """It comes before others: a hospital bed waits, or its visits are time-critical."""
        return self.package.kind == "discharge" or self.package.time_critical

    @property
    def times_had(self) -> int:
        """How often it was taken back from whoever has it now."""
        return self.taken_back.count(self.award.provider) if self.award is not None else 0

    def bid_of(self, provider: str) -> Bid | None:
        """The bid of the provider that is considered, or was: the last one in time, also when it is withdrawn."""
        return next((bid for bid in self.bids if bid.provider == provider), None)

    def link_serial(self, provider: str) -> int:
        """The number of the signed link that the provider was given last."""
        return self.renewed.count(provider)

    def link_opens(self, provider: str, serial: int) -> bool:
        """Whether the link of that number was not revoked."""
        return provider not in self.revoked and serial == self.link_serial(provider)

    def was_asked(self, provider: str) -> Asked | None:
        """When the provider was asked last; None: never."""
        found = [asked for run in self.rounds for asked in run.asked if asked.provider == provider]
        return found[-1] if found else None


class Share(Struct, frozen=True, kw_only=True, gc=False):
    """One line of the ledger: one package that one provider was offered, and what came of it. It outlives the package.

    `at`: when it was asked first. `minutes_week`, `kind`: of the package; `tier`: the provider's, when it was asked or
    won. Of `bid`, `declined`, `silent`, `withdrew` and `not_reached` at most one holds, what it said last; none: it is
    still asked, or the window closed before its time was over.
    """

    provider: str
    placement: str
    at: datetime
    minutes_week: int
    kind: PlacementKind
    tier: str = ""
    bid: bool = False
    declined: DeclineReason | None = None
    silent: bool = False
    withdrew: bool = False
    not_reached: bool = False
    """No invitation could reach it: it has not answered, and has not been silent."""
    late: bool = False
    """It said something after its window."""
    answered_s: int | None = None
    """Seconds from being asked to the first answer in time."""
    won: bool = False
    """It was awarded the package, and has it."""
    won_at: datetime | None = None
    until: datetime | None = None
    """Of a package with a longest time: when that is over; None: it has none."""
    ended_on: date | None = None
    """On which local day the care ends, as a broker says."""
    ended_at: datetime | None = None
    """The beginning of that day."""
    taken_back: bool = False
    """It was awarded the package and has it no more."""

    @property
    def key(self) -> str:
        """Under which the line stands."""
        return share_key(self.provider, self.placement)

    @property
    def held_until(self) -> datetime | None:
        """Its hours are held until then; None: no end is known."""
        return min((at for at in (self.until, self.ended_at) if at is not None), default=None)

    @property
    def refused(self) -> bool:
        """It counts as a decline (appendix A: "declines of packages, which includes non-responses")."""
        return self.declined is not None or self.silent or self.withdrew


def share_key(provider: str, placement: str) -> str:
    """The name of a line of the ledger."""
    return f"{provider}/{placement}"


Ledger = dict[str, Share]
"""The lines of the span by `share_key`, oldest first."""
