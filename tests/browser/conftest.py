"""One site for the tests with a browser, and the page of a task in one of the two interfaces."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from notifiers.testing.twilio import FakeTwilio
from tests.browser.pages import INTERFACES, FirstInterface, keep_to_loopback
from tests.site import Desk, Site, desk_at, site_in


@pytest.fixture(scope="session")
def phone() -> Iterator[FakeTwilio]:
    """A stand-in for Twilio, which has the texts that the site sends; it runs in a loop of its own, for all tests."""
    twilio, loop = FakeTwilio(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(twilio.__aenter__(), loop).result()
    yield twilio
    asyncio.run_coroutine_threadsafe(twilio.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def site(chromium, phone: FakeTwilio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A deployed site whose worker and relay run, and send texts."""
    texts = {
        "CASEWRIGHT_TWILIO_ACCOUNT_SID": phone.account_sid,
        "CASEWRIGHT_TWILIO_AUTH_TOKEN": phone.auth_token,
        "CASEWRIGHT_TWILIO_FROM": "MG" + "1" * 32,
        "CASEWRIGHT_TWILIO_URL": phone.url,
    }
    with site_in(tmp_path_factory.mktemp("browser-site"), "serve", **texts) as one:
        yield one


@pytest.fixture
async def desk(site: Site) -> AsyncIterator[Desk]:
    """A person's desk at the site."""
    async with desk_at(site) as one:
        yield one


@pytest.fixture(params=INTERFACES)
async def task_page(request, site: Site, browser: Browser) -> AsyncIterator[FirstInterface]:
    """The page of a task, in each of the interfaces; no page reaches anything but this machine."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    await keep_to_loopback(context)
    yield INTERFACES[request.param](await context.new_page(), site.ui)
    await context.close()
