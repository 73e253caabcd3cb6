"""Where the statements of readers are executed on SQLite: in the event loop's thread while they are short."""

import asyncio
import threading

import pytest
from sqlalchemy import func, select, text

from case_store.models import AuditEvent
from case_store.store import CaseStore, Tx
from tests.store.making import BY, NOW

SHORT = "SELECT whereabouts() FROM audit_tree"
LONG = (
    "SELECT max(x), whereabouts() FROM"
    " (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50000) SELECT x FROM n)"
)


@pytest.fixture
def store(sqlite_store: CaseStore) -> CaseStore:
    """A store on SQLite."""
    return sqlite_store


async def knowing_where(tx: Tx) -> None:
    """Let SQL ask in which thread it is executed."""
    raw = await (await tx.session.connection()).get_raw_connection()
    await raw.driver_connection.create_function("whereabouts", 0, threading.get_ident)  # type: ignore[union-attr]


async def test_a_short_query_is_executed_at_once(store: CaseStore):
    async with store.reading() as tx:
        await knowing_where(tx)
        assert await tx.session.scalar(text(SHORT)) == threading.get_ident()


async def test_a_long_one_is_broken_off_and_executed_in_the_thread(store: CaseStore):
    async with store.reading() as tx:
        await knowing_where(tx)
        found, where = (await tx.session.execute(text(LONG))).one()
        assert found == 50000
        assert where != threading.get_ident()
        assert await tx.session.scalar(text(SHORT)) == threading.get_ident()


async def test_what_may_take_long_in_one_step_goes_to_the_thread(store: CaseStore):
    async with store.reading() as tx:
        await knowing_where(tx)
        assert await tx.session.scalar(text("SELECT max(whereabouts()) FROM (SELECT count(*) FROM audit_events)")) != (
            threading.get_ident()
        )


async def test_a_query_that_was_broken_off_reads_the_same_state(store: CaseStore):
    async with store.reading() as tx:
        await knowing_where(tx)
        await tx.session.execute(text(LONG))
        counted = select(func.count()).select_from(AuditEvent)
        before = await tx.session.scalar(counted)
        async with store.transaction() as other:
            other.record("test.noted", None, by=BY, at=NOW)
        await tx.session.execute(text(LONG))
        assert await tx.session.scalar(counted) == before
    async with store.reading() as tx:
        assert await tx.session.scalar(counted) == (before or 0) + 1


async def test_a_reader_that_ends_holds_nothing_open(store: CaseStore):
    async with store.reading() as tx:
        raw = await (await tx.session.connection()).get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await tx.session.scalar(select(func.max(AuditEvent.id)))
        assert driver.in_transaction
    assert not driver.in_transaction


async def test_readers_that_are_cancelled_twice_leave_nothing_that_waits_for_ever(store: CaseStore):
    async def read() -> None:
        async with store.reading() as tx:
            for _ in range(5):
                await tx.session.execute(text(LONG.replace("whereabouts()", "1")))

    before = asyncio.all_tasks()
    for turn in range(10):
        readers = [asyncio.create_task(read()) for _ in range(12)]
        await asyncio.sleep(0.002 * turn)
        for _ in range(2):
            for reader in readers:
                reader.cancel()
            await asyncio.sleep(0)
        ended = await asyncio.gather(*readers, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
    async with asyncio.timeout(20):
        await store.close()
    assert asyncio.all_tasks() <= before
