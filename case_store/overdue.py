"""Tasks that people should have closed by now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from case_store import find, lifecycle
from case_store.actor import Actor
from case_store.models import Task
from case_store.store import Tx


async def overdue_due(tx: Tx, at: datetime, limit: int = 100) -> list[Task]:
    """Return tasks that wait for a person, are past their due time and not yet marked, the latest first."""
    wanted = (
        select(Task)
        .where(Task.state.in_(lifecycle.ASKS_A_PERSON), Task.due_at <= at, Task.overdue_at.is_(None))
        .order_by(Task.due_at, Task.id)
        .limit(limit)
    )
    return list(await tx.session.scalars(wanted))


async def mark_overdue(tx: Tx, task: Task, *, by: Actor, at: datetime) -> bool:
    """Mark a task as overdue; False when it was closed, put off or marked meanwhile."""
    _, task = await find.locked(tx, task)
    waits = task.state in lifecycle.ASKS_A_PERSON and task.overdue_at is None
    if not waits or task.due_at is None or task.due_at > at:
        return False
    task.overdue_at = at
    tx.record("task.overdue", task, by=by, at=at)
    await tx.flush()
    return True
