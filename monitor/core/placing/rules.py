"""What keeps a provider from a package, rule by rule, as it stands at the close (spec, appendix A).

Every result has a name out of the lists here, the numbers that were compared, and the day from which they are.
Pure leaves: `monitor.core.placing.evaluate` gathers what they look at.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from msgspec import Struct

from config.placing import PlacingPolicy, Round
from config.policy import Calendar
from monitor.core.placing.facts import Outcome, RuleResult
from monitor.core.placing.inputs import QUESTIONS, RATING_LEVELS, PackageSaid, RatingLevel
from monitor.core.placing.model import Bid, Provider

ASPECTS = ("overall", *QUESTIONS)
NOT_SAID = "not_said"
OUTCOMES: dict[RatingLevel | None, Outcome] = {
    "outstanding": "holds",
    "good": "holds",
    "requires_improvement": "fails",
    "inadequate": "fails",
    "not_rated": "unknown",
    None: "unknown",
}
"""Who is not yet rated is shown and not kept out (domain.md section 4)."""
WHYS: dict[str, tuple[str, ...]] = {
    "cqc": (
        "not_required",
        *(f"{aspect}_{level}" for aspect in ASPECTS for level in (*RATING_LEVELS, NOT_SAID)),
        f"questions_{NOT_SAID}",
    ),
    "hours_limit": ("no_limit", "under", "over", "over_with_this", "over_since", "not_declared"),
    "start": ("any_start", "in_time", "too_late", "told_after_cutoff"),
    "specialisms": ("none_needed", "covered", "missing"),
    "area": ("own", "round_asks_others", "not_theirs"),
    "active": ("active", "inactive"),
}
"""By rule: every `why` there is."""


class Case(Struct, frozen=True, kw_only=True):
    """All that the rules look at. `added`: minutes a week that came to the provider since it declared its hours, won
    or proposed, without this package. `asked_at`: when it was told of the package."""

    provider: Provider
    bid: Bid
    package: PackageSaid
    held: Round
    policy: PlacingPolicy
    calendar: Calendar
    asked_at: datetime | None = None
    added: int = 0


def judge(case: Case) -> tuple[RuleResult, ...]:
    """Every rule's results, in the order of the rules; of the CQC rating and of the start there may be several."""
    return (*cqc(case), hours_limit(case), *start(case), specialisms(case), area(case), active(case))


def fails(results: tuple[RuleResult, ...]) -> bool:
    """Whether one of the rules keeps the provider from the package."""
    return any(result.outcome == "fails" for result in results)


def cqc(case: Case) -> tuple[RuleResult, ...]:
    """The overall rating, and each of the five questions in which it is not *Good* or better."""
    rating = case.provider.said.rating
    at = rated_at(case.provider)
    if not case.policy.needs_good:
        return (RuleResult(rule="cqc", outcome="holds", why="not_required", at=at),)
    found = [_rated("overall", rating.overall, at)]
    if all(getattr(rating, question) is None for question in QUESTIONS):
        return (*found, RuleResult(rule="cqc", outcome="unknown", why=f"questions_{NOT_SAID}", at=at))
    asked = (_rated(question, getattr(rating, question), at) for question in QUESTIONS)
    return (*found, *(result for result in asked if result.outcome != "holds"))


def _rated(aspect: str, level: RatingLevel | None, at: datetime) -> RuleResult:
    return RuleResult(rule="cqc", outcome=OUTCOMES[level], why=f"{aspect}_{level or NOT_SAID}", at=at)


def rated_at(provider: Provider) -> datetime:
    """The day on which the rating was published, else since when the council knows of it."""
    published = provider.said.rating.published
    return noon(published) if published is not None else provider.rated_since or provider.since


def hours_limit(case: Case) -> RuleResult:
    """Private and allocated hours together, as declared, with this package: one that would take the provider over the
    limit is not given to it (ours; appendix A: "have not exceed").

    What came since the declaration may have ended, and perhaps nobody has told us: where it would make the difference,
    that is shown, and keeps nobody out."""
    limit, (hours, at) = case.policy.hours_limit, declared(case)
    if limit is None:
        return RuleResult(rule="hours_limit", outcome="holds", why="no_limit", value=hours, at=at)
    added = case.added + case.package.minutes_week
    if hours is None:
        return RuleResult(rule="hours_limit", outcome="unknown", why="not_declared", limit=limit, added=added)
    outcome, why = _against(60 * limit, 60 * hours, case.package.minutes_week, added)
    return RuleResult(
        rule="hours_limit", outcome=outcome, why=why, value=hours, limit=limit, added=added, at=at
    )


def _against(limit: int, declared: int, package: int, added: int) -> tuple[Outcome, str]:
    if declared > limit:
        return "fails", "over"
    if declared + package > limit:
        return "fails", "over_with_this"
    return ("unknown", "over_since") if declared + added > limit else ("holds", "under")


