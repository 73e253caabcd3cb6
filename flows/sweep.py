"""The sweep: brings Prefect's side in step with the case store, whatever happened to either.

It finds lost wake-ups, runs whose process is gone, questions whose run is gone, and runs that belong to nothing any
more. If Prefect's database was lost, every open case waits for its people again after one sweep.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed
from sqlalchemy import or_, select

from case_store import find, models, questions, signals
from flows import names, runs
from flows.clock import now
from flows.keep_going import STORE_AWAY, Trouble, keep_going
from flows.prefect_client import AWAY
from flows.relay import deliver
from flows.resources import Resources, resources

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
_SOON = 2.0
_PAGE = 200
_UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]


@dataclass(slots=True)
class Swept:
    """What a sweep repaired, by case number."""

    signalled: list[int] = field(default_factory=list)
    run_again: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    @property
    def anything(self) -> bool:
        """Say whether there was anything to repair."""
        return bool(self.signalled or self.run_again or self.ended)

    def __str__(self) -> str:
        return (
            f"cases told to go on: {_listed(self.signalled)}; runs carried out again: {_listed(self.run_again)}; "
            f"runs ended that belonged to nothing: {_listed(self.ended)}"
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the case store says about the runs of a case."""

    number: int
    case_id: str
    open: bool
    ahead: bool
    flow_run_id: str | None
    questions: Mapping[str, models.Question]


@flow(
    name=names.SWEEP,
    description="Brings Prefect in step with the case store: lost wake-ups, runs without a process, lost databases.",
    persist_result=False,
)
async def sweep() -> str:
    """Sweep once."""
    async with resources() as own, get_client() as client:
        return str(await sweep_once(own, client))


async def keep_sweeping(own: Resources, client: PrefectClient) -> None:
    """Sweep at once and then every minute, until cancelled; sooner again where Prefect did not answer.

    The relay does this and not a schedule of Prefect's: with SQLAlchemy 2.1, Prefect 3.8.8 cannot create scheduled runs
    ("Can't evaluate bulk DML statement"), and an active schedule fills the server's log with that.
    """
    trouble = Trouble("The sweep")

    async def step() -> None:
        swept = await sweep_once(own, client, trouble)
        log.log(logging.INFO if swept.anything else logging.DEBUG, "Swept: %s", swept)

    await keep_going(step, "The sweep", every=EVERY_SECONDS, longest=_SOON, known=AWAY)


async def sweep_once(own: Resources, client: PrefectClient, trouble: Trouble | None = None) -> Swept:
    """Repair what can be repaired; return what was. A case that cannot be keeps no other from it."""
    trouble = trouble or Trouble("The sweep")
    swept = Swept()
    known = await _known(own)
    ids = {one.flow_run_id for one in known if one.flow_run_id} | {run for one in known for run in one.questions}
    found = await runs.read_many(client, ids)
    for one in known:
        try:
            await _repair_case(own, client, one, found, swept)
        except (*AWAY, *STORE_AWAY):
            raise
        except Exception as error:  # noqa: BLE001 - it is said
            trouble.met(error, f"CASE-{one.number}")
    await _end_strays(own, client, known, swept)
    return swept


async def _known(own: Resources) -> list[_Known]:
    async with own.store.reading() as tx:
        asked: dict[str, dict[str, models.Question]] = {}
        rows = await tx.session.execute(
            select(models.Question, models.Task.case_id)
            .join(models.Task, models.Task.id == models.Question.task_id)
            .where(models.Question.closed_at.is_(None))
        )
        for question, case_id in rows:
            asked.setdefault(case_id, {})[question.flow_run_id] = question
        ahead = models.CaseRun.generation > models.CaseRun.advanced_generation
        noted = await tx.session.execute(
            select(models.Case, models.CaseRun)
            .join(models.CaseRun, models.CaseRun.case_id == models.Case.id)
            .where(or_(models.Case.state == "open", ahead, models.Case.id.in_(asked)))
            .order_by(models.Case.number)
        )
        return [
            _Known(
                case.number,
                case.id,
                case.state == "open",
                run.generation > run.advanced_generation,
                run.flow_run_id,
                asked.get(case.id, {}),
            )
            for case, run in noted
        ]


async def _repair_case(
    own: Resources, client: PrefectClient, one: _Known, found: Mapping[str, FlowRun], swept: Swept
) -> None:
    """Have the case go on where its run, or one of its questions, cannot by itself."""
    lost = [question for run_id, question in one.questions.items() if _is_lost(found.get(run_id))]
    stuck = [run for run_id in one.questions if (run := found.get(run_id)) is not None and _is_stuck(own, run)]
    for run in stuck:
        await runs.run_again(client, run, "The process that took the answer is gone; it is read again.")
        swept.run_again.append(one.number)
    root = found.get(one.flow_run_id or "")
    if root is not None and await deliver.has_died(own, one.case_id, root):
        await runs.run_again(client, root, "The process that carried it out is gone.")
        swept.run_again.append(one.number)
    root_is_gone = one.open and _is_lost(root)
    if lost or root_is_gone or (not one.open and one.questions and not one.ahead):
        await _signal(own, one, lost)
        swept.signalled.append(one.number)


async def _signal(own: Resources, one: _Known, lost: list[models.Question]) -> None:
    async with own.store.transaction() as tx:
        at = now()
        for question in lost:
            await questions.close(
                tx, await tx.session.get_one(models.Question, (question.task_id, question.attempt)), at=at
            )
        await signals.raise_(tx, await find.case(tx, one.case_id), at)


async def _end_strays(own: Resources, client: PrefectClient, known: list[_Known], swept: Swept) -> None:
    """End runs of cases that no case knows: they were begun by a process that died before it could note them."""
    ours = {run_id for one in known for run_id in (one.flow_run_id, *one.questions) if run_id}
    roots = [UUID(one.flow_run_id) for one in known if one.flow_run_id]
    for start in range(0, len(roots), _PAGE):
        below = FlowRunFilterParentFlowRunId(any_=roots[start : start + _PAGE])
        ours |= {str(run.id) for run in await _all(client, FlowRunFilter(parent_flow_run_id=below))}
    unfinished = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[names.TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
    )
    for run in await _all(client, unfinished):
        if str(run.id) not in ours and await _is_stray(own, run):
            await runs.end(client, run, Crashed(message="It belongs to no case any more; another run took over."))
            swept.ended.append(names.number_of(run.tags) or 0)


async def _all(client: PrefectClient, wanted: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    while page := await client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found)):
        found += page
    return found


async def _is_stray(own: Resources, run: FlowRun) -> bool:
    """Say whether a run is too old to be just beginning, and really nobody's: what was read may be outdated by now."""
    number = names.number_of(run.tags)
    if number is None or run.created is None or now() - run.created < own.settings.orphan_after:
        return False
    async with own.store.reading() as tx:
        noted = await signals.run_of(tx, (await find.case(tx, number)).id)
        question = await questions.of_run(tx, str(run.id))
    return str(run.id) != noted.flow_run_id and (question is None or question.closed_at is not None)


def _is_lost(run: FlowRun | None) -> bool:
    return run is None or run.state is None or run.state.is_final()


def _is_stuck(own: Resources, run: FlowRun) -> bool:
    return runs.has_stalled(run, own.settings.orphan_after)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, sorted(set(numbers)))) or "none"
