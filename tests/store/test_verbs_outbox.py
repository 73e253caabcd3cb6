"""Messages are promised with the change, taken under a lease, and settled once."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from case_store import audit, cases, notices, outbox, tasks
from case_store.actor import Actor
from case_store.audit import private
from case_store.models import OutboxEntry
from case_store.settings import Settings
from case_store.store import CaseStore, Tx
from notifiers.render import render
from tests.store import world
from tests.store.world import ENGINE, LATER, NOW, SYSTEM, World

RELAY = Actor.system("relay")
LEASE = timedelta(minutes=2)


async def ask(tx: Tx, drill: World, key: str = "report", **options: object) -> None:
    options = {"due_at": LATER, **options}
    await tasks.ask(tx, await world.task(tx, drill, key), parameters=None, by=ENGINE, at=NOW, **options)


async def promised(store: CaseStore, **options: object) -> World:
    """Build the world with one message: ada is asked to report."""
    drill = await world.build(store, **options)
    async with store.transaction() as tx:
        await ask(tx, drill)
    return drill


async def claim(store: CaseStore, at=NOW, token: str = "t1", limit: int = 10) -> list[OutboxEntry]:
    async with store.transaction() as tx:
        return await outbox.claim(tx, at, LEASE, limit, token)


async def settle(store: CaseStore, entry: OutboxEntry, outcome: str, **options: object) -> bool:
    at = options.pop("at", NOW)
    async with store.transaction() as tx:
        return await outbox.settle(tx, entry, outbox.Result(outcome, **options), by=RELAY, at=at)


async def entries(store: CaseStore) -> list[OutboxEntry]:
    async with store.reading() as tx:
        return list(await tx.session.scalars(select(OutboxEntry).order_by(OutboxEntry.channel, OutboxEntry.id)))


async def happened(store: CaseStore, drill: World) -> list[tuple[str, dict[str, object]]]:
    async with store.reading() as tx:
        trail = await audit.tail(tx, 0, drill.case, limit=1000)
        bodies = await private.read(tx, [e.body for e in trail if e.type.startswith("notification.")])
        return [(body["type"], body["facts"]) for body in bodies]


@pytest.mark.parametrize(
    ("severity", "channels"),
    [("informational", 0), ("low", 0), ("medium", 0), ("high", 1), ("critical", 1)],
)
async def test_an_sms_only_when_it_is_urgent(store: CaseStore, severity: str, channels: int):
    drill = await world.build(store, severity=severity)
    async with store.transaction() as tx:
        await ask(tx, drill, "confirm")
    found = [(entry.channel, entry.recipient_id) for entry in await entries(store)]
    assert found == sorted(found)
    assert found.count(("sms", drill.bob.id)) == channels, "bob has a phone"
    assert ("sms", drill.ada.id) not in found, "ada has none"
    assert {recipient for channel, recipient in found if channel == "email"} == {drill.ada.id, drill.bob.id}


async def test_the_facts_of_a_message_are_those_the_templates_ask_for(store: CaseStore):
    await promised(store)
    (entry,) = await entries(store)
    assert (entry.template, entry.case_id is None, entry.task_id is None) == ("assigned", False, False)
    assert entry.context == {
        "case": {"number": 1, "title": "Suspicious mail", "severity": "low"},
        "task": {"title": "Report it", "stage": "Analysis"},
        "due": LATER.isoformat(),
        "recipient": {"name": "Ada", "time_zone": None},
    }
    words = render(entry.template, {**entry.context, "link": "https://console.example/tasks/1"})
    assert words.subject == "[CASE-1] For you: Report it"
    async with store.transaction() as tx:
        drill_task = (await tx.session.scalars(select(OutboxEntry))).one()
        assert drill_task.not_after == NOW + timedelta(days=3)


async def test_a_message_to_a_role_says_so(store: CaseStore):
    drill = await world.build(store)
    async with store.transaction() as tx:
        await ask(tx, drill, "confirm")
    assert {entry.context["task"]["role"] for entry in await entries(store)} == {"tier1"}


async def test_a_promise_is_made_once(store: CaseStore):
    drill = await promised(store)
    async with store.transaction() as tx:
        report = await world.task(tx, drill, "report")
        assert await notices.assigned(tx, report, [drill.ada, drill.ada], NOW) == 0
        assert await notices.overdue(tx, report, [drill.ada], NOW) == 1
        assert await notices.overdue(tx, report, [drill.ada, drill.mia], LATER) == 1
    assert len(await entries(store)) == 3


async def test_a_promise_is_undone_with_its_change(store: CaseStore):
    """Change and promise are one transaction: nobody is told about what did not happen."""
    drill = await world.build(store)

    async def ask_and_break() -> None:
        async with store.transaction() as tx:
            await ask(tx, drill)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await ask_and_break()
    assert await entries(store) == []


async def test_a_message_is_sent_once(store: CaseStore):
    drill = await promised(store)
    (entry,) = await claim(store)
    assert (entry.state, entry.token, entry.lease_until, entry.attempts) == ("leased", "t1", NOW + LEASE, 1)
    assert await claim(store, token="t2") == []
    assert await settle(store, entry, "ok", provider_ref="<m1@x>")
    assert not await settle(store, entry, "ok", provider_ref="<m1@x>")
    assert await claim(store, at=NOW + timedelta(days=1), token="t3") == []
    (entry,) = await entries(store)
    assert (entry.state, entry.provider_ref, entry.token, entry.last_error) == ("sent", "<m1@x>", None, None)
    ((kind, facts),) = await happened(store, drill)
    assert kind == "notification.sent"
    assert (facts["outbox_id"], facts["recipient_id"], facts["attempts"]) == (entry.id, drill.ada.id, 1)


async def test_many_relays_take_each_message_once(store: CaseStore):
    drill = await world.build(store, severity="critical")
    async with store.transaction() as tx:
        await ask(tx, drill, "confirm")
        await ask(tx, drill, "report")
    taken = await asyncio.gather(*(claim(store, token=f"t{number}", limit=2) for number in range(6)))
    ids = [entry.id for entries in taken for entry in entries]
    assert len(ids) == len(set(ids)) == 4


async def test_a_relay_does_not_wait_for_another(postgres_database: str, tmp_path: Path):
    """SQLite has one writer at a time; on PostgreSQL a relay takes what no other is taking."""
    store = await CaseStore.open(Settings(home=tmp_path, database_url=postgres_database))
    drill = await world.build(store)
    async with store.transaction() as tx:
        await ask(tx, drill, "confirm")
    async with store.transaction() as tx:
        (first,) = await outbox.claim(tx, NOW, LEASE, 1, "t1")
        async with asyncio.timeout(10):
            (second,) = await asyncio.create_task(claim(store, token="t2"))
    await store.close()
    assert first.id != second.id


async def test_a_sender_that_slept_past_its_lease_settles_nothing(store: CaseStore):
    drill = await promised(store)
    (first,) = await claim(store)
    (second,) = await claim(store, at=NOW + LEASE, token="t2")
    assert second.attempts == 2
    assert not await settle(store, first, "permanent", error="no such mailbox")
    assert await settle(store, second, "ok")
    assert [kind for kind, _ in await happened(store, drill)] == ["notification.sent"]


async def test_a_temporary_failure_is_tried_again_later_and_later(store: CaseStore):
    drill = await promised(store)
    at, delays = NOW, []
    for attempt in range(1, outbox.MAX_ATTEMPTS + 1):
        (entry,) = await claim(store, at=at, token=f"t{attempt}")
        assert entry.attempts == attempt
        assert await settle(store, entry, "temporary", error="451 later", at=at)
        (entry,) = await entries(store)
        delays.append((entry.next_at - at).total_seconds())
        if entry.state == "pending":
            assert await claim(store, at=entry.next_at - timedelta(microseconds=1), token="early") == []
        at = entry.next_at
    (entry,) = await entries(store)
    assert (entry.state, entry.last_error) == ("dead", "451 later")
    for attempt, delay in enumerate(delays[:-1], 1):
        assert 5 * 2**attempt / 2 <= delay <= 5 * 2**attempt
    kinds = [kind for kind, _ in await happened(store, drill)]
    assert kinds == ["notification.postponed"] * 7 + ["notification.failed"]


async def test_the_channel_may_ask_for_more_time(store: CaseStore):
    await promised(store)
    (entry,) = await claim(store)
    await settle(store, entry, "temporary", error="429", retry_after=timedelta(minutes=5))
    (entry,) = await entries(store)
    assert entry.next_at == NOW + timedelta(minutes=5)


async def test_a_retry_that_would_come_too_late_is_given_up(store: CaseStore):
    await promised(store)
    (entry,) = await claim(store)
    await settle(store, entry, "temporary", error="451", retry_after=timedelta(days=4))
    assert [entry.state for entry in await entries(store)] == ["dead"]


@pytest.mark.parametrize(
    ("outcome", "state", "event"),
    [("permanent", "dead", "notification.failed"), ("unknown", "unknown", "notification.unknown")],
)
async def test_what_is_final_is_not_repeated(store: CaseStore, outcome: str, state: str, event: str):
    drill = await promised(store)
    (entry,) = await claim(store)
    await settle(store, entry, outcome, error="550 no such user")
    assert [entry.state for entry in await entries(store)] == [state]
    assert await claim(store, at=NOW + timedelta(days=1), token="t2") == []
    ((kind, facts),) = await happened(store, drill)
    assert (kind, facts["error"]) == (event, "550 no such user")


async def test_what_was_not_sent_in_time_is_given_up_and_on_record(store: CaseStore):
    drill = await promised(store)
    late = NOW + timedelta(days=3)
    assert await claim(store, at=late) == []
    async with store.transaction() as tx:
        assert await outbox.expire(tx, by=RELAY, at=late - timedelta(microseconds=1)) == 0
        assert await outbox.expire(tx, by=RELAY, at=late) == 1
        assert await outbox.expire(tx, by=RELAY, at=late) == 0
    ((kind, facts),) = await happened(store, drill)
    assert (kind, facts["error"]) == ("notification.failed", "not sent in time")


async def test_a_message_that_is_being_sent_is_not_given_up(store: CaseStore):
    await promised(store)
    almost = NOW + timedelta(days=3) - timedelta(seconds=1)
    assert len(await claim(store, at=almost)) == 1
    async with store.transaction() as tx:
        assert await outbox.expire(tx, by=RELAY, at=almost + timedelta(seconds=1)) == 0
        assert await outbox.expire(tx, by=RELAY, at=almost + LEASE) == 1


# ---- overdue -------------------------------------------------------------------------------------------------------


async def test_a_task_is_overdue_once(store: CaseStore):
    drill = await promised(store)
    early = LATER - timedelta(microseconds=1)
    async with store.transaction() as tx:
        assert await notices.overdue_due(tx, early) == []
        (late,) = await notices.overdue_due(tx, LATER)
        assert late.key == "report"
        assert not await notices.mark_overdue(tx, late, by=RELAY, at=early)
        assert await notices.mark_overdue(tx, late, by=RELAY, at=LATER)
        assert not await notices.mark_overdue(tx, late, by=RELAY, at=LATER)
        assert await notices.overdue_due(tx, LATER) == []
    async with store.reading() as tx:
        assert (await world.task(tx, drill, "report")).overdue_at == LATER
        types = [event.type for event in await audit.tail(tx, 0, drill.case, limit=1000)]
        assert types.count("task.overdue") == 1


async def test_what_waits_for_nobody_is_not_overdue(store: CaseStore):
    drill = await promised(store)
    async with store.transaction() as tx:
        (late,) = await notices.overdue_due(tx, LATER)
        await cases.cancel(tx, drill.case, "twice", by=SYSTEM, at=NOW)
        assert not await notices.mark_overdue(tx, late, by=RELAY, at=LATER)
        assert await notices.overdue_due(tx, LATER) == []


async def test_marking_at_once_tells_once(store: CaseStore):
    drill = await promised(store)

    async def mark() -> bool:
        async with store.transaction() as tx:
            return await notices.mark_overdue(tx, await world.task(tx, drill, "report"), by=RELAY, at=LATER)

    assert sorted(await asyncio.gather(mark(), mark(), mark())) == [False, False, True]
