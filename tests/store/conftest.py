"""The case store on both databases, each test with one of its own."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from case_store import migrate, roles
from case_store.settings import Settings
from case_store.store import CaseStore
from tests import postgres
from tests.store import kinds  # noqa: F401 - so that tests may record what only they do

DATABASES = ("sqlite", "postgresql")
PASSWORD = "a password of the tests"
Sql = Callable[[str], Awaitable[Sequence[Sequence[object]]]]


def _with_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The name of a migrated, empty database that tests copy: append-only tables cannot be emptied between tests."""
    name = f"casewright_template_{uuid4().hex[:12]}"
    postgres.on_server(f'CREATE DATABASE "{name}"')
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate.upgrade(_with_database(postgres_url, name))).result()
    yield name
    postgres.on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgres_copies(postgres_template: str) -> Iterator[postgres.Copies]:
    """Copies of the migrated, empty database."""
    copies = postgres.Copies(postgres_template)
    yield copies
    copies.close()


@pytest.fixture
def postgres_database(postgres_url: str, postgres_copies: postgres.Copies) -> Iterator[str]:
    """URL of a migrated PostgreSQL database of this test's own."""
    name = postgres_copies.take()
    yield _with_database(postgres_url, name)
    postgres_copies.give_back(name)


@pytest.fixture
def postgres_empty(postgres_url: str) -> Iterator[str]:
    """URL of a PostgreSQL database without tables."""
    name = f"casewright_empty_{uuid4().hex[:12]}"
    postgres.on_server(f'CREATE DATABASE "{name}"')
    yield _with_database(postgres_url, name)
    postgres.on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@dataclass(frozen=True)
class Hardened:
    """A database with an owner role and an application role of its own."""

    owner: str
    application: str
    template: str


@pytest.fixture(scope="session")
def hardened_template(postgres_url: str, postgres_template: str) -> Iterator[Hardened]:
    """A migrated, empty, hardened database that tests copy."""
    tag = uuid4().hex[:12]
    made = Hardened(f"cw_owner_{tag}", f"cw_app_{tag}", f"casewright_hard_{tag}")
    postgres.on_server(f'CREATE DATABASE "{made.template}" TEMPLATE "{postgres_template}"')
    wanted = roles.Wanted(made.application, made.owner, SecretStr(PASSWORD))
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, roles.harden(_with_database(postgres_url, made.template), wanted)).result()
    yield made
    postgres.on_server(f'DROP DATABASE IF EXISTS "{made.template}" WITH (FORCE)')
    for role in (made.application, made.owner):
        postgres.on_server(f'DROP ROLE IF EXISTS "{role}"')


@pytest.fixture(scope="session")
def hardened_copies(hardened_template: Hardened) -> Iterator[postgres.Copies]:
    """Copies of the hardened database."""
    copies = postgres.Copies(hardened_template.template)
    yield copies
    copies.close()


@pytest.fixture
def hardened_database(
    postgres_url: str, hardened_template: Hardened, hardened_copies: postgres.Copies
) -> Iterator[str]:
    """URL of a hardened PostgreSQL database of this test's own, as its application role."""
    name = hardened_copies.take()
    url = make_url(_with_database(postgres_url, name)).set(username=hardened_template.application, password=PASSWORD)
    yield url.render_as_string(hide_password=False)
    hardened_copies.give_back(name)


@pytest.fixture
def as_superuser(hardened_database: str, postgres_url: str) -> Sql:
    """Run SQL on the hardened database as the administrator of the server."""
    return run_sql(_with_database(postgres_url, make_url(hardened_database).database or ""))


@pytest.fixture
async def hardened_store(hardened_database: str, tmp_path: Path) -> AsyncIterator[CaseStore]:
    """The case store on PostgreSQL, as its application role."""
    store = await CaseStore.open(Settings(home=tmp_path, database_url=hardened_database))
    yield store
    await store.close()


@pytest.fixture
def sqlite_empty(tmp_path: Path) -> str:
    """URL of an SQLite database that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'casewright.db'}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database that tests copy: migrating takes half a second each time."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate.upgrade(f"sqlite+aiosqlite:///{file}")).result()
    assert not list(file.parent.glob("*-wal")), "what it says is all in the one file"
    return file


@pytest.fixture
def sqlite_database(sqlite_empty: str, sqlite_template: Path) -> str:
    """URL of a migrated SQLite database of this test's own."""
    file = Path(make_url(sqlite_empty).database or "")
    file.parent.mkdir(parents=True)
    shutil.copy(sqlite_template, file)  # with its mode: nobody else reads it
    return sqlite_empty


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated database, once for each kind."""
    return str(request.getfixturevalue("sqlite_database" if request.param == "sqlite" else "postgres_database"))


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest) -> str:
    """URL of a database without tables, once for each kind."""
    return str(request.getfixturevalue("sqlite_empty" if request.param == "sqlite" else "postgres_empty"))


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[CaseStore]:
    """The case store on an empty database, once for each kind."""
    store = await CaseStore.open(Settings(home=tmp_path, database_url=database_url))
    yield store
    await store.close()


@pytest.fixture
async def sqlite_store(sqlite_database: str, tmp_path: Path) -> AsyncIterator[CaseStore]:
    """The case store on SQLite."""
    store = await CaseStore.open(Settings(home=tmp_path, database_url=sqlite_database))
    yield store
    await store.close()


@pytest.fixture
async def postgres_store(postgres_database: str, tmp_path: Path) -> AsyncIterator[CaseStore]:
    """The case store on PostgreSQL."""
    store = await CaseStore.open(Settings(home=tmp_path, database_url=postgres_database))
    yield store
    await store.close()


@pytest.fixture
def sql(request: pytest.FixtureRequest) -> Sql:
    """Run SQL as some other program would, which knows neither our session nor our settings of the connection."""
    name = "empty_url" if "empty_url" in request.fixturenames else "database_url"
    return run_sql(str(request.getfixturevalue(name)))


def run_sql(url: str) -> Sql:
    """Return a function that runs SQL on this database and commits."""

    async def on_sqlite(statement: str) -> Sequence[Sequence[object]]:
        with closing(sqlite3.connect(make_url(url).database or "")) as connection, connection:
            return connection.execute(statement).fetchall()

    async def on_postgresql(statement: str) -> Sequence[Sequence[object]]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return on_sqlite if url.startswith("sqlite") else on_postgresql
