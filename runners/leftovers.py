"""What dead tasks left on this machine: removed by age, when a worker starts; commits that are nowhere else stay."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import structlog

from runners.workspace import lock
from runners.workspace.files import erase_now
from runners.workspace.mirror import DAMAGED
from runners.workspace.worktree import BASE, HEAD, SAFE

# A task that waits for people for longer loses no work by it: its next attempt makes its tree again.
OLD_SECONDS: Final = 7 * 24 * 3600.0


def clear(work: Path, now: float | None = None) -> None:
    """Remove what nothing has touched for a week: trees, jails, damaged mirrors, content of submodules and Git LFS.

    Tasks at work are left alone.
    """
    before = (time.time() if now is None else now) - OLD_SECONDS
    for path in _old(work / "jails", "*", before):
        _remove(path)
    for path in _old(work / "mirrors", f"*{DAMAGED}*", before):
        _remove(path)
    for path in (*_old(work / "submodules", "*/*.git", before), *_old(work / "lfs", "*/*", before)):
        _remove(path)  # fetched anew where a base names it again; each attempt makes young what it shows
    for path in _old(work / "tasks", "*.lock", before):
        _clear_task(path)


def _clear_task(path: Path) -> None:
    held = lock.take(path)
    if held is None:
        return  # an attempt stands there
    try:
        directory = path.with_suffix("")
        if _is_saved(directory):
            _remove(directory)
            path.unlink()
        elif (directory / "tree").exists():
            erase_now(directory / "tree")
            structlog.get_logger().warning(
                "worktree.kept", task=directory.name, path=str(directory / "git"),
                why="it holds commits that were never pushed", fix="push or drop them, then remove the directory",
            )  # fmt: skip
    finally:
        os.close(held)


def _is_saved(directory: Path) -> bool:
    """Tell whether the head a worktree was left with is its base or safe elsewhere; starts no git for it."""
    base, head, safe = (_line(directory / "git" / ref) for ref in (BASE, HEAD, SAFE))
    return head in ("", base, safe)


def _line(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""


def _old(folder: Path, pattern: str, before: float) -> list[Path]:
    return [path for path in folder.glob(pattern) if path.lstat().st_mtime < before]


def _remove(path: Path) -> None:
    erase_now(path)
    structlog.get_logger().info("leftover.removed", path=str(path))
