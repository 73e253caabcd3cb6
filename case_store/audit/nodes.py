"""Hashes of the tree for proofs, without the whole tree in memory.

Leaves are in `audit_leaves`. Of what is above them, every eighth level is kept (`audit_nodes`): one row for 256 leaves,
one more for 65,536, and so on. Any other hash is made of at most 256 of those. So a proof reads a few hundred rows,
however great the tree is. (The tiles of C2SP `tlog-tiles` are cut in the same way.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select

from case_store.audit import proofs
from case_store.audit.merkle import node_hash, root_of
from case_store.audit.proofs import Node, Span
from case_store.models import AuditLeaf, AuditNode, AuditTree, Base

if TYPE_CHECKING:
    from case_store.store import Tx

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
_NODES: Final = Base.metadata.tables[AuditNode.__tablename__]
_AT_ONCE: Final = 100  # kept nodes that one step makes: of a tree that has none yet, not all at once
_TILES_IN_MEMORY: Final = 256  # of at most 511 hashes each


class Prover:
    """Makes proofs about the tree as it is in one transaction; remembers what it has read."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._tiles: OrderedDict[Node, list[list[bytes]]] = OrderedDict()

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that leaf `index` is in the tree of `size` leaves."""
        return [await self._root(span) for span in proofs.inclusion(index, size)]

    async def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of `old` leaves is the beginning of the one of `new`; none for `old` 0."""
        return [await self._root(span) for span in proofs.consistency(old, new)] if old else []

    async def _root(self, span: Span) -> bytes:
        return proofs.root_over([await self._hash(node) for node in proofs.complete(span)])

    async def _hash(self, node: Node) -> bytes:
        """Return the hash of a complete subtree."""
        tile, within = divmod(node.level, HEIGHT)
        number = node.number >> (HEIGHT - within)
        levels = await self._tile(Node(tile, number))
        return levels[within][node.number - (number << (HEIGHT - within))]

    async def _tile(self, which: Node) -> list[list[bytes]]:
        """Return the hashes of a part of the tree that is eight levels high, the lowest first."""
        if which not in self._tiles:
            levels = [await self._lowest(which)]
            while len(below := levels[-1]) > 1:
                pairs = zip(below[::2], below[1::2], strict=False)
                levels.append([node_hash(left, right) for left, right in pairs])
            self._tiles[which] = levels
            if len(self._tiles) > _TILES_IN_MEMORY:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(which)
        return self._tiles[which]

    async def _lowest(self, which: Node) -> list[bytes]:
        start = which.number << HEIGHT
        return await _span(self._tx, which.level, start, start + WIDTH)


async def _span(tx: Tx, level: int, start: int, end: int) -> list[bytes]:
    """Return hashes of one of the levels that are kept, as many as the tree has; what is not kept yet is made."""
    if level == 0:
        return list(await _leaves(tx, start, end))
    found = await _kept(tx, level, start, end)
    if len(found) < end - start:
        below = await _span(tx, level - 1, (start + len(found)) << HEIGHT, end << HEIGHT)
        whole = len(below) // WIDTH * WIDTH
        found += [root_of(below[at : at + WIDTH]) for at in range(0, whole, WIDTH)]
    return found


async def are_kept(tx: Tx) -> bool:
    """Say whether all hashes are kept that should be; those of a tree that is older than they are come bit by bit."""
    size = await tx.session.scalar(select(AuditTree.size)) or 0
    last = await tx.session.scalar(select(func.max(AuditNode.idx)).where(AuditNode.level == 1))
    return (-1 if last is None else last) + 1 >= size >> HEIGHT


async def keep(tx: Tx, size: int) -> None:
    """Keep the hashes that a tree of `size` leaves has and that are not kept yet; some of them, if there are many."""
    level, count = 1, size >> HEIGHT
    while count:
        of_level = select(func.max(AuditNode.idx)).where(AuditNode.level == level)
        last = await tx.session.scalar(of_level)
        first = 0 if last is None else last + 1
        if first < count:
            count = min(count, first + _AT_ONCE)
            await _keep_level(tx, level, first, count)
        level, count = level + 1, count >> HEIGHT


async def _keep_level(tx: Tx, level: int, first: int, count: int) -> None:
    start, end = first << HEIGHT, count << HEIGHT
    below = await _leaves(tx, start, end) if level == 1 else await _kept(tx, level - 1, start, end)
    rows = [
        {"level": level, "idx": first + place, "hash": root_of(below[place << HEIGHT : (place + 1) << HEIGHT])}
        for place in range(count - first)
    ]
    await (await tx.session.connection()).execute(insert(_NODES), rows)


async def _leaves(tx: Tx, start: int, end: int) -> Sequence[bytes]:
    wanted = select(AuditLeaf.leaf).where(AuditLeaf.idx >= start, AuditLeaf.idx < end).order_by(AuditLeaf.idx)
    return (await tx.session.scalars(wanted)).all()


async def _kept(tx: Tx, level: int, start: int, end: int) -> list[bytes]:
    of_level = select(AuditNode.hash).where(AuditNode.level == level, AuditNode.idx >= start, AuditNode.idx < end)
    return list(await tx.session.scalars(of_level.order_by(AuditNode.idx)))
