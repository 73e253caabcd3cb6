"""Which case a run of an SOP carries out: the one it was started for, or a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

from case_store import cases, find, models, signals
from case_store.actor import Actor
from flows import names
from flows.clock import now
from flows.resources import Resources
from sop.loader import LoadedSop


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody entered to start an SOP; only ids when the engine did."""

    title: str | None
    severity: Literal["informational", "low", "medium", "high", "critical"] | None
    alert: str | None
    case_id: str | None


async def case_of_run(
    own: Resources, client: PrefectClient, loaded: LoadedSop, request: Request, run: FlowRun
) -> models.Case:
    """Return the case that a run carries out, and note on both sides that it does."""
    async with own.store.transaction(request_id=str(run.id)) as tx:
        if request.case_id is not None:
            case = await find.case(tx, request.case_id)
        else:
            alert = await find.alert(tx, request.alert) if request.alert else None
            case = await cases.open_case(
                tx,
                loaded,
                request.title or (alert.title if alert else loaded.sop.title),
                request.severity,
                alert=alert,
                idempotency_key=f"flow-run:{run.id}",
                by=Actor.run(run.id),
                at=now(),
            )
        await signals.bind_run(tx, case.id, str(run.id))
    if names.case_tag(case.number) not in run.tags:
        await client.update_flow_run(
            run.id,
            name=names.run_name(case.number, case.sop_key),
            tags={*run.tags, names.TAG, names.case_tag(case.number)},
        )
    return case
