"""The ways of four councils over HTTP, from the referral to the first visit: the shipped policies, with windows of
seconds by the desk's own keys. One daemon; nothing waits for one window alone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.system.daemon import DESK, Api, Daemon, WarmStart, chain_break, in_s, of_kind, rfc
from tests.waiting import until_sync

GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
BROKER = {"person": "br-1", "role": "broker", "hours": "otherwise"}
AREAS = [{"id": "east", "name": "East"}, {"id": "south", "name": "South"}]
WAYS: dict[str, dict[str, Any]] = {
    "bids": {"policy": "bromley"},  # and the placing policies that are called like it
    "highest": {"placing": {"standard": "example-barking-dagenham"}},
    "lead": {"placing": {"standard": "example-lewisham"}},
    "partner": {"placing": {"standard": "example-plymouth"}},
}
PROVIDERS = ("ace", "bee", "sea", "fay", "lee", "pat")
SHORT = {"rounds": {"all": {"window": "3s", "reminders": ["1s"]}}}


def desk(name: str) -> dict[str, Any]:
    """A council's desk with windows of three seconds."""
    own = {"id": name, "kind": "council", "name": name.title(), "areas": AREAS, "duty": [BROKER]}
    return own | WAYS[name] | {"placing_overrides": {"standard": SHORT, "discharge": SHORT}}


def provider(name: str, tier: str, area: str = "east", **more: Any) -> dict[str, Any]:
    said = {"id": name, "name": f"{name.title()} Homecare", "tier": tier, "areas": [area], "rating": GOOD}
    return (
        said
        | {"email": f"{name}@post.example", "rate": 21.5, "hours_declared": 900, "declared_on": "2026-03-01"}
        | more
    )


CAST = {
    "bids": [
        provider("ace", "patch"),
        provider("bee", "patch"),
        provider("sea", "patch", "south"),
        provider("fay", "framework"),
    ],
    "highest": [
        provider("ace", "framework", scores={"east": 95}),
        provider("bee", "framework", scores={"east": 60}),
    ],
    "lead": [provider("lee", "lead"), provider("ace", "lead", "south")],
    "partner": [provider("lee", "lead", partners=["pat"]), provider("pat", "partner", areas=[])],
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, warm: WarmStart) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("councils")
    desks = [desk(name) for name in WAYS]
    with Daemon(folder, desks=desks, providers=PROVIDERS, warm=warm) as daemon:
        for name, cast in CAST.items():
            brokerage = daemon.api("broker", desk=name)
            brokerage.people({"id": "br-1", "role": "staff", "name": "Orla Pennyfarthing"})
            assert brokerage.put("./providers", {"providers": cast})["problems"] == []
        yield daemon
        for name in WAYS:
            assert chain_break(daemon.api("auditor", desk=name).facts(), name) is None


def windows_open(daemon: Daemon) -> dict[str, float]:
    """By desk, a provider's too."""
    api = daemon.api("operator")
    return {name: api.metric("callwatch_bid_windows_open", desk=name) for name in (*WAYS, DESK)}


