"""The tables of the case store.

There are no relationships: a verb names the rows it reads, so no attribute hides a query.
"""

from case_store.models.answers import AnswerLink, Reply, ReplyMailbox
from case_store.models.audit import (
    AuditCheckpoint,
    AuditCosignature,
    AuditEvent,
    AuditKey,
    AuditLeaf,
    AuditNode,
    AuditPending,
    AuditPrivate,
    AuditSink,
    AuditStream,
    AuditTimestamp,
    AuditTree,
)
from case_store.models.base import Audited, Base, JsonMap, UtcDateTime, WrittenOnce
from case_store.models.bookkeeping import (
    Breaker,
    CaseRun,
    Counter,
    IdempotencyKey,
    OutboxEntry,
    OutboxState,
    Question,
)
from case_store.models.case import (
    SEVERITIES,
    Alert,
    Case,
    CaseState,
    Deadline,
    Evidence,
    Note,
    NoteRevision,
    Observable,
    Severity,
    SopDocument,
)
from case_store.models.people import Person
from case_store.models.signing import Approval, SignOffCode
from case_store.models.work import Execution, Outcome, Stage, StageState, Task, TaskKind, TaskState

__all__ = [
    "SEVERITIES",
    "Alert",
    "AnswerLink",
    "Approval",
    "AuditCheckpoint",
    "AuditCosignature",
    "AuditEvent",
    "AuditKey",
    "AuditLeaf",
    "AuditNode",
    "AuditPending",
    "AuditPrivate",
    "AuditSink",
    "AuditStream",
    "AuditTimestamp",
    "AuditTree",
    "Audited",
    "Base",
    "Breaker",
    "Case",
    "CaseRun",
    "CaseState",
    "Counter",
    "Deadline",
    "Evidence",
    "Execution",
    "IdempotencyKey",
    "JsonMap",
    "Note",
    "NoteRevision",
    "Observable",
    "OutboxEntry",
    "OutboxState",
    "Outcome",
    "Person",
    "Question",
    "Reply",
    "ReplyMailbox",
    "Severity",
    "SignOffCode",
    "SopDocument",
    "Stage",
    "StageState",
    "Task",
    "TaskKind",
    "TaskState",
    "UtcDateTime",
    "WrittenOnce",
]
