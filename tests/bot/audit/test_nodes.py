"""Proofs from the subtrees on disk are those from all leaves in memory."""

from __future__ import annotations

import pytest

from bot.audit import merkle
from bot.audit.nodes import Nodes

ENTRIES = [str(number).encode() for number in range(67)]


@pytest.fixture(scope="module")
def grown():
    nodes = Nodes()
    for entry in ENTRIES:
        nodes.append(entry)
    yield nodes
    nodes.close()


def test_an_empty_tree_has_its_root():
    assert Nodes().root() == merkle.EMPTY


@pytest.mark.parametrize("size", range(1, len(ENTRIES) + 1))
def test_every_proof_about_every_size_is_the_one_from_the_leaves(grown: Nodes, size: int):
    leaves = [merkle.leaf(entry) for entry in ENTRIES[:size]]
    assert grown.root(size) == merkle.root(ENTRIES[:size])
    for index in range(size):
        assert grown.inclusion(index, size) == merkle.inclusion(leaves, index)
    for old in range(size + 1):
        assert grown.consistency(old, size) == merkle.consistency(leaves, old)


def test_nothing_is_proved_about_what_is_not_there(grown: Nodes):
    with pytest.raises(ValueError, match="no tree of 68"):
        grown.inclusion(0, 68)
    with pytest.raises(ValueError, match="no tree of 68"):
        grown.consistency(1, 68)
    with pytest.raises(ValueError, match="no entry 5"):
        grown.inclusion(5, 5)
