"""The bodies in which a council's desk is told of its providers, its packages, bids, and what its brokers do.

Times come as text: RFC 3339, or local without an offset, which the desk's calendar reads. Values of closed lists come
as text too: the shell's answer names what was expected.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import Struct

from monitor.core.placing.inputs import BidSource


class Speaker(Struct, frozen=True, kw_only=True):
    """Who bids or acts, as the edge has found out: never what a body claims.

    `provider`: the one organisation for which the credential or the signed link speaks; None: one of the council's own
    people, whom `by` names. Each by the caller's id or the minted one.
    """

    source: BidSource
    provider: str | None = None
    by: str | None = None
    link: int = 0
    """The number of the signed link by which they came."""


class ProviderPhoneIn(Struct, frozen=True, kw_only=True):
    """One of a provider's telephones."""

    number: str
    kind: Literal["mobile", "landline"] = "mobile"


class RatingIn(Struct, frozen=True, kw_only=True):
    """The CQC rating: overall, the five questions, the day on which it was published."""

    overall: str | None = None
    safe: str | None = None
    effective: str | None = None
    caring: str | None = None
    responsive: str | None = None
    well_led: str | None = None
    published: date | None = None


class ProviderIn(Struct, frozen=True, kw_only=True):
    """One item of `PUT …/providers`, whole: what it leaves out is not known."""

    id: str
    tier: str
    name: str = ""
    email: str | None = None
    phones: tuple[ProviderPhoneIn, ...] = ()
    areas: tuple[str, ...] = ()
    specialisms: tuple[str, ...] = ()
    rating: RatingIn = RatingIn()
    rate: float | None = None
    """Blended rate, pounds an hour."""
    hours_declared: int | None = None
    """Private and allocated hours a week together, as the provider declared them on `declared_on`."""
    declared_on: date | None = None
    scores: dict[str, int] = {}
    """By area, 0 to 100."""
    partners: tuple[str, ...] = ()
    active: bool = True
    desk: str | None = None


class PlacementIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/placements`. Either `hours_week` (a number of quarter hours) or `minutes_week`."""

    kind: str
    area: str
    visits: tuple[int, ...]
    """The length of each visit of a day, minutes."""
    id: str | None = None
    by: str | None = None
    ward: str | None = None
    hours_week: float | None = None
    minutes_week: int | None = None
    care_workers: int = 1
    time_critical: bool = False
    specialisms: tuple[str, ...] = ()
    start: str | None = None
    discharge_at: str | None = None
    text: str = ""
    override: str | None = None
    """Why the text is anonymous although it looks otherwise: a broker's words."""


class BidIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/placements/{id}/bids`. `provider` and `by` are for a broker who enters a bid by telephone."""

    start: str
    how: str = ""
    hours_free: int | None = None
    hours_declared: int | None = None
    provider: str | None = None
    by: str | None = None


class DeclineIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/placements/{id}/decline`."""

    reason: str
    note: str = ""
    pass_to: str | None = None
    provider: str | None = None
    by: str | None = None


class TakeBackIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/placements/{id}/withdraw`: the bid is taken back."""

    provider: str | None = None
    by: str | None = None


class CareEndedIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/placements/{id}/care-ended`. `on`: a local day; null: the care goes on after all."""

    on: date | None
    by: str | None = None


class PlacementActionIn(Struct, frozen=True, kw_only=True):
    """The body of `POST …/placements/{id}/actions`; of `…/award` without `action`."""

    action: str = "award"
    by: str | None = None
    provider: str | None = None
    reason: str | None = None
    """Of `award`: why otherwise than proposed, or before the close; of `withdraw`: why nobody is looked for."""
    note: str = ""
    start: str | None = None
    end: str | None = None
    supervisor: bool = False
    until: str | None = None
    """Of `extend`: until when the winner confirms its first visit."""
    was: str | None = None
    """Of `extend`: the deadline that it takes the place of; left out: that of the award itself."""
