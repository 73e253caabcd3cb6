"""Which forms wait for a person in the engine's own interface. Bookkeeping of the engine, not audited."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select

from case_store.models import Case, Question, Task
from case_store.store import Tx


async def asked(
    tx: Tx,
    task: Task,
    attempt: int,
    flow_run_id: str,
    reason: str | None,
    at: datetime,
    *,
    parameters_sha256: str | None = None,
) -> Question:
    """Note that the task's form waits in a flow run; noting the same attempt again points it to the newer run.

    Args:
        tx: The transaction.
        task: The task that is asked about.
        attempt: Counts the forms of this task from 1.
        flow_run_id: The run that waits with the form.
        reason: Why it is asked again; None at the first time.
        at: Now.
        parameters_sha256: Of the parameters that the form shows; None without any.
    """
    question = await tx.session.get(Question, (task.id, attempt))
    if question is None:
        question = Question(task_id=task.id, attempt=attempt, flow_run_id=flow_run_id, reason=reason, asked_at=at)
        tx.session.add(question)
    else:
        question.flow_run_id, question.reason, question.asked_at, question.closed_at = flow_run_id, reason, at, None
    question.parameters_sha256 = parameters_sha256
    await tx.flush()
    return question


async def close(tx: Tx, question: Question, at: datetime, *, refusal: str | None = None) -> None:
    """Note that the form waits no more; `refusal` says why its answer was not taken."""
    question.closed_at = question.closed_at or at
    question.refusal = question.refusal or refusal
    await tx.flush()


async def of_task(tx: Tx, task: Task) -> list[Question]:
    """Return the forms of a task, the first first."""
    wanted = select(Question).where(Question.task_id == task.id).order_by(Question.attempt)
    return list(await tx.session.scalars(wanted))


async def of_tasks(tx: Tx, tasks: Collection[Task]) -> dict[str, list[Question]]:
    """Return the forms of some tasks, by the task's id; the first first."""
    wanted = select(Question).where(Question.task_id.in_([task.id for task in tasks])).order_by(Question.attempt)
    found: dict[str, list[Question]] = {task.id: [] for task in tasks}
    for question in await tx.session.scalars(wanted):
        found[question.task_id].append(question)
    return found


async def of_run(tx: Tx, flow_run_id: str) -> Question | None:
    """Return the form that waits, or waited, in a flow run."""
    found: Question | None = await tx.session.scalar(select(Question).where(Question.flow_run_id == flow_run_id))
    return found


async def open_questions(tx: Tx, case: Case) -> list[tuple[Question, Task]]:
    """Return the forms of a case that still wait, each with its task."""
    wanted = (
        select(Question, Task)
        .join(Task, Task.id == Question.task_id)
        .where(Task.case_id == case.id, Question.closed_at.is_(None))
        .order_by(Task.position, Question.attempt)
    )
    return [(question, task) for question, task in await tx.session.execute(wanted)]
