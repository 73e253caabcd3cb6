"""The triggers of this migration: a time stamp is kept as it came."""

from case_store.migrations.spine import postgresql as spine
from case_store.migrations.spine.postgresql import Trigger

TABLE = "audit_timestamps"

_SQLITE = {
    "audit_timestamps_update": "CREATE TRIGGER audit_timestamps_update BEFORE UPDATE ON audit_timestamps"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of audit_timestamps is never changed'); END",
    "audit_timestamps_delete": "CREATE TRIGGER audit_timestamps_delete BEFORE DELETE ON audit_timestamps"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of audit_timestamps is never deleted'); END",
    "audit_timestamps_replace": "CREATE TRIGGER audit_timestamps_replace BEFORE INSERT ON audit_timestamps"
    " WHEN EXISTS (SELECT 1 FROM audit_timestamps WHERE checkpoint_id = NEW.checkpoint_id)"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of audit_timestamps is never replaced'); END",
}


def sqlite_triggers() -> dict[str, str]:
    """Return the statement that makes each trigger on SQLite, by its name."""
    return dict(_SQLITE)


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    return list(spine.written_once(TABLE))
