"""The results of set-ups on this machine: one folder each, made by one, used by many, dropped when old or too many."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from bot.model.errors import Unavailable
from runners.workspace.disk import measure
from runners.workspace.files import erase, passage

POLL_SECONDS: Final = 0.1
KEPT_BYTES: Final = 20 << 30
KEPT_SECONDS: Final = 14 * 24 * 3600.0
NEW: Final = ".new"  # what is being made, or was when its worker was killed


@asynccontextmanager
async def result(
    root: Path, name: str, make: Callable[[Path], Awaitable[None]], *, seconds: float, kept: int = KEPT_BYTES
) -> AsyncIterator[tuple[Path, bool]]:
    """Lend a result while the context lasts, made by `make` where there is none; tell whether it was there.

    Others wait meanwhile, for `seconds`; what is lent is not dropped.
    """
    passage(root)
    lock = await _locked(root / f"{name}.lock", seconds)
    try:
        folder, was_there = root / name, (root / name).is_dir()
        if not was_there:
            await _made(folder, make)
        os.utime(root / f"{name}.lock")
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not folder.is_dir():  # between the two locks somebody made room
            raise _busy()
        if not was_there:
            await drop(root, kept)
        yield folder, was_there
    finally:
        os.close(lock)


async def drop(root: Path, kept: int = KEPT_BYTES) -> None:
    """Drop what nobody has used for two weeks, and the oldest where all together are too large."""
    left = 0
    for used, lock in _newest_first(root):
        folder = lock.with_suffix("")
        left += (await measure(folder))[0] if folder.is_dir() else 0
        is_old = time.time() - used > KEPT_SECONDS
        if (is_old or left > kept) and (held := _taken(lock)) is not None:
            try:
                await erase(folder)
                await erase(folder.with_suffix(NEW))
                lock.unlink(missing_ok=True)
            finally:
                os.close(held)


def _newest_first(root: Path) -> list[tuple[float, Path]]:
    found = []
    for lock in root.glob("*.lock"):
        with suppress(FileNotFoundError):  # another worker makes room as well
            found.append((lock.stat().st_mtime, lock))
    return sorted(found, reverse=True)


async def _made(folder: Path, make: Callable[[Path], Awaitable[None]]) -> None:
    fresh = folder.with_suffix(NEW)
    await erase(fresh)
    try:
        await make(passage(fresh))
        fresh.rename(folder)
    finally:
        await erase(fresh)


async def _locked(path: Path, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while (lock := _taken(path)) is None:
        if (lock := _taken(path, fcntl.LOCK_SH)) is not None:
            if path.with_suffix("").is_dir():
                return lock  # others only use it
            os.close(lock)
        if time.monotonic() > deadline:
            raise _busy()
        await asyncio.sleep(POLL_SECONDS)
    return lock


def _taken(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
        if path.exists() and path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except BlockingIOError:
        pass
    os.close(lock)
    return None


def _busy() -> Unavailable:
    return Unavailable(
        "GW-SETUP-BUSY", "another attempt on this machine has been making the same set-up for too long",
        fix="look for a hanging worker on this machine, then `retry`",
    )  # fmt: skip
