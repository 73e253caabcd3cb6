"""How statements reach SQLite: in one trip to the thread of the connection, or at once.

SQLAlchemy's adapter goes to that thread up to four times for a statement: to make a cursor, to execute, to fetch, to
close. Each trip wakes another thread and then this one again, which costs more than most statements. So

* whoever reads goes there once: a page may take long, and the event loop goes on meanwhile;
* whoever writes, one at a time, goes there for what may wait: to begin, to commit, to write many rows. Single
  statements, of some ten microseconds each, are executed at once, where the event loop is.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

MANY: Final = 64
"""Rows from which on writing them goes to the thread."""

_Brought = tuple[list[Any], Any, int, int | None]


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
        self._bring(lambda one: one.execute(operation, parameters or ()), waits=operation.startswith("BEGIN"))

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
    """A connection of a reader: all statements go to its thread."""

    __slots__ = ("_away",)
    _cursor_cls: type[AsyncAdapt_aiosqlite_cursor] = _Cursor
    _at_once = False

    def __init__(self, dbapi: Any, connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's adapter and aiosqlite's
        super().__init__(dbapi, connection)
        self._away = 0

    def bring(self, statement: Callable[[sqlite3.Cursor], object], *, waits: bool) -> _Brought:
        """Execute a statement and return what it brought; `waits` says that it may take its time."""
        driver: Any = self._connection
        here: sqlite3.Connection = driver._conn  # noqa: SLF001

        def there() -> _Brought:
            cursor = here.cursor()
            try:
                statement(cursor)
                return (cursor.fetchall() if cursor.description else []), *_about(cursor)
            finally:
                cursor.close()
                self._away -= 1

        self._away += 1
        # Behind one that is still away (whoever waited for it was cancelled) all go its way, so they keep their order.
        if self._at_once and not waits and self._away == 1:
            await_only(_nothing())  # SQLAlchemy demands that something is awaited
            return there()
        brought: _Brought = await_only(driver._execute(there))  # noqa: SLF001
        return brought


class _WritingConnection(_Connection):
    """The connection of the one who writes."""

    __slots__ = ()
    _at_once = True


async def _nothing() -> None:
    """Be over at once."""


def _about(cursor: sqlite3.Cursor) -> tuple[Any, int, int | None]:
    return cursor.description, cursor.rowcount, cursor.lastrowid


def reading(dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Any, options: Any) -> DBAPIConnection:  # noqa: ANN401
    """Connect a reader, as a listener to `do_connect`."""
    return _adapted(_Connection, dialect, arguments, options)


def writing(dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Any, options: Any) -> DBAPIConnection:  # noqa: ANN401
    """Connect the one who writes, as a listener to `do_connect`."""
    return _adapted(_WritingConnection, dialect, arguments, {**options, "check_same_thread": False})


def _adapted(kind: type[_Connection], dialect: Dialect, arguments: Any, options: Any) -> DBAPIConnection:  # noqa: ANN401
    plain: Any = dialect.connect(*arguments, **options)
    return kind(dialect.loaded_dbapi, plain._connection)  # type: ignore[return-value]  # noqa: SLF001
