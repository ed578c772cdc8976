"""What a list of people says that nobody can mean: fields that nobody knows, and persons whom nobody knows.

A misspelt `never_tell` is somebody who may be told after all. It is taken in as far as it can be read, and said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec.structs import fields, replace

from connectors.ports import ContactPlanIn, HomeIn, PersonIn, PhoneIn

_SAYABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_DEVICE = re.compile(
    r"callwatch:[^/+#]+|owntracks:[^/+#]+(?:/[^/+#]+)?|traccar:.+|line:.+|(?i:tag):.*[^\s:-].*", re.DOTALL
)
"""Under one of these somebody may be heard: a topic's parts, Traccar's own ids, a telephone line, a tag."""
HOME_EXPECTED = "expected degrees in `homes`; that home is left out"
RADIUS_EXPECTED = "expected metres above 0 in `radius_m` of `homes`; the policy's own counts"
DATES_EXPECTED = "expected a `to` of `homes` that is not before its `from`: nobody ever lives there"
DEVICE_EXPECTED = (
    "expected `devices` such as callwatch:phone-17, owntracks:u17/phone, traccar:8612, tag:04a2b1c3, "
    "line:+441632960101: nothing is ever heard of one of these"
)


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


def tidy(given: PersonIn) -> tuple[PersonIn, list[tuple[str, str]]]:
    """The person as they can be meant, with the codes and texts of what cannot.

    A position that is none would make every check-in there one from elsewhere, and ring somebody whose care worker has
    come; a device's id that nothing can have is a care worker of whom nothing is ever heard.
    """
    homes, wrong = _homes(given.homes)
    devices = tuple(dict.fromkeys(_device(one, given.role) for one in given.devices))
    if not all(_DEVICE.fullmatch(one) for one in devices):
        wrong.append(("bad_device", DEVICE_EXPECTED))
    return replace(given, id=given.id.strip(), homes=homes, devices=devices), wrong


def _homes(given: Iterable[HomeIn]) -> tuple[tuple[HomeIn, ...], list[tuple[str, str]]]:
    kept: list[HomeIn] = []
    wrong: dict[str, None] = {}
    for home in given:
        # 0/0 lies in the Gulf of Guinea: it is what a search for an address gives that found none
        if not (abs(home.lat) <= 90 and abs(home.lon) <= 180) or home.lat == home.lon == 0:
            wrong[HOME_EXPECTED] = None
            continue
        if home.radius_m is not None and not home.radius_m >= 0:
            wrong[RADIUS_EXPECTED] = None
            home = replace(home, radius_m=None)
        if home.from_ is not None and home.to is not None and home.to < home.from_:
            wrong[DATES_EXPECTED] = None
        kept.append(home)
    return tuple(kept), [("bad_home", text) for text in wrong]


def _device(name: str, role: str) -> str:
    """As everywhere, a name without a scheme is that of a device of ours; what hangs at somebody's home is none."""
    name = name.strip()
    return name if ":" in name or not name or role == "service_user" else f"callwatch:{name}"
