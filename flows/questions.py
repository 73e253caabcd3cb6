"""Asks people in the Prefect UI: one child run per question, created in Suspended with a form, and no process.

The child hangs below the stage's run, so both UIs draw it there. The case store notes each question after all of it is
in Prefect, so a question that was begun and interrupted is simply asked again: its idempotency key finds the same run.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from httpx import HTTPStatusError
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound
from prefect.input import keyset_from_paused_state
from prefect.input.run_input import Keyset, keyset_from_base_key
from prefect.states import Pending, Suspended
from prefect.tasks import Task as PrefectTask

from case_store import models, questions
from case_store.store import CaseStore
from case_store.tasks import parameters_sha256
from flows import names, question_form, runs
from flows.question_form import Facts
from sop import model

_ALREADY_THERE = 409


@dataclass(frozen=True, slots=True)
class Place:
    """Where in Prefect a question is shown: below the run of a stage."""

    number: int
    stage_key: str
    stage_run_id: UUID


async def ask(
    client: PrefectClient,
    store: CaseStore,
    place: Place,
    task: models.Task,
    sop_task: model.Task,
    facts: Facts,
    at: datetime,
) -> None:
    """Ask a person about a task, and note that it was asked."""
    deployment, parent = await asyncio.gather(
        runs.deployment_id(client, names.MANUAL_TASK),
        client.create_task_run(
            task=PrefectTask(fn=_waits, name=sop_task.title),
            flow_run_id=place.stage_run_id,
            dynamic_key=f"{task.key}-{facts.attempt}",
            name=f"{sop_task.title} ({facts.attempt})" if facts.attempt > 1 else sop_task.title,
            state=Pending(),
            extra_tags=[names.TAG, names.case_tag(place.number)],
        ),
    )
    state, keyset = _waiting_state(task.id, facts.attempt)
    create = partial(
        client.create_flow_run_from_deployment,
        deployment,
        parameters={"task_id": task.id, "attempt": facts.attempt},
        state=state,
        name=names.run_name(place.number, place.stage_key, sop_task.title),
        tags=[names.TAG, names.QUESTION_TAG, names.case_tag(place.number)],
        parent_task_run_id=parent.id,
    )
    key = f"question:{task.id}:{facts.attempt}"
    run = await create(idempotency_key=key)
    while run.state is None or run.state.is_final():  # it was begun, not noted, and the sweep has ended it
        run = await create(idempotency_key=f"{key}:{run.id}")
    await asyncio.gather(
        _save(client, run.id, keyset["schema"], question_form.schema(sop_task, facts)),
        _save(client, run.id, keyset["description"], question_form.description(sop_task, facts)),
    )
    async with store.transaction() as tx:
        shown = parameters_sha256(task.parameters) if sop_task.approval is not None else None
        await questions.asked(tx, task, facts.attempt, str(run.id), reason=facts.reason, at=at, parameters_sha256=shown)


async def answer_to(client: PrefectClient, run_id: UUID, task_id: str, attempt: int) -> dict[str, object]:
    """Return what was entered into a question's form.

    Raises:
        LookupError: The run was started without the form.
    """
    keyset = keyset_from_base_key(f"suspended-{_pause_key(task_id, attempt)}")
    try:
        text = await client.read_flow_run_input(flow_run_id=run_id, key=keyset["response"])
    except ObjectNotFound:
        text = "{}"
    entered: dict[str, object] = json.loads(text)
    if not entered:
        raise LookupError("the run was started without an answer in its form")
    return entered


def _waiting_state(task_id: str, attempt: int) -> tuple[State[None], Keyset]:
    state: State[None] = Suspended(timeout_seconds=None, pause_key=_pause_key(task_id, attempt))
    keyset = keyset_from_paused_state(state)
    state.state_details.run_input_keyset = {str(key): value for key, value in keyset.items()}
    return state, keyset


def _pause_key(task_id: str, attempt: int) -> str:
    return f"{task_id}-{attempt}"


async def _save(client: PrefectClient, run_id: UUID, key: str, value: object) -> None:
    try:
        await client.create_flow_run_input(flow_run_id=run_id, key=key, value=json.dumps(value))
    except HTTPStatusError as error:
        if error.response.status_code != _ALREADY_THERE:
            raise


def _waits() -> None:
    """Stands for the person in the task run that a question hangs below; it is never called."""
