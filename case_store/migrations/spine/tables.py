"""The tables as the first migration makes them.

A copy of the models of that day, so that the migration makes the same tables for good. The last migration and the
models of today agree: a test compares them on both databases.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

ID = String(36)
TIME = DateTime(timezone=True)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _audited() -> tuple[Column[str], Column[int]]:
    return Column("id", ID, primary_key=True), Column("version", BigInteger, nullable=False)


def _ref(target: str, *, cycle: bool = False) -> ForeignKey:
    return ForeignKey(target, deferrable=True, initially="DEFERRED", use_alter=cycle)


def _one_of(column: str, values: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values.split())})", name=column)


Table(
    "people",
    metadata,
    *_audited(),
    Column("handle", String(100), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("email", String(320), index=True),
    Column("phone", String(40)),
    Column("manager_id", ID, _ref("people.id")),
    Column("roles", JSON, nullable=False),
    Column("working_hours", JSON),
    Column("time_zone", String(60)),
    Column("active", Boolean, nullable=False),
)

Table(
    "sops",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("key", String(40), nullable=False),
    Column("version", Integer, nullable=False),
    Column("text", Text, nullable=False),
)

Table(
    "cases",
    metadata,
    *_audited(),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("severity", String(20), nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("sop_key", String(40), nullable=False),
    Column("sop_version", Integer, nullable=False),
    Column("sop_digest", String(64), _ref("sops.digest"), nullable=False),
    Column("owner_id", ID, _ref("people.id"), index=True),
    Column("owner_role", String(40)),
    Column("opened_at", TIME, nullable=False),
    Column("opened_by", String(100), nullable=False),
    Column("closed_at", TIME),
    Column("resolution", Text),
    Column("reopened_at", TIME),
    _one_of("severity", "informational low medium high critical"),
    _one_of("state", "open closed cancelled"),
)

Table(
    "stages",
    metadata,
    *_audited(),
    Column("case_id", ID, _ref("cases.id"), nullable=False),
    Column("key", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("condition_met", Boolean),
    Column("due_at", TIME),
    Column("started_at", TIME),
    Column("closed_at", TIME),
    UniqueConstraint("case_id", "key"),
    _one_of("state", "waiting active done not_applicable cancelled"),
)

Table(
    "tasks",
    metadata,
    *_audited(),
    Column("case_id", ID, _ref("cases.id"), nullable=False),
    Column("stage_id", ID, _ref("stages.id"), nullable=False, index=True),
    Column("key", String(40), nullable=False),
    Column("title", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("owner_rule", String(200), nullable=False),
    Column("owner_id", ID, _ref("people.id")),
    Column("owner_role", String(40)),
    Column("mandatory", Boolean, nullable=False),
    Column("note_required", Boolean, nullable=False),
    Column("due_at", TIME),
    Column("opened_at", TIME),
    Column("started_at", TIME),
    Column("closed_at", TIME),
    Column("closed_by_id", ID, _ref("people.id")),
    Column("signed_by", Text),
    Column("decided_at", TIME),
    Column("decided_via", String(40)),
    Column("decision", String(40)),
    Column("form_values", JSON),
    Column("parameters", JSON),
    Column("result", JSON),
    Column("note_id", ID, _ref("notes.id", cycle=True)),
    Column("reason", Text),
    Column("condition_met", Boolean),
    Column("attempt", Integer, nullable=False),
    Column("overdue_at", TIME),
    UniqueConstraint("case_id", "key"),
    _one_of("kind", "action manual form approval"),
    _one_of("state", "waiting open running done rejected skipped not_applicable failed unknown_outcome cancelled"),
    Index(None, "owner_id", "state"),
    Index(None, "state", "due_at"),
)

Table(
    "executions",
    metadata,
    *_audited(),
    Column("case_id", ID, _ref("cases.id"), nullable=False, index=True),
    Column("task_id", ID, _ref("tasks.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("run_id", String(100)),
    Column("code_version", String(200)),
    Column("inputs", JSON, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("ended_at", TIME),
    Column("outcome", String(20)),
    Column("duration_ms", BigInteger),
    Column("output", JSON),
    Column("evidence_id", ID, _ref("evidence.id")),
    Column("sha256", String(64)),
    Column("error", Text),
    UniqueConstraint("task_id", "number"),
    _one_of("outcome", "succeeded failed unknown"),
)

Table(
    "alerts",
    metadata,
    *_audited(),
    Column("source", String(100), nullable=False),
    Column("source_ref", String(500), nullable=False),
    Column("title", Text, nullable=False),
    Column("severity", String(20), nullable=False),
    Column("severity_original", String(100)),
    Column("occurred_at", TIME),
    Column("received_at", TIME, nullable=False, index=True),
    Column("link", Text),
    Column("fields", JSON, nullable=False),
    Column("evidence_id", ID, _ref("evidence.id", cycle=True)),
    Column("case_id", ID, _ref("cases.id"), index=True),
    Column("repeats", Integer, nullable=False),
    UniqueConstraint("source", "source_ref"),
    _one_of("severity", "informational low medium high critical"),
)

Table(
    "observables",
    metadata,
    *_audited(),
    Column("case_id", ID, _ref("cases.id"), nullable=False),
    Column("type", String(40), nullable=False),
    Column("value", Text, nullable=False),
    Column("value_sha256", String(64), nullable=False),
    Column("task_id", ID, _ref("tasks.id")),
    Column("evidence_id", ID, _ref("evidence.id")),
    Column("added_at", TIME, nullable=False),
    UniqueConstraint("case_id", "type", "value_sha256"),
)

Table(
    "evidence",
    metadata,
    *_audited(),
    Column("case_id", ID, _ref("cases.id"), index=True),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(255), nullable=False),
    Column("claimed_type", String(255)),
    Column("task_id", ID, _ref("tasks.id"), index=True),
    Column("alert_id", ID, _ref("alerts.id"), index=True),
    Column("added_at", TIME, nullable=False),
    Column("added_by", String(100), nullable=False),
)

Table(
    "notes",
    metadata,
    *_audited(),
    Column("case_id", ID, _ref("cases.id"), nullable=False, index=True),
    Column("task_id", ID, _ref("tasks.id"), index=True),
    Column("author", String(100), nullable=False),
    Column("body", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("written_at", TIME, nullable=False),
    Column("revised_at", TIME),
)

Table(
    "note_revisions",
    metadata,
    Column("note_id", ID, _ref("notes.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("body", Text, nullable=False),
    Column("at", TIME, nullable=False),
    Column("by", String(100), nullable=False),
)

Table(
    "audit_events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(always=True), primary_key=True),
    Column("event_id", ID, nullable=False, unique=True),
    Column("stream", String(80), nullable=False),
    Column("ts", TIME, nullable=False, index=True),
    Column("type", String(80), nullable=False),
    Column("entity_type", String(40)),
    Column("entity_id", String(80)),
    Column("entity_version", BigInteger),
    Column("actor_kind", String(20), nullable=False),
    Column("actor_id", String(100), nullable=False),
    Column("request_id", String(100), nullable=False),
    Column("schema_v", SmallInteger, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("entity_id", "entity_version"),
    Index(None, "actor_id", "ts"),
    Index(None, "entity_type", "entity_id", "id"),
    Index(None, "stream", "id"),
    Index(None, "type", "ts"),
    sqlite_autoincrement=True,
)

Table(
    "counters",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

Table(
    "case_runs",
    metadata,
    Column("case_id", ID, _ref("cases.id"), primary_key=True),
    Column("flow_run_id", String(100)),
    Column("generation", BigInteger, nullable=False),
    Column("advanced_generation", BigInteger, nullable=False),
    Column("signal_at", TIME, index=True),
    Column("attempts", Integer, nullable=False),
    Column("pass_token", String(100)),
    Column("pass_until", TIME),
)

Table(
    "questions",
    metadata,
    Column("task_id", ID, _ref("tasks.id"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("flow_run_id", String(100), nullable=False, index=True),
    Column("reason", Text),
    Column("refusal", Text),
    Column("asked_at", TIME, nullable=False),
    Column("closed_at", TIME),
)

Table(
    "outbox",
    metadata,
    Column("id", ID, primary_key=True),
    Column("dedup_key", String(300), nullable=False, unique=True),
    Column("case_id", ID, _ref("cases.id"), index=True),
    Column("task_id", ID, _ref("tasks.id")),
    Column("channel", String(40), nullable=False),
    Column("recipient_id", ID, _ref("people.id"), nullable=False),
    Column("template", String(100), nullable=False),
    Column("context", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", TIME, nullable=False),
    Column("lease_until", TIME),
    Column("token", String(100)),
    Column("not_after", TIME),
    Column("provider_ref", String(300)),
    Column("last_error", Text),
    _one_of("state", "pending leased sent dead unknown"),
    Index(None, "state", "next_at"),
)

Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("entity_type", String(40), nullable=False),
    Column("entity_id", ID, nullable=False),
)


def tables() -> MetaData:
    """Return a copy of the tables, to make or drop them with.

    A copy each time: SQLAlchemy notes on a constraint that it was added by ALTER (PostgreSQL, where two tables refer
    to each other), and would then leave it out when the same process makes the table in place (SQLite).
    """
    fresh = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(fresh)
    return fresh
