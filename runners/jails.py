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
from runners.providers.protocol import Jail, Recorder
from runners.setup.setup import Setup
from runners.site import Site
from runners.way_out import way_out
from runners.workspace.files import erase, passage
from runners.workspace.open import OpenJail
from runners.workspace.probe import unfit
from runners.workspace.recorded import Commands, Recorded, reach
from runners.workspace.sandbox import Sandbox
from runners.workspace.worktree import Worktree

Kind = Literal["bwrap", "none"]


def choose(settings: Settings, order: Order, *, is_recorded: bool) -> Kind:
    """Decide how agents are confined; raise GW-SANDBOX-... where no jail starts, before a model is asked.

    Only recorded answers on a local repository may do without bubblewrap.
    """
    if settings.sandbox.mode != "bwrap":
        return "none"
    problem = unfit(settings.sandbox)
    if problem is None:
        return "bwrap"
    if not (is_recorded and order.repo.forge is ForgeKind.LOCAL):
        raise problem
    structlog.get_logger().warning("sandbox.none", task=order.task, why=str(problem))
    return "none"


def try_out(settings: Settings) -> None:
    """Start a jail once for all attempts of this worker, and log why where none starts: they will end with that."""
    if settings.sandbox.mode == "bwrap" and (problem := unfit(settings.sandbox)) is not None:
        said = {"code": problem.code, "what": problem.what, "why": problem.why, "fix": problem.fix}
        structlog.get_logger().warning("sandbox.unfit", **said)


def confined(
    site: Site,
    tree: Path,
    directory: Path,
    *,
    objects: Path | None = None,
    socket: Path | None = None,
    egress: Path | None = None,
    prepared: Path | None = None,
) -> Sandbox:
    """Make the one jail that there is on this site: for agents, for checks, and for whoever wants to try it."""
    return Sandbox.create(
        site.settings.sandbox,
        tree,
        objects=objects,
        socket=socket,
        directory=directory,
        slot=site.slot,
        cache=site.work / "runtimes",
        trust=trusted(site.settings),
        egress=egress,
        prepared=prepared,
    )


class Jails:
    """The jails of one attempt: one over the agent's tree, others over trees that no agent has touched."""

    def __init__(
        self, site: Site, kind: Kind, directory: Path, objects: Path, socket: Path | None, *,
        setup: Setup, recorder: Recorder, commands: Commands,
    ) -> None:  # fmt: skip
        self.kind = kind
        self._setup = setup
        self._recorder = recorder
        self._commands = commands
        self._egress: Path | None = None
        self._result: Path | None = None
        self._is_set_up = False
        self._is_way_open = False
        self._site = site
        self._directory = directory
        self._objects = objects
        self._socket = socket
        self._open = AsyncExitStack()
        self._over: dict[Path, Jail] = {}
        self._count = 0

    async def over(self, tree: Path, *, is_set_up: bool) -> Jail:
        """Open, or go on using, the jail over a tree that stays; `is_set_up` puts into it what [setup] has made."""
        if tree not in self._over:
            self._over[tree] = await self._furnished(tree, self._open, self._socket, is_set_up=is_set_up)
        return self._over[tree]

    @asynccontextmanager
    async def fresh(self, worktree: Worktree, commit: str, *, has_door: bool) -> AsyncIterator[Jail]:
        """Open a jail over a new tree of a commit; both are gone afterwards.

        `has_door` is for a model that judges; where there is none, checks are run, and [setup] has been.
        """
        self._count += 1
        tree = passage(self._directory) / f"fresh-{self._count}"
        try:
            async with AsyncExitStack() as opened:
                checkout = await worktree.checkout(commit, tree)
                socket = self._socket if has_door else None
                yield await self._furnished(checkout, opened, socket, is_set_up=not has_door)
        finally:
            await erase(tree)

    async def close(self) -> None:
        """End what still runs in any of them, and remove what they were made of."""
        try:
            await self._open.aclose()
        finally:
            await erase(self._directory)

    async def _furnished(self, tree: Path, opened: AsyncExitStack, socket: Path | None, *, is_set_up: bool) -> Jail:
        if self.kind == "none":
            jail = self._make(tree, opened, socket, None)
            if is_set_up:
                await self._setup.carry_out(jail)
            return jail
        if is_set_up and not self._is_set_up:  # before anything of this attempt can be reached from a jail
            self._result, self._is_set_up = await self._setup.result(self._open), True
        if not self._is_way_open:
            allowed = self._site.settings.sandbox.network_allow
            egress = await self._open.enter_async_context(way_out(self._site, allowed, self._recorder, "egress"))
            self._egress, self._is_way_open = egress.socket if egress else None, True
        jail = self._make(tree, opened, socket, self._result if is_set_up else None)
        if is_set_up and self._result:
            await self._setup.furnish(jail)
        return jail

    def _make(self, tree: Path, opened: AsyncExitStack, socket: Path | None, prepared: Path | None) -> Jail:
        passage(self._directory)
        self._count += 1
        directory = self._directory / f"jail-{self._count}"
        table, slot = self._site.settings.sandbox, self._site.slot
        trust = trusted(self._site.settings)
        if self.kind == "none":
            open_jail = OpenJail(table, tree, socket=socket, directory=directory, slot=slot, trust=trust)
            opened.push_async_callback(open_jail.close)
            return self._recorded(open_jail, socket)
        jail = confined(
            self._site, tree, directory, objects=self._objects, socket=socket, egress=self._egress, prepared=prepared
        )
        opened.push_async_callback(jail.close)
        return self._recorded(jail, socket)

    def _recorded(self, jail: Jail, socket: Path | None) -> Jail:
        """Have every program that starts in a jail recorded first."""
        net = reach(jail, has_door=socket is not None, has_way_out=self._egress is not None)
        return Recorded(jail, self._commands, net)
