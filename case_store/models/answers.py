"""How people answer besides the engine's interface and the command line."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import PERSONAL, Audited, Base, JsonColumn, UtcDateTime, reference


class AnswerLink(Audited, Base):
    """A link in a message by which one person may decide one task, once."""

    __tablename__ = "answer_links"
    __table_args__ = (Index(None, "task_id"),)
    entity_type: ClassVar[str] = "answer_link"

    case_id: Mapped[str] = reference("cases")
    task_id: Mapped[str] = reference("tasks")
    person_id: Mapped[str] = reference("people")
    # SHA-256 of the random name that the link carries: whoever reads this table cannot make a link of it.
    name_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    # By which channel it was sent.
    channel: Mapped[str] = mapped_column(String(40))
    decisions: Mapped[list[str]] = mapped_column(JsonColumn, default=list)
    # What the task was when it was sent: its attempt, and the digest of its parameters, which would help to guess them.
    attempt: Mapped[int] = mapped_column(Integer)
    parameters_sha256: Mapped[str] = mapped_column(String(64), info=PERSONAL)
    minted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decision: Mapped[str | None] = mapped_column(String(40))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
