"""Reads the shipped words, lays a desk's own over them, and refuses words that break a rule (escalation.wording)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from config.load import DeskWords, Loaded, Problem, in_order
from escalation.dialog import check_scripts
from escalation.free_number import check_free_number
from escalation.wording import Audience, Wording, check_wording, decode_wording, too_long
from escalation.wording import Problem as WordsProblem

ENGLISH = "en-GB"


def languages() -> tuple[str, ...]:
    """The languages that are shipped."""
    folder = files("config") / "wording"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_wording(language: str = ENGLISH) -> Wording:
    """The words in one language. Raises ValueError naming every problem: a forbidden question must not be loaded."""
    return _load(language)


@cache
def _load(language: str) -> Wording:
    text = (files("config") / "wording" / f"{language}.toml").read_text(encoding="utf-8")
    wording = decode_wording(tomllib.loads(text))
    problems = check_all(wording)
    if problems:
        raise ValueError("; ".join(f"{p.path}: {p.message}" for p in problems))
    return wording


def check_all(wording: Wording, known: Mapping[str, str] | None = None) -> list[WordsProblem]:
    """Texts, calls and the free number: every problem of one wording."""
    return [*check_wording(wording, known), *check_scripts(wording), *check_free_number(wording)]


def desk_wording(own: Mapping[str, Any]) -> Wording:
    """The shipped words with a desk's own over them, unchecked. Raises ValueError: what cannot be read, one a line."""
    language = own.get("language", ENGLISH)
    if language not in languages():
        raise ValueError(f"language: no such language, expected one of {', '.join(languages())}")
    base = load_wording(language)
    return decode_wording(own, base) if own else base


def with_words(loaded: Loaded) -> Loaded:
    """The configuration with the problems of its desks' words among its own; not usable any more if one is an error.

    `check-config`, `run` and a reload ask the same: words that may not be said start nothing.
    """
    found = [problem for words in loaded.words for problem in problems_of(words)]
    if not found:
        return loaded
    problems = tuple(sorted((*loaded.problems, *found), key=in_order))
    if any(problem.severity == "error" for problem in found):
        return msgspec.structs.replace(loaded, settings=None, desks=(), problems=problems)
    return msgspec.structs.replace(loaded, problems=problems)


def problems_of(words: DeskWords) -> Iterator[Problem]:
    """What is wrong with a desk's words, in the shape of `check-config`."""
    path = f"{words.path}.wording"
    try:
        wording = desk_wording(words.wording)
    except ValueError as error:
        for line in str(error).splitlines():
            where, _, what = line.partition(": ")
            yield _bad(
                f"{path}.{where}", what or line, "an entry of the shipped words (docs/configuration.md)"
            )
        return
    known = {name: value for name, value in (("agency", words.name), ("tel", words.telephone)) if value}
    # the shipped words were checked when they were loaded: of a thousand desks most have no others
    refused = check_all(wording) if words.wording else []
    for problem in refused:
        yield _bad(f"{path}.{problem.path}", f"{problem.message} [{problem.code}]", problem.expected)
    seen = {problem.path for problem in refused}
    sent = {f"sms.{name}.text" for name, sms in wording.sms.items() if _sends(words.kind, sms.audience)}
    long = [problem.path for problem in too_long(wording, known) if problem.path in sent - seen]
    if long:
        yield Problem(
            path=f"{words.path}.name",
            code="long_words",
            message=f"with this name texts take more parts than they should, and cost more: {', '.join(long)}",
            expected="a shorter name, or shorter texts of the desk's own in `wording`",
            severity="warning",
        )


def _sends(kind: str, audience: Audience) -> bool:
    """Whether a desk of this kind sends texts to these: a council's speaks to providers and to its own staff alone."""
    return audience in ("provider", "staff") if kind == "council" else audience != "provider"


def _bad(path: str, message: str, expected: str) -> Problem:
    return Problem(path=path, code="bad_words", message=message, expected=expected)
