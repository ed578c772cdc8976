"""What every kind of fact is made from."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct


class FactBody(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The part of a fact that its kind defines; the envelope is `connectors.ports.Record`."""

    VERSION: ClassVar[int] = 1


class Draft(Struct, frozen=True, kw_only=True, gc=False):
    """A fact before it has a place in the journal: what `decide` answers, and sees of its own earlier facts."""

    at: datetime
    subject: str
    body: FactBody
    due_at: datetime | None = None
    """The deadline that caused it; the lateness is the fact's `at` less this."""
    policy: str = ""
    """The digest under which it was decided: the desk's present one, or the one that an alert keeps."""


class Happened(Draft, frozen=True, kw_only=True, gc=False):
    """A fact as the fold sees it, live and on replay alike."""

    seq: int
