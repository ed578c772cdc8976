"""Reads the shipped words and refuses to start with words that break a rule (escalation.wording)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from escalation.dialog import check_scripts
from escalation.free_number import check_free_number
from escalation.wording import Wording, check_wording, decode_wording


@cache
def load_wording(language: str = "en-GB") -> Wording:
    """The words in one language. Raises ValueError naming every problem: a forbidden question must not be loaded."""
    text = (files("config") / "wording" / f"{language}.toml").read_text(encoding="utf-8")
    wording = decode_wording(tomllib.loads(text))
    problems = [*check_wording(wording), *check_scripts(wording), *check_free_number(wording)]
    if problems:
        raise ValueError("; ".join(f"{p.path}: {p.message}" for p in problems))
    return wording
