"""Two who tell what is late at once, some that are killed, clocks that jump back, and ninety days with many tasks."""

import asyncio
import multiprocessing
import os
import random
from collections import Counter
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import func, select

from case_store import cases, find, on_call, tasks
from case_store.models import AuditEvent, OutboxEntry
from case_store.outbox import Policy
from case_store.settings import Settings
from case_store.store import CaseStore
from flows import escalation
from sop.loader import loads
from tests.faults import telling
from tests.mailroom import Mailroom
from tests.site import until
from tests.store import world
from tests.store.conftest import (
    database_url,
    postgres_copies,
    postgres_database,
    postgres_template,
    sqlite_database,
    sqlite_empty,
    sqlite_template,
)
from tests.store.simulated import AUTUMN, SPRING, Period
from tests.store.simulation import QUOTA, ninety_days
from tests.store.world import ENGINE, NOW, SYSTEM

SEED = int(os.environ.get("CASEWRIGHT_TEST_SEED", "2026"))
DUE = NOW + timedelta(hours=1)
SOP = """\
sop: many
version: 1
title: Many
warn: 25%
escalation: [{after: 0, to: owner}, {after: 30m, to: "user:bob"}]
stages:
  - key: s
    title: S
    tasks:
"""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.telling"])
__all__ = [
    "database_url",
    "postgres_copies",
    "postgres_database",
    "postgres_template",
    "sqlite_database",
    "sqlite_empty",
    "sqlite_template",
]


async def late(url: str, home: Path, number: int) -> CaseStore:
    """A store with so many tasks, all due at the same moment."""
    store = await CaseStore.open(Settings(home=home, database_url=url))
    lines = "".join(f'      - {{key: t{n}, title: T, owner: "user:ada", sla: 1h}}\n' for n in range(number))
    async with store.transaction() as tx:
        await world.people(tx)
        case = await cases.open_case(tx, loads(SOP + lines), "Many", by=SYSTEM, at=NOW)
        for n in range(number):
            task = await find.task_of(tx, case, f"t{n}")
            await tasks.ask(tx, task, parameters=None, due_at=DUE, by=ENGINE, at=NOW)
    return store


async def told(store: CaseStore) -> Counter[str]:
    """How many messages of each template there are; each is of a key of its own."""
    async with store.reading() as tx:
        counted = await tx.session.execute(select(OutboxEntry.template, func.count()).group_by(OutboxEntry.template))
        events = await tx.session.scalar(select(func.count()).where(AuditEvent.type == "task.escalated"))
        found = Counter(dict(counted.all()))
    assert events == found["escalated"]
    return found


async def test_two_at_once_tell_each_once(database_url: str, tmp_path: Path):
    store = await late(database_url, tmp_path, 40)
    other = await CaseStore.open(Settings(home=tmp_path, database_url=database_url))
    looks = [escalation.tell_all(one, on_call.Roster(), lambda: DUE) for one in (store, other, store, other)]
    done = await asyncio.gather(*looks)
    assert sum(one.steps for one in done) == 40
    assert (await told(store))["escalated"] == 40
    await store.close()
    await other.close()


async def test_a_clock_that_jumps_back_repeats_nothing(database_url: str, tmp_path: Path):
    store = await late(database_url, tmp_path, 5)
    steps = []
    for minutes in (0, -60, -10, 0, 29, 30, 5, 30):
        moment = DUE + timedelta(minutes=minutes)
        steps.append((await escalation.tell_all(store, on_call.Roster(), lambda moment=moment: moment)).steps)
    assert steps == [5, 0, 0, 0, 0, 5, 0, 0]
    await store.close()


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)])
async def test_who_is_killed_has_told_each_once_or_not_at_all(database_url: str, tmp_path: Path, kills: int):
    store, chance = await late(database_url, tmp_path, kills * 10), random.Random(SEED)
    killed = 0
    for _ in range(kills):
        before = (await told(store))["escalated"]
        process = _CONTEXT.Process(target=telling.tell, args=(database_url, tmp_path, DUE), daemon=True)
        process.start()
        more = before + chance.randint(1, 5)
        await until(partial(_has_told, store, process, more), within=60, every=0.005)
        killed += process.is_alive()
        process.kill()
        process.join()
    assert killed, "nobody was killed while there was something to tell"
    await escalation.tell_all(store, on_call.Roster(), lambda: DUE)
    assert (await told(store))["escalated"] == kills * 10
    await store.close()


async def _has_told(store: CaseStore, process: BaseProcess, number: int) -> bool:
    return not process.is_alive() or (await told(store))["escalated"] >= number


@pytest.mark.slow
@pytest.mark.parametrize("period", [SPRING, AUTUMN], ids=["spring", "autumn"])
async def test_ninety_days_with_five_thousand_tasks_that_get_late_in_the_outage(
    database_url: str, tmp_path: Path, period: Period
):
    told, expected, room = await ninety_days(database_url, tmp_path, period, seed=SEED, number=60, in_outage=5000)
    after = [step for steps in expected.values() for step in steps if step.second == period.without[1] * 60]
    assert len(after) >= 5000, "each of them is told once, when somebody looks again"
    assert told == expected
    assert {one: room.most_in_an_hour(one) for one in QUOTA.an_hour} == dict(QUOTA.an_hour)


@pytest.mark.parametrize(("times", "quota"), [(2, 10), pytest.param(25, 60, marks=pytest.mark.slow)])
async def test_after_a_day_without_anybody_each_task_is_told_once_and_nobody_is_flooded(
    tmp_path: Path, database_url: str, times: int, quota: int
):
    store, number = await late(database_url, tmp_path, 200), 200 * times
    for _ in range(times - 1):
        await _as_many_again(store)
    after = DUE + timedelta(days=1)
    assert (await escalation.tell_all(store, on_call.Roster(), lambda: after)).steps == number
    assert await told(store) == {"assigned": number, "escalated": number}
    room = Mailroom(store, Policy({"email": quota}))
    ended = await room.send_all(after)
    assert room.most_in_an_hour("email") == quota
    async with store.reading() as tx:
        states = Counter(await tx.session.scalars(select(OutboxEntry.state).where(OutboxEntry.template != "digest")))
        wanted = select(OutboxEntry.context).where(OutboxEntry.template == "digest", OutboxEntry.state == "sent")
        in_digests = sum([context["digest"]["count"] for context in await tx.session.scalars(wanted)])
    assert states["sent"] + in_digests == 2 * number, "each is told by itself or in a digest"
    assert ended - after <= timedelta(hours=3)
    await store.close()


async def _as_many_again(store: CaseStore) -> None:
    lines = "".join(f'      - {{key: t{n}, title: T, owner: "user:ada", sla: 1h}}\n' for n in range(200))
    async with store.transaction() as tx:
        case = await cases.open_case(tx, loads(SOP + lines), "Many", by=SYSTEM, at=NOW)
        for n in range(200):
            task = await find.task_of(tx, case, f"t{n}")
            await tasks.ask(tx, task, parameters=None, due_at=DUE, by=ENGINE, at=NOW)
