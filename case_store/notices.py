"""Promises of messages: rows in the outbox, written with the change they speak of and sent after it.

A promise is made once: its key names case, task, reason, occasion, recipient and channel. The context holds the facts
that the templates ask for, but for `link`: whoever sends knows where the console is, and adds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import absence, contacts, find, sops
from case_store.models import Case, Deadline, JsonMap, OutboxEntry, Person, Stage, Task
from case_store.outbox.policy import USEFUL_FOR
from case_store.overdue import mark_overdue, overdue_due
from case_store.store import Tx
from sop.durations import format_duration
from sop.ladder import ladder

__all__ = [
    "Rung",
    "assigned",
    "deadline",
    "escalated",
    "mark_overdue",
    "needs_attention",
    "overdue",
    "overdue_due",
    "warning",
]

URGENT: Final = frozenset({"high", "critical"})
_OTHERWISE: Final = timedelta(hours=12)

_WENT_WRONG: Final = {"failed": "its action failed", "unknown_outcome": "nobody knows whether its action worked"}


@dataclass(frozen=True, slots=True)
class _Notice:
    """What a message is about; `occasion` tells two messages about the same task for the same reason apart."""

    template: str
    reason: str
    occasion: int
    more: JsonMap = field(default_factory=dict)
    via: str | None = None


def hides_content(case: Case) -> bool:
    """Tell whether messages about a case may say no more than where to look. Asked when they are sent."""
    return case.restricted_to is not None


async def assigned(tx: Tx, task: Task, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people that a task waits for them; returns the number of new messages."""
    return await _promise(tx, task, recipients, _Notice("assigned", "assigned", task.version), at)


