"""Keep the disclosures of personal values where an erasure can delete them, and know legal holds.

Events that are there already stay as they are: what is personal in them stays readable.

Revision ID: 0006
"""

from alembic import op
from sqlalchemy import Column, Connection, Text, text

from case_store.errors import AppendOnly
from case_store.migrations.privacy import guards
from case_store.migrations.privacy.tables import HELD, PRIVATE
from case_store.migrations.spine import postgresql, sqlite

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    PRIVATE.create(connection)
    for table in HELD:
        op.add_column(table, Column("legal_hold", Text()))
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER note_revisions_update")
        for statement in guards.sqlite_triggers().values():
            connection.exec_driver_sql(statement)
    else:
        _guard_postgresql(connection)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.execute(text("SELECT 1 FROM audit_events LIMIT 1")).first():
        raise AppendOnly(
            "the audit trail is not empty; a migration does not take its disclosures away",
            next_step="drop the database yourself, if that is what you want",
        )
    PRIVATE.drop(connection)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER note_revisions_update")
        connection.exec_driver_sql(sqlite.triggers()[guards.REWORDED])
    else:
        connection.exec_driver_sql("DROP FUNCTION casewright_forget()")
        connection.exec_driver_sql("DROP FUNCTION casewright_reword() CASCADE")
        before = next(one for one in postgresql.triggers() if one.name == guards.REWORDED_POSTGRESQL)
        connection.exec_driver_sql(before.create)
        connection.exec_driver_sql(before.enable)
    connection.exec_driver_sql("ALTER TABLE cases DROP COLUMN legal_hold")
    connection.exec_driver_sql("ALTER TABLE people DROP COLUMN legal_hold")


def _guard_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(postgresql.SEARCH_THIS_SCHEMA_FIRST)
    connection.exec_driver_sql("DROP TRIGGER note_revisions_written_once ON note_revisions")
    for name, body in guards.FUNCTIONS.items():
        connection.exec_driver_sql(postgresql.create_function(name, body))
    for trigger in guards.postgresql_triggers():
        connection.exec_driver_sql(trigger.create)
        connection.exec_driver_sql(trigger.enable)
