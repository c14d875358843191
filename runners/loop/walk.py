"""Walking a worktree and matching its paths; standard library only, as the search program needs it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, NamedTuple

from runners.loop.beneath import Beneath, Parts, is_hidden
from runners.loop.errors import ToolFault

MAX_ENTRIES: Final = 200_000
MAX_DEPTH: Final = 64


class Entry(NamedTuple):
    """A name in an open folder; links are named, never followed."""

    name: str
    kind: str  # "file", "folder", "link" or "other"
    target: str = ""  # where a link points


class Folder(NamedTuple):
    """A folder with its entries; `descriptor` is open until the walk goes on."""

    parts: Parts
    descriptor: int
    entries: Sequence[Entry]

    def path(self, name: str) -> str:
        """Name an entry from the worktree's root, in printable UTF-8 whatever bytes the name is made of."""
        raw = "/".join((*self.parts, name)).encode(errors="surrogateescape").decode(errors="replace")
        return raw if raw.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in raw)


def walk(files: Beneath, start: Parts, *, deep: bool, deadline: float) -> Iterator[Folder]:
    """Yield folders in order of their paths, without `.git` and the evidence; `deadline` is monotonic seconds."""
    waiting = [start]
    seen = 0
    while waiting:
        parts = waiting.pop()
        with ExitStack() as stack:
            try:
                descriptor = stack.enter_context(files.folder(parts))
            except ToolFault:
                if parts == start:
                    raise
                continue  # closed to us, or gone since it was listed
            entries = sorted(_entries(descriptor, parts))
            seen += len(entries)
            if seen > MAX_ENTRIES or time.monotonic() > deadline:
                raise ToolFault("too much to walk through; name a folder below it.")
            yield Folder(parts, descriptor, entries)
            if deep and len(parts) < MAX_DEPTH:
                waiting.extend((*parts, entry.name) for entry in reversed(entries) if entry.kind == "folder")


def _entries(descriptor: int, parts: Parts) -> Iterator[Entry]:
    with os.scandir(descriptor) as found:
        for item in found:
            if item.name != ".git" and not is_hidden((*parts, item.name)):
                yield _entry(descriptor, item)


def _entry(descriptor: int, item: os.DirEntry[str]) -> Entry:
    if item.is_symlink():
        return Entry(item.name, "link", os.readlink(item.name, dir_fd=descriptor))
    if item.is_dir(follow_symlinks=False):
        return Entry(item.name, "folder")
    mode = item.stat(follow_symlinks=False).st_mode
    return Entry(item.name, "file" if stat.S_ISREG(mode) else "other")


def matches(path: str, glob: str) -> bool:
    """Match a path as .gitignore would read the glob: without a slash at any depth, `**` over any number of folders."""
    pattern = tuple(glob.strip("/").split("/"))
    if len(pattern) == 1:
        pattern = ("**", *pattern)
    return _matches(tuple(path.split("/")), pattern)


@lru_cache(maxsize=4096)
def _matches(parts: Parts, pattern: Parts) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
