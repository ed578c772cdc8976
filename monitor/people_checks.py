"""What a list of people says that nobody can mean: fields that nobody knows, and persons whom nobody knows.

A misspelt `never_tell` is somebody who may be told after all. It is taken in as far as it can be read, and said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import fields

from connectors.ports import ContactPlanIn, HomeIn, PersonIn, PhoneIn

_SAYABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")


def _names(kind: type) -> frozenset[str]:
    return frozenset(field.encode_name for field in fields(kind))


_PERSON, _PLAN, _PHONE, _HOME = (_names(kind) for kind in (PersonIn, ContactPlanIn, PhoneIn, HomeIn))


def unknown_fields(item: dict[str, Any]) -> list[str]:
    """The fields of one person that the contract does not have, as `contact_plan.never_tel`, sorted. A field that does
    not look like one (it may be anything that somebody typed) is told of by where it stands only."""
    return sorted(dict.fromkeys(_unknown(item)))


def _unknown(item: dict[str, Any]) -> Iterator[str]:
    yield from _beyond(item, _PERSON, "")
    yield from _beyond(item.get("contact_plan"), _PLAN, "contact_plan.")
    for name, known in (("phones", _PHONE), ("homes", _HOME)):
        for one in item[name] if isinstance(item.get(name), list) else ():
            yield from _beyond(one, known, f"{name}[].")


def _beyond(value: Any, known: frozenset[str], at: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{at}{_sayable(name)}" for name in value if name not in known)


def _sayable(name: str) -> str:
    return name if _SAYABLE.fullmatch(name) else "…"


def strangers(given: PersonIn, is_known: Callable[[str], bool]) -> list[str]:
    """Where a person names somebody whom the directory does not have: `never_tell`, `next_of_kin`, `spokesperson`."""
    plan = given.contact_plan or ContactPlanIn()
    named: dict[str, Iterable[str]] = {
        "contact_plan.never_tell": plan.never_tell,
        "next_of_kin": given.next_of_kin,
        "contact_plan.spokesperson": () if plan.spokesperson is None else (plan.spokesperson,),
    }
    return [where for where, ids in named.items() if not all(is_known(one) for one in ids)]
