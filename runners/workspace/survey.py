"""A walk over a hostile tree that nobody leads astray: folders are opened relative to the one before, links never."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from bot.model.errors import GatewrightError
from runners.workspace.copies import FOLDER

LONGEST: Final = 4_096 - 1  # bytes of a path that git can name
HANDLE: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Survey(msgspec.Struct):
    """What a walk over the tree saw; directories are real ones, reached through no link."""

    directories: set[str]
    special: list[str]
    deep: list[str]
    fresh: set[str]  # changed in or after the second in which the index was written


def look(tree: Path, most: int, since: int) -> Survey:
    """Walk a tree without following links; raise GW-PATCH-ENTRIES where it holds too much to walk.

    Files that changed at `since` (Unix seconds) or later, whatever their own times say, are named apart. A folder that
    is swapped for something else while the walk goes on is no directory.
    """
    survey = Survey({""}, [], [], set())
    todo, seen = [""], 0
    room = LONGEST - len(os.fsencode(tree)) - 1
    root = os.open(tree, FOLDER)
    try:
        while todo:
            below = todo.pop()
            if len(os.fsencode(below)) > room:
                survey.deep.append(below)
                continue
            todo += (found := _note(root, below, since, survey))[0]
            seen += found[1]
            if seen > most:
                raise GatewrightError(
                    "GW-PATCH-ENTRIES",
                    f"the worktree holds more than {most} files",
                    why="the agent or a command it ran filled it",
                    fix="look at the transcript, then `revise` or `retry`",
                )
    finally:
        os.close(root)
    return survey


def _note(root: int, below: str, since: int, survey: Survey) -> tuple[list[str], int]:
    """Note what stands in one folder; give the folders within it and the count of entries."""
    folders, seen = [], 0
    with _opened(root, below) as here:
        if here is None:
            survey.directories.discard(below)
            return [], 0
        with os.scandir(here) as entries:
            for entry in entries:
                seen += 1
                path = f"{below}/{entry.name}" if below else entry.name
                if path == ".git":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    survey.directories.add(path)
                    folders.append(path)
                elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                    survey.special.append(path)
                elif _changed(entry) >= since:
                    survey.fresh.add(path)
    return folders, seen


@contextmanager
def _opened(root: int, below: str) -> Iterator[int | None]:
    """Open a folder, None where a link or nothing stands on the way."""
    here: int | None = os.dup(root)
    try:
        for part in below.split("/") if below else ():
            assert here is not None  # noqa: S101 - left by `break` below
            above, here = here, None
            try:
                here = _entered(above, part)
            except OSError:  # swapped, or gone
                break
            finally:
                os.close(above)
        yield here
    finally:
        if here is not None:
            os.close(here)


def _entered(above: int, name: str) -> int:
    """Open one folder; one of our own that nobody may read (an ordinary worker shares the jail's user) is opened up."""
    try:
        return os.open(name, FOLDER, dir_fd=above)
    except PermissionError:
        handle = os.open(name, HANDLE, dir_fd=above)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101 - this very folder, whatever its name is now
            return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finally:
            os.close(handle)


def _changed(entry: os.DirEntry[str]) -> float:
    """Tell when a file changed by the time that nobody can set; one that is gone needs no look."""
    try:
        return entry.stat(follow_symlinks=False).st_ctime
    except FileNotFoundError:
        return -1.0
