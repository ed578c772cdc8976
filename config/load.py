"""The only reader of files and of the environment: one configuration in, values or every problem at once out.

A configuration is used whole or not at all. `load` never stops at the first problem and never raises for one; it
repeats no secret, no number and no name. Relative paths are relative to the file's own folder.
"""

from __future__ import annotations

import os
import re
import ssl
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from config.checks import CHECKS, Code, Table, expired_tokens, tables, texts
from config.checks import CODES as CODES
from config.checks import Problem as Problem
from config.file_checks import FILE_CHECKS
from config.placing import PLACEMENT_KINDS, PlacementKind, PlacingPolicy, decode_placing
from config.placing_checks import (
    COUNCIL_KEYS,
    PLACING_CHECKS,
    conflicts,
    described,
    laid_over,
    missing,
    unknown_areas,
    wrong_values,
)
from config.policy import (
    Contract,
    DeskKind,
    DutyRole,
    Policy,
    PublicMode,
    decode_policy,
    describe_policy,
    policy_conflicts,
    policy_problems,
)
from config.settings import Desk, Feed, Settings, is_sender_name


class DutyEntry(Struct, frozen=True, kw_only=True):
    """One line of the duty list, with the outside id of the person."""

    person: str
    role: DutyRole
    hours: str


class CouncilDeskEntry(Struct, frozen=True, kw_only=True):
    """One council contact as configured: `phone` in E.164; at least one of phone and e-mail is there."""

    name: str
    phone: str | None
    email: str | None
    hours: str
    contract: str | None
    client_group: str | None = None
    machine_calls: bool = False
    """It has agreed to calls that the machine makes by itself."""


class AreaEntry(Struct, frozen=True, kw_only=True):
    """One area of a council's desk, with its name for people."""

    id: str
    name: str
    wards: tuple[str, ...] = ()
    ward_names: dict[str, str] = {}
    """For people, by the id of the ward; one without a name is shown by its id, as words."""


def ward_names(areas: Iterable[AreaEntry]) -> dict[str, str]:
    """The names of a desk's wards, by id: a ward is in one area."""
    return {ward: name for area in areas for ward, name in area.ward_names.items()}


class DeskConfig(Struct, frozen=True, kw_only=True):
    """Everything the composition root needs to know of one desk."""

    id: str
    kind: DeskKind
    name: str
    policy: Policy
    public: PublicMode
    numbers: tuple[str, ...]
    """E.164, in the order of the file; these take answers."""
    sender_name: str | None
    """An alphanumeric sender for texts that ask nothing; nobody can answer it."""
    telephone: str | None
    """E.164: a person answers it; `{tel}` in messages."""
    duty: tuple[DutyEntry, ...]
    council_desks: tuple[CouncilDeskEntry, ...]
    checkin_numbers: tuple[str, ...] = ()
    """E.164: care workers check in by ringing these (decision 0012)."""
    contracts: tuple[Contract, ...] = ()
    """Those whose terms differ from the desk's own, or that have no council behind them."""
    wording: dict[str, Any] = {}
    """The desk's own words, as they stand in its file; `monitor.wording_file` lays them over the shipped ones."""
    placing: dict[PlacementKind, PlacingPolicy] = {}
    """How a council's desk places packages, by kind; empty: it takes none."""
    areas: tuple[AreaEntry, ...] = ()
    mailbox: str | None = None
    """The brokerage mailbox: a copy of every bid goes there."""


class DeskWords(Struct, frozen=True, kw_only=True):
    """What a desk's own words are checked with: where they stand, and what fills {agency} and {tel}."""

    path: str
    name: str
    telephone: str
    kind: str = "provider"
    wording: dict[str, Any] = {}


class Secrets(Struct, frozen=True, kw_only=True):
    """What the secret files hold, read anew at each load; `SecretStr` keeps them out of any repr and log."""

    mqtt_password: SecretStr | None = None
    store_password: SecretStr | None = None
    twilio_tokens: tuple[SecretStr, ...] = ()
    """Current, then previous."""
    links: tuple[SecretStr, ...] = ()
    """What signs our links: current, then previous. Without any the daemon makes one and keeps it."""
    feeds: dict[str, SecretStr] = {}
    """By feed's name: password or bearer token."""
    keys_of_devices: dict[str, SecretStr] = {}
    """OwnTracks' shared keys, by the phone's id."""
    keys_of_desks: dict[str, SecretStr] = {}


