"""What our worker does otherwise than Prefect's, without a server."""

from types import SimpleNamespace
from uuid import uuid4

import anyio
import pytest
from prefect.workers.base import BaseWorker

from flows.worker import CasewrightWorker


@pytest.mark.parametrize(
    "name", ["_submit_scheduled_flow_runs", "_give_worker_labels_to_flow_run", "_propose_submitting_state"]
)
def test_what_it_overrides_is_there_in_prefect(name: str) -> None:
    assert callable(getattr(BaseWorker, name))
    assert name in vars(CasewrightWorker)


async def test_a_run_that_is_scheduled_anew_while_it_is_still_carried_out_is_left_for_later() -> None:
    worker = CasewrightWorker("casewright", limit=2)
    worker._limiter = anyio.CapacityLimiter(2)
    run = SimpleNamespace(flow_run=SimpleNamespace(id=uuid4(), name="CASE-1", deployment_id=None))
    worker._limiter.acquire_on_behalf_of_nowait(run.flow_run.id)
    with pytest.raises(RuntimeError, match="already holding"):
        await BaseWorker._submit_scheduled_flow_runs(worker, [run])
    assert await worker._submit_scheduled_flow_runs([run]) == []
