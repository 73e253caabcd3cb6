"""What lies beside the events: checkpoints in the order in which they were signed, confirmations, stamps, the queue.

Each of these knows of another: a confirmation of its checkpoint, a sink of the last that went there, a number of the
one before it. What is taken away with all that knows of it is found by those who have it elsewhere, and by nobody here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from rfc3161_client import decode_timestamp_response as decode
from sqlalchemy import func, select, text

from case_store.audit.checkpoints import NoteRefused, VerifierKey, witnessed
from case_store.models import (
    AuditCheckpoint,
    AuditCosignature,
    AuditEvent,
    AuditLeaf,
    AuditPending,
    AuditSink,
    AuditTimestamp,
    AuditTree,
)

if TYPE_CHECKING:
    from case_store.store import Tx

_CHUNK: Final = 1_000
_GIVEN_OUT: Final = text("SELECT seq FROM sqlite_sequence WHERE name = :table")

Kind = Literal["altered", "missing", "rolled back", "forked"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was written; `kind` is a word of the verifier's."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


async def faults(tx: Tx, keys: Sequence[VerifierKey]) -> AsyncIterator[Fault]:
    """Yield what is wrong with what lies beside the events; `keys` are those that the log has signed with."""
    for found in (_in_order(tx, keys), _all_there(tx), _confirmations(tx), _stamps(tx), _queue(tx)):
        async for fault in found:
            yield fault


async def _in_order(tx: Tx, keys: Sequence[VerifierKey]) -> AsyncIterator[Fault]:
    """A tree never becomes smaller, and each checkpoint bears the time that is kept with it."""
    wanted = select(AuditCheckpoint.id, AuditCheckpoint.size, AuditCheckpoint.at, AuditCheckpoint.note)
    before = 0
    async for row in await tx.session.stream(wanted.order_by(AuditCheckpoint.id).execution_options(yield_per=_CHUNK)):
        if row.size < before:
            yield Fault("altered", f"checkpoint {row.id} speaks of {row.size} events, and one before it of {before}")
        before = max(before, row.size)
        if int(row.at.timestamp()) not in _times(row.note, keys):
            yield Fault("altered", f"checkpoint {row.id} is kept as of {row.at}, and was signed at another time")


def _times(note: str, keys: Sequence[VerifierKey]) -> set[int]:
    """Return the times that a key of the log has signed a checkpoint with."""
    found = set[int]()
    for key in keys:
        try:
            found.add(witnessed(note, key.as_witness()))
        except NoteRefused:
            continue
    return found


async def _all_there(tx: Tx) -> AsyncIterator[Fault]:
    """Every checkpoint is there of which something else knows; on SQLite also every number that was given out."""
    ids = select(func.count(), func.max(AuditCheckpoint.id)).select_from(AuditCheckpoint)
    count, last = (await tx.session.execute(ids)).one()
    if tx.session.get_bind().dialect.name == "sqlite":
        given = await tx.session.scalar(_GIVEN_OUT, {"table": AuditCheckpoint.__tablename__}) or 0
        if count != given:
            yield Fault("missing", f"{given} checkpoints were signed, and {count} are there")
    delivered = AuditSink.size.is_not(None)  # before, the cursor of a new sink is no number of a checkpoint
    sent = select(AuditSink.name, AuditSink.cursor).where(AuditSink.name.startswith("checkpoints/"), delivered)
    for name, cursor in await tx.session.execute(sent.where(AuditSink.cursor > (last or 0)).order_by(AuditSink.name)):
        yield Fault("missing", f"checkpoint {cursor} went to {name}, and is not here")
    size = await tx.session.scalar(select(AuditTree.size)) or 0
    gone = select(AuditSink.name, AuditSink.cursor).where(AuditSink.name.startswith("events/"), AuditSink.cursor > size)
    for name, cursor in await tx.session.execute(gone.order_by(AuditSink.name)):
        yield Fault("missing", f"{cursor} events went to {name}, and the tree has {size}")


async def _confirmations(tx: Tx) -> AsyncIterator[Fault]:
    """Every confirmation is of a checkpoint that is there, and signed by its witness."""
    joined = AuditCheckpoint.id == AuditCosignature.checkpoint_id
    wanted = select(AuditCosignature, AuditCheckpoint.note).outerjoin(AuditCheckpoint, joined)
    async for row, note in await tx.session.stream(wanted.execution_options(yield_per=_CHUNK)):
        name = row.witness.partition("+")[0]
        if not note:
            yield Fault("missing", f"{name} has confirmed checkpoint {row.checkpoint_id}, which is not here")
        elif (wrong := _unconfirmed(row, note)) is not None:
            yield Fault("altered", f"the confirmation of checkpoint {row.checkpoint_id} by {name}: {wrong}")


def _unconfirmed(row: AuditCosignature, note: str) -> str | None:
    try:
        at = witnessed(note + row.line, VerifierKey.parse(row.witness))
    except NoteRefused as error:
        return str(error)
    return None if at == int(row.at.timestamp()) else "it is kept as of another time"


async def _stamps(tx: Tx) -> AsyncIterator[Fault]:
    """Every time stamp is over the checkpoint that it is kept with."""
    joined = AuditCheckpoint.id == AuditTimestamp.checkpoint_id
    wanted = select(AuditTimestamp, AuditCheckpoint.note).outerjoin(AuditCheckpoint, joined)
    async for row, note in await tx.session.stream(wanted.execution_options(yield_per=_CHUNK)):
        if not note:
            yield Fault("missing", f"{row.authority} has stamped checkpoint {row.checkpoint_id}, which is not here")
        elif _stamped(row.response) != sha256(note.encode()).digest():
            yield Fault("altered", f"the stamp of checkpoint {row.checkpoint_id} is over something else")


def _stamped(response: bytes) -> bytes | None:
    try:
        return decode(response).tst_info.message_imprint.message
    except ValueError:
        return None


async def _queue(tx: Tx) -> AsyncIterator[Fault]:
    """Whoever waits for a place in the tree is an event, and has none."""
    placed = AuditLeaf.event_id == AuditPending.event_id
    wanted = select(AuditPending.event_id, AuditEvent.id, AuditLeaf.idx).outerjoin(AuditLeaf, placed)
    wanted = wanted.outerjoin(AuditEvent, AuditEvent.event_id == AuditPending.event_id)
    async for row in await tx.session.stream(wanted.execution_options(yield_per=_CHUNK)):
        if row.id is None:
            yield Fault("missing", f"event {row.event_id} waits for a place in the tree, and is gone")
        elif row.idx is not None:
            yield Fault("altered", f"event {row.event_id} waits for a place in the tree, and has {row.idx}")
