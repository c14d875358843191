"""What an agent changed, and what of it may not leave the worktree; pure functions of values."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from bot.model.errors import GatewrightError

LINK, GITLINK, NONE = "120000", "160000", "000000"  # file modes as git writes them
EVIDENCE: Final = ".gatewright/tasks"
STEERING: Final = ".gatewright.toml"  # policy and checks of the repository: people change it, in changes of their own
LONGEST_NAME: Final = 255
LONGEST_PATH: Final = 1_000  # a reviewer's checkout has a prefix of its own below PATH_MAX
# Characters that HFS+ leaves out when it compares names (git's list): `.g<U+200C>it` is `.git` there.
IGNORED_BY_HFS: Final = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])


class Rule(StrEnum):
    """Why something may not be committed."""

    GITLINK = "gitlink"
    EMBEDDED = "embedded-repository"
    LINK = "link-leaves-tree"
    SPECIAL = "special-file"
    NAME = "name"
    GIT = "git-name"
    EVIDENCE = "evidence"
    CLASH = "name-clash"
    SIZE = "size"
    SUBMODULES = "submodules"
    STEERING = "steering"
    LFS = "lfs"
    ENCODING = "encoding"


class Change(msgspec.Struct, frozen=True):
    """One changed path; sizes are bytes, counts are None for binary content."""

    path: str
    status: str  # A, M, D, T
    old_mode: str
    mode: str
    size: int = 0
    added: int | None = 0
    deleted: int | None = 0
    target: str = ""  # of a symbolic link


class Stray(msgspec.Struct, frozen=True):
    """Something in the worktree that was not staged at all."""

    rule: Rule
    path: str
    what: str


class Patch(msgspec.Struct, frozen=True):
    """Everything that differs from the commit the worktree stands on.

    `text` is a unified diff, bounded; attributes of the tree have no say in it, so nothing can be hidden from a reader.
    """

    base: str
    tree: str
    files: tuple[Change, ...] = ()
    text: str = ""
    truncated: bool = False
    strays: tuple[Stray, ...] = ()
    clashes: tuple[str, ...] = ()

    @property
    def added(self) -> int:
        """Count added lines."""
        return sum(change.added or 0 for change in self.files)

    @property
    def deleted(self) -> int:
        """Count deleted lines."""
        return sum(change.deleted or 0 for change in self.files)

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to commit and nothing to complain about."""
        return not self.files and not self.strays


class Finding(msgspec.Struct, frozen=True):
    """One reason why a patch is not committed; `what` says it to the agent and to people."""

    rule: Rule
    path: str
    what: str


class PatchRefused(GatewrightError):
    """A patch holds what may not be committed; `findings` say what, for the agent to mend."""

    def __init__(self, findings: list[Finding]) -> None:
        shown = "; ".join(f"{f.path or 'the change'} {f.what}" for f in findings[:5])
        super().__init__(
            "GW-PATCH-REFUSED",
            f"{len(findings)} finding(s) keep the change from being committed",
            why=shown + ("; ..." if len(findings) > 5 else ""),
            fix="`revise` and say what the change must leave alone",
        )
        self.findings = findings


class Caps(msgspec.Struct, frozen=True):
    """How much one patch may hold."""

    files: int = 2_000
    file_bytes: int = 10 << 20
    total_bytes: int = 50 << 20
    entries: int = 1_000_000  # of the whole worktree


def review(patch: Patch, caps: Caps = Caps()) -> list[Finding]:  # noqa: B008 - frozen
    """List everything that keeps a patch from being committed; empty means it may be."""
    found = [Finding(stray.rule, stray.path, stray.what) for stray in patch.strays]
    found += [Finding(Rule.CLASH, path, "differs from another name only by case") for path in patch.clashes]
    for change in patch.files:
        if _folded(change.path) == STEERING:  # taking it away loosens what it asks for, too
            found.append(Finding(Rule.STEERING, change.path, "says what the bot may do; no task changes it"))
        if change.mode != NONE:
            found += _judge(change, caps)
    if len(patch.files) > caps.files:
        found.append(Finding(Rule.SIZE, "", f"{len(patch.files)} files changed, {caps.files} are allowed"))
    if (total := sum(change.size for change in patch.files)) > caps.total_bytes:
        found.append(Finding(Rule.SIZE, "", f"{total} bytes changed, {caps.total_bytes} are allowed"))
    return found


