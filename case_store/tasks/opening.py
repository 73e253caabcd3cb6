"""The engine opens a task: it decides the condition, and asks people. Repeating either changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from case_store import clocks, deadlines, find, lifecycle, notices
from case_store.actor import Actor
from case_store.models import JsonMap, Task
from case_store.moves import move_task
from case_store.store import Tx
from case_store.tasks import approvals
from case_store.tasks.ownership import recipients, resolve


async def decide_condition(
    tx: Tx, task: Task, met: bool, facts: Mapping[str, object], *, by: Actor, at: datetime
) -> Task:
    """Keep for good whether the task is done; if not, it is not applicable.

    Args:
        tx: The transaction.
        task: The task.
        met: The answer to its `when`.
        facts: The expression, and the values it was answered with.
        by: Who says so.
        at: Now.
    """
    case, task = await find.locked(tx, task)
    if task.condition_met is not None or lifecycle.closed("task", task.state):
        return task
    task.condition_met = met
    if met:
        tx.record("task.condition_met", task, by=by, at=at, facts=facts)
    else:
        move_task(case, task, "not_applicable")
        task.closed_at = at
        tx.record("task.not_applicable", task, by=by, at=at, facts=facts)
        await tx.flush()
        await deadlines.not_needed(tx, case, task, by=by, at=at)
    await tx.flush()
    return task


async def ask(
    tx: Tx, task: Task, *, parameters: JsonMap | None, due_at: datetime | None, by: Actor, at: datetime
) -> Task:
    """Open a task for people: find its owner, and promise them a notice.

    Args:
        tx: The transaction.
        task: The task, which waits.
        parameters: What an approved action will run with, to the letter; None where there is none.
        due_at: When its SLA ends; None without one. While its case is paused it has none.
        by: Who asks.
        at: Now.
    """
    case, task = await find.locked(tx, task)
    if task.state == "open":
        return task
    move_task(case, task, "open")
    if task.owner_id is None:
        owner = await resolve(tx, case, task.owner_rule)
        task.owner_id, task.owner_role = owner.person_id, owner.role
    task.parameters, task.opened_at = parameters, at
    clocks.restart(task, await clocks.Times.of(tx, case), at, due_at=due_at)
    tx.record("task.opened", task, by=by, at=at, facts={"owner_rule": task.owner_rule})
    if task.kind == "approval":
        await approvals.void(tx, task, by=by, at=at)  # of before its case was cancelled and re-opened
    await tx.flush()
    await notices.assigned(tx, task, await recipients(tx, task), at)
    return task