Placing = dict[PlacementKind, PlacingPolicy]


class Loaded(Struct, frozen=True, kw_only=True):
    """A configuration: usable (`settings` is there, at most warnings) or not (`settings` is None)."""

    settings: Settings | None = None
    desks: tuple[DeskConfig, ...] = ()
    problems: tuple[Problem, ...] = ()
    secrets: Secrets = Secrets()
    words: tuple[DeskWords, ...] = ()
    """Of each desk, also while something else is wrong. Whether they may be said is not known on this floor."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What keeps it from being used."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What a person should look at; it is used all the same."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")


def load(
    path: Path | str, environ: Mapping[str, str] | None = None, *, now: datetime | None = None
) -> Loaded:
    """The configuration in a file, with what the environment says over it (the process's own unless given).

    Never raises: a file that cannot be read is a problem too. With `now`, expired tokens are warned about.
    """
    file = Path(path)
    try:
        text = _decode(file.read_bytes())
    except OSError as error:
        return Loaded(problems=(_unreadable("", error.strerror or "cannot be read"),))
    except UnicodeDecodeError:
        return Loaded(problems=(_not_utf8(""),))
    return load_text(text, file.parent, environ, now=now)


def load_text(
    text: str, folder: Path | str, environ: Mapping[str, str] | None = None, *, now: datetime | None = None
) -> Loaded:
    """The same from text, for the demo and for tests; `folder` is where relative paths begin."""
    raw, syntax = _read_toml(text)
    if syntax is not None:
        return Loaded(problems=(syntax,))
    raw, variables, problems = _over(raw, os.environ if environ is None else environ)
    settings, shape = _read_settings(raw, variables)
    policies, policy = _read_policies(raw, Path(folder).absolute())
    placing, unplaced = _read_placing(raw, Path(folder).absolute())
    secrets, unread = _read_secrets(raw, Path(folder).absolute())
    words, unworded = _read_words(raw, Path(folder).absolute())
    problems += [*shape, *policy, *unplaced, *unread, *unworded]
    problems += [problem for check in (*CHECKS, *FILE_CHECKS, *PLACING_CHECKS) for problem in check(raw)]
    problems += expired_tokens(settings, now)
    finished = _finish(settings, policies, placing, secrets, words, problems, Path(folder).absolute())
    return msgspec.structs.replace(finished, words=words)


def _finish(
    settings: Settings | None,
    policies: Mapping[str, Policy],
    placing: Mapping[str, Placing],
    secrets: Secrets,
    words: tuple[DeskWords, ...],
    problems: list[Problem],
    folder: Path,
) -> Loaded:
    ordered = tuple(sorted(problems, key=in_order))
    if settings is None or any(problem.severity == "error" for problem in problems):
        return Loaded(problems=ordered)
    desks = tuple(
        _desk_config(desk, policies, placing, f"desk[{n}]", own.wording)
        for n, (desk, own) in enumerate(zip(settings.desk, words, strict=True))
    )
    return Loaded(settings=_absolute(settings, folder), desks=desks, problems=ordered, secrets=secrets)


def in_order(problem: Problem) -> tuple[bool, list[tuple[bool, int, str]], str]:
    # desk[10] stands after desk[2]
    parts = re.findall(r"[0-9]+|[^0-9]+", problem.path)
    natural = [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
    return problem.severity == "warning", natural, problem.code


def _desk_config(
    desk: Desk, policies: Mapping[str, Policy], placing: Mapping[str, Placing], at: str, wording: Table
) -> DeskConfig:
    senders = [number for number in desk.numbers if is_sender_name(number)]
    numbers = tuple(number for number in desk.numbers if not is_sender_name(number))
    return DeskConfig(
        id=desk.id,
        kind=desk.kind,
        name=desk.name,
        policy=policies[at],
        public=desk.public,
        numbers=numbers,
        sender_name=senders[0] if senders else None,
        telephone=desk.telephone or (numbers[0] if numbers else None),
        duty=tuple(DutyEntry(**line.model_dump()) for line in desk.duty),
        council_desks=tuple(CouncilDeskEntry(**line.model_dump()) for line in desk.council_desks),
        checkin_numbers=desk.checkin_numbers,
        contracts=tuple(
            Contract(
                id=line.id,
                client_group=line.client_group,
                council=line.council,
                policy=policies[f"{at}.contracts[{n}]"],
            )
            for n, line in enumerate(desk.contracts)
        ),
        wording=wording,
        placing=placing.get(at, {}),
        areas=tuple(AreaEntry(**line.model_dump()) for line in desk.areas),
        mailbox=desk.mailbox,
    )


def _absolute(settings: Settings, folder: Path) -> Settings:
    update: dict[str, Any] = {"data_dir": folder / settings.data_dir}
    if (mqtt := settings.mqtt) is not None:
        files = {name: getattr(mqtt, name) for name in ("password_file", "ca_file")}
        update["mqtt"] = mqtt.model_copy(update={k: folder / v for k, v in files.items() if v is not None})
    files = {name: getattr(settings.store, name) for name in ("password_file", "ca_file")}
    update["store"] = settings.store.model_copy(
        update={k: folder / v for k, v in files.items() if v is not None}
    )
    if (twilio := settings.twilio) is not None:
        tokens = tuple(folder / file for file in twilio.auth_token_files)
        update["twilio"] = twilio.model_copy(update={"auth_token_files": tokens})
    if (links := settings.links) is not None:
        keys = tuple(folder / file for file in links.key_files)
        update["links"] = links.model_copy(update={"key_files": keys})
    update["feed"] = tuple(_absolute_feed(feed, folder) for feed in settings.feed)
    return settings.model_copy(update=update)


def _absolute_feed(feed: Feed, folder: Path) -> Feed:
    files = {name: getattr(feed, name) for name in FEED_FILES}
    update: dict[str, Any] = {name: folder / file for name, file in files.items() if file is not None}
    if feed.kind == "folder" and feed.path is not None:
        update["path"] = str(folder / feed.path)
    return feed.model_copy(update=update)


FEED_FILES = ("key_file", "password_file", "known_hosts", "token_file", "ca_file")


# --- text ---


def _decode(body: bytes) -> str:
    return body.decode("utf-8-sig")  # Windows editors put a mark in front, which TOML does not know


def _unreadable(path: str, why: str) -> Problem:
    return Problem(path=path, code="file_unreadable", message=why, expected="a file that can be read")


def _not_utf8(path: str) -> Problem:
    return Problem(path=path, code="toml_syntax", message="the file is not UTF-8", expected="TOML in UTF-8")


def _read_toml(text: str) -> tuple[Table, Problem | None]:
    try:
        return tomllib.loads(text), None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = where.groups() if where else (text.count("\n") + 1, 1)
        return {}, Problem(
            path=f"line {line}, column {column}",
            code="toml_syntax",
            message=re.sub(r" \(at .*\)$", "", str(error)),
            expected="TOML (https://toml.io)",
        )
    except RecursionError:
        return {}, Problem(path="", code="toml_syntax", message="nested too deeply", expected="flat TOML")


# --- the environment ---

_PREFIX = "CALLWATCH_"
_NOT_SETTINGS = {"CALLWATCH_TOKEN"}  # the command line's own credential


class _Environment(Settings, BaseSettings):
    """The same keys, as the environment spells them; only its fields are looked at, it is never made."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__")