def judge_name(path: str) -> tuple[Rule, str] | None:
    """Say what is wrong with a path, whatever stands there."""
    parts = path.split("/")
    if any(_is_git(part) for part in parts):
        return Rule.GIT, "is read as .git by git or by another system"
    if _within_evidence(parts):
        return Rule.EVIDENCE, "is the bot's own place"
    if any(len(part.encode(errors="surrogateescape")) > LONGEST_NAME for part in parts) or len(path) > LONGEST_PATH:
        return Rule.NAME, "is too long"
    if any(0xDC80 <= ord(char) <= 0xDCFF for char in path):
        return Rule.NAME, "is not UTF-8"
    if any(unicodedata.category(char) == "Cc" for char in path) or "\\" in path:
        return Rule.NAME, "holds a control character or a backslash"
    return None


def leaves_tree(path: str, target: str) -> bool:
    """Tell whether a link may lead out of the tree or into `.git`, now or after other links change.

    A `..` is only safe at the front: behind a name, that name may be a link, and `..` starts from where it leads.
    """
    parts = target.split("/")
    ups = next((index for index, part in enumerate(parts) if part not in ("..", ".")), len(parts))
    climbed = parts[:ups].count("..")
    return (
        target.startswith("/")
        or not target
        or "\0" in target
        or climbed > path.count("/")
        or ".." in parts[ups:]
        or any(_is_git(part) for part in parts)
    )


def clashes(paths: Iterable[str], changed: Sequence[str]) -> tuple[str, ...]:
    """Name the changed paths that are another path's twin where names ignore case or Unicode form."""
    twins: dict[str, set[str]] = {}
    for path in paths:
        for prefix in _prefixes(path):
            twins.setdefault(_folded(prefix), set()).add(prefix)
    return tuple(path for path in changed if any(len(twins.get(_folded(p), ())) > 1 for p in _prefixes(path)))


def _judge(change: Change, caps: Caps) -> list[Finding]:
    found = []
    if wrong := judge_name(change.path):
        found.append(Finding(wrong[0], change.path, wrong[1]))
    if GITLINK in (change.mode, change.old_mode):
        found.append(Finding(Rule.GITLINK, change.path, "is a submodule; submodules are not changed by agents"))
    if change.mode == LINK and leaves_tree(change.path, change.target):
        found.append(Finding(Rule.LINK, change.path, f"links to {change.target[:200]!r}, which may leave the tree"))
    if _folded(change.path) == ".gitmodules":
        found.append(Finding(Rule.SUBMODULES, change.path, "says where submodules are fetched from"))
    if change.size > caps.file_bytes:
        found.append(Finding(Rule.SIZE, change.path, f"has {change.size} bytes, {caps.file_bytes} are allowed"))
    return found


def _is_git(part: str) -> bool:
    """Tell whether some file system takes a name for `.git`: case, HFS+ ignored characters, NTFS forms."""
    name = unicodedata.normalize("NFC", part.translate(IGNORED_BY_HFS)).casefold()
    name = name.split(":", 1)[0].rstrip(". ")
    return name in (".git", "git~1")


def _within_evidence(parts: Sequence[str]) -> bool:
    folded = [_folded(part).rstrip(". ") for part in parts[:2]]
    return folded == EVIDENCE.split("/") or folded == [".gatewright"]  # the second: a file in the folder's place


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: index + 1]) for index in range(len(parts))]
