"""Changes of one process share a COMMIT on SQLite, and nobody's failure is anybody else's."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.exc import OperationalError

from case_store import group
from case_store.errors import CommitUnknown, ConstraintBroken, StoreBusy, StoreError, StoreFull, StoreUnavailable
from case_store.models import AuditEvent, AuditStream, Base, Person, Stage
from case_store.store import CaseStore, Tx
from case_store.translate import outcome_unknown
from tests.store.making import BY, NOW, add_case, add_person, in_transaction, unrestrained

Work = Callable[[Tx], Awaitable[object]]
COUNTERS = Base.metadata.tables["counters"]


@pytest.fixture
def commits(sqlite_store: CaseStore) -> list[object]:
    """One item for each COMMIT."""
    seen: list[object] = []
    event.listen(sqlite_store._engines.writing.sync_engine, "commit", seen.append)
    return seen


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, a group takes all who are in line."""
    monkeypatch.setattr(group, "LONGEST", 3600.0)


def person(handle: str) -> Work:
    async def work(tx: Tx) -> None:
        add_person(tx, handle)
        await tx.flush()

    return work


def failed_disk() -> sqlite3.Error:
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    return failure


async def together(store: CaseStore, *works: Work) -> list[object]:
    """Make changes, each in its own transaction; the first lasts until all others are in line."""

    async def first(tx: Tx) -> None:
        while len(store._group._line) < len(works) - 1:  # noqa: ASYNC110 - nobody tells when a line is long enough
            await asyncio.sleep(0)
        await works[0](tx)

    tasks = [asyncio.create_task(in_transaction(store, work)) for work in (first, *works[1:])]
    return await asyncio.gather(*tasks, return_exceptions=True)


async def handles(store: CaseStore) -> list[str]:
    async with store.reading() as tx:
        found = list(await tx.session.scalars(select(Person.handle).order_by(Person.handle)))
        events = await tx.session.scalar(select(func.count()).select_from(AuditEvent))
        streams = await tx.session.scalar(select(func.sum(AuditStream.seq)))
    assert events == (streams or 0) == len(found)
    return found


async def test_those_who_come_together_share_a_commit(sqlite_store: CaseStore, commits: list[object]):
    assert await together(sqlite_store, *(person(f"p{n:02}") for n in range(20))) == [None] * 20
    assert len(commits) == 1
    assert len(await handles(sqlite_store)) == 20


async def test_a_change_alone_needs_no_savepoint(sqlite_store: CaseStore, commits: list[object]):
    savepoints: list[object] = []
    event.listen(sqlite_store._engines.writing.sync_engine, "savepoint", lambda *about: savepoints.append(about))
    await in_transaction(sqlite_store, person("ann"))
    assert (len(commits), savepoints) == (1, [])


