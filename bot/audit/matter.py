"""What the checks of signatures and anchors look at: one task's records beside what was signed for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from bot.audit.delegation import key_name
from bot.audit.folder import Folder
from bot.audit.keys import VKey
from bot.audit.kinds import Seal, TaskOpened
from bot.audit.layout import SIGNED
from bot.audit.logcopy import LogCopy
from bot.audit.merkle import Tree
from bot.audit.note import Checkpoint, Note, NoteError, Proof
from bot.audit.sheet import Entry, Sheet
from bot.audit.trust import Trust

SIGNED_AFTER: Final = frozenset({"approval.requested", "approval", "ruling", "pushed", "task.closed", "seal"})
KEY: Final = "audit/key.note"
SEAL: Final = "audit/seal.dsse.json"


class Mark:
    """One checkpoint of the journal as it lies in the folder."""

    def __init__(self, path: str, size: int, raw: bytes) -> None:
        self.path, self.size, self.raw = path, size, raw
        self.note = Note.parse(raw)
        self.said = Checkpoint.parse(self.note.text)


class Matter:
    """One task's evidence, read as far as it can be read; what cannot is on the sheet."""

    def __init__(
        self, entries: Sequence[Entry], opened: TaskOpened, folder: Folder, sheet: Sheet,
        trust: Trust | None = None, log: LogCopy | None = None,
    ) -> None:  # fmt: skip
        self.entries, self.opened, self.folder, self.sheet = entries, opened, folder, sheet
        self.trust, self.log = trust, log
        self.origin = key_name(opened.instance, folder.task)
        self.task_key = self._task_key()
        self.marks: dict[int, Mark] = {}
        self.proofs: dict[int, Proof] = {}
        self.tokens: dict[int, bytes] = {}
        self._read()
        self._roots: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """Count the records."""
        return len(self.entries)

    @property
    def is_sealed(self) -> bool:
        """Tell whether the last record is the seal."""
        return isinstance(self.entries[-1].data, Seal)

    @property
    def is_ended(self) -> bool:
        """Tell whether nothing more is to come but the seal."""
        return any(entry.record.kind in ("task.closed", "seal") for entry in self.entries)

    @cached_property
    def trusted_marks(self) -> dict[int, Mark]:
        """List the checkpoints that the task's key signed over exactly these records."""
        key = self.task_key
        roots = self.roots(self.marks)
        return {
            size: mark
            for size, mark in sorted(self.marks.items())
            if key is not None
            and mark.note.is_by(key)
            and mark.said == Checkpoint(self.origin, size, roots.get(size, b""))
        }

    @property
    def covered(self) -> int:
        """Count the records below the newest checkpoint that holds."""
        return max(self.trusted_marks, default=0)

    def roots(self, sizes: Iterable[int]) -> dict[int, bytes]:
        """Compute the roots over the first so many records; sizes beyond the journal have none."""
        wanted = {size for size in sizes if size <= self.size} - set(self._roots)
        if wanted:
            tree = Tree()
            for entry in self.entries[: max(wanted)]:
                tree.append(entry.line.content)
                if tree.size in wanted:
                    self._roots[tree.size] = tree.root()
        return self._roots

    def _task_key(self) -> VKey | None:
        if not self.opened.task_vkey:
            return None
        try:
            key = VKey.parse(self.opened.task_vkey)
        except ValueError as error:
            self.sheet.find("signed", f"names a key for this task that is none: {error}", self.entries[0])
            return None
        if key.name != self.origin:
            what = "names a key for this task by the name of another"
            self.sheet.find("signed", what, self.entries[0], expected=self.origin, found=key.name)
            return None
        return key

    def _read(self) -> None:
        for name, raw in sorted(self.folder.files.items()):
            shape = SIGNED.fullmatch(name.removeprefix("audit/")) if name.startswith("audit/") else None
            if shape is None:
                continue
            size = int(shape[1] or shape[2] or 0)
            try:
                if shape[1]:
                    self.marks[size] = Mark(name, size, raw)
                elif name.endswith(".tlog-proof"):
                    self.proofs[size] = Proof.parse(raw)
                elif name.endswith(".tsr"):
                    self.tokens[size] = raw
            except NoteError as error:
                check = "signed" if shape[1] else "log"
                self.sheet.find(check, f"is not what it should be: {error}", file=self.folder.path(name))
