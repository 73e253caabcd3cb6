"""Whether the tables and triggers of a database are those of this version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text

from case_store.errors import GuardsMissing, SchemaNotCurrent
from case_store.migrations.force import postgresql as force_postgresql
from case_store.migrations.force import sqlite as force_sqlite
from case_store.migrations.lateness import guards as lateness
from case_store.migrations.links import guards as links
from case_store.migrations.privacy import guards as privacy
from case_store.migrations.proof import guards
from case_store.migrations.replies import guards as replies
from case_store.migrations.signing import guards as signing
from case_store.migrations.spine import postgresql, sqlite
from case_store.migrations.timestamps import guards as timestamps
from case_store.migrations.witness import guards as witness_guards

HEAD = "0013"
"""The newest migration; a constant, so that nobody loads Alembic to open a case."""


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """What is wrong with a database, and what to do."""

    message: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.next_step}"


def revision(connection: Connection) -> str | None:
    """Return the migration that the database is at, None when it has no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def problems(connection: Connection) -> list[SchemaProblem]:
    """Return everything that keeps this version from working on the database."""
    at = revision(connection)
    if at is None:
        return [SchemaProblem("the database has no tables yet", SchemaNotCurrent.next_step)]
    if at != HEAD:
        return [SchemaProblem(*_not_at_head(at))]
    return [
        SchemaProblem(f"trigger {name}: {fault}", GuardsMissing.next_step)
        for name, fault in _trigger_faults(connection)
    ]


def require_current(connection: Connection) -> None:
    """Refuse a database that this version cannot work on.

    Raises:
        SchemaNotCurrent: Its tables are missing, older or newer.
        GuardsMissing: Triggers are missing, changed or disabled.
    """
    found = problems(connection)
    if not found:
        return
    kind = GuardsMissing if revision(connection) == HEAD else SchemaNotCurrent
    raise kind("; ".join(problem.message for problem in found), next_step=found[0].next_step)


def _not_at_head(at: str) -> tuple[str, str]:
    if at > HEAD:
        return f"the tables are at migration {at}, newer than this version ({HEAD})", "install the newer version"
    return f"the tables are at migration {at}, this version needs {HEAD}", SchemaNotCurrent.next_step


def _trigger_faults(connection: Connection) -> Iterator[tuple[str, str]]:
    if connection.dialect.name == "sqlite":
        wanted = sqlite.triggers() | guards.sqlite_triggers() | witness_guards.sqlite_triggers()
        wanted |= force_sqlite.triggers() | privacy.sqlite_triggers() | timestamps.sqlite_triggers()
        wanted |= lateness.sqlite_triggers() | signing.sqlite_triggers() | links.sqlite_triggers()
        wanted |= replies.sqlite_triggers()
        found = _pairs(connection, "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    else:
        every = [
            *postgresql.triggers(),
            *guards.postgresql_triggers(),
            *witness_guards.postgresql_triggers(),
            *force_postgresql.triggers(),
            *privacy.postgresql_triggers(),
            *timestamps.postgresql_triggers(),
            *lateness.postgresql_triggers(),
            *signing.postgresql_triggers(),
            *links.postgresql_triggers(),
            *replies.postgresql_triggers(),
        ]
        wanted = {trigger.name: trigger.create for trigger in every}
        wanted |= {f"function {name}": body for name, body in _postgresql_functions().items()}
        found = _pairs(connection, _POSTGRESQL_TRIGGERS) | _pairs(connection, _POSTGRESQL_FUNCTIONS)
    for name, statement in wanted.items():
        if name not in found:
            yield name, "is missing or disabled"
        elif found[name] != statement:
            yield name, "is not the one of this version"


def _postgresql_functions() -> dict[str, str]:
    """Return what each function is: whose rights it acts with, and what it does."""
    bodies = postgresql.FUNCTIONS | guards.FUNCTIONS | force_postgresql.FUNCTIONS | privacy.FUNCTIONS
    as_owner = force_postgresql.WITH_THE_RIGHTS_OF_THE_OWNER
    return {name: f"{'owner' if name in as_owner else 'caller'}: {body}" for name, body in bodies.items()}


def _pairs(connection: Connection, query: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in connection.execute(text(query))}


_POSTGRESQL_TRIGGERS = """
    SELECT t.tgname, pg_get_triggerdef(t.oid, true)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgenabled = 'A' AND n.nspname = current_schema()
"""
_POSTGRESQL_FUNCTIONS = """
    SELECT 'function ' || p.proname, CASE WHEN p.prosecdef THEN 'owner' ELSE 'caller' END
        || CASE WHEN array_to_string(p.proconfig, ' ') LIKE 'search_path=%pg_temp' THEN ': ' ELSE ' anywhere: ' END
        || p.prosrc
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.proname LIKE 'casewright%' AND n.nspname = current_schema()
"""
