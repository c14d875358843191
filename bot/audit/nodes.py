"""The hashes of a growing tree's whole subtrees, on disk: proofs without the entries, in memory that does not grow.

One nameless temporary file a level, 64 bytes an entry together; made anew from the entries whenever a log is opened.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO

from bot.audit import merkle
from bot.audit.merkle import EMPTY, Tree, leaf, node


class Nodes:
    """A tree that answers for the root of any of its parts."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._levels: list[IO[bytes]] = []

    @property
    def size(self) -> int:
        """Count the entries."""
        return self.tree.size

    def append(self, entry: bytes) -> None:
        """Add one entry."""
        index, level, found = self.tree.size, 0, leaf(entry)
        self.tree.append(entry)
        self._put(0, index, found)
        while index & 1:  # a subtree of the next level is whole now
            found = node(self._get(level, index - 1), found)
            index, level = index >> 1, level + 1
            self._put(level, index, found)

    def root(self, size: int | None = None) -> bytes:
        """Compute the root as of a size, or as of now."""
        size = self.size if size is None else size
        return self._subtree(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Prove that an entry is in the tree of that size."""
        self._check(size)
        return merkle.inclusion_by(self._subtree, index, size)

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """Prove that the tree of one size grew into that of another."""
        self._check(size)
        return merkle.consistency_by(self._subtree, old, size)

    def close(self) -> None:
        """Forget everything."""
        for file in self._levels:
            file.close()

    def _check(self, size: int) -> None:
        if size > self.size:
            raise ValueError(f"no tree of {size} among {self.size}")

    def _subtree(self, start: int, end: int) -> bytes:
        width = end - start
        if not width & (width - 1) and start % width == 0:
            level = width.bit_length() - 1
            return self._get(level, start >> level)
        middle = start + merkle.split(width)
        return node(self._subtree(start, middle), self._subtree(middle, end))

    def _put(self, level: int, index: int, found: bytes) -> None:
        if level == len(self._levels):
            self._levels.append(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - `close` closes them
        os.pwrite(self._levels[level].fileno(), found, index * 32)

    def _get(self, level: int, index: int) -> bytes:
        found = os.pread(self._levels[level].fileno(), 32, index * 32)
        if len(found) != 32:
            raise ValueError(f"no subtree {index} on level {level}")
        return found
