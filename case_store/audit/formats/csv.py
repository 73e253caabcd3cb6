"""Comma-separated values, RFC 4180, for spreadsheets: no cell is taken for a formula (OWASP ASVS 5.0, 1.2.10).

Every cell is quoted, so that a spreadsheet which splits at semicolons splits nothing. A cell is one line.
"""

from __future__ import annotations

from typing import Final

from case_store.audit.formats import meaning
from case_store.audit.formats.record import Format, Record
from case_store.audit.formats.values import as_json, text, visible

BOM: Final = "\ufeff"
"""Some spreadsheets take a file for UTF-8 only when it begins with it."""

COLUMNS: Final = (
    "log index",
    "number in stream",
    "time (UTC)",
    "type",
    "outcome",
    "actor",
    "actor id",
    "of",
    "stream",
    "entity type",
    "entity id",
    "entity version",
    "changes",
    "facts",
    "request id",
    "event id",
    "leaf hash (to verify the record, export it as JSON Lines)",
)
_FORMULAS: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - the full-width ones count as well
_INVISIBLE: Final = "\ufeff\u200b\u200c\u200d\u2060"


_LINE_END: Final = "\r\n"


def _line(record: Record) -> str:
    event, actor, entity = record.event, record.event["actor"], record.event["entity"] or {}
    return _row(
        (
            text(record.idx),
            text(event.get("seq")),
            event["ts"],
            record.type,
            meaning.outcome(record),
            record.actor_name,
            f"{actor['kind']}:{actor['id']}",
            record.stream_name,
            event["stream"],
            text(entity.get("type")),
            text(entity.get("id")),
            text(entity.get("version")),
            as_json(event["changes"]) if event["changes"] else "",
            as_json(event["facts"]) if event["facts"] else "",
            event["request_id"],
            event["event_id"],
            record.leaf,
        )
    )


def cell(value: str) -> str:
    """Return a value as a quoted cell of one line; what a spreadsheet would compute gets an apostrophe in front."""
    begins = value.lstrip().lstrip(_INVISIBLE).lstrip()[:1] or value[:1]
    computed = begins in _FORMULAS or value[:1] in _FORMULAS
    guarded = f"'{value}" if value and computed else value
    return '"' + visible(guarded).replace('"', '""') + '"'


def _row(cells: tuple[str, ...]) -> str:
    return ",".join(map(cell, cells))


FORMAT: Final = Format(
    name="csv", suffix=".csv", line=_line, begin=lambda: _row(COLUMNS) + _LINE_END, line_end=_LINE_END
)
