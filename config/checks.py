"""One key of the configuration against another: what is wrong although each key by itself is right. Pure.

The checks look at the file as it was read, before its shape is known, so that a wrong shape in one place hides no
problem in another; whatever they cannot read, the shape's own check (`config.settings`) has already reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from msgspec import Struct
from pydantic_core import PydanticCustomError

from config.policy import DAYS, Calendar, Duty, applying, parse_hours
from config.settings import (
    Settings,
    is_drama_number,
    is_free_number,
    is_loopback,
    is_sender_name,
    read_number,
    split_listen,
)
from config.tokens import SIGNS_IN

Table = dict[str, Any]

Severity = Literal["error", "warning"]

Code = Literal[
    # the file
    "file_unreadable",
    "file_empty",
    "toml_syntax",
    "unknown_key",
    "missing",
    "wrong_type",
    "out_of_range",
    "bad_value",
    "not_unique",
    # numbers
    "bad_number",
    "emergency_number",
    "drama_number",
    "number_shared",
    "sender_alone",
    "no_number",
    "not_free",
    "rings_itself",
    # hours and people
    "bad_hours",
    "duty_gap",
    "council_gap",
    "never_on_duty",
    "bad_email",
    # policy
    "desk_kind",
    "unknown_policy",
    "policy_value",
    "policy_conflict",
    # words
    "bad_words",
    "long_words",
    # addresses and credentials
    "bad_address",
    "bad_url",
    "secret_in_url",
    "plain_text",
    "board_open",
    "password_needed",
    "bad_hash",
    "bad_time",
    "unknown_desk",
    "unknown_contract",
    "unknown_mapping",
    "host_key",
    "token_device",
    "token_provider",
    "token_person",
    "token_expired",
]
CODES: tuple[Code, ...] = Code.__args__  # type: ignore[attr-defined]


class Problem(Struct, frozen=True, kw_only=True):
    """One thing wrong with the configuration, where it stands, and what was expected there instead.

    `path` is the key path (`desk[0].duty[1].hours`), a place in the text (`line 3, column 5`), or a variable of
    the environment. A *warning* does not keep the daemon from starting.
    """

    path: str
    code: Code
    message: str
    expected: str
    severity: Severity = "error"


# --- one key against another ---


def tables(raw: Table, key: str, at: str = "") -> Iterator[tuple[str, Table]]:
    value, path = raw.get(key), f"{at}.{key}" if at else key
    if isinstance(value, dict):
        yield path, value
    elif isinstance(value, list):
        yield from ((f"{path}[{n}]", item) for n, item in enumerate(value) if isinstance(item, dict))


def texts(raw: Table, key: str, at: str = "") -> Iterator[tuple[str, str]]:
    value, path = raw.get(key), f"{at}.{key}" if at else key
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        yield from ((f"{path}[{n}]", item) for n, item in enumerate(value) if isinstance(item, str))


def _number(text: str) -> str | None:
    try:
        return read_number(text)
    except PydanticCustomError:
        return None  # the shape's own check has said so


def _own_numbers(raw: Table, *keys: str) -> Iterator[tuple[str, str, str]]:
    """Desk, key path and number (E.164) of everything readable in `numbers`, or in the lists named."""
    for at, desk in tables(raw, "desk"):
        for path, text in (found for key in keys or ("numbers",) for found in texts(desk, key, at)):
            if not is_sender_name(text.strip()) and (number := _number(text)) is not None:
                yield at, path, number


def _shared_numbers(raw: Table) -> Iterator[Problem]:
    found = list(_own_numbers(raw, "numbers", "checkin_numbers"))
    desks: dict[str, set[str]] = {}
    for desk, _, number in found:
        desks.setdefault(number, set()).add(desk)
    for _, path, number in found:
        if len(desks[number]) > 1:
            yield Problem(
                path=path,
                code="number_shared",
                message="another desk has this number too, so nobody could say whose an answer is",
                expected="a number of this desk alone",
            )
    for _, own in groupby(found, key=lambda entry: entry[0]):
        yield from _twice([(path, number) for _, path, number in own], "the number")


def _checkin_numbers(raw: Table) -> Iterator[Problem]:
    """Care workers ring these from the service user's line, who must never pay for it (spec 21.1)."""
    found = list(_own_numbers(raw, "checkin_numbers"))
    for _, path, number in found:
        if not is_free_number(number):
            yield Problem(
                path=path,
                code="not_free",
                message="whoever owns the line pays for the call, and that is the service user (spec 21.1)",
                expected="a number that is free to ring: 0800, 0808 or 116",
                severity="warning",
            )
    if found and "twilio" not in raw:
        yield Problem(
            path=found[0][1],
            code="missing",
            message="without [twilio] nobody answers this number",
            expected="a [twilio] table beside it",
        )
    asks_pin = {number for _, _, number in found}
    for at, desk in tables(raw, "desk"):
        for path, text in texts(desk, "telephone", at):
            if _number(text) in asks_pin:
                yield Problem(
                    path=path,
                    code="rings_itself",
                    message="who rings this number for a person is asked for a PIN",
                    expected="a number that a person answers",
                )


