"""Approvals by several people, each of exactly the parameters they saw; codes with which people sign.

What was approved before has its one approver in its task, as before.

Revision ID: 0010
"""

from alembic import op
from sqlalchemy import text

from case_store.errors import AppendOnly
from case_store.migrations.signing import guards, tables
from case_store.migrations.spine.postgresql import SEARCH_THIS_SCHEMA_FIRST

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column("questions", tables.seen())
    tables.APPROVALS.create(connection)
    tables.CODES.create(connection)
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
    tables.CODES.drop(connection)
    tables.APPROVALS.drop(connection)
    connection.exec_driver_sql("ALTER TABLE questions DROP COLUMN parameters_sha256")
