"""Deadlines that a law sets: they begin at once, move to when we became aware, and nothing stops them."""

from datetime import UTC, datetime, timedelta

import pytest

from case_store import cases, deadlines, find, pausing, tasks, views
from case_store.errors import StoreError
from case_store.models import Case
from case_store.refusals import DeadlineRefused, NotFound
from case_store.store import CaseStore
from flows import escalation
from sop.loader import loads
from tests.store import world
from tests.store.test_escalation import messages
from tests.store.world import ENGINE, NOW, SYSTEM

HOUR = timedelta(hours=1)
SOP = """\
sop: breach
version: 1
title: A breach
owner: user:ada
deadlines:
  - {name: First, after: 24h, from: ask.aware, warn: 8h}
  - {name: Notice, after: 72h, from: ask.aware, met_by: send}
  - {name: Report, after: 30d}
stages:
  - key: s
    title: S
    tasks:
      - {key: ask, title: Ask, owner: "user:ada", form: {aware: {type: datetime}}}
      - {key: send, title: Send, owner: "user:ada", when: 'tasks.ask.aware != null'}
"""


@pytest.fixture
async def case(store: CaseStore) -> Case:
    async with store.transaction() as tx:
        await world.people(tx)
        made = await cases.open_case(tx, loads(SOP), "Breach", by=SYSTEM, at=NOW)
        for key in ("ask", "send"):
            task = await find.task_of(tx, made, key)
            await tasks.ask(tx, task, parameters=None, due_at=None, by=ENGINE, at=NOW)
    return made


async def answered(store: CaseStore, case: Case, key: str, at: datetime, **values: str) -> None:
    async with store.transaction() as tx:
        task, ada = await find.task_of(tx, case, key), await find.person(tx, "ada")
        await tasks.complete(tx, task, form_values=values, note=None, signed_by=ada, via="cli", by=ENGINE, at=at)


async def looked(store: CaseStore, at: datetime) -> int:
    return (await escalation.tell_all(store, escalation.on_call.Roster(), lambda: at)).deadlines


async def states(store: CaseStore, case: Case) -> dict[str, str]:
    async with store.reading() as tx:
        return {one.name: one.state for one in (await views.case_times(tx, case)).deadlines}


async def test_it_moves_to_when_we_became_aware(store: CaseStore, case: Case):
    aware = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    await answered(store, case, "ask", NOW + HOUR, aware="2026-03-02T00:30:00+01:00")
    async with store.reading() as tx:
        found = {row.name: (row.from_at, row.due_at) for row in await deadlines.all_of(tx, case)}
    assert found == {
        "First": (aware, aware + 24 * HOUR),
        "Notice": (aware, aware + 72 * HOUR),
        "Report": (NOW, NOW + timedelta(days=30)),
    }


async def test_it_is_warned_of_and_missed_once_although_the_case_is_paused(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        await pausing.pause_case(tx, case, "waits", by=ENGINE, at=NOW)
    assert await looked(store, NOW + 16 * HOUR - timedelta(seconds=1)) == 0
    assert await looked(store, NOW + 16 * HOUR) == 1
    assert await looked(store, NOW + 23 * HOUR) == 0
    assert (await states(store, case))["First"] == "near"
    assert await looked(store, NOW + 24 * HOUR) == 1
    assert await looked(store, NOW + 25 * HOUR) == 0
    assert await states(store, case) == {"First": "missed", "Notice": "running", "Report": "running"}
    assert await messages(store) == [("warning", "ada", "email"), ("overdue", "ada", "email")]


async def test_after_an_outage_only_what_is_true_is_told(store: CaseStore, case: Case):
    assert await looked(store, NOW + 80 * HOUR) == 2
    assert await messages(store) == [("overdue", "ada", "email")] * 2


async def test_a_task_meets_it(store: CaseStore, case: Case):
    await answered(store, case, "send", NOW + 71 * HOUR)
    assert (await states(store, case))["Notice"] == "met"
    async with store.transaction() as tx:
        with pytest.raises(DeadlineRefused, match="was met at"):
            await deadlines.meet(tx, case, "notice", "again", person=await find.person(tx, "ada"), by=ENGINE, at=NOW)


async def test_a_person_meets_it_late(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        ada = await find.person(tx, "ada")
        await deadlines.meet(tx, case, "first", "by phone, ref 7", person=ada, by=ENGINE, at=NOW + 25 * HOUR)
    async with store.reading() as tx:
        first = (await views.case_times(tx, case)).deadlines[0]
    assert (first.state, first.by, first.how) == ("met late", "ada", "by phone, ref 7")
    assert await looked(store, NOW + 26 * HOUR) == 0


async def test_it_is_not_needed_where_its_task_does_not_apply(store: CaseStore):
    async with store.transaction() as tx:
        await world.people(tx)
        made = await cases.open_case(tx, loads(SOP), "Breach", by=SYSTEM, at=NOW)
        send = await find.task_of(tx, made, "send")
        await tasks.decide_condition(tx, send, False, {}, by=ENGINE, at=NOW)
    assert (await states(store, made))["Notice"] == "not needed"


async def test_what_cannot_be_is_refused(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        ada = await find.person(tx, "ada")
        with pytest.raises(DeadlineRefused, match="has not come yet"):
            await deadlines.meet(tx, case, "First", "x", person=ada, when=NOW + HOUR, by=ENGINE, at=NOW)
        with pytest.raises(DeadlineRefused, match="begin in the future"):
            await deadlines.move(tx, case, "First", NOW + HOUR, by=ENGINE, at=NOW)
        with pytest.raises(NotFound) as none:
            await deadlines.meet(tx, case, "Fourth", "x", person=ada, by=ENGINE, at=NOW)
        assert none.value.next_step == "it has First, Notice, Report"
        with pytest.raises(StoreError):
            await deadlines.meet(tx, case, "First", " ", person=ada, by=ENGINE, at=NOW)
