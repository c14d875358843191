"""One worktree per task: the agent's tree, and beside it our own git directory that the agent cannot reach."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from bot.forges.protocol import GitAccess
from bot.model.errors import GatewrightError
from runners.workspace import guest, staging, trees
from runners.workspace.files import erase, give, passage
from runners.workspace.git import Git, GitError
from runners.workspace.letter import identity, letter
from runners.workspace.mirror import Mirror
from runners.workspace.patch import Caps, Finding, Patch, review
from runners.workspace.remote import Remote

BOT: Final = "Gatewright <gatewright@localhost>"
COMMIT: Final = re.compile(r"^[0-9a-f]{40}([0-9a-f]{24})?$")
REFSPEC: Final = re.compile(r"^[0-9a-f]{40,64}:refs/[^\s:~^?*\[\\]+$")
BASE, HEAD = "refs/gatewright/base", "refs/gatewright/head"
READ_BYTES: Final = 16 << 20
NO_OPTIONS: Final = "does not support push options"  # git's words, said before anything is sent


class Commit(msgspec.Struct, frozen=True):
    """A commit of ours; `source_sha256` is filled in by whoever hashes `Worktree.source_entries`."""

    commit: str
    tree: str
    parent: str
    source_sha256: str = ""


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
        self._mirror = mirror
        self._owner = owner
        self._caps = caps
        self._identity = identity
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
        """Make a worktree at a commit of the mirror, in place of whatever is in `directory`.

        `owner` is the jail's uid where the worker is root (Sandbox.uid); `identity` (`Name <mail>`) makes its commits.
        """
        if not COMMIT.match(base) or not await mirror.has(base):
            raise GitError(
                "GW-GIT-BASE",
                f"commit {base!r} is not in the mirror of {mirror.url}",
                why="the branch was rewritten, or the fetch before this did not reach it",
                fix="look whether the commit still exists on the forge, then retry",
            )
        await erase(directory)
        worktree = cls(mirror, passage(directory), owner=owner, caps=caps, identity=identity)
        await worktree._init()
        await mirror.pin(directory.name, base)
        worktree.base = base
        await worktree._bare.run("update-ref", BASE, base)
        await worktree.reset(base)
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
        for name, ref in (("base", BASE), ("head", HEAD)):
            outcome = await worktree._bare.call("rev-parse", "--verify", "--quiet", ref)
            if outcome.code:
                return None
            setattr(worktree, name, outcome.out.decode().strip())
        (directory / "git" / "index.lock").unlink(missing_ok=True)  # of a worker that was killed
        return worktree

    async def reset(self, commit: str) -> None:
        """Put a fresh tree of a commit in place of the present one: nothing an agent left stays, ignored or not."""
        fresh = self.directory / "tree.fresh"
        await erase(fresh)
        await self._fill(fresh, commit, self.directory / "git" / "index")
        await erase(self.path)
        fresh.rename(self.path)
        await self._at(commit)

    async def changes(self) -> Patch:
        """Stage everything by the trusted git and say how it differs from the head."""
        strays = await staging.stage(self._git, self._caps)
        tree = await self._git.line("write-tree")
        return await staging.compare(self._bare, await self._view(self.head), tree, strays)

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
        made = await self._record(
            tree, (parent,), letter(message, trailers), author or self._identity, committer or self._identity
        )
        await self._guest(self.path, made, self.directory / "git" / "index")
        await self._at(made)
        return Commit(made, tree, parent)

    async def write_files(
        self, files: Mapping[str, bytes], parent: str, message: str, trailers: Mapping[str, str] | None = None
    ) -> Commit:
        """Commit files of ours on top of `parent` without touching the tree; the head follows if it was the parent."""
        tree = await trees.with_files(self._bare, parent, files, str(self._scratch))
        made = await self._record(tree, (parent,), letter(message, trailers), self._identity, self._identity)
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
        tip = await self._tip(Remote(url, access), ref)
        tree = await trees.with_files(self._bare, "", files, str(self._scratch))
        if tip and await self._bare.line("rev-parse", f"{tip}^{{tree}}") == tree:
            return Commit(
                tip, tree, (await self._bare.call("rev-parse", "-q", "--verify", f"{tip}^")).out.decode().strip()
            )
        parents = (tip,) if tip else ()
        made = await self._record(tree, parents, letter(message, trailers), self._identity, self._identity)
        return Commit(made, tree, tip)

    async def push(self, url: str, access: GitAccess | None, refspec: str, *options: str) -> None:
        """Push `commit:refs/...` as a plain fast-forward; raise GW-GIT-REJECTED where the remote says no.

        `options` are push options, left out for a remote that takes none.
        """
        if not REFSPEC.match(refspec):
            raise GitError("GW-GIT-REFSPEC", f"{refspec!r} is not `commit:refs/...`", why="nothing is ever forced")
        remote = Remote(url, access)
        plain = ("push", "--porcelain", "--no-verify", "--no-signed")
        try:
            await remote.run(self._bare, *plain, *(f"--push-option={each}" for each in options), "--", url, refspec)
        except GatewrightError as error:
            if not options or NO_OPTIONS not in (error.why or ""):
                raise
            await remote.run(self._bare, *plain, "--", url, refspec)

    async def checkout(self, commit: str, directory: Path) -> Path:
        """Write a fresh tree of a commit, without evidence and with a `.git` of its own, for QA to run checks in."""
        await erase(directory)
        index = self.directory / "git" / "checkout.index"
        index.unlink(missing_ok=True)
        await self._fill(directory, commit, index)
        return directory

    async def read(self, commit: str, path: str) -> bytes | None:
        """Read one regular file at a commit; None where there is none (a link is none), GW-GIT-LARGE above 16 MiB."""
        if path.startswith("/") or ".." in path.split("/"):
            return None
        listing = await self._bare.run("ls-tree", "-z", "-l", commit, "--", f":(literal){path}")
        row = listing.split(b"\0")[0].split(b"\t")
        if len(row) != 2 or row[1] != path.encode() or not row[0].startswith(b"100"):
            return None
        _, _, oid, size = row[0].decode().split()
        if int(size) > READ_BYTES:
            raise GitError("GW-GIT-LARGE", f"{path} has {size} bytes", why=f"at most {READ_BYTES} are read")
        return await self._bare.run("cat-file", "blob", oid)

    async def source_entries(self, commit: str) -> list[tuple[bytes, str, str]]:
        """List (path, mode, sha256 of the content) of a commit, for the source digest (facts: audit, 2.3)."""
        rows = []
        for line in (await self._bare.run("ls-tree", "-r", "-z", commit)).split(b"\0")[:-1]:
            meta, path = line.split(b"\t", 1)
            mode, kind, oid = meta.decode().split()
            rows.append((path, mode, kind, oid))
        blobs = self._bare.objects([oid for _, _, kind, oid in rows if kind == "blob"])
        found = []
        for path, mode, kind, oid in rows:
            content = await anext(blobs) if kind == "blob" else oid.encode()
            found.append((path, mode, hashlib.sha256(content).hexdigest()))
        return found

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

    async def _fill(self, directory: Path, commit: str, index: Path) -> None:
        """Write the files of a commit into a new directory, hand it over, and give it a `.git`."""
        os.mkdir(directory, 0o700)  # noqa: PTH102 - quick, and no reason for a thread
        git = Git(self._bare.git_dir, directory)
        env = {"GIT_INDEX_FILE": str(index)}
        await git.run("read-tree", "--reset", "-u", await self._view(commit), env=env)
        await self._guest(directory, commit, index)
        await give(directory, self._owner)

    async def _guest(self, directory: Path, commit: str, index: Path) -> None:
        """Show the agent the history up to the base and one commit of everything since, evidence left out."""
        view, shown = await self._view(commit), commit
        if commit != self.base or view != await self._bare.line("rev-parse", f"{commit}^{{tree}}"):
            shown = await self._record(view, (self.base,), "The work so far\n", BOT, BOT)
        await guest.install(
            self._bare, directory, commit=shown, known=self.base, index=index,
            objects=self._mirror.objects, owner=self._owner,
        )  # fmt: skip

    async def _view(self, commit: str) -> str:
        return await trees.with_evidence(self._bare, commit, "")

    async def _at(self, commit: str) -> None:
        await self._bare.run("update-ref", HEAD, commit)
        self.head = commit

    async def _record(self, tree: str, parents: tuple[str, ...], text: str, author: str, committer: str) -> str:
        """Write a commit object; no hook, no signing program and no clean-up has a say in it."""
        links = [part for parent in parents for part in ("-p", parent)]
        env = identity("AUTHOR", author) | identity("COMMITTER", committer)
        return await self._bare.line("commit-tree", tree, *links, "-F", "-", input=text.encode(), env=env)

    async def _tip(self, remote: Remote, ref: str) -> str:
        """Fetch what a ref holds at the remote, empty where it does not exist."""
        listing = await remote.run(self._bare, "ls-remote", "--", remote.url, ref)
        tip = next((line.split("\t")[0] for line in listing.decode().splitlines() if line.endswith(f"\t{ref}")), "")
        if tip:
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
            await remote.run(self._bare, "fetch", *options, "--", remote.url, f"+{ref}:refs/gatewright/tip")
            tip = await self._bare.line("rev-parse", "refs/gatewright/tip")
        return tip


def _whole(directory: Path) -> bool:
    return (directory / "tree").is_dir() and (directory / "git" / "HEAD").is_file()
