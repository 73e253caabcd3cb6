"""Gives every event its place in the tree over all events, and signs how far the tree has grown.

An event is in its stream at once and in the tree a moment later: the tree needs one order for everybody, and nobody
who changes a case should wait for it. Any number of sequencers may run; the one at work locks the row of the tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, exists, insert, select

from case_store.audit import log_keys, nodes
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
    """What one step did: how many events came into the tree, its size after it, and the signed checkpoint.

    `waited` is how long the oldest of the events was not sealed (the merge delay), as far as one can say: see `status`.
    """

    events: int
    size: int
    note: str
    waited: timedelta


async def seal(store: CaseStore, signer: Signer, at: datetime) -> Sealed | None:
    """Take the events that wait, at most `BATCH`, into the tree and sign a checkpoint.

    Returns:
        None when nothing waits and the newest checkpoint is young, or when somebody else is doing it.

    Raises:
        NotTheLogsKey: The signer's key is not the log's.
    """
    if not await _is_due(store, signer, at):
        return None
    async with store.transaction() as tx:
        locked = select(AuditTree).with_for_update(skip_locked=True).execution_options(populate_existing=True)
        tree = await tx.session.scalar(locked)
        if tree is None:
            return None
        await log_keys.require_or_begin(tx, signer, at)
        before = await _newest(tx)
        waiting = await _waiting(tx)
        peaks = Peaks.parse(tree.size, tree.peaks).grown([one.leaf for one in waiting])
        await _place(tx, tree.size, waiting)
        tree.size, tree.peaks = peaks.size, peaks.content()
        await nodes.keep(tx, peaks.size)
        note = signer.sign_at(Checkpoint(signer.name, peaks.size, peaks.root()).text(), int(at.timestamp()))
        await tx.session.execute(insert(AuditCheckpoint).values(size=peaks.size, at=at, note=note))
        oldest = min((one.ts for one in waiting), default=None)
        return Sealed(len(waiting), peaks.size, note, waited(at, oldest, len(waiting), before))


def waited(at: datetime, oldest: datetime | None, count: int, newest: datetime | None) -> timedelta:
    """Return how long the oldest of some events was not sealed, as far as one can say.

    An event's own time may be long past: that of a run's state is when the engine entered it. But what was there when
    the newest checkpoint was signed is in the tree, unless there was more than one step takes.

    Args:
        at: Now.
        oldest: The earliest time that one of the events bears; None if there is none.
        count: How many events there are.
        newest: When the newest checkpoint was signed, None if there is none.
    """
    if oldest is None:
        return timedelta()
    since = max(oldest, newest) if newest is not None and newest <= at and count < BATCH else oldest
    return max(at - since, timedelta())


async def _is_due(store: CaseStore, signer: Signer, at: datetime) -> bool:
    async with store.reading() as tx:
        await log_keys.require(tx, signer)
        if await tx.session.scalar(select(exists().select_from(AuditPending))):
            return True
        newest = await _newest(tx)
        # A clock that was ahead and went back must not put off the next one until it is there again.
        recent = newest is not None and timedelta() <= at - newest < HEARTBEAT
        return not recent or not await nodes.are_kept(tx)


async def _newest(tx: Tx) -> datetime | None:
    return await tx.session.scalar(select(AuditCheckpoint.at).order_by(AuditCheckpoint.id.desc()).limit(1))


class _Waiting(NamedTuple):
    event_id: str
    leaf: bytes
    ts: datetime


async def _waiting(tx: Tx) -> list[_Waiting]:
    wanted = (
        select(AuditEvent.event_id, AuditEvent.leaf, AuditEvent.body, AuditEvent.ts)
        .join(AuditPending, AuditPending.event_id == AuditEvent.event_id)
        .order_by(AuditEvent.id)
        .limit(BATCH)
    )
    rows = await tx.session.execute(wanted)
    return [_Waiting(row.event_id, row.leaf or leaf_hash(row.body.encode()), row.ts) for row in rows]


async def _place(tx: Tx, start: int, waiting: Sequence[_Waiting]) -> None:
    if not waiting:
        return
    leaves = [{"idx": start + place, "event_id": one.event_id, "leaf": one.leaf} for place, one in enumerate(waiting)]
    connection = await tx.session.connection()
    await connection.execute(insert(_LEAVES), leaves)
    placed = select(_LEAVES.c.event_id).where(_LEAVES.c.idx >= start)
    await connection.execute(delete(_PENDING).where(_PENDING.c.event_id.in_(placed)))
