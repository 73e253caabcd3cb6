"""A transaction is whole or not there, and what the database says is said in our words."""

import asyncio
import stat
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import func, select, text

from case_store.errors import (
    BadDatabaseUrl,
    CommitUnknown,
    ConcurrentChange,
    ConstraintBroken,
    NotPermitted,
    StoreBusy,
    StoreDenied,
    StoreFull,
    StoreUnavailable,
    StoreUnwritable,
)
from case_store.models import AuditEvent, Case, Note, NoteRevision, Person, Stage, Task
from case_store.store import CaseStore, Tx
from tests.store.conftest import run_sql
from tests.store.making import BY, LATER, NOW, add_case, add_person, in_transaction


async def count(store: CaseStore, table: type = AuditEvent) -> int:
    async with store.reading() as tx:
        return await tx.session.scalar(select(func.count()).select_from(table)) or 0


class TestWholeOrNotAtAll:
    async def test_an_error_takes_everything_back(self, store: CaseStore):
        async def work(tx: Tx) -> None:
            await add_case(tx)
            raise LookupError("in the middle")

        with pytest.raises(LookupError, match="in the middle"):
            await in_transaction(store, work)
        assert (await count(store), await count(store, Case), await count(store, Task)) == (0, 0, 0)

    async def test_being_cancelled_takes_everything_back(self, store: CaseStore):
        flushed = asyncio.Event()

        async def work(tx: Tx) -> None:
            await add_case(tx)
            flushed.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(in_transaction(store, work))
        await flushed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await count(store), await count(store, Case)) == (0, 0)
        async with store.transaction() as tx:
            await add_case(tx)

    async def test_a_savepoint_takes_back_its_part_with_its_events(self, store: CaseStore):
        async with store.transaction() as tx:
            add_person(tx, "ann")
            await tx.flush()
            savepoint = await tx.session.begin_nested()
            add_person(tx, "bob")
            await tx.flush()
            await savepoint.rollback()
            add_person(tx, "cid")
        assert (await count(store), await count(store, Person)) == (2, 2)

    async def test_references_are_checked_at_the_commit(self, store: CaseStore):
        async def work(tx: Tx) -> None:
            case, _stage, _task = await add_case(tx)
            stage = Stage(case_id="nowhere", key="x", title="X", position=1)
            tx.session.add(stage)
            tx.record("stage.planned", stage, by=BY, at=NOW, case=case)
            await tx.flush()

        with pytest.raises(ConstraintBroken):
            await in_transaction(store, work)
        assert await count(store) == 0

    async def test_a_name_that_is_taken_is_refused(self, store: CaseStore):
        async def work(tx: Tx) -> None:
            add_person(tx, "ann")
            await tx.flush()
            add_person(tx, "ann")

        with pytest.raises(ConstraintBroken, match="handle"):
            await in_transaction(store, work)

    async def test_a_state_that_does_not_exist_is_refused(self, store: CaseStore):
        async def work(tx: Tx) -> None:
            _case, _stage, task = await add_case(tx)
            task.state = "perhaps"
            tx.record("test.changed", task, by=BY, at=LATER)

        with pytest.raises(ConstraintBroken, match="ck_tasks_state"):
            await in_transaction(store, work)

    async def test_an_error_does_not_carry_what_the_case_holds(self, store: CaseStore):
        """Error messages end in logs; what a case holds does not."""

        async def work(tx: Tx) -> None:
            add_person(tx, "ann", phone="+44 20 7946 0000")
            await tx.flush()
            add_person(tx, "ann", phone="+44 20 7946 0000")

        with pytest.raises(ConstraintBroken) as caught:
            await in_transaction(store, work)
        error: BaseException | None = caught.value
        while error is not None:
            assert "7946" not in str(error)
            error = error.__cause__

    async def test_a_note_and_its_revision_go_together(self, store: CaseStore):
        async with store.transaction() as tx:
            case, _stage, task = await add_case(tx)
            note = Note(case_id=case.id, task_id=task.id, author=str(BY), body="Seen.", written_at=NOW)
            revision = NoteRevision(note_id=note.id, revision=1, body=note.body, at=NOW, by=str(BY))
            task.note_id = note.id
            tx.session.add_all([revision, note])
            tx.record("note.added", note, by=BY, at=NOW)
            tx.record("test.changed", task, by=BY, at=NOW)
        assert (await count(store, Note), await count(store, NoteRevision)) == (1, 1)

    async def test_a_row_of_an_earlier_transaction_is_no_way_around_the_version(self, store: CaseStore):
        async with store.transaction() as tx:
            _case, _stage, stale = await add_case(tx)
        async with store.transaction() as tx:
            task = await tx.session.get_one(Task, stale.id)
            task.state = "open"
            tx.record("test.asked", task, by=BY, at=LATER)

        async def work(tx: Tx) -> None:
            tx.session.add(stale)
            stale.state = "done"
            tx.record("task.completed", stale, by=BY, at=LATER)

        with pytest.raises(ConcurrentChange):
            await in_transaction(store, work)


