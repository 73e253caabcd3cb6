"""`casewright db harden` makes an application role that can do what is needed; `db check` says whether that is so."""

import base64
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from case_store import enforcement, migrate, roles
from case_store.errors import NotPermitted, RolesRefused
from case_store.privileges import DELETED, rights
from tests import postgres
from tests.store.conftest import PASSWORD, Hardened, Sql, run_sql

ACLS = (
    "SELECT relname::text, relacl::text, pg_get_userbyid(relowner)::text FROM pg_class WHERE relnamespace ="
    " 'public'::regnamespace UNION ALL SELECT defaclobjtype::text, defaclacl::text, '' FROM pg_default_acl"
    " UNION ALL SELECT proname::text, proacl::text, pg_get_userbyid(proowner)::text FROM pg_proc"
    " WHERE proname LIKE 'casewright%' UNION ALL SELECT c.relname || '.' || attname, attacl::text, ''"
    " FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE attacl IS NOT NULL ORDER BY 1, 2"
)

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


@pytest.fixture
def admin_url(hardened_database: str, postgres_url: str) -> str:
    """URL of the hardened database as the administrator of the server."""
    name = make_url(hardened_database).database
    return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


async def messages(url: str) -> tuple[list[str], list[str]]:
    found = await enforcement.check(url)
    return [one.message for one in found.problems], [one.message for one in found.advice]


