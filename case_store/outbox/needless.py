"""Messages that say nothing any more: the task is decided, or somebody else has it now."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, or_, select

from case_store import lifecycle
from case_store.actor import Actor
from case_store.models import OutboxEntry, Task
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

ABOUT_WAITING: Final = ("assigned", "warning", "overdue", "escalated")
"""Templates that ask for a task to be decided."""
_TO_ITS_OWNER: Final = ("assigned", "warning", "overdue")

DECIDED: Final = "the task waits for nobody any more"
HANDED_OVER: Final = "the task is somebody else's now"


def _decided() -> ColumnElement[bool]:
    return and_(OutboxEntry.template.in_(ABOUT_WAITING), Task.state.not_in(lifecycle.ASKS_A_PERSON))


def _handed_over() -> ColumnElement[bool]:
    """Select messages to somebody who is not the owner, unless they are told in the owner's place."""
    return and_(
        OutboxEntry.template.in_(_TO_ITS_OWNER),
        Task.owner_id.is_not(None),
        Task.owner_id != OutboxEntry.recipient_id,
        OutboxEntry.instead_of.is_(None),
    )


async def cancel_needless(tx: Tx, *, by: Actor, at: datetime, limit: int = 100) -> int:
    """Take back messages about tasks that were decided or handed over meanwhile; returns how many.

    A sender does this before it claims, in the same transaction, so that nobody is told what is no longer so.
    """
    unsent = or_(OutboxEntry.state == "pending", and_(OutboxEntry.state == "leased", OutboxEntry.lease_until <= at))
    wanted = (
        select(OutboxEntry, _decided().label("decided"))
        .join(Task, Task.id == OutboxEntry.task_id)
        .where(unsent, or_(_decided(), _handed_over()))
        .order_by(OutboxEntry.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=OutboxEntry)
        .execution_options(populate_existing=True)
    )
    found = (await tx.session.execute(wanted)).all()
    for entry, decided in found:
        let_go(entry, "cancelled", DECIDED if decided else HANDED_OVER)
        record(tx, entry, by=by, at=at)
    await tx.flush()
    return len(found)


async def is_needless(tx: Tx, entry: OutboxEntry) -> bool:
    """Tell whether a message asks for what is decided, or asks somebody whose task it no longer is."""
    wanted = (
        select(OutboxEntry.id)
        .join(Task, Task.id == OutboxEntry.task_id)
        .where(OutboxEntry.id == entry.id, or_(_decided(), _handed_over()))
    )
    return await tx.session.scalar(wanted) is not None
