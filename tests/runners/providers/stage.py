"""Everything one provider run needs, of real parts: a worktree in the jail, a gateway, a scripted model behind it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bot import settings
from bot.model.allowance import Allowance
from bot.model.state import Phase
from runners.gateway.server import Gateway
from runners.providers import guard
from runners.providers.protocol import Access, Limits, Provider, Request, Result, Upstream
from runners.site import Site
from runners.way_out import way_out
from runners.workspace.sandbox import Sandbox
from tests.runners.recorder import ListRecorder
from tests.simulators.models import ModelServer, Script
from tests.simulators.models.script import Maker, Step
from tests.simulators.models.server import REAL_KEY

QUICK = Limits(wall_seconds=60, idle_seconds=30, turns=12)


class Stage:
    """One attempt; `worktree` starts with `calc.py`."""

    def __init__(
        self, provider: Provider, model: ModelServer, door: Gateway, jail: Sandbox, recorder: ListRecorder
    ) -> None:
        self.provider = provider
        self.model = model
        self.door = door
        self.jail = jail
        self.recorder = recorder
        self.name = ""

    @property
    def worktree(self) -> Path:
        return self.jail.worktree

    async def run(self, **changes: Any) -> Result:
        """Run one request; fields of Request can be given."""
        asked = {
            "phase": Phase.CODING, "model": self.name, "system": "You are an engineer.",
            "prompt": "Fix add() in calc.py.", "access": Access.WRITE, "limits": QUICK, **changes,
        }  # fmt: skip
        return await guard.run(self.provider, Request(**asked), self.jail, self.door, self.recorder)

    async def until_exists(self, name: str) -> None:
        """Wait for a file that the agent writes."""
        async with asyncio.timeout(30):
            while not (self.worktree / name).exists():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def open_stage(
    provider: Provider,
    dialect: str,
    model: str,
    steps: Sequence[Step | Maker] = (),
    allowances: tuple[Allowance, ...] = (),
    *,
    table: settings.Sandbox = settings.Sandbox(),  # noqa: B008 - frozen
) -> AsyncIterator[Stage]:
    """Set the stage for one run and clear it away; hosts of `table.network_allow` are let as an attempt lets them."""
    home = _home()
    try:
        async with AsyncExitStack() as stack:
            yield await _set(
                stack,
                home,
                provider=provider,
                dialect=dialect,
                model=model,
                steps=steps,
                allowances=allowances,
                table=table,
            )
    finally:
        shutil.rmtree(home)


async def _set(
    stack: AsyncExitStack,
    home: Path,
    *,
    provider: Provider,
    dialect: str,
    model: str,
    steps: Sequence[Step | Maker],
    allowances: tuple[Allowance, ...],
    table: settings.Sandbox,
) -> Stage:
    slot = secrets.randbelow(1000)  # a user of its own, so that a neighbour's processes do not count here
    uid = table.user + slot if os.geteuid() == 0 else None
    worktree = _worktree(home, uid)
    recorder = ListRecorder()
    server = await stack.enter_async_context(ModelServer(Script(steps)))
    base = server.url + ("/v1" if dialect == "openai" else "")
    upstreams = {dialect: Upstream(dialect, base, REAL_KEY)}
    gateway = Gateway(home / "door", upstreams, model, recorder, 1, uid=uid, allowances=allowances)
    door = await stack.enter_async_context(gateway)
    site = Site(settings.Settings(sandbox=table), slot)
    egress = await stack.enter_async_context(way_out(site, table.network_allow, recorder, "egress"))
    jail = Sandbox.create(
        table, worktree, socket=door.socket, directory=home / "jail", slot=slot, egress=egress and egress.socket
    )
    stack.push_async_callback(jail.close)
    stage = Stage(provider, server, door, jail, recorder)
    stage.name = model
    return stage


def _home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="gw-"))
    home.chmod(0o711)
    return home


def _worktree(home: Path, uid: int | None) -> Path:
    worktree = home / "worktree"
    worktree.mkdir(mode=0o700)
    (worktree / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    for path in (worktree, worktree / "calc.py"):
        if uid is not None:
            os.chown(path, uid, -1)
    return worktree
