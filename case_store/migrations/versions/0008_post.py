"""Know how a message fares after it was sent, which channels are down, and whom a channel does not reach.

Revision ID: 0008
"""

from alembic import op
from sqlalchemy import text

from case_store.errors import AppendOnly
from case_store.migrations.post import tables

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for column in tables.of_people():
        op.add_column("people", column)
    _allow(tables.STATES)
    for column in tables.of_outbox():
        op.add_column("outbox", column)
    with op.batch_alter_table("outbox") as outbox:
        for name in tables.DEFAULTED:
            outbox.alter_column(name, server_default=None)
    for name, columns in tables.INDEXES.items():
        op.create_index(name, "outbox", columns)
    tables.BREAKERS.create(connection)


def downgrade() -> None:
    connection = op.get_bind()
    if connection.execute(text("SELECT 1 FROM audit_events LIMIT 1")).first():
        raise AppendOnly(
            "the audit trail is not empty; a migration does not take away what its events tell of",
            next_step="drop the database yourself, if that is what you want",
        )
    tables.BREAKERS.drop(connection)
    for name in tables.INDEXES:
        op.drop_index(name, "outbox")
    for column in reversed(tables.of_outbox()):
        op.drop_column("outbox", column.name)
    _allow(tables.STATES_BEFORE)
    for column in reversed(tables.of_people()):
        op.drop_column("people", column.name)


def _allow(states: tuple[str, ...]) -> None:
    """Let messages be in these states. SQLite cannot change a condition, so Alembic makes the table anew."""
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_constraint(op.f(tables.STATE_CHECK), type_="check")
        outbox.create_check_constraint(op.f(tables.STATE_CHECK), tables.in_states(states))
