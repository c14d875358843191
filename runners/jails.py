"""Which jail an attempt gets, and fresh ones for what must not meet the agent's tree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import structlog

from bot.model.event import ForgeKind
from bot.model.order import Order
from bot.network import trusted
from bot.settings import Settings
from runners.providers.protocol import Jail
from runners.site import Site
from runners.workspace.files import erase, passage
from runners.workspace.open import OpenJail
from runners.workspace.sandbox import Sandbox, probe
from runners.workspace.worktree import Worktree

Kind = Literal["bwrap", "none"]


def choose(settings: Settings, order: Order, *, is_recorded: bool) -> Kind:
    """Decide how agents are confined; only recorded answers on a local repository may do without bubblewrap."""
    if settings.sandbox.mode != "bwrap":
        return "none"
    if not (is_recorded and order.repo.forge is ForgeKind.LOCAL):
        return "bwrap"  # starting it says why it cannot start
    why = probe(settings.sandbox)
    if why is not None:
        structlog.get_logger().warning("sandbox.none", task=order.task, why=why)
    return "bwrap" if why is None else "none"


class Jails:
    """The jails of one attempt: one over the agent's tree, others over trees that no agent has touched."""

    def __init__(self, site: Site, kind: Kind, directory: Path, objects: Path, socket: Path | None) -> None:
        self.kind = kind
        self._site = site
        self._directory = directory
        self._objects = objects
        self._socket = socket
        self._open = AsyncExitStack()
        self._over: dict[Path, Jail] = {}
        self._count = 0

    def over(self, tree: Path) -> Jail:
        """Open, or go on using, the jail over a tree that stays."""
        if tree not in self._over:
            self._over[tree] = self._make(tree, self._open, self._socket)
        return self._over[tree]

    @asynccontextmanager
    async def fresh(self, worktree: Worktree, commit: str, *, has_door: bool) -> AsyncIterator[Jail]:
        """Open a jail over a new tree of a commit; both are gone afterwards."""
        self._count += 1
        tree = passage(self._directory) / f"fresh-{self._count}"
        try:
            async with AsyncExitStack() as opened:
                yield self._make(await worktree.checkout(commit, tree), opened, self._socket if has_door else None)
        finally:
            await erase(tree)

    async def close(self) -> None:
        """End what still runs in any of them, and remove what they were made of."""
        await self._open.aclose()
        await erase(self._directory)

    def _make(self, tree: Path, opened: AsyncExitStack, socket: Path | None) -> Jail:
        passage(self._directory)
        self._count += 1
        directory = self._directory / f"jail-{self._count}"
        table, slot = self._site.settings.sandbox, self._site.slot
        trust = trusted(self._site.settings)
        if self.kind == "none":
            open_jail = OpenJail(table, tree, socket=socket, directory=directory, slot=slot, trust=trust)
            opened.push_async_callback(open_jail.close)
            return open_jail
        jail = Sandbox.create(
            table,
            tree,
            objects=self._objects,
            socket=socket,
            directory=directory,
            slot=slot,
            cache=self._site.work / "runtimes",
            trust=trust,
        )
        opened.push_async_callback(jail.close)
        return jail
