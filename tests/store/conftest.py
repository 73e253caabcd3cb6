"""The case store on both databases, each test with one of its own."""

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from case_store import migrate
from case_store.settings import Settings
from case_store.store import CaseStore
from tests import postgres

DATABASES = ("sqlite", "postgresql")


def _in_thread(statement: str) -> None:
    with ThreadPoolExecutor(1) as thread:  # the test has an event loop running in this one
        thread.submit(postgres.on_server, statement).result()


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated, empty database that tests copy: append-only tables cannot be emptied between tests."""
    import asyncio

    name = f"casewright_template_{uuid4().hex[:12]}"
    _in_thread(f'CREATE DATABASE "{name}"')
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate.upgrade(_with_database(postgres_url, name))).result()
    yield name
    _in_thread(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_database(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """URL of a migrated PostgreSQL database of this test's own."""
    name = f"casewright_store_{uuid4().hex[:12]}"
    _in_thread(f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}"')
    yield _with_database(postgres_url, name)
    _in_thread(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
async def sqlite_database(tmp_path: Path) -> str:
    """URL of a migrated SQLite database of this test's own."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'casewright.db'}"
    await migrate.upgrade(url)
    return url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated database, once for each kind."""
    return str(request.getfixturevalue("sqlite_database" if request.param == "sqlite" else "postgres_database"))


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[CaseStore]:
    """The case store on an empty database, once for each kind."""
    store = await CaseStore.open(Settings(home=tmp_path, database_url=database_url))
    yield store
    await store.close()
