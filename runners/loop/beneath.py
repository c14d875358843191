"""File access below a worktree that a hostile program may have arranged.

Python has no openat2, so a path is walked component by component with directory descriptors, and nothing on the way
may be a symbolic link:
  (1) the path is taken apart as text: no `..`, nothing outside the worktree, nothing that agents may not see;
  (2) every folder is opened with O_DIRECTORY | O_NOFOLLOW relative to the one before;
  (3) a file is opened with O_NOFOLLOW | O_NONBLOCK and must then be a regular one, so a FIFO cannot hold us;
  (4) writing makes a new file beside the old one and renames it, so hard links and open descriptors keep the old bytes.
Only the standard library is imported here: the search program starts from it (runners/loop/search.py).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Self

from runners.loop.errors import ToolFault

MAX_FILE: Final = 10 * 1024 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EVIDENCE: Final = (".gatewright", "tasks")

Parts = tuple[str, ...]


def is_hidden(parts: Parts) -> bool:
    """Tell whether agents may not even see this: they never read the evidence they are judged by."""
    return tuple(part.casefold() for part in parts[:2]) == _EVIDENCE


class Beneath:
    """One worktree, held open by descriptor; `inside` is the absolute path under which agents know it."""

    def __init__(self, root: Path | int, inside: str = "/workspace") -> None:
        self._root = os.open(root, _FOLDER) if isinstance(root, Path) else os.dup(root)
        self._inside = inside.rstrip("/")
        state = os.fstat(self._root)
        self.owner = (state.st_uid, state.st_gid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)
        self._root = -1  # its number may soon name something else

    def fileno(self) -> int:
        """Lend the descriptor of the worktree."""
        return self._root

    def parts(self, path: str) -> Parts:
        """Take a path apart (1): relative, or absolute below the worktree as the agent sees it."""
        text = path
        if path.startswith("/"):
            if path != self._inside and not path.startswith(self._inside + "/"):
                raise ToolFault(f"{path}: outside {self._inside}; file tools see only what is below it.")
            text = path[len(self._inside) :]
        parts = tuple(part for part in text.split("/") if part not in ("", "."))
        if ".." in parts:
            raise ToolFault(f"{path}: `..` is not allowed; name the path from {self._inside}.")
        if "\0" in path or not _is_text(path):
            raise ToolFault(f"{path!r}: not a valid path.")
        if is_hidden(parts):
            raise ToolFault(f"{path}: the task's evidence is not open to agents.")
        return parts

    @contextmanager
    def folder(self, parts: Parts, *, create: bool = False) -> Iterator[int]:
        """Open a folder (2); what `create` makes belongs to the owner of the worktree."""
        here = os.dup(self._root)
        try:
            for depth, part in enumerate(parts):
                try:
                    if create:
                        self._make(here, part)
                    below = os.open(part, _FOLDER, dir_fd=here)
                except OSError as error:
                    raise _fault(error, "/".join(parts[: depth + 1]), here, part) from None
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    def is_file(self, parts: Parts) -> bool:
        """Tell whether a regular file is there; links do not count."""
        if not parts:
            return False
        with self.folder(parts[:-1]) as folder:
            try:
                return stat.S_ISREG(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode)
            except OSError:
                return False

    def read(self, path: str, limit: int = MAX_FILE) -> bytes:
        """Read a whole regular file of at most `limit` bytes."""
        parts = self.parts(path)
        if not parts:
            raise ToolFault(f"{path}: is a folder; use list.")
        with self.folder(parts[:-1]) as folder:
            return self.read_in(folder, parts[-1], path, limit)

    def read_in(self, folder: int, name: str, path: str, limit: int = MAX_FILE) -> bytes:
        """Read one file of an open folder (3); `path` is what errors call it."""
        try:
            handle = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            raise _fault(error, path, folder, name) from None
        try:
            mode = os.fstat(handle).st_mode
            if stat.S_ISDIR(mode):
                raise ToolFault(f"{path}: is a folder; use list.")
            if not stat.S_ISREG(mode):
                raise ToolFault(f"{path}: not a regular file.")
            with open(handle, "rb", closefd=False) as file:
                content = file.read(limit + 1)
        finally:
            os.close(handle)
        if len(content) > limit:
            raise ToolFault(f"{path}: larger than {limit:,} bytes; look at part of it with run, where that is offered.")
        return content

    def write(self, path: str, content: bytes) -> bool:
        """Put a file in place whole or not at all (4), keeping its mode; tell whether it is new."""
        parts = self.parts(path)
        if not parts:
            raise ToolFault(f"{path}: is a folder.")
        if any(part.casefold() == ".git" for part in parts):
            raise ToolFault(f"{path}: git's own files are not written by tools; the harness makes the commits.")
        if len(content) > MAX_FILE:
            raise ToolFault(f"{path}: {len(content):,} bytes are more than the {MAX_FILE:,} that a tool may write.")
        with self.folder(parts[:-1], create=True) as folder:
            mode = _mode(folder, parts[-1], path)
            try:
                self._replace(folder, parts[-1], content, 0o644 if mode is None else mode)
            except OSError as error:
                raise _fault(error, path, folder, parts[-1]) from None
            return mode is None

    def _replace(self, folder: int, name: str, content: bytes, mode: int) -> None:
        temporary = f".{secrets.token_hex(8)}.gatewright"
        handle = os.open(temporary, _NEW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                self._own(handle)
                os.fchmod(handle, mode)  # after chown, which clears bits
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise

    def _make(self, folder: int, name: str) -> None:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=folder)
            if os.geteuid() == 0:
                os.chown(name, *self.owner, dir_fd=folder, follow_symlinks=False)

    def _own(self, handle: int) -> None:
        if os.geteuid() == 0:
            os.fchown(handle, *self.owner)


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mode(folder: int, name: str, path: str) -> int | None:
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _fault(error, path, folder, name) from None
    if not stat.S_ISREG(mode):
        raise ToolFault(f"{path}: {_kind(mode)}; file tools write only regular files.")
    return stat.S_IMODE(mode) & 0o777


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link, which file tools do not follow"
    if stat.S_ISREG(mode):
        return "a file, not a folder"
    return "a folder" if stat.S_ISDIR(mode) else "not a regular file"


def _fault(error: OSError, path: str, folder: int, name: str) -> ToolFault:
    if error.errno == errno.ENOENT:
        return ToolFault(f"{path}: no such file or folder.{_near(name, os.listdir(folder))}")
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
        with suppress(OSError):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            return ToolFault(f"{path}: {_kind(mode)}.")
    return ToolFault(f"{path}: {os.strerror(error.errno or 0)}.")


def _near(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=3)
    return f" Beside it: {', '.join(close)}." if close else ""