def _senders_alone(raw: Table) -> Iterator[Problem]:
    answered = {at for at, _, number in _own_numbers(raw) if number.startswith("+44")}
    for at, desk in tables(raw, "desk"):
        for path, text in texts(desk, "numbers", at):
            if is_sender_name(text.strip()) and at not in answered:
                yield Problem(
                    path=path,
                    code="sender_alone",
                    message="nobody can answer a sender's name, so no question could go out",
                    expected="a +44 number beside it",
                )


def _drama_numbers(raw: Table) -> Iterator[Problem]:
    written = [(path, text) for at, desk in tables(raw, "desk") for path, text in _telephones(desk, at)]
    for path, text in written:
        if is_drama_number(_number(text) or ""):
            yield Problem(
                path=path,
                code="drama_number",
                message="a number kept free for films and tests: it reaches nobody",
                expected="a number that somebody answers, outside a demo or a test",
                severity="warning",
            )


def _telephones(desk: Table, at: str) -> Iterator[tuple[str, str]]:
    yield from texts(desk, "numbers", at)
    yield from texts(desk, "checkin_numbers", at)
    yield from texts(desk, "telephone", at)
    for path, entry in tables(desk, "council_desks", at):
        yield from texts(entry, "phone", path)


def _desks_without_number(raw: Table) -> Iterator[Problem]:
    reachable = {at for at, _, _ in _own_numbers(raw)}
    for at, desk in tables(raw, "desk"):
        if (
            "twilio" in raw
            and desk.get("kind") == "provider"
            and at not in reachable
            and not desk.get("numbers")
        ):
            yield Problem(
                path=f"{at}.numbers",
                code="no_number",
                message="without a number of its own the desk can text and ring nobody",
                expected='numbers = ["+44…"]',
                severity="warning",
            )


def _twice(found: Sequence[tuple[str, str]], what: str) -> Iterator[Problem]:
    seen = set()
    for path, text in found:
        if text in seen:
            yield Problem(
                path=path, code="not_unique", message=f"{what} stands here twice", expected="another one"
            )
        seen.add(text)


def _doubles(raw: Table) -> Iterator[Problem]:
    yield from _twice([text for at, d in tables(raw, "desk") for text in texts(d, "id", at)], "the id")
    yield from _twice([text for at, t in _tokens(raw) for text in texts(t, "hash", at)], "the token")


def _tokens(raw: Table) -> Iterator[tuple[str, Table]]:
    for at, http in tables(raw, "http"):
        yield from tables(http, "token", at)


def _token_desks(raw: Table) -> Iterator[Problem]:
    desks = {text for at, desk in tables(raw, "desk") for _, text in texts(desk, "id", at)}
    for at, token in _tokens(raw):
        for path, desk in texts(token, "desk", at):
            if desk not in desks and not (desk == "*" and token.get("role") == "operator"):
                yield Problem(
                    path=path,
                    code="unknown_desk",
                    message="no desk has this id",
                    expected='the id of a [[desk]], or "*" for an operator of all',
                )


def _token_devices(raw: Table) -> Iterator[Problem]:
    for at, token in _tokens(raw):
        if (token.get("role") == "device") != ("device" in token):
            yield Problem(
                path=f"{at}.device",
                code="token_device",
                message="a device's token names its device, and no other token names one",
                expected='device = "…" with role = "device", and only there',
            )


