"""What every test can ask for: a PostgreSQL database, a browser, a home folder; and the rule when one is missing.

Locally, a test whose PostgreSQL or Chromium is missing is skipped and says how to get it. With CI=true it fails: a
skipped test is a promise nobody keeps.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import hypothesis
import pytest

from tests import postgres

if TYPE_CHECKING:
    from playwright.async_api import Browser

CHROMIUM = "CASEWRIGHT_TEST_CHROMIUM"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_HELP = f"install it (Debian: apt-get install chromium) or name it: {CHROMIUM}=/path/to/chromium"
# Quiet: the browser asks nobody on the network for anything. The sandbox of Chromium does not start as root.
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]

ENGINE_FOLDERS = {"flows", "browser", "acceptance", "faults"}
WITH_SERVERS = {"flows", "contracts"}

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("thorough", parent=hypothesis.settings.get_profile("default"), max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("CASEWRIGHT_TEST_HYPOTHESIS", "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Keep the developer's own Casewright and Prefect out: no setting and no profile of theirs reaches a test.

    Here and not in a fixture, because Prefect reads its settings while it is imported.
    """
    for name in list(os.environ):
        if name.startswith(("CASEWRIGHT_", "PREFECT_")) and not name.startswith("CASEWRIGHT_TEST_"):
            del os.environ[name]
    home = tempfile.mkdtemp(prefix="casewright-test-prefect-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    os.environ["PREFECT_HOME"] = home
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["DO_NOT_TRACK"] = "1"


@pytest.hookimpl(tryfirst=True)  # before those who share tests out by these marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with what it needs, so that `-m "not postgres"` and the like leave out the right ones."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "postgres_url" in fixtures:
            item.add_marker(pytest.mark.postgres)
        if "chromium" in fixtures or "browser" in fixtures:
            item.add_marker(pytest.mark.browser)
        if ENGINE_FOLDERS.intersection(item.path.parts):
            item.add_marker(pytest.mark.prefect)
        if together := _share(item.path, fixtures):
            item.add_marker(pytest.mark.xdist_group(together))
        if item.get_closest_marker("prefect"):
            # Prefect's client leaves sockets and streams to the garbage collector.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Collect what Prefect's client left, before a test comes in which that would be a failure."""
    if item.get_closest_marker("prefect") and not (nextitem and nextitem.get_closest_marker("prefect")):
        gc.collect()


def _share(path: Path, fixtures: Sequence[str]) -> str | None:
    """Name those who share a server that takes long to start: one process runs them, when several run tests at once."""
    if "site" in fixtures:
        return f"the site of {path.parent.name}"
    return path.stem if WITH_SERVERS.intersection(path.parts) else None


def missing(what: str, how: str) -> NoReturn:
    """End a test that cannot run here: skipped locally, failed with CI=true."""
    message = f"{what}\n  next: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CASEWRIGHT_HOME of this test's own, set in the environment."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CASEWRIGHT_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL (asyncpg) of an empty PostgreSQL database of this session's own, dropped at its end."""
    name = f"casewright_test_{uuid4().hex[:12]}"
    try:
        postgres.on_server(f'CREATE DATABASE "{name}"')
    except postgres.PostgresMissing as error:
        missing(str(error), postgres.HOW_TO_GET_IT)
    url = postgres.server().set(drivername="postgresql+asyncpg", database=name)
    yield url.render_as_string(hide_password=False)
    postgres.on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The Chromium of this machine."""
    named = os.environ.get(CHROMIUM)
    for name in (named,) if named else CHROMIUM_NAMES:
        if found := shutil.which(name):
            return Path(found)
    missing(f"No Chromium for the browser tests: looked for {named or ', '.join(CHROMIUM_NAMES)}", CHROMIUM_HELP)


@pytest.fixture
async def browser(chromium: Path) -> AsyncIterator["Browser"]:
    """A headless Chromium of this test's own, as a Playwright browser."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield browser
        await browser.close()
