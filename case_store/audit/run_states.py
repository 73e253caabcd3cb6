"""The states that runs of the engine enter: put on record, and read back."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from case_store.actor import Actor
from case_store.audit.ledger import stream_of
from case_store.models import AuditEvent, Case

if TYPE_CHECKING:
    from case_store.store import Tx


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


async def run_states(tx: Tx, case: Case) -> AsyncGenerator[tuple[RunState, datetime], None]:
    """Yield each state that is on record for the runs of a case with its time, in the order of the record."""
    query = select(AuditEvent.event_id, AuditEvent.ts, AuditEvent.body)
    query = query.where(AuditEvent.stream == stream_of(case), AuditEvent.type == "run.state").order_by(AuditEvent.id)
    async for row in await tx.session.stream(query.execution_options(yield_per=500)):
        facts = json.loads(row.body)["facts"]
        yield (
            RunState(
                state_id=row.event_id,
                run_kind=facts["run_kind"],
                run_id=facts["run_id"],
                run_name=facts["run_name"],
                state_type=facts["state_type"],
                state_name=facts["state_name"],
                message=facts.get("message"),
            ),
            row.ts,
        )
