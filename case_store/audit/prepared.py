"""INSERTs that are part of every change, in the words of the driver.

SQLAlchemy looks at each statement anew: which columns, which types, what comes back. For the rows of the record that
takes longer than executing the statement, and the answers are always the same. So they are asked for once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Table, insert

_Columns = tuple[tuple[str, Callable[[Any], Any] | None], ...]


class Prepared:
    """An INSERT of rows that all have these columns."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._table: Final = table
        self._columns: Final = columns
        self._forms: Final[dict[str, tuple[str, _Columns]]] = {}

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows, in their order."""
        dialect = connection.dialect
        if (form := self._forms.get(dialect.name)) is None:
            form = self._forms[dialect.name] = self._form(dialect)
        text, columns = form
        values = [tuple([row[name] if turn is None else turn(row[name]) for name, turn in columns]) for row in rows]
        connection.exec_driver_sql(text, values)

    def _form(self, dialect: Dialect) -> tuple[str, _Columns]:
        """Return the statement, and in its order the columns with what makes their values the driver's."""
        compiled = insert(self._table).inline().compile(dialect=dialect, column_keys=list(self._columns))
        types = {name: compiled.binds[name].type for name in self._columns}
        order = compiled.positiontup or list(self._columns)
        return str(compiled), tuple((name, types[name].dialect_impl(dialect).bind_processor(dialect)) for name in order)
