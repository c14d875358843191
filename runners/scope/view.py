"""A change as the rules look at it, and what they say about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

EXECUTABLE, LINK, GITLINK, NONE = "100755", "120000", "160000", "000000"  # file modes as git writes them
DETAIL: Final = 200  # characters


class Rule(StrEnum):
    """Why people are asked about a change; docs/scope.md has the table."""

    OUTSIDE_PLAN = "outside-plan"
    PROTECTED_PATH = "protected-path"
    CI = "ci"
    SUBMODULES = "submodules"
    HOOKS = "hooks"
    BUILD_ENTRY = "build-entry"
    CONTAINER = "container"
    AGENTS = "workflow-of-agents"
    DEPENDENCY = "new-dependency"
    HOST = "new-host"
    MODE = "mode"
    TESTS_DELETED = "tests-deleted"
    TESTS_WEAKENED = "tests-weakened"
    SIZE = "size"
    SECRET = "secret"  # noqa: S105 - the name of the rule
    UNREADABLE = "unreadable"
    MIXED_SCRIPT = "mixed-script"
    BIDI = "bidi"
    MORE = "more"  # what is beyond the number of findings that are listed


class Finding(msgspec.Struct, frozen=True):
    """One thing to decide; `sha256` is of the file's new content, or of everything where no one file is meant."""

    rule: Rule
    path: str
    detail: str = ""
    sha256: str = ""


class File(msgspec.Struct, frozen=True):
    """One changed path; texts are empty where there is none, or none that can be read.

    `lines` counts what git calls added and deleted. `added` and `removed` are lines that one side has more often than
    the other: cheaper than a diff, and a line that only moved is neither.
    """

    path: str
    old_mode: str = NONE
    mode: str = "100644"
    old: str = ""
    new: str = ""
    sha256: str = ""
    old_sha256: str = ""
    lines: int = 0
    is_readable: bool = True
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def is_gone(self) -> bool:
        """Tell whether nothing stands there any more."""
        return self.mode == NONE

    @property
    def is_new(self) -> bool:
        """Tell whether nothing stood there before."""
        return self.old_mode == NONE


class Document(msgspec.Struct, frozen=True):
    """A file that says what CI does, of the base or of the head, changed or not."""

    path: str
    text: str


class View(msgspec.Struct, frozen=True):
    """Everything between two commits, evidence left out."""

    files: tuple[File, ...] = ()
    documents: tuple[Document, ...] = ()


def compared(file: File) -> File:
    """Fill in which lines came and went."""
    old, new = file.old.split("\n"), file.new.split("\n")
    return msgspec.structs.replace(file, added=_more(new, old), removed=_more(old, new))


def about(rule: Rule, file: File, detail: str) -> Finding:
    """Say something about one file in at most 200 printable ASCII characters."""
    return Finding(rule, file.path, said(detail), file.sha256)


def said(text: str) -> str:
    """Spell a text so that nothing in it can be hidden or act, cut to what a record takes."""
    plain = text[:DETAIL].encode("ascii", "backslashreplace").decode()
    plain = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in plain)
    return plain if len(plain) <= DETAIL else plain[: DETAIL - 3] + "..."


def listed(names: Iterable[str]) -> str:
    """Name many things within a detail; how many are left out stands first, so that it is never cut off."""
    found = sorted(set(names))
    kept, room = [], DETAIL - 40
    for name in found:
        room -= len(said(name)) + 2
        if room < 0:
            break
        kept.append(name)
    left = len(found) - len(kept)
    return (f"({len(found)} in all) " if left else "") + ", ".join(kept) if kept else f"{len(found)} of them"


def _more(these: list[str], those: list[str]) -> tuple[str, ...]:
    left = Counter(those)
    found = []
    for line in these:
        if left[line] > 0:
            left[line] -= 1
        elif line:
            found.append(line)
    return tuple(found)
