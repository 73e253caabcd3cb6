"""Printing: tables for people, one JSON document for programs."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar

from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.text import plain, visible

Row = TypeVar("Row")

_WIDE = 26
_PIPED = 160
"""Characters in a line where no terminal sets a limit."""

AsJson = Annotated[bool, Parameter(name="--json", help="Print one JSON document instead of a table.")]


@dataclasses.dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a table: its title and how a row fills it."""

    title: str
    value: Callable[[Row], object]
    style: Callable[[Row], str] | None = None
    right: bool = False
    whole: bool = False
    """Never broken over lines (numbers, states, times)."""
    wide: bool = False
    """What people read first: keeps room for itself on a narrow terminal."""


class Printer:
    """Where a command speaks: answers to stdout, everything about the work to stderr."""

    def __init__(self) -> None:
        """Take the process's own output streams, with rich's markup switched off."""
        self.out = Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else _PIPED)
        self.err = Console(markup=False, highlight=False, emoji=False, stderr=True)

    def say(self, sentence: str) -> None:
        """Print one sentence about what was done."""
        self.out.print(visible(sentence, lines=True), soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        """Print one line in a style."""
        self.out.print(plain(text, style), soft_wrap=True)

    def exactly(self, text: str) -> None:
        """Print a text as it is, without folding lines, so that it can be kept in a file."""
        sys.stdout.write(visible(text, lines=True))

    def warn(self, sentence: str) -> None:
        """Print one sentence to stderr."""
        self.err.print(visible(sentence, lines=True), soft_wrap=True)

    def json(self, document: object) -> None:
        """Print one JSON document."""
        sys.stdout.write(as_json_text(document) + "\n")

    def table(self, title: str, rows: Iterable[Row], columns: Sequence[Column[Row]]) -> None:
        """Print rows as a table."""
        table = Table(
            title=title or None,
            title_justify="left",
            title_style="bold",
            header_style="bold",
            box=SIMPLE_HEAD,
            show_edge=False,
        )
        for column in columns:
            table.add_column(
                column.title,
                justify="right" if column.right else "left",
                no_wrap=column.whole,
                min_width=_WIDE if column.wide else None,
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


def _cell(column: Column[Row], row: Row) -> Text:
    return plain(column.value(row), column.style(row) if column.style else "")


def as_json_text(document: object) -> str:
    """Return one JSON document; non-ASCII characters are escaped, so no terminal can be driven by it."""
    return json.dumps(document, indent=2, ensure_ascii=True, default=_in_json_types)


def _in_json_types(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for kind, turn in _TURNS:
        if isinstance(value, kind):
            return turn(value)
    return str(value)


_TURNS: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (Mapping, dict),
    ((set, frozenset), lambda parts: sorted(parts, key=str)),
    (timedelta, timedelta.total_seconds),
    ((datetime, date), lambda at: at.isoformat()),
)
