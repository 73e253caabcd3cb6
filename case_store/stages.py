"""The stages of a case, one after another. These verbs are the engine's; repeating one changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from case_store import clocks, deadlines, find, lifecycle
from case_store.actor import Actor
from case_store.models import Stage, Task
from case_store.moves import move_stage
from case_store.refusals import TasksOpen
from case_store.store import Tx
from case_store.wording import stage_label


async def decide_condition(
    tx: Tx, stage: Stage, met: bool, facts: Mapping[str, object], *, by: Actor, at: datetime
) -> Stage:
    """Keep for good whether the stage is run; if not, none of its tasks is applicable.

    Args:
        tx: The transaction.
        stage: The stage.
        met: The answer to the stage's `when`.
        facts: The expression, and the values it was answered with.
        by: Who says so.
        at: Now.
    """
    case, stage = await find.locked(tx, stage)
    if stage.condition_met is not None:
        return stage
    stage.condition_met = met
    if met:
        tx.record("stage.condition_met", stage, by=by, at=at, facts=facts)
    else:
        move_stage(case, stage, "not_applicable")
        stage.closed_at = at
        tx.record("stage.not_applicable", stage, by=by, at=at, facts=facts)
        for task in await _tasks(tx, stage):
            if not lifecycle.closed("task", task.state):
                task.state, task.closed_at = "not_applicable", at
                tx.record("task.not_applicable", task, by=by, at=at, facts={"stage": stage.key})
                await tx.flush()
                await deadlines.not_needed(tx, case, task, by=by, at=at)
    await tx.flush()
    return stage


async def activate(tx: Tx, stage: Stage, *, due_at: datetime | None, by: Actor, at: datetime) -> Stage:
    """Begin a stage; `due_at` is when its SLA ends, None without one."""
    case, stage = await find.locked(tx, stage)
    if stage.state == "active":
        return stage
    move_stage(case, stage, "active")
    stage.started_at = at
    clocks.restart(stage, await clocks.Times.of(tx, case), at, due_at=due_at)
    tx.record("stage.started", stage, by=by, at=at)
    await tx.flush()
    return stage


async def finish(tx: Tx, stage: Stage, *, by: Actor, at: datetime) -> Stage:
    """End a stage whose tasks are all closed.

    Raises:
        TasksOpen: Some are not.
    """
    case, stage = await find.locked(tx, stage)
    if stage.state == "done":
        return stage
    if still := [task.key for task in await _tasks(tx, stage) if not lifecycle.closed("task", task.state)]:
        raise TasksOpen(f"{stage_label(case, stage)} has open tasks: {', '.join(still)}")
    move_stage(case, stage, "done")
    stage.closed_at = at
    tx.record("stage.finished", stage, by=by, at=at)
    await tx.flush()
    return stage


async def _tasks(tx: Tx, stage: Stage) -> list[Task]:
    wanted = select(Task).where(Task.stage_id == stage.id).order_by(Task.position)
    return list(await tx.session.scalars(wanted.execution_options(populate_existing=True)))
