"""The tables as this migration makes them; a copy of the models of that day."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Integer, MetaData, String, Table, Text

_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_TIME = DateTime(timezone=True)


def _reference(column: str, table: str) -> Column[str]:
    return Column(column, String(36), ForeignKey(f"{table}.id", deferrable=True, initially="DEFERRED"))


for _table in ("cases", "evidence", "notes", "people", "tasks"):
    Table(_table, _metadata, Column("id", String(36), primary_key=True))

REPLIES = Table(
    "replies",
    _metadata,
    Column("key", String(64), primary_key=True),
    Column("channel", String(40), nullable=False),
    Column("at", _TIME, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("why", String(40)),
    _reference("person_id", "people"),
    _reference("case_id", "cases"),
    _reference("task_id", "tasks"),
    Column("outbox_id", String(36)),
    _reference("note_id", "notes"),
    _reference("evidence_id", "evidence"),
    Index(None, "at"),
    Index(None, "person_id", "at"),
    Index(None, "case_id"),
)

MAILBOXES = Table(
    "reply_mailboxes",
    _metadata,
    Column("name", String(300), primary_key=True),
    Column("numbering", BigInteger),
    Column("cursor", BigInteger, nullable=False),
    Column("token", String(100)),
    Column("lease_until", _TIME),
    Column("last_ok_at", _TIME),
    Column("failures", Integer, nullable=False),
    Column("failed_at", _TIME),
    Column("last_error", Text),
)
