"""Connections to the two databases, set up so that nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, ExceptionContext, ExecutionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from case_store import sqlite_trips
from case_store.authorizer import authorize
from case_store.errors import BadDatabaseUrl, StoreUnwritable

_DRIVERS = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
_SUPPORTED = frozenset(_DRIVERS.values())
BUSY_SECONDS = 30
LOCK_TIMEOUT_MS = 30_000

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # NORMAL may lose the last commits when the power goes
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",  # so that REPLACE fires the triggers that refuse DELETE
    "PRAGMA trusted_schema=OFF",
)

dump_json: Callable[[object], str] = partial(json.dumps, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Engines:
    """Where changes are written and where pages are read."""

    writing: AsyncEngine
    reading: AsyncEngine

    async def dispose(self) -> None:
        """Close all connections."""
        await self.writing.dispose()
        await self.reading.dispose()
        await sqlite_trips.all_closed()


def parse_url(text: str) -> URL:
    """Return the URL with the driver that is used here.

    Raises:
        BadDatabaseUrl: It is no URL, names another database, or an SQLite database in memory.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise BadDatabaseUrl("the database URL cannot be read") from error
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.drivername not in _SUPPORTED:
        raise BadDatabaseUrl(f"{url.drivername} is not a database that the case store can use")
    if url.drivername.startswith("sqlite"):
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise BadDatabaseUrl("an SQLite database must be a file: each process opens it for itself")
    elif "sslmode" in url.query:  # asyncpg has libpq's values under another name
        url = url.set(query={**url.difference_update_query(["sslmode"]).query, "ssl": url.query["sslmode"]})
    return url


def sqlite_file(url: URL) -> Path | None:
    """Return the file of an SQLite database, None for PostgreSQL."""
    return Path(url.database or "").absolute() if url.drivername.startswith("sqlite") else None


def create_sqlite_file(file: Path) -> None:
    """Create folder and file, readable by their owner alone. SQLite gives its WAL the same permissions.

    Raises:
        StoreUnwritable: They cannot be created.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable(f"{error.filename or file}: {error.strerror}") from error


def create_engines(url: URL) -> Engines:
    """Return the engines for a URL that `parse_url` gave."""
    return _sqlite(url) if sqlite_file(url) else _postgresql(url)


def migrating_engine(url: URL) -> AsyncEngine:
    """Return an engine for migrations: DDL in transactions, and no foreign keys while SQLite's tables are rebuilt."""
    if not sqlite_file(url):
        return _postgresql(url).writing
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine.sync_engine, "connect", partial(_on_connect, extra=("PRAGMA foreign_keys=OFF",)))
    event.listen(engine.sync_engine, "begin", partial(_begin, statement="BEGIN IMMEDIATE"))
    return engine


def _postgresql(url: URL) -> Engines:
    engine = create_async_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=10,
        max_overflow=10,
        pool_pre_ping=True,  # a restarted server costs one round trip, not one refused request a connection
        json_serializer=dump_json,
        hide_parameters=True,  # what a case holds does not go into error messages
        connect_args={
            "timeout": 10,
            "server_settings": {"application_name": "casewright", "lock_timeout": str(LOCK_TIMEOUT_MS)},
        },
    )
    reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines(engine, reading)


def _sqlite(url: URL) -> Engines:
    options = {"json_serializer": dump_json, "hide_parameters": True, "connect_args": {"timeout": BUSY_SECONDS}}
    writing = create_async_engine(url, pool_size=1, max_overflow=0, **options)
    reading = create_async_engine(url, pool_size=5, max_overflow=15, **options)
    sqlite_trips.keep_savepoints(writing.sync_engine.dialect)
    event.listen(writing.sync_engine, "do_connect", sqlite_trips.writing)
    event.listen(reading.sync_engine, "do_connect", sqlite_trips.reading)
    event.listen(writing.sync_engine, "connect", _on_connect)
    event.listen(reading.sync_engine, "connect", partial(_on_connect, extra=("PRAGMA query_only=ON",)))
    event.listen(reading.sync_engine, "connect", _limit)
    # IMMEDIATE: the lock for writing is taken at the start; a reader that becomes a writer would be refused at once.
    for engine in (writing, reading):  # last: from here on not even the settings of the connection can be changed
        event.listen(engine.sync_engine, "connect", _restrict)
    event.listen(writing.sync_engine, "begin", partial(_begin, statement="BEGIN IMMEDIATE"))
    event.listen(reading.sync_engine, "begin", partial(_begin, statement="BEGIN"))
    event.listen(writing.sync_engine, "handle_error", _keep_connection)
    event.listen(writing.sync_engine, "do_execute", _skip_savepoint_that_is_gone)
    return Engines(writing, reading)


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry, *, extra: tuple[str, ...] = ()) -> None:
    connection.isolation_level = None  # the driver starts no transactions of its own
    cursor = connection.cursor()
    for pragma in (*_PRAGMAS, *extra):
        cursor.execute(pragma)
    cursor.close()


def _restrict(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.run_async(lambda driver: driver.set_authorizer(authorize))


def _limit(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.limit()


def _begin(connection: Connection, *, statement: str) -> None:
    connection.exec_driver_sql(statement)


def _keep_connection(context: ExceptionContext) -> None:
    """Keep the connection when whoever waited for a statement is cancelled: it holds the changes of others too.

    The statement is in the queue of the connection's thread and comes to its end before the next one begins.
    """
    if isinstance(context.original_exception, asyncio.CancelledError):
        context.is_disconnect = False


def _skip_savepoint_that_is_gone(
    _cursor: DBAPICursor, statement: str, _parameters: object, context: ExecutionContext
) -> bool:
    """Leave out the way back to a savepoint that SQLite has taken back with its transaction (on a full disk, say)."""
    if not statement.startswith("ROLLBACK TO SAVEPOINT"):
        return False
    driver = context.root_connection.connection.driver_connection
    return driver is None or not driver.in_transaction
