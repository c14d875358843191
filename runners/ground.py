"""Where an attempt stands: the mirror, fetched, and the task's worktree at the last recorded commit."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from bot.audit.blobs import Blobs
from bot.forges.protocol import GitAccess
from bot.model.errors import Unavailable
from bot.model.order import Order
from bot.model.state import Step
from runners.access import Access
from runners.site import Site
from runners.workspace import lock
from runners.workspace.bundle import unpack
from runners.workspace.content import Content
from runners.workspace.files import open_root, passage
from runners.workspace.git import Git, GitError
from runners.workspace.mirror import Mirror
from runners.workspace.signature import CommitKey
from runners.workspace.worktree import Worktree

WRITING: Final = frozenset({Step.CODING, Step.QA_FIXER})
LOCK_SECONDS: Final = 60.0  # a superseded attempt notices within seconds


@asynccontextmanager
async def standing(site: Site, order: Order, access: Access) -> AsyncIterator[tuple[Mirror, Worktree]]:
    """Fetch, and open the task's worktree for this attempt alone; it stays for the next one, until the task is over."""
    root = open_root(site.work, site.settings.sandbox.user if site.user is not None else None)
    mirror = await Mirror.open(root / "mirrors", order.repo, order.clone_url)
    may_read = await access.get(write=False)
    await mirror.fetch(may_read, order.base_branch)
    directory = passage(site.work / "tasks") / order.task
    busy = Unavailable(
        "GW-WORKSPACE-BUSY",
        f"another attempt of {order.task} does not leave its worktree",
        fix="look for a hanging worker on this machine, then `retry`",
    )
    path = directory.with_suffix(".lock")
    async with lock.held(path, LOCK_SECONDS, busy):
        os.utime(path)  # `leftovers` goes by it
        worktree = await _worktree(mirror, directory, site, order, may_read)
        if site.settings.worker.commit_key_file:
            worktree.key = CommitKey(Path(site.settings.worker.commit_key_file))
        yield mirror, worktree
        if order.step is Step.ARCHIVE:
            await _leave(worktree, path, order)


async def _worktree(mirror: Mirror, directory: Path, site: Site, order: Order, access: GitAccess | None) -> Worktree:
    """Stand on the last recorded commit of the work.

    Commits of an attempt that died before its push are in the worktree it left on this machine; from another machine
    the branch, or else the base, is where work goes on. Work that was held back comes out of its blob.
    """
    worktree = await Worktree.open(mirror, directory, owner=site.user, identity=site.identity)
    if worktree is None:
        worktree = await Worktree.prepare(mirror, directory, order.base_commit, owner=site.user, identity=site.identity)
    elif worktree.base != order.base_commit:
        await worktree.found(order.base_commit)
    if order.step.phase is not None:  # nobody reads the tree of the others
        content = Content(site.settings.workspace, site.work, order.repo, order.clone_url)
        await worktree.bring(content, access)
    start = order.head or order.base_commit
    if order.head or order.step in WRITING:  # before that there is no branch of ours
        await worktree.follow(order.branch, order.clone_url, access)
    if order.held_blob and not await worktree.has(start):
        held = Blobs(site.blobs).get(order.held_blob)
        await unpack(Git(directory / "git"), held, base=order.base_commit, head=start)
    if order.step in WRITING and not await worktree.has(start):
        start = worktree.tip or order.base_commit
    try:
        await worktree.reset(start)
    except GitError as error:
        if error.code != "GW-GIT-FAILED" or not await mirror.mend(access, order.base_branch):
            raise
        await worktree.reset(start)
    if order.held_blob:
        await worktree.secure(start)
    return worktree


async def _leave(worktree: Worktree, path: Path, order: Order) -> None:
    """Remove the worktree of a task that is over, unless it holds commits that are nowhere else."""
    if not await worktree.is_safe():
        structlog.get_logger().warning(
            "worktree.kept", task=order.task, commit=worktree.head, path=str(worktree.directory / "git"),
            why="it holds commits that were never pushed", fix="push or drop them, then remove the directory",
        )  # fmt: skip
        await worktree.strip()
        return
    await worktree.remove()
    os.unlink(path)  # noqa: PTH108 - quick, and no reason for a thread
