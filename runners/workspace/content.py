"""What a base commit names and other places hold: submodules and files of Git LFS that the operator allows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bot import settings
from bot.forges.protocol import GitAccess
from bot.model.event import Repo
from runners.workspace import lfs
from runners.workspace.copies import put
from runners.workspace.git import Git
from runners.workspace.lfs import Pointer
from runners.workspace.lfs_batch import LfsError
from runners.workspace.lfs_objects import Objects
from runners.workspace.mirror import folder_name
from runners.workspace.modules import Modules
from runners.workspace.patch import Stray
from runners.workspace.shown import Shown

SUBMODULES, LFS = "submodules", "lfs"
OFF: Final = "Git LFS is off: [workspace] lfs"


class Part(msgspec.Struct, frozen=True):
    """Something that a base commit only names: `why` is empty where trees show its content; a path may be empty."""

    kind: str
    path: str
    why: str = ""


class Content:
    """The content beside one base commit; nothing until `bring`, and nothing that the settings do not name."""

    def __init__(self, table: settings.Workspace, work: Path, repo: Repo, url: str) -> None:
        name = folder_name(repo)
        self.parts: tuple[Part, ...] = ()
        self._has_lfs = table.lfs
        self._pointers: tuple[Pointer, ...] = ()
        self._modules = Modules(work / "submodules" / name, url, table.submodules)
        self._objects = Objects(work / "lfs" / name, url, table)

    async def bring(self, git: Git, base: str, access: GitAccess | None) -> None:
        """Fetch what a base names and is not here yet; the credential goes to this very repository alone."""
        await self._modules.bring(git, base, access)
        shown = [Part(SUBMODULES, path) for path in self._modules.paths]
        absent = [Part(SUBMODULES, each.path, each.why) for each in self._modules.absent]
        self.parts = (*shown, *absent, *await self._bring_lfs(git, base, access))

    async def lay(self, git: Git, tree: Path, index: Path) -> Shown:
        """Write the content into a fresh tree, where the index has the very links and pointers of the base."""
        laid = await self._modules.lay(git, tree, index)
        pointers = await self._present(git, index)
        for each in pointers:
            said = await asyncio.to_thread(put, tree, each.path, self._objects.place(each))
            if said != each.sha256:
                self._objects.place(each).unlink(missing_ok=True)
                raise LfsError(
                    "GW-LFS-OBJECT", f"what was kept of {each.path} is damaged", why="its digest is another one",
                    fix="look at this machine's disk, then `retry`: it is fetched anew",
                )  # fmt: skip
        return Shown(laid, {each.path: each for each in pointers})

    async def changed(self, git: Git, tree: Path, shown: Shown) -> list[Stray]:
        """Say what of the submodules' files is not as it was laid out."""
        return await self._modules.changed(git, tree, shown.modules)

    async def _bring_lfs(self, git: Git, base: str, access: GitAccess | None) -> Sequence[Part]:
        self._pointers = ()
        if not await lfs.is_used(git, base):
            return ()
        if not self._has_lfs:
            return (Part(LFS, "", OFF),)
        named = await lfs.pointers(git, base, git.git_dir / "lfs.index")
        here, missed = await self._objects.bring(named, access)
        self._pointers = tuple(here)
        return [*(Part(LFS, each.path) for each in here), *(Part(LFS, each.path, each.why) for each in missed)]

    async def _present(self, git: Git, index: Path) -> list[Pointer]:
        if not self._pointers:
            return []
        listing = await git.run("ls-files", "-s", "-z", env={"GIT_INDEX_FILE": str(index)})
        rows = set(listing.split(b"\0"))
        return [
            each for each in self._pointers
            if f"{each.mode} {each.blob} 0\t{each.path}".encode(errors="surrogateescape") in rows
        ]  # fmt: skip