def _over(raw: Table, environ: Mapping[str, str]) -> tuple[Table, dict[str, str], list[Problem]]:
    variables: dict[str, str] = {}
    problems = []
    for name in sorted(set(environ) - _NOT_SETTINGS):
        if not name.upper().startswith(_PREFIX):
            continue
        try:
            part = _from_environment(name, environ[name])
        except (SettingsError, ValueError):
            problems.append(_bad_variable(name))
            continue
        if not part:
            problems.append(_unknown_variable(name))
        variables |= dict.fromkeys(_leaves(part), name)
        raw = _merge(raw, part)
    return raw, variables, problems


def _from_environment(name: str, value: str) -> Table:
    source = EnvSettingsSource(_Environment)
    # one variable at a time, so that one that cannot be read hides no other
    source.env_vars = {name.lower(): value}
    return source()


def _bad_variable(name: str) -> Problem:
    return Problem(
        path=name,
        code="bad_value",
        message="cannot be read as JSON",
        expected='JSON for a list or table, such as ["a", "b"]',
    )


def _unknown_variable(name: str) -> Problem:
    # a container host makes variables of this prefix for a service called callwatch: no reason not to start
    return Problem(
        path=name,
        code="unknown_key",
        message="no such setting; the variable is ignored",
        expected="CALLWATCH_ and a key path with __ between its parts, such as CALLWATCH_HTTP__LISTEN",
        severity="warning",
    )


