"""Whether everything that protects the record is in force: what is wrong, and what could be stronger."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncEngine

from case_store import migrate
from case_store.engines import create_engines, parse_url, sqlite_file
from case_store.privileges import DELETED, LOCKED, rights
from case_store.roles import Situation, look, powers_of
from case_store.schema import SchemaProblem as Finding
from case_store.tripwires import tripped

_LOOK: Final = (
    "do not repair it yet: run casewright audit verify --state, and compare a bundle with a checkpoint kept elsewhere"
)
_HARDEN: Final = "as the owner of the tables, run: casewright db harden"
_READ_HOW: Final = "see docs/howto/harden.md"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a look at the database came to.

    Attributes:
        problems: What is wrong: a guard is missing, or something went around one.
        advice: What could be stronger; an installation to try things out may leave it so.
    """

    problems: list[Finding] = field(default_factory=list)
    advice: list[Finding] = field(default_factory=list)


async def check(url: str) -> Findings:
    """Look at tables, triggers, roles and connections, and at numbers that must agree; changes nothing."""
    found = Findings(await migrate.check(url))
    if found.problems:
        return found
    parsed = parse_url(url)
    if file := sqlite_file(parsed):
        await _connections(parsed, found)
        found.advice.extend(_readable(file))
    async with migrate.connecting(create_engines(parsed).reading) as connection:
        if connection.dialect.name == "postgresql":
            await connection.run_sync(_roles, found)
        for words in await connection.run_sync(lambda sync: list(tripped(sync))):
            found.problems.append(Finding(words, _LOOK))
    return found


# --- SQLite ----------------------------------------------------------------------------------------------------------

_SETTINGS: Final = {
    "PRAGMA journal_mode": "wal",
    "PRAGMA synchronous": 2,
    "PRAGMA foreign_keys": 1,
    "PRAGMA recursive_triggers": 1,
    "PRAGMA trusted_schema": 0,
}
_FORBIDDEN: Final = (
    "EXPLAIN DELETE FROM audit_events",
    "EXPLAIN UPDATE audit_streams SET seq = seq",
    "EXPLAIN DROP TRIGGER audit_events_delete",
    "PRAGMA writable_schema = 0",  # off as it is; whoever may say so may also turn it on
)
"""Statements that do nothing even where they are allowed."""


async def _connections(url: URL, found: Findings) -> None:
    engines = create_engines(url)
    for name, engine in (("write", engines.writing), ("read", engines.reading)):
        for words in await _of_connection(engine):
            step = "the file may be on a file system that SQLite cannot lock; put it on a local disk"
            found.problems.append(Finding(f"connections that {name}: {words}", step))
    await engines.dispose()


async def _of_connection(engine: AsyncEngine) -> list[str]:
    wrong = []
    async with migrate.connecting(engine) as connection:
        for pragma, wanted in _SETTINGS.items():
            value = (await connection.exec_driver_sql(pragma)).scalar()
            if value != wanted:
                wrong.append(f"{pragma.removeprefix('PRAGMA ')} is {value}, not {wanted}")
        for statement in _FORBIDDEN:
            try:
                await connection.exec_driver_sql(statement)
            except DatabaseError:
                continue
            wrong.append(f"nothing forbids {statement.removeprefix('EXPLAIN ')}")
    return wrong


