"""What in a referral's text may name somebody. Thin: it finds postcodes, mail addresses and long numbers."""

from __future__ import annotations

import re

from msgspec import Struct

from monitor.core.placing.inputs import MarkKind

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_POSTCODE = re.compile(r"\b[A-Z]{1,2}[0-9][A-Z0-9]?\s*[0-9][A-Z]{2}\b", re.IGNORECASE)
_NUMBER = re.compile(r"\+?\d(?:[ -]?\d){9,12}")


class Mark(Struct, frozen=True, kw_only=True, gc=False):
    """Characters `start` up to, not including, `end` may name somebody."""

    kind: MarkKind
    start: int
    end: int


def find(text: str) -> tuple[Mark, ...]:
    """Every place in the text that may name somebody, from its beginning on."""
    found = [Mark(kind="email", start=one.start(), end=one.end()) for one in _EMAIL.finditer(text)]
    found += [Mark(kind="postcode", start=one.start(), end=one.end()) for one in _POSTCODE.finditer(text)]
    found += [Mark(kind="telephone", start=one.start(), end=one.end()) for one in _NUMBER.finditer(text)]
    return tuple(sorted(found, key=lambda mark: (mark.start, mark.end)))
