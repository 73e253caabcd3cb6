"""Keep nodes of the tree to make proofs of, cosignatures of witnesses, and the keys of the log over time.

Revision ID: 0003
"""

from alembic import op
from sqlalchemy import select

from case_store.errors import AppendOnly
from case_store.migrations.witness import guards
from case_store.migrations.witness.tables import COSIGNATURES, KEYS, tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    tables().create_all(connection, checkfirst=False)
    if connection.dialect.name == "sqlite":
        for statement in guards.sqlite_triggers().values():
            connection.exec_driver_sql(statement)
        return
    for trigger in guards.postgresql_triggers():
        connection.exec_driver_sql(trigger.create)
        connection.exec_driver_sql(trigger.enable)


def downgrade() -> None:
    connection = op.get_bind()
    for table in (KEYS, COSIGNATURES):
        if connection.execute(select(table).limit(1)).first():
            raise AppendOnly(
                f"{table.name} is not empty; a migration does not take it away",
                next_step="drop the database yourself, if that is what you want",
            )
    tables().drop_all(connection, checkfirst=False)
