"""One site for the tests with a browser, and the page of a task in one of the two interfaces."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from tests.browser.pages import INTERFACES, FirstInterface, keep_to_loopback
from tests.site import Desk, Site, desk_at, site_in


@pytest.fixture(scope="session")
def site(chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A deployed site whose worker and relay run."""
    with site_in(tmp_path_factory.mktemp("browser-site"), "serve") as one:
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
