"""Proofs about the Merkle tree: that a leaf is in it, and that one tree is the beginning of another.

RFC 6962, sections 2.1.1 and 2.1.2; checked as RFC 9162, sections 2.1.3.2 and 2.1.4.2, says. A proof is a list of roots
over spans of leaves. Here is said which spans those are, and of which complete subtrees each consists; where their
hashes are kept is the business of `nodes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from case_store.audit.merkle import node_hash

LONGEST_PROOF = 63
"""Hashes in the longest proof of consistency that a witness reads (C2SP tlog-witness)."""


class ProofRefused(ValueError):
    """A proof does not prove what it should."""


class Span(NamedTuple):
    """The leaves from `start` to before `end`; a complete subtree begins at `start`."""

    start: int
    end: int


class Node(NamedTuple):
    """A complete subtree of 2 to the power of `level` leaves; `number` counts those of its level from the left."""

    level: int
    number: int


def inclusion(index: int, size: int) -> list[Span]:
    """Return the spans whose roots lead from leaf `index` to the root of a tree of `size` leaves.

    Raises:
        ValueError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    path: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start = middle
    return path[::-1]


def consistency(old: int, new: int) -> list[Span]:
    """Return the spans whose roots show that the tree of `old` leaves is the beginning of the one of `new`.

    Raises:
        ValueError: It cannot be.
    """
    if not 0 < old <= new:
        raise ValueError(f"no tree of {old} leaves is the beginning of one of {new}")
    path: list[Span] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(Span(middle, end))
            end = middle
        else:
            path.append(Span(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(Span(start, end))
    return path[::-1]


def complete(span: Span) -> list[Node]:
    """Return the complete subtrees that a span consists of, the greatest first."""
    nodes: list[Node] = []
    start, left = span.start, span.end - span.start
    while left:
        level = left.bit_length() - 1
        nodes.append(Node(level, start >> level))
        start, left = start + (1 << level), left - (1 << level)
    return nodes


def root_over(hashes: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees, given as `complete` lists them."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def check_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that one tree is the beginning of another (RFC 9162, 2.1.4.2).

    Raises:
        ProofRefused: It is not, or the proof is not one for these sizes.
    """
    if not 0 < old <= new:
        raise ProofRefused(f"a tree of {old} leaves is not the beginning of one of {new}")
    if old == new:
        if proof or old_root != new_root:
            raise ProofRefused(f"two different trees of {old} leaves, or a proof where none is needed")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if _two_roots(old, new, path) != (old_root, new_root):
        raise ProofRefused(f"the tree of {old} leaves is not the beginning of the one of {new}")


def _two_roots(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the roots of both trees, as the path says."""
    if not path:
        raise ProofRefused("the proof is empty")
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRefused("the proof is too long")
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofRefused("the proof is too short")
    return first, second


def _split(size: int) -> int:
    """Return the size of the left subtree: the greatest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
