"""The end of a process and of what it started: a jail's outer half, and its first process with it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

STOP_SECONDS: Final = 0.02


def kill(pid: int) -> list[int]:
    """Kill a child of ours and its own children, and return these; a number that is no longer our child's is left.

    Stopped first, so that none is born in between: in the milliseconds in which a jail starts, its inner half would
    outlive the outer one.
    """
    found = stat(pid)
    if found is None or found[1] != os.getpid():
        return []
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + STOP_SECONDS
    while (found := stat(pid)) and found[0] not in "TtZX" and time.monotonic() < deadline:
        time.sleep(0.0002)
    inner = children(pid)
    for each in (*inner, pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    return inner


async def gone(pids: Collection[int]) -> None:
    """Wait until processes have ended; a jail's first one does after all others. A second at most."""
    for _ in range(200):
        if all((found := stat(pid)) is None or found[0] in "ZX" for pid in pids):
            break
        await asyncio.sleep(0.005)


def stat(pid: int) -> tuple[str, int] | None:
    """Read state and parent of a process, None where it is gone."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return state, int(parent)


def children(pid: int) -> list[int]:
    """List what a process has started itself and what has not ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
