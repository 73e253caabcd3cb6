"""The Merkle tree over all audit events (RFC 6962, section 2.1).

A tree only ever grows at its end. Whoever grows it needs no more than its *peaks*: the roots of the complete subtrees
whose sizes are the binary digits of its size, the greatest first. Proofs are in `proofs`.

All hashes are 32 bytes of SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two others."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Peaks:
    """A tree of `size` leaves, by the roots of its complete subtrees: as many as `size` has ones in binary."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves does not have {len(self.hashes)} peaks")

    @classmethod
    def parse(cls, size: int, content: bytes) -> Self:
        """Read the peaks as `content` holds them, one after another."""
        cut = [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]
        return cls(size, tuple(cut))

    def content(self) -> bytes:
        """Return all peaks, one after another."""
        return b"".join(self.hashes)

    def grown(self, leaves: Iterable[bytes]) -> Peaks:
        """Return the tree with these leaf hashes at its end."""
        size, peaks = self.size, list(self.hashes)
        for leaf in leaves:
            peaks.append(leaf)
            size += 1
            for _ in range((size & -size).bit_length() - 1):  # as many pairs are complete now as `size` ends in zeros
                right = peaks.pop()
                peaks.append(node_hash(peaks.pop(), right))
        return Peaks(size, tuple(peaks))

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for peak in reversed(self.hashes[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    return Peaks().grown(leaves).root()
