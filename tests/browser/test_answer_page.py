"""The page behind a link in a real browser: by keyboard, with several pages open, on a phone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from case_store import links, migrate, tasks
from case_store.links import LinkKeys
from case_store.settings import Settings
from case_store.store import CaseStore
from console.web.app import make
from console.web.server import configured
from console.web.site import Site
from tests.browser.pages import keep_to_loopback
from tests.store import world
from tests.store.world import ENGINE, World

KEYS = LinkKeys(("a-key-of-at-least-32-characters-is-it",))
PHONE = {"width": 390, "height": 800}


class Pages:
    """The pages, served on this machine; and a web mail at another site, which has their links."""

    def __init__(self, store: CaseStore, drill: World) -> None:
        self.store, self.drill, self.tokens = store, drill, dict[str, str]()
        self.port = 0

    @property
    def mail(self) -> str:
        """Where the web mail is: to browsers, localhost is another site than 127.0.0.1."""
        return f"http://localhost:{self.port}/mail"

    def link(self, key: str) -> str:
        return f"http://127.0.0.1:{self.port}/a/{self.tokens[key]}"

    async def inbox(self, _: Request) -> HTMLResponse:
        return HTMLResponse("".join(f'<a target="_blank" href="{self.link(key)}">{key}</a> ' for key in self.tokens))

    async def state(self, key: str) -> str:
        async with self.store.reading() as tx:
            return (await world.task(tx, self.drill, key)).state


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    settings, now = Settings(home=tmp_path), datetime.now(UTC)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    made = Pages(store, await world.build(store))
    asked = (("report", "ada"), ("confirm", "bob"), ("block", "mia"))
    async with store.transaction() as tx:
        for key, _ in asked:
            task = await world.task(tx, made.drill, key)
            await tasks.ask(tx, task, parameters={"url": "x"}, due_at=None, by=ENGINE, at=now)
    async with store.transaction() as tx:
        for key, who in asked:
            task, day = await world.task(tx, made.drill, key), timedelta(days=1)
            token = await links.mint(tx, task, made.drill[who], "email", keys=KEYS, lasts=day, by=ENGINE, at=now)
            made.tokens[key] = token or ""
    site = Site(store, KEYS, settings, lambda: datetime.now(UTC))
    app = Starlette(routes=[Route("/mail", made.inbox), Mount("/", make(site))])
    server = uvicorn.Server(configured(app, settings, "127.0.0.1", 0))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    made.port = server.servers[0].sockets[0].getsockname()[1]
    yield made
    await server.shutdown()
    await store.close()


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport=PHONE)
    await keep_to_loopback(context)
    yield await context.new_page()
    await context.close()


async def test_two_links_in_web_mail_are_both_answered(pages: Pages, page: Page):
    await page.goto(pages.mail)
    opened = []
    for key in ("report", "block"):
        async with page.expect_popup() as popup:
            await page.get_by_role("link", name=key).click()
        opened.append(await popup.value)
    await opened[0].get_by_role("button", name="Done").click()
    await expect(opened[0].get_by_role("heading", name="Thank you")).to_be_visible()
    assert await pages.state("report") == "done"


async def test_it_is_answered_by_keyboard_and_says_what_is_wrong_where_it_is(pages: Pages, page: Page):
    await page.goto(pages.link("confirm"))
    await page.get_by_label("Hosts").fill("many")
    await page.get_by_label("Note").fill("seen it")
    await page.evaluate("document.querySelector('form').noValidate = true")  # as of a browser that checks nothing
    await page.get_by_label("Hosts").press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Choose one of the buttons below")
    await page.evaluate("document.querySelector('form').noValidate = true")
    await page.get_by_role("button", name="Done").press("Enter")
    problems = page.get_by_role("alert")
    await expect(problems).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("phishing")).to_be_focused()
    await page.keyboard.press("Space")
    await page.get_by_label("Hosts").fill("3")
    await page.get_by_role("button", name="Done").press("Enter")
    await expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert await pages.state("confirm") == "done"
    await page.go_back()
    await expect(page.get_by_role("heading", name="This link was used")).to_be_visible()


async def test_enter_after_a_code_decides_nothing_and_nothing_is_wider_than_a_phone(pages: Pages, page: Page):
    await page.goto(pages.link("block"))
    await page.get_by_role("button", name="Send me a code").click()
    await expect(page.get_by_role("status")).to_contain_text("on its way to you by text message")
    async with pages.store.reading() as tx:
        digits = await world.code_of(tx)
    code = page.get_by_role("textbox", name="Enter it here")
    await expect(code).to_be_focused()
    await code.fill(digits)
    await code.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    assert await pages.state("block") == "open"
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await code.fill(digits)
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert await pages.state("block") == "waiting"
