"""The list of whom a person is to ring in declared bad weather, and how it is ticked off (domain.md section 2).

Somebody on it need not be rung any more once a member of staff says that they have spoken to them, once they have
answered us themselves, or once somebody of ours has arrived at their home. What is left can be counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from msgspec import structs

from monitor.core import facts as f
from monitor.core.inputs import WeatherSaid
from monitor.core.state import Weather
from monitor.core.work import Decision, Refusal, Work


def left(weather: Weather, day: date) -> list[f.Newly]:
    """Who is still to be rung on that local day."""
    return [
        one
        for one in weather.told
        if (one.day, one.how) == (day, "by_person") and weather.rung_of(one.person, one.day) is None
    ]


# --- a person says so ---


def rung(work: Work, seen: WeatherSaid) -> Refusal | None:
    """A member of staff has spoken to them. Refused: `no_weather`, `not_listed`, `already_rung`, `never_told`."""
    weather, day = work.weather(), work.state.calendar.day(work.now)
    if weather is None:
        return Refusal(code="no_weather")
    person = work.ctx.people.person(seen.service_user or "")
    if person is None or not _listed(weather, person.ref, day):
        return Refusal(code="not_listed")
    if seen.by in person.plan.never_tell:
        return Refusal(code="never_told")
    before = weather.rung_of(person.ref, day)
    if before is not None:
        return Refusal(code="already_rung", detail={"by": before.by, "at": before.at})
    work.emit(
        weather.ref, f.RingDone(person=person.ref, how="rung", said_at=min(seen.at, work.now), by=seen.by)
    )
    return None


def unrung(work: Work, seen: WeatherSaid) -> Refusal | None:
    """It was somebody else, or does not hold: they are on the list again. Refused: `no_weather`, `not_listed`."""
    weather, day = work.weather(), work.state.calendar.day(work.now)
    if weather is None:
        return Refusal(code="no_weather")
    if seen.service_user is None or weather.rung_of(seen.service_user, day) is None:
        return Refusal(code="not_listed")
    work.emit(weather.ref, f.RingUndone(person=seen.service_user, by=seen.by))
    return None


def _listed(weather: Weather, person: str, day: date) -> bool:
    return any((one.person, one.day, one.how) == (person, day, "by_person") for one in weather.told)


# --- what happens says so ---


def follow(work: Work, decision: Decision) -> Decision:
    """Who was heard of in this decision and stood on the list. Returns the decision with what follows."""
    if not work.state.values.weathers or not work.drafts:
        return decision
    weather, day = work.weather(), work.state.calendar.day(work.now)
    if weather is None:
        return decision
    before = len(work.drafts)
    for person, how in dict(_heard(work)).items():
        if weather.to_ring(person, day) is not None:
            work.emit(weather.ref, f.RingDone(person=person, how=how, said_at=work.now))
    if len(work.drafts) == before:
        return decision
    whole = work.decision()
    return structs.replace(decision, drafts=whole.drafts, folds=whole.folds)


def _heard(work: Work) -> Iterator[tuple[str, f.RingHow]]:
    """By service user: somebody of ours arrived, or they, or who speaks for them, answered."""
    for draft in tuple(work.drafts):
        body = draft.body
        if isinstance(body, f.ArrivalRecorded):
            visit = work.visit(draft.subject)
            if visit is not None:
                yield visit.service_user, "visited"
        elif isinstance(body, f.PersonReached):
            alert = work.alert(draft.subject)
            if body.purpose == "reassure" and alert is not None and alert.service_user is not None:
                yield alert.service_user, "answered"
            else:
                yield body.person, "answered"
