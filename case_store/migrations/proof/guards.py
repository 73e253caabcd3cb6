"""The triggers of the second migration, in the words of the first."""

from string import Template

from case_store.migrations.proof.tables import WRITTEN_ONCE
from case_store.migrations.spine import postgresql as spine
from case_store.migrations.spine.postgresql import Trigger

_KEPT = Template(
    "CREATE TRIGGER ${table}_$on BEFORE $statement ON $table"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never $done'); END"
)
_NOT_REPLACED = Template(
    "CREATE TRIGGER $name BEFORE INSERT ON $table WHEN EXISTS (SELECT 1 FROM $table WHERE $same)"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never replaced'); END"
)
_SAME = {
    "audit_events_stream": ("audit_events", "stream = NEW.stream AND seq = NEW.seq"),
    "audit_leaves_replace": ("audit_leaves", "idx = NEW.idx OR event_id = NEW.event_id"),
    "audit_checkpoints_replace": ("audit_checkpoints", "id = NEW.id"),
}


def sqlite_triggers() -> dict[str, str]:
    """Return the statement that makes each trigger on SQLite, by its name."""
    kept = {
        f"{table}_{on}": _KEPT.substitute(table=table, on=on, statement=on.upper(), done=done)
        for table in WRITTEN_ONCE
        for on, done in (("update", "changed"), ("delete", "deleted"))
    }
    not_replaced = {
        name: _NOT_REPLACED.substitute(name=name, table=table, same=same) for name, (table, same) in _SAME.items()
    }
    return kept | not_replaced


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    return [trigger for table in WRITTEN_ONCE for trigger in spine.written_once(table)]
