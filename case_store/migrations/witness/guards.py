"""The triggers of this migration: rows of its tables are added and never changed."""

from string import Template

from case_store.migrations.spine import postgresql as spine
from case_store.migrations.spine.postgresql import Trigger

WRITTEN_ONCE = ("audit_nodes", "audit_cosignatures", "audit_keys")

_KEPT = Template(
    "CREATE TRIGGER ${table}_$on BEFORE $statement ON $table"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never $done'); END"
)
_NOT_REPLACED = Template(
    "CREATE TRIGGER ${table}_replace BEFORE INSERT ON $table WHEN EXISTS (SELECT 1 FROM $table WHERE $same)"
    " BEGIN SELECT RAISE(ABORT, 'casewright: a row of $table is never replaced'); END"
)
_SAME = {
    "audit_nodes": "level = NEW.level AND idx = NEW.idx",
    "audit_cosignatures": "checkpoint_id = NEW.checkpoint_id AND witness = NEW.witness",
    "audit_keys": "number = NEW.number OR vkey = NEW.vkey",
}


def sqlite_triggers() -> dict[str, str]:
    """Return the statement that makes each trigger on SQLite, by its name."""
    kept = {
        f"{table}_{on}": _KEPT.substitute(table=table, on=on, statement=on.upper(), done=done)
        for table in WRITTEN_ONCE
        for on, done in (("update", "changed"), ("delete", "deleted"))
    }
    return kept | {
        f"{table}_replace": _NOT_REPLACED.substitute(table=table, same=same) for table, same in _SAME.items()
    }


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    return [trigger for table in WRITTEN_ONCE for trigger in spine.written_once(table)]
