"""Cheap signs that somebody went around the guards: numbers that must agree, counted by the database itself.

They find what was done without care. What was done with care the verifier finds, and checkpoints kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import Connection, Table, and_, func, or_, select, text

from case_store.models import (
    AuditCheckpoint,
    Audited,
    AuditEvent,
    AuditLeaf,
    AuditPending,
    AuditStream,
    AuditTree,
    Base,
)

_SHOWN: Final = 5


def tripped(connection: Connection) -> Iterator[str]:
    """Yield what does not agree, in words."""
    yield from _streams(connection)
    for mapper in sorted(Base.registry.mappers, key=lambda one: str(one.local_table)):
        if issubclass(mapper.class_, Audited):
            yield from _versions(connection, mapper.class_)
    yield from _tree(connection)
    yield from _numbers(connection)


def _streams(connection: Connection) -> Iterator[str]:
    """A stream stands at its last event: as many as it has, the highest number, and its hash."""
    ends = (
        select(AuditEvent.stream, func.count().label("events"), func.max(AuditEvent.seq).label("last"))
        .group_by(AuditEvent.stream)
        .subquery()
    )
    stands = AuditStream.seq
    wrong = select(ends.c.stream).outerjoin(AuditStream, AuditStream.stream == ends.c.stream)
    wrong = wrong.where(
        or_(stands.is_(None) & ends.c.last.is_not(None), stands != ends.c.events, stands != ends.c.last)
    )
    for stream in _some(connection.execute(wrong.order_by(ends.c.stream)).scalars()):
        yield f"the stream {stream} does not stand at its last event: events were taken away or put in"
    last = and_(AuditEvent.stream == AuditStream.stream, AuditEvent.seq == AuditStream.seq)
    wrong = select(AuditStream.stream).outerjoin(AuditEvent, last)
    wrong = wrong.where(AuditStream.stream.in_(select(AuditEvent.stream).where(AuditEvent.seq.is_not(None))))
    wrong = wrong.where(or_(AuditEvent.leaf.is_(None), AuditEvent.leaf != AuditStream.head))
    for stream in _some(connection.execute(wrong.order_by(AuditStream.stream)).scalars()):
        yield f"the stream {stream} does not end in the hash of its last event"
    gone = select(AuditStream.stream).where(AuditStream.seq > 0, AuditStream.stream.not_in(select(AuditEvent.stream)))
    for stream in _some(connection.execute(gone.order_by(AuditStream.stream)).scalars()):
        yield f"the stream {stream} has lost all its events"


def _versions(connection: Connection, kind: type[Audited]) -> Iterator[str]:
    """A row has changed as often as its events say."""
    told = select(func.count()).where(
        AuditEvent.entity_id == kind.id,
        AuditEvent.entity_type == kind.entity_type,
        AuditEvent.entity_version.is_not(None),
    )
    wrong = select(kind.id).where(kind.version != told.scalar_subquery()).order_by(kind.id)
    for row in _some(connection.execute(wrong).scalars()):
        yield f"the {kind.entity_type} {row} has another version than it has events"


def _tree(connection: Connection) -> Iterator[str]:
    events, leaves, waiting = (
        connection.scalar(select(func.count()).select_from(model)) for model in (AuditEvent, AuditLeaf, AuditPending)
    )
    if events != (leaves or 0) + (waiting or 0):
        yield f"of {events} events {leaves} are in the tree and {waiting} wait: events were taken away or put in"
    size = connection.scalar(select(AuditTree.size))
    if size != leaves:
        yield f"the tree says that it has {size} leaves, and there are {leaves}"
    signed = connection.scalar(select(AuditCheckpoint.size).order_by(AuditCheckpoint.id.desc()).limit(1))
    if signed is not None and signed != size:
        yield f"the newest checkpoint speaks of {signed} events, the tree has {size}"


def _numbers(connection: Connection) -> Iterator[str]:
    """A number that was given out and is higher than the last row's: on SQLite only a deleted row leaves one."""
    for name in (AuditEvent.__tablename__, AuditCheckpoint.__tablename__):
        table = Base.metadata.tables[name]
        last = connection.scalar(select(func.max(table.c.id))) or 0
        given = _given_out(connection, table)
        if given is None:
            continue
        if given < last:
            yield f"{table.name} has the number {last}, and only {given} were given out: rows were put in by hand"
        elif given > last and connection.dialect.name == "sqlite":
            yield f"{table.name} ends at number {last}, and {given} were given out: the last rows were taken away"


def _given_out(connection: Connection, table: Table) -> int | None:
    """Return the last number that the database gave out; None before the first, or where it may not be read."""
    statement = _OF_SQLITE if connection.dialect.name == "sqlite" else _OF_POSTGRESQL
    found: int | None = connection.execute(text(statement), {"name": table.name}).scalar()
    return found


def _some(names: Iterable[object]) -> Iterator[str]:
    """Yield the first few names; whoever sees five looks at all of them."""
    for _, name in zip(range(_SHOWN), names, strict=False):
        yield str(name)


_OF_SQLITE: Final = "SELECT seq FROM sqlite_sequence WHERE name = :name"
_OF_POSTGRESQL: Final = """
    SELECT s.last_value FROM pg_sequences s
    WHERE s.schemaname = current_schema()
        AND quote_ident(s.schemaname) || '.' || quote_ident(s.sequencename) = pg_get_serial_sequence(:name, 'id')
"""