def declared(case: Case) -> tuple[int | None, datetime | None]:
    """Hours a week as the provider declared them last, and when: with the bid, else as the council was told."""
    said = case.provider.said
    if case.bid.hours_declared is not None:
        return case.bid.hours_declared, case.bid.at
    if said.hours_declared is None or said.declared_on is None:
        return said.hours_declared, case.provider.since if said.hours_declared is not None else None
    return said.hours_declared, noon(said.declared_on)


def counts_from(provider: Provider, bid: Bid) -> datetime:
    """From when on packages come on top of the hours as declared."""
    return bid.at if bid.hours_declared is not None else told_from(provider)


def told_from(provider: Provider) -> datetime:
    """As `counts_from`, without a bid: what was won on the day of the declaration stands in the hours (ours)."""
    day = provider.said.declared_on
    return noon(day) + timedelta(hours=12) if day is not None else provider.since


def noon(day: date) -> datetime:
    """The day as an instant that is shown as this day wherever the desk is."""
    return datetime.combine(day, time(12), UTC)


def wanted(package: PackageSaid) -> datetime | None:
    """When the care is to begin; of a discharge without a start of its own, when the person comes home."""
    return package.start or package.discharge_at


def start(case: Case) -> tuple[RuleResult, ...]:
    """The bid begins when it is wanted, or before; and whether the council told the provider in time for that."""
    want, begins = wanted(case.package), case.bid.start
    if want is None:
        return (RuleResult(rule="start", outcome="holds", why="any_start", at=begins),)
    # people name minutes: what is seconds later in the same minute is not late
    late = max(_minute(begins) - _minute(latest(case.package, want, case.calendar)), timedelta())
    minutes = late // timedelta(minutes=1)
    outcome: Outcome = "fails" if late else "holds"
    why = "too_late" if late else "in_time"
    found = RuleResult(rule="start", outcome=outcome, why=why, value=minutes, at=begins)
    ends = cut_off(case, want)
    if ends is None or case.asked_at is None or case.asked_at <= ends:
        return (found,)
    return (found, RuleResult(rule="start", outcome="unknown", why="told_after_cutoff", at=ends))


def latest(package: PackageSaid, want: datetime, calendar: Calendar) -> datetime:
    """The last minute that is in time: a start that is wanted at local midnight means that day (ours), because that is
    all that providers are told of it (BD-1); of a discharge the moment itself."""
    local = calendar.local(want)
    if package.start is None or local.time() != time(0):
        return want
    return calendar.at_local(local.date() + timedelta(days=1), time(0)) - timedelta(minutes=1)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def cut_off(case: Case, want: datetime) -> datetime | None:
    """Until when the provider had to be told of a package that begins the same day, or the next morning (appendix M:
    15:00 and 17:00, at weekends 13:00); None: it begins later, or the policy has no such hour."""
    limits, asked_at = case.policy.cutoff, case.asked_at
    if limits is None or asked_at is None:
        return None
    day, begins = case.calendar.day(asked_at), case.calendar.local(want)
    weekend = day.weekday() >= 5
    if begins.date() == day:
        return case.calendar.at_local(day, limits.weekend_same_day if weekend else limits.same_day)
    if begins.date() == day + timedelta(days=1) and begins.hour < 12:
        return case.calendar.at_local(day, limits.weekend_next_morning if weekend else limits.next_morning)
    return None


def specialisms(case: Case) -> RuleResult:
    """Everything that the package needs is among what the provider can do."""
    needed = set(case.package.specialisms)
    if not needed:
        return RuleResult(rule="specialisms", outcome="holds", why="none_needed")
    missing = tuple(sorted(needed - set(case.provider.said.specialisms)))
    return RuleResult(
        rule="specialisms",
        outcome="fails" if missing else "holds",
        why="missing" if missing else "covered",
        value=len(needed) - len(missing),
        limit=len(needed),
        names=missing,
    )


def area(case: Case) -> RuleResult:
    """The package lies in an area of the provider's, unless the round asks those of others, or may be passed on:
    partners work across areas."""
    if case.package.area in case.provider.said.areas:
        return RuleResult(rule="area", outcome="holds", why="own")
    if case.held.area != "own" or case.held.passes_on:
        return RuleResult(rule="area", outcome="holds", why="round_asks_others")
    return RuleResult(rule="area", outcome="fails", why="not_theirs")


def active(case: Case) -> RuleResult:
    """The council places packages with the provider, still at the close (ours)."""
    here = case.provider.said.active
    outcome: Outcome = "holds" if here else "fails"
    return RuleResult(rule="active", outcome=outcome, why="active" if here else "inactive")