def _readable(file: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        yield Finding(f"others than its owner may use the file {file} (mode {mode:04o})", f"run: chmod 600 {file}")


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _roles(connection: Connection, found: Findings) -> None:
    now = look(connection)
    above = now.superuser or now.user == now.owner or bool(powers_of(connection, now.user, now.owner))
    if connection.execute(text(_ANYBODY_QUEUES)).scalar():
        found.problems.append(Finding("anybody may use casewright_queue, which acts with the owner's rights", _HARDEN))
    if not now.applications:
        what = (
            "a superuser"
            if now.superuser
            else "the owner of the tables"
            if above
            else "a role that harden did not make"
        )
        found.advice.append(
            Finding(
                f"Casewright connects as {now.user}, {what}, and no application role is set up:"
                " whoever has its password can switch the guards off",
                f"{_HARDEN}; {_READ_HOW}",
            )
        )
    elif above:
        others = ", ".join(now.applications)
        found.advice.append(Finding(f"you connect as {now.user}, who may do everything", f"let processes use {others}"))
    _owner(connection, now, found)
    for role in {*now.applications, *(() if above else (now.user,))}:
        step = f"as the owner of the tables, run: casewright db harden --application {role}"
        found.problems.extend(Finding(words, step) for words in sorted(_too_much_or_too_little(connection, now, role)))
    found.advice.extend(_durability(connection))


def _owner(connection: Connection, now: Situation, found: Findings) -> None:
    if not now.applications:
        return
    if (powers := powers_of(connection, now.owner, now.owner)) and "is a superuser" in powers:
        words = f"the tables belong to {now.owner}, a superuser: migrations run with the rights of one"
        found.advice.append(Finding(words, "as a superuser, run: casewright db harden --owner NAME"))
    for user in connection.execute(text(_CONNECTED), {"applications": list(now.applications)}).scalars():
        words = f"a Casewright process is connected as {user}, not as {' or '.join(now.applications)}"
        found.advice.append(
            Finding(words, "set its CASEWRIGHT_DATABASE_URL to the application role and start it again")
        )


def _too_much_or_too_little(connection: Connection, now: Situation, role: str) -> Iterator[str]:
    for power in powers_of(connection, role, now.owner):
        yield f"the role {role} {power}"
        return
    if connection.execute(text(_MAKES_TABLES), {"role": role}).scalar():
        yield f"the role {role} may create tables in {now.schema}"
    wanted = rights()
    for table, *has in connection.execute(text(_ON_TABLES), {"role": role}):
        may = dict(zip(("SELECT", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"), has, strict=True))
        needs = (
            {"SELECT", *(("DELETE",) if table in DELETED else ())} if table in (*wanted, "alembic_version") else set()
        )
        yield from (f"the role {role} may not {verb} {table}" for verb in needs if not may[verb])
        yield from (f"the role {role} may {verb} {table}" for verb in may.keys() - needs - {"SELECT"} if may[verb])
    for table, column, inserts, updates in connection.execute(text(_ON_COLUMNS), {"role": role}):
        right = wanted.get(table)
        if right is None and table != "alembic_version":
            continue
        insert, update = (right.insert, right.update) if right else (frozenset(), frozenset())
        locks = LOCKED.get(table) == column
        for verb, has, needed in (
            ("INSERT", inserts, column in insert),
            ("UPDATE", updates, column in update or locks),
        ):
            if has != needed:
                yield f"the role {role} may {'' if has else 'not '}{verb} {table}.{column}"


def _durability(connection: Connection) -> Iterator[Finding]:
    for name, value in connection.execute(text(_DURABLE)):
        yield Finding(
            f"{name} is {value} on the server: a crash may lose changes that were acknowledged", f"set {name} = on"
        )


_ANYBODY_QUEUES: Final = """
    SELECT EXISTS (SELECT 1 FROM pg_proc p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE p.proname = 'casewright_queue' AND p.pronamespace = current_schema()::regnamespace AND a.grantee = 0)
"""
_CONNECTED: Final = """
    SELECT DISTINCT usename::text FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'casewright' AND pid <> pg_backend_pid()
        AND usename <> current_user AND NOT usename::text = ANY(:applications) ORDER BY 1
"""
_MAKES_TABLES: Final = "SELECT has_schema_privilege(:role, current_schema(), 'CREATE')"
_ON_TABLES: Final = """
    SELECT relname::text, has_any_column_privilege(:role, oid, 'SELECT'), has_table_privilege(:role, oid, 'DELETE'),
        has_table_privilege(:role, oid, 'TRUNCATE'), has_any_column_privilege(:role, oid, 'REFERENCES'),
        has_table_privilege(:role, oid, 'TRIGGER')
    FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
"""
_ON_COLUMNS: Final = """
    SELECT c.relname::text, a.attname::text, has_column_privilege(:role, c.oid, a.attnum, 'INSERT'),
        has_column_privilege(:role, c.oid, a.attnum, 'UPDATE')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
"""
_DURABLE: Final = """
    SELECT name, setting FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name
"""
