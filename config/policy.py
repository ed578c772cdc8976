"""Pure values of a desk's policy: tolerances, timings of the procedures, hours, duties, the calendar.

Nothing here reads a file, a clock or the environment (`config.load` does). Every default cites the clause it
comes from; clause numbers are those of the London Borough of Bromley's service specification ("the spec"),
and *ours* marks a choice where the spec is silent.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

PublicMode = Literal["off", "ask", "auto"]
DeskKind = Literal["provider", "council"]
DutyRole = Literal["office", "on_call", "manager", "broker", "referrals"]
"""`referrals`: who sees to a council's referrals, by hours of their own; no alert summons them for it."""

_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"\s*(?:[0-9]{1,12}(?:ms|d|h|m|s)\s*)+")
_DURATION_PART = re.compile(r"([0-9]+)(ms|d|h|m|s)")
LONGEST = timedelta(days=366)
"""No duration here is longer: a slip of the pen must not become a watch that never alerts."""


def parse_duration(text: str) -> timedelta:
    """A duration as people write it: `30m`, `90s`, `1h30m`, `1h 30m`, `250ms`; at most 366 days.

    Raises ValueError, saying what was expected.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError('expected a duration such as "30m", "90s" or "1h30m"')
    milliseconds = sum(int(n) * _UNITS[u] for n, u in _DURATION_PART.findall(text))
    if milliseconds > LONGEST / timedelta(milliseconds=1):
        raise ValueError("expected a duration of at most 366 days")
    return timedelta(milliseconds=milliseconds)


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as the same value, to the millisecond.

    Raises ValueError for a negative duration, which the notation does not have.
    """
    left, parts = round(value / timedelta(milliseconds=1)), []
    if left < 0:
        raise ValueError("expected a duration that is not negative")
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _clause(source: str, meaning: str, least: str = "0s", most: str = "24h") -> Meta:
    return Meta(title=source, description=meaning, extra={"least": least, "most": most})


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one desk has agreed with its councils, as values. Durations are `timedelta`, shares are 0 to 1."""

    late_after: Annotated[
        timedelta,
        _clause("spec 21.2", "no arrival this long after the agreed start raises the alert", most="4h"),
    ] = timedelta(minutes=30)
    time_critical_late_after: Annotated[
        timedelta,
        _clause("spec 21.2 (may be tighter by visit)", "the same, for a time-critical visit", most="4h"),
    ] = timedelta(minutes=30)
    early_after: Annotated[
        timedelta, _clause("KPI 3.6", "an arrival this much before the start is early", most="4h")
    ] = timedelta(minutes=15)
    ask_worker: Annotated[
        tuple[timedelta, ...],
        _clause("spec 5.1 (ours)", "the care worker alone is asked, this long after the start", most="4h"),
    ] = (timedelta(minutes=10), timedelta(minutes=20))
    summon_call_after: Annotated[
        timedelta,
        _clause("spec 22 (ours)", "text first, call the person on duty this long after it", most="1h"),
    ] = timedelta(seconds=60)
    summon_next: Annotated[
        timedelta,
        _clause(
            "spec 21.3, 22 (ours)",
            "unanswered this long, the next in the chain is summoned",
            least="100ms",
            most="1h",
        ),
    ] = timedelta(minutes=5)
    ask_duty: Annotated[
        bool,
        Meta(
            title="spec 6.2, 21.3 (ours)",
            description="who comes on call is asked to say so, and rung twice `summon_next` later",
        ),
    ] = True
    ack_expires: Annotated[
        timedelta,
        _clause(
            "ours",
            "who took an alert is asked again after this long without an arrival",
            least="100ms",
            most="4h",
        ),
    ] = timedelta(minutes=15)
    reassure_retry: Annotated[
        timedelta,
        _clause(
            "spec 22.2 (ours)",
            "at least this long between two rings to a service user",
            least="100ms",
            most="1h",
        ),
    ] = timedelta(minutes=3)
    reassure_rounds: Annotated[
        int,
        Meta(
            ge=1,
            le=20,
            title="spec 22.2 (ours)",
            description="tries before the service user is *not reached*",
        ),
    ] = 3
    locate_gives_up: Annotated[
        timedelta,
        _clause(
            "spec 22.3 (ours)", "silence of the care worker counts as *cannot* after this long", most="1h"
        ),
    ] = timedelta(minutes=5)
    replace_within: Annotated[
        timedelta, _clause("spec 22.4", "somebody is sent within the hour, from the alert", most="4h")
    ] = timedelta(hours=1)
    offer_wave: Annotated[
        timedelta, _clause("ours", "time between two waves of offers", least="100ms", most="1h")
    ] = timedelta(minutes=4)
    offer_wave_size: Annotated[
        int, Meta(ge=1, le=50, title="ours", description="care workers asked in one wave")
    ] = 3
    open_offers: Annotated[
        int,
        Meta(
            ge=1,
            le=50,
            title="ours",
            description="offers that one care worker may have open; the last place is a time-critical visit's",
        ),
    ] = 3
    inform_after_rounds: Annotated[
        int,
        Meta(
            ge=1,
            le=20,
            title="spec 22.6 (ours)",
            description="unanswered tries before next of kin and council are told",
        ),
    ] = 2
    join_within: Annotated[
        timedelta,
        _clause(
            "spec 22.2 (the wait is ours)",
            "an open line is kept this long for somebody to be joined to it",
            least="100ms",
            most="10m",
        ),
    ] = timedelta(seconds=60)
    hold_public: Annotated[
        timedelta,
        _clause(
            "spec 22.2 (the wait is ours)",
            "in the dark the service user is contacted only after this long",
            most="1h",
        ),
    ] = timedelta(minutes=10)
    ask_public: Annotated[
        timedelta,
        _clause(
            "spec 22.2 (the wait is ours)",
            "public mode *ask*: the person on duty has this long to ring or stop it",
            most="1h",
        ),
    ] = timedelta(minutes=2)
    practice_first: Annotated[
        bool,
        Meta(
            title="ours",
            description="*auto* acts as *ask* until a practice call to that person was answered with a key",
        ),
    ] = False
    home_decide_at: Annotated[
        time,
        Meta(
            title="spec 4.6.7 (ours)",
            description="a first visit after a discharge whose home is not confirmed by then is decided by a person",
        ),
    ] = time(20, 30)
    home_start_within: Annotated[
        timedelta,
        _clause(
            "spec 4.6.4", "such a visit is late this long after *home confirmed* at the latest", most="7d"
        ),
    ] = timedelta(hours=24)
    check_within: Annotated[
        timedelta,
        _clause(
            "spec 10.4 (the limit is ours)",
            "the manager's check of an ended alert: whole days are working days, each ends at `day_ends`",
            least="100ms",
            most="31d",
        ),
    ] = timedelta(days=1)
    day_ends: Annotated[time, Meta(title="spec 6.2 (ours)", description="a working day ends, local time")] = (
        time(17)
    )
    notice_at: Annotated[
        time,
        Meta(
            title="spec 17.2 (the hour is ours)",
            description="when written notices to the council are offered on the next working day, local time",
        ),
    ] = time(9)
    missed_after: Annotated[
        timedelta,
        _clause("spec 21.4 (ours)", "missed: no arrival by the planned end and this long after the alert"),
    ] = timedelta(hours=1)
    overrun_after: Annotated[
        timedelta, _clause("spec 19.6.4 (ours)", "arrived and not left this long after the planned end")
    ] = timedelta(minutes=45)
    short_share: Annotated[
        float,
        Meta(ge=0, le=1, title="spec 21.4 (ours)", description="left before this share of the planned time"),
    ] = 1 / 3
    place_radius_m: Annotated[
        float,
        Meta(
            gt=0,
            le=2000,
            title="spec 21.1 (ours)",
            description="radius of a home whose own radius is not given",
        ),
    ] = 150.0
    match_before: Annotated[
        timedelta,
        _clause("ours", "a check-in this long before a planned start may still belong to the visit"),
    ] = timedelta(hours=2)
    catch_up: Annotated[
        timedelta, _clause("ours", "after a stop, older deadlines go to staff in one digest")
    ] = timedelta(hours=2)
    closes_after: Annotated[
        timedelta, _clause("ours", "a finished visit leaves the state after this long", most="31d")
    ] = timedelta(hours=36)
    plan_freeze: Annotated[
        timedelta, _clause("spec 21.2 (ours)", "a plan changed this near its start moves no deadline")
    ] = timedelta(hours=2)
    position_kept: Annotated[
        timedelta,
        _clause(
            "spec 7.18 (ours)",
            "the last position on shift is kept in memory this long; a phone that reports is dark after it",
            most="4h",
        ),
    ] = timedelta(minutes=30)
    min_visit: Annotated[
        timedelta, _clause("spec 7.21", "shorter planned visits are warned about", most="4h")
    ] = timedelta(minutes=30)
    visit_step: Annotated[
        timedelta, _clause("spec 7.21", "visits are planned in steps of this length", least="1s", most="4h")
    ] = timedelta(minutes=15)
    travel_between: Annotated[
        timedelta,
        _clause("spec 7.23 (ours)", "less than this between two homes is *no travel time*", most="4h"),
    ] = timedelta(minutes=5)
    rota_old_after: Annotated[
        timedelta, _clause("ours", "a rota older than this is an alarm", least="1s", most="14d")
    ] = timedelta(hours=24)
    staff_changes_at: Annotated[
        time,
        Meta(
            title="spec 7.10 (ours)",
            description="when service users are told of another care worker than usual tomorrow, local time",
        ),
    ] = time(16)
    staff_changes_check: Annotated[
        timedelta,
        _clause("spec 7.10 (ours)", "so much later staff hear who has not been told", least="1s", most="8h"),
    ] = timedelta(hours=2)
    regular_for: Annotated[
        timedelta,
        _clause(
            "spec 7.10 (ours)", "who has been there within this time is a regular", least="1d", most="366d"
        ),
    ] = timedelta(days=28)
    rota_look_at: Annotated[
        time, Meta(title="ours", description="the rota of tomorrow is looked at, local time, every day")
    ] = time(18)
    night_from: Annotated[time, Meta(title="spec 6.1", description="night begins, local time")] = time(23)
    night_to: Annotated[time, Meta(title="spec 6.1", description="night ends, local time")] = time(7)
    answerphone_from: Annotated[
        time, Meta(title="spec 4.6.6", description="the answerphone may be offered from here on, local time")
    ] = time(22)
    answerphone_to: Annotated[
        time,
        Meta(
            title="spec 4.6.6",
            description="from here on a caller hears it only when the registered manager was rung too",
        ),
    ] = time(6)
    answerphone_longest: Annotated[
        timedelta,
        _clause("spec 4.6.6 (the length is ours)", "the longest message of a caller", least="1s", most="10m"),
    ] = timedelta(minutes=2)
    away_ask_at: Annotated[
        time,
        Meta(title="spec 7.27 (ours)", description="when the office is asked about those away, local time"),
    ] = time(10)
    referral_within: Annotated[
        timedelta,
        _clause(
            "spec appendix A",
            "a council's referral is answered within this, where it names no time",
            least="100ms",
            most="7d",
        ),
    ] = timedelta(hours=2)
    referral_discharge_within: Annotated[
        timedelta,
        _clause(
            "spec appendix A (appendix M says 1h)",
            "the same, for a discharge from hospital",
            least="100ms",
            most="7d",
        ),
    ] = timedelta(minutes=30)
    referral_last: Annotated[
        timedelta,
        _clause(
            "ours",
            "so much is left when somebody is summoned about it for the last time; at most a quarter of its window",
        ),
    ] = timedelta(minutes=10)
    ring_staff: Annotated[
        timedelta, _clause("ours", "ring time for staff; longer reaches a voicemail", least="1s", most="2m")
    ] = timedelta(seconds=25)
    ring_public: Annotated[
        timedelta,
        _clause("ours", "ring time for a service user, who may walk with a frame", least="1s", most="2m"),
    ] = timedelta(seconds=50)
    zone: Annotated[str, Meta(title="ours", description="the time zone in which the rota is written")] = (
        "Europe/London"
    )

    def tolerance(self, *, time_critical: bool) -> timedelta:
        """How long after its start a visit without an arrival is late (21.2): a time-critical one never longer
        than any other, also when only `late_after` was made shorter."""
        return min(self.late_after, self.time_critical_late_after) if time_critical else self.late_after


class PolicyField(Struct, frozen=True, kw_only=True):
    """One line of `check-config --policy`: a key, its value as text, the clause, what it means."""

    name: str
    value: str
    clause: str
    meaning: str


def encode_policy(policy: Policy) -> dict[str, Any]:
    """The policy as plain TOML/JSON values, durations as text. `decode_policy` reads it back."""
    return {name: _plain(getattr(policy, name)) for name in Policy.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, time):
        return value.strftime("%H:%M")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def policy_problems(values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Everything wrong with `values`, as (key, message, expected). Empty when `decode_policy` will take it."""
    problems = []
    for name, value in values.items():
        if name not in _HINTS:
            problems.append((name, "unknown key", "a key that `callwatch check-config --policy NAME` prints"))
            continue
        try:
            _decode_field(name, value)
        except ValueError as error:  # msgspec.ValidationError is one
            problems.append((name, f"cannot be read: {error}", _expected(name)))
    return problems


