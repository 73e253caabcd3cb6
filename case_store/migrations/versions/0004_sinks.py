"""Remember how far the record has left the machine: one row for each sink.

Revision ID: 0004
"""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, String, Text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_sinks",
        Column("name", String(100), primary_key=True),
        Column("kind", String(20), nullable=False),
        Column("fingerprint", String(64), nullable=False),
        Column("cursor", BigInteger, nullable=False),
        Column("size", BigInteger),
        Column("last_ok_at", DateTime(timezone=True)),
        Column("last_error", Text),
        Column("failed_at", DateTime(timezone=True)),
        Column("token", String(100)),
        Column("lease_until", DateTime(timezone=True)),
        Column("removed_at", DateTime(timezone=True)),
    )


def downgrade() -> None:
    op.drop_table("audit_sinks")
