"""A package of care from referral to first visit through the pages, in a real browser, over a real daemon.

The broker works at the council's desk; the two providers know nothing but the links in their texts. Their windows are
seconds long. What a provider's page holds is looked at while the rival bids, and after.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from playwright.async_api import Page, expect

from tests.system.chromium import all_of, browser, of_the_page
from tests.system.daemon import Daemon, Telephones, WarmStart, now, secret_of

HALL, BROKERAGE = "hall", "+441632960998"
WINDOW_S = 20
NUMBERS = {"acorn": "+447700900311", "beech": "+447700900312"}
GOOD = dict.fromkeys(("overall", "safe", "effective", "caring", "responsive", "well_led"), "good")
DESK: dict[str, Any] = {
    "id": HALL,
    "kind": "council",
    "name": "The Brokerage",
    "numbers": [BROKERAGE],
    "public": "auto",
    "placing": {"standard": "bromley"},
    "placing_overrides": {
        "standard": {
            "broker_hours": "Mon-Sun 00:00-24:00",
            "lost_told_after": "30m",
            "rounds": {"all": {"window": f"{WINDOW_S}s", "reminders": []}},
        }
    },
    "areas": [{"id": "east", "name": "East", "wards": ["petts-wood"]}],
    "duty": [{"person": "br-1", "role": "broker", "hours": "otherwise"}],
}


def provider(name: str, hours: int) -> dict[str, Any]:
    """A patch provider of the east of whom nothing speaks against a package."""
    said = {
        "id": name,
        "name": f"{name.title()} Homecare",
        "tier": "patch",
        "areas": ["east"],
        "rating": GOOD,
    }
    said |= {"hours_declared": hours, "declared_on": "2026-03-01", "rate": 21.5}
    return said | {"phones": [{"number": NUMBERS[name], "kind": "mobile"}]}


def local(**ahead: float) -> str:
    """A day and a time as the field of a browser takes them, on the council's clocks."""
    return f"{(now() + timedelta(**ahead)).astimezone(ZoneInfo('Europe/London')):%Y-%m-%dT%H:%M}"


def link(phones: Telephones, name: str) -> str:
    """The path in the first text to a provider, once it is there."""
    found = re.search(r"/b/\w+", phones.text(NUMBERS[name])["body"])
    assert found is not None
    return found[0]


async def sends_out(page: Page, daemon: Daemon) -> None:
    """The broker signs in, and sends a package out by the form."""
    await page.goto(f"{daemon.url}/board/{HALL}")
    await page.locator("#password").fill(secret_of("broker", HALL))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("h1")).to_contain_text("The Brokerage")
    await page.get_by_role("link", name="Send out a package").click()
    await page.locator("#by").select_option("br-1")
    await page.locator("#id").fill("ref-7")
    await page.locator("#kind").select_option("standard")
    await page.locator("#place").select_option("east/petts-wood")
    await page.locator("#hours_week").fill("10.5")
    await page.locator("#visit-1").select_option("45")
    await page.locator("#visit-2").select_option("45")
    await page.locator("#start").fill(local(days=2))
    await page.locator("#text").fill("Lives alone on the first floor. Ring 07700 900999 first.")
    await page.locator("#send").click()
    await expect(page.locator("mark")).to_have_text("07700 900999")
    await fits_a_phone(page)
    await page.locator("#text").fill("Lives alone on the first floor.")
    await page.locator("#send").click()
    await expect(page.locator("h1")).to_contain_text("Package ref-7")


async def bids(page: Page, url: str, how: str) -> None:
    """A provider opens its link and bids."""
    await page.goto(url)
    await expect(page.locator("#state")).to_contain_text("Bid or decline by")
    await page.locator("#how-bid").fill(how)
    await page.locator("#bid").click()
    await expect(page.locator("#receipt")).to_contain_text("in time")


async def fits_a_phone(page: Page) -> None:
    """Nothing is wider than a small telephone, and what can be pressed is tall enough for a thumb."""
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await of_the_page(page, "document.documentElement.scrollWidth") <= 360, page.url
    small = await of_the_page(
        page,
        """() => [...document.querySelectorAll('button, select, textarea, summary, a.button, label.tick-box')]
            .filter(el => el.offsetParent && el.getBoundingClientRect().height < 43.5).map(el => el.outerHTML)""",
    )
    assert small == []


async def test_a_package_goes_from_the_referral_to_its_first_visit_through_the_pages(
    tmp_path: Path, warm: WarmStart
) -> None:
    with Telephones() as phones, Daemon(tmp_path, phones=phones, desks=[DESK], warm=warm) as daemon:
        brokerage = daemon.api("broker", desk=HALL)
        brokerage.people({"id": "br-1", "role": "staff", "name": "Orla Pennyfarthing"})
        brokerage.put("./providers", {"providers": [provider("acorn", 900), provider("beech", 950)]})
        async with browser() as chromium:
            pages = {}
            for name in ("broker", "acorn", "beech"):
                pages[name] = await (await chromium.new_context()).new_page()
                await pages[name].goto(
                    f"{daemon.url}/sign-in"
                )  # all is loaded and drawn before a window is open
            await sends_out(pages["broker"], daemon)
            links = {name: link(phones, name) for name in NUMBERS}
            for name, path in links.items():
                await bids(pages[name], daemon.url + path, f"by the team of {name}")
            bidders = pages["broker"].locator("section[aria-labelledby=h-bids] li")
            await expect(bidders).to_have_count(2)
            for page in pages.values():
                await fits_a_phone(page)
            for name, rival in (("acorn", "beech"), ("beech", "acorn")):
                assert rival not in await all_of(pages[name])

            award = pages["broker"].locator("#award")
            await expect(award).to_be_visible(timeout=(WINDOW_S + 30) * 1000)
            await expect(pages["broker"].locator(".proposal")).to_contain_text("CQC, overall: Good")
            await fits_a_phone(pages["broker"])
            winner = brokerage.get("./placements/ref-7")["proposed"]
            loser = next(name for name in NUMBERS if name != winner)
            await pages["broker"].locator("#by-award").select_option("br-1")
            await award.click()
            await expect(pages["broker"].locator("#h-award + p")).to_contain_text(
                f"{winner.title()} Homecare"
            )

            await expect(pages[winner].locator("h1")).to_contain_text("yours", timeout=45_000)  # by itself
            await pages[winner].locator("#start-visit").fill(local(days=2))
            await pages[winner].locator("#end-visit").fill(local(days=2, hours=1))
            await pages[winner].locator("#confirm").click()
            await expect(pages[winner].locator("#state")).to_contain_text("by a field supervisor")
            await expect(pages["broker"].locator("#first-visit")).to_contain_text("by a field supervisor")
            await expect(pages[loser].locator("h1")).to_contain_text(
                "not successful this time", timeout=45_000
            )
            assert winner not in await all_of(pages[loser])
        assert not any(winner in text["body"].lower() for text in phones.texts(NUMBERS[loser]))
        kinds = [fact["kind"] for fact in brokerage.facts()]
        assert kinds.count("BidRecorded") == 2
        assert [kind for kind in kinds if kind in ("PlacementAwarded", "FirstVisitConfirmed")] == [
            "PlacementAwarded",
            "FirstVisitConfirmed",
        ]
        assert not any(path.removeprefix("/b/") in daemon.log for path in links.values())