def _leaves(table: Any, at: str = "") -> Iterator[str]:
    if not isinstance(table, dict):
        yield at
        return
    for key, value in table.items():
        yield from _leaves(value, f"{at}.{key}" if at else key)


def _merge(below: Table, above: Table) -> Table:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


# --- shape ---


def _read_settings(raw: Table, variables: Mapping[str, str]) -> tuple[Settings | None, list[Problem]]:
    try:
        return Settings.model_validate(raw), []
    except ValidationError as error:
        return None, [
            _shape_problem(detail, variables)
            for detail in error.errors(include_url=False, include_input=False)
        ]


def _shape_problem(detail: ErrorDetails, variables: Mapping[str, str]) -> Problem:
    path, code = _key_path(detail["loc"]), _code(detail["type"])
    is_ours = detail["type"] in CODES and "expected" in detail.get("ctx", {})
    message = detail["msg"] if is_ours else _MESSAGES[code]
    if (name := variables.get(path)) is not None:
        message += f" (set by {name})"
    return Problem(path=path, code=code, message=message, expected=_expected(detail))


def _key_path(loc: Sequence[int | str]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


_MESSAGES: dict[Code, str] = {
    "missing": "not there",
    "unknown_key": "unknown key",
    "wrong_type": "another kind of value than expected",
    "out_of_range": "outside of what is allowed",
    "bad_value": "not an allowed value",
}
_BY_TYPE: dict[str, tuple[Code, str]] = {
    "missing": ("missing", "this key"),
    "string_type": ("wrong_type", "text in quotes"),
    "path_type": ("wrong_type", "a path in quotes"),
    "float_type": ("wrong_type", "a number"),
    "float_parsing": ("wrong_type", "a number"),
    "int_type": ("wrong_type", "a whole number"),
    "int_parsing": ("wrong_type", "a whole number"),
    "int_from_float": ("wrong_type", "a whole number"),
    "tuple_type": ("wrong_type", "a list"),
    "dict_type": ("wrong_type", "a table"),
    "model_type": ("wrong_type", "a table"),
    "greater_than": ("out_of_range", "a number above {gt:g}"),
    "greater_than_equal": ("out_of_range", "a number from {ge:g} on"),
    "less_than_equal": ("out_of_range", "a number up to {le:g}"),
    "finite_number": ("out_of_range", "a finite number"),
    "too_long": ("out_of_range", "at most {max_length} of them"),
    "string_too_long": ("out_of_range", "at most {max_length} characters"),
    "literal_error": ("bad_value", ""),  # what is expected comes with it
}
_PATTERNS = {
    "id": "1 to 40 of a-z, 0-9 and -",
    "account_sid": "the account's SID: AC and the letters and digits after it",
    "client_id": "1 to 64 letters, digits, _ and -",
    "host": "the name or address of a host",
}


def _code(kind: str) -> Code:
    if kind == "extra_forbidden":
        return "unknown_key"
    if kind in _BY_TYPE:
        return _BY_TYPE[kind][0]
    return msgspec.convert(kind, Code) if kind in CODES else "bad_value"


def _expected(detail: ErrorDetails) -> str:
    context = detail.get("ctx") or {}
    if detail["type"] == "extra_forbidden":
        return "one of " + ", ".join(_keys_at(detail["loc"][:-1]))
    if detail["type"] in _BY_TYPE and "expected" not in context:
        return _BY_TYPE[detail["type"]][1].format(**context)
    if detail["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(str(detail["loc"][-1]), "another value")
    return str(context.get("expected", "another value; see docs/configuration.md"))


def _keys_at(loc: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in loc:
        if isinstance(part, str):
            model = _inner_model(model.model_fields[part].annotation)
    return [field.alias or name for name, field in model.model_fields.items()]


def _inner_model(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_inner_model(inner) for inner in get_args(annotation) if inner is not type(None))


# --- policies ---

SHIPPED = Path(__file__).with_name("policies")


class PolicyRefused(ValueError):
    """A policy that is not there or cannot be read; `problems` says all of it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))
        self.problems = problems


def shipped_policies() -> tuple[str, ...]:
    """The names of the policies that come with the program."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.toml")))


