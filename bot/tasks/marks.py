"""Where a journal is to be signed: the tree over its lines, kept beside the fold, and the roots that wait."""

from __future__ import annotations

from typing import Final

from bot.audit import kinds
from bot.audit.keys import VKey
from bot.audit.merkle import Tree
from bot.audit.note import Checkpoint
from bot.audit.record import Record, data_of

SIGNED_AFTER: Final = frozenset({"approval.requested", "approval", "ruling", "pushed", "task.closed", "seal"})
EVERY: Final = 256  # records, however quiet people are


class Marks:
    """The tree over one journal and which of its heads are to be signed; a few hashes, however long the journal is."""

    def __init__(self) -> None:
        self.genesis = ""  # what record 0 follows
        self.instance = ""  # whose journal it is
        self.tree = Tree()
        self.due: dict[int, bytes] = {}  # size -> root; whether it was signed before a restart, Redis tells
        self.newest: Checkpoint | None = None  # that was signed
        self.signed_ms = 0  # when that was; 0 for what another process did
        self.vkey: VKey | None = None  # of the task's own key; None in journals that nobody signs

    def take(self, record: Record, line: bytes) -> None:
        """Follow the journal by one stored line."""
        if record.seq == 0:
            self.genesis = record.prev
            opened = data_of(record)
            self.instance = opened.instance if isinstance(opened, kinds.TaskOpened) else ""
            signs = isinstance(opened, kinds.TaskOpened) and opened.task_vkey
            self.vkey = VKey.parse(signs) if signs else None
        self.tree.append(line)
        if record.seq == 0 or record.kind in SIGNED_AFTER or self.tree.size % EVERY == 0:
            self.want()

    def want(self) -> None:
        """Have the journal signed as it stands now, unless it was."""
        if self.vkey is not None and not (self.newest and self.newest.size == self.tree.size):
            self.due[self.tree.size] = self.tree.root()

    def head(self) -> Checkpoint | None:
        """Name the journal as it stands now; None where nobody signs it."""
        return None if self.vkey is None else Checkpoint(self.vkey.name, self.tree.size, self.tree.root())

    def checkpoints(self) -> list[Checkpoint]:
        """List what is to be signed, in order."""
        return [] if self.vkey is None else [Checkpoint(self.vkey.name, *one) for one in sorted(self.due.items())]

    def done(self, now_ms: int) -> None:
        """Note that all that was due is signed and stored."""
        made = self.checkpoints()
        if made and (self.newest is None or made[-1].size > self.newest.size):
            self.newest, self.signed_ms = made[-1], now_ms
        self.due.clear()

    def is_behind(self, now_ms: int, after_ms: int) -> bool:
        """Tell whether records have waited for a signature for so long (by their number, not their own times)."""
        size = self.newest.size if self.newest else 0
        return self.vkey is not None and size < self.tree.size and now_ms - self.signed_ms >= after_ms
