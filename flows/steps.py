"""What a stage does in the case store: decides conditions, opens tasks, takes note of actions that were interrupted.

Each step is one transaction and begins by reading, so it can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select

from case_store import models, progress, scope, sla, sops, stages, tasks
from case_store.actor import Actor
from case_store.lifecycle import ASKS_A_PERSON
from case_store.progress import Next, TaskFacts
from case_store.refusals import NotFound
from case_store.store import Tx
from flows.clock import now
from flows.resources import Resources
from sop import conditions, model
from sop.errors import ConditionFailed

# Made once: a pass reads this after each step.
_IN_STAGE: Final = (
    select(models.Case, models.Stage, models.Task)
    .join(models.Stage, models.Stage.case_id == models.Case.id)
    .join(models.Task, models.Task.stage_id == models.Stage.id)
    .where(models.Case.id == bindparam("case_id"), models.Stage.key == bindparam("stage_key"))
    .order_by(models.Task.position)
)


@dataclass(frozen=True, slots=True)
class View:
    """A stage as it is in the case store, and what comes next in it."""

    case: models.Case
    sop: model.Sop
    stage: models.Stage
    tasks: dict[str, models.Task]
    plan: Next

    @property
    def over(self) -> bool:
        """Say whether nothing is left to do here."""
        return self.plan.done or self.case.state != "open"

    @property
    def asks(self) -> bool:
        """Say whether a task here asks a person."""
        return any(task.state in ASKS_A_PERSON for task in self.tasks.values())

    @property
    def states(self) -> tuple[tuple[str, str], ...]:
        """Return the state of each task, to see whether something changed."""
        return tuple((key, task.state) for key, task in self.tasks.items())


async def advance(own: Resources, case_id: str, stage_key: str, *, by: Actor) -> View:
    """Decide what can be decided and open what can be opened; return what comes next."""
    async with own.store.reading() as tx:
        view = await _view(tx, case_id, stage_key)
    while not view.over and (view.plan.decide or view.plan.ask):
        async with own.store.transaction() as tx:
            view = await _view(tx, case_id, stage_key)
            if view.over:
                break
            await _decide_and_open(tx, view, by)
            view = await _view(tx, case_id, stage_key)
    return view


async def recover(own: Resources, case_id: str, stage_key: str, *, by: Actor) -> None:
    """Take note of actions whose process died: none of them is still being carried out, for this run has the lease.

    An idempotent action is simply started again. Of any other nobody knows whether it took effect: a person is asked.
    """
    async with own.store.transaction() as tx:
        view = await _view(tx, case_id, stage_key)
        for task in view.tasks.values():
            if task.state == "running":
                await _interrupted(own, tx, view, task, by)


async def _interrupted(own: Resources, tx: Tx, view: View, task: models.Task, by: Actor) -> None:
    spec = own.actions.get(view.sop.task(task.key).action or "")
    if spec is not None and spec.idempotent:
        return
    execution = await tasks.running_execution(tx, task)
    if execution is not None:
        await tasks.finish_action(
            tx, execution, outcome="unknown", output={}, error="The process that ran it died.", by=by, at=now()
        )


async def finish(own: Resources, case_id: str, stage_key: str, *, by: Actor) -> None:
    """Close a stage whose tasks are all closed."""
    async with own.store.transaction() as tx:
        view = await _view(tx, case_id, stage_key)
        if view.plan.done and view.stage.state == "active":
            await stages.finish(tx, view.stage, by=by, at=now())


async def _view(tx: Tx, case_id: str, stage_key: str) -> View:
    found = (await tx.session.execute(_IN_STAGE, {"case_id": case_id, "stage_key": stage_key})).all()
    if not found:
        raise NotFound(f"case {case_id} has no stage {stage_key!r}", next_step="see: casewright case show NUMBER")
    case, stage, _ = found[0]
    sop = (await sops.pinned(tx, case)).sop
    rows = {task.key: task for _, _, task in found}
    facts = {key: TaskFacts(task.state, task.decision, task.condition_met) for key, task in rows.items()}
    return View(case, sop, stage, rows, progress.ready(sop.stage(stage_key), facts))


async def _decide_and_open(tx: Tx, view: View, by: Actor) -> None:
    wanted_now = [view.sop.task(key) for key in (*view.plan.decide, *view.plan.ask)]
    named = conditions.roots(*(part for task in wanted_now for part in (task.when, task.with_)))
    known = await scope.of_case(tx, view.case, named)
    for key in view.plan.decide:
        met, facts = answer(view.sop.task(key).when, known)
        await tasks.decide_condition(tx, view.tasks[key], met, facts, by=by, at=now())
    for key in view.plan.ask:
        wanted = view.sop.task(key)
        at = now()
        due_at = sla.due(tx, view.case, view.sop, wanted.sla, at)
        await tasks.ask(tx, view.tasks[key], parameters=tasks.parameters_of(wanted, known), due_at=due_at, by=by, at=at)


def answer(condition: str | None, known: conditions.Scope) -> tuple[bool, dict[str, object]]:
    """Return whether a condition is met, and what is put on record about it.

    A condition without an answer (a value is missing) counts as met: what an SOP demands is rather done once too often
    than left out because of a gap in the data; the record says why.
    """
    if condition is None:
        return True, {}
    try:
        return conditions.evaluate(condition, known), {"condition": condition}
    except ConditionFailed as failed:
        return True, {"condition": condition, "no_answer": str(failed)}