async def may_set_pragmas(tx: Tx) -> None:
    """Take the authorizer from the one connection that writes."""
    raw = await (await tx.session.connection()).get_raw_connection()
    assert raw.driver_connection is not None
    await raw.driver_connection.set_authorizer(None)


class TestSqlite:
    async def test_a_full_disk_is_said_and_needs_no_restart(self, sqlite_store: CaseStore):
        """A file that may not grow, which SQLite reports as it does a full disk."""
        async with sqlite_store.transaction() as tx:
            await may_set_pragmas(tx)
            pages = await tx.session.scalar(text("PRAGMA page_count"))
            await tx.session.execute(text(f"PRAGMA max_page_count = {pages}"))

        async def work(tx: Tx) -> None:
            add_person(tx, working_hours={"long": "x" * 200_000})
            await tx.flush()

        with pytest.raises(StoreFull) as caught:
            await in_transaction(sqlite_store, work)
        assert "next: free space" in caught.value.diagnostics()
        async with sqlite_store.transaction() as tx:
            await tx.session.execute(text("PRAGMA max_page_count = 1000000"))
            await work(tx)
        assert (await count(sqlite_store), await count(sqlite_store, Person)) == (1, 1)

    async def test_a_reader_keeps_its_state_while_others_write(self, store: CaseStore):
        async with store.reading() as tx:
            assert await tx.session.scalar(select(func.count()).select_from(Person)) == 0
            async with store.transaction() as writing:
                add_person(writing)
            assert await tx.session.scalar(select(func.count()).select_from(Person)) == 0
        assert await count(store, Person) == 1

    @pytest.mark.parametrize(
        "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory", "mysql://h/d", "no url", ""]
    )
    def test_what_is_no_database_of_ours_is_refused(self, url: str, tmp_path: Path):
        with pytest.raises(BadDatabaseUrl) as caught:
            CaseStore(url, tmp_path)
        assert "next: give sqlite" in caught.value.diagnostics()

    def test_a_password_is_not_in_the_error(self, tmp_path: Path):
        with pytest.raises(BadDatabaseUrl) as caught:
            CaseStore("mysql://u:geheim@h/d", tmp_path)
        assert "geheim" not in caught.value.diagnostics()


