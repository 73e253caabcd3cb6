"""What is to be done in a case: stages, tasks, and the runs of automated tasks."""

from datetime import datetime
from typing import ClassVar, Literal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from case_store.models.base import (
    ID_LENGTH,
    PERSONAL,
    PERSONAL_HANDLE,
    Audited,
    Base,
    JsonColumn,
    JsonMap,
    UtcDateTime,
    one_of,
    reference,
)

StageState = Literal["waiting", "active", "done", "not_applicable", "cancelled"]
TaskState = Literal[
    "waiting",
    "open",
    "running",
    "done",
    "rejected",
    "skipped",
    "not_applicable",
    "failed",
    "unknown_outcome",
    "cancelled",
]
TaskKind = Literal["action", "manual", "form", "approval"]
Outcome = Literal["succeeded", "failed", "unknown"]

STAGE_STATES: tuple[StageState, ...] = ("waiting", "active", "done", "not_applicable", "cancelled")
TASK_STATES: tuple[TaskState, ...] = (
    "waiting",
    "open",
    "running",
    "done",
    "rejected",
    "skipped",
    "not_applicable",
    "failed",
    "unknown_outcome",
    "cancelled",
)
TASK_KINDS: tuple[TaskKind, ...] = ("action", "manual", "form", "approval")
OUTCOMES: tuple[Outcome, ...] = ("succeeded", "failed", "unknown")


class Stage(Audited, Base):
    """One step of a case; the next begins when all its tasks are closed."""

    __tablename__ = "stages"
    __table_args__ = (
        UniqueConstraint("case_id", "key"),
        CheckConstraint(one_of("state", STAGE_STATES), name="state"),
    )
    entity_type: ClassVar[str] = "stage"

    case_id: Mapped[str] = reference("cases")
    key: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer)
    state: Mapped[StageState] = mapped_column(String(20), default="waiting")
    # None: not decided yet.
    condition_met: Mapped[bool | None] = mapped_column(Boolean)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    overdue_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Since when its time runs, and the microseconds of working time that ran before.
    clock_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    spent_us: Mapped[int | None] = mapped_column(BigInteger)


class Task(Audited, Base):
    """One thing to do, by a person or by an action."""

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("case_id", "key"),
        CheckConstraint(one_of("state", TASK_STATES), name="state"),
        CheckConstraint(one_of("kind", TASK_KINDS), name="kind"),
        Index(None, "state", "due_at"),
        Index(None, "owner_id", "state"),
        Index("ix_tasks_rung", "state", "rung_at"),
    )
    entity_type: ClassVar[str] = "task"

    case_id: Mapped[str] = reference("cases")
    stage_id: Mapped[str] = reference("stages", index=True)
    key: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(Text)
    kind: Mapped[TaskKind] = mapped_column(String(20))
    position: Mapped[int] = mapped_column(Integer)
    state: Mapped[TaskState] = mapped_column(String(20), default="waiting")
    owner_rule: Mapped[str] = mapped_column(String(200), default="case-owner")
    owner_id: Mapped[str | None] = reference("people")
    owner_role: Mapped[str | None] = mapped_column(String(40))
    mandatory: Mapped[bool] = mapped_column(Boolean, default=False)
    note_required: Mapped[bool] = mapped_column(Boolean, default=False)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_id: Mapped[str | None] = reference("people")
    # The handle of whoever decided, as it was then; when, and through which channel. An approved task has all three
    # while its action still runs.
    signed_by: Mapped[str | None] = mapped_column(Text, info=PERSONAL_HANDLE)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_via: Mapped[str | None] = mapped_column(String(40))
    decision: Mapped[str | None] = mapped_column(String(40))
    form_values: Mapped[JsonMap | None] = mapped_column(JsonColumn, info=PERSONAL)
    parameters: Mapped[JsonMap | None] = mapped_column(JsonColumn, info=PERSONAL)
    result: Mapped[JsonMap | None] = mapped_column(JsonColumn, info=PERSONAL)
    note_id: Mapped[str | None] = reference("notes", cycle=True)
    reason: Mapped[str | None] = mapped_column(Text, info=PERSONAL)
    # None: not decided yet.
    condition_met: Mapped[bool | None] = mapped_column(Boolean)
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    overdue_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Since when its time runs, and the microseconds of working time that ran before.
    clock_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    spent_us: Mapped[int | None] = mapped_column(BigInteger)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    pause_reason: Mapped[str | None] = mapped_column(Text, info=PERSONAL)
    # Who takes care of it, and through which channel they said so: nobody else is told then.
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))  # a person
    acknowledged_via: Mapped[str | None] = mapped_column(String(40))
    # From when the rungs of its ladder count, where that is later than its due time; how many of its steps are behind
    # it; and when the next one comes.
    ladder_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rungs: Mapped[int | None] = mapped_column(Integer)
    rung_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Execution(Audited, Base):
    """One run of a task's action: what went in, what came out, which code did it."""

    __tablename__ = "executions"
    __table_args__ = (
        UniqueConstraint("task_id", "number"),
        CheckConstraint(one_of("outcome", OUTCOMES), name="outcome"),
    )
    entity_type: ClassVar[str] = "execution"

    case_id: Mapped[str] = reference("cases", index=True)
    task_id: Mapped[str] = reference("tasks")
    number: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[str | None] = mapped_column(String(100))
    code_version: Mapped[str | None] = mapped_column(String(200))
    inputs: Mapped[JsonMap] = mapped_column(JsonColumn, default=dict, info=PERSONAL)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # None: still running, or died without a word.
    outcome: Mapped[Outcome | None] = mapped_column(String(20))
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    output: Mapped[JsonMap | None] = mapped_column(JsonColumn, info=PERSONAL)
    evidence_id: Mapped[str | None] = reference("evidence")
    sha256: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text, info=PERSONAL)
