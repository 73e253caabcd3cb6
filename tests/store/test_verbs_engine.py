"""Signals, passes and questions: what the engine notes for itself."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from case_store import cases, questions, signals
from case_store.refusals import NotFound, PassBusy
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store import world
from tests.store.world import LATER, NOW, SYSTEM

UNTIL = NOW + timedelta(minutes=1)


async def test_a_signal_stays_until_the_engine_has_advanced(store: CaseStore):
    drill = await world.build(store)
    case_id = drill.case.id
    async with store.transaction() as tx:
        generation = await signals.begin_pass(tx, case_id, "p1", UNTIL, NOW)
        assert generation == 1
        await signals.raise_(tx, drill.case, LATER)
        assert await signals.end_pass(tx, case_id, "p1", generation)
    async with store.transaction() as tx:
        assert await signals.due(tx, LATER - timedelta(seconds=1)) == []
        (signal,) = await signals.due(tx, LATER)
        assert (signal.generation, signal.advanced, signal.flow_run_id) == (2, 1, None)
        await signals.bind_run(tx, case_id, "run-1")
        await signals.postpone(tx, case_id, LATER + timedelta(seconds=5))
        assert await signals.due(tx, LATER) == []
        (signal,) = await signals.due(tx, LATER + timedelta(seconds=5))
        assert (signal.attempts, signal.flow_run_id) == (1, "run-1")
        await signals.raise_(tx, drill.case, LATER)
        assert (await signals.due(tx, LATER))[0].attempts == 0
        assert await signals.begin_pass(tx, case_id, "p2", UNTIL, NOW) == 3
        assert await signals.end_pass(tx, case_id, "p2", 3)
        assert await signals.due(tx, LATER) == []


async def test_the_longest_waiting_signal_comes_first(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        for number in range(3):
            at = NOW - timedelta(minutes=number)
            await cases.open_case(tx, world.sop(), "More", by=SYSTEM, at=at)
        await signals.raise_(tx, drill.case, LATER)
        assert [signal.number for signal in await signals.due(tx, LATER)] == [4, 3, 2, 1]
        assert [signal.number for signal in await signals.due(tx, LATER, 2)] == [4, 3]


async def test_one_pass_at_a_time(store: CaseStore):
    drill = await world.build(store)

    async def begin(token: str, at=NOW) -> int:
        async with store.transaction() as tx:
            return await signals.begin_pass(tx, drill.case.id, token, at + timedelta(minutes=1), at)

    results = await asyncio.gather(begin("p1"), begin("p2"), begin("p3"), return_exceptions=True)
    assert sorted(map(type, results), key=str) == sorted([int, PassBusy, PassBusy], key=str)
    winner = f"p{results.index(1) + 1}"
    assert await begin(winner) == 1, "the same pass may begin again"
    assert await begin("late", UNTIL) == 1, "a pass that let its time run out is believed dead"


async def test_passes_that_begin_at_the_same_moment(postgres_database: str, tmp_path: Path):
    """SQLite begins the second transaction when the first is over; on PostgreSQL both look before either has begun."""
    store = await CaseStore.open(Settings(home=tmp_path, database_url=postgres_database))
    drill = await world.build(store)
    everybody_looks = asyncio.Barrier(8)

    async def begin(token: str) -> int:
        async with store.transaction() as tx:
            await signals.run_of(tx, drill.case.id)
            await everybody_looks.wait()
            return await signals.begin_pass(tx, drill.case.id, token, UNTIL, NOW)

    results = await asyncio.gather(*(begin(f"p{number}") for number in range(8)), return_exceptions=True)
    await store.close()
    assert sorted(map(type, results), key=str) == sorted([int, *[PassBusy] * 7], key=str)


async def test_a_pass_that_lost_its_place_notes_nothing(store: CaseStore):
    drill = await world.build(store)
    case_id = drill.case.id
    async with store.transaction() as tx:
        await signals.begin_pass(tx, case_id, "p1", UNTIL, NOW)
        assert await signals.extend_pass(tx, case_id, "p1", UNTIL + timedelta(minutes=1), NOW)
        assert not await signals.extend_pass(tx, case_id, "p1", LATER, UNTIL + timedelta(minutes=1)), "too late"
        await signals.begin_pass(tx, case_id, "p2", LATER + timedelta(hours=1), LATER)
        assert not await signals.extend_pass(tx, case_id, "p1", LATER, LATER)
        assert not await signals.end_pass(tx, case_id, "p1", 1)
        run = await signals.run_of(tx, case_id)
        assert (run.advanced_generation, run.pass_token) == (0, "p2")
        assert await signals.end_pass(tx, case_id, "p2", None)
        run = await signals.run_of(tx, case_id)
        assert (run.advanced_generation, run.pass_token, run.pass_until) == (0, None, None)


async def test_what_was_advanced_does_not_go_back(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        for token, advanced in (("p1", 5), ("p2", 3)):
            await signals.begin_pass(tx, drill.case.id, token, UNTIL, NOW)
            await signals.end_pass(tx, drill.case.id, token, advanced)
        assert (await signals.run_of(tx, drill.case.id)).advanced_generation == 5


async def test_a_case_that_is_not_there(store: CaseStore):
    with pytest.raises(NotFound):
        async with store.transaction() as tx:
            await signals.begin_pass(tx, "nothing", "p1", UNTIL, NOW)


async def test_questions_of_a_task(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        report, block = await world.task(tx, drill, "report"), await world.task(tx, drill, "block")
        first = await questions.asked(tx, report, 1, "run-1", None, NOW)
        await questions.asked(tx, block, 1, "run-2", None, NOW)
        await questions.close(tx, first, LATER)
        await questions.close(tx, first, LATER + timedelta(hours=1), refusal="that was not the form")
        assert (first.closed_at, first.refusal) == (LATER, "that was not the form")
        second = await questions.asked(tx, report, 2, "run-3", "that was not the form", LATER)
        assert [question.attempt for question in await questions.of_task(tx, report)] == [1, 2]
        still = await questions.open_questions(tx, drill.case)
        assert [(task.key, question.attempt) for question, task in still] == [("report", 2), ("block", 1)]
        assert await questions.of_run(tx, "run-3") is second
        assert await questions.of_run(tx, "run-9") is None
        by_task = await questions.of_tasks(tx, [report, block])
        assert {key: len(found) for key, found in by_task.items()} == {report.id: 2, block.id: 1}


async def test_the_same_attempt_asked_again_points_to_the_newer_run(store: CaseStore):
    """After Prefect's database was lost, the form waits again in another run."""
    drill = await world.build(store)
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        question = await questions.asked(tx, report, 1, "run-1", None, NOW)
        await questions.close(tx, question, NOW)
        await questions.asked(tx, report, 1, "run-2", None, LATER)
        (question,) = await questions.of_task(tx, report)
        assert (question.flow_run_id, question.closed_at, question.asked_at) == ("run-2", None, LATER)
