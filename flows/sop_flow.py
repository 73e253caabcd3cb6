"""An SOP as a Prefect flow: one run of it carries out one case.

The run goes over the stages in order, as far as it gets without people, and then suspends itself: its process is
free, and a case that waits costs rows, not memory. Each go is a pass (see `case_pass`); what to do is read from the
case store alone, so a pass may be repeated, interrupted or begun twice without harm.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal, cast
from uuid import UUID, uuid4

from prefect import tags
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.flows import Flow
from prefect.states import Cancelled, Completed, Suspended

from case_store import cases, find, models, scope, signals, sla, sops, stages
from case_store.actor import Actor
from case_store.store import Tx
from flows import asking, board, case_pass, names, opening, steps, wake
from flows.case_pass import Pass
from flows.clock import now
from flows.resources import Resources, resources
from flows.sop_text import describe
from flows.stage_flow import stage_flow
from sop import conditions
from sop.loader import LoadedSop
from sop.model import Sop, Stage

SeverityChoice = Literal["informational", "low", "medium", "high", "critical"]


def sop_flow(loaded: LoadedSop) -> Flow[..., Any]:
    """Return the flow of an SOP: name, description and version are the SOP's."""
    sop = loaded.sop

    # Prefect makes the form of the deployment from this signature and docstring.
    async def follow_sop(
        title: str | None = None,
        severity: SeverityChoice | None = None,
        alert: str | None = None,
        case_id: str | None = None,
    ) -> State[None]:
        """Open a case and carry it out, or carry out one that exists.

        Args:
            title: Title of the new case. Everybody who reaches Prefect can read it.
            severity: Severity of the new case; left empty, the alert's or the SOP's.
            alert: Id of the alert that is behind it (casewright alert list).
            case_id: Id of a case that exists already; leave it empty to open a new one.
        """
        return await _follow(loaded, opening.Request(title, severity, alert, case_id))

    follow_sop.__name__ = follow_sop.__qualname__ = names.attribute(sop.key)
    return Flow(
        follow_sop,
        name=sop.key,
        description=describe(sop),
        version=str(sop.version),
        persist_result=False,
    )


async def _follow(loaded: LoadedSop, request: opening.Request) -> State[None]:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("an SOP runs as a flow run of its deployment")
    run_id = context.flow_run.id
    async with resources() as own, get_client() as client:
        case = await opening.case_of_run(own, client, loaded, request, context.flow_run)
        with tags(names.TAG, names.case_tag(case.number)):
            try:
                async with case_pass.over(own.store, case.id, str(run_id)) as one_pass:
                    return await _Case(own, client, one_pass, case.id, run_id).carry_out()
            finally:
                wake.relay()  # somebody may have decided something that this pass saw no more


class _Case:
    """One pass over one case."""

    def __init__(self, own: Resources, client: PrefectClient, one_pass: Pass, case_id: str, run_id: UUID) -> None:
        self._own, self._client, self._pass, self._case_id, self._run_id = own, client, one_pass, case_id, run_id
        self._by = Actor.run(run_id)

    async def carry_out(self) -> State[None]:
        """Go over the stages until people must decide or the case is closed."""
        state = await self._go_over()
        await board.show(self._own, self._client, self._case_id, self._run_id)
        self._pass.advanced = True
        return state

    async def _go_over(self) -> State[None]:
        case, sop = await self._read()
        for stage in sop.stages if case.state == "open" else ():
            if await self._is_next(sop, case, stage.key) and (await self._run_stage(sop, case, stage.key)).is_paused():
                return Suspended(timeout_seconds=None, pause_key=uuid4().hex)
        case = await self._complete()
        await asking.close_stale(self._own, self._client, case)
        if case.state == "cancelled":
            return Cancelled(name="CaseCancelled", message=f"CASE-{case.number} was cancelled.")
        return Completed(message=f"CASE-{case.number} is closed.")

    async def _read(self) -> tuple[models.Case, Sop]:
        async with self._own.store.reading() as tx:
            case = await find.case(tx, self._case_id)
            return case, (await sops.pinned(tx, case)).sop

    async def _is_next(self, sop: Sop, case: models.Case, key: str) -> bool:
        """Say whether a stage is to be worked on; begin it, or decide that it does not apply."""
        async with self._own.store.reading() as tx:
            stage = await find.stage_of(tx, case, key)
        if stage.state != "waiting":
            return stage.state == "active"
        async with self._own.store.transaction() as tx:
            case = await find.case(tx, self._case_id, lock=True)
            stage = await find.stage_of(tx, case, key)
            if case.state == "open" and stage.state == "waiting":
                await self._begin(tx, case, stage, sop.stage(key))
            return stage.state == "active"

    async def _begin(self, tx: Tx, case: models.Case, stage: models.Stage, wanted: Stage) -> None:
        at = now()
        if stage.condition_met is None:
            known = await scope.of_case(tx, case, conditions.roots(wanted.when))
            met, facts = steps.answer(wanted.when, known)
            await stages.decide_condition(tx, stage, met, facts, by=self._by, at=at)
        if stage.condition_met:
            due_at = sla.due(tx, case, (await sops.pinned(tx, case)).sop, wanted.sla, at)
            await stages.activate(tx, stage, due_at=due_at, by=self._by, at=at)

    async def _run_stage(self, sop: Sop, case: models.Case, key: str) -> State[None]:
        run = stage_flow(sop.key, key).with_options(flow_run_name=names.run_name(case.number, key))
        state: State[None] = await cast("Awaitable[State[None]]", run(self._case_id, return_state=True))
        if not (state.is_completed() or state.is_paused()):
            await state.aresult(raise_on_failure=True)
        return state

    async def _complete(self) -> models.Case:
        async with self._own.store.transaction() as tx:
            case = await find.case(tx, self._case_id, lock=True)
            if case.state == "open":
                await cases.complete(tx, case, by=self._by, at=now())
            # That the case closed is nothing to go round again for; whoever reopens it waits for this lock.
            self._pass.generation = (await signals.run_of(tx, case.id)).generation
            return case
