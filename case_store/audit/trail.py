"""Read the audit trail. `exports` is how it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, select

from case_store.actor import Actor
from case_store.audit.ledger import stream_of
from case_store.models import AuditCheckpoint, AuditEvent, Case

if TYPE_CHECKING:
    from case_store.store import Tx

_Query = TypeVar("_Query", bound=Select[Any])


@dataclass(frozen=True, slots=True)
class TrailEvent:
    """One event as it was recorded. `id` is where it stands in the trail; `body` is its canonical JSON."""

    id: int
    event_id: str
    at: datetime
    type: str
    stream: str
    actor: Actor
    body: str


async def tail(tx: Tx, after_id: int = 0, case: Case | None = None, limit: int = 100) -> list[TrailEvent]:
    """Return the next events after `after_id`, oldest first.

    On PostgreSQL a transaction that took its ids earlier may commit later: who follows the trail while others write
    asks again from some ids before the last one, and knows events by their `event_id`.
    """
    query = select(AuditEvent).where(AuditEvent.id > after_id).order_by(AuditEvent.id).limit(limit)
    return [_trail_event(row) for row in await tx.session.scalars(_of(query, case))]


async def last_id(tx: Tx, case: Case | None = None, *, before: int = 0) -> int:
    """Return the id of the newest event, or of the one that has `before` newer ones; 0 when there are not so many."""
    query = select(AuditEvent.id).order_by(AuditEvent.id.desc()).offset(before).limit(1)
    return await tx.session.scalar(_of(query, case)) or 0


async def newest_checkpoint(tx: Tx) -> AuditCheckpoint | None:
    """Return what the log signed last; None before the first time."""
    return await tx.session.scalar(select(AuditCheckpoint).order_by(AuditCheckpoint.id.desc()).limit(1))


def _of(query: _Query, case: Case | None) -> _Query:
    return query if case is None else query.where(AuditEvent.stream == stream_of(case))


def _trail_event(row: AuditEvent) -> TrailEvent:
    actor = Actor.parse(f"{row.actor_kind}:{row.actor_id}")
    return TrailEvent(row.id, row.event_id, row.ts, row.type, row.stream, actor, row.body)
