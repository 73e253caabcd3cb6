"""The people who own and decide."""

from typing import ClassVar

from sqlalchemy import Boolean, String
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import Audited, Base, JsonColumn, JsonMap, reference


class Person(Audited, Base):
    """Somebody who owns tasks, signs decisions and gets messages."""

    __tablename__ = "people"
    entity_type: ClassVar[str] = "person"

    handle: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320), index=True)
    phone: Mapped[str | None] = mapped_column(String(40))
    manager_id: Mapped[str | None] = reference("people")
    roles: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    working_hours: Mapped[JsonMap | None] = mapped_column(JsonColumn)
    time_zone: Mapped[str | None] = mapped_column(String(60))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
