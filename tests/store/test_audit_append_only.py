"""The database refuses what the session would refuse, whoever asks: it is asked here by plain drivers."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import insert, select

from case_store.audit.events import Place
from case_store.errors import ConcurrentChange, DatabaseRefused
from case_store.migrations.lateness import guards as lateness
from case_store.migrations.links import guards as links
from case_store.migrations.proof import tables as proof
from case_store.migrations.replies import guards as replies
from case_store.migrations.signing import guards as signing
from case_store.migrations.spine import guarded
from case_store.migrations.timestamps import guards as timestamps
from case_store.migrations.witness import guards as witness
from case_store.models import AuditEvent, AuditStream, Base, Task
from case_store.store import CaseStore
from tests.store.conftest import Sql, run_sql
from tests.store.forging import about, by_hand
from tests.store.making import BY, LATER, add_case, add_person

REFUSED = "casewright: "
A_PERSON = (
    "INSERT INTO people (id, version, handle, name, roles, active) VALUES ('p', {version}, 'p', 'P', '[]', {yes})"
)
A_NOTE = (
    "INSERT INTO notes (id, version, case_id, author, body, revision, written_at)"
    " SELECT 'n', {version}, id, 'x', 'x', 1, opened_at FROM cases"
)
COLUMNS = ", ".join(column.name for column in AuditEvent.__table__.columns)
GUARDED = ("audit_events", "cases", "stages", "tasks", "people", "sops")


def replace(*, id: str = "id", event_id: str = "event_id", entity_id: str = "entity_id") -> str:
    """The SQL that replaces audit events by forged ones."""
    forged = {"id": id, "event_id": event_id, "entity_id": entity_id, "actor_id": "'somebody else'"}
    values = ", ".join(forged.get(name, name) for name in COLUMNS.split(", "))
    return f"INSERT OR REPLACE INTO audit_events ({COLUMNS}) SELECT {values} FROM audit_events"


@pytest.fixture
async def with_rows(store: CaseStore) -> CaseStore:
    """A case with its stage and task, and a person."""
    async with store.transaction() as tx:
        await add_case(tx)
        add_person(tx)
    return store


async def refused(sql: Sql, statement: str, words: str = REFUSED) -> None:
    """Expect the database to refuse the statement, in our words."""
    with pytest.raises(Exception, match=words) as caught:
        await sql(statement)
    assert type(caught.value).__module__.split(".")[0] in {"sqlite3", "asyncpg"}


async def everything(sql: Sql) -> list[object]:
    """What is in the guarded tables."""
    return [
        await sql(f"SELECT * FROM {table}") for table in ("audit_events", "cases", "stages", "tasks", "people", "sops")
    ]


@pytest.mark.parametrize("table", [*guarded.AUDITED, *guarded.WRITTEN_ONCE])
async def test_no_table_lacks_its_refusals(with_rows: CaseStore, sql: Sql, table: str):
    """Rows that are there refuse DELETE; on PostgreSQL an empty table refuses TRUNCATE too."""
    if await sql(f"SELECT 1 FROM {table}"):
        await refused(sql, f"DELETE FROM {table}")
    if with_rows.url.drivername.startswith("postgresql"):
        await refused(sql, f"TRUNCATE {table} CASCADE")


class TestTheTrail:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE audit_events SET actor_id = 'somebody else'",
            "UPDATE audit_events SET event_id = 'other'",
            "DELETE FROM audit_events",
            "DELETE FROM audit_events WHERE id = (SELECT max(id) FROM audit_events)",
            "UPDATE sops SET text = 'other'",
        ],
    )
    async def test_is_never_changed(self, with_rows: CaseStore, sql: Sql, statement: str):
        before = await everything(sql)
        await refused(sql, statement)
        assert await everything(sql) == before

    async def test_takes_one_event_for_a_version(self, with_rows: CaseStore, sql: Sql):
        [[task_id]] = await sql("SELECT id FROM tasks")
        words = "casewright: this version|uq_audit_events_entity_id_entity_version"
        await refused(sql, await by_hand(with_rows, sql, str(task_id), 1, "task"), words)

    @pytest.mark.parametrize(
        "statement",
        [
            replace(),
            replace(event_id="'x' || event_id", entity_id="'x' || entity_id"),
            replace(id="NULL", entity_id="'x' || entity_id"),
            replace(id="NULL", event_id="'x' || event_id"),
            "UPDATE OR REPLACE audit_events SET id = 1 WHERE id = 2",
            "REPLACE INTO sops SELECT digest, key, version, 'other' FROM sops",
            "REPLACE INTO cases SELECT * FROM cases",
            "REPLACE INTO people SELECT * FROM people",
        ],
    )
    async def test_is_never_replaced_on_sqlite(self, sqlite_store: CaseStore, sqlite_database: str, statement: str):
        """REPLACE fires no DELETE trigger on a connection without recursive_triggers."""
        async with sqlite_store.transaction() as tx:
            await add_case(tx)
            add_person(tx)
        sql = run_sql(sqlite_database)
        before = await everything(sql)
        await refused(sql, statement)
        assert await everything(sql) == before

    @pytest.mark.parametrize(
        "statement",
        [
            "TRUNCATE audit_events",
            "TRUNCATE cases, tasks CASCADE",
            f"INSERT INTO audit_events ({COLUMNS}) OVERRIDING SYSTEM VALUE SELECT {COLUMNS} FROM audit_events"  # noqa: ISC004
            " ON CONFLICT (id) DO UPDATE SET actor_id = 'somebody else'",
            "WITH t AS (UPDATE tasks SET state = 'done' RETURNING 1) SELECT * FROM t",
            "MERGE INTO tasks USING tasks t ON t.id = tasks.id WHEN MATCHED THEN UPDATE SET state = 'done'",
            "SET session_replication_role = replica; DELETE FROM audit_events",
            "SET session_replication_role = replica; UPDATE tasks SET state = 'done'",
        ],
    )
    async def test_is_never_emptied_or_circumvented_on_postgresql(
        self, postgres_store: CaseStore, postgres_database: str, statement: str
    ):
        async with postgres_store.transaction() as tx:
            await add_case(tx)
        connection = await asyncpg.connect(postgres_database.replace("+asyncpg", ""))
        try:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=REFUSED):
                await connection.execute(statement)
        finally:
            await connection.close()

    async def test_a_temporary_table_of_its_name_deceives_nobody(
        self, postgres_store: CaseStore, postgres_database: str
    ):
        async with postgres_store.transaction() as tx:
            await add_case(tx)
        connection = await asyncpg.connect(postgres_database.replace("+asyncpg", ""))
        try:
            await connection.execute("CREATE TEMP TABLE audit_events (LIKE public.audit_events)")
            await connection.execute(
                "INSERT INTO pg_temp.audit_events SELECT * FROM public.audit_events WHERE entity_type = 'task'"
            )
            await connection.execute("UPDATE pg_temp.audit_events SET entity_version = 2")
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=REFUSED):
                await connection.execute("UPDATE tasks SET state = 'done', version = 2")
        finally:
            await connection.close()


class TestAChangeWithoutEvent:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE tasks SET state = 'done'",  # same version: its event is that of an earlier change
            "UPDATE tasks SET state = 'done', version = version + 1",
            "UPDATE tasks SET state = 'done', version = version + 2",
            "UPDATE tasks SET state = 'done', version = 0",
            "UPDATE tasks SET id = 'other'",
            "UPDATE cases SET title = 'Other'",
            "UPDATE people SET roles = '[\"manager\"]'",
            "DELETE FROM tasks",
            "DELETE FROM people",
        ],
    )
    async def test_is_refused(self, with_rows: CaseStore, sql: Sql, statement: str):
        before = await everything(sql)
        await refused(sql, statement)
        assert await everything(sql) == before

    @pytest.mark.parametrize("version", [0, 1, 2])
    @pytest.mark.parametrize("row", [A_PERSON, A_NOTE])
    async def test_is_refused_for_a_new_row(self, with_rows: CaseStore, sql: Sql, row: str, version: int):
        yes = "1" if with_rows.url.drivername.startswith("sqlite") else "true"
        await refused(sql, row.format(version=version, yes=yes))

    async def test_is_refused_for_a_new_row_that_does_not_begin_at_version_1(self, with_rows: CaseStore, sql: Sql):
        yes = "1" if with_rows.url.drivername.startswith("sqlite") else "true"
        await sql(await by_hand(with_rows, sql, "p", 2, "person"))
        await refused(sql, A_PERSON.format(version=2, yes=yes))

    async def test_is_refused_when_the_event_is_about_another_kind_of_row(self, with_rows: CaseStore, sql: Sql):
        [[person_id]] = await sql("SELECT id FROM people")
        await sql(await by_hand(with_rows, sql, str(person_id), 2, "task"))
        await refused(sql, "UPDATE people SET name = 'Other', version = 2")

    async def test_passes_with_its_event(self, with_rows: CaseStore, sql: Sql):
        """The other side: what the session does is what the triggers ask for."""
        [[task_id]] = await sql("SELECT id FROM tasks")
        await sql(await by_hand(with_rows, sql, str(task_id), 2, "task"))
        await sql("UPDATE tasks SET state = 'done', version = 2")
        assert await sql("SELECT state FROM tasks") == [("done",)]


class TestThroughTheStore:
    async def test_a_refusal_is_said_in_our_words(self, with_rows: CaseStore):
        """A statement on the connection goes past the session's guard, and meets the database's."""

        async def work() -> None:
            async with with_rows.transaction() as tx:
                connection = await tx.session.connection()
                await connection.execute(Task.__table__.update().values(state="done"))

        with pytest.raises(DatabaseRefused, match="a change of tasks needs its audit event") as caught:
            await work()
        assert "next: change rows only through the verbs" in caught.value.diagnostics()

    async def test_the_same_event_twice_is_a_concurrent_change(self, with_rows: CaseStore):
        async def work() -> None:
            async with with_rows.transaction() as tx:
                connection = await tx.session.connection()
                found = select(AuditEvent.__table__).where(AuditEvent.entity_type == "task")
                row = (await connection.execute(found)).mappings().one()
                head = select(AuditStream.seq, AuditStream.head).where(AuditStream.stream == row["stream"])
                seq, last = (await connection.execute(head)).one()
                again = about(row["stream"], row["entity_id"], row["entity_version"])
                await connection.execute(insert(AuditEvent.__table__).values(again.row(Place(seq + 1, last))))

        with pytest.raises(ConcurrentChange):
            await work()

    async def test_the_second_of_two_who_change_the_same_row_is_told(self, postgres_store: CaseStore):
        """Nothing of the second is written; on SQLite there is no second at the same moment."""
        async with postgres_store.transaction() as tx:
            await add_case(tx)
        both_have_read = asyncio.Barrier(2)

        async def decide(state: str) -> None:
            async with postgres_store.transaction() as tx:
                task = (await tx.session.scalars(select(Task))).one()
                await both_have_read.wait()
                task.state = state
                tx.record("task.completed", task, by=BY, at=LATER)

        outcomes = await asyncio.gather(decide("done"), decide("skipped"), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConcurrentChange", "NoneType"]
        async with postgres_store.reading() as tx:
            task = (await tx.session.scalars(select(Task))).one()
            assert task.version == 2
            assert task.state == ("done" if outcomes[0] is None else "skipped")


def test_the_triggers_guard_the_tables_that_the_models_name():
    from case_store.audit.guard import AUDITED_TABLES, WRITTEN_ONCE_TABLES

    assert {
        mapper.class_.__tablename__: mapper.class_.entity_type
        for mapper in Base.registry.mappers
        if mapper.class_.__tablename__ in AUDITED_TABLES
    } == guarded.AUDITED | {one.TABLE: one.ENTITY for one in (lateness, signing, links)}
    written_once = {*guarded.WRITTEN_ONCE, *proof.WRITTEN_ONCE, *witness.WRITTEN_ONCE, timestamps.TABLE, replies.TABLE}
    assert written_once == WRITTEN_ONCE_TABLES