async def test_a_group_is_not_larger_than_allowed(
    sqlite_store: CaseStore, commits: list[object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group, "LARGEST", 8)
    assert await together(sqlite_store, *(person(f"p{n:02}") for n in range(20))) == [None] * 20
    assert len(commits) == 3


async def test_nobody_joins_a_group_that_has_lasted(
    sqlite_store: CaseStore, commits: list[object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group, "LONGEST", 0.0)
    assert await together(sqlite_store, *(person(f"p{n:02}") for n in range(5))) == [None] * 5
    assert len(commits) == 5


async def test_nobody_is_told_before_the_commit(sqlite_store: CaseStore):
    second_may_end, told = asyncio.Event(), []

    async def second(tx: Tx) -> None:
        add_person(tx, "bob")
        await tx.flush()
        told.extend(await handles(sqlite_store))  # ann is in the group, and nobody sees her yet
        assert not tasks.done()
        await second_may_end.wait()

    tasks = asyncio.ensure_future(together(sqlite_store, person("ann"), second))
    asyncio.get_running_loop().call_later(0.05, second_may_end.set)
    assert await tasks == [None, None]
    assert told == []
    assert await handles(sqlite_store) == ["ann", "bob"]


@pytest.mark.parametrize("failing", [0, 1, 2])
async def test_a_change_that_fails_fails_alone(sqlite_store: CaseStore, failing: int):
    async def fails(tx: Tx) -> None:
        add_person(tx, "nobody")
        await tx.flush()
        raise LookupError("in the middle")

    works = [person("ann"), person("bob"), person("cid")]
    works[failing] = fails
    outcomes = await together(sqlite_store, *works)
    assert isinstance(outcomes.pop(failing), LookupError)
    assert outcomes == [None, None]
    assert len(await handles(sqlite_store)) == 2


async def test_what_the_database_refuses_fails_alone(sqlite_store: CaseStore, commits: list[object]):
    outcomes = await together(sqlite_store, person("ann"), person("ann"), person("bob"))
    assert [type(one) for one in outcomes] == [type(None), ConstraintBroken, type(None)]
    assert (len(commits), await handles(sqlite_store)) == (1, ["ann", "bob"])


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("rows", [1, 20_000], ids=["at once", "in the thread"])
async def test_who_is_cancelled_in_the_middle_of_a_statement_harms_nobody(
    sqlite_store: CaseStore, place: int, rows: int
):
    """What is taken back is taken back behind the statement, even if that is still in the thread of the connection."""

    async def cancelled(tx: Tx) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = await tx.session.connection()
        asyncio.get_running_loop().call_soon(task.cancel)
        await connection.execute(insert(COUNTERS), [{"name": f"n{row}", "value": 1} for row in range(rows)])
        await asyncio.sleep(0)

    works = [person("ann"), person("bob"), person("cid")]
    works[place] = cancelled
    outcomes = await together(sqlite_store, *works)
    assert isinstance(outcomes.pop(place), asyncio.CancelledError)
    assert outcomes == [None, None]
    assert len(await handles(sqlite_store)) == 2
    async with sqlite_store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(COUNTERS)) == 0


async def test_who_is_cancelled_while_the_commit_is_awaited_harms_nobody(sqlite_store: CaseStore):
    async def cancels_the_first(tx: Tx) -> None:
        add_person(tx, "bob")
        await tx.flush()
        first.cancel()
        await asyncio.sleep(0)

    in_line = asyncio.Event()

    async def ann(tx: Tx) -> None:
        add_person(tx, "ann")
        await in_line.wait()

    first = asyncio.create_task(in_transaction(sqlite_store, ann))
    second = asyncio.create_task(in_transaction(sqlite_store, cancels_the_first))
    await asyncio.sleep(0)
    in_line.set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1] is None
    assert await handles(sqlite_store) == ["ann", "bob"]  # as with a commit of one's own: it may be there


async def test_who_is_cancelled_in_line_leaves_it(sqlite_store: CaseStore):
    async def cancels_the_second(tx: Tx) -> None:
        add_person(tx, "ann")
        second.cancel()

    second: asyncio.Task[None]

    async def first() -> None:
        await in_transaction(sqlite_store, cancels_the_second)

    one = asyncio.create_task(first())
    second = asyncio.create_task(in_transaction(sqlite_store, person("bob")))
    third = asyncio.create_task(in_transaction(sqlite_store, person("cid")))
    outcomes = await asyncio.gather(one, second, third, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), asyncio.CancelledError, type(None)]
    assert await handles(sqlite_store) == ["ann", "cid"]


async def test_who_waits_too_long_in_line_is_told_and_the_others_go_on(sqlite_store: CaseStore):
    sqlite_store._group._lock.longest_wait = 0.02
    refused = asyncio.Event()

    async def first(tx: Tx) -> None:
        add_person(tx, "ann")
        await refused.wait()

    async def second() -> None:
        try:
            await in_transaction(sqlite_store, person("bob"))
        finally:
            refused.set()

    outcomes = await asyncio.gather(in_transaction(sqlite_store, first), second(), return_exceptions=True)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], StoreBusy)
    assert await handles(sqlite_store) == ["ann"]


async def test_a_full_disk_is_said_to_the_one_whose_change_is_too_large(sqlite_store: CaseStore):
    async def fills(tx: Tx) -> None:
        await unrestrained(tx)
        pages = await tx.session.scalar(text("PRAGMA page_count"))
        await tx.session.execute(text(f"PRAGMA max_page_count = {pages}"))
        add_person(tx, "big", working_hours={"long": "x" * 200_000})
        await tx.flush()

    outcomes = await together(sqlite_store, person("ann"), fills, person("bob"))
    assert [type(one) for one in outcomes] == [type(None), StoreFull, type(None)]
    assert await handles(sqlite_store) == ["ann", "bob"]


REFUSED = """
CREATE TEMP TRIGGER all_back BEFORE INSERT ON people WHEN NEW.handle = 'big'
BEGIN SELECT RAISE(ROLLBACK, 'everything is taken back'); END
"""


async def test_what_takes_back_the_whole_transaction_is_said_to_all_before_it(sqlite_store: CaseStore):
    async with sqlite_store.transaction() as tx:
        await unrestrained(tx)
        await (await tx.session.connection()).exec_driver_sql(REFUSED)
    outcomes = await together(sqlite_store, person("ann"), person("bob"), person("big"), person("cid"))
    assert [type(one) for one in outcomes] == [StoreUnavailable, StoreUnavailable, ConstraintBroken, type(None)]
    assert await handles(sqlite_store) == ["cid"]  # came after, in a group of its own
    assert await together(sqlite_store, person("ann"), person("bob")) == [None, None]


