"""One bare mirror per repository: fetched under a lock, its objects lent to every worktree."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

from bot.forges.protocol import GitAccess
from bot.model.errors import Unavailable
from bot.model.event import Repo
from runners.workspace.files import passage
from runners.workspace.git import Git
from runners.workspace.remote import Remote

BRANCHES: Final = "+refs/heads/*:refs/remotes/origin/*"
PINS: Final = "refs/gatewright/pin/"
LOCK_SECONDS: Final = 600.0
POLL_SECONDS: Final = 0.05


class Mirror:
    """A bare repository that only fetches write to, and whose objects are never collected.

    Objects are readable by the jails' users (they are bound into jails, read-only); `files.open_root` closes the
    directory above to everybody else.
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
        name = repo.key.replace(":", "-").replace("/", "_")
        mirror = cls(passage(root) / f"{name}.git", clone_url)
        async with mirror._locked():
            if not (mirror.path / "HEAD").is_file():
                await mirror._make()
        return mirror

    async def fetch(self, access: GitAccess | None = None) -> None:
        """Bring every branch up to date; branches that are gone lose their name here, never their objects."""
        async with self._locked():
            remote = Remote(self.url, access)
            await remote.run(
                self._git, "fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head",
                "--no-recurse-submodules", "--no-auto-maintenance", "--", self.url, BRANCHES,
            )  # fmt: skip

    async def has(self, commit: str) -> bool:
        """Tell whether a commit is here."""
        return (await self._git.call("cat-file", "-e", f"{commit}^{{commit}}")).code == 0

    async def head(self, branch: str) -> str | None:
        """Read the commit a branch pointed to at the last fetch."""
        outcome = await self._git.call("rev-parse", "--verify", "--quiet", f"refs/remotes/origin/{branch}^{{commit}}")
        return outcome.out.decode().strip() or None

    async def pin(self, name: str, commit: str) -> None:
        """Keep a commit named while a worktree stands on it, should anybody ever collect garbage here."""
        await self._git.run("update-ref", f"{PINS}{name}", commit)

    async def unpin(self, name: str) -> None:
        """Let go of a pinned commit; one that is not pinned is no error."""
        await self._git.run("update-ref", "-d", f"{PINS}{name}")

    async def _make(self) -> None:
        passage(self.path)
        # 0644: readable objects whatever the worker's umask is; what fetch wrote is never group-writable
        await self._git.run("init", "--quiet", "--bare", "--template=", "--shared=0644")

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the lock file beside the mirror; other processes and tasks of this one wait."""
        lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await self._acquire(lock)
            yield
        finally:
            os.close(lock)

    async def _acquire(self, lock: int) -> None:
        deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable(
                        "GW-GIT-LOCK",
                        f"another process has held {self.path.name} for {LOCK_SECONDS:.0f} s",
                        fix="look for a hanging git fetch on this machine, then retry",
                    ) from None
                await asyncio.sleep(POLL_SECONDS)
            else:
                return
