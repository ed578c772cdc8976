"""What the facts of declared bad weather make of it. Folds only: replaying them years later gives the same."""

from __future__ import annotations

from msgspec import structs

from monitor.core import facts as f
from monitor.core.facts import Draft
from monitor.core.state import FamilyCover, Rung, SituationSent, Weather

REPORTS_KEPT = 100
"""So many of the hourly reports are remembered beside the journal."""


def evolve_weather(known: Weather | None, fact: Draft) -> Weather | None:
    """The weather after this fact."""
    body = fact.body
    if isinstance(body, f.WeatherDeclared):
        return Weather(
            ref=fact.subject,
            by=body.by,
            declared_at=fact.at,
            until=body.until,
            report_by=body.report_by,
            tell_at=fact.at,
            situation_at=fact.at,
            remind_at=body.remind_at,
            report_remind_at=body.report_remind_at,
        )
    if known is None:
        return None
    match body:
        case f.WeatherChanged():
            return structs.replace(
                known, until=body.until, remind_at=body.remind_at, changed_by=body.by, tell_at=fact.at
            )
        case f.WeatherEnded():
            return structs.replace(known, ended_at=fact.at, ended_by=body.by)
        case f.WeatherReported():
            return structs.replace(known, reported_by=body.by, reported_at=body.done_at)
        case f.WeatherReminded():
            return _reminded(known, body)
        case _:
            return _within(known, fact)


def _reminded(known: Weather, body: f.WeatherReminded) -> Weather:
    if body.what == "end":
        return structs.replace(known, remind_at=None)
    if body.what == "report":
        return structs.replace(known, report_remind_at=None)
    return structs.replace(known, report_remind_at=None, overdue_told=True)


def _within(known: Weather, fact: Draft) -> Weather:
    match fact.body:
        case f.WeatherTold() as body:
            newly = {(one.person, one.day) for one in body.told}
            kept = tuple(one for one in known.told if (one.person, one.day) not in newly)
            # whoever comes onto the list again is to be rung again
            rung = tuple(one for one in known.rung if (one.person, one.day) not in newly)
            told = (*kept, *body.told)
            return structs.replace(known, told=told, rung=rung, tell_at=body.next_at or known.tell_at)
        case f.RingDone() | f.RingUndone() as body:
            return structs.replace(known, rung=_rung(known, body))
        case f.SituationReported() as body:
            sent = SituationSent(
                at=fact.at,
                desk=body.desk,
                message=body.message,
                late=body.late,
                covered=body.covered,
                red=body.red,
                hour_passed=body.hour_passed,
            )
            return structs.replace(known, reports=(*known.reports, sent)[-REPORTS_KEPT:])
        case f.SituationDue() as body:
            return structs.replace(known, situation_at=body.next_at)
        case f.FamilyCoverConfirmed() as body:
            cover = FamilyCover(
                person=body.person,
                next_of_kin=body.next_of_kin,
                by=body.by,
                confirmed_at=body.confirmed_at,
            )
            return structs.replace(known, covers=(*_without(known, body.person), cover))
        case f.FamilyCoverWithdrawn() as body:
            return structs.replace(known, covers=_without(known, body.person))
        case f.StepLeftOut() as body:
            counts = dict(known.left_out)
            counts[body.step] = counts.get(body.step, 0) + 1
            return structs.replace(known, left_out=tuple(sorted(counts.items())))
        case _:
            return known


def _rung(known: Weather, body: f.RingDone | f.RingUndone) -> tuple[Rung, ...]:
    """Of the newest day on which they are on the list: the zone is not the fold's to know."""
    day = max((one.day for one in known.told if one.person == body.person), default=None)
    others = tuple(one for one in known.rung if (one.person, one.day) != (body.person, day))
    if isinstance(body, f.RingUndone) or day is None:
        return others
    return (*others, Rung(person=body.person, day=day, how=body.how, at=body.said_at, by=body.by))


def _without(known: Weather, person: str) -> tuple[FamilyCover, ...]:
    return tuple(cover for cover in known.covers if cover.person != person)


def weather_ref(fact: Draft) -> str:
    """Which weather the fact is about: its subject, or what the alert's own fact names."""
    return fact.body.weather if isinstance(fact.body, f.StepLeftOut) else fact.subject


WEATHER_FACTS: frozenset[type] = frozenset(
    (
        f.WeatherDeclared,
        f.WeatherChanged,
        f.WeatherReminded,
        f.WeatherEnded,
        f.WeatherReported,
        f.WeatherTold,
        f.RingDone,
        f.RingUndone,
        f.SituationReported,
        f.SituationDue,
        f.FamilyCoverConfirmed,
        f.FamilyCoverWithdrawn,
        f.StepLeftOut,
    )
)
