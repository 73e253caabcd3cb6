"""What somebody does who has the file of a database: each act takes the connection, and leaves what chance has it."""

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from case_store.audit.checkpoints import COSIGNATURE, Checkpoint, Signer
from case_store.audit.events import Event, Place
from case_store.audit.merkle import leaf_hash, root_of
from case_store.ids import new_id
from tests.store.forging import insertion
from tests.store.making import BY, LATER

LOG = "test/audit"


def around_the_triggers(file: Path, act: "Act", seed: int) -> None:
    """Act on a database of SQLite with its triggers out of the way, and put them back as if nothing had been."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")  # whoever does this does not wait for the disk
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        act(connection, random.Random(seed))
        for _, sql in triggers:
            connection.execute(sql)


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
    keep = chance.randrange(1, connection.execute("SELECT count(*) FROM audit_leaves").fetchone()[0])
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
    thief = Signer(LOG, Ed25519PrivateKey.generate())
    note = thief.sign_at(Checkpoint(thief.name, len(leaves), root_of(leaves)).text(), 0)
    connection.execute("DELETE FROM audit_checkpoints")
    connection.execute(
        "INSERT INTO audit_checkpoints (size, at, note) VALUES (?, '2026-03-02 09:30:00.0', ?)", (len(leaves), note)
    )


def delete_all_checkpoints(connection: sqlite3.Connection, _chance: random.Random) -> None:
    connection.execute("DELETE FROM audit_checkpoints")
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'audit_checkpoints'")


def delete_the_newest_checkpoints(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Those that say how far the log came; the number that was given out is set back as well."""
    ids = [row[0] for row in connection.execute("SELECT id FROM audit_checkpoints ORDER BY id")]
    keep = chance.randrange(1, len(ids))
    connection.execute("DELETE FROM audit_checkpoints WHERE id > ?", (ids[keep - 1],))
    connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit_checkpoints'", (ids[keep - 1],))


def delete_one_checkpoint(connection: sqlite3.Connection, chance: random.Random) -> None:
    """One in the middle: on SQLite its number is missing; what PostgreSQL cannot see is in the documents."""
    ids = [row[0] for row in connection.execute("SELECT id FROM audit_checkpoints ORDER BY id")]
    connection.execute("DELETE FROM audit_checkpoints WHERE id = ?", (chance.choice(ids[:-1]),))


def delete_a_stream(connection: sqlite3.Connection, chance: random.Random) -> None:
    streams = [row[0] for row in connection.execute("SELECT stream FROM audit_streams ORDER BY stream")]
    connection.execute("DELETE FROM audit_streams WHERE stream = ?", (chance.choice(streams),))


def exchange_two_checkpoints(connection: sqlite3.Connection, chance: random.Random) -> None:
    """Each is sound, and their sizes go down."""
    wanted = "SELECT id, size, at, note FROM audit_checkpoints ORDER BY id"
    one, two = sorted(chance.sample(connection.execute(wanted).fetchall(), 2))
    for place, (_, size, at, note) in ((one[0], two), (two[0], one)):
        connection.execute(
            "UPDATE audit_checkpoints SET size = ?, at = ?, note = ? WHERE id = ?", (size, at, note, place)
        )


def date_a_checkpoint_back(connection: sqlite3.Connection, chance: random.Random) -> None:
    """The column that is searched, not what is signed."""
    ids = [row[0] for row in connection.execute("SELECT id FROM audit_checkpoints")]
    connection.execute("UPDATE audit_checkpoints SET at = '2020-01-01 00:00:00.0' WHERE id = ?", (chance.choice(ids),))


def put_in_an_old_event(connection: sqlite3.Connection, chance: random.Random) -> None:
    """One that pretends to be of before events had numbers, waiting for its place in the tree."""
    _, body = _any(connection, chance)
    old = {**json.loads(body), "event_id": "by-hand", "schema_v": 1, "stream": chance.choice(["case/a", "case/new"])}
    del old["seq"], old["prev"]
    columns = [row[1] for row in connection.execute("PRAGMA table_info(audit_events)")]
    row = dict.fromkeys(columns) | {name: old.get(name) for name in ("event_id", "stream", "ts", "type", "schema_v")}
    row |= {"actor_kind": old["actor"]["kind"], "actor_id": old["actor"]["id"], "request_id": old["request_id"]}
    entity = old["entity"] or {"type": None, "id": None, "version": None}
    row |= {f"entity_{name}": entity[name] for name in ("type", "id", "version")}
    row |= {"body": json.dumps(old, sort_keys=True, separators=(",", ":"), ensure_ascii=False)}
    row |= {"ts": old["ts"].replace("T", " ").rstrip("Z"), "entity_version": None, "entity_id": None}
    row["id"] = connection.execute("SELECT max(id) + 1 FROM audit_events").fetchone()[0]
    connection.execute(f"INSERT INTO audit_events VALUES ({', '.join('?' * len(columns))})", list(row.values()))
    connection.execute("INSERT INTO audit_pending VALUES ('by-hand')")


