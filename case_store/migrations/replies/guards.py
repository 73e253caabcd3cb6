"""The triggers of this migration: what became of a reply is written once."""

from case_store.migrations.spine import postgresql as spine
from case_store.migrations.spine.postgresql import Trigger

TABLE = "replies"

_SQLITE = {
    "replies_update": "CREATE TRIGGER replies_update BEFORE UPDATE ON replies"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of replies is never changed'); END",
    "replies_delete": "CREATE TRIGGER replies_delete BEFORE DELETE ON replies"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of replies is never deleted'); END",
    "replies_replace": "CREATE TRIGGER replies_replace BEFORE INSERT ON replies"
    " WHEN EXISTS (SELECT 1 FROM replies WHERE key = NEW.key)"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of replies is never replaced'); END",
}


def sqlite_triggers() -> dict[str, str]:
    """Return the statement that makes each trigger on SQLite, by its name."""
    return dict(_SQLITE)


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    return list(spine.written_once(TABLE))
