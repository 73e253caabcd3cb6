"""The tables as this migration makes them; a copy of the models of that day."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

_VKEY = String(300)
_metadata = MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"})

Table(
    "audit_nodes",
    _metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)
COSIGNATURES = Table(
    "audit_cosignatures",
    _metadata,
    Column("checkpoint_id", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", _VKEY, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("line", Text, nullable=False),
)
KEYS = Table(
    "audit_keys",
    _metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("vkey", _VKEY, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("statement", Text),
    UniqueConstraint("vkey"),
)


def tables() -> MetaData:
    """Return the new tables."""
    return _metadata
