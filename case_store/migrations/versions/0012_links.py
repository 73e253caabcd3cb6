"""Links in messages, by which one person may decide one task, once.

Revision ID: 0012
"""

from alembic import op
from sqlalchemy import text

from case_store.errors import AppendOnly
from case_store.migrations.links import guards
from case_store.migrations.links.tables import ANSWER_LINKS
from case_store.migrations.spine.postgresql import SEARCH_THIS_SCHEMA_FIRST

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    ANSWER_LINKS.create(connection)
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
    ANSWER_LINKS.drop(connection)
