"""What the pages of a council's desk, and a provider's bid page, say: closed lists in plain English, hours, orders.

Pure. A page of a provider uses only what its own view holds: nothing here counts or compares bids for it.
"""

from __future__ import annotations

import datetime as dates
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.board.words import clock, local, span
from connectors.ports import ApiProblem
from monitor.core.placing.views import (
    AskedView,
    CutoffView,
    HeldView,
    PackageView,
    PlacementView,
    RegisterRow,
    RemarkView,
    RoundView,
    RowView,
    RuleView,
)

KINDS = {
    "standard": "Standard",
    "discharge": "Hospital discharge",
    "palliative": "Palliative",
    "children": "Children",
}
STAGES = {
    "received": "not sent out yet",
    "open": "window open",
    "proposed": "award proposed",
    "waiting": "nobody yet: the next round waits for you",
    "awarded": "awarded, first visit not confirmed",
    "started": "first visit confirmed",
    "unplaced": "unplaced",
    "withdrawn": "withdrawn",
}
CARE_WORKERS = {1: "one care worker", 2: "two care workers together"}
SOURCES = {"link": "by their link", "api": "by their own system", "broker": "by telephone"}
CALLED_OFF = {
    "called_off": "called off there, and their office knows",
    "kept": "their office had made the visit its own. It stays there until they call it off, and they know",
    "not_there": "it did not stand there",
}
"""What became of a first visit that nobody wants any more."""
OWN_SOURCES = {"link": "by your link", "api": "by your own system", "broker": "by telephone"}
DECLINED = {
    "no_capacity": "No capacity",
    "no_skills": "Not the skills that are needed",
    "area": "Too far away",
    "hours": "The times of the visits",
    "start": "The day it is to start",
    "rate": "The rate",
    "other": "Something else",
}
OVERRIDES = {
    "specialist_need": "Specialist needs or skills",
    "geography": "Where the person lives",
    "emergency": "An emergency",
    "continuity": "They know the person already",
    "choice": "The person's own choice",
    "other": "Something else, told in the note",
}
WITHDRAWN = {
    "not_needed": "The care is not needed any more",
    "placed_elsewhere": "It was placed in another way",
    "died": "The person has died",
    "mistake": "It was sent out by mistake",
    "other": "Something else",
}
MARKS = {
    "name": "a name",
    "postcode": "a full postcode",
    "birth_date": "a date of birth",
    "nhs_number": "an NHS number",
    "telephone": "a telephone number",
    "email": "an e-mail address",
    "address": "a house and street",
}
CLOSED = {
    "time": "its time was over",
    "all_answered": "everybody had answered",
    "first_bid": "the first bid had come",
    "awarded": "the package was awarded before the end",
    "withdrawn": "the package was withdrawn",
    "nobody_asked": "there was nobody to ask",
}
CROSSES = {
    "runs_on": "The window runs on while the brokerage is closed.",
    "paused": "The window crosses the brokerage's closing time: only the brokerage's hours count.",
}
RULES = {
    "cqc": "CQC rating",
    "hours_limit": "Hours of care a week",
    "start": "Can start in time",
    "specialisms": "Specialisms",
    "area": "Area",
    "active": "Packages are placed with them",
}
OUTCOMES = {"holds": "holds", "fails": "fails", "unknown": "not known"}
ASPECTS = {
    "overall": "overall",
    "safe": "safe",
    "effective": "effective",
    "caring": "caring",
    "responsive": "responsive",
    "well_led": "well led",
    "questions": "the five questions",
}
LEVELS = {
    "outstanding": "Outstanding",
    "good": "Good",
    "requires_improvement": "Requires Improvement",
    "inadequate": "Inadequate",
    "not_rated": "not yet rated",
    "not_said": "not told to us",
}
WHY = {
    "own": "Works in the area",
    "round_asks_others": "Works elsewhere, and this round asks such providers",
    "not_theirs": "Does not work in the area",
    "active": "The council places packages with them",
    "inactive": "The council places no packages with them now",
}
"""Of the rules that compare nothing, by the names of `monitor.core.placing.rules`."""
TARGETS = {
    "below": "below the target",
    "within": "within the target",
    "above": "above the target",
    "none_placed": "nothing placed yet",
}
ANSWERS = {
    "bid": "bid",
    "declined": "declined",
    "withdrawn": "took the bid back",
    "silent": "no answer",
    "not_reached": "not reached by us",
}
TIES = {
    "hours_held": "holds more hours of packages",
    "packages_won": "has won more packages",
    "earliest_start": "starts later",
    "rate": "has the higher rate",
    "score": "has the lower score in this area",
    "drawn": "the lot",
    "line": "was asked later",
}
"""Why a provider stands behind the one before it."""
TIERS = {
    "patch": "patch provider",
    "framework": "framework provider",
    "lead": "lead of the area",
    "partner": "partner",
}
ROUNDS = {
    "patch": "Patch providers of the area",
    "other_patches": "Patch providers of other areas",
    "framework": "Framework providers",
    "locality": "Providers of the locality, one after another",
    "borough": "Providers of other localities",
    "lead": "The lead of the neighbourhood",
    "other_leads": "Leads of other neighbourhoods",
    "locality_partner": "The partner of the locality",
    "provider_partners": "Provider partners",
}
"""By the names of the rounds in the shipped policies; a council's own are shown as they are called."""
TRIED = {
    "award": "award it",
    "open_next": "open the next round",
    "admit_late": "have a late bid considered",
    "spoke_provider": "record that you have spoken to a provider",
    "papers_sent": "record that the papers are sent",
    "confirm_first_visit": "confirm the first visit",
    "extend": "give them longer to confirm",
    "send_back": "take the award back",
    "revoke_link": "revoke a link",
    "withdraw": "withdraw the package",
    "bid": "enter a bid",
    "decline": "enter a decline",
    "take_back": "take a bid back",
}
REMARKED = {
    "award": "awarded it",
    "open_next": "opened the next round",
    "admit_late": "had a late bid considered",
    "spoke_provider": "told a provider by telephone",
    "papers_sent": "recorded that the papers are sent",
    "confirm_first_visit": "confirmed the first visit",
    "extend": "gave longer to confirm",
    "send_back": "took the award back",
    "revoke_link": "revoked a link",
    "withdraw": "withdrew the package",
}
"""What was done, beside which somebody wrote a word."""
REFUSED = {
    "not_anonymous": "this may name somebody",
    "already_awarded": "it is awarded already",
    "awarded": "it is awarded already",
    "not_awarded": "it is not awarded",
    "already_ended": "it is over already",
    "already_over": "a package of this reference is over already",
    "id_taken": "another package was sent out under this reference",
    "ended": "it is over already",
    "withdrawn": "the package is withdrawn",
    "already_done": "that is done already",
    "late_bid": "their bid came after the close: have it considered first, with the reason why",
    "bid_withdrawn": "they have taken their bid back",
    "never_bid": "they have not bid for it",
    "no_bid": "there is no bid of theirs to take back",
    "no_late_bid": "there is no late bid of theirs",
    "not_asked": "they were not asked to bid for it",
    "reached": "a text or an e-mail had come to them, or they have answered",
    "window_over": "their time to answer is over",
    "not_broker": "only a broker of this desk may do that",
    "not_winner": "the package is not with that provider",
    "no_more_rounds": "there is no further round",
    "round_open": "a round is open already",
    "no_note": "write why, in words",
    "start_past": "the start lies in the past",
    "discharge_past": "the discharge from hospital lies in the past: give the time at which they come home",
    "bad_body": "what was sent is no form that can be read",
    "bad_time": "a day and a time cannot be read",
    "off_step": "hours and visits go in steps of a quarter of an hour",
    "not_held": "nobody has this package",
    "pass_to": "it cannot be passed on to them",
    "link_revoked": "the brokerage has taken this link back",
}
"""Why nothing was changed, where the contract's own words speak to a program."""
MISSING = {
    "reason": "choose why",
    "note": "write why, in words",
    "start": "the first visit must start at a time to come",
    "on": "the day must not lie before the award, nor more than a year ahead",
    "end": "the first visit must end after it starts",
    "until": "give a time to come, later than the present deadline",
}
"""What an action wanted and did not get, by its field."""
VISIT_MINUTES = (15, 30, 45, 60, 75, 90, 105, 120, 180, 240)
VISITS_A_DAY = 6
ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth")

