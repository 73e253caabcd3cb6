"""The migrations make the tables that the models name, on both databases, whole or not at all."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect, make_url

from case_store import migrate, schema
from case_store.engines import migrating_engine, parse_url
from case_store.errors import AppendOnly, GuardsMissing, SchemaNotCurrent, StoreError, StoreUnavailable
from case_store.migrations.spine import postgresql, sqlite
from case_store.models import Base
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.conftest import Sql, run_sql
from tests.store.making import add_case

T = TypeVar("T")
A_FUNCTION_THAT_LETS_PASS = (
    "CREATE OR REPLACE FUNCTION casewright_require_event() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
)
NEXT = "next: run: casewright db upgrade"


async def look(url: str, at: Callable[[Connection], T]) -> T:
    """Look at a database with SQLAlchemy's own means."""
    engine = migrating_engine(parse_url(url))
    async with engine.begin() as connection:
        found = await connection.run_sync(at)
    await engine.dispose()
    return found


def tables(connection: Connection) -> dict[str, object]:
    """Everything that SQLAlchemy can read back of the tables."""
    inspector = inspect(connection)
    return {
        name: {
            "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(name)],
            "primary key": inspector.get_pk_constraint(name),
            "references": sorted(inspector.get_foreign_keys(name), key=lambda key: str(key["name"])),
            "unique": sorted(inspector.get_unique_constraints(name), key=lambda key: str(key["name"])),
            "indexes": sorted(inspector.get_indexes(name), key=lambda index: str(index["name"])),
            "checks": sorted(inspector.get_check_constraints(name), key=lambda check: str(check["name"])),
        }
        for name in sorted(inspector.get_table_names())
        if name != "alembic_version"
    }


def differences(connection: Connection) -> list[object]:
    """What Alembic would change to come to the models."""
    # SQLite has no identity columns; Alembic would take that for a changed default.
    options = {"compare_type": True, "compare_server_default": connection.dialect.name != "sqlite"}
    return compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)


def copy_of_the_models() -> MetaData:
    """The models to make tables of: that marks constraints, so not the ones that others use."""
    copy = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.sorted_tables:
        table.to_metadata(copy)
    return copy


def open_store(url: str, home: Path):
    return CaseStore.open(Settings(home=home, database_url=url))


