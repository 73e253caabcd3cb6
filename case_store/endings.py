"""How a case ends: completed by the engine, closed or cancelled by a person; and how it is opened again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select

from case_store import clocks, find, lifecycle, signals, texts
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.models import Case, CaseState, Stage, Task
from case_store.moves import move_case, move_stage, move_task
from case_store.refusals import MandatoryTasksOpen
from case_store.store import Tx
from case_store.wording import case_label

COMPLETED: Final = "completed"
_ENDED: Final[dict[CaseState, str]] = {"closed": "case.closed", "cancelled": "case.cancelled"}


async def close(tx: Tx, case: Case, resolution: str, *, by: Actor, at: datetime) -> Case:
    """Close a case by hand; what is still open in it is cancelled.

    Raises:
        MandatoryTasksOpen: Tasks are open that the SOP makes mandatory.
        NotAllowedNow: It is closed or cancelled already.
        TextRequired: There is no resolution.
    """
    case = await find.case(tx, case.id, lock=True)
    words = texts.words(resolution, "the resolution")
    tasks = await _tasks(tx, case)
    still = [task.key for task in tasks if task.mandatory and not lifecycle.closed("task", task.state)]
    if still:
        raise MandatoryTasksOpen(f"{case_label(case)} has mandatory tasks open: {', '.join(still)}")
    return await _end(tx, case, "closed", words, tasks, "the case was closed", by=by, at=at)


async def cancel(tx: Tx, case: Case, reason: str, *, by: Actor, at: datetime) -> Case:
    """Cancel a case with everything that is still open in it, mandatory or not.

    Raises:
        NotAllowedNow: It is closed or cancelled already.
        TextRequired: There is no reason.
    """
    case = await find.case(tx, case.id, lock=True)
    words = texts.words(reason, "the reason")
    return await _end(tx, case, "cancelled", words, await _tasks(tx, case), "the case was cancelled", by=by, at=at)


async def complete(tx: Tx, case: Case, *, by: Actor, at: datetime) -> Case:
    """Close a case whose stages are all closed: the engine's way. Anything else is left as it is.

    A case that was re-opened and in which no stage has been closed since stays open: there was nothing left to run, so
    only the person who opened it again knows when it is done.
    """
    case = await find.case(tx, case.id, lock=True)
    stages = await _stages(tx, case)
    if case.state != "open" or not all(lifecycle.closed("stage", stage.state) for stage in stages):
        return case
    reopened = case.reopened_at
    if reopened and not any(stage.closed_at and stage.closed_at >= reopened for stage in stages):
        return case
    move_case(case, "closed")
    case.closed_at, case.resolution = at, COMPLETED
    tx.record("case.completed", case, by=by, at=at)
    await tx.flush()
    return case


async def reopen(tx: Tx, case: Case, reason: str, *, by: Actor, at: datetime) -> Case:
    """Open a closed or cancelled case again: what was cancelled waits again, what was done stays done.

    Raises:
        NotAllowedNow: It is open.
        TextRequired: There is no reason.
    """
    case = await find.case(tx, case.id, lock=True)
    why, ended = texts.words(reason, "the reason"), case.resolution
    facts = {"reason": personal(case, why), "was": case.state, "resolution": personal(case, ended)}
    move_case(case, "open", reopening=True)
    times, closed_at = await clocks.Times.of(tx, case), case.closed_at or at
    case.closed_at, case.resolution, case.reopened_at = None, None, at
    case.paused_at = case.pause_reason = None
    clocks.go_on(case, times, closed_at, at)
    tx.record("case.reopened", case, by=by, at=at, facts=facts)
    for task in await _tasks(tx, case):
        if task.state == "cancelled":
            _wait_again(case, task)
            tx.record("task.reopened", task, by=by, at=at)
    for stage in await _stages(tx, case):
        if stage.state == "cancelled":
            move_stage(case, stage, "active" if stage.started_at else "waiting", reopening=True)
            stage.closed_at = None
            if stage.started_at is not None:
                clocks.go_on(stage, times, closed_at, at)
            tx.record("stage.reopened", stage, by=by, at=at)
    await tx.flush()
    await signals.raise_(tx, case, at)
    return case


async def _end(
    tx: Tx, case: Case, state: CaseState, words: str, tasks: list[Task], why: str, *, by: Actor, at: datetime
) -> Case:
    move_case(case, state)
    case.closed_at, case.resolution = at, words
    tx.record(_ENDED[state], case, by=by, at=at)
    for task in tasks:
        if not lifecycle.closed("task", task.state):
            move_task(case, task, "cancelled")
            task.closed_at, task.reason = at, f"{why}: {words}"
            tx.record("task.cancelled", task, by=by, at=at)
    for stage in await _stages(tx, case):
        if not lifecycle.closed("stage", stage.state):
            move_stage(case, stage, "cancelled")
            stage.closed_at = at
            tx.record("stage.cancelled", stage, by=by, at=at)
    await tx.flush()
    await signals.raise_(tx, case, at)
    return case


def _wait_again(case: Case, task: Task) -> None:
    """Forget what was asked and half decided: an approval is given again, for what the action would do then."""
    move_task(case, task, "waiting", reopening=True)
    task.attempt += 1
    task.decision = task.signed_by = task.decided_via = None
    task.parameters = task.reason = None
    task.closed_at = task.decided_at = None
    clocks.forget(task)


async def _tasks(tx: Tx, case: Case) -> list[Task]:
    wanted = select(Task).where(Task.case_id == case.id).order_by(Task.position)
    return list(await tx.session.scalars(wanted.execution_options(populate_existing=True)))


async def _stages(tx: Tx, case: Case) -> list[Stage]:
    wanted = select(Stage).where(Stage.case_id == case.id).order_by(Stage.position)
    return list(await tx.session.scalars(wanted.execution_options(populate_existing=True)))
