"""The jail: one worktree, no keys, no network but the gateway, nothing left behind."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final, Self

import msgspec

from bot import settings
from bot.model.errors import GatewrightError
from runners.providers.protocol import Exec
from runners.workspace import bounds, kit, launch, options, process, reach, rootfs, seccomp
from runners.workspace.files import passage

KILLED: Final = 137
UNREADY: Final = 97  # init.sh could not set the jail up
STATUS_BYTES: Final = 4_096  # bubblewrap's report is two short lines
FILTER_FD, ARGS_FD = 8, 9  # in wrapper scripts


class Sandbox:
    """One worktree in bubblewrap; implements runners.providers.protocol.Jail.

    `directory` holds what the jail is made of and may go when it is closed. Nothing in it is writable from inside.
    """

    confined: Final = True

    def __init__(self, table: settings.Sandbox, room: options.Room, directory: Path, cache: Path, slot: int) -> None:
        self.uid = launch.uid_of(table, slot)
        self._table = table
        self._room = room
        self._directory = directory
        self._cache = cache
        self._mark = secrets.token_hex(12)
        self._count = 0
        _write(directory / "mark", self._mark.encode(), 0o600)
        self._bounds = bounds.Bounds(table, room.worktree, directory / "group")

    @classmethod
    def create(  # noqa: PLR0913 - a jail is made of this much
        cls,
        table: settings.Sandbox,
        worktree: Path,
        *,
        objects: Path | None = None,
        socket: Path | None = None,
        directory: Path,
        slot: int = 0,
        cache: Path | None = None,
        trust: Path | None = None,
        egress: Path | None = None,
        prepared: Path | None = None,
        home: Path | None = None,
    ) -> Self:
        """Prepare a jail; raise GW-SANDBOX-... where its user could not get to what it needs.

        `cache` keeps copies of runtimes that lie in private homes (default: beside `directory`); `trust` is shown as
        the certificate authorities of the site, `egress` leads to the filtering proxy, `prepared` is what [setup] has
        made, `home` a folder of the jail's user that stays.
        """
        if absent := launch.missing():
            what = f"the sandbox needs {', '.join(absent)}"
            raise GatewrightError("GW-SANDBOX-MISSING", what, fix=launch.packages(absent))
        shelf = stock(directory)
        cache = cache or directory.resolve().parent / "runtimes"
        uid, group = launch.uid_of(table, slot), (table.user,)
        # Something in the worktree: its own directory must let the jail's user in as well.
        for path in (
            worktree / ".git",
            shelf / "init.sh",
            *([objects] if objects else []),
            *(path for path in (socket, egress, prepared and prepared / "tree", home and home / "x") if path),
        ):
            reach.require(path, uid, group)
        root = rootfs.checked(Path(table.rootfs).expanduser(), worktree, uid, group) if table.rootfs else None
        room = options.Room(
            worktree=worktree.resolve(), shelf=shelf, tmp_mb=table.tmp_mb,
            binds=reach.toolchains(table.binds, cache, uid, group),
            rootfs=root, kit=kit.prepared(cache, uid, group) if root else None,
            objects=objects.resolve() if objects else None, socket=socket.resolve() if socket else None,
            trust=reach.readable(trust, cache, uid, group) if trust else None,
            egress=egress and egress.resolve(), prepared=prepared and prepared.resolve(), home=home and home.resolve(),
        )  # fmt: skip
        room = msgspec.structs.replace(room, path=options.searched(table.path, room))
        return cls(table, room, directory.resolve(), cache, slot)

    @property
    def worktree(self) -> Path:
        """Where the worktree lies on the host; hostile content."""
        return self._room.worktree

    @property
    def inside(self) -> str:
        """Where the worktree lies for the agent."""
        return options.INSIDE

    @property
    def gateway_url(self) -> str:
        """Base URL of the gateway as the agent sees it, through the relay."""
        return f"http://127.0.0.1:{options.PORT}"

    @property
    def outside(self) -> str:
        """Address of the filtering proxy where policy lets hosts be reached, else of the gateway, which refuses."""
        return options.outside() if self._room.egress else self.gateway_url

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        max_output: int = 30_000,
        env: Mapping[str, str] | None = None,
        writable: bool = True,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Exec:
        """Run one command to its end or its time-out; raise GW-SANDBOX-START where the jail itself does not start."""
        listed = options.options(msgspec.structs.replace(self._room, writable=writable), env or {})
        mark = self._next()
        with _memory(seccomp.program()) as rules, _memory() as status:
            listed += ["--seccomp", str(rules), "--json-status-fd", str(status)]
            with _memory(options.encode(listed)) as args:
                command = launch.command(self._table, self.uid, mark, [*self._bwrap(args), *argv], self._bounds.enter())
                before = self._bounds.begin()
                ended = await process.finish(
                    command, env={}, cwd=Path("/"), mark=mark, timeout=timeout, max_output=max_output,
                    on_output=on_output, pass_fds=(rules, status, args), watch=self._bounds.until_full,
                )  # fmt: skip
            began = b'"exit-code"' in os.pread(status, STATUS_BYTES, 0)
        said = ended.output.decode(errors="replace")
        if not began and not ended.timed_out and ended.exit_code != KILLED:
            raise _no_start(said)
        if ended.exit_code == UNREADY and said.startswith("gatewright: "):
            raise _no_start(said)
        verdict = await self._bounds.judge(ended, before)
        return ended.result(max_output, verdict.limit, verdict.words)

    def wrapper(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        binds: Sequence[tuple[Path, str]] = (),
        writable: bool = True,
    ) -> Path:
        """Write an executable that starts `argv` plus its own arguments in the jail.

        Good for this process only, and to be started from its event loop's thread. Killing its pid ends the jail.
        """
        group = (self._table.user,)
        shown = tuple((reach.readable(source, self._cache, self.uid, group), inside) for source, inside in binds)
        room = msgspec.structs.replace(self._room, writable=writable, binds=(*self._room.binds, *shown))
        mark = self._next()
        listed = [*options.options(room, env), "--seccomp", str(FILTER_FD)]
        # The environment of a runtime holds its gateway token: 0600, and neither argv nor the script shows it.
        args = _write(self._directory / f"{mark}.args", options.encode(listed), 0o600)
        rules = _write(self._directory / "filter.bpf", seccomp.program(), 0o600)
        command = launch.command(self._table, self.uid, mark, [*self._bwrap(ARGS_FD), *argv], self._bounds.enter())
        self._bounds.follow(mark)
        text = launch.script(command, [(FILTER_FD, rules), (ARGS_FD, args)])
        return _write(self._directory / f"{mark}.sh", text.encode(), 0o700)

    async def close(self) -> None:
        """End whatever still runs in this jail and forget its wrappers."""
        await self._bounds.close()
        await process.sweep(self._mark)
        for path in self._directory.glob(f"{self._mark}*"):
            path.unlink(missing_ok=True)

    def end(self) -> None:
        """Remove the jail's group of limits, where nothing can be awaited; its runs must have ended."""
        self._bounds.end()

    @property
    def passed(self) -> str:
        """Say which bound a run that somebody else started has met, empty where none."""
        return self._bounds.passed

    def _bwrap(self, args: int) -> list[str]:
        socket = options.SOCKET if self._room.socket else ""
        init = [*options.start(self._room), options.INIT, str(options.PORT), socket, str(self._table.processes)]
        return ["bwrap", "--args", str(args), "--", *init]

    def _next(self) -> str:
        self._count += 1
        return f"{self._mark}-{self._count}"


