"""The table of the twelfth migration; a copy of the models of that day."""

from sqlalchemy import JSON, BigInteger, Column, DateTime, ForeignKey, Index, Integer, MetaData, String, Table
from sqlalchemy import UniqueConstraint as Unique

_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_TIME = DateTime(timezone=True)


def _reference(column: str, table: str) -> Column[str]:
    return Column(column, String(36), ForeignKey(f"{table}.id", deferrable=True, initially="DEFERRED"), nullable=False)


for _table in ("cases", "people", "tasks"):
    Table(_table, _metadata, Column("id", String(36), primary_key=True))

ANSWER_LINKS = Table(
    "answer_links",
    _metadata,
    Column("id", String(36), primary_key=True),
    Column("version", BigInteger, nullable=False),
    _reference("case_id", "cases"),
    _reference("task_id", "tasks"),
    _reference("person_id", "people"),
    Column("name_sha256", String(64), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("decisions", JSON(none_as_null=True), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("parameters_sha256", String(64), nullable=False),
    Column("minted_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
    Column("used_at", _TIME),
    Column("decision", String(40)),
    Column("revoked_at", _TIME),
    Unique("name_sha256"),
    Index(None, "task_id"),
)