_NEEDS_A_PERSON = ("unplaced", "waiting", "proposed", "received")


def named(words: Mapping[str, str], value: str | None) -> str:
    """The words for a value of an open list (a tier, a round, a reason of a rule): its own, else the id as words."""
    return words.get(value or "", (value or "").replace("_", " "))


def refused(problem: ApiProblem) -> str:
    """Why nothing was changed, as a sentence without its stop."""
    wanted = MISSING.get(problem.path or "") if problem.code == "missing" else None
    text = wanted or REFUSED.get(problem.code, str(problem))
    return text[:1].upper() + text[1:]


def hours(minutes: int) -> str:
    """Minutes as hours in quarter steps: `7 h`, `10.5 h`, `0.25 h`."""
    return f"{minutes / 60:.2f}".rstrip("0").rstrip(".") + " h"


def visits(lengths: Sequence[int]) -> str:
    """`3 visits a day: 30, 45 and 30 minutes`."""
    if not lengths:
        return "visits as agreed"
    said = [str(one) for one in lengths]
    if len(said) == 1:
        return f"1 visit a day of {said[0]} minutes"
    if len(set(said)) == 1:
        return f"{len(said)} visits a day of {said[0]} minutes each"
    return f"{len(said)} visits a day: {', '.join(said[:-1])} and {said[-1]} minutes"


