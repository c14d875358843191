"""A hold on the process that the Claude SDK starts.

The SDK gives its child five seconds of grace before it signals it, and keeps the process to itself. The leash is a
script in between that notes its own process id before it becomes the jail's wrapper.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Self


class Leash:
    """The wrapper of one run, and the way to end it at once; killing it ends everything in the jail."""

    def __init__(self, wrapper: Path) -> None:
        self._inner: list[int] = []
        self._directory = Path(tempfile.mkdtemp(prefix="gw-claude-"))
        self._note = self._directory / "pid"
        self.path = self._directory / "claude"
        note, target = shlex.quote(str(self._note)), shlex.quote(str(wrapper))
        self.path.write_text(f'#!/bin/sh\necho "$$" >{note} || exit 97\nexec {target} "$@"\n')
        self.path.chmod(0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)  # a temporary folder that stays is no reason to fail

    def kill(self) -> None:
        """Kill the wrapper if it still runs; a process id that is no longer our child's is left alone."""
        try:
            pid = int(self._note.read_text())
        except (OSError, ValueError):
            return  # not started
        if (found := _stat(pid)) and found[1] == os.getpid():
            self._inner = _children(pid)
            os.kill(pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until the first process of the jail has ended, which it does after all others; a second at most."""
        for _ in range(200):
            if all((found := _stat(pid)) is None or found[0] == "Z" for pid in self._inner):
                break
            await asyncio.sleep(0.005)
        for _ in range(5):
            await asyncio.sleep(0)  # the loop reads the end of the pipes, and closes them


def _stat(pid: int) -> tuple[str, int] | None:
    """Read state and parent of a process, None where it is gone."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return state, int(parent)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
