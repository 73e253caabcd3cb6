"""The case, its pinned SOP, and what came in and was found: alerts, observables, evidence, notes."""

import hashlib
from datetime import datetime
from typing import ClassVar, Literal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import (
    PERSONAL,
    Audited,
    Base,
    JsonColumn,
    JsonMap,
    UtcDateTime,
    WrittenOnce,
    one_of,
    reference,
)

CaseState = Literal["open", "closed", "cancelled"]
Severity = Literal["informational", "low", "medium", "high", "critical"]

SEVERITIES: tuple[Severity, ...] = ("informational", "low", "medium", "high", "critical")
CASE_STATES: tuple[CaseState, ...] = ("open", "closed", "cancelled")


class SopDocument(WrittenOnce, Base):
    """The text of an SOP as some case was opened with it, by its SHA-256."""

    __tablename__ = "sops"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(40))
    version: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)


class Case(Audited, Base):
    """One matter that is worked on, by one SOP."""

    __tablename__ = "cases"
    __table_args__ = (
        CheckConstraint(one_of("state", CASE_STATES), name="state"),
        CheckConstraint(one_of("severity", SEVERITIES), name="severity"),
    )
    entity_type: ClassVar[str] = "case"

    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    title: Mapped[str] = mapped_column(Text, info=PERSONAL)
    severity: Mapped[Severity] = mapped_column(String(20))
    state: Mapped[CaseState] = mapped_column(String(20), default="open", index=True)
    sop_key: Mapped[str] = mapped_column(String(40))
    sop_version: Mapped[int] = mapped_column(Integer)
    sop_digest: Mapped[str] = mapped_column(
        String(64), ForeignKey("sops.digest", deferrable=True, initially="DEFERRED")
    )
    owner_id: Mapped[str | None] = reference("people", index=True)
    owner_role: Mapped[str | None] = mapped_column(String(40))
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_by: Mapped[str] = mapped_column(String(100))  # str(Actor): four-eyes rules ask for it
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolution: Mapped[str | None] = mapped_column(Text, info=PERSONAL)
    # Re-opened with nothing left to run, a case stays open until a person closes it again.
    reopened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Why nothing in it may be erased; None: nothing keeps it.
    legal_hold: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    overdue_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Since when its time runs, and the microseconds of working time that ran before.
    clock_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    spent_us: Mapped[int | None] = mapped_column(BigInteger)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    pause_reason: Mapped[str | None] = mapped_column(Text, info=PERSONAL)


class Deadline(Audited, Base):
    """A time that a law or a contract sets: all hours count, and nothing stops it."""

    __tablename__ = "deadlines"
    __table_args__ = (UniqueConstraint("case_id", "name"), Index("ix_deadlines_next", "next_at"))
    entity_type: ClassVar[str] = "deadline"

    case_id: Mapped[str] = reference("cases")
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int] = mapped_column(Integer)
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When somebody has to be warned, or told that it was missed; None: nothing is left to tell.
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    missed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    met_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    met_by_id: Mapped[str | None] = reference("people")
    how: Mapped[str | None] = mapped_column(Text, info=PERSONAL)


class Alert(Audited, Base):
    """What a source reported. The same `source_ref` again is a repeat of the same alert."""

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("source", "source_ref"),
        CheckConstraint(one_of("severity", SEVERITIES), name="severity"),
    )
    entity_type: ClassVar[str] = "alert"

    source: Mapped[str] = mapped_column(String(100))
    source_ref: Mapped[str] = mapped_column(String(500))
    title: Mapped[str] = mapped_column(Text, info=PERSONAL)
    severity: Mapped[Severity] = mapped_column(String(20))
    severity_original: Mapped[str | None] = mapped_column(String(100))
    occurred_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    link: Mapped[str | None] = mapped_column(Text, info=PERSONAL)
    fields: Mapped[JsonMap] = mapped_column(JsonColumn, default=dict, info=PERSONAL)
    evidence_id: Mapped[str | None] = reference("evidence", cycle=True)
    case_id: Mapped[str | None] = reference("cases", index=True)
    repeats: Mapped[int] = mapped_column(Integer, default=0)


class Observable(Audited, Base):
    """A technical thing seen in a case: an address, a domain, a hash."""

    __tablename__ = "observables"
    __table_args__ = (UniqueConstraint("case_id", "type", "value_sha256"),)
    entity_type: ClassVar[str] = "observable"

    case_id: Mapped[str] = reference("cases")
    type: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(Text, info=PERSONAL)
    # A URL may be longer than an index entry may be; this stands for the value in the unique constraint.
    value_sha256: Mapped[str] = mapped_column(String(64), info=PERSONAL)
    task_id: Mapped[str | None] = reference("tasks")
    evidence_id: Mapped[str | None] = reference("evidence")
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)

    def __init__(self, *, value: str, **values: object) -> None:
        super().__init__(value=value, value_sha256=digest_of(value), **values)


class Evidence(Audited, Base):
    """Bytes on record: where they came from and their SHA-256. The bytes are in the blob folder."""

    __tablename__ = "evidence"
    entity_type: ClassVar[str] = "evidence"

    case_id: Mapped[str | None] = reference("cases", index=True)
    name: Mapped[str] = mapped_column(Text, info=PERSONAL)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(255))
    claimed_type: Mapped[str | None] = mapped_column(String(255))
    task_id: Mapped[str | None] = reference("tasks", index=True)
    alert_id: Mapped[str | None] = reference("alerts", index=True)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)
    added_by: Mapped[str] = mapped_column(String(100))  # str(Actor)


class Note(Audited, Base):
    """What somebody wrote about a case; `body` is the newest revision."""

    __tablename__ = "notes"
    entity_type: ClassVar[str] = "note"

    case_id: Mapped[str] = reference("cases", index=True)
    task_id: Mapped[str | None] = reference("tasks", index=True)
    author: Mapped[str] = mapped_column(String(100))  # str(Actor)
    body: Mapped[str] = mapped_column(Text, info=PERSONAL)
    revision: Mapped[int] = mapped_column(Integer, default=1)
    written_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revised_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class NoteRevision(WrittenOnce, Base):
    """One wording of a note, kept for good."""

    __tablename__ = "note_revisions"

    note_id: Mapped[str] = reference("notes", primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(String(100))  # str(Actor)


def digest_of(value: str) -> str:
    """Return what stands for a value in the unique constraint of observables."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
