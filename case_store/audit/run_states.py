"""Read back what is on record about the runs of a case."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from case_store.audit.ledger import stream_of
from case_store.audit.trail import RunState
from case_store.models import AuditEvent, Case

if TYPE_CHECKING:
    from case_store.store import Tx


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


async def case_numbers(tx: Tx) -> list[int]:
    """Return the numbers of all cases, the oldest first."""
    return list(await tx.session.scalars(select(Case.number).order_by(Case.number)))
