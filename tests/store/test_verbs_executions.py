"""The engine runs actions: every run is on record, and none counts twice."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select

from case_store import audit, cases, evidence, stages, tasks
from case_store.actor import Actor
from case_store.blobs import Blobs
from case_store.find import stage_of
from case_store.lifecycle import NotAllowedNow
from case_store.models import Execution, OutboxEntry, Stage, Task
from case_store.refusals import NotAsApproved, StaleExecution, TasksOpen
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

INPUTS = {"evidence": "e1"}


async def start(tx: Tx, drill: World, key: str = "extract", **options: object) -> Execution:
    options = {"run_id": "run-1", "code_version": "note 1.0", "inputs": INPUTS, "by": ENGINE, "at": NOW, **options}
    return await tasks.start_action(tx, await world.task(tx, drill, key), **options)


async def finish(tx: Tx, run: Execution, outcome: str = "succeeded", **options: object) -> Task:
    options = {"output": {"count": 2}, "by": ENGINE, "at": LATER, **options}
    return await tasks.finish_action(tx, run, outcome=outcome, **options)


async def types(tx: Tx, drill: World) -> list[str]:
    trail = await audit.tail(tx, 0, drill.case, limit=1000)
    return [event.type for event in trail if not event.type.endswith("planned")]


async def test_a_run_from_start_to_end(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        run = await start(tx, drill)
        assert (await world.task(tx, drill, "extract")).state == "running"
    async with store.transaction() as tx:
        task = await finish(tx, run)
        assert (task.state, task.result, task.closed_at, task.closed_by_id) == ("done", {"count": 2}, LATER, None)
    async with store.reading() as tx:
        run = (await tx.session.scalars(select(Execution))).one()
        assert (run.number, run.run_id, run.code_version, run.inputs) == (1, "run-1", "note 1.0", INPUTS)
        assert (run.started_at, run.ended_at, run.duration_ms, run.outcome) == (NOW, LATER, 600_000, "succeeded")
        assert run.sha256 == hashlib.sha256(b'{"count":2}').hexdigest()
        assert await types(tx, drill) == [
            "case.opened",
            "execution.started",
            "task.started",
            "execution.ended",
            "task.done",
        ]


async def test_the_first_evidence_is_the_result_of_the_run(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        run = await start(tx, drill)
        blobs = Blobs(store.blobs)
        attached = [
            await evidence.attach(tx, drill.case, blobs, name=name, content=name.encode(), by=ENGINE, at=NOW)
            for name in ("result.json", "log.txt")
        ]
        await finish(tx, run, evidence=attached)
        assert run.evidence_id == attached[0].id
        assert run.sha256 == hashlib.sha256(b"result.json").hexdigest()


@pytest.mark.parametrize(("outcome", "state"), [("failed", "failed"), ("unknown", "unknown_outcome")])
async def test_a_run_that_went_wrong_asks_a_person(store: CaseStore, outcome: str, state: str):
    drill = await world.build(store)
    async with store.transaction() as tx:
        task = await finish(tx, await start(tx, drill), outcome, output={}, error="connection reset")
        assert (task.state, task.reason, task.closed_at, task.owner_role) == (state, "connection reset", None, "tier1")
        assert (task.opened_at, task.due_at) == (LATER, LATER + timedelta(minutes=15)), "its time runs from now"
    async with store.reading() as tx:
        entries = (await tx.session.scalars(select(OutboxEntry))).all()
        assert {entry.recipient_id for entry in entries} == {drill.ada.id, drill.bob.id}
        words = {"failed": "its action failed", "unknown": "nobody knows whether its action worked"}[outcome]
        assert entries[0].context["task"]["title"] == f"Extract observables ({words})"


async def test_trying_again_by_itself_asks_nobody(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        task = await finish(tx, await start(tx, drill), "failed", error="503", again=True)
        assert task.state == "running"
        task = await finish(tx, await start(tx, drill, run_id="run-2"))
        assert task.state == "done"
        runs = (await tx.session.execute(select(Execution.number, Execution.outcome).order_by(Execution.number))).all()
        assert [tuple(run) for run in runs] == [(1, "failed"), (2, "succeeded")]
        assert (await tx.session.scalars(select(OutboxEntry))).all() == []


async def test_a_result_counts_once(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        run = await start(tx, drill)
        await finish(tx, run)
    for outcome in ("succeeded", "failed", "unknown"):
        with pytest.raises(StaleExecution, match="run 1 of task 'extract' of CASE-1 ended as succeeded"):
            async with store.transaction() as tx:
                await finish(tx, run, outcome)


async def test_a_run_whose_place_was_taken_is_refused(store: CaseStore):
    """A worker that was asleep comes back with a result, when a later run is already under way."""
    drill = await world.build(store)
    async with store.transaction() as tx:
        first = await start(tx, drill)
    async with store.transaction() as tx:
        second = await start(tx, drill, run_id="run-2", at=LATER)
        assert second.number == 2
    with pytest.raises(StaleExecution, match=r"run 1 .* ended as unknown"):
        async with store.transaction() as tx:
            await finish(tx, first)
    async with store.transaction() as tx:
        assert (await tasks.running_execution(tx, await world.task(tx, drill, "extract"))).id == second.id
        assert (await finish(tx, second)).state == "done"
        assert await tasks.running_execution(tx, await world.task(tx, drill, "extract")) is None


async def test_an_unknown_outcome_is_never_run_again_without_a_person(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        await finish(tx, await start(tx, drill), "unknown", error="the process died")
    with pytest.raises(NotAllowedNow, match="is unknown_outcome and cannot become running"):
        async with store.transaction() as tx:
            await start(tx, drill)
    async with store.transaction() as tx:
        await tasks.retry(
            tx,
            await world.task(tx, drill, "extract"),
            signed_by=drill.ada,
            via="cli",
            by=Actor.person(drill.ada),
            at=LATER,
        )
        assert (await start(tx, drill)).number == 2


async def test_a_result_that_comes_after_the_case_was_cancelled_is_kept(store: CaseStore):
    """The action had its effect: the record says so, and the task stays cancelled."""
    drill = await world.build(store)
    async with store.transaction() as tx:
        run = await start(tx, drill)
        await cases.cancel(tx, drill.case, "twice", by=SYSTEM, at=LATER)
    async with store.transaction() as tx:
        task = await finish(tx, run)
        assert (task.state, task.result) == ("cancelled", None)
    async with store.reading() as tx:
        assert (await tx.session.scalars(select(Execution.outcome))).all() == ["succeeded"]


async def test_an_action_runs_only_as_it_was_approved(store: CaseStore):
    drill = await world.build(store)
    approved = {"url": "https://gateway.example/block", "times": [1, 2]}
    with pytest.raises(NotAllowedNow, match="has not been approved"):
        async with store.transaction() as tx:
            await start(tx, drill, "block", inputs=approved)
    async with store.transaction() as tx:
        block = await world.task(tx, drill, "block")
        await tasks.ask(tx, block, parameters=approved, due_at=None, by=ENGINE, at=NOW)
    with pytest.raises(NotAllowedNow, match="has not been approved"):
        async with store.transaction() as tx:
            await start(tx, drill, "block", inputs=approved)
    async with store.transaction() as tx:
        block = await world.task(tx, drill, "block")
        await tasks.approve(tx, block, signed_by=drill.mia, via="cli", by=Actor.person(drill.mia), at=NOW)
    for other in ({}, {**approved, "url": "https://gateway.example/all"}, {**approved, "more": 1}):
        with pytest.raises(NotAsApproved):
            async with store.transaction() as tx:
                await start(tx, drill, "block", inputs=other)
    async with store.transaction() as tx:
        assert (await finish(tx, await start(tx, drill, "block", inputs=approved))).state == "done"


# ---- conditions and stages -----------------------------------------------------------------------------------------


async def test_a_condition_that_is_not_met_closes_the_task_and_is_kept(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        tidy = await world.task(tx, drill, "tidy")
        facts = {"condition": 'tasks.block.decision == "approved"', "no_answer": "nobody decided"}
        await tasks.decide_condition(tx, tidy, met=False, facts=facts, by=ENGINE, at=NOW)
        await tasks.decide_condition(tx, tidy, met=True, facts={}, by=ENGINE, at=LATER)
        assert (tidy.state, tidy.condition_met, tidy.closed_at) == ("not_applicable", False, NOW)
    async with store.transaction() as tx:
        confirm = await world.task(tx, drill, "confirm")
        await tasks.decide_condition(tx, confirm, met=True, facts=facts, by=ENGINE, at=NOW)
        await tasks.decide_condition(tx, confirm, met=False, facts=facts, by=ENGINE, at=LATER)
        assert (confirm.state, confirm.condition_met) == ("waiting", True)
    async with store.reading() as tx:
        trail = await audit.tail(tx, 0, drill.case, limit=1000)
        assert [event.type for event in trail][-2:] == ["task.not_applicable", "task.condition_met"]
        assert '"no_answer":"nobody decided"' in trail[-1].body


async def test_a_stage_that_does_not_apply_takes_its_tasks_along(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        contain = await stage_of(tx, drill.case, "contain")
        await stages.decide_condition(tx, contain, met=False, facts={"condition": "false"}, by=ENGINE, at=NOW)
        await stages.decide_condition(tx, contain, met=True, facts={}, by=ENGINE, at=NOW)
        assert (contain.state, contain.condition_met, contain.closed_at) == ("not_applicable", False, NOW)
        states = await tx.session.scalars(select(Task.state).where(Task.stage_id == contain.id))
        assert set(states) == {"not_applicable"}
        assert (await world.task(tx, drill, "extract")).state == "waiting"
    with pytest.raises(NotAllowedNow, match="stage 'contain' of CASE-1 is not_applicable"):
        async with store.transaction() as tx:
            await stages.activate(tx, contain, due_at=None, by=ENGINE, at=NOW)


async def test_a_stage_runs_and_finishes_once(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        contain = await stage_of(tx, drill.case, "contain")
        await stages.decide_condition(tx, contain, met=True, facts={}, by=ENGINE, at=NOW)
        for at in (NOW, LATER):
            await stages.activate(tx, contain, due_at=LATER, by=ENGINE, at=at)
        assert (contain.state, contain.started_at, contain.due_at) == ("active", NOW, LATER)
    with pytest.raises(TasksOpen, match="stage 'contain' of CASE-1 has open tasks: block, sign-off, tidy"):
        async with store.transaction() as tx:
            await stages.finish(tx, contain, by=ENGINE, at=LATER)
    async with store.transaction() as tx:
        for key in ("block", "sign-off", "tidy"):
            task = await world.task(tx, drill, key)
            await tasks.decide_condition(tx, task, met=False, facts={}, by=ENGINE, at=NOW)
        for at in (NOW, LATER):
            contain = await stages.finish(tx, contain, by=ENGINE, at=at)
        assert (contain.state, contain.closed_at) == ("done", NOW)
    async with store.reading() as tx:
        happened = await types(tx, drill)
        assert happened.count("stage.started") == happened.count("stage.finished") == 1
        assert happened.count("stage.condition_met") == 1
        assert await tx.session.scalar(select(Stage.version).where(Stage.id == contain.id)) == 4
