"""The tree: the roots of RFC 6962, and proofs that prove just what they should."""

from hashlib import sha256

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from case_store.audit.merkle import (
    EMPTY_ROOT,
    Peaks,
    Tree,
    leaf_hash,
    root_of,
)
from case_store.audit.verifier import root_by_proof

# The inputs and roots that implementations of RFC 6962 are compared by.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def recursive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + recursive_root(leaves[:split]) + recursive_root(leaves[split:])).digest()


def test_roots_are_those_of_the_reference():
    leaves = [leaf_hash(bytes.fromhex(one)) for one in INPUTS]
    assert [root_of(leaves[: size + 1]).hex() for size in range(8)] == ROOTS
    assert Peaks().root() == EMPTY_ROOT


@given(st.lists(st.binary(max_size=80), max_size=200))
def test_somebody_elses_tree_has_the_same_root_at_every_size(entries: list[bytes]):
    theirs, ours = pymerkle.InmemoryTree.init_from_entries(entries), Peaks()
    for size, entry in enumerate(entries, 1):
        ours = ours.grown([leaf_hash(entry)])
        assert theirs.get_root(size) == ours.root()


@pytest.mark.parametrize("size", range(1, 66))
def test_every_proof_is_accepted_and_none_for_anything_else(size: int):
    leaves = LEAVES[:size]
    root = recursive_root(leaves)
    assert root_of(leaves) == root
    for index in range(size):
        proof = Tree(leaves).inclusion_proof(index)
        assert root_by_proof(leaves[index], index, size, proof) == root
        for wrong_leaf, wrong_index, wrong_proof in (
            (LEAVES[-1], index, proof),
            (leaves[index], (index + 1) % size if size > 1 else 1, proof),
            (leaves[index], index, [*proof, root]),
            (leaves[index], index, proof[:-1] if proof else [root]),
        ):
            assert root_by_proof(wrong_leaf, wrong_index, size, wrong_proof) != root


@given(st.lists(st.integers(0, 40), max_size=6))
def test_growing_in_steps_is_growing_at_once(steps: list[int]):
    leaves = [leaf_hash(str(number).encode()) for number in range(sum(steps))]
    peaks, at = Peaks(), 0
    for step in steps:
        peaks = peaks.grown(leaves[at : at + step])
        at += step
        assert Peaks.parse(peaks.size, peaks.content()) == peaks
    assert peaks.root() == root_of(leaves)


@pytest.mark.parametrize(("size", "hashes"), [(-1, ()), (2, ()), (3, (b"",)), (0, (b"",))])
def test_peaks_of_no_tree_are_refused(size: int, hashes: tuple[bytes, ...]):
    with pytest.raises(ValueError, match="leaves does not have"):
        Peaks(size, hashes)


@pytest.mark.parametrize("index", [-1, 70])
def test_no_proof_for_a_leaf_that_is_not_there(index: int):
    with pytest.raises(ValueError, match="there is no leaf"):
        Tree(LEAVES).inclusion_proof(index)