async def clear(directory: Path) -> int:
    """End what a worker that was killed left running in a jail of this directory; call it before `create`.

    The parent-death signal leaves a gap of milliseconds at a jail's start; this closes it for the next attempt.
    """
    bounds.clear(directory / "group")
    try:
        mark = (directory / "mark").read_text()
    except FileNotFoundError:
        return 0
    return await process.sweep(mark) if mark else 0


def stock(directory: Path) -> Path:
    """Write the files that every jail shows (start script, accounts) and return their folder."""
    shelf = passage(passage(directory) / "shelf")
    for name, content in options.ACCOUNTS.items():
        _write(shelf / name, content.encode(), 0o644)
    init = resources.files("runners.workspace").joinpath("init.sh").read_bytes()
    _write(shelf / "init.sh", init, 0o644)
    return shelf


def probe(table: settings.Sandbox | None = None) -> str | None:
    """Say why no jail can start on this machine, None where one can; starts one to know."""
    from runners.workspace.probe import why_not  # noqa: PLC0415 - it needs this module

    return why_not(table or settings.Sandbox())


def _no_start(said: str) -> GatewrightError:
    return GatewrightError(
        "GW-SANDBOX-START",
        "the sandbox did not start",
        why=said.strip()[-500:],
        fix="run `gatewright doctor` on this machine",
    )


def _write(path: Path, content: bytes, mode: int) -> Path:
    """Write a file that never exists with a weaker mode than it ends with."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    return path


@contextmanager
def _memory(content: bytes = b"") -> Iterator[int]:
    """Open a file that has no name: what a jail is given this way stands nowhere on disk."""
    fd = os.memfd_create("gatewright")
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
