"""Promises of messages: rows in the outbox, written with the change they speak of and sent after it.

A promise is made once: its key names case, task, reason, occasion, recipient and channel. The context holds the facts
that the templates ask for, but for `link`: whoever sends knows where the console is, and adds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store import absence, contacts, find
from case_store.models import Case, JsonMap, OutboxEntry, Person, Stage, Task
from case_store.outbox.falling_over import recipient_of
from case_store.outbox.policy import USEFUL_FOR
from case_store.overdue import mark_overdue, overdue_due
from case_store.store import Tx

__all__ = ["assigned", "mark_overdue", "needs_attention", "overdue", "overdue_due"]

URGENT: Final = frozenset({"high", "critical"})

_WENT_WRONG: Final = {"failed": "its action failed", "unknown_outcome": "nobody knows whether its action worked"}


@dataclass(frozen=True, slots=True)
class _Notice:
    """What a message is about; `occasion` tells two messages about the same task for the same reason apart."""

    template: str
    reason: str
    occasion: int


def hides_content(case: Case) -> bool:  # noqa: ARG001 -- nothing marks a case as restricted so far
    """Tell whether messages about a case may say no more than where to look. Asked when they are sent."""
    return False


async def assigned(tx: Tx, task: Task, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people that a task waits for them; returns the number of new messages."""
    return await _promise(tx, task, recipients, _Notice("assigned", "assigned", task.version), at)


async def needs_attention(tx: Tx, task: Task, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people, once an attempt, that an action failed or that its outcome is unknown."""
    return await _promise(tx, task, recipients, _Notice("assigned", "needs_attention", task.attempt), at)


async def overdue(tx: Tx, task: Task, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people, once, that a task is past its due time."""
    return await _promise(tx, task, recipients, _Notice("overdue", "overdue", task.attempt), at)


async def _promise(tx: Tx, task: Task, recipients: Sequence[Person], notice: _Notice, at: datetime) -> int:
    case = await find.case(tx, task.case_id)
    context = await facts(tx, case, task)
    entries = {
        entry.dedup_key: entry
        for person in await absence.standing_in(tx, recipients, at)
        for channel in _channels(case, person)
        for entry in [_entry(case, task, person, channel, notice, context, at)]
    }
    new = entries.keys() - await _promised(tx, entries)
    tx.session.add_all(entries[key] for key in sorted(new))
    await tx.flush()
    return len(new)


def _channels(case: Case, person: Person) -> Iterator[str]:
    if contacts.reaches("email", person):
        yield "email"
    if contacts.reaches("sms", person) and (case.severity in URGENT or not contacts.reaches("email", person)):
        yield "sms"


def _entry(
    case: Case, task: Task, person: Person, channel: str, notice: _Notice, context: JsonMap, at: datetime
) -> OutboxEntry:
    return OutboxEntry(
        dedup_key=f"{case.id}:{task.id}:{notice.reason}:{notice.occasion}:{person.id}:{channel}",
        case_id=case.id,
        task_id=task.id,
        channel=channel,
        recipient_id=person.id,
        template=notice.template,
        context={**context, "recipient": recipient_of(person)},
        next_at=at,
        not_after=at + USEFUL_FOR[channel],
    )


async def facts(tx: Tx, case: Case, task: Task) -> JsonMap:
    """Return the facts about a task that templates ask for, but for recipient and link."""
    stage = await tx.session.get(Stage, task.stage_id)
    problem = _WENT_WRONG.get(task.state)
    about: JsonMap = {
        "title": f"{task.title} ({problem})" if problem else task.title,
        "stage": stage.title if stage else "",
    }
    if task.owner_id is None and task.owner_role:
        about["role"] = task.owner_role
    return {
        "case": {"number": case.number, "title": case.title, "severity": case.severity},
        "task": about,
        "due": task.due_at.isoformat() if task.due_at else None,
    }


async def _promised(tx: Tx, keys: Iterable[str]) -> set[str]:
    # Two transactions cannot both miss a key here: the verbs that promise hold the lock of the case.
    return set(await tx.session.scalars(select(OutboxEntry.dedup_key).where(OutboxEntry.dedup_key.in_(keys))))
