"""How a council places packages, as it is written: every mistake of a placing policy, and of a desk's own keys. Pure.

Like `config.checks` the checks of a desk look at the file as it was read, before its shape is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import time, timedelta
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct

from config.checks import Code, Problem, Severity, Table, tables, texts
from config.placing import (
    PLACEMENT_KINDS,
    Cutoff,
    PlacingPolicy,
    Round,
    encode_placing,
    read_key,
)
from config.policy import HOURS_EXPECTED, parse_hours

COUNCIL_KEYS = ("placing", "placing_overrides", "areas", "mailbox")
"""Keys of a desk that places packages."""
PROVIDER_KEYS = ("checkin_numbers", "contracts", "council_desks")
"""Keys of a desk that makes visits."""


class Wrong(Struct, frozen=True, kw_only=True):
    """One thing wrong with a placing policy. `key` is its path within the policy: `rounds[1].window`."""

    key: str
    message: str
    expected: str
    code: Code = "policy_value"
    severity: Severity = "error"

    def at(self, path: str) -> Problem:
        """The same as a problem of the configuration, under `path`."""
        where = f"{path}.{self.key}" if self.key else path
        return Problem(
            path=where, code=self.code, message=self.message, expected=self.expected, severity=self.severity
        )


# --- each key by itself ---


def wrong_values(values: Mapping[str, Any]) -> list[Wrong]:
    """Everything that cannot be read in a placing policy; empty when `config.placing.decode_placing` will take it."""
    found = list(_unread(values, PlacingPolicy, "", needed=("rounds",)))
    rounds = values.get("rounds")
    if isinstance(rounds, list | tuple):
        if not rounds:
            found.append(
                Wrong(key="rounds", message="empty", expected="at least one of them", code="missing")
            )
        for n, one in enumerate(rounds):
            found += _unread(one, Round, f"rounds[{n}]", needed=("name", "tiers"))
    elif rounds is not None:
        found.append(Wrong(key="rounds", message="not a list", expected="[[rounds]]", code="wrong_type"))
    if values.get("cutoff") is not None:
        found += _unread(values["cutoff"], Cutoff, "cutoff", needed=Cutoff.__struct_fields__)
    return found


_OWN_CHECK = ("rounds", "cutoff")
"""Keys whose value is a table with keys of its own."""


def _unread(values: Any, kind: type[Struct], at: str, *, needed: Sequence[str] = ()) -> Iterator[Wrong]:
    under = f"{at}." if at else ""
    if not isinstance(values, Mapping):
        yield Wrong(key=at, message="not a table", expected="a table", code="wrong_type")
        return
    for name in needed:
        if name not in values:
            yield Wrong(key=under + name, message="not there", expected="this key", code="missing")
    known = kind.__struct_fields__
    for name, value in values.items():
        if name not in known:
            expected = f"one of {', '.join(known)}"
            yield Wrong(key=under + name, message="unknown key", expected=expected, code="unknown_key")
        elif kind is not PlacingPolicy or name not in _OWN_CHECK:
            try:
                read_key(kind, name, value)
            except ValueError:  # msgspec.ValidationError is one
                expected = _expected(get_type_hints(kind)[name])
                yield Wrong(key=under + name, message="cannot be read", expected=expected)


_EXPECTED: dict[Any, str] = {
    timedelta: 'a duration such as "2h"',
    time: 'a local time such as "15:00"',
    str: "text in quotes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def _expected(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) is tuple:
        return f"a list, each of it {_expected(get_args(hint)[0])}"
    known = (one for one in (hint, *get_args(hint)) if one in _EXPECTED)
    return _EXPECTED[next(known)]


# --- one key against another ---


def conflicts(policy: PlacingPolicy) -> list[Wrong]:
    """Values that can be read and make no sense, alone or together."""
    return [*_of_the_whole(policy), *_of_the_rounds(policy.rounds)]


def _of_the_whole(policy: PlacingPolicy) -> Iterator[Wrong]:
    hours = _hours_wrong(policy.broker_hours)
    if hours is not None:
        yield Wrong(key="broker_hours", message="cannot be read as hours", expected=hours, code="bad_hours")
    if policy.across_closing == "pause" and policy.broker_hours is None:
        message = "without the broker's hours there is no closing time at which a window could pause"
        yield _conflict("across_closing", message, 'broker_hours, or "run_on"')
    spans = (
        "lost_told_after",
        "confirm_within",
        "confirm_reminder",
        "link_lasts",
        "fair_share_span",
        "at_most",
    )
    for key in spans:
        value = getattr(policy, key)
        if value is not None and value <= timedelta(0):
            yield _too_short(key)
    for n, value in enumerate(policy.respond_within):
        if value <= timedelta(0):
            yield _too_short(f"respond_within[{n}]")
    if policy.papers_reminder < timedelta(0):
        yield _too_short("papers_reminder")
    if policy.confirm_reminder >= policy.confirm_within:
        message = "the winner would be reminded when the time to confirm is over"
        yield _conflict("confirm_reminder", message, "less than confirm_within")
    if policy.hours_limit is not None and policy.hours_limit <= 0:
        yield Wrong(key="hours_limit", message="nobody could be given a package", expected="a number above 0")
    low, high = policy.patch_target
    if not 0 <= low <= high <= 1:
        yield Wrong(key="patch_target", message="not two shares", expected="from 0 to 1, such as [0.6, 0.7]")
    if policy.fair_share and all(policy.patch_tier not in one.tiers for one in policy.rounds):
        yield Wrong(
            key="fair_share",
            message="no round asks providers of the patch tier, and between others nothing is shared out",
            expected="patch_tier as it stands in a round's tiers, or false",
            code="policy_conflict",
            severity="warning",
        )
    if not 0 <= policy.persistent_share <= 1:
        yield Wrong(key="persistent_share", message="not a share", expected="from 0 to 1, such as 0.5")
    for key in ("persistent_in_a_row", "persistent_at_least"):
        if getattr(policy, key) < 1:
            yield Wrong(key=key, message="everybody would be spoken of", expected="a number above 0")
    if len(set(policy.ties)) < len(policy.ties):
        yield _conflict("ties", "a tie-break stands here twice", "each of them once")


def _hours_wrong(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return HOURS_EXPECTED.partition(", or ")[0] if parse_hours(text).otherwise else None
    except ValueError as error:
        return str(error).removeprefix("expected ")


def _of_the_rounds(rounds: Sequence[Round]) -> Iterator[Wrong]:
    seen: set[str] = set()
    for n, one in enumerate(rounds):
        at = f"rounds[{n}]"
        if one.name in seen or not re.fullmatch(r"[a-z0-9_-]{1,40}", one.name):
            expected = "1 to 40 of a-z, 0-9, _ and -, each name once"
            yield Wrong(key=f"{at}.name", message="no name of its own", expected=expected, code="not_unique")
        seen.add(one.name)
        yield from _of_one_round(one, at)
        if one.next == "end" and n + 1 < len(rounds):
            yield _conflict(f"{at}.next", "no round after it would ever open", '"by_itself" or "broker"')


def _of_one_round(one: Round, at: str) -> Iterator[Wrong]:
    if not one.tiers or not all(tier.strip() for tier in one.tiers):
        yield Wrong(
            key=f"{at}.tiers", message="nobody is asked", expected="at least one tier", code="missing"
        )
    if one.window <= timedelta(0):
        yield _too_short(f"{at}.window")
    for n, after in enumerate(one.reminders):
        if not timedelta(0) < after < one.window:
            message = "the window is over by then" if after > timedelta(0) else "no time has passed by then"
            yield _conflict(f"{at}.reminders[{n}]", message, "more than 0s and less than the window")
    if one.rule == "ranked" and one.order == "together":
        yield _conflict(f"{at}.order", "one after another, and nobody is first", '"score" or "rate"')
    if one.passes_on and one.rule != "direct":
        yield _conflict(f"{at}.passes_on", "only who is asked directly passes it on", 'rule = "direct"')


def _conflict(key: str, message: str, expected: str) -> Wrong:
    return Wrong(key=key, message=message, expected=expected, code="policy_conflict")


def _too_short(key: str) -> Wrong:
    return Wrong(key=key, message="no time at all", expected='a duration such as "2h"', code="out_of_range")


# --- what a desk lays over it ---


def laid_over(values: Table, overrides: Table) -> tuple[Table, list[Wrong]]:
    """A policy's values with a desk's own over them: any of its keys, and under `rounds` by the name of a round any of
    that round's, `all` for every one; a list takes the place of the rounds."""
    own = overrides.get("rounds")
    merged = {**values, **overrides}
    if not isinstance(own, Mapping):
        return merged, []
    rounds = [dict(one) for one in values.get("rounds", ()) if isinstance(one, Mapping)]
    known = [str(one.get("name")) for one in rounds]
    wrong: list[Wrong] = []
    for name, keys in own.items():
        at = f"rounds.{name}"
        if name not in (*known, "all"):
            expected = f"one of {', '.join([*known, 'all'])}"
            wrong.append(Wrong(key=at, message="no such round", expected=expected, code="unknown_key"))
        else:
            wrong += _unread(keys, Round, at)
    if wrong:
        return values, wrong
    merged["rounds"] = [{**one, **own.get("all", {}), **own.get(str(one.get("name")), {})} for one in rounds]
    return merged, []


