"""Writes events, each at the end of its stream, and queues them for the tree.

The row of a stream is locked until the transaction ends, so its numbers have no gap, and events of one stream get their
ids in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from case_store.audit import private
from case_store.audit.events import COLUMNS, Event, Place
from case_store.audit.merkle import leaf_hash
from case_store.audit.prepared import Prepared
from case_store.models import AuditEvent, AuditStream, Base

_EVENTS = Base.metadata.tables[AuditEvent.__tablename__]
_STREAMS = Base.metadata.tables[AuditStream.__tablename__]

# Made once: they are part of every change, and making a statement takes longer than executing it.
_INSERT: Final = Prepared(_EVENTS, COLUMNS)
_HEAD: Final = select(_STREAMS).where(_STREAMS.c.stream == bindparam("stream")).with_for_update()

NOTHING = b""
"""The head of a stream that has no event yet."""

Heads = dict[str, tuple[int, bytes]]
"""Where streams stand: number and leaf hash of their last event."""


def append(connection: Connection, events: Sequence[Event], held: Heads) -> list[private.Row]:
    """Write events at the end of their streams, and return the disclosures of what is personal in them.

    Args:
        connection: The connection of the transaction.
        events: The events, in their order.
        held: The streams that this transaction has locked already; it is brought up to date.
    """
    if missing := {event.stream for event in events} - held.keys():
        held |= _locked_heads(connection, missing)
    rows, disclosures = [], []
    for whole in events:
        event, disclosed = private.hide(whole)
        disclosures += disclosed
        seq, head = held[event.stream]
        row = event.row(Place(seq + 1, head or None))
        held[event.stream] = (seq + 1, row["leaf"])  # type: ignore[assignment]
        rows.append(row)
    _INSERT.execute(connection, rows)  # a trigger queues them for the tree and moves their streams on
    return disclosures


def _locked_heads(connection: Connection, streams: set[str]) -> Heads:
    """Lock the rows of these streams, in one order for everybody, and return where they stand."""
    heads = _heads(connection, streams)
    if missing := streams - heads.keys():
        _begin(connection, missing)
        heads |= _heads(connection, missing)
    return heads


def _heads(connection: Connection, streams: Iterable[str]) -> Heads:
    found = [row for one in sorted(streams) for row in connection.execute(_HEAD, {"stream": one})]
    return {stream: (seq, head) for stream, seq, head in found}


def _begin(connection: Connection, streams: Iterable[str]) -> None:
    """Make the rows of streams that have none; somebody else may be doing the same."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = [{"stream": stream, **_before_streams_had_rows(connection, stream)} for stream in sorted(streams)]
    connection.execute(dialect.insert(_STREAMS).on_conflict_do_nothing(), rows)


def _before_streams_had_rows(connection: Connection, stream: str) -> dict[str, object]:
    """Return where a stream stands by its events of schema version 1, which know no numbers."""
    of_stream = _EVENTS.c.stream == stream
    seq = connection.execute(select(func.count()).select_from(_EVENTS).where(of_stream)).scalar_one()
    last = select(_EVENTS.c.body).where(of_stream).order_by(_EVENTS.c.id.desc()).limit(1)
    body = connection.execute(last).scalar()
    return {"seq": seq, "head": NOTHING if body is None else leaf_hash(body.encode())}
