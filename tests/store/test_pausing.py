"""Clocks of cases, stages and tasks: what a pause stops, and how long things took."""

from datetime import timedelta

import pytest

from case_store import breaches, cases, find, pausing, stages, tasks, views
from case_store.lifecycle import NotAllowedNow
from case_store.models import Case
from case_store.store import CaseStore
from sop.loader import loads
from tests.store import world
from tests.store.world import ENGINE, NOW, SYSTEM

MINUTE = timedelta(minutes=1)
SOP = """\
sop: timed
version: 1
title: Timed
owner: user:ada
sla: 5h
stages:
  - key: s
    title: S
    sla: 3h
    tasks:
      - {key: one, title: One, owner: "user:ada", sla: 1h}
      - {key: two, title: Two, owner: "user:ada", sla: 2h}
"""


@pytest.fixture
async def case(store: CaseStore) -> Case:
    async with store.transaction() as tx:
        await world.people(tx)
        made = await cases.open_case(tx, loads(SOP), "Timed", by=SYSTEM, at=NOW)
        due_at = NOW + 180 * MINUTE
        await stages.activate(tx, await find.stage_of(tx, made, "s"), due_at=due_at, by=ENGINE, at=NOW)
        task = await find.task_of(tx, made, "one")
        await tasks.ask(tx, task, parameters=None, due_at=NOW + 60 * MINUTE, by=ENGINE, at=NOW)
    return made


async def due_times(store: CaseStore, case: Case) -> list[float | None]:
    """When case, stage, and both tasks are due, in minutes."""
    async with store.reading() as tx:
        rows = [await find.case(tx, case.id), await find.stage_of(tx, case, "s")]
        rows += [await find.task_of(tx, case, key) for key in ("one", "two")]
    return [row.due_at and (row.due_at - NOW) / MINUTE for row in rows]


async def test_a_paused_case_stops_everything_and_what_was_spent_counts(store: CaseStore, case: Case):
    assert await due_times(store, case) == [300, 180, 60, None]
    async with store.transaction() as tx:
        assert await pausing.pause_case(tx, case, "the police has it", by=ENGINE, at=NOW + 10 * MINUTE)
        assert not await pausing.pause_case(tx, case, "again", by=ENGINE, at=NOW + 11 * MINUTE)
        two = await find.task_of(tx, case, "two")
        await tasks.ask(tx, two, parameters=None, due_at=NOW + 150 * MINUTE, by=ENGINE, at=NOW + 30 * MINUTE)
    assert await due_times(store, case) == [None] * 4, "also what is asked meanwhile"
    async with store.reading() as tx:
        assert await breaches.due(tx, NOW + timedelta(days=9)) == []
        page = await views.case(tx, case.number)
    assert page.times.pause_reason == "the police has it"
    async with store.transaction() as tx:
        assert await pausing.resume_case(tx, case, by=ENGINE, at=NOW + 1000 * MINUTE)
        assert not await pausing.resume_case(tx, case, by=ENGINE, at=NOW + 1001 * MINUTE)
    assert await due_times(store, case) == [1290, 1170, 1050, 1120]


