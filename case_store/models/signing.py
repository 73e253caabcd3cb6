"""What stands behind a decision: the approvals that were given, and the codes by which people show who they are."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from case_store.ids import new_id
from case_store.models.base import ID_LENGTH, PERSONAL, Audited, Base, UtcDateTime, reference


class Approval(Audited, Base):
    """One person's approval of exactly these parameters. It counts until the parameters change."""

    __tablename__ = "approvals"
    __table_args__ = (
        UniqueConstraint("task_id", "person_id", "round"),
        Index("ix_approvals_person_id", "person_id"),
    )
    entity_type: ClassVar[str] = "approval"

    case_id: Mapped[str] = reference("cases", index=True)
    task_id: Mapped[str] = reference("tasks")
    person_id: Mapped[str] = reference("people")
    # How often the parameters were settled: 1, and one more with each change.
    round: Mapped[int] = mapped_column(Integer)
    # SHA-256 of the parameters as canonical JSON, in hexadecimal: who knows them nearly could find the rest by it.
    parameters_sha256: Mapped[str] = mapped_column(String(64), info=PERSONAL)
    given_at: Mapped[datetime] = mapped_column(UtcDateTime)
    given_via: Mapped[str] = mapped_column(String(40))
    # When the parameters changed, so that it counts no more.
    voided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SignOffCode(Base):
    """A code that was sent to a person, to sign one task. Of its digits only a salted hash is kept.

    Not audited as a row, because events tell columns; that it was sent, wrong or verified is an event of its own.
    """

    __tablename__ = "sign_off_codes"
    __table_args__ = (Index("ix_sign_off_codes_whose", "task_id", "person_id", "sent_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=new_id)
    task_id: Mapped[str] = reference("tasks")
    person_id: Mapped[str] = reference("people")
    channel: Mapped[str] = mapped_column(String(40))
    salt: Mapped[str] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    wrong: Mapped[int] = mapped_column(Integer, default=0)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When a decision was signed with it; a code signs once.
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When another code took its place, or it was entered wrongly too often.
    void_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
