"""What a tree shows beside its commit: staging keeps the commit's own links and pointers in their places."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from runners.workspace.copies import digest
from runners.workspace.git import Git
from runners.workspace.lfs import WHAT, Pointer
from runners.workspace.patch import GITLINK, Rule, Stray


class Shown(msgspec.Struct, frozen=True):
    """The submodules (path -> commit) and the files of Git LFS (by path) whose content was laid out in a tree."""

    modules: Mapping[str, str] = {}
    pointers: Mapping[str, Pointer] = {}

    async def link(self, git: Git, directories: Collection[str]) -> None:
        """Have the index hold each submodule's link where a directory stands, whatever an earlier look made of it."""
        rows = ((GITLINK, commit, path) for path, commit in self.modules.items() if path in directories)
        await _put(git, rows)

    async def sort(self, tree: Path, names: Iterable[str]) -> tuple[list[Pointer], list[Stray]]:
        """Tell the files of Git LFS among changed names: those whose content is as it was laid out, and the others."""
        wanted = [self.pointers[name] for name in names if name in self.pointers]
        return await asyncio.to_thread(_sorted, tree, wanted)

    async def hushed(self, git: Git, index: Path) -> Path:
        """Make an index for the agent's own `.git` in which files of Git LFS do not look changed."""
        if not self.pointers:
            return index
        copy = index.with_name("guest.index")
        await asyncio.to_thread(shutil.copyfile, index, copy)
        held = await git.run("ls-files", "-z", env={"GIT_INDEX_FILE": str(copy)})
        names = [name for name in held.split(b"\0") if os.fsdecode(name) in self.pointers]
        flags = ("update-index", "--assume-unchanged", "-z", "--stdin")
        ours = Git(git.git_dir, git.git_dir)  # it wants a work tree, and looks at nothing in it
        await ours.run(*flags, input=b"".join(name + b"\0" for name in names), env={"GIT_INDEX_FILE": str(copy)})
        return copy

    async def point(self, git: Git, same: Iterable[Pointer]) -> None:
        """Have the index hold the pointers of unchanged files."""
        await _put(git, ((each.mode, each.blob, each.path) for each in same))


def _sorted(tree: Path, wanted: Iterable[Pointer]) -> tuple[list[Pointer], list[Stray]]:
    same, changed = [], []
    for each in wanted:
        found = digest(tree, each.path, each.size)
        if found == (each.mode, each.size, each.sha256):
            same.append(each)
        elif found is not None:
            changed.append(Stray(Rule.LFS, each.path, WHAT))
    return same, changed


async def _put(git: Git, rows: Iterable[tuple[str, str, str]]) -> None:
    lines = b"".join(f"{mode} {oid}\t".encode() + os.fsencode(path) + b"\0" for mode, oid, path in rows)
    if lines:
        await git.run("update-index", "--add", "--replace", "-z", "--index-info", input=lines)