# --- a desk's own keys ---


def _kinds_of_desks(raw: Table) -> Iterator[Problem]:
    """What one kind of desk has and another cannot have."""
    for at, desk in tables(raw, "desk"):
        kind = desk.get("kind")
        if kind == "provider":
            for key in COUNCIL_KEYS:
                if key in desk:
                    yield _of_other_desks(f"{at}.{key}", "a provider's desk places no packages", "council")
            for path, line in tables(desk, "duty", at):
                if line.get("role") == "broker":
                    yield _of_other_desks(f"{path}.role", "a provider's desk has no brokers", "council")
        if kind == "council":
            for key in PROVIDER_KEYS:
                if key in desk:
                    yield _of_other_desks(f"{at}.{key}", "a council's desk makes no visits", "provider")
            for path, line in tables(desk, "duty", at):
                if line.get("role") == "referrals":
                    yield _of_other_desks(f"{path}.role", "a council's desk sends referrals out", "provider")


def _of_other_desks(path: str, message: str, kind: str) -> Problem:
    expected = f'the key at a desk of kind = "{kind}"'
    return Problem(path=path, code="desk_kind", message=message, expected=expected)


def _kinds_of_packages(raw: Table) -> Iterator[Problem]:
    for at, desk in tables(raw, "desk"):
        for key in ("placing", "placing_overrides"):
            named = desk.get(key)
            for kind in named if isinstance(named, Mapping) else ():
                if kind not in PLACEMENT_KINDS:
                    yield Problem(
                        path=f"{at}.{key}.{kind}",
                        code="unknown_key",
                        message="no such kind of package",
                        expected=f"one of {', '.join(PLACEMENT_KINDS)}",
                    )


