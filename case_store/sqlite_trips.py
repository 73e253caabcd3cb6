"""How statements reach SQLite: in one trip to the thread of the connection, or at once.

SQLAlchemy's adapter goes to that thread up to four times for a statement: to make a cursor, to execute, to fetch, to
close. Each trip wakes another thread and then this one again, which costs more than most statements. So

* whoever reads has a query executed at once, where the event loop is, for a limited number of steps: enough for what
  belongs to one case. If that does not do, SQLite breaks it off and it goes to the thread, for a page may take long and
  the event loop goes on meanwhile;
* whoever writes, one at a time, goes there for what may wait: to begin, to commit, to write many rows. Single
  statements, of some ten microseconds each, are executed at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.elements import ReleaseSavepointClause, SavepointClause
from sqlalchemy.util import await_only

MANY: Final = 64
"""Rows from which on writing them goes to the thread."""
STEPS: Final = 5_000
"""Steps of SQLite's virtual machine after which a query goes to the thread: some tenths of a millisecond."""

_Brought = tuple[list[Any], Any, int, int | None]

_closing: Final[set[asyncio.Future[Any]]] = set()
"""Connections of readers who were cancelled, while their threads close them."""


async def all_closed() -> None:
    """Wait until the connections that nobody waited for are closed: a thread must not outlive its event loop."""
    here = asyncio.get_running_loop()
    if waiting := [one for one in _closing if one.get_loop() is here]:
        await asyncio.wait(waiting)


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor that keeps what was brought back: rows, description, number of rows, last id."""

    __slots__ = ("_brought",)
    _adapt_connection: _Connection

    def __init__(self, adapt_connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = adapt_connection  # type: ignore[assignment]
        self._rows = deque()
        self._brought: _Brought = ([], None, -1, None)

    description = property(lambda self: self._brought[1])
    rowcount = property(lambda self: self._brought[2])
    lastrowid = property(lambda self: self._brought[3])

    def execute(self, operation: str, parameters: Any = None) -> None:  # noqa: ANN401 - as given
        """Execute one statement and fetch all its rows."""
        waits = self._adapt_connection.waits_for(operation)
        self._bring(lambda one: one.execute(operation, parameters or ()), waits=waits)

    def executemany(self, operation: str, seq_of_parameters: Sequence[Any]) -> None:
        """Execute one statement for each set of parameters."""
        self._bring(lambda one: one.executemany(operation, seq_of_parameters), waits=len(seq_of_parameters) > MANY)

    def close(self) -> None:
        """Forget the rows; the cursor of SQLite was closed where it was used."""
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """Do nothing: it is closed."""

    def _bring(self, statement: Callable[[sqlite3.Cursor], object], *, waits: bool) -> None:
        connection = self._adapt_connection
        try:
            self._brought = connection.bring(statement, waits=waits)
        except Exception as error:  # noqa: BLE001 - the adapter knows which are the driver's
            connection._handle_exception(error)  # noqa: SLF001
        self._rows = deque(self._brought[0])


class _Connection(AsyncAdapt_aiosqlite_connection):
    """A connection of a reader."""

    __slots__ = ("_at_once", "_away")
    _cursor_cls: type[AsyncAdapt_aiosqlite_cursor] = _Cursor

    def __init__(self, dbapi: Any, connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's adapter and aiosqlite's
        super().__init__(dbapi, connection)
        self._away, self._at_once = 0, False

    def limit(self) -> None:
        """Have SQLite break off what is executed at once and takes more than `STEPS`."""
        self.run_async(lambda driver: driver.set_progress_handler(lambda: self._at_once, STEPS))

    def waits_for(self, operation: str) -> bool:
        """Tell whether a statement may take long in few steps."""
        return not operation.startswith(("BEGIN", "SELECT")) or "count(" in operation

    def rollback(self) -> None:
        """Take back what was changed, if anything was begun."""
        here: sqlite3.Connection | None = self._connection._connection  # noqa: SLF001
        if here is None or self._away:
            super().rollback()
        elif here.in_transaction:
            self._roll_back(here)

    def _roll_back(self, here: sqlite3.Connection) -> None:
        try:
            here.rollback()
        except Exception as error:  # noqa: BLE001 - the adapter knows which are the driver's
            self._handle_exception(error)

    def terminate(self) -> None:
        """Have the thread close the connection when it has done what it is at; `all_closed` waits for that.

        SQLAlchemy's way waits here, and when whoever reads is cancelled twice it waits for a thread that has ended: the
        process never does.
        """
        closing = self._connection.stop()
        if closing is not None:
            _closing.add(closing)
            closing.add_done_callback(_closing.discard)

    def bring(self, statement: Callable[[sqlite3.Cursor], object], *, waits: bool) -> _Brought:
        """Execute a statement and return what it brought; `waits` says that it may take its time."""
        driver: Any = self._connection
        here: sqlite3.Connection = driver._conn  # noqa: SLF001
        # Behind one that is still away (whoever waited for it was cancelled) all go its way, so they keep their order.
        if not waits and not self._away:
            await_only(_nothing())  # SQLAlchemy demands that something is awaited
            if (brought := self._now(here, statement)) is not None:
                return brought
        self._away += 1

        def there() -> _Brought:
            try:
                return _executed(here, statement)
            finally:
                self._away -= 1

        found: _Brought = await_only(driver._execute(there))  # noqa: SLF001
        return found

    def _now(self, here: sqlite3.Connection, statement: Callable[[sqlite3.Cursor], object]) -> _Brought | None:
        """Execute a query at once; None when it took too many steps. It has changed nothing, so it may come again."""
        self._at_once = True
        try:
            return _executed(here, statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return None
            raise
        finally:
            self._at_once = False


class _WritingConnection(_Connection):
    """The connection of the one who writes."""

    __slots__ = ()
    # Waits: what was changed is taken back before somebody else writes.
    terminate = AsyncAdapt_aiosqlite_connection.terminate

    def waits_for(self, operation: str) -> bool:
        """Tell whether a statement may take its time."""
        return operation.startswith("BEGIN")

    def _roll_back(self, _here: sqlite3.Connection) -> None:
        AsyncAdapt_aiosqlite_connection.rollback(self)

    def _now(self, here: sqlite3.Connection, statement: Callable[[sqlite3.Cursor], object]) -> _Brought:
        return _executed(here, statement)


def _executed(here: sqlite3.Connection, statement: Callable[[sqlite3.Cursor], object]) -> _Brought:
    cursor = here.cursor()
    try:
        statement(cursor)
        return (cursor.fetchall() if cursor.description else []), *_about(cursor)
    finally:
        cursor.close()


async def _nothing() -> None:
    """Be over at once."""


def _about(cursor: sqlite3.Cursor) -> tuple[Any, int, int | None]:
    return cursor.description, cursor.rowcount, cursor.lastrowid


def keep_savepoints(dialect: Dialect) -> None:
    """Keep the texts by which savepoints are set and released: SQLAlchemy compiles each anew, and takes long for it."""
    dialect.do_savepoint = _savepoint  # type: ignore[method-assign]
    dialect.do_release_savepoint = _release  # type: ignore[method-assign]


def _savepoint(connection: Connection, name: str) -> None:
    connection.exec_driver_sql(_as_text(SavepointClause, name))


def _release(connection: Connection, name: str) -> None:
    connection.exec_driver_sql(_as_text(ReleaseSavepointClause, name))


@lru_cache(maxsize=256)  # they are numbered from 1 in each transaction
def _as_text(kind: type[SavepointClause | ReleaseSavepointClause], name: str) -> str:
    return str(kind(name))


def reading(dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Any, options: Any) -> DBAPIConnection:  # noqa: ANN401
    """Connect a reader, as a listener to `do_connect`."""
    return _adapted(_Connection, dialect, arguments, options)


def writing(dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Any, options: Any) -> DBAPIConnection:  # noqa: ANN401
    """Connect the one who writes, as a listener to `do_connect`."""
    return _adapted(_WritingConnection, dialect, arguments, options)


def _adapted(kind: type[_Connection], dialect: Dialect, arguments: Any, options: Any) -> DBAPIConnection:  # noqa: ANN401
    plain: Any = dialect.connect(*arguments, **{**options, "check_same_thread": False})
    return kind(dialect.loaded_dbapi, plain._connection)  # type: ignore[return-value]  # noqa: SLF001
