"""What a repository's [setup] has made, as later jails see it: a tree to copy from, and pieces of a home."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TREE, HOME = "tree", "home"  # in the folder of one result
SOURCE: Final = "/opt/gw/setup"


def options(folder: Path, home: str) -> list[str]:
    """Show a result read-only; directories of the home itself stay writable, what lies in them does not.

    A tool finds its cache that way and can still put a folder of its own beside it.
    """
    return ["--ro-bind", str(folder / TREE), SOURCE, *pieces(folder / HOME, home)]


def pieces(folder: Path, home: str) -> list[str]:
    """List a home's entries and those of its directories; links are made anew, never followed on the host."""
    return [part for entry in _entries(folder) for part in _shown(entry, home)]


def _shown(entry: os.DirEntry[str], home: str) -> Iterator[str]:
    inside = f"{home}/{entry.name}"
    if not entry.is_dir(follow_symlinks=False):
        yield from _piece(entry, inside)
        return
    yield from ("--dir", inside)
    for each in _entries(Path(entry.path)):
        yield from _piece(each, f"{inside}/{each.name}")


def _piece(entry: os.DirEntry[str], inside: str) -> Iterator[str]:
    if entry.is_symlink():
        yield from ("--symlink", str(Path(entry.path).readlink()), inside)
    elif entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
        yield from ("--ro-bind", entry.path, inside)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)
