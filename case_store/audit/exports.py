"""How events leave: a selection of them, in one of the formats, in constant memory.

That somebody exports is on record before the first byte leaves. This event is the last of the export, whatever the
selection: so the end of a whole export says what it is, of what, and who made it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from sqlalchemy import Row, Select, or_, select, text

from case_store.actor import Actor
from case_store.audit import private
from case_store.audit.events import rfc3339
from case_store.audit.formats import FORMATS, Format, Names, Record
from case_store.audit.ledger import stream_of
from case_store.audit.names import KnownNames
from case_store.errors import NoSuchExport
from case_store.ids import new_id
from case_store.models import AuditEvent, AuditLeaf, Case

if TYPE_CHECKING:
    from case_store.store import CaseStore, Tx

CHUNK: Final = 500
"""Events in memory during an export."""

# On PostgreSQL ids are given out before the commit. This waits until all who have one are done, so that an export has
# no gaps; those who come later wait until the export is on record, not until it is written.
# The function takes the lock with the rights of the owner: an application that may not change events may not lock them.
_NO_ONE_IN_BETWEEN = text("SELECT casewright_hold_events()")


class TextSink(Protocol):
    """Where an export goes: an open file, or anything that takes text."""

    def write(self, text: str, /) -> object:
        """Take the next piece."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events: those of a case, from a time on, before a time, of an actor. What is None does not matter."""

    case: Case | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor: Actor | None = None
    without: frozenset[str] = frozenset()
    """Streams that whoever exports may not see."""
    without_rows: frozenset[str] = frozenset()
    """Ids of rows whose events they may not see either."""

    def facts(self) -> dict[str, object]:
        """Return the selection as events and interrupted exports keep it."""
        told: dict[str, object] = {"scope": "all"} if self.case is None else {"scope": "case", "case": self.case.number}
        told |= {name: rfc3339(at) for name in ("since", "until") if (at := getattr(self, name)) is not None}
        told |= {"left_out": len(self.without)} if self.without else {}
        return told | ({"actor": str(self.actor)} if self.actor else {})

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return a query of `audit_events` for these events alone."""
        if self.case is not None:
            query = query.where(AuditEvent.stream == stream_of(self.case))
        if self.since is not None:
            query = query.where(AuditEvent.ts >= self.since)
        if self.until is not None:
            query = query.where(AuditEvent.ts < self.until)
        if self.actor is not None:
            query = query.where(AuditEvent.actor_kind == self.actor.kind, AuditEvent.actor_id == self.actor.id)
        if self.without:
            query = query.where(AuditEvent.stream.not_in(sorted(self.without)))
        if self.without_rows:
            others = or_(AuditEvent.entity_id.is_(None), AuditEvent.entity_id.not_in(sorted(self.without_rows)))
            query = query.where(others)
        return query


ALL: Final = Selection()
_BARE: Final = "jsonl"
"""The format that is the record itself: it needs neither names nor places in the tree, and shows no values."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An export that is on record: the id of its event, and where that stands in the trail."""

    event_id: str
    last: int


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote; `event_id` is the event that tells of the export, the last of it."""

    events: int
    event_id: str


async def export(
    store: CaseStore,
    out: TextSink,
    case: Case | None = None,
    *,
    selection: Selection = ALL,
    form: Format = FORMATS["jsonl"],
    personal: bool = True,
    by: Actor,
    at: datetime,
    request_id: str | None = None,
) -> Exported:
    """Write events to `out`, oldest first, from one consistent state; writers do not wait.

    Args:
        store: The case store.
        out: Takes the text, line by line.
        case: Only this case; the same as a selection of it.
        selection: Which events.
        form: The format; without one JSON Lines, one canonical body a line.
        personal: Show the personal values that are disclosed; JSON Lines only ever have the commitments.
        by: Who exports.
        at: Now.
        request_id: The request that the event names.
    """
    wanted = Selection(case=case) if case is not None else selection
    facts = told_of(form, personal=personal)
    begun = await begin(store, wanted, form.name, by=by, at=at, request_id=request_id, facts=facts)
    count = 0
    if head := form.begin():
        out.write(head)
    async with aclosing(lines(store, wanted, form, begun, personal=personal)) as found:
        async for _, line in found:
            if line:
                out.write(line)
                count += 1
    if foot := form.end():
        out.write(foot)
    return Exported(count, begun.event_id)


def told_of(form: Format, *, personal: bool) -> dict[str, object]:
    """Return what an export's event says of personal values; nothing for JSON Lines, which never show any."""
    return {} if form.name == _BARE else {"personal": personal}


