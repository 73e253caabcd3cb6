"""What the engine asks of Prefect's API about the runs of cases."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Scheduled

from flows import names
from flows.clock import now

_PAGE = 200


class NotDeployed(Exception):
    """Prefect does not know this flow; run: casewright deploy."""


async def deployment_id(client: PrefectClient, name: str) -> UUID:
    """Return the id of the deployment `name/name`.

    Raises:
        NotDeployed: There is none.
    """
    try:
        return (await client.read_deployment_by_name(f"{name}/{name}")).id
    except ObjectNotFound as error:
        raise NotDeployed(f"Prefect has no deployment {name}/{name}; run: casewright deploy") from error


async def start_case(client: PrefectClient, *, sop_key: str, case_id: str, number: int, key: str) -> UUID:
    """Have a case carried out by a new run of its SOP; the same key again gives the same run."""
    run = await client.create_flow_run_from_deployment(
        await deployment_id(client, sop_key),
        parameters={"case_id": case_id},
        name=names.run_name(number, sop_key),
        tags=[names.TAG, names.case_tag(number)],
        idempotency_key=f"case:{case_id}:{key}",
    )
    return run.id


async def read(client: PrefectClient, run_id: str | None) -> FlowRun | None:
    """Return a flow run; None when Prefect has no such run (any more)."""
    if run_id is None:
        return None
    try:
        return await client.read_flow_run(UUID(run_id))
    except ObjectNotFound:
        return None


async def read_many(client: PrefectClient, run_ids: Iterable[str]) -> dict[str, FlowRun]:
    """Return those of the flow runs that Prefect has, by id."""
    ids = [UUID(run_id) for run_id in run_ids]
    found: dict[str, FlowRun] = {}
    for start in range(0, len(ids), _PAGE):
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=ids[start : start + _PAGE]))
        for run in await client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE):
            found[str(run.id)] = run
    return found


async def complete(client: PrefectClient, run_id: str, message: str) -> None:
    """Complete a run that waits for a person: it was decided somewhere else."""
    run = await read(client, run_id)
    if run is not None and run.state is not None and not run.state.is_final():
        await client.set_flow_run_state(run.id, Completed(message=message), force=True)


async def run_again(client: PrefectClient, run: FlowRun, why: str) -> None:
    """Have a worker carry out the same run once more, whatever state it is in."""
    await end(client, run, Scheduled(name="AwaitingRetry", message=why))


async def end(client: PrefectClient, run: FlowRun, state: State[None]) -> None:
    """Put a run into this state, whatever state it is in."""
    await client.set_flow_run_state(run.id, state, force=True)


def has_stalled(run: FlowRun, patience: timedelta) -> bool:
    """Say whether a run claims to be carried out, or about to be, for longer than it can take."""
    state = run.state
    if state is None or not (state.is_running() or state.is_pending() or state.is_cancelling()):
        return False
    return now() - state.timestamp > patience
