"""Read the audit trail, and add what the engine reports. `exports` is how it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A state that a run of the engine entered. `state_id` identifies it for good."""

    state_id: str
    run_kind: str
    run_id: str
    run_name: str
    state_type: str
    state_name: str
    message: str | None = None


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


async def note_run_states(tx: Tx, reports: Sequence[tuple[str | None, RunState, datetime]], *, by: Actor) -> int:
    """Record the states that runs entered, as (id of the case, state, time); returns how many were new.

    The event's id is the state's id, so the same report may come from an event stream and again from a catch-up.
    """
    latest = {state.state_id: (case_id, state, at) for case_id, state, at in reports}
    known = await tx.session.scalars(select(AuditEvent.event_id).where(AuditEvent.event_id.in_(latest)))
    new = latest.keys() - set(known)
    for case_id, state, at in (report for state_id, report in latest.items() if state_id in new):
        facts = {name: value for name, value in asdict(state).items() if name != "state_id"}
        tx.record("run.state", None, by=by, at=at, case=case_id, facts=facts, event_id=state.state_id)
    await tx.flush()
    return len(new)


def _of(query: _Query, case: Case | None) -> _Query:
    return query if case is None else query.where(AuditEvent.stream == stream_of(case))


def _trail_event(row: AuditEvent) -> TrailEvent:
    actor = Actor.parse(f"{row.actor_kind}:{row.actor_id}")
    return TrailEvent(row.id, row.event_id, row.ts, row.type, row.stream, actor, row.body)
