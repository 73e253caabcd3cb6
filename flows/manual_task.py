"""What runs when somebody answers a form: the answer is put on record, or refused with the reason.

The run has waited in Suspended since it was created and executes only now, for a moment.
"""

from __future__ import annotations

from uuid import UUID

from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from case_store import find, models, questions, signals, sops
from case_store.actor import Actor
from case_store.errors import StoreError, StoreUnavailable
from case_store.refusals import AlreadyDecided
from case_store.store import Tx
from case_store.tasks.guards import refuse_closed
from flows import decisions, names, question_form, sign_off, wake
from flows import questions as prefect_questions
from flows.clock import now
from flows.resources import Resources, resources

VIA = "Prefect UI"

_SIGNED = frozenset({"approve", "reject", "skip"})


@flow(
    name=names.MANUAL_TASK,
    description=(
        "A task that waits for a person. Press **Resume**, fill in the form, submit. "
        "Its runs are created by cases; do not run it by itself."
    ),
    persist_result=False,
)
async def manual_task(task_id: str, attempt: int) -> State[None]:
    """Put the answer to a task's form on record."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("manual-task runs as a flow run")
    run_id = context.flow_run.id
    async with resources() as own, get_client() as client:
        try:
            return await _put_on_record(own, client, run_id, task_id, attempt)
        finally:
            wake.relay()


async def _put_on_record(
    own: Resources, client: PrefectClient, run_id: UUID, task_id: str, attempt: int
) -> State[None]:
    try:
        entered = await prefect_questions.answer_to(client, run_id, task_id, attempt)
        message = await _decide(own, run_id, task_id, entered)
    except StoreUnavailable:
        raise  # nothing is wrong with the answer: the sweep has the run carried out again
    except AlreadyDecided as error:
        await _close(own, task_id, attempt, run_id)
        return Completed(name="AlreadyDecided", message=f"{error} Your answer was not used.")
    except (StoreError, LookupError) as error:
        reason = error.diagnostics() if isinstance(error, StoreError) else str(error)
        await _close(own, task_id, attempt, run_id, refusal=reason)
        # A run that was created in Suspended counts as run no. 0, so Prefect would try it again; it does not when the
        # state is forced.
        await client.set_flow_run_state(run_id, _refused(reason), force=True)
        return _refused(reason)
    return Completed(message=message)


def _refused(reason: str) -> State[None]:
    return Failed(name="Refused", message=f"{reason}\nThe task is asked again.")


async def _decide(own: Resources, run_id: UUID, task_id: str, entered: dict[str, object]) -> str:
    """Put the answer on record, or refuse it; that a code was wrong stays on record with the refusal."""
    async with own.store.transaction(request_id=str(run_id)) as tx:
        task = await find.task(tx, task_id, lock=True)
        refuse_closed(await find.case(tx, task.case_id), task)
        wanted = (await sops.pinned(tx, await find.case(tx, task.case_id))).sop.task(task.key)
        answer = question_form.read(wanted, entered)
        signer = await find.person(tx, answer.signed_by)
        refusal, channel = None, None
        if answer.decision in _SIGNED and question_form.asks_code(wanted, task.state):
            refusal, channel = await sign_off.check(tx, task, signer, answer.code, by=Actor.run(run_id), at=now())
        if refusal is None:
            await _to_the_record(tx, run_id, task, answer, signer)
    if refusal is not None:
        raise refusal
    return f"{answer.decision.capitalize()} by {signer.handle}" + (
        f", verified with a code by {channel}." if channel else "."
    )


async def _to_the_record(
    tx: Tx, run_id: UUID, task: models.Task, answer: question_form.Answer, signer: models.Person
) -> None:
    asked = [one for one in await questions.of_task(tx, task) if one.flow_run_id == str(run_id)]
    seen = asked[-1].parameters_sha256 if asked else None
    await decisions.decide(tx, task, answer, seen=seen, signed_by=signer, via=VIA, by=Actor.person(signer), at=now())
    for question in asked:
        await questions.close(tx, question, at=now())


async def _close(own: Resources, task_id: str, attempt: int, run_id: UUID, refusal: str | None = None) -> None:
    """Close this question; the case moves, so that the next pass asks again if it must."""
    async with own.store.transaction(request_id=str(run_id)) as tx:
        task = await find.task(tx, task_id)
        question = await tx.session.get(models.Question, (task_id, attempt))
        if question is not None:
            await questions.close(tx, question, at=now(), refusal=refusal)
        await signals.raise_(tx, await find.case(tx, task.case_id), at=now())