def policy_named(name_or_path: str, folder: Path | str = ".") -> Policy:
    """A shipped policy by its name, or one by the path of its TOML file. Raises PolicyRefused."""
    policy, problems = _policy_named(name_or_path, Path(folder))
    if policy is None:
        raise PolicyRefused(tuple(problems))
    return policy


def describe(name_or_path: str, folder: Path | str = ".") -> str:
    """The text of `check-config --policy`: a line for each key with value, clause, meaning. Raises PolicyRefused."""
    fields = describe_policy(policy_named(name_or_path, folder))
    rows = [("key", "value", "clause", "meaning"), *((f.name, f.value, f.clause, f.meaning) for f in fields)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )


def describe_placing(name_or_path: str, folder: Path | str = ".") -> list[tuple[str, str]]:
    """Every key of a placing policy with its value, round by round; empty where there is none of this name. Raises
    PolicyRefused for one that cannot be read."""
    if not name_or_path.endswith(".toml") and name_or_path not in shipped_placing():
        return []
    values, problems = _placing_named(name_or_path, Path(folder), "placing")
    if "rounds" not in values and not problems:
        return []  # the file of a policy that is about visits
    problems += [wrong.at("placing") for wrong in wrong_values(values)]
    if problems:
        raise PolicyRefused(tuple(problems))
    return described(decode_placing(values))


def _policy_named(name: str, folder: Path, at: str = "policy") -> tuple[Policy | None, list[Problem]]:
    file = folder / name if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    if not name.endswith(".toml") and name not in shipped_policies():
        return None, [_unknown_policy(at, shipped_policies())]
    text, unread = _read_text(file, at)
    if unread is not None:
        return None, [unread]
    values, syntax = _read_toml(text)
    if syntax is not None:
        message = f"{syntax.message}, in the policy at {syntax.path}"
        return None, [Problem(path=at, code="toml_syntax", message=message, expected=syntax.expected)]
    problems = _policy_problems(values, at)
    return (None, problems) if problems else (decode_policy(values), [])


def _read_words(raw: Table, folder: Path) -> tuple[tuple[DeskWords, ...], list[Problem]]:
    found: list[DeskWords] = []
    problems: list[Problem] = []
    for at, desk in tables(raw, "desk"):
        table: Table = {}
        for path, name in texts(desk, "wording", at):
            text, unread = _read_text(folder / name, path)
            table, syntax = _read_toml(text) if unread is None else ({}, None)
            if syntax is not None:
                message = f"{syntax.message}, in the words at {syntax.path}"
                unread = Problem(path=path, code="toml_syntax", message=message, expected=syntax.expected)
            problems += [unread] if unread is not None else []
        agency, telephone = desk.get("name"), desk.get("telephone")
        found.append(
            DeskWords(
                path=at,
                name=agency if isinstance(agency, str) else "",
                telephone=telephone if isinstance(telephone, str) else "",
                kind="council" if desk.get("kind") == "council" else "provider",
                wording=table,
            )
        )
    return tuple(found), problems


def _unknown_policy(at: str, shipped: Sequence[str]) -> Problem:
    return Problem(
        path=at,
        code="unknown_policy",
        message="no policy has this name",
        expected=f"one of {', '.join(shipped)}, or the path of a file that ends in .toml",
    )


def _policy_problems(values: Mapping[str, Any], at: str) -> list[Problem]:
    return [
        Problem(
            path=f"{at}.{key}",
            code="unknown_key" if message == "unknown key" else "policy_value",
            message=message,
            expected=expected,
        )
        for key, message, expected in policy_problems(values)
    ]


def _read_policies(raw: Table, folder: Path) -> tuple[dict[str, Policy], list[Problem]]:
    policies, problems = {}, []
    for at, desk in tables(raw, "desk"):
        name = desk.get("policy", Desk.model_fields["policy"].default)
        own, wrong = _policy_over(desk, name, None, at, folder)
        problems += wrong
        if own is not None:
            policies[at] = own
        for path, contract in tables(desk, "contracts", at):
            terms, wrong = _policy_over(contract, contract.get("policy"), own, path, folder)
            problems += [*wrong, *_of_the_desk(contract, path)]
            if terms is not None and own is not None:
                kept = {key: getattr(own, key) for key in OF_THE_DESK}
                policies[path] = msgspec.structs.replace(terms, **kept)
    return policies, problems


