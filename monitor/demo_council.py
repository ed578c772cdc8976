"""The demo's second desk: a council that places two packages of care with four providers.

All that is said of it is invented. Windows are minutes long, so that a reader sees one close.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from config.tokens import hash_token
from connectors.placing_in import PlacementIn, Speaker
from monitor.watch import Watch

DESK = "brokerage"
NUMBER = "+441632960997"
BROKER = "br-1"
PAGES = f"/desks/{DESK}/placements"
WINDOW, REMINDER = "6m", "4m"
LASTS = timedelta(days=30)
"""So long the demo's sign-in is good from each start."""
GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
PROVIDERS: tuple[dict[str, Any], ...] = (
    {
        "id": "alder",
        "name": "Alder Homecare",
        "tier": "patch",
        "areas": ["east"],
        "rate": 21.4,
        "rating": GOOD,
    },
    {"id": "birch", "name": "Birch Care", "tier": "patch", "areas": ["east"], "rate": 20.9, "rating": GOOD},
    {
        "id": "cedar",
        "name": "Cedar at Home",
        "tier": "patch",
        "areas": ["south"],
        "rate": 21.1,
        "rating": GOOD | {"overall": "requires_improvement", "safe": "requires_improvement"},
    },
    {
        "id": "dogwood",
        "name": "Dogwood Support",
        "tier": "framework",
        "areas": ["east", "south"],
        "rate": 19.8,
        "rating": GOOD,
    },
)
_BROKERS_NUMBER = "+447700900990"
_NUMBERS = {one["id"]: f"+44770090099{n}" for n, one in enumerate(PROVIDERS, 1)}
"""Of the block that the synthetic day gives to nobody (`synthetic.RESERVED_NUMBERS`)."""
_AREAS = (("east", "East", ["petts-wood", "orpington"]), ("south", "South", ["darwin", "biggin-hill"]))


def configuration(secret: str) -> str:
    """The desk, and a broker's sign-in with this secret, as TOML."""
    expires = (datetime.now(UTC) + LASTS).isoformat(timespec="seconds")
    areas = "".join(
        f"[[desk.areas]]\nid = {json.dumps(ref)}\nname = {json.dumps(name)}\nwards = {json.dumps(wards)}\n"
        for ref, name, wards in _AREAS
    )
    return f"""
[[http.token]]
hash = "{hash_token(secret)}"
role = "broker"
desk = "{DESK}"
person = "{BROKER}"
expires = "{expires}"
[[desk]]
id = "{DESK}"
kind = "council"
name = "The Brokerage"
placing = {{ standard = "bromley", discharge = "bromley-discharge" }}
numbers = ["{NUMBER}"]
duty = [{{ person = "{BROKER}", role = "broker", hours = "otherwise" }}]
placing_overrides.standard.rounds.all = {{ window = "{WINDOW}", reminders = ["{REMINDER}"] }}
placing_overrides.discharge.rounds.all = {{ window = "{WINDOW}", reminders = ["{REMINDER}"] }}
{areas}"""


def labels() -> dict[str, str]:
    """Whose telephones these are, by number."""
    return {_BROKERS_NUMBER: "Bea Marsh, broker of the council"} | {
        _NUMBERS[one["id"]]: f"{one['name']}, a provider" for one in PROVIDERS
    }


async def lay_on(watch: Watch, now: datetime) -> None:
    """Broker, providers, and two packages whose windows open at once. Raises EdgeError."""
    broker = {"id": BROKER, "role": "staff", "name": "Bea Marsh", "phones": [{"number": _BROKERS_NUMBER}]}
    await watch.put_people(DESK, [broker])
    phones = ({"phones": [{"number": _NUMBERS[one["id"]]}]} for one in PROVIDERS)
    await watch.put_providers(DESK, [one | phone for one, phone in zip(PROVIDERS, phones, strict=True)])
    who = Speaker(source="api")
    for package in packages(now):
        await watch.place(DESK, package, who)


def packages(now: datetime) -> tuple[PlacementIn, ...]:
    """One of the east, which two providers may bid for, and a discharge to the south, for which the only one may not
    have it: the CQC rates it *Requires Improvement*."""
    east = PlacementIn(
        id="24-0117",
        by=BROKER,
        kind="standard",
        area="east",
        ward="petts-wood",
        hours_week=10.5,
        visits=(45, 45),
        start=(now + timedelta(days=3)).isoformat(timespec="seconds"),
        text="Help to wash and dress in the morning, a meal in the evening. Walks with a frame.",
    )
    south = PlacementIn(
        id="24-0118",
        by=BROKER,
        kind="discharge",
        area="south",
        ward="darwin",
        hours_week=14,
        visits=(30, 30, 30, 30),
        care_workers=2,
        time_critical=True,
        start=(now + timedelta(days=1)).isoformat(timespec="seconds"),
        discharge_at=(now + timedelta(hours=20)).isoformat(timespec="seconds"),
        text="Transfers with a hoist. Insulin is given by the district nurse.",
    )
    return east, south
