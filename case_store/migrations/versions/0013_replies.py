"""Replies: what came back by mail and text and what became of it, and how far each mailbox is read.

What came back by text before is in the events of its person, as before.

Revision ID: 0013
"""

from alembic import op
from sqlalchemy import text

from case_store.errors import AppendOnly
from case_store.migrations.replies import guards, tables
from case_store.migrations.spine.postgresql import SEARCH_THIS_SCHEMA_FIRST

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    tables.REPLIES.create(connection)
    tables.MAILBOXES.create(connection)
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
    tables.MAILBOXES.drop(connection)
    tables.REPLIES.drop(connection)
