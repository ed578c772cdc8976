"""200 bid windows of one council that close at the same instant, while visits of the same host are watched.

Every package has three bids, so that each close is a closed round, an evaluation and a proposal in the journal. All are
sent out before the brokers are there, under a policy that pauses: their windows begin, and end, together.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from msgspec import Struct

from benching import rows
from benching.hosts import Client, Daemon, Desk, Failed, Journal, client, load
from config.tokens import SECRET_BYTES, hash_token, new_token

SEND_OUT = timedelta(seconds=20)
"""Long enough to send the packages out and to bid for each, before the brokers come."""
WINDOW_S = 2
PROVIDERS = 3
ZONE = ZoneInfo("Europe/London")


class Council(Desk):
    """A brokerage that is not there yet, with windows of seconds."""

    def __init__(self) -> None:
        super().__init__(0)
        comes = (datetime.now(ZONE) + SEND_OUT + timedelta(minutes=1)).replace(second=0, microsecond=0)
        self.hours = f"daily {comes:%H:%M}-{comes + timedelta(hours=1):%H:%M}"
        self.id, self.broker = "hall", new_token(secrets.token_bytes(SECRET_BYTES))

    def toml(self) -> str:
        return (
            f'[[http.token]]\nhash = "{hash_token(self.broker)}"\nrole = "broker"\ndesk = "{self.id}"\n'
            'person = "br-1"\nexpires = 2099-01-01T00:00:00Z\n'
            f'[[desk]]\nid = "{self.id}"\nkind = "council"\nname = "Bench"\n'
            'duty = [{ person = "br-1", role = "broker", hours = "otherwise" }]\n'
            'areas = [{ id = "east", name = "East" }, { id = "south", name = "South" }]\n'
            "[desk.placing_overrides.standard]\n"
            f'broker_hours = "{self.hours}"\nacross_closing = "pause"\n'
            f'rounds.all = {{ window = "{WINDOW_S}s", reminders = [] }}\n'
        )


class Closed(Struct, frozen=True, kw_only=True):
    """Seconds from the close: to the last decision, to the last proposal on disk; the longest wait for the loop; what a
    check-in took meanwhile (99 of a hundred)."""

    decided_s: float
    journalled_s: float
    stall_s: float
    check_in_s: float


async def closing(count: int, visits: int = 1_000) -> Closed:
    """So many windows of one desk that close at the same instant, check-ins at another."""
    hall, office = Council(), Desk(1)
    with (
        tempfile.TemporaryDirectory(prefix="callwatch-bench-") as name,
        Daemon(Path(name), [hall, office], None) as host,
    ):
        async with client(host) as asked, aiohttp.ClientSession() as session:
            await asked.ready()
            await _watch(asked, office, visits)
            journal, over = Journal(host), asyncio.Event()
            due_at = await _send_out(session, f"{host.url}/v1/desks/{hall.id}", hall.broker, count)
            await asyncio.sleep((due_at - datetime.now(UTC)).total_seconds() - 1)
            pings = asyncio.create_task(asked.longest_answer(over))
            phones = asyncio.create_task(
                load("http", host, office, host.port, prefix="x", count=visits // 2, array=1, lines=2)
            )
            await asyncio.to_thread(_proposed, journal, count)
            journalled_s = (datetime.now(UTC) - due_at).total_seconds()
            over.set()
            stall_s, seen = await pings, await phones
            late = journal.late("RoundClosed")
            journal.close()
    return Closed(
        decided_s=max(late),
        journalled_s=journalled_s,
        stall_s=stall_s,
        check_in_s=seen["p99"],
    )


async def _watch(asked: Client, office: Desk, visits: int) -> None:
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=5)
    for part in rows.in_parts(rows.people("x", visits)):
        await asked.put(office, "people", part)
    for part in rows.in_parts(rows.visits("x", visits, start)):
        await asked.put(office, "rota", part)


async def _send_out(session: aiohttp.ClientSession, url: str, secret: str, count: int) -> datetime:
    """The packages, then the bids. Returns when the windows close. Raises Failed where that is not one moment."""

    async def say(method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {secret}"}
        async with session.request(method, url + path, json=body, headers=headers) as answer:
            said = await answer.text()
            if answer.status not in (200, 201):
                raise Failed(f"{method} {path}: expected 200, got {answer.status}: {said[:500]}")
            return json.loads(said)

    providers = [
        {"id": f"pr-{n}", "name": f"P{n}", "tier": "patch", "areas": ["east"]} for n in range(PROVIDERS)
    ]
    await say("PUT", "/providers", {"providers": providers})
    start = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    package = {"kind": "standard", "area": "east", "minutes_week": 420, "visits": [60], "start": start}
    opened = await asyncio.gather(
        *(say("POST", "/placements", package | {"id": f"k{n}"}) for n in range(count))
    )
    for n in range(PROVIDERS):
        bid = {"provider": f"pr-{n}", "start": start}
        await asyncio.gather(*(say("POST", f"/placements/k{k}/bids", bid) for k in range(count)))
    closes = {one["rounds"][-1]["closes_at"] for one in opened}
    if len(closes) != 1:
        raise Failed(f"one close was expected of all windows, there were {len(closes)}")
    due_at = datetime.fromisoformat(closes.pop())
    if datetime.now(UTC) > due_at - timedelta(seconds=2):
        raise Failed("the packages were not sent out before the brokers came: fewer of them, please")
    return due_at


def _proposed(journal: Journal, count: int) -> None:
    ends = time.monotonic() + 120
    while (found := journal.new("ProposalMade")) < count:
        if time.monotonic() > ends:
            raise Failed(f"{count} proposals were expected within 120 s, {found} stand in the journal")
        time.sleep(0.005)
