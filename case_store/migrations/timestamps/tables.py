"""The table as this migration makes it; a copy of the model of that day."""

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, String, Table

_metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})

TIMESTAMPS = Table(
    "audit_timestamps",
    _metadata,
    Column("checkpoint_id", BigInteger, primary_key=True, autoincrement=False),
    Column("authority", String(300), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("response", LargeBinary, nullable=False),
)
