"""Gives every event its place in the tree over all events, and signs how far the tree has grown.

An event is in its stream at once and in the tree a moment later: the tree needs one order for everybody, and nobody
who changes a case should wait for it. Any number of sequencers may run; the one at work locks the row of the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, exists, insert, select

from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.merkle import Peaks, leaf_hash
from case_store.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditTree, Base

if TYPE_CHECKING:
    from case_store.store import CaseStore, Tx

_LEAVES: Final = Base.metadata.tables[AuditLeaf.__tablename__]
_PENDING: Final = Base.metadata.tables[AuditPending.__tablename__]

BATCH: Final = 5_000
HEARTBEAT: Final = timedelta(seconds=60)
"""How old the newest checkpoint gets: an idle log is told from a stopped one by it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one step did: how many events came into the tree, its size after it, and the signed checkpoint."""

    events: int
    size: int
    note: str


async def seal(store: CaseStore, signer: Signer, at: datetime) -> Sealed | None:
    """Take the events that wait, at most `BATCH`, into the tree and sign a checkpoint.

    Returns:
        None when nothing waits and the newest checkpoint is young, or when somebody else is doing it.
    """
    if not await _is_due(store, at):
        return None
    async with store.transaction() as tx:
        locked = select(AuditTree).with_for_update(skip_locked=True).execution_options(populate_existing=True)
        tree = await tx.session.scalar(locked)
        if tree is None:
            return None
        waiting = await _waiting(tx)
        peaks = Peaks.parse(tree.size, tree.peaks).grown([leaf for _, leaf in waiting])
        await _place(tx, tree.size, waiting)
        tree.size, tree.peaks = peaks.size, peaks.content()
        note = signer.sign_at(Checkpoint(signer.name, peaks.size, peaks.root()).text(), int(at.timestamp()))
        await tx.session.execute(insert(AuditCheckpoint).values(size=peaks.size, at=at, note=note))
        return Sealed(len(waiting), peaks.size, note)


async def _is_due(store: CaseStore, at: datetime) -> bool:
    async with store.reading() as tx:
        if await tx.session.scalar(select(exists().select_from(AuditPending))):
            return True
        newest = await tx.session.scalar(select(AuditCheckpoint.at).order_by(AuditCheckpoint.id.desc()).limit(1))
        return newest is None or newest <= at - HEARTBEAT


async def _waiting(tx: Tx) -> list[tuple[str, bytes]]:
    wanted = (
        select(AuditEvent.event_id, AuditEvent.leaf, AuditEvent.body)
        .join(AuditPending, AuditPending.event_id == AuditEvent.event_id)
        .order_by(AuditEvent.id)
        .limit(BATCH)
    )
    rows = await tx.session.execute(wanted)
    return [(row.event_id, row.leaf or leaf_hash(row.body.encode())) for row in rows]


async def _place(tx: Tx, start: int, waiting: Sequence[tuple[str, bytes]]) -> None:
    if not waiting:
        return
    leaves = [
        {"idx": start + place, "event_id": event_id, "leaf": leaf} for place, (event_id, leaf) in enumerate(waiting)
    ]
    connection = await tx.session.connection()
    await connection.execute(insert(_LEAVES), leaves)
    placed = select(_LEAVES.c.event_id).where(_LEAVES.c.idx >= start)
    await connection.execute(delete(_PENDING).where(_PENDING.c.event_id.in_(placed)))
