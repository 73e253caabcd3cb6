"""How people answer besides the engine's interface and the command line."""

from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import (
    ID_LENGTH,
    PERSONAL,
    Audited,
    Base,
    JsonColumn,
    UtcDateTime,
    WrittenOnce,
    reference,
)


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


class Reply(WrittenOnce, Base):
    """Something that came back by a channel, and what became of it; its events tell the same.

    Nothing personal is in it: what was written is a note, and a mail as it came is evidence.
    """

    __tablename__ = "replies"
    __table_args__ = (Index(None, "at"), Index(None, "person_id", "at"))

    # SHA-256, in hexadecimal, of what tells it from all others: so each is taken once.
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    channel: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(20))
    # Why it was not taken; None where it was.
    why: Mapped[str | None] = mapped_column(String(40))
    person_id: Mapped[str | None] = reference("people")
    case_id: Mapped[str | None] = reference("cases", index=True)
    task_id: Mapped[str | None] = reference("tasks")
    outbox_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    note_id: Mapped[str | None] = reference("notes")
    evidence_id: Mapped[str | None] = reference("evidence")


MAILBOX_FAILURES: Final = 5
"""Failures in a row after which it is on record that a mailbox cannot be read."""


class ReplyMailbox(Base):
    """How far a mailbox of replies is read. One relay reads it at a time, under a lease."""

    __tablename__ = "reply_mailboxes"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)
    # Which numbering of its messages (UIDVALIDITY) the cursor belongs to, and the last message that was taken.
    numbering: Mapped[int | None] = mapped_column(BigInteger)
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    token: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_ok_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Failures since it last worked, since when, and what went wrong last.
    failures: Mapped[int] = mapped_column(Integer, default=0)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(Text)
