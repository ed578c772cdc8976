"""The page of those who are away, at a browser: reported, confirmed, answered, back; and a death."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from playwright.async_api import expect

from tests.system.chromium import browser
from tests.system.daemon import DESK, EDNA, WarmStart, now
from tests.system.test_absence import world
from tests.waiting import until_sync


async def test_an_absence_is_told_on_the_alerts_page_and_answered_for_on_its_own(
    tmp_path: Path, warm: WarmStart
) -> None:
    with world(tmp_path, warm) as w:
        alert = w.office.alert("v-1", kind="late_visit")["id"]
        async with browser() as chromium:
            page = await (await chromium.new_context(viewport={"width": 1300, "height": 900})).new_page()
            await page.goto(f"{w.daemon.url}/board/{DESK}/alerts/{alert}")
            await page.locator("#d-away summary").click()
            await page.locator("#by-away").select_option("st-1")
            await page.locator("#away-reason").select_option("hospital")
            await page.locator("#away-from").fill(f"{now() - timedelta(hours=3):%Y-%m-%dT%H:%M}")
            await page.locator("#away-review").fill(f"{now() + timedelta(days=3):%Y-%m-%dT12:00}")
            await page.locator("#away-raised").select_option("care_worker")
            await page.locator("#away-note").fill("The ambulance came at seven.")
            await page.locator("#report-away").click()
            await expect(page.locator(".known-absence")).to_contain_text("not confirmed: the visits stand")
            (absence,) = w.office.get("./absences?open=true")["absences"]

            await page.locator(".known-absence a").click()
            await expect(page.locator("h1")).to_have_text("Who is away")
            await page.locator(f"#spoke-{absence['id']}").select_option("place")
            await page.locator(f"#confirm-{absence['id']}").click()
            await expect(page.locator(".absence")).to_contain_text("Confirmed by Orla Pennyfarthing")
            assert w.office.get(f"./alerts/{alert}")["ended_reason"] == "cancelled_confirmed"
            await page.locator(f"#note-{absence['id']}").fill("Asked the ward: some days more.")
            await page.locator(f"#asked-{absence['id']}").click()
            await page.locator(f"#back-{absence['id']}").click()
            await expect(page.locator("main")).to_contain_text("Nobody is marked away.")

            await page.locator("#by-died").select_option("st-2")
            await page.locator("#person").select_option("su-1")
            await page.locator("#note-died").fill("Ned rang.")
            await page.locator("#record-died").click()
            await page.locator("#d-died summary").click()
            await page.locator("#by-undo").select_option("st-1")
            await page.locator("#person-undo").select_option("su-1")
            await page.locator("#note-undo").fill("It was somebody else.")
            await page.locator("#undo-died").click()
            await expect(page.locator("main")).to_contain_text("Expected a manager of the duty list")
        assert w.office.get("./people/su-1/died")["died"]
        until_sync(lambda: w.phones.texts(EDNA) == [], what="nothing goes there")