@pytest.mark.parametrize("place", [0, 1])
async def test_a_disk_that_fails_in_the_middle_is_said_to_all_before_it(sqlite_store: CaseStore, place: int):
    async def fails(tx: Tx) -> None:
        await (await tx.session.connection()).exec_driver_sql("ROLLBACK")  # as SQLite does by itself
        raise OperationalError("INSERT", {}, failed_disk())

    works = [person("ann"), person("bob")]
    works.insert(place, fails)
    outcomes = await together(sqlite_store, *works)
    assert [type(one) for one in outcomes[: place + 1]] == [StoreUnavailable] * (place + 1)
    assert all("disk I/O error" in str(one) for one in outcomes[: place + 1])
    assert outcomes[place + 1 :] == [None] * (2 - place)


async def test_who_swallows_such_an_error_is_not_told_that_it_was_written(sqlite_store: CaseStore):
    async def swallows(tx: Tx) -> None:
        await (await tx.session.connection()).exec_driver_sql("ROLLBACK")

    for works in ([person("ann"), swallows], [swallows]):
        outcomes = await together(sqlite_store, *works)
        assert [type(one) for one in outcomes] == [StoreUnavailable] * len(works)
    assert await handles(sqlite_store) == []


def broken_reference() -> Work:
    """A change that is refused only at the COMMIT."""

    async def work(tx: Tx) -> None:
        case, _stage, _task = await add_case(tx, number=9)
        stage = Stage(case_id="nowhere", key="x", title="X", position=1)
        tx.session.add(stage)
        tx.record("stage.planned", stage, by=BY, at=NOW, case=case)

    return work


async def test_a_commit_that_is_refused_is_temporary_for_the_group_and_then_for_nobody_but_the_one(
    sqlite_store: CaseStore,
):
    works = [person("ann"), broken_reference(), person("bob")]
    outcomes = await together(sqlite_store, *works)
    assert [type(one) for one in outcomes] == [StoreUnavailable] * 3
    assert "a change of the same commit was refused" in str(outcomes[0])
    assert await handles(sqlite_store) == []
    outcomes = await together(sqlite_store, *works)
    assert [type(one) for one in outcomes] == [type(None), ConstraintBroken, type(None)]
    assert await handles(sqlite_store) == ["ann", "bob"]


async def test_a_disk_that_fails_at_the_commit_leaves_it_unknown_for_all(sqlite_store: CaseStore):
    def fails(_connection: object) -> None:
        raise OperationalError("COMMIT", {}, failed_disk())

    engine = sqlite_store._engines.writing.sync_engine
    event.listen(engine, "commit", fails)
    outcomes = await together(sqlite_store, person("ann"), person("bob"))
    event.remove(engine, "commit", fails)
    assert [type(one) for one in outcomes] == [CommitUnknown] * 2
    assert await together(sqlite_store, person("cid")) == [None]
    assert not outcome_unknown(OperationalError("COMMIT", {}, sqlite3.OperationalError("full")))


async def test_a_group_that_cannot_begin_is_said_to_all_in_line(sqlite_store: CaseStore, sqlite_database: str):
    async with sqlite_store.transaction() as tx:
        await unrestrained(tx)
        await tx.session.execute(text("PRAGMA busy_timeout = 1"))
    other = sqlite3.connect(sqlite_store.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        *(in_transaction(sqlite_store, person(handle)) for handle in ("ann", "bob")), return_exceptions=True
    )
    other.execute("ROLLBACK")
    other.close()
    assert [type(one) for one in outcomes] == [StoreBusy] * 2
    assert await together(sqlite_store, person("ann"), person("bob")) == [None, None]


async def test_a_store_that_closes_waits_for_those_who_write(sqlite_store: CaseStore):
    begun = asyncio.Event()

    async def work(tx: Tx) -> None:
        begun.set()
        await asyncio.sleep(0)
        add_person(tx, "ann")

    task = asyncio.create_task(in_transaction(sqlite_store, work))
    await begun.wait()
    await sqlite_store.close()
    await task
    assert await handles(sqlite_store) == ["ann"]


async def test_any_error_of_ours_reaches_whoever_made_the_change(sqlite_store: CaseStore):
    async def refused(tx: Tx) -> None:
        add_person(tx, "ann")
        await tx.flush()
        raise StoreError("not like this")

    outcomes = await together(sqlite_store, person("bob"), refused)
    assert str(outcomes[1]) == "not like this"
    assert await handles(sqlite_store) == ["bob"]
