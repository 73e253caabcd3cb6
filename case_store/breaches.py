"""Stages, cases and deadlines whose time is over: noted once, when it happens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from case_store import find
from case_store.actor import Actor
from case_store.models import Case, Stage
from case_store.store import Tx


async def due(tx: Tx, at: datetime, limit: int = 100) -> list[Case | Stage]:
    """Return the open cases and stages that are past their due time and not marked yet, the latest first."""
    cases = select(Case).where(Case.state == "open", Case.due_at <= at, Case.overdue_at.is_(None))
    stages = select(Stage).where(Stage.state == "active", Stage.due_at <= at, Stage.overdue_at.is_(None))
    found: list[Case | Stage] = [*await tx.session.scalars(cases.order_by(Case.due_at).limit(limit))]
    return [*found, *await tx.session.scalars(stages.order_by(Stage.due_at).limit(limit))]


async def mark(tx: Tx, row: Case | Stage, *, by: Actor, at: datetime) -> bool:
    """Mark a case or a stage as overdue; False when it ended, was put off or marked meanwhile."""
    if isinstance(row, Case):
        row = await find.case(tx, row.id, lock=True)
        goes_on = row.state == "open"
    else:
        _, row = await find.locked(tx, row)
        goes_on = row.state == "active"
    if not goes_on or row.overdue_at is not None or row.due_at is None or row.due_at > at:
        return False
    row.overdue_at = at
    tx.record("case.overdue" if isinstance(row, Case) else "stage.overdue", row, by=by, at=at)
    await tx.flush()
    return True
