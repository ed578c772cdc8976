"""Each council's way from the referral to the first visit, for those who see it from outside: providers know the links
in their texts, the broker the routes or the pages, and the winner's own desk gets the visit and watches it.

The shipped policies, with windows of seconds by the desks' own keys; the five ways are gone at the same time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, expect

from tests.system.chromium import all_of, browser
from tests.system.daemon import (
    DESK,
    Daemon,
    Telephones,
    WarmStart,
    chain_break,
    day_of,
    in_s,
    now,
    of_kind,
    request,
    rfc,
    secret_of,
    staff,
)
from tests.waiting import until_sync

GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
AREAS = [{"id": "east", "name": "East"}, {"id": "south", "name": "South"}]
BROKER = {"person": "br-1", "role": "broker", "hours": "otherwise"}
WAYS = {
    "town": {"standard": "bromley"},
    "ward": {"standard": "bromley", "discharge": "bromley-discharge"},
    "score": {"standard": "example-barking-dagenham"},
    "hood": {"standard": "example-lewisham"},
    "zone": {"standard": "example-plymouth"},
}
PLACE: dict[str, dict[str, dict[str, Any]]] = {
    "town": {
        "ace": {"tier": "patch"},
        "bee": {"tier": "patch"},
        "sea": {"tier": "patch", "areas": ["south"]},
        "fay": {"tier": "framework", "rate": 20.0},
        "dee": {"tier": "framework", "rate": 26.0},
    },
    "ward": {"ace": {"tier": "patch"}, "bee": {"tier": "patch"}},
    "score": {
        "ace": {"tier": "framework", "scores": {"east": 95}},
        "bee": {"tier": "framework", "scores": {"east": 70}},
        "sea": {"tier": "framework", "scores": {"east": 40}},
    },
    "hood": {"lee": {"tier": "lead"}, "ace": {"tier": "lead", "areas": ["south"]}},
    "zone": {"lee": {"tier": "lead", "partners": ["pat"]}, "pat": {"tier": "partner", "areas": []}},
}
"""By council's desk: its providers, and what is particular about each."""
NAMES = ("ace", "bee", "sea", "fay", "dee", "lee", "pat")
QUICK = {"late_after": "1s", "ask_worker": [], "summon_next": "10m", "summon_call_after": "5m"}
WATCHED = {"late_visit", "incident"}


def number(at: str, name: str) -> str:
    """Each provider has another telephone for each council."""
    return f"+4477009003{list(WAYS).index(at)}{NAMES.index(name)}"


def desk(at: str, rounds: dict[str, Any]) -> dict[str, Any]:
    """A council's desk; its brokers are there at every hour."""
    short = {"broker_hours": "Mon-Sun 00:00-24:00", "lost_told_after": "9s", "rounds": rounds}
    own = {"id": at, "kind": "council", "name": f"{at.title()} Brokerage", "areas": AREAS, "duty": [BROKER]}
    own |= {"numbers": [f"+44163296099{list(WAYS).index(at)}"], "public": "auto"}
    return own | {"placing": WAYS[at], "placing_overrides": dict.fromkeys(WAYS[at], short)}


def provider(at: str, name: str) -> dict[str, Any]:
    """A provider of whom nothing speaks against a package. Whoever wins has its own desk on this installation."""
    said: dict[str, Any] = {"id": name, "name": f"{name.title()} Homecare", "areas": ["east"], "rating": GOOD}
    said |= {"hours_declared": 900, "declared_on": "2026-03-01", "rate": 21.5, "desk": DESK}
    said |= {"phones": [{"number": number(at, name), "kind": "mobile"}]}
    return said | PLACE[at][name]


class Town(NamedTuple):
    """All that is there: five councils, their providers' telephones, one desk of a provider."""

    daemon: Daemon
    phones: Telephones


