"""Each rule that streams, queue and tree are guarded by, broken alone, by somebody whom nothing else restrains.

On SQLite that is a connection which is not ours; on PostgreSQL it is the owner of the tables. So each attempt meets the
trigger that is made for it, and no right that is missing.
"""

from __future__ import annotations

import sqlite3

import asyncpg
import pytest
from sqlalchemy import Table, UniqueConstraint

from case_store import find, observables
from case_store.audit.events import Place
from case_store.models import Audited, Base
from case_store.store import CaseStore, Tx
from tests.store import world
from tests.store.conftest import Sql, run_sql
from tests.store.every_verb import Prepare, Scene, asked, give_approval, linked, running, waiting_alert, watched
from tests.store.forging import about, end_of, insertion
from tests.store.test_attacks import filled
from tests.store.test_every_verb import everything
from tests.store.world import NOW

BEGINS = "a stream begins once, and where its events end"
MOVES = "a stream moves on with its next event"
WAITS = "only an event that is not in the tree waits for it"
LEAF = "a leaf is that of its event, and comes after the last one"
TREE = "the tree is as large as it has leaves"
_WAITING = "FROM audit_pending p JOIN audit_events e ON e.event_id = p.event_id LIMIT 1"
_SEALED = "(SELECT event_id FROM audit_leaves LIMIT 1)"
_QUEUED = "e.event_id, e.leaf FROM audit_pending p JOIN audit_events e ON e.event_id = p.event_id"
_NEXT = "(SELECT max(idx) + 1 FROM audit_leaves)"
_LONGEST = "(SELECT stream FROM audit_streams ORDER BY seq DESC LIMIT 1)"
_ANOTHER_NAME = (
    f"audit_streams SET stream = {_LONGEST}, seq = seq + 1, head ="
    f" (SELECT leaf FROM audit_events e WHERE e.stream = {_LONGEST} AND e.seq = audit_streams.seq + 1)"
    f" WHERE seq = 1 AND stream <> {_LONGEST}"
)
_BACK = (
    "UPDATE audit_streams SET seq = 1, head ="
    " (SELECT leaf FROM audit_events e WHERE e.stream = audit_streams.stream AND e.seq = 1) WHERE seq > 1"
)

ON_SQLITE = {
    "begin a stream that is there": ("INSERT INTO audit_streams SELECT * FROM audit_streams LIMIT 1", BEGINS),
    "begin a stream in the middle": ("INSERT INTO audit_streams VALUES ('case/x', 1, randomblob(32))", BEGINS),
    "begin a stream after something": ("INSERT INTO audit_streams VALUES ('case/x', 0, randomblob(32))", BEGINS),
    "let a stream go back": (_BACK, MOVES),
    "move a stream to no event": ("UPDATE audit_streams SET seq = seq + 1", MOVES),
    "give a stream another's name": (f"UPDATE OR REPLACE {_ANOTHER_NAME}", MOVES),
    "forget a stream": ("DELETE FROM audit_streams", "a row of audit_streams is never deleted"),
    "queue what is in the tree": ("INSERT INTO audit_pending SELECT event_id FROM audit_leaves LIMIT 1", WAITS),
    "queue what is no event": ("INSERT INTO audit_pending VALUES ('nothing')", WAITS),
    "queue another in its place": (
        "UPDATE audit_pending SET event_id = 'x'",
        "a row of audit_pending is never changed",
    ),
    "take an event out of the queue": ("DELETE FROM audit_pending", "an event waits until it is in the tree"),
    "a leaf far away": (f"INSERT INTO audit_leaves SELECT 9999, e.event_id, e.leaf {_WAITING}", LEAF),
    "a leaf of another event": (f"INSERT INTO audit_leaves SELECT {_NEXT}, e.event_id, zeroblob(32) {_WAITING}", LEAF),
    "a leaf of no event": (f"INSERT INTO audit_leaves VALUES ({_NEXT}, 'nothing', zeroblob(32))", LEAF),
    "a second tree": ("INSERT INTO audit_tree VALUES (2, 0, x'')", "there is one tree"),
    "no tree": ("DELETE FROM audit_tree", "there is one tree"),
    "a smaller tree": ("UPDATE audit_tree SET size = size - 1", TREE),
    "another tree": ("UPDATE audit_tree SET id = 2", TREE),
}

