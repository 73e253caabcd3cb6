"""Keeps the questions in Prefect in step with the tasks of a case.

Each task that needs a person has one open question; a task that was decided elsewhere (command line, console, link) has
its question completed; a question that was answered wrongly is asked again, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from sqlalchemy import select

from case_store import lifecycle, models, questions
from case_store.store import Tx
from case_store.tasks import given, parameters_sha256
from flows import questions as prefect_questions
from flows import runs
from flows.clock import now
from flows.question_form import Facts
from flows.questions import Place
from flows.resources import Resources
from flows.steps import View

_Stale = tuple[models.Question, models.Task]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question to be asked: the task, and what its form tells."""

    task: models.Task
    facts: Facts


async def keep_asked(own: Resources, client: PrefectClient, view: View, run_id: UUID, *, busy: Collection[str]) -> None:
    """Ask what must be asked in a stage and is not; close what needs no answer any more.

    `busy` are the keys of tasks whose action is being carried out: whatever their state says at the moment, nobody is
    asked about them.
    """
    async with own.store.reading() as tx:
        stale = await _stale(tx, view.case)
        wanted = [] if stale else await _unasked(tx, view.case, view.stage, busy)
    if stale:  # one that shows other parameters is asked again, once it is closed
        await _close_all(own, client, stale)
        async with own.store.reading() as tx:
            wanted = await _unasked(tx, view.case, view.stage, busy)
    place = Place(view.case.number, view.stage.key, run_id)
    await asyncio.gather(
        *(
            prefect_questions.ask(client, own.store, place, one.task, view.sop.task(one.task.key), one.facts, now())
            for one in wanted
        ),
    )


async def close_stale(own: Resources, client: PrefectClient, case: models.Case) -> None:
    """Close the open questions of a case whose tasks need no person any more."""
    async with own.store.reading() as tx:
        stale = await _stale(tx, case)
    await _close_all(own, client, stale)


async def _close_all(own: Resources, client: PrefectClient, stale: Sequence[_Stale]) -> None:
    await asyncio.gather(*(_close(own, client, question, task) for question, task in stale))


async def _stale(tx: Tx, case: models.Case) -> list[_Stale]:
    waiting = await questions.open_questions(tx, case)
    return [(question, task) for question, task in waiting if not _asks(task) or _shows_others(question, task)]


def _shows_others(question: models.Question, task: models.Task) -> bool:
    shown = question.parameters_sha256
    return shown is not None and shown != parameters_sha256(task.parameters)


async def _close(own: Resources, client: PrefectClient, question: models.Question, task: models.Task) -> None:
    run = await runs.read(client, question.flow_run_id)
    if run is not None and run.state is not None and not (run.state.is_paused() or run.state.is_final()):
        return  # somebody has just answered it: that run finds the decision, says so and closes the question itself
    await runs.complete(client, question.flow_run_id, _how_it_closed(task))
    async with own.store.transaction() as tx:
        await questions.close(
            tx, await tx.session.get_one(models.Question, (question.task_id, question.attempt)), at=now()
        )


def _how_it_closed(task: models.Task) -> str:
    if _asks(task):
        return "The parameters have changed; another form asks about those of now."
    who = f" by {task.signed_by}" if task.signed_by else ""
    where = f" through {task.decided_via}" if task.decided_via else ""
    return f"{task.state.replace('_', ' ').capitalize()}{who}{where}; this form is not needed any more."


async def _unasked(tx: Tx, case: models.Case, stage: models.Stage, busy: Collection[str]) -> list[_Asked]:
    tasks = (await tx.session.scalars(select(models.Task).where(models.Task.stage_id == stage.id))).all()
    asking = [task for task in tasks if _asks(task) and task.key not in busy]
    if not asking:
        return []
    asked = await questions.of_tasks(tx, asking)
    people = (await tx.session.scalars(select(models.Person).order_by(models.Person.handle))).all()
    return [
        _Asked(task, _facts(case, stage, task, asked[task.id], people, await given(tx, task)))
        for task in asking
        if all(question.closed_at is not None for question in asked[task.id])
    ]


def _facts(
    case: models.Case,
    stage: models.Stage,
    task: models.Task,
    before: Sequence[models.Question],
    people: Sequence[models.Person],
    approvals: Sequence[models.Approval],
) -> Facts:
    last = before[-1] if before else None
    return Facts(
        number=case.number,
        stage=stage.title,
        state=task.state,
        owner=next((f"{one.name} ({one.handle})" for one in people if one.id == task.owner_id), None)
        or (f"role {task.owner_role}" if task.owner_role else "nobody yet"),
        due_at=task.due_at,
        parameters=task.parameters,
        attempt=(last.attempt if last else 0) + 1,
        reason=(last.refusal if last and last.refusal else None) or task.reason,
        people=[one.handle for one in people if one.active],
        approved_by=[one.handle for approval in approvals for one in people if one.id == approval.person_id],
    )


def _asks(task: models.Task) -> bool:
    return task.state in lifecycle.ASKS_A_PERSON
