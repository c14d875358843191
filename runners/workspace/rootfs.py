"""A team's own root file system in place of this machine's programs, as bubblewrap options.

Nothing here follows a link of the root file system on the host: links are made anew inside, where they can lead
nowhere but inside, and only real files and directories are bound.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from bot.model.errors import GatewrightError
from runners.workspace.reach import blocked

ALWAYS_OURS: Final = ("dev", "home", "proc", "run", "sys", "tmp", "workspace")
SHELLS: Final = ("/bin/bash", "/bin/sh")
LINKS: Final = 40  # as many as Linux follows
CERTIFICATES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki")


def checked(root: Path, worktree: Path, uid: int | None, groups: tuple[int, ...] = ()) -> Path:
    """Return the folder that `sandbox.rootfs` names, resolved; raise GW-SANDBOX-ROOTFS where it cannot be a root."""
    if not root.is_absolute() or not root.is_dir():
        raise _bad(f"sandbox.rootfs = {str(root)!r} is no folder", "it has to be an absolute path that is there")
    place = root.resolve()
    if worktree.resolve().is_relative_to(place):
        why = f"{worktree} lies in it: agents would see the work of others, and perhaps all of this machine"
        raise _bad(f"sandbox.rootfs = {str(root)!r} is not a folder of its own", why)
    if (at := blocked(place / "bin", uid, groups)) is not None:
        who = f"user {uid}" if uid is not None else "you"
        raise _bad(f"the sandbox cannot get into {place}", f"{at} does not let {who} pass", f"chmod o+x {at}")
    if shell(place) is None:
        what = f"the root file system {place} lacks a program: /bin/sh"
        raise _bad(what, "agents and checks run their commands by it")
    return place


def shell(root: Path) -> str | None:
    """Name the shell of a root file system; bash where it has one, for that is what most agents know."""
    return next((path for path in SHELLS if _is_program(found(root, path))), None)


def found(root: Path, path: str) -> Path | None:
    """Find a path of the jail below `root` as the jail will see it; None where it is not there.

    Links are followed as if `root` were /, which no `..` leaves.
    """
    todo = [part for part in reversed(PurePosixPath(path).parts) if part != "/"]
    at: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            at = at[:-1]
            continue
        place = root.joinpath(*at, part)
        try:
            mode = place.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISLNK(mode):
            at.append(part)
            continue
        links += 1
        if links > LINKS:
            return None
        goal = PurePosixPath(place.readlink())
        at = [] if goal.is_absolute() else at
        todo += [each for each in reversed(goal.parts) if each != "/"]
    return root.joinpath(*at)


def system(root: Path, ours: Sequence[str], binds: Sequence[str]) -> list[str]:
    """Show a root file system read-only, with room for what will be mounted in it.

    `ours` and `binds` are paths inside. Where the root file system has another thing in the way of `ours`, ours wins;
    in the way of one of `binds`, GW-SANDBOX-ROOTFS says so.
    """
    shown = _Shown(root, frozenset(ours), frozenset(binds))
    listed = list(shown.directory("/"))
    if not any(found(root, path) for path in CERTIFICATES):  # small images come without
        listed += ["--ro-bind-try", "/etc/ssl", "/etc/ssl", "--ro-bind-try", "/etc/pki", "/etc/pki"]
    return listed


def homes(root: Path, taken: Sequence[str]) -> list[str]:
    """Show what an image keeps in /home, beside the agent's own; to be mounted after the empty /home."""
    listed: list[str] = []
    for entry in _entries(root / "home"):
        at = f"/home/{entry.name}"
        if entry.is_dir(follow_symlinks=False) and not any(_meets(at, each) for each in taken):
            listed += ["--ro-bind", entry.path, at]
    return listed


class _Shown:
    """What of a root file system is bound, what is linked, and what is opened up so that something fits in."""

    def __init__(self, root: Path, ours: frozenset[str], binds: frozenset[str]) -> None:
        self._root = root
        self._binds = binds
        self._wanted = ours | {each for each in binds if not self._has(each)}

    def directory(self, at: str) -> Iterator[str]:
        """Open up one directory: a new one, with each entry of the old.

        The old one is mounted beside it, as deep, so that relative links in it lead where they did.
        """
        if at != "/":
            yield from ("--dir", at)
        if at.count("/") == 1 and at != "/":
            yield from ("--ro-bind", str(self._root / at[1:]), _aside(at))
        for entry in _entries(self._root / at[1:]):
            inside = f"{at.rstrip('/')}/{entry.name}"
            is_skipped = at == "/" and (entry.name in ALWAYS_OURS or entry.name.startswith("."))
            if not is_skipped and inside not in self._wanted:
                yield from self._entry(entry, inside)

    def _entry(self, entry: os.DirEntry[str], inside: str) -> Iterator[str]:
        within = [each for each in self._wanted if each.startswith(f"{inside}/")]
        is_directory = entry.is_dir(follow_symlinks=False)
        is_top = inside.count("/") == 1
        if within and is_directory:
            yield from self.directory(inside)
        elif within:
            self._refuse(within, inside)
        elif entry.is_symlink():
            yield from ("--symlink", str(Path(entry.path).readlink()), inside)
        elif is_top or (is_directory and not inside.startswith("/etc/")):
            if is_directory or entry.is_file(follow_symlinks=False):
                yield from ("--ro-bind", entry.path, inside)
        else:  # a link costs nothing; a mount for each file would
            yield from ("--symlink", _aside(inside), inside)

    def _refuse(self, within: Sequence[str], inside: str) -> None:
        for each in self._binds.intersection(within):
            why = f"{inside} is a link or a file in {self._root}"
            raise _bad(f"{each} cannot be shown in the root file system", why, "name the path that it leads to")

    def _has(self, path: str) -> bool:
        """Tell whether a mount fits where the root file system has something real already."""
        if path.startswith("/etc/"):  # made of links, on which nothing is mounted
            return False
        place = self._root / path.lstrip("/")
        return found(self._root, path) == place


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    if directory.is_symlink() or not directory.is_dir():
        return []
    with os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _aside(inside: str) -> str:
    return f"/.{inside[1:]}"


def _meets(one: str, other: str) -> bool:
    return PurePosixPath(one).is_relative_to(other) or PurePosixPath(other).is_relative_to(one)


def _is_program(path: Path | None) -> bool:
    return path is not None and path.is_file() and bool(path.stat().st_mode & stat.S_IXOTH)


def _bad(what: str, why: str, fix: str = "") -> GatewrightError:
    usual = "unpack an image of yours into it: docker export CONTAINER | tar -x -C FOLDER"
    return GatewrightError("GW-SANDBOX-ROOTFS", what, why=why, fix=fix or usual)
