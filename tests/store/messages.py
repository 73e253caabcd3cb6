"""Messages of the outbox, and what becomes of them in a test: claimed, settled, told of by the provider."""

from datetime import datetime, timedelta

from sqlalchemy import select

from case_store import audit, outbox, tasks
from case_store.actor import Actor
from case_store.models import OutboxEntry, Person
from case_store.outbox import Policy, Result
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

RELAY = Actor.system("relay")
LEASE = timedelta(minutes=2)
POLICY = Policy({"sms": 3}, "manager")


async def urgent(store: CaseStore) -> World:
    """Bob, who has mail and a phone, is asked to report; Mia is his manager and the role `manager` gets alarms."""
    drill = await world.build(store, severity="critical")
    async with store.transaction() as tx:
        bob = await tx.session.get_one(Person, drill.bob.id)
        bob.manager_id = drill.mia.id
        tx.record("person.changed", bob, by=SYSTEM, at=NOW)
        for handle in ("mia", "max"):
            manager = await tx.session.get_one(Person, drill[handle].id)
            manager.phone = None
            tx.record("person.changed", manager, by=SYSTEM, at=NOW)
        await tx.flush()
        report = await world.task(tx, drill, "report")
        await tasks.reassign(tx, report, bob, by=SYSTEM, at=NOW)
        await tasks.ask(tx, report, parameters=None, due_at=LATER, by=ENGINE, at=NOW)
    return drill


async def entries(store: CaseStore, **wanted: object) -> list[OutboxEntry]:
    async with store.reading() as tx:
        found = await tx.session.scalars(select(OutboxEntry).filter_by(**wanted).order_by(OutboxEntry.id))
        return list(found)


async def one(store: CaseStore, **wanted: object) -> OutboxEntry:
    (found,) = await entries(store, **wanted)
    return found


async def try_one(store: CaseStore, channel: str, result: Result, at: datetime = NOW) -> OutboxEntry:
    """Claim the one message that is due by a channel, and settle it."""
    async with store.transaction() as tx:
        (entry,) = await outbox.claim(tx, at, LEASE, 1, f"{channel} {at}", channel=channel)
    async with store.transaction() as tx:
        assert await outbox.settle(tx, entry, result, by=RELAY, at=at, policy=POLICY)
    return entry


async def types(store: CaseStore) -> list[str]:
    async with store.reading() as tx:
        return [event.type for event in await audit.tail(tx, 0, limit=1000)]


async def receipt(store: CaseStore, ref: str, status: str, code: int | None = None, at: datetime = NOW) -> bool:
    async with store.transaction() as tx:
        return await outbox.receipt(tx, "sms", ref, status, by=RELAY, at=at, code=code, policy=POLICY)


async def many(tx: Tx, person: Person, count: int, at: datetime, template: str = "assigned") -> None:
    """Promise messages by SMS."""
    for _ in range(count):
        entry = OutboxEntry(
            dedup_key="", channel="sms", recipient_id=person.id, template=template, next_at=at,
            not_after=at + timedelta(hours=12),
        )  # fmt: skip
        entry.dedup_key = f"{entry.id}:{person.id}:sms"
        tx.session.add(entry)
    await tx.flush()
