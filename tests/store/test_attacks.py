"""What somebody tries who has the application's role, our connection to SQLite, or the file: refused, nothing changed.

What remains possible for the owner and for the holder of the file is in docs/reference/what-is-enforced.md; that it is
found is tested at the end.
"""

import itertools
import re
import sqlite3
from collections.abc import Callable, Mapping

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from case_store import enforcement, find, notes
from case_store.audit import sequencer
from case_store.audit.events import Place
from case_store.audit.fold import differences
from case_store.store import CaseStore
from tests.store import world
from tests.store.conftest import Hardened, Sql, run_sql
from tests.store.every_verb import SIGNER
from tests.store.forging import about, end_of, insertion
from tests.store.test_every_verb import Tables, everything
from tests.store.world import NOW

AN_EVENT = "event_id, stream, ts, type, actor_kind, actor_id, request_id, schema_v, body, seq, leaf"
HAND_MADE_TRIGGER = (
    "CREATE TEMP TABLE mine (LIKE public.audit_events);"
    "CREATE TRIGGER t AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.casewright_queue();"
)

AS_APPLICATION = {
    "update": "UPDATE audit_events SET actor_id = 'somebody else'",
    "delete": "DELETE FROM audit_events",
    "truncate": "TRUNCATE audit_events CASCADE",
    "on conflict do update": f"INSERT INTO audit_events ({AN_EVENT}) SELECT {AN_EVENT} FROM audit_events"
    " ON CONFLICT (event_id) DO UPDATE SET actor_id = 'somebody else'",
    "overriding system value": f"INSERT INTO audit_events (id, {AN_EVENT}) OVERRIDING SYSTEM VALUE"
    f" SELECT id - 1000, {AN_EVENT} FROM audit_events",
    "disable trigger": "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "session_replication_role": "SET session_replication_role = replica",
    "drop": "DROP TABLE audit_events CASCADE",
    "drop trigger": "DROP TRIGGER audit_events_written_once ON audit_events",
    "another function in its place": "CREATE OR REPLACE FUNCTION casewright_refuse() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NEW; END'",
    "the owner's function on a table of one's own": HAND_MADE_TRIGGER,
    "become the owner": "SET ROLE {owner}",
    "take the table": "ALTER TABLE audit_events OWNER TO {application}",
    "lock everybody out": "BEGIN; LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE",
    "a table of one's own": "CREATE TABLE audit_events_2 (LIKE audit_events)",
    "change a case without event": "UPDATE cases SET title = 'Other'",
    "jump a version": "UPDATE cases SET title = 'Other', version = version + 2",
    "delete a case": "DELETE FROM cases",
    "move a stream": "UPDATE audit_streams SET seq = seq + 1",
    "rename a stream": "UPDATE audit_streams SET stream = 'case/other'",
    "begin a stream in the middle": "INSERT INTO audit_streams (stream, seq, head) VALUES ('case/x', 5, '')",
    "take an event out of the queue": "DELETE FROM audit_pending",
    "queue what is no event": "INSERT INTO audit_pending VALUES ('nothing')",
    "shrink the tree": "UPDATE audit_tree SET size = 0, peaks = ''",
    "a leaf of another event": "INSERT INTO audit_leaves (idx, event_id, leaf)"
    " SELECT (SELECT count(*) FROM audit_leaves), event_id, sha256('x') FROM audit_pending LIMIT 1",
    "a leaf far away": "INSERT INTO audit_leaves (idx, event_id, leaf)"
    " SELECT 9999, p.event_id, e.leaf FROM audit_pending p JOIN audit_events e USING (event_id) LIMIT 1",
    "change a checkpoint": "UPDATE audit_checkpoints SET note = 'x'",
    "change an SOP": "UPDATE sops SET text = 'x'",
    "forget a value": "DELETE FROM audit_private",
    "disclose another value": "UPDATE audit_private SET disclosure = 'x'",
    "blot out a wording": "UPDATE note_revisions SET body = 'erased-0123456789ab'",
}

