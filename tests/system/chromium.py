"""A real Chromium, and how to look at a page that renews itself while one looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Error, Page, async_playwright, expect

expect.set_options(timeout=30_000)
"""Instead of five seconds, in all that is expected of a page: as long as Playwright waits for everything else."""
STARTS_MS = 120_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@asynccontextmanager
async def browser() -> AsyncIterator[Any]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=ARGUMENTS, timeout=STARTS_MS
        )
        yield chromium
        await chromium.close()


async def of_the_page(page: Page, script: str) -> Any:
    """What the script finds; a page of a window asks again by itself, and may do so in the middle of it."""
    for _ in range(5):
        try:
            return await page.evaluate(script)
        except Error as error:
            if "context was destroyed" not in error.message:
                raise
            await page.wait_for_load_state()
    raise AssertionError("the page is never at rest")


async def all_of(page: Page) -> str:
    """Every letter of the page, in small ones. `page.content()` refuses a page that is just renewing itself."""
    whole: str = await of_the_page(page, "() => document.documentElement.outerHTML")
    return whole.lower()
