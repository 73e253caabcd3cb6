"""What Prefect shows about a case: an artifact with its progress and one with the table of its tasks."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from sqlalchemy import select

from case_store import find, lifecycle, models
from case_store.store import Tx
from flows.resources import Resources


async def show(own: Resources, client: PrefectClient, case_id: str, run_id: UUID) -> None:
    """Show how far a case is. Titles are the SOP's; nothing of the case itself is told."""
    async with own.store.reading() as tx:
        case = await find.case(tx, case_id)
        tasks, people, titles = await _read(tx, case)
    done = sum(lifecycle.closed("task", task.state) for task in tasks)
    progress = ArtifactCreate(
        key=f"case-{case.number}-progress",
        type="progress",
        description=f"CASE-{case.number}: {done} of {len(tasks)} tasks closed, case {case.state}",
        data=round(100 * done / len(tasks), 1),
        flow_run_id=run_id,
    )
    table = ArtifactCreate(
        key=f"case-{case.number}-tasks",
        type="table",
        description=f"Tasks of CASE-{case.number}",
        data=json.dumps([_row(task, people, titles) for task in tasks]),
        flow_run_id=run_id,
    )
    await asyncio.gather(client.create_artifact(progress), client.create_artifact(table))


async def _read(tx: Tx, case: models.Case) -> tuple[list[models.Task], dict[str, str], dict[str, str]]:
    stages = (await tx.session.scalars(select(models.Stage).where(models.Stage.case_id == case.id))).all()
    order = {stage.id: stage.position for stage in stages}
    found = (await tx.session.scalars(select(models.Task).where(models.Task.case_id == case.id))).all()
    tasks = sorted(found, key=lambda task: (order[task.stage_id], task.position))
    owners = {task.owner_id for task in tasks if task.owner_id}
    people = await tx.session.scalars(select(models.Person).where(models.Person.id.in_(owners)))
    return tasks, {one.id: one.handle for one in people}, {stage.id: stage.title for stage in stages}


def _row(task: models.Task, people: dict[str, str], titles: dict[str, str]) -> dict[str, str]:
    return {
        "stage": titles[task.stage_id],
        "task": task.title,
        "kind": task.kind,
        "state": task.state.replace("_", " "),
        "owner": people.get(task.owner_id or "", f"role {task.owner_role}" if task.owner_role else ""),
        "due": f"{task.due_at:%Y-%m-%d %H:%M} UTC" if task.due_at else "",
    }