def second(at: datetime, zone: str, now: datetime | None = None) -> str:
    """A local time to its second, `11:59:59`: cut off, never rounded up, so that it never says a bid was late."""
    there = clock(at, zone, now)
    seconds = f":{local(at, zone).second:02d}"
    head, _, tail = there.rpartition(" ")
    if tail.isalpha():
        return f"{head}{seconds} {tail}"
    return there + seconds


def percent(share: float | None) -> str:
    """`64%`, or a dash for what nothing is known of."""
    return "–" if share is None else f"{round(100 * share)}%"


def persistent(row: RegisterRow) -> str:
    """Why a provider is spoken of in the contract meeting."""
    why = []
    if "in_a_row" in row.persistent:
        why.append(f"the last {row.in_a_row} packages declined, given back or not answered")
    if "share" in row.persistent:
        why.append(f"{percent(row.refused_share)} of the packages declined, given back or not answered")
    return "; ".join(why)


def within(row: RegisterRow) -> list[str]:
    """`discharge: 4 of 5 within 30 min`, of those of which anything is known."""
    return [
        f"{KINDS[one.kind].lower()}: {one.answered} of {one.of} within {span(one.limit_s)}"
        for one in row.within
        if one.of
    ]


def after_close(at: datetime, closes_at: datetime, zone: str, now: datetime) -> str:
    """Of something late. A window that was closed before its time names no moment: it would tell of somebody else."""
    if at < closes_at:
        return "after the window had been closed"
    return f"after the close at {second(closes_at, zone, now)}"


def field_value(at: datetime | None, zone: str) -> str:
    """A moment as a browser's field for day and time wants it."""
    return "" if at is None else local(at, zone).strftime("%Y-%m-%dT%H:%M")


def place(area: str, ward: str | None = None, name: str = "", ward_name: str = "") -> str:
    """Area and ward as people write them: `Petts Wood, East`. `name`, `ward_name`: what the council calls them."""
    area = name or _title(area)
    return f"{ward_name or _title(ward)}, {area}" if ward else area


def lasts(seconds: int) -> str:
    """The longest that a package lasts: `6 weeks`, `10 days`, or as any span."""
    for unit, name in ((7 * 86400, "week"), (86400, "day")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit} {name}{'' if seconds == unit else 's'}"
    return span(seconds)


def told_by(cutoff: CutoffView) -> str:
    """`For a start the same day you are told by 15:00, the next morning by 17:00; at weekends by 13:00`."""
    weekend = cutoff.weekend_same_day
    if cutoff.weekend_next_morning != weekend:
        weekend = f"{weekend} and {cutoff.weekend_next_morning}"
    week = f"the same day by {cutoff.same_day}, for one the next morning by {cutoff.next_morning}"
    return f"for a start {week}; at weekends by {weekend}"


