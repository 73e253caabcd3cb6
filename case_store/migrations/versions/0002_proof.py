"""Give events their place in a stream and in the tree over all events.

Events that are there already stay as they are; they wait for the sequencer like new ones.

Revision ID: 0002
"""

from alembic import op
from sqlalchemy import Column, Connection, insert, text

from case_store.errors import AppendOnly
from case_store.migrations.proof import guards
from case_store.migrations.proof.tables import EVENT_COLUMNS, TREE, tables
from case_store.migrations.spine import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ALL_WAIT = text("INSERT INTO audit_pending (event_id) SELECT event_id FROM audit_events")


def upgrade() -> None:
    connection = op.get_bind()
    for name, kind in EVENT_COLUMNS.items():
        op.add_column("audit_events", Column(name, kind))
    op.create_index("ix_audit_events_stream_seq", "audit_events", ["stream", "seq"], unique=True)
    tables().create_all(connection, checkfirst=False)
    connection.execute(insert(TREE).values(id=1, size=0, peaks=b""))
    connection.execute(_ALL_WAIT)
    if connection.dialect.name == "sqlite":
        for statement in guards.sqlite_triggers().values():
            connection.exec_driver_sql(statement)
    else:
        _guard_postgresql(connection)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.execute(text("SELECT 1 FROM audit_events LIMIT 1")).first():
        raise AppendOnly(
            "the audit trail is not empty; a migration does not take its proofs away",
            next_step="drop the database yourself, if that is what you want",
        )
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER audit_events_stream")
        connection.exec_driver_sql("DROP TRIGGER audit_events_queued")
    else:
        connection.exec_driver_sql("DROP FUNCTION casewright_queue() CASCADE")
    tables().drop_all(connection, checkfirst=False)
    op.drop_index("ix_audit_events_stream_seq", "audit_events")
    # Not op.drop_column: in batch mode it would make the table anew, and its triggers would be gone.
    connection.exec_driver_sql("ALTER TABLE audit_events DROP COLUMN seq")
    connection.exec_driver_sql("ALTER TABLE audit_events DROP COLUMN leaf")


def _guard_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(postgresql.SEARCH_THIS_SCHEMA_FIRST)
    for statement in guards.postgresql_functions():
        connection.exec_driver_sql(statement)
    for trigger in guards.postgresql_triggers():
        connection.exec_driver_sql(trigger.create)
        connection.exec_driver_sql(trigger.enable)
