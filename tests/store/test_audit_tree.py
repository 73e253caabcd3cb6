"""Every event has its place in its stream and in the tree, and what is signed says so."""

import asyncio
import json
import sqlite3
from collections import defaultdict
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from case_store import migrate
from case_store.audit import sequencer
from case_store.audit.checkpoints import Checkpoint, Signer, opened, witnessed
from case_store.audit.merkle import leaf_hash, root_of
from case_store.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditPending, AuditStream
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.conftest import Sql, run_sql
from tests.store.forging import by_hand
from tests.store.making import BY, LATER, NOW, add_case

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())
MANY = 12
COPIED = "stream, ts, type, actor_kind, actor_id, request_id, schema_v, body, seq"


async def note(store: CaseStore, stream: str | None, count: int = 1) -> None:
    async with store.transaction() as tx:
        for _ in range(count):
            tx.record("test.noted", None, by=BY, at=NOW, case=stream)


async def leaves(store: CaseStore) -> list[bytes]:
    """The leaves in their order, after checking that each is the hash of its event's body and no place is free."""
    async with store.reading() as tx:
        wanted = select(AuditLeaf.idx, AuditLeaf.leaf, AuditEvent.body).join(
            AuditEvent, AuditEvent.event_id == AuditLeaf.event_id
        )
        rows = (await tx.session.execute(wanted.order_by(AuditLeaf.idx))).all()
    assert [row.idx for row in rows] == list(range(len(rows)))
    assert [row.leaf for row in rows] == [leaf_hash(row.body.encode()) for row in rows]
    return [row.leaf for row in rows]


async def require_chains(store: CaseStore) -> dict[str, int]:
    """Check the numbers and hashes of every stream; return how many events each has."""
    async with store.reading() as tx:
        events = (await tx.session.scalars(select(AuditEvent).order_by(AuditEvent.id))).all()
        heads = {one.stream: (one.seq, one.head) for one in await tx.session.scalars(select(AuditStream))}
    found: dict[str, tuple[int, bytes | None]] = defaultdict(lambda: (0, None))
    for event in events:
        seq, head = found[event.stream]
        body = json.loads(event.body)
        if event.schema_v > 1:
            assert (body["seq"], body["prev"]) == (seq + 1, head and head.hex())
            assert (event.seq, event.leaf) == (body["seq"], leaf_hash(event.body.encode()))
        found[event.stream] = (seq + 1, leaf_hash(event.body.encode()))
    assert heads == {stream: place for stream, place in found.items() if stream in heads}
    return {stream: seq for stream, (seq, _) in found.items()}


async def newest(store: CaseStore) -> str:
    async with store.reading() as tx:
        found = await tx.session.scalar(select(AuditCheckpoint.note).order_by(AuditCheckpoint.id.desc()).limit(1))
    assert found is not None
    return found


class TestStreams:
    async def test_have_no_gap_however_many_write_at_once(self, store: CaseStore):
        streams = ["a", "b", None]
        await asyncio.gather(*(note(store, streams[number % 3], number % 4 + 1) for number in range(30)))
        assert await require_chains(store) == {"case/a": 25, "case/b": 23, "system": 25}

    async def test_have_no_gap_after_a_change_that_was_taken_back(self, store: CaseStore):
        await note(store, "a")
        with pytest.raises(ZeroDivisionError):
            await self._note_and_fail(store)
        await note(store, "a")
        assert await require_chains(store) == {"case/a": 2}

    async def _note_and_fail(self, store: CaseStore) -> None:
        async with store.transaction() as tx:
            tx.record("test.noted", None, by=BY, at=NOW, case="a")
            await tx.flush()
            raise ZeroDivisionError


