"""Where an attempt stands: the mirror, fetched, and the task's worktree at the last recorded commit."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bot.audit.blobs import Blobs
from bot.model.errors import Unavailable
from bot.model.order import Order
from bot.model.state import Step
from runners.access import Access
from runners.site import Site
from runners.workspace.bundle import unpack
from runners.workspace.files import open_root, passage
from runners.workspace.git import Git
from runners.workspace.mirror import Mirror
from runners.workspace.worktree import Worktree

WRITING: Final = frozenset({Step.CODING, Step.QA_FIXER})
LOCK_SECONDS: Final = 60.0  # a superseded attempt notices within seconds


@asynccontextmanager
async def standing(site: Site, order: Order, access: Access) -> AsyncIterator[tuple[Mirror, Worktree]]:
    """Fetch, and open the task's worktree for this attempt alone; it stays for the next one, until the task is over."""
    root = open_root(site.work, site.settings.sandbox.user if site.user is not None else None)
    mirror = await Mirror.open(root / "mirrors", order.repo, order.clone_url)
    await mirror.fetch(await access.get(write=False))
    directory = passage(site.work / "tasks") / order.task
    async with _alone(directory.with_suffix(".lock"), order.task):
        worktree = await _worktree(mirror, directory, site, order)
        yield mirror, worktree
        if order.step is Step.ARCHIVE:
            await worktree.remove()


async def _worktree(mirror: Mirror, directory: Path, site: Site, order: Order) -> Worktree:
    """Stand on the last recorded commit of the work.

    Commits of an attempt that died before its push are in the worktree it left on this machine; from another machine
    the branch, or else the base, is where work goes on. Work that was held back comes out of its blob.
    """
    start = order.head or order.base_commit
    kept = await Worktree.open(mirror, directory, owner=site.user, identity=site.identity)
    if kept is not None and await _has(directory, start):
        await kept.reset(start)
        return kept
    if order.step in WRITING and not order.held_blob and not await mirror.has(start):
        start = await mirror.head(order.branch) or order.base_commit
    worktree = await Worktree.create(mirror, directory, order.base_commit, owner=site.user, identity=site.identity)
    if order.held_blob and not await mirror.has(start):
        held = Blobs(site.blobs).get(order.held_blob)
        await unpack(Git(directory / "git"), held, base=order.base_commit, head=start)
    if start != order.base_commit:
        await worktree.reset(start)
    return worktree


async def _has(directory: Path, commit: str) -> bool:
    return (await Git(directory / "git").call("cat-file", "-e", f"{commit}^{{commit}}")).code == 0


@asynccontextmanager
async def _alone(path: Path, task: str) -> AsyncIterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _locked(lock):
            if time.monotonic() > deadline:
                raise Unavailable(
                    "GW-WORKSPACE-BUSY",
                    f"another attempt of {task} does not leave its worktree",
                    fix="look for a hanging worker on this machine, then `retry`",
                )
            await asyncio.sleep(0.1)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