@contextmanager
def town(folder: Path, warm: WarmStart, rounds: dict[str, dict[str, Any]]) -> Iterator[Town]:
    desks = [desk(at, rounds.get(at, rounds["else"])) for at in WAYS]
    with (
        Telephones() as phones,
        Daemon(folder, phones=phones, desks=desks, providers=NAMES, overrides=QUICK, warm=warm) as daemon,
    ):
        daemon.api().people(staff())
        for at, cast in PLACE.items():
            broker = daemon.api("broker", desk=at)
            broker.people({"id": "br-1", "role": "staff", "name": "Orla Pennyfarthing"})
            said = broker.put("./providers", {"providers": [provider(at, name) for name in cast]})
            assert said["problems"] == []
        yield Town(daemon, phones)
        for at in (*WAYS, DESK):
            assert chain_break(daemon.api("auditor", desk=at).facts(), at) is None


def link(phones: Telephones, at: str, name: str, ref: str) -> str:
    """The path in the text that asked this provider for this package, once it is there."""

    def found() -> str | None:
        texts = [one["body"] for one in phones.texts(number(at, name))]
        links = [re.search(r"/b/\w+", body) for body in texts if re.match(rf"Package {ref}\b", body)]
        return next((one[0] for one in links if one), None)

    path = until_sync(found, 40, what=f"{name} is asked for {ref}")
    assert path is not None
    return path


def local(**ahead: float) -> str:
    """A day and a time as the field of a browser takes them, on the councils' clocks."""
    return f"{(now() + timedelta(**ahead)).astimezone(ZoneInfo('Europe/London')):%Y-%m-%dT%H:%M}"


# --- through the routes ---


class Package:
    """One package at one council's desk; its providers answer by the link of their text."""

    def __init__(self, w: Town, at: str, ref: str, **more: Any) -> None:
        self._w, self._at, self.ref, self._path = w, at, ref, f"./placements/{ref}"
        self.broker = w.daemon.api("broker", desk=at)
        said = {"id": ref, "kind": "standard", "area": "east", "hours_week": 7, "visits": [60], "by": "br-1"}
        answer = self.broker.call("POST", "./placements", said | more)
        assert answer.status == 201, answer

    def presses(self, name: str, **form: str) -> None:
        """Somebody at this provider opens the link and sends the page's form."""
        path = link(self._w.phones, self._at, name, self.ref)
        assert request(self._w.daemon.port, "GET", path).status == 200
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = request(self._w.daemon.port, "POST", path, urlencode(form).encode(), kind)
        assert answer.status == 303, answer

    def bids(self, *names: str) -> None:
        for name in names:
            self.presses(name, action="bid", start=local(days=1), how="Two who know the road.")

    def declines(self, *names: str, **form: str) -> None:
        for name in names:
            self.presses(name, action="decline:no_capacity", **form)

    @property
    def now(self) -> dict[str, Any]:
        found: dict[str, Any] = self.broker.get(self._path)
        return found

    def until(self, stage: str) -> dict[str, Any]:
        until_sync(lambda: self.now["stage"] == stage, 30, 0.1, what=f"{self.ref} {stage}")
        return self.now

    def told(self, name: str) -> list[str]:
        """The texts to this provider about this package."""
        texts = [one["body"] for one in self._w.phones.texts(number(self._at, name))]
        return [body for body in texts if re.match(rf"Package {self.ref}\b", body)]

    def hears(self, name: str, words: str) -> None:
        until_sync(lambda: any(words in body for body in self.told(name)), 40, 0.1, what=f"{name}: {words}")

    def asked(self) -> list[list[str]]:
        return [[one["provider"] for one in held["asked"]] for held in self.now["rounds"]]

    def begins_with(self) -> str:
        """The broker confirms, the winner hears it and confirms the first visit, nobody comes to that, and the
        winner's own desk says so. Returns who won."""
        winner: str = self.until("proposed")["proposed"]
        self.broker.post(f"{self._path}/award", {"by": "br-1"})
        self.hears(winner, "is yours")
        start = in_s(3)
        visit = {"start": rfc(start), "end": rfc(start + timedelta(minutes=30)), "supervisor": True}
        own = self._w.daemon.api(desk=self._at, provider=winner)
        own.post(f"{self._path}/actions", {"action": "confirm_first_visit"} | visit)
        office, name = self._w.daemon.api(), f"package-{self._at}-{self.ref}"
        planned = until_sync(lambda: office.visits().get(name), 40, 0.1, what=f"{name} is planned")
        assert planned is not None
        assert office.alert(name, timeout=40)["kind"] == "late_visit"
        assert self.until("started")["first_visit"]["supervisor"]
        for name in {name for names in self.asked() for name in names}:
            others = [f"{rival.title()} " for rival in PLACE[self._at] if rival != name]
            assert not [body for body in self.told(name) for rival in others if rival in body]
        return winner


