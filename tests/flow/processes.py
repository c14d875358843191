"""Who runs on this machine, and whose child it is."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from os import kill
from pathlib import Path

from tests.flow.brain import PATIENT

PROC = Path("/proc")


def agents() -> set[int]:
    """Find the processes of agents that were told to be patient."""
    wanted = "\0".join(PATIENT.split()).encode() + b"\0"
    return {pid for pid in _all() if _read(pid, "cmdline") == wanted}


def is_within(pid: int, ancestor: int) -> bool:
    """Tell whether a process descends from another."""
    while pid > 1:
        if pid == ancestor:
            return True
        pid = _parent(pid)
    return False


def children(pid: int) -> list[int]:
    """List the direct children of a process."""
    return [each for each in _all() if _parent(each) == pid]


def lives(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    return b"\nState:\tZ" not in (status := _read(pid, "status")) and bool(status)


def stop(*pids: int) -> None:
    """Freeze processes."""
    for pid in pids:
        kill(pid, signal.SIGSTOP)


def go_on(*pids: int) -> None:
    """Let frozen processes go on; those that were ended meanwhile are left alone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGCONT)


def _all() -> Iterator[int]:
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())


def _parent(pid: int) -> int:
    for line in _read(pid, "status").splitlines():
        if line.startswith(b"PPid:"):
            return int(line.split()[1])
    return 0


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / name).read_bytes()
    return b""
