"""Two roles for PostgreSQL: the owner of the tables, who migrates, and the application, which does what it needs to.

The application role can neither switch a trigger off nor change what is kept. What it may do is made from the models
(`privileges`). All statements run in one transaction, and running them again changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Template
from typing import Final

from pydantic import SecretStr
from sqlalchemy import Connection, text

from case_store.engines import migrating_engine, parse_url, sqlite_file
from case_store.errors import RolesRefused
from case_store.migrate import ONE_AT_A_TIME, connecting
from case_store.privileges import DELETED, LOCKED, rights
from case_store.schema import require_current

_ITERATIONS: Final = 4096


@dataclass(frozen=True, slots=True)
class Wanted:
    """The roles that are wanted.

    Attributes:
        application: The role that the program connects as.
        owner: Who shall own the tables; None leaves them to their owner.
        password: Of the application role; None leaves it as it is.
    """

    application: str
    owner: str | None = None
    password: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A statement, and the same with its secret left out."""

    statement: str
    shown: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What there is: the database, who connects, who owns the tables, and the roles that already act as application."""

    database: str
    schema: str
    user: str
    owner: str
    applications: tuple[str, ...]
    superuser: bool
    may_create_roles: bool
    known: frozenset[str]


async def harden(url: str, wanted: Wanted, *, only_show: bool = False) -> list[Step]:
    """Set the roles up, or only return the statements that would.

    Raises:
        RolesRefused: The database is SQLite, or a role is of a kind that no right could restrain.
        NotPermitted: The one who connects may not do this.
    """
    parsed = parse_url(url)
    if sqlite_file(parsed):
        raise RolesRefused("SQLite knows no roles", next_step="see docs/howto/grow.md for PostgreSQL")
    async with connecting(migrating_engine(parsed)) as connection:
        await connection.execute(ONE_AT_A_TIME)
        await connection.run_sync(require_current)
        steps = await connection.run_sync(lambda sync: list(_steps(sync, wanted)))
        if not only_show:
            for step in steps:
                await connection.exec_driver_sql(step.statement)
    return steps


def grant_again(connection: Connection) -> None:
    """Give the application roles of a hardened database what this version needs: the end of a migration."""
    situation = look(connection)
    for application in situation.applications:
        for statement in _rights(connection, situation, situation.owner, application):
            connection.exec_driver_sql(statement)


def look(connection: Connection) -> Situation:
    """Return what there is."""
    row = connection.execute(text(_SITUATION)).one()
    known = connection.execute(text("SELECT rolname FROM pg_roles")).scalars()
    applications = connection.execute(text(_APPLICATIONS)).scalars().all()
    return Situation(**row._mapping, applications=tuple(applications), known=frozenset(known))  # noqa: SLF001 - public


def _steps(connection: Connection, wanted: Wanted) -> Iterator[Step]:
    now = look(connection)
    owner = wanted.owner or now.owner
    _refuse_impossible(connection, now, wanted, owner)
    quote = connection.dialect.identifier_preparer.quote
    statements = [
        *(_new_role(quote(name)) for name in (owner, wanted.application) if name not in now.known),
        *(_owned(connection, now, owner) if owner != now.owner else ()),
        *_public(connection, now),
        *_rights(connection, now, owner, wanted.application),
    ]
    yield from (Step(statement, statement) for statement in statements)
    if wanted.password is not None:
        role = quote(wanted.application)
        verifier = scram_verifier(wanted.password.get_secret_value(), secrets.token_bytes(16))
        yield Step(
            _PASSWORD.substitute(role=role, verifier=verifier),
            _PASSWORD.substitute(role=role, verifier="SCRAM-SHA-256$..."),
        )


def _refuse_impossible(connection: Connection, now: Situation, wanted: Wanted, owner: str) -> None:
    application = wanted.application
    if application in {owner, now.user}:
        raise RolesRefused(f"{application} is the owner of the tables, or yourself: the application is somebody else")
    new = [name for name in (owner, application) if name not in now.known]
    if new and not now.may_create_roles:
        raise RolesRefused(
            f"{now.user} may not create the role {new[0]}",
            next_step=f"have an administrator run: CREATE ROLE {new[0]} LOGIN; then run this again",
        )
    if owner != now.owner and not now.superuser:
        raise RolesRefused(
            f"{now.user} may not give the tables from {now.owner} to {owner}", next_step="run this as a superuser, once"
        )
    if application in now.known and (powers := powers_of(connection, application, owner)):
        raise RolesRefused(
            f"{application} {', '.join(powers)}: no right restrains such a role",
            next_step="name another role with --application, or take that away (ALTER ROLE, REVOKE)",
        )


def powers_of(connection: Connection, role: str, owner: str) -> Sequence[str]:
    """Return what lifts a role above all rights, in words."""
    row = connection.execute(text(_POWERS), {"role": role, "owner": owner}).one()
    words = ("is a superuser", "may create roles", "passes row security", "may replicate", f"is a member of {owner}")
    return [word for word, has in zip(words, row, strict=True) if has]


def _new_role(role: str) -> str:
    return _CREATE_ROLE.substitute(role=role)


def _owned(connection: Connection, now: Situation, owner: str) -> Iterator[str]:
    quote = connection.dialect.identifier_preparer.quote
    names = {"schema": quote(now.schema), "owner": quote(owner)}
    yield _SCHEMA_OF_OWNER.substitute(names)
    for table in (*rights(), "alembic_version"):
        yield _OWN_TABLE.substitute(names, table=quote(table))
    for function in connection.execute(text(_OUR_FUNCTIONS)).scalars():
        yield _OWN_FUNCTION.substitute(names, function=quote(function))


def _public(connection: Connection, now: Situation) -> Iterator[str]:
    """Yield what takes from everybody what PostgreSQL gives to everybody; older ones let all create tables."""
    quote = connection.dialect.identifier_preparer.quote
    makes_tables, makes_temporary = connection.execute(text(_OF_PUBLIC)).one()
    if makes_tables:
        yield _NO_TABLES.substitute(schema=quote(now.schema))
    if makes_temporary:
        yield _NO_TEMPORARY.substitute(database=quote(now.database))


def _rights(connection: Connection, now: Situation, owner: str, application: str) -> Iterator[str]:
    quote = connection.dialect.identifier_preparer.quote
    names = {"schema": quote(now.schema), "owner": quote(owner), "role": quote(application)}
    yield _USE_SCHEMA.substitute(names)
    for table, right in rights().items():
        update = right.update | ({LOCKED[table]} if table in LOCKED else set())
        given = [
            "SELECT",
            *(
                f"{verb} ({_listed(quote(name) for name in columns)})"
                for verb, columns in (("INSERT", right.insert), ("UPDATE", update))
                if columns
            ),
            *(["DELETE"] if table in DELETED else []),
        ]
        yield _NOTHING_ON.substitute(names, table=quote(table))
        yield _ON.substitute(names, table=quote(table), given=", ".join(given))
    yield _NOTHING_ON.substitute(names, table="alembic_version")
    yield _ON.substitute(names, table="alembic_version", given="SELECT")
    for sequence in connection.execute(text(_OUR_SEQUENCES)).scalars():
        yield _SEQUENCE.substitute(names, sequence=quote(sequence))
    yield _CALL.substitute(names)
    yield _TABLES_TO_COME.substitute(names)
    yield _FUNCTIONS_TO_COME.substitute(names)


def _listed(names: Iterator[str]) -> str:
    return ", ".join(sorted(names))


def scram_verifier(password: str, salt: bytes) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5803, RFC 7677), so that the server's log never sees it.

    Raises:
        RolesRefused: It is empty, or has characters that programs prepare in different ways (RFC 4013).
    """
    if not password or not password.isascii() or not password.isprintable():
        raise RolesRefused(
            "the password has to be of printable ASCII characters",
            next_step=r"give another one, or set it yourself with \password in psql",
        )
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


