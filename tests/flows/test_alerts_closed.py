"""An alert at PagerDuty calls nobody any more when its task is decided, or somebody takes care of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from case_store import migrate, notices, tasks
from case_store.models import AuditEvent, OutboxEntry
from case_store.notices import Rung
from case_store.outbox import Policy
from case_store.settings import Settings
from case_store.store import CaseStore
from flows.relay.lane import Lane
from flows.relay.writing import Writer
from notifiers.contract import Message, Outcome
from tests.post_office import PostOffice
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

WRITER = Writer("https://casewright.example/")


@dataclass
class Service(PostOffice):
    """Keeps alerts open until it is told to close them."""

    channel: str = "pagerduty"
    can_find: bool = False
    closed: list[str] = field(default_factory=list)
    away: bool = False

    async def close_alert(self, message: Message) -> Outcome:
        """Close it, unless nobody answers."""
        self.closed.append(message.dedup_key)
        return Outcome.temporary("away") if self.away else Outcome.ok(message.dedup_key)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CaseStore]:
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    yield store
    await store.close()


async def escalated(store: CaseStore) -> World:
    drill = await world.build(store)
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        await tasks.ask(tx, report, parameters=None, due_at=LATER, by=ENGINE, at=NOW)
        await notices.escalated(tx, report, [drill.ada], Rung(1, timedelta(), "pagerduty"), LATER)
    return drill


async def end(store: CaseStore, drill: World, how: str) -> None:
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        if how == "acknowledged":
            await tasks.acknowledge(tx, report, drill.ada, via="cli", by=SYSTEM, at=LATER)
        else:
            answer = {"form_values": {}, "note": None, "signed_by": drill.ada, "via": "cli"}
            await tasks.complete(tx, report, **answer, by=SYSTEM, at=LATER)


@pytest.mark.parametrize("how", ["acknowledged", "decided"])
async def test_once_and_again_only_if_nobody_answered(store: CaseStore, how: str):
    drill, service, clock = await escalated(store), Service(away=True), [LATER]
    lane = Lane(
        store, "pagerduty", service, Writer("https://casewright.example/"), Policy({}), SYSTEM, lambda: clock[0]
    )
    assert await lane.send_due() == 1
    assert await lane.send_due() == 0
    assert service.closed == [], "the task waits"
    await end(store, drill, how)
    await lane.send_due()
    await lane.send_due()
    assert len(service.closed) == 1, "the next try is a minute later"
    service.away, clock[0] = False, LATER + timedelta(minutes=1)
    for _ in range(3):
        await lane.send_due()
    assert service.closed == [service.has[0].dedup_key] * 2
    async with store.reading() as tx:
        alert = (await tx.session.scalars(select(OutboxEntry).where(OutboxEntry.channel == "pagerduty"))).one()
        types = list(await tx.session.scalars(select(AuditEvent.type)))
    assert (alert.state, alert.receipt, types.count("notification.delivered")) == ("delivered", "resolved", 1)
