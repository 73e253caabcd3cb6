"""Deadlines that a law or a contract sets: when they begin, when somebody is warned, and how they end.

A deadline begins when its case is opened. Where its SOP names a field of a form as the beginning, it moves there once
that is answered: so it runs from the first moment, and never too late. All hours count, and no pause stops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

from sqlalchemy import select

from case_store import find, sops, texts
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import Case, Deadline, Person, Task
from case_store.refusals import DeadlineRefused, NotFound
from case_store.store import Tx
from case_store.wording import case_label
from sop.model import Deadline as Planned
from sop.model import Sop


def begin_all(tx: Tx, case: Case, sop: Sop, *, by: Actor, at: datetime) -> None:
    """Begin all deadlines of a case that is being opened."""
    for position, planned in enumerate(sop.deadlines, 1):
        due_at = at + planned.after
        row = Deadline(
            case_id=case.id,
            name=planned.name,
            position=position,
            from_at=at,
            due_at=due_at,
            next_at=due_at - planned.lead,
        )
        tx.session.add(row)
        tx.record("deadline.begun", row, by=by, at=at)


async def meet(
    tx: Tx, case: Case, name: str, how: str, *, person: Person, when: datetime | None = None, by: Actor, at: datetime
) -> Deadline:
    """Record that what a deadline demands was done.

    Args:
        tx: The transaction.
        case: The case.
        name: The deadline's name.
        how: In a sentence, with the reference of the other side.
        person: Who did it.
        when: When it was done; None for now. Never later than now.
        by: Who says so.
        at: Now.

    Raises:
        DeadlineRefused: It is met already, or would be in the future.
        NotFound: The case has no such deadline.
        TextRequired: It is not said how.
    """
    case = await find.case(tx, case.id, lock=True)
    row, words = await of_case(tx, case, name), texts.words(how, "how it was met")
    if row.met_at is not None:
        raise DeadlineRefused(f"{row.name} of {case_label(case)} was met at {row.met_at:%Y-%m-%d %H:%M} UTC")
    if when is not None and when > at:
        raise DeadlineRefused(f"{when:%Y-%m-%d %H:%M} UTC has not come yet", next_step="say when it was done")
    await _met(tx, row, when or at, person, words, by=by, at=at)
    return row


async def move(tx: Tx, case: Case, name: str, start: datetime, *, by: Actor, at: datetime) -> Deadline:
    """Let a deadline count from another moment: we became aware earlier, or later, than was thought.

    Raises:
        DeadlineRefused: It is met already, or would begin in the future.
        NotFound: The case has no such deadline.
    """
    case = await find.case(tx, case.id, lock=True)
    row = await of_case(tx, case, name)
    if row.met_at is not None or start > at:
        why = "is met already" if row.met_at is not None else "would begin in the future"
        raise DeadlineRefused(f"{row.name} of {case_label(case)} {why}")
    sop = (await sops.pinned(tx, case)).sop
    await _moved(tx, row, next(one for one in sop.deadlines if one.name == row.name), start, by=by, at=at)
    return row


async def after_task(
    tx: Tx, case: Case, task: Task, values: Mapping[str, object], *, person: Person, by: Actor, at: datetime
) -> None:
    """Move deadlines to the moment that a task's form says, and record those as met that the task meets.

    Args:
        tx: The transaction.
        case: The case, locked.
        task: The task that is done.
        values: The answers to its form.
        person: Who signed it.
        by: Who carried it out.
        at: Now.
    """
    sop = (await sops.pinned(tx, case)).sop
    for planned in sop.deadlines:
        key, _, field = planned.from_.partition(".")
        start = moment(values.get(field)) if key == task.key and field else None
        if start is None and planned.met_by != task.key:
            continue
        row = await of_case(tx, case, planned.name)
        if row.met_at is None and start is not None and start <= at:
            await _moved(tx, row, planned, start, by=by, at=at)
        if row.met_at is None and planned.met_by == task.key:
            await _met(tx, row, at, person, None, by=by, at=at)


async def not_needed(tx: Tx, case: Case, task: Task, *, by: Actor, at: datetime) -> None:
    """Record that a deadline demands nothing, because the task that would meet it does not apply in this case."""
    for planned in (await sops.pinned(tx, case)).sop.deadlines:
        if planned.met_by != task.key:
            continue
        row = await of_case(tx, case, planned.name)
        if row.met_at is None:
            row.met_at, row.next_at = at, None
            tx.record("deadline.not_needed", row, by=by, at=at, facts={"task": task.key})
            await tx.flush()


async def of_case(tx: Tx, case: Case, name: str) -> Deadline:
    """Find a deadline of a case by its name, in capitals or not.

    Raises:
        NotFound: The case has none of that name.
    """
    rows = await all_of(tx, case)
    found = next((row for row in rows if row.name.casefold() == name.strip().casefold()), None)
    if found is None:
        step = f"it has {', '.join(row.name for row in rows)}" if rows else "its SOP names none"
        raise NotFound(f"{case_label(case)} has no deadline {name[:80]!r}", next_step=step)
    return found


async def all_of(tx: Tx, case: Case) -> list[Deadline]:
    """Return the deadlines of a case, in the order of its SOP."""
    wanted = select(Deadline).where(Deadline.case_id == case.id).order_by(Deadline.position)
    return list(await tx.session.scalars(wanted.execution_options(populate_existing=True)))


async def due(tx: Tx, at: datetime, limit: int = 100) -> list[Deadline]:
    """Return the deadlines of which somebody has to hear, the longest waiting first."""
    wanted = select(Deadline).where(Deadline.next_at <= at).order_by(Deadline.next_at, Deadline.id)
    return list(await tx.session.scalars(wanted.limit(limit)))


async def pass_by(tx: Tx, row: Deadline, *, by: Actor, at: datetime) -> str | None:
    """Record that a deadline comes near ("warned"), or is over ("missed"); None when nothing has changed.

    After an outage only what is true now is told. A case that has ended goes on being watched: the law does not know
    that we closed it.
    """
    _, row = await find.locked(tx, row)
    if row.next_at is None or row.next_at > at:
        return None
    if row.due_at <= at:
        row.missed_at, row.next_at = at, None
        tx.record("deadline.missed", row, by=by, at=at)
    else:
        row.warned_at, row.next_at = at, row.due_at
        tx.record("deadline.warned", row, by=by, at=at)
    await tx.flush()
    return "missed" if row.missed_at else "warned"


def moment(answer: object) -> datetime | None:
    """Read the answer to a question for a date or a time; a date begins at midnight UTC."""
    if not isinstance(answer, str):
        return None
    try:
        if len(answer) == len("2026-01-01"):
            return datetime.combine(date.fromisoformat(answer), time(), UTC)
        read = datetime.fromisoformat(answer)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


async def _moved(tx: Tx, row: Deadline, planned: Planned, start: datetime, *, by: Actor, at: datetime) -> None:
    if row.from_at == start:
        return
    row.from_at, row.due_at = start, start + planned.after
    row.warned_at = row.missed_at = None
    row.next_at = row.due_at - planned.lead
    tx.record("deadline.moved", row, by=by, at=at)
    await tx.flush()


async def _met(
    tx: Tx, row: Deadline, when: datetime, person: Person, how: str | None, *, by: Actor, at: datetime
) -> None:
    row.met_at, row.met_by_id, row.how, row.next_at = when, person.id, how, None
    facts = {"late": when > row.due_at, "who": personal(person, person.handle)}
    tx.record("deadline.met", row, by=by, at=at, facts=facts)
    await tx.flush()