_SITUATION: Final = """
    SELECT current_database()::text AS database, current_schema()::text AS schema, current_user::text AS user,
        pg_get_userbyid(c.relowner)::text AS owner, r.rolsuper AS superuser,
        r.rolsuper OR r.rolcreaterole AS may_create_roles
    FROM pg_roles r, pg_class c WHERE r.rolname = current_user AND c.oid = 'audit_events'::regclass
"""
_APPLICATIONS: Final = """
    SELECT DISTINCT pg_get_userbyid(a.grantee)::text FROM pg_class c
    JOIN pg_default_acl d ON d.defaclrole = c.relowner AND d.defaclnamespace = c.relnamespace
    CROSS JOIN aclexplode(d.defaclacl) a
    WHERE c.oid = 'audit_events'::regclass AND d.defaclobjtype = 'r' AND a.grantee NOT IN (0, c.relowner) ORDER BY 1
"""
_POWERS: Final = """
    SELECT rolsuper, rolcreaterole, rolbypassrls, rolreplication, NOT rolsuper AND EXISTS (SELECT 1 FROM pg_roles o
        WHERE o.rolname = :owner AND pg_has_role(r.oid, o.oid, 'MEMBER'))
    FROM pg_roles r WHERE r.rolname = :role
"""
_OF_PUBLIC: Final = """
    SELECT EXISTS (SELECT 1 FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
            WHERE n.nspname = current_schema() AND a.grantee = 0 AND a.privilege_type = 'CREATE'),
        EXISTS (SELECT 1 FROM pg_database d CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
            WHERE d.datname = current_database() AND a.grantee = 0 AND a.privilege_type = 'TEMPORARY'
            AND pg_has_role(d.datdba, 'MEMBER'))
"""
_OUR_FUNCTIONS: Final = """
    SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname LIKE 'casewright%'
    ORDER BY proname
"""
_OUR_SEQUENCES: Final = """
    SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'i'
    WHERE c.relkind = 'S' AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname
"""
_CREATE_ROLE: Final = Template("CREATE ROLE $role LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
_PASSWORD: Final = Template("ALTER ROLE $role PASSWORD '$verifier'")
_SCHEMA_OF_OWNER: Final = Template("GRANT USAGE, CREATE ON SCHEMA $schema TO $owner")
_OWN_TABLE: Final = Template("ALTER TABLE $schema.$table OWNER TO $owner")
_OWN_FUNCTION: Final = Template("ALTER FUNCTION $schema.$function() OWNER TO $owner")
_NO_TABLES: Final = Template("REVOKE CREATE ON SCHEMA $schema FROM PUBLIC")
_NO_TEMPORARY: Final = Template("REVOKE TEMPORARY ON DATABASE $database FROM PUBLIC")
_USE_SCHEMA: Final = Template("GRANT USAGE ON SCHEMA $schema TO $role")
_NOTHING_ON: Final = Template("REVOKE ALL ON TABLE $schema.$table FROM PUBLIC, $role")
_ON: Final = Template("GRANT $given ON TABLE $schema.$table TO $role")
_SEQUENCE: Final = Template("GRANT SELECT ON SEQUENCE $schema.$sequence TO $role")
_CALL: Final = Template("GRANT EXECUTE ON FUNCTION $schema.casewright_hold_events() TO $role")
_TABLES_TO_COME: Final = Template(
    "ALTER DEFAULT PRIVILEGES FOR ROLE $owner IN SCHEMA $schema GRANT SELECT ON TABLES TO $role"
)
_FUNCTIONS_TO_COME: Final = Template("ALTER DEFAULT PRIVILEGES FOR ROLE $owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
