"""Printing: tables for people, one JSON document for programs."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Annotated, Generic, TypeVar

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from console.text import plain, visible

Row = TypeVar("Row")

AsJson = Annotated[
    bool, Parameter(name="--json", help="Print one JSON document instead of a table.")
]


@dataclasses.dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table: its title and how a row fills it."""

    title: str
    value: Callable[[Row], object]
    style: Callable[[Row], str] | None = None
    right: bool = False
    whole: bool = False
    """Never broken over lines (numbers, states, times)."""


class Printer:
    """Where a command speaks: answers to stdout, everything about the work to stderr."""

    def __init__(self) -> None:
        """Take the process's own output streams, with rich's markup switched off."""
        self.out = Console(markup=False, highlight=False, emoji=False, soft_wrap=False)
        self.err = Console(markup=False, highlight=False, emoji=False, stderr=True)

    def say(self, sentence: str) -> None:
        """Print one sentence about what was done."""
        self.out.print(visible(sentence, lines=True), soft_wrap=True)

    def warn(self, sentence: str) -> None:
        """Print one sentence to stderr."""
        self.err.print(visible(sentence, lines=True), soft_wrap=True)

    def json(self, document: object) -> None:
        """Print one JSON document; non-ASCII is escaped, so no terminal can be driven by it."""
        sys.stdout.write(json.dumps(jsonable(document), indent=2, ensure_ascii=True) + "\n")

    def table(self, title: str, rows: Iterable[Row], columns: Sequence[Column[Row]]) -> None:
        """Print rows as a table."""
        table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for column in columns:
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                no_wrap=column.whole,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(_cell(column, row) for column in columns))
        self.out.print(table)

    def listing(
        self,
        name: str,
        rows: Sequence[Row],
        columns: Sequence[Column[Row]],
        *,
        as_json: bool,
        empty: str,
    ) -> None:
        """Print a listing: a table, a sentence when there is nothing, or JSON ``{name: [...]}``."""
        if as_json:
            self.json({name: rows})
        elif rows:
            self.table("", rows, columns)
        else:
            self.say(empty)

    def facts(self, facts: Mapping[str, object]) -> None:
        """Print names and values, one a line, leaving out what is not set."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in facts.items():
            if value not in (None, "", [], ()):
                grid.add_row(name, plain(value))
        self.out.print(grid)


def _cell(column: Column[Row], row: Row) -> object:
    return plain(column.value(row), column.style(row) if column.style else "")


def jsonable(value: object) -> object:
    """Return the value in JSON's own types: dataclasses as objects, times as ISO 8601."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((jsonable(part) for part in value), key=str)
    if isinstance(value, list | tuple):
        return [jsonable(part) for part in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)