class Package:
    """One package at one council's desk."""

    def __init__(self, daemon: Daemon, at: str, ref: str, **more: Any) -> None:
        self._daemon, self._at, self._path = daemon, at, f"./placements/{ref}"
        self.broker = daemon.api("broker", desk=at)
        self._start = rfc(in_s(172_800))
        said = {"id": ref, "kind": "standard", "area": "east", "hours_week": 7, "visits": [60], "by": "br-1"}
        answer = self.broker.call("POST", "./placements", said | {"start": self._start} | more)
        assert answer.status == 201, answer

    def own(self, name: str) -> Api:
        return self._daemon.api(desk=self._at, provider=name)

    def bids(self, *names: str) -> None:
        for name in names:
            answer = self.own(name).call("POST", f"{self._path}/bids", {"start": self._start})
            assert (answer.status, answer.body["late"]) == (200, False), answer

    def declines(self, *names: str, **more: str) -> None:
        for name in names:
            answer = self.own(name).call("POST", f"{self._path}/decline", {"reason": "no_capacity"} | more)
            assert answer.status == 200, answer

    @property
    def now(self) -> dict[str, Any]:
        found: dict[str, Any] = self.broker.get(self._path)
        return found

    def until(self, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        return until_sync(lambda: one if holds(one := self.now) else None, 20, 0.1, what=self._path)

    def rounds(self) -> list[tuple[str, list[str]]]:
        return [(one["name"], sorted(a["provider"] for a in one["asked"])) for one in self.now["rounds"]]

    def begins_with(self) -> str:
        """The broker confirms what is proposed, and the winner day and time of the first visit. Returns who won."""
        winner: str = self.until(lambda one: one["stage"] == "proposed")["proposed"]
        self.broker.post(f"{self._path}/award", {"by": "br-1"})
        visit = {"start": self._start, "end": rfc(in_s(174_600)), "supervisor": True}
        done = self.own(winner).post(f"{self._path}/actions", {"action": "confirm_first_visit"} | visit)
        assert done["first_visit"]["supervisor"]
        assert self.now["stage"] == "started"
        return winner


def test_each_councils_way_from_the_referral_to_the_first_visit(daemon: Daemon) -> None:
    standard = Package(daemon, "bids", "std")
    standard.bids("ace", "bee")
    discharge = Package(daemon, "bids", "home", kind="discharge")
    discharge.bids("bee")
    south = Package(daemon, "bids", "south", area="south")
    south.declines("sea")  # the one patch provider of the South
    south.declines("ace", "bee")  # those of the other patches
    south.bids("fay")
    highest = Package(daemon, "highest", "best")
    highest.declines("ace")
    highest.bids("bee")
    lead = Package(daemon, "lead", "hood")
    lead.bids("lee")
    partner = Package(daemon, "partner", "zone")
    partner.declines("lee", pass_to="pat")
    partner.bids("pat")

    # one after another, and straight to one: who takes it has it offered at once
    assert (highest.begins_with(), lead.begins_with(), partner.begins_with()) == ("bee", "lee", "pat")
    assert highest.rounds() == [("locality", ["ace", "bee"])]
    assert partner.rounds() == [("locality_partner", ["lee", "pat"])]
    # the others wait for the close
    assert standard.begins_with() in ("ace", "bee")
    assert (discharge.begins_with(), south.begins_with()) == ("bee", "fay")
    assert standard.rounds() == [("patch", ["ace", "bee"])]
    assert south.rounds() == [("patch", ["sea"]), ("other_patches", ["ace", "bee"]), ("framework", ["fay"])]
    assert windows_open(daemon) == dict.fromkeys([*WAYS, DESK], 0.0)


def test_silence_is_reminded_and_passes_on_and_a_reload_is_for_what_comes_after_it(daemon: Daemon) -> None:
    patch = Package(daemon, "bids", "quiet")
    line = Package(daemon, "highest", "nobody")
    until_sync(lambda: windows_open(daemon)["bids"] == 1.0, 5)
    before = Package(daemon, "lead", "before")
    daemon.config.write_text(daemon.config.read_text().replace('window = "3s"', 'window = "1h"'))
    daemon.send(signal.SIGHUP)
    until_sync(lambda: len(of_kind(before.broker.facts(), "PlacingAdopted")) == 2, 10)
    after = Package(daemon, "lead", "after")

    patch.until(lambda one: [held["name"] for held in one["rounds"]] == ["patch", "framework"])
    assert of_kind(patch.broker.facts(), "RoundReminded")
    before.until(lambda one: one["stage"] == "waiting")
    line.until(lambda one: one["stage"] == "unplaced")  # there is nobody of another area
    assert line.rounds() == [("locality", ["ace", "bee"])]
    refused = line.broker.call("POST", "./placements/nobody/actions", {"action": "open_next", "by": "br-1"})
    assert refused.status == 409
    patch.until(lambda one: one["stage"] == "unplaced")
    assert after.now["stage"] == "open"
    assert windows_open(daemon) == {"bids": 0.0, "highest": 0.0, "lead": 1.0, "partner": 0.0, DESK: 0.0}
