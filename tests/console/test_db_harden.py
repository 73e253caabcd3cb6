"""`casewright db harden` and what `db check` says before and after, at the command line."""

from uuid import uuid4

import pytest
from sqlalchemy import make_url

from tests import postgres


@pytest.fixture
def role():
    name = f"cw_console_{uuid4().hex[:12]}"
    yield name
    postgres.on_server(f'DROP ROLE IF EXISTS "{name}"')


@pytest.fixture
def database(postgres_url, role, monkeypatch):
    """A PostgreSQL database of this test's own, named in the environment."""
    name = f"casewright_console_{uuid4().hex[:12]}"
    postgres.on_server(f'CREATE DATABASE "{name}"')
    url = make_url(postgres_url).set(database=name)
    monkeypatch.setenv("CASEWRIGHT_DATABASE_URL", url.render_as_string(hide_password=False))
    yield url
    postgres.on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def test_a_database_is_hardened_and_the_next_steps_are_said(casewright, database, role, monkeypatch):
    casewright("db", "upgrade")
    said = casewright("db", "check")
    assert (said.code, "no application role is set up" in said.err) == (0, True)

    shown = casewright("db", "harden", "--application", role, "--dry-run")
    assert f"CREATE ROLE {role} LOGIN" in shown.out
    assert casewright("db", "check", "--json").json["advice"]

    monkeypatch.setenv("CASEWRIGHT_APPLICATION_PASSWORD", "pencil")
    said = casewright("db", "harden", "--application", role)
    assert said.code == 0
    assert f"CASEWRIGHT_DATABASE_URL=postgresql://{role}@" in said.out
    assert "pencil" not in said.out + said.err
    # An upgrade by the owner may come at any time.
    assert casewright("db", "upgrade").out.startswith("already at ")

    monkeypatch.setenv(
        "CASEWRIGHT_DATABASE_URL", database.set(username=role, password="pencil").render_as_string(hide_password=False)
    )
    said = casewright("db", "check", "--json")
    assert (said.code, said.json["problems"]) == (0, [])
    assert casewright("case", "list").code == 0
    refused = casewright("db", "harden", "--application", role)
    assert (refused.code, "is the owner of the tables, or yourself" in refused.err) == (1, True)


def test_sqlite_is_told_that_it_knows_no_roles(casewright):
    casewright("db", "upgrade")
    said = casewright("db", "harden")
    assert (said.code, "SQLite knows no roles" in said.err) == (1, True)
