"""Listings: cases, tasks, alerts, people; each in one query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy import case as one_of
from sqlalchemy.orm import aliased

from case_store import lifecycle
from case_store.models import SEVERITIES, Alert, Case, Person, Task
from case_store.store import Tx

LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case in a listing; `owner` is a handle, or `role:ROLE` while nobody of that role has taken it."""

    id: str
    number: int
    title: str
    severity: str
    state: str
    sop_key: str
    owner: str | None
    opened_at: datetime
    closed_at: datetime | None
    open_tasks: int


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in a listing; `owner` is as in `CaseRow`."""

    id: str
    case_number: int
    case_title: str
    severity: str
    key: str
    title: str
    kind: str
    state: str
    owner: str | None
    due_at: datetime | None
    overdue: bool


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert in a listing; `case_number` is None while it has no case."""

    id: str
    source: str
    source_ref: str
    title: str
    severity: str
    occurred_at: datetime | None
    received_at: datetime
    repeats: int
    case_number: int | None


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person in a listing; `manager` is a handle."""

    id: str
    handle: str
    name: str
    email: str | None
    phone: str | None
    manager: str | None
    roles: tuple[str, ...]
    time_zone: str | None
    active: bool


async def cases(tx: Tx, *, state: str | None = None, limit: int = LIMIT) -> list[CaseRow]:
    """Return cases, the newest first; `state` None is every state."""
    found = await tx.session.execute(case_rows(state).limit(limit))
    return [case_row(*row) for row in found]


async def tasks(
    tx: Tx, *, owner: Person | None = None, state: str | None = "open", limit: int = LIMIT
) -> list[TaskRow]:
    """Return tasks, the most urgent first: by due time, then by severity.

    Args:
        tx: The transaction.
        owner: Only tasks of this person, or of a role they have that nobody has taken yet.
        state: "open" is whatever waits for a person, also after an action went wrong; any other state is just that;
            None is every state.
        limit: How many at most.
    """
    wanted = (
        select(Task, Case.number, Case.title, Case.severity, Person.handle)
        .join(Case, Case.id == Task.case_id)
        .outerjoin(Person, Person.id == Task.owner_id)
        .order_by(Task.due_at.is_(None), Task.due_at, _urgency().desc(), Case.number, Task.position)
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(Task.state.in_(lifecycle.ASKS_A_PERSON if state == "open" else [state]))
    if owner is not None:
        of_role = and_(Task.owner_id.is_(None), Task.owner_role.in_(owner.roles))
        wanted = wanted.where(or_(Task.owner_id == owner.id, of_role))
    return [
        TaskRow(
            id=task.id,
            case_number=number,
            case_title=title,
            severity=severity,
            key=task.key,
            title=task.title,
            kind=task.kind,
            state=task.state,
            owner=owner_name(handle, task.owner_role),
            due_at=task.due_at,
            overdue=task.overdue_at is not None,
        )
        for task, number, title, severity, handle in await tx.session.execute(wanted)
    ]


async def alerts(tx: Tx, *, limit: int = LIMIT) -> list[AlertRow]:
    """Return alerts, the newest first."""
    return await alert_rows(tx, select(Alert, Case.number).order_by(Alert.received_at.desc(), Alert.id).limit(limit))


async def people(tx: Tx) -> list[PersonRow]:
    """Return the people, by handle."""
    manager = aliased(Person)
    wanted = select(Person, manager.handle).outerjoin(manager, manager.id == Person.manager_id).order_by(Person.handle)
    return [
        PersonRow(
            id=person.id,
            handle=person.handle,
            name=person.name,
            email=person.email,
            phone=person.phone,
            manager=above,
            roles=tuple(person.roles),
            time_zone=person.time_zone,
            active=person.active,
        )
        for person, above in await tx.session.execute(wanted)
    ]


def case_rows(state: str | None = None) -> Select[Case, str | None, int]:
    """Select cases with the handle of their owner and the number of their tasks that wait for a person."""
    waiting = (
        select(func.count())
        .where(Task.case_id == Case.id, Task.state.in_(lifecycle.ASKS_A_PERSON))
        .correlate(Case)
        .scalar_subquery()
    )
    wanted = select(Case, Person.handle, waiting).outerjoin(Person, Person.id == Case.owner_id)
    if state is not None:
        wanted = wanted.where(Case.state == state)
    return wanted.order_by(Case.number.desc())


def case_row(case: Case, owner: str | None, waiting: int) -> CaseRow:
    """Make the row of a case out of what `case_rows` selects."""
    return CaseRow(
        id=case.id,
        number=case.number,
        title=case.title,
        severity=case.severity,
        state=case.state,
        sop_key=case.sop_key,
        owner=owner_name(owner, case.owner_role),
        opened_at=case.opened_at,
        closed_at=case.closed_at,
        open_tasks=waiting,
    )


async def alert_rows(tx: Tx, wanted: Select[Any, int | None]) -> list[AlertRow]:
    """Return the rows of alerts that a query selects together with the number of their case."""
    found = await tx.session.execute(wanted.outerjoin(Case, Case.id == Alert.case_id))
    return [
        AlertRow(
            id=alert.id,
            source=alert.source,
            source_ref=alert.source_ref,
            title=alert.title,
            severity=alert.severity,
            occurred_at=alert.occurred_at,
            received_at=alert.received_at,
            repeats=alert.repeats,
            case_number=number,
        )
        for alert, number in found
    ]


def owner_name(handle: str | None, role: str | None) -> str | None:
    """Name an owner the way SOPs do: a handle, or `role:ROLE` while nobody of that role has taken it."""
    return handle or (f"role:{role}" if role else None)


def _urgency() -> ColumnElement[int]:
    return one_of(*((Case.severity == severity, rank) for rank, severity in enumerate(SEVERITIES)), else_=0)
