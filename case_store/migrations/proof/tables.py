"""The tables as the second migration makes them; a copy of the models of that day."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

WRITTEN_ONCE = ("audit_leaves", "audit_checkpoints")
"""Rows are added and never changed."""

_ID = String(36)
_HASH = LargeBinary(32)
_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

EVENT_COLUMNS: dict[str, TypeEngine[Any]] = {"seq": BigInteger(), "leaf": _HASH}
"""What `audit_events` gets; events that are there already keep them empty."""

_STREAMS = Table(
    "audit_streams",
    _metadata,
    Column("stream", String(80), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("head", _HASH, nullable=False),
)
PENDING = Table("audit_pending", _metadata, Column("event_id", _ID, primary_key=True))
_LEAVES = Table(
    "audit_leaves",
    _metadata,
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", _ID, nullable=False),
    Column("leaf", _HASH, nullable=False),
    UniqueConstraint("event_id"),
)
TREE = Table(
    "audit_tree",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
)
_CHECKPOINTS = Table(
    "audit_checkpoints",
    _metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("note", Text, nullable=False),
    Index(None, "size"),
    sqlite_autoincrement=True,
)


def tables() -> MetaData:
    """Return the new tables."""
    return _metadata
