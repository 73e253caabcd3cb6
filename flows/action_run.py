"""An action as a Prefect task run: begins on record, runs, and ends on record together with all it found.

Between the two records anything may happen to the process. So the beginning is written first, and a run that never
wrote its end is taken note of by the next pass (`steps.recover`).
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task

from case_store import find, models, scope, sops, tasks
from case_store.actor import Actor
from case_store.store import Tx
from flows.action_context import context_of
from flows.action_end import Ended, put_on_record
from flows.actions.contract import ActionContext, ActionFailed, OutcomeUnknown, Result, TryAgain
from flows.clock import now
from flows.resources import Resources, resources
from sop import conditions, model
from sop.actions import ActionSpec
from sop.errors import ConditionFailed


class ActionNotDone(Exception):
    """The action failed for good, or nobody knows whether it took effect; a person is asked.

    The reason may hold what a case is about, so it is on record in the case store and never in Prefect.
    """


class ActionTriedAgain(Exception):
    """The action failed and Prefect tries it again."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """An execution that is on record as begun."""

    case: models.Case
    task: models.Task
    execution: models.Execution
    wanted: model.Task
    spec: ActionSpec | None
    inputs: dict[str, Any] = field(default_factory=dict)
    refusal: str | None = None


def prefect_task(wanted: model.Task) -> Task[[str, str], Any]:
    """Return the Prefect task that carries out an SOP's task; its parameters are ids only."""
    return Task(
        fn=carry_out,
        name=wanted.action or wanted.key,
        task_run_name=wanted.title,
        retries=wanted.retries,
        retry_delay_seconds=wanted.retry_delay.total_seconds(),
        retry_condition_fn=_is_tried_again,
        persist_result=False,
        cache_policy=NO_CACHE,
    )


async def carry_out(case_id: str, task_id: str) -> None:
    """Carry out the action of a task and attach what it found to the case."""
    context = TaskRunContext.get()
    if context is None:
        raise RuntimeError("an action runs as a Prefect task run")
    by = Actor.run(context.task_run.id)
    may_try_again = context.task_run.run_count <= context.task.retries
    async with resources() as own:
        begun = await _begin(own, case_id, task_id, by)
        ended = await _run(own, begun)
        again = ended.harmless and may_try_again
        await put_on_record(own, begun.execution, ended, again=again, by=by)
    if again:
        raise ActionTriedAgain
    if ended.outcome != "succeeded":
        raise ActionNotDone


def _is_tried_again(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    return (state.message or "").startswith(f"Task run encountered an exception {ActionTriedAgain.__name__}")


async def _begin(own: Resources, case_id: str, task_id: str, by: Actor) -> _Begun:
    async with own.store.transaction() as tx:
        task = await find.task(tx, task_id, lock=True)
        case = await find.case(tx, case_id, lock=True)
        wanted = (await sops.pinned(tx, case)).sop.task(task.key)
        spec = own.actions.get(wanted.action or "")
        inputs, refusal = await _inputs(tx, case, task, wanted)
        if spec is None:
            refusal = f"this worker knows no action {wanted.action!r}; install it or set CASEWRIGHT_ACTIONS"
        execution = await tasks.start_action(
            tx,
            task,
            run_id=by.id,
            code_version=spec.code_version if spec else "unknown",
            inputs=inputs,
            by=by,
            at=now(),
        )
        return _Begun(case, task, execution, wanted, spec, inputs, refusal)


async def _inputs(
    tx: Tx, case: models.Case, task: models.Task, wanted: model.Task
) -> tuple[dict[str, Any], str | None]:
    """Return the action's parameters, or why there are none.

    An approved action runs with what was approved, and with nothing else.
    """
    if wanted.approval is not None:
        if task.parameters is None:
            return {}, "it was approved without parameters, because they could not be determined"
        return dict(task.parameters), None
    try:
        known = await scope.of_case(tx, case, conditions.roots(wanted.when, wanted.with_))
        if wanted.when is not None:
            conditions.evaluate(wanted.when, known)
        return dict(conditions.parameters(wanted.with_, known)), None
    except ConditionFailed as failed:
        return {}, f"{failed} {failed.next_step}"


async def _run(own: Resources, begun: _Begun) -> Ended:  # noqa: PLR0911 - each way an action can end
    if begun.refusal is not None or begun.spec is None:
        return Ended("failed", error=begun.refusal)
    context = context_of(own, begun.case, begun.task, begun.execution)
    try:
        async with asyncio.timeout(begun.wanted.timeout.total_seconds()):
            return Ended("succeeded", result=await _call(begun.spec, context, begun.inputs))
    except TryAgain as error:
        return Ended("failed", error=error.diagnostics(), harmless=True)
    except ActionFailed as error:
        return Ended("failed", error=error.diagnostics())
    except OutcomeUnknown as error:
        return Ended("unknown", error=error.diagnostics())
    except TimeoutError:
        return _broke_off(begun.spec, f"it took longer than {begun.wanted.timeout}")
    except Exception as error:  # noqa: BLE001 - whatever an author's action raises is the action's failure
        return _broke_off(begun.spec, f"{type(error).__name__}: {error}")


def _broke_off(spec: ActionSpec, why: str) -> Ended:
    """Judge an action that ended without saying how: only an idempotent one may simply be done again."""
    if spec.idempotent:
        return Ended("failed", error=why, harmless=True)
    return Ended("unknown", error=why)


async def _call(spec: ActionSpec, context: ActionContext, inputs: dict[str, Any]) -> Result:
    if inspect.iscoroutinefunction(spec.function):
        found = await spec.function(context, **inputs)
    else:
        found = await asyncio.to_thread(spec.function, context, **inputs)
    if not isinstance(found, Result):
        raise ActionFailed(
            f"{spec.name} returned {type(found).__name__}",
            next_step="let the action return flows.actions.contract.Result",
        )
    return found