def _token_providers(raw: Table) -> Iterator[Problem]:
    """A provider's token is one organisation's, at the council to which it bids."""
    of_councils = [(at, desk) for at, desk in tables(raw, "desk") if desk.get("kind") == "council"]
    councils = {text for at, desk in of_councils for _, text in texts(desk, "id", at)}
    for at, token in _tokens(raw):
        if (token.get("role") == "provider") != ("provider" in token):
            yield Problem(
                path=f"{at}.provider",
                code="token_provider",
                message="a provider's token names its provider, and no other token names one",
                expected='provider = "…" with role = "provider", and only there',
            )
        if token.get("role") not in ("provider", "broker"):
            continue
        for path in [path for path, desk in texts(token, "desk", at) if desk not in councils]:
            yield Problem(
                path=path,
                code="token_provider",
                message="brokers and providers have something to do at a council's desk only",
                expected='the id of a [[desk]] of kind = "council"',
                severity="warning",
            )


def _token_people(raw: Table) -> Iterator[Problem]:
    for at, token in _tokens(raw):
        if "person" in token and token.get("role") not in SIGNS_IN:
            yield Problem(
                path=f"{at}.person",
                code="token_person",
                message="no person signs in with a token of this role",
                expected="role = " + ", ".join(f'"{role}"' for role in sorted(SIGNS_IN)),
            )


def _shared_links(raw: Table) -> Iterator[Problem]:
    """Each host would make a key of its own, and know none of another's links."""
    urls = [url for at, store in tables(raw, "store") for _, url in texts(store, "url", at)]
    shared = any(re.match(r"(rediss?|unix):", url) for url in urls)
    councils = any(desk.get("kind") == "council" for _, desk in tables(raw, "desk"))
    if shared and councils and "links" not in raw:
        yield Problem(
            path="links.key_files",
            code="missing",
            message="hosts that share a store do not know each other's links",
            expected="the same key file on each of them",
            severity="warning",
        )


def _phone_keys(raw: Table) -> Iterator[Problem]:
    """A key is one phone's or one desk's: nobody could say which of two was meant."""
    desks = {text for at, desk in tables(raw, "desk") for _, text in texts(desk, "id", at)}
    keys = [entry for at, own in tables(raw, "owntracks") for entry in tables(own, "key", at)]
    for at, key in keys:
        if ("device" in key) == ("desk" in key):
            yield Problem(
                path=f"{at}.device",
                code="bad_value",
                message="a key belongs to one phone or to one desk",
                expected='device = "owntracks:…" or desk = "…", one of them',
            )
        for path, desk in texts(key, "desk", at):
            if desk not in desks:
                yield Problem(
                    path=path,
                    code="unknown_desk",
                    message="no desk has this id",
                    expected="the id of a [[desk]]",
                )
    for name, what in (("device", "a key of the phone"), ("desk", "a key of the desk")):
        yield from _twice([text for at, key in keys for text in texts(key, name, at)], what)


def expired_tokens(settings: Settings | None, now: datetime | None) -> list[Problem]:
    tokens = settings.http.token if settings is not None and now is not None else ()
    return [
        Problem(
            path=f"http.token[{n}].expires",
            code="token_expired",
            message="the token has expired and opens nothing",
            expected="a newer block from `callwatch token`",
            severity="warning",
        )
        for n, token in enumerate(tokens)
        if now is not None and token.expires <= now
    ]


def _open_board(raw: Table) -> Iterator[Problem]:
    http = dict(tables(raw, "http")).get("http", {})
    listen = http.get("listen", "127.0.0.1:8080")
    try:
        host, _ = split_listen(listen)
    except (TypeError, ValueError):
        return  # the shape's own check has said so
    if not is_loopback(host) and "password_hash" not in http:
        yield Problem(
            path="http.password_hash",
            code="password_needed",
            message="others can reach the board, and without a password only secrets of their own open it",
            expected="an argon2id hash, or a listen address on loopback",
            severity="warning",
        )
    elif "password_hash" not in http and not _leads_to_loopback(
        str(http.get("public_url", "http://localhost"))
    ):
        yield Problem(
            path="http.password_hash",
            code="board_open",
            message="a proxy that adds no X-Forwarded-For would open the board to whoever reaches it",
            expected="an argon2id hash: without one the board answers on this machine only",
            severity="warning",
        )


def _webhooks(raw: Table) -> Iterator[Problem]:
    for _, twilio in tables(raw, "twilio"):
        api_url = twilio.get("api_url", "https://api.twilio.com")
        http = dict(tables(raw, "http")).get("http", {})
        if "public_url" not in http and isinstance(api_url, str) and not _leads_to_loopback(api_url):
            yield Problem(
                path="http.public_url",
                code="missing",
                message="the telephone network could not bring answers back",
                expected="the https:// URL under which it reaches this host",
            )


