"""Declared bad weather: what it leaves out, and for whom (domain.md section 2, "Declared bad weather"; ours).

Three ranks, made beforehand. *Red*, and whoever is not ranked, and every time-critical visit: nothing is left out.
*Amber*: staff are summoned in bundles, others are asked to go only when a person says so, the warnings of the hour and
its breach stand in one report an hour. *Green* is the same, and where a next of kin has confirmed to a named person of
ours that the family sees to it, no replacement is sought at all. For every rank the service user is contacted, the
care worker is found, and who cannot be reached is told on by 22.6. What is left out is a fact, and no visit is made by
it: nobody there stays late, and then missed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from config.policy import Policy
from escalation import reassure
from escalation.people import People, may_be_told
from escalation.replace import BREACH
from monitor.core import facts as f
from monitor.core.state import Alert, FamilyCover, State, Visit, Weather
from monitor.core.work import Work

BAD_WEATHER = "bad_weather"
"""Reason of a bundle of late visits, and of a *replace* that waits until a person says that others are asked."""
COVERED = "covered_by_family"
"""Reason of a *replace* that seeks nobody, because the family sees to it."""
IN_REPORT = "situation_report"
"""Reason of a council that hears of a breach in the report of the hour, and not by a mail of its own."""
REPORT_OWED = "weather_report"
"""Reason of the alarm that the council has not had the report of spec 12.4."""
LONGEST = timedelta(hours=48)
"""So far ahead the end may lie (ours): snow that stays is looked at anew, and the end moved."""


def every(policy: Policy) -> timedelta:
    """Time between two reports to the council: the hour of spec 22.4."""
    return policy.replace_within


def remind_at(policy: Policy, now: datetime, until: datetime) -> datetime:
    """When staff are told that the end is near: half an hour before it, or half way if it is nearer (ours)."""
    return until - min(policy.replace_within / 2, (until - now) / 2)


def report_by(policy: Policy, declared_at: datetime) -> datetime:
    """Twelve hours from the declaration (spec 12.3, 12.4)."""
    return declared_at + 12 * policy.replace_within


def report_remind_at(policy: Policy, declared_at: datetime) -> datetime:
    """The registered manager is reminded three hours before (ours)."""
    return declared_at + 9 * policy.replace_within


# --- for whom ---


def is_eased(people: People, service_user: str | None, *, time_critical: bool) -> bool:
    """Whether bad weather may leave anything out for this visit: by its person's rank, never of a time-critical one."""
    person = people.person(service_user) if service_user is not None else None
    return person is not None and not time_critical and person.plan.weather_rank != "red"


def cover_of(work: Work, service_user: str | None) -> FamilyCover | None:
    """Who of the family sees to them in this weather; only while they are ranked green, and the next of kin may hear
    of them."""
    weather = work.weather()
    return cover_in(weather, work.ctx.people, service_user) if weather is not None else None


def cover_in(weather: Weather, people: People, service_user: str | None) -> FamilyCover | None:
    """The same, of this weather."""
    person = people.person(service_user) if service_user is not None else None
    if person is None or person.plan.weather_rank != "green":
        return None
    cover = weather.cover_of(person.ref)
    return cover if cover is not None and may_be_told(people, person.ref, cover.next_of_kin) else None


def eases_visit(work: Work, visit: Visit) -> Weather | None:
    """The weather that leaves something out for this visit."""
    weather = work.weather()
    if weather is None:
        return None
    critical = visit.time_critical
    return weather if is_eased(work.ctx.people, visit.service_user, time_critical=critical) else None


def eases(work: Work, alert: Alert) -> Weather | None:
    """The weather that leaves something out of this alert now. Who has told *replace* to go on now has asked for the
    whole procedure."""
    weather = work.weather()
    if weather is None or not _is_eased(work.ctx.people, alert):
        return None
    return weather


def _is_eased(people: People, alert: Alert) -> bool:
    if alert.kind != "late_visit" or asked_for(alert):
        return False
    return is_eased(people, alert.service_user, time_critical=alert.time_critical)


def asked_for(alert: Alert) -> bool:
    """A named person has said that others are asked to go now."""
    return any(one.action == "do_now" and one.track == "replace" for one in alert.pressed)