def policy_conflicts(policy: Policy) -> list[tuple[str, str, str]]:
    """Values that are each allowed and make no sense together, as (key, message, expected)."""
    problems = []
    if policy.inform_after_rounds > policy.reassure_rounds:
        problems.append(
            (
                "inform_after_rounds",
                "next of kin and council are told only when the tries have ended (spec 22.6)",
                f"at most reassure_rounds ({policy.reassure_rounds})",
            )
        )
    if policy.night_from == policy.night_to:
        problems.append(("night_to", "the night has no length (spec 6.1)", "another time than night_from"))
    return problems


def decode_policy(values: Mapping[str, Any], base: Policy | None = None) -> Policy:
    """`base` (the defaults) with `values` over it. Raises ValueError on the first thing it cannot read."""
    read = {name: _decode_field(name, value) for name, value in values.items()}
    return msgspec.structs.replace(base or Policy(), **read)


_HINTS: dict[str, Any] = get_type_hints(Policy, include_extras=True)
_LOCAL_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _decode_field(name: str, value: Any) -> Any:
    hint = _HINTS.get(name)
    if hint is None:
        raise ValueError(f"unknown key {name}")
    kind, meta = get_args(hint)
    if kind is timedelta:
        return _read_duration(value, meta)
    if kind == tuple[timedelta, ...]:
        return _read_durations(value, meta)
    if kind is time:
        return _read_time(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    read = msgspec.convert(value, hint)
    if name == "zone":
        zone_named(read)
    return read


def _read_duration(value: Any, meta: Meta) -> timedelta:
    if not isinstance(value, timedelta | str):
        raise ValueError('expected a duration such as "30m" in quotes')
    read = parse_duration(value) if isinstance(value, str) else value
    limits = meta.extra or {}
    if not parse_duration(limits["least"]) <= read <= parse_duration(limits["most"]):
        raise ValueError(f"expected a duration from {limits['least']} to {limits['most']}")
    return read


def _read_durations(value: Any, meta: Meta) -> tuple[timedelta, ...]:
    if not isinstance(value, list | tuple) or len(value) > 10:
        raise ValueError("expected a list of at most 10 durations")
    read = tuple(_read_duration(item, meta) for item in value)
    if list(read) != sorted(set(read)):
        raise ValueError("expected durations that grow from one to the next")
    return read


def _read_time(value: Any) -> time:
    if isinstance(value, str) and _LOCAL_TIME.fullmatch(value):
        return time.fromisoformat(value)
    if isinstance(value, time) and value.tzinfo is None and value == value.replace(second=0, microsecond=0):
        return value
    raise ValueError('expected a local time such as "23:00"')


def _expected(name: str) -> str:
    kind, meta = get_args(_HINTS[name])
    if kind is timedelta:
        return f'a duration from {meta.extra["least"]} to {meta.extra["most"]}, such as "30m" or "90s"'
    if kind == tuple[timedelta, ...]:
        return f'growing durations up to {meta.extra["most"]}, such as ["10m", "20m"]'
    if kind is time:
        return 'a local time such as "23:00"'
    if kind is str:
        return "a zone of the IANA database such as Europe/London"
    if kind is bool:
        return "true or false"
    least = f"above {meta.gt:g}" if meta.gt is not None else f"from {meta.ge:g}"
    return f"a {'whole ' if kind is int else ''}number {least} to {meta.le:g}"


def describe_policy(policy: Policy) -> list[PolicyField]:
    """Every key with its value, clause and meaning, in the order of the file."""
    lines = []
    for name in Policy.__struct_fields__:
        meta = get_args(_HINTS[name])[1]
        value = _shown(_plain(getattr(policy, name)))
        lines.append(PolicyField(name=name, value=value, clause=meta.title, meaning=meta.description))
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)