def _leads_to_loopback(url: str) -> bool:
    found = re.match(r"https?://(?:\[([^\]]+)\]|([^/:]+))", url)
    return found is not None and is_loopback(found[1] or found[2])


def _broker(raw: Table) -> Iterator[Problem]:
    for at, mqtt in tables(raw, "mqtt"):
        if "password_file" in mqtt and "username" not in mqtt:
            yield Problem(
                path=f"{at}.username",
                code="missing",
                message="a password goes with a name (MQTT 3.1.1)",
                expected='username = "…"',
            )
        url = mqtt.get("url")
        if not isinstance(url, str) or not url.startswith("mqtt:"):
            continue
        if "ca_file" in mqtt:
            yield Problem(
                path=f"{at}.ca_file",
                code="bad_value",
                message="mqtt:// is not encrypted, so no certificate is looked at",
                expected="mqtts:// with it",
            )
        elif not _leads_to_loopback("http" + url[4:]):
            yield Problem(
                path=f"{at}.url",
                code="plain_text",
                message="positions and passwords cross the network in the clear",
                expected="mqtts://, or a network that nobody else can read",
                severity="warning",
            )


def _shared_store(raw: Table) -> Iterator[Problem]:
    for at, store in tables(raw, "store"):
        url = store.get("url", "sqlite:")
        if not isinstance(url, str):
            continue
        if url == "sqlite:" and "password_file" in store:
            yield _without_server(f"{at}.password_file", "there is no server to give a password to", url)
        if not url.startswith("rediss:") and "ca_file" in store:
            yield _without_server(
                f"{at}.ca_file", "nothing is encrypted, so no certificate is looked at", url
            )
        if "password_file" in store and re.match(r"[a-z]+://[^/@]*:[^/@]+@", url):
            yield Problem(
                path=f"{at}.url",
                code="secret_in_url",
                message="a password stands in the URL and in password_file",
                expected="the URL without it",
            )
        if url.startswith("redis:") and not _leads_to_loopback("http" + re.sub("//.*@", "//", url[5:])):
            yield Problem(
                path=f"{at}.url",
                code="plain_text",
                message="people's details and the password cross the network in the clear",
                expected="rediss://, or a network that nobody else can read",
                severity="warning",
            )


def _without_server(path: str, message: str, url: str) -> Problem:
    expected = "a url of redis:// or rediss:// with it" if url == "sqlite:" else "rediss:// with it"
    return Problem(path=path, code="bad_value", message=message, expected=expected)


def _council_contacts(raw: Table) -> Iterator[Problem]:
    for at, desk in tables(raw, "desk"):
        for path, entry in tables(desk, "council_desks", at):
            if "phone" not in entry and "email" not in entry:
                yield Problem(
                    path=f"{path}.phone",
                    code="missing",
                    message="there is no way to reach it",
                    expected="phone, email or both",
                )
            elif entry.get("machine_calls") is True and "phone" not in entry:
                yield Problem(
                    path=f"{path}.phone",
                    code="missing",
                    message="it has agreed to calls, and there is no telephone",
                    expected="its phone, or no machine_calls",
                )


def _council_names(raw: Table) -> Iterator[Problem]:
    """A contact is known by its name: two of one name with different telephones would ring the wrong council."""
    for at, desk in tables(raw, "desk"):
        known: dict[object, tuple[object, object]] = {}
        for path, entry in tables(desk, "council_desks", at):
            reach = (entry.get("phone"), entry.get("email"))
            if known.setdefault(entry.get("name"), reach) != reach:
                yield Problem(
                    path=f"{path}.name",
                    code="not_unique",
                    message="another contact has this name and is reached in another way",
                    expected="a name of its own",
                )


def _contracts(raw: Table) -> Iterator[Problem]:
    for at, desk in tables(raw, "desk"):
        lines = list(tables(desk, "contracts", at))
        seen: set[tuple[str, str]] = set()
        for path, line in lines:
            which = (str(line.get("id", "")).strip(), str(line.get("client_group", "")).strip())
            if which in seen:
                yield Problem(
                    path=f"{path}.id",
                    code="not_unique",
                    message="the contract stands here twice for the same people",
                    expected="another id, or a client_group of its own",
                )
            seen.add(which)
        yield from _named_contracts(desk, at, {contract for contract, _ in seen})


