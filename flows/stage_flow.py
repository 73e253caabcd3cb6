"""A stage of an SOP as a Prefect flow: starts what can start, asks whom it must, ends when all its tasks are closed.

The plan is made anew from the case store after every step, so it does not matter how often this runs, or where its last
run stopped.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TagsContext
from prefect.flows import Flow
from prefect.states import Completed, Paused

from case_store.actor import Actor
from case_store.lifecycle import ASKS_A_PERSON
from flows import action_run, asking, case_pass, names, steps
from flows.resources import Resources, resources
from flows.steps import View

AWAITING_OWNER = "AwaitingOwner"

# While an action runs, a person may decide something that lets the next task start; this is how soon it is seen.
_LOOK_EVERY = 0.25


@lru_cache(maxsize=512)
def stage_flow(sop_key: str, stage_key: str) -> Flow[[str], Any]:
    """Return the flow of one stage.

    Each has a function of its own: Prefect finds a stage's earlier run by the function, so a shared one would attach a
    stage to the run of another.
    """

    async def carry_out_stage(case_id: str) -> State[None]:
        return await _carry_out(case_id, stage_key)

    carry_out_stage.__name__ = f"stage_{names.attribute(stage_key)}"
    carry_out_stage.__qualname__ = f"{names.attribute(sop_key)}.{carry_out_stage.__name__}"
    return Flow(
        carry_out_stage,
        name=f"{sop_key}: {stage_key}",
        description=f"Stage {stage_key} of the SOP {sop_key}; it is run by the flow of the SOP.",
        persist_result=False,
        validate_parameters=False,
    )


async def _carry_out(case_id: str, stage_key: str) -> State[None]:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("a stage runs inside the run of its case; start the SOP's deployment instead")
    # A tag on a task run would have Prefect ask its server for a concurrency slot before and after it; flow runs bear
    # the tags, and that is enough to find them.
    async with resources() as own, get_client() as client:
        with TagsContext(current_tags=set()):
            return await _Stage(own, client, case_id, stage_key, context.flow_run.id).carry_out()


class _Stage:
    """One go over one stage."""

    def __init__(self, own: Resources, client: PrefectClient, case_id: str, key: str, run_id: UUID) -> None:
        self._own, self._client, self._case_id, self._key, self._run_id = own, client, case_id, key, run_id
        self._by, self._pass = Actor.run(run_id), case_pass.current()
        self._actions: dict[str, asyncio.Task[None]] = {}

    async def carry_out(self) -> State[None]:
        """Take every step that needs no person; return Completed, or Paused while people have to decide."""
        view = await self._advance()
        if view.plan.running:
            await steps.recover(self._own, self._case_id, self._key, by=self._by)
            view = await self._advance()
        before: View | None = None
        moved = False
        try:
            while not view.over:
                self._start_actions(view)
                # An answer that was refused moves the case and leaves the states as they are: it is asked again.
                if moved or before is None or view.states != before.states:
                    await self._ask(view, before)
                busy = bool(self._actions)
                if busy:
                    await self._until_something_happens()
                moved = await self._pass.moved()
                if not (busy or moved):
                    return _waiting(view)
                before, view = view, await self._advance()
        finally:
            await self._stop_actions()
        await steps.finish(self._own, self._case_id, self._key, by=self._by)
        return Completed(message="All tasks are closed." if view.plan.done else f"The case is {view.case.state}.")

    async def _advance(self) -> View:
        return await steps.advance(self._own, self._case_id, self._key, by=self._by)

    def _start_actions(self, view: View) -> None:
        for key in (*view.plan.run, *view.plan.running):
            if key not in self._actions:
                run = action_run.prefect_task(view.sop.task(key))
                carried_out: Any = run(self._case_id, view.tasks[key].id, return_state=True)
                self._actions[key] = asyncio.ensure_future(carried_out)

    async def _ask(self, view: View, before: View | None) -> None:
        if before is not None and not (before.asks or view.asks):
            return
        await asking.keep_asked(self._own, self._client, view, self._run_id, busy=self._actions.keys())

    async def _until_something_happens(self) -> None:
        ended, _ = await asyncio.wait(self._actions.values(), timeout=_LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
        for key in [key for key, action in self._actions.items() if action in ended]:
            self._actions.pop(key).result()

    async def _stop_actions(self) -> None:
        for action in self._actions.values():
            action.cancel()
        await asyncio.gather(*self._actions.values(), return_exceptions=True)


def _waiting(view: View) -> State[None]:
    count = sum(task.state in ASKS_A_PERSON for task in view.tasks.values())
    return Paused(name=AWAITING_OWNER, message=f"{count} task{'s' if count != 1 else ''} open", reschedule=False)
