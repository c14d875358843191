"""Objects of Git LFS of one repository, kept by digest and checked by it; no git-lfs program takes part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
import msgspec

from bot import settings
from bot.forges.protocol import GitAccess
from bot.model.errors import Unavailable
from runners.workspace import lock
from runners.workspace.git import GitError
from runners.workspace.lfs import Pointer
from runners.workspace.lfs_batch import BATCH, Batch, LfsError

LOCK_SECONDS: Final = 900.0
MEBI: Final = 1 << 20
LEFT: Final = ".part"


class Missed(msgspec.Struct, frozen=True):
    """A file that stays a pointer, and why."""

    path: str
    why: str


class Objects:
    """What one repository keeps in Git LFS, as far as it was wanted here; `folder` is its own, closed to jails."""

    def __init__(self, folder: Path, url: str, table: settings.Workspace) -> None:
        self._folder = folder
        self._url = url
        self._table = table

    def place(self, pointer: Pointer) -> Path:
        """Name the file of an object, whether it is there or not."""
        return self._folder / pointer.sha256

    async def bring(self, pointers: Sequence[Pointer], access: GitAccess | None) -> tuple[list[Pointer], list[Missed]]:
        """Have the objects of pointers here and list those that are, and those left out with the reason.

        Raise LfsError where the server has none or sends a wrong one, Unavailable where it does not answer.
        """
        wanted, missed = self._choose(pointers)
        if not wanted:
            return [], missed
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        busy = Unavailable("GW-GIT-LOCK", f"another process has held {self._folder.name} for {LOCK_SECONDS:.0f} s")
        async with lock.held(self._folder.with_name(f"{self._folder.name}.lock"), LOCK_SECONDS, busy):
            for path in self._folder.glob(f"*{LEFT}"):
                path.unlink()  # of a worker that was killed
            lacking = {each.sha256: each for each in wanted if not self._has(each)}
            async with httpx.AsyncClient(verify=httpx.create_ssl_context(), follow_redirects=False) as client:
                batch = Batch(self._url, access, self._table.lfs_hosts, client)
                rows = list(lacking.values())
                for start in range(0, len(rows), BATCH):
                    await self._load(batch, rows[start : start + BATCH])
        return wanted, missed

    def _choose(self, pointers: Sequence[Pointer]) -> tuple[list[Pointer], list[Missed]]:
        """Leave out what is too large, and everything of a repository that no server serves."""
        if not self._url.startswith(("http://", "https://")):
            return [], [
                Missed(each.path, "the repository is on this machine, without an LFS server") for each in pointers
            ]
        wanted: dict[str, Pointer] = {}
        total, most, whole = 0, self._table.lfs_mb * MEBI, self._table.lfs_total_mb * MEBI
        missed = []
        kept = []
        for each in pointers:
            size = 0 if each.sha256 in wanted else each.size
            if each.size > most or total + size > whole:
                why = f"has {each.size} bytes, beyond [workspace] lfs_mb or lfs_total_mb"
                missed.append(Missed(each.path, why))
                continue
            total += size
            wanted[each.sha256] = each
            kept.append(each)
        return kept, missed

    def _has(self, pointer: Pointer) -> bool:
        place = self.place(pointer)
        if not place.is_file() or place.stat().st_size != pointer.size:
            return False
        os.utime(place)  # `leftovers` goes by it
        return True

    async def _load(self, batch: Batch, rows: list[Pointer]) -> None:
        answers = await batch.ask(rows)
        for each in rows:
            found = answers.get(each.sha256)
            if found is None:
                raise LfsError(
                    "GW-LFS-OBJECT",
                    f"the LFS server has no content for {each.path}",
                    fix="have it uploaded (git lfs push --all), or set [workspace] lfs = false; then `retry`",
                )
            part = self.place(each).with_suffix(LEFT)
            try:
                await batch.load(each, found, part)
                part.rename(self.place(each))
            except OSError as error:
                raise GitError(
                    "GW-GIT-DISK", f"{each.path} of Git LFS cannot be kept", why=str(error),
                    fix="make room where worker.work_dir lies, then `retry`",
                ) from error  # fmt: skip
            finally:
                part.unlink(missing_ok=True)
