"""Ladders: each rung once, none early, none missed, and what stops or restarts them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from case_store import absence, cases, escalation, find, notices, on_call, pausing, sla, tasks
from case_store.models import AuditEvent, Case, OutboxEntry, Person, Task
from case_store.settings import Settings
from case_store.store import CaseStore, Tx
from flows import escalation as looking
from sop.loader import loads
from sop.worktime import MIDNIGHT, Calendar
from tests.store import world
from tests.store.world import ENGINE, SYSTEM

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SOP = """\
sop: ladder
version: 1
title: With a ladder
owner: user:eve
warn: 25%
escalation:
  - {after: 0, to: owner}
  - {after: 15m, to: backup, via: sms}
  - {after: 30m, to: owner.manager}
  - {after: 1h, to: on-call}
stages:
  - key: s
    title: S
    sla: {critical: 30m, otherwise: 4h}
    tasks:
      - {key: look, title: Look, owner: "user:ada", sla: {critical: 30m, otherwise: 1h}}
      - {key: other, title: Other, owner: "role:tier1", sla: 2h, escalation: [{after: 5m, to: case-owner}]}
"""


@pytest.fixture
async def case(store: CaseStore) -> Case:
    async with store.transaction() as tx:
        people = await world.people(tx)
        ada = people["ada"]
        ada.manager_id = people["mia"].id
        tx.record("person.changed", ada, by=SYSTEM, at=NINE)
        await tx.flush()
        made = await cases.open_case(tx, loads(SOP), "Late", by=SYSTEM, at=NINE)
        await ask(tx, made, "look", NINE, HOUR)
    return made


async def ask(tx: Tx, case: Case, key: str, at: datetime, sla: timedelta) -> Task:
    task = await find.task_of(tx, case, key)
    return await tasks.ask(tx, task, parameters=None, due_at=at + sla, by=ENGINE, at=at)


async def climbed(store: CaseStore, case: Case, at: datetime, key: str = "look", on_call: Sequence[Person] = ()) -> Any:
    """The number of the step that is taken, the ones left out, and who is told; None when none is."""
    async with store.transaction() as tx:
        due = await escalation.due(tx, at)
        task = await find.task_of(tx, case, key)
        found = await escalation.climb(tx, task, on_call=on_call, by=ENGINE, at=at)
        assert (task.id in due) >= (found is not None)
        return found and (found.number, found.missed, [person.handle for person in found.told])


async def messages(store: CaseStore, *templates: str) -> list[tuple[str, str, str]]:
    async with store.reading() as tx:
        rows = await tx.session.execute(
            select(OutboxEntry, Person.handle)
            .join(Person, Person.id == OutboxEntry.recipient_id)
            .where(OutboxEntry.template.in_(templates or ("warning", "escalated", "overdue")))
            .order_by(OutboxEntry.next_at, Person.handle)
        )
        return [(one.template, handle, one.channel) for one, handle in rows]


async def test_the_steps_come_in_their_order_each_at_its_moment_and_once(store: CaseStore, case: Case):
    due = NINE + HOUR
    async with store.transaction() as tx:
        max_ = await find.person(tx, "max")
        ada, bob = await find.person(tx, "ada"), await find.person(tx, "bob")
        await absence.set_away(tx, ada, start=due + 24 * HOUR, until=None, deputy=bob, by=ENGINE, at=NINE)
    expected = [
        (due - 15 * MINUTE, (0, (), ["ada"])),
        (due, (1, (), ["ada"])),
        (due + 15 * MINUTE, (2, (), ["bob"])),
        (due + 30 * MINUTE, (3, (), ["mia"])),
        (due + HOUR, (4, (), ["max"])),
    ]
    for moment, step in expected:
        assert await climbed(store, case, moment - timedelta(microseconds=1)) is None, "none comes early"
        assert await climbed(store, case, moment, on_call=[max_]) == step
        assert await climbed(store, case, moment, on_call=[max_]) is None, "each comes once"
    assert await climbed(store, case, due + timedelta(days=9)) is None, "the ladder has an end"
    assert await messages(store) == [
        ("warning", "ada", "email"),
        ("escalated", "ada", "email"),
        ("escalated", "bob", "sms"),
        ("escalated", "mia", "email"),
        ("escalated", "max", "email"),
    ]


async def test_after_an_outage_one_message_names_the_rungs_that_were_missed(store: CaseStore, case: Case):
    assert await climbed(store, case, NINE + HOUR + 40 * MINUTE) == (3, (1, 2), ["mia"])
    async with store.reading() as tx:
        told = (await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.template == "escalated"))).one()
        event = (await tx.session.scalars(select(AuditEvent).where(AuditEvent.type == "task.escalated"))).one()
    facts = {name: told.context[name] for name in ("rung", "after", "late_by", "missed")}
    assert facts == {"rung": 3, "after": "30m", "late_by": "40m", "missed": [1, 2]}
    assert '"missed":[1,2]' in event.body
    assert await climbed(store, case, NINE + HOUR + 40 * MINUTE) is None, "a clock that stands still or jumps back"
    assert await climbed(store, case, NINE) is None
    assert await climbed(store, case, NINE + 2 * HOUR) == (4, (), ["eve"]), "nobody is on call: the owner of the case"


async def test_acknowledging_stops_the_ladder_and_handing_over_begins_it_again(store: CaseStore, case: Case):
    due, over = NINE + HOUR, NINE + 2 * HOUR
    assert await climbed(store, case, due) == (1, (), ["ada"])
    async with store.transaction() as tx:
        task = await find.task_of(tx, case, "look")
        ada, bob = await find.person(tx, "ada"), await find.person(tx, "bob")
        assert await tasks.acknowledge(tx, task, ada, via="cli", by=ENGINE, at=due)
    assert await climbed(store, case, due + 9 * HOUR) is None
    async with store.transaction() as tx:
        await tasks.reassign(tx, await find.task_of(tx, case, "look"), bob, by=ENGINE, at=over)
    assert await climbed(store, case, over) is None, "he has just been told that it is his"
    assert await climbed(store, case, over + 15 * MINUTE) == (2, (), ["eve"]), "nobody stands in for him"
    assert await climbed(store, case, over + 30 * MINUTE) == (3, (), ["eve"]), "he has no manager"


async def test_who_is_on_call_is_asked_when_a_rung_asks_for_it_and_outside_of_the_transaction(
    store: CaseStore, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[datetime] = []

    async def roster(_settings: Settings, at: datetime) -> on_call.Roster:
        async with store.transaction():  # it would wait for itself, or be refused, in a transaction
            asked.append(at)
        return on_call.Roster()

    monkeypatch.setattr(on_call, "roster", roster)
    due = NINE + HOUR
    for minutes, times in ((-15, 0), (0, 0), (15, 0), (30, 0), (60, 1)):
        moment = due + minutes * MINUTE
        ready = looking.OnCall(Settings(home=tmp_path, on_call="http://127.0.0.1:9/x.ics"))
        assert (await looking.tell_all(store, ready, lambda moment=moment: moment)).steps == 1
        assert len(asked) == times
    told = [one[1] for one in await messages(store, "escalated")]
    assert told == ["ada", "eve", "mia", "eve"], "what is promised to Eve, whom nothing reaches, falls over"


async def test_steps_that_are_taken_at_once_fetch_the_calendar_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[datetime] = []

    async def roster(_settings: Settings, at: datetime) -> on_call.Roster:
        await asyncio.sleep(0)
        asked.append(at)
        return on_call.Roster()

    monkeypatch.setattr(on_call, "roster", roster)
    ready = looking.OnCall(Settings(home=tmp_path, on_call="http://127.0.0.1:9/x.ics"))
    await asyncio.gather(*(ready.roster(NINE) for _ in range(3)))
    assert len(asked) == 1


async def test_a_calendar_that_never_opens_again_puts_no_rung_off(
    store: CaseStore, case: Case, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    closed = Calendar(ZoneInfo("UTC"), dict.fromkeys(range(7), ((0, MIDNIGHT),)), lambda _: True)
    monkeypatch.setattr(sla, "calendar", lambda *_: closed)
    assert await climbed(store, case, NINE + HOUR) == (1, (), ["ada"])
    assert "correct" in caplog.text
    assert "calendars.yaml" in caplog.text


async def test_what_is_decided_is_not_late(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        ada = await find.person(tx, "ada")
        task = await find.task_of(tx, case, "look")
        await tasks.skip(tx, task, "no need", signed_by=ada, via="cli", by=ENGINE, at=NINE)
    assert await climbed(store, case, NINE + 9 * HOUR) is None
    assert await messages(store) == []


async def test_a_pause_puts_off_what_is_to_come(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        task = await find.task_of(tx, case, "look")
        assert await pausing.pause_task(tx, task, "the other side answers", by=ENGINE, at=NINE + 20 * MINUTE)
        assert (await find.task_of(tx, case, "look")).due_at is None
    assert await climbed(store, case, NINE + 5 * HOUR) is None
    async with store.transaction() as tx:
        assert await pausing.resume_task(tx, await find.task_of(tx, case, "look"), by=ENGINE, at=NINE + 5 * HOUR)
    due = NINE + 5 * HOUR + 40 * MINUTE
    assert await climbed(store, case, due - 15 * MINUTE) == (0, (), ["ada"])
    assert await climbed(store, case, due - timedelta(microseconds=1)) is None
    assert await climbed(store, case, due) == (1, (), ["ada"])


async def test_another_severity_counts_what_was_spent(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        await cases.set_severity(tx, case, "critical", by=ENGINE, at=NINE + 20 * MINUTE)
        assert (await find.task_of(tx, case, "look")).due_at == NINE + 30 * MINUTE
        await cases.set_severity(tx, await find.case(tx, case.id), "low", by=ENGINE, at=NINE + 50 * MINUTE)
        assert (await find.task_of(tx, case, "look")).due_at == NINE + HOUR
        await cases.set_severity(tx, await find.case(tx, case.id), "critical", by=ENGINE, at=NINE + 55 * MINUTE)
        task = await find.task_of(tx, case, "look")
        assert task.due_at == NINE + 55 * MINUTE, "it is late from now on, not in hindsight"
    assert await climbed(store, case, NINE + 55 * MINUTE) == (1, (), ["ada"])


async def test_a_task_with_its_own_ladder_and_a_role(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        await ask(tx, case, "other", NINE, 2 * HOUR)
    assert await climbed(store, case, NINE + 90 * MINUTE, "other") == (0, (), ["ada", "bob"])
    assert await climbed(store, case, NINE + 2 * HOUR, "other") is None
    assert await climbed(store, case, NINE + 2 * HOUR + 5 * MINUTE, "other") == (1, (), ["eve"])


async def test_the_ladder_tells_and_not_the_notice_of_overdue_tasks(store: CaseStore, case: Case):
    async with store.transaction() as tx:
        task = await find.task_of(tx, case, "look")
        assert await notices.mark_overdue(tx, task, by=ENGINE, at=NINE + HOUR)
        assert await notices.overdue(tx, task, [await find.person(tx, "ada")], NINE + HOUR) == 0
    async with store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).where(OutboxEntry.template == "overdue")) == 0
