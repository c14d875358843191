"""No jail at all, behind the jail's interface: for `none-i-accept-the-risk` and for demos with recorded answers."""

from __future__ import annotations

import secrets
import shutil
import socket as sockets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from bot import settings
from bot.network import CA_NAMES
from runners.providers.protocol import Exec
from runners.workspace import launch, process, reach
from runners.workspace.options import PATH
from runners.workspace.sandbox import stock


class OpenJail:
    """Run commands on the machine itself: no environment of ours, killed as a group, and nothing more than that.

    What runs here can read whatever its user can read and reach whatever the machine reaches; evidence must say so.
    """

    confined: Final = False

    def __init__(
        self,
        table: settings.Sandbox,
        worktree: Path,
        *,
        socket: Path | None = None,
        directory: Path,
        slot: int = 0,
        trust: Path | None = None,
    ) -> None:
        self._table = table
        self._trust = dict.fromkeys(CA_NAMES, str(trust)) if trust else {}
        # Still never as root, where the machine has what that takes.
        self.uid = launch.uid_of(table, slot) if shutil.which("setpriv", path=PATH) else None
        self._worktree = worktree.resolve()
        reach.require(self._worktree, self.uid, (table.user,))
        self._socket = socket if socket and shutil.which("socat", path=PATH) else None
        self._shelf = stock(directory)
        self._directory = directory.resolve()
        self._port = _free_port()
        self._mark = secrets.token_hex(12)
        self._count = 0

    @property
    def worktree(self) -> Path:
        """Where the worktree lies; hostile content."""
        return self._worktree

    @property
    def inside(self) -> str:
        """Where the worktree lies for the agent: the same place."""
        return str(self._worktree)

    @property
    def gateway_url(self) -> str:
        """Base URL of the gateway through a relay on loopback, which everybody on this machine can reach."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def passed(self) -> str:
        """Say nothing: no bound is watched here."""
        return ""

    @property
    def outside(self) -> str:
        """The gateway, which refuses what wants out; nothing keeps a program from going out by itself."""
        return self.gateway_url

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        max_output: int = 30_000,
        env: Mapping[str, str] | None = None,
        writable: bool = True,  # noqa: ARG002 - nothing here could hold it
        on_output: Callable[[bytes], None] | None = None,
    ) -> Exec:
        """Run one command to its end or its time-out; what it leaves behind is killed."""
        mark = self._next()
        ended = await process.finish(
            self._command(argv), env=self._env(env), cwd=self._worktree, mark=mark, timeout=timeout,
            max_output=max_output, on_output=on_output, confined=False,
        )  # fmt: skip
        limit = "output" if ended.flooded else "time" if ended.timed_out else ""
        return ended.result(max_output, limit, ended.flooded)

    def wrapper(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        binds: Sequence[tuple[Path, str]] = (),
        writable: bool = True,  # noqa: ARG002 - nothing here could hold it
    ) -> Path:
        """Write an executable that starts `argv` plus its own arguments; `binds` inside become their host paths."""
        mark = self._next()
        places = {inside: str(source) for source, inside in binds}
        command = self._command([places.get(part, part) for part in argv])
        clean = ["env", "-i", *(f"{name}={value}" for name, value in {**self._env(env), process.MARK: mark}.items())]
        path = self._directory / f"{mark}.sh"
        path.write_text(launch.script(["env", "-C", str(self._worktree), *clean, *command]))
        path.chmod(0o700)
        return path

    async def close(self) -> None:
        """End whatever carries this jail's mark and forget its wrappers."""
        await process.sweep(self._mark)
        for path in self._directory.glob(f"{self._mark}*"):
            path.unlink(missing_ok=True)

    def _command(self, argv: Sequence[str]) -> list[str]:
        dropped = launch.drop(self.uid, self._table.user) if shutil.which("setpriv", path=PATH) else []
        if self._socket is None:
            return [*dropped, *argv]
        return [*dropped, "/bin/bash", str(self._shelf / "init.sh"), str(self._port), str(self._socket), "0", *argv]

    def _env(self, env: Mapping[str, str] | None) -> dict[str, str]:
        path = ":".join([*(str(Path(each).expanduser()) for each in self._table.path), PATH])
        ours = {"PATH": path, "HOME": str(self._home()), "LANG": "C.UTF-8", "TMPDIR": "/tmp"}  # noqa: S108
        return {**ours, **self._trust, **(env or {})}

    def _home(self) -> Path:
        """Make a home that is not the worker's, where runtimes may keep their state."""
        home = self._directory / "home"
        if not home.exists():
            home.mkdir(mode=0o700)
            if self.uid is not None:
                shutil.chown(home, self.uid, self.uid)
        return home

    def _next(self) -> str:
        self._count += 1
        return f"{self._mark}-{self._count}"


def _free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
