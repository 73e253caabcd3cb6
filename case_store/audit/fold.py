"""The state of things as their audit events tell it, and how the tables differ from that.

An event has the before and after of each column that it changed, so the events of a row, in their order, make the row.
Whatever somebody changes around the events shows as a difference. A personal value is compared with its disclosure;
what was erased has an event that says what stands there now.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, inspect, or_, select

from case_store.audit import private
from case_store.audit.events import Json, canonical
from case_store.audit.ledger import stream_of
from case_store.models import Audited, AuditEvent, Base, Case

if TYPE_CHECKING:
    from case_store.store import Tx

_CHUNK: Final = 500
_NOT_TOLD: Final = frozenset({"id", "version"})


@dataclass(slots=True)
class Folded:
    """A row as its events make it. `whole` is False when its first event is not among those that were folded."""

    type: str
    id: str
    version: int = 0
    values: dict[str, Json] = field(default_factory=dict)
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A row, or a column of it, that is not what its events say; `cases` are those that it belongs to, by either."""

    type: str
    id: str
    column: str | None
    table: object
    events: object
    cases: frozenset[str] = frozenset()

    def __str__(self) -> str:
        what = f"{self.type} {self.id}"
        if self.column is None:
            return f"{what}: {self.table}, and by its events {self.events}"
        return f"{what}: {self.column} is {_short(self.table)}, and by its events {_short(self.events)}"

    def without_content(self) -> str:
        """Return it in words that show nothing of what the row says."""
        if self.column is None:
            return str(self)
        return f"{self.type} {self.id}: {self.column} is not what its events say"


def fold(bodies: Iterable[Mapping[str, Any]], onto: dict[str, Folded] | None = None) -> dict[str, Folded]:
    """Return the rows that these events make, by their ids; events that change nothing are left aside.

    Args:
        bodies: The bodies of the events, in their order.
        onto: What earlier events have made; it is changed.
    """
    rows: dict[str, Folded] = {} if onto is None else onto
    for body in bodies:
        entity = body["entity"]
        if entity is None or entity["version"] is None:
            continue
        row = rows.setdefault(entity["id"], Folded(entity["type"], entity["id"]))
        row.whole = row.whole or entity["version"] == 1
        row.version = entity["version"]
        row.values.update({name: after for name, (_, after) in body["changes"].items()})
    return rows


async def replay(
    tx: Tx, case: Case, *, until: datetime | None = None, seq: int | None = None
) -> tuple[int, dict[str, Folded]]:
    """Return a case as it was: the number of its last event by then, and its rows.

    Events are taken in their order, up to the first that is later than `until`: where a clock went back, one that tells
    an earlier time comes after it, and leaving single events out would show what never was.

    Args:
        tx: The transaction.
        case: The case.
        until: The moment; None for now.
        seq: The number of the last event to take; None for all.
    """
    of_case = AuditEvent.stream == stream_of(case)
    wanted = select(AuditEvent.body).where(of_case).order_by(AuditEvent.id)
    if until is not None:
        later = select(func.min(AuditEvent.id)).where(of_case, AuditEvent.ts > until).scalar_subquery()
        wanted = wanted.where(or_(later.is_(None), AuditEvent.id < later))
    if seq is not None:
        wanted = wanted.where(or_(AuditEvent.seq.is_(None), AuditEvent.seq <= seq)).limit(seq)
    bodies = await private.read(tx, (await tx.session.scalars(wanted)).all())
    last = bodies[-1].get("seq", len(bodies)) if bodies else 0  # events of schema version 1 have no number
    return last, fold(bodies)


async def differences(tx: Tx) -> AsyncIterator[Difference]:
    """Yield everything in which the audited tables differ from what the events say; in constant memory."""
    for mapper in sorted(Base.registry.mappers, key=lambda one: str(one.local_table)):
        if issubclass(mapper.class_, Audited):
            async for one in _of_table(tx, mapper.class_):
                yield one


async def _of_table(tx: Tx, kind: type[Audited]) -> AsyncIterator[Difference]:
    last = ""
    while rows := (await tx.session.scalars(select(kind).where(kind.id > last).order_by(kind.id).limit(_CHUNK))).all():
        told = await _told(tx, kind.entity_type, [row.id for row in rows])
        for row in rows:
            for one in compared(row, told.get(row.id)):
                yield one
        last = rows[-1].id
        tx.session.expunge_all()
    gone = select(AuditEvent.entity_id).where(
        AuditEvent.entity_type == kind.entity_type,
        AuditEvent.entity_version == 1,
        AuditEvent.entity_id.not_in(select(kind.id)),
    )
    for entity_id in await tx.session.scalars(gone):
        yield Difference(kind.entity_type, str(entity_id), None, "it is not in its table", "it exists")


async def _told(tx: Tx, entity_type: str, ids: Sequence[str]) -> dict[str, Folded]:
    wanted = select(AuditEvent.body).where(
        AuditEvent.entity_type == entity_type, AuditEvent.entity_id.in_(ids), AuditEvent.entity_version.is_not(None)
    )
    by_row: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for body in await private.read(tx, (await tx.session.scalars(wanted)).all(), gone=None):
        by_row[body["entity"]["id"]].append(body)
    ordered = (body for bodies in by_row.values() for body in sorted(bodies, key=lambda one: one["entity"]["version"]))
    return fold(ordered)


def compared(row: Audited, told: Folded | None) -> Iterable[Difference]:
    """Yield in what a row differs from what its events make; None: they make none."""
    cases = frozenset(_cases_of(row, told))
    if told is None:
        yield Difference(row.entity_type, row.id, None, "it is in its table", "it does not exist", cases)
        return
    if row.version != told.version:
        yield Difference(row.entity_type, row.id, "version", row.version, told.version, cases)
    for name in inspect(type(row)).column_attrs.keys():  # noqa: SIM118 -- not a mapping: iterating gives the attributes
        value = canonical(getattr(row, name), name)
        if name not in _NOT_TOLD and value != told.values.get(name):
            yield Difference(row.entity_type, row.id, name, value, told.values.get(name), cases)


def _cases_of(row: Audited, told: Folded | None) -> Iterable[str]:
    if isinstance(row, Case):
        return (row.id,)
    by_events = told.values.get("case_id") if told else None
    return (str(one) for one in (getattr(row, "case_id", None), by_events) if one)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004 - a line on a screen