THROUGH_OUR_CONNECTION = {
    "update": "UPDATE audit_events SET actor_id = 'somebody else'",
    "delete": "DELETE FROM audit_events",
    "replace": f"REPLACE INTO audit_events ({AN_EVENT}) SELECT {AN_EVENT} FROM audit_events",
    "drop trigger": "DROP TRIGGER audit_events_delete",
    "drop": "DROP TABLE audit_events",
    "rename": "ALTER TABLE audit_events RENAME TO old_events",
    "writable_schema": "PRAGMA writable_schema = 1",
    "write the schema": "UPDATE sqlite_master SET sql = '' WHERE type = 'trigger'",
    "attach": "ATTACH ':memory:' AS other",
    "a trigger of one's own": "CREATE TEMP TRIGGER t AFTER INSERT ON main.cases BEGIN SELECT 1; END",
    "without recursive triggers": "PRAGMA recursive_triggers = 0",
    "numbers given out": "UPDATE sqlite_sequence SET seq = 0",
    "change a case without event": "UPDATE cases SET title = 'Other'",
    "jump a version": "UPDATE cases SET title = 'Other', version = version + 2",
    "delete a case": "DELETE FROM cases",
    "move a stream": "UPDATE audit_streams SET seq = seq + 1",
    "begin a stream in the middle": "INSERT INTO audit_streams VALUES ('case/x', 5, x'')",
    "take an event out of the queue": "DELETE FROM audit_pending",
    "queue what is no event": "INSERT INTO audit_pending VALUES ('nothing')",
    "shrink the tree": "UPDATE audit_tree SET size = 0",
    "a leaf of another event": "INSERT INTO audit_leaves SELECT 0, event_id, zeroblob(32) FROM audit_pending",
    "forget a value": "DELETE FROM audit_private",
    "disclose another value": "UPDATE audit_private SET disclosure = 'x'",
    "blot out a wording": "UPDATE note_revisions SET body = 'erased-0123456789ab'",
}

WITH_THE_FILE = {
    name: statement
    for name, statement in THROUGH_OUR_CONNECTION.items()
    if name
    in {
        "update",
        "delete",
        "replace",
        "change a case without event",
        "jump a version",
        "delete a case",
        "move a stream",
        "begin a stream in the middle",
        "take an event out of the queue",
        "queue what is no event",
        "shrink the tree",
        "a leaf of another event",
        "forget a value",
        "disclose another value",
        "blot out a wording",
    }
} | {
    "a second tree": "REPLACE INTO audit_tree VALUES (1, 0, x'')",
    "a stream anew": "REPLACE INTO audit_streams SELECT stream, 0, x'' FROM audit_streams",
    "replace a checkpoint": "REPLACE INTO audit_checkpoints SELECT id, 0, at, note FROM audit_checkpoints",
    "replace a leaf": "REPLACE INTO audit_leaves SELECT idx, event_id, zeroblob(32) FROM audit_leaves",
    "replace a wording": "REPLACE INTO note_revisions SELECT note_id, revision, 'x', at, by FROM note_revisions",
    "replace a person": "REPLACE INTO people SELECT * FROM people",
}

Forgery = Callable[[Place], tuple[Place, dict[str, object]]]
FORGED: dict[str, Forgery] = {
    "a number ahead": lambda place: (Place(place.seq + 1, place.prev), {}),
    "a number again": lambda place: (Place(place.seq - 1, place.prev), {}),
    "no number": lambda place: (place, {"seq": None}),
    "another one before it": lambda place: (Place(place.seq, b"x" * 32), {}),
    "nothing before it": lambda place: (Place(place.seq, None), {}),
    "another number in its body": lambda place: (Place(place.seq + 5, place.prev), {"seq": place.seq}),
    "another id in its body": lambda place: (place, {"event_id": "another"}),
}
FORGED_ON_POSTGRESQL: dict[str, Forgery] = FORGED | {
    "another leaf": lambda place: (place, {"leaf": b"x" * 32}),
    "another actor in its body": lambda place: (place, {"actor_id": "somebody else"}),
    "another row in its body": lambda place: (place, {"entity_id": "x", "entity_type": "task", "entity_version": 9}),
}


async def filled(store: CaseStore) -> Tables:
    """A case, sealed but for its last event; returns all that is there."""
    await world.build(store)
    await sequencer.seal(store, SIGNER, NOW)
    async with store.transaction() as tx:
        tx.record("test.noted", None, by=world.SYSTEM, at=NOW)
        await notes.add(tx, await find.case(tx, 1), "a note", author=world.ENGINE, by=world.ENGINE, at=NOW)
    return await everything(store)