def _title(key: str) -> str:
    return key.replace("-", " ").replace("_", " ").title()


def package(one: PackageView) -> str:
    """`Petts Wood, East · 10.5 h a week · 3 visits a day of 30 minutes each · two care workers together`."""
    return " · ".join(
        (
            place(one.area, one.ward, one.area_name, one.ward_name),
            f"{hours(one.minutes_week)} a week",
            visits(one.visits),
            CARE_WORKERS[one.care_workers],
        )
    )


def flags(one: PackageView) -> list[str]:
    """What must not be overlooked in a package."""
    kind = [] if one.kind == "standard" else [KINDS[one.kind].lower()]
    return kind + (["time critical"] if one.time_critical else [])


def needs_a_person(placements: Iterable[PlacementView]) -> list[PlacementView]:
    """Packages that wait for a broker: hospital discharge first, then unplaced ones, then whoever waits longest."""
    return sorted((one for one in placements if one.stage in _NEEDS_A_PERSON), key=_pressing)


def _pressing(one: PlacementView) -> tuple[bool, int, datetime, str]:
    return one.package.kind != "discharge", _NEEDS_A_PERSON.index(one.stage), one.received_at, one.id


def windows(placements: Iterable[PlacementView]) -> list[PlacementView]:
    """Packages whose window is open: what closes next first."""
    found = [(one.closes_at, one.id, one) for one in placements if one.closes_at and one.stage == "open"]
    return [one for _, _, one in sorted(found, key=lambda found: found[:2])]


def unconfirmed(placements: Iterable[PlacementView]) -> list[PlacementView]:
    """Awarded packages whose first visit nobody has confirmed: what must be confirmed next first."""
    found = [
        (one.award.confirm_by, one.id, one) for one in placements if one.award and one.stage == "awarded"
    ]
    return [one for _, _, one in sorted(found, key=lambda found: found[:2])]


def over(placements: Iterable[PlacementView]) -> list[PlacementView]:
    """What is over, the newest first."""
    found = [one for one in placements if one.stage in ("started", "withdrawn")]
    return sorted(found, key=lambda one: (one.received_at, one.id), reverse=True)


def remarks(of: PlacementView) -> list[RemarkView]:
    """What was written beside the steps; without what stands with the award already."""
    there = of.award.at if of.award is not None else None
    return [one for one in of.remarks if one.note and (one.action, one.at) != ("award", there)]


def answers(run: RoundView, of: PlacementView) -> list[tuple[AskedView, str]]:
    """Whoever was asked in the round, each with what came of it: `bid`, `declined`, `silent`, `not_reached` or nothing.
    Whom no text and no mail could reach is not reached while the window is open, too: somebody rings them."""
    declined = {one.provider for one in of.declined if one.round == run.index}
    bid = {one.provider for one in (*of.bids, *of.late_bids) if one.round == run.index}

    def said(one: AskedView) -> str:
        if one.provider in declined:
            return "declined"
        if one.provider in bid:
            return "bid"
        if one.provider in run.silent:
            return "silent"
        missed = one.not_reached_at is not None and one.answered_at is None and one.spoken_at is None
        return "not_reached" if missed or one.provider in run.not_reached else ""

    return [(one, said(one)) for one in run.asked]


def holders(held: Iterable[HeldView]) -> list[tuple[str, list[HeldView], int]]:
    """Whoever holds packages, by name: what they hold now, the oldest first, and how many minutes a week together."""
    found: dict[tuple[str, str], list[HeldView]] = {}
    for one in held:
        if one.held:
            found.setdefault((one.name or one.provider, one.provider), []).append(one)
    return [(name, mine, sum(one.minutes_week for one in mine)) for (name, _), mine in sorted(found.items())]


def not_reached(run: RoundView) -> list[str]:
    """Whoever is asked in the window that is open and could be told by no text and no mail: a person rings them."""
    found = [one for one in run.asked if one.not_reached_at is not None]
    found = [one for one in found if one.answered_at is None and one.spoken_at is None]
    return [one.provider for one in found] if run.closed_at is None else []