def policy_digest(policy: Policy) -> str:
    """32 hex digits that name this policy's values, whoever wrote them in whatever order."""
    return hashlib.sha256(msgspec.json.encode(encode_policy(policy), order="sorted")).hexdigest()[:32]


# --- hours ---

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SPAN = re.compile(
    r"([A-Za-z]+)(?:-([A-Za-z]+))?(\s*\+holidays)?\s+"
    r"([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})(\s*\+holidays)?"
)
HOURS_EXPECTED = 'hours such as "Mon-Fri 09:00-17:00, Sat-Sun 10:00-14:00", or "otherwise"'


class Span(Struct, frozen=True, kw_only=True):
    """One entry of hours. Minutes are counted from local midnight; `until` past 1440 runs into the next day."""

    days: frozenset[int]
    """Weekdays, Monday 0, on which it holds unless the day is a bank holiday."""
    holidays: bool
    """Whether it holds on bank holidays."""
    start: int
    until: int


class Hours(Struct, frozen=True, kw_only=True):
    """When a duty or a council desk applies: spans, or *otherwise* (whenever no other of its list does)."""

    text: str
    spans: tuple[Span, ...] = ()
    otherwise: bool = False


@lru_cache(maxsize=1024)
def parse_hours(text: str) -> Hours:
    """Comma-separated `DAYS HH:MM-HH:MM`, or `otherwise` alone (docs/configuration.md, "Hours").

    Days: `Mon`, `Mon-Fri`, `daily` (bank holidays too), `holidays`. An end before the start runs over midnight.
    A bank holiday belongs to no weekday; `+holidays` adds the bank holidays to an entry's days.
    Raises ValueError, saying what was expected.
    """
    if text.strip() == "otherwise":
        return Hours(text="otherwise", otherwise=True)
    return Hours(text=text, spans=tuple(_span(part.strip()) for part in text.split(",")))