class TestAsTheApplicationRole:
    async def test_every_attack_is_refused(
        self, hardened_store: CaseStore, hardened_database: str, hardened_template: Hardened
    ):
        before = await filled(hardened_store)
        roles = {"owner": hardened_template.owner, "application": hardened_template.application}
        attacks = {name: attack.format(**roles) for name, attack in AS_APPLICATION.items()}
        assert await _not_refused_by_postgresql(hardened_database, attacks) == {}
        assert await everything(hardened_store) == before

    async def test_an_event_in_a_wrong_place_is_refused(self, hardened_store: CaseStore, hardened_database: str):
        before = await filled(hardened_store)
        forged = await _forged(run_sql(hardened_database), FORGED_ON_POSTGRESQL, sqlite=False)
        assert await _not_refused_by_postgresql(hardened_database, forged) == {}
        assert await everything(hardened_store) == before

    async def test_an_event_in_its_right_place_is_taken(self, hardened_store: CaseStore, hardened_database: str):
        """The other side: the refusals above are about the place and not about the hand."""
        await filled(hardened_store)
        sql = run_sql(hardened_database)
        stream, place = await end_of(sql, "system")
        await sql(insertion(about(stream), place, sqlite=False))
        assert (await end_of(sql, "system"))[1].seq == place.seq + 1


class TestThroughOurConnection:
    async def test_every_attack_is_refused(self, sqlite_store: CaseStore):
        before = await filled(sqlite_store)
        passed = {}
        for session, (name, attack) in itertools.product(
            (sqlite_store._write_session, sqlite_store._read_session), THROUGH_OUR_CONNECTION.items()
        ):
            async with session() as one:
                connection = await one.connection()
                try:
                    await connection.exec_driver_sql(attack)
                    passed[name] = "done"
                except DBAPIError as error:
                    if not re.search(
                        "not authorized|prohibited|may not be modified|readonly|casewright: ", str(error.orig)
                    ):
                        passed[name] = str(error.orig)
        assert passed == {}
        assert await everything(sqlite_store) == before

    async def test_reading_stays_reading(self, sqlite_store: CaseStore):
        async with sqlite_store._read_session() as one:
            connection = await one.connection()
            with pytest.raises(DBAPIError, match="not authorized"):
                await connection.exec_driver_sql("PRAGMA query_only = 0")
            assert (await connection.exec_driver_sql("PRAGMA query_only")).scalar() == 1


class TestWithTheFile:
    async def test_triggers_alone_refuse(self, sqlite_store: CaseStore, sqlite_database: str):
        before = await filled(sqlite_store)
        sql = run_sql(sqlite_database)
        forged = await _forged(sql, FORGED, sqlite=True)
        passed = {}
        for name, attack in (WITH_THE_FILE | forged).items():
            try:
                await sql(attack)
                passed[name] = "done"
            except sqlite3.IntegrityError as error:
                if "casewright: " not in str(error):
                    passed[name] = str(error)
        assert passed == {}
        assert await everything(sqlite_store) == before

    @pytest.mark.parametrize("verb", ["REPLACE INTO people {}", "UPDATE OR REPLACE people SET {}"])
    async def test_somebody_new_does_not_push_out_who_has_the_handle(
        self, sqlite_store: CaseStore, sqlite_database: str, verb: str
    ):
        """REPLACE deletes whoever has what must be unique, and fires no trigger for that row."""
        await filled(sqlite_store)
        sql = run_sql(sqlite_database)
        stream, place = await end_of(sql, "system")
        [[bob]] = await sql("SELECT id FROM people WHERE handle = 'bob'")
        new = "REPLACE INTO" in verb
        event = about(stream, "new" if new else str(bob), 1 if new else 2, "person")
        await sql(insertion(event, place, sqlite=True))
        columns = ", ".join(str(row[1]) for row in (await sql("PRAGMA table_info(people)"))[2:])
        rest = f"(id, version, {columns}) SELECT 'new', 1, {columns} FROM people WHERE handle = 'ada'"
        change = "handle = 'ada', version = 2 WHERE handle = 'bob'"
        with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: people\.handle"):
            await sql(verb.format(rest if new else change))
        assert await sql("SELECT count(*) FROM people") == [(5,)]


