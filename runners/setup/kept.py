"""Which files of a set-up are kept: those that the base commit's own rules have git ignore."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from runners.workspace.files import erase
from runners.workspace.git import Git

RULES: Final = ".gitignore"


async def keep(git_dir: Path, base: str, tree: Path, goal: Path, scratch: Path) -> None:
    """Move what is to be kept from a tree in which no jail runs any more into `goal`.

    No rule that the set-up has written counts: what is kept must not become part of a change later.
    """
    judge = await _rules(git_dir, base, scratch)
    git, env = Git(git_dir, tree), {"GIT_INDEX_FILE": str(scratch / "index")}
    await git.run("read-tree", base, env=env)
    whole = await _others(git, env, "--directory", "--no-empty-directory")
    ignored = await _ignored(judge, whole)
    mixed = [path for path in whole if path.endswith(b"/") and path not in ignored]
    if mixed:
        literal = [os.fsdecode(b":(literal)" + path) for path in mixed]
        ignored |= await _ignored(judge, [path for each in literal for path in await _others(git, env, "--", each)])
    goal.mkdir()  # noqa: ASYNC240 - quick, and no reason for a thread
    for path in sorted(ignored):
        _move(tree, goal, os.fsdecode(path.rstrip(b"/")))


async def _rules(git_dir: Path, base: str, scratch: Path) -> Git:
    """Write the rules of a commit, and nothing else of it, to where git can ask them."""
    await erase(scratch)
    pristine = scratch / "rules"
    pristine.mkdir(parents=True)
    git = Git(git_dir)
    for line in (await git.run("ls-tree", "-r", "-z", base)).split(b"\0")[:-1]:
        meta, path = line.split(b"\t", 1)
        if path.rpartition(b"/")[2] == RULES.encode() and meta.startswith(b"100"):
            place = pristine / os.fsdecode(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(await git.run("cat-file", "blob", meta.split()[2].decode()))
    return Git(git_dir, pristine)


async def _others(git: Git, env: dict[str, str], *args: str) -> list[bytes]:
    return (await git.run("ls-files", "-z", "--others", *args, env=env)).split(b"\0")[:-1]


async def _ignored(judge: Git, paths: Sequence[bytes]) -> set[bytes]:
    if not paths:
        return set()
    asked = b"\0".join(paths) + b"\0"
    found = await judge.call("check-ignore", "-z", "--no-index", "--stdin", input=asked)  # 1: none of them
    return set(found.out.split(b"\0")[:-1])


def _move(tree: Path, goal: Path, path: str) -> None:
    """Rename: git names no path through a link, and nothing that could change that runs."""
    (goal / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).rename(goal / path)
