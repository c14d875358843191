"""Files that Git LFS keeps: a commit holds pointers to them, and what an agent writes there would be no pointer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final

import msgspec

from runners.workspace.git import Git
from runners.workspace.patch import NONE, Patch, Rule, Stray
from runners.workspace.submodules import listed

WHAT: Final = "is kept in Git LFS; agents do not change it"
POINTER_BYTES: Final = 200
# To the last byte: whatever else a file holds, it is the content itself.
POINTER: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>0|[1-9][0-9]{0,15})\n"
)
ATTRIBUTES: Final = ".gitattributes"
MARK: Final = b"filter=lfs"
MARKS: Final = 200  # files of attributes that are read
MARK_BYTES: Final = 1 << 20


class Pointer(msgspec.Struct, frozen=True):
    """One pointer of a commit: its own mode and object in git, digest and size of the content that it stands for."""

    path: str
    mode: str
    blob: str
    sha256: str
    size: int


async def marked(git: Git, patch: Patch) -> Patch:
    """Add a finding for every changed file that the staged attributes give to Git LFS; deleting one is no finding."""
    known = {stray.path for stray in patch.strays}
    paths = [change.path for change in patch.files if change.mode != NONE and change.path not in known]
    strays = (Stray(Rule.LFS, path, WHAT) for path in await _filtered(git, paths))
    return msgspec.structs.replace(patch, strays=(*patch.strays, *strays))


async def is_used(git: Git, commit: str) -> bool:
    """Tell whether attributes of a commit give any file to Git LFS."""
    rows = await listed(git, commit)
    marks = [
        oid for path, (mode, oid) in rows.items()
        if path.rpartition("/")[2] == ATTRIBUTES and mode.startswith("100")
    ]  # fmt: skip
    sizes = await _sizes(git, marks)
    read = [oid for oid in marks if sizes[oid] <= MARK_BYTES][:MARKS]
    async with aclosing(git.objects(read)) as contents:
        async for content in contents:
            if MARK in content:
                return True
    return False


async def pointers(git: Git, commit: str, index: Path) -> list[Pointer]:
    """List the pointers that a commit has where its own attributes say so; `index` is a scratch path."""
    rows = {path: row for path, row in (await listed(git, commit)).items() if row[0].startswith("100")}
    sizes = await _sizes(git, list({oid for _, oid in rows.values()}))
    small = [path for path, (_, oid) in rows.items() if sizes[oid] <= POINTER_BYTES]
    env = {"GIT_INDEX_FILE": str(index)}
    await git.run("read-tree", commit, env=env)  # attributes are read from there
    kept = await _filtered(git, small, env)
    async with aclosing(git.objects([rows[path][1] for path in kept])) as contents:
        matches = [POINTER.fullmatch(content) async for content in contents]
    return [
        Pointer(path, *rows[path], match["oid"].decode(), int(match["size"]))
        for path, match in zip(kept, matches, strict=True) if match
    ]  # fmt: skip


async def _filtered(git: Git, paths: Iterable[str], env: Mapping[str, str] | None = None) -> list[str]:
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not asked:
        return []
    raw = await git.run("check-attr", "--cached", "-z", "--stdin", "filter", input=asked, env=env)
    fields = raw.split(b"\0")[:-1]
    return [os.fsdecode(path) for path, value in zip(fields[::3], fields[2::3], strict=True) if value == b"lfs"]


async def _sizes(git: Git, oids: list[str]) -> dict[str, int]:
    if not oids:
        return {}
    listing = await git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", input="\n".join(oids).encode())
    return {oid: int(size) for oid, size in (line.split() for line in listing.decode().splitlines())}
