"""Proofs are made of what is kept of the tree, whether it is kept yet or not."""

import random

import pytest
from sqlalchemy import insert, select

from case_store.audit import nodes
from case_store.audit.merkle import leaf_hash, root_of
from case_store.audit.nodes import Prover
from case_store.audit.proofs import check_consistency
from case_store.audit.verifier import root_by_proof
from case_store.models import AuditLeaf, AuditNode, AuditTree
from case_store.store import CaseStore
from tests.store.conftest import Sql

LEAVES = [leaf_hash(b"%d" % number) for number in range(700)]


@pytest.fixture(autouse=True)
async def _leaves_need_no_event(store: CaseStore, sql: Sql) -> None:
    """These trees are of leaves alone."""
    on_sqlite = store.url.drivername.startswith("sqlite")
    await sql("DROP TRIGGER audit_leaves_place" if on_sqlite else "DROP TRIGGER audit_leaves_placed ON audit_leaves")


async def put(store: CaseStore, start: int, end: int) -> None:
    rows = [{"idx": at, "event_id": str(at), "leaf": LEAVES[at]} for at in range(start, end)]
    async with store.transaction() as tx:
        await tx.session.execute(insert(AuditLeaf), rows)


async def keep(store: CaseStore, size: int) -> None:
    async with store.transaction() as tx:
        await nodes.keep(tx, size)


async def kept(store: CaseStore) -> dict[tuple[int, int], bytes]:
    async with store.reading() as tx:
        rows = await tx.session.scalars(select(AuditNode))
        return {(row.level, row.idx): row.hash for row in rows}


@pytest.fixture
def low_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels of 4 in place of 256, so that a small tree has several."""
    monkeypatch.setattr(nodes, "HEIGHT", 2)
    monkeypatch.setattr(nodes, "WIDTH", 4)


async def test_every_complete_subtree_is_kept_once(store: CaseStore, low_tiles: None):
    at = 0
    for step in (1, 2, 1, 60, 5, 200, 0, 31):
        await put(store, at, at + step) if step else None
        at += step
        await keep(store, at)
    assert await kept(store) == {
        (level, idx): root_of(LEAVES[idx * 4**level : (idx + 1) * 4**level])
        for level in (1, 2, 3, 4)
        for idx in range(300 // 4**level)
    }


async def test_a_tree_that_has_none_yet_gets_them_bit_by_bit(
    store: CaseStore, low_tiles: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nodes, "_AT_ONCE", 10)
    await put(store, 0, 300)
    async with store.transaction() as tx:
        (await tx.session.get_one(AuditTree, 1)).size = 300
    for expected in (10, 20, 30):
        async with store.reading() as tx:
            assert not await nodes.are_kept(tx)
        await keep(store, 300)
        assert len([1 for level, _ in await kept(store) if level == 1]) == expected
    for _ in range(9):
        await keep(store, 300)
    assert len(await kept(store)) == 75 + 18 + 4 + 1
    async with store.reading() as tx:
        assert await nodes.are_kept(tx)


@pytest.mark.parametrize("of_tree", ["kept", "kept in part", "not kept"])
async def test_proofs_hold_for_any_two_sizes_and_any_leaf(
    store: CaseStore, low_tiles: None, monkeypatch: pytest.MonkeyPatch, of_tree: str
):
    monkeypatch.setattr(nodes, "_TILES_IN_MEMORY", 3)
    await put(store, 0, 300)
    if of_tree != "not kept":
        await keep(store, 300 if of_tree == "kept" else 170)
    chance = random.Random(5)
    async with store.reading() as tx:
        prover = Prover(tx)
        for _ in range(40):
            new = chance.randint(1, 300)
            old, index = chance.randint(1, new), chance.randrange(new)
            root = root_of(LEAVES[:new])
            check_consistency(old, root_of(LEAVES[:old]), new, root, await prover.consistency(old, new))
            assert root_by_proof(LEAVES[index], index, new, await prover.inclusion(index, new)) == root
        assert await prover.consistency(0, 300) == []


async def test_with_tiles_of_their_real_height(store: CaseStore):
    await put(store, 0, 700)
    await keep(store, 700)
    assert set(await kept(store)) == {(1, 0), (1, 1)}
    async with store.reading() as tx:
        for old, new in ((1, 700), (255, 256), (256, 700), (300, 513), (512, 700), (699, 700)):
            proof = await Prover(tx).consistency(old, new)
            check_consistency(old, root_of(LEAVES[:old]), new, root_of(LEAVES[:new]), proof)
