"""The [setup] of a repository: run at the approved base, in a jail of its own, before any agent takes part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from bot.model.errors import GatewrightError
from bot.model.order import Order
from bot.network import trusted
from runners.egress.proxy import Egress
from runners.providers.protocol import Exec, Jail, Recorder
from runners.quality.detect import READ, Checks, detect
from runners.quality.run import ENV, OUTPUT, TAIL
from runners.setup import key, shelf
from runners.setup.kept import keep
from runners.site import Site
from runners.way_out import way_out
from runners.workspace import prepared
from runners.workspace.disk import Growth, measure
from runners.workspace.files import erase, give, passage, take
from runners.workspace.git import Git
from runners.workspace.options import ours
from runners.workspace.recorded import Commands, Recorded, reach
from runners.workspace.sandbox import Sandbox
from runners.workspace.worktree import Worktree

PIECES: Final = 400  # mounts of a home: each costs a jail's start some microseconds
MEBI: Final = 1 << 20
CONFLICT: Final = "not replacing"  # cp's words: the commit has a file of its own there, which stays
COPY: Final = ("-an", "--reflink=auto", f"{prepared.SOURCE}/.", ".")


class Setup:
    """The set-up of one attempt."""

    def __init__(
        self, site: Site, order: Order, recorder: Recorder, worktree: Worktree, objects: Path,
        remaining: Callable[[], float], *, commands: Commands,
    ) -> None:  # fmt: skip
        self._site = site
        self._order = order
        self._recorder = recorder
        self._worktree = worktree
        self._objects = objects
        self._remaining = remaining
        self._commands = commands
        self._git = Git(worktree.directory / "git")
        self._checks: Checks | None = None

    async def result(self, opened: AsyncExitStack) -> Path | None:
        """Lend the result until `opened` closes; None where the base commit names no set-up."""
        commands = (await self._found()).setup
        if not commands:
            return None
        name = await key.digest(self._git, self._order, commands, self._site.settings.sandbox)
        lent = shelf.result(self._site.work / "setup", name, self._make, seconds=self._remaining())
        folder, was_there = await opened.enter_async_context(lent)
        self._recorder.record("gate", {"rule": "setup", "result": f"{name[:16]} {'kept' if was_there else 'made'}"})
        return folder

    async def furnish(self, jail: Jail) -> None:
        """Copy the kept files into a jail's tree, as its user and from within: its links lead nowhere else.

        By our own program in a root file system, which may have none that knows these options, or none at all.
        """
        program = ours("cp") if self._site.settings.sandbox.rootfs else ["cp"]
        ended = await jail.run([*program, *COPY], timeout=max(self._remaining(), 1.0))
        if ended.exit_code and not all(CONFLICT in line for line in ended.output.splitlines()):
            raise GatewrightError(
                "GW-SETUP-COPY", "what the repository's setup has made cannot be copied into the worktree",
                why=ended.output[-TAIL:], fix="look for room where worker.work_dir lies, then `retry`",
            )  # fmt: skip

    async def carry_out(self, jail: Jail) -> None:
        """Run the commands in a tree itself: where there is no jail, nothing is kept either."""
        await self._run(jail, None)

    async def _found(self) -> Checks:
        if self._checks is None:
            base, read = self._order.base_commit, self._worktree.read
            files = {path: content for path in READ if (content := await read(base, path)) is not None}
            self._checks = detect(files, ())
        return self._checks

    async def _make(self, folder: Path) -> None:
        """Make a result: run, keep what git ignores and the home, and take both from the jail's user."""
        site, base = self._site, self._order.base_commit
        tree = await self._worktree.checkout(base, folder / "work")
        home = folder / prepared.HOME
        home.mkdir()
        await give(home, site.user)
        async with way_out(site, site.settings.sandbox.setup_allow, self._recorder, "setup-egress") as egress:
            jail = Sandbox.create(
                site.settings.sandbox, tree, objects=self._objects, directory=passage(folder / "jail"), slot=site.slot,
                cache=site.work / "runtimes", trust=trusted(site.settings),
                egress=egress.socket if egress else None, home=home,
            )  # fmt: skip
            try:
                net = reach(jail, has_door=False, has_way_out=egress is not None)
                await self._bounded(self._run(Recorded(jail, self._commands, net), egress), home)
            finally:
                await jail.close()
        await take(tree)  # before it is read: nothing is left that its user could still change
        await keep(self._git.git_dir, base, tree, folder / prepared.TREE, folder / "scratch")
        for name in ("work", "jail", "scratch"):
            await erase(folder / name)
        await take(home)
        await self._look(folder)

    async def _run(self, jail: Jail, egress: Egress | None) -> None:
        for number, command in enumerate((await self._found()).setup, 1):
            limit = max(self._remaining(), 1.0)
            ended = await jail.run(["sh", "-c", command], timeout=limit, max_output=OUTPUT, env=ENV)
            self._report(f"setup-{number}", ended)
            if ended.exit_code or ended.timed_out:
                raise _failed(command, ended, egress.book.places() if egress else ())

    async def _bounded(self, run: Coroutine[Any, Any, None], home: Path) -> None:
        """Stop a run that fills the home; the jail itself looks at the tree only."""
        growth = Growth(home, self._site.settings.sandbox.disk_mb * MEBI)
        growth.begin()
        work, full = asyncio.ensure_future(run), asyncio.ensure_future(growth.until_passed())
        try:
            await asyncio.wait({work, full}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise self._too_large("its home")
            work.result()
        finally:
            work.cancel()
            full.cancel()
            await asyncio.gather(work, full, return_exceptions=True)

    async def _look(self, folder: Path) -> None:
        most = self._site.settings.sandbox.disk_mb * MEBI
        if most and (await measure(folder))[0] > most:
            raise self._too_large("what it leaves")
        if len(prepared.pieces(folder / prepared.HOME, "")) // 3 > PIECES:
            raise GatewrightError(
                "GW-SETUP-SIZE", f"the repository's setup leaves more than {PIECES} entries in its home",
                fix="have it put them into one folder, such as ~/.cache/NAME",
            )  # fmt: skip

    def _too_large(self, what: str) -> GatewrightError:
        most = self._site.settings.sandbox.disk_mb
        return GatewrightError(
            "GW-SETUP-SIZE", f"the repository's setup takes more disk than sandbox.disk_mb = {most}: {what}",
            fix="raise sandbox.disk_mb, or have the setup bring less, then `retry`",
        )  # fmt: skip

    def _report(self, suite: str, ended: Exec) -> None:
        data = {
            "suite": suite, "commit": self._order.base_commit, "exit": ended.exit_code, "dur_ms": ended.duration_ms,
        }  # fmt: skip
        blobs = {"output": ended.output[-TAIL:].encode("utf-8", "replace")}
        self._recorder.record("test.run", data, outcome="fail" if ended.exit_code else "ok", blobs=blobs)


def _failed(command: str, ended: Exec, refused: tuple[str, ...]) -> GatewrightError:
    how = "took too long" if ended.timed_out else f"failed with exit code {ended.exit_code}"
    wanted = f"\nRefused by sandbox.setup_allow: {', '.join(refused)}" if refused else ""
    return GatewrightError(
        "GW-SETUP-FAILED",
        f"the repository's setup {how}: {command[:200]}",
        why=f"{ended.output[-TAIL:].strip()}{wanted}",
        fix="mend `setup` in .gatewright.toml on the default branch and open a new task; or, where it needs a host or "
        "a program, add it to sandbox.setup_allow or to the worker, then `retry`",
    )
