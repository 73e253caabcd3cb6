"""Who is told that a task is late, and when: the ladder of its SOP, climbed one rung after the other.

Everything is computed from the tables. `rung_at` of a task says when its next step comes and `rungs` how many are
behind it; both change in the transaction that promises the message, under the lock of the case. So a step is taken once
whoever takes it, and one that nobody took during an outage is taken after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store import clocks, find, lifecycle, notices
from case_store.actor import Actor
from case_store.clocks import Times
from case_store.errors import StoreError
from case_store.models import Case, Person, Task
from case_store.notices import Rung
from case_store.store import Tx
from case_store.tasks.ownership import recipients
from sop.ladder import Step
from sop.owners import parse_owner

_STATES: Final = sorted(lifecycle.ASKS_A_PERSON)


@dataclass(frozen=True, slots=True)
class Climbed:
    """A step that was taken: its number (0: the warning), the rungs before it that nobody took, and who is told."""

    number: int
    missed: tuple[int, ...]
    told: tuple[Person, ...]


class OnCallAsked(StoreError):
    """A rung wants to know who is on call."""

    next_step = "find out who is, outside of the transaction, and pass on_call="


async def due(tx: Tx, at: datetime, limit: int = 200) -> list[str]:
    """Return the ids of tasks with a step of their ladder that has come, the one that waits longest first."""
    wanted = select(Task.id).where(Task.state.in_(_STATES), Task.rung_at <= at).order_by(Task.rung_at, Task.id)
    return list(await tx.session.scalars(wanted.limit(limit)))


async def climb(
    tx: Tx, task: Task, *, on_call: Sequence[Person] | None = None, by: Actor, at: datetime
) -> Climbed | None:
    """Take the step of the ladder that has come; None when none has.

    Of several that have come, after an outage, only the last is taken: the people of that rung get one message, which
    names the rungs before it.

    Args:
        tx: The transaction.
        task: The task.
        on_call: Who is on call now; None when nobody has found out.
        by: Who looks.
        at: Now.

    Raises:
        OnCallAsked: The rung is for those on call, and nobody has found out who that is.
    """
    case, task = await find.locked(tx, task)
    if task.state not in lifecycle.ASKS_A_PERSON or task.rung_at is None or task.rung_at > at:
        return None
    every = clocks.steps(task, await Times.of(tx, case))
    come = [step for step in every[task.rungs or 0 :] if step.at <= at]
    if not come:  # its times have changed under it
        clocks.wait_for_next(task, every)
        tx.record("task.rescheduled", task, by=by, at=at, facts={"why": "ladder"})
        await tx.flush()
        return None
    step = come[-1]
    if on_call is None and step.rung is not None and step.rung.to == "on-call":
        raise OnCallAsked
    task.rungs = every.index(step) + 1
    clocks.wait_for_next(task, every)
    missed = tuple(one.number for one in come[:-1] if one.rung is not None)
    return await _taken(tx, case, task, step, missed, on_call or (), by=by, at=at)


async def case_owners(tx: Tx, case: Case) -> list[Person]:
    """Return the owner of a case, or everybody with the role it belongs to; nobody who is not active."""
    owner = await tx.session.get(Person, case.owner_id) if case.owner_id else None
    if owner is not None:
        return [owner] if owner.active else []
    return await find.people_with_role(tx, case.owner_role) if case.owner_role else []


async def _taken(
    tx: Tx,
    case: Case,
    task: Task,
    step: Step,
    missed: tuple[int, ...],
    on_call: Sequence[Person],
    *,
    by: Actor,
    at: datetime,
) -> Climbed:
    to = step.rung.to if step.rung else "owner"
    people, substitute = await _reached(tx, case, task, to, on_call)
    told = [person.id for person in people]
    facts = {"rung": step.number, "to": to, "missed": list(missed), "told": told, "substitute": substitute}
    tx.record("task.escalated" if step.rung else "task.warned", task, by=by, at=at, facts=facts)
    await tx.flush()
    if step.rung is None:
        await notices.warning(tx, task, people, at)
    else:
        about = Rung(step.number, step.rung.after, step.rung.via, missed)
        await notices.escalated(tx, task, people, about, at)
    return Climbed(step.number, missed, tuple(people))


async def _reached(
    tx: Tx, case: Case, task: Task, to: str, on_call: Sequence[Person]
) -> tuple[list[Person], str | None]:
    """Return whom a rung reaches; when it reaches nobody, the owner of the case, and the name of that rule."""
    people = [person for person in await _people(tx, case, task, to, on_call) if person.active]
    if people or to == "case-owner":
        return people, None
    return [person for person in await _people(tx, case, task, "case-owner", on_call) if person.active], "case-owner"


async def _people(tx: Tx, case: Case, task: Task, to: str, on_call: Sequence[Person]) -> list[Person]:
    match to:
        case "owner":
            found = await recipients(tx, task)
        case "on-call":
            found = list(on_call)
        case "backup":
            found = await _backup(tx, task)
        case "owner.manager":
            managers = {person.manager_id for person in await recipients(tx, task) if person.manager_id}
            found = [person for one in sorted(managers) if (person := await tx.session.get(Person, one))]
        case "case-owner":
            found = await case_owners(tx, case)
        case _:
            found = await _named(tx, to)
    return found


async def _named(tx: Tx, to: str) -> list[Person]:
    rule = parse_owner(to)
    if rule.kind == "role":
        return await find.people_with_role(tx, str(rule.name))
    person = await tx.session.scalar(select(Person).where(Person.handle == rule.name))
    return [person] if person else []


async def _backup(tx: Tx, task: Task) -> list[Person]:
    """Return the deputy of the owner; where none is named, everybody else with the role that the task belongs to."""
    owner = await tx.session.get(Person, task.owner_id) if task.owner_id else None
    deputy = await tx.session.get(Person, owner.deputy_id) if owner and owner.deputy_id else None
    if deputy is not None:
        return [deputy]
    rule = parse_owner(task.owner_rule)
    role = task.owner_role or (rule.name if rule.kind == "role" else None)
    in_role = await find.people_with_role(tx, role) if role else []
    return [person for person in in_role if person.id != task.owner_id]