def leave_out(work: Work, alert: Alert, weather: Weather, step: f.LeftOut) -> None:
    """Nothing is left out without a fact."""
    work.emit(alert.ref, f.StepLeftOut(weather=weather.ref, step=step), policy=alert.policy)


def is_covered(work: Work, alert: Alert) -> bool:
    """Whether the family sees to the visit of this alert."""
    return eases(work, alert) is not None and cover_of(work, alert.service_user) is not None


def why_nobody_asked(work: Work, alert: Alert) -> str:
    """Why others are not asked to go: the reason of the track *replace*."""
    return COVERED if cover_of(work, alert.service_user) is not None else BAD_WEATHER


def goes_in_report(work: Work, alert: Alert) -> Weather | None:
    """The weather in whose report of the hour the council hears of this breach. Whom nothing may be told of by the
    person's own mode, or to that desk, is not in it."""
    weather, known = eases(work, alert), work.ctx.people.person(alert.service_user or "")
    if weather is None or not work.state.has_council(known):
        return None
    own_off = reassure.mode_of(known, "auto") == "off" and work.state.values.public != "off"
    desk = work.state.council_desk(known, work.now)
    told = desk is None or may_be_told(work.ctx.people, alert.service_user, desk)
    return weather if told and not own_off else None


# --- how it stands ---


class Situation(Struct, frozen=True, kw_only=True):
    """The visits of one council desk at one moment; each is in one of the three. `passed`: of the late ones and the red
    ones, those where the hour is over and nobody is on the way."""

    late: tuple[Alert, ...] = ()
    covered: tuple[Alert, ...] = ()
    red: tuple[Alert, ...] = ()
    passed: frozenset[str] = frozenset()


def situations(state: State, people: People, weather: Weather, at: datetime) -> dict[str | None, Situation]:
    """By council desk that answers at that moment for those who are visited in this weather; None: none does now.
    Private contracts are in none of them, nor who is told to nobody outside by a mode of their own."""
    found: dict[str | None, list[Alert]] = {desk: [] for desk in _desks(state, people, weather, at)}
    for alert in state.values.alerts.values():
        if alert.state == "ended" or alert.kind != "late_visit":
            continue
        desk = _desk(state, people, alert.service_user, at)
        if desk != PRIVATE:
            found.setdefault(desk, []).append(alert)
    return {desk: _situation(people, weather, alerts) for desk, alerts in found.items()}


PRIVATE = ""


def _desk(state: State, people: People, service_user: str | None, at: datetime) -> str | None:
    person = people.person(service_user) if service_user is not None else None
    own_off = reassure.mode_of(person, "auto") == "off" and state.values.public != "off"
    if not state.has_council(person) or own_off:
        return PRIVATE
    desk = state.council_desk(person, at)
    return desk if desk is None or may_be_told(people, service_user, desk) else PRIVATE


def _desks(state: State, people: People, weather: Weather, at: datetime) -> list[str | None]:
    """Those who answer for anybody who is to be visited while the weather lasts."""
    desks: dict[str | None, None] = {}
    for visit in state.values.visits.values():
        if not visit.over and weather.declared_at <= visit.end and visit.start <= weather.until:
            desks[_desk(state, people, visit.service_user, at)] = None
    return [desk for desk in desks if desk != PRIVATE]


def _situation(people: People, weather: Weather, alerts: list[Alert]) -> Situation:
    red = [a for a in alerts if not is_eased(people, a.service_user, time_critical=a.time_critical)]
    eased = [a for a in alerts if a not in red]
    covered = [a for a in eased if cover_in(weather, people, a.service_user) is not None]
    late = [a for a in eased if a not in covered]
    return Situation(
        late=tuple(late),
        covered=tuple(covered),
        red=tuple(red),
        passed=frozenset(a.ref for a in (*late, *red) if _passed(a)),
    )


def _passed(alert: Alert) -> bool:
    track = alert.track("replace")
    return track is not None and track.index >= BREACH and not alert.sent


def to_come(state: State, visit: Visit, weather: Weather, now: datetime) -> bool:
    """Whether the visit is of today, and still to be made while the weather lasts."""
    if visit.over or visit.missed or visit.anybody_there or visit.start > weather.until:
        return False
    return visit.end >= now and state.calendar.day(visit.start) == state.calendar.day(now)