def take_an_event_out_of_the_queue(connection: sqlite3.Connection, chance: random.Random) -> None:
    """The newest event is in its stream, is not in the tree, and never will be."""
    _put_in_a_newest_event(connection, chance)
    connection.execute("DELETE FROM audit_pending")


def queue_what_is_gone(connection: sqlite3.Connection, _chance: random.Random) -> None:
    connection.execute("INSERT INTO audit_pending VALUES ('gone')")


def queue_what_has_a_place(connection: sqlite3.Connection, chance: random.Random) -> None:
    events = [row[0] for row in connection.execute("SELECT event_id FROM audit_leaves")]
    connection.execute("INSERT INTO audit_pending VALUES (?)", (chance.choice(events),))


def confirm_what_was_never_signed(connection: sqlite3.Connection, chance: random.Random) -> None:
    """The checkpoint is gone with its number, its confirmation is not."""
    delete_the_newest_checkpoints(connection, chance)
    connection.execute("INSERT INTO audit_cosignatures VALUES (9999, 'w+00+AA', '2026-03-02 09:30:00.0', 'line')")


def forge_a_confirmation(connection: sqlite3.Connection, chance: random.Random) -> None:
    at, note = chance.choice(connection.execute("SELECT id, note FROM audit_checkpoints").fetchall())
    witness, thief = (Signer("w", Ed25519PrivateKey.generate()) for _ in range(2))
    row = (at, str(witness.verifier(COSIGNATURE)), "2026-03-02 09:30:00.0", thief.cosign(note, 1))
    connection.execute("INSERT INTO audit_cosignatures VALUES (?, ?, ?, ?)", row)


def stamp_something_else(connection: sqlite3.Connection, chance: random.Random) -> None:
    ids = [*(row[0] for row in connection.execute("SELECT id FROM audit_checkpoints")), 9999]
    row = (chance.choice(ids), "http://tsa.example", "2026-03-02 09:30:00.0", b"no stamp")
    connection.execute("INSERT INTO audit_timestamps VALUES (?, ?, ?, ?)", row)


def cut_what_a_sink_has(connection: sqlite3.Connection, chance: random.Random) -> None:
    """All is set back to an earlier moment with care; a sink has got more than that."""
    what = chance.choice([("events/siem", 9999, None), ("checkpoints/file", 9999, 9999)])
    row = "INSERT INTO audit_sinks (name, kind, fingerprint, cursor, size) VALUES (?, 'file', 'x', ?, ?)"
    connection.execute(row, what)


def _put_in_a_newest_event(connection: sqlite3.Connection, chance: random.Random) -> None:
    stream, seq, head = chance.choice(connection.execute("SELECT stream, seq, head FROM audit_streams").fetchall())
    event = Event(event_id=new_id(), at=LATER, type="test.noted", stream=stream, by=BY, request_id="r", subject=None)
    connection.execute(insertion(event, Place(seq + 1, head), sqlite=True))
    leaf = connection.execute("SELECT leaf FROM audit_events ORDER BY id DESC LIMIT 1").fetchone()[0]
    connection.execute("UPDATE audit_streams SET seq = ?, head = ? WHERE stream = ?", (seq + 1, leaf, stream))


ACTS = (
    change_a_column,
    change_a_body,
    replace_an_event,
    delete_an_event,
    cut_the_tail,
    swap_two_places,
    change_a_checkpoint,
    forge_a_whole_tree_without_the_key,
    delete_all_checkpoints,
    delete_the_newest_checkpoints,
    delete_one_checkpoint,
    delete_a_stream,
    exchange_two_checkpoints,
    date_a_checkpoint_back,
    put_in_an_old_event,
    take_an_event_out_of_the_queue,
    queue_what_is_gone,
    queue_what_has_a_place,
    confirm_what_was_never_signed,
    forge_a_confirmation,
    stamp_something_else,
    cut_what_a_sink_has,
)