def the_south_of_town(w: Town) -> None:
    """Its one patch provider is silent, those of the other patches decline, the framework bids; the broker forgets."""
    south = Package(w, "town", "south", area="south")
    south.declines("ace", "bee")  # asked when the window of `sea` is over
    south.bids("dee", "fay")
    assert south.until("proposed")["proposed"] == "fay"  # the lower rate
    south.hears("dee", "not successful this time")
    assert south.now["stage"] == "proposed"
    assert not any("not successful" in body for body in south.told("fay"))
    assert south.begins_with() == "fay"
    assert [sorted(names) for names in south.asked()] == [["sea"], ["ace", "bee"], ["dee", "fay"]]


def the_east_of_town(w: Town) -> None:
    """Two packages of the same hour are shared between the two who bid for both."""
    packages = [Package(w, "town", ref) for ref in ("first", "second")]
    for package in packages:
        package.bids("ace", "bee")
    assert sorted(package.begins_with() for package in packages) == ["ace", "bee"]


def a_bed_in_the_ward(w: Town) -> None:
    """Reminded, then closed by itself; and what nobody can take is on top, before a package that waits for longer."""
    home = Package(w, "ward", "home", kind="discharge")
    standard = Package(w, "ward", "later")
    standard.declines("ace", "bee")
    standard.until("unplaced")
    bed = Package(w, "ward", "bed", kind="discharge")
    bed.declines("ace", "bee")
    bed.until("unplaced")
    listed = home.broker.get("./placements")["placements"]
    assert [one["id"] for one in listed][-1] == "later"
    found = {one["placement"]: one for one in home.broker.alerts(kind="placement")}
    assert {ref: (one["reason"], one["time_critical"]) for ref, one in found.items()} == {
        "later": ("unplaced", False),
        "bed": ("unplaced", True),
    }
    home.hears("ace", "nothing from you yet")
    home.bids("ace")
    assert home.begins_with() == "ace"
    assert not any(one["answered_at"] for one in home.now["rounds"][0]["asked"] if one["provider"] == "bee")


def by_score(w: Town) -> None:
    """One after another: silence passes it on, a decline does so at once."""
    best = Package(w, "score", "best")
    best.declines("bee")
    best.bids("sea")
    assert best.begins_with() == "sea"
    passed = [of_kind(best.broker.facts(), "ProviderAsked", reason=why) for why in ("silent", "declined")]
    assert [len(found) for found in passed] == [1, 1]
    assert best.asked() == [["ace", "bee", "sea"]]


def straight_to_the_lead(w: Town) -> None:
    lead = Package(w, "hood", "lead")
    lead.bids("lee")
    assert lead.begins_with() == "lee"
    assert lead.asked() == [["lee"]]


def passed_on_to_a_partner(w: Town) -> None:
    zone = Package(w, "zone", "zone")
    zone.declines("lee", pass_to="pat")
    zone.bids("pat")
    assert zone.begins_with() == "pat"
    assert zone.asked() == [["lee", "pat"]]


