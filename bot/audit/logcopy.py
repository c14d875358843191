"""A copy of an instance log that an auditor holds: its entries, and the tree over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot.audit import log
from bot.audit.entries import EntryError, Known, decode
from bot.audit.merkle import EMPTY, Tree
from bot.audit.note import Checkpoint, Note
from bot.model.errors import GatewrightError, UsageError


class LogCopy:
    """The whole log in memory, of one instance; `entries` holds None where a line is no entry."""

    def __init__(self, lines: Sequence[bytes], head: Note) -> None:
        self.lines = tuple(lines)
        self.entries: tuple[Known | None, ...] = tuple(_entry(line) for line in self.lines)
        self.head = head
        self.said = Checkpoint.parse(head.text)
        self.place = {line: number for number, line in reversed(list(enumerate(self.lines)))}
        self._edges: list[Tree] = []  # one for each `_EVERY` entries

    @classmethod
    def load(cls, path: Path) -> LogCopy:
        """Read a log's folder; raise UsageError where it is none."""
        try:
            head = log.newest(path)
            lines = list(log.read(path))
        except (OSError, GatewrightError) as error:
            why = error.what if isinstance(error, GatewrightError) else error.strerror or str(error)
            raise _refused(path, why) from None
        if head is None:
            raise _refused(path, "it has no signed head")
        return cls(lines, head)

    def root(self, size: int) -> bytes:
        """Compute the root over the first entries; ValueError beyond the last."""
        if size > len(self.lines):
            raise ValueError(f"no tree of {size} among {len(self.lines)}")
        if not size:
            return EMPTY
        while len(self._edges) <= size // _EVERY:
            last = self._edges[-1].copy() if self._edges else Tree()
            for line in self.lines[last.size : len(self._edges) * _EVERY]:
                last.append(line)
            self._edges.append(last)
        tree = self._edges[size // _EVERY].copy()
        for line in self.lines[tree.size : size]:
            tree.append(line)
        return tree.root()

    def holds(self, head: Checkpoint) -> bool:
        """Tell whether this log grew from, or into, a head of the same name."""
        return head.size <= len(self.lines) and self.root(head.size) == head.root


_EVERY = 512


def _entry(line: bytes) -> Known | None:
    try:
        return decode(line)
    except EntryError:
        return None


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(
        "GW-AUDIT-LOG", f"{path} is no instance log that can be read", why=why,
        fix="name the directory that holds `checkpoint` and `entries/`",
    )  # fmt: skip
