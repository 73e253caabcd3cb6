"""Those who write are killed at random moments: what was acknowledged is there, all else is whole or not there.

The short edition runs with every `make test`; `make faults` runs the long one.
"""

import asyncio
import json
import multiprocessing
import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import func, select

from case_store import cases, migrate
from case_store.audit import fold
from case_store.audit.merkle import Peaks, leaf_hash, root_of
from case_store.audit.sequencer import seal
from case_store.models import AuditEvent, AuditLeaf, AuditPending, AuditStream, AuditTree
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.conftest import missing
from tests.faults import writing
from tests.own_postgres import OwnServer, ProgramsMissing, own_server
from tests.store import world
from tests.store.world import NOW, SYSTEM

SEED = int(os.environ.get("CASEWRIGHT_TEST_SEED", "2026"))
A_DATABASE_LASTS = 20  # kills; each test has a new one, so that looking at everything after each kill stays quick
EVENTS = 40  # acknowledged transactions before a kill, at most

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.faults.writing"])


class Writers:
    """The process that writes, and what it was told about: request ids with the number of their events."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self.acknowledged: dict[str, int] = {}

    async def work_until_killed(self, chance: random.Random, also: Callable[[], None] | None = None) -> None:
        """Start it, kill it (and first do `also`) while it works, and take in all that it was told."""
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(
            target=writing.write, args=(self.url, self.home, chance.getrandbits(32), theirs), daemon=True
        )
        process.start()
        theirs.close()
        try:
            await asyncio.to_thread(self._take, ours, chance.randint(1, EVENTS))
            await asyncio.sleep(chance.uniform(0, 0.02))
            if also:
                await asyncio.to_thread(also)
        finally:
            _kill(process)
        await asyncio.to_thread(self._take, ours, None)
        ours.close()

    def _take(self, ours: Connection, count: int | None) -> None:
        taken = 0
        while count is None or taken < count:
            try:
                request_id, events = ours.recv_bytes().decode().split()
            except EOFError:
                assert count is None, "it ended by itself"
                return
            self.acknowledged[request_id] = int(events)
            taken += 1


def _editions(*, short: int, long: int) -> list[object]:
    """Return number and kills of each test: a short one, and the long edition in parts."""
    parts = [
        pytest.param(1 + start // A_DATABASE_LASTS, min(A_DATABASE_LASTS, long - start), marks=pytest.mark.slow)
        for start in range(0, long, A_DATABASE_LASTS)
    ]
    return [pytest.param(0, short, id="short"), *parts]


def _kill(process: BaseProcess) -> None:
    process.kill()
    process.join(30)


async def _prepare(url: str, home: Path) -> Writers:
    """Make the tables, the people and two cases."""
    await migrate.upgrade(url)
    store = await CaseStore.open(Settings(home=home, database_url=url))
    drill = await world.build(store)
    async with store.transaction() as tx:
        await cases.open_case(tx, world.sop(), "Another mail", at=NOW, by=SYSTEM)
    await store.close()
    assert drill.case.number == 1
    return Writers(url, home)


async def _check(writers: Writers) -> int:
    """Look whether everything is whole; return how many events there are."""
    store = await CaseStore.open(Settings(home=writers.home, database_url=writers.url))
    try:
        await _nothing_acknowledged_is_lost(store, writers.acknowledged)
        leaves = await _streams_have_no_gap(store)
        await _all_get_into_the_tree(store, leaves)
        async with store.reading() as tx:
            assert [str(one) async for one in fold.differences(tx)] == []
        return len(leaves)
    finally:
        await store.close()


async def _nothing_acknowledged_is_lost(store: CaseStore, acknowledged: dict[str, int]) -> None:
    wanted = select(AuditEvent.request_id, func.count()).group_by(AuditEvent.request_id)
    async with store.reading() as tx:
        there = {row[0]: row[1] for row in await tx.session.execute(wanted)}
    assert {one: there.get(one) for one in acknowledged} == acknowledged


async def _streams_have_no_gap(store: CaseStore) -> dict[str, bytes]:
    """Check the chain of each stream against the bytes of its events; return the leaf of each event."""
    leaves: dict[str, bytes] = {}
    heads: dict[str, tuple[int, bytes | None]] = defaultdict(lambda: (0, None))
    async with store.reading() as tx:
        for event in (await tx.session.scalars(select(AuditEvent).order_by(AuditEvent.id))).all():
            body, (seq, head) = json.loads(event.body), heads[event.stream]
            assert (body["seq"], body["prev"]) == (seq + 1, head and head.hex())
            leaf = leaf_hash(event.body.encode())
            assert (event.seq, event.leaf) == (seq + 1, leaf)
            heads[event.stream], leaves[event.event_id] = (seq + 1, leaf), leaf
        streams = (await tx.session.scalars(select(AuditStream))).all()
        assert {one.stream: (one.seq, one.head) for one in streams if one.seq} == dict(heads)
    return leaves


async def _all_get_into_the_tree(store: CaseStore, leaves: dict[str, bytes]) -> None:
    while await seal(store, writing.SIGNER, NOW + timedelta(days=1)):
        pass
    async with store.reading() as tx:
        assert await tx.session.scalar(select(func.count()).select_from(AuditPending)) == 0
        placed = (await tx.session.scalars(select(AuditLeaf).order_by(AuditLeaf.idx))).all()
        tree = await tx.session.get_one(AuditTree, 1)
    assert [one.idx for one in placed] == list(range(len(leaves)))
    assert {one.event_id: one.leaf for one in placed} == leaves
    assert Peaks.parse(tree.size, tree.peaks).root() == root_of([one.leaf for one in placed])
    assert tree.size == len(leaves)


@pytest.mark.parametrize(("number", "kills"), _editions(short=5, long=300))
async def test_killing_who_writes_to_sqlite_loses_nothing(tmp_path: Path, number: int, kills: int) -> None:
    chance = random.Random(SEED + number)
    writers = await _prepare(f"sqlite:///{tmp_path / 'casewright.db'}", tmp_path)
    for _ in range(kills):
        before = len(writers.acknowledged)
        await writers.work_until_killed(chance)
        assert len(writers.acknowledged) > before
        assert await _check(writers) > len(writers.acknowledged)


@pytest.fixture
def server() -> Iterator[OwnServer]:
    try:
        with own_server() as server:
            yield server
    except ProgramsMissing as error:
        missing(str(error), "install it (Debian: apt-get install postgresql)")


@pytest.mark.parametrize(("number", "kills"), _editions(short=2, long=30))
async def test_killing_the_whole_postgresql_server_loses_nothing(
    tmp_path: Path, server: OwnServer, number: int, kills: int
) -> None:
    chance = random.Random(SEED + number)
    await server.start()
    writers = await _prepare(server.url(), tmp_path)
    for _ in range(kills):
        before = len(writers.acknowledged)
        await writers.work_until_killed(chance, server.kill)
        assert len(writers.acknowledged) > before
        await server.start()
        assert await _check(writers) > len(writers.acknowledged)