def _areas(raw: Table) -> Iterator[Problem]:
    for at, desk in tables(raw, "desk"):
        areas: set[str] = set()
        wards: set[str] = set()
        for path, area in tables(desk, "areas", at):
            for where, text in texts(area, "id", path):
                if text in areas:
                    yield _twice(where, "the area")
                areas.add(text)
            for where, text in texts(area, "wards", path):
                if text in wards:
                    yield _twice(where, "the ward")
                wards.add(text)
            yield from _names_of_nothing(area, path)


def _names_of_nothing(area: Table, path: str) -> Iterator[Problem]:
    """A name for a ward that the area does not have: one of the two is misspelled."""
    names, wards = area.get("ward_names"), {text for _, text in texts(area, "wards", path)}
    for ward in names if isinstance(names, Mapping) else ():
        if ward not in wards:
            yield Problem(
                path=f"{path}.ward_names.{ward}",
                code="unknown_key",
                message="no such ward in this area",
                expected=f"one of {', '.join(sorted(wards))}" if wards else "an area with wards",
            )


def _twice(path: str, what: str) -> Problem:
    return Problem(path=path, code="not_unique", message=f"{what} stands here twice", expected="another one")


def _nobody_there(raw: Table) -> Iterator[Problem]:
    """A brokerage that says how it places packages, and could place none."""
    for at, desk in tables(raw, "desk"):
        if desk.get("kind") != "council" or not any(key in desk for key in COUNCIL_KEYS):
            continue
        if not desk.get("areas"):
            yield missing(f"{at}.areas", "every package is in an area, and there is none", "[[desk.areas]]")
        if not any(line.get("role") == "broker" for _, line in tables(desk, "duty", at)):
            yield missing(f"{at}.duty", "no broker is told of anything", 'an entry with role = "broker"')
        if desk.get("mailbox") and "email" not in raw:
            yield missing(f"{at}.mailbox", "there is no mail relay: no bid is copied to it", "[email]")


def missing(path: str, message: str, expected: str) -> Problem:
    """A warning: it starts without."""
    return Problem(path=path, code="missing", message=message, expected=expected, severity="warning")


PLACING_CHECKS = (_kinds_of_desks, _kinds_of_packages, _areas, _nobody_there)


def unknown_areas(policy: PlacingPolicy, areas: Sequence[str], at: str) -> Iterator[Problem]:
    """Rounds that are held for areas which the desk does not have: a slip of the pen, or a round that is never held."""
    for n, one in enumerate(policy.rounds):
        for area in one.only_areas:
            if areas and area not in areas:
                yield Problem(
                    path=f"{at}.rounds[{n}].only_areas",
                    code="policy_conflict",
                    message="the desk has no such area, and no package is in it",
                    expected=f"one of {', '.join(areas)}",
                    severity="warning",
                )


# --- what a person is shown ---


def described(policy: PlacingPolicy) -> list[tuple[str, str]]:
    """Every key with its value, round by round, as they would stand in the file."""
    values = encode_placing(policy)
    rows = [(key, _shown(value)) for key, value in values.items() if key not in _OWN_CHECK]
    cutoff = values["cutoff"] or {}
    rows += [(f"cutoff.{key}", _shown(value)) for key, value in cutoff.items()]
    for n, one in enumerate(values["rounds"]):
        rows += [(f"rounds[{n}].{key}", _shown(value)) for key, value in one.items()]
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "-"
    return "-" if value is None else str(value)
