"""Mappings and feeds, one key against another: what is wrong although each key by itself is right. Pure.

Like `config.checks` they look at the file as it was read, before its shape is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from config.checks import Problem, Table, tables, texts
from config.mapping import FIELDS, FLAGS, LISTS, NEEDED, SEVERAL, STATUSES, TIMES, What

RESERVED = frozenset({"mqtt", "store", "clock", "http", "owntracks", "traccar", "phone", "file"})
"""Names that a way in, or the shell, has already."""
_OF_KIND: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "folder": (frozenset({"path"}), frozenset({"pattern"})),
    "sftp": (
        frozenset({"path", "host", "user", "known_hosts"}),
        frozenset({"pattern", "port", "key_file", "password_file"}),
    ),
    "https": (frozenset({"url"}), frozenset({"token_file", "user", "password_file", "ca_file"})),
}
"""By kind of feed: the keys it needs, and those it may have."""
_TRANSPORT = frozenset[str]().union(*(keys for pair in _OF_KIND.values() for keys in pair))


def _what(mapping: Table) -> What | None:
    what = mapping.get("what")
    return what if what in FIELDS else None


def _table(raw: Table, key: str) -> Table:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _unknown_fields(raw: Table) -> Iterator[Problem]:
    for at, mapping in tables(raw, "mapping"):
        what = _what(mapping)
        for part in ("columns", "fixed", "values"):
            for field in _table(mapping, part) if what else ():
                if field not in FIELDS[what] or (part != "columns" and field in TIMES):  # type: ignore[index]
                    yield Problem(
                        path=f"{at}.{part}.{field}",
                        code="unknown_key",
                        message="no such field",
                        expected=f"one of {', '.join(FIELDS[what])}",  # type: ignore[index]
                    )


def _needed_fields(raw: Table) -> Iterator[Problem]:
    for at, mapping in tables(raw, "mapping"):
        what = _what(mapping)
        given = {*_table(mapping, "columns"), *_table(mapping, "fixed")}
        for ways in NEEDED[what] if what else ():
            if not any(given.issuperset(way) for way in ways):
                yield Problem(
                    path=f"{at}.columns.{ways[0][0]}",
                    code="missing",
                    message="without it no row could be used",
                    expected="a column for " + ", or for ".join(" and ".join(way) for way in ways),
                )


def _columns(raw: Table) -> Iterator[Problem]:
    for at, mapping in tables(raw, "mapping"):
        known = FIELDS[what] if (what := _what(mapping)) else ()
        for field, value in _table(mapping, "columns").items():
            if field not in known:
                continue
            names = value if isinstance(value, list) else [value]
            most = 2 if field in TIMES else 1
            if len(names) > most and field not in SEVERAL:
                yield Problem(
                    path=f"{at}.columns.{field}",
                    code="bad_value",
                    message="more columns than the field can be made of",
                    expected="one header"
                    + (", or two: of the date and of the time" if field in TIMES else ""),
                )
        for field in {"pin", "home_number"} & _table(mapping, "fixed").keys():
            yield Problem(
                path=f"{at}.fixed.{field}",
                code="bad_value",
                message="each has one of their own",
                expected="a column",
            )
        for field in _table(mapping, "fixed"):
            if field in _table(mapping, "columns") and field not in TIMES:
                yield Problem(
                    path=f"{at}.fixed.{field}",
                    code="not_unique",
                    message="the field has a column too",
                    expected="a column, or a fixed value",
                )


def _allowed(raw: Table) -> Iterator[Problem]:
    """Values that a column may be mapped to, where our own field has a closed list."""
    closed: dict[str, Sequence[Any]] = {
        "status": STATUSES,
        "channels": ("voice", "text", "person"),
        "outside_hours": ("nobody", "time_critical"),
        "weather_rank": ("red", "amber", "green"),
        "prefers": ("female", "male"),
        "gender": ("female", "male", "other"),
        "role": ("service_user", "care_worker", "staff", "contact"),
        "public": ("off", "ask", "auto"),
        "conditional": ("home_confirmed",),
    } | dict.fromkeys(FLAGS, (True, False))
    kinds = {
        "rota": ("visit", "waking_night", "sleep_in", "live_in"),
        "checkins": ("arrive", "leave", "no_reply", "refused"),
    }
    for at, mapping in tables(raw, "mapping"):
        closed["kind"] = kinds.get(_what(mapping) or "", ())
        given = [
            (f"{at}.values.{field}.{theirs}", field, ours)
            for field, pairs in _table(mapping, "values").items()
            if isinstance(pairs, dict)
            for theirs, ours in pairs.items()
        ]
        given += [
            (f"{at}.fixed.{field}", field, ours)
            for field, ours in _table(mapping, "fixed").items()
            if field not in LISTS
        ]
        for path, field, ours in given:
            if field in closed and ours not in closed[field]:
                shown = ", ".join(str(value).lower() for value in closed[field])
                yield Problem(
                    path=path, code="bad_value", message="not an allowed value", expected=f"one of {shown}"
                )


def _aliases(raw: Table) -> Iterator[Problem]:
    for at, mapping in tables(raw, "mapping"):
        headers = {
            text for field in _table(mapping, "columns") for _, text in texts(mapping["columns"], field)
        }
        for header in _table(mapping, "aliases"):
            if header not in headers:
                yield Problem(
                    path=f"{at}.aliases.{header}",
                    code="unknown_key",
                    message="no column is called like this in this mapping",
                    expected="a header that stands in columns",
                )


def _freshness(raw: Table) -> Iterator[Problem]:
    for at, mapping in tables(raw, "mapping"):
        fresh, what = mapping.get("fresh"), _what(mapping)
        if fresh in ("rows", "heartbeat") and what not in (None, "checkins"):
            yield Problem(
                path=f"{at}.fresh",
                code="bad_value",
                message="only check-ins say by themselves how new they are",
                expected='"file" or "reached"',
            )
        if (fresh == "heartbeat") != ("heartbeat" in _table(mapping, "columns")):
            yield Problem(
                path=f"{at}.columns.heartbeat",
                code="missing" if fresh == "heartbeat" else "bad_value",
                message="a heartbeat has a column and proves freshness, or neither",
                expected='columns.heartbeat with fresh = "heartbeat"',
            )
        if mapping.get("complete") and what not in (None, "rota"):
            yield Problem(
                path=f"{at}.complete",
                code="bad_value",
                message="only a rota can be complete",
                expected='the key with what = "rota" only',
            )


def _names(raw: Table) -> Iterator[Problem]:
    for key in ("mapping", "feed"):
        seen: set[str] = set()
        for at, table in tables(raw, key):
            for path, name in texts(table, "name", at):
                if name in seen or (key == "feed" and name in RESERVED):
                    yield Problem(
                        path=path,
                        code="not_unique",
                        message="the name is taken",
                        expected="another one",
                    )
                seen.add(name)


def _leads_somewhere(raw: Table) -> Iterator[Problem]:
    desks = {text for at, desk in tables(raw, "desk") for _, text in texts(desk, "id", at)}
    mappings = {name: _what(m) for at, m in tables(raw, "mapping") for _, name in texts(m, "name", at)}
    for at, feed in tables(raw, "feed"):
        for path, desk in texts(feed, "desk", at):
            if desk not in desks:
                yield Problem(
                    path=path,
                    code="unknown_desk",
                    message="no desk has this id",
                    expected="the id of a [[desk]]",
                )
        for path, name in texts(feed, "mapping", at):
            if name not in mappings or feed.get("what", mappings[name]) != mappings[name]:
                yield Problem(
                    path=path,
                    code="unknown_mapping",
                    message="no mapping of this name is for what the feed brings",
                    expected="the name of a [[mapping]]",
                )


def _transport(raw: Table) -> Iterator[Problem]:
    for at, feed in tables(raw, "feed"):
        kind = feed.get("kind")
        if kind not in _OF_KIND:
            continue  # the shape's own check has said so
        needed, allowed = _OF_KIND[kind]
        for key in sorted(needed - feed.keys()):
            yield Problem(
                path=f"{at}.{key}",
                code="missing",
                message=f"a feed of kind {kind} needs it",
                expected="this key"
                if key != "known_hosts"
                else "a file with the server's host key: no server is trusted at first sight",
            )
        for key in sorted(feed.keys() & (_TRANSPORT - needed - allowed)):
            yield Problem(
                path=f"{at}.{key}",
                code="unknown_key",
                message=f"a feed of kind {kind} has no such key",
                expected=f"one of {', '.join(sorted(needed | allowed))}",
            )
        yield from _credential(at, feed, kind)


def _credential(at: str, feed: Table, kind: str) -> Iterator[Problem]:
    ways = [key for key in ("key_file", "password_file", "token_file") if key in feed]
    if (kind == "sftp" and not ways) or len(ways) > 1:
        yield Problem(
            path=f"{at}.{ways[1] if len(ways) > 1 else 'key_file'}",
            code="not_unique" if ways else "missing",
            message="one credential, and only one, is needed",
            expected="key_file or password_file"
            if kind == "sftp"
            else "token_file, or user and password_file",
        )
    if kind == "https" and ("user" in feed) != ("password_file" in feed):
        yield Problem(
            path=f"{at}.{'password_file' if 'user' in feed else 'user'}",
            code="missing",
            message="a name goes with a password",
            expected="both, or neither",
        )


FILE_CHECKS = (
    _unknown_fields,
    _needed_fields,
    _columns,
    _allowed,
    _aliases,
    _freshness,
    _names,
    _leads_somewhere,
    _transport,
)
