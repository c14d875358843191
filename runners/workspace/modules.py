"""The content of submodules: each exact commit in a mirror of its own, laid out as plain files without a `.git`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from bot.forges.protocol import GitAccess
from runners.workspace.files import erase
from runners.workspace.git import Git, GitError
from runners.workspace.mirror import Mirror
from runners.workspace.patch import GITLINK, Rule, Stray
from runners.workspace.submodules import Module, is_same, named

DEEPEST: Final = 2  # a submodule, and one in it
SHOWN: Final = 5  # changed files of one submodule that are named
WHAT: Final = "lies in a submodule; agents read submodules and do not change them"
OTHER: Final = "is a submodule; something else stands in its place"


class Part(msgspec.Struct, frozen=True):
    """A submodule whose content is here, and those in it; `path` is from the root of the tree."""

    path: str
    commit: str
    mirror: Mirror
    inner: tuple[Part, ...] = ()


class Modules:
    """The submodules of one base commit; `folder` is the repository's own, and no jail gets there."""

    def __init__(self, folder: Path, url: str, prefixes: Sequence[str]) -> None:
        self.parts: tuple[Part, ...] = ()
        self.absent: tuple[Module, ...] = ()
        self._folder = folder
        self._url = url
        self._prefixes = prefixes

    async def bring(self, git: Git, commit: str, access: GitAccess | None) -> None:
        """Fetch what a commit names below the allowed prefixes; raise GW-GIT-SUBMODULE where that cannot be had."""
        self.absent = ()
        self.parts = await self._bring(git, commit, self._url, access, "", 1)

    async def lay(self, git: Git, tree: Path, index: Path) -> dict[str, str]:
        """Write files into a fresh tree where the index has the very links of the base; name those links."""
        laid = {}
        for part in self.parts:
            if await _is_linked(git, index, part.path, part.commit):
                await self._lay(part, tree, index.with_name("module.index"))
                laid[part.path] = part.commit
        return laid

    async def changed(self, git: Git, tree: Path, laid: Mapping[str, str]) -> list[Stray]:
        """Say what of the laid out files is not as it was; every file is read again. A removed submodule is none."""
        found: list[Stray] = []
        for part in self.parts:
            if part.path in laid and _stands(tree, part.path):
                found += await self._changed(part, tree, git.git_dir / "module.index")
        return found

    async def _bring(
        self, git: Git, commit: str, above: str, access: GitAccess | None, prefix: str, depth: int
    ) -> tuple[Part, ...]:
        parts = []
        for module in await named(git, commit, above, self._prefixes):
            path = f"{prefix}{module.path}"
            why = module.why if depth <= DEEPEST else f"lies deeper than {DEEPEST} submodules"
            if why:
                self.absent = (*self.absent, Module(path, module.commit, why=why))
                continue
            mirror = self._mirror(module.url)
            await self._fetch(mirror, path, module.commit, access)
            async with _whole(mirror):
                inner = await self._bring(Git(mirror.path), module.commit, module.url, access, f"{path}/", depth + 1)
            parts.append(Part(path, module.commit, mirror, inner))
        return tuple(parts)

    @property
    def paths(self) -> list[str]:
        """List where content is laid out, submodules in submodules included."""
        found, todo = [], list(self.parts)
        while todo:
            part = todo.pop(0)
            found.append(part.path)
            todo += part.inner
        return found

    def _mirror(self, url: str) -> Mirror:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Mirror(self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.git", url)

    async def _fetch(self, mirror: Mirror, path: str, commit: str, access: GitAccess | None) -> None:
        # The credential is the task's repository's: no other one ever gets it.
        may_read = access if is_same(mirror.url, self._url) else None
        try:
            await mirror.fetch_commit(commit, may_read)
        except GitError as error:
            raise GitError(
                "GW-GIT-SUBMODULE",
                f"submodule {path} cannot be fetched: {error.what}",
                why=error.why,
                fix="have it be read without a credential, or narrow [workspace] submodules; then `retry`",
            ) from error

    async def _lay(self, part: Part, tree: Path, index: Path) -> None:
        place = tree / part.path
        if not is_real(tree, part.path):
            raise GitError("GW-GIT-SUBMODULE", f"submodule {part.path} has no folder of its own in the tree")
        await erase(index)
        git = Git(part.mirror.path, place)
        async with _whole(part.mirror):
            await git.run("read-tree", "--reset", "-u", part.commit, env={"GIT_INDEX_FILE": str(index)})
        inner = [each for each in part.inner if await _is_linked(git, index, _below(each, part), each.commit)]
        for each in inner:
            await self._lay(each, tree, index)

    async def _changed(self, part: Part, tree: Path, index: Path) -> list[Stray]:
        if not is_real(tree, part.path):
            return [Stray(Rule.GITLINK, part.path, OTHER)]
        if _stands(tree, f"{part.path}/.git"):
            return [Stray(Rule.EMBEDDED, part.path, "is a repository of its own")]
        git, env = Git(part.mirror.path, tree / part.path), {"GIT_INDEX_FILE": str(index)}
        await erase(index)
        await git.run("read-tree", part.commit, env=env)  # without times: nothing that an agent can set is believed
        await git.call("update-index", "-q", "--refresh", env=env)
        raw = await git.run("ls-files", "-z", "-o", "-m", "-d", "--exclude-standard", env=env)
        names = dict.fromkeys(os.fsdecode(name) for name in raw.split(b"\0") if name)
        found = [Stray(Rule.GITLINK, f"{part.path}/{name}", WHAT) for name in names][:SHOWN]
        for each in part.inner:
            if _stands(tree, each.path):
                found += await self._changed(each, tree, index)
        return found


@asynccontextmanager
async def _whole(mirror: Mirror) -> AsyncIterator[None]:
    """Drop a mirror that cannot be read: it is damaged, and the next attempt fetches it anew."""
    try:
        yield
    except GitError as error:
        if error.code == "GW-GIT-FAILED":
            await mirror.drop()
        raise


def is_real(tree: Path, path: str) -> bool:
    """Tell whether a path below a tree is a directory that is reached through no link."""
    here = tree
    for part in path.split("/"):
        here = here / part
        if here.is_symlink() or not here.is_dir():
            return False
    return True


def _stands(tree: Path, path: str) -> bool:
    return os.path.lexists(tree / path)


def _below(part: Part, above: Part) -> str:
    return part.path.removeprefix(f"{above.path}/")


async def _is_linked(git: Git, index: Path, path: str, commit: str) -> bool:
    """Tell whether an index has this commit as the submodule at a path."""
    env = {"GIT_INDEX_FILE": str(index)}
    said = await git.run("ls-files", "-s", "-z", "--", f":(literal){path}", env=env)
    return said == f"{GITLINK} {commit} 0\t".encode() + os.fsencode(path) + b"\0"
