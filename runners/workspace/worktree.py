"""One worktree per task: the agent's tree, and beside it our own git directory that the agent cannot reach."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from bot.forges.protocol import GitAccess
from runners.workspace import exchange, guest, lfs, staging, trees
from runners.workspace.content import Content, Part
from runners.workspace.files import erase, give, passage
from runners.workspace.git import Git, GitError
from runners.workspace.letter import identity, letter
from runners.workspace.mirror import Mirror
from runners.workspace.patch import Caps, Patch, PatchRefused, review
from runners.workspace.remote import Remote
from runners.workspace.shown import Shown
from runners.workspace.signature import CommitKey

BOT: Final = "Gatewright <gatewright@localhost>"
COMMIT: Final = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
BASE, HEAD = "refs/gatewright/base", "refs/gatewright/head"
TIP, SAFE = "refs/gatewright/tip", "refs/gatewright/safe"


class Commit(msgspec.Struct, frozen=True):
    """A commit of ours; `source_sha256` is filled in by whoever hashes `Worktree.source_entries`."""

    commit: str
    tree: str
    parent: str
    source_sha256: str = ""


class Worktree:
    """The tree of one task.

    Layout of `directory`: `tree/` belongs to the jail's user; `git/` is ours, mode 0700, and never bound into a jail.
    No jail may run while a method of this class does.
    """

    def __init__(self, mirror: Mirror, directory: Path, *, owner: int | None, caps: Caps, identity: str) -> None:
        self.directory = directory
        self.path = directory / "tree"
        self.base = ""
        self.head = ""
        self.tip = ""
        self._mirror = mirror
        self._owner = owner
        self._caps = caps
        self._identity = identity
        self.key: CommitKey | None = None  # signs what is committed for others to see
        self._content: Content | None = None
        self._shown = Shown()
        self._bare = Git(directory / "git")
        self._git = Git(directory / "git", self.path)

    @classmethod
    async def create(
        cls,
        mirror: Mirror,
        directory: Path,
        base: str,
        *,
        owner: int | None = None,
        caps: Caps = Caps(),  # noqa: B008
        identity: str = BOT,
    ) -> Self:
        """Make a worktree at a commit of the mirror, in place of whatever is in `directory`."""
        worktree = await cls.prepare(mirror, directory, base, owner=owner, caps=caps, identity=identity)
        await worktree.reset(base)
        return worktree

    @classmethod
    async def prepare(
        cls,
        mirror: Mirror,
        directory: Path,
        base: str,
        *,
        owner: int | None = None,
        caps: Caps = Caps(),  # noqa: B008
        identity: str = BOT,
    ) -> Self:
        """Make all of a worktree but its tree, which `reset` writes, once it is known at which commit.

        `owner` is the jail's uid where the worker is root (Sandbox.uid); `identity` (`Name <mail>`) makes its commits.
        """
        await erase(directory)
        worktree = cls(mirror, passage(directory), owner=owner, caps=caps, identity=identity)
        await worktree._init()
        await worktree.found(base)
        return worktree

    @classmethod
    async def open(
        cls,
        mirror: Mirror,
        directory: Path,
        *,
        owner: int | None = None,
        caps: Caps = Caps(),  # noqa: B008
        identity: str = BOT,
    ) -> Self | None:
        """Take up a worktree that an earlier attempt left, None where there is none."""
        if not _whole(directory):
            return None
        worktree = cls(mirror, passage(directory), owner=owner, caps=caps, identity=identity)
        worktree.base, worktree.head = await worktree._ref(BASE), await worktree._ref(HEAD)
        if not worktree.base or not worktree.head:
            return None
        (directory / "git" / "index.lock").unlink(missing_ok=True)  # of a worker that was killed
        return worktree

    async def found(self, base: str) -> None:
        """Take a commit of the mirror as the base; raise GW-GIT-BASE where it is not there."""
        if not COMMIT.match(base) or not await self._mirror.has(base):
            raise GitError(
                "GW-GIT-BASE",
                f"commit {base!r} is not in the mirror of {self._mirror.url}",
                why="the branch was rewritten, or the fetch before this did not reach it",
                fix="look whether the commit still exists on the forge, then retry",
            )
        await self._mirror.pin(self.directory.name, base)
        await self._bare.run("update-ref", BASE, base)
        self.base = base

    async def bring(self, content: Content, access: GitAccess | None) -> None:
        """Fetch what the base names and other places hold; trees that are written from now on show it."""
        await content.bring(self._bare, self.base, access)
        self._content = content

    @property
    def parts(self) -> tuple[Part, ...]:
        """List what the base only names: submodules and files of Git LFS, shown or not."""
        return self._content.parts if self._content else ()

    async def follow(self, branch: str, url: str, access: GitAccess | None) -> None:
        """Look where the task's branch stands on the forge and fetch it here, where no other task gets at it.

        `tip` is that commit afterwards, empty where there is no such branch.
        """
        self.tip = await exchange.fetch(self._bare, Remote(url, access), f"refs/heads/{branch}", TIP)

    async def has(self, commit: str) -> bool:
        """Tell whether a commit is here or in the mirror."""
        return (await self._bare.call("cat-file", "-e", f"{commit}^{{commit}}")).code == 0

    async def secure(self, commit: str) -> None:
        """Note that a commit is on the forge or in a blob, so that losing this directory loses no work."""
        await self._bare.run("update-ref", SAFE, commit)

    async def is_safe(self) -> bool:
        """Tell whether everything up to the head is on the forge, in a blob, or in the mirror."""
        known = [commit for commit in (self.base, self.tip, await self._ref(SAFE)) if commit]
        return not await self._bare.line("rev-list", "--max-count=1", self.head or self.base, "--not", *known)

    async def reset(self, commit: str) -> None:
        """Put a fresh tree of a commit in place of the present one: nothing an agent left stays, ignored or not."""
        fresh = self.directory / "tree.fresh"
        await erase(fresh)
        self._shown = await self._fill(fresh, commit, self.directory / "git" / "index")
        await erase(self.path)
        fresh.rename(self.path)
        await self._at(commit)

    async def changes(self) -> Patch:
        """Stage everything by the trusted git and say how it differs from the head."""
        strays = await staging.stage(self._git, self._caps, self._shown)
        if self._content:
            strays += await self._content.changed(self._bare, self.path, self._shown)
        tree = await self._git.line("write-tree")
        patch = await staging.compare(self._bare, await self._view(self.head), tree, strays)
        return await lfs.marked(self._git, patch)

    async def commit(
        self, message: str, author: str = "", trailers: Mapping[str, str] | None = None, committer: str = ""
    ) -> Commit | None:
        """Commit what `changes` finds, None where nothing changed; raise PatchRefused where `review` objects.

        The evidence folder stays as the head has it, and the agent's own `.git` starts afresh at the new commit.
        """
        patch = await self.changes()
        if findings := review(patch, self._caps):
            raise PatchRefused(findings)
        if not patch.files:
            return None
        parent = self.head
        tree = await trees.with_evidence(self._bare, patch.tree, await trees.evidence(self._bare, parent))
        made = await self._make(tree, (parent,), letter(message, trailers), author, committer)
        await self._guest(self.path, made, self.directory / "git" / "index", self._shown)
        await self._at(made)
        return Commit(made, tree, parent)

    async def fold(self, parent: str, message: str, trailers: Mapping[str, str] | None = None) -> Commit:
        """Put one commit with the head's files in place of all between `parent` and the head; the tree stays."""
        await self._bare.run("merge-base", "--is-ancestor", parent, self.head)
        tree = await self._bare.line("rev-parse", f"{self.head}^{{tree}}")
        made = await self._make(tree, (parent,), letter(message, trailers))
        await self._at(made)
        return Commit(made, tree, parent)

    async def write_files(
        self, files: Mapping[str, bytes], parent: str, message: str, trailers: Mapping[str, str] | None = None
    ) -> Commit:
        """Commit files of ours on top of `parent` without touching the tree; the head follows if it was the parent."""
        tree = await trees.with_files(self._bare, parent, files, str(self._scratch))
        made = await self._make(tree, (parent,), letter(message, trailers))
        if parent == self.head:
            await self._at(made)
        return Commit(made, tree, parent)

    async def archive(
        self,
        files: Mapping[str, bytes],
        ref: str,
        url: str,
        access: GitAccess | None,
        message: str,
        trailers: Mapping[str, str] | None = None,
    ) -> Commit:
        """Commit these files and nothing else, on top of what `ref` holds at the remote; push it with `push`.

        Answers the tip itself where it holds exactly these files already.
        """
        tip = await exchange.fetch(self._bare, Remote(url, access), ref, "refs/gatewright/archived")
        tree = await trees.with_files(self._bare, "", files, str(self._scratch))
        if tip and await self._bare.line("rev-parse", f"{tip}^{{tree}}") == tree:
            return Commit(
                tip, tree, (await self._bare.call("rev-parse", "-q", "--verify", f"{tip}^")).out.decode().strip()
            )
        parents = (tip,) if tip else ()
        made = await self._make(tree, parents, letter(message, trailers))
        return Commit(made, tree, tip)

    async def push(self, url: str, access: GitAccess | None, refspec: str, *options: str) -> None:
        """Push `commit:refs/...` as a plain fast-forward; raise GW-GIT-REJECTED where the remote says no.

        `options` are push options, left out for a remote that takes none.
        """
        await exchange.push(self._bare, Remote(url, access), refspec, *options)
        if refspec.partition(":")[0] == self.head:
            await self.secure(self.head)

    async def checkout(self, commit: str, directory: Path) -> Path:
        """Write a fresh tree of a commit, without evidence and with a `.git` of its own, for QA to run checks in."""
        await erase(directory)
        index = self.directory / "git" / "checkout.index"
        index.unlink(missing_ok=True)
        await self._fill(directory, commit, index)
        return directory

    async def read(self, commit: str, path: str) -> bytes | None:
        """Read one regular file at a commit; None where there is none (a link is none), GW-GIT-LARGE above 16 MiB."""
        return await trees.read(self._bare, commit, path)

    async def source_entries(self, commit: str) -> list[tuple[bytes, str, str]]:
        """List (path, mode, sha256 of the content) of a commit, for the source digest (facts: audit, 2.3)."""
        return await trees.digests(self._bare, commit)

    async def strip(self) -> None:
        """Remove the tree, which takes the room, and keep the commits."""
        await erase(self.path)

    async def remove(self) -> None:
        """Remove everything; the caller has made sure that nothing unpushed is left."""
        await erase(self.directory)
        await self._mirror.unpin(self.directory.name)

    @property
    def _scratch(self) -> Path:
        return self.directory / "git" / "scratch.index"

    async def _init(self) -> None:
        (self.directory / "git").mkdir(mode=0o700)
        await self._bare.run("init", "--quiet", "--bare", "--template=")
        alternates = self.directory / "git" / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{self._mirror.objects}\n")

    async def _fill(self, directory: Path, commit: str, index: Path) -> Shown:
        """Write the files of a commit into a new directory, hand it over, and give it a `.git`."""
        os.mkdir(directory, 0o700)  # noqa: PTH102 - quick, and no reason for a thread
        git = Git(self._bare.git_dir, directory)
        env = {"GIT_INDEX_FILE": str(index)}
        await git.run("read-tree", "--reset", "-u", await self._view(commit), env=env)
        shown = await self._content.lay(self._bare, directory, index) if self._content else Shown()
        await self._guest(directory, commit, index, shown)
        await give(directory, self._owner)
        return shown

    async def _guest(self, directory: Path, commit: str, index: Path, contents: Shown) -> None:
        """Show the agent the history up to the base and one commit of everything since, evidence left out."""
        view, shown = await self._view(commit), commit
        if commit != self.base or view != await self._bare.line("rev-parse", f"{commit}^{{tree}}"):
            shown = await self._record(view, (self.base,), "The work so far\n", BOT, BOT)
        await guest.install(
            self._bare, directory, commit=shown, known=self.base, index=await contents.hushed(self._bare, index),
            objects=self._mirror.objects, owner=self._owner,
        )  # fmt: skip

    async def _view(self, commit: str) -> str:
        return await trees.with_evidence(self._bare, commit, "")

    async def _at(self, commit: str) -> None:
        await self._bare.run("update-ref", HEAD, commit)
        self.head = commit

    async def _make(self, tree: str, parents: tuple[str, ...], text: str, author: str = "", committer: str = "") -> str:
        made = await self._record(tree, parents, text, author or self._identity, committer or self._identity)
        return await self.key.signed(self._bare, made) if self.key else made

    async def _record(self, tree: str, parents: tuple[str, ...], text: str, author: str, committer: str) -> str:
        """Write a commit object; no hook, no signing program and no clean-up has a say in it."""
        links = [part for parent in parents for part in ("-p", parent)]
        env = identity("AUTHOR", author) | identity("COMMITTER", committer)
        return await self._bare.line("commit-tree", tree, *links, "-F", "-", input=text.encode(), env=env)

    async def _ref(self, name: str) -> str:
        """Read a ref of ours, empty where there is none."""
        return (await self._bare.call("rev-parse", "--verify", "--quiet", name)).out.decode().strip()


def _whole(directory: Path) -> bool:
    return (directory / "tree").is_dir() and (directory / "git" / "HEAD").is_file()
