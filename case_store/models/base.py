"""What all tables share: column types, naming of constraints, the audited row."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, declared_attr, mapped_column
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault
from sqlalchemy.types import TypeDecorator

from case_store.errors import UntimedChange
from case_store.ids import new_id

# A map as `json.loads` gives it; what is in it depends on the SOP, the action or the alert.
JsonMap = dict[str, Any]

ID_LENGTH = 36
JsonColumn = JSON(none_as_null=True)


PERSONAL = {"personal": "row"}
"""Marks a column whose values say something about somebody; the erasure of the row takes them away."""
PERSONAL_HANDLE = {"personal": "handle"}
"""Marks a column that holds somebody's handle; the erasure of that person takes it away."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, to the microsecond, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time into UTC; refuse a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise UntimedChange(f"{value.isoformat()} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give back an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The root of all tables.

    A new object has all its columns at once, defaults and None included, not only after the flush: the audit event is
    written before the row and must tell them.
    """

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    def __init__(self, **values: object) -> None:
        mapper = type(self).__mapper__
        for name in values:
            if name not in mapper.columns:
                raise TypeError(f"{type(self).__name__} has no column {name!r}")
        for name, column in mapper.columns.items():
            if column is not mapper.version_id_col:  # that one is the unit of work's
                setattr(self, name, values[name] if name in values else _default(column))

    def __repr__(self) -> str:
        key = ", ".join(repr(getattr(self, str(column.key))) for column in type(self).__mapper__.primary_key)
        return f"{type(self).__name__}({key})"


def _default(column: Column[Any]) -> object:
    default = column.default
    if isinstance(default, CallableColumnDefault):
        return default.arg(None)  # type: ignore[arg-type]
    return default.arg if isinstance(default, ScalarElementColumnDefault) else None


class Audited:
    """A row that changes only together with its audit event.

    `version` counts the changes: the first event of a row carries version 1, and the database refuses a row whose
    version has no event.
    """

    entity_type: ClassVar[str]

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=new_id, sort_order=-2)
    version: Mapped[int] = mapped_column(BigInteger, sort_order=-1)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}


class WrittenOnce:
    """A row that is written once and never changed; it needs no event of its own."""


def reference(target: str, *, primary_key: bool = False, index: bool = False, cycle: bool = False) -> MappedColumn[Any]:
    """Return a column that refers to a row of another table by its id.

    The database checks it at the commit, not at the statement. So the unit of work may insert rows in any order, and
    two tables may refer to each other (`cycle` marks the side whose constraint is added last).
    """
    constraint = ForeignKey(f"{target}.id", deferrable=True, initially="DEFERRED", use_alter=cycle)
    return mapped_column(String(ID_LENGTH), constraint, primary_key=primary_key, index=index)


def one_of(column: str, values: tuple[str, ...]) -> str:
    """Return the SQL condition that a text column holds one of these values."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"
