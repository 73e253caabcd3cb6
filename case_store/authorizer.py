"""What our own connections to SQLite may do; whatever is not named here is refused before it runs.

SQLite asks while it prepares a statement (https://www.sqlite.org/c3ref/set_authorizer.html), for each table and column
that it names and for each statement of the triggers that it would fire. So a mistake, or SQL that somebody smuggles
in, can neither change what is kept nor take the triggers away. Whoever opens the file by other means is not asked:
see docs/reference/what-is-enforced.md.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from case_store.privileges import DELETED, Right, rights

_READS: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
    }
)
_TOLD_BY_PRAGMA: Final = frozenset(
    {
        "foreign_key_check",
        "foreign_key_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
        "wal_checkpoint",
    }
)
"""Pragmas that take a value and set nothing with it; all others may be read, not set."""
_QUEUES: Final = "audit_events_queued"
_BY_TRIGGER: Final = frozenset({("audit_pending", sqlite3.SQLITE_INSERT), ("audit_streams", sqlite3.SQLITE_UPDATE)})
"""What the trigger that queues an event does, and nobody else."""

_RIGHTS: Final = rights()
_FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "edit", "writefile"})


def authorize(action: int, first: str | None, second: str | None, _database: str | None, trigger: str | None) -> int:
    """Answer SQLite: may this be done? `first` and `second` depend on the action."""
    if action in _READS:
        return sqlite3.SQLITE_DENY if second in _FORBIDDEN_FUNCTIONS else sqlite3.SQLITE_OK
    if trigger == _QUEUES and (first, action) in _BY_TRIGGER:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if _may_write(action, first or "", second) else sqlite3.SQLITE_DENY


def _may_write(action: int, first: str, second: str | None) -> bool:
    if action == sqlite3.SQLITE_PRAGMA:
        return second is None or first.lower() in _TOLD_BY_PRAGMA
    right = _RIGHTS.get(first, Right())
    if action == sqlite3.SQLITE_INSERT:
        return bool(right.insert)
    if action == sqlite3.SQLITE_UPDATE:
        return second in right.update
    return action == sqlite3.SQLITE_DELETE and first in DELETED
