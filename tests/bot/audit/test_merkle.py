"""Trees and proofs, against a definition written down once more and with every bit of a proof wrong."""

from __future__ import annotations

import hashlib

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.audit import merkle
from bot.audit.merkle import Tree

# RFC 6962's own test entries and roots, as published with the reference implementation of certificate transparency.
ENTRIES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def plain_root(entries: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\1" + plain_root(entries[:k]) + plain_root(entries[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots(size: int) -> None:
    assert merkle.root(ENTRIES[:size]).hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=9), max_size=40))
def test_a_growing_tree_has_the_root_of_the_definition(entries: list[bytes]) -> None:
    tree = Tree(entries)
    assert (tree.size, tree.root()) == (len(entries), plain_root(entries))


def test_a_copy_grows_by_itself() -> None:
    tree = Tree(ENTRIES[:3])
    other = tree.copy()
    other.append(ENTRIES[3])
    assert (tree.root().hex(), other.root().hex()) == (ROOTS[3], ROOTS[4])


@pytest.mark.parametrize("size", range(1, 18))
def test_every_entry_is_proved_and_nothing_else_is(size: int) -> None:
    entries = [bytes([n]) for n in range(size)]
    leaves, root = [merkle.leaf(entry) for entry in entries], plain_root(entries)
    for index, entry in enumerate(entries):
        proof = merkle.inclusion(leaves, index)
        assert merkle.is_included(entry, index, size, proof, root)
        assert not merkle.is_included(entry + b"x", index, size, proof, root)
        assert not merkle.is_included(entry, index, size, (*proof, bytes(32)), root)
        assert not merkle.is_included(entry, index, size, proof, bytes(32))
        assert not any(
            merkle.is_included(entry, other, size, proof, root) for other in range(-1, size + 1) if other != index
        )
        for cut in range(len(proof)):
            assert not merkle.is_included(entry, index, size, proof[:cut], root)


@pytest.mark.parametrize("size", range(1, 18))
def test_every_growth_is_proved_and_no_rewriting_is(size: int) -> None:
    entries = [bytes([n]) for n in range(size)]
    leaves, root = [merkle.leaf(entry) for entry in entries], plain_root(entries)
    for old in range(size + 1):
        before = plain_root(entries[:old])
        proof = merkle.consistency(leaves, old)
        assert merkle.is_consistent(old, before, size, root, proof)
        assert not merkle.is_consistent(old, bytes(32), size, root, proof)
        assert not merkle.is_consistent(old, before, size, root, (*proof, bytes(32)))
        assert old == 0 or not merkle.is_consistent(old, before, size, bytes(32), proof)
        assert not merkle.is_consistent(size + 1, before, size, root, proof)
        for at, sibling in enumerate(proof):
            wrong = (*proof[:at], bytes([sibling[0] ^ 1, *sibling[1:]]), *proof[at + 1 :])
            assert not merkle.is_consistent(old, before, size, root, wrong)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_entry_that_is_not_there_has_no_proof(index: int) -> None:
    with pytest.raises(ValueError, match="no entry"):
        merkle.inclusion([bytes(32)] * 3, index)
    with pytest.raises(ValueError, match="no tree"):
        merkle.consistency([bytes(32)] * 3, 4 if index > 0 else -1)


# -- an implementation by somebody else


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70), st.data())
def test_pymerkle_finds_the_same_roots_and_believes_our_proofs(entries: list[bytes], data: st.DataObject) -> None:
    theirs = pymerkle.InmemoryTree.init_from_entries(entries)
    leaves, root = [merkle.leaf(entry) for entry in entries], merkle.root(entries)
    assert theirs.get_root() == root
    index = data.draw(st.integers(0, len(entries) - 1))
    proof = theirs.prove_inclusion(index + 1)
    assert tuple(proof.path[1:]) == merkle.inclusion(leaves, index)
    pymerkle.verify_inclusion(merkle.leaf(entries[index]), root, proof)
    assert merkle.is_included(entries[index], index, len(entries), proof.path[1:], root)
    old = data.draw(st.integers(1, len(entries)))
    growth = merkle.consistency(leaves, old)
    assert merkle.is_consistent(old, theirs.get_root(old), len(entries), theirs.get_root(), growth)
    pymerkle.verify_consistency(merkle.root(entries[:old]), root, theirs.prove_consistency(old, len(entries)))