def test_each_way_through_the_routes_until_a_first_visit_is_missed_where_it_was_to_be_made(
    tmp_path: Path, warm: WarmStart
) -> None:
    stories = (
        the_south_of_town,
        the_east_of_town,
        a_bed_in_the_ward,
        by_score,
        straight_to_the_lead,
        passed_on_to_a_partner,
    )
    # long enough for what is answered in them on a machine that does much else; the bed is answered last of all
    windows = {
        "ward": {"all": {"window": "15s", "reminders": ["1s"]}},
        "else": {"all": {"window": "7s", "reminders": ["1s"]}},
    }
    with town(tmp_path, warm, windows) as w, ThreadPoolExecutor(len(stories)) as pool:
        for told in [pool.submit(story, w) for story in stories]:
            told.result(150)


# --- through the pages ---


class Desk:
    """A broker at the pages of one council's desk, and its providers at the links of their texts."""

    def __init__(self, chromium: Any, w: Town, at: str) -> None:
        self._chromium, self._w, self._at = chromium, w, at
        self.page: Page

    async def _opens(self) -> Page:
        page: Page = await (await self._chromium.new_context()).new_page()
        return page

    async def sends_out(self, ref: str, kind: str = "standard", area: str = "east") -> None:
        """The broker signs in and fills in the form."""
        self.page, self.ref = await self._opens(), ref
        await self.page.goto(f"{self._w.daemon.url}/board/{self._at}")
        await self.page.locator("#password").fill(secret_of("broker", self._at))
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("link", name="Send out a package").click()
        await self.page.locator("#by").select_option("br-1")
        await self.page.locator("#id").fill(ref)
        await self.page.locator("#kind").select_option(kind)
        await self.page.locator("#place").select_option(area)
        await self.page.locator("#hours_week").fill("7")
        await self.page.locator("#visit-1").select_option("60")
        await self.page.locator("#start").fill(local(days=4))
        await self.page.locator("#send").click()
        await expect(self.page.locator("h1")).to_contain_text(f"Package {ref} window open", timeout=30_000)

    async def asked(self, name: str) -> Page:
        """This provider's page, opened by the link in its text."""
        path = await asyncio.to_thread(link, self._w.phones, self._at, name, self.ref)
        page = await self._opens()
        await page.goto(self._w.daemon.url + path)
        await expect(page.locator("#state")).to_contain_text("Bid or decline by", timeout=30_000)
        await self.tells_of_nobody_else(page, name)
        return page

    async def tells_of_nobody_else(self, page: Page, name: str) -> None:
        """A lead knows its partners, and nobody knows a rival."""
        seen = await all_of(page)
        partners = PLACE[self._at][name].get("partners", ())
        rivals = set(PLACE[self._at]) - {name, *partners}
        assert [rival for rival in rivals if f"{rival} homecare" in seen] == []

    async def bids(self, name: str) -> Page:
        page = await self.asked(name)
        await page.locator("#how-bid").fill("Two who know the road.")
        await page.locator("#bid").click()
        await expect(page.locator("#receipt")).to_contain_text("in time", timeout=30_000)
        await self.tells_of_nobody_else(page, name)
        return page

    async def declines(self, name: str, pass_to: str | None = None) -> None:
        page = await self.asked(name)
        if pass_to is not None:
            await page.locator("#pass-to").select_option(pass_to)
        await page.locator("#decline-no_capacity").click()
        await expect(page.locator("#own-decline")).to_contain_text("Declined", timeout=30_000)
        await self.tells_of_nobody_else(page, name)
        # nothing else is opened in it: it renews itself at the close, and one navigation would end the other
        await page.context.close()

    async def awards(self, winner: str) -> None:
        """The broker's page has the proposal by itself, and the broker presses."""
        award = self.page.locator("#award")
        await expect(award).to_have_text(f"Award it to {winner.title()} Homecare", timeout=90_000)
        await expect(self.page.locator("li.proposed")).to_contain_text("CQC, overall: Good")
        await self.page.locator("#by-award").select_option("br-1")
        await award.click()
        await expect(self.page.locator("#h-award + p")).to_contain_text(
            f"{winner.title()} Homecare", timeout=30_000
        )

    async def begins(self, page: Page, winner: str) -> None:
        """The winner's page says so; day and time are confirmed on it, and stand on the broker's page and in the
        winner's own desk."""
        await expect(page.locator("h1")).to_contain_text("yours", timeout=45_000)
        await page.locator("#start-visit").fill(local(days=2))
        await page.locator("#end-visit").fill(local(days=2, hours=1))
        await page.locator("#confirm").click()
        await expect(page.locator("#state")).to_contain_text("by a field supervisor", timeout=30_000)
        await self.tells_of_nobody_else(page, winner)
        await expect(self.page.locator("#first-visit")).to_contain_text(
            "by a field supervisor", timeout=30_000
        )
        await expect(self.page.locator("h1")).to_contain_text("first visit confirmed")
        name = f"package-{self._at}-{self.ref}"
        assert await asyncio.to_thread(until_sync, lambda: self._planned(name), 20, 0.1, f"{name} is planned")

    def _planned(self, name: str) -> bool:
        office = self._w.daemon.api()
        return any(name in office.visits(day_of(now() + timedelta(days=days))) for days in (1, 2, 3))

    async def rounds(self, *names: str) -> None:
        """The newest first."""
        await expect(self.page.locator("article.round h3")).to_have_text(list(names))


