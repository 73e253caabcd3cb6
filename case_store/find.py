"""Find things on record by what people call them; what is not there is said, with what is."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import Select, bindparam, func, or_, select

from case_store import reader
from case_store.models import Alert, Audited, Case, Evidence, Person, Stage, Task
from case_store.refusals import NotFound
from case_store.store import Tx
from case_store.wording import case_label

Row = TypeVar("Row", bound=Audited)

_NUMBER = re.compile(r"(?:CASE-)?([0-9]{1,18})", re.IGNORECASE)


async def case(tx: Tx, ref: str | int, *, lock: bool = False) -> Case:
    """Find a case by number (12, "12", "CASE-12") or id.

    Whoever is going to change anything in a case locks the case first: so all changes of one case come one after
    another, in the same order of locks. What was read under that lock is not read again.
    """
    if (held := tx.held.get((Case, str(ref)))) is not None:
        return cast("Case", held)
    number = _NUMBER.fullmatch(str(ref))
    if number:
        found = await _one(tx, select(Case).where(Case.number == int(number[1])), lock=lock)
    else:
        found = await _called(tx, Case, str(ref), lock=lock)
    found = _seen(tx, found)
    if found is None:
        reads = reader.of(tx.session.sync_session)
        shown = select(func.max(Case.number)).where(Case.id.not_in(sorted(reads.hidden) if reads else ()))
        newest = await tx.session.scalar(shown)
        step = f"the newest is CASE-{newest}; see: casewright case list" if newest else "open one: casewright case open"
        raise NotFound(f"there is no case {ref}", next_step=step)
    if lock:
        tx.held[Case, found.id] = found
    return found


async def case_numbers(tx: Tx) -> list[int]:
    """Return the numbers of all cases, the oldest first."""
    return list(await tx.session.scalars(select(Case.number).order_by(Case.number)))


async def task(tx: Tx, task_id: str, *, lock: bool = False) -> Task:
    """Find a task by id; `lock` locks its case first and reads it anew."""
    if (held := tx.held.get((Task, task_id))) is not None:
        return cast("Task", held)
    if lock and not tx.held:
        await _lock_case_of(tx, task_id)
    found = _seen(tx, await _called(tx, Task, task_id, anew=lock))
    if found is None:
        raise NotFound(f"there is no task {task_id}", next_step="see: casewright task list")
    if lock and (Case, found.case_id) not in tx.held:
        return (await locked(tx, found))[1]
    if lock:
        tx.held[Task, found.id] = found
    return found


async def _lock_case_of(tx: Tx, task_id: str) -> None:
    """Lock the case that a task belongs to; an id is enough, the task itself is read under the lock."""
    of_task = select(Case).join(Task, Task.case_id == Case.id).where(Task.id == task_id)
    found = await _one(tx, of_task, lock=True)
    if found is not None:
        tx.held[Case, found.id] = found


async def task_of(tx: Tx, in_case: Case, key: str, *, lock: bool = False) -> Task:
    """Find a task of a case by its key in the SOP."""
    found = await _one(tx, select(Task).where(Task.case_id == in_case.id, Task.key == key))
    if found is None:
        keys = await tx.session.scalars(select(Task.key).where(Task.case_id == in_case.id).order_by(Task.position))
        step = f"it has {', '.join(keys)}"
        raise NotFound(f"{case_label(in_case)} has no task {key!r}", next_step=step)
    return (await locked(tx, found))[1] if lock else found


async def stage_of(tx: Tx, in_case: Case, key: str) -> Stage:
    """Find a stage of a case by its key in the SOP."""
    found = await _one(tx, select(Stage).where(Stage.case_id == in_case.id, Stage.key == key))
    if found is None:
        keys = await tx.session.scalars(select(Stage.key).where(Stage.case_id == in_case.id).order_by(Stage.position))
        raise NotFound(f"{case_label(in_case)} has no stage {key!r}", next_step=f"it has {', '.join(keys)}")
    return found


async def person(tx: Tx, ref: str) -> Person:
    """Find a person by handle, e-mail address or id."""
    by_mail = func.lower(Person.email) == ref.lower()
    wanted = select(Person).where(or_(Person.handle == ref, by_mail, Person.id == ref)).order_by(Person.handle != ref)
    found = await _one(tx, wanted.limit(1))
    if found is None:
        handles = (await tx.session.scalars(select(Person.handle).order_by(Person.handle).limit(20))).all()
        step = f"known are {', '.join(handles)}" if handles else "import some first: casewright people import FILE"
        raise NotFound(f"nobody is called {ref!r}", next_step=step)
    return found


async def people_with_role(tx: Tx, role: str) -> list[Person]:
    """Find the active people who have a role, by handle."""
    active = await tx.session.scalars(select(Person).where(Person.active).order_by(Person.handle))
    return [one for one in active if role in one.roles]


async def alert(tx: Tx, alert_id: str, *, lock: bool = False) -> Alert:
    """Find an alert by id."""
    found = _seen(tx, await _one(tx, select(Alert).where(Alert.id == alert_id), lock=lock))
    if found is None:
        raise NotFound(f"there is no alert {alert_id}", next_step="see: casewright alert list")
    return found


async def alert_of(tx: Tx, source: str, source_ref: str, *, lock: bool = False) -> Alert | None:
    """Find an alert by what its source calls it; None when it has not come in."""
    return await _one(tx, select(Alert).where(Alert.source == source, Alert.source_ref == source_ref), lock=lock)


async def evidence(tx: Tx, evidence_id: str) -> Evidence:
    """Find a piece of evidence by id."""
    found = _seen(tx, await _one(tx, select(Evidence).where(Evidence.id == evidence_id)))
    if found is None:
        raise NotFound(
            f"there is no evidence {evidence_id}",
            next_step="the evidence of a case is in: casewright case show NUMBER",
        )
    return found


async def locked(tx: Tx, row: Row) -> tuple[Case, Row]:
    """Lock the case of a row, then read the row as it is now, whatever was read of it before and in whichever tx."""
    in_case = await case(tx, row.case_id, lock=True)  # type: ignore[attr-defined]
    if (held := tx.held.get((type(row), row.id))) is not None:
        return in_case, cast("Row", held)
    now = await _called(tx, type(row), row.id, anew=True)
    if now is None:
        raise NotFound(f"there is no {row.entity_type} {row.id}")
    tx.held[type(row), row.id] = now
    return in_case, now


def _seen(tx: Tx, found: Row | None) -> Row | None:
    """Return what was found, unless it belongs to a case that whoever reads may not see."""
    reads = reader.of(tx.session.sync_session)
    if found is None or reads is None:
        return found
    case_id = found.id if isinstance(found, Case) else getattr(found, "case_id", None)
    return found if reads.may_see(case_id) else None


async def _called(tx: Tx, kind: type[Row], row_id: str, *, lock: bool = False, anew: bool = False) -> Row | None:
    wanted = _by_id(kind, lock=lock, anew=anew)  # type: ignore[arg-type] # mypy takes the hash of rows for their class's
    found: Row | None = await tx.session.scalar(wanted, {"row_id": row_id})
    return found


@cache  # making a statement takes as long as executing it, and these are part of every change
def _by_id(kind: type[Audited], *, lock: bool, anew: bool) -> Select[Any]:
    return _read(select(kind).where(kind.id == bindparam("row_id")), lock=lock, anew=anew)


async def _one(tx: Tx, wanted: Select[Row], *, lock: bool = False, anew: bool = False) -> Row | None:
    found: Row | None = await tx.session.scalar(_read(wanted, lock=lock, anew=anew))
    return found


def _read(wanted: Select[Row], *, lock: bool, anew: bool) -> Select[Row]:
    if lock:
        # FOR NO KEY UPDATE: a row elsewhere that refers to this one may be written meanwhile.
        wanted = wanted.with_for_update(key_share=True, of=wanted.column_descriptions[0]["entity"])
    if lock or anew:
        wanted = wanted.execution_options(populate_existing=True)
    return wanted.execution_options(**{reader.WHATEVER_IS_HIDDEN: True})