class TestSealing:
    async def test_gives_every_event_a_place_and_signs_the_root(self, store: CaseStore):
        async with store.transaction() as tx:
            await add_case(tx)
        sealed = await sequencer.seal(store, SIGNER, NOW)
        assert sealed is not None
        found = await leaves(store)
        checkpoint = Checkpoint.parse(opened(await newest(store), SIGNER.verifier()))
        assert (checkpoint.size, checkpoint.root) == (len(found), root_of(found))
        assert (sealed.events, sealed.size, sealed.note) == (len(found), len(found), await newest(store))
        assert witnessed(sealed.note, SIGNER.verifier().as_witness()) == int(NOW.timestamp())
        async with store.reading() as tx:
            assert not await tx.session.scalar(select(func.count()).select_from(AuditPending))

    async def test_goes_on_where_it_stopped(self, store: CaseStore):
        for count in (1, 3, 2):
            await note(store, "a", count)
            sealed = await sequencer.seal(store, SIGNER, NOW)
            assert sealed is not None
            assert sealed.events == count
        found = await leaves(store)
        assert Checkpoint.parse(await newest(store)).root == root_of(found)
        assert len(found) == 6

    async def test_of_an_idle_log_is_said_once_a_minute(self, store: CaseStore):
        await note(store, None)
        assert await sequencer.seal(store, SIGNER, NOW) is not None
        assert await sequencer.seal(store, SIGNER, NOW + sequencer.HEARTBEAT / 2) is None
        beat = await sequencer.seal(store, SIGNER, NOW + sequencer.HEARTBEAT)
        assert beat is not None
        assert (beat.events, beat.size) == (0, 1)

    async def test_goes_on_after_a_clock_that_was_ahead(self, store: CaseStore):
        """Otherwise nobody hears of the log until that time has come."""
        await note(store, None)
        assert await sequencer.seal(store, SIGNER, NOW + timedelta(days=1)) is not None
        beat = await sequencer.seal(store, SIGNER, NOW)
        assert beat is not None
        assert Checkpoint.parse(await newest(store)).size == 1
        assert witnessed(await newest(store), SIGNER.verifier().as_witness()) == int(NOW.timestamp())
        assert await sequencer.seal(store, SIGNER, NOW + sequencer.HEARTBEAT / 2) is None

    async def test_by_many_at_once_gives_each_place_once(self, store: CaseStore):
        for _ in range(3):
            await asyncio.gather(
                *(note(store, str(number)) for number in range(MANY)),
                *(sequencer.seal(store, SIGNER, NOW) for _ in range(4)),
            )
        while (sealed := await sequencer.seal(store, SIGNER, LATER)) is not None and sealed.events:
            pass
        found = await leaves(store)
        assert len(found) == 3 * MANY
        assert Checkpoint.parse(await newest(store)).root == root_of(found)

    async def test_takes_a_batch_at_a_time(self, store: CaseStore, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(sequencer, "BATCH", 4)
        await note(store, "a", 10)
        sealed = [await sequencer.seal(store, SIGNER, NOW) for _ in range(3)]
        assert [one and one.events for one in sealed] == [4, 4, 2]
        assert await sequencer.seal(store, SIGNER, NOW + timedelta(seconds=1)) is None


async def test_events_of_before_the_tree_are_sealed_and_their_stream_goes_on(
    empty_url: str, tmp_path_factory: pytest.TempPathFactory
):
    await migrate.upgrade(empty_url, "0001")
    row = "'{event}', 'case/a', '2026-03-01 00:00:00', 'test.noted', 'system', 'test', 'r', 1, '{{\"n\":\"{event}\"}}'"
    columns = "event_id, stream, ts, type, actor_kind, actor_id, request_id, schema_v, body"
    sql: Sql = run_sql(empty_url)
    for event in ("one", "two"):
        await sql(f"INSERT INTO audit_events ({columns}) VALUES ({row.format(event=event)})")
    await migrate.upgrade(empty_url)
    store = await CaseStore.open(Settings(home=tmp_path_factory.mktemp("old"), database_url=empty_url))
    await note(store, "a", 2)
    assert await require_chains(store) == {"case/a": 4}
    assert await sequencer.seal(store, SIGNER, NOW) is not None
    assert len(await leaves(store)) == 4
    async with store.reading() as tx:
        numbers = await tx.session.scalars(select(AuditEvent.seq).order_by(AuditEvent.id))
        assert list(numbers) == [None, None, 3, 4]
    await store.close()


async def test_an_event_put_in_by_hand_in_its_place_is_sealed_as_well(store: CaseStore, sql: Sql):
    await note(store, "a")
    await sql(await by_hand(store, sql, "nothing", 1, "task"))
    sealed = await sequencer.seal(store, SIGNER, NOW)
    assert sealed is not None
    assert sealed.events == 2


async def test_an_event_put_in_by_hand_without_its_place_is_refused(store: CaseStore, sql: Sql):
    await note(store, "a")
    copied = COPIED.removesuffix(", seq")
    with pytest.raises(Exception, match=r"casewright: an event has no place|casewright: the columns of an event"):
        await sql(f"INSERT INTO audit_events (event_id, {copied}) SELECT 'by hand', {copied} FROM audit_events")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_leaves SET idx = 7",
        "DELETE FROM audit_leaves",
        "UPDATE audit_checkpoints SET size = 7",
        "DELETE FROM audit_checkpoints",
    ],
)
async def test_a_place_and_a_checkpoint_are_never_changed(store: CaseStore, sql: Sql, statement: str):
    await note(store, "a")
    await sequencer.seal(store, SIGNER, NOW)
    with pytest.raises(Exception, match=r"never|kept as they are"):
        await sql(statement)
    assert len(await leaves(store)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "REPLACE INTO audit_leaves SELECT 0, 'another', leaf FROM audit_leaves",
        "REPLACE INTO audit_checkpoints SELECT id, 9, at, note FROM audit_checkpoints",
        f"REPLACE INTO audit_events (event_id, {COPIED}) SELECT 'another', {COPIED} FROM audit_events",
    ],
)
async def test_sqlite_replaces_none_of_them(sqlite_store: CaseStore, sqlite_database: str, statement: str):
    await note(sqlite_store, "a")
    await sequencer.seal(sqlite_store, SIGNER, NOW)
    with pytest.raises(sqlite3.IntegrityError, match=r"never replaced|no place but after|comes after the last one"):
        await run_sql(sqlite_database)(statement)
    assert len(await leaves(sqlite_store)) == 1
