"""What somebody with the database in hand did to the log is named; a clean log is silent."""

import json
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store import migrate
from case_store.audit import inspection, sequencer
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.merkle import leaf_hash, root_of
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.making import BY, LATER, NOW, add_case

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
KEYS = [SIGNER.verifier()]
EVENTS = 24


async def fill(store: CaseStore, count: int = EVENTS) -> None:
    async with store.transaction() as tx:
        await add_case(tx)
    for number in range(count):
        async with store.transaction() as tx:
            tx.record("test.noted", None, by=BY, at=NOW, case=("a", "b", None)[number % 3], facts={"n": number})
        if number % 5 == 0:
            await sequencer.seal(store, SIGNER, NOW)


async def found(store: CaseStore, saved: Checkpoint | None = None) -> list[inspection.Fault]:
    async with store.reading() as tx:
        return [fault async for fault in inspection.faults(tx, KEYS, saved)]


async def test_a_clean_log_is_silent_sealed_or_not(store: CaseStore):
    assert await found(store) == []
    await fill(store)
    assert await found(store) == []  # the newest four are not in the tree yet
    await sequencer.seal(store, SIGNER, LATER)
    assert await found(store) == []


async def test_every_event_is_looked_at(store: CaseStore):
    await fill(store)
    seen: list[None] = []
    async with store.reading() as tx:
        assert not [one async for one in inspection.faults(tx, KEYS, seen=lambda: seen.append(None))]
    assert len(seen) == EVENTS + 3


async def test_another_key_has_not_signed(store: CaseStore):
    await fill(store)
    async with store.reading() as tx:
        other = Signer(SIGNER.name, Ed25519PrivateKey.generate()).verifier()
        faults = [fault.kind async for fault in inspection.faults(tx, [other])]
    assert set(faults) == {"altered"}
    async with store.reading() as tx:
        assert not [fault async for fault in inspection.faults(tx, [other, *KEYS])]


# --- somebody who has the file, and takes the triggers away ----------------------------------------------------------

Act = Callable[[sqlite3.Connection, random.Random], None]
COLUMNS = ("type", "ts", "actor_id", "actor_kind", "request_id", "entity_type", "schema_v", "stream", "seq", "leaf")


def _any(connection: sqlite3.Connection, chance: random.Random) -> tuple[int, str]:
    return chance.choice(connection.execute("SELECT id, body FROM audit_events").fetchall())


def change_a_column(connection: sqlite3.Connection, chance: random.Random) -> None:
    at, _ = _any(connection, chance)
    column = chance.choice(COLUMNS)
    other = {"ts": "2020-01-01 00:00:00.000000", "seq": 99, "schema_v": 1, "leaf": b"x" * 32}.get(column, "other")
    connection.execute(f"UPDATE audit_events SET {column} = ? WHERE id = ?", (other, at))


def change_a_body(connection: sqlite3.Connection, chance: random.Random) -> None:
    at, body = _any(connection, chance)
    changed = json.dumps({**json.loads(body), "facts": {"n": -1}}, sort_keys=True, separators=(",", ":"))
    connection.execute(
        "UPDATE audit_events SET body = ?, leaf = ? WHERE id = ?", (changed, leaf_hash(changed.encode()), at)
    )


def replace_an_event(connection: sqlite3.Connection, chance: random.Random) -> None:
    at, body = _any(connection, chance)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(audit_events)")]
    row = dict(
        zip(columns, connection.execute("SELECT * FROM audit_events WHERE id = ?", (at,)).fetchone(), strict=True)
    )
    row["body"] = body.replace('"kind":"system"', '"kind":"person"')
    places = ", ".join("?" for _ in columns)
    connection.execute(f"REPLACE INTO audit_events ({', '.join(columns)}) VALUES ({places})", list(row.values()))


def delete_an_event(connection: sqlite3.Connection, chance: random.Random) -> None:
    connection.execute("DELETE FROM audit_events WHERE id = ?", (_any(connection, chance)[0],))


