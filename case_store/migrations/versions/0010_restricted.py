"""Cases that only some people may see.

Revision ID: 0010
"""

from alembic import op
from sqlalchemy import JSON, Column, text

from case_store.errors import AppendOnly

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", Column("restricted_to", JSON(none_as_null=True)))


def downgrade() -> None:
    if op.get_bind().execute(text("SELECT 1 FROM audit_events LIMIT 1")).first():
        raise AppendOnly(
            "the audit trail is not empty; a migration does not take away what its events tell of",
            next_step="drop the database yourself, if that is what you want",
        )
    op.execute("ALTER TABLE cases DROP COLUMN restricted_to")
