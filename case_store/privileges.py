"""What the program needs to do with each table: the rights of PostgreSQL's application role, and what SQLite allows.

Made from the models: every table may be read and added to, what is written once is not changed, nothing is deleted.
What differs from that stands here by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from case_store.models import Base, WrittenOnce

DELETED: Final = frozenset({"audit_pending", "audit_private"})
"""Tables whose rows are taken away again; a trigger looks when."""

_READ_ONLY: Final = frozenset({"audit_pending", "audit_tree"})
"""Nobody adds rows: a trigger does, or the migration did."""

_UPDATED: Final[dict[str, frozenset[str]]] = {
    "answer_links": frozenset({"decision", "parameters_sha256", "revoked_at", "used_at", "version"}),
    "audit_pending": frozenset(),
    "audit_private": frozenset(),
    "audit_streams": frozenset(),  # the trigger of a new event moves them on
    "audit_tree": frozenset({"size", "peaks"}),
    "idempotency_keys": frozenset(),
    "note_revisions": frozenset({"body"}),  # by an erasure; a trigger looks whether it is one
    "observables": frozenset({"value", "value_sha256", "version"}),  # by an erasure
}
"""Columns that change, where that is not every one that is no key, or none of what is written once."""

LOCKED: Final[dict[str, str]] = {"audit_streams": "stream"}
"""Rows that are locked and not changed. PostgreSQL asks for UPDATE on some column; a trigger refuses the change."""


@dataclass(frozen=True, slots=True)
class Right:
    """Columns of a table that may be inserted and updated; all may be read."""

    insert: frozenset[str] = frozenset()
    update: frozenset[str] = frozenset()


def rights() -> dict[str, Right]:
    """Return what may be done with each table of the models, by its name."""
    written_once = {
        str(mapper.local_table) for mapper in Base.registry.mappers if issubclass(mapper.class_, WrittenOnce)
    }
    found = {}
    for table in Base.metadata.sorted_tables:
        columns = {column.name for column in table.columns if column.identity is None}
        keys = {column.name for column in table.primary_key}
        ordinary = frozenset() if table.name in written_once else frozenset(columns - keys)
        changed = _UPDATED.get(table.name, ordinary)
        found[table.name] = Right(frozenset() if table.name in _READ_ONLY else frozenset(columns), changed)
    return found