# --- how a council places packages ---

SHIPPED_PLACING = Path(__file__).with_name("placing_policies")


def shipped_placing() -> tuple[str, ...]:
    """The names of the placing policies that come with the program."""
    return tuple(sorted(file.stem for file in SHIPPED_PLACING.glob("*.toml")))


def _read_placing(raw: Table, folder: Path) -> tuple[dict[str, Placing], list[Problem]]:
    """By the key path of a council's desk."""
    found: dict[str, Placing] = {}
    problems: list[Problem] = []
    for at, desk in tables(raw, "desk"):
        if desk.get("kind") == "council":
            found[at], wrong = _placing_of(desk, at, folder)
            problems += wrong
    return found, list(dict.fromkeys(problems))


def _placing_of(desk: Table, at: str, folder: Path) -> tuple[Placing, list[Problem]]:
    """A kind of which nothing is said follows `standard`."""
    named, own = (_table_of(desk, key) for key in ("placing", "placing_overrides"))
    named = _default_placing(desk) | named
    areas = [text for _, area in tables(desk, "areas") for _, text in texts(area, "id")]
    placing: Placing = {}
    problems: list[Problem] = []
    for kind in PLACEMENT_KINDS:
        said = kind if kind in named else "standard"
        over = kind if kind in own or kind in named else "standard"
        if not isinstance(named.get(said), str):
            continue  # nothing is said, or the shape's own check has said so
        values, wrong = _placing_named(named[said], folder, f"{at}.placing.{said}")
        if not wrong:
            policy, wrong = _placing_over(
                values, _table_of(own, over), f"{at}.placing.{said}", f"{at}.placing_overrides.{over}"
            )
            if policy is not None:
                placing[kind] = policy
                wrong += unknown_areas(policy, areas, f"{at}.placing.{said}")
        problems += wrong
    if not named and any(key in desk for key in COUNCIL_KEYS):
        expected = f"one of {', '.join(shipped_placing())}, or the path of a file that ends in .toml"
        problems.append(missing(f"{at}.placing.standard", "no package could be taken", expected))
    return placing, problems


def _table_of(table: Table, key: str) -> Table:
    value = table.get(key, {})
    return value if isinstance(value, dict) else {}  # the shape's own check has said so


def _default_placing(desk: Table) -> Table:
    """The shipped placing policies that are called like the desk's policy, by kind."""
    name, shipped = desk.get("policy", Desk.model_fields["policy"].default), shipped_placing()
    if name not in shipped or "placing" in desk:
        return {}
    return {"standard": name} | {
        kind: f"{name}-{kind}" for kind in PLACEMENT_KINDS if f"{name}-{kind}" in shipped
    }


def _placing_named(name: str, folder: Path, at: str) -> tuple[Table, list[Problem]]:
    file = folder / name if name.endswith(".toml") else SHIPPED_PLACING / f"{name}.toml"
    if not name.endswith(".toml") and name not in shipped_placing():
        return {}, [_unknown_policy(at, shipped_placing())]
    text, unread = _read_text(file, at)
    if unread is not None:
        return {}, [unread]
    values, syntax = _read_toml(text)
    if syntax is not None:
        message = f"{syntax.message}, in the policy at {syntax.path}"
        return {}, [Problem(path=at, code="toml_syntax", message=message, expected=syntax.expected)]
    return values, []


def _placing_over(
    values: Table, overrides: Table, at: str, over: str
) -> tuple[PlacingPolicy | None, list[Problem]]:
    """The policy with the desk's own keys over it."""
    problems = [wrong.at(at) for wrong in wrong_values(values)]
    merged, mine = laid_over(values, overrides)
    if not problems and not mine:
        mine = [wrong for wrong in wrong_values(merged) if overrides]
    problems += [wrong.at(over) for wrong in mine]
    if problems:
        return None, problems
    policy = decode_placing(merged)
    senseless = [wrong.at(over if overrides else at) for wrong in conflicts(policy)]
    return policy, senseless


OF_THE_DESK = ("zone", "rota_old_after", "rota_look_at", "closes_after", "position_kept", "practice_first")
"""Keys that no contract can have of its own: they are about the desk as a whole."""


