"""What one jail may take of the machine, and the words for the bound that ended a run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from bot import settings
from runners.workspace import cgroup, process
from runners.workspace.disk import Growth

MEBI: Final = 1 << 20
TOO_LARGE: Final = 128 + 25  # SIGXFSZ, as a shell tells it
CROWDED: Final = 0.9  # of the processes there may be: at a time-out, a bomb sits a few below the bound


class Verdict(msgspec.Struct, frozen=True):
    """Which bound ended a run: `limit` for programs, `words` for people; both empty where none did."""

    limit: str = ""
    words: str = ""


class Standing(msgspec.Struct, frozen=True):
    """One bound on this machine; `by` is empty where nothing holds it, and `why` says why then."""

    name: str
    value: float
    unit: str
    by: str
    why: str = ""

    @property
    def words(self) -> str:
        """Say it in one line."""
        bound = f"{self.name}: {self.value:g} {self.unit}".rstrip()
        return f"{bound} ({self.by})" if self.by else f"{bound}: does not hold ({self.why or 'not granted here'})"


class Bounds:
    """The bounds of one jail, over all its runs together."""

    def __init__(self, table: settings.Sandbox, worktree: Path, note: Path) -> None:
        """Set the bounds; `note` is where a later worker finds the name of the group, to end what is left in it."""
        self._table = table
        self._growth = Growth(worktree, table.disk_mb * MEBI)
        self._group = _group(table)
        self._note = note
        self._watches: list[asyncio.Task[None]] = []
        self._has_ended = False
        if self._group:
            note.write_text(str(self._group.path))

    def enter(self) -> list[str]:
        """Name what is put before a command of the jail."""
        return self._group.enter() if self._group else []

    def counts(self) -> cgroup.Counts:
        """Read how often the group has met its bounds so far."""
        return self._group.counts() if self._group else cgroup.Counts()

    async def until_full(self) -> None:
        """Return when the worktree has grown too much."""
        await self._growth.until_passed()

    def begin(self) -> cgroup.Counts:
        """Note that a run begins; give what `judge` wants at its end."""
        self._growth.begin()
        return self.counts()

    async def judge(self, ended: process.Ended, before: cgroup.Counts) -> Verdict:
        """Name the bound that ended a run."""
        is_full = ended.stopped or await self._growth.end()
        return judged(self._table, ended, before, self.counts(), is_full=is_full)

    def follow(self, mark: str) -> None:
        """Watch a run that somebody else starts and ends, until `close`; without a running loop nobody does."""
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            self._growth.begin()
            self._watches.append(asyncio.ensure_future(self._follow(mark)))

    async def _follow(self, mark: str) -> None:
        try:
            await self._growth.until_passed()
        except FileNotFoundError:
            return  # the worktree is gone: nothing can fill it any more
        self._has_ended = True
        await process.sweep(mark)

    @property
    def passed(self) -> str:
        """Say which bound the jail has met so far, for runs that somebody else starts and ends."""
        if self._has_ended:
            return full(self._table).words
        return swollen(self._table).words if self.counts().killed else ""

    async def close(self) -> None:
        """End what is left and remove the group."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._watches.clear()
        await self._growth.close()
        await asyncio.to_thread(self.end)

    def end(self) -> None:
        """Remove the group with all that is in it, where nothing can be awaited."""
        if self._group:
            self._group.end()
            self._group = None
            self._note.unlink(missing_ok=True)


def clear(note: Path) -> None:
    """End the group that a worker which was killed left behind."""
    with suppress(FileNotFoundError):
        path = Path(note.read_text())
        if path.parent.name == cgroup.FOLDER and path.is_dir():
            cgroup.reap(path.parent)


def judged(  # noqa: PLR0911 - one line for each bound
    table: settings.Sandbox, ended: process.Ended, before: cgroup.Counts, after: cgroup.Counts, *, is_full: bool
) -> Verdict:
    """Decide which bound ended a run, the surest sign first."""
    failed = ended.exit_code != 0 or ended.timed_out
    if is_full:
        return full(table)
    if ended.flooded:
        return Verdict("output", ended.flooded)
    if failed and after.killed > before.killed:
        return swollen(table)
    if failed and (after.refused > before.refused or (ended.timed_out and ended.crowd >= CROWDED * table.processes)):
        return Verdict("processes", f"the command wanted more than {table.processes} processes (sandbox.processes)")
    if ended.timed_out:
        return Verdict("time")
    if ended.exit_code == TOO_LARGE:
        return Verdict("file", f"the command wrote a file of more than {table.file_mb} MB (sandbox.file_mb)")
    return Verdict()


def full(table: settings.Sandbox) -> Verdict:
    """Say that the worktree grew too much."""
    return Verdict("disk", f"stopped: the worktree grew by more than {table.disk_mb} MB (sandbox.disk_mb)")


def swollen(table: settings.Sandbox) -> Verdict:
    """Say that memory ran out."""
    used = f"the jail used more than {table.jail_memory_mb} MB of memory, all processes together"
    return Verdict("memory", f"stopped: {used} (sandbox.jail_memory_mb)")


def standing(table: settings.Sandbox) -> tuple[Standing, ...]:
    """Say for each bound of a jail what holds it on this machine; looks at the machine's control groups."""
    home = cgroup.find()
    group = {name: "cgroup" if name in home.holds else "" for name in cgroup.WANTED}
    mine = (
        Standing("memory of the jail", table.jail_memory_mb, "MB", group["memory"], home.why),
        Standing("memory of a process", table.memory_mb, "MB", "rlimit"),
        Standing("processes", table.processes, "", " and ".join(filter(None, [group["pids"], "rlimit"]))),
        Standing("CPUs", table.cpus, "", group["cpu"], home.why),
        Standing("largest file", table.file_mb, "MB", "rlimit"),
        Standing("scratch space", table.tmp_mb, "MB", "tmpfs"),
        Standing("growth of the worktree", table.disk_mb, "MB", "watch"),
        Standing("output of a command", process.FLOOD_BYTES >> 20, "MiB", "watch"),
    )
    return tuple(each for each in mine if each.value)


def _group(table: settings.Sandbox) -> cgroup.Group | None:
    home = cgroup.find()
    return cgroup.Group.make(home.path, cgroup.limits(table, home.holds)) if home.path else None
