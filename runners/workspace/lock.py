"""Lock files: one holder among all processes of a machine; the file itself may go while it is held."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 0.05


@asynccontextmanager
async def held(path: Path, seconds: float, busy: Exception) -> AsyncIterator[int]:
    """Hold a lock file, raise `busy` where others hold it for longer than `seconds`; yields its descriptor.

    A child that inherits the descriptor holds the lock as well, for as long as it lives.
    """
    deadline = time.monotonic() + seconds
    while (lock := take(path)) is None:
        if time.monotonic() > deadline:
            raise busy
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield lock
    finally:
        os.close(lock)


def take(path: Path) -> int | None:
    """Take a lock file at once and answer with its descriptor, None where another holds it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path)):  # noqa: PTH116 - beside fstat
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass  # held, or removed by its holder between our two steps: both are told by the next try
    os.close(lock)
    return None
