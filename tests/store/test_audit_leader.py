"""Of several relays one seals at a time, and one that dies while it does hinders nobody."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from case_store.audit import sequencer
from case_store.audit.checkpoints import Checkpoint, Signer
from case_store.audit.merkle import root_of
from case_store.models import AuditCheckpoint, AuditTree
from case_store.settings import Settings
from case_store.store import CaseStore
from tests.store.making import NOW
from tests.store.test_audit_tree import leaves, newest, note

SIGNER = Signer("test/audit", Ed25519PrivateKey.generate())


@asynccontextmanager
async def dying(url: str, home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that holds the tree, in the middle of sealing."""
    script = Path(__file__).with_name("sealing.py")
    command = [sys.executable, str(script), url, str(home)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_relay_that_dies_while_it_seals_hinders_nobody(store: CaseStore, database_url: str, tmp_path: Path):
    await note(store, "a", 3)
    async with dying(database_url, tmp_path) as process:
        sealing = asyncio.create_task(sequencer.seal(store, SIGNER, NOW))
        if database_url.startswith("postgresql"):
            assert await sealing is None
        else:
            done, _ = await asyncio.wait({sealing}, timeout=0.5)
            assert not done, "two hold the tree"
        process.kill()
        await process.wait()
        await sealing
    for _ in range(50):
        await sequencer.seal(store, SIGNER, NOW)
        if len(await leaves(store)) == 3:
            break
        await asyncio.sleep(0.1)  # until the server has noticed that the connection is gone
    assert Checkpoint.parse(await newest(store)).root == root_of(await leaves(store))
    assert Checkpoint.parse(await newest(store)).size == 3


async def test_two_relays_seal_each_event_once_and_sizes_only_grow(database_url: str, tmp_path: Path):
    stores = [await CaseStore.open(Settings(home=tmp_path, database_url=database_url)) for _ in range(2)]

    async def relay(store: CaseStore) -> None:
        for _ in range(12):
            await sequencer.seal(store, SIGNER, NOW)

    async def people(store: CaseStore) -> None:
        for number in range(12):
            await note(store, str(number % 3))

    await asyncio.gather(*(relay(store) for store in stores), *(people(store) for store in stores))
    await relay(stores[0])
    found = await leaves(stores[0])
    assert len(found) == 24
    async with stores[0].reading() as tx:
        notes = list(await tx.session.scalars(select(AuditCheckpoint.note).order_by(AuditCheckpoint.id)))
        tree = await tx.session.get_one(AuditTree, 1)
    told = [Checkpoint.parse(one) for one in notes]
    assert [one.size for one in told] == sorted(one.size for one in told)
    assert [one.root for one in told] == [root_of(found[: one.size]) for one in told]
    assert tree.size == 24
    for store in stores:
        await store.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_who_waits_for_the_tree_finds_nothing_left_to_do(store: CaseStore, count: int):
    await note(store, "a", count)
    first, second = await asyncio.gather(*(sequencer.seal(store, SIGNER, NOW) for _ in range(2)))
    assert sorted(one.events for one in (first, second) if one is not None) in ([count], [0, count])
