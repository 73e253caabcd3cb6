"""The tree: the roots of RFC 6962, and proofs that prove just what they should."""

from hashlib import sha256

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from case_store.audit.merkle import EMPTY_ROOT, Peaks, leaf_hash, root_of
from case_store.audit.proofs import ProofRefused, Span, check_consistency, complete, consistency, inclusion, root_over
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


def proof(leaves: list[bytes], spans: list[Span]) -> list[bytes]:
    return [recursive_root(leaves[span.start : span.end]) for span in spans]


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
        path = proof(leaves, inclusion(index, size))
        assert root_by_proof(leaves[index], index, size, path) == root
        for wrong_leaf, wrong_index, wrong_proof in (
            (LEAVES[-1], index, path),
            (leaves[index], (index + 1) % size if size > 1 else 1, path),
            (leaves[index], index, [*path, root]),
            (leaves[index], index, path[:-1] if path else [root]),
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
        inclusion(index, 70)


# The pairs of sizes and proofs by which implementations of RFC 6962 are compared, over INPUTS.
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), CONSISTENCY)
def test_proofs_of_consistency_are_those_of_the_reference(old: int, new: int, expected: list[str]):
    leaves = [leaf_hash(bytes.fromhex(one)) for one in INPUTS]
    made = proof(leaves, consistency(old, new))
    assert [one.hex() for one in made] == expected
    check_consistency(old, bytes.fromhex(ROOTS[old - 1]), new, bytes.fromhex(ROOTS[new - 1]), made)


@pytest.mark.parametrize("new", range(1, 66))
def test_every_proof_of_consistency_is_accepted_and_none_for_anything_else(new: int):
    root = root_of(LEAVES[:new])
    for old in range(1, new + 1):
        before, made = root_of(LEAVES[:old]), proof(LEAVES, consistency(old, new))
        check_consistency(old, before, new, root, made)
        wrong = [
            (old, before, new, root, [*made, root]),
            (old, LEAVES[-1], new, root, made),
            (old, before, new, LEAVES[-1], made),
            (old, before, old - 1, root, made),
            *((old, before, new, root, made[:at] + made[at + 1 :]) for at in range(len(made))),
            *((old, before, new, root, [*made[:at], LEAVES[-1], *made[at + 1 :]]) for at in range(len(made))),
        ]
        for arguments in wrong:
            with pytest.raises(ProofRefused):
                check_consistency(*arguments)


def test_a_span_is_the_complete_subtrees_that_it_consists_of():
    for size in range(1, 66):
        for span in (one for old in range(1, size + 1) for one in consistency(old, size)):
            parts = [LEAVES[node.number << node.level : (node.number + 1) << node.level] for node in complete(span)]
            assert [leaf for part in parts for leaf in part] == LEAVES[span.start : span.end]
            assert root_over([root_of(part) for part in parts]) == root_of(LEAVES[span.start : span.end])


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (-1, 5)])
def test_no_proof_of_consistency_where_there_is_none(old: int, new: int):
    with pytest.raises(ValueError, match="is the beginning"):
        consistency(old, new)