async def test_a_task_that_is_paused_itself_stays_so_when_its_case_goes_on(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        assert await pausing.pause_task(tx, await find.task_of(tx, case, "one"), "w", by=ENGINE, at=NOW + 5 * MINUTE)
        await pausing.pause_case(tx, case, "waits", by=ENGINE, at=NOW + 10 * MINUTE)
        await pausing.resume_case(tx, case, by=ENGINE, at=NOW + 20 * MINUTE)
    assert await due_times(store, case) == [310, 190, None, None]
    async with store.transaction() as tx:
        assert await pausing.resume_task(tx, await find.task_of(tx, case, "one"), by=ENGINE, at=NOW + 40 * MINUTE)
    assert await due_times(store, case) == [310, 190, 95, None]


async def test_stage_and_case_are_marked_once_when_their_time_is_over(store: CaseStore, case: Case):
    async with store.reading() as tx:
        assert await breaches.due(tx, NOW + 180 * MINUTE - timedelta(microseconds=1)) == []
        late = await breaches.due(tx, NOW + 300 * MINUTE)
    assert [row.entity_type for row in late] == ["case", "stage"]
    async with store.transaction() as tx:
        assert [await breaches.mark(tx, row, by=ENGINE, at=NOW + 300 * MINUTE) for row in late] == [True, True]
        assert [await breaches.mark(tx, row, by=ENGINE, at=NOW + 301 * MINUTE) for row in late] == [False, False]


async def test_what_has_ended_or_waits_for_nobody_is_not_paused(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        with pytest.raises(NotAllowedNow):
            await pausing.pause_task(tx, await find.task_of(tx, case, "two"), "x", by=ENGINE, at=NOW)
        await cases.cancel(tx, case, "a mistake", by=ENGINE, at=NOW)
        with pytest.raises(NotAllowedNow, match="is cancelled"):
            await pausing.pause_case(tx, case, "x", by=ENGINE, at=NOW)


async def test_the_time_between_end_and_reopening_does_not_count(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        await cases.cancel(tx, case, "a mistake", by=ENGINE, at=NOW + 60 * MINUTE)
        await cases.reopen(tx, await find.case(tx, case.id), "it was none", by=ENGINE, at=NOW + 500 * MINUTE)
    assert await due_times(store, case) == [740, 620, None, None]


async def test_how_long_it_took(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        ada = await find.person(tx, "ada")
        one = await find.task_of(tx, case, "one")
        await tasks.acknowledge(tx, one, ada, via="sms", by=ENGINE, at=NOW + 5 * MINUTE)
        await pausing.pause_task(tx, one, "waits", by=ENGINE, at=NOW + 10 * MINUTE)
        await pausing.resume_task(tx, one, by=ENGINE, at=NOW + 40 * MINUTE)
        done = {"form_values": {}, "note": None, "signed_by": ada, "via": "cli", "by": ENGINE}
        await tasks.complete(tx, one, **done, at=NOW + 50 * MINUTE)
        await cases.cancel(tx, await find.case(tx, case.id), "x", by=ENGINE, at=NOW + 301 * MINUTE)
    async with store.reading() as tx:
        whole, one_took = await views.durations(tx, await find.case(tx, case.id))
        rows = {row.what: row for row in await views.times(tx)}
        assert await views.times(tx, since=NOW + MINUTE) == []
    assert (one_took.to_acknowledge, one_took.to_close, one_took.worked, one_took.breached) == (300, 3000, 1200, False)
    assert (whole.to_close, whole.worked, whole.breached) == (18060, 18060, True)
    assert (rows["tasks"].count, rows["tasks"].close_median, rows["tasks"].worked_p90) == (1, 3000, 1200)
    assert (rows["cases"].count, rows["cases"].closed, rows["cases"].breached) == (1, 1, 1)
    assert (whole.to_acknowledge, rows["cases"].mtta, rows["cases"].mttr) == (300, 300, 18060)
    assert (rows["tasks"].mtta, rows["tasks"].mttr, rows["tasks"].worked_mean) == (300, 3000, 1200)


async def test_the_mean_is_moved_by_what_the_median_is_not(store: CaseStore, case: Case):
    """MTTA and MTTR, of tasks by severity; what is not closed counts in neither."""
    async with store.transaction() as tx:
        ada = await find.person(tx, "ada")
        await cases.cancel(tx, await find.case(tx, case.id), "another test's", by=ENGINE, at=NOW)
        loaded = loads(
            "sop: mean\nversion: 1\ntitle: Mean\nstages:\n  - key: s\n    title: S\n    tasks:\n"
            + "".join(f'      - {{key: t{n}, title: T, owner: "user:ada"}}\n' for n in range(4))
        )
        mean = await cases.open_case(tx, loaded, "Mean", by=ENGINE, at=NOW)
        for n, minutes in enumerate((10, 20, 90, None)):
            task = await find.task_of(tx, mean, f"t{n}")
            await tasks.ask(tx, task, parameters=None, due_at=None, by=ENGINE, at=NOW)
            if minutes:
                await tasks.acknowledge(tx, task, ada, via="cli", by=ENGINE, at=NOW + minutes // 10 * MINUTE)
                done = {"form_values": {}, "note": None, "signed_by": ada, "via": "cli", "by": ENGINE}
                await tasks.complete(tx, task, **done, at=NOW + minutes * MINUTE)
    async with store.reading() as tx:
        rows = {row.what: row for row in await views.times(tx) if row.sop == "mean"}
    of_tasks = rows["tasks"]
    assert (of_tasks.count, of_tasks.closed, of_tasks.mtta, of_tasks.acknowledge_median) == (4, 3, 240, 120)
    assert (of_tasks.mttr, of_tasks.close_median, of_tasks.close_p90) == (2400, 1200, 4560)
    assert (rows["cases"].mtta, rows["cases"].mttr, rows["cases"].closed) == (60, None, 0)
