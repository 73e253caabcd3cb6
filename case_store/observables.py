"""Technical things seen in a case: addresses, domains, hashes. Each is kept once in a case."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store import find
from case_store.actor import Actor
from case_store.models import Case, Evidence, Observable, Task
from case_store.refusals import TextRequired
from case_store.store import Tx
from case_store.texts import one_line

MAX_TYPE: Final = 40
MAX_VALUE: Final = 8_192


async def add(
    tx: Tx,
    case: Case,
    items: Iterable[tuple[str, str]],
    *,
    task: Task | None = None,
    evidence: Evidence | None = None,
    by: Actor,
    at: datetime,
) -> int:
    """Add observables to a case and return how many were new; those it has already are left alone.

    Args:
        tx: The transaction.
        case: The case.
        items: Pairs of type, such as "ip", and value.
        task: The task that found them.
        evidence: Where they were found.
        by: Who adds them.
        at: Now.

    Raises:
        TextRequired: A type or a value is empty or too long.
    """
    wanted = dict.fromkeys(_checked(kind, value) for kind, value in items)
    if not wanted:
        return 0
    case = await find.case(tx, case.id, lock=True)
    rows = await tx.session.execute(select(Observable.type, Observable.value).where(Observable.case_id == case.id))
    known = {(kind, value) for kind, value in rows}
    new = [item for item in wanted if item not in known]
    for kind, value in new:
        observable = Observable(
            case_id=case.id,
            type=kind,
            value=value,
            task_id=task.id if task else None,
            evidence_id=evidence.id if evidence else None,
            added_at=at,
        )
        tx.session.add(observable)
        tx.record("observable.added", observable, by=by, at=at)
    await tx.flush()
    return len(new)


def _checked(kind: str, value: str) -> tuple[str, str]:
    kept_kind, kept_value = one_line(kind).lower(), one_line(value)
    if not kept_kind or len(kept_kind) > MAX_TYPE:
        raise TextRequired(f"the type of an observable has 1 to {MAX_TYPE} characters, this is {kind[:80]!r}")
    if not kept_value or len(kept_value) > MAX_VALUE:
        raise TextRequired(f"an observable has 1 to {MAX_VALUE} characters, this {kind} has {len(kept_value)}")
    return kept_kind, kept_value
