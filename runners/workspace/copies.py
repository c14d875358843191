"""Copies of an agent's files in a directory of ours, for git to read in the tree's place.

Git looks at a path's folders once and then opens files by their whole path: a folder that is swapped for a link in
between would have it read whatever the worker may. Here every folder is opened relative to the one before.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 20
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a FIFO cannot hold us
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def take(tree: Path, names: Iterable[str], target: Path, most: int) -> list[str]:
    """Copy files and links of a tree into a new directory; name those that are none now, or exceed `most` bytes.

    Size, times and the owner's bits come along; links are made again, never followed.
    """
    target.mkdir(mode=0o700)
    root = os.open(tree, FOLDER)
    try:
        return [name for name in names if not _take(root, name, target / name, most)]
    finally:
        os.close(root)


def digest(tree: Path, name: str, most: int) -> tuple[str, int, str] | None:
    """Read mode as git has it, size and sha256 of a regular file that no link leads to; None where there is none.

    The digest of a file of more than `most` bytes is empty.
    """
    root = os.open(tree, FOLDER)
    try:
        *above, last = name.split("/")
        with _folder(root, above) as folder:
            handle = None if folder is None else _open(folder, last)
        if handle is None:
            return None
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            mode = "100755" if found.st_mode & stat.S_IXUSR else "100644"
            said = hashlib.file_digest(file, "sha256").hexdigest() if found.st_size <= most else ""
            return mode, found.st_size, said
    finally:
        os.close(root)


def put(tree: Path, name: str, source: Path) -> str:
    """Replace a regular file of a fresh tree by a copy of ours, in its mode; return the sha256 of the copy."""
    root, hashed = os.open(tree, FOLDER), hashlib.sha256()
    try:
        *above, last = name.split("/")
        with _folder(root, above) as folder, source.open("rb") as content:
            if folder is None:
                raise FileNotFoundError(name)
            mode = stat.S_IMODE(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode)
            os.unlink(last, dir_fd=folder)
            with os.fdopen(os.open(last, NEW, mode, dir_fd=folder), "wb") as out:
                while chunk := content.read(CHUNK):
                    hashed.update(chunk)
                    out.write(chunk)
    finally:
        os.close(root)
    return hashed.hexdigest()


def _take(root: int, name: str, goal: Path, most: int) -> bool:
    *above, last = name.split("/")
    with _folder(root, above) as folder:
        if folder is None:
            return False
        handle = _open(folder, last)
        if handle is None:
            return _link(folder, last, goal)
        try:
            return _copy(handle, goal, most)
        finally:
            os.close(handle)


@contextmanager
def _folder(root: int, parts: list[str]) -> Iterator[int | None]:
    """Open a folder below another, None where a link or nothing stands on the way."""
    here: int | None = os.dup(root)
    try:
        for part in parts:
            below = _opened(part, FOLDER, here)
            if here is not None:
                os.close(here)
            here = below
            if here is None:
                break
        yield here
    finally:
        if here is not None:
            os.close(here)


def _open(folder: int, name: str) -> int | None:
    """Open a regular file, None where there is something else; an unreadable one of our own is made readable."""
    seen = _opened(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, folder)
    if seen is None:
        return None
    try:
        found = os.fstat(seen)
        if not stat.S_ISREG(found.st_mode):
            return None
        if not found.st_mode & stat.S_IRUSR and found.st_uid == os.geteuid():
            os.chmod(f"/proc/self/fd/{seen}", stat.S_IMODE(found.st_mode) | stat.S_IRUSR)  # noqa: PTH101 - this very file
    finally:
        os.close(seen)
    return _opened(name, FILE, folder)


def _opened(name: str, flags: int, folder: int | None) -> int | None:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError:  # gone, a link, or not for us: the caller reports the name
        return None


def _link(folder: int, name: str, goal: Path) -> bool:
    try:
        leads = os.readlink(name, dir_fd=folder)
    except OSError:  # neither a link nor a file
        return False
    goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    goal.symlink_to(leads)
    return True


def _copy(handle: int, goal: Path, most: int) -> bool:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):  # another one, since it was looked at
        return False
    goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(goal, NEW, 0o600), "wb") as out:
        copied = 0
        while chunk := os.read(handle, CHUNK):
            copied += len(chunk)
            if copied > most:  # it grew
                return False
            out.write(chunk)
        out.flush()
        os.fchmod(out.fileno(), 0o700 if found.st_mode & stat.S_IXUSR else 0o600)
        os.utime(out.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
    return True
