"""The work pool type `casewright`: a worker that carries out flow runs in its own process and is woken by events.

A stock process worker starts a Python process for each run and looks for work every few seconds; a case makes many
short runs, so most of its time would go there. This one is Prefect's public extension point for workers, filled with
two things: runs are executed in the event loop of the worker, and an event about a run that became due makes it look at
once. Its regular poll stays, for events that get lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any
from uuid import UUID

import anyio.abc
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.events import Event
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import run_flow_async
from prefect.states import Cancelled
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from flows import run_events, wake
from flows.flow_loading import FlowLoader
from flows.names import WORKER_TYPE
from flows.prefect_client import prefect_client
from flows.quiet import quiet_waiting_states
from flows.resources import resources

log = logging.getLogger(__name__)

_DUE = ("prefect.flow-run.Scheduled", "prefect.flow-run.Resuming", "prefect.flow-run.AwaitingRetry")
_CANCELLING = "prefect.flow-run.Cancelling"


class InProcessConfiguration(BaseJobConfiguration):
    """A run in the worker's process has nothing to configure: no command, no environment of its own."""

    @classmethod
    async def resolve_for_flow_run(cls, flow_run: FlowRun, **_: object) -> InProcessConfiguration:
        """Return the configuration without asking the server for what would not be used."""
        return cls(name=flow_run.name)


class InProcessResult(BaseWorkerResult):
    """How a run ended for the worker; how it ended for the case is in its state."""


class CasewrightWorker(BaseWorker[InProcessConfiguration, BaseVariables, InProcessResult]):
    """Carries out flow runs in its own process."""

    type = WORKER_TYPE
    job_configuration = InProcessConfiguration
    job_configuration_variables = BaseVariables
    _description = "Carries out SOPs in one long-lived process, woken by events. Stock workers work for SOPs, too."

    async def setup(self) -> None:
        """Connect to Prefect, open the case store, begin to listen for runs that become due."""
        quiet_waiting_states()
        self._executing: dict[UUID, asyncio.Task[Any]] = {}
        self._flows = FlowLoader()
        await self._exit_stack.enter_async_context(prefect_client())
        await self._exit_stack.enter_async_context(resources())
        await super().setup()
        listening = await self._exit_stack.enter_async_context(anyio.create_task_group())
        self._exit_stack.callback(listening.cancel_scope.cancel)
        listening.start_soon(run_events.listen, (*_DUE, _CANCELLING), self._on_event, self._on_connected)
        listening.start_soon(self._look_when_woken)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: InProcessConfiguration,  # noqa: ARG002 - the base class passes it
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> InProcessResult:
        """Execute a run to where it ends or waits."""
        if task_status is not None:
            task_status.started(os.getpid())
        flow = await self._flows.flow_of(self.client, flow_run)
        execution = asyncio.ensure_future(
            run_flow_async(flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
        )
        self._executing[flow_run.id] = execution
        try:
            await execution
        except (Pause, Abort):
            log.debug("Run %s waits or was taken back", flow_run.id)
        except asyncio.CancelledError:
            if not execution.cancelled() or asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            await self.client.set_flow_run_state(flow_run.id, Cancelled(message="Cancelled while running."), force=True)
        finally:
            self._executing.pop(flow_run.id, None)
            execution.cancel()
            wake.worker()  # it may have been scheduled again meanwhile
        return InProcessResult(identifier=str(os.getpid()), status_code=0)

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[WorkerFlowRunResponse]) -> list[FlowRun]:
        """Leave out runs that are still being carried out here: Prefect's worker would end itself over one.

        A run may be scheduled anew while its earlier execution waits for a server that was away.
        """
        still_here = set(self.limiter.statistics().borrowers) if self._limiter else set()
        free = [one for one in flow_run_response if one.flow_run.id not in still_here]
        return await super()._submit_scheduled_flow_runs(free)

    async def _give_worker_labels_to_flow_run(self, flow_run_id: UUID) -> None:
        """Leave the labels out: a request before each short run, and nobody reads them."""

    async def _propose_submitting_state(self, flow_run: FlowRun) -> None:
        """Leave the state between Pending and Running out: nothing is submitted anywhere."""

    async def _on_event(self, event: Event) -> None:
        if event.event != _CANCELLING:
            wake.worker()
        elif (execution := self._executing.get(run_events.run_id(event))) is not None:
            execution.cancel()

    async def _on_connected(self) -> None:
        wake.worker()  # whatever became due while nobody listened

    async def _look_when_woken(self) -> None:
        async for _ in wake.worker_calls():
            try:
                await self.get_and_submit_flow_runs()
            except Exception:
                log.warning("Could not look for runs that became due; the next poll will", exc_info=True)
