"""Make the tables of the case store and the triggers that guard them.

Revision ID: 0001
"""

from alembic import op
from sqlalchemy import Connection, text

from case_store.errors import AppendOnly
from case_store.migrations.spine import postgresql, sqlite
from case_store.migrations.spine.tables import tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    tables().create_all(connection, checkfirst=False)
    if connection.dialect.name == "sqlite":
        for statement in sqlite.triggers().values():
            connection.exec_driver_sql(statement)
    else:
        _guard_postgresql(connection)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.execute(text("SELECT 1 FROM audit_events LIMIT 1")).first():
        raise AppendOnly(
            "the audit trail is not empty; a migration does not delete it",
            next_step="drop the database yourself, if that is what you want",
        )
    tables().drop_all(connection, checkfirst=False)
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("DROP FUNCTION casewright_require_event(), casewright_refuse()")


def _guard_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(postgresql.SEARCH_THIS_SCHEMA_FIRST)
    for statement in postgresql.functions():
        connection.exec_driver_sql(statement)
    for trigger in postgresql.triggers():
        connection.exec_driver_sql(trigger.create)
        connection.exec_driver_sql(trigger.enable)
