"""From what somebody entered to the verb that puts it on record."""

from __future__ import annotations

from datetime import datetime

from case_store import models, tasks
from case_store.actor import Actor
from case_store.forms import FormRefused
from case_store.store import Tx
from flows.question_form import Answer


async def decide(
    tx: Tx,
    task: models.Task,
    answer: Answer,
    *,
    seen: str | None,
    signed_by: models.Person,
    via: str,
    by: Actor,
    at: datetime,
) -> None:
    """Put an answer on record; `seen` is the SHA-256 of the parameters that its form showed.

    Raises:
        FormRefused: There is no such decision.
        StoreError: The verb refuses it; see `case_store.tasks`.
    """
    note, over = answer.note, answer.take_over
    match answer.decision:
        case "done":
            await tasks.complete(
                tx,
                task,
                form_values=answer.values,
                note=note,
                take_over=over,
                signed_by=signed_by,
                via=via,
                by=by,
                at=at,
            )
        case "approve":
            await tasks.approve(
                tx, task, note=note, take_over=over, seen=seen, signed_by=signed_by, via=via, by=by, at=at
            )
        case "reject":
            await tasks.reject(
                tx, task, note=note, take_over=over, seen=seen, signed_by=signed_by, via=via, by=by, at=at
            )
        case "skip":
            await tasks.skip(tx, task, note or "", take_over=over, signed_by=signed_by, via=via, by=by, at=at)
        case "retry":
            await tasks.retry(tx, task, note=note, take_over=over, signed_by=signed_by, via=via, by=by, at=at)
        case other:
            raise FormRefused([f"decision: {other!r} is none of done, approve, reject, skip, retry"])