async def _not_refused_by_postgresql(url: str, attacks: dict[str, str]) -> dict[str, str]:
    """Try each on a connection of its own; return what was done, or failed for another reason than a refusal."""
    passed = {}
    for name, statements in attacks.items():
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            await connection.execute(statements)
            passed[name] = "done"
        except (asyncpg.InsufficientPrivilegeError, asyncpg.IntegrityConstraintViolationError) as error:
            if not re.search(r"permission denied|must be owner|casewright: |audit_events_stream_seq", str(error)):
                passed[name] = str(error)
        finally:
            await connection.close()
    return passed


async def _forged(sql: Sql, kinds: Mapping[str, Forgery], *, sqlite: bool) -> dict[str, str]:
    stream, place = await end_of(sql, "system")
    made = {name: forge(place) for name, forge in kinds.items()}
    return {name: insertion(about(stream), where, sqlite=sqlite, **instead) for name, (where, instead) in made.items()}


# --- what the owner and the holder of the file can do, and what finds it ----------------------------------------------

LAST = "(SELECT max(id) FROM audit_events)"
CAN = {
    "switch a trigger off": ([], "trigger audit_events_"),
    "take the last event away": ([f"DELETE FROM audit_events WHERE id = {LAST}"], "does not stand at its last event"),
    "another hash at the end": (["UPDATE audit_streams SET head = 'x'"], "does not end in the hash"),
    "raise a version": (["UPDATE cases SET version = version + 1"], "another version than it has events"),
    "empty the tree": (["DELETE FROM audit_leaves"], "are in the tree"),
    "an older tree": (["UPDATE audit_tree SET size = 1"], "the tree says that it has"),
}
GUARDED = ("audit_events", "audit_streams", "audit_leaves", "audit_tree", "cases")


async def _with_guards_off(sql: Sql, statements: list[str], *, sqlite: bool) -> None:
    """Change something as the owner can, and put the triggers back as they were: nothing of them tells."""
    if sqlite:
        triggers = await sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        for name, _ in triggers:
            await sql(f"DROP TRIGGER {name}")
        for statement in statements:
            await sql(statement)
        for _, create in triggers[0 if statements else 1 :]:
            await sql(str(create))
        return
    for table in GUARDED:
        await sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for statement in statements:
        await sql(statement)
    for table in GUARDED if statements else ():
        for (name,) in await sql(
            f"SELECT tgname FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal"
        ):
            await sql(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


@pytest.mark.parametrize("deed", CAN)
async def test_what_the_owner_does_without_care_is_found(store: CaseStore, sql: Sql, deed: str):
    url = store.url.render_as_string(hide_password=False)
    await filled(store)
    assert (await enforcement.check(url)).problems == []
    statements, words = CAN[deed]
    sqlite = store.url.drivername.startswith("sqlite")
    await _with_guards_off(sql, statements, sqlite=sqlite)
    found = [problem.message for problem in (await enforcement.check(url)).problems]
    assert any(words in message for message in found) or (sqlite and not statements and found), found


async def test_the_last_events_taken_away_with_care_leave_a_number_on_sqlite(
    sqlite_store: CaseStore, sqlite_database: str
):
    await filled(sqlite_store)
    sql = run_sql(sqlite_database)
    careful = [
        f"DELETE FROM audit_pending WHERE event_id = (SELECT event_id FROM audit_events WHERE id = {LAST})",
        f"DELETE FROM audit_streams WHERE stream = (SELECT stream FROM audit_events WHERE id = {LAST})",
        f"DELETE FROM audit_events WHERE stream = (SELECT stream FROM audit_events WHERE id = {LAST})",
    ]
    await _with_guards_off(sql, careful, sqlite=True)
    found = [problem.message for problem in (await enforcement.check(sqlite_database)).problems]
    assert any("were given out: the last rows were taken away" in message for message in found), found


async def test_a_value_changed_with_care_is_found_by_the_fold(store: CaseStore, sql: Sql):
    """No number tells: the triggers are back and the version is right. `audit verify --state` names the column."""
    await filled(store)
    sqlite = store.url.drivername.startswith("sqlite")
    await _with_guards_off(sql, ["UPDATE cases SET title = 'Other'"], sqlite=sqlite)
    assert (await enforcement.check(store.url.render_as_string(hide_password=False))).problems == []
    async with store.reading() as tx:
        found = [str(one) async for one in differences(tx)]
    assert len(found) == 1
    assert 'title is "Other", and by its events "Suspicious mail"' in found[0]