def _span(part: str) -> Span:
    found = _SPAN.fullmatch(part)
    if not found:
        raise ValueError(f"expected {HOURS_EXPECTED}")
    first, last, plus, h1, m1, h2, m2, plus_behind = found.groups()
    start, until = int(h1) * 60 + int(m1), int(h2) * 60 + int(m2)
    if start >= 1440 or until > 1440 or int(m1) > 59 or int(m2) > 59 or start == until:
        raise ValueError(f"expected times from 00:00 to 24:00, start and end different, in {HOURS_EXPECTED}")
    return Span(
        days=_days(first, last),
        holidays=first in ("holidays", "daily") or plus is not None or plus_behind is not None,
        start=start,
        until=until if until > start else until + 1440,
    )


def _days(first: str, last: str | None) -> frozenset[int]:
    if first == "holidays" and last is None:
        return frozenset()
    if first == "daily" and last is None:
        return frozenset(range(7))
    if first not in DAYS or (last is not None and last not in DAYS):
        raise ValueError(f"expected days Mon to Sun, daily or holidays, in {HOURS_EXPECTED}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return frozenset((begin + n) % 7 for n in range((end - begin) % 7 + 1))


# --- calendar ---


@lru_cache(256)
def zone_named(name: str) -> ZoneInfo:
    """The zone, or ValueError (zoneinfo raises a KeyError for most bad names and OSError for odd ones).

    Names that mean another zone on another host (`localtime`) or count leap seconds (`right/…`) are refused.
    """
    try:
        if name != "UTC" and ("/" not in name or name.startswith(("right/", "posix/"))):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError("expected a zone of the IANA database such as Europe/London") from error


LocalTrouble = Literal["time_does_not_exist", "time_exists_twice"]


class Calendar(Struct, frozen=True, kw_only=True):
    """The one place where local time enters: zone and bank holidays as adopted. Everything else is aware UTC."""

    zone: str = "Europe/London"
    holidays: frozenset[date] = frozenset()

    def local(self, at: datetime) -> datetime:
        """The instant in local time."""
        return at.astimezone(zone_named(self.zone))

    def day(self, at: datetime) -> date:
        """The local date of an instant; a visit's day is that of its planned start."""
        return self.local(at).date()

    def to_utc(self, naive: datetime) -> tuple[datetime, LocalTrouble | None]:
        """A rota's local time as UTC, and what was odd about it.

        A time that does not exist is read with the offset before the change (01:30 in the spring night is
        01:30Z); of a time that exists twice the first is meant. Raises ValueError for a time with an offset, or
        at the ends of the calendar.
        """
        if naive.tzinfo is not None or not 1900 <= naive.year <= 9000:
            raise ValueError("expected a local time without offset, of a year from 1900 to 9000")
        zone = zone_named(self.zone)
        at = naive.replace(tzinfo=zone, fold=0)
        instant = at.astimezone(UTC)
        trouble: LocalTrouble | None = None
        if instant.astimezone(zone).replace(tzinfo=None) != naive:
            trouble = "time_does_not_exist"
        elif at.utcoffset() != at.replace(fold=1).utcoffset():
            trouble = "time_exists_twice"
        return instant, trouble

    def in_hours(self, hours: Hours, at: datetime) -> bool:
        """Whether local `at` lies in one of the spans. A span belongs to the day on which it starts."""
        local = self.local(at)
        minute = local.hour * 60 + local.minute
        today = local.date()
        return any(
            (self._counts(span, today) and span.start <= minute < span.until)
            or (self._counts(span, today - timedelta(days=1)) and span.start <= minute + 1440 < span.until)
            for span in hours.spans
        )

    def _counts(self, span: Span, day: date) -> bool:
        return span.holidays if day in self.holidays else day.weekday() in span.days

    def works(self, day: date) -> bool:
        """Whether it is a working day: neither weekend nor bank holiday (domain.md section 5)."""
        return day.weekday() < 5 and day not in self.holidays

    def working_days_on(self, at: datetime, days: int, ends: time) -> datetime:
        """The end, `ends` local time, of that many working days after the day of `at`: from Friday one is Monday."""
        day = self.day(at)
        while days > 0:
            day += timedelta(days=1)
            days -= 1 if self.works(day) else 0
        return self.at_local(day, ends)

    def at_local(self, day: date, clock: time) -> datetime:
        """That local time of that local day, in UTC (`to_utc`)."""
        return self.to_utc(datetime.combine(day, clock))[0]

    def is_night(self, at: datetime, policy: Policy) -> bool:
        """Night by the policy, 23:00-07:00 (spec 6.1)."""
        return self._between(at, policy.night_from, policy.night_to)

    def answerphone_at(self, at: datetime, policy: Policy) -> bool:
        """Whether families need not reach a person by telephone: 22:00-06:00 (D2A clause 4.6.6)."""
        return self._between(at, policy.answerphone_from, policy.answerphone_to)

    def _between(self, at: datetime, begins: time, ends: time) -> bool:
        now = self.local(at).time()
        return (now >= begins or now < ends) if begins > ends else begins <= now < ends


class Duty(Struct, frozen=True, kw_only=True):
    """One line of the duty list: a person (a minted id), the role, the hours."""

    person: str
    role: DutyRole
    hours: str


class CouncilDesk(Struct, frozen=True, kw_only=True):
    """One council contact by its minted id; its telephone and mail address stay in the directory."""

    ref: str
    hours: str
    contract: str | None = None
    client_group: str | None = None
    by_phone: bool = True
    """Whether it has a telephone at all; otherwise it is written to."""
    machine_calls: bool = False
    """It has agreed to be rung by the machine itself when nobody of ours answers (wording.md COV-1)."""


class Contract(Struct, frozen=True, kw_only=True):
    """Who pays for a person, and what is agreed with them: one contract, or one of its client groups."""

    id: str
    client_group: str | None = None
    """Only for people of this group; without it for all whom no other entry of the contract names."""
    council: bool = True
    """False: a private contract. There is no council desk to tell (domain.md, "Words")."""
    policy: Policy


class Terms(Struct, frozen=True, kw_only=True):
    """A contract as a desk's state and facts have it: its policy by digest, and in full as `encode_policy` gives it."""

    id: str
    client_group: str | None = None
    council: bool = True
    digest: str
    policy: dict[str, Any] = {}


def terms_of(contracts: tuple[Contract, ...]) -> tuple[Terms, ...]:
    """The contracts as values that can stand in a fact."""
    return tuple(
        Terms(
            id=contract.id,
            client_group=contract.client_group,
            council=contract.council,
            digest=policy_digest(contract.policy),
            policy=encode_policy(contract.policy),
        )
        for contract in contracts
    )


_Agreed = TypeVar("_Agreed", Contract, Terms)


def agreed_with(
    contracts: tuple[_Agreed, ...], contract: str | None, client_group: str | None
) -> _Agreed | None:
    """What holds for a person of this contract and group: the group's own entry first. None: the desk's own policy."""
    mine = [entry for entry in contracts if entry.id == contract]
    for group in (client_group, None):
        for entry in mine:
            if entry.client_group == group:
                return entry
    return None


_Entry = TypeVar("_Entry", Duty, CouncilDesk)


def council_desks_of(
    desks: tuple[CouncilDesk, ...], contract: str | None, client_group: str | None
) -> tuple[CouncilDesk, ...]:
    """All that may answer for somebody of this contract and client group, at whatever hour."""
    own = tuple(desk for desk in desks if desk.contract is not None and desk.contract == contract)
    listed = own or tuple(desk for desk in desks if desk.contract is None)
    return tuple(desk for desk in listed if desk.client_group in (client_group, None))


def council_desk_at(
    desks: tuple[CouncilDesk, ...],
    contract: str | None,
    client_group: str | None,
    at: datetime,
    calendar: Calendar,
) -> CouncilDesk | None:
    """The council's contact for the moment (spec, appendix E). Desks that name the person's contract are a list of
    their own, else those that name none; in either the person's client group comes first while a desk of it is there.
    """
    listed = council_desks_of(desks, contract, client_group)
    for group in dict.fromkeys((client_group, None)):
        now = applying(tuple(desk for desk in listed if desk.client_group == group), at, calendar)
        if now:
            return now[0]
    return None


def applying(entries: tuple[_Entry, ...], at: datetime, calendar: Calendar) -> tuple[_Entry, ...]:
    """Those of `entries` whose hours hold at `at`; if none does, all whose hours are *otherwise*, in order."""
    read = [(entry, parse_hours(entry.hours)) for entry in entries]
    now = tuple(entry for entry, hours in read if calendar.in_hours(hours, at))
    return now or tuple(entry for entry, hours in read if hours.otherwise)


def on_duty(duty: tuple[Duty, ...], at: datetime, calendar: Calendar) -> tuple[Duty, ...]:
    """Who is on duty for alerts. Those who see to referrals stand apart: their hours leave no gap, and close none."""
    return applying(tuple(entry for entry in duty if entry.role != "referrals"), at, calendar)


def on_referrals(duty: tuple[Duty, ...], at: datetime, calendar: Calendar) -> tuple[Duty, ...]:
    """Who sees to referrals at that moment, in order; nobody, where the list names nobody for it."""
    return applying(tuple(entry for entry in duty if entry.role == "referrals"), at, calendar)
