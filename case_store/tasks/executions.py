"""The engine runs a task's action: what went in and came out is on record, and a run that died says so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from case_store import clocks, find, lifecycle, notices, sla, sops
from case_store.actor import Actor
from case_store.audit.events import canonical
from case_store.lifecycle import NotAllowedNow
from case_store.models import Case, Evidence, Execution, JsonMap, Outcome, Task, TaskState
from case_store.moves import move_task
from case_store.refusals import NotAsApproved, StaleExecution
from case_store.store import Tx
from case_store.tasks.approvals import as_approved
from case_store.tasks.ownership import approval_of, recipients, resolve
from case_store.wording import task_label

_AFTER: Final[dict[Outcome, TaskState]] = {"succeeded": "done", "failed": "failed", "unknown": "unknown_outcome"}
_TOLD: Final[dict[TaskState, str]] = {
    "done": "task.done",
    "failed": "task.failed",
    "unknown_outcome": "task.unknown_outcome",
}


async def start_action(
    tx: Tx, task: Task, *, run_id: str, code_version: str, inputs: JsonMap, by: Actor, at: datetime
) -> Execution:
    """Begin a run of the task's action. A run that has not ended is given up: its late result will be refused.

    Args:
        tx: The transaction.
        task: The task: waiting, failed and tried again, or running with a process that died.
        run_id: The task run of the engine.
        code_version: Which code will run.
        inputs: Its parameters, all of them.
        by: Who starts it.
        at: Now.

    Raises:
        NotAllowedNow: It is an approval that nobody has given, or the task is in no state to run.
        NotAsApproved: The parameters are not those that were approved.
    """
    case, task = await find.locked(tx, task)
    await _refuse_unapproved(tx, case, task, inputs)
    earlier = await _executions(tx, task)
    for execution in earlier:
        if execution.ended_at is None:
            execution.ended_at, execution.outcome = at, "unknown"
            execution.duration_ms = _milliseconds(at - execution.started_at)
            execution.error = "given up: a later run began"
            tx.record("execution.given_up", execution, by=by, at=at)
    move_task(case, task, "running")
    task.started_at, task.reason = at, None
    execution = Execution(
        case_id=case.id,
        task_id=task.id,
        number=len(earlier) + 1,
        run_id=run_id,
        code_version=code_version,
        inputs=inputs,
        started_at=at,
    )
    tx.session.add(execution)
    tx.record("execution.started", execution, by=by, at=at)
    tx.record("task.started", task, by=by, at=at, facts={"execution": execution.number})
    await tx.flush()
    return execution


async def finish_action(
    tx: Tx,
    execution: Execution,
    *,
    outcome: Outcome,
    output: JsonMap,
    evidence: Sequence[Evidence] = (),
    error: str | None = None,
    again: bool = False,
    by: Actor,
    at: datetime,
) -> Task:
    """Record how a run ended, and return its task: done, failed, of unknown outcome, or still running.

    A case that was closed meanwhile keeps its task closed; the result is on record all the same, because the action
    has had its effect.

    Args:
        tx: The transaction.
        execution: The run.
        outcome: "unknown" when nobody can say whether the action had its effect.
        output: Its results, by field; conditions read them as `tasks.KEY.FIELD`.
        evidence: What it attached; the first is the run's own result.
        error: What went wrong, None when it succeeded.
        again: It failed without effect and the engine tries it again by itself; the task goes on running.
        by: Who says so.
        at: Now.

    Raises:
        StaleExecution: The run has already ended.
    """
    case, execution = await find.locked(tx, execution)
    task = await find.task(tx, execution.task_id, lock=True)
    if execution.ended_at is not None:
        raise StaleExecution(f"run {execution.number} of {task_label(case, task)} ended as {execution.outcome}")
    _ended(execution, outcome, output, evidence, error, at)
    tx.record("execution.ended", execution, by=by, at=at, facts={"evidence": [one.sha256 for one in evidence]})
    if lifecycle.closed("task", task.state) or again:
        await tx.flush()
        return task
    await _closed_or_asking(tx, case, task, execution, by=by, at=at)
    return task


async def _closed_or_asking(tx: Tx, case: Case, task: Task, execution: Execution, *, by: Actor, at: datetime) -> None:
    outcome = execution.outcome or "unknown"
    move_task(case, task, _AFTER[outcome])
    task.reason = execution.error
    if outcome == "succeeded":
        task.result, task.closed_at = execution.output, at
    else:
        await _ask_a_person(tx, case, task, at)
    tx.record(_TOLD[task.state], task, by=by, at=at, facts={"execution": execution.number})
    await tx.flush()
    if outcome != "succeeded":
        await notices.needs_attention(tx, task, await recipients(tx, task), at)


async def _ask_a_person(tx: Tx, case: Case, task: Task, at: datetime) -> None:
    """Find an owner for a task that went wrong; its time runs from now, so that nobody forgets it."""
    if task.owner_id is None:
        owner = await resolve(tx, case, task.owner_rule)
        task.owner_id, task.owner_role = owner.person_id, owner.role
    sop = (await sops.pinned(tx, case)).sop
    task.opened_at = at
    due_at = sla.due(tx, case, sop, sop.task(task.key).sla, at)
    clocks.restart(task, await clocks.Times.of(tx, case), at, due_at=due_at)


async def _refuse_unapproved(tx: Tx, case: Case, task: Task, inputs: JsonMap) -> None:
    if task.kind != "approval":
        return
    if task.decision != "approved":
        raise NotAllowedNow(f"{task_label(case, task)} has not been approved", next_step="ask for the approval first")
    if inputs != (task.parameters or {}):
        raise NotAsApproved(f"{task_label(case, task)} was approved with other parameters")
    rule = await approval_of(tx, case, task)
    if not await as_approved(tx, task, rule.needed):
        raise NotAsApproved(f"{task_label(case, task)} has fewer approvals of these parameters than it needs")


def _ended(
    execution: Execution,
    outcome: Outcome,
    output: JsonMap,
    evidence: Sequence[Evidence],
    error: str | None,
    at: datetime,
) -> None:
    execution.ended_at, execution.outcome, execution.output = at, outcome, output
    execution.duration_ms = _milliseconds(at - execution.started_at)
    execution.error = error
    if evidence:
        execution.evidence_id, execution.sha256 = evidence[0].id, evidence[0].sha256
    else:
        execution.sha256 = hashlib.sha256(_canonical_text(output).encode()).hexdigest()


def _canonical_text(output: JsonMap) -> str:
    return json.dumps(canonical(output, "output"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _milliseconds(duration: timedelta) -> int:
    return max(0, round(duration / timedelta(milliseconds=1)))


async def running_execution(tx: Tx, task: Task) -> Execution | None:
    """Return the run of a task that has begun and not ended; None when there is none."""
    return next((one for one in reversed(await _executions(tx, task)) if one.ended_at is None), None)


async def _executions(tx: Tx, task: Task) -> list[Execution]:
    wanted = select(Execution).where(Execution.task_id == task.id).order_by(Execution.number)
    return list(await tx.session.scalars(wanted.execution_options(populate_existing=True)))
