"""Control groups (version 2): one bound over all processes of a jail together, where this machine grants it."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from bot import settings
from bot.model.errors import GatewrightError

WANTED: Final = ("memory", "pids", "cpu")
LEAF: Final = "gatewright-workers"  # where a worker goes to: a group with limits for others has no processes itself
FOLDER: Final = "gatewright-jails"
PERIOD: Final = 100_000  # microseconds, the kernel's own default
END_SECONDS: Final = 1.0
TRIES: Final = 3
ENTER: Final = 'echo 0 >"$0/cgroup.procs" || exit 96; exec "$@"'
DELEGATE: Final = "run the worker as a systemd service with Delegate=yes, or let root write to /sys/fs/cgroup"


class Home(msgspec.Struct, frozen=True):
    """Where groups of jails are made; `path` is None where they cannot be, and `why` says why."""

    path: Path | None = None
    holds: frozenset[str] = frozenset()
    why: str = ""


class Counts(msgspec.Struct, frozen=True):
    """How often a group has met its bounds so far."""

    killed: int = 0  # for memory
    refused: int = 0  # forks


def place(mountinfo: str, membership: str) -> tuple[Path, Path] | None:
    """Read where version 2 is mounted and which group is ours, from /proc/self/mountinfo and /proc/self/cgroup."""
    own = next((line[3:] for line in membership.splitlines() if line.startswith("0::")), None)
    if own is None:
        return None
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if right.split(" ", 1)[0] != "cgroup2":
            continue
        root, mount = fields[3].rstrip("/"), Path(fields[4])
        if own == root or own.startswith(root + "/"):
            return mount, mount / own[len(root) :].strip("/")
    return None


def limits(table: settings.Sandbox, holds: frozenset[str]) -> dict[str, str]:
    """Say what is written into which file of a jail's group."""
    listed: dict[str, str] = {}
    if "memory" in holds and table.jail_memory_mb:
        listed |= {"memory.max": str(table.jail_memory_mb << 20), "memory.swap.max": "0", "memory.oom.group": "1"}
    if "pids" in holds:
        listed["pids.max"] = str(table.processes)
    if "cpu" in holds and table.cpus:
        listed["cpu.max"] = f"{max(1_000, round(table.cpus * PERIOD))} {PERIOD}"
    return listed


def find(proc: Path = Path("/proc/self")) -> Home:
    """Find, and make where need be, the folder of the groups of jails; moves this service's processes into a leaf.

    Only what was handed to us is touched: a delegated group, or the root of all groups where root may write it.
    """
    found = place((proc / "mountinfo").read_text(), (proc / "cgroup").read_text())
    if found is None:
        return Home(why="no cgroup version 2 is mounted here")
    mount, own = found
    own = own.parent if own.name == LEAF else own
    base = next((each for each in (own, mount) if _is_ours(each)), None)
    if base is None:
        return Home(why=f"{own} was not handed to this worker: {DELEGATE}")
    offered = frozenset(WANTED) & _words(base / "cgroup.controllers")
    if not offered:
        return Home(why=f"{base} has neither {', '.join(WANTED)}: they are bound to version 1, or not handed down")
    try:
        return _open(base, offered)
    except OSError as error:
        return Home(why=f"{base} cannot be used: {error.strerror}")


def _open(base: Path, offered: frozenset[str]) -> Home:
    if not offered <= _words(base / "cgroup.subtree_control"):
        _leave(base)
        _enable(base, offered)
    folder = base / FOLDER
    folder.mkdir(exist_ok=True)
    _enable(folder, offered)
    holds = offered & _words(folder / "cgroup.subtree_control")
    return Home(folder, holds) if holds else Home(why=f"{base} does not hand its controllers down")


def _is_ours(path: Path) -> bool:
    """Tell a group that was handed to us from one that we could merely write: others' processes may be in it."""
    if not all(os.access(path / name, os.W_OK) for name in ("", "cgroup.procs", "cgroup.subtree_control")):
        return False
    is_root = not (path / "cgroup.type").exists()
    is_top = not (path.parent / "cgroup.procs").exists()  # in a container: the container's own
    return is_root or is_top or (path / FOLDER).is_dir() or _is_delegated(path)


