"""The table and the columns of the sixth migration; a copy of the models of that day."""

from sqlalchemy import Column, Index, MetaData, String, Table, Text

_metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"})

HELD = ("cases", "people")
"""What gets a column `legal_hold`."""

PRIVATE = Table(
    "audit_private",
    _metadata,
    Column("event_id", String(36), primary_key=True),
    Column("pointer", String(200), primary_key=True),
    Column("disclosure", Text, nullable=False),
    Column("about_type", String(40), nullable=False),
    Column("about_id", String(80), nullable=False),
    Index(None, "about_type", "about_id"),
)
