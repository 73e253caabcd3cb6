"""The columns and the table of the ninth migration; a copy of the models of that day."""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.types import TypeEngine

_metadata = MetaData(
    naming_convention={
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_TIME = DateTime(timezone=True)
_CLOCK: tuple[tuple[str, TypeEngine[object]], ...] = (("clock_at", _TIME), ("spent_us", BigInteger()))
_PAUSE: tuple[tuple[str, TypeEngine[object]], ...] = (("paused_at", _TIME), ("pause_reason", Text()))

ADDED: tuple[tuple[str, str, TypeEngine[object]], ...] = (
    *(("stages", *column) for column in (("overdue_at", _TIME), *_CLOCK)),
    *(("cases", *column) for column in (("due_at", _TIME), ("overdue_at", _TIME), *_CLOCK, *_PAUSE)),
    *(("tasks", *column) for column in (*_CLOCK, *_PAUSE, ("acknowledged_at", _TIME))),
    ("tasks", "acknowledged_by_id", String(36)),
    ("tasks", "acknowledged_via", String(40)),
    *(("tasks", *column) for column in (("ladder_at", _TIME), ("rungs", Integer()), ("rung_at", _TIME))),
    *(("people", *column) for column in (("away_from", _TIME), ("away_until", _TIME))),
    ("people", "deputy_id", String(36)),
)
"""Table, column and type, in the order of the models."""


def _reference(column: str, table: str, **options: bool) -> Column[str]:
    to = ForeignKey(f"{table}.id", deferrable=True, initially="DEFERRED")
    return Column(column, String(36), to, **options)  # type: ignore[arg-type]


for _table in ("cases", "people"):
    Table(_table, _metadata, Column("id", String(36), primary_key=True))

DEADLINES = Table(
    "deadlines",
    _metadata,
    Column("id", String(36), primary_key=True),
    Column("version", BigInteger, nullable=False),
    _reference("case_id", "cases", nullable=False),
    Column("name", String(200), nullable=False),
    Column("position", Integer, nullable=False),
    Column("from_at", _TIME, nullable=False),
    Column("due_at", _TIME, nullable=False),
    Column("next_at", _TIME),
    Column("warned_at", _TIME),
    Column("missed_at", _TIME),
    Column("met_at", _TIME),
    _reference("met_by_id", "people"),
    Column("how", Text),
    Unique("case_id", "name"),
    Index("ix_deadlines_next", "next_at"),
)
