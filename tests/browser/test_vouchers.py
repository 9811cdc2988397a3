"""A partner's codes in a browser: dropped on the page, checked, imported, and handed back as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tearline.db import Database
from tests.browser.chromium import serving
from tests.callers import built_for, settings_for
from tests.web.browsing import PASSWORD, make_staff
from tests.worlds import World, make_world

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

CODES = [f"491111E1311415B{number:05d}" for number in range(3000)]
LINES = ["Code", *CODES, CODES[0], "4.91111E+19"]


@asynccontextmanager
async def at_console(
    browser: Browser, database_url: str, path: str, *, scripts: bool = True
) -> AsyncIterator[Page]:
    """A page of the console, signed in."""
    with built_for(settings_for(database_url)) as app:
        async with (
            serving(app) as address,
            await browser.new_page(locale="en-HK", java_script_enabled=scripts) as page,
        ):
            await make_staff(app, "owner")
            await page.goto(f"{address}/console/sign-in")
            await page.fill("[name=email]", "owner@example.org")
            await page.fill("[name=password]", PASSWORD)
            await page.press("[name=password]", "Enter")
            await page.wait_for_url(lambda url: "sign-in" not in url)
            await page.goto(address + path)
            yield page


async def drop(page: Page, name: str, content: str) -> None:
    """Let a file fall onto the form."""
    await page.locator("[data-drop].ready").wait_for()
    carried = await page.evaluate_handle(
        """([name, content]) => {
            const carried = new DataTransfer();
            carried.items.add(new File([content], name, { type: "text/csv" }));
            return carried;
        }""",
        [name, content],
    )
    for event in ("dragenter", "dragover", "drop"):
        await page.dispatch_event("[data-drop]", event, {"dataTransfer": carried})


async def make_pool(page: Page) -> None:
    """Give the offer on the page a pool."""
    await page.get_by_role("link", name="Use the partner's codes").click()
    await page.get_by_label("QR code").check()
    await page.get_by_label("Warn below").fill("100")
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url("**/console/pools/*")


async def test_codes_are_dropped_checked_imported_and_handed_back(
    browser: Browser, database: Database, database_url: str, tmp_path: Path
) -> None:
    world: World = await make_world(database, bundle=(1,))
    async with at_console(browser, database_url, f"/console/offers/{world.offers[0]}") as page:
        await make_pool(page)
        pool = page.url
        # A file that does not arrive is said so, and can be sent again.
        await page.route("**/upload", lambda route: route.abort())
        await drop(page, "codes.csv", "\n".join(LINES))
        problem = page.locator("[data-problem]")
        await expect(problem).to_have_text("The file did not arrive. Please try again.")
        await page.unroute("**/upload")
        # The bar is gone with the page when all has arrived, so how far it came is noted while it moves.
        await page.evaluate(
            """() => {
                const progress = document.querySelector("[data-upload-state] progress");
                new MutationObserver(() => sessionStorage.setItem("seen", progress.value))
                    .observe(progress, { attributes: true });
            }"""
        )
        await drop(page, "codes.csv", "\n".join(LINES))
        await page.wait_for_url("**/files/*")
        assert float(await page.evaluate("sessionStorage.getItem('seen')")) > 0

        await expect(page.locator("main")).to_contain_text("20 characters: capital letters and digits.")
        await expect(page.get_by_label("The first row is a heading")).to_be_checked()
        await page.get_by_role("button", name="Import", exact=True).click()
        figures = page.locator(".figures").first
        await expect(figures).to_contain_text("3,000")
        await expect(page.locator("main")).to_contain_text("What became of every row")
        await expect(page.locator("main")).to_contain_text("A spreadsheet made a number of this code")
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="What became of every row").click()
        outcome = await (await downloading.value).path()
        assert outcome.read_text("utf-8-sig").count("\n") == len(LINES)

        await page.goto(pool)
        await expect(page.locator(".figures")).to_contain_text("3,000")
        await page.get_by_text("Close and hand back").click()
        await expect(page.locator("#hand-backs")).to_contain_text("3,000 unsold codes are withdrawn for good")
        await page.get_by_role("button", name="Withdraw and make the file").click()
        await expect(page.locator("#hand-backs")).to_contain_text("Not fetched yet")
        contents = []
        for _time in range(2):
            async with page.expect_download() as downloading:
                await page.locator("#hand-backs").get_by_role("link", name="CSV").click()
            contents.append((await (await downloading.value).path()).read_bytes())
        assert contents[0] == contents[1] and CODES[2999].encode() in contents[0]
        await page.reload()
        await expect(page.locator("#hand-backs")).not_to_contain_text("Not fetched yet")


async def test_an_upload_works_without_scripts(
    browser: Browser, database: Database, database_url: str, tmp_path: Path
) -> None:
    world: World = await make_world(database, bundle=(1,))
    file = tmp_path / "codes.txt"
    file.write_text("\r\n".join(CODES[:50]))
    offer = f"/console/offers/{world.offers[0]}"
    async with at_console(browser, database_url, offer, scripts=False) as page:
        await make_pool(page)
        await page.set_input_files("#code-file", file)
        await page.get_by_role("button", name="Upload").click()
        await page.wait_for_url("**/files/*")
        await expect(page.locator("main")).to_contain_text("The first 50 rows can all be imported.")
        await page.get_by_role("button", name="Import", exact=True).click()
        await expect(page.locator("main")).to_contain_text("Every row was added.")