async def begin(
    store: CaseStore,
    selection: Selection,
    form: str,
    *,
    by: Actor,
    at: datetime,
    request_id: str | None = None,
    facts: Mapping[str, object] | Callable[[Tx], Awaitable[Mapping[str, object]]] = MappingProxyType({}),
) -> Begun:
    """Put on record that somebody exports these events in this form, with what else there is to say about it.

    In the stream of each restricted case that is in it, too: before the event of the export, which is its last. What
    `facts` finds out when it is a function is so at the event: nobody else writes events meanwhile.
    """
    event_id = new_id()
    async with store.transaction(request_id) as tx:
        if store.url.drivername.startswith("postgresql"):
            await tx.session.execute(_NO_ONE_IN_BETWEEN)
        for case_id in await _restricted(tx, selection):
            tx.record("case.read", None, by=by, at=at, case=case_id, facts={"export": event_id})
        more = await facts(tx) if callable(facts) else facts
        told = {**selection.facts(), "format": form, **more}
        tx.record("audit.exported", None, by=by, at=at, case=selection.case, facts=told, event_id=event_id)
        await tx.flush()
        last = (await tx.session.scalars(_place(event_id))).one()
    return Begun(event_id, last)


async def _restricted(tx: Tx, selection: Selection) -> Sequence[str]:
    """Return the ids of the restricted cases that are in a selection; that of one case has its event there anyway."""
    if selection.case is not None:
        return []
    ids = (await tx.session.scalars(select(Case.id).where(Case.restricted_to.is_not(None)))).all()
    of_stream = {stream_of(None, case_id): case_id for case_id in ids}
    if not of_stream:
        return []
    wanted = selection.narrow(select(AuditEvent.stream)).where(AuditEvent.stream.in_(of_stream)).distinct()
    return sorted(of_stream[stream] for stream in await tx.session.scalars(wanted))


async def resume(
    store: CaseStore, begun: Begun, selection: Selection, *, by: Actor, at: datetime, request_id: str | None = None
) -> None:
    """Put on record that somebody goes on with an export that was interrupted. This is not a part of that export.

    Raises:
        NoSuchExport: This database has no such export on record.
    """
    async with store.transaction(request_id) as tx:
        if await tx.session.scalar(_place(begun.event_id)) != begun.last:
            raise NoSuchExport(f"the export {begun.event_id} is not on record here")
        facts = {"export": begun.event_id}
        tx.record("audit.export_resumed", None, by=by, at=at, case=selection.case, facts=facts)


async def lines(
    store: CaseStore, selection: Selection, form: Format, begun: Begun, *, after: int = 0, personal: bool = True
) -> AsyncGenerator[tuple[int, str]]:
    """Yield the place of each event in the trail and its line, line end included; empty where the format has none.

    Events are never changed, and no event comes in before the one of the export: so `after`, the place of the last
    event that is already written, goes on exactly there, also days later. Whoever breaks off closes it (`aclosing`).
    """
    bare = form.name == _BARE
    before = selection.narrow(_columns(bare=bare)).where(AuditEvent.id > after, AuditEvent.id < begun.last)
    itself = _columns(bare=bare).where(AuditEvent.id > after, AuditEvent.id == begun.last)
    async with store.reading() as tx:
        names = KnownNames()
        for query in (before, itself):
            async for rows in await _chunks(tx, query):
                known = Names() if bare else await names.of(tx, map(_of, rows))
                shown = personal and not bare
                bodies = await private.read(tx, [row.body for row in rows], gone=None) if shown else repeat(None)
                for row, body in zip(rows, bodies, strict=False):
                    line = form.line(Record.of(row.body, row.leaf, None if bare else row.idx, known, body))
                    yield row.id, line and line + form.line_end


def _of(row: Row[Any]) -> tuple[str, Actor]:
    return row.stream, Actor(row.actor_kind, row.actor_id)


def _place(event_id: str) -> Select[int]:
    return select(AuditEvent.id).where(AuditEvent.event_id == event_id)


def _columns(*, bare: bool) -> Select[Any]:
    if bare:
        return cast("Select[Any]", select(AuditEvent.id, AuditEvent.body, AuditEvent.leaf))
    who = (AuditEvent.stream, AuditEvent.actor_kind, AuditEvent.actor_id)
    told = select(AuditEvent.id, AuditEvent.body, AuditEvent.leaf, *who, AuditLeaf.idx)
    return cast("Select[Any]", told.outerjoin(AuditLeaf, AuditLeaf.event_id == AuditEvent.event_id))


async def _chunks(tx: Tx, query: Select[Any]) -> AsyncIterator[Sequence[Row[Any]]]:
    in_order = query.order_by(AuditEvent.id).execution_options(yield_per=CHUNK)
    chunks: AsyncIterator[Sequence[Row[Any]]] = (await tx.session.stream(in_order)).partitions()
    return chunks
