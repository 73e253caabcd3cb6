"""Looks through the audit log as it lies in this database, and names everything that is not as it was written.

An export only has the bodies of events. Here the columns that searches use are compared with them, every stream and the
tree are made anew, and every checkpoint that was ever signed must fit; `keepsakes` has what lies beside.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Row, Select, select

from case_store.audit import keepsakes
from case_store.audit.checkpoints import Checkpoint, NoteRefused, VerifierKey, opened
from case_store.audit.events import rfc3339
from case_store.audit.keepsakes import Fault
from case_store.audit.merkle import Peaks, leaf_hash
from case_store.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditStream, AuditTree

if TYPE_CHECKING:
    from case_store.store import Tx

_CHUNK: Final = 1_000


async def faults(
    tx: Tx, keys: Sequence[VerifierKey], saved: Checkpoint | None = None, *, seen: Callable[[], object] = lambda: None
) -> AsyncIterator[Fault]:
    """Yield what is wrong with the log; reads all of it, in constant memory for each stream.

    Args:
        tx: The transaction.
        keys: The keys that the log has signed with.
        saved: A checkpoint that somebody kept elsewhere.
        seen: Is called for each event.
    """
    log = _Log()
    async for fault in _tree(tx, log, keys, saved, seen):
        yield fault
    async for event in _rows(tx, _unplaced()):
        seen()
        for fault in log.next(event):
            yield fault
        if event.pending is None:
            yield Fault("missing", f"event {event.event_id} has no place in the tree, and does not wait for one")
    async for fault in _streams(tx, log):
        yield fault
    async for fault in keepsakes.faults(tx, keys):
        yield fault


async def _streams(tx: Tx, log: _Log) -> AsyncIterator[Fault]:
    """Compare how far each stream has come with what is kept of it."""
    numbered = log.numbered.copy()
    async for stream, seq, head in _rows(tx, select(AuditStream.stream, AuditStream.seq, AuditStream.head)):
        numbered.discard(stream)
        if (found := log.heads.get(stream, (0, b""))) != (seq, head):
            yield Fault("missing", f"{stream} has had {seq} events, and {found[0]} are there, or others")
    for stream in sorted(numbered):
        yield Fault("missing", f"{stream} has {log.heads[stream][0]} events, and how far it came is not kept")


@dataclass(slots=True)
class _Log:
    """How far each stream has come, and which have events with numbers; those of schema version 1 are older."""

    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    numbered: set[str] = field(default_factory=set)

    def next(self, row: Row[*tuple[Any, ...]]) -> Iterator[Fault]:
        """Yield what is wrong with the next event of its stream."""
        seq, head = self.heads.get(row.stream, (0, b""))
        self.heads[row.stream] = (seq + 1, leaf_hash(row.body.encode()))
        name = f"event {row.event_id} ({row.type} in {row.stream})"
        try:
            body = json.loads(row.body)
            wrong = list(_wrong_columns(row, body))
            place = (body["seq"], body["prev"]) if body["schema_v"] != 1 else None
        except (ValueError, LookupError, TypeError):
            yield Fault("altered", f"{name} has a body that is none")
            return
        if wrong:
            yield Fault("altered", f"{name}: its columns {', '.join(wrong)} are not what its body says")
        if place and place != (seq + 1, head.hex() or None):
            yield Fault("missing", f"{name} is number {place[0]} by its body, and does not follow number {seq}")
        if place:
            self.numbered.add(row.stream)
        elif self.numbered:
            yield Fault("altered", f"{name} has no number, and one before it has: it was put in by hand")


def _wrong_columns(row: Row[*tuple[Any, ...]], body: Mapping[str, Any]) -> Iterator[str]:
    entity = body["entity"] or {"type": None, "id": None, "version": None}
    numbered = body["schema_v"] != 1
    wanted = {
        "event_id": body["event_id"],
        "stream": body["stream"],
        "ts": body["ts"],
        "type": body["type"],
        "entity_type": entity["type"],
        "entity_id": entity["id"],
        "entity_version": entity["version"],
        "actor_kind": body["actor"]["kind"],
        "actor_id": body["actor"]["id"],
        "request_id": body["request_id"],
        "schema_v": body["schema_v"],
        "seq": body["seq"] if numbered else None,
        "leaf": leaf_hash(row.body.encode()) if numbered else None,
    }
    found = {name: getattr(row, name) for name in wanted} | {"ts": rfc3339(row.ts)}
    yield from (name for name, value in wanted.items() if found[name] != value)


async def _tree(
    tx: Tx, log: _Log, keys: Sequence[VerifierKey], saved: Checkpoint | None, seen: Callable[[], object]
) -> AsyncIterator[Fault]:
    """Go over the events in the order of the tree, and compare each root that was signed."""
    peaks, checkpoints = Peaks(), _Checkpoints(tx, keys, saved)
    await checkpoints.begin()
    async for fault in checkpoints.at(peaks):
        yield fault
    async for row in _rows(tx, _placed()):
        seen()
        if row.idx != peaks.size:
            yield Fault("missing", f"the places {peaks.size} to {row.idx - 1} of the tree are empty")
            return
        if row.event_id is None:
            yield Fault("missing", f"the event at place {row.idx} of the tree, {row.placed_id}, is gone")
        else:
            for fault in log.next(row):
                yield fault
            if leaf_hash(row.body.encode()) != row.placed:
                yield Fault("altered", f"the event at place {row.idx} of the tree, {row.event_id}, is another one")
        peaks = peaks.grown([row.placed])
        async for fault in checkpoints.at(peaks):
            yield fault
    async for fault in checkpoints.rest(peaks.size):
        yield fault
    async for fault in _kept(tx, peaks):
        yield fault


async def _kept(tx: Tx, peaks: Peaks) -> AsyncIterator[Fault]:
    """Compare what is kept of the tree, and what was signed last: both happen in the transaction in which it grows."""
    newest = await tx.session.scalar(select(AuditCheckpoint.size).order_by(AuditCheckpoint.id.desc()).limit(1))
    if newest is None and peaks.size:
        yield Fault("missing", f"the tree has {peaks.size} events, and nothing is left that the log has signed")
    elif newest is not None and newest != peaks.size:
        yield Fault("missing", f"the tree has {peaks.size} events, and the newest checkpoint speaks of {newest}")
    tree = (await tx.session.execute(select(AuditTree.size, AuditTree.peaks))).one_or_none()
    if tree is None or tuple(tree) != (peaks.size, peaks.content()):
        yield Fault("altered", f"what is kept of the tree is not that of its {peaks.size} leaves")


class _Checkpoints:
    """The checkpoints in the order of their sizes, compared as the tree grows."""

    def __init__(self, tx: Tx, keys: Sequence[VerifierKey], saved: Checkpoint | None) -> None:
        self._notes = _rows(tx, select(AuditCheckpoint.size, AuditCheckpoint.note).order_by(AuditCheckpoint.size))
        self._keys, self._saved = keys, saved
        self._next: Row[*tuple[Any, ...]] | None = None

    async def begin(self) -> None:
        self._next = await anext(self._notes, None)

    async def at(self, peaks: Peaks) -> AsyncIterator[Fault]:
        """Compare what was signed, or saved, at the size that the tree has now."""
        while self._next is not None and self._next.size <= peaks.size:
            if (reason := self._refused(self._next, peaks)) is not None:
                yield Fault("altered", f"a checkpoint of {self._next.size} events {reason}")
            self._next = await anext(self._notes, None)
        if self._saved and self._saved.size == peaks.size and self._saved.root != peaks.root():
            yield Fault("forked", f"the first {peaks.size} events are not those of the saved checkpoint")

    async def rest(self, size: int) -> AsyncIterator[Fault]:
        """Say what was signed or saved of a greater tree than there is."""
        if self._next is not None:
            yield Fault("missing", f"the log has signed {self._next.size} events, and the tree has {size}")
        if self._saved and self._saved.size > size:
            yield Fault("rolled back", f"the log held {self._saved.size} events before, and {size} now")

    def _refused(self, row: Row[*tuple[Any, ...]], peaks: Peaks) -> str | None:
        try:
            text = next((text for key in self._keys if (text := _opened(row.note, key)) is not None), None)
            if text is None:
                return "is not signed by the key of the log"
            wanted = Checkpoint.parse(text)
        except NoteRefused as reason:
            return f"is none: {reason}"
        if (wanted.size, row.size) != (peaks.size, peaks.size) or wanted.root != peaks.root():
            return "names another tree than the one that is there"
        return None


def _opened(note: str, key: VerifierKey) -> str | None:
    try:
        return opened(note, key)
    except NoteRefused:
        return None


_EVENT: Final = tuple(column for column in AuditEvent.__table__.c if column.name != "id")


def _placed() -> Select[*tuple[Any, ...]]:
    placed = (AuditLeaf.idx, AuditLeaf.event_id.label("placed_id"), AuditLeaf.leaf.label("placed"))
    joined = AuditEvent.event_id == AuditLeaf.event_id
    return select(*placed, *_EVENT).select_from(AuditLeaf).outerjoin(AuditEvent, joined).order_by(AuditLeaf.idx)


def _unplaced() -> Select[*tuple[Any, ...]]:
    joined = AuditEvent.event_id == AuditLeaf.event_id
    waits = AuditPending.event_id == AuditEvent.event_id
    wanted = select(*_EVENT, AuditPending.event_id.label("pending"))
    events = wanted.select_from(AuditEvent).outerjoin(AuditLeaf, joined).outerjoin(AuditPending, waits)
    return events.where(AuditLeaf.event_id.is_(None)).order_by(AuditEvent.id)


async def _rows(tx: Tx, wanted: Select[*tuple[Any, ...]]) -> AsyncIterator[Row[*tuple[Any, ...]]]:
    async for row in await tx.session.stream(wanted.execution_options(yield_per=_CHUNK)):
        yield row
