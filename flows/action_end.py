"""Puts the end of an action on record: outcome, fields, files, observables and notes in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from case_store import cases, evidence, find, models, notes, observables, tasks
from case_store.actor import Actor
from case_store.store import Tx
from flows.actions.contract import Result
from flows.clock import now
from flows.resources import Resources


@dataclass(frozen=True, slots=True)
class Ended:
    """How an action ended.

    Attributes:
        outcome: succeeded, failed, or unknown when nobody can say whether it took effect.
        result: What it found; only when it succeeded.
        error: Why it did not succeed.
        harmless: It can be done again without asking anybody: nothing happened, or doing it twice does no harm.
    """

    outcome: Literal["succeeded", "failed", "unknown"]
    result: Result | None = None
    error: str | None = None
    harmless: bool = False


async def put_on_record(own: Resources, begun: models.Execution, ended: Ended, *, again: bool, by: Actor) -> None:
    """Write the end of an execution; the files' bytes are stored before the transaction begins."""
    result = ended.result or Result()
    stored = [(one, await own.blobs.put(one.content)) for one in result.evidence]
    async with own.store.transaction() as tx:
        case, execution = await find.locked(tx, begun)
        task = await find.task(tx, execution.task_id, lock=True)
        attached = [
            await evidence.attach(
                tx,
                case,
                own.blobs,
                name=one.name,
                content=kept,
                claimed_type=one.media_type,
                task=task,
                by=by,
                at=now(),
            )
            for one, kept in stored
        ]
        await _found(tx, case, task, result, by)
        await tasks.finish_action(
            tx,
            execution,
            outcome=ended.outcome,
            output=dict(result.fields),
            evidence=attached,
            error=ended.error,
            again=again,
            by=by,
            at=now(),
        )


async def _found(tx: Tx, case: models.Case, task: models.Task, result: Result, by: Actor) -> None:
    if result.observables:
        await observables.add(tx, case, list(result.observables), task=task, by=by, at=now())
    for body in result.notes:
        await notes.add(tx, case, body, task=task, author=by, by=by, at=now())
    if result.severity is not None and result.severity != case.severity:
        await cases.set_severity(tx, case, result.severity, by=by, at=now())