def result(one: RuleView, zone: str, now: datetime) -> str:
    """What one rule says of one provider, in plain words; its outcome is said where it is no good news."""
    said = _OF_RULE.get(one.rule, _of_other)(one, zone, now)
    return said if one.outcome == "holds" else f"{said} ({OUTCOMES[one.outcome]})"


def day(at: datetime, zone: str) -> str:
    """`23 Nov 2026`, on the council's own calendar."""
    return local(at, zone).strftime("%-d %b %Y")


def whole_day(start: datetime, zone: str) -> str:
    """`Thu 26 Nov, at any hour`: a start that is wanted at local midnight means the day. Of any other start nothing."""
    there = local(start, zone)
    return "" if there.hour or there.minute else there.strftime("%a %-d %b, at any hour")


def date(day: dates.date) -> str:
    """`23 Nov 2026`: a day that somebody named."""
    return day.strftime("%-d %b %Y")


def newly_rated(row: RowView, run: RoundView) -> bool:
    """Whether the rating changed while the window was open: it counts as it was at the close."""
    return bool(row.results) and row.rated_at is not None and row.rated_at > run.opened_at


def judged(run: RoundView, of: PlacementView) -> tuple[RowView, ...]:
    """What the rules said at the close of the round; nothing where the page says it above, as the proposal."""
    return () if of.proposal and run is of.rounds[-1] else run.evaluation


def nobody(rows: Iterable[RowView]) -> bool:
    """Whether the round placed nothing by the rules."""
    return all(row.place is None for row in rows)


def _day(at: datetime | None, zone: str) -> str:
    return f", {day(at, zone)}" if at is not None else ""


def _of_cqc(one: RuleView, zone: str, now: datetime) -> str:
    """`safe_requires_improvement`: which of the ratings, and the rating."""
    if one.why == "not_required":
        return "CQC: no rating is needed for such packages"
    aspect = next((name for name in ASPECTS if one.why.startswith(f"{name}_")), "")
    level = one.why.removeprefix(f"{aspect}_")
    return f"CQC, {ASPECTS.get(aspect, aspect)}: {named(LEVELS, level)}{_day(one.at, zone)}"


def _of_hours(one: RuleView, zone: str, now: datetime) -> str:
    if one.value is None:
        return f"{RULES['hours_limit']}: not declared"
    most = f" of at most {one.limit:,}" if one.limit is not None else ""
    more = f", and {hours(one.added)} since then and with this package" if one.added else ""
    more = f"{more}: may be over the limit by now" if one.why == "over_since" else more
    return f"{RULES['hours_limit']}: {one.value:,}{most} declared{_day(one.at, zone)}{more}"


def _of_start(one: RuleView, zone: str, now: datetime) -> str:
    at = clock(one.at, zone, now)
    if one.why == "told_after_cutoff":
        return f"Was asked after {at}, the hour until which so early a start is told"
    if one.why == "too_late":
        return f"Can start {at}, {span(60 * (one.value or 0))} later than wanted"
    return f"Can start {at}, in time"


def _of_specialisms(one: RuleView, zone: str, now: datetime) -> str:
    if one.why == "missing":
        return f"Does not have: {', '.join(named({}, name) for name in one.names)}"
    return "Has the specialisms that are needed" if one.why == "covered" else "No specialism is needed"


def _of_other(one: RuleView, zone: str, now: datetime) -> str:
    return WHY.get(one.why) or named(RULES, one.rule)


_OF_RULE: dict[str, Callable[[RuleView, str, datetime], str]] = {
    "cqc": _of_cqc,
    "hours_limit": _of_hours,
    "start": _of_start,
    "specialisms": _of_specialisms,
}


def marked(text: str, marks: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The text in pieces, each with what it looks like, or nothing: so that a page can show the places. Marks of other
    fields are left out."""
    pieces: list[tuple[str, str]] = []
    at = 0
    of_text = [one for one in marks if one["path"] == "text"]
    for mark in sorted(of_text, key=lambda one: (one["from"], one["to"])):
        start, end = max(at, mark["from"]), min(len(text), mark["to"])
        if start >= end:
            continue
        pieces += [(text[at:start], ""), (text[start:end], named(MARKS, mark["kind"]))]
        at = end
    return [(piece, what) for piece, what in (*pieces, (text[at:], "")) if piece]
