"""What conditions and parameters of a case may name: its `case`, `alert`, `tasks` and `observables`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from sqlalchemy import select

from case_store import alerts, sops
from case_store.models import Alert, Case, Note, Observable, Person, Task
from case_store.store import Tx
from sop.vocabulary import ALERT_FIELDS, ROOTS, blank_tasks

_NO_ALERT: Final[dict[str, object]] = {**dict.fromkeys(sorted(ALERT_FIELDS)), "fields": {}}

Scope = dict[str, dict[str, object]]


async def of_case(tx: Tx, case: Case, roots: Collection[str] = ROOTS) -> Scope:
    """Return the values of a case, in the words of `sop.vocabulary`; only those of `roots` are read.

    What nobody answered is there and null. A task's own state, decision and note win over results that an action
    calls the same: no action can pretend to have been approved.
    """
    return {root: await read(tx, case) for root, read in _READ.items() if root in roots}


async def _case(tx: Tx, case: Case) -> dict[str, object]:
    owner = await tx.session.get(Person, case.owner_id) if case.owner_id else None
    return {
        "number": case.number,
        "title": case.title,
        "severity": case.severity,
        "state": case.state,
        "owner": owner.handle if owner else None,
        "opened_at": case.opened_at.isoformat(),
        "sop": case.sop_key,
        "sop_version": case.sop_version,
    }


async def _alert(tx: Tx, case: Case) -> dict[str, object]:
    first = select(Alert).where(Alert.case_id == case.id).order_by(Alert.received_at, Alert.id).limit(1)
    alert = await tx.session.scalar(first)
    return dict(_NO_ALERT) if alert is None else dict(alerts.facts(alert))


async def _tasks(tx: Tx, case: Case) -> dict[str, object]:
    scope: dict[str, object] = dict(blank_tasks((await sops.pinned(tx, case)).sop))
    with_notes = select(Task, Note.body).outerjoin(Note, Note.id == Task.note_id).where(Task.case_id == case.id)
    rows = await tx.session.execute(with_notes.execution_options(populate_existing=True))
    for task, note in rows:
        name = task.key.replace("-", "_")
        blank = scope.get(name)
        scope[name] = {
            **(blank if isinstance(blank, dict) else {}),
            **(task.result or {}),
            **(task.form_values or {}),
            "state": task.state,
            "decision": task.decision,
            "note": note,
        }
    return scope


async def _observables(tx: Tx, case: Case) -> dict[str, object]:
    wanted = select(Observable.type, Observable.value).where(Observable.case_id == case.id)
    found: dict[str, list[str]] = {}
    for kind, value in await tx.session.execute(wanted.order_by(Observable.added_at, Observable.id)):
        found.setdefault(kind, []).append(value)
    return dict(found)


_READ: Final[dict[str, Callable[[Tx, Case], Awaitable[dict[str, object]]]]] = {
    "case": _case,
    "alert": _alert,
    "tasks": _tasks,
    "observables": _observables,
}
