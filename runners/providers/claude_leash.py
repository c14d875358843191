"""A hold on the process that the Claude SDK starts.

The SDK gives its child five seconds of grace before it signals it, and keeps the process to itself. The leash is a
script in between that notes its own process id before it becomes the jail's wrapper.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Self

from runners.providers import tree


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
        self._inner = tree.kill(pid) or self._inner

    async def gone(self) -> None:
        """Wait until the first process of the jail has ended, which it does after all others; a second at most."""
        await tree.gone(self._inner)
        for _ in range(5):
            await asyncio.sleep(0)  # the loop reads the end of the pipes, and closes them
