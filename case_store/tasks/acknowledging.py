"""Somebody says that they take care of a task: its ladder stops, and its due time stays."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import OutboxEntry, Person, Task
from case_store.refusals import NotYours
from case_store.store import Tx
from case_store.tasks.guards import to_decide
from case_store.wording import task_label


async def acknowledge(tx: Tx, task: Task, person: Person, *, via: str, by: Actor, at: datetime) -> bool:
    """Record that somebody takes care of a task; False when somebody has said so before.

    Nothing is decided by it and the task keeps its owner. Handing the task over makes it unacknowledged again.

    Args:
        tx: The transaction.
        task: The task, which waits for a person.
        person: Who takes care: its owner, one who has its role, a deputy of the owner, or anybody who was told of it.
        via: The channel: "cli", "sms", "email" and so on.
        by: Who carries it out.
        at: Now.

    Raises:
        AlreadyDecided: It is closed.
        NotAllowedNow: It waits for nobody.
        NotYours: The person is none of those.
        PersonInactive: The person no longer works on cases.
    """
    case, task = await to_decide(tx, task, person)
    if task.acknowledged_at is not None:
        return False
    if not await _may(tx, task, person):
        raise NotYours(
            f"{task_label(case, task)} is none of which {person.handle} was told",
            next_step="its owner may acknowledge it, or whoever takes it over: casewright task reassign",
        )
    task.acknowledged_at, task.acknowledged_by_id, task.acknowledged_via = at, person.id, via
    task.rung_at = None
    tx.record("task.acknowledged", task, by=by, at=at, facts={"who": personal(person, person.handle), "via": via})
    await tx.flush()
    return True


def forget(task: Task) -> None:
    """Make a task unacknowledged again, as one that is handed over or asked anew; the caller records the change."""
    task.acknowledged_at = task.acknowledged_by_id = task.acknowledged_via = None


async def _may(tx: Tx, task: Task, person: Person) -> bool:
    if task.owner_id == person.id or (task.owner_id is None and task.owner_role in person.roles):
        return True
    owner = await tx.session.get(Person, task.owner_id) if task.owner_id else None
    if owner is not None and owner.deputy_id == person.id:
        return True
    told = select(OutboxEntry.id).where(OutboxEntry.task_id == task.id, OutboxEntry.recipient_id == person.id)
    return await tx.session.scalar(told.limit(1)) is not None
