"""The triggers of the second migration, in the words of the first.

One of them writes: whoever inserts an event has it queued for the tree and its stream moved on, in the same statement.
"""

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
_QUEUED = (
    "CREATE TRIGGER audit_events_queued AFTER INSERT ON audit_events BEGIN"
    " INSERT INTO audit_pending (event_id) VALUES (NEW.event_id);"
    " UPDATE audit_streams SET seq = NEW.seq, head = NEW.leaf WHERE stream = NEW.stream AND NEW.seq IS NOT NULL; END"
)
_QUEUED_POSTGRESQL = (
    "CREATE TRIGGER audit_events_queued AFTER INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION casewright_queue()"
)
QUEUE = """
BEGIN
    INSERT INTO audit_pending (event_id) VALUES (NEW.event_id);
    UPDATE audit_streams SET seq = NEW.seq, head = NEW.leaf WHERE stream = NEW.stream AND NEW.seq IS NOT NULL;
    RETURN NULL;
END
"""
FUNCTIONS = {"casewright_queue": QUEUE}
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
    return kept | not_replaced | {"audit_events_queued": _QUEUED}


def postgresql_functions() -> list[str]:
    """Return the statements that make the functions of the triggers on PostgreSQL."""
    return [spine.create_function(name, body) for name, body in FUNCTIONS.items()]


def postgresql_triggers() -> list[Trigger]:
    """Return the triggers on PostgreSQL."""
    kept = [trigger for table in WRITTEN_ONCE for trigger in spine.written_once(table)]
    return [Trigger("audit_events", "audit_events_queued", _QUEUED_POSTGRESQL), *kept]
