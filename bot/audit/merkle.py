"""The Merkle tree of RFC 6962: one hash over any number of lines, and short proofs about it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

LEAF: Final = b"\x00"
NODE: Final = b"\x01"
EMPTY: Final = hashlib.sha256(b"").digest()

Subtree = Callable[[int, int], bytes]  # the root over the entries from one number up to before another


def leaf(entry: bytes) -> bytes:
    """Hash one entry (32 bytes)."""
    return hashlib.sha256(LEAF + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours."""
    return hashlib.sha256(NODE + left + right).digest()


class Tree:
    """A tree that grows at its right edge; it keeps one hash for each whole subtree and none of the leaves."""

    def __init__(self, entries: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._edge: list[bytes] = []  # roots of the whole subtrees, largest first: one for each bit of `size`
        for entry in entries:
            self.append(entry)

    def append(self, entry: bytes) -> None:
        """Add one entry."""
        grown, carries = leaf(entry), self.size
        while carries & 1:
            grown = node(self._edge.pop(), grown)
            carries >>= 1
        self._edge.append(grown)
        self.size += 1

    def root(self) -> bytes:
        """Compute the root as of now."""
        if not self._edge:
            return EMPTY
        found = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            found = node(left, found)
        return found

    def copy(self) -> Tree:
        """Make another that grows by itself."""
        made = Tree()
        made.size, made._edge = self.size, list(self._edge)
        return made


def root(entries: Iterable[bytes]) -> bytes:
    """Compute the root over entries."""
    return Tree(entries).root()


def inclusion(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Prove that leaf hash `index` is below the root of all `leaves` (RFC 6962, 2.1.1); ValueError beside them."""
    return inclusion_by(partial(_subtree, leaves), index, len(leaves))


def inclusion_by(subtree: Subtree, index: int, size: int) -> tuple[bytes, ...]:
    """Prove the same for a tree of `size` entries whose subtrees are asked for; ValueError beside them."""
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} among {size}")
    return tuple(_path(subtree, index, 0, size))


def consistency(leaves: Sequence[bytes], old: int) -> tuple[bytes, ...]:
    """Prove that the tree over the first `old` leaf hashes grew into that over all (RFC 6962, 2.1.2)."""
    return consistency_by(partial(_subtree, leaves), old, len(leaves))


def consistency_by(subtree: Subtree, old: int, size: int) -> tuple[bytes, ...]:
    """Prove the same for a tree of `size` entries whose subtrees are asked for; ValueError beside them."""
    if not 0 <= old <= size:
        raise ValueError(f"no tree of {old} among {size}")
    return tuple(_growth(subtree, old, 0, size, is_known=True)) if 0 < old < size else ()


def is_included(entry: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Check an inclusion proof for an entry (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf(entry)
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Check that a tree of `old` entries grew into one of `size` (RFC 9162, 2.1.4.2)."""
    if old > size:
        return False
    if old in (0, size):
        return not proof and old_root == (root if old == size else EMPTY)
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    steps = list(proof) if at else [old_root, *proof]
    if not steps:
        return False
    first = second = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node(sibling, first), node(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == root


def split(count: int) -> int:
    """Find the largest power of two below a count of two and more: what a tree holds at its left."""
    return 1 << (count - 1).bit_length() - 1


def _subtree(leaves: Sequence[bytes], start: int, end: int) -> bytes:
    if end - start == 1:
        return leaves[start]
    middle = start + split(end - start)
    return node(_subtree(leaves, start, middle), _subtree(leaves, middle, end))


def _path(subtree: Subtree, index: int, start: int, end: int) -> Iterable[bytes]:
    if end - start == 1:
        return
    middle = start + split(end - start)
    if index < middle:
        yield from _path(subtree, index, start, middle)
        yield subtree(middle, end)
    else:
        yield from _path(subtree, index, middle, end)
        yield subtree(start, middle)


def _growth(subtree: Subtree, old: int, start: int, end: int, *, is_known: bool) -> Iterable[bytes]:
    if old == end:
        if not is_known:
            yield subtree(start, end)
        return
    middle = start + split(end - start)
    if old <= middle:
        yield from _growth(subtree, old, start, middle, is_known=is_known)
        yield subtree(middle, end)
    else:
        yield from _growth(subtree, old, middle, end, is_known=False)
        yield subtree(start, middle)
