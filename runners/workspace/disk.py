"""How much the runs of one jail add to its worktree: measured seldom while little happens, at once when much does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from runners.workspace.options import PATH

TICK: Final = 0.25  # seconds between looks at the free space, which cost microseconds
REST: Final = 1.0  # seconds between measurements, and at least ten times as long as one takes
SHARE: Final = 10
DU_SECONDS: Final = 60


class Growth:
    """The worktree of one jail against a bound in bytes; what was there when the first run began does not count."""

    def __init__(self, tree: Path, most: int) -> None:
        self.passed = False
        self._tree = tree
        self._most = most
        self._first: asyncio.Task[int] | None = None  # bytes that are not the runs'
        self._free = self._full = _free(tree)  # at the last look, and before the first run
        self._due = 0.0
        self._lock = asyncio.Lock()

    def begin(self) -> None:
        """Note that a run begins; one that met the bound before may have made room, or makes it now."""
        self.passed = False
        if self._most and self._first is None:
            self._free = self._full = _free(self._tree)
            self._first = asyncio.ensure_future(self._base())

    async def end(self) -> bool:
        """Note that a run has ended, and tell whether it has passed the bound."""
        if not self.passed and self._most and self._is_due():
            await self._look()
        return self.passed

    async def until_passed(self) -> None:
        """Return when the bound is passed, never otherwise."""
        while not self.passed:
            await asyncio.sleep(TICK if self._most else 3600)
            if self._most and self._is_due():
                await self._look()

    async def close(self) -> None:
        """End a measurement that nobody waits for any more."""
        if self._first is not None:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)

    def _is_due(self) -> bool:
        """Tell whether it is time, or the disk fills; others' files may hide that, and time does not."""
        return time.monotonic() >= self._due or self._free - _free(self._tree) >= self._most // 4

    async def _base(self) -> int:
        used, _ = await measure(self._tree)
        self._due = time.monotonic() + REST
        return used

    async def _look(self) -> None:
        async with self._lock:
            first = await asyncio.shield(self._first) if self._first else 0
            begun = time.monotonic()
            used, is_whole = await measure(self._tree)
            self._free = _free(self._tree)
            added, lost = used - first, self._full - self._free
            if added <= self._most < lost:  # the disk fills, and not by what has a name
                added += held(self._tree, descendants(os.getpid()))
            self.passed = added > self._most or (not is_whole and lost > self._most)
            self._due = time.monotonic() + max(REST, SHARE * (time.monotonic() - begun))


async def measure(tree: Path) -> tuple[int, bool]:
    """Add up the bytes that a tree takes on its disk, following nothing; False where part of it could not be read."""
    return await asyncio.to_thread(_du, tree)


def _du(tree: Path) -> tuple[int, bool]:
    """Ask du, in a thread: whoever is cancelled meanwhile need not wait for its end."""
    argv = ["du", "-sxB1", "--", str(tree)]
    env = {"PATH": PATH, "LC_ALL": "C"}
    try:
        said = subprocess.run(argv, env=env, cwd="/", capture_output=True, timeout=DU_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return 0, False
    first = said.stdout.split(b"\t", 1)[0]
    return int(first) if first.isdigit() else 0, b"Permission denied" not in said.stderr


def held(tree: Path, pids: Collection[int]) -> int:
    """Add up files on the tree's disk that have no name any more and are held open."""
    device, seen = tree.stat().st_dev, {}
    for pid in pids:
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    found = Path(entry.path).stat()
                    if found.st_dev == device and found.st_nlink == 0:
                        seen[found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


def descendants(pid: int) -> set[int]:
    """List what a process has started, and what these have, however they changed session or parent in their jail."""
    children: dict[int, list[int]] = {}
    for each, (parent, _) in _table():
        children.setdefault(parent, []).append(each)
    found: set[int] = set()
    todo = [pid]
    while todo:
        new = [each for each in children.get(todo.pop(), ()) if each not in found]
        found.update(new)
        todo += new
    return found


def crowd(pid: int) -> int:
    """Count the threads of all that a process has started."""
    mine = descendants(pid)
    return sum(threads for each, (_, threads) in _table() if each in mine)


def _table() -> Iterator[tuple[int, tuple[int, int]]]:
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208 - names are all it takes
        with suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            yield int(name), (int(fields[1]), int(fields[17]))


def _free(tree: Path) -> int:
    found = os.statvfs(tree)
    return found.f_bfree * found.f_frsize
