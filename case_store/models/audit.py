"""The audit trail."""

from datetime import datetime

from sqlalchemy import BigInteger, Identity, Index, Integer, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import ID_LENGTH, Base, UtcDateTime, WrittenOnce


class AuditEvent(WrittenOnce, Base):
    """One thing that happened. `body` is the record; the other columns are copies for searching.

    `entity_version` is the version of the row that this event made, and None when the event changed no row. So a
    version of a row has exactly one event.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        UniqueConstraint("entity_id", "entity_version"),
        Index(None, "stream", "id"),
        Index(None, "entity_type", "entity_id", "id"),
        Index(None, "ts"),
        Index(None, "actor_id", "ts"),
        Index(None, "type", "ts"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True
    )
    event_id: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True)
    stream: Mapped[str] = mapped_column(String(80))
    ts: Mapped[datetime] = mapped_column(UtcDateTime)
    type: Mapped[str] = mapped_column(String(80))
    entity_type: Mapped[str | None] = mapped_column(String(40))
    entity_id: Mapped[str | None] = mapped_column(String(80))
    entity_version: Mapped[int | None] = mapped_column(BigInteger)
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[str] = mapped_column(String(100))
    request_id: Mapped[str] = mapped_column(String(100))
    schema_v: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[str] = mapped_column(Text)