class TestPostgresql:
    @pytest.fixture
    async def killer(self, postgres_database: str):
        connection = await asyncpg.connect(postgres_database.replace("+asyncpg", ""))
        yield lambda pid: connection.fetchval("SELECT pg_terminate_backend($1, 10000)", pid)
        await connection.close()

    async def test_a_lost_connection_is_temporary_and_the_next_transaction_works(
        self, postgres_store: CaseStore, killer
    ):
        async def work(tx: Tx) -> None:
            await killer(await tx.session.scalar(text("SELECT pg_backend_pid()")))
            add_person(tx)
            await tx.flush()

        with pytest.raises(StoreUnavailable) as caught:
            await in_transaction(postgres_store, work)
        assert not isinstance(caught.value, CommitUnknown)
        async with postgres_store.transaction() as tx:
            add_person(tx)
        assert await count(postgres_store, Person) == 1

    async def test_a_connection_lost_at_the_commit_leaves_it_unknown(self, postgres_store: CaseStore, killer):
        async def work(tx: Tx) -> None:
            tx.record("test.noted", None, by=BY, at=NOW)  # nothing personal: the COMMIT is all that is left to do
            await tx.flush()
            await killer(await tx.session.scalar(text("SELECT pg_backend_pid()")))

        with pytest.raises(CommitUnknown) as caught:
            await in_transaction(postgres_store, work)
        assert "next: look whether the change is there" in caught.value.diagnostics()

    async def test_idle_connections_of_a_restarted_server_cost_nobody_a_refusal(
        self, postgres_store: CaseStore, killer
    ):
        async with postgres_store.reading() as tx:
            pid = await tx.session.scalar(text("SELECT pg_backend_pid()"))
        await killer(pid)
        assert await count(postgres_store) == 0

    async def test_a_lock_that_never_comes_is_said(self, postgres_store: CaseStore):
        async with postgres_store.transaction() as tx:
            await add_case(tx)

        async def work(tx: Tx) -> None:
            await tx.session.execute(text("SET LOCAL lock_timeout = 1"))
            await tx.session.scalars(select(Task).with_for_update())

        async with postgres_store.transaction() as tx:
            await tx.session.scalars(select(Task).with_for_update())
            # In a task of its own: one task holds one transaction.
            with pytest.raises(StoreBusy, match="lock timeout"):
                await asyncio.create_task(in_transaction(postgres_store, work))

    async def test_a_deadlock_is_temporary_for_one_of_the_two(self, postgres_store: CaseStore):
        async with postgres_store.transaction() as tx:
            ids = [add_person(tx, handle).id for handle in ("ann", "bob")]
        both_hold_one = asyncio.Barrier(2)

        async def lock(first: str, second: str) -> None:
            async with postgres_store.transaction() as tx:
                await tx.session.scalars(select(Person).where(Person.id == first).with_for_update())
                await both_hold_one.wait()
                await tx.session.scalars(select(Person).where(Person.id == second).with_for_update())

        outcomes = await asyncio.gather(lock(*ids), lock(*reversed(ids)), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConcurrentChange", "NoneType"]

    async def test_reading_cannot_write_even_past_the_session(self, store: CaseStore):
        async def work() -> None:
            async with store.reading() as tx:
                await (await tx.session.connection()).execute(text("DELETE FROM counters"))

        with pytest.raises((StoreUnwritable, NotPermitted)):
            await work()

    @pytest.mark.parametrize("given", ["postgresql://", "postgres://", "postgresql+asyncpg://"])
    async def test_every_way_to_write_the_url_is_taken(self, postgres_database: str, tmp_path: Path, given: str):
        url = postgres_database.replace("postgresql+asyncpg://", given) + "?sslmode=prefer"
        store = CaseStore(url, tmp_path)
        assert await count(store) == 0
        await store.close()

    async def test_a_wrong_database_name_is_said(self, postgres_database: str, tmp_path: Path):
        store = CaseStore(postgres_database + "_not_there", tmp_path)
        with pytest.raises(StoreDenied, match="does not exist"):
            await count(store)
        await store.close()


async def test_a_folder_that_cannot_be_written_is_said(sqlite_store: CaseStore, sqlite_database: str, tmp_path: Path):
    from case_store import migrate

    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnwritable, match="file"):
        await migrate.upgrade(f"sqlite:///{tmp_path / 'file' / 'casewright.db'}")
    assert await run_sql(sqlite_database)("SELECT 1") == [(1,)]
    assert stat.S_IMODE(Path(sqlite_store.url.database or "").stat().st_mode) == 0o600