def _named_contracts(desk: Table, at: str, known: set[str]) -> Iterator[Problem]:
    for path, entry in tables(desk, "council_desks", at) if known else ():
        for where, text in texts(entry, "contract", path):
            if text.strip() not in known:
                yield Problem(
                    path=where,
                    code="unknown_contract",
                    message="no contract of this desk has this id",
                    expected="the id of one of its contracts",
                    severity="warning",
                )


# --- hours of a list together ---

_MONDAY = date(2001, 1, 1)  # any Monday well away from bank holidays; only its weekday matters


def _duty_hours(raw: Table) -> Iterator[Problem]:
    for at, desk in tables(raw, "desk"):
        # who sees to referrals has hours of their own: outside them whoever is on duty does
        lines = [(path, line) for path, line in tables(desk, "duty", at) if line.get("role") != "referrals"]
        if lines or desk.get("kind") == "provider":
            yield from _hours_together(lines, f"{at}.duty", "duty_gap", "nobody is on duty")


def _council_hours(raw: Table) -> Iterator[Problem]:
    for at, desk in tables(raw, "desk"):
        lines = list(tables(desk, "council_desks", at))
        everybody = [(path, line) for path, line in lines if "client_group" not in line]
        for contract in dict.fromkeys(str(line.get("contract", "")) for _, line in everybody):
            same = [(path, line) for path, line in everybody if str(line.get("contract", "")) == contract]
            yield from _hours_together(same, f"{at}.council_desks", "council_gap", "no council desk answers")


def _hours_together(
    lines: Sequence[tuple[str, Table]], at: str, code: Code, message: str
) -> Iterator[Problem]:
    texts = [line.get("hours") for _, line in lines]
    if not all(_is_hours(text) for text in texts):
        return  # the shape's own check has said so, and a gap may only be its shadow
    entries = tuple(Duty(person="", role="office", hours=str(text)) for text in texts)
    gap = next(_gaps(entries), None)
    if gap is not None:
        expected = 'an entry for every hour, or one with hours = "otherwise"'
        yield Problem(path=at, code=code, message=f"{message} {gap}", expected=expected, severity="warning")
    timed = tuple(entry for entry in entries if not parse_hours(entry.hours).otherwise)
    if timed and len(timed) < len(entries) and next(_gaps(timed), None) is None:
        yield from (_never(path) for path, line in lines if parse_hours(line["hours"]).otherwise)


def _never(path: str) -> Problem:
    return Problem(
        path=f"{path}.hours",
        code="never_on_duty",
        message="the other entries cover every hour, so this one never applies",
        expected='hours of its own; "otherwise" means when no entry with hours applies',
        severity="warning",
    )


def _is_hours(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(parse_hours(text))
    except ValueError:
        return False


def _gaps(entries: tuple[Duty, ...]) -> Iterator[str]:
    """Each moment at which coverage may change and nobody is there: in a normal week, then around a bank holiday."""
    minutes = _boundaries(entries)
    week = [_MONDAY + timedelta(days=n) for n in range(7, 14)]
    yield from _gaps_on(entries, week, minutes, None)
    for holiday in week[:5]:  # England keeps none on a Saturday or Sunday
        yield from _gaps_on(entries, [holiday, holiday + timedelta(days=1)], minutes, holiday)


def _gaps_on(
    entries: tuple[Duty, ...], days: Sequence[date], minutes: Sequence[int], holiday: date | None
) -> Iterator[str]:
    calendar = Calendar(zone="UTC", holidays=frozenset({holiday} if holiday else ()))
    when = f" if {DAYS[holiday.weekday()]} is a bank holiday" if holiday else ""
    for day in days:
        for minute in minutes:
            at = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=UTC)
            if not applying(entries, at, calendar):
                yield f"on {DAYS[day.weekday()]} at {at:%H:%M}{when}"


def _boundaries(entries: tuple[Duty, ...]) -> list[int]:
    spans = [span for entry in entries for span in parse_hours(entry.hours).spans]
    return sorted({0, *(span.start for span in spans), *(span.until % 1440 for span in spans)})


CHECKS = (
    _shared_numbers,
    _checkin_numbers,
    _senders_alone,
    _drama_numbers,
    _desks_without_number,
    _doubles,
    _token_desks,
    _token_devices,
    _token_providers,
    _token_people,
    _shared_links,
    _phone_keys,
    _open_board,
    _webhooks,
    _broker,
    _shared_store,
    _council_contacts,
    _council_names,
    _contracts,
    _duty_hours,
    _council_hours,
)
