"""The triggers of this migration: a time stamp is kept as it came."""

from case_store.migrations.spine import postgresql as spine
from case_store.migrations.spine.postgresql import Trigger

TABLE = "audit_timestamps"


def sqlite_triggers() -> dict[str, str]:
    """Return the statement that makes each trigger on SQLite, by its name."""
    refuse = "SELECT RAISE(ABORT, 'casewright: a row of audit_timestamps is never {}'); END"
    taken = "WHEN EXISTS (SELECT 1 FROM audit_timestamps WHERE checkpoint_id = NEW.checkpoint_id)"
    return {
        f"{TABLE}_update": f"CREATE TRIGGER {TABLE}_update BEFORE UPDATE ON {TABLE} BEGIN {refuse.format('changed')}",
        f"{TABLE}_delete": f"CREATE TRIGGER {TABLE}_delete BEFORE DELETE ON {TABLE} BEGIN {refuse.format('deleted')}",
        f"{TABLE}_replace": f"CREATE TRIGGER {TABLE}_replace BEFORE INSERT ON {TABLE} {taken}"
        f" BEGIN {refuse.format('replaced')}",
    }


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    return list(spine.written_once(TABLE))
