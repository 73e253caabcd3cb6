"""Alerts that a service keeps open are closed when nobody has to be called any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select

from case_store import lifecycle
from case_store.actor import Actor
from case_store.models import Case, OutboxEntry, Person, Task
from case_store.outbox.needless import ABOUT_WAITING
from case_store.outbox.telling import let_go, record
from case_store.store import Tx

AGAIN: Final = timedelta(minutes=1)
_AT_ONCE: Final = 20


async def to_close(tx: Tx, channel: str, at: datetime) -> list[tuple[OutboxEntry, Person, Case | None]]:
    """Return messages that a provider took about tasks that are decided, or that somebody takes care of now."""
    over = or_(Task.state.not_in(lifecycle.ASKS_A_PERSON), Task.acknowledged_at.is_not(None))
    wanted = (
        select(OutboxEntry, Person, Case)
        .join(Task, Task.id == OutboxEntry.task_id)
        .join(Person, Person.id == OutboxEntry.recipient_id)
        .join(Case, Case.id == OutboxEntry.case_id)
        .where(OutboxEntry.channel == channel, OutboxEntry.state == "sent", OutboxEntry.next_at <= at, over)
        .where(OutboxEntry.template.in_(ABOUT_WAITING), OutboxEntry.not_after > at)
        .order_by(OutboxEntry.next_at, OutboxEntry.id)
        .limit(_AT_ONCE)
    )
    return [(entry, person, case) for entry, person, case in await tx.session.execute(wanted)]


async def closed(tx: Tx, entry: OutboxEntry, done: bool, *, by: Actor, at: datetime) -> None:
    """Note that the provider has closed the alert of a message; `done` is False when it is to be told again."""
    wanted = select(OutboxEntry).where(OutboxEntry.id == entry.id, OutboxEntry.state == "sent").with_for_update()
    held = await tx.session.scalar(wanted.execution_options(populate_existing=True))
    if held is None:
        return
    if not done:
        held.next_at = at + AGAIN
        return
    let_go(held, "delivered", None)
    held.receipt = "resolved"
    record(tx, held, by=by, at=at, status="resolved", code=None)
    await tx.flush()
