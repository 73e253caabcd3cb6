"""Bring a database to the tables of this version, or say what is wrong with it.

The scripts are package data: no `alembic.ini` and no working directory is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from case_store import schema
from case_store.engines import create_engines, create_sqlite_file, migrating_engine, parse_url, sqlite_file
from case_store.errors import ConstraintBroken, SchemaNotCurrent, StoreDamaged
from case_store.schema import SchemaProblem
from case_store.translate import speaking_plainly, while_connecting
from case_store.writer import WriterLock, lock_file

SCRIPTS = Path(__file__).with_name("migrations")
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('casewright migration'))")


async def upgrade(url: str, revision: str = "head") -> None:
    """Make the tables, or change them to those of this version; whole or not at all.

    Raises:
        SchemaNotCurrent: The database is at a migration that this version does not know.
        StoreUnavailable: The database cannot be reached.
    """
    parsed = parse_url(url)
    if file := sqlite_file(parsed):
        create_sqlite_file(file)
    await _migrate(parsed, command.upgrade, revision)


async def downgrade(url: str, revision: str) -> None:
    """Take migrations back as far as `revision` (`base`: all). Refused where that would delete audit events."""
    await _migrate(parse_url(url), command.downgrade, revision)


async def current(url: str) -> str | None:
    """Return the migration that the database is at, None when it has no tables."""
    parsed = parse_url(url)
    if _missing(parsed):
        return None
    async with connecting(create_engines(parsed).reading) as connection:
        return await connection.run_sync(schema.revision)


async def check(url: str) -> list[SchemaProblem]:
    """Return what is wrong with the database: tables not of this version, triggers missing, a damaged file."""
    parsed = parse_url(url)
    if _missing(parsed):
        return [SchemaProblem(f"there is no database at {sqlite_file(parsed)}", SchemaNotCurrent.next_step)]
    try:
        async with connecting(create_engines(parsed).reading) as connection:
            found = await connection.run_sync(schema.problems)
            if connection.dialect.name == "sqlite":
                found += await connection.run_sync(_damage)
            return found
    except StoreDamaged as error:
        return [SchemaProblem(str(error), error.next_step)]


def alembic_config(connection: Connection | None = None) -> Config:
    """Return what Alembic needs to know; without a connection it opens the database of the settings."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


async def _migrate(url: URL, change: Callable[[Config, str], None], revision: str) -> None:
    async with _writing_alone(url), connecting(migrating_engine(url)) as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(ONE_AT_A_TIME)
        at = await connection.run_sync(schema.revision)
        if at is not None and at > schema.HEAD:
            raise SchemaNotCurrent(
                f"the tables are at migration {at}, newer than this version ({schema.HEAD})",
                next_step="install the newer version",
            )
        await connection.run_sync(lambda sync: change(alembic_config(sync), revision))
        if connection.dialect.name == "sqlite":
            await connection.run_sync(_require_references)
        elif await connection.run_sync(schema.revision) == schema.HEAD:
            await connection.run_sync(_grant_again)


def _grant_again(connection: Connection) -> None:
    from case_store.roles import grant_again  # noqa: PLC0415 -- it needs us

    grant_again(connection)


def _writing_alone(url: URL) -> AbstractAsyncContextManager[None]:
    file = sqlite_file(url)
    return WriterLock(lock_file(file)).held() if file else nullcontext()


@asynccontextmanager
async def connecting(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give one connection in one transaction, and close everything after it."""
    try:
        with speaking_plainly():
            with while_connecting():
                connection = await engine.connect()
            try:
                async with connection.begin():
                    yield connection
            finally:
                await connection.close()
    finally:
        await engine.dispose()


def _missing(url: URL) -> bool:
    file = sqlite_file(url)
    return file is not None and not file.exists()


def _require_references(connection: Connection) -> None:
    """Check what `foreign_keys` would have checked, which is off while tables are rebuilt."""
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise ConstraintBroken(
            "after the migration some rows refer to rows that are not there",
            next_step="report it; the database is as before",
        )


def _damage(connection: Connection) -> list[SchemaProblem]:
    rows = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
    return [SchemaProblem(f"the file is damaged: {row}", StoreDamaged.next_step) for row in rows if row != "ok"]