class TestHarden:
    async def test_again_changes_nothing(self, as_superuser: Sql, admin_url: str, hardened_template: Hardened):
        before = await as_superuser(ACLS)
        await roles.harden(admin_url, roles.Wanted(hardened_template.application))
        assert await as_superuser(ACLS) == before

    async def test_only_shown_changes_nothing(self, postgres_database: str):
        sql = run_sql(postgres_database)
        before = await sql(ACLS)
        steps = await roles.harden(postgres_database, roles.Wanted("cw_never_made", "cw_nor_this"), only_show=True)
        assert any(step.shown.startswith("CREATE ROLE cw_never_made LOGIN NOSUPERUSER") for step in steps)
        assert await sql(ACLS) == before
        assert await sql("SELECT 1 FROM pg_roles WHERE rolname LIKE 'cw_n%'") == []

    async def test_shows_no_password_and_sends_none(self, admin_url: str, hardened_template: Hardened):
        wanted = roles.Wanted(hardened_template.application, password=SecretStr(PASSWORD))
        steps = await roles.harden(admin_url, wanted, only_show=True)
        assert steps[-1].shown.endswith("PASSWORD 'SCRAM-SHA-256$...'")
        assert PASSWORD not in repr(steps)
        assert PASSWORD not in repr(wanted)
        assert steps[-1].statement.partition("SCRAM")[2][:12] not in "".join(step.shown for step in steps)

    def test_the_verifier_of_a_password_is_that_of_the_rfc(self):
        """The exchange of RFC 7677, section 3: user "user", password "pencil"."""
        salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
        assert roles.scram_verifier("pencil", salt) == (
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
            "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        )

    @pytest.mark.parametrize("password", ["", "pässword", "new\nline"])
    def test_a_password_that_programs_read_in_different_ways_is_refused(self, password: str):
        with pytest.raises(RolesRefused, match="printable ASCII"):
            roles.scram_verifier(password, b"salt")

    async def test_the_owner_is_no_application(self, admin_url: str, hardened_template: Hardened):
        with pytest.raises(RolesRefused, match="somebody else"):
            await roles.harden(admin_url, roles.Wanted(hardened_template.owner))

    async def test_a_role_above_all_rights_is_no_application(self, admin_url: str, hardened_template: Hardened):
        postgres.on_server(f'ALTER ROLE "{hardened_template.application}" CREATEROLE')
        try:
            with pytest.raises(RolesRefused, match="may create roles"):
                await roles.harden(admin_url, roles.Wanted(hardened_template.application))
            assert any("may create roles" in one for one in (await messages(admin_url))[0])
        finally:
            postgres.on_server(f'ALTER ROLE "{hardened_template.application}" NOCREATEROLE')

    async def test_who_may_not_make_roles_is_told_what_to_ask_for(
        self, hardened_database: str, hardened_template: Hardened
    ):
        with pytest.raises(RolesRefused, match="may not create the role") as caught:
            await roles.harden(hardened_database, roles.Wanted("cw_never_made"))
        assert "CREATE ROLE cw_never_made LOGIN" in caught.value.next_step

    async def test_sqlite_has_no_roles(self, sqlite_database: str):
        with pytest.raises(RolesRefused, match="SQLite"):
            await roles.harden(sqlite_database, roles.Wanted("x"))

    async def test_an_upgrade_is_for_the_owner(self, hardened_database: str, as_superuser: Sql):
        await as_superuser("UPDATE alembic_version SET version_num = '0002'")
        with pytest.raises(NotPermitted) as caught:
            await migrate.upgrade(hardened_database)
        assert "connect as their owner" in caught.value.next_step

    async def test_an_upgrade_gives_the_application_what_it_needs(
        self, admin_url: str, as_superuser: Sql, hardened_template: Hardened
    ):
        await as_superuser(f'REVOKE ALL ON cases FROM "{hardened_template.application}"')
        assert (await messages(admin_url))[0]
        await migrate.upgrade(admin_url)
        assert (await messages(admin_url))[0] == []

    async def test_a_table_of_a_later_version_may_be_read_and_no_more(
        self, as_superuser: Sql, hardened_template: Hardened
    ):
        await as_superuser(
            f"DO $$ BEGIN SET LOCAL ROLE {hardened_template.owner}; CREATE TABLE later (id int); RESET ROLE; END $$"
        )
        may = ", ".join(
            f"has_table_privilege('{hardened_template.application}', 'later', '{right}')" for right in RIGHTS
        )
        assert await as_superuser(f"SELECT {may}") == [(True, False, False, False, False)]


class TestCheck:
    async def test_a_hardened_database_is_as_it_should_be(self, hardened_database: str):
        assert (await messages(hardened_database))[0] == []

    async def test_the_owner_of_a_hardened_database_gets_advice(self, admin_url: str):
        problems, advice = await messages(admin_url)
        assert problems == []
        assert any("who may do everything" in one for one in advice)

    async def test_a_database_without_roles_is_not_wrong_but_could_be_stronger(self, postgres_database: str):
        problems, advice = await messages(postgres_database)
        assert problems == []
        assert any("no application role is set up" in one for one in advice)

    @pytest.mark.parametrize(
        ("statement", "words"),
        [
            ("GRANT UPDATE ON audit_events TO {0}", "may UPDATE audit_events.body"),
            ("GRANT UPDATE (leaf) ON audit_leaves TO {0}", "may UPDATE audit_leaves.leaf"),
            ("GRANT DELETE ON cases TO PUBLIC", "may DELETE cases"),
            ("GRANT TRUNCATE ON audit_events TO {0}", "may TRUNCATE audit_events"),
            ("GRANT TRIGGER ON tasks TO {0}", "may TRIGGER tasks"),
            ("GRANT INSERT (id) ON audit_events TO {0}", "may INSERT audit_events.id"),
            ("GRANT CREATE ON SCHEMA public TO {0}", "may create tables"),
            ("GRANT EXECUTE ON FUNCTION casewright_queue() TO PUBLIC", "anybody may use casewright_queue"),
            ("REVOKE INSERT ON outbox FROM {0}", "may not INSERT outbox.id"),
            ("ALTER FUNCTION casewright_queue() SECURITY INVOKER", "casewright_queue"),
            ("ALTER FUNCTION casewright_queue() RESET search_path", "casewright_queue"),
        ],
    )
    async def test_a_right_too_many_or_too_few_is_named(
        self, hardened_database: str, as_superuser: Sql, hardened_template: Hardened, statement: str, words: str
    ):
        await as_superuser(statement.format(hardened_template.application))
        problems, _ = await messages(hardened_database)
        assert any(words in one for one in problems), problems

    async def test_a_member_of_the_owner_is_named(self, admin_url: str, hardened_template: Hardened):
        owner, application = hardened_template.owner, hardened_template.application
        postgres.on_server(f'GRANT "{owner}" TO "{application}"')
        try:
            assert any(f"is a member of {owner}" in one for one in (await messages(admin_url))[0])
        finally:
            postgres.on_server(f'REVOKE "{owner}" FROM "{application}"')

    async def test_a_process_that_is_still_connected_as_the_owner_is_named(
        self, hardened_database: str, admin_url: str, as_superuser: Sql
    ):
        options = {"application_name": "casewright"}
        connection = await asyncpg.connect(admin_url.replace("+asyncpg", ""), server_settings=options)
        try:
            assert any("a Casewright process is connected as" in one for one in (await messages(hardened_database))[1])
        finally:
            await connection.close()


class TestCheckOnSqlite:
    async def test_a_database_is_as_it_should_be(self, sqlite_database: str):
        assert await messages(sqlite_database) == ([], [])

    async def test_a_connection_without_authorizer_is_wrong(
        self, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("case_store.engines.authorize", lambda *_: 0)
        problems, _ = await messages(sqlite_database)
        assert any("nothing forbids DELETE FROM audit_events" in one for one in problems), problems

    async def test_a_file_that_others_may_read_is_said(self, sqlite_database: str):
        Path(make_url(sqlite_database).database or "").chmod(0o644)
        problems, advice = await messages(sqlite_database)
        assert problems == []
        assert any("mode 0644" in one for one in advice)


def test_rights_are_no_larger_than_needed():
    """Written down once more, as somebody who reviews it would: the log is only added to."""
    given = rights()
    assert {table for table in given if not given[table].update} == {
        "audit_events",
        "audit_leaves",
        "audit_checkpoints",
        "audit_cosignatures",
        "audit_keys",
        "audit_nodes",
        "audit_pending",
        "audit_private",
        "audit_streams",
        "audit_timestamps",
        "idempotency_keys",
        "replies",
        "sops",
    }
    assert {table for table in given if not given[table].insert} == {"audit_pending", "audit_tree"}
    assert "id" not in given["audit_events"].insert | given["audit_checkpoints"].insert
    assert not any("id" in right.update for right in given.values())
    assert given["note_revisions"].update == {"body"}
    assert given["observables"].update == {"value", "value_sha256", "version"}
    assert {"audit_pending", "audit_private"} == DELETED
