"""Let the log move only with its events, and give an event no place but the next of its stream.

Rows that are there already stay as they are.

Revision ID: 0005
"""

from string import Template

from alembic import op
from sqlalchemy import Connection

from case_store.migrations.force import postgresql, sqlite
from case_store.migrations.proof import guards
from case_store.migrations.spine import postgresql as spine

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_DROP = Template("DROP TRIGGER $name")
_DROP_ON = Template("DROP TRIGGER $name ON $table")
_DROP_FUNCTION = Template("DROP FUNCTION $name()")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP TRIGGER audit_events_queued")
        for statement in sqlite.triggers().values():
            connection.exec_driver_sql(statement)
    else:
        _guard_postgresql(connection)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for name in sqlite.triggers():
            connection.exec_driver_sql(_DROP.substitute(name=name))
        connection.exec_driver_sql(guards.sqlite_triggers()["audit_events_queued"])
        return
    for trigger in postgresql.triggers():
        connection.exec_driver_sql(_DROP_ON.substitute(name=trigger.name, table=trigger.table))
    for name in postgresql.NEW | postgresql.CALLED:
        connection.exec_driver_sql(_DROP_FUNCTION.substitute(name=name))
    connection.exec_driver_sql(spine.SEARCH_THIS_SCHEMA_FIRST)
    for statement in guards.postgresql_functions():
        connection.exec_driver_sql(statement.replace("CREATE", "CREATE OR REPLACE", 1))


def _guard_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(spine.SEARCH_THIS_SCHEMA_FIRST)
    for statement in postgresql.functions():
        connection.exec_driver_sql(statement)
    for trigger in postgresql.triggers():
        connection.exec_driver_sql(trigger.create)
        connection.exec_driver_sql(trigger.enable)