async def pages_of_town(town: Desk) -> None:
    await town.sends_out("south", area="south")
    await town.declines("sea")
    await town.declines("ace")
    await town.declines("bee")
    loser, winner = await town.bids("dee"), await town.bids("fay")
    await town.awards("fay")
    await town.begins(winner, "fay")
    await expect(loser.locator("h1")).to_contain_text("not successful this time", timeout=45_000)
    await town.tells_of_nobody_else(loser, "dee")
    await town.rounds(
        "3. Framework providers", "2. Patch providers of other areas", "1. Patch providers of the area"
    )


async def pages_of_ward(ward: Desk) -> None:
    await ward.sends_out("home", kind="discharge")
    winner = await ward.bids("ace")
    await ward.awards("ace")
    await expect(ward.page.locator(".flags").first).to_have_text("hospital discharge")
    await ward.begins(winner, "ace")
    await expect(ward.page.locator("ul.asked")).to_contain_text("no answer")


async def pages_of_score(score: Desk) -> None:
    await score.sends_out("best")
    await expect(score.page.locator("ul.asked")).to_contain_text("Sea Homecare would be asked after those")
    await score.declines("ace")
    winner = await score.bids("bee")
    await score.awards("bee")
    await score.begins(winner, "bee")
    await expect(score.page.locator("main")).to_contain_text("those used here are unconfirmed")


async def pages_of_hood(hood: Desk) -> None:
    await hood.sends_out("lead")
    winner = await hood.bids("lee")
    await hood.awards("lee")
    await hood.begins(winner, "lee")


async def pages_of_zone(zone: Desk) -> None:
    await zone.sends_out("zone")
    await zone.declines("lee", pass_to="pat")
    winner = await zone.bids("pat")
    await zone.awards("pat")
    await zone.begins(winner, "pat")
    await expect(zone.page.locator("ul.asked")).to_contain_text("no capacity, passed on to Pat Homecare")
    await expect(zone.page.locator("#papers")).to_be_visible()  # sent or not: it can be said still


@pytest.mark.store_once("pages in a browser; the same ways go through the routes on either store")
async def test_each_way_through_the_pages_from_the_form_to_the_confirmed_first_visit(
    tmp_path: Path, warm: WarmStart
) -> None:
    windows: dict[str, dict[str, Any]] = {
        "town": {"all": {"window": "10m", "reminders": []}, "framework": {"window": "30s"}},
        "ward": {"all": {"window": "30s", "reminders": []}},
        "else": {"all": {"window": "10m", "reminders": []}},
    }
    stories = {
        "town": pages_of_town,
        "ward": pages_of_ward,
        "score": pages_of_score,
        "hood": pages_of_hood,
        "zone": pages_of_zone,
    }
    with town(tmp_path, warm, windows) as w:
        async with browser() as chromium:
            await asyncio.gather(*(story(Desk(chromium, w, at)) for at, story in stories.items()))
