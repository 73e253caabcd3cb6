"""Clocks that pause, who takes care of a task, ladders, absences, and deadlines that others set.

Tasks that are open already keep their due times; their time is counted from when they opened.

Revision ID: 0009
"""

from alembic import op
from sqlalchemy import Column, text

from case_store.errors import AppendOnly
from case_store.migrations.lateness import guards
from case_store.migrations.lateness.tables import ADDED, DEADLINES
from case_store.migrations.spine.postgresql import SEARCH_THIS_SCHEMA_FIRST

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for table, column, kind in ADDED:
        op.add_column(table, Column(column, kind))
    op.create_index("ix_tasks_rung", "tasks", ["state", "rung_at"])
    DEADLINES.create(connection)
    if connection.dialect.name == "sqlite":
        for statement in guards.sqlite_triggers().values():
            connection.exec_driver_sql(statement)
    else:
        connection.exec_driver_sql(SEARCH_THIS_SCHEMA_FIRST)
        for trigger in guards.postgresql_triggers():
            connection.exec_driver_sql(trigger.create)
            connection.exec_driver_sql(trigger.enable)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.execute(text("SELECT 1 FROM audit_events LIMIT 1")).first():
        raise AppendOnly(
            "the audit trail is not empty; a migration does not take away what its events tell of",
            next_step="drop the database yourself, if that is what you want",
        )
    DEADLINES.drop(connection)
    op.drop_index("ix_tasks_rung", "tasks")
    for table, column, _ in reversed(ADDED):
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN {column}")