class TestUpgrade:
    async def test_from_empty_to_head_leaves_nothing_for_alembic_to_change(self, empty_url: str):
        assert await migrate.current(empty_url) is None
        await migrate.upgrade(empty_url)
        assert await migrate.current(empty_url) == schema.HEAD
        assert await look(empty_url, differences) == []
        assert await migrate.check(empty_url) == []

    async def test_makes_exactly_what_the_models_say(self, empty_url: str, request: pytest.FixtureRequest):
        """More than Alembic compares: CHECKs, the order of columns, when a reference is checked."""
        await migrate.upgrade(empty_url)
        migrated = await look(empty_url, tables)
        await migrate.downgrade(empty_url, "base")
        await look(empty_url, copy_of_the_models().create_all)
        assert migrated == await look(empty_url, tables)

    async def test_down_and_up_again(self, empty_url: str):
        await migrate.upgrade(empty_url)
        before = await look(empty_url, tables)
        await migrate.downgrade(empty_url, "base")
        assert await migrate.current(empty_url) is None
        assert await look(empty_url, tables) == {}
        await migrate.upgrade(empty_url)
        assert await look(empty_url, tables) == before
        assert await migrate.check(empty_url) == []

    async def test_messages_of_before_are_there_afterwards(self, sqlite_empty: str):
        """On SQLite the table of the outbox is made anew, as a condition cannot be changed there."""
        await migrate.upgrade(sqlite_empty)
        await migrate.downgrade(sqlite_empty, "0006")
        sql = run_sql(sqlite_empty)
        [[guard]] = await sql("SELECT sql FROM sqlite_master WHERE name = 'people_insert'")
        await sql("DROP TRIGGER people_insert")
        await sql(
            "INSERT INTO people (id, version, handle, name, roles, active) VALUES ('p', 1, 'ada', 'Ada', '[]', 1)"
        )
        await sql(str(guard))
        await sql(
            "INSERT INTO outbox (id, dedup_key, channel, recipient_id, template, context, state, attempts, next_at)"
            " VALUES ('m', 'k', 'email', 'p', 'assigned', '{}', 'unknown', 3, '2026-01-01 00:00:00.000000')"
        )
        await migrate.upgrade(sqlite_empty)
        [row] = await sql("SELECT id, dedup_key, state, attempts, in_doubt, polls, resent FROM outbox")
        assert row == ("m", "k", "unknown", 3, 0, 0, 0)
        await sql("UPDATE outbox SET state = 'delivered'")

    async def test_again_changes_nothing(self, database_url: str, tmp_path: Path):
        store = await open_store(database_url, tmp_path)
        async with store.transaction() as tx:
            await add_case(tx)
        await store.close()
        await migrate.upgrade(database_url)
        assert await run_sql(database_url)("SELECT count(*) FROM audit_events") == [(3,)]

    async def test_twice_at_once_is_done_once(self, empty_url: str):
        await asyncio.gather(migrate.upgrade(empty_url), migrate.upgrade(empty_url))
        assert await migrate.check(empty_url) == []

    async def test_on_one_database_does_not_change_what_it_makes_on_the_other(
        self, postgres_empty: str, sqlite_empty: str
    ):
        """SQLAlchemy marks constraints that it added by ALTER, and would leave them out on SQLite."""
        await migrate.upgrade(postgres_empty)
        await migrate.upgrade(sqlite_empty)
        assert await look(sqlite_empty, differences) == []

    async def test_needs_no_working_directory(self, sqlite_empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        await migrate.upgrade(sqlite_empty)
        assert await migrate.check(sqlite_empty) == []

    async def test_that_fails_halfway_leaves_nothing(self, empty_url: str, monkeypatch: pytest.MonkeyPatch):
        good = sqlite.triggers()
        monkeypatch.setattr(sqlite, "triggers", lambda: {**good, "bad": "CREATE TRIGGER broken"})
        monkeypatch.setattr(postgresql, "functions", lambda: ["CREATE FUNCTION broken"])
        with pytest.raises(StoreError, match=r"syntax error|incomplete input"):
            await migrate.upgrade(empty_url)
        monkeypatch.undo()
        assert await look(empty_url, tables) == {}
        await migrate.upgrade(empty_url)
        assert await migrate.check(empty_url) == []

    async def test_does_not_delete_the_trail_on_the_way_down(self, database_url: str, tmp_path: Path):
        store = await open_store(database_url, tmp_path)
        async with store.transaction() as tx:
            await add_case(tx)
        await store.close()
        with pytest.raises(AppendOnly, match="not empty"):
            await migrate.downgrade(database_url, "base")
        assert await migrate.check(database_url) == []
        assert await run_sql(database_url)("SELECT count(*) FROM audit_events") == [(3,)]

    async def test_makes_a_file_that_only_its_owner_reads(self, sqlite_empty: str, tmp_path: Path):
        old = os.umask(0)
        try:
            await migrate.upgrade(sqlite_empty)
            store = await open_store(sqlite_empty, tmp_path)
            async with store.transaction() as tx:
                await add_case(tx)
            files = sorted((tmp_path / "data").iterdir())
            assert [file.name.removeprefix("casewright.db") for file in files] == [
                "",
                "-shm",
                "-wal",
                ".writer",
                ".writer.door",
            ]
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
            await store.close()
        finally:
            os.umask(old)


class TestCheck:
    async def test_a_database_that_is_not_there(self, sqlite_empty: str, tmp_path: Path):
        [problem] = await migrate.check(sqlite_empty)
        assert NEXT in str(problem)
        with pytest.raises(SchemaNotCurrent, match="no database at") as caught:
            await open_store(sqlite_empty, tmp_path)
        assert NEXT in caught.value.diagnostics()
        assert not (tmp_path / "data").exists()

    async def test_a_database_without_tables(self, postgres_empty: str, tmp_path: Path):
        [problem] = await migrate.check(postgres_empty)
        assert "no tables" in problem.message
        with pytest.raises(SchemaNotCurrent, match="no tables") as caught:
            await open_store(postgres_empty, tmp_path)
        assert NEXT in caught.value.diagnostics()

    @pytest.mark.parametrize(
        ("at", "step"), [("0000", "run: casewright db upgrade"), ("9999", "install the newer version")]
    )
    async def test_tables_of_another_version(self, database_url: str, sql: Sql, tmp_path: Path, at: str, step: str):
        await sql(f"UPDATE alembic_version SET version_num = '{at}'")
        [problem] = await migrate.check(database_url)
        assert (at in problem.message, problem.next_step) == (True, step)
        with pytest.raises(SchemaNotCurrent, match=at):
            await open_store(database_url, tmp_path)

    async def test_an_upgrade_does_not_touch_newer_tables(self, database_url: str, sql: Sql):
        await sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(SchemaNotCurrent, match="newer") as caught:
            await migrate.upgrade(database_url)
        assert caught.value.next_step == "install the newer version"

    @pytest.mark.parametrize("name", ["audit_events_update", "tasks_update", "cases_insert", "audit_events_replace"])
    async def test_a_missing_trigger_on_sqlite(self, sqlite_database: str, tmp_path: Path, name: str):
        await run_sql(sqlite_database)(f"DROP TRIGGER {name}")
        [problem] = await migrate.check(sqlite_database)
        assert problem.message == f"trigger {name}: is missing or disabled"
        with pytest.raises(GuardsMissing, match=name):
            await open_store(sqlite_database, tmp_path)

    async def test_a_changed_trigger_on_sqlite(self, sqlite_database: str):
        sql = run_sql(sqlite_database)
        await sql("DROP TRIGGER tasks_delete")
        await sql("CREATE TRIGGER tasks_delete BEFORE DELETE ON tasks WHEN 0 BEGIN SELECT 1; END")
        [problem] = await migrate.check(sqlite_database)
        assert problem.message == "trigger tasks_delete: is not the one of this version"

    @pytest.mark.parametrize(
        ("statement", "faulty"),
        [
            ("DROP TRIGGER tasks_audited ON tasks", "tasks_audited: is missing"),
            ("ALTER TABLE tasks DISABLE TRIGGER tasks_audited", "tasks_audited: is missing or disabled"),
            ("ALTER TABLE tasks ENABLE TRIGGER tasks_audited", "tasks_audited: is missing or disabled"),
            ("ALTER TABLE audit_events DISABLE TRIGGER ALL", "audit_events_written_once"),
            ("DROP TRIGGER audit_events_not_emptied ON audit_events", "audit_events_not_emptied"),
            (A_FUNCTION_THAT_LETS_PASS, "function casewright_require_event: is not the one"),
        ],
    )
    async def test_a_missing_trigger_on_postgresql(
        self, postgres_database: str, tmp_path: Path, statement: str, faulty: str
    ):
        await run_sql(postgres_database)(statement)
        assert faulty in str(await migrate.check(postgres_database))
        with pytest.raises(GuardsMissing, match=faulty):
            await open_store(postgres_database, tmp_path)

    def test_a_damaged_file(self, sqlite_empty: str):
        asyncio.run(migrate.upgrade(sqlite_empty))
        file = Path(make_url(sqlite_empty).database or "")
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            [[root]] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'outbox'").fetchall()
            [[size]] = connection.execute("PRAGMA page_size").fetchall()
        with file.open("r+b") as data:
            data.seek((root - 1) * size)
            data.write(b"\x00" * size)
        [problem] = asyncio.run(migrate.check(sqlite_empty))
        assert "restore the newest backup" in problem.next_step

    def test_a_file_that_is_no_database(self, sqlite_empty: str):
        file = Path(make_url(sqlite_empty).database or "")
        file.parent.mkdir()
        file.write_bytes(b"not a database at all" * 100)
        [problem] = asyncio.run(migrate.check(sqlite_empty))
        assert "restore the newest backup" in problem.next_step

    async def test_a_server_that_is_not_there(self, tmp_path: Path):
        url = "postgresql://nobody@127.0.0.1:9/nothing"
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await migrate.check(url)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await migrate.upgrade(url)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await open_store(url, tmp_path)


def test_the_head_that_the_store_asks_for_is_the_newest_script():
    assert ScriptDirectory.from_config(migrate.alembic_config()).get_heads() == [schema.HEAD]


async def test_alembic_itself_finds_the_database_of_the_settings(sqlite_empty: str, monkeypatch: pytest.MonkeyPatch):
    """Without a connection handed over, as in `alembic revision --autogenerate`."""
    from alembic import command

    await migrate.upgrade(sqlite_empty)
    monkeypatch.setenv("CASEWRIGHT_DATABASE_URL", sqlite_empty)
    await asyncio.to_thread(command.downgrade, migrate.alembic_config(), "base")
    assert await migrate.current(sqlite_empty) is None
