"""One bare mirror per repository: base branches only, fetched under a lock, its objects lent to every worktree."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, unquote

import structlog

from bot.forges.protocol import GitAccess
from bot.model.errors import Unavailable
from bot.model.event import Repo
from runners.workspace import lock
from runners.workspace.files import erase, passage
from runners.workspace.git import Git, GitError
from runners.workspace.remote import Remote

BRANCHES: Final = "refs/gatewright/branch/"
PINS: Final = "refs/gatewright/pin/"
COMMITS: Final = "refs/gatewright/commit/"
LOCK_SECONDS: Final = 600.0
CHECK_SECONDS: Final = 600.0
SUFFIX: Final = ".base.git"
DAMAGED: Final = ".damaged-"  # in the name of a mirror that was put aside: jails that run may still read it
ABSENT: Final = "find remote ref"  # git's words for a branch that the remote does not have
# What a git that was killed leaves; nobody else writes here while the lock is held.
LEFT: Final = (
    "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/tmp_*", "objects/??/tmp_*", "refs/**/*.lock", "*.lock",
)  # fmt: skip


class Mirror:
    """A bare repository that only fetches write to, and whose objects are never collected.

    Jails read its objects, so nothing is fetched into it but the branches that tasks start from: what other tasks and
    people have not merged is not here. `files.open_root` closes the directory above to all but the jails' users.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self._git = Git(path)

    @property
    def objects(self) -> Path:
        """Where the objects lie that worktrees borrow."""
        return self.path / "objects"

    @classmethod
    async def open(cls, root: Path, repo: Repo, clone_url: str) -> Self:
        """Open the mirror of a repository below `root`, by identity and not by name; make it where there is none."""
        mirror = cls(passage(root) / f"{folder_name(repo)}{SUFFIX}", clone_url)
        async with mirror._locked():
            if not (mirror.path / "HEAD").is_file():
                await mirror._make()
        return mirror

    async def fetch(self, access: GitAccess | None = None, branch: str = "main") -> None:
        """Bring one base branch up to date; a mirror that turns out to be damaged is made anew, once."""
        remote = Remote(self.url, access)
        async with self._locked() as held:
            await self._tidy()
            try:
                await self._fetch(remote, _spec(branch), held)
            except GitError as error:
                is_odd = error.code == "GW-GIT-FAILED" and ABSENT not in (error.why or "")
                if not is_odd or not (why := await self._damage()):
                    raise
                await self._renew(remote, branch, held, why)

    async def fetch_commit(self, commit: str, access: GitAccess | None = None) -> None:
        """Have one commit, without history, in a mirror that nobody borrows from; it is made where there is none."""
        ref = f"{COMMITS}{commit}"
        async with self._locked() as held:
            if (self.path / "HEAD").is_file():
                os.utime(self.path)  # `leftovers` goes by it
                if (await self._git.call("rev-parse", "--verify", "--quiet", ref)).code == 0:
                    return
                await self._tidy()
            else:
                await self._make()
            await self._fetch(Remote(self.url, access), f"+{commit}:{ref}", held, None, "--depth=1")

    async def drop(self) -> None:
        """Remove a mirror that nobody borrows from; `fetch_commit` makes it anew."""
        async with self._locked():
            await erase(self.path)

    async def mend(self, access: GitAccess | None, branch: str) -> bool:
        """Look at every object; make the mirror anew where some are missing or broken, and tell whether it was."""
        async with self._locked() as held:
            why = await self._damage()
            if why:
                await self._renew(Remote(self.url, access), branch, held, why)
        return bool(why)

    async def has(self, commit: str) -> bool:
        """Tell whether a commit is here."""
        return (await self._git.call("cat-file", "-e", f"{commit}^{{commit}}")).code == 0

    async def head(self, branch: str) -> str | None:
        """Read the commit a base branch pointed to at the last fetch."""
        outcome = await self._git.call("rev-parse", "--verify", "--quiet", f"{_ref(branch)}^{{commit}}")
        return outcome.out.decode().strip() or None

    async def pin(self, name: str, commit: str) -> None:
        """Keep a commit named while a worktree stands on it: it is carried over when the mirror is made anew."""
        async with self._locked():
            await self._git.run("update-ref", f"{PINS}{name}", commit)

    async def unpin(self, name: str) -> None:
        """Let go of a pinned commit; one that is not pinned is no error."""
        async with self._locked():
            await self._git.run("update-ref", "-d", f"{PINS}{name}")

    async def _make(self) -> None:
        passage(self.path)
        # 0644: readable objects whatever the worker's umask is; what fetch wrote is never group-writable
        await self._git.run("init", "--quiet", "--bare", "--template=", "--shared=0644")

    async def _fetch(self, remote: Remote, spec: str, held: int, git: Git | None = None, *options: str) -> None:
        # The lock goes to git as well: a fetch that outlives its worker keeps others out until it has ended.
        await remote.run(
            git or self._git, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", *options, "--", self.url, spec, pass_fds=(held,),
        )  # fmt: skip

    async def _tidy(self) -> None:
        for path in [found for pattern in LEFT for found in self.path.glob(pattern)]:
            structlog.get_logger().info("mirror.tidied", mirror=self.path.name, left=path.name)
            await erase(path)

    async def _damage(self) -> str:
        """Say what is wrong with the mirror, empty where nothing is; reads every object."""
        if not (self.path / "HEAD").is_file():
            return "it is no repository"
        outcome = await self._git.call(
            "fsck", "--no-dangling", "--no-reflogs", "--no-progress", timeout=CHECK_SECONDS, limit=1 << 16
        )
        said = (outcome.out.decode(errors="replace") + outcome.err).strip()
        return said[:500] or "git fsck failed" if outcome.code else ""

    async def _renew(self, remote: Remote, branch: str, held: int, why: str) -> None:
        """Fetch all anew beside the old mirror, then change places; the old one stays for who still reads it."""
        log = structlog.get_logger()
        log.error("mirror.damaged", mirror=str(self.path), why=why, fix="it is made anew; look at this machine's disk")
        fresh = Mirror(self.path.with_name(f"{self.path.name}.fresh"), self.url)
        await erase(fresh.path)
        await fresh._make()
        for name in {*(unquote(ref.removeprefix(BRANCHES)) for ref in self._names(BRANCHES)), branch}:
            try:
                await self._fetch(remote, _spec(name), held, fresh._git)
            except GitError as error:
                if name == branch:
                    raise
                log.warning("mirror.lost", mirror=self.path.name, branch=name, why=error.why)
        for ref, commit in (self._names(PINS)).items():
            if await fresh.has(commit):
                await fresh._git.run("update-ref", ref, commit)
            else:
                log.warning("mirror.lost", mirror=self.path.name, commit=commit, why="no branch holds it any more")
        self.path.rename(self.path.with_name(f"{self.path.name}{DAMAGED}{time.time_ns()}"))
        fresh.path.rename(self.path)
        log.info("mirror.renewed", mirror=str(self.path))

    def _names(self, prefix: str) -> dict[str, str]:
        """Read refs below a prefix, by their files (nothing packs them): git itself may be beyond reading this."""
        found = [path for path in (self.path / prefix).glob("*") if path.is_file()]
        return {prefix + path.name: path.read_text(errors="replace").strip() for path in found}

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[int]:
        """Hold the lock file beside the mirror; other processes and tasks of this one wait."""
        busy = Unavailable(
            "GW-GIT-LOCK",
            f"another process has held {self.path.name} for {LOCK_SECONDS:.0f} s",
            fix="look for a hanging git fetch on this machine, then retry",
        )
        async with lock.held(self.path.with_suffix(".lock"), LOCK_SECONDS, busy) as held:
            yield held


def folder_name(repo: Repo) -> str:
    """Name the folder of a repository by identity, which outlives its names."""
    return repo.key.replace(":", "-").replace("/", "_")


def _spec(branch: str) -> str:
    return f"+refs/heads/{branch}:{_ref(branch)}"


def _ref(branch: str) -> str:
    """Name a branch without folders: `a` and, after it is gone, `a/b` have room beside each other."""
    return f"{BRANCHES}{quote(branch, safe='')}"