ON_POSTGRESQL = {
    "begin a stream that is there": ("INSERT INTO audit_streams SELECT * FROM audit_streams LIMIT 1", "duplicate key"),
    "begin a stream in the middle": ("INSERT INTO audit_streams VALUES ('case/x', 1, sha256('x'))", BEGINS),
    "begin a stream after something": ("INSERT INTO audit_streams VALUES ('case/x', 0, sha256('x'))", BEGINS),
    "let a stream go back": (_BACK, MOVES),
    "jump over events": ("UPDATE audit_streams SET seq = seq + 2", MOVES),
    "give a stream another's name": ("UPDATE audit_streams SET stream = stream || 'x', seq = seq + 1", MOVES),
    "forget a stream": ("DELETE FROM audit_streams", "audit_streams"),
    "empty the streams": ("TRUNCATE audit_streams", "audit_streams"),
    "queue another in its place": (f"UPDATE audit_pending SET event_id = {_SEALED}", "kept as they are"),
    "empty the queue": ("TRUNCATE audit_pending", "audit_pending"),
    "take an event out of the queue": ("DELETE FROM audit_pending", "an event waits until it is in the tree"),
    "a leaf far away": (f"INSERT INTO audit_leaves SELECT 9999, e.event_id, e.leaf {_WAITING}", LEAF),
    "leaves with a gap": (f"INSERT INTO audit_leaves SELECT {_NEXT} + 7 * row_number() OVER () - 7, {_QUEUED}", LEAF),
    "a leaf before the first": (f"INSERT INTO audit_leaves SELECT -1, e.event_id, e.leaf {_WAITING}", LEAF),
    "a leaf of another event": (f"INSERT INTO audit_leaves SELECT {_NEXT}, e.event_id, sha256('x') {_WAITING}", LEAF),
    "a second tree": ("INSERT INTO audit_tree VALUES (2, 0, '')", "audit_tree"),
    "no tree": ("DELETE FROM audit_tree", "audit_tree"),
    "empty the tree": ("TRUNCATE audit_tree", "audit_tree"),
    "a smaller tree": ("UPDATE audit_tree SET size = size - 1", TREE),
    "another tree": ("UPDATE audit_tree SET id = 2", TREE),
}


UNIQUE_BESIDES_THE_ID = {
    str(mapper.local_table)
    for mapper in Base.registry.mappers
    if issubclass(mapper.class_, Audited) and isinstance(mapper.local_table, Table)
    for rule in [*mapper.local_table.constraints, *mapper.local_table.indexes]
    if isinstance(rule, UniqueConstraint) or getattr(rule, "unique", False)
}


async def test_each_rule_refuses_what_it_is_for(store: CaseStore, sql: Sql):
    before = await filled(store)
    sqlite = store.url.drivername.startswith("sqlite")
    wrong = {}
    for name, (attempt, words) in (ON_SQLITE if sqlite else ON_POSTGRESQL).items():
        try:
            wrong[name] = str(await sql(attempt) or "done")
        except (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError) as error:
            if words not in str(error):
                wrong[name] = str(error)
    assert wrong == {}
    assert await everything(store) == before


async def test_an_event_has_a_whole_hash(sqlite_store: CaseStore, sqlite_database: str):
    await filled(sqlite_store)
    sql = run_sql(sqlite_database)
    stream, place = await end_of(sql, "system")
    with pytest.raises(sqlite3.IntegrityError, match="an event has no place but"):
        await sql(insertion(about(stream), Place(place.seq, place.prev), sqlite=True, leaf=b"x"))


async def approved(tx: Tx, scene: Scene) -> None:
    await asked(tx, scene, "sign-off")
    await give_approval(tx, scene, world.ENGINE)


PREPARED: dict[str, Prepare] = {"deadlines": watched, "answer_links": linked, "approvals": approved}


@pytest.mark.parametrize("table", sorted(UNIQUE_BESIDES_THE_ID))
async def test_replace_does_not_push_out_who_is_there(sqlite_store: CaseStore, sqlite_database: str, table: str):
    """With an event of its own, a new row is allowed; but not at the cost of the one that has what is unique."""
    scene = Scene(sqlite_store, await world.build(sqlite_store))
    async with sqlite_store.transaction() as tx:
        await running(tx, scene)
        await waiting_alert(tx, scene)
        await observables.add(tx, await find.case(tx, 1), [("ip", "192.0.2.1")], by=world.ENGINE, at=NOW)
        if table in PREPARED:
            await PREPARED[table](tx, scene)
    sql = run_sql(sqlite_database)
    stream, place = await end_of(sql, "system")
    await sql(insertion(about(stream, "new", 1, _entity_type(table)), place, sqlite=True))
    rest = ", ".join(f'"{column.name}"' for column in Base.metadata.tables[table].columns if column.name not in _OWN)
    count = await sql(f"SELECT count(*) FROM {table}")
    assert count != [(0,)]
    with pytest.raises(sqlite3.IntegrityError, match=rf"UNIQUE constraint failed: {table}\."):
        await sql(f"REPLACE INTO {table} (id, version, {rest}) SELECT 'new', 1, {rest} FROM {table} LIMIT 1")
    assert await sql(f"SELECT count(*) FROM {table}") == count


_OWN = {"id", "version"}


def _entity_type(table: str) -> str:
    kinds = {str(one.local_table): one.class_ for one in Base.registry.mappers if issubclass(one.class_, Audited)}
    return str(kinds[table].entity_type)
