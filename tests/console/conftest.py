"""A case store with people and cases, and the command line called as a person would call it."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from case_store import find, migrate, people, tasks
from case_store.actor import Actor
from case_store.settings import Settings
from case_store.store import CaseStore
from console import cli
from sop.library import Library

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ENGINE = Actor.system("engine")
PEOPLE = Path(cli.__file__).parent / "demo" / "people.csv"


@dataclass(frozen=True)
class Said:
    """What one call of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON document on standard output."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A home with tables and people, made once and copied for each test."""
    home = tmp_path_factory.mktemp("prepared")

    async def prepare():
        settings = Settings(home=home)
        await migrate.upgrade(settings.database_url)
        store = await CaseStore.open(settings)
        async with store.transaction() as tx:
            rows = people.parse_csv(PEOPLE.read_text("utf-8"))
            await people.import_(tx, rows, Library.load().roles.keys(), by=ENGINE, at=NOW)
        await store.close()

    asyncio.run(prepare())
    return home


@pytest.fixture
def filled(home, prepared, monkeypatch):
    """This test's own home, with tables and people; Dana, an analyst of tier 1, is at the keyboard."""
    shutil.copytree(prepared, home, dirs_exist_ok=True)
    monkeypatch.setenv("CASEWRIGHT_PERSON", "dana")
    return home


@pytest.fixture
def casewright(capfd, home):
    """Call the command line of this process: `casewright("case", "list", "--json")`."""

    def call(*words):
        capfd.readouterr()
        code = cli.run([str(word) for word in words])
        return Said(code, *capfd.readouterr())

    return call


@pytest.fixture
def in_store(filled):
    """Do something in the case store that the engine would do: `in_store(async function of tx)`."""

    def do(work):
        async def inside():
            store = await CaseStore.open(Settings())
            try:
                async with store.transaction() as tx:
                    return await work(tx)
            finally:
                await store.close()

        return asyncio.run(inside())

    return do


@pytest.fixture
def asked(casewright, in_store):
    """Open a case by the SOP for SSH, have the engine ask for some of its tasks, and return its number."""

    def ask(*keys, parameters=None, **words):
        opened = casewright("case", "open", "--sop", "ssh-bruteforce", "--title", words.get("title", "A try"), "--json")
        number = opened.json["number"]

        async def open_tasks(tx):
            case = await find.case(tx, number)
            for key in keys:
                task = await find.task_of(tx, case, key)
                await tasks.ask(tx, task, parameters=parameters, due_at=None, by=ENGINE, at=NOW)

        in_store(open_tasks)
        return number

    return ask
