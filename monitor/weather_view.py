"""Declared bad weather as the API and the board show it, in the caller's own ids. Reads state and directory."""

from __future__ import annotations

from datetime import datetime

from msgspec import structs

from monitor.core.facts import Newly
from monitor.core.state import State, Visit, Weather
from monitor.core.views import CoverView, SituationView, ToRingView, WeatherView
from monitor.core.weather import cover_in, is_eased, to_come
from monitor.core.weather_list import left
from monitor.directory import Directory


def weather_view(state: State, directory: Directory, now: datetime) -> WeatherView:
    """The weather that is declared, else the last one."""
    weather = present(state)
    if weather is None:
        return WeatherView(declared=False)
    out, today = directory.outside, state.calendar.day(now)
    told = [one for one in weather.told if one.day == today]
    visited = _visited(state, weather, now)
    return WeatherView(
        declared=weather.ended_at is None,
        id=weather.ref,
        by=out(weather.by),
        declared_at=weather.declared_at,
        until=weather.until,
        remind_at=weather.remind_at,
        ended_at=weather.ended_at,
        ended_by=out(weather.ended_by) if weather.ended_by else None,
        report_by=weather.report_by,
        reported_by=out(weather.reported_by) if weather.reported_by else None,
        reported_at=weather.reported_at,
        ranks=_ranks(directory, visited),
        to_confirm=tuple(
            sorted(
                out(ref)
                for ref in visited
                if _rank(directory, ref) == "green" and cover_in(weather, directory, ref) is None
            )
        ),
        covers=tuple(
            CoverView(
                service_user=out(cover.person),
                next_of_kin=out(cover.next_of_kin),
                by=out(cover.by),
                confirmed_at=cover.confirmed_at,
            )
            for cover in weather.covers
        ),
        told=sum(1 for one in told if one.how != "by_person"),
        to_ring=_to_ring(directory, weather, told),
        to_ring_left=len(left(weather, today)),
        left_out=dict(weather.left_out),
        reports=_reports(state, directory, weather),
    )


def _to_ring(directory: Directory, weather: Weather, told: list[Newly]) -> tuple[ToRingView, ...]:
    found = []
    for one in (each for each in told if each.how == "by_person"):
        done = weather.rung_of(one.person, one.day)
        view = ToRingView(service_user=directory.outside(one.person), reason=one.reason)
        if done is not None:
            by = directory.outside(done.by) if done.by is not None else None
            view = structs.replace(view, done=done.how, done_at=done.at, done_by=by)
        found.append(view)
    return tuple(sorted(found, key=lambda one: one.done is not None))


def present(state: State) -> Weather | None:
    """The weather that is declared; else the one of which the report is owed longest; else the last one."""
    known = sorted(state.values.weathers.values(), key=lambda one: one.declared_at)
    declared = [one for one in known if one.ended_at is None]
    owed = [one for one in known if one.reported_at is None]
    return next(iter(declared or owed or known[-1:]), None)


def cover_view(state: State, directory: Directory, visit: Visit) -> CoverView | None:
    """Who of the family sees to this visit, while bad weather is declared and nobody is there."""
    weather = next((one for one in state.values.weathers.values() if one.ended_at is None), None)
    if weather is None or visit.anybody_there or visit.over or visit.end < weather.declared_at:
        return None
    if visit.start > weather.until:
        return None
    if not is_eased(directory, visit.service_user, time_critical=visit.time_critical):
        return None
    cover = cover_in(weather, directory, visit.service_user)
    out = directory.outside
    return (
        CoverView(
            service_user=out(cover.person),
            next_of_kin=out(cover.next_of_kin),
            by=out(cover.by),
            confirmed_at=cover.confirmed_at,
        )
        if cover is not None
        else None
    )


def _visited(state: State, weather: Weather, now: datetime) -> list[str]:
    visits = (visit for visit in state.values.visits.values() if to_come(state, visit, weather, now))
    return sorted({visit.service_user for visit in visits})


def _rank(directory: Directory, ref: str) -> str:
    person = directory.person(ref)
    return person.plan.weather_rank if person is not None else "red"


def _ranks(directory: Directory, visited: list[str]) -> dict[str, int]:
    counts = {"red": 0, "amber": 0, "green": 0}
    for ref in visited:
        counts[_rank(directory, ref)] += 1
    return counts


def _reports(state: State, directory: Directory, weather: Weather) -> tuple[SituationView, ...]:
    found = []
    for sent in weather.reports:
        message = state.values.messages.get(sent.message or "")
        found.append(
            SituationView(
                at=sent.at,
                desk=directory.outside(sent.desk) if sent.desk is not None else None,
                result=message.result if message is not None else None,
                late=sent.late,
                covered=sent.covered,
                red=sent.red,
                hour_passed=sent.hour_passed,
            )
        )
    return tuple(found)