async def needs_attention(tx: Tx, task: Task, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people, once an attempt, that an action failed or that its outcome is unknown."""
    return await _promise(tx, task, recipients, _Notice("assigned", "needs_attention", task.attempt), at)


async def overdue(tx: Tx, task: Task, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people, once, that a task is past its due time; of one with a ladder its rungs tell."""
    sop = (await sops.pinned(tx, await find.case(tx, task.case_id))).sop
    if ladder(sop, sop.task(task.key)):
        return 0
    return await _promise(tx, task, recipients, _Notice("overdue", "overdue", task.attempt), at)


@dataclass(frozen=True, slots=True)
class Rung:
    """What the people of a rung hear: its number, when it comes, by which channel, and the rungs nobody climbed."""

    number: int
    after: timedelta
    via: str | None = None
    missed: tuple[int, ...] = ()


async def warning(tx: Tx, task: Task, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people, once for each due time, that a task will be late soon."""
    return await _promise(tx, task, recipients, _Notice("warning", "warning", _of(task.due_at)), at)


async def escalated(tx: Tx, task: Task, recipients: Sequence[Person], rung: Rung, at: datetime) -> int:
    """Promise to tell the people of a rung, once for each due time, that a task is late."""
    late_by = at - task.due_at if task.due_at else timedelta()
    more = {
        "rung": rung.number,
        "after": _minutes(rung.after),
        "late_by": _minutes(late_by),
        "missed": list(rung.missed),
    }
    occasion = _of(max(task.ladder_at, task.due_at) if task.ladder_at and task.due_at else task.due_at)
    notice = _Notice("escalated", f"rung-{rung.number}", occasion, more, rung.via)
    return await _promise(tx, task, recipients, notice, at)


async def deadline(tx: Tx, row: Deadline, recipients: Sequence[Person], at: datetime) -> int:
    """Promise to tell people that a deadline comes near, or was missed."""
    case = await find.case(tx, row.case_id)
    missed = row.missed_at is not None
    about: JsonMap = {
        **_about(case),
        "task": {"title": f"{row.name} ({'missed' if missed else 'not yet met'})", "stage": "Deadline"},
        "due": row.due_at.isoformat(),
    }
    template = "overdue" if missed else "warning"
    notice = _Notice(template, f"deadline-{row.position}-{template}", _of(row.due_at))
    return await _add(tx, case, None, recipients, notice, about, at)


def _of(moment: datetime | None) -> int:
    """Tell two due times of one task apart."""
    return int(moment.timestamp() * 1_000_000) if moment else 0


def _minutes(time: timedelta) -> str:
    return format_duration(time - time % timedelta(minutes=1)) if time >= timedelta(minutes=1) else "0m"


async def _promise(tx: Tx, task: Task, recipients: Sequence[Person], notice: _Notice, at: datetime) -> int:
    case = await find.case(tx, task.case_id)
    return await _add(tx, case, task, recipients, notice, await facts(tx, case, task), at)


async def _add(
    tx: Tx, case: Case, task: Task | None, recipients: Sequence[Person], notice: _Notice, context: JsonMap, at: datetime
) -> int:
    told = await absence.standing_in(tx, recipients, at)
    if not told:
        told, more = await _instead_of_nobody(tx, case, task)
        context = context | more
    # Of many, those whom nothing reaches are passed over; where nothing reaches anybody, each falls over.
    told = [person for person in told if contacts.channels_of(person)] or told
    if notice.via is not None and contacts.is_room(notice.via):
        told = told[:1]  # a room hears it once
    entries = {
        entry.dedup_key: entry
        for person in told
        for channel in _channels(case, person, notice.via)
        for entry in [_entry(case, task, person, channel, notice, context | notice.more, at)]
    }
    new = entries.keys() - await _promised(tx, entries)
    tx.session.add_all(entries[key] for key in sorted(new))
    await tx.flush()
    return len(new)


async def _instead_of_nobody(tx: Tx, case: Case, task: Task | None) -> tuple[list[Person], JsonMap]:
    """Return who is told what would be told to nobody, and what the message says of that.

    An owner who left is told all the same: the message then falls over to their deputy and managers, and that is on
    record. A role that nobody has, and a rung that reaches nobody, is for those in charge.
    """
    owner_id = task.owner_id if task else case.owner_id
    owner = await tx.session.get(Person, owner_id) if owner_id else None
    if owner is not None and not owner.active:
        return [owner], {}
    return await find.people_with_role(tx, tx.alarm_role), {"for_another": True}


def _channels(case: Case, person: Person, via: str | None) -> Iterator[str]:
    """Yield by which channels somebody is told: the one that is asked for, or as urgent as the case is.

    Whoever none reaches is told by one all the same: it is given up before it is tried, on record, and falls over.
    """
    if via is not None and (contacts.is_room(via) or contacts.reaches(via, person)):
        yield via
        return
    if not contacts.channels_of(person):
        yield next((one for one, address in contacts.ADDRESSES.items() if address(person)), "email")
        return
    if contacts.reaches("email", person):
        yield "email"
    if contacts.reaches("sms", person) and (case.severity in URGENT or not contacts.reaches("email", person)):
        yield "sms"


def _entry(
    case: Case, task: Task | None, person: Person, channel: str, notice: _Notice, context: JsonMap, at: datetime
) -> OutboxEntry:
    about = task.id if task else "case"
    return OutboxEntry(
        dedup_key=f"{case.id}:{about}:{notice.reason}:{notice.occasion}:{person.id}:{channel}",
        case_id=case.id,
        task_id=task.id if task else None,
        channel=channel,
        recipient_id=person.id,
        template=notice.template,
        context={**context, "recipient": contacts.recipient_of(person)},
        next_at=at,
        not_after=at + USEFUL_FOR.get(channel, _OTHERWISE),
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
    return {**_about(case), "task": about, "due": task.due_at.isoformat() if task.due_at else None}


def _about(case: Case) -> JsonMap:
    return {"case": {"number": case.number, "title": case.title, "severity": case.severity}}


async def _promised(tx: Tx, keys: Iterable[str]) -> set[str]:
    # Two transactions cannot both miss a key here: the verbs that promise hold the lock of the case.
    return set(await tx.session.scalars(select(OutboxEntry.dedup_key).where(OutboxEntry.dedup_key.in_(keys))))