def _is_delegated(path: Path) -> bool:
    """Look for the mark of systemd, or for the border between what is another's and what is ours."""
    for name in ("user.delegate", "trusted.delegate"):
        with suppress(OSError):
            if os.getxattr(path, name) == b"1":
                return True
    user = os.geteuid()
    return user != 0 and path.stat().st_uid == user != path.parent.stat().st_uid


def _leave(base: Path) -> None:
    """Move what runs in a group into a leaf below it; the root of all groups needs none."""
    if not (base / "cgroup.type").exists():
        return
    leaf = base / LEAF
    for _ in range(TRIES):
        pids = (base / "cgroup.procs").read_text().split()
        if pids:
            leaf.mkdir(exist_ok=True)
        for pid in pids:
            with suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(pid)


def _enable(path: Path, controllers: frozenset[str]) -> None:
    """Hand controllers down one by one: one that cannot be had keeps no other from holding."""
    for name in sorted(controllers - _words(path / "cgroup.subtree_control")):
        with suppress(OSError):
            (path / "cgroup.subtree_control").write_text(f"+{name}")


class Group:
    """The group of one jail, held by a lock on its folder: whoever finds it unheld may end and remove it."""

    def __init__(self, path: Path, held: int) -> None:
        self.path = path
        self._release = weakref.finalize(self, os.close, held)

    @classmethod
    def make(cls, folder: Path, values: Mapping[str, str]) -> Self:
        """Make a group with its limits; raise GW-SANDBOX-START where one of them is refused."""
        reap(folder)
        for _ in range(TRIES):
            path = folder / f"jail-{secrets.token_hex(8)}"
            path.mkdir()
            held = _hold(path)
            if held is None:
                continue
            group = cls(path, held)
            try:
                for name, value in values.items():
                    if name != "memory.swap.max" or (path / name).exists():  # absent where the kernel counts no swap
                        (path / name).write_text(value)
            except OSError as error:
                group.end()
                raise _refused(f"{path / name}: {error.strerror}") from error
            return group
        raise _refused(f"{folder}: groups vanish as they are made")

    def enter(self) -> list[str]:
        """Name what, put before a command, has it and all that it starts belong to the group."""
        return ["/bin/sh", "-c", ENTER, str(self.path)]

    def counts(self) -> Counts:
        """Read how often bounds were met."""
        return Counts(_count(self.path / "memory.events", "oom_kill"), _count(self.path / "pids.events", "max"))

    def kill(self) -> None:
        """Kill all that is in the group, at once and whatever it forks."""
        with suppress(FileNotFoundError):
            (self.path / "cgroup.kill").write_text("1")

    def end(self) -> bool:
        """Kill what is left in the group and remove it; False where something did not die within a second."""
        done = _remove(self.path)
        self._release()
        return done


def reap(folder: Path) -> int:
    """End and remove the groups of workers that were killed, and return how many."""
    count = 0
    for path in folder.glob("jail-*"):
        held = _hold(path)
        if held is not None:
            count += _remove(path)
            os.close(held)
    return count


def _hold(path: Path) -> int | None:
    """Lock a group's folder, None where another process has it or it is gone."""
    try:
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            return held
    except BlockingIOError:
        pass
    os.close(held)
    return None


def _remove(path: Path) -> bool:
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        try:
            if (path / "cgroup.procs").read_text().strip():
                (path / "cgroup.kill").write_text("1")
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:  # still dying
            time.sleep(0.002)
        else:
            return True
    return False


def _words(path: Path) -> frozenset[str]:
    return frozenset(path.read_text().split())


def _count(path: Path, name: str) -> int:
    with suppress(FileNotFoundError):
        fields = dict(line.split(" ", 1) for line in path.read_text().splitlines())
        return int(fields.get(name, 0))
    return 0


def _refused(why: str) -> GatewrightError:
    return GatewrightError("GW-SANDBOX-START", "the sandbox did not start", why=why, fix="run `gatewright doctor`")