def cut_the_tail(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Everything after some moment: events, leaves, and what the streams say."""
    keep = chance.randrange(1, EVENTS)
    connection.execute("DELETE FROM audit_leaves WHERE idx >= ?", (keep,))
    connection.execute("DELETE FROM audit_events WHERE event_id NOT IN (SELECT event_id FROM audit_leaves)")
    connection.execute(
        "UPDATE audit_streams SET seq = (SELECT count(*) FROM audit_events e WHERE e.stream = audit_streams.stream)"
    )


def swap_two_places(connection: sqlite3.Connection, chance: random.Random) -> None:
    one, two = chance.sample(connection.execute("SELECT idx, event_id, leaf FROM audit_leaves").fetchall(), 2)
    connection.execute("UPDATE audit_leaves SET event_id = '-' WHERE idx = ?", (two[0],))
    connection.execute("UPDATE audit_leaves SET event_id = ?, leaf = ? WHERE idx = ?", (two[1], two[2], one[0]))
    connection.execute("UPDATE audit_leaves SET event_id = ?, leaf = ? WHERE idx = ?", (one[1], one[2], two[0]))


def change_a_checkpoint(connection: sqlite3.Connection, chance: random.Random) -> None:
    at, note = chance.choice(connection.execute("SELECT id, note FROM audit_checkpoints").fetchall())
    lines = note.split("\n")
    lines[1] = str(int(lines[1]) + 1)
    connection.execute("UPDATE audit_checkpoints SET note = ? WHERE id = ?", ("\n".join(lines), at))


def forge_a_whole_tree_without_the_key(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Change a body, mend the leaf, the tree and the newest checkpoint; the key of the log is not at hand."""
    change_a_body(connection, chance)
    connection.execute(
        "UPDATE audit_leaves SET leaf = (SELECT leaf FROM audit_events e WHERE e.event_id = audit_leaves.event_id)"
    )
    leaves = [row[0] for row in connection.execute("SELECT leaf FROM audit_leaves ORDER BY idx")]
    thief = Signer(SIGNER.name, Ed25519PrivateKey.generate())
    note = thief.sign_at(Checkpoint(thief.name, len(leaves), root_of(leaves)).text(), 0)
    connection.execute("DELETE FROM audit_checkpoints")
    connection.execute(
        "INSERT INTO audit_checkpoints (size, at, note) VALUES (?, '2026-03-02 09:30:00.0', ?)", (len(leaves), note)
    )


ACTS = (
    change_a_column,
    change_a_body,
    replace_an_event,
    delete_an_event,
    cut_the_tail,
    swap_two_places,
    change_a_checkpoint,
    forge_a_whole_tree_without_the_key,
)


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Path]:
    """The file of a log that is sealed to the end."""
    settings = Settings(home=tmp_path / "home")
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    await fill(store)
    await sequencer.seal(store, SIGNER, LATER)
    await store.close()
    return tmp_path / "home" / "casewright.db"


async def tampered(sealed: Path, act: Act, seed: int) -> list[inspection.Fault]:
    copy = sealed.with_name(f"{seed}.db")
    shutil.copy(sealed, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        act(connection, random.Random(seed))
        for _, sql in triggers:  # as if nothing had been
            connection.execute(sql)
    store = await CaseStore.open(Settings(home=sealed.parent, database_url=f"sqlite+aiosqlite:///{copy}"))
    try:
        return await found(store)
    finally:
        await store.close()
        copy.unlink()


@pytest.mark.parametrize("count", [4, pytest.param(1000, marks=pytest.mark.slow)], ids=["short", "long"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_tampering_with_the_file_is_named(sealed: Path, act: Act, count: int):
    for seed in range(count):
        assert await tampered(sealed, act, seed), f"seed {seed}"


async def test_an_old_backup_is_a_rollback_for_whoever_saved_a_checkpoint(tmp_path: Path):
    settings = Settings(home=tmp_path)
    await migrate.upgrade(settings.database_url)
    store = await CaseStore.open(settings)
    await fill(store, 6)
    old = await sequencer.seal(store, SIGNER, LATER)
    await store.close()
    shutil.copy(tmp_path / "casewright.db", tmp_path / "backup.db")
    store = await CaseStore.open(settings)
    assert old is not None
    await fill_more(store)
    new = await sequencer.seal(store, SIGNER, LATER)
    assert new is not None
    before, after = Checkpoint.parse(old.note), Checkpoint.parse(new.note)
    assert await found(store, before) == []
    await store.close()
    backup = await CaseStore.open(Settings(home=tmp_path, database_url=f"sqlite+aiosqlite:///{tmp_path / 'backup.db'}"))
    assert [fault.kind for fault in await found(backup, after)] == ["rolled back"]
    await fill_more(backup, "other", 5)
    await sequencer.seal(backup, SIGNER, LATER)
    assert [fault.kind for fault in await found(backup, after)] == ["forked"]
    await backup.close()


async def fill_more(store: CaseStore, word: str = "more", count: int = 3) -> None:
    async with store.transaction() as tx:
        for _ in range(count):
            tx.record("test.noted", None, by=BY, at=NOW, facts={"text": word})