def _of_the_desk(contract: Table, at: str) -> Iterator[Problem]:
    overrides = contract.get("overrides", {})
    for key in OF_THE_DESK if isinstance(overrides, dict) else ():
        if key in overrides:
            yield Problem(
                path=f"{at}.overrides.{key}",
                code="policy_value",
                message="this is the desk's as a whole, and no contract has one of its own",
                expected="the key under the desk's own overrides",
            )


def _policy_over(
    table: Table, name: Any, base: Policy | None, at: str, folder: Path
) -> tuple[Policy | None, list[Problem]]:
    """The policy of that name, else `base`, with the table's overrides over it."""
    overrides = table.get("overrides", {})
    overrides = overrides if isinstance(overrides, dict) else {}  # the shape's own check has said so
    problems: list[Problem] = []
    if isinstance(name, str):
        base, problems = _policy_named(name, folder, f"{at}.policy")
    elif name is not None:
        base = None
    problems += _policy_problems(overrides, f"{at}.overrides")
    if base is None or problems:
        return None, problems
    policy = decode_policy(overrides, base)
    return policy, [
        Problem(
            path=f"{at}.overrides.{key}" if overrides else f"{at}.policy.{key}",
            code="policy_conflict",
            message=message,
            expected=expected,
            severity="warning",
        )
        for key, message, expected in policy_conflicts(policy)
    ]


# --- files ---

_MOST_BYTES = 1 << 20


def _read_text(file: Path, at: str) -> tuple[str, Problem | None]:
    try:
        if not file.is_file():  # a pipe would make us wait for ever
            return "", _unreadable(at, "there is no such file")
        with file.open("rb") as opened:
            body = opened.read(_MOST_BYTES + 1)
        text = _decode(body)
    except OSError as error:
        return "", _unreadable(at, error.strerror or "cannot be read")
    except ValueError:
        return "", _unreadable(at, "the file is not text in UTF-8")
    if len(body) > _MOST_BYTES:
        return "", _unreadable(at, "the file is larger than 1 MiB")
    return text, None


def _read_secrets(raw: Table, folder: Path) -> tuple[Secrets, list[Problem]]:
    password, problems = _read_secret_list(raw, "mqtt", "password_file", folder)
    store, others = _read_secret_list(raw, "store", "password_file", folder)
    tokens, more = _read_secret_list(raw, "twilio", "auth_token_files", folder)
    links, short = _read_link_keys(raw, folder)
    feeds, wrong = _feed_secrets(raw, folder)
    keys, unread = _read_phone_keys(raw, folder)
    problems += [
        *others,
        *more,
        *short,
        *wrong,
        *unread,
        *_certificates(raw, folder),
        *_data_dir(raw, folder),
        *_host_keys(raw, folder),
    ]
    secrets = Secrets(
        mqtt_password=password[0] if password else None,
        store_password=store[0] if store else None,
        twilio_tokens=tuple(tokens),
        links=tuple(links),
        feeds=feeds,
        keys_of_devices=keys["device"],
        keys_of_desks=keys["desk"],
    )
    return secrets, problems


_LINK_KEY_BYTES = 32
"""As `connectors.links` wants them."""


def _read_link_keys(raw: Table, folder: Path) -> tuple[list[SecretStr], list[Problem]]:
    found, problems = _read_secret_list(raw, "links", "key_files", folder)
    if any(len(key.get_secret_value().encode()) < _LINK_KEY_BYTES for key in found):
        problems.append(
            Problem(
                path="links.key_files",
                code="out_of_range",
                message="a key is too short: whoever guesses it makes links of their own",
                expected=f"at least {_LINK_KEY_BYTES} bytes, such as `openssl rand -base64 32` prints",
            )
        )
    return found, problems


def _feed_secrets(raw: Table, folder: Path) -> tuple[dict[str, SecretStr], list[Problem]]:
    secrets, problems = {}, []
    for at, feed in tables(raw, "feed"):
        for key in ("password_file", "token_file"):
            found, wrong = _secrets_in(feed, at, key, folder)
            problems += wrong
            if found:
                secrets[str(feed.get("name"))] = found[0]
        for path, name in texts(feed, "key_file", at):
            _, unread = _read_text(folder / name, path)
            problems += [unread] if unread else []
    return secrets, problems


