"""Many windows close in the same second while visits are watched, and bids race one close from several connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import (
    Api,
    Daemon,
    Telephones,
    WarmStart,
    care_worker,
    chain_break,
    in_s,
    instant,
    now,
    of_kind,
    rfc,
    service_user,
    staff,
    visit,
)
from tests.waiting import until_sync

BROKERAGE = "brokerage"
PROVIDERS = ("ace", "bee")
GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
WINDOWS = 200
CONNECTIONS = 16
PROMPT = timedelta(seconds=1)


def council(window: str) -> dict[str, Any]:
    """A council's desk whose one round is as long as that."""
    held = {"name": "patch", "tiers": ["patch"], "window": window, "next": "end"}
    return {
        "id": BROKERAGE,
        "kind": "council",
        "name": "Brokerage",
        "numbers": ["+441632960950"],
        "duty": [{"person": "bea", "role": "broker", "hours": "otherwise"}],
        "mailbox": "brokerage@council.example",
        "areas": [{"id": "east", "name": "East", "wards": ["petts-wood"]}],
        "placing_overrides": {"standard": {"rounds": [held]}},
    }


def cast(daemon: Daemon) -> Api:
    """A broker, two patch providers of the east."""
    office, broker = daemon.api(desk=BROKERAGE), daemon.api("broker", desk=BROKERAGE)
    office.people(staff("bea", "+447700900950"))
    said = [
        {
            "id": ref,
            "name": f"{ref.title()} Care",
            "tier": "patch",
            "areas": ["east"],
            "rating": GOOD,
            "rate": 21.0,
            "phones": [{"number": f"+44770090096{n}"}],
        }
        for n, ref in enumerate(PROVIDERS)
    ]
    assert broker.put("./providers", {"providers": said})["problems"] == []
    return broker


def sends(broker: Api, ref: str) -> None:
    """A broker sends out a package."""
    body = {
        "id": ref,
        "kind": "standard",
        "area": "east",
        "hours_week": 7,
        "visits": [30, 30],
        "start": rfc(in_s(86_400 * 3)),
        "by": "bea",
    }
    answer = broker.call("POST", "./placements", body)
    assert answer.status in (200, 201), answer


def at_once(work: Callable[[Any], Any], over: Sequence[Any]) -> list[Any]:
    """Each on one of several connections at the same time."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(work, over))


@pytest.fixture
def phones() -> Iterator[Telephones]:
    with Telephones() as phones:
        yield phones


def test_two_hundred_windows_close_in_the_same_second_while_visits_are_watched(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(
        tmp_path, phones=phones, warm=warm, desks=[council("8s")], overrides={"late_after": "2s"}
    ) as daemon:
        broker, office = cast(daemon), daemon.api()
        office.people(service_user(), care_worker(), staff())
        began = now()
        at_once(lambda n: sends(broker, f"pk-{n}"), range(WINDOWS))
        took = now() - began
        office.rota(*(visit(f"v-{n}", began + timedelta(seconds=6 + n / 20)) for n in range(20)))
        closed = until_sync(
            lambda: found if len(found := of_kind(broker.facts(), "RoundClosed")) == WINDOWS else None,
            30,
            0.2,
        )
        assert took < timedelta(seconds=6), "they were not open together"
        due = [instant(fact["due_at"]) for fact in closed]
        assert max(due) - min(due) < timedelta(seconds=6)
        # how late each was decided; that it is on disk is what `/facts` says of all of them
        assert max(instant(fact["at"]) - instant(fact["due_at"]) for fact in closed) < PROMPT
        raised = until_sync(
            lambda: (
                found
                if len(found := of_kind(office.facts(), "AlertRaised", kind="late_visit")) == 20
                else None
            ),
            20,
        )
        assert max(instant(fact["at"]) - instant(fact["due_at"]) for fact in raised) < PROMPT
        assert chain_break(broker.facts(), BROKERAGE) is None


def test_bids_that_race_the_close_are_in_time_or_late_by_their_receipt_and_the_journal_agrees(
    tmp_path: Path, phones: Telephones, warm: WarmStart
) -> None:
    with Daemon(tmp_path, phones=phones, warm=warm, desks=[council("5s")], providers=PROVIDERS) as daemon:
        broker = cast(daemon)
        sends(broker, "pk-1")
        (opened,) = of_kind(broker.facts(), "RoundOpened")
        closes = datetime.fromisoformat(broker.get("./placements/pk-1")["rounds"][0]["closes_at"])
        assert opened["subject"]
        receipts: list[dict[str, Any]] = []
        taken = threading.Lock()

        def races(n: int) -> None:
            api = daemon.api(desk=BROKERAGE, provider=PROVIDERS[n % 2])

            def bids() -> bool:
                start = rfc(in_s(86_400 * 2 + n))
                answer = api.call("POST", "./placements/pk-1/bids", {"start": start})
                assert answer.status in (200, 201), answer
                with taken:
                    receipts.append(answer.body)
                return bool(answer.body["late"])

            # a first one long before, and then until one is late: however long the machine stands still at the close
            bids()
            until_sync(lambda: now() > closes - timedelta(milliseconds=300), every=0.005)
            until_sync(bids, every=0)

        at_once(races, range(6))
        early = [one for one in receipts if not one["late"]]
        late = [one for one in receipts if one["late"]]
        assert early
        assert late
        assert max(instant(one["at"]) for one in early) < closes <= min(instant(one["at"]) for one in late)
        journal = broker.facts()
        (end,) = of_kind(journal, "RoundClosed")
        seqs: dict[bool, list[int]] = {True: [], False: []}
        for fact in of_kind(journal, "BidRecorded"):
            seqs['"late":true' in fact["body"]].append(fact["seq"])
        assert len(seqs[False]) == len(early)
        assert len(seqs[True]) == len(late)
        assert max(seqs[False]) < end["seq"]
        # what either learns of it is its own
        for name, rival in (PROVIDERS, PROVIDERS[::-1]):
            seen = daemon.api(desk=BROKERAGE, provider=name).call("GET", "./placements/pk-1")
            assert seen.status == 200
            assert rival not in str(seen.body)
