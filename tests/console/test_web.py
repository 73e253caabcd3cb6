"""`casewright web` as a process, and `casewright link`."""

import asyncio
import os
import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from case_store import links, migrate, tasks
from case_store.links import LinkKeys
from case_store.settings import Settings
from case_store.store import CaseStore
from console.up import Site
from tests.store import world
from tests.store.world import ENGINE, NOW


@pytest.fixture
async def token(tmp_path: Path) -> str:
    """A home with one task that waits, and the token of the link to it."""
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    drill = await world.build(store)
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        await tasks.ask(tx, report, parameters=None, due_at=NOW, by=ENGINE, at=NOW)
    async with store.transaction() as tx:
        report, keys, day = await world.task(tx, drill, "report"), LinkKeys.load(settings.keys), timedelta(days=1)
        at = datetime.now(UTC)
        made = await links.mint(tx, report, drill.ada, "email", keys=keys, lasts=day, by=ENGINE, at=at)
    await store.close()
    assert made is not None
    return made


async def casewright(home: Path, *words: str) -> str:
    process = await start(home, *words)
    said = await process.communicate()
    assert process.returncode == 0, said
    return said[0].decode()


async def start(home: Path, *words: str) -> asyncio.subprocess.Process:
    environment = os.environ | {"CASEWRIGHT_HOME": str(home), "CASEWRIGHT_PERSON": "ada", "PYTHONUNBUFFERED": "1"}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", *words, env=environment, stdout=pipe, stderr=pipe
    )


async def test_it_serves_the_page_decides_and_ends_when_told(tmp_path: Path, token: str):
    process = await start(tmp_path, "web", "--port", "0")
    assert process.stdout
    assert process.stderr
    said = (await process.stdout.readline()).decode()
    where = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert where, said
    async with httpx.AsyncClient(base_url=where[0], trust_env=False) as browser:
        page = await _when_it_answers(browser, f"/a/{token}")
        sealed = re.search(r'name="page" value="([^"]+)"', page.text)
        assert sealed
        done = await browser.post(f"/a/{token}", data={"page": sealed[1], "decision": "done"})
        assert "is done" in done.text
    process.send_signal(signal.SIGTERM)
    out, err = await process.communicate()
    assert process.returncode == 0
    assert token.encode() not in out + err, "a link in a log is a link for whoever reads it"


async def _when_it_answers(browser: httpx.AsyncClient, path: str) -> httpx.Response:
    while True:
        try:
            return await browser.get(path)
        except httpx.ConnectError:
            await asyncio.sleep(0.05)


async def test_links_are_listed_and_taken_back(tmp_path: Path, token: str):
    listed = await casewright(tmp_path, "link", "list", "1", "--json")
    assert '"state": "open"' in listed
    assert '"person": "ada"' in listed
    assert token not in listed
    assert "1 link is taken back" in await casewright(tmp_path, "link", "revoke", "1", "report", "--reason", "lost")
    assert '"state": "revoked"' in await casewright(tmp_path, "link", "list", "1", "--json")


async def test_a_new_key_signs_and_the_old_one_is_believed(tmp_path: Path, token: str):
    file = Settings(home=tmp_path).keys / "links.key"
    before = file.read_text()
    assert oct(file.stat().st_mode)[-3:] == "600"
    assert before.strip() not in await casewright(tmp_path, "link", "new-key")
    assert file.read_text().startswith(before)
    assert oct(file.stat().st_mode)[-3:] == "600"
    keys = LinkKeys.load(file.parent)
    assert keys.read_link(token) is not None
    assert LinkKeys(tuple(before.split())).read_link(keys.new_link()[0]) is None
    assert before.strip() not in repr(keys)


def test_up_serves_the_pages_once_people_can_reach_them(tmp_path: Path):
    site = Site(tmp_path, 4200)
    assert site.pages({}) is None
    pages = site.pages({"CASEWRIGHT_PUBLIC_URL": "https://soar.example.org"})
    assert pages is not None
    assert pages.command[-3:] == ("web", "--host", "127.0.0.1")
