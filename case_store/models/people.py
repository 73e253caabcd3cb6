"""The people who own and decide."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Boolean, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import ID_LENGTH, PERSONAL, Audited, Base, JsonColumn, JsonMap, UtcDateTime, reference


class Person(Audited, Base):
    """Somebody who owns tasks, signs decisions and gets messages."""

    __tablename__ = "people"
    entity_type: ClassVar[str] = "person"

    handle: Mapped[str] = mapped_column(String(100), unique=True, info=PERSONAL)
    name: Mapped[str] = mapped_column(String(200), info=PERSONAL)
    email: Mapped[str | None] = mapped_column(String(320), index=True, info=PERSONAL)
    phone: Mapped[str | None] = mapped_column(String(40), info=PERSONAL)
    manager_id: Mapped[str | None] = reference("people")
    roles: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    working_hours: Mapped[JsonMap | None] = mapped_column(JsonColumn, info=PERSONAL)
    time_zone: Mapped[str | None] = mapped_column(String(60))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    # Why nothing about them may be erased; None: nothing keeps it.
    legal_hold: Mapped[str | None] = mapped_column(Text)
    # What messages to them are written in; None: English.
    language: Mapped[str | None] = mapped_column(String(10), info=PERSONAL)
    # Channels by which they want nothing, and whose address of theirs reaches nobody; None: there is none.
    opted_out: Mapped[list[str] | None] = mapped_column(JsonColumn, info=PERSONAL)
    bad_addresses: Mapped[list[str] | None] = mapped_column(JsonColumn, info=PERSONAL)
    # Out of office: from when, until when, and who stands in.
    away_from: Mapped[datetime | None] = mapped_column(UtcDateTime, info=PERSONAL)
    away_until: Mapped[datetime | None] = mapped_column(UtcDateTime, info=PERSONAL)
    deputy_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # SQLite adds no reference later
