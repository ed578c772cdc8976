"""From a council's desk to the provider's own, in one daemon: the first visit is watched where it will be made, also
when the process is killed right after the confirmation."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.system.daemon import DESK, Api, Daemon, Telephones, WarmStart, chain_break, now, of_kind, rfc
from tests.waiting import until_sync

GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
BROKERAGE = {
    "id": "hall",
    "kind": "council",
    "name": "The Brokerage",
    "placing": {"standard": "bromley"},
    "duty": [{"person": "br-1", "role": "broker", "hours": "daily 00:00-24:00"}],
    "areas": [{"id": "east", "name": "East", "wards": []}],
}
QUICK = {"late_after": "1s", "ask_worker": [], "summon_next": "10m", "summon_call_after": "5m"}
ACE = {
    "id": "ace",
    "name": "Ace Homecare",
    "tier": "patch",
    "areas": ["east"],
    "rating": GOOD,
    "hours_declared": 900,
    "declared_on": "2026-03-01",
    "desk": DESK,
}


def test_a_first_visit_lands_and_is_missed_where_it_was_to_be_made(tmp_path: Path, warm: WarmStart) -> None:
    with (
        Telephones() as phones,
        Daemon(
            tmp_path, phones=phones, overrides=QUICK, desks=[BROKERAGE], providers=["ace"], warm=warm
        ) as daemon,
    ):
        council, ace = daemon.api("broker", desk="hall"), daemon.api(desk="hall", provider="ace")
        office = daemon.api("office", desk="hall")
        office.people({"id": "br-1", "role": "staff", "name": "Bea Fernsby"})
        council.put("./providers", {"providers": [ACE]})
        wanted = {"kind": "standard", "area": "east", "hours_week": 7, "visits": [30], "by": "br-1"}
        placed = council.call("POST", "./placements", {"id": "P-1"} | wanted)
        assert placed.status in (200, 201), placed
        ace.post("./placements/P-1/bids", {"start": rfc(now() + timedelta(days=2))})
        award = {"action": "award", "provider": "ace", "reason": "emergency", "by": "br-1"}
        council.post("./placements/P-1/actions", award)
        start = now() + timedelta(seconds=6)
        first = {"start": rfc(start), "end": rfc(start + timedelta(minutes=30)), "supervisor": True}
        ace.post("./placements/P-1/actions", {"action": "confirm_first_visit"} | first)
        daemon.kill()
        daemon.start()

        own = daemon.api("auditor")
        until_sync(lambda: own.visits(), what="the first visit in the provider's own desk")
        assert list(own.visits()) == ["package-hall-P-1"]
        alert = own.alert("package-hall-P-1", timeout=40)
        assert (alert["kind"], alert["state"]) == ("late_visit", "open")

        hall = daemon.api("auditor", desk="hall")
        landed = until_sync(lambda: of_kind(hall.facts(), "FirstVisitLanded"), what="the council knows of it")
        assert len(landed) == len(of_kind(own.facts(), "VisitPlanned")) == 1
        until_sync(lambda: hall.get("./placements/P-1")["stage"] == "started", what="the package has started")
        for api, desk in ((own, DESK), (hall, "hall")):
            assert chain_break(api.facts(), desk) is None


@pytest.mark.store_once("the stops between the two desks' facts are in tests/unit/test_landing.py")
def test_a_first_visit_that_nobody_wants_any_more_is_missed_by_nobody_unless_the_office_made_it_its_own(
    tmp_path: Path, warm: WarmStart
) -> None:
    with (
        Telephones() as phones,
        Daemon(
            tmp_path, phones=phones, overrides=QUICK, desks=[BROKERAGE], providers=["ace"], warm=warm
        ) as daemon,
    ):
        council, own = daemon.api("broker", desk="hall"), daemon.api("office")
        daemon.api("office", desk="hall").people({"id": "br-1", "role": "staff", "name": "Bea Fernsby"})
        council.put("./providers", {"providers": [ACE]})
        start = now() + timedelta(seconds=16)
        for number in ("1", "2"):
            confirmed(council, f"P-{number}", start)
        until_sync(lambda: len(own.visits()) == 2, what="both first visits in the provider's own desk")
        times = {"start": rfc(start), "end": rfc(start + timedelta(minutes=30))}
        named = {"id": "package-hall-P-2", "service_user": "package-hall-P-2", "workers": ["cw-1"]}
        daemon.api("intake").rota(named | times)
        act(council, "P-1", action="withdraw", reason="died")
        act(council, "P-2", action="send_back", note="They cannot go after all.")
        daemon.kill()
        daemon.start()

        alert = own.alert("package-hall-P-2", timeout=60)
        assert alert["kind"] == "late_visit", "the office's own visit is watched on"
        assert own.alerts(visit="package-hall-P-1") == [], "the same moment was the other one's"
        visits = own.visits()
        assert (visits["package-hall-P-1"]["stage"], visits["package-hall-P-1"]["package"]) == (
            "cancelled",
            "called_off",
        )
        assert visits["package-hall-P-2"]["package"] == "kept"
        for placement, outcome in (("P-1", "called_off"), ("P-2", "kept")):
            (off,) = council.get(f"./placements/{placement}")["call_offs"]
            assert off["outcome"] == outcome
        assert len(of_kind(daemon.api("auditor").facts(), "VisitCancelled")) == 1


def confirmed(council: Api, placement: str, start: datetime) -> None:
    """Ace has the package, and its first visit is confirmed for then."""
    wanted = {"kind": "standard", "area": "east", "hours_week": 7, "visits": [30], "by": "br-1"}
    placed = council.call("POST", "./placements", {"id": placement} | wanted)
    assert placed.status in (200, 201), placed
    bid = {"start": rfc(now() + timedelta(days=2)), "provider": "ace", "by": "br-1"}
    council.post(f"./placements/{placement}/bids", bid)
    act(council, placement, action="award", provider="ace", reason="emergency")
    times = {"start": rfc(start), "end": rfc(start + timedelta(minutes=30))}
    act(council, placement, action="confirm_first_visit", **times)


def act(council: Api, placement: str, **said: Any) -> None:
    """The broker does something about a package."""
    council.post(f"./placements/{placement}/actions", said | {"by": "br-1"})
