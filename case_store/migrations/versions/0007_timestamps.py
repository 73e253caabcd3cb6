"""Keep what a time-stamping authority says about checkpoints.

Revision ID: 0007
"""

from alembic import op
from sqlalchemy import select

from case_store.errors import AppendOnly
from case_store.migrations.timestamps import guards
from case_store.migrations.timestamps.tables import TIMESTAMPS

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    TIMESTAMPS.create(connection)
    if connection.dialect.name == "sqlite":
        for statement in guards.sqlite_triggers().values():
            connection.exec_driver_sql(statement)
        return
    for trigger in guards.postgresql_triggers():
        connection.exec_driver_sql(trigger.create)
        connection.exec_driver_sql(trigger.enable)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.execute(select(TIMESTAMPS).limit(1)).first():
        raise AppendOnly(
            "audit_timestamps is not empty; a migration does not take it away",
            next_step="drop the database yourself, if that is what you want",
        )
    TIMESTAMPS.drop(connection)
