"""Time that does not count: a case or a task waits for somebody outside, and its clocks stand still.

A paused case stops its own clock and those of its stages and tasks. Deadlines that a law sets are not stopped by
anything. People may decide a paused task all the same; work goes on, only nobody is late.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select

from case_store import clocks, find, lifecycle, texts
from case_store.actor import Actor
from case_store.audit.ledger import personal
from case_store.clocks import Times
from case_store.lifecycle import NotAllowedNow
from case_store.models import Case, Stage, Task
from case_store.store import Tx
from case_store.wording import case_label, task_label


async def pause_case(tx: Tx, case: Case, reason: str, *, by: Actor, at: datetime) -> bool:
    """Stop the clocks of a case, its stages and its tasks; False when they stand still already.

    Raises:
        NotAllowedNow: The case has ended.
        TextRequired: There is no reason.
    """
    case, why = await _open_case(tx, case), texts.words(reason, "the reason")
    if case.paused_at is not None:
        return False
    times = await Times.of(tx, case)
    case.paused_at, case.pause_reason = at, why
    clocks.stop(case, times, at)
    tx.record("case.paused", case, by=by, at=at)
    await reschedule(tx, case, "paused", lambda row: clocks.stop(row, times, at), by=by, at=at)
    return True


async def resume_case(tx: Tx, case: Case, *, by: Actor, at: datetime) -> bool:
    """Let the clocks of a case go on, but for tasks that are paused themselves; False when they run.

    Raises:
        NotAllowedNow: The case has ended.
    """
    case = await _open_case(tx, case)
    if case.paused_at is None:
        return False
    times, facts = await Times.of(tx, case), _facts(case, at)
    case.paused_at = case.pause_reason = None
    clocks.start(case, times, at)
    tx.record("case.resumed", case, by=by, at=at, facts=facts)
    await reschedule(tx, case, "resumed", lambda row: clocks.start(row, times, at), by=by, at=at)
    return True


async def pause_task(tx: Tx, task: Task, reason: str, *, by: Actor, at: datetime) -> bool:
    """Stop the clock of a task; that of its stage and case run on. False when it stands still already.

    Raises:
        NotAllowedNow: It waits for nobody.
        TextRequired: There is no reason.
    """
    case, task = await _waiting_task(tx, task)
    why = texts.words(reason, "the reason")
    if task.paused_at is not None:
        return False
    times = await Times.of(tx, case)
    task.paused_at, task.pause_reason = at, why
    clocks.stop(task, times, at)
    tx.record("task.paused", task, by=by, at=at)
    await tx.flush()
    return True


async def resume_task(tx: Tx, task: Task, *, by: Actor, at: datetime) -> bool:
    """Let the clock of a task go on, as soon as its case is not paused; False when it is not paused.

    Raises:
        NotAllowedNow: It waits for nobody.
    """
    case, task = await _waiting_task(tx, task)
    if task.paused_at is None:
        return False
    facts = _facts(task, at)
    task.paused_at = task.pause_reason = None
    clocks.start(task, await Times.of(tx, case), at)
    tx.record("task.resumed", task, by=by, at=at, facts=facts)
    await tx.flush()
    return True


async def reschedule(
    tx: Tx, case: Case, why: str, change: Callable[[Stage | Task], None], *, by: Actor, at: datetime
) -> None:
    """Change the clocks of all stages and tasks of a case that are under way, each with its event.

    Args:
        tx: The transaction.
        case: The case, locked.
        why: What brought it about: "paused", "resumed" or "severity".
        change: Changes one clock.
        by: Who brought it about.
        at: Now.
    """
    await tx.flush()
    stages = select(Stage).where(Stage.case_id == case.id, Stage.state == "active").order_by(Stage.position)
    asking = Task.state.in_(lifecycle.ASKS_A_PERSON)
    tasks = select(Task).where(Task.case_id == case.id, asking).order_by(Task.position)
    for wanted in (stages, tasks):
        for row in await tx.session.scalars(wanted.execution_options(populate_existing=True)):
            change(row)
            if tx.session.is_modified(row):
                facts = {"why": why}
                tx.record(
                    "task.rescheduled" if isinstance(row, Task) else "stage.rescheduled", row, by=by, at=at, facts=facts
                )
    await tx.flush()


def _facts(row: Case | Task, at: datetime) -> dict[str, object]:
    stood = at - row.paused_at if row.paused_at else None
    return {"reason": personal(row, row.pause_reason), "seconds": int(stood.total_seconds()) if stood else 0}


async def _open_case(tx: Tx, case: Case) -> Case:
    case = await find.case(tx, case.id, lock=True)
    if case.state != "open":
        raise NotAllowedNow(f"{case_label(case)} is {case.state}", next_step="re-open it first, with a reason")
    return case


async def _waiting_task(tx: Tx, task: Task) -> tuple[Case, Task]:
    case, task = await find.locked(tx, task)
    if task.state not in lifecycle.ASKS_A_PERSON:
        raise NotAllowedNow(f"{task_label(case, task)} is {task.state}: no time runs")
    return case, task
