"""The tables of the tenth migration; a copy of the models of that day."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Integer, MetaData, String, Table, text

_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_TIME = DateTime(timezone=True)
_COUNTS = text("voided_at IS NULL")


def seen() -> Column[str]:
    """Return the new column of `questions`: which parameters the form shows."""
    return Column("parameters_sha256", String(64))


def _reference(column: str, table: str, **options: bool) -> Column[str]:
    to = ForeignKey(f"{table}.id", deferrable=True, initially="DEFERRED")
    return Column(column, String(36), to, nullable=False, **options)  # type: ignore[arg-type]


for _table in ("cases", "people", "tasks"):
    Table(_table, _metadata, Column("id", String(36), primary_key=True))

APPROVALS = Table(
    "approvals",
    _metadata,
    Column("id", String(36), primary_key=True),
    Column("version", BigInteger, nullable=False),
    _reference("case_id", "cases", index=True),
    _reference("task_id", "tasks"),
    _reference("person_id", "people"),
    Column("parameters_sha256", String(64), nullable=False),
    Column("given_at", _TIME, nullable=False),
    Column("given_via", String(40), nullable=False),
    Column("voided_at", _TIME),
    Index("ix_approvals_once", "task_id", "person_id", unique=True, sqlite_where=_COUNTS, postgresql_where=_COUNTS),
    Index("ix_approvals_person_id", "person_id"),
)
CODES = Table(
    "sign_off_codes",
    _metadata,
    Column("id", String(36), primary_key=True),
    _reference("task_id", "tasks"),
    _reference("person_id", "people"),
    Column("channel", String(40), nullable=False),
    Column("salt", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("sent_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("verified_at", _TIME),
    Column("used_at", _TIME),
    Column("void_at", _TIME),
    Index("ix_sign_off_codes_whose", "task_id", "person_id", "sent_at"),
)
