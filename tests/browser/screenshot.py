"""Take the picture of a waiting task for the documentation.

Run: python -m tests.browser.screenshot docs/images/waiting-task.png
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from tests.browser.pages import SecondInterface, keep_to_loopback
from tests.conftest import CHROMIUM_ARGS, CHROMIUM_HELP, CHROMIUM_NAMES
from tests.site import Site, desk_at, site_in


async def take(site: Site, picture: Path, chromium: str) -> None:
    """Open a case, wait for its first question and take a picture of its form, filled in halfway."""
    async with desk_at(site) as desk, async_playwright() as playwright:
        case = await desk.open("ssh-bruteforce", "Password guessing against web-01")
        question = await desk.question(case.number, "confirm-source")
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        context = await browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        await keep_to_loopback(context)
        task = SecondInterface(await context.new_page(), site.ui)
        await task.open(question.flow_run_id)
        await task.write("Source address to act on", "203.0.113.7")
        await task.choose("What stands behind it", "Unknown external address")
        picture.parent.mkdir(parents=True, exist_ok=True)
        await task.page.screenshot(path=picture, animations="disabled")
        await browser.close()


def main() -> None:
    """Take the picture into the file named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.browser.screenshot FILE.png")
    chromium = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if chromium is None:
        sys.exit(f"No Chromium to take the picture with.\n  next: {CHROMIUM_HELP}")
    with tempfile.TemporaryDirectory() as folder, site_in(Path(folder) / "site", "serve") as site:
        asyncio.run(take(site, Path(sys.argv[1]), chromium))


if __name__ == "__main__":
    main()