def _host_keys(raw: Table, folder: Path) -> Iterator[Problem]:
    """The server's key must be known beforehand: whom one trusts at first sight may be anybody."""
    for at, feed in tables(raw, "feed"):
        for path, name in texts(feed, "known_hosts", at):
            text, unread = _read_text(folder / name, path)
            if unread is not None:
                yield unread
            elif not _knows_host(text, feed.get("host"), feed.get("port", 22)):
                yield Problem(
                    path=path,
                    code="host_key",
                    message="no key of the feed's host is in it, or it cannot be read",
                    expected="lines as ssh-keyscan prints them, compared with what the server's owner says",
                )


def _knows_host(text: str, host: Any, port: Any) -> bool:
    if not isinstance(host, str) or not isinstance(port, int):
        return True  # the shape's own check has said so
    import asyncssh  # a third of a second to import, and most hosts pull nothing over SFTP

    try:
        found = asyncssh.import_known_hosts(text).match(host, "", port)
    except ValueError:
        return False
    return bool(found[0] or found[1])


_KEY_BYTES = 32
"""What OwnTracks' boxes take; the apps cut a longer key without a word."""


def _read_phone_keys(raw: Table, folder: Path) -> tuple[dict[str, dict[str, SecretStr]], list[Problem]]:
    keys: dict[str, dict[str, SecretStr]] = {"device": {}, "desk": {}}
    problems: list[Problem] = []
    for at, own in tables(raw, "owntracks"):
        for path, entry in tables(own, "key", at):
            found, wrong = _secrets_in(entry, path, "file", folder)
            problems += wrong
            if found and len(found[0].get_secret_value().encode()) > _KEY_BYTES:
                problems.append(
                    Problem(
                        path=f"{path}.file",
                        code="out_of_range",
                        message="the key is longer than the phones can use",
                        expected=f"at most {_KEY_BYTES} bytes",
                    )
                )
            for name in keys:
                keys[name] |= {text: found[0] for _, text in texts(entry, name) if found}
    return keys, problems


def _read_secret_list(
    raw: Table, table: str, key: str, folder: Path
) -> tuple[list[SecretStr], list[Problem]]:
    secrets: list[SecretStr] = []
    problems: list[Problem] = []
    for at, section in tables(raw, table):
        found, wrong = _secrets_in(section, at, key, folder)
        secrets, problems = secrets + found, problems + wrong
    return secrets, problems


def _secrets_in(section: Table, at: str, key: str, folder: Path) -> tuple[list[SecretStr], list[Problem]]:
    secrets, problems = [], []
    for path, name in texts(section, key, at):
        text, unread = _read_text(folder / name, path)
        secret = text.strip()
        if unread is None and not secret:
            unread = Problem(path=path, code="file_empty", message="nothing is in it", expected="one secret")
        problems += [unread] if unread else []
        secrets += [] if unread else [SecretStr(secret)]
    return secrets, problems


def _certificates(raw: Table, folder: Path) -> Iterator[Problem]:
    for at, section in (*tables(raw, "mqtt"), *tables(raw, "store"), *tables(raw, "feed")):
        for path, name in texts(section, "ca_file", at):
            text, unread = _read_text(folder / name, path)
            if unread is not None:
                yield unread
            elif not _are_certificates(text):
                yield Problem(
                    path=path,
                    code="file_unreadable",
                    message="no certificate is in it",
                    expected="certificates in PEM",
                )


def _are_certificates(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _data_dir(raw: Table, folder: Path) -> Iterator[Problem]:
    for path, name in texts(raw, "data_dir"):
        try:
            wrong = _no_folder(folder, name)
        except (OSError, ValueError) as error:
            yield _unreadable(path, str(getattr(error, "strerror", None) or "cannot be read"))
            continue
        if wrong:
            yield Problem(
                path=path,
                code="bad_value",
                message=wrong,
                expected="a folder, or a path where one can be made",
            )


def _no_folder(folder: Path, name: str) -> str:
    """Why there can be no folder of that name, or nothing."""
    if not name.strip() or "\0" in name:
        return "no path"
    wanted = folder / name
    there = next((one for one in (wanted, *wanted.parents) if one.exists()), None)
    if there is None or there.is_dir():
        return ""
    return "there is a file, and no folder" if there == wanted else "it would lie in a file"
