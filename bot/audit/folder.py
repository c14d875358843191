"""One task's evidence folder as bytes, wherever it was read from."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bot.audit import layout
from bot.audit.objects import Objects
from bot.audit.sheet import Line

MAX_FILE: Final = 16 * 1024 * 1024  # forty times what we write
TASK: Final = re.compile(r"[a-z0-9-]{1,64}")
PLAIN: Final = "100644"


class Folder(msgspec.Struct, frozen=True):
    """The files below `.gatewright/tasks/<task>/`; `refused` are those that were not read, with the reason.

    `strangers` lie beside the folders of tasks, where no source digest and no task covers them.
    """

    task: str
    files: dict[str, bytes]
    refused: tuple[tuple[str, str], ...] = ()
    strangers: tuple[str, ...] = ()

    def path(self, name: str) -> str:
        """Name a file from the root of the repository."""
        return f"{layout.folder(self.task)}/{name}"

    @property
    def segments(self) -> list[str]:
        """The journal's files in order."""
        return sorted(name for name in self.files if layout.SEGMENT.fullmatch(name))

    def lines(self) -> Iterator[Line]:
        """Read all complete lines of the journal; what follows the last line feed is `torn`."""
        for name in self.segments:
            whole, _, _ = self.files[name].rpartition(b"\n")
            if self.files[name].endswith(b"\n") or whole:
                for number, content in enumerate(whole.split(b"\n"), 1):
                    yield Line(content, self.path(name), number)

    def torn(self) -> Iterator[Line]:
        """Read what stands after the last line feed of each segment."""
        for name in self.segments:
            _, _, rest = self.files[name].rpartition(b"\n")
            if rest:
                yield Line(rest, self.path(name), self.files[name].count(b"\n") + 1)


def tasks_in_directory(root: Path) -> list[str]:
    """List the tasks whose evidence lies in a checkout."""
    top = root / layout.ROOT
    if any(path.is_symlink() for path in (top, top.parent)) or not top.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(top) if TASK.fullmatch(entry.name))


def tasks_in_bundle(root: Path) -> list[str]:
    """List the tasks of a bundle that somebody unpacked."""
    top = root / "tasks"
    if top.is_symlink() or not top.is_dir() or not (root / "SHA256SUMS").is_file():
        return []
    return sorted(entry.name for entry in os.scandir(top) if TASK.fullmatch(entry.name))


def from_directory(path: Path, task: str) -> Folder:
    """Read a folder on disk; links and special files are refused, never followed."""
    files: dict[str, bytes] = {}
    refused: list[tuple[str, str]] = []
    if path.is_symlink():
        return Folder(task, {}, ((".", "is a symbolic link"),))
    for parent, folders, names in os.walk(path):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*links, *names):
            relative = (here / name).relative_to(path).as_posix()
            content = _read(here / name)
            if isinstance(content, str):
                refused.append((relative, content))
            else:
                files[relative] = content
    return Folder(task, files, tuple(sorted(refused)), _beside(path))


def _beside(path: Path) -> tuple[str, ...]:
    """List what lies beside a task's folder and is no task's, where that folder is in its place."""
    top = path.resolve().parent
    if top.parts[-2:] != tuple(layout.ROOT.split("/")):
        return ()
    entries = ((entry.name, entry.is_dir(follow_symlinks=False)) for entry in os.scandir(top))
    return tuple(sorted(name for name, is_folder in entries if not (is_folder and TASK.fullmatch(name))))


def tasks_in_commit(objects: Objects, commit: str) -> list[str]:
    """List the tasks whose evidence a commit holds."""
    tree = objects.find(commit, layout.ROOT.encode())
    if tree is None or not tree.is_tree:
        return []
    names = (entry.path.decode("utf-8", errors="replace") for entry in objects.tree(tree.oid))
    return sorted(name for name in names if TASK.fullmatch(name))


def from_commit(objects: Objects, commit: str, task: str) -> Folder:
    """Read a folder out of a commit, every object checked against its id; only plain files are read."""
    top = objects.find(commit, layout.folder(task).encode())
    if top is None:
        return Folder(task, {})
    if not top.is_tree:
        return Folder(task, {}, ((".", f"is not a directory (mode {top.mode})"),))
    files: dict[str, bytes] = {}
    refused: list[tuple[str, str]] = []
    root = objects.find(commit, layout.ROOT.encode())
    beside = [
        entry.path.decode("utf-8", errors="backslashreplace")
        for entry in (objects.tree(root.oid) if root is not None else ())
        if not (entry.is_tree and TASK.fullmatch(entry.path.decode("utf-8", errors="replace")))
    ]
    for entry in objects.walk(top.oid):
        name = entry.path.decode("utf-8", errors="backslashreplace")
        if entry.mode != PLAIN:
            refused.append((name, f"has mode {entry.mode}; evidence is plain files, {PLAIN}"))
        else:
            files[name] = objects.read(entry.oid, "blob")
    return Folder(task, files, tuple(refused), tuple(sorted(beside)))


def _read(path: Path) -> bytes | str:
    """Read a regular file, or say why not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return "is a symbolic link" if path.is_symlink() else f"cannot be read ({error.strerror})"
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "is not a regular file"
        if status.st_size > MAX_FILE:
            return f"is larger than {MAX_FILE} bytes"
        return file.read(MAX_FILE + 1)
